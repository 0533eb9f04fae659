-- Attaching host tables: triggers only, and everything that is refused.  No row
-- is inserted here.  All in one transaction that is rolled back.
\set SHOW_CONTEXT never
\set ON_ERROR_ROLLBACK on
SET timezone = 'UTC';
SET datestyle = 'ISO';
BEGIN;
CREATE ROLE regress_billadj_dba;
GRANT billadj_admin TO regress_billadj_dba;
CREATE SCHEMA "Shop" AUTHORIZATION regress_billadj_dba;
CREATE EXTENSION citext SCHEMA "Shop";
SET ROLE regress_billadj_dba;
SET search_path = "Shop";

-- quoted names, a dropped column, domains, a composite key, a generated column, an enum
CREATE DOMAIN customer AS text CHECK (VALUE <> '');
CREATE DOMAIN units AS numeric(12,3);
CREATE TYPE service AS ENUM ('store', 'send');
CREATE TABLE "Use" (
    gone     integer,
    "no"     bigint      NOT NULL,
    site     text        NOT NULL,
    "Who"    customer    NOT NULL,
    "when"   timestamptz NOT NULL,
    service  service     NOT NULL,
    amount   units,
    price    float8,
    exact    numeric GENERATED ALWAYS AS (price::numeric) STORED,
    nick     "Shop".citext,
    PRIMARY KEY (site, "no")
);
ALTER TABLE "Use" DROP COLUMN gone;

-- ---- a dry run says what would be done, with the locks, and writes nothing ----

SELECT * FROM billadj.attach('"Use"', account => 'Who', occurred_at => 'when', meter => 'service', quantity => 'amount', dry_run => true) \gx
SELECT count(*) AS attachments FROM billadj.attachment;
SELECT count(*) AS triggers FROM pg_trigger WHERE tgrelid = '"Use"'::regclass;

SELECT count(*) AS steps FROM billadj.attach('"Use"', 'Who', 'when', 'service', 'amount');
CREATE TABLE columns AS SELECT attname, atttypid, attnotnull FROM pg_attribute WHERE attrelid = '"Use"'::regclass;
SELECT step, action, object, lock, done FROM billadj.detach('"Use"');

-- attached again under its old number: its rows were charged under it
SELECT step, action, object, lock, done FROM billadj.attach('"Use"', 'Who', 'when', 'service', 'amount');
SELECT relation, state, account, occurred_at, event_key, measures, mode, on_unpriced, detect, tables, triggers FROM billadj.attached;
SELECT tgname, tgenabled, tgoldtable, tgnewtable, pg_get_triggerdef(oid) ~ 'FOR EACH STATEMENT' AS by_statement, tgnargs FROM pg_trigger WHERE tgrelid = '"Use"'::regclass ORDER BY tgname;
-- the host table has got triggers and nothing else
(TABLE columns EXCEPT SELECT attname, atttypid, attnotnull FROM pg_attribute WHERE attrelid = '"Use"'::regclass)
UNION ALL (SELECT attname, atttypid, attnotnull FROM pg_attribute WHERE attrelid = '"Use"'::regclass EXCEPT TABLE columns);
SELECT count(*) AS constraints FROM pg_constraint WHERE conrelid = '"Use"'::regclass AND contype <> 'n';

-- ---- the acts that follow ----

CREATE FUNCTION pg_temp.mapping() RETURNS text LANGUAGE sql AS
    $$SELECT string_agg(a.relation_name || ' ' || a.state || ' ' || a.mapping::text, chr(10) ORDER BY a.attachment_id) FROM billadj.attachment a$$;
