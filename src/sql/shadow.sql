
-- shadow: what a table's own biller made of its usage, beside ours

-- By which factor is a too large?  Only those that come from a wrong unit.
CREATE FUNCTION billadj.unit_factor(a numeric, b numeric) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $function$
SELECT f.factor
  FROM (SELECT power(base::numeric, n) AS factor
          FROM (VALUES (10), (1024), (60)) AS u(base), generate_series(1, 9) AS n
        UNION
        SELECT 3600::numeric) f
 WHERE b <> 0 AND (a = b * f.factor OR a * f.factor = b)
 ORDER BY f.factor
 LIMIT 1
$function$;
COMMENT ON FUNCTION billadj.unit_factor(numeric, numeric) IS 'the factor of 10, 1024 or 60, or a power of them, between two amounts; NULL if there is none';
REVOKE ALL ON FUNCTION billadj.unit_factor(numeric, numeric) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.unit_factor(numeric, numeric) TO billadj_admin, billadj_operator, billadj_auditor, billadj_reader;

-- Would the amount come out if a part of the quantity were in a neighbouring
-- tier?  Only near a bound: |part| units, at most as many as lie between the
-- row's ends and the bound, and at least one row end beyond it by little.
CREATE FUNCTION billadj.tier_slip(price jsonb, quantity numeric, before numeric, difference numeric) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $function$
SELECT t.up_to
  FROM (SELECT (e.tier->>'up_to')::numeric AS up_to, e.n,
               coalesce((e.tier->>'unit_amount')::numeric, 0) AS unit_amount, coalesce((e.tier->>'flat_amount')::numeric, 0) AS flat_amount,
               coalesce((lead(e.tier) OVER (ORDER BY e.n)->>'unit_amount')::numeric, 0) AS next_unit,
               coalesce((lead(e.tier) OVER (ORDER BY e.n)->>'flat_amount')::numeric, 0) AS next_flat
          FROM jsonb_array_elements(price->'tiers') WITH ORDINALITY AS e(tier, n)) t
 WHERE t.up_to IS NOT NULL
   AND t.up_to BETWEEN least(coalesce(before, 0), coalesce(before, 0) + quantity) - 1
                   AND greatest(coalesce(before, 0), coalesce(before, 0) + quantity) + 1
   AND CASE price->>'model'
           WHEN 'graduated' THEN difference IN (t.unit_amount - t.next_unit, t.next_unit - t.unit_amount)
                                 OR t.next_flat <> 0 AND difference IN (t.unit_amount - t.next_unit - t.next_flat,
                                                                        t.next_unit - t.unit_amount + t.next_flat, t.next_flat, -t.next_flat)
           WHEN 'stairstep' THEN abs(difference) = abs(t.next_flat - t.flat_amount)
           ELSE abs(difference) = abs((coalesce(before, 0) + quantity) * (t.next_unit - t.unit_amount) + t.next_flat - t.flat_amount) END
 LIMIT 1
$function$;
COMMENT ON FUNCTION billadj.tier_slip(jsonb, numeric, numeric, numeric) IS 'the tier bound that explains a difference if it was taken one unit too low or too high; NULL if none does';
REVOKE ALL ON FUNCTION billadj.tier_slip(jsonb, numeric, numeric, numeric) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.tier_slip(jsonb, numeric, numeric, numeric) TO billadj_admin, billadj_operator, billadj_auditor, billadj_reader;

-- Ordered from the most specific to the least: what fits an earlier cause is
-- not asked for a later one.
CREATE FUNCTION billadj.shadow_cause(price jsonb, quantity numeric, before numeric, host_amount numeric, shadow_amount numeric)
RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    places integer := scale(trim_scale(host_amount));
    -- The last digit that the host keeps.  It shows cents by two decimals even
    -- where they are zeros; less than that is what whole units look like.
    kept   integer := least(greatest(places, 2), scale(host_amount));
