/*
 * requestguard.h
 *	  What happens when a request is inserted or updated: before the row is
 *	  stored all checks, after it what follows from it.
 */
#ifndef BILLADJ_REQUESTGUARD_H
#define BILLADJ_REQUESTGUARD_H

#include "postgres.h"

#include "access/htup.h"
#include "utils/relcache.h"

/* The row with all that its author does not say; an error if it is refused. */
extern HeapTuple bj_request_check_insert(Relation rel, HeapTuple tuple);
extern HeapTuple bj_request_check_update(Relation rel, HeapTuple old, HeapTuple tuple);

/* Log, limits, messages; applies a request that needs nobody. */
extern void bj_request_stored(Relation rel, HeapTuple tuple);

#endif							/* BILLADJ_REQUESTGUARD_H */
