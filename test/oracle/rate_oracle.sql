-- rate_oracle.sql: rating a second time, in SQL numeric, from the page that
-- says what a price document means and not from the C code.
--
-- numeric sums and products are exact; its division is not, so that none is
-- used here but of whole numbers by div().

CREATE SCHEMA oracle;

-- num / den: exact if the fraction has an end, else half to even at scale.
CREATE FUNCTION oracle.quotient(num numeric, den numeric, scale integer) RETURNS numeric
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    shift   numeric := ('1e' || greatest(scale(num), scale(den)))::numeric;
    n       numeric := trim_scale(num * shift);
    d       numeric := trim_scale(den * shift);
    g       numeric := gcd(n, d);
    rest    numeric;
    places  integer := 0;
    whole   numeric;
    twice   numeric;
BEGIN
    IF n = 0 THEN
        RETURN 0;
    END IF;
    n := div(n, g);
    d := div(d, g);
    rest := d;
    WHILE mod(rest, 10) = 0 LOOP rest := div(rest, 10); places := places + 1; END LOOP;
    WHILE mod(rest, 2) = 0 LOOP rest := div(rest, 2); places := places + 1; END LOOP;
    WHILE mod(rest, 5) = 0 LOOP rest := div(rest, 5); places := places + 1; END LOOP;
    IF rest = 1 THEN
        RETURN div(n * ('1e' || places)::numeric, d) * ('1e-' || places)::numeric;
    END IF;

    n := n * ('1e' || scale)::numeric;
    whole := div(abs(n), d);
    twice := 2 * (abs(n) - whole * d);
    IF twice > d OR twice = d AND mod(whole, 2) = 1 THEN
        whole := whole + 1;
    END IF;
    RETURN sign(n) * whole * ('1e-' || scale)::numeric;
END $$;

-- up: packages that are begun; down: packages that are full
CREATE FUNCTION oracle.packages(units numeric, size numeric, partial text) RETURNS numeric
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    shift numeric := ('1e' || greatest(scale(units), scale(size)))::numeric;
    full_ numeric := div(trim_scale(units * shift), trim_scale(size * shift));
BEGIN
    IF partial = 'up' AND full_ * size < units THEN
        RETURN full_ + 1;
    END IF;
    RETURN full_;
END $$;

-- A price whose tiers are shared out, or of which one tier takes all.
CREATE FUNCTION oracle.tiers(price jsonb, q numeric) RETURNS numeric
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    shared    boolean := price->>'model' IN ('graduated', 'graduated_percentage');
    exclusive boolean := coalesce(price->>'bound', '') = 'exclusive';
    zero_flat boolean := coalesce(price->>'zero_quantity', 'none') = 'first_tier_flat';
    lower     numeric := 0;
    amount    numeric := 0;
    tier      jsonb;
    up_to     numeric;
    unit      numeric;
    flat      numeric;
    inside    boolean;
    first     boolean := true;
BEGIN
    IF q = 0 THEN
        RETURN CASE WHEN zero_flat THEN coalesce((price#>>'{tiers,0,flat_amount}')::numeric, 0) ELSE 0 END;
    END IF;
    FOR tier IN SELECT value FROM jsonb_array_elements(price->'tiers') WITH ORDINALITY ORDER BY ordinality LOOP
        up_to := (tier->>'up_to')::numeric;
        unit := coalesce((tier->>'unit_amount')::numeric, (tier->>'rate')::numeric, 0);
        flat := coalesce((tier->>'flat_amount')::numeric, 0);
        IF shared THEN
            IF first OR q > lower OR exclusive AND q = lower THEN
                amount := amount + flat;
            END IF;
            IF q > lower THEN
                amount := amount + (least(q, coalesce(up_to, q)) - lower) * unit;
            END IF;
        ELSE
            inside := CASE WHEN up_to IS NULL THEN true WHEN exclusive THEN q < up_to ELSE q <= up_to END;
            IF inside THEN
                RETURN q * unit + flat;
            END IF;
        END IF;
        lower := up_to;
        first := false;
    END LOOP;
    RETURN amount;
END $$;

-- f for q >= 0
CREATE FUNCTION oracle.f_positive(price jsonb, q numeric) RETURNS numeric
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    scale_ integer := coalesce((price->>'charge_scale')::integer, 12);
    none   boolean := coalesce(price->>'zero_quantity', '') = 'none';
    units  numeric;
BEGIN
    CASE price->>'model'
    WHEN 'flat' THEN
        RETURN CASE WHEN q = 0 AND none THEN 0 ELSE (price->>'flat_amount')::numeric END;
    WHEN 'per_unit' THEN
        RETURN oracle.quotient(q * (price->>'unit_amount')::numeric, coalesce((price->>'per')::numeric, 1), scale_);
    WHEN 'package' THEN
        units := greatest(q - coalesce((price->>'free_units')::numeric, 0), 0);
        IF price->>'partial' = 'prorate' THEN
            RETURN oracle.quotient(units * (price->>'package_amount')::numeric, (price->>'size')::numeric, scale_);
        END IF;
        RETURN oracle.packages(units, (price->>'size')::numeric, coalesce(price->>'partial', 'up'))
               * (price->>'package_amount')::numeric;
    WHEN 'percentage' THEN
        RETURN q * (price->>'rate')::numeric
               + CASE WHEN q = 0 AND none THEN 0 ELSE coalesce((price->>'fixed_amount')::numeric, 0) END;
    WHEN 'passthrough' THEN
        RETURN q * coalesce((price->>'multiplier')::numeric, 1);
    ELSE
        RETURN oracle.tiers(price, q);
    END CASE;
END $$;

-- f for every total
CREATE FUNCTION oracle.f(price jsonb, q numeric) RETURNS numeric
LANGUAGE sql IMMUTABLE AS $$
SELECT CASE WHEN q >= 0 THEN oracle.f_positive(price, q)
            WHEN coalesce(price->>'negative', 'credit') <> 'credit' THEN oracle.f_positive(price, 0)
            WHEN price->>'model' = 'flat' THEN oracle.f_positive(price, 1)
            ELSE -oracle.f_positive(price, -q) END
$$;

-- What rate() must be; NULL: an error.
CREATE FUNCTION oracle.rate(price jsonb, quantity numeric, before numeric) RETURNS numeric
LANGUAGE sql IMMUTABLE AS $$
SELECT CASE WHEN quantity < 0 AND price->>'negative' = 'reject' THEN NULL
            WHEN before IS NULL THEN oracle.f(price, counted)
            ELSE oracle.f(price, before + counted) - oracle.f(price, before) END
  FROM (SELECT CASE WHEN quantity < 0 AND price->>'negative' = 'clamp' THEN 0 ELSE quantity END) c(counted)
$$;

-- Digits of the coefficient, without the zeros at both ends.
CREATE FUNCTION oracle.digits(a numeric) RETURNS integer
LANGUAGE sql IMMUTABLE AS $$
SELECT length(trim(BOTH '0' FROM replace(abs(a)::text, '.', '')))
$$;
