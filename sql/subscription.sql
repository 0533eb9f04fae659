-- Subscriptions: what a timeline of terms is charged, and what a change of it
-- leads to.
\set SHOW_CONTEXT never
SET timezone = 'UTC';
SET datestyle = 'ISO, MDY';
SET client_min_messages = warning;

CREATE FUNCTION flat(plan text, amount numeric, more jsonb DEFAULT '{}') RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(i.action, ', ') FROM billadj.import_plan(jsonb_build_object('plan', plan, 'currency', 'USD',
        'prices', jsonb_build_array(jsonb_build_object('model', 'flat', 'flat_amount', amount))) || more) i
$$;
-- what a subscription was charged, as a bill shows it
CREATE VIEW charged AS
SELECT c.account, c.subscription_id AS s, c.period_start::date AS period, c.posted_period_start::date AS posted,
       tstzrange(lower(c.covers), upper(c.covers)) AS covers, c.quantity, c.amount, c.cause, p.plan, p.component
  FROM billadj.charge c LEFT JOIN billadj.plan_price p USING (plan_price_id)
 WHERE c.subscription_id IS NOT NULL
 ORDER BY c.charge_id;

-- ---- plans ----
SELECT * FROM billadj.import_plan('{"plan": "team", "currency": "USD", "prices": [
    {"component": "base", "model": "flat", "flat_amount": 20, "per_unit": false},
    {"component": "seats", "model": "graduated", "tiers": [{"up_to": 5, "unit_amount": 10}, {"up_to": null, "unit_amount": 8}]},
    {"component": "support", "timing": "arrears", "model": "flat", "flat_amount": 30},
    {"component": "setup", "kind": "one_off", "model": "flat", "flat_amount": 99}]}');
SELECT * FROM billadj.import_plan('{"plan": "team", "currency": "USD", "prices": [{"component": "base", "model": "flat", "flat_amount": "20.0", "per_unit": false}]}');
SELECT * FROM billadj.import_plan('{"plan": "team", "currency": "USD", "prices": [{"component": "base", "model": "flat", "flat_amount": 25, "per_unit": false}]}', '[2026-06-01,)');
SELECT plan, component, kind, timing, price, per_unit, valid FROM billadj.plan_price WHERE plan = 'team' ORDER BY component, valid;
SELECT * FROM billadj.import_plan('{"plan": "team", "currency": "EUR", "prices": [{"model": "flat", "flat_amount": 25}]}');
SELECT * FROM billadj.import_plan('{"plan": "x", "currency": "USD", "prices": [{"model": "flat", "flat_amount": 25, "timing": "later"}]}');
SELECT * FROM billadj.import_plan('{"plan": "x", "currency": "USD", "prices": [{"model": "flat", "flat_amount": "a"}]}');
SELECT * FROM billadj.import_plan('{"plan": "x", "currency": "USD", "day_count": "moon", "prices": [{"model": "flat", "flat_amount": 25}]}');
SELECT * FROM billadj.import_plan('{"plan": "x", "currency": "USD", "prices": [{"model": "flat", "flat_amount": 25, "meter": "call"}]}');
UPDATE billadj.plan SET day_count = 'actual_seconds' WHERE plan = 'team';
UPDATE billadj.plan_price SET price = '{"model": "flat", "flat_amount": 1}' WHERE plan = 'team' AND component = 'setup';
DELETE FROM billadj.plan WHERE plan = 'team';

-- ---- fixed points ----
-- half a period: back the half of 10, charged the half of 20
SELECT flat('ten', 10), flat('twenty', 20), flat('five', 5), flat('six', 6), flat('p500', 500), flat('p2000', 2000);
SELECT billadj.subscribe('fix-half', 'ten', '2026-04-01', as_of => '2026-04-01') AS s \gset
SELECT component, covers, amount FROM billadj.change_plan(:s, 'twenty', '2026-04-16', as_of => '2026-04-16');

