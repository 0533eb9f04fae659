
-- detect: detectors on usage, incidents, verdicts

CREATE FUNCTION billadj.detector_trigger() RETURNS trigger
LANGUAGE c
AS 'MODULE_PATHNAME', 'billadj_detector_trigger';
COMMENT ON FUNCTION billadj.detector_trigger() IS 'trigger: error UB202 for parameters of a detector that are unknown or out of range';
REVOKE ALL ON FUNCTION billadj.detector_trigger() FROM PUBLIC;

CREATE FUNCTION billadj.join_state(state bytea, bucket bytea) RETURNS bytea
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'billadj_join_state';
COMMENT ON FUNCTION billadj.join_state(bytea, bytea) IS
    'the whole state of a stream as of now, from its rows in billadj.baseline and billadj.open_bucket (NULL: it has none); the first, if one of them cannot be read';

CREATE FUNCTION billadj.read_baseline(account text, meter text, state bytea,
    OUT rows bigint, OUT mature boolean, OUT incident boolean, OUT due_at timestamptz)
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'billadj_read_baseline';
COMMENT ON FUNCTION billadj.read_baseline(text, text, bytea) IS
    'what a row of billadj.baseline says: usage rows seen, whether they are enough to compare others with, whether an incident is open, when the next row or the end of a bucket is due; error UB203 when its bytes are none';

CREATE FUNCTION billadj.detector_policy(account text, meter text, rule text,
    OUT detector_id bigint, OUT action text, OUT "off" boolean, OUT threshold double precision, OUT min_money numeric, OUT budget integer, OUT price_tolerance double precision)
LANGUAGE c STABLE STRICT
AS 'MODULE_PATHNAME', 'billadj_detector_policy';
COMMENT ON FUNCTION billadj.detector_policy(text, text, text) IS
    'what holds for a rule in a stream: the detector that decides (NULL: the defaults), its action, and the threshold as verdicts have moved it';
REVOKE ALL ON FUNCTION billadj.detector_policy(text, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.detector_policy(text, text, text)
   TO billadj_admin, billadj_operator, billadj_requester, billadj_approver, billadj_policy, billadj_auditor, billadj_reader;