BEGIN
    IF host_amount IS NULL THEN
        RETURN 'host amount missing';
    ELSIF host_amount = shadow_amount THEN
        RETURN 'equal';
    ELSIF quantity IS NOT NULL AND billadj.unit_factor(host_amount, shadow_amount) IS NOT NULL THEN
        RETURN 'factor';
    ELSIF price ? 'tiers' AND billadj.tier_slip(price, quantity, before, host_amount - shadow_amount) IS NOT NULL THEN
        RETURN 'tier';
    ELSIF places <= 6 AND abs(host_amount - shadow_amount) < power(10::numeric, -kept)
          AND scale(trim_scale(shadow_amount)) > places THEN
        RETURN 'rounding';
    ELSIF quantity IS NOT NULL AND quantity <> 0 AND price->>'model' = 'per_unit' AND (price->>'unit_amount')::numeric <> 0
          AND scale(trim_scale(host_amount * coalesce((price->>'per')::numeric, 1) / (price->>'unit_amount')::numeric)) <= scale(quantity) THEN
        RETURN 'quantity';
    END IF;
    RETURN 'other';
END
$function$;
COMMENT ON FUNCTION billadj.shadow_cause(jsonb, numeric, numeric, numeric, numeric) IS
    'why a host''s amount differs from ours: equal, factor, tier, rounding, quantity, host amount missing or other';
REVOKE ALL ON FUNCTION billadj.shadow_cause(jsonb, numeric, numeric, numeric, numeric) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.shadow_cause(jsonb, numeric, numeric, numeric, numeric) TO billadj_admin, billadj_operator, billadj_auditor, billadj_reader;

CREATE FUNCTION billadj.shadow_rows(relation regclass, max bigint DEFAULT NULL)
RETURNS TABLE (account text, event_key text, meter text, period_start timestamptz, quantity numeric, quantity_before numeric,
               host_amount numeric, shadow_amount numeric, difference numeric, cause text, reason text)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    number bigint := billadj.attachment_of(relation);
    m      record;
BEGIN
    SELECT s.*, a.mapping#>>'{compare,column}' AS compare INTO m
      FROM billadj.attachment a, billadj.mapped_sql(a.mapping) s
     WHERE a.attachment_id = number;
    IF m.compare IS NULL THEN
        RAISE EXCEPTION 'table % is not attached in mode "shadow"', relation
            USING ERRCODE = 'UB014', HINT = 'Attach it with mode => ''shadow'', compare => the column of its own amount.';
    END IF;
    IF NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = relation AND a.attname = m.compare AND a.attnum > 0 AND NOT a.attisdropped) THEN
        RAISE EXCEPTION 'column "%" of table %, which mode "shadow" compares with, does not exist', m.compare, relation
            USING ERRCODE = 'undefined_column', HINT = format('SELECT * FROM billadj.remap(%L, compare => …);', relation::text);
    END IF;
    RETURN QUERY EXECUTE format($query$
        WITH charged AS (
            SELECT c.event_key, min(c.account) AS account, min(c.meter) AS meter, min(c.period_start) AS period_start,
                   CASE WHEN count(DISTINCT c.measure) = 1 THEN sum(c.quantity) END AS quantity,
                   (array_agg(c.quantity_before ORDER BY c.charge_id DESC))[1] AS quantity_before,
                   min(c.price_id) AS price_id, sum(c.amount) AS amount
              FROM billadj.shadow_charge c
             WHERE c.attachment_id = $1
             GROUP BY c.event_key
            HAVING sum(c.row_count) > 0),
        price AS MATERIALIZED (
            SELECT p.price_id, billadj.price_document(p.price_id) AS document FROM billadj.price p),
        compared AS (
            SELECT h.account AS host_account, h.event_key, c.meter, c.period_start, c.quantity, c.quantity_before, c.amount,
                   p.document, h.amount AS host_amount, k.message, k.sqlstate
              -- a float does not say how many decimals are meant: two at least
              FROM (SELECT %1$s AS account, %2$s AS event_key,
                           (h.%3$I)::numeric + CASE WHEN pg_typeof(h.%3$I) IN ('real', 'double precision') THEN 0.00 ELSE 0 END AS amount
                      FROM %4$s h) h
              LEFT JOIN charged c ON c.event_key = h.event_key
              LEFT JOIN price p ON p.price_id = c.price_id
              LEFT JOIN LATERAL (SELECT q.message, q.sqlstate FROM billadj.parked_usage q
                                  WHERE q.attachment_id = $1 AND q.resolved_at IS NULL AND q.event_key = h.event_key
                                  ORDER BY q.measure LIMIT 1) k ON c.event_key IS NULL),
        judged AS (
            SELECT h.host_account AS account, h.event_key, h.meter, h.period_start, h.quantity, h.quantity_before,
                   h.host_amount, h.amount AS shadow_amount, h.host_amount - coalesce(h.amount, 0) AS difference,
                   CASE WHEN h.amount IS NOT NULL
                        THEN billadj.shadow_cause(h.document, h.quantity, h.quantity_before, h.host_amount, h.amount)
                        WHEN h.sqlstate IN ('UB001', 'UB002', 'UB006', 'UB008') THEN 'missing price'
                        WHEN h.message IS NOT NULL THEN 'parked'
                        ELSE 'not rated yet' END AS cause,
                   h.message
              FROM compared h)
        SELECT j.account, j.event_key, j.meter, j.period_start, j.quantity, j.quantity_before, j.host_amount, j.shadow_amount,
               j.difference,
               -- the same total in another order is nobody's fault
               CASE WHEN j.cause IN ('tier', 'quantity', 'other', 'factor') AND j.quantity_before IS NOT NULL
                         AND sum(j.difference) OVER (PARTITION BY j.account, j.meter, j.period_start) = 0
                    THEN 'order of rows' ELSE j.cause END,
               j.message
          FROM judged j
         ORDER BY abs(j.difference) DESC NULLS FIRST, j.event_key
         LIMIT $2$query$, m.account, m.event_key, m.compare, relation)
        USING number, max;
