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
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/pg_am.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "btreepeek.h"
#include "compat.h"
#include "errors.h"
#include "numericcodec.h"
#include "tables.h"
#include "tiertotals.h"
#include "tupledata.h"

enum
{
	ACCOUNT, METER, PERIOD_START, PRICE_ID, QUANTITY, AMOUNT, ROW_COUNT, BUCKET, NCOLUMNS
};

static const Column columns[NCOLUMNS] = {
	{"account", TEXTOID, true}, {"meter", TEXTOID, true},
	{"period_start", TIMESTAMPTZOID, true}, {"price_id", INT8OID, true},
	{"quantity", NUMERICOID, true}, {"amount", NUMERICOID, true}, {"row_count", INT8OID, true},
	{"bucket", BYTEAOID, true}
};

/* How long a commit may wait so that pages can be pruned, see make_room(). */
#define PATIENCE_MS 20

struct TierTotals
{
	BjBook		book;
	Relation	rel;
	Relation	index;			/* NULL until something is to be found */
	Datum	   *values;			/* of a row, by attribute */
	bool	   *isnull;
	AttrNumber	att[NCOLUMNS];
	int			patience;		/* milliseconds that are left for waits */
};

/* The primary key must be (account, meter, period_start, price_id). */
static bool
key_is_ours(Relation index, const AttrNumber *att)
{
	if (!index->rd_index->indisunique || !bj_btreepeek_usable(index, 2))
		return false;
	for (int i = 0; i < 4; i++)
		if (index->rd_index->indkey.values[i] != att[i])
			return false;
	return true;
}

static bool
index_open_known(TierTotals *t)
{
	Oid			pkey = bj_compat_primary_key(t->rel);

	t->index = OidIsValid(pkey) ? bj_relation_open_kept(pkey, RowExclusiveLock) : NULL;
	if (t->index == NULL || key_is_ours(t->index, t->att))
		return t->index != NULL;
	relation_close(t->index, NoLock);
	t->index = NULL;
	return false;
}

TierTotals *
bj_tiertotals_open(BjBook book, const char **problem)
{
	TierTotals *t = palloc0(sizeof(TierTotals));
	BjTable		table = book == BJ_BOOK_SHADOW ? BJ_TABLE_SHADOW_TOTAL : BJ_TABLE_TIER_TOTAL;

	t->book = book;
	t->patience = PATIENCE_MS;
	t->rel = bj_table_open_columns(table, RowExclusiveLock, columns, NCOLUMNS,
								   t->att, problem);
	if (t->rel == NULL)
		return NULL;
	if (t->rel->rd_rel->relam != HEAP_TABLE_AM_OID)
	{
		*problem = psprintf("table billadj.%s is not a heap", bj_table_name(table));
		table_close(t->rel, NoLock);
		return NULL;
	}
	return t;
}

bool
bj_tiertotals_can_find(TierTotals *t, const char **problem)
{
	int			natts = RelationGetNumberOfAttributes(t->rel);

	if (t->index != NULL)
		return true;
	if (!index_open_known(t))
	{
		*problem = psprintf("table billadj.%s does not have the primary key that this library knows",
							RelationGetRelationName(t->rel));
		return false;
	}
	t->values = palloc(natts * (sizeof(Datum) + sizeof(bool)));
	t->isnull = (bool *) (t->values + natts);
	return true;
}

void
bj_tiertotals_close(TierTotals *t)
{
	if (t->index != NULL)
		index_close(t->index, NoLock);
	table_close(t->rel, NoLock);
}

/* ---- finding ---- */

uint32
bj_tiertotals_hash(const TotalKey *key)
{
	uint32		h = hash_bytes((const unsigned char *) key->account.data, key->account.length);

	h = hash_combine(h, hash_bytes((const unsigned char *) key->meter.data, key->meter.length));
	h = hash_combine(h, murmurhash32((uint32) (key->period_start >> 20)));
	return hash_combine(h, murmurhash32((uint32) key->price_id));
}

static inline Datum
value(TierTotals *t, int column)
{
	return t->values[t->att[column] - 1];
}

