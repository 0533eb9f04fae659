# Fifty sessions at once, each approving 300 on an account of its own, against a
# limit of 1,000 a day: never more than three commit, and exactly three once
# those that met a conflict have tried again.  In every isolation level.  Then
# random acts of several people on few requests: what must never be, never is.
#
# LONG=1 for more rounds; RACE_SEED repeats a run.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use BilladjTest;

use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

my $sessions = 50;
my $seed = $ENV{RACE_SEED} // 20260611;
my $node = new_server('override_race', 'max_connections = 80', 'deadlock_timeout = 200ms',
	'log_lock_waits = off');

note("RACE_SEED=$seed");
install_fixture($node);

# A statement for each session, all let go at the same moment; what each said.
sub at_once
{
	my ($login, $level, @statements) = @_;
	my $gate = $node->background_psql('postgres');
	my @runs;

	$gate->query_safe('SELECT pg_advisory_lock(1)');
	foreach my $statement (@statements)
	{
		my $run = { err => '', out => '' };

		$run->{handle} = IPC::Run::start(
			[ 'psql', '-XqAt', '-v', 'ON_ERROR_STOP=1', '-v', 'VERBOSITY=verbose', '-d', $node->connstr('postgres'),
				'-c', 'SELECT pg_advisory_lock_shared(1)',
				'-c', "SET SESSION AUTHORIZATION $login",
				'-c', "BEGIN ISOLATION LEVEL $level", '-c', $statement, '-c', 'COMMIT' ],
			'<', \undef, '>', \$run->{out}, '2>', \$run->{err});
		push @runs, $run;
	}
	$node->poll_query_until('postgres',
		"SELECT count(*) = " . @statements . " FROM pg_locks WHERE locktype = 'advisory' AND NOT granted");
	$gate->query_safe('SELECT pg_advisory_unlock(1)');
	$gate->quit;
	IPC::Run::finish($_->{handle}) foreach @runs;
	return map { $_->{err} =~ /ERROR:  (\w{5}):/ ? $1 : $_->{err} eq '' ? 'ok' : $_->{err} } @runs;
}

sub tally
{
	my %count;

	$count{$_}++ foreach @_;
	return join ', ', map { "$count{$_} $_" } sort keys %count;
}

sub used
{
	return $node->safe_psql('postgres', q{SELECT coalesce(sum(used + reserved), 0) FROM billadj.limit_usage});
}

sub none_wrong
{
	my ($what) = @_;

	return is($node->safe_psql('postgres', 'SELECT * FROM fixture.wrong_overrides() LIMIT 5'), '', "$what: nothing that must never be");
}

sub approve
{
	my ($id) = @_;

	return "SELECT billadj.approve_override($id, content_hash) FROM billadj.override_request WHERE request_id = $id";
}

# ---- one limit, fifty accounts ----

foreach my $level ('READ COMMITTED', 'REPEATABLE READ', 'SERIALIZABLE')
{
	my @waiting;
	my @answers;
	my $rounds = 0;

	$node->safe_psql('postgres', q{
		SELECT fixture.reset_overrides();
		SET row_security = off;
		UPDATE billadj.authority SET single_limit = 300, period_limit = 1000, period = 'day' WHERE authority_id = 1;
		TRUNCATE billadj.override_request, billadj.override_decision, billadj.limit_usage, billadj.limit_entry RESTART IDENTITY;
		UPDATE billadj.approval_rule SET apply = 'at_once' WHERE kind = 'discount';
		RESET row_security;
		SET SESSION AUTHORIZATION regress_iso_rita;
		SELECT count(billadj.submit_override('discount', 'account-' || n, 'goodwill', delta => -300, currency => 'USD'))
		  FROM generate_series(1, 50) AS n});
	@waiting = 1 .. $sessions;
	while (@waiting && $rounds++ < 60)
	{
		my @now = at_once('regress_iso_mona', $level, map { approve($_) } @waiting);

		cmp_ok(used(), '<=', 1000, "$level, round $rounds: no more than the limit") if $rounds == 1;
		note("$level, round $rounds: " . tally(@now));
		push @answers, grep { $_ !~ /^(40001|40P01|55P03)$/ } @now;
		@waiting = map { $waiting[$_] } grep { $now[$_] =~ /^(40001|40P01|55P03)$/ } 0 .. $#now;
	}
	is(tally(@answers), '47 UB305, 3 ok', "$level: three commit, the others are above the limit");
	is(used(), '900', "$level: what was used is what they approved");
	is($node->safe_psql('postgres', q{SELECT count(*), sum(delta) FROM billadj.adjustment}), '3|-900', "$level: three effects");
	none_wrong($level);
}

# ---- two approvers of one request ----

