-- Usage that was written before it could be rated: backfill() and rating_gap().
-- Each part ends with the whole ledger recomputed from the host tables.
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
    {"meter": "gb", "model": "graduated", "tiers": [{"up_to": 1000, "unit_amount": 1, "flat_amount": 2}, {"up_to": null, "unit_amount": 0.5}]}]}', '[2015-01-01,)');

-- ---- a table with history ----

CREATE TABLE calls (id bigint PRIMARY KEY, who text, at timestamptz, what text, n numeric, filler text);
INSERT INTO calls SELECT g, 'acct' || g % 7, '2026-05-01'::timestamptz + g * interval '11 minutes', CASE g % 3 WHEN 0 THEN 'call' ELSE 'gb' END, g % 10, repeat('x', 50)
FROM generate_series(1, 2000) AS g;
SELECT count(*) FROM billadj.attach('calls', 'who', 'at', 'what', 'n');
INSERT INTO calls VALUES (2001, 'acct1', '2026-05-20', 'gb', 5), (2002, 'acct1', '2026-05-20', 'gb', 'NaN'), (2003, 'acct1', '2026-05-20', 'tape', 1);
UPDATE calls SET n = n + 1 WHERE id IN (1, 2001);
DELETE FROM calls WHERE id = 2;
SELECT count(*) AS gap, min(event_key::integer), max(event_key::integer) FROM billadj.rating_gap('calls');
SELECT count(*) AS ten FROM billadj.rating_gap('calls', 10);
SELECT account, event_key, measure, occurred_at FROM billadj.rating_gap('calls') WHERE event_key IN ('1', '2000') ORDER BY 2;

-- one batch, and the session is gone: what was done stays, the rest goes on
SELECT attachment_id AS calls FROM oracle.attached() WHERE relation = 'calls'::regclass \gset
SELECT next_block, blocks > 20 AS blocks FROM billadj.backfill_begin(:calls, 'calls');
SELECT billadj.backfill_batch(:calls, 'calls', 500) > 0 AS more;
BEGIN;
SELECT billadj.backfill_batch(:calls, 'calls', 500) > 0 AS more;
SELECT regexp_replace(application_name, '\d+', 'N') AS application_name FROM pg_stat_activity WHERE pid = pg_backend_pid();
ROLLBACK;
SELECT attached, relation_name, rows_seen BETWEEN 100 AND 1000 AS some, rows_rated = rows_seen AS all_rated, rows_parked, percent BETWEEN 1 AND 60 AS percent, finished_at IS NULL AS open
FROM billadj.backfill_status;
SELECT count(*) BETWEEN 1000 AND 1900 AS rest FROM billadj.rating_gap('calls');
SELECT count(*) BETWEEN 100 AND 1000 AS charged FROM billadj.charge WHERE cause = 'backfill';
SET application_name = 'billing clerk';
CALL billadj.backfill('calls', batch_size => 500);
SHOW application_name;
SELECT attached, relation_name, rows_seen, rows_rated, rows_parked, percent, finished_at IS NULL AS open FROM billadj.backfill_status;
SELECT * FROM billadj.rating_gap('calls');
SELECT cause, count(*) FROM billadj.charge GROUP BY cause ORDER BY cause;
SELECT event_key, sqlstate, resolution FROM billadj.parked_usage ORDER BY event_key;
SELECT * FROM oracle.differences();

-- again: nothing
CALL billadj.backfill('calls');
SELECT rows_seen, rows_rated, rows_parked, percent FROM billadj.backfill_status;
SELECT cause, count(*) FROM billadj.charge GROUP BY cause ORDER BY cause;
SELECT count(*) FROM billadj.parked_usage;

-- rows that come while it runs are their triggers'; rows that were not rated are found by the next pass
SET billadj.enabled = off;
INSERT INTO calls SELECT g, 'late', '2026-06-01', 'gb', 1 FROM generate_series(6001, 6010) AS g;
RESET billadj.enabled;
INSERT INTO calls VALUES (6011, 'late', '2026-06-01', 'gb', 1);
SELECT count(*) FROM billadj.rating_gap('calls');
CALL billadj.backfill('calls', 1);
SELECT quantity, amount, rows FROM billadj.meter_total WHERE account = 'late';
SELECT * FROM oracle.differences();

