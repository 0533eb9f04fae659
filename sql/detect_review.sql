-- What people do about anomalies: silence is told, an incident is explained and
-- judged, baselines are learned anew, other settings are tried on history.
\set SHOW_CONTEXT never
SET datestyle = 'ISO';
SET client_min_messages = warning;
SET timezone = 'UTC';
CREATE EXTENSION IF NOT EXISTS billadj;
SELECT count(*) >= 0 AS uninstalled FROM billadj.uninstall(keep_data => false);
SELECT count(*) > 0 AS installed FROM billadj.install();
CREATE SCHEMA look;
SET search_path = look, public;
INSERT INTO billadj.meter (meter, unit) VALUES ('calls', 'calls');
SELECT count(*) > 0 AS imported FROM billadj.import_rate_card('{"code": "look", "currency": "USD", "prices": [
    {"meter": "calls", "model": "per_unit", "unit_amount": "0.02"}]}', '[2020-01-01,)');
CREATE TABLE u (id text PRIMARY KEY, account text NOT NULL, quantity numeric NOT NULL, at timestamptz NOT NULL);
SELECT count(*) > 0 AS attached FROM billadj.attach('u', account => 'account', occurred_at => 'at', meter => 'calls', quantity => 'quantity');
CREATE FUNCTION usual(n int, out double precision) LANGUAGE sql IMMUTABLE AS $$ SELECT 100 + (n * 7919) % 23 + 10 * (n % 24) $$;
INSERT INTO u SELECT a || ' ' || g, a, usual(g), timestamptz '2024-01-01' + g * interval '1 hour'
  FROM unnest(ARRAY['ann', 'bob', 'cyd', 'dee', 'eve', 'fay', 'gus', 'hal', 'ivy']) a, generate_series(0, 700) g;

-- ---- rows learned anew leave the bytes that inserting them left ----
CREATE TABLE kept AS SELECT account, meter, state FROM billadj.baseline;
SELECT account, billadj.rebuild_baseline(account, 'calls') AS rows FROM unnest(ARRAY['bob', 'nobody']) account;
SELECT count(*) FILTER (WHERE k.state = b.state) AS same, count(*) FROM kept k JOIN billadj.baseline b USING (account, meter);
-- without prices: those of the table are learned from the rows to come
SELECT count(*) AS streams, sum(rows) AS rows FROM billadj.warm_up('u');
SELECT count(*) AS streams, count(DISTINCT state) AS states, count(problem) AS noted FROM billadj.baseline;
SELECT account, billadj.rebuild_baseline(account, 'calls') AS rows FROM billadj.baseline ORDER BY 1;
SELECT count(*) FILTER (WHERE k.state = b.state) AS same FROM kept k JOIN billadj.baseline b USING (account, meter);
SELECT count(*) AS incidents FROM billadj.anomaly;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT * FROM billadj.warm_up('u');
ROLLBACK;
SELECT billadj.rebuild_baseline(NULL, 'calls');
SELECT billadj.replace_baseline('bob', 'calls', '\x00');

-- ---- silence ----
SELECT count(*) AS early FROM billadj.detect_due('2024-01-30 05:00');
SELECT account, rule, state, round(money_at_risk, 2) AS money, currency FROM billadj.detect_due('2024-01-30 12:00') WHERE account < 'c';
SELECT count(*) AS again FROM billadj.detect_due('2024-01-30 12:00');
SELECT count(*) AS later FROM billadj.detect_due('2024-01-30 20:00');
SELECT count(*) AS gaps, count(*) FILTER (WHERE action = 'flag' AND charge_id IS NULL AND occurred_at BETWEEN '2024-01-30 05:30' AND '2024-01-30 07:00') AS due FROM billadj.open_anomaly WHERE rule = 'gap';
-- its next row ends it, and it is the same incident
INSERT INTO u SELECT 'ann ' || g, 'ann', usual(g), timestamptz '2024-01-01' + g * interval '1 hour' FROM generate_series(713, 760) g;
SELECT rule, state, row_count, round(observed) AS seconds, round(money_at_risk, 1) AS money FROM billadj.anomaly WHERE account = 'ann';
SELECT count(*) AS nothing_new FROM billadj.detect_due('2024-02-01 17:30') WHERE account = 'ann';
-- a damaged baseline does not stop the others
UPDATE billadj.baseline SET state = '\xbad0' WHERE account = 'ivy';
SELECT count(*) AS none FROM billadj.detect_due('2024-01-31 00:00');
SELECT * FROM billadj.detect_due('infinity');
SELECT meter, peer_group, accounts, round(level::numeric, 3) AS level, cardinality(day_shape) AS hours FROM billadj.peer_group;

-- ---- new keys beside them: in a group, in one too small, and where nobody is known ----
INSERT INTO billadj.account (account, peer_group) VALUES ('new1', 'small'), ('new2', 'small'), ('new3', NULL), ('new4', NULL);
INSERT INTO billadj.peer_group (meter, peer_group, accounts, level, spread, largest, zero_share, day_shape, row_level, row_spread, row_noise)
SELECT meter, 'small', 12, level, spread, largest, zero_share, day_shape, row_level, row_spread, row_noise FROM billadj.peer_group;
INSERT INTO u SELECT a || ' ' || g, a, usual(g) * CASE WHEN a = 'new1' AND g = 5 THEN 1000 WHEN a = 'new2' AND g = 6 THEN 0.001 WHEN a = 'new3' AND g = 0 THEN 5000 ELSE 1 END,
                     timestamptz '2024-02-01' + g * interval '1 hour'
  FROM generate_series(0, 8) g, unnest(ARRAY['new1', 'new2', 'new3', 'new4']) a;
SELECT a.account, a.rule, a.row_count, a.unit_factor, a.detail, e ->> 'sentence' AS sentence, e -> 'peers' ->> 'says' AS says
  FROM billadj.anomaly a, billadj.explain_anomaly(a.anomaly_id) e WHERE a.account LIKE 'new%' ORDER BY 1;
DELETE FROM billadj.peer_group WHERE peer_group = 'small';
SELECT account, billadj.peers_of(account, 'calls') FROM unnest(ARRAY['new1', 'ann', 'nobody']) AS account;
DELETE FROM billadj.peer_group;
SELECT billadj.peers_of('new1', 'calls');

