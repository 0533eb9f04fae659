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
#include "tiertotals.h"

extern void bj_detect_init(void);

/* Are rows to be noted?  Asked once a statement; reads detectors. */
extern bool bj_detect_begin(void);

/* What a transaction has noted of an account and meter; until its end. */
typedef struct DetectStream DetectStream;

/*
 * Where whoever keeps a key until the end of the transaction keeps the stream
 * of its account and meter too.
 */
typedef struct DetectSlot
{
	const TotalKey *key;
	DetectStream *stream;		/* NULL until one of its rows is noted */
} DetectSlot;

/* Notes a charge of cause usage, whose number is charge_id; slot: or NULL. */
extern void bj_detect_note(const Charge *charge, const CatalogPrice *price,
						   int64 charge_id, DetectSlot *slot);

/*
 * At the end of a statement that noted rows: error UB201 where a detector with
 * action reject finds one of them unusual.
 */
extern void bj_detect_end_statement(void);

/* Is anything noted that was not judged? */
extern bool bj_detect_noted(void);

/*
 * Before the commit: first bj_detect_order(), then the totals, of which some
 * have the head of a stream's baseline beside them, then bj_detect_settle().
 * Streams are valid until then.
 *
 * Whoever meets streams in the order in which totals are locked places them
 * one by one; false if nothing was noted of one.  Those that are left are then
 * placed among them, in *n and in the same order.
 */
extern void bj_detect_order(void);
extern bool bj_detect_place(DetectStream *stream);
extern DetectStream **bj_detect_place_rest(int *n);

/* Account and meter of a stream, and nothing else of the key. */
extern TotalKey bj_detect_key(const DetectStream *stream);

/*
 * True if the head of the stream stands beside a total, whose key is then
 * *key.  again: it is not where it was seen.
 */
extern bool bj_detect_beside(const DetectStream *stream, bool again, TotalKey *key);

/* Locks the stream, if it is another row that is its lock: before any total. */
extern bool bj_detect_lock(const DetectStream *stream, TotalKey *key);

/*
 * For a total of the stream that is about to be written and has the head; alone:
 * no other total of the stream is written.  True if row->bucket is now what it
 * is after all of the stream's rows, valid until the next call: then the total
 * is to be written as it is, or this to be called again, before anything else.
 */
extern bool bj_detect_absorb(DetectStream *stream, const TotalKey *key, bool alone,
							 TotalRow *row);

/*
 * A total of the stream was written and is locked; had_head: it has the head;
 * settled: with what bj_detect_absorb() made of it, which is then kept.  Totals
 * come in their order.
 */
extern void bj_detect_hold(DetectStream *stream, TierTotals *totals, const TotalKey *key,
						   const TotalRow *row, bool had_head, bool settled);

/*
 * After the totals: judges and learns what is left of what was noted, and
 * writes baselines, incidents and what follows from them.
 */
extern void bj_detect_settle(void);

/* At the end of the transaction: what is noted is forgotten. */
extern void bj_detect_forget(void);

#endif							/* BILLADJ_DETECT_H */