-- what cannot be rated is parked, and on_unpriced => 'reject' stops the pass there
SET billadj.enabled = off;
INSERT INTO calls VALUES (7001, 'late', NULL, 'gb', 1), (7002, 'late', '2026-06-01', 'gb', 1), (7003, '', '2026-06-01', 'gb', 1);
RESET billadj.enabled;
CALL billadj.backfill('calls');
SELECT event_key, sqlstate, message FROM billadj.parked_usage WHERE event_key >= '7' ORDER BY event_key;
SELECT * FROM billadj.rating_gap('calls');
SET billadj.enabled = off;
INSERT INTO calls VALUES (7004, 'late', '2026-06-01', 'tape', 1), (7005, 'late', '2026-06-01', 'gb', 1);
RESET billadj.enabled;
SELECT action FROM billadj.remap('calls', on_unpriced => 'reject');
CALL billadj.backfill('calls');
SHOW application_name;
SELECT event_key FROM billadj.rating_gap('calls') ORDER BY event_key;
SELECT percent, finished_at IS NULL AS open FROM billadj.backfill_status;
SELECT action FROM billadj.remap('calls', on_unpriced => 'park');
CALL billadj.backfill('calls');
SELECT * FROM billadj.rating_gap('calls');
SELECT * FROM oracle.differences();

-- ---- a measure that is added later ----

CREATE TABLE wide (id integer PRIMARY KEY, who text, at date, calls integer, gbs numeric);
SELECT count(*) FROM billadj.attach('wide', 'who', 'at', measures => '{"call": "calls"}');
INSERT INTO wide SELECT g, 'wes', '2026-05-01', 1, 400 FROM generate_series(1, 4) AS g;
UPDATE wide SET gbs = 'NaN' WHERE id = 2;
SELECT action FROM billadj.remap('wide', measures => '{"call": "calls", "gb": "gbs"}');
INSERT INTO wide VALUES (5, 'wes', '2026-05-01', 1, 400);
UPDATE wide SET gbs = 500 WHERE id = 3;
SELECT account, event_key, measure FROM billadj.rating_gap('wide') ORDER BY event_key;
CALL billadj.backfill('wide');
SELECT event_key, measure, quantity, amount, cause FROM billadj.charge WHERE account = 'wes' ORDER BY charge_id;
SELECT event_key, measure, sqlstate FROM billadj.parked_usage WHERE attachment_id = (SELECT attachment_id FROM oracle.attached() WHERE relation = 'wide'::regclass);
SELECT * FROM billadj.rating_gap('wide');
SELECT * FROM oracle.differences();

-- detached and attached again: the same rows are not charged twice
SELECT action FROM billadj.detach('wide');
INSERT INTO wide VALUES (6, 'wes', '2026-05-01', 1, 1);
SELECT action, object FROM billadj.attach('wide', 'who', 'at', measures => '{"call": "calls", "gb": "gbs"}') WHERE action LIKE '%attachment';
CALL billadj.backfill('wide');
SELECT event_key, measure, quantity, cause FROM billadj.charge WHERE account = 'wes' AND cause = 'backfill' ORDER BY charge_id;
SELECT * FROM oracle.differences();

-- ---- partitions, keys of several columns, odd names, an empty table ----

