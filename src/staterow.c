/*
 * staterow.c
 *	  Store: a table of states, one row for each account and meter.
 *
 * Direct table access, for the reasons that tiertotals.c gives: SPI would run
 * under the role, the snapshot and the read-only flag of whoever commits.
 *
 * A row that this session has seen before is looked for where it was: that
 * spares the way down an index.  Whatever is found there must have the key.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/relscan.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_am.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "executor/tuptable.h"
#include "storage/bufmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "staterow.h"

#define NHINTS 8192				/* a power of two; 160 kB */

enum
{
	ACCOUNT, METER, STATE, PROBLEM, PERIOD_START = PROBLEM, PRICE_ID, NCOLUMNS
};

static const Column baseline_columns[] = {
	{"account", TEXTOID, true}, {"meter", TEXTOID, true}, {"state", BYTEAOID, true},
	{"problem", TEXTOID}
};

static const Column bucket_columns[] = {
	{"account", TEXTOID, true}, {"meter", TEXTOID, true}, {"state", BYTEAOID, true},
	{"period_start", TIMESTAMPTZOID}, {"price_id", INT8OID}
};

/* ---- opening ---- */

static bool
key_is_ours(Relation index, const StateTable *t)
{
	return index->rd_index->indisunique && bj_btreepeek_usable(index, 0) &&
		index->rd_index->indkey.values[0] == t->account &&
		index->rd_index->indkey.values[1] == t->meter;
}

static Relation
open_key(const StateTable *t)
{
	Oid			pkey = bj_compat_primary_key(t->rel);
	Relation	index = OidIsValid(pkey) ? bj_relation_open_kept(pkey, RowExclusiveLock) : NULL;

	if (index == NULL || key_is_ours(index, t))
		return index;
	relation_close(index, NoLock);
	return NULL;
}

bool
bj_staterow_open(StateTable *t, BjTable table, StateMemory *memory, const char **problem)
{
	bool		wide = table == BJ_TABLE_BASELINE;
	AttrNumber	att[NCOLUMNS] = {0};

	memset(t, 0, sizeof(*t));
	t->rel = wide ?
		bj_table_open_columns(table, RowExclusiveLock, baseline_columns, lengthof(baseline_columns), att, problem) :
		bj_table_open_columns(table, RowExclusiveLock, bucket_columns, lengthof(bucket_columns), att, problem);
	if (t->rel == NULL)
		return false;
	t->account = att[ACCOUNT];
	t->meter = att[METER];
	t->state = att[STATE];
	t->problem = wide ? att[PROBLEM] : 0;
	t->period_start = wide ? 0 : att[PERIOD_START];
	t->price_id = wide ? 0 : att[PRICE_ID];
	t->memory = memory;
	/* two more versions of a wide row, a dozen of a narrow one */
	t->room = wide ? BLCKSZ / 2 : BLCKSZ / 4;
	t->index = t->rel->rd_rel->relam == HEAP_TABLE_AM_OID ? open_key(t) : NULL;
	if (t->index != NULL)
	{
		if (memory->hints == NULL)
			memory->hints = MemoryContextAllocZero(TopMemoryContext, NHINTS * sizeof(StateHint));
		return true;
	}
	*problem = psprintf("table billadj.%s does not have the primary key that this library knows",
						bj_table_name(table));
	table_close(t->rel, NoLock);
	t->rel = NULL;
	return false;
}

void
bj_staterow_forget(StateTable *t)
{
	if (t->found)
		ReleaseBuffer(t->buffer);
	t->found = false;
}

void
bj_staterow_close(StateTable *t)
{
	if (t->rel == NULL)
		return;
	bj_staterow_forget(t);
	index_close(t->index, NoLock);
	table_close(t->rel, NoLock);
	t->rel = NULL;
}

/* ---- finding ---- */

static bool
is_key(Datum value, KeyText key)
{
	return VARSIZE_ANY_EXHDR(DatumGetPointer(value)) == key.length &&
		memcmp(VARDATA_ANY(DatumGetPointer(value)), key.data, key.length) == 0;
}

