-- run_prorate.sql: periods, period_at, day_fraction, prorate and prorate_split
-- against the oracle: random anchors and lengths of periods, in zones with every
-- kind of change of clocks, cut by day and by microsecond.
--
--   psql -v cases=20000 -v seed=1 -f test/oracle/run_prorate.sql
--
-- One line of counts; an error when a single case differs, or when no case would
-- have told two rules apart that are easily mistaken for one another.
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
BEGIN;
SET LOCAL client_min_messages = warning;
SET LOCAL timezone = 'UTC';
SET LOCAL jit = off;
\ir prorate_oracle.sql

CREATE FUNCTION oracle.pick(VARIADIC choices text[]) RETURNS text LANGUAGE sql AS $$
SELECT choices[1 + floor(random() * cardinality(choices))::integer]
$$;

CREATE FUNCTION oracle.zone() RETURNS text LANGUAGE sql AS $$
SELECT oracle.pick('UTC', 'Europe/Berlin', 'Europe/Berlin', 'America/New_York', 'America/New_York', 'America/Havana', 'America/St_Johns',
                   'America/Sao_Paulo', 'Australia/Lord_Howe', 'Asia/Kathmandu', 'Pacific/Apia', 'Africa/Casablanca',
                   'Asia/Tehran', 'Pacific/Auckland', 'America/Santiago', 'Asia/Beirut', 'Atlantic/Azores')
$$;

-- Some instant of a day: a midnight of the zone, another hour, any microsecond.
CREATE FUNCTION oracle.instant(day date, zone text) RETURNS timestamptz LANGUAGE plpgsql AS $$
DECLARE
    kind float := random();
BEGIN
    IF kind < 0.5 THEN RETURN day::timestamp AT TIME ZONE zone; END IF;
    IF kind < 0.7 THEN RETURN (day + floor(random() * 4) * interval '1 hour') AT TIME ZONE zone; END IF;
    IF kind < 0.8 THEN RETURN oracle.begins(day, zone) + floor(random() * 120) * interval '1 minute'; END IF;
    RETURN (day + random() * interval '24 hours') AT TIME ZONE zone;
END $$;

CREATE FUNCTION oracle.anchor(zone text) RETURNS timestamptz LANGUAGE plpgsql AS $$
DECLARE
    day date := date '1985-01-01' + floor(random() * 18000)::integer;
BEGIN
    IF random() < 0.3 THEN                      -- the end of a month
        day := (date_trunc('month', day::timestamp) - interval '1 day')::date - floor(random() * 3)::integer;
    END IF;
    RETURN oracle.instant(day, zone);
END $$;

-- An amount: a price, many digits, or one whose share is exactly half a unit.
CREATE FUNCTION oracle.amount(den numeric, scale integer) RETURNS numeric LANGUAGE plpgsql AS $$
DECLARE
    kind float := random();
    sign_ integer := CASE WHEN random() < 0.3 THEN -1 ELSE 1 END;
BEGIN
    IF kind < 0.4 THEN
        RETURN sign_ * den * (2 * floor(random() * 50)::integer + 1) * 5 * ('1e' || (-scale - 1))::numeric;
    END IF;
    IF kind < 0.8 THEN RETURN sign_ * floor(random() * 100000)::integer * 0.01; END IF;
    RETURN sign_ * (SELECT string_agg(floor(random() * 10)::integer::text, '') FROM generate_series(1, 24))::numeric * 1e-14;
END $$;

CREATE TABLE oracle.tally (what text PRIMARY KEY, n bigint NOT NULL);

CREATE FUNCTION oracle.add(what text, n bigint) RETURNS void LANGUAGE sql AS $$
INSERT INTO oracle.tally AS t VALUES (what, n) ON CONFLICT ON CONSTRAINT tally_pkey DO UPDATE SET n = t.n + excluded.n
$$;

-- ---- the cases: a table a batch, so that each value is drawn once ----