/* Is the row in t->values the one of the key? */
static bool
key_is(TierTotals *t, const TotalKey *key)
{
	KeyText		text;

	if (DatumGetTimestampTz(value(t, PERIOD_START)) != key->period_start ||
		DatumGetInt64(value(t, PRICE_ID)) != key->price_id)
		return false;
	bj_key_text(TEXTOID, value(t, ACCOUNT), &text);
	if (!bj_key_equal(text, key->account))
		return false;
	bj_key_text(TEXTOID, value(t, METER), &text);
	return bj_key_equal(text, key->meter);
}

/*
 * The fillfactor of the table would have its pages pruned at every visit; some
 * versions more in a chain cost less than that.  So a page is pruned when it
 * fills, or when it has many versions and not much room: rows are of very
 * different size with and without a bucket.
 */
#define ROOM_ENOUGH (BLCKSZ / 4 * 3)
#define ROOM_FOR_FEW (BLCKSZ / 8 * 3)
#define FEW 20

static inline bool
is_worth_pruning(Page page)
{
	Size		room = PageGetHeapFreeSpace(page);

	return room < ROOM_FOR_FEW || (room < ROOM_ENOUGH && PageGetMaxOffsetNumber(page) > FEW);
}

/*
 * The version now valid of the row whose chain begins at root, copied; NULL if
 * there is none.  Prunes the page as an index scan would.  Takes over the pin.
 */
static HeapTuple
fetch_version(TierTotals *t, ItemPointerData root, Buffer buffer)
{
	HeapTupleData tuple;
	HeapTuple	copy = NULL;

	if (is_worth_pruning(BufferGetPage(buffer)))
		heap_page_prune_opt(t->rel, buffer);
	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	if (heap_hot_search_buffer(&root, t->rel, buffer, SnapshotSelf, &tuple, NULL, true))
		copy = heap_copytuple(&tuple);
	UnlockReleaseBuffer(buffer);
	return copy;
}

/* The row at root, if it is that of the key: into *row and t->values. */
static bool
fetch_in(TierTotals *t, const TotalKey *key, ItemPointerData root, Buffer buffer,
		 TotalRow *row)
{
	HeapTuple	version = fetch_version(t, root, buffer);

	if (version == NULL)
		return false;
	heap_deform_tuple(version, RelationGetDescr(t->rel), t->values, t->isnull);
	if (!key_is(t, key))
	{
		heap_freetuple(version);
		return false;
	}
	row->version = version;
	row->buffer = buffer;
	/* the values point into the copy; the meter is the last that never changes */
	row->fixed_size = DatumGetPointer(value(t, METER)) - (char *) version->t_data +
		VARSIZE_ANY(DatumGetPointer(value(t, METER)));
	return true;
}

static bool
fetch_at(TierTotals *t, const TotalKey *key, ItemPointerData root, TotalRow *row)
{
	return fetch_in(t, key, root, ReadBuffer(t->rel, ItemPointerGetBlockNumber(&root)), row);
}

/*
 * Where this session found totals before, by their hash.  It spares the descent
 * of the index where keys recur, and nothing relies on it: the row that is there
 * now is looked at, and so is its key.
 */
typedef struct Hint
{
	uint32		hash;
	ItemPointerData root;
	Buffer		buffer;			/* where its page was; InvalidBuffer: no hint */
} Hint;

#define HINTS 1024
static Hint hints[HINTS];

static bool
fetch_by_hint(TierTotals *t, const TotalKey *key, uint32 hash, TotalRow *row)
{
	const Hint *hint = &hints[hash % HINTS];

	/* a page of another table or file is not taken for it */
	return hint->hash == hash && BufferIsValid(hint->buffer) &&
		bj_compat_read_recent(t->rel, ItemPointerGetBlockNumber(&hint->root), hint->buffer) &&
		fetch_in(t, key, hint->root, hint->buffer, row);
}

/* By an index scan: sees whatever is there. */
static bool
fetch_by_scan(TierTotals *t, const TotalKey *key, TotalRow *row)
{
	ScanKeyData keys[4];
	IndexScanDesc scan = bj_compat_index_beginscan(t->rel, t->index, SnapshotSelf, 4);
	ItemPointer tid;
	bool		found = false;

	ScanKeyEntryInitialize(&keys[0], 0, 1, BTEqualStrategyNumber, InvalidOid,
						   C_COLLATION_OID, F_TEXTEQ, key->account.datum);
	ScanKeyEntryInitialize(&keys[1], 0, 2, BTEqualStrategyNumber, InvalidOid,
						   C_COLLATION_OID, F_TEXTEQ, key->meter.datum);
	ScanKeyInit(&keys[2], 3, BTEqualStrategyNumber, F_TIMESTAMPTZ_EQ,
				TimestampTzGetDatum(key->period_start));
	ScanKeyInit(&keys[3], 4, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(key->price_id));
	index_rescan(scan, keys, 4, NULL, 0);
	while (!found && (tid = index_getnext_tid(scan, ForwardScanDirection)) != NULL)
		found = fetch_at(t, key, *tid, row);
	index_endscan(scan);
	return found;
}

