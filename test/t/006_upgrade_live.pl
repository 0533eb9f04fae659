# Upgrading under traffic: new library, ALTER EXTENSION UPDATE, migrate().  No
# insert fails, afterwards every row is charged, and the tables are those of a
# new installation, object by object.
#
# While there is only one version, the one before it is made here: the same
# functions but for a few, and the tables without their newest step.  Its
# library is the same file.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use BilladjTest;

use File::Copy;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

sub pg_config
{
	my ($what) = @_;
	my ($out) = run_command([ 'pg_config', "--$what" ]);

	return $out;
}

my $scripts = pg_config('sharedir') . '/extension';
my $library = pg_config('pkglibdir') . '/billadj.so';
my ($new) = slurp_file("$scripts/billadj.control") =~ /default_version = '([^']+)'/;
my $old = '0.0.9';
my @made = map { "$scripts/billadj--$_.sql" } $old, "$old--$new";

plan skip_all => "$scripts and the directory of $library cannot be written by this user"
	unless -w $scripts && -w pg_config('pkglibdir');
END { unlink @made }

# ---- the version before ----

my $script = slurp_file("$scripts/billadj--$new.sql");
my ($newest) = $script =~ /^RETURN (\d+);/m;

# Changes the text once, or dies.
sub change
{
	my ($text, $from, $to) = @_;

	$text =~ s/$from/$to/ or die "not in the script: $from";
	return $text;
}

