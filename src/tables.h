/*
 * tables.h
 *	  Where our own tables are, and where their columns are in them.
 */
#ifndef BILLADJ_TABLES_H
#define BILLADJ_TABLES_H

#include "postgres.h"

#include "access/htup.h"
#include "executor/tuptable.h"
#include "storage/lockdefs.h"
#include "utils/relcache.h"
#include "utils/snapshot.h"

#include "compat.h"

typedef enum BjTable
{
	BJ_TABLE_INSTANCE,
	BJ_TABLE_ACCOUNT,
	BJ_TABLE_METER,
	BJ_TABLE_RATE_CARD,
	BJ_TABLE_PRICE,
	BJ_TABLE_PRICE_TIER,
	BJ_TABLE_ATTACHMENT,
	BJ_TABLE_CHARGE,
	BJ_TABLE_TIER_TOTAL,
	BJ_TABLE_PARKED_USAGE,
	BJ_TABLE_SHADOW_CHARGE,
	BJ_TABLE_SHADOW_TOTAL,
	BJ_TABLE_AUDIT_ENTRY,
	BJ_TABLE_AUDIT_BLOCK,
	BJ_TABLE_AUDIT_CHAIN,
	BJ_TABLE_PRIVATE_TEXT,
	BJ_TABLE_AUDIT_ID_SEQ,
	BJ_TABLE_TEXT_ID_SEQ,
	BJ_TABLE_DETECTOR,
	BJ_TABLE_PEER_GROUP,
	BJ_TABLE_THRESHOLD_STEP,
	BJ_TABLE_USUAL_BILL,
	BJ_TABLE_BASELINE,
	BJ_TABLE_OPEN_BUCKET,
	BJ_TABLE_ANOMALY,
	BJ_TABLE_ANOMALY_ID_SEQ,
	BJ_TABLE_HOLD,
	BJ_TABLE_HOLD_ID_SEQ,
	BJ_TABLE_PROPOSAL,
	BJ_TABLE_PROPOSAL_ID_SEQ,
	BJ_TABLE_OUTBOX,
	BJ_TABLE_OUTBOX_ID_SEQ,
	BJ_TABLE_RECURRING_TOTAL,
	BJ_TABLE_CHARGE_ID_SEQ,
	BJ_TABLE_TERM,
	BJ_TABLE_TERM_KEY,			/* the index of its primary key */
	BJ_TABLE_BILLING_CYCLE,
	BJ_TABLE_PLAN_PRICE,
	BJ_TABLE_SUBSCRIPTION
} BjTable;

#define BJ_NTABLES (BJ_TABLE_SUBSCRIPTION + 1)

/*
 * Where charges and totals are kept: those that are billed, or those that are
 * only compared with what the host bills.
 */
typedef enum BjBook
{
	BJ_BOOK_BILLED,
	BJ_BOOK_SHADOW
} BjBook;

extern void bj_tables_init(void);

/* Name of the table, for messages. */
extern const char *bj_table_name(BjTable table);

/* InvalidOid while the table does not exist. */
extern Oid	bj_table_oid(BjTable table);

/* Opens and locks; NULL while the table does not exist. */
extern Relation bj_table_open(BjTable table, LOCKMODE lockmode);

/*
 * Opens and locks any relation; NULL if it does not exist.  The caller closes
 * it without a lockmode: the lock is kept until the end of the transaction, so
 * that the next call need not ask for it.
 */
extern Relation bj_relation_open_kept(Oid relid, LOCKMODE lockmode);

/* A column that the library reads or writes without the parser. */
typedef struct Column
{
	const char *name;
	Oid			type;
	bool		not_null;		/* it is read without asking */
} Column;

/*
 * Looks up columns by name: attnums[i] becomes the attribute number of
 * columns[i].  Columns that a later version adds, and dropped ones, do no
 * harm.  Returns NULL, or the first name that is missing, of another type, or
 * no longer NOT NULL: its values would be taken for what they are not.
 */
extern const char *bj_columns_find(Relation rel, const Column *columns,
								   int n, AttrNumber *attnums);

/*
 * Opens, locks and looks up the columns.  NULL with *problem set, in the
 * current context, if the table or one of them is missing; the lock is kept.
 */
extern Relation bj_table_open_columns(BjTable table, LOCKMODE lockmode,
									  const Column *columns, int n,
									  AttrNumber *attnums,
									  const char **problem);

/*
 * A usable btree index of rel whose leading columns are att[columns[0]],
 * att[columns[1]] … in this order; InvalidOid if there is none.  Neither
 * partial nor on expressions.
 */
extern Oid	bj_index_by_columns(Relation rel, const AttrNumber *att,
								const int *columns, int n);

/* The next number of a sequence; 0 while it does not exist. */
extern int64 bj_table_next(BjTable sequence);

typedef enum BjLocked
{
	BJ_LOCKED,
	BJ_CHANGED,					/* that version is not valid any more */
	BJ_BUSY						/* somebody is writing it */
} BjLocked;

/* Locks a version that is on its page, against writers; BJ_BUSY only without wait. */
extern BjLocked bj_table_lock(Relation rel, ItemPointerData tid, bool wait);

/* Adds the index entries that a tuple just written to rel needs. */
extern void bj_table_index(Relation rel, HeapTuple tuple, BjIndexing indexing);

/*
 * Writes a row past executor, triggers, policies and column grants, with its
 * index entries.  Unique indexes are obeyed, other constraints are not.
 */
extern void bj_table_append(Relation rel, HeapTuple tuple);

/*
 * What INSERT … ON CONFLICT DO NOTHING does, in the same way, for the row in
 * the slot: false if such a row was there or came meanwhile.
 */
extern bool bj_table_create(Relation rel, TupleTableSlot *slot);

/* Called with every relcache invalidation; see bj_tables_on_change(). */
typedef void (*BjChange) (Oid relid);
extern void bj_tables_on_change(BjChange change);

/* Is relid one of the tables (whose OIDs are known to this session)? */
extern bool bj_table_is(BjTable table, Oid relid);

#endif							/* BILLADJ_TABLES_H */