/* *entry: the index has one of the key, though its row may be dead. */
static bool
fetch_by_peek(TierTotals *t, const TotalKey *key, uint32 hash, TotalRow *row, bool *entry)
{
	/* of the indexes of both books, as this session knows them */
	static PeekRoot roots[2];
	PeekKey		peek = {{key->account, key->meter}, {key->period_start, key->price_id}, 2};
	ItemPointerData tid;

	*entry = bj_btreepeek_find(t->index, &roots[t->book], &peek, &tid);
	if (!*entry || !fetch_at(t, key, tid, row))
		return false;
	hints[hash % HINTS] = (Hint) {hash, tid, row->buffer};
	return true;
}

static void
take_bucket(TotalRow *row, Datum value)
{
	/* a copy of its own, should somebody have had it compressed */
	struct varlena *bucket = pg_detoast_datum_packed((struct varlena *) DatumGetPointer(value));

	row->bucket = VARDATA_ANY(bucket);
	row->bucket_size = VARSIZE_ANY_EXHDR(bucket);
}

bool
bj_tiertotals_find(TierTotals *t, const TotalKey *key, uint32 hash, bool thorough,
				   TotalRow *row, BjStatus *status)
{
	bool		entry;

	*status = BJ_OK;
	if (!fetch_by_hint(t, key, hash, row) && !fetch_by_peek(t, key, hash, row, &entry) &&
		!((thorough || entry) && fetch_by_scan(t, key, row)))
		return false;
	row->filenode = bj_compat_filenode(t->rel);
	*status = bj_numeric_read(value(t, QUANTITY), &row->quantity);
	if (*status == BJ_OK)
		*status = bj_numeric_read(value(t, AMOUNT), &row->amount);
	row->rows = DatumGetInt64(value(t, ROW_COUNT));
	take_bucket(row, value(t, BUCKET));
	return true;
}

/* ---- writing ---- */

/*
 * A page fills with versions that cannot be pruned while a transaction that
 * began before them goes on: often only because it waits for a processor, or
 * for the same row as we.  Then the last room of the page is left to it, for
 * some milliseconds.  One that began long ago is not waited for: the row moves
 * to another page then, with a new index entry.
 */
#define LAST_ROOM (BLCKSZ / 8)
#define LAST_VERSIONS 5			/* or so many, where rows are wide */
#define LONG_AGO 256			/* transactions */

/*
 * Can the page soon be pruned, though it could not now?  Either somebody has
 * it pinned, or somebody else's transaction is in the way, and not for long.
 */
static bool
is_soon_prunable(TierTotals *t, Page page)
{
	TransactionId self = GetCurrentTransactionId();
	TransactionId dead = ((PageHeader) page)->pd_prune_xid;
	TransactionId oldest = GetOldestNonRemovableTransactionId(t->rel);

	if (!TransactionIdIsValid(dead))
		return false;
	if (TransactionIdPrecedes(dead, oldest))
		return true;
	return TransactionIdPrecedes(oldest, self) && self - oldest <= LONG_AGO &&
		(TransactionIdPrecedes(oldest, MyProc->xmin) || TransactionIdIsInProgress(oldest));
}

/* True, and the pin is gone, if it took a while: find the row again. */
static bool
make_room(TierTotals *t, Buffer buffer, Size length)
{
	BlockNumber block = BufferGetBlockNumber(buffer);
	Size		last_room = Max(LAST_ROOM, LAST_VERSIONS * length);
	bool		tried = false;

	while (PageGetHeapFreeSpace(BufferGetPage(buffer)) < last_room && t->patience > 0 &&
		   is_soon_prunable(t, BufferGetPage(buffer)))
	{
		ReleaseBuffer(buffer);
		CHECK_FOR_INTERRUPTS();
		if (tried)
			pg_usleep(1000);
		t->patience--;
		tried = true;
		buffer = ReadBuffer(t->rel, block);
		heap_page_prune_opt(t->rel, buffer);
	}
	if (tried)
		ReleaseBuffer(buffer);
	return tried;
}

