-- Bad input and broken installations never lose a host row: what cannot be rated
-- is parked with its reason, or left as a gap that is told of.  Each part ends
-- with the whole ledger recomputed from the host tables.
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

SELECT count(*) FROM billadj.import_rate_card('{"code": "list", "currency": "USD", "prices": [
    {"meter": "call", "model": "per_unit", "unit_amount": 0.25},
    {"meter": "gb", "model": "graduated", "tiers": [{"up_to": 10, "unit_amount": 1, "flat_amount": 2}, {"up_to": null, "unit_amount": 0.5}]},
    {"meter": "strict", "model": "per_unit", "unit_amount": 1, "negative": "reject"},
    {"meter": "fine", "model": "per_unit", "unit_amount": 0.12345678901234567890123456789}]}', '[2015-01-01,)');
SELECT count(*) FROM billadj.import_rate_card('{"code": "old", "currency": "USD", "priority": 1, "prices": [
    {"meter": "gone", "model": "per_unit", "unit_amount": 1}]}', '[2015-01-01,2020-01-01)');
INSERT INTO billadj.account (account, time_zone) VALUES ('tokyo', 'Asia/Tokyo'), ('lima', 'America/Lima');

-- nothing in the host table forbids anything
CREATE TABLE calls (id text UNIQUE, who text, at timestamptz, what text, n numeric, note text);
SELECT count(*) FROM billadj.attach('calls', 'who', 'at', 'what', 'n', event_key => '{id}');

-- ---- one statement: bad rows among good ones ----

INSERT INTO calls (id, who, at, what, n) VALUES
    ('a good one',      'ann',  '2026-05-01', 'call', 4),
    ('quantity null',   'ann',  '2026-05-01', 'gb', NULL),
    ('quantity NaN',    'ann',  '2026-05-01', 'gb', 'NaN'),
    ('quantity inf',    'ann',  '2026-05-01', 'gb', 'Infinity'),
    ('quantity -inf',   'ann',  '2026-05-01', 'call', '-Infinity'),
    ('quantity 39 dig', 'ann',  '2026-05-01', 'gb', 123456789012345678901234567890123456789),
    ('quantity 1e1000', 'ann',  '2026-05-01', 'call', 1e1000),
    ('quantity 1e-1001', 'ann', '2026-05-01', 'call', 1e-1001),
    ('quantity 38 dig', 'huge', '2026-05-01', 'gb', 12345678901234567890123456789012345678),
    ('and one more',    'huge', '2026-05-01', 'gb', 90000000000000000000000000000000000000),
    ('and a half',      'huge', '2026-05-01', 'gb', 0.5),
    ('amount too fine', 'ann',  '2026-05-01', 'fine', 1.2345678901234567),
    ('quantity neg',    'ann',  '2026-05-01', 'strict', -1),
    ('time null',       'ann',  NULL,         'gb', 1),
    ('time inf',        'ann',  'infinity',   'gb', 1),
    ('time -inf',       'ann',  '-infinity',  'gb', 1),
    ('time last',       'tokyo', '294276-12-31 23:00', 'call', 1),
    ('time last utc',   'ann',  '294276-12-31 23:59:59.999999', 'call', 1),
    ('time first',      'lima', '4714-11-24 00:00 BC', 'call', 1),
    ('time first utc',  'ann',  '4714-11-24 00:00 BC', 'call', 1),
    ('time year 9999',  'lima', '10000-01-01 04:59:59', 'call', 1),
    ('time year 10000', 'lima', '10000-01-01 05:00', 'call', 1),
    ('meter null',      'ann',  '2026-05-01', NULL, 1),
    ('meter empty',     'ann',  '2026-05-01', '', 1),
    ('meter long',      'ann',  '2026-05-01', repeat('m', 1001), 1),
    ('meter unknown',   'ann',  '2026-05-01', 'tape', 1),
    ('price gone',      'ann',  '2026-05-01', 'gone', 1),
    ('price not yet',   'ann',  '2014-12-31', 'call', 1),
    ('account null',    NULL,   '2026-05-01', 'gb', 1),
    ('account empty',   '',     '2026-05-01', 'gb', 1),
    ('account 1001',    repeat('a', 1001), '2026-05-01', 'call', 1),
    ('account 1000',    repeat('b', 1000), '2026-05-01', 'gb', 1),
    (NULL,              'null key', '2026-05-01', 'gb', 1),
    (repeat('k', 1001), 'long key', '2026-05-01', 'gb', 1),
    (repeat('j', 1000), 'key 1000', '2026-05-01', 'gb', 1),
    ('',                'empty key', '2026-05-01', 'gb', 1),
    ('several faults',  NULL,   'infinity',   NULL, 'NaN'),
    ('a last good one', 'ann',  '2026-05-01', 'gb', 0.5);
