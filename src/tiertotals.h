/*
 * tiertotals.h
 *	  Store: the running totals of prices that are not linear.
 *
 * Rows are read as of now (SnapshotSelf), never by a transaction's snapshot:
 * such reads leave no predicate locks, and what they see is only a guess until
 * a row is updated or created.
 */
#ifndef BILLADJ_TIERTOTALS_H
#define BILLADJ_TIERTOTALS_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "access/htup.h"
#include "storage/buf.h"

#include "core/decimal.h"
#include "keytext.h"
#include "tables.h"

typedef struct TotalKey
{
	BjBook		book;
	KeyText		account;
	KeyText		meter;
	TimestampTz period_start;
	int64		price_id;
} TotalKey;

/*
 * bucket: the head of the baseline of the account and meter, if this is the
 * total that has it; see baselines.h.
 */
typedef struct TotalRow
{
	Decimal		quantity;
	Decimal		amount;
	int64		rows;
	const char *bucket;			/* in version, when it was read */
	int			bucket_size;	/* 0: it has none */
	HeapTuple	version;		/* a copy of what was found; or NULL */
	Size		fixed_size;		/* its bytes up to the end of the meter */
	Buffer		buffer;			/* where its page was */
	Oid			filenode;		/* the file that its t_self is an address in */
} TotalRow;

typedef struct TierTotals TierTotals;

/*
 * Opens the table with RowExclusiveLock, kept until the end of the transaction.
 * NULL with *problem set if it is missing or of another shape.  Everything is
 * allocated in the current context.
 */
extern TierTotals *bj_tiertotals_open(BjBook book, const char **problem);

/*
 * Opens the primary key too, likewise, unless it is open.  To be called before
 * a row is looked for or made; not for an update of one that was found.
 */
extern bool bj_tiertotals_can_find(TierTotals *totals, const char **problem);

extern void bj_tiertotals_close(TierTotals *totals);

/* For looking a key up; of this process, never stored. */
extern uint32 bj_tiertotals_hash(const TotalKey *key);

/*
 * Looks the row up, hash being that of its key.  False if there is none now, or
 * unless it is thorough, and so ten times as dear, if it was missed, which is
 * rare.  row->version is allocated in the current context.  *status is not
 * BJ_OK when the row holds what we cannot.
 */
extern bool bj_tiertotals_find(TierTotals *totals, const TotalKey *key,
							   uint32 hash, bool thorough, TotalRow *row,
							   BjStatus *status);

/*
 * Writes a new version of the row found, however long ago in this transaction;
 * waits for whoever is writing it.  False if it changed meanwhile: find it
 * again.  Otherwise row->version becomes the new one, allocated likewise.
 */
extern bool bj_tiertotals_update(TierTotals *totals, const TotalRow *old,
								 TotalRow *row);

/* Locks the row found, without waiting. */
extern BjLocked bj_tiertotals_lock_now(TierTotals *totals, const TotalRow *row);

/* What the row points to becomes a copy in the current context. */
extern void bj_tiertotals_keep(TierTotals *totals, TotalRow *row);

/* Makes the row, without a bucket; false if somebody else was first: find it. */
extern bool bj_tiertotals_create(TierTotals *totals, const TotalKey *key,
								 const TotalRow *row);

#endif							/* BILLADJ_TIERTOTALS_H */
