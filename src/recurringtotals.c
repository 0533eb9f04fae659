/*
 * recurringtotals.c
 *	  Store: raises what was billed of the lines of subscriptions.
 *
 * A period begins with a line that nobody has billed yet, a hundred thousand
 * times: its row is written directly and in bulk, as charges are, at a third of
 * what INSERT costs.  Constraints, defaults and triggers of the table are not
 * consulted; self_check() says so when a DBA added some.  Its indexes are, so
 * that of two who bill a line one fails.  Lines that are raised are few: SPI.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/hio.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_am.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "nodes/execnodes.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "numericcodec.h"
#include "recurringtotals.h"
#include "tables.h"

enum
{
	ACCOUNT, SUBSCRIPTION_ID, PERIOD_START, PLAN_PRICE_ID, QUANTITY, FULL_AMOUNT,
	AMOUNT, COVERS, PROPOSED, NCOLUMNS
};

/* proposed is 0 in a new row, and not touched in another */
#define NRAISED PROPOSED

static const Column columns[NCOLUMNS] = {
	{"account", TEXTOID, true}, {"subscription_id", INT8OID, true},
	{"period_start", TIMESTAMPTZOID, true}, {"plan_price_id", INT8OID, true},
	{"quantity", NUMERICOID, true}, {"full_amount", NUMERICOID, true},
	{"amount", NUMERICOID, true}, {"covers", TSTZRANGEOID, true},
	{"proposed", NUMERICOID, true}
};

static const Oid array_types[NRAISED] = {
	TEXTARRAYOID, INT8ARRAYOID, TIMESTAMPTZARRAYOID, INT8ARRAYOID, NUMERICARRAYOID,
	NUMERICARRAYOID, NUMERICARRAYOID, TSTZRANGEARRAYOID
};

/* Rows that are written together; and from how many on a bulk state pays. */
#define BATCH_ROWS 500
#define FIRST_ROWS 8

struct TotalWriter
{
	MemoryContext context;		/* of the writer itself */
	MemoryContext buffered;		/* of rows that are not written yet */
	Relation	rel;
	AttrNumber	att[NCOLUMNS];
	TupleDesc	slot_desc;		/* one copy for all slots */
	TupleTableSlot **slots;
	int			nslots;			/* that were made */
	HeapTuple  *fresh;
	int			nfresh;
	int			room;			/* in fresh and slots, up to BATCH_ROWS */
	BulkInsertState bulk;
	ResultRelInfo *indexes;
	EState	   *estate;
	Datum	   *values;			/* of a row, by attribute */
	bool	   *isnull;
	Datum	   *raised[NRAISED];	/* NULL until one is raised */
	int			nraised;
	SPIPlanPtr	raise;
};

static const char *const raise_totals =
	"UPDATE billadj.recurring_total t SET amount = t.amount + n.amount, covers = n.covers"
	" FROM unnest($1, $2, $3, $4, $5, $6, $7, $8) AS n(account, subscription_id, period_start, plan_price_id,"
	" quantity, full_amount, amount, covers)"
	" WHERE t.account = n.account COLLATE \"C\" AND t.subscription_id = n.subscription_id AND t.period_start = n.period_start"
	" AND t.plan_price_id = n.plan_price_id AND t.quantity = n.quantity AND t.full_amount = n.full_amount";

TotalWriter *
bj_totals_open(MemoryContext context, const char **problem)
{
	MemoryContext old = MemoryContextSwitchTo(context);
	TotalWriter *w = palloc0(sizeof(TotalWriter));

	w->rel = bj_table_open_columns(BJ_TABLE_RECURRING_TOTAL, RowExclusiveLock, columns,
								   NCOLUMNS, w->att, problem);
	if (w->rel != NULL && w->rel->rd_rel->relam != HEAP_TABLE_AM_OID)
	{
		*problem = "table billadj.recurring_total is not a heap";
		table_close(w->rel, NoLock);
		w->rel = NULL;
	}
	if (w->rel != NULL)
	{
		w->context = context;
		w->buffered = AllocSetContextCreate(context, "billadj recurring totals",
											ALLOCSET_DEFAULT_SIZES);
		w->room = FIRST_ROWS;
		w->fresh = palloc(w->room * sizeof(HeapTuple));
		w->values = palloc0(RelationGetNumberOfAttributes(w->rel) * sizeof(Datum));
		w->isnull = palloc(RelationGetNumberOfAttributes(w->rel) * sizeof(bool));
		memset(w->isnull, true, RelationGetNumberOfAttributes(w->rel) * sizeof(bool));
		for (int i = 0; i < NCOLUMNS; i++)
			w->isnull[w->att[i] - 1] = false;
		w->values[w->att[PROPOSED] - 1] = bj_numeric_make(BJ_DECIMAL_ZERO, 0);
	}
	MemoryContextSwitchTo(old);
	return w->rel == NULL ? NULL : w;
}

/* ---- new rows ---- */

static void
open_indexes(TotalWriter *w)
{
	w->estate = CreateExecutorState();
	w->indexes = makeNode(ResultRelInfo);
	InitResultRelInfo(w->indexes, w->rel, 1, NULL, 0);
	ExecOpenIndices(w->indexes, false);
	w->slot_desc = CreateTupleDescCopyConstr(RelationGetDescr(w->rel));
	w->slots = palloc(BATCH_ROWS * sizeof(TupleTableSlot *));
}

