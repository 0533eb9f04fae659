-- The code is the extension, the data is the DBA's: what install(), migrate(),
-- uninstall(), guard(), maintain() and self_check() do.  Leaves billadj installed
-- for the tests that follow.
\set SHOW_CONTEXT never
SET timezone = 'UTC';
SET client_min_messages = warning;

-- the SQLSTATE of a statement, 00000 when it is done
CREATE FUNCTION try(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement;
    RETURN '00000';
EXCEPTION WHEN OTHERS THEN
    RETURN sqlstate;
END $$;

-- ---- before anything is made ----

-- who owns the schema, and what is in it
CREATE ROLE regress_billadj_somebody;
CREATE SCHEMA billadj AUTHORIZATION regress_billadj_somebody;
CREATE EXTENSION billadj;
ALTER SCHEMA billadj OWNER TO CURRENT_USER;
CREATE TABLE billadj.strange (a integer);
CREATE EXTENSION billadj;
DROP TABLE billadj.strange;
CREATE EXTENSION billadj;
DROP EXTENSION billadj;

-- who could act as the owner of the ledger
GRANT billadj_owner TO regress_billadj_somebody;
CREATE EXTENSION billadj;
REVOKE billadj_owner FROM regress_billadj_somebody;
ALTER ROLE billadj_owner LOGIN;
CREATE EXTENSION billadj;
ALTER ROLE billadj_owner NOLOGIN;

-- tables of the owner, of which no migration tells
CREATE TABLE billadj.orphan (a integer);
ALTER TABLE billadj.orphan OWNER TO billadj_owner;
CREATE EXTENSION billadj;
DROP TABLE billadj.orphan;
DROP ROLE regress_billadj_somebody;

-- a schema that the extension makes itself
DROP SCHEMA billadj;
CREATE EXTENSION billadj;
SELECT billadj.version() = (SELECT extversion FROM pg_extension WHERE extname = 'billadj') AS library_is_this_version;

-- members: functions only
SELECT DISTINCT classid::regclass AS members
  FROM pg_depend
 WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
   AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'billadj');
SELECT rolname, rolcanlogin, rolsuper, shobj_description(oid, 'pg_authid') AS purpose
  FROM pg_roles WHERE rolname LIKE 'billadj\_%' ORDER BY rolname COLLATE "C";

-- ---- install ----

SELECT * FROM billadj.self_check();
SELECT * FROM billadj.migrate();
SELECT * FROM billadj.maintain();
-- what people ask first of anomalies, too
\set VERBOSITY sqlstate
SELECT billadj.explain_anomaly(1);
SELECT billadj.record_verdict(1, 'error');
SELECT * FROM billadj.replay_detector();
SELECT * FROM billadj.detect_due();
SELECT * FROM billadj.warm_up('pg_class');
SELECT billadj.rebuild_baseline('a', 'm');
\set VERBOSITY default
DROP EXTENSION btree_gist;
SELECT * FROM billadj.install(dry_run => true);
CREATE SCHEMA regress_gist;
CREATE EXTENSION btree_gist SCHEMA regress_gist;

-- a dry run says all and does nothing
CREATE TABLE planned AS
SELECT action, regexp_replace(object, 'y\d+m\d+$', '<month>') AS object, done FROM billadj.install(dry_run => true);
SELECT count(*) AS relations FROM pg_class WHERE relnamespace = 'billadj'::regnamespace;
SELECT action, object, count(*), bool_or(done) AS done
  FROM planned WHERE action NOT IN ('run step', 'grant', 'create guard', 'enable guard')
 GROUP BY action, object ORDER BY object COLLATE "C", action COLLATE "C";
SELECT count(*) = billadj.migration_newest() AS all_steps FROM planned WHERE action = 'run step';

-- the run does what the dry run said
SELECT p.action, p.object, p.count AS planned, d.count AS done
  FROM (SELECT action, object, count(*) FROM planned GROUP BY action, object) p
  FULL JOIN (SELECT i.action, m.object, count(*)
               FROM billadj.install() i, regexp_replace(i.object, 'y\d+m\d+$', '<month>') AS m(object)
              WHERE i.done GROUP BY i.action, m.object) d USING (action, object)
 WHERE p.count IS DISTINCT FROM d.count
 ORDER BY object, action;
