-- Overrides, their policy and the audit log: each role x each table x each
-- statement, each function, and the ways round them.  What is written is the
-- outcome: the SQLSTATE, "done", or "none" where the statement succeeds and a
-- policy hides every row from it.
\set ECHO none
\set QUIET 1
\pset format unaligned
\pset tuples_only on
\pset pager off
SET client_min_messages = error;
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS btree_gist;
CREATE EXTENSION IF NOT EXISTS billadj;
SELECT count(*) AS steps FROM billadj.install() \gset

-- ---- people ----

-- who of the matrix; person: whose login it is
CREATE SCHEMA pgtap_override;
GRANT USAGE, CREATE ON SCHEMA pgtap_override TO PUBLIC;
CREATE TABLE pgtap_override.who (place serial, short text, groups text, options text DEFAULT '');
INSERT INTO pgtap_override.who (short, groups, options) VALUES
    ('nobody', NULL, ''), ('reader', 'billadj_reader', ''), ('requester', 'billadj_requester', ''), ('approver', 'billadj_approver', ''),
    ('operator', 'billadj_operator', ''), ('admin', 'billadj_admin', ''), ('policy', 'billadj_policy', ''), ('auditor', 'billadj_auditor', ''),
    ('privacy', 'billadj_privacy', ''), ('noinherit', 'billadj_requester, billadj_approver', 'NOINHERIT'), ('granted', NULL, ''),
    ('bypassrls', NULL, 'BYPASSRLS'), ('writeall', 'pg_write_all_data, pg_read_all_data', ''), ('createrole', NULL, 'CREATEROLE'),
    ('owner', 'billadj_owner', ''), ('superuser', NULL, 'SUPERUSER');
DO $$
DECLARE
    w record;
BEGIN
    FOR w IN SELECT * FROM pgtap_override.who
             UNION ALL VALUES (0, 'both', 'billadj_requester, billadj_approver', ''), (0, 'lead', 'billadj_approver', ''), (0, 'policy2', 'billadj_policy', '') LOOP
        EXECUTE format('CREATE ROLE pgtap_%s LOGIN %s', w.short, w.options);
        -- COPY from and to files, so that what stops them is the table
        EXECUTE format('GRANT pg_read_server_files, pg_write_server_files, pg_execute_server_program TO pgtap_%s', w.short);
        IF w.groups <> '' THEN
            EXECUTE format('GRANT %s TO pgtap_%s', w.groups, w.short);
        END IF;
    END LOOP;
END $$;
-- somebody was careless
GRANT ALL ON ALL TABLES IN SCHEMA billadj TO pgtap_granted, pgtap_bypassrls;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA billadj TO pgtap_granted, pgtap_bypassrls;
GRANT USAGE ON SCHEMA billadj TO pgtap_granted, pgtap_bypassrls;

-- everybody is a registered person but nobody, so that what stops them is not
-- that; and everybody has authority but reader
DO $$ BEGIN
    SET LOCAL row_security = off;
    TRUNCATE billadj.policy_change, billadj.principal, billadj.authority, billadj.approval_rule, billadj.reason_code, billadj.override_request,
        billadj.override_decision, billadj.adjustment, billadj.hold, billadj.limit_usage, billadj.limit_entry RESTART IDENTITY CASCADE;
    INSERT INTO billadj.principal (person_key, role_name, role_oid)
    SELECT short, 'pgtap_' || short, ('pgtap_' || short)::regrole::oid::bigint FROM pgtap_override.who WHERE short <> 'nobody'
    UNION ALL SELECT v, 'pgtap_' || v, ('pgtap_' || v)::regrole::oid::bigint FROM unnest(ARRAY['both', 'lead', 'policy2']) AS v;
    INSERT INTO billadj.authority (principal_id, currency, level, single_limit, period_limit, valid)
    SELECT p.principal_id, c.currency, CASE p.person_key WHEN 'lead' THEN 2 ELSE 1 END, 50000, 1000000, '[2026-01-01,)'
      FROM billadj.principal p, unnest(ARRAY['EUR', 'USD']) AS c(currency) WHERE p.person_key <> 'reader';
    INSERT INTO billadj.certification (principal_id, certificate, valid) SELECT principal_id, 'sox', '[2026-01-01,)' FROM billadj.principal WHERE person_key = 'lead';
    INSERT INTO billadj.conflict (person_key, account, valid) VALUES ('lead', 'interest', '[2026-01-01,)');
    INSERT INTO billadj.delegation (from_principal, to_principal, authority_id, single_limit, valid)
    SELECT a.principal_id, p.principal_id, a.authority_id, 100, '[2026-01-01,2100-01-01)' FROM billadj.authority a, billadj.principal p WHERE a.level = 2 AND a.currency = 'EUR' AND p.person_key = 'approver';
    -- and one that nobody caps
    INSERT INTO billadj.delegation (from_principal, to_principal, authority_id, valid)
    SELECT d.from_principal, p.principal_id, d.authority_id, d.valid FROM billadj.delegation d, billadj.principal p WHERE p.person_key = 'both';
    INSERT INTO billadj.approval_rule (kind, currency, band, step, level, quorum)
    VALUES ('credit', 'EUR', '[0,100]', 0, 0, 0), ('credit', 'EUR', '(100,20000]', 1, 1, 1), ('credit', 'EUR', '(20000,)', 1, 1, 1), ('credit', 'EUR', '(20000,)', 2, 2, 1),
           ('release', 'EUR', '[0,)', 1, 1, 1);
    INSERT INTO billadj.approval_rule (kind, currency, band, step, level, quorum, apply) VALUES ('debit', 'EUR', '[0,)', 1, 1, 1, 'later');
    INSERT INTO billadj.reason_code (code, needs_comment, needs_evidence) VALUES ('goodwill', false, false);
    SET LOCAL row_security = on;
END $$;

-- ---- facts: requests in each state, what they left, and an account with charges ----

