-- Usage falls in the periods of the account's subscription: where these are
-- counted from another day, in another zone, where they change, and where one
-- of several plans prices the meter.  Amounts are small enough to check by hand.
\set SHOW_CONTEXT never
SET timezone = 'UTC';
SET datestyle = 'ISO, MDY';
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS billadj;
SELECT count(*) >= 0 AS uninstalled FROM billadj.uninstall(keep_data => false);
SELECT count(*) > 0 AS installed FROM billadj.install();
CREATE SCHEMA host;
SET search_path = host, public;

-- 1 each up to 10 of a period, 0.5 each beyond; a call is 0.25
SELECT count(*) FROM billadj.import_rate_card('{"code": "list", "currency": "USD", "prices": [
    {"meter": "gb", "model": "graduated", "tiers": [{"up_to": 10, "unit_amount": 1}, {"up_to": null, "unit_amount": 0.5}]},
    {"meter": "call", "model": "per_unit", "unit_amount": 0.25}]}', '[2015-01-01,)');
SELECT count(*) FROM billadj.import_plan('{"plan": "basic", "currency": "USD", "prices": [{"model": "flat", "flat_amount": 20}]}');
SELECT count(*) FROM billadj.import_plan('{"plan": "metered", "currency": "USD", "prices": [{"model": "flat", "flat_amount": 20},
    {"component": "data", "kind": "usage", "meter": "gb", "model": "graduated", "tiers": [{"up_to": 10, "unit_amount": 2}, {"up_to": null, "unit_amount": 1}]}]}');
SELECT count(*) FROM billadj.import_plan('{"plan": "bulk", "currency": "USD", "prices": [{"model": "flat", "flat_amount": 50},
    {"component": "data", "kind": "usage", "meter": "gb", "model": "graduated", "tiers": [{"up_to": 10, "unit_amount": 0.4}, {"up_to": null, "unit_amount": 0.1}]}]}');
CREATE TABLE calls (id integer PRIMARY KEY, who text, at timestamptz, what text, n numeric);
SELECT count(*) FROM billadj.attach('calls', 'who', 'at', 'what', 'n');
-- what was charged net, by period
CREATE VIEW charged AS
SELECT c.account, c.meter, c.period_start, sum(c.quantity) AS quantity, sum(c.amount) AS amount, sum(c.row_count) AS rows
  FROM billadj.charge c WHERE c.meter IS NOT NULL
 GROUP BY c.account, c.meter, c.period_start
HAVING sum(c.row_count) <> 0 OR sum(c.amount) <> 0
 ORDER BY c.account, c.meter, c.period_start;
-- each charge lies in the period of its row as it is now, once
CREATE VIEW misplaced AS
SELECT r.id, r.who, r.at, c.period_start, lower(u.period) AS should_be
  FROM calls r
  CROSS JOIN LATERAL billadj.usage_period(r.who, r.what, r.at) u
  LEFT JOIN (SELECT c.event_key, c.period_start FROM billadj.charge c WHERE c.meter IS NOT NULL AND c.event_key IS NOT NULL
              GROUP BY c.event_key, c.period_start HAVING sum(c.row_count) <> 0) c ON c.event_key = r.id::text
 WHERE c.period_start IS DISTINCT FROM lower(u.period);

-- ---- an anchor on the 31st: the count of tiers begins with the subscription's period ----
SELECT billadj.subscribe('ann', 'basic', '2026-01-31', as_of => '2026-01-31') AS s \gset
INSERT INTO calls VALUES
    (1, 'ann', '2026-01-30 23:59:59.999999', 'gb', 8),     -- before it begins: January
    (2, 'ann', '2026-01-31 00:00', 'gb', 8), (3, 'ann', '2026-02-27 23:59:59', 'gb', 8),   -- 8, 2 + 6 * 0.5
    (4, 'ann', '2026-02-28 00:00', 'gb', 8), (5, 'ann', '2026-03-30', 'gb', 4),            -- 8, 2 + 2 * 0.5
    (6, 'ann', '2026-03-31', 'gb', 20), (7, 'ann', '2026-04-29 12:00', 'call', 4), (8, 'ann', '2026-04-30', 'call', 4);
