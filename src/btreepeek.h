/*
 * btreepeek.h
 *	  Where a btree index has a key, read off its pages.
 */
#ifndef BILLADJ_BTREEPEEK_H
#define BILLADJ_BTREEPEEK_H

#include "postgres.h"

#include "storage/block.h"
#include "storage/buf.h"
#include "storage/itemptr.h"
#include "utils/relcache.h"

#include "keytext.h"

/* The only kind of key: two texts, then two bigints (or times), or none. */
typedef struct PeekKey
{
	KeyText		texts[2];
	int64		numbers[2];
	int			nnumbers;
} PeekKey;

/* Where to begin in one index; all zeros before the first look. */
typedef struct PeekRoot
{
	Oid			filenode;
	BlockNumber block;
	uint32		level;
	Buffer		recent[32];		/* of its inner pages, by block number */
	BlockNumber leaf;			/* where the last look ended; 0: nowhere */
	Buffer		leaf_recent;
} PeekRoot;

/* Is the index of this kind, with the order that is compared by here? */
extern bool bj_btreepeek_usable(Relation index, int nnumbers);

/*
 * Finds the first entry of the key in a usable index; *tid is the row it
 * points to, which may be dead while a later entry is not: after an update
 * that was not heap-only.  What it finds is a hint: the caller looks at the row,
 * and where that is not his, at the index by a scan.  It may miss an entry while pages are split or deleted, so false
 * proves nothing.  Takes no predicate locks.  The caller holds a lock on the
 * table and has the index open.
 */
extern bool bj_btreepeek_find(Relation index, PeekRoot *root,
							  const PeekKey *key, ItemPointer tid);

#endif							/* BILLADJ_BTREEPEEK_H */
