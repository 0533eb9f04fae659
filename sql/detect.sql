-- Detection on usage: what is opened, raised, held, proposed and refused; a bulk
-- load gives what row by row gives.
\set SHOW_CONTEXT never
SET datestyle = 'ISO';
SET client_min_messages = warning;
SET timezone = 'UTC';
CREATE EXTENSION IF NOT EXISTS billadj;
SELECT count(*) >= 0 AS uninstalled FROM billadj.uninstall(keep_data => false);
SELECT count(*) > 0 AS installed FROM billadj.install();
CREATE SCHEMA detect;
SET search_path = detect, public;
SELECT count(*) > 0 AS imported FROM billadj.import_rate_card('{"code": "detect", "currency": "USD", "prices": [
    {"meter": "calls", "model": "per_unit", "unit_amount": "0.02"},
    {"meter": "gb", "model": "graduated", "tiers": [{"up_to": 50000, "unit_amount": "0.10"}, {"up_to": null, "unit_amount": "0.05"}]}]}', '[2020-01-01,)');

-- the states of streams as of now
CREATE VIEW baselines AS
SELECT b.account, b.meter, b.problem, b.state, o.account IS NOT NULL AS by_bucket
  FROM billadj.stream_states() b LEFT JOIN billadj.open_bucket o USING (account, meter);
-- The same usage in a table for each way of loading: regular hours, a day with
-- five rows an hour, a spike, a shift that stays, an outage, duplicates.
CREATE TABLE source AS
SELECT format('%s-%s-%s', a, m, lpad(g::text, 6, '0')) AS id, 'acct-' || a AS account, m AS meter,
       CASE WHEN g = 700 THEN 90000
            WHEN a = 2 AND g BETWEEN 800 AND 830 THEN 0
            WHEN a = 3 AND g > 900 THEN 3 * base ELSE base END AS quantity,
       timestamptz '2024-01-01 00:30+00' + g * interval '1 hour' AS at
  FROM generate_series(1, 3) a, unnest(ARRAY['calls', 'gb']) m, generate_series(0, 1099) g,
       LATERAL (SELECT 200 + (hashtext(m || a || g) & 1023) % 40 + 10 * (g % 24) AS base) b;
INSERT INTO source
SELECT format('4-calls-%s', lpad(g::text, 6, '0')), 'acct-4', 'calls', CASE WHEN g = 6001 THEN 40000 ELSE 10 + (hashtext(g::text) & 1023) % 7 + g / 6 % 24 END,
       timestamptz '2024-01-01 00:00+00' + g * interval '10 minutes'
  FROM generate_series(0, 6500) g;
-- rows that come as they please, some an hour: judged by the hour
INSERT INTO source
SELECT format('5-calls-%s', lpad(g::text, 6, '0')), 'acct-5', 'calls', CASE WHEN g = 3500 THEN 40000 ELSE 1 + (hashtext('q' || g) & 1023) % 90 END,
       timestamptz '2024-01-01 00:00+00' + g * interval '10 minutes' + (hashtext('t' || g) & 1023) % 29 * interval '1 minute' + g % 60 * interval '1 second'
  FROM generate_series(0, 4000) g;
-- late rows that repeat others, under keys of their own
INSERT INTO source
SELECT id || '-again', account, meter, quantity, at FROM source WHERE account = 'acct-1' AND meter = 'calls' AND at BETWEEN '2024-01-30' AND '2024-01-30 03:00';

CREATE TABLE by_copy (id text PRIMARY KEY, account text NOT NULL, meter text NOT NULL, quantity numeric NOT NULL, at timestamptz NOT NULL);
CREATE TABLE by_hundred (LIKE by_copy INCLUDING ALL);
CREATE TABLE one_by_one (LIKE by_copy INCLUDING ALL);
SELECT r, (SELECT count(*) > 0 FROM billadj.attach(r::regclass, account => 'account', occurred_at => 'at', meter => 'meter', quantity => 'quantity')) AS attached
  FROM unnest(ARRAY['by_copy', 'by_hundred', 'one_by_one']) r;
SELECT relation, detect FROM billadj.attached WHERE relation ~ 'by_' ORDER BY 1;

-- ---- a bulk load gives what row by row gives ----
-- Ways of loading must not meet in one stream: each takes accounts of its own.
CREATE TABLE ordered AS SELECT row_number() OVER (ORDER BY at, id) AS n, s.* FROM source s;
CREATE UNIQUE INDEX ON ordered (n);
CREATE PROCEDURE load_in(relation text, prefix text, batch int)
LANGUAGE plpgsql AS $$
DECLARE
    total bigint := (SELECT count(*) FROM detect.ordered);
BEGIN
    FOR i IN 0 .. (total - 1) / batch LOOP
        EXECUTE format('INSERT INTO detect.%I SELECT id, $1 || account, meter, quantity, at FROM detect.ordered WHERE n > $2 AND n <= $3', relation)
          USING prefix, i::bigint * batch, (i + 1)::bigint * batch;
        COMMIT;
    END LOOP;
END
$$;
\copy (SELECT id, 'c-' || account, meter, quantity, at FROM source ORDER BY at, id) to 'results/detect.data'
\copy by_copy from 'results/detect.data'
CALL load_in('by_hundred', 'h-', 100);
CALL load_in('one_by_one', 'o-', 1);

SELECT meter, right(account, 6) AS account, count(*) AS ways, count(DISTINCT state) AS states, bool_and(by_bucket) AS by_bucket FROM baselines GROUP BY 1, 2 ORDER BY 1, 2;
-- rows of one statement in any order, under keys that say nothing of their time
INSERT INTO by_copy SELECT md5(id), 'm-' || account, meter, quantity, at FROM source WHERE meter = 'calls' AND account <> 'acct-1' ORDER BY md5(id);
SELECT right(account, 6) AS account, count(*) AS ways, count(DISTINCT state) AS states FROM baselines
 WHERE meter = 'calls' AND account !~ '1$' GROUP BY 1 ORDER BY 1;
CREATE VIEW found AS
SELECT left(account, 1) AS way, right(account, 6) AS account, meter, rule, family, occurred_at, score, expected, lower_bound, upper_bound, observed, ratio,
       unit_factor, since, excess, money_projected, row_count, last_at, peak_score, state, trusted
  FROM billadj.anomaly;
-- what was put in; how well the core finds is measured by bench/anomaly
SELECT account, meter, family, observed, row_count > 0 AS counted, excess > 700 AS money, score > 0.8 AS sure
  FROM found WHERE way = 'o' AND observed IN (90000, 40000) ORDER BY account, meter;
SELECT account, meter, min(occurred_at) FILTER (WHERE occurred_at >= '2024-02-03') AS since, min(excess) < -150 AS too_little
  FROM found WHERE way = 'o' AND account = 'acct-2' GROUP BY 1, 2 ORDER BY 1, 2;
SELECT account, meter, max(occurred_at) AS since, max(excess) > 2000 AS too_much, max(money_projected) > max(excess) AS and_more
  FROM found WHERE way = 'o' AND account = 'acct-3' AND observed <> 90000 GROUP BY 1, 2 ORDER BY 1, 2;
