
-- attach: host tables and the triggers on them

CREATE FUNCTION billadj.usage_insert_trigger() RETURNS trigger
AS 'MODULE_PATHNAME', 'billadj_usage_insert_trigger' LANGUAGE C;
COMMENT ON FUNCTION billadj.usage_insert_trigger() IS 'trigger on a host table: rates the rows of an INSERT, COPY or MERGE';
REVOKE ALL ON FUNCTION billadj.usage_insert_trigger() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.usage_insert_trigger() TO billadj_admin;

CREATE FUNCTION billadj.usage_update_trigger() RETURNS trigger
AS 'MODULE_PATHNAME', 'billadj_usage_update_trigger' LANGUAGE C;
COMMENT ON FUNCTION billadj.usage_update_trigger() IS 'trigger on a host table: charges the difference an UPDATE makes';
REVOKE ALL ON FUNCTION billadj.usage_update_trigger() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.usage_update_trigger() TO billadj_admin;

CREATE FUNCTION billadj.usage_delete_trigger() RETURNS trigger
AS 'MODULE_PATHNAME', 'billadj_usage_delete_trigger' LANGUAGE C;
COMMENT ON FUNCTION billadj.usage_delete_trigger() IS 'trigger on a host table: takes back what deleted rows were charged';
REVOKE ALL ON FUNCTION billadj.usage_delete_trigger() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.usage_delete_trigger() TO billadj_admin;

CREATE FUNCTION billadj.usage_truncate_trigger() RETURNS trigger
AS 'MODULE_PATHNAME', 'billadj_usage_truncate_trigger' LANGUAGE C;
COMMENT ON FUNCTION billadj.usage_truncate_trigger() IS 'trigger on a host table: refuses TRUNCATE unless the attachment is paused';
REVOKE ALL ON FUNCTION billadj.usage_truncate_trigger() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.usage_truncate_trigger() TO billadj_admin;

-- ---- what a mapping may name ----

CREATE FUNCTION billadj.base_type(type oid) RETURNS oid
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
WITH RECURSIVE t(oid, base) AS (
    SELECT y.oid, y.typbasetype FROM pg_type y WHERE y.oid = $1
    UNION ALL
    SELECT y.oid, y.typbasetype FROM t JOIN pg_type y ON y.oid = t.base
)
SELECT t.oid FROM t WHERE t.base = 0
$function$;
COMMENT ON FUNCTION billadj.base_type(oid) IS 'the type under a domain, or the type itself';
REVOKE ALL ON FUNCTION billadj.base_type(oid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.base_type(oid) TO billadj_admin, billadj_operator, billadj_policy, billadj_auditor;

-- Two spellings of one key would be two accounts, or two rows: hence exact
-- types and deterministic collations only.  Quantities are exact or refused.
CREATE FUNCTION billadj.check_column(relation regclass, role text, name text) RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    col    record;
    keys   text[] := '{int2,int4,int8,numeric,uuid,text,varchar,bpchar,name}';
    wanted text[];
    remedy text;
BEGIN
    SELECT a.attname, a.attgenerated, t.typname, t.typtype, n.nspname, format_type(a.atttypid, a.atttypmod) AS type,
           coalesce(c.collisdeterministic, true) AS deterministic
      INTO col
      FROM pg_attribute a
      JOIN pg_type t ON t.oid = billadj.base_type(a.atttypid)
      JOIN pg_namespace n ON n.oid = t.typnamespace
      LEFT JOIN pg_collation c ON c.oid = a.attcollation
     WHERE a.attrelid = relation AND a.attname = name AND a.attnum > 0 AND NOT a.attisdropped;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'column % of table % does not exist', quote_ident(name), relation
            USING ERRCODE = 'UB013',
                  DETAIL = format('It was named as the %s.', role),
                  HINT = format('Name one of its columns: %s.',
                                (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) FROM pg_attribute a
                                  WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped));
    END IF;

    wanted := CASE role
              WHEN 'account' THEN keys
              WHEN 'event key' THEN keys || '{timestamptz,timestamp,date}'::text[]
              WHEN 'meter' THEN '{text,varchar,bpchar,name}'::text[]
              WHEN 'time' THEN '{timestamptz,timestamp,date}'::text[]
              WHEN 'quantity' THEN '{int2,int4,int8,numeric}'::text[]
              END;
    -- Only casts that a generated column may use.
    remedy := CASE WHEN role = 'quantity' AND col.typname IN ('float4', 'float8') THEN format('numeric GENERATED ALWAYS AS (%I::numeric)', name)
                   WHEN role IN ('account', 'event key', 'meter') AND col.typname = 'citext' THEN format('text GENERATED ALWAYS AS (lower(%I::text))', name)
                   WHEN role = 'meter' AND col.typname IN ('int2', 'int4', 'int8', 'uuid', 'bool') OR role = 'account' AND col.typname = 'bool'
                   THEN format('text GENERATED ALWAYS AS (%I::text)', name) END;
    IF NOT (col.nspname = 'pg_catalog' AND col.typname = ANY (wanted) OR role = 'meter' AND col.typtype = 'e') THEN
        RAISE EXCEPTION 'column % of table % cannot be the %: its type is %', quote_ident(name), relation, role, col.type
            USING ERRCODE = 'UB013',
                  DETAIL = format('Types that can: %s%s, and domains over these.', array_to_string(wanted, ', '),
                                  CASE WHEN role = 'meter' THEN ', enums' ELSE '' END),
                  HINT = CASE WHEN remedy IS NULL THEN 'Name a column of one of these types, or add one that holds the value in such a type.'
                              ELSE format('Attach an exact column, for instance: ALTER TABLE %s ADD %I %s STORED;',
                                          relation, name || '_exact', remedy) END;
    ELSIF NOT col.deterministic THEN
        RAISE EXCEPTION 'column % of table % cannot be the %: its collation is not deterministic', quote_ident(name), relation, role
            USING ERRCODE = 'UB013',
                  DETAIL = 'Two spellings of one key would be two keys.',
                  HINT = format('Attach a column with a deterministic collation, for instance: ALTER TABLE %s ADD %I text COLLATE "C" GENERATED ALWAYS AS (lower(%I)) STORED;',
                                relation, name || '_exact', name);
    ELSIF col.attgenerated NOT IN ('', 's') THEN
        RAISE EXCEPTION 'column % of table % cannot be the %: it is generated when it is read', quote_ident(name), relation, role
            USING ERRCODE = 'UB013',
                  DETAIL = 'Triggers do not see values that are not stored.',
                  HINT = 'Attach a column that is GENERATED ALWAYS AS (…) STORED.';
    END IF;
