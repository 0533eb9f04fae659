/*
 * baselines.c
 *	  Store: what is usual for each stream.
 *
 * Direct table access, for the reasons that tiertotals.c gives: SPI would run
 * under the role, the snapshot and the read-only flag of whoever commits.
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
#include "executor/tuptable.h"
#include "port/pg_crc32c.h"
#include "storage/bufmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "baselines.h"
#include "btreepeek.h"
#include "compat.h"
#include "tables.h"

enum
{
	ACCOUNT, METER, PROBLEM, STATE, NCOLUMNS
};

static const Column columns[NCOLUMNS] = {
	{"account", TEXTOID, true}, {"meter", TEXTOID, true}, {"problem", TEXTOID},
	{"state", BYTEAOID, true}
};

struct Baselines
{
	Relation	rel;
	Relation	index;
	HeapTupleData tuple;		/* of the slot */
	TupleTableSlot *slot;		/* of what was found last; it holds the pin */
	bool		found;
	Datum	   *values;			/* of a row, by attribute */
	bool	   *isnull;
	AttrNumber	att[NCOLUMNS];
};

uint32
bj_baselines_crc(const void *data, size_t size)
{
	pg_crc32c	crc;

	INIT_CRC32C(crc);
	COMP_CRC32C(crc, data, size);
	FIN_CRC32C(crc);
	return crc;
}

static bool
key_is_ours(Relation index, const AttrNumber *att)
{
	return index->rd_index->indisunique && bj_btreepeek_usable(index, 0) &&
		index->rd_index->indkey.values[0] == att[ACCOUNT] &&
		index->rd_index->indkey.values[1] == att[METER];
}

static Relation
open_key(Relation rel, const AttrNumber *att)
{
	Oid			pkey = bj_compat_primary_key(rel);
	Relation	index = OidIsValid(pkey) ? bj_relation_open_kept(pkey, RowExclusiveLock) : NULL;

	if (index == NULL || key_is_ours(index, att))
		return index;
	relation_close(index, NoLock);
	return NULL;
}

Baselines *
bj_baselines_open(const char **problem)
{
	Baselines  *s = palloc0(sizeof(Baselines));
	int			natts;

	s->rel = bj_table_open_columns(BJ_TABLE_BASELINE, RowExclusiveLock, columns,
								   NCOLUMNS, s->att, problem);
	if (s->rel == NULL)
		return NULL;
	s->index = s->rel->rd_rel->relam == HEAP_TABLE_AM_OID ? open_key(s->rel, s->att) : NULL;
	if (s->index == NULL)
	{
		*problem = "table billadj.baseline does not have the primary key that this library knows";
		table_close(s->rel, NoLock);
		return NULL;
	}
	natts = RelationGetNumberOfAttributes(s->rel);
	s->values = palloc(natts * sizeof(Datum));
	s->isnull = palloc(natts * sizeof(bool));
	s->slot = table_slot_create(s->rel, NULL);
	return s;
}

void
bj_baselines_close(Baselines *s)
{
	ExecDropSingleTupleTableSlot(s->slot);
	index_close(s->index, NoLock);
	table_close(s->rel, NoLock);
}

/* ---- finding ---- */

static bool
slot_key_is(Baselines *s, int column, KeyText key)
{
	bool		isnull;
	KeyText		text;

	bj_key_text(TEXTOID, slot_getattr(s->slot, s->att[column], &isnull), &text);
	return bj_key_equal(text, key);
}

/* The version now valid of the row whose chain begins at root, into the slot. */
static bool
fetch_at(Baselines *s, ItemPointerData root)
{
	Buffer		buffer = ReadBuffer(s->rel, ItemPointerGetBlockNumber(&root));
	bool		found;

	/* as an index scan would */
	heap_page_prune_opt(s->rel, buffer);
	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	s->tuple.t_self = root;
	found = heap_hot_search_buffer(&s->tuple.t_self, s->rel, buffer, SnapshotSelf,
								   &s->tuple, NULL, true);
	LockBuffer(buffer, BUFFER_LOCK_UNLOCK);
	if (found)
	{
		s->tuple.t_tableOid = RelationGetRelid(s->rel);
		ExecStoreBufferHeapTuple(&s->tuple, s->slot, buffer);
	}
	ReleaseBuffer(buffer);
	return found;
}

/* *entry: the index has one of the key, though its row may be dead. */
static bool
find_by_peek(Baselines *s, KeyText account, KeyText meter, bool *entry)
{
	static PeekRoot root;		/* of the index, as this session knows it */
	PeekKey		key = {{account, meter}};
	ItemPointerData tid;

	*entry = bj_btreepeek_find(s->index, &root, &key, &tid);
	return *entry && fetch_at(s, tid) &&
		slot_key_is(s, ACCOUNT, account) && slot_key_is(s, METER, meter);
}

