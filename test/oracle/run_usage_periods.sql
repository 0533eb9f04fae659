-- run_usage_periods.sql: usage of accounts whose subscriptions change at random,
-- written, changed and deleted meanwhile.
--
--   psql -v cases=20000 -v seed=1 -f test/oracle/run_usage_periods.sql
--
-- A two-hundredth of the cases are acts.  After every few of them, what is
-- charged net for each usage row lies in the period, and is by the price, that
-- the terms and billing cycles say, read here a second time by SQL; and what is
-- charged of each period and stretch of one price is f of its quantity, as if
-- the rows had come today.
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
CREATE SCHEMA periods;
SELECT setseed((:seed::bigint % 1000003) / 1000003.0) \g /dev/null
CREATE FUNCTION periods.pick(VARIADIC choices text[]) RETURNS text LANGUAGE sql AS $$
SELECT choices[1 + floor(random() * cardinality(choices))::integer]
$$;
SELECT count(*) AS done FROM billadj.import_rate_card('{"code": "periods", "currency": "USD", "prices": [
    {"meter": "p_gb", "model": "graduated", "tiers": [{"up_to": 10, "unit_amount": 1}, {"up_to": null, "unit_amount": 0.5}]},
    {"meter": "p_call", "model": "volume", "tiers": [{"up_to": 20, "unit_amount": 0.3}, {"up_to": null, "unit_amount": 0.2}]}]}', '[2015-01-01,)') \gset
-- the fifth has no usage price, the sixth one of another meter
SELECT count(*) AS done FROM generate_series(1, 6) AS i CROSS JOIN LATERAL billadj.import_plan(jsonb_build_object('plan', 'u' || i, 'currency', 'USD',
    'every', (ARRAY['1 month', '1 month', '7 days', '3 months', '1 month', '1 month'])[i], 'anchor', (ARRAY['calendar', 'anniversary'])[1 + i % 2],
    'prices', jsonb_build_array(jsonb_build_object('component', 'base', 'model', 'flat', 'flat_amount', i)) || CASE i WHEN 5 THEN '[]' ELSE
        jsonb_build_array(jsonb_build_object('component', 'use', 'kind', 'usage', 'meter', CASE i WHEN 6 THEN 'p_call' ELSE 'p_gb' END, 'model', 'graduated',
            'tiers', jsonb_build_array(jsonb_build_object('up_to', 5 * i, 'unit_amount', i), jsonb_build_object('unit_amount', i / 4.0)))) END)) p \gset
CREATE TABLE periods.usage (id bigint PRIMARY KEY, who text, at timestamptz, what text, n numeric);
SELECT count(*) AS done FROM billadj.attach('periods.usage', 'who', 'at', 'what', 'n') \gset
CREATE SEQUENCE periods.id;
CREATE TABLE periods.tally (what text PRIMARY KEY, n bigint);
CREATE FUNCTION periods.count(what text, n bigint DEFAULT 1) RETURNS void LANGUAGE sql AS $$
INSERT INTO periods.tally AS t VALUES (what, n) ON CONFLICT (what) DO UPDATE SET n = t.n + excluded.n
$$;

-- ---- what should be ----

-- Terms in force, with the price of a meter; what is renewed has no end.
CREATE FUNCTION periods.terms(who text, what text) RETURNS TABLE (subscription_id bigint, begins timestamptz, ends timestamptz, price jsonb) LANGUAGE sql STABLE AS $$
SELECT s.subscription_id, lower(t.valid),
       CASE WHEN s.renew_every IS NOT NULL AND NOT EXISTS (SELECT FROM billadj.term l WHERE l.subscription_id = s.subscription_id AND l.superseded_at IS NULL
                                                              AND l.state <> 'forfeited' AND lower(l.valid) > lower(t.valid)) THEN 'infinity'
            ELSE coalesce(upper(t.valid), 'infinity') END,
       (SELECT p.price FROM billadj.plan_price p WHERE p.plan = t.plan AND p.kind = 'usage' AND p.meter = what AND p.valid @> t.priced_at)
  FROM billadj.subscription s JOIN billadj.term t ON t.subscription_id = s.subscription_id AND t.superseded_at IS NULL AND t.state IN ('active', 'trial')
 WHERE s.account = who
