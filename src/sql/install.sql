
-- install: the tables, their guards, and what self_check() has to say about them

CREATE FUNCTION billadj.version() RETURNS text
AS 'MODULE_PATHNAME', 'billadj_version' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION billadj.version() IS 'version of the loaded library';
REVOKE ALL ON FUNCTION billadj.version() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.version()
   TO billadj_admin, billadj_operator, billadj_requester, billadj_approver, billadj_policy, billadj_auditor,
      billadj_privacy, billadj_reader;

-- The defaults live here and not in a seeded row: a data-only restore would
-- collide with that.
CREATE FUNCTION billadj.settings(OUT time_zone text, OUT currency text, OUT close_after interval, OUT charges_from date)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    SELECT i.time_zone, i.currency, i.close_after, i.charges_from
      INTO settings.time_zone, settings.currency, settings.close_after, settings.charges_from
      FROM billadj.instance i;
    settings.time_zone := coalesce(settings.time_zone, 'UTC');
    settings.close_after := coalesce(settings.close_after, '7 days');
END
$function$;
COMMENT ON FUNCTION billadj.settings() IS 'what holds for accounts without settings of their own: the row of billadj.instance, or its defaults';
REVOKE ALL ON FUNCTION billadj.settings() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.settings()
   TO billadj_admin, billadj_operator, billadj_requester, billadj_approver, billadj_policy, billadj_auditor, billadj_reader;

-- ---- guards ----

CREATE FUNCTION billadj.catalogue_trigger() RETURNS trigger
AS 'MODULE_PATHNAME', 'billadj_catalogue_trigger' LANGUAGE C;
COMMENT ON FUNCTION billadj.catalogue_trigger() IS 'trigger: tells all sessions to forget the prices they keep in memory';
REVOKE ALL ON FUNCTION billadj.catalogue_trigger() FROM PUBLIC;

CREATE FUNCTION billadj.append_only_trigger() RETURNS trigger
AS 'MODULE_PATHNAME', 'billadj_append_only_trigger' LANGUAGE C;
COMMENT ON FUNCTION billadj.append_only_trigger() IS 'trigger: refuses the statement, except while a dump is restored';
REVOKE ALL ON FUNCTION billadj.append_only_trigger() FROM PUBLIC;

CREATE FUNCTION billadj.timeline_trigger() RETURNS trigger
AS 'MODULE_PATHNAME', 'billadj_timeline_trigger' LANGUAGE C;
COMMENT ON FUNCTION billadj.timeline_trigger() IS 'trigger: tells all sessions to forget which periods subscriptions have';
REVOKE ALL ON FUNCTION billadj.timeline_trigger() FROM PUBLIC;

-- Charges name their price, so a price says for ever what it said.  What may
-- change is when it ends, and only to an earlier time: a later one could claim
-- usage that was already parked or charged under another price.  The prices of
-- a subscription's plan hold for as long as its timeline says.
CREATE FUNCTION billadj.price_update_trigger() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    IF current_setting('row_security') = 'off'
       AND (SELECT r.rolsuper FROM pg_roles r WHERE r.rolname = session_user) THEN
        RETURN new;             -- a restore takes rows as they are
    END IF;
    -- As text: jsonb holds 1 and 1.0 to be equal.
    SELECT c.priority INTO new.priority FROM billadj.rate_card c WHERE c.rate_card_id = new.rate_card_id;
    IF (new.price_id, new.rate_card_id, new.meter, new.linear, new.card_account, new.currency, new.created_at, new.created_by, new.terms::text)
       IS DISTINCT FROM
       (old.price_id, old.rate_card_id, old.meter, old.linear, old.card_account, old.currency, old.created_at, old.created_by, old.terms::text)
       OR (lower(new.valid) IS DISTINCT FROM lower(old.valid) OR NOT new.valid <@ old.valid)
          AND NOT billadj.follows_timeline(new.rate_card_id, new.meter, old.valid, new.valid) THEN
        RAISE EXCEPTION 'price % cannot be changed, only ended', old.price_id
            USING ERRCODE = 'UB016',
                  DETAIL = format('It holds for %s. Only the upper bound may move, to an earlier time.', old.valid),
                  HINT = 'Import the new price for the time it is meant for: SELECT * FROM billadj.import_rate_card(…);',
                  SCHEMA = 'billadj', TABLE = 'price';
    END IF;
    RETURN new;
END
$function$;
COMMENT ON FUNCTION billadj.price_update_trigger() IS 'trigger: a price may be ended, and nothing else of it changed';
REVOKE ALL ON FUNCTION billadj.price_update_trigger() FROM PUBLIC;

-- One row a guard: what must be there, by table.  guard() makes it so and
-- self_check() compares.
-- What the constraint of price needs of the card is copied here, and only here.
CREATE FUNCTION billadj.price_insert_trigger() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    IF current_setting('row_security') = 'off'
       AND (SELECT r.rolsuper FROM pg_roles r WHERE r.rolname = session_user)
       AND new.currency IS NOT NULL AND new.priority IS NOT NULL THEN
        RETURN new;             -- a restore takes rows as they are
    END IF;
    SELECT c.account, c.currency, c.priority INTO new.card_account, new.currency, new.priority
      FROM billadj.rate_card c
     WHERE c.rate_card_id = new.rate_card_id;
    RETURN new;
END
$function$;
COMMENT ON FUNCTION billadj.price_insert_trigger() IS 'trigger: a price has the account, the currency and the priority of its card';
REVOKE ALL ON FUNCTION billadj.price_insert_trigger() FROM PUBLIC;

CREATE FUNCTION billadj.rate_card_update_trigger() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    UPDATE billadj.price p SET priority = new.priority WHERE p.rate_card_id = new.rate_card_id AND p.priority <> new.priority;
    RETURN NULL;
END
$function$;
COMMENT ON FUNCTION billadj.rate_card_update_trigger() IS 'trigger: the prices of a card follow its priority, unless they would overlap others';
REVOKE ALL ON FUNCTION billadj.rate_card_update_trigger() FROM PUBLIC;