-- 30 March to 30 April, 5 -> 6 on 31 March: used 0.16, new 5.81
SELECT billadj.subscribe('fix-31', 'five', '2026-03-30', as_of => '2026-03-30') AS s \gset
SELECT amount, share FROM billadj.change_plan(:s, 'six', '2026-03-31', as_of => '2026-03-31');
SELECT plan, sum(amount) FROM charged WHERE account = 'fix-31' GROUP BY plan ORDER BY plan;

-- 500 in advance, 2000 from 13 December, 24 of 31 days left: at once, and with the next period
SELECT billadj.subscribe('fix-dec', 'p500', '2026-12-06', as_of => '2026-12-06') AS s \gset
SELECT sum(amount) AS net FROM billadj.preview_change(:s, '{"kind": "plan", "plan": "p2000", "at": "2026-12-13"}', '2026-12-13');
SELECT sum(amount) AS net FROM billadj.change_plan(:s, 'p2000', '2026-12-13', post => 'next_period', as_of => '2026-12-13');
SELECT billadj.charge_subscriptions('2027-01-06', 'fix-dec');
SELECT period, posted, covers, amount, cause FROM charged WHERE account = 'fix-dec';
SELECT posted, sum(amount) FROM charged WHERE account = 'fix-dec' GROUP BY posted ORDER BY posted;

-- 3950 a month, 8 April to 30 June inclusive, by calendar months: 10928.33
SELECT flat('rent', 3950, '{"anchor": "calendar", "day_count": "calendar_month_split"}'), flat('yearly20', 20, '{"anchor": "calendar"}');
SELECT billadj.subscribe('fix-rent', 'rent', '2026-04-08', ends_at => '2026-07-01', as_of => '2026-08-01') AS s \gset
SELECT period, amount FROM charged WHERE account = 'fix-rent';
SELECT sum(amount) FROM charged WHERE account = 'fix-rent';
-- 12 x 20 over a year from 3 August: 240
SELECT billadj.subscribe('fix-year', 'yearly20', '2025-08-03', ends_at => '2026-08-03', as_of => '2026-09-01') AS s \gset
SELECT count(*), sum(amount), min(amount), max(amount) FROM charged WHERE account = 'fix-year';

-- New York, March 2026, a change on 9 March at midnight there: 8 of 31 days, or 687600 of 2674800 seconds
SELECT flat('days31', 3100, '{"anchor": "calendar"}'), flat('seconds', 2674800, '{"anchor": "calendar", "day_count": "actual_seconds"}'), flat('nothing', 0);
SELECT billadj.subscribe('fix-ny', 'days31', '2026-03-01 00:00 America/New_York', time_zone => 'America/New_York', as_of => '2026-03-05') AS s \gset
SELECT share, amount FROM billadj.cancel(:s, '2026-03-09 00:00 America/New_York', as_of => '2026-03-09 05:00+00');
SELECT billadj.subscribe('fix-ny', 'seconds', '2026-03-01 00:00 America/New_York', time_zone => 'America/New_York', as_of => '2026-03-05') AS s \gset
SELECT share, 2674800 + amount AS used FROM billadj.cancel(:s, '2026-03-09 00:00 America/New_York', as_of => '2026-03-09 05:00+00');

-- the same anchor by the clocks of two zones: the end of January in one, the 30th in the other
SELECT billadj.subscribe('fix-clock', 'ten', '2026-01-31 00:00+00', time_zone => v.zone, as_of => '2026-01-31') > 0 AS s FROM (VALUES ('UTC'), ('America/New_York')) AS v(zone);
SELECT period_start, period_end FROM billadj.recurring_differences('2026-03-10', '2026-03-02', account => 'fix-clock') d ORDER BY d.subscription_id, period_start;

-- an anchor on the 31st never drifts
SELECT billadj.subscribe('fix-31st', 'ten', '2026-01-31', as_of => '2026-05-01') AS s \gset
SELECT period, covers, amount FROM charged WHERE account = 'fix-31st';

