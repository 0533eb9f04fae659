-- prorate_oracle.sql: billing periods and proration a second time, in the
-- server's own dates and numeric, from the page that says what they mean and not
-- from the C code.
--
-- Where the core gives a day a place in its period and takes differences, this
-- adds up what lies between two days.

CREATE SCHEMA oracle;

-- ---- days ----

-- The first instant of a day: of two midnights the first.  Clocks are set back
-- by half an hour, one or two where this is used.
CREATE FUNCTION oracle.begins(day date, zone text) RETURNS timestamptz LANGUAGE plpgsql STABLE AS $$
DECLARE
    midnight timestamptz := day::timestamp AT TIME ZONE zone;
BEGIN
    IF (midnight - interval '2 hours') AT TIME ZONE zone = day::timestamp THEN RETURN midnight - interval '2 hours'; END IF;
    IF (midnight - interval '1 hour') AT TIME ZONE zone = day::timestamp THEN RETURN midnight - interval '1 hour'; END IF;
    IF (midnight - interval '30 minutes') AT TIME ZONE zone = day::timestamp THEN RETURN midnight - interval '30 minutes'; END IF;
    RETURN midnight;
END $$;

-- The day that an instant lies in.
CREATE FUNCTION oracle.day_of(at timestamptz, zone text) RETURNS date LANGUAGE plpgsql STABLE AS $$
DECLARE
    day date := at AT TIME ZONE zone;
BEGIN
    RETURN CASE WHEN oracle.begins(day + 1, zone) <= at THEN day + 1 ELSE day END;
END $$;

-- The day that begins at an instant, or else the one after it.
CREATE FUNCTION oracle.next_day(at timestamptz, zone text) RETURNS date LANGUAGE plpgsql STABLE AS $$
DECLARE
    day date := oracle.day_of(at, zone);
BEGIN
    RETURN CASE WHEN at <= oracle.begins(day, zone) OR at <= day::timestamp AT TIME ZONE zone THEN day ELSE day + 1 END;
END $$;

-- ---- periods ----

CREATE FUNCTION oracle.boundary(anchor timestamptz, every interval, n integer, zone text) RETURNS timestamptz
LANGUAGE plpgsql STABLE AS $$
DECLARE
    local timestamp := (anchor AT TIME ZONE zone) + n * every;
BEGIN
    IF n = 0 THEN RETURN anchor; END IF;
    IF every < interval '1 day' OR every = interval '36 hours' AND extract(day FROM every) = 0 THEN
        RETURN anchor + n * every;
    END IF;
    IF local::time = time '00:00' THEN RETURN oracle.begins(local::date, zone); END IF;
    RETURN local AT TIME ZONE zone;
END $$;

-- From a guess that is too early, one boundary after another.
CREATE FUNCTION oracle.period_at(anchor timestamptz, every interval, at timestamptz, zone text) RETURNS tstzrange
LANGUAGE plpgsql STABLE AS $$
DECLARE
    n integer := floor(extract(epoch FROM at - anchor) / extract(epoch FROM every)) - 3;
    since timestamptz;
    until timestamptz := oracle.boundary(anchor, every, n, zone);
BEGIN
    WHILE until <= at LOOP
        n := n + 1;
        since := until;
        until := oracle.boundary(anchor, every, n, zone);
    END LOOP;
    RETURN tstzrange(since, until);
END $$;

-- ---- day counts: numerator and denominator in any unit ----

-- Days of months, each over the length of its month: since is where one begins.
CREATE FUNCTION oracle.measure_months(since date, length interval, start date, until date) RETURNS integer
LANGUAGE plpgsql STABLE AS $$
DECLARE
    sum integer := 0;
    k integer := 0;
    month_start date := since;
    month_end date;
BEGIN
    WHILE month_start < until LOOP
        k := k + 1;
        month_end := since + k * length;
        sum := sum + greatest(0, least(until, month_end) - greatest(start, month_start)) * (377580 / (month_end - month_start));
        month_start := month_end;
    END LOOP;
    RETURN sum;
END $$;

-- The days from one to before another.  first is the period's first day.
CREATE FUNCTION oracle.measure(day_count text, start date, until date, first date) RETURNS numeric
LANGUAGE plpgsql STABLE AS $$
DECLARE
    month date := date_trunc('month', first::timestamp);
    next date := month + interval '1 month';
