-- ---- prorate: billing periods and their parts, calculators that need nothing installed ----

CREATE FUNCTION billadj.prorate(amount numeric, period tstzrange, used tstzrange, day_count text, time_zone text,
                                scale integer, rounding text)
RETURNS numeric
AS 'MODULE_PATHNAME', 'billadj_prorate'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION billadj.prorate(numeric, tstzrange, tstzrange, text, text, integer, text)
    IS 'the share of an amount of the whole period that falls to used, rounded once at scale decimals';

CREATE FUNCTION billadj.prorate_split(amount numeric, period tstzrange, parts tstzrange[], day_count text,
                                      time_zone text, scale integer, rounding text)
RETURNS numeric[]
AS 'MODULE_PATHNAME', 'billadj_prorate_split'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION billadj.prorate_split(numeric, tstzrange, tstzrange[], text, text, integer, text)
    IS 'the shares of parts of a period, which sum to the share of their union: largest remainder, of equals the first';

CREATE FUNCTION billadj.day_fraction(period tstzrange, used tstzrange, day_count text, time_zone text,
                                     OUT numerator numeric, OUT denominator numeric)
AS 'MODULE_PATHNAME', 'billadj_day_fraction'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION billadj.day_fraction(tstzrange, tstzrange, text, text)
    IS 'the measure of used over that of its period by a day count, not reduced';

CREATE FUNCTION billadj.periods(anchor timestamptz, every interval, during tstzrange, time_zone text)
RETURNS SETOF tstzrange
AS 'MODULE_PATHNAME', 'billadj_periods'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE ROWS 12;
COMMENT ON FUNCTION billadj.periods(timestamptz, interval, tstzrange, text)
    IS 'the billing periods that overlap during, uncut, also before the anchor: boundary n is the local anchor plus n times every';

CREATE FUNCTION billadj.period_at(anchor timestamptz, every interval, at timestamptz, time_zone text)
RETURNS tstzrange
AS 'MODULE_PATHNAME', 'billadj_period_at'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION billadj.period_at(timestamptz, interval, timestamptz, text)
    IS 'the billing period that contains an instant';