CREATE TABLE "My Parts" (site char(4), "no" integer, at timestamptz, who text, n numeric, PRIMARY KEY (site, "no", at)) PARTITION BY RANGE (at);
CREATE TABLE "My Parts may" PARTITION OF "My Parts" FOR VALUES FROM ('2026-05-01') TO ('2026-06-01') PARTITION BY LIST (site);
CREATE TABLE "a quoted ""leaf""" PARTITION OF "My Parts may" FOR VALUES IN ('ab');
CREATE TABLE rest_of_may (n numeric, who text, gone integer, at timestamptz NOT NULL, "no" integer NOT NULL, site char(4) NOT NULL);
ALTER TABLE rest_of_may DROP COLUMN gone;
ALTER TABLE "My Parts may" ATTACH PARTITION rest_of_may DEFAULT;
CREATE TABLE june PARTITION OF "My Parts" FOR VALUES FROM ('2026-06-01') TO ('2026-07-01');
CREATE TABLE july PARTITION OF "My Parts" FOR VALUES FROM ('2026-07-01') TO ('2026-08-01');
INSERT INTO "My Parts" SELECT (ARRAY['ab', 'cd', 'e"f'])[1 + g % 3], g, '2026-05-01'::timestamptz + g * interval '1 hour', 'part' || g % 2, g FROM generate_series(1, 1000) AS g;
SELECT count(*) FROM billadj.attach('"My Parts"', 'who', 'at', 'gb', 'n');
INSERT INTO "My Parts" VALUES ('ab', 1001, '2026-05-01', 'part1', 5);
SELECT count(*) FROM billadj.rating_gap('"My Parts"');
CALL billadj.backfill('"My Parts"', 100);
SHOW application_name;
SELECT attached, relation_name, rows_seen, rows_rated, rows_parked, percent FROM billadj.backfill_status WHERE attached = 'My Parts' ORDER BY relation_name;
SELECT event_key, cause FROM billadj.charge WHERE account = 'part1' AND event_key LIKE '%1001%';
SELECT * FROM billadj.rating_gap('"My Parts"');
SELECT * FROM oracle.differences();
-- only one of its leaves
DELETE FROM "My Parts" WHERE "no" > 990;
SET session_replication_role = replica;
INSERT INTO june VALUES ('ab', 1, '2026-06-03', 'part1', 5);
INSERT INTO rest_of_may (site, "no", at, who, n) VALUES ('zz', 1, '2026-05-03', 'part1', 5);
RESET session_replication_role;
CALL billadj.backfill('june');
SELECT event_key FROM billadj.rating_gap('"My Parts"');
CALL billadj.backfill('"My Parts"');
SELECT * FROM oracle.differences();

CREATE TABLE empty (id integer PRIMARY KEY, at date);
SELECT count(*) FROM billadj.attach('empty', 'nobody', 'at', 'call');
CALL billadj.backfill('empty');
SELECT rows_seen, percent, finished_at IS NULL AS open FROM billadj.backfill_status WHERE attached = 'empty';

-- ---- refused ----

CREATE TABLE plain (id integer PRIMARY KEY);
CALL billadj.backfill('plain');
SELECT * FROM billadj.rating_gap('plain');
CALL billadj.backfill('calls', 0);
CALL billadj.backfill('calls', -1);
SELECT action FROM billadj.pause('calls');
CALL billadj.backfill('calls');
SELECT action FROM billadj.resume('calls');
BEGIN;
CALL billadj.backfill('calls');
ROLLBACK;
CREATE ROLE regress_billadj_clerk;
GRANT USAGE ON SCHEMA host TO regress_billadj_clerk;
GRANT SELECT ON calls TO regress_billadj_clerk;
SET ROLE regress_billadj_clerk;
CALL billadj.backfill('calls');
RESET ROLE;
-- an operator who does not own the table, and one who does
GRANT billadj_operator TO regress_billadj_clerk;
SET ROLE regress_billadj_clerk;
CALL billadj.backfill('calls');
SELECT count(*) FROM billadj.rating_gap('calls');
RESET ROLE;
ALTER TABLE calls OWNER TO regress_billadj_clerk;
SET billadj.enabled = off;
INSERT INTO calls VALUES (8001, 'late', '2026-06-01', 'gb', 1);
RESET billadj.enabled;
SET ROLE regress_billadj_clerk;
CALL billadj.backfill('calls');
SELECT count(*) FROM billadj.rating_gap('calls');
SELECT tried > 0 AS tried, charged FROM billadj.retry_parked('calls');
RESET ROLE;
SELECT * FROM oracle.differences();
-- ---- what was changed and deleted while nothing was rated ----

