
-- backfill: usage that was written before it could be rated

CREATE FUNCTION billadj.event_key(VARIADIC "any") RETURNS text
AS 'MODULE_PATHNAME', 'billadj_event_key' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION billadj.event_key("any") IS 'the text under which a key of a host table stands in charge.event_key and charge.account: pass its columns in the attached order';

CREATE FUNCTION billadj.rate_blocks(relation regclass, attachment_id bigint, from_block bigint, to_block bigint, learn boolean DEFAULT false,
    OUT rows_seen bigint, OUT charges bigint, OUT parked bigint)
AS 'MODULE_PATHNAME', 'billadj_rate_blocks' LANGUAGE C STRICT;
COMMENT ON FUNCTION billadj.rate_blocks(regclass, bigint, bigint, bigint, boolean) IS 'rates the rows of some blocks of a host table that are neither charged nor parked; learn: notes their streams for backfill_learn(); backfill() calls it';
REVOKE ALL ON FUNCTION billadj.rate_blocks(regclass, bigint, bigint, bigint, boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.rate_blocks(regclass, bigint, bigint, bigint, boolean) TO billadj_admin, billadj_operator;

CREATE FUNCTION billadj.retry_parked_rows(relation regclass, attachment_id bigint, max bigint, OUT tried bigint, OUT charged bigint)
AS 'MODULE_PATHNAME', 'billadj_retry_parked_rows' LANGUAGE C STRICT;
COMMENT ON FUNCTION billadj.retry_parked_rows(regclass, bigint, bigint) IS 'rates parked usage of one attachment; retry_parked() calls it';
REVOKE ALL ON FUNCTION billadj.retry_parked_rows(regclass, bigint, bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.retry_parked_rows(regclass, bigint, bigint) TO billadj_admin, billadj_operator;

CREATE FUNCTION billadj.reverse_rows(relation regclass, attachment_id bigint, event_keys text[]) RETURNS bigint
AS 'MODULE_PATHNAME', 'billadj_reverse_rows' LANGUAGE C STRICT;
COMMENT ON FUNCTION billadj.reverse_rows(regclass, bigint, text[]) IS 'takes back what rows of these keys were charged; reverse_deleted() calls it';
REVOKE ALL ON FUNCTION billadj.reverse_rows(regclass, bigint, text[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.reverse_rows(regclass, bigint, text[]) TO billadj_admin, billadj_operator;

-- The columns of a mapping as SQL: what the triggers read, in their spelling.
CREATE FUNCTION billadj.mapped_sql(mapping jsonb, OUT account text, OUT event_key text, OUT occurred_at text, OUT measures text[], OUT meter text)
LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $function$
SELECT CASE WHEN mapping->'account' ? 'column' THEN format('billadj.event_key(h.%I)', mapping#>>'{account,column}')
            ELSE quote_literal(mapping#>>'{account,constant}') END,
       (SELECT format('billadj.event_key(%s)', string_agg(format('h.%I', k), ', ' ORDER BY n))
          FROM jsonb_array_elements_text(mapping->'event_key') WITH ORDINALITY AS e(k, n)),
       CASE WHEN mapping->'occurred_at' ? 'column' THEN format('h.%I::timestamptz', mapping#>>'{occurred_at,column}')
            ELSE quote_literal(mapping#>>'{occurred_at,constant}') || '::timestamptz' END,
       ARRAY(SELECT m->>'measure' FROM jsonb_array_elements(mapping->'measures') AS m),
       (SELECT format('CASE m.measure %s END', string_agg(format('WHEN %L THEN %s', m->>'measure',
                   CASE WHEN m->'meter' ? 'column' THEN format('h.%I::text', m#>>'{meter,column}') ELSE quote_literal(m#>>'{meter,constant}') END), ' '))
          FROM jsonb_array_elements(mapping->'measures') AS m)
$function$;
COMMENT ON FUNCTION billadj.mapped_sql(jsonb) IS 'SQL expressions, over a host row h and the name m.measure, of what a mapping names';
REVOKE ALL ON FUNCTION billadj.mapped_sql(jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.mapped_sql(jsonb) TO billadj_admin, billadj_operator, billadj_auditor, billadj_reader;

CREATE FUNCTION billadj.rating_gap(relation regclass, max bigint DEFAULT NULL)
RETURNS TABLE (account text, event_key text, measure text, occurred_at timestamptz)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    number bigint := billadj.attachment_of(relation);
    m      record;
BEGIN
    SELECT s.*, CASE WHEN a.mode = 'shadow' THEN 'shadow_charge' ELSE 'charge' END AS book INTO m
      FROM billadj.attachment a, billadj.mapped_sql(a.mapping) s
     WHERE a.attachment_id = number;
    RETURN QUERY EXECUTE format($query$
        SELECT %s, %s, m.measure, %s
          FROM %s h
          CROSS JOIN unnest($2) AS m(measure)
          LEFT JOIN (SELECT c.event_key, c.measure
                       FROM billadj.%I c
                      WHERE c.attachment_id = $1
                      GROUP BY c.event_key, c.measure
                     HAVING sum(c.row_count) > 0) charged
            ON charged.event_key = %s AND charged.measure = m.measure
         WHERE charged.measure IS NULL
           AND NOT EXISTS (SELECT FROM billadj.parked_usage p
                            WHERE p.attachment_id = $1 AND p.resolved_at IS NULL
                              AND p.event_key = %s AND p.measure IN (m.measure, ''))
           -- periods whose charges have left are nobody's gap; the first of a
           -- month begins within a day of UTC, in every zone
           AND ($4 IS NULL OR (%s BETWEEN '0001-02-01' AND '9999-11-01') IS NOT TRUE
                OR lower((billadj.usage_period(%s, %s, %s)).period) >= ($4 - 1)::timestamp AT TIME ZONE 'UTC')
         LIMIT $3$query$, m.account, m.event_key, m.occurred_at, relation, m.book, m.event_key, m.event_key,
                           m.occurred_at, m.account, m.meter, m.occurred_at)
        USING number, m.measures, max, (billadj.settings()).charges_from;
END
$function$;
COMMENT ON FUNCTION billadj.rating_gap(regclass, bigint) IS 'usage rows and measures of an attached table that are neither charged nor parked; backfill() rates them';
REVOKE ALL ON FUNCTION billadj.rating_gap(regclass, bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.rating_gap(regclass, bigint) TO billadj_admin, billadj_operator, billadj_auditor;

-- Not a part of backfill(): where old usage is deleted on purpose, while its
-- charges stay, a pause is how that is done.
CREATE FUNCTION billadj.charged_without_row(relation regclass, max bigint DEFAULT NULL)
RETURNS TABLE (account text, event_key text, amount numeric, currency text, charges bigint)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    number bigint := billadj.attachment_of(relation);
    m      record;
BEGIN
    SELECT s.*, CASE WHEN a.mode = 'shadow' THEN 'shadow_charge' ELSE 'charge' END AS book INTO m
      FROM billadj.attachment a, billadj.mapped_sql(a.mapping) s
     WHERE a.attachment_id = number;
    RETURN QUERY EXECUTE format($query$
        SELECT min(c.account), c.event_key, sum(c.amount), min(c.currency), count(*)
          FROM billadj.%I c
         WHERE c.attachment_id = $1 AND c.event_key IS NOT NULL
           AND NOT EXISTS (SELECT FROM %s h WHERE %s = c.event_key)
         GROUP BY c.event_key
        HAVING sum(c.row_count) > 0
         ORDER BY c.event_key
         LIMIT $2$query$, m.book, relation, m.event_key)
        USING number, max;
END
$function$;
COMMENT ON FUNCTION billadj.charged_without_row(regclass, bigint) IS
    'usage rows that are charged and no longer in the attached table: deleted while nothing was rated; reverse_deleted() takes their charges back';
REVOKE ALL ON FUNCTION billadj.charged_without_row(regclass, bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.charged_without_row(regclass, bigint) TO billadj_admin, billadj_operator, billadj_auditor;

-- The lock keeps writers out: a row that came back with an old key must not
-- lose its charge.
CREATE FUNCTION billadj.reverse_deleted(relation regclass, max bigint DEFAULT NULL, lock_timeout interval DEFAULT '2 s') RETURNS bigint
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    number  bigint := billadj.attachment_of(relation);
    waited  text;
    written bigint;
BEGIN
    PERFORM billadj.require_host_owner(relation);
    waited := billadj.swap_lock_timeout(lock_timeout);
    EXECUTE format('LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE', relation);
    SELECT billadj.reverse_rows(relation, number, coalesce(array_agg(w.event_key), '{}')) INTO written
      FROM billadj.charged_without_row(relation, max) w;
    PERFORM set_config('lock_timeout', waited, true);
    RETURN written;
END
$function$;
COMMENT ON FUNCTION billadj.reverse_deleted(regclass, bigint, interval) IS
    'takes back the charges of usage rows that charged_without_row() lists and returns how many charges it wrote; locks writers of the table out meanwhile';
REVOKE ALL ON FUNCTION billadj.reverse_deleted(regclass, bigint, interval) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.reverse_deleted(regclass, bigint, interval) TO billadj_admin;

CREATE FUNCTION billadj.retry_parked(relation regclass DEFAULT NULL, max integer DEFAULT NULL)
RETURNS TABLE (attached regclass, tried bigint, charged bigint, still_parked bigint)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    a record;
BEGIN
    IF max <= 0 THEN
        RAISE EXCEPTION 'max % is not above zero', max
            USING ERRCODE = 'invalid_parameter_value', HINT = 'It is how many usage rows to try; NULL tries all.';
    END IF;
    IF relation IS NOT NULL THEN
        PERFORM billadj.attachment_of(relation);
    END IF;
    -- one relation an attachment: the topmost that has its triggers
    FOR a IN
        SELECT DISTINCT ON (t.attachment_id) t.attachment_id, t.relation
          FROM (SELECT o.argument::bigint AS attachment_id, o.relation::regclass AS relation,
                       (SELECT count(*) FROM pg_partition_ancestors(o.relation::regclass)) AS depth
                  FROM billadj.own_triggers() o
                 WHERE o.function_name = 'usage_insert_trigger') t
          JOIN billadj.attachment b ON b.attachment_id = t.attachment_id AND b.state = 'active'
         WHERE retry_parked.relation IS NULL OR t.attachment_id = billadj.attachment_of(retry_parked.relation)
         ORDER BY t.attachment_id, t.depth
    LOOP
        attached := a.relation;
        SELECT r.tried, r.charged INTO tried, charged
          FROM billadj.retry_parked_rows(a.relation, a.attachment_id, coalesce(max, 0)) r;
        -- with those that max left out, and those without a key to retry them by
        SELECT count(*) INTO still_parked
          FROM billadj.parked_usage p
         WHERE p.attachment_id = a.attachment_id AND p.resolved_at IS NULL;
        RETURN NEXT;
    END LOOP;
END
$function$;
COMMENT ON FUNCTION billadj.retry_parked(regclass, integer) IS 'rates parked usage again, of one attached table or of all; what still cannot be rated stays parked with its new reason';
REVOKE ALL ON FUNCTION billadj.retry_parked(regclass, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.retry_parked(regclass, integer) TO billadj_admin, billadj_operator;

-- Where the next pass over a table begins: at the beginning, or where the last
-- one was interrupted.
CREATE FUNCTION billadj.backfill_begin(attachment_id bigint, relation regclass, OUT next_block bigint, OUT blocks bigint)
LANGUAGE sql
SET search_path = pg_catalog, pg_temp
AS $function$
INSERT INTO billadj.backfill_progress AS b (attachment_id, relation_name, blocks)
VALUES ($1, $2::text, pg_relation_size($2) / current_setting('block_size')::bigint)
ON CONFLICT ON CONSTRAINT backfill_progress_pkey DO UPDATE
   SET next_block = CASE WHEN b.finished_at IS NULL THEN b.next_block ELSE 0 END,
       blocks = excluded.blocks, finished_at = NULL, updated_at = clock_timestamp()
RETURNING next_block, blocks
$function$;
COMMENT ON FUNCTION billadj.backfill_begin(bigint, regclass) IS 'notes that a pass of backfill() over a table begins or goes on, and where';
REVOKE ALL ON FUNCTION billadj.backfill_begin(bigint, regclass) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.backfill_begin(bigint, regclass) TO billadj_admin, billadj_operator;

-- One batch, in the caller's transaction.  Returns the next block; NULL: done.
CREATE FUNCTION billadj.backfill_batch(attachment_id bigint, relation regclass, batch_size integer, learn boolean DEFAULT false) RETURNS bigint
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    at    record;
    batch record;
    width bigint;
BEGIN
    -- locks the pass: two callers take turns
    SELECT b.next_block, b.blocks INTO at
      FROM billadj.backfill_progress b
     WHERE b.attachment_id = backfill_batch.attachment_id AND b.relation_name = relation::text AND b.finished_at IS NULL
       FOR UPDATE;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    -- for those who watch pg_stat_activity; back to what it was when the batch
    -- commits or fails
    PERFORM set_config('application_name', format('billadj backfill %s %s %%', relation,
                       CASE WHEN at.blocks = 0 THEN 100 ELSE at.next_block * 100 / at.blocks END), true);
    IF at.next_block < at.blocks THEN
        SELECT greatest(1, batch_size / greatest(1, CASE WHEN c.relpages > 0 AND c.reltuples > 0
                                                         THEN ceil(c.reltuples / c.relpages)::bigint ELSE 200 END))
          INTO width
          FROM pg_class c
         WHERE c.oid = relation;
        SELECT r.* INTO batch
          FROM billadj.rate_blocks(relation, attachment_id, at.next_block, least(at.next_block + width, at.blocks), learn) r;
    ELSE
        SELECT 0::bigint AS rows_seen, 0::bigint AS charges, 0::bigint AS parked INTO batch;
    END IF;
    UPDATE billadj.backfill_progress b
       SET next_block = least(at.next_block + width, at.blocks), rows_seen = b.rows_seen + batch.rows_seen,
           rows_rated = b.rows_rated + batch.charges, rows_parked = b.rows_parked + batch.parked,
           updated_at = clock_timestamp(),
           finished_at = CASE WHEN coalesce(at.next_block + width, at.blocks) >= at.blocks THEN clock_timestamp() END
     WHERE b.attachment_id = backfill_batch.attachment_id AND b.relation_name = relation::text
    RETURNING CASE WHEN b.finished_at IS NULL THEN b.next_block END INTO width;
    RETURN width;
END
$function$;
COMMENT ON FUNCTION billadj.backfill_batch(bigint, regclass, integer, boolean) IS 'rates the next batch of a pass of backfill() and returns the next block, NULL at the end';
REVOKE ALL ON FUNCTION billadj.backfill_batch(bigint, regclass, integer, boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.backfill_batch(bigint, regclass, integer, boolean) TO billadj_admin, billadj_operator;

-- Rows are charged in the order of blocks, over many commits, and learned in the
-- order of time, when all are charged: each stream from all of its charges, as
-- rebuild_baseline() does.  So what is older than what the stream knew takes its
-- place, no row is learned twice, and whoever was interrupted goes on with the
-- streams that are left.
CREATE FUNCTION billadj.backfill_learn(attachment_id bigint, max integer) RETURNS bigint
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    accounts text[];
    meters   text[];
    stream   record;
BEGIN
    PERFORM billadj.require_fresh_snapshot('backfill with learn');
    -- two callers take turns
    SELECT array_agg(s.account ORDER BY s.account COLLATE "C", s.meter COLLATE "C"), array_agg(s.meter ORDER BY s.account COLLATE "C", s.meter COLLATE "C") INTO accounts, meters
      FROM (SELECT b.account, b.meter FROM billadj.backfill_stream b
             WHERE b.attachment_id = backfill_learn.attachment_id ORDER BY b.account, b.meter LIMIT backfill_learn.max FOR UPDATE) s;
    PERFORM billadj.lock_baselines(accounts, meters);
    FOR stream IN SELECT l.account, l.meter, l.state FROM billadj.learn_charges(accounts, meters) l LOOP
        PERFORM billadj.replace_baseline(stream.account, stream.meter, stream.state);
    END LOOP;
    DELETE FROM billadj.backfill_stream b
     USING unnest(accounts, meters) AS s(account, meter)
     WHERE b.attachment_id = backfill_learn.attachment_id AND b.account = s.account AND b.meter = s.meter;
    RETURN coalesce(cardinality(accounts), 0);
END
$function$;
COMMENT ON FUNCTION billadj.backfill_learn(bigint, integer) IS 'learns anew some of the streams that backfill() charged rows of, and returns how many; 0: none is left';
REVOKE ALL ON FUNCTION billadj.backfill_learn(bigint, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.backfill_learn(bigint, integer) TO billadj_admin, billadj_operator;

-- No SET clause: a procedure that has one cannot commit.  Hence every name is
-- qualified.
CREATE PROCEDURE billadj.backfill(relation regclass, batch_size integer DEFAULT 50000, learn boolean DEFAULT false)
LANGUAGE plpgsql
AS $procedure$
DECLARE
    number  bigint := billadj.attachment_of(relation);
    members regclass[];
    member  regclass;
BEGIN
    IF batch_size OPERATOR(pg_catalog.<=) 0 THEN
        RAISE EXCEPTION 'batch_size % is not above zero', batch_size
            USING ERRCODE = 'invalid_parameter_value', HINT = 'It is about how many usage rows a transaction rates.';
    END IF;
    IF learn THEN
        PERFORM billadj.require_fresh_snapshot('backfill with learn');
    END IF;
    SELECT pg_catalog.array_agg(t.member ORDER BY t.member) INTO members
      FROM billadj.table_tree(relation) t
      JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) t.member AND c.relkind OPERATOR(pg_catalog.=) 'r';
    FOREACH member IN ARRAY coalesce(members, '{}') LOOP
        PERFORM billadj.backfill_begin(number, member);
        COMMIT;
        WHILE billadj.backfill_batch(number, member, batch_size, learn) IS NOT NULL LOOP
            COMMIT;
        END LOOP;
        COMMIT;
    END LOOP;
    -- each call reads all charges once
    WHILE learn AND billadj.backfill_learn(number, 1000) OPERATOR(pg_catalog.>) 0 LOOP
        COMMIT;
    END LOOP;
    COMMIT;
END
$procedure$;
COMMENT ON PROCEDURE billadj.backfill(regclass, integer, boolean) IS 'rates the rows of an attached table that are neither charged nor parked, charges what was changed while nothing was rated; learn: learns their streams anew afterwards, from all of their charges; commits by batch, goes on where it was interrupted, may be run again at any time';
REVOKE ALL ON PROCEDURE billadj.backfill(regclass, integer, boolean) FROM PUBLIC;
GRANT EXECUTE ON PROCEDURE billadj.backfill(regclass, integer, boolean) TO billadj_admin, billadj_operator;
