# Random transactions of six sessions on streams that go through periods and
# prices: linear and with tiers, changed within a month, versions of a price that
# come later with a lower number, late rows of the month before, savepoints,
# prepared transactions; beside them what rewrites the tables.  Then the same
# with silence and verdicts, with sessions and the server killed, and with totals
# taken away.  After each round charges = totals = fresh rating, and what was
# learned of each stream is what its committed rows teach, to the last byte
# where only rows write it.
#
# LONG=1, or RACE_TRANSACTIONS=n, for more; RACE_SEED repeats a run.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use BilladjTest;

use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $sessions = 6;
my $transactions = $ENV{RACE_TRANSACTIONS} // ($ENV{LONG} ? 10_000 : 900);
my $seed = $ENV{RACE_SEED} // 20260502;
my $short = $ENV{LONG} ? 3 : 1;

note("RACE_SEED=$seed RACE_TRANSACTIONS=$transactions");
srand $seed;

my $node = new_server('detect_race', 'max_connections = 40', 'deadlock_timeout = 100ms',
	'restart_after_crash = on', 'checkpoint_timeout = 30s', "timezone = 'UTC'");

# ---- prices ----

# Of all cards that hold at a time the one of the highest rank.  The card of the
# lowest rank has the lowest numbers and holds again after each of the others.
$node->safe_psql('postgres', <<'EOS');
CREATE EXTENSION btree_gist;
CREATE EXTENSION billadj;
SELECT count(*) FROM billadj.install();
CREATE TABLE card (code text, priority int, valid tstzrange, prices jsonb);
INSERT INTO card VALUES
    ('base', 0, '[2024-01-01,)', '[
        {"meter": "line", "model": "per_unit", "unit_amount": "0.02"},
        {"meter": "tier", "model": "graduated", "tiers": [{"up_to": 500, "unit_amount": 1}, {"up_to": null, "unit_amount": "0.5"}]},
        {"meter": "step", "model": "package", "size": 10, "package_amount": 7}]'),
    ('may', 1, '[2024-05-06,2024-05-11)', '[
        {"meter": "line", "model": "per_unit", "unit_amount": "0.03"},
        {"meter": "tier", "model": "volume", "tiers": [{"up_to": 100, "unit_amount": 2}, {"up_to": null, "unit_amount": 1}]},
        {"meter": "step", "model": "package", "size": 6, "package_amount": 5}]'),
    ('other kinds', 2, '[2024-05-16 05:30,2024-05-23)', '[
        {"meter": "line", "model": "graduated", "tiers": [{"up_to": 50, "unit_amount": "0.04"}, {"up_to": null, "unit_amount": "0.01"}]},
        {"meter": "tier", "model": "per_unit", "unit_amount": "0.7"},
        {"meter": "step", "model": "per_unit", "unit_amount": "0.8"}]');
SELECT count(*) FROM card, billadj.import_rate_card(jsonb_build_object('code', code, 'currency', 'USD', 'priority', priority, 'prices', prices), valid);
-- seq: as the session had it; late: of the month before
CREATE TABLE race (id bigint PRIMARY KEY, customer text NOT NULL, meter text NOT NULL, quantity numeric NOT NULL, at timestamptz NOT NULL, late boolean NOT NULL DEFAULT false);
CREATE TABLE again (LIKE race INCLUDING ALL);
SELECT count(*) FROM billadj.attach('race', account => 'customer', occurred_at => 'at', meter => 'meter', quantity => 'quantity');
SELECT count(*) FROM billadj.attach('again', account => 'customer', occurred_at => 'at', meter => 'meter', quantity => 'quantity');

CREATE VIEW fresh AS
SELECT r.customer AS account, r.meter, date_trunc('month', r.at) AS month, p.code, sum(r.quantity) AS quantity, count(*) AS rows,
       billadj.rate(p.terms, sum(r.quantity)) AS amount
  FROM race r
 CROSS JOIN LATERAL (SELECT c.code, c.priority, t - 'meter' || '{"currency": "USD"}' AS terms FROM card c, jsonb_array_elements(c.prices) t
                      WHERE c.valid @> r.at AND t ->> 'meter' = r.meter ORDER BY c.priority DESC LIMIT 1) p
 GROUP BY 1, 2, 3, 4, p.terms;