SELECT event_key, period_start, quantity_before, amount FROM billadj.charge WHERE account = 'ann' AND meter IS NOT NULL ORDER BY event_key;
SELECT * FROM charged WHERE account = 'ann';
SELECT * FROM misplaced;
SELECT at, u.subscription_id = :s AS of_subscription, u.period FROM unnest('{2026-01-30,2026-01-31,2026-02-28,2026-04-29,2026-04-30}'::timestamptz[]) AS at, billadj.usage_period('ann', 'gb', at) u;
-- the bill of a period has all of it
SELECT kind, meter, period_start, quantity, amount FROM billadj.bill_preview('ann', '[2026-01-31,2026-02-28)') WHERE kind <> 'total';
SELECT meter, period_start, quantity, amount, rows FROM billadj.meter_total WHERE account = 'ann' ORDER BY meter COLLATE "C", period_start;
-- a difference goes where the row's charge went; a row that moves, moves
UPDATE calls SET n = 12 WHERE id = 2;
DELETE FROM calls WHERE id = 4;
UPDATE calls SET at = '2026-03-15' WHERE id = 1;
SELECT event_key, period_start, quantity, amount, cause FROM billadj.charge WHERE account = 'ann' AND cause IN ('update', 'delete') ORDER BY charge_id;
SELECT * FROM charged WHERE account = 'ann';
SELECT * FROM misplaced;

-- ---- New York: local midnights, and the day of 23 hours ----
SELECT billadj.subscribe('nyc', 'basic', '2026-02-08 00:00 America/New_York', time_zone => 'America/New_York', as_of => '2026-02-08 12:00') AS s \gset
INSERT INTO calls VALUES
    (11, 'nyc', '2026-03-08 04:59:59', 'gb', 9),           -- still the 7th there
    (12, 'nyc', '2026-03-08 05:00', 'gb', 9), (13, 'nyc', '2026-03-09 03:59:59', 'gb', 1), (14, 'nyc', '2026-04-08 03:59:59', 'gb', 2),
    (15, 'nyc', '2026-04-08 04:00', 'gb', 9);              -- summer time by then
SELECT * FROM charged WHERE account = 'nyc';
SELECT * FROM misplaced;

-- ---- trial, pause, end ----
SELECT billadj.subscribe('life', 'basic', '2026-05-10', trial => '14 days', as_of => '2026-05-10') AS s \gset
SELECT count(*) FROM billadj.pause(:s, '2026-06-20', '2026-07-05', as_of => '2026-06-01');
SELECT count(*) FROM billadj.cancel(:s, '2026-07-20', as_of => '2026-06-02');
INSERT INTO calls VALUES (21, 'life', '2026-05-09', 'gb', 1), (22, 'life', '2026-05-11', 'gb', 1), (23, 'life', '2026-06-19', 'gb', 1), (24, 'life', '2026-06-20', 'gb', 1),
    (25, 'life', '2026-07-04', 'gb', 1), (26, 'life', '2026-07-05', 'gb', 1), (27, 'life', '2026-07-19', 'gb', 1), (28, 'life', '2026-07-20', 'gb', 1);
SELECT event_key, period_start FROM billadj.charge WHERE account = 'life' AND meter IS NOT NULL ORDER BY event_key;
SELECT * FROM misplaced;

-- ---- several: the plan that prices the meter, else the oldest ----
SELECT billadj.subscribe('two', 'basic', '2026-05-05', as_of => '2026-05-05') AS old \gset
SELECT billadj.subscribe('two', 'metered', '2026-05-20', as_of => '2026-05-20') AS new \gset
INSERT INTO calls VALUES (31, 'two', '2026-05-12', 'gb', 20), (32, 'two', '2026-05-21', 'gb', 20), (33, 'two', '2026-05-21', 'call', 4),
    (34, 'two', '2026-06-21', 'gb', 20), (35, 'two', '2026-06-21', 'call', 4);
