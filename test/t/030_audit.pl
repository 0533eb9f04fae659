# The audit log: what a superuser alters past all guards is found; transactions of
# all kinds leave no hole; dumps verify; a proof is checked without the database.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use BilladjTest;

use Cwd 'abs_path';
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

my $checker = abs_path("$FindBin::RealBin/../../doc/check_proof.pl");
my $node = new_server('audit');
my $base = $node->basedir;

$node->safe_psql('postgres', 'CREATE DATABASE app');
$node->safe_psql('app', 'CREATE EXTENSION btree_gist; CREATE EXTENSION billadj; SELECT billadj.install()');

sub sql { return $node->safe_psql('app', @_); }
sub problems { return sql("SELECT coalesce(chain::text, '') || ' ' || problem FROM billadj.verify_audit($_[0]) WHERE NOT ok ORDER BY chain"); }

# One statement, one transaction: 30 blocks of chain 0, some of them of three
# entries, and one entry a block on the chain of acme.
sql("INSERT INTO billadj.meter (meter) VALUES ('a$_')") foreach 1 .. 10;
sql("INSERT INTO billadj.meter (meter) SELECT 'b$_-' || n FROM generate_series(1, 3) n") foreach 1 .. 10;
sql("UPDATE billadj.meter SET unit = 'u' WHERE meter = 'a$_'") foreach 1 .. 10;
sql("INSERT INTO billadj.account (account) VALUES ('acme')");
sql("UPDATE billadj.account SET peer_group = 'g$_' WHERE account = 'acme'") foreach 1 .. 9;
sql('CREATE TABLE public.old_entry AS SELECT * FROM billadj.audit_entry;
	CREATE TABLE public.old_block AS SELECT * FROM billadj.audit_block;
	CREATE TABLE public.old_chain AS SELECT * FROM billadj.audit_chain');
sql("INSERT INTO billadj.meter (meter) VALUES ('later'); UPDATE billadj.account SET peer_group = 'later' WHERE account = 'acme'");
my $acme = sql("SELECT chain FROM billadj.audit_entry WHERE object = 'account/acme' LIMIT 1");
is(problems(''), '', 'clean before anybody tampers');
is(sql('SELECT count(*) FROM billadj.verify_audit() WHERE ok'), '2', 'one row a chain');
my $digest = sql('SELECT billadj.digest()');
my $given = "'$digest'";

# ---- guards ----

foreach my $table (qw(audit_entry audit_block audit_chain private_text))
{
	foreach my $try ([ "INSERT INTO billadj.$table SELECT * FROM billadj.$table LIMIT 0", 'UB324' ],
		[ "COPY billadj.$table FROM stdin", 'UB324' ],
		[ "UPDATE billadj.$table SET " . ($table eq 'private_text' ? 'body' : $table eq 'audit_entry' ? 'actor' : 'seq') . ' = NULL', 'UB320' ],
		[ "DELETE FROM billadj.$table", 'UB320' ], [ "TRUNCATE billadj.$table", 'UB321' ])
	{
		my ($rc, $out, $err) = $node->psql('app', "\\set VERBOSITY verbose\nSET session_replication_role = replica;\n$try->[0];");

		like($err, qr/ERROR:  $try->[1]/, "superuser, replica mode: $try->[0]");
	}
}
is(problems(''), '', 'still clean');

# ---- tampering ----

# Functions that forge what a careful forger would.
sql(q{
	CREATE FUNCTION forge_leaf(id bigint) RETURNS void LANGUAGE sql AS $$
		UPDATE billadj.audit_entry e SET leaf = billadj.audit_hash('billadj-leaf-v1', e.audit_id, e.chain, e.block_id, e.at, e.actor,
			e.role_name, e.event, e.object, e.account, e.payload) WHERE e.audit_id = id $$;
	CREATE FUNCTION forge_block(c int, s bigint) RETURNS void LANGUAGE sql AS $$
		UPDATE billadj.audit_block b SET hash = billadj.audit_hash('billadj-block-v1', b.chain, b.seq, b.block_id, b.entries, b.root, b.prev, b.at)
		 WHERE b.chain = c AND b.seq = s $$;
	-- the whole chain, from its entries on
	CREATE FUNCTION forge_chain(c int) RETURNS void LANGUAGE plpgsql AS $$
	DECLARE b record; last bytea := decode(repeat('00', 32), 'hex');
	BEGIN
		PERFORM forge_leaf(e.audit_id) FROM billadj.audit_entry e WHERE e.chain = c;
		FOR b IN SELECT * FROM billadj.audit_block WHERE chain = c ORDER BY seq LOOP
			UPDATE billadj.audit_block SET prev = last, root = billadj.merkle_root(ARRAY(SELECT e.leaf FROM billadj.audit_entry e
				WHERE e.chain = c AND e.block_id = b.block_id ORDER BY e.audit_id)) WHERE chain = c AND seq = b.seq;
			PERFORM forge_block(c, b.seq);
			SELECT hash INTO last FROM billadj.audit_block WHERE chain = c AND seq = b.seq;
		END LOOP;
		UPDATE billadj.audit_chain SET hash = last WHERE chain = c;
	END $$;
});
my $single = sql("SELECT min(audit_id) FROM billadj.audit_entry WHERE object = 'meter/a4'");
my $triple = sql("SELECT min(audit_id) FROM billadj.audit_entry WHERE object = 'meter/b4-1'");
my ($seq, $seq3) = map { sql("SELECT b.seq FROM billadj.audit_block b JOIN billadj.audit_entry e USING (chain, block_id) WHERE e.audit_id = $_") }
	$single, $triple;
my $last = sql('SELECT seq FROM billadj.audit_chain WHERE chain = 0');
my $drop_tail = q{DELETE FROM billadj.audit_entry e USING billadj.audit_block b, billadj.audit_chain c
	WHERE e.chain = b.chain AND e.block_id = b.block_id AND c.chain = b.chain AND b.seq > c.seq - 3 AND c.chain = CHAIN;
	DELETE FROM billadj.audit_block b USING billadj.audit_chain c WHERE c.chain = b.chain AND b.seq > c.seq - 3 AND c.chain = CHAIN;
	UPDATE billadj.audit_chain c SET seq = b.seq, hash = b.hash, entries = (SELECT count(*) FROM billadj.audit_entry e WHERE e.chain = c.chain)
	  FROM billadj.audit_block b WHERE c.chain = CHAIN AND b.chain = c.chain AND b.seq = c.seq - 3;};
my $old_copy = join ' ', map { "TRUNCATE billadj.audit_$_; INSERT INTO billadj.audit_$_ SELECT * FROM public.old_$_;" } qw(entry block chain);
my $drop_chain = join ' ', map { "DELETE FROM billadj.audit_$_ WHERE chain = $acme;" } qw(entry block chain);
(my $tail0 = $drop_tail) =~ s/CHAIN/0/g;
(my $tail1 = $drop_tail) =~ s/CHAIN/$acme/g;

# what is done; the first fault that verify_audit() names; the same with the digest, where only that shows it
my @cases = (
	(map { [ "UPDATE billadj.audit_entry SET $_ WHERE audit_id = $single", "0 leaf_mismatch: entry $single is not what was recorded" ] }
		q{payload = payload || ' '}, q{actor = 'somebody'}, q{role_name = 'x'}, q{event = 'delete'}, q{object = 'meter/zz'},
		q{at = at - interval '1 microsecond'}, q{account = 'acme'}, q{leaf = decode(repeat('00', 32), 'hex')}, q{leaf = '\x'}),
	[ "UPDATE billadj.audit_entry SET actor = 'x' WHERE audit_id = $single; SELECT forge_leaf($single)",
		"0 root_mismatch: the entries of block $seq are not those that it sealed" ],
	[ "DELETE FROM billadj.audit_entry WHERE audit_id = $single", "0 block_count_mismatch: block $seq sealed 1 entries, and there are 0" ],
	[ "DELETE FROM billadj.audit_entry WHERE audit_id = $triple + 1", "0 block_count_mismatch: block $seq3 sealed 3 entries, and there are 2" ],
	[ "UPDATE billadj.audit_entry SET audit_id = 900000 + $triple WHERE audit_id = $triple", "0 leaf_mismatch" ],
	[ "UPDATE billadj.audit_entry SET audit_id = 900000 + $triple WHERE audit_id = $triple; SELECT forge_leaf(900000 + $triple)",
		"0 root_mismatch: the entries of block $seq3" ],
	[ "UPDATE billadj.audit_entry a SET payload = b.payload, object = b.object, leaf = b.leaf FROM billadj.audit_entry b
		WHERE a.audit_id IN ($triple, $triple + 1) AND b.audit_id IN ($triple, $triple + 1) AND a.audit_id <> b.audit_id", "0 leaf_mismatch" ],
	[ "UPDATE billadj.audit_entry SET block_id = (SELECT block_id FROM billadj.audit_entry WHERE audit_id = $single - 1) WHERE audit_id = $single;
		SELECT forge_leaf($single)", "0 block_count_mismatch: block " . ($seq - 1) . ' sealed 1 entries, and there are 2' ],
	[ "UPDATE billadj.audit_entry SET chain = $acme WHERE audit_id = $single; SELECT forge_leaf($single)", "0 block_count_mismatch: block $seq" ],
	[ 'TRUNCATE billadj.audit_entry', '0 block_count_mismatch: block 1 ' ],
	[ 'TRUNCATE billadj.audit_block', '0 missing_block: block 1 is gone' ],
	[ 'TRUNCATE billadj.audit_chain', '0 missing_chain: the head of chain 0 is gone' ],
	[ 'TRUNCATE billadj.audit_entry, billadj.audit_block, billadj.audit_chain', 'missing_event', "0 missing_chain: the head of chain 0 is gone, and all its blocks" ],
	(map { [ "UPDATE billadj.audit_block SET $_ WHERE chain = 0 AND seq = $seq", "0 block_mismatch: block $seq is not what was linked" ] }
		q{root = decode(repeat('00', 32), 'hex')}, q{prev = decode(repeat('00', 32), 'hex')}, q{hash = decode(repeat('00', 32), 'hex')},
		q{at = at + interval '1 microsecond'}, 'entries = 2'),
	[ "UPDATE billadj.audit_block SET at = at + interval '1 microsecond' WHERE chain = 0 AND seq = $seq; SELECT forge_block(0, $seq)",
		'0 link_mismatch: block ' . ($seq + 1) . " was linked to another one than block $seq" ],
	[ "UPDATE billadj.audit_block SET at = at + interval '1 microsecond' WHERE chain = 0 AND seq = $last; SELECT forge_block(0, $last)",
		'0 head_mismatch' ],
	[ "DELETE FROM billadj.audit_block WHERE chain = 0 AND seq = $seq", "0 missing_block: block $seq is gone" ],
	[ "DELETE FROM billadj.audit_block WHERE chain = 0 AND seq = $last", "0 missing_block: block $last is gone" ],
	[ "UPDATE billadj.audit_block SET seq = -seq WHERE chain = 0 AND seq IN ($seq, $seq + 1);
		UPDATE billadj.audit_block SET seq = 2 * $seq + 1 + seq WHERE chain = 0 AND seq < 0", "0 block_mismatch: block $seq is" ],
	[ 'DELETE FROM billadj.audit_chain WHERE chain = 0', '0 missing_chain: the head of chain 0 is gone' ],
	[ 'UPDATE billadj.audit_chain SET entries = entries + 1 WHERE chain = 0', '0 head_mismatch' ],
	[ "UPDATE billadj.audit_chain SET seq = seq - 1 WHERE chain = $acme", "$acme head_mismatch" ],
	[ "UPDATE billadj.audit_block SET at = at - interval '1 year' WHERE chain = $acme AND seq = 5; SELECT forge_chain($acme)", "$acme clock_regression" ],
	[ "UPDATE billadj.audit_entry SET at = at + interval '1 year' WHERE audit_id = $single; SELECT forge_chain(0)", "0 clock_regression: entry $single" ],
	[ "UPDATE billadj.audit_entry SET actor = 'x' WHERE chain = $acme AND audit_id = (SELECT min(audit_id) FROM billadj.audit_entry WHERE chain = $acme);
		SELECT forge_chain($acme)", '', "$acme anchor_mismatch: block 11 is not the one of the digest" ],
	[ "UPDATE billadj.audit_entry SET chain = 99 WHERE audit_id = $single; UPDATE billadj.audit_block SET chain = 99 WHERE chain = 0 AND seq = $seq;",
		"0 missing_block: block $seq is gone" ],
	[ $tail1, "$acme row_mismatch: account/acme", "$acme behind_anchor: the digest has block 11, the chain ends at 8" ],
	[ "$tail0 DELETE FROM billadj.meter WHERE meter = 'later'; UPDATE billadj.meter SET unit = NULL WHERE meter IN ('a9', 'a10')", '',
		"0 behind_anchor: the digest has block $last, the chain ends at " . ($last - 3) ],
	[ "$drop_chain DELETE FROM billadj.account", '', "$acme missing_chain: the head of chain $acme is gone, and all its blocks" ],
	[ "$old_copy DELETE FROM billadj.meter WHERE meter = 'later'; UPDATE billadj.account SET peer_group = 'g9'", '',
		"0 behind_anchor: the digest has block $last, the chain ends at " . ($last - 1) ],
	[ "UPDATE billadj.meter SET unit = 'x' WHERE meter = 'a1'", '0 row_mismatch: meter/a1 is not what entry' ],
	[ "DELETE FROM billadj.meter WHERE meter = 'a1'", '0 missing_row: meter/a1 is gone, and no entry says so' ],
	[ "INSERT INTO billadj.meter (meter) VALUES ('sneaked')", 'missing_event: meter/sneaked is in no entry' ],
	[ "INSERT INTO billadj.private_text VALUES (77, 'x', 'y')", 'missing_event: private_text/77 is in no entry' ],
	[ q{INSERT INTO billadj.adjustment SELECT (jsonb_populate_record(NULL::billadj.adjustment, '{"account": "acme", "adjustment_id": 1, "request_id": 1,
		"period_start": "2026-01-01", "posted_period_start": "2026-01-01", "delta": -1, "currency": "USD", "cause": "credit", "affects": "billed",
		"applied_by": "x", "applied_at": "2026-01-01"}')).*}, 'orphan_effect: adjustment/1 is in no entry' ]);

foreach my $case (@cases)
{
	my ($do, $plain, $anchored) = @$case;
	my $verify = sub { return "SELECT coalesce(chain::text || ' ', '') || problem FROM billadj.verify_audit($_[0]) WHERE NOT ok ORDER BY chain NULLS LAST;" };
	my $found = sql("BEGIN; SET LOCAL row_security = off; $do; SET LOCAL row_security = on; SELECT '--';" . $verify->('') . q{SELECT '--';} . $verify->($given) . ' ROLLBACK;');
	my (undef, $without, $with) = split /^--\n?/m, $found;
	my $name = substr $do =~ s/\s+/ /gr, 0, 100;

	$without =~ s/\n\z//;
	$plain eq '' ? is($without, '', "shows only beside the digest: $name") : like($without, qr/^\Q$plain\E/m, "found: $name");
	like($with, qr/^\Q$anchored\E/m, "found by the digest: $name") if defined $anchored;
}
is(problems($given), '', 'and after all these were rolled back, nothing');

# ---- digests ----

foreach my $change (q{'{hash}', '"00"'}, q{'{entries}', '1'}, q{'{heads,0,seq}', '1'}, q{'{at}', '"2020-01-01T00:00:00.000000Z"'}, q{'{heads}', '[]'})
{
	my ($rc, $out, $err) = $node->psql('app', "\\set VERBOSITY verbose\nSELECT * FROM billadj.verify_audit(jsonb_set('$digest', $change))");

	like($err, qr/UB330/, "an altered digest is refused: $change");
}
sql('CREATE ROLE audrey LOGIN IN ROLE billadj_auditor; CREATE ROLE olaf LOGIN');
is($node->safe_psql('app', "SELECT billadj.anchor_ack('$digest', 'receipt 1', 's3://worm/1')", extra_params => [ '-U', 'audrey' ]), '1', 'an auditor acknowledges');
is($node->safe_psql('app', q{SELECT created_by, location FROM billadj.audit_anchor}, extra_params => [ '-U', 'audrey' ]), 'audrey|s3://worm/1', 'and reads it');
is($node->safe_psql('app', q{SELECT billadj.digest()->>'previous'}, extra_params => [ '-U', 'audrey' ]), sql("SELECT '$digest'::jsonb->>'hash'"), 'digests form a chain');
like(($node->psql('app', 'SELECT billadj.digest()', extra_params => [ '-U', 'olaf' ]))[2], qr/permission denied/, 'nobody else makes digests');
is($node->safe_psql('app', 'SELECT count(*) FROM billadj.verify_audit() WHERE NOT ok', extra_params => [ '-U', 'audrey' ]), '0', 'an auditor verifies');

# ---- proofs ----

sub checked
{
	my ($proof, @digest) = @_;
	my ($out, $err) = ('', '');

	PostgreSQL::Test::Utils::append_to_file("$base/proof.json", '');
	open my $to, '>:raw', "$base/proof.json" or die $!;
	print $to $proof;
	close $to;
	IPC::Run::run([ $^X, $checker, "$base/proof.json", @digest ], '>', \$out, '2>', \$err);
	return $out . $err;
}

sub write_file { open my $to, '>:raw', $_[0] or die $!; print $to $_[1]; close $to; return $_[0]; }

my $kept = write_file("$base/digest.json", $digest);
foreach my $id ($single, $triple, $triple + 1, $triple + 2, 1, 5)
{
	like(checked(sql("SELECT billadj.prove($id)"), $kept), qr/^proven by digest \w+ of .*^payload /ms, "entry $id is proven by the digest that was kept");
}
my $proof = sql("SELECT billadj.prove($triple + 1)");
foreach my $path ((map { "{entry,$_}" } qw(audit_id chain block_id at actor role_name event object account payload)),
	(map { "{path,0,$_}" } qw(side hash)), (map { ("{blocks,0,$_}", "{blocks,1,$_}") } qw(seq block_id entries root prev at)),
	(map { "{digest,$_}" } qw(instance system_id database at lsn entries root previous hash)), (map { "{digest,heads,0,$_}" } qw(seq entries hash chain)))
{
	my $altered = sql(qq{SELECT jsonb_set(p, '$path', CASE
		WHEN jsonb_typeof(p #> '$path') = 'number' THEN to_jsonb((p #>> '$path')::bigint + 1)
		WHEN p #>> '$path' ~ '^(left|right)\$' THEN to_jsonb(translate(p #>> '$path', 'lefrigh', 'righlef'))
		WHEN p #>> '$path' ~ '^\\d{4}-' THEN to_jsonb(replace(p #>> '$path', 'T', 'T1')::text)
		WHEN p #>> '$path' ~ '^[0-9a-f]{64}\$' THEN to_jsonb(translate(p #>> '$path', '0123456789abcdef', '1234567890bcdefa'))
		ELSE to_jsonb(coalesce(p #>> '$path', '') || 'x') END) FROM (SELECT billadj.prove($triple + 1) AS p) s});

	like(checked($altered, $kept), qr/^not proven/, "not proven once $path is altered");
}
like(checked($proof, write_file("$base/other.json", sql('SELECT billadj.digest()'))), qr/not the one that was kept/, 'nor by another digest');

# ---- transactions of all kinds ----

sub grown
{
	my ($what, $entries, $blocks, $sql) = @_;
	my $count = q{SELECT (SELECT count(*) FROM billadj.audit_entry) || ' ' || (SELECT count(*) FROM billadj.audit_block)};
	my ($e, $b) = split / /, sql($count);

	$node->psql('app', $sql);
	is(sql($count), join(' ', $e + $entries, $b + $blocks), "$what: $entries entries, $blocks blocks");
	is(problems(''), '', "$what: no hole");
	return;
}

my $n = 0;
sub meter { $n++; return "INSERT INTO billadj.meter (meter) VALUES ('t$n');"; }
sub account { $n++; return "INSERT INTO billadj.account (account) VALUES ('t$n');"; }

grown('rollback', 0, 0, 'BEGIN;' . meter() . account() . 'ROLLBACK;');
grown('savepoint rolled back', 2, 1, 'BEGIN;' . meter() . 'SAVEPOINT s;' . meter() . meter() . 'ROLLBACK TO s;' . meter() . 'COMMIT;');
grown('only what was rolled back', 0, 0, 'BEGIN; SAVEPOINT s;' . meter() . 'ROLLBACK TO s; COMMIT;');
grown('the first of a block rolled back', 1, 1, 'BEGIN; SAVEPOINT s;' . meter() . 'ROLLBACK TO s;' . meter() . 'COMMIT;');
grown('nested, released', 4, 1, 'BEGIN;' . meter() . 'SAVEPOINT a;' . meter() . 'SAVEPOINT b;' . meter() . 'RELEASE b;' . meter() . 'RELEASE a; COMMIT;');
grown('nested, released into one rolled back', 1, 1, 'BEGIN;' . meter() . 'SAVEPOINT a;' . meter() . 'SAVEPOINT b;' . meter() . 'RELEASE b; ROLLBACK TO a; COMMIT;');
grown('exceptions', 1, 1, "DO \$\$ BEGIN BEGIN INSERT INTO billadj.meter (meter) VALUES ('ex'); RAISE 'no'; EXCEPTION WHEN OTHERS THEN INSERT INTO billadj.meter (meter) VALUES ('ey'); END; END \$\$;");
grown('procedure that commits', 2, 2, "DO \$\$ BEGIN INSERT INTO billadj.meter (meter) VALUES ('p1'); COMMIT; INSERT INTO billadj.meter (meter) VALUES ('p2'); END \$\$;");
grown('prepared', 0, 0, 'BEGIN;' . meter() . q{PREPARE TRANSACTION 'x';});
like(($node->psql('app', '\set VERBOSITY sqlstate' . "\nBEGIN;" . meter() . q{PREPARE TRANSACTION 'y';}))[2], qr/UB323/, 'prepared: refused');
is(sql('SELECT count(*) FROM pg_prepared_xacts'), '0', 'prepared: nothing is left');
grown('prepared after a rollback', 0, 0, 'BEGIN; SAVEPOINT s;' . meter() . q{ROLLBACK TO s; PREPARE TRANSACTION 'x'; COMMIT PREPARED 'x';});
grown('a set role at commit', 1, 1, 'BEGIN;' . meter() . 'SET LOCAL ROLE olaf; COMMIT;');
grown('a read-only end', 1, 1, 'BEGIN;' . meter() . 'SET TRANSACTION READ ONLY; COMMIT;');
grown('nothing changed', 0, 0, q{UPDATE billadj.meter SET unit = unit});
grown('settings of the session', 1, 1, q{SET datestyle = 'German'; SET timezone = 'Asia/Tokyo'; SET intervalstyle = 'sql_standard'; SET bytea_output = 'escape';
	SET search_path = 'none'; INSERT INTO billadj.instance (time_zone, close_after) VALUES ('Asia/Tokyo', '1 mon 3 days 02:00');});
like(sql(q{SELECT payload FROM billadj.audit_entry WHERE object = 'instance/1'}),
	qr/^\{"charges_from":null,"close_after":"P1M3DT2H","created_at":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z","created_by":"\w+","currency":null,"instance_id":1,.*"time_zone":"Asia\/Tokyo"\}$/,
	'and the entry is the same whatever they are');

# ---- several at once ----

foreach my $level ('read committed', 'repeatable read', 'serializable')
{
	my $name = $level =~ s/ //r;
	my $blocks = sql('SELECT count(*) FROM billadj.audit_block');

	$node->pgbench("-n -c 4 -j 2 -t 50 --max-tries=1 app", 0, [qr/processed: 200\/200/], [qr/^$/],
		"four sessions, $level", { "audit_$name" => "BEGIN ISOLATION LEVEL $level;\nSELECT 1;\n"
			. "INSERT INTO billadj.meter (meter) VALUES (gen_random_uuid());\nINSERT INTO billadj.account (account) VALUES ('c' || gen_random_uuid());\nCOMMIT;\n" });
	is(sql('SELECT count(*) FROM billadj.audit_block') - $blocks, 400, "$level: nobody failed, a block for each chain of each");
	is(problems($given), '', "$level: verified");
}

# ---- dumps ----

my $then = sql('SELECT billadj.digest()');
IPC::Run::run([ 'pg_dump', '-Fc', '-f', "$base/custom", $node->connstr('app') ]) or die;
IPC::Run::run([ 'pg_dump', '--section=pre-data', '--section=post-data', '-f', "$base/schema", $node->connstr('app') ]) or die;
IPC::Run::run([ 'pg_dump', '--data-only', '-f', "$base/data", $node->connstr('app') ]) or die;
foreach my $way ([ 'custom', [ 'pg_restore', '-e', '-j4' ] ], [ 'parts', [ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1' ] ])
{
	my ($name, $program) = @$way;
	my $copy = new_server("copy_$name");
	my $err = '';

	$copy->safe_psql('postgres', 'CREATE DATABASE app');
	foreach my $file ($name eq 'custom' ? 'custom' : ('schema', 'data'))
	{
		IPC::Run::run([ @$program, '-d', $copy->connstr('app'), $name eq 'custom' ? () : '-f', "$base/$file" ], '>', '/dev/null', '2>>', \$err)
			or fail("$name: restore of $file: $err");
	}
	is($copy->safe_psql('app', "SELECT * FROM billadj.verify_audit('$then') WHERE NOT ok"), '', "$name: verified against the digest of the original");
	is($copy->safe_psql('app', q{SELECT count(*) FROM billadj.audit_entry}), sql('SELECT count(*) FROM billadj.audit_entry'), "$name: all entries, none more");
	$copy->safe_psql('app', q{INSERT INTO billadj.meter (meter) VALUES ('after the restore')});
	is($copy->safe_psql('app', "SELECT * FROM billadj.verify_audit('$then') WHERE NOT ok"), '', "$name: and the chains go on");
	$copy->stop;
}

# ---- an entry that no block seals ----

sql(q{SET row_security = off; INSERT INTO billadj.audit_entry SELECT 990000, 0, 990000, now(), 'x', 'x', 'x', 'x/1', NULL, '{}', ''; SELECT forge_leaf(990000)});
is(problems(''), '0 unsealed_row: no block seals entry 990000', 'an entry that was added by hand');

$node->stop;
done_testing();
