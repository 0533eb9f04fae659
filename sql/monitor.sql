-- What a monitoring system sees: billadj.monitor.
\set SHOW_CONTEXT never
SET timezone = 'UTC';
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS billadj;
SELECT count(*) >= 0 AS uninstalled FROM billadj.uninstall(keep_data => false);
SELECT count(*) > 0 AS installed FROM billadj.install();
CREATE ROLE regress_billadj_reader;
GRANT billadj_reader TO regress_billadj_reader;
CREATE SCHEMA host;
SET search_path = host, public;
SELECT count(*) FROM billadj.import_rate_card('{"code": "list", "currency": "USD", "prices": [
    {"meter": "call", "model": "per_unit", "unit_amount": 0.25}]}', '[2015-01-01,)');
CREATE TABLE calls (id integer, at timestamptz, who text, what text, n numeric, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE calls_1 PARTITION OF calls FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
CREATE TABLE alone (id integer PRIMARY KEY, at timestamptz, who text, what text, n numeric);
SELECT count(*) FROM billadj.attach('calls', 'who', 'at', 'what', 'n');
SELECT count(*) FROM billadj.attach('alone', 'who', 'at', 'what', 'n');
CREATE VIEW health AS SELECT relation, state, mode, tables, triggers_missing AS missing, triggers_disabled AS disabled, parked, parked_by_cause AS causes,
    oldest_parked_at IS NOT NULL AS aged, backfill_percent AS percent, backfill_open AS open FROM billadj.monitor ORDER BY attachment_id;
TABLE health;
-- a partition without triggers, one disabled, some gone
CREATE TABLE calls_2 PARTITION OF calls FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
ALTER TABLE calls_1 DISABLE TRIGGER billadj_insert;
DROP TRIGGER billadj_truncate ON alone;
TABLE health;
SELECT count(*) FROM billadj.resume('calls');
ALTER TABLE calls_1 ENABLE TRIGGER billadj_insert;
SELECT count(*) FROM billadj.resume('alone');
-- parked
INSERT INTO alone VALUES (1, '2026-05-01', 'a', 'fax', 1), (2, '2026-05-01', 'a', 'fax', 1), (3, '2026-05-01', 'a', 'call', 'NaN'), (4, '2026-05-01', 'a', 'call', 1);
UPDATE alone SET n = 1 WHERE id = 3;
INSERT INTO alone VALUES (5, '2026-05-01', 'a', 'call', NULL);
TABLE health;
-- backfill: begun, then done
SELECT attachment_id AS alone FROM billadj.attachment WHERE relation_name = 'alone' \gset
SELECT next_block FROM billadj.backfill_begin(:alone, 'alone');
SELECT relation, percent, open FROM health;
CALL billadj.backfill('alone');
SELECT relation, percent, open FROM health;
-- renamed, dropped, detached; everybody who reads may look
SELECT count(*) FROM billadj.pause('calls');
ALTER TABLE calls RENAME TO "Phone Calls";
DROP TABLE alone;
SET ROLE regress_billadj_reader;
SELECT relation, state, tables, triggers_missing FROM billadj.monitor ORDER BY attachment_id;
SELECT * FROM billadj.settle_waits;
SELECT * FROM billadj.prepared_totals;
RESET ROLE;
SELECT count(*) FROM billadj.detach('"Phone Calls"');
TABLE health;
-- it reads no charge, and of parked usage only what is open
SET enable_seqscan = off;
DO $$
DECLARE
    line text;
BEGIN
    FOR line IN EXPLAIN (COSTS off) SELECT * FROM billadj.monitor LOOP
        IF line ~ 'on charge|Seq Scan on parked_usage' THEN
            RAISE WARNING '%', trim(line);
        END IF;
    END LOOP;
END $$;
RESET enable_seqscan;
DROP SCHEMA host CASCADE;
DROP ROLE regress_billadj_reader;
SELECT count(*) >= 0 AS uninstalled FROM billadj.uninstall(keep_data => false);
SELECT count(*) > 0 AS installed FROM billadj.install();