SELECT left(coalesce(event_key, '(null)'), 18) AS event_key, sqlstate, regexp_replace(message, 'm{99,}', 'mm…') AS message, hint
FROM billadj.parked_usage ORDER BY parked_at;
SELECT left(event_key, 18) AS event_key, length(event_key) AS length, left(account, 9) AS account, meter, left(quantity::text, 12) AS quantity, left(amount::text, 12) AS amount FROM billadj.charge ORDER BY charge_id;
-- the values that were read, for those who mend
SELECT mapped FROM billadj.parked_usage WHERE event_key IN ('quantity NaN', 'quantity 1e1000', 'time last', 'account null', 'several faults', 'time inf') ORDER BY parked_at;
SELECT (SELECT count(*) FROM calls) AS rows, (SELECT count(*) FROM billadj.charge) AS charged, (SELECT count(*) FROM billadj.parked_usage) AS parked;
SELECT left(event_key, 3) AS event_key, measure FROM billadj.rating_gap('calls');
SELECT * FROM oracle.differences();

-- ---- mended one by one: an UPDATE of the host row rates it ----

UPDATE calls SET n = 5 WHERE id IN ('quantity null', 'quantity NaN', 'quantity inf', 'quantity -inf', 'quantity 39 dig', 'quantity 1e-1001', 'and one more', 'quantity neg');
UPDATE calls SET at = '2026-05-02' WHERE id LIKE 'time%';
UPDATE calls SET what = 'call' WHERE id LIKE 'meter%' AND id <> 'meter unknown';
UPDATE calls SET who = 'ann' WHERE id LIKE 'account%';
UPDATE calls SET who = 'ann', at = '2026-05-02', what = 'gb' WHERE id = 'several faults';
-- rows without a key are known by their values
INSERT INTO calls VALUES (NULL, 'null key', '2026-05-01', 'gb', 1), (NULL, 'null key', '2026-05-01', 'gb', 2);
UPDATE calls SET note = 'no change' WHERE who = 'null key';
DELETE FROM calls WHERE who = 'null key' AND n = 2;
UPDATE calls SET id = 'a key at last' WHERE who = 'null key' AND ctid = (SELECT min(ctid) FROM calls WHERE who = 'null key');
UPDATE calls SET id = left(id, 9) WHERE who = 'long key';
SELECT mapped->>'account' AS account, mapped->>'quantity' AS quantity, resolution, count(*) FROM billadj.parked_usage WHERE event_key IS NULL GROUP BY 1, 2, 3 ORDER BY 1, 2, 3;
SELECT event_key, quantity FROM billadj.charge WHERE account IN ('null key', 'long key') ORDER BY charge_id;
SELECT event_key FROM billadj.rating_gap('calls');
SELECT event_key, sqlstate, message FROM billadj.parked_usage WHERE resolved_at IS NULL ORDER BY parked_at;
SELECT resolution, count(*) FROM billadj.parked_usage GROUP BY resolution ORDER BY resolution;
UPDATE calls SET n = 6 WHERE id = 'several faults';
DELETE FROM calls WHERE id = 'price not yet';
SELECT * FROM oracle.differences();

-- ---- mended by a price: retry_parked() ----

