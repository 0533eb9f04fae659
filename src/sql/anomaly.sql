
-- ---- anomaly: how unusual each row of a series is, for any table ----

CREATE FUNCTION billadj.anomaly_score(occurred_at timestamptz, quantity numeric,
                                      cumulative boolean DEFAULT false, detector jsonb DEFAULT NULL)
RETURNS double precision
AS 'MODULE_PATHNAME', 'billadj_anomaly_score'
LANGUAGE C WINDOW IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION billadj.anomaly_score(timestamptz, numeric, boolean, jsonb)
    IS 'window function: how unusual a row is beside the rows before it in its partition, 0 to 1; OVER (... ORDER BY occurred_at)';

CREATE FUNCTION billadj.anomaly_detail(occurred_at timestamptz, quantity numeric,
                                       cumulative boolean DEFAULT false, detector jsonb DEFAULT NULL)
RETURNS jsonb
AS 'MODULE_PATHNAME', 'billadj_anomaly_detail'
LANGUAGE C WINDOW IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION billadj.anomaly_detail(timestamptz, numeric, boolean, jsonb)
    IS 'window function: anomaly_score() as {"score", "reason", "observed", "expected", "lo", "hi", "unit", "lag_hours", "alert"}; a key without meaning for the row is absent';