-- ---- an incident explained ----
INSERT INTO u VALUES ('ann spike', 'ann', 90000, timestamptz '2024-01-01' + 761 * interval '1 hour'), ('bob spike', 'bob', 95000, timestamptz '2024-01-01' + 701 * interval '1 hour');
SELECT a.account, a.rule, e ->> 'sentence' AS sentence FROM billadj.anomaly a, billadj.explain_anomaly(a.anomaly_id) e WHERE a.account IN ('ann', 'bob') ORDER BY 1, 2 DESC;
SELECT a.account, e -> 'history' ->> 'bucket' AS bucket, char_length(e -> 'history' ->> 'sparkline') AS line, jsonb_array_length(e -> 'history' -> 'values') AS n,
       e -> 'history' ->> 'svg' ~ '^<svg .*<rect .*<polyline .*</svg>$' AS svg, e -> 'money' ->> 'currency' AS currency,
       e -> 'history' -> 'values' ->> 47 AS last, e -> 'similar' -> 0 ->> 'account' AS similar
  FROM billadj.anomaly a, billadj.explain_anomaly(a.anomaly_id) e WHERE a.rule = 'spike' ORDER BY 1;
SELECT x, billadj.short_number(x) FROM unnest(ARRAY[NULL, 0, 'NaN', 0.01234, 1, 12.345, 999.6, 1234.5, 3899, 99999, 999999, 4123456, 8.1e9, 1e20, -1500]::double precision[]) x;
SELECT s, billadj.short_time(s) FROM unnest(ARRAY[NULL, 5, 90, 3600, 7200, 100000, 200000]::double precision[]) s;
SELECT translate(billadj.sparkline(series), CASE WHEN getdatabaseencoding() = 'UTF8' THEN (SELECT string_agg(chr(n), '' ORDER BY n) FROM generate_series(9601, 9608) n) ELSE '_.-:=+*#' END, '12345678') AS heights
  FROM (VALUES (ARRAY[0, 1, NULL, 4, 8]::double precision[]), (ARRAY[0, 0]), ('{}')) AS v(series);
SELECT billadj.sparkline_svg(ARRAY[1, 2, 4], 1, 2);
SELECT billadj.explain_anomaly(-1);
-- every rule has a sentence of its own
SELECT r.rule, billadj.anomaly_sentence(jsonb_build_object('rule', r.rule, 'meter', 'calls', 'account', 'ann', 'observed', 4100000, 'expected', 4100, 'ratio', 1000,
           'lower_bound', 3900, 'upper_bound', 4300, 'longest', 60, 'row_count', 7, 'lag_hours', 3, 'since', '2024-05-03 14:00+00', 'occurred_at', '2024-05-03 14:00+00',
           'unit_factor', CASE WHEN r.rule = 'unit' THEN 1000 END, 'money_at_risk', 812.4, 'currency', 'EUR',
           'detail', '{"accounts": ["ann", "bob"]}'::jsonb), 'calls') AS sentence
  FROM unnest(ARRAY['spike', 'drop', 'shift_up', 'shift_down', 'outage', 'unit', 'double', 'leak', 'pattern', 'zone', 'stuck', 'first_row', 'gap', 'price', 'duplicate',
                    'near_duplicate', 'late', 'future', 'too_old', 'negative', 'invalid', 'reset', 'wrap']) WITH ORDINALITY AS r(rule, n) ORDER BY r.n;
-- a factor is said where it is one, and which way; a period by another clock
SELECT v.n, billadj.anomaly_sentence(v.more || jsonb_build_object('meter', 'calls', 'account', 'ann', 'observed', 10, 'expected', 5, 'ratio', 2, 'lower_bound', 4, 'upper_bound', 6,
           'row_count', 1, 'occurred_at', '2024-05-03 14:00+00', 'currency', 'EUR'), 'calls') AS sentence
  FROM (VALUES (1, '{"rule": "double", "family": "level", "unit_factor": 2, "since": "2024-05-03 14:00+00"}'::jsonb),
               (2, '{"rule": "negative", "family": "row", "unit_factor": 2, "since": "2024-05-03 14:00+00"}'),
               (3, '{"rule": "unit", "family": "level", "unit_factor": 0.001, "since": "2024-05-03 14:00+00"}'),
               (4, '{"rule": "amount", "family": "account", "since": "2024-04-30 22:00+00"}'),
               (5, '{"rule": "gap", "family": "cadence", "state": "passed", "since": "2024-05-03 14:00+00", "longest": 3600}')) AS v(n, more) ORDER BY n;

-- ---- a person's word ----
SELECT anomaly_id AS ann FROM billadj.anomaly WHERE account = 'ann' AND rule = 'spike' \gset
SELECT anomaly_id AS bob FROM billadj.anomaly WHERE account = 'bob' AND rule = 'spike' \gset
SELECT billadj.record_verdict(:ann, 'unsure') IS NOT NULL AS recorded;
SELECT state, trusted IS NOT NULL AS trusted FROM billadj.anomaly WHERE anomaly_id = :ann;
SELECT billadj.record_verdict(:ann, 'error', 'their agent counted bytes') IS NOT NULL AS recorded;
SELECT billadj.record_verdict(:bob, 'expected') IS NOT NULL AS recorded;
SELECT account, state, trusted IS NULL AS forgotten, closed_at IS NOT NULL AS closed FROM billadj.anomaly WHERE rule = 'spike' ORDER BY 1;
SELECT b.account, r.incident AS open_in_the_stream FROM billadj.baseline b, billadj.read_baseline(b.account, b.meter, b.state) r WHERE b.account IN ('ann', 'bob') ORDER BY 1;
SELECT account, verdict, note IS NOT NULL AS noted FROM billadj.verdict ORDER BY verdict_id;
SELECT t.body FROM billadj.verdict v JOIN billadj.private_text t ON t.text_id::text = v.note;
SELECT v -> 'verdict' AS verdict, v -> 'note' AS note FROM jsonb_array_elements(billadj.explain_anomaly(:ann) -> 'verdicts') v;
SELECT account, step FROM billadj.threshold_step ORDER BY verdict_id;
SELECT rule, anomalies, judged, found, false_alarms, precision, moved FROM billadj.detector_precision ORDER BY rule;
SELECT event, object = 'anomaly/' || :ann AS object, payload::jsonb - 'verdict_id' - 'text_id' AS payload FROM billadj.audit_entry WHERE event = 'verdict' AND account = 'ann' ORDER BY audit_id;
SELECT count(*) AS faults FROM billadj.verify_audit() WHERE NOT ok;
-- what was usual before holds again: the same fault is found again; what was expected is no news
INSERT INTO u SELECT a || ' ' || g, a, usual(g), timestamptz '2024-01-01' + g * interval '1 hour' FROM unnest(ARRAY['ann', 'bob']) a, generate_series(762, 900) g;
SELECT billadj.rebuild_baseline('ann', 'calls') AS without_the_error, (SELECT count(*) FROM u WHERE account = 'ann') AS rows;
INSERT INTO u SELECT a || ' second', a, 90000, timestamptz '2024-01-01' + 901 * interval '1 hour' FROM unnest(ARRAY['ann']) a;
SELECT account, rule, state FROM billadj.anomaly WHERE rule = 'spike' AND occurred_at > '2024-02-05' ORDER BY 1;
-- a fault soon after a verdict is another one, of the same size or larger, and is held
INSERT INTO billadj.detector (account, action, min_money) SELECT a, 'hold', 0 FROM unnest(ARRAY['fay', 'gus', 'hal']) a;
INSERT INTO u SELECT a || ' first', a, 5000, timestamptz '2024-01-01' + 701 * interval '1 hour' FROM unnest(ARRAY['fay', 'gus', 'hal']) a;
SELECT count(billadj.record_verdict(anomaly_id, 'error')) AS judged FROM billadj.anomaly WHERE account IN ('fay', 'gus', 'hal') AND rule = 'spike';
INSERT INTO u SELECT a || ' ' || g, a, usual(g), timestamptz '2024-01-01' + g * interval '1 hour' FROM unnest(ARRAY['gus', 'hal']) a, generate_series(702, 703) g;
INSERT INTO u VALUES ('fay again', 'fay', 5000, timestamptz '2024-01-01' + 702 * interval '1 hour'),
    ('gus more', 'gus', 7500, timestamptz '2024-01-01' + 704 * interval '1 hour'), ('hal much more', 'hal', 90000, timestamptz '2024-01-01' + 704 * interval '1 hour');
