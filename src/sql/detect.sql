
-- detect: detectors on usage, incidents, verdicts

CREATE FUNCTION billadj.detector_trigger() RETURNS trigger
LANGUAGE c
AS 'MODULE_PATHNAME', 'billadj_detector_trigger';
COMMENT ON FUNCTION billadj.detector_trigger() IS 'trigger: error UB202 for parameters of a detector that are unknown or out of range';
REVOKE ALL ON FUNCTION billadj.detector_trigger() FROM PUBLIC;

CREATE FUNCTION billadj.read_baseline(account text, meter text, state bytea,
    OUT rows bigint, OUT mature boolean, OUT incident boolean, OUT due_at timestamptz)
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'billadj_read_baseline';
COMMENT ON FUNCTION billadj.read_baseline(text, text, bytea) IS
    'what a row of billadj.baseline says: usage rows seen, whether they are enough to compare others with, whether an incident is open, when the next row or the end of a bucket is due; error UB203 when its bytes are none';
