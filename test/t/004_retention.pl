# Months of charges come and go: maintain() moves rows out of the default
# partition and indexes closed months, a DBA detaches the oldest.  Totals and
# explanations of what is left stay right, and rows of closed months can be
# changed and deleted.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use BilladjTest;

use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_server('retention', "timezone = 'UTC'");
install_fixture($node);

sub value
{
	my ($sql) = @_;

	return $node->safe_psql('postgres', $sql);
}

# Six months up to now, as the server counts them.
my @months = split /\n/, value(q{SELECT (date_trunc('month', now()) - n * interval '1 month')::date FROM generate_series(6, 0, -1) AS n});
my ($oldest, $second, $now) = @months[ 0, 1, 6 ];

sub partition
{
	my ($month) = @_;

	return 'billadj.' . value("SELECT name FROM billadj.charge_month('$month')");
}

sub usage
{
	my ($first) = @_;

	return qq{INSERT INTO usage_log
		SELECT $first + n, 'k' || n % 6, (ARRAY['calls', 'store', 'bytes'])[1 + n % 3], n % 17,
		       '$oldest'::timestamptz + (n % 7) * interval '1 month' + interval '3 days 1 hour'
		  FROM generate_series(1, 700) AS n};
}

# ---- maintain() ----

sql_ok($node, usage(10_000), 'usage of seven months');
my $charges = q{SELECT md5(string_agg(c::text, '' ORDER BY c.charge_id)) FROM billadj.charge c};
my $before = value($charges);
cmp_ok(value('SELECT count(*) FROM billadj.charge_default'), '>', 500, 'old months are in the default partition');
cmp_ok(value('SELECT count(*) FROM billadj.maintain()'), '>', 30, 'maintain() has much to do');
is(value($charges), $before, 'and keeps every charge');
is(value('SELECT count(*) FROM billadj.charge_default'), '0', 'the default partition is empty');
is(value('SELECT count(*) FROM billadj.maintain()'), '0', 'a second maintain() does nothing');
is(value("SELECT count(*) FROM pg_index WHERE indrelid = '" . partition($second) . "'::regclass"), '3', 'a closed month has its indexes');
is(value("SELECT count(*) FROM pg_index WHERE indrelid = '" . partition($now) . "'::regclass"), '0', 'the running one has none');
is_right($node, 'after maintain()');
sql_ok($node, usage(20_000), 'more usage of all months, closed ones too');
is_right($node, 'with more usage');

# ---- changes in closed months ----

# The charges of a row are found by the index, and not by reading the month.
my $closed = partition($second);
my $reads = qq{SELECT pg_stat_force_next_flush();
	SELECT seq_scan || ' scans, by index: ' || (idx_scan > 0) FROM pg_stat_user_tables WHERE relid = '$closed'::regclass};
my $where = "at >= '$second' AND at < '$second'::timestamptz + interval '1 month'";

value("VACUUM ANALYZE $closed");
value('SELECT pg_stat_reset()');
sql_ok($node, qq{UPDATE usage_log SET quantity = quantity + 10 WHERE $where AND id % 4 = 0;
	UPDATE usage_log SET customer = 'moved' WHERE $where AND id % 4 = 1;
	UPDATE usage_log SET at = '$now' WHERE $where AND id % 16 = 2;
	DELETE FROM usage_log WHERE $where AND id % 4 = 3;}, 'changes in a closed month');
is((split /\n/, value($reads))[-1], '0 scans, by index: true', 'charges of closed months are found by index');
is_right($node, 'after changes in a closed month');
sql_ok($node, qq{DELETE FROM usage_log WHERE $where AND customer = 'moved'}, 'deletion of moved rows');
is_right($node, 'after the deletion');

# ---- retention ----

my $gone = partition($oldest);
my $kept = value("SELECT count(*) FROM billadj.charge WHERE period_start >= '$second'");
sql_ok($node, "ALTER TABLE billadj.charge DETACH PARTITION $gone", 'the oldest month is detached');
is(value('SELECT count(*) FROM billadj.charge'), $kept, 'the others are there');
is_right($node, 'what is left', 'postgres', $second);
sql_ok($node, "DROP TABLE $gone", 'and dropped');
sql_ok($node, q{INSERT INTO usage_log SELECT 30000 + n, 'k' || n % 6, (ARRAY['calls', 'store', 'bytes'])[1 + n % 3], n % 17,
		'} . $second . q{'::timestamptz + (n % 6) * interval '1 month' FROM generate_series(1, 300) AS n}, 'usage goes on');
is_right($node, 'with more usage after it', 'postgres', $second);
is(value(q{SELECT count(*) FROM billadj.self_check() WHERE severity = 'error'}), '0', 'self_check() has no error');
is(value(q{SELECT count(*) FROM billadj.charge c WHERE billadj.replay(billadj.explain_charge(c.charge_id)) IS DISTINCT FROM c.amount}),
	'0', 'every charge that is left explains itself to the last digit');

# The host keeps its rows of that month: their charges have been, and are not
# made again.
sql_ok($node, "INSERT INTO billadj.instance (charges_from) VALUES (date_trunc('month', '$second'::timestamptz AT TIME ZONE 'UTC'))
	ON CONFLICT (instance_id) DO UPDATE SET charges_from = excluded.charges_from", 'charges_from is set');
is(value("SELECT count(*) FROM billadj.rating_gap('usage_log')"), '0', 'no gap in the month that is gone');
my $before_backfill = value('SELECT count(*) || sum(amount)::text FROM billadj.charge');
sql_ok($node, "CALL billadj.backfill('usage_log')", 'backfill()');
is(value('SELECT count(*) || sum(amount)::text FROM billadj.charge'), $before_backfill, 'charges nothing again');

# A late row of the month that is gone: it lands in the default partition, and
# its total goes on from where it was.
my $total = value("SELECT quantity FROM billadj.tier_total WHERE account = 'k0' AND meter = 'calls' AND period_start = '$oldest'");
sql_ok($node, "INSERT INTO usage_log VALUES (40000, 'k0', 'calls', 5, '$oldest')", 'a late row of the month that is gone');
is(value("SELECT quantity_before FROM billadj.charge WHERE event_key = '40000'"), $total, 'is rated at its position');
sql_ok($node, 'DO $$ BEGIN PERFORM billadj.maintain(); END $$', 'maintain() makes that month again');
is(value("SELECT count(*) FROM $gone"), '1', 'for that row');
is_right($node, 'in the end', 'postgres', $second);

$node->stop;
done_testing();
