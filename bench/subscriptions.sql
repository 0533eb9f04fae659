-- What a period of :n subscriptions costs: the library, the same in set-based
-- SQL, and a PL/pgSQL loop.  The three write the same charges and totals; the
-- last statement says so.
\set QUIET 1
SET client_min_messages = warning;
SET timezone = 'UTC';
CREATE EXTENSION IF NOT EXISTS btree_gist;
CREATE EXTENSION IF NOT EXISTS billadj;
SELECT count(*) AS steps FROM billadj.install() \gset
SELECT count(*) AS done FROM billadj.import_plan('{"plan": "basic", "currency": "USD", "prices": [{"model": "flat", "flat_amount": 19.99}]}') \gset
SELECT count(*) AS done FROM billadj.import_plan('{"plan": "team", "currency": "USD", "prices": [{"component": "seats", "model": "per_unit", "unit_amount": 7.5}]}') \gset

-- A tenth of them changes its plan within the period, a tenth pauses, a tenth
-- begins within it; the others just go on.
INSERT INTO billadj.subscription (account, subscription_id, currency, starts_at)
SELECT 'a' || lpad(i::text, 7, '0'), i, 'USD', CASE WHEN i % 10 = 3 THEN '2026-04-01'::timestamptz + (i % 29) * interval '1 day' ELSE '2026-01-01' END
  FROM generate_series(1, :n) AS i;
INSERT INTO billadj.billing_cycle (account, subscription_id, cycle_id, valid, anchor, every, time_zone, change_id)
SELECT account, subscription_id, subscription_id, tstzrange(starts_at, NULL), '2026-01-01', '1 month', 'UTC', 0 FROM billadj.subscription;
WITH t AS (
    SELECT s.*, subscription_id % 10 AS kind, '2026-04-02'::timestamptz + (subscription_id % 27) * interval '1 day' AS at FROM billadj.subscription s
)
INSERT INTO billadj.term (account, subscription_id, term_id, valid, plan, quantity, state, priced_at, change_id)
SELECT account, subscription_id, subscription_id * 4, tstzrange(starts_at, CASE WHEN kind IN (1, 2) THEN at END), CASE WHEN kind % 2 = 0 THEN 'team' ELSE 'basic' END,
       1 + subscription_id % 12, 'active', starts_at, 0 FROM t
UNION ALL
SELECT account, subscription_id, subscription_id * 4 + 1, tstzrange(at, CASE WHEN kind = 2 THEN at + interval '2 days' END), 'team', 1 + subscription_id % 12,
       CASE WHEN kind = 2 THEN 'paused' ELSE 'active' END, at, 0 FROM t WHERE kind IN (1, 2)
UNION ALL
SELECT account, subscription_id, subscription_id * 4 + 2, tstzrange(at + interval '2 days', NULL), 'team', 1 + subscription_id % 12, 'active', at, 0 FROM t WHERE kind = 2;
VACUUM ANALYZE billadj.subscription, billadj.term, billadj.billing_cycle;
ANALYZE billadj.plan, billadj.plan_price;
SELECT count(*) AS months FROM billadj.maintain() \gset

-- The baselines write into tables of the same columns, and of the same keys.
CREATE SCHEMA bench;
CREATE TABLE bench.charge (LIKE billadj.charge INCLUDING DEFAULTS);
CREATE TABLE bench.total (LIKE billadj.recurring_total INCLUDING ALL);
CREATE TABLE bench.timing (what text, n bigint, ms numeric, cpu numeric);

