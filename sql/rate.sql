-- Price documents, and what they make of a quantity.

-- amounts, or the error that a user would see
CREATE FUNCTION pg_temp.try_rate(price text, quantity text, before text) RETURNS text
LANGUAGE plpgsql AS $$
BEGIN
    RETURN billadj.rate(price::jsonb, quantity::numeric, before::numeric)::text;
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE || ': ' || SQLERRM;
END $$;

-- every model; before NULL: nothing of the period is charged yet
SELECT model, quantity, before, pg_temp.try_rate(price, quantity, before) AS amount
FROM (VALUES
    ('flat', '{"model": "flat", "flat_amount": 9.99}'),
    ('per_unit', '{"model": "per_unit", "unit_amount": "0.0025"}'),
    ('per million', '{"model": "per_unit", "unit_amount": 2.5, "per": 1000000}'),
    ('per 3', '{"model": "per_unit", "unit_amount": 1, "per": 3}'),
    ('package', '{"model": "package", "size": 100, "package_amount": 5, "free_units": 50}'),
    ('package down', '{"model": "package", "size": 100, "package_amount": 5, "partial": "down"}'),
    ('package prorate', '{"model": "package", "size": 70, "package_amount": 5, "partial": "prorate"}'),
    ('graduated', '{"model": "graduated", "tiers": [{"up_to": 100, "unit_amount": 0.10},
                   {"up_to": 1000, "unit_amount": 0.08, "flat_amount": 1}, {"up_to": null, "unit_amount": 0.05}]}'),
    ('volume', '{"model": "volume", "tiers": [{"up_to": 100, "unit_amount": 0.10, "flat_amount": 2},
                {"up_to": 1000, "unit_amount": 0.08}, {"up_to": null, "unit_amount": 0.05}]}'),
    ('stairstep', '{"model": "stairstep", "tiers": [{"up_to": 100, "flat_amount": 10},
                   {"up_to": 1000, "flat_amount": 50}, {"flat_amount": 80}]}'),
    ('percentage', '{"model": "percentage", "rate": "0.029", "fixed_amount": "0.30"}'),
    ('graduated_percentage', '{"model": "graduated_percentage", "tiers": [{"up_to": 1000, "rate": 0.1},
                              {"rate": 0.05, "flat_amount": 3}]}'),
    ('passthrough', '{"model": "passthrough", "multiplier": 1.15}')) AS p(model, price),
    (VALUES (NULL, '0'), (NULL, '99.5'), (NULL, '100'), (NULL, '2000'), (NULL, '-150'), ('0', '0'), ('99.5', '1'),
            ('2000', '-2000'), ('-150', '250')) AS q(before, quantity);

-- the keys that change a model's mind
SELECT key, quantity, before, pg_temp.try_rate(price, quantity, before) AS amount
FROM (VALUES
    ('zero: none', '{"model": "flat", "flat_amount": 9, "zero_quantity": "none"}', '0', NULL),
    ('zero: default of flat', '{"model": "flat", "flat_amount": 9}', '0', NULL),
    ('zero: none', '{"model": "percentage", "rate": 0.1, "fixed_amount": 1, "zero_quantity": "none"}', '0', NULL),
    ('zero: none, then some', '{"model": "percentage", "rate": 0.1, "fixed_amount": 1, "zero_quantity": "none"}', '5', '0'),
    ('zero: first_tier_flat', '{"model": "graduated", "zero_quantity": "first_tier_flat", "tiers": [{"unit_amount": 1, "flat_amount": 7}]}', '0', NULL),
    ('zero: first_tier_flat', '{"model": "volume", "zero_quantity": "first_tier_flat", "tiers": [{"unit_amount": 1, "flat_amount": 7}]}', '0', NULL),
    ('zero: due once', '{"model": "volume", "zero_quantity": "first_tier_flat", "tiers": [{"unit_amount": 1, "flat_amount": 7}]}', '5', '0'),
    ('zero: first_tier_flat', '{"model": "stairstep", "zero_quantity": "first_tier_flat", "tiers": [{"flat_amount": 7}]}', '0', NULL),
    ('zero: says nothing here', '{"model": "per_unit", "unit_amount": 1, "zero_quantity": "first_tier_flat"}', '0', NULL),
    ('bound: inclusive', '{"model": "stairstep", "tiers": [{"up_to": 10, "flat_amount": 1}, {"flat_amount": 2}]}', '10', NULL),
    ('bound: exclusive', '{"model": "stairstep", "bound": "exclusive", "tiers": [{"up_to": 10, "flat_amount": 1}, {"flat_amount": 2}]}', '10', NULL),
    ('bound: exclusive', '{"model": "graduated", "bound": "exclusive", "tiers": [{"up_to": 10, "unit_amount": 1}, {"unit_amount": 1, "flat_amount": 2}]}', '10', NULL),
    ('negative: credit', '{"model": "per_unit", "unit_amount": 2}', '-5', '3'),
    ('negative: carry', '{"model": "per_unit", "unit_amount": 2, "negative": "carry"}', '-5', '3'),
    ('negative: carry, filled up', '{"model": "per_unit", "unit_amount": 2, "negative": "carry"}', '5', '-2'),
    ('negative: clamp', '{"model": "per_unit", "unit_amount": 2, "negative": "clamp"}', '-5', '3'),
    ('negative: reject', '{"model": "per_unit", "unit_amount": 2, "negative": "reject"}', '-5', '3'),
    ('charge_scale: 2', '{"model": "per_unit", "unit_amount": 1, "per": 3, "charge_scale": 2}', '1', NULL),
    ('charge_scale: 2, the next', '{"model": "per_unit", "unit_amount": 1, "per": 3, "charge_scale": 2}', '1', '1'),
    ('charge_scale: not for an end', '{"model": "per_unit", "unit_amount": 1, "per": 1024, "charge_scale": 2}', '1', NULL),
    ('multiplier: default', '{"model": "passthrough"}', '12.34', NULL),
    ('rounding is not rating', '{"model": "per_unit", "unit_amount": 0.001, "currency": "USD", "rounding": {"stage": "row", "mode": "up", "step": 1}}', '1', NULL)
) AS c(key, price, quantity, before);