/* By an index scan: sees whatever is there. */
static bool
find_by_scan(Baselines *s, KeyText account, KeyText meter)
{
	ScanKeyData keys[2];
	IndexScanDesc scan = bj_compat_index_beginscan(s->rel, s->index, SnapshotSelf, 2);
	bool		found;

	ScanKeyEntryInitialize(&keys[0], 0, 1, BTEqualStrategyNumber, InvalidOid,
						   C_COLLATION_OID, F_TEXTEQ, account.datum);
	ScanKeyEntryInitialize(&keys[1], 0, 2, BTEqualStrategyNumber, InvalidOid,
						   C_COLLATION_OID, F_TEXTEQ, meter.datum);
	index_rescan(scan, keys, 2, NULL, 0);
	found = index_getnext_slot(scan, ForwardScanDirection, s->slot);
	index_endscan(scan);
	return found;
}

BaselineFound
bj_baselines_find(Baselines *s, KeyText account, KeyText meter, bool thorough,
				  BjBaseline *baseline)
{
	bool		isnull;
	bool		entry;
	bytea	   *state;

	ExecClearTuple(s->slot);
	memset(baseline, 0, sizeof(*baseline));
	s->found = find_by_peek(s, account, meter, &entry) ||
		((thorough || entry) && find_by_scan(s, account, meter));
	if (!s->found)
		return BJ_BASELINE_NONE;
	state = DatumGetByteaPP(slot_getattr(s->slot, s->att[STATE], &isnull));
	if (bj_baseline_decode((const uint8_t *) VARDATA_ANY(state), VARSIZE_ANY_EXHDR(state),
						   bj_baselines_crc, baseline) == BJ_OK)
		return BJ_BASELINE_READ;
	memset(baseline, 0, sizeof(*baseline));
	return BJ_BASELINE_BAD;
}

/* ---- writing ---- */

static bytea *
encode(const BjBaseline *baseline)
{
	bytea	   *state = palloc(VARHDRSZ + BJ_BASELINE_SIZE);

	SET_VARSIZE(state, VARHDRSZ + BJ_BASELINE_SIZE);
	bj_baseline_encode(baseline, bj_baselines_crc, (uint8_t *) VARDATA(state));
	return state;
}

static void
put(Baselines *s, int column, Datum value)
{
	s->values[s->att[column] - 1] = value;
	s->isnull[s->att[column] - 1] = false;
}

static bool
create(Baselines *s, KeyText account, KeyText meter, bytea *state)
{
	TupleTableSlot *slot = table_slot_create(s->rel, NULL);
	bool		done;

	memset(s->isnull, true, RelationGetNumberOfAttributes(s->rel));
	put(s, ACCOUNT, account.datum);
	put(s, METER, meter.datum);
	put(s, STATE, PointerGetDatum(state));
	ExecClearTuple(slot);
	memcpy(slot->tts_values, s->values, slot->tts_tupleDescriptor->natts * sizeof(Datum));
	memcpy(slot->tts_isnull, s->isnull, slot->tts_tupleDescriptor->natts * sizeof(bool));
	ExecStoreVirtualTuple(slot);
	done = bj_table_create(s->rel, slot);
	ExecDropSingleTupleTableSlot(slot);
	return done;
}

static bool
update(Baselines *s, bytea *state, const char *problem)
{
	HeapTuple	tuple;
	BjIndexing	indexing;
	TM_Result	result;

	slot_getallattrs(s->slot);
	memcpy(s->values, s->slot->tts_values, RelationGetNumberOfAttributes(s->rel) * sizeof(Datum));
	memcpy(s->isnull, s->slot->tts_isnull, RelationGetNumberOfAttributes(s->rel) * sizeof(bool));
	put(s, STATE, PointerGetDatum(state));
	if (problem != NULL)
		put(s, PROBLEM, CStringGetTextDatum(problem));
	tuple = heap_form_tuple(RelationGetDescr(s->rel), s->values, s->isnull);
	tuple->t_tableOid = RelationGetRelid(s->rel);
	result = bj_compat_update(s->rel, &s->slot->tts_tid, tuple, GetCurrentCommandId(true), &indexing);
	if (result != TM_Ok && result != TM_Updated && result != TM_Deleted)
		elog(ERROR, "a baseline was written twice in one command");
	if (result == TM_Ok)
		bj_table_index(s->rel, tuple, indexing);
	heap_freetuple(tuple);
	return result == TM_Ok;
}

bool
bj_baselines_write(Baselines *s, KeyText account, KeyText meter,
				   const BjBaseline *baseline, const char *problem)
{
	bytea	   *state = encode(baseline);
	bool		done = s->found ? update(s, state, problem) : create(s, account, meter, state);

	pfree(state);
	ExecClearTuple(s->slot);
	return done;
}