SELECT account, meter, rule, occurred_at, observed, row_count, excess FROM found WHERE way = 'o' AND family = 'row';
SELECT count(*) FILTER (WHERE account <> 'acct-4') AS open_ones_of_a_stream FROM found WHERE state = 'open' AND family = 'level' GROUP BY way, account, meter HAVING count(*) > 1;
SELECT w.way, count(*) AS differ
  FROM (VALUES ('c'), ('h')) AS w(way),
       LATERAL ((SELECT account, meter, rule, occurred_at, score, excess, row_count, last_at, state, trusted FROM found f WHERE f.way = w.way
                 EXCEPT ALL SELECT account, meter, rule, occurred_at, score, excess, row_count, last_at, state, trusted FROM found f WHERE f.way = 'o')
                UNION ALL
                (SELECT account, meter, rule, occurred_at, score, excess, row_count, last_at, state, trusted FROM found f WHERE f.way = 'o'
                 EXCEPT ALL SELECT account, meter, rule, occurred_at, score, excess, row_count, last_at, state, trusted FROM found f WHERE f.way = w.way)) d
 GROUP BY 1;

-- ---- the window function gives the scores that were stored ----
SELECT count(*) AS anomalies, count(*) FILTER (WHERE s.score IS DISTINCT FROM a.score) AS other_scores
  FROM billadj.anomaly a
  JOIN (SELECT id, account, meter, at, billadj.anomaly_score(at, quantity) OVER (PARTITION BY account, meter ORDER BY at, id) AS score FROM one_by_one) s
    ON s.account = a.account AND s.meter = a.meter
  JOIN billadj.charge c ON c.account = a.account AND c.charge_id = a.charge_id AND c.event_key = s.id
 WHERE a.account ~ '^o-' AND a.family = 'level';

-- ---- every incident has a charge that says why, and money that adds up ----
SELECT count(*) AS without_charge FROM billadj.anomaly a
 WHERE NOT EXISTS (SELECT FROM billadj.charge c WHERE c.account = a.account AND c.charge_id = a.charge_id AND c.meter = a.meter);
SELECT count(*) AS wrong_money FROM billadj.anomaly WHERE money_at_risk <> abs(excess);
-- money by the calculator: the row's charge less that of the expected quantity
SELECT a.meter, count(*) AS looked_at, count(*) FILTER (WHERE a.excess <> billadj.rate(p.price, c.quantity, c.quantity_before)
                                                                      - billadj.rate(p.price, round(a.expected::numeric, 6), c.quantity_before)) AS wrong
  FROM billadj.anomaly a JOIN billadj.charge c USING (account, charge_id)
  JOIN (VALUES ('calls', '{"model": "per_unit", "currency": "USD", "unit_amount": "0.02"}'::jsonb),
               ('gb', '{"model": "graduated", "currency": "USD", "tiers": [{"up_to": 50000, "unit_amount": "0.10"}, {"up_to": null, "unit_amount": "0.05"}]}')) AS p(meter, price)
    ON p.meter = a.meter
 WHERE a.observed = 90000 AND a.row_count = 1 AND a.family = 'level'
 GROUP BY 1 ORDER BY 1;

-- ---- rollback leaves no trace ----
CREATE TABLE kept AS SELECT account, meter, state FROM baselines;
CREATE FUNCTION changed() RETURNS bigint LANGUAGE sql AS $$
    SELECT count(*) FROM (SELECT account, meter, state FROM detect.baselines EXCEPT SELECT account, meter, state FROM detect.kept) x
$$;
SELECT count(*) AS n FROM billadj.anomaly \gset before_
BEGIN;
INSERT INTO one_by_one VALUES ('r1', 'o-acct-1', 'calls', 99999, '2024-03-01'), ('r2', 'new', 'calls', 5, '2024-03-01');
ROLLBACK;
BEGIN;
SAVEPOINT a;
INSERT INTO one_by_one VALUES ('r1', 'o-acct-1', 'calls', 99999, '2024-03-01');
SAVEPOINT b;
INSERT INTO one_by_one VALUES ('r2', 'o-acct-1', 'gb', 99999, '2024-03-01');
RELEASE b;
ROLLBACK TO a;
SAVEPOINT c;
INSERT INTO one_by_one VALUES ('r3', 'new', 'calls', 5, '2024-03-01');
ROLLBACK TO c;
COMMIT;
SELECT changed(), count(*) - :before_n AS anomalies FROM billadj.anomaly;
-- what is released stays, as if nothing else had been: the same rows in one
-- transaction without savepoints leave the same bytes
BEGIN;
INSERT INTO one_by_one VALUES ('s1', 'with', 'calls', 5, '2024-03-01');
SAVEPOINT a;
INSERT INTO one_by_one VALUES ('s2', 'with', 'calls', 6, '2024-03-01 01:00+00');
SAVEPOINT b;
INSERT INTO one_by_one VALUES ('s3', 'with', 'calls', 7, '2024-03-01 02:00+00');
RELEASE b;
SAVEPOINT b;
INSERT INTO one_by_one VALUES ('s4', 'with', 'calls', 70000, '2024-03-01 03:00+00');
ROLLBACK TO b;
RELEASE a;
INSERT INTO one_by_one VALUES ('s5', 'with', 'calls', 8, '2024-03-01 04:00+00');
COMMIT;
INSERT INTO one_by_one VALUES ('t1', 'plain', 'calls', 5, '2024-03-01'), ('t2', 'plain', 'calls', 6, '2024-03-01 01:00+00'),
    ('t3', 'plain', 'calls', 7, '2024-03-01 02:00+00'), ('t5', 'plain', 'calls', 8, '2024-03-01 04:00+00');
SELECT count(DISTINCT state) AS states FROM baselines WHERE account IN ('with', 'plain');
-- an error in a block of its own, and rows that come after
BEGIN;
DO $$
BEGIN
    INSERT INTO detect.one_by_one VALUES ('e1', 'block', 'calls', 5, '2024-03-01');
    PERFORM 1 / 0;
EXCEPTION WHEN division_by_zero THEN
    INSERT INTO detect.one_by_one VALUES ('e2', 'block', 'calls', 6, '2024-03-01');
END $$;
COMMIT;
SELECT billadj.explain_charge(c.charge_id) ->> 'quantity' AS charged, b.account FROM billadj.baseline b JOIN billadj.charge c USING (account, meter) WHERE account = 'block';

-- ---- detectors ----
INSERT INTO billadj.detector (meter, account, action, note) VALUES
    ('calls', 'held', 'hold', 'new here'), ('calls', 'proposed', 'propose', NULL), ('calls', 'refused', 'reject', NULL);
INSERT INTO billadj.detector (rule, account, min_money) VALUES ('spike', 'cheap', 1e6);
INSERT INTO billadj.detector (rule, account, parameters) VALUES ('spike', 'silent', '{"off": true}');
INSERT INTO billadj.detector (account, parameters) VALUES ('unwatched', '{"off": true}');
INSERT INTO billadj.detector (account, budget) VALUES ('frugal', 1);
INSERT INTO one_by_one
SELECT format('%s %s', a, g), a, 'calls', 100 + (hashtext(a || g) & 1023) % 40, timestamptz '2024-01-01' + g * interval '1 hour'
  FROM unnest(ARRAY['held', 'proposed', 'refused', 'cheap', 'silent', 'unwatched', 'frugal', 'flagged']) a, generate_series(0, 500) g;