-- tier by tier
SELECT q.quantity AS rated, q.before, s.*
FROM (VALUES (2000, NULL), (1, 100), (-1901, 2000), (-2000, NULL), (0, NULL)) AS q(quantity, before),
     billadj.rate_steps('{"model": "graduated", "tiers": [{"up_to": 100, "unit_amount": 0.10},
                          {"up_to": 1000, "unit_amount": 0.08, "flat_amount": 1}, {"unit_amount": 0.05}]}',
                        q.quantity, q.before) AS s;
SELECT q.quantity AS rated, q.before, s.*
FROM (VALUES (101, NULL), (1, 100), (5, 50), (-1, 101)) AS q(quantity, before),
     billadj.rate_steps('{"model": "volume", "tiers": [{"up_to": 100, "unit_amount": 0.10, "flat_amount": 2}, {"unit_amount": 0.08}]}',
                        q.quantity, q.before) AS s;
SELECT price->>'model' AS model, s.*
FROM (VALUES ('{"model": "flat", "flat_amount": 9.99}'::jsonb),
             ('{"model": "per_unit", "unit_amount": 2.5, "per": 1000000}'),
             ('{"model": "per_unit", "unit_amount": 1, "per": 3}'),
             ('{"model": "package", "size": 100, "package_amount": 5, "free_units": 50}'),
             ('{"model": "package", "size": 70, "package_amount": 5, "partial": "prorate"}'),
             ('{"model": "percentage", "rate": "0.029", "fixed_amount": "0.30"}')) AS p(price),
     billadj.rate_steps(price, 250) AS s;

-- a published hour of two services of a cloud provider
SELECT service,
       billadj.rate('{"model": "graduated", "tiers": [{"up_to": 10000000, "unit_amount": 0.0000025},
                      {"unit_amount": 0.000002}]}', tokens_in) AS graduated,
       billadj.rate('{"model": "volume", "tiers": [{"up_to": 10000000, "unit_amount": 0.0000025},
                      {"unit_amount": 0.000002}]}', tokens_in) AS volume,
       billadj.rate('{"model": "per_unit", "unit_amount": 2.50, "per": 1000000}', tokens_in)
       + billadj.rate('{"model": "per_unit", "unit_amount": 10.00, "per": 1000000}', tokens_out) AS per_unit
FROM (VALUES ('code', 18059974, 245896), ('conv', 22361870, 4088665)) AS u(service, tokens_in, tokens_out);

