# Sessions that write, change and delete usage of a few accounts at random, beside
# others that change these accounts' plans and periods for times past, and undo
# it: afterwards, once rerate_usage() has closed what was under way, each row is
# charged once, in the period and by the price that hold now, and each price's
# charges are f of their quantity.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use BilladjTest;

use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

my $acts = $ENV{LONG} ? 200 : 40;
my $node = new_server('usage_race', "timezone = 'UTC'", "deadlock_timeout = '100ms'", 'jit = off');

$node->safe_psql('postgres', q{
	SET client_min_messages = warning;
	CREATE EXTENSION btree_gist;
	CREATE EXTENSION billadj;
	SELECT FROM billadj.install();
	SELECT FROM billadj.import_rate_card('{"code": "list", "currency": "USD", "prices": [{"meter": "gb", "model": "per_unit", "unit_amount": 0.3}]}', '[2015-01-01,)');
	SELECT FROM generate_series(1, 3) AS i CROSS JOIN LATERAL billadj.import_plan(jsonb_build_object('plan', 'r' || i, 'currency', 'USD',
		'every', (ARRAY['1 month', '7 days', '1 month'])[i], 'prices', jsonb_build_array(jsonb_build_object('component', 'use', 'kind', 'usage', 'meter', 'gb',
			'model', 'graduated', 'tiers', jsonb_build_array(jsonb_build_object('up_to', 10 * i, 'unit_amount', i), jsonb_build_object('unit_amount', i / 4.0)))))) p;
	INSERT INTO billadj.change_policy (currency, backdate) VALUES ('USD', '1000 days');
	CREATE TABLE calls (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, who text, at timestamptz, n numeric);
	SELECT FROM billadj.attach('calls', account => 'who', occurred_at => 'at', meter => 'gb', quantity => 'n');
	SELECT billadj.subscribe('race-' || i, 'r1', '2026-01-05', as_of => '2026-01-05') FROM generate_series(1, 3) AS i;
	CREATE TABLE done (what text, outcome text);
	CREATE FUNCTION someone() RETURNS text LANGUAGE sql AS $$ SELECT 'race-' || (1 + floor(random() * 3))::integer $$;
	CREATE PROCEDURE use(session integer, acts integer) LANGUAGE plpgsql AS $$
	DECLARE
		said text;
	BEGIN
		PERFORM setseed(session / 10.0);
		FOR n IN 1 .. acts LOOP
			said := 'done';
			BEGIN
				CASE floor(random() * 4)
					WHEN 0 THEN UPDATE calls SET n = floor(random() * 9) WHERE id IN (SELECT id FROM calls ORDER BY random() LIMIT 3);
					WHEN 1 THEN DELETE FROM calls WHERE id = (SELECT id FROM calls ORDER BY random() LIMIT 1);
					WHEN 2 THEN INSERT INTO calls (who, at, n) SELECT someone(), '2026-01-01'::timestamptz + random() * interval '60 days', 3;
						RAISE EXCEPTION 'thought better of it' USING ERRCODE = 'ZZ000';
					ELSE INSERT INTO calls (who, at, n) SELECT someone(), '2026-01-01'::timestamptz + random() * interval '60 days', floor(random() * 9) FROM generate_series(1, 4);
				END CASE;
				PERFORM pg_sleep(random() * 0.02);
			EXCEPTION WHEN SQLSTATE 'ZZ000' OR deadlock_detected THEN
				said := sqlstate;
			END;
			INSERT INTO done VALUES ('use', said);
			COMMIT;
		END LOOP;
	END $$;
	CREATE PROCEDURE change(session integer, acts integer) LANGUAGE plpgsql AS $$
	DECLARE
		s    bigint;
		said text;
		at   timestamptz;
	BEGIN
		PERFORM setseed(session / 10.0);
		FOR n IN 1 .. acts LOOP
			said := 'done';
			s := (SELECT subscription_id FROM billadj.subscription ORDER BY random() LIMIT 1);
			at := '2026-03-01'::timestamptz - random() * interval '50 days';
			BEGIN
				CASE floor(random() * 5)
					WHEN 0 THEN PERFORM FROM billadj.change_subscription(s, jsonb_build_object('kind', 'undo'), '2026-03-01');
					WHEN 1 THEN PERFORM FROM billadj.change_subscription(s, jsonb_build_object('kind', 'anchor', 'at', at), '2026-03-01');
					WHEN 2 THEN PERFORM FROM billadj.preview_change(s, jsonb_build_object('kind', 'plan', 'plan', 'r3', 'at', at), '2026-03-01');
					ELSE PERFORM FROM billadj.change_plan(s, 'r' || (1 + floor(random() * 3))::integer, at, as_of => '2026-03-01');
				END CASE;
			EXCEPTION WHEN SQLSTATE 'UB113' OR deadlock_detected THEN
				said := sqlstate;
			END;
			INSERT INTO done VALUES ('change', said);
			COMMIT;
		END LOOP;
	END $$;
});

