
-- revenue: monthly recurring revenue, and what a bill would show

-- Terms say what recurs, whatever was charged: so it can be asked for any
-- instant, by what is known now or was known then.
CREATE FUNCTION billadj.mrr(at timestamptz DEFAULT now(), known_at timestamptz DEFAULT NULL)
RETURNS TABLE (account text, subscription_id bigint, plan text, quantity numeric, currency text, amount numeric)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
#variable_conflict use_column
BEGIN
    PERFORM billadj.require_installed();
    RETURN QUERY
    SELECT t.account, t.subscription_id, t.plan, t.quantity, s.currency,
           billadj.round_money(sum(billadj.rate(p.price || jsonb_build_object('currency', s.currency), CASE WHEN p.per_unit THEN t.quantity ELSE 1 END))
                               * (100 - t.discount) / 100 / billadj.months_of(c.every), s.currency)
      FROM billadj.term t
      JOIN billadj.subscription s ON s.account = t.account AND s.subscription_id = t.subscription_id
      JOIN billadj.billing_cycle c ON c.account = t.account AND c.subscription_id = t.subscription_id AND c.valid @> mrr.at
       AND CASE WHEN known_at IS NULL THEN c.superseded_at IS NULL ELSE c.created_at <= known_at AND coalesce(c.superseded_at > known_at, true) END
      JOIN billadj.plan_price p ON p.plan = t.plan AND p.kind = 'recurring' AND p.valid @> t.priced_at
     WHERE t.valid @> mrr.at AND t.state = 'active'
       AND CASE WHEN known_at IS NULL THEN t.superseded_at IS NULL ELSE t.created_at <= known_at AND coalesce(t.superseded_at > known_at, true) END
     GROUP BY t.account, t.subscription_id, t.term_id, t.plan, t.quantity, t.discount, s.currency, c.every;
END
$function$;
COMMENT ON FUNCTION billadj.mrr(timestamptz, timestamptz) IS
    'recurring revenue a month of each subscription that is active at an instant, net of discounts, rounded to the currency; known_at: by what was known then';
