-- ledger_oracle.sql: the ledger a second time, recomputed from the host tables.
--
-- Nothing of the library's C code is asked, but for which host table carries
-- which attachment: keys are spelled, periods cut, prices chosen and amounts
-- computed here, in SQL.  Include rate_oracle.sql first.
--
--   SELECT * FROM oracle.differences();          -- must be empty
--
-- Session time zone: UTC.

-- The spelling of a key column h.<name>, as SQL.
CREATE FUNCTION oracle.key_sql(relation regclass, name text) RETURNS text
LANGUAGE sql STABLE AS $$
SELECT format(CASE t.typname WHEN 'numeric' THEN 'trim_scale(h.%I)::text'
                             WHEN 'bpchar' THEN 'rtrim(h.%I::text)'
                             WHEN 'timestamptz' THEN 'to_jsonb(h.%I) #>> ''{}'''
                             WHEN 'timestamp' THEN 'to_jsonb(h.%I) #>> ''{}'''
                             ELSE 'h.%I::text' END, name)
  FROM pg_attribute a
  JOIN pg_type d ON d.oid = a.atttypid
  JOIN pg_type t ON t.oid = CASE d.typtype WHEN 'd' THEN d.typbasetype ELSE d.oid END
 WHERE a.attrelid = relation AND a.attname = name
$$;

CREATE FUNCTION oracle.source_sql(relation regclass, source jsonb) RETURNS text
LANGUAGE sql STABLE AS $$
SELECT CASE WHEN source ? 'column' THEN oracle.key_sql(relation, source->>'column')
            ELSE quote_literal(source->>'constant') END
$$;

CREATE FUNCTION oracle.event_key_sql(relation regclass, keys jsonb) RETURNS text
LANGUAGE sql STABLE AS $$
SELECT CASE jsonb_array_length(keys)
       WHEN 1 THEN oracle.key_sql(relation, keys->>0)
       ELSE (SELECT '''['' || ' || string_agg(format(CASE WHEN t.typname IN ('int2', 'int4', 'int8', 'numeric') THEN '%s'
                                                          ELSE 'to_jsonb(%s)::text' END, oracle.key_sql(relation, k)),
                                              ' || '', '' || ' ORDER BY n) || ' || '']'''
               FROM jsonb_array_elements_text(keys) WITH ORDINALITY AS e(k, n)
               JOIN pg_attribute a ON a.attrelid = relation AND a.attname = k
               JOIN pg_type t ON t.oid = a.atttypid) END
$$;

CREATE FUNCTION oracle.zone(account text) RETURNS text
LANGUAGE sql STABLE AS $$
SELECT coalesce((SELECT a.time_zone FROM billadj.account a WHERE a.account = zone.account),
                (SELECT i.time_zone FROM billadj.instance i), 'UTC')
$$;

-- The first instant of the local month.  Where clocks go back over midnight of
-- the first, that is the earlier of the two midnights.
CREATE FUNCTION oracle.month(at timestamptz, zone text) RETURNS timestamptz
LANGUAGE sql STABLE AS $$
SELECT CASE WHEN date_trunc('month', (m - interval '1 microsecond') AT TIME ZONE zone) = date_trunc('month', at AT TIME ZONE zone)
            THEN m - interval '1 hour' ELSE m END
  FROM (SELECT date_trunc('month', at AT TIME ZONE zone) AT TIME ZONE zone AS m) x
$$;

CREATE FUNCTION oracle.price(account text, meter text, at timestamptz) RETURNS bigint
LANGUAGE sql STABLE AS $$
SELECT p.price_id
  FROM billadj.rate_card c JOIN billadj.price p USING (rate_card_id)
 WHERE (c.account = $1 OR c.account IS NULL) AND p.meter = $2 AND p.valid @> $3
   AND c.currency = coalesce((SELECT a.currency FROM billadj.account a WHERE a.account = $1),
                             (SELECT i.currency FROM billadj.instance i), c.currency)
 ORDER BY c.account IS NULL, c.priority DESC
 LIMIT 1
$$;

-- Attached tables: of a partition tree its root.
CREATE FUNCTION oracle.attached() RETURNS TABLE (attachment_id bigint, relation regclass, mapping jsonb)
LANGUAGE sql STABLE AS $$
SELECT a.attachment_id, t.tgrelid::regclass, a.mapping
  FROM billadj.attachment a
  JOIN pg_trigger t ON t.tgname = 'billadj_insert' AND split_part(encode(t.tgargs, 'escape'), '\000', 1) = a.attachment_id::text
  JOIN pg_class c ON c.oid = t.tgrelid AND NOT c.relispartition
