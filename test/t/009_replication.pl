# Standbys read, subscribers do not rate twice, and the ledger can be published.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use BilladjTest;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 'logical', extra => [ '--locale=C', '--encoding=UTF8' ]);
$primary->append_conf('postgresql.conf', "timezone = 'UTC'\nmax_prepared_transactions = 20\n");
$primary->start;
install_fixture($primary);
$primary->safe_psql('postgres', q{
	INSERT INTO usage_log SELECT n, 'k' || n % 3, (ARRAY['calls', 'store', 'bytes', 'fax'])[1 + n % 4], n FROM generate_series(1, 40) AS n;
	CREATE PUBLICATION usage FOR TABLE usage_log;
	CREATE PUBLICATION ledger FOR TABLE billadj.charge, billadj.price WITH (publish = 'insert', publish_via_partition_root = true);});

# ---- a physical standby ----

$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;
$primary->safe_psql('postgres', q{INSERT INTO usage_log VALUES (41, 'k1', 'calls', 200)});
$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));
is_right($standby, 'on the standby');
foreach my $query ('SELECT * FROM billadj.self_check()', 'SELECT * FROM billadj.monitor', 'SELECT * FROM billadj.meter_total ORDER BY 1, 2, 3, 4',
	'SELECT billadj.explain_charge(max(charge_id)) FROM billadj.charge', q{SELECT billadj.explain_usage('usage_log', '41')})
{
	is($standby->safe_psql('postgres', $query), $primary->safe_psql('postgres', $query), "the standby answers $query");
}

# ---- a subscriber that is attached too ----

my $subscriber = new_server('subscriber', "timezone = 'UTC'");
install_fixture($subscriber);
my $connection = $primary->connstr . ' dbname=postgres';
$subscriber->safe_psql('postgres', "CREATE SUBSCRIPTION usage CONNECTION '$connection' PUBLICATION usage");
$subscriber->wait_for_subscription_sync($primary, 'usage');
$primary->safe_psql('postgres', q{INSERT INTO usage_log VALUES (42, 'k1', 'calls', 3);
	UPDATE usage_log SET quantity = 4 WHERE id = 1; DELETE FROM usage_log WHERE id = 2;});
$primary->wait_for_catchup('usage');
is($subscriber->safe_psql('postgres', 'SELECT count(*) FROM usage_log'), '41', 'the rows have come');
is($subscriber->safe_psql('postgres', 'SELECT count(*) FROM billadj.charge'), '0', 'and are not rated');
is($subscriber->safe_psql('postgres', q{SELECT count(*) FROM billadj.rating_gap('usage_log')}), '41', 'rating_gap() lists them');

# ---- it takes over ----

$subscriber->safe_psql('postgres', q{DROP SUBSCRIPTION usage; CALL billadj.backfill('usage_log'); INSERT INTO usage_log VALUES (43, 'k1', 'calls', 3)});
is_right($subscriber, 'after it took over');

# ---- a warehouse with the ledger alone ----

my $warehouse = new_server('warehouse', "timezone = 'UTC'");
$warehouse->safe_psql('postgres', q{CREATE EXTENSION btree_gist; CREATE EXTENSION billadj; SELECT count(*) FROM billadj.install();
	SELECT count(*) FROM billadj.uninstall();
	ALTER TABLE billadj.price DROP CONSTRAINT price_meter_fkey, DROP CONSTRAINT price_rate_card_fkey});
$warehouse->safe_psql('postgres', "CREATE SUBSCRIPTION ledger CONNECTION '$connection' PUBLICATION ledger");
$warehouse->wait_for_subscription_sync($primary, 'ledger');
# what came before it, what comes now, and what maintain() moves
$primary->safe_psql('postgres', q{INSERT INTO usage_log VALUES (44, 'k1', 'store', 30, '2024-03-05 00:00+00');
	DO $$ BEGIN PERFORM billadj.maintain(); END $$;
	UPDATE usage_log SET quantity = 31 WHERE id = 44});
$primary->wait_for_catchup('ledger');
my $charges = q{SELECT count(*), count(DISTINCT charge_id), sum(amount), min(period_start) FROM billadj.charge};
is($warehouse->safe_psql('postgres', $charges), $primary->safe_psql('postgres', $charges), 'the warehouse has every charge once');

# ---- FOR ALL TABLES ----

$primary->safe_psql('postgres', q{CREATE PUBLICATION everything FOR ALL TABLES});
$primary->safe_psql('postgres', q{INSERT INTO usage_log VALUES (45, 'k1', 'store', 30, '2023-03-05 00:00+00')});
my ($rc, $out, $err) = $primary->psql('postgres', 'SELECT count(*) FROM billadj.maintain()');
like($err, qr/does not have a replica identity/, 'maintain() cannot move charges of which deletions are published');
$primary->safe_psql('postgres', q{ALTER TABLE billadj.charge_default REPLICA IDENTITY FULL; ALTER TABLE billadj.parked_usage REPLICA IDENTITY FULL});
sql_ok($primary, q{DO $$ BEGIN PERFORM billadj.maintain(); END $$}, 'with an identity it can');
is($primary->safe_psql('postgres', 'SELECT count(*) FROM billadj.charge_default'), '0', 'and did');
is_right($primary, 'at the end');

$_->stop foreach $warehouse, $subscriber, $standby, $primary;
done_testing();