SELECT step, action, object, lock, done FROM billadj.pause('"Use"');
SELECT state FROM billadj.attached;
SELECT step, action, object, lock, done FROM billadj.resume('"Use"');
-- what is not named stays
SELECT action, object, done FROM billadj.remap('"Use"', quantity => 'exact', dry_run => true);
SELECT pg_temp.mapping();
SELECT action, object, sql FROM billadj.remap('"Use"', quantity => 'exact', on_unpriced => 'reject', detect => false);
SELECT pg_temp.mapping();
SELECT action, object, sql FROM billadj.remap('"Use"', measures => '{"sent": "amount", "Kept": "exact", "calls": 1}');
SELECT pg_temp.mapping();
SELECT action, object, sql FROM billadj.remap('"Use"', account => 'one customer', event_key => '{no}');
SELECT pg_temp.mapping();
SELECT action, object, sql FROM billadj.remap('"Use"', meter => 'service');
SELECT pg_temp.mapping();
-- a column that is gone does not turn into a constant
ALTER TABLE "Use" RENAME COLUMN "when" TO happened;
SELECT action, object, sql FROM billadj.remap('"Use"', account => 'Who');
SELECT code, message, fix_sql FROM billadj.self_check() WHERE code LIKE 'mapping%';
SELECT action, object FROM billadj.remap('"Use"', account => 'Who', occurred_at => 'happened', event_key => '{site,no}');
-- a renamed table is the same table
ALTER TABLE "Use" RENAME TO used;
SELECT relation, tables, triggers FROM billadj.attached;
SELECT action, object, done FROM billadj.pause('used');
SELECT action, object, sql FROM billadj.resume('used');
CREATE TABLE "Use" (id integer PRIMARY KEY, a text, t date, q integer);
SELECT action, object, sql FROM billadj.attach('"Use"', 'a', 't', 'm', 'q') WHERE action <> 'create trigger';
SELECT relation, state FROM billadj.attached ORDER BY attachment_id;
SELECT count(*) AS dropped FROM billadj.detach('"Use"') WHERE action = 'drop trigger';
SELECT relation, state, triggers FROM billadj.attached ORDER BY attachment_id;
SELECT billadj.attachment_of('"Use"');
-- triggers that somebody dropped are made again, under their number
DROP TRIGGER billadj_insert ON used;
DROP TRIGGER billadj_update ON used;
SELECT code, message, fix_sql FROM billadj.self_check();
SELECT action, object FROM billadj.resume('used');
DROP TRIGGER billadj_insert ON used;
DROP TRIGGER billadj_update ON used;
DROP TRIGGER billadj_delete ON used;
DROP TRIGGER billadj_truncate ON used;
SELECT code, message, fix_sql FROM billadj.self_check();
SELECT count(*) AS made FROM billadj.resume('used') WHERE action = 'create trigger';
ALTER TABLE used ENABLE REPLICA TRIGGER billadj_insert;
ALTER TABLE used DISABLE TRIGGER billadj_delete;
SELECT code, message, fix_sql FROM billadj.self_check();
SELECT fix_sql FROM billadj.self_check() \gexec
SELECT * FROM billadj.self_check();
DROP TABLE used;
SELECT code, regexp_replace(message, '\d+', 'N') AS message, regexp_replace(fix_sql, '\d+', 'N') AS fix_sql FROM billadj.self_check();
SELECT fix_sql FROM billadj.self_check() \gexec
SELECT * FROM billadj.self_check();

-- ---- a partitioned table: each table of the tree has its own triggers ----

CREATE TABLE part (id bigint, a text, t timestamptz, q numeric, PRIMARY KEY (id, t)) PARTITION BY RANGE (t);
CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM ('2026-01-01') TO ('2026-07-01');
CREATE TABLE part_2 PARTITION OF part FOR VALUES FROM ('2026-07-01') TO ('2027-01-01') PARTITION BY LIST (id);
CREATE TABLE part_2_rest PARTITION OF part_2 DEFAULT;
SELECT step, action, object, lock FROM billadj.attach('part', 'a', 't', 'm', 'q');
SELECT relation, tables, triggers FROM billadj.attached WHERE state = 'active';
-- one that is made later
CREATE TABLE part_3 PARTITION OF part FOR VALUES FROM ('2027-01-01') TO ('2028-01-01');
SELECT code, regexp_replace(message, '\d+:', 'N:') AS message, fix_sql FROM billadj.self_check();
SELECT action, object FROM billadj.resume('part');
SELECT billadj.attachment_of('part_2_rest') = billadj.attachment_of('part') AS same;
SELECT count(*) AS dropped FROM billadj.detach('part') WHERE action = 'drop trigger';
SELECT count(*) AS left_behind FROM pg_trigger WHERE tgname LIKE 'billadj%' AND tgrelid IN (SELECT relid FROM pg_partition_tree('part'));

-- ---- what the notes point out ----

CREATE TABLE notes (id integer UNIQUE, other integer NOT NULL, a text, t timestamp, q integer);
SELECT object, sql FROM billadj.attach('notes', 'acme', '2026-05-01 00:00+02', 'meters', '2.50', event_key => '{id}', dry_run => true) WHERE action = 'note';
SELECT object, sql FROM billadj.attach('notes', 'a', 't', 'meters', event_key => '{other}', dry_run => true) WHERE action = 'note';
-- each row counts one where no quantity is named
SELECT substring(sql FROM '"measures": [^]]*]') AS measures FROM billadj.attach('notes', 'a', 't', 'meters', event_key => '{id}', dry_run => true) WHERE action = 'insert attachment';

-- ---- what is refused ----