CREATE TABLE pgtap_override.usage (id integer PRIMARY KEY, who text, at timestamptz, n numeric);
CREATE TABLE pgtap_override.name (name text PRIMARY KEY, value text);
GRANT SELECT ON pgtap_override.name TO PUBLIC;
CREATE FUNCTION pgtap_override.as_(short text, query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answer text;
BEGIN
    EXECUTE format('SET LOCAL SESSION AUTHORIZATION pgtap_%s', short);
    EXECUTE query INTO answer;
    SET LOCAL SESSION AUTHORIZATION DEFAULT;
    RETURN answer;
END $$;
-- :open and so on in a statement
CREATE FUNCTION pgtap_override.named(act text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    n record;
BEGIN
    FOR n IN SELECT * FROM pgtap_override.name LOOP
        act := regexp_replace(act, ':' || n.name || '\M', n.value, 'g');
    END LOOP;
    RETURN act;
END $$;
CREATE FUNCTION pgtap_override.keep(name text, value text) RETURNS void LANGUAGE sql AS 'INSERT INTO pgtap_override.name VALUES ($1, $2)';
CREATE FUNCTION pgtap_override.ask(who text, account text, delta numeric, kind text DEFAULT 'credit') RETURNS text LANGUAGE sql AS $$
SELECT pgtap_override.as_(who, format('SELECT billadj.submit_override(%L, %L, ''goodwill'', delta => %L, currency => ''EUR'', comment => ''said'')', kind, account, delta))
$$;
CREATE FUNCTION pgtap_override.seen(request text) RETURNS bytea LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
SELECT content_hash FROM billadj.override_request WHERE request_id = $1::bigint
$$;
DO $$
DECLARE
    charge bigint;
BEGIN
    PERFORM billadj.import_rate_card('{"code": "pgtap", "currency": "EUR", "prices": [{"meter": "pgtap", "model": "per_unit", "unit_amount": "2"}]}', '[2020-01-01,)');
    PERFORM billadj.attach('pgtap_override.usage', 'who', 'at', 'pgtap', 'n');
    INSERT INTO pgtap_override.usage VALUES (1, 'used', '2026-05-10', 7), (2, 'held', '2026-05-10', 7);
    PERFORM pgtap_override.keep('open', pgtap_override.ask('requester', 'open', -15000));
    PERFORM pgtap_override.keep('own', pgtap_override.ask('both', 'own', -15000));
    PERFORM pgtap_override.keep('large', pgtap_override.ask('requester', 'large', -30000));
    PERFORM pgtap_override.keep('interest', pgtap_override.ask('requester', 'interest', -30000));
    PERFORM pgtap_override.keep('applied', pgtap_override.ask('requester', 'applied', -15000));
    PERFORM pgtap_override.as_('both', pgtap_override.named('SELECT billadj.approve_override(:applied, pgtap_override.seen('':applied''))'));
    PERFORM pgtap_override.keep('approved', pgtap_override.ask('requester', 'approved', 150, 'debit'));
    PERFORM pgtap_override.as_('both', pgtap_override.named('SELECT billadj.approve_override(:approved, pgtap_override.seen('':approved''), comment => ''yes'')'));
    PERFORM pgtap_override.ask('requester', 'small', -5);
    PERFORM pgtap_override.as_('requester', pgtap_override.named('SELECT billadj.comment_override(:open, ''see the mail'')'));
    PERFORM pgtap_override.as_('lead', pgtap_override.named('SELECT billadj.review_override(:open)'));
    SELECT charge_id INTO charge FROM billadj.charge WHERE account = 'used';
    PERFORM pgtap_override.keep('charge', charge::text);
    SELECT charge_id INTO charge FROM billadj.charge WHERE account = 'held';
    PERFORM pgtap_override.as_('requester', format('SELECT billadj.hold_charge(''held'', %s, ''odd'')', charge));
    PERFORM pgtap_override.keep('held', charge::text);
    PERFORM billadj.add_proposal('propose', 'credit', NULL, -5, 'EUR', 'goodwill', '2026-05-01', NULL);
    PERFORM pgtap_override.keep('change', pgtap_override.as_('admin', $a$SELECT billadj.propose_policy('reason_code', '{"op": "insert", "row": {"code": "pgtap"}}')$a$));
END $$;

-- ---- the matrix ----

CREATE TABLE pgtap_override.target (place serial, name text);
INSERT INTO pgtap_override.target (name) VALUES ('override_request'), ('override_decision'), ('adjustment'), ('authority'), ('approval_rule'), ('audit_entry'),
    ('hold'), ('principal'), ('limit_usage'), ('limit_entry'), ('outbox'), ('private_text'), ('request_comment'), ('proposal'), ('review_ticket'),
    ('override_window'), ('certification'), ('conflict'), ('delegation'), ('reason_code'), ('audit_block'), ('audit_chain'), ('audit_anchor');
-- One row of each that anybody may read, to be inserted again; and its columns.
DO $$
DECLARE
    t text;
BEGIN
    FOR t IN SELECT name FROM pgtap_override.target LOOP
        EXECUTE format('CREATE TABLE pgtap_override.%1$s AS SELECT * FROM ONLY billadj.%1$s ORDER BY 1 LIMIT 1', t);
        EXECUTE format('INSERT INTO pgtap_override.%1$s SELECT (NULL::pgtap_override.%1$s).* WHERE NOT EXISTS (SELECT FROM pgtap_override.%1$s)', t);
        EXECUTE format('GRANT SELECT ON pgtap_override.%s TO PUBLIC', t);
    END LOOP;
END $$;
CREATE FUNCTION pgtap_override.columns(target text, prefix text) RETURNS text LANGUAGE sql AS $$
SELECT string_agg(prefix || quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = format('billadj.%s', target)::regclass AND attnum > 0
$$;
CREATE FUNCTION pgtap_override.act(verb text, target text) RETURNS text LANGUAGE sql AS $$
SELECT format(v.form, $2, pgtap_override.columns($2, ''), pgtap_override.columns($2, 'c.'),
              -- a column that is neither key nor identity
              (SELECT a.attname FROM pg_attribute a JOIN pg_constraint k ON k.conrelid = a.attrelid AND k.contype = 'p'
                WHERE a.attrelid = format('billadj.%s', $2)::regclass AND a.attnum > 0 AND a.attidentity = '' AND a.attnum <> ALL (k.conkey)
                ORDER BY a.attnum LIMIT 1))
  FROM (VALUES
    ('SELECT', 'SELECT FROM billadj.%1$s'),
    ('FOR UPDATE', 'SELECT FROM billadj.%1$s FOR UPDATE'),
    ('INSERT', 'INSERT INTO billadj.%1$s (%2$s) OVERRIDING SYSTEM VALUE SELECT %3$s FROM pgtap_override.%1$s c'),
    ('ON CONFLICT DO NOTHING', 'INSERT INTO billadj.%1$s (%2$s) OVERRIDING SYSTEM VALUE SELECT %3$s FROM pgtap_override.%1$s c ON CONFLICT DO NOTHING'),
    ('ON CONFLICT DO UPDATE', 'INSERT INTO billadj.%1$s (%2$s) OVERRIDING SYSTEM VALUE SELECT %3$s FROM pgtap_override.%1$s c'
                              ' ON CONFLICT ON CONSTRAINT %1$s_pkey DO UPDATE SET %4$s = excluded.%4$s'),
    ('UPDATE', 'UPDATE billadj.%1$s SET %4$s = %4$s'),
    ('DELETE', 'DELETE FROM billadj.%1$s'),
    ('TRUNCATE', 'TRUNCATE billadj.%1$s CASCADE'),
    ('COPY TO', 'COPY billadj.%1$s TO ''/dev/null'''),
    ('COPY FROM', 'COPY billadj.%1$s (%4$s) FROM PROGRAM ''echo ''''\N'''''''),
    ('MERGE UPDATE', 'MERGE INTO billadj.%1$s USING (SELECT) AS one ON true WHEN MATCHED THEN UPDATE SET %4$s = %4$s'),
    ('MERGE DELETE', 'MERGE INTO billadj.%1$s USING (SELECT) AS one ON true WHEN MATCHED THEN DELETE'),
    ('MERGE INSERT', 'MERGE INTO billadj.%1$s USING pgtap_override.%1$s AS c ON false WHEN NOT MATCHED THEN INSERT (%2$s) OVERRIDING SYSTEM VALUE VALUES (%3$s)')) AS v(verb, form)
 WHERE v.verb = $1
$$;

-- Does it, and undoes it.
CREATE FUNCTION pgtap_override.may(short text, act text, setup text DEFAULT '') RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    n bigint;
BEGIN
    IF setup <> '' THEN
        EXECUTE setup;
    END IF;
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
CREATE FUNCTION pgtap_override.told(act text) RETURNS text LANGUAGE sql AS $$
SELECT string_agg(state || ': ' || names, '; ' ORDER BY state COLLATE "C")
  FROM (SELECT m.state, string_agg(w.short, ' ' ORDER BY w.place) AS names
          FROM pgtap_override.who w, pgtap_override.may(w.short, pgtap_override.named(told.act)) AS m(state) GROUP BY m.state) s
$$;

-- the rights to decide, not the person
CREATE FUNCTION pgtap_override.lent(request bigint) RETURNS text LANGUAGE sql SECURITY DEFINER AS $f$ SELECT billadj.approve_override(request, pgtap_override.seen(request::text)) $f$;

CREATE TABLE pgtap_override.cell (verb text, targets text, told text);
INSERT INTO pgtap_override.cell VALUES
    ('SELECT', 'override_request override_decision adjustment authority approval_rule hold request_comment delegation reason_code',
     '42501: nobody privacy noinherit createrole; done: reader requester approver operator admin policy auditor bypassrls superuser; none: granted writeall owner'),
    ('SELECT', 'audit_entry review_ticket override_window',
     '42501: nobody reader requester approver operator admin policy privacy noinherit createrole; done: auditor bypassrls superuser; none: granted writeall owner'),
    ('SELECT', 'principal',
     '42501: nobody noinherit createrole; done: reader requester approver operator admin policy auditor privacy bypassrls superuser; none: granted writeall owner'),
    ('SELECT', 'limit_usage limit_entry',
     '42501: nobody reader requester approver operator admin privacy noinherit createrole; done: policy auditor bypassrls superuser; none: granted writeall owner'),
    ('SELECT', 'outbox',
     '42501: nobody reader requester approver policy privacy noinherit createrole; done: operator admin auditor bypassrls superuser; none: granted writeall owner'),
    ('SELECT', 'private_text',
     '42501: nobody reader requester operator admin policy auditor noinherit createrole; done: approver privacy bypassrls superuser; none: granted writeall owner'),
    ('SELECT', 'proposal',
     '42501: nobody requester privacy noinherit createrole; done: reader approver operator admin policy auditor bypassrls superuser; none: granted writeall owner'),
    ('SELECT', 'certification conflict',
     '42501: nobody privacy noinherit createrole; done: reader operator admin policy auditor bypassrls superuser; none: requester approver granted writeall owner'),
    ('SELECT', 'audit_block audit_chain audit_anchor',
     '42501: nobody reader requester approver operator admin policy privacy noinherit createrole; none: auditor granted bypassrls writeall owner superuser'),
    ('FOR UPDATE', 'override_request',
     '42501: nobody reader approver admin policy auditor privacy noinherit createrole; done: requester bypassrls superuser; none: operator granted writeall owner'),
    ('FOR UPDATE', 'override_decision adjustment authority approval_rule audit_entry hold principal limit_usage limit_entry private_text request_comment proposal review_ticket override_window certification conflict delegation reason_code',
     '42501: nobody reader requester approver operator admin policy auditor privacy noinherit createrole; done: bypassrls superuser; none: granted writeall owner'),
    ('FOR UPDATE', 'outbox',
     '42501: nobody reader requester approver admin policy auditor privacy noinherit createrole; done: operator bypassrls superuser; none: granted writeall owner'),
    ('FOR UPDATE', 'audit_block audit_chain audit_anchor',
     '42501: nobody reader requester approver operator admin policy auditor privacy noinherit createrole; none: granted bypassrls writeall owner superuser'),
    ('INSERT', 'override_request',
     '23505: bypassrls superuser; 42501: nobody reader requester approver operator admin policy auditor privacy noinherit granted writeall createrole owner'),
    ('INSERT', 'override_decision',
     '42501: nobody reader requester approver operator admin policy auditor privacy noinherit createrole; UB310: granted bypassrls writeall owner superuser'),
    ('INSERT', 'adjustment audit_entry hold limit_usage limit_entry outbox private_text request_comment proposal review_ticket override_window audit_block audit_chain',
     '42501: nobody reader requester approver operator admin policy auditor privacy noinherit createrole; UB324: granted bypassrls writeall owner superuser'),
    ('INSERT', 'authority approval_rule principal certification conflict delegation reason_code',
     '42501: nobody reader requester approver operator admin policy auditor privacy noinherit createrole; UB328: granted bypassrls writeall owner superuser'),
    ('INSERT', 'audit_anchor',
     '23502: bypassrls superuser; 42501: nobody reader requester approver operator admin policy auditor privacy noinherit granted writeall createrole owner'),
    ('ON CONFLICT DO NOTHING', 'override_request',
     '42501: nobody reader requester approver operator admin policy auditor privacy noinherit granted writeall createrole owner; none: bypassrls superuser'),
    ('ON CONFLICT DO NOTHING', 'override_decision',
     '42501: nobody reader requester approver operator admin policy auditor privacy noinherit createrole; UB310: granted bypassrls writeall owner superuser'),
    ('ON CONFLICT DO NOTHING', 'adjustment audit_entry hold limit_usage limit_entry outbox private_text request_comment proposal review_ticket override_window audit_block audit_chain',
     '42501: nobody reader requester approver operator admin policy auditor privacy noinherit createrole; UB324: granted bypassrls writeall owner superuser'),
    ('ON CONFLICT DO NOTHING', 'authority approval_rule principal certification conflict delegation reason_code',
     '42501: nobody reader requester approver operator admin policy auditor privacy noinherit createrole; UB328: granted bypassrls writeall owner superuser'),
    ('ON CONFLICT DO NOTHING', 'audit_anchor',
     '23502: bypassrls superuser; 42501: nobody reader requester approver operator admin policy auditor privacy noinherit granted writeall createrole owner'),
    ('ON CONFLICT DO UPDATE', 'override_request',
     '42501: nobody reader requester approver operator admin policy auditor privacy noinherit granted bypassrls writeall createrole owner superuser'),
    ('ON CONFLICT DO UPDATE', 'override_decision',
     '42501: nobody reader requester approver operator admin policy auditor privacy noinherit createrole; UB310: granted bypassrls writeall owner superuser'),
    ('ON CONFLICT DO UPDATE', 'adjustment audit_entry hold limit_usage limit_entry outbox private_text request_comment proposal review_ticket override_window audit_block audit_chain',
     '42501: nobody reader requester approver operator admin policy auditor privacy noinherit createrole; UB324: granted bypassrls writeall owner superuser'),
    ('ON CONFLICT DO UPDATE', 'authority approval_rule principal certification conflict delegation reason_code',
     '42501: nobody reader requester approver operator admin policy auditor privacy noinherit createrole; UB328: granted bypassrls writeall owner superuser'),
    ('ON CONFLICT DO UPDATE', 'audit_anchor',
     '42501: nobody reader requester approver operator admin policy auditor privacy noinherit createrole; UB320: granted bypassrls writeall owner superuser'),
    ('UPDATE', 'override_request',
     '42501: nobody reader requester approver operator admin policy auditor privacy noinherit bypassrls createrole superuser; none: granted writeall owner'),
    ('UPDATE', 'override_decision adjustment hold request_comment proposal',
     '42501: nobody reader requester approver operator admin policy auditor privacy noinherit createrole; UB320: bypassrls superuser; none: granted writeall owner'),
    ('UPDATE', 'authority approval_rule principal certification conflict delegation reason_code',
     '42501: nobody reader requester approver operator admin policy auditor privacy noinherit createrole; UB328: bypassrls superuser; none: granted writeall owner'),
    ('UPDATE', 'audit_entry private_text audit_block audit_chain audit_anchor',
     '42501: nobody reader requester approver operator admin policy auditor privacy noinherit createrole; UB320: granted bypassrls writeall owner superuser'),
    ('UPDATE', 'limit_usage limit_entry review_ticket override_window',
     '42501: nobody reader requester approver operator admin policy auditor privacy noinherit createrole; UB324: bypassrls superuser; none: granted writeall owner'),
    ('UPDATE', 'outbox',
     '42501: nobody reader requester approver operator admin policy auditor privacy noinherit createrole; done: bypassrls superuser; none: granted writeall owner'),
    ('DELETE', 'override_request override_decision adjustment hold request_comment proposal',
     '42501: nobody reader requester approver operator admin policy auditor privacy noinherit createrole; UB320: bypassrls superuser; none: granted writeall owner'),
    ('DELETE', 'authority approval_rule principal certification conflict delegation reason_code',
     '42501: nobody reader requester approver operator admin policy auditor privacy noinherit createrole; UB328: bypassrls superuser; none: granted writeall owner'),
    ('DELETE', 'audit_entry private_text audit_block audit_chain audit_anchor',
     '42501: nobody reader requester approver operator admin policy auditor privacy noinherit createrole; UB320: granted bypassrls writeall owner superuser'),
    ('DELETE', 'limit_usage limit_entry review_ticket override_window',
     '42501: nobody reader requester approver operator admin policy auditor privacy noinherit createrole; UB324: bypassrls superuser; none: granted writeall owner'),
    ('DELETE', 'outbox',
     '42501: nobody reader requester approver admin policy auditor privacy noinherit createrole; UB320: bypassrls superuser; none: operator granted writeall owner'),
    ('TRUNCATE', 'override_request override_decision adjustment authority approval_rule audit_entry hold principal limit_usage limit_entry outbox private_text request_comment proposal review_ticket override_window certification conflict delegation reason_code audit_block audit_chain audit_anchor',
     '42501: nobody reader requester approver operator admin policy auditor privacy noinherit writeall createrole; UB321: granted bypassrls owner superuser'),
    ('COPY TO', 'override_request override_decision adjustment authority approval_rule hold request_comment certification conflict delegation reason_code',
     '42501: nobody privacy noinherit createrole owner; done: reader requester approver operator admin policy auditor granted bypassrls writeall superuser'),
    ('COPY TO', 'audit_entry review_ticket override_window audit_block audit_chain audit_anchor',
     '42501: nobody reader requester approver operator admin policy privacy noinherit createrole owner; done: auditor granted bypassrls writeall superuser'),
    ('COPY TO', 'principal',
     '42501: nobody noinherit createrole owner; done: reader requester approver operator admin policy auditor privacy granted bypassrls writeall superuser'),
    ('COPY TO', 'limit_usage limit_entry',
     '42501: nobody reader requester approver operator admin privacy noinherit createrole owner; done: policy auditor granted bypassrls writeall superuser'),
    ('COPY TO', 'outbox',
     '42501: nobody reader requester approver policy privacy noinherit createrole owner; done: operator admin auditor granted bypassrls writeall superuser'),
    ('COPY TO', 'private_text',
     '42501: nobody reader requester operator admin policy auditor noinherit createrole owner; done: approver privacy granted bypassrls writeall superuser'),
    ('COPY TO', 'proposal',
     '42501: nobody requester privacy noinherit createrole owner; done: reader approver operator admin policy auditor granted bypassrls writeall superuser'),
    ('COPY FROM', 'override_request',
     '0A000: requester operator granted writeall; 42501: nobody reader approver admin policy auditor privacy noinherit createrole owner; UB005: bypassrls superuser'),
    ('COPY FROM', 'override_decision',
     '0A000: approver granted writeall; 22023: bypassrls superuser; 42501: nobody reader requester operator admin policy auditor privacy noinherit createrole owner'),
    ('COPY FROM', 'adjustment audit_entry hold limit_usage limit_entry outbox private_text request_comment proposal review_ticket override_window audit_block audit_chain',
     '0A000: granted writeall; 42501: nobody reader requester approver operator admin policy auditor privacy noinherit createrole owner; UB324: bypassrls superuser'),
    ('COPY FROM', 'authority approval_rule principal certification conflict delegation reason_code',
     '0A000: granted writeall; 42501: nobody reader requester approver operator admin policy auditor privacy noinherit createrole owner; UB328: bypassrls superuser'),
    ('COPY FROM', 'audit_anchor',
     '0A000: auditor granted writeall; 23502: bypassrls superuser; 42501: nobody reader requester approver operator admin policy privacy noinherit createrole owner'),
    ('MERGE UPDATE', 'override_request',
     '42501: nobody reader requester approver operator admin policy auditor privacy noinherit bypassrls createrole superuser; none: granted writeall owner'),
    ('MERGE UPDATE', 'override_decision adjustment hold request_comment proposal',
     '42501: nobody reader requester approver operator admin policy auditor privacy noinherit createrole; UB320: bypassrls superuser; none: granted writeall owner'),
    ('MERGE UPDATE', 'authority approval_rule principal certification conflict delegation reason_code',
     '42501: nobody reader requester approver operator admin policy auditor privacy noinherit createrole; UB328: bypassrls superuser; none: granted writeall owner'),
    ('MERGE UPDATE', 'audit_entry private_text audit_block audit_chain audit_anchor',
     '42501: nobody reader requester approver operator admin policy auditor privacy noinherit createrole; UB320: granted bypassrls writeall owner superuser'),
    ('MERGE UPDATE', 'limit_usage limit_entry review_ticket override_window',
     '42501: nobody reader requester approver operator admin policy auditor privacy noinherit createrole; UB324: bypassrls superuser; none: granted writeall owner'),
    ('MERGE UPDATE', 'outbox',
     '42501: nobody reader requester approver operator admin policy auditor privacy noinherit createrole; done: bypassrls superuser; none: granted writeall owner'),
    ('MERGE DELETE', 'override_request override_decision adjustment hold outbox request_comment proposal',
     '42501: nobody reader requester approver operator admin policy auditor privacy noinherit granted writeall createrole owner; UB320: bypassrls superuser'),
    ('MERGE DELETE', 'authority approval_rule principal certification conflict delegation reason_code',
     '42501: nobody reader requester approver operator admin policy auditor privacy noinherit granted writeall createrole owner; UB328: bypassrls superuser'),
    ('MERGE DELETE', 'audit_entry private_text audit_block audit_chain audit_anchor',
     '42501: nobody reader requester approver operator admin policy auditor privacy noinherit createrole; UB320: granted bypassrls writeall owner superuser'),
    ('MERGE DELETE', 'limit_usage limit_entry review_ticket override_window',
     '42501: nobody reader requester approver operator admin policy auditor privacy noinherit granted writeall createrole owner; UB324: bypassrls superuser'),
    ('MERGE INSERT', 'override_request',
     '23505: bypassrls superuser; 42501: nobody reader requester approver operator admin policy auditor privacy noinherit granted writeall createrole owner'),
    ('MERGE INSERT', 'override_decision',
     '42501: nobody reader requester approver operator admin policy auditor privacy noinherit createrole; UB310: granted bypassrls writeall owner superuser'),
    ('MERGE INSERT', 'adjustment audit_entry hold limit_usage limit_entry outbox private_text request_comment proposal review_ticket override_window audit_block audit_chain',
     '42501: nobody reader requester approver operator admin policy auditor privacy noinherit createrole; UB324: granted bypassrls writeall owner superuser'),
    ('MERGE INSERT', 'authority approval_rule principal certification conflict delegation reason_code',
     '42501: nobody reader requester approver operator admin policy auditor privacy noinherit createrole; UB328: granted bypassrls writeall owner superuser'),
    ('MERGE INSERT', 'audit_anchor',
     '23502: bypassrls superuser; 42501: nobody reader requester approver operator admin policy auditor privacy noinherit granted writeall createrole owner');

CREATE TABLE pgtap_override.statement (place serial, act text, told text);
INSERT INTO pgtap_override.statement (act, told) VALUES
    -- what a person asks for, by hand and by function
    ($_$INSERT INTO billadj.override_request (account, kind, delta, currency, reason_code) VALUES ('x', 'credit', -5000, 'EUR', 'goodwill')$_$,
     '42501: nobody reader approver admin policy auditor privacy noinherit granted writeall createrole owner; done: requester operator bypassrls superuser'),
    ($_$INSERT INTO billadj.override_request (account, kind, delta, currency, reason_code, requested_by) VALUES ('x', 'credit', -5000, 'EUR', 'goodwill', 'pgtap_lead')$_$,
     '42501: nobody reader requester approver operator admin policy auditor privacy noinherit granted writeall createrole owner; done: bypassrls superuser'),
    ($_$INSERT INTO billadj.override_request (account, kind, delta, currency, reason_code, state) VALUES ('x', 'credit', -5000, 'EUR', 'goodwill', 'approved')$_$,
     '42501: nobody reader requester approver operator admin policy auditor privacy noinherit granted writeall createrole owner; done: bypassrls superuser'),
    ($_$INSERT INTO billadj.override_request (request_id, account, kind, delta, currency, reason_code) OVERRIDING SYSTEM VALUE VALUES (9000000000000000000, 'x', 'credit', -5000, 'EUR', 'goodwill')$_$,
     '42501: nobody reader requester approver operator admin policy auditor privacy noinherit createrole; UB324: granted bypassrls writeall owner superuser'),
    ($_$SELECT billadj.submit_override('credit', 'x', 'goodwill', delta => -5000, currency => 'EUR')$_$,
     '42501: nobody reader approver admin policy auditor privacy noinherit granted bypassrls writeall createrole owner; done: requester operator superuser'),
    ($_$UPDATE billadj.override_request SET delta = -16000 WHERE request_id = :open$_$,
     '42501: nobody reader approver admin policy auditor privacy noinherit bypassrls createrole superuser; done: requester; none: operator granted writeall owner'),
    ($_$UPDATE billadj.override_request SET state = 'withdrawn' WHERE request_id = :open$_$,
     '42501: nobody reader approver admin policy auditor privacy noinherit bypassrls createrole superuser; done: requester; none: operator granted writeall owner'),
    ($_$UPDATE billadj.override_request SET state = 'approved' WHERE request_id = :open$_$,
     '42501: nobody reader approver admin policy auditor privacy noinherit bypassrls createrole superuser; UB324: requester; none: operator granted writeall owner'),
    ($_$UPDATE billadj.override_request SET amount = 0, effective_amount = 0 WHERE request_id = :open$_$,
     '42501: nobody reader requester approver operator admin policy auditor privacy noinherit bypassrls createrole superuser; none: granted writeall owner'),
    ($_$UPDATE billadj.override_request SET delta = -1 WHERE request_id = :applied$_$,
     '42501: nobody reader approver admin policy auditor privacy noinherit bypassrls createrole superuser; UB310: requester; none: operator granted writeall owner'),
    ($_$SELECT billadj.revise_override(:open, delta => -16000)$_$,
     '42501: nobody reader approver operator admin policy auditor privacy noinherit granted bypassrls writeall createrole owner superuser; done: requester'),
    ($_$SELECT billadj.withdraw_override(:open)$_$,
     '42501: nobody reader approver operator admin policy auditor privacy noinherit granted bypassrls writeall createrole owner superuser; done: requester'),
    ($_$SELECT billadj.refuse_override(:open)$_$,
     '42501: nobody reader requester approver operator admin policy auditor privacy noinherit granted bypassrls writeall createrole owner superuser'),
    ($_$SELECT billadj.reverse_override(:applied, 'goodwill')$_$,
     '42501: nobody reader approver admin policy auditor privacy noinherit granted bypassrls writeall createrole owner; done: requester operator superuser'),
    ($_$SELECT billadj.submit_proposals()$_$,
     '42501: nobody reader requester approver admin policy auditor privacy noinherit granted bypassrls writeall createrole owner; done: operator superuser'),
    ($_$SELECT billadj.hold_charge('used', :charge, 'odd')$_$,
     '42501: nobody reader admin policy auditor privacy noinherit granted bypassrls writeall createrole owner; done: requester approver operator superuser'),
    ($_$SELECT billadj.comment_override(:open, 'why?')$_$,
     '42501: nobody privacy noinherit granted bypassrls writeall createrole owner; done: reader requester approver operator admin policy auditor superuser'),
    -- what a person decides
    ($_$INSERT INTO billadj.override_decision (request_id, decision, seen_hash) VALUES (:open, 'approve', pgtap_override.seen(':open'))$_$,
     '42501: nobody reader requester operator admin policy auditor privacy noinherit granted writeall createrole owner; done: approver bypassrls superuser'),
    ($_$INSERT INTO billadj.override_decision (request_id, decision, seen_hash) VALUES (:open, 'approve', pgtap_override.seen(':open')) ON CONFLICT DO NOTHING$_$,
     '42501: nobody reader requester operator admin policy auditor privacy noinherit granted writeall createrole owner; done: approver bypassrls superuser'),
    ($_$INSERT INTO billadj.override_decision (request_id, decision, seen_hash, decided_by) VALUES (:open, 'approve', pgtap_override.seen(':open'), 'pgtap_lead')$_$,
     '42501: nobody reader requester approver operator admin policy auditor privacy noinherit granted writeall createrole owner; done: bypassrls superuser'),
    ($_$INSERT INTO billadj.override_decision (decision_id, request_id, decision, seen_hash) OVERRIDING SYSTEM VALUE VALUES (9000000000000000000, :open, 'approve', pgtap_override.seen(':open'))$_$,
     '42501: nobody reader requester approver operator admin policy auditor privacy noinherit createrole; UB324: granted bypassrls writeall owner superuser'),
    ($_$MERGE INTO billadj.override_decision USING (SELECT) AS one ON false WHEN NOT MATCHED THEN INSERT (request_id, decision, seen_hash) VALUES (:open, 'approve', pgtap_override.seen(':open'))$_$,
     '42501: nobody reader requester operator admin policy auditor privacy noinherit granted writeall createrole owner; done: approver bypassrls superuser'),
    ($_$COPY billadj.override_decision (request_id, decision, seen_hash) FROM PROGRAM 'echo ":open,approve,"' WITH (FORMAT csv)$_$,
     '0A000: approver granted writeall; 42501: nobody reader requester operator admin policy auditor privacy noinherit createrole owner; UB311: bypassrls superuser'),
    ($_$SELECT billadj.decide_override(:open, 'approve', pgtap_override.seen(':open'))$_$,
     '42501: nobody reader requester operator admin policy auditor privacy noinherit granted bypassrls writeall createrole owner; done: approver superuser'),
    ($_$SELECT billadj.decide_override(:large, 'approve', pgtap_override.seen(':large'))$_$,
     '42501: nobody reader requester operator admin policy auditor privacy noinherit granted bypassrls writeall createrole owner; done: approver superuser'),
    ($_$SELECT billadj.decide_override(:interest, 'approve', pgtap_override.seen(':interest'))$_$,
     '42501: nobody reader requester operator admin policy auditor privacy noinherit granted bypassrls writeall createrole owner; done: approver superuser'),
    ($_$SELECT billadj.decide_override(:applied, 'approve', pgtap_override.seen(':applied'))$_$,
     '42501: nobody reader requester operator admin policy auditor privacy noinherit granted bypassrls writeall createrole owner; UB310: approver superuser'),
    ($_$SELECT billadj.approve_override(:open, pgtap_override.seen(':open'))$_$,
     '42501: nobody reader requester operator admin policy auditor privacy noinherit granted bypassrls writeall createrole owner; done: approver superuser'),
    ($_$SELECT billadj.reject_override(:open, pgtap_override.seen(':open'), 'no')$_$,
     '42501: nobody reader requester operator admin policy auditor privacy noinherit granted bypassrls writeall createrole owner; done: approver superuser'),
    ($_$SELECT billadj.try_decide_override(:open, 'approve', pgtap_override.seen(':open'))$_$,
     '42501: nobody reader requester operator admin policy auditor privacy noinherit granted bypassrls writeall createrole owner; done: approver superuser'),
    ($_$SELECT billadj.decide_overrides(ARRAY[:open, :large]::bigint[], 'approve', sha256(pgtap_override.seen(':open') || pgtap_override.seen(':large')))$_$,
     '42501: nobody reader requester operator admin policy auditor privacy noinherit granted bypassrls writeall createrole owner; done: approver superuser'),
    ($_$SELECT billadj.record_denial(:open, 'approve', 'UB306')$_$,
     '42501: nobody reader requester operator admin policy auditor privacy noinherit granted bypassrls writeall createrole owner; done: approver superuser'),
    ($_$SELECT billadj.issue_review_token(:open)$_$,
     '42501: nobody reader requester operator admin policy auditor privacy noinherit granted bypassrls writeall createrole owner; done: approver superuser'),
    ($_$SELECT billadj.review_override(:open)$_$,
     '42501: nobody reader requester operator admin policy auditor privacy noinherit granted bypassrls writeall createrole owner; done: approver superuser'),
    ($_$SELECT billadj.decision_steps(:open)$_$,
     '42501: nobody privacy noinherit granted bypassrls writeall createrole owner; done: reader requester approver operator admin policy auditor superuser'),
    ($_$SELECT billadj.decision_blockers(:open)$_$,
     '42501: nobody privacy noinherit granted bypassrls writeall createrole owner; done: reader requester approver operator admin policy auditor superuser'),
    ($_$SELECT billadj.explain_decision(:open)$_$,
     '42501: nobody privacy noinherit granted bypassrls writeall createrole owner; done: reader requester approver operator admin policy auditor superuser'),
    ($_$SELECT billadj.inbox()$_$,
     '42501: nobody privacy noinherit granted bypassrls writeall createrole owner; done: approver operator admin policy auditor superuser; none: reader requester'),
    ($_$SELECT billadj.override_comments(:open)$_$,
     '42501: nobody privacy noinherit granted bypassrls writeall createrole owner; done: reader requester approver operator admin policy auditor superuser'),
    -- what is due
    ($_$SELECT billadj.apply_override(:approved)$_$,
     '42501: nobody reader requester approver admin policy auditor privacy noinherit granted bypassrls writeall createrole owner; done: operator superuser'),
    ($_$SELECT billadj.apply_override(:open)$_$,
     '42501: nobody reader requester approver admin policy auditor privacy noinherit granted bypassrls writeall createrole owner; UB310: operator superuser'),
    ($_$SELECT billadj.expire_overrides()$_$,
     '42501: nobody reader requester approver admin policy auditor privacy noinherit granted bypassrls writeall createrole owner; done: operator superuser'),
    ($_$SELECT billadj.escalate_overrides('30 days')$_$,
     '42501: nobody reader requester approver admin policy auditor privacy noinherit granted bypassrls writeall createrole owner; done: operator superuser'),
    ($_$UPDATE billadj.outbox SET sent_at = now()$_$,
     '42501: nobody reader requester approver admin policy auditor privacy noinherit createrole; done: operator bypassrls superuser; none: granted writeall owner'),
    ($_$UPDATE billadj.outbox SET payload = '{}'$_$,
     '42501: nobody reader requester approver operator admin policy auditor privacy noinherit createrole; UB320: bypassrls superuser; none: granted writeall owner'),
    ($_$SELECT billadj.send_message('x', 'y', '{}')$_$,
     '42501: nobody reader requester approver operator admin policy auditor privacy noinherit granted bypassrls writeall createrole owner; done: superuser'),
    ($_$SELECT billadj.add_proposal('x', 'credit', NULL, -5, 'EUR', 'goodwill', '2026-05-01', NULL)$_$,
     '42501: nobody reader requester approver operator admin policy auditor privacy noinherit granted bypassrls writeall createrole owner; done: superuser'),
    -- policy
    ($_$SELECT billadj.propose_policy('authority', '{"op": "insert", "row": {"principal_id": 1, "currency": "EUR", "level": 3, "single_limit": 5, "valid": "[2026-01-01,)"}}')$_$,
     '42501: nobody reader requester approver operator auditor privacy noinherit granted bypassrls writeall createrole owner superuser; done: admin policy'),
    ($_$SELECT billadj.propose_policy('authority', '{"op": "insert", "row": {"principal_id": 1, "currency": "EUR", "level": 3, "single_limit": "NaN", "valid": "[2026-01-01,)"}}')$_$,
     '42501: nobody reader requester approver operator auditor privacy noinherit granted bypassrls writeall createrole owner superuser; UB334: admin policy'),
    ($_$SELECT billadj.propose_policy('authority', '{"op": "insert", "row": {"principal_id": 1, "currency": "EUR", "level": 3, "single_limit": "Infinity", "valid": "[2026-01-01,)"}}')$_$,
     '42501: nobody reader requester approver operator auditor privacy noinherit granted bypassrls writeall createrole owner superuser; UB334: admin policy'),
    ($_$SELECT billadj.approve_policy(:change)$_$,
     '42501: nobody reader requester approver operator admin auditor privacy noinherit granted bypassrls writeall createrole owner superuser; done: policy'),
    ($_$SELECT billadj.reject_policy(:change, 'no')$_$,
     '42501: nobody reader requester approver operator admin auditor privacy noinherit granted bypassrls writeall createrole owner superuser; done: policy'),
    ($_$SELECT billadj.write_policy('reason_code', '{"op": "insert", "row": {"code": "y"}}', now())$_$,
     '42501: nobody reader requester approver operator admin policy auditor privacy noinherit granted bypassrls writeall createrole; UB328: owner superuser'),
    ($_$SELECT billadj.whoami()$_$,
     '42501: nobody noinherit granted bypassrls writeall createrole owner; done: reader requester approver operator admin policy auditor privacy superuser'),
    ($_$SELECT billadj.actor()$_$,
     '42501: nobody noinherit granted bypassrls writeall createrole owner; done: reader requester approver operator admin policy auditor privacy superuser'),
    ($_$SELECT billadj.policy_faults()$_$,
     '42501: nobody reader requester approver privacy noinherit granted bypassrls writeall createrole; done: owner; none: operator admin policy auditor superuser'),
    ($_$SELECT billadj.self_check()$_$,
     '42501: nobody reader requester approver privacy noinherit granted bypassrls writeall createrole owner; done: operator admin policy auditor superuser'),
    ($_$SELECT billadj.self_check_control()$_$,
     '42501: nobody reader requester approver privacy noinherit granted bypassrls writeall createrole owner; none: operator admin policy auditor superuser'),
    ($_$SELECT billadj.self_check_people()$_$,
     '42501: nobody reader requester approver privacy noinherit granted bypassrls writeall createrole owner; done: operator admin policy auditor superuser'),
    -- audit
    ($_$SELECT billadj.audit_append('x', 'y', 'z', '{}')$_$,
     '42501: nobody reader requester approver operator admin policy auditor privacy noinherit granted bypassrls writeall createrole owner; done: superuser'),
    ($_$SELECT billadj.audit_row(r) FROM ONLY billadj.reason_code r$_$,
     '42501: nobody reader requester approver operator admin policy privacy noinherit granted bypassrls writeall createrole owner; done: auditor superuser'),
    ($_$SELECT billadj.digest()$_$,
     '42501: nobody reader requester approver operator admin policy privacy noinherit granted bypassrls writeall createrole owner; done: auditor superuser'),
    ($_$SELECT billadj.anchor_ack('{}', 'receipt', 'place')$_$,
     '42501: nobody reader requester approver operator admin policy privacy noinherit granted bypassrls writeall createrole owner; UB330: auditor superuser'),
    ($_$SELECT billadj.verify_audit()$_$,
     '42501: nobody reader requester approver operator admin policy privacy noinherit granted bypassrls writeall createrole owner; done: auditor superuser'),
    ($_$SELECT billadj.verify_rows()$_$,
     '42501: nobody reader requester approver operator admin policy privacy noinherit granted bypassrls writeall createrole owner; done: auditor superuser'),
    ($_$SELECT billadj.verify_overrides()$_$,
     '42501: nobody reader requester approver operator admin policy privacy noinherit granted bypassrls writeall createrole owner; none: auditor superuser'),
    ($_$SELECT billadj.verify_chains('{}', '{}', '{}')$_$,
     '42501: nobody reader requester approver operator admin policy privacy noinherit granted bypassrls writeall createrole owner; none: auditor superuser'),
    ($_$SELECT billadj.text_commitments()$_$,
     '42501: nobody reader requester approver operator admin policy privacy noinherit granted bypassrls writeall createrole owner; done: auditor superuser'),
    ($_$SELECT billadj.prove((SELECT 1))$_$,
     '42501: nobody reader requester approver operator admin policy auditor privacy noinherit granted bypassrls writeall createrole owner superuser'),
    ($_$SELECT billadj.history('override_request/:open')$_$,
     '42501: nobody reader requester approver operator admin policy privacy noinherit granted bypassrls writeall createrole owner; done: auditor superuser'),
    ($_$SELECT billadj.as_of('override_request/:open', now())$_$,
     '42501: nobody reader requester approver operator admin policy privacy noinherit granted bypassrls writeall createrole owner; done: auditor superuser'),
    ($_$SELECT billadj.erase_text(1)$_$,
     '42501: nobody reader requester approver operator admin policy auditor noinherit granted bypassrls writeall createrole owner; done: privacy superuser'),
    ($_$SELECT billadj.adopt()$_$,
     '42501: nobody reader requester approver operator admin policy auditor privacy noinherit granted bypassrls writeall createrole owner; done: superuser'),
    -- the guards are no functions for people
    ($_$SELECT billadj.override_decision_trigger()$_$,
     '39P01: superuser; 42501: nobody reader requester approver operator admin policy auditor privacy noinherit granted bypassrls writeall createrole owner'),
    ($_$CREATE TRIGGER x BEFORE INSERT ON pgtap_override.usage FOR EACH ROW EXECUTE FUNCTION billadj.override_effect_trigger()$_$,
     '42501: nobody reader requester approver operator admin policy auditor privacy noinherit granted bypassrls writeall createrole owner; none: superuser'),
    -- settings: session_replication_role, row_security, ours
    ($_$SET LOCAL session_replication_role = replica; UPDATE billadj.adjustment SET delta = 0$_$,
     '42501: nobody reader requester approver operator admin policy auditor privacy noinherit granted bypassrls writeall createrole owner; UB320: superuser'),
    ($_$SET LOCAL session_replication_role = replica; DELETE FROM billadj.override_decision$_$,
     '42501: nobody reader requester approver operator admin policy auditor privacy noinherit granted bypassrls writeall createrole owner; UB320: superuser'),
    ($_$SET LOCAL session_replication_role = replica; UPDATE billadj.audit_entry SET actor = 'x'$_$,
     '42501: nobody reader requester approver operator admin policy auditor privacy noinherit granted bypassrls writeall createrole owner; UB320: superuser'),
    ($_$SET LOCAL session_replication_role = replica; INSERT INTO billadj.override_decision (request_id, decision, seen_hash) VALUES (:own, 'approve', pgtap_override.seen(':own'))$_$,
     '42501: nobody reader requester approver operator admin policy auditor privacy noinherit granted bypassrls writeall createrole owner; done: superuser'),
    ($_$SET LOCAL row_security = off; UPDATE billadj.adjustment SET delta = delta$_$,
     '42501: nobody reader requester approver operator admin policy auditor privacy noinherit granted writeall createrole owner; UB320: bypassrls; done: superuser'),
    ($_$SET LOCAL billadj.actor = 'pgtap_lead'$_$,
     '42602: nobody reader requester approver operator admin policy auditor privacy noinherit granted bypassrls writeall createrole owner superuser'),
    ($_$DO $a$ BEGIN PERFORM set_config('billadj.principal', '1', true); END $a$$_$,
     '42602: nobody reader requester approver operator admin policy auditor privacy noinherit granted bypassrls writeall createrole owner superuser'),
    -- DDL on the tables
    ($_$ALTER TABLE billadj.override_decision DISABLE TRIGGER zz_billadj_guard$_$,
     '42501: nobody reader requester approver operator admin policy auditor privacy noinherit granted bypassrls writeall createrole; UB322: owner; none: superuser'),
    ($_$ALTER TABLE billadj.override_decision ENABLE REPLICA TRIGGER zz_billadj_guard$_$,
     '42501: nobody reader requester approver operator admin policy auditor privacy noinherit granted bypassrls writeall createrole; UB322: owner; none: superuser'),
    ($_$ALTER TABLE billadj.override_request NO FORCE ROW LEVEL SECURITY$_$,
     '42501: nobody reader requester approver operator admin policy auditor privacy noinherit granted bypassrls writeall createrole; UB322: owner; none: superuser'),
    ($_$DROP TRIGGER zz_billadj_check ON billadj.adjustment$_$,
     '42501: nobody reader requester approver operator admin policy auditor privacy noinherit granted bypassrls writeall createrole; UB322: owner; none: superuser'),
    ($_$CREATE TRIGGER zzz_late BEFORE INSERT ON billadj.override_decision FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()$_$,
     '42501: nobody reader requester approver operator admin policy auditor privacy noinherit writeall createrole; UB322: granted bypassrls owner; none: superuser'),
    ($_$CREATE POLICY x ON billadj.override_request USING (true)$_$,
     '42501: nobody reader requester approver operator admin policy auditor privacy noinherit granted bypassrls writeall createrole; UB322: owner; none: superuser'),
    ($_$DROP POLICY override_decision_actor ON billadj.override_decision$_$,
     '42501: nobody reader requester approver operator admin policy auditor privacy noinherit granted bypassrls writeall createrole; UB322: owner; none: superuser'),
    ($_$CREATE RULE x AS ON INSERT TO billadj.override_decision DO INSTEAD NOTHING$_$,
     '42501: nobody reader requester approver operator admin policy auditor privacy noinherit granted bypassrls writeall createrole; UB322: owner; none: superuser'),
    ($_$CREATE TABLE pg_temp.kid () INHERITS (billadj.override_decision)$_$,
     '42501: nobody reader requester approver operator admin policy auditor privacy noinherit granted bypassrls writeall createrole; UB322: owner; none: superuser'),
    ($_$CREATE TABLE pgtap_override.kid () INHERITS (billadj.authority)$_$,
     '42501: nobody reader requester approver operator admin policy auditor privacy noinherit granted bypassrls writeall createrole; UB322: owner; none: superuser'),
    ($_$ALTER TABLE billadj.override_decision ALTER COLUMN level TYPE bigint USING 9$_$,
     '42501: nobody reader requester approver operator admin policy auditor privacy noinherit granted bypassrls writeall createrole; UB322: owner; none: superuser'),
    ($_$ALTER TABLE billadj.adjustment SET UNLOGGED$_$,
     '42501: nobody reader requester approver operator admin policy auditor privacy noinherit granted bypassrls writeall createrole; UB322: owner; none: superuser'),
    ($_$ALTER TABLE billadj.override_request RENAME TO x$_$,
     '42501: nobody reader requester approver operator admin policy auditor privacy noinherit granted bypassrls writeall createrole; UB322: owner; none: superuser'),
    ($_$ALTER TABLE billadj.audit_entry OWNER TO CURRENT_USER$_$,
     '42501: nobody reader requester approver operator admin policy auditor privacy noinherit granted bypassrls writeall createrole; UB322: owner; none: superuser'),
    ($_$GRANT INSERT ON billadj.override_decision TO PUBLIC$_$,
     '42501: nobody privacy noinherit createrole; UB322: reader requester approver operator admin policy auditor granted bypassrls writeall owner; none: superuser'),
    ($_$DROP TABLE billadj.adjustment CASCADE$_$,
     '42501: nobody reader requester approver operator admin policy auditor privacy noinherit granted bypassrls writeall createrole; UB322: owner; none: superuser'),
    ($_$CREATE FUNCTION billadj.submit_override() RETURNS void LANGUAGE sql AS ''$_$,
     '42501: nobody reader requester approver operator admin policy auditor privacy noinherit granted bypassrls writeall createrole; UB322: owner; none: superuser'),
    -- roles
    ($_$GRANT billadj_owner TO pgtap_createrole; SET LOCAL ROLE billadj_owner; ALTER TABLE billadj.override_request NO FORCE ROW LEVEL SECURITY$_$,
     '42501: nobody reader requester approver operator admin policy auditor privacy noinherit granted bypassrls writeall owner; UB322: createrole; none: superuser'),
    ($_$GRANT billadj_owner TO pgtap_createrole; SET LOCAL ROLE billadj_owner; DELETE FROM billadj.override_decision$_$,
     '42501: nobody reader requester approver operator admin policy auditor privacy noinherit granted bypassrls writeall owner; none: createrole superuser'),
    ($_$GRANT billadj_owner TO pgtap_createrole; SET LOCAL ROLE billadj_owner; TRUNCATE billadj.adjustment$_$,
     '42501: nobody reader requester approver operator admin policy auditor privacy noinherit granted bypassrls writeall owner; UB321: createrole superuser'),
    ($_$SET LOCAL ROLE billadj_approver; INSERT INTO billadj.override_decision (request_id, decision, seen_hash) VALUES (:open, 'approve', pgtap_override.seen(':open'))$_$,
     '42501: nobody reader requester operator admin policy auditor privacy granted bypassrls writeall createrole owner; done: approver noinherit superuser'),
    ($_$SET LOCAL ROLE pgtap_lead; INSERT INTO billadj.override_decision (request_id, decision, seen_hash) VALUES (:open, 'approve', pgtap_override.seen(':open'))$_$,
     '42501: nobody reader requester approver operator admin policy auditor privacy noinherit granted bypassrls writeall createrole owner; done: superuser'),
    ($_$DO $a$ BEGIN PERFORM set_config('role', 'billadj_approver', true); END $a$; INSERT INTO billadj.override_decision (request_id, decision, seen_hash) VALUES (:open, 'approve', pgtap_override.seen(':open'))$_$,
     '42501: nobody reader requester operator admin policy auditor privacy granted bypassrls writeall createrole owner; done: approver noinherit superuser');

-- from 16 on CREATEROLE alone grants no role
UPDATE pgtap_override.statement
   SET told = replace(replace(replace(told, ' owner;', ' createrole owner;'), ' UB322: createrole;', ''), ': createrole superuser', ': superuser')
 WHERE act LIKE 'GRANT billadj_owner TO pgtap_createrole%' AND current_setting('server_version_num')::integer >= 160000;

-- ---- ways round ----

-- setup is a superuser's; then who does act
CREATE TABLE pgtap_override.trap (place serial, what text, setup text, who text, act text, told text);
INSERT INTO pgtap_override.trap (what, setup, who, act, told) VALUES
    ('a decision of somebody with authority',
     '',
     'lead', $_$INSERT INTO billadj.override_decision (request_id, decision, seen_hash) VALUES (:open, 'approve', pgtap_override.seen(':open'))$_$,
     'done'),
    ('one''s own request',
     '',
     'both', $_$INSERT INTO billadj.override_decision (request_id, decision, seen_hash) VALUES (:own, 'approve', pgtap_override.seen(':own'))$_$,
     'UB306'),
    ('one''s own request, with the role of a group',
     '',
     'both', $_$SET LOCAL ROLE billadj_approver; INSERT INTO billadj.override_decision (request_id, decision, seen_hash) VALUES (:own, 'approve', pgtap_override.seen(':own'))$_$,
     'UB306'),
    ('SECURITY DEFINER of an approver does not lend his person',
     $_$CREATE FUNCTION pgtap_override.wrapper(request bigint) RETURNS text LANGUAGE sql SECURITY DEFINER AS $f$ SELECT billadj.approve_override(request, pgtap_override.seen(request::text)) $f$; ALTER FUNCTION pgtap_override.wrapper OWNER TO pgtap_lead; GRANT EXECUTE ON FUNCTION pgtap_override.wrapper TO PUBLIC$_$,
     'requester', $_$SELECT pgtap_override.wrapper(:open)$_$,
     'UB306'),
    ('nor to somebody without authority',
     $_$CREATE FUNCTION pgtap_override.wrapper(request bigint) RETURNS text LANGUAGE sql SECURITY DEFINER AS $f$ SELECT billadj.approve_override(request, pgtap_override.seen(request::text)) $f$; ALTER FUNCTION pgtap_override.wrapper OWNER TO pgtap_lead; GRANT EXECUTE ON FUNCTION pgtap_override.wrapper TO PUBLIC$_$,
     'reader', $_$SELECT pgtap_override.wrapper(:open)$_$,
     'UB302'),
    ('SECURITY DEFINER of a superuser neither',
     $_$CREATE FUNCTION pgtap_override.wrapper(request bigint) RETURNS text LANGUAGE sql SECURITY DEFINER AS $f$ SELECT billadj.approve_override(request, pgtap_override.seen(request::text)) $f$; ALTER FUNCTION pgtap_override.wrapper OWNER TO pgtap_superuser; GRANT EXECUTE ON FUNCTION pgtap_override.wrapper TO PUBLIC$_$,
     'both', $_$SELECT pgtap_override.wrapper(:own)$_$,
     'UB306'),
    ('SECURITY DEFINER of the owner: he may not call it',
     $_$CREATE FUNCTION pgtap_override.wrapper(request bigint) RETURNS text LANGUAGE sql SECURITY DEFINER AS $f$ SELECT billadj.approve_override(request, pgtap_override.seen(request::text)) $f$; ALTER FUNCTION pgtap_override.wrapper OWNER TO pgtap_owner; GRANT EXECUTE ON FUNCTION pgtap_override.wrapper TO PUBLIC$_$,
     'both', $_$SELECT pgtap_override.wrapper(:own)$_$,
     '42501'),
    ('SECURITY DEFINER, and a person with authority: he acts',
     $_$CREATE FUNCTION pgtap_override.wrapper(request bigint) RETURNS text LANGUAGE sql SECURITY DEFINER AS $f$ SELECT billadj.approve_override(request, pgtap_override.seen(request::text)) $f$; ALTER FUNCTION pgtap_override.wrapper OWNER TO pgtap_superuser; GRANT EXECUTE ON FUNCTION pgtap_override.wrapper TO PUBLIC$_$,
     'lead', $_$SELECT pgtap_override.wrapper(:open)$_$,
     'done'),
    ('a view of a superuser lends his person to nobody',
     $_$CREATE VIEW pgtap_override.v AS SELECT * FROM billadj.override_decision; ALTER VIEW pgtap_override.v OWNER TO pgtap_superuser; GRANT ALL ON pgtap_override.v TO PUBLIC$_$,
     'both', $_$INSERT INTO pgtap_override.v (request_id, decision, seen_hash) VALUES (:own, 'approve', pgtap_override.seen(':own'))$_$,
     'UB306'),
    ('a view of an approver lends his rights, not his person',
     $_$CREATE VIEW pgtap_override.v AS SELECT * FROM billadj.override_decision; ALTER VIEW pgtap_override.v OWNER TO pgtap_lead; GRANT ALL ON pgtap_override.v TO PUBLIC$_$,
     'reader', $_$INSERT INTO pgtap_override.v (request_id, decision, seen_hash) VALUES (:open, 'approve', pgtap_override.seen(':open'))$_$,
     'UB302'),
    ('search_path: operators and functions that shadow',
     $_$CREATE SCHEMA evil; GRANT USAGE ON SCHEMA evil TO PUBLIC; CREATE FUNCTION evil.yes(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT true'; CREATE FUNCTION evil.yes(bigint, bigint) RETURNS boolean LANGUAGE sql AS 'SELECT true';
 CREATE FUNCTION evil.no(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT false'; CREATE OPERATOR evil.= (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.yes); CREATE OPERATOR evil.= (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = evil.yes);
 CREATE OPERATOR evil.<> (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.no); CREATE FUNCTION evil.sha256(bytea) RETURNS bytea LANGUAGE sql AS 'SELECT ''\x00''::bytea'; CREATE FUNCTION evil.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS 'SELECT ''2020-01-01''::timestamptz'$_$,
     'both', $_$SET LOCAL search_path = evil, pg_catalog; INSERT INTO billadj.override_decision (request_id, decision, seen_hash) VALUES (:own, 'approve', pgtap_override.seen(':own'))$_$,
     'UB306'),
    ('search_path: the hash is compared by the real ones',
     $_$CREATE SCHEMA evil; GRANT USAGE ON SCHEMA evil TO PUBLIC; CREATE FUNCTION evil.yes(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT true'; CREATE FUNCTION evil.yes(bigint, bigint) RETURNS boolean LANGUAGE sql AS 'SELECT true';
 CREATE FUNCTION evil.no(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT false'; CREATE OPERATOR evil.= (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.yes); CREATE OPERATOR evil.= (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = evil.yes);
 CREATE OPERATOR evil.<> (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.no); CREATE FUNCTION evil.sha256(bytea) RETURNS bytea LANGUAGE sql AS 'SELECT ''\x00''::bytea'; CREATE FUNCTION evil.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS 'SELECT ''2020-01-01''::timestamptz'$_$,
     'lead', $_$SET LOCAL search_path = evil, pg_catalog; INSERT INTO billadj.override_decision (request_id, decision, seen_hash) VALUES (:open, 'approve', '\x00')$_$,
     'UB311'),
    ('search_path: and a function that is called',
     $_$CREATE SCHEMA evil; GRANT USAGE ON SCHEMA evil TO PUBLIC; CREATE FUNCTION evil.yes(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT true'; CREATE FUNCTION evil.yes(bigint, bigint) RETURNS boolean LANGUAGE sql AS 'SELECT true';
 CREATE FUNCTION evil.no(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT false'; CREATE OPERATOR evil.= (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.yes); CREATE OPERATOR evil.= (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = evil.yes);
 CREATE OPERATOR evil.<> (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.no); CREATE FUNCTION evil.sha256(bytea) RETURNS bytea LANGUAGE sql AS 'SELECT ''\x00''::bytea'; CREATE FUNCTION evil.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS 'SELECT ''2020-01-01''::timestamptz'$_$,
     'both', $_$SET LOCAL search_path = evil, pg_catalog; SELECT billadj.approve_override(:own, pgtap_override.seen(':own'))$_$,
     'UB306'),
    ('search_path: many at once',
     $_$CREATE SCHEMA evil; GRANT USAGE ON SCHEMA evil TO PUBLIC; CREATE FUNCTION evil.yes(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT true'; CREATE FUNCTION evil.yes(bigint, bigint) RETURNS boolean LANGUAGE sql AS 'SELECT true';
 CREATE FUNCTION evil.no(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT false'; CREATE OPERATOR evil.= (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.yes); CREATE OPERATOR evil.= (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = evil.yes);
 CREATE OPERATOR evil.<> (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.no); CREATE FUNCTION evil.sha256(bytea) RETURNS bytea LANGUAGE sql AS 'SELECT ''\x00''::bytea'; CREATE FUNCTION evil.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS 'SELECT ''2020-01-01''::timestamptz'$_$,
     'lead', $_$SET LOCAL search_path = evil, pg_catalog; SELECT billadj.decide_overrides(ARRAY[:open]::bigint[], 'approve', '\x00')$_$,
     'UB311'),
    ('temporary tables of our names',
     '',
     'reader', $_$CREATE TEMP TABLE principal (principal_id bigint, person_key text, role_name text, active boolean, role_oid bigint, system_id bigint); INSERT INTO pg_temp.principal VALUES (1, 'boss', 'pgtap_reader', true, NULL, NULL); CREATE TEMP TABLE authority (LIKE billadj.authority); CREATE TEMP TABLE override_request (LIKE billadj.override_request); SELECT pgtap_override.lent(:open)$_$,
     'UB302'),
    ('temporary table, own request',
     '',
     'both', $_$CREATE TEMP TABLE override_request AS SELECT * FROM billadj.override_request; UPDATE pg_temp.override_request SET requester_id = 1, editor_id = 1; SET LOCAL search_path = pg_temp, billadj, pg_catalog; SELECT billadj.approve_override(:own, pgtap_override.seen(':own'))$_$,
     'UB306'),
    ('a rule that does something else too: it has the owner''s rights, and is nobody',
     $_$CREATE RULE x AS ON INSERT TO billadj.override_decision DO ALSO UPDATE billadj.override_request SET state = 'approved' WHERE request_id = :large$_$,
     'lead', $_$DO $a$ BEGIN INSERT INTO billadj.override_decision (request_id, decision, seen_hash) VALUES (:open, 'approve', pgtap_override.seen(':open')); IF EXISTS (SELECT FROM billadj.override_request WHERE request_id = :large AND state <> 'open') THEN RAISE 'approved'; END IF; END $a$$_$,
     'UB327'),
    ('a child of authority',
     $_$CREATE TABLE pgtap_override.kid () INHERITS (billadj.authority); INSERT INTO pgtap_override.kid SELECT * FROM ONLY billadj.authority; UPDATE pgtap_override.kid SET single_limit = 1000000, principal_id = (SELECT principal_id FROM billadj.principal WHERE person_key = 'reader')$_$,
     'reader', $_$SELECT pgtap_override.lent(:open)$_$,
     'UB327'),
    ('a temporary child of authority',
     $_$CREATE TEMP TABLE kid () INHERITS (billadj.authority); INSERT INTO pg_temp.kid SELECT * FROM ONLY billadj.authority; UPDATE pg_temp.kid SET single_limit = 1000000, principal_id = (SELECT principal_id FROM billadj.principal WHERE person_key = 'reader')$_$,
     'reader', $_$SELECT pgtap_override.lent(:open)$_$,
     'UB327'),
    ('a child of principal',
     $_$CREATE TABLE pgtap_override.kid () INHERITS (billadj.principal); INSERT INTO pgtap_override.kid SELECT * FROM ONLY billadj.principal WHERE person_key = 'lead'; UPDATE pgtap_override.kid SET role_name = 'pgtap_nobody', role_oid = NULL$_$,
     'nobody', $_$SELECT pgtap_override.lent(:open)$_$,
     'UB327'),
    ('a child of override_request',
     $_$CREATE TABLE pgtap_override.kid () INHERITS (billadj.override_request); INSERT INTO pgtap_override.kid SELECT * FROM ONLY billadj.override_request WHERE request_id = :own; UPDATE pgtap_override.kid SET request_id = 9999, requester_id = 1, editor_id = 1$_$,
     'both', $_$INSERT INTO billadj.override_decision (request_id, decision, seen_hash) VALUES (9999, 'approve', pgtap_override.seen(':own'))$_$,
     'UB327'),
    ('a child of override_decision',
     $_$CREATE TABLE pgtap_override.kid () INHERITS (billadj.override_decision); INSERT INTO pgtap_override.kid SELECT * FROM ONLY billadj.override_decision; UPDATE pgtap_override.kid SET request_id = :large, level = 2, person_key = 'lead'$_$,
     'both', $_$DO $a$ BEGIN IF billadj.approve_override(:large, pgtap_override.seen(':large')) <> 'open' THEN RAISE 'applied'; END IF; END $a$$_$,
     'UB327'),
    ('a child of approval_rule',
     $_$CREATE TABLE pgtap_override.kid () INHERITS (billadj.approval_rule); INSERT INTO pgtap_override.kid SELECT * FROM ONLY billadj.approval_rule; UPDATE pgtap_override.kid SET band = '[0,)', kind = 'refund', step = 0, level = 0, quorum = 0$_$,
     'requester', $_$SELECT billadj.submit_override('refund', 'x', 'goodwill', delta => -5, currency => 'EUR')$_$,
     'UB327'),
    ('replica mode',
     $_$SET LOCAL session_replication_role = replica$_$,
     'both', $_$INSERT INTO billadj.override_decision (request_id, decision, seen_hash) VALUES (:own, 'approve', pgtap_override.seen(':own'))$_$,
     'UB306'),
    ('the guard of decisions disabled by a superuser: policies are left',
     $_$ALTER TABLE billadj.override_decision DISABLE TRIGGER zz_billadj_guard$_$,
     'lead', $_$INSERT INTO billadj.override_decision (request_id, decision, seen_hash) VALUES (:open, 'approve', pgtap_override.seen(':open'))$_$,
     '42501'),
    ('the guard of effects disabled',
     $_$ALTER TABLE billadj.adjustment DISABLE TRIGGER zz_billadj_guard$_$,
     'superuser', $_$INSERT INTO billadj.adjustment SELECT account, 999, 999, charge_id, period_start, posted_period_start, delta, currency, cause, affects, applied_by, applied_at FROM pgtap_override.adjustment$_$,
     'UB324'),
    ('guard and check of requests disabled: policies are left',
     $_$ALTER TABLE billadj.override_request DISABLE TRIGGER USER$_$,
     'both', $_$INSERT INTO billadj.override_request (account, kind, delta, currency, reason_code) VALUES ('x', 'credit', -5000, 'EUR', 'goodwill')$_$,
     '42501'),
    ('and nobody revises what is another''s',
     $_$ALTER TABLE billadj.override_request DISABLE TRIGGER USER$_$,
     'both', $_$UPDATE billadj.override_request SET delta = -1 WHERE request_id = :open$_$,
     'none'),
    ('nor approves by hand',
     $_$ALTER TABLE billadj.override_request DISABLE TRIGGER USER$_$,
     'both', $_$UPDATE billadj.override_request SET state = 'approved' WHERE request_id = :own$_$,
     '42501'),
    ('guard and check of decisions disabled: nobody may name another',
     $_$ALTER TABLE billadj.override_decision DISABLE TRIGGER USER; GRANT INSERT ON billadj.override_decision TO pgtap_both$_$,
     'both', $_$INSERT INTO billadj.override_decision OVERRIDING SYSTEM VALUE SELECT 999, :own, 1, 1, 'approve', '', NULL, NULL, NULL, NULL, 1, 'lead', 1, 1, 'pgtap_lead', now()$_$,
     '42501'),
    ('one permissive policy too many opens nothing',
     $_$ALTER TABLE billadj.override_request DISABLE TRIGGER USER; CREATE POLICY oops ON billadj.override_request USING (true) WITH CHECK (true)$_$,
     'both', $_$UPDATE billadj.override_request SET delta = -1 WHERE request_id = :open$_$,
     'none'),
    ('a late trigger changes decided_by',
     $_$CREATE FUNCTION pgtap_override.late() RETURNS trigger LANGUAGE plpgsql AS $b$ BEGIN NEW.decided_by := 'pgtap_lead'; RETURN NEW; END $b$; CREATE TRIGGER zzz_late BEFORE INSERT ON billadj.override_decision FOR EACH ROW EXECUTE FUNCTION pgtap_override.late()$_$,
     'approver', $_$INSERT INTO billadj.override_decision (request_id, decision, seen_hash) VALUES (:open, 'approve', pgtap_override.seen(':open'))$_$,
     '42501'),
    ('a late trigger turns approve into reject',
     $_$CREATE FUNCTION pgtap_override.late() RETURNS trigger LANGUAGE plpgsql AS $b$ BEGIN NEW.decision := 'reject'; RETURN NEW; END $b$; CREATE TRIGGER zzz_late BEFORE INSERT ON billadj.override_decision FOR EACH ROW EXECUTE FUNCTION pgtap_override.late()$_$,
     'lead', $_$INSERT INTO billadj.override_decision (request_id, decision, seen_hash) VALUES (:open, 'approve', pgtap_override.seen(':open'))$_$,
     'UB324'),
    ('a late trigger changes the amount',
     $_$CREATE FUNCTION pgtap_override.late() RETURNS trigger LANGUAGE plpgsql AS $b$ BEGIN NEW.delta := NEW.delta / 10; RETURN NEW; END $b$; CREATE TRIGGER zzz_late BEFORE INSERT ON billadj.override_request FOR EACH ROW EXECUTE FUNCTION pgtap_override.late()$_$,
     'requester', $_$SELECT billadj.submit_override('credit', 'x', 'goodwill', delta => -5000, currency => 'EUR')$_$,
     'UB324'),
    ('a late trigger doubles the effect',
     $_$CREATE FUNCTION pgtap_override.late() RETURNS trigger LANGUAGE plpgsql AS $b$ BEGIN NEW.delta := NEW.delta * 2; RETURN NEW; END $b$; CREATE TRIGGER zzz_late BEFORE INSERT ON billadj.adjustment FOR EACH ROW EXECUTE FUNCTION pgtap_override.late()$_$,
     'lead', $_$INSERT INTO billadj.override_decision (request_id, decision, seen_hash) VALUES (:open, 'approve', pgtap_override.seen(':open'))$_$,
     'UB324'),
    ('a late trigger suppresses the decision: the function says so',
     $_$CREATE FUNCTION pgtap_override.late() RETURNS trigger LANGUAGE plpgsql AS $b$ BEGIN RETURN NULL; END $b$; CREATE TRIGGER zzz_late BEFORE INSERT ON billadj.override_decision FOR EACH ROW EXECUTE FUNCTION pgtap_override.late()$_$,
     'lead', $_$SELECT billadj.approve_override(:open, pgtap_override.seen(':open'))$_$,
     'UB324'),
    ('a late trigger suppresses the effect',
     $_$CREATE FUNCTION pgtap_override.late() RETURNS trigger LANGUAGE plpgsql AS $b$ BEGIN RETURN NULL; END $b$; CREATE TRIGGER zzz_late BEFORE INSERT ON billadj.adjustment FOR EACH ROW EXECUTE FUNCTION pgtap_override.late()$_$,
     'lead', $_$INSERT INTO billadj.override_decision (request_id, decision, seen_hash) VALUES (:open, 'approve', pgtap_override.seen(':open'))$_$,
     'UB324'),
    ('a late trigger suppresses the state',
     $_$CREATE FUNCTION pgtap_override.late() RETURNS trigger LANGUAGE plpgsql AS $b$ BEGIN RETURN NULL; END $b$; CREATE TRIGGER zzz_late BEFORE UPDATE ON billadj.override_request FOR EACH ROW EXECUTE FUNCTION pgtap_override.late()$_$,
     'lead', $_$INSERT INTO billadj.override_decision (request_id, decision, seen_hash) VALUES (:open, 'approve', pgtap_override.seen(':open'))$_$,
     'UB324'),
    ('a late trigger frees the limit',
     $_$CREATE FUNCTION pgtap_override.late() RETURNS trigger LANGUAGE plpgsql AS $b$ BEGIN NEW.reserved := 0; NEW.used := 0; RETURN NEW; END $b$; CREATE TRIGGER zzz_late BEFORE UPDATE ON billadj.limit_usage FOR EACH ROW EXECUTE FUNCTION pgtap_override.late()$_$,
     'lead', $_$INSERT INTO billadj.override_decision (request_id, decision, seen_hash) VALUES (:open, 'approve', pgtap_override.seen(':open'))$_$,
     'UB324'),
    ('an early trigger changes the request: overwritten',
     $_$CREATE FUNCTION pgtap_override.late() RETURNS trigger LANGUAGE plpgsql AS $b$ BEGIN NEW.requested_by := 'pgtap_lead'; NEW.requester_id := 1; RETURN NEW; END $b$; CREATE TRIGGER a_early BEFORE INSERT ON billadj.override_request FOR EACH ROW EXECUTE FUNCTION pgtap_override.late()$_$,
     'requester', $_$DO $a$ BEGIN PERFORM billadj.submit_override('credit', 'x', 'goodwill', delta => -5000, currency => 'EUR'); IF NOT EXISTS (SELECT FROM billadj.override_request WHERE account = 'x' AND requested_by = 'pgtap_requester') THEN RAISE 'forged'; END IF; END $a$$_$,
     'done'),
    ('a trojan: BEFORE trigger of another table',
     $_$CREATE TABLE pgtap_override.innocent (x integer); GRANT ALL ON pgtap_override.innocent TO PUBLIC; CREATE FUNCTION pgtap_override.trojan() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN INSERT INTO billadj.override_decision (request_id, decision, seen_hash) VALUES (:open, 'approve', pgtap_override.seen(':open')); RETURN NEW; END $f$; CREATE TRIGGER t BEFORE INSERT ON pgtap_override.innocent FOR EACH ROW EXECUTE FUNCTION pgtap_override.trojan()$_$,
     'lead', $_$INSERT INTO pgtap_override.innocent VALUES (1)$_$,
     'UB325'),
    ('a trojan: AFTER trigger',
     $_$CREATE TABLE pgtap_override.innocent (x integer); GRANT ALL ON pgtap_override.innocent TO PUBLIC; CREATE FUNCTION pgtap_override.trojan() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN INSERT INTO billadj.override_decision (request_id, decision, seen_hash) VALUES (:open, 'approve', pgtap_override.seen(':open')); RETURN NEW; END $f$; CREATE TRIGGER t AFTER INSERT ON pgtap_override.innocent FOR EACH ROW EXECUTE FUNCTION pgtap_override.trojan()$_$,
     'lead', $_$INSERT INTO pgtap_override.innocent VALUES (1)$_$,
     'UB325'),
    ('a trojan: deferred trigger',
     $_$CREATE TABLE pgtap_override.innocent (x integer); GRANT ALL ON pgtap_override.innocent TO PUBLIC; CREATE FUNCTION pgtap_override.trojan() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN INSERT INTO billadj.override_decision (request_id, decision, seen_hash) VALUES (:open, 'approve', pgtap_override.seen(':open')); RETURN NEW; END $f$; CREATE CONSTRAINT TRIGGER t AFTER INSERT ON pgtap_override.innocent DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION pgtap_override.trojan()$_$,
     'lead', $_$INSERT INTO pgtap_override.innocent VALUES (1); SET CONSTRAINTS ALL IMMEDIATE$_$,
     'UB325'),
    ('a trojan: trigger of a view',
     $_$CREATE TABLE pgtap_override.innocent (x integer); GRANT ALL ON pgtap_override.innocent TO PUBLIC; CREATE FUNCTION pgtap_override.trojan() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN INSERT INTO billadj.override_decision (request_id, decision, seen_hash) VALUES (:open, 'approve', pgtap_override.seen(':open')); RETURN NEW; END $f$; CREATE VIEW pgtap_override.v AS SELECT * FROM pgtap_override.innocent; GRANT ALL ON pgtap_override.v TO PUBLIC; CREATE TRIGGER t INSTEAD OF INSERT ON pgtap_override.v FOR EACH ROW EXECUTE FUNCTION pgtap_override.trojan()$_$,
     'lead', $_$INSERT INTO pgtap_override.v VALUES (1)$_$,
     'UB325'),
    ('a trojan that submits',
     $_$CREATE TABLE pgtap_override.innocent (x integer); GRANT ALL ON pgtap_override.innocent TO PUBLIC; CREATE FUNCTION pgtap_override.trojan() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN PERFORM billadj.submit_override('credit', 'x', 'goodwill', delta => -5, currency => 'EUR'); RETURN NEW; END $f$; CREATE TRIGGER t AFTER INSERT ON pgtap_override.innocent FOR EACH ROW EXECUTE FUNCTION pgtap_override.trojan()$_$,
     'requester', $_$INSERT INTO pgtap_override.innocent VALUES (1)$_$,
     'UB325'),
    ('a trojan: index expression under another''s maintenance',
     $_$CREATE TABLE pgtap_override.innocent (x integer); GRANT ALL ON pgtap_override.innocent TO PUBLIC; CREATE FUNCTION pgtap_override.trojan() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN INSERT INTO billadj.override_decision (request_id, decision, seen_hash) VALUES (:open, 'approve', pgtap_override.seen(':open')); RETURN NEW; END $f$; CREATE FUNCTION pgtap_override.f(x integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS $f$ BEGIN PERFORM pgtap_override.g(); RETURN x; END $f$; CREATE FUNCTION pgtap_override.g() RETURNS void LANGUAGE plpgsql AS $f$ BEGIN INSERT INTO billadj.override_decision (request_id, decision, seen_hash) VALUES (:open, 'approve', pgtap_override.seen(':open')); END $f$; INSERT INTO pgtap_override.innocent VALUES (1)$_$,
     'superuser', $_$CREATE INDEX ON pgtap_override.innocent (pgtap_override.f(x))$_$,
     'UB325'),
    ('a trojan: a rule acts as a statement, so a token is asked for where that matters',
     $_$CREATE TABLE pgtap_override.innocent (x integer); GRANT ALL ON pgtap_override.innocent TO PUBLIC; CREATE FUNCTION pgtap_override.trojan() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN INSERT INTO billadj.override_decision (request_id, decision, seen_hash) VALUES (:open, 'approve', pgtap_override.seen(':open')); RETURN NEW; END $f$; CREATE RULE r AS ON INSERT TO pgtap_override.innocent DO ALSO INSERT INTO billadj.override_decision (request_id, decision, seen_hash) VALUES (:open, 'approve', pgtap_override.seen(':open'))$_$,
     'lead', $_$INSERT INTO pgtap_override.innocent VALUES (1)$_$,
     'done'),
    ('and refuses it',
     $_$CREATE TABLE pgtap_override.innocent (x integer); GRANT ALL ON pgtap_override.innocent TO PUBLIC; CREATE FUNCTION pgtap_override.trojan() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN INSERT INTO billadj.override_decision (request_id, decision, seen_hash) VALUES (:open, 'approve', pgtap_override.seen(':open')); RETURN NEW; END $f$; CREATE RULE r AS ON INSERT TO pgtap_override.innocent DO ALSO INSERT INTO billadj.override_decision (request_id, decision, seen_hash) VALUES (:open, 'approve', pgtap_override.seen(':open')); SET LOCAL row_security = off; INSERT INTO billadj.instance (require_review) VALUES (true) ON CONFLICT (instance_id) DO UPDATE SET require_review = true; SET LOCAL row_security = on$_$,
     'lead', $_$INSERT INTO pgtap_override.innocent VALUES (1)$_$,
     'UB313'),
    ('a function that asks for a token and uses it',
     $_$SET LOCAL row_security = off; INSERT INTO billadj.instance (require_review) VALUES (true) ON CONFLICT (instance_id) DO UPDATE SET require_review = true; SET LOCAL row_security = on$_$,
     'lead', $_$SELECT billadj.approve_override(:open, pgtap_override.seen(':open'), (SELECT token FROM billadj.review_override(:open)))$_$,
     'UB313'),
    ('a plan prepared by an approver, run under another role',
     '',
     'both', $_$PREPARE p1 AS INSERT INTO billadj.override_decision (request_id, decision, seen_hash) VALUES (:open, 'approve', pgtap_override.seen(':open')); SET LOCAL ROLE billadj_reader; EXECUTE p1$_$,
     '42501'),
    ('a plan prepared by an auditor, run under another role',
     $_$GRANT billadj_auditor, billadj_reader TO pgtap_both$_$,
     'both', $_$SET LOCAL ROLE billadj_auditor; PREPARE p2 AS SELECT FROM billadj.audit_entry; EXECUTE p2; SET LOCAL ROLE billadj_reader; EXECUTE p2$_$,
     '42501'),
    ('a plan that is kept finds the rows of the new role',
     $_$GRANT billadj_policy TO pgtap_both$_$,
     'both', $_$SET LOCAL ROLE billadj_policy; PREPARE p3 AS SELECT FROM billadj.override_request; EXECUTE p3; EXECUTE p3; SET LOCAL ROLE billadj_requester; DO $a$ BEGIN EXECUTE 'EXECUTE p3'; END $a$; EXECUTE p3$_$,
     'done'),
    ('a generic plan of a decision belongs to who runs it',
     '',
     'both', $_$SET LOCAL plan_cache_mode = force_generic_plan; PREPARE p4(bigint, bytea) AS INSERT INTO billadj.override_decision (request_id, decision, seen_hash) VALUES ($1, 'approve', $2); EXECUTE p4(:open, pgtap_override.seen(':open')); EXECUTE p4(:own, pgtap_override.seen(':own'))$_$,
     'UB306'),
    ('a forged setting names nobody',
     '',
     'both', $_$SET LOCAL billadj.actor = 'pgtap_lead'; INSERT INTO billadj.override_decision (request_id, decision, seen_hash) VALUES (:own, 'approve', pgtap_override.seen(':own'))$_$,
     '42602'),
    ('a setting of the server neither',
     '',
     'both', $_$SET LOCAL application_name = 'pgtap_lead'; SET LOCAL row_security = off; INSERT INTO billadj.override_decision (request_id, decision, seen_hash) VALUES (:own, 'approve', pgtap_override.seen(':own'))$_$,
     '42501'),
    ('a clock that is turned by the session''s zone',
     '',
     'both', $_$SET LOCAL timezone = 'Pacific/Kiritimati'; SET LOCAL datestyle = 'SQL, DMY'; INSERT INTO billadj.override_decision (request_id, decision, seen_hash) VALUES (:own, 'approve', pgtap_override.seen(':own'))$_$,
     'UB306'),
    ('a delegation is capped',
     '',
     'approver', $_$SELECT billadj.approve_override(:open, pgtap_override.seen(':open'), delegation_id => 1)$_$,
     'UB316'),
    ('a delegation to another',
     '',
     'both', $_$SELECT billadj.approve_override(:open, pgtap_override.seen(':open'), delegation_id => 1)$_$,
     'UB316'),
    ('an interest',
     '',
     'lead', $_$INSERT INTO billadj.override_decision (request_id, decision, seen_hash) VALUES (:interest, 'approve', pgtap_override.seen(':interest'))$_$,
     'UB307'),
    ('twice',
     $_$SET LOCAL SESSION AUTHORIZATION pgtap_lead; INSERT INTO billadj.override_decision (request_id, decision, seen_hash) VALUES (:large, 'approve', pgtap_override.seen(':large')); SET LOCAL SESSION AUTHORIZATION DEFAULT$_$,
     'lead', $_$INSERT INTO billadj.override_decision (request_id, decision, seen_hash) VALUES (:large, 'approve', pgtap_override.seen(':large'))$_$,
     'UB309'),
    ('no hash',
     '',
     'lead', $_$INSERT INTO billadj.override_decision (request_id, decision, seen_hash) VALUES (:open, 'approve', NULL)$_$,
     'UB311'),
    ('a request that is not there',
     '',
     'lead', $_$INSERT INTO billadj.override_decision (request_id, decision, seen_hash) VALUES (-1, 'approve', '')$_$,
     '42501'),
    ('a request of nobody',
     '',
     'lead', $_$INSERT INTO billadj.override_decision (request_id, decision, seen_hash) VALUES (NULL, 'approve', '')$_$,
     '42501'),
    ('credit of NaN',
     '',
     'requester', $_$SELECT billadj.submit_override('credit', 'x', 'goodwill', delta => 'NaN', currency => 'EUR')$_$,
     'UB317'),
    ('credit of Infinity',
     '',
     'requester', $_$SELECT billadj.submit_override('credit', 'x', 'goodwill', delta => 'Infinity', currency => 'EUR')$_$,
     'UB317'),
    ('credit of -Infinity',
     '',
     'requester', $_$SELECT billadj.submit_override('credit', 'x', 'goodwill', delta => '-Infinity', currency => 'EUR')$_$,
     'UB317'),
    ('credit of a thousandth',
     '',
     'requester', $_$SELECT billadj.submit_override('credit', 'x', 'goodwill', delta => -0.001, currency => 'EUR')$_$,
     'UB317'),
    ('credit of zero',
     '',
     'requester', $_$SELECT billadj.submit_override('credit', 'x', 'goodwill', delta => 0, currency => 'EUR')$_$,
     'UB317'),
    ('credit of beyond what is exact',
     '',
     'requester', $_$SELECT billadj.submit_override('credit', 'x', 'goodwill', delta => -1e60, currency => 'EUR')$_$,
     'done'),
    ('credit of positive',
     '',
     'requester', $_$SELECT billadj.submit_override('credit', 'x', 'goodwill', delta => 5, currency => 'EUR')$_$,
     'UB317'),
    ('new amount of NaN',
     '',
     'requester', $_$SELECT billadj.submit_override('credit', 'used', 'goodwill', charge_id => :charge, new_amount => 'NaN')$_$,
     'UB317'),
    ('new amount of Infinity',
     '',
     'requester', $_$SELECT billadj.submit_override('credit', 'used', 'goodwill', charge_id => :charge, new_amount => 'Infinity')$_$,
     'UB317'),
    ('new amount of a thousandth',
     '',
     'requester', $_$SELECT billadj.submit_override('credit', 'used', 'goodwill', charge_id => :charge, new_amount => 1.001)$_$,
     'UB317'),
    ('revised to NaN',
     '',
     'requester', $_$UPDATE billadj.override_request SET delta = 'NaN' WHERE request_id = :open$_$,
     'UB317'),
    ('revised to infinity',
     '',
     'requester', $_$UPDATE billadj.override_request SET delta = '-Infinity' WHERE request_id = :open$_$,
     'UB317'),
    ('revised by a thousandth',
     '',
     'requester', $_$UPDATE billadj.override_request SET delta = -15000.001 WHERE request_id = :open$_$,
     'UB317'),
    ('currency is not that of the charge',
     '',
     'requester', $_$SELECT billadj.submit_override('credit', 'used', 'goodwill', charge_id => :charge, delta => -1, currency => 'USD')$_$,
     'UB317'),
    ('currency is not that of the account',
     $_$INSERT INTO billadj.account (account, currency) VALUES ('dollar', 'USD')$_$,
     'requester', $_$SELECT billadj.submit_override('credit', 'dollar', 'goodwill', delta => -1, currency => 'EUR')$_$,
     'UB317'),
    ('a currency without a rule',
     '',
     'requester', $_$SELECT billadj.submit_override('credit', 'x', 'goodwill', delta => -1, currency => 'USD')$_$,
     'UB315'),
    ('no currency that is known',
     '',
     'requester', $_$SELECT billadj.submit_override('credit', 'x', 'goodwill', delta => -1, currency => 'eur')$_$,
     'UB317'),
    ('charge of another account',
     '',
     'requester', $_$SELECT billadj.submit_override('credit', 'x', 'goodwill', charge_id => :charge, delta => -1)$_$,
     'UB019'),
    ('edge of a band, nobody needed',
     '',
     'requester', $_$DO $a$ BEGIN PERFORM billadj.submit_override('credit', 'edge', 'goodwill', delta => -100, currency => 'EUR'); IF NOT EXISTS (SELECT FROM billadj.override_request WHERE account = 'edge' AND state = 'applied') THEN RAISE 'open'; END IF; END $a$$_$,
     'done'),
    ('edge of a band, one more cent',
     '',
     'requester', $_$DO $a$ BEGIN PERFORM billadj.submit_override('credit', 'edge', 'goodwill', delta => -100.01, currency => 'EUR'); IF NOT EXISTS (SELECT FROM billadj.override_request WHERE account = 'edge' AND state = 'open') THEN RAISE 'applied'; END IF; END $a$$_$,
     'done'),
    ('the sum of a window',
     '',
     'requester', $_$DO $a$ BEGIN PERFORM billadj.submit_override('credit', 'edge', 'goodwill', delta => -99, currency => 'EUR'); PERFORM billadj.submit_override('credit', 'edge', 'goodwill', delta => -2, currency => 'EUR'); IF NOT EXISTS (SELECT FROM billadj.override_request WHERE account = 'edge' AND state = 'open') THEN RAISE 'applied'; END IF; END $a$$_$,
     'done'),
    ('the guard disabled, the name right: what is stored was not approved',
     $_$ALTER TABLE billadj.override_decision DISABLE TRIGGER zz_billadj_guard; GRANT INSERT ON billadj.override_decision TO pgtap_both$_$,
     'both', $_$INSERT INTO billadj.override_decision (request_id, revision, step, decision, seen_hash, principal_id, person_key, authority_id, level, decided_by, decided_at) SELECT :own, 1, 1, 'approve', '', 1, 'lead', 1, 1, 'pgtap_both', now()$_$,
     'UB324'),
    ('the number of a decision that nobody drew',
     $_$GRANT INSERT ON billadj.override_decision TO pgtap_both$_$,
     'both', $_$INSERT INTO billadj.override_decision (decision_id, request_id, decision, seen_hash) OVERRIDING SYSTEM VALUE VALUES (9000000000000000000, :open, 'approve', pgtap_override.seen(':open'))$_$,
     'UB324'),
    ('the number of a request that nobody drew',
     $_$GRANT INSERT ON billadj.override_request TO pgtap_both$_$,
     'both', $_$INSERT INTO billadj.override_request (request_id, account, kind, delta, currency, reason_code) OVERRIDING SYSTEM VALUE VALUES (-1, 'x', 'credit', -5000, 'EUR', 'goodwill')$_$,
     'UB324'),
    ('more grants than a requester has: server columns are overwritten',
     $_$GRANT INSERT ON billadj.override_request TO pgtap_both$_$,
     'both', $_$DO $a$ BEGIN INSERT INTO billadj.override_request (account, kind, delta, currency, reason_code, amount, effective_amount, state, revision, decisions, requested_by, requester_id, editor_id, rules, decide_until) VALUES ('x', 'credit', -5000, 'EUR', 'goodwill', 1, 1, 'approved', 9, 9, 'pgtap_lead', 1, 1, '[]', 'infinity'); IF NOT EXISTS (SELECT FROM billadj.override_request r JOIN billadj.principal p ON p.principal_id = r.requester_id AND p.principal_id = r.editor_id WHERE r.account = 'x' AND r.amount = 5000 AND r.effective_amount = 5000 AND r.state = 'open' AND r.revision = 1 AND r.decisions = 0 AND r.requested_by = 'pgtap_both' AND p.person_key = 'both' AND r.rules <> '[]' AND r.decide_until < 'infinity') THEN RAISE 'forged'; END IF; END $a$$_$,
     'done'),
    ('more grants than an approver has: server columns are overwritten',
     $_$GRANT INSERT ON billadj.override_decision TO pgtap_both$_$,
     'both', $_$DO $a$ BEGIN INSERT INTO billadj.override_decision (request_id, revision, step, decision, seen_hash, principal_id, person_key, authority_id, level, decided_by, decided_at) SELECT :open, 9, 9, 'approve', pgtap_override.seen(':open'), 1, 'lead', 1, 9, 'pgtap_lead', '2020-01-01'; IF NOT EXISTS (SELECT FROM billadj.override_decision d WHERE d.request_id = :open AND d.revision = 1 AND d.step = 1 AND d.person_key = 'both' AND d.level = 1 AND d.decided_by = 'pgtap_both' AND d.decided_at > now()) THEN RAISE 'forged'; END IF; END $a$$_$,
     'done'),
    ('a request that one has revised, as whoever',
     $_$SET LOCAL row_security = off; UPDATE billadj.override_request SET editor_id = (SELECT principal_id FROM billadj.principal WHERE person_key = 'lead') WHERE request_id = :open; SET LOCAL row_security = on$_$,
     'lead', $_$INSERT INTO billadj.override_decision (request_id, decision, seen_hash) VALUES (:open, 'approve', pgtap_override.seen(':open'))$_$,
     'UB306'),
    ('one that one has submitted, and another revised',
     $_$SET LOCAL row_security = off; UPDATE billadj.override_request SET requester_id = (SELECT principal_id FROM billadj.principal WHERE person_key = 'lead') WHERE request_id = :open; SET LOCAL row_security = on$_$,
     'lead', $_$INSERT INTO billadj.override_decision (request_id, decision, seen_hash) VALUES (:open, 'approve', pgtap_override.seen(':open'))$_$,
     'UB306'),
    ('authority of somebody who has an interest',
     '',
     'approver', $_$INSERT INTO billadj.override_decision (request_id, decision, seen_hash, delegation_id) VALUES (:interest, 'approve', pgtap_override.seen(':interest'), 1)$_$,
     'UB307'),
    ('authority of somebody who has decided',
     $_$SET LOCAL SESSION AUTHORIZATION pgtap_lead; INSERT INTO billadj.override_decision (request_id, decision, seen_hash) VALUES (:large, 'approve', pgtap_override.seen(':large')); SET LOCAL SESSION AUTHORIZATION DEFAULT$_$,
     'both', $_$INSERT INTO billadj.override_decision (request_id, decision, seen_hash, delegation_id) VALUES (:large, 'approve', pgtap_override.seen(':large'), 2)$_$,
     'UB309'),
    ('a person whose authority somebody has used',
     $_$SET LOCAL SESSION AUTHORIZATION pgtap_both; INSERT INTO billadj.override_decision (request_id, decision, seen_hash, delegation_id) VALUES (:large, 'approve', pgtap_override.seen(':large'), 2); SET LOCAL SESSION AUTHORIZATION DEFAULT$_$,
     'lead', $_$INSERT INTO billadj.override_decision (request_id, decision, seen_hash) VALUES (:large, 'approve', pgtap_override.seen(':large'))$_$,
     'UB309'),
    ('authority of who asked',
     $_$SET LOCAL row_security = off; UPDATE billadj.override_request SET requester_id = (SELECT principal_id FROM billadj.principal WHERE person_key = 'lead') WHERE request_id = :open; SET LOCAL row_security = on$_$,
     'both', $_$INSERT INTO billadj.override_decision (request_id, decision, seen_hash, delegation_id) VALUES (:open, 'approve', pgtap_override.seen(':open'), 2)$_$,
     'UB306'),
    ('authority that was lent, in order',
     '',
     'both', $_$INSERT INTO billadj.override_decision (request_id, decision, seen_hash, delegation_id) VALUES (:open, 'approve', pgtap_override.seen(':open'), 2)$_$,
     'done'),
    ('what is used of a lent authority counts for both',
     $_$SET LOCAL SESSION AUTHORIZATION pgtap_both; INSERT INTO billadj.override_decision (request_id, decision, seen_hash, delegation_id) VALUES (:open, 'approve', pgtap_override.seen(':open'), 2); SET LOCAL SESSION AUTHORIZATION DEFAULT$_$,
     'superuser', $_$DO $a$ BEGIN IF (SELECT count(*) FROM billadj.limit_entry e JOIN billadj.authority a USING (authority_id) JOIN billadj.principal p USING (principal_id) WHERE e.request_id = :open AND p.person_key IN ('lead', 'both')) <> 2 THEN RAISE 'counted once'; END IF; END $a$$_$,
     'done'),
    ('a level that is too low for the step that is missing',
     $_$SET LOCAL SESSION AUTHORIZATION pgtap_both; INSERT INTO billadj.override_decision (request_id, decision, seen_hash) VALUES (:large, 'approve', pgtap_override.seen(':large')); SET LOCAL SESSION AUTHORIZATION DEFAULT$_$,
     'approver', $_$INSERT INTO billadj.override_decision (request_id, decision, seen_hash) VALUES (:large, 'approve', pgtap_override.seen(':large'))$_$,
     'UB302'),
    ('the level that is missing',
     $_$SET LOCAL SESSION AUTHORIZATION pgtap_both; INSERT INTO billadj.override_decision (request_id, decision, seen_hash) VALUES (:large, 'approve', pgtap_override.seen(':large')); SET LOCAL SESSION AUTHORIZATION DEFAULT$_$,
     'lead', $_$DO $a$ BEGIN IF billadj.approve_override(:large, pgtap_override.seen(':large')) <> 'applied' THEN RAISE 'open'; END IF; END $a$$_$,
     'done'),
    ('the authority has ended',
     $_$SET LOCAL row_security = off; UPDATE billadj.authority SET valid = '[2020-01-01,2020-02-01)' WHERE principal_id = (SELECT principal_id FROM billadj.principal WHERE person_key = 'lead'); SET LOCAL row_security = on$_$,
     'lead', $_$INSERT INTO billadj.override_decision (request_id, decision, seen_hash) VALUES (:open, 'approve', pgtap_override.seen(':open'))$_$,
     'UB303'),
    ('the authority has not begun',
     $_$SET LOCAL row_security = off; UPDATE billadj.authority SET valid = '[2090-01-01,)' WHERE principal_id = (SELECT principal_id FROM billadj.principal WHERE person_key = 'lead'); SET LOCAL row_security = on$_$,
     'lead', $_$INSERT INTO billadj.override_decision (request_id, decision, seen_hash) VALUES (:open, 'approve', pgtap_override.seen(':open'))$_$,
     'UB303'),
    ('a certificate is missing',
     $_$SET LOCAL row_security = off; UPDATE billadj.authority SET certificate = 'other' WHERE principal_id = (SELECT principal_id FROM billadj.principal WHERE person_key = 'lead'); SET LOCAL row_security = on$_$,
     'lead', $_$INSERT INTO billadj.override_decision (request_id, decision, seen_hash) VALUES (:open, 'approve', pgtap_override.seen(':open'))$_$,
     'UB308'),
    ('a certificate is there',
     $_$SET LOCAL row_security = off; UPDATE billadj.authority SET certificate = 'sox' WHERE principal_id = (SELECT principal_id FROM billadj.principal WHERE person_key = 'lead'); SET LOCAL row_security = on$_$,
     'lead', $_$INSERT INTO billadj.override_decision (request_id, decision, seen_hash) VALUES (:open, 'approve', pgtap_override.seen(':open'))$_$,
     'done'),
    ('the limit for one',
     $_$SET LOCAL row_security = off; UPDATE billadj.authority SET single_limit = 14999.99 WHERE principal_id = (SELECT principal_id FROM billadj.principal WHERE person_key = 'lead'); SET LOCAL row_security = on$_$,
     'lead', $_$INSERT INTO billadj.override_decision (request_id, decision, seen_hash) VALUES (:open, 'approve', pgtap_override.seen(':open'))$_$,
     'UB304'),
    ('the limit for one, reached',
     $_$SET LOCAL row_security = off; UPDATE billadj.authority SET single_limit = 15000 WHERE principal_id = (SELECT principal_id FROM billadj.principal WHERE person_key = 'lead'); SET LOCAL row_security = on$_$,
     'lead', $_$INSERT INTO billadj.override_decision (request_id, decision, seen_hash) VALUES (:open, 'approve', pgtap_override.seen(':open'))$_$,
     'done'),
    ('the limit of a period',
     $_$SET LOCAL row_security = off; UPDATE billadj.authority SET period_limit = 14999.99 WHERE principal_id = (SELECT principal_id FROM billadj.principal WHERE person_key = 'lead'); SET LOCAL row_security = on$_$,
     'lead', $_$INSERT INTO billadj.override_decision (request_id, decision, seen_hash) VALUES (:open, 'approve', pgtap_override.seen(':open'))$_$,
     'UB305'),
    ('the limit of a period, reached',
     $_$SET LOCAL row_security = off; UPDATE billadj.authority SET period_limit = 15000 WHERE principal_id = (SELECT principal_id FROM billadj.principal WHERE person_key = 'lead'); SET LOCAL row_security = on$_$,
     'lead', $_$INSERT INTO billadj.override_decision (request_id, decision, seen_hash) VALUES (:open, 'approve', pgtap_override.seen(':open'))$_$,
     'done'),
    ('the limit of a period, used by another decision',
     $_$SET LOCAL row_security = off; UPDATE billadj.authority SET period_limit = 44999.99 WHERE principal_id = (SELECT principal_id FROM billadj.principal WHERE person_key = 'lead'); SET LOCAL row_security = on; SET LOCAL SESSION AUTHORIZATION pgtap_lead; INSERT INTO billadj.override_decision (request_id, decision, seen_hash) VALUES (:large, 'approve', pgtap_override.seen(':large')); SET LOCAL SESSION AUTHORIZATION DEFAULT$_$,
     'lead', $_$INSERT INTO billadj.override_decision (request_id, decision, seen_hash) VALUES (:open, 'approve', pgtap_override.seen(':open'))$_$,
     'UB305'),
    ('the limit of a period, by two rows of a statement',
     $_$SET LOCAL row_security = off; UPDATE billadj.authority SET period_limit = 44999.99 WHERE principal_id = (SELECT principal_id FROM billadj.principal WHERE person_key = 'lead'); SET LOCAL row_security = on$_$,
     'lead', $_$INSERT INTO billadj.override_decision (request_id, decision, seen_hash) VALUES (:open, 'approve', pgtap_override.seen(':open')), (:large, 'approve', pgtap_override.seen(':large'))$_$,
     'UB305'),
    ('the deadline of a decision',
     $_$SET LOCAL row_security = off; UPDATE billadj.override_request SET decide_until = '2020-01-01' WHERE request_id = :open; SET LOCAL row_security = on$_$,
     'lead', $_$INSERT INTO billadj.override_decision (request_id, decision, seen_hash) VALUES (:open, 'approve', pgtap_override.seen(':open'))$_$,
     'UB310'),
    ('the deadline of an application',
     $_$SET LOCAL row_security = off; UPDATE billadj.override_request SET apply_until = '2020-01-01' WHERE request_id = :approved; SET LOCAL row_security = on$_$,
     'operator', $_$SELECT billadj.apply_override(:approved)$_$,
     'UB310'),
    ('an approval that has lapsed',
     $_$SET LOCAL row_security = off; UPDATE billadj.authority SET valid = '[2020-01-01,2020-02-01)' WHERE principal_id = (SELECT principal_id FROM billadj.principal WHERE person_key = 'both'); SET LOCAL row_security = on$_$,
     'operator', $_$SELECT billadj.apply_override(:approved)$_$,
     'UB312'),
    ('an approval whose limit was lowered',
     $_$SET LOCAL row_security = off; UPDATE billadj.authority SET single_limit = 149 WHERE principal_id = (SELECT principal_id FROM billadj.principal WHERE person_key = 'both'); SET LOCAL row_security = on$_$,
     'operator', $_$SELECT billadj.apply_override(:approved)$_$,
     'UB312'),
    ('an approval of a period that has passed',
     $_$SET LOCAL row_security = off; UPDATE billadj.limit_entry SET period_start = period_start - interval '1 year' WHERE request_id = :approved; SET LOCAL row_security = on$_$,
     'operator', $_$SELECT billadj.apply_override(:approved)$_$,
     'UB312'),
    ('a person who is no more',
     $_$SET LOCAL row_security = off; UPDATE billadj.principal SET active = false WHERE person_key = 'lead'; SET LOCAL row_security = on$_$,
     'lead', $_$INSERT INTO billadj.override_decision (request_id, decision, seen_hash) VALUES (:open, 'approve', pgtap_override.seen(':open'))$_$,
     'UB301'),
    ('a login that was made anew',
     $_$SET LOCAL row_security = off; UPDATE billadj.principal SET role_oid = 1, system_id = (SELECT system_identifier FROM pg_control_system()) WHERE person_key = 'lead'; SET LOCAL row_security = on$_$,
     'lead', $_$INSERT INTO billadj.override_decision (request_id, decision, seen_hash) VALUES (:open, 'approve', pgtap_override.seen(':open'))$_$,
     'UB301'),
    ('usage is as it was',
     $_$SET LOCAL SESSION AUTHORIZATION pgtap_requester; SELECT billadj.hold_charge('used', :charge, 'odd'); INSERT INTO billadj.override_request (account, kind, charge_id, reason_code) VALUES ('used', 'release', :charge, 'goodwill'); SET LOCAL SESSION AUTHORIZATION DEFAULT$_$,
     'lead', $_$INSERT INTO billadj.override_decision (request_id, decision, seen_hash) SELECT request_id, 'approve', content_hash FROM billadj.override_request WHERE account = 'used'$_$,
     'done'),
    ('usage has changed since',
     $_$SET LOCAL SESSION AUTHORIZATION pgtap_requester; SELECT billadj.hold_charge('used', :charge, 'odd'); INSERT INTO billadj.override_request (account, kind, charge_id, reason_code) VALUES ('used', 'release', :charge, 'goodwill'); SET LOCAL SESSION AUTHORIZATION DEFAULT; UPDATE pgtap_override.usage SET n = 8 WHERE id = 1$_$,
     'lead', $_$INSERT INTO billadj.override_decision (request_id, decision, seen_hash) SELECT request_id, 'approve', content_hash FROM billadj.override_request WHERE account = 'used'$_$,
     'UB311'),
    ('applied later',
     $_$SET LOCAL SESSION AUTHORIZATION pgtap_requester; SELECT billadj.submit_override('debit', 'used', 'goodwill', charge_id => :charge, delta => 1); SET LOCAL SESSION AUTHORIZATION pgtap_lead; INSERT INTO billadj.override_decision (request_id, decision, seen_hash) SELECT request_id, 'approve', content_hash FROM billadj.override_request WHERE account = 'used'; SET LOCAL SESSION AUTHORIZATION DEFAULT$_$,
     'operator', $_$SELECT billadj.apply_override((SELECT request_id FROM billadj.override_request WHERE account = 'used'))$_$,
     'done'),
    ('usage has changed since it was approved',
     $_$SET LOCAL SESSION AUTHORIZATION pgtap_requester; SELECT billadj.submit_override('debit', 'used', 'goodwill', charge_id => :charge, delta => 1); SET LOCAL SESSION AUTHORIZATION pgtap_lead; INSERT INTO billadj.override_decision (request_id, decision, seen_hash) SELECT request_id, 'approve', content_hash FROM billadj.override_request WHERE account = 'used'; SET LOCAL SESSION AUTHORIZATION DEFAULT; UPDATE pgtap_override.usage SET n = 8 WHERE id = 1$_$,
     'operator', $_$SELECT billadj.apply_override((SELECT request_id FROM billadj.override_request WHERE account = 'used'))$_$,
     'UB311'),
    ('a trigger that writes on the way of the library',
     $_$CREATE FUNCTION pgtap_override.inside() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $b$ BEGIN UPDATE billadj.limit_usage SET reserved = 0; RETURN NEW; END $b$; CREATE TRIGGER a_inside BEFORE INSERT ON billadj.adjustment FOR EACH ROW EXECUTE FUNCTION pgtap_override.inside()$_$,
     'lead', $_$INSERT INTO billadj.override_decision (request_id, decision, seen_hash) VALUES (:open, 'approve', pgtap_override.seen(':open'))$_$,
     'UB324'),
    ('a rule that suppresses: the function says so',
     $_$CREATE RULE x AS ON INSERT TO billadj.override_decision DO INSTEAD NOTHING$_$,
     'lead', $_$SELECT billadj.approve_override(:open, pgtap_override.seen(':open'))$_$,
     'UB324');

SELECT plan((SELECT count(*)::integer FROM pgtap_override.cell c, string_to_table(c.targets, ' '))
          + (SELECT count(*)::integer FROM pgtap_override.statement) + (SELECT count(*)::integer FROM pgtap_override.trap) + 1);
SELECT is_empty($$SELECT v.verb, t.name, count(c.verb) FROM (SELECT DISTINCT verb FROM pgtap_override.cell) v CROSS JOIN pgtap_override.target t
                    LEFT JOIN pgtap_override.cell c ON c.verb = v.verb AND t.name = ANY (string_to_array(c.targets, ' '))
                   GROUP BY 1, 2 HAVING count(c.verb) <> 1$$, 'each statement on each table has its outcome');
SELECT is(pgtap_override.told(pgtap_override.act(c.verb, t.name)), c.told, c.verb || ' of ' || t.name)
  FROM pgtap_override.cell c, string_to_table(c.targets, ' ') AS t(name);
SELECT is(pgtap_override.told(s.act), s.told, s.act) FROM pgtap_override.statement s ORDER BY s.place;
SELECT is(pgtap_override.may(t.who, pgtap_override.named(t.act), pgtap_override.named(t.setup)), t.told, t.what) FROM pgtap_override.trap t ORDER BY t.place;
SELECT * FROM finish();
ROLLBACK;