SELECT account, occurred_at, state, notified_at IS NOT NULL AS told, (SELECT count(*) FROM billadj.hold h WHERE h.anomaly_id = a.anomaly_id) AS held
  FROM billadj.anomaly a WHERE account IN ('fay', 'gus', 'hal') AND family = 'level' ORDER BY 1, 2;
-- an anomaly counts once, by its latest verdict
SELECT count(billadj.record_verdict(:ann, 'fraud')) AS recorded FROM generate_series(1, 3);
SELECT rule, found, false_alarms, moved FROM billadj.detector_precision WHERE rule = 'spike' AND detector_id IS NULL;
SELECT billadj.record_verdict(:ann, 'expected') IS NOT NULL AS recorded;
SELECT rule, found, false_alarms, moved FROM billadj.detector_precision WHERE rule = 'spike' AND detector_id IS NULL;
SELECT billadj.record_verdict(:ann, 'unsure') IS NOT NULL AS recorded, billadj.record_verdict(:ann, 'error') IS NOT NULL AS recorded;
SELECT rule, found, false_alarms, moved FROM billadj.detector_precision WHERE rule = 'spike' AND detector_id IS NULL;
-- a threshold moves by half a decade at most, to either side, and says so
INSERT INTO u SELECT format('n-%s %s', a, g), 'n-' || a, CASE WHEN g = 60 THEN -5 ELSE usual(g) END, timestamptz '2024-01-01' + g * interval '1 hour' FROM generate_series(1, 13) a, generate_series(0, 60) g;
CREATE VIEW moved AS
SELECT p.anomalies, p.judged, p.found, p.false_alarms, p.moved, round((-3 * (ln(1 - d.threshold) - ln(1 - 0.583)) / ln(2))::numeric, 6) AS decades
  FROM billadj.detector_precision p, billadj.detector_policy('n-1', 'calls', 'negative') d WHERE p.rule = 'negative';
SELECT (SELECT count(*) FROM billadj.anomaly WHERE account ~ '^n-' AND rule = 'negative') AS negatives, threshold FROM billadj.detector_policy('n-1', 'calls', 'negative');
SELECT count(billadj.record_verdict(anomaly_id, 'expected')) AS judged FROM billadj.anomaly WHERE account ~ '^n-[1-5]$' AND rule = 'negative';
SELECT * FROM moved;
SELECT count(billadj.record_verdict(anomaly_id, 'expected')) AS judged FROM billadj.anomaly WHERE account ~ '^n-' AND rule = 'negative';
SELECT * FROM moved;
SELECT count(billadj.record_verdict(anomaly_id, 'error')) AS judged FROM billadj.anomaly WHERE account ~ '^n-' AND rule = 'negative';
SELECT * FROM moved;
SELECT step, count(*) FROM billadj.threshold_step WHERE account ~ '^n-' GROUP BY 1 ORDER BY 1;
-- each verdict has its step and its entry in the log, and both say the same
SELECT count(*) AS verdicts, count(*) FILTER (WHERE round(s.step::numeric, 2) = (e.payload::jsonb ->> 'step')::numeric AND v.verdict = e.payload::jsonb ->> 'verdict') AS alike
  FROM billadj.verdict v
  LEFT JOIN billadj.threshold_step s USING (account, verdict_id)
  LEFT JOIN billadj.audit_entry e ON e.event = 'verdict' AND e.account = v.account AND e.payload::jsonb ->> 'verdict_id' = v.verdict_id::text AND e.object = 'anomaly/' || v.anomaly_id;
SELECT count(*) AS faults FROM billadj.verify_audit() WHERE NOT ok;
SELECT billadj.record_verdict(:ann, 'maybe');
SELECT billadj.record_verdict(-1, 'error');
UPDATE billadj.verdict SET verdict = 'unsure';
DELETE FROM billadj.threshold_step;
-- rolled back: nothing is left
BEGIN;
SELECT billadj.record_verdict(anomaly_id, 'error') IS NOT NULL AS recorded FROM billadj.anomaly WHERE account = 'ann' AND state = 'open';
ROLLBACK;
SELECT state FROM billadj.anomaly WHERE account = 'ann' AND occurred_at > '2024-02-05' AND rule = 'spike';

-- ---- other settings on history ----
SELECT account, rule, outcome, verdict FROM billadj.replay_detector(accounts => '{ann}') ORDER BY occurred_at, rule;
SELECT outcome, count(*) FROM billadj.replay_detector('{"threshold": 0.99}') GROUP BY 1 ORDER BY 1;
SELECT outcome, count(*) FROM billadj.replay_detector('{"threshold": 0.6}', relation => 'u', accounts => '{ann}', during => '[2024-02-01,)') GROUP BY 1 ORDER BY 1;
SELECT * FROM billadj.replay_detector('{"sigma": 1}');
SELECT * FROM billadj.replay_detector(NULL);
-- ---- how much money is enough ----
INSERT INTO u SELECT format('%s %s', a, g), a, (CASE a WHEN 'rich' THEN 1000 ELSE 20 END) * (1 + (hashtext(a || g) & 1023) % 40 / 100.0), timestamptz '2024-01-01 00:00+00' + g * interval '1 hour'
  FROM unnest(ARRAY['rich', 'poor', 'share', 'both', 'flat', 'none']) a, generate_series(0, 24 * 91 + 30) g;
INSERT INTO u SELECT format('fresh %s', g), 'fresh', 20 * (1 + (hashtext('fresh' || g) & 1023) % 40 / 100.0), timestamptz '2024-03-10 00:00+00' + g * interval '1 hour'
  FROM generate_series(0, 24 * 22 + 30) g;