SELECT g.table_name, g.trigger_name
  FROM billadj.guards() g
 WHERE (SELECT count(*) FROM pg_trigger t
         WHERE t.tgrelid = format('billadj.%I', g.table_name)::regclass AND t.tgname = g.trigger_name AND t.tgenabled = 'A') <> 1
    OR (SELECT count(*) FROM planned p
         WHERE p.object IN (format('billadj.%I', regexp_replace(g.table_name, 'y\d+m\d+$', '<month>')),
                            'billadj.' || regexp_replace(g.table_name, 'y\d+m\d+$', '<month>'))
           AND p.action IN ('create guard', 'enable guard')) < 2;
SELECT current_user = session_user AS role_is_back;
SELECT * FROM billadj.install();
SELECT * FROM billadj.install(dry_run => true);
SELECT * FROM billadj.migrate();
SELECT * FROM billadj.guard();
SELECT * FROM billadj.maintain();
SELECT * FROM billadj.self_check();

-- everything belongs to billadj_owner and is a member of nothing
SELECT DISTINCT relowner::regrole FROM pg_class WHERE relnamespace = 'billadj'::regnamespace;
SELECT c.relname
  FROM pg_class c JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
 WHERE c.relnamespace = 'billadj'::regnamespace;
SELECT m.step, m.sha256 = encode(sha256(convert_to(s.body, 'UTF8')), 'hex') AS text_is_the_library_s, m.applied_by = session_user AS by_me
  FROM billadj.migration m, billadj.migration_step(m.step) s WHERE m.step <= 3 ORDER BY m.step;
SELECT * FROM billadj.migration_step(0);
SELECT * FROM billadj.settings();

-- only a superuser
CREATE ROLE regress_billadj_admin;
GRANT billadj_admin TO regress_billadj_admin;
SET ROLE regress_billadj_admin;
SELECT act, public.try(act) FROM unnest(ARRAY['SELECT billadj.install()', 'SELECT billadj.migrate()', 'SELECT billadj.uninstall()',
    'SELECT billadj.guard()', 'SELECT billadj.run_step(1)', 'SELECT * FROM billadj.maintain()', 'SELECT * FROM billadj.self_check()']) AS act;
RESET ROLE;
DROP ROLE regress_billadj_admin;

-- ---- guards ----

INSERT INTO billadj.meter (meter) VALUES ('m');
INSERT INTO billadj.rate_card (code, currency) VALUES ('c', 'USD');
INSERT INTO billadj.price (rate_card_id, meter, valid, terms, linear) VALUES (1, 'm', '[2026-01-01,2026-07-01)', '{"model": "volume"}', false);
INSERT INTO billadj.price_tier (price_id, tier, up_to, unit_amount) VALUES (1, 1, 10, 2), (1, 2, NULL, 1);
INSERT INTO billadj.charge (account, charge_id, period_start, posted_period_start, quantity, amount, currency, cause, row_count, created_at, created_by)
VALUES ('a', 1, '2020-05-01', '2020-05-01', 1, 2.50, 'USD', 'usage', 1, now(), 'me'),
       -- the first of May in Tokyo
       ('a', 2, '2020-04-30 15:00', '2020-05-01', 1, 3, 'USD', 'usage', 1, now(), 'me'),
       ('a', 3, '2020-08-01', '2020-08-01', 1, 4, 'USD', 'usage', 1, now(), 'me');
CREATE TABLE act (act text);
INSERT INTO act VALUES
    ('UPDATE billadj.charge SET amount = 0'),
    ('UPDATE billadj.charge_default SET amount = 0'),
    ('DELETE FROM billadj.charge'),
    ('DELETE FROM billadj.charge_default WHERE false'),
    ('TRUNCATE billadj.charge'),
    ('TRUNCATE billadj.tier_total'),
    ('DELETE FROM billadj.price'),
    ('TRUNCATE billadj.price_tier'),
    ('UPDATE billadj.price_tier SET unit_amount = 0'),
    ('DELETE FROM billadj.rate_card'),
    ('UPDATE billadj.price SET terms = ''{"model": "graduated"}'''),
    ('UPDATE billadj.price SET linear = true'),
    ('UPDATE billadj.price SET valid = ''[2026-01-01,)'''),
    ('UPDATE billadj.price SET valid = ''[2026-02-01,2026-07-01)'''),
    ('UPDATE billadj.price SET valid = ''[2026-01-01,2026-01-01)'''),
    ('UPDATE billadj.price SET valid = ''[2026-01-01,2026-06-01)'''),
    ('UPDATE billadj.price SET valid = valid'),
    ('UPDATE billadj.rate_card SET priority = 1');