-- 30/360: each change splits the month by its 30 days
SELECT flat('thirty', 300, '{"anchor": "calendar", "day_count": "strict_30_360"}');
SELECT billadj.subscribe('fix-360', 'thirty', '2021-01-27', ends_at => '2021-03-01', as_of => '2021-04-01') AS s \gset
SELECT period, amount FROM charged WHERE account = 'fix-360';

-- ---- components, quantity, one-off, arrears ----
SELECT billadj.subscribe('team-1', 'team', '2026-03-10', 7, as_of => '2026-03-10') AS s \gset
SELECT period, component, covers, quantity, amount, cause FROM charged WHERE account = 'team-1';
SELECT component, quantity, covers, share, amount, cause FROM billadj.preview_change(:s, '{"kind": "quantity", "quantity": 4, "at": "2026-03-20"}', '2026-03-20');
SELECT component, line_quantity, covers, share, amount, cause FROM billadj.change_quantity(:s, 4, '2026-03-20', as_of => '2026-03-20');
-- the same once more leaves nothing
SELECT component, amount FROM billadj.change_quantity(:s, 4, '2026-03-20', as_of => '2026-03-20');
SELECT billadj.charge_subscriptions('2026-03-25', 'team-1'), billadj.charge_subscriptions('2026-04-10', 'team-1'), billadj.charge_subscriptions('2026-04-10', 'team-1');
SELECT period, component, covers, quantity, amount, cause FROM charged WHERE account = 'team-1' AND posted >= '2026-03-10' OFFSET 3;
-- undone: the inverse, to the cent
SELECT component, quantity, amount FROM billadj.change_subscription(:s, '{"kind": "undo"}', '2026-04-11');
SELECT component, sum(amount) FROM charged WHERE account = 'team-1' AND period = '2026-03-10' GROUP BY component ORDER BY component;

-- ---- pause, resume, trial, cancel ----
SELECT billadj.subscribe('life', 'days31', '2026-05-01', trial => '14 days', as_of => '2026-05-01') AS s \gset
SELECT valid, state FROM billadj.term WHERE account = 'life' AND superseded_at IS NULL ORDER BY valid;
SELECT billadj.charge_subscriptions('2026-05-15', 'life');
SELECT amount FROM billadj.pause(:s, '2026-05-20', as_of => '2026-05-20');
SELECT amount FROM billadj.resume(:s, '2026-05-25', as_of => '2026-05-25');
SELECT covers, amount FROM billadj.cancel(:s, '2026-05-28', as_of => '2026-05-27');
SELECT period, covers, amount, cause FROM charged WHERE account = 'life';
SELECT billadj.charge_subscriptions('2026-06-15', 'life');
SELECT sum(amount) FROM charged WHERE account = 'life';
SELECT amount FROM billadj.change_subscription(:s, '{"kind": "reactivate", "at": "2026-06-16"}', '2026-06-16');
-- nothing back
SELECT billadj.subscribe('life-2', 'days31', '2026-05-01', as_of => '2026-05-01') AS s \gset
SELECT amount FROM billadj.cancel(:s, '2026-05-11', 'none', as_of => '2026-05-11');
SELECT valid, state FROM billadj.term WHERE account = 'life-2' AND superseded_at IS NULL ORDER BY valid;
SELECT billadj.charge_subscriptions('2026-07-15', 'life-2'), sum(amount) FROM charged WHERE account = 'life-2';
-- a month is longer than its days: back what was billed, not what it costs today
SELECT billadj.subscribe('billed', 'ten', '2026-04-01', discount => 50, as_of => '2026-04-01') AS s \gset
SELECT covers, amount FROM billadj.change_subscription(:s, '{"kind": "discount", "discount": 0, "at": "2026-04-16"}', '2026-04-16');
SELECT covers, amount FROM billadj.cancel(:s, '2026-04-21', as_of => '2026-04-21');
SELECT sum(amount) FROM charged WHERE account = 'billed';

