-- Mode shadow: a table with a biller of its own, three faults in it, and what
-- the report says of them.
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
SET client_min_messages = warning;
SELECT count(*) >= 0 AS installed FROM billadj.install();
BEGIN;
SELECT action, object FROM billadj.import_rate_card('{"code": "shadow", "currency": "USD", "priority": 70, "prices": [
    {"meter": "shadow_call", "model": "graduated", "tiers": [{"up_to": 1000, "unit_amount": "0.10"}, {"up_to": null, "unit_amount": "0.04"}]},
    {"meter": "shadow_gb", "model": "per_unit", "unit_amount": "0.0375"}]}', '[2025-01-01,)');

CREATE TABLE public.shadow_host (
    id      integer     PRIMARY KEY,
    account text        NOT NULL,
    meter   text        NOT NULL,
    used_at timestamptz NOT NULL,
    units   numeric     NOT NULL,
    billed  numeric
);

-- refused
CREATE FUNCTION pg_temp.try(sql text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE h text;
BEGIN
    EXECUTE sql;
    RETURN 'done';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS h = PG_EXCEPTION_HINT;
    RETURN SQLSTATE || ': ' || SQLERRM || ' / ' || h;
END $$;
SELECT pg_temp.try($$SELECT * FROM billadj.attach('shadow_host', 'account', 'used_at', 'meter', 'units', mode => $$ || args || ')')
  FROM (VALUES ($$'shadow'$$), ($$'shadow', compare => 'nothing'$$), ($$'shadow', compare => 'account'$$),
               ($$'rate', compare => 'billed'$$), ($$'other'$$)) AS v(args);
SELECT pg_temp.try($$SELECT * FROM billadj.shadow_report('shadow_host')$$);

SELECT action, count(*) FROM billadj.attach('shadow_host', 'account', 'used_at', 'meter', 'units', mode => 'shadow', compare => 'billed')
 GROUP BY action ORDER BY action;

-- The host's biller: calls by a running total with the tier taken one unit too
-- late, gigabytes of account c2 rounded row by row, those of c3 in megabytes.
INSERT INTO shadow_host
SELECT n, 'c' || n % 3 + 1, CASE WHEN n % 2 = 0 THEN 'shadow_call' ELSE 'shadow_gb' END,
       timestamptz '2025-03-01' + n * interval '1 hour', n * 7 % 50 + 1
  FROM generate_series(1, 300) AS n;
UPDATE shadow_host h SET billed = b.billed
  FROM (SELECT id, CASE
               WHEN meter = 'shadow_gb' AND account = 'c2' THEN round(units * 0.0375, 2)
               WHEN meter = 'shadow_gb' AND account = 'c3' THEN units * 1000 * 0.0375
               WHEN meter = 'shadow_gb' THEN units * 0.0375
               ELSE 0.10 * (least(after, 1001) - least(before, 1001)) + 0.04 * (greatest(after, 1001) - greatest(before, 1001)) END AS billed
          FROM (SELECT *, sum(units) OVER w AS after, sum(units) OVER w - units AS before
                  FROM shadow_host WINDOW w AS (PARTITION BY account, meter ORDER BY id)) x) b
 WHERE b.id = h.id;

-- nothing is billed, everything is compared
SELECT count(*) AS billed FROM billadj.charge WHERE meter LIKE 'shadow%';
SELECT count(*) AS compared, sum(row_count) AS rows FROM billadj.shadow_charge;
SELECT * FROM billadj.rating_gap('shadow_host');
SELECT cause, rows, accounts, which_accounts, host_amount, shadow_amount, difference, example FROM billadj.shadow_report('shadow_host');
SELECT cause, what_to_change FROM billadj.shadow_report('shadow_host') WHERE cause <> 'equal';
SELECT * FROM billadj.shadow_totals('shadow_host');
SELECT account, event_key, meter, quantity, quantity_before, host_amount, shadow_amount, cause FROM billadj.shadow_rows('shadow_host', 3);

-- how the amount is kept says what was rounded: whole units, or cents that happen to be none
SELECT v.host, v.shadow, billadj.shadow_cause('{"model": "per_unit", "unit_amount": "0.35"}', 30.2857, NULL, v.host, v.shadow) AS cause
  FROM (VALUES (11, 10.599995), (10, 10.599995), (12, 10.599995), (10.6, 10.599995), (10.60, 10.599995), (11.00, 10.599995), (11, 10)) AS v(host, shadow);

-- corrections, a missing price and a missing amount are seen too
UPDATE shadow_host SET units = 2 WHERE id = 1;
DELETE FROM shadow_host WHERE id = 4;
INSERT INTO shadow_host VALUES (400, 'c1', 'shadow_new', '2025-03-02', 1, 5), (401, 'c1', 'shadow_gb', '2025-03-02', 1, NULL);
SELECT cause, rows, accounts, difference, example FROM billadj.shadow_report('shadow_host')
 WHERE cause IN ('quantity', 'missing price', 'host amount missing') ORDER BY cause;

-- the host calls its amount something else
ALTER TABLE shadow_host RENAME billed TO invoiced;
SELECT pg_temp.try($$SELECT * FROM billadj.shadow_report('shadow_host')$$);
SELECT pg_temp.try($$SELECT * FROM billadj.remap('shadow_host', compare => 'account')$$);
SELECT action, object FROM billadj.remap('shadow_host', compare => 'invoiced');
SELECT sum(rows) AS compared FROM billadj.shadow_report('shadow_host');

-- promotion: every row is charged once, none is lost
SELECT step, action, object, lock, done FROM billadj.promote('shadow_host', dry_run => true);
SELECT step, action, object, lock, done FROM billadj.promote('shadow_host');
SELECT mode FROM billadj.attached WHERE relation = 'public.shadow_host';
INSERT INTO shadow_host VALUES (402, 'c2', 'shadow_gb', '2025-03-03', 4, NULL);
SELECT cause, count(*) FROM billadj.charge WHERE meter LIKE 'shadow%' GROUP BY cause ORDER BY cause;
SELECT * FROM billadj.rating_gap('shadow_host');
(SELECT account, meter, sum(amount) FROM billadj.charge WHERE meter LIKE 'shadow%' GROUP BY 1, 2
 EXCEPT ALL
 SELECT h.account, h.meter, billadj.rate(billadj.price_document(p.price_id), sum(h.units))
   FROM shadow_host h JOIN billadj.price p ON p.meter = h.meter GROUP BY h.account, h.meter, p.price_id);
SELECT pg_temp.try($$SELECT * FROM billadj.promote('shadow_host')$$);
ROLLBACK;
