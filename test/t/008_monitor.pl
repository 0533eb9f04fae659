# The alerts of doc/operations.md: silent while all is well, and each of them
# rings for what it is for.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use BilladjTest;

use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

my $page = slurp_file('doc/operations.md');
my %alert;
while ($page =~ /^```sql alert (\w+)\n(.*?);\n```\n/msg)
{
	my ($name, $sql) = ($1, $2);

	$alert{$name} = $sql =~ s/shop\.usage_event/public.usage_log/r;
}
my @names = sort keys %alert;
is("@names", 'anomaly backfill gap outbox overrides parked prepared self_check switch triggers waits', 'these are the alerts');

my $node = new_server('monitor', "timezone = 'UTC'");
install_fixture($node);
$node->safe_psql('postgres', q{
	CREATE ROLE watcher LOGIN IN ROLE billadj_operator, pg_monitor;
	DO $$ BEGIN PERFORM billadj.maintain(); END $$;
	INSERT INTO usage_log VALUES (1, 'a', 'store', 1), (2, 'b', 'store', 1), (3, 'c', 'bytes', 1);
	-- the watcher need not own the host's table
	GRANT SELECT ON usage_log TO watcher;
	DO $$ BEGIN PERFORM billadj.maintain(); END $$;});

# What an alert says to the watcher.
sub rings
{
	my ($name) = @_;
	my ($rc, $out, $err) = $node->psql('postgres', "SET SESSION AUTHORIZATION watcher; $alert{$name}");

	is("$rc $err", '0 ', "$name runs") if $rc != 0 || $err ne '';
	return $out;
}