sub old_script
{
	my $text = $script;
	my ($tag) = $text =~ /^       \(1, '\w+', (\$step_*\$)/m or die 'no steps';

	# one step less
	$text = change($text, qr/\n       ,\n       \($newest, '\w+', \Q$tag\E.*?\n\Q$tag\E\)\n/s, "\n");
	$text = change($text, qr/^RETURN $newest;/m, 'RETURN ' . ($newest - 1) . ';');
	# a function less, one that says something else to somebody else, one that was given up
	$text = change($text, qr/CREATE FUNCTION billadj\.watch_partitions\(.*?FROM PUBLIC;\n/s, '');
	$text = change($text, qr/close_after := coalesce\(settings\.close_after, '7 days'\)/, "close_after := '1 day'");
	$text = change($text, qr/COMMENT ON FUNCTION billadj\.settings\(\) IS '\K/, 'formerly: ');
	return $text . "\nCREATE FUNCTION billadj.given_up() RETURNS integer LANGUAGE sql IMMUTABLE RETURN 1;\n";
}

# As CONTRIBUTING.md says: what was given up by hand, then all functions anew.
sub update_script
{
	my $text = $script;

	$text =~ s/\A.*?(?=^\\echo)//ms;
	$text =~ s/^DO \$(preflight|roles|grant)\$.*?^\$\g1\$;\n//msg;
	$text =~ s/^CREATE (FUNCTION|PROCEDURE|AGGREGATE) /CREATE OR REPLACE $1 /mg;
	return "DROP FUNCTION billadj.given_up();\n$text";
}

sub write_script
{
	my ($file, $text) = @_;

	open my $handle, '>', $file or die "$file: $!";
	print $handle $text;
	close $handle or die "$file: $!";
	return;
}

write_script($made[0], old_script());
write_script($made[1], update_script());

my $node = new_server('upgrade', "timezone = 'UTC'");
my $count = "SELECT count(*) FROM usage_log";

# ---- install old, with traffic ----

$node->safe_psql('postgres', "CREATE EXTENSION btree_gist; CREATE EXTENSION billadj VERSION '$old'");
install_fixture($node);
$node->safe_psql('postgres', 'CREATE SEQUENCE usage_log_seq START 1000');
is($node->safe_psql('postgres', "SELECT extversion || ' ' || billadj.migration_newest() FROM pg_extension WHERE extname = 'billadj'"),
	"$old " . ($newest - 1), 'the version before is installed');
is($node->safe_psql('postgres', 'SELECT max(step) FROM billadj.migration'), $newest - 1, 'with the tables of its steps');

# Connections of its own, and ones that come and go: they load the new library.
my $usage = $node->basedir . '/usage.sql';
write_script($usage, q{
\set account random(1, 5)
\set meter random(1, 4)
\set quantity random(0, 20)
INSERT INTO usage_log SELECT nextval('usage_log_seq'), 'k' || :account, (ARRAY['calls', 'store', 'bytes', 'unpriced'])[:meter], :quantity;
});
my @sessions = map {
	my ($name, @options) = @$_;
	# into files: nobody would read a pipe, and its WARNINGs fill one
	my %s = (name => $name, said => $node->basedir . "/$options[-1]");

	$s{run} = IPC::Run::start([ 'pgbench', '-n', '-T', '600', '-f', $usage, @options, $node->connstr('postgres') ],
		'<', \undef, '>', "$s{said}.out", '2>', "$s{said}.err");
	\%s
} ([ 'connections that stay', '-c2' ], [ 'connections that come and go', '-c1', '-C' ]);

# Until so many more rows have come.
sub let_traffic_pass
{
	my ($what) = @_;
	my $before = $node->safe_psql('postgres', $count);

	ok($node->poll_query_until('postgres', "SELECT count(*) > $before + 300 FROM usage_log"), "usage goes on: $what");
	return;
}

let_traffic_pass('the version before');

# 1. the library, as make install does it: a new file of that name
copy($library, "$library.new") or die "$library.new: $!";
chmod 0755, "$library.new";
{
	# another file than before, and still a library
	open my $handle, '>>', "$library.new" or die $!;
	print $handle "\0";
	close $handle or die $!;
}
rename "$library.new", $library or die "$library: $!";
let_traffic_pass('new library');

# 2. the functions
sql_ok($node, "ALTER EXTENSION billadj UPDATE TO '$new'", 'ALTER EXTENSION billadj UPDATE');
let_traffic_pass('new functions');
is($node->safe_psql('postgres', 'SELECT code FROM billadj.self_check()'), 'step_missing', 'self_check() names the step that is missing');
is($node->safe_psql('postgres', q{SELECT string_agg(step::text, ' ') FROM billadj.migrate(dry_run => true) WHERE action = 'run step'}),
	$newest, 'migrate(dry_run => true) shows it');

# 3. the tables
sql_ok($node, 'DO $$ BEGIN PERFORM billadj.migrate(); END $$', 'migrate()');
let_traffic_pass('new tables');
is($node->safe_psql('postgres', 'SELECT * FROM billadj.migrate()'), '', 'a second migrate() has nothing to do');

# ---- a library that is newer than its tables ----

# All sessions are in the middle of it.
$node->safe_psql('postgres', 'ALTER TABLE billadj.charge RENAME basis TO hidden');
my ($rc, $out, $err) = $node->psql('postgres', q{
	INSERT INTO usage_log SELECT n, 'newer', 'calls', 1 FROM generate_series(1, 5) AS n;
	INSERT INTO usage_log VALUES (6, 'newer', 'bytes', 1);
	UPDATE usage_log SET quantity = 2 WHERE id = 6;
	DELETE FROM usage_log WHERE id = 5;});
is($rc, 0, 'statements succeed while a column is missing');
is(scalar(() = $err =~ /WARNING:  usage is not rated: /g), 4, 'one WARNING a statement') or diag($err);
unlike($err, qr/ERROR/, 'no error');
let_traffic_pass('a column is missing');
is($node->safe_psql('postgres', q{SELECT string_agg(event_key, ' ' ORDER BY event_key) FROM billadj.rating_gap('usage_log') WHERE account = 'newer'}),
	'1 2 3 4 6', 'rating_gap() lists the rows');
$node->safe_psql('postgres', 'ALTER TABLE billadj.charge RENAME hidden TO basis');
let_traffic_pass('the column is back');

# ---- afterwards ----

foreach my $s (@sessions)
{
	$s->{run}->kill_kill;
	unlike(slurp_file("$s->{said}.err"), qr/ERROR|FATAL|abort/i, "no insert failed: $s->{name}");
}
$node->poll_query_until('postgres', q{SELECT count(*) = 0 FROM pg_stat_activity WHERE application_name = 'pgbench'});
sql_ok($node, q{CALL billadj.backfill('usage_log')}, 'backfill');
is($node->safe_psql('postgres', q{SELECT * FROM billadj.rating_gap('usage_log')}), '', 'no gap');
is_right($node, 'after the upgrade');
cmp_ok($node->safe_psql('postgres', q{SELECT count(*) FROM billadj.parked_usage WHERE resolved_at IS NULL}), '>', 100, 'the unpriced are parked');

# ---- old + update + migrate = new ----

# What is installed, without what is told of it only: in which order, when, by
# which numbers.
my $objects = q{
	SELECT 'function', p.oid::regprocedure::text, pg_get_function_result(p.oid), CASE WHEN p.prokind <> 'a' THEN md5(pg_get_functiondef(p.oid)) END,
	       p.proowner::regrole::text, (SELECT string_agg(a::text, ' ' ORDER BY a::text COLLATE "C") FROM unnest(p.proacl) AS a),
	       obj_description(p.oid, 'pg_proc'),
	       (SELECT string_agg(a::text, ' ' ORDER BY a::text COLLATE "C") FROM pg_init_privs i, unnest(i.initprivs) AS a WHERE i.objoid = p.oid AND i.classoid = 'pg_proc'::regclass)
	  FROM pg_proc p WHERE p.pronamespace = 'billadj'::regnamespace
	UNION ALL
	SELECT 'aggregate', a.aggfnoid::text, a.aggtransfn::text, a.aggcombinefn::text, a.aggfinalfn::text, a.aggtranstype::regtype::text, a.agginitval, a.aggtransspace::text
	  FROM pg_aggregate a JOIN pg_proc p ON p.oid = a.aggfnoid WHERE p.pronamespace = 'billadj'::regnamespace
	UNION ALL
	SELECT 'relation', c.oid::regclass::text, c.relkind::text, c.relowner::regrole::text,
	       (SELECT string_agg(a::text, ' ' ORDER BY a::text COLLATE "C") FROM unnest(c.relacl) AS a), c.reloptions::text,
	       obj_description(c.oid, 'pg_class'),
	       (SELECT string_agg(concat_ws(' ', a.attnum, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attstorage, a.attacl, col_description(c.oid, a.attnum)), ', ' ORDER BY a.attnum)
	          FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)
	  FROM pg_class c WHERE c.relnamespace = 'billadj'::regnamespace
	UNION ALL
	SELECT 'trigger', t.tgrelid::regclass::text, t.tgname, t.tgenabled::text, pg_get_triggerdef(t.oid), NULL, NULL, NULL
	  FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid WHERE c.relnamespace = 'billadj'::regnamespace AND NOT t.tgisinternal
	UNION ALL
	SELECT 'member', pg_describe_object(d.classid, d.objid, 0), d.deptype::text, NULL, NULL, NULL, NULL, NULL
	  FROM pg_depend d WHERE d.refclassid = 'pg_extension'::regclass AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'billadj') AND d.deptype = 'e'
	UNION ALL
	SELECT 'step', m.step::text, m.name, m.sha256, NULL, NULL, NULL, NULL FROM billadj.migration m
	ORDER BY 1, 2, 3, 4};

sub dump_of
{
	my ($database) = @_;
	my ($text) = run_command([ 'pg_dump', '--schema-only', '-n', 'billadj', '-d', $node->connstr($database) ]);

	$text =~ s/^\\(?:un)?restrict .*$//mg;    # a new random key at every dump
	return $text;
}

foreach my $database ('upgraded', 'fresh')
{
	my $version = $database eq 'fresh' ? $new : $old;

	$node->safe_psql('postgres', "CREATE DATABASE $database");
	$node->safe_psql($database, "CREATE EXTENSION btree_gist; CREATE EXTENSION billadj VERSION '$version'; SELECT count(*) FROM billadj.install()");
}
isnt($node->safe_psql('upgraded', $objects), $node->safe_psql('fresh', $objects), 'the comparison sees the difference of the versions');
isnt(dump_of('upgraded'), dump_of('fresh'), 'and so does that of the dumps');
$node->safe_psql('upgraded', 'ALTER EXTENSION billadj UPDATE; SELECT count(*) FROM billadj.migrate()');
is_deeply([ split /\n/, $node->safe_psql('upgraded', $objects) ], [ split /\n/, $node->safe_psql('fresh', $objects) ],
	'install old + update + migrate = install new, object by object');
is(dump_of('upgraded'), dump_of('fresh'), 'and so say their dumps');
is($node->safe_psql('upgraded', 'SELECT * FROM billadj.self_check()'), $node->safe_psql('fresh', 'SELECT * FROM billadj.self_check()'),
	'and self_check()');

$node->stop;
done_testing();
