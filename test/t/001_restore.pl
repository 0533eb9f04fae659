# A dump, restored into a new cluster without our roles, comes back equal: nothing
# is rated twice, and afterwards rating goes on where it stood.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use BilladjTest;

use PostgreSQL::Test::Utils;
use Test::More;

my $source = new_server('source');
my $dumps = $source->basedir;

# ---- a database with a host table of its own owner, and a partitioned one ----

$source->safe_psql('postgres', 'CREATE ROLE app_owner; CREATE DATABASE app');
install_fixture($source, 'app');
$source->safe_psql('app', q{
	ALTER TABLE usage_log OWNER TO app_owner;
	CREATE TABLE trip (region text, trip_id bigint, rider int, at date, km numeric, minutes int, PRIMARY KEY (region, trip_id))
	  PARTITION BY LIST (region);
	CREATE TABLE trip_east PARTITION OF trip FOR VALUES IN ('east');
	CREATE TABLE trip_west PARTITION OF trip FOR VALUES IN ('west');
	DO $$ BEGIN
	    PERFORM billadj.import_rate_card('{"code": "rides", "currency": "USD", "priority": -1, "prices": [
	        {"meter": "km", "model": "graduated", "tiers": [{"up_to": 100, "unit_amount": 0.5}, {"up_to": null, "unit_amount": 0.3}]},
	        {"meter": "minutes", "model": "per_unit", "unit_amount": 0.07}]}', tstzrange('2020-01-01', NULL));
	    PERFORM billadj.attach('trip', account => 'rider', occurred_at => 'at', measures => '{"km": "km", "minutes": "minutes"}');
	    PERFORM billadj.maintain();
	END $$;
	INSERT INTO billadj.account (account, time_zone) VALUES ('k1', 'Asia/Tokyo');
	INSERT INTO usage_log SELECT n, 'k' || n % 7, (ARRAY['calls', 'store', 'bytes'])[1 + n % 3], n % 40,
	       timestamptz '2026-03-01 01:00+00' + n * interval '3 hours' FROM generate_series(1, 500) AS n;
	UPDATE usage_log SET quantity = quantity + 5 WHERE id % 10 = 3;
	DELETE FROM usage_log WHERE id % 50 = 7;
	INSERT INTO usage_log VALUES (900, 'k1', 'unpriced', 4, '2026-05-01');
	INSERT INTO trip SELECT (ARRAY['east', 'west'])[1 + n % 2], n, n % 5, '2026-05-01', n, n % 30 FROM generate_series(1, 100) AS n;
	INSERT INTO trip_east VALUES ('east', 1000, 1, '2026-05-02', 12.5, 3);
	DELETE FROM billadj.account;
	SET row_security = off;
	INSERT INTO billadj.account (account, currency) VALUES ('k2', 'USD');
	RESET row_security;
	SET session_replication_role = replica; INSERT INTO usage_log VALUES (901, 'gap', 'calls', 4, '2026-05-01'); RESET session_replication_role;
	CALL billadj.backfill('usage_log');
	ANALYZE;
});