SELECT count(*) FROM billadj.import_rate_card('{"code": "late", "currency": "USD", "priority": 2, "prices": [
    {"meter": "tape", "model": "per_unit", "unit_amount": 2}, {"meter": "gone", "model": "graduated", "tiers": [{"up_to": null, "unit_amount": 3, "flat_amount": 1}]}]}', '[2026-01-01,)');
SELECT * FROM billadj.retry_parked('calls', 1);
SELECT * FROM billadj.retry_parked(max => 2);
SELECT * FROM billadj.retry_parked();
SELECT * FROM billadj.retry_parked();
SELECT event_key, sqlstate, attempts, resolved_at IS NOT NULL AS resolved, resolution FROM billadj.parked_usage
WHERE event_key IN ('meter unknown', 'price gone', 'and a half', 'amount too fine') ORDER BY event_key, parked_at;
SELECT event_key, cause, quantity, amount FROM billadj.charge WHERE meter IN ('tape', 'gone') ORDER BY charge_id;
SELECT * FROM oracle.differences();
SELECT * FROM billadj.retry_parked(max => 0);
SELECT * FROM billadj.retry_parked('billadj.charge');

-- of one table only
CREATE TABLE others (id integer PRIMARY KEY, who text, at timestamptz, what text, n numeric);
SELECT count(*) FROM billadj.attach('others', 'who', 'at', 'what', 'n');
INSERT INTO others VALUES (1, 'ann', '2026-05-01', 'reel', 1);
INSERT INTO calls (id, who, at, what, n) VALUES ('reel', 'ann', '2026-05-01', 'reel', 1);
SELECT count(*) FROM billadj.import_rate_card('{"code": "reel", "currency": "USD", "priority": 3, "prices": [{"meter": "reel", "model": "per_unit", "unit_amount": 2}]}', '[2026-01-01,)');
SELECT * FROM billadj.retry_parked('others');
SELECT a.relation, p.event_key FROM billadj.parked_usage p JOIN oracle.attached() a USING (attachment_id) WHERE p.mapped->>'meter' = 'reel' AND p.resolved_at IS NULL;
SELECT * FROM billadj.retry_parked();
SELECT * FROM oracle.differences();

-- ---- on_unpriced => 'reject': the statement fails with the code of its row ----

CREATE TABLE strict (id integer PRIMARY KEY, who text, at timestamptz, what text, n numeric);
SELECT count(*) FROM billadj.attach('strict', 'who', 'at', 'what', 'n', on_unpriced => 'reject');
CREATE FUNCTION refused(statement text) RETURNS TABLE (code text, message text, detail text, hint text) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement;
    RETURN QUERY SELECT '00000', NULL, NULL, NULL;
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RETURN NEXT;
END $$;
SELECT v.line, r.code, r.message, r.hint
FROM (VALUES (1, $$(1, 'ann', '2026-05-01', 'call', 1), (2, 'ann', '2026-05-01', 'vinyl', 1)$$),
             (2, $$(1, 'ann', '2010-05-01', 'call', 1)$$),
             (3, $$(1, 'ann', '2026-05-01', 'call', 'NaN')$$),
             (4, $$(1, 'ann', NULL, 'call', 1)$$),
             (5, $$(1, '', '2026-05-01', 'call', 1)$$),
             (6, $$(1, 'ann', '2026-05-01', 'strict', -1)$$),
             (7, $$(1, 'ann', '2026-05-01', 'call', 1)$$)) AS v(line, list), LATERAL refused('INSERT INTO strict VALUES ' || v.list) AS r
ORDER BY v.line;
SELECT * FROM refused($$UPDATE strict SET what = 'vinyl'$$) \gx
SELECT * FROM strict;
SELECT * FROM oracle.differences();

-- ---- a broken mapping: the whole row is kept ----