CREATE FUNCTION pg_temp.refused(call text, OUT state text, OUT message text, OUT hint text) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE 'SELECT FROM billadj.' || call;
    message := 'taken';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, state = RETURNED_SQLSTATE, hint = PG_EXCEPTION_HINT;
END $$;
CREATE COLLATION loose (provider = icu, locale = 'und', deterministic = false);
CREATE TABLE ok (id integer PRIMARY KEY, a text, t timestamptz, m text, q numeric, f float8, j jsonb, c "Shop".citext, n text COLLATE loose, b boolean, mm money, ti time, i interval);
CREATE TABLE nokey (a text, t timestamptz, q numeric);
CREATE TABLE taken (id integer PRIMARY KEY, a text, t timestamptz, q numeric);
SELECT count(*) AS steps FROM billadj.attach('taken', 'a', 't', 'm', 'q');
CREATE VIEW seen AS SELECT * FROM ok;
CREATE MATERIALIZED VIEW kept AS SELECT * FROM ok;
CREATE TEMP TABLE brief (id integer PRIMARY KEY, a text, t timestamptz, q numeric);
CREATE TABLE parent (id integer PRIMARY KEY, a text, t timestamptz, q numeric);
CREATE TABLE child (PRIMARY KEY (id)) INHERITS (parent);
CREATE SEQUENCE numbers;
RESET ROLE;
CREATE TABLE other (id integer PRIMARY KEY, a text, t timestamptz, q numeric);
GRANT ALL ON other TO regress_billadj_dba;
CREATE FOREIGN DATA WRAPPER nothing;
CREATE SERVER nowhere FOREIGN DATA WRAPPER nothing;
CREATE FOREIGN TABLE far (id integer, a text, t timestamptz, q numeric) SERVER nowhere;
ALTER FOREIGN TABLE far OWNER TO regress_billadj_dba;
SET ROLE regress_billadj_dba;
SELECT v.call, r.* FROM (VALUES
    (1, $$attach('seen', 'a', 't', 'm', 'q')$$),
    (2, $$attach('kept', 'a', 't', 'm', 'q')$$),
    (3, $$attach('far', 'a', 't', 'm', 'q')$$),
    (4, $$attach('brief', 'a', 't', 'm', 'q')$$),
    (5, $$attach('parent', 'a', 't', 'm', 'q')$$),
    (6, $$attach('child', 'a', 't', 'm', 'q')$$),
    (7, $$attach('part_1', 'a', 't', 'm', 'q')$$),
    (8, $$attach('numbers', 'a', 't', 'm', 'q')$$),
    (9, $$attach('ok_pkey', 'a', 't', 'm', 'q')$$),
    (10, $$attach('taken', 'a', 't', 'm', 'q')$$),
    (11, $$attach('nokey', 'a', 't', 'm', 'q')$$),
    (12, $$attach('ok', 'a', 't', 'm', 'q', mode => 'shadow')$$),
    (13, $$attach('ok', 'a', 't', 'm', 'q', compare => 'q')$$),
    (14, $$attach('ok', 'a', 't', 'm', 'q', mode => 'dream')$$),
    (15, $$attach('ok', 'a', 't', 'm', 'q', on_unpriced => 'ignore')$$),
    (16, $$attach('ok', 'a', 't', 'm', 'q', lock_timeout => '-1 s')$$),
    (17, $$attach('ok', 'a', 't')$$),
    (18, $$attach('ok', 'a', 't', quantity => 'q')$$),
    (19, $$attach('ok', NULL, 't', 'm', 'q')$$),
    (20, $$attach('ok', '', 't', 'm', 'q')$$),
    (21, $$attach('ok', 'a', NULL, 'm', 'q')$$),
    (22, $$attach('ok', 'a', 'yesteryear', 'm', 'q')$$),
    (23, $$attach('ok', 'a', 'infinity', 'm', 'q')$$),
    (24, $$attach('ok', 'a', 'now', 'm', 'q')$$),
    (25, $$attach('ok', 'a', 't', '', 'q')$$),
    (26, $$attach('ok', 'a', 't', 'm', 'qq')$$),
    (27, $$attach('ok', 'a', 't', 'm', 'NaN')$$),
    (28, $$attach('ok', 'f', 't', 'm', 'q')$$),
    (29, $$attach('ok', 'c', 't', 'm', 'q')$$),
    (30, $$attach('ok', 'n', 't', 'm', 'q')$$),
    (31, $$attach('ok', 'b', 't', 'm', 'q')$$),
    (32, $$attach('ok', 't', 't', 'm', 'q')$$),
    (33, $$attach('ok', 'a', 'a', 'm', 'q')$$),
    (34, $$attach('ok', 'a', 'ti', 'm', 'q')$$),
    (35, $$attach('ok', 'a', 't', 'j', 'q')$$),
    (36, $$attach('ok', 'a', 't', 'id', 'q')$$),
    (37, $$attach('ok', 'a', 't', 'm', 'f')$$),
    (38, $$attach('ok', 'a', 't', 'm', 'mm')$$),
    (39, $$attach('ok', 'a', 't', 'm', 'a')$$),
    (40, $$attach('ok', 'a', 't', 'm', 'i')$$),
    (41, $$attach('ok', 'a', 't', 'm', 'q', measures => '{"x": "q"}')$$),
    (42, $$attach('ok', 'a', 't', measures => '{}')$$),
    (43, $$attach('ok', 'a', 't', measures => '["q"]')$$),
    (44, $$attach('ok', 'a', 't', measures => '{"x": null}')$$),
    (45, $$attach('ok', 'a', 't', measures => '{"x": "q", "y": "qq"}')$$),
    (46, $$attach('ok', 'a', 't', measures => '{"x": "f"}')$$),
    (47, $$attach('ok', 'a', 't', 'm', 'q', event_key => '{}')$$),
    (48, $$attach('ok', 'a', 't', 'm', 'q', event_key => '{id,id}')$$),
    (49, $$attach('ok', 'a', 't', 'm', 'q', event_key => '{id,NULL}')$$),
    (50, $$attach('ok', 'a', 't', 'm', 'q', event_key => '{idd}')$$),
    (51, $$attach('ok', 'a', 't', 'm', 'q', event_key => '{f}')$$),
    (52, $$attach('ok', 'a', 't', 'm', 'q', event_key => '{n}')$$),
    (53, $$attach('billadj.charge', 'account', 'occurred_at', 'meter', 'quantity')$$),
    (54, $$attach('pg_catalog.pg_class', 'relname', '2026-01-01', 'm')$$),
    (55, $$attach('other', 'a', 't', 'm', 'q')$$),
    (56, $$attach('nowhere', 'a', 't', 'm', 'q')$$),
    (57, $$detach('ok')$$),
    (58, $$pause('ok')$$),
    (59, $$resume('ok')$$),
    (60, $$remap('ok', account => 'a')$$),
    (61, $$remap('taken', account => 'x', quantity => 'qq')$$),
    (62, $$remap('taken', on_unpriced => 'ignore')$$),
    (63, $$detach('other')$$),
    (64, $$attach('ok', 'a', 't', 'm', 'q', event_key => '{t,id,a}', lock_timeout => NULL, dry_run => true)$$)
) AS v(n, call), pg_temp.refused(v.call) AS r ORDER BY v.n;
-- the columns that hints tell to add can be added and attached
ALTER TABLE ok ADD f_exact numeric GENERATED ALWAYS AS (f::numeric) STORED;
ALTER TABLE ok ADD c_exact text GENERATED ALWAYS AS (lower(c::text)) STORED;
ALTER TABLE ok ADD n_exact text COLLATE "C" GENERATED ALWAYS AS (lower(n)) STORED;
ALTER TABLE ok ADD id_exact text GENERATED ALWAYS AS (id::text) STORED;
SELECT r.* FROM (VALUES ($$attach('ok', 'c_exact', 't', 'id_exact', 'f_exact', event_key => '{n_exact}', dry_run => true)$$)) AS v(call), pg_temp.refused(v.call) AS r;
RESET ROLE;
SELECT v.call, r.state, r.message FROM (VALUES (1, $$attach('billadj.charge', 'account', 'occurred_at', 'meter', 'quantity')$$),
    (2, $$attach('pg_catalog.pg_class', 'relname', '2026-01-01', 'm')$$)) AS v(n, call), pg_temp.refused(v.call) AS r ORDER BY v.n;

-- the caller owns the table, and is not billadj_admin
CREATE ROLE regress_billadj_owner_only;
ALTER TABLE other OWNER TO regress_billadj_owner_only;
GRANT USAGE ON SCHEMA "Shop" TO regress_billadj_owner_only;
SET ROLE regress_billadj_owner_only;
SELECT * FROM billadj.attach('other', 'a', 't', 'm', 'q');
-- nor can he hang a trigger function of ours on his table
CREATE TRIGGER mine AFTER INSERT ON other FOR EACH STATEMENT EXECUTE FUNCTION billadj.usage_insert_trigger('1');
RESET ROLE;
SHOW lock_timeout;
ROLLBACK;
\unset ON_ERROR_ROLLBACK
