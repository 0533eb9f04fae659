/*
 * tables.c
 *	  Where our own tables are, and where their columns are in them.
 *
 * The tables are ordinary objects of the DBA's database: they may be missing,
 * dropped, restored, altered.  Nothing here assumes more than their names.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/relation.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_am.h"
#include "catalog/pg_index.h"
#include "commands/sequence.h"
#include "executor/executor.h"
#include "nodes/execnodes.h"
#include "pgstat.h"
#include "storage/lmgr.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "tables.h"

#define MAX_LISTENERS 8

/* The most columns that anybody looks up, and the lookups that are kept. */
#define MAX_COLUMNS 48
#define LOOKUPS_KEPT 32

static const char *const table_names[BJ_NTABLES] = {
	[BJ_TABLE_INSTANCE] = "instance",
	[BJ_TABLE_ACCOUNT] = "account",
	[BJ_TABLE_METER] = "meter",
	[BJ_TABLE_RATE_CARD] = "rate_card",
	[BJ_TABLE_PRICE] = "price",
	[BJ_TABLE_PRICE_TIER] = "price_tier",
	[BJ_TABLE_ATTACHMENT] = "attachment",
	[BJ_TABLE_CHARGE] = "charge",
	[BJ_TABLE_TIER_TOTAL] = "tier_total",
	[BJ_TABLE_PARKED_USAGE] = "parked_usage",
	[BJ_TABLE_SHADOW_CHARGE] = "shadow_charge",
	[BJ_TABLE_SHADOW_TOTAL] = "shadow_total",
	[BJ_TABLE_AUDIT_ENTRY] = "audit_entry",
	[BJ_TABLE_AUDIT_BLOCK] = "audit_block",
	[BJ_TABLE_AUDIT_CHAIN] = "audit_chain",
	[BJ_TABLE_PRIVATE_TEXT] = "private_text",
	[BJ_TABLE_AUDIT_ID_SEQ] = "audit_id_seq",
	[BJ_TABLE_TEXT_ID_SEQ] = "text_id_seq",
	[BJ_TABLE_DETECTOR] = "detector",
	[BJ_TABLE_PEER_GROUP] = "peer_group",
	[BJ_TABLE_THRESHOLD_STEP] = "threshold_step",
	[BJ_TABLE_USUAL_BILL] = "usual_bill",
	[BJ_TABLE_BASELINE] = "baseline",
	[BJ_TABLE_OPEN_BUCKET] = "open_bucket",
	[BJ_TABLE_ANOMALY] = "anomaly",
	[BJ_TABLE_ANOMALY_ID_SEQ] = "anomaly_id_seq",
	[BJ_TABLE_HOLD] = "hold",
	[BJ_TABLE_HOLD_ID_SEQ] = "hold_id_seq",
	[BJ_TABLE_PROPOSAL] = "proposal",
	[BJ_TABLE_PROPOSAL_ID_SEQ] = "proposal_id_seq",
	[BJ_TABLE_OUTBOX] = "outbox",
	[BJ_TABLE_OUTBOX_ID_SEQ] = "outbox_id_seq",
	[BJ_TABLE_RECURRING_TOTAL] = "recurring_total",
	[BJ_TABLE_CHARGE_ID_SEQ] = "charge_id_seq",
	[BJ_TABLE_TERM] = "term",
	[BJ_TABLE_TERM_KEY] = "term_pkey",
	[BJ_TABLE_BILLING_CYCLE] = "billing_cycle",
	[BJ_TABLE_PLAN_PRICE] = "plan_price",
	[BJ_TABLE_SUBSCRIPTION] = "subscription"
};

static Oid	table_oids[BJ_NTABLES];

/* Columns of a relation that were found; true until the relation changes. */
typedef struct Lookup
{
	Oid			relid;
	const Column *columns;
	AttrNumber	attnums[MAX_COLUMNS];
} Lookup;

static Lookup lookups[LOOKUPS_KEPT];
static int	next_lookup = 0;
static BjChange listeners[MAX_LISTENERS];
static int	nlisteners = 0;

/*
 * One relcache callback for the library: the server has few slots for them,
 * and an invalidation of everything must reach all of us.
 */
static void
relation_changed(Datum arg, Oid relid)
{
	for (int i = 0; i < nlisteners; i++)
		listeners[i] (relid);
	for (int i = 0; i < BJ_NTABLES; i++)
		if (!OidIsValid(relid) || table_oids[i] == relid)
			table_oids[i] = InvalidOid;
	for (int i = 0; i < LOOKUPS_KEPT; i++)
		if (!OidIsValid(relid) || lookups[i].relid == relid)
			lookups[i].relid = InvalidOid;
}

/*
 * Relations that this transaction has locked through bj_relation_open_kept(): to
 * ask for a lock that one has costs as much again as to open the relation.
 */
#define HELD_KEPT 12

static struct
{
	Oid			relid;
	LOCKMODE	lockmode;
}			held[HELD_KEPT];
static int	nheld = 0;

