-- How unusual the rows of a series are.  The series is seeded by its own
-- numbers, the faults in it are large: the answers do not hang on a threshold.
CREATE TEMPORARY TABLE series AS
SELECT account, timestamptz '2024-01-01 UTC' + hour * interval '1 hour' AS at, hour,
       round((1000 + 600 * sin(hour * 2 * pi() / 24) + 20 * sin(hour * hour))::numeric, 2)
       * CASE WHEN account = 'b' AND hour = 700 THEN 1000
              WHEN account = 'b' AND hour BETWEEN 800 AND 805 THEN 0
              ELSE 1 END AS quantity
FROM unnest(ARRAY['a', 'b']) AS account, generate_series(0, 999) AS hour;

-- every row has a score, and only what was planted alerts
SELECT account, hour, d.reason, d.unit, round(d.expected / 100) * 100 AS expected, quantity NOT BETWEEN d.lo AND d.hi AS is_outside
FROM (SELECT s.*, billadj.anomaly_detail(at, quantity) OVER (PARTITION BY account ORDER BY at) AS detail
      FROM series s) AS judged,
     jsonb_to_record(detail) AS d(score double precision, reason text, expected numeric, lo numeric, hi numeric, unit numeric)
WHERE d.score >= 0.75
ORDER BY account, hour;
SELECT count(*), bool_and(score BETWEEN 0 AND 1) AS in_bounds
FROM (SELECT billadj.anomaly_score(at, quantity) OVER (PARTITION BY account ORDER BY at) AS score FROM series) AS s;

-- score and detail are one; a row's score depends on no later row
SELECT count(*) FILTER (WHERE score <> detail) AS differ, count(*) FILTER (WHERE score <> early) AS hang_on_later_rows
FROM (SELECT at, billadj.anomaly_score(at, quantity) OVER w AS score, (billadj.anomaly_detail(at, quantity) OVER w ->> 'score')::double precision AS detail
      FROM series WHERE account = 'b' WINDOW w AS (ORDER BY at)) AS whole
LEFT JOIN (SELECT at, billadj.anomaly_score(at, quantity) OVER (ORDER BY at) AS early
           FROM series WHERE account = 'b' AND hour < 750) AS part USING (at);

-- NULL for NULL, and such a row is not learned
SELECT count(*) FILTER (WHERE score IS NULL) AS nulls, count(*) FILTER (WHERE score <> without) AS differ
FROM (SELECT at, quantity, billadj.anomaly_score(at, quantity) OVER (ORDER BY at) AS score
      FROM (SELECT at, quantity FROM series WHERE account = 'b'
            UNION ALL SELECT at + interval '1 minute', NULL FROM series WHERE account = 'b' AND hour % 100 = 0) AS with_nulls) AS s
LEFT JOIN (SELECT at, billadj.anomaly_score(at, quantity) OVER (ORDER BY at) AS without FROM series WHERE account = 'b') AS w USING (at);
SELECT billadj.anomaly_score(NULL, 1) OVER () AS time, billadj.anomaly_score('2024-01-01', NULL) OVER () AS quantity;

-- not numbers, and not times
SELECT t, q, d
FROM (SELECT t, q, billadj.anomaly_detail(t, q) OVER (PARTITION BY t, q) AS d
      FROM (VALUES (timestamptz 'infinity', 1::numeric), ('-infinity', 1), ('2024-01-01', 'NaN'), ('2024-01-01', 'Infinity')) AS v(t, q)) AS s
ORDER BY t, q;

-- equal times are no matter; the same row at the same time is a duplicate, unless
-- several rows of one time are usual
SELECT n, d ->> 'reason' AS reason
FROM (SELECT n, billadj.anomaly_detail('2024-01-01 UTC'::timestamptz + h * interval '1 hour', q) OVER (ORDER BY h, n) AS d
      FROM (SELECT g AS n, g AS h, 10 + g % 3 AS q FROM generate_series(1, 30) g
            UNION ALL VALUES (31, 30, 20), (32, 30, 10), (33, 31, 11)) AS v(n, h, q)) AS s
WHERE n > 29 ORDER BY n;
SELECT count(*) AS lines, count(d ->> 'reason') AS told
FROM (SELECT billadj.anomaly_detail('2024-01-01 UTC'::timestamptz + g / 5 * interval '1 hour', 6 + g % 5 / 3) OVER (ORDER BY g) AS d
      FROM generate_series(0, 99) g) AS s;