CREATE FUNCTION billadj.guards()
RETURNS TABLE (table_name text, trigger_name text, fires text, events text, level text, function_name text, type smallint)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
WITH RECURSIVE part(oid) AS (
    SELECT to_regclass('billadj.charge')::oid
    UNION ALL
    SELECT i.inhrelid FROM part p JOIN pg_inherits i ON i.inhparent = p.oid
), guard(table_name, trigger_name, fires, events, level, function_name) AS (
    SELECT v.table_name, 'billadj_catalogue', 'AFTER', 'INSERT OR UPDATE OR DELETE OR TRUNCATE', 'STATEMENT', 'catalogue_trigger'
      FROM (VALUES ('instance'), ('account'), ('meter'), ('rate_card'), ('price'), ('price_tier'), ('attachment'), ('detector'),
                   ('peer_group'), ('threshold_step')) AS v(table_name)
    UNION ALL
    SELECT v.table_name, 'billadj_timeline', 'AFTER', 'INSERT OR UPDATE OR DELETE OR TRUNCATE', 'STATEMENT', 'timeline_trigger'
      FROM (VALUES ('subscription'), ('term'), ('billing_cycle'), ('plan_price')) AS v(table_name)
    UNION ALL
    SELECT v.table_name, 'billadj_append_only', 'BEFORE', v.events, 'STATEMENT', 'append_only_trigger'
      FROM (VALUES ('rate_card', 'DELETE OR TRUNCATE'), ('price', 'DELETE OR TRUNCATE'),
                   ('price_tier', 'UPDATE OR DELETE OR TRUNCATE'), ('tier_total', 'TRUNCATE'),
                   ('charge', 'UPDATE OR DELETE OR TRUNCATE'),
                   ('charge_default', 'UPDATE OR DELETE OR TRUNCATE')) AS v(table_name, events)
    UNION ALL
    SELECT v.table_name, t.trigger_name, 'BEFORE', t.events, t.level, 'policy_trigger'
      FROM (VALUES ('principal'), ('pooler'), ('certification'), ('authority'), ('conflict'), ('approval_rule'), ('reason_code'),
                   ('delegation'), ('policy_mode')) AS v(table_name)
     CROSS JOIN (VALUES ('billadj_policy', 'INSERT OR UPDATE OR DELETE', 'ROW'), ('billadj_policy_truncate', 'TRUNCATE', 'STATEMENT')) AS t(trigger_name, events, level)
    UNION ALL
    SELECT 'policy_change', t.trigger_name, 'BEFORE', t.events, t.level, 'policy_change_trigger'
      FROM (VALUES ('billadj_policy', 'INSERT OR UPDATE OR DELETE', 'ROW'), ('billadj_policy_truncate', 'TRUNCATE', 'STATEMENT')) AS t(trigger_name, events, level)
    UNION ALL
    SELECT v.table_name, 'billadj_policy_mode', 'BEFORE', 'INSERT OR UPDATE OR DELETE OR TRUNCATE', 'STATEMENT', 'policy_mode_trigger'
      FROM (VALUES ('instance'), ('account'), ('meter'), ('rate_card'), ('price'), ('price_tier'), ('detector'), ('change_policy')) AS v(table_name)
    UNION ALL
    -- The triggers of a partitioned table do not fire for statements that name
    -- one of its partitions.
    SELECT c.relname, 'billadj_append_only', 'BEFORE', 'UPDATE OR DELETE OR TRUNCATE', 'STATEMENT', 'append_only_trigger'
      FROM part p JOIN pg_class c ON c.oid = p.oid
     WHERE c.relispartition AND c.relnamespace = 'billadj'::regnamespace AND c.relname <> 'charge_default'
    UNION ALL
    SELECT v.* FROM (VALUES ('price', 'billadj_price_insert', 'BEFORE', 'INSERT', 'ROW', 'price_insert_trigger'),
                            ('price', 'billadj_price_update', 'BEFORE', 'UPDATE', 'ROW', 'price_update_trigger'),
                            ('rate_card', 'billadj_rate_card_update', 'AFTER', 'UPDATE', 'ROW', 'rate_card_update_trigger'),
                            ('detector', 'billadj_detector', 'BEFORE', 'INSERT OR UPDATE', 'ROW', 'detector_trigger')) AS v
    UNION ALL
    SELECT v.table_name, 'billadj_append_only', 'BEFORE', v.events, 'STATEMENT', 'append_only_trigger'
      FROM (VALUES ('plan', 'DELETE OR TRUNCATE'), ('plan_price', 'DELETE OR TRUNCATE'), ('subscription', 'DELETE OR TRUNCATE'),
                   ('term', 'DELETE OR TRUNCATE'), ('billing_cycle', 'DELETE OR TRUNCATE'), ('milestone', 'DELETE OR TRUNCATE'),
                   ('recurring_total', 'TRUNCATE'), ('subscription_change', 'UPDATE OR DELETE OR TRUNCATE'),
                   ('subscription_run', 'UPDATE OR DELETE OR TRUNCATE')) AS v(table_name, events)
    UNION ALL
    SELECT v.table_name, 'billadj_append_only', 'BEFORE', 'UPDATE OR DELETE OR TRUNCATE', 'STATEMENT', 'append_only_trigger'
      FROM (VALUES ('verdict'), ('threshold_step')) AS v(table_name)
    UNION ALL
    SELECT 'verdict', 'billadj_verdict', 'BEFORE', 'INSERT', 'ROW', 'verdict_trigger'
    UNION ALL
    SELECT v.table_name, 'billadj_frozen', 'BEFORE', 'UPDATE', 'ROW', 'frozen_trigger'
      FROM (VALUES ('plan'), ('plan_price'), ('term'), ('billing_cycle'), ('milestone')) AS v(table_name)
    UNION ALL
    -- BEFORE triggers fire by name: these are the last.  One that somebody
    -- names to come later is caught by the check of what was stored.
    SELECT v.table_name, g.trigger_name, g.fires, g.events, g.level, coalesce(g.function_name, v.function_name)
      FROM (VALUES ('override_request', 'override_request_trigger'), ('override_decision', 'override_decision_trigger'),
                   ('adjustment', 'override_effect_trigger'), ('hold', 'override_effect_trigger'), ('proposal', 'override_effect_trigger'),
                   ('outbox', 'override_effect_trigger'), ('request_comment', 'override_effect_trigger'),
                   ('limit_usage', 'override_effect_trigger'), ('limit_entry', 'override_effect_trigger'),
                   ('override_window', 'override_effect_trigger'), ('review_ticket', 'override_effect_trigger')) AS v(table_name, function_name)
     CROSS JOIN (VALUES ('zz_billadj_guard', 'BEFORE', 'INSERT OR UPDATE OR DELETE', 'ROW', NULL),
                        ('zz_billadj_check', 'AFTER', 'INSERT OR UPDATE', 'ROW', NULL),
                        ('zz_billadj_truncate', 'BEFORE', 'TRUNCATE', 'STATEMENT', 'override_truncate_trigger'))
                AS g(trigger_name, fires, events, level, function_name)
    UNION ALL
    -- Overrides write their own entries.
    SELECT v.table_name, 'billadj_audit', 'AFTER', 'INSERT OR UPDATE OR DELETE', 'ROW', 'audit_trigger'
      FROM (VALUES ('instance'), ('account'), ('meter'), ('rate_card'), ('price'), ('price_tier'), ('attachment'), ('migration'),
                   ('audit_anchor'), ('principal'), ('pooler'), ('certification'), ('authority'), ('conflict'), ('approval_rule'),
                   ('reason_code'), ('delegation'), ('policy_mode'), ('policy_change')) AS v(table_name)
    UNION ALL
    SELECT t.table_name, l.trigger_name, 'BEFORE', t.events || l.events, l.level, 'sealed_trigger'
      FROM (VALUES ('audit_entry', 'INSERT OR UPDATE OR DELETE'), ('audit_block', 'INSERT OR UPDATE OR DELETE'),
                   ('audit_chain', 'INSERT OR UPDATE OR DELETE'), ('private_text', 'INSERT OR UPDATE OR DELETE'),
                   ('audit_anchor', 'UPDATE OR DELETE')) AS t(table_name, events)
     CROSS JOIN (VALUES ('billadj_sealed', ' OR TRUNCATE', 'STATEMENT'), ('billadj_sealed_row', '', 'ROW')) AS l(trigger_name, events, level)
)
SELECT g.table_name, g.trigger_name, g.fires, g.events, g.level, g.function_name,
       -- pg_trigger.tgtype
       ((g.level = 'ROW')::integer * 1 + (g.fires = 'BEFORE')::integer * 2 + (g.events ~ 'INSERT')::integer * 4
        + (g.events ~ 'DELETE')::integer * 8 + (g.events ~ 'UPDATE')::integer * 16
        + (g.events ~ 'TRUNCATE')::integer * 32)::smallint
  FROM guard g
