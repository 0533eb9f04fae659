-- run_timeline.sql: what timelines of terms should be charged, against a second
-- computation in SQL: random plans, zones, anchors and terms, cut by day and by
-- microsecond, with gaps, pauses, trials, discounts and quantities.
--
--   psql -v cases=20000 -v seed=1 -f test/oracle/run_timeline.sql
--
-- A case is a line of a period.  One line of counts; an error when a single case
-- differs, or when no case would have told two rules apart that are easily
-- mistaken for one another.
\set ON_ERROR_STOP 1
\set QUIET 1
\if :{?cases}
\else
\set cases 20000
\endif
\if :{?seed}
\else
\set seed 1
\endif
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS btree_gist;
SELECT count(*) AS steps FROM billadj.install() \gset
BEGIN;
SET LOCAL timezone = 'UTC';
SET LOCAL jit = off;
SET LOCAL work_mem = '256MB';
\ir prorate_oracle.sql

CREATE FUNCTION oracle.pick(VARIADIC choices text[]) RETURNS text LANGUAGE sql AS $$
SELECT choices[1 + floor(random() * cardinality(choices))::integer]
$$;

-- a midnight of the zone, another hour, or any microsecond of a day
CREATE FUNCTION oracle.moment(day date, zone text) RETURNS timestamptz LANGUAGE plpgsql AS $$
DECLARE
    kind float := random();
BEGIN
    IF kind < 0.6 THEN RETURN day::timestamp AT TIME ZONE zone; END IF;
    IF kind < 0.8 THEN RETURN (day + floor(random() * 24) * interval '1 hour') AT TIME ZONE zone; END IF;
    RETURN (day + random() * interval '24 hours') AT TIME ZONE zone;
END $$;

-- numerator / denominator, rounded at scale decimals without a division that
-- loses anything
CREATE FUNCTION oracle.rounded(numerator numeric, denominator numeric, scale integer, mode text) RETURNS numeric LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    q numeric := div(abs(numerator) * 10::numeric ^ scale, denominator);
    r numeric := abs(numerator) * 10::numeric ^ scale - q * denominator;
BEGIN
    IF mode = 'half_up' AND 2 * r >= denominator
       OR mode = 'half_even' AND (2 * r > denominator OR 2 * r = denominator AND q % 2 = 1)
       OR mode = 'half_down' AND 2 * r > denominator
       OR mode = 'up' AND r > 0 THEN
        q := q + 1;
    END IF;
    RETURN sign(numerator) * q / 10::numeric ^ scale;
END $$;

-- ---- random subscriptions ----

SELECT setseed((:seed::bigint % 1000003) / 1000003.0) \g /dev/null
CREATE TEMP TABLE wanted AS SELECT greatest(:cases / 25, 4)::integer AS subscriptions, '2026-03-20 17:30:00+00'::timestamptz AS at;
CREATE TEMP TABLE plan AS
SELECT 'p' || i AS plan, oracle.pick('1 month', '1 month', '1 month', '7 days', '3 months', '1 year')::interval AS every,
       oracle.pick('actual_days', 'actual_days', 'actual_days_inclusive', 'actual_seconds') AS day_count,
       floor(random() * 4)::integer AS scale, oracle.pick('half_up', 'half_even', 'half_even', 'half_down', 'up') AS rounding,
       oracle.pick('line', 'line', 'total') AS round_at
  FROM generate_series(1, 24) AS i;
-- amounts of which a day is a tie in a month of 28, 30 or 31 days, and others
SELECT count(*) AS done FROM plan p CROSS JOIN LATERAL billadj.import_plan(jsonb_build_object('plan', p.plan, 'currency', 'USD', 'every', p.every, 'day_count', p.day_count,
    'scale', p.scale, 'rounding', p.rounding, 'round_at', p.round_at, 'prices', jsonb_build_array(
        jsonb_build_object('component', 'base', 'model', 'flat', 'flat_amount', oracle.pick('46.5', '45', '42', '3.1', '0.7', '19.99', '1000')::numeric, 'per_unit', false),
        jsonb_build_object('component', 'seats', 'model', 'per_unit', 'unit_amount', oracle.pick('15.5', '1.5', '7', '0.35', '9.99')::numeric),
        jsonb_build_object('component', 'support', 'timing', 'arrears', 'model', 'flat', 'flat_amount', oracle.pick('31', '2.5', '0')::numeric, 'per_unit', false),
        jsonb_build_object('component', 'setup', 'kind', 'one_off', 'model', 'flat', 'flat_amount', 5, 'per_unit', false)))) i \gset