SELECT * FROM charged WHERE account = 'two';
SELECT m AS meter, u.subscription_id = :old AS oldest, u.subscription_id = :new AS newest FROM unnest('{gb,call,nothing}'::text[]) AS m, billadj.usage_period('two', m, '2026-06-21') u;

-- ---- a measure each, in one row ----
CREATE TABLE hours (id integer PRIMARY KEY, who text, at timestamptz, gb numeric, call numeric);
SELECT count(*) FROM billadj.attach('hours', 'who', 'at', measures => '{"gb": "gb", "call": "call"}');
INSERT INTO hours VALUES (1001, 'two', '2026-07-07', 3, 8);
SELECT measure, period_start, amount FROM billadj.charge WHERE account = 'two' AND measure IN ('gb', 'call') AND event_key = '1001' ORDER BY measure;

-- ---- other periods come: an anchor, a zone, a length ----
SELECT billadj.subscribe('shift', 'basic', '2026-05-01', as_of => '2026-05-01') AS s \gset
INSERT INTO calls VALUES (41, 'shift', '2026-05-10', 'gb', 8);
SELECT count(*) FROM billadj.change_subscription(:s, '{"kind": "anchor", "at": "2026-05-16", "anchor": "2026-05-20"}', '2026-05-16');
INSERT INTO calls VALUES (42, 'shift', '2026-05-15', 'gb', 8), (43, 'shift', '2026-05-16', 'gb', 8), (44, 'shift', '2026-05-20', 'gb', 8);
SELECT count(*) FROM billadj.change_subscription(:s, '{"kind": "zone", "time_zone": "Asia/Tokyo"}', '2026-06-01');
INSERT INTO calls VALUES (45, 'shift', '2026-06-19 14:59', 'gb', 8), (46, 'shift', '2026-06-19 15:00', 'gb', 8), (47, 'shift', '2026-06-20', 'gb', 8);
SELECT * FROM charged WHERE account = 'shift';
SELECT * FROM misplaced;
-- to the west: the hours up to the new midnight belong to the period that ends
SELECT billadj.subscribe('west', 'basic', '2026-05-01', as_of => '2026-05-01') AS s \gset
SELECT count(*) FROM billadj.change_subscription(:s, '{"kind": "zone", "time_zone": "America/New_York"}', '2026-05-16');
INSERT INTO calls VALUES (48, 'west', '2026-06-01 02:00', 'gb', 8), (49, 'west', '2026-05-31 23:00', 'gb', 8), (50, 'west', '2026-06-01 04:00', 'gb', 8);
SELECT * FROM charged WHERE account = 'west';
-- the periods of usage are those that recurring charges have
SELECT count(*) FILTER (WHERE u.period = p.period) AS same, count(*)
  FROM billadj.subscription s
 CROSS JOIN LATERAL billadj.subscription_periods(s.account, s.subscription_id, '2026-01-01', '2026-12-01') p
 CROSS JOIN LATERAL billadj.usage_period(s.account, '', lower(p.period)) u
 WHERE s.account IN ('ann', 'nyc', 'shift', 'west');

-- ---- the plan changes within the period: each price its own count, from its own zero ----
SELECT billadj.subscribe('split', 'metered', '2026-05-15', as_of => '2026-05-15') AS s \gset
INSERT INTO calls VALUES (51, 'split', '2026-05-16', 'gb', 12);                             -- 10 * 2 + 2 * 1
SELECT count(*) FROM billadj.change_plan(:s, 'bulk', '2026-05-25', as_of => '2026-05-25');
INSERT INTO calls VALUES (52, 'split', '2026-05-24', 'gb', 3), (53, 'split', '2026-06-01', 'gb', 15);   -- 3 * 1; 10 * 0.4 + 5 * 0.1
SELECT event_key, period_start, quantity_before, amount FROM billadj.charge WHERE account = 'split' AND meter IS NOT NULL ORDER BY event_key;
SELECT kind, meter, component, period_start, quantity, amount FROM billadj.bill_preview('split', '[2026-05-15,2026-06-15)') WHERE kind <> 'total';

