-- What bench/run measures of anomaly detection: the tiered host again, with
-- detection on, and streams that are known for six weeks.
--
-- Accounts acct-…: a row every three minutes, as they please, so that one row in
-- twenty ends an hour and the others only add to it.  Accounts hour-…: a row at
-- each full hour, and each is judged by itself.

-- as many rows in it and in its indexes as in the others
CREATE TABLE bench.watched (LIKE bench.plain INCLUDING ALL);
INSERT INTO bench.watched (event_key, account, meter, quantity, at) SELECT event_key, account, meter, quantity, at FROM bench.tiered ORDER BY random();
VACUUM (FREEZE, ANALYZE) bench.watched;
SELECT count(*) AS attached
  FROM billadj.attach('bench.watched', account => 'account', occurred_at => 'at', meter => 'meter', quantity => 'quantity') \gset

-- the rows of two cases, hourly
CREATE TABLE bench.hourly AS
SELECT shape, stmt, n, event_key, replace(account, 'acct-', 'hour-') AS account, meter, quantity,
       bench.begin_at() + count(*) OVER (PARTITION BY shape, account, meter ORDER BY stmt, n) * interval '1 hour' AS at
  FROM bench.gen
 WHERE shape IN ('copy_small', 'copy', 'single');

-- A few streams learn from rows of their own, the others are like one of them:
-- of the dense ones, one for each time in the hour of the row before the
-- measured ones.
CREATE TABLE bench.model AS
SELECT kind, phase, kind || 'model-' || phase AS account, array_agg(at ORDER BY at) AS times,
       array_agg(round((random() * 100)::numeric, 2)) AS quantities, NULL::bytea AS state, NULL::bytea AS bucket
  FROM (SELECT 'acct-' AS kind, phase, bench.begin_at() + (phase + 0.5) * interval '5 minutes'
               - coalesce(sum(-ln(1 - random()) * interval '3 minutes')
                          OVER (PARTITION BY phase ORDER BY g ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), '0') AS at
          FROM generate_series(0, 11) AS phase, generate_series(1, 42 * 480) AS g
        UNION ALL
        SELECT 'hour-', 0, bench.begin_at() + (1 - g) * interval '1 hour' FROM generate_series(1, 42 * 24) AS g) AS history
 GROUP BY kind, phase;
SELECT count(billadj.replace_baseline(account, 't1', billadj.learn_rows(account, 't1', times, quantities,
             array_fill(NULL::numeric, ARRAY[cardinality(times)])))) AS learned
  FROM bench.model \gset
UPDATE bench.model AS m SET state = b.state, bucket = (SELECT o.state FROM billadj.open_bucket AS o WHERE o.account = b.account)
  FROM billadj.baseline AS b WHERE b.account = m.account;

-- No VACUUM afterwards: these rows are written every few minutes, so that their
-- pages are never all visible.
CREATE PROCEDURE bench.seed_streams() LANGUAGE plpgsql AS $$
BEGIN
    TRUNCATE billadj.baseline, billadj.open_bucket;
    CREATE TEMP TABLE key ON COMMIT DROP AS
    SELECT k.account, k.meter, m.state, m.bucket
      FROM (SELECT 'acct-' || k / 5 AS account, 't' || k % 5 + 1 AS meter FROM generate_series(0, 49999) AS k) AS k
      JOIN bench.model AS m ON m.kind = 'acct-' AND m.phase = bench.phase(k.account, k.meter)
     UNION ALL
    SELECT DISTINCT h.account, 't' || h.meter, m.state, m.bucket FROM bench.model AS m, bench.hourly AS h WHERE m.kind = 'hour-'
     UNION ALL
    SELECT k.account, 'l' || k.meter, m.state, m.bucket
      FROM (SELECT DISTINCT account, meter FROM bench.gen WHERE shape <> 'hundred') AS k
      JOIN bench.model AS m ON m.kind = 'acct-' AND m.phase = bench.phase(k.account, k.meter);
    INSERT INTO billadj.baseline (account, meter, state) SELECT account, meter, state FROM key ORDER BY random();
    -- its hour stands beside the total, as it does from the end of its first hour on
    UPDATE billadj.tier_total AS t SET bucket = k.bucket FROM key AS k WHERE k.account = t.account AND k.meter = t.meter AND k.bucket IS NOT NULL;
    INSERT INTO billadj.open_bucket (account, meter, state, period_start, price_id)
    SELECT t.account, t.meter, '', t.period_start, t.price_id FROM billadj.tier_total AS t WHERE t.bucket <> '' ORDER BY random();
    INSERT INTO billadj.open_bucket (account, meter, state) SELECT account, meter, bucket FROM key WHERE meter ~ '^l' ORDER BY random();
END $$;

-- The same without them, for what is measured without detection.
CREATE PROCEDURE bench.forget_streams() LANGUAGE sql AS $$
TRUNCATE billadj.baseline, billadj.open_bucket;
UPDATE billadj.tier_total SET bucket = '' WHERE bucket <> '';
$$;
INSERT INTO bench.tiered (event_key, account, meter, quantity, at)
SELECT DISTINCT ON (account, meter) 'seed-hour-' || account || meter, account, 't' || meter, quantity, date_trunc('month', now(), 'UTC') FROM bench.hourly;
