
-- ---- verdict: silence, explanations, a person's word, learning anew ----

CREATE FUNCTION billadj.verdict_trigger() RETURNS trigger
AS 'MODULE_PATHNAME', 'billadj_verdict_trigger' LANGUAGE C;
COMMENT ON FUNCTION billadj.verdict_trigger() IS 'trigger: a verdict closes its incident, moves the threshold a step and is recorded in the audit log';
REVOKE ALL ON FUNCTION billadj.verdict_trigger() FROM PUBLIC;

-- ---- silence ----

CREATE FUNCTION billadj.baseline_due(state bytea) RETURNS timestamptz
AS 'MODULE_PATHNAME', 'billadj_baseline_due' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION billadj.baseline_due(bytea) IS 'when a stream is due to be looked at without a row: its next row is late, or its bucket has ended; NULL: nobody knows';
REVOKE ALL ON FUNCTION billadj.baseline_due(bytea) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.baseline_due(bytea) TO billadj_admin, billadj_operator, billadj_auditor, billadj_reader;

CREATE FUNCTION billadj.judged_by_bucket(state bytea) RETURNS boolean
AS 'MODULE_PATHNAME', 'billadj_judged_by_bucket' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION billadj.judged_by_bucket(bytea) IS 'whether a stream is judged by hours or days, and not by single rows; NULL: its bytes cannot be read; part of explain_anomaly()';
REVOKE ALL ON FUNCTION billadj.judged_by_bucket(bytea) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.judged_by_bucket(bytea)
   TO billadj_admin, billadj_operator, billadj_requester, billadj_approver, billadj_policy, billadj_auditor, billadj_reader;

