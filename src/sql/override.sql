
-- ---- overrides: requests, decisions, effects ----
-- Functions that ask or decide run as their caller and do what he could do by
-- hand: an INSERT or UPDATE, which the guards of the tables answer.

CREATE FUNCTION billadj.override_request_trigger() RETURNS trigger
AS 'MODULE_PATHNAME', 'billadj_override_request_trigger' LANGUAGE C;
COMMENT ON FUNCTION billadj.override_request_trigger() IS 'trigger: checks and completes override requests; nothing else writes them';
CREATE FUNCTION billadj.override_decision_trigger() RETURNS trigger
AS 'MODULE_PATHNAME', 'billadj_override_decision_trigger' LANGUAGE C;
COMMENT ON FUNCTION billadj.override_decision_trigger() IS 'trigger: checks decisions, and applies a request with the last one it needs';
CREATE FUNCTION billadj.override_effect_trigger() RETURNS trigger
AS 'MODULE_PATHNAME', 'billadj_override_effect_trigger' LANGUAGE C;
COMMENT ON FUNCTION billadj.override_effect_trigger() IS 'trigger: refuses what the library does not write itself';
CREATE FUNCTION billadj.override_truncate_trigger() RETURNS trigger
AS 'MODULE_PATHNAME', 'billadj_override_truncate_trigger' LANGUAGE C;
COMMENT ON FUNCTION billadj.override_truncate_trigger() IS 'trigger: refuses TRUNCATE, except while a dump is restored';
REVOKE ALL ON FUNCTION billadj.override_request_trigger(), billadj.override_decision_trigger(), billadj.override_effect_trigger(),
    billadj.override_truncate_trigger() FROM PUBLIC;

-- ---- asking ----

CREATE FUNCTION billadj.submit_override(kind text, account text, reason_code text, charge_id bigint DEFAULT NULL, delta numeric DEFAULT NULL,
    new_amount numeric DEFAULT NULL, currency text DEFAULT NULL, comment text DEFAULT NULL, evidence bytea DEFAULT NULL, target jsonb DEFAULT NULL)
RETURNS bigint
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $function$
#variable_conflict use_column
DECLARE
    made bigint;
BEGIN
    INSERT INTO billadj.override_request AS r (kind, account, reason_code, charge_id, delta, new_amount, currency, comment, evidence, target)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
    RETURNING r.request_id INTO made;
    RETURN made;
EXCEPTION WHEN unique_violation THEN
    -- Two at once: neither saw the other when it was checked.
    RAISE EXCEPTION 'another override request for the same target is open or approved'
        USING ERRCODE = 'UB310', DETAIL = 'One request at a time: it was submitted a moment ago.';
END
$function$;
COMMENT ON FUNCTION billadj.submit_override(text, text, text, bigint, numeric, numeric, text, text, bytea, jsonb)
    IS 'asks for a change of a bill; returns the number of the request, which is applied at once where its amount needs nobody';

-- NULL leaves what it was.
CREATE FUNCTION billadj.revise_override(request_id bigint, delta numeric DEFAULT NULL, new_amount numeric DEFAULT NULL,
    reason_code text DEFAULT NULL, comment text DEFAULT NULL, evidence bytea DEFAULT NULL)
RETURNS integer
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $function$
#variable_conflict use_column
DECLARE
    made integer;
BEGIN
    UPDATE billadj.override_request AS r
       SET delta = coalesce($2, r.delta), new_amount = coalesce($3, r.new_amount), reason_code = coalesce($4, r.reason_code),
           comment = $5, evidence = coalesce($6, r.evidence)
     WHERE r.request_id = $1
    RETURNING r.revision INTO made;
    IF NOT FOUND THEN
        PERFORM billadj.refuse_override($1);
    END IF;
    RETURN made;
END
$function$;
COMMENT ON FUNCTION billadj.revise_override(bigint, numeric, numeric, text, text, bytea)
    IS 'changes an open request of one''s own, or brings a stale one up to date; its decisions start anew; returns the revision';

CREATE FUNCTION billadj.withdraw_override(request_id bigint) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    UPDATE billadj.override_request AS r SET state = 'withdrawn' WHERE r.request_id = $1;
    IF NOT FOUND THEN
        PERFORM billadj.refuse_override($1);
    END IF;