CREATE TABLE wide (id integer PRIMARY KEY, who text, at date, calls integer, gbs numeric, "odd name" text);
SELECT count(*) FROM billadj.attach('wide', 'who', 'at', measures => '{"call": "calls", "gb": "gbs"}');
INSERT INTO wide VALUES (1, 'wes', '2026-05-01', 1, 4, 'x');
ALTER TABLE wide RENAME gbs TO gigabytes;
INSERT INTO wide VALUES (2, 'wes', '2026-05-02', 2, 4, 'x'), (3, 'wes', '2026-05-02', 2, 'NaN', NULL);
UPDATE wide SET calls = 3 WHERE id = 1;
SELECT event_key, measure, sqlstate, message, mapped FROM billadj.parked_usage WHERE resolved_at IS NULL AND attachment_id = (SELECT attachment_id FROM oracle.attached() WHERE relation = 'wide'::regclass) ORDER BY event_key, measure;
SELECT code, message, fix_sql FROM billadj.self_check() WHERE severity = 'error';
SELECT * FROM billadj.rating_gap('wide');
SELECT * FROM billadj.retry_parked('wide');
SELECT action, sql FROM billadj.remap('wide', measures => '{"call": "calls", "gb": "gigabytes"}') WHERE action = 'note';
SELECT * FROM billadj.retry_parked('wide');
SELECT event_key, measure, sqlstate, message, attempts, resolution FROM billadj.parked_usage WHERE attachment_id = (SELECT attachment_id FROM oracle.attached() WHERE relation = 'wide'::regclass) ORDER BY event_key, measure;
SELECT event_key, measure, quantity, amount, cause FROM billadj.charge WHERE account = 'wes' ORDER BY charge_id;
SELECT * FROM oracle.differences();
-- a column of the key: such rows cannot be found again, until another key is named
CREATE TABLE keyless (id integer PRIMARY KEY, name text, who text, at date, n integer);
SELECT count(*) FROM billadj.attach('keyless', 'who', 'at', 'call', 'n');
ALTER TABLE keyless DROP COLUMN id;
INSERT INTO keyless VALUES ('k1', 'kim', '2026-05-03', 2), ('k2', 'kim', '2026-05-03', 4);
SELECT p.event_key, p.measure, p.sqlstate, p.message FROM billadj.parked_usage p JOIN oracle.attached() a USING (attachment_id) WHERE a.relation = 'keyless'::regclass;
SELECT code, message FROM billadj.self_check() WHERE severity = 'error';
SELECT action, sql FROM billadj.remap('keyless', event_key => '{name}') WHERE action = 'note';
SELECT event_key FROM billadj.rating_gap('keyless') ORDER BY event_key;
CALL billadj.backfill('keyless');
SELECT event_key, quantity, cause FROM billadj.charge WHERE account = 'kim' ORDER BY charge_id;
-- NULL in a key that could be named otherwise
CREATE TABLE numbered (no integer, tag text, who text, at date, n integer);
SELECT count(*) FROM billadj.attach('numbered', 'who', 'at', 'call', 'n', event_key => '{no}');
INSERT INTO numbered VALUES (NULL, 't1', 'num', '2026-05-03', 2), (NULL, 't2', 'num', '2026-05-03', 2), (NULL, 't3', 'num', '2026-05-03', 2);
SELECT count(*) FROM billadj.remap('numbered', event_key => '{tag}');
DELETE FROM numbered WHERE tag = 't3';
CALL billadj.backfill('numbered');
SELECT p.event_key, p.sqlstate, p.resolution FROM billadj.parked_usage p JOIN oracle.attached() a USING (attachment_id) WHERE a.relation = 'numbered'::regclass ORDER BY p.resolution;
SELECT event_key, quantity, cause FROM billadj.charge WHERE account = 'num' ORDER BY charge_id;
SELECT * FROM oracle.differences();

-- ---- what a superuser did: a price that is gone, with its guards off ----