CREATE TABLE unseen (id integer PRIMARY KEY, who text, at timestamptz, what text, n numeric);
SELECT count(*) FROM billadj.attach('unseen', 'who', 'at', 'what', 'n');
INSERT INTO unseen VALUES (1, 'u1', '2026-06-01', 'gb', 900), (2, 'u1', '2026-06-02', 'gb', 300), (3, 'u2', '2026-06-02', 'call', 5),
                          (4, 'u2', '2026-06-02', 'call', 6), (5, 'u2', '2026-06-03', 'call', 7), (6, 'u3', '2026-06-03', 'gb', 8);
SELECT action FROM billadj.pause('unseen');
UPDATE unseen SET n = 100 WHERE id = 1;
UPDATE unseen SET what = 'tape' WHERE id = 3;
UPDATE unseen SET at = '2026-07-01', who = 'u4' WHERE id = 6;
DELETE FROM unseen WHERE id IN (2, 4);
SELECT action FROM billadj.resume('unseen');
-- backfill() charges the differences; twice is once
CALL billadj.backfill('unseen');
CALL billadj.backfill('unseen');
SELECT c.event_key, c.account, c.cause, c.quantity, c.quantity_before, c.amount
  FROM billadj.charge c JOIN billadj.attached a USING (attachment_id)
 WHERE a.relation = 'host.unseen' ORDER BY c.charge_id;
SELECT event_key, sqlstate, message FROM billadj.parked_usage WHERE event_key = '3' AND resolved_at IS NULL
   AND attachment_id = billadj.attachment_of('unseen');
-- deleted rows wait for somebody who says that it was no clean-up
SELECT * FROM billadj.charged_without_row('unseen');
SELECT billadj.reverse_deleted('unseen', max => 1), billadj.reverse_deleted('unseen'), billadj.reverse_deleted('unseen');
SELECT * FROM billadj.charged_without_row('unseen');
SELECT * FROM oracle.differences();

-- ---- columns that are called as our queries call their tables ----

CREATE TABLE t (h integer, t timestamptz, m text, c text, q numeric, s numeric, r text, p text, x integer, PRIMARY KEY (h));
INSERT INTO t SELECT g, '2026-06-01'::timestamptz + g * interval '1 hour', 'gb', 'letters', g % 7, 0 FROM generate_series(1, 40) AS g;
SELECT count(*) FROM billadj.attach('t', 'c', 't', 'm', 'q', mode => 'shadow', compare => 's');
ALTER TABLE t DROP COLUMN x;
SELECT count(*) FROM billadj.rating_gap('t');
CALL billadj.backfill('t');
SELECT cause, rows FROM billadj.shadow_report('t');
SELECT count(*) FROM billadj.promote('t');
INSERT INTO t VALUES (41, '2026-06-04', 'gb', 'letters', 3), (42, '2026-06-04', 'gb', 'letters', 4);
SET billadj.enabled = off;
DELETE FROM t WHERE h = 42;
UPDATE t SET q = 50 WHERE h = 41;
RESET billadj.enabled;
CALL billadj.backfill('t');
SELECT * FROM billadj.charged_without_row('t');
SELECT billadj.reverse_deleted('t');
SELECT count(*) AS streams, sum(rows) AS rows FROM billadj.warm_up('t');
SELECT * FROM billadj.rating_gap('t');
SELECT c.cause, count(*), sum(c.quantity) FROM billadj.charge c WHERE c.account = 'letters' GROUP BY c.cause ORDER BY c.cause;
SELECT * FROM oracle.differences();
DROP SCHEMA host, oracle CASCADE;
SELECT count(*) > 0 AS uninstalled FROM billadj.uninstall(keep_data => false);
SELECT count(*) > 0 AS installed FROM billadj.install();
DROP ROLE regress_billadj_clerk;