static void
transaction_ended(XactEvent event, void *arg)
{
	if (event != XACT_EVENT_PRE_COMMIT && event != XACT_EVENT_PRE_PREPARE &&
		event != XACT_EVENT_PARALLEL_PRE_COMMIT)
		nheld = 0;
}

/* A rollback releases the locks of the subtransaction, and we do not know whose are whose. */
static void
subtransaction_ended(SubXactEvent event, SubTransactionId my, SubTransactionId up, void *arg)
{
	if (event == SUBXACT_EVENT_ABORT_SUB)
		nheld = 0;
}

void
bj_tables_init(void)
{
	CacheRegisterRelcacheCallback(relation_changed, (Datum) 0);
	RegisterXactCallback(transaction_ended, NULL);
	RegisterSubXactCallback(subtransaction_ended, NULL);
}

Relation
bj_relation_open_kept(Oid relid, LOCKMODE lockmode)
{
	Relation	rel;

	for (int i = 0; i < nheld; i++)
		if (held[i].relid == relid && held[i].lockmode == lockmode)
		{
			rel = RelationIdGetRelation(relid);
			if (rel != NULL)
				pgstat_init_relation(rel);
			return rel;
		}

	/* as try_relation_open(), but pg_class is asked by the relcache only */
	LockRelationOid(relid, lockmode);
	rel = RelationIdGetRelation(relid);
	if (rel == NULL)
	{
		UnlockRelationOid(relid, lockmode);
		return NULL;
	}
	pgstat_init_relation(rel);
	if (nheld < HELD_KEPT)
	{
		held[nheld].relid = relid;
		held[nheld++].lockmode = lockmode;
	}
	return rel;
}

void
bj_tables_on_change(BjChange change)
{
	Assert(nlisteners < MAX_LISTENERS);
	listeners[nlisteners++] = change;
}

const char *
bj_table_name(BjTable table)
{
	return table_names[table];
}

Oid
bj_table_oid(BjTable table)
{
	if (!OidIsValid(table_oids[table]))
	{
		Oid			schema = get_namespace_oid("billadj", true);
		Oid			relid = InvalidOid;

		if (OidIsValid(schema))
			relid = get_relname_relid(table_names[table], schema);
		/* the lookups may have processed an invalidation: assign last */
		table_oids[table] = relid;
		return relid;
	}
	return table_oids[table];
}

bool
bj_table_is(BjTable table, Oid relid)
{
	return OidIsValid(relid) && table_oids[table] == relid;
}

static Relation
table_open_by(BjTable table, LOCKMODE lockmode, Relation (*open) (Oid, LOCKMODE))
{
	/* twice: waiting for the lock may have shown that the table was replaced */
	for (int i = 0; i < 2; i++)
	{
		Oid			relid = bj_table_oid(table);
		Relation	rel;

		if (!OidIsValid(relid))
			return NULL;
		rel = open(relid, lockmode);
		if (rel != NULL)
			return rel;
		table_oids[table] = InvalidOid;
	}
	return NULL;
}

Relation
bj_table_open(BjTable table, LOCKMODE lockmode)
{
	return table_open_by(table, lockmode, try_relation_open);
}

static bool
column_is(TupleDesc desc, int i, const Column *column)
{
	Form_pg_attribute att = TupleDescAttr(desc, i);

	return att->atttypid == column->type && !att->attisdropped &&
		(att->attnotnull || !column->not_null) &&
		strcmp(NameStr(att->attname), column->name) == 0;
}

static AttrNumber
column_find(TupleDesc desc, const Column *column, int likely)
{
	if (likely < desc->natts && column_is(desc, likely, column))
		return likely + 1;

	for (int i = 0; i < desc->natts; i++)
		if (column_is(desc, i, column))
			return i + 1;
	return InvalidAttrNumber;
}

const char *
bj_columns_find(Relation rel, const Column *columns, int n,
				AttrNumber *attnums)
{
	TupleDesc	desc = RelationGetDescr(rel);
	Lookup	   *lookup;

	Assert(n <= MAX_COLUMNS);
	for (int i = 0; i < LOOKUPS_KEPT; i++)
		if (lookups[i].relid == RelationGetRelid(rel) && lookups[i].columns == columns)
		{
			memcpy(attnums, lookups[i].attnums, n * sizeof(AttrNumber));
			return NULL;
		}
	for (int i = 0; i < n; i++)
	{
		attnums[i] = column_find(desc, &columns[i], i);
		if (attnums[i] == InvalidAttrNumber)
			return columns[i].name;
	}
	lookup = &lookups[next_lookup];
	next_lookup = (next_lookup + 1) % LOOKUPS_KEPT;
	lookup->relid = RelationGetRelid(rel);
	lookup->columns = columns;
	memcpy(lookup->attnums, attnums, n * sizeof(AttrNumber));
	return NULL;
}

