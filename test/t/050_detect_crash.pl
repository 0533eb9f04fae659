# Sessions write usage while a backend, or the whole server, is killed.  After
# recovery every committed row is in its stream's baseline, no other is, and a
# prepared transaction's rows come with its decision.
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

my $node = new_server('detect_crash', 'fsync = on', 'restart_after_crash = on',
	'checkpoint_timeout = 30s', 'max_wal_size = 64MB');
install_fixture($node);
$node->safe_psql('postgres', 'CREATE SEQUENCE numbers CACHE 1');

# A stream for each session, in time order, so that none of its rows is late or
# repeats another; and one that all of them feed within its minutes of grace.
my $script = $node->basedir . '/load.sql';
append_to_file($script, <<'EOS');
\set n random(1, 5)
BEGIN;
INSERT INTO usage_log SELECT nextval('numbers'), 'own' || :client_id, 'bytes', i * 1000 + currval('numbers'),
    timestamptz '2026-05-01' + currval('numbers') * interval '1 second' FROM generate_series(1, :n) AS i;
SAVEPOINT a;
INSERT INTO usage_log VALUES (nextval('numbers'), 'own' || :client_id, 'bytes', 7, '2026-05-31');
ROLLBACK TO a;
INSERT INTO usage_log VALUES (nextval('numbers'), 'all', 'calls', currval('numbers'), '2026-05-15 12:00+00');
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

# Rows of the host, and rows that the baselines of the sessions' streams have.
my $learned = q{
	SELECT count(*) || ' of ' || (SELECT sum(r.rows) FROM billadj.stream_states() b, billadj.read_baseline(b.account, b.meter, b.state) r
	                               WHERE b.account ~ '^own' OR b.account = 'prepared')
	  FROM usage_log WHERE customer ~ '^own' OR customer = 'prepared'};

sub is_learned
{
	my ($what) = @_;
	my ($rows, $seen) = $node->safe_psql('postgres', $learned) =~ /^(\d+) of (\d+)$/;

	is($seen, $rows, "$what: each row was learned once");
	# 64 fingerprints of 16 bits: one in a thousand looks like a repetition
	is($node->safe_psql('postgres', q{
		SELECT r.rows BETWEEN 0.98 * u.n - 3 AND u.n
		  FROM billadj.stream_states() b, billadj.read_baseline(b.account, b.meter, b.state) r,
		       (SELECT count(*) AS n FROM usage_log WHERE customer = 'all') u
		 WHERE b.account = 'all'}), 't', "$what: nothing is lost of a stream that all feed");
	is($node->safe_psql('postgres', q{
		SELECT count(*) FROM (SELECT FROM billadj.anomaly WHERE closed_at IS NULL AND family <> 'row'
		                       GROUP BY account, meter, family HAVING count(*) > 1) x}), '0', "$what: one open incident a stream and family");
	is_right($node, $what);
	return $rows;
}

my $rows = 0;
foreach my $blow ([ 'a backend is killed', 0 ], [ 'the server is killed', 1 ])
{
	my ($what, $whole) = @$blow;
	my $run = start_load();

	sleep $seconds + rand 0.3;
	$node->safe_psql('postgres', qq{
		BEGIN;
		INSERT INTO usage_log SELECT nextval('numbers'), 'prepared', 'bytes', i, timestamptz '2026-05-01' + currval('numbers') * interval '1 second'
		  FROM generate_series(1, 3) AS i;
		PREPARE TRANSACTION 'later $whole'});
	if ($whole)
	{
		$node->kill9;
		unlink $node->data_dir . '/postmaster.pid';
	}
	else
	{
		kill 'KILL', $node->safe_psql('postgres', q{SELECT pid FROM pg_stat_activity
			WHERE application_name = 'load' ORDER BY backend_start LIMIT 1});
	}
	IPC::Run::finish($run->{handle});
	is(join("\n", grep { /ERROR/ } split /\n/, $run->{err}), '', "$what: no other error");
	for (my $try = 0; $whole && !$node->start(fail_ok => 1); $try++)
	{
		die 'the server does not start' if $try == 100;
		unlink $node->data_dir . '/postmaster.pid';
		sleep 0.2;
	}
	wait_until_back($node);
	my $now = is_learned($what);
	cmp_ok($now, '>', $rows, "$what: there was load");
	$node->safe_psql('postgres', "COMMIT PREPARED 'later $whole'");
	$rows = is_learned("$what, decided");
	is($rows, $now + 3, "$what: the prepared rows came");
}

$node->stop;
done_testing();
