
-- subscription: plans, timelines of terms, what follows from them

-- ---- what the library computes ----

CREATE FUNCTION billadj.recurring_differences(at timestamptz DEFAULT now(), since timestamptz DEFAULT NULL, posting_at timestamptz DEFAULT NULL,
    account text DEFAULT NULL, subscription_id bigint DEFAULT NULL, terms jsonb DEFAULT NULL, cycles jsonb DEFAULT NULL)
RETURNS TABLE (account text, subscription_id bigint, term_id bigint, plan_price_id bigint, period_start timestamptz, period_end timestamptz,
    posted_period_start timestamptz, due_at timestamptz, covers tstzrange, line_covers tstzrange, quantity numeric, full_amount numeric,
    share text, should_be numeric, billed numeric, amount numeric, currency text, cause text)
AS 'MODULE_PATHNAME', 'billadj_recurring_differences' LANGUAGE C STABLE;
COMMENT ON FUNCTION billadj.recurring_differences(timestamptz, timestamptz, timestamptz, text, bigint, jsonb, jsonb) IS
    'should-be minus billed of every line of every period that is due, for all subscriptions or one; with terms and cycles: if that were its timeline';
REVOKE ALL ON FUNCTION billadj.recurring_differences(timestamptz, timestamptz, timestamptz, text, bigint, jsonb, jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.recurring_differences(timestamptz, timestamptz, timestamptz, text, bigint, jsonb, jsonb)
   TO billadj_admin, billadj_operator, billadj_requester, billadj_approver, billadj_policy, billadj_auditor, billadj_reader;

CREATE FUNCTION billadj.post_differences(at timestamptz, since timestamptz, posting_at timestamptz, account text, subscription_id bigint)
RETURNS bigint
AS 'MODULE_PATHNAME', 'billadj_post_differences' LANGUAGE C;
COMMENT ON FUNCTION billadj.post_differences(timestamptz, timestamptz, timestamptz, text, bigint) IS
    'charges what recurring_differences() returns for the same arguments; its caller holds the lock';
REVOKE ALL ON FUNCTION billadj.post_differences(timestamptz, timestamptz, timestamptz, text, bigint) FROM PUBLIC;

CREATE FUNCTION billadj.subscription_periods(account text, subscription_id bigint, from_at timestamptz, to_at timestamptz, cycles jsonb DEFAULT NULL)
RETURNS TABLE (period tstzrange, whole tstzrange)
AS 'MODULE_PATHNAME', 'billadj_subscription_periods' LANGUAGE C STABLE;
COMMENT ON FUNCTION billadj.subscription_periods(text, bigint, timestamptz, timestamptz, jsonb) IS
    'the billing periods of a subscription that overlap a time; whole is what a share is of where the period is cut short';
REVOKE ALL ON FUNCTION billadj.subscription_periods(text, bigint, timestamptz, timestamptz, jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.subscription_periods(text, bigint, timestamptz, timestamptz, jsonb)
   TO billadj_admin, billadj_operator, billadj_requester, billadj_approver, billadj_policy, billadj_auditor, billadj_reader;

-- ---- guards ----

-- Charges of the past follow from plans and terms: what they say stays said.
CREATE FUNCTION billadj.frozen_trigger() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET datestyle = 'ISO'
AS $function$
DECLARE
    free  text[] := CASE tg_table_name WHEN 'plan' THEN '{description}' WHEN 'plan_price' THEN '{valid}'
                                       WHEN 'milestone' THEN '{reached_at,reached_by}'
                                       ELSE '{superseded_at,superseded_by}' END;
    altered text;
BEGIN
    IF current_setting('row_security') = 'off'
       AND (SELECT r.rolsuper FROM pg_roles r WHERE r.rolname = session_user) THEN
        RETURN new;             -- a restore takes rows as they are
    END IF;
    SELECT o.key INTO altered
      FROM jsonb_each(to_jsonb(old)) o JOIN jsonb_each(to_jsonb(new)) n USING (key)
     WHERE o.value::text <> n.value::text AND o.key <> ALL (free)
     ORDER BY o.key COLLATE "C" LIMIT 1;
    IF altered IS NULL AND tg_table_name = 'plan_price'
       AND (lower((to_jsonb(new) ->> 'valid')::tstzrange) IS DISTINCT FROM lower((to_jsonb(old) ->> 'valid')::tstzrange)
            OR NOT (to_jsonb(new) ->> 'valid')::tstzrange <@ (to_jsonb(old) ->> 'valid')::tstzrange) THEN
        altered := 'valid';
    ELSIF altered IS NULL AND tg_table_name IN ('term', 'billing_cycle') AND (to_jsonb(old) ->> 'superseded_at') IS NOT NULL THEN
        altered := 'superseded_at';
    ELSIF altered IS NULL AND tg_table_name = 'milestone' AND (to_jsonb(old) ->> 'reached_at') IS NOT NULL THEN
        altered := 'reached_at';
    END IF;
    IF altered IS NOT NULL THEN
        RAISE EXCEPTION 'column % of billadj.% cannot be changed', quote_ident(altered), quote_ident(tg_table_name)
            USING ERRCODE = 'UB016',
                  DETAIL = 'Charges that were made follow from it.',
                  HINT = CASE tg_table_name WHEN 'plan_price' THEN 'End it earlier, or import a new price: SELECT * FROM billadj.import_plan(…);'
                                            WHEN 'plan' THEN 'Make another plan: SELECT * FROM billadj.import_plan(…);'
                                            ELSE 'Change the subscription: SELECT * FROM billadj.change_plan(…);' END,
                  SCHEMA = 'billadj', TABLE = tg_table_name, COLUMN = altered;
    END IF;
    RETURN new;
END
$function$;
COMMENT ON FUNCTION billadj.frozen_trigger() IS 'trigger: refuses to alter what charges follow from';
REVOKE ALL ON FUNCTION billadj.frozen_trigger() FROM PUBLIC;

-- ---- plans ----

CREATE FUNCTION billadj.refuse_plan(path text, problem text, hint text) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    RAISE EXCEPTION 'plan key "%" %', path, problem USING ERRCODE = 'UB111', HINT = hint;
END
$function$;
COMMENT ON FUNCTION billadj.refuse_plan(text, text, text) IS 'error UB111 about one key of a plan document';
REVOKE ALL ON FUNCTION billadj.refuse_plan(text, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.refuse_plan(text, text, text) TO billadj_admin;

CREATE FUNCTION billadj.check_plan(doc jsonb) RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    strange text;
    entry   record;
    problem text;
    meters  text[] := '{}';
BEGIN
    IF jsonb_typeof(doc) IS DISTINCT FROM 'object' THEN
        RAISE EXCEPTION 'plan is no JSON object'
            USING ERRCODE = 'UB111', HINT = 'Write {"plan": …, "currency": …, "prices": [{"component": …, "model": …}]}.';
    END IF;
    SELECT k INTO strange FROM jsonb_object_keys(doc) AS k
     WHERE k NOT IN ('plan', 'description', 'currency', 'every', 'anchor', 'day_count', 'scale', 'rounding', 'round_at', 'prices')
     ORDER BY k COLLATE "C" LIMIT 1;
    IF strange IS NOT NULL THEN
        PERFORM billadj.refuse_plan(strange, 'is unknown', 'A plan has the keys plan, description, currency, every, anchor, day_count, scale, rounding, round_at and prices.');
    ELSIF jsonb_typeof(doc -> 'plan') IS DISTINCT FROM 'string' OR doc ->> 'plan' = '' THEN
        PERFORM billadj.refuse_plan('plan', 'must be a name', 'Write "plan": "<name of the plan>".');
    ELSIF billadj.price_check(jsonb_build_object('model', 'flat', 'flat_amount', 0, 'currency', doc -> 'currency')) IS NOT NULL
          OR jsonb_typeof(doc -> 'currency') IS DISTINCT FROM 'string' THEN
        PERFORM billadj.refuse_plan('currency', 'must be a currency code of ISO 4217', 'Write three capital letters, such as "USD".');
    ELSIF jsonb_typeof(doc -> 'prices') IS DISTINCT FROM 'array' OR doc -> 'prices' = '[]' THEN
        PERFORM billadj.refuse_plan('prices', 'must be an array with entries', 'Write "prices": [{"component": "base", "model": …}].');
    END IF;
    -- the names of day counts and rounding modes are known to the calculators
    PERFORM billadj.prorate(0, '[2001-01-01 00:00+00,2002-01-01 00:00+00)', 'empty', coalesce(doc ->> 'day_count', 'actual_days'), 'UTC',
                            coalesce((doc ->> 'scale')::integer, 2), coalesce(doc ->> 'rounding', 'half_up'));
    FOR entry IN SELECT format('prices[%s]', e.place - 1) AS path, e.value
                   FROM jsonb_array_elements(doc -> 'prices') WITH ORDINALITY AS e(value, place) ORDER BY e.place LOOP
        IF jsonb_typeof(entry.value) <> 'object' THEN
            PERFORM billadj.refuse_plan(entry.path, 'must be a JSON object', 'Write {"component": …, "model": …}.');
        ELSIF coalesce(entry.value ->> 'kind', 'recurring') NOT IN ('recurring', 'one_off', 'usage') THEN
            PERFORM billadj.refuse_plan(entry.path || '.kind', 'must be recurring, one_off or usage', 'Leave it out for recurring.');
        ELSIF coalesce(entry.value ->> 'timing', 'advance') NOT IN ('advance', 'arrears') THEN
            PERFORM billadj.refuse_plan(entry.path || '.timing', 'must be advance or arrears', 'Leave it out for advance.');
        ELSIF (coalesce(entry.value ->> 'kind', '') = 'usage') <> (entry.value ? 'meter') THEN
            PERFORM billadj.refuse_plan(entry.path || '.meter', 'belongs to usage and to nothing else', 'Write "kind": "usage", "meter": "<name>".');
        ELSIF entry.value ->> 'meter' = ANY (meters) THEN
            PERFORM billadj.refuse_plan(entry.path || '.meter', format('names %I a second time', entry.value ->> 'meter'), 'A plan has one price a meter at a time.');
        END IF;
        meters := meters || (entry.value ->> 'meter');
        problem := billadj.price_check(entry.value - '{component,kind,timing,meter,per_unit}'::text[] || jsonb_build_object('currency', doc -> 'currency'));
        IF problem IS NOT NULL THEN
            RAISE EXCEPTION '%', CASE WHEN problem LIKE 'price key "%' THEN regexp_replace(problem, '^price key "', format('plan key "%s.', entry.path))
                                      ELSE format('plan key "%s": %s', entry.path, problem) END
                USING ERRCODE = 'UB111', HINT = 'Mend the document and import it again; nothing was changed.';
        END IF;
    END LOOP;
END
$function$;
COMMENT ON FUNCTION billadj.check_plan(jsonb) IS 'error UB111 unless a plan document is sound';
REVOKE ALL ON FUNCTION billadj.check_plan(jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.check_plan(jsonb) TO billadj_admin;

-- A plan is made once; its prices get versions.  A component that the document
-- leaves out keeps its price.
CREATE FUNCTION billadj.import_plan(doc jsonb, effective tstzrange DEFAULT tstzrange(NULL, NULL), dry_run boolean DEFAULT false)
RETURNS TABLE (action text, object text, detail text)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET datestyle = 'ISO'
AS $function$
#variable_conflict use_column
DECLARE
    entry   record;
    old     record;
    known   record;
BEGIN
    PERFORM billadj.require_installed();
    PERFORM billadj.check_plan(doc);
    object := 'plan ' || (doc ->> 'plan');
    SELECT p.* INTO known FROM billadj.plan p WHERE p.plan = doc ->> 'plan';
    IF FOUND THEN
        IF (known.currency, known.every, known.anchor, known.day_count, known.scale, known.rounding, known.round_at)
           IS DISTINCT FROM (doc ->> 'currency', coalesce((doc ->> 'every')::interval, known.every), coalesce(doc ->> 'anchor', known.anchor),
                             coalesce(doc ->> 'day_count', known.day_count), coalesce((doc ->> 'scale')::integer, known.scale),
                             coalesce(doc ->> 'rounding', known.rounding), coalesce(doc ->> 'round_at', known.round_at)) THEN
            RAISE EXCEPTION 'plan % exists and is another one', quote_ident(doc ->> 'plan')
                USING ERRCODE = 'UB111', DETAIL = 'Its currency, length of a period, day count and rounding are never changed: charges follow from them.',
                      HINT = 'Import it under another name and change the subscriptions to it.';
        END IF;
    ELSE
        action := 'create plan';
        IF NOT dry_run THEN
            INSERT INTO billadj.plan (plan, description, currency, every, anchor, day_count, scale, rounding, round_at)
            VALUES (doc ->> 'plan', doc ->> 'description', doc ->> 'currency', coalesce((doc ->> 'every')::interval, '1 month'),
                    coalesce(doc ->> 'anchor', 'anniversary'), coalesce(doc ->> 'day_count', 'actual_days'),
                    coalesce((doc ->> 'scale')::integer, 2), coalesce(doc ->> 'rounding', 'half_up'), coalesce(doc ->> 'round_at', 'line'));
        END IF;
        RETURN NEXT;
    END IF;

    FOR entry IN SELECT coalesce(e.value ->> 'component', 'base') AS component, coalesce(e.value ->> 'kind', 'recurring') AS kind,
                        coalesce(e.value ->> 'timing', 'advance') AS timing, e.value ->> 'meter' AS meter,
                        coalesce((e.value ->> 'per_unit')::boolean, e.value ->> 'model' <> 'flat') AS per_unit,
                        billadj.price_normal(e.value - '{component,kind,timing,meter,per_unit,currency}'::text[]) AS price
                   FROM jsonb_array_elements(doc -> 'prices') WITH ORDINALITY AS e(value, place) ORDER BY e.place LOOP
        object := format('price %s/%s', doc ->> 'plan', entry.component);
        SELECT r.* INTO old FROM billadj.plan_price r
         WHERE r.plan = doc ->> 'plan' AND r.component = entry.component AND r.valid && effective
         ORDER BY r.valid DESC LIMIT 1;
        IF FOUND AND (old.kind, old.timing, old.meter, old.per_unit, old.price) IS NOT DISTINCT FROM
                     (entry.kind, entry.timing, entry.meter, entry.per_unit, entry.price) AND old.valid @> effective THEN
            action := 'unchanged';
            detail := format('plan price %s holds for %s', old.plan_price_id, old.valid);
            RETURN NEXT;
            CONTINUE;
        ELSIF FOUND AND (lower_inf(effective) OR lower(old.valid) >= lower(effective)) THEN
            RAISE EXCEPTION 'price % of component % of plan % begins within %', old.plan_price_id, quote_ident(entry.component), quote_ident(doc ->> 'plan'), effective
                USING ERRCODE = 'UB018', DETAIL = format('It holds for %s. A stored price can be ended, not moved.', old.valid),
                      HINT = 'Import for a time that begins later.';
        ELSIF FOUND THEN
            action := 'end price';
            detail := format('plan price %s holds for %s', old.plan_price_id, tstzrange(lower(old.valid), lower(effective)));
            IF NOT dry_run THEN
                UPDATE billadj.plan_price r SET valid = tstzrange(lower(r.valid), lower(effective)) WHERE r.plan_price_id = old.plan_price_id;
            END IF;
            RETURN NEXT;
        END IF;
        action := 'create price';
        detail := format('for %s', effective);
        IF NOT dry_run THEN
            INSERT INTO billadj.plan_price (plan, component, kind, timing, meter, price, per_unit, valid)
            VALUES (doc ->> 'plan', entry.component, entry.kind, entry.timing, entry.meter, entry.price, entry.per_unit, effective);
        END IF;
        RETURN NEXT;
    END LOOP;
END
$function$;
COMMENT ON FUNCTION billadj.import_plan(jsonb, tstzrange, boolean) IS 'makes a plan, or new versions of its prices from a time on';
REVOKE ALL ON FUNCTION billadj.import_plan(jsonb, tstzrange, boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.import_plan(jsonb, tstzrange, boolean) TO billadj_admin;

-- ---- timelines, as JSON arrays of their rows ----

CREATE FUNCTION billadj.stored_terms(account text, subscription_id bigint) RETURNS jsonb
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET datestyle = 'ISO'
AS $function$
BEGIN
    RETURN (SELECT coalesce(jsonb_agg(jsonb_build_object('term_id', t.term_id, 'valid', t.valid, 'plan', t.plan, 'quantity', t.quantity,
                                                         'state', t.state, 'discount', t.discount, 'priced_at', t.priced_at) ORDER BY t.valid), '[]')
              FROM billadj.term t
             WHERE t.account = stored_terms.account AND t.subscription_id = stored_terms.subscription_id AND t.superseded_at IS NULL);
END
$function$;
COMMENT ON FUNCTION billadj.stored_terms(text, bigint) IS 'the timeline of a subscription as it is stored';
REVOKE ALL ON FUNCTION billadj.stored_terms(text, bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.stored_terms(text, bigint)
   TO billadj_admin, billadj_operator, billadj_requester, billadj_approver, billadj_policy, billadj_auditor, billadj_reader;

CREATE FUNCTION billadj.stored_cycles(account text, subscription_id bigint) RETURNS jsonb
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET datestyle = 'ISO'
AS $function$
BEGIN
    RETURN (SELECT coalesce(jsonb_agg(jsonb_build_object('cycle_id', c.cycle_id, 'valid', c.valid, 'anchor', c.anchor, 'every', c.every,
                                                         'time_zone', c.time_zone, 'seam', c.seam) ORDER BY c.valid), '[]')
              FROM billadj.billing_cycle c
             WHERE c.account = stored_cycles.account AND c.subscription_id = stored_cycles.subscription_id AND c.superseded_at IS NULL);
END
$function$;
COMMENT ON FUNCTION billadj.stored_cycles(text, bigint) IS 'the billing cycles of a subscription as they are stored';
REVOKE ALL ON FUNCTION billadj.stored_cycles(text, bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.stored_cycles(text, bigint)
   TO billadj_admin, billadj_operator, billadj_requester, billadj_approver, billadj_policy, billadj_auditor, billadj_reader;

-- Pieces that the patch leaves as they are keep their number: they are the same
-- term.  A patch acts on terms of some states only.
CREATE FUNCTION billadj.splice_terms(terms jsonb, span tstzrange, patch jsonb, states text[] DEFAULT '{active,trial,paused}') RETURNS jsonb
LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp
SET datestyle = 'ISO'
AS $function$
WITH term AS (
    SELECT e.value AS old, (e.value ->> 'valid')::tstzrange AS valid, e.value ->> 'state' = ANY (states)
           AND (e.value || patch) <> e.value AND (e.value ->> 'valid')::tstzrange && span AS hit
      FROM jsonb_array_elements(terms) AS e(value)
), piece AS (
    SELECT t.old AS value, t.valid FROM term t WHERE NOT t.hit
    UNION ALL
    SELECT t.old || patch || '{"term_id": null}', t.valid * span FROM term t WHERE t.hit
    UNION ALL
    SELECT t.old || '{"term_id": null}', t.valid * tstzrange(NULL, lower(span)) FROM term t WHERE t.hit AND NOT lower_inf(span)
    UNION ALL
    SELECT t.old || '{"term_id": null}', t.valid * tstzrange(upper(span), NULL) FROM term t WHERE t.hit AND NOT upper_inf(span)
)
SELECT coalesce(jsonb_agg(p.value || jsonb_build_object('valid', p.valid) ORDER BY p.valid), '[]') FROM piece p WHERE NOT isempty(p.valid)
$function$;
COMMENT ON FUNCTION billadj.splice_terms(jsonb, tstzrange, jsonb, text[]) IS 'a timeline with a patch laid over a stretch of it';
REVOKE ALL ON FUNCTION billadj.splice_terms(jsonb, tstzrange, jsonb, text[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.splice_terms(jsonb, tstzrange, jsonb, text[])
   TO billadj_admin, billadj_operator, billadj_requester, billadj_approver, billadj_policy, billadj_auditor, billadj_reader;

CREATE FUNCTION billadj.refuse_change(problem text, detail text, hint text) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    IF detail IS NULL THEN
        RAISE EXCEPTION '%', problem USING ERRCODE = 'UB113', HINT = hint;
    END IF;
    RAISE EXCEPTION '%', problem USING ERRCODE = 'UB113', DETAIL = detail, HINT = hint;
END
$function$;
COMMENT ON FUNCTION billadj.refuse_change(text, text, text) IS 'error UB113 about a change of a subscription';
REVOKE ALL ON FUNCTION billadj.refuse_change(text, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.refuse_change(text, text, text)
   TO billadj_admin, billadj_operator, billadj_requester, billadj_approver, billadj_policy, billadj_auditor, billadj_reader;

CREATE FUNCTION billadj.find_subscription(subscription bigint, OUT account text, OUT currency text)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    SELECT s.account, s.currency INTO find_subscription.account, find_subscription.currency
      FROM billadj.subscription s WHERE s.subscription_id = subscription;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'subscription % does not exist', subscription
            USING ERRCODE = 'UB112', HINT = 'Look for it with SELECT * FROM billadj.subscription_state WHERE account = ….';
    END IF;
END
$function$;
COMMENT ON FUNCTION billadj.find_subscription(bigint) IS 'whose a subscription is, and its currency; error UB112 if there is none';
REVOKE ALL ON FUNCTION billadj.find_subscription(bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.find_subscription(bigint)
   TO billadj_admin, billadj_operator, billadj_requester, billadj_approver, billadj_policy, billadj_auditor, billadj_reader;

-- When a change takes effect: at a time that is named, else now, or when the
-- period ends.  Direction is an input: only the host knows what is a downgrade.
CREATE FUNCTION billadj.change_time(account text, subscription_id bigint, change jsonb, as_of timestamptz) RETURNS timestamptz
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET datestyle = 'ISO'
AS $function$
DECLARE
    moment text := coalesce(change ->> 'when', CASE WHEN change ? 'at' THEN 'at' WHEN change ->> 'direction' = 'downgrade' OR change ->> 'kind' = 'zone'
                                                    THEN 'period_end' ELSE 'now' END);
BEGIN
    IF moment = 'at' AND isfinite((change ->> 'at')::timestamptz) THEN
        RETURN (change ->> 'at')::timestamptz;
    ELSIF moment = 'now' THEN
        RETURN as_of;
    ELSIF moment = 'period_end' THEN
        RETURN (SELECT upper(p.period) FROM billadj.subscription_periods(account, subscription_id, as_of, as_of + '1 microsecond') p);
    END IF;
    PERFORM billadj.refuse_change(format('%s is no time of a change', coalesce(quote_literal(moment), 'null')), NULL,
                                  'Write "when": "now" or "period_end", or "at": a time.');
END
$function$;
COMMENT ON FUNCTION billadj.change_time(text, bigint, jsonb, timestamptz) IS 'from when on a change holds; part of preview_change()';
REVOKE ALL ON FUNCTION billadj.change_time(text, bigint, jsonb, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.change_time(text, bigint, jsonb, timestamptz)
   TO billadj_admin, billadj_operator, billadj_requester, billadj_approver, billadj_policy, billadj_auditor, billadj_reader;

-- What a change lays over the timeline, from its time until the first later
-- term that was given another value already: that one was scheduled and stays.
CREATE FUNCTION billadj.patched_terms(terms jsonb, at timestamptz, patch jsonb, until timestamptz, compared text[]) RETURNS jsonb
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET datestyle = 'ISO'
AS $function$
DECLARE
    here  jsonb;
    bound timestamptz;
BEGIN
    SELECT e.value INTO here FROM jsonb_array_elements(terms) AS e(value)
     WHERE (e.value ->> 'valid')::tstzrange @> at AND e.value ->> 'state' <> 'forfeited';
    IF here IS NULL THEN
        PERFORM billadj.refuse_change(format('the subscription has no term at %s', at), format('Its terms: %s.', coalesce((SELECT string_agg(e.value ->> 'valid', ', ')
                                             FROM jsonb_array_elements(terms) AS e(value)), 'none')),
                                      'Name a time within a term; what has ended is begun again by {"kind": "reactivate"}.');
    END IF;
    SELECT min(lower((e.value ->> 'valid')::tstzrange)) INTO bound
      FROM jsonb_array_elements(terms) AS e(value)
     WHERE lower((e.value ->> 'valid')::tstzrange) > at
       AND EXISTS (SELECT FROM unnest(compared) AS k WHERE patch ? k AND e.value -> k IS DISTINCT FROM here -> k);
    RETURN billadj.splice_terms(terms, tstzrange(at, least(bound, until)), patch);
END
$function$;
COMMENT ON FUNCTION billadj.patched_terms(jsonb, timestamptz, jsonb, timestamptz, text[]) IS 'a timeline after a change of some of its values; part of preview_change()';
REVOKE ALL ON FUNCTION billadj.patched_terms(jsonb, timestamptz, jsonb, timestamptz, text[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.patched_terms(jsonb, timestamptz, jsonb, timestamptz, text[])
   TO billadj_admin, billadj_operator, billadj_requester, billadj_approver, billadj_policy, billadj_auditor, billadj_reader;

-- Service ends; what was paid in advance for the rest of the period is kept with
-- settle none, and falls back to the customer otherwise.
CREATE FUNCTION billadj.cancelled_terms(account text, subscription_id bigint, terms jsonb, at timestamptz, settle text) RETURNS jsonb
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET datestyle = 'ISO'
AS $function$
DECLARE
    here jsonb;
    rest tstzrange;
    cut  jsonb;
BEGIN
    IF settle NOT IN ('credit', 'refund', 'none') THEN
        PERFORM billadj.refuse_change(format('%L is no way to settle', settle), NULL, 'Write "settle": "credit", "refund" or "none".');
    END IF;
    SELECT e.value INTO here FROM jsonb_array_elements(terms) AS e(value)
     WHERE (e.value ->> 'valid')::tstzrange @> at AND e.value ->> 'state' IN ('active', 'forfeited');
    IF settle = 'none' AND here ->> 'state' = 'forfeited' THEN
        RETURN terms;           -- it has ended like that already
    END IF;
    SELECT coalesce(jsonb_agg(e.value || CASE WHEN upper((e.value ->> 'valid')::tstzrange) <= at THEN '{}'::jsonb
                                              ELSE jsonb_build_object('term_id', NULL, 'valid', tstzrange(lower((e.value ->> 'valid')::tstzrange), at)) END
                              ORDER BY (e.value ->> 'valid')::tstzrange), '[]')
      INTO cut
      FROM jsonb_array_elements(terms) AS e(value)
     WHERE lower((e.value ->> 'valid')::tstzrange) < at;
    IF settle = 'none' AND here IS NOT NULL THEN
        SELECT tstzrange(at, upper(p.period)) INTO rest
          FROM billadj.subscription_periods(account, subscription_id, at, at + '1 microsecond') p
         WHERE lower(p.period) < at;
        IF rest IS NOT NULL THEN
            cut := cut || (here || jsonb_build_object('term_id', NULL, 'state', 'forfeited', 'valid', rest));
        END IF;
    END IF;
    RETURN cut;
END
$function$;
COMMENT ON FUNCTION billadj.cancelled_terms(text, bigint, jsonb, timestamptz, text) IS 'a timeline that ends at a time; part of preview_change()';
REVOKE ALL ON FUNCTION billadj.cancelled_terms(text, bigint, jsonb, timestamptz, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.cancelled_terms(text, bigint, jsonb, timestamptz, text)
   TO billadj_admin, billadj_operator, billadj_requester, billadj_approver, billadj_policy, billadj_auditor, billadj_reader;

-- The newest change may be undone: its terms go, those that it superseded come
-- back under new numbers.
CREATE FUNCTION billadj.undone_rows(rows jsonb, relation text, account text, subscription_id bigint, change_id bigint) RETURNS jsonb
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET datestyle = 'ISO'
AS $function$
DECLARE
    kept jsonb;
    back jsonb;
    key  text := CASE relation WHEN 'term' THEN 'term_id' ELSE 'cycle_id' END;
BEGIN
    EXECUTE format('SELECT coalesce(jsonb_agg(e.value), ''[]'') FROM jsonb_array_elements($1) AS e(value)
                     WHERE NOT EXISTS (SELECT FROM billadj.%I r WHERE r.account = $2 AND r.subscription_id = $3 AND r.change_id = $4
                                                                AND r.%I = (e.value ->> %L)::bigint)', relation, key, key)
       INTO kept USING rows, account, subscription_id, change_id;
    EXECUTE format('SELECT coalesce(jsonb_agg(to_jsonb(r) || jsonb_build_object(%L, NULL)), ''[]'') FROM billadj.%I r
                     WHERE r.account = $1 AND r.subscription_id = $2 AND r.superseded_by = $3', key, relation)
       INTO back USING account, subscription_id, change_id;
    RETURN (SELECT coalesce(jsonb_agg(e.value ORDER BY (e.value ->> 'valid')::tstzrange), '[]') FROM jsonb_array_elements(kept || back) AS e(value));
END
$function$;
COMMENT ON FUNCTION billadj.undone_rows(jsonb, text, text, bigint, bigint) IS 'terms or cycles as they were before a change; part of preview_change()';
REVOKE ALL ON FUNCTION billadj.undone_rows(jsonb, text, text, bigint, bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.undone_rows(jsonb, text, text, bigint, bigint)
   TO billadj_admin, billadj_operator, billadj_requester, billadj_approver, billadj_policy, billadj_auditor, billadj_reader;

-- A zone changes where a period ends: at the new zone's clock, so that nobody
-- pays for the hours between.  An anchor changes at any time: the period that
-- it interrupts is cut short, and so is the one up to the next boundary.
CREATE FUNCTION billadj.changed_cycles(cycles jsonb, change jsonb, at timestamptz) RETURNS jsonb
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET datestyle = 'ISO'
AS $function$
DECLARE
    here  jsonb;
    zone  text;
    seam  timestamptz := at;
    fresh jsonb;
BEGIN
    SELECT e.value, e.value ->> 'time_zone' INTO here, zone FROM jsonb_array_elements(cycles) AS e(value)
     WHERE (e.value ->> 'valid')::tstzrange @> at;
    IF here IS NULL THEN
        PERFORM billadj.refuse_change(format('the subscription has no periods at %s', at), NULL, 'Name a time after its start.');
    END IF;
    IF change ->> 'kind' = 'zone' THEN
        IF change ->> 'time_zone' IS NULL THEN
            PERFORM billadj.refuse_change('a change of kind zone needs a time zone', NULL, 'Write "time_zone": a name of pg_timezone_names.');
        END IF;
        PERFORM billadj.period_at(at, '1 day', at, change ->> 'time_zone');     -- an unknown zone is refused
        IF change ->> 'time_zone' IS NOT DISTINCT FROM zone THEN
            RETURN cycles;
        END IF;
        -- where other periods begin anyway, there is no last one to end there
        IF at > lower((here ->> 'valid')::tstzrange) THEN
            seam := (at AT TIME ZONE zone) AT TIME ZONE (change ->> 'time_zone');
        END IF;
        -- the hours between would reach beyond periods that were agreed to end before
        IF seam >= upper((here ->> 'valid')::tstzrange) THEN
            PERFORM billadj.refuse_change(format('the zone cannot change at %s', at),
                                          format('By the clock of the new zone that is %s; other periods begin at %s.', seam, upper((here ->> 'valid')::tstzrange)),
                                          'Name the time at which those begin, or an earlier one.');
        END IF;
        fresh := here || jsonb_build_object('time_zone', change -> 'time_zone', 'anchor', ((here ->> 'anchor')::timestamptz AT TIME ZONE zone) AT TIME ZONE (change ->> 'time_zone'));
    ELSE
        fresh := here || jsonb_build_object('anchor', coalesce((change ->> 'anchor')::timestamptz, at), 'every', coalesce(change -> 'every', here -> 'every'));
        IF fresh = here THEN
            RETURN cycles;
        END IF;
    END IF;
    RETURN (WITH piece AS (
                SELECT e.value FROM jsonb_array_elements(cycles) AS e(value) WHERE e.value <> here
                UNION ALL
                SELECT here || jsonb_build_object('cycle_id', NULL, 'seam', change ->> 'kind' = 'zone', 'valid', tstzrange(lower((here ->> 'valid')::tstzrange), seam))
                 WHERE seam > lower((here ->> 'valid')::tstzrange)
                UNION ALL
                SELECT fresh || jsonb_build_object('cycle_id', NULL, 'seam', false, 'valid',
                                                   tstzrange(greatest(seam, lower((here ->> 'valid')::tstzrange)), upper((here ->> 'valid')::tstzrange)))
            )
            SELECT jsonb_agg(p.value ORDER BY (p.value ->> 'valid')::tstzrange) FROM piece p);
END
$function$;
COMMENT ON FUNCTION billadj.changed_cycles(jsonb, jsonb, timestamptz) IS 'billing cycles after a change of anchor or zone; part of preview_change()';
REVOKE ALL ON FUNCTION billadj.changed_cycles(jsonb, jsonb, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.changed_cycles(jsonb, jsonb, timestamptz)
   TO billadj_admin, billadj_operator, billadj_requester, billadj_approver, billadj_policy, billadj_auditor, billadj_reader;

-- On what the periods of a plan are anchored: its start, or the first of the
-- month, the week or the year in which it starts.  A month that has 31 days
-- holds the account's anchor_day: shorter ones then fall back to their last day.
CREATE FUNCTION billadj.plan_anchor(plan text, account text, starts_at timestamptz, time_zone text) RETURNS timestamptz
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    wanted record;
    start  timestamp := starts_at AT TIME ZONE time_zone;
BEGIN
    SELECT p.anchor, p.every, extract(year FROM p.every) * 12 + extract(month FROM p.every) AS months INTO wanted FROM billadj.plan p WHERE p.plan = plan_anchor.plan;
    IF wanted.anchor <> 'calendar' THEN
        RETURN starts_at;
    ELSIF wanted.months > 0 THEN
        RETURN (date_trunc('year', start) + make_interval(days => coalesce((SELECT a.anchor_day FROM billadj.account a
                                                                             WHERE a.account = plan_anchor.account), 1) - 1)) AT TIME ZONE time_zone;
    ELSIF extract(day FROM wanted.every)::integer % 7 = 0 THEN
        RETURN date_trunc('week', start) AT TIME ZONE time_zone;
    END IF;
    RETURN date_trunc('day', start) AT TIME ZONE time_zone;
END
$function$;
COMMENT ON FUNCTION billadj.plan_anchor(text, text, timestamptz, text) IS 'the boundary from which the periods of a subscription to a plan are counted';
REVOKE ALL ON FUNCTION billadj.plan_anchor(text, text, timestamptz, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.plan_anchor(text, text, timestamptz, text)
   TO billadj_admin, billadj_operator, billadj_requester, billadj_approver, billadj_policy, billadj_auditor, billadj_reader;

-- A plan of another length brings periods of its own.
CREATE FUNCTION billadj.plan_cycles(cycles jsonb, account text, plan text, at timestamptz) RETURNS jsonb
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET datestyle = 'ISO'
AS $function$
DECLARE
    every interval := (SELECT p.every FROM billadj.plan p WHERE p.plan = plan_cycles.plan);
    here  jsonb;
BEGIN
    SELECT e.value INTO here FROM jsonb_array_elements(cycles) AS e(value) WHERE (e.value ->> 'valid')::tstzrange @> at;
    IF here IS NULL OR (here ->> 'every')::interval = every THEN
        RETURN cycles;
    END IF;
    RETURN billadj.changed_cycles(cycles, jsonb_build_object('kind', 'anchor', 'every', every,
                                                             'anchor', billadj.plan_anchor(plan, account, at, here ->> 'time_zone')), at);
END
$function$;
COMMENT ON FUNCTION billadj.plan_cycles(jsonb, text, text, timestamptz) IS 'billing cycles after a change of plan; part of preview_change()';
REVOKE ALL ON FUNCTION billadj.plan_cycles(jsonb, text, text, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.plan_cycles(jsonb, text, text, timestamptz)
   TO billadj_admin, billadj_operator, billadj_requester, billadj_approver, billadj_policy, billadj_auditor, billadj_reader;

CREATE FUNCTION billadj.check_change(change jsonb) RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    known   jsonb := '{"plan": ["plan", "quantity", "discount", "priced_at"], "quantity": ["quantity"], "discount": ["discount"], "price": ["priced_at"],
                       "pause": ["until"], "resume": [], "trial": ["until"], "cancel": ["settle"], "reactivate": ["plan", "quantity", "discount", "priced_at"], "renew": ["until", "priced_at"],
                       "anchor": ["anchor", "every"], "zone": ["time_zone"], "undo": ["change_id"], "none": []}';
    strange text;
BEGIN
    IF jsonb_typeof(change) IS DISTINCT FROM 'object' OR NOT known ? coalesce(change ->> 'kind', '') THEN
        PERFORM billadj.refuse_change(format('%s is no kind of change', coalesce(quote_literal(change ->> 'kind'), 'null')), NULL,
                                      'Write {"kind": "plan"}, or quantity, discount, price, pause, resume, trial, cancel, renew, reactivate, anchor, zone, undo.');
    END IF;
    SELECT k INTO strange FROM jsonb_object_keys(change) AS k
     WHERE NOT k = ANY ('{kind,at,when,direction,post,reason}') AND NOT known -> (change ->> 'kind') ? k
     ORDER BY k COLLATE "C" LIMIT 1;
    IF strange IS NOT NULL THEN
        PERFORM billadj.refuse_change(format('a change of kind %s has no %L', change ->> 'kind', strange),
                                      format('It may have: at, when, direction, post, reason%s.', (SELECT coalesce(', ' || string_agg(e.value, ', '), '')
                                             FROM jsonb_array_elements_text(known -> (change ->> 'kind')) AS e(value))), 'Leave it out.');
    ELSIF change ? 'quantity' AND NOT coalesce((change ->> 'quantity')::numeric >= 0 AND (change ->> 'quantity')::numeric < 'Infinity', false) THEN
        PERFORM billadj.refuse_change('the quantity must be a number of 0 or more', NULL, 'Write "quantity": a number.');
    ELSIF change ? 'discount' AND NOT coalesce((change ->> 'discount')::numeric BETWEEN 0 AND 100, false) THEN
        PERFORM billadj.refuse_change('the discount must be a percentage from 0 to 100', NULL, 'Write "discount": a number.');
    ELSIF coalesce(change ->> 'direction', 'upgrade') NOT IN ('upgrade', 'downgrade') THEN
        PERFORM billadj.refuse_change(format('%L is no direction', change ->> 'direction'), NULL, 'Write "direction": "upgrade" or "downgrade", or leave it out.');
    ELSIF coalesce(change ->> 'post', 'now') NOT IN ('now', 'next_period') THEN
        PERFORM billadj.refuse_change(format('differences cannot be posted %s', change ->> 'post'), NULL, 'Write "post": "now" or "next_period".');
    END IF;
    IF change ? 'plan' AND NOT EXISTS (SELECT FROM billadj.plan p WHERE p.plan = change ->> 'plan') THEN
        RAISE EXCEPTION 'plan % does not exist', quote_ident(change ->> 'plan')
            USING ERRCODE = 'UB110', HINT = 'Look for it with SELECT plan FROM billadj.plan.';
    END IF;
END
$function$;
COMMENT ON FUNCTION billadj.check_change(jsonb) IS 'error UB113 or UB110 unless a change is well formed';
REVOKE ALL ON FUNCTION billadj.check_change(jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.check_change(jsonb)
   TO billadj_admin, billadj_operator, billadj_requester, billadj_approver, billadj_policy, billadj_auditor, billadj_reader;

CREATE FUNCTION billadj.changed_terms(account text, subscription_id bigint, terms jsonb, change jsonb, at timestamptz) RETURNS jsonb
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET datestyle = 'ISO'
AS $function$
DECLARE
    kind  text := change ->> 'kind';
    patch jsonb := change - '{kind,at,when,direction,post,reason,until,settle}'::text[];
    until timestamptz := change ->> 'until';
    last  jsonb;
BEGIN
    IF until <= at THEN
        PERFORM billadj.refuse_change(format('it ends at %s, before it begins at %s', until, at), NULL, 'Write a later "until", or leave it out.');
    END IF;
    IF kind IN ('reactivate', 'renew') AND EXISTS (SELECT FROM jsonb_array_elements(terms) AS e(value)
            WHERE lower((e.value ->> 'valid')::tstzrange) = at AND e.value ->> 'state' <> 'forfeited' AND e.value @> patch) THEN
        RETURN terms;           -- done already
    END IF;
    CASE kind
        WHEN 'plan' THEN
            -- who is on the plan already keeps his price
            RETURN billadj.patched_terms(terms, at, patch || CASE WHEN patch ? 'priced_at' OR EXISTS (
                       SELECT FROM jsonb_array_elements(terms) AS e(value)
                        WHERE (e.value ->> 'valid')::tstzrange @> at AND e.value -> 'plan' = patch -> 'plan') THEN '{}'
                       ELSE jsonb_build_object('priced_at', at) END, NULL, '{plan,quantity,discount}');
        WHEN 'quantity', 'discount' THEN
            RETURN billadj.patched_terms(terms, at, patch, NULL, ARRAY[kind]);
        WHEN 'price' THEN
            RETURN billadj.patched_terms(terms, at, jsonb_build_object('priced_at', coalesce((change ->> 'priced_at')::timestamptz, at)), NULL, '{plan,priced_at}');
        WHEN 'pause' THEN
            RETURN billadj.splice_terms(terms, tstzrange(at, until), '{"state": "paused"}', '{active,trial}');
        WHEN 'resume' THEN
            RETURN billadj.splice_terms(terms, tstzrange(at, NULL), '{"state": "active"}', '{paused}');
        WHEN 'trial' THEN
            RETURN billadj.splice_terms(billadj.splice_terms(terms, tstzrange(until, NULL), '{"state": "active"}', '{trial}'),
                                        tstzrange(at, until), '{"state": "trial"}', '{active}');
        WHEN 'cancel' THEN
            RETURN billadj.cancelled_terms(account, subscription_id, terms, at, coalesce(change ->> 'settle', 'credit'));
        WHEN 'reactivate' THEN
            SELECT e.value INTO last FROM jsonb_array_elements(terms) AS e(value)
             WHERE e.value ->> 'state' <> 'forfeited' ORDER BY (e.value ->> 'valid')::tstzrange DESC LIMIT 1;
            IF last IS NULL OR upper((last ->> 'valid')::tstzrange) IS NULL OR upper((last ->> 'valid')::tstzrange) > at THEN
                PERFORM billadj.refuse_change(format('the subscription has not ended at %s', at), NULL, 'Change its plan or quantity, or name a time after its end.');
            END IF;
            RETURN billadj.cancelled_terms(account, subscription_id, terms, at, 'credit')
                   || (last || jsonb_build_object('priced_at', at) || patch || jsonb_build_object('term_id', NULL, 'state', 'active', 'valid', tstzrange(at, NULL)));
        WHEN 'renew' THEN
            -- what was agreed until its end goes on from there
            SELECT e.value INTO last FROM jsonb_array_elements(terms) AS e(value)
             WHERE e.value ->> 'state' <> 'forfeited' ORDER BY (e.value ->> 'valid')::tstzrange DESC LIMIT 1;
            IF upper((last ->> 'valid')::tstzrange) IS DISTINCT FROM at THEN
                PERFORM billadj.refuse_change('there is nothing to renew', format('The last term holds for %s.', last ->> 'valid'),
                                              'Renew a subscription that ends, from its end on.');
            END IF;
            RETURN billadj.cancelled_terms(account, subscription_id, terms, at, 'credit')
                   || (last || patch || jsonb_build_object('term_id', NULL, 'valid', tstzrange(at, until)));
        ELSE
            RETURN terms;
    END CASE;
END
$function$;
COMMENT ON FUNCTION billadj.changed_terms(text, bigint, jsonb, jsonb, timestamptz) IS 'a timeline after a change; part of preview_change()';
REVOKE ALL ON FUNCTION billadj.changed_terms(text, bigint, jsonb, jsonb, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.changed_terms(text, bigint, jsonb, jsonb, timestamptz)
   TO billadj_admin, billadj_operator, billadj_requester, billadj_approver, billadj_policy, billadj_auditor, billadj_reader;

-- ---- what a change would be, and the change ----

CREATE FUNCTION billadj.plan_change(subscription bigint, change jsonb, as_of timestamptz,
    OUT account text, OUT currency text, OUT effective_at timestamptz, OUT evaluate_at timestamptz, OUT since timestamptz, OUT posting_at timestamptz,
    OUT old_terms jsonb, OUT terms jsonb, OUT old_cycles jsonb, OUT cycles jsonb)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET datestyle = 'ISO'
AS $function$
#variable_conflict use_variable
DECLARE
    undone record;
BEGIN
    PERFORM billadj.check_change(change);
    SELECT f.* INTO account, currency FROM billadj.find_subscription(subscription) f;
    IF change ? 'plan' AND (SELECT p.currency FROM billadj.plan p WHERE p.plan = change ->> 'plan') <> currency THEN
        RAISE EXCEPTION 'plan % is in another currency than subscription %', quote_ident(change ->> 'plan'), subscription
            USING ERRCODE = 'UB008', DETAIL = format('The subscription is in %s.', currency), HINT = 'Cancel it and subscribe anew.';
    END IF;
    old_terms := billadj.stored_terms(account, subscription);
    old_cycles := billadj.stored_cycles(account, subscription);
    IF change ->> 'kind' = 'undo' THEN
        SELECT c.* INTO undone FROM billadj.subscription_change c
         WHERE c.account = plan_change.account AND c.subscription_id = subscription ORDER BY c.change_id DESC LIMIT 1;
        IF undone.kind = 'start' OR undone.change_id IS DISTINCT FROM coalesce((change ->> 'change_id')::bigint, undone.change_id) THEN
            PERFORM billadj.refuse_change(format('change %s cannot be undone', coalesce(change ->> 'change_id', undone.change_id::text)),
                                          format('Change %s, of kind %s, is the newest.', undone.change_id, undone.kind), 'Undo the newest change, or make another one.');
        END IF;
        effective_at := undone.effective_at;
        terms := billadj.undone_rows(old_terms, 'term', account, subscription, undone.change_id);
        cycles := billadj.undone_rows(old_cycles, 'billing_cycle', account, subscription, undone.change_id);
    ELSE
        effective_at := billadj.change_time(account, subscription, change, as_of);
        terms := billadj.changed_terms(account, subscription, old_terms, change, effective_at);
        cycles := CASE WHEN change ->> 'kind' IN ('anchor', 'zone') THEN billadj.changed_cycles(old_cycles, change, effective_at)
                       WHEN change ->> 'kind' = 'plan' AND terms <> old_terms
                       THEN billadj.plan_cycles(old_cycles, account, change ->> 'plan', effective_at) ELSE old_cycles END;
    END IF;
    -- a period that the change itself ends is one of those it touches
    since := effective_at - interval '1 microsecond';
    evaluate_at := greatest(as_of, effective_at);
    posting_at := evaluate_at;
    IF change ->> 'post' = 'next_period' THEN
        posting_at := coalesce((SELECT upper(p.period) FROM billadj.subscription_periods(account, subscription, evaluate_at, evaluate_at + '1 microsecond', cycles) p),
                               posting_at);
    END IF;
END
$function$;
COMMENT ON FUNCTION billadj.plan_change(bigint, jsonb, timestamptz) IS 'the timeline of a subscription before and after a change; part of preview_change()';
REVOKE ALL ON FUNCTION billadj.plan_change(bigint, jsonb, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.plan_change(bigint, jsonb, timestamptz)
   TO billadj_admin, billadj_operator, billadj_requester, billadj_approver, billadj_policy, billadj_auditor, billadj_reader;

-- Whether the differences of a change may be charged without asking anybody.
CREATE FUNCTION billadj.change_route(currency text, effective_at timestamptz, as_of timestamptz, amount numeric) RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    policy record;
BEGIN
    SELECT p.* INTO policy FROM billadj.change_policy p WHERE p.currency = change_route.currency;
    RETURN CASE WHEN amount < 0 AND -amount > policy.max_credit
                  OR effective_at < as_of AND amount > policy.max_charge
                  OR effective_at < as_of - coalesce(policy.backdate, '31 days') THEN 'proposal' ELSE 'charge' END;
END
$function$;
COMMENT ON FUNCTION billadj.change_route(text, timestamptz, timestamptz, numeric) IS 'charge or proposal, by billadj.change_policy; part of preview_change()';
REVOKE ALL ON FUNCTION billadj.change_route(text, timestamptz, timestamptz, numeric) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.change_route(text, timestamptz, timestamptz, numeric)
   TO billadj_admin, billadj_operator, billadj_requester, billadj_approver, billadj_policy, billadj_auditor, billadj_reader;

-- One call of the library, for the preview and for the change itself.
CREATE FUNCTION billadj.change_lines(subscription bigint, account text, effective_at timestamptz, evaluate_at timestamptz,
    since timestamptz, posting_at timestamptz, as_of timestamptz, terms jsonb, cycles jsonb)
RETURNS TABLE (subscription_id bigint, term_id bigint, plan text, component text, plan_price_id bigint, period_start timestamptz,
    posted_period_start timestamptz, due_at timestamptz, covers tstzrange, line_covers tstzrange, quantity numeric, full_amount numeric,
    share text, should_be numeric, billed numeric, amount numeric, currency text, cause text, routed text)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT d.subscription_id, d.term_id, p.plan, p.component, d.plan_price_id, d.period_start, d.posted_period_start, d.due_at, d.covers, d.line_covers,
           d.quantity, d.full_amount, d.share, d.should_be, d.billed, d.amount, d.currency, d.cause,
           CASE WHEN change_lines.effective_at > change_lines.as_of THEN 'scheduled'
                WHEN d.cause = 'recurring' THEN 'charge'
                ELSE billadj.change_route(d.currency, change_lines.effective_at, change_lines.as_of, sum(d.amount) FILTER (WHERE d.cause = 'proration') OVER ()) END
      FROM billadj.recurring_differences(change_lines.evaluate_at, change_lines.since, change_lines.posting_at,
                                         change_lines.account, subscription, change_lines.terms, change_lines.cycles) d
      LEFT JOIN billadj.plan_price p ON p.plan_price_id = d.plan_price_id
     ORDER BY d.period_start, d.amount > 0, p.component, d.amount;
END
$function$;
COMMENT ON FUNCTION billadj.change_lines(bigint, text, timestamptz, timestamptz, timestamptz, timestamptz, timestamptz, jsonb, jsonb) IS
    'what a new timeline leads to: part of preview_change() and of change_subscription()';
REVOKE ALL ON FUNCTION billadj.change_lines(bigint, text, timestamptz, timestamptz, timestamptz, timestamptz, timestamptz, jsonb, jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.change_lines(bigint, text, timestamptz, timestamptz, timestamptz, timestamptz, timestamptz, jsonb, jsonb)
   TO billadj_admin, billadj_operator, billadj_requester, billadj_approver, billadj_policy, billadj_auditor, billadj_reader;

-- Usage that was charged since is rated by the change itself, which is made and
-- rolled back: that is the only preview that cannot differ.
CREATE FUNCTION billadj.preview_usage(subscription bigint, change jsonb, as_of timestamptz)
RETURNS TABLE (component text, period_start timestamptz, posted_period_start timestamptz, quantity numeric, amount numeric, currency text, cause text, routed text)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET datestyle = 'ISO'
AS $function$
#variable_conflict use_variable
DECLARE
    lines jsonb := '[]';
BEGIN
    IF NOT EXISTS (SELECT FROM billadj.attachment)
       OR (SELECT c.effective_at >= greatest(as_of, now()) FROM billadj.plan_change(subscription, change, as_of) c) THEN
        RETURN;
    ELSIF current_setting('transaction_read_only') = 'on' THEN
        RAISE WARNING 'charged usage is left out of the preview: the transaction is read-only'
            USING HINT = 'Preview it in a transaction that may write; nothing stays of it.';
        RETURN;
    END IF;
    BEGIN
        SELECT coalesce(jsonb_agg(to_jsonb(c)), '[]') INTO lines
          FROM billadj.change_subscription(subscription, change, as_of) c WHERE c.cause = 'correction';
        RAISE EXCEPTION USING ERRCODE = 'triggered_action_exception';
    EXCEPTION WHEN triggered_action_exception THEN
        NULL;
    END;
    RETURN QUERY
    SELECT l.* FROM jsonb_to_recordset(lines) AS l(component text, period_start timestamptz, posted_period_start timestamptz, quantity numeric, amount numeric,
                                                   currency text, cause text, routed text);
END
$function$;
COMMENT ON FUNCTION billadj.preview_usage(bigint, jsonb, timestamptz) IS 'the differences of charged usage that a change for a time past leads to; part of preview_change()';
REVOKE ALL ON FUNCTION billadj.preview_usage(bigint, jsonb, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.preview_usage(bigint, jsonb, timestamptz)
   TO billadj_admin, billadj_operator, billadj_requester, billadj_approver, billadj_policy, billadj_auditor, billadj_reader;

CREATE FUNCTION billadj.preview_change(subscription bigint, change jsonb, as_of timestamptz DEFAULT now())
RETURNS TABLE (plan text, component text, period_start timestamptz, posted_period_start timestamptz, due_at timestamptz, covers tstzrange,
    quantity numeric, full_amount numeric, share text, amount numeric, currency text, cause text, routed text)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $function$
#variable_conflict use_column
BEGIN
    PERFORM billadj.require_installed();
    RETURN QUERY
    SELECT l.plan, l.component, l.period_start, l.posted_period_start, l.due_at, l.covers, l.quantity, l.full_amount, l.share, l.amount, l.currency, l.cause, l.routed
      FROM billadj.plan_change(subscription, change, as_of) c
     CROSS JOIN LATERAL billadj.change_lines(subscription, c.account, c.effective_at, c.evaluate_at, c.since, c.posting_at, as_of, c.terms, c.cycles) l;
    RETURN QUERY
    SELECT NULL::text, u.component, u.period_start, u.posted_period_start, NULL::timestamptz, NULL::tstzrange, u.quantity, NULL::numeric, NULL::text,
           u.amount, u.currency, u.cause, u.routed
      FROM billadj.preview_usage(subscription, change, as_of) u;
END
$function$;
COMMENT ON FUNCTION billadj.preview_change(bigint, jsonb, timestamptz) IS 'the lines that a change of a subscription leads to, with what routes them; nothing stays written';
REVOKE ALL ON FUNCTION billadj.preview_change(bigint, jsonb, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.preview_change(bigint, jsonb, timestamptz)
   TO billadj_admin, billadj_operator, billadj_requester, billadj_approver, billadj_policy, billadj_auditor, billadj_reader;

-- Differences that exceed the policy: the timeline is as it is, the money waits.
-- recurring_total keeps them, so that they are proposed once.
CREATE FUNCTION billadj.propose_lines(subscription bigint, account text, change_id bigint, lines jsonb) RETURNS bigint
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET datestyle = 'ISO'
AS $function$
#variable_conflict use_column
DECLARE
    line   record;
    number bigint := 0;
BEGIN
    FOR line IN SELECT l.* FROM jsonb_to_recordset(lines) AS l(plan_price_id bigint, period_start timestamptz, quantity numeric, full_amount numeric,
                                                               amount numeric, currency text, cause text, line_covers tstzrange) LOOP
        INSERT INTO billadj.recurring_total AS t (account, subscription_id, period_start, plan_price_id, quantity, full_amount, amount, proposed, covers)
        VALUES (propose_lines.account, subscription, line.period_start, line.plan_price_id, line.quantity, line.full_amount, 0, line.amount, line.line_covers)
            ON CONFLICT (account, subscription_id, period_start, plan_price_id, quantity, full_amount)
            DO UPDATE SET proposed = t.proposed + excluded.proposed, covers = excluded.covers;
        PERFORM billadj.add_proposal(propose_lines.account, CASE WHEN line.amount < 0 THEN 'credit' ELSE 'debit' END,
            (SELECT c.charge_id FROM billadj.charge c
              WHERE c.account = propose_lines.account AND c.subscription_id = subscription AND c.period_start = line.period_start
                AND c.plan_price_id = line.plan_price_id AND c.quantity = line.quantity AND c.amount > 0
              ORDER BY c.charge_id DESC LIMIT 1),
            line.amount, line.currency, 'correction', line.period_start,
            jsonb_build_object('subscription_id', subscription, 'change_id', propose_lines.change_id, 'plan_price_id', line.plan_price_id));
        number := number + 1;
    END LOOP;
    RETURN number;
END
$function$;
COMMENT ON FUNCTION billadj.propose_lines(bigint, text, bigint, jsonb) IS 'writes differences as proposals; part of change_subscription()';
REVOKE ALL ON FUNCTION billadj.propose_lines(bigint, text, bigint, jsonb) FROM PUBLIC;

-- Terms and cycles that are not in the new timeline are superseded, those without
-- a number are new.
CREATE FUNCTION billadj.write_timeline(subscription bigint, account text, change_id bigint, terms jsonb, cycles jsonb) RETURNS integer
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET datestyle = 'ISO'
AS $function$
DECLARE
    touched integer;
    n       integer;
BEGIN
    UPDATE billadj.term t SET superseded_by = write_timeline.change_id, superseded_at = clock_timestamp()
     WHERE t.account = write_timeline.account AND t.subscription_id = subscription AND t.superseded_at IS NULL
       AND NOT EXISTS (SELECT FROM jsonb_array_elements(terms) AS e(value) WHERE (e.value ->> 'term_id')::bigint = t.term_id);
    GET DIAGNOSTICS touched = ROW_COUNT;
    INSERT INTO billadj.term (account, subscription_id, term_id, valid, plan, quantity, state, discount, priced_at, change_id)
    SELECT write_timeline.account, subscription, nextval('billadj.subscription_id_seq'), t.valid, t.plan, t.quantity, t.state, t.discount, t.priced_at, write_timeline.change_id
      FROM jsonb_to_recordset(terms) AS t(term_id bigint, valid tstzrange, plan text, quantity numeric, state text, discount numeric, priced_at timestamptz)
     WHERE t.term_id IS NULL
     ORDER BY t.valid;
    GET DIAGNOSTICS n = ROW_COUNT;
    touched := touched + n;
    UPDATE billadj.billing_cycle c SET superseded_by = write_timeline.change_id, superseded_at = clock_timestamp()
     WHERE c.account = write_timeline.account AND c.subscription_id = subscription AND c.superseded_at IS NULL
       AND NOT EXISTS (SELECT FROM jsonb_array_elements(cycles) AS e(value) WHERE (e.value ->> 'cycle_id')::bigint = c.cycle_id);
    GET DIAGNOSTICS n = ROW_COUNT;
    touched := touched + n;
    INSERT INTO billadj.billing_cycle (account, subscription_id, cycle_id, valid, anchor, every, time_zone, seam, change_id)
    SELECT write_timeline.account, subscription, nextval('billadj.subscription_id_seq'), c.valid, c.anchor, c.every, c.time_zone, coalesce(c.seam, false), write_timeline.change_id
      FROM jsonb_to_recordset(cycles) AS c(cycle_id bigint, valid tstzrange, anchor timestamptz, every interval, time_zone text, seam boolean)
     WHERE c.cycle_id IS NULL
     ORDER BY c.valid;
    GET DIAGNOSTICS n = ROW_COUNT;
    RETURN touched + n;
END
$function$;
COMMENT ON FUNCTION billadj.write_timeline(bigint, text, bigint, jsonb, jsonb) IS 'stores a new timeline beside the one it supersedes; part of change_subscription()';
REVOKE ALL ON FUNCTION billadj.write_timeline(bigint, text, bigint, jsonb, jsonb) FROM PUBLIC;

-- ---- usage that follows a timeline ----

-- When a subscription's usage has its periods and prices.  What is renewed when
-- it ends goes on: usage does not wait for the run that renews it.
CREATE FUNCTION billadj.usage_terms(account text, subscription_id bigint)
RETURNS TABLE (valid tstzrange, plan text, priced_at timestamptz)
LANGUAGE plpgsql STABLE ROWS 5
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    RETURN QUERY
    SELECT CASE WHEN s.renew_every IS NOT NULL AND t.last THEN tstzrange(lower(t.valid), NULL) ELSE t.valid END, t.plan, t.priced_at
      FROM billadj.subscription s
     CROSS JOIN LATERAL (SELECT x.valid, x.plan, x.priced_at, x.state, row_number() OVER (ORDER BY x.valid DESC) = 1 AS last
                           FROM billadj.term x
                          WHERE x.account = s.account AND x.subscription_id = s.subscription_id AND x.superseded_at IS NULL AND x.state <> 'forfeited') t
     WHERE s.account = usage_terms.account AND s.subscription_id = usage_terms.subscription_id AND t.state IN ('active', 'trial');
END
$function$;
COMMENT ON FUNCTION billadj.usage_terms(text, bigint) IS 'the terms of a subscription in which usage has its periods and the prices of its plan';
REVOKE ALL ON FUNCTION billadj.usage_terms(text, bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.usage_terms(text, bigint)
   TO billadj_admin, billadj_operator, billadj_requester, billadj_approver, billadj_policy, billadj_auditor, billadj_reader;

-- Terms that follow one another at one price are one stretch: tiers do not count
-- anew because a quantity changed.
CREATE FUNCTION billadj.usage_stretches(account text, subscription_id bigint)
RETURNS TABLE (meter text, valid tstzrange, price jsonb)
LANGUAGE plpgsql STABLE ROWS 5
SET search_path = pg_catalog, pg_temp
AS $function$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH priced AS (
        SELECT p.meter::text, t.valid, p.price,
               (lag(upper(t.valid)) OVER w = lower(t.valid) AND lag(p.price) OVER w = p.price) IS NOT TRUE AS begins
          FROM billadj.usage_terms(usage_stretches.account, usage_stretches.subscription_id) t
          JOIN billadj.plan_price p ON p.plan = t.plan AND p.kind = 'usage' AND p.valid @> t.priced_at
        WINDOW w AS (PARTITION BY p.meter ORDER BY t.valid)
    ), numbered AS (
        SELECT q.*, count(*) FILTER (WHERE q.begins) OVER (PARTITION BY q.meter ORDER BY q.valid) AS n FROM priced q
    )
    SELECT n.meter, tstzrange(min(lower(n.valid)), CASE WHEN NOT bool_or(upper_inf(n.valid)) THEN max(upper(n.valid)) END), (array_agg(n.price))[1]
      FROM numbered n
     GROUP BY n.meter, n.n
     ORDER BY n.meter COLLATE "C", 2;
END
$function$;
COMMENT ON FUNCTION billadj.usage_stretches(text, bigint) IS 'from when to when a subscription''s usage has which price of its plan';
REVOKE ALL ON FUNCTION billadj.usage_stretches(text, bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.usage_stretches(text, bigint)
   TO billadj_admin, billadj_operator, billadj_requester, billadj_approver, billadj_policy, billadj_auditor, billadj_reader;

CREATE FUNCTION billadj.follows_timeline(rate_card_id bigint, meter text, was tstzrange, will tstzrange) RETURNS boolean
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    owner record;
BEGIN
    IF to_regclass('billadj.subscription') IS NULL THEN
        RETURN false;
    END IF;
    SELECT s.account, s.subscription_id INTO owner
      FROM billadj.rate_card c JOIN billadj.subscription s ON s.account = c.account AND c.code = format('subscription %s', s.subscription_id)
     WHERE c.rate_card_id = follows_timeline.rate_card_id;
    RETURN FOUND AND (isempty(will) OR EXISTS (SELECT FROM billadj.usage_stretches(owner.account, owner.subscription_id) u
                                                WHERE u.meter = follows_timeline.meter AND u.valid = will));
END
$function$;
COMMENT ON FUNCTION billadj.follows_timeline(bigint, text, tstzrange, tstzrange) IS 'whether a price of a subscription''s plan holds from now on for when the timeline says; part of price_update_trigger()';
REVOKE ALL ON FUNCTION billadj.follows_timeline(bigint, text, tstzrange, tstzrange) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.follows_timeline(bigint, text, tstzrange, tstzrange) TO billadj_admin, billadj_operator;

CREATE FUNCTION billadj.usage_prices(account text, subscription_id bigint, card jsonb)
RETURNS TABLE (meter text, valid tstzrange, terms jsonb, tiers jsonb, linear boolean, price_id bigint)
LANGUAGE plpgsql STABLE ROWS 5
SET search_path = pg_catalog, pg_temp
AS $function$
#variable_conflict use_column
DECLARE
    stretch record;
    number  bigint := (SELECT k.rate_card_id FROM billadj.rate_card k WHERE k.code = card ->> 'code');
BEGIN
    FOR stretch IN SELECT u.* FROM billadj.usage_stretches(usage_prices.account, usage_prices.subscription_id) u LOOP
        SELECT c.* INTO meter, terms, tiers, linear
          FROM billadj.card_prices(card || jsonb_build_object('prices', jsonb_build_array(stretch.price || jsonb_build_object('meter', stretch.meter)))) c;
        valid := stretch.valid;
        price_id := (SELECT r.price_id FROM billadj.price r
                      WHERE r.rate_card_id = number AND r.meter = stretch.meter AND lower(r.valid) = lower(stretch.valid) AND r.terms = usage_prices.terms
                        AND billadj.tiers_equal(billadj.price_tiers(r.price_id), usage_prices.tiers));
        RETURN NEXT;
    END LOOP;
END
$function$;
COMMENT ON FUNCTION billadj.usage_prices(text, bigint, jsonb) IS 'usage_stretches() as a rate card holds them, with the price that is stored already; part of follow_usage_prices()';
REVOKE ALL ON FUNCTION billadj.usage_prices(text, bigint, jsonb) FROM PUBLIC;

-- A card of the account's own carries the usage prices of the plan, each for its
-- stretch: a sum is split where the plan changes.  What the timeline does not
-- say any more is withdrawn, what it says again holds again: so a change that is
-- undone leaves no trace.  Of several subscriptions that price a meter the oldest
-- one has the highest priority.
CREATE FUNCTION billadj.follow_usage_prices(subscription bigint, account text, currency text) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $function$
#variable_conflict use_column
DECLARE
    doc    jsonb := jsonb_build_object('code', format('subscription %s', subscription), 'currency', currency, 'account', account);
    number bigint;
    wanted record;
    rank   integer;
BEGIN
    SELECT c.rate_card_id, c.priority INTO number, rank FROM billadj.rate_card c WHERE c.code = doc ->> 'code';
    IF NOT FOUND THEN
        IF NOT EXISTS (SELECT FROM billadj.usage_stretches(follow_usage_prices.account, subscription)) THEN
            RETURN;
        END IF;
        rank := (SELECT -count(*) FROM billadj.subscription s WHERE s.account = follow_usage_prices.account AND s.subscription_id < subscription);
    END IF;
    doc := doc || jsonb_build_object('priority', rank);
    number := (SELECT i.card FROM billadj.import_card(doc, false) i);
    UPDATE billadj.price r SET valid = 'empty'
     WHERE r.rate_card_id = number AND NOT isempty(r.valid)
       AND r.price_id <> ALL (ARRAY(SELECT u.price_id FROM billadj.usage_prices(follow_usage_prices.account, subscription, doc) u WHERE u.price_id IS NOT NULL));
    -- shorter ones first: what comes to one may be taken from another
    FOR wanted IN
        SELECT u.*, r.valid AS was FROM billadj.usage_prices(follow_usage_prices.account, subscription, doc) u
          LEFT JOIN billadj.price r ON r.price_id = u.price_id
         WHERE r.valid IS DISTINCT FROM u.valid
         ORDER BY (u.valid <@ r.valid) IS NOT TRUE, u.meter COLLATE "C", u.valid
    LOOP
        IF wanted.price_id IS NULL OR NOT wanted.valid <@ wanted.was THEN
            PERFORM billadj.check_rank(doc, wanted.meter, wanted.valid);
        END IF;
        IF wanted.price_id IS NOT NULL THEN
            UPDATE billadj.price r SET valid = wanted.valid WHERE r.price_id = wanted.price_id;
        ELSE
            INSERT INTO billadj.meter (meter) SELECT wanted.meter WHERE NOT EXISTS (SELECT FROM billadj.meter m WHERE m.meter = wanted.meter) ON CONFLICT DO NOTHING;
            PERFORM billadj.insert_price(number, wanted.meter, wanted.valid, wanted.terms, wanted.tiers, wanted.linear);
        END IF;
    END LOOP;
END
$function$;
COMMENT ON FUNCTION billadj.follow_usage_prices(bigint, text, text) IS 'gives the account a rate card with the usage prices of its plan; part of change_subscription()';
REVOKE ALL ON FUNCTION billadj.follow_usage_prices(bigint, text, text) FROM PUBLIC;

-- Two that are equal rate usage alike.
CREATE FUNCTION billadj.usage_timeline(account text, subscription_id bigint) RETURNS jsonb
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET datestyle = 'ISO'
AS $function$
#variable_conflict use_variable
BEGIN
    RETURN jsonb_build_object(
        'terms', (SELECT range_agg(t.valid) FROM billadj.usage_terms(account, subscription_id) t),
        'cycles', (SELECT jsonb_agg(e.value - 'cycle_id' ORDER BY e.place) FROM jsonb_array_elements(billadj.stored_cycles(account, subscription_id)) WITH ORDINALITY AS e(value, place)),
        'prices', (SELECT jsonb_agg(to_jsonb(u) ORDER BY u.meter COLLATE "C", u.valid) FROM billadj.usage_stretches(account, subscription_id) u));
END
$function$;
COMMENT ON FUNCTION billadj.usage_timeline(text, bigint) IS 'all of a timeline that decides over usage; part of change_subscription()';
REVOKE ALL ON FUNCTION billadj.usage_timeline(text, bigint) FROM PUBLIC;

CREATE FUNCTION billadj.rerate_rows(accounts text[], from_at timestamptz, posting_at timestamptz)
RETURNS TABLE (account text, meter text, period_start timestamptz, posted_period_start timestamptz, price_id bigint, quantity numeric, amount numeric, currency text)
AS 'MODULE_PATHNAME', 'billadj_rerate_rows' LANGUAGE C STRICT;
COMMENT ON FUNCTION billadj.rerate_rows(text[], timestamptz, timestamptz) IS 'charges the difference where usage of accounts since a time is charged otherwise than it would be now, and returns these charges; part of rerate_accounts()';
REVOKE ALL ON FUNCTION billadj.rerate_rows(text[], timestamptz, timestamptz) FROM PUBLIC;

-- The differences by meter and period, and what is to become of them.  What was
-- proposed before is neither charged nor proposed again, whatever became of it:
-- then the difference to that is one more proposal.
CREATE FUNCTION billadj.rerated_lines(accounts text[], from_at timestamptz, posting_at timestamptz, effective_at timestamptz, as_of timestamptz)
RETURNS TABLE (account text, meter text, period_start timestamptz, posted_period_start timestamptz, quantity numeric, amount numeric, currency text, routed text)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $function$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH charged AS (
        SELECT r.account, r.meter, r.period_start, r.posted_period_start, r.currency, sum(r.quantity) AS quantity, sum(r.amount) AS amount
          FROM billadj.rerate_rows(accounts, rerated_lines.from_at, rerated_lines.posting_at) r
         GROUP BY r.account, r.meter, r.period_start, r.posted_period_start, r.currency
    ), proposed AS (
        SELECT p.account, p.target ->> 'meter' AS meter, p.period_start, p.currency, sum(p.delta) AS amount
          FROM billadj.proposal p
         WHERE p.account = ANY (accounts) AND p.cause = 'correction' AND p.target ? 'meter'
         GROUP BY p.account, p.target ->> 'meter', p.period_start, p.currency
        HAVING sum(p.delta) <> 0
    ), line AS (
        SELECT coalesce(c.account, p.account) AS account, coalesce(c.meter, p.meter) AS meter, coalesce(c.period_start, p.period_start) AS period_start,
               coalesce(c.posted_period_start, p.period_start) AS posted_period_start, coalesce(c.quantity, 0) AS quantity,
               coalesce(c.amount, 0) - coalesce(p.amount, 0) AS amount, coalesce(c.currency, p.currency) AS currency, p.amount IS NOT NULL AS proposed
          FROM charged c
          FULL JOIN proposed p ON p.account = c.account AND p.meter = c.meter AND p.period_start = c.period_start AND p.currency = c.currency
    )
    SELECT l.account, l.meter, l.period_start, l.posted_period_start, l.quantity, l.amount, l.currency,
           CASE WHEN bool_or(l.proposed) OVER w THEN 'proposal'
                ELSE billadj.change_route(l.currency, rerated_lines.effective_at, rerated_lines.as_of, sum(l.amount) OVER w) END
      FROM line l
     WHERE l.amount <> 0 OR l.quantity <> 0 OR l.proposed
    WINDOW w AS (PARTITION BY l.account, l.currency)
     ORDER BY l.account COLLATE "C", l.period_start, l.meter COLLATE "C";
END
$function$;
COMMENT ON FUNCTION billadj.rerated_lines(text[], timestamptz, timestamptz, timestamptz, timestamptz) IS 'charges differences of usage and says which of them exceed the policy; part of rerate_accounts()';
REVOKE ALL ON FUNCTION billadj.rerated_lines(text[], timestamptz, timestamptz, timestamptz, timestamptz) FROM PUBLIC;

-- What exceeds the policy is known when it is charged: then that is rolled back,
-- the accounts within the policy are charged again and the others get proposals.
CREATE FUNCTION billadj.rerate_accounts(accounts text[], from_at timestamptz, posting_at timestamptz, effective_at timestamptz, as_of timestamptz, target jsonb)
RETURNS jsonb
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET datestyle = 'ISO'
AS $function$
#variable_conflict use_variable
DECLARE
    lines   jsonb;
    refused text[];
    line    record;
BEGIN
    IF NOT EXISTS (SELECT FROM billadj.attachment) THEN
        RETURN '[]';            -- there is no usage
    END IF;
    -- of a period with a proposal, all of it is compared
    from_at := least(from_at, (SELECT min(p.period_start) FROM billadj.proposal p WHERE p.account = ANY (accounts) AND p.cause = 'correction' AND p.target ? 'meter'));
    BEGIN
        SELECT coalesce(jsonb_agg(to_jsonb(l)), '[]'), array_agg(DISTINCT l.account) FILTER (WHERE l.routed = 'proposal') INTO lines, refused
          FROM billadj.rerated_lines(accounts, from_at, posting_at, effective_at, as_of) l;
        IF refused IS NOT NULL THEN
            RAISE EXCEPTION USING ERRCODE = 'triggered_action_exception';
        END IF;
    EXCEPTION WHEN triggered_action_exception THEN
        PERFORM FROM billadj.rerate_rows(ARRAY(SELECT a FROM unnest(accounts) AS a WHERE a <> ALL (refused)), from_at, posting_at);
        FOR line IN SELECT l.* FROM jsonb_to_recordset(lines) AS l(account text, meter text, period_start timestamptz, amount numeric, currency text)
                     WHERE l.account = ANY (refused) AND l.amount <> 0 LOOP
            PERFORM billadj.add_proposal(line.account, CASE WHEN line.amount < 0 THEN 'credit' ELSE 'debit' END,
                (SELECT max(c.charge_id) FROM billadj.charge c WHERE c.account = line.account AND c.period_start = line.period_start AND c.meter = line.meter AND c.amount > 0),
                line.amount, line.currency, 'correction', line.period_start, target || jsonb_build_object('meter', line.meter));
        END LOOP;
    END;
    RETURN (SELECT coalesce(jsonb_agg(e.value || jsonb_build_object('component', format('usage of %s', e.value ->> 'meter'), 'cause', 'correction',
                                          'routed', CASE WHEN e.value ->> 'account' = ANY (refused) THEN 'proposal' ELSE 'charge' END) ORDER BY e.place), '[]')
              FROM jsonb_array_elements(lines) WITH ORDINALITY AS e(value, place)
             WHERE (e.value ->> 'amount')::numeric <> 0 OR (e.value ->> 'quantity')::numeric <> 0);
END
$function$;
COMMENT ON FUNCTION billadj.rerate_accounts(text[], timestamptz, timestamptz, timestamptz, timestamptz, jsonb) IS
    'charges, or proposes, the differences of usage of accounts; part of change_subscription() and rerate_usage()';
REVOKE ALL ON FUNCTION billadj.rerate_accounts(text[], timestamptz, timestamptz, timestamptz, timestamptz, jsonb) FROM PUBLIC;

-- Usage that was being written while a subscription changed was rated by the
-- timeline that its statement saw; subscribe(…, charge => false) rates nothing
-- anew.  This does, for all accounts by one scan.
CREATE FUNCTION billadj.rerate_usage(of_account text DEFAULT NULL, since timestamptz DEFAULT now() - interval '3 months', posting_at timestamptz DEFAULT now())
RETURNS TABLE (account text, meter text, period_start timestamptz, posted_period_start timestamptz, quantity numeric, amount numeric, currency text, routed text)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET datestyle = 'ISO'
AS $function$
#variable_conflict use_column
BEGIN
    PERFORM billadj.require_installed();
    RETURN QUERY
    SELECT l.* FROM jsonb_to_recordset(billadj.rerate_accounts(
               ARRAY(SELECT DISTINCT s.account::text FROM billadj.subscription s WHERE of_account IS NULL OR s.account = of_account),
               since, rerate_usage.posting_at, rerate_usage.posting_at, rerate_usage.posting_at, '{}')) AS l(account text, meter text, period_start timestamptz, posted_period_start timestamptz,
               quantity numeric, amount numeric, currency text, routed text);
END
$function$;
COMMENT ON FUNCTION billadj.rerate_usage(text, timestamptz, timestamptz) IS
    'charges the difference where usage of accounts with subscriptions is charged otherwise than prices and periods say now; a second run finds nothing';
REVOKE ALL ON FUNCTION billadj.rerate_usage(text, timestamptz, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.rerate_usage(text, timestamptz, timestamptz) TO billadj_admin, billadj_operator;

-- SECURITY DEFINER: nobody is a member of billadj_owner, and a host's statement
-- may change a subscription whose login has no right on our tables.  The
-- subscription's row is updated first, always: whoever comes second sees what
-- the first one did, or gets 40001.
CREATE FUNCTION billadj.change_subscription(subscription bigint, change jsonb, as_of timestamptz DEFAULT now())
RETURNS TABLE (plan text, component text, period_start timestamptz, posted_period_start timestamptz, due_at timestamptz, covers tstzrange,
    quantity numeric, full_amount numeric, share text, amount numeric, currency text, cause text, routed text)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET datestyle = 'ISO'
AS $function$
#variable_conflict use_column
DECLARE
    wanted   record;
    lines    jsonb;
    number   bigint;
    proposed boolean;
    net      numeric;
    rated_by jsonb;
    usage    jsonb := '[]';
BEGIN
    PERFORM billadj.require_installed();
    UPDATE billadj.subscription s SET revision = s.revision + 1 WHERE s.subscription_id = subscription;
    SELECT c.* INTO wanted FROM billadj.plan_change(subscription, change, as_of) c;
    IF wanted.terms = wanted.old_terms AND wanted.cycles = wanted.old_cycles AND change ->> 'kind' <> 'none' THEN
        RETURN;                 -- done already, or nothing to do
    END IF;
    SELECT coalesce(jsonb_agg(to_jsonb(l)), '[]'), coalesce(bool_or(l.routed = 'proposal'), false), coalesce(sum(l.amount) FILTER (WHERE l.routed <> 'scheduled'), 0)
      INTO lines, proposed, net
      FROM billadj.change_lines(subscription, wanted.account, wanted.effective_at, wanted.evaluate_at, wanted.since, wanted.posting_at, as_of,
                                wanted.terms, wanted.cycles) l;
    number := nextval('billadj.subscription_id_seq');
    rated_by := billadj.usage_timeline(wanted.account, subscription);
    PERFORM billadj.write_timeline(subscription, wanted.account, number, wanted.terms, wanted.cycles);
    IF change ->> 'kind' = 'cancel' THEN
        UPDATE billadj.subscription s SET renew_every = NULL WHERE s.subscription_id = subscription AND s.renew_every IS NOT NULL;
    END IF;
    PERFORM billadj.follow_usage_prices(subscription, wanted.account, wanted.currency);
    -- a zone moves the end of a period by a day at most
    IF wanted.effective_at < greatest(as_of, now()) AND rated_by IS DISTINCT FROM billadj.usage_timeline(wanted.account, subscription) THEN
        usage := billadj.rerate_accounts(ARRAY[wanted.account], wanted.effective_at - interval '2 days', wanted.posting_at, wanted.effective_at, as_of,
                                         jsonb_build_object('subscription_id', subscription, 'change_id', number));
        net := net + coalesce((SELECT sum(u.amount) FROM jsonb_to_recordset(usage) AS u(amount numeric, currency text) WHERE u.currency = wanted.currency), 0);
    END IF;
    INSERT INTO billadj.subscription_change (account, subscription_id, change_id, kind, change, effective_at, as_of, amount, currency, routed)
    VALUES (wanted.account, subscription, number, change ->> 'kind', change, wanted.effective_at, as_of, net, wanted.currency,
            CASE WHEN proposed OR jsonb_path_exists(usage, '$[*] ? (@.routed == "proposal")') THEN 'proposal' ELSE 'charge' END);
    IF proposed THEN
        PERFORM billadj.propose_lines(subscription, wanted.account, number,
                                      (SELECT jsonb_agg(e.value) FROM jsonb_array_elements(lines) AS e(value) WHERE e.value ->> 'routed' = 'proposal'));
    END IF;
    IF wanted.effective_at <= as_of THEN
        PERFORM billadj.post_differences(wanted.evaluate_at, wanted.since, wanted.posting_at, wanted.account, subscription);
    END IF;
    IF change ->> 'settle' = 'refund' AND net < 0 AND NOT proposed THEN
        PERFORM billadj.add_proposal(wanted.account, 'refund', NULL, net, wanted.currency, 'refund',
            (SELECT min((e.value ->> 'posted_period_start')::timestamptz) FROM jsonb_array_elements(lines) AS e(value)),
            jsonb_build_object('subscription_id', subscription, 'change_id', number));
    END IF;
    PERFORM billadj.send_message(wanted.account, 'subscription.' || (change ->> 'kind'),
                                  jsonb_build_object('subscription_id', subscription, 'change_id', number, 'change', change, 'effective_at', wanted.effective_at,
                                                     'amount', net, 'currency', wanted.currency, 'routed', CASE WHEN proposed THEN 'proposal' ELSE 'charge' END));
    RETURN QUERY
    SELECT l.plan, l.component, l.period_start, l.posted_period_start, l.due_at, l.covers, l.quantity, l.full_amount, l.share, l.amount, l.currency, l.cause, l.routed
      FROM jsonb_to_recordset(lines || usage) AS l(plan text, component text, period_start timestamptz, posted_period_start timestamptz, due_at timestamptz, covers tstzrange,
                                          quantity numeric, full_amount numeric, share text, amount numeric, currency text, cause text, routed text);
END
$function$;
COMMENT ON FUNCTION billadj.change_subscription(bigint, jsonb, timestamptz) IS 'changes a subscription and charges what follows; returns what preview_change() returns for the same arguments';
REVOKE ALL ON FUNCTION billadj.change_subscription(bigint, jsonb, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.change_subscription(bigint, jsonb, timestamptz) TO billadj_admin, billadj_operator;

-- ---- what people call ----

CREATE FUNCTION billadj.subscribe(account text, plan text, starts_at timestamptz DEFAULT now(), quantity numeric DEFAULT 1, trial interval DEFAULT NULL,
    ends_at timestamptz DEFAULT NULL, renew_every interval DEFAULT NULL, renew_prices text DEFAULT 'keep', discount numeric DEFAULT 0, anchor timestamptz DEFAULT NULL, time_zone text DEFAULT NULL,
    priced_at timestamptz DEFAULT NULL, subscription_key text DEFAULT NULL, attachment_id bigint DEFAULT NULL, as_of timestamptz DEFAULT now(),
    charge boolean DEFAULT true)
RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET datestyle = 'ISO'
AS $function$
#variable_conflict use_variable
DECLARE
    wanted  record;
    number  bigint;
    change  bigint;
    zone    text;
    begins  timestamptz := starts_at;
    trial_until timestamptz;
BEGIN
    PERFORM billadj.require_installed();
    SELECT p.* INTO wanted FROM billadj.plan p WHERE p.plan = subscribe.plan;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'plan % does not exist', quote_ident(plan)
            USING ERRCODE = 'UB110', HINT = 'Look for it with SELECT plan FROM billadj.plan.';
    ELSIF NOT coalesce(isfinite(begins), false) OR ends_at <= begins THEN
        PERFORM billadj.refuse_change(format('a subscription cannot begin at %s%s', coalesce(begins::text, 'null'), ' and end at ' || ends_at), NULL,
                                      'Name a finite start, and an end after it.');
    END IF;
    zone := coalesce(time_zone, (SELECT a.time_zone FROM billadj.account a WHERE a.account = subscribe.account), (billadj.settings()).time_zone);
    PERFORM billadj.period_at(begins, wanted.every, begins, zone);     -- an unknown zone is refused
    trial_until := ((begins AT TIME ZONE zone) + trial) AT TIME ZONE zone;
    number := nextval('billadj.subscription_id_seq');
    change := nextval('billadj.subscription_id_seq');
    INSERT INTO billadj.subscription (account, subscription_id, subscription_key, attachment_id, currency, starts_at, renew_every, renew_prices)
    VALUES (account, number, subscription_key, attachment_id, wanted.currency, begins, CASE WHEN ends_at IS NOT NULL THEN renew_every END, renew_prices);
    PERFORM billadj.write_timeline(number, account, change,
        (SELECT jsonb_agg(jsonb_build_object('term_id', NULL, 'valid', v.valid, 'plan', plan, 'quantity', quantity, 'state', v.state, 'discount', discount,
                                             'priced_at', coalesce(priced_at, begins)))
           FROM (VALUES ('trial', tstzrange(begins, CASE WHEN trial_until IS NULL THEN begins ELSE least(trial_until, ends_at) END)),
                        ('active', tstzrange(coalesce(trial_until, begins), CASE WHEN ends_at IS NULL OR ends_at > coalesce(trial_until, begins) THEN ends_at
                                                                                ELSE coalesce(trial_until, begins) END))) AS v(state, valid)
          WHERE NOT isempty(v.valid)),
        jsonb_build_array(jsonb_build_object('valid', tstzrange(begins, NULL), 'every', wanted.every, 'time_zone', zone,
                                             'anchor', coalesce(anchor, billadj.plan_anchor(plan, account, begins, zone)))));
    INSERT INTO billadj.subscription_change (account, subscription_id, change_id, kind, change, effective_at, as_of, amount, currency, routed)
    VALUES (account, number, change, 'start', jsonb_build_object('kind', 'start', 'plan', plan, 'quantity', quantity), begins, as_of, 0, wanted.currency, 'charge');
    IF charge AND begins <= as_of THEN
        PERFORM billadj.post_differences(as_of, begins, as_of, account, number);
    END IF;
    PERFORM billadj.follow_usage_prices(number, account, wanted.currency);
    IF charge AND begins < greatest(as_of, now()) THEN
        PERFORM billadj.rerate_accounts(ARRAY[account], begins, as_of, begins, as_of, jsonb_build_object('subscription_id', number, 'change_id', change));
    END IF;
    RETURN number;
END
$function$;
COMMENT ON FUNCTION billadj.subscribe(text, text, timestamptz, numeric, interval, timestamptz, interval, text, numeric, timestamptz, text, timestamptz, text, bigint, timestamptz, boolean) IS
    'begins a subscription and charges what is due of it';
REVOKE ALL ON FUNCTION billadj.subscribe(text, text, timestamptz, numeric, interval, timestamptz, interval, text, numeric, timestamptz, text, timestamptz, text, bigint, timestamptz, boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.subscribe(text, text, timestamptz, numeric, interval, timestamptz, interval, text, numeric, timestamptz, text, timestamptz, text, bigint, timestamptz, boolean)
   TO billadj_admin, billadj_operator;

CREATE FUNCTION billadj.change_plan(subscription bigint, plan text, at timestamptz DEFAULT NULL, quantity numeric DEFAULT NULL, direction text DEFAULT NULL, post text DEFAULT 'now', as_of timestamptz DEFAULT now())
RETURNS TABLE (line_plan text, component text, period_start timestamptz, posted_period_start timestamptz, due_at timestamptz, covers tstzrange,
    line_quantity numeric, full_amount numeric, share text, amount numeric, currency text, cause text, routed text)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $function$
#variable_conflict use_variable
BEGIN
    RETURN QUERY SELECT c.* FROM billadj.change_subscription(subscription, jsonb_strip_nulls(jsonb_build_object('kind', 'plan', 'plan', plan, 'at', at, 'quantity', quantity, 'direction', direction, 'post', post)), as_of) c;
END
$function$;
COMMENT ON FUNCTION billadj.change_plan(bigint, text, timestamptz, numeric, text, text, timestamptz) IS 'puts a subscription on another plan; a downgrade at the end of the period, everything else at once, unless at says otherwise';
REVOKE ALL ON FUNCTION billadj.change_plan(bigint, text, timestamptz, numeric, text, text, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.change_plan(bigint, text, timestamptz, numeric, text, text, timestamptz) TO billadj_admin, billadj_operator;

CREATE FUNCTION billadj.change_quantity(subscription bigint, quantity numeric, at timestamptz DEFAULT NULL, direction text DEFAULT NULL, post text DEFAULT 'now', as_of timestamptz DEFAULT now())
RETURNS TABLE (plan text, component text, period_start timestamptz, posted_period_start timestamptz, due_at timestamptz, covers tstzrange,
    line_quantity numeric, full_amount numeric, share text, amount numeric, currency text, cause text, routed text)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $function$
#variable_conflict use_variable
BEGIN
    RETURN QUERY SELECT c.* FROM billadj.change_subscription(subscription, jsonb_strip_nulls(jsonb_build_object('kind', 'quantity', 'quantity', quantity, 'at', at, 'direction', direction, 'post', post)), as_of) c;
END
$function$;
COMMENT ON FUNCTION billadj.change_quantity(bigint, numeric, timestamptz, text, text, timestamptz) IS 'changes how many seats or licences a subscription has';
REVOKE ALL ON FUNCTION billadj.change_quantity(bigint, numeric, timestamptz, text, text, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.change_quantity(bigint, numeric, timestamptz, text, text, timestamptz) TO billadj_admin, billadj_operator;

CREATE FUNCTION billadj.pause(subscription bigint, at timestamptz, until timestamptz DEFAULT NULL, post text DEFAULT 'now', as_of timestamptz DEFAULT now())
RETURNS TABLE (plan text, component text, period_start timestamptz, posted_period_start timestamptz, due_at timestamptz, covers tstzrange,
    quantity numeric, full_amount numeric, share text, amount numeric, currency text, cause text, routed text)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $function$
#variable_conflict use_variable
BEGIN
    RETURN QUERY SELECT c.* FROM billadj.change_subscription(subscription, jsonb_strip_nulls(jsonb_build_object('kind', 'pause', 'at', at, 'until', until, 'post', post)), as_of) c;
END
$function$;
COMMENT ON FUNCTION billadj.pause(bigint, timestamptz, timestamptz, text, timestamptz) IS 'nothing is charged from a time on, until another or until it is resumed';
REVOKE ALL ON FUNCTION billadj.pause(bigint, timestamptz, timestamptz, text, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.pause(bigint, timestamptz, timestamptz, text, timestamptz) TO billadj_admin, billadj_operator;

CREATE FUNCTION billadj.resume(subscription bigint, at timestamptz, post text DEFAULT 'now', as_of timestamptz DEFAULT now())
RETURNS TABLE (plan text, component text, period_start timestamptz, posted_period_start timestamptz, due_at timestamptz, covers tstzrange,
    quantity numeric, full_amount numeric, share text, amount numeric, currency text, cause text, routed text)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $function$
#variable_conflict use_variable
BEGIN
    RETURN QUERY SELECT c.* FROM billadj.change_subscription(subscription, jsonb_strip_nulls(jsonb_build_object('kind', 'resume', 'at', at, 'post', post)), as_of) c;
END
$function$;
COMMENT ON FUNCTION billadj.resume(bigint, timestamptz, text, timestamptz) IS 'a paused subscription goes on';
REVOKE ALL ON FUNCTION billadj.resume(bigint, timestamptz, text, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.resume(bigint, timestamptz, text, timestamptz) TO billadj_admin, billadj_operator;

CREATE FUNCTION billadj.cancel(subscription bigint, at timestamptz DEFAULT NULL, settle text DEFAULT 'credit', post text DEFAULT 'now', as_of timestamptz DEFAULT now())
RETURNS TABLE (plan text, component text, period_start timestamptz, posted_period_start timestamptz, due_at timestamptz, covers tstzrange,
    quantity numeric, full_amount numeric, share text, amount numeric, currency text, cause text, routed text)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $function$
#variable_conflict use_variable
BEGIN
    RETURN QUERY SELECT c.* FROM billadj.change_subscription(subscription, jsonb_strip_nulls(jsonb_build_object('kind', 'cancel', 'at', at, 'settle', settle, 'when', CASE WHEN at IS NULL THEN 'now' END, 'post', post)), as_of) c;
END
$function$;
COMMENT ON FUNCTION billadj.cancel(bigint, timestamptz, text, text, timestamptz) IS 'ends a subscription: now, or at a time; what was paid in advance is credited, credited and proposed as a refund, or kept (settle none)';
REVOKE ALL ON FUNCTION billadj.cancel(bigint, timestamptz, text, text, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.cancel(bigint, timestamptz, text, text, timestamptz) TO billadj_admin, billadj_operator;

-- ---- what falls due by time alone ----

-- An end that was agreed with a renewal is moved, once for each length that has
-- passed.
CREATE FUNCTION billadj.renew_subscriptions(at timestamptz, account text, subscription bigint) RETURNS bigint
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET datestyle = 'ISO'
AS $function$
#variable_conflict use_column
DECLARE
    due     record;
    ends_at timestamptz;
    until   timestamptz;
    number  bigint := 0;
BEGIN
    FOR due IN
        SELECT s.subscription_id, s.renew_every, s.renew_prices, e.ends_at, c.time_zone
          FROM billadj.subscription s
         CROSS JOIN LATERAL (SELECT CASE WHEN bool_and(NOT upper_inf(t.valid)) THEN max(upper(t.valid)) END AS ends_at FROM billadj.term t
                              WHERE t.account = s.account AND t.subscription_id = s.subscription_id AND t.superseded_at IS NULL) e
         CROSS JOIN LATERAL (SELECT c.time_zone FROM billadj.billing_cycle c
                              WHERE c.account = s.account AND c.subscription_id = s.subscription_id AND c.superseded_at IS NULL
                              ORDER BY c.valid DESC LIMIT 1) c
         WHERE s.renew_every IS NOT NULL AND e.ends_at <= renew_subscriptions.at
           AND (renew_subscriptions.account IS NULL OR s.account = renew_subscriptions.account)
           AND (renew_subscriptions.subscription IS NULL OR s.subscription_id = renew_subscriptions.subscription)
         ORDER BY s.account, s.subscription_id
    LOOP
        ends_at := due.ends_at;
        WHILE ends_at <= renew_subscriptions.at LOOP
            until := ((ends_at AT TIME ZONE due.time_zone) + due.renew_every) AT TIME ZONE due.time_zone;
            number := number + (SELECT count(*) FROM billadj.change_subscription(due.subscription_id, jsonb_strip_nulls(jsonb_build_object(
                'kind', 'renew', 'at', ends_at, 'until', until, 'priced_at', CASE due.renew_prices WHEN 'current' THEN ends_at END)), ends_at));
            ends_at := until;
        END LOOP;
    END LOOP;
    RETURN number;
END
$function$;
COMMENT ON FUNCTION billadj.renew_subscriptions(timestamptz, text, bigint) IS 'renews what has ended and is to be renewed; returns how many charges that made; part of charge_subscriptions()';
REVOKE ALL ON FUNCTION billadj.renew_subscriptions(timestamptz, text, bigint) FROM PUBLIC;

-- A trial that ended, a change that was scheduled: nobody was there when it
-- happened, so the customer is told, once.
CREATE FUNCTION billadj.tell_begun_terms(since timestamptz, at timestamptz, account text, subscription bigint) RETURNS bigint
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET datestyle = 'ISO'
AS $function$
#variable_conflict use_column
DECLARE
    number bigint := 0;
BEGIN
    PERFORM billadj.send_message(t.account, 'subscription.term_began',
               jsonb_build_object('subscription_id', t.subscription_id, 'term_id', t.term_id, 'at', lower(t.valid), 'plan', t.plan, 'quantity', t.quantity, 'state', t.state,
                                  'discount', t.discount, 'priced_at', t.priced_at))
      FROM billadj.term t
      JOIN billadj.subscription_change c ON c.account = t.account AND c.subscription_id = t.subscription_id AND c.change_id = t.change_id
      JOIN billadj.subscription s ON s.account = t.account AND s.subscription_id = t.subscription_id
     WHERE t.superseded_at IS NULL AND lower(t.valid) > tell_begun_terms.since AND lower(t.valid) <= tell_begun_terms.at
       AND c.as_of < lower(t.valid) AND lower(t.valid) > s.starts_at
       AND (tell_begun_terms.account IS NULL OR t.account = tell_begun_terms.account)
       AND (tell_begun_terms.subscription IS NULL OR t.subscription_id = tell_begun_terms.subscription)
       AND NOT EXISTS (SELECT FROM billadj.outbox o
                WHERE o.account = t.account AND o.topic = 'subscription.term_began' AND (o.payload ->> 'term_id')::bigint = t.term_id)
     ORDER BY t.account, t.term_id;
    GET DIAGNOSTICS number = ROW_COUNT;
    RETURN number;
END
$function$;
COMMENT ON FUNCTION billadj.tell_begun_terms(timestamptz, timestamptz, text, bigint) IS 'outbox rows for terms that began by themselves; part of charge_subscriptions()';
REVOKE ALL ON FUNCTION billadj.tell_begun_terms(timestamptz, timestamptz, text, bigint) FROM PUBLIC;

-- All that is not certain to be charged: what ended after the last run for all,
-- whatever was subscribed since (the table is locked while a run goes on, so that
-- nobody subscribes unseen), and terms that a price concerns which was imported
-- since; that may have been in progress then, hence the day.
CREATE FUNCTION billadj.charge_horizon(account text DEFAULT NULL, subscription bigint DEFAULT NULL) RETURNS timestamptz
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    last record;
BEGIN
    SELECT r.charged_until, r.created_at INTO last FROM billadj.subscription_run r ORDER BY r.run_id DESC LIMIT 1;
    IF last.charged_until IS NULL THEN
        RETURN '-infinity';
    END IF;
    RETURN least(last.charged_until,
                 (SELECT min(s.starts_at) FROM billadj.subscription s
                   WHERE s.created_at > last.created_at AND (charge_horizon.account IS NULL OR s.account = charge_horizon.account)
                     AND (charge_horizon.subscription IS NULL OR s.subscription_id = charge_horizon.subscription)),
                 (SELECT min(lower(t.valid)) FROM billadj.plan_price p
                    JOIN billadj.term t ON t.plan = p.plan AND p.valid @> t.priced_at AND t.superseded_at IS NULL
                   WHERE p.created_at > last.created_at - interval '1 day' AND p.kind <> 'usage'
                     AND (charge_horizon.account IS NULL OR t.account = charge_horizon.account)
                     AND (charge_horizon.subscription IS NULL OR t.subscription_id = charge_horizon.subscription)));
END
$function$;
COMMENT ON FUNCTION billadj.charge_horizon(text, bigint) IS
    'periods that ended before this are charged: what charge_subscriptions() need not look at; -infinity before its first run for all accounts';
REVOKE ALL ON FUNCTION billadj.charge_horizon(text, bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.charge_horizon(text, bigint)
   TO billadj_admin, billadj_operator, billadj_requester, billadj_approver, billadj_policy, billadj_auditor, billadj_reader;

-- For all subscriptions at once the table is locked against changes of any, and
-- against a second run; a few of them are locked by their rows.
CREATE FUNCTION billadj.charge_subscriptions(at timestamptz DEFAULT now(), account text DEFAULT NULL, subscription bigint DEFAULT NULL,
    since timestamptz DEFAULT NULL)
RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET work_mem = '64MB'           -- three sorts of all subscriptions
AS $function$
#variable_conflict use_variable
DECLARE
    earliest timestamptz;
    number   bigint;
BEGIN
    PERFORM billadj.require_installed();
    IF account IS NULL AND subscription IS NOT NULL THEN
        account := (SELECT f.account FROM billadj.find_subscription(subscription) f);
    END IF;
    IF account IS NULL THEN
        LOCK TABLE billadj.subscription IN SHARE ROW EXCLUSIVE MODE;
    ELSE
        FOR number IN SELECT s.subscription_id FROM billadj.subscription s
                       WHERE (account IS NULL OR s.account = charge_subscriptions.account) AND (subscription IS NULL OR s.subscription_id = subscription)
                       ORDER BY s.account, s.subscription_id LOOP
            UPDATE billadj.subscription s SET revision = s.revision + 1 WHERE s.subscription_id = number;
        END LOOP;
    END IF;
    earliest := coalesce(since, billadj.charge_horizon(account, subscription));
    number := billadj.renew_subscriptions(at, account, subscription);
    number := number + billadj.post_differences(at, earliest, at, account, subscription);
    -- nobody wants to hear today of what began long ago
    PERFORM billadj.tell_begun_terms(greatest(earliest, at - interval '3 months'), at, account, subscription);
    IF account IS NULL THEN
        PERFORM billadj.note_run(at, earliest, number);
    END IF;
    RETURN number;
END
$function$;
COMMENT ON FUNCTION billadj.charge_subscriptions(timestamptz, text, bigint, timestamptz) IS
    'charges what has fallen due of all subscriptions, of one account or of one, and was not charged yet, however long ago; since: only of periods that ended later; returns how many charges that made; run it often, a second time adds nothing';
REVOKE ALL ON FUNCTION billadj.charge_subscriptions(timestamptz, text, bigint, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.charge_subscriptions(timestamptz, text, bigint, timestamptz) TO billadj_admin, billadj_operator;

-- A run that began later than the ones before had got to leaves a gap: the next
-- one without since closes it.
CREATE FUNCTION billadj.note_run(at timestamptz, since timestamptz, charges bigint) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    until timestamptz := (SELECT r.charged_until FROM billadj.subscription_run r ORDER BY r.run_id DESC LIMIT 1);
BEGIN
    INSERT INTO billadj.subscription_run (at, since, charged_until, charges)
    VALUES (note_run.at, note_run.since,
            CASE WHEN note_run.since <= coalesce(until, '-infinity') THEN greatest(until, note_run.at) ELSE until END, note_run.charges);
END
$function$;
COMMENT ON FUNCTION billadj.note_run(timestamptz, timestamptz, bigint) IS 'notes a run for all accounts; part of charge_subscriptions()';
REVOKE ALL ON FUNCTION billadj.note_run(timestamptz, timestamptz, bigint) FROM PUBLIC;

CREATE FUNCTION billadj.raise_prices(plan text, at timestamptz, mode text, as_of timestamptz DEFAULT now())
RETURNS TABLE (account text, subscription_id bigint, action text, effective_at timestamptz, amount numeric)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET datestyle = 'ISO'
AS $function$
#variable_conflict use_column
BEGIN
    IF mode NOT IN ('grandfather', 'renewal', 'next_period', 'at_once') OR mode IS NULL THEN
        PERFORM billadj.refuse_change(format('%L is no way to raise prices', mode), NULL, 'Use grandfather, renewal, next_period or at_once.');
    END IF;
    FOR account, subscription_id, effective_at IN
        SELECT s.account, s.subscription_id,
               CASE mode WHEN 'renewal' THEN CASE WHEN s.renew_every IS NOT NULL THEN e.ends_at END
                         WHEN 'next_period' THEN CASE WHEN lower(p.period) = raise_prices.at THEN raise_prices.at ELSE upper(p.period) END
                         WHEN 'at_once' THEN raise_prices.at END
          FROM billadj.subscription s
         CROSS JOIN LATERAL (SELECT max(upper(t.valid)) AS ends_at FROM billadj.term t
                              WHERE t.account = s.account AND t.subscription_id = s.subscription_id AND t.superseded_at IS NULL
                             HAVING bool_or(t.plan = raise_prices.plan AND t.state <> 'forfeited' AND coalesce(upper(t.valid) >= raise_prices.at, true))) e
          LEFT JOIN LATERAL billadj.subscription_periods(s.account, s.subscription_id, raise_prices.at, raise_prices.at + '1 microsecond') p ON true
         ORDER BY s.account, s.subscription_id
    LOOP
        amount := NULL;
        action := CASE WHEN mode = 'grandfather' OR effective_at IS NULL THEN 'kept' WHEN mode = 'renewal' THEN 'at renewal' ELSE 'changed' END;
        IF action = 'at renewal' THEN
            UPDATE billadj.subscription s SET renew_prices = 'current', revision = s.revision + 1
             WHERE s.account = raise_prices.account AND s.subscription_id = raise_prices.subscription_id;
        ELSIF action = 'changed' AND NOT EXISTS (SELECT FROM billadj.term t
                WHERE t.account = raise_prices.account AND t.subscription_id = raise_prices.subscription_id AND t.superseded_at IS NULL
                  AND t.valid @> effective_at AND t.state <> 'forfeited') THEN
            action := 'ended before';
        ELSIF action = 'changed' THEN
            amount := (SELECT coalesce(sum(c.amount) FILTER (WHERE c.routed <> 'scheduled'), 0)
                         FROM billadj.change_subscription(subscription_id, jsonb_build_object('kind', 'price', 'at', effective_at), as_of) c);
        END IF;
        RETURN NEXT;
    END LOOP;
END
$function$;
COMMENT ON FUNCTION billadj.raise_prices(text, timestamptz, text, timestamptz) IS
    'brings the subscriptions of a plan to its prices of a time: not at all (grandfather), when they renew, with their next period, or at once, prorated';
REVOKE ALL ON FUNCTION billadj.raise_prices(text, timestamptz, text, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.raise_prices(text, timestamptz, text, timestamptz) TO billadj_admin;

CREATE FUNCTION billadj.add_milestone(subscription bigint, description text, due_at timestamptz, amount numeric) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $function$
#variable_conflict use_variable
DECLARE
    owner  record;
    number bigint;
BEGIN
    SELECT f.* INTO owner FROM billadj.find_subscription(subscription) f;
    number := nextval('billadj.subscription_id_seq');
    INSERT INTO billadj.milestone (account, milestone_id, subscription_id, description, due_at, amount, currency)
    VALUES (owner.account, number, subscription, description, due_at, billadj.exact(amount), owner.currency);
    RETURN number;
END
$function$;
COMMENT ON FUNCTION billadj.add_milestone(bigint, text, timestamptz, numeric) IS 'an amount that falls due when reach_milestone() is called';
REVOKE ALL ON FUNCTION billadj.add_milestone(bigint, text, timestamptz, numeric) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.add_milestone(bigint, text, timestamptz, numeric) TO billadj_admin, billadj_operator;

CREATE FUNCTION billadj.reach_milestone(milestone bigint, reached_at timestamptz DEFAULT now()) RETURNS numeric
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $function$
#variable_conflict use_variable
DECLARE
    wanted record;
    period timestamptz;
BEGIN
    -- one update finds it open, whoever comes second finds nothing
    UPDATE billadj.milestone m SET reached_at = reach_milestone.reached_at, reached_by = session_user
     WHERE m.milestone_id = milestone AND m.reached_at IS NULL
    RETURNING m.* INTO wanted;
    IF NOT FOUND THEN
        IF NOT EXISTS (SELECT FROM billadj.milestone m WHERE m.milestone_id = milestone) THEN
            PERFORM billadj.refuse_change(format('milestone %s does not exist', milestone), NULL, 'Look for it with SELECT * FROM billadj.milestone.');
        END IF;
        RETURN 0;
    END IF;
    period := coalesce((SELECT lower(p.period) FROM billadj.subscription_periods(wanted.account, wanted.subscription_id, reached_at, reached_at + '1 microsecond') p),
                       reached_at);
    INSERT INTO billadj.charge (account, charge_id, period_start, posted_period_start, occurred_at, quantity, amount, currency, cause, row_count, basis,
                                created_at, created_by, subscription_id)
    VALUES (wanted.account, nextval('billadj.charge_id_seq'), period, period, reached_at, 1, wanted.amount, wanted.currency, 'milestone', 0,
            jsonb_build_object('milestone_id', milestone, 'description', wanted.description), clock_timestamp(), session_user, wanted.subscription_id);
    PERFORM billadj.send_message(wanted.account, 'subscription.milestone',
                                  jsonb_build_object('subscription_id', wanted.subscription_id, 'milestone_id', milestone, 'amount', wanted.amount, 'currency', wanted.currency));
    RETURN wanted.amount;
END
$function$;
COMMENT ON FUNCTION billadj.reach_milestone(bigint, timestamptz) IS 'marks a milestone reached and charges its amount; 0 when it was reached before';
REVOKE ALL ON FUNCTION billadj.reach_milestone(bigint, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.reach_milestone(bigint, timestamptz) TO billadj_admin, billadj_operator;

CREATE FUNCTION billadj.subscriptions_due(from_at timestamptz DEFAULT now(), to_at timestamptz DEFAULT now() + interval '1 month', of_account text DEFAULT NULL)
RETURNS TABLE (account text, subscription_id bigint, due_at timestamptz, what text, detail text, amount numeric, currency text)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET datestyle = 'ISO'
AS $function$
#variable_conflict use_column
BEGIN
    PERFORM billadj.require_installed();
    RETURN QUERY
    SELECT d.account, d.subscription_id, d.due_at, CASE WHEN d.due_at < subscriptions_due.from_at THEN 'overdue' ELSE 'charge' END,
           format('%s %s', p.plan, p.component), d.amount, d.currency
      FROM billadj.recurring_differences(subscriptions_due.to_at, least(subscriptions_due.from_at, billadj.charge_horizon(subscriptions_due.of_account)),
                                         NULL, subscriptions_due.of_account) d
      JOIN billadj.plan_price p ON p.plan_price_id = d.plan_price_id
     WHERE d.due_at < subscriptions_due.to_at
    UNION ALL
    SELECT t.account, t.subscription_id, lower(t.valid), CASE WHEN b.state = 'trial' AND t.state = 'active' THEN 'trial end' ELSE 'change' END,
           concat_ws(', ', t.plan, t.quantity, t.state, CASE WHEN t.discount <> b.discount THEN format('discount %s %%', t.discount) END,
                     CASE WHEN t.priced_at <> b.priced_at AND t.plan = b.plan THEN format('prices of %s', t.priced_at) END), NULL, NULL
      FROM billadj.term t
      JOIN billadj.term b ON b.account = t.account AND b.subscription_id = t.subscription_id AND b.superseded_at IS NULL AND upper(b.valid) = lower(t.valid)
     WHERE t.superseded_at IS NULL AND lower(t.valid) >= subscriptions_due.from_at AND lower(t.valid) < subscriptions_due.to_at
       AND (subscriptions_due.of_account IS NULL OR t.account = subscriptions_due.of_account)
    UNION ALL
    SELECT t.account, t.subscription_id, upper(t.valid), CASE WHEN s.renew_every IS NULL THEN 'end' ELSE 'renewal' END,
           coalesce(format('for %s, prices: %s', s.renew_every, s.renew_prices), ''), NULL, NULL
      FROM billadj.term t
      JOIN billadj.subscription s ON s.account = t.account AND s.subscription_id = t.subscription_id
     WHERE t.superseded_at IS NULL AND t.state <> 'forfeited' AND upper(t.valid) >= subscriptions_due.from_at AND upper(t.valid) < subscriptions_due.to_at
       AND NOT EXISTS (SELECT FROM billadj.term n WHERE n.account = t.account AND n.subscription_id = t.subscription_id AND n.superseded_at IS NULL
                                                    AND n.state <> 'forfeited' AND lower(n.valid) >= upper(t.valid))
       AND (subscriptions_due.of_account IS NULL OR t.account = subscriptions_due.of_account)
    UNION ALL
    SELECT m.account, m.subscription_id, m.due_at, 'milestone', m.description, m.amount, m.currency
      FROM billadj.milestone m
     WHERE m.reached_at IS NULL AND m.due_at < subscriptions_due.to_at AND (subscriptions_due.of_account IS NULL OR m.account = subscriptions_due.of_account)
     ORDER BY 3, 1, 2, 4, 5;
END
$function$;
COMMENT ON FUNCTION billadj.subscriptions_due(timestamptz, timestamptz, text) IS
    'what falls due of subscriptions in a time: charges, trial ends, scheduled changes, ends, renewals and open milestones; and what is overdue: due before, not charged yet';
REVOKE ALL ON FUNCTION billadj.subscriptions_due(timestamptz, timestamptz, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.subscriptions_due(timestamptz, timestamptz, text)
   TO billadj_admin, billadj_operator, billadj_requester, billadj_approver, billadj_policy, billadj_auditor, billadj_reader;

-- ---- a host's own table of subscriptions ----

-- Brings one subscription to what its host row says, from a time on.  plan NULL:
-- the row is gone.
CREATE FUNCTION billadj.follow_subscription(attachment_id bigint, account text, subscription_key text, plan text, quantity numeric,
    starts_at timestamptz, ends_at timestamptz, at timestamptz)
RETURNS text
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET datestyle = 'ISO'
AS $function$
#variable_conflict use_variable
DECLARE
    number bigint;
    here   record;
    until  timestamptz;
    moment timestamptz;
    did    text := '';
BEGIN
    SELECT s.subscription_id INTO number FROM billadj.subscription s
     WHERE s.account = follow_subscription.account AND s.subscription_key = follow_subscription.subscription_key
       AND s.attachment_id = follow_subscription.attachment_id;
    IF number IS NULL THEN
        IF plan IS NULL OR ends_at <= coalesce(starts_at, at) THEN
            RETURN '';
        END IF;
        number := billadj.subscribe(account, plan, coalesce(starts_at, at), coalesce(quantity, 1), ends_at => ends_at,
                                    subscription_key => subscription_key, attachment_id => attachment_id, as_of => at);
        RETURN 'subscribed';
    END IF;
    -- a change before the start takes effect with it
    SELECT greatest(at, s.starts_at) INTO moment FROM billadj.subscription s WHERE s.account = follow_subscription.account AND s.subscription_id = number;
    SELECT CASE WHEN bool_and(NOT upper_inf(t.valid)) THEN max(upper(t.valid)) END INTO until
      FROM billadj.term t
     WHERE t.account = follow_subscription.account AND t.subscription_id = number AND t.superseded_at IS NULL AND t.state <> 'forfeited';
    IF plan IS NULL OR ends_at < moment THEN
        ends_at := moment;
    END IF;
    IF plan IS NOT NULL AND until <= moment AND coalesce(ends_at > moment, true) THEN
        PERFORM FROM billadj.change_subscription(number, jsonb_strip_nulls(jsonb_build_object('kind', 'reactivate', 'plan', plan, 'quantity', quantity, 'at', moment)), at);
        until := NULL;
        did := 'reactivated';
    ELSIF until IS NOT NULL AND plan IS NOT NULL AND until > moment AND (ends_at IS NULL OR ends_at > until) THEN
        PERFORM FROM billadj.change_subscription(number, jsonb_build_object('kind', 'renew', 'at', until), at);
        until := NULL;
        did := 'renewed';
    END IF;
    SELECT t.plan, t.quantity INTO here FROM billadj.term t
     WHERE t.account = follow_subscription.account AND t.subscription_id = number AND t.superseded_at IS NULL AND t.valid @> moment AND t.state <> 'forfeited';
    IF FOUND AND plan IS NOT NULL AND (here.plan <> plan OR here.quantity <> coalesce(quantity, here.quantity)) THEN
        PERFORM FROM billadj.change_subscription(number, jsonb_strip_nulls(jsonb_build_object(
            'kind', CASE WHEN here.plan = plan THEN 'quantity' ELSE 'plan' END, 'plan', CASE WHEN here.plan <> plan THEN plan END,
            'quantity', quantity, 'at', moment)), at);
        did := concat_ws(', ', nullif(did, ''), 'changed');
    END IF;
    IF ends_at IS NOT NULL AND coalesce(until > ends_at, until IS NULL) THEN
        PERFORM FROM billadj.change_subscription(number, jsonb_build_object('kind', 'cancel', 'at', ends_at), at);
        did := concat_ws(', ', nullif(did, ''), 'cancelled');
    END IF;
    RETURN did;
END
$function$;
COMMENT ON FUNCTION billadj.follow_subscription(bigint, text, text, text, numeric, timestamptz, timestamptz, timestamptz) IS
    'changes a subscription to what its host row says; part of attach_subscriptions()';
REVOKE ALL ON FUNCTION billadj.follow_subscription(bigint, text, text, text, numeric, timestamptz, timestamptz, timestamptz) FROM PUBLIC;

-- The columns of a host row as an expression of SQL; alias names the row.
CREATE FUNCTION billadj.subscription_columns(mapping jsonb, alias text) RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
SELECT string_agg(CASE WHEN mapping ->> v.name IS NULL THEN format('NULL::%s AS %I', v.type, v.name)
                       WHEN v.name IN ('account', 'subscription_key') THEN format('billadj.event_key((%s).%I) AS %I', alias, mapping ->> v.name, v.name)
                       ELSE format('(%s).%I::%s AS %I', alias, mapping ->> v.name, v.type, v.name) END, ', ' ORDER BY v.place)
  FROM (VALUES (1, 'account', 'text'), (2, 'subscription_key', 'text'), (3, 'plan', 'text'), (4, 'quantity', 'numeric'),
               (5, 'starts_at', 'timestamptz'), (6, 'ends_at', 'timestamptz')) AS v(place, name, type)
$function$;
COMMENT ON FUNCTION billadj.subscription_columns(jsonb, text) IS 'what is read of a host row of subscriptions; part of attach_subscriptions()';
REVOKE ALL ON FUNCTION billadj.subscription_columns(jsonb, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.subscription_columns(jsonb, text) TO billadj_admin, billadj_operator;

-- SECURITY DEFINER: the host's login has no right on our tables.  What is wrong
-- with a subscription does not fail the host's statement, unless it was attached
-- so; a conflict with another transaction always does, since it can be repeated.
CREATE FUNCTION billadj.subscription_row_trigger() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    binding record;
    was     record;
    now_is  record;
BEGIN
    IF current_setting('row_security') = 'off'
       AND (SELECT r.rolsuper FROM pg_roles r WHERE r.rolname = session_user) THEN
        RETURN NULL;            -- a restore brings the timelines as well
    END IF;
    SELECT a.* INTO binding FROM billadj.subscription_attachment a WHERE a.attachment_id = tg_argv[0]::bigint AND a.state = 'active';
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    SELECT NULL::text AS account, NULL::text AS subscription_key, NULL::text AS plan, NULL::numeric AS quantity,
           NULL::timestamptz AS starts_at, NULL::timestamptz AS ends_at INTO was;
    now_is := was;
    BEGIN
        IF tg_op <> 'INSERT' THEN
            EXECUTE 'SELECT ' || billadj.subscription_columns(binding.mapping, '$1') INTO was USING old;
        END IF;
        IF tg_op <> 'DELETE' THEN
            EXECUTE 'SELECT ' || billadj.subscription_columns(binding.mapping, '$1') INTO now_is USING new;
        END IF;
        IF tg_op = 'DELETE' OR tg_op = 'UPDATE' AND (was.account, was.subscription_key) IS DISTINCT FROM (now_is.account, now_is.subscription_key) THEN
            PERFORM billadj.follow_subscription(binding.attachment_id, was.account, was.subscription_key, NULL, NULL, NULL, NULL, now());
        END IF;
        IF tg_op <> 'DELETE' THEN
            PERFORM billadj.follow_subscription(binding.attachment_id, now_is.account, now_is.subscription_key, now_is.plan, now_is.quantity,
                                                now_is.starts_at, now_is.ends_at, now());
        END IF;
    EXCEPTION WHEN OTHERS THEN
        IF binding.mapping ->> 'on_error' = 'reject' OR sqlstate LIKE '40%' THEN
            RAISE;
        END IF;
        RAISE WARNING 'subscription of table % is not followed: %', tg_relid::regclass, sqlerrm
            USING DETAIL = format('SQLSTATE %s, account %s, key %s.', sqlstate, coalesce(now_is.account, was.account), coalesce(now_is.subscription_key, was.subscription_key)),
                  HINT = format('Mend it, then SELECT billadj.sync_subscriptions(%L);', tg_relid::regclass::text);
    END;
    RETURN NULL;
END
$function$;
COMMENT ON FUNCTION billadj.subscription_row_trigger() IS 'trigger on a host table of subscriptions: what changes in a row changes its subscription';
REVOKE ALL ON FUNCTION billadj.subscription_row_trigger() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.subscription_row_trigger() TO billadj_admin;

CREATE FUNCTION billadj.subscription_attachment_of(relation regclass) RETURNS bigint
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    number bigint;
BEGIN
    SELECT split_part(encode(t.tgargs, 'escape'), '\000', 1)::bigint INTO number
      FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
     WHERE t.tgrelid = relation AND p.proname = 'subscription_row_trigger' AND p.pronamespace = 'billadj'::regnamespace
     LIMIT 1;
    IF number IS NULL THEN
        RAISE EXCEPTION 'table % is not attached', relation
            USING ERRCODE = 'UB014', HINT = format('SELECT * FROM billadj.attach_subscriptions(%L, account => …, plan => …);', relation::text);
    END IF;
    RETURN number;
END
$function$;
COMMENT ON FUNCTION billadj.subscription_attachment_of(regclass) IS 'number of the attachment of a host table of subscriptions, or error UB014';
REVOKE ALL ON FUNCTION billadj.subscription_attachment_of(regclass) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.subscription_attachment_of(regclass) TO billadj_admin, billadj_operator, billadj_auditor;

CREATE FUNCTION billadj.attach_subscriptions(relation regclass, account text, plan text, quantity text DEFAULT NULL, subscription_key text DEFAULT NULL,
    starts_at text DEFAULT NULL, ends_at text DEFAULT NULL, on_error text DEFAULT 'warn', lock_timeout interval DEFAULT '2 s', dry_run boolean DEFAULT false)
RETURNS TABLE (step integer, action text, object text, lock text, sql text, done boolean)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $function$
#variable_conflict use_variable
DECLARE
    wanted  record;
    host    record;
    key     text := subscription_key;
    mapping jsonb;
    changed text;
    number  text := '<attachment_id>';
    waited  text;
BEGIN
    PERFORM billadj.require_installed();
    PERFORM billadj.require_host_owner(relation);
    PERFORM billadj.check_host(relation);
    IF on_error NOT IN ('warn', 'reject') OR on_error IS NULL THEN
        RAISE EXCEPTION 'on_error % is unknown', quote_nullable(on_error) USING ERRCODE = 'UB013', HINT = 'It is ''warn'' or ''reject''.';
    END IF;
    IF key IS NULL THEN
        SELECT a.attname INTO key FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
         WHERE i.indrelid = relation AND i.indisprimary AND i.indnkeyatts = 1;
        IF key IS NULL THEN
            RAISE EXCEPTION 'table % has no primary key of one column', relation
                USING ERRCODE = 'UB013', HINT = 'Name the column that tells its rows apart: subscription_key => ….';
        END IF;
    END IF;
    PERFORM billadj.check_column(relation, v.role, v.name)
       FROM (VALUES ('account', account), ('event key', key), ('meter', plan), ('quantity', quantity), ('time', starts_at), ('time', ends_at)) AS v(role, name)
      WHERE v.name IS NOT NULL;
    IF EXISTS (SELECT FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
                WHERE t.tgrelid = relation AND p.proname = 'subscription_row_trigger' AND p.pronamespace = 'billadj'::regnamespace) THEN
        RAISE EXCEPTION 'cannot attach %: it is attached already', relation
            USING ERRCODE = 'UB013', HINT = format('SELECT * FROM billadj.detach_subscriptions(%L);', relation::text);
    END IF;
    mapping := jsonb_strip_nulls(jsonb_build_object('account', account, 'subscription_key', key, 'plan', plan, 'quantity', quantity,
                                                    'starts_at', starts_at, 'ends_at', ends_at, 'on_error', on_error));
    changed := (SELECT string_agg(format('old.%1$I IS DISTINCT FROM new.%1$I', e.value), ' OR ' ORDER BY e.value COLLATE "C")
                  FROM (SELECT DISTINCT m.value FROM jsonb_each_text(mapping - 'on_error') m) e);
    done := NOT dry_run;
    step := 1;
    action := 'insert attachment';
    object := 'billadj.subscription_attachment';
    lock := 'RowExclusiveLock';
    SELECT n.nspname, c.relname INTO host FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = relation;
    sql := format('INSERT INTO billadj.subscription_attachment (schema_name, relation_name, mapping) VALUES (%L, %L, %L)', host.nspname, host.relname, mapping);
    IF NOT dry_run THEN
        waited := billadj.swap_lock_timeout(lock_timeout);
        EXECUTE sql || ' RETURNING attachment_id::text' INTO number;
    END IF;
    RETURN NEXT;
    FOR wanted IN SELECT v.* FROM (VALUES ('insert', 'INSERT', ''), ('update', 'UPDATE', format(' WHEN (%s)', changed)), ('delete', 'DELETE', '')) AS v(name, event, condition) LOOP
        step := step + 1;
        action := 'create trigger';
        object := relation::text;
        lock := 'ShareRowExclusiveLock';
        sql := format('CREATE TRIGGER billadj_subscription_%s AFTER %s ON %s FOR EACH ROW%s EXECUTE FUNCTION billadj.subscription_row_trigger(%L)',
                      wanted.name, wanted.event, relation, wanted.condition, number);
        IF NOT dry_run THEN
            EXECUTE sql;
        END IF;
        RETURN NEXT;
    END LOOP;
    PERFORM set_config('lock_timeout', waited, true) WHERE waited IS NOT NULL;
END
$function$;
COMMENT ON FUNCTION billadj.attach_subscriptions(regclass, text, text, text, text, text, text, text, interval, boolean) IS
    'makes the rows of a host table subscriptions: an UPDATE of plan or quantity is a change, a DELETE or an end cancels; then run sync_subscriptions(); owner of the table and billadj_admin';
REVOKE ALL ON FUNCTION billadj.attach_subscriptions(regclass, text, text, text, text, text, text, text, interval, boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.attach_subscriptions(regclass, text, text, text, text, text, text, text, interval, boolean) TO billadj_admin;

CREATE FUNCTION billadj.detach_subscriptions(relation regclass, dry_run boolean DEFAULT false)
RETURNS TABLE (step integer, action text, object text, lock text, sql text, done boolean)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $function$
#variable_conflict use_variable
DECLARE
    number bigint;
    name   text;
BEGIN
    PERFORM billadj.require_host_owner(relation);
    number := billadj.subscription_attachment_of(relation);
    done := NOT dry_run;
    step := 0;
    FOR name IN SELECT t.tgname FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
                 WHERE t.tgrelid = relation AND p.proname = 'subscription_row_trigger' AND p.pronamespace = 'billadj'::regnamespace ORDER BY 1 LOOP
        step := step + 1;
        action := 'drop trigger';
        object := relation::text;
        lock := 'AccessExclusiveLock';
        sql := format('DROP TRIGGER %I ON %s', name, relation);
        IF NOT dry_run THEN
            EXECUTE sql;
        END IF;
        RETURN NEXT;
    END LOOP;
    step := step + 1;
    action := 'update attachment';
    object := 'billadj.subscription_attachment';
    lock := 'RowExclusiveLock';
    sql := format('UPDATE billadj.subscription_attachment SET state = ''detached'' WHERE attachment_id = %s', number);
    IF NOT dry_run THEN
        EXECUTE sql;
    END IF;
    RETURN NEXT;
END
$function$;
COMMENT ON FUNCTION billadj.detach_subscriptions(regclass, boolean) IS 'drops the triggers of attach_subscriptions(); the subscriptions go on by themselves; owner of the table and billadj_admin';
REVOKE ALL ON FUNCTION billadj.detach_subscriptions(regclass, boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.detach_subscriptions(regclass, boolean) TO billadj_admin;

-- Runs as the caller: who may read the host table is the host's business.
CREATE FUNCTION billadj.subscription_gap(relation regclass)
RETURNS TABLE (account text, subscription_key text, problem text)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    number bigint := billadj.subscription_attachment_of(relation);
BEGIN
    RETURN QUERY EXECUTE format($sql$
        WITH host AS (SELECT %s FROM %s AS r), ours AS (
            SELECT s.account, s.subscription_key, t.plan, t.quantity, t.term_id
              FROM billadj.subscription s
              LEFT JOIN billadj.term t ON t.account = s.account AND t.subscription_id = s.subscription_id AND t.superseded_at IS NULL
                   AND t.state <> 'forfeited' AND t.valid @> greatest(now(), s.starts_at)
             WHERE s.attachment_id = $1)
        SELECT coalesce(h.account, o.account), coalesce(h.subscription_key, o.subscription_key),
               CASE WHEN o.subscription_key IS NULL THEN 'not subscribed'
                    WHEN h.subscription_key IS NULL THEN 'the row is gone'
                    WHEN o.term_id IS NULL THEN 'has ended'
                    WHEN h.ends_at <= now() THEN 'should have ended'
                    WHEN o.plan <> h.plan THEN format('plan %%s instead of %%s', o.plan, h.plan)
                    ELSE format('quantity %%s instead of %%s', o.quantity, h.quantity) END
          FROM host h FULL JOIN ours o ON o.account = h.account AND o.subscription_key = h.subscription_key
         WHERE CASE WHEN o.subscription_key IS NULL THEN h.plan IS NOT NULL AND coalesce(h.ends_at > now(), true)
                    WHEN h.subscription_key IS NULL OR h.ends_at <= now() OR h.plan IS NULL THEN o.term_id IS NOT NULL
                    ELSE o.term_id IS NULL OR o.plan <> h.plan OR o.quantity <> coalesce(h.quantity, o.quantity) END
         ORDER BY 1, 2$sql$,
        billadj.subscription_columns((SELECT a.mapping FROM billadj.subscription_attachment a WHERE a.attachment_id = number), 'r'), relation)
    USING number;
END
$function$;
COMMENT ON FUNCTION billadj.subscription_gap(regclass) IS 'rows of an attached table whose subscription says something else; no row: none';
REVOKE ALL ON FUNCTION billadj.subscription_gap(regclass) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.subscription_gap(regclass) TO billadj_admin, billadj_operator, billadj_auditor;

CREATE FUNCTION billadj.sync_subscription(attachment_id bigint, account text, subscription_key text, plan text, quantity numeric,
    starts_at timestamptz, ends_at timestamptz) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    RETURN billadj.follow_subscription($1, $2, $3, $4, $5, $6, $7, now());
END
$function$;
COMMENT ON FUNCTION billadj.sync_subscription(bigint, text, text, text, numeric, timestamptz, timestamptz) IS 'brings one subscription to what its host row says; part of sync_subscriptions()';
REVOKE ALL ON FUNCTION billadj.sync_subscription(bigint, text, text, text, numeric, timestamptz, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.sync_subscription(bigint, text, text, text, numeric, timestamptz, timestamptz) TO billadj_admin, billadj_operator;

CREATE FUNCTION billadj.sync_subscriptions(relation regclass) RETURNS bigint
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    attached bigint := billadj.subscription_attachment_of(relation);
    account  text;
    key      text;
    plan     text;
    quantity numeric;
    starts_at timestamptz;
    ends_at  timestamptz;
    number   bigint := 0;
BEGIN
    FOR account, key, plan, quantity, starts_at, ends_at IN EXECUTE format('SELECT g.account, g.subscription_key, h.plan, h.quantity, h.starts_at, h.ends_at
                                    FROM billadj.subscription_gap(%L) g
                                    LEFT JOIN (SELECT %s FROM %s AS r) h ON h.account = g.account AND h.subscription_key = g.subscription_key
                                   ORDER BY g.account, g.subscription_key', relation,
                                 billadj.subscription_columns((SELECT a.mapping FROM billadj.subscription_attachment a WHERE a.attachment_id = attached), 'r'), relation) LOOP
        PERFORM billadj.sync_subscription(attached, account, key, plan, quantity, starts_at, ends_at);
        number := number + 1;
    END LOOP;
    RETURN number;
END
$function$;
COMMENT ON FUNCTION billadj.sync_subscriptions(regclass) IS 'brings the subscriptions of an attached table to what its rows say, from now on; returns how many';
REVOKE ALL ON FUNCTION billadj.sync_subscriptions(regclass) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.sync_subscriptions(regclass) TO billadj_admin, billadj_operator;

-- ---- usage of a period that a change cuts ----

-- What adds up is split where it happened.  What is one figure of the whole
-- period (how many at most, how many different ones, the last one) is taken of
-- each part by itself and owed for that part's share of the period: a peak in the
-- first half does not cost a second time in the other.
CREATE FUNCTION billadj.segment_usage(aggregation text, period tstzrange, parts tstzrange[], events jsonb, day_count text DEFAULT 'actual_days',
    time_zone text DEFAULT 'UTC')
RETURNS TABLE (part integer, quantity numeric, numerator numeric, denominator numeric)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    IF aggregation NOT IN ('sum', 'count', 'max', 'unique', 'latest') OR aggregation IS NULL THEN
        PERFORM billadj.refuse_change(format('%L is no way to aggregate usage', aggregation), NULL, 'Use sum, count, max, unique or latest.');
    END IF;
    RETURN QUERY
    SELECT p.part::integer, u.quantity,
           CASE WHEN segment_usage.aggregation IN ('sum', 'count') THEN 1 ELSE f.numerator END,
           CASE WHEN segment_usage.aggregation IN ('sum', 'count') THEN 1 ELSE f.denominator END
      FROM unnest(parts) WITH ORDINALITY AS p(span, part)
     CROSS JOIN LATERAL billadj.day_fraction(segment_usage.period, p.span, segment_usage.day_count, segment_usage.time_zone) f
     CROSS JOIN LATERAL (SELECT coalesce(CASE segment_usage.aggregation WHEN 'sum' THEN sum((e.value ->> 'quantity')::numeric) WHEN 'count' THEN count(*)
                                              WHEN 'max' THEN max((e.value ->> 'quantity')::numeric) WHEN 'unique' THEN count(DISTINCT e.value ->> 'key')
                                              ELSE (array_agg((e.value ->> 'quantity')::numeric ORDER BY (e.value ->> 'at')::timestamptz DESC, e.place DESC))[1] END, 0) AS quantity
                           FROM jsonb_array_elements(segment_usage.events) WITH ORDINALITY AS e(value, place)
                          WHERE (e.value ->> 'at')::timestamptz <@ p.span) u
     ORDER BY p.part;
END
$function$;
COMMENT ON FUNCTION billadj.segment_usage(text, tstzrange, tstzrange[], jsonb, text, text) IS
    'usage of each part of a period that a change cuts: sum and count are split, max, unique and latest are taken of each part and owed for its share of the period';
REVOKE ALL ON FUNCTION billadj.segment_usage(text, tstzrange, tstzrange[], jsonb, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.segment_usage(text, tstzrange, tstzrange[], jsonb, text, text)
   TO billadj_admin, billadj_operator, billadj_requester, billadj_approver, billadj_policy, billadj_auditor, billadj_reader;
