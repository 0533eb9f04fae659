-- Who may do what to policy: each act, and what every kind of login is told.
-- done: the statement succeeds; rows that a policy hides or that are not there
-- make an UPDATE or DELETE succeed and do nothing, which is said as "none".
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

CREATE SCHEMA pgtap_policy;
GRANT USAGE ON SCHEMA pgtap_policy TO PUBLIC;
CREATE TABLE pgtap_policy.who (short text, place serial);
INSERT INTO pgtap_policy.who (short) VALUES ('nobody'), ('admin'), ('operator'), ('requester'), ('approver'), ('policy'), ('policy2'), ('auditor'), ('privacy'),
    ('reader'), ('noinherit'), ('bypassrls'), ('writeall'), ('createrole'), ('owner'), ('superuser');
DO $$
DECLARE
    kind text;
BEGIN
    FOR kind IN SELECT short FROM pgtap_policy.who LOOP
        EXECUTE format('CREATE ROLE pgtap_%s LOGIN', kind);
        IF to_regrole('billadj_' || kind) IS NOT NULL THEN
            EXECUTE format('GRANT billadj_%s TO pgtap_%1$s', kind);
        END IF;
    END LOOP;
END $$;
ALTER ROLE pgtap_noinherit NOINHERIT;
ALTER ROLE pgtap_bypassrls BYPASSRLS;
ALTER ROLE pgtap_createrole CREATEROLE;
ALTER ROLE pgtap_superuser SUPERUSER;
GRANT billadj_policy TO pgtap_policy2, pgtap_noinherit;
GRANT pg_write_all_data, pg_read_all_data TO pgtap_writeall;
GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON ALL TABLES IN SCHEMA billadj TO pgtap_bypassrls;
-- everybody is a registered person but nobody, so that what stops them is not that
DO $$ BEGIN
    SET LOCAL row_security = off;
    TRUNCATE billadj.policy_change, billadj.principal RESTART IDENTITY CASCADE;
    INSERT INTO billadj.principal (person_key, role_name, role_oid)
    SELECT short, 'pgtap_' || short, ('pgtap_' || short)::regrole::oid::bigint FROM pgtap_policy.who WHERE short <> 'nobody';
    INSERT INTO billadj.authority (principal_id, currency, level, single_limit, valid)
    SELECT principal_id, 'EUR', 1, 100, '[2026-01-01,)' FROM billadj.principal WHERE person_key IN ('approver', 'reader');
    SET LOCAL row_security = on;
    SET LOCAL SESSION AUTHORIZATION pgtap_admin;
    PERFORM billadj.propose_policy('reason_code', '{"op": "insert", "row": {"code": "pgtap"}}');
    SET LOCAL SESSION AUTHORIZATION DEFAULT;
END $$;

