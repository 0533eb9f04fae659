
-- in which period usage falls

CREATE FUNCTION billadj.usage_period(account text, meter text, at timestamptz, OUT subscription_id bigint, OUT period tstzrange)
AS 'MODULE_PATHNAME', 'billadj_usage_period' LANGUAGE C STABLE;
COMMENT ON FUNCTION billadj.usage_period(text, text, timestamptz) IS
    'the period in which usage of a meter is charged and whose periods these are: those of the subscription in force whose plan prices the meter, else of the oldest one in force, else (NULL) calendar months';
REVOKE ALL ON FUNCTION billadj.usage_period(text, text, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.usage_period(text, text, timestamptz)
   TO billadj_admin, billadj_operator, billadj_requester, billadj_approver, billadj_policy, billadj_auditor, billadj_reader;

-- partitions of charge

-- A month holds the period starts of one calendar month in every time zone:
-- nobody's first of the month is a whole day before or after that of UTC, so
-- the bounds lie a day earlier.  With the bounds of UTC the May of Berlin would
-- be in the April of UTC, which is closed and indexed while May goes on.
CREATE FUNCTION billadj.charge_month(at timestamptz, OUT name text, OUT from_at timestamptz, OUT to_at timestamptz)
LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $function$
SELECT format('charge_y%sm%s', to_char(m.month, 'YYYY'), to_char(m.month, 'MM')),
       (m.month - interval '1 day') AT TIME ZONE 'UTC',
       (m.month + interval '1 month' - interval '1 day') AT TIME ZONE 'UTC'
  FROM (SELECT date_trunc('month', ($1 AT TIME ZONE 'UTC') + interval '1 day') AS month) m
$function$;
COMMENT ON FUNCTION billadj.charge_month(timestamptz) IS 'the partition of billadj.charge that a period start belongs to, and its bounds';
REVOKE ALL ON FUNCTION billadj.charge_month(timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.charge_month(timestamptz) TO billadj_admin, billadj_operator, billadj_policy, billadj_auditor;

-- Bounds are read from their text: ISO and UTC, as an abbreviation like IST would
-- be read as another zone.
CREATE FUNCTION billadj.charge_partitions()
RETURNS TABLE (relation oid, name text, from_at timestamptz, to_at timestamptz, is_default boolean)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
SET datestyle = 'ISO'
SET timezone = 'UTC'
AS $function$
SELECT c.oid, c.relname::text,
       coalesce((regexp_match(b.bound, $$FROM \('([^']+)'\)$$))[1]::timestamptz, '-infinity'),
       coalesce((regexp_match(b.bound, $$TO \('([^']+)'\)$$))[1]::timestamptz, 'infinity'),
       b.bound = 'DEFAULT'
  FROM pg_inherits i
  JOIN pg_class c ON c.oid = i.inhrelid
 CROSS JOIN pg_get_expr(c.relpartbound, c.oid) AS b(bound)
 WHERE i.inhparent = to_regclass('billadj.charge')
$function$;
COMMENT ON FUNCTION billadj.charge_partitions() IS 'the partitions of billadj.charge and their bounds';
REVOKE ALL ON FUNCTION billadj.charge_partitions() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.charge_partitions() TO billadj_admin, billadj_operator, billadj_policy, billadj_auditor;

-- The months that have no partition: from the current one ahead, and those of
-- which charge_default holds rows.
CREATE FUNCTION billadj.missing_months(months_ahead integer)
RETURNS TABLE (name text, from_at timestamptz, to_at timestamptz)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    starts timestamptz[] := ARRAY(SELECT m AT TIME ZONE 'UTC'
                                    FROM generate_series(date_trunc('month', now() AT TIME ZONE 'UTC'),
                                                         date_trunc('month', now() AT TIME ZONE 'UTC')
                                                         + make_interval(months => months_ahead),
                                                         interval '1 month') AS m);
BEGIN
    IF to_regclass('billadj.charge_default') IS NOT NULL THEN
        starts := starts || ARRAY(SELECT DISTINCT c.period_start FROM billadj.charge_default c);
    END IF;
    RETURN QUERY
    SELECT DISTINCT m.name, m.from_at, m.to_at
      FROM unnest(starts) AS s(start), billadj.charge_month(s.start) AS m
     WHERE to_regclass(format('billadj.%I', m.name)) IS NULL
       AND NOT EXISTS (SELECT FROM billadj.charge_partitions() p
                        WHERE NOT p.is_default AND p.from_at < m.to_at AND p.to_at > m.from_at)
     ORDER BY m.from_at;
END
$function$;
COMMENT ON FUNCTION billadj.missing_months(integer) IS 'months of billadj.charge that maintain() would make';
REVOKE ALL ON FUNCTION billadj.missing_months(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.missing_months(integer) TO billadj_admin, billadj_operator, billadj_policy, billadj_auditor;

CREATE FUNCTION billadj.make_month(name text, from_at timestamptz, to_at timestamptz, dry_run boolean)
RETURNS TABLE (action text, object text, sql text, done boolean)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET datestyle = 'ISO'
SET timezone = 'UTC'
AS $function$
DECLARE
    wanted  record;
    waiting boolean := false;
BEGIN
    done := NOT dry_run;
    object := format('billadj.%I', make_month.name);
    -- Rows that fell into the default partition belong here, and ATTACH refuses
    -- while they are there.  The lock keeps more from coming.
    IF to_regclass('billadj.charge_default') IS NOT NULL THEN
        IF NOT dry_run THEN
            LOCK TABLE billadj.charge IN SHARE UPDATE EXCLUSIVE MODE;
            LOCK TABLE billadj.charge_default IN ACCESS EXCLUSIVE MODE;
        END IF;
        waiting := EXISTS (SELECT FROM billadj.charge_default c
                            WHERE c.period_start >= make_month.from_at AND c.period_start < make_month.to_at);
    END IF;
    FOR wanted IN
        SELECT v.*
          FROM (VALUES
                (true, 'create partition', format('CREATE TABLE %s (LIKE billadj.charge INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING COMMENTS INCLUDING STORAGE)', object)),
                (true, 'comment', format('COMMENT ON TABLE %s IS %L', object, 'charges whose period starts in ' || to_char(make_month.from_at AT TIME ZONE 'UTC' + interval '1 day', 'YYYY-MM'))),
                (waiting, 'open guard', 'ALTER TABLE billadj.charge_default DISABLE TRIGGER billadj_append_only'),
                (waiting, 'move charges', format('WITH moved AS (DELETE FROM billadj.charge_default WHERE period_start >= %L AND period_start < %L RETURNING *) INSERT INTO %s SELECT * FROM moved',
                                                 make_month.from_at, make_month.to_at, object)),
                (waiting, 'close guard', 'ALTER TABLE billadj.charge_default ENABLE ALWAYS TRIGGER billadj_append_only'),
                (true, 'attach partition', format('ALTER TABLE billadj.charge ATTACH PARTITION %s FOR VALUES FROM (%L) TO (%L)',
                                                  object, make_month.from_at, make_month.to_at)),
                (true, 'change owner', format('ALTER TABLE %s OWNER TO billadj_owner', object)),
                (true, 'create guard', format('CREATE TRIGGER billadj_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON %s FOR EACH STATEMENT EXECUTE FUNCTION billadj.append_only_trigger()', object)),
                (true, 'enable guard', format('ALTER TABLE %s ENABLE ALWAYS TRIGGER billadj_append_only', object))
               ) AS v(needed, action, sql)
         WHERE v.needed
    LOOP
        action := wanted.action;
        sql := wanted.sql;
        IF NOT dry_run THEN
            EXECUTE sql;
        END IF;
        RETURN NEXT;
    END LOOP;
END
$function$;
COMMENT ON FUNCTION billadj.make_month(text, timestamptz, timestamptz, boolean) IS 'makes one partition of billadj.charge and moves into it what waits in the default one; part of maintain()';
REVOKE ALL ON FUNCTION billadj.make_month(text, timestamptz, timestamptz, boolean) FROM PUBLIC;

-- A month is closed when it has ended in every zone (the last is half a day
-- behind UTC) and close_after has passed: from then on little arrives, and its
-- indexes cost less than they save.
CREATE FUNCTION billadj.missing_indexes()
RETURNS TABLE (relation oid, name text, columns text)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    RETURN QUERY
    SELECT p.relation, p.name, w.columns
      FROM billadj.charge_partitions() p
     CROSS JOIN (VALUES ('account, meter'), ('charge_id'), ('event_key, attachment_id')) AS w(columns)
     WHERE NOT p.is_default
       AND p.to_at + interval '36 hours' + (billadj.settings()).close_after <= now()
       AND NOT EXISTS (SELECT
                         FROM pg_index x
                        WHERE x.indrelid = p.relation AND x.indisvalid AND x.indpred IS NULL
                          AND (SELECT string_agg(a.attname, ', ' ORDER BY k.place)
                                 FROM unnest(x.indkey::int2[]) WITH ORDINALITY AS k(attnum, place)
                                 JOIN pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = k.attnum) = w.columns)
     ORDER BY p.from_at, w.columns;
END
$function$;
COMMENT ON FUNCTION billadj.missing_indexes() IS 'indexes that closed months of billadj.charge do not have yet; maintain() makes them';
REVOKE ALL ON FUNCTION billadj.missing_indexes() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.missing_indexes() TO billadj_admin, billadj_operator, billadj_policy, billadj_auditor;

-- Charges in the default partition whose month has a partition are seen by no
-- query that names the month.  The library does not put them there; a load by
-- hand with triggers disabled, or an older library, could have.
CREATE FUNCTION billadj.move_misplaced(dry_run boolean)
RETURNS TABLE (action text, object text, sql text, done boolean)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET datestyle = 'ISO'
SET timezone = 'UTC'
AS $function$
DECLARE
    misplaced text;
BEGIN
    -- First of all: the table must not be open in a query when it is altered.
    misplaced := (SELECT string_agg(format('period_start >= %L AND period_start < %L', p.from_at, p.to_at), ' OR ' ORDER BY p.from_at)
                    FROM billadj.charge_partitions() p
                   WHERE NOT p.is_default
                     AND EXISTS (SELECT FROM billadj.charge_default c WHERE c.period_start >= p.from_at AND c.period_start < p.to_at));
    done := NOT dry_run;
    object := 'billadj.charge_default';
    FOR action, sql IN
        SELECT v.action, v.sql
          FROM (VALUES
                (1, 'lock table', 'LOCK TABLE billadj.charge_default IN ACCESS EXCLUSIVE MODE'),
                (2, 'open guard', 'ALTER TABLE billadj.charge_default DISABLE TRIGGER billadj_append_only'),
                (3, 'move charges', format('WITH moved AS (DELETE FROM billadj.charge_default WHERE %s RETURNING *) INSERT INTO billadj.charge SELECT * FROM moved', misplaced)),
                (4, 'close guard', 'ALTER TABLE billadj.charge_default ENABLE ALWAYS TRIGGER billadj_append_only')) AS v(place, action, sql)
         WHERE misplaced IS NOT NULL
         ORDER BY v.place
    LOOP
        IF NOT dry_run THEN
            EXECUTE sql;
        END IF;
        RETURN NEXT;
    END LOOP;
END
$function$;
COMMENT ON FUNCTION billadj.move_misplaced(boolean) IS 'moves charges out of the default partition into the partition that their month has; part of maintain()';
REVOKE ALL ON FUNCTION billadj.move_misplaced(boolean) FROM PUBLIC;

-- SECURITY DEFINER: nobody is a member of billadj_owner, and the work is the
-- operator's every month, with triggers on host tables that others own.  All
-- names in the SQL it runs come from the catalog or from charge_month().  lock_timeout: writers would queue behind us while we
-- wait for a long transaction; an error and a second try is better.
CREATE FUNCTION billadj.maintain(months_ahead integer DEFAULT 3, dry_run boolean DEFAULT false)
RETURNS TABLE (action text, object text, sql text, done boolean)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET datestyle = 'ISO'
SET timezone = 'UTC'
SET lock_timeout = '5s'
AS $function$
DECLARE
    month    record;
    wanted   record;
    -- for locks on tables of the host; none once we hold locks on charges, for
    -- which its writers would wait
    patience interval := '2 s';
BEGIN
    IF NOT dry_run THEN
        PERFORM billadj.require_installed();
    END IF;
    FOR month IN SELECT * FROM billadj.missing_months(months_ahead) LOOP
        RETURN QUERY SELECT m.* FROM billadj.make_month(month.name, month.from_at, month.to_at, dry_run) m;
        patience := '0';
    END LOOP;

    IF to_regclass('billadj.instance') IS NULL OR to_regclass('billadj.charge_default') IS NULL THEN
        RETURN;
    END IF;
    RETURN QUERY SELECT m.* FROM billadj.move_misplaced(dry_run) m;
    IF FOUND THEN
        patience := '0';
    END IF;
    done := NOT dry_run;
    action := 'create index';
    FOR wanted IN SELECT * FROM billadj.missing_indexes() LOOP
        object := format('billadj.%I', wanted.name);
        sql := format('CREATE INDEX ON %s (%s)', object, wanted.columns);
        IF NOT dry_run THEN
            EXECUTE sql;
        END IF;
        RETURN NEXT;
        patience := '0';
    END LOOP;
    -- last, so that no lock is waited for while one on a host table is held
    IF to_regclass('billadj.attachment') IS NOT NULL THEN
        RETURN QUERY SELECT c.* FROM billadj.cover_partitions(NULL, patience, dry_run) c;
    END IF;
END
$function$;
COMMENT ON FUNCTION billadj.maintain(integer, boolean) IS
    'makes the coming months of billadj.charge, moves charges out of its default partition, gives closed months their indexes and new partitions of attached tables their triggers; run it daily; drops nothing';
REVOKE ALL ON FUNCTION billadj.maintain(integer, boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.maintain(integer, boolean) TO billadj_admin, billadj_operator;