my @running = map {
	IPC::Run::start([ 'psql', '-X', '-q', '-d', $node->connstr('postgres'), '-v', 'ON_ERROR_STOP=1', '-c', $_ ]);
} "CALL use(1, 2 * $acts)", "CALL use(2, 2 * $acts)", "CALL change(3, $acts)", "CALL change(4, $acts)";
foreach my $session (@running)
{
	ok($session->finish, 'a session comes to its end');
}
is($node->safe_psql('postgres', 'SELECT count(*) FROM done'), 6 * $acts, 'every act was done or refused');
cmp_ok($node->safe_psql('postgres', q{SELECT count(*) FROM done WHERE what = 'change' AND outcome = 'done'}), '>', $acts, 'most changes were made');
is($node->safe_psql('postgres', q{SELECT count(*) FROM billadj.charge c WHERE c.event_key IS NOT NULL GROUP BY c.event_key, c.measure
	HAVING sum(c.row_count) NOT IN (0, 1) OR (sum(c.row_count) = 0) <> (sum(c.quantity) = 0 AND NOT EXISTS (SELECT FROM calls WHERE id::text = c.event_key))}), '',
	'no row is charged twice, none is lost, whoever was faster');

my $left = $node->safe_psql('postgres', q{SELECT count(*) FROM billadj.rerate_usage(NULL, '2020-01-01', '2026-03-01')});
note("differences left to those under way: $left");
is($node->safe_psql('postgres', q{SELECT count(*) FROM billadj.rerate_usage(NULL, '2020-01-01', '2026-03-01')}), '0', 'a second run finds nothing');
is($node->safe_psql('postgres', q{
	WITH charged AS (SELECT c.event_key, c.period_start, c.price_id, sum(c.quantity) AS quantity FROM billadj.charge c WHERE c.event_key IS NOT NULL
	                  GROUP BY 1, 2, 3 HAVING sum(c.row_count) <> 0 OR sum(c.quantity) <> 0),
	     wanted AS (SELECT r.id::text, lower(u.period), p.price_id, r.n FROM calls r CROSS JOIN LATERAL billadj.usage_period(r.who, 'gb', r.at) u
	                 CROSS JOIN LATERAL billadj.price_for(r.who, 'gb', r.at) p)
	SELECT count(*) FROM ((TABLE charged EXCEPT ALL TABLE wanted) UNION ALL (TABLE wanted EXCEPT ALL TABLE charged)) d}),
	'0', 'each row is charged where and by what holds now');
is($node->safe_psql('postgres', q{
	SELECT count(*) FROM (SELECT c.account, c.period_start, c.price_id, sum(c.quantity) AS quantity, sum(c.amount) AS amount, sum(c.row_count) AS rows
	                        FROM billadj.charge c WHERE c.meter IS NOT NULL GROUP BY 1, 2, 3) c
	  LEFT JOIN billadj.meter_total m USING (account, period_start, price_id)
	 WHERE c.amount <> CASE WHEN c.rows = 0 THEN 0 ELSE billadj.rate(billadj.price_document(c.price_id), c.quantity) END
	    OR (c.quantity, c.amount, c.rows) IS DISTINCT FROM (m.quantity, m.amount, m.rows)}),
	'0', 'charges are f of their quantity, and totals their sums');
$node->stop;
done_testing();