INSERT INTO one_by_one SELECT a || ' spike', a, 'calls', 60000, timestamptz '2024-01-01' + 501 * interval '1 hour'
  FROM unnest(ARRAY['held', 'proposed', 'cheap', 'silent', 'unwatched', 'frugal', 'flagged']) a;
SELECT a.account, a.action, a.notified_at IS NOT NULL AS notified, round(a.money_at_risk, -1) AS money,
       (SELECT count(*) FROM billadj.hold h WHERE h.account = a.account AND h.charge_id = a.charge_id AND h.anomaly_id = a.anomaly_id) AS holds,
       (SELECT string_agg(p.kind || ' ' || round(p.delta, -1), ', ') FROM billadj.proposal p WHERE p.account = a.account AND p.charge_id = a.charge_id) AS proposed,
       (SELECT count(*) FROM billadj.outbox o WHERE o.account = a.account AND o.topic = 'anomaly_opened') AS told
  FROM billadj.anomaly a
 WHERE account IN ('held', 'proposed', 'refused', 'cheap', 'silent', 'unwatched', 'frugal', 'flagged') AND observed = 60000 ORDER BY 1;
SELECT account, count(*) AS charges, max(amount) FILTER (WHERE NOT billable) AS not_billable FROM billadj.billed WHERE account IN ('held', 'flagged') GROUP BY 1 ORDER BY 1;
SELECT account, count(*) FROM billadj.baseline WHERE account IN ('unwatched', 'silent') GROUP BY 1;
-- refused: the statement fails, the transaction may go on from a savepoint
BEGIN;
INSERT INTO one_by_one VALUES ('refused 501', 'refused', 'calls', 101, timestamptz '2024-01-01' + 501 * interval '1 hour');
SAVEPOINT a;
\set VERBOSITY sqlstate
INSERT INTO one_by_one VALUES ('refused 502', 'refused', 'calls', 60000, timestamptz '2024-01-01' + 502 * interval '1 hour');
ROLLBACK TO a;
-- what was rolled back is not known: the next one is refused too
INSERT INTO one_by_one VALUES ('refused 502', 'refused', 'calls', 60001, timestamptz '2024-01-01' + 502 * interval '1 hour');
\set VERBOSITY default
ROLLBACK TO a;
INSERT INTO one_by_one VALUES ('refused 503', 'refused', 'calls', 102, timestamptz '2024-01-01' + 502 * interval '1 hour');
COMMIT;
SELECT count(*) FROM one_by_one WHERE account = 'refused';
-- one that is not active is as if it were not there
UPDATE billadj.detector SET active = false WHERE account = 'refused';
INSERT INTO one_by_one VALUES ('refused 504', 'refused', 'calls', 60000, timestamptz '2024-01-01' + 503 * interval '1 hour');
SELECT DISTINCT action FROM billadj.anomaly WHERE account = 'refused';
-- the budget: the second incident of a month is listed; a larger one is told
INSERT INTO one_by_one SELECT 'frugal ' || g, 'frugal', 'calls', CASE g WHEN 600 THEN 9000 WHEN 690 THEN 5000000 ELSE 100 + (hashtext('frugal' || g) & 1023) % 40 END,
       timestamptz '2024-01-01' + g * interval '1 hour' FROM generate_series(502, 720) g;
SELECT occurred_at, notified_at IS NOT NULL AS notified FROM billadj.anomaly WHERE account = 'frugal' AND observed > 1000 ORDER BY occurred_at;
-- what is of a rule may stand at the rule, what is of the stream may not; what a detector leaves out is what a less particular one says
INSERT INTO billadj.detector (rule, account, parameters) VALUES ('future', 'ruled', '{"future_hours": 100}'), ('spike', 'ruled', '{"threshold": 0.55}');
INSERT INTO billadj.detector (account, threshold) VALUES ('ruled', 0.9);
INSERT INTO billadj.detector (rule, account, action) VALUES ('negative', 'ruled', 'hold');
INSERT INTO billadj.detector (rule, account, parameters) VALUES ('spike', 'ruled', '{"new_normal_days": 3}');
INSERT INTO billadj.detector (rule, account, parameters) VALUES ('spike', 'ruled', '{"threshold": 3}');
INSERT INTO one_by_one SELECT a || ' 1', a, 'calls', 100, now() + interval '2 days' FROM unnest(ARRAY['ruled', 'unruled']) a;
SELECT account, rule FROM billadj.anomaly WHERE account ~ 'ruled$' ORDER BY 1;
SELECT r AS rule, p.action, p.threshold FROM unnest(ARRAY['future', 'negative', 'spike']) r, billadj.detector_policy('ruled', 'calls', r) p ORDER BY 1;

-- ---- a row that repeats another is looked up before it is called so ----
-- Rows that come late look like one of the last 64 by chance, one in a thousand
-- where all quantities are the same.
INSERT INTO one_by_one SELECT format('%s %s', a, g), a, 'calls', 5, timestamptz '2024-01-01' + g * interval '1 hour'
  FROM (SELECT 'chance-' || n FROM generate_series(1, 40) n) x(a), generate_series(0, 100) g;
INSERT INTO one_by_one SELECT format('%s late %s', a, g), a, 'calls', 5, timestamptz '2024-01-05 04:00+00' - g * interval '1 second'
  FROM (SELECT 'chance-' || n FROM generate_series(1, 40) n) x(a), generate_series(1, 300) g;
SELECT count(*) AS by_chance FROM billadj.anomaly WHERE account ~ '^chance' AND rule = 'duplicate';
-- rows of nine accounts, some of which come again
INSERT INTO one_by_one SELECT format('%s %s', a, g), a, 'calls', 5, timestamptz '2024-01-01' + g * interval '1 hour'
  FROM (SELECT 'twice-' || n FROM generate_series(1, 9) n) x(a), generate_series(0, 100) g;