-- whatever is not in the charges, in the totals and in the fresh rating
CREATE VIEW wrong AS
WITH charged AS (
    SELECT c.account, c.meter, c.period_start AS month, k.code, sum(c.quantity) AS quantity, sum(c.row_count)::bigint AS rows, sum(c.amount) AS amount
      FROM billadj.charge c JOIN billadj.price p USING (price_id) JOIN billadj.rate_card k USING (rate_card_id)
     WHERE c.account !~ '^again' GROUP BY 1, 2, 3, 4
), total AS (
    SELECT t.account, t.meter, t.period_start, k.code, t.quantity, t.row_count, t.amount
      FROM billadj.tier_total t JOIN billadj.price p USING (price_id) JOIN billadj.rate_card k USING (rate_card_id)
     WHERE t.account !~ '^again' AND t.row_count <> 0
), tiered AS (
    SELECT f.* FROM fresh f JOIN card c USING (code), jsonb_array_elements(c.prices) t WHERE t ->> 'meter' = f.meter AND t ->> 'model' <> 'per_unit'
)
SELECT 'charged, not due' AS what, x.* FROM (TABLE charged EXCEPT ALL TABLE fresh) x
UNION ALL SELECT 'due, not charged', x.* FROM (TABLE fresh EXCEPT ALL TABLE charged) x
UNION ALL SELECT 'total, not due', x.* FROM (TABLE total EXCEPT ALL TABLE tiered) x
UNION ALL SELECT 'due, not in total', x.* FROM (TABLE tiered EXCEPT ALL TABLE total) x;
-- a stream has learned each row once, but for late ones; of one that all feed
-- some rows look like repetitions: fingerprints have 24 bits
CREATE VIEW missed AS
SELECT r.customer, r.meter, count(*) FILTER (WHERE NOT r.late) AS due, max(s.rows) AS learned
  FROM race r
  LEFT JOIN LATERAL (SELECT b.rows FROM billadj.stream_states() t, billadj.read_baseline(t.account, t.meter, t.state) b
                      WHERE t.account = r.customer AND t.meter = r.meter) s ON true
 GROUP BY 1, 2
HAVING count(*) FILTER (WHERE NOT r.late) IS DISTINCT FROM max(s.rows)
   AND (r.customer !~ '^all' OR max(s.rows) IS NULL OR max(s.rows) > count(*) OR max(s.rows) < 0.99 * count(*) - 2);
-- one head for each stream that has one, where open_bucket says it is
CREATE VIEW misplaced AS
SELECT b.account, b.meter, h.heads, o.state <> '' AS apart, o.period_start, o.price_id
  FROM billadj.baseline b
  LEFT JOIN billadj.open_bucket o USING (account, meter)
 CROSS JOIN LATERAL (SELECT count(*) AS heads, count(*) FILTER (WHERE (t.period_start, t.price_id) IS DISTINCT FROM (o.period_start, o.price_id)) AS wrong
                       FROM billadj.tier_total t WHERE t.account = b.account AND t.meter = b.meter AND t.bucket <> '') h
 WHERE h.wrong > 0 OR h.heads > 1 OR (h.heads = 1) IS DISTINCT FROM (o.state = '' AND o.account IS NOT NULL) AND (h.heads > 0 OR o.account IS NOT NULL);
EOS

# ---- what a session does ----

# Seconds between rows, on average half of it; now and then more.
my %pace = (line => 2400, tier => 1800, step => 9000);

# The next rows of a session in time order, mostly of its own streams.
sub own_rows
{
	my ($s, $n) = @_;
	my @rows;

	foreach (1 .. $n)
	{
		my $meter = ('line', 'tier', 'tier', 'tier', 'step')[ int rand 5 ];
		my $at = $s->{at}{$meter} += int(rand $pace{$meter}) + 1 + (rand() < 0.002 ? int rand 2 * 86400 : 0);

		push @rows, [ $s->{next}++, "own$s->{number}", $meter, int(rand 40) + 1, $at, 'f' ];
	}
	return @rows;
}

