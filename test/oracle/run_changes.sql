-- run_changes.sql: subscriptions that are changed at random, up to fifty times
-- each: all kinds of changes, at once, scheduled and backdated, in zones with
-- clock changes.
--
--   psql -v cases=20000 -v seed=1 -f test/oracle/run_changes.sql
--
-- A hundredth of the cases are changes.  For each: the preview is what was done,
-- row by row; the same change again does nothing; an undone one leaves the
-- totals as they were.  At the end what was charged is what the timelines say,
-- computed as if nothing ever had been billed.
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
CREATE SCHEMA changes;
SELECT setseed((:seed::bigint % 1000003) / 1000003.0) \g /dev/null
CREATE FUNCTION changes.pick(VARIADIC choices text[]) RETURNS text LANGUAGE sql AS $$
SELECT choices[1 + floor(random() * cardinality(choices))::integer]
$$;
SELECT count(*) AS done FROM generate_series(1, 8) AS i CROSS JOIN LATERAL billadj.import_plan(jsonb_build_object('plan', 'c' || i, 'currency', 'USD',
    'every', (ARRAY['1 month', '1 month', '1 month', '7 days', '1 month', '3 months', '1 month', '1 year'])[i],
    'anchor', (ARRAY['calendar', 'anniversary'])[1 + i % 2], 'day_count', (ARRAY['actual_days', 'actual_seconds', 'actual_days_inclusive', 'actual_days'])[1 + i % 4],
    'rounding', (ARRAY['half_up', 'half_even'])[1 + i / 2 % 2], 'round_at', CASE i WHEN 5 THEN 'total' ELSE 'line' END,
    'prices', jsonb_build_array(jsonb_build_object('component', 'base', 'model', 'flat', 'flat_amount', i * 15.5),
        jsonb_build_object('component', 'seats', 'model', 'graduated', 'tiers', '[{"up_to": 3, "unit_amount": 9.99}, {"unit_amount": 7.77}]'::jsonb),
        jsonb_build_object('component', 'support', 'timing', 'arrears', 'model', 'flat', 'flat_amount', 31),
        jsonb_build_object('component', 'setup', 'kind', 'one_off', 'model', 'flat', 'flat_amount', 50)))) p \gset
INSERT INTO billadj.change_policy (currency, backdate) VALUES ('USD', '1000 days');

CREATE FUNCTION changes.some_change(as_of timestamptz) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    kind text := changes.pick('plan', 'plan', 'plan', 'quantity', 'quantity', 'discount', 'pause', 'resume', 'trial', 'cancel', 'reactivate', 'anchor', 'zone', 'price');
    moment text := changes.pick('now', 'now', 'backdated', 'scheduled', 'period_end');
    at timestamptz := CASE moment WHEN 'backdated' THEN date_trunc('hour', as_of - random() * interval '20 days') WHEN 'scheduled' THEN date_trunc('day', as_of + random() * interval '20 days') END;
BEGIN
    RETURN jsonb_strip_nulls(jsonb_build_object('kind', kind, 'at', at, 'when', CASE WHEN at IS NULL THEN moment END, 'post', changes.pick('now', 'next_period'))
           || CASE kind WHEN 'plan' THEN jsonb_build_object('plan', 'c' || (1 + floor(random() * 8)), 'quantity', CASE WHEN random() < 0.3 THEN floor(random() * 6) END)
                        WHEN 'quantity' THEN jsonb_build_object('quantity', floor(random() * 8))
                        WHEN 'discount' THEN jsonb_build_object('discount', changes.pick('0', '10', '33.3', '100')::numeric)
                        WHEN 'pause' THEN jsonb_build_object('until', CASE WHEN random() < 0.5 THEN coalesce(at, as_of) + interval '75 days' END)
                        WHEN 'trial' THEN jsonb_build_object('until', coalesce(at, as_of) + interval '60 days')
                        WHEN 'cancel' THEN jsonb_build_object('settle', changes.pick('credit', 'credit', 'none'))
                        WHEN 'zone' THEN jsonb_build_object('time_zone', changes.pick('UTC', 'Europe/Berlin', 'America/New_York', 'Australia/Lord_Howe', 'Pacific/Apia'))
                        ELSE '{}' END);
END $$;