/*
 * Pins the page of a version that was read before, if it is still there and
 * valid: it may have been updated and pruned, and its place be taken by
 * another row.  The pin keeps it from being pruned from now on.
 */
static bool
pin_version(TierTotals *t, const TotalRow *row, Buffer *buffer)
{
	HeapTupleData now = *row->version;
	BlockNumber block = ItemPointerGetBlockNumber(&now.t_self);
	OffsetNumber offset = ItemPointerGetOffsetNumber(&now.t_self);
	HeapTupleHeader was = now.t_data;
	Page		page;
	ItemId		item;
	bool		same = false;

	if (row->filenode != bj_compat_filenode(t->rel))
		return false;			/* CLUSTER in this transaction */
	*buffer = row->buffer;
	if (!bj_compat_read_recent(t->rel, block, row->buffer))
	{
		/* VACUUM may have cut it off, if a rollback freed our lock meanwhile */
		if (block >= RelationGetNumberOfBlocks(t->rel))
			return false;
		*buffer = ReadBuffer(t->rel, block);
	}
	LockBuffer(*buffer, BUFFER_LOCK_SHARE);
	page = BufferGetPage(*buffer);
	item = offset <= PageGetMaxOffsetNumber(page) ? PageGetItemId(page, offset) : NULL;
	if (item != NULL && ItemIdIsNormal(item) && ItemIdGetLength(item) == now.t_len)
	{
		now.t_data = (HeapTupleHeader) PageGetItem(page, item);
		same = HeapTupleHeaderGetRawXmin(now.t_data) == HeapTupleHeaderGetRawXmin(was) &&
			now.t_data->t_hoff == was->t_hoff &&
			memcmp((char *) now.t_data + was->t_hoff, (char *) was + was->t_hoff,
				   now.t_len - was->t_hoff) == 0 &&
			HeapTupleSatisfiesVisibility(&now, SnapshotSelf, *buffer);
	}
	LockBuffer(*buffer, BUFFER_LOCK_UNLOCK);
	if (!same)
		ReleaseBuffer(*buffer);
	return same;
}

/*
 * Do the columns that change make up the end of the row, in this order?  Then
 * the rest can be taken over as it stands.
 */
static bool
changes_at_end(TierTotals *t, HeapTuple old)
{
	int			natts = RelationGetNumberOfAttributes(t->rel);

	return t->att[METER] == natts - 4 && t->att[BUCKET] == natts - 3 &&
		t->att[ROW_COUNT] == natts - 2 && t->att[QUANTITY] == natts - 1 && t->att[AMOUNT] == natts &&
		HeapTupleHeaderGetNatts(old->t_data) == natts && !HeapTupleHasNulls(old);
}

static bytea *
bucket_of(const TotalRow *row)
{
	bytea	   *bucket = palloc(VARHDRSZ + row->bucket_size);

	SET_VARSIZE(bucket, VARHDRSZ + row->bucket_size);
	if (row->bucket_size > 0)
		memcpy(VARDATA(bucket), row->bucket, row->bucket_size);
	return bucket;
}

static HeapTuple
form_slowly(TierTotals *t, const TotalRow *old, const TotalRow *row,
			Datum quantity, Datum amount)
{
	TupleDesc	desc = RelationGetDescr(t->rel);
	Datum	   *values = palloc(desc->natts * sizeof(Datum));
	bool	   *isnull = palloc(desc->natts * sizeof(bool));
	HeapTuple	tuple;

	heap_deform_tuple(old->version, desc, values, isnull);
	values[t->att[BUCKET] - 1] = PointerGetDatum(bucket_of(row));
	values[t->att[QUANTITY] - 1] = quantity;
	values[t->att[AMOUNT] - 1] = amount;
	values[t->att[ROW_COUNT] - 1] = Int64GetDatum(row->rows);
	tuple = heap_form_tuple(desc, values, isnull);
	tuple->t_tableOid = RelationGetRelid(t->rel);
	return tuple;
}

