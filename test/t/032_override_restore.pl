# A dump with people, policy, requests in each state, decisions, effects and holds
# comes back equal in a new cluster: its log verifies, against a digest from outside
# too, and what was asked for there is decided here, within the limits of here.
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
my $to_file = 'psql -Xq -v ON_ERROR_STOP=1';

# A session of a login of its own: what it answers, or the code of the refusal.
sub as
{
	my ($node, $login, $sql) = @_;
	my ($rc, $out, $err) =
		$node->psql('app', "\\set VERBOSITY verbose\n$sql;", extra_params => [ '-U', $login ], on_error_die => 0);

	return $err =~ /ERROR:  (\w{5}):/ ? $1 : $err ne '' ? $err : $out;
}

sub ask
{
	my ($node, $account, $delta, $kind) = @_;

	return as($node, 'rita', sprintf q{SELECT billadj.submit_override('%s', '%s', 'goodwill', delta => %s, currency => 'USD', comment => 'words')},
		$kind // 'credit', $account, $delta);
}

sub decide
{
	my ($node, $login, $request, $decision) = @_;

	return as($node, $login, sprintf q{SELECT billadj.decide_override(%1$d, '%2$s', (SELECT content_hash FROM billadj.override_request WHERE request_id = %1$d))},
		$request, $decision // 'approve');
}

sub problems
{
	my ($node, $digest) = @_;

	return $node->safe_psql('app', 'SELECT * FROM billadj.verify_audit(' . ($digest // '') . ') WHERE NOT ok');
}

# ---- a database in the middle of its work ----

$source->safe_psql('postgres', 'CREATE DATABASE app');
install_fixture($source, 'app');
$source->safe_psql('app', q{
	CREATE ROLE rita LOGIN IN ROLE billadj_requester, billadj_approver;
	CREATE ROLE mona LOGIN IN ROLE billadj_approver;
	CREATE ROLE lena LOGIN IN ROLE billadj_approver;
	CREATE ROLE olga LOGIN IN ROLE billadj_operator;
	CREATE ROLE paul LOGIN;
	CREATE ROLE pia LOGIN;
	INSERT INTO billadj.principal (person_key, role_name) SELECT r, r FROM unnest(ARRAY['rita', 'mona', 'lena', 'olga', 'paul', 'pia']) AS r;
	INSERT INTO billadj.authority (principal_id, currency, level, single_limit, period_limit, period, certificate, valid)
	SELECT p.principal_id, 'USD', v.level, v.single, v.total, 'year', v.certificate, '[2020-01-01,)'
	  FROM (VALUES ('mona', 1, 50000, 60000, NULL), ('lena', 2, 100000, NULL, 'sox'), ('rita', 2, 100000, NULL, NULL)) AS v(who, level, single, total, certificate)
	  JOIN billadj.principal p ON p.role_name = v.who;
	INSERT INTO billadj.certification (principal_id, certificate, valid) SELECT principal_id, 'sox', '[2020-01-01,)' FROM billadj.principal WHERE role_name = 'lena';
	INSERT INTO billadj.conflict (person_key, account, valid) VALUES ('mona', 'cousin', '[2020-01-01,)');
	INSERT INTO billadj.reason_code (code) VALUES ('goodwill');
	INSERT INTO billadj.approval_rule (kind, currency, band, step, level, quorum)
	VALUES ('credit', 'USD', '[0,100]', 0, 0, 0), ('credit', 'USD', '(100,20000]', 1, 1, 1), ('credit', 'USD', '(20000,)', 1, 1, 1), ('credit', 'USD', '(20000,)', 2, 2, 1),
	       ('release', 'USD', '[0,)', 1, 1, 1);
	INSERT INTO billadj.approval_rule (kind, currency, band, step, level, quorum, apply) VALUES ('debit', 'USD', '[0,)', 1, 1, 1, 'later');
	GRANT billadj_policy TO paul, pia;
	INSERT INTO usage_log VALUES (1, 'k1', 'calls', 30, '2026-03-20'), (2, 'k2', 'calls', 30, '2026-03-20');
	DO $$ BEGIN PERFORM billadj.maintain(); END $$;
});
my $proposed = as($source, 'paul', q{SELECT billadj.propose_policy('reason_code', '{"op": "insert", "row": {"code": "told", "needs_comment": true}}')});
is(as($source, 'pia', "SELECT billadj.approve_policy($proposed)"), '', 'policy changes by two');

my %request = (
	none => ask($source, 'none', -99), applied => ask($source, 'applied', -15000), open => ask($source, 'open', -15000), half => ask($source, 'half', -21000),
	rejected => ask($source, 'rejected', -15000), withdrawn => ask($source, 'withdrawn', -15000), later => ask($source, 'later', 500, 'debit'),
	interest => ask($source, 'cousin', -15000), limit => ask($source, 'limit', -18000));
is(decide($source, 'mona', $request{applied}), 'applied', 'applied');
is(decide($source, 'mona', $request{half}), 'open', 'one of two');
is(decide($source, 'lena', $request{rejected}, 'reject'), 'rejected', 'rejected');
is(decide($source, 'mona', $request{later}), 'approved', 'approved for later');
is(as($source, 'rita', "SELECT billadj.withdraw_override($request{withdrawn})"), '', 'withdrawn');
my $charge = $source->safe_psql('app', q{SELECT charge_id FROM billadj.charge WHERE account = 'k1' AND meter = 'calls'});
like(as($source, 'rita', "SELECT billadj.hold_charge('k1', $charge, 'odd')"), qr/^\d+$/, 'held');
$request{release} = as($source, 'rita', "SELECT billadj.submit_override('release', 'k1', 'goodwill', charge_id => $charge)");
like(as($source, 'mona', "SELECT billadj.comment_override($request{open}, 'why?')"), qr/^\d+$/, 'a comment');
is($source->safe_psql('app', q{SELECT string_agg(DISTINCT state, ' ' ORDER BY state) FROM billadj.override_request}),
	'applied approved open rejected withdrawn', 'requests in each state');
is(problems($source), '', 'the log is clean');
my $digest = $source->safe_psql('app', 'SELECT quote_literal(billadj.digest())');
my $before = sorted_rows($source, 'app');

my @connect = ('-d', $source->connstr('app'));
command_ok([ 'pg_dump', @connect, '-Fc', '-f', "$dumps/custom" ], 'pg_dump -Fc');
command_ok([ 'pg_dump', @connect, '--inserts', '-f', "$dumps/inserts" ], 'pg_dump --inserts');
command_ok([ 'pg_dump', @connect, '--schema-only', '-f', "$dumps/schema" ], 'pg_dump --schema-only');
command_ok([ 'pg_dump', @connect, '--data-only', '-f', "$dumps/data" ], 'pg_dump --data-only');
my ($roles) = run_command([ 'pg_dumpall', '-d', $source->connstr('postgres'), '--roles-only' ]);

# The superuser of the new cluster is there already.
$roles = join "\n", grep { !/^(?:CREATE|ALTER) ROLE \S*(?:postgres|\Q$ENV{USER}\E)\b/ } split /\n/, $roles if defined $ENV{USER};
$roles = join "\n", grep { !/^(?:CREATE|ALTER) ROLE "?postgres\b/ } split /\n/, $roles;

# ---- restores ----

sub restored
{
	my ($way, @commands) = @_;
	my $node = new_server("restored_$way");
	my ($status, $said) = (0, '');

	$node->safe_psql('postgres', "$roles\nCREATE DATABASE app");
	foreach (@commands)
	{
		my ($out, $err) = ('', '');
		my ($program, $file) = /^(.*) (\S+)$/;

		IPC::Run::run([ split(' ', $program), '-d', $node->connstr('app'), $program =~ /^psql/ ? '-f' : (), "$dumps/$file" ], '>', \$out, '2>', \$err)
			or $status = $?;
		$said .= $err;
	}
	is($status, 0, "$way: no error") or diag($said);
	is_deeply(sorted_rows($node, 'app'), $before, "$way: all tables and sequences are equal");
	return $node;
}

# What is decided in the copy is what would have been decided in the original.
sub is_enforced
{
	my ($way, $node) = @_;
	my %r = %request;

	is(problems($node), '', "$way: the log is clean");
	is(problems($node, $digest), '', "$way: and continues the digest from outside");
	is($node->safe_psql('app', q{SELECT string_agg(DISTINCT code, ' ') FROM billadj.self_check() WHERE code ~ 'guard|policy|principal|security|row_|foreign|extra'}),
		'principal_restored', "$way: self_check() names logins that were bound elsewhere, and nothing else");
	is($node->safe_psql('app', 'SELECT action FROM billadj.install()'), '', "$way: install() finds nothing to do");

	is(decide($node, 'rita', $r{open}), 'UB306', "$way: nobody decides on his own");
	is(decide($node, 'mona', $r{half}), 'UB309', "$way: nobody twice");
	is(decide($node, 'mona', $r{interest}), 'UB307', "$way: nobody with an interest");
	is(decide($node, 'mona', $r{applied}), 'UB310', "$way: what is applied is");
	is(decide($node, 'olga', $r{open}), '42501', "$way: nobody without the group");
	is(decide($node, 'lena', $r{half}), 'applied', "$way: the second of two");
	is(decide($node, 'mona', $r{open}), 'applied', "$way: an open request");
	is(decide($node, 'mona', $r{limit}), 'UB305', "$way: what was used of a limit there is used here");
	is(decide($node, 'lena', $r{limit}), 'applied', "$way: somebody with another limit");
	is(decide($node, 'mona', $r{release}), 'applied', "$way: a held charge");
	is($node->safe_psql('app', "SELECT billable FROM billadj.billed WHERE charge_id = $charge AND adjustment_id IS NULL"), 't', "$way: is billable again");
	like(as($node, 'olga', "SELECT billadj.apply_override($r{later})"), qr/^\d+$/, "$way: what was approved for later");
	like(as($node, 'rita', "SELECT billadj.reverse_override($r{applied}, 'goodwill')"), qr/^\d+$/, "$way: a reversal");
	my $next = ask($node, 'new', -15000);
	cmp_ok($next, '>', $r{release}, "$way: numbers go on");
	is(decide($node, 'lena', $next), 'applied', "$way: a new request");
	like(as($node, 'paul', q{SELECT billadj.propose_policy('reason_code', '{"op": "insert", "row": {"code": "new"}}')}), qr/^\d+$/, "$way: policy is proposed");
	foreach ([ 'DELETE FROM billadj.override_decision', 'UB320' ], [ 'UPDATE billadj.adjustment SET delta = 0', 'UB320' ],
		[ 'UPDATE billadj.authority SET single_limit = 1e9', 'UB328' ], [ 'TRUNCATE billadj.audit_entry', 'UB321' ])
	{
		my ($rc, $out, $err) = $node->psql('app', "\\set VERBOSITY verbose\n$_->[0];");

		like($err, qr/ERROR:  $_->[1]:/, "$way: a superuser's $_->[0]");
	}
	is(problems($node, $digest), '', "$way: and the log is clean after it");
	return;
}

foreach my $way (
	[ 'custom', 'pg_restore -e -j2 custom' ],
	[ 'inserts', "$to_file inserts" ],
	# a superuser's data-only restore: into guarded tables
	[ 'parts', "$to_file schema", "$to_file data" ])
{
	my $node = restored(@$way);

	is_enforced($way->[0], $node);
	$node->stop;
}

# ---- pg_restore --disable-triggers turns ALWAYS into ordinary ----

my $loose = restored('disabled', "$to_file schema", 'pg_restore -e --data-only --disable-triggers custom');
like($loose->safe_psql('app', q{SELECT string_agg(DISTINCT code, ' ') FROM billadj.self_check() WHERE severity = 'error'}), qr/guard_not_always/,
	'disabled: self_check() names guards that are no longer ALWAYS');
$loose->safe_psql('app', $_)
	foreach split /\n/, $loose->safe_psql('app', q{SELECT DISTINCT fix_sql FROM billadj.self_check() WHERE code = 'guard_not_always'});
is_enforced('disabled', $loose);
$loose->stop;

$source->stop;
done_testing();