-- ---- scheduled, backdated, several in one period ----
SELECT billadj.subscribe('many', 'days31', '2026-07-01', as_of => '2026-07-01') AS s \gset
SELECT amount, routed, due_at FROM billadj.change_plan(:s, 'p2000', '2026-07-20', as_of => '2026-07-05');
SELECT sum(amount) FROM charged WHERE account = 'many';
SELECT amount, routed FROM billadj.change_plan(:s, 'p500', '2026-07-11', as_of => '2026-07-11');
SELECT lower(valid), plan FROM billadj.term WHERE account = 'many' AND superseded_at IS NULL ORDER BY valid;
SELECT billadj.charge_subscriptions('2026-07-20', 'many');
SELECT covers, amount, plan FROM charged WHERE account = 'many';
-- back to the third of July, in August: shown on the bill of August
SELECT period_start::date, posted_period_start::date, line_plan, covers, amount FROM billadj.change_plan(:s, 'twenty', '2026-07-03', as_of => '2026-08-02');
SELECT period, sum(amount) FROM charged WHERE account = 'many' GROUP BY period ORDER BY period;
-- downgrade: at the end of the period unless said otherwise
SELECT line_plan, amount, routed, due_at FROM billadj.change_plan(:s, 'five', direction => 'downgrade', as_of => '2026-08-02');

-- ---- anchor, zone, another length ----
SELECT billadj.subscribe('anchor', 'days31', '2026-07-01', as_of => '2026-07-01') AS s \gset
SELECT period_start::date, covers, amount, cause FROM billadj.change_subscription(:s, '{"kind": "anchor", "at": "2026-07-11", "anchor": "2026-07-15"}', '2026-07-11');
SELECT * FROM billadj.subscription_periods('anchor', :s, '2026-06-01', '2026-09-01');
SELECT billadj.subscribe('zone', 'days31', '2026-10-01', as_of => '2026-10-01') AS s \gset
SELECT period_start, covers, amount, cause FROM billadj.change_subscription(:s, '{"kind": "zone", "time_zone": "America/New_York"}', '2026-10-11');
SELECT * FROM billadj.subscription_periods('zone', :s, '2026-10-01', '2026-12-01');
SELECT billadj.charge_subscriptions('2026-11-05', 'zone');
SELECT period, covers, amount FROM charged WHERE account = 'zone';
SELECT flat('year', 1200, '{"every": "1 year"}');
SELECT billadj.subscribe('longer', 'ten', '2026-04-01', as_of => '2026-04-01') AS s \gset
SELECT line_plan, period_start::date, covers, amount, cause FROM billadj.change_plan(:s, 'year', '2026-04-16', as_of => '2026-04-16');

-- ---- what exceeds the policy ----
INSERT INTO billadj.change_policy (currency, max_credit) VALUES ('USD', 1000);
SELECT billadj.subscribe('policy', 'p2000', '2026-04-01', as_of => '2026-04-01') AS s \gset
SELECT amount, routed FROM billadj.preview_change(:s, '{"kind": "cancel", "at": "2026-04-10"}', '2026-04-10');
SELECT amount, routed FROM billadj.preview_change(:s, '{"kind": "cancel", "at": "2026-04-20"}', '2026-04-20');
SELECT amount, routed FROM billadj.preview_change(:s, '{"kind": "cancel", "at": "2026-04-20"}', '2026-05-25');
SELECT amount, routed FROM billadj.cancel(:s, '2026-04-10', as_of => '2026-04-10');
SELECT kind, delta, currency, cause, charge_id IS NOT NULL AS of_a_charge, request_id FROM billadj.proposal WHERE account = 'policy';
SELECT amount, proposed FROM billadj.recurring_total WHERE account = 'policy';
-- it is proposed once
SELECT billadj.charge_subscriptions('2026-04-20', 'policy'), billadj.charge_subscriptions('2026-05-20', 'policy'), (SELECT sum(amount) FROM charged WHERE account = 'policy');
-- a refund is a credit, and a proposal to pay it out
SELECT billadj.subscribe('refund', 'ten', '2026-04-01', as_of => '2026-04-01') AS s \gset
SELECT amount, routed FROM billadj.cancel(:s, '2026-04-16', 'refund', as_of => '2026-04-16');
SELECT kind, delta, cause FROM billadj.proposal WHERE account = 'refund';
SELECT topic, payload ->> 'amount' AS amount FROM billadj.outbox WHERE account IN ('policy', 'refund') ORDER BY outbox_id;
DELETE FROM billadj.change_policy;