CREATE TABLE oracle.cycle_case (zone text, every interval, anchor timestamptz, at timestamptz);
CREATE TABLE oracle.share_case (id integer, zone text, months integer, period tstzrange, day_count text, scale integer,
                                rounding text, parts tstzrange[], used tstzrange);
CREATE TABLE oracle.share_amount (id integer, num numeric, den numeric, nums numeric[], amount numeric);

CREATE FUNCTION oracle.draw_cycles(cases integer) RETURNS void LANGUAGE sql AS $$
INSERT INTO oracle.cycle_case
SELECT zone, every, anchor, oracle.instant((anchor + (random() - 0.5) * interval '8 years')::date, zone)
  FROM (SELECT zone, every, oracle.anchor(zone) AS anchor
          FROM (SELECT oracle.zone() AS zone,
                       oracle.pick('1 month', '1 month', '2 months', '3 months', '1 year', '18 months', '1 week', '14 days', '1 day',
                                   '10 days', '45 days', '1 month 3 days', '2 days 06:00', '5 hours', '36 hours', '40 days 00:30')::interval AS every
                  FROM generate_series(1, cases)) AS z OFFSET 0) AS a
$$;

-- Cut points within the period, in order; the parts between them, some left out.
CREATE FUNCTION oracle.parts(period tstzrange, zone text) RETURNS tstzrange[] LANGUAGE plpgsql AS $$
DECLARE
    days  integer := greatest(upper(period)::date - lower(period)::date, 1);
    cuts  timestamptz[];
    parts tstzrange[] := '{}';
    day   date := lower(period)::date + 2;
BEGIN
    -- the day of 23 or 25 hours alone, where there is one
    IF days < 40 AND random() < 0.3 THEN
        WHILE day < upper(period)::date - 2 LOOP
            IF oracle.begins(day + 1, zone) - oracle.begins(day, zone) <> interval '24 hours' THEN
                RETURN ARRAY[tstzrange(oracle.begins(day, zone), oracle.begins(day + 1, zone)), tstzrange(lower(period), oracle.begins(day, zone))];
            END IF;
            day := day + 1;
        END LOOP;
    END IF;
    cuts := ARRAY(SELECT least(greatest(oracle.instant(lower(period)::date + floor(random() * (days + 1))::integer, zone), lower(period)), upper(period))
                    FROM generate_series(1, floor(random() * 5)::integer));
    cuts := ARRAY(SELECT c FROM unnest(cuts || lower(period) || upper(period)) AS c ORDER BY c);
    FOR i IN 1 .. cardinality(cuts) - 1 LOOP
        IF random() < 0.8 THEN
            parts := parts || tstzrange(cuts[i], cuts[i + 1]);
        END IF;
    END LOOP;
    RETURN ARRAY(SELECT p FROM unnest(parts) AS p ORDER BY random());
END $$;

CREATE FUNCTION oracle.draw_shares(cases integer) RETURNS void LANGUAGE sql AS $$
INSERT INTO oracle.share_case
SELECT id, zone, months, period, day_count, scale, rounding, parts,
       coalesce(parts[1], tstzrange(lower(period), lower(period)))
  FROM (SELECT id, zone, months, period,
               CASE WHEN months IS NULL THEN oracle.pick('actual_days', 'actual_days_inclusive', 'actual_seconds', 'fixed_30', 'strict_30_360',
                                                         'calendar_month_split', 'month_then_days')
                    ELSE oracle.pick('actual_days', 'actual_days_inclusive', 'actual_seconds', 'actual_360', 'strict_30_360', 'fixed_30',
                                     'actual_365', 'calendar_month_split', 'month_then_days') END AS day_count,
               floor(random() * 6 - 1)::integer AS scale,
               oracle.pick('half_up', 'half_even', 'half_down', 'up', 'down', 'ceil', 'floor') AS rounding,
               oracle.parts(period, zone) AS parts
          FROM (SELECT id, zone, months,
                       tstzrange(oracle.boundary(anchor, every, n, zone), oracle.boundary(anchor, every, n + 1, zone)) AS period
                  FROM (SELECT id, zone, months, CASE WHEN months IS NULL THEN days * interval '1 day' ELSE months * interval '1 month' END AS every,
                               oracle.anchor(zone) AS anchor, floor(random() * 60 - 30)::integer AS n
                          FROM (SELECT id, oracle.zone() AS zone, oracle.pick('1', '1', '1', '3', '12', NULL)::integer AS months,
                                       3 + floor(random() * 20)::integer AS days
                                  FROM generate_series(1, cases) AS id) AS z OFFSET 0) AS a OFFSET 0) AS p
         OFFSET 0) AS c;
