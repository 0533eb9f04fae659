/*
 * tiertotals.c
 *	  Store: the running totals of prices that are not linear.
 *
 * Direct table access: SPI would run under the role, the snapshot and the
 * read-only flag of whoever commits, and under REPEATABLE READ its UPDATE is a
 * serialization failure.  No constraint, trigger or policy of the table is
 * consulted; self_check() says so when a DBA added one.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/relscan.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_am.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "executor/executor.h"
#include "nodes/execnodes.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "errors.h"
#include "numericcodec.h"
#include "tables.h"
#include "tiertotals.h"

enum
{
	ACCOUNT, METER, PERIOD_START, PRICE_ID, QUANTITY, AMOUNT, ROW_COUNT, NCOLUMNS
};

static const Column columns[NCOLUMNS] = {
	{"account", TEXTOID, true}, {"meter", TEXTOID, true},
	{"period_start", TIMESTAMPTZOID, true}, {"price_id", INT8OID, true},
	{"quantity", NUMERICOID, true}, {"amount", NUMERICOID, true}, {"row_count", INT8OID, true}
};

struct TierTotals
{
	MemoryContext context;		/* of the scan, which allocates when it pleases */
	Relation	rel;
	Relation	index;
	IndexScanDesc scan;
	TupleTableSlot *slot;
	BlockNumber blocks;			/* of the table, when the scan began */
	ItemPointerData root;		/* of the row in the slot */
	Datum	   *values;			/* of a new version of it */
	AttrNumber	att[NCOLUMNS];
};

/* The primary key must be (account, meter, period_start, price_id). */
static bool
key_is_ours(Relation index, const AttrNumber *att)
{
	if (index->rd_index->indnkeyatts != 4 || !index->rd_index->indisunique)
		return false;
	for (int i = 0; i < 4; i++)
		if (index->rd_index->indkey.values[i] != att[i])
			return false;
	return true;
}

TierTotals *
bj_tiertotals_open(BjBook book, const char **problem)
{
	TierTotals *t = palloc0(sizeof(TierTotals));
	BjTable		table = book == BJ_BOOK_SHADOW ? BJ_TABLE_SHADOW_TOTAL : BJ_TABLE_TIER_TOTAL;
	Oid			pkey;

	t->rel = bj_table_open_columns(table, RowExclusiveLock, columns, NCOLUMNS,
								   t->att, problem);
	if (t->rel == NULL)
		return NULL;
	pkey = bj_compat_primary_key(t->rel);
	t->index = OidIsValid(pkey) ? try_relation_open(pkey, RowExclusiveLock) : NULL;
	if (t->index == NULL || !key_is_ours(t->index, t->att) ||
		t->rel->rd_rel->relam != HEAP_TABLE_AM_OID)
	{
		*problem = psprintf("table billadj.%s does not have the primary key that this library knows",
							bj_table_name(table));
		if (t->index != NULL)
			relation_close(t->index, NoLock);
		table_close(t->rel, NoLock);
		return NULL;
	}
	*problem = NULL;
	t->context = CurrentMemoryContext;
	t->values = palloc(RelationGetNumberOfAttributes(t->rel) * sizeof(Datum));
	return t;
}

void
bj_tiertotals_close(TierTotals *t)
{
	if (t->scan != NULL)
	{
		index_endscan(t->scan);
		ExecDropSingleTupleTableSlot(t->slot);
	}
	index_close(t->index, NoLock);
	table_close(t->rel, NoLock);
}

static Oid
filenode(TierTotals *t)
{
	return bj_compat_filenode(t->rel);
}

static void
begin_scan(TierTotals *t)
{
	if (t->scan != NULL)
		return;
	t->slot = table_slot_create(t->rel, NULL);
	t->blocks = RelationGetNumberOfBlocks(t->rel);
	t->scan = bj_compat_index_beginscan(t->rel, t->index, SnapshotSelf, 4);
}

static bool
slot_key_is(TierTotals *t, const TotalKey *key)
{
	bool		isnull;
	KeyText		text;

	if (DatumGetTimestampTz(slot_getattr(t->slot, t->att[PERIOD_START], &isnull)) != key->period_start ||
		DatumGetInt64(slot_getattr(t->slot, t->att[PRICE_ID], &isnull)) != key->price_id)
		return false;
	bj_key_text(TEXTOID, slot_getattr(t->slot, t->att[ACCOUNT], &isnull), &text);
	if (!bj_key_equal(text, key->account))
		return false;
	bj_key_text(TEXTOID, slot_getattr(t->slot, t->att[METER], &isnull), &text);
	return bj_key_equal(text, key->meter);
}