-- What is billed of each line, as one text.  Arrears that a change had made due
-- stay when it is undone: they are for service that was used, and what is left of
-- them falls due with the period.
CREATE FUNCTION changes.billed(s bigint, in_arrears boolean DEFAULT true) RETURNS text LANGUAGE sql STABLE AS $$
SELECT string_agg(format('%s/%s/%s/%s=%s', period_start, plan_price_id, trim_scale(quantity), trim_scale(full_amount), trim_scale(amount + proposed)), ' ' ORDER BY 1, plan_price_id, quantity, full_amount)
  FROM (SELECT r.* FROM billadj.recurring_total r WHERE r.subscription_id = s AND r.amount + r.proposed <> 0
           AND (in_arrears OR (SELECT p.timing FROM billadj.plan_price p WHERE p.plan_price_id = r.plan_price_id) = 'advance') ORDER BY period_start, plan_price_id, quantity, full_amount) r
$$;
CREATE TABLE changes.tally (what text PRIMARY KEY, n bigint);
CREATE FUNCTION changes.count(what text) RETURNS void LANGUAGE sql AS $$
INSERT INTO changes.tally AS t VALUES (what, 1) ON CONFLICT (what) DO UPDATE SET n = t.n + 1
$$;

CREATE FUNCTION changes.change_one(s bigint, as_of timestamptz) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    change   jsonb := changes.some_change(as_of);
    expected jsonb;
    executed jsonb;
    before   text;
    advance  text;
    after    text;
    logged   bigint;
BEGIN
    PERFORM billadj.charge_subscriptions(as_of, subscription => s, since => '-infinity');
    before := changes.billed(s);
    advance := changes.billed(s, false);
    logged := (SELECT count(*) FROM billadj.subscription_change c WHERE c.subscription_id = s);
    BEGIN
        SELECT coalesce(jsonb_agg(to_jsonb(p)), '[]') INTO expected FROM billadj.preview_change(s, change, as_of) p;
    EXCEPTION WHEN SQLSTATE 'UB113' THEN
        PERFORM changes.count('refused');
        RETURN;
    END;
    SELECT coalesce(jsonb_agg(to_jsonb(p)), '[]') INTO executed FROM billadj.change_subscription(s, change, as_of) p;
    -- what was done already is not done again
    IF logged = (SELECT count(*) FROM billadj.subscription_change c WHERE c.subscription_id = s) THEN
        IF executed <> '[]' OR changes.billed(s) IS DISTINCT FROM before THEN
            RAISE EXCEPTION 'no change, and yet %', executed;
        END IF;
        PERFORM changes.count('nothing to do');
        RETURN;
    END IF;
    IF executed <> expected THEN
        RAISE EXCEPTION 'preview % executed % of %', expected, executed, change;
    END IF;
    PERFORM changes.count('done');
    PERFORM changes.count(change ->> 'kind');
    IF executed <> '[]' THEN
        PERFORM changes.count('with lines');
    END IF;
    after := changes.billed(s);
    IF change ->> 'kind' NOT IN ('zone', 'anchor') AND NOT change ->> 'when' IS NOT DISTINCT FROM 'period_end'
       AND EXISTS (SELECT FROM billadj.change_subscription(s, change, as_of) p) OR changes.billed(s) IS DISTINCT FROM after THEN
        RAISE EXCEPTION 'a second time % did something', change;
    END IF;
    IF random() < 0.3 THEN
        SELECT coalesce(jsonb_agg(to_jsonb(p)), '[]') INTO expected FROM billadj.preview_change(s, '{"kind": "undo"}', as_of) p;
        SELECT coalesce(jsonb_agg(to_jsonb(p)), '[]') INTO executed FROM billadj.change_subscription(s, '{"kind": "undo"}', as_of) p;
        PERFORM billadj.charge_subscriptions(as_of, subscription => s, since => '-infinity');
        IF executed <> expected OR changes.billed(s, false) IS DISTINCT FROM advance THEN
            RAISE EXCEPTION 'undone % left % instead of %', change, changes.billed(s, false), advance;
        END IF;
        PERFORM changes.count('undone');
    END IF;
END $$;

SELECT set_config('changes.cases', :'cases', true) \g /dev/null
DO $$
DECLARE
    wanted integer := current_setting('changes.cases')::integer / 100;
    s      bigint;
    as_of  timestamptz;
    number integer := 0;
