/*
 * actor.c
 *	  Who acts: the login behind this session, and the person it belongs to.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "actor.h"
#include "errors.h"
#include "ownerspi.h"

/* Before install(), and while its steps run, there is no such table. */
static bool
pooler_table_exists(void)
{
	Oid			schema = get_namespace_oid("billadj", true);

	return OidIsValid(schema) && OidIsValid(get_relname_relid("pooler", schema));
}

static bool
is_pooler(const char *login)
{
	OwnerScope	scope;
	Oid			types[] = {TEXTOID};
	Datum		values[] = {CStringGetTextDatum(login)};
	bool		found;

	bj_owner_begin(&scope);
	found = bj_owner_run("SELECT FROM ONLY billadj.pooler p WHERE p.role_name = $1 AND p.active",
						 1, types, values, NULL, true) > 0;
	bj_owner_end(&scope);
	return found;
}

/*
 * The outer user is the role that was SET, whatever SECURITY DEFINER functions
 * run; it is the session user where none was.
 */
char *
bj_actor_login(void)
{
	Oid			outer = GetOuterUserId();
	char	   *login = GetUserNameFromId(GetSessionUserId(), false);

	if (outer != GetSessionUserId() && pooler_table_exists() && is_pooler(login))
		return GetUserNameFromId(outer, false);
	return login;
}

char *
bj_actor_role(void)
{
	char	   *role = GetUserNameFromId(GetOuterUserId(), false);
	char	   *authenticated = GetUserNameFromId(GetAuthenticatedUserId(), true);

	if (authenticated == NULL || strcmp(authenticated, role) == 0 ||
		strcmp(authenticated, bj_actor_login()) == 0)
		return role;
	return psprintf("%s/%s", role, authenticated);
}

/*
 * In the cluster where it was bound, a login that was dropped and made anew is
 * somebody else.  In another one, restored or upgraded, roles have other
 * numbers, so the name counts; self_check() lists such bindings.
 */
static bool
is_stale(const char *login, Datum role_oid, bool oid_null,
		 Datum system_id, bool system_null)
{
	if (oid_null || system_null || DatumGetInt64(system_id) != (int64) GetSystemIdentifier())
		return false;
	return DatumGetInt64(role_oid) != (int64) get_role_oid(login, true);
}

typedef enum Standing
{
	STANDING_GOOD,
	STANDING_NONE,
	STANDING_STALE
} Standing;

static Standing
look_up(Principal *principal)
{
	MemoryContext caller = CurrentMemoryContext;
	OwnerScope	scope;
	Oid			types[] = {TEXTOID};
	Datum		values[1];
	Standing	standing = STANDING_NONE;

	memset(principal, 0, sizeof(*principal));
	principal->login = bj_actor_login();
	values[0] = CStringGetTextDatum(principal->login);
	bj_owner_begin(&scope);
	if (bj_owner_run("SELECT p.principal_id, p.person_key, p.role_oid, p.system_id"
					 " FROM ONLY billadj.principal p WHERE p.role_name = $1 AND p.active",
					 1, types, values, NULL, true) > 0)
	{
		HeapTuple	row = SPI_tuptable->vals[0];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		Datum		found[4];
		bool		null[4];

		for (int i = 0; i < 4; i++)
			found[i] = SPI_getbinval(row, desc, i + 1, &null[i]);
		principal->principal_id = DatumGetInt64(found[0]);
		principal->person_key = MemoryContextStrdup(caller, TextDatumGetCString(found[1]));
		standing = is_stale(principal->login, found[2], null[2], found[3], null[3])
			? STANDING_STALE : STANDING_GOOD;
	}
	bj_owner_end(&scope);
	return standing;
}

bool
bj_actor_principal(Principal *principal)
{
	return look_up(principal) == STANDING_GOOD;
}

void
bj_actor_require(Principal *principal)
{
	switch (look_up(principal))
	{
		case STANDING_GOOD:
			return;
		case STANDING_STALE:
			ereport(ERROR,
					(errcode(ERRCODE_BJ_NO_PRINCIPAL),
					 errmsg("login \"%s\" is not the one that was registered under this name",
							principal->login),
					 errdetail("The role was dropped and made anew since principal " INT64_FORMAT " was bound to it.",
							   principal->principal_id),
					 errhint("If it is the same person: SELECT billadj.propose_policy('principal', '{\"op\": \"update\", \"key\": {\"principal_id\": " INT64_FORMAT "}, \"row\": {\"active\": true}}');",
							 principal->principal_id)));
			break;
		case STANDING_NONE:
			ereport(ERROR,
					(errcode(ERRCODE_BJ_NO_PRINCIPAL),
					 errmsg("login \"%s\" is no registered person", principal->login),
					 errhint("Have it registered: SELECT billadj.propose_policy('principal', '{\"op\": \"insert\", \"row\": {\"person_key\": \"…\", \"role_name\": \"%s\"}}');",
							 principal->login)));
	}
}
