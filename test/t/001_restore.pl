# A dump, restored into a new cluster without our roles, comes back equal: nothing
# is rated twice, and afterwards rating goes on where it stood.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use BilladjTest;

use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

my $source = new_server('source');
my $dumps = $source->basedir;

# ---- a database with a host table of its own owner, and a partitioned one ----

$source->safe_psql('postgres', 'CREATE ROLE app_owner; CREATE DATABASE app');
install_fixture($source, 'app');
$source->safe_psql('app', q{
	ALTER TABLE usage_log OWNER TO app_owner;
	CREATE TABLE trip (region text, trip_id bigint, rider int, at date, km numeric, minutes int, PRIMARY KEY (region, trip_id))
	  PARTITION BY LIST (region);
	CREATE TABLE trip_east PARTITION OF trip FOR VALUES IN ('east');
	CREATE TABLE trip_west PARTITION OF trip FOR VALUES IN ('west');
	DO $$ BEGIN
	    PERFORM billadj.import_rate_card('{"code": "rides", "currency": "USD", "priority": -1, "prices": [
	        {"meter": "km", "model": "graduated", "tiers": [{"up_to": 100, "unit_amount": 0.5}, {"up_to": null, "unit_amount": 0.3}]},
	        {"meter": "minutes", "model": "per_unit", "unit_amount": 0.07}]}', tstzrange('2020-01-01', NULL));
	    PERFORM billadj.attach('trip', account => 'rider', occurred_at => 'at', measures => '{"km": "km", "minutes": "minutes"}');
	END $$;
	INSERT INTO billadj.account (account, currency) VALUES ('k2', 'USD');
	INSERT INTO usage_log SELECT n, 'k' || n % 7, (ARRAY['calls', 'store', 'bytes'])[1 + n % 3], n % 40,
	       timestamptz '2026-03-01 01:00+00' + n * interval '3 hours' FROM generate_series(1, 500) AS n;
	UPDATE usage_log SET quantity = quantity + 5 WHERE id % 10 = 3;
	DELETE FROM usage_log WHERE id % 50 = 7;
	INSERT INTO usage_log VALUES (900, 'k1', 'unpriced', 4, '2026-05-01');
	INSERT INTO trip SELECT (ARRAY['east', 'west'])[1 + n % 2], n, n % 5, '2026-05-01', n, n % 30 FROM generate_series(1, 100) AS n;
	INSERT INTO trip_east VALUES ('east', 1000, 1, '2026-05-02', 12.5, 3);
	SET session_replication_role = replica; INSERT INTO usage_log VALUES (901, 'gap', 'calls', 4, '2026-05-01'); RESET session_replication_role;
	CALL billadj.backfill('usage_log');
	DO $$ BEGIN PERFORM billadj.maintain(); END $$;
	INSERT INTO usage_log VALUES (902, 'k3', 'calls', 4, '2026-05-01');
	ANALYZE;
});
is_right($source, 'before the dump', 'app');
my $before = sorted_rows($source, 'app');
cmp_ok(scalar(grep { $_ ne '' } values %$before), '>', 15, 'tables of all kinds have rows');

my @connect = ('-d', $source->connstr('app'));
command_ok([ 'pg_dump', @connect, '-Fc', '-f', "$dumps/custom" ], 'pg_dump -Fc');
command_ok([ 'pg_dump', @connect, '-f', "$dumps/plain" ], 'pg_dump');
command_ok([ 'pg_dump', @connect, '--inserts', '-f', "$dumps/inserts" ], 'pg_dump --inserts');
command_ok([ 'pg_dump', @connect, '--schema-only', '-f', "$dumps/schema" ], 'pg_dump --schema-only');
command_ok([ 'pg_dump', @connect, '--data-only', '-f', "$dumps/data" ], 'pg_dump --data-only');
my ($roles) = run_command([ 'pg_dumpall', '-d', $source->connstr('postgres'), '--roles-only' ]);

# The host's roles are the DBA's; ours come with the extension.
my $host_roles = join "\n", grep { /^CREATE ROLE app_/ } split /\n/, $roles;

# ---- restores ----

# Each into a cluster of its own.  psql and pg_restore stop at the first error;
# warnings are counted: one a statement that loads a host table past the triggers.
sub restored
{
	my ($way, $warnings, @commands) = @_;
	my $node = new_server("restored_$way");
	my $said = '';
	my $status = 0;

	$node->safe_psql('postgres', "CREATE DATABASE app;\n$host_roles");
	foreach my $command (@commands)
	{
		my ($file, @program) = reverse @$command;
		my ($out, $err) = ('', '');

		@program = reverse @program;
		IPC::Run::run([ @program, '-d', $node->connstr('app'),
				$program[0] eq 'psql' ? '-f' : (), "$dumps/$file" ], '>', \$out, '2>', \$err)
			or $status = $?;
		$said .= $err;
	}
	is($status, 0, "$way: no error") or diag($said);
	is(scalar(() = $said =~ /WARNING:  usage is not rated/g), $warnings, "$way: $warnings warnings")
		or diag($said);
	unlike($said, qr/ERROR/, "$way: no word of an error");
	is_deeply(sorted_rows($node, 'app'), $before, "$way: all tables and sequences are equal");
	is_right($node, $way, 'app');
	return $node;
}

