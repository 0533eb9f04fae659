/*
 * detect.h
 *	  Detection on usage: rows are noted as they are charged, judged at commit.
 *
 * What a transaction added to a stream is fed to the stream's baseline under
 * the lock of its row, in the order (occurred_at, event key), by the one
 * function that a single row calls: so a bulk load gives what row by row gives,
 * and two sessions on one stream lose nothing.
 */
#ifndef BILLADJ_DETECT_H
#define BILLADJ_DETECT_H

#include "postgres.h"

#include "charges.h"
#include "prices.h"

extern void bj_detect_init(void);

/* Are rows to be noted?  Asked once a statement; reads detectors. */
extern bool bj_detect_begin(void);

/* Notes a charge of cause usage, whose number is charge_id. */
extern void bj_detect_note(const Charge *charge, const CatalogPrice *price,
						   int64 charge_id);

/*
 * At the end of a statement that noted rows: error UB201 where a detector with
 * action reject finds one of them unusual.
 */
extern void bj_detect_end_statement(void);

/* Is anything noted that was not judged? */
extern bool bj_detect_noted(void);

/*
 * Before the commit, after the totals: judges and learns what was noted, and
 * writes baselines, incidents and what follows from them.
 */
extern void bj_detect_settle(void);

/* At the end of the transaction: what is noted is forgotten. */
extern void bj_detect_forget(void);

#endif							/* BILLADJ_DETECT_H */