CREATE TEMP TABLE sub AS
SELECT 'o' || i AS account, 1000000 + i AS id, z.zone, oracle.moment('2025-01-05'::date + floor(random() * 300)::integer, z.zone) AS starts_at,
       oracle.moment(('2025-01-31'::date + floor(random() * 3)::integer * 59)::date, z.zone) AS anchor,
       oracle.pick('1 month', '1 month', '1 month', '7 days', '3 months')::interval AS every
  FROM wanted w CROSS JOIN LATERAL generate_series(1, w.subscriptions) AS i
 CROSS JOIN LATERAL (SELECT oracle.pick('UTC', 'Europe/Berlin', 'America/New_York', 'America/Havana', 'Australia/Lord_Howe', 'Asia/Kathmandu', 'Pacific/Apia', 'America/Santiago') AS zone
                      WHERE i > 0) z;
-- up to ten terms, mostly without gaps
CREATE TEMP TABLE made AS
SELECT s.account, s.id, s.zone, n, oracle.moment((s.starts_at + n * interval '37 days' + floor(random() * 30) * interval '1 day')::date, s.zone) AS at, random() AS gap,
       'p' || (1 + floor(random() * 24))::integer AS plan, (ARRAY[1, 1, 2, 3, 0, 2.5])[1 + floor(random() * 6)::integer] AS quantity,
       oracle.pick('active', 'active', 'active', 'active', 'paused', 'trial', 'forfeited') AS state, (ARRAY[0, 0, 0, 10, 33.3, 100])[1 + floor(random() * 6)::integer] AS discount
  FROM sub s CROSS JOIN LATERAL generate_series(0, (abs(hashint8(s.id)) % 10)) AS n;
UPDATE made m SET plan = p.plan, quantity = p.quantity, discount = p.discount FROM made p WHERE p.id = m.id AND p.n = m.n - 1 AND m.gap BETWEEN 0.4 AND 0.6;
CREATE TEMP TABLE term AS
SELECT m.account, m.id, m.n, tstzrange(m.at, CASE WHEN m.gap < 0.1 AND m.next > m.at + interval '12 days' THEN m.next - interval '10 days' ELSE m.next END) AS valid,
       m.plan, m.quantity, m.state, m.discount
  FROM (SELECT m.*, lead(m.at) OVER (PARTITION BY m.id ORDER BY m.at, m.n) AS next FROM made m) m
 WHERE m.next IS NULL OR m.next > m.at;
CREATE INDEX ON term (id);
ANALYZE term;

INSERT INTO billadj.subscription (account, subscription_id, currency, starts_at)
SELECT account, id, 'USD', starts_at FROM sub;
INSERT INTO billadj.term (account, subscription_id, term_id, valid, plan, quantity, state, discount, priced_at, change_id)
SELECT account, id, id * 100 + n, valid, plan, quantity, state, discount, lower(valid), 0 FROM term;
INSERT INTO billadj.billing_cycle (account, subscription_id, cycle_id, valid, anchor, every, time_zone, change_id)
SELECT s.account, s.id, s.id, tstzrange((SELECT min(lower(t.valid)) FROM term t WHERE t.id = s.id), NULL), s.anchor, s.every, s.zone, 0 FROM sub s;
ANALYZE billadj.term, billadj.billing_cycle, billadj.subscription;

-- ---- the second computation ----

-- What is known at that time: a term that begins later has not begun, the one
-- before it goes on for as long as the others follow without a gap.
CREATE TEMP TABLE known AS
WITH RECURSIVE chain AS (
    SELECT t.id, t.n, lower(t.valid) AS lo, upper(t.valid) AS hi FROM term t, wanted w WHERE lower(t.valid) <= w.at
    UNION ALL
    SELECT c.id, c.n, c.lo, upper(t.valid) FROM chain c JOIN term t ON t.id = c.id AND lower(t.valid) = c.hi, wanted w WHERE lower(t.valid) > w.at
)
SELECT t.account, t.id, t.n, c.lo, max(coalesce(c.hi, 'infinity')) AS hi, t.plan, t.quantity, t.state, t.discount
  FROM chain c JOIN term t ON t.id = c.id AND t.n = c.n GROUP BY t.account, t.id, t.n, c.lo, t.plan, t.quantity, t.state, t.discount;
CREATE INDEX ON known (id);
ANALYZE known;

