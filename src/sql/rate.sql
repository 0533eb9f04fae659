-- ---- rate: price documents and rating, calculators that need nothing installed ----

CREATE FUNCTION billadj.rate(price jsonb, quantity numeric, before numeric DEFAULT NULL)
RETURNS numeric
AS 'MODULE_PATHNAME', 'billadj_rate'
LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION billadj.rate(jsonb, numeric, numeric)
    IS 'exact amount of a quantity; before: what the period had already, NULL for nothing charged yet';

CREATE FUNCTION billadj.rate_steps(price jsonb, quantity numeric, before numeric DEFAULT NULL)
RETURNS TABLE (tier integer, quantity numeric, unit_amount numeric, flat_amount numeric, amount numeric)
AS 'MODULE_PATHNAME', 'billadj_rate_steps'
LANGUAGE C IMMUTABLE PARALLEL SAFE ROWS 4;
COMMENT ON FUNCTION billadj.rate_steps(jsonb, numeric, numeric)
    IS 'the amount of rate() tier by tier';

CREATE FUNCTION billadj.rate_between(price jsonb, before numeric, after numeric)
RETURNS numeric
AS 'MODULE_PATHNAME', 'billadj_rate_between'
LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION billadj.rate_between(jsonb, numeric, numeric)
    IS 'f(after) - f(before) of two totals of a period; NULL: nothing is charged, f is 0';

CREATE FUNCTION billadj.rate_between_steps(price jsonb, before numeric, after numeric)
RETURNS TABLE (tier integer, quantity numeric, unit_amount numeric, flat_amount numeric, amount numeric)
AS 'MODULE_PATHNAME', 'billadj_rate_between_steps'
LANGUAGE C IMMUTABLE PARALLEL SAFE ROWS 4;
COMMENT ON FUNCTION billadj.rate_between_steps(jsonb, numeric, numeric)
    IS 'the amount of rate_between() tier by tier';

CREATE FUNCTION billadj.price_is_linear(price jsonb)
RETURNS boolean
AS 'MODULE_PATHNAME', 'billadj_price_is_linear'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION billadj.price_is_linear(jsonb)
    IS 'f(a) + f(b) = f(a + b) for all quantities: such a price needs no running total';

CREATE FUNCTION billadj.price_check(price jsonb)
RETURNS text
AS 'MODULE_PATHNAME', 'billadj_price_check'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION billadj.price_check(jsonb)
    IS 'why a price document is refused, with the path of the key; NULL when it is sound';