$function$;
COMMENT ON FUNCTION billadj.guards() IS 'the triggers that must be on the tables of billadj; type is pg_trigger.tgtype';
REVOKE ALL ON FUNCTION billadj.guards() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.guards() TO billadj_owner, billadj_admin, billadj_operator, billadj_policy, billadj_auditor;

-- ALWAYS: a session with session_replication_role = replica passes ordinary
-- triggers.
CREATE FUNCTION billadj.guard(dry_run boolean DEFAULT false)
RETURNS TABLE (action text, object text, sql text, done boolean)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    wanted record;
BEGIN
    PERFORM billadj.require_superuser('guard');
    done := NOT dry_run;
    FOR wanted IN
        SELECT g.*, t.oid AS found,
               t.tgtype IS NOT DISTINCT FROM g.type AND t.tgqual IS NULL AND t.tgattr = ''::int2vector
               AND t.tgfoid = (SELECT p.oid FROM pg_proc p
                                WHERE p.proname = g.function_name AND p.pronamespace = 'billadj'::regnamespace) AS equal,
               t.tgenabled IS NOT DISTINCT FROM 'A' AS always
          FROM billadj.guards() g
          LEFT JOIN pg_trigger t ON t.tgrelid = to_regclass(format('billadj.%I', g.table_name)) AND t.tgname = g.trigger_name
         ORDER BY g.table_name COLLATE "C", g.trigger_name COLLATE "C"
    LOOP
        CONTINUE WHEN wanted.equal AND wanted.always;
        object := format('billadj.%I', wanted.table_name);
        IF NOT wanted.equal AND wanted.found IS NOT NULL THEN
            action := 'drop guard';
            sql := format('DROP TRIGGER %I ON billadj.%I', wanted.trigger_name, wanted.table_name);
            IF NOT dry_run THEN
                EXECUTE sql;
            END IF;
            RETURN NEXT;
        END IF;
        IF NOT wanted.equal OR wanted.found IS NULL THEN
            action := 'create guard';
            sql := format('CREATE TRIGGER %I %s %s ON billadj.%I FOR EACH %s EXECUTE FUNCTION billadj.%I()',
                          wanted.trigger_name, wanted.fires, wanted.events, wanted.table_name, wanted.level,
                          wanted.function_name);
            IF NOT dry_run THEN
                EXECUTE sql;
            END IF;
            RETURN NEXT;
        END IF;
        action := 'enable guard';
        sql := format('ALTER TABLE billadj.%I ENABLE ALWAYS TRIGGER %I', wanted.table_name, wanted.trigger_name);
        IF NOT dry_run THEN
            EXECUTE sql;
        END IF;
        RETURN NEXT;
    END LOOP;
    RETURN QUERY SELECT c.* FROM billadj.guard_commands(dry_run) c;
END
$function$;
COMMENT ON FUNCTION billadj.guard(boolean) IS 'makes the guard triggers and event triggers that are missing, altered or not ENABLE ALWAYS; superuser';
REVOKE ALL ON FUNCTION billadj.guard(boolean) FROM PUBLIC;

-- ---- what install() and its kin need ----

CREATE FUNCTION billadj.require_superuser(what text) RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    IF NOT (SELECT r.rolsuper FROM pg_roles r WHERE r.rolname = current_user) THEN
        RAISE EXCEPTION 'permission denied for function %', what
            USING ERRCODE = 'insufficient_privilege',
                  DETAIL = format('Role %I is no superuser.', current_user),
                  HINT = format('Have a superuser run billadj.%s().', what);
    END IF;
END
$function$;
COMMENT ON FUNCTION billadj.require_superuser(text) IS 'error 42501 unless the current role is a superuser';
REVOKE ALL ON FUNCTION billadj.require_superuser(text) FROM PUBLIC;

CREATE FUNCTION billadj.require_installed() RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    IF to_regclass('billadj.migration') IS NULL THEN
        RAISE EXCEPTION 'billadj is not installed in database %', quote_ident(current_database())
            USING ERRCODE = 'UB012',
                  DETAIL = 'The extension is there, its tables are not.',
                  HINT = 'SELECT * FROM billadj.install();';
    END IF;
END
$function$;
COMMENT ON FUNCTION billadj.require_installed() IS 'error UB012 unless install() was run';
REVOKE ALL ON FUNCTION billadj.require_installed() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.require_installed()
   TO billadj_admin, billadj_operator, billadj_requester, billadj_approver, billadj_policy, billadj_auditor,
      billadj_privacy, billadj_reader;

-- The exclusion constraint of price compares numbers and texts with "=" in a
-- gist index; only btree_gist can do that.
CREATE FUNCTION billadj.require_btree_gist() RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_extension e WHERE e.extname = 'btree_gist') THEN
        RAISE EXCEPTION 'extension btree_gist is missing'
            USING ERRCODE = 'UB012',
                  DETAIL = 'Without it overlapping prices could not be made impossible.',
                  HINT = 'CREATE EXTENSION btree_gist;';
    END IF;
END
$function$;
COMMENT ON FUNCTION billadj.require_btree_gist() IS 'error UB012 unless extension btree_gist is there';
REVOKE ALL ON FUNCTION billadj.require_btree_gist() FROM PUBLIC;

-- SET role on the function: it is undone however the function ends.  Default
-- operator classes are found in any schema, so the path needs no schema of
-- btree_gist, and a step sees nothing but built-in names.
CREATE FUNCTION billadj.run_step(step integer) RETURNS void
LANGUAGE plpgsql
SET role = billadj_owner
SET search_path = pg_catalog, pg_temp
SET check_function_bodies = off
AS $function$
DECLARE
    found record;
BEGIN
    SELECT * INTO STRICT found FROM billadj.migration_step(run_step.step);
    EXECUTE found.body;
    INSERT INTO billadj.migration (step, name, sha256)
    VALUES (run_step.step, found.name, encode(sha256(convert_to(found.body, 'UTF8')), 'hex'));
