
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

CREATE FUNCTION billadj.guard_ddl() RETURNS event_trigger
AS 'MODULE_PATHNAME', 'billadj_guard_ddl' LANGUAGE C;
COMMENT ON FUNCTION billadj.guard_ddl() IS 'event trigger: only a superuser changes what belongs to billadj';

CREATE FUNCTION billadj.guard_drop() RETURNS event_trigger
AS 'MODULE_PATHNAME', 'billadj_guard_drop' LANGUAGE C;
COMMENT ON FUNCTION billadj.guard_drop() IS 'event trigger: only a superuser drops what belongs to billadj';
REVOKE ALL ON FUNCTION billadj.guard_ddl(), billadj.guard_drop() FROM PUBLIC;

-- ENABLE ALWAYS, like the guards of rows.  Made last, so that the first install()
-- does not look at itself.
CREATE FUNCTION billadj.ddl_guards()
RETURNS TABLE (name text, event text, function_name text, state text)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
SELECT v.name, v.event, v.function_name,
       CASE WHEN e.oid IS NULL THEN 'missing' WHEN e.evtenabled <> 'A' THEN 'off'
            WHEN e.evtevent <> v.event OR e.evttags IS NOT NULL
                 OR e.evtfoid <> (SELECT p.oid FROM pg_proc p WHERE p.pronamespace = 'billadj'::regnamespace AND p.proname = v.function_name) THEN 'changed'
            ELSE 'good' END
  FROM (VALUES ('billadj_guard_ddl', 'ddl_command_end', 'guard_ddl'), ('billadj_guard_drop', 'sql_drop', 'guard_drop')) AS v(name, event, function_name)
  LEFT JOIN pg_event_trigger e ON e.evtname = v.name
$function$;
COMMENT ON FUNCTION billadj.ddl_guards() IS 'the event triggers that must be there, and whether they are';
REVOKE ALL ON FUNCTION billadj.ddl_guards() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.ddl_guards() TO billadj_admin, billadj_operator, billadj_policy, billadj_auditor;

CREATE FUNCTION billadj.guard_commands(dry_run boolean)
RETURNS TABLE (action text, object text, sql text, done boolean)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    wanted record;
BEGIN
    done := NOT dry_run;
    FOR wanted IN SELECT * FROM billadj.ddl_guards() g WHERE g.state <> 'good' LOOP
        object := wanted.name;
        FOR action, sql IN
            SELECT v.action, format(v.sql, wanted.name, wanted.event, wanted.function_name)
              FROM (VALUES (1, 'drop guard', 'DROP EVENT TRIGGER %I'),
                           (2, 'create guard', 'CREATE EVENT TRIGGER %I ON %s EXECUTE FUNCTION billadj.%I()'),
                           (3, 'enable guard', 'ALTER EVENT TRIGGER %I ENABLE ALWAYS')) AS v(place, action, sql)
             WHERE v.place = 3 OR v.place = 1 AND wanted.state = 'changed' OR v.place = 2 AND wanted.state <> 'off'
             ORDER BY v.place
        LOOP
            IF NOT dry_run THEN
                EXECUTE sql;
            END IF;
            RETURN NEXT;
        END LOOP;
    END LOOP;
