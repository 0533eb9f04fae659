/*
 * staterow.h
 *	  Store: a table of states, one row for each account and meter.
 *
 * Such a row is found by its key and rewritten with bytes of the same length,
 * often; little else of it changes.  Rows are read as of now (SnapshotSelf),
 * so that no isolation level makes a serialization failure of it.
 */
#ifndef BILLADJ_STATEROW_H
#define BILLADJ_STATEROW_H

#include "postgres.h"

#include "access/htup.h"
#include "datatype/timestamp.h"
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

/* What a row holds. */
typedef struct StateValue
{
	const uint8 *bytes;			/* of its state */
	int			size;
	const char *problem;		/* written unless it is NULL; never read */
	bool		elsewhere;		/* its bytes, of which it has none, are beside
								 * the total of this period and price */
	TimestampTz period_start;
	int64		price_id;
} StateValue;

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
	AttrNumber	period_start;	/* likewise, as the next */
	AttrNumber	price_id;
	int			room;			/* bytes free on a page that is not pruned */
	bool		found;
	HeapTupleData tuple;		/* on its page, pinned */
	Buffer		buffer;
	StateValue	value;			/* what it holds */
	bool		plain;			/* its bytes stand in the row as they are */
} StateTable;

/*
 * Opens with RowExclusiveLock, kept until the end of the transaction.  False
 * with *problem set if the table is missing or of another shape.
 */
extern bool bj_staterow_open(StateTable *t, BjTable table, StateMemory *memory,
							 const char **problem);
extern void bj_staterow_close(StateTable *t);

/*
 * Finds the row of a key: what it holds is in t->value until the next find, forget
 * or close.  Unless it is thorough, and so three times as dear, it may miss one
 * that is there, which is rare.
 */
extern bool bj_staterow_find(StateTable *t, KeyText account, KeyText meter,
							 bool thorough);

/* Locks the row that was found; BJ_BUSY only without wait. */
extern BjLocked bj_staterow_lock(StateTable *t, bool wait);

/* Lets go of what was found. */
extern void bj_staterow_forget(StateTable *t);

/*
 * A new version of the row that was found, or the row, if none was; waits for
 * whoever is writing it.  False if it changed meanwhile or came: find it again.
 */
extern bool bj_staterow_update(StateTable *t, const StateValue *value);
extern bool bj_staterow_create(StateTable *t, KeyText account, KeyText meter,
							   const StateValue *value);

#endif							/* BILLADJ_STATEROW_H */