END
$function$;
COMMENT ON FUNCTION billadj.withdraw_override(bigint) IS 'takes back an open request of one''s own';

-- The same for an unknown request and one of somebody else.
CREATE FUNCTION billadj.refuse_override(request_id bigint) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    RAISE EXCEPTION 'permission denied for override request %', $1
        USING ERRCODE = 'insufficient_privilege',
              DETAIL = 'It does not exist, or it is not yours.',
              HINT = 'SELECT request_id, state FROM billadj.override_request WHERE requested_by = session_user;';
END
$function$;
COMMENT ON FUNCTION billadj.refuse_override(bigint) IS 'error 42501 for a request that does not exist or is somebody else''s';

CREATE FUNCTION billadj.reverse_override(request_id bigint, reason_code text, comment text DEFAULT NULL, evidence bytea DEFAULT NULL)
RETURNS bigint
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $function$
#variable_conflict use_column
DECLARE
    made bigint;
BEGIN
    INSERT INTO billadj.override_request AS r (kind, account, reason_code, comment, evidence, reverses)
    SELECT o.kind, o.account, $2, $3, $4, o.request_id FROM billadj.override_request o WHERE o.request_id = $1
    RETURNING r.request_id INTO made;
    IF NOT FOUND THEN
        PERFORM billadj.refuse_override($1);
    END IF;
    RETURN made;
END
$function$;
COMMENT ON FUNCTION billadj.reverse_override(bigint, text, text, bytea)
    IS 'asks for the opposite of an applied request: of the same kind, decided by the rules of that kind; returns the new request';

CREATE FUNCTION billadj.submit_proposals(max integer DEFAULT NULL) RETURNS integer
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    waiting record;
    made    integer := 0;
    advice  text;
BEGIN
    FOR waiting IN SELECT p.account, p.proposal_id, p.kind, p.cause FROM billadj.proposal p WHERE p.request_id IS NULL ORDER BY p.proposal_id LIMIT $1
    LOOP
        -- One that is refused leaves the others their way.
        BEGIN
            INSERT INTO billadj.override_request (kind, account, reason_code, target)
            VALUES (waiting.kind, waiting.account, waiting.cause, jsonb_build_object('proposal_id', waiting.proposal_id));
            made := made + 1;
        EXCEPTION WHEN SQLSTATE 'UB310' OR SQLSTATE 'UB315' OR SQLSTATE 'UB317' OR unique_violation THEN
            GET STACKED DIAGNOSTICS advice = PG_EXCEPTION_HINT;
            RAISE WARNING 'proposal % of account % waits: %', waiting.proposal_id, waiting.account, SQLERRM
                USING ERRCODE = SQLSTATE, HINT = coalesce(nullif(advice, ''), 'Mend it, and run SELECT billadj.submit_proposals() again.');
        END;
    END LOOP;
    RETURN made;
END
$function$;
COMMENT ON FUNCTION billadj.submit_proposals(integer)
    IS 'makes requests of what the library proposes, in the caller''s name; returns how many; a refused one stays, with a WARNING';

-- ---- deciding ----

CREATE FUNCTION billadj.decide_override(request_id bigint, decision text, seen bytea, token text DEFAULT NULL, comment text DEFAULT NULL,
    delegation_id bigint DEFAULT NULL)
RETURNS text
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $function$
#variable_conflict use_column
DECLARE
    now_is text;
BEGIN
    INSERT INTO billadj.override_decision (request_id, decision, seen_hash, review_token, comment, delegation_id)
    VALUES ($1, $2, $3, $4, $5, $6);
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the decision was not stored'
            USING ERRCODE = 'UB324', HINT = 'SELECT * FROM billadj.self_check(); -- names triggers and rules that are not billadj''s';
    END IF;
    SELECT r.state INTO now_is FROM billadj.override_request r WHERE r.request_id = $1;
    RETURN now_is;
END
$function$;
COMMENT ON FUNCTION billadj.decide_override(bigint, text, bytea, text, text, bigint)
    IS 'approves or rejects a request as it was seen: seen is its content_hash; returns its state then; the same as an INSERT INTO billadj.override_decision';

