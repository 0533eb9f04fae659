/*
 * compat.h
 *	  What differs between the major versions of the server, 15 to 18.
 *
 * The only file that asks for PG_VERSION_NUM.  Each function behaves the same
 * on all of them; its comment says in which version the call below it changed.
 */
#ifndef BILLADJ_COMPAT_H
#define BILLADJ_COMPAT_H

#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "catalog/pg_class.h"
#include "executor/executor.h"
#include "storage/bufmgr.h"
#include "utils/acl.h"
#include "utils/rangetypes.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#if PG_VERSION_NUM >= 160000
#include "varatt.h"				/* 16: no longer part of postgres.h */
#endif

/* 18: a word before the declaration, no longer one behind it. */
#ifndef pg_noreturn
#define pg_noreturn pg_attribute_noreturn()
#endif

/* Which indexes need an entry for the new version of a row. */
typedef enum BjIndexing
{
	BJ_INDEX_NONE,
	BJ_INDEX_SUMMARIZING,		/* heap-only, but a BRIN index covers a
								 * changed column: from 16 on */
	BJ_INDEX_ALL
} BjIndexing;

/*
 * heap_update() that waits for a holder of the row and checks no snapshot.
 * *indexing is set on TM_Ok.  16: the server says which indexes; before, a
 * heap-only version needs none (a BRIN index prevents one).
 */
static inline TM_Result
bj_compat_update(Relation rel, ItemPointer tid, HeapTuple tuple, CommandId cid,
				 BjIndexing *indexing)
{
	TM_FailureData failure;
	LockTupleMode lockmode;
#if PG_VERSION_NUM >= 160000
	TU_UpdateIndexes update = TU_None;
	TM_Result	result = heap_update(rel, tid, tuple, cid, InvalidSnapshot, true,
									 &failure, &lockmode, &update);

	*indexing = update == TU_All ? BJ_INDEX_ALL :
		update == TU_Summarizing ? BJ_INDEX_SUMMARIZING : BJ_INDEX_NONE;
#else
	TM_Result	result = heap_update(rel, tid, tuple, cid, InvalidSnapshot, true,
									 &failure, &lockmode);

	*indexing = HeapTupleIsHeapOnly(tuple) ? BJ_INDEX_NONE : BJ_INDEX_ALL;
#endif
	return result;
}

/*
 * ExecInsertIndexTuples() for a row that is new to the indexes.  With conflict
 * given, a duplicate is told there and raises nothing.  16: summarizing ones
 * only, on demand.
 */
static inline void
bj_compat_insert_index_tuples(ResultRelInfo *rri, TupleTableSlot *slot,
							  EState *estate, bool *conflict, BjIndexing indexing)
{
#if PG_VERSION_NUM >= 160000
	list_free(ExecInsertIndexTuples(rri, slot, estate, false, conflict != NULL, conflict,
									NIL, indexing == BJ_INDEX_SUMMARIZING));
#else
	list_free(ExecInsertIndexTuples(rri, slot, estate, false, conflict != NULL, conflict,
									NIL));
#endif
}

/* 18: the row that may be in its own way is named; ours is in no index yet. */
static inline bool
bj_compat_check_index_constraints(ResultRelInfo *rri, TupleTableSlot *slot,
								  EState *estate, ItemPointer conflict)
{
#if PG_VERSION_NUM >= 180000
	ItemPointerData none;

	ItemPointerSetInvalid(&none);
	return ExecCheckIndexConstraints(rri, slot, estate, conflict, &none, NIL);
#else
	return ExecCheckIndexConstraints(rri, slot, estate, conflict, NIL);
#endif
}

/* 18: counts for EXPLAIN, which we do not take part in. */
static inline IndexScanDesc
bj_compat_index_beginscan(Relation rel, Relation index, Snapshot snapshot, int nkeys)
{
#if PG_VERSION_NUM >= 180000
	return index_beginscan(rel, index, snapshot, NULL, nkeys, 0);
#else
	return index_beginscan(rel, index, snapshot, nkeys, 0);
#endif
}

/* The index of a primary key that is checked at once.  18: deferrable ones on demand. */
static inline Oid
bj_compat_primary_key(Relation rel)
{
#if PG_VERSION_NUM >= 180000
	return RelationGetPrimaryKeyIndex(rel, false);
#else
	return RelationGetPrimaryKeyIndex(rel);
#endif
}

/* The file of a relation: another after CLUSTER or TRUNCATE.  16: renamed. */
static inline Oid
bj_compat_filenode(Relation rel)
{
#if PG_VERSION_NUM >= 160000
	return rel->rd_locator.relNumber;
#else
	return rel->rd_node.relNode;
#endif
}

/* Pins a buffer if it still holds the block.  16: the file's name is a locator. */
static inline bool
bj_compat_read_recent(Relation rel, BlockNumber block, Buffer buffer)
{
#if PG_VERSION_NUM >= 160000
	return ReadRecentBuffer(rel->rd_locator, MAIN_FORKNUM, block, buffer);
#else
	return ReadRecentBuffer(rel->rd_node, MAIN_FORKNUM, block, buffer);
#endif
}

/* 16: one function for all classes of objects. */
static inline bool
bj_compat_owns_table(Oid relid, Oid role)
{
#if PG_VERSION_NUM >= 160000
	return object_ownercheck(RelationRelationId, relid, role);
#else
	return pg_class_ownercheck(relid, role);
#endif
}

/* A range that is not empty.  16: a place for soft errors. */
static inline RangeType *
bj_compat_make_range(TypeCacheEntry *type, RangeBound *lower, RangeBound *upper)
{
#if PG_VERSION_NUM >= 160000
	return make_range(type, lower, upper, false, NULL);
#else
	return make_range(type, lower, upper, false);
#endif
}

#endif							/* BILLADJ_COMPAT_H */