-- a meter that counts up: its rise is judged, and a fall is told of
SELECT hour, d ->> 'reason' AS reason
FROM (SELECT hour, billadj.anomaly_detail(at, reading, cumulative => true) OVER (ORDER BY at) AS d
      FROM (SELECT at, hour, sum(quantity) OVER (PARTITION BY hour >= 600 ORDER BY at) AS reading
            FROM series WHERE account = 'a') AS readings) AS s
WHERE (d -> 'score')::numeric > 0.75 ORDER BY hour;

-- parameters
SELECT count(DISTINCT score) > 1 AS scored
FROM (SELECT billadj.anomaly_score(at, quantity, detector => '{"threshold": 0.9, "new_normal_days": 7, "onset_hours": 0}')
             OVER (ORDER BY at) AS score
      FROM series WHERE account = 'b') AS s;
-- any of a detector: by the argument or by the parameter; single rows are not looked at; what is about prices or a clock says nothing
SELECT count(*) FILTER (WHERE a IS DISTINCT FROM b) AS differ, count(*) FILTER (WHERE a IS DISTINCT FROM c) > 0 AS unlike_a_quantity
FROM (SELECT billadj.anomaly_detail(at, reading, cumulative => true) OVER w AS a, billadj.anomaly_detail(at, reading, detector => '{"cumulative": true, "reset_day": 1}') OVER w AS b,
             billadj.anomaly_detail(at, reading) OVER w AS c
      FROM (SELECT at, sum(quantity) OVER (ORDER BY at) AS reading FROM series WHERE account = 'a') AS readings WINDOW w AS (ORDER BY at)) AS s;
SELECT d ->> 'reason' AS by_default, e ->> 'reason' AS without_rules
FROM (SELECT n, billadj.anomaly_detail('2024-01-01 UTC'::timestamptz + n * interval '1 hour', q) OVER w AS d,
             billadj.anomaly_detail('2024-01-01 UTC'::timestamptz + n * interval '1 hour', q, detector => '{"rules": false}') OVER w AS e
      FROM (SELECT g AS n, CASE WHEN g = 15 THEN -1 ELSE 10 + g % 3 END AS q FROM generate_series(1, 15) g) v WINDOW w AS (ORDER BY n)) AS s WHERE n = 15;
SELECT count(*) FILTER (WHERE a IS DISTINCT FROM b) AS differ
FROM (SELECT billadj.anomaly_score(at, quantity) OVER w AS a,
             billadj.anomaly_score(at, quantity, detector => '{"future_hours": 2, "past_days": -1, "off": false, "price_step": 1, "price_tolerance": 0.5, "bucketing": "sum"}') OVER w AS b
      FROM series WHERE account = 'b' WINDOW w AS (ORDER BY at)) AS s;
SELECT count(*) FILTER (WHERE a IS DISTINCT FROM b) > 0 AS differ
FROM (SELECT billadj.anomaly_detail(at, q) OVER w AS a, billadj.anomaly_detail(at, q, detector => '{"bucketing": "max"}') OVER w AS b
      FROM (SELECT '2024-01-01 UTC'::timestamptz + g * interval '10 minutes' + (hashtext(g::text) & 1023) % 29 * interval '1 minute' AS at, 10 + g % 7 AS q FROM generate_series(1, 900) g) v
     WINDOW w AS (ORDER BY at, q)) AS s;
SELECT billadj.anomaly_score(at, quantity, detector => '{"bucketing": "min"}') OVER (ORDER BY at) FROM series LIMIT 1;
SELECT billadj.anomaly_score(at, quantity, detector => '{"reset_day": 32}') OVER (ORDER BY at) FROM series LIMIT 1;
SELECT billadj.anomaly_score(at, quantity, detector => '{"rules": 1}') OVER (ORDER BY at) FROM series LIMIT 1;
SELECT billadj.anomaly_score(at, quantity, detector => '{"threshold": 2}') OVER (ORDER BY at) FROM series LIMIT 1;
SELECT billadj.anomaly_score(at, quantity, detector => '{"sigma": 2}') OVER (ORDER BY at) FROM series LIMIT 1;
SELECT billadj.anomaly_score(at, quantity, detector => '[1]') OVER (ORDER BY at) FROM series LIMIT 1;