-- what the oracle says of them, before there are amounts
INSERT INTO oracle.share_amount
SELECT id, f.num, f.den, nums, oracle.amount(f.den, scale)
  FROM oracle.share_case AS c, LATERAL oracle.fraction(period, used, day_count, zone, months) AS f,
       LATERAL (SELECT array_agg(p.num ORDER BY position) AS nums
                  FROM unnest(parts) WITH ORDINALITY AS u(part, position),
                       LATERAL oracle.fraction(period, part, day_count, zone, months) AS p) AS n
$$;

-- ---- comparison ----

CREATE FUNCTION oracle.compare_cycles() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    c record;
    n bigint := 0;
BEGIN
    FOR c IN SELECT x.*, oracle.period_at(anchor, every, at, zone) AS wanted, billadj.period_at(anchor, every, at, zone) AS got,
                    (SELECT array_agg(p ORDER BY p) FROM billadj.periods(anchor, every, tstzrange(at, at + 5 * every), zone) AS p) AS found
               FROM oracle.cycle_case AS x LOOP
        CONTINUE WHEN c.wanted = c.got AND c.found[1] = c.got AND cardinality(c.found) BETWEEN 4 AND 8
                      AND upper(c.found[cardinality(c.found)]) >= c.at + 5 * c.every
                      AND (SELECT bool_and(p = billadj.period_at(c.anchor, c.every, lower(p), c.zone) AND (position = 1 OR lower(p) = upper(c.found[position - 1])))
                             FROM unnest(c.found) WITH ORDINALITY AS u(p, position));
        n := n + 1;
        IF n <= 3 THEN
            RAISE WARNING 'period_at(''%'', ''%'', ''%'', ''%''): wanted %, got %, periods %', c.anchor, c.every, c.at, c.zone, c.wanted, c.got, c.found;
        END IF;
    END LOOP;
    PERFORM oracle.add('differences', n);
END $$;

CREATE FUNCTION oracle.compare_shares() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    c record;
    n bigint := 0;
    opposite jsonb := '{"ceil": "floor", "floor": "ceil"}';
BEGIN
    FOR c IN SELECT x.*, a.num, a.den, a.amount, f.numerator, f.denominator,
                    oracle.share(amount, num, den, scale, rounding) AS wanted,
                    billadj.prorate(amount, period, used, day_count, zone, scale, rounding) AS got,
                    oracle.split(amount, nums, den, scale, rounding) AS wanted_parts,
                    billadj.prorate_split(amount, period, parts, day_count, zone, scale, rounding) AS got_parts,
                    billadj.prorate_split(-amount, period, parts, day_count, zone, scale, coalesce(opposite->>rounding, rounding)) AS undone
               FROM oracle.share_case AS x JOIN oracle.share_amount AS a USING (id),
                    LATERAL billadj.day_fraction(period, used, day_count, zone) AS f LOOP
        CONTINUE WHEN c.wanted = c.got AND c.numerator * c.den = c.num * c.denominator AND coalesce(c.wanted_parts, '{}') = c.got_parts
                      AND c.undone = ARRAY(SELECT -part FROM unnest(c.got_parts) AS part);
        n := n + 1;
        IF n <= 3 THEN
            RAISE WARNING 'prorate(%, ''%'', ''%'', ''%'', ''%'', %, ''%''): wanted %, got %, fraction %/% for %/%, parts % wanted %, got %',
                          c.amount, c.period, c.used, c.day_count, c.zone, c.scale, c.rounding, c.wanted, c.got,
                          c.numerator, c.denominator, c.num, c.den, c.parts, c.wanted_parts, c.got_parts;
        END IF;
    END LOOP;
    PERFORM oracle.add('differences', n);