-- long numbers: exact as long as the result is short enough
SELECT what, pg_temp.try_rate(price, quantity, before) AS amount
FROM (VALUES
    ('after a long total', '{"model": "per_unit", "unit_amount": "0.000123"}', '1', '123456789012345678901234567890123456'),
    ('a sum too long to hold', '{"model": "per_unit", "unit_amount": "0.000123"}', '0.00001', '123456789012345678901234567890123456'),
    ('a third after a long total', '{"model": "per_unit", "unit_amount": 1, "per": 3}', '1', '123456789012345678901234567890123456'),
    ('bounds and totals far apart', '{"model": "graduated", "tiers": [{"up_to": 1000, "unit_amount": 1}, {"unit_amount": 0}]}', '1e30', '0.0000000001'),
    ('36 digits', '{"model": "per_unit", "unit_amount": "0.999999999999999999"}', '999999999999999999', NULL),
    ('too long', '{"model": "per_unit", "unit_amount": "0.123456789012345678901"}', '123456789012345678901', NULL),
    ('not a number', '{"model": "per_unit", "unit_amount": 1}', 'NaN', NULL),
    ('infinite', '{"model": "per_unit", "unit_amount": 1}', '1', 'Infinity')
) AS c(what, price, quantity, before);

-- nulls, and a constant document with one that changes
SELECT billadj.rate(NULL, 1) IS NULL AS price, billadj.rate('{"model": "passthrough"}', NULL) IS NULL AS quantity,
       (SELECT count(*) FROM billadj.rate_steps(NULL, 1)) AS steps, billadj.price_check(NULL) IS NULL AS sound;
SELECT sum(billadj.rate(jsonb_build_object('model', 'per_unit', 'unit_amount', n / 10), 1)) AS documents_change,
       sum(billadj.rate('{"model": "per_unit", "unit_amount": 0.1}', n)) AS quantities_change
FROM generate_series(1, 1000) AS n;

-- which prices need no running total
SELECT price, billadj.price_is_linear(price::jsonb) AS linear
FROM (VALUES ('{"model": "per_unit", "unit_amount": 1, "per": 8}'),
             ('{"model": "per_unit", "unit_amount": 3, "per": 3}'),
             ('{"model": "per_unit", "unit_amount": 1, "per": 3}'),
             ('{"model": "per_unit", "unit_amount": 1, "negative": "carry"}'),
             ('{"model": "per_unit", "unit_amount": 1, "negative": "clamp"}'),
             ('{"model": "flat", "flat_amount": 1}'),
             ('{"model": "percentage", "rate": 0.1}'),
             ('{"model": "percentage", "rate": 0.1, "fixed_amount": 0.3}'),
             ('{"model": "passthrough"}'),
             ('{"model": "package", "size": 8, "package_amount": 1}'),
             ('{"model": "package", "size": 8, "package_amount": 1, "partial": "prorate"}'),
             ('{"model": "volume", "tiers": [{"unit_amount": 2}]}'),
             ('{"model": "volume", "tiers": [{"unit_amount": 2, "flat_amount": 1}]}'),
             ('{"model": "graduated", "tiers": [{"up_to": 1, "unit_amount": 2}, {"unit_amount": 2}]}')) AS p(price);