$$;

-- What the host tables say: each row and measure that can be rated, with its
-- price.  Rows that wait in parked_usage are left out, and rows without a key,
-- which are never charged.
CREATE FUNCTION oracle.usage()
RETURNS TABLE (account text, attachment_id bigint, event_key text, measure text, meter text, period_start timestamptz,
               price_id bigint, quantity numeric)
LANGUAGE plpgsql STABLE AS $$
DECLARE
    a record;
    m jsonb;
    at text;
BEGIN
    FOR a IN SELECT * FROM oracle.attached() LOOP
        FOR m IN SELECT jsonb_array_elements(a.mapping->'measures') LOOP
            SELECT CASE WHEN a.mapping->'occurred_at' ? 'constant' THEN format('%L::timestamptz', a.mapping#>>'{occurred_at,constant}')
                        WHEN y.typname = 'timestamptz' THEN format('h.%I', c.attname)
                        ELSE format('(h.%I::timestamp AT TIME ZONE oracle.zone(%s))', c.attname, oracle.source_sql(a.relation, a.mapping->'account')) END
              INTO at
              FROM (VALUES (1)) v(one)
              LEFT JOIN pg_attribute c ON c.attrelid = a.relation AND c.attname = a.mapping#>>'{occurred_at,column}'
              LEFT JOIN pg_type d ON d.oid = c.atttypid
              LEFT JOIN pg_type y ON y.oid = CASE d.typtype WHEN 'd' THEN d.typbasetype ELSE d.oid END;
            RETURN QUERY EXECUTE format($query$
                SELECT u.account, $1, u.event_key, $2, u.meter, oracle.month(u.at, oracle.zone(u.account)), p.price_id,
                       CASE WHEN u.quantity < 0 AND p.terms->>'negative' = 'clamp' THEN 0 ELSE u.quantity END
                  FROM (SELECT %s AS account, %s AS event_key, %s AS meter, %s AS at, (%s)::numeric AS quantity FROM %s h) u
                  LEFT JOIN billadj.price p ON p.price_id = oracle.price(u.account, u.meter, u.at)
                 WHERE octet_length(u.event_key) <= 1000
                   AND NOT EXISTS (SELECT FROM billadj.parked_usage k
                                    WHERE k.attachment_id = $1 AND k.event_key = u.event_key AND k.measure IN ($2, '')
                                      AND k.resolved_at IS NULL)$query$,
                oracle.source_sql(a.relation, a.mapping->'account'), oracle.event_key_sql(a.relation, a.mapping->'event_key'),
                oracle.source_sql(a.relation, m->'meter'), at,
                CASE WHEN m->'quantity' ? 'column' THEN format('h.%I', m#>>'{quantity,column}') ELSE m#>>'{quantity,constant}' END,
                a.relation)
            USING a.attachment_id, m->>'measure';
        END LOOP;
    END LOOP;
END $$;

-- The price documents, once a call and not once a row.
CREATE FUNCTION oracle.documents() RETURNS TABLE (price_id bigint, doc jsonb, linear boolean, row_stage boolean)
LANGUAGE sql STABLE AS $$
SELECT p.price_id, p.terms || CASE WHEN t.tiers IS NULL THEN '{}' ELSE jsonb_build_object('tiers', t.tiers) END,
       p.linear, coalesce(p.terms#>>'{rounding,stage}', '') = 'row'
  FROM billadj.price p
  LEFT JOIN (SELECT x.price_id, jsonb_agg(jsonb_build_object('up_to', x.up_to, 'unit_amount', x.unit_amount,
                                                             'flat_amount', x.flat_amount, 'rate', x.rate) ORDER BY x.tier) AS tiers
               FROM billadj.price_tier x GROUP BY x.price_id) t USING (price_id)
$$;

-- Every difference between what is stored and what the host tables say.
--   row:   quantity and rows of each usage row; its amount where the price is linear
--   round: what a usage row comes to where it is rounded as a whole
--   key:   quantity, rows and amount of each account, meter, period and price,
--          position rows included; f is not due without a row
--   total: the running totals, and the view of all totals
CREATE FUNCTION oracle.differences()
RETURNS TABLE (what text, side text, account text, event_key text, measure text, meter text, period_start timestamptz,
               price_id bigint, quantity numeric, amount numeric, row_count numeric)
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN QUERY
    WITH doc AS MATERIALIZED (
        SELECT * FROM oracle.documents()
    ), host AS MATERIALIZED (
        SELECT u.*, oracle.rate(d.doc, u.quantity, NULL) AS exact, d.linear, d.row_stage, d.doc
          FROM oracle.usage() u LEFT JOIN doc d USING (price_id)
    ), charge AS MATERIALIZED (
        SELECT c.*, d.linear, d.row_stage FROM billadj.charge c LEFT JOIN doc d USING (price_id)
    ), fresh AS (
        SELECT 'row' AS what, h.account, h.attachment_id, h.event_key, h.measure, h.meter, h.period_start, h.price_id, h.quantity,
               CASE WHEN h.linear AND NOT h.row_stage THEN h.exact END AS amount, 1::numeric AS row_count
          FROM host h
        UNION ALL
        SELECT 'round', h.account, h.attachment_id, h.event_key, NULL, NULL, h.period_start, NULL, NULL, round(sum(h.exact), 2), NULL
          FROM host h
         WHERE h.row_stage
         GROUP BY h.account, h.attachment_id, h.event_key, h.period_start
        UNION ALL
        SELECT 'key', h.account, NULL, NULL, NULL, h.meter, h.period_start, h.price_id, sum(h.quantity),
               CASE WHEN NOT bool_and(h.row_stage) THEN
               CASE WHEN bool_and(h.linear) THEN sum(h.exact) ELSE oracle.f(jsonb_agg(h.doc)->0, sum(h.quantity)) END END, count(*)
          FROM host h
         GROUP BY h.account, h.meter, h.period_start, h.price_id
        UNION ALL
        SELECT 'total', h.account, NULL, NULL, NULL, h.meter, h.period_start, h.price_id, sum(h.quantity),
               oracle.f(jsonb_agg(h.doc)->0, sum(h.quantity)), count(*)
          FROM host h
         WHERE NOT h.linear
         GROUP BY h.account, h.meter, h.period_start, h.price_id
    ), stored AS (
        SELECT 'row' AS what, c.account::text, c.attachment_id, c.event_key::text, c.measure::text, c.meter::text, c.period_start, c.price_id,
               sum(c.quantity) AS quantity, CASE WHEN bool_and(c.linear AND NOT c.row_stage) THEN sum(c.amount) END AS amount,
               sum(c.row_count)::numeric AS row_count
          FROM charge c
         WHERE c.event_key IS NOT NULL
         GROUP BY c.account, c.attachment_id, c.event_key, c.measure, c.meter, c.period_start, c.price_id
        HAVING sum(c.quantity) <> 0 OR sum(c.row_count) <> 0 OR sum(c.amount) <> 0 AND bool_and(c.linear)
        UNION ALL
        SELECT 'round', c.account, c.attachment_id, c.event_key, NULL, NULL, c.period_start, NULL, NULL, sum(c.amount), NULL
          FROM charge c
         WHERE c.row_stage
         GROUP BY c.account, c.attachment_id, c.event_key, c.period_start
        HAVING sum(c.row_count) <> 0 OR sum(c.amount) <> 0
        UNION ALL
        SELECT 'key', c.account, NULL, NULL, NULL, c.meter, c.period_start, c.price_id, sum(c.quantity),
               CASE WHEN NOT bool_and(c.row_stage) THEN sum(c.amount) END, sum(c.row_count)
          FROM charge c
         GROUP BY c.account, c.meter, c.period_start, c.price_id
        HAVING sum(c.quantity) <> 0 OR sum(c.row_count) <> 0 OR sum(c.amount) <> 0
        UNION ALL
        SELECT 'total', m.account, NULL, NULL, NULL, m.meter, m.period_start, m.price_id, m.quantity, m.amount, m.rows
          FROM billadj.meter_total m JOIN doc d USING (price_id)
         WHERE NOT d.linear AND (m.quantity <> 0 OR m.amount <> 0 OR m.rows <> 0)
    ), difference AS (
        (SELECT 'stored' AS side, s.* FROM (SELECT * FROM stored EXCEPT ALL SELECT * FROM fresh) s)
        UNION ALL
        (SELECT 'recomputed', f.* FROM (SELECT * FROM fresh EXCEPT ALL SELECT * FROM stored) f)
    )
    SELECT d.what, d.side, d.account, d.event_key, d.measure, d.meter, d.period_start, d.price_id, d.quantity, d.amount, d.row_count
      FROM difference d
     ORDER BY d.what DESC, d.account COLLATE "C", d.event_key COLLATE "C", d.measure COLLATE "C", d.meter COLLATE "C", d.period_start, d.side;
END $$;