-- ---- never more back than was billed and not credited ----
SELECT billadj.subscribe('cap', 'ten', '2026-04-01', as_of => '2026-04-01') AS s \gset
SET row_security = off;         -- as a restore brings one
INSERT INTO billadj.adjustment (account, adjustment_id, request_id, charge_id, period_start, posted_period_start, delta, currency, cause, affects, applied_by, applied_at)
SELECT account, 1, 1, charge_id, period_start, period_start, -7, currency, 'credit', 'billed', 'somebody', '2026-04-02' FROM billadj.charge WHERE account = 'cap';
RESET row_security;
SELECT amount FROM billadj.preview_change(:s, '{"kind": "cancel", "at": "2026-04-16"}', '2026-04-16');
SELECT amount FROM billadj.cancel(:s, '2026-04-01', as_of => '2026-04-16');
SELECT billadj.charge_subscriptions('2026-04-20', 'cap');
SELECT sum(amount) AS lines FROM billadj.bill_preview('cap', '[2026-04-01,2026-05-01)') WHERE kind <> 'total';

-- ---- renewal, price increase, milestones ----
SELECT billadj.subscribe('renew', 'team', '2026-03-01', 1, ends_at => '2026-06-01', renew_every => '3 months', as_of => '2026-05-02') AS s \gset
SELECT action, effective_at, amount FROM billadj.raise_prices('team', '2026-06-01', 'renewal', '2026-05-02') WHERE account = 'renew';
SELECT due_at, what, detail, amount FROM billadj.subscriptions_due('2026-05-15', '2026-06-15', 'renew');
SELECT billadj.charge_subscriptions('2026-06-01', 'renew');
SELECT lower(valid), upper(valid), priced_at FROM billadj.term WHERE account = 'renew' AND superseded_at IS NULL ORDER BY valid;
SELECT component, amount FROM charged WHERE account = 'renew' AND period = '2026-06-01';
SELECT action, effective_at, amount FROM billadj.raise_prices('team', '2026-06-05', 'grandfather', '2026-06-05') WHERE account = 'team-1';
SELECT action, effective_at, amount FROM billadj.raise_prices('team', '2026-06-05', 'at_once', '2026-06-05') WHERE account = 'team-1';
SELECT billadj.add_milestone(:s, 'data migrated', '2026-06-20', 750) AS m \gset
SELECT due_at, what, detail, amount FROM billadj.subscriptions_due('2026-06-15', '2026-06-25', 'renew') WHERE what = 'milestone';
SELECT billadj.reach_milestone(:m, '2026-06-18'), billadj.reach_milestone(:m, '2026-06-19');
SELECT period, posted, amount, cause FROM charged WHERE account = 'renew' AND cause = 'milestone';