static void
fill_slots(TotalWriter *w)
{
	MemoryContext old = MemoryContextSwitchTo(w->context);

	if (w->indexes == NULL)
		open_indexes(w);
	while (w->nslots < w->nfresh)
		w->slots[w->nslots++] = MakeSingleTupleTableSlot(w->slot_desc, &TTSOpsHeapTuple);
	if (w->bulk == NULL && w->nfresh == BATCH_ROWS)
		w->bulk = GetBulkInsertState();
	MemoryContextSwitchTo(old);
	for (int i = 0; i < w->nfresh; i++)
		ExecStoreHeapTuple(w->fresh[i], w->slots[i], false);
}

static void
flush_fresh(TotalWriter *w)
{
	if (w->nfresh == 0)
		return;
	fill_slots(w);
	heap_multi_insert(w->rel, w->slots, w->nfresh, GetCurrentCommandId(true), 0, w->bulk);
	for (int i = 0; i < w->nfresh; i++)
	{
		bj_compat_insert_index_tuples(w->indexes, w->slots[i], w->estate, NULL,
									  BJ_INDEX_ALL);
		ResetPerTupleExprContext(w->estate);
		ExecClearTuple(w->slots[i]);
	}
	w->nfresh = 0;
}

/* ---- rows that are there ---- */

static void
open_raised(TotalWriter *w)
{
	MemoryContext old = MemoryContextSwitchTo(w->context);

	for (int i = 0; i < NRAISED; i++)
		w->raised[i] = palloc(BATCH_ROWS * sizeof(Datum));
	w->raise = SPI_prepare(raise_totals, NRAISED, (Oid *) array_types);
	if (w->raise == NULL)
		elog(ERROR, "could not prepare the write of recurring totals");
	MemoryContextSwitchTo(old);
}

static void
flush_raised(TotalWriter *w)
{
	Datum		arrays[NRAISED];

	if (w->nraised == 0)
		return;
	for (int i = 0; i < NRAISED; i++)
	{
		int16		length;
		bool		by_value;
		char		align;

		get_typlenbyvalalign(columns[i].type, &length, &by_value, &align);
		arrays[i] = PointerGetDatum(construct_array(w->raised[i], w->nraised, columns[i].type,
													length, by_value, align));
	}
	if (SPI_execute_plan(w->raise, arrays, NULL, false, 0) < 0 || SPI_processed != w->nraised)
		elog(ERROR, "wrote " UINT64_FORMAT " of %d recurring totals", SPI_processed, w->nraised);
	w->nraised = 0;
}

/* ---- both ---- */

static void
flush(TotalWriter *w)
{
	MemoryContext old = MemoryContextSwitchTo(w->buffered);

	flush_fresh(w);
	flush_raised(w);
	MemoryContextSwitchTo(old);
	MemoryContextReset(w->buffered);
}

static inline void
put(TotalWriter *w, int column, Datum value)
{
	w->values[w->att[column] - 1] = value;
}

static void
add_fresh(TotalWriter *w, const TotalChange *c)
{
	char		numeric[3][BJ_NUMERIC_SIZE] pg_attribute_aligned(MAXIMUM_ALIGNOF);

	if (w->nfresh == w->room)
	{
		w->room = Min(w->room * 4, BATCH_ROWS);
		w->fresh = repalloc(w->fresh, w->room * sizeof(HeapTuple));
	}
	put(w, ACCOUNT, c->account.datum);
	put(w, SUBSCRIPTION_ID, Int64GetDatum(c->subscription_id));
	put(w, PERIOD_START, TimestampTzGetDatum(c->period_start));
	put(w, PLAN_PRICE_ID, Int64GetDatum(c->plan_price_id));
	put(w, QUANTITY, bj_numeric_write(c->quantity, numeric[0]));
	put(w, FULL_AMOUNT, bj_numeric_write(c->full, numeric[1]));
	put(w, AMOUNT, bj_numeric_write(c->amount, numeric[2]));
	put(w, COVERS, c->covers);
	w->fresh[w->nfresh++] = heap_form_tuple(RelationGetDescr(w->rel), w->values, w->isnull);
}

static void
add_raised(TotalWriter *w, const TotalChange *c)
{
	int			i = w->nraised++;

	if (w->raise == NULL)
		open_raised(w);
	w->raised[ACCOUNT][i] = PointerGetDatum(cstring_to_text_with_len(c->account.data,
																	 c->account.length));
	w->raised[SUBSCRIPTION_ID][i] = Int64GetDatum(c->subscription_id);
	w->raised[PERIOD_START][i] = TimestampTzGetDatum(c->period_start);
	w->raised[PLAN_PRICE_ID][i] = Int64GetDatum(c->plan_price_id);
	w->raised[QUANTITY][i] = bj_numeric_make(c->quantity, 0);
	w->raised[FULL_AMOUNT][i] = bj_numeric_make(c->full, 0);
	w->raised[AMOUNT][i] = bj_numeric_make(c->amount, 0);
	w->raised[COVERS][i] = PointerGetDatum(PG_DETOAST_DATUM_COPY(c->covers));
}

void
bj_totals_add(TotalWriter *w, const TotalChange *c)
{
	MemoryContext old;

	if (w->nfresh == BATCH_ROWS || w->nraised == BATCH_ROWS)
		flush(w);
	old = MemoryContextSwitchTo(w->buffered);
	if (c->fresh)
		add_fresh(w, c);
	else
		add_raised(w, c);
	MemoryContextSwitchTo(old);
}

void
bj_totals_close(TotalWriter *w)
{
	flush(w);
	if (w->raise != NULL)
		SPI_freeplan(w->raise);
	for (int i = 0; i < w->nslots; i++)
		ExecDropSingleTupleTableSlot(w->slots[i]);
	if (w->bulk != NULL)
		FreeBulkInsertState(w->bulk);
	if (w->indexes != NULL)
	{
		ExecCloseIndices(w->indexes);
		FreeExecutorState(w->estate);
	}
	table_close(w->rel, NoLock);
}
