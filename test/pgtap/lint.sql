-- The packaging contract, read from the catalogs: each query lists what breaks
-- a rule, so no row is a pass.
\set ECHO none
\set QUIET 1
\pset format unaligned
\pset tuples_only on
\pset pager off
SET client_min_messages = warning;
SELECT count(*) > 0 AS can_check FROM pg_available_extensions WHERE name = 'plpgsql_check' \gset
-- before the session's first PL/pgSQL, as some versions of it demand
\if :can_check
LOAD 'plpgsql';
LOAD 'plpgsql_check';
\endif
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS btree_gist;
CREATE EXTENSION IF NOT EXISTS billadj;
SELECT count(*) AS steps FROM billadj.install() \gset

SELECT plan(24 + :'can_check'::boolean::integer);

-- ours, and which of it is a fact of an account
CREATE TEMP VIEW relation AS
SELECT c.*, EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'account' AND NOT a.attisdropped)
            -- control plane: the account is one property of the row, not where it lives;
            -- entries of the log live where their chain does
            AND c.relname NOT IN ('rate_card', 'override_request', 'conflict', 'attached', 'detector', 'audit_entry') AS account_plane
  FROM pg_class c WHERE c.relnamespace = 'billadj'::regnamespace;
CREATE TEMP VIEW routine AS
SELECT p.*, p.oid::regprocedure::text AS signature FROM pg_proc p WHERE p.pronamespace = 'billadj'::regnamespace;
-- the functions that need no installed table and no privilege
CREATE TEMP VIEW calculator AS
SELECT unnest(ARRAY['rate', 'rate_steps', 'rate_between', 'rate_between_steps', 'rate_events', 'rated_sum', 'rated_quantity_sum', 'exact_sum', 'price_check', 'price_is_linear', 'exact',
                    'round_step', 'round_money', 'allocate', 'share_residual', 'event_key', 'charge_totals',
                    'prorate', 'prorate_split', 'day_fraction', 'periods', 'period_at', 'anomaly_score', 'anomaly_detail', 'read_baseline', 'join_state', 'replay',
                    'audit_hash', 'merkle_root', 'merkle_path', 'short_number', 'short_time', 'sparkline', 'sparkline_svg']) AS proname;

-- ---- the extension is code, the tables are the DBA's ----

SELECT is_empty($$SELECT pg_describe_object(d.classid, d.objid, 0) FROM pg_depend d
                   WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND d.classid <> 'pg_proc'::regclass
                     AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'billadj')$$,
                'members of the extension are functions only');
SELECT is_empty($$SELECT relname FROM relation WHERE relkind NOT IN ('i', 'I') AND relowner <> 'billadj_owner'::regrole$$,
                'every relation belongs to billadj_owner');
SELECT is_empty($$SELECT p.proname FROM routine p WHERE NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')$$,
                'every function is a member of the extension');
SELECT is_empty($$SELECT d.objid::regclass FROM pg_depend d JOIN relation r ON d.classid = 'pg_rewrite'::regclass
                     AND d.objid IN (SELECT w.oid FROM pg_rewrite w WHERE w.ev_class = r.oid)
                   WHERE d.refclassid = 'pg_proc'::regclass AND d.refobjid IN (SELECT oid FROM routine)$$,
                'no view needs a function of ours, so that DROP EXTENSION … CASCADE leaves it');
SELECT is_empty($$SELECT d.adrelid::regclass, pg_get_expr(d.adbin, d.adrelid) FROM pg_attrdef d JOIN relation r ON r.oid = d.adrelid
                   WHERE pg_get_expr(d.adbin, d.adrelid) ~ 'billadj\.\w+\('
                  UNION ALL
                  SELECT c.conrelid::regclass, pg_get_constraintdef(c.oid) FROM pg_constraint c JOIN relation r ON r.oid = c.conrelid
                   WHERE c.contype <> 'f' AND pg_get_constraintdef(c.oid) ~ 'billadj\.\w+\('$$,
                'no default and no constraint needs a function of ours');
SELECT is_empty($$SELECT a.attrelid::regclass, a.attname, a.atttypid::regtype FROM pg_attribute a JOIN relation r ON r.oid = a.attrelid JOIN pg_type t ON t.oid = a.atttypid
                   WHERE r.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped AND (t.typname LIKE 'reg%' OR t.typnamespace <> 'pg_catalog'::regnamespace)$$,
                'stored columns have built-in types, and none that names an object by its oid');
SELECT is_empty($$SELECT r.relname FROM relation r
                   -- but that it was installed, and what the log says of that
                   WHERE r.relkind = 'r' AND r.relname NOT IN ('migration', 'audit_entry')
                     AND (xpath('/row/n/text()', query_to_xml(format('SELECT count(*) AS n FROM billadj.%I', r.relname), false, true, '')))[1]::text <> '0'$$,
                'nothing is seeded');