CREATE FUNCTION billadj.tell_silence(account text, meter text, now timestamptz, unit_amount numeric, currency text) RETURNS boolean
AS 'MODULE_PATHNAME', 'billadj_tell_silence' LANGUAGE C STRICT;
COMMENT ON FUNCTION billadj.tell_silence(text, text, timestamptz, numeric, text) IS 'opens the incident of one stream that is silent; detect_due() calls it';
REVOKE ALL ON FUNCTION billadj.tell_silence(text, text, timestamptz, numeric, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.tell_silence(text, text, timestamptz, numeric, text) TO billadj_operator;

CREATE FUNCTION billadj.silence_is_new(account text, meter text, now timestamptz) RETURNS boolean
AS 'MODULE_PATHNAME', 'billadj_silence_is_new' LANGUAGE C STRICT;
COMMENT ON FUNCTION billadj.silence_is_new(text, text, timestamptz) IS 'whether tell_silence() would write anything; detect_due() asks before it looks for prices';
REVOKE ALL ON FUNCTION billadj.silence_is_new(text, text, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.silence_is_new(text, text, timestamptz) TO billadj_operator;

CREATE FUNCTION billadj.confirm_duplicate(account text, meter text, anomaly_id bigint, detail jsonb) RETURNS boolean
AS 'MODULE_PATHNAME', 'billadj_confirm_duplicate' LANGUAGE C;
COMMENT ON FUNCTION billadj.confirm_duplicate(text, text, bigint, jsonb)
    IS 'says of a duplicate that waits for it which row it repeats; NULL: none, and it is closed; detect_due() calls it';
REVOKE ALL ON FUNCTION billadj.confirm_duplicate(text, text, bigint, jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.confirm_duplicate(text, text, bigint, jsonb) TO billadj_operator;

-- The commit that saw such a row looks at the last charges of a month only; here
-- the whole month is looked at, once for all that wait.
CREATE FUNCTION billadj.confirm_duplicates() RETURNS TABLE (account text, anomaly_id bigint)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $function$
#variable_conflict use_column
DECLARE
    waiting record;
BEGIN
    FOR waiting IN
        WITH seen AS MATERIALIZED (
            SELECT a.account, a.meter, a.anomaly_id, a.charge_id, a.period_start, a.occurred_at, a.observed
              FROM billadj.anomaly a
             WHERE a.closed_at IS NULL AND a.rule = 'duplicate' AND a.detail @> '{"confirmed": false}'
        ), alike AS (
            SELECT s.account, s.anomaly_id, c.attachment_id, c.event_key, sum(c.row_count) FILTER (WHERE c.row_count < 0 OR abs(c.quantity::double precision - s.observed) <= 1e-14 * abs(s.observed)) AS net,
                   min(c.charge_id) FILTER (WHERE c.row_count > 0) AS charge_id, min(c.created_at) FILTER (WHERE c.row_count > 0) AS created_at
              FROM seen s
              JOIN billadj.charge c ON c.account = s.account AND c.meter = s.meter AND c.occurred_at = s.occurred_at AND c.period_start = s.period_start
             WHERE c.charge_id <> s.charge_id AND c.row_count <> 0
             GROUP BY s.account, s.anomaly_id, c.attachment_id, c.event_key
        )
        SELECT s.account, s.meter, s.anomaly_id, f.detail
          FROM seen s
          LEFT JOIN LATERAL (SELECT jsonb_build_object('confirmed', true, 'repeats', jsonb_build_object('event_key', l.event_key, 'charge_id', l.charge_id, 'received_at', l.created_at)) AS detail
                               FROM alike l WHERE l.account = s.account AND l.anomaly_id = s.anomaly_id AND l.net > 0 ORDER BY l.charge_id LIMIT 1) f ON true
         ORDER BY s.account COLLATE "C", s.meter COLLATE "C", s.anomaly_id
    LOOP
        account := waiting.account;
        anomaly_id := waiting.anomaly_id;
        CONTINUE WHEN NOT billadj.confirm_duplicate(waiting.account, waiting.meter, waiting.anomaly_id, waiting.detail) OR waiting.detail IS NULL;
        RETURN NEXT;
    END LOOP;
END
$function$;
COMMENT ON FUNCTION billadj.confirm_duplicates() IS
    'looks up the rows that repeat others and could not be looked up when they came: tells of those that do, closes the others; detect_due() calls it';
REVOKE ALL ON FUNCTION billadj.confirm_duplicates() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.confirm_duplicates() TO billadj_operator;

CREATE FUNCTION billadj.peer_profile(baselines bytea[], mature boolean) RETURNS double precision[]
AS 'MODULE_PATHNAME', 'billadj_peer_profile' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION billadj.peer_profile(bytea[], boolean)
    IS 'what comparable accounts do: accounts, level, spread, largest, share of zeros, the day by the hour, level, spread and noise of rows; mature: of accounts with four weeks of history only';
REVOKE ALL ON FUNCTION billadj.peer_profile(bytea[], boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.peer_profile(bytea[], boolean) TO billadj_admin, billadj_operator;

-- Eight accounts with four weeks of history, or else eight of any age: where
-- all are young, they are still more than a first row alone.  Of very large
-- groups a fixed sample.
CREATE FUNCTION billadj.refresh_peer_groups() RETURNS integer
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    written integer;
BEGIN
    WITH member AS (
        SELECT b.account, b.meter, coalesce(a.peer_group, '') AS peer_group
          FROM billadj.baseline b
          LEFT JOIN billadj.account a ON a.account = b.account
    ), placed AS (
        -- without the states, which are wide: those of the sample are read below
        SELECT u.*, row_number() OVER (PARTITION BY u.meter, u.peer_group ORDER BY md5(u.account), u.account COLLATE "C") AS place
          FROM (SELECT m.* FROM member m UNION ALL SELECT m.account, m.meter, '' FROM member m WHERE m.peer_group <> '') u
    ), summed AS (
        SELECT m.meter, m.peer_group, billadj.peer_profile(array_agg(b.state ORDER BY m.place), true) AS old,
               billadj.peer_profile(array_agg(b.state ORDER BY m.place), false) AS every
          FROM placed m
          JOIN billadj.baseline b ON b.account = m.account AND b.meter = m.meter
         WHERE m.place <= 10000
         GROUP BY m.meter, m.peer_group
    ), profile AS (
        SELECT s.meter, s.peer_group, CASE WHEN s.old[1] >= 8 THEN s.old ELSE s.every END AS p FROM summed s
    )
    INSERT INTO billadj.peer_group AS g (meter, peer_group, accounts, level, spread, largest, zero_share, day_shape, row_level, row_spread, row_noise)
    SELECT p.meter, p.peer_group, p.p[1]::integer, p.p[2], p.p[3], p.p[4], p.p[5], p.p[6:29], p.p[30], p.p[31], p.p[32]
      FROM profile p
     WHERE p.p[1] >= 8
     ORDER BY p.meter, p.peer_group
        ON CONFLICT ON CONSTRAINT peer_group_pkey DO UPDATE
       SET accounts = excluded.accounts, level = excluded.level, spread = excluded.spread, largest = excluded.largest,
           zero_share = excluded.zero_share, day_shape = excluded.day_shape,
           row_level = excluded.row_level, row_spread = excluded.row_spread, row_noise = excluded.row_noise, refreshed_at = clock_timestamp()
     WHERE (g.accounts, g.level, g.spread, g.largest, g.zero_share, g.day_shape, g.row_level, g.row_spread, g.row_noise)
           IS DISTINCT FROM (excluded.accounts, excluded.level, excluded.spread, excluded.largest, excluded.zero_share, excluded.day_shape,
                             excluded.row_level, excluded.row_spread, excluded.row_noise);
    GET DIAGNOSTICS written = ROW_COUNT;
    RETURN written;
END
$function$;
COMMENT ON FUNCTION billadj.refresh_peer_groups() IS 'computes anew what comparable accounts do, and returns how many groups changed; detect_due() calls it';
REVOKE ALL ON FUNCTION billadj.refresh_peer_groups() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.refresh_peer_groups() TO billadj_operator;

-- What a period came to is its charges, whenever they were posted, and its
-- adjustments; what is held is not billed.  The median, of two in the middle the
-- smaller: one of the amounts, so nothing is divided or rounded.  Periods are known
-- by their beginnings: one is complete when it began a month ago and a later one
-- has begun.  Where there is none any more, what was known stays.
CREATE FUNCTION billadj.refresh_usual_bills(now timestamptz DEFAULT now()) RETURNS integer
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $function$
DECLARE
    from_at timestamptz := date_trunc('month', refresh_usual_bills.now) - interval '4 months';
    written integer;
BEGIN
    PERFORM billadj.require_installed();
    WITH part AS (
        SELECT c.account, c.currency, c.period_start, c.amount
          FROM billadj.charge c
         WHERE c.period_start >= from_at AND c.period_start <= refresh_usual_bills.now
           AND NOT EXISTS (SELECT FROM billadj.hold h WHERE h.account = c.account AND h.charge_id = c.charge_id AND h.ended_at IS NULL)
        UNION ALL
        SELECT a.account, a.currency, a.period_start, a.delta
          FROM billadj.adjustment a
         WHERE a.affects = 'billed' AND a.period_start >= from_at AND a.period_start <= refresh_usual_bills.now
    ), period AS (
        SELECT p.account, p.currency, p.period_start, sum(p.amount) AS amount,
               lead(p.period_start) OVER (PARTITION BY p.account, p.currency ORDER BY p.period_start) AS next_start
          FROM part p GROUP BY p.account, p.currency, p.period_start
    )
    INSERT INTO billadj.usual_bill AS u (account, currency, amount, periods, last_period)
    SELECT p.account, p.currency, percentile_disc(0.5) WITHIN GROUP (ORDER BY p.amount), count(*)::integer, max(p.period_start)
      FROM period p
     WHERE p.next_start IS NOT NULL AND p.period_start + interval '1 month' <= refresh_usual_bills.now
     GROUP BY p.account, p.currency
     ORDER BY p.account, p.currency
        ON CONFLICT ON CONSTRAINT usual_bill_pkey DO UPDATE
       SET amount = excluded.amount, periods = excluded.periods, last_period = excluded.last_period, refreshed_at = clock_timestamp()
     WHERE (u.amount, u.periods, u.last_period) IS DISTINCT FROM (excluded.amount, excluded.periods, excluded.last_period);
    GET DIAGNOSTICS written = ROW_COUNT;
    INSERT INTO billadj.usual_bill_run (as_of, bills) VALUES (date_trunc('week', refresh_usual_bills.now)::date, written)
        ON CONFLICT ON CONSTRAINT usual_bill_run_pkey DO UPDATE SET bills = excluded.bills, created_at = clock_timestamp(), created_by = session_user;
    RETURN written;
END
$function$;
COMMENT ON FUNCTION billadj.refresh_usual_bills(timestamptz) IS
    'computes anew what each account is usually billed, from its complete periods of the last four months, and returns how many changed; detect_due() calls it once a week';
REVOKE ALL ON FUNCTION billadj.refresh_usual_bills(timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.refresh_usual_bills(timestamptz) TO billadj_operator, billadj_admin;

-- In the order of the streams, as the commit of usage locks them.
CREATE FUNCTION billadj.detect_due(now timestamptz DEFAULT now())
RETURNS TABLE (account text, meter text, anomaly_id bigint, rule text, state text, money_at_risk numeric, currency text)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $function$
#variable_conflict use_column
DECLARE
    stream   record;
    started  timestamptz;
BEGIN
    PERFORM billadj.require_installed();
    IF detect_due.now IS NULL OR NOT isfinite(detect_due.now) THEN
        RAISE EXCEPTION 'now of detect_due is no time' USING ERRCODE = 'invalid_parameter_value', HINT = 'SELECT * FROM billadj.detect_due();';
    END IF;
    PERFORM billadj.refresh_peer_groups();
    -- all charges of some months are read: not at every look
    IF NOT EXISTS (SELECT FROM billadj.usual_bill_run r WHERE r.as_of = (date_trunc('week', detect_due.now AT TIME ZONE 'UTC'))::date) THEN
        PERFORM billadj.refresh_usual_bills(detect_due.now);
    END IF;
    started := clock_timestamp();
    -- Most streams that are due were told of before.  One look at the charges
    -- serves the others: what a unit has cost of late.
    FOR stream IN
        WITH told AS MATERIALIZED (
            SELECT b.account, b.meter
              FROM billadj.baseline b
             WHERE (billadj.baseline_due(b.state) <= detect_due.now
                    OR EXISTS (SELECT FROM billadj.anomaly a
                                WHERE a.account = b.account AND a.meter = b.meter AND a.closed_at IS NULL
                                  AND (a.charge_id IS NULL AND a.family IN ('level', 'cadence')
                                       OR a.closes_at <= detect_due.now AND NOT coalesce(a.detail @> '{"confirmed": false}', false))))
               AND billadj.silence_is_new(b.account, b.meter, detect_due.now)
        ), cost AS (
            SELECT DISTINCT ON (c.account, c.meter) c.account, c.meter, c.amount / c.quantity AS unit_amount, c.currency
              FROM billadj.charge c
             WHERE c.quantity > 0 AND c.period_start > detect_due.now - interval '70 days'
               AND EXISTS (SELECT FROM told t WHERE t.account = c.account AND t.meter = c.meter)
             ORDER BY c.account, c.meter, c.occurred_at DESC NULLS LAST, c.charge_id DESC
        )
        SELECT t.account, t.meter, coalesce(round(c.unit_amount, 12), 0) AS unit_amount, coalesce(c.currency, '') AS currency
          FROM told t
          LEFT JOIN cost c ON c.account = t.account AND c.meter = t.meter
         ORDER BY t.account COLLATE "C", t.meter COLLATE "C"
    LOOP
        IF billadj.tell_silence(stream.account, stream.meter, detect_due.now, stream.unit_amount, stream.currency) THEN
            RETURN QUERY
            SELECT a.account, a.meter, a.anomaly_id, a.rule, a.state, a.money_at_risk, a.currency
              FROM billadj.anomaly a
             WHERE a.account = stream.account AND a.meter = stream.meter
               AND (a.charge_id IS NULL AND a.family IN ('level', 'cadence') AND (a.created_at >= started OR a.closed_at >= started)
                    OR a.family = 'row' AND a.closed_at >= started)
             ORDER BY a.anomaly_id;
        END IF;
    END LOOP;
    RETURN QUERY
    SELECT a.account, a.meter, a.anomaly_id, a.rule, a.state, a.money_at_risk, a.currency
      FROM billadj.confirm_duplicates() d
      JOIN billadj.anomaly a ON a.account = d.account AND a.anomaly_id = d.anomaly_id
     ORDER BY a.anomaly_id;
END
$function$;
COMMENT ON FUNCTION billadj.detect_due(timestamptz) IS
    'tells of silence: opens incidents of streams whose row is overdue or whose bucket has ended, closes those of single rows whose day has passed, looks up duplicates that wait for it, refreshes peer groups; run it every few minutes; running it twice opens nothing twice';
REVOKE ALL ON FUNCTION billadj.detect_due(timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.detect_due(timestamptz) TO billadj_operator;

-- ---- baselines from rows ----

CREATE FUNCTION billadj.learn_rows(account text, meter text, times timestamptz[], quantities numeric[], unit_amounts numeric[]) RETURNS bytea
AS 'MODULE_PATHNAME', 'billadj_learn_rows' LANGUAGE C STABLE STRICT;
COMMENT ON FUNCTION billadj.learn_rows(text, text, timestamptz[], numeric[], numeric[])
    IS 'baseline of a stream from its rows in the order of time and event key, by the parameters of its detectors; opens no incident';
REVOKE ALL ON FUNCTION billadj.learn_rows(text, text, timestamptz[], numeric[], numeric[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.learn_rows(text, text, timestamptz[], numeric[], numeric[]) TO billadj_admin, billadj_operator;

CREATE FUNCTION billadj.lock_baseline(account text, meter text) RETURNS void
AS 'MODULE_PATHNAME', 'billadj_lock_baseline' LANGUAGE C STRICT;
COMMENT ON FUNCTION billadj.lock_baseline(text, text) IS 'locks a stream until the end of the transaction; part of rebuild_baseline()';
REVOKE ALL ON FUNCTION billadj.lock_baseline(text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.lock_baseline(text, text) TO billadj_admin, billadj_operator;

CREATE FUNCTION billadj.lock_baselines(accounts text[], meters text[]) RETURNS void
AS 'MODULE_PATHNAME', 'billadj_lock_baselines' LANGUAGE C STRICT;
COMMENT ON FUNCTION billadj.lock_baselines(text[], text[]) IS
    'locks streams until the end of the transaction, in the order in which the commit of usage locks them; their names are in the order of account and meter; part of warm_up() and backfill()';
REVOKE ALL ON FUNCTION billadj.lock_baselines(text[], text[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.lock_baselines(text[], text[]) TO billadj_admin, billadj_operator;

CREATE FUNCTION billadj.replace_baseline(account text, meter text, state bytea) RETURNS void
AS 'MODULE_PATHNAME', 'billadj_replace_baseline' LANGUAGE C STRICT;
COMMENT ON FUNCTION billadj.replace_baseline(text, text, bytea) IS 'writes what is usual for a stream; part of warm_up() and rebuild_baseline()';
REVOKE ALL ON FUNCTION billadj.replace_baseline(text, text, bytea) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.replace_baseline(text, text, bytea) TO billadj_admin, billadj_operator;

-- Streams are locked first and read by a later command: whoever commits rows
-- meanwhile has them learned after what is written here, and nobody's rows are
-- learned twice or not at all.
CREATE FUNCTION billadj.require_fresh_snapshot(name text) RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION '% wants isolation level read committed', name
            USING ERRCODE = 'invalid_transaction_state', HINT = 'Run it in a transaction of its own: BEGIN ISOLATION LEVEL READ COMMITTED;';
    END IF;
END
$function$;
COMMENT ON FUNCTION billadj.require_fresh_snapshot(text) IS 'error unless each command sees what was committed before it; part of warm_up() and rebuild_baseline()';
REVOKE ALL ON FUNCTION billadj.require_fresh_snapshot(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.require_fresh_snapshot(text) TO billadj_admin, billadj_operator;

CREATE FUNCTION billadj.usage_source(relation regclass) RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
SELECT string_agg(format('SELECT %s AS account, %s AS meter, %s AS at, %s AS quantity, %s AS key FROM %s h', m.account,
                         CASE WHEN e.m -> 'meter' ? 'column' THEN format('h.%I::text', e.m #>> '{meter,column}')
                              ELSE quote_literal(e.m #>> '{meter,constant}') END,
                         m.occurred_at,
                         CASE WHEN e.m -> 'quantity' ? 'column' THEN format('h.%I::numeric', e.m #>> '{quantity,column}')
                              ELSE quote_literal(e.m #>> '{quantity,constant}') || '::numeric' END,
                         m.event_key, relation), ' UNION ALL ')
  FROM billadj.attachment a
 CROSS JOIN billadj.mapped_sql(a.mapping) m
 CROSS JOIN jsonb_array_elements(a.mapping -> 'measures') AS e(m)
 WHERE a.attachment_id = billadj.attachment_of(relation)
$function$;
COMMENT ON FUNCTION billadj.usage_source(regclass) IS 'a query of account, meter, at, quantity and key of all usage in an attached table; part of warm_up() and replay_detector()';
REVOKE ALL ON FUNCTION billadj.usage_source(regclass) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.usage_source(regclass) TO billadj_admin, billadj_operator, billadj_auditor;

CREATE FUNCTION billadj.warm_up(relation regclass)
RETURNS TABLE (account text, meter text, rows bigint)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $function$
#variable_conflict use_column
DECLARE
    source   text;
    accounts text[];
    meters   text[];
    state    bytea;
BEGIN
    PERFORM billadj.require_installed();
    PERFORM billadj.require_fresh_snapshot('warm_up');
    source := billadj.usage_source(warm_up.relation);
    EXECUTE format('SELECT coalesce(array_agg(d.account ORDER BY d.account, d.meter), ''{}''), coalesce(array_agg(d.meter ORDER BY d.account, d.meter), ''{}'') '
                   'FROM (SELECT DISTINCT s.account COLLATE "C" AS account, s.meter COLLATE "C" AS meter FROM (%s) s '
                   'WHERE s.account IS NOT NULL AND s.meter IS NOT NULL) d', source) INTO accounts, meters;
    PERFORM billadj.lock_baselines(accounts, meters);
    FOR account, meter, rows, state IN EXECUTE format(
        'SELECT s.account, s.meter, count(*), billadj.learn_rows(s.account, s.meter, array_agg(s.at ORDER BY s.at, s.key COLLATE "C"), '
        'array_agg(s.quantity ORDER BY s.at, s.key COLLATE "C"), array_agg(NULL::numeric)) '
        'FROM (%s) s JOIN billadj.baseline b ON b.account = s.account AND b.meter = s.meter '
        'WHERE s.at IS NOT NULL AND s.quantity IS NOT NULL GROUP BY s.account, s.meter ORDER BY s.account COLLATE "C", s.meter COLLATE "C"', source) LOOP
        PERFORM billadj.replace_baseline(account, meter, state);
        RETURN NEXT;
    END LOOP;
END
$function$;
COMMENT ON FUNCTION billadj.warm_up(regclass) IS
    'learns what is usual from all rows of an attached table, as if they came one by one, without opening incidents; replaces what was learned before; usage of these streams waits at its commit meanwhile';
REVOKE ALL ON FUNCTION billadj.warm_up(regclass) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.warm_up(regclass) TO billadj_admin, billadj_operator;

-- Each row as it is charged now: corrections of it are no rows of their own.  Without
-- what a person called an error or a fraud: that is not usual.
CREATE FUNCTION billadj.learn_charges(accounts text[], meters text[]) RETURNS TABLE (account text, meter text, rows bigint, state bytea)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
WITH stream AS (
    SELECT DISTINCT w.account COLLATE "C" AS account, w.meter COLLATE "C" AS meter FROM unnest(accounts, meters) AS w(account, meter)
), charged AS (
    SELECT c.account, c.meter, c.event_key, sum(c.quantity) AS quantity, sum(c.amount) AS amount, bool_and(p.linear) AS linear,
           (array_agg(c.occurred_at ORDER BY c.charge_id DESC) FILTER (WHERE c.row_count >= 0))[1] AS occurred_at
      FROM stream w
      JOIN billadj.charge c ON c.account = w.account AND c.meter = w.meter
      LEFT JOIN billadj.price p ON p.price_id = c.price_id
     WHERE c.attachment_id IS NOT NULL
     GROUP BY c.account, c.meter, c.attachment_id, c.event_key, c.measure
    HAVING sum(c.row_count) > 0
)
SELECT c.account, c.meter, count(*),
       billadj.learn_rows(c.account, c.meter, array_agg(c.occurred_at ORDER BY c.occurred_at, c.event_key COLLATE "C"),
                          array_agg(c.quantity ORDER BY c.occurred_at, c.event_key COLLATE "C"),
                          array_agg(CASE WHEN c.linear THEN c.amount / nullif(c.quantity, 0) END ORDER BY c.occurred_at, c.event_key COLLATE "C"))
  FROM charged c
 WHERE NOT EXISTS (SELECT FROM billadj.anomaly a
                     JOIN billadj.verdict v ON v.account = a.account AND v.anomaly_id = a.anomaly_id
                    WHERE a.account = c.account AND a.meter = c.meter AND v.verdict IN ('error', 'fraud')
                      AND c.occurred_at BETWEEN least(a.occurred_at, a.since) AND a.last_at
                      -- the latest verdict counts, and unsure changes nothing
                      AND NOT EXISTS (SELECT FROM billadj.verdict w
                                       WHERE w.account = v.account AND w.anomaly_id = v.anomaly_id AND w.verdict_id > v.verdict_id AND w.verdict = 'expected'))
 GROUP BY c.account, c.meter
 ORDER BY c.account COLLATE "C", c.meter COLLATE "C"
$function$;
COMMENT ON FUNCTION billadj.learn_charges(text[], text[]) IS 'baselines of streams from their charges in the order of time and event key; part of rebuild_baseline() and backfill()';
REVOKE ALL ON FUNCTION billadj.learn_charges(text[], text[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.learn_charges(text[], text[]) TO billadj_admin, billadj_operator;

CREATE FUNCTION billadj.rebuild_baseline(account text, meter text) RETURNS bigint
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $function$
#variable_conflict use_column
DECLARE
    state bytea;
    rows  bigint;
BEGIN
    PERFORM billadj.require_installed();
    IF rebuild_baseline.account IS NULL OR rebuild_baseline.meter IS NULL THEN
        RAISE EXCEPTION 'account and meter of rebuild_baseline must not be NULL'
            USING ERRCODE = 'null_value_not_allowed', HINT = 'Look for them with SELECT account, meter FROM billadj.baseline.';
    END IF;
    PERFORM billadj.require_fresh_snapshot('rebuild_baseline');
    -- a lock would leave a row for what does not exist
    IF NOT EXISTS (SELECT FROM billadj.baseline b WHERE b.account = rebuild_baseline.account AND b.meter = rebuild_baseline.meter)
       AND NOT EXISTS (SELECT FROM billadj.charge c WHERE c.account = rebuild_baseline.account AND c.meter = rebuild_baseline.meter) THEN
        RETURN 0;
    END IF;
    PERFORM billadj.lock_baseline(rebuild_baseline.account, rebuild_baseline.meter);
    SELECT l.rows, l.state INTO rows, state
      FROM billadj.learn_charges(ARRAY[rebuild_baseline.account], ARRAY[rebuild_baseline.meter]) l;
    IF rows > 0 THEN
        PERFORM billadj.replace_baseline(rebuild_baseline.account, rebuild_baseline.meter, state);
    END IF;
    RETURN coalesce(rows, 0);
END
$function$;
COMMENT ON FUNCTION billadj.rebuild_baseline(text, text) IS
    'learns anew what is usual for a stream from its charges, except what a verdict called an error or a fraud, and returns how many; 0: it stays as it is';
REVOKE ALL ON FUNCTION billadj.rebuild_baseline(text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.rebuild_baseline(text, text) TO billadj_admin, billadj_operator;

-- ---- a person's word ----

CREATE FUNCTION billadj.account_of_anomaly(anomaly_id bigint) RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    found text;
BEGIN
    PERFORM billadj.require_installed();
    SELECT a.account INTO found FROM billadj.anomaly a WHERE a.anomaly_id = account_of_anomaly.anomaly_id;
    IF found IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'UB205', MESSAGE = format('anomaly %s does not exist', coalesce(account_of_anomaly.anomaly_id::text, 'NULL')),
            HINT = 'Look for it with SELECT anomaly_id, account, rule FROM billadj.anomaly.';
    END IF;
    RETURN found;
END
$function$;
COMMENT ON FUNCTION billadj.account_of_anomaly(bigint) IS 'whose an anomaly is, or error UB205';
REVOKE ALL ON FUNCTION billadj.account_of_anomaly(bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.account_of_anomaly(bigint)
   TO billadj_admin, billadj_operator, billadj_requester, billadj_approver, billadj_policy, billadj_auditor, billadj_reader;

CREATE FUNCTION billadj.record_verdict(anomaly_id bigint, verdict text, note text DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    owner text := billadj.account_of_anomaly($1);
    made  bigint;
BEGIN
    INSERT INTO billadj.verdict AS v (account, anomaly_id, verdict, note)
    VALUES (owner, $1, $2, $3)
    RETURNING v.verdict_id INTO made;
    RETURN made;
END
$function$;
COMMENT ON FUNCTION billadj.record_verdict(bigint, text, text) IS
    'what a person says of an anomaly: expected, error, fraud or unsure, and why; returns its number; error and fraud: what was usual before holds again; the threshold moves a step';
REVOKE ALL ON FUNCTION billadj.record_verdict(bigint, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.record_verdict(bigint, text, text) TO billadj_operator, billadj_approver, billadj_admin;

-- Each charge keeps a request of its own, with its own hash and its own place in
-- the sums that choose the band: asking for all at once spares typing, nothing else.
CREATE FUNCTION billadj.submit_holds(anomaly_id bigint, kind text, reason_code text, comment text DEFAULT NULL, evidence bytea DEFAULT NULL)
RETURNS TABLE (request_id bigint, charge_id bigint)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $function$
#variable_conflict use_column
DECLARE
    owner text := billadj.account_of_anomaly(submit_holds.anomaly_id);
BEGIN
    IF submit_holds.kind IS NULL OR submit_holds.kind NOT IN ('release', 'cancel') THEN
        RAISE EXCEPTION 'kind of submit_holds is neither release nor cancel'
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Other kinds are asked for charge by charge: submit_override().';
    END IF;
    -- what is part of a hold ends with it
    FOR charge_id IN SELECT min(h.charge_id) FROM billadj.open_hold h
                      WHERE h.account = owner AND h.anomaly_id = submit_holds.anomaly_id AND h.asked IS NULL
                      GROUP BY coalesce(h.part_of, h.hold_id) ORDER BY 1 LOOP
        -- one that somebody else asks for, unseen by the caller, leaves the others their way
        BEGIN
            request_id := billadj.submit_override(submit_holds.kind, owner, submit_holds.reason_code, charge_id => charge_id,
                                                  comment => submit_holds.comment, evidence => submit_holds.evidence);
        EXCEPTION WHEN SQLSTATE 'UB310' THEN
            RAISE WARNING 'charge % is left out: %', charge_id, SQLERRM USING ERRCODE = SQLSTATE;
            CONTINUE;
        END;
        RETURN NEXT;
    END LOOP;
END
$function$;
COMMENT ON FUNCTION billadj.submit_holds(bigint, text, text, text, bytea) IS
    'asks for the release or the cancellation of every charge that is held because of an anomaly and not asked for yet: a request for each, which decide_overrides() decides at once';
REVOKE ALL ON FUNCTION billadj.submit_holds(bigint, text, text, text, bytea) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.submit_holds(bigint, text, text, text, bytea) TO billadj_requester, billadj_operator;

-- ---- explanations ----

-- Three digits are what a person compares; no exponent below a quadrillion.
CREATE FUNCTION billadj.short_number(value double precision) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $function$
SELECT CASE WHEN v.value IS NULL OR v.value IN ('NaN', 'Infinity', '-Infinity') THEN coalesce(v.value::text, '?')
            WHEN abs(v.value) >= 1e15 OR abs(v.value) < 1e-6 AND v.value <> 0 THEN trim(to_char(v.value, '9.99EEEE'))
            WHEN abs(r.n) >= 1e9 THEN trim_scale(r.n / 1e9)::text || ' G'
            WHEN abs(r.n) >= 1e6 THEN trim_scale(r.n / 1e6)::text || ' M'
            WHEN abs(r.n) >= 1000 THEN to_char(r.n, 'FM999,999')
            ELSE trim_scale(r.n)::text END
  FROM (VALUES (value)) AS v(value)
 CROSS JOIN LATERAL (SELECT CASE WHEN abs(v.value) BETWEEN 1e-6 AND 1e15
                                 THEN round(v.value::numeric, 2 - floor(log(abs(v.value)::numeric))::integer) ELSE 0 END AS n) r
$function$;
COMMENT ON FUNCTION billadj.short_number(double precision) IS 'a number in three digits for people: 4.1 M, 3,900, 0.0123';

-- Eight steps from nothing to the largest; in a database that is not UTF-8,
-- eight characters of ASCII.
CREATE FUNCTION billadj.sparkline(series double precision[]) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $function$
SELECT string_agg(CASE WHEN v.x IS NULL THEN ' '
                       WHEN getdatabaseencoding() = 'UTF8' THEN chr(9601 + s.step) ELSE substr('_.-:=+*#', s.step + 1, 1) END, '' ORDER BY v.n)
  FROM unnest(series) WITH ORDINALITY AS v(x, n)
 CROSS JOIN (SELECT max(x) AS most FROM unnest(series) x) m
 CROSS JOIN LATERAL (SELECT CASE WHEN m.most > 0 THEN greatest(0, least(7, floor(8 * v.x / m.most)))::integer ELSE 0 END AS step) s
$function$;
COMMENT ON FUNCTION billadj.sparkline(double precision[]) IS 'a series as a line of eight heights';

CREATE FUNCTION billadj.sparkline_svg(series double precision[], lower double precision DEFAULT NULL, upper double precision DEFAULT NULL) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $function$
SELECT format('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 240 48" width="240" height="48" role="img"><title>%s values, the last %s</title>%s'
              '<polyline fill="none" stroke="#1f5fa8" stroke-width="1.5" points="%s"/></svg>',
              m.n, billadj.short_number(series[m.n]),
              CASE WHEN upper IS NOT NULL THEN format('<rect x="0" width="240" y="%s" height="%s" fill="#d8e6c8"/>',
                  round((46 - 44 * least(1, greatest(0, upper / m.most)))::numeric, 1),
                  round((44 * (least(1, greatest(0, upper / m.most)) - least(1, greatest(0, coalesce(lower, 0) / m.most))))::numeric, 1)) ELSE '' END,
              (SELECT string_agg(format('%s,%s', round((240.0 * (v.n - 1) / greatest(m.n - 1, 1))::numeric, 1),
                                        round((46 - 44 * greatest(0, coalesce(v.x, 0)) / m.most)::numeric, 1)), ' ' ORDER BY v.n)
                 FROM unnest(series) WITH ORDINALITY AS v(x, n)))
  FROM (SELECT count(*)::integer AS n, coalesce(nullif(greatest(max(x), upper, 0), 0), 1) AS most FROM unnest(series) x) m
$function$;
COMMENT ON FUNCTION billadj.sparkline_svg(double precision[], double precision, double precision) IS 'a series as an SVG picture of 240 by 48; the usual range is a band behind it';

-- One clause that is true by itself, and what is usual beside it.
CREATE FUNCTION billadj.anomaly_sentence(anomaly jsonb, unit text) RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $function$
DECLARE
    rule     text := anomaly ->> 'rule';
    subject  text := format('%s of %s', anomaly ->> 'meter', anomaly ->> 'account');
    observed double precision := (anomaly ->> 'observed')::double precision;
    expected double precision := (anomaly ->> 'expected')::double precision;
    ratio    double precision := (anomaly ->> 'ratio')::double precision;
    factor   double precision := (anomaly ->> 'unit_factor')::double precision;
    longest  double precision := (anomaly ->> 'longest')::double precision;
    rows     bigint := (anomaly ->> 'row_count')::bigint;
    unit     text := CASE WHEN unit <> '' THEN ' ' || unit ELSE '' END;
    began    timestamptz := (anomaly ->> 'since')::timestamptz;
    at       text := to_char((anomaly ->> 'occurred_at')::timestamptz, 'FMDD Mon YYYY HH24:MI "UTC"');
    since    text := to_char(began, 'FMDD Mon YYYY HH24:MI "UTC"');
    money    text := coalesce(' ' || (anomaly ->> 'currency'), '');
    -- a period that begins by another clock says so
    day      text := CASE WHEN began = date_trunc('day', began) THEN to_char(began, 'FMDD Mon YYYY') ELSE since END;
    value    text := billadj.short_number(observed) || unit;
    upper    double precision := (anomaly ->> 'upper_bound')::double precision;
    lower    double precision := CASE WHEN observed >= 0 AND expected >= 0 THEN greatest((anomaly ->> 'lower_bound')::double precision, 0)
                                      ELSE (anomaly ->> 'lower_bound')::double precision END;
    -- within that range it is the hour, or how long it goes on, that is unusual
    usual    text := CASE WHEN observed BETWEEN lower AND upper OR lower IS NULL OR upper IS NULL THEN format('about %s was expected', billadj.short_number(expected) || unit)
                          WHEN billadj.short_number(lower) = billadj.short_number(upper) THEN format('%s is usual', billadj.short_number(upper) || unit)
                          ELSE format('%s to %s is usual (99 %% of its values)', billadj.short_number(lower), billadj.short_number(upper) || unit) END;
    detail   jsonb := coalesce(anomaly -> 'detail', '{}');
    others   text;
    compared text := CASE WHEN detail ? 'peers' THEN format('%s accounts %s', detail #>> '{peers,accounts}',
                                                            CASE WHEN detail #>> '{peers,group}' <> '' THEN format('of the group %s', detail #>> '{peers,group}') ELSE 'of all groups' END)
                          ELSE 'comparable accounts' END;
    said     text;
BEGIN
    -- a bucket is named by its beginning, a row by its own time
    IF began <= (anomaly ->> 'occurred_at')::timestamptz AND began > (anomaly ->> 'occurred_at')::timestamptz - interval '49 hours' THEN
        at := CASE WHEN rule NOT IN ('gap', 'stuck') AND began = date_trunc('day', began) AND (anomaly ->> 'occurred_at')::timestamptz >= began + interval '1 hour'
                   THEN to_char(began, 'FMDD Mon YYYY') ELSE since END;
    END IF;
    SELECT string_agg(m, ', ' ORDER BY m COLLATE "C") INTO others
      FROM jsonb_array_elements_text(coalesce(detail -> 'accounts', '[]')) m WHERE m <> anomaly ->> 'account';
    said := CASE rule
        WHEN 'spike' THEN format('%s rose to %s on %s, where %s', subject, value, at, usual)
        WHEN 'drop' THEN format('%s fell to %s on %s, where %s', subject, value, at, usual)
        WHEN 'outage' THEN format('%s fell to %s on %s, where %s', subject, value, at, usual)
        WHEN 'shift_up' THEN format('%s has been above its usual level since %s: %s, where %s', subject, at, value, usual)
        WHEN 'shift_down' THEN format('%s has been below its usual level since %s: %s, where %s', subject, at, value, usual)
        WHEN 'leak' THEN format('%s has grown day by day without an end: %s on %s, where %s', subject, value, at, usual)
        WHEN 'unit' THEN format('%s came to %s on %s, where %s', subject, value, at, usual)
        WHEN 'double' THEN format('%s came to %s on %s, where %s', subject, value, at, usual)
        WHEN 'pattern' THEN format('%s no longer follows its usual day: %s on %s, where %s', subject, value, at, usual)
        WHEN 'zone' THEN format('%s follows its usual day %s hours %s, seen on %s', subject, abs((anomaly ->> 'lag_hours')::integer),
                                CASE WHEN (anomaly ->> 'lag_hours')::integer < 0 THEN 'early' ELSE 'late' END, at)
        WHEN 'stuck' THEN format('%s has reported exactly %s again and again until %s; the longest such run before had %s', subject, value, at,
                                 CASE WHEN round(coalesce(longest, 0)) <= 1 THEN 'one row' ELSE billadj.short_number(round(longest)) || ' rows' END)
        WHEN 'first_row' THEN CASE
            WHEN (detail #>> '{peers,own_rows}')::integer > 0
                THEN format('%s, which is new, came to %s on %s, where %s to %s is expected by its own %s row%s before and by those of %s', subject, value, at,
                            billadj.short_number((anomaly ->> 'lower_bound')::double precision), billadj.short_number((anomaly ->> 'upper_bound')::double precision) || unit,
                            detail #>> '{peers,own_rows}', CASE WHEN detail #>> '{peers,own_rows}' = '1' THEN '' ELSE 's' END, compared)
            ELSE format('the first row%s of %s %s %s on %s, where 99.9 %% of the rows of %s stay below %s', CASE WHEN rows = 1 THEN '' ELSE 's' END,
                        subject, CASE WHEN rows = 1 THEN 'has' ELSE 'have up to' END, value, at, compared, billadj.short_number((anomaly ->> 'upper_bound')::double precision) || unit) END
        WHEN 'gap' THEN format(CASE WHEN anomaly ->> 'state' = 'open' THEN '%s has had no rows since %s; one is due every %s' ELSE '%s had no rows from %s on for %4$s; one is due every %3$s' END,
                               subject, since, billadj.short_time(longest), billadj.short_time(observed))
        WHEN 'price' THEN format('%s has been charged %s a unit of %s since %s, where %s was usual', anomaly ->> 'account',
                                 billadj.short_number(observed) || money, anomaly ->> 'meter', at, billadj.short_number(expected) || money)
        WHEN 'duplicate' THEN CASE
            WHEN detail ? 'repeats' AND rows = 1 THEN format('a row of %s on %s repeats time and quantity of the row with key %s, received on %s', subject, at,
                 detail #>> '{repeats,event_key}', to_char((detail #>> '{repeats,received_at}')::timestamptz, 'FMDD Mon YYYY HH24:MI "UTC"'))
            WHEN detail ? 'repeats' THEN format('%s rows of %s repeat rows received before; the first, on %s, repeats time and quantity of the row with key %s, received on %s',
                 billadj.short_number(rows), subject, at, detail #>> '{repeats,event_key}', to_char((detail #>> '{repeats,received_at}')::timestamptz, 'FMDD Mon YYYY HH24:MI "UTC"'))
            ELSE format('%s row%s of %s on %s seem%s to repeat rows received before, which is not looked up yet', billadj.short_number(rows), CASE WHEN rows = 1 THEN '' ELSE 's' END,
                        subject, at, CASE WHEN rows = 1 THEN 's' ELSE '' END) END
        WHEN 'near_duplicate' THEN format('the last rows of %s up to %s, five or more, repeat the quantities of rows received before', subject, at)
        WHEN 'late' THEN format('%s row%s of %s came late: %s happened on %s', rows, CASE WHEN rows = 1 THEN '' ELSE 's' END, subject,
                                CASE WHEN rows = 1 THEN 'it' ELSE 'the first' END, to_char((anomaly ->> 'occurred_at')::timestamptz, 'FMDD Mon YYYY HH24:MI "UTC"'))
        WHEN 'future' THEN format('usage of %s is dated %s, which was further ahead than its detector allows', subject, at)
        WHEN 'too_old' THEN format('usage of %s is dated %s, which was longer ago than its detector allows', subject, at)
        WHEN 'negative' THEN format('%s had %s on %s; its rows are hardly ever negative', subject, value, at)
        WHEN 'invalid' THEN format('%s had a quantity on %s that is no finite number', subject, at)
        WHEN 'reset' THEN format('the reading of %s fell to %s on %s', subject, value, at)
        WHEN 'wrap' THEN format('the counter of %s passed its largest value on %s', subject, at)
        WHEN 'same_rows' THEN format('%s has %s rows from %s on with the same times and quantities as %s', subject, rows, since, others)
        WHEN 'same_pattern' THEN format('%s goes up and down together with %s, seen on %s', subject, others, at)
        WHEN 'under_limit' THEN format('%s requests of kind %s by %s, most of them for %s, lie just under the limit of %s, and %s in the range of the same width below',
                                       detail ->> 'just_under', detail ->> 'kind', detail ->> 'requester', anomaly ->> 'account', detail ->> 'limit', detail ->> 'before')
        WHEN 'credits' THEN format('%s asked for credits of %s, most of them for %s, from %s on, where %s is usual for others', detail ->> 'requester', billadj.short_number(observed) || money,
                                   anomaly ->> 'account', since, billadj.short_number(expected))
        WHEN 'amount' THEN format('%s was charged %s in the period from %s on, where %s is what its earlier periods lead to expect', anomaly ->> 'account', billadj.short_number(observed) || money, day,
                                  billadj.short_number(expected))
        WHEN 'off_contract' THEN format('%s %s %s%s in the period from %s on, where %s %s %s',
                 CASE detail ->> 'source' WHEN 'charge' THEN format('%s was charged', anomaly ->> 'account') ELSE format('table %s billed %s', detail ->> 'source', anomaly ->> 'account') END,
                 billadj.short_number(observed), anomaly ->> 'currency', format(CASE WHEN detail ? 'quantity' THEN ' a unit of %s' ELSE ' for %s' END, anomaly ->> 'meter'), day,
                 CASE WHEN strpos(detail ->> 'contract', ', ') > 0 THEN 'rate cards ' ELSE 'rate card ' END || (detail ->> 'contract'),
                 CASE WHEN detail ? 'quantity' AND strpos(detail ->> 'contract', ', ') > 0 THEN 'come to' WHEN detail ? 'quantity' THEN 'says' ELSE 'comes to' END, billadj.short_number(expected))
            || CASE WHEN ratio >= 0 THEN format(': %s %% %s', billadj.short_number(abs(ratio - 1) * 100), CASE WHEN ratio < 1 THEN 'less' ELSE 'more' END) ELSE '' END
            || CASE WHEN detail ? 'overridden' THEN format(', %s by overrides of the price', to_char((detail ->> 'overridden')::numeric, 'SFM999999999999990.00')) ELSE '' END
        WHEN 'credit_share' THEN format('%s was given credits of %s of its charges in the period from %s on, where %s is usual for others', anomaly ->> 'account',
                                        billadj.short_number(observed * 100) || ' %', day, billadj.short_number(expected * 100) || ' %')
        ELSE format('%s: %s on %s', subject, rule, at) END;
    IF rule = 'double' THEN
        said := said || ': as if counted twice';
    ELSIF factor > 0 AND anomaly ->> 'family' IS DISTINCT FROM 'row' THEN
        said := said || format(': %s times too %s, as if counted in another unit', billadj.short_number(CASE WHEN factor < 1 THEN 1 / factor ELSE factor END),
                               CASE WHEN factor < 1 THEN 'little' ELSE 'much' END);
    ELSIF rule IN ('spike', 'shift_up') AND ratio >= 2 THEN
        said := said || format(': %s times what was expected', billadj.short_number(ratio));
    ELSIF rule IN ('spike', 'shift_up', 'drop', 'shift_down', 'leak') AND ratio >= 0 THEN
        said := said || format(': %s %% %s than expected', billadj.short_number(abs(ratio - 1) * 100), CASE WHEN ratio < 1 THEN 'less' ELSE 'more' END);
    END IF;
    said := said || '.';
    IF (anomaly ->> 'money_at_risk')::numeric > 0 AND anomaly ->> 'currency' IS NOT NULL THEN
        said := said || format(' At risk %s %s.', billadj.round_money((anomaly ->> 'money_at_risk')::numeric, anomaly ->> 'currency'), anomaly ->> 'currency');
    END IF;
    RETURN said;
END
$function$;
COMMENT ON FUNCTION billadj.anomaly_sentence(jsonb, text) IS 'one sentence on a row of billadj.anomaly; part of explain_anomaly()';
REVOKE ALL ON FUNCTION billadj.anomaly_sentence(jsonb, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.anomaly_sentence(jsonb, text)
   TO billadj_admin, billadj_operator, billadj_requester, billadj_approver, billadj_policy, billadj_auditor, billadj_reader;

CREATE FUNCTION billadj.short_time(seconds double precision) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $function$
SELECT CASE WHEN seconds IS NULL THEN 'some time'
            WHEN seconds >= 2 * 86400 THEN billadj.short_number(seconds / 86400) || ' days'
            WHEN seconds >= 2 * 3600 THEN billadj.short_number(seconds / 3600) || ' hours'
            WHEN seconds >= 120 THEN billadj.short_number(seconds / 60) || ' minutes'
            ELSE billadj.short_number(seconds) || ' seconds' END
$function$;
COMMENT ON FUNCTION billadj.short_time(double precision) IS 'a duration in three digits for people';

-- The 48 hours before it where rows come by the hour, else 60 days.  Where single
-- rows are judged and several come in an hour or a day, the last 48 rows: beside
-- sums of them the range that is usual for one would say nothing.
CREATE FUNCTION billadj.usage_history(account text, meter text, until timestamptz, OUT bucket text, OUT from_at timestamptz, OUT series double precision[])
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $function$
#variable_conflict use_column
DECLARE
    width   interval;
    n       integer;
    by_rows boolean;
BEGIN
    SELECT count(*) INTO n
      FROM billadj.charge c
     WHERE c.account = usage_history.account AND c.meter = usage_history.meter AND c.cause IN ('usage', 'backfill')
       AND c.period_start > until - interval '70 days' AND c.occurred_at > until - interval '48 hours' AND c.occurred_at <= until;
    -- more than three rows for two buckets
    by_rows := n > 72 OR n BETWEEN 4 AND 23;
    by_rows := by_rows AND NOT (SELECT billadj.judged_by_bucket(b.state) FROM billadj.baseline b
                                 WHERE b.account = usage_history.account AND b.meter = usage_history.meter);
    IF by_rows THEN
        bucket := 'row';
        SELECT min(l.at), array_agg(l.quantity ORDER BY l.at, l.charge_id) INTO from_at, series
          FROM (SELECT c.occurred_at AS at, c.charge_id, c.quantity::double precision AS quantity
                  FROM billadj.charge c
                 WHERE c.account = usage_history.account AND c.meter = usage_history.meter AND c.cause IN ('usage', 'backfill')
                   AND c.period_start > until - interval '140 days' AND c.occurred_at > until - interval '70 days' AND c.occurred_at <= until
                 ORDER BY c.occurred_at DESC, c.charge_id DESC LIMIT 48) l;
        RETURN;
    END IF;
    bucket := CASE WHEN n >= 24 THEN 'hour' ELSE 'day' END;
    width := ('1 ' || bucket)::interval;
    n := CASE bucket WHEN 'hour' THEN 48 ELSE 60 END;
    from_at := date_trunc(bucket, until) - (n - 1) * width;
    SELECT array_agg(coalesce(h.quantity, 0) ORDER BY g.at) INTO series
      FROM generate_series(from_at, from_at + (n - 1) * width, width) AS g(at)
      LEFT JOIN (SELECT date_trunc(bucket, c.occurred_at) AS at, sum(c.quantity)::double precision AS quantity
                   FROM billadj.charge c
                  WHERE c.account = usage_history.account AND c.meter = usage_history.meter AND c.cause IN ('usage', 'backfill')
                    AND c.period_start > from_at - interval '70 days' AND c.occurred_at >= from_at AND c.occurred_at < from_at + n * width
                  GROUP BY 1) h ON h.at = g.at;
END
$function$;
COMMENT ON FUNCTION billadj.usage_history(text, text, timestamptz) IS 'usage by the hour, by the day or by the row up to a time; part of explain_anomaly()';
REVOKE ALL ON FUNCTION billadj.usage_history(text, text, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.usage_history(text, text, timestamptz)
   TO billadj_admin, billadj_operator, billadj_requester, billadj_approver, billadj_policy, billadj_auditor, billadj_reader;

CREATE FUNCTION billadj.minimum_text(amount numeric, share numeric, usual_bill numeric, currency text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $function$
SELECT CASE WHEN share > 0 AND usual_bill > 0 AND share * usual_bill = amount
            THEN format('%s %% of the usual bill of %s', trim_scale(share * 100), m.usual)
            WHEN share > 0 AND usual_bill IS NOT NULL
            THEN format('%s, since %s %% of the usual bill of %s is less', m.least, trim_scale(share * 100), m.usual)
            WHEN share > 0 THEN format('%s, since no usual bill is known yet', m.least)
            ELSE m.least END
  FROM (SELECT CASE WHEN currency <> '' THEN billadj.round_money(amount, currency) || ' ' || currency ELSE trim_scale(amount)::text END AS least,
               CASE WHEN currency <> '' THEN billadj.round_money(usual_bill, currency) || ' ' || currency ELSE trim_scale(usual_bill)::text END AS usual) m
$function$;
COMMENT ON FUNCTION billadj.minimum_text(numeric, numeric, numeric, text) IS 'which minimum of money at risk applied, in words; part of explain_anomaly()';
REVOKE ALL ON FUNCTION billadj.minimum_text(numeric, numeric, numeric, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.minimum_text(numeric, numeric, numeric, text)
   TO billadj_admin, billadj_operator, billadj_requester, billadj_approver, billadj_policy, billadj_auditor, billadj_reader;

-- As the commit of usage chooses: the account's own group, else all of the meter.
CREATE FUNCTION billadj.peers_of(account text, meter text) RETURNS jsonb
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
SELECT jsonb_build_object('group', coalesce(p.peer_group, ''), 'accounts', coalesce(p.accounts, 0), 'says', CASE
           WHEN p.peer_group <> '' THEN format('a new key is compared with %s accounts of the group %s', p.accounts, p.peer_group)
           WHEN p.peer_group = '' AND own.name IS NULL THEN format('a new key is compared with %s accounts of all groups', p.accounts)
           WHEN p.peer_group = '' THEN format('a new key is compared with %s accounts of all groups, since fewer than 8 of the group %s are known', p.accounts, own.name)
           ELSE 'a new key is compared with nobody, since fewer than 8 accounts of the meter are known: its first rows are held to the rules for single rows alone' END)
  FROM (SELECT (SELECT nullif(a.peer_group, '') FROM billadj.account a WHERE a.account = peers_of.account) AS name) own
  LEFT JOIN LATERAL (SELECT g.peer_group, g.accounts FROM billadj.peer_group g
                      WHERE g.meter = peers_of.meter AND g.peer_group IN (own.name, '') ORDER BY g.peer_group DESC LIMIT 1) p ON true
$function$;
COMMENT ON FUNCTION billadj.peers_of(text, text) IS 'whom the first rows of an account on a meter are compared with: group (empty: all of the meter), accounts, and a sentence';
REVOKE ALL ON FUNCTION billadj.peers_of(text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.peers_of(text, text)
   TO billadj_admin, billadj_operator, billadj_requester, billadj_approver, billadj_policy, billadj_auditor, billadj_reader;

CREATE FUNCTION billadj.explain_anomaly(anomaly_id bigint) RETURNS jsonb
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
#variable_conflict use_column
DECLARE
    owner   text := billadj.account_of_anomaly(explain_anomaly.anomaly_id);
    a       record;
    history record;
    unit    text;
    alike   jsonb;
    said    jsonb;
BEGIN
    SELECT f.* INTO a FROM billadj.anomaly f WHERE f.account = owner AND f.anomaly_id = explain_anomaly.anomaly_id;
    SELECT m.unit INTO unit FROM billadj.meter m WHERE m.meter = a.meter;
    SELECT * INTO history FROM billadj.usage_history(a.account, a.meter, a.occurred_at);
    -- alike: the same rule on the meter, of the account first, then of like size
    SELECT coalesce(jsonb_agg(jsonb_build_object('anomaly_id', s.anomaly_id, 'account', s.account, 'occurred_at', s.occurred_at, 'ratio', s.ratio,
                                                 'money_at_risk', s.money_at_risk, 'currency', s.currency, 'state', s.state, 'verdict', s.verdict) ORDER BY s.place), '[]')
      INTO alike
      FROM (SELECT o.*, v.verdict, row_number() OVER (ORDER BY o.account <> a.account, abs(ln(greatest(coalesce(o.ratio, 1), 1e-9)) - ln(greatest(coalesce(a.ratio, 1), 1e-9))),
                                                               o.occurred_at DESC, o.anomaly_id) AS place
              FROM billadj.anomaly o
              LEFT JOIN LATERAL (SELECT v.verdict FROM billadj.verdict v WHERE v.account = o.account AND v.anomaly_id = o.anomaly_id ORDER BY v.verdict_id DESC LIMIT 1) v ON true
             WHERE o.meter = a.meter AND o.rule = a.rule AND (o.account, o.anomaly_id) <> (a.account, a.anomaly_id)) s
     WHERE s.place <= 5;
    SELECT coalesce(jsonb_agg(jsonb_build_object('verdict', v.verdict, 'text_id', v.note, 'at', v.created_at, 'by', v.created_by) ORDER BY v.verdict_id), '[]')
      INTO said
      FROM billadj.verdict v WHERE v.account = a.account AND v.anomaly_id = a.anomaly_id;
    -- words are for those who may read them
    IF has_table_privilege('billadj.private_text', 'SELECT') THEN
        SELECT coalesce(jsonb_agg(e.v || jsonb_build_object('note', (SELECT t.body FROM billadj.private_text t WHERE t.text_id::text = e.v ->> 'text_id')) ORDER BY e.n), '[]')
          INTO said
          FROM jsonb_array_elements(said) WITH ORDINALITY AS e(v, n);
    END IF;
    RETURN jsonb_build_object(
        'anomaly_id', a.anomaly_id, 'account', a.account, 'meter', a.meter, 'unit', unit,
        'sentence', billadj.anomaly_sentence(to_jsonb(a) - 'trusted', unit),
        'rule', a.rule, 'score', a.score, 'peak_score', a.peak_score, 'state', a.state, 'occurred_at', a.occurred_at, 'since', a.since, 'last_at', a.last_at,
        'observed', a.observed, 'expected', jsonb_build_object('value', a.expected, 'lower', a.lower_bound, 'upper', a.upper_bound), 'ratio', a.ratio, 'row_count', a.row_count,
        'history', jsonb_build_object('bucket', history.bucket, 'from', history.from_at, 'values', to_jsonb(history.series), 'sparkline', billadj.sparkline(history.series),
                                      'svg', billadj.sparkline_svg(history.series, CASE WHEN a.family = 'level' THEN a.lower_bound END, CASE WHEN a.family = 'level' THEN a.upper_bound END)),
        'money', jsonb_build_object('excess', a.excess, 'at_risk', a.money_at_risk, 'projected', a.money_projected, 'currency', a.currency,
                                    'minimum', CASE WHEN a.min_money IS NOT NULL THEN jsonb_build_object('amount', a.min_money, 'share', a.min_share, 'usual_bill', a.usual_bill,
                                        'reached', a.money_at_risk >= a.min_money, 'text', billadj.minimum_text(a.min_money, a.min_share, a.usual_bill, a.currency)) END),
        'detector_id', a.detector_id, 'action', a.action, 'charge_id', a.charge_id,
        'held', EXISTS (SELECT FROM billadj.hold h WHERE h.account = a.account AND h.anomaly_id = a.anomaly_id AND h.ended_at IS NULL),
        'detail', a.detail, 'peers', billadj.peers_of(a.account, a.meter) || coalesce(a.detail -> 'peers', '{}'), 'verdicts', said, 'similar', alike);
END
$function$;
COMMENT ON FUNCTION billadj.explain_anomaly(bigint) IS
    'an anomaly in one sentence, with the usual range, the usage before it as a line of text and as SVG, rule, score, money, verdicts and similar cases';
REVOKE ALL ON FUNCTION billadj.explain_anomaly(bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.explain_anomaly(bigint)
   TO billadj_admin, billadj_operator, billadj_requester, billadj_approver, billadj_policy, billadj_auditor, billadj_reader;

-- ---- what other settings would have said ----

-- The window function is the core itself; it writes nothing.  A rule for single
-- rows is one alert a day, as it is one incident.  Money is that of the incident
-- where there was one; else an estimate from the price of the alert's own row.
CREATE FUNCTION billadj.replay_detector(detector jsonb DEFAULT '{}', relation regclass DEFAULT NULL, accounts text[] DEFAULT NULL, meters text[] DEFAULT NULL,
                                        during tstzrange DEFAULT NULL, cumulative boolean DEFAULT false)
RETURNS TABLE (account text, meter text, occurred_at timestamptz, rule text, score double precision, quantity numeric, outcome text, anomaly_id bigint, verdict text,
               money_at_risk numeric, currency text, min_money numeric, told boolean)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $function$
#variable_conflict use_column
DECLARE
    source text := CASE WHEN replay_detector.relation IS NULL
                        THEN $$SELECT c.account, c.meter, c.occurred_at AS at, c.quantity, c.event_key AS key, c.amount, c.currency
                                 FROM billadj.charge c WHERE c.cause IN ('usage', 'backfill') AND c.row_count > 0$$
                        ELSE format($$SELECT u.*, c.amount, c.currency FROM (%s) u
                                        LEFT JOIN (SELECT DISTINCT ON (c.account, c.meter, c.event_key) c.account, c.meter, c.event_key, c.amount, c.currency
                                                     FROM billadj.charge c
                                                    WHERE c.cause IN ('usage', 'backfill') AND c.row_count > 0 AND c.attachment_id = %s
                                                    ORDER BY c.account, c.meter, c.event_key, c.charge_id) c
                                          ON c.account = u.account AND c.meter = u.meter AND c.event_key = u.key$$,
                                    billadj.usage_source(replay_detector.relation), billadj.attachment_of(replay_detector.relation)) END;
    least_money numeric;
    share       numeric;
BEGIN
    PERFORM billadj.require_installed();
    IF replay_detector.detector IS NULL THEN
        RAISE EXCEPTION 'detector of replay_detector must not be NULL' USING ERRCODE = 'null_value_not_allowed', HINT = 'Write {} for the defaults.';
    END IF;
    IF jsonb_typeof(replay_detector.detector) = 'object' AND replay_detector.detector ?| ARRAY['min_money', 'min_share'] THEN
        SELECT coalesce((replay_detector.detector ->> 'min_money')::numeric, 1), coalesce((replay_detector.detector ->> 'min_share')::numeric, 0) INTO least_money, share;
        IF NOT (least_money >= 0 AND least_money < 'Infinity' AND share BETWEEN 0 AND 1) THEN
            RAISE EXCEPTION 'min_money of a detector is not an amount from 0, or its min_share is not from 0 to 1'
                USING ERRCODE = 'invalid_parameter_value', HINT = 'Leave both out for what billadj.detector says.';
        END IF;
    END IF;
    RETURN QUERY EXECUTE format($query$
        WITH row AS (
            SELECT s.account, s.meter, s.at, s.quantity, s.key, s.amount, s.currency,
                   billadj.anomaly_detail(s.at, s.quantity, $5, $1) OVER (PARTITION BY s.account, s.meter ORDER BY s.at, s.key COLLATE "C") AS d
              FROM (%s) s
             WHERE s.at IS NOT NULL AND s.quantity IS NOT NULL AND ($2 IS NULL OR s.account = ANY ($2)) AND ($3 IS NULL OR s.meter = ANY ($3))
        ), placed AS (
            SELECT r.*, CASE r.d ->> 'alert' WHEN 'cadence' THEN 'gap' ELSE r.d ->> 'reason' END AS rule, CASE WHEN r.d ->> 'alert' = 'row' THEN date_trunc('day', r.at) ELSE r.at END AS place
              FROM row r
             WHERE r.d ? 'alert' AND ($4 IS NULL OR $4 @> r.at)
        ), priced AS (
            SELECT p.*, CASE WHEN p.d ->> 'alert' = 'row' THEN abs(sum(p.amount) OVER (PARTITION BY p.account, p.meter, p.rule, p.place))
                             WHEN p.d ->> 'alert' = 'level' AND p.d ? 'expected' AND p.quantity <> 0
                             THEN round(abs(coalesce((p.d ->> 'observed')::numeric, p.quantity) - (p.d ->> 'expected')::numeric) * abs(p.amount / p.quantity), 6) END AS money
              FROM placed p
        ), alert AS (
            SELECT DISTINCT ON (p.account, p.meter, p.rule, p.place)
                   p.account, p.meter, p.at, p.quantity, p.rule, (p.d ->> 'score')::double precision AS score, p.money, p.currency
              FROM priced p
             ORDER BY p.account, p.meter, p.rule, p.place, p.at
        ), known AS (
            SELECT a.account, a.meter, a.anomaly_id, a.occurred_at, a.rule, a.peak_score, a.observed, least(a.occurred_at, coalesce(a.since, a.occurred_at)) AS from_at, a.last_at, v.verdict,
                   a.money_at_risk, a.currency
              FROM billadj.anomaly a
              LEFT JOIN LATERAL (SELECT v.verdict FROM billadj.verdict v
                                  WHERE v.account = a.account AND v.anomaly_id = a.anomaly_id ORDER BY v.verdict_id DESC LIMIT 1) v ON true
             WHERE a.family IN ('level', 'cadence', 'row') AND ($2 IS NULL OR a.account = ANY ($2)) AND ($3 IS NULL OR a.meter = ANY ($3)) AND ($4 IS NULL OR $4 @> a.occurred_at)
        ), found AS (
            SELECT l.account, l.meter, l.at, l.rule, l.score, l.quantity,
                   CASE WHEN k.verdict IN ('error', 'fraud') THEN 'found' WHEN k.verdict = 'expected' THEN 'false_alarm' ELSE 'not_judged' END AS outcome,
                   k.anomaly_id, k.verdict, coalesce(k.money_at_risk, l.money) AS money, coalesce(k.currency, l.currency) AS currency
              FROM alert l
              LEFT JOIN LATERAL (SELECT k.anomaly_id, k.verdict, k.money_at_risk, k.currency FROM known k
                                  WHERE k.account = l.account AND k.meter = l.meter AND l.at BETWEEN k.from_at AND k.last_at
                                  ORDER BY k.verdict IS NULL, k.rule <> l.rule, k.anomaly_id LIMIT 1) k ON true
        )
        SELECT f.account, f.meter, f.at, f.rule, f.score, f.quantity, f.outcome, f.anomaly_id, f.verdict, f.money, f.currency, m.amount, f.money >= m.amount
          FROM found f
         CROSS JOIN LATERAL billadj.detector_policy(f.account, f.meter, f.rule) p
          LEFT JOIN billadj.usual_bill u ON u.account = f.account AND u.currency = f.currency
         CROSS JOIN LATERAL (SELECT greatest(coalesce($6, p.min_money), u.amount * nullif(coalesce($7, p.min_share), 0)) AS amount) m
        UNION ALL
        SELECT k.account, k.meter, k.occurred_at, k.rule, NULL, NULL, CASE WHEN k.verdict = 'expected' THEN 'silent' ELSE 'missed' END, k.anomaly_id, k.verdict,
               k.money_at_risk, k.currency, NULL, false
          FROM known k
         WHERE k.verdict IN ('error', 'fraud', 'expected')
           AND NOT EXISTS (SELECT FROM alert l WHERE l.account = k.account AND l.meter = k.meter AND l.at BETWEEN k.from_at AND k.last_at)
         ORDER BY 1, 2, 3, 4$query$, source)
        USING CASE WHEN jsonb_typeof(replay_detector.detector) = 'object' THEN replay_detector.detector - ARRAY['min_money', 'min_share'] ELSE replay_detector.detector END,
              replay_detector.accounts, replay_detector.meters, replay_detector.during, replay_detector.cumulative, least_money, share;
END
$function$;
COMMENT ON FUNCTION billadj.replay_detector(jsonb, regclass, text[], text[], tstzrange, boolean) IS
    'what a detector with these parameters would have said of history, charges or the rows of an attached table, beside the verdicts given: found, false_alarm, not_judged; missed and silent: judged, and it says nothing; told: there was as much money at risk as it asks for; writes nothing';
REVOKE ALL ON FUNCTION billadj.replay_detector(jsonb, regclass, text[], text[], tstzrange, boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.replay_detector(jsonb, regclass, text[], text[], tstzrange, boolean) TO billadj_admin, billadj_operator, billadj_auditor;

-- ---- beside other accounts ----

CREATE FUNCTION billadj.note_finding(account text, meter text, rule text, since timestamptz, last_at timestamptz, decades double precision, observed double precision,
                                     expected double precision, excess numeric, currency text, row_count bigint, detail jsonb, period_start timestamptz DEFAULT NULL) RETURNS bigint
AS 'MODULE_PATHNAME', 'billadj_note_finding' LANGUAGE C;
COMMENT ON FUNCTION billadj.note_finding(text, text, text, timestamptz, timestamptz, double precision, double precision, double precision, numeric, text, bigint, jsonb, timestamptz)
    IS 'writes an anomaly of family account as its detector wants it, or NULL: not at all; part of detect_across()';
REVOKE ALL ON FUNCTION billadj.note_finding(text, text, text, timestamptz, timestamptz, double precision, double precision, double precision, numeric, text, bigint, jsonb, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.note_finding(text, text, text, timestamptz, timestamptz, double precision, double precision, double precision, numeric, text, bigint, jsonb, timestamptz)
   TO billadj_operator;

CREATE FUNCTION billadj.crowding_decades(just_under bigint, before bigint) RETURNS double precision
AS 'MODULE_PATHNAME', 'billadj_crowding_decades' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION billadj.crowding_decades(bigint, bigint) IS 'how rare it is that so many amounts lie in the last 5 % under a limit, and so many in the 5 % below; part of detect_across()';
REVOKE ALL ON FUNCTION billadj.crowding_decades(bigint, bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.crowding_decades(bigint, bigint) TO billadj_operator, billadj_auditor;

CREATE FUNCTION billadj.shared_rows(times timestamptz[], quantities double precision[], members integer[], alike bigint[], present integer[], accounts integer, total bigint,
    OUT decades double precision, OUT member integer[], OUT rows integer, OUT since timestamptz, OUT until timestamptz) RETURNS SETOF record
AS 'MODULE_PATHNAME', 'billadj_shared_rows' LANGUAGE C IMMUTABLE STRICT;
COMMENT ON FUNCTION billadj.shared_rows(timestamptz[], double precision[], integer[], bigint[], integer[], integer, bigint)
    IS 'groups of accounts with the same rows; part of detect_across()';
REVOKE ALL ON FUNCTION billadj.shared_rows(timestamptz[], double precision[], integer[], bigint[], integer[], integer, bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.shared_rows(timestamptz[], double precision[], integer[], bigint[], integer[], integer, bigint) TO billadj_operator, billadj_auditor;

CREATE FUNCTION billadj.shared_signs(baselines bytea[],
    OUT decades double precision, OUT member integer[], OUT rows integer, OUT since timestamptz, OUT until timestamptz) RETURNS SETOF record
AS 'MODULE_PATHNAME', 'billadj_shared_signs' LANGUAGE C IMMUTABLE STRICT;
COMMENT ON FUNCTION billadj.shared_signs(bytea[]) IS 'groups of accounts that go up and down together; part of detect_across()';
REVOKE ALL ON FUNCTION billadj.shared_signs(bytea[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.shared_signs(bytea[]) TO billadj_operator, billadj_auditor;

-- Of each table in mode shadow that the caller may read: what it billed, and what
-- its contract comes to.  A row of several measures has no quantity of its own.
CREATE FUNCTION billadj.host_amounts(period tstzrange)
RETURNS TABLE (source text, account text, meter text, period_start timestamptz, currency text, rows bigint, quantity numeric, amount numeric, contract_amount numeric, contract text)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
#variable_conflict use_column
DECLARE
    host record;
BEGIN
    FOR host IN SELECT a.attachment_id, a.relation, c.oid::regclass AS oid, has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT') AS readable
                  FROM billadj.attached a
                  JOIN pg_namespace n ON starts_with(a.relation, quote_ident(n.nspname) || '.')
                  JOIN pg_class c ON c.relnamespace = n.oid AND a.relation = format('%I.%I', n.nspname, c.relname)
                 WHERE a.mode = 'shadow' AND a.state <> 'detached' ORDER BY a.attachment_id LOOP
        IF NOT host.readable THEN
            RAISE NOTICE 'the amounts of table % are not compared: % may not read it', host.relation, current_user;
            CONTINUE;
        END IF;
        RETURN QUERY
        SELECT host.relation, r.account, r.meter, r.period_start, k.currency, count(*), CASE WHEN bool_and(r.quantity IS NOT NULL) THEN sum(r.quantity) END,
               sum(r.host_amount), sum(r.shadow_amount), k.contract
          FROM billadj.shadow_rows(host.oid) r
          JOIN (SELECT c.account, c.meter, c.period_start, min(c.currency) AS currency, string_agg(DISTINCT d.code, ', ' ORDER BY d.code) AS contract
                  FROM billadj.shadow_charge c
                  JOIN billadj.price p ON p.price_id = c.price_id
                  JOIN billadj.rate_card d ON d.rate_card_id = p.rate_card_id
                 WHERE c.attachment_id = host.attachment_id
                 GROUP BY c.account, c.meter, c.period_start) k ON k.account = r.account AND k.meter = r.meter AND k.period_start = r.period_start
         WHERE r.host_amount IS NOT NULL AND r.shadow_amount IS NOT NULL
           AND r.period_start < upper(period) AND r.period_start > lower(period) - interval '31 days'
         GROUP BY r.account, r.meter, r.period_start, k.currency, k.contract;
    END LOOP;
END
$function$;
COMMENT ON FUNCTION billadj.host_amounts(tstzrange) IS 'what tables in mode shadow billed in the periods that overlap, and what the contract comes to; part of contract_comparison()';
REVOKE ALL ON FUNCTION billadj.host_amounts(tstzrange) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.host_amounts(tstzrange) TO billadj_admin, billadj_operator, billadj_auditor;

-- Prices are chosen as rating chooses them, but as the rate cards are now: a card
-- of the account before a default card, then the higher priority.  A price that
-- people decided on counts as charged; credits do not, they are no price.
-- Of prices that round row by row the exact amount is taken, and slack is what
-- the rounding of so many rows can come to.
CREATE FUNCTION billadj.contract_comparison(period tstzrange)
RETURNS TABLE (source text, account text, meter text, period_start timestamptz, currency text, rows bigint, quantity numeric, amount numeric, overridden numeric,
               contract_amount numeric, slack numeric, contract text)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
SET enable_nestloop = off
SET jit = off
AS $function$
WITH price AS MATERIALIZED (
    SELECT p.price_id, p.meter, p.valid, p.card_account, p.currency, p.priority, p.linear, r.code, billadj.price_document(p.price_id) AS document,
           CASE WHEN p.terms #>> '{rounding,stage}' = 'row' THEN coalesce((p.terms #>> '{rounding,step}')::numeric, 0.01) / 2 ELSE 0 END AS half_step
      FROM billadj.price p
      JOIN billadj.rate_card r ON r.rate_card_id = p.rate_card_id
     WHERE p.terms ->> 'model' <> 'passthrough'
), charged AS (
    SELECT c.account, c.meter, c.period_start, c.currency, c.occurred_at, sum(c.quantity) AS quantity, sum(c.row_count)::bigint AS rows, sum(c.amount) AS amount
      FROM billadj.charge c
     WHERE c.meter IS NOT NULL AND c.period_start < upper(period) AND c.period_start > lower(period) - interval '31 days'
     GROUP BY c.account, c.meter, c.period_start, c.currency, c.occurred_at
), placed AS (
    SELECT DISTINCT ON (c.account, c.meter, c.period_start, c.currency, c.occurred_at) c.*, coalesce(o.price_id, l.price_id) AS price_id
      FROM charged c
      LEFT JOIN price o ON o.card_account = c.account AND o.meter = c.meter AND o.currency = c.currency AND o.valid @> c.occurred_at
      LEFT JOIN price l ON l.card_account IS NULL AND l.meter = c.meter AND l.currency = c.currency AND l.valid @> c.occurred_at
     ORDER BY c.account, c.meter, c.period_start, c.currency, c.occurred_at, o.priority DESC NULLS LAST, l.priority DESC NULLS LAST
), by_price AS (
    SELECT c.account, c.meter, c.period_start, c.currency, c.price_id, sum(c.quantity) AS quantity, sum(c.rows)::bigint AS rows, sum(c.amount) AS amount,
           bool_or(c.occurred_at IS NOT NULL) AS usage
      FROM placed c GROUP BY c.account, c.meter, c.period_start, c.currency, c.price_id
), due AS (
    SELECT b.account, b.meter, b.period_start, b.currency, sum(b.rows)::bigint AS rows, sum(b.quantity) AS quantity, sum(b.amount) AS amount,
           -- what no price is found for is no matter of contract
           bool_and(p.price_id IS NOT NULL OR NOT b.usage) AS known,
           sum(CASE WHEN b.quantity > 0 THEN billadj.rate(p.document, b.quantity) ELSE 0 END) AS contract_amount,
           sum(coalesce(p.half_step, 0) * b.rows) AS slack,
           string_agg(DISTINCT p.code, ', ' ORDER BY p.code) AS contract
      FROM by_price b LEFT JOIN price p ON p.price_id = b.price_id
     GROUP BY b.account, b.meter, b.period_start, b.currency
), overridden AS (
    SELECT a.account, c.meter, c.period_start, a.currency, sum(a.delta) AS delta
      FROM billadj.adjustment a
      JOIN billadj.override_request r ON r.request_id = a.request_id
      LEFT JOIN billadj.override_request o ON o.request_id = r.reverses
      JOIN billadj.charge c ON c.account = a.account AND c.charge_id = a.charge_id
     WHERE coalesce(o.kind, r.kind) = 'price_override' AND a.affects = 'billed'
       AND c.period_start < upper(period) AND c.period_start > lower(period) - interval '31 days'
     GROUP BY a.account, c.meter, c.period_start, a.currency
)
SELECT 'charge', d.account, d.meter, d.period_start, d.currency, d.rows, d.quantity, d.amount + coalesce(o.delta, 0), coalesce(o.delta, 0), d.contract_amount, d.slack, d.contract
  FROM due d
  LEFT JOIN overridden o ON o.account = d.account AND o.meter = d.meter AND o.period_start = d.period_start AND o.currency = d.currency
 WHERE d.known
UNION ALL
SELECT h.source, h.account, h.meter, h.period_start, h.currency, h.rows, h.quantity, h.amount, 0, h.contract_amount, 0, h.contract
  FROM billadj.host_amounts(period) h
$function$;
COMMENT ON FUNCTION billadj.contract_comparison(tstzrange) IS
    'for each account, meter and period that overlaps: what was charged, overrides of price included, or what a table in mode shadow billed, beside what the rate cards say now; writes nothing';
REVOKE ALL ON FUNCTION billadj.contract_comparison(tstzrange) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.contract_comparison(tstzrange) TO billadj_admin, billadj_operator, billadj_auditor;

-- Every finding as a row for each account that it is about; nothing is written.
-- A logarithm beyond others' by z deviations has z^2 / (2 ln 10) decades.
-- The planner knows nothing of how many rows the parts below have, and a loop
-- over a month of charges for each of them would never end.  A loop that is left
-- looks so dear to it that every small one would be compiled: hence no jit.
CREATE FUNCTION billadj.findings_across(period tstzrange)
RETURNS TABLE (rule text, account text, meter text, accounts text[], decades double precision, since timestamptz, until timestamptz, rows bigint,
               observed double precision, expected double precision, excess numeric, currency text, detail jsonb, period_start timestamptz)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
SET enable_nestloop = off
SET jit = off
AS $function$
WITH usage AS MATERIALIZED (
    SELECT c.account, c.meter, c.occurred_at AS at, c.quantity::double precision AS q, c.amount, c.currency, dense_rank() OVER (PARTITION BY c.meter ORDER BY c.account) AS n
      FROM billadj.charge c
     WHERE c.cause IN ('usage', 'backfill') AND c.row_count > 0 AND period @> c.occurred_at
       AND c.period_start >= lower(period) - interval '70 days' AND c.period_start < upper(period)
), counted AS (
    SELECT u.meter, u.at, u.q, u.n, min(u.account) AS account, (sum(count(*)) OVER (PARTITION BY u.meter, u.q))::bigint AS alike,
           count(*) OVER (PARTITION BY u.meter, u.at, u.q) AS sharing
      FROM usage u WHERE u.q NOT IN (0, 'NaN') GROUP BY u.meter, u.at, u.q, u.n
), present AS (
    SELECT u.meter, u.at, count(DISTINCT u.n)::integer AS accounts FROM usage u GROUP BY u.meter, u.at
), same AS (
    SELECT c.meter, g.*
      FROM (SELECT c.meter, array_agg(c.at ORDER BY c.at, c.q, c.n) AS times, array_agg(c.q ORDER BY c.at, c.q, c.n) AS quantities,
                   array_agg(c.n::integer ORDER BY c.at, c.q, c.n) AS members, array_agg(c.alike ORDER BY c.at, c.q, c.n) AS alike,
                   array_agg(p.accounts ORDER BY c.at, c.q, c.n) AS present
              FROM counted c JOIN present p ON p.meter = c.meter AND p.at = c.at WHERE c.sharing > 1 GROUP BY c.meter) c
     CROSS JOIN LATERAL (SELECT max(u.n)::integer AS accounts, count(*) AS total FROM usage u WHERE u.meter = c.meter) t
     CROSS JOIN LATERAL billadj.shared_rows(c.times, c.quantities, c.members, c.alike, c.present, t.accounts, t.total) g
), stream AS (
    SELECT b.account, b.meter, b.state, row_number() OVER (PARTITION BY b.meter ORDER BY b.account) AS n FROM billadj.baseline b
), together AS (
    SELECT s.meter, g.*
      FROM (SELECT s.meter, array_agg(s.state ORDER BY s.n) AS states FROM stream s WHERE s.n <= 4000 GROUP BY s.meter) s
     CROSS JOIN LATERAL billadj.shared_signs(s.states) g
     WHERE period && tstzrange(g.since, g.until, '[]')
), request AS (
    SELECT r.account, r.kind, r.currency, r.amount, r.requested_by, r.requested_at FROM billadj.override_request r WHERE period @> r.requested_at
), crowded AS (
    SELECT r.requested_by, r.kind, r.currency, b.bound, count(*) FILTER (WHERE r.amount > 0.95 * b.bound) AS just_under,
           count(*) FILTER (WHERE r.amount <= 0.95 * b.bound) AS before, min(r.requested_at) AS since, max(r.requested_at) AS until,
           mode() WITHIN GROUP (ORDER BY r.account) AS account, sum(r.amount) AS amount
      FROM request r
      JOIN (SELECT DISTINCT a.kind, a.currency, upper(a.band) AS bound FROM billadj.approval_rule a WHERE NOT upper_inf(a.band) AND upper(a.band) > 0) b
        ON b.kind = r.kind AND b.currency = r.currency AND r.amount > 0.9 * b.bound AND r.amount <= b.bound
     GROUP BY r.requested_by, r.kind, r.currency, b.bound
), credited AS (
    SELECT r.requested_by, r.currency, sum(r.amount) AS amount, count(*) AS n, min(r.requested_at) AS since, max(r.requested_at) AS until,
           mode() WITHIN GROUP (ORDER BY r.account) AS account
      FROM request r WHERE r.kind IN ('credit', 'discount', 'waive', 'refund', 'write_off') AND r.amount > 0 GROUP BY r.requested_by, r.currency
), month AS (
    SELECT c.account, c.currency, c.period_start, sum(c.amount) AS amount, count(*) AS n
      FROM billadj.charge c WHERE c.period_start < upper(period) GROUP BY c.account, c.currency, c.period_start
), against_own AS (
    SELECT m.*, avg(ln(o.amount)) AS mean, coalesce(stddev_samp(ln(o.amount)), 0) AS deviation, count(*) AS history
      FROM month m
      JOIN month o ON o.account = m.account AND o.currency = m.currency AND o.period_start < m.period_start AND o.amount > 0
     WHERE m.amount > 0 AND period @> m.period_start
     GROUP BY m.account, m.currency, m.period_start, m.amount, m.n
    HAVING count(*) >= 5
), against_peers AS (
    SELECT o.*, coalesce((SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY (ln(p.amount) - p.mean)::double precision) FROM against_own p
                           WHERE p.currency = o.currency AND p.period_start = o.period_start AND p.account <> o.account HAVING count(*) >= 3), 0) AS common
      FROM against_own o
), share AS (
    SELECT m.account, m.currency, m.period_start, m.amount, -sum(a.delta) AS credits, coalesce(-sum(a.delta), 0) / m.amount AS share
      FROM month m
      LEFT JOIN billadj.adjustment a ON a.account = m.account AND a.currency = m.currency AND a.period_start = m.period_start AND a.delta < 0
     WHERE m.amount > 0 AND period @> m.period_start
     GROUP BY m.account, m.currency, m.period_start, m.amount
)
SELECT 'same_rows', u.account, s.meter, m.accounts, s.decades, s.since, s.until, count(*), sum(u.q), NULL::double precision, sum(u.amount), min(u.currency),
       jsonb_build_object('accounts', m.accounts), NULL::timestamptz
  FROM same s
 CROSS JOIN LATERAL (SELECT array_agg(DISTINCT u.account ORDER BY u.account) AS accounts FROM usage u WHERE u.meter = s.meter AND u.n = ANY (s.member)) m
  JOIN counted c ON c.meter = s.meter AND c.n = ANY (s.member) AND c.sharing > 1 AND c.at BETWEEN s.since AND s.until
  JOIN usage u ON u.meter = c.meter AND u.n = c.n AND u.at = c.at AND u.q = c.q
 GROUP BY u.account, s.meter, m.accounts, s.decades, s.since, s.until
UNION ALL
SELECT 'same_pattern', b.account, t.meter, m.accounts, t.decades, t.since, t.until, t.rows, NULL, NULL, NULL, NULL, jsonb_build_object('accounts', m.accounts), NULL
  FROM together t
 CROSS JOIN LATERAL (SELECT array_agg(b.account ORDER BY b.account) AS accounts FROM stream b WHERE b.meter = t.meter AND b.n = ANY (t.member)) m
  JOIN stream b ON b.meter = t.meter AND b.n = ANY (t.member)
UNION ALL
SELECT 'under_limit', c.account, '', ARRAY[c.account], billadj.crowding_decades(c.just_under, c.before), c.since, c.until, c.just_under, c.just_under, c.before, c.amount, c.currency,
       jsonb_build_object('requester', c.requested_by, 'kind', c.kind, 'limit', c.bound, 'just_under', c.just_under, 'before', c.before), NULL
  FROM crowded c WHERE billadj.crowding_decades(c.just_under, c.before) >= 3
UNION ALL
SELECT 'credits', c.account, '', ARRAY[c.account], (power((ln(c.amount) - o.mean) / o.deviation, 2) / (2 * ln(10::numeric)))::double precision, c.since, c.until, c.n, c.amount, exp(o.mean), c.amount,
       c.currency, jsonb_build_object('requester', c.requested_by), NULL
  FROM credited c
 CROSS JOIN LATERAL (SELECT avg(ln(o.amount)) AS mean, greatest(coalesce(stddev_samp(ln(o.amount)), 0), 0.5) AS deviation, count(*) AS n
                       FROM credited o WHERE o.currency = c.currency AND o.requested_by <> c.requested_by) o
 WHERE o.n >= 4 AND ln(c.amount) > o.mean AND power((ln(c.amount) - o.mean) / o.deviation, 2) / (2 * ln(10::numeric)) >= 3
UNION ALL
SELECT 'amount', p.account, '', ARRAY[p.account], z.decades, p.period_start, p.period_start, p.n, p.amount, exp(p.mean + p.common::numeric), p.amount - round(exp(p.mean + p.common::numeric), 2), p.currency, NULL, p.period_start
  FROM against_peers p
 CROSS JOIN LATERAL (SELECT (power((ln(p.amount) - p.mean - p.common::numeric) / greatest(p.deviation, 0.1), 2) / (2 * ln(10::numeric)))::double precision AS decades) z
 WHERE z.decades >= 3
UNION ALL
SELECT 'credit_share', s.account, '', ARRAY[s.account], z.decades, s.period_start, s.period_start, 1, s.share, o.mean, s.credits, s.currency, NULL, s.period_start
  FROM share s
 CROSS JOIN LATERAL (SELECT avg(o.share) AS mean, greatest(coalesce(stddev_samp(o.share), 0), 0.02) AS deviation, count(*) AS n
                       FROM share o WHERE o.currency = s.currency AND o.period_start = s.period_start AND o.account <> s.account) o
 CROSS JOIN LATERAL (SELECT (power((s.share - o.mean) / o.deviation, 2) / (2 * ln(10::numeric)))::double precision AS decades) z
 WHERE o.n >= 4 AND s.share > o.mean AND s.credits > 0 AND z.decades >= 3
UNION ALL
SELECT 'off_contract', k.account, k.meter, ARRAY[k.account], 7, k.period_start, k.period_start, k.rows, (k.amount / coalesce(nullif(k.quantity, 0), 1))::double precision,
       (k.contract_amount / coalesce(nullif(k.quantity, 0), 1))::double precision, k.amount - k.contract_amount, k.currency,
       jsonb_strip_nulls(jsonb_build_object('source', k.source, 'contract', k.contract, 'quantity', nullif(k.quantity, 0), 'overridden', nullif(k.overridden, 0))),
       -- what a table in mode shadow billed is not ours to mend
       CASE WHEN k.source = 'charge' THEN k.period_start END
  FROM billadj.contract_comparison(period) k
 CROSS JOIN LATERAL billadj.detector_policy(k.account, k.meter, 'off_contract') d
 WHERE abs(k.amount - k.contract_amount) > d.price_tolerance::numeric * abs(k.contract_amount) + k.slack AND NOT d.off
$function$;
COMMENT ON FUNCTION billadj.findings_across(tstzrange) IS
    'what shows only beside other accounts, in a period: same rows, same pattern, requests crowded under a limit, credits of a requester, amount and credit share of an account, charges beside the contract; writes nothing';
REVOKE ALL ON FUNCTION billadj.findings_across(tstzrange) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.findings_across(tstzrange) TO billadj_operator, billadj_auditor;

CREATE FUNCTION billadj.detect_across(period tstzrange)
RETURNS TABLE (anomaly_id bigint, rule text, account text, meter text, accounts text[], money_at_risk numeric, currency text)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $function$
#variable_conflict use_column
DECLARE
    f record;
BEGIN
    PERFORM billadj.require_installed();
    IF detect_across.period IS NULL OR isempty(detect_across.period) OR lower_inf(detect_across.period) OR upper_inf(detect_across.period) THEN
        RAISE EXCEPTION 'period of detect_across is not bounded'
            USING ERRCODE = 'invalid_parameter_value', HINT = 'SELECT * FROM billadj.detect_across(tstzrange(now() - interval ''7 days'', now()));';
    END IF;
    FOR f IN SELECT * FROM billadj.findings_across(detect_across.period) x ORDER BY x.account COLLATE "C", x.meter COLLATE "C", x.rule, x.since LOOP
        -- once told is enough
        CONTINUE WHEN EXISTS (SELECT FROM billadj.anomaly a
                               WHERE a.account = f.account AND a.meter = f.meter AND a.family = 'account' AND a.rule = f.rule AND a.since <= f.until AND a.last_at >= f.since);
        anomaly_id := billadj.note_finding(f.account, f.meter, f.rule, f.since, f.until, f.decades, f.observed, f.expected, f.excess, f.currency, f.rows, f.detail, f.period_start);
        -- its detector wants nothing of it
        CONTINUE WHEN anomaly_id IS NULL;
        rule := f.rule;
        account := f.account;
        meter := f.meter;
        accounts := f.accounts;
        money_at_risk := abs(coalesce(f.excess, 0));
        currency := f.currency;
        RETURN NEXT;
    END LOOP;
END
$function$;
COMMENT ON FUNCTION billadj.detect_across(tstzrange) IS
    'opens an anomaly for each account of what findings_across() finds in a period, unless it was told before; a verdict closes it';
REVOKE ALL ON FUNCTION billadj.detect_across(tstzrange) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.detect_across(tstzrange) TO billadj_operator;
