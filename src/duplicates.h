/*
 * duplicates.h
 *	  Rows that seem to repeat others: looked up before anything is said of them.
 *
 * The baseline knows the last rows of a stream by a few bits each, so that one
 * late row in some thousands looks like another by chance.
 */
#ifndef BILLADJ_DUPLICATES_H
#define BILLADJ_DUPLICATES_H

#include "postgres.h"

#include "anomalies.h"
#include "incidents.h"

/* What the rows of a transaction seem to repeat.  Lives in its own context. */
extern Duplicates *bj_duplicates_begin(MemoryContext context);

/* Takes over what was noted in in->repeats, if anything was. */
extern void bj_duplicates_add(Duplicates *duplicates, const Incidents *in);

/*
 * Looks all of them up at once and opens the incidents of those that are true,
 * or that the charges at hand cannot tell of.  Whoever calls has written the
 * baselines of their streams.
 */
extern void bj_duplicates_settle(Duplicates *duplicates, Anomalies *store);

/* Is it certain that the row repeats another one? */
extern bool bj_duplicates_sure(KeyText account, KeyText meter, const DetectRow *row);

#endif							/* BILLADJ_DUPLICATES_H */