-- Set-based: one statement for the charges, with their totals.  Day counts are
-- actual_days; amounts are rounded half up by line, as the plan says.
CREATE FUNCTION bench.by_set(at timestamptz) RETURNS bigint LANGUAGE sql AS $$
WITH cycle AS (
    SELECT c.account, c.subscription_id, c.valid,
           (c.anchor AT TIME ZONE c.time_zone + k.n * c.every) AT TIME ZONE c.time_zone AS whole_from,
           (c.anchor AT TIME ZONE c.time_zone + (k.n + 1) * c.every) AT TIME ZONE c.time_zone AS whole_to, c.time_zone
      FROM billadj.billing_cycle c
     CROSS JOIN LATERAL (SELECT floor(extract(year FROM age(at AT TIME ZONE c.time_zone, c.anchor AT TIME ZONE c.time_zone)) * 12
                                      + extract(month FROM age(at AT TIME ZONE c.time_zone, c.anchor AT TIME ZONE c.time_zone)))::integer AS n) k
     WHERE c.superseded_at IS NULL
), period AS (
    SELECT account, subscription_id, whole_from, whole_to, time_zone, greatest(whole_from, lower(valid)) AS cut_from,
           least(whole_to, coalesce(upper(valid), whole_to)) AS cut_to
      FROM cycle WHERE greatest(whole_from, lower(valid)) <= at
), part AS (
    SELECT p.account, p.subscription_id, p.cut_from, p.whole_from, p.whole_to, p.time_zone, s.currency, r.plan_price_id, pl.scale,
           CASE WHEN r.per_unit THEN t.quantity ELSE 1 END AS quantity, r.price, t.discount, t.term_id,
           greatest(lower(t.valid), p.cut_from) AS part_from, least(coalesce(upper(t.valid), p.cut_to), p.cut_to) AS part_to
      FROM period p
      JOIN billadj.subscription s ON s.account = p.account AND s.subscription_id = p.subscription_id
      JOIN billadj.term t ON t.account = p.account AND t.subscription_id = p.subscription_id AND t.superseded_at IS NULL
                         AND t.valid && tstzrange(p.cut_from, p.cut_to) AND t.state IN ('active', 'forfeited') AND lower(t.valid) <= at
      JOIN billadj.plan pl ON pl.plan = t.plan
      JOIN billadj.plan_price r ON r.plan = t.plan AND r.kind = 'recurring' AND r.timing = 'advance' AND r.valid @> t.priced_at
), line AS (
    SELECT account, subscription_id, cut_from, currency, plan_price_id, quantity, max(term_id) AS term_id, min(part_from) AS line_from, max(part_to) AS line_to,
           CASE price ->> 'model' WHEN 'flat' THEN (price ->> 'flat_amount')::numeric ELSE (price ->> 'unit_amount')::numeric * quantity END * (100 - discount) / 100 AS full_amount,
           scale, sum((part_to AT TIME ZONE time_zone)::date - (part_from AT TIME ZONE time_zone)::date) AS days,
           (whole_to AT TIME ZONE time_zone)::date - (whole_from AT TIME ZONE time_zone)::date AS whole_days
      FROM part
     GROUP BY account, subscription_id, cut_from, currency, plan_price_id, quantity, price, discount, scale, whole_to, whole_from, time_zone
), due AS (
    SELECT l.*, round(l.full_amount * l.days / l.whole_days, l.scale) - coalesce(t.amount + t.proposed, 0) AS amount, t.account IS NULL AS fresh
      FROM line l
      LEFT JOIN bench.total t USING (account, subscription_id, plan_price_id, quantity, full_amount)
     WHERE t.period_start = l.cut_from OR t.account IS NULL
), totals AS (
    INSERT INTO bench.total AS t (account, subscription_id, period_start, plan_price_id, quantity, full_amount, amount, covers)
    SELECT account, subscription_id, cut_from, plan_price_id, quantity, trim_scale(full_amount), trim_scale(amount), tstzrange(line_from, line_to) FROM due WHERE amount <> 0
        ON CONFLICT (account, subscription_id, period_start, plan_price_id, quantity, full_amount) DO UPDATE SET amount = t.amount + excluded.amount, covers = excluded.covers
), charges AS (
    INSERT INTO bench.charge (account, charge_id, period_start, posted_period_start, occurred_at, quantity, amount, currency, cause, row_count, basis, created_at, created_by,
                              subscription_id, term_id, plan_price_id, covers)
    SELECT account, nextval('billadj.charge_id_seq'), cut_from, cut_from, line_from, quantity, trim_scale(amount), currency, 'recurring', 0,
           jsonb_build_object('share', days || '/' || whole_days, 'billed', 0, 'full_amount', full_amount), clock_timestamp(), session_user,
           subscription_id, term_id, plan_price_id, tstzrange(line_from, line_to)
      FROM due WHERE amount <> 0
    RETURNING 1
)
SELECT count(*) FROM charges
$$;

