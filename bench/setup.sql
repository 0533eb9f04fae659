-- What bench/run measures: prices, host tables, rows.  Variables: scale of the
-- number of rows, in percent.

CREATE SCHEMA bench;

-- when the rows begin: in the hour after this
CREATE FUNCTION bench.begin_at() RETURNS timestamptz LANGUAGE sql AS $$SELECT date_trunc('month', now(), 'UTC') + interval '11 hours'$$;

-- ---- prices: five meters with three tiers, five linear ones ----

-- how far into that hour a key is by then, in twelfths
CREATE FUNCTION bench.phase(account text, meter text) RETURNS integer LANGUAGE sql IMMUTABLE AS $$SELECT get_byte(decode(md5(account || right(meter, 1)), 'hex'), 0) % 12$$;

CREATE TABLE bench.price AS
SELECT kind || i AS meter, i + CASE kind WHEN 'l' THEN 5 ELSE 0 END::bigint AS price_id,
       1000.0 AS bound_1, 100000.0 AS bound_2, 0.10 AS unit_1, 0.08 AS unit_2, 0.05 AS unit_3
  FROM generate_series(1, 5) AS i, unnest(ARRAY['t', 'l']) AS kind;
ALTER TABLE bench.price ADD PRIMARY KEY (meter), ADD UNIQUE (price_id);

SELECT count(*) AS imported FROM billadj.import_rate_card(
    (SELECT jsonb_build_object('code', 'bench', 'currency', 'USD', 'prices', jsonb_agg(
                CASE WHEN meter LIKE 't%' THEN
                    jsonb_build_object('meter', meter, 'model', 'graduated', 'tiers', jsonb_build_array(
                        jsonb_build_object('up_to', bound_1, 'unit_amount', unit_1),
                        jsonb_build_object('up_to', bound_2, 'unit_amount', unit_2),
                        jsonb_build_object('unit_amount', unit_3)))
                ELSE jsonb_build_object('meter', meter, 'model', 'per_unit', 'unit_amount', unit_1) END))
       FROM bench.price), '[2020-01-01,)') \gset

-- ---- host tables ----

CREATE TABLE bench.plain (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_key text NOT NULL UNIQUE,
    account   text NOT NULL,
    meter     text NOT NULL,
    quantity  numeric NOT NULL,
    at        timestamptz NOT NULL
);
CREATE TABLE bench.tiered (LIKE bench.plain INCLUDING ALL);
CREATE TABLE bench.linear (LIKE bench.plain INCLUDING ALL);
CREATE TABLE bench.set_based (LIKE bench.plain INCLUDING ALL);
CREATE TABLE bench.by_row (LIKE bench.plain INCLUDING ALL);

-- the same in two partitions
CREATE TABLE bench.parts_plain (
    id        bigint GENERATED ALWAYS AS IDENTITY,
    event_key text NOT NULL,
    account   text NOT NULL,
    meter     text NOT NULL,
    quantity  numeric NOT NULL,
    at        timestamptz NOT NULL,
    PRIMARY KEY (id, at),
    UNIQUE (event_key, at)
) PARTITION BY RANGE (at);
CREATE TABLE bench.parts_tiered (LIKE bench.parts_plain INCLUDING ALL) PARTITION BY RANGE (at);
SELECT format('CREATE TABLE bench.%1$s_1 PARTITION OF bench.%1$s FOR VALUES FROM (MINVALUE) TO (%2$L);
               CREATE TABLE bench.%1$s_2 PARTITION OF bench.%1$s FOR VALUES FROM (%2$L) TO (MAXVALUE)',
              host, bench.begin_at() + interval '25 minutes')
  FROM unnest(ARRAY['parts_plain', 'parts_tiered']) AS host \gexec

SELECT count(*) AS attached
  FROM unnest(ARRAY['tiered', 'linear', 'parts_tiered']) AS host,
       billadj.attach(('bench.' || host)::regclass, account => 'account', occurred_at => 'at', meter => 'meter',
                      quantity => 'quantity', detect => false) \gset