INSERT INTO others VALUES (10, 'del', '2026-05-01', 'tape', 3), (11, 'del', '2026-05-01', 'gone', 3), (12, 'del', '2026-05-01', 'call', 3);
CREATE TABLE kept_price AS SELECT * FROM billadj.price WHERE meter IN ('tape', 'gone');
CREATE TABLE kept_tier AS SELECT * FROM billadj.price_tier WHERE price_id IN (SELECT price_id FROM kept_price);
SELECT g.table_name, g.trigger_name
  FROM billadj.guards() g
 WHERE g.table_name IN ('price', 'price_tier')
   AND NOT EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = format('billadj.%I', g.table_name)::regclass AND t.tgname = g.trigger_name);
DELETE FROM billadj.price WHERE meter = 'tape';
SET session_replication_role = replica;
DELETE FROM billadj.price_tier WHERE price_id IN (SELECT price_id FROM kept_price);
RESET session_replication_role;
BEGIN;
ALTER TABLE billadj.price DISABLE TRIGGER USER;
ALTER TABLE billadj.price_tier DISABLE TRIGGER USER;
DELETE FROM billadj.price_tier WHERE price_id IN (SELECT price_id FROM kept_price);
DELETE FROM billadj.price WHERE price_id IN (SELECT price_id FROM kept_price);
ALTER TABLE billadj.price ENABLE TRIGGER USER;
ALTER TABLE billadj.price_tier ENABLE TRIGGER USER;
COMMIT;
SELECT DISTINCT severity, code, fix_sql FROM billadj.self_check() WHERE code LIKE 'guard%';
SELECT count(*) > 0 AS mended FROM billadj.guard();
INSERT INTO others VALUES (20, 'del', '2026-05-01', 'tape', 1), (21, 'del', '2026-05-01', 'call', 1);
UPDATE others SET n = n + 1 WHERE who = 'del' AND id < 20;
BEGIN;
DELETE FROM others WHERE id = 11;
ROLLBACK;
SELECT event_key, sqlstate, message FROM billadj.parked_usage p JOIN oracle.attached() a USING (attachment_id) WHERE a.relation = 'others'::regclass AND resolved_at IS NULL ORDER BY event_key;
SELECT event_key, meter, quantity, amount, cause FROM billadj.charge WHERE account = 'del' ORDER BY charge_id;
-- back from a backup: what could not be taken back is taken back then
SET row_security = off;
INSERT INTO billadj.price OVERRIDING SYSTEM VALUE SELECT * FROM kept_price;
INSERT INTO billadj.price_tier SELECT * FROM kept_tier;
RESET row_security;
SELECT * FROM billadj.retry_parked('others');
SELECT event_key, meter, sum(quantity) AS quantity, sum(amount) AS amount, sum(row_count) AS rows FROM billadj.charge WHERE account = 'del' GROUP BY event_key, meter ORDER BY event_key;
SELECT * FROM oracle.differences();

-- ---- the application has no right in billadj at all ----

CREATE ROLE regress_billadj_app;
GRANT USAGE ON SCHEMA host TO regress_billadj_app;
GRANT INSERT, SELECT, UPDATE, DELETE ON others TO regress_billadj_app;
BEGIN;
REVOKE USAGE ON SCHEMA billadj FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA billadj FROM PUBLIC, billadj_admin, billadj_operator, billadj_owner;
REVOKE ALL ON ALL SEQUENCES IN SCHEMA billadj FROM PUBLIC, billadj_admin, billadj_operator, billadj_owner;
ALTER TABLE billadj.price ENABLE ROW LEVEL SECURITY;
ALTER TABLE billadj.charge ENABLE ROW LEVEL SECURITY;
ALTER TABLE billadj.charge FORCE ROW LEVEL SECURITY;
SET ROLE regress_billadj_app;
INSERT INTO others VALUES (30, 'app', '2026-05-01', 'call', 4), (31, 'app', '2026-05-01', 'gb', 12), (32, 'app', '2026-05-01', 'none', 1);
UPDATE others SET n = 5 WHERE id = 30;
DELETE FROM others WHERE id = 31;
SAVEPOINT a;
SELECT * FROM billadj.charge;
ROLLBACK TO a;
RESET ROLE;
SELECT event_key, quantity, amount, cause, created_by = session_user AS login FROM billadj.charge WHERE account = 'app' ORDER BY charge_id;
SELECT event_key, sqlstate, created_by = session_user AS login FROM billadj.parked_usage WHERE mapped->>'account' = 'app';
SELECT * FROM oracle.differences();
ROLLBACK;
-- settled at commit, under whatever role is in force then, read only or not
BEGIN;
INSERT INTO others VALUES (30, 'app', '2026-05-01', 'gb', 4);
SET LOCAL ROLE regress_billadj_app;
SET LOCAL search_path = pg_catalog;
SET TRANSACTION READ ONLY;
COMMIT;
SELECT account, quantity, amount FROM billadj.tier_total WHERE account = 'app';
SELECT * FROM oracle.differences();