sub silent
{
	my ($when) = @_;

	is(join("\n", grep { $_ ne '' } map { rings($_) } @_ > 1 ? @_[ 1 .. $#_ ] : @names), '', "silent: $when");
	return;
}

# Makes it ring, and then not.
sub rings_for
{
	my ($name, $what, $break, $like, $mend) = @_;

	$node->safe_psql('postgres', $break);
	like(rings($name), $like, "$name rings: $what");
	$node->safe_psql('postgres', $mend);
	is(rings($name), '', "$name is silent again: $what");
	return;
}

# The server of the test may be older than self_check() likes.
$alert{self_check} =~ s/(severity <> 'info')/$1 AND code <> 'server_old'/;
silent('all is well');

rings_for('triggers', 'disabled', 'ALTER TABLE usage_log DISABLE TRIGGER billadj_insert', qr/^public\.usage_log\|active\|0\|1$/,
	'ALTER TABLE usage_log ENABLE TRIGGER billadj_insert');
rings_for('triggers', 'dropped', 'DROP TRIGGER billadj_delete ON usage_log', qr/^public\.usage_log\|active\|1\|0$/,
	q{DO $$ BEGIN PERFORM billadj.resume('usage_log'); END $$});
rings_for('triggers', 'paused', q{DO $$ BEGIN PERFORM billadj.pause('usage_log'); END $$}, qr/paused/,
	q{DO $$ BEGIN PERFORM billadj.resume('usage_log'); END $$});
rings_for('self_check', 'a trigger is missing', 'DROP TRIGGER billadj_delete ON usage_log', qr/attach_trigger_missing/,
	q{DO $$ BEGIN PERFORM billadj.resume('usage_log'); END $$});
rings_for('switch', 'for the database', 'ALTER DATABASE postgres SET billadj.enabled = off', qr/billadj\.enabled=off/,
	'ALTER DATABASE postgres RESET billadj.enabled');
rings_for('gap', 'unrated rows', q{SET billadj.enabled = off; INSERT INTO usage_log VALUES (4, 'a', 'calls', 1)}, qr/^a\|4\|/,
	q{CALL billadj.backfill('usage_log')});
# As a superuser may: the clock cannot be turned.
rings_for('parked', 'for an hour', q{INSERT INTO usage_log VALUES (5, 'a', 'fax', 1);
	UPDATE billadj.parked_usage SET parked_at = now() - interval '1 hour'}, qr/^public\.usage_log\|1\|\{"UB006": 1\}\|01:00/,
	q{DELETE FROM usage_log WHERE id = 5});
rings_for('backfill', 'interrupted', q{SELECT billadj.backfill_begin(attachment_id, 'usage_log') FROM billadj.attachment;
	UPDATE billadj.backfill_progress SET updated_at = now() - interval '1 hour'}, qr/^public\.usage_log\|\d+\|/,
	q{CALL billadj.backfill('usage_log')});

# Usage of next week is unusual in itself; a verdict ends it.
rings_for('anomaly', 'usage of the future', q{INSERT INTO usage_log VALUES (6, 'a', 'store', 40, now() + interval '7 days')},
	qr/^a\|store\|future\|80\|USD\|f$/,
	q{INSERT INTO billadj.verdict (account, anomaly_id, verdict) SELECT account, anomaly_id, 'expected' FROM billadj.anomaly;
	DELETE FROM usage_log WHERE id = 6});

# Three hours to decide: it is near its deadline at once, and somebody is told.
$alert{outbox} =~ s/1 hour/0 s/;
$node->safe_psql('postgres', q{
	CREATE ROLE asks LOGIN IN ROLE billadj_requester;
	CREATE ROLE decides LOGIN IN ROLE billadj_approver;
	INSERT INTO billadj.principal (person_key, role_name) VALUES ('p1', 'asks'), ('p2', 'decides');
	INSERT INTO billadj.authority (principal_id, currency, level, single_limit, valid)
	SELECT principal_id, 'USD', 1, 1000, '[2020-01-01,)' FROM billadj.principal WHERE role_name = 'decides';
	INSERT INTO billadj.approval_rule (kind, currency, band, step, level, quorum, decide_within) VALUES ('credit', 'USD', '[0,)', 1, 1, 1, '3 hours');
	INSERT INTO billadj.reason_code (code, description) VALUES ('error', 'our mistake')});
$node->safe_psql('postgres', q{SET SESSION AUTHORIZATION asks;
	SELECT billadj.submit_override('credit', 'a', 'error', delta => -5, currency => 'USD')});
like(rings('overrides'), qr/^1\|a\|credit\|-5\|USD\|open\|.*\|1$/, 'overrides rings: nobody has decided');
like(rings('outbox'), qr/^decision_awaited\|1\|/m, 'outbox rings: nobody was told');
$node->safe_psql('postgres', q{SET SESSION AUTHORIZATION asks; SELECT billadj.withdraw_override(1)});
is(rings('overrides'), '', 'overrides is silent again');
$node->safe_psql('postgres', q{SET SESSION AUTHORIZATION watcher; UPDATE billadj.outbox SET sent_at = now()});
is(rings('outbox'), '', 'outbox is silent again');

# ---- who waits for whom ----

$alert{prepared} =~ s/1 minute/0 s/;
$alert{waits} =~ s/2 seconds/0 s/;

# A session that runs this and is waited for later.
sub session
{
	my ($name, $sql) = @_;
	my %s = (out => '', err => '');
	my $file = $node->basedir . "/$name.sql";

	# from a file, so that each statement is one
	open my $handle, '>', $file or die "$file: $!";
	print $handle $sql;
	close $handle or die "$file: $!";
	$s{run} = IPC::Run::start([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres') . " application_name=$name", '-f', $file ],
		'<', \undef, '>', \$s{out}, '2>', \$s{err});
	return \%s;
}

sub ends_well
{
	my ($s, $what) = @_;

	IPC::Run::finish($s->{run});
	is($s->{err}, '', $what);
	return;
}

sub waiting
{
	my ($n) = @_;

	ok($node->poll_query_until('postgres', "SELECT count(*) = $n FROM billadj.settle_waits"), "$n wait");
	return;
}

my $waits = q{SELECT application_name, account, meter, period_start, waiting_since <= clock_timestamp(), blocked_by_prepared, login, left(query, 6),
	(SELECT string_agg(s.application_name, ' ') FROM pg_stat_activity s WHERE s.pid = ANY (w.blocked_by))
	FROM billadj.settle_waits w ORDER BY 1};

# A total that exists: the holder is prepared, one waits for it, one for that one.
# With anomaly detection it would be their baselines, which are locked first.
$node->safe_psql('postgres', q{SELECT count(*) FROM billadj.remap('usage_log', detect => false)});
$node->safe_psql('postgres', q{BEGIN; INSERT INTO usage_log VALUES (10, 'b', 'store', 1); PREPARE TRANSACTION 'kept'});
like(rings('prepared'), qr/^kept\|\w+\|.*\|ROLLBACK PREPARED 'kept';$/, 'prepared rings');
my $first = session('first', q{INSERT INTO usage_log VALUES (20, 'a', 'store', 1), (21, 'b', 'store', 1);});
waiting(1);
my $second = session('second', q{INSERT INTO usage_log VALUES (30, 'a', 'store', 1);});
waiting(2);
is($node->safe_psql('postgres', "SET SESSION AUTHORIZATION watcher; $waits") =~ s/\|[^|]+\|(?=INSERT)/|login|/gr,
	"first|b|store|2026-05-01 00:00:00+00|t|t|login|INSERT|\nsecond|a|store|2026-05-01 00:00:00+00|t|f|login|INSERT|first",
	'the total, and who is in the way');
like(rings('waits'), qr/^b\|store\|1\|.*\{0\}$/m, 'waits rings: a prepared transaction is in the way');
like(rings('waits'), qr/^a\|store\|1\|.*\{\d\d+\}$/m, 'waits rings: a session is in the way');
$node->safe_psql('postgres', q{COMMIT PREPARED 'kept'});
ends_well($first, 'the first commits');
ends_well($second, 'the second commits');
silent('nobody waits', 'waits', 'prepared');

# One that is being made: no row of it can be seen.
$node->safe_psql('postgres', q{BEGIN; INSERT INTO usage_log VALUES (40, 'new', 'store', 1); PREPARE TRANSACTION 'kept'});
$first = session('first', q{BEGIN; INSERT INTO usage_log VALUES (41, 'new', 'store', 1); COMMIT;});
waiting(1);
like($node->safe_psql('postgres', $waits), qr/^first\|\|\|\|t\|t\|\w+\|COMMIT\|$/, 'a total that is being made has no name');
$node->safe_psql('postgres', q{ROLLBACK PREPARED 'kept'});
ends_well($first, 'it commits');

# What is usual is waited for under a linear price too, and has no period.
$node->safe_psql('postgres', q{SELECT count(*) FROM billadj.remap('usage_log', detect => true)});
$node->safe_psql('postgres', q{INSERT INTO usage_log VALUES (44, 'd', 'bytes', 1, now());
	BEGIN; INSERT INTO usage_log VALUES (45, 'd', 'bytes', 1, now()); PREPARE TRANSACTION 'kept'});
like(rings('prepared'), qr/^kept\|/, 'prepared rings: a baseline');
$first = session('first', q{INSERT INTO usage_log VALUES (46, 'd', 'bytes', 1, now());});
waiting(1);
like($node->safe_psql('postgres', $waits), qr/^first\|d\|bytes\|\|t\|t\|\w+\|INSERT\|$/, 'a baseline is named, without a period');
$node->safe_psql('postgres', q{ROLLBACK PREPARED 'kept'});
ends_well($first, 'it commits');

# So it is where rows come as they please, and are judged by the hour.
$node->safe_psql('postgres', q{INSERT INTO usage_log SELECT 1000 + n, 'h', 'bytes', 1 + (hashtext('q' || n) & 1023) % 90,
	date_trunc('hour', now()) - interval '10 days' + n * interval '10 minutes' + (hashtext('t' || n) & 1023) % 29 * interval '1 minute' + n % 60 * interval '1 second'
	FROM generate_series(0, 1430) AS n});
is($node->safe_psql('postgres', q{SELECT account, meter FROM billadj.open_bucket WHERE account = 'h'}), 'h|bytes', 'an hour is open');
$node->safe_psql('postgres', q{BEGIN; INSERT INTO usage_log VALUES (3000, 'h', 'bytes', 1, now()); PREPARE TRANSACTION 'kept'});
like(rings('prepared'), qr/^kept\|/, 'prepared rings: an open hour');
$first = session('first', q{INSERT INTO usage_log VALUES (3001, 'h', 'bytes', 1, now());});
waiting(1);
like($node->safe_psql('postgres', $waits), qr/^first\|h\|bytes\|\|t\|t\|\w+\|INSERT\|$/, 'an open hour is named');
$node->safe_psql('postgres', q{ROLLBACK PREPARED 'kept'});
ends_well($first, 'it commits');

# Waiting for a row of the host is not our business.
$node->safe_psql('postgres', q{BEGIN; UPDATE usage_log SET quantity = 7 WHERE id = 3; PREPARE TRANSACTION 'kept'});
$first = session('first', q{BEGIN; INSERT INTO usage_log VALUES (50, 'a', 'store', 1); UPDATE usage_log SET quantity = 8 WHERE id = 3; COMMIT;});
ok($node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_locks WHERE NOT granted}), 'it waits for a row of the host');
unlike($node->safe_psql('postgres', $waits), qr/UPDATE/, 'and is not among those that wait for totals');
$node->safe_psql('postgres', q{ROLLBACK PREPARED 'kept'});
ends_well($first, 'it commits');

is_right($node, 'at the end');
$node->stop;
done_testing();
