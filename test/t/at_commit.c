/*
 * at_commit.c
 *	  Another extension that writes usage in its own pre-commit callback.
 *
 * Callbacks run in reverse order of registration: a library that was loaded
 * before billadj writes after billadj has settled its totals.
 */
#include "postgres.h"

#include "access/xact.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/snapmgr.h"

PG_MODULE_MAGIC;

static char *statement = NULL;	/* at_commit.statement */

void		_PG_init(void);

static void
at_commit(XactEvent event, void *arg)
{
	if (event != XACT_EVENT_PRE_COMMIT || statement == NULL || statement[0] == '\0')
		return;
	SPI_connect();
	PushActiveSnapshot(GetTransactionSnapshot());
	if (SPI_execute(statement, false, 0) < 0)
		elog(ERROR, "at_commit.statement failed");
	PopActiveSnapshot();
	SPI_finish();
}

void
_PG_init(void)
{
	DefineCustomStringVariable("at_commit.statement", "What to run before each commit.",
							   NULL, &statement, "", PGC_USERSET, 0, NULL, NULL, NULL);
	RegisterXactCallback(at_commit, NULL);
}
