/*
 * parked.c
 *	  Store: usage that could not be rated.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/elog.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "parked.h"
#include "strhash.h"
#include "tables.h"

enum
{
	ACCOUNT, ATTACHMENT_ID, EVENT_KEY, MEASURE, MAPPED, SQLSTATE, MESSAGE, HINT,
	ATTEMPTS, PARKED_AT, CREATED_BY, RESOLVED_AT, RESOLUTION, NCOLUMNS
};

static const Column columns[NCOLUMNS] = {
	{"account", TEXTOID}, {"attachment_id", INT8OID, true}, {"event_key", TEXTOID},
	{"measure", TEXTOID, true}, {"mapped", JSONBOID, true}, {"sqlstate", TEXTOID, true},
	{"message", TEXTOID, true}, {"hint", TEXTOID}, {"attempts", INT4OID, true},
	{"parked_at", TIMESTAMPTZOID, true}, {"created_by", TEXTOID, true},
	{"resolved_at", TIMESTAMPTZOID}, {"resolution", TEXTOID}
};

/* NULL if the table is missing or of another shape. */
static Relation
open_parked(LOCKMODE lockmode, AttrNumber *att)
{
	Relation	rel = bj_table_open(BJ_TABLE_PARKED_USAGE, lockmode);

	if (rel == NULL)
		return NULL;
	if (rel->rd_rel->relkind == RELKIND_RELATION &&
		bj_columns_find(rel, columns, NCOLUMNS, att) == NULL)
		return rel;
	table_close(rel, NoLock);
	return NULL;
}

static void
put(Datum *values, bool *isnull, AttrNumber att, Datum value)
{
	values[att - 1] = value;
	isnull[att - 1] = false;
}

static void
put_text(Datum *values, bool *isnull, AttrNumber att, const char *text)
{
	if (text != NULL)
		put(values, isnull, att, CStringGetTextDatum(text));
}

bool
bj_parked_add(const UsageRow *row, const UsageMeasure *m, const Fault *fault)
{
	AttrNumber	att[NCOLUMNS];
	Relation	rel = open_parked(RowExclusiveLock, att);
	int			natts;
	Datum	   *values;
	bool	   *isnull;
	HeapTuple	tuple;

	if (rel == NULL)
		return false;
	natts = RelationGetNumberOfAttributes(rel);
	values = palloc0(natts * sizeof(Datum));
	isnull = palloc(natts * sizeof(bool));
	memset(isnull, true, natts * sizeof(bool));
	if (row->account.length >= 0)
		put(values, isnull, att[ACCOUNT], row->account.datum);
	put(values, isnull, att[ATTACHMENT_ID], Int64GetDatum(row->binding->attachment_id));
	if (row->event_key.length >= 0)
		put(values, isnull, att[EVENT_KEY], row->event_key.datum);
	put_text(values, isnull, att[MEASURE], m->bound->measure);
	put(values, isnull, att[MAPPED], JsonbPGetDatum(bj_usagerow_mapped(row, m)));
	put_text(values, isnull, att[SQLSTATE], unpack_sql_state(fault->sqlstate));
	put_text(values, isnull, att[MESSAGE], fault->message);
	put_text(values, isnull, att[HINT], fault->hint);
	put(values, isnull, att[ATTEMPTS], Int32GetDatum(1));
	put(values, isnull, att[PARKED_AT], TimestampTzGetDatum(GetCurrentTimestamp()));
	put_text(values, isnull, att[CREATED_BY], GetUserNameFromId(GetSessionUserId(), false));

	tuple = heap_form_tuple(RelationGetDescr(rel), values, isnull);
	heap_insert(rel, tuple, GetCurrentCommandId(true), 0, NULL);
	bj_table_index(rel, tuple, BJ_INDEX_ALL);
	table_close(rel, NoLock);
	return true;
}

/* ---- settling ---- */

typedef void (*ParkedVisit) (Relation rel, HeapTuple tuple, void *arg);

/*
 * Visits the open rows of an event key, or those without one (NULL), as they
 * are now, not as the transaction's snapshot has them.
 */
static void
visit_open(Relation rel, const AttrNumber *att, int64 attachment_id,
		   const KeyText *event_key, ParkedVisit visit, void *arg)
{
	TupleDesc	desc = RelationGetDescr(rel);
	ScanKeyData keys[2];
	int			leading[2] = {ATTACHMENT_ID, EVENT_KEY};
	Oid			index = bj_index_by_columns(rel, att, leading, 2);
	int			nkeys = event_key != NULL || OidIsValid(index) ? 2 : 1;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&keys[0], att[ATTACHMENT_ID], BTEqualStrategyNumber, F_INT8EQ,
				Int64GetDatum(attachment_id));
	if (event_key != NULL)
		ScanKeyEntryInitialize(&keys[1], 0, att[EVENT_KEY], BTEqualStrategyNumber, InvalidOid,
							   C_COLLATION_OID, F_TEXTEQ, event_key->datum);
	else
		ScanKeyEntryInitialize(&keys[1], SK_ISNULL | SK_SEARCHNULL, att[EVENT_KEY],
							   InvalidStrategy, InvalidOid, InvalidOid, InvalidOid, (Datum) 0);
	scan = systable_beginscan(rel, index, OidIsValid(index), SnapshotSelf, nkeys, keys);
	while ((tuple = systable_getnext(scan)) != NULL)
	{
		bool		keyless;
		bool		open;

		heap_getattr(tuple, att[EVENT_KEY], desc, &keyless);
		heap_getattr(tuple, att[RESOLVED_AT], desc, &open);
		if (open && keyless == (event_key == NULL))
			visit(rel, tuple, arg);
	}
	systable_endscan(scan);
}

