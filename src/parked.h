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

/* What is parked of rows that had no usable event key and is not settled. */
typedef struct ParkedKeyless ParkedKeyless;

/* Reads them, into the current context. */
extern ParkedKeyless *bj_parked_keyless(int64 attachment_id);

/*
 * Marks what was parked of such a row as settled: for each of its measures one
 * of the same values, if there is one.  Of two host rows that are alike it
 * does not matter whose it was.
 */
extern void bj_parked_keyless_claim(ParkedKeyless *keyless, const UsageRow *row,
									const char *resolution);

#endif							/* BILLADJ_PARKED_H */
