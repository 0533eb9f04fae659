/*
 * decisionguard.h
 *	  What happens when a decision is inserted: before the row is stored all
 *	  checks, after it what follows from it.
 */
#ifndef BILLADJ_DECISIONGUARD_H
#define BILLADJ_DECISIONGUARD_H

#include "postgres.h"

#include "access/htup.h"
#include "utils/relcache.h"

/* The row with all that its author does not say; an error if it is refused. */
extern HeapTuple bj_decision_check(Relation rel, HeapTuple tuple);

/* Limits, log, state; applies the request with the last approval. */
extern void bj_decision_stored(Relation rel, HeapTuple tuple);

#endif							/* BILLADJ_DECISIONGUARD_H */
