-- ---- aggregate: exact sums and their price, over any rows, nothing installed ----

-- States are bytea: an internal one could not be handed to another node.

CREATE FUNCTION billadj.exact_sum_step(state bytea, amount numeric)
RETURNS bytea
AS 'MODULE_PATHNAME', 'billadj_exact_sum_step'
LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION billadj.exact_sum_step(bytea, numeric)
    IS 'part of billadj.exact_sum(): adds a row';
REVOKE ALL ON FUNCTION billadj.exact_sum_step(bytea, numeric) FROM PUBLIC;

CREATE FUNCTION billadj.exact_sum_combine(state bytea, other bytea)
RETURNS bytea
AS 'MODULE_PATHNAME', 'billadj_exact_sum_combine'
LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION billadj.exact_sum_combine(bytea, bytea)
    IS 'part of billadj.exact_sum(): adds what another process has summed';
REVOKE ALL ON FUNCTION billadj.exact_sum_combine(bytea, bytea) FROM PUBLIC;

CREATE FUNCTION billadj.exact_sum_final(state bytea)
RETURNS numeric
AS 'MODULE_PATHNAME', 'billadj_exact_sum_final'
LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION billadj.exact_sum_final(bytea)
    IS 'part of billadj.exact_sum(): the sum';
REVOKE ALL ON FUNCTION billadj.exact_sum_final(bytea) FROM PUBLIC;

CREATE AGGREGATE billadj.exact_sum(amount numeric) (
    SFUNC = billadj.exact_sum_step, STYPE = bytea, SSPACE = 24,
    COMBINEFUNC = billadj.exact_sum_combine, FINALFUNC = billadj.exact_sum_final, PARALLEL = SAFE);
COMMENT ON AGGREGATE billadj.exact_sum(numeric)
    IS 'exact sum, or the error that says why it cannot be billed; NULL without rows';

CREATE FUNCTION billadj.rated_sum_step(state bytea, price jsonb, quantity numeric)
RETURNS bytea
AS 'MODULE_PATHNAME', 'billadj_rated_sum_step'
LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION billadj.rated_sum_step(bytea, jsonb, numeric)
    IS 'part of billadj.rated_sum(): adds a row';
REVOKE ALL ON FUNCTION billadj.rated_sum_step(bytea, jsonb, numeric) FROM PUBLIC;

CREATE FUNCTION billadj.rated_sum_combine(state bytea, other bytea)
RETURNS bytea
AS 'MODULE_PATHNAME', 'billadj_rated_sum_combine'
LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION billadj.rated_sum_combine(bytea, bytea)
    IS 'part of billadj.rated_sum(): adds what another process has summed';
REVOKE ALL ON FUNCTION billadj.rated_sum_combine(bytea, bytea) FROM PUBLIC;

CREATE FUNCTION billadj.rated_sum_final(state bytea)
RETURNS numeric
AS 'MODULE_PATHNAME', 'billadj_rated_sum_final'
LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION billadj.rated_sum_final(bytea)
    IS 'part of billadj.rated_sum(): the amount of the sum';
REVOKE ALL ON FUNCTION billadj.rated_sum_final(bytea) FROM PUBLIC;

CREATE FUNCTION billadj.rated_quantity_sum_final(state bytea)
RETURNS numeric
AS 'MODULE_PATHNAME', 'billadj_rated_quantity_sum_final'
LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION billadj.rated_quantity_sum_final(bytea)
    IS 'part of billadj.rated_quantity_sum(): the sum';
REVOKE ALL ON FUNCTION billadj.rated_quantity_sum_final(bytea) FROM PUBLIC;

CREATE AGGREGATE billadj.rated_sum(price jsonb, quantity numeric) (
    SFUNC = billadj.rated_sum_step, STYPE = bytea, SSPACE = 256,
    COMBINEFUNC = billadj.rated_sum_combine, FINALFUNC = billadj.rated_sum_final, PARALLEL = SAFE);
COMMENT ON AGGREGATE billadj.rated_sum(jsonb, numeric)
    IS 'exact amount of the summed quantity, as rate(); one price a group; NULL without rows';

-- The same state, so that both together cost little more than one.
CREATE AGGREGATE billadj.rated_quantity_sum(price jsonb, quantity numeric) (
    SFUNC = billadj.rated_sum_step, STYPE = bytea, SSPACE = 256,
    COMBINEFUNC = billadj.rated_sum_combine, FINALFUNC = billadj.rated_quantity_sum_final, PARALLEL = SAFE);
COMMENT ON AGGREGATE billadj.rated_quantity_sum(jsonb, numeric)
    IS 'the quantity that rated_sum() prices: each row as the price counts it';