INSERT INTO billadj.detector (account, min_money, min_share) VALUES ('share', NULL, 0.05), ('both', 10, 0.002), ('flat', 3, NULL), ('none', 0, 0);
SELECT billadj.refresh_usual_bills('2024-04-02 06:00+00') >= 7 AS computed;
SELECT billadj.refresh_usual_bills('2024-04-02 06:00+00') AS again, count(*) AS runs FROM billadj.usual_bill_run WHERE as_of = '2024-04-01';
-- the median of three complete months, by hand
SELECT b.account, b.currency, b.periods, b.last_period,
       b.amount = (SELECT m[2] FROM (SELECT array_agg(s ORDER BY s) AS m FROM (SELECT sum(c.amount) AS s FROM billadj.charge c
                     WHERE c.account = b.account AND c.occurred_at < '2024-04-01' GROUP BY date_trunc('month', c.occurred_at)) x) y) AS is_median
  FROM billadj.usual_bill b WHERE account IN ('rich', 'poor', 'share', 'fresh') ORDER BY 1;
-- what is held is not billed: it would have made February the dearest month
INSERT INTO billadj.detector (account, action, min_money) VALUES ('holder', 'hold', 0);
INSERT INTO u SELECT format('holder %s', g), 'holder', CASE g WHEN 900 THEN 90000 ELSE 20 * (1 + (hashtext('holder' || g) & 1023) % 40 / 100.0) END, timestamptz '2024-01-01 00:00+00' + g * interval '1 hour'
  FROM generate_series(0, 24 * 91 + 30) g;
SELECT billadj.refresh_usual_bills('2024-04-02 06:00+00') AS changed;
WITH month AS (
    SELECT sum(amount) FILTER (WHERE billable) AS s, sum(amount) AS charged FROM billadj.billed WHERE account = 'holder' AND period_start < '2024-04-01' GROUP BY period_start
)
SELECT b.amount = (SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY s) FROM month) AS of_billable, b.amount < (SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY charged) FROM month) AS less
  FROM billadj.usual_bill b WHERE account = 'holder';
-- 1 % of a bill of some 17,000, 340; 5 % of 340, or 0.2 % of it and at least 10
INSERT INTO u SELECT a || ' x', a, q, timestamptz '2024-04-02 07:00+00'
  FROM (VALUES ('rich', 15000), ('poor', 300), ('share', 1500), ('both', 700), ('flat', 160), ('none', 70), ('fresh', 100)) v(a, q);
INSERT INTO u SELECT a || ' y', a, 23 * CASE a WHEN 'rich' THEN 50 ELSE 1 END, timestamptz '2024-04-02 08:00+00' FROM unnest(ARRAY['rich', 'poor', 'share', 'both', 'flat', 'none', 'fresh']) a;
SELECT a.account, round(a.money_at_risk, 2) AS money, round(a.min_money, 4) AS min_money, a.min_share, round(a.usual_bill, 2) AS usual_bill, a.notified_at IS NOT NULL AS told,
       a.min_money = greatest(CASE a.account WHEN 'both' THEN 10 WHEN 'flat' THEN 3 WHEN 'none' THEN 0 ELSE 1 END, a.min_share * coalesce(b.amount, 0)) IS NOT FALSE AS exact
  FROM billadj.anomaly a LEFT JOIN billadj.usual_bill b USING (account, currency) WHERE a.occurred_at = '2024-04-02 07:00+00' AND a.family = 'level' ORDER BY 1;
SELECT a.account, e #>> '{money,minimum,text}' AS text, e #> '{money,minimum,reached}' AS reached
  FROM billadj.anomaly a, billadj.explain_anomaly(a.anomaly_id) e WHERE a.occurred_at = '2024-04-02 07:00+00' AND a.family = 'level' ORDER BY 1;
SELECT min_money, min_share FROM billadj.detector_policy('rich', 'calls', 'spike') UNION ALL SELECT min_money, min_share FROM billadj.detector_policy('flat', 'calls', 'spike');
-- the same, replayed: as it is, and with another minimum
SELECT account, round(money_at_risk, 2) AS money, round(min_money, 4) AS min_money, told
  FROM billadj.replay_detector(accounts => '{rich,poor,share,both,flat,none,fresh}', during => '[2024-04-02 07:00+00,2024-04-02 07:00+00]') ORDER BY 1;
SELECT account, round(min_money, 4) AS min_money, told
  FROM billadj.replay_detector('{"min_money": 5}', accounts => '{rich,poor,share,both,flat,none,fresh}', during => '[2024-04-02 07:00+00,2024-04-02 07:00+00]') ORDER BY 1;
SELECT * FROM billadj.replay_detector('{"min_share": 2}');
-- what was told is what is told, of every incident that was judged by the defaults
SELECT count(*) > 3 AS compared, count(*) FILTER (WHERE r.told <> (a.notified_at IS NOT NULL)) AS differ
  FROM billadj.replay_detector(accounts => '{rich,poor,fresh,ann}') r JOIN billadj.anomaly a ON a.anomaly_id = r.anomaly_id WHERE r.rule = a.rule;
-- estimated where there was no incident: of a table whose rows are charged but were not looked at
SELECT count(*) > 0 AS remapped FROM billadj.remap('u', detect => false);
INSERT INTO u SELECT format('guess %s', g), 'guess', CASE g WHEN 600 THEN 900 WHEN 500 THEN -3 WHEN 501 THEN -4 ELSE usual(g) END, timestamptz '2024-01-01 00:00+00' + g * interval '1 hour' FROM generate_series(0, 600) g;
SELECT rule, occurred_at, quantity, round(money_at_risk, 1) AS money, currency, anomaly_id, min_money, told
  FROM billadj.replay_detector(relation => 'u', accounts => '{guess}') ORDER BY occurred_at, rule;
SELECT count(*) > 0 AS remapped FROM billadj.remap('u', detect => true);
-- ---- beside other accounts ----
INSERT INTO u SELECT a || ' ' || g, 'acct-' || a, 1000 + (g * 7919 + a * 104729) % 883, timestamptz '2024-03-01 00:10+00' + g * interval '1 hour' + a * interval '1 second'
  FROM generate_series(1, 9) a, generate_series(0, 4300) g;
