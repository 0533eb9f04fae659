
-- policy: people, authority, approval rules; changes of policy under dual control

-- ---- who acts ----
-- PARALLEL UNSAFE: they read by the latest snapshot, which no parallel plan can.

CREATE FUNCTION billadj.actor() RETURNS bigint
AS 'MODULE_PATHNAME', 'billadj_actor' LANGUAGE C STABLE;
COMMENT ON FUNCTION billadj.actor() IS 'principal_id of whoever acts in this session; NULL: no registered person';

CREATE FUNCTION billadj.actor_login() RETURNS text
AS 'MODULE_PATHNAME', 'billadj_actor_login' LANGUAGE C STABLE;
COMMENT ON FUNCTION billadj.actor_login() IS 'the login that acts: session_user, or the role that a registered pooler has set';

CREATE FUNCTION billadj.actor_role() RETURNS text
AS 'MODULE_PATHNAME', 'billadj_actor_role' LANGUAGE C STABLE;
COMMENT ON FUNCTION billadj.actor_role() IS 'the role in force, and behind a slash the authenticated login where it is another one';

CREATE FUNCTION billadj.whoami(OUT principal_id bigint, OUT person_key text, OUT login text, OUT role_name text, OUT roles text[])
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    PERFORM billadj.require_installed();
    login := billadj.actor_login();
    role_name := billadj.actor_role();
    principal_id := billadj.actor();
    SELECT p.person_key INTO person_key FROM billadj.principal p WHERE p.principal_id = whoami.principal_id;
    -- what the role in force may use, without the shortcut of a superuser
    WITH RECURSIVE held(oid) AS (
        SELECT r.oid FROM pg_roles r WHERE r.rolname = current_user
        UNION
        SELECT m.roleid FROM held h JOIN pg_roles r ON r.oid = h.oid AND r.rolinherit JOIN pg_auth_members m ON m.member = h.oid
    )
    SELECT coalesce(array_agg(r.rolname::text ORDER BY r.rolname), '{}') INTO roles
      FROM held h JOIN pg_roles r ON r.oid = h.oid WHERE r.rolname LIKE 'billadj\_%';
END
$function$;
COMMENT ON FUNCTION billadj.whoami() IS 'who billadj takes this session for: the person, the login, the role in force and its groups of billadj';
REVOKE ALL ON FUNCTION billadj.actor(), billadj.actor_login(), billadj.actor_role(), billadj.whoami() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.actor(), billadj.actor_login(), billadj.actor_role(), billadj.whoami()
   TO billadj_admin, billadj_operator, billadj_requester, billadj_approver, billadj_policy, billadj_auditor,
      billadj_privacy, billadj_reader;

-- ---- guards ----

CREATE FUNCTION billadj.policy_trigger() RETURNS trigger
AS 'MODULE_PATHNAME', 'billadj_policy_trigger' LANGUAGE C;
COMMENT ON FUNCTION billadj.policy_trigger() IS 'trigger: rows of policy are written under an approved change only, and by a superuser until two people can approve';

CREATE FUNCTION billadj.policy_mode_trigger() RETURNS trigger
AS 'MODULE_PATHNAME', 'billadj_policy_mode_trigger' LANGUAGE C;
COMMENT ON FUNCTION billadj.policy_mode_trigger() IS 'trigger: a catalogue table that policy_mode calls dual is written under an approved change only';

CREATE FUNCTION billadj.policy_change_trigger() RETURNS trigger
AS 'MODULE_PATHNAME', 'billadj_policy_change_trigger' LANGUAGE C;
COMMENT ON FUNCTION billadj.policy_change_trigger() IS 'trigger: checks a proposal, and puts it into effect when another person approves it';
REVOKE ALL ON FUNCTION billadj.policy_trigger(), billadj.policy_mode_trigger(), billadj.policy_change_trigger() FROM PUBLIC;

-- ---- what can be changed, and how ----

