-- Explanations of charges of every cause, and the same amounts from them again.
-- The charges are written by hand, with amounts from a pocket calculator.
\set SHOW_CONTEXT never
BEGIN;
SELECT billadj.install() \g /dev/null
SET LOCAL timezone = 'Asia/Tokyo';
CREATE TABLE explain_host (id bigint PRIMARY KEY);
INSERT INTO billadj.attachment (attachment_id, schema_name, relation_name, mapping) OVERRIDING SYSTEM VALUE
VALUES (900001, 'public', 'explain_host', '{}');
INSERT INTO billadj.meter (meter) VALUES ('explain_m');
INSERT INTO billadj.rate_card (rate_card_id, code, currency, account, priority) OVERRIDING SYSTEM VALUE
VALUES (900001, 'explain-list', 'USD', NULL, 900001), (900002, 'explain-contract', 'USD', 'ex', 900001);
INSERT INTO billadj.price (price_id, rate_card_id, meter, valid, terms, linear) OVERRIDING SYSTEM VALUE
SELECT id, card, 'explain_m', tstzrange(('2020-01-01 UTC'::timestamptz + id * interval '1 day'),
                                        ('2020-01-02 UTC'::timestamptz + id * interval '1 day')), terms, linear
FROM (VALUES
    (1, 900001, '{"model": "graduated"}'::jsonb, false),
    (2, 900001, '{"model": "per_unit", "unit_amount": 0.0025, "currency": "USD"}', true),
    (3, 900002, '{"model": "per_unit", "unit_amount": 0.001, "rounding": {"stage": "row", "step": 0.01}}', true),
    (4, 900002, '{"model": "flat", "flat_amount": 9}', false),
    (5, 900002, '{"model": "per_unit", "unit_amount": 2, "negative": "clamp"}', true),
    (6, 900002, '{"model": "per_unit", "unit_amount": 2, "negative": "carry"}', false),
    (7, 900002, '{"model": "stairstep", "zero_quantity": "first_tier_flat"}', false)) AS p(id, card, terms, linear);
INSERT INTO billadj.price_tier (price_id, tier, up_to, unit_amount, flat_amount)
VALUES (1, 1, 100, 0.10, NULL), (1, 2, NULL, 0.08, 1), (7, 1, 10, NULL, 5), (7, 2, NULL, NULL, 8);

INSERT INTO billadj.charge (account, charge_id, attachment_id, event_key, measure, meter, period_start, posted_period_start,
                            occurred_at, price_id, quantity, quantity_before, amount, currency, cause, row_count, basis,
                            created_at, created_by)
SELECT 'ex', 900000 + id, CASE cause WHEN 'position' THEN NULL ELSE 900001 END,
       CASE cause WHEN 'position' THEN NULL ELSE event_key END, measure, 'explain_m', '2024-05-01 UTC', '2024-05-01 UTC',
       '2024-05-03 09:00 UTC', price_id, quantity, before, amount, 'USD', cause, 1, basis::jsonb, '2024-05-03 09:01 UTC', 'host'
