\echo Use "CREATE EXTENSION billadj" to load this file. \quit

-- What must hold before anything is made.  The schema itself is no member of
-- the extension (control file), so that dropping the extension never drops the
-- ledger; therefore it can be there already, with somebody else's things in it.
DO $preflight$
DECLARE
    server  integer := current_setting('server_version_num')::integer;
    owner   oid := (SELECT r.oid FROM pg_catalog.pg_roles r WHERE r.rolname = 'billadj_owner');
    listed  boolean := false;
    found   text;
    strange text;
BEGIN
    -- 15.6 is the first release without faults that triggers like ours met.
    IF server < 150006 THEN
        RAISE EXCEPTION 'billadj needs PostgreSQL 15.6 or later, this is %', current_setting('server_version')
            USING ERRCODE = 'UB021',
                  HINT = 'Install the latest minor release of PostgreSQL and run CREATE EXTENSION billadj again.';
    ELSIF server < 150019 THEN
        RAISE WARNING 'billadj is tested on PostgreSQL 15.19 and later, this is %', current_setting('server_version')
            USING HINT = 'Install the latest minor release of PostgreSQL.';
    END IF;

    -- Whoever owns the schema could plant functions in it.
    SELECT r.rolname INTO found
      FROM pg_catalog.pg_namespace n JOIN pg_catalog.pg_roles r ON r.oid = n.nspowner
     WHERE n.nspname = 'billadj' AND NOT r.rolsuper;
    IF found IS NOT NULL THEN
        RAISE EXCEPTION 'schema billadj belongs to %, who is no superuser', quote_ident(found)
            USING ERRCODE = 'UB021',
                  DETAIL = 'The owner of the schema could replace what is in it.',
                  HINT = format('ALTER SCHEMA billadj OWNER TO %I;', current_user);
    END IF;

    -- A member of billadj_owner could rewrite the ledger.
    SELECT coalesce((SELECT 'ALTER ROLE billadj_owner NOLOGIN NOSUPERUSER;'
                       FROM pg_catalog.pg_roles r WHERE r.oid = owner AND (r.rolcanlogin OR r.rolsuper)),
                    (SELECT format('REVOKE billadj_owner FROM %s;', m.member::regrole)
                       FROM pg_catalog.pg_auth_members m WHERE m.roleid = owner LIMIT 1))
      INTO found;
    IF found IS NOT NULL THEN
        RAISE EXCEPTION 'role billadj_owner can be used by somebody'
            USING ERRCODE = 'UB021',
                  DETAIL = 'It owns the ledger, so it must not log in, be a superuser or have members.',
                  HINT = found;
    END IF;

    -- A schema that is not empty must be ours: everything in it belongs to
    -- billadj_owner, and the table of steps tells where it comes from.
    SELECT string_agg(CASE WHEN o.refobjid IS NULL THEN pg_catalog.pg_describe_object(d.classid, d.objid, 0) END,
                      ', ' ORDER BY d.classid, d.objid),
           string_agg(CASE WHEN o.refobjid IS NOT NULL THEN pg_catalog.pg_describe_object(d.classid, d.objid, 0) END,
                      ', ' ORDER BY d.classid, d.objid)
      INTO strange, found
      FROM pg_catalog.pg_depend d
      LEFT JOIN pg_catalog.pg_shdepend o
             ON o.dbid = (SELECT b.oid FROM pg_catalog.pg_database b WHERE b.datname = current_database())
            AND o.classid = d.classid AND o.objid = d.objid AND o.objsubid = 0
            AND o.deptype = 'o' AND o.refobjid = owner
     WHERE d.refclassid = 'pg_catalog.pg_namespace'::regclass
       AND d.refobjid = (SELECT n.oid FROM pg_catalog.pg_namespace n WHERE n.nspname = 'billadj')
       AND d.deptype = 'n'
       AND d.classid <> 'pg_catalog.pg_extension'::regclass;
    IF strange IS NOT NULL THEN
        RAISE EXCEPTION 'schema billadj holds objects that are not billadj''s'
            USING ERRCODE = 'UB021',
                  DETAIL = format('Not owned by billadj_owner: %s.', strange),
                  HINT = 'Move them into another schema with ALTER … SET SCHEMA, or drop them.';
    END IF;
    IF found IS NOT NULL AND to_regclass('billadj.migration') IS NOT NULL THEN
        EXECUTE 'SELECT count(*) > 0 FROM billadj.migration' INTO listed;
    END IF;
    IF found IS NOT NULL AND NOT listed THEN
        RAISE EXCEPTION 'schema billadj holds tables of which billadj.migration says nothing'
            USING ERRCODE = 'UB021',
                  DETAIL = format('Found: %s.', found),
                  HINT = 'Restore billadj.migration, or move these objects into another schema.';
    END IF;
END
$preflight$;

-- Groups, made here and not by install(): a dump runs CREATE EXTENSION before
-- it gives the tables to their owner.
DO $roles$
DECLARE
    made record;
BEGIN
    FOR made IN
        SELECT r.name, r.purpose
          FROM (VALUES ('billadj_owner', 'owns the tables of billadj; never give it members'),
                       ('billadj_admin', 'billadj: catalogue and attached tables'),
                       ('billadj_operator', 'billadj: ingests, rates, bills, applies what is approved for later'),
                       ('billadj_requester', 'billadj: asks for overrides'),
                       ('billadj_approver', 'billadj: decides on overrides'),
                       ('billadj_policy', 'billadj: approves policy'),
                       ('billadj_auditor', 'billadj: reads everything, verifies the audit log'),
                       ('billadj_privacy', 'billadj: reads and erases personal text'),
                       ('billadj_reader', 'billadj: reads the finance views')) AS r(name, purpose)
         WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_roles x WHERE x.rolname = r.name)
    LOOP
        EXECUTE format('CREATE ROLE %I NOLOGIN', made.name);
        EXECUTE format('COMMENT ON ROLE %I IS %L', made.name, made.purpose);
    END LOOP;
END
$roles$;

-- The calculators are for everybody.  Only where it is missing: a grant made
-- here counts as the extension's, with whatever else the schema grants then, and
-- is in no dump.  The groups get their own from install().
DO $grant$
BEGIN
    IF NOT EXISTS (SELECT
                     FROM pg_catalog.pg_namespace n, pg_catalog.aclexplode(n.nspacl) AS a
                    WHERE n.nspname = 'billadj' AND a.grantee = 0 AND a.privilege_type = 'USAGE') THEN
        GRANT USAGE ON SCHEMA billadj TO PUBLIC;
    END IF;
END
$grant$;
