-- An UPDATE or a DELETE of usage is charged as the difference to what was
-- charged; no charge is ever changed.  Each part ends with the whole ledger
-- recomputed from the host tables.
\set SHOW_CONTEXT never
SET timezone = 'UTC';
SET datestyle = 'ISO';
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS billadj;
SELECT count(*) >= 0 AS uninstalled FROM billadj.uninstall(keep_data => false);
SELECT count(*) > 0 AS installed FROM billadj.install();
\getenv abs_srcdir PG_ABS_SRCDIR
\set rate_oracle :abs_srcdir '/test/oracle/rate_oracle.sql'
\set ledger_oracle :abs_srcdir '/test/oracle/ledger_oracle.sql'
\set ECHO none
\i :rate_oracle
\i :ledger_oracle
\set ECHO all
CREATE SCHEMA host;
SET search_path = host, public;

-- the charges behind the last one that was looked at
CREATE TABLE mark AS SELECT 0::bigint AS charge_id;
CREATE FUNCTION new_charges() RETURNS TABLE (account text, event_key text, measure text, meter text, period date, quantity numeric,
    before numeric, amount numeric, rows smallint, cause text, basis jsonb) LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY SELECT c.account::text, c.event_key::text, c.measure::text, c.meter::text, c.period_start::date, c.quantity, c.quantity_before,
                        c.amount, c.row_count, c.cause, c.basis
      FROM billadj.charge c WHERE c.charge_id > (SELECT m.charge_id FROM mark m) ORDER BY c.charge_id;
    UPDATE mark SET charge_id = (SELECT coalesce(max(c.charge_id), 0) FROM billadj.charge c);
END $$;

SELECT count(*) FROM billadj.import_rate_card('{"code": "list", "currency": "USD", "prices": [
    {"meter": "call", "model": "per_unit", "unit_amount": 0.25},
    {"meter": "gb", "model": "graduated", "tiers": [{"up_to": 10, "unit_amount": 1, "flat_amount": 2}, {"up_to": null, "unit_amount": 0.5}]},
    {"meter": "base", "model": "graduated", "zero_quantity": "first_tier_flat", "tiers": [{"up_to": 10, "unit_amount": 1, "flat_amount": 5}, {"up_to": null, "unit_amount": 0.5}]},
    {"meter": "visit", "model": "flat", "flat_amount": 9},
    {"meter": "seat", "model": "volume", "tiers": [{"up_to": 5, "unit_amount": 10}, {"up_to": null, "unit_amount": 8}]},
    {"meter": "strict", "model": "per_unit", "unit_amount": 1, "negative": "reject"},
    {"meter": "in", "model": "per_unit", "unit_amount": 2.5, "per": 1000000, "rounding": {"stage": "row", "mode": "half_up", "step": 0.01}},
    {"meter": "out", "model": "per_unit", "unit_amount": 10, "per": 1000000, "rounding": {"stage": "row", "mode": "half_up", "step": 0.01}}]}', '[2015-01-01,)');
CREATE TABLE calls (id integer PRIMARY KEY, who text, at timestamptz, what text, n numeric, note text);
SELECT count(*) FROM billadj.attach('calls', 'who', 'at', 'what', 'n');

-- ---- each mapped column ----

INSERT INTO calls VALUES (1, 'ann', '2026-05-01', 'gb', 8), (2, 'ann', '2026-05-02', 'gb', 8), (3, 'ann', '2026-05-03', 'call', 4);
SELECT count(*) FROM new_charges();
UPDATE calls SET n = 10 WHERE id = 2;
UPDATE calls SET n = 6 WHERE id = 3;
UPDATE calls SET who = 'bob' WHERE id = 1;
UPDATE calls SET what = 'gb' WHERE id = 3;
UPDATE calls SET at = '2026-06-01' WHERE id = 2;
UPDATE calls SET id = 20 WHERE id = 2;
UPDATE calls SET who = 'cyd', what = 'call', at = '2026-07-01', n = 1, id = 10 WHERE id = 1;
UPDATE calls SET n = 0 WHERE id = 3;
UPDATE calls SET n = -2 WHERE id = 3;
SELECT account, event_key, meter, period, quantity, before, amount, rows, cause FROM new_charges();
SELECT * FROM oracle.differences();

-- nothing is posted where nothing that counts has changed
UPDATE calls SET note = 'x', n = n * 1.000, at = at AT TIME ZONE 'Asia/Tokyo' AT TIME ZONE 'Asia/Tokyo';
UPDATE calls SET n = n WHERE id = 3;
UPDATE calls SET n = 99 WHERE false;
UPDATE calls SET at = at + interval '1 hour' WHERE id = 3;
SELECT * FROM new_charges();