-- ending: the column that ends a row.  Columns that say who a row is about, or
-- what it is for, are missing from updated: that would be another row.
CREATE FUNCTION billadj.policy_targets()
RETURNS TABLE (target text, key text[], inserted text[], updated text[], ending text, always_dual boolean)
LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $function$
SELECT v.target, string_to_array(v.key, ' '), string_to_array(v.inserted, ' '), string_to_array(v.updated, ' '), v.ending, v.always_dual
  FROM (VALUES
    ('principal', 'principal_id', 'person_key role_name', 'active', 'active', true),
    ('pooler', 'role_name', 'role_name', 'active', 'active', true),
    ('certification', 'certification_id', 'principal_id certificate valid', 'valid', 'valid', true),
    ('authority', 'authority_id', 'principal_id kind currency level single_limit period_limit period valid certificate',
     'level single_limit period_limit valid certificate', 'valid', true),
    ('conflict', 'conflict_id', 'person_key account valid', 'valid', 'valid', true),
    ('approval_rule', 'rule_id', 'kind currency band step level quorum apply sum_window decide_within apply_within valid',
     'level quorum apply sum_window decide_within apply_within valid', 'valid', true),
    ('reason_code', 'code', 'code description needs_comment needs_evidence', 'description needs_comment needs_evidence active', 'active', true),
    ('delegation', 'delegation_id', 'from_principal to_principal authority_id single_limit valid', 'single_limit valid', 'valid', true),
    ('policy_mode', 'table_name', 'table_name mode', 'mode', NULL, true),
    ('instance', 'instance_id', 'instance_id time_zone currency close_after charges_from require_review',
     'time_zone currency close_after charges_from require_review', NULL, false),
    ('account', 'account', 'account time_zone currency peer_group anchor_day', 'time_zone currency peer_group anchor_day', NULL, false),
    ('meter', 'meter', 'meter unit description', 'unit description', NULL, false),
    ('rate_card', 'rate_card_id', 'code currency account priority', 'priority', NULL, false),
    ('price', 'price_id', 'rate_card_id meter valid terms linear', 'valid', 'valid', false),
    ('price_tier', 'price_id tier', 'price_id tier up_to unit_amount flat_amount rate', '', NULL, false))
    AS v(target, key, inserted, updated, ending, always_dual)
$function$;
COMMENT ON FUNCTION billadj.policy_targets() IS 'the tables that propose_policy() can change, their keys, and the columns that a row may name';
REVOKE ALL ON FUNCTION billadj.policy_targets() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.policy_targets() TO billadj_owner, billadj_admin, billadj_policy, billadj_auditor;

CREATE FUNCTION billadj.refuse_policy(problem text, hint text DEFAULT NULL, detail text DEFAULT NULL) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    RAISE EXCEPTION '%', problem
        USING ERRCODE = 'UB334', DETAIL = coalesce(detail, 'Nothing was changed.'),
              HINT = coalesce(hint, 'A change is {"op": "insert" | "update" | "end", "key": {…}, "row": {…}}, or {"ops": […]} of several.');
