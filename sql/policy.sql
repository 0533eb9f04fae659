-- People, authority and approval rules: who acts, the first rows, changes that
-- another person approves, what is refused, and what self_check() finds.
\set SHOW_CONTEXT never
SET timezone = 'UTC';
SET client_min_messages = warning;
CREATE ROLE regress_billadj_adam LOGIN;
CREATE ROLE regress_billadj_paul LOGIN;
CREATE ROLE regress_billadj_petra LOGIN;
CREATE ROLE regress_billadj_mary LOGIN;
CREATE ROLE regress_billadj_rita LOGIN;
CREATE ROLE regress_billadj_pool LOGIN NOINHERIT;
CREATE ROLE regress_billadj_eve LOGIN SUPERUSER;
GRANT billadj_admin TO regress_billadj_adam;
GRANT billadj_policy TO regress_billadj_paul;
GRANT billadj_requester TO regress_billadj_rita;
GRANT billadj_approver TO regress_billadj_mary;
GRANT regress_billadj_rita, regress_billadj_mary TO regress_billadj_pool;
CREATE SCHEMA regress_policy;
GRANT USAGE, CREATE ON SCHEMA regress_policy TO PUBLIC;

-- does it as a login; the code and the words of an error
CREATE FUNCTION regress_policy.try(login text, statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('SET LOCAL SESSION AUTHORIZATION regress_billadj_%s', login);
    EXECUTE statement;
    SET LOCAL SESSION AUTHORIZATION DEFAULT;
    RETURN 'done';
EXCEPTION WHEN OTHERS THEN
    RETURN format('%s %s', sqlstate, sqlerrm);
END $$;
CREATE FUNCTION regress_policy.id(login text) RETURNS bigint LANGUAGE sql AS
$$SELECT principal_id FROM billadj.principal WHERE role_name = 'regress_billadj_' || login AND active$$;
-- proposes, as one login, and approves, as another
CREATE FUNCTION regress_policy.change(proposer text, approver text, target text, body text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    change_id bigint;
BEGIN
    EXECUTE format('SET LOCAL SESSION AUTHORIZATION regress_billadj_%s', proposer);
    change_id := billadj.propose_policy(target, body::jsonb);
    EXECUTE format('SET LOCAL SESSION AUTHORIZATION regress_billadj_%s', approver);
    PERFORM billadj.approve_policy(change_id);
    SET LOCAL SESSION AUTHORIZATION DEFAULT;
    RETURN 'done';
EXCEPTION WHEN OTHERS THEN
    RETURN format('%s %s', sqlstate, sqlerrm);
END $$;

-- ---- the first rows ----

SELECT * FROM billadj.self_check();
SELECT n, regress_policy.try(login, act) FROM (VALUES
    (1, 'paul', $$INSERT INTO billadj.principal (person_key, role_name) VALUES ('p', 'regress_billadj_paul')$$),
    (2, 'adam', $$SELECT billadj.propose_policy('meter', '{"op": "insert", "row": {"meter": "m"}}')$$),
    (3, 'eve', $$INSERT INTO billadj.principal (person_key, role_name) VALUES ('p', 'nobody_of_that_name')$$),
    (4, 'eve', $$INSERT INTO billadj.authority (principal_id, currency, level, single_limit, valid) VALUES (1, 'EUR', 1, 'NaN', '[2026-01-01,)')$$),
    (5, 'eve', $$INSERT INTO billadj.authority (principal_id, currency, level, single_limit, valid) VALUES (1, 'EUR', 1, 'Infinity', '[2026-01-01,)')$$),
    (6, 'eve', $$INSERT INTO billadj.approval_rule (kind, currency, band, step, level, quorum) VALUES ('credit', 'EUR', '[0,10)', 1, 1, 1)$$),
    (7, 'eve', $$INSERT INTO billadj.approval_rule (kind, currency, band, step, level, quorum) VALUES ('credit', 'EUR', '[0,NaN]', 1, 1, 1)$$)) AS v(n, login, act)
 ORDER BY n;
-- what the server fills in cannot be said
SELECT regress_policy.try('eve', $$INSERT INTO billadj.principal (person_key, role_name, role_oid, system_id, revision, created_at, created_by)
    VALUES ('adam', 'regress_billadj_adam', 1, 1, 99, 'epoch', 'somebody'), ('paul', 'regress_billadj_paul', 1, 1, 99, 'epoch', 'somebody')$$);
SELECT p.person_key, p.role_oid = r.oid AS bound, p.system_id = (SELECT system_identifier FROM pg_control_system()) AS here, p.revision,
       p.created_at > now() - interval '1 hour' AS now, p.created_by
  FROM billadj.principal p JOIN pg_roles r ON r.rolname = p.role_name ORDER BY p.person_key;
SELECT code, message FROM billadj.self_check();
-- one person with two logins is one person
SELECT regress_policy.try('eve', $$INSERT INTO billadj.principal (person_key, role_name) VALUES ('paul', 'regress_billadj_petra')$$);
GRANT billadj_policy TO regress_billadj_petra;
SELECT billadj.policy_approvers();
SELECT regress_policy.try('adam', $$SELECT billadj.propose_policy('meter', '{"op": "insert", "row": {"meter": "m"}}')$$);
SET row_security = off;
UPDATE billadj.principal SET person_key = 'petra' WHERE role_name = 'regress_billadj_petra';
RESET row_security;
-- two can: the door is shut, to superusers too
SELECT n, regress_policy.try('eve', act) FROM (VALUES
    (1, $$INSERT INTO billadj.principal (person_key, role_name) VALUES ('p', 'regress_billadj_mary')$$),
    (2, $$INSERT INTO billadj.reason_code (code) VALUES ('c')$$),
    (3, $$UPDATE billadj.principal SET active = false$$),
    (4, $$DELETE FROM billadj.principal$$),
    (5, $$TRUNCATE billadj.principal CASCADE$$),
    (6, $$TRUNCATE billadj.policy_mode$$),
    (7, $$SET LOCAL session_replication_role = replica; UPDATE billadj.principal SET active = false$$),
    (8, $$MERGE INTO billadj.principal USING (SELECT) AS one ON true WHEN MATCHED THEN UPDATE SET active = false$$),
    (9, $$INSERT INTO billadj.policy_mode (table_name, mode) VALUES ('meter', 'direct') ON CONFLICT DO NOTHING$$),
    (10, $$SELECT billadj.write_policy('principal', '{"op": "insert", "row": {"person_key": "p", "role_name": "regress_billadj_mary"}}', now())$$),
    (11, $$SELECT billadj.propose_policy('meter', '{"op": "insert", "row": {"meter": "m"}}')$$)) AS v(n, act)
 ORDER BY n;
-- and it stays so when people leave
BEGIN;
SELECT regress_policy.try('adam', $$SELECT billadj.propose_policy('reason_code', '{"op": "insert", "row": {"code": "x"}}')$$);
REVOKE billadj_policy FROM regress_billadj_petra;
SELECT billadj.policy_approvers();
SELECT regress_policy.try('eve', $$INSERT INTO billadj.reason_code (code) VALUES ('c')$$);
ROLLBACK;

-- ---- a change and its life ----

SET SESSION AUTHORIZATION regress_billadj_adam;
SELECT billadj.propose_policy('principal', '{"ops": [{"op": "insert", "row": {"person_key": "mary", "role_name": "regress_billadj_mary"}},
                                                     {"op": "insert", "row": {"person_key": "rita", "role_name": "regress_billadj_rita"}}]}') AS change \gset
SELECT target, body, proposed_by FROM billadj.open_policy_change;
SELECT count(*) FROM billadj.principal WHERE person_key = 'mary';
SET SESSION AUTHORIZATION regress_billadj_paul;
SELECT billadj.approve_policy(:change);
SELECT billadj.approve_policy(:change);
SELECT person_key, revision, created_by FROM billadj.principal ORDER BY principal_id;
SELECT state, decided_by = billadj.actor() AS by_me, decided_at >= proposed_at AS later, body_hash = sha256(convert_to(body::text, 'UTF8')) AS hash
  FROM billadj.policy_change WHERE change_id = :change;
-- by hand it is the same path
INSERT INTO billadj.policy_change (target, body) VALUES ('reason_code', '{"op": "insert", "row": {"code": "goodwill", "needs_comment": true}}') RETURNING change_id AS change \gset
UPDATE billadj.policy_change SET state = 'approved' WHERE change_id = :change;
SET SESSION AUTHORIZATION regress_billadj_petra;
UPDATE billadj.policy_change SET state = 'approved' WHERE change_id = :change;
SELECT code, needs_comment, created_by FROM billadj.reason_code;
UPDATE billadj.policy_change SET state = 'proposed' WHERE change_id = :change;
SELECT billadj.propose_policy('reason_code', '{"op": "end", "key": {"code": "goodwill"}}') AS change \gset
RESET SESSION AUTHORIZATION;
SELECT n, regress_policy.try(login, format(act, :change)) FROM (VALUES
    (1, 'rita', 'SELECT billadj.approve_policy(%s)'),
    (2, 'adam', 'SELECT billadj.approve_policy(%s)'),
    (3, 'adam', $$UPDATE billadj.policy_change SET state = 'approved' WHERE change_id = %s$$),
    (4, 'eve', 'SELECT billadj.approve_policy(%s)'),
    (5, 'petra', 'SELECT billadj.approve_policy(%s)'),
    (6, 'petra', $$SELECT billadj.reject_policy(%s, NULL)$$),
    (7, 'paul', $$UPDATE billadj.policy_change SET state = 'applied' WHERE change_id = %s$$),
    (8, 'paul', $$UPDATE billadj.policy_change SET state = NULL WHERE change_id = %s$$),
    (9, 'paul', $$UPDATE billadj.policy_change SET body = '{}' WHERE change_id = %s$$),
    (10, 'paul', $$INSERT INTO billadj.policy_change (target, body, proposed_by) VALUES ('meter', '{}', 1)$$),
    (11, 'paul', $$INSERT INTO billadj.policy_change OVERRIDING SYSTEM VALUE VALUES (%s + 100, 'meter', '{}')$$),
    (12, 'paul', $$DELETE FROM billadj.policy_change WHERE change_id = %s$$),
    (13, 'eve', $$DELETE FROM billadj.policy_change WHERE change_id = %s$$),
    (14, 'eve', $$TRUNCATE billadj.policy_change /* %s */$$),
    (15, 'paul', $$SELECT billadj.approve_policy(%s + 1000)$$)) AS v(n, login, act)
 ORDER BY n;
-- altered by somebody past the guards: not approved, but it can be rejected
SET row_security = off;
UPDATE billadj.policy_change SET body = '{"op": "end", "key": {"code": "other"}}' WHERE change_id = :change;
RESET row_security;
SELECT regress_policy.try('paul', format('SELECT billadj.approve_policy(%s)', :change));
SELECT regress_policy.try('paul', format('SELECT billadj.reject_policy(%s, %L)', :change, 'somebody altered it'));
SELECT c.state, c.comment, t.body, t.created_by FROM billadj.policy_change c LEFT JOIN billadj.private_text t ON t.text_id = c.comment_id WHERE c.change_id = :change;

-- ---- who may not approve: whoever it is about ----

SELECT regress_policy.change('adam', 'paul', 'authority', format('{"op": "insert", "row": {"principal_id": %s, "currency": "EUR", "level": 1, "single_limit": 5}}', regress_policy.id('paul')));
SELECT regress_policy.change('adam', 'paul', 'conflict', '{"op": "insert", "row": {"person_key": "paul", "account": "a"}}');
SELECT regress_policy.change('adam', 'petra', 'conflict', '{"op": "insert", "row": {"person_key": "paul", "account": "a"}}');
SELECT regress_policy.change('adam', 'paul', 'conflict', '{"op": "end", "key": {"conflict_id": 2}}') ~ '^UB306' AS not_paul,
       (SELECT revision FROM billadj.principal WHERE person_key = 'paul') AS revision;

-- ---- documents that are refused ----

SELECT n, regress_policy.try('adam', format('SELECT billadj.propose_policy(%L, %L)', target, body)) FROM (VALUES
    (1, 'nonsense', '{}'),
    (2, 'policy_change', '{"op": "end", "key": {"change_id": 1}}'),
    (3, 'principal', '[]'),
    (4, 'principal', '{"op": "delete", "key": {"principal_id": 1}}'),
    (5, 'principal', '{"op": "insert", "key": {}, "row": {}}'),
    (6, 'principal', '{"op": "insert", "row": {}}'),
    (7, 'principal', '{"op": "insert", "row": {"person_key": "x", "role_name": "regress_billadj_eve", "revision": 5}}'),
    (8, 'principal', '{"op": "insert", "row": {"person_key": "x", "role_name": "regress_billadj_eve", "role_oid": 10}}'),
    (9, 'principal', '{"op": "insert", "row": {"person_key": "x", "role_name": "regress_billadj_adam"}}'),
    (10, 'principal', '{"op": "update", "key": {"principal_id": 1}, "row": {"person_key": "x"}}'),
    (11, 'principal', '{"op": "end", "key": {"role_name": "regress_billadj_adam"}}'),
    (12, 'principal', '{"op": "end", "key": {"principal_id": 999}}'),
    (13, 'principal', '{"ops": []}'),
    (14, 'principal', '{"ops": [{"op": "end", "key": {"principal_id": 1}}], "op": "end"}'),
    (15, 'principal', '{"op": "end", "key": {"principal_id": 1}, "then": 1}'),
    (16, 'authority', '{"op": "insert", "row": {"principal_id": 1, "currency": "EUR", "level": 1, "single_limit": "NaN"}}'),
    (17, 'authority', '{"op": "insert", "row": {"principal_id": 1, "currency": "EUR", "level": 1, "single_limit": 1, "period_limit": "-Infinity"}}'),
    (18, 'authority', '{"op": "insert", "row": {"principal_id": 1, "currency": "euro", "level": 1, "single_limit": 1}}'),
    (19, 'authority', '{"op": "insert", "row": {"principal_id": 1, "currency": "EUR", "level": 1}}'),
    (20, 'authority', '{"op": "insert", "row": {"principal_id": 1, "currency": "EUR", "level": "high", "single_limit": 1}}'),
    (21, 'authority', '{"op": "insert", "row": {"principal_id": 1, "currency": "EUR", "level": 1, "single_limit": 1, "kind": "credits"}}'),
    (22, 'delegation', '{"op": "insert", "row": {"from_principal": 1, "to_principal": 1, "authority_id": 1, "valid": "[2026-01-01,)"}}'),
    (23, 'policy_mode', '{"op": "insert", "row": {"table_name": "meter", "mode": "maybe"}}'),
    (24, 'meter', '{"op": "end", "key": {"meter": "m"}}'),
    (25, 'policy_mode', '{"op": "insert", "row": {"table_name": "authority", "mode": "direct"}}'),
    (26, 'policy_mode', '{"op": "insert", "row": {"table_name": "charge", "mode": "dual"}}')) AS v(n, target, body)
 ORDER BY n;

-- ---- rules: bands that tile, steps that follow, people enough ----

CREATE FUNCTION regress_policy.rules(VARIADIC rules text[]) RETURNS text LANGUAGE sql AS $$
SELECT regress_policy.change('adam', 'paul', 'approval_rule', jsonb_build_object('ops', jsonb_agg(jsonb_build_object('op', 'insert', 'row',
    jsonb_build_object('kind', 'credit', 'currency', 'EUR', 'band', split_part(r, ' ', 1), 'step', split_part(r, ' ', 2)::integer,
                       'level', split_part(r, ' ', 3)::integer, 'quorum', split_part(r, ' ', 4)::integer))))::text)
  FROM unnest(rules) AS r $$;
SELECT regress_policy.change('adam', 'paul', 'authority', format('{"op": "insert", "row": {"principal_id": %s, "currency": "EUR", "level": 1, "single_limit": 20000}}', regress_policy.id('mary')));
SELECT n, regress_policy.rules(VARIADIC rules) FROM (VALUES
    (1, ARRAY['(0,100] 0 0 0']),
    (2, ARRAY['(100,200] 0 0 0']),
    (3, ARRAY['[0,100] 0 0 0', '(120,) 1 1 1']),
    (4, ARRAY['[0,100] 0 0 0', '(90,) 1 1 1']),
    (5, ARRAY['[0,100] 0 0 0', '[0,100] 1 1 1']),
    (6, ARRAY['[0,100] 1 1 1', '[0,100] 3 1 1']),
    (7, ARRAY['[0,100] 2 1 1']),
    (8, ARRAY['[0,100] 0 0 0', '[0,100] 0 0 0']),
    (9, ARRAY['[0,100] 0 1 1']),
    (10, ARRAY['[0,100] 1 0 0']),
    (11, ARRAY['[0,100) 0 0 0']),
    (12, ARRAY['[0,100] 0 0 0', '(100,Infinity] 1 1 1']),
    (13, ARRAY['[0,100] 0 0 0', '(100,) 1 1 2']),
    (14, ARRAY['[0,100] 0 0 0', '(100,) 1 2 1']),
    (15, ARRAY['[0,100] 0 0 0', '(100,30000] 1 1 1', '(30000,) 1 1 1']),
    (16, ARRAY['[0,10000] 0 0 0', '(10000,20000] 1 1 1'])) AS v(n, rules)
 ORDER BY n;
SELECT band, step, level, quorum, upper_inf(valid) AS open FROM billadj.approval_rule ORDER BY band, step;
-- whoever is needed stays, until somebody else can
SELECT n, regress_policy.change('adam', 'paul', target, body) FROM (VALUES
    (1, 'authority', format('{"op": "end", "key": {"authority_id": %s}}', (SELECT max(authority_id) FROM billadj.authority))),
    (2, 'authority', format('{"op": "update", "key": {"authority_id": %s}, "row": {"single_limit": 9999}}', (SELECT max(authority_id) FROM billadj.authority))),
    (3, 'authority', format('{"op": "update", "key": {"authority_id": %s}, "row": {"certificate": "course"}}', (SELECT max(authority_id) FROM billadj.authority))),
    (4, 'authority', format('{"op": "update", "key": {"authority_id": %s}, "row": {"single_limit": 15000}}', (SELECT max(authority_id) FROM billadj.authority))),
    (5, 'principal', format('{"op": "end", "key": {"principal_id": %s}}', regress_policy.id('mary'))),
    (6, 'principal', format('{"op": "end", "key": {"principal_id": %s}}', regress_policy.id('petra')))) AS v(n, target, body)
 ORDER BY n;
SELECT revision FROM billadj.principal WHERE person_key = 'mary';
-- new bands in one change, without a moment between
SELECT regress_policy.change('adam', 'paul', 'approval_rule', (SELECT jsonb_build_object('ops', jsonb_agg(o))::text FROM (
    SELECT jsonb_build_object('op', 'end', 'key', jsonb_build_object('rule_id', rule_id)) FROM billadj.approval_rule
    UNION ALL SELECT '{"op": "insert", "row": {"kind": "credit", "currency": "EUR", "band": "[0,12000]", "step": 1, "level": 1, "quorum": 1}}') AS x(o)));
SELECT band, upper_inf(valid) AS open, lower(valid) IN (SELECT upper(valid) FROM billadj.approval_rule) AS follows FROM billadj.approval_rule ORDER BY 1, 2;

-- ---- catalogue: direct, unless dual ----

SELECT regress_policy.try('adam', $$INSERT INTO billadj.meter (meter) VALUES ('policy1')$$);
SELECT regress_policy.change('adam', 'paul', 'policy_mode', '{"op": "insert", "row": {"table_name": "meter", "mode": "dual"}}');
SELECT n, regress_policy.try(login, act) FROM (VALUES
    (1, 'adam', $$INSERT INTO billadj.meter (meter) VALUES ('policy2')$$),
    (2, 'eve', $$UPDATE billadj.meter SET unit = 'x'$$),
    (3, 'eve', $$SET LOCAL session_replication_role = replica; DELETE FROM billadj.meter$$),
    (4, 'adam', $$INSERT INTO billadj.account (account) VALUES ('policy')$$),
    (5, 'eve', $$UPDATE billadj.policy_mode SET mode = 'direct'$$)) AS v(n, login, act)
 ORDER BY n;
SELECT regress_policy.change('adam', 'paul', 'meter', '{"op": "insert", "row": {"meter": "policy2", "unit": "piece"}}');
SELECT meter, unit, created_by FROM billadj.meter WHERE meter LIKE 'policy%' ORDER BY meter;
SELECT regress_policy.change('adam', 'paul', 'policy_mode', '{"op": "update", "key": {"table_name": "meter"}, "row": {"mode": "direct"}}');
SELECT regress_policy.try('adam', $$UPDATE billadj.meter SET unit = 'x' WHERE meter LIKE 'policy%'$$);

-- ---- who acts ----

SET SESSION AUTHORIZATION regress_billadj_rita;
SELECT person_key, login, role_name, roles FROM billadj.whoami();
RESET SESSION AUTHORIZATION;
-- a pooler that nobody registered is itself, whatever role it has set
SET SESSION AUTHORIZATION regress_billadj_pool;
SET ROLE regress_billadj_rita;
SELECT person_key, login, role_name, roles FROM billadj.whoami();
RESET SESSION AUTHORIZATION;
SELECT regress_policy.change('adam', 'paul', 'pooler', '{"op": "insert", "row": {"role_name": "regress_billadj_pool"}}');
SET SESSION AUTHORIZATION regress_billadj_pool;
SET ROLE regress_billadj_rita;
SELECT person_key, login, role_name, roles FROM billadj.whoami();
SET ROLE regress_billadj_mary;
SELECT person_key, login, role_name, roles FROM billadj.whoami();
RESET SESSION AUTHORIZATION;
SET SESSION AUTHORIZATION regress_billadj_eve;
SET ROLE regress_billadj_rita;
SELECT person_key, login, role_name, roles FROM billadj.whoami();
RESET SESSION AUTHORIZATION;
-- settings are no identity
SET billadj.actor = 'regress_billadj_paul';
-- a login that was dropped and made anew is somebody else
BEGIN;
DROP OWNED BY regress_billadj_mary;
REVOKE regress_billadj_mary FROM regress_billadj_pool;
DROP ROLE regress_billadj_mary;
SELECT code, message FROM billadj.self_check();
CREATE ROLE regress_billadj_mary LOGIN;
GRANT billadj_policy TO regress_billadj_mary;
SELECT regexp_replace(regress_policy.try('mary', $$SELECT billadj.propose_policy('meter', '{"op": "insert", "row": {"meter": "m"}}')$$), 'x', 'x');
SELECT code, message FROM billadj.self_check();
SELECT regress_policy.change('adam', 'paul', 'principal', format('{"op": "update", "key": {"principal_id": %s}, "row": {"active": true}}', regress_policy.id('mary')));
SELECT code, message FROM billadj.self_check();
-- in another cluster the name counts
SET LOCAL row_security = off;
UPDATE billadj.principal SET system_id = 1, role_oid = 1;
SET LOCAL row_security = on;
SELECT severity, code, message ~ 'another cluster' AS told FROM billadj.self_check();
SELECT billadj.policy_approvers();
ROLLBACK;

-- ---- what self_check() finds, and that each command mends it ----

SELECT code, message FROM billadj.self_check();
CREATE ROLE regress_billadj_byp LOGIN BYPASSRLS;
CREATE ROLE regress_billadj_cr LOGIN CREATEROLE;
CREATE ROLE regress_billadj_repl LOGIN REPLICATION;
CREATE ROLE regress_billadj_dump LOGIN;
GRANT pg_read_all_data TO regress_billadj_dump;
GRANT billadj_owner TO regress_billadj_cr;
GRANT billadj_approver TO regress_billadj_mary WITH ADMIN OPTION;
GRANT billadj_admin TO regress_billadj_mary;
CREATE POLICY oops ON billadj.authority USING (true);
DROP POLICY policy_change_proposer ON billadj.policy_change;
CREATE FUNCTION regress_policy.nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER zz_late BEFORE INSERT ON billadj.policy_change FOR EACH ROW EXECUTE FUNCTION regress_policy.nothing();
CREATE RULE gone AS ON INSERT TO billadj.principal DO INSTEAD NOTHING;
CREATE TABLE regress_policy.kid () INHERITS (billadj.authority);
SET client_min_messages = error;
CREATE PUBLICATION regress_billadj_pub FOR TABLE billadj.authority;
SET client_min_messages = warning;
ALTER TABLE billadj.conflict DISABLE ROW LEVEL SECURITY;
ALTER TABLE billadj.delegation NO FORCE ROW LEVEL SECURITY;
ALTER TABLE billadj.reason_code DISABLE TRIGGER billadj_policy;
ALTER TABLE billadj.pooler ENABLE REPLICA TRIGGER billadj_policy;
ALTER TABLE billadj.policy_change ENABLE TRIGGER billadj_policy;
DROP TRIGGER billadj_policy_truncate ON billadj.authority;
ALTER TABLE billadj.certification OWNER TO regress_billadj_cr;
ALTER TABLE billadj.policy_mode SET UNLOGGED;
GRANT INSERT ON billadj.authority TO regress_billadj_paul;
GRANT UPDATE (decided_by) ON billadj.policy_change TO PUBLIC;
GRANT TRUNCATE ON billadj.reason_code TO billadj_admin;
GRANT EXECUTE ON FUNCTION billadj.write_policy(text, jsonb, timestamptz) TO regress_billadj_rita;
GRANT EXECUTE ON FUNCTION billadj.self_check() TO PUBLIC;
GRANT SET ON PARAMETER session_replication_role TO regress_billadj_rita;
GRANT SET ON PARAMETER billadj.enabled TO regress_billadj_rita;
GRANT CREATE ON SCHEMA billadj TO regress_billadj_rita;
ALTER FUNCTION billadj.whoami() OWNER TO regress_billadj_cr;
CREATE FUNCTION billadj.planted() RETURNS integer LANGUAGE sql AS 'SELECT 1';
ALTER EVENT TRIGGER billadj_guard_ddl DISABLE;
DROP EVENT TRIGGER billadj_guard_drop;
SELECT severity, code, replace(message, current_user, '<me>') AS message, replace(fix_sql, 'OWNER TO ' || current_user, 'OWNER TO <me>') AS fix_sql
  FROM billadj.self_check() ORDER BY code COLLATE "C", message COLLATE "C";
\o /dev/null
SELECT fix_sql FROM billadj.self_check() WHERE fix_sql !~ '^--' \gexec
\o
SELECT code, message FROM billadj.self_check();
REVOKE pg_read_all_data FROM regress_billadj_dump;

-- what a superuser did to them is on record
SELECT DISTINCT e.event, e.object, e.payload::jsonb ->> 'command' AS command, e.actor = session_user AS by_me
  FROM billadj.audit_entry e WHERE e.event = 'ddl' AND e.object ~ 'authority|policy_change|planted'
 ORDER BY 2, 3;
-- and what people did to policy
SELECT e.event, split_part(e.object, '/', 1) AS object, e.actor, count(*) FROM billadj.audit_entry e
 WHERE e.event <> 'ddl' AND split_part(e.object, '/', 1) IN ('authority', 'approval_rule', 'policy_change') GROUP BY 1, 2, 3 ORDER BY 2, 1, 3;

-- a log that nobody kept a digest of for a day
BEGIN;
SET LOCAL row_security = off;
UPDATE billadj.audit_block SET at = now() - interval '2 days' WHERE (chain, seq) IN (SELECT chain, seq FROM billadj.audit_block LIMIT 1);
SET LOCAL row_security = on;
SELECT severity, code, message FROM billadj.self_check();
ROLLBACK;

-- ---- DDL by those who got hold of a table all the same ----

GRANT billadj_owner TO regress_billadj_cr;
GRANT TRIGGER ON billadj.principal TO regress_billadj_cr;
GRANT CREATE ON SCHEMA billadj TO regress_billadj_cr;
SELECT n, regress_policy.try('cr', act) FROM (VALUES
    (1, 'CREATE TABLE regress_policy.mine (a integer); CREATE TEMP TABLE t (a integer); CREATE INDEX ON regress_policy.mine (a); DROP TABLE regress_policy.mine, t'),
    (2, 'CREATE TRIGGER x BEFORE INSERT ON billadj.principal FOR EACH ROW EXECUTE FUNCTION regress_policy.nothing()'),
    (3, 'SET LOCAL ROLE billadj_owner; ALTER TABLE billadj.principal DISABLE TRIGGER billadj_policy'),
    (4, 'SET LOCAL ROLE billadj_owner; ALTER TABLE billadj.principal ENABLE REPLICA TRIGGER billadj_policy'),
    (5, 'SET LOCAL ROLE billadj_owner; ALTER TABLE billadj.principal NO FORCE ROW LEVEL SECURITY'),
    (6, 'SET LOCAL ROLE billadj_owner; ALTER TABLE billadj.authority ALTER created_by TYPE varchar USING NULL'),
    (7, 'SET LOCAL ROLE billadj_owner; ALTER TABLE billadj.authority SET UNLOGGED'),
    (8, 'SET LOCAL ROLE billadj_owner; ALTER TABLE billadj.principal RENAME TO p'),
    (9, 'SET LOCAL ROLE billadj_owner; ALTER TABLE billadj.principal RENAME person_key TO p'),
    (10, 'SET LOCAL ROLE billadj_owner; DROP POLICY principal_read ON billadj.principal'),
    (11, 'SET LOCAL ROLE billadj_owner; DROP TRIGGER billadj_policy ON billadj.principal'),
    (12, 'SET LOCAL ROLE billadj_owner; DROP INDEX billadj.principal_role_name_key'),
    (13, 'SET LOCAL ROLE billadj_owner; DROP TABLE billadj.policy_mode'),
    (14, 'SET LOCAL ROLE billadj_owner; DROP VIEW billadj.open_policy_change'),
    (15, 'SET LOCAL ROLE billadj_owner; CREATE POLICY p ON billadj.principal USING (true)'),
    (16, 'SET LOCAL ROLE billadj_owner; ALTER POLICY principal_read ON billadj.principal USING (false)'),
    (17, 'SET LOCAL ROLE billadj_owner; CREATE RULE r AS ON INSERT TO billadj.principal DO INSTEAD NOTHING'),
    (18, 'SET LOCAL ROLE billadj_owner; CREATE TABLE billadj.kid () INHERITS (billadj.principal)'),
    (19, 'SET LOCAL ROLE billadj_owner; CREATE TEMP TABLE kid () INHERITS (billadj.principal)'),
    (20, 'SET LOCAL ROLE billadj_owner; GRANT INSERT ON billadj.principal TO PUBLIC'),
    (21, 'SET LOCAL ROLE billadj_owner; GRANT INSERT (state) ON billadj.policy_change TO PUBLIC'),
    (22, 'SET LOCAL ROLE billadj_owner; REVOKE ALL ON billadj.policy_change FROM billadj_auditor'),
    (23, 'SET LOCAL ROLE billadj_owner; CREATE FUNCTION billadj.x() RETURNS integer LANGUAGE sql AS ''SELECT 1'''),
    (24, 'SET LOCAL ROLE billadj_owner; COMMENT ON TABLE billadj.principal IS ''x'''),
    (25, 'SET LOCAL ROLE billadj_owner; CREATE INDEX ON billadj.principal (active)'),
    (26, 'SET LOCAL ROLE billadj_owner; CREATE INDEX ON billadj.charge (event_key)'),
    (27, 'SET LOCAL session_replication_role = replica; ALTER TABLE billadj.principal DISABLE TRIGGER billadj_policy'),
    (28, 'SET LOCAL row_security = off; SET LOCAL ROLE billadj_owner; ALTER TABLE billadj.principal DISABLE TRIGGER billadj_policy'),
    (29, 'SET LOCAL ROLE billadj_owner; INSERT INTO billadj.principal (person_key, role_name) VALUES (''x'', ''regress_billadj_eve'')'),
    (30, 'SET LOCAL ROLE billadj_owner; UPDATE billadj.principal SET active = false'),
    (31, 'SET LOCAL ROLE billadj_owner; TRUNCATE billadj.policy_mode')) AS v(n, act)
 ORDER BY n;
REVOKE billadj_owner FROM regress_billadj_cr;
REVOKE TRIGGER ON billadj.principal FROM regress_billadj_cr;
REVOKE CREATE ON SCHEMA billadj FROM regress_billadj_cr;
DROP INDEX billadj.charge_event_key_idx;

-- ---- as it was ----

SET row_security = off;
TRUNCATE billadj.policy_change, billadj.policy_mode, billadj.delegation, billadj.reason_code, billadj.approval_rule, billadj.conflict, billadj.authority,
         billadj.certification, billadj.pooler, billadj.principal, billadj.private_text, billadj.audit_entry, billadj.audit_block, billadj.audit_chain RESTART IDENTITY CASCADE;
DELETE FROM billadj.meter WHERE meter LIKE 'policy%';
RESET row_security;
SELECT * FROM billadj.self_check() WHERE code NOT LIKE 'login%';
DROP PUBLICATION regress_billadj_pub;
DROP SCHEMA regress_policy CASCADE;
DROP OWNED BY regress_billadj_rita, regress_billadj_paul, regress_billadj_mary;
DROP ROLE regress_billadj_adam, regress_billadj_paul, regress_billadj_petra, regress_billadj_mary, regress_billadj_rita, regress_billadj_pool,
          regress_billadj_eve, regress_billadj_byp, regress_billadj_cr, regress_billadj_repl, regress_billadj_dump;
