/*
 * touched.c
 *	  What this backend remembers of overrides until its transaction ends.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "executor/spi.h"
#include "utils/datum.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "apply.h"
#include "errors.h"
#include "ownerspi.h"
#include "posture.h"
#include "touched.h"

/* A row that a guard has approved and that is not stored yet. */
typedef struct Expected
{
	struct Expected *next;
	SubTransactionId subid;
	Oid			relid;
	HeapTuple	tuple;
	Expectation expectation;
	void	   *extra;
} Expected;

typedef struct Entry
{
	struct Entry *next;
	SubTransactionId subid;
	Touched		touched;
} Entry;

/* Both in TopTransactionContext, oldest first. */
static Expected *expected = NULL;
static Entry *entries = NULL;

/* Depth of triggers at which the library writes; -1: it does not. */
static int	engine_depth = -1;

/* ---- the library writes ---- */

int
bj_trigger_depth(void)
{
	return DatumGetInt32(DirectFunctionCall1(pg_trigger_depth, (Datum) 0));
}

uint64
bj_engine_run(const char *sql, int nargs, Oid *types, Datum *values,
			  const char *nulls)
{
	volatile int save = engine_depth;
	uint64		rows = 0;

	engine_depth = bj_trigger_depth();
	PG_TRY();
	{
		rows = bj_owner_run(sql, nargs, types, values, nulls, false);
	}
	PG_FINALLY();
	{
		engine_depth = save;
	}
	PG_END_TRY();
	return rows;
}

bool
bj_engine_writes(void)
{
	return engine_depth >= 0 && bj_trigger_depth() == engine_depth + 1;
}

/* ---- approved rows ---- */

void
bj_expect_row(Relation rel, HeapTuple tuple, Expectation expectation, void *extra)
{
	MemoryContext old = MemoryContextSwitchTo(TopTransactionContext);
	Expected   *e = palloc(sizeof(Expected));
	Expected  **end = &expected;

	*e = (Expected) {NULL, GetCurrentSubTransactionId(), RelationGetRelid(rel),
	heap_copytuple(tuple), expectation, extra};
	while (*end != NULL)
		end = &(*end)->next;
	*end = e;
	MemoryContextSwitchTo(old);
}

/* By value: what was stored may be compressed or out of line. */
static bool
rows_equal(TupleDesc desc, HeapTuple a, HeapTuple b)
{
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);
		bool		anull;
		bool		bnull;
		Datum		avalue;
		Datum		bvalue;

		if (att->attisdropped)
			continue;
		avalue = heap_getattr(a, i + 1, desc, &anull);
		bvalue = heap_getattr(b, i + 1, desc, &bnull);
		if (anull != bnull ||
			(!anull && !datum_image_eq(avalue, bvalue, att->attbyval, att->attlen)))
			return false;
	}
	return true;
}

bool
bj_expected_row(Relation rel, HeapTuple tuple, void **extra)
{
	for (Expected **e = &expected; *e != NULL; e = &(*e)->next)
	{
		Expected   *found = *e;

		if (found->relid != RelationGetRelid(rel) ||
			!rows_equal(RelationGetDescr(rel), found->tuple, tuple))
			continue;
		*e = found->next;
		if (extra != NULL)
			*extra = found->extra;
		heap_freetuple(found->tuple);
		pfree(found);
		return true;
	}
	return false;
}

/* ---- requests ---- */

void
bj_touch(const Touched *touched)
{
	Entry	  **end = &entries;
	Entry	   *entry = MemoryContextAlloc(TopTransactionContext, sizeof(Entry));

	*entry = (Entry) {NULL, GetCurrentSubTransactionId(), *touched};
	while (*end != NULL)
		end = &(*end)->next;
	*end = entry;
}

/*
 * All that is known of the request of an entry.  False if an earlier entry is
 * of the same one: then it was asked for before.
 */
static bool
gather(const Entry *entry, Touched *all)
{
	for (const Entry *e = entries; e != entry; e = e->next)
		if (e->touched.request_id == entry->touched.request_id)
			return false;
	*all = entry->touched;
	for (const Entry *e = entry->next; e != NULL; e = e->next)
	{
		if (e->touched.request_id != all->request_id)
			continue;
		all->applied = all->applied || e->touched.applied;
		all->decision_id = e->touched.decision_id ? e->touched.decision_id : all->decision_id;
		all->hold_id = e->touched.hold_id ? e->touched.hold_id : all->hold_id;
	}
	return true;
}

static bool
row_is_missing(void)
{
	for (const Expected *e = expected; e != NULL; e = e->next)
		if (e->expectation == BJ_MUST_BE_STORED)
			return true;
	return false;
}

static void
before_commit(void)
{
	OwnerScope	scope;

	/*
	 * Its guard ran and its row is not there: a trigger suppressed it, and the
	 * check that should have followed could not.
	 */
	if (row_is_missing())
		ereport(ERROR,
				(errcode(ERRCODE_BJ_SERVER_CONTROLLED),
				 errmsg("a row that was approved was not stored as it was approved"),
				 errhint("SELECT * FROM billadj.self_check(); -- names triggers and rules that are not billadj's")));
	if (entries == NULL)
		return;
	bj_posture_check();
	bj_owner_begin(&scope);
	for (Entry *entry = entries; entry != NULL; entry = entry->next)
	{
		Touched		touched;

		if (gather(entry, &touched))
			bj_apply_check_touched(&touched);
	}
	bj_owner_end(&scope);
}

static void
xact_callback(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
			before_commit();
			break;
		case XACT_EVENT_PRE_PREPARE:
			/* what is checked at commit must be true at commit */
			if (entries != NULL || expected != NULL)
				ereport(ERROR,
						(errcode(ERRCODE_BJ_PREPARE),
						 errmsg("a transaction with override decisions cannot be prepared"),
						 errdetail("An authority could end between PREPARE TRANSACTION and COMMIT PREPARED."),
						 errhint("Use COMMIT.")));
			break;
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:
			expected = NULL;
			entries = NULL;
			engine_depth = -1;
			break;
		default:
			break;
	}
}

/* What a savepoint took back is forgotten; the rest is its parent's. */
static void
subxact_callback(SubXactEvent event, SubTransactionId my, SubTransactionId up, void *arg)
{
	if (event != SUBXACT_EVENT_COMMIT_SUB && event != SUBXACT_EVENT_ABORT_SUB)
		return;
	for (Expected **e = &expected; *e != NULL;)
		if ((*e)->subid != my)
			e = &(*e)->next;
		else if (event == SUBXACT_EVENT_COMMIT_SUB)
			(*e)->subid = up;
		else
			*e = (*e)->next;
	for (Entry **e = &entries; *e != NULL;)
		if ((*e)->subid != my)
			e = &(*e)->next;
		else if (event == SUBXACT_EVENT_COMMIT_SUB)
			(*e)->subid = up;
		else
			*e = (*e)->next;
}

void
bj_touched_init(void)
{
	RegisterXactCallback(xact_callback, NULL);
	RegisterSubXactCallback(subxact_callback, NULL);
}
