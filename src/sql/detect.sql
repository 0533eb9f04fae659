
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
    'the whole state of a stream as of now, from its wide row in billadj.baseline and the bytes of its open hour or day (NULL: it has none), see stream_states(); the first, if one of them cannot be read';

CREATE FUNCTION billadj.stream_states() RETURNS TABLE (account text, meter text, state bytea, problem text)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
    SELECT b.account, b.meter, billadj.join_state(b.state, coalesce(nullif(t.bucket, ''), nullif(o.state, ''))), b.problem
      FROM billadj.baseline b
      LEFT JOIN billadj.open_bucket o ON o.account = b.account AND o.meter = b.meter
      LEFT JOIN billadj.tier_total t ON t.account = o.account AND t.meter = o.meter AND t.period_start = o.period_start AND t.price_id = o.price_id
$function$;
COMMENT ON FUNCTION billadj.stream_states() IS
    'the whole state of each account and meter as of now, wherever its parts are: for read_baseline() and other functions of baselines';
REVOKE ALL ON FUNCTION billadj.stream_states() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.stream_states() TO billadj_admin, billadj_operator, billadj_auditor, billadj_reader;

CREATE FUNCTION billadj.read_baseline(account text, meter text, state bytea,
    OUT rows bigint, OUT mature boolean, OUT incident boolean, OUT due_at timestamptz)
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'billadj_read_baseline';
COMMENT ON FUNCTION billadj.read_baseline(text, text, bytea) IS
    'what a row of billadj.baseline says: usage rows seen, whether they are enough to compare others with, whether an incident is open, when the next row or the end of a bucket is due; error UB203 when its bytes are none';

CREATE FUNCTION billadj.detector_policy(account text, meter text, rule text,
    OUT detector_id bigint, OUT action text, OUT "off" boolean, OUT threshold double precision, OUT min_money numeric, OUT budget integer, OUT price_tolerance double precision, OUT min_share numeric)
LANGUAGE c STABLE STRICT
AS 'MODULE_PATHNAME', 'billadj_detector_policy';
COMMENT ON FUNCTION billadj.detector_policy(text, text, text) IS
    'what holds for a rule in a stream: the detector that decides (NULL: the defaults), its action, the threshold as verdicts have moved it, and the minimum: an amount, and a share of the account''s usual bill (0: none)';
REVOKE ALL ON FUNCTION billadj.detector_policy(text, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.detector_policy(text, text, text)
   TO billadj_admin, billadj_operator, billadj_requester, billadj_approver, billadj_policy, billadj_auditor, billadj_reader;
