/*
 * actorfuncs.c
 *	  Who acts, for SQL.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"

#include "actor.h"

/* billadj.actor() → bigint, NULL for a login that is no registered person */
PG_FUNCTION_INFO_V1(billadj_actor);
Datum
billadj_actor(PG_FUNCTION_ARGS)
{
	Principal	principal;

	if (!bj_actor_principal(&principal))
		PG_RETURN_NULL();
	PG_RETURN_INT64(principal.principal_id);
}

/* billadj.actor_login() → text */
PG_FUNCTION_INFO_V1(billadj_actor_login);
Datum
billadj_actor_login(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(bj_actor_login()));
}

/* billadj.actor_role() → text */
PG_FUNCTION_INFO_V1(billadj_actor_role);
Datum
billadj_actor_role(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(bj_actor_role()));
}