BEGIN
    WHILE number < wanted LOOP
        as_of := '2025-01-10'::timestamptz + random() * interval '60 days';
        s := billadj.subscribe('changes-' || number, 'c' || (1 + floor(random() * 8)), as_of, (floor(random() * 5) + 1)::numeric, as_of => as_of,
                               time_zone => changes.pick('UTC', 'Europe/Berlin', 'America/New_York', 'Australia/Lord_Howe'));
        FOR i IN 1 .. 8 + floor(random() * random() * 43)::integer LOOP
            EXIT WHEN number >= wanted;
            as_of := as_of + random() * interval '14 days';
            PERFORM changes.change_one(s, as_of);
            number := number + 1;
        END LOOP;
    END LOOP;
END $$;

-- As if nothing ever had been billed: a subscription of the same timeline, whose
-- number has no totals.
SELECT billadj.charge_subscriptions('2027-06-01', since => '-infinity') AS charged \gset
CREATE TEMP TABLE fresh AS
SELECT s.subscription_id, d.period_start, d.plan_price_id, trim_scale(d.quantity) AS quantity, trim_scale(d.full_amount) AS full_amount, d.amount
  FROM billadj.subscription s
 CROSS JOIN LATERAL billadj.recurring_differences('2027-06-01', '-infinity', NULL, s.account, -1, billadj.stored_terms(s.account, s.subscription_id),
                                                  billadj.stored_cycles(s.account, s.subscription_id)) d
 WHERE s.account LIKE 'changes-%';
SELECT count(*) AS faults FROM (
    SELECT * FROM fresh FULL JOIN (SELECT c.subscription_id, c.period_start, c.plan_price_id, trim_scale(c.quantity) AS quantity, (c.basis ->> 'full_amount')::numeric AS full_amount, sum(c.amount) AS charged
                                     FROM billadj.charge c WHERE c.account LIKE 'changes-%' GROUP BY 1, 2, 3, 4, 5 HAVING sum(c.amount) <> 0) c
                 USING (subscription_id, period_start, plan_price_id, quantity, full_amount)
     WHERE amount IS DISTINCT FROM charged) f \gset
-- what was billed and not credited is never below zero, whatever was changed
SELECT count(*) AS below FROM billadj.recurring_total r WHERE r.account LIKE 'changes-%' AND r.amount < 0 \gset
-- bills: each period's is the sum of what is posted to it
SELECT count(*) AS bills FROM (
    SELECT c.account, c.posted_period_start, sum(c.amount) AS amount FROM billadj.charge c WHERE c.account LIKE 'changes-%' GROUP BY 1, 2) c
 CROSS JOIN LATERAL (SELECT coalesce(sum(b.amount), 0) AS amount FROM billadj.bill_preview(c.account, tstzrange(c.posted_period_start, c.posted_period_start + '1 microsecond')) b WHERE b.kind <> 'total') b
 WHERE b.amount <> c.amount \gset
-- recurring revenue reconciles, month by month, to the cent
SELECT count(*) AS months, count(*) FILTER (WHERE opening + new + expansion + contraction + churn + reactivation <> closing) AS torn,
       count(*) FILTER (WHERE opening <> coalesce((SELECT sum(m.amount) FROM billadj.mrr(v.month_start) m), 0)) AS off
  FROM billadj.mrr_movements('2025-01-01', '2027-01-01') v \gset
\pset format unaligned
\pset tuples_only on
SELECT format('%s; %s lines charged as the timelines say', string_agg(format('%s %s', t.n, t.what), ', ' ORDER BY t.n DESC, t.what), (SELECT count(*) FROM fresh)) FROM changes.tally t;
SELECT format('%s lines differ, %s below zero, %s bills, %s + %s months', :faults, :below, :bills, :torn, :off) WHERE :faults + :below + :bills + :torn + :off > 0;
SELECT count(*) AS kinds FROM changes.tally WHERE what IN ('done', 'undone', 'with lines') \gset
SELECT CASE WHEN :faults + :below + :bills + :torn + :off > 0 OR :months < 3 OR :kinds < 3 THEN 1 / 0 END \g /dev/null
ROLLBACK;
