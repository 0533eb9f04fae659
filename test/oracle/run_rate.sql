-- run_rate.sql: billadj.rate() and rate_steps() against the oracle, on random
-- documents of all models and keys.
--
--   psql -v cases=20000 -v seed=1 -f test/oracle/run_rate.sql
--
-- One line of counts; an error when a single case differs.
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
\ir rate_oracle.sql

CREATE FUNCTION oracle.pick(VARIADIC choices text[]) RETURNS text LANGUAGE sql AS $$
SELECT choices[1 + floor(random() * cardinality(choices))::integer]
$$;

-- A decimal of so many random digits, of which so many after the point.
CREATE FUNCTION oracle.decimal(digits integer, places integer) RETURNS numeric LANGUAGE sql AS $$
SELECT (string_agg(floor(random() * 10)::integer::text, '') || 'e-' || places)::numeric
  FROM generate_series(1, digits)
$$;

-- Short as in a price list, or as long as anything that is promised.
CREATE FUNCTION oracle.amount() RETURNS numeric LANGUAGE plpgsql AS $$
DECLARE
    kind float := random();
    sign_ integer := CASE WHEN random() < 0.05 THEN -1 ELSE 1 END;
BEGIN
    IF kind < 0.1 THEN RETURN 0; END IF;
    IF kind < 0.6 THEN RETURN sign_ * oracle.decimal(4, 2); END IF;
    IF kind < 0.9 THEN RETURN sign_ * oracle.decimal(3, 1 + floor(random() * 12)::integer); END IF;
    RETURN sign_ * oracle.decimal(18, floor(random() * 24)::integer);
END $$;

CREATE FUNCTION oracle.positive() RETURNS numeric LANGUAGE plpgsql AS $$
DECLARE
    kind float := random();
BEGIN
    IF kind < 0.3 THEN RETURN 1 + oracle.decimal(1, 0); END IF;
    IF kind < 0.6 THEN RETURN ('1e' || floor(random() * 10 - 2)::integer)::numeric; END IF;
    IF kind < 0.7 THEN RETURN power(2::numeric, floor(random() * 31))::numeric(40, 0); END IF;
    IF kind < 0.9 THEN RETURN 0.01 + oracle.decimal(5, 2); END IF;
    RETURN 1 + oracle.decimal(20, floor(random() * 19)::integer);
END $$;

CREATE FUNCTION oracle.quantity(price jsonb) RETURNS numeric LANGUAGE plpgsql AS $$
DECLARE
    kind float := random();
    bound numeric;
BEGIN
    IF kind < 0.1 THEN RETURN 0; END IF;
    IF kind < 0.3 THEN RETURN oracle.decimal(3, 0); END IF;
    IF kind < 0.4 THEN RETURN -oracle.decimal(3, floor(random() * 3)::integer); END IF;
    IF kind < 0.5 THEN RETURN oracle.decimal(6, 3); END IF;
    IF kind < 0.6 THEN RETURN oracle.decimal(2, 6 + floor(random() * 20)::integer); END IF;
    IF kind < 0.7 THEN RETURN oracle.decimal(36, floor(random() * 36)::integer); END IF;
    IF kind < 0.75 THEN RETURN -oracle.decimal(36, floor(random() * 36)::integer); END IF;
    SELECT (value->>'up_to')::numeric INTO bound FROM jsonb_array_elements(price->'tiers') ORDER BY random() LIMIT 1;
    bound := coalesce(bound, (price->>'size')::numeric, (price->>'per')::numeric, 1);
    RETURN bound + CASE oracle.pick('at', 'below', 'above', 'twice', 'minus')
                   WHEN 'at' THEN 0 WHEN 'below' THEN -0.000001 WHEN 'above' THEN 0.000001
                   WHEN 'twice' THEN bound ELSE -2 * bound END;
END $$;

CREATE FUNCTION oracle.random_tiers(model text) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    ntiers integer := 1 + floor(random() * 5)::integer;
    bound  numeric := 0;
    unit   text := CASE model WHEN 'graduated_percentage' THEN 'rate' ELSE 'unit_amount' END;
    tier   jsonb;
    tiers  jsonb := '[]';
BEGIN
    FOR i IN 1 .. ntiers LOOP
        tier := '{}';
        bound := bound + oracle.positive();
        IF i < ntiers THEN
            tier := jsonb_build_object('up_to', bound);
        ELSIF random() < 0.7 THEN
            tier := '{"up_to": null}';
        END IF;
        IF model = 'stairstep' OR random() < 0.4 THEN
            tier := tier || jsonb_build_object('flat_amount', oracle.amount());
        END IF;
        IF model <> 'stairstep' AND (random() < 0.9 OR NOT tier ? 'flat_amount') THEN
            tier := tier || jsonb_build_object(unit, oracle.amount());
        END IF;
        tiers := tiers || tier;
    END LOOP;
    RETURN tiers;
END $$;

CREATE FUNCTION oracle.random_price() RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    model text := oracle.pick('flat', 'per_unit', 'package', 'graduated', 'volume', 'stairstep', 'percentage',
                              'graduated_percentage', 'passthrough');
    price jsonb := jsonb_build_object('model', model);