END
$function$;
COMMENT ON FUNCTION billadj.run_step(integer) IS 'runs one step as billadj_owner and notes it in billadj.migration; use install() or migrate()';
REVOKE ALL ON FUNCTION billadj.run_step(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.run_step(integer) TO billadj_owner;

CREATE FUNCTION billadj.missing_steps() RETURNS SETOF integer
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    IF to_regclass('billadj.migration') IS NULL THEN
        RETURN QUERY SELECT generate_series(1, billadj.migration_newest());
    ELSE
        RETURN QUERY SELECT s.step
                       FROM generate_series(1, billadj.migration_newest()) AS s(step)
                      WHERE NOT EXISTS (SELECT FROM billadj.migration m WHERE m.step = s.step)
                      ORDER BY s.step;
    END IF;
END
$function$;
COMMENT ON FUNCTION billadj.missing_steps() IS 'the steps this library knows and the tables do not have yet';
REVOKE ALL ON FUNCTION billadj.missing_steps() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.missing_steps() TO billadj_admin, billadj_operator, billadj_policy, billadj_auditor;

-- An ordinary grant to each role, beside the extension's one to PUBLIC, so that
-- dumps have it and the ledger stays readable without the extension.
CREATE FUNCTION billadj.grant_schema(dry_run boolean)
RETURNS TABLE (action text, object text, sql text, done boolean)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    wanted record;
BEGIN
    done := NOT dry_run;
    action := 'grant';
    object := 'billadj';
    FOR wanted IN
        SELECT r.rolname, string_agg(v.privilege, ', ' ORDER BY v.privilege DESC) AS privileges
          FROM pg_roles r
         CROSS JOIN (VALUES ('USAGE'), ('CREATE')) AS v(privilege)
         WHERE r.rolname IN ('billadj_owner', 'billadj_admin', 'billadj_operator', 'billadj_requester', 'billadj_approver',
                             'billadj_policy', 'billadj_auditor', 'billadj_privacy', 'billadj_reader')
           AND (v.privilege = 'USAGE' OR r.rolname = 'billadj_owner')
           AND NOT EXISTS (SELECT
                             FROM pg_namespace n, aclexplode(n.nspacl) AS a
                            WHERE n.nspname = 'billadj' AND a.grantee = r.oid AND a.privilege_type = v.privilege)
         GROUP BY r.rolname
         ORDER BY r.rolname COLLATE "C"
    LOOP
        sql := format('GRANT %s ON SCHEMA billadj TO %I', wanted.privileges, wanted.rolname);
        IF NOT dry_run THEN
            EXECUTE sql;
        END IF;
        RETURN NEXT;
    END LOOP;
END
$function$;
COMMENT ON FUNCTION billadj.grant_schema(boolean) IS 'lets the roles of billadj use its schema; part of install()';
REVOKE ALL ON FUNCTION billadj.grant_schema(boolean) FROM PUBLIC;

CREATE FUNCTION billadj.install(dry_run boolean DEFAULT false)
RETURNS TABLE (step integer, action text, object text, sql text, done boolean)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    missing integer;
BEGIN
    PERFORM billadj.require_superuser('install');
    PERFORM billadj.require_btree_gist();
    -- Two of us at a time would both find the same steps missing.
    PERFORM pg_advisory_xact_lock(hashtextextended('billadj.install', 0));

    RETURN QUERY SELECT NULL::integer, g.action, g.object, g.sql, g.done FROM billadj.grant_schema(dry_run) g;
    FOR missing IN SELECT m FROM billadj.missing_steps() AS m LOOP
        IF NOT dry_run THEN
            PERFORM billadj.run_step(missing);
        END IF;
        -- the whole text where somebody asks what would be done
        RETURN QUERY SELECT missing, 'run step', s.name,
                            CASE WHEN dry_run THEN s.body ELSE format('SELECT body FROM billadj.migration_step(%s)', missing) END,
                            NOT dry_run
                       FROM billadj.migration_step(missing) s;
    END LOOP;
    RETURN QUERY SELECT NULL::integer, g.action, g.object, g.sql, g.done FROM billadj.guard(dry_run) g;
    -- what was there before the log was, the steps themselves first of all
    RETURN QUERY SELECT NULL::integer, a.action, a.object, a.sql, a.done FROM billadj.adopt(dry_run) a;
    RETURN QUERY SELECT NULL::integer, m.action, m.object, m.sql, m.done FROM billadj.maintain(dry_run => install.dry_run) m;
END
$function$;
COMMENT ON FUNCTION billadj.install(boolean) IS
    'makes the tables, keys, views and guard triggers of billadj as ordinary objects of billadj_owner; does what is missing, so a second run does nothing; superuser';
REVOKE ALL ON FUNCTION billadj.install(boolean) FROM PUBLIC;

CREATE FUNCTION billadj.migrate(dry_run boolean DEFAULT false)
RETURNS TABLE (step integer, action text, object text, sql text, done boolean)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    PERFORM billadj.require_superuser('migrate');
    PERFORM billadj.require_installed();
    RETURN QUERY SELECT i.* FROM billadj.install(dry_run) i;
END
$function$;
COMMENT ON FUNCTION billadj.migrate(boolean) IS
    'brings the tables to the version of the library after ALTER EXTENSION billadj UPDATE; refuses where nothing is installed; superuser';
REVOKE ALL ON FUNCTION billadj.migrate(boolean) FROM PUBLIC;

-- ---- uninstall ----

-- Every trigger outside of the internal ones that runs a function of ours.
CREATE FUNCTION billadj.own_triggers()
RETURNS TABLE (relation oid, trigger_name text, function_name text, enabled "char", argument text)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
SELECT t.tgrelid, t.tgname::text, p.proname::text, t.tgenabled,
       CASE WHEN t.tgnargs > 0 THEN split_part(encode(t.tgargs, 'escape'), '\000', 1) END
  FROM pg_trigger t
  JOIN pg_proc p ON p.oid = t.tgfoid
  JOIN pg_namespace n ON n.oid = p.pronamespace
 WHERE n.nspname = 'billadj' AND NOT t.tgisinternal
$function$;
COMMENT ON FUNCTION billadj.own_triggers() IS 'all triggers that run a function of billadj, on host tables and on its own; argument is the number of the attachment';
REVOKE ALL ON FUNCTION billadj.own_triggers() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.own_triggers() TO billadj_admin, billadj_operator, billadj_policy, billadj_auditor, billadj_reader;

CREATE FUNCTION billadj.uninstall(keep_data boolean DEFAULT true, dry_run boolean DEFAULT false)
RETURNS TABLE (action text, object text, sql text, done boolean)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    kind record;
BEGIN
    PERFORM billadj.require_superuser('uninstall');
    done := NOT dry_run;
    IF keep_data AND to_regclass('billadj.attachment') IS NOT NULL THEN
        action := 'detach';
        object := 'billadj.attachment';
        sql := 'UPDATE billadj.attachment SET state = ''detached'' WHERE state <> ''detached''';
        IF NOT dry_run THEN
            EXECUTE sql;
        END IF;
        RETURN NEXT;
    END IF;
    FOR object, sql IN
        SELECT e.evtname, format('DROP EVENT TRIGGER %I', e.evtname)
          FROM pg_event_trigger e JOIN pg_proc p ON p.oid = e.evtfoid
         WHERE p.pronamespace = 'billadj'::regnamespace
         ORDER BY e.evtname COLLATE "C"
    LOOP
        action := 'drop event trigger';
        IF NOT dry_run THEN
            EXECUTE sql;
        END IF;
        RETURN NEXT;
    END LOOP;
    FOR object, sql IN
        SELECT t.relation::regclass::text, format('DROP TRIGGER %I ON %s', t.trigger_name, t.relation::regclass)
          FROM billadj.own_triggers() t
         ORDER BY t.relation::regclass::text COLLATE "C", t.trigger_name COLLATE "C"
    LOOP
        action := 'drop trigger';
        IF NOT dry_run THEN
            EXECUTE sql;
        END IF;
        RETURN NEXT;
    END LOOP;
    FOR kind IN
        SELECT v.place, v.word, string_agg(c.oid::regclass::text, ', ' ORDER BY c.oid) AS names
          FROM (VALUES (1, 'VIEW', 'v'), (1, 'MATERIALIZED VIEW', 'm'), (2, 'TABLE', 'r'), (2, 'TABLE', 'p'),
                       (3, 'SEQUENCE', 'S')) AS v(place, word, relkind)
          JOIN pg_class c ON c.relkind = v.relkind::"char"
         WHERE NOT keep_data
           AND c.relnamespace = 'billadj'::regnamespace
           AND c.relowner = 'billadj_owner'::regrole
           AND NOT c.relispartition
           -- the sequence of an identity column goes with its table
           AND NOT EXISTS (SELECT FROM pg_depend d
                            WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                              AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0 AND d.deptype IN ('i', 'a'))
         GROUP BY v.place, v.word
         ORDER BY v.place, v.word
    LOOP
        -- In one statement each, so that the order among them does not matter;
        -- no CASCADE, so that what others built on them is not lost unasked.
        action := 'drop ' || lower(kind.word);
        object := kind.names;
        sql := format('DROP %s %s', kind.word, kind.names);
        IF NOT dry_run THEN
            EXECUTE sql;
        END IF;
        RETURN NEXT;
    END LOOP;
END
$function$;
COMMENT ON FUNCTION billadj.uninstall(boolean, boolean) IS
    'drops all triggers of billadj, and with keep_data => false its tables too; never roles, another database may use them; superuser';
REVOKE ALL ON FUNCTION billadj.uninstall(boolean, boolean) FROM PUBLIC;

-- ---- self_check ----
-- Each part returns rows of the same shape.  They are plpgsql so that they can
-- name tables which are not there before install().

-- The steps name everything they make in a COMMENT, which makes their text the
-- list of what the library needs.
CREATE FUNCTION billadj.self_check_tables()
RETURNS TABLE (severity text, code text, message text, fix_sql text)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT 'error', 'step_missing', format('step %s of the tables is missing: host rows are stored and not rated', min(m)),
           'SELECT * FROM billadj.migrate();'
      FROM billadj.missing_steps() AS m HAVING count(*) > 0;
    RETURN QUERY
    SELECT 'error', 'step_newer', format('step %s of the tables is newer than library %s', max(m.step), billadj.version()),
           '-- install the newer library, then: ALTER EXTENSION billadj UPDATE;'
      FROM billadj.migration m WHERE m.step > billadj.migration_newest() HAVING count(*) > 0;
    RETURN QUERY
    SELECT 'warning', 'step_changed', format('step %s (%s) was run with another text than that of library %s', m.step, m.name, billadj.version()),
           format('-- compare the tables with this text, and mend by hand: SELECT body FROM billadj.migration_step(%s);', m.step)
      FROM billadj.migration m, billadj.migration_step(m.step) AS s
     WHERE s.body IS NOT NULL AND m.sha256 <> encode(sha256(convert_to(s.body, 'UTF8')), 'hex')
     ORDER BY m.step;
    RETURN QUERY
    SELECT 'error', CASE WHEN w.column_name IS NULL THEN 'relation_missing' ELSE 'column_missing' END,
           CASE WHEN w.column_name IS NULL THEN format('%s billadj.%I is gone', w.kind, w.name)
                ELSE format('column %I of billadj.%I is gone', w.column_name, w.name) END,
           '-- restore it from a backup; it was made by: ' || format('SELECT body FROM billadj.migration_step(%s);', w.step)
      FROM (SELECT m.step, lower(x.found[1]) AS kind, x.found[2] AS name, x.found[3] AS column_name
              FROM billadj.migration m, billadj.migration_step(m.step) AS s,
                   regexp_matches(s.body, 'COMMENT ON (TABLE|VIEW|SEQUENCE|COLUMN) billadj\.(\w+)(?:\.(\w+))? IS', 'g') AS x(found)) w
     WHERE to_regclass('billadj.' || w.name) IS NULL AND w.column_name IS NULL
        OR to_regclass('billadj.' || w.name) IS NOT NULL AND w.column_name IS NOT NULL
           AND NOT EXISTS (SELECT FROM pg_attribute a
                            WHERE a.attrelid = to_regclass('billadj.' || w.name) AND a.attname = w.column_name AND NOT a.attisdropped)
     ORDER BY w.step, w.name, w.column_name;
    -- The library reads or writes these without the parser, so their types count.
    RETURN QUERY
    SELECT 'error', 'column_changed', format('column %I of billadj.%I is %s, not %s', a.attname, c.relname, format_type(a.atttypid, a.atttypmod), w.type),
           format('ALTER TABLE billadj.%I ALTER %I TYPE %s;', c.relname, a.attname, w.type)
      FROM (VALUES ('charge', 'text', 'account,event_key,measure,meter,currency,cause,created_by'),
                   ('charge', 'bigint', 'charge_id,attachment_id,price_id'),
                   ('charge', 'timestamp with time zone', 'period_start,posted_period_start,occurred_at,created_at'),
                   ('charge', 'numeric', 'quantity,quantity_before,amount'), ('charge', 'smallint', 'row_count'),
                   ('charge', 'jsonb', 'basis'),
                   ('tier_total', 'text', 'account,meter'), ('tier_total', 'timestamp with time zone', 'period_start'),
                   ('tier_total', 'bigint', 'price_id,row_count'), ('tier_total', 'numeric', 'quantity,amount'), ('tier_total', 'bytea', 'bucket'),
                   ('recurring_total', 'text', 'account'), ('recurring_total', 'timestamp with time zone', 'period_start'),
                   ('recurring_total', 'bigint', 'subscription_id,plan_price_id'), ('recurring_total', 'numeric', 'quantity,full_amount,amount,proposed'),
                   ('recurring_total', 'tstzrange', 'covers'),
                   ('shadow_charge', 'text', 'account,event_key,measure,meter,currency,cause,created_by'),
                   ('shadow_charge', 'bigint', 'charge_id,attachment_id,price_id'),
                   ('shadow_charge', 'timestamp with time zone', 'period_start,posted_period_start,occurred_at,created_at'),
                   ('shadow_charge', 'numeric', 'quantity,quantity_before,amount'), ('shadow_charge', 'smallint', 'row_count'),
                   ('shadow_charge', 'jsonb', 'basis'),
                   ('shadow_total', 'text', 'account,meter'), ('shadow_total', 'timestamp with time zone', 'period_start'),
                   ('shadow_total', 'bigint', 'price_id,row_count'), ('shadow_total', 'numeric', 'quantity,amount'), ('shadow_total', 'bytea', 'bucket'),
                   ('parked_usage', 'text', 'account,event_key,measure,sqlstate,message,hint,created_by,resolution'),
                   ('parked_usage', 'bigint', 'attachment_id'), ('parked_usage', 'integer', 'attempts'),
                   ('parked_usage', 'jsonb', 'mapped'), ('parked_usage', 'timestamp with time zone', 'parked_at,resolved_at'),
                   ('attachment', 'bigint', 'attachment_id'), ('attachment', 'jsonb', 'mapping'), ('attachment', 'text', 'on_unpriced,state'),
                   ('instance', 'text', 'time_zone,currency'), ('account', 'text', 'account,time_zone,currency'), ('meter', 'text', 'meter'),
                   ('rate_card', 'bigint', 'rate_card_id'), ('rate_card', 'text', 'account,currency'), ('rate_card', 'integer', 'priority'),
                   ('price', 'bigint', 'price_id,rate_card_id'), ('price', 'text', 'meter'), ('price', 'tstzrange', 'valid'), ('price', 'jsonb', 'terms'),
                   ('price_tier', 'bigint', 'price_id'), ('price_tier', 'integer', 'tier'),
                   ('price_tier', 'numeric', 'up_to,unit_amount,flat_amount,rate'),
                   ('hold', 'text', 'account,reason,created_by'), ('hold', 'bigint', 'hold_id,charge_id,anomaly_id,part_of'),
                   ('hold', 'timestamp with time zone', 'created_at,ended_at'),
                   ('proposal', 'text', 'account,kind,currency,cause,created_by'), ('proposal', 'bigint', 'proposal_id,charge_id'),
                   ('proposal', 'numeric', 'delta'), ('proposal', 'timestamp with time zone', 'period_start,created_at'),
                   ('outbox', 'text', 'account,topic,created_by'), ('outbox', 'bigint', 'outbox_id'), ('outbox', 'jsonb', 'payload'),
                   ('outbox', 'timestamp with time zone', 'created_at'),
                   ('baseline', 'text', 'account,meter,problem'), ('baseline', 'bytea', 'state'),
                   ('open_bucket', 'text', 'account,meter'), ('open_bucket', 'bytea', 'state'),
                   ('open_bucket', 'timestamp with time zone', 'period_start'), ('open_bucket', 'bigint', 'price_id'),
                   ('anomaly', 'text', 'account,meter,rule,family,action,currency,state,closed_because,created_by'),
                   ('anomaly', 'bigint', 'anomaly_id,detector_id,charge_id,row_count'), ('anomaly', 'integer', 'lag_hours'),
                   ('anomaly', 'double precision', 'score,expected,lower_bound,upper_bound,observed,ratio,unit_factor,longest,peak_score'),
                   ('anomaly', 'timestamp with time zone', 'occurred_at,since,period_start,last_since,last_at,notified_at,closes_at,closed_at,created_at'),
                   ('anomaly', 'numeric', 'excess,last_excess,money_at_risk,money_projected,min_money,min_share,usual_bill,money_notified'),
                   ('anomaly', 'jsonb', 'detail'), ('anomaly', 'bytea', 'trusted')) AS w(name, type, columns)
      JOIN pg_class c ON c.oid = to_regclass('billadj.' || w.name)
      JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = ANY (string_to_array(w.columns, ',')) AND NOT a.attisdropped
     WHERE format_type(a.atttypid, a.atttypmod) <> w.type
     ORDER BY c.relname, a.attnum;
    RETURN QUERY
    SELECT 'warning', 'foreign_object', format('%s belongs to %s, not to billadj_owner', c.oid::regclass, c.relowner::regrole),
           CASE WHEN c.relkind IN ('r', 'p', 'v', 'S', 'm') AND c.relname ~ '^charge'
                THEN format('ALTER TABLE %s OWNER TO billadj_owner;', c.oid::regclass)
                ELSE format('ALTER %s %s SET SCHEMA public;', CASE c.relkind WHEN 'v' THEN 'VIEW' WHEN 'S' THEN 'SEQUENCE' WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'TABLE' END, c.oid::regclass) END
      FROM pg_class c
     WHERE c.relnamespace = 'billadj'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'S', 'm', 'f')
       AND c.relowner <> 'billadj_owner'::regrole
       AND c.oid NOT IN (SELECT k.relation FROM billadj.control_tables() k)
       -- a sequence goes with its table
       AND NOT EXISTS (SELECT FROM pg_depend d
                        WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                          AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0 AND d.deptype IN ('i', 'a'))
     ORDER BY c.relname;