CREATE TEMP TABLE period AS
SELECT s.account, s.id, s.zone, b.since AS whole_from, b.until AS whole_to, greatest(b.since, f.at) AS cut_from, b.until AS cut_to
  FROM sub s, wanted w,
       LATERAL (SELECT min(lower(t.valid)) AS at FROM term t WHERE t.id = s.id) f,
       LATERAL (SELECT o.at AS since, lead(o.at) OVER (ORDER BY o.n) AS until
                  FROM (SELECT k AS n, oracle.boundary(s.anchor, s.every, k, s.zone) AS at FROM generate_series(-70, 90) AS k) o) b
 WHERE b.until > f.at AND b.since < b.until AND greatest(b.since, f.at) <= w.at;

CREATE TEMP TABLE part AS
SELECT p.account, p.id, p.zone, p.whole_from, p.whole_to, p.cut_from, p.cut_to, k.n, k.plan, greatest(k.lo, p.cut_from) AS lo, least(k.hi, p.cut_to) AS hi,
       r.plan_price_id, r.kind, r.component, CASE WHEN r.per_unit THEN k.quantity ELSE 1 END AS quantity,
       CASE r.price ->> 'model' WHEN 'flat' THEN (r.price ->> 'flat_amount')::numeric ELSE (r.price ->> 'unit_amount')::numeric * k.quantity END * (100 - k.discount) / 100 AS full_amount
  FROM period p
  JOIN known k ON k.id = p.id AND k.lo < p.cut_to AND k.hi > p.cut_from
  JOIN billadj.plan_price r ON r.plan = k.plan
 CROSS JOIN wanted w
 WHERE CASE r.kind WHEN 'one_off' THEN k.state = 'active' AND k.lo >= p.cut_from AND k.lo < p.cut_to
                        -- the plan was not there just before, but for a trial of it
                        AND NOT EXISTS (WITH RECURSIVE back AS (
                                            SELECT t.n, lower(t.valid) AS lo, t.plan, t.state FROM term t WHERE t.id = k.id AND upper(t.valid) = k.lo
                                            UNION ALL
                                            SELECT t.n, lower(t.valid), t.plan, t.state FROM back b JOIN term t ON t.id = k.id AND upper(t.valid) = b.lo
                                             WHERE b.plan = k.plan AND b.state = 'trial')
                                        SELECT FROM back WHERE back.plan = k.plan AND back.state <> 'trial'
                                          AND NOT EXISTS (SELECT FROM back x WHERE x.plan <> k.plan AND x.lo > back.lo))
                   ELSE k.state = 'active' OR k.state = 'forfeited' AND r.timing = 'advance' END
   AND (r.timing = 'advance' OR p.cut_to <= w.at);

-- How much of a period a part is, in units of its day count.
CREATE FUNCTION oracle.units(day_count text, lo timestamptz, hi timestamptz, zone text) RETURNS numeric LANGUAGE sql STABLE AS $$
SELECT CASE day_count
       WHEN 'actual_seconds' THEN extract(epoch FROM hi - lo) * 1000000
       WHEN 'actual_days' THEN oracle.day_of(hi, zone) - oracle.day_of(lo, zone)
       ELSE oracle.next_day(hi, zone) - oracle.next_day(lo, zone) END
$$;
CREATE TEMP TABLE line AS
SELECT q.account, q.id, q.cut_from, q.whole_from, q.whole_to, q.zone, q.plan, q.plan_price_id, q.quantity, q.full_amount, min(q.lo) AS lo, max(q.hi) AS hi, q.kind, l.scale, l.rounding, l.round_at,
       CASE WHEN q.kind = 'one_off' THEN 1 ELSE sum(oracle.units(l.day_count, q.lo, q.hi, q.zone)) END AS units,
       CASE WHEN q.kind = 'one_off' THEN 1 ELSE oracle.units(l.day_count, q.whole_from, q.whole_to, q.zone) END AS whole
  FROM part q JOIN plan l ON l.plan = q.plan
 WHERE q.full_amount <> 0
 GROUP BY q.account, q.id, q.cut_from, q.whole_from, q.whole_to, q.zone, q.plan, q.plan_price_id, q.quantity, q.full_amount, q.kind, l.scale, l.rounding, l.round_at, l.day_count;
ALTER TABLE line ADD amount numeric, ADD other numeric;
UPDATE line SET amount = oracle.rounded(full_amount * units, whole, scale, rounding),
                other = oracle.rounded(full_amount * units, whole, scale, CASE rounding WHEN 'half_even' THEN 'half_up' ELSE 'half_even' END);

-- ---- against the library ----