-- ---- a broken installation: the host's statement goes on, with one WARNING ----

-- linear, tiered, and one that would be parked
CREATE FUNCTION outcome() RETURNS TABLE (event_key text, outcome text) LANGUAGE plpgsql AS $$
BEGIN
    FOR event_key IN SELECT id::text FROM others WHERE who = 'broken' ORDER BY id LOOP
        outcome := 'a gap';
        BEGIN
            IF EXISTS (SELECT FROM billadj.charge c WHERE c.account = 'broken' AND c.event_key = outcome.event_key) THEN
                outcome := 'charged';
            END IF;
        EXCEPTION WHEN undefined_table OR undefined_column THEN NULL;
        END;
        BEGIN
            outcome := coalesce((SELECT format('parked %s: %s', p.sqlstate, p.message) FROM billadj.parked_usage p WHERE p.event_key = outcome.event_key AND p.resolved_at IS NULL), outcome);
        EXCEPTION WHEN undefined_table OR undefined_column THEN NULL;
        END;
        RETURN NEXT;
    END LOOP;
END $$;
-- what self_check() says of a table or a column
CREATE VIEW broken AS
SELECT code, message FROM billadj.self_check() WHERE severity = 'error' AND code <> 'extra_grant' AND message NOT LIKE 'view %';
PREPARE usage AS INSERT INTO others VALUES (100, 'broken', '2026-05-01', 'call', 4), (101, 'broken', '2026-05-01', 'gb', 4), (102, 'broken', '2026-05-01', 'none', 4);

BEGIN;
DROP TABLE billadj.charge CASCADE;
EXECUTE usage;
SELECT * FROM outcome();
SELECT * FROM broken;
ROLLBACK;

BEGIN;
DROP TABLE billadj.charge_default;
EXECUTE usage;
SELECT * FROM outcome();
SELECT * FROM broken;
ROLLBACK;

BEGIN;
ALTER TABLE billadj.charge RENAME TO charges;
EXECUTE usage;
SELECT * FROM outcome();
SELECT * FROM broken;
ROLLBACK;

BEGIN;
DROP VIEW billadj.lapsed_but_billing CASCADE;
ALTER TABLE billadj.charge DROP COLUMN basis;
EXECUTE usage;
SELECT * FROM outcome();
SELECT * FROM broken;
ROLLBACK;

BEGIN;
DROP VIEW billadj.meter_total, billadj.billed CASCADE;
ALTER TABLE billadj.charge ALTER amount TYPE text;
EXECUTE usage;
SELECT * FROM outcome();
SELECT * FROM broken;
ROLLBACK;

BEGIN;
DROP VIEW billadj.billed, billadj.lapsed_but_billing CASCADE;
ALTER TABLE billadj.charge ALTER charge_id TYPE numeric;
EXECUTE usage;
SELECT * FROM outcome();
SELECT * FROM broken;
ROLLBACK;

BEGIN;
ALTER TABLE billadj.parked_usage ALTER attempts TYPE text;
EXECUTE usage;
SELECT * FROM outcome();
SELECT * FROM broken;
ROLLBACK;