BEGIN
    CASE model
    WHEN 'flat' THEN
        price := price || jsonb_build_object('flat_amount', oracle.amount());
    WHEN 'per_unit' THEN
        price := price || jsonb_build_object('unit_amount', oracle.amount());
        IF random() < 0.7 THEN price := price || jsonb_build_object('per', oracle.positive()); END IF;
    WHEN 'package' THEN
        price := price || jsonb_build_object('size', oracle.positive(), 'package_amount', oracle.amount());
        IF random() < 0.5 THEN price := price || jsonb_build_object('free_units', abs(oracle.amount())); END IF;
        IF random() < 0.8 THEN
            price := price || jsonb_build_object('partial', oracle.pick('up', 'down', 'prorate'));
        END IF;
    WHEN 'percentage' THEN
        price := price || jsonb_build_object('rate', oracle.amount());
        IF random() < 0.5 THEN price := price || jsonb_build_object('fixed_amount', oracle.amount()); END IF;
    WHEN 'passthrough' THEN
        IF random() < 0.8 THEN price := price || jsonb_build_object('multiplier', oracle.amount()); END IF;
    ELSE
        price := price || jsonb_build_object('tiers', oracle.random_tiers(model));
    END CASE;
    IF random() < 0.5 THEN
        price := price || jsonb_build_object('zero_quantity', oracle.pick('none', 'first_tier_flat'));
    END IF;
    IF random() < 0.5 THEN
        price := price || jsonb_build_object('negative', oracle.pick('credit', 'carry', 'clamp', 'reject'));
    END IF;
    IF random() < 0.3 THEN price := price || '{"bound": "exclusive"}'; END IF;
    IF random() < 0.3 THEN
        price := price || jsonb_build_object('charge_scale', floor(random() * 20)::integer);
    END IF;
    IF random() < 0.2 THEN price := price || '{"currency": "USD", "rounding": {"step": 0.05}}'; END IF;
    RETURN price;
END $$;

-- The first three that differ are shown, the others counted.
CREATE FUNCTION oracle.compare(cases integer, OUT differences integer, OUT refused integer, OUT too_long integer,
                               OUT steps_too_long integer)
LANGUAGE plpgsql AS $$
DECLARE
    price    jsonb;
    quantity numeric;
    before   numeric;
    wanted   numeric;
    got      numeric;
    stepped  numeric;
    steps    integer;
    state    text;
BEGIN
    differences := 0; refused := 0; too_long := 0; steps_too_long := 0;
    FOR i IN 1 .. cases LOOP
        IF i % 4 = 1 THEN price := oracle.random_price(); END IF;
        quantity := oracle.quantity(price);
        before := CASE oracle.pick('null', 'zero', 'number', 'number')
                  WHEN 'zero' THEN 0 WHEN 'number' THEN oracle.quantity(price) END;
        wanted := oracle.rate(price, quantity, before);
        state := '00000'; got := NULL; stepped := NULL;
        BEGIN
            got := billadj.rate(price, quantity, before);
        EXCEPTION WHEN OTHERS THEN
            state := SQLSTATE;
        END;
        IF wanted IS NULL THEN
            refused := refused + 1;
            CONTINUE WHEN state = 'UB010';
        ELSIF state = 'UB009' AND (oracle.digits(wanted) > 36 OR oracle.digits(quantity) > 38
                                   OR oracle.digits(before) > 38) THEN
            -- what is promised for results, and what an argument may have
            too_long := too_long + 1;
            CONTINUE;
        ELSIF state = '00000' AND got = wanted THEN
            BEGIN
                SELECT sum(s.amount), count(*) INTO stepped, steps FROM billadj.rate_steps(price, quantity, before) s;
                CONTINUE WHEN stepped = wanted AND oracle.telescopes(price, quantity, before, got)
                          AND steps <= greatest(jsonb_array_length(price->'tiers'), 1);
            EXCEPTION WHEN SQLSTATE 'UB009' THEN
                steps_too_long := steps_too_long + 1;
                CONTINUE;
            END;
        END IF;
        differences := differences + 1;
        IF differences <= 3 THEN
            RAISE WARNING 'rate(''%'', %, %): wanted %, got %, steps %, state %',
                          price, quantity, coalesce(before::text, 'NULL'), wanted, got, stepped, state;
        END IF;
    END LOOP;
END $$;

-- f(before) + the charge = f(before + quantity), by C alone.  A price that
-- looks at the sign of single rows does not promise it.
CREATE FUNCTION oracle.telescopes(price jsonb, quantity numeric, before numeric, charge numeric) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    IF price->>'negative' IN ('clamp', 'reject') AND (quantity < 0 OR before < 0 OR before + quantity < 0) THEN
        RETURN true;
    END IF;
    RETURN before IS NULL OR
           billadj.rate(price, before) + charge = billadj.rate(price, before + quantity);
EXCEPTION WHEN SQLSTATE 'UB009' THEN
    RETURN true;
END $$;

SELECT setseed(:seed % 1000 / 1000.0) \g /dev/null
SELECT c.differences > 0 AS differ,
       format('rate: cases %s, differences %s, refused %s, longer than promised %s, steps longer than a number %s',
              :cases, c.differences, c.refused, c.too_long, c.steps_too_long) AS counts
  FROM oracle.compare(:cases) c \gset
\echo :counts
ROLLBACK;
\if :differ
DO $$ BEGIN RAISE EXCEPTION 'rate() differs from its oracle'; END $$;
\endif