CREATE TEMP TABLE got AS
SELECT d.* FROM wanted w CROSS JOIN LATERAL billadj.recurring_differences(w.at, '-infinity') d WHERE d.account LIKE 'o%';
CREATE TEMP TABLE wrong AS
SELECT coalesce(l.account, g.account) AS account, coalesce(l.cut_from, g.period_start) AS period_start, coalesce(l.plan_price_id, g.plan_price_id) AS plan_price_id,
       l.units, l.whole, l.full_amount, l.round_at, l.amount, g.amount AS got, g.share, l.lo, l.hi, g.covers
  FROM (SELECT * FROM line WHERE round_at = 'line' AND amount <> 0) l
  FULL JOIN (SELECT g.*, p.plan FROM got g JOIN billadj.plan_price r USING (plan_price_id) JOIN plan p ON p.plan = r.plan WHERE p.round_at = 'line') g
    ON g.account = l.account AND g.period_start = l.cut_from AND g.plan_price_id = l.plan_price_id AND g.quantity = l.quantity AND g.full_amount = l.full_amount
 WHERE l.amount IS DISTINCT FROM g.amount OR tstzrange(l.lo, nullif(l.hi, 'infinity')) IS DISTINCT FROM g.covers;
-- By total: the sum is that of the exact ones, rounded; no line is off by a unit.
-- Of a period that runs, arrears are in the sum and not due yet.
CREATE TEMP TABLE by_total AS
SELECT l.account, l.cut_from, l.plan, l.scale, oracle.rounded(sum(l.exact), 1, l.scale, l.rounding) AS total, coalesce(sum(g.amount), 0) AS got, sum(l.amount) AS by_line,
       bool_and(abs(coalesce(g.amount, 0) - l.exact) < 10::numeric ^ -l.scale) AS near
  FROM (SELECT line.*, oracle.rounded(line.full_amount * line.units, whole, 12, 'half_even') AS exact FROM line, wanted WHERE round_at = 'total' AND whole_to <= wanted.at) l
  LEFT JOIN got g ON g.account = l.account AND g.period_start = l.cut_from AND g.plan_price_id = l.plan_price_id AND g.quantity = l.quantity AND g.full_amount = l.full_amount
 GROUP BY l.account, l.cut_from, l.plan, l.scale, l.rounding;

\pset format unaligned
\pset tuples_only on
SELECT format('wrong: %s', to_json(w)) FROM wrong w LIMIT 5;
SELECT format('wrong: %s', to_json(t)) FROM by_total t WHERE total <> got OR NOT near LIMIT 5;
SELECT count(*) AS lines, count(*) FILTER (WHERE amount <> other) AS modes, count(*) FILTER (WHERE units <> whole) AS cut FROM line \gset
SELECT count(*) FILTER (WHERE total <> by_line) AS totals FROM by_total \gset
SELECT count(*) AS clocks FROM line l
 WHERE l.units <> l.whole AND extract(epoch FROM l.whole_to - l.whole_from) <> extract(epoch FROM (l.whole_to AT TIME ZONE l.zone) - (l.whole_from AT TIME ZONE l.zone)) \gset
SELECT (SELECT count(*) FROM wrong) + (SELECT count(*) FROM by_total WHERE total <> got OR NOT near) AS faults \gset
SELECT format('%s lines of periods, %s of a part; %s tell rounding modes apart, %s totals differ from the sum of lines, %s in periods of clock changes; %s wrong',
              :lines, :cut, :modes, :totals, :clocks, :faults);
SELECT CASE WHEN :faults > 0 OR :modes = 0 OR :totals = 0 OR :clocks = 0 OR :cut = 0 THEN 1 / 0 END \g /dev/null

-- ---- charged: the same once, nothing a second time, totals are their charges ----
SELECT billadj.charge_subscriptions((SELECT at FROM wanted), since => '-infinity') = (SELECT count(*) FROM got) AS charged,
       billadj.charge_subscriptions((SELECT at FROM wanted), since => '-infinity') = 0 AS once \gset
SELECT count(*) = 0 AS totals_right FROM (
    SELECT account, subscription_id, period_start, plan_price_id, sum(amount) FROM billadj.recurring_total GROUP BY 1, 2, 3, 4
    EXCEPT ALL SELECT account, subscription_id, period_start, plan_price_id, sum(amount) FROM billadj.charge WHERE plan_price_id IS NOT NULL GROUP BY 1, 2, 3, 4) d \gset
SELECT CASE WHEN NOT (:'charged'::boolean AND :'once'::boolean AND :'totals_right'::boolean) THEN 1 / 0 END \g /dev/null
ROLLBACK;
