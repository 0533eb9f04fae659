/*
 * ledger.h
 *	  What this transaction adds to running totals, and settling them at commit.
 *
 * Statements post to the ledger without a lock: each posting is rated at the
 * position that this transaction knows.  Before the commit every total is
 * locked, in one global order, raised by what was posted, and the difference
 * between what should be and what was booked becomes a charge of cause
 * position.  So at every commit, for each key: sum of charges = amount of the
 * total = f(quantity).
 */
#ifndef BILLADJ_LEDGER_H
#define BILLADJ_LEDGER_H

#include "postgres.h"

#include "core/rate.h"
#include "detect.h"
#include "prices.h"
#include "tiertotals.h"

typedef struct Posting
{
	Position	before;			/* where this transaction believes to stand */
	Decimal		amount;
	bool		emptied;		/* no usage row is left: f is not due */
	DetectSlot *slot;			/* for bj_detect_note() */
} Posting;

extern void bj_ledger_init(void);

/*
 * Adds quantity and rows (-1, 0 or 1) to a key whose price is not linear, and
 * rates them.  totals is read at the key's first touch in the transaction.
 * With any status but BJ_OK nothing was posted.
 */
extern BjStatus bj_ledger_post(TierTotals *totals, const TotalKey *key,
							   const CatalogPrice *price, Decimal quantity,
							   int rows, Posting *posting);

/*
 * To be called at the end of each statement that posted: settles at once when
 * the transaction has settled already, because some other module writes usage
 * in its own pre-commit callback.
 */
extern void bj_ledger_end_statement(void);

#endif							/* BILLADJ_LEDGER_H */