-- true ones, of which the explanation names the row that came first
INSERT INTO one_by_one SELECT 'twice-1 again ' || g, 'twice-1', 'calls', 5, timestamptz '2024-01-01' + g * interval '1 hour' FROM generate_series(98, 100) g;
-- one that was taken back is not repeated; one that was moved within its period is
DELETE FROM one_by_one WHERE id = 'twice-2 100';
UPDATE one_by_one SET at = at - interval '1 minute' WHERE id = 'twice-3 100';
INSERT INTO one_by_one SELECT a || ' again', a, 'calls', 5, '2024-01-05 04:00+00' FROM unnest(ARRAY['twice-2', 'twice-3']) a;
-- within one statement
INSERT INTO one_by_one SELECT 'twice-4 again ' || g, 'twice-4', 'calls', 7, '2024-01-05 04:00+00' FROM generate_series(1, 2) g;
SELECT a.account, a.row_count, excess, detail -> 'confirmed' AS confirmed, detail #>> '{repeats,event_key}' AS first_key, c.event_key,
       (detail #>> '{repeats,received_at}')::timestamptz = c.created_at AS received, notified_at IS NOT NULL AS notified
  FROM billadj.anomaly a LEFT JOIN billadj.charge c ON c.charge_id = (detail #>> '{repeats,charge_id}')::bigint
 WHERE a.account ~ '^twice' AND rule = 'duplicate' ORDER BY a.account;
SELECT regexp_replace(billadj.explain_anomaly(anomaly_id) ->> 'sentence', 'received on .* UTC', 'received on …') AS sentence
  FROM billadj.anomaly WHERE account = 'twice-1' AND rule = 'duplicate';
-- an index by account is used where there is one
CREATE INDEX charge_for_looks ON billadj.charge (account, occurred_at);
DELETE FROM one_by_one WHERE id = 'twice-5 100';
INSERT INTO one_by_one SELECT a || ' again', a, 'calls', 5, '2024-01-05 04:00+00' FROM unnest(ARRAY['twice-5', 'twice-6']) a;
SELECT account, detail #>> '{repeats,event_key}' AS first_key FROM billadj.anomaly WHERE account IN ('twice-5', 'twice-6') AND rule = 'duplicate';
DROP INDEX billadj.charge_for_looks;
-- refused only where it is certain
INSERT INTO billadj.detector (rule, account, action) VALUES ('duplicate', 'twice-7', 'reject');
\set VERBOSITY sqlstate
INSERT INTO one_by_one VALUES ('twice-7 again', 'twice-7', 'calls', 5, '2024-01-05 04:00+00');
\set VERBOSITY default
DELETE FROM one_by_one WHERE id = 'twice-7 100';
INSERT INTO one_by_one VALUES ('twice-7 again', 'twice-7', 'calls', 5, '2024-01-05 04:00+00');
-- far back in a month without an index: nobody is told before it was looked up
SELECT count(*) > 0 AS remapped FROM billadj.remap('one_by_one', detect => false);
INSERT INTO one_by_one SELECT 'filler ' || g, 'filler', 'calls', 1, '2024-01-05' FROM generate_series(1, 200000) g;
SELECT count(*) > 0 AS remapped FROM billadj.remap('one_by_one', detect => true);
INSERT INTO billadj.detector (rule, account, action, min_money) VALUES ('duplicate', 'twice-8', 'hold', 0);
DELETE FROM one_by_one WHERE id IN ('twice-9 100');
INSERT INTO one_by_one SELECT a || ' again', a, 'calls', 50, '2024-01-05 04:00+00' FROM unnest(ARRAY['twice-8', 'twice-9']) a;
INSERT INTO one_by_one SELECT a || ' again ' || g, a, 'calls', 5, timestamptz '2024-01-01' + g * interval '1 hour' FROM unnest(ARRAY['twice-8', 'twice-9']) a, generate_series(99, 100) g
 WHERE a = 'twice-8' OR g = 100;
SELECT account, row_count, detail, notified_at IS NOT NULL AS notified, (SELECT count(*) FROM billadj.open_anomaly o WHERE o.anomaly_id = a.anomaly_id) AS shown,
       (SELECT count(*) FROM billadj.hold h WHERE h.anomaly_id = a.anomaly_id) AS holds, billadj.explain_anomaly(anomaly_id) ->> 'sentence' AS sentence
  FROM billadj.anomaly a WHERE account IN ('twice-8', 'twice-9') AND rule = 'duplicate' ORDER BY account;
-- its day passes before it was looked up: it waits on, and whoever is told then has a day to see it
INSERT INTO one_by_one SELECT a || ' next day', a, 'calls', 5, '2024-01-06 00:00+00' FROM unnest(ARRAY['twice-8', 'twice-9']) a;
SELECT account, state, closes_at FROM billadj.anomaly WHERE account IN ('twice-8', 'twice-9') AND rule = 'duplicate' ORDER BY account;
SELECT account, rule, state FROM billadj.detect_due('2024-01-06 00:10+00') WHERE rule = 'duplicate';
SELECT account, closes_at > now() AS shown_on FROM billadj.open_anomaly WHERE account IN ('twice-8', 'twice-9') AND rule = 'duplicate' ORDER BY account;
SELECT account, state, row_count, detail -> 'confirmed' AS confirmed, detail #>> '{repeats,event_key}' AS first_key, notified_at IS NOT NULL AS notified
  FROM billadj.anomaly WHERE account IN ('twice-8', 'twice-9') AND rule = 'duplicate' ORDER BY account;
SELECT count(*) AS again FROM billadj.confirm_duplicates();

-- ---- what single rows did is told by the day ----
-- a stream with a negative, a late, a repeated row; then its next days
CREATE TABLE days AS
SELECT row_number() OVER () AS n, v.*
  FROM (SELECT format('%s', g) AS id, 100 + (hashtext('day' || g) & 1023) % 40 AS quantity, timestamptz '2024-01-01' + g * interval '1 hour' AS at FROM generate_series(0, 130) g
        UNION ALL VALUES ('negative', -5, timestamptz '2024-01-06 11:00+00'), ('again', 100 + (hashtext('day130') & 1023) % 40, '2024-01-06 10:00+00'),
                         ('negative too', -7, '2024-01-06 12:00+00')
        UNION ALL SELECT format('%s', g), 100 + (hashtext('day' || g) & 1023) % 40, timestamptz '2024-01-01' + g * interval '1 hour' FROM generate_series(133, 143) g) v;
CREATE VIEW day_found AS
SELECT account, rule, occurred_at, row_count, excess, state, closes_at, closed_because, charge_id IS NOT NULL AS charged FROM billadj.anomaly WHERE account ~ '^day-' AND family = 'row';
INSERT INTO billadj.detector (rule, account, action, min_money) VALUES ('negative', 'day-1', 'hold', 0);
DO $$
DECLARE r record;
BEGIN
    FOR r IN SELECT * FROM detect.days ORDER BY n LOOP
        INSERT INTO detect.one_by_one VALUES ('day-1 ' || r.id, 'day-1', 'calls', r.quantity, r.at);
        COMMIT;
    END LOOP;
END $$;
INSERT INTO one_by_one SELECT a || ' ' || id, a, 'calls', quantity, at FROM days, unnest(ARRAY['day-2', 'day-3', 'day-4']) a;
-- rows of days before belong to the day on which they came
INSERT INTO one_by_one SELECT format('%s late %s', a, d), a, 'calls', 300 + d, timestamptz '2024-01-01 02:30+00' + d * interval '1 day' FROM unnest(ARRAY['day-1', 'day-2', 'day-3', 'day-4']) a, generate_series(2, 4) d;
SELECT rule, occurred_at, row_count, excess, state, closes_at, count(*) AS streams FROM day_found GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY 1;
SELECT count(DISTINCT state) AS states FROM baselines WHERE account ~ '^day-';
-- by the first row of the next day, alone or in one statement with what came before; by detect_due()
INSERT INTO one_by_one SELECT a || ' next', a, 'calls', 111, '2024-01-07 00:00+00' FROM unnest(ARRAY['day-1', 'day-2']) a;
INSERT INTO one_by_one SELECT 'day-5 ' || id, 'day-5', 'calls', quantity, at FROM (SELECT * FROM days UNION ALL SELECT 1000, 'next', 111, '2024-01-07 00:00+00') x;
SELECT count(DISTINCT state) AS states FROM baselines WHERE account IN ('day-1', 'day-2');
SELECT count(*) AS too_early FROM billadj.detect_due('2024-01-06 23:59+00') WHERE account ~ '^day-';
SELECT account, rule, state FROM billadj.detect_due('2024-01-07 00:00+00') WHERE account ~ '^day-' ORDER BY 1, 2;
SELECT count(*) AS again FROM billadj.detect_due('2024-01-07 00:00+00') WHERE account ~ '^day-';
SELECT state, closed_because, count(DISTINCT account) AS streams, count(*) FROM day_found GROUP BY 1, 2;
INSERT INTO one_by_one VALUES ('day-3 next', 'day-3', 'calls', 111, '2024-01-07 00:00+00'), ('day-4 next', 'day-4', 'calls', 111, '2024-01-07 00:00+00');
SELECT count(DISTINCT state) AS states FROM baselines WHERE account ~ '^day-[1-4]';
SELECT rule, occurred_at, row_count, excess, state, closed_because, count(*) AS streams FROM day_found GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY 1;
-- a row of which the rule has more to say opens an incident of the level by what was expected of it
INSERT INTO one_by_one SELECT format('wild %s', g), 'wild', 'calls', CASE WHEN g = 400 THEN -1500 ELSE 200 + (hashtext('wild' || g) & 1023) END, timestamptz '2024-01-01' + g * interval '1 hour' FROM generate_series(0, 400) g;
SELECT rule, family, observed, expected > 500 AS expected, lower_bound IS NULL AS no_range, ratio < 0 AS less, score < 0.9 AS less_sure,
       round(excess, 4) = round((observed - CASE family WHEN 'level' THEN expected ELSE 0 END)::numeric * 0.02, 4) AS money,
       regexp_replace(billadj.explain_anomaly(anomaly_id) ->> 'sentence', 'about \d+', 'about …') AS sentence
  FROM billadj.anomaly WHERE account = 'wild' ORDER BY family;
-- another day, another incident; what is held stays so, and a verdict may still come
INSERT INTO one_by_one VALUES ('day-1 other', 'day-1', 'calls', -9, '2024-01-07 01:00+00');
SELECT rule, occurred_at, state, (SELECT count(*) FROM billadj.hold h WHERE h.anomaly_id = a.anomaly_id AND h.ended_at IS NULL) AS held
  FROM billadj.anomaly a WHERE account = 'day-1' AND rule = 'negative' ORDER BY occurred_at;
SELECT count(billadj.record_verdict(anomaly_id, 'error')) AS judged FROM billadj.anomaly WHERE account = 'day-1' AND rule = 'negative';
SELECT rule, occurred_at, state, closed_because FROM billadj.anomaly WHERE account = 'day-1' AND rule = 'negative' ORDER BY occurred_at;
SELECT count(*) AS shown FROM billadj.open_anomaly WHERE account ~ '^day-' AND family = 'row';
-- what is held waits on in a list of its own
SELECT account, meter, rule, anomaly_state, verdict, count(*) AS charges, count(asked) AS asked FROM billadj.open_hold WHERE account = 'day-1' GROUP BY 1, 2, 3, 4, 5 ORDER BY 4;
-- a stream of nothing but a row in the future, which has no day of its own yet
INSERT INTO one_by_one VALUES ('day-6', 'day-6', 'calls', 5, now() + interval '400 days');
SELECT rule, state, closes_at > now() AND closes_at <= now() + interval '1 day' AS closes FROM billadj.anomaly WHERE account = 'day-6';
SELECT account, rule, state FROM billadj.detect_due(now() + interval '1 day') WHERE account = 'day-6';

-- ---- bytes that are none ----
UPDATE billadj.baseline SET state = '\xdeadbeef' WHERE account = 'flagged';
UPDATE billadj.anomaly SET trusted = '\x00' WHERE account = 'held';
INSERT INTO one_by_one SELECT a || ' after', a, 'calls', 100, timestamptz '2024-01-01' + 502 * interval '1 hour' FROM unnest(ARRAY['flagged', 'held']) a;
SELECT account, problem, length(state) > 1000 AS whole FROM billadj.baseline WHERE account IN ('flagged', 'held') ORDER BY 1;
SELECT account, state FROM billadj.anomaly WHERE account IN ('flagged', 'held') AND observed = 60000 ORDER BY 1;

-- whatever the bytes are, the host's INSERT succeeds, is charged, and the stream goes on
INSERT INTO one_by_one SELECT format('%s %s', a, g), a, 'calls', 100 + g * 7 % 13 + CASE WHEN g = 590 THEN 50000 ELSE 0 END, timestamptz '2024-01-01' + g * interval '10 minutes'
  FROM (SELECT 'harm-' || n FROM generate_series(0, 59) n) x(a), generate_series(0, 600) g;
CREATE FUNCTION harmed(bytes bytea, n integer) RETURNS bytea LANGUAGE sql AS $$
    SELECT CASE n % 6
           WHEN 0 THEN substring(bytes FOR n * 25)
           WHEN 1 THEN bytes || '\x00'
           WHEN 2 THEN (SELECT decode(string_agg(md5(format('%s %s', n, i)), ''), 'hex') FROM generate_series(1, n * 2) i)
           WHEN 3 THEN set_byte(bytes, n * 37 % length(bytes), 255 - get_byte(bytes, n * 37 % length(bytes)))
           WHEN 4 THEN substring((SELECT decode(string_agg(md5(format('%s %s', n, i)), ''), 'hex') FROM generate_series(1, 200) i) FOR length(bytes))
           ELSE '' END
$$;
UPDATE billadj.baseline SET state = harmed(state, substr(account, 6)::integer) WHERE account ~ '^harm-' AND substr(account, 6)::integer < 30;
UPDATE billadj.open_bucket SET state = harmed(state, substr(account, 6)::integer) WHERE account ~ '^harm-' AND substr(account, 6)::integer BETWEEN 15 AND 44;
UPDATE billadj.anomaly SET trusted = harmed(trusted, substr(account, 6)::integer) WHERE account ~ '^harm-' AND substr(account, 6)::integer >= 45 AND trusted IS NOT NULL;
SET client_min_messages = error;
INSERT INTO one_by_one SELECT format('%s %s', a, g), a, 'calls', 100, timestamptz '2024-01-01' + g * interval '10 minutes'
  FROM (SELECT 'harm-' || n FROM generate_series(0, 59) n) x(a), generate_series(601, 620) g;
SET client_min_messages = warning;
SELECT (SELECT count(*) FROM one_by_one WHERE account ~ '^harm-') - count(*) AS not_charged FROM billadj.charge WHERE account ~ '^harm-';
SELECT count(*) AS streams, count(*) FILTER (WHERE r.rows > 0) AS sound,
       count(*) FILTER (WHERE problem IS NOT NULL AND substr(b.account, 6)::integer < 30) AS named
  FROM billadj.baseline b, billadj.read_baseline(b.account, b.meter, b.state) r WHERE b.account ~ '^harm-';
SELECT DISTINCT state FROM billadj.anomaly WHERE account ~ '^harm-' AND rule = 'spike' AND substr(account, 6)::integer >= 45;
SELECT count(*) > 0 AS rebuilt, count(*) FILTER (WHERE billadj.rebuild_baseline(account, meter) = 621) = count(*) AS whole FROM billadj.baseline WHERE account ~ '^harm-[12]';

-- ---- under tiers the open hour stands beside the newest total ----
-- through the end of a month, and a price that follows within one
SELECT count(*) > 0 AS imported FROM billadj.import_rate_card('{"code": "detect-more", "priority": 1, "currency": "USD", "prices": [
    {"meter": "gb", "model": "graduated", "tiers": [{"up_to": 20000, "unit_amount": "0.11"}, {"up_to": null, "unit_amount": "0.04"}]}]}', '[2024-01-20, 2024-01-27)');
TRUNCATE ordered;
INSERT INTO ordered
SELECT row_number() OVER (ORDER BY at, id), s.*
  FROM (SELECT format('6-gb-%s', lpad(g::text, 6, '0')) AS id, 'acct-6', 'gb', CASE WHEN g = 3500 THEN 40000 ELSE 1 + (hashtext('q' || g) & 1023) % 90 END,
               timestamptz '2024-01-01 00:00+00' + g * interval '10 minutes' + (hashtext('t' || g) & 1023) % 29 * interval '1 minute' + g % 60 * interval '1 second' AS at
          FROM generate_series(0, 5000) g) s;
INSERT INTO by_copy SELECT id, 'c-' || account, meter, quantity, at FROM ordered;
CALL load_in('by_hundred', 'h-', 100);
CALL load_in('one_by_one', 'o-', 1);
SELECT count(*) AS ways, count(DISTINCT state) AS states, bool_and(by_bucket) AS by_bucket FROM baselines WHERE account ~ 'acct-6';
SELECT o.account, o.state = '' AS elsewhere, o.period_start, count(*) FILTER (WHERE t.bucket <> '') AS buckets, count(*) AS totals, max(t.period_start) AS newest
  FROM billadj.open_bucket o JOIN billadj.tier_total t USING (account, meter) WHERE account ~ 'acct-6' GROUP BY o.account, o.meter ORDER BY 1;
SELECT account, meter FROM billadj.open_bucket WHERE meter = 'calls' AND (state = '' OR period_start IS NOT NULL);
-- late for the hour, in a total that is not the newest: not learned, and it stays where it is
INSERT INTO one_by_one VALUES ('6 late', 'o-acct-6', 'gb', 3, '2024-01-31 22:00+00');
SELECT rule, observed FROM billadj.anomaly WHERE account = 'o-acct-6' AND rule = 'late';
SELECT t.period_start, t.bucket <> '' AS bucket FROM billadj.tier_total t WHERE account = 'o-acct-6' ORDER BY 1, 2;
-- a price per unit again: the hour stays beside the total, which is written for it
SELECT count(*) > 0 AS imported FROM billadj.import_rate_card('{"code": "detect-unit", "priority": 2, "currency": "USD", "prices": [{"meter": "gb", "model": "per_unit", "unit_amount": "0.11"}]}', '[2024-02-05,)');
INSERT INTO one_by_one SELECT '6-unit-' || g, a, 'gb', g % 7, timestamptz '2024-02-05 02:00+00' + g * interval '13 minutes' FROM generate_series(0, 40) g, unnest(ARRAY['o-acct-6']) a;
INSERT INTO by_hundred SELECT '6-unit-' || g, 'h-acct-6', 'gb', g % 7, timestamptz '2024-02-05 02:00+00' + g * interval '13 minutes' FROM generate_series(0, 40) g;
INSERT INTO by_copy VALUES ('6 late', 'c-acct-6', 'gb', 3, '2024-01-31 22:00+00');
INSERT INTO by_hundred VALUES ('6 late', 'h-acct-6', 'gb', 3, '2024-01-31 22:00+00');
INSERT INTO by_copy SELECT '6-unit-' || g, 'c-acct-6', 'gb', g % 7, timestamptz '2024-02-05 02:00+00' + g * interval '13 minutes' FROM generate_series(0, 40) g;
SELECT count(*) AS ways, count(DISTINCT r.rows) AS rows FROM baselines b, billadj.read_baseline(b.account, b.meter, b.state) r WHERE account ~ 'acct-6';
SELECT o.account, o.period_start, count(*) FILTER (WHERE t.bucket <> '') AS buckets
  FROM billadj.open_bucket o JOIN billadj.tier_total t USING (account, meter) WHERE account ~ 'acct-6' GROUP BY o.account, o.period_start ORDER BY 1;
-- its bytes damaged, its total taken away, its baseline forgotten: usage goes on
INSERT INTO one_by_one SELECT format('%s %s', a, g), a, 'gb', 100 + g * 7 % 13, timestamptz '2024-01-01' + g * interval '10 minutes' + (hashtext('t' || g) & 1023) % 29 * interval '1 minute'
  FROM (SELECT 'beside-' || n FROM generate_series(0, 29) n) x(a), generate_series(0, 600) g;
SELECT count(*) AS beside FROM billadj.tier_total WHERE account ~ '^beside-' AND bucket <> '';
UPDATE billadj.tier_total SET bucket = harmed(bucket, substr(account, 8)::integer) WHERE account ~ '^beside-' AND substr(account, 8)::integer < 18;
DELETE FROM billadj.tier_total WHERE account ~ '^beside-' AND substr(account, 8)::integer BETWEEN 18 AND 21;
DELETE FROM billadj.open_bucket WHERE account ~ '^beside-' AND substr(account, 8)::integer BETWEEN 22 AND 25;
DELETE FROM billadj.baseline WHERE account ~ '^beside-' AND substr(account, 8)::integer BETWEEN 24 AND 27;
SET client_min_messages = error;
INSERT INTO one_by_one SELECT format('%s %s', a, g), a, 'gb', 100, timestamptz '2024-01-01' + g * interval '10 minutes' + (hashtext('t' || g) & 1023) % 29 * interval '1 minute'
  FROM (SELECT 'beside-' || n FROM generate_series(0, 29) n) x(a), generate_series(601, 640) g;
SET client_min_messages = warning;
SELECT (SELECT count(*) FROM one_by_one WHERE account ~ '^beside-') - count(*) AS not_charged FROM billadj.charge WHERE account ~ '^beside-';
SELECT count(*) AS streams, count(*) FILTER (WHERE r.rows > 0) AS sound, count(*) FILTER (WHERE problem IS NOT NULL) AS named
  FROM billadj.stream_states() b, billadj.read_baseline(b.account, b.meter, b.state) r WHERE b.account ~ '^beside-';
-- one hour each, where open_bucket says that it is
SELECT count(*) AS streams, count(*) FILTER (WHERE t.buckets > 1 OR t.wrong) AS wrong
  FROM billadj.baseline b
  LEFT JOIN billadj.open_bucket o USING (account, meter)
 CROSS JOIN LATERAL (SELECT count(*) AS buckets, bool_or((t.period_start, t.price_id) IS DISTINCT FROM (o.period_start, o.price_id)) AS wrong
                       FROM billadj.tier_total t WHERE t.account = b.account AND t.meter = b.meter AND t.bucket <> '') t
 WHERE account ~ '^beside-' AND account !~ '2[23]$';

-- what was known of an account is taken away, but for the hour beside its total; it comes again, and a late row reaches that total
INSERT INTO one_by_one SELECT 'anew ' || g, 'anew', 'gb', 100 + g * 7 % 13, timestamptz '2024-01-01' + g * interval '10 minutes' + (hashtext('t' || g) & 1023) % 29 * interval '1 minute' FROM generate_series(0, 300) g;
DELETE FROM billadj.open_bucket WHERE account = 'anew';
DELETE FROM billadj.baseline WHERE account = 'anew';
INSERT INTO one_by_one SELECT 'anew ' || g, 'anew', 'gb', 100 + g * 7 % 13, timestamptz '2024-02-01' + (g - 301) * interval '10 minutes' + (hashtext('t' || g) & 1023) % 29 * interval '1 minute' FROM generate_series(301, 500) g;
-- the first that is late on a day is told of, so that of the second nothing is to be said
INSERT INTO one_by_one VALUES ('anew late', 'anew', 'gb', 100, '2024-02-01 03:00');
INSERT INTO one_by_one VALUES ('anew later', 'anew', 'gb', 100, '2024-01-02 03:00');
SELECT t.period_start, t.bucket <> '' AS bucket, o.period_start = t.period_start AS said FROM billadj.tier_total t JOIN billadj.open_bucket o USING (account, meter) WHERE account = 'anew' ORDER BY 1;
SELECT r.rows FROM baselines b, billadj.read_baseline(b.account, b.meter, b.state) r WHERE account = 'anew';
-- rows that repeat each other at an hour's end
INSERT INTO one_by_one SELECT 'again ' || g, 'again', 'gb', 100 + g * 7 % 13, timestamptz '2024-02-01' + g * interval '10 minutes' + (hashtext('t' || g) & 1023) % 29 * interval '1 minute' FROM generate_series(0, 300) g;
INSERT INTO one_by_one SELECT 'again and ' || g, 'again', 'gb', 103, '2024-02-03 03:05' FROM generate_series(1, 3) g;
SELECT rule, row_count, detail -> 'confirmed' AS confirmed FROM billadj.anomaly WHERE account = 'again' AND rule <> 'near_duplicate';
-- rows that become regular are judged one by one; the head stays beside the total of an old price, as the lock that it is
INSERT INTO one_by_one SELECT 'steady ' || g, 'steady', 'gb', 100 + g * 7 % 13, timestamptz '2024-02-01' + g * interval '10 minutes' + (hashtext('t' || g) & 1023) % 29 * interval '1 minute' FROM generate_series(0, 300) g;
SELECT count(*) AS beside FROM billadj.tier_total WHERE account = 'steady' AND bucket <> '';
INSERT INTO one_by_one SELECT 'steady ' || g, 'steady', 'gb', 100 + g * 7 % 13, timestamptz '2024-02-05 02:00' + (g - 301) * interval '1 hour' FROM generate_series(301, 700) g;
SELECT count(*) AS beside FROM billadj.tier_total WHERE account = 'steady' AND bucket <> '';
INSERT INTO one_by_one SELECT 'steady ' || g, 'steady', 'gb', 100 + g * 7 % 13, timestamptz '2024-02-05 02:00' + (g - 301) * interval '1 hour' FROM generate_series(701, 710) g;
SELECT r.rows FROM baselines b, billadj.read_baseline(b.account, b.meter, b.state) r WHERE account = 'steady';
-- what somebody put there by hand is set right by its next row
UPDATE billadj.open_bucket SET state = (SELECT state FROM billadj.open_bucket WHERE account = 'c-acct-5' AND meter = 'calls'), period_start = NULL, price_id = NULL WHERE account = 'steady';
INSERT INTO one_by_one VALUES ('steady 711', 'steady', 'gb', 105, '2024-02-22 04:00');
SELECT count(*) AS there, count(*) FILTER (WHERE a.state = b.state) AS same FROM billadj.open_bucket a, billadj.open_bucket b WHERE a.account = 'steady' AND b.account = 'c-acct-5' AND b.meter = 'calls';
SELECT r.rows FROM baselines b, billadj.read_baseline(b.account, b.meter, b.state) r WHERE account = 'steady';

-- ---- a hold that cannot be kept is told of ----
INSERT INTO billadj.detector (account, action, min_money) VALUES ('loose', 'hold', 0);
INSERT INTO one_by_one SELECT 'loose ' || g, 'loose', 'calls', 100 + (hashtext('loose' || g) & 1023) % 40, timestamptz '2024-01-01' + g * interval '1 hour' FROM generate_series(0, 500) g;
ALTER TABLE billadj.hold RENAME part_of TO part;
SELECT code, message FROM billadj.self_check() WHERE code ~ 'column';
\set VERBOSITY sqlstate
INSERT INTO one_by_one SELECT 'loose 501', 'loose', 'calls', 60000, timestamptz '2024-01-01' + 501 * interval '1 hour';
\set VERBOSITY default
ALTER TABLE billadj.hold RENAME part TO part_of;
SELECT a.action, (SELECT count(*) FROM billadj.hold h WHERE h.account = 'loose') AS held FROM billadj.anomaly a WHERE account = 'loose' AND family = 'level';

-- ---- not looked at ----
SELECT count(*) > 0 AS remapped FROM billadj.remap('one_by_one', detect => false);
INSERT INTO one_by_one VALUES ('off 1', 'off', 'calls', 5, '2024-03-01');
SELECT count(*) AS baselines, (SELECT count(*) FROM billadj.charge WHERE account = 'off') AS charges FROM billadj.baseline WHERE account = 'off';
SELECT count(*) > 0 AS remapped FROM billadj.remap('one_by_one', detect => true);

-- ---- prices ----
SELECT count(*) > 0 AS imported FROM billadj.import_rate_card('{"code": "wrong", "account": "priced", "currency": "USD", "prices": [
    {"meter": "calls", "model": "per_unit", "unit_amount": "2"}]}', '[2024-01-11, 2024-01-12)');