FROM (VALUES
    (1, '1', 'q', 1, 60, NULL, 6.00, 'usage', NULL),
    (2, '2', 'q', 1, 60, 60, 6.60, 'usage', NULL),
    (3, '2', 'q', 1, -10, 120, -0.80, 'update', NULL),
    (4, '1', 'q', 1, -60, 60, -6.00, 'delete', '{"rows_after": 0}'),
    (5, NULL, NULL, 1, 0, 80, 0.40, 'position', '{"quantity": 50, "assumed_before": null, "assumed_rows_after": 1, "rows_after": 4}'),
    (6, NULL, NULL, 1, 0, NULL, -0.40, 'position', '{"quantity": 50, "assumed_before": 80, "assumed_rows_after": 4, "rows_after": 1}'),
    (7, '7', 'q', 2, 1000, NULL, 2.50, 'backfill', NULL),
    (8, '7', 'q', 2, -1000, NULL, -2.50, 'delete', NULL),
    (9, '9', 'a', 3, 4, NULL, 0.01, 'usage', '{"exact": 0.004, "row_exact": [{"measure": "a", "amount": 0.004}, {"measure": "b", "amount": 0.003}], "step": 0.01, "mode": "half_up"}'),
    (10, '9', 'b', 3, 3, NULL, 0.00, 'usage', '{"exact": 0.003, "row_exact": [{"measure": "a", "amount": 0.004}, {"measure": "b", "amount": 0.003}], "step": 0.01, "mode": "half_up"}'),
    (11, '9', 'b', 3, 12, NULL, 0.02, 'update', '{"exact": 0.015, "row_exact": [{"measure": "a", "amount": 0.004}, {"measure": "b", "amount": 0.015}], "step": 0.01, "mode": "half_up", "was": 0}'),
    (12, '9', 'a', 3, -4, NULL, -0.01, 'delete', '{"exact": 0, "row_exact": [], "step": 0.01, "mode": "half_up", "was": 0.01}'),
    (13, '13', 'q', 4, 5, NULL, 9, 'usage', NULL),
    (14, '14', 'q', 4, 5, 5, 0, 'usage', NULL),
    (15, '14', 'q', 4, -5, 10, 0, 'delete', '{"rows_after": 1}'),
    (16, '13', 'q', 4, -5, 5, -9, 'delete', '{"rows_after": 0}'),
    (17, '17', 'q', 5, -3, NULL, -6, 'delete', NULL),
    (18, '18', 'q', 6, -3, 1, -2, 'usage', NULL),
    (19, '19', 'q', 6, 5, -2, 6, 'usage', NULL),
    (20, '20', 'q', 7, 0, NULL, 5, 'usage', NULL),
    (21, '21', 'q', NULL, 0, NULL, 0.01, 'correction', NULL)
) AS c(id, event_key, measure, price_id, quantity, before, amount, cause, basis);

-- the same amount to the last digit
SELECT charge_id, cause, quantity, quantity_before AS before, amount,
       billadj.replay(billadj.explain_charge(charge_id)) AS replayed
FROM billadj.charge WHERE price_id IS NOT NULL AND charge_id > 900000 ORDER BY charge_id;
SELECT count(*) AS charges,
       count(*) FILTER (WHERE billadj.replay(billadj.explain_charge(charge_id)) = amount) AS replayed
FROM billadj.charge WHERE price_id IS NOT NULL AND charge_id > 900000;

-- the whole of one
SELECT jsonb_pretty(billadj.explain_charge(900002) #- '{price,created_at}' #- '{price,created_by}');
-- tiers: what is due is counted, what was booked is taken off
SELECT c.charge_id, s.*
FROM (VALUES (900005), (900004), (900017)) AS c(charge_id),
     jsonb_to_recordset(billadj.explain_charge(c.charge_id)->'steps')
     AS s(part text, tier int, quantity numeric, unit_amount numeric, flat_amount numeric, amount numeric);
SELECT billadj.explain_charge(900009)->'rounding' AS rounding, billadj.explain_charge(900009)#>'{price,contract_of}' AS contract_of;

-- a usage row: all its charges
SELECT e->>'event_key' AS event_key, e->'amount' AS amount, jsonb_array_length(e->'charges') AS charges, e->'parked' AS parked
FROM (VALUES ('9'), ('2'), ('none')) AS k(event_key), billadj.explain_usage('explain_host', k.event_key) AS e;

-- unknown, and not rated
SAVEPOINT s;
SELECT billadj.explain_charge(900099);
ROLLBACK TO s;
SELECT billadj.replay(billadj.explain_charge(900021));
ROLLBACK TO s;
SELECT billadj.explain_charge(NULL) IS NULL AS charge, billadj.replay(NULL) IS NULL AS replay;

-- a finance reader may ask
SET LOCAL ROLE billadj_reader;
SELECT billadj.explain_charge(900001)->'amount' AS amount;
RESET ROLE;

-- an explanation needs no table
SELECT billadj.explain_charge(900005) AS explanation \gset
ROLLBACK;
SELECT billadj.replay(:'explanation') AS replayed;

-- the rounding of one row's charges
SELECT billadj.share_residual(ARRAY[0.004, 0.003, 0.003], 0.01, 'half_up') AS shares,
       billadj.share_residual(ARRAY[0.333, 0.333, 0.334], 0.05, 'half_even') AS steps,
       billadj.share_residual('{}', 0.01, 'half_up') AS none;
SELECT billadj.share_residual(ARRAY[1, NULL], 0.01, 'half_up');