# Rows of streams that everybody feeds: in a round within the grace of what is
# late, and on both sides of the moment when prices change.
sub shared_rows
{
	my ($s, $n) = @_;

	return map { [ $s->{next}++, 'all' . int rand 3, ('line', 'tier', 'tier')[ int rand 3 ], 1 + int rand 1e9, $s->{all} + int rand 600, 'f' ] } 1 .. $n;
}

# Of the month before, once there is one.
sub late_rows
{
	my ($s, $n) = @_;
	my $meter = ('line', 'tier', 'tier')[ int rand 3 ];

	return own_rows($s, $n) if $s->{at}{$meter} < 33 * 86400;
	return map { [ $s->{next}++, "own$s->{number}", $meter, int(rand 40) + 1, int rand 28 * 86400, 't' ] } 1 .. $n;
}

sub some_rows
{
	my ($s, $n) = @_;
	my $dice = rand;

	return $dice < 0.6 ? own_rows($s, $n) : $dice < 0.9 || !$s->{late} ? shared_rows($s, $n) : late_rows($s, $n);
}

sub an_insert
{
	my ($s) = @_;
	my @rows = some_rows($s, 1 + (rand() < 0.3 ? int rand 8 : 0));

	# in time order it is for the library to put them
	@rows = reverse @rows if rand() < 0.5;
	return 'INSERT INTO race VALUES '
		. join(', ', map { "($_->[0], '$_->[1]', '$_->[2]', $_->[3], timestamptz '2024-05-01' + $_->[4] * interval '1 second', '$_->[5]')" } @rows) . ';';
}

sub a_step
{
	my ($s, $depth) = @_;

	return an_insert($s) if $depth > 2 || rand() < 0.7;
	return join "\n", "SAVEPOINT s$depth;", (map { a_step($s, $depth + 1) } 1 .. 1 + int rand 2),
		(rand() < 0.5 ? "ROLLBACK TO s$depth;" : "RELEASE s$depth;");
}

sub a_transaction
{
	my ($s, $number) = @_;
	my $level = ('READ COMMITTED', 'REPEATABLE READ', 'SERIALIZABLE')[ int rand 3 ];
	my $dice = rand;
	my $gid = "race $s->{number} $s->{next}";

	return an_insert($s) if rand() < 0.3;
	return join "\n", "BEGIN ISOLATION LEVEL $level;", (map { a_step($s, 0) } 1 .. 1 + int rand 4),
		$dice < 0.7 ? 'COMMIT;'
		: $dice < 0.8 ? 'ROLLBACK;'
		: ("PREPARE TRANSACTION '$gid';", 'SELECT FROM pg_sleep(0.002);',
		$dice < 0.96 ? "COMMIT PREPARED '$gid';" : "ROLLBACK PREPARED '$gid';");
}

my @states = map { { number => $_, next => $_ * 10_000_000, all => 0, late => 0, at => { map { $_ => 0 } keys %pace } } } 1 .. $sessions;

# ---- a round ----

sub start_script
{
	my ($name, $text) = @_;
	my $run = { out => '', err => '' };
	my $script = $node->basedir . "/$name.sql";

	open my $file, '>', $script or die "$script: $!";
	print {$file} $text;
	close $file or die "$script: $!";
	$run->{handle} = IPC::Run::start(
		[ 'psql', '-XqAt', '-d', $node->connstr('postgres') . ' application_name=load', '-f', $script ],
		'<', \undef, '>', \$run->{out}, '2>', \$run->{err});
	return $run;
}

# Runs the sessions, and beside them @beside until they are done; what all said.
sub race
{
	my ($count, @beside) = @_;
	my @runs = map { my $s = $_; start_script("race$s->{number}", join "\n", map { a_transaction($s, $_) } 1 .. $count / @states) } @states;
	my $said = '';
	my $k = 0;

	while (@beside && $node->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE application_name = 'load'}) > 0)
	{
		my (undef, undef, $err) = $node->psql('postgres', $beside[ $k++ % @beside ]);

		$said .= $err;
	}
	IPC::Run::finish($_->{handle}) foreach @runs;
	return join '', $said, map { $_->{err} } @runs;
}