INSERT INTO one_by_one SELECT 'priced ' || g, 'priced', 'calls', 100 + (hashtext('priced' || g) & 1023) % 40, timestamptz '2024-01-01' + g * interval '1 hour' FROM generate_series(0, 300) g;
SELECT rule, family, occurred_at, observed, expected, row_count, round(excess, 6) AS excess, state FROM billadj.anomaly WHERE account = 'priced' AND family = 'price';

-- ---- what backfill charges is learned by choice ----
-- tables whose rows lie in no order of time, in many blocks; streams that know their newer rows already
CREATE TABLE history (id text PRIMARY KEY, account text NOT NULL, quantity numeric NOT NULL, at timestamptz NOT NULL, filler text DEFAULT repeat('x', 200));
CREATE TABLE history_too (LIKE history INCLUDING ALL);
CREATE VIEW history_rows AS
SELECT format('%s %s', a, g) AS id, a AS account, (100 + (hashtext('h' || g) & 1023) % 40 + CASE WHEN g = 450 AND a <> 'hist-1' THEN 9000 ELSE 0 END)::numeric AS quantity,
       timestamptz '2024-01-01' + g * interval '1 hour' AS at
  FROM unnest(ARRAY['hist-1', 'hist-2', 'hist-3']) a, generate_series(0, 800) g;