SELECT count(*) AS nothing FROM billadj.findings_across('[2024-08-01,2024-09-01)') WHERE account ~ '^acct';
-- four accounts have the same rows; one has a month like none before
INSERT INTO u SELECT 'copy ' || a || ' ' || g, 'acct-' || a, 700 + (g * 7919) % 601, timestamptz '2024-08-10 00:07:31+00' + g * interval '7 minutes' FROM generate_series(3, 6) a, generate_series(0, 20) g;
INSERT INTO u SELECT 'big ' || g, 'acct-9', 90000, timestamptz '2024-08-02 00:30+00' + g * interval '1 hour' FROM generate_series(0, 100) g;
SELECT rule, account, meter, accounts, money_at_risk > 0 AS money, currency FROM billadj.detect_across('[2024-08-01,2024-09-01)') ORDER BY rule, account;
SELECT count(*) AS again FROM billadj.detect_across('[2024-08-01,2024-09-01)');
SELECT billadj.explain_anomaly(anomaly_id) ->> 'sentence' AS sentence FROM billadj.anomaly WHERE family = 'account' AND account IN ('acct-3', 'acct-9') ORDER BY account;
SELECT count(billadj.record_verdict(anomaly_id, 'fraud')) AS judged FROM billadj.anomaly WHERE family = 'account' AND account = 'acct-3';
SELECT account, state FROM billadj.anomaly WHERE family = 'account' ORDER BY account;
SELECT * FROM billadj.detect_across('[2024-08-01,)');
-- four of twelve go up and down together for two days: told; nine of twelve: the market
CREATE FUNCTION swing(prefix text, n integer, base timestamptz, members integer) RETURNS SETOF u LANGUAGE sql AS $$
SELECT format('%s-%s %s', prefix, a, g), prefix || '-' || lpad(a::text, 2, '0'),
       1000 + (hashtext(prefix || a || 'n' || g) & 255) - 128 + CASE WHEN a <= members AND g >= 720 - 48 THEN CASE WHEN hashtext('p' || g) > 0 THEN 300 ELSE -300 END ELSE 0 END,
       base + g * interval '1 hour'
  FROM generate_series(1, n) a, generate_series(0, 719) g $$;
INSERT INTO u SELECT * FROM swing('pat', 12, '2025-02-01', 4);
SELECT account, accounts FROM billadj.findings_across('[2025-02-01,2025-03-10)') WHERE rule = 'same_pattern' ORDER BY 1;
INSERT INTO u SELECT * FROM swing('mkt', 12, '2025-05-01', 9);
SELECT account, accounts FROM billadj.findings_across('[2025-05-01,2025-06-10)') WHERE rule = 'same_pattern' ORDER BY 1;
-- seven people ask for credits: one always just under the limit, one for far more than the others
CREATE ROLE look_1 LOGIN; CREATE ROLE look_2 LOGIN; CREATE ROLE look_3 LOGIN; CREATE ROLE look_4 LOGIN; CREATE ROLE look_5 LOGIN; CREATE ROLE look_6 LOGIN; CREATE ROLE look_7 LOGIN;
GRANT billadj_requester TO look_1, look_2, look_3, look_4, look_5, look_6, look_7;
INSERT INTO billadj.principal (person_key, role_name) SELECT 'look-' || n, 'look_' || n FROM generate_series(1, 7) n;
INSERT INTO billadj.authority (principal_id, currency, level, single_limit, valid) SELECT principal_id, 'USD', 1, 100000, '[2020-01-01,)' FROM billadj.principal;
INSERT INTO billadj.reason_code (code, description) VALUES ('goodwill', 'goodwill');
INSERT INTO billadj.approval_rule (kind, currency, band, step, level, quorum) VALUES ('credit', 'USD', '[0,100]', 0, 0, 0), ('credit', 'USD', '(100,)', 1, 1, 1);
CREATE PROCEDURE ask(who text, amounts numeric[]) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('SET SESSION AUTHORIZATION %I', who);
    FOR i IN 1 .. cardinality(amounts) LOOP
        PERFORM billadj.submit_override('credit', who || ' ' || i, 'goodwill', delta => -amounts[i], currency => 'USD');
    END LOOP;
    RESET SESSION AUTHORIZATION;
END $$;
CALL ask('look_1', ARRAY[96, 97, 98, 99, 99.5, 96.5, 97.5, 98.5, 99.9, 100, 95.5, 98.2]);
CALL ask('look_2', ARRAY[300, 400]);
CALL ask('look_3', ARRAY[500, 250]);
CALL ask('look_4', ARRAY[93, 700]);
CALL ask('look_5', ARRAY[800]);
CALL ask('look_6', ARRAY[600]);
CALL ask('look_7', ARRAY[45000, 20000]);
SELECT rule, account ~ '^look_\d' AS of_an_account, detail ->> 'requester' AS requester, detail ->> 'limit' AS "limit", observed, round(expected::numeric) AS expected, decades > 3 AS rare
  FROM billadj.findings_across(tstzrange(now() - interval '1 hour', now() + interval '1 hour')) WHERE rule IN ('under_limit', 'credits') ORDER BY 1;
SELECT count(*) AS opened FROM billadj.detect_across(tstzrange(now() - interval '1 hour', now() + interval '1 hour')) WHERE rule IN ('under_limit', 'credits');
SELECT regexp_replace(billadj.explain_anomaly(anomaly_id) ->> 'sentence', ' from .* on,', ',') AS sentence
  FROM billadj.anomaly WHERE rule IN ('under_limit', 'credits') ORDER BY rule;

-- ---- beside the contract ----
SELECT count(*) > 0 AS imported FROM billadj.import_rate_card('{"code": "list", "currency": "EUR", "prices": [
    {"meter": "minutes", "model": "per_unit", "unit_amount": "0.20"},
    {"meter": "gb", "model": "graduated", "tiers": [{"up_to": 100, "unit_amount": 1}, {"up_to": null, "unit_amount": 0.5}]},
    {"meter": "sms", "model": "per_unit", "unit_amount": "0.333", "rounding": {"stage": "row", "step": 0.01}}]}', '[2020-01-01,)');
CREATE TABLE v (id text PRIMARY KEY, account text NOT NULL, meter text NOT NULL, quantity numeric NOT NULL, at timestamptz NOT NULL);
SELECT count(*) > 0 AS attached FROM billadj.attach('v', account => 'account', occurred_at => 'at', meter => 'meter', quantity => 'quantity', detect => false);
INSERT INTO v SELECT format('%s %s %s', a, m, g), a, m, CASE m WHEN 'sms' THEN 1 ELSE 10 END, timestamptz '2024-09-01' + g * interval '1 day'
  FROM unnest(ARRAY['alma', 'bert', 'cleo', 'dora']) a, unnest(ARRAY['minutes', 'gb', 'sms']) m, generate_series(0, 19) g;
-- all is as the contract says, tiers and rows that were rounded too
SELECT count(*) AS compared, count(*) FILTER (WHERE amount = contract_amount) AS equal, count(*) FILTER (WHERE abs(amount - contract_amount) > slack) AS off
  FROM billadj.contract_comparison('[2024-09-10,2024-09-11)');