$$;
-- the beginning of the billing period; one cut short by a change of zone has no
-- boundary within the last half period
CREATE FUNCTION periods.begins(subscription bigint, moment timestamptz) RETURNS timestamptz LANGUAGE plpgsql STABLE AS $$
DECLARE
    c record;
    p tstzrange;
BEGIN
    SELECT b.* INTO c FROM billadj.billing_cycle b WHERE b.subscription_id = subscription AND b.superseded_at IS NULL AND b.valid @> moment;
    p := billadj.period_at(c.anchor, c.every, moment, c.time_zone);
    IF c.seam AND upper(p) >= upper(c.valid) AND upper(c.valid) - lower(p) < (upper(p) - lower(p)) / 2 AND lower(p) > lower(c.valid) THEN
        p := billadj.period_at(c.anchor, c.every, lower(p) - interval '1 microsecond', c.time_zone);
    END IF;
    RETURN greatest(lower(p), lower(c.valid));
END $$;
-- For each row: its period and its price, and how many other prices of the meter
-- held between the row and the period's beginning.
CREATE FUNCTION periods.should_be(account text) RETURNS TABLE (id bigint, what text, n numeric, period_start timestamptz, price jsonb, stretch text) LANGUAGE plpgsql STABLE AS $$
DECLARE
    r record;
    s bigint;
    t record;
BEGIN
    FOR r IN SELECT u.* FROM periods.usage u WHERE u.who = account ORDER BY u.at LOOP
        s := (SELECT f.subscription_id FROM periods.terms(account, r.what) f WHERE f.begins <= r.at AND r.at < f.ends ORDER BY f.price IS NULL, f.subscription_id LIMIT 1);
        SELECT f.* INTO t FROM periods.terms(account, r.what) f WHERE f.begins <= r.at AND r.at < f.ends AND f.price IS NOT NULL ORDER BY f.subscription_id LIMIT 1;
        id := r.id; what := r.what; n := r.n;
        period_start := CASE WHEN s IS NULL THEN date_trunc('month', r.at, 'UTC') ELSE periods.begins(s, r.at) END;
        price := t.price;
        -- the stretch of that price: back to where it was another one, or none
        stretch := t.subscription_id || ' ' || (WITH RECURSIVE back(begins) AS (
            SELECT t.begins UNION SELECT f.begins FROM back b JOIN periods.terms(account, r.what) f ON f.subscription_id = t.subscription_id AND f.ends = b.begins AND f.price = t.price)
            SELECT min(b.begins) FROM back b);
        RETURN NEXT;
    END LOOP;
END $$;
CREATE FUNCTION periods.document(price jsonb, meter text) RETURNS jsonb LANGUAGE sql STABLE AS $$
SELECT coalesce(price, (SELECT billadj.price_document(p.price_id) FROM billadj.price p JOIN billadj.rate_card k USING (rate_card_id) WHERE k.code = 'periods' AND p.meter = document.meter))
       || '{"currency": "USD"}'
$$;

