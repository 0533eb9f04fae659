-- Review: what the views say of requests in every state.  Times are not shown,
-- only whether they are there.
\set SHOW_CONTEXT never
SET timezone = 'UTC';
SET client_min_messages = warning;
SELECT count(*) >= 0 AS uninstalled FROM billadj.uninstall(keep_data => false);
SELECT count(*) > 0 AS installed FROM billadj.install();
CREATE ROLE regress_ines LOGIN IN ROLE billadj_requester;
CREATE ROLE regress_omar LOGIN IN ROLE billadj_approver;
CREATE ROLE regress_vera LOGIN IN ROLE billadj_approver;
CREATE ROLE regress_otto LOGIN IN ROLE billadj_approver;
CREATE ROLE regress_rolf LOGIN IN ROLE billadj_reader;
CREATE ROLE regress_aude LOGIN IN ROLE billadj_auditor;
INSERT INTO billadj.principal (person_key, role_name)
VALUES ('ines', 'regress_ines'), ('omar', 'regress_omar'), ('vera', 'regress_vera'), ('otto', 'regress_otto');
INSERT INTO billadj.authority (principal_id, kind, currency, level, single_limit, period_limit, certificate, valid)
SELECT p.principal_id, a.kind, 'EUR', a.level, a.single, a.total, a.certificate, tstzrange('2020-01-01', a.until)
  FROM (VALUES ('omar', NULL, 1, 6000, 10000, NULL, NULL), ('vera', NULL, 2, 50000, NULL, NULL, NULL), ('otto', 'credit', 1, 500, NULL, 'sox', NULL),
               ('otto', 'debit', 1, 500, NULL, NULL, '2021-01-01'::timestamptz)) AS a(who, kind, level, single, total, certificate, until)
  JOIN billadj.principal p ON p.person_key = a.who;
INSERT INTO billadj.delegation (from_principal, to_principal, authority_id, single_limit, valid)
SELECT v.principal_id, o.principal_id, a.authority_id, 3000, tstzrange('2020-01-01', '2099-01-01')
  FROM billadj.principal v, billadj.principal o, billadj.authority a
 WHERE v.person_key = 'vera' AND o.person_key = 'otto' AND a.principal_id = v.principal_id;
INSERT INTO billadj.conflict (person_key, account, valid) VALUES ('omar', 'friend', '[2020-01-01,)');
INSERT INTO billadj.reason_code (code) VALUES ('error');
INSERT INTO billadj.approval_rule (kind, currency, band, step, level, quorum)
SELECT k, 'EUR', v.band::numrange, v.step, v.level, v.quorum
  FROM unnest(ARRAY['credit', 'debit']) AS k,
       (VALUES ('[0,100]', 0, 0, 0), ('(100,1000]', 1, 1, 1), ('(1000,)', 1, 1, 1), ('(1000,)', 2, 2, 1)) AS v(band, step, level, quorum);
CREATE FUNCTION pg_temp.ask(account text, delta numeric) RETURNS bigint LANGUAGE sql AS $$
    SELECT billadj.submit_override(CASE WHEN delta < 0 THEN 'credit' ELSE 'debit' END, account, 'error', delta => delta, currency => 'EUR')
$$;
CREATE FUNCTION pg_temp.decide(request bigint, decision text) RETURNS text LANGUAGE sql AS $$
    SELECT billadj.decide_override(request, decision, r.content_hash, comment => 'seen') FROM billadj.override_request r WHERE r.request_id = request
$$;

SET SESSION AUTHORIZATION regress_ines;
SELECT pg_temp.ask('small', -50) AS small, pg_temp.ask('middle', -500) AS middle, pg_temp.ask('large', -5000) AS large, pg_temp.ask('friend', -200) AS friend,
       pg_temp.ask('no', 300) AS no, pg_temp.ask('waits', -400) AS waits \gset
SET SESSION AUTHORIZATION regress_omar;
SELECT pg_temp.decide(:middle, 'approve') AS middle, pg_temp.decide(:large, 'approve') AS large;
SET SESSION AUTHORIZATION regress_vera;
SELECT pg_temp.decide(:large, 'approve') AS large, pg_temp.decide(:no, 'reject') AS no;

-- ---- finance reads ----

SET SESSION AUTHORIZATION regress_rolf;
SELECT account, kind, delta, state, requested_by, age > '0' AS waits, until > now() AS in_time, missing, highest_level FROM billadj.open_override ORDER BY account;
-- omar has an interest in one of them; otto has no certificate, but vera's authority up to 3000
SELECT account, amount, person_key, level FROM billadj.open_override_approver ORDER BY account, person_key;
SELECT account, decided_by, decision, step, delta, request_state, waited > '0' AS waited FROM billadj.decision_log ORDER BY decision_id;
SELECT account, cause, kind, reason_code, affects, adjustments, delta FROM billadj.adjustment_summary ORDER BY account;
SELECT kind, requests, first_decision_p50 > '0' AS decided, first_decision_p95 >= first_decision_p50 AS spread, applied_p50 > '0' AS applied, applied_share, rejected_share,
       stale_share, expired_share, reversed_share
  FROM billadj.override_times ORDER BY kind;
SELECT person_key, can_login, is_approver, kind, level, single_limit, period_limit, certificate, certified, delegated_by, current
  FROM billadj.approval_access ORDER BY person_key, kind NULLS FIRST, level, delegated_by NULLS FIRST;
SELECT count(*) FROM billadj.override_completeness;

-- ---- the requester sees her own, the auditor all ----

SET SESSION AUTHORIZATION regress_ines;
SELECT count(*) AS mine FROM billadj.open_override;
SELECT count(*) FROM billadj.approval_access;
SET SESSION AUTHORIZATION regress_aude;
SELECT account, state, adjustment_id IS NOT NULL AS effect, approvals, needed, request_entries > 0 AS requested, decision_entries, effect_entries, problems
  FROM billadj.override_completeness ORDER BY account;
RESET SESSION AUTHORIZATION;

-- ---- what a superuser did shows ----

BEGIN;
ALTER TABLE billadj.adjustment DISABLE TRIGGER ALL;
UPDATE billadj.adjustment SET delta = -1 WHERE account = 'middle';
ALTER TABLE billadj.override_decision DISABLE TRIGGER ALL;
DELETE FROM billadj.override_decision WHERE decided_by = 'regress_vera' AND request_id = :large;
ALTER TABLE billadj.override_request DISABLE TRIGGER ALL;
INSERT INTO billadj.override_request OVERRIDING SYSTEM VALUE
SELECT (jsonb_populate_record(r, jsonb_build_object('request_id', 99, 'account', 'forged', 'state', 'applied'))).*
  FROM billadj.override_request r WHERE account = 'small';
SELECT account, problems FROM billadj.override_completeness WHERE problems <> '{}' ORDER BY account;
ROLLBACK;

SELECT count(*) >= 0 AS uninstalled FROM billadj.uninstall(keep_data => false);
SELECT count(*) > 0 AS installed FROM billadj.install();
DROP ROLE regress_ines, regress_omar, regress_vera, regress_otto, regress_rolf, regress_aude;
