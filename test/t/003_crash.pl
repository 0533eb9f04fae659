# Sessions write usage while a backend, or the whole server, is killed.  After
# recovery charges = totals = fresh rating of the rows that the host kept, and
# prepared transactions are still there to be decided.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use BilladjTest;

use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

my $seconds = $ENV{LONG} ? 3 : 0.7;
my $rounds = $ENV{LONG} ? 4 : 1;

# initdb's fsync and restart are what a real server has
my $node = new_server('crash', 'fsync = on', 'restart_after_crash = on',
	'checkpoint_timeout = 30s', 'max_wal_size = 64MB');
install_fixture($node);
$node->safe_psql('postgres', 'CREATE SEQUENCE numbers CACHE 100');

# Four sessions' load, a message a statement: a backend notices that its server
# is gone when it waits for the next one.  Keys of few accounts, so that sessions
# wait for one another when the blow falls.
my $script = $node->basedir . '/load.sql';
append_to_file($script, <<'EOS');
\set a random(0, 4)
\set b random(0, 4)
\set n random(1, 20)
\set m random(1, 3)
BEGIN;
INSERT INTO usage_log SELECT nextval('numbers'), 'k' || :a, (ARRAY['calls', 'packs', 'bytes'])[:m], i, '2026-05-15' FROM generate_series(1, :n) AS i;
INSERT INTO usage_log VALUES (nextval('numbers'), 'k' || :b, 'packs', :n, '2026-06-15');
UPDATE usage_log SET quantity = quantity + 1 WHERE id = currval('numbers');
INSERT INTO usage_log SELECT nextval('numbers'), 'k' || i, 'store', :n, '2026-05-15' FROM generate_series(0, :m) AS i;
COMMIT;
EOS

sub start_load
{
	my $run = { out => '', err => '' };

	$run->{handle} = IPC::Run::start(
		[ 'pgbench', '-n', '-c', 4, '-j', 2, '-T', 60, '-f', $script, $node->connstr('postgres') . ' application_name=load' ],
		'<', \undef, '>', \$run->{out}, '2>', \$run->{err}, IPC::Run::timeout(90));
	return $run;
}

# They all end with their connection; nothing else may have gone wrong before.
sub end_load
{
	my ($what, $run) = @_;

	IPC::Run::finish($run->{handle});
	my @strange = grep { /ERROR/ } split /\n/, $run->{err};
	is(join("\n", @strange), '', "$what: no other error");
	return;
}

sub rows
{
	return $node->safe_psql('postgres', 'SELECT count(*) FROM usage_log');
}

# Two transactions that are prepared when the server dies.
sub prepare_two
{
	my ($round) = @_;

	$node->safe_psql('postgres', qq{
		BEGIN;
		INSERT INTO usage_log SELECT nextval('numbers'), 'prepared', meter, 8, '2026-05-15' FROM unnest('{calls,store}'::text[]) AS meter;
		INSERT INTO usage_log VALUES (nextval('numbers'), 'kept', 'calls', 9, '2026-05-15');
		PREPARE TRANSACTION 'kept $round'});
	# keys of its own: it would wait for the other's at PREPARE
	$node->safe_psql('postgres', qq{
		BEGIN;
		INSERT INTO usage_log VALUES (nextval('numbers'), 'dropped', 'calls', 9, '2026-05-15');
		PREPARE TRANSACTION 'dropped $round'});
	return;
}

sub decide_two
{
	my ($what, $round) = @_;
	my $before = rows();

	is($node->safe_psql('postgres', 'SELECT gid FROM pg_prepared_xacts ORDER BY gid'),
		"dropped $round\nkept $round", "$what: both prepared transactions are there");
	is_right($node, "$what, undecided");
	$node->safe_psql('postgres', "COMMIT PREPARED 'kept $round'");
	$node->safe_psql('postgres', "ROLLBACK PREPARED 'dropped $round'");
	is(rows(), $before + 3, "$what: the rows of one came, of the other not");
	is_right($node, "$what, decided");
	return;
}

# ---- the blows ----

sub kill_backend
{
	my $pid = $node->safe_psql('postgres', q{SELECT pid FROM pg_stat_activity
		WHERE application_name = 'load' ORDER BY backend_start LIMIT 1});

	kill 'KILL', $pid;
	return;
}

sub kill_server
{
	$node->kill9;
	unlink $node->data_dir . '/postmaster.pid';
	return;
}

sub stop_immediately
{
	$node->stop('immediate');
	return;
}

# The server is up again, by itself or by us.
sub wait_for_server
{
	my ($started) = @_;

	# Backends that a killed server left keep its memory until they notice.
	# The memory, not the file, tells that they are there: where nobody reaps
	# the dead server the file would say that it lives.
	for (my $try = 0; $started && !$node->start(fail_ok => 1); $try++)
	{
		die 'the server does not start' if $try == 100;
		unlink $node->data_dir . '/postmaster.pid';
		sleep 0.2;
	}
	wait_until_back($node);
	return;
}

foreach my $round (1 .. $rounds)
{
	foreach my $blow (
		[ 'a backend is killed', \&kill_backend, 0 ],
		[ 'stop immediate', \&stop_immediately, 1 ],
		[ 'the server is killed', \&kill_server, 1 ])
	{
		my ($what, $strike, $start) = @$blow;
		my $before = rows();

		prepare_two($round);
		my $run = start_load();
		sleep $seconds + rand 0.3;
		$strike->();
		end_load($what, $run);
		wait_for_server($start);
		cmp_ok(rows(), '>', $before, "$what: there was load");
		decide_two($what, $round);
	}
}

# ---- life goes on ----

sql_ok($node, q{INSERT INTO usage_log SELECT nextval('numbers'), 'k' || n % 5, 'calls', n, '2026-05-15' FROM generate_series(1, 100) AS n},
	'usage goes on');
is_right($node, 'after all');
is($node->safe_psql('postgres', 'SELECT count(*) - count(DISTINCT charge_id) FROM billadj.charge'),
	'0', 'no charge id was given twice');
$node->stop;
done_testing();
