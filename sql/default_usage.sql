-- billadj.usage: usage of who has no table of his own for it, attached like any
-- other.
\set SHOW_CONTEXT never
SET timezone = 'UTC';
SET datestyle = 'ISO';
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS billadj;
SELECT count(*) >= 0 AS uninstalled FROM billadj.uninstall(keep_data => false);
SELECT count(*) > 0 AS installed FROM billadj.install();
SELECT count(*) AS prices FROM billadj.import_rate_card('{"code": "list", "currency": "USD", "prices": [
    {"meter": "call", "model": "per_unit", "unit_amount": 0.25},
    {"meter": "gb", "model": "graduated", "tiers": [{"up_to": 10, "unit_amount": 1}, {"unit_amount": 0.5}]}]}', '[2015-01-01,)');

-- rows that come before it is attached are kept, and rated by backfill()
INSERT INTO billadj.usage (account, event_key, meter, quantity, occurred_at) VALUES ('early', 'e1', 'call', 4, '2026-03-01');
SELECT count(*) FROM billadj.charge;
SELECT action, object, lock, done FROM billadj.attach('billadj.usage', account => 'account', occurred_at => 'occurred_at',
    meter => 'meter', quantity => 'quantity');
SELECT relation, state, account, occurred_at, event_key, measures, triggers FROM billadj.attached;
SELECT * FROM billadj.rating_gap('billadj.usage');
CALL billadj.backfill('billadj.usage');
SELECT account, event_key, amount, cause FROM billadj.charge;

-- an operator writes usage, the same event once; a reader does not
SET ROLE billadj_operator;
INSERT INTO billadj.usage (account, event_key, meter, quantity, occurred_at, dimensions)
VALUES ('acme', 'e1', 'gb', 8, '2026-03-02', '{"region": "eu"}'), ('acme', 'e2', 'gb', 8, '2026-03-03', '{}'), ('acme', 'e3', 'unknown', 1, '2026-03-03', '{}');
INSERT INTO billadj.usage (account, event_key, meter, quantity, occurred_at) VALUES ('acme', 'e1', 'gb', 8, '2026-03-02')
    ON CONFLICT DO NOTHING;
INSERT INTO billadj.usage (account, event_key, meter, quantity, occurred_at) VALUES ('acme', 'e1', 'gb', 8, '2026-03-09');
-- another account's event of the same name is another event
INSERT INTO billadj.usage (account, event_key, meter, quantity, occurred_at) VALUES ('zeta', 'e1', 'gb', 8, '2026-03-02');
DELETE FROM billadj.usage;
SET ROLE billadj_reader;
SELECT count(*) FROM billadj.usage;
INSERT INTO billadj.usage (account, meter, quantity) VALUES ('acme', 'gb', 8);
RESET ROLE;
SELECT account, event_key, meter, quantity, quantity_before, amount, cause FROM billadj.charge ORDER BY charge_id;
SELECT account, event_key, message FROM billadj.parked_usage;

-- defaults: now, and a key of its own
INSERT INTO billadj.usage (account, meter, quantity) VALUES ('now', 'call', 1), ('now', 'call', 1);
SELECT count(*), count(DISTINCT event_key), min(occurred_at) > now() - interval '1 minute' AS just_now, sum(amount)
  FROM billadj.charge WHERE account = 'now';

-- corrections are made in the usage
UPDATE billadj.usage SET meter = 'gb' WHERE event_key = 'e3';
UPDATE billadj.usage SET quantity = 2 WHERE account = 'acme' AND event_key = 'e2';
UPDATE billadj.usage SET dimensions = '{"region": "us"}' WHERE account = 'acme';
DELETE FROM billadj.usage WHERE account = 'zeta';
TRUNCATE billadj.usage;
SELECT account, meter, sum(quantity) AS quantity, sum(amount) AS amount FROM billadj.charge WHERE account <> 'now' GROUP BY account, meter ORDER BY account, meter;
SELECT account, quantity, amount, rows FROM billadj.meter_total WHERE account IN ('acme', 'zeta') ORDER BY account;
SELECT * FROM billadj.rating_gap('billadj.usage');
SELECT severity, code, message FROM billadj.self_check()
 WHERE severity = 'error';

-- detached, it stays, and may be attached again
SELECT count(*) > 0 AS detached FROM billadj.detach('billadj.usage');
INSERT INTO billadj.usage (account, event_key, meter, quantity, occurred_at) VALUES ('late', 'e1', 'call', 4, '2026-03-01');
SELECT count(*) FROM billadj.charge WHERE account = 'late';
-- with the tables it goes
SELECT count(*) > 0 AS uninstalled FROM billadj.uninstall(keep_data => false);
SELECT to_regclass('billadj.usage') IS NULL AS gone;
SELECT count(*) > 0 AS installed FROM billadj.install();
