-- Overrides: who may ask, who may decide, and what follows.  as_() runs a query
-- as a login of its own and returns the result, or the code and words of the
-- refusal.
\set SHOW_CONTEXT never
SET timezone = 'UTC';
SET datestyle = 'ISO';
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS billadj;
SELECT count(*) >= 0 AS uninstalled FROM billadj.uninstall(keep_data => false);
SELECT count(*) > 0 AS installed FROM billadj.install();
CREATE SCHEMA act;
CREATE FUNCTION act.as_(who text, query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answer text; code text; words text; more text; hint text;
BEGIN
    BEGIN
        PERFORM set_config('session_authorization', 'regress_' || who, false);
        EXECUTE query INTO answer;
        EXECUTE 'RESET SESSION AUTHORIZATION';
    EXCEPTION WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, words = MESSAGE_TEXT, more = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
        RETURN code || ' ' || words || CASE WHEN more <> '' THEN ' | ' || more ELSE '' END || CASE WHEN hint <> '' THEN ' > ' || hint ELSE '' END;
    END;
    RETURN answer;
END $$;
CREATE FUNCTION act.approve(who text, request bigint, decision text DEFAULT 'approve', delegation text DEFAULT 'NULL') RETURNS text LANGUAGE sql AS $$
    SELECT act.as_(who, format('SELECT billadj.decide_override(%1$s, %2$L, (SELECT content_hash FROM billadj.override_request WHERE request_id = %1$s), delegation_id => %3$s)',
                               request, decision, delegation))
$$;
CREATE FUNCTION act.credit(who text, account text, delta numeric) RETURNS text LANGUAGE sql AS $$
    SELECT act.as_(who, format('SELECT billadj.submit_override(''credit'', %L, ''goodwill'', delta => %L, currency => ''USD'')', account, delta))
$$;

-- ---- people: rita asks, mona manages, lena leads, olga operates, paul and pia approve policy ----

CREATE ROLE regress_rita LOGIN IN ROLE billadj_requester;
CREATE ROLE regress_ritas_other LOGIN IN ROLE billadj_requester, billadj_approver;
CREATE ROLE regress_mona LOGIN IN ROLE billadj_approver;
CREATE ROLE regress_mike LOGIN IN ROLE billadj_approver;
CREATE ROLE regress_lena LOGIN IN ROLE billadj_approver, billadj_requester;
CREATE ROLE regress_dora LOGIN IN ROLE billadj_approver;
CREATE ROLE regress_olga LOGIN IN ROLE billadj_operator;
CREATE ROLE regress_paul LOGIN IN ROLE billadj_policy;
CREATE ROLE regress_pia LOGIN IN ROLE billadj_policy;
CREATE ROLE regress_nobody LOGIN IN ROLE billadj_requester, billadj_approver;
INSERT INTO billadj.principal (person_key, role_name)
SELECT CASE r WHEN 'ritas_other' THEN 'rita' ELSE r END, 'regress_' || r
  FROM unnest(ARRAY['rita', 'ritas_other', 'mona', 'mike', 'lena', 'dora', 'olga']) AS r;
CREATE FUNCTION act.principal(who text) RETURNS bigint LANGUAGE sql AS $$ SELECT principal_id FROM billadj.principal WHERE role_name = 'regress_' || who $$;
INSERT INTO billadj.authority (principal_id, currency, level, single_limit, period_limit, period, certificate, valid)
SELECT act.principal(v.who), v.currency, v.level, v.single, v.total, v.period, v.certificate, tstzrange('2020-01-01', NULL)
  FROM (VALUES ('mona', 'USD', 1, 50000, 1000000, 'day', NULL), ('mike', 'USD', 1, 500, 1000, 'day', NULL), ('lena', 'USD', 2, 100000, NULL, 'day', NULL),
               ('ritas_other', 'USD', 2, 100000, NULL, 'day', NULL), ('dora', 'USD', 1, 50000, NULL, 'day', 'sox'),
               ('mona', 'EUR', 1, 500, NULL, 'day', NULL), ('lena', 'EUR', 1, 500, NULL, 'day', NULL),
               ('mike', 'CHF', 1, 500, 1000, 'day', NULL), ('lena', 'CHF', 1, 500, 1000, 'day', NULL),
               ('mona', 'JPY', 1, 50000, 90000, 'month', NULL), ('mike', 'JPY', 1, 50000, 90000, 'month', NULL),
               ('lena', 'JPY', 1, 50000, 90000, 'month', NULL), ('dora', 'JPY', 1, 50000, 90000, 'month', NULL)) AS v(who, currency, level, single, total, period, certificate);
CREATE FUNCTION act.authority(who text, currency text) RETURNS bigint LANGUAGE sql AS $$
    SELECT authority_id FROM billadj.authority a WHERE a.principal_id = act.principal($1) AND a.currency = $2
$$;
INSERT INTO billadj.reason_code (code, needs_comment, needs_evidence) VALUES ('goodwill', false, false), ('told', true, false), ('proven', false, true);
INSERT INTO billadj.approval_rule (kind, currency, band, step, level, quorum)
SELECT k.kind, 'USD', v.band::numrange, v.step, v.level, v.quorum
  FROM (VALUES ('credit'), ('debit'), ('discount'), ('price_override'), ('waive'), ('write_off'), ('refund')) AS k(kind)
 CROSS JOIN (VALUES ('[0,10000]', 0, 0, 0), ('(10000,20000]', 1, 1, 1), ('(20000,)', 1, 1, 1), ('(20000,)', 2, 2, 1)) AS v(band, step, level, quorum);
INSERT INTO billadj.approval_rule (kind, currency, band, step, level, quorum) VALUES ('release', 'USD', '[0,)', 1, 1, 1), ('cancel', 'USD', '[0,)', 1, 1, 1),
    ('credit', 'EUR', '[0,100]', 0, 0, 0), ('credit', 'EUR', '(100,)', 1, 1, 1), ('credit', 'CHF', '[0,)', 1, 1, 1);
INSERT INTO billadj.approval_rule (kind, currency, band, step, level, quorum, apply) VALUES ('credit', 'JPY', '[0,)', 1, 1, 2, 'later');
-- from here on policy changes by proposals only
INSERT INTO billadj.principal (person_key, role_name) VALUES ('paul', 'regress_paul'), ('pia', 'regress_pia');
-- as if a second person approved it, which is another test
CREATE FUNCTION act.policy(target text, body jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE change text;
BEGIN
    change := act.as_('paul', format('SELECT billadj.propose_policy(%L, %L)', target, body));
    RETURN CASE WHEN change ~ '^\d+$' THEN coalesce(nullif(act.as_('pia', format('SELECT billadj.approve_policy(%s)', change)), ''), 'done') ELSE change END;
END $$;

-- ---- bands are lower-exclusive and upper-inclusive ----

SELECT act.credit('rita', 'band-1', -10000.00) AS r1 \gset
SELECT act.credit('rita', 'band-2', -10000.01) AS r2 \gset
SELECT act.credit('rita', 'band-3', -20000) AS r3 \gset
SELECT act.credit('rita', 'band-4', -21000) AS r4 \gset
SELECT account, delta, state, effective_amount FROM billadj.override_request ORDER BY request_id;
SELECT act.approve('mona', :r2), act.approve('mona', :r3), act.approve('mona', :r4) AS still_open;
SELECT step, level, quorum, have, missing, my_blockers FROM billadj.explain_decision(:r4);
SELECT act.as_('lena', format('SELECT string_agg(format(''%%s of %%s, %%s missing, %%s'', have, quorum, missing, my_blockers), ''; '' ORDER BY step) FROM billadj.explain_decision(%s)', :r4));
SELECT act.approve('mona', :r4);
SELECT act.approve('lena', :r4);
-- the order is free
SELECT act.credit('rita', 'band-5', -21000) AS r5 \gset
SELECT act.approve('lena', :r5) AS lead_first, act.approve('mona', :r5) AS manager_second;
SELECT a.account, a.delta, a.cause, a.affects, a.applied_by, a.request_id = r.request_id AND a.period_start = r.period_start AS linked, r.state, r.decisions
  FROM billadj.adjustment a JOIN billadj.override_request r USING (request_id) ORDER BY a.account;
SELECT d.step, d.level, d.decided_by, d.person_key FROM billadj.override_decision d WHERE d.request_id IN (:r4, :r5) ORDER BY d.decision_id;
SELECT reserved, used FROM billadj.limit_usage ORDER BY authority_id;

-- ---- splitting escalates: ten credits of 99 against a band of 100 ----

SELECT act.as_('rita', $$SELECT billadj.submit_override('credit', 'split', 'goodwill', delta => -99, currency => 'EUR')$$) IS NOT NULL AS asked FROM generate_series(1, 10);
SELECT delta, state, effective_amount FROM billadj.override_request WHERE account = 'split' ORDER BY request_id;
SELECT act.as_('rita', $$SELECT billadj.submit_override('credit', 'split other', 'goodwill', delta => -99, currency => 'EUR')$$) IS NOT NULL AS asked;
SELECT delta, state FROM billadj.override_request WHERE account = 'split other';

-- ---- what is asked for: shape, sign, decimals, currency, reason ----

SELECT v.what, act.as_('rita', format('SELECT billadj.submit_override(%s)', v.arguments)) AS answer
  FROM (VALUES ('kind', $$'gift', 'x', 'goodwill', delta => -1, currency => 'USD'$$),
               ('account', $$'credit', '', 'goodwill', delta => -1, currency => 'USD'$$),
               ('no currency', $$'credit', 'x', 'goodwill', delta => -1$$),
               ('currency', $$'credit', 'x', 'goodwill', delta => -1, currency => 'XXX'$$),
               ('no amount', $$'credit', 'x', 'goodwill', currency => 'USD'$$),
               ('two amounts', $$'credit', 'x', 'goodwill', delta => -1, new_amount => 1, currency => 'USD'$$),
               ('credit sign', $$'credit', 'x', 'goodwill', delta => 1, currency => 'USD'$$),
               ('debit sign', $$'debit', 'x', 'goodwill', delta => -1, currency => 'USD'$$),
               ('discount sign', $$'discount', 'x', 'goodwill', delta => 1, currency => 'USD'$$),
               ('refund sign', $$'refund', 'x', 'goodwill', delta => 1, currency => 'USD'$$),
               ('write_off sign', $$'write_off', 'x', 'goodwill', delta => 1, currency => 'USD'$$),
               ('zero', $$'credit', 'x', 'goodwill', delta => 0, currency => 'USD'$$),
               ('decimals', $$'credit', 'x', 'goodwill', delta => -0.001, currency => 'USD'$$),
               ('NaN', $$'credit', 'x', 'goodwill', delta => 'NaN', currency => 'USD'$$),
               ('infinity', $$'credit', 'x', 'goodwill', delta => '-Infinity', currency => 'USD'$$),
               ('no charge to waive', $$'waive', 'x', 'goodwill', currency => 'USD'$$),
               ('no charge to replace', $$'credit', 'x', 'goodwill', new_amount => 1, currency => 'USD'$$),
               ('delta of price_override', $$'price_override', 'x', 'goodwill', delta => -1, currency => 'USD'$$),
               ('unknown charge', $$'waive', 'x', 'goodwill', charge_id => 99$$),
               ('no rule', $$'credit', 'x', 'goodwill', delta => -1, currency => 'GBP'$$),
               ('reason', $$'credit', 'x', 'whim', delta => -1, currency => 'USD'$$),
               ('needs comment', $$'credit', 'x', 'told', delta => -1, currency => 'USD'$$),
               ('needs evidence', $$'credit', 'x', 'proven', delta => -1, currency => 'USD'$$),
               ('short evidence', $$'credit', 'x', 'proven', delta => -1, currency => 'USD', evidence => '\x00'$$),
               ('card number', $$'credit', 'x', 'told', delta => -1, currency => 'USD', comment => 'pay 4111 1111 1111 1111 back'$$)) AS v(what, arguments);
SELECT act.credit('nobody', 'x', -1) AS no_person, act.credit('mona', 'x', -1) AS no_requester;

-- ---- kinds, on charges ----

CREATE SCHEMA host;
CREATE TABLE host.calls (id integer PRIMARY KEY, who text, at timestamptz, n numeric);
SELECT count(*) FROM billadj.import_rate_card('{"code": "list", "currency": "USD", "prices": [{"meter": "call", "model": "per_unit", "unit_amount": "0.125"}]}', '[2020-01-01,)');
SELECT count(*) FROM billadj.attach('host.calls', 'who', 'at', 'call', 'n');
INSERT INTO host.calls SELECT g, 'kind-' || g, '2026-05-10', 100 FROM generate_series(1, 9) AS g;
UPDATE host.calls SET n = 101 WHERE id = 1;
SELECT account, charge_id, amount, cause FROM billadj.charge ORDER BY charge_id;
SELECT charge_id AS c1 FROM billadj.charge WHERE account = 'kind-1' ORDER BY charge_id LIMIT 1 \gset
CREATE FUNCTION act.charge(account text) RETURNS bigint LANGUAGE sql AS $$ SELECT min(c.charge_id) FROM billadj.charge c WHERE c.account = $1 $$;
SELECT v.account, act.as_('rita', format('SELECT billadj.submit_override(%L, %L, ''goodwill'', charge_id => %s %s)', v.kind, v.account, act.charge(v.account), v.more)) IS NOT NULL AS asked
  FROM (VALUES ('credit', 'kind-1', ', delta => -2'), ('debit', 'kind-2', ', delta => 3'), ('discount', 'kind-3', ', new_amount => 10'),
               ('price_override', 'kind-4', ', new_amount => 15'), ('waive', 'kind-5', ''), ('write_off', 'kind-6', ', delta => -12.50'),
               ('refund', 'kind-7', ', delta => -1')) AS v(kind, account, more);
SELECT r.account, r.kind, r.billed_amount, r.new_amount, r.delta, r.amount, r.state, a.delta, a.cause, a.affects, a.period_start = '2026-05-01' AS may
  FROM billadj.override_request r LEFT JOIN billadj.adjustment a USING (request_id) WHERE r.account LIKE 'kind-%' ORDER BY r.request_id;
SELECT account, sum(amount) AS billed FROM billadj.billed WHERE account LIKE 'kind-%' GROUP BY 1 ORDER BY 1;
-- nothing is left to waive; a waive takes what adjustments have left
SELECT act.as_('rita', format('SELECT billadj.submit_override(''waive'', ''kind-5'', ''goodwill'', charge_id => %s)', act.charge('kind-5'))) AS twice,
       act.as_('rita', format('SELECT billadj.submit_override(''waive'', ''kind-1'', ''goodwill'', charge_id => %s)', :c1)) IS NOT NULL AS rest;
SELECT account, sum(amount) AS billed FROM billadj.billed WHERE account = 'kind-1' GROUP BY 1;

-- ---- holds: not billable until somebody decides ----

SELECT act.as_('rita', format('SELECT billadj.hold_charge(''kind-8'', %s, ''odd'')', act.charge('kind-8'))) IS NOT NULL AS held,
       act.as_('rita', format('SELECT billadj.hold_charge(''kind-9'', %s, ''odd'')', act.charge('kind-9'))) IS NOT NULL AS held_too;
SELECT act.as_('rita', format('SELECT billadj.hold_charge(''kind-9'', %s, ''odd'')', act.charge('kind-9'))) AS twice,
       act.as_('rita', format('SELECT billadj.hold_charge(''kind-8'', %s, ''odd'')', act.charge('kind-9'))) AS of_another,
       act.as_('nobody', format('SELECT billadj.hold_charge(''kind-9'', %s, ''odd'')', act.charge('kind-9'))) AS by_nobody;
SELECT account, amount, billable FROM billadj.billed WHERE account IN ('kind-8', 'kind-9') ORDER BY account;
SELECT act.as_('rita', format('SELECT billadj.submit_override(''release'', ''kind-8'', ''goodwill'', charge_id => %s)', act.charge('kind-8'))) AS h8 \gset
SELECT act.as_('rita', format('SELECT billadj.submit_override(''cancel'', ''kind-9'', ''goodwill'', charge_id => %s)', act.charge('kind-9'))) AS h9 \gset
SELECT act.as_('rita', format('SELECT billadj.submit_override(''cancel'', ''kind-8'', ''goodwill'', charge_id => %s)', act.charge('kind-8'))) AS one_at_a_time;
SELECT act.as_('rita', format('SELECT billadj.submit_override(''release'', ''kind-2'', ''goodwill'', charge_id => %s)', act.charge('kind-2'))) AS not_held;
SELECT act.approve('mona', :h8), act.approve('mona', :h9);
SELECT h.account, h.outcome, h.ended_at IS NOT NULL AS ended, r.kind, r.delta, r.amount FROM billadj.hold h JOIN billadj.override_request r USING (request_id) ORDER BY 1;
SELECT account, amount, cause, billable FROM billadj.billed WHERE account IN ('kind-8', 'kind-9') ORDER BY account, amount DESC;

-- ---- separation of duties ----

SELECT act.credit('lena', 'duty', -15000) AS d1 \gset
SELECT act.approve('lena', :d1) AS own;
SELECT act.approve('mona', :d1, 'reject') AS by_another, act.approve('mona', :d1) AS closed;
SELECT act.credit('rita', 'duty', -15000) AS d2 \gset
SELECT act.approve('ritas_other', :d2) AS same_person_other_login;
SELECT act.approve('nobody', :d2) AS no_person;
SELECT act.as_('rita', $$SELECT billadj.submit_override('credit', 'duty', 'goodwill', delta => -50, currency => 'CHF')$$) AS d3 \gset
SELECT act.approve('mona', :d3) AS no_authority;
SELECT act.approve('mike', :d2) AS above_single_limit;
SELECT act.approve('rita', :d2) AS no_approver;
SELECT act.as_('mona', format('SELECT billadj.decide_override(%s, ''maybe'', ''\x00'')', :d2)) AS no_decision,
       act.as_('mona', format('SELECT billadj.decide_override(%s, ''approve'', ''\x00'')', :d2)) AS wrong_hash,
       act.as_('mona', 'SELECT billadj.decide_override(999999, ''approve'', ''\x00'')') AS unknown;
SELECT act.as_('lena', format('SELECT billadj.withdraw_override(%s)', :d2)) AS not_yours, act.as_('lena', 'SELECT billadj.withdraw_override(999999)') AS unknown;
SELECT act.policy('conflict', '{"op": "insert", "row": {"person_key": "mona", "account": "duty"}}');
SELECT act.approve('mona', :d2) AS interest;
-- the band of an account is that of its sum, though this one was rejected
SELECT effective_amount, state FROM billadj.override_request WHERE account = 'duty' ORDER BY request_id;
SELECT act.approve('lena', :d2);

-- ---- authority: revoked, lapsed, limits ----

SELECT act.credit('rita', 'cert', -15000) AS e1 \gset
SELECT act.approve('dora', :e1) AS no_certificate;
SELECT act.policy('certification', format('{"op": "insert", "row": {"principal_id": %s, "certificate": "sox"}}', act.principal('dora'))::jsonb);
SELECT act.approve('dora', :e1);
SELECT act.credit('rita', 'cert', -25000) AS e2 \gset
SELECT act.approve('dora', :e2) AS first_of_two;
SELECT act.policy('certification', format('{"op": "end", "key": {"certification_id": %s}}', (SELECT max(certification_id) FROM billadj.certification))::jsonb);
SELECT act.approve('lena', :e2) AS decision_has_lapsed, (SELECT have FROM billadj.explain_decision(:e2) WHERE step = 1) AS have;
SELECT act.approve('mona', :e2) AS another_first;
SELECT act.policy('authority', format('{"op": "end", "key": {"authority_id": %s}}', act.authority('dora', 'USD'))::jsonb);
SELECT act.credit('rita', 'ended', -15000) AS e3 \gset
SELECT act.approve('dora', :e3) AS ended;
-- 1,000 a day, 500 each
SELECT act.as_('rita', format('SELECT billadj.submit_override(''credit'', ''limit-%s'', ''goodwill'', delta => -300, currency => ''CHF'')', g)) IS NOT NULL AS asked FROM generate_series(1, 5) AS g;
SELECT act.approve('mike', request_id) AS answer FROM (SELECT request_id FROM billadj.override_request WHERE account LIKE 'limit-_' ORDER BY request_id) r;
SELECT reserved, used FROM billadj.limit_usage WHERE authority_id = act.authority('mike', 'CHF');
-- in one statement too
SELECT act.as_('rita', format('SELECT billadj.submit_override(''credit'', ''limit-1%s'', ''goodwill'', delta => -50, currency => ''CHF'')', g)) IS NOT NULL AS asked FROM generate_series(1, 3) AS g;
SELECT act.as_('mike', $$WITH d AS (INSERT INTO billadj.override_decision (request_id, decision, seen_hash)
    SELECT request_id, 'approve', content_hash FROM billadj.override_request WHERE account LIKE 'limit-1_' RETURNING 1) SELECT count(*) FROM d$$) AS three_at_once;
SELECT act.as_('mike', $$WITH d AS (INSERT INTO billadj.override_decision (request_id, decision, seen_hash)
    SELECT request_id, 'approve', content_hash FROM billadj.override_request WHERE account LIKE 'limit-1_' AND account < 'limit-13' RETURNING 1) SELECT count(*) FROM d$$) AS two_at_once;
SELECT reserved, used FROM billadj.limit_usage WHERE authority_id = act.authority('mike', 'CHF');

-- ---- delegation ----

SELECT act.policy('delegation', format('{"op": "insert", "row": {"from_principal": %s, "to_principal": %s, "authority_id": %s, "single_limit": 16000, "valid": "[2020-01-01,2100-01-01)"}}',
                                       act.principal('lena'), act.principal('dora'), act.authority('lena', 'USD'))::jsonb);
SELECT max(delegation_id) AS lent FROM billadj.delegation \gset
SELECT act.credit('rita', 'lent', -15000) AS g1 \gset
SELECT act.approve('dora', :g1) AS own_has_ended, act.approve('mona', :g1, 'approve', :'lent') AS not_to_her;
SELECT request_id = :g1 AS this_one, delegation_id = :'lent' AS by_it FROM (SELECT act.as_('dora', 'SELECT request_id FROM billadj.inbox() WHERE account = ''lent''')::bigint AS request_id,
                                                                act.as_('dora', 'SELECT delegation_id FROM billadj.inbox() WHERE account = ''lent''') AS delegation_id) i;
SELECT act.approve('dora', :g1, 'approve', :'lent');
SELECT act.credit('rita', 'lent 2', -21000) AS g2 \gset
SELECT act.approve('dora', :g2, 'approve', :'lent') AS above_what_is_lent;
SELECT act.credit('lena', 'lent 3', -15000) AS g3 \gset
SELECT act.approve('dora', :g3, 'approve', :'lent') AS lenders_own_request;
SELECT d.decided_by, d.level, d.delegation_id = :lent AS by_it FROM billadj.override_decision d WHERE d.request_id = :g1;

-- ---- revise, withdraw, stale ----

SELECT act.credit('rita', 'life', -21000) AS l1 \gset
SELECT act.approve('mona', :l1) AS first;
SELECT content_hash AS seen FROM billadj.override_request WHERE request_id = :l1 \gset
SELECT reserved FROM billadj.limit_usage u WHERE u.authority_id = act.authority('mona', 'USD');
SELECT act.as_('rita', format('SELECT billadj.revise_override(%s, delta => -60000)', :l1)) AS revision;
SELECT act.as_('lena', format('SELECT billadj.decide_override(%s, ''approve'', %L)', :l1, :'seen')) AS seen_before;
SELECT state, revision, delta, effective_amount FROM billadj.override_request WHERE request_id = :l1;
SELECT reserved FROM billadj.limit_usage u WHERE u.authority_id = act.authority('mona', 'USD');
SELECT act.approve('mona', :l1) AS above_her_limit, act.as_('rita', format('SELECT billadj.revise_override(%s, delta => -20001, comment => ''less'')', :l1)) AS revision;
SELECT act.approve('mona', :l1) AS counts_anew, act.approve('lena', :l1);
SELECT act.as_('rita', format('SELECT billadj.withdraw_override(%s)', :l1)) AS too_late, act.as_('rita', format('SELECT billadj.revise_override(%s, delta => -1)', :l1)) AS too_late_too;
SELECT act.credit('rita', 'life 2', -15000) AS l2 \gset
SELECT act.as_('rita', format('SELECT billadj.withdraw_override(%s)', :l2)) AS withdrawn, act.approve('mona', :l2) AS late;
INSERT INTO host.calls VALUES (20, 'stale', '2026-05-10', 200000);
SELECT act.as_('rita', format('SELECT billadj.submit_override(''waive'', ''stale'', ''goodwill'', charge_id => %s)', act.charge('stale'))) AS s1 \gset
SELECT delta FROM billadj.override_request WHERE request_id = :s1;
UPDATE host.calls SET n = 160000 WHERE id = 20;
SELECT act.approve('mona', :s1) AS changed;
SELECT act.as_('mona', format('SELECT (ok, sqlstate)::text FROM billadj.try_decide_override(%s, ''approve'', (SELECT content_hash FROM billadj.override_request WHERE request_id = %1$s))', :s1)) AS tried,
       (SELECT state FROM billadj.override_request WHERE request_id = :s1) AS state_before;
SELECT state FROM billadj.override_request WHERE request_id = :s1;
SELECT act.as_('rita', format('SELECT billadj.revise_override(%s)', :s1)) AS revision;
SELECT state, delta, revision FROM billadj.override_request WHERE request_id = :s1;
SELECT act.approve('mona', :s1);

-- ---- reversal ----

SELECT act.as_('rita', format('SELECT billadj.reverse_override(%s, ''goodwill'')', :s1)) AS v1 \gset
SELECT kind, delta, cause, affects, state, reverses = :s1 AS reverses FROM billadj.override_request WHERE request_id = :v1;
SELECT act.as_('rita', format('SELECT billadj.reverse_override(%s, ''goodwill'')', :s1)) AS twice;
SELECT act.approve('mona', :v1) AS sum_is_above_20000, act.approve('lena', :v1);
SELECT sum(amount) AS billed FROM billadj.billed WHERE account = 'stale';
SELECT act.as_('rita', format('SELECT billadj.reverse_override(%s, ''goodwill'')', :h8)) AS v2 \gset
SELECT act.approve('mona', :v2) AS held_again;
SELECT account, count(*) FILTER (WHERE ended_at IS NULL) AS open, count(*) FROM billadj.hold WHERE account = 'kind-8' GROUP BY 1;
SELECT act.as_('rita', format('SELECT billadj.reverse_override(%s, ''goodwill'')', :l2)) AS not_applied;

-- what explain_charge() adds: who asked, who approved, what is billed now
SELECT a ->> 'kind' AS kind, a ->> 'delta' AS delta, a ->> 'cause' AS cause, a #>> '{requested,by}' AS requested, a #>> '{applied,by}' AS applied,
       (SELECT string_agg(p ->> 'by' || ' ' || (p ->> 'step'), ', ') FROM jsonb_array_elements(a -> 'approved') p) AS approved
  FROM jsonb_array_elements(billadj.explain_charge(act.charge('stale')) -> 'adjustments') a;
SELECT account, x -> 'billed' AS billed, x -> 'billable' AS billable, jsonb_array_length(x -> 'holds') AS holds, billadj.replay(x) = (x ->> 'amount')::numeric AS replays
  FROM (SELECT v.account, billadj.explain_charge(act.charge(v.account)) AS x FROM unnest(ARRAY['stale', 'kind-2', 'kind-5', 'kind-8', 'kind-9']) AS v(account)) e;

-- ---- applied later, deadlines ----

CREATE FUNCTION act.yen(account text) RETURNS text LANGUAGE sql AS $$
    SELECT act.as_('rita', format('SELECT billadj.submit_override(''credit'', %L, ''goodwill'', delta => -1000, currency => ''JPY'')', $1))
$$;
SELECT act.yen('later-1') AS y1, act.yen('later-2') AS y2, act.yen('later-3') AS y3, act.yen('later-4') AS y4 \gset
SELECT act.approve('mona', :y1) AS one, act.approve('mike', :y1) AS two, act.as_('mona', format('SELECT billadj.apply_override(%s)', :y1)) AS no_operator;
SELECT act.as_('olga', format('SELECT billadj.apply_override(%s)', :y2)) AS not_approved;
SELECT act.as_('olga', format('SELECT billadj.apply_override(%s)', :y1)) IS NOT NULL AS applied, act.as_('olga', format('SELECT billadj.apply_override(%s)', :y1)) AS twice;
SELECT act.approve('mona', :y2), act.approve('dora', :y2), act.approve('mona', :y3), act.approve('dora', :y3);
-- revoked between approval and application
SELECT act.policy('authority', format('{"op": "end", "key": {"authority_id": %s}}', act.authority('dora', 'JPY'))::jsonb);
SELECT act.as_('olga', format('SELECT billadj.apply_override(%s)', :y2)) AS revoked;
SELECT sum(reserved) AS reserved, sum(used) AS used FROM billadj.limit_usage JOIN billadj.authority USING (authority_id) WHERE currency = 'JPY';
-- the period of a limit has passed, a limit was lowered (rows as a superuser's restore would bring them)
SELECT act.approve('mona', :y4), act.approve('mike', :y4);
BEGIN;
SET LOCAL row_security = off;
UPDATE billadj.limit_entry SET period_start = period_start - interval '1 month' WHERE request_id = :y4;
RESET row_security;
SELECT act.as_('olga', format('SELECT billadj.apply_override(%s)', :y4)) AS rolled_over;
ROLLBACK;
BEGIN;
SELECT act.policy('authority', format('{"op": "update", "key": {"authority_id": %s}, "row": {"single_limit": 999}}', act.authority('mona', 'JPY'))::jsonb);
SELECT act.as_('olga', format('SELECT billadj.apply_override(%s)', :y4)) AS lowered;
ROLLBACK;
BEGIN;
SET LOCAL row_security = off;
UPDATE billadj.override_request SET apply_until = clock_timestamp() WHERE request_id = :y4;
RESET row_security;
SELECT split_part(act.as_('olga', format('SELECT billadj.apply_override(%s)', :y4)), '|', 1) AS expired;
SELECT act.as_('olga', 'SELECT billadj.expire_overrides()') AS closed, state FROM billadj.override_request WHERE request_id = :y4;
SELECT state FROM billadj.override_request WHERE request_id = :y4;
SELECT e.state FROM billadj.limit_entry e WHERE e.request_id = :y4;
ROLLBACK;
SELECT act.as_('olga', 'SELECT billadj.escalate_overrides(''30 days'')')::integer > 0 AS told, act.as_('olga', 'SELECT billadj.escalate_overrides(''30 days'')') AS once;
SELECT topic, count(*) > 0 AS some FROM billadj.outbox GROUP BY 1 ORDER BY 1;

-- ---- many at once, comments, tokens ----

SELECT act.credit('rita', 'many-1', -15000) AS m1, act.credit('rita', 'many-2', -15000) AS m2 \gset
SELECT act.as_('mona', format('SELECT string_agg(d.state, '' '') FROM billadj.decide_overrides(ARRAY[%s, %s], ''approve'', ''\x00'') d', :m2, :m1)) AS wrong_hash;
SELECT act.as_('mona', format($$SELECT string_agg(d.state, ' ') FROM billadj.decide_overrides(ARRAY[%1$s, %2$s]::bigint[], 'approve',
    (SELECT sha256(string_agg(content_hash, '' ORDER BY request_id)) FROM billadj.override_request WHERE request_id IN (%1$s, %2$s))) d$$, :m2, :m1)) AS both;
SELECT act.credit('rita', 'talk', -15000) AS t1 \gset
SELECT act.as_('rita', format('SELECT billadj.comment_override(%s, ''see the mail'')', :t1)) IS NOT NULL AS said, act.as_('mona', format('SELECT billadj.comment_override(%s, ''which?'')', :t1)) IS NOT NULL AS asked,
       act.as_('rita', format('SELECT billadj.comment_override(%s, ''4111111111111111'')', :t1)) AS card, act.as_('lena', 'SELECT billadj.comment_override(999999, ''x'')') AS unknown;
SELECT act.as_('rita', format('SELECT string_agg(created_by || '': '' || comment, ''; '' ORDER BY comment_id) FROM billadj.override_comments(%s)', :t1)) AS thread;
SELECT act.as_('nobody', format('SELECT count(*) FROM billadj.override_comments(%s)', :t1)) AS approver_sees, act.as_('olga', format('SELECT count(*) FROM billadj.override_comments(%s)', :t1)) AS operator_sees;
SELECT act.as_('ritas_other', format('SELECT billadj.review_override(%s) IS NOT NULL', :t1)) AS approver_sees;
SELECT act.policy('instance', '{"op": "insert", "row": {"require_review": true}}');
SELECT act.approve('mona', :t1) AS no_token;
SELECT act.as_('mona', format('SELECT token FROM billadj.review_override(%s)', :t1)) AS token \gset
SELECT act.as_('lena', format('SELECT billadj.approve_override(%1$s, (SELECT content_hash FROM billadj.override_request WHERE request_id = %1$s), %2$L)', :t1, :'token')) AS somebody_elses;
SELECT act.as_('mona', format('SELECT billadj.approve_override(%s, (SELECT content_hash FROM billadj.override_request WHERE request_id = %1$s), token) FROM billadj.review_override(%1$s)', :t1)) AS same_transaction;
SELECT act.as_('mona', format('SELECT billadj.approve_override(%1$s, (SELECT content_hash FROM billadj.override_request WHERE request_id = %1$s), %2$L)', :t1, :'token')) AS approved;
SELECT review_token ~ '^[0-9a-f]{64}$' AND review_token <> :'token' AS hashed, comment IS NULL AS apart FROM billadj.override_decision WHERE request_id = :t1;
SELECT act.policy('instance', '{"op": "update", "key": {"instance_id": 1}, "row": {"require_review": false}}');

-- ---- what the library proposes ----

-- as a function of the library would, for a host statement whose login is no person
SELECT setval('billadj.proposal_id_seq', 1000);
SELECT billadj.add_proposal('kind-2', 'credit', act.charge('kind-2'), -0.0625, 'USD', 'correction', '2026-05-01', NULL),
       billadj.add_proposal('prop-2', 'debit', NULL, 15000.125, 'USD', 'correction', '2026-04-01', NULL),
       billadj.add_proposal('prop-3', 'credit', NULL, -1, 'GBP', 'correction', '2026-04-01', '{"why": "a test"}');
SELECT billadj.add_proposal('prop-3', 'credit', NULL, NULL, 'GBP', 'correction', '2026-04-01', NULL);
SELECT proposal_id, created_by, request_id FROM billadj.proposal ORDER BY 1;
SELECT act.as_('rita', 'SELECT billadj.submit_proposals()') AS no_operator, act.as_('olga', 'SELECT billadj.submit_proposals()') AS submitted, act.as_('olga', 'SELECT billadj.submit_proposals()') AS again;
SELECT p.proposal_id, r.kind, r.delta, r.cause, r.reason_code, r.state, r.requested_by, r.period_start, a.delta AS adjusted, a.cause
  FROM billadj.proposal p LEFT JOIN billadj.override_request r USING (request_id) LEFT JOIN billadj.adjustment a USING (request_id) ORDER BY 1;
SELECT act.as_('olga', format('UPDATE billadj.override_request SET delta = -1 WHERE request_id = %s', (SELECT request_id FROM billadj.proposal WHERE proposal_id = 1002))) AS not_revised,
       act.as_('olga', $$INSERT INTO billadj.override_request (account, kind, reason_code, target) VALUES ('prop-2', 'debit', 'x', '{"proposal_id": 1002}')$$) AS twice,
       act.as_('olga', 'INSERT INTO billadj.proposal (account, proposal_id, kind, delta, currency, cause, period_start) VALUES (''x'', 1, ''credit'', -1, ''USD'', ''x'', now())') AS not_yours;

-- ---- a statement by hand is the same path, and no other is open ----

SELECT act.credit('rita', 'hand', -15000) AS b1 \gset
SELECT act.as_('mona', format('INSERT INTO billadj.override_decision (request_id, decision, seen_hash) SELECT %s, ''approve'', content_hash FROM billadj.override_request WHERE request_id = %1$s RETURNING decision', :b1)) AS by_hand;
SELECT state FROM billadj.override_request WHERE request_id = :b1;
SELECT act.as_('mona', format('INSERT INTO billadj.override_decision (request_id, decision, seen_hash, decided_by) VALUES (%s, ''approve'', '''', ''regress_lena'')', :b1)) AS server_column,
       act.as_('rita', 'UPDATE billadj.override_request SET state = ''approved'' WHERE account = ''lent 2''') AS own_state,
       act.as_('rita', 'UPDATE billadj.override_request SET amount = 0 WHERE account = ''lent 2''') AS own_amount,
       act.as_('rita', 'DELETE FROM billadj.override_request') AS own_delete,
       act.as_('olga', 'INSERT INTO billadj.adjustment VALUES (''x'')') AS adjustment;
-- a superuser's plain statements too
DELETE FROM billadj.override_request;
UPDATE billadj.override_request SET state = 'approved' WHERE account = 'lent 2';
INSERT INTO billadj.override_request (account, kind, delta, currency, reason_code) VALUES ('x', 'credit', -1, 'USD', 'goodwill');
UPDATE billadj.override_decision SET decision = 'approve';
DELETE FROM billadj.override_decision;
INSERT INTO billadj.override_decision (request_id, decision, seen_hash) VALUES (1, 'approve', '');
INSERT INTO billadj.adjustment SELECT account, 1000000, request_id + 1000, charge_id, period_start, posted_period_start, delta, currency, cause, affects, applied_by, applied_at FROM billadj.adjustment LIMIT 1;
UPDATE billadj.adjustment SET delta = delta;
DELETE FROM billadj.adjustment;
UPDATE billadj.limit_usage SET used = 0;
DELETE FROM billadj.limit_entry;
UPDATE billadj.hold SET ended_at = NULL, outcome = NULL, request_id = NULL;
DELETE FROM billadj.outbox WHERE sent_at IS NULL;
DELETE FROM billadj.review_ticket;
INSERT INTO billadj.request_comment (request_id, body_ref) VALUES (1, 1);
INSERT INTO billadj.proposal (account, proposal_id, kind, delta, currency, cause, period_start) VALUES ('x', 1, 'credit', -1, 'USD', 'correction', now());
TRUNCATE billadj.override_request, billadj.override_decision;
TRUNCATE billadj.adjustment;
SET session_replication_role = replica;
UPDATE billadj.adjustment SET delta = 0;
RESET session_replication_role;
-- messages are marked when they are sent, and may go then
SELECT act.as_('olga', 'WITH u AS (UPDATE billadj.outbox SET sent_at = now() WHERE account = ''many-1'' RETURNING 1) SELECT count(*) FROM u') AS sent,
       act.as_('olga', 'WITH d AS (DELETE FROM billadj.outbox RETURNING account) SELECT string_agg(DISTINCT account, '' '') FROM d') AS deleted,
       act.as_('olga', 'UPDATE billadj.outbox SET payload = ''{}''') AS payload;

-- ---- triggers, rules and transactions of others ----

-- a trigger on another table decides for whoever writes there
SELECT act.credit('rita', 'trojan', -15000) AS j1 \gset
CREATE TABLE host.innocent (x integer);
GRANT USAGE ON SCHEMA host TO PUBLIC;
GRANT INSERT ON host.innocent TO PUBLIC;
CREATE FUNCTION host.trojan() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO billadj.override_decision (request_id, decision, seen_hash) SELECT request_id, 'approve', content_hash FROM billadj.override_request WHERE account = 'trojan';
    RETURN NEW;
END $$;
CREATE TRIGGER trojan BEFORE INSERT ON host.innocent FOR EACH ROW EXECUTE FUNCTION host.trojan();
SELECT act.as_('mona', 'INSERT INTO host.innocent VALUES (1)') AS trojan;
-- triggers of others on our tables: one comes after the guard, one suppresses the row
CREATE FUNCTION host.late() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.decided_by := 'regress_lena'; RETURN NEW; END $$;
CREATE TRIGGER zzz_late BEFORE INSERT ON billadj.override_decision FOR EACH ROW EXECUTE FUNCTION host.late();
SELECT act.approve('mona', :j1) AS forged_name;
DROP TRIGGER zzz_late ON billadj.override_decision;
CREATE OR REPLACE FUNCTION host.late() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.level := 9; RETURN NEW; END $$;
CREATE TRIGGER zzz_late BEFORE INSERT ON billadj.override_decision FOR EACH ROW EXECUTE FUNCTION host.late();
SELECT act.approve('mona', :j1) AS forged_level;
DROP TRIGGER zzz_late ON billadj.override_decision;
CREATE FUNCTION host.none() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE TRIGGER zzz_none BEFORE INSERT ON billadj.override_decision FOR EACH ROW EXECUTE FUNCTION host.none();
SELECT act.approve('mona', :j1) AS suppressed;
SET SESSION AUTHORIZATION regress_mona;
INSERT INTO billadj.override_decision (request_id, decision, seen_hash) SELECT request_id, 'approve', content_hash FROM billadj.override_request WHERE account = 'trojan';
RESET SESSION AUTHORIZATION;
DROP TRIGGER zzz_none ON billadj.override_decision;
CREATE FUNCTION host.more() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.delta := NEW.delta * 2; RETURN NEW; END $$;
CREATE TRIGGER a_more BEFORE INSERT ON billadj.adjustment FOR EACH ROW EXECUTE FUNCTION host.more();
SELECT act.approve('mona', :j1) AS doubled;
DROP TRIGGER a_more ON billadj.adjustment;
CREATE TRIGGER zzz_more BEFORE INSERT ON billadj.adjustment FOR EACH ROW EXECUTE FUNCTION host.more();
SELECT act.approve('mona', :j1) AS doubled_late;
DROP TRIGGER zzz_more ON billadj.adjustment;
CREATE TRIGGER a_more BEFORE UPDATE ON billadj.override_request FOR EACH ROW EXECUTE FUNCTION host.more();
SELECT act.approve('mona', :j1) AS decided, (SELECT delta FROM billadj.adjustment WHERE account = 'trojan') AS before_it;
SELECT a.delta, r.delta FROM billadj.adjustment a JOIN billadj.override_request r USING (request_id) WHERE r.account = 'trojan';
DROP TRIGGER a_more ON billadj.override_request;
-- one table of control that is not guarded stops every act, whatever the table
SELECT act.credit('rita', 'posture', -15000) AS q1 \gset
CREATE TABLE host.child (LIKE billadj.limit_entry INCLUDING ALL);
CREATE TABLE host.parent (person_key text COLLATE "C");
-- does the harm, lets somebody act, and takes all of it back
CREATE FUNCTION act.harmed(harm text, who text, query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answer text;
BEGIN
    BEGIN
        EXECUTE harm;
        answer := act.as_(who, query);
        RAISE 'taken back' USING ERRCODE = 'ZZ001';
    EXCEPTION WHEN SQLSTATE 'ZZ001' THEN
        RETURN coalesce(answer, 'done');
    END;
END $$;
CREATE TABLE act.decision AS
SELECT format('WITH d AS (INSERT INTO billadj.override_decision (request_id, decision, seen_hash) VALUES (%s, ''approve'', %L) RETURNING 1) SELECT count(*) FROM d', request_id, content_hash) AS query
  FROM billadj.override_request WHERE request_id = :q1;
SELECT act.harmed('SELECT', 'mona', query) AS unharmed FROM act.decision;
SELECT n, act.harmed(harm, 'mona', query) AS decision FROM act.decision, (VALUES
    (1, 'ALTER TABLE billadj.adjustment DISABLE TRIGGER zz_billadj_guard'),
    (2, 'ALTER TABLE billadj.adjustment DISABLE TRIGGER zz_billadj_check'),
    (3, 'ALTER TABLE billadj.limit_usage ENABLE TRIGGER zz_billadj_guard'),
    (4, 'ALTER TABLE billadj.authority ENABLE REPLICA TRIGGER billadj_policy'),
    (5, 'ALTER TABLE billadj.delegation DISABLE TRIGGER USER'),
    (6, 'ALTER TABLE billadj.audit_entry DISABLE TRIGGER billadj_sealed_row'),
    (7, 'DROP TRIGGER billadj_sealed ON billadj.audit_chain'),
    (8, 'DROP TRIGGER zz_billadj_truncate ON billadj.hold; CREATE TRIGGER zz_billadj_truncate BEFORE TRUNCATE ON billadj.hold EXECUTE FUNCTION billadj.append_only_trigger(); ALTER TABLE billadj.hold ENABLE ALWAYS TRIGGER zz_billadj_truncate'),
    (9, 'ALTER TABLE billadj.certification DISABLE ROW LEVEL SECURITY'),
    (10, 'ALTER TABLE billadj.private_text NO FORCE ROW LEVEL SECURITY'),
    (11, 'ALTER TABLE billadj.conflict OWNER TO regress_olga'),
    (12, 'CREATE RULE r AS ON INSERT TO billadj.outbox DO INSTEAD NOTHING'),
    (13, 'ALTER TABLE host.child INHERIT billadj.limit_entry'),
    (14, 'CREATE TEMP TABLE planted () INHERITS (billadj.adjustment)'),
    (15, 'ALTER TABLE billadj.principal INHERIT host.parent'),
    (16, 'ALTER TABLE billadj.policy_mode SET UNLOGGED')) AS v(n, harm)
 ORDER BY n;
-- asking, withdrawing, proposing policy as well
SELECT n, act.harmed('ALTER TABLE billadj.audit_block DISABLE TRIGGER billadj_sealed', who, query) AS act FROM (VALUES
    (1, 'rita', $$SELECT billadj.submit_override('credit', 'posture 2', 'goodwill', delta => -5, currency => 'USD')$$),
    (2, 'rita', format('SELECT billadj.withdraw_override(%s)', :q1)),
    (3, 'mona', format('SELECT sqlstate FROM billadj.try_decide_override(%s, ''approve'', (SELECT content_hash FROM billadj.override_request WHERE request_id = %1$s))', :q1)),
    (4, 'paul', $$SELECT billadj.propose_policy('reason_code', '{"op": "insert", "row": {"code": "because"}}') IS NOT NULL$$)) AS v(n, who, query)
 ORDER BY n;
-- and, at COMMIT, what became of the guards after the decision
\set VERBOSITY terse
BEGIN;
SELECT act.as_('mona', query) AS decided FROM act.decision;
ALTER TABLE billadj.reason_code NO FORCE ROW LEVEL SECURITY;
COMMIT;
\set VERBOSITY default
-- what is not of control stops nothing; once it is mended they go on
SELECT act.harmed('ALTER TABLE billadj.price DISABLE TRIGGER USER', 'mona', query) AS elsewhere FROM act.decision;
BEGIN;
ALTER TABLE billadj.adjustment DISABLE TRIGGER zz_billadj_guard;
SELECT act.as_('mona', query) AS unguarded FROM act.decision;
SELECT count(*) AS mended FROM billadj.guard();
SELECT act.as_('mona', query) AS decided FROM act.decision;
ROLLBACK;
-- a restore takes rows as they are
BEGIN;
SET LOCAL row_security = off;
ALTER TABLE billadj.adjustment DISABLE TRIGGER zz_billadj_guard;
UPDATE billadj.override_request SET decide_until = decide_until WHERE request_id = :q1;
ROLLBACK;
-- a savepoint takes a decision back, and what it reserved
SELECT act.credit('rita', 'saved', -21000) AS p1 \gset
SET SESSION AUTHORIZATION regress_mona;
BEGIN;
SAVEPOINT s;
SELECT billadj.approve_override(:p1, content_hash) FROM billadj.override_request WHERE request_id = :p1;
ROLLBACK TO s;
SELECT billadj.approve_override(:p1, content_hash) FROM billadj.override_request WHERE request_id = :p1;
COMMIT;
RESET SESSION AUTHORIZATION;
SELECT decisions, state FROM billadj.override_request WHERE request_id = :p1;
-- no decision waits in a prepared transaction
SET SESSION AUTHORIZATION regress_lena;
BEGIN;
SELECT billadj.approve_override(:p1, content_hash) FROM billadj.override_request WHERE request_id = :p1;
PREPARE TRANSACTION 'override';
RESET SESSION AUTHORIZATION;
SELECT decisions, state FROM billadj.override_request WHERE request_id = :p1;
-- committed after its deadline
SET row_security = off;
UPDATE billadj.override_request SET decide_until = clock_timestamp() + interval '100 ms' WHERE request_id = :p1;
RESET row_security;
SET SESSION AUTHORIZATION regress_lena;
BEGIN;
SELECT billadj.approve_override(:p1, content_hash) FROM billadj.override_request WHERE request_id = :p1;
SELECT pg_sleep(0.15);
\set VERBOSITY terse
COMMIT;
\set VERBOSITY default
RESET SESSION AUTHORIZATION;
SELECT act.as_('olga', 'SELECT billadj.expire_overrides()') AS closed;
SELECT decisions, state FROM billadj.override_request WHERE request_id = :p1;
SELECT act.approve('lena', :p1);

-- ---- what always holds ----

-- no adjustment without decisions that satisfy its rule
SELECT r.request_id, r.account FROM billadj.adjustment a JOIN billadj.override_request r USING (request_id)
 WHERE r.state <> 'applied'
    OR EXISTS (SELECT FROM jsonb_to_recordset(r.rules) AS x(lower numeric, upper numeric, step integer, level integer, quorum integer)
                WHERE r.effective_amount > x.lower AND (x.upper IS NULL OR r.effective_amount <= x.upper)
                  AND x.quorum > (SELECT count(DISTINCT d.person_key) FROM billadj.override_decision d
                                   WHERE d.request_id = r.request_id AND d.revision = r.revision AND d.decision = 'approve' AND d.level >= x.level));
SELECT r.request_id FROM billadj.override_request r LEFT JOIN billadj.adjustment a USING (request_id) WHERE (r.state = 'applied') <> (a.request_id IS NOT NULL);
-- nobody decided on his own, or twice
SELECT d.decision_id FROM billadj.override_decision d JOIN billadj.override_request r USING (request_id)
  JOIN billadj.principal p ON p.principal_id IN (r.requester_id, r.editor_id) WHERE p.person_key = d.person_key;
-- counters are the sums of their entries
SELECT u.authority_id, u.reserved, u.used, e.* FROM billadj.limit_usage u
 CROSS JOIN LATERAL (SELECT coalesce(sum(amount) FILTER (WHERE state = 'reserved'), 0) AS r, coalesce(sum(amount) FILTER (WHERE state = 'used'), 0) AS u
                       FROM billadj.limit_entry e WHERE e.authority_id = u.authority_id AND e.period_start = u.period_start) e
 WHERE (u.reserved, u.used) <> (e.r, e.u);
SELECT e.request_id, e.state, r.state FROM billadj.limit_entry e JOIN billadj.override_request r USING (request_id)
 WHERE e.state <> CASE WHEN r.state = 'applied' THEN 'used' WHEN r.state IN ('open', 'approved') THEN 'reserved' ELSE 'released' END
   AND NOT (e.state = 'released' AND EXISTS (SELECT FROM billadj.override_decision d WHERE d.decision_id = e.decision_id AND d.revision < r.revision));
-- every effect and decision is in the log
SELECT a.adjustment_id FROM billadj.adjustment a WHERE NOT EXISTS (SELECT FROM billadj.audit_entry e WHERE e.object = 'adjustment/' || a.adjustment_id);
SELECT d.decision_id FROM billadj.override_decision d WHERE NOT EXISTS (SELECT FROM billadj.audit_entry e WHERE e.object = 'override_decision/' || d.decision_id);
SELECT event, count(*) > 0 AS some FROM billadj.audit_entry WHERE object LIKE 'override_request/%' GROUP BY 1 ORDER BY 1;
SELECT count(*) > 3 AS texts, count(r.comment) AS in_requests, (SELECT count(d.comment) FROM billadj.override_decision d) AS in_decisions
  FROM billadj.override_request r, billadj.private_text;
SELECT account, count(*) FROM billadj.private_text t, billadj.audit_entry e WHERE e.payload LIKE '%' || t.body || '%' GROUP BY 1;

SELECT count(*) >= 0 AS uninstalled FROM billadj.uninstall(keep_data => false);
DROP SCHEMA host CASCADE;
DROP SCHEMA act CASCADE;
DROP ROLE regress_rita, regress_ritas_other, regress_mona, regress_mike, regress_lena, regress_dora, regress_olga, regress_paul, regress_pia, regress_nobody;
-- as it was found
SELECT count(*) > 0 AS installed FROM billadj.install();