-- several at once; keys that change places: rows meet by key, never by position
CREATE TABLE pairs (id integer PRIMARY KEY DEFERRABLE, who text, at timestamptz, what text, n numeric);
SELECT count(*) FROM billadj.attach('pairs', 'who', 'at', 'what', 'n');
INSERT INTO pairs SELECT g, 'ann', '2026-08-01', CASE g % 2 WHEN 0 THEN 'gb' ELSE 'call' END, g FROM generate_series(101, 104) AS g;
SELECT count(*) FROM new_charges();
UPDATE pairs SET n = n + id - 100 WHERE id BETWEEN 101 AND 104;
BEGIN;
SET CONSTRAINTS ALL DEFERRED;
UPDATE pairs SET id = CASE id WHEN 102 THEN 104 WHEN 104 THEN 102 WHEN 101 THEN 103 ELSE 101 END WHERE id BETWEEN 101 AND 104;
COMMIT;
-- by key: 102 and 104 have changed by as much as they differ
SELECT account, event_key, meter, quantity, before, amount, rows, cause FROM new_charges();
-- a chain: every row takes the key of the next
UPDATE pairs SET id = id + 1 WHERE id BETWEEN 101 AND 104;
SELECT account, event_key, meter, quantity, before, amount, rows, cause FROM new_charges();
SELECT * FROM oracle.differences();

-- two statements, one row, one transaction; and what a savepoint undoes
BEGIN;
INSERT INTO calls VALUES (200, 'tom', '2026-05-01', 'gb', 4);
UPDATE calls SET n = 12 WHERE id = 200;
SAVEPOINT a;
UPDATE calls SET n = 100, who = 'ann' WHERE id = 200;
DELETE FROM calls WHERE id = 200;
ROLLBACK TO a;
UPDATE calls SET n = 11 WHERE id = 200;
DELETE FROM calls WHERE id = 200;
INSERT INTO calls VALUES (200, 'tom', '2026-05-01', 'gb', 5);
COMMIT;
SELECT account, event_key, meter, quantity, before, amount, rows, cause FROM new_charges();
SELECT * FROM oracle.differences();

-- a cursor, a join, a writable CTE, an upsert, a MERGE
BEGIN;
DECLARE c CURSOR FOR SELECT * FROM calls WHERE id = 200 FOR UPDATE;
FETCH c;
UPDATE calls SET n = 6 WHERE CURRENT OF c;
COMMIT;
UPDATE calls c SET n = v.n FROM (VALUES (200, 7), (200, 7), (3, 1)) AS v(id, n) WHERE c.id = v.id;
WITH gone AS (DELETE FROM calls WHERE id = 3 RETURNING *) UPDATE calls SET n = calls.n + gone.n FROM gone WHERE calls.id = 200;
MERGE INTO calls USING (VALUES (200, 9), (201, 3)) AS v(id, n) ON calls.id = v.id
WHEN MATCHED THEN UPDATE SET n = v.n WHEN NOT MATCHED THEN INSERT (id, who, at, what, n) VALUES (v.id, 'tom', '2026-05-01', 'gb', v.n);
SELECT account, event_key, meter, quantity, before, amount, rows, cause FROM new_charges();
SELECT * FROM oracle.differences();

-- ---- to a bad value, and back ----

INSERT INTO calls VALUES (300, 'bad', '2026-05-01', 'gb', 4), (301, 'bad', '2026-05-01', 'gb', 4), (302, 'bad', '2026-05-01', 'call', 4);
SELECT count(*) FROM new_charges();
UPDATE calls SET n = 'NaN' WHERE who = 'bad';
UPDATE calls SET note = 'still bad' WHERE who = 'bad';
SELECT event_key, sqlstate, message, resolution FROM billadj.parked_usage ORDER BY event_key;
SELECT event_key, meter, quantity, before, amount, rows, cause FROM new_charges();
SELECT * FROM oracle.differences();
UPDATE calls SET what = 'tape', n = 5 WHERE id = 300;
UPDATE calls SET n = 5 WHERE id = 301;
DELETE FROM calls WHERE id = 302;
SELECT event_key, sqlstate, message, resolution FROM billadj.parked_usage ORDER BY event_key, parked_at;
UPDATE calls SET what = 'gb' WHERE id = 300;
INSERT INTO calls VALUES (302, 'bad', '2026-05-01', 'call', 4);
SELECT event_key, meter, quantity, before, amount, rows, cause FROM new_charges();
-- parked first, bad in one month, good in another
INSERT INTO calls VALUES (303, 'bad', '2026-05-01', 'strict', -4);
UPDATE calls SET at = '2026-06-01' WHERE id = 303;
UPDATE calls SET n = 4 WHERE id = 303;
SELECT event_key, meter, period, quantity, amount, rows, cause FROM new_charges();
SELECT event_key, count(*), count(*) FILTER (WHERE resolution IS NULL) AS waiting FROM billadj.parked_usage GROUP BY event_key ORDER BY event_key;
SELECT * FROM oracle.differences();