Relation
bj_table_open_columns(BjTable table, LOCKMODE lockmode, const Column *columns,
					  int n, AttrNumber *attnums, const char **problem)
{
	Relation	rel = table_open_by(table, lockmode, bj_relation_open_kept);
	const char *missing;

	if (rel == NULL)
	{
		*problem = psprintf("table billadj.%s does not exist", bj_table_name(table));
		return NULL;
	}
	missing = bj_columns_find(rel, columns, n, attnums);
	if (missing == NULL)
		return rel;
	*problem = psprintf("column %s of table billadj.%s is not what this library knows",
						missing, bj_table_name(table));
	relation_close(rel, NoLock);
	return NULL;
}

/* Does the index lead with these columns, plainly? */
static bool
index_leads_with(Relation index, const AttrNumber *att, const int *columns, int n)
{
	Form_pg_index form = index->rd_index;

	if (!form->indisvalid || !form->indislive || index->rd_rel->relam != BTREE_AM_OID ||
		form->indnkeyatts < n || RelationGetIndexPredicate(index) != NIL)
		return false;
	for (int i = 0; i < n; i++)
		if (form->indkey.values[i] != att[columns[i]])
			return false;
	return true;
}

Oid
bj_index_by_columns(Relation rel, const AttrNumber *att, const int *columns, int n)
{
	List	   *indexes = RelationGetIndexList(rel);
	ListCell   *cell;
	Oid			found = InvalidOid;

	foreach(cell, indexes)
	{
		Relation	index = try_relation_open(lfirst_oid(cell), AccessShareLock);

		if (index == NULL)
			continue;
		if (index_leads_with(index, att, columns, n))
			found = RelationGetRelid(index);
		relation_close(index, AccessShareLock);
		if (OidIsValid(found))
			break;
	}
	list_free(indexes);
	return found;
}

void
bj_table_index(Relation rel, HeapTuple tuple, BjIndexing indexing)
{
	EState	   *estate;
	ResultRelInfo *rri;
	TupleTableSlot *slot;

	if (indexing == BJ_INDEX_NONE)
		return;
	estate = CreateExecutorState();
	rri = makeNode(ResultRelInfo);
	slot = MakeSingleTupleTableSlot(RelationGetDescr(rel), &TTSOpsHeapTuple);
	InitResultRelInfo(rri, rel, 1, NULL, 0);
	ExecOpenIndices(rri, false);
	ExecStoreHeapTuple(tuple, slot, false);
	slot->tts_tid = tuple->t_self;
	if (rri->ri_NumIndices > 0)
		bj_compat_insert_index_tuples(rri, slot, estate, NULL, indexing);
	ExecCloseIndices(rri);
	ExecDropSingleTupleTableSlot(slot);
	FreeExecutorState(estate);
}

void
bj_table_append(Relation rel, HeapTuple tuple)
{
	heap_insert(rel, tuple, GetCurrentCommandId(true), 0, NULL);
	bj_table_index(rel, tuple, BJ_INDEX_ALL);
}

BjLocked
bj_table_lock(Relation rel, ItemPointerData tid, bool wait)
{
	HeapTupleData tuple = {.t_self = tid};
	TM_FailureData failure;
	Buffer		buffer;
	TM_Result	result = heap_lock_tuple(rel, &tuple, GetCurrentCommandId(true), LockTupleNoKeyExclusive,
										 wait ? LockWaitBlock : LockWaitSkip, false, &buffer, &failure);

	ReleaseBuffer(buffer);
	if (result == TM_WouldBlock)
		return BJ_BUSY;
	return result == TM_Ok ? BJ_LOCKED : BJ_CHANGED;
}

/*
 * A speculative insertion, so that two creators of one key meet in the index
 * and one of them looks again.
 */
static bool
insert_speculatively(Relation rel, ResultRelInfo *rri, TupleTableSlot *slot, EState *estate)
{
	ItemPointerData conflict;
	bool		met = false;
	uint32		token;

	if (!bj_compat_check_index_constraints(rri, slot, estate, &conflict))
		return false;			/* it waited for a creator in progress */
	token = SpeculativeInsertionLockAcquire(GetCurrentTransactionId());
	table_tuple_insert_speculative(rel, slot, GetCurrentCommandId(true), 0, NULL, token);
	bj_compat_insert_index_tuples(rri, slot, estate, &met, BJ_INDEX_ALL);
	table_tuple_complete_speculative(rel, slot, token, !met);
	SpeculativeInsertionLockRelease(GetCurrentTransactionId());
	return !met;
}

bool
bj_table_create(Relation rel, TupleTableSlot *slot)
{
	EState	   *estate = CreateExecutorState();
	ResultRelInfo *rri = makeNode(ResultRelInfo);
	bool		done;

	InitResultRelInfo(rri, rel, 1, NULL, 0);
	ExecOpenIndices(rri, true);
	done = insert_speculatively(rel, rri, slot, estate);
	ExecCloseIndices(rri);
	FreeExecutorState(estate);
	return done;
}

int64
bj_table_next(BjTable sequence)
{
	Oid			relid = bj_table_oid(sequence);

	return OidIsValid(relid) ? nextval_internal(relid, false) : 0;
}