foreach my $level ('READ COMMITTED', 'REPEATABLE READ', 'SERIALIZABLE')
{
	$node->safe_psql('postgres', 'SELECT fixture.reset_overrides()');
	my @now = at_once('regress_iso_mona', $level, (approve(1)) x 8);

	is(scalar(grep { $_ eq 'ok' } @now), 1, "$level: eight approvals at once, one decision: " . tally(@now));
	is($node->safe_psql('postgres', 'SELECT decisions, stored, state, applied FROM fixture.overrides WHERE id = 1'), '1|1|applied|-15000', "$level: one effect");
	none_wrong($level);
}

# ---- random acts ----

my %login = (
	revise => 'regress_iso_rita', withdraw => 'regress_iso_rita', submit => 'regress_iso_rita', small => 'regress_iso_rita',
	mona => 'regress_iso_mona', lena => 'regress_iso_lena', reject => 'regress_iso_lena',
	apply => 'regress_iso_olga', expire => 'regress_iso_olga');

sub an_act
{
	my ($act, $id) = @_;

	return "UPDATE billadj.override_request SET delta = delta - 100 WHERE request_id = $id" if $act eq 'revise';
	return "SELECT billadj.withdraw_override($id)" if $act eq 'withdraw';
	return "SELECT billadj.submit_override('" . (rand() < 0.5 ? 'credit' : 'discount') . "', 'r" . int(rand 6) . "', 'goodwill', delta => -"
		. (9000 + 5000 * int(rand 4)) . ", currency => 'USD')" if $act eq 'submit';
	return "SELECT billadj.submit_override('credit', 'small" . int(rand 2) . "', 'goodwill', delta => -3000, currency => 'USD')" if $act eq 'small';
	return "SELECT billadj.reject_override($id, content_hash, 'no') FROM billadj.override_request WHERE request_id = $id" if $act eq 'reject';
	return "SELECT billadj.apply_override($id)" if $act eq 'apply';
	return 'SELECT billadj.expire_overrides()' if $act eq 'expire';
	return approve($id);
}

srand($seed);
$node->safe_psql('postgres', q{SELECT fixture.reset_overrides(); SET row_security = off;
	UPDATE billadj.authority SET period_limit = 400000;});
my @acts = (('submit') x 4, ('small') x 2, ('mona') x 5, ('lena') x 4, qw(revise revise withdraw reject apply apply expire));
my @runs;
my $newest = 2;
foreach my $round (1 .. ($ENV{LONG} ? 20 : 2))
{
	foreach my $s (1 .. 8)
	{
		my $run = { err => '', out => '' };
		my $script = $node->basedir . "/acts$s.sql";

		open my $file, '>', $script or die "$script: $!";
		foreach (1 .. 60)
		{
			my $act = $acts[ rand @acts ];
			my $level = ('READ COMMITTED', 'REPEATABLE READ', 'SERIALIZABLE')[ int rand 3 ];

			print {$file} "SET SESSION AUTHORIZATION $login{$act}; BEGIN ISOLATION LEVEL $level;\n",
				an_act($act, 1 + int rand($newest + 20)), ";\n", rand() < 0.9 ? 'COMMIT' : 'ROLLBACK', "; RESET SESSION AUTHORIZATION;\n";
		}
		close $file or die "$script: $!";
		$run->{handle} = IPC::Run::start(
			[ 'psql', '-XqAt', '-v', 'VERBOSITY=verbose', '-d', $node->connstr('postgres'), '-f', $script ],
			'<', \undef, '>', \$run->{out}, '2>', \$run->{err});
		push @runs, $run;
	}
	IPC::Run::finish($_->{handle}) foreach @runs;
	$newest = $node->safe_psql('postgres', 'SELECT max(request_id) FROM billadj.override_request');
}
my @codes = map { $_->{err} =~ /ERROR:  (\w{5}):/g } @runs;
note(tally(@codes));
is(join(' ', grep { !/^(UB3|40001|40P01|42501|55P03)/ } @codes), '', 'random acts: refusals and conflicts, no other error');
note($node->safe_psql('postgres', q{SELECT string_agg(n || ' ' || state, ', ' ORDER BY state) FROM (SELECT state, count(*) AS n FROM billadj.override_request GROUP BY 1) s}));
cmp_ok($node->safe_psql('postgres', 'SELECT count(*) FROM billadj.adjustment'), '>', 5, 'random acts: some were applied');
none_wrong('random acts');
is($node->safe_psql('postgres', q{
	SELECT account, sum(amount) FROM billadj.override_request
	 WHERE state = 'applied' AND decisions = 0 GROUP BY account HAVING sum(amount) > 10000}), '',
	'random acts: what nobody approved stays within the band that needs nobody, account by account');

$node->stop;
done_testing();