/*
 * Where this session last found some keys: a descent of the index costs 13
 * thousand instructions, and sessions come back to the same accounts.  Only a
 * hint: whatever is found there must be the row of the key.
 */
#define PLACES_KEPT 2048

typedef struct Place
{
	uint64		hash;
	Oid			filenode;		/* InvalidOid: empty */
	ItemPointerData root;
} Place;

static Place places[PLACES_KEPT];

static uint64
key_hash(const TotalKey *key)
{
	uint64		seed = (uint64) key->price_id ^ (uint64) key->period_start;

	seed = hash_bytes_extended((const unsigned char *) key->account.data, key->account.length, seed);
	return hash_bytes_extended((const unsigned char *) key->meter.data, key->meter.length, seed);
}

/*
 * Is the row still where it was?  Spares the descent of the index.  It must be
 * the root of the chain: from a heap-only version no chain is followed.
 */
static bool
fetch_hint(TierTotals *t, const TotalKey *key, ItemPointerData root, Oid node)
{
	ItemPointerData tid = root;
	bool		again = false;

	/* VACUUM may have cut the table since, though not since our lock */
	if (!ItemPointerIsValid(&root) || node != filenode(t) ||
		ItemPointerGetBlockNumber(&root) >= t->blocks)
		return false;
	t->root = root;
	return table_index_fetch_tuple(t->scan->xs_heapfetch, &tid, SnapshotSelf,
								   t->slot, &again, NULL) &&
		slot_key_is(t, key);
}

static bool
fetch_key(TierTotals *t, const TotalKey *key)
{
	ScanKeyData keys[4];
	ItemPointer tid;

	ScanKeyEntryInitialize(&keys[0], 0, 1, BTEqualStrategyNumber, InvalidOid,
						   C_COLLATION_OID, F_TEXTEQ, key->account.datum);
	ScanKeyEntryInitialize(&keys[1], 0, 2, BTEqualStrategyNumber, InvalidOid,
						   C_COLLATION_OID, F_TEXTEQ, key->meter.datum);
	ScanKeyInit(&keys[2], 3, BTEqualStrategyNumber, F_TIMESTAMPTZ_EQ,
				TimestampTzGetDatum(key->period_start));
	ScanKeyInit(&keys[3], 4, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(key->price_id));
	index_rescan(t->scan, keys, 4, NULL, 0);
	while ((tid = index_getnext_tid(t->scan, ForwardScanDirection)) != NULL)
	{
		t->root = *tid;			/* the fetch moves it to the version it finds */
		if (index_fetch_heap(t->scan, t->slot))
			return true;
	}
	return false;
}

bool
bj_tiertotals_find(TierTotals *t, const TotalKey *key, const TotalRow *hint,
				   TotalRow *row, BjStatus *status)
{
	MemoryContext old = MemoryContextSwitchTo(t->context);
	bool		isnull;
	bool		found;

	*status = BJ_OK;
	begin_scan(t);
	if (hint != NULL)
		found = fetch_hint(t, key, hint->root, hint->filenode) || fetch_key(t, key);
	else
	{
		uint64		hash = key_hash(key);
		Place	   *place = &places[hash % PLACES_KEPT];

		found = place->hash == hash && fetch_hint(t, key, place->root, place->filenode);
		if (!found && (found = fetch_key(t, key)))
			*place = (Place) {hash, filenode(t), t->root};
	}
	MemoryContextSwitchTo(old);
	if (!found)
	{
		ExecClearTuple(t->slot);
		return false;
	}
	*status = bj_numeric_read(slot_getattr(t->slot, t->att[QUANTITY], &isnull), &row->quantity);
	if (*status == BJ_OK)
		*status = bj_numeric_read(slot_getattr(t->slot, t->att[AMOUNT], &isnull), &row->amount);
	row->rows = DatumGetInt64(slot_getattr(t->slot, t->att[ROW_COUNT], &isnull));
	row->tid = t->slot->tts_tid;
	row->root = t->root;
	row->filenode = filenode(t);
	return true;
}