-- ---- rows ----

-- stmts statements of rows rows.  Each statement touches exactly keys keys of
-- 10,000 accounts x 5 meters; the rows beyond that repeat them, the first ones
-- most.  pool: the keys to draw from.  A key has a row every three minutes, as
-- they please: at least so dense are the meters that several rows of a key lie
-- in a statement.
CREATE TABLE bench.shape (shape text, stmts integer, rows integer, keys integer, pool integer);
INSERT INTO bench.shape
SELECT shape, greatest(CASE WHEN stmts > 1 THEN stmts * :scale / 100 ELSE 1 END, 1),
       CASE WHEN stmts > 1 THEN rows ELSE rows * :scale / 100 END,
       CASE WHEN stmts > 1 THEN keys ELSE keys * :scale / 100 END, pool
  FROM (VALUES ('copy_small', 1, 2400, 800, 50000),
               ('copy', 1, 12000, 4000, 50000),
               ('thousand', 12, 1000, 700, 50000),
               ('few', 12, 1000, 50, 50),
               ('hundred', 60, 100, 92, 50000),
               ('single', 4000, 1, 1, 50000)) AS v(shape, stmts, rows, keys, pool);

SELECT setseed(0.5);
CREATE TABLE bench.gen AS
SELECT shape, stmt, row_number() OVER (PARTITION BY shape, stmt ORDER BY random()) AS n,
       '-' || md5(shape || stmt || '/' || p) AS event_key, 'acct-' || key / 5 AS account, (key % 5 + 1)::text AS meter,
       round((random() * 100)::numeric, 2) AS quantity, NULL::timestamptz AS at
  FROM bench.shape,
       LATERAL generate_series(1, stmts) AS stmt,
       LATERAL generate_series(0, rows - 1) AS p,
       LATERAL (SELECT CASE WHEN rows = 1 THEN floor(power(random(), 2) * 50000)::integer
                            WHEN p < keys THEN p ELSE floor(power(random() + 0 * p, 2) * keys)::integer END AS slot) AS s,
       -- 20,011 is prime, so that no two slots of a statement are one key
       LATERAL (SELECT ((stmt * 77::bigint * (pool / 50000) + slot * CASE WHEN pool = 50000 THEN 20011::bigint ELSE 1 END) % pool)::integer AS key) AS k;
CREATE UNIQUE INDEX ON bench.gen (shape, stmt, n);
UPDATE bench.gen
   SET at = t.at
  FROM (SELECT shape, stmt, n,
               bench.begin_at() + (bench.phase(account, meter) + 0.5) * interval '5 minutes'
               + sum(-ln(1 - random()) * interval '3 minutes') OVER (PARTITION BY shape, account, meter ORDER BY stmt, n) AS at
          FROM bench.gen) AS t
 WHERE t.shape = gen.shape AND t.stmt = gen.stmt AND t.n = gen.n;

-- of the process that runs it: nanoseconds on a processor
CREATE FUNCTION bench.cpu() RETURNS numeric LANGUAGE sql
AS $$SELECT split_part(pg_read_file('/proc/self/schedstat'), ' ', 1)::numeric$$;
-- bytes of a host table and of what is written for it
CREATE FUNCTION bench.bytes(host text) RETURNS numeric LANGUAGE sql AS $$
SELECT sum(pg_total_relation_size(relid)) FROM (
    SELECT relid FROM
        unnest(ARRAY['bench.' || host]
               || CASE WHEN host IN ('tiered', 'linear', 'parts_tiered', 'watched') THEN ARRAY['billadj.charge', 'billadj.tier_total'] END
               || CASE WHEN host = 'watched' THEN ARRAY['billadj.baseline', 'billadj.open_bucket'] END
               || CASE WHEN host IN ('set_based', 'by_row') THEN ARRAY[host || '.charge', host || '.tier_total'] END) AS name,
        LATERAL (SELECT name::regclass AS relid UNION SELECT t.relid FROM pg_partition_tree(name::regclass) AS t) AS part) AS r
$$;