SELECT count(*) AS nothing FROM billadj.findings_across('[2024-09-10,2024-09-11)') WHERE rule = 'off_contract';
-- a contract that came late, one within the tolerance of its detector, a price that a person changed
SELECT count(*) AS imported FROM billadj.import_rate_card('{"code": "alma-2024", "account": "alma", "currency": "EUR", "prices": [
    {"meter": "minutes", "model": "per_unit", "unit_amount": "0.15"}, {"meter": "gb", "model": "per_unit", "unit_amount": "0.8"}]}', '[2024-09-11,2024-10-01)');
SELECT count(*) AS imported FROM billadj.import_rate_card('{"code": "bert-2024", "account": "bert", "currency": "EUR", "prices": [
    {"meter": "minutes", "model": "per_unit", "unit_amount": "0.22"}, {"meter": "gb", "model": "per_unit", "unit_amount": "5"}]}', '[2024-09-01,2024-10-01)');
INSERT INTO billadj.detector (rule, account, parameters) VALUES ('off_contract', 'bert', '{"price_tolerance": 0.12}');
INSERT INTO billadj.detector (rule, account, meter, parameters) VALUES ('off_contract', 'bert', 'gb', '{"off": true}');
INSERT INTO billadj.detector (rule, account, action) VALUES ('off_contract', 'alma', 'propose');
\set VERBOSITY terse
INSERT INTO billadj.detector (rule, action) VALUES ('amount', 'hold');
\set VERBOSITY default
INSERT INTO billadj.approval_rule (kind, currency, band, step, level, quorum) VALUES ('price_override', 'EUR', '[0,)', 0, 0, 0), ('credit', 'EUR', '[0,)', 1, 1, 1), ('debit', 'EUR', '[0,)', 1, 1, 1);
SELECT charge_id FROM billadj.charge WHERE account = 'cleo' AND meter = 'minutes' ORDER BY charge_id LIMIT 1 \gset
SET SESSION AUTHORIZATION look_1;
SELECT billadj.submit_override('price_override', 'cleo', 'goodwill', charge_id => :charge_id, new_amount => 0.5, currency => 'EUR') IS NOT NULL AS submitted;
RESET SESSION AUTHORIZATION;
-- what a table bills itself, beside what its contract comes to
CREATE TABLE own (id text PRIMARY KEY, account text NOT NULL, talked numeric NOT NULL, at timestamptz NOT NULL, billed numeric);
SELECT count(*) > 0 AS attached FROM billadj.attach('own', account => 'account', occurred_at => 'at', meter => 'minutes', quantity => 'talked', mode => 'shadow', compare => 'billed');
INSERT INTO own SELECT format('%s %s', a, g), a, 100, timestamptz '2024-09-01' + g * interval '1 day', CASE a WHEN 'egon' THEN 18 ELSE 20 END FROM unnest(ARRAY['egon', 'fips']) a, generate_series(0, 9) g;
SELECT source, account, meter, rows, quantity, amount, overridden, contract_amount, contract FROM billadj.contract_comparison('[2024-09-10,2024-09-11)') WHERE amount <> contract_amount AND meter <> 'sms' ORDER BY 2, 3;
SELECT rule, account, meter, money_at_risk, currency FROM billadj.detect_across('[2024-09-10,2024-09-11)') WHERE rule = 'off_contract' ORDER BY 2, 3;
SELECT count(*) AS again FROM billadj.detect_across('[2024-09-10,2024-09-11)') WHERE rule = 'off_contract';
SELECT billadj.explain_anomaly(anomaly_id) ->> 'sentence' AS sentence FROM billadj.anomaly WHERE rule = 'off_contract' ORDER BY account, meter;
SELECT a.account, a.meter, a.action, a.detector_id IS NOT NULL AS by_detector, a.notified_at IS NOT NULL AS notified FROM billadj.anomaly a WHERE rule = 'off_contract' ORDER BY 1, 2;
SELECT account, kind, charge_id, delta, currency, cause, period_start FROM billadj.proposal ORDER BY proposal_id;
SELECT count(*) AS told FROM billadj.outbox WHERE topic = 'anomaly_opened' AND payload ->> 'rule' = 'off_contract';
-- what is proposed becomes requests, and one of them an adjustment: of an incident, and of prices
INSERT INTO billadj.detector (account, action) VALUES ('dee', 'propose');
INSERT INTO u VALUES ('dee spike', 'dee', 90000, timestamptz '2024-01-01' + 701 * interval '1 hour');
GRANT billadj_operator, billadj_approver TO look_2;
INSERT INTO billadj.authority (principal_id, currency, level, single_limit, valid)
SELECT principal_id, 'EUR', 1, 100000, '[2020-01-01,)' FROM billadj.principal WHERE person_key = 'look-3';
GRANT billadj_approver TO look_3;
SET SESSION AUTHORIZATION look_2;
SELECT billadj.submit_proposals() AS submitted, billadj.submit_proposals() AS again;
SET SESSION AUTHORIZATION look_3;
SELECT kind, billadj.approve_override(request_id, content_hash) AS state FROM billadj.override_request WHERE account IN ('alma', 'dee') ORDER BY request_id;
RESET SESSION AUTHORIZATION;
SELECT r.account, r.kind, r.reason_code, r.state, r.charge_id = a.charge_id AS of_the_row, round(d.delta) AS adjusted, d.currency
  FROM billadj.override_request r
  LEFT JOIN billadj.adjustment d ON d.account = r.account AND d.request_id = r.request_id
  LEFT JOIN billadj.anomaly a ON a.account = r.account AND a.charge_id = r.charge_id
 WHERE r.account IN ('alma', 'dee') ORDER BY r.request_id;
-- what is held, and who was asked for it
INSERT INTO billadj.approval_rule (kind, currency, band, step, level, quorum) VALUES ('release', 'USD', '[0,)', 1, 1, 1);
SET SESSION AUTHORIZATION look_1;
SELECT billadj.submit_override('release', h.account, 'goodwill', charge_id => h.charge_id) IS NOT NULL AS submitted FROM billadj.hold h WHERE h.account = 'holder';
SELECT o.account, o.rule, o.anomaly_state, o.asked = r.request_id AS asked FROM billadj.open_hold o JOIN billadj.override_request r ON r.charge_id = o.charge_id WHERE o.account = 'holder';
RESET SESSION AUTHORIZATION;
SELECT count(*) FILTER (WHERE asked IS NULL) AS nobody_asked, count(*) = (SELECT count(*) FROM billadj.hold WHERE ended_at IS NULL) AS whole FROM billadj.open_hold;
-- an incident that went on holds many charges: they are asked for and decided on at once, but for one that another person asks for
INSERT INTO billadj.detector (account, action, min_money) VALUES ('batch', 'hold', 0);
INSERT INTO u SELECT format('batch %s', g), 'batch', CASE WHEN g BETWEEN 700 AND 704 THEN 5000 ELSE usual(g) END, timestamptz '2024-01-01' + g * interval '1 hour' FROM generate_series(0, 740) g;
SELECT anomaly_id AS batch FROM billadj.anomaly WHERE account = 'batch' AND family = 'level' \gset
SELECT max(charge_id) AS last FROM billadj.hold WHERE account = 'batch' \gset
SET SESSION AUTHORIZATION look_1;
SELECT billadj.submit_holds(:batch, 'waive', 'goodwill');
SELECT billadj.submit_holds(-1, 'release', 'goodwill');
SELECT billadj.submit_override('release', 'batch', 'goodwill', charge_id => :last) IS NOT NULL AS submitted;
SET SESSION AUTHORIZATION look_4;
\set VERBOSITY sqlstate
SELECT count(*) AS asked, bool_or(charge_id = :last) AS last FROM billadj.submit_holds(:batch, 'release', 'goodwill', 'a load test');
SELECT count(*) AS again FROM billadj.submit_holds(:batch, 'release', 'goodwill');
\set VERBOSITY default
SET SESSION AUTHORIZATION look_3;
SELECT d.state, count(*)
  FROM (SELECT array_agg(r.request_id) AS ids, sha256(string_agg(r.content_hash, '' ORDER BY r.request_id)) AS seen
          FROM billadj.open_hold h JOIN billadj.override_request r ON r.request_id = h.asked WHERE h.anomaly_id = :batch) a,
       billadj.decide_overrides(a.ids, 'approve', a.seen) d GROUP BY 1;