SELECT act, try(act) FROM act;
-- ALWAYS: not even a session that plays a replica
SET session_replication_role = replica;
SELECT DISTINCT try(act) FROM act WHERE act !~ '06-01|valid = valid|priority';
RESET session_replication_role;
SELECT price_id, valid FROM billadj.price;
UPDATE billadj.price SET linear = true;

-- the restore rule: rows as they are
BEGIN;
SET LOCAL client_min_messages = error;
SET LOCAL row_security = off;
SELECT DISTINCT try(act) FROM act WHERE act ~ 'charge|price_tier|linear';
ROLLBACK;

-- ---- months of charges ----

SELECT at, m.* FROM unnest(ARRAY['2026-05-01 00:00+14', '2026-05-01 00:00-12', '2026-05-30 23:59:59+00', '2026-05-31 00:00+00',
                                 '2026-12-31 23:59:59+00']::timestamptz[]) AS at, billadj.charge_month(at) AS m;
SELECT severity, code, message, fix_sql FROM billadj.self_check();
SELECT action, object, sql, done FROM billadj.maintain(dry_run => true);
SELECT count(*) AS done FROM billadj.maintain();
SELECT * FROM billadj.maintain();
SELECT * FROM billadj.self_check();
SELECT tableoid::regclass, charge_id, period_start, amount FROM billadj.charge ORDER BY charge_id;
SELECT indexrelid::regclass FROM pg_index WHERE indrelid IN ('billadj.charge_y2020m05'::regclass, 'billadj.charge_y2020m08'::regclass)
 ORDER BY indexrelid::regclass::text COLLATE "C";
SELECT try('DELETE FROM billadj.charge_y2020m05');
-- a charge in the wrong partition, where no query of its month would look; forged, since the
-- server refuses it
ALTER TABLE billadj.charge DETACH PARTITION billadj.charge_y2020m08;
INSERT INTO billadj.charge SELECT * FROM billadj.charge_y2020m08;
CREATE TABLE misplaced AS SELECT * FROM billadj.charge_default;
BEGIN;
SET LOCAL client_min_messages = error;
SET LOCAL row_security = off;
DELETE FROM billadj.charge_y2020m08;
DELETE FROM billadj.charge_default;
COMMIT;
ALTER TABLE billadj.charge ATTACH PARTITION billadj.charge_y2020m08 FOR VALUES FROM ('2020-07-31 00:00:00+00') TO ('2020-08-31 00:00:00+00');
UPDATE pg_class SET relispartition = false WHERE oid = 'billadj.charge_default'::regclass;
INSERT INTO billadj.charge_default SELECT * FROM misplaced;
UPDATE pg_class SET relispartition = true WHERE oid = 'billadj.charge_default'::regclass;
DROP TABLE misplaced;
SELECT count(*) AS found FROM billadj.charge WHERE period_start = '2020-08-01';
SELECT code, message, fix_sql FROM billadj.self_check();
SELECT action, object, sql FROM billadj.maintain();
SELECT count(*) AS found FROM billadj.charge WHERE period_start = '2020-08-01';
SELECT * FROM billadj.self_check();
-- a month that somebody divided otherwise stays as it is
CREATE TABLE billadj.charge_y2020 PARTITION OF billadj.charge FOR VALUES FROM ('2020-09-15') TO ('2020-12-31');
ALTER TABLE billadj.charge_y2020 OWNER TO billadj_owner;
INSERT INTO billadj.charge (account, charge_id, period_start, posted_period_start, quantity, amount, currency, cause, row_count, created_at, created_by)
VALUES ('a', 4, '2020-09-01', '2020-09-01', 1, 5, 'USD', 'usage', 1, now(), 'me');
SELECT action, object, sql FROM billadj.maintain();
SELECT code, message, fix_sql FROM billadj.self_check();

-- ---- uninstall keeps the data, install takes it up again ----