END
$function$;
COMMENT ON FUNCTION billadj.self_check_tables() IS 'part of self_check(): steps, tables and columns';
REVOKE ALL ON FUNCTION billadj.self_check_tables() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.self_check_tables() TO billadj_admin, billadj_operator, billadj_policy, billadj_auditor;

CREATE FUNCTION billadj.self_check_guards()
RETURNS TABLE (severity text, code text, message text, fix_sql text)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT 'error',
           CASE WHEN t.oid IS NULL THEN 'guard_missing' WHEN t.tgenabled <> 'A' THEN 'guard_not_always' ELSE 'guard_changed' END,
           CASE WHEN t.oid IS NULL THEN format('trigger %I on billadj.%I is missing', g.trigger_name, g.table_name)
                WHEN t.tgenabled = 'D' THEN format('trigger %I on billadj.%I is disabled', g.trigger_name, g.table_name)
                -- pg_restore --disable-triggers leaves them so
                WHEN t.tgenabled <> 'A' THEN format('trigger %I on billadj.%I is not ENABLE ALWAYS', g.trigger_name, g.table_name)
                ELSE format('trigger %I on billadj.%I is not the one install() made', g.trigger_name, g.table_name) END,
           'SELECT * FROM billadj.guard();'
      FROM billadj.guards() g
      LEFT JOIN pg_trigger t ON t.tgrelid = to_regclass(format('billadj.%I', g.table_name)) AND t.tgname = g.trigger_name
      LEFT JOIN pg_proc p ON p.oid = t.tgfoid AND p.pronamespace = 'billadj'::regnamespace
     WHERE to_regclass(format('billadj.%I', g.table_name)) IS NOT NULL
       AND (t.oid IS NULL OR t.tgenabled <> 'A' OR t.tgtype <> g.type OR t.tgqual IS NOT NULL OR t.tgattr <> ''::int2vector
            OR p.proname IS DISTINCT FROM g.function_name)
     ORDER BY g.table_name COLLATE "C", g.trigger_name COLLATE "C";
    -- Charges and totals are written past the executor: what is hung on these
    -- tables is not obeyed, and may believe that it is.
    RETURN QUERY
    WITH ours AS (
        SELECT p.relation AS oid FROM billadj.charge_partitions() p
        UNION ALL SELECT to_regclass('billadj.charge') UNION ALL SELECT to_regclass('billadj.tier_total')
        UNION ALL SELECT to_regclass('billadj.recurring_total')
    )
    SELECT 'warning', 'foreign_trigger', format('trigger %I on %s does not fire for what billadj writes', t.tgname, t.tgrelid::regclass),
           format('DROP TRIGGER %I ON %s;', t.tgname, t.tgrelid::regclass)
      FROM ours o
      JOIN pg_trigger t ON t.tgrelid = o.oid AND NOT t.tgisinternal
      JOIN pg_proc p ON p.oid = t.tgfoid
     WHERE p.pronamespace <> 'billadj'::regnamespace AND t.tgparentid = 0
    UNION ALL
    SELECT 'warning', 'foreign_rule', format('rule %I on %s does not act on what billadj writes', r.rulename, r.ev_class::regclass),
           format('DROP RULE %I ON %s;', r.rulename, r.ev_class::regclass)
      FROM ours o JOIN pg_rewrite r ON r.ev_class = o.oid
    UNION ALL
    SELECT 'warning', 'foreign_constraint', format('constraint %I on %s is not checked for what billadj writes', c.conname, c.conrelid::regclass),
           format('ALTER TABLE %s DROP CONSTRAINT %I;', c.conrelid::regclass, c.conname)
      FROM ours o JOIN pg_constraint c ON c.conrelid = o.oid
     WHERE c.contype NOT IN ('n', 't') AND c.conparentid = 0 AND c.coninhcount = 0 AND c.conname NOT IN ('tier_total_pkey', 'recurring_total_pkey');