RESET SESSION AUTHORIZATION;
SELECT outcome, count(*) FROM billadj.hold WHERE account = 'batch' GROUP BY 1;
SELECT bool_and(billable) AS billable FROM billadj.billed WHERE account = 'batch';
-- a held row that its host corrects: the difference is held with it, so that no bill has the one without the other
INSERT INTO billadj.detector (account, action, min_money) SELECT a, 'hold', 0 FROM unnest(ARRAY['mend', 'gone', 'move']) a;
INSERT INTO billadj.approval_rule (kind, currency, band, step, level, quorum) VALUES ('cancel', 'USD', '[0,)', 1, 1, 1);
INSERT INTO u SELECT a || ' ' || g, a, CASE WHEN g = 700 THEN 90000 ELSE usual(g) END, timestamptz '2024-01-01' + g * interval '1 hour' FROM unnest(ARRAY['mend', 'gone', 'move']) a, generate_series(0, 701) g;
UPDATE u SET quantity = 120 WHERE id IN ('mend 700', 'move 700');
UPDATE u SET quantity = 130 WHERE id = 'mend 700';
UPDATE u SET at = '2024-02-02 05:00+00' WHERE id = 'move 700';
DELETE FROM u WHERE id = 'gone 700';
-- within the transaction too that wrote it, and not what a savepoint took back
INSERT INTO billadj.detector (account, action, min_money) VALUES ('once', 'hold', 0);
INSERT INTO u SELECT 'once ' || g, 'once', usual(g), timestamptz '2024-01-01' + g * interval '1 hour' FROM generate_series(0, 699) g;
BEGIN;
INSERT INTO u VALUES ('once 700', 'once', 90000, timestamptz '2024-01-01' + 700 * interval '1 hour');
SAVEPOINT s;
UPDATE u SET quantity = 110 WHERE id = 'once 700';
ROLLBACK TO s;
UPDATE u SET quantity = 120 WHERE id = 'once 700';
COMMIT;
SELECT count(*) AS held, count(h.part_of) AS parts, sum(c.amount) AS amount FROM billadj.hold h LEFT JOIN billadj.charge c USING (account, charge_id) WHERE account = 'once';
-- what is not held is corrected as ever
UPDATE u SET quantity = usual(699) + 1 WHERE id = 'mend 699';
CREATE VIEW mended AS
SELECT c.account, c.cause, c.amount, b.billable, h.outcome, h.part_of IS NOT NULL AS part, h.anomaly_id IS NOT NULL AS of_the_incident
  FROM billadj.charge c JOIN billadj.billed b ON b.account = c.account AND b.charge_id = c.charge_id AND b.adjustment_id IS NULL
  LEFT JOIN (SELECT DISTINCT ON (h.account, h.charge_id) h.* FROM billadj.hold h ORDER BY h.account, h.charge_id, h.hold_id DESC) h ON h.account = c.account AND h.charge_id = c.charge_id
 WHERE c.account IN ('mend', 'gone', 'move') AND (c.cause <> 'usage' OR c.amount > 100) ORDER BY c.account, c.charge_id;
SELECT * FROM mended;
SELECT account, bool_and(amount BETWEEN 2 AND 8) AS usual FROM billadj.billed WHERE account IN ('mend', 'gone', 'move') AND billable AND abs(amount) > 0.02 GROUP BY 1 ORDER BY 1;
SET SESSION AUTHORIZATION look_4;
SELECT a.account, (SELECT count(*) FROM billadj.submit_holds(a.anomaly_id, 'release', 'goodwill')) AS asked
  FROM billadj.anomaly a WHERE a.account IN ('mend', 'gone', 'move') AND a.family = 'level' ORDER BY 1;
SELECT account, count(*) AS held, count(DISTINCT asked) AS requests, count(asked) AS asked FROM billadj.open_hold WHERE account IN ('mend', 'gone', 'move') GROUP BY 1 ORDER BY 1;
SET SESSION AUTHORIZATION look_3;
SELECT r.account, r.amount, r.delta, billadj.approve_override(r.request_id, r.content_hash) AS state FROM billadj.override_request r WHERE r.account IN ('mend', 'gone', 'move') ORDER BY r.request_id;
SELECT account, count(*) AS held FROM billadj.open_hold WHERE account IN ('mend', 'gone', 'move') GROUP BY 1;
RESET SESSION AUTHORIZATION;
SELECT account, cause, amount, billable, outcome FROM mended WHERE account <> 'move';
-- taken back, all of it is held again; and cancelled, all of it is
SELECT request_id AS released FROM billadj.override_request WHERE account = 'mend' \gset
SET SESSION AUTHORIZATION look_4;
SELECT billadj.reverse_override(:released, 'goodwill') AS reversal \gset
SET SESSION AUTHORIZATION look_3;
SELECT billadj.approve_override(r.request_id, r.content_hash) AS state FROM billadj.override_request r WHERE r.request_id = :reversal;
SELECT count(*) AS held, count(part_of) AS parts FROM billadj.open_hold WHERE account = 'mend';
SET SESSION AUTHORIZATION look_4;
SELECT charge_id AS held FROM billadj.open_hold WHERE account = 'mend' ORDER BY charge_id DESC LIMIT 1 \gset
SELECT billadj.submit_override('cancel', 'mend', 'goodwill', charge_id => :held) AS cancel \gset
SET SESSION AUTHORIZATION look_3;
SELECT r.amount, r.delta, billadj.approve_override(r.request_id, r.content_hash) AS state FROM billadj.override_request r WHERE r.request_id = :cancel;
RESET SESSION AUTHORIZATION;
SELECT bool_and(billable) AS billable, sum(amount) FILTER (WHERE charge_id IN (SELECT h.charge_id FROM billadj.hold h WHERE h.account = 'mend')) AS of_the_row FROM billadj.billed WHERE account = 'mend';
-- one who may not read the table still sees the charges compared
SET client_min_messages = notice;
SET ROLE billadj_auditor;
SELECT source, count(*) FROM billadj.contract_comparison('[2024-09-10,2024-09-11)') GROUP BY 1;
RESET ROLE;
SET client_min_messages = warning;
-- detectors of rules across accounts: turned off, asked for more, seldom told
SELECT detector_id IS NULL AS defaults, action, "off", threshold, min_money, budget, price_tolerance FROM billadj.detector_policy('alma', '', 'credits');
INSERT INTO billadj.detector (rule, account, threshold, min_money) VALUES ('amount', 'acct-9', 0.9, 5);
SELECT action, threshold, min_money FROM billadj.detector_policy('acct-9', '', 'amount');
-- and none of them makes a stream more easily alarmed
SELECT threshold > 0.5 AS as_before FROM billadj.detector_policy('acct-9', 'calls', 'spike');