bool
bj_tiertotals_update(TierTotals *t, const TotalRow *old, const TotalRow *row)
{
	TupleDesc	desc = RelationGetDescr(t->rel);
	char		quantity[BJ_NUMERIC_SIZE] pg_attribute_aligned(MAXIMUM_ALIGNOF);
	char		amount[BJ_NUMERIC_SIZE] pg_attribute_aligned(MAXIMUM_ALIGNOF);
	HeapTuple	tuple;
	BjIndexing	indexing;
	ItemPointerData tid = old->tid;

	/* the slot still holds the row that find() returned */
	slot_getallattrs(t->slot);
	memcpy(t->values, t->slot->tts_values, desc->natts * sizeof(Datum));
	t->values[t->att[QUANTITY] - 1] = bj_numeric_write(row->quantity, quantity);
	t->values[t->att[AMOUNT] - 1] = bj_numeric_write(row->amount, amount);
	t->values[t->att[ROW_COUNT] - 1] = Int64GetDatum(row->rows);
	tuple = heap_form_tuple(desc, t->values, t->slot->tts_isnull);
	tuple->t_tableOid = RelationGetRelid(t->rel);

	switch (bj_compat_update(t->rel, &tid, tuple, GetCurrentCommandId(true), &indexing))
	{
		case TM_Ok:
			bj_table_index(t->rel, tuple, indexing);
			heap_freetuple(tuple);
			return true;
		case TM_Updated:
		case TM_Deleted:
			heap_freetuple(tuple);
			return false;
		default:
			elog(ERROR, "a total was written twice in one command");
	}
	return false;
}

static void
fill_row(TierTotals *t, const TotalKey *key, const TotalRow *row, TupleTableSlot *slot)
{
	ExecClearTuple(slot);
	memset(slot->tts_isnull, true, slot->tts_tupleDescriptor->natts);
	for (int i = 0; i < NCOLUMNS; i++)
		slot->tts_isnull[t->att[i] - 1] = false;
	slot->tts_values[t->att[ACCOUNT] - 1] = key->account.datum;
	slot->tts_values[t->att[METER] - 1] = key->meter.datum;
	slot->tts_values[t->att[PERIOD_START] - 1] = TimestampTzGetDatum(key->period_start);
	slot->tts_values[t->att[PRICE_ID] - 1] = Int64GetDatum(key->price_id);
	slot->tts_values[t->att[QUANTITY] - 1] = bj_numeric_make(row->quantity, 0);
	slot->tts_values[t->att[AMOUNT] - 1] = bj_numeric_make(row->amount, 0);
	slot->tts_values[t->att[ROW_COUNT] - 1] = Int64GetDatum(row->rows);
	ExecStoreVirtualTuple(slot);
}

/*
 * What INSERT … ON CONFLICT DO NOTHING does: a speculative insertion, so that
 * two creators of one key meet in the index and one of them looks again.
 */
static bool
insert_speculatively(TierTotals *t, ResultRelInfo *rri, TupleTableSlot *slot, EState *estate)
{
	ItemPointerData conflict;
	bool		met = false;
	uint32		token;

	if (!bj_compat_check_index_constraints(rri, slot, estate, &conflict))
		return false;			/* it waited for a creator in progress */
	token = SpeculativeInsertionLockAcquire(GetCurrentTransactionId());
	table_tuple_insert_speculative(t->rel, slot, GetCurrentCommandId(true), 0, NULL, token);
	bj_compat_insert_index_tuples(rri, slot, estate, &met, BJ_INDEX_ALL);
	table_tuple_complete_speculative(t->rel, slot, token, !met);
	SpeculativeInsertionLockRelease(GetCurrentTransactionId());
	return !met;
}

bool
bj_tiertotals_create(TierTotals *t, const TotalKey *key, const TotalRow *row)
{
	EState	   *estate = CreateExecutorState();
	ResultRelInfo *rri = makeNode(ResultRelInfo);
	TupleTableSlot *slot = table_slot_create(t->rel, NULL);
	bool		done;

	InitResultRelInfo(rri, t->rel, 1, NULL, 0);
	ExecOpenIndices(rri, true);
	fill_row(t, key, row, slot);
	done = insert_speculatively(t, rri, slot, estate);
	ExecCloseIndices(rri);
	ExecDropSingleTupleTableSlot(slot);
	FreeExecutorState(estate);
	return done;
}