static void
count_open(Relation rel, HeapTuple tuple, void *arg)
{
	(*(int *) arg)++;
}

bool
bj_parked_has(int64 attachment_id, KeyText event_key)
{
	AttrNumber	att[NCOLUMNS];
	Relation	rel = open_parked(AccessShareLock, att);
	int			n = 0;

	if (rel == NULL)
		return false;
	visit_open(rel, att, attachment_id, &event_key, count_open, &n);
	table_close(rel, AccessShareLock);
	return n > 0;
}

static void
collect_open(Relation rel, HeapTuple tuple, void *arg)
{
	List	  **tuples = arg;

	*tuples = lappend(*tuples, heap_copytuple(tuple));
}

/* Writes the resolution; false if the row changed meanwhile. */
static bool
resolve(Relation rel, const AttrNumber *att, HeapTuple was, const char *resolution)
{
	int			cols[2] = {att[RESOLVED_AT], att[RESOLUTION]};
	Datum		values[2] = {TimestampTzGetDatum(GetCurrentTimestamp()), CStringGetTextDatum(resolution)};
	bool		isnull[2] = {false, false};
	HeapTuple	tuple = heap_modify_tuple_by_cols(was, RelationGetDescr(rel), 2, cols, values, isnull);
	BjIndexing	indexing;

	tuple->t_tableOid = RelationGetRelid(rel);
	switch (bj_compat_update(rel, &was->t_self, tuple, GetCurrentCommandId(true), &indexing))
	{
		case TM_Ok:
			bj_table_index(rel, tuple, indexing);
			return true;
		case TM_SelfModified:	/* parked and settled in one command */
		case TM_Updated:
		case TM_Deleted:
			return false;
		default:
			elog(ERROR, "could not settle a row of billadj.parked_usage");
	}
	return false;
}

int
bj_parked_claim(int64 attachment_id, KeyText event_key, const char *resolution)
{
	AttrNumber	att[NCOLUMNS];
	Relation	rel = open_parked(RowExclusiveLock, att);
	int			claimed = 0;

	if (rel == NULL)
		return 0;
	for (int try = 0; try < 100; try++)
	{
		List	   *open = NIL;
		ListCell   *cell;
		bool		again = false;

		visit_open(rel, att, attachment_id, &event_key, collect_open, &open);
		foreach(cell, open)
		{
			if (resolve(rel, att, lfirst(cell), resolution))
				claimed++;
			else
				again = true;
		}
		if (!again)
			break;
	}
	table_close(rel, NoLock);
	return claimed;
}

/* ---- rows without a key ---- */

typedef struct Keyless
{
	struct Keyless *next;		/* of the same measure and values */
	HeapTuple	tuple;
} Keyless;

struct ParkedKeyless
{
	struct strhash_hash *by_values; /* Keyless by measure and mapped values */
};

/* What two rows that are alike have in common. */
static char *
values_text(const char *measure, Jsonb *mapped)
{
	return psprintf("%s\n%s", measure,
					JsonbToCString(NULL, &mapped->root, VARSIZE(mapped)));
}

ParkedKeyless *
bj_parked_keyless(int64 attachment_id)
{
	AttrNumber	att[NCOLUMNS];
	Relation	rel = open_parked(AccessShareLock, att);
	ParkedKeyless *keyless = palloc0(sizeof(ParkedKeyless));
	List	   *open = NIL;
	ListCell   *cell;

	if (rel == NULL)
		return keyless;
	visit_open(rel, att, attachment_id, NULL, collect_open, &open);
	if (open != NIL)
		keyless->by_values = strhash_create(CurrentMemoryContext, list_length(open), NULL);
	foreach(cell, open)
	{
		TupleDesc	desc = RelationGetDescr(rel);
		Keyless    *k = palloc(sizeof(Keyless));
		bool		isnull;
		char	   *values;

		k->tuple = lfirst(cell);
		values = values_text(TextDatumGetCString(heap_getattr(k->tuple, att[MEASURE], desc, &isnull)),
						   DatumGetJsonbP(heap_getattr(k->tuple, att[MAPPED], desc, &isnull)));
		k->next = strhash_get(keyless->by_values, values, strlen(values), 0);
		strhash_put(keyless->by_values, values, strlen(values), 0, k);
	}
	table_close(rel, AccessShareLock);
	return keyless;
}

void
bj_parked_keyless_claim(ParkedKeyless *keyless, const UsageRow *row, const char *resolution)
{
	AttrNumber	att[NCOLUMNS];
	Relation	rel = keyless->by_values ? open_parked(RowExclusiveLock, att) : NULL;

	if (rel == NULL)
		return;
	for (int i = 0; i < row->nmeasures; i++)
	{
		const UsageMeasure *m = &row->measures[i];
		char	   *values = values_text(m->bound->measure, bj_usagerow_mapped(row, m));
		Keyless    *k = strhash_get(keyless->by_values, values, strlen(values), 0);

		/* false: somebody else took it, for a row like ours */
		while (k != NULL && !resolve(rel, att, k->tuple, resolution))
			k = k->next;
		if (k != NULL)
			strhash_put(keyless->by_values, values, strlen(values), 0, k->next);
	}
	table_close(rel, NoLock);
}