-- ---- what is learned anew is what was learned ----
-- a row of the far future would take the stream's clock with it: all that comes then is late
INSERT INTO u SELECT a || ' ' || g, a, usual(g), date_trunc('hour', now()) - interval '700 hours' + g * interval '1 hour' FROM unnest(ARRAY['soon', 'sooner']) a, generate_series(0, 690) g;
INSERT INTO u SELECT a || ' far', a, 100, '2999-01-01' FROM unnest(ARRAY['soon', 'sooner']) a;
INSERT INTO billadj.detector (account, parameters) VALUES ('sooner', '{"future_hours": -1}');
SELECT count(*) FILTER (WHERE rows = 692) AS learned FROM billadj.warm_up('u') WHERE account ~ '^soon';
SELECT b.account, r.rows, r.due_at < now() AS by_this_year FROM billadj.stream_states() b, billadj.read_baseline(b.account, b.meter, b.state) r WHERE b.account ~ '^soon' ORDER BY 1;
SELECT account, billadj.rebuild_baseline(account, 'calls') AS rows FROM unnest(ARRAY['soon', 'sooner']) account;
SELECT b.account, r.rows, r.due_at < now() AS by_this_year FROM billadj.stream_states() b, billadj.read_baseline(b.account, b.meter, b.state) r WHERE b.account ~ '^soon' ORDER BY 1;
INSERT INTO u SELECT 'soon ' || g, 'soon', CASE g WHEN 692 THEN 90000 ELSE usual(g) END, date_trunc('hour', now()) - interval '700 hours' + g * interval '1 hour' FROM generate_series(691, 692) g;
SELECT rule, count(*) FROM billadj.anomaly WHERE account = 'soon' GROUP BY 1 ORDER BY 1;
-- a word that was taken back leaves nothing out
SELECT billadj.record_verdict(anomaly_id, 'error') IS NOT NULL AS recorded FROM billadj.anomaly WHERE account = 'soon' AND rule = 'spike';
SELECT billadj.rebuild_baseline('soon', 'calls') AS without;
SELECT billadj.record_verdict(anomaly_id, 'unsure') IS NOT NULL AS recorded FROM billadj.anomaly WHERE account = 'soon' AND rule = 'spike';
SELECT billadj.rebuild_baseline('soon', 'calls') AS without;
SELECT billadj.record_verdict(anomaly_id, 'expected') IS NOT NULL AS recorded FROM billadj.anomaly WHERE account = 'soon' AND rule = 'spike';
SELECT billadj.rebuild_baseline('soon', 'calls') AS whole;
-- a row is learned anew as it is now: corrected, moved in time, deleted
INSERT INTO u SELECT 'right ' || g, 'right', usual(g), timestamptz '2024-01-01' + g * interval '1 hour' FROM generate_series(0, 700) g WHERE g <> 600;
UPDATE u SET at = at + interval '7 minutes' WHERE id = 'right 400';
INSERT INTO u SELECT 'wrong ' || g, 'wrong', CASE WHEN g % 100 = 50 THEN 7000 ELSE usual(g) END, timestamptz '2024-01-01' + g * interval '1 hour' FROM generate_series(0, 700) g;
UPDATE u SET quantity = usual(split_part(id, ' ', 2)::int) WHERE account = 'wrong' AND quantity = 7000;
UPDATE u SET at = at + interval '7 minutes' WHERE id = 'wrong 400';
DELETE FROM u WHERE id = 'wrong 600';
SELECT a AS account, billadj.rebuild_baseline(a, 'calls') AS rows FROM unnest(ARRAY['right', 'wrong']) a;
SELECT count(DISTINCT state) AS states FROM billadj.stream_states() WHERE account IN ('right', 'wrong');

-- ---- the range and the history beside it are of the same unit ----
-- every five minutes and every six hours, judged by the row; five rows an hour as they please, by the hour
INSERT INTO u SELECT a || ' ' || g, a, CASE WHEN g = 3000 THEN 4000 ELSE 100 + (hashtext(a || g) & 1023) % 23 END,
                     timestamptz '2024-01-01' + CASE a WHEN 'often' THEN g * interval '5 minutes' WHEN 'seldom' THEN g * interval '6 hours'
                                                       ELSE g * interval '12 minutes' + (hashtext('t' || g) & 4095) * interval '1 second' END
  FROM unnest(ARRAY['often', 'seldom', 'free']) a, generate_series(0, 3000) g WHERE a <> 'seldom' OR g > 2700;
SELECT a.account, a.rule, e -> 'history' ->> 'bucket' AS bucket, (e -> 'history' ->> 'from')::timestamptz AS from_at, e -> 'history' -> 'values' ->> -2 AS before,
       (e -> 'history' -> 'values' ->> -1)::numeric = (e ->> 'observed')::numeric AS last_is_observed,
       (SELECT count(*) FILTER (WHERE v::numeric BETWEEN (e #>> '{expected,lower}')::numeric AND (e #>> '{expected,upper}')::numeric) >= 44 FROM jsonb_array_elements(e -> 'history' -> 'values') v) AS within
  FROM billadj.anomaly a, billadj.explain_anomaly(a.anomaly_id) e WHERE a.account IN ('often', 'seldom', 'free') AND a.family = 'level' ORDER BY 1;

SET client_min_messages = error;
DROP SCHEMA look CASCADE;
SELECT count(*) >= 0 AS uninstalled FROM billadj.uninstall(keep_data => false);
DROP ROLE look_1, look_2, look_3, look_4, look_5, look_6, look_7;
SELECT count(*) > 0 AS installed FROM billadj.install();
