/*
 * staterow.h
 *	  Store: a table of states, one row for each account and meter.
 *
 * Such a row is found by its key and rewritten with bytes of the same length,
 * often; nothing else of it changes.  Rows are read as of now (SnapshotSelf),
 * so that no isolation level makes a serialization failure of it.
 */
#ifndef BILLADJ_STATEROW_H
#define BILLADJ_STATEROW_H

#include "postgres.h"

#include "access/htup.h"
#include "storage/buf.h"
#include "utils/relcache.h"

#include "btreepeek.h"
#include "keytext.h"
#include "tables.h"

/*
 * Where the rows of some keys were seen last, or that there was none: a guess.
 * What is there must have the key; that none is there must not be relied on.
 */
typedef struct StateHint
{
	uint32		hash;			/* of the key */
	Oid			filenode;
	Buffer		buffer;
	ItemPointerData tid;		/* where the row's chain begins; invalid: none */
} StateHint;

/* Of one table; all zeros before its first use. */
typedef struct StateMemory
{
	PeekRoot	root;
	StateHint  *hints;			/* NULL before the first use */
} StateMemory;

/* A table that is open, and the row that was found last. */
typedef struct StateTable
{
	Relation	rel;			/* NULL: not open */
	Relation	index;
	StateMemory *memory;
	AttrNumber	account;
	AttrNumber	meter;
	AttrNumber	state;
	AttrNumber	problem;		/* 0: the table has no such column */
	int			room;			/* bytes free on a page that is not pruned */
	bool		found;
	HeapTupleData tuple;		/* on its page, pinned */
	Buffer		buffer;
	char	   *bytes;			/* of its state */
	int			size;
	bool		plain;			/* they stand in the row as they are */
} StateTable;

/*
 * Opens with RowExclusiveLock, kept until the end of the transaction.  False
 * with *problem set if the table is missing or of another shape.
 */
extern bool bj_staterow_open(StateTable *t, BjTable table, StateMemory *memory,
							 const char **problem);
extern void bj_staterow_close(StateTable *t);

/*
 * Finds the row of a key: its bytes are in t->bytes until the next find, forget
 * or close.  Unless it is thorough, and so three times as dear, it may miss one
 * that is there, which is rare.
 */
extern bool bj_staterow_find(StateTable *t, KeyText account, KeyText meter,
							 bool thorough);

/* Lets go of what was found. */
extern void bj_staterow_forget(StateTable *t);

/*
 * A new version of the row that was found, or the row, if none was; waits for
 * whoever is writing it.  problem: for its column; NULL: as it was.  False if
 * it changed meanwhile or came: find it again.
 */
extern bool bj_staterow_update(StateTable *t, const uint8 *bytes, int size,
							   const char *problem);
extern bool bj_staterow_create(StateTable *t, KeyText account, KeyText meter,
							   const uint8 *bytes, int size);

#endif							/* BILLADJ_STATEROW_H */
