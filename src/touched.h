/*
 * touched.h
 *	  What this backend remembers of overrides until its transaction ends: that
 *	  the library itself is writing, rows that guards have approved, requests to
 *	  look at once more before the commit.
 *
 * In backend memory, where no setting and no statement can reach it.
 */
#ifndef BILLADJ_TOUCHED_H
#define BILLADJ_TOUCHED_H

#include "postgres.h"

#include "access/htup.h"
#include "utils/relcache.h"

/*
 * Registers the callbacks.  After bj_audit_init() and before bj_ledger_init():
 * totals settle, then requests are looked at, then the log is sealed.
 */
extern void bj_touched_init(void);

/* ---- the library writes ---- */

/*
 * bj_owner_run() of a statement that writes, during which the guards of our
 * tables let pass what it does itself; not what a trigger of somebody else does
 * on the way.
 */
extern uint64 bj_engine_run(const char *sql, int nargs, Oid *types,
							Datum *values, const char *nulls);

/* For a guard: is this row written by bj_engine_run()? */
extern bool bj_engine_writes(void);

/* How deep in triggers we are: 1 in one that a statement of the session fired. */
extern int	bj_trigger_depth(void);

/* ---- approved rows ---- */

typedef enum Expectation
{
	BJ_MUST_BE_STORED,
	BJ_MAY_BE_STORED			/* ON CONFLICT may want another row instead */
} Expectation;

/*
 * A guard has approved this row; extra, in TopTransactionContext or NULL, is
 * for the check after the row is stored.
 */
extern void bj_expect_row(Relation rel, HeapTuple tuple, Expectation expectation,
						  void *extra);

/*
 * Is the row that was stored one that was approved?  Then it is forgotten and
 * *extra, unless NULL, is what came with it.  A commit is refused (UB324) while
 * an approved row that must be stored was not.
 */
extern bool bj_expected_row(Relation rel, HeapTuple tuple, void **extra);

/* ---- requests ---- */

typedef struct Touched
{
	int64		request_id;
	int64		decision_id;	/* made by this transaction, or 0 */
	bool		applied;		/* its effect was written by this transaction */
	int64		hold_id;		/* a hold that its effect made, or 0 */
} Touched;

/*
 * Before the commit bj_apply_check_touched() is called for it, once a request:
 * what is not 0 or false in an earlier call stays.
 */
extern void bj_touch(const Touched *touched);

#endif							/* BILLADJ_TOUCHED_H */