-- documents that are refused, each with the path
SELECT price, billadj.price_check(price::jsonb) AS problem
FROM (VALUES
    ('[]'),
    ('"flat"'),
    ('{}'),
    ('{"model": 1}'),
    ('{"model": "tiered"}'),
    ('{"model": "flat"}'),
    ('{"model": "flat", "flat_amount": null}'),
    ('{"model": "flat", "flat_amount": "1,5"}'),
    ('{"model": "flat", "flat_amount": "NaN"}'),
    ('{"model": "flat", "flat_amount": [1]}'),
    ('{"model": "flat", "flat_amount": {"is": 1}}'),
    ('{"model": "flat", "flat_amount": true}'),
    ('{"model": "flat", "flat_amount": 123456789012345678901234567890123456789}'),
    ('{"model": "flat", "flat_amount": 1, "unit_amount": 1}'),
    ('{"model": "flat", "flat_amount": 1, "currency": "usd"}'),
    ('{"model": "flat", "flat_amount": 1, "currency": "XYZ"}'),
    ('{"model": "flat", "flat_amount": 1, "meter": "api"}'),
    ('{"model": "flat", "flat_amount": 1, "Model": "flat"}'),
    ('{"model": "flat", "flat_amount": 1, "ein_sehr_langer_schlüssel_mit_ü_am_ende_üüüü": 1}'),
    ('{"model": "flat", "flat_amount": 1, "negative": "keep"}'),
    ('{"model": "flat", "flat_amount": 1, "zero_quantity": true}'),
    ('{"model": "flat", "flat_amount": 1, "charge_scale": 31}'),
    ('{"model": "flat", "flat_amount": 1, "charge_scale": 1.5}'),
    ('{"model": "flat", "flat_amount": 1, "charge_scale": 1e10}'),
    ('{"model": "flat", "flat_amount": 1, "rounding": "up"}'),
    ('{"model": "flat", "flat_amount": 1, "rounding": {"mode": "bankers"}}'),
    ('{"model": "flat", "flat_amount": 1, "rounding": {"scale": 2}}'),
    ('{"model": "flat", "flat_amount": 1, "rounding": {"step": -0.01}}'),
    ('{"model": "flat", "flat_amount": 1, "rounding": {"step": 0}}'),
    ('{"model": "flat", "flat_amount": 1, "rounding": {"stage": "day"}}'),
    ('{"model": "flat", "flat_amount": 1, "rounding": {"stage": "row"}}'),
    ('{"model": "per_unit"}'),
    ('{"model": "per_unit", "unit_amount": 1, "per": 0}'),
    ('{"model": "per_unit", "unit_amount": 1, "per": -1}'),
    ('{"model": "per_unit", "unit_amount": 1, "tiers": []}'),
    ('{"model": "package", "size": 0, "package_amount": 1}'),
    ('{"model": "package", "size": 1}'),
    ('{"model": "package", "size": 1, "package_amount": 1, "free_units": -1}'),
    ('{"model": "package", "size": 1, "package_amount": 1, "partial": "half"}'),
    ('{"model": "percentage"}'),
    ('{"model": "percentage", "rate": "10%"}'),
    ('{"model": "passthrough", "multiplier": "2x"}'),
    ('{"model": "graduated"}'),
    ('{"model": "graduated", "tiers": []}'),
    ('{"model": "graduated", "tiers": {"up_to": 1}}'),
    ('{"model": "graduated", "tiers": [1]}'),
    ('{"model": "graduated", "tiers": [{}]}'),
    ('{"model": "graduated", "tiers": [{"up_to": null}]}'),
    ('{"model": "graduated", "tiers": [{"up_to": 5, "unit_amount": 1}]}'),
    ('{"model": "graduated", "tiers": [{"unit_amount": 1}, {"unit_amount": 2}]}'),
    ('{"model": "graduated", "tiers": [{"up_to": 0, "unit_amount": 1}, {"unit_amount": 2}]}'),
    ('{"model": "graduated", "tiers": [{"up_to": "5 GB", "unit_amount": 1}, {"unit_amount": 2}]}'),
    ('{"model": "graduated", "tiers": [{"up_to": 5, "unit_amount": 1}, {"up_to": 5.0, "unit_amount": 1}, {"unit_amount": 2}]}'),
    ('{"model": "graduated", "tiers": [{"up_to": 5, "unit_amount": 1}, {"up_to": 4, "unit_amount": 1}, {"unit_amount": 2}]}'),
    ('{"model": "graduated", "tiers": [{"up_to": 5, "unit_amount": 1, "from": 0}, {"unit_amount": 2}]}'),
    ('{"model": "graduated", "tiers": [{"rate": 1}]}'),
    ('{"model": "stairstep", "tiers": [{"up_to": 5, "flat_amount": 1}, {"up_to": null}]}'),
    ('{"model": "stairstep", "tiers": [{"unit_amount": 1}]}'),
    ('{"model": "graduated_percentage", "tiers": [{"unit_amount": 1}]}'),
    ('{"model": "volume", "tiers": [{"unit_amount": 1}], "rounding": {"stage": "row"}}'),
    ('{"model": "volume", "tiers": [{"unit_amount": 1, "cap": 5}]}'),
    ('{"model": "flat", "flat_amount": 1, "conversion": {"op": "divide", "factor": 1024}}'),
    ('{"model": "flat", "flat_amount": 1, "allowance": {"quantity": 100}}'),
    ('{"model": "flat", "flat_amount": 1, "cap": {"amount": 100}}'),
    ('{"model": "flat", "flat_amount": 1, "minimum": {"amount": 100}}'),
    ('{"model": "flat", "flat_amount": 1, "commitment": {"amount": 100}}'),
    ('{"model": "flat", "flat_amount": 1, "discounts": []}'),
    ('{"model": "flat", "flat_amount": 1, "tier_scope": "period"}')
) AS c(price);

-- rate() raises the same, with a hint
\set VERBOSITY default
SELECT billadj.rate('{"model": "per_unit", "price": 1}', 1);
SELECT billadj.rate('{"model": "per_unit", "unit_amount": "one"}', 1);
SELECT billadj.rate_steps('{"model": "per_unit", "unit_amount": 1, "negative": "reject"}', -1);