-- ---- a host's own table ----
CREATE SCHEMA crm;
SELECT action FROM billadj.import_plan('{"plan": "seat", "currency": "USD", "prices": [{"component": "seats", "model": "per_unit", "unit_amount": 10}]}');
CREATE TABLE crm.contract (id integer PRIMARY KEY, customer text NOT NULL, plan_name text, seats integer, note text, ended_at timestamptz);
INSERT INTO crm.contract VALUES (1, 'crm-1', 'ten', 1), (2, 'crm-2', 'seat', 3);
SELECT step, action, object, lock, done FROM billadj.attach_subscriptions('crm.contract', account => 'customer', plan => 'plan_name', quantity => 'seats', ends_at => 'ended_at', dry_run => true);
SELECT count(*) FROM billadj.attach_subscriptions('crm.contract', account => 'customer', plan => 'plan_name', quantity => 'seats', ends_at => 'ended_at');
SELECT * FROM billadj.subscription_gap('crm.contract');
SELECT billadj.sync_subscriptions('crm.contract'), billadj.sync_subscriptions('crm.contract');
INSERT INTO crm.contract VALUES (3, 'crm-3', 'twenty', 1), (4, 'crm-4', 'seat', 2);
UPDATE crm.contract SET note = 'nobody is told';
UPDATE crm.contract SET plan_name = 'twenty' WHERE id = 1;
UPDATE crm.contract SET plan_name = 'twenty' WHERE id = 1;
UPDATE crm.contract SET seats = seats + 2 WHERE plan_name = 'seat';
UPDATE crm.contract SET ended_at = now() WHERE id = 3;
DELETE FROM crm.contract WHERE id = 4;
SELECT c.account, c.kind, c.change ->> 'plan' AS plan, c.change ->> 'quantity' AS quantity FROM billadj.subscription_change c WHERE c.account LIKE 'crm-%' ORDER BY c.change_id;
-- at the same instant as they began, nothing is left of what was charged before
SELECT account, plan, component, quantity, sum(amount) FROM charged WHERE account LIKE 'crm-%' GROUP BY 1, 2, 3, 4 HAVING sum(amount) <> 0 ORDER BY 1, 2, 3, 4;
UPDATE crm.contract SET plan_name = 'no such plan' WHERE id = 1;
SELECT * FROM billadj.subscription_gap('crm.contract');
UPDATE crm.contract SET plan_name = 'ten' WHERE id = 1;
SELECT * FROM billadj.subscription_gap('crm.contract');
SELECT action FROM billadj.detach_subscriptions('crm.contract');
SELECT * FROM billadj.subscription_gap('crm.contract');
DROP SCHEMA crm CASCADE;

-- ---- usage prices of a plan: a card of the account's own, split where the plan changes ----
SELECT action, object FROM billadj.import_plan('{"plan": "metered", "currency": "USD", "prices": [{"component": "calls", "kind": "usage", "meter": "sub_call", "model": "per_unit", "unit_amount": "0.10"}]}');
SELECT action, object FROM billadj.import_plan('{"plan": "bulk", "currency": "USD", "prices": [{"component": "calls", "kind": "usage", "meter": "sub_call", "model": "per_unit", "unit_amount": "0.01"}, {"model": "flat", "flat_amount": 50}]}');
SELECT billadj.subscribe('metered', 'metered', '2026-04-01', as_of => '2026-04-01') AS s \gset
SELECT line_plan, component, amount FROM billadj.change_plan(:s, 'bulk', '2026-04-11', as_of => '2026-04-11');
SELECT p.meter, p.valid, p.terms FROM billadj.price p JOIN billadj.rate_card k USING (rate_card_id) WHERE k.account = 'metered' ORDER BY p.valid;
SELECT count(*) FROM billadj.cancel(:s, '2026-05-01', as_of => '2026-04-20');
SELECT p.meter, p.valid FROM billadj.price p JOIN billadj.rate_card k USING (rate_card_id) WHERE k.account = 'metered' ORDER BY p.valid;

