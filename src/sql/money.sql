-- ---- money: calculators that need nothing installed ----

CREATE FUNCTION billadj.exact(amount numeric)
RETURNS numeric
AS 'MODULE_PATHNAME', 'billadj_exact'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION billadj.exact(numeric)
    IS 'the same value without trailing zeros, or the error that says why it cannot be billed';

CREATE FUNCTION billadj.round_step(amount numeric, step numeric, mode text DEFAULT 'half_up')
RETURNS numeric
AS 'MODULE_PATHNAME', 'billadj_round_step'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION billadj.round_step(numeric, numeric, text)
    IS 'the multiple of step that the rounding mode picks: half_up, half_even, half_down, up, down, ceil, floor or never';

CREATE FUNCTION billadj.round_money(amount numeric, currency text, mode text DEFAULT 'half_up', cash boolean DEFAULT false)
RETURNS numeric
AS 'MODULE_PATHNAME', 'billadj_round_money'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION billadj.round_money(numeric, text, text, boolean)
    IS 'amount rounded to the minor unit of an ISO 4217 currency, or with cash to its smallest coin in use';

CREATE FUNCTION billadj.allocate(amount numeric, weights numeric[], scale integer)
RETURNS numeric[]
AS 'MODULE_PATHNAME', 'billadj_allocate'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION billadj.allocate(numeric, numeric[], integer)
    IS 'amount divided by weights into parts of scale decimals that sum to it: largest remainder, of equals the first';