END
$function$;
COMMENT ON FUNCTION billadj.shadow_rows(regclass, bigint) IS 'rows of a table attached in mode shadow with its own amount and ours, and why they differ; the largest differences first';
REVOKE ALL ON FUNCTION billadj.shadow_rows(regclass, bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.shadow_rows(regclass, bigint) TO billadj_admin, billadj_operator, billadj_auditor, billadj_reader;

CREATE FUNCTION billadj.shadow_totals(relation regclass)
RETURNS TABLE (account text, period_start timestamptz, rows bigint, host_amount numeric, shadow_amount numeric, difference numeric)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
SELECT r.account, r.period_start, count(*), trim_scale(sum(r.host_amount)), trim_scale(sum(r.shadow_amount)), trim_scale(sum(r.difference))
  FROM billadj.shadow_rows(relation) r
 GROUP BY r.account, r.period_start
 ORDER BY abs(sum(r.difference)) DESC, r.account, r.period_start
$function$;
COMMENT ON FUNCTION billadj.shadow_totals(regclass) IS 'sums of a table attached in mode shadow by account and period: its own amounts and ours; the largest differences first';
REVOKE ALL ON FUNCTION billadj.shadow_totals(regclass) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.shadow_totals(regclass) TO billadj_admin, billadj_operator, billadj_auditor, billadj_reader;

CREATE FUNCTION billadj.shadow_report(relation regclass)
RETURNS TABLE (cause text, rows bigint, accounts bigint, which_accounts text[], host_amount numeric, shadow_amount numeric,
               difference numeric, example text, what_to_change text)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
WITH r AS MATERIALIZED (SELECT * FROM billadj.shadow_rows(relation)),
     worst AS (SELECT r.cause, r.account, sum(abs(r.difference)) AS money, row_number() OVER (PARTITION BY r.cause ORDER BY sum(abs(r.difference)) DESC, r.account) AS n
                 FROM r GROUP BY r.cause, r.account),
     example AS (SELECT DISTINCT ON (r.cause) r.cause,
                        format('row %s of account %s: %s against %s', r.event_key, r.account, coalesce(r.host_amount::text, 'nothing'),
                               coalesce(r.shadow_amount::text, r.reason)) AS example
                   FROM r WHERE r.cause <> 'equal' ORDER BY r.cause, abs(r.difference) DESC NULLS LAST, r.event_key)
SELECT r.cause, count(*), count(DISTINCT r.account),
       CASE WHEN r.cause <> 'equal' THEN ARRAY(SELECT w.account FROM worst w WHERE w.cause = r.cause AND w.n <= 10 ORDER BY w.n) END,
       trim_scale(sum(r.host_amount)), trim_scale(sum(r.shadow_amount)), trim_scale(sum(r.difference)),
       (SELECT e.example FROM example e WHERE e.cause = r.cause),
       CASE r.cause
           WHEN 'rounding' THEN 'The table rounds each row; round at the line of the bill instead, or price with "rounding": {"stage": "row"}.'
           WHEN 'tier' THEN 'The table puts the unit at a tier bound into the other tier; a bound belongs to the lower tier unless the price says "bound": "exclusive".'
           WHEN 'factor' THEN 'A quantity or a price of these accounts is in another unit; mend the unit where the rows are written.'
           WHEN 'quantity' THEN 'The table billed another quantity than its row holds now.'
           WHEN 'missing price' THEN 'Import a rate card for these meters with billadj.import_rate_card(), then run billadj.retry_parked().'
           WHEN 'parked' THEN 'Mend the rows; billadj.parked_usage holds the reasons.'
           WHEN 'not rated yet' THEN format('CALL billadj.backfill(%L);', relation::text)
           WHEN 'host amount missing' THEN 'The table has no amount for these rows.'
           WHEN 'order of rows' THEN 'Nothing: the sums of the period are equal, the rows came in another order.'
           WHEN 'other' THEN format('Look at the rows: SELECT * FROM billadj.shadow_rows(%L) WHERE cause = ''other'';', relation::text) END
  FROM r
 GROUP BY r.cause
 ORDER BY r.cause <> 'equal', abs(sum(r.difference)) DESC NULLS LAST, r.cause
$function$;
COMMENT ON FUNCTION billadj.shadow_report(regclass) IS
    'how a table attached in mode shadow compares with what billadj would charge: rows, accounts and money by cause, and what to change';
REVOKE ALL ON FUNCTION billadj.shadow_report(regclass) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.shadow_report(regclass) TO billadj_admin, billadj_operator, billadj_auditor, billadj_reader;

-- From comparing to charging.  No writer is in the table while the mode turns,
-- so that each row is in the one book or in the other; those compared so far
-- are then rated, here or by backfill().
CREATE FUNCTION billadj.promote(relation regclass, history boolean DEFAULT true, lock_timeout interval DEFAULT '2 s', dry_run boolean DEFAULT false)
RETURNS TABLE (step integer, action text, object text, lock text, sql text, done boolean)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $function$
#variable_conflict use_column
DECLARE
    number bigint;
    known  record;
    waited text;
    member regclass;
BEGIN
    PERFORM billadj.require_host_owner(promote.relation);
    number := billadj.attachment_of(promote.relation);
    SELECT a.mode, a.state INTO known FROM billadj.attachment a WHERE a.attachment_id = number;
    IF known.mode <> 'shadow' OR known.state <> 'active' THEN
        RAISE EXCEPTION 'table % is attached in mode "%" and is %', promote.relation, known.mode, known.state
            USING ERRCODE = 'UB014', HINT = 'promote() turns an active attachment from mode "shadow" to mode "rate".';
    END IF;
    done := NOT dry_run;
    step := 1;
    action := 'lock table';
    object := promote.relation::text;
    lock := 'ShareRowExclusiveLock';
    sql := format('LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE', promote.relation);
    IF NOT dry_run THEN
        waited := billadj.swap_lock_timeout(promote.lock_timeout);
        EXECUTE sql;
    END IF;
    RETURN NEXT;
    step := 2;
    action := 'update attachment';
    object := 'billadj.attachment';
    lock := 'RowExclusiveLock';
    sql := format('UPDATE billadj.attachment SET mode = ''rate'', mapping = mapping - ''compare'' WHERE attachment_id = %s', number);
    IF NOT dry_run THEN
        EXECUTE sql;
    END IF;
    RETURN NEXT;
    FOR member IN SELECT t.member FROM billadj.table_tree(promote.relation) t JOIN pg_class c ON c.oid = t.member AND c.relkind = 'r' LOOP
        step := step + 1;
        object := member::text;
        lock := 'ShareUpdateExclusiveLock';
        IF history THEN
            action := 'rate rows';
            sql := format('SELECT billadj.rate_blocks(%L, %s, 0, %s)', member, number, pg_relation_size(member) / current_setting('block_size')::bigint);
            IF NOT dry_run THEN
                EXECUTE sql;
            END IF;
        ELSE
            action := 'note';
            lock := NULL;
            sql := format('-- rates the rows compared so far: CALL billadj.backfill(%L);', promote.relation);
        END IF;
        RETURN NEXT;
    END LOOP;
    PERFORM set_config('lock_timeout', waited, true) WHERE waited IS NOT NULL;
END
$function$;
COMMENT ON FUNCTION billadj.promote(regclass, boolean, interval, boolean) IS
    'turns an attachment from mode shadow to mode rate; history => false leaves the rows compared so far to backfill()';
REVOKE ALL ON FUNCTION billadj.promote(regclass, boolean, interval, boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.promote(regclass, boolean, interval, boolean) TO billadj_admin;