-- The loop that most in-house billing jobs are: a subscription at a time, its
-- terms, its prices, an insert each.
CREATE FUNCTION bench.by_loop(at timestamptz, most bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    sub        record;
    t          record;
    b          numeric;
    n          integer;
    whole_from timestamptz;
    whole_to   timestamptz;
    cut_from   timestamptz;
    part_from  timestamptz;
    part_to    timestamptz;
    whole_amount numeric;
    amount     numeric;
    days       integer;
    whole_days integer;
    number     bigint := 0;
BEGIN
    FOR sub IN SELECT u.*, c.anchor, c.every, c.time_zone, c.valid FROM billadj.subscription u
               JOIN billadj.billing_cycle c ON c.account = u.account AND c.subscription_id = u.subscription_id AND c.superseded_at IS NULL
              ORDER BY u.account LIMIT most LOOP
        n := extract(year FROM age(at AT TIME ZONE sub.time_zone, sub.anchor AT TIME ZONE sub.time_zone)) * 12
             + extract(month FROM age(at AT TIME ZONE sub.time_zone, sub.anchor AT TIME ZONE sub.time_zone));
        whole_from := (sub.anchor AT TIME ZONE sub.time_zone + n * sub.every) AT TIME ZONE sub.time_zone;
        whole_to := (sub.anchor AT TIME ZONE sub.time_zone + (n + 1) * sub.every) AT TIME ZONE sub.time_zone;
        cut_from := greatest(whole_from, lower(sub.valid));
        CONTINUE WHEN cut_from > at;
        whole_days := (whole_to AT TIME ZONE sub.time_zone)::date - (whole_from AT TIME ZONE sub.time_zone)::date;
        FOR t IN SELECT m.*, r.plan_price_id, r.price, r.per_unit, p.scale FROM billadj.term m
                   JOIN billadj.plan p ON p.plan = m.plan
                   JOIN billadj.plan_price r ON r.plan = m.plan AND r.kind = 'recurring' AND r.timing = 'advance' AND r.valid @> m.priced_at
                  WHERE m.account = sub.account AND m.subscription_id = sub.subscription_id AND m.superseded_at IS NULL
                    AND m.valid && tstzrange(cut_from, whole_to) AND m.state IN ('active', 'forfeited') AND lower(m.valid) <= at
                  ORDER BY m.valid LOOP
            part_from := greatest(lower(t.valid), cut_from);
            part_to := least(coalesce(upper(t.valid), whole_to), whole_to);
            days := (part_to AT TIME ZONE sub.time_zone)::date - (part_from AT TIME ZONE sub.time_zone)::date;
            whole_amount := billadj.rate(t.price || jsonb_build_object('currency', sub.currency), CASE WHEN t.per_unit THEN t.quantity ELSE 1 END) * (100 - t.discount) / 100;
            SELECT x.amount INTO b FROM bench.total x WHERE x.account = sub.account AND x.subscription_id = sub.subscription_id AND x.period_start = cut_from
               AND x.plan_price_id = t.plan_price_id AND x.quantity = CASE WHEN t.per_unit THEN t.quantity ELSE 1 END AND x.full_amount = whole_amount;
            amount := billadj.prorate(whole_amount, tstzrange(whole_from, whole_to), tstzrange(part_from, part_to), 'actual_days', sub.time_zone, t.scale, 'half_up');
            CONTINUE WHEN amount = 0;
            INSERT INTO bench.total AS x (account, subscription_id, period_start, plan_price_id, quantity, full_amount, amount, covers)
            VALUES (sub.account, sub.subscription_id, cut_from, t.plan_price_id, CASE WHEN t.per_unit THEN t.quantity ELSE 1 END, whole_amount, amount, tstzrange(part_from, part_to))
                ON CONFLICT ON CONSTRAINT total_pkey DO UPDATE SET amount = x.amount + excluded.amount;
            INSERT INTO bench.charge (account, charge_id, period_start, posted_period_start, occurred_at, quantity, amount, currency, cause, row_count, basis, created_at, created_by,
                                      subscription_id, term_id, plan_price_id, covers)
            VALUES (sub.account, nextval('billadj.charge_id_seq'), cut_from, cut_from, part_from, t.quantity, amount, sub.currency, 'recurring', 0,
                    jsonb_build_object('share', days || '/' || whole_days, 'billed', 0, 'full_amount', whole_amount), clock_timestamp(), session_user,
                    sub.subscription_id, t.term_id, t.plan_price_id, tstzrange(part_from, part_to));
            number := number + 1;
        END LOOP;
    END LOOP;
    RETURN number;
END $$;

-- CPU time of this session in ms, in steps of 10: what the clock on the wall says
-- depends on who else is at work.
CREATE FUNCTION bench.cpu() RETURNS numeric LANGUAGE sql AS $$
SELECT (f[12]::numeric + f[13]::numeric) * 10 FROM string_to_array(regexp_replace(pg_read_file('/proc/self/stat'), '^.*\) ', ''), ' ') AS f
$$;
CREATE FUNCTION bench.time(what text, statement text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    began timestamptz := clock_timestamp();
    spent numeric := bench.cpu();
    made  bigint;
BEGIN
    EXECUTE statement INTO made;
    INSERT INTO bench.timing VALUES (what, made, round(extract(epoch FROM clock_timestamp() - began)::numeric * 1000, 1), bench.cpu() - spent);
END $$;
SELECT format('SELECT bench.by_loop(%L, %s)', '2026-04-30 12:00+00', :loop) AS loop_sql \gset

SELECT bench.time('loop', :'loop_sql') \g /dev/null
TRUNCATE bench.charge, bench.total;
VACUUM bench.total, bench.charge;
SELECT bench.time('set', 'SELECT bench.by_set(''2026-04-30 12:00+00'')') \g /dev/null
SELECT bench.time('library', 'SELECT billadj.charge_subscriptions(''2026-04-30 12:00+00'', since => ''2026-04-15'')') \g /dev/null
SELECT bench.time('library, nothing due', 'SELECT billadj.charge_subscriptions(''2026-04-30 12:00+00'', since => ''2026-04-15'')') \g /dev/null

\pset format aligned
SELECT what, n AS charges, ms, cpu AS cpu_ms, round(ms * 1000 / v.each, 2) AS us_each, round(cpu * 1000 / v.each, 2) AS cpu_us_each
  FROM bench.timing t, LATERAL (SELECT CASE WHEN t.what = 'library, nothing due' THEN :n ELSE nullif(t.n, 0) END AS each) v;
SELECT round(l.ms / l.n / (b.ms / b.n), 1) AS times_loop, round(s.ms / s.n / (b.ms / b.n), 1) AS times_set,
       round(l.cpu / l.n / (b.cpu / b.n), 1) AS cpu_times_loop, round(s.cpu / s.n / (b.cpu / b.n), 1) AS cpu_times_set
  FROM bench.timing l, bench.timing s, bench.timing b WHERE l.what = 'loop' AND s.what = 'set' AND b.what = 'library';
SELECT count(*) AS differences FROM (
    (SELECT account, subscription_id, period_start, plan_price_id, quantity, amount, covers FROM billadj.charge WHERE subscription_id IS NOT NULL
     EXCEPT ALL SELECT account, subscription_id, period_start, plan_price_id, quantity, amount, covers FROM bench.charge)
    UNION ALL
    (SELECT account, subscription_id, period_start, plan_price_id, quantity, amount, covers FROM bench.charge
     EXCEPT ALL SELECT account, subscription_id, period_start, plan_price_id, quantity, amount, covers FROM billadj.charge WHERE subscription_id IS NOT NULL)) d;