SELECT is_empty($$SELECT tgrelid::regclass, tgname, tgenabled FROM pg_trigger JOIN relation r ON r.oid = tgrelid WHERE NOT tgisinternal AND tgenabled <> 'A'$$,
                'every trigger on a table of ours is ENABLE ALWAYS');
SELECT is_empty($$SELECT conrelid::regclass, conname FROM pg_constraint JOIN relation r ON r.oid = conrelid WHERE condeferrable$$,
                'no constraint is deferrable');
SELECT is_empty($$WITH RECURSIVE reference(first, last) AS (
                      SELECT c.conrelid, c.confrelid FROM pg_constraint c JOIN relation r ON r.oid = c.conrelid WHERE c.contype = 'f'
                      UNION SELECT f.first, c.confrelid FROM reference f JOIN pg_constraint c ON c.conrelid = f.last AND c.contype = 'f')
                  SELECT first::regclass FROM reference WHERE first = last$$,
                'no foreign keys in a circle');

-- ---- two planes ----

SELECT is_empty($$SELECT k.conrelid::regclass, k.conname FROM pg_constraint k JOIN relation r ON r.oid = k.conrelid
                   WHERE r.account_plane AND (k.contype IN ('p', 'u', 'x') OR k.contype = 'f' AND k.confrelid IN (SELECT oid FROM relation WHERE account_plane))
                     AND (SELECT a.attname FROM pg_attribute a WHERE a.attrelid = k.conrelid AND a.attnum = k.conkey[1]) <> 'account'$$,
                'every primary, unique, exclusion and foreign key within the account plane begins with the account');
SELECT is_empty($$SELECT x.indexrelid::regclass FROM pg_index x JOIN relation r ON r.oid = x.indrelid
                   WHERE r.account_plane AND (x.indisunique OR x.indisexclusion)
                     AND (SELECT a.attname FROM pg_attribute a WHERE a.attrelid = x.indrelid AND a.attnum = x.indkey[0]) IS DISTINCT FROM 'account'$$,
                'and every unique index');
SELECT is_empty($$SELECT a.attrelid::regclass FROM pg_attribute a JOIN relation r ON r.oid = a.attrelid
                   WHERE r.account_plane AND r.relkind IN ('r', 'p') AND a.attname = 'account'
                     AND (a.atttypid <> 'text'::regtype OR a.attcollation <> '"C"'::regcollation OR NOT a.attnotnull AND r.relname <> 'parked_usage')$$,
                'an account is text COLLATE "C" NOT NULL (a parked row may have none that is usable)');
-- distribution-readiness: what a set of nodes would refuse
PREPARE distribution(text) AS
with t as (select c.oid, c.relname from pg_class c join pg_namespace n on n.oid=c.relnamespace
           where n.nspname=$1 and c.relkind in ('r','p')
             and exists (select from pg_attribute a where a.attrelid=c.oid and a.attname='account' and not a.attisdropped) and c.relname not in ('rate_card','override_request','conflict','detector','audit_entry')),
     k as (select t.*, a.attnum from t join pg_attribute a on a.attrelid=t.oid and a.attname='account')
select 'key without account' as rule, k.relname||'.'||i.indexrelid::regclass::text as object
  from k join pg_index i on i.indrelid=k.oid where (i.indisunique or i.indisexclusion) and not (k.attnum = any(i.indkey::int2[]))
union all
select 'account is not the first key column', k.relname||'.'||i.indexrelid::regclass::text
  from k join pg_index i on i.indrelid=k.oid where i.indisprimary and i.indkey[0]<>k.attnum
union all
select 'foreign key without account', k.relname||'.'||c.conname from k join pg_constraint c on c.conrelid=k.oid and c.contype='f'
  where exists (select from k f where f.oid=c.confrelid) and not (k.attnum=any(c.conkey))
union all
select 'policy with a subquery', t.relname||'.'||p.polname from t join pg_policy p on p.polrelid=t.oid
  where coalesce(p.polqual::text,'')||coalesce(p.polwithcheck::text,'') like '%{SUBLINK %'
union all
select 'aggregate state is internal or has no combine function', a.aggfnoid::text
  from pg_aggregate a join pg_proc p on p.oid=a.aggfnoid join pg_namespace n on n.oid=p.pronamespace
  where n.nspname=$1 and (a.aggtranstype='internal'::regtype or a.aggcombinefn=0)
