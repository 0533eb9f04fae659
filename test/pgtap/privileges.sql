-- Who may do what: one row an act, with the roles that may.
\set ECHO none
\set QUIET 1
\pset format unaligned
\pset tuples_only on
\pset pager off
SET client_min_messages = warning;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS btree_gist;
CREATE EXTENSION IF NOT EXISTS billadj;
SELECT count(*) AS steps FROM billadj.install() \gset

-- A login that is in no group, but owns a table and may write another's.
CREATE ROLE pgtap_nobody;
CREATE SCHEMA pgtap_host;
GRANT USAGE, CREATE ON SCHEMA pgtap_host TO PUBLIC;
CREATE TABLE pgtap_host.used (id bigint PRIMARY KEY, who text, at timestamptz, n numeric);
GRANT INSERT ON pgtap_host.used TO PUBLIC;
CREATE TABLE pgtap_host.compared (LIKE pgtap_host.used INCLUDING ALL);
GRANT SELECT ON pgtap_host.compared TO PUBLIC;
CREATE TABLE pgtap_host.of_admin (LIKE pgtap_host.used INCLUDING ALL);
ALTER TABLE pgtap_host.of_admin OWNER TO billadj_admin;
CREATE TABLE pgtap_host.of_nobody (LIKE pgtap_host.used INCLUDING ALL);
ALTER TABLE pgtap_host.of_nobody OWNER TO pgtap_nobody;
DO $$
BEGIN
    PERFORM FROM billadj.import_rate_card('{"code": "pgtap", "currency": "USD", "prices": [{"meter": "pgtap", "model": "per_unit", "unit_amount": 1}]}', '[2026-01-01,)');
    PERFORM FROM billadj.attach('pgtap_host.used', 'who', 'at', 'pgtap', 'n');
    PERFORM FROM billadj.attach('pgtap_host.compared', 'who', 'at', 'pgtap', 'n', mode => 'shadow', compare => 'n');
END $$;