-- Does it, and undoes it.
CREATE FUNCTION pgtap_policy.may(short text, act text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    n bigint;
BEGIN
    EXECUTE format('SET LOCAL SESSION AUTHORIZATION pgtap_%s', short);
    IF short = 'owner' THEN
        SET LOCAL ROLE billadj_owner;
    END IF;
    EXECUTE act;
    GET DIAGNOSTICS n = ROW_COUNT;
    RAISE EXCEPTION USING ERRCODE = 'ZZ000', MESSAGE = CASE WHEN n = 0 AND act !~ '^(TRUNCATE|DO|SET|COPY)' THEN 'none' ELSE 'done' END;
EXCEPTION WHEN OTHERS THEN
    RETURN CASE WHEN sqlstate = 'ZZ000' THEN sqlerrm ELSE sqlstate END;
END $$;
GRANT billadj_owner TO pgtap_owner;
CREATE FUNCTION pgtap_policy.told(act text) RETURNS text LANGUAGE sql AS $$
SELECT string_agg(state || ': ' || names, '; ' ORDER BY state COLLATE "C")
  FROM (SELECT m.state, string_agg(w.short, ' ' ORDER BY w.place) AS names
          FROM pgtap_policy.who w, pgtap_policy.may(w.short, told.act) AS m(state) GROUP BY m.state) s
$$;

CREATE TABLE pgtap_policy.act (place serial, act text, told text);
INSERT INTO pgtap_policy.act (act, told) VALUES
    ($$SELECT FROM billadj.principal$$,
     '42501: nobody noinherit createrole; done: admin operator requester approver policy policy2 auditor privacy reader bypassrls superuser; none: writeall owner'),
    ($$SELECT FROM billadj.authority$$,
     '42501: nobody privacy noinherit createrole; done: admin operator approver policy policy2 auditor reader bypassrls superuser; none: requester writeall owner'),
    ($$SELECT FROM billadj.authority a JOIN billadj.principal p USING (principal_id) WHERE p.role_name <> session_user$$,
     '42501: nobody privacy noinherit createrole; done: admin operator policy policy2 auditor reader bypassrls superuser; none: requester approver writeall owner'),
    ($$SELECT FROM billadj.approval_rule$$,
     '42501: nobody privacy noinherit createrole; none: admin operator requester approver policy policy2 auditor reader bypassrls writeall owner superuser'),
    ($$SELECT FROM billadj.policy_change$$,
     '42501: nobody operator requester approver privacy reader noinherit createrole; done: admin policy policy2 auditor bypassrls superuser; none: writeall owner'),
    ($$INSERT INTO billadj.principal (person_key, role_name) VALUES ('x', 'pgtap_nobody')$$,
     '42501: nobody admin operator requester approver policy policy2 auditor privacy reader noinherit createrole; UB328: bypassrls writeall owner superuser'),
    ($$INSERT INTO billadj.principal OVERRIDING SYSTEM VALUE VALUES (999, 'x', 'pgtap_nobody')$$,
     '42501: nobody admin operator requester approver policy policy2 auditor privacy reader noinherit createrole; UB328: bypassrls writeall owner superuser'),
    ($$INSERT INTO billadj.authority (principal_id, currency, level, single_limit, valid) VALUES (1, 'EUR', 9, 1e9, '[2026-01-01,)')$$,
     '42501: nobody admin operator requester approver policy policy2 auditor privacy reader noinherit createrole; UB328: bypassrls writeall owner superuser'),
    ($$INSERT INTO billadj.authority (principal_id, currency, level, single_limit, valid) VALUES (1, 'EUR', 9, 'NaN', '[2026-01-01,)')$$,
     '42501: nobody admin operator requester approver policy policy2 auditor privacy reader noinherit createrole; UB328: bypassrls writeall owner superuser'),
    ($$INSERT INTO billadj.approval_rule (kind, currency, band, step, level, quorum) VALUES ('credit', 'EUR', '[0,)', 0, 0, 0)$$,
     '42501: nobody admin operator requester approver policy policy2 auditor privacy reader noinherit createrole; UB328: bypassrls writeall owner superuser'),
    ($$INSERT INTO billadj.reason_code (code) VALUES ('x') ON CONFLICT DO NOTHING$$,
     '42501: nobody admin operator requester approver policy policy2 auditor privacy reader noinherit createrole; UB328: bypassrls writeall owner superuser'),
    ($$INSERT INTO billadj.policy_mode (table_name, mode) VALUES ('meter', 'dual')$$,
     '42501: nobody admin operator requester approver policy policy2 auditor privacy reader noinherit createrole; UB328: bypassrls writeall owner superuser'),
    ($$UPDATE billadj.authority SET single_limit = 1e9$$,
     '42501: nobody admin operator requester approver policy policy2 auditor privacy reader noinherit createrole; UB328: bypassrls superuser; none: writeall owner'),
    ($$UPDATE billadj.principal SET active = true$$,
     '42501: nobody admin operator requester approver policy policy2 auditor privacy reader noinherit createrole; UB328: bypassrls superuser; none: writeall owner'),
    ($$DELETE FROM billadj.authority$$,
     '42501: nobody admin operator requester approver policy policy2 auditor privacy reader noinherit createrole; UB328: bypassrls superuser; none: writeall owner'),
    ($$DELETE FROM billadj.policy_change$$,
     '42501: nobody admin operator requester approver policy policy2 auditor privacy reader noinherit createrole; UB320: bypassrls superuser; none: writeall owner'),
    ($$TRUNCATE billadj.authority CASCADE$$,
     '42501: nobody admin operator requester approver policy policy2 auditor privacy reader noinherit writeall createrole; UB321: bypassrls owner superuser'),
    ($$TRUNCATE billadj.policy_mode$$,
     '42501: nobody admin operator requester approver policy policy2 auditor privacy reader noinherit writeall createrole; UB321: bypassrls owner superuser'),
    ($$TRUNCATE billadj.policy_change$$,
     '42501: nobody admin operator requester approver policy policy2 auditor privacy reader noinherit writeall createrole; UB321: bypassrls owner superuser'),
    ($$COPY billadj.authority TO '/dev/null'$$,
     '42501: nobody admin operator requester approver policy policy2 auditor privacy reader noinherit bypassrls writeall createrole owner; done: superuser'),
    ($$MERGE INTO billadj.authority USING (SELECT) AS one ON true WHEN MATCHED THEN UPDATE SET single_limit = 1e9$$,
     '42501: nobody admin operator requester approver policy policy2 auditor privacy reader noinherit writeall createrole owner; UB328: bypassrls superuser'),
    ($$MERGE INTO billadj.principal USING (SELECT) AS one ON false WHEN NOT MATCHED THEN INSERT (person_key, role_name) VALUES ('x', 'pgtap_nobody')$$,
     '42501: nobody admin operator requester approver policy policy2 auditor privacy reader noinherit createrole; UB328: bypassrls writeall owner superuser'),
    ($$SET LOCAL session_replication_role = replica; UPDATE billadj.authority SET single_limit = 1e9$$,
     '42501: nobody admin operator requester approver policy policy2 auditor privacy reader noinherit bypassrls writeall createrole owner; UB328: superuser'),
    ($$SET LOCAL row_security = off; UPDATE billadj.authority SET single_limit = 1e9$$,
     '42501: nobody admin operator requester approver policy policy2 auditor privacy reader noinherit writeall createrole owner; UB328: bypassrls; done: superuser'),
    ($$SELECT billadj.propose_policy('reason_code', '{"op": "insert", "row": {"code": "y"}}')$$,
     '42501: nobody operator requester approver auditor privacy reader noinherit bypassrls writeall createrole owner superuser; done: admin policy policy2'),
    ($$INSERT INTO billadj.policy_change (target, body) VALUES ('reason_code', '{"op": "insert", "row": {"code": "y"}}')$$,
     '42501: nobody operator requester approver auditor privacy reader noinherit bypassrls writeall createrole owner superuser; done: admin policy policy2'),
    ($$INSERT INTO billadj.policy_change (target, body, proposed_by) VALUES ('reason_code', '{"op": "insert", "row": {"code": "y"}}', 1)$$,
     '42501: nobody admin operator requester approver policy policy2 auditor privacy reader noinherit bypassrls writeall createrole owner superuser'),
    ($$SELECT billadj.approve_policy(1)$$,
     '42501: nobody admin operator requester approver auditor privacy reader noinherit bypassrls writeall createrole owner superuser; done: policy policy2'),
    ($$SELECT billadj.reject_policy(1, 'no')$$,
     '42501: nobody admin operator requester approver auditor privacy reader noinherit bypassrls writeall createrole owner superuser; done: policy policy2'),
    ($$UPDATE billadj.policy_change SET state = 'approved'$$,
     '42501: nobody admin operator requester approver auditor privacy reader noinherit bypassrls createrole superuser; done: policy policy2; none: writeall owner'),
    ($$UPDATE billadj.policy_change SET state = 'approved', decided_by = 7$$,
     '42501: nobody admin operator requester approver policy policy2 auditor privacy reader noinherit bypassrls createrole superuser; none: writeall owner'),
    ($$UPDATE billadj.policy_change SET body = '{}'$$,
     '42501: nobody admin operator requester approver policy policy2 auditor privacy reader noinherit bypassrls createrole superuser; none: writeall owner'),
    ($$SELECT billadj.write_policy('reason_code', '{"op": "insert", "row": {"code": "y"}}', now())$$,
     '42501: nobody admin operator requester approver policy policy2 auditor privacy reader noinherit bypassrls writeall createrole; UB328: owner superuser'),
    ($$SELECT billadj.whoami()$$,
     '42501: nobody noinherit bypassrls writeall createrole owner; done: admin operator requester approver policy policy2 auditor privacy reader superuser'),
    ($$SELECT billadj.self_check()$$,
     '42501: nobody requester approver privacy reader noinherit bypassrls writeall createrole owner; done: admin operator policy policy2 auditor superuser'),
    ($$SELECT billadj.policy_faults()$$,
     '42501: nobody requester approver privacy reader noinherit bypassrls writeall createrole; done: owner; none: admin operator policy policy2 auditor superuser'),
    ($$SET LOCAL ROLE billadj_policy; UPDATE billadj.policy_change SET state = 'approved'$$,
     '42501: nobody admin operator requester approver auditor privacy reader bypassrls writeall createrole owner superuser; done: policy policy2 noinherit'),
    ($$ALTER TABLE billadj.authority DISABLE TRIGGER billadj_policy$$,
     '42501: nobody admin operator requester approver policy policy2 auditor privacy reader noinherit bypassrls writeall createrole; UB322: owner; none: superuser'),
    ($$CREATE POLICY x ON billadj.authority USING (true)$$,
     '42501: nobody admin operator requester approver policy policy2 auditor privacy reader noinherit bypassrls writeall createrole; UB322: owner; none: superuser'),
    ($$GRANT INSERT ON billadj.authority TO PUBLIC$$,
     '42501: nobody privacy noinherit createrole; UB322: admin operator requester approver policy policy2 auditor reader bypassrls writeall owner; none: superuser'),
    ($$CREATE TEMP TABLE kid () INHERITS (billadj.authority)$$,
     '42501: nobody admin operator requester approver policy policy2 auditor privacy reader noinherit bypassrls writeall createrole; UB322: owner; none: superuser'),
    ($$DROP TABLE billadj.policy_mode$$,
     '42501: nobody admin operator requester approver policy policy2 auditor privacy reader noinherit bypassrls writeall createrole; UB322: owner; none: superuser'),
    ($$GRANT billadj_owner TO pgtap_createrole; SET LOCAL ROLE billadj_owner; ALTER TABLE billadj.authority NO FORCE ROW LEVEL SECURITY$$,
     '42501: nobody admin operator requester approver policy policy2 auditor privacy reader noinherit bypassrls writeall owner; UB322: createrole; none: superuser'),
    ($$GRANT billadj_owner TO pgtap_createrole; SET LOCAL ROLE billadj_owner; UPDATE billadj.authority SET single_limit = 1e9$$,
     '42501: nobody admin operator requester approver policy policy2 auditor privacy reader noinherit bypassrls writeall owner; none: createrole superuser');

-- from 16 on CREATEROLE alone grants no role
UPDATE pgtap_policy.act
   SET told = replace(replace(replace(told, ' owner;', ' createrole owner;'), ' UB322: createrole;', ''), ': createrole superuser', ': superuser')
 WHERE act LIKE 'GRANT billadj_owner TO pgtap_createrole%' AND current_setting('server_version_num')::integer >= 160000;

SELECT plan((SELECT count(*)::integer FROM pgtap_policy.act));
SELECT is(pgtap_policy.told(a.act), a.told, a.act) FROM pgtap_policy.act a ORDER BY a.place;
SELECT * FROM finish();
ROLLBACK;