-- what is one figure of the whole period is owed for each part's share of that period
SELECT g.part, g.quantity, g.numerator, g.denominator
  FROM billadj.usage_period('split', 'gb', '2026-05-20') u
 CROSS JOIN LATERAL billadj.segment_usage('max', u.period, ARRAY[tstzrange(lower(u.period), '2026-05-25'), tstzrange('2026-05-25', upper(u.period))],
    (SELECT jsonb_agg(jsonb_build_object('at', r.at, 'quantity', r.n, 'key', r.id)) FROM calls r WHERE r.who = 'split')) g
 ORDER BY g.part;

-- ---- backfill, parked usage, shadow: the same periods ----
SELECT count(*) FROM billadj.pause('calls');
INSERT INTO calls VALUES (61, 'ann', '2026-05-30', 'gb', 8), (62, 'ann', '2026-05-31', 'gb', 8), (63, 'ann', '2026-05-31', 'strange', 8);
SELECT count(*) FROM billadj.resume('calls');
SELECT event_key FROM billadj.rating_gap('calls') ORDER BY 1;
CALL billadj.backfill('calls');
SELECT count(*) FROM billadj.import_rate_card('{"code": "more", "currency": "USD", "prices": [{"meter": "strange", "model": "per_unit", "unit_amount": 1}]}', '[2015-01-01,)');
SELECT tried, charged, still_parked FROM billadj.retry_parked('calls');
SELECT event_key, period_start, amount, cause FROM billadj.charge WHERE event_key IN ('61', '62', '63') ORDER BY event_key;
-- a period whose charges have left is nobody's gap, though its end is in a month that is kept
SELECT count(*) FROM billadj.pause('calls');
INSERT INTO calls VALUES (64, 'split', '2026-07-02', 'gb', 1), (65, 'ann', '2026-07-02', 'gb', 1);
SELECT count(*) FROM billadj.resume('calls');
BEGIN;
INSERT INTO billadj.instance (charges_from) VALUES ('2026-07-01');
SELECT event_key FROM billadj.rating_gap('calls') ORDER BY 1;
SELECT r.charges FROM billadj.attachment a, billadj.rate_blocks('calls', a.attachment_id, 0, 10) r WHERE a.relation_name = 'calls';
ROLLBACK;
CALL billadj.backfill('calls');
SELECT event_key, period_start FROM billadj.charge WHERE event_key IN ('64', '65') ORDER BY event_key;
CREATE TABLE bills (id integer PRIMARY KEY, who text, at timestamptz, what text, n numeric, cost numeric);
SELECT count(*) FROM billadj.attach('bills', 'who', 'at', 'what', 'n', mode => 'shadow', compare => 'cost');
INSERT INTO bills VALUES (1, 'ann', '2026-05-30', 'gb', 8, 8), (2, 'ann', '2026-05-31', 'gb', 8, 8);
SELECT event_key, period_start, amount FROM billadj.shadow_charge ORDER BY event_key;
-- explained, and computed again
SELECT count(*) AS explained, count(*) FILTER (WHERE billadj.replay(billadj.explain_charge(c.charge_id)) <> c.amount) AS differ
  FROM billadj.charge c WHERE c.meter IS NOT NULL;
SELECT * FROM misplaced;