/* Takes the tuple, if it is the key's; its buffer is pinned. */
static bool
take_tuple(StateTable *t, KeyText account, KeyText meter)
{
	TupleDesc	desc = RelationGetDescr(t->rel);
	bool		isnull;
	bool		has_place = t->period_start != 0;
	struct varlena *state;

	if (!is_key(heap_getattr(&t->tuple, t->account, desc, &isnull), account) ||
		!is_key(heap_getattr(&t->tuple, t->meter, desc, &isnull), meter))
		return false;
	state = (struct varlena *) DatumGetPointer(heap_getattr(&t->tuple, t->state, desc, &isnull));
	t->plain = VARATT_IS_4B_U(state);
	if (!t->plain)
		state = pg_detoast_datum_packed(state);
	memset(&t->value, 0, sizeof(t->value));
	t->value.bytes = (uint8 *) VARDATA_ANY(state);
	t->value.size = VARSIZE_ANY_EXHDR(state);
	if (has_place)
	{
		t->value.period_start = DatumGetTimestampTz(heap_getattr(&t->tuple, t->period_start, desc, &isnull));
		t->value.elsewhere = !isnull;
	}
	if (t->value.elsewhere)
	{
		t->value.price_id = DatumGetInt64(heap_getattr(&t->tuple, t->price_id, desc, &isnull));
		t->value.elsewhere = !isnull;
	}
	return true;
}

/* The version now valid of the row whose chain begins at root; buffer is pinned. */
static bool
fetch_from(StateTable *t, Buffer buffer, ItemPointerData root, KeyText account, KeyText meter)
{
	bool		found;

	/* as an index scan would, but not each time: see tiertotals.c */
	if (PageGetHeapFreeSpace(BufferGetPage(buffer)) < t->room)
		heap_page_prune_opt(t->rel, buffer);
	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	t->tuple.t_self = root;
	found = heap_hot_search_buffer(&t->tuple.t_self, t->rel, buffer, SnapshotSelf,
								   &t->tuple, NULL, true);
	LockBuffer(buffer, BUFFER_LOCK_UNLOCK);
	t->buffer = buffer;
	t->found = found && take_tuple(t, account, meter);
	if (!t->found)
		ReleaseBuffer(buffer);
	return t->found;
}

static bool
fetch_at(StateTable *t, ItemPointerData root, KeyText account, KeyText meter)
{
	return fetch_from(t, ReadBuffer(t->rel, ItemPointerGetBlockNumber(&root)), root, account, meter);
}

static bool
find_by_hint(StateTable *t, StateHint *hint, KeyText account, KeyText meter)
{
	BlockNumber block = ItemPointerGetBlockNumberNoCheck(&hint->tid);
	Buffer		buffer = hint->buffer;

	if (!bj_compat_read_recent(t->rel, block, buffer))
	{
		/* VACUUM may have cut it off */
		if (block >= RelationGetNumberOfBlocks(t->rel))
			return false;
		buffer = ReadBuffer(t->rel, block);
	}
	return fetch_from(t, buffer, hint->tid, account, meter);
}

/* By an index scan: sees whatever is there. */
static bool
find_by_scan(StateTable *t, KeyText account, KeyText meter, ItemPointer root)
{
	ScanKeyData keys[2];
	IndexScanDesc scan = bj_compat_index_beginscan(t->rel, t->index, SnapshotSelf, 2);
	ItemPointer tid;
	bool		found = false;

	ScanKeyEntryInitialize(&keys[0], 0, 1, BTEqualStrategyNumber, InvalidOid,
						   C_COLLATION_OID, F_TEXTEQ, account.datum);
	ScanKeyEntryInitialize(&keys[1], 0, 2, BTEqualStrategyNumber, InvalidOid,
						   C_COLLATION_OID, F_TEXTEQ, meter.datum);
	index_rescan(scan, keys, 2, NULL, 0);
	while (!found && (tid = index_getnext_tid(scan, ForwardScanDirection)) != NULL)
	{
		*root = *tid;
		found = fetch_at(t, *tid, account, meter);
	}
	index_endscan(scan);
	return found;
}

bool
bj_staterow_find(StateTable *t, KeyText account, KeyText meter, bool thorough)
{
	uint32		hash = hash_combine(hash_bytes((const unsigned char *) account.data, account.length),
									hash_bytes((const unsigned char *) meter.data, meter.length));
	StateHint  *hint = &t->memory->hints[hash & (NHINTS - 1)];
	PeekKey		key = {{account, meter}};
	ItemPointerData tid;
	bool		entry;

	bj_staterow_forget(t);
	if (hint->hash == hash && hint->filenode == bj_compat_filenode(t->rel) && !thorough)
	{
		/* it was not there, and its owner would know if it should be */
		if (!ItemPointerIsValid(&hint->tid))
			return false;
		if (find_by_hint(t, hint, account, meter))
			return true;
	}
	entry = bj_btreepeek_find(t->index, &t->memory->root, &key, &tid);
	if (!(entry && fetch_at(t, tid, account, meter)) &&
		!((thorough || entry) && find_by_scan(t, account, meter, &tid)))
	{
		*hint = (StateHint) {hash, bj_compat_filenode(t->rel)};
		ItemPointerSetInvalid(&hint->tid);
		return false;
	}
	*hint = (StateHint) {hash, bj_compat_filenode(t->rel), t->buffer, tid};
	return true;
}