CREATE TABLE before AS SELECT * FROM billadj.charge;
SELECT action, bool_or(done) AS done FROM billadj.uninstall(dry_run => true) GROUP BY action ORDER BY action;
SELECT action, bool_and(done) AS done FROM billadj.uninstall() GROUP BY action ORDER BY action;
SELECT DISTINCT code, fix_sql FROM billadj.self_check() WHERE code LIKE 'guard%';
DROP EXTENSION billadj;
SELECT count(*) AS differences FROM ((TABLE before EXCEPT ALL TABLE billadj.charge) UNION ALL (TABLE billadj.charge EXCEPT ALL TABLE before)) AS d;
CREATE EXTENSION billadj;
SELECT DISTINCT action FROM billadj.install() ORDER BY action;
SELECT * FROM billadj.install();
SELECT count(*) AS differences FROM ((TABLE before EXCEPT ALL TABLE billadj.charge) UNION ALL (TABLE billadj.charge EXCEPT ALL TABLE before)) AS d;

-- and without the data nothing is left but roles
CREATE VIEW lean AS SELECT * FROM billadj.meter;
SELECT action, count(*) FROM billadj.uninstall(keep_data => false) GROUP BY action ORDER BY action;
DROP VIEW lean;
SELECT action, count(*) FROM billadj.uninstall(keep_data => false) WHERE action <> 'drop trigger' GROUP BY action ORDER BY action;
SELECT count(*) AS left_behind FROM pg_class WHERE relnamespace = 'billadj'::regnamespace;
SELECT count(*) AS roles FROM pg_roles WHERE rolname LIKE 'billadj\_%';

-- ---- what self_check() finds, and that each command mends it ----

SELECT count(*) > 0 AS installed FROM billadj.install();
CREATE ROLE regress_billadj_member;
CREATE ROLE regress_billadj_login LOGIN CREATEROLE;
GRANT billadj_owner TO regress_billadj_member;
ALTER TABLE billadj.price DISABLE TRIGGER billadj_append_only;
ALTER TABLE billadj.charge_default ENABLE TRIGGER billadj_append_only;
DROP TRIGGER billadj_catalogue ON billadj.meter;
DROP TRIGGER billadj_append_only ON billadj.tier_total;
CREATE TRIGGER billadj_append_only BEFORE DELETE ON billadj.tier_total FOR EACH STATEMENT EXECUTE FUNCTION billadj.append_only_trigger();
CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER theirs AFTER INSERT ON billadj.tier_total FOR EACH STATEMENT EXECUTE FUNCTION nothing();
CREATE RULE theirs AS ON INSERT TO billadj.charge_default DO ALSO NOTHING;
ALTER TABLE billadj.charge ADD CONSTRAINT theirs CHECK (amount > 0);
CREATE TABLE billadj.theirs (a integer);
ALTER SCHEMA billadj OWNER TO regress_billadj_member;
SELECT severity, code, message, fix_sql FROM billadj.self_check();
SELECT fix_sql FROM billadj.self_check() \gexec
SELECT * FROM billadj.self_check();
DROP TABLE public.theirs;

-- what no command can mend
UPDATE billadj.migration SET sha256 = 'x' WHERE step = 1;
INSERT INTO billadj.migration (step, name, sha256) VALUES (9999, 'later', 'x');
ALTER TABLE billadj.meter DROP COLUMN description;
DROP VIEW billadj.meter_total;
ALTER TABLE billadj.tier_total ALTER row_count TYPE integer;
SELECT severity, code, message, fix_sql FROM billadj.self_check();
DELETE FROM billadj.migration WHERE step = 3;
SELECT severity, code, message, fix_sql FROM billadj.self_check() WHERE code = 'step_missing';

DROP ROLE regress_billadj_login;
DROP ROLE regress_billadj_member;
DROP TABLE planned, act, before;
DROP FUNCTION nothing();
DROP FUNCTION try(text);
SELECT count(*) > 0 AS uninstalled FROM billadj.uninstall(keep_data => false);
DROP EXTENSION btree_gist;
DROP SCHEMA regress_gist;
CREATE EXTENSION btree_gist;
SELECT count(*) > 0 AS installed FROM billadj.install();
SELECT * FROM billadj.self_check();
