
-- policy: people, authority, approval rules; changes of policy under dual control

-- ---- who acts ----
-- PARALLEL UNSAFE: they read by the latest snapshot, which no parallel plan can.

CREATE FUNCTION billadj.actor() RETURNS bigint
AS 'MODULE_PATHNAME', 'billadj_actor' LANGUAGE C STABLE;
COMMENT ON FUNCTION billadj.actor() IS 'principal_id of whoever acts in this session; NULL: no registered person';

CREATE FUNCTION billadj.actor_login() RETURNS text
AS 'MODULE_PATHNAME', 'billadj_actor_login' LANGUAGE C STABLE;
COMMENT ON FUNCTION billadj.actor_login() IS 'the login that acts: session_user, or the role that a registered pooler has set';

CREATE FUNCTION billadj.actor_role() RETURNS text
AS 'MODULE_PATHNAME', 'billadj_actor_role' LANGUAGE C STABLE;
COMMENT ON FUNCTION billadj.actor_role() IS 'the role in force, and behind a slash the authenticated login where it is another one';

CREATE FUNCTION billadj.whoami(OUT principal_id bigint, OUT person_key text, OUT login text, OUT role_name text, OUT roles text[])
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    PERFORM billadj.require_installed();
    login := billadj.actor_login();
    role_name := billadj.actor_role();
    principal_id := billadj.actor();
    SELECT p.person_key INTO person_key FROM billadj.principal p WHERE p.principal_id = whoami.principal_id;
    -- what the role in force may use, without the shortcut of a superuser
    WITH RECURSIVE held(oid) AS (
        SELECT r.oid FROM pg_roles r WHERE r.rolname = current_user
        UNION
        SELECT m.roleid FROM held h JOIN pg_roles r ON r.oid = h.oid AND r.rolinherit JOIN pg_auth_members m ON m.member = h.oid
    )
    SELECT coalesce(array_agg(r.rolname::text ORDER BY r.rolname), '{}') INTO roles
      FROM held h JOIN pg_roles r ON r.oid = h.oid WHERE r.rolname LIKE 'billadj\_%';
END
$function$;
COMMENT ON FUNCTION billadj.whoami() IS 'who billadj takes this session for: the person, the login, the role in force and its groups of billadj';
REVOKE ALL ON FUNCTION billadj.actor(), billadj.actor_login(), billadj.actor_role(), billadj.whoami() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.actor(), billadj.actor_login(), billadj.actor_role(), billadj.whoami()
   TO billadj_admin, billadj_operator, billadj_requester, billadj_approver, billadj_policy, billadj_auditor,
      billadj_privacy, billadj_reader;