REVOKE ALL ON FUNCTION billadj.mrr(timestamptz, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.mrr(timestamptz, timestamptz) TO billadj_admin, billadj_operator, billadj_auditor, billadj_reader;

-- A year has 12 months and 365.25 days: a week is 28 of 365.25 twelfths.
CREATE FUNCTION billadj.months_of(every interval) RETURNS numeric
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $function$
SELECT extract(year FROM every) * 12 + extract(month FROM every)
       + (extract(day FROM every) + (extract(hour FROM every) * 3600 + extract(minute FROM every) * 60 + extract(second FROM every)) / 86400) * 12 / 365.25
$function$;
COMMENT ON FUNCTION billadj.months_of(interval) IS 'how many months a billing period has; part of mrr()';
REVOKE ALL ON FUNCTION billadj.months_of(interval) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.months_of(interval) TO billadj_admin, billadj_operator, billadj_auditor, billadj_reader;

-- By subscription, between two instants: what came and went in between leaves
-- nothing, so that opening and movements always sum to closing.
CREATE FUNCTION billadj.mrr_movements(from_at timestamptz, to_at timestamptz, every interval DEFAULT '1 month', time_zone text DEFAULT 'UTC')
RETURNS TABLE (month_start timestamptz, month_end timestamptz, currency text, opening numeric, new numeric, expansion numeric, contraction numeric,
    churn numeric, reactivation numeric, closing numeric)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
#variable_conflict use_column
BEGIN
    PERFORM billadj.require_installed();
    PERFORM billadj.period_at(from_at, every, from_at, time_zone);      -- an unknown zone, or no length, is refused
    RETURN QUERY
    WITH bound AS (
        SELECT g AT TIME ZONE mrr_movements.time_zone AS at, row_number() OVER (ORDER BY g) AS n
          FROM generate_series(mrr_movements.from_at AT TIME ZONE mrr_movements.time_zone, mrr_movements.to_at AT TIME ZONE mrr_movements.time_zone, mrr_movements.every) AS g
    ), snapshot AS (
        SELECT b.n, m.account, m.subscription_id, m.currency, m.amount FROM bound b CROSS JOIN LATERAL billadj.mrr(b.at) m
    ), first_paid AS (
        SELECT t.account, t.subscription_id, min(lower(t.valid)) AS at FROM billadj.term t
         WHERE t.superseded_at IS NULL AND t.state = 'active' GROUP BY t.account, t.subscription_id
    ), step AS (
        SELECT o.n, o.at AS month_start, c.at AS month_end FROM bound o JOIN bound c ON c.n = o.n + 1
    ), moved AS (
        SELECT coalesce(a.n, b.n - 1) AS n, coalesce(a.account, b.account) AS account, coalesce(a.subscription_id, b.subscription_id) AS subscription_id,
               coalesce(a.currency, b.currency) AS currency, coalesce(a.amount, 0) AS before, coalesce(b.amount, 0) AS after
          FROM snapshot a FULL JOIN snapshot b ON b.n = a.n + 1 AND b.account = a.account AND b.subscription_id = a.subscription_id
    )
    SELECT s.month_start, s.month_end, m.currency, sum(m.before),
           coalesce(sum(m.after) FILTER (WHERE m.before = 0 AND f.at > s.month_start), 0),
           coalesce(sum(m.after - m.before) FILTER (WHERE m.before > 0 AND m.after > m.before), 0),
           coalesce(sum(m.after - m.before) FILTER (WHERE m.after > 0 AND m.after < m.before), 0),
           coalesce(-sum(m.before) FILTER (WHERE m.after = 0), 0),
           coalesce(sum(m.after) FILTER (WHERE m.before = 0 AND NOT coalesce(f.at > s.month_start, false)), 0),
           sum(m.after)
      FROM moved m
      JOIN step s ON s.n = m.n
      LEFT JOIN first_paid f ON f.account = m.account AND f.subscription_id = m.subscription_id
     GROUP BY s.month_start, s.month_end, m.currency
     ORDER BY s.month_start, m.currency;
END
$function$;
COMMENT ON FUNCTION billadj.mrr_movements(timestamptz, timestamptz, interval, text) IS
    'opening and closing recurring revenue of each month, and what moved it: new, expansion, contraction, churn, reactivation';
REVOKE ALL ON FUNCTION billadj.mrr_movements(timestamptz, timestamptz, interval, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.mrr_movements(timestamptz, timestamptz, interval, text) TO billadj_admin, billadj_operator, billadj_auditor, billadj_reader;

-- ---- bills ----

-- Everything that is posted to periods that begin within a time: charges that no
-- open hold keeps back, and adjustments of what is billed.  Usage makes one line
-- per meter, price and period; everything else a line each.
CREATE FUNCTION billadj.bill_lines(account text, period tstzrange)
RETURNS TABLE (kind text, description text, subscription_id bigint, plan text, component text, meter text, price_id bigint,
    period_start timestamptz, covers tstzrange, quantity numeric, amount numeric, row_rounded numeric, currency text, charges bigint)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    PERFORM billadj.require_installed();
    RETURN QUERY EXECUTE $sql$
    WITH billable AS (
        SELECT c.* FROM billadj.charge c
         WHERE c.account = $1 AND c.posted_period_start >= coalesce(lower($2), '-infinity') AND c.posted_period_start < coalesce(upper($2), 'infinity')
    $sql$ || CASE WHEN to_regclass('billadj.hold') IS NULL THEN '' ELSE $sql$
           AND NOT EXISTS (SELECT FROM billadj.hold h WHERE h.account = c.account AND h.charge_id = c.charge_id AND h.ended_at IS NULL)
    $sql$ END || $sql$
    )
    SELECT c.cause, coalesce(c.basis ->> 'description', format('%s, %s', p.plan, p.component)), c.subscription_id, p.plan, p.component, NULL::text, NULL::bigint,
           c.period_start, c.covers, c.quantity, c.amount, billadj.round_money(c.amount, c.currency), c.currency, 1::bigint
      FROM billable c LEFT JOIN billadj.plan_price p ON p.plan_price_id = c.plan_price_id
     WHERE c.subscription_id IS NOT NULL AND c.meter IS NULL
    UNION ALL
    SELECT CASE WHEN c.period_start = c.posted_period_start THEN 'usage' ELSE 'correction' END, format('usage of %s', c.meter), NULL, NULL, NULL, c.meter, c.price_id,
           c.period_start, NULL, sum(c.quantity), sum(c.amount), sum(billadj.round_money(c.amount, c.currency)), c.currency, count(*)
      FROM billable c
     WHERE c.meter IS NOT NULL
     GROUP BY 1, c.meter, c.price_id, c.period_start, c.currency
    $sql$ || CASE WHEN to_regclass('billadj.adjustment') IS NULL THEN '' ELSE $sql$
    UNION ALL
    SELECT 'adjustment', format('%s of charge %s', a.cause, a.charge_id), NULL, NULL, NULL, NULL, NULL,
           a.period_start, NULL, NULL, a.delta, billadj.round_money(a.delta, a.currency), a.currency, 1::bigint
      FROM billadj.adjustment a
     WHERE a.account = $1 AND a.affects = 'billed'
       AND a.posted_period_start >= coalesce(lower($2), '-infinity') AND a.posted_period_start < coalesce(upper($2), 'infinity')
    $sql$ END
    USING account, period;
END
$function$;
COMMENT ON FUNCTION billadj.bill_lines(text, tstzrange) IS 'the lines of bill_preview(), exact, without totals';
REVOKE ALL ON FUNCTION billadj.bill_lines(text, tstzrange) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.bill_lines(text, tstzrange) TO billadj_admin, billadj_operator, billadj_requester, billadj_approver, billadj_auditor, billadj_reader;

CREATE FUNCTION billadj.bill_preview(account text, period tstzrange)
RETURNS TABLE (line integer, kind text, description text, subscription_id bigint, plan text, component text, meter text, price_id bigint,
    period_start timestamptz, covers tstzrange, quantity numeric, amount numeric, rounded numeric, currency text, charges bigint)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH l AS MATERIALIZED (SELECT b.* FROM billadj.bill_lines(bill_preview.account, bill_preview.period) b)
    SELECT (row_number() OVER (ORDER BY l.currency, l.period_start, l.subscription_id NULLS LAST, l.kind <> 'recurring', l.meter COLLATE "C", l.covers, l.amount > 0,
                                        l.component COLLATE "C", l.price_id, l.description COLLATE "C"))::integer,
           l.kind, l.description, l.subscription_id, l.plan, l.component, l.meter, l.price_id, l.period_start, l.covers, l.quantity,
           l.amount, billadj.round_money(l.amount, l.currency), l.currency, l.charges
      FROM l
    UNION ALL
    SELECT NULL, 'total', v.stage, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, t.amount, v.rounded, t.currency, t.charges
      FROM (SELECT l.currency, sum(l.amount) AS amount, sum(l.row_rounded) AS by_row, sum(billadj.round_money(l.amount, l.currency)) AS by_line, sum(l.charges)::bigint AS charges
              FROM l GROUP BY l.currency) t
     CROSS JOIN LATERAL (VALUES ('row', t.by_row), ('line', t.by_line), ('invoice', billadj.round_money(t.amount, t.currency))) AS v(stage, rounded);
END
$function$;
COMMENT ON FUNCTION billadj.bill_preview(text, tstzrange) IS
    'the lines of the bill of an account for the periods that begin within a time, and what they sum to when every row, every line or the invoice is rounded';
REVOKE ALL ON FUNCTION billadj.bill_preview(text, tstzrange) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.bill_preview(text, tstzrange) TO billadj_admin, billadj_operator, billadj_requester, billadj_approver, billadj_auditor, billadj_reader;

CREATE FUNCTION billadj.bill_preview_json(account text, period tstzrange) RETURNS jsonb
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET datestyle = 'ISO'
SET timezone = 'UTC'
AS $function$
BEGIN
    RETURN (SELECT jsonb_build_object('account', bill_preview_json.account, 'from', lower(bill_preview_json.period), 'to', upper(bill_preview_json.period),
                       'lines', coalesce(jsonb_agg(jsonb_strip_nulls(to_jsonb(b))
                                                   || CASE WHEN b.covers IS NULL THEN '{}'
                                                           ELSE jsonb_build_object('covers', jsonb_build_object('from', lower(b.covers), 'to', upper(b.covers))) END
                                                   ORDER BY b.line) FILTER (WHERE b.kind <> 'total'), '[]'),
                       'totals', coalesce(jsonb_agg(jsonb_build_object('currency', b.currency, 'stage', b.description, 'exact', b.amount, 'rounded', b.rounded)
                                                    ORDER BY b.currency, b.description) FILTER (WHERE b.kind = 'total'), '[]'))
              FROM billadj.bill_preview(bill_preview_json.account, bill_preview_json.period) b);
END
$function$;
COMMENT ON FUNCTION billadj.bill_preview_json(text, tstzrange) IS 'bill_preview() as one JSON document; numbers keep every digit';
REVOKE ALL ON FUNCTION billadj.bill_preview_json(text, tstzrange) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.bill_preview_json(text, tstzrange) TO billadj_admin, billadj_operator, billadj_requester, billadj_approver, billadj_auditor, billadj_reader;

-- A text that begins like a formula would be one to a spreadsheet; numbers of
-- ours are no texts.
CREATE FUNCTION billadj.csv_field(value text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $function$
SELECT CASE WHEN value IS NULL THEN ''
            WHEN value ~ '^[=+@\t]' THEN '"''' || replace(value, '"', '""') || '"'
            WHEN value ~ '[",\r\n]' OR value = '' THEN '"' || replace(value, '"', '""') || '"'
            ELSE value END
$function$;
COMMENT ON FUNCTION billadj.csv_field(text) IS 'a value as a field of CSV (RFC 4180); NULL is an empty one';
REVOKE ALL ON FUNCTION billadj.csv_field(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.csv_field(text) TO billadj_admin, billadj_operator, billadj_requester, billadj_approver, billadj_auditor, billadj_reader;

CREATE FUNCTION billadj.bill_preview_csv(account text, period tstzrange) RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET datestyle = 'ISO'
SET timezone = 'UTC'
AS $function$
BEGIN
    RETURN 'account,line,kind,description,subscription_id,plan,component,meter,price_id,period_start,covers_from,covers_to,quantity,amount,rounded,currency,charges' || E'\r\n'
           || coalesce((SELECT string_agg(concat_ws(',', billadj.csv_field(bill_preview_csv.account), coalesce(b.line::text, ''), b.kind, billadj.csv_field(b.description),
                                                    coalesce(b.subscription_id::text, ''), billadj.csv_field(b.plan), billadj.csv_field(b.component), billadj.csv_field(b.meter),
                                                    coalesce(b.price_id::text, ''), coalesce(b.period_start::text, ''), coalesce(lower(b.covers)::text, ''),
                                                    coalesce(upper(b.covers)::text, ''), coalesce(b.quantity::text, ''), b.amount, b.rounded, b.currency, b.charges) || E'\r\n', ''
                                          ORDER BY b.line NULLS LAST, b.currency, b.description)
                          FROM billadj.bill_preview(bill_preview_csv.account, bill_preview_csv.period) b), '');
END
$function$;
COMMENT ON FUNCTION billadj.bill_preview_csv(text, tstzrange) IS 'bill_preview() as CSV with a header (RFC 4180), for whoever invoices elsewhere';
REVOKE ALL ON FUNCTION billadj.bill_preview_csv(text, tstzrange) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.bill_preview_csv(text, tstzrange) TO billadj_admin, billadj_operator, billadj_requester, billadj_approver, billadj_auditor, billadj_reader;