-- by aggregation: split, or of each part for its share
SELECT a.name, u.part, u.quantity, u.numerator, u.denominator
  FROM unnest('{sum,count,max,unique,latest}'::text[]) WITH ORDINALITY AS a(name, n)
 CROSS JOIN LATERAL billadj.segment_usage(a.name, '[2026-04-01,2026-05-01)', '{"[2026-04-01,2026-04-11)","[2026-04-11,2026-05-01)"}',
    '[{"at": "2026-04-02", "quantity": 7, "key": "a"}, {"at": "2026-04-10 23:00", "quantity": 5, "key": "a"}, {"at": "2026-04-11", "quantity": 3, "key": "a"}, {"at": "2026-04-30", "quantity": 4, "key": "b"}]') u
 ORDER BY a.n, u.part;

-- ---- bills and revenue ----
SELECT line, kind, description, covers, quantity, amount, rounded FROM billadj.bill_preview('fix-dec', '[2027-01-06,2027-02-06)');
SELECT billadj.bill_preview_csv('fix-dec', '[2027-01-06,2027-02-06)');
SELECT jsonb_pretty(billadj.bill_preview_json('fix-half', '[2026-04-01,2026-05-01)') #> '{lines,1}');
SELECT plan, quantity, amount FROM billadj.mrr('2026-04-15') WHERE account IN ('team-1', 'billed', 'longer') ORDER BY account;
SELECT plan, quantity, amount FROM billadj.mrr('2026-05-15') WHERE account IN ('team-1', 'billed', 'longer') ORDER BY account;
SELECT month_start::date, opening + new + expansion + contraction + churn + reactivation = closing AS reconciles FROM billadj.mrr_movements('2026-01-01', '2026-09-01');
SELECT * FROM billadj.lapsed_but_billing;

-- ---- nothing is too long ago to be charged ----
SELECT billadj.charge_horizon(), count(*) FROM billadj.subscription_run;
SELECT billadj.charge_subscriptions('2026-06-01', since => '2026-05-01') >= 0 AS ran, billadj.charge_horizon();
SELECT billadj.charge_subscriptions('2026-06-01') >= 0 AS ran, billadj.charge_horizon();
SELECT billadj.charge_subscriptions('2027-02-01') > 0 AS charged, billadj.charge_horizon();
SELECT billadj.charge_subscriptions('2027-02-01') AS again, billadj.charge_subscriptions('2026-09-01') AS earlier, billadj.charge_horizon();
SELECT at, since, charged_until, charges > 0 AS charged FROM billadj.subscription_run ORDER BY run_id;
-- subscribed since, and long before
SELECT billadj.subscribe('late', 'ten', '2025-12-01', charge => false) AS late \gset
SELECT billadj.charge_horizon(), billadj.charge_horizon('late'), billadj.charge_horizon('fix-half');
SELECT due_at, what, amount FROM billadj.subscriptions_due('2027-01-15', '2027-03-15', 'late') LIMIT 3;
SELECT billadj.charge_subscriptions('2027-02-01') AS charged, billadj.charge_horizon() AS then;
SELECT count(*), min(period), max(period), sum(amount) FROM charged WHERE account = 'late';
-- a price that was imported since, for the time of a term
SELECT billadj.import_plan('{"plan": "ten", "currency": "USD", "prices": [{"component": "support", "model": "flat", "flat_amount": 1}]}', '[2025-11-01,2026-01-01)') \g /dev/null
SELECT billadj.charge_horizon('late'), billadj.charge_subscriptions('2027-02-01') AS charged;
SELECT component, count(*), min(period), max(posted) FROM charged WHERE account = 'late' GROUP BY component ORDER BY component;
UPDATE billadj.subscription_run SET charged_until = '2000-01-01';

-- ---- billed although no term calls for it ----
SELECT billadj.subscribe('lapsed', 'ten', '2026-04-01', as_of => '2026-04-01') AS lapsed \gset
UPDATE billadj.term SET superseded_at = now(), superseded_by = 0 WHERE account = 'lapsed';
SELECT account, period_start, amount FROM billadj.lapsed_but_billing;
SET row_security = off;
INSERT INTO billadj.adjustment (account, adjustment_id, request_id, charge_id, period_start, posted_period_start, delta, currency, cause, affects, applied_by, applied_at)
SELECT account, 2, 2, charge_id, period_start, period_start, -4, currency, 'credit', 'billed', 'somebody', '2026-04-02' FROM billadj.charge WHERE account = 'lapsed';
RESET row_security;
SELECT account, period_start, amount FROM billadj.lapsed_but_billing;

-- ---- explained ----
SELECT jsonb_pretty(e.explained - '{charge_id,created_at,created_by,term,plan_price,same_line}'::text[]) AS explained, e.explained #>> '{plan_price,component}' AS component,
       e.explained #>> '{term,plan}' AS plan, jsonb_array_length(e.explained -> 'same_line') AS same_line
  FROM billadj.charge c CROSS JOIN LATERAL billadj.explain_charge(c.charge_id) AS e(explained)
 WHERE c.account = 'fix-31' ORDER BY c.charge_id LIMIT 2;

-- ---- what is refused ----
SELECT * FROM billadj.change_plan(:s, 'no such plan');
SELECT * FROM billadj.change_plan(0, 'ten');
SELECT * FROM billadj.change_subscription(:s, '{"kind": "plan", "plan": "ten", "colour": "red"}');
SELECT * FROM billadj.change_subscription(:s, '{"kind": "gift"}');
SELECT * FROM billadj.change_quantity(:s, 'NaN');
SELECT * FROM billadj.change_quantity(:s, 2, '2020-01-01');
SELECT * FROM billadj.pause(:s, '2026-06-18', until => '2026-06-01');
SELECT billadj.subscribe('no', 'ten', '2026-01-01', ends_at => '2025-01-01');
SELECT billadj.subscribe('no', 'ten', '2026-01-01', time_zone => 'Mars/Olympus');
SELECT * FROM billadj.mrr_movements('2026-01-01', '2026-09-01', time_zone => 'UTC+3');
SELECT billadj.subscribe('zone-2', 'ten', '2026-04-01', as_of => '2026-04-01') AS s \gset
SELECT * FROM billadj.change_subscription(:s, '{"kind": "zone", "time_zone": "Mars/Olympus"}', '2026-04-02');
SELECT * FROM billadj.change_subscription(:s, '{"kind": "zone"}', '2026-04-02');
-- other periods begin before the clocks of the new zone are there
SELECT count(*) FROM billadj.change_subscription(:s, '{"kind": "anchor", "at": "2026-05-01 03:00"}', '2026-04-03');
SELECT * FROM billadj.change_subscription(:s, '{"kind": "zone", "time_zone": "America/New_York", "at": "2026-05-01"}', '2026-04-04');
INSERT INTO billadj.term (account, subscription_id, term_id, valid, plan, priced_at, change_id)
SELECT account, subscription_id, 0, valid, plan, priced_at, change_id FROM billadj.term WHERE account = 'renew' AND superseded_at IS NULL LIMIT 1;
UPDATE billadj.term SET quantity = 2 WHERE account = 'renew' AND superseded_at IS NULL;

-- ---- the oracle: charges are their totals, and a fresh run finds nothing ----
SELECT t.account, t.subscription_id, t.period_start FROM billadj.recurring_total t
  FULL JOIN (SELECT c.account, c.subscription_id, c.period_start, c.plan_price_id, c.quantity, (c.basis ->> 'full_amount')::numeric AS full_amount, sum(c.amount) AS amount
               FROM billadj.charge c WHERE c.plan_price_id IS NOT NULL GROUP BY 1, 2, 3, 4, 5, 6) c USING (account, subscription_id, period_start, plan_price_id, quantity, full_amount)
 WHERE t.amount IS DISTINCT FROM c.amount;

DROP VIEW charged;
DROP FUNCTION flat;
SELECT count(*) >= 0 AS uninstalled FROM billadj.uninstall(keep_data => false);
SELECT count(*) > 0 AS installed FROM billadj.install();