END
$function$;
COMMENT ON FUNCTION billadj.self_check_guards() IS 'part of self_check(): guard triggers, and what others hung on the ledger';
REVOKE ALL ON FUNCTION billadj.self_check_guards() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.self_check_guards() TO billadj_admin, billadj_operator, billadj_policy, billadj_auditor;

CREATE FUNCTION billadj.self_check_roles()
RETURNS TABLE (severity text, code text, message text, fix_sql text)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT 'error', 'owner_member', format('%s is a member of billadj_owner and can rewrite the ledger', m.member::regrole),
           format('REVOKE billadj_owner FROM %s;', m.member::regrole)
      FROM pg_auth_members m WHERE m.roleid = 'billadj_owner'::regrole ORDER BY m.member::regrole::text COLLATE "C";
    RETURN QUERY
    SELECT 'error', 'owner_login', 'billadj_owner can log in or is a superuser', 'ALTER ROLE billadj_owner NOLOGIN NOSUPERUSER;'
      FROM pg_roles r WHERE r.rolname = 'billadj_owner' AND (r.rolcanlogin OR r.rolsuper);
    RETURN QUERY
    SELECT 'error', 'schema_owner', format('schema billadj belongs to %I, who is no superuser', r.rolname),
           (SELECT format('ALTER SCHEMA billadj OWNER TO %I;', s.rolname) FROM pg_roles s WHERE s.rolsuper ORDER BY s.oid LIMIT 1)
      FROM pg_namespace n JOIN pg_roles r ON r.oid = n.nspowner WHERE n.nspname = 'billadj' AND NOT r.rolsuper;
    RETURN QUERY
    SELECT 'warning', CASE WHEN r.rolbypassrls THEN 'login_bypassrls' ELSE 'login_createrole' END,
           format('login %I has %s', r.rolname, CASE WHEN r.rolbypassrls THEN 'BYPASSRLS: row policies do not bind it' ELSE 'CREATEROLE: before PostgreSQL 16 it can grant itself every role' END),
           format('ALTER ROLE %I %s;', r.rolname, CASE WHEN r.rolbypassrls THEN 'NOBYPASSRLS' ELSE 'NOCREATEROLE' END)
      FROM pg_roles r
     WHERE r.rolcanlogin AND NOT r.rolsuper AND (r.rolbypassrls OR r.rolcreaterole)
     ORDER BY r.rolname COLLATE "C";
    -- Whoever is bound by row policies cannot dump: pg_dump fails, and with
    -- --enable-row-security it would leave rows out in silence.
    RETURN QUERY
    SELECT 'info', 'dump_role', format('login %I may read all tables, but row policies bind it: a dump by it fails', r.rolname),
           '-- make dumps as a superuser or a role with BYPASSRLS: pg_dump -U postgres …'
      FROM pg_roles r
     WHERE r.rolcanlogin AND NOT r.rolsuper AND NOT r.rolbypassrls AND pg_has_role(r.oid, 'pg_read_all_data', 'USAGE')
       AND EXISTS (SELECT FROM pg_class c WHERE c.relnamespace = 'billadj'::regnamespace AND c.relforcerowsecurity)
     ORDER BY r.rolname COLLATE "C";
