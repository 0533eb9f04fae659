/*
 * baselines.h
 *	  Store: what is usual for each stream.
 *
 * Rows are read as of now (SnapshotSelf) and written at commit only, so that
 * no isolation level makes a serialization failure of it.
 *
 * A stream that is judged by buckets has two rows.  The head of its baseline is
 * rewritten with each usage row; billadj.baseline has all of it, as it was when
 * the bucket began.  The head stands in billadj.open_bucket or, under a price
 * that is not linear, beside a total in billadj.tier_total, which is written at
 * the same commits: then open_bucket says beside which one.  It moves on to
 * totals of later periods and prices, in the order in which totals are locked,
 * and never back; so whoever locks totals in that order meets it.
 *
 * The row that has the head is the lock of the stream; that of billadj.baseline
 * for a stream that is judged row by row and whose head stands beside no total.
 * Whoever locks totals and streams locks the rows of open_bucket and baseline
 * that are locks first, in the order of the streams, then totals in theirs: a
 * head never leaves the totals, so that nobody finds a lock of the first kind
 * when he has one of the second already.
 */
#ifndef BILLADJ_BASELINES_H
#define BILLADJ_BASELINES_H

#include "postgres.h"

#include "core/baseline.h"
#include "keytext.h"
#include "tiertotals.h"

typedef struct Baselines Baselines;

/*
 * Opens the tables with RowExclusiveLock, kept until the end of the
 * transaction.  NULL with *problem set if one is missing or of another shape.
 */
extern Baselines *bj_baselines_open(const char **problem);
extern void bj_baselines_close(Baselines *store);

/*
 * For who mostly needs no more than the buckets: the same without
 * billadj.baseline, which bj_baselines_can_find() opens when it is needed; false
 * with *problem set if it cannot.
 */
extern Baselines *bj_baselines_open_buckets(const char **problem);
extern bool bj_baselines_can_find(Baselines *store, const char **problem);

/*
 * True if the head of a stream stands beside a total, whose key is then *key;
 * its texts are the caller's.  thorough: as below.
 */
extern bool bj_baselines_beside(Baselines *store, KeyText account, KeyText meter,
								bool thorough, TotalKey *key);

/*
 * The same, and where it does not, the stream is locked: its row is made if
 * there was none.  To be called before totals are locked.
 */
extern bool bj_baselines_lock(Baselines *store, KeyText account, KeyText meter,
							  TotalKey *key);

/* A total of the stream that this transaction has written, and so locked. */
typedef struct HeldTotal
{
	TotalKey	key;
	TotalRow	row;			/* as it is now; without a version: find it */
	const BjBaseline *head;		/* what is beside it, or what that became by
								 * bj_stream_absorb(); NULL: read it */
	uint32		absorbed;		/* how many rows are in *head */
} HeldTotal;

/*
 * For the stream that is found next: the total that has its head, and the last
 * one in their order, to which the head may move when all of the baseline is
 * written.  NULL: none is held.  To be said before each find.
 */
extern void bj_baselines_hold(Baselines *store, HeldTotal *home, HeldTotal *newest);

/*
 * Reads the head of a stream that is judged by buckets; nothing else of
 * *head is written.  False if it is not one, or if that cannot be told from
 * the head alone: then ask bj_baselines_find().  Unless it is thorough, it may
 * miss a row that is there, which is rare; writing then says false.
 */
extern bool bj_baselines_find_bucket(Baselines *store, KeyText account, KeyText meter,
									 bool thorough, BjBaseline *head);

/*
 * Writes the head that bj_baselines_find_bucket() gave, changed by
 * bj_stream_absorb() only.  False if it changed meanwhile: find it again.
 */
extern bool bj_baselines_write_bucket(Baselines *store, const BjBaseline *head);

typedef enum BaselineFound
{
	BJ_BASELINE_NONE,			/* no row: *baseline is a new one */
	BJ_BASELINE_READ,
	BJ_BASELINE_BAD				/* a row that cannot be read: likewise */
} BaselineFound;

/*
 * Reads all of a stream, thoroughly or not as above.  Until the next find or
 * the close its pages stay pinned, so that bj_baselines_write() finds the
 * versions it is about.
 */
extern BaselineFound bj_baselines_find(Baselines *store, KeyText account,
									   KeyText meter, bool thorough,
									   BjBaseline *baseline);

/*
 * Writes new versions of the rows of the stream that was found last, or makes
 * them; waits for whoever is writing it.  problem: why it was begun anew;
 * NULL: as it was.  False if it changed meanwhile: find it again.
 */
extern bool bj_baselines_write(Baselines *store, KeyText account, KeyText meter,
							   const BjBaseline *baseline, const char *problem);

/*
 * Is the head of the stream that was found last beside the total that is held,
 * and all well with it?  Then who writes the total himself, with the head of
 * *baseline, has the rest of it written here.
 */
extern bool bj_baselines_is_beside(const Baselines *store);
extern void bj_baselines_write_rest(Baselines *store, KeyText account, KeyText meter,
									const BjBaseline *baseline);

/*
 * Locks the stream that was found last, for who must not wait: he locks several
 * streams, and not in the order of those who commit usage.
 */
extern BjLocked bj_baselines_lock_now(Baselines *store);

/* CRC-32C by the server, for the core. */
extern uint32 bj_baselines_crc(const void *data, size_t size);

#endif							/* BILLADJ_BASELINES_H */