/* ---- writing ---- */

BjLocked
bj_staterow_lock(StateTable *t, bool wait)
{
	/* who makes it is told when it is there */
	return t->found ? bj_table_lock(t->rel, t->tuple.t_self, wait) : BJ_LOCKED;
}

/* The row as it was with other bytes in their place. */
static HeapTuple
copy_with_bytes(StateTable *t, const StateValue *value)
{
	HeapTuple	tuple = heap_copytuple(&t->tuple);

	memcpy((char *) tuple->t_data + ((char *) t->value.bytes - (char *) t->tuple.t_data),
		   value->bytes, value->size);
	return tuple;
}

/* What changes of a row's columns. */
static void
fill(StateTable *t, const StateValue *value, Datum *values, bool *isnull)
{
	bytea	   *state = palloc(VARHDRSZ + value->size);

	SET_VARSIZE(state, VARHDRSZ + value->size);
	if (value->size > 0)
		memcpy(VARDATA(state), value->bytes, value->size);
	values[t->state - 1] = PointerGetDatum(state);
	isnull[t->state - 1] = false;
	if (value->problem != NULL)
	{
		values[t->problem - 1] = CStringGetTextDatum(value->problem);
		isnull[t->problem - 1] = false;
	}
	if (t->period_start != 0)
	{
		values[t->period_start - 1] = TimestampTzGetDatum(value->period_start);
		values[t->price_id - 1] = Int64GetDatum(value->price_id);
		isnull[t->period_start - 1] = isnull[t->price_id - 1] = !value->elsewhere;
	}
}

static HeapTuple
form_anew(StateTable *t, const StateValue *value)
{
	TupleDesc	desc = RelationGetDescr(t->rel);
	Datum	   *values = palloc(desc->natts * sizeof(Datum));
	bool	   *isnull = palloc(desc->natts * sizeof(bool));
	HeapTuple	tuple;

	heap_deform_tuple(&t->tuple, desc, values, isnull);
	fill(t, value, values, isnull);
	tuple = heap_form_tuple(desc, values, isnull);
	tuple->t_tableOid = RelationGetRelid(t->rel);
	return tuple;
}

bool
bj_staterow_update(StateTable *t, const StateValue *value)
{
	bool		in_place = t->plain && t->value.size == value->size && value->problem == NULL &&
		!t->value.elsewhere && !value->elsewhere;
	HeapTuple	tuple = in_place ? copy_with_bytes(t, value) : form_anew(t, value);
	BjIndexing	indexing;
	TM_Result	result = bj_compat_update(t->rel, &t->tuple.t_self, tuple,
										  GetCurrentCommandId(true), &indexing);

	if (result != TM_Ok && result != TM_Updated && result != TM_Deleted)
		elog(ERROR, "a state was written twice in one command");
	if (result == TM_Ok)
		bj_table_index(t->rel, tuple, indexing);
	heap_freetuple(tuple);
	bj_staterow_forget(t);
	return result == TM_Ok;
}

bool
bj_staterow_create(StateTable *t, KeyText account, KeyText meter, const StateValue *value)
{
	TupleTableSlot *slot = table_slot_create(t->rel, NULL);
	bool		done;

	bj_staterow_forget(t);
	ExecClearTuple(slot);
	memset(slot->tts_isnull, true, slot->tts_tupleDescriptor->natts);
	slot->tts_values[t->account - 1] = account.datum;
	slot->tts_values[t->meter - 1] = meter.datum;
	slot->tts_isnull[t->account - 1] = slot->tts_isnull[t->meter - 1] = false;
	fill(t, value, slot->tts_values, slot->tts_isnull);
	ExecStoreVirtualTuple(slot);
	done = bj_table_create(t->rel, slot);
	ExecDropSingleTupleTableSlot(slot);
	return done;
}
