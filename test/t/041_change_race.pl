# Sessions that change a few subscriptions at random and charge what is due, all
# at once: afterwards each was charged what its timeline says, computed as if
# nothing ever had been billed, and every change is there once.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use BilladjTest;

use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

my $sessions = 4;
my $changes = $ENV{LONG} ? 500 : 25;
my $node = new_server('change_race', "timezone = 'UTC'", "deadlock_timeout = '100ms'");

$node->safe_psql('postgres', q{
	SET client_min_messages = warning;
	CREATE EXTENSION btree_gist;
	CREATE EXTENSION billadj;
	SELECT FROM billadj.install();
	SELECT FROM generate_series(1, 3) AS i CROSS JOIN LATERAL billadj.import_plan(jsonb_build_object('plan', 'r' || i, 'currency', 'USD', 'prices',
		jsonb_build_array(jsonb_build_object('component', 'base', 'model', 'flat', 'flat_amount', 10 * i),
		                  jsonb_build_object('component', 'seats', 'timing', 'arrears', 'model', 'per_unit', 'unit_amount', 7)))) p;
	INSERT INTO billadj.change_policy (currency, backdate) VALUES ('USD', '1000 days');
	SELECT billadj.subscribe('race', 'r1', '2026-01-01', as_of => '2026-01-01') FROM generate_series(1, 3);
	CREATE TABLE done (session integer, n integer, subscription bigint, change_id bigint, outcome text);
	-- each change a transaction of its own, some rolled back, some in two at once
	CREATE PROCEDURE act(session integer, changes integer) LANGUAGE plpgsql AS $$
	DECLARE
		s     bigint;
		as_of timestamptz := '2026-02-01';
		said  text;
	BEGIN
		PERFORM setseed(session / 10.0);
		FOR n IN 1 .. changes LOOP
			s := (SELECT subscription_id FROM billadj.subscription ORDER BY random() LIMIT 1);
			said := 'done';
			BEGIN
				CASE floor(random() * 5)
					WHEN 0 THEN PERFORM FROM billadj.change_plan(s, 'r' || (1 + floor(random() * 3))::integer, as_of - random() * interval '20 days', as_of => as_of);
					WHEN 1 THEN PERFORM FROM billadj.change_quantity(s, (1 + floor(random() * 5))::numeric, as_of - random() * interval '20 days', as_of => as_of);
					WHEN 2 THEN PERFORM billadj.charge_subscriptions('2026-03-10', since => '-infinity');
					WHEN 3 THEN PERFORM FROM billadj.change_subscription(s, jsonb_build_object('kind', 'undo'), as_of);
					ELSE PERFORM FROM billadj.change_quantity(s, 9, as_of - interval '3 days', as_of => as_of);
						RAISE EXCEPTION 'thought better of it' USING ERRCODE = 'ZZ000';
				END CASE;
			EXCEPTION WHEN SQLSTATE 'ZZ000' OR SQLSTATE 'UB113' OR deadlock_detected THEN
				said := sqlstate;
			END;
			INSERT INTO done VALUES (session, n, s, NULL, said);
			COMMIT;
		END LOOP;
	END $$;
});

my @running = map {
	my $number = $_;
	IPC::Run::start([ 'psql', '-X', '-q', '-d', $node->connstr('postgres'), '-v', 'ON_ERROR_STOP=1', '-c', "CALL act($number, $changes)" ]);
} 1 .. $sessions;
foreach my $session (@running)
{
	ok($session->finish, 'a session comes to its end');
}
is($node->safe_psql('postgres', 'SELECT count(*) FROM done'), $sessions * $changes, 'every act was done or refused');
cmp_ok($node->safe_psql('postgres', q{SELECT count(*) FROM done WHERE outcome = 'done'}), '>', $changes, 'most were done');

$node->safe_psql('postgres', q{SELECT billadj.charge_subscriptions('2026-06-01', since => '-infinity')});
is($node->safe_psql('postgres', q{
	WITH fresh AS (
		SELECT s.subscription_id, d.period_start, d.plan_price_id, sum(d.amount) AS amount
		  FROM billadj.subscription s
		 CROSS JOIN LATERAL billadj.recurring_differences('2026-06-01', '-infinity', NULL, s.account, -1, billadj.stored_terms(s.account, s.subscription_id),
		                                                  billadj.stored_cycles(s.account, s.subscription_id)) d
		 GROUP BY 1, 2, 3), charged AS (
		SELECT c.subscription_id, c.period_start, c.plan_price_id, sum(c.amount) AS amount FROM billadj.charge c GROUP BY 1, 2, 3 HAVING sum(c.amount) <> 0)
	SELECT count(*) FROM ((TABLE fresh EXCEPT ALL TABLE charged) UNION ALL (TABLE charged EXCEPT ALL TABLE fresh)) d}),
	'0', 'each is charged what its timeline says');
is($node->safe_psql('postgres', q{
	SELECT count(*) FROM ((SELECT subscription_id, period_start, plan_price_id, sum(amount) FROM billadj.recurring_total GROUP BY 1, 2, 3
	                       EXCEPT ALL SELECT subscription_id, period_start, plan_price_id, sum(amount) FROM billadj.charge GROUP BY 1, 2, 3)) d}),
	'0', 'totals are the sums of their charges');
is($node->safe_psql('postgres', q{SELECT count(*) FROM billadj.subscription_change c
	WHERE NOT EXISTS (SELECT FROM billadj.outbox o WHERE (o.payload ->> 'change_id')::bigint = c.change_id) AND c.kind <> 'start'}),
	'0', 'every change was told, none that was rolled back');
$node->stop;
done_testing();