-- Does it, and undoes it.
CREATE FUNCTION pgtap_host.may(role name, act text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('SET LOCAL ROLE %I', role);
    EXECUTE act;
    RAISE EXCEPTION 'done' USING ERRCODE = 'ZZ000';
EXCEPTION WHEN OTHERS THEN
    RESET ROLE;
    RETURN sqlstate;
END $$;
CREATE TABLE pgtap_host.role (name name, short text);
INSERT INTO pgtap_host.role VALUES ('pgtap_nobody', 'nobody'), ('billadj_admin', 'admin'), ('billadj_operator', 'operator'),
    ('billadj_requester', 'requester'), ('billadj_approver', 'approver'), ('billadj_policy', 'policy'), ('billadj_auditor', 'auditor'),
    ('billadj_privacy', 'privacy'), ('billadj_reader', 'reader');

CREATE TABLE pgtap_host.act (act text, who text);
INSERT INTO pgtap_host.act VALUES
    -- calculators are for everybody
    ($$SELECT billadj.rate('{"model": "flat", "flat_amount": 1}', 1)$$, 'admin approver auditor nobody operator policy privacy reader requester'),
    -- who writes usage needs nothing of billadj
    ($$INSERT INTO pgtap_host.used VALUES (1, 'a', '2026-05-01', 1)$$, 'admin approver auditor nobody operator policy privacy reader requester'),
    -- reading
    ($$SELECT count(*) FROM billadj.charge$$, 'admin approver auditor operator policy reader requester'),
    ($$SELECT count(*) FROM billadj.meter_total$$, 'admin approver auditor operator policy reader requester'),
    ($$SELECT count(*) FROM billadj.parked_usage$$, 'admin approver auditor operator policy reader requester'),
    ($$SELECT count(*) FROM billadj.attached$$, 'admin approver auditor operator policy reader requester'),
    ($$SELECT count(*) FROM billadj.price$$, 'admin approver auditor operator policy reader requester'),
    ($$SELECT count(*) FROM billadj.migration$$, 'admin approver auditor operator policy reader requester'),
    ($$SELECT billadj.settings()$$, 'admin approver auditor operator policy reader requester'),
    ($$SELECT billadj.export_rate_card('pgtap')$$, 'admin approver auditor operator policy reader requester'),
    ($$SELECT billadj.price_for('a', 'pgtap', '2026-05-01')$$, 'admin approver auditor operator policy reader requester'),
    ($$SELECT billadj.shadow_report('pgtap_host.compared')$$, 'admin auditor operator reader'),
    ($$SELECT billadj.shadow_totals('pgtap_host.compared')$$, 'admin auditor operator reader'),
    ($$SELECT billadj.validate_rate_card('pgtap')$$, 'admin auditor operator policy'),
    ($$SELECT billadj.self_check()$$, 'admin auditor operator policy'),
    -- the ledger is written by the library and by nobody else
    ($$INSERT INTO billadj.charge (account, charge_id, period_start, posted_period_start, quantity, amount, currency, cause, row_count, created_at, created_by)
       VALUES ('a', 1, now(), now(), 1, 1, 'USD', 'usage', 1, now(), 'me')$$, NULL),
    ($$UPDATE billadj.charge SET amount = 0$$, NULL),
    ($$DELETE FROM billadj.charge$$, NULL),
    ($$TRUNCATE billadj.charge$$, NULL),
    ($$INSERT INTO billadj.tier_total VALUES (now(), 1, 'a', 'm', '', 1, 1, 1)$$, NULL),
    ($$UPDATE billadj.tier_total SET amount = 0$$, NULL),
    ($$DELETE FROM billadj.tier_total$$, NULL),
    ($$INSERT INTO billadj.parked_usage (attachment_id, measure, mapped, sqlstate, message) VALUES (1, 'm', '{}', 'UB001', 'm')$$, NULL),
    ($$DELETE FROM billadj.parked_usage$$, NULL),
    ($$INSERT INTO billadj.migration (step, name, sha256) VALUES (999, 'x', 'x')$$, NULL),
    ($$SELECT nextval('billadj.charge_id_seq')$$, NULL),
    -- the catalogue is the admin's, and even he only ends a price
    ($$INSERT INTO billadj.meter (meter) VALUES ('new')$$, 'admin'),
    ($$INSERT INTO billadj.account (account, currency) VALUES ('new', 'EUR')$$, 'admin'),
    ($$INSERT INTO billadj.instance (currency) VALUES ('EUR')$$, 'admin'),
    ($$SELECT billadj.import_rate_card('{"code": "new", "currency": "EUR", "prices": [{"meter": "new", "model": "flat", "flat_amount": 1}]}', '[2026-01-01,)')$$, 'admin'),
    ($$SELECT billadj.diff_rate_card('pgtap', '{"code": "new", "currency": "EUR", "prices": [{"meter": "new", "model": "flat", "flat_amount": 1}]}')$$, 'admin auditor operator policy'),
    ($$UPDATE billadj.price SET valid = '[2026-01-01,2027-01-01)'$$, 'admin'),
    ($$UPDATE billadj.price SET terms = '{"model": "flat"}'$$, NULL),
    ($$UPDATE billadj.price SET linear = false$$, NULL),
    ($$DELETE FROM billadj.price$$, NULL),
    ($$UPDATE billadj.price_tier SET unit_amount = 0$$, NULL),
    ($$DELETE FROM billadj.price_tier$$, NULL),
    ($$UPDATE billadj.rate_card SET priority = 5$$, 'admin'),
    ($$UPDATE billadj.rate_card SET account = 'a'$$, NULL),
    ($$UPDATE billadj.rate_card SET currency = 'EUR'$$, NULL),
    ($$DELETE FROM billadj.rate_card$$, NULL),
    ($$UPDATE billadj.meter SET unit = 'piece'$$, 'admin'),
    ($$DELETE FROM billadj.meter$$, NULL),
    ($$DELETE FROM billadj.account$$, NULL),
    -- attaching needs the table and the group
    ($$SELECT billadj.attach('pgtap_host.of_admin', 'who', 'at', 'pgtap', 'n')$$, 'admin'),
    ($$SELECT billadj.attach('pgtap_host.of_nobody', 'who', 'at', 'pgtap', 'n')$$, NULL),
    ($$SELECT billadj.attach('pgtap_host.used', 'who', 'at', 'pgtap', 'n')$$, NULL),
    ($$SELECT billadj.pause('pgtap_host.used')$$, NULL),
    ($$SELECT billadj.detach('pgtap_host.used')$$, NULL),
    ($$SELECT billadj.remap('pgtap_host.used', account => 'x')$$, NULL),
    ($$CREATE TRIGGER t AFTER INSERT ON pgtap_host.of_nobody REFERENCING NEW TABLE AS billadj_new FOR EACH STATEMENT EXECUTE FUNCTION billadj.usage_insert_trigger('1')$$, NULL),
    ($$CREATE TRIGGER t AFTER INSERT ON pgtap_host.of_nobody FOR EACH STATEMENT EXECUTE FUNCTION billadj.append_only_trigger()$$, NULL),
    ($$UPDATE billadj.attachment SET created_by = 'x'$$, NULL),
    ($$DELETE FROM billadj.attachment$$, NULL),
    -- operation
    ($$SELECT billadj.maintain()$$, 'admin operator'),
    ($$SELECT billadj.make_month('x', now(), now(), false)$$, NULL),
    -- packaging is the superuser's
    ($$SELECT billadj.install()$$, NULL),
    ($$SELECT billadj.migrate()$$, NULL),
    ($$SELECT billadj.uninstall()$$, NULL),
    ($$SELECT billadj.guard()$$, NULL),
    ($$SELECT billadj.watch_partitions()$$, NULL),
    ($$SELECT billadj.cover_partitions(NULL, NULL, false)$$, NULL),
    ($$SELECT billadj.run_step(1)$$, NULL),
    ($$CREATE TABLE billadj.x (a integer)$$, NULL),
    ($$CREATE FUNCTION billadj.x() RETURNS integer LANGUAGE sql AS 'SELECT 1'$$, NULL),
    ($$ALTER TABLE billadj.charge DISABLE TRIGGER billadj_append_only$$, NULL),
    ($$DROP TABLE billadj.parked_usage$$, NULL),
    ($$ALTER ROLE billadj_owner LOGIN$$, NULL);

SELECT plan((SELECT count(*)::integer + 2 FROM pgtap_host.act));
SELECT is((SELECT string_agg(r.short, ' ' ORDER BY r.short) FROM pgtap_host.role r WHERE pgtap_host.may(r.name, a.act) = 'ZZ000'), a.who, a.act)
  FROM pgtap_host.act a;
-- Whoever may not is told so, and not something else.
SELECT is_empty($$SELECT a.act, r.short, m.state FROM pgtap_host.act a, pgtap_host.role r, pgtap_host.may(r.name, a.act) AS m(state) WHERE m.state NOT IN ('ZZ000', '42501')$$,
                'a refusal is 42501');
SELECT is_empty($$SELECT m.member::regrole FROM pg_auth_members m WHERE m.roleid = 'billadj_owner'::regrole$$, 'nobody is a member of billadj_owner');
SELECT * FROM finish();
ROLLBACK;
