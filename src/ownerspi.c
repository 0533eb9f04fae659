/*
 * ownerspi.c
 *	  SQL on our own tables as their owner, past row-level security, by the
 *	  latest snapshot whatever the isolation level.
 */
#include "postgres.h"

#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/guc.h"
#include "utils/hsearch.h"
#include "utils/snapmgr.h"

#include "ownerspi.h"

/* A kept plan.  The server's plan cache makes it anew when tables change. */
typedef struct KeptPlan
{
	const char *sql;			/* the key: where the literal is */
	SPIPlanPtr	plan;
} KeptPlan;

static HTAB *plans = NULL;

/*
 * The marks are those of a referential-integrity check: the owner's privileges
 * for one query, and FORCE ROW LEVEL SECURITY does not bind him.  pg_temp comes
 * last, so that a temporary table captures no name.
 */
void
bj_owner_begin(OwnerScope *scope)
{
	Oid			owner = get_role_oid("billadj_owner", false);

	GetUserIdAndSecContext(&scope->save_userid, &scope->save_context);
	SetUserIdAndSecContext(owner, scope->save_context |
						   SECURITY_LOCAL_USERID_CHANGE | SECURITY_NOFORCE_RLS);
	scope->save_nestlevel = NewGUCNestLevel();
	(void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	SPI_connect();
}

void
bj_owner_end(OwnerScope *scope)
{
	SPI_finish();
	AtEOXact_GUC(true, scope->save_nestlevel);
	SetUserIdAndSecContext(scope->save_userid, scope->save_context);
}

static SPIPlanPtr
kept_plan(const char *sql, int nargs, Oid *types)
{
	KeptPlan   *kept;
	SPIPlanPtr	plan;
	bool		found;

	if (plans == NULL)
	{
		HASHCTL		control = {.keysize = sizeof(const char *), .entrysize = sizeof(KeptPlan)};

		plans = hash_create("billadj plans", 64, &control, HASH_ELEM | HASH_BLOBS);
	}
	kept = hash_search(plans, &sql, HASH_FIND, NULL);
	if (kept != NULL)
		return kept->plan;
	plan = SPI_prepare(sql, nargs, types);
	if (plan == NULL)
		elog(ERROR, "could not prepare \"%s\": %s", sql, SPI_result_code_string(SPI_result));
	if (SPI_keepplan(plan) != 0)
		elog(ERROR, "could not keep the plan of \"%s\"", sql);
	kept = hash_search(plans, &sql, HASH_ENTER, &found);
	kept->plan = plan;
	return plan;
}

/*
 * Not the transaction's snapshot: what was revoked a moment ago must count for
 * a transaction of REPEATABLE READ that began before, and so must the row that
 * another one inserted.  SPI copies the snapshot of a statement that writes and
 * advances it to what this transaction did so far.
 */
uint64
bj_owner_run(const char *sql, int nargs, Oid *types, Datum *values,
			 const char *nulls, bool read_only)
{
	SPIPlanPtr	plan = kept_plan(sql, nargs, types);
	int			rc = SPI_execute_snapshot(plan, values, nulls, GetLatestSnapshot(),
										  InvalidSnapshot, read_only, true, 0);

	if (rc < 0)
		elog(ERROR, "could not run \"%s\": %s", sql, SPI_result_code_string(rc));
	return SPI_processed;
}
