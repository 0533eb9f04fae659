# Clients like those of a billing application write usage for long, while
# backends are killed at random and the server crashes three times.  At the end
# charges = totals = fresh rating, and no client was ever refused for a reason
# of ours.  20,000 transactions; with LONG a million.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use BilladjTest;

use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $target = $ENV{ENDURANCE_TRANSACTIONS} // ($ENV{LONG} ? 1_000_000 : 20_000);
my $clients = 8;

# A crash may lose the last commits of all tables alike, which is what is tried.
my $node = new_server('endurance', 'synchronous_commit = off', 'max_wal_size = 2GB',
	'shared_buffers = 256MB', 'checkpoint_timeout = 60s', 'restart_after_crash = on');
install_fixture($node);
$node->safe_psql('postgres', 'CREATE SEQUENCE numbers CACHE 1000');

# What a DBA does whose application changes rows of the open month: without it
# each such statement reads the month's charges.
$node->safe_psql('postgres', 'CREATE INDEX ON billadj.charge (event_key)');

# One transaction in each of these ways; each writes exactly two rows.  A bare
# currval() is volatile, and no index would be used.
my @scripts;
sub script
{
	my ($weight, $text) = @_;
	my $file = $node->basedir . '/load' . @scripts . '.sql';

	append_to_file($file, "\\set a random(1, 200)\n\\set b random_exponential(1, 200, 3)\n\\set n random(1, 30)\n$text");
	push @scripts, '-f', "$file\@$weight";
	return;
}
script(6, q{INSERT INTO usage_log SELECT nextval('numbers'), 'k' || :a, m, :n, '2026-05-15' FROM unnest('{calls,bytes}'::text[]) AS m;
});
script(2, q{BEGIN;
INSERT INTO usage_log VALUES (nextval('numbers'), 'k' || :b, 'calls', :n, '2026-05-15');
INSERT INTO usage_log VALUES (nextval('numbers'), 'k' || :a, 'packs', :n, '2026-06-15');
COMMIT;
});
script(1, q{BEGIN ISOLATION LEVEL SERIALIZABLE;
INSERT INTO usage_log VALUES (nextval('numbers'), 'k' || :b, 'store', :n, '2026-05-15');
SAVEPOINT s;
INSERT INTO usage_log VALUES (nextval('numbers'), 'k' || :a, 'calls', 7, '2026-05-15');
ROLLBACK TO s;
INSERT INTO usage_log VALUES (nextval('numbers'), 'k' || :a, 'calls', :n, '2026-05-15');
COMMIT;
});
script(1, q{BEGIN ISOLATION LEVEL REPEATABLE READ;
INSERT INTO usage_log VALUES (nextval('numbers'), 'k' || :b, 'calls', :n, '2026-05-15');
UPDATE usage_log SET quantity = quantity + 1, meter = 'store' WHERE id = (SELECT currval('numbers'));
INSERT INTO usage_log VALUES (nextval('numbers'), 'k' || :a, 'bytes', :n, '2026-05-15');
COMMIT;
});

# The server may notice only now that a backend of its own was killed, and be
# busy recovering.  What is asked is an argument: written to a psql that has
# given up already it would end this test (SIGPIPE).
sub committed
{
	foreach (1 .. 300)
	{
		my ($out, $err) = ('', '');

		return $out + 0 if IPC::Run::run(
			[ 'psql', '-X', '-A', '-t', '-d', $node->connstr('postgres'), '-c', 'SELECT count(*) / 2 FROM usage_log' ],
			'<', \undef, '>', \$out, '2>', \$err);
		sleep(0.2);
	}
	die 'the server does not come back';
}

my @strange;

# All clients until one after the other has been killed, or the server was.
sub load_until
{
	my ($stop) = @_;
	my ($out, $err) = ('', '');
	my $run = IPC::Run::start(
		[ 'pgbench', '-n', '-c', $clients, '-j', 2, '-T', 3600, @scripts, $node->connstr('postgres') . ' application_name=load' ],
		'<', \undef, '>', \$out, '2>', \$err, IPC::Run::timeout(3700));

	$stop->($run);
	IPC::Run::finish($run);
	push @strange, grep { /ERROR/ } split /\n/, $err;
	return;
}

# SIGKILL of one backend: the others of the server end too, and it recovers.
sub kill_backend
{
	my $pid = $node->safe_psql('postgres', q{SELECT pid FROM pg_stat_activity WHERE application_name = 'load' ORDER BY random() LIMIT 1});

	kill 9, $pid if $pid;
	return;
}

# Gentle ends: a client is gone, the others go on.
sub terminate_some
{
	my ($until) = @_;

	while (time < $until)
	{
		sleep(0.5);
		last if $node->safe_psql('postgres',
			q{SELECT count(pg_terminate_backend(pid)) FROM (SELECT pid FROM pg_stat_activity WHERE application_name = 'load' ORDER BY random() LIMIT 1) s}) == 0;
	}
	return;
}

my $round = 0;
my @crashes = map { $target * $_ / 4 } 1 .. 3;
my $done = 0;
while ($done < $target || @crashes)
{
	my $crash = @crashes && $done >= $crashes[0] ? shift @crashes : undef;

	load_until(sub {
		my ($run) = @_;

		sleep($target > 100_000 ? 15 : 1.5);
		if (defined $crash)
		{
			$node->stop('immediate');
		}
		elsif ($round++ % 2 == 0)
		{
			terminate_some(time + ($target > 100_000 ? 10 : 1));
			$run->kill_kill;
		}
		else
		{
			kill_backend();
		}
	});
	$node->start if defined $crash;
	$done = committed();
	note("$done transactions");
}

is(scalar(@crashes), 0, 'the server crashed three times');
cmp_ok($done, '>=', $target, "$done transactions were committed");
is(join("\n", @strange), '', 'no client was refused for a reason of ours');
is_right($node, "after $done transactions");

my $log = slurp_file($node->logfile);
unlike($log, qr/PANIC|deadlock detected|could not serialize/, 'neither deadlock nor serialization failure in the log');
is($node->safe_psql('postgres', q{SELECT count(*) FROM billadj.rating_gap('usage_log')}), '0', 'no row without its charge');

$node->stop;
done_testing();