sub is_whole
{
	my ($what) = @_;

	is($node->safe_psql('postgres', 'SELECT * FROM wrong ORDER BY 1, 2, 3, 4, 5 LIMIT 20'), '', "$what: charges = totals = fresh rating");
	is($node->safe_psql('postgres', 'SELECT * FROM missed ORDER BY 1, 2'), '', "$what: each row was learned once");
	is($node->safe_psql('postgres', 'SELECT * FROM misplaced ORDER BY 1, 2'), '', "$what: each stream has one head, where it is said to be");
	is($node->safe_psql('postgres', q{SELECT account, meter, family FROM billadj.anomaly WHERE closed_at IS NULL AND family <> 'row'
		GROUP BY 1, 2, 3 HAVING count(*) > 1}), '', "$what: one open incident a stream and family");
	return;
}

# The rows of a session in time order, all at once: the same bytes.
sub is_alike
{
	my ($what) = @_;

	$node->safe_psql('postgres', q{
		INSERT INTO again SELECT id, 'again ' || customer, meter, quantity, at FROM race r
		 WHERE customer ~ '^own' AND NOT late AND NOT EXISTS (SELECT FROM again a WHERE a.id = r.id) ORDER BY at, id});
	is($node->safe_psql('postgres', q{
		SELECT a.account, a.meter FROM billadj.stream_states() a JOIN billadj.stream_states() b ON b.account = 'again ' || a.account AND b.meter = a.meter
		 WHERE a.state <> b.state ORDER BY 1, 2}), '', "$what: the state of each stream is that of its rows in time order");
	is($node->safe_psql('postgres', q{
		SELECT rule, count(*) FILTER (WHERE account ~ '^own'), count(*) FILTER (WHERE account ~ '^again') FROM billadj.anomaly
		 WHERE rule <> 'late' AND account !~ '^all' GROUP BY 1 HAVING count(*) FILTER (WHERE account ~ '^own') <> count(*) FILTER (WHERE account ~ '^again')}),
		'', "$what: and so are the anomalies");
	return;
}

# A round begins before prices change, or the month ends, and goes beyond.
my @changes = (0, 5, 10, 15 + 5.5 / 24, 22, 31);
my $rounds = $transactions < 6000 ? 6 : int($transactions / 1000);

my @rewrites = (
	'VACUUM billadj.tier_total', 'CLUSTER billadj.tier_total USING tier_total_pkey', 'VACUUM FULL billadj.open_bucket',
	'VACUUM FULL billadj.tier_total', 'SELECT FROM billadj.maintain()', 'VACUUM FULL billadj.baseline', 'REINDEX TABLE billadj.tier_total');

