-- Leaving: the host's tables are as they were before, and the ledger stays
-- readable.  Run last.
\set SHOW_CONTEXT never
SET timezone = 'UTC';
SET client_min_messages = error;

CREATE ROLE regress_billadj_host;
GRANT billadj_admin TO regress_billadj_host;
CREATE ROLE regress_billadj_finance;
GRANT billadj_reader TO regress_billadj_finance;
CREATE SCHEMA regress_leave AUTHORIZATION regress_billadj_host;
SET search_path = regress_leave;
SET ROLE regress_billadj_host;
CREATE TABLE used (id integer PRIMARY KEY, who text NOT NULL, at timestamptz NOT NULL, amount numeric NOT NULL) PARTITION BY RANGE (id);
CREATE TABLE used_1 PARTITION OF used FOR VALUES FROM (0) TO (100);
CREATE TABLE used_2 PARTITION OF used DEFAULT;
RESET ROLE;

-- all that a host table is to the server
CREATE VIEW shape AS
SELECT c.relname, c.relkind, c.relacl, c.reloptions, c.relrowsecurity, c.relhasrules,
       (SELECT jsonb_agg(jsonb_build_array(a.attnum, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.atthasdef, a.attidentity,
                                           a.attgenerated, a.attisdropped, a.attcollation, a.attstorage, a.attacl) ORDER BY a.attnum)
          FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0) AS attributes,
       (SELECT jsonb_agg(pg_get_constraintdef(k.oid) ORDER BY k.conname) FROM pg_constraint k WHERE k.conrelid = c.oid) AS constraints,
       (SELECT jsonb_agg(pg_get_indexdef(i.indexrelid) ORDER BY i.indexrelid) FROM pg_index i WHERE i.indrelid = c.oid) AS indexes,
       (SELECT jsonb_agg(pg_get_triggerdef(t.oid) ORDER BY t.tgname) FROM pg_trigger t WHERE t.tgrelid = c.oid) AS triggers,
       (SELECT jsonb_agg(p.polname) FROM pg_policy p WHERE p.polrelid = c.oid) AS policies
  FROM pg_class c WHERE c.relname IN ('used', 'used_1', 'used_2') AND c.relnamespace = 'regress_leave'::regnamespace;
CREATE TABLE shape_before AS SELECT * FROM shape;

SET ROLE regress_billadj_host;
SELECT DISTINCT action FROM billadj.import_rate_card('{"code": "leave", "currency": "USD", "account": "leaver", "prices": [{"meter": "leaving", "model": "per_unit", "unit_amount": 2}]}', '[2026-01-01,)') ORDER BY action;
SELECT count(*) AS made FROM billadj.attach('used', 'who', 'at', 'leaving', 'amount') WHERE action = 'create trigger';
INSERT INTO used VALUES (1, 'leaver', '2026-05-01', 3), (101, 'leaver', '2026-05-02', 4);
INSERT INTO used_1 VALUES (2, 'leaver', '2026-05-03', 5);
RESET ROLE;

CREATE TABLE charge_before AS SELECT * FROM billadj.charge;
CREATE TABLE used_before AS SELECT * FROM used;
CREATE VIEW changed AS
SELECT 'shape' AS what, count(*) FROM (TABLE shape EXCEPT TABLE shape_before) s
UNION ALL SELECT 'rows', count(*) FROM (TABLE used EXCEPT TABLE used_before) u
UNION ALL SELECT 'rows lost', count(*) FROM (TABLE used_before EXCEPT TABLE used) u
UNION ALL SELECT 'charges', count(*) FROM (TABLE billadj.charge EXCEPT ALL TABLE charge_before) c
UNION ALL SELECT 'charges lost', count(*) FROM (TABLE charge_before EXCEPT ALL TABLE billadj.charge) c;
TABLE changed;

-- ---- with uninstall(): nothing depends on the extension any more ----

SELECT action, count(*) FROM billadj.uninstall() WHERE object ~ '^used|regress_leave|attachment' GROUP BY action ORDER BY action;
DROP EXTENSION billadj;
TABLE changed;
SET ROLE regress_billadj_host;
INSERT INTO used VALUES (3, 'leaver', '2026-05-04', 1);
DELETE FROM used WHERE id = 3;
RESET ROLE;
SET ROLE regress_billadj_finance;
SELECT count(*) >= 0 AS readable FROM billadj.charge;
SELECT count(*) >= 0 AS readable FROM billadj.meter_total;
SELECT count(*) AS prices FROM billadj.price p JOIN billadj.rate_card c USING (rate_card_id) WHERE c.code = 'leave';
SELECT state FROM billadj.attachment WHERE relation_name = 'used';
RESET ROLE;

-- ---- back again: the same attachment, so that no row is charged twice ----

CREATE EXTENSION billadj;
SELECT DISTINCT action FROM billadj.install() WHERE action IN ('run step', 'grant', 'create guard', 'enable guard') ORDER BY action;
SET ROLE regress_billadj_host;
SELECT action, object FROM billadj.attach('used', 'who', 'at', 'leaving', 'amount') WHERE action ~ 'attachment';
RESET ROLE;
SELECT count(*) AS attachments FROM billadj.attachment WHERE relation_name = 'used';
SELECT severity, code FROM billadj.self_check() WHERE message ~ 'regress_leave|billadj\.';

-- ---- without uninstall(): CASCADE drops triggers, and no table ----

DROP EXTENSION billadj CASCADE;
TABLE changed;
SELECT count(*) AS guards FROM pg_trigger WHERE NOT tgisinternal AND tgrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'billadj'::regnamespace);
SET ROLE regress_billadj_host;
INSERT INTO used VALUES (3, 'leaver', '2026-05-04', 1);
DELETE FROM used WHERE id = 3;
RESET ROLE;
SET ROLE regress_billadj_finance;
SELECT count(*) >= 0 AS readable FROM billadj.charge;
SELECT count(*) >= 0 AS readable FROM billadj.attached;
RESET ROLE;
CREATE EXTENSION billadj;
SELECT severity, code, fix_sql FROM billadj.self_check() WHERE message ~ 'regress_leave';
SELECT DISTINCT action FROM billadj.install() WHERE action IN ('run step', 'grant', 'create guard', 'enable guard') ORDER BY action;
SELECT DISTINCT action FROM billadj.resume('used') ORDER BY action;
SELECT * FROM billadj.self_check() WHERE message ~ 'regress_leave|billadj\.';

-- ---- and for good ----

DROP VIEW changed;
SELECT count(*) > 0 AS uninstalled FROM billadj.uninstall(keep_data => false);
DROP EXTENSION billadj;
TABLE shape EXCEPT TABLE shape_before;
SELECT count(*) AS left_behind FROM pg_class WHERE relnamespace = 'billadj'::regnamespace;
DROP SCHEMA billadj;
DROP SCHEMA regress_leave CASCADE;
DROP ROLE regress_billadj_host;
DROP ROLE regress_billadj_finance;
