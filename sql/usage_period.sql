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
-- the periods of usage are those that recurring charges have
SELECT count(*) FILTER (WHERE u.period = p.period) AS same, count(*)
  FROM billadj.subscription s
 CROSS JOIN LATERAL billadj.subscription_periods(s.account, s.subscription_id, '2026-01-01', '2026-12-01') p
 CROSS JOIN LATERAL billadj.usage_period(s.account, '', lower(p.period)) u
 WHERE s.account IN ('ann', 'nyc', 'shift');

-- ---- the plan changes within the period: each price its own count, from its own zero ----
SELECT billadj.subscribe('split', 'metered', '2026-05-15', as_of => '2026-05-15') AS s \gset
INSERT INTO calls VALUES (51, 'split', '2026-05-16', 'gb', 12);                             -- 10 * 2 + 2 * 1
SELECT count(*) FROM billadj.change_plan(:s, 'bulk', '2026-05-25', as_of => '2026-05-25');
INSERT INTO calls VALUES (52, 'split', '2026-05-24', 'gb', 3), (53, 'split', '2026-06-01', 'gb', 15);   -- 3 * 1; 10 * 0.4 + 5 * 0.1
SELECT event_key, period_start, quantity_before, amount FROM billadj.charge WHERE account = 'split' AND meter IS NOT NULL ORDER BY event_key;
SELECT kind, meter, component, period_start, quantity, amount FROM billadj.bill_preview('split', '[2026-05-15,2026-06-15)') WHERE kind <> 'total';

-- ---- backfill, parked usage, shadow: the same periods ----
SELECT count(*) FROM billadj.pause('calls');
INSERT INTO calls VALUES (61, 'ann', '2026-05-30', 'gb', 8), (62, 'ann', '2026-05-31', 'gb', 8), (63, 'ann', '2026-05-31', 'strange', 8);
SELECT count(*) FROM billadj.resume('calls');
SELECT event_key FROM billadj.rating_gap('calls') ORDER BY 1;
CALL billadj.backfill('calls');
SELECT count(*) FROM billadj.import_rate_card('{"code": "more", "currency": "USD", "prices": [{"meter": "strange", "model": "per_unit", "unit_amount": 1}]}', '[2015-01-01,)');
SELECT tried, charged, still_parked FROM billadj.retry_parked('calls');
SELECT event_key, period_start, amount, cause FROM billadj.charge WHERE event_key IN ('61', '62', '63') ORDER BY event_key;
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

-- as it was found
DROP SCHEMA host CASCADE;
SELECT count(*) > 0 AS uninstalled FROM billadj.uninstall(keep_data => false);
SELECT count(*) > 0 AS installed FROM billadj.install();