BEGIN;
ALTER TABLE billadj.account ALTER time_zone TYPE char(40);
EXECUTE usage;
SELECT * FROM outcome();
SELECT * FROM broken;
ROLLBACK;

BEGIN;
DROP TABLE billadj.tier_total CASCADE;
EXECUTE usage;
SELECT * FROM outcome();
SELECT * FROM broken;
ROLLBACK;

BEGIN;
ALTER TABLE billadj.tier_total RENAME row_count TO row_counts;
EXECUTE usage;
SELECT * FROM outcome();
SELECT * FROM broken;
ROLLBACK;

BEGIN;
DROP TABLE billadj.parked_usage CASCADE;
EXECUTE usage;
SELECT * FROM outcome();
SELECT * FROM broken;
ROLLBACK;

BEGIN;
ALTER TABLE billadj.parked_usage DROP COLUMN attempts;
EXECUTE usage;
SELECT * FROM outcome();
SELECT * FROM broken;
ROLLBACK;

BEGIN;
DROP TABLE billadj.attachment CASCADE;
EXECUTE usage;
SELECT * FROM outcome();
SELECT * FROM broken;
ROLLBACK;

BEGIN;
ALTER TABLE billadj.attachment DROP COLUMN on_unpriced CASCADE;
EXECUTE usage;
SELECT * FROM outcome();
SELECT * FROM broken;
ROLLBACK;

BEGIN;
DROP TABLE billadj.price CASCADE;
EXECUTE usage;
SELECT * FROM outcome();
SELECT * FROM broken;
ROLLBACK;

BEGIN;
ALTER TABLE billadj.price RENAME terms TO term;
EXECUTE usage;
SELECT * FROM outcome();
SELECT * FROM broken;
ROLLBACK;

BEGIN;
DROP TABLE billadj.price_tier CASCADE;
EXECUTE usage;
SELECT * FROM outcome();
SELECT * FROM broken;
ROLLBACK;

BEGIN;
DROP TABLE billadj.rate_card CASCADE;
EXECUTE usage;
SELECT * FROM outcome();
SELECT * FROM broken;
ROLLBACK;

BEGIN;
DROP TABLE billadj.account;
EXECUTE usage;
SELECT * FROM outcome();
SELECT * FROM broken;
ROLLBACK;

BEGIN;
DROP TABLE billadj.instance;
EXECUTE usage;
SELECT * FROM outcome();
SELECT * FROM broken;
ROLLBACK;

BEGIN;
DROP TABLE billadj.meter CASCADE;
EXECUTE usage;
SELECT * FROM outcome();
SELECT * FROM broken;
ROLLBACK;

BEGIN;
DROP SEQUENCE billadj.charge_id_seq;
EXECUTE usage;
SELECT * FROM outcome();
SELECT * FROM broken;
ROLLBACK;

-- the same for good, as when the library is newer than the tables; mended, nothing is lost
ALTER TABLE billadj.tier_total RENAME TO tier_totals;
EXECUTE usage;
SELECT * FROM outcome();
ALTER TABLE billadj.tier_totals RENAME TO tier_total;
SELECT * FROM billadj.retry_parked('others');
SELECT * FROM oracle.differences();
ALTER TABLE billadj.charge RENAME TO charges;
INSERT INTO others VALUES (103, 'broken', '2026-05-01', 'gb', 6);
ALTER TABLE billadj.charges RENAME TO charge;
SELECT event_key FROM billadj.rating_gap('others');
CALL billadj.backfill('others');
SELECT * FROM billadj.rating_gap('others');
SELECT * FROM oracle.differences();

-- the switch does not stop what an administrator asks for, it refuses it
SET billadj.enabled = off;
SELECT * FROM billadj.retry_parked('others');
CALL billadj.backfill('others');
RESET billadj.enabled;

DROP SCHEMA host, oracle CASCADE;
SELECT count(*) > 0 AS uninstalled FROM billadj.uninstall(keep_data => false);
SELECT count(*) > 0 AS installed FROM billadj.install();
DROP ROLE regress_billadj_app;