-- ---- what is kept is forgotten when a timeline changes, also by rollback ----
BEGIN;
SELECT billadj.subscribe('rolled', 'basic', '2026-05-15', as_of => '2026-05-15') AS s \gset
INSERT INTO calls VALUES (71, 'rolled', '2026-05-16', 'gb', 1);
SELECT period_start FROM billadj.charge WHERE event_key = '71';
ROLLBACK;
INSERT INTO calls VALUES (71, 'rolled', '2026-05-16', 'gb', 1);
SELECT period_start FROM billadj.charge WHERE event_key = '71';
BEGIN;
SAVEPOINT a;
SELECT billadj.subscribe('rolled', 'basic', '2026-05-15', as_of => '2026-05-15') AS s \gset
ROLLBACK TO a;
INSERT INTO calls VALUES (72, 'rolled', '2026-05-16', 'gb', 1);
COMMIT;
SELECT period_start FROM billadj.charge WHERE event_key = '72';

-- ---- a plan that is changed for a time past: what was charged is rated anew ----
SELECT billadj.subscribe('back', 'metered', '2026-05-15', as_of => '2026-05-15') AS s \gset
INSERT INTO calls VALUES (81, 'back', '2026-05-16', 'gb', 12), (82, 'back', '2026-05-26', 'gb', 10), (83, 'back', '2026-06-01', 'gb', 5), (84, 'back', '2026-06-16', 'gb', 4);
-- 22, 10, 5 and, in the next period, 8; from 25 May on it should be 10 * 0.4, 5 * 0.1 and 4 * 0.4
SELECT component, period_start::date, posted_period_start::date AS posted, quantity, amount, cause, routed
  FROM billadj.preview_change(:s, '{"kind": "plan", "plan": "bulk", "at": "2026-05-25"}', '2026-06-20');
SELECT * FROM charged WHERE account = 'back';
SELECT component, period_start::date, posted_period_start::date AS posted, line_quantity, amount, cause, routed
  FROM billadj.change_plan(:s, 'bulk', '2026-05-25', as_of => '2026-06-20');
SELECT event_key, period_start::date, posted_period_start::date AS posted, quantity, amount, cause FROM billadj.charge WHERE account = 'back' AND cause = 'correction' ORDER BY charge_id;
SELECT * FROM charged WHERE account = 'back';
SELECT kind, meter, period_start::date, quantity, amount FROM billadj.bill_preview('back', '[2026-06-15,2026-07-15)') WHERE kind <> 'total';
-- each price by itself is f of its quantity
SELECT m.period_start::date, m.quantity, m.amount, m.amount = billadj.rate(billadj.price_document(m.price_id), m.quantity) AS exact
  FROM billadj.meter_total m WHERE m.account = 'back' AND m.rows > 0 ORDER BY 1, 2;