union all
select 'table is a member of an extension', t.relname from t join pg_depend d on d.classid='pg_class'::regclass and d.objid=t.oid and d.deptype='e'
union all
select 'security definer function of a role that cannot log in', p.oid::regprocedure::text
  from pg_proc p join pg_namespace n on n.oid=p.pronamespace join pg_roles r on r.oid=p.proowner
  where n.nspname=$1 and p.prosecdef and not r.rolcanlogin
order by 1,2;
SELECT is_empty('EXECUTE distribution(''billadj'')', 'the schema is fit for one node or many');

-- ---- functions ----

SELECT is_empty($$SELECT signature FROM routine p WHERE p.prosecdef AND NOT EXISTS (SELECT FROM unnest(p.proconfig) AS c WHERE c ~ '^search_path=pg_catalog, pg_temp$')$$,
                'a function with its owner''s rights pins the search_path');
SELECT is_empty($$SELECT signature FROM routine p JOIN pg_language l ON l.oid = p.prolang
                   WHERE l.lanname IN ('plpgsql', 'sql') AND p.proname NOT IN ('migration_step', 'migration_newest')
                     AND p.prokind <> 'p'
                     AND NOT EXISTS (SELECT FROM unnest(p.proconfig) AS c WHERE c ~ '^search_path=pg_catalog, pg_temp$')$$,
                'and so does every other one in SQL or PL/pgSQL');
SELECT is_empty($$SELECT signature FROM routine p
                   WHERE p.proname NOT IN (SELECT proname FROM calculator) AND has_function_privilege('public', p.oid, 'EXECUTE')$$,
                'PUBLIC may execute the calculators and nothing else');
SELECT is_empty($$SELECT signature, p.provolatile, p.proparallel FROM routine p JOIN calculator USING (proname)
                   WHERE NOT has_function_privilege('public', p.oid, 'EXECUTE') OR p.proparallel <> 's'
                      OR p.provolatile <> 'i'$$,
                'each calculator is immutable, parallel safe and for everybody');
SELECT is_empty($$SELECT signature FROM routine WHERE prorettype = 'trigger'::regtype AND proname NOT LIKE '%\_trigger'
                   OR prorettype <> 'trigger'::regtype AND proname LIKE '%\_trigger'$$,
                'trigger functions, and only they, end in _trigger');
SELECT is_empty($$SELECT signature, argument FROM routine, unnest(proargnames) AS argument WHERE argument ~ '^(p|_|v)_' $$,
                'arguments are plain nouns');

-- ---- what a person reads ----

SELECT is_empty($$SELECT signature FROM routine WHERE obj_description(oid, 'pg_proc') IS NULL$$, 'every function has a comment');
SELECT is_empty($$SELECT r.relname, NULL FROM relation r
                   WHERE r.relkind IN ('r', 'p', 'v', 'm', 'S') AND obj_description(r.oid, 'pg_class') IS NULL
                     AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = r.oid AND d.deptype = 'i' AND d.refobjsubid > 0)
                  UNION ALL
                  SELECT r.relname, a.attname FROM relation r JOIN pg_attribute a ON a.attrelid = r.oid
                   WHERE r.relkind IN ('r', 'p', 'v', 'm') AND NOT r.relispartition AND a.attnum > 0 AND NOT a.attisdropped
                     AND col_description(r.oid, a.attnum) IS NULL$$,
                'every table, view, sequence and column has a comment');
SELECT is_empty($$SELECT rolname FROM pg_roles WHERE rolname LIKE 'billadj\_%' AND shobj_description(oid, 'pg_authid') IS NULL$$, 'every role has a comment');
SELECT is_empty($$SELECT relname FROM relation WHERE relkind = 'v' AND NOT coalesce(reloptions, '{}') && '{security_invoker=true,security_invoker=on}'$$,
                'a view gives nobody the rights of its owner');

-- ---- PL/pgSQL that no test may have reached ----

\if :can_check
CREATE EXTENSION IF NOT EXISTS plpgsql_check;
SELECT is_empty($$SELECT p.signature, c.lineno, c.level, c.message
                    FROM routine p
                    JOIN pg_language l ON l.oid = p.prolang AND l.lanname = 'plpgsql'
                   CROSS JOIN plpgsql_check_function_tb(p.oid, CASE WHEN p.prorettype = 'trigger'::regtype THEN 'billadj.price'::regclass ELSE 0 END,
                                                        other_warnings => false, extra_warnings => false, performance_warnings => false) c
                   WHERE c.level IN ('error', 'warning')
                     -- whose record is the row of a query that is known when it runs
                     AND NOT (p.proname IN ('subscription_row_trigger', 'warm_up') AND c.message ~ '^record "\w+" (has no field|is not assigned yet)')$$,
                'plpgsql_check finds no fault');
\endif

SELECT * FROM finish();
ROLLBACK;
