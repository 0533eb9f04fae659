/*
 * parked.h
 *	  Store: usage that could not be rated.
 */
#ifndef BILLADJ_PARKED_H
#define BILLADJ_PARKED_H

#include "postgres.h"

#include "usagerow.h"

/* Keeps a measure of a row with its fault; false if the table is missing. */
extern bool bj_parked_add(const UsageRow *row, const UsageMeasure *measure,
						  const Fault *fault);

/*
 * Marks what is parked of an event key as settled ("deleted" or "replaced")
 * and returns how many rows that were.  Waits for a retry in progress; what it
 * rated is then visible as charges.
 */
extern int	bj_parked_claim(int64 attachment_id, KeyText event_key,
							const char *resolution);

/* Is anything parked of an event key and not settled yet? */
extern bool bj_parked_has(int64 attachment_id, KeyText event_key);

#endif							/* BILLADJ_PARKED_H */
