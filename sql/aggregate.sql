-- Exact sums and their price, over any rows.

-- no row, or none with a quantity, is no amount; a quantity of 0 is one
SELECT rows, billadj.rated_sum('{"model": "flat", "flat_amount": 5}', q) AS amount,
       billadj.rated_quantity_sum('{"model": "flat", "flat_amount": 5}', q) AS quantity, billadj.exact_sum(q) AS sum
FROM (VALUES ('none', '{}'::numeric[]), ('nulls', '{NULL,NULL}'), ('zero', '{NULL,0}'), ('some', '{1,NULL,2.50}')) AS v(rows, list)
LEFT JOIN LATERAL unnest(list) AS q ON true
GROUP BY rows ORDER BY rows;

-- a row below zero counts by the price's rule before it is added; 4 - 10 + 3
CREATE FUNCTION pg_temp.try(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    result text;
    detail text;
    hint   text;
BEGIN
    EXECUTE query INTO result;
    RETURN result;
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RETURN concat_ws(E'\n', SQLSTATE || ': ' || SQLERRM, nullif(detail, ''), nullif(hint, ''));
END $$;
SELECT rule, pg_temp.try(format($$SELECT billadj.rated_quantity_sum(p, q) || ' costs ' || billadj.rated_sum(p, q)
                                  FROM (VALUES (4), (-10), (3)) AS v(q), LATERAL (SELECT %L::jsonb AS p) AS price$$,
                                jsonb_build_object('model', 'graduated', 'negative', rule, 'tiers',
                                                   '[{"up_to": 5, "unit_amount": 2}, {"unit_amount": 1, "flat_amount": 0.5}]'::jsonb))) AS result
FROM unnest(ARRAY['credit', 'carry', 'clamp', 'reject']) AS rule;

-- what it refuses
SELECT pg_temp.try(query) AS result
FROM (VALUES
    ($$SELECT billadj.rated_sum(p, 1) FROM (VALUES (1, '{"model": "flat", "flat_amount": 1}'::jsonb), (2, '{"model": "flat", "flat_amount": 2}')) AS v(i, p)$$),
    ($$SELECT billadj.rated_sum('{"model": "flat"}', q) FROM (VALUES (1)) AS v(q)$$),
    ($$SELECT billadj.rated_sum('{"model": "flat", "flat_amount": 1}', q) FROM (VALUES (1), ('NaN'::numeric)) AS v(q)$$),
    ($$SELECT billadj.exact_sum(q) FROM (VALUES (1), ('-Infinity'::numeric)) AS v(q)$$),
    ($$SELECT billadj.exact_sum(q) FROM (VALUES (1e37), (9e37), (1e-3)) AS v(q)$$),
    ($$SELECT billadj.exact_sum(q) FROM (VALUES (99999999999999999999999999999999999999), (1)) AS v(q)$$),
    ($$SELECT billadj.exact_sum(q) FROM (VALUES (99999999999999999999999999999999999998), (1)) AS v(q)$$)) AS c(query);

-- a group has one price, however it is written: GROUP BY takes these for equal
SELECT p, billadj.rated_sum(p, q)
FROM (VALUES ('{"model": "per_unit", "unit_amount": 0.10}'::jsonb, 1), ('{"unit_amount": 0.1, "model": "per_unit"}', 2),
             ('{"model": "per_unit", "unit_amount": 0.10}', 4), ('{"model": "per_unit", "unit_amount": 3}', 8)) AS v(p, q)
GROUP BY p ORDER BY p;
-- a row without a price is left out
SELECT billadj.rated_sum(p, q) FROM (VALUES (NULL::jsonb, 1), ('{"model": "per_unit", "unit_amount": 3}', 2), (NULL, 3)) AS v(p, q);

-- as a window function: f at each row's position
SELECT q, billadj.rated_sum(p, q) OVER (ORDER BY q) AS amount, billadj.exact_sum(q) OVER (ORDER BY q ROWS 1 PRECEDING) AS last_two
FROM (VALUES (4), (5), (6)) AS v(q),
     LATERAL (SELECT '{"model": "volume", "tiers": [{"up_to": 10, "unit_amount": 2}, {"unit_amount": 1}]}'::jsonb AS p) AS price;
SELECT billadj.exact_sum(DISTINCT q) AS distinct, billadj.exact_sum(q) FILTER (WHERE q > 1) AS filtered,
       billadj.exact_sum(q ORDER BY q DESC) AS ordered FROM (VALUES (1), (1), (2.5)) AS v(q);

-- ---- against rate() of sum(), serial and in parallel ----

CREATE TABLE agg_price AS
SELECT row_number() OVER () AS n, p::jsonb AS price FROM (VALUES
    ('{"model": "per_unit", "unit_amount": "0.0025"}'),
    ('{"model": "per_unit", "unit_amount": 1, "per": 3}'),
    ('{"model": "package", "size": 100, "package_amount": 5, "free_units": 50}'),
    ('{"model": "graduated", "tiers": [{"up_to": 100, "unit_amount": 0.1}, {"up_to": 5000, "unit_amount": 0.08, "flat_amount": 1}, {"unit_amount": 0.05}]}'),
    ('{"model": "volume", "tiers": [{"up_to": 100, "unit_amount": 0.1}, {"up_to": 5000, "unit_amount": 0.08}, {"unit_amount": 0.05}]}'),
    ('{"model": "stairstep", "negative": "carry", "tiers": [{"up_to": 1000, "flat_amount": 1}, {"flat_amount": 2}]}'),
    ('{"model": "percentage", "rate": 0.029, "fixed_amount": 0.3}'),
    ('{"model": "per_unit", "unit_amount": 0.01, "negative": "clamp"}'),
    ('{"model": "flat", "flat_amount": 9.99}')) AS v(p);
SELECT setseed(0.25);
CREATE TABLE agg_usage AS
SELECT (power(random(), 2) * 400)::integer AS account,
       CASE WHEN random() < 0.95 THEN round(((random() - 0.1) * power(10, random() * 5))::numeric, (random() * 6)::integer) END AS quantity
FROM generate_series(1, 12000);
-- a group of one row, and one without a quantity
INSERT INTO agg_usage VALUES (-1, 1e20), (-2, NULL);
CREATE TABLE agg_row AS SELECT * FROM agg_usage, agg_price;
ALTER TABLE agg_row SET (parallel_workers = 2);
ANALYZE agg_row;

-- what the aggregates should say, by the server's own sum()
CREATE TABLE agg_wanted AS
SELECT account, n, billadj.rate(price, counted) AS amount, counted, sum
FROM (SELECT account, n, price, sum(quantity) AS sum,
             sum(CASE WHEN price @> '{"negative": "clamp"}' THEN greatest(quantity, CASE WHEN quantity < 0 THEN 0 END)
                      ELSE quantity END) AS counted
      FROM agg_row GROUP BY account, n, price) AS g;

CREATE VIEW found AS
SELECT account, n, billadj.rated_sum(price, quantity) AS amount, billadj.rated_quantity_sum(price, quantity) AS counted,
       billadj.exact_sum(quantity) AS sum
FROM agg_row GROUP BY account, n;
SET max_parallel_workers_per_gather = 0;
CREATE TABLE agg_serial AS TABLE found;
SET max_parallel_workers_per_gather = 2;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
-- all of it in the workers, then with the leader, then sorted groups
SET parallel_leader_participation = off;
CREATE TABLE agg_workers AS TABLE found;
SELECT plan ~ '"Partial Mode": "Partial"' AS partial, plan ~ '"Gather' AS gather
FROM pg_temp.try('EXPLAIN (FORMAT JSON) TABLE found') AS plan;
SET parallel_leader_participation = on;
CREATE TABLE agg_leader AS TABLE found;
SET enable_hashagg = off;
CREATE TABLE agg_sorted AS TABLE found;
RESET enable_hashagg;

SELECT plan, groups, differ FROM (VALUES
    ('serial', (SELECT count(*) FROM agg_serial),
     (SELECT count(*) FROM (TABLE agg_wanted EXCEPT ALL TABLE agg_serial) AS d)),
    ('workers', (SELECT count(*) FROM agg_workers), (SELECT count(*) FROM (TABLE agg_workers EXCEPT ALL TABLE agg_serial) AS d)),
    ('with leader', (SELECT count(*) FROM agg_leader), (SELECT count(*) FROM (TABLE agg_leader EXCEPT ALL TABLE agg_serial) AS d)),
    ('sorted', (SELECT count(*) FROM agg_sorted), (SELECT count(*) FROM (TABLE agg_sorted EXCEPT ALL TABLE agg_serial) AS d))) AS v(plan, groups, differ);
-- the digits are the same too
SELECT count(*) AS texts_differ FROM agg_workers w JOIN agg_serial s USING (account, n)
WHERE (w.amount::text, w.counted::text, w.sum::text) IS DISTINCT FROM (s.amount::text, s.counted::text, s.sum::text);
-- many more groups than prices that a call site keeps
SELECT count(*) AS prices, count(*) FILTER (WHERE amount = sum * n) AS right
FROM (SELECT n, billadj.rated_sum(jsonb_build_object('model', 'per_unit', 'unit_amount', n), q) AS amount, sum(q) AS sum
      FROM generate_series(1, 1500) AS n, generate_series(1, 3) AS q GROUP BY n) AS g;
-- two workers of one group meet two prices
SELECT pg_temp.try('SELECT max(sum) FROM (SELECT account, billadj.rated_sum(price, quantity) AS sum FROM agg_row GROUP BY account) AS g') ~
       '^UB002: rows of one group have different prices' AS refused;
RESET max_parallel_workers_per_gather;

-- ---- states are not believed ----

CREATE FUNCTION pg_temp.outcome(query text, state bytea) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    result text;
BEGIN
    EXECUTE query INTO result USING state;
    RETURN 'ok';
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE;
END $$;
CREATE TABLE agg_state AS
SELECT billadj.rated_sum_step(NULL, '{"model": "volume", "tiers": [{"up_to": 9, "unit_amount": 2}, {"unit_amount": 3}]}', 5) AS priced,
       billadj.exact_sum_step(NULL, 1.5) AS plain;
-- called by hand a state is copied, never changed
SELECT billadj.rated_sum_final(billadj.rated_sum_step(priced, '{"model": "volume", "tiers": [{"up_to": 9, "unit_amount": 2}, {"unit_amount": 3}]}', 5)) AS thirty,
       billadj.rated_sum_final(billadj.rated_sum_combine(priced, priced)) AS thirty_too, billadj.rated_sum_final(priced) AS ten,
       billadj.exact_sum_final(billadj.exact_sum_combine(plain, billadj.exact_sum_step(plain, 2))) AS five,
       length(plain) AS plain_bytes, length(priced) AS priced_bytes
FROM agg_state;
-- random bytes, cut states, and states with some bytes changed
CREATE TABLE agg_forged AS
SELECT decode(md5(i::text || 'a') || md5(i::text || 'b'), 'hex') AS bytes FROM generate_series(1, 500) AS i
UNION ALL SELECT substring(priced FROM 1 FOR i) FROM agg_state, generate_series(0, 120) AS i
UNION ALL SELECT substring(plain FROM 1 FOR i) FROM agg_state, generate_series(0, 20) AS i
UNION ALL SELECT plain || '\x00' FROM agg_state
UNION ALL SELECT set_byte(priced, i, b) FROM agg_state, generate_series(0, length(priced) - 1) AS i, unnest(ARRAY[0, 1, 2, 34, 91, 123, 127, 128, 192, 240, 255]) AS b
UNION ALL SELECT set_byte(plain, i, b) FROM agg_state, generate_series(0, 19) AS i, unnest(ARRAY[0, 1, 2, 3, 127, 128, 255]) AS b;
SELECT query, count(*) AS states,
       count(*) FILTER (WHERE state NOT IN ('ok', '22P03', '22P02', '22021', 'UB002', 'UB009', 'UB010')) AS others,
       count(*) FILTER (WHERE state = 'ok') > 0 AS some_are_sound, count(*) FILTER (WHERE state = '22P03') > 500 AS most_are_not
FROM agg_forged, (VALUES
    ('SELECT billadj.rated_sum_final($1)'),
    ('SELECT billadj.rated_quantity_sum_final($1)'),
    ('SELECT billadj.exact_sum_final($1)'),
    ($$SELECT billadj.rated_sum_step($1, '{"model": "flat", "flat_amount": 1}', 7)$$),
    ('SELECT billadj.exact_sum_step($1, 7)'),
    ('SELECT billadj.rated_sum_final(billadj.rated_sum_combine($1, $1))'),
    ('SELECT billadj.rated_sum_final(billadj.rated_sum_combine(NULL, $1))'),
    ('SELECT billadj.exact_sum_final(billadj.exact_sum_combine($1, $1))'),
    ('SELECT billadj.exact_sum_final(billadj.exact_sum_combine($1, NULL))')) AS q(query),
    LATERAL pg_temp.outcome(query, bytes) AS state
GROUP BY query ORDER BY query COLLATE "C";
-- the same as the first state of somebody's own aggregate, which is changed in place
CREATE AGGREGATE pg_temp.forged(jsonb, numeric) (SFUNC = billadj.rated_sum_step, STYPE = bytea, INITCOND = '\x0102');
CREATE AGGREGATE pg_temp.forged_plain(numeric) (SFUNC = billadj.exact_sum_step, STYPE = bytea, INITCOND = '\x0101e803ffffffffffffffffffffffffffffff7f');
SELECT pg_temp.try($$SELECT pg_temp.forged('{"model": "flat", "flat_amount": 1}', 1)$$) AS forged,
       pg_temp.try($$SELECT pg_temp.forged_plain(1)$$) AS forged_plain;
DROP VIEW found;
DROP TABLE agg_row, agg_price, agg_usage, agg_wanted, agg_serial, agg_workers, agg_leader, agg_sorted, agg_state, agg_forged;