-- ---- the last row of a key ----

-- f of nothing is not due, first tier flat or not; and due again with the next row
INSERT INTO calls SELECT 400 + g, 'empty', '2026-05-01', m, n FROM unnest(ARRAY['base', 'gb', 'visit', 'seat'], ARRAY[4, 4, 1, 6]) WITH ORDINALITY AS v(m, n, g);
INSERT INTO calls VALUES (410, 'empty', '2026-05-01', 'base', 0);
DELETE FROM calls WHERE who = 'empty' AND id < 410;
SELECT event_key, meter, quantity, before, amount, rows, cause, basis FROM new_charges();
SELECT meter, quantity, amount, rows FROM billadj.meter_total WHERE account = 'empty' ORDER BY meter;
DELETE FROM calls WHERE id = 410;
INSERT INTO calls SELECT 400 + g, 'empty', '2026-05-01', m, n FROM unnest(ARRAY['base', 'gb', 'visit', 'seat'], ARRAY[0, 12, 2, 5]) WITH ORDINALITY AS v(m, n, g);
SELECT event_key, meter, quantity, before, amount, rows, cause, basis FROM new_charges();
SELECT * FROM oracle.differences();

-- ---- a host row that was never rated stays a gap ----

SET billadj.enabled = off;
INSERT INTO calls VALUES (500, 'gap', '2026-05-01', 'gb', 4), (501, 'gap', '2026-05-01', 'gb', 4), (502, 'gap', '2026-05-01', 'gb', 'NaN');
RESET billadj.enabled;
UPDATE calls SET n = 5 WHERE id IN (500, 502);
DELETE FROM calls WHERE id = 501;
UPDATE calls SET id = 503 WHERE id = 502;
SELECT event_key, meter, quantity, amount, cause FROM new_charges();
SELECT account, event_key FROM billadj.rating_gap('calls') ORDER BY event_key;
CALL billadj.backfill('calls');
SELECT event_key, meter, quantity, amount, cause FROM new_charges();
SELECT * FROM oracle.differences();

-- ---- cascades of the host ----

CREATE TABLE customer (id text PRIMARY KEY);
CREATE TABLE used (id integer PRIMARY KEY, who text REFERENCES customer ON UPDATE CASCADE ON DELETE CASCADE, at date, n numeric,
    payer text REFERENCES customer ON UPDATE CASCADE ON DELETE SET NULL);
SELECT count(*) FROM billadj.attach('used', 'who', 'at', 'gb', 'n');
INSERT INTO customer VALUES ('c1'), ('c2'), ('c3');
INSERT INTO used VALUES (1, 'c1', '2026-05-01', 6), (2, 'c1', '2026-05-01', 6), (3, 'c2', '2026-05-01', 6);
UPDATE used SET payer = 'c1' WHERE id = 3;
SELECT count(*) FROM new_charges();
UPDATE customer SET id = 'c9' WHERE id = 'c1';
UPDATE customer SET id = CASE id WHEN 'c2' THEN 'c4' ELSE 'c5' END WHERE id IN ('c2', 'c9');
DELETE FROM customer WHERE id = 'c5';
SELECT account, event_key, quantity, before, amount, rows, cause FROM new_charges();
SELECT * FROM oracle.differences();

-- ---- a wide table whose rows are rounded as a whole ----

CREATE TABLE tokens (id integer PRIMARY KEY, who text, at timestamptz, t_in numeric, t_out numeric);
SELECT count(*) FROM billadj.attach('tokens', 'who', 'at', measures => '{"in": "t_in", "out": "t_out"}');
-- 0.00985 and 0.0006, 0.01202 and 0.00010, 0.0025 and 0.0025: one cent each
INSERT INTO tokens VALUES (1, 'tok', '2026-05-01', 3940, 60), (2, 'tok', '2026-05-01', 4808, 10), (3, 'tok', '2026-05-01', 1000, 250);
SELECT event_key, measure, quantity, amount, rows, cause, basis FROM new_charges();
UPDATE tokens SET t_out = 1060 WHERE id = 1;
UPDATE tokens SET t_in = 4809 WHERE id = 2;
UPDATE tokens SET t_in = NULL WHERE id = 3;
SELECT event_key, measure, quantity, amount, rows, cause, basis FROM new_charges();
SELECT event_key, measure, sqlstate, message FROM billadj.parked_usage WHERE resolved_at IS NULL ORDER BY 1, 2;
SELECT * FROM oracle.differences();
UPDATE tokens SET t_in = 3000 WHERE id = 3;
UPDATE tokens SET at = '2026-06-01' WHERE id = 1;
UPDATE tokens SET who = 'kot' WHERE id = 2;
DELETE FROM tokens WHERE id = 1;
SELECT event_key, measure, account, quantity, amount, rows, cause FROM new_charges();
SELECT * FROM oracle.differences();