/* The bytes of a bucket; *data moves behind them.  Where they are. */
static char *
put_bucket(char **data, const TotalRow *row)
{
	char	   *bytes;

	if (row->bucket_size == 0)
	{
		SET_VARSIZE_SHORT(*data, VARHDRSZ_SHORT);
		bytes = *data + VARHDRSZ_SHORT;
	}
	else
	{
		*data = (char *) TYPEALIGN(sizeof(int32), *data);
		SET_VARSIZE(*data, VARHDRSZ + row->bucket_size);
		bytes = *data + VARHDRSZ;
		memcpy(bytes, row->bucket, row->bucket_size);
	}
	*data = bytes + row->bucket_size;
	return bytes;
}

static HeapTuple
form_version(TierTotals *t, const TotalRow *old, TotalRow *row)
{
	char		quantity[BJ_NUMERIC_SIZE] pg_attribute_aligned(MAXIMUM_ALIGNOF);
	char		amount[BJ_NUMERIC_SIZE] pg_attribute_aligned(MAXIMUM_ALIGNOF);
	Datum		quantity_datum = bj_numeric_write(row->quantity, quantity);
	Datum		amount_datum = bj_numeric_write(row->amount, amount);
	HeapTuple	tuple;
	char	   *data;

	if (!changes_at_end(t, old->version))
		return form_slowly(t, old, row, quantity_datum, amount_datum);
	tuple = palloc0(HEAPTUPLESIZE + old->fixed_size + VARHDRSZ + row->bucket_size +
					2 * MAXIMUM_ALIGNOF + sizeof(int64) + 2 * (MAXIMUM_ALIGNOF + BJ_NUMERIC_SIZE));
	tuple->t_data = (HeapTupleHeader) ((char *) tuple + HEAPTUPLESIZE);
	memcpy(tuple->t_data, old->version->t_data, old->fixed_size);
	data = (char *) tuple->t_data + old->fixed_size;
	row->bucket = put_bucket(&data, row);
	data = bj_data_put_fixed(data, Int64GetDatum(row->rows), sizeof(int64));
	data = bj_data_put_varlena(data, quantity_datum);
	data = bj_data_put_varlena(data, amount_datum);
	tuple->t_len = data - (char *) tuple->t_data;
	ItemPointerSetInvalid(&tuple->t_self);
	tuple->t_tableOid = RelationGetRelid(t->rel);
	return tuple;
}

bool
bj_tiertotals_update(TierTotals *t, const TotalRow *old, TotalRow *row)
{
	HeapTuple	tuple;
	BjIndexing	indexing;
	Buffer		buffer;
	TM_Result	result;

	if (!pin_version(t, old, &buffer) || make_room(t, buffer, old->version->t_len))
		return false;
	tuple = form_version(t, old, row);
	result = bj_compat_update(t->rel, &old->version->t_self, tuple,
							  GetCurrentCommandId(true), &indexing);
	ReleaseBuffer(buffer);
	if (result != TM_Ok && result != TM_Updated && result != TM_Deleted)
		elog(ERROR, "a total was written twice in one command");
	if (result != TM_Ok)
	{
		heap_freetuple(tuple);
		return false;
	}
	bj_table_index(t->rel, tuple, indexing);
	row->version = tuple;
	row->fixed_size = old->fixed_size;
	row->buffer = old->buffer;
	row->filenode = old->filenode;
	return true;
}

BjLocked
bj_tiertotals_lock_now(TierTotals *t, const TotalRow *row)
{
	Buffer		buffer;
	BjLocked	locked;

	if (!pin_version(t, row, &buffer))
		return BJ_CHANGED;
	locked = bj_table_lock(t->rel, row->version->t_self, false);
	ReleaseBuffer(buffer);
	return locked;
}

void
bj_tiertotals_keep(TierTotals *t, TotalRow *row)
{
	bool		isnull;

	row->version = heap_copytuple(row->version);
	take_bucket(row, heap_getattr(row->version, t->att[BUCKET], RelationGetDescr(t->rel), &isnull));
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
	slot->tts_values[t->att[BUCKET] - 1] = PointerGetDatum(cstring_to_text_with_len("", 0));
	ExecStoreVirtualTuple(slot);
}

bool
bj_tiertotals_create(TierTotals *t, const TotalKey *key, const TotalRow *row)
{
	TupleTableSlot *slot = table_slot_create(t->rel, NULL);
	bool		done;

	fill_row(t, key, row, slot);
	done = bj_table_create(t->rel, slot);
	ExecDropSingleTupleTableSlot(slot);
	return done;
}