END
$function$;
COMMENT ON FUNCTION billadj.self_check_roles() IS 'part of self_check(): who could get round the rules';
REVOKE ALL ON FUNCTION billadj.self_check_roles() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.self_check_roles() TO billadj_admin, billadj_operator, billadj_policy, billadj_auditor;

CREATE FUNCTION billadj.self_check_attachments()
RETURNS TABLE (severity text, code text, message text, fix_sql text)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
#variable_conflict use_column
BEGIN
    -- No trigger anywhere: the host table was dropped, or its triggers were.
    RETURN QUERY
    SELECT 'error', 'attachment_lost', format('no table carries the triggers of attachment %s (%I.%I)', a.attachment_id, a.schema_name, a.relation_name),
           CASE WHEN to_regclass(format('%I.%I', a.schema_name, a.relation_name)) IS NOT NULL
                THEN format('SELECT * FROM billadj.resume(%L);', format('%I.%I', a.schema_name, a.relation_name))
                -- A later table of that name is another one: it must not get this number.
                ELSE format('UPDATE billadj.attachment SET state = ''detached'', relation_name = relation_name || '' (dropped)'' WHERE attachment_id = %s;', a.attachment_id) END
      FROM billadj.attachment a
     WHERE a.state <> 'detached'
       AND NOT EXISTS (SELECT FROM billadj.own_triggers() t WHERE t.function_name LIKE 'usage\_%' AND t.argument = a.attachment_id::text)
     ORDER BY a.attachment_id;
    RETURN QUERY
    WITH host AS (
        SELECT DISTINCT ON (a.attachment_id) a.attachment_id::text AS number, t.relation::regclass AS relation
          FROM billadj.attachment a
          JOIN billadj.own_triggers() t ON t.argument = a.attachment_id::text AND t.function_name LIKE 'usage\_%'
          JOIN pg_class c ON c.oid = t.relation
         -- resume() makes those that are missing on a paused one
         WHERE a.state = 'active'
         ORDER BY a.attachment_id, c.relispartition, t.relation
    )
    SELECT 'error', 'attach_trigger_missing', format('table %s does not have all triggers of attachment %s: rows that name it are not rated', m.member, h.number),
           format('SELECT * FROM billadj.resume(%L);', h.relation::text)
      FROM host h CROSS JOIN billadj.missing_usage_triggers(h.relation, h.number) m
     WHERE NOT EXISTS (SELECT FROM billadj.own_triggers() o
                        WHERE o.relation = m.member AND o.function_name LIKE 'usage\_%' AND o.argument <> h.number)
     GROUP BY h.number, h.relation, m.member
     ORDER BY h.number, m.member;
    -- It was attached by itself before it became a partition, or has left the
    -- table that it was attached with.
    RETURN QUERY
    WITH host AS (
        SELECT DISTINCT ON (a.attachment_id) a.attachment_id::text AS number, t.relation::regclass AS relation
          FROM billadj.attachment a
          JOIN billadj.own_triggers() t ON t.argument = a.attachment_id::text AND t.function_name LIKE 'usage\_%'
          JOIN pg_class c ON c.oid = t.relation
         WHERE a.state <> 'detached'
         ORDER BY a.attachment_id, c.relispartition, t.relation
    ), carried AS (
        SELECT t.argument AS number, t.relation::regclass AS member,
               string_agg(format('DROP TRIGGER %I ON %s;', t.trigger_name, t.relation::regclass), ' ' ORDER BY t.trigger_name COLLATE "C") AS fix
          FROM billadj.own_triggers() t
         WHERE t.function_name LIKE 'usage\_%'
         GROUP BY t.argument, t.relation
    )
    SELECT 'error', 'attach_twice',
           format('table %s is attached as %s and is a partition of %s, which is attached as %s: backfill() would charge its rows twice', k.member, k.number, h.relation, h.number),
           format('ALTER TABLE %s DETACH PARTITION %s;', (SELECT i.inhparent::regclass FROM pg_inherits i WHERE i.inhrelid = k.member), k.member)
      FROM host h CROSS JOIN billadj.table_tree(h.relation) m JOIN carried k ON k.member = m.member AND k.number <> h.number
    UNION ALL
    SELECT 'info', 'attach_trigger_left', format('table %s is no partition of %s any more and is still rated with it', k.member, h.relation), k.fix
      FROM carried k JOIN host h ON h.number = k.number
     WHERE NOT EXISTS (SELECT FROM billadj.table_tree(h.relation) m WHERE m.member = k.member);
    RETURN QUERY
    SELECT 'warning', 'watch_disabled', format('event trigger %I is disabled: new partitions wait for maintain()', e.evtname),
           'SELECT * FROM billadj.watch_partitions();'
      FROM pg_event_trigger e JOIN pg_proc p ON p.oid = e.evtfoid
     WHERE p.pronamespace = 'billadj'::regnamespace AND p.proname = 'cover_new_partitions' AND e.evtenabled <> 'O';
    RETURN QUERY
    SELECT 'error', 'attach_trigger_disabled',
           format('trigger %I on %s %s', t.trigger_name, t.relation::regclass,
                  CASE t.enabled WHEN 'D' THEN 'is disabled' WHEN 'R' THEN 'fires for replicated rows only'
                                 ELSE 'fires for replicated rows too: a subscriber would rate twice' END),
           format('ALTER TABLE %s ENABLE TRIGGER %I;', t.relation::regclass, t.trigger_name)
      FROM billadj.own_triggers() t
     WHERE t.function_name LIKE 'usage\_%' AND t.enabled <> 'O'
     ORDER BY t.relation, t.trigger_name;
    RETURN QUERY
    SELECT 'error', 'attach_trigger_stray', format('trigger %I on %s belongs to attachment %s, which is %s', t.trigger_name, t.relation::regclass,
                                                   t.argument, coalesce(a.state, 'unknown')),
           format('DROP TRIGGER %I ON %s;', t.trigger_name, t.relation::regclass)
      FROM billadj.own_triggers() t
      LEFT JOIN billadj.attachment a ON a.attachment_id::text = t.argument
     WHERE t.function_name LIKE 'usage\_%' AND (a.attachment_id IS NULL OR a.state = 'detached')
     ORDER BY t.relation, t.trigger_name;
    RETURN QUERY
    WITH host AS (
        SELECT DISTINCT a.attachment_id, a.mapping, t.relation
          FROM billadj.attachment a
          JOIN billadj.own_triggers() t ON t.argument = a.attachment_id::text AND t.function_name LIKE 'usage\_%'
         WHERE a.state <> 'detached'
    ), named AS (
        SELECT h.attachment_id, h.relation, c.value #>> '{}' AS name
          FROM host h CROSS JOIN jsonb_path_query(h.mapping, 'strict $.**.column') AS c(value)
        UNION
        SELECT h.attachment_id, h.relation, c.value FROM host h CROSS JOIN jsonb_array_elements_text(h.mapping -> 'event_key') AS c(value)
    )
    SELECT 'error', 'mapping_column_missing', format('attachment %s names column %I, which %s does not have: its rows are parked', n.attachment_id, n.name, n.relation::regclass),
           format('SELECT * FROM billadj.detach(%L); -- or name another column: billadj.remap(%1$L, …)', n.relation::regclass::text)
      FROM named n
     WHERE NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = n.relation AND a.attname = n.name AND a.attnum > 0 AND NOT a.attisdropped)
     ORDER BY n.attachment_id, n.relation, n.name;