BEGIN
    CASE day_count
    WHEN 'strict_30_360' THEN
        -- as in the books: 360 a year, 30 a month, and the days
        RETURN 360 * (extract(year FROM until) - extract(year FROM start)) +
               30 * (extract(month FROM until) - extract(month FROM start)) + extract(day FROM until) - extract(day FROM start);
    WHEN 'fixed_30' THEN
        -- the days, and what the first month lacks for whoever leaves it
        RETURN until - start + CASE WHEN until >= next AND start < next THEN 30 - (next - month) ELSE 0 END;
    WHEN 'calendar_month_split' THEN
        RETURN oracle.measure_months(month, interval '1 month', start, until);
    WHEN 'month_then_days' THEN
        RETURN oracle.measure_months(first, interval '1 month', start, until);
    ELSE
        RETURN until - start;
    END CASE;
END $$;

-- months: how many the period has, or NULL
CREATE FUNCTION oracle.fraction(period tstzrange, used tstzrange, day_count text, zone text, months integer,
                                OUT num numeric, OUT den numeric)
LANGUAGE plpgsql STABLE AS $$
DECLARE
    first date;
    start date;
    until date;
BEGIN
    IF day_count = 'actual_seconds' THEN
        num := CASE WHEN isempty(used) THEN 0 ELSE extract(epoch FROM upper(used) - lower(used)) END;
        den := extract(epoch FROM upper(period) - lower(period));
        RETURN;
    END IF;
    IF day_count IN ('actual_days_inclusive', 'actual_360', 'strict_30_360') THEN
        first := oracle.next_day(lower(period), zone);
        start := oracle.next_day(lower(used), zone);
        until := oracle.next_day(upper(used), zone);
        den := oracle.measure(day_count, first, oracle.next_day(upper(period), zone), first);
    ELSE
        first := oracle.day_of(lower(period), zone);
        start := oracle.day_of(lower(used), zone);
        until := oracle.day_of(upper(used), zone);
        den := oracle.measure(day_count, first, oracle.day_of(upper(period), zone), first);
    END IF;
    num := CASE WHEN isempty(used) OR start = until THEN 0 ELSE oracle.measure(day_count, start, until, first) END;
    IF day_count = 'actual_360' THEN
        den := 30 * months;
    ELSIF day_count = 'actual_365' THEN
        num := num * 12;
        den := 365 * months;
    END IF;
END $$;

-- ---- amounts ----

-- num / den to a whole number; den > 0
CREATE FUNCTION oracle.round_quotient(num numeric, den numeric, rounding text) RETURNS numeric
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    whole numeric := div(abs(num), den);
    rest  numeric := mod(abs(num), den);
BEGIN
    IF rest > 0 AND (CASE rounding WHEN 'half_up' THEN 2 * rest >= den
                                  WHEN 'half_even' THEN 2 * rest > den OR (2 * rest = den AND mod(whole, 2) = 1)
                                  WHEN 'half_down' THEN 2 * rest > den
                                  WHEN 'up' THEN true
                                  WHEN 'down' THEN false
                                  WHEN 'ceil' THEN num > 0
                                  WHEN 'floor' THEN num < 0 END) THEN
        whole := whole + 1;
    END IF;
    RETURN sign(num) * whole;
END $$;

CREATE FUNCTION oracle.share(amount numeric, num numeric, den numeric, scale integer, rounding text) RETURNS numeric
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN oracle.round_quotient(amount * num * ('1e' || scale)::numeric, den, rounding) * ('1e' || -scale)::numeric;
END $$;

-- Cut off, and one more for those who lost most, until all sum to the total.
CREATE FUNCTION oracle.split(amount numeric, nums numeric[], den numeric, scale integer, rounding text) RETURNS numeric[]
LANGUAGE sql IMMUTABLE AS $$
WITH total AS (
    SELECT abs(oracle.round_quotient(amount * coalesce(sum(num), 0) * ('1e' || scale)::numeric, den, rounding)) AS units
      FROM unnest(nums) AS num
), cut AS (
    SELECT position, div(exact, den) AS units,
           row_number() OVER (ORDER BY mod(exact, den) DESC, position) AS rank
      FROM unnest(nums) WITH ORDINALITY AS n(num, position),
           LATERAL (SELECT abs(amount) * num * ('1e' || scale)::numeric AS exact) AS e
)
SELECT array_agg(sign(amount) * (cut.units + (rank <= total.units - (SELECT sum(units) FROM cut))::integer)
                 * ('1e' || -scale)::numeric ORDER BY position)
  FROM cut, total
$$;