# What must work in the copy as it would have worked in the original.
sub goes_on
{
	my ($way, $node) = @_;
	my $total = $node->safe_psql('app', q{SELECT quantity FROM billadj.tier_total
		WHERE account = 'k1' AND meter = 'calls' AND period_start = '2026-03-01 00:00+00'});
	my $highest = $node->safe_psql('app', 'SELECT max(charge_id) FROM billadj.charge');

	is($node->safe_psql('app', 'SELECT * FROM billadj.self_check()'),
		$source->safe_psql('app', 'SELECT * FROM billadj.self_check()'), "$way: self_check() says what it said");
	is($node->safe_psql('app', q{SELECT action, object, sql FROM billadj.install()}), '', "$way: install() finds nothing to do");
	sql_ok($node, q{
		INSERT INTO usage_log VALUES (1001, 'k1', 'calls', 30, '2026-03-20'), (1002, 'k2', 'store', 3, '2026-04-02');
		INSERT INTO trip_west VALUES ('west', 1001, 1, '2026-05-03', 200, 3);
		UPDATE usage_log SET quantity = 1 WHERE id = 13;
		DELETE FROM usage_log WHERE id = 23;}, "$way: usage goes on", 'app');
	is_right($node, "$way, with more usage", 'app');
	is($node->safe_psql('app', q{SELECT quantity_before FROM billadj.charge WHERE event_key = '1001' AND account = 'k1' AND meter = 'calls'}),
		$total, "$way: tiers go on from the restored total");
	cmp_ok($node->safe_psql('app', 'SELECT min(charge_id) FROM billadj.charge WHERE event_key = \'1001\''),
		'>', $highest, "$way: charge ids go on");
	is($node->safe_psql('app', q{SELECT count(*) FROM billadj.rating_gap('trip')}), '0', "$way: no gap in the partitioned table");
	return;
}

foreach my $way (
	[ 'custom', 0, [ 'pg_restore', '-e', '-j4', 'custom' ] ],
	[ 'plain', 0, [ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', 'plain' ] ],
	[ 'inserts', 0, [ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', 'inserts' ] ],
	[ 'parts', 3, [ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', 'schema' ], [ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', 'data' ] ])
{
	my $node = restored(@$way);

	goes_on($way->[0], $node);
	$node->stop;
}

# ---- a superuser's own load under row_security = off ----

sub warnings_of
{
	my ($sql) = @_;
	my ($rc, $out, $err) = $source->psql('app', "SET row_security = off; $sql");

	is($rc, 0, "works: $sql");
	return scalar(() = $err =~ /WARNING:/g);
}

my $charges = $source->safe_psql('app', 'SELECT count(*) FROM billadj.charge');
is(warnings_of("INSERT INTO usage_log SELECT n, 'hand', 'calls', 1 FROM generate_series(5001, 5100) AS n"), 1, 'one WARNING a statement');
is(warnings_of('UPDATE usage_log SET quantity = 2 WHERE id BETWEEN 5001 AND 5050'), 1, 'one WARNING an UPDATE');
is(warnings_of('DELETE FROM usage_log WHERE id > 5000'), 1, 'one WARNING a DELETE');
is($source->safe_psql('app', 'SELECT count(*) FROM billadj.charge'), $charges, 'and no charge');
is_right($source, 'after loads by hand', 'app');

# ---- without the library ----

my $files = q{SELECT string_agg(relname || pg_relation_filenode(oid), ' ' ORDER BY relname) FROM pg_class
	WHERE relname IN ('usage_log', 'trip_east', 'trip_west')};
my $ledger = q{SELECT md5(string_agg(t::text, '' ORDER BY t::text)) FROM billadj.charge t
	UNION ALL SELECT md5(string_agg(t::text, '' ORDER BY t::text)) FROM billadj.meter_total t};
my ($rows_before, $files_before, $ledger_before) =
	(sorted_rows($source, 'app'), map { $source->safe_psql('app', $_) } $files, $ledger);

sub host_is_untouched
{
	my ($what) = @_;

	is_deeply(sorted_rows($source, 'app'), $rows_before, "$what: all tables are equal");
	is($source->safe_psql('app', $files), $files_before, "$what: host tables are the same files");
	return;
}

$source->safe_psql('app', 'DROP EXTENSION billadj CASCADE');
host_is_untouched('DROP EXTENSION');
is($source->safe_psql('app', $ledger), $ledger_before, 'the ledger is readable without the library');
is($source->safe_psql('app', q{SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal}), '0', 'no trigger is left');
sql_ok($source, q{INSERT INTO usage_log VALUES (7001, 'k1', 'calls', 9, '2026-03-20')}, 'the host table works on', 'app');

$source->safe_psql('app', 'CREATE EXTENSION billadj');
cmp_ok($source->safe_psql('app', q{SELECT count(*) FROM billadj.install() WHERE action ~ 'guard'}), '>', 10, 'install() makes the guards again');
is($source->safe_psql('app', q{SELECT code, fix_sql FROM billadj.self_check() WHERE severity = 'error' ORDER BY 2}),
	"attachment_lost|SELECT * FROM billadj.resume('public.trip');\nattachment_lost|SELECT * FROM billadj.resume('public.usage_log');",
	'self_check() names what is not attached any more, and the command');
$source->safe_psql('app', $_) foreach split /\n/, $source->safe_psql('app', q{SELECT fix_sql FROM billadj.self_check() WHERE code = 'attachment_lost'});
is($source->safe_psql('app', q{SELECT event_key FROM billadj.rating_gap('usage_log')}), '7001', 'what was written meanwhile is a gap');
$source->safe_psql('app', q{CALL billadj.backfill('usage_log'); INSERT INTO usage_log VALUES (7002, 'k1', 'calls', 9, '2026-03-20')});
is_right($source, 'after the way back', 'app');
is($source->safe_psql('app', q{SELECT count(*) FROM billadj.self_check() WHERE severity <> 'info'}), '0', 'self_check() is content');

$source->stop;
done_testing();
