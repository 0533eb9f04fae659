-- Partitions that are made after attach(): their triggers by maintain(), or at
-- once by an event trigger.  Each part ends with the whole ledger recomputed.
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
CREATE ROLE regress_billadj_host;
CREATE ROLE regress_billadj_operator;
GRANT billadj_operator TO regress_billadj_operator;
CREATE SCHEMA "Host" AUTHORIZATION regress_billadj_host;
GRANT USAGE ON SCHEMA "Host" TO regress_billadj_operator;
SET search_path = "Host", public;
SELECT count(*) FROM billadj.import_rate_card('{"code": "list", "currency": "USD", "prices": [
    {"meter": "call", "model": "per_unit", "unit_amount": 0.25},
    {"meter": "gb", "model": "graduated", "tiers": [{"up_to": 10, "unit_amount": 2}, {"up_to": null, "unit_amount": 1}]}]}', '[2015-01-01,)');
-- the host's own role makes its partitions; it is in no group of billadj
SET ROLE regress_billadj_host;
CREATE TABLE calls (id integer, at timestamptz, who text, what text, n numeric, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE calls_1 PARTITION OF calls FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
RESET ROLE;
SELECT count(*) AS steps FROM billadj.attach('calls', 'who', 'at', 'what', 'n');
CREATE VIEW made AS
SELECT t.tgrelid::regclass AS member, string_agg(t.tgname, ' ' ORDER BY t.tgname) AS triggers
  FROM pg_trigger t WHERE t.tgname LIKE 'billadj%' AND t.tgrelid IN (SELECT relid FROM pg_partition_tree('calls')) GROUP BY 1 ORDER BY 1;

-- ---- made by hand, rows in between, maintain() ----

SET ROLE regress_billadj_host;
CREATE TABLE "Calls 2" PARTITION OF calls FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
-- through the parent: rated by its trigger; into the leaf: a gap
INSERT INTO calls VALUES (1, '2026-02-03', 'ann', 'gb', 8), (2, '2026-02-03', 'ann', 'call', 8);
INSERT INTO "Calls 2" VALUES (3, '2026-02-04', 'ann', 'gb', 8), (4, '2026-02-04', 'ann', 'call', 8);
RESET ROLE;
SELECT code, regexp_replace(message, 'attachment \d+', 'attachment N') AS message, fix_sql FROM billadj.self_check() WHERE code ~ 'attach';
SELECT event_key, measure FROM billadj.rating_gap('calls') ORDER BY event_key;

SET ROLE regress_billadj_operator;
SELECT action, object, regexp_replace(sql, '''\d+''', '''N''') AS sql, done FROM billadj.maintain(dry_run => true) WHERE object ~ 'Host';
SELECT action, object, done FROM billadj.maintain() WHERE object ~ 'Host';
SELECT action, object, done FROM billadj.maintain() WHERE object ~ 'Host';
RESET ROLE;
SELECT * FROM made;
INSERT INTO "Calls 2" VALUES (5, '2026-02-05', 'ann', 'gb', 8);
SELECT event_key, measure FROM billadj.rating_gap('calls') ORDER BY event_key;
CALL billadj.backfill('calls');
SELECT event_key, cause, quantity, amount FROM billadj.charge ORDER BY charge_id;
SELECT meter, quantity, amount, rows FROM billadj.meter_total ORDER BY meter;
SELECT * FROM billadj.rating_gap('calls');
SELECT * FROM oracle.differences();

-- one trigger only, dropped by somebody; a paused table is resume()'s
DROP TRIGGER billadj_update ON "Calls 2";
SELECT action, object, sql ~ 'billadj_update' AS update, done FROM billadj.maintain() WHERE object ~ 'Host';
DROP TRIGGER billadj_update ON "Calls 2";
SELECT count(*) FROM billadj.pause('calls');
SELECT action, object, done FROM billadj.maintain() WHERE object ~ 'Host';
SELECT action, object, done FROM billadj.resume('calls');
-- not those of the table itself: somebody dropped them, and resume() makes them
DROP TRIGGER billadj_update ON calls;
SELECT action, object, done FROM billadj.maintain() WHERE object ~ 'Host';
SELECT action, object, done FROM billadj.resume('calls');

-- ---- at once, where a superuser allows it ----

SET ROLE regress_billadj_operator;
SELECT billadj.watch_partitions();
RESET ROLE;
SELECT * FROM billadj.watch_partitions(dry_run => true);
SELECT action, done FROM billadj.watch_partitions();
SELECT * FROM billadj.watch_partitions();
SELECT evtname, evtevent, evtenabled, evttags, evtowner::regrole = current_user::regrole AS owned_by_me FROM pg_event_trigger WHERE evtname ~ 'billadj';
SET ROLE regress_billadj_host;
CREATE TABLE calls_3 PARTITION OF calls FOR VALUES FROM ('2026-03-01') TO ('2026-04-01');
INSERT INTO calls_3 VALUES (6, '2026-03-05', 'ann', 'gb', 20);
CREATE TABLE calls_4 PARTITION OF calls FOR VALUES FROM ('2026-04-01') TO ('2026-05-01') PARTITION BY LIST (id);
CREATE TABLE calls_4_rest PARTITION OF calls_4 DEFAULT;
INSERT INTO calls_4_rest VALUES (7, '2026-04-05', 'ann', 'gb', 20);
INSERT INTO calls_4 VALUES (8, '2026-04-05', 'ann', 'gb', 20);
-- loaded first: its rows are a gap, later ones are rated
CREATE TABLE calls_5 (LIKE calls INCLUDING ALL);
INSERT INTO calls_5 VALUES (9, '2026-05-05', 'ann', 'gb', 20);
ALTER TABLE calls ATTACH PARTITION calls_5 FOR VALUES FROM ('2026-05-01') TO ('2026-06-01');
INSERT INTO calls_5 VALUES (10, '2026-05-06', 'ann', 'gb', 20);
-- none of our business
CREATE TABLE aside (id integer);
CREATE TABLE aside_p (id integer) PARTITION BY LIST (id);
CREATE TABLE aside_1 PARTITION OF aside_p DEFAULT;
CREATE TEMP TABLE brief (id integer) PARTITION BY LIST (id);
ALTER TABLE aside ADD other integer;
RESET ROLE;
SELECT * FROM made;
SELECT event_key, measure FROM billadj.rating_gap('calls') ORDER BY event_key;
CALL billadj.backfill('calls');
SELECT * FROM billadj.rating_gap('calls');
SELECT * FROM oracle.differences();
SELECT * FROM billadj.self_check() WHERE code ~ 'attach|watch';

-- the host's DDL does not fail for us: a name that is taken
CREATE FUNCTION own() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TABLE calls_6 (LIKE calls INCLUDING ALL);
CREATE TRIGGER billadj_insert AFTER INSERT ON calls_6 FOR EACH STATEMENT EXECUTE FUNCTION own();
ALTER TABLE calls ATTACH PARTITION calls_6 FOR VALUES FROM ('2026-06-01') TO ('2026-07-01');
SELECT DISTINCT action, object, done FROM billadj.maintain() WHERE object ~ 'Host';
DROP TRIGGER billadj_insert ON calls_6;
-- one that is attached by itself keeps its own, and is named
ALTER TABLE calls DETACH PARTITION calls_6;
SELECT count(*) AS steps FROM billadj.attach('calls_6', 'who', 'at', 'what', 'n');
ALTER TABLE calls ATTACH PARTITION calls_6 FOR VALUES FROM ('2026-06-01') TO ('2026-07-01');
SELECT code, regexp_replace(message, 'as \d+', 'as N', 'g') AS message, fix_sql FROM billadj.self_check() WHERE code ~ 'attach|watch';
SELECT fix_sql FROM billadj.self_check() WHERE code = 'attach_twice' \gexec
SELECT * FROM billadj.self_check() WHERE code ~ 'attach|watch';
DROP TABLE calls_6;
SELECT fix_sql FROM billadj.self_check() WHERE code ~ 'attach' \gexec
-- one that leaves is still rated, which is worth knowing
ALTER TABLE calls DETACH PARTITION calls_5;
SELECT severity, code, message, fix_sql FROM billadj.self_check() WHERE code ~ 'attach|watch';
SELECT fix_sql FROM billadj.self_check() WHERE code ~ 'attach' \gexec
SELECT * FROM billadj.self_check() WHERE code ~ 'attach|watch';

-- the restore rule
SET row_security = off;
CREATE TABLE calls_7 PARTITION OF calls FOR VALUES FROM ('2026-07-01') TO ('2026-08-01');
RESET row_security;
SELECT DISTINCT object FROM billadj.maintain(dry_run => true) WHERE object ~ 'Host';
-- disabled, dropped, and with the tables gone
ALTER EVENT TRIGGER billadj_watch_partitions DISABLE;
SELECT code, fix_sql FROM billadj.self_check() WHERE code ~ 'watch';
SELECT action FROM billadj.watch_partitions();
SELECT action, done FROM billadj.watch_partitions(false);
SELECT action, done FROM billadj.watch_partitions(false);
SELECT action FROM billadj.watch_partitions();
SELECT action, object FROM billadj.uninstall(keep_data => true) WHERE action = 'drop event trigger';

-- ---- what cannot be attached ----

CREATE FOREIGN DATA WRAPPER regress_billadj_nothing;
CREATE SERVER regress_billadj_nowhere FOREIGN DATA WRAPPER regress_billadj_nothing;
CREATE TABLE far (id integer, at timestamptz, n numeric) PARTITION BY RANGE (at);
CREATE FOREIGN TABLE far_1 PARTITION OF far DEFAULT SERVER regress_billadj_nowhere;
SELECT * FROM billadj.attach('far', 'who', 'at', 'what', 'n', event_key => '{id}');
DROP FOREIGN DATA WRAPPER regress_billadj_nothing CASCADE;

DROP TABLE brief;
DROP SCHEMA "Host", oracle CASCADE;
DROP ROLE regress_billadj_host, regress_billadj_operator;
SELECT count(*) >= 0 AS uninstalled FROM billadj.uninstall(keep_data => false);
SELECT count(*) > 0 AS installed FROM billadj.install();