foreach my $round (1 .. $rounds)
{
	my $what = "round $round";
	my $change = 86400 * (shift @changes // 0);

	foreach my $s (@states)
	{
		$_ = $_ < $change - 3600 ? $change - 3600 : $_ foreach values %{ $s->{at} };
		$s->{all} = $change > 0 ? $change - 300 : $s->{all} + 40_000;
	}
	is(race($transactions / $rounds, $round % 2 == 0 ? @rewrites : ()), '',
		"$what: no error, no deadlock, no 40001, no warning");
	is_whole($what);
	is_alike($what);
}
note($node->safe_psql('postgres', q{
	SELECT format('%s rows of %s streams, %s by the hour or day, of these %s beside a total; %s prices of %s months; %s anomalies',
	    (SELECT count(*) FROM race), (SELECT count(*) FROM billadj.baseline WHERE account !~ '^again'), count(*), count(*) FILTER (WHERE state = ''),
	    (SELECT count(DISTINCT price_id) FROM billadj.charge), (SELECT count(DISTINCT period_start) FROM billadj.charge),
	    (SELECT count(*) FROM billadj.anomaly WHERE account !~ '^again'))
	  FROM billadj.open_bucket WHERE account !~ '^again'}));
is($node->safe_psql('postgres', q{SELECT count(DISTINCT price_id) || '|' || (count(DISTINCT period_start) > 1) FROM billadj.tier_total}), '5|true',
	'the sessions went through all prices with tiers, and into another month');
cmp_ok($node->safe_psql('postgres', q{SELECT count(*) FROM billadj.open_bucket WHERE state = '' AND account !~ '^again'}), '>', 5, 'heads stand beside totals');

# ---- late rows, silence, verdicts ----

$_->{late} = 1 foreach @states;
is(race($transactions / 2, q{SELECT count(*) FROM billadj.detect_due((SELECT max(at) + interval '5 hours' FROM race))},
		q{SELECT billadj.record_verdict(anomaly_id, (ARRAY['expected', 'error', 'unsure'])[1 + random() * 2]) FROM billadj.open_anomaly ORDER BY random() LIMIT 1},
		$rewrites[1], q{SELECT count(*) FROM billadj.detect_due((SELECT max(at) + interval '26 hours' FROM race))}), '',
	'late rows, silence and verdicts: no error, no deadlock, no 40001, no warning');
is_whole('late rows, silence and verdicts');

# ---- killed ----

foreach my $blow (1 .. 2 * $short)
{
	my $whole = $blow % 2 == 0;
	my $what = $whole ? "the server is killed ($blow)" : "a backend is killed ($blow)";
	my @runs = map { my $s = $_; start_script("race$s->{number}", join "\n", map { a_transaction($s, $_) } 1 .. 400) } @states;

	sleep 0.2 + rand 0.8;
	if ($whole)
	{
		$node->kill9;
		unlink $node->data_dir . '/postmaster.pid';
	}
	else
	{
		# on a slow machine all of them may be between two statements just then
		my $pid = '';

		for (1 .. 200)
		{
			$pid = $node->safe_psql('postgres', q{SELECT pid FROM pg_stat_activity
				WHERE application_name = 'load' AND state <> 'idle' ORDER BY random() LIMIT 1});
			last if $pid ne '';
		}
		kill 'KILL', $pid if $pid ne '';
	}
	IPC::Run::finish($_->{handle}) foreach @runs;
	is(join("\n", grep { /ERROR/ } map { split /\n/, $_->{err} } @runs), '', "$what: no other error");
	for (my $try = 0; $whole && !$node->start(fail_ok => 1); $try++)
	{
		die 'the server does not start' if $try == 100;
		unlink $node->data_dir . '/postmaster.pid';
		sleep 0.2;
	}
	wait_until_back($node);
	my @left = split /\n/, $node->safe_psql('postgres', 'SELECT gid FROM pg_prepared_xacts ORDER BY 1');
	$node->safe_psql('postgres', (rand() < 0.5 ? 'COMMIT' : 'ROLLBACK') . " PREPARED '$_'") foreach @left;
	is_whole($what);
}

# ---- totals are taken away ----

# A superuser may: what was learned since the hour began is lost, no row is.
my $said = race($transactions / 3, q{SET row_security = off;
	DELETE FROM billadj.tier_total t USING (SELECT account, meter, period_start, price_id FROM billadj.tier_total ORDER BY random() LIMIT 1) x
	 WHERE (t.account, t.meter, t.period_start, t.price_id) = (x.account, x.meter, x.period_start, x.price_id)});
is($said, '', 'totals are taken away: no error');
is($node->safe_psql('postgres', q{
	SELECT count(*) FROM race r WHERE NOT EXISTS (SELECT FROM billadj.charge c WHERE c.account = r.customer AND c.event_key = r.id::text AND c.cause = 'usage' AND c.quantity = r.quantity)}),
	'0', 'totals are taken away: each row is charged');
is($node->safe_psql('postgres', q{
	SELECT count(*) FROM billadj.stream_states() t, billadj.read_baseline(t.account, t.meter, t.state) b WHERE b.rows = 0 OR t.problem IS NOT NULL}),
	'0', 'totals are taken away: each stream is one');
is($node->safe_psql('postgres', 'SELECT * FROM misplaced WHERE heads > 1'), '', 'totals are taken away: no stream has two heads');
$node->stop;
done_testing();
