-- ---- explain: why an amount is what it is, and the same amount again ----

-- Shares of one usage row whose price rounds at the row.
CREATE FUNCTION billadj.share_residual(exact numeric[], step numeric, mode text)
RETURNS numeric[]
AS 'MODULE_PATHNAME', 'billadj_share_residual'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION billadj.share_residual(numeric[], numeric, text)
    IS 'exact amounts rounded to a step so that they sum to their rounded total';

-- What the columns and the basis of a charge say about its two totals.  The
-- rules are those of the ledger:
--   a linear price rates the quantity by itself, whatever its sign;
--   any other charges f(after) - f(before);
--   a position row posts that difference minus the one its transaction had
--   booked from the total it assumed;
--   a period without rows costs nothing, not even f(0).
CREATE FUNCTION billadj.charge_totals(explanation jsonb)
RETURNS TABLE (part text, sign integer, price jsonb, before numeric, after numeric)
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
    WITH charge AS (
        SELECT e.explanation#>'{price,document}' AS document,
               (e.explanation#>>'{price,linear}')::boolean AS linear,
               e.explanation->>'cause' = 'position' AS is_position,
               (e.explanation->>'quantity')::numeric AS quantity,
               (e.explanation->>'quantity_before')::numeric AS before,
               e.explanation->'basis' AS basis
          FROM (VALUES (explanation)) AS e(explanation)
    )
    SELECT 'amount', 1, c.document || '{"negative": "credit"}', NULL, c.quantity
      FROM charge c
     WHERE c.linear AND NOT c.is_position
    UNION ALL
    SELECT 'amount', 1, c.document, c.before,
           CASE WHEN (c.basis->>'rows_after')::bigint <= 0 THEN NULL ELSE coalesce(c.before, 0) + c.quantity END
      FROM charge c
     WHERE NOT c.linear AND NOT c.is_position
    UNION ALL
    SELECT 'due', 1, c.document, c.before,
           CASE WHEN (c.basis->>'rows_after')::bigint <= 0 THEN NULL
                ELSE coalesce(c.before, 0) + (c.basis->>'quantity')::numeric END
      FROM charge c
     WHERE c.is_position
    UNION ALL
    SELECT 'booked', -1, c.document, (c.basis->>'assumed_before')::numeric,
           CASE WHEN (c.basis->>'assumed_rows_after')::bigint <= 0 THEN NULL
                ELSE coalesce((c.basis->>'assumed_before')::numeric, 0) + (c.basis->>'quantity')::numeric END
      FROM charge c
     WHERE c.is_position
$$;
COMMENT ON FUNCTION billadj.charge_totals(jsonb)
    IS 'the totals between which the price of an explained charge is taken; before or after NULL: nothing charged';

CREATE FUNCTION billadj.replay(explanation jsonb)
RETURNS numeric
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    basis  jsonb := explanation->'basis';
    exact  numeric;
    shares numeric[];
    place  integer;
BEGIN
    IF jsonb_typeof(explanation#>'{price,document}') IS DISTINCT FROM 'object' THEN
        RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'explanation names no price to compute from',
            DETAIL = 'A charge that was not rated, such as a correction, has no price.',
            HINT = 'Give the result of billadj.explain_charge() of a rated charge.';
    END IF;
    exact := (SELECT sum(t.sign * billadj.rate_between(t.price, t.before, t.after))
                FROM billadj.charge_totals(explanation) t);
    IF jsonb_typeof(basis->'row_exact') IS DISTINCT FROM 'array' THEN
        -- a rounded share that is taken back goes as it came
        RETURN billadj.exact(coalesce(-(basis->>'was')::numeric, exact));
    END IF;

    -- An update's quantity is a difference, its amounts are those of the whole
    -- row: only a first charge can be computed from the price again.
    SELECT array_agg(CASE WHEN m.value->>'measure' = explanation#>>'{source,measure}' AND NOT basis ? 'was' THEN exact
                          ELSE (m.value->>'amount')::numeric END ORDER BY m.ordinality),
           min(m.ordinality) FILTER (WHERE m.value->>'measure' = explanation#>>'{source,measure}')
      INTO shares, place
      FROM jsonb_array_elements(basis->'row_exact') WITH ORDINALITY m;
    shares := billadj.share_residual(shares, (basis->>'step')::numeric, basis->>'mode');
    RETURN billadj.exact(coalesce(shares[place], 0) - coalesce((basis->>'was')::numeric, 0));
END $$;
COMMENT ON FUNCTION billadj.replay(jsonb)
    IS 'the amount of an explained charge, computed again from the explanation alone';

-- What people decided about a charge stands beside it: nothing where nobody did.
CREATE FUNCTION billadj.explain_overrides(account text, charge_id bigint, amount numeric)
RETURNS jsonb
LANGUAGE plpgsql STABLE STRICT
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
DECLARE
    adjusted jsonb;
    delta    numeric;
    held     jsonb;
BEGIN
    SELECT jsonb_agg(jsonb_build_object(
               'adjustment_id', a.adjustment_id, 'request_id', a.request_id, 'kind', r.kind, 'delta', a.delta, 'affects', a.affects,
               'cause', a.cause, 'reason_code', r.reason_code, 'requested', jsonb_build_object('at', r.requested_at, 'by', r.requested_by),
               'approved', coalesce((SELECT jsonb_agg(jsonb_build_object('at', d.decided_at, 'by', d.decided_by, 'step', d.step, 'authority_id', d.authority_id)
                                                      ORDER BY d.decision_id)
                                       FROM billadj.override_decision d
                                      WHERE d.request_id = a.request_id AND d.revision = r.revision AND d.decision = 'approve'), '[]'),
               'applied', jsonb_build_object('at', a.applied_at, 'by', a.applied_by)) ORDER BY a.adjustment_id),
           sum(a.delta) FILTER (WHERE a.affects = 'billed')
      INTO adjusted, delta
      FROM billadj.adjustment a
      LEFT JOIN billadj.override_request r ON r.request_id = a.request_id
     WHERE a.account = $1 AND a.charge_id = $2;
    SELECT jsonb_agg(jsonb_build_object('hold_id', h.hold_id, 'reason', h.reason, 'anomaly_id', h.anomaly_id, 'outcome', h.outcome,
                                        'from', h.created_at, 'by', h.created_by, 'to', h.ended_at, 'request_id', h.request_id) ORDER BY h.hold_id)
      INTO held
      FROM billadj.hold h
     WHERE h.account = $1 AND h.charge_id = $2;
    RETURN CASE WHEN adjusted IS NULL THEN '{}' ELSE jsonb_build_object('adjustments', adjusted, 'billed', $3 + coalesce(delta, 0)) END
           || CASE WHEN held IS NULL THEN '{}'
                   ELSE jsonb_build_object('holds', held, 'billable', NOT jsonb_path_exists(held, '$[*] ? (@.to == null)')) END;
END $$;
COMMENT ON FUNCTION billadj.explain_overrides(text, bigint, numeric)
    IS 'part of explain_charge(): adjustments of a charge with who asked, who approved and by which authority, and its holds';

-- A charge of a subscription: the term and the price of the plan it is for, and
-- how the amount follows from the full one.
CREATE FUNCTION billadj.explain_recurring(charge jsonb)
RETURNS jsonb
LANGUAGE plpgsql STABLE STRICT
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET datestyle = 'ISO'
AS $$
DECLARE
    priced jsonb;
    term   jsonb;
    others jsonb;
BEGIN
    SELECT jsonb_build_object('plan_price_id', p.plan_price_id, 'plan', p.plan, 'component', p.component, 'kind', p.kind, 'timing', p.timing, 'valid', p.valid,
                              'document', p.price || jsonb_build_object('currency', l.currency), 'day_count', l.day_count, 'scale', l.scale, 'rounding', l.rounding,
                              'round_at', l.round_at)
      INTO priced
      FROM billadj.plan_price p JOIN billadj.plan l ON l.plan = p.plan
     WHERE p.plan_price_id = (charge ->> 'plan_price_id')::bigint;
    SELECT to_jsonb(t) INTO term FROM billadj.term t
     WHERE t.account = charge ->> 'account' AND t.subscription_id = (charge ->> 'subscription_id')::bigint AND t.term_id = (charge ->> 'term_id')::bigint;
    SELECT jsonb_agg(jsonb_build_object('charge_id', c.charge_id, 'cause', c.cause, 'covers', c.covers, 'amount', c.amount, 'created_at', c.created_at) ORDER BY c.charge_id)
      INTO others
      FROM billadj.charge c
     WHERE c.account = charge ->> 'account' AND c.period_start = (charge ->> 'period_start')::timestamptz AND c.subscription_id = (charge ->> 'subscription_id')::bigint
       AND c.plan_price_id = (charge ->> 'plan_price_id')::bigint AND c.quantity = (charge ->> 'quantity')::numeric
       AND c.basis -> 'full_amount' = charge -> 'basis' -> 'full_amount' AND c.charge_id <> (charge ->> 'charge_id')::bigint;
    RETURN jsonb_strip_nulls(charge - '{attachment_id,event_key,measure,meter,price_id,quantity_before,schema_name,relation_name,row_count}'::text[])
           || jsonb_build_object('plan_price', priced, 'term', term, 'full_amount', charge #> '{basis,full_amount}', 'share', charge #>> '{basis,share}',
                                 'billed_before', charge #> '{basis,billed}', 'same_line', coalesce(others, '[]'));
END $$;
COMMENT ON FUNCTION billadj.explain_recurring(jsonb)
    IS 'what a charge of a subscription was computed from; part of explain_charge()';
REVOKE ALL ON FUNCTION billadj.explain_recurring(jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.explain_recurring(jsonb)
   TO billadj_admin, billadj_operator, billadj_requester, billadj_approver, billadj_policy, billadj_auditor, billadj_reader;

CREATE FUNCTION billadj.explain_charge(charge_id bigint)
RETURNS jsonb
LANGUAGE plpgsql STABLE STRICT
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
#variable_conflict use_column
DECLARE
    wanted  bigint := $1;
    booked  record;
    priced  jsonb;
    explained jsonb;
BEGIN
    SELECT c.*, a.schema_name, a.relation_name
      INTO booked
      FROM billadj.charge c
      LEFT JOIN billadj.attachment a ON a.attachment_id = c.attachment_id
     WHERE c.charge_id = wanted;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'UB019', MESSAGE = format('charge %s does not exist', wanted),
            HINT = 'Look for it with SELECT charge_id FROM billadj.charge.';
    END IF;

    IF booked.subscription_id IS NOT NULL THEN
        RETURN billadj.explain_recurring(to_jsonb(booked));
    END IF;
    SELECT jsonb_build_object(
               'price_id', p.price_id,
               'rate_card', k.code,
               'contract_of', k.account,
               'valid', jsonb_build_object('from', lower(p.valid), 'to', upper(p.valid)),
               'created_at', p.created_at,
               'created_by', p.created_by,
               'linear', p.linear,
               'document', p.terms || coalesce(
                   (SELECT jsonb_build_object('tiers', jsonb_agg(
                               jsonb_build_object('up_to', t.up_to)
                               || jsonb_strip_nulls(jsonb_build_object('unit_amount', t.unit_amount, 'rate', t.rate,
                                                                       'flat_amount', t.flat_amount))
                               ORDER BY t.tier))
                      FROM billadj.price_tier t
                     WHERE t.price_id = p.price_id
                    HAVING count(*) > 0), '{}'))
           || CASE WHEN isempty(p.valid) THEN '{"withdrawn": true}' ELSE '{}' END::jsonb
      INTO priced
      FROM billadj.price p
      JOIN billadj.rate_card k ON k.rate_card_id = p.rate_card_id
     WHERE p.price_id = booked.price_id;

    explained := jsonb_build_object(
        'charge_id', booked.charge_id,
        'account', booked.account,
        'meter', booked.meter,
        'period_start', booked.period_start,
        'posted_period_start', booked.posted_period_start,
        'occurred_at', booked.occurred_at,
        'cause', booked.cause,
        'booked', jsonb_build_object('at', booked.created_at, 'by', booked.created_by),
        'source', jsonb_build_object(
            'attachment_id', booked.attachment_id,
            'relation', quote_ident(booked.schema_name) || '.' || quote_ident(booked.relation_name),
            'event_key', booked.event_key,
            'measure', booked.measure),
        'price', priced,
        'quantity', booked.quantity,
        'quantity_before', booked.quantity_before,
        'quantity_after', CASE WHEN (priced->>'linear')::boolean THEN NULL
                               WHEN booked.cause = 'position'
                               THEN coalesce(booked.quantity_before, 0) + (booked.basis->>'quantity')::numeric
                               ELSE coalesce(booked.quantity_before, 0) + booked.quantity END,
        'row_count', booked.row_count,
        'basis', booked.basis,
        'amount', booked.amount,
        'currency', booked.currency,
        'rounding', jsonb_build_object(
            'stage', coalesce(priced#>'{document,rounding,stage}', '"line"'),
            'mode', coalesce(priced#>'{document,rounding,mode}', '"half_up"'),
            'step', coalesce(priced#>'{document,rounding,step}', booked.basis->'step')));
    explained := explained || billadj.explain_overrides(booked.account, booked.charge_id, booked.amount);
    -- whose period it is; nothing where the timeline is another one since
    explained := explained || coalesce((
        SELECT jsonb_build_object('billing_period', jsonb_build_object('subscription_id', u.subscription_id, 'from', lower(u.period), 'to', upper(u.period)))
          FROM billadj.usage_period(booked.account, booked.meter, booked.occurred_at) u
         WHERE u.subscription_id IS NOT NULL AND lower(u.period) = booked.period_start), '{}');
    IF priced IS NULL THEN
        RETURN explained;
    END IF;

    explained := explained || jsonb_build_object('steps', (
        SELECT jsonb_agg(jsonb_build_object('part', t.part, 'tier', s.tier, 'quantity', t.sign * s.quantity,
                                            'unit_amount', s.unit_amount, 'flat_amount', t.sign * s.flat_amount,
                                            'amount', t.sign * s.amount)
                         ORDER BY t.sign DESC, s.tier)
          FROM billadj.charge_totals(explained) t,
               billadj.rate_between_steps(t.price, t.before, t.after) s));
    IF (priced->>'linear')::boolean THEN
        RETURN explained || '{"position": null}';
    END IF;

    -- Whether another session was faster is only known at commit.
    RETURN explained || jsonb_build_object('position', (
        SELECT jsonb_build_object(
                   'rows', count(*),
                   'amount', coalesce(sum(c.amount), 0),
                   'latest', coalesce(jsonb_agg(jsonb_build_object('charge_id', c.charge_id, 'amount', c.amount)
                                                ORDER BY c.charge_id DESC) FILTER (WHERE c.newest <= 10), '[]'),
                   'note', 'quantity_before is what the transaction of this charge knew; '
                           || 'the charges of this account, meter, period and price are exact together with these position rows')
          FROM (SELECT p.charge_id, p.amount, row_number() OVER (ORDER BY p.charge_id DESC) AS newest
                  FROM billadj.charge p
                 WHERE p.account = booked.account
                   AND p.meter = booked.meter
                   AND p.period_start = booked.period_start
                   AND p.price_id = booked.price_id
                   AND p.cause = 'position') c));
END $$;
COMMENT ON FUNCTION billadj.explain_charge(bigint)
    IS 'source, price, totals and tiers behind the amount of a charge; all that replay() needs';

-- The triggers on the table say which attachment is its own: their first
-- argument is the number.  A table that was detached is found by its label.
CREATE FUNCTION billadj.explain_usage(relation regclass, event_key text)
RETURNS jsonb
LANGUAGE plpgsql STABLE STRICT
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
DECLARE
    attachment_ids bigint[];
BEGIN
    attachment_ids := ARRAY(
        SELECT split_part(encode(t.tgargs, 'escape'), '\000', 1)::bigint
          FROM pg_trigger t
          JOIN pg_proc f ON f.oid = t.tgfoid
         WHERE t.tgrelid = explain_usage.relation
           AND f.pronamespace = 'billadj'::regnamespace
           AND encode(t.tgargs, 'escape') ~ '^[0-9]+\\000'
        UNION
        SELECT a.attachment_id
          FROM billadj.attachment a
          JOIN pg_class r ON r.oid = explain_usage.relation AND r.relname = a.relation_name
          JOIN pg_namespace n ON n.oid = r.relnamespace AND n.nspname = a.schema_name);

    RETURN jsonb_build_object(
        'relation', explain_usage.relation::text,
        'event_key', explain_usage.event_key,
        'amount', coalesce((SELECT jsonb_object_agg(s.currency, s.amount)
                              FROM (SELECT c.currency, sum(c.amount) AS amount
                                      FROM billadj.charge c
                                     WHERE c.attachment_id = ANY (attachment_ids)
                                       AND c.event_key = explain_usage.event_key
                                     GROUP BY c.currency) s), '{}'),
        'charges', coalesce((SELECT jsonb_agg(billadj.explain_charge(c.charge_id) ORDER BY c.charge_id)
                               FROM billadj.charge c
                              WHERE c.attachment_id = ANY (attachment_ids)
                                AND c.event_key = explain_usage.event_key), '[]'),
        'parked', coalesce((SELECT jsonb_agg(jsonb_build_object(
                                       'measure', u.measure, 'sqlstate', u.sqlstate, 'message', u.message, 'hint', u.hint,
                                       'parked_at', u.parked_at, 'resolved_at', u.resolved_at, 'resolution', u.resolution)
                                       ORDER BY u.parked_at, u.measure)
                              FROM billadj.parked_usage u
                             WHERE u.attachment_id = ANY (attachment_ids)
                               AND u.event_key = explain_usage.event_key), '[]'));
END $$;
COMMENT ON FUNCTION billadj.explain_usage(regclass, text)
    IS 'every charge of a usage row, explained, their sum a currency, and what of it is parked';

REVOKE ALL ON FUNCTION billadj.explain_charge(bigint), billadj.explain_usage(regclass, text), billadj.explain_overrides(text, bigint, numeric) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.explain_charge(bigint), billadj.explain_usage(regclass, text), billadj.explain_overrides(text, bigint, numeric)
   TO billadj_admin, billadj_operator, billadj_requester, billadj_approver, billadj_policy, billadj_auditor, billadj_reader;