-- ---- what changed around the row ----

-- another price for its time, another time zone: the row is taken back where it was and charged where it is
INSERT INTO calls VALUES (600, 'move', '2026-05-01 03:00', 'call', 1), (601, 'move', '2026-05-01 03:00', 'gb', 1);
SELECT count(*) FROM new_charges();
INSERT INTO billadj.account (account, time_zone) VALUES ('move', 'America/Lima');
SELECT count(*) FROM billadj.import_rate_card('{"code": "deal", "account": "move", "currency": "USD", "prices": [{"meter": "call", "model": "per_unit", "unit_amount": 0.10}]}', '[2015-01-01,)');
UPDATE calls SET n = 2 WHERE who = 'move';
SELECT event_key, meter, period, quantity, amount, rows, cause FROM new_charges();
SELECT * FROM oracle.differences();

-- ---- any changes in any order: the oracle, and no charge ever changed ----

CREATE TABLE kept AS SELECT * FROM billadj.charge;
SELECT setseed(0.75);
DO $$
DECLARE
    meters text[] := ARRAY['call', 'gb', 'base', 'visit', 'seat', 'strict', 'none'];
    key integer;
BEGIN
    FOR i IN 1..600 LOOP
        key := 1000 + (random() * 60)::integer;
        BEGIN
            CASE (random() * 6)::integer
            WHEN 0, 1 THEN
                INSERT INTO calls VALUES (key, 'r' || (random() * 2)::integer, '2026-05-01'::timestamptz + random() * 60 * interval '1 day',
                                          meters[1 + (random() * 6)::integer], round((random() * 30 - 4)::numeric, 2)) ON CONFLICT DO NOTHING;
            WHEN 2 THEN UPDATE calls SET n = CASE WHEN random() < 0.1 THEN 'NaN' ELSE round((random() * 30 - 4)::numeric, 1) END WHERE calls.id BETWEEN key AND key + 3;
            WHEN 3 THEN UPDATE calls SET who = 'r' || (random() * 2)::integer, what = meters[1 + (random() * 6)::integer] WHERE calls.id = key;
            WHEN 4 THEN UPDATE calls SET at = at + (random() * 30 - 15) * interval '1 day' WHERE calls.id BETWEEN key AND key + 5;
            WHEN 5 THEN DELETE FROM calls WHERE calls.id = key;
            ELSE UPDATE calls SET id = calls.id + 100 * CASE WHEN calls.id > 1100 THEN -1 ELSE 1 END WHERE calls.id % 100 = key % 100 AND calls.id >= 1000;
            END CASE;
            IF random() < 0.1 THEN
                RAISE division_by_zero;
            END IF;
        EXCEPTION WHEN division_by_zero OR unique_violation THEN NULL;
        END;
    END LOOP;
END $$;
SELECT * FROM oracle.differences();
SELECT count(*) AS changed FROM (SELECT * FROM kept EXCEPT ALL SELECT * FROM billadj.charge) AS d;
SELECT count(*) > 200 AS rated, count(DISTINCT cause) AS causes FROM billadj.charge c WHERE account LIKE 'r_' AND NOT EXISTS (SELECT FROM kept k WHERE k.charge_id = c.charge_id);
SELECT * FROM billadj.rating_gap('calls');

-- ---- charges are never updated ----

CREATE FUNCTION refused(statement text) RETURNS TABLE (code text, message text) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement;
    RETURN QUERY SELECT '00000', NULL;
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT;
    RETURN NEXT;
END $$;
SELECT s.statement, r.* FROM (VALUES
    (1, 'UPDATE billadj.charge SET amount = 0'), (2, 'DELETE FROM billadj.charge WHERE false'), (3, 'TRUNCATE billadj.charge'),
    (4, 'UPDATE billadj.charge_default SET amount = 0'), (5, 'TRUNCATE billadj.charge_default'), (6, 'TRUNCATE billadj.tier_total'),
    (7, 'UPDATE billadj.price SET terms = ''{"model": "flat"}'''), (8, 'DELETE FROM billadj.price_tier')) AS s(line, statement), LATERAL refused(s.statement) AS r
ORDER BY s.line;
SET session_replication_role = replica;
DELETE FROM billadj.charge;
RESET session_replication_role;
SET ROLE billadj_operator;
UPDATE billadj.charge SET amount = 0;
INSERT INTO billadj.tier_total VALUES (now(), 1, 'x', 'x', '', 1, 1, 1);
RESET ROLE;
SELECT * FROM oracle.differences();
DROP SCHEMA host, oracle CASCADE;
SELECT count(*) > 0 AS uninstalled FROM billadj.uninstall(keep_data => false);
SELECT count(*) > 0 AS installed FROM billadj.install();