CREATE FUNCTION billadj.approve_override(request_id bigint, seen bytea, token text DEFAULT NULL, comment text DEFAULT NULL,
    delegation_id bigint DEFAULT NULL)
RETURNS text
LANGUAGE sql
SET search_path = pg_catalog, pg_temp
AS $function$
SELECT billadj.decide_override($1, 'approve', $2, $3, $4, $5)
$function$;
COMMENT ON FUNCTION billadj.approve_override(bigint, bytea, text, text, bigint) IS 'decide_override() with decision approve';

CREATE FUNCTION billadj.reject_override(request_id bigint, seen bytea, comment text, token text DEFAULT NULL,
    delegation_id bigint DEFAULT NULL)
RETURNS text
LANGUAGE sql
SET search_path = pg_catalog, pg_temp
AS $function$
SELECT billadj.decide_override($1, 'reject', $2, $4, $3, $5)
$function$;
COMMENT ON FUNCTION billadj.reject_override(bigint, bytea, text, text, bigint) IS 'decide_override() with decision reject; one rejection closes a request';

CREATE FUNCTION billadj.record_denial(request_id bigint, decision text, sqlstate text) RETURNS void
AS 'MODULE_PATHNAME', 'billadj_record_denial' LANGUAGE C STRICT;
COMMENT ON FUNCTION billadj.record_denial(bigint, text, text)
    IS 'part of try_decide_override(): an audit entry that the caller was refused; closes a request that has expired or gone stale';

CREATE FUNCTION billadj.try_decide_override(request_id bigint, decision text, seen bytea, token text DEFAULT NULL, comment text DEFAULT NULL,
    delegation_id bigint DEFAULT NULL, OUT ok boolean, OUT sqlstate text, OUT message text)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    code   text;
    words  text;
    hint   text;
BEGIN
    BEGIN
        PERFORM billadj.decide_override($1, $2, $3, $4, $5, $6);
        try_decide_override.ok := true;
    EXCEPTION WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, words = MESSAGE_TEXT, hint = PG_EXCEPTION_HINT;
        -- A conflict of transactions is no refusal: it wants another try.
        IF code NOT LIKE 'UB3%' AND code <> '42501' THEN
            RAISE;
        END IF;
        try_decide_override.ok := false;
        try_decide_override.sqlstate := code;
        try_decide_override.message := words || CASE WHEN hint <> '' THEN E'\n' || hint ELSE '' END;
    END;
    IF NOT ok AND code <> '42501' THEN
        PERFORM billadj.record_denial($1, $2, code);
    END IF;
END
$function$;
COMMENT ON FUNCTION billadj.try_decide_override(bigint, text, bytea, text, text, bigint)
    IS 'decide_override() that answers a refusal instead of raising it, and keeps it in the audit log';

CREATE FUNCTION billadj.decide_overrides(request_ids bigint[], decision text, seen bytea, comment text DEFAULT NULL,
    delegation_id bigint DEFAULT NULL, tokens text[] DEFAULT NULL)
RETURNS TABLE (request_id bigint, state text)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $function$
#variable_conflict use_column
DECLARE
    found record;
    whole bytea;