-- once more finds nothing; a row that changes later is charged by the new price
SELECT count(*) FROM billadj.rerate_usage('back', '2026-01-01');
UPDATE calls SET n = 8 WHERE id = 84;
SELECT event_key, quantity, amount, cause FROM billadj.charge WHERE account = 'back' AND cause = 'update' ORDER BY charge_id;
-- undone: the same to the cent, also of what was scheduled
SELECT component, period_start::date, quantity, amount, routed FROM billadj.change_subscription(:s, '{"kind": "undo"}', '2026-06-21') WHERE component LIKE 'usage%';
SELECT * FROM charged WHERE account = 'back';
SELECT valid, terms IS NOT NULL AS priced FROM billadj.price p JOIN billadj.rate_card k USING (rate_card_id) WHERE k.account = 'back' ORDER BY p.price_id;
SELECT count(*) FROM billadj.change_plan(:s, 'bulk', '2026-07-15', as_of => '2026-06-22');
SELECT count(*) FROM billadj.change_subscription(:s, '{"kind": "undo"}', '2026-06-23');
SELECT count(*) FROM billadj.change_plan(:s, 'bulk', '2026-07-10', as_of => '2026-06-24');
SELECT valid FROM billadj.price p JOIN billadj.rate_card k USING (rate_card_id) WHERE k.account = 'back' ORDER BY p.price_id;
INSERT INTO calls VALUES (85, 'back', '2026-07-09', 'gb', 1), (86, 'back', '2026-07-10', 'gb', 1);
SELECT event_key, period_start::date, amount FROM billadj.charge WHERE event_key IN ('85', '86') ORDER BY event_key;
-- a withdrawn price, which has no beginning, stands in nobody's way
SELECT billadj.subscribe('old', 'metered', '1999-05-15', as_of => '1999-05-15', charge => false) AS s \gset
SELECT count(*) FROM billadj.change_plan(:s, 'bulk', '1999-06-01', as_of => '1999-05-20');
SELECT count(*) FROM billadj.change_subscription(:s, '{"kind": "undo"}', '1999-05-21');
INSERT INTO calls VALUES (87, 'old', '2000-02-01', 'gb', 2);
SELECT period_start, amount FROM billadj.charge WHERE event_key = '87';
-- a row whose periods changed to and fro, for a time to come, is found where it is charged
SELECT billadj.subscribe('fro', 'basic', '2090-01-15', as_of => '2090-01-15', charge => false) AS s \gset
INSERT INTO calls VALUES (88, 'fro', '2090-03-20', 'gb', 1);
SELECT count(*) > 0 AS made FROM billadj.maintain();
SELECT count(*) FROM billadj.change_subscription(:s, '{"kind": "anchor", "at": "2090-02-10", "anchor": "2090-02-25"}', '2090-01-16');
UPDATE calls SET n = 2 WHERE id = 88;
SELECT count(*) > 0 AS made FROM billadj.maintain();
SELECT count(*) FROM billadj.change_subscription(:s, '{"kind": "undo"}', '2090-01-17');
UPDATE calls SET n = 3 WHERE id = 88;
SELECT event_key, period_start, quantity, amount FROM billadj.charge WHERE event_key = '88' ORDER BY charge_id;
SELECT * FROM charged WHERE account = 'fro';
-- a subscription that began before it was known, and one that ended before
SELECT billadj.subscribe('late', 'basic', '2026-05-01', as_of => '2026-05-01') AS s \gset
INSERT INTO calls VALUES (91, 'late', '2026-05-12', 'gb', 12), (92, 'later', '2026-05-12', 'gb', 12), (93, 'later', '2026-06-03', 'gb', 12);
SELECT count(*) FROM billadj.cancel(:s, '2026-05-10', as_of => '2026-05-20');
SELECT billadj.subscribe('later', 'metered', '2026-05-10', as_of => '2026-06-05') AS s \gset
SELECT * FROM charged WHERE account IN ('late', 'later');
-- an anchor and a pause of the past move what was charged to other periods
SELECT count(*) FROM billadj.change_subscription(:s, '{"kind": "anchor", "at": "2026-06-01", "anchor": "2026-06-01"}', '2026-06-10');
SELECT count(*) FROM billadj.pause(:s, '2026-06-02', '2026-06-05', as_of => '2026-06-11');
SELECT * FROM charged WHERE account IN ('late', 'later');
SELECT * FROM misplaced;
-- what has no price any more waits
INSERT INTO calls VALUES (94, 'gone', '2026-05-12', 'rare', 3);
SELECT count(*) FROM billadj.import_plan('{"plan": "rare", "currency": "USD", "prices": [{"component": "r", "kind": "usage", "meter": "rare", "model": "per_unit", "unit_amount": 1}]}');
SELECT billadj.subscribe('gone', 'rare', '2026-05-01', as_of => '2026-05-13') AS s \gset
SELECT charged FROM billadj.retry_parked('calls');
SELECT component, quantity, amount FROM billadj.cancel(:s, '2026-05-10', as_of => '2026-05-20');
SELECT event_key, message FROM billadj.parked_usage WHERE account = 'gone' AND resolved_at IS NULL;
SELECT component, quantity, amount FROM billadj.change_subscription(:s, '{"kind": "undo"}', '2026-05-21');
SELECT charged FROM billadj.retry_parked('calls');
SELECT * FROM charged WHERE account = 'gone';

