/*
 * refusal.c
 *	  Why an act on an override is refused.
 */
#include "postgres.h"

#include "actor.h"
#include "refusal.h"

void
bj_refuse(Refusals *refusals, int sqlstate, const char *message,
		  const char *detail, const char *hint)
{
	Refusal    *refusal = palloc(sizeof(Refusal));

	*refusal = (Refusal) {sqlstate, message, detail, hint};
	*refusals = lappend(*refusals, refusal);
}

void
bj_refusal_raise(const Refusal *refusal)
{
	ereport(ERROR,
			(errcode(refusal->sqlstate),
			 errmsg("%s", refusal->message),
			 refusal->detail ? errdetail("%s", refusal->detail) : 0,
			 refusal->hint ? errhint("%s", refusal->hint) : 0));
	pg_unreachable();
}

void
bj_refusals_raise(Refusals refusals, const char *act, int64 request_id)
{
	const Refusal *first;

	if (refusals == NIL)
		return;
	first = linitial(refusals);
	ereport(LOG_SERVER_ONLY,
			(errmsg("billadj refused: %s of override request " INT64_FORMAT " by \"%s\": %s %s",
					act, request_id, bj_actor_login(),
					unpack_sql_state(first->sqlstate), first->message),
			 errhidestmt(true)));
	bj_refusal_raise(first);
}