CREATE FUNCTION periods.verify(account text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    wrong jsonb;
    rows  bigint;
BEGIN
    CREATE TEMP TABLE IF NOT EXISTS wanted (id bigint, what text, n numeric, period_start timestamptz, price jsonb, stretch text);
    TRUNCATE wanted;
    INSERT INTO wanted SELECT w.* FROM periods.should_be(account) w;
    GET DIAGNOSTICS rows = ROW_COUNT;
    PERFORM periods.count('rows looked at', rows);
    SELECT jsonb_agg(to_jsonb(x)) INTO wrong
      FROM (SELECT c.*, w.*
              FROM wanted w
              FULL JOIN (SELECT c.event_key::bigint AS charged_id, c.period_start AS charged_period, c.price_id, sum(c.quantity) AS charged_quantity, sum(c.row_count) AS rows
                           FROM billadj.charge c WHERE c.account = verify.account AND c.event_key IS NOT NULL AND c.meter IS NOT NULL
                          GROUP BY 1, 2, 3 HAVING sum(c.row_count) <> 0 OR sum(c.quantity) <> 0) c
                ON c.charged_id = w.id AND c.charged_period = w.period_start AND c.rows = 1 AND c.charged_quantity = w.n
               AND billadj.price_document(c.price_id) @> billadj.price_normal(periods.document(w.price, w.what) - 'tiers')
               AND billadj.tiers_equal(billadj.price_document(c.price_id) -> 'tiers', periods.document(w.price, w.what) -> 'tiers')
             WHERE w.id IS NULL OR c.charged_id IS NULL) x;
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION 'account %: rows are charged otherwise: %', account, jsonb_pretty(wrong);
    END IF;
    SELECT jsonb_agg(to_jsonb(x)) INTO wrong
      FROM (SELECT coalesce(w.what, c.meter) AS meter, coalesce(w.period_start, c.period_start) AS period_start, w.amount, c.amount AS charged
              FROM (SELECT y.what, y.period_start, sum(y.amount) AS amount
                      FROM (SELECT w.what, w.period_start, billadj.rate(periods.document(w.price, w.what), sum(w.n)) AS amount
                              FROM wanted w GROUP BY w.what, w.period_start, w.price, w.stretch) y
                     GROUP BY y.what, y.period_start) w
              FULL JOIN (SELECT c.meter, c.period_start, sum(c.amount) AS amount FROM billadj.charge c
                          WHERE c.account = verify.account AND c.meter IS NOT NULL GROUP BY c.meter, c.period_start) c
                ON c.meter = w.what AND c.period_start = w.period_start
             WHERE coalesce(w.amount, 0) <> coalesce(c.amount, 0)) x;
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION 'account %: amounts are not those of a fresh rating: %', account, jsonb_pretty(wrong);
    END IF;
    PERFORM periods.count('checks');
END $$;

-- ---- what is done ----

CREATE FUNCTION periods.change(account text, as_of timestamptz) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    s    bigint := (SELECT x.subscription_id FROM billadj.subscription x WHERE x.account = change.account ORDER BY random() LIMIT 1);
    kind text := periods.pick('plan', 'plan', 'plan', 'plan', 'quantity', 'pause', 'resume', 'trial', 'cancel', 'reactivate', 'anchor', 'zone', 'undo', 'undo');
    at   timestamptz := CASE periods.pick('now', 'past', 'past', 'later') WHEN 'past' THEN date_trunc('hour', as_of - random() * interval '40 days')
                                                                          WHEN 'later' THEN date_trunc('day', as_of + random() * interval '30 days') ELSE as_of END;
    asked jsonb := jsonb_build_object('kind', kind) || CASE kind WHEN 'undo' THEN '{}' ELSE jsonb_build_object('at', at) END
                  || CASE kind WHEN 'plan' THEN jsonb_build_object('plan', 'u' || (1 + floor(random() * 6)))
                               WHEN 'quantity' THEN jsonb_build_object('quantity', floor(random() * 8))
                               WHEN 'pause' THEN jsonb_build_object('until', at + interval '10 days')
                               WHEN 'trial' THEN jsonb_build_object('until', at + interval '20 days')
                               WHEN 'anchor' THEN jsonb_build_object('anchor', at + interval '3 days')
                               WHEN 'zone' THEN jsonb_build_object('when', 'period_end', 'time_zone', periods.pick('UTC', 'Europe/Berlin', 'America/New_York', 'Australia/Lord_Howe', 'Asia/Tokyo'))
                               ELSE '{}' END;
    expected jsonb;
    executed jsonb;
BEGIN
    IF kind = 'zone' THEN
        asked := asked - 'at';
    END IF;
    BEGIN
        SELECT coalesce(jsonb_agg(to_jsonb(p)), '[]') INTO expected FROM billadj.preview_change(s, asked, as_of) p;
        SELECT coalesce(jsonb_agg(to_jsonb(p)), '[]') INTO executed FROM billadj.change_subscription(s, asked, as_of) p;
    EXCEPTION WHEN SQLSTATE 'UB113' THEN
        PERFORM periods.count('refused');
        RETURN;
    END;
    IF expected <> executed AND executed <> '[]' THEN
        RAISE EXCEPTION 'preview % executed % of %', expected, executed, asked;
    END IF;
    PERFORM periods.count(kind);
    IF jsonb_path_exists(executed, '$[*] ? (@.cause == "correction")') THEN
        PERFORM periods.count('rated anew');
    END IF;
END $$;

CREATE FUNCTION periods.act(account text, as_of timestamptz) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    CASE periods.pick('insert', 'insert', 'insert', 'update', 'delete', 'change', 'change', 'change', 'run', 'again')
        WHEN 'insert' THEN
            INSERT INTO periods.usage
            SELECT nextval('periods.id'), account, as_of - random() * random() * interval '100 days', periods.pick('p_gb', 'p_gb', 'p_call'), floor(random() * 12)
              FROM generate_series(1, 1 + floor(random() * 6)::integer);
        WHEN 'update' THEN
            UPDATE periods.usage u SET n = floor(random() * 12), at = CASE WHEN random() < 0.5 THEN u.at ELSE as_of - random() * interval '60 days' END
             WHERE u.who = account AND random() < 0.3;
        WHEN 'delete' THEN
            DELETE FROM periods.usage u WHERE u.who = account AND random() < 0.1;
        WHEN 'run' THEN
            PERFORM billadj.charge_subscriptions(as_of, account);
        WHEN 'again' THEN
            IF EXISTS (SELECT FROM billadj.rerate_usage(account, '2020-01-01', as_of)) THEN
                RAISE EXCEPTION 'account %: there was something left to rate anew', account;
            END IF;
        ELSE
            PERFORM periods.change(account, as_of);
    END CASE;
END $$;

INSERT INTO billadj.change_policy (currency, backdate) VALUES ('USD', '1000 days');
SELECT set_config('periods.cases', :'cases', true) \g /dev/null
DO $$
DECLARE
    wanted  integer := current_setting('periods.cases')::integer / 200;
    number  integer := 0;
    account text;
    as_of   timestamptz;
BEGIN
    WHILE number < wanted LOOP
        account := 'periods-' || number;
        as_of := '2025-01-31'::timestamptz + random() * interval '60 days';
        FOR i IN 1 .. 1 + (random() < 0.4)::integer LOOP
            PERFORM billadj.subscribe(account, 'u' || (1 + floor(random() * 6)), as_of - random() * interval '20 days', as_of => as_of,
                                      time_zone => periods.pick('UTC', 'Europe/Berlin', 'America/New_York', 'Australia/Lord_Howe'),
                                      ends_at => e.at, renew_every => CASE WHEN random() < 0.5 THEN interval '1 month' END)
               FROM (SELECT CASE WHEN random() < 0.3 THEN as_of + interval '40 days' END AS at) e;
        END LOOP;
        FOR i IN 1 .. 30 LOOP
            EXIT WHEN number >= wanted;
            as_of := as_of + random() * interval '9 days';
            PERFORM periods.act(account, as_of);
            IF random() < 0.3 THEN
                PERFORM periods.verify(account);
            END IF;
            number := number + 1;
        END LOOP;
        PERFORM periods.verify(account);
    END LOOP;
END $$;
SELECT string_agg(format('%s %s', n, what), ', ' ORDER BY what) AS tally FROM periods.tally \gset
\echo :tally
ROLLBACK;