INSERT INTO history SELECT * FROM history_rows WHERE at < '2024-01-25' AND account <> 'hist-3' ORDER BY md5(id);
INSERT INTO history_too SELECT * FROM history_rows WHERE at < '2024-01-25' AND account = 'hist-3' ORDER BY md5(id);
SELECT r, (SELECT count(*) > 0 FROM billadj.attach(r::regclass, account => 'account', occurred_at => 'at', meter => 'calls', quantity => 'quantity')) AS attached
  FROM unnest(ARRAY['history', 'history_too']) r;
INSERT INTO history SELECT * FROM history_rows WHERE at >= '2024-01-25' AND account <> 'hist-3' ORDER BY at;
INSERT INTO history_too SELECT * FROM history_rows WHERE at >= '2024-01-25' AND account = 'hist-3' ORDER BY at;
CREATE VIEW learned AS SELECT b.account, r.rows, b.state FROM baselines b, billadj.read_baseline(b.account, b.meter, b.state) r WHERE b.account ~ '^hist';
CREATE TABLE before AS SELECT * FROM learned;
SELECT account, rows FROM before ORDER BY 1;
-- not asked for: nothing is learned, nor told of the spike
CALL billadj.backfill('history_too', 600);
SELECT (SELECT count(*) FROM billadj.charge WHERE account = 'hist-3' AND cause = 'backfill') AS charged, b.state = k.state AS same FROM before k JOIN learned b USING (account) WHERE account = 'hist-3';
-- asked for: interrupted after two batches, then on to the end; another call has nothing to do
SELECT attachment_id AS history FROM billadj.attachment WHERE relation_name = 'history' \gset
SELECT blocks > 20 AS many FROM billadj.backfill_begin(:history, 'history');
SELECT billadj.backfill_batch(:history, 'history', 400, true) > 0 AS more;
SELECT billadj.backfill_batch(:history, 'history', 400, true) > 0 AS more;
SELECT b.account, m.meter, b.state = k.state AS same FROM before k JOIN learned b USING (account) JOIN billadj.backfill_stream m USING (account) ORDER BY 1;
CALL billadj.backfill('history', 400, learn => true);
SELECT account, rows, (SELECT count(*) FROM history h WHERE h.account = l.account) AS in_table FROM learned l WHERE account <> 'hist-3' ORDER BY 1;
SELECT count(*) AS told FROM billadj.anomaly WHERE account ~ '^hist';
CREATE TABLE after AS SELECT * FROM learned;
CALL billadj.backfill('history', 400, learn => true);
SELECT count(*) FILTER (WHERE b.state = k.state) AS same, (SELECT count(*) FROM billadj.backfill_stream) AS waiting FROM after k JOIN learned b USING (account);
-- the bytes are those of the same rows inserted in the order of time
INSERT INTO one_by_one SELECT 'o ' || id, 'hist-o', 'calls', quantity, at FROM history_rows WHERE account = 'hist-1' ORDER BY at;
SELECT count(DISTINCT state) AS states FROM learned WHERE account IN ('hist-1', 'hist-o');
-- what comes after is judged by it
INSERT INTO history SELECT 'again ' || account, account, 9000, timestamptz '2024-01-01' + 801 * interval '1 hour' FROM unnest(ARRAY['hist-1', 'hist-2']) account;
SELECT account, rule FROM billadj.anomaly WHERE account ~ '^hist-[12]' ORDER BY 1;
-- each command must see what was committed before it
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT billadj.backfill_learn(:history, 10);
ROLLBACK;
SET default_transaction_isolation = 'repeatable read';
CALL billadj.backfill('history', learn => true);
RESET default_transaction_isolation;