-- ---- of several that price a meter the oldest; when it ends, the next ----
SELECT billadj.subscribe('both', 'metered', '2026-05-05', as_of => '2026-05-05') AS s \gset
SELECT billadj.subscribe('both', 'bulk', '2026-05-20', as_of => '2026-05-20') AS t \gset
INSERT INTO calls VALUES (101, 'both', '2026-05-21', 'gb', 10);
SELECT count(*) FROM billadj.cancel(:s, '2026-06-01', as_of => '2026-06-01');
INSERT INTO calls VALUES (102, 'both', '2026-06-01', 'gb', 10);
SELECT event_key, period_start::date, amount FROM billadj.charge WHERE account = 'both' AND meter IS NOT NULL ORDER BY event_key;
-- what is renewed goes on before it is
SELECT billadj.subscribe('renewed', 'metered', '2026-05-05', ends_at => '2026-06-05', renew_every => '1 month', as_of => '2026-05-05') AS s \gset
INSERT INTO calls VALUES (103, 'renewed', '2026-06-04', 'gb', 6), (104, 'renewed', '2026-06-05', 'gb', 6), (105, 'renewed', '2026-07-06', 'gb', 6);
SELECT event_key, period_start::date, amount FROM billadj.charge WHERE account = 'renewed' AND meter IS NOT NULL ORDER BY event_key;
SELECT billadj.charge_subscriptions('2026-07-07', 'renewed') > 0 AS charged;
SELECT count(*) FROM billadj.charge WHERE account = 'renewed' AND cause = 'correction';

-- ---- what exceeds the policy waits for a person, once ----
INSERT INTO billadj.change_policy (currency, max_credit) VALUES ('USD', 15);
SELECT billadj.subscribe('big', 'metered', '2026-05-15', as_of => '2026-05-15') AS s \gset
INSERT INTO calls VALUES (111, 'big', '2026-05-26', 'gb', 20), (112, 'big', '2026-06-20', 'gb', 4);
SELECT component, amount, routed FROM billadj.preview_change(:s, '{"kind": "plan", "plan": "bulk", "at": "2026-05-25"}', '2026-06-21') WHERE component LIKE 'usage%';
SELECT component, amount, routed FROM billadj.change_plan(:s, 'bulk', '2026-05-25', as_of => '2026-06-21') WHERE line_plan IS NULL;
SELECT * FROM charged WHERE account = 'big';
SELECT kind, delta, cause, period_start::date, target - 'change_id' - 'subscription_id' AS target, charge_id IS NOT NULL AS of_charge FROM billadj.proposal WHERE account = 'big' AND target ? 'meter' ORDER BY proposal_id;
-- again: nothing new; a difference to what was proposed is one more proposal
SELECT count(*) FROM billadj.rerate_usage('big', '2026-01-01');
SELECT component, amount, routed FROM billadj.change_subscription(:s, '{"kind": "undo"}', '2026-06-22') WHERE plan IS NULL;
SELECT period_start::date, sum(delta) FROM billadj.proposal WHERE account = 'big' AND target ? 'meter' GROUP BY 1 ORDER BY 1;
DELETE FROM billadj.change_policy;