END
$function$;
COMMENT ON FUNCTION billadj.self_check_attachments() IS 'part of self_check(): host tables, their triggers and mappings';
REVOKE ALL ON FUNCTION billadj.self_check_attachments() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.self_check_attachments() TO billadj_admin, billadj_operator, billadj_policy, billadj_auditor;

CREATE FUNCTION billadj.self_check_service()
RETURNS TABLE (severity text, code text, message text, fix_sql text)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT 'warning', 'server_old', format('PostgreSQL %s is older than 15.19, which billadj is tested on', current_setting('server_version')),
           '-- install the latest minor release of PostgreSQL'
     WHERE current_setting('server_version_num')::integer < 150019;
    -- It holds the totals it settled, so all its accounts wait.
    RETURN QUERY
    SELECT 'warning', 'prepared_old', format('transaction %L is prepared since %s and keeps its accounts locked', p.gid, p.prepared),
           format('COMMIT PREPARED %L; -- or ROLLBACK PREPARED', p.gid)
      FROM pg_prepared_xacts p
     WHERE p.database = current_database() AND p.prepared < now() - interval '1 hour'
     ORDER BY p.prepared;
    RETURN QUERY
    SELECT 'warning', 'month_missing', format('no partition for %s and %s later months', min(m.name), count(*) - 1), 'SELECT * FROM billadj.maintain();'
      FROM billadj.missing_months(1) m HAVING count(*) > 0;
    RETURN QUERY
    SELECT 'warning', 'default_rows', format('billadj.charge_default holds charges from %s on', min(c.period_start)), 'SELECT * FROM billadj.maintain();'
      FROM billadj.charge_default c HAVING count(*) > 0;
    RETURN QUERY
    SELECT 'info', 'index_missing', format('closed month billadj.%I has no index on (%s)', m.name, m.columns), 'SELECT * FROM billadj.maintain();'
      FROM billadj.missing_indexes() m;
END
$function$;
COMMENT ON FUNCTION billadj.self_check_service() IS 'part of self_check(): server, months of charges, prepared transactions';
REVOKE ALL ON FUNCTION billadj.self_check_service() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.self_check_service() TO billadj_admin, billadj_operator, billadj_policy, billadj_auditor;

CREATE FUNCTION billadj.self_check()
RETURNS TABLE (severity text, code text, message text, fix_sql text)
LANGUAGE plpgsql STABLE
-- compiling these queries would take longer than running them
SET jit = off
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    RETURN QUERY SELECT * FROM billadj.self_check_roles();
    IF to_regclass('billadj.migration') IS NULL THEN
        RETURN QUERY SELECT 'error', 'not_installed', 'the tables of billadj are not there', 'SELECT * FROM billadj.install();';
        RETURN;
    END IF;
    RETURN QUERY SELECT * FROM billadj.self_check_tables();
    -- The rest reads tables that a missing step would have made.
    IF EXISTS (SELECT FROM billadj.missing_steps()) THEN
        RETURN;
    END IF;
    RETURN QUERY SELECT * FROM billadj.self_check_guards();
    RETURN QUERY SELECT * FROM billadj.self_check_control();
    RETURN QUERY SELECT * FROM billadj.self_check_grants();
    IF to_regclass('billadj.principal') IS NOT NULL AND to_regclass('billadj.approval_rule') IS NOT NULL THEN
        RETURN QUERY SELECT * FROM billadj.self_check_people();
    END IF;
    IF to_regclass('billadj.audit_block') IS NOT NULL AND to_regclass('billadj.audit_anchor') IS NOT NULL THEN
        RETURN QUERY SELECT * FROM billadj.self_check_anchor();
    END IF;
    IF to_regclass('billadj.attachment') IS NOT NULL THEN
        RETURN QUERY SELECT * FROM billadj.self_check_attachments();
    END IF;
    IF to_regclass('billadj.charge') IS NOT NULL AND to_regclass('billadj.charge_default') IS NOT NULL
       AND to_regclass('billadj.instance') IS NOT NULL THEN
        RETURN QUERY SELECT * FROM billadj.self_check_service();
    END IF;
END
$function$;
COMMENT ON FUNCTION billadj.self_check() IS 'what is wrong with this installation, each with the command that mends it; no row: all is well';
REVOKE ALL ON FUNCTION billadj.self_check() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.self_check() TO billadj_admin, billadj_operator, billadj_policy, billadj_auditor;