END
$function$;
COMMENT ON FUNCTION billadj.guard_commands(boolean) IS 'makes the event triggers that guard the tables themselves; part of guard()';
REVOKE ALL ON FUNCTION billadj.guard_commands(boolean) FROM PUBLIC;

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
    ('price_tier', 'price_id tier', 'price_id tier up_to unit_amount flat_amount rate', '', NULL, false),
    ('detector', 'detector_id', 'rule meter account parameters action threshold min_money min_share budget note',
     'parameters action threshold min_money min_share budget active note', 'active', false),
    ('change_policy', 'currency', 'currency max_credit max_charge backdate', 'max_credit max_charge backdate', NULL, false))
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
    ELSIF target = 'policy_mode' AND op #>> '{row,table_name}' NOT IN (SELECT t.target FROM billadj.policy_targets() t WHERE NOT t.always_dual) THEN
        PERFORM billadj.refuse_policy(format('"%s" is no table that could be changed directly', op #>> '{row,table_name}'),
                    format('Tables that can: %s.', (SELECT string_agg(t.target, ', ') FROM billadj.policy_targets() t WHERE NOT t.always_dual)));
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
SET jit = off
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
SET jit = off
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
SET jit = off
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
SET jit = off
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

-- ---- what self_check() says of people, rights and the tables of control ----

-- Compiling these queries would take longer than running them, hence jit = off.
-- What the steps say, read from their texts: every release then checks what it
-- made.  Tables under forced row policies are those of control.
CREATE FUNCTION billadj.control_tables() RETURNS TABLE (relation oid, name text)
LANGUAGE sql STABLE
SET jit = off
SET search_path = pg_catalog, pg_temp
AS $function$
SELECT c.oid, c.relname::text
  FROM generate_series(1, billadj.migration_newest()) AS s(step),
       billadj.migration_step(s.step) AS m,
       regexp_matches(m.body, 'ALTER TABLE billadj\.(\w+) ENABLE ROW LEVEL SECURITY', 'g') AS x(found)
  JOIN pg_class c ON c.oid = to_regclass('billadj.' || x.found[1])
$function$;
COMMENT ON FUNCTION billadj.control_tables() IS 'the tables whose rows only guards may write: policy, overrides, audit';
REVOKE ALL ON FUNCTION billadj.control_tables() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.control_tables() TO billadj_owner, billadj_admin, billadj_operator, billadj_policy, billadj_auditor;

-- What each act on overrides and policy asks first; self_check() has all the
-- findings and how to mend them.
CREATE FUNCTION billadj.control_finding(relations oid[]) RETURNS text
LANGUAGE sql STABLE
SET jit = off
SET search_path = pg_catalog, pg_temp
AS $function$
SELECT f.finding
  FROM (SELECT 1, c.relname, format('%s does not belong to billadj_owner', c.oid::regclass)
          FROM pg_class c WHERE c.oid = ANY (relations) AND c.relowner IS DISTINCT FROM (SELECT r.oid FROM pg_roles r WHERE r.rolname = 'billadj_owner')
        UNION ALL
        SELECT 2, c.relname, format('Row-level security of %s is not enabled and forced', c.oid::regclass)
          FROM pg_class c WHERE c.oid = ANY (relations) AND NOT (c.relrowsecurity AND c.relforcerowsecurity)
        UNION ALL
        SELECT 3, c.relname, format('Guard %I of %s is not as install() made it', g.trigger_name, c.oid::regclass)
          FROM billadj.guards() g
          JOIN pg_class c ON c.relname = g.table_name AND c.relnamespace = 'billadj'::regnamespace AND c.oid = ANY (relations)
          LEFT JOIN pg_trigger t ON t.tgrelid = c.oid AND t.tgname = g.trigger_name
          LEFT JOIN pg_proc p ON p.oid = t.tgfoid AND p.pronamespace = c.relnamespace
         WHERE t.oid IS NULL OR t.tgenabled <> 'A' OR t.tgtype <> g.type OR t.tgqual IS NOT NULL OR t.tgattr <> ''::int2vector
            OR p.proname IS DISTINCT FROM g.function_name
        UNION ALL
        SELECT 4, c.relname, format('A rule rewrites what is done to %s', c.oid::regclass)
          FROM pg_rewrite w JOIN pg_class c ON c.oid = w.ev_class WHERE w.ev_class = ANY (relations)
        UNION ALL
        SELECT 5, c.relname, format('%s takes part in inheritance', c.oid::regclass)
          FROM pg_inherits i JOIN pg_class c ON c.oid IN (i.inhparent, i.inhrelid) WHERE c.oid = ANY (relations)
        UNION ALL
        SELECT 6, c.relname, format('%s is not logged', c.oid::regclass)
          FROM pg_class c WHERE c.oid = ANY (relations) AND c.relpersistence <> 'p') AS f(rank, name, finding)
 ORDER BY f.rank, f.name, f.finding COLLATE "C"
 LIMIT 1
$function$;
COMMENT ON FUNCTION billadj.control_finding(oid[]) IS 'the first reason why nothing may be decided: a table of control that is not guarded; NULL: none';
REVOKE ALL ON FUNCTION billadj.control_finding(oid[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.control_finding(oid[]) TO billadj_owner, billadj_admin, billadj_operator, billadj_policy, billadj_auditor;

CREATE FUNCTION billadj.granted_by_steps()
RETURNS TABLE (name text, column_name text, role_name text, privilege text)
LANGUAGE sql STABLE
SET jit = off
SET search_path = pg_catalog, pg_temp
AS $function$
WITH statement AS (
    SELECT x.found[1] AS privileges, x.found[2] AS tables, x.found[3] AS roles
      FROM generate_series(1, billadj.migration_newest()) AS s(step),
           billadj.migration_step(s.step) AS m,
           string_to_table(m.body, ';') AS t(text),
           regexp_match(t.text, '\nGRANT (.*)\sON\s(.*)\sTO\s(.*)$') AS x(found)
     WHERE t.text ~ '\nGRANT '
), part AS (
    SELECT regexp_replace(t.name, '\s', '', 'g') AS name, regexp_replace(r.name, '\s', '', 'g') AS role_name, p.found[1] AS privilege, p.found[2] AS columns
      FROM statement g, regexp_split_to_table(g.tables, '\s*,\s*') AS t(name), regexp_split_to_table(g.roles, '\s*,\s*') AS r(name),
           regexp_matches(g.privileges, '([A-Z]+)\s*(?:\(([^)]*)\))?', 'g') AS p(found)
)
SELECT regexp_replace(p.name, '^(SEQUENCE)?billadj\.', ''), trim(c.name), p.role_name, p.privilege
  FROM part p LEFT JOIN LATERAL regexp_split_to_table(p.columns, '\s*,\s*') AS c(name) ON true
$function$;
COMMENT ON FUNCTION billadj.granted_by_steps() IS 'the grants on tables of billadj that its steps make';
REVOKE ALL ON FUNCTION billadj.granted_by_steps() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.granted_by_steps() TO billadj_admin, billadj_operator, billadj_policy, billadj_auditor;

CREATE FUNCTION billadj.self_check_grants()
RETURNS TABLE (severity text, code text, message text, fix_sql text)
LANGUAGE plpgsql STABLE
SET jit = off
SET search_path = pg_catalog, pg_temp
AS $function$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH granted AS MATERIALIZED (SELECT * FROM billadj.granted_by_steps()
    ), held AS (
        SELECT c.relname::text AS name, NULL::text AS column_name, a.grantee, a.privilege_type, c.relkind
          FROM pg_class c, aclexplode(c.relacl) AS a
         WHERE c.relnamespace = 'billadj'::regnamespace AND a.grantee <> c.relowner AND NOT c.relispartition
        UNION ALL
        SELECT c.relname, t.attname, a.grantee, a.privilege_type, c.relkind
          FROM pg_class c JOIN pg_attribute t ON t.attrelid = c.oid, aclexplode(t.attacl) AS a
         WHERE c.relnamespace = 'billadj'::regnamespace AND a.grantee <> c.relowner
    ), named AS (
        SELECT h.*, CASE h.grantee WHEN 0 THEN 'PUBLIC' ELSE h.grantee::regrole::text END AS role_name FROM held h
    )
    SELECT 'error', 'extra_grant',
           format('%s has %s on billadj.%I%s, which billadj did not grant', n.role_name, n.privilege_type, n.name, ' (' || quote_ident(n.column_name) || ')'),
           format('REVOKE %s%s ON %sbilladj.%I FROM %s;', n.privilege_type, ' (' || quote_ident(n.column_name) || ')',
                  CASE n.relkind WHEN 'S' THEN 'SEQUENCE ' ELSE '' END, n.name, n.role_name)
      FROM named n
     WHERE (n.name, n.role_name, n.privilege_type, coalesce(n.column_name, ''))
           NOT IN (SELECT g.name, g.role_name, g.privilege, coalesce(g.column_name, '') FROM granted g)
       -- what has another name is told as missing
       AND (n.name IN (SELECT g.name FROM granted g) OR n.name IN (SELECT k.name FROM billadj.control_tables() k))
     ORDER BY n.name, n.column_name, n.role_name, n.privilege_type;
    -- What the extension's script left is kept by the server beside what holds now.
    RETURN QUERY
    SELECT 'error', 'function_grant', format('%s may execute %s, which billadj did not grant', x.role_name, x.signature),
           format('REVOKE EXECUTE ON %s %s FROM %s;', CASE x.prokind WHEN 'p' THEN 'PROCEDURE' ELSE 'FUNCTION' END, x.signature, x.role_name)
      FROM (SELECT p.oid::regprocedure::text AS signature, p.prokind, CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END AS role_name
              FROM pg_proc p
              LEFT JOIN pg_init_privs i ON i.classoid = 'pg_proc'::regclass AND i.objoid = p.oid AND i.objsubid = 0,
                   aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS a
             WHERE p.pronamespace = 'billadj'::regnamespace AND a.grantee <> p.proowner
               AND NOT EXISTS (SELECT FROM aclexplode(coalesce(i.initprivs, acldefault('f', p.proowner))) AS b WHERE b.grantee = a.grantee)) AS x
     ORDER BY x.signature, x.role_name;
    RETURN QUERY
    SELECT 'error', 'foreign_function', format('%s is in schema billadj and not part of the extension', p.oid::regprocedure),
           format('DROP %s %s;', CASE p.prokind WHEN 'p' THEN 'PROCEDURE' WHEN 'a' THEN 'AGGREGATE' ELSE 'FUNCTION' END, p.oid::regprocedure)
      FROM pg_proc p
     WHERE p.pronamespace = 'billadj'::regnamespace
       AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
     ORDER BY p.oid::regprocedure::text;
    RETURN QUERY
    SELECT 'error', 'function_owner', format('%s belongs to %s, who is no superuser and could replace it', p.oid::regprocedure, r.oid::regrole),
           format('ALTER ROUTINE %s OWNER TO %I;', p.oid::regprocedure, (SELECT s.rolname FROM pg_roles s WHERE s.rolsuper ORDER BY s.oid LIMIT 1))
      FROM pg_proc p JOIN pg_roles r ON r.oid = p.proowner
     WHERE p.pronamespace = 'billadj'::regnamespace AND NOT r.rolsuper
     ORDER BY p.oid::regprocedure::text;
    RETURN QUERY
    SELECT 'error', 'schema_create', format('%s may create objects in schema billadj', CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END),
           format('REVOKE CREATE ON SCHEMA billadj FROM %s;', CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END)
      FROM pg_namespace n, aclexplode(n.nspacl) AS a
     WHERE n.nspname = 'billadj' AND a.privilege_type = 'CREATE' AND a.grantee NOT IN (n.nspowner, 'billadj_owner'::regrole)
     ORDER BY a.grantee;
    -- The guards are ENABLE ALWAYS and hold all the same; the triggers of host
    -- tables do not fire.
    RETURN QUERY
    SELECT 'warning', 'parameter_grant', format('%s has %s on parameter %s', CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END, a.privilege_type, p.parname),
           format('REVOKE %s ON PARAMETER %s FROM %s;', a.privilege_type, p.parname, CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END)
      FROM pg_parameter_acl p, aclexplode(p.paracl) AS a
     WHERE (p.parname = 'session_replication_role' OR p.parname LIKE 'billadj.%')
       AND NOT EXISTS (SELECT FROM pg_roles r WHERE r.oid = a.grantee AND r.rolsuper)
     ORDER BY p.parname, a.grantee;
END
$function$;
COMMENT ON FUNCTION billadj.self_check_grants() IS 'part of self_check(): rights on tables, functions, the schema and settings that billadj did not give';
REVOKE ALL ON FUNCTION billadj.self_check_grants() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.self_check_grants() TO billadj_admin, billadj_operator, billadj_policy, billadj_auditor;

CREATE FUNCTION billadj.self_check_control()
RETURNS TABLE (severity text, code text, message text, fix_sql text)
LANGUAGE plpgsql STABLE
SET jit = off
SET search_path = pg_catalog, pg_temp
AS $function$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT 'error', 'row_security_off', format('row-level security of %s does not bind %s', c.oid::regclass, CASE WHEN c.relrowsecurity THEN 'its owner' ELSE 'anybody' END),
           format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;', c.oid::regclass)
      FROM billadj.control_tables() k JOIN pg_class c ON c.oid = k.relation
     WHERE NOT c.relrowsecurity OR NOT c.relforcerowsecurity
     ORDER BY k.name;
    RETURN QUERY
    SELECT 'error', 'ddl_guard_' || g.state, format('event trigger %I, which guards the tables themselves, is %s', g.name, g.state), 'SELECT * FROM billadj.guard();'
      FROM billadj.ddl_guards() g WHERE g.state <> 'good';
    RETURN QUERY
    SELECT 'error', 'table_owner', format('%s belongs to %s, not to billadj_owner', c.oid::regclass, c.relowner::regrole),
           format('ALTER TABLE %s OWNER TO billadj_owner;', c.oid::regclass)
      FROM billadj.control_tables() k JOIN pg_class c ON c.oid = k.relation
     WHERE c.relowner <> 'billadj_owner'::regrole
     ORDER BY k.name;
    RETURN QUERY
    SELECT 'error', 'table_unlogged', format('%s is lost in a crash: it is unlogged', c.oid::regclass), format('ALTER TABLE %s SET LOGGED;', c.oid::regclass)
      FROM billadj.control_tables() k JOIN pg_class c ON c.oid = k.relation
     WHERE c.relpersistence <> 'p'
     ORDER BY k.name;
    RETURN QUERY
    WITH wanted AS (
        SELECT x.found[2] AS name, x.found[3] AS table_name, x.found[1] AS statement
          FROM generate_series(1, billadj.migration_newest()) AS s(step), billadj.migration_step(s.step) AS m,
               regexp_matches(m.body, '(CREATE POLICY (\w+) ON billadj\.(\w+)[^;]*;)', 'g') AS x(found)
    ), there AS (
        SELECT k.relation, k.name AS table_name, p.polname::text AS name FROM billadj.control_tables() k JOIN pg_policy p ON p.polrelid = k.relation
    )
    SELECT 'error', 'foreign_policy', format('policy %I on %s is not billadj''s', t.name, t.relation::regclass), format('DROP POLICY %I ON %s;', t.name, t.relation::regclass)
      FROM there t WHERE NOT EXISTS (SELECT FROM wanted w WHERE w.table_name = t.table_name AND w.name = t.name)
    UNION ALL
    SELECT 'error', 'policy_missing', format('policy %I on billadj.%I is gone', w.name, w.table_name), w.statement
      FROM wanted w
     WHERE to_regclass('billadj.' || w.table_name) IS NOT NULL
       AND NOT EXISTS (SELECT FROM there t WHERE t.table_name = w.table_name AND t.name = w.name);
    RETURN QUERY
    SELECT 'error', 'foreign_trigger', format('trigger %I on %s is not billadj''s', t.tgname, t.tgrelid::regclass), format('DROP TRIGGER %I ON %s;', t.tgname, t.tgrelid::regclass)
      FROM billadj.control_tables() k JOIN pg_trigger t ON t.tgrelid = k.relation AND NOT t.tgisinternal
     WHERE NOT EXISTS (SELECT FROM billadj.guards() g WHERE g.table_name = k.name AND g.trigger_name = t.tgname)
     ORDER BY k.name, t.tgname;
    RETURN QUERY
    SELECT 'error', 'foreign_rule', format('rule %I rewrites what is done to %s', r.rulename, r.ev_class::regclass), format('DROP RULE %I ON %s;', r.rulename, r.ev_class::regclass)
      FROM billadj.control_tables() k JOIN pg_rewrite r ON r.ev_class = k.relation
     ORDER BY k.name, r.rulename;
    -- Rows of a child show in the parent, and no guard of the parent saw them.
    RETURN QUERY
    SELECT 'error', 'foreign_child', format('rows of %s show in %s', i.inhrelid::regclass, i.inhparent::regclass),
           format('ALTER TABLE %s NO INHERIT %s;', i.inhrelid::regclass, i.inhparent::regclass)
      FROM pg_inherits i WHERE i.inhparent IN (SELECT k.relation FROM billadj.control_tables() k) OR i.inhrelid IN (SELECT k.relation FROM billadj.control_tables() k)
     ORDER BY i.inhrelid;
    RETURN QUERY
    SELECT 'warning', 'published', format('%s is sent to whoever subscribes to publication %I', r.prrelid::regclass, p.pubname),
           format('ALTER PUBLICATION %I DROP TABLE %s;', p.pubname, r.prrelid::regclass)
      FROM billadj.control_tables() k JOIN pg_publication_rel r ON r.prrelid = k.relation JOIN pg_publication p ON p.oid = r.prpubid
    UNION ALL
    SELECT 'warning', 'published', format('the tables of billadj are sent to whoever subscribes to publication %I', p.pubname),
           format('ALTER PUBLICATION %I DROP TABLES IN SCHEMA billadj;', p.pubname)
      FROM pg_publication_namespace n JOIN pg_publication p ON p.oid = n.pnpubid
     WHERE n.pnnspid = 'billadj'::regnamespace;
END
$function$;
COMMENT ON FUNCTION billadj.self_check_control() IS 'part of self_check(): the tables of control, and what others hung on them';
REVOKE ALL ON FUNCTION billadj.self_check_control() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.self_check_control() TO billadj_admin, billadj_operator, billadj_policy, billadj_auditor;

CREATE FUNCTION billadj.self_check_people()
RETURNS TABLE (severity text, code text, message text, fix_sql text)
LANGUAGE plpgsql STABLE
SET jit = off
SET search_path = pg_catalog, pg_temp
AS $function$
#variable_conflict use_column
DECLARE
    here bigint := (SELECT c.system_identifier FROM pg_control_system() c);
BEGIN
    RETURN QUERY
    SELECT 'warning', 'login_replication', format('login %I has REPLICATION and reads every row through a slot', r.rolname), format('ALTER ROLE %I NOREPLICATION;', r.rolname)
      FROM pg_roles r WHERE r.rolcanlogin AND r.rolreplication AND NOT r.rolsuper
     ORDER BY r.rolname;
    RETURN QUERY
    SELECT 'warning', 'group_admin', format('%s may add members to %s', m.member::regrole, m.roleid::regrole),
           format('REVOKE ADMIN OPTION FOR %s FROM %s;', m.roleid::regrole, m.member::regrole)
      FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid JOIN pg_roles r ON r.oid = m.member
     WHERE g.rolname LIKE 'billadj\_%' AND m.admin_option AND NOT r.rolsuper
     ORDER BY g.rolname, r.rolname;
    -- Whoever decides must not also prepare what is decided on, and whoever
    -- looks on must not act.
    RETURN QUERY
    WITH RECURSIVE held(login, oid) AS (
        SELECT r.oid, m.roleid FROM pg_roles r JOIN pg_auth_members m ON m.member = r.oid WHERE r.rolcanlogin AND NOT r.rolsuper
        UNION
        SELECT h.login, m.roleid FROM held h JOIN pg_auth_members m ON m.member = h.oid
    )
    SELECT 'warning', 'duties_combined', format('login %s is in %s and in %s', a.login::regrole, v.one, v.other),
           CASE WHEN EXISTS (SELECT FROM pg_auth_members m WHERE m.member = a.login AND m.roleid = b.oid)
                THEN format('REVOKE %s FROM %s;', v.other, a.login::regrole)
                ELSE format('-- take %s away from the role that lends it to %s', v.other, a.login::regrole) END
      FROM (VALUES ('billadj_approver', 'billadj_admin'), ('billadj_approver', 'billadj_operator'), ('billadj_auditor', 'billadj_admin'),
                   ('billadj_auditor', 'billadj_operator'), ('billadj_auditor', 'billadj_requester'), ('billadj_auditor', 'billadj_approver'),
                   ('billadj_auditor', 'billadj_policy')) AS v(one, other)
      JOIN held a ON a.oid = v.one::regrole
      JOIN held b ON b.oid = v.other::regrole AND b.login = a.login
     ORDER BY a.login::regrole::text, v.one, v.other;
    RETURN QUERY
    SELECT CASE WHEN r.oid IS NULL OR p.system_id = here THEN 'warning' ELSE 'info' END,
           CASE WHEN r.oid IS NULL OR p.system_id = here THEN 'principal_stale' ELSE 'principal_restored' END,
           CASE WHEN r.oid IS NULL THEN format('principal %s: there is no role %I any more', p.principal_id, p.role_name)
                WHEN p.system_id = here THEN format('principal %s: role %I was dropped and made anew, and may not act', p.principal_id, p.role_name)
                ELSE format('principal %s was bound to role %I in another cluster: see that it is the same person', p.principal_id, p.role_name) END,
           CASE WHEN r.oid IS NULL THEN format('SELECT billadj.propose_policy(''principal'', ''{"op": "end", "key": {"principal_id": %s}}'');', p.principal_id)
                ELSE format('SELECT billadj.propose_policy(''principal'', ''{"op": "update", "key": {"principal_id": %s}, "row": {"active": true}}'');', p.principal_id) END
      FROM billadj.principal p LEFT JOIN pg_roles r ON r.rolname = p.role_name
     WHERE p.active AND (r.oid IS NULL OR p.role_oid IS DISTINCT FROM r.oid::bigint OR p.system_id IS DISTINCT FROM here)
     ORDER BY p.principal_id;
    -- As long as nobody is registered, nobody means to use it.
    RETURN QUERY
    SELECT 'warning', f.code, f.message,
           CASE f.code WHEN 'policy_approvers_few' THEN '-- grant billadj_policy to the login of another active principal: GRANT billadj_policy TO …;'
                       ELSE '-- SELECT billadj.propose_policy(''approval_rule'', …); or give more people authority' END
      FROM billadj.policy_faults() f
     WHERE EXISTS (SELECT FROM billadj.principal)
     ORDER BY f.place, f.message;
END
$function$;
COMMENT ON FUNCTION billadj.self_check_people() IS 'part of self_check(): people, their logins and groups, and whether there are enough of them';
REVOKE ALL ON FUNCTION billadj.self_check_people() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.self_check_people() TO billadj_admin, billadj_operator, billadj_policy, billadj_auditor;

-- What is in no digest that was put outside could be cut off unseen.  Only who
-- may read the log is told.
CREATE FUNCTION billadj.self_check_anchor()
RETURNS TABLE (severity text, code text, message text, fix_sql text)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    newest timestamptz;
BEGIN
    IF NOT has_table_privilege('billadj.audit_block', 'SELECT') OR NOT has_table_privilege('billadj.audit_anchor', 'SELECT') THEN
        RETURN;
    END IF;
    SELECT max(a.created_at) INTO newest FROM billadj.audit_anchor a;
    IF EXISTS (SELECT FROM billadj.audit_block b WHERE b.at > coalesce(newest, '-infinity') AND b.at < clock_timestamp() - interval '1 day') THEN
        severity := 'info';
        code := 'audit_unanchored';
        message := format('no digest of the audit log was put outside since %s', coalesce(newest::text, 'its beginning'));
        fix_sql := 'SELECT billadj.digest(); -- keep it outside, then: SELECT billadj.anchor_ack(…, ''receipt'', ''place'');';
        RETURN NEXT;
    END IF;
END
$function$;
COMMENT ON FUNCTION billadj.self_check_anchor() IS 'part of self_check(): how long the audit log has gone without a digest outside';
REVOKE ALL ON FUNCTION billadj.self_check_anchor() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.self_check_anchor() TO billadj_admin, billadj_operator, billadj_policy, billadj_auditor;