-- ---- very many subscriptions: each account's is looked up when its usage comes ----
INSERT INTO billadj.subscription (account, subscription_id, currency, starts_at) SELECT 'many-' || i, 1000000 + i, 'USD', '2026-05-10' FROM generate_series(1, 3000) AS i;
INSERT INTO billadj.term (account, subscription_id, term_id, valid, plan, priced_at, change_id)
SELECT 'many-' || i, 1000000 + i, 2000000 + i, '[2026-05-10,)', 'basic', '2026-05-10', 3000000 + i FROM generate_series(1, 3000) AS i;
INSERT INTO billadj.billing_cycle (account, subscription_id, cycle_id, valid, anchor, every, time_zone, change_id)
SELECT 'many-' || i, 1000000 + i, 2000000 + i, '[2026-05-10,)', '2026-05-10', '1 month', 'UTC', 3000000 + i FROM generate_series(1, 3000) AS i;
SELECT pg_relation_size('billadj.term') / current_setting('block_size')::integer > 16 AS large;
INSERT INTO calls VALUES (121, 'many-7', '2026-06-11', 'gb', 1), (122, 'many-8', '2026-06-09', 'gb', 1), (123, 'nobody', '2026-06-11', 'gb', 1), (124, 'ann', '2026-06-29', 'gb', 1);
INSERT INTO calls VALUES (125, 'nobody', '2026-06-12', 'gb', 1), (126, 'many-7', '2026-06-12', 'gb', 1), (127, 'two', '2026-06-21', 'gb', 1), (128, 'two', '2026-06-21', 'call', 1);
SELECT count(*) FROM billadj.cancel(1000007, '2026-06-15', as_of => '2026-06-15');
INSERT INTO calls VALUES (129, 'many-7', '2026-06-14', 'gb', 1), (130, 'many-7', '2026-06-15', 'gb', 1);
SELECT event_key, account, meter, period_start::date FROM billadj.charge WHERE event_key::integer BETWEEN 121 AND 130 ORDER BY event_key;
SELECT * FROM misplaced;

-- ---- who may ----
SELECT r AS role, has_function_privilege(r, 'billadj.rerate_usage(text, timestamptz, timestamptz)', 'EXECUTE') AS rerates,
       has_function_privilege(r, 'billadj.rerate_rows(text[], timestamptz, timestamptz)', 'EXECUTE') AS rows,
       has_function_privilege(r, 'billadj.usage_period(text, text, timestamptz)', 'EXECUTE') AS looks
  FROM unnest('{billadj_admin,billadj_operator,billadj_reader,billadj_privacy}'::text[]) AS r;
BEGIN READ ONLY;
SELECT count(*) FROM billadj.preview_change(:s, '{"kind": "plan", "plan": "bulk", "at": "2026-05-25"}', '2026-06-21');
ROLLBACK;
-- two usage prices of one meter would be one too many
SELECT * FROM billadj.import_plan('{"plan": "double", "currency": "USD", "prices": [{"component": "a", "kind": "usage", "meter": "gb", "model": "per_unit", "unit_amount": 1},
    {"component": "b", "kind": "usage", "meter": "gb", "model": "per_unit", "unit_amount": 2}]}');
-- explained: whose period, and that a price was withdrawn
SELECT c.event_key, e.e #>> '{billing_period,subscription_id}' IS NOT NULL AS of_subscription, e.e #>> '{billing_period,from}' AS "from", e.e #>> '{billing_period,to}' AS "to",
       e.e #>> '{price,withdrawn}' AS withdrawn
  FROM billadj.charge c CROSS JOIN LATERAL billadj.explain_charge(c.charge_id) AS e(e)
 WHERE c.event_key IN ('21', '22') OR c.event_key = '82' AND c.cause = 'correction' ORDER BY c.charge_id;
-- differences are explained and computed again like any other charge
SELECT count(*) > 20 AS explained, count(*) FILTER (WHERE billadj.replay(billadj.explain_charge(c.charge_id)) <> c.amount) AS differ
  FROM billadj.charge c WHERE c.cause = 'correction';
-- the card of a plan follows the timeline, nothing else
UPDATE billadj.price SET valid = '[2026-01-01,)' WHERE price_id = (SELECT min(p.price_id) FROM billadj.price p JOIN billadj.rate_card k USING (rate_card_id) WHERE k.account = 'back');
SELECT * FROM misplaced;
SET client_min_messages = error;
DROP SCHEMA host CASCADE;
SELECT count(*) > 0 AS uninstalled FROM billadj.uninstall(keep_data => false);
SELECT count(*) > 0 AS installed FROM billadj.install();