-- ---- projected to the end of the period that is billed ----
SELECT count(*) > 0 AS imported FROM billadj.import_plan('{"plan": "monthly", "currency": "USD", "prices": [{"model": "flat", "flat_amount": 20}]}');
SELECT count(*) > 0 AS imported FROM billadj.import_plan('{"plan": "weekly", "currency": "USD", "every": "1 week", "prices": [{"model": "flat", "flat_amount": 20}]}');
SELECT count(*) > 0 AS imported FROM billadj.import_plan('{"plan": "quarterly", "currency": "USD", "every": "3 months", "prices": [{"model": "flat", "flat_amount": 20}]}');
INSERT INTO billadj.account (account, time_zone) VALUES ('period tokyo', 'Asia/Tokyo');
SELECT billadj.subscribe('period from the 20th', 'monthly', '2024-01-20', as_of => '2024-01-20', charge => false) > 0 AS s;
SELECT billadj.subscribe('period of a week', 'weekly', '2023-12-27', as_of => '2023-12-27', charge => false) > 0 AS s;
SELECT billadj.subscribe('period of a quarter', 'quarterly', '2023-12-15', as_of => '2023-12-15', charge => false) > 0 AS s;
INSERT INTO one_by_one
SELECT format('%s %s', a, g), a, 'calls', (CASE WHEN g BETWEEN 840 AND 990 THEN 3 ELSE 1 END) * (100 + (hashtext('period' || g) & 1023) % 40), timestamptz '2024-01-01' + g * interval '1 hour'
  FROM unnest(ARRAY['period', 'period tokyo', 'period from the 20th', 'period of a week', 'period of a quarter']) a, generate_series(0, 990) g;