END
$function$;
COMMENT ON FUNCTION billadj.refuse_policy(text, text, text) IS 'error UB334: a change of policy that cannot be made';
REVOKE ALL ON FUNCTION billadj.refuse_policy(text, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.refuse_policy(text, text, text) TO billadj_owner;

-- Everything about the document that needs no row of a table.
CREATE FUNCTION billadj.check_policy_op(target text, op jsonb) RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    known record;
    strange text;
BEGIN
    SELECT * INTO known FROM billadj.policy_targets() t WHERE t.target = check_policy_op.target;
    IF NOT FOUND THEN
        PERFORM billadj.refuse_policy(format('"%s" is no table of policy', target),
                    format('Targets: %s.', (SELECT string_agg(t.target, ', ') FROM billadj.policy_targets() t)));
    ELSIF jsonb_typeof(op) <> 'object' THEN
        PERFORM billadj.refuse_policy(format('a change is an object, found %s', jsonb_typeof(op)));
    END IF;
    SELECT k INTO strange FROM jsonb_object_keys(op) AS k WHERE k NOT IN ('op', 'key', 'row') LIMIT 1;
    IF strange IS NOT NULL THEN
        PERFORM billadj.refuse_policy(format('key "%s" of a change is unknown', strange));
    ELSIF coalesce(op ->> 'op', '') NOT IN ('insert', 'update', 'end') THEN
        PERFORM billadj.refuse_policy(format('"op" must be insert, update or end, found %s', coalesce(op -> 'op', 'null')));
    ELSIF (op ->> 'op' = 'insert') = (op ? 'key') OR (op ->> 'op' = 'end') = (op ? 'row') THEN
        PERFORM billadj.refuse_policy(format('"%s" needs %s', op ->> 'op',
                    CASE op ->> 'op' WHEN 'insert' THEN '"row" and no "key"' WHEN 'end' THEN '"key" and no "row"' ELSE '"key" and "row"' END));
    ELSIF jsonb_typeof(op -> 'row') <> 'object' OR jsonb_typeof(op -> 'key') <> 'object' THEN
        PERFORM billadj.refuse_policy('"key" and "row" are objects: column and value');
    ELSIF op ->> 'op' = 'end' AND known.ending IS NULL THEN
        PERFORM billadj.refuse_policy(format('a row of %s cannot be ended', target));
    END IF;
    SELECT k INTO strange FROM jsonb_object_keys(op -> 'key') AS k WHERE k <> ALL (known.key) LIMIT 1;
    IF strange IS NOT NULL OR op ? 'key' AND NOT (op -> 'key') ?& known.key THEN
        PERFORM billadj.refuse_policy(format('a row of %s is named by %s, found %s', target, array_to_string(known.key, ', '), op -> 'key'));
    END IF;
    SELECT k INTO strange FROM jsonb_object_keys(op -> 'row') AS k
     WHERE k <> ALL (CASE op ->> 'op' WHEN 'insert' THEN known.inserted ELSE known.updated END) LIMIT 1;
    IF strange IS NOT NULL THEN
        PERFORM billadj.refuse_policy(format('column "%s" of %s cannot be set by %s', strange, target, op ->> 'op'),
                    format('Columns that can: %s.', coalesce(nullif(array_to_string(CASE op ->> 'op' WHEN 'insert' THEN known.inserted ELSE known.updated END, ', '), ''), 'none')));
    ELSIF op -> 'row' = '{}' THEN
        PERFORM billadj.refuse_policy('"row" is empty');
    END IF;
    SELECT r.key INTO strange
      FROM jsonb_each_text(op -> 'row') AS r
      JOIN pg_attribute a ON a.attrelid = to_regclass('billadj.' || target) AND a.attname = r.key AND a.atttypid = 'numeric'::regtype
     WHERE r.value ~* '^\s*[+-]?(nan|inf)' LIMIT 1;
    IF strange IS NOT NULL THEN
        PERFORM billadj.refuse_policy(format('column "%s" must be a finite number, found %s', strange, op -> 'row' -> strange),
                    'An authority without a limit of a period has "period_limit": null; a single limit is always a number.');
    END IF;
END
$function$;
COMMENT ON FUNCTION billadj.check_policy_op(text, jsonb) IS 'error UB334 unless the document of one change is well formed for its table';
REVOKE ALL ON FUNCTION billadj.check_policy_op(text, jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.check_policy_op(text, jsonb) TO billadj_owner;

-- One timestamp for all rows of a change: what is ended and what follows it meet
-- without a gap.  A row that has not begun is left with its first microsecond.
CREATE FUNCTION billadj.write_policy_op(target text, op jsonb, at timestamptz) RETURNS jsonb
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    known   record;
    body    jsonb := op -> 'row';
    columns text;
    written jsonb;
    count   bigint;
BEGIN
    SELECT * INTO STRICT known FROM billadj.policy_targets() t WHERE t.target = write_policy_op.target;
    IF op ->> 'op' = 'insert' THEN
        IF known.ending = 'valid' AND NOT body ? 'valid' AND target <> 'delegation' THEN
            body := body || jsonb_build_object('valid', tstzrange(at, NULL));
        END IF;
        SELECT string_agg(format('%I', k), ', ') INTO columns FROM jsonb_object_keys(body) AS k;
        EXECUTE format('INSERT INTO billadj.%I AS t (%s) SELECT %s FROM jsonb_populate_record(NULL::billadj.%1$I, $1) RETURNING to_jsonb(t)',
                       target, columns, columns)
           INTO written USING body;
        RETURN written;
    END IF;
    IF op ->> 'op' = 'end' THEN
        body := CASE known.ending WHEN 'active' THEN '{"active": false}'::jsonb ELSE '{"valid": null}' END;
        columns := CASE known.ending WHEN 'active' THEN 'active = false'
                        ELSE 'valid = tstzrange(lower(t.valid), greatest($3, lower(t.valid) + interval ''1 microsecond''))' END;
    ELSE
        SELECT string_agg(format('%I = (jsonb_populate_record(NULL::billadj.%I, $1)).%1$I', k, target), ', ') INTO columns FROM jsonb_object_keys(body) AS k;
    END IF;
    EXECUTE format('UPDATE billadj.%I AS t SET %s WHERE %s%s RETURNING to_jsonb(t)', target, columns,
                   (SELECT string_agg(format('t.%I = (jsonb_populate_record(NULL::billadj.%I, $2)).%1$I', k, target), ' AND ') FROM unnest(known.key) AS k),
                   CASE WHEN op ->> 'op' <> 'end' THEN '' WHEN known.ending = 'active' THEN ' AND t.active'
                        ELSE ' AND (upper_inf(t.valid) OR upper(t.valid) > $3)' END)
       INTO written USING body, op -> 'key', at;
    GET DIAGNOSTICS count = ROW_COUNT;
    IF count <> 1 THEN
        PERFORM billadj.refuse_policy(format('%s has no row with %s%s', target, op -> 'key', CASE op ->> 'op' WHEN 'end' THEN ' that is in force' ELSE '' END));
    END IF;
    RETURN written;
EXCEPTION
    WHEN integrity_constraint_violation OR data_exception OR undefined_object THEN
        DECLARE
            problem text;
            named   text;
        BEGIN
            GET STACKED DIAGNOSTICS problem = MESSAGE_TEXT, named = CONSTRAINT_NAME;
            RAISE EXCEPTION 'the change of % is refused: %', target, problem
                USING ERRCODE = 'UB334', DETAIL = format('%s', op), CONSTRAINT = named,
                      HINT = 'Mend the document and propose it again; nothing was changed.';
        END;
END
$function$;
COMMENT ON FUNCTION billadj.write_policy_op(text, jsonb, timestamptz) IS 'writes one row of a change that is being approved; returns it';
REVOKE ALL ON FUNCTION billadj.write_policy_op(text, jsonb, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.write_policy_op(text, jsonb, timestamptz) TO billadj_owner;

-- Called by the guard of policy_change, as billadj_owner; anywhere else the guards
-- of the tables refuse what it writes.
CREATE FUNCTION billadj.write_policy(target text, body jsonb, at timestamptz) RETURNS text[]
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    op      jsonb;
    written jsonb;
    persons text[] := '{}';
BEGIN
    IF jsonb_typeof(body) <> 'object' OR body ? 'ops' AND (jsonb_typeof(body -> 'ops') <> 'array' OR body - 'ops' <> '{}' OR body -> 'ops' = '[]') THEN
        PERFORM billadj.refuse_policy('the body is one change, or a list of them under "ops" and nothing beside it');
    END IF;
    FOR op IN SELECT o FROM jsonb_array_elements(CASE WHEN body ? 'ops' THEN body -> 'ops' ELSE jsonb_build_array(body) END) AS o LOOP
        PERFORM billadj.check_policy_op(target, op);
        written := billadj.write_policy_op(target, op, at);
        persons := persons || (SELECT array_agg(p.person_key) FROM billadj.principal p
                                WHERE p.principal_id IN ((written ->> 'principal_id')::bigint, (written ->> 'from_principal')::bigint,
                                                         (written ->> 'to_principal')::bigint)
                                   OR p.person_key = written ->> 'person_key');
        persons := persons || (written ->> 'person_key');
    END LOOP;
    RETURN array_remove(persons, NULL);
END
$function$;
COMMENT ON FUNCTION billadj.write_policy(text, jsonb, timestamptz) IS 'writes the rows of a change that is being approved; returns the persons they are about';
REVOKE ALL ON FUNCTION billadj.write_policy(text, jsonb, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.write_policy(text, jsonb, timestamptz) TO billadj_owner;

-- ---- whether policy is sound ----
-- STABLE, so that they see by the snapshot of whoever asks: the guards ask by the
-- latest one.

-- Superusers count by what was granted to them only: to the shortcut everybody
-- of them would be a member of everything.
CREATE FUNCTION billadj.policy_people()
RETURNS TABLE (group_name text, principal_id bigint, person_key text)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
WITH RECURSIVE member(group_name, oid) AS (
    SELECT r.rolname::text, r.oid FROM pg_roles r WHERE r.rolname LIKE 'billadj\_%'
    UNION
    SELECT m.group_name, a.member FROM member m JOIN pg_auth_members a ON a.roleid = m.oid
)
SELECT m.group_name, p.principal_id, p.person_key
  FROM billadj.principal p
  JOIN pg_roles r ON r.rolname = p.role_name
  JOIN member m ON m.oid = r.oid
 WHERE p.active
   AND (p.role_oid = r.oid OR p.system_id IS DISTINCT FROM (SELECT c.system_identifier FROM pg_control_system() c))
   AND (r.rolcanlogin OR EXISTS (SELECT FROM billadj.pooler l WHERE l.active))
$function$;
COMMENT ON FUNCTION billadj.policy_people() IS 'the active principals in each group of billadj: by their logins, as they are now';
REVOKE ALL ON FUNCTION billadj.policy_people() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.policy_people() TO billadj_owner, billadj_admin, billadj_operator, billadj_policy, billadj_auditor;

CREATE FUNCTION billadj.policy_approvers() RETURNS integer
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
SELECT count(DISTINCT p.person_key)::integer FROM billadj.policy_people() p WHERE p.group_name = 'billadj_policy'
$function$;
COMMENT ON FUNCTION billadj.policy_approvers() IS 'how many persons can approve policy now';
REVOKE ALL ON FUNCTION billadj.policy_approvers() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.policy_approvers() TO billadj_owner, billadj_admin, billadj_operator, billadj_policy, billadj_auditor;

-- Now, and whenever a rule begins or ends later.  Messages name no numbers that
-- change by themselves: two of them are compared to tell a new fault.
CREATE FUNCTION billadj.rule_faults()
RETURNS TABLE (place integer, code text, message text)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
WITH point AS (
    SELECT clock_timestamp() AS at
    UNION SELECT lower(r.valid) FROM billadj.approval_rule r WHERE lower(r.valid) > clock_timestamp()
    UNION SELECT upper(r.valid) FROM billadj.approval_rule r WHERE upper(r.valid) > clock_timestamp()
), band AS (
    SELECT p.at, r.kind, r.currency, r.band, min(r.step) AS first, max(r.step) AS last, count(*) AS steps,
           count(DISTINCT (r.apply, r.sum_window, r.decide_within, r.apply_within)) AS ways
      FROM point p JOIN billadj.approval_rule r ON r.valid @> p.at
     GROUP BY p.at, r.kind, r.currency, r.band
), chain AS (
    SELECT b.*, lag(b.band) OVER (PARTITION BY b.at, b.kind, b.currency ORDER BY b.band) AS previous
      FROM band b
)
SELECT DISTINCT f.*
  FROM chain c
 CROSS JOIN LATERAL (VALUES
    (2, 'rule_gap', CASE WHEN c.previous IS NULL AND lower(c.band) > 0 OR upper(c.previous) < lower(c.band)
                         THEN format('amounts of %s in %s below the band %s have no rule', c.kind, c.currency, c.band) END),
    (3, 'rule_overlap', CASE WHEN c.previous && c.band
                             THEN format('bands %s and %s of %s in %s overlap', c.previous, c.band, c.kind, c.currency) END),
    (4, 'rule_steps', CASE WHEN c.first = 0 AND c.steps > 1 OR c.first > 0 AND (c.first > 1 OR c.last <> c.steps)
                           THEN format('steps of band %s of %s in %s are not 1, 2, … or 0 alone', c.band, c.kind, c.currency) END),
    (5, 'rule_ways', CASE WHEN c.ways > 1
                          THEN format('steps of band %s of %s in %s differ in apply, sum_window, decide_within or apply_within', c.band, c.kind, c.currency) END))
    AS f(place, code, message)
 WHERE f.message IS NOT NULL
$function$;
COMMENT ON FUNCTION billadj.rule_faults() IS 'approval rules with gaps, overlaps or missing steps, now or later';
REVOKE ALL ON FUNCTION billadj.rule_faults() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.rule_faults() TO billadj_owner, billadj_admin, billadj_operator, billadj_policy, billadj_auditor;

-- Persons who can approve a step can approve every lower one, and each counts
-- once on a request: so there are enough of them if, for each level, as many
-- reach it as the steps from it on need.  One requester must be left beside them.
CREATE FUNCTION billadj.unmet_rules()
RETURNS TABLE (place integer, code text, message text)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
WITH people AS MATERIALIZED (SELECT * FROM billadj.policy_people()),
point AS (
    SELECT clock_timestamp() AS at
    UNION SELECT lower(r.valid) FROM billadj.approval_rule r WHERE lower(r.valid) > clock_timestamp()
), able AS (
    SELECT p.at, w.person_key, a.kind, a.currency, a.level, a.single_limit
      FROM point p
      JOIN billadj.authority a ON a.valid @> p.at
      JOIN people w ON w.group_name = 'billadj_approver' AND w.principal_id = a.principal_id
     WHERE a.certificate IS NULL
        OR EXISTS (SELECT FROM billadj.certification c
                    WHERE c.principal_id = a.principal_id AND c.certificate = a.certificate AND c.valid @> p.at)
), need AS (
    SELECT p.at, r.kind, r.currency, r.band, r.level,
           (SELECT sum(s.quorum) FROM billadj.approval_rule s
             WHERE s.valid @> p.at AND s.kind = r.kind AND s.currency = r.currency AND s.band = r.band AND s.level >= r.level) AS persons
      FROM point p JOIN billadj.approval_rule r ON r.valid @> p.at AND r.step > 0
     GROUP BY p.at, r.kind, r.currency, r.band, r.level
), have AS (
    SELECT n.kind, n.currency, n.band, n.level, n.persons, q.requester,
           (SELECT count(DISTINCT b.person_key) FROM able b
             WHERE b.at = n.at AND (b.kind IS NULL OR b.kind = n.kind) AND b.currency = n.currency AND b.level >= n.level
               AND b.single_limit >= lower(n.band) AND b.single_limit > 0 AND b.person_key IS DISTINCT FROM q.requester) AS reach
      FROM need n
     CROSS JOIN (SELECT w.person_key AS requester FROM people w WHERE w.group_name = 'billadj_requester'
                 UNION SELECT NULL WHERE NOT EXISTS (SELECT FROM people w WHERE w.group_name = 'billadj_requester')) AS q
)
SELECT DISTINCT 6, 'rule_unmet', format('band %s of %s in %s needs more approvers of level %s than there are beside the requester', h.band, h.kind, h.currency, h.level)
  FROM have h
 GROUP BY h.kind, h.currency, h.band, h.level, h.persons
HAVING max(h.reach) < h.persons
$function$;
COMMENT ON FUNCTION billadj.unmet_rules() IS 'approval rules whose steps there are too few people for';
REVOKE ALL ON FUNCTION billadj.unmet_rules() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.unmet_rules() TO billadj_owner, billadj_admin, billadj_operator, billadj_policy, billadj_auditor;

CREATE FUNCTION billadj.policy_faults()
RETURNS TABLE (place integer, code text, message text)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
SELECT 1, 'policy_approvers_few', 'fewer than two persons can approve policy' WHERE billadj.policy_approvers() < 2
UNION ALL SELECT * FROM billadj.rule_faults()
UNION ALL SELECT * FROM billadj.unmet_rules()
$function$;
COMMENT ON FUNCTION billadj.policy_faults() IS 'what is unsound about policy as it stands; a change that would add a line is refused';
REVOKE ALL ON FUNCTION billadj.policy_faults() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.policy_faults() TO billadj_owner, billadj_admin, billadj_operator, billadj_policy, billadj_auditor;

-- ---- proposing and approving: the same statements that a client may write ----

CREATE FUNCTION billadj.propose_policy(target text, body jsonb) RETURNS bigint
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    change_id bigint;
BEGIN
    PERFORM billadj.require_installed();
    INSERT INTO billadj.policy_change AS c (target, body) VALUES (propose_policy.target, propose_policy.body) RETURNING c.change_id INTO change_id;
    RETURN change_id;
END
$function$;
COMMENT ON FUNCTION billadj.propose_policy(text, jsonb) IS
    'proposes a change of policy: {"op": "insert" | "update" | "end", "key": {…}, "row": {…}} on the table named, or {"ops": […]}; it takes effect when another person approves it';

CREATE FUNCTION billadj.decide_policy(change_id bigint, state text, comment text) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    PERFORM billadj.require_installed();
    UPDATE billadj.policy_change AS c SET state = decide_policy.state, comment = decide_policy.comment WHERE c.change_id = decide_policy.change_id;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'change % is not there, or not for you', change_id
            USING ERRCODE = 'insufficient_privilege', HINT = 'SELECT * FROM billadj.open_policy_change;';
    END IF;
END
$function$;
COMMENT ON FUNCTION billadj.decide_policy(bigint, text, text) IS 'approves or rejects a proposed change; use approve_policy() or reject_policy()';

CREATE FUNCTION billadj.approve_policy(change_id bigint) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    PERFORM billadj.decide_policy(change_id, 'approved', NULL);
END
$function$;
COMMENT ON FUNCTION billadj.approve_policy(bigint) IS 'approves a proposed change of policy, which takes effect with this transaction; not for whoever proposed it or is the person it is about';

CREATE FUNCTION billadj.reject_policy(change_id bigint, comment text) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    PERFORM billadj.decide_policy(change_id, 'rejected', comment);
END
$function$;
COMMENT ON FUNCTION billadj.reject_policy(bigint, text) IS 'rejects a proposed change of policy; not for whoever proposed it';
REVOKE ALL ON FUNCTION billadj.propose_policy(text, jsonb), billadj.decide_policy(bigint, text, text), billadj.approve_policy(bigint), billadj.reject_policy(bigint, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.propose_policy(text, jsonb) TO billadj_admin, billadj_policy;
GRANT EXECUTE ON FUNCTION billadj.decide_policy(bigint, text, text), billadj.approve_policy(bigint), billadj.reject_policy(bigint, text) TO billadj_policy;
