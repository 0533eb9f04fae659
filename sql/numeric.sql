-- The numeric codec: stored digits in, stored digits out, held against the
-- server's own conversions.  exact() reads and writes one value.

-- every length, weight and sign: digits of 1 to 38 places, the point anywhere
CREATE TABLE spelled AS
SELECT length, places, sign,
       (sign || left(digits, length) || 'e' || -places)::numeric AS value
FROM generate_series(1, 38) AS length,
     generate_series(-50, 90) AS places,
     unnest(ARRAY['', '-']) AS sign,
     unnest(ARRAY['12345678901234567890123456789012345678',
                  '99999999999999999999999999999999999999',
                  '10000000000000000000000000000000000001',
                  '90909090909090909090909090909090909090',
                  '10000000000000000000000000000000000000']) AS digits;

-- stored values are short and unaligned; equal in value, in text and in bytes
SELECT count(*) AS values,
       count(*) FILTER (WHERE billadj.exact(value) = value) AS equal,
       count(*) FILTER (WHERE billadj.exact(value)::text = trim_scale(value)::text) AS same_text,
       count(*) FILTER (WHERE numeric_send(billadj.exact(value)) = numeric_send(trim_scale(value))) AS same_bytes,
       count(*) FILTER (WHERE pg_column_size(billadj.exact(value)) = pg_column_size(trim_scale(value))) AS same_size
FROM spelled;

-- the same, not read from a table: a four-byte header
SELECT count(*) FILTER (WHERE billadj.exact(value + 0) = value) = count(*) AS equal
FROM spelled;

-- what we wrote is stored, read by the server, and indexed like its own
CREATE TABLE written AS SELECT value, billadj.exact(value) AS exact FROM spelled;
SELECT count(*) FILTER (WHERE exact = value AND hash_numeric(exact) = hash_numeric(value)
                        AND exact + 1 = value + 1 AND -exact = -value) = count(*) AS stored
FROM written;

-- trailing zeros carry no value and are never too long
SELECT count(*) FILTER (WHERE billadj.exact(spelled)::text = '1.5') = count(*) AS trimmed
FROM generate_series(1, 1000) AS scale,
     LATERAL (SELECT round(1.5, scale) AS spelled) AS s;
SELECT billadj.exact(0.000) AS zero, billadj.exact(-0.0) AS minus_zero,
       billadj.exact(100.00) AS hundred, billadj.exact(1e20) AS big,
       scale(billadj.exact(1.50)) AS scale;

-- far from the point
SELECT count(*) FILTER (WHERE billadj.exact(value) = value) = count(*) AS far
FROM generate_series(-1000, 1000) AS places,
     LATERAL (SELECT ('7e' || places)::numeric AS value) AS v;
SELECT billadj.exact('1e-1000') = '1e-1000' AS least,
       billadj.exact('1e1037') = '1e1037' AS most;
SELECT billadj.exact('1e-1001');
SELECT billadj.exact('1e1038');
SELECT billadj.exact('1e-16383');
SELECT billadj.exact('1e131071');

-- 38 digits fit, 39 do not, wherever the point is
SELECT billadj.exact(99999999999999999999999999999999999999);
SELECT billadj.exact(-9999999999999999999.9999999999999999999);
SELECT billadj.exact(100000000000000000000000000000000000001);
SELECT billadj.exact(0.100000000000000000000000000000000000001);
CREATE FUNCTION fits(amount numeric) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    RETURN billadj.exact(amount) = amount;
EXCEPTION WHEN SQLSTATE 'UB009' THEN
    RETURN false;
END $$;
SELECT length, bool_or(fits(value)) AS any_fits, bool_and(fits(value)) AS all_fit
FROM generate_series(37, 41) AS length,
     generate_series(-60, 60) AS places,
     LATERAL (SELECT (repeat('7', length) || 'e' || places)::numeric AS value) AS v
GROUP BY length ORDER BY length;

-- toasted: compressed and out of line, and still only too long or not
CREATE TABLE toasted (kind text, value numeric);
ALTER TABLE toasted ALTER value SET STORAGE EXTERNAL;
INSERT INTO toasted VALUES ('external', ('1' || repeat('0', 9000) || '1')::numeric);
ALTER TABLE toasted ALTER value SET STORAGE MAIN;
INSERT INTO toasted VALUES ('main', ('1' || repeat('1234', 9000))::numeric);
ALTER TABLE toasted ALTER value SET STORAGE EXTENDED;
INSERT INTO toasted VALUES ('extended', ('1' || repeat('1234', 9000))::numeric),
                           ('plain', 12.50);
SELECT kind, pg_column_compression(value) IS NOT NULL AS compressed, fits(value) FROM toasted ORDER BY kind;
SELECT pg_relation_size(reltoastrelid) > 0 AS out_of_line FROM pg_class WHERE oid = 'toasted'::regclass;

-- no number at all
SELECT billadj.exact('NaN');
SELECT billadj.exact('Infinity');
SELECT billadj.exact('-Infinity');
SELECT billadj.exact(NULL) IS NULL AS is_null;

-- random values, of a fixed seed
SELECT setseed(0.5);
SELECT count(*) FILTER (WHERE billadj.exact(value)::text = trim_scale(value)::text) AS same_text
FROM (SELECT (CASE WHEN random() < 0.5 THEN '-' ELSE '' END
              || (random() * 1e15)::bigint || (random() * 1e15)::bigint
              || 'e' || (random() * 120 - 80)::int)::numeric AS value
      FROM generate_series(1, 100000)) AS v;

DROP FUNCTION fits(numeric);
DROP TABLE spelled, written, toasted;