END
$function$;
COMMENT ON FUNCTION billadj.check_column(regclass, text, text) IS 'error UB013 unless a column can be the account, event key, meter, time or quantity of usage';
REVOKE ALL ON FUNCTION billadj.check_column(regclass, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.check_column(regclass, text, text) TO billadj_admin;

CREATE FUNCTION billadj.check_constant(role text, value text) RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET datestyle = 'ISO'
AS $function$
DECLARE
    number numeric;
    at     timestamptz;
BEGIN
    IF role = 'quantity' THEN
        BEGIN
            number := value;
        EXCEPTION WHEN OTHERS THEN
            number := 'NaN';
        END;
        IF number = 'NaN' OR number IN ('Infinity', '-Infinity') THEN
            RAISE EXCEPTION '% is neither a column nor a number', quote_literal(value)
                USING ERRCODE = 'UB013', DETAIL = 'It was named as the quantity.',
                      HINT = 'Name a column of the table, or a finite number.';
        END IF;
        RETURN number::text;
    ELSIF role = 'time' THEN
        BEGIN
            at := value;
        EXCEPTION WHEN OTHERS THEN
            at := 'infinity';
        END;
        IF NOT isfinite(at) OR value ~* '^\s*(now|today|tomorrow|yesterday|allballs)\s*$' THEN
            RAISE EXCEPTION '% is neither a column nor a time', quote_literal(value)
                USING ERRCODE = 'UB013', DETAIL = 'It was named as occurred_at.',
                      HINT = 'Name a column of the table, or a time like 2026-05-01 00:00+00.';
        END IF;
        RETURN at::text;
    ELSIF value = '' THEN
        RAISE EXCEPTION 'the % is empty', role
            USING ERRCODE = 'UB013', HINT = 'Name a column of the table, or a constant.';
    END IF;
    RETURN value;
END
$function$;
COMMENT ON FUNCTION billadj.check_constant(text, text) IS 'a constant of a mapping as it is stored, or error UB013';
REVOKE ALL ON FUNCTION billadj.check_constant(text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.check_constant(text, text) TO billadj_admin;

-- A name is a column where there is one of that name, else a constant.  kept is
-- what a mapping says already: a column that is gone must not turn into a
-- constant in silence.
CREATE FUNCTION billadj.map_value(relation regclass, role text, value text, kept jsonb DEFAULT NULL) RETURNS jsonb
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    IF value IS NULL AND kept IS NULL THEN
        RAISE EXCEPTION 'the % is missing', role
            USING ERRCODE = 'UB013',
                  HINT = CASE WHEN role = 'meter' THEN 'Give meter, or measures => ''{"<meter>": "<column>"}''.'
                              ELSE 'Name a column of the table, or a constant.' END;
    END IF;
    IF value IS NULL AND kept ? 'constant' THEN
        RETURN kept;
    END IF;
    value := coalesce(value, kept ->> 'column');
    IF kept ? 'column' AND value = kept ->> 'column'
       OR EXISTS (SELECT FROM pg_attribute a
                   WHERE a.attrelid = relation AND a.attname = value AND a.attnum > 0 AND NOT a.attisdropped) THEN
        PERFORM billadj.check_column(relation, role, value);
        RETURN jsonb_build_object('column', value);
    END IF;
    RETURN jsonb_build_object('constant', billadj.check_constant(role, value));
END
$function$;
COMMENT ON FUNCTION billadj.map_value(regclass, text, text, jsonb) IS 'one entry of a mapping: {"column": …} or {"constant": …}';
REVOKE ALL ON FUNCTION billadj.map_value(regclass, text, text, jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.map_value(regclass, text, text, jsonb) TO billadj_admin;

-- What the host itself bills for a row.  It is only compared, so any number
-- will do, a float too.
CREATE FUNCTION billadj.map_compare(relation regclass, compare text) RETURNS jsonb
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    type text;
BEGIN
    IF compare IS NULL THEN
        RETURN '{}';
    END IF;
    SELECT t.typname INTO type
      FROM pg_attribute a JOIN pg_type t ON t.oid = billadj.base_type(a.atttypid)
     WHERE a.attrelid = relation AND a.attname = compare AND a.attnum > 0 AND NOT a.attisdropped;
    IF type IS NULL THEN
        RAISE EXCEPTION 'column "%" of table % does not exist', compare, relation
            USING ERRCODE = 'undefined_column', HINT = 'compare names the column that holds what the table''s own biller computed.';
    ELSIF type NOT IN ('int2', 'int4', 'int8', 'numeric', 'float4', 'float8', 'money') THEN
        RAISE EXCEPTION 'column "%" of table % is of type %, which is no amount', compare, relation, type
            USING ERRCODE = 'UB013', HINT = 'Name a column of a number type.';
    END IF;
    RETURN jsonb_build_object('compare', jsonb_build_object('column', compare));
END
$function$;
COMMENT ON FUNCTION billadj.map_compare(regclass, text) IS 'the entry of a mapping for the column that mode shadow compares with';
REVOKE ALL ON FUNCTION billadj.map_compare(regclass, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.map_compare(regclass, text) TO billadj_admin;

CREATE FUNCTION billadj.map_measures(relation regclass, meter text, quantity text, measures jsonb, kept jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    narrow jsonb := CASE WHEN kept -> 0 ->> 'measure' = 'quantity' AND jsonb_array_length(kept) = 1 THEN kept -> 0 END;
    made   jsonb := '[]';
    pair   record;
BEGIN
    IF measures IS NOT NULL AND (meter IS NOT NULL OR quantity IS NOT NULL) THEN
        RAISE EXCEPTION 'measures excludes meter and quantity'
            USING ERRCODE = 'UB013',
                  HINT = 'Give measures for a table with one column a meter, else meter and quantity.';
    ELSIF measures IS NOT NULL AND (jsonb_typeof(measures) <> 'object' OR measures = '{}') THEN
        RAISE EXCEPTION 'measures is no object with entries'
            USING ERRCODE = 'UB013', DETAIL = format('It is %s.', measures),
                  HINT = 'Write measures => ''{"<meter>": "<column>"}''.';
    END IF;
    IF measures IS NULL AND meter IS NULL AND quantity IS NULL AND kept IS NOT NULL AND narrow IS NULL THEN
        -- a wide mapping that stays as it is
        FOR pair IN SELECT m.value AS measure FROM jsonb_array_elements(kept) WITH ORDINALITY AS m(value, place) ORDER BY m.place LOOP
            PERFORM billadj.map_value(relation, 'quantity', NULL, pair.measure -> 'quantity');
        END LOOP;
        RETURN kept;
    ELSIF measures IS NULL THEN
        -- Neither a quantity nor measures: each row counts 1.
        RETURN jsonb_build_array(jsonb_build_object(
            'measure', 'quantity',
            'meter', billadj.map_value(relation, 'meter', meter, narrow -> 'meter'),
            'quantity', billadj.map_value(relation, 'quantity', quantity,
                                          coalesce(narrow -> 'quantity', '{"constant": "1"}'))));
    END IF;

    FOR pair IN SELECT m.key, m.value FROM jsonb_each(measures) m ORDER BY m.key COLLATE "C" LOOP
        IF jsonb_typeof(pair.value) NOT IN ('string', 'number') OR pair.key = '' THEN
            RAISE EXCEPTION 'measures.% names no column', quote_ident(pair.key)
                USING ERRCODE = 'UB013', DETAIL = format('It is %s.', pair.value),
                      HINT = 'Write measures => ''{"<meter>": "<column>"}''.';
        END IF;
        made := made || jsonb_build_object('measure', pair.key,
                                           'meter', jsonb_build_object('constant', pair.key),
                                           'quantity', billadj.map_value(relation, 'quantity', pair.value #>> '{}'));
    END LOOP;
    RETURN made;
END
$function$;
COMMENT ON FUNCTION billadj.map_measures(regclass, text, text, jsonb, jsonb) IS 'the measures of a mapping: one named quantity, or one a meter';
REVOKE ALL ON FUNCTION billadj.map_measures(regclass, text, text, jsonb, jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.map_measures(regclass, text, text, jsonb, jsonb) TO billadj_admin;

CREATE FUNCTION billadj.map_event_key(relation regclass, event_key text[], kept jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    names text[] := event_key;
    name  text;
BEGIN
    IF names IS NULL AND kept IS NOT NULL THEN
        names := ARRAY(SELECT k.value FROM jsonb_array_elements_text(kept) WITH ORDINALITY AS k(value, place) ORDER BY k.place);
    ELSIF names IS NULL THEN
        names := ARRAY(SELECT a.attname
                         FROM pg_index x
                        CROSS JOIN unnest(x.indkey::int2[]) WITH ORDINALITY AS k(attnum, place)
                         JOIN pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = k.attnum
                        WHERE x.indrelid = relation AND x.indisprimary AND k.place <= x.indnkeyatts
                        ORDER BY k.place);
        IF names = '{}' THEN
            RAISE EXCEPTION 'table % has no primary key', relation
                USING ERRCODE = 'UB013',
                      DETAIL = 'Without a key a changed row could not be paired with what was charged for it.',
                      HINT = 'Add a primary key, or name the columns that identify a row: event_key => ''{…}''.';
        END IF;
    END IF;
    IF names = '{}' OR array_position(names, NULL) IS NOT NULL
       OR (SELECT count(DISTINCT n) < count(*) FROM unnest(names) AS n) THEN
        RAISE EXCEPTION 'event_key % is no list of different columns', names::text
            USING ERRCODE = 'UB013', HINT = 'Name the columns that identify a row, each once.';
    END IF;
    FOREACH name IN ARRAY names LOOP
        PERFORM billadj.check_column(relation, 'event key', name);
    END LOOP;
    RETURN to_jsonb(names);
END
$function$;
COMMENT ON FUNCTION billadj.map_event_key(regclass, text[], jsonb) IS 'the event key of a mapping: the columns named, else the primary key';
REVOKE ALL ON FUNCTION billadj.map_event_key(regclass, text[], jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.map_event_key(regclass, text[], jsonb) TO billadj_admin;

-- What is allowed and yet often a slip, for a person to read before it counts.
CREATE FUNCTION billadj.mapping_notes(relation regclass, mapping jsonb) RETURNS TABLE (object text, note text)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    RETURN QUERY
    SELECT 'account', format('-- no such column: every row is billed to account %L', mapping #>> '{account,constant}')
     WHERE mapping -> 'account' ? 'constant';
    RETURN QUERY
    SELECT 'occurred_at', format('-- no such column: every row happened at %s', mapping #>> '{occurred_at,constant}')
     WHERE mapping -> 'occurred_at' ? 'constant';
    RETURN QUERY
    SELECT 'meter', format('-- meter %L is new: its rows are parked until a price for it is imported', m.value #>> '{meter,constant}')
      FROM jsonb_array_elements(mapping -> 'measures') m
     WHERE m.value -> 'meter' ? 'constant'
       AND NOT EXISTS (SELECT FROM billadj.meter k WHERE k.meter = m.value #>> '{meter,constant}');
    RETURN QUERY
    SELECT 'event_key', '-- no unique index on these columns alone: two rows of one key would be taken for one'
     WHERE NOT EXISTS (SELECT FROM pg_index x
                        WHERE x.indrelid = relation AND x.indisunique AND x.indpred IS NULL AND x.indexprs IS NULL
                          AND (SELECT array_agg(a.attname::text)
                                 FROM unnest(x.indkey::int2[]) WITH ORDINALITY AS k(attnum, place)
                                 JOIN pg_attribute a ON a.attrelid = relation AND a.attnum = k.attnum
                                WHERE k.place <= x.indnkeyatts)
                              <@ ARRAY(SELECT jsonb_array_elements_text(mapping -> 'event_key')));
    RETURN QUERY
    SELECT 'event_key', format('-- column %I may be NULL: such rows are parked', a.attname)
      FROM pg_attribute a
     WHERE a.attrelid = relation AND NOT a.attnotnull AND mapping -> 'event_key' ? a.attname::text;
END
$function$;
COMMENT ON FUNCTION billadj.mapping_notes(regclass, jsonb) IS 'what attach() and remap() point out about a mapping';
REVOKE ALL ON FUNCTION billadj.mapping_notes(regclass, jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.mapping_notes(regclass, jsonb) TO billadj_admin;

-- ---- tables and their triggers ----

-- A statement fires the triggers of the table it names, so each table of a
-- partition tree has its own.
CREATE FUNCTION billadj.table_tree(relation regclass) RETURNS TABLE (member regclass, place integer)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
SELECT $1, 0
UNION ALL
SELECT t.relid, t.level FROM pg_partition_tree($1) t WHERE t.level > 0
$function$;
COMMENT ON FUNCTION billadj.table_tree(regclass) IS 'a table and all partitions below it';
REVOKE ALL ON FUNCTION billadj.table_tree(regclass) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.table_tree(regclass) TO billadj_admin, billadj_operator, billadj_policy, billadj_auditor;

CREATE FUNCTION billadj.usage_triggers(relation regclass, attachment_id text)
RETURNS TABLE (trigger_name text, function_name text, sql text)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
SELECT v.trigger_name, v.function_name,
       format('CREATE TRIGGER %I %s ON %s %sFOR EACH STATEMENT EXECUTE FUNCTION billadj.%I(%L)',
              v.trigger_name, v.event, $1, v.referencing, v.function_name, $2)
  FROM (VALUES (1, 'billadj_insert', 'AFTER INSERT', 'REFERENCING NEW TABLE AS billadj_new ', 'usage_insert_trigger'),
               (2, 'billadj_update', 'AFTER UPDATE', 'REFERENCING OLD TABLE AS billadj_old NEW TABLE AS billadj_new ', 'usage_update_trigger'),
               (3, 'billadj_delete', 'AFTER DELETE', 'REFERENCING OLD TABLE AS billadj_old ', 'usage_delete_trigger'),
               (4, 'billadj_truncate', 'BEFORE TRUNCATE', '', 'usage_truncate_trigger')
       ) AS v(place, trigger_name, event, referencing, function_name)
 ORDER BY v.place
$function$;
COMMENT ON FUNCTION billadj.usage_triggers(regclass, text) IS 'the triggers an attached table must have';
REVOKE ALL ON FUNCTION billadj.usage_triggers(regclass, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.usage_triggers(regclass, text) TO billadj_admin, billadj_operator, billadj_policy, billadj_auditor;

-- Triggers that are missing anywhere in the tree.
CREATE FUNCTION billadj.missing_usage_triggers(relation regclass, attachment_id text)
RETURNS TABLE (member regclass, trigger_name text, sql text)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
SELECT m.member, t.trigger_name, t.sql
  FROM billadj.table_tree($1) WITH ORDINALITY AS m(member, place, number)
  -- the server has no such triggers for a foreign table
  JOIN pg_class c ON c.oid = m.member AND c.relkind <> 'f'
 CROSS JOIN billadj.usage_triggers(m.member, $2) WITH ORDINALITY AS t(trigger_name, function_name, sql, number)
 WHERE NOT EXISTS (SELECT FROM billadj.own_triggers() o
                    WHERE o.relation = m.member AND o.function_name = t.function_name AND o.argument = $2)
 ORDER BY m.number, t.number
$function$;
COMMENT ON FUNCTION billadj.missing_usage_triggers(regclass, text) IS 'triggers that an attached table or one of its partitions does not have';
REVOKE ALL ON FUNCTION billadj.missing_usage_triggers(regclass, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.missing_usage_triggers(regclass, text) TO billadj_admin, billadj_operator, billadj_policy, billadj_auditor;

-- ---- partitions that are made later ----

-- Of active attachments only: resume() covers a paused one.  A table that is
-- attached by itself keeps the triggers it has; self_check() names it.
CREATE FUNCTION billadj.uncovered_partitions(relation regclass DEFAULT NULL)
RETURNS TABLE (host regclass, attachment_id text, member regclass)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH topmost AS (
        SELECT DISTINCT ON (a.attachment_id) a.attachment_id::text AS number, c.oid::regclass AS host, c.relkind
          FROM billadj.attachment a
          JOIN billadj.own_triggers() t ON t.argument = a.attachment_id::text AND t.function_name LIKE 'usage\_%'
          JOIN pg_class c ON c.oid = t.relation
         WHERE a.state = 'active'
         ORDER BY a.attachment_id, c.relispartition, c.oid
    )
    SELECT DISTINCT t.host, t.number, m.member
      FROM topmost t CROSS JOIN billadj.missing_usage_triggers(t.host, t.number) m
     WHERE t.relkind = 'p' AND m.member <> t.host
       AND (uncovered_partitions.relation IS NULL OR t.host = uncovered_partitions.relation)
       AND NOT EXISTS (SELECT FROM billadj.own_triggers() o
                        WHERE o.relation = m.member AND o.function_name LIKE 'usage\_%' AND o.argument <> t.number)
     ORDER BY t.host, m.member;
END
$function$;
COMMENT ON FUNCTION billadj.uncovered_partitions(regclass) IS 'partitions of attached tables that do not have their triggers, of one table or of all';
REVOKE ALL ON FUNCTION billadj.uncovered_partitions(regclass) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.uncovered_partitions(regclass) TO billadj_admin, billadj_operator, billadj_policy, billadj_auditor;

-- Never waits for the lock: who waits makes all writers behind it wait, and two
-- tables waited for one after the other can deadlock with a writer.  It asks
-- again and again until give_up_at instead.
CREATE FUNCTION billadj.cover_partition(host regclass, attachment_id text, member regclass, give_up_at timestamptz) RETURNS boolean
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    name   text := member::text;
    wanted record;
BEGIN
    LOOP
        BEGIN
            EXECUTE format('LOCK TABLE ONLY %s IN SHARE ROW EXCLUSIVE MODE NOWAIT', name);
            EXIT;
        EXCEPTION WHEN lock_not_available THEN
            IF clock_timestamp() >= give_up_at THEN
                RAISE;
            END IF;
            PERFORM pg_sleep(0.05);
        END;
    END LOOP;
    -- What is locked must be what was meant: it may have been renamed or
    -- detached, and another table have its name.
    IF to_regclass(name) IS DISTINCT FROM member THEN
        RAISE EXCEPTION 'table % was renamed meanwhile', name USING ERRCODE = 'undefined_table';
    END IF;
    FOR wanted IN SELECT m.sql FROM billadj.missing_usage_triggers(host, attachment_id) m WHERE m.member = cover_partition.member LOOP
        EXECUTE wanted.sql;
    END LOOP;
    RETURN true;
EXCEPTION WHEN OTHERS THEN
    RAISE WARNING 'partition % does not have its triggers yet: %', name, sqlerrm
        USING ERRCODE = sqlstate,
              DETAIL = 'Rows inserted through the partitioned table are rated, rows inserted into the partition itself are not.',
              HINT = format('maintain() tries again; or SELECT * FROM billadj.resume(%L); then CALL billadj.backfill(%1$L);', host::text);
    RETURN false;
END
$function$;
COMMENT ON FUNCTION billadj.cover_partition(regclass, text, regclass, timestamptz) IS
    'makes the triggers of one partition; false and a warning when it cannot be locked; part of maintain()';
REVOKE ALL ON FUNCTION billadj.cover_partition(regclass, text, regclass, timestamptz) FROM PUBLIC;

CREATE FUNCTION billadj.cover_partitions(relation regclass, patience interval, dry_run boolean)
RETURNS TABLE (action text, object text, sql text, done boolean)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    give_up_at timestamptz := clock_timestamp() + patience;
    found      record;
    statements text[];
BEGIN
    action := 'create trigger';
    FOR found IN SELECT u.* FROM billadj.uncovered_partitions(relation) u LOOP
        statements := ARRAY(SELECT m.sql FROM billadj.missing_usage_triggers(found.host, found.attachment_id) m
                             WHERE m.member = found.member);
        object := found.member::text;
        done := NOT dry_run;
        IF NOT dry_run THEN
            done := billadj.cover_partition(found.host, found.attachment_id, found.member, give_up_at);
        END IF;
        FOREACH sql IN ARRAY statements LOOP
            RETURN NEXT;
        END LOOP;
    END LOOP;
END
$function$;
COMMENT ON FUNCTION billadj.cover_partitions(regclass, interval, boolean) IS
    'makes the triggers that partitions of attached tables lack; part of maintain() and of the event trigger';
REVOKE ALL ON FUNCTION billadj.cover_partitions(regclass, interval, boolean) FROM PUBLIC;

-- SECURITY DEFINER: whoever makes a partition need not be billadj_admin.  The
-- owner of the partitioned table let it be attached, and nobody adds a partition
-- without owning both.  The host's DDL never fails for it: a gap can be closed
-- later.
CREATE FUNCTION billadj.cover_new_partitions() RETURNS event_trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    roots regclass[];
    root  regclass;
BEGIN
    -- the restore rule; and a schema without tables
    IF to_regclass('billadj.attachment') IS NULL
       OR current_setting('row_security') = 'off'
          AND (SELECT r.rolsuper FROM pg_roles r WHERE r.rolname = session_user) THEN
        RETURN;
    END IF;
    roots := ARRAY(SELECT DISTINCT pg_partition_root(c.oid)
                     FROM pg_event_trigger_ddl_commands() d
                     JOIN pg_class c ON d.classid = 'pg_class'::regclass AND c.oid = d.objid
                    WHERE (c.relispartition OR c.relkind = 'p') AND c.relkind IN ('r', 'p') AND c.relpersistence <> 't');
    IF roots = '{}' THEN
        RETURN;
    END IF;
    BEGIN
        FOREACH root IN ARRAY roots LOOP
            -- the statement holds the lock on what it made already
            PERFORM billadj.cover_partitions(root, '0', false);
        END LOOP;
    EXCEPTION WHEN OTHERS THEN
        RAISE WARNING 'billadj could not look after the partitions of %: %', root, sqlerrm
            USING ERRCODE = sqlstate, HINT = 'SELECT * FROM billadj.self_check();';
    END;
END
$function$;
COMMENT ON FUNCTION billadj.cover_new_partitions() IS
    'event trigger: a partition made for an attached table gets its triggers in the same statement; see watch_partitions()';
REVOKE ALL ON FUNCTION billadj.cover_new_partitions() FROM PUBLIC;

CREATE FUNCTION billadj.watch_partitions(enable boolean DEFAULT true, dry_run boolean DEFAULT false)
RETURNS TABLE (action text, object text, sql text, done boolean)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    found "char" := (SELECT e.evtenabled FROM pg_event_trigger e WHERE e.evtname = 'billadj_watch_partitions');
BEGIN
    PERFORM billadj.require_superuser('watch_partitions');
    IF enable THEN
        PERFORM billadj.require_installed();
    END IF;
    done := NOT dry_run;
    object := 'billadj_watch_partitions';
    FOR action, sql IN
        SELECT v.action, v.sql
          FROM (VALUES
                (1, 'drop event trigger', NOT enable AND found IS NOT NULL, 'DROP EVENT TRIGGER billadj_watch_partitions'),
                (2, 'create event trigger', enable AND found IS NULL,
                 'CREATE EVENT TRIGGER billadj_watch_partitions ON ddl_command_end WHEN TAG IN (''CREATE TABLE'', ''ALTER TABLE'') EXECUTE FUNCTION billadj.cover_new_partitions()'),
                (3, 'comment', enable AND found IS NULL,
                 'COMMENT ON EVENT TRIGGER billadj_watch_partitions IS ''gives new partitions of tables attached to billadj their triggers'''),
                (4, 'enable event trigger', enable AND found <> 'O', 'ALTER EVENT TRIGGER billadj_watch_partitions ENABLE')
               ) AS v(place, action, needed, sql)
         WHERE v.needed
         ORDER BY v.place
    LOOP
        IF NOT dry_run THEN
            EXECUTE sql;
        END IF;
        RETURN NEXT;
    END LOOP;
END
$function$;
COMMENT ON FUNCTION billadj.watch_partitions(boolean, boolean) IS
    'makes an event trigger that gives new partitions of attached tables their triggers at once, or drops it; superuser';
REVOKE ALL ON FUNCTION billadj.watch_partitions(boolean, boolean) FROM PUBLIC;

CREATE FUNCTION billadj.require_host_owner(relation regclass) RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    other record;
BEGIN
    SELECT m.member, c.relowner::regrole AS owner
      INTO other
      FROM billadj.table_tree(relation) m JOIN pg_class c ON c.oid = m.member
     WHERE NOT pg_has_role(current_user, c.relowner, 'USAGE')
     ORDER BY m.place, m.member
     LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'must be owner of table %', other.member
            USING ERRCODE = 'insufficient_privilege',
                  DETAIL = format('It belongs to %s.', other.owner),
                  HINT = format('Have a member of both %s and billadj_admin do it.', other.owner);
    END IF;
END
$function$;
COMMENT ON FUNCTION billadj.require_host_owner(regclass) IS 'error 42501 unless the current role owns the table and its partitions';
REVOKE ALL ON FUNCTION billadj.require_host_owner(regclass) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.require_host_owner(regclass) TO billadj_admin;

CREATE FUNCTION billadj.check_host(relation regclass) RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    host   record;
    reason text;
    remedy text := 'Attach an ordinary table that rows are inserted into.';
BEGIN
    SELECT c.*, n.nspname, (SELECT i.inhparent::regclass FROM pg_inherits i WHERE i.inhrelid = c.oid LIMIT 1) AS parent,
           EXISTS (SELECT FROM pg_inherits i WHERE i.inhparent = c.oid) AND c.relkind = 'r' AS is_parent
      INTO host
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.oid = relation;
    IF host.nspname IN ('pg_catalog', 'information_schema', 'pg_toast') THEN
        reason := 'it belongs to the server';
    ELSIF host.nspname = 'billadj' AND host.relname <> 'usage' THEN
        reason := 'it belongs to billadj';
    ELSIF host.relkind NOT IN ('r', 'p') THEN
        reason := CASE host.relkind WHEN 'v' THEN 'it is a view' WHEN 'm' THEN 'it is a materialized view'
                                    WHEN 'f' THEN 'it is a foreign table' ELSE 'it is no table' END;
    ELSIF host.relpersistence = 't' THEN
        reason := 'it is temporary';
    ELSIF host.relispartition THEN
        reason := format('it is a partition of %s', host.parent);
        remedy := format('Attach %s: its partitions are attached with it.', host.parent);
    ELSIF host.parent IS NOT NULL OR host.is_parent THEN
        reason := 'it takes part in inheritance';
        remedy := 'Attach a table that is partitioned or stands alone.';
    ELSIF host.relkind = 'p' AND EXISTS (SELECT FROM billadj.table_tree(relation) m JOIN pg_class c ON c.oid = m.member
                                          WHERE c.relkind = 'f') THEN
        -- an INSERT that reaches it would fail: it collects no transition rows
        reason := 'one of its partitions is a foreign table';
        remedy := 'Attach a table whose partitions are all in this database.';
    END IF;
    IF reason IS NOT NULL THEN
        RAISE EXCEPTION 'cannot attach %: %', relation, reason USING ERRCODE = 'UB013', HINT = remedy;
    END IF;

    SELECT t.relation::regclass AS member INTO host
      FROM billadj.table_tree(relation) m JOIN billadj.own_triggers() t ON t.relation = m.member
     WHERE t.function_name LIKE 'usage\_%'
     ORDER BY m.place
     LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'cannot attach %: it is attached already', relation
            USING ERRCODE = 'UB013',
                  DETAIL = format('Table %s has triggers of billadj.', host.member),
                  HINT = format('Change the mapping with billadj.remap(%1$L, …), or SELECT * FROM billadj.detach(%1$L);', host.member);
    END IF;
END
$function$;
COMMENT ON FUNCTION billadj.check_host(regclass) IS 'error UB013 unless the relation is a table that can be attached and is not yet';
REVOKE ALL ON FUNCTION billadj.check_host(regclass) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.check_host(regclass) TO billadj_admin;

CREATE FUNCTION billadj.check_policy(mode text, compare text, on_unpriced text) RETURNS void
LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    IF mode IS NULL OR mode NOT IN ('rate', 'shadow') THEN
        RAISE EXCEPTION 'mode % is unknown', quote_nullable(mode)
            USING ERRCODE = 'UB013', HINT = 'It is ''rate'', or ''shadow'' to compare with amounts of the table''s own.';
    ELSIF (mode = 'shadow') <> (compare IS NOT NULL) THEN
        RAISE EXCEPTION 'mode % and compare % do not go together', quote_literal(mode), quote_nullable(compare)
            USING ERRCODE = 'UB013', HINT = 'Mode ''shadow'' needs compare => the column of the table that holds its own amount; mode ''rate'' has none.';
    ELSIF on_unpriced IS NULL OR on_unpriced NOT IN ('park', 'reject') THEN
        RAISE EXCEPTION 'on_unpriced % is unknown', quote_nullable(on_unpriced)
            USING ERRCODE = 'UB013', HINT = 'It is ''park'' or ''reject''.';
    END IF;
END
$function$;
COMMENT ON FUNCTION billadj.check_policy(text, text, text) IS 'error unless mode, compare and on_unpriced of attach() are known';
REVOKE ALL ON FUNCTION billadj.check_policy(text, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.check_policy(text, text, text) TO billadj_admin;

-- The number in the triggers counts; the label only where no triggers are left,
-- so that an attachment whose triggers somebody dropped can be mended.
CREATE FUNCTION billadj.attachment_of(relation regclass) RETURNS bigint
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    number bigint;
BEGIN
    PERFORM billadj.require_installed();
    SELECT a.attachment_id INTO number
      FROM billadj.own_triggers() t
      JOIN billadj.attachment a ON a.attachment_id::text = t.argument
     WHERE t.relation = attachment_of.relation AND t.function_name LIKE 'usage\_%' AND a.state <> 'detached'
     ORDER BY a.attachment_id
     LIMIT 1;
    IF number IS NULL THEN
        SELECT a.attachment_id INTO number
          FROM billadj.attachment a
          JOIN pg_class c ON c.oid = attachment_of.relation AND c.relname = a.relation_name
          JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = a.schema_name
         WHERE a.state <> 'detached'
           AND NOT EXISTS (SELECT FROM billadj.own_triggers() t
                            WHERE t.function_name LIKE 'usage\_%' AND t.argument = a.attachment_id::text)
         ORDER BY a.attachment_id DESC
         LIMIT 1;
    END IF;
    IF number IS NULL THEN
        RAISE EXCEPTION 'table % is not attached', relation
            USING ERRCODE = 'UB014',
                  HINT = format('SELECT * FROM billadj.attach(%L, account => …, occurred_at => …, meter => …, quantity => …);', relation::text);
    END IF;
    RETURN number;
END
$function$;
COMMENT ON FUNCTION billadj.attachment_of(regclass) IS 'number of the attachment of a host table, or error UB014';
REVOKE ALL ON FUNCTION billadj.attachment_of(regclass) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.attachment_of(regclass) TO billadj_admin, billadj_operator, billadj_policy, billadj_auditor, billadj_reader;

-- ---- the acts ----

-- Sets lock_timeout for this transaction and returns what it was.
CREATE FUNCTION billadj.swap_lock_timeout(wanted interval) RETURNS text
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    before text := current_setting('lock_timeout');
BEGIN
    IF wanted < '0' OR wanted > '24 days' THEN
        RAISE EXCEPTION 'lock_timeout % is out of range', wanted
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Give a time from 0 (wait for ever) to 24 days.';
    END IF;
    IF wanted IS NOT NULL THEN
        PERFORM set_config('lock_timeout', ceil(extract(epoch FROM wanted) * 1000)::bigint::text, true);
    END IF;
    RETURN before;
END
$function$;
COMMENT ON FUNCTION billadj.swap_lock_timeout(interval) IS 'sets lock_timeout until the end of the transaction and returns what it was';
REVOKE ALL ON FUNCTION billadj.swap_lock_timeout(interval) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.swap_lock_timeout(interval) TO billadj_admin;

CREATE FUNCTION billadj.attach(relation regclass, account text, occurred_at text, meter text DEFAULT NULL,
    quantity text DEFAULT NULL, measures jsonb DEFAULT NULL, event_key text[] DEFAULT NULL, mode text DEFAULT 'rate',
    compare text DEFAULT NULL, on_unpriced text DEFAULT 'park', detect boolean DEFAULT true,
    lock_timeout interval DEFAULT '2 s', dry_run boolean DEFAULT false)
RETURNS TABLE (step integer, action text, object text, lock text, sql text, done boolean)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $function$
#variable_conflict use_column
DECLARE
    host    record;
    mapping jsonb;
    known   bigint;
    number  text := '<attachment_id>';
    waited  text;
    note    record;
    missing record;
BEGIN
    PERFORM billadj.require_installed();
    PERFORM billadj.require_host_owner(attach.relation);
    PERFORM billadj.check_policy(attach.mode, attach.compare, attach.on_unpriced);
    PERFORM billadj.check_host(attach.relation);
    step := 1;
    done := NOT dry_run;

    -- First of all: what is checked below must still be so when the triggers
    -- are made.
    action := 'lock table';
    object := attach.relation::text;
    lock := 'ShareRowExclusiveLock';
    sql := format('LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE', attach.relation);
    IF NOT dry_run THEN
        waited := billadj.swap_lock_timeout(attach.lock_timeout);
        EXECUTE sql;
        PERFORM billadj.check_host(attach.relation);
    END IF;
    RETURN NEXT;

    mapping := jsonb_build_object(
        'account', billadj.map_value(attach.relation, 'account', attach.account),
        'occurred_at', billadj.map_value(attach.relation, 'time', attach.occurred_at),
        'event_key', billadj.map_event_key(attach.relation, attach.event_key, NULL),
        'measures', billadj.map_measures(attach.relation, attach.meter, attach.quantity, attach.measures, NULL))
        || billadj.map_compare(attach.relation, attach.compare);
    lock := NULL;
    FOR note IN SELECT n.object, n.note FROM billadj.mapping_notes(attach.relation, mapping) n LOOP
        step := step + 1;
        action := 'note';
        object := note.object;
        sql := note.note;
        RETURN NEXT;
    END LOOP;

    -- A table that was attached before gets its old number again: its rows were
    -- charged under it, and under a new one backfill() would charge them twice.
    SELECT n.nspname, c.relname INTO host
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = attach.relation;
    SELECT max(a.attachment_id) INTO known
      FROM billadj.attachment a
     WHERE a.state = 'detached' AND a.schema_name = host.nspname AND a.relation_name = host.relname;
    step := step + 1;
    object := 'billadj.attachment';
    lock := 'RowExclusiveLock';
    IF known IS NULL THEN
        action := 'insert attachment';
        sql := format('INSERT INTO billadj.attachment (schema_name, relation_name, mapping, mode, on_unpriced, detect) '
                      'VALUES (%L, %L, %L, %L, %L, %L) RETURNING attachment_id',
                      host.nspname, host.relname, mapping, attach.mode, attach.on_unpriced, coalesce(attach.detect, true));
    ELSE
        action := 'update attachment';
        sql := format('UPDATE billadj.attachment SET state = ''active'', mapping = %L, mode = %L, on_unpriced = %L, detect = %L '
                      'WHERE attachment_id = %s RETURNING attachment_id',
                      mapping, attach.mode, attach.on_unpriced, coalesce(attach.detect, true), known);
        number := known::text;
    END IF;
    IF NOT dry_run THEN
        EXECUTE sql INTO number;
    END IF;
    RETURN NEXT;

    FOR missing IN SELECT m.member, m.trigger_name, m.sql FROM billadj.missing_usage_triggers(attach.relation, number) m LOOP
        step := step + 1;
        action := 'create trigger';
        object := missing.member::text;
        lock := 'ShareRowExclusiveLock';
        sql := missing.sql;
        IF NOT dry_run THEN
            EXECUTE sql;
        END IF;
        RETURN NEXT;
    END LOOP;
    PERFORM set_config('lock_timeout', waited, true) WHERE waited IS NOT NULL;
END
$function$;
COMMENT ON FUNCTION billadj.attach(regclass, text, text, text, text, jsonb, text[], text, text, text, boolean, interval, boolean) IS
    'rates what is inserted into a table from now on, by triggers only; each name is a column where there is one, else a constant; owner of the table and billadj_admin';
REVOKE ALL ON FUNCTION billadj.attach(regclass, text, text, text, text, jsonb, text[], text, text, text, boolean, interval, boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.attach(regclass, text, text, text, text, jsonb, text[], text, text, text, boolean, interval, boolean)
   TO billadj_admin;

CREATE FUNCTION billadj.detach(relation regclass, lock_timeout interval DEFAULT '2 s', dry_run boolean DEFAULT false)
RETURNS TABLE (step integer, action text, object text, lock text, sql text, done boolean)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $function$
#variable_conflict use_column
DECLARE
    number bigint;
    waited text;
    found  record;
BEGIN
    PERFORM billadj.require_host_owner(detach.relation);
    number := billadj.attachment_of(detach.relation);
    done := NOT dry_run;
    step := 0;
    IF NOT dry_run THEN
        waited := billadj.swap_lock_timeout(detach.lock_timeout);
    END IF;
    FOR found IN
        SELECT t.relation::regclass AS member, t.trigger_name
          FROM billadj.own_triggers() t
         WHERE t.argument = number::text AND t.function_name LIKE 'usage\_%'
         ORDER BY (SELECT c.relispartition FROM pg_class c WHERE c.oid = t.relation), t.relation, t.trigger_name COLLATE "C"
    LOOP
        step := step + 1;
        action := 'drop trigger';
        object := found.member::text;
        lock := 'AccessExclusiveLock';
        sql := format('DROP TRIGGER %I ON %s', found.trigger_name, found.member);
        IF NOT dry_run THEN
            EXECUTE sql;
        END IF;
        RETURN NEXT;
    END LOOP;
    step := step + 1;
    action := 'update attachment';
    object := 'billadj.attachment';
    lock := 'RowExclusiveLock';
    sql := (SELECT format('UPDATE billadj.attachment SET state = ''detached'', schema_name = %L, relation_name = %L WHERE attachment_id = %s',
                          n.nspname, c.relname, number)
              FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = detach.relation);
    IF NOT dry_run THEN
        EXECUTE sql;
    END IF;
    RETURN NEXT;
    PERFORM set_config('lock_timeout', waited, true) WHERE waited IS NOT NULL;
END
$function$;
COMMENT ON FUNCTION billadj.detach(regclass, interval, boolean) IS
    'drops the triggers of billadj from a host table; what was charged stays; owner of the table and billadj_admin';
REVOKE ALL ON FUNCTION billadj.detach(regclass, interval, boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.detach(regclass, interval, boolean) TO billadj_admin;

CREATE FUNCTION billadj.pause(relation regclass, dry_run boolean DEFAULT false)
RETURNS TABLE (step integer, action text, object text, lock text, sql text, done boolean)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    PERFORM billadj.require_host_owner(relation);
    step := 1;
    action := 'update attachment';
    object := 'billadj.attachment';
    lock := 'RowExclusiveLock';
    sql := format('UPDATE billadj.attachment SET state = ''paused'' WHERE attachment_id = %s', billadj.attachment_of(relation));
    done := NOT dry_run;
    IF NOT dry_run THEN
        EXECUTE sql;
    END IF;
    RETURN NEXT;
END
$function$;
COMMENT ON FUNCTION billadj.pause(regclass, boolean) IS
    'stops rating a host table; its rows show in rating_gap() until backfill() charges them; owner of the table and billadj_admin';
REVOKE ALL ON FUNCTION billadj.pause(regclass, boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.pause(regclass, boolean) TO billadj_admin;

-- Also mends: a partition made after attach(), or a trigger somebody dropped.
CREATE FUNCTION billadj.resume(relation regclass, lock_timeout interval DEFAULT '2 s', dry_run boolean DEFAULT false)
RETURNS TABLE (step integer, action text, object text, lock text, sql text, done boolean)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $function$
#variable_conflict use_column
DECLARE
    number  bigint;
    waited  text;
    missing record;
BEGIN
    PERFORM billadj.require_host_owner(resume.relation);
    number := billadj.attachment_of(resume.relation);
    done := NOT dry_run;
    step := 0;
    IF NOT dry_run THEN
        waited := billadj.swap_lock_timeout(resume.lock_timeout);
    END IF;
    FOR missing IN SELECT m.member, m.trigger_name, m.sql FROM billadj.missing_usage_triggers(resume.relation, number::text) m LOOP
        step := step + 1;
        action := 'create trigger';
        object := missing.member::text;
        lock := 'ShareRowExclusiveLock';
        sql := missing.sql;
        IF NOT dry_run THEN
            EXECUTE sql;
        END IF;
        RETURN NEXT;
    END LOOP;
    step := step + 1;
    action := 'update attachment';
    object := 'billadj.attachment';
    lock := 'RowExclusiveLock';
    sql := (SELECT format('UPDATE billadj.attachment SET state = ''active'', schema_name = %L, relation_name = %L WHERE attachment_id = %s',
                          n.nspname, c.relname, number)
              FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = resume.relation);
    IF NOT dry_run THEN
        EXECUTE sql;
    END IF;
    RETURN NEXT;
    PERFORM set_config('lock_timeout', waited, true) WHERE waited IS NOT NULL;
END
$function$;
COMMENT ON FUNCTION billadj.resume(regclass, interval, boolean) IS
    'rates a paused host table again, and makes triggers that it or a new partition does not have; owner of the table and billadj_admin';
REVOKE ALL ON FUNCTION billadj.resume(regclass, interval, boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.resume(regclass, interval, boolean) TO billadj_admin;

CREATE FUNCTION billadj.remap(relation regclass, account text DEFAULT NULL, occurred_at text DEFAULT NULL, meter text DEFAULT NULL,
    quantity text DEFAULT NULL, measures jsonb DEFAULT NULL, event_key text[] DEFAULT NULL, on_unpriced text DEFAULT NULL,
    detect boolean DEFAULT NULL, dry_run boolean DEFAULT false, compare text DEFAULT NULL)
RETURNS TABLE (step integer, action text, object text, lock text, sql text, done boolean)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $function$
#variable_conflict use_column
DECLARE
    number  bigint;
    old     record;
    mapping jsonb;
    note    record;
BEGIN
    PERFORM billadj.require_host_owner(remap.relation);
    number := billadj.attachment_of(remap.relation);
    SELECT a.mapping, a.mode, a.on_unpriced, a.detect INTO old FROM billadj.attachment a WHERE a.attachment_id = number;
    PERFORM billadj.check_policy(old.mode, coalesce(remap.compare, old.mapping #>> '{compare,column}'), coalesce(remap.on_unpriced, old.on_unpriced));
    mapping := jsonb_build_object(
        'account', billadj.map_value(remap.relation, 'account', remap.account, old.mapping -> 'account'),
        'occurred_at', billadj.map_value(remap.relation, 'time', remap.occurred_at, old.mapping -> 'occurred_at'),
        'event_key', billadj.map_event_key(remap.relation, remap.event_key, old.mapping -> 'event_key'),
        'measures', billadj.map_measures(remap.relation, remap.meter, remap.quantity, remap.measures, old.mapping -> 'measures'))
        || billadj.map_compare(remap.relation, coalesce(remap.compare, old.mapping #>> '{compare,column}'));
    done := NOT dry_run;
    step := 0;
    FOR note IN
        SELECT n.object, n.note FROM billadj.mapping_notes(remap.relation, mapping) n
        UNION ALL
        SELECT 'event_key', '-- charges keep the key they were booked with: if these columns hold other values, backfill() would charge their rows again'
         WHERE mapping -> 'event_key' <> old.mapping -> 'event_key'
        UNION ALL
        SELECT 'measures', '-- charges keep the measure they were booked with: backfill() would charge rows again under a measure of another name'
         WHERE jsonb_path_query_array(mapping, '$.measures[*].measure') <> jsonb_path_query_array(old.mapping, '$.measures[*].measure')
    LOOP
        step := step + 1;
        action := 'note';
        object := note.object;
        sql := note.note;
        RETURN NEXT;
    END LOOP;
    step := step + 1;
    action := 'update attachment';
    object := 'billadj.attachment';
    lock := 'RowExclusiveLock';
    sql := format('UPDATE billadj.attachment SET mapping = %L, on_unpriced = %L, detect = %L WHERE attachment_id = %s',
                  mapping, coalesce(remap.on_unpriced, old.on_unpriced), coalesce(remap.detect, old.detect), number);
    IF NOT dry_run THEN
        EXECUTE sql;
    END IF;
    RETURN NEXT;
END
$function$;
COMMENT ON FUNCTION billadj.remap(regclass, text, text, text, text, jsonb, text[], text, boolean, boolean, text) IS
    'changes the mapping of an attached table; what is not given stays; owner of the table and billadj_admin';
REVOKE ALL ON FUNCTION billadj.remap(regclass, text, text, text, text, jsonb, text[], text, boolean, boolean, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.remap(regclass, text, text, text, text, jsonb, text[], text, boolean, boolean, text) TO billadj_admin;