END $$;

-- How many cases would tell apart what is easily mistaken for one another.
CREATE FUNCTION oracle.count_telling() RETURNS void LANGUAGE sql AS $$
SELECT oracle.add(what, n)
  FROM (SELECT count(*) FILTER (WHERE oracle.share(amount, num, den, scale, 'half_up') <> oracle.share(amount, num, den, scale, 'half_even')) AS half,
               count(*) FILTER (WHERE (SELECT sum(oracle.share(amount, part, den, scale, rounding)) FROM unnest(nums) AS part)
                                      <> oracle.share(amount, (SELECT sum(part) FROM unnest(nums) AS part), den, scale, rounding)) AS line,
               count(*) FILTER (WHERE day_count = 'actual_seconds' AND den <> extract(epoch FROM (upper(period) AT TIME ZONE zone) - (lower(period) AT TIME ZONE zone))
                                      AND amount <> 0) AS clocks,
               count(*) FILTER (WHERE upper(used) - lower(used) BETWEEN interval '22 hours 50 minutes' AND interval '23 hours 40 minutes'
                                      AND (upper(used) AT TIME ZONE zone) - (lower(used) AT TIME ZONE zone) = interval '24 hours') AS short_day,
               count(*) FILTER (WHERE upper(used) - lower(used) BETWEEN interval '24 hours 20 minutes' AND interval '25 hours 10 minutes'
                                      AND (upper(used) AT TIME ZONE zone) - (lower(used) AT TIME ZONE zone) = interval '24 hours') AS long_day,
               count(*) FILTER (WHERE extract(day FROM lower(period) AT TIME ZONE zone) <> extract(day FROM upper(period) AT TIME ZONE zone)
                                      AND months IS NOT NULL) AS month_end
          FROM oracle.share_case JOIN oracle.share_amount USING (id)) AS c,
       LATERAL (VALUES ('half', half), ('line', line), ('clocks', clocks), ('short_day', short_day), ('long_day', long_day),
                       ('month_end', month_end)) AS v(what, n)
$$;

CREATE FUNCTION oracle.run(cases integer) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    batch integer := 10000;
BEGIN
    FOR done IN 0 .. cases - 1 BY batch LOOP
        TRUNCATE oracle.cycle_case, oracle.share_case, oracle.share_amount;
        PERFORM oracle.draw_cycles(least(batch, cases - done) / 4);
        PERFORM oracle.draw_shares(least(batch, cases - done));
        PERFORM oracle.compare_cycles();
        PERFORM oracle.compare_shares();
        PERFORM oracle.count_telling();
    END LOOP;
END $$;

SELECT setseed(:seed % 1000 / 1000.0) \g /dev/null
SELECT oracle.run(:cases) \g /dev/null
SELECT max(n) FILTER (WHERE what = 'differences') > 0 AS differ,
       format('prorate: cases %s, ', :cases) || string_agg(format('%s %s', replace(what, '_', ' '), n), ', ' ORDER BY what) AS counts
  FROM oracle.tally \gset
SELECT count(*) > 0 AND :cases >= 20000 AS blind FROM oracle.tally WHERE what <> 'differences' AND n = 0 \gset
\echo :counts
ROLLBACK;
\if :differ
DO $$ BEGIN RAISE EXCEPTION 'proration differs from its oracle'; END $$;
\endif
\if :blind
DO $$ BEGIN RAISE EXCEPTION 'the cases tell too little apart'; END $$;
\endif