BEGIN
    SELECT sha256(string_agg(r.content_hash, ''::bytea ORDER BY r.request_id)) INTO whole
      FROM billadj.override_request r WHERE r.request_id = ANY ($1);
    IF $3 IS DISTINCT FROM whole THEN
        RAISE EXCEPTION 'these override requests are not what you saw'
            USING ERRCODE = 'UB311',
                  DETAIL = 'seen is not the SHA-256 of their content hashes by ascending number: one was revised, or is not among them.',
                  HINT = 'SELECT sha256(string_agg(content_hash, '''' ORDER BY request_id)) FROM billadj.override_request WHERE request_id = ANY (…);';
    END IF;
    FOR found IN SELECT r.request_id, r.content_hash, ($6)[array_position($1, r.request_id)] AS token
                   FROM billadj.override_request r WHERE r.request_id = ANY ($1) ORDER BY r.request_id
    LOOP
        request_id := found.request_id;
        state := billadj.decide_override(found.request_id, $2, found.content_hash, found.token, $4, $5);
        RETURN NEXT;
    END LOOP;
END
$function$;
COMMENT ON FUNCTION billadj.decide_overrides(bigint[], text, bytea, text, bigint, text[])
    IS 'decides on all of these requests or on none; seen is the SHA-256 over their content hashes by ascending number';

-- ---- reading ----

CREATE FUNCTION billadj.decision_steps(request_id bigint)
RETURNS TABLE (step integer, level integer, quorum integer, have integer)
AS 'MODULE_PATHNAME', 'billadj_decision_steps' LANGUAGE C STRICT;
COMMENT ON FUNCTION billadj.decision_steps(bigint) IS 'the steps that a request needs now, with the approvals that hold; step 0: it needs nobody';

CREATE FUNCTION billadj.decision_blockers(request_id bigint, delegation_id bigint DEFAULT NULL) RETURNS text[]
AS 'MODULE_PATHNAME', 'billadj_decision_blockers' LANGUAGE C;
COMMENT ON FUNCTION billadj.decision_blockers(bigint, bigint)
    IS 'why the caller could not approve a request now, each reason with its SQLSTATE; none: he could';

CREATE FUNCTION billadj.explain_decision(request_id bigint)
RETURNS TABLE (step integer, quorum integer, have integer, missing integer, my_blockers text[], level integer, state text,
               effective_amount numeric, decide_until timestamptz)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $function$
#variable_conflict use_column
DECLARE
    mine text[] := billadj.decision_blockers($1);
BEGIN
    RETURN QUERY
    SELECT s.step, s.quorum, s.have, greatest(s.quorum - s.have, 0), mine, s.level, r.state, r.effective_amount, r.decide_until
      FROM billadj.decision_steps($1) s JOIN billadj.override_request r ON r.request_id = $1
     ORDER BY s.step;
END
$function$;
COMMENT ON FUNCTION billadj.explain_decision(bigint)
    IS 'the steps of a request: how many approvals each needs and has, and what keeps the caller from giving one';

CREATE FUNCTION billadj.inbox()
RETURNS TABLE (request_id bigint, account text, kind text, delta numeric, currency text, effective_amount numeric, reason_code text,
               requested_by text, requested_at timestamptz, decide_until timestamptz, age interval, seen bytea, delegation_id bigint)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $function$
#variable_conflict use_column
DECLARE
    me bigint := billadj.actor();
BEGIN
    RETURN QUERY
    SELECT r.request_id, r.account, r.kind, r.delta, r.currency, r.effective_amount, r.reason_code,
           r.requested_by, r.requested_at, r.decide_until, clock_timestamp() - r.requested_at, r.content_hash, w.delegation_id
      FROM billadj.override_request r
     CROSS JOIN LATERAL (SELECT d.delegation_id
                           FROM (SELECT NULL::bigint AS delegation_id
                                 UNION ALL
                                 SELECT g.delegation_id FROM billadj.delegation g WHERE g.to_principal = me AND g.valid @> clock_timestamp()) d
                          WHERE billadj.decision_blockers(r.request_id, d.delegation_id) = '{}'
                          ORDER BY d.delegation_id NULLS FIRST LIMIT 1) w
     WHERE r.state = 'open'
     ORDER BY r.decide_until, r.request_id;
END
$function$;
COMMENT ON FUNCTION billadj.inbox()
    IS 'open requests that the caller could approve now, the most urgent first; seen is what a decision has to name';

CREATE FUNCTION billadj.issue_review_token(request_id bigint) RETURNS text
AS 'MODULE_PATHNAME', 'billadj_issue_review_token' LANGUAGE C STRICT;
COMMENT ON FUNCTION billadj.issue_review_token(bigint) IS 'part of review_override(): a token for one decision by the caller, in a later transaction';

CREATE FUNCTION billadj.override_comments(request_id bigint)
RETURNS TABLE (comment_id bigint, created_at timestamptz, created_by text, comment text)
AS 'MODULE_PATHNAME', 'billadj_override_comments' LANGUAGE C STRICT;
COMMENT ON FUNCTION billadj.override_comments(bigint) IS 'what was said about a request that the caller may see; NULL: the text was erased';

CREATE FUNCTION billadj.comment_override(request_id bigint, comment text) RETURNS bigint
AS 'MODULE_PATHNAME', 'billadj_comment_override' LANGUAGE C STRICT;
COMMENT ON FUNCTION billadj.comment_override(bigint, text) IS 'says something about a request that the caller may see; changes nothing of it; returns the number of the comment';

CREATE FUNCTION billadj.review_override(request_id bigint, OUT token text, OUT content jsonb)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $function$
#variable_conflict use_column
BEGIN
    token := billadj.issue_review_token($1);
    SELECT jsonb_build_object(
               'request_id', r.request_id, 'revision', r.revision, 'state', r.state,
               'account', r.account, 'kind', r.kind, 'reason_code', r.reason_code,
               'comment', (SELECT t.body FROM billadj.private_text t WHERE t.text_id = r.comment_id),
               'comments', (SELECT coalesce(jsonb_agg(to_jsonb(c) ORDER BY c.comment_id), '[]') FROM billadj.override_comments(r.request_id) c),
               'evidence', encode(r.evidence, 'hex'),
               'requested_by', r.requested_by, 'requested_at', r.requested_at, 'decide_until', r.decide_until,
               'charge_id', r.charge_id, 'period_start', r.period_start, 'target', r.target, 'reverses', r.reverses,
               'currency', r.currency, 'delta', r.delta, 'before', r.billed_amount,
               'after', CASE WHEN r.affects = 'billed' THEN r.billed_amount + r.delta ELSE r.billed_amount END,
               'amount', r.amount, 'effective_amount', r.effective_amount, 'apply', r.apply,
               'steps', (SELECT coalesce(jsonb_agg(to_jsonb(s) ORDER BY s.step), '[]') FROM billadj.decision_steps(r.request_id) s),
               'rules', r.rules,
               'decisions', (SELECT coalesce(jsonb_agg(jsonb_build_object('decision', d.decision, 'decided_by', d.decided_by, 'decided_at', d.decided_at,
                                                                          'revision', d.revision, 'step', d.step) ORDER BY d.decision_id), '[]')
                               FROM billadj.override_decision d WHERE d.request_id = r.request_id),
               'charge_hash', encode(r.charge_hash, 'hex'),
               'hash', encode(r.content_hash, 'hex'))
      INTO content
      FROM billadj.override_request r
     WHERE r.request_id = $1;
END
$function$;
COMMENT ON FUNCTION billadj.review_override(bigint)
    IS 'all that an approver has to know of a request, with the hash that his decision names, and a token where the instance asks for one';

-- ---- effects and deadlines ----

CREATE FUNCTION billadj.apply_override(request_id bigint) RETURNS bigint
AS 'MODULE_PATHNAME', 'billadj_apply_override' LANGUAGE C STRICT;
COMMENT ON FUNCTION billadj.apply_override(bigint)
    IS 'applies an approved request whose rule says later, after another look at all it rests on; returns the number of the adjustment';

CREATE FUNCTION billadj.expire_overrides(max integer DEFAULT 1000) RETURNS integer
AS 'MODULE_PATHNAME', 'billadj_expire_overrides' LANGUAGE C STRICT;
COMMENT ON FUNCTION billadj.expire_overrides(integer)
    IS 'closes requests whose deadline has passed, and those whose charge has changed as stale; releases their limits; returns how many';

CREATE FUNCTION billadj.escalate_overrides("within" interval DEFAULT '1 day', max integer DEFAULT 1000) RETURNS integer
AS 'MODULE_PATHNAME', 'billadj_escalate_overrides' LANGUAGE C STRICT;
COMMENT ON FUNCTION billadj.escalate_overrides(interval, integer)
    IS 'puts a message into the outbox for each open request whose deadline comes within this time, once; returns how many';

CREATE FUNCTION billadj.hold_charge(account text, charge_id bigint, reason text) RETURNS bigint
AS 'MODULE_PATHNAME', 'billadj_hold_charge' LANGUAGE C STRICT;
COMMENT ON FUNCTION billadj.hold_charge(text, bigint, text)
    IS 'keeps a charge off the bill until an override of kind release or cancel ends that; returns the number of the hold';

-- What the library itself writes on behalf of people without any right here:
-- called by its own functions only.
CREATE FUNCTION billadj.send_message(account text, topic text, payload jsonb) RETURNS void
AS 'MODULE_PATHNAME', 'billadj_send_message' LANGUAGE C STRICT;
COMMENT ON FUNCTION billadj.send_message(text, text, jsonb) IS 'puts a message into the outbox; part of what changes subscriptions and detects anomalies';

CREATE FUNCTION billadj.add_proposal(account text, kind text, charge_id bigint, delta numeric, currency text, cause text,
                                     period_start timestamptz, target jsonb) RETURNS bigint
AS 'MODULE_PATHNAME', 'billadj_add_proposal' LANGUAGE C;
COMMENT ON FUNCTION billadj.add_proposal(text, text, bigint, numeric, text, text, timestamptz, jsonb)
    IS 'writes a proposal, of which submit_proposals() makes a request; part of what changes subscriptions and detects anomalies';

REVOKE ALL ON FUNCTION billadj.send_message(text, text, jsonb),
    billadj.add_proposal(text, text, bigint, numeric, text, text, timestamptz, jsonb) FROM PUBLIC;
REVOKE ALL ON FUNCTION billadj.submit_override(text, text, text, bigint, numeric, numeric, text, text, bytea, jsonb),
    billadj.revise_override(bigint, numeric, numeric, text, text, bytea), billadj.withdraw_override(bigint), billadj.refuse_override(bigint),
    billadj.reverse_override(bigint, text, text, bytea), billadj.submit_proposals(integer),
    billadj.decide_override(bigint, text, bytea, text, text, bigint), billadj.approve_override(bigint, bytea, text, text, bigint),
    billadj.reject_override(bigint, bytea, text, text, bigint), billadj.record_denial(bigint, text, text),
    billadj.try_decide_override(bigint, text, bytea, text, text, bigint), billadj.decide_overrides(bigint[], text, bytea, text, bigint, text[]),
    billadj.decision_steps(bigint), billadj.decision_blockers(bigint, bigint), billadj.explain_decision(bigint), billadj.inbox(),
    billadj.issue_review_token(bigint), billadj.override_comments(bigint), billadj.comment_override(bigint, text), billadj.review_override(bigint),
    billadj.apply_override(bigint), billadj.expire_overrides(integer), billadj.escalate_overrides(interval, integer),
    billadj.hold_charge(text, bigint, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.submit_override(text, text, text, bigint, numeric, numeric, text, text, bytea, jsonb),
    billadj.revise_override(bigint, numeric, numeric, text, text, bytea), billadj.withdraw_override(bigint), billadj.refuse_override(bigint),
    billadj.reverse_override(bigint, text, text, bytea)
   TO billadj_requester, billadj_operator;
GRANT EXECUTE ON FUNCTION billadj.submit_proposals(integer), billadj.apply_override(bigint), billadj.expire_overrides(integer),
    billadj.escalate_overrides(interval, integer)
   TO billadj_operator;
GRANT EXECUTE ON FUNCTION billadj.decide_override(bigint, text, bytea, text, text, bigint), billadj.approve_override(bigint, bytea, text, text, bigint),
    billadj.reject_override(bigint, bytea, text, text, bigint), billadj.record_denial(bigint, text, text),
    billadj.try_decide_override(bigint, text, bytea, text, text, bigint), billadj.decide_overrides(bigint[], text, bytea, text, bigint, text[]),
    billadj.issue_review_token(bigint), billadj.review_override(bigint)
   TO billadj_approver;
GRANT EXECUTE ON FUNCTION billadj.decision_steps(bigint), billadj.decision_blockers(bigint, bigint), billadj.explain_decision(bigint),
    billadj.inbox(), billadj.override_comments(bigint), billadj.comment_override(bigint, text)
   TO billadj_admin, billadj_operator, billadj_requester, billadj_approver, billadj_policy, billadj_auditor, billadj_reader;
GRANT EXECUTE ON FUNCTION billadj.hold_charge(text, bigint, text) TO billadj_operator, billadj_requester, billadj_approver;