WITH ours AS (
    SELECT a.*, u.period, greatest(a.last_at - a.occurred_at + (a.last_at - a.occurred_at) / (a.row_count - 1), interval '1 hour') AS done
      FROM billadj.anomaly a CROSS JOIN LATERAL billadj.usage_period(a.account, a.meter, a.last_at) u
     WHERE a.account ~ '^period' AND a.family = 'level' AND a.state = 'open'
)
SELECT account, occurred_at, last_at, upper(period) AS period_ends, row_count > 3 AS lasts, money_projected > money_at_risk AS more,
       abs(money_projected - round(excess * extract(epoch FROM upper(period) - occurred_at) / extract(epoch FROM done), 2)) <= 0.01 AS as_far_as_that
  FROM ours ORDER BY 1;
SELECT count(DISTINCT money_at_risk) AS at_risk, count(DISTINCT money_projected) AS projected FROM billadj.anomaly WHERE account ~ '^period' AND family = 'level' AND state = 'open';

-- updates of a baseline are heap-only, unless somebody's snapshot is in the way
SELECT pg_stat_force_next_flush() IS NOT NULL AS flushed;
SELECT n_tup_upd > 1000 AS updated, n_tup_hot_upd::numeric / n_tup_upd > 0.9 AS heap_only FROM pg_stat_user_tables WHERE relid IN ('billadj.baseline'::regclass, 'billadj.open_bucket'::regclass);
SET client_min_messages = error;
DROP SCHEMA detect CASCADE;
