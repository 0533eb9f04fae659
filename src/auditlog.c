/*
 * auditlog.c
 *	  Store: the rows of the audit log.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/table.h"
#include "access/sysattr.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_am.h"
#include "catalog/pg_type.h"
#include "commands/sequence.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "auditlog.h"
#include "compat.h"
#include "errors.h"
#include "sha256.h"

static void
cannot_write(const char *problem)
{
	ereport(ERROR,
			(errcode(ERRCODE_BJ_NOT_INSTALLED),
			 errmsg("audit entry cannot be written: %s", problem),
			 errdetail("What cannot be recorded is not done."),
			 errhint("SELECT * FROM billadj.self_check();")));
}

static Datum
hash_datum(const Digest *hash)
{
	bytea	   *bytes = palloc(VARHDRSZ + BJ_HASH_SIZE);

	SET_VARSIZE(bytes, VARHDRSZ + BJ_HASH_SIZE);
	memcpy(VARDATA(bytes), hash->bytes, BJ_HASH_SIZE);
	return PointerGetDatum(bytes);
}

/* values[i] goes to column att[i]; other columns are NULL. */
static HeapTuple
form_row(Relation rel, const AttrNumber *att, const Datum *values, const bool *nulls, int n)
{
	TupleDesc	desc = RelationGetDescr(rel);
	Datum	   *row = palloc0(desc->natts * sizeof(Datum));
	bool	   *isnull = palloc(desc->natts * sizeof(bool));
	HeapTuple	tuple;

	memset(isnull, true, desc->natts);
	for (int i = 0; i < n; i++)
	{
		row[att[i] - 1] = values[i];
		isnull[att[i] - 1] = nulls != NULL && nulls[i];
	}
	tuple = heap_form_tuple(desc, row, isnull);
	tuple->t_tableOid = RelationGetRelid(rel);
	return tuple;
}

/* ---- entries ---- */

enum
{
	AUDIT_ID, CHAIN, BLOCK_ID, AT, ACTOR, ROLE_NAME, EVENT, OBJECT, ACCOUNT,
	PAYLOAD, LEAF, NENTRY
};

static const Column entry_columns[NENTRY] = {
	{"audit_id", INT8OID, true}, {"chain", INT4OID, true}, {"block_id", INT8OID, true},
	{"at", TIMESTAMPTZOID, true}, {"actor", TEXTOID, true}, {"role_name", TEXTOID, true},
	{"event", TEXTOID, true}, {"object", TEXTOID, true}, {"account", TEXTOID},
	{"payload", TEXTOID, true}, {"leaf", BYTEAOID, true}
};

int64
bj_auditlog_next_id(void)
{
	Oid			sequence = bj_table_oid(BJ_TABLE_AUDIT_ID_SEQ);

	if (!OidIsValid(sequence))
		cannot_write("sequence billadj.audit_id_seq does not exist");
	return nextval_internal(sequence, false);
}

static Text
utf8(const char *text)
{
	return text == NULL ? (Text) {NULL, 0} : bj_utf8(text, strlen(text));
}

static void
hash_entry(const AuditEntry *entry, Digest *hash)
{
	Leaf		leaf = {
		entry->audit_id, entry->chain, entry->block_id, entry->at,
		utf8(entry->actor), utf8(entry->role_name), utf8(entry->event),
		utf8(entry->object), utf8(entry->account), utf8(entry->payload)
	};
	Hasher		hasher;

	bj_sha256_open(&hasher);
	bj_leaf_hash(&hasher, &leaf, hash);
	bj_sha256_close(&hasher);
}

void
bj_auditlog_append(const AuditEntry *entry, Digest *hash)
{
	AttrNumber	att[NENTRY];
	const char *problem;
	Relation	rel = bj_table_open_columns(BJ_TABLE_AUDIT_ENTRY, RowExclusiveLock,
											entry_columns, NENTRY, att, &problem);
	Datum		values[NENTRY];
	bool		nulls[NENTRY] = {false};
	HeapTuple	tuple;

	if (rel == NULL)
		cannot_write(problem);
	hash_entry(entry, hash);
	values[AUDIT_ID] = Int64GetDatum(entry->audit_id);
	values[CHAIN] = Int32GetDatum(entry->chain);
	values[BLOCK_ID] = Int64GetDatum(entry->block_id);
	values[AT] = TimestampTzGetDatum(entry->at);
	values[ACTOR] = CStringGetTextDatum(entry->actor);
	values[ROLE_NAME] = CStringGetTextDatum(entry->role_name);
	values[EVENT] = CStringGetTextDatum(entry->event);
	values[OBJECT] = CStringGetTextDatum(entry->object);
	nulls[ACCOUNT] = entry->account == NULL;
	values[ACCOUNT] = nulls[ACCOUNT] ? (Datum) 0 : CStringGetTextDatum(entry->account);
	values[PAYLOAD] = CStringGetTextDatum(entry->payload);
	values[LEAF] = hash_datum(hash);
	tuple = form_row(rel, att, values, nulls, NENTRY);
	bj_table_append(rel, tuple);
	heap_freetuple(tuple);
	table_close(rel, NoLock);
}

/* ---- blocks ---- */

enum
{
	BLOCK_CHAIN, BLOCK_SEQ, BLOCK_BLOCK_ID, BLOCK_ENTRIES, BLOCK_ROOT, BLOCK_PREV,
	BLOCK_HASH, BLOCK_AT, NBLOCK
};

static const Column block_columns[NBLOCK] = {
	{"chain", INT4OID, true}, {"seq", INT8OID, true}, {"block_id", INT8OID, true},
	{"entries", INT8OID, true}, {"root", BYTEAOID, true}, {"prev", BYTEAOID, true},
	{"hash", BYTEAOID, true}, {"at", TIMESTAMPTZOID, true}
};

enum
{
	HEAD_CHAIN, HEAD_SEQ, HEAD_HASH, HEAD_ENTRIES, NHEAD
};

static const Column head_columns[NHEAD] = {
	{"chain", INT4OID, true}, {"seq", INT8OID, true}, {"hash", BYTEAOID, true},
	{"entries", INT8OID, true}
};

struct AuditChains
{
	Relation	blocks;
	Relation	heads;
	Relation	index;			/* of heads, on chain */
	AttrNumber	block_att[NBLOCK];
	AttrNumber	head_att[NHEAD];
	IndexScanDesc scan;
	TupleTableSlot *slot;
};

/* Opens the heads' primary key, which must be (chain). */
static bool
open_key(AuditChains *c)
{
	Oid			pkey = bj_compat_primary_key(c->heads);

	c->index = OidIsValid(pkey) ? try_relation_open(pkey, RowExclusiveLock) : NULL;
	return c->index != NULL && c->index->rd_index->indnkeyatts == 1 &&
		c->index->rd_index->indkey.values[0] == c->head_att[HEAD_CHAIN] &&
		c->heads->rd_rel->relam == HEAP_TABLE_AM_OID;
}

AuditChains *
bj_auditlog_open(const char **problem)
{
	AuditChains *c = palloc0(sizeof(AuditChains));

	c->heads = bj_table_open_columns(BJ_TABLE_AUDIT_CHAIN, RowExclusiveLock,
									 head_columns, NHEAD, c->head_att, problem);
	if (c->heads == NULL)
		return NULL;
	c->blocks = bj_table_open_columns(BJ_TABLE_AUDIT_BLOCK, RowExclusiveLock,
									  block_columns, NBLOCK, c->block_att, problem);
	if (c->blocks != NULL && open_key(c))
	{
		c->slot = table_slot_create(c->heads, NULL);
		c->scan = bj_compat_index_beginscan(c->heads, c->index, SnapshotSelf, 1);
		*problem = NULL;
		return c;
	}
	if (c->blocks != NULL)
	{
		*problem = "table billadj.audit_chain does not have the primary key that this library knows";
		table_close(c->blocks, NoLock);
	}
	if (c->index != NULL)
		relation_close(c->index, NoLock);
	table_close(c->heads, NoLock);
	return NULL;
}

void
bj_auditlog_close(AuditChains *c)
{
	index_endscan(c->scan);
	ExecDropSingleTupleTableSlot(c->slot);
	index_close(c->index, NoLock);
	table_close(c->blocks, NoLock);
	table_close(c->heads, NoLock);
	pfree(c);
}

/* A hash of another length than ours is none: the zero one. */
static Digest
slot_hash(TupleTableSlot *slot, AttrNumber att)
{
	Digest		hash = {{0}};
	bool		isnull;
	bytea	   *bytes = DatumGetByteaPP(slot_getattr(slot, att, &isnull));

	if (VARSIZE_ANY_EXHDR(bytes) == BJ_HASH_SIZE)
		memcpy(hash.bytes, VARDATA_ANY(bytes), BJ_HASH_SIZE);
	return hash;
}

bool
bj_auditlog_find_head(AuditChains *c, int32 chain, ChainHead *head)
{
	ScanKeyData key;
	bool		isnull;

	memset(head, 0, sizeof(*head));
	ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(chain));
	index_rescan(c->scan, &key, 1, NULL, 0);
	if (!index_getnext_slot(c->scan, ForwardScanDirection, c->slot))
	{
		ExecClearTuple(c->slot);
		return false;
	}
	head->seq = DatumGetInt64(slot_getattr(c->slot, c->head_att[HEAD_SEQ], &isnull));
	head->hash = slot_hash(c->slot, c->head_att[HEAD_HASH]);
	head->entries = DatumGetInt64(slot_getattr(c->slot, c->head_att[HEAD_ENTRIES], &isnull));
	head->tid = c->slot->tts_tid;
	return true;
}

static bool
update_head(AuditChains *c, const ChainHead *old, HeapTuple tuple)
{
	BjIndexing	indexing;
	ItemPointerData tid = old->tid;

	switch (bj_compat_update(c->heads, &tid, tuple, GetCurrentCommandId(true), &indexing))
	{
		case TM_Ok:
			bj_table_index(c->heads, tuple, indexing);
			return true;
		case TM_Updated:
		case TM_Deleted:
			return false;
		default:
			elog(ERROR, "the head of an audit chain was written twice in one command");
	}
	return false;
}

static bool
create_head(AuditChains *c, HeapTuple tuple)
{
	TupleTableSlot *slot = MakeSingleTupleTableSlot(RelationGetDescr(c->heads), &TTSOpsHeapTuple);
	TupleTableSlot *copy = table_slot_create(c->heads, NULL);
	bool		done;

	ExecStoreHeapTuple(tuple, slot, false);
	ExecCopySlot(copy, slot);
	done = bj_table_create(c->heads, copy);
	ExecDropSingleTupleTableSlot(copy);
	ExecDropSingleTupleTableSlot(slot);
	return done;
}

bool
bj_auditlog_move_head(AuditChains *c, int32 chain, bool found, const ChainHead *old,
					  const ChainHead *head)
{
	Datum		values[NHEAD];
	HeapTuple	tuple;
	bool		done;

	values[HEAD_CHAIN] = Int32GetDatum(chain);
	values[HEAD_SEQ] = Int64GetDatum(head->seq);
	values[HEAD_HASH] = hash_datum(&head->hash);
	values[HEAD_ENTRIES] = Int64GetDatum(head->entries);
	tuple = form_row(c->heads, c->head_att, values, NULL, NHEAD);
	done = found ? update_head(c, old, tuple) : create_head(c, tuple);
	heap_freetuple(tuple);
	return done;
}

void
bj_auditlog_append_block(AuditChains *c, const AuditBlock *block, const Digest *hash)
{
	Datum		values[NBLOCK];
	HeapTuple	tuple;

	values[BLOCK_CHAIN] = Int32GetDatum(block->chain);
	values[BLOCK_SEQ] = Int64GetDatum(block->seq);
	values[BLOCK_BLOCK_ID] = Int64GetDatum(block->block_id);
	values[BLOCK_ENTRIES] = Int64GetDatum(block->entries);
	values[BLOCK_ROOT] = hash_datum(&block->root);
	values[BLOCK_PREV] = hash_datum(&block->prev);
	values[BLOCK_HASH] = hash_datum(hash);
	values[BLOCK_AT] = TimestampTzGetDatum(block->at);
	tuple = form_row(c->blocks, c->block_att, values, NULL, NBLOCK);
	bj_table_append(c->blocks, tuple);
	heap_freetuple(tuple);
}

/* ---- reading all of it ---- */

struct AuditScan
{
	Relation	rel;
	TableScanDesc scan;
	TupleTableSlot *slot;
	MemoryContext context;		/* of one row */
	AttrNumber	att[NENTRY];
};

AuditScan *
bj_auditlog_scan(BjTable table, const char **problem)
{
	AuditScan  *s = palloc0(sizeof(AuditScan));

	StaticAssertStmt((int) NBLOCK <= (int) NENTRY && (int) NHEAD <= (int) NENTRY,
					 "att has room for any of them");
	if (table == BJ_TABLE_AUDIT_ENTRY)
		s->rel = bj_table_open_columns(table, AccessShareLock, entry_columns, NENTRY, s->att, problem);
	else if (table == BJ_TABLE_AUDIT_BLOCK)
		s->rel = bj_table_open_columns(table, AccessShareLock, block_columns, NBLOCK, s->att, problem);
	else
		s->rel = bj_table_open_columns(table, AccessShareLock, head_columns, NHEAD, s->att, problem);
	if (s->rel == NULL)
		return NULL;
	s->slot = table_slot_create(s->rel, NULL);
	s->scan = table_beginscan(s->rel, GetActiveSnapshot(), 0, NULL);
	s->context = AllocSetContextCreate(CurrentMemoryContext, "billadj audit row", ALLOCSET_DEFAULT_SIZES);
	return s;
}

void
bj_auditlog_end(AuditScan *s)
{
	table_endscan(s->scan);
	ExecDropSingleTupleTableSlot(s->slot);
	table_close(s->rel, NoLock);
	MemoryContextDelete(s->context);
	pfree(s);
}

static bool
next_row(AuditScan *s)
{
	CHECK_FOR_INTERRUPTS();
	MemoryContextReset(s->context);
	if (!table_scan_getnextslot(s->scan, ForwardScanDirection, s->slot))
		return false;
	slot_getallattrs(s->slot);
	return true;
}

static int64
integer(AuditScan *s, int column)
{
	return DatumGetInt64(s->slot->tts_values[s->att[column] - 1]);
}

static Text
utf8_column(AuditScan *s, int column)
{
	text	   *value;

	if (s->slot->tts_isnull[s->att[column] - 1])
		return (Text) {NULL, 0};
	value = DatumGetTextPP(s->slot->tts_values[s->att[column] - 1]);
	return bj_utf8(VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value));
}

bool
bj_auditlog_next_entry(AuditScan *s, Leaf *leaf, Digest *hash, bool *own)
{
	MemoryContext old;
	bool		isnull;

	if (!next_row(s))
		return false;
	old = MemoryContextSwitchTo(s->context);
	leaf->audit_id = integer(s, AUDIT_ID);
	leaf->chain = DatumGetInt32(s->slot->tts_values[s->att[CHAIN] - 1]);
	leaf->block_id = integer(s, BLOCK_ID);
	leaf->at = integer(s, AT);
	leaf->actor = utf8_column(s, ACTOR);
	leaf->role_name = utf8_column(s, ROLE_NAME);
	leaf->event = utf8_column(s, EVENT);
	leaf->object = utf8_column(s, OBJECT);
	leaf->account = utf8_column(s, ACCOUNT);
	leaf->payload = utf8_column(s, PAYLOAD);
	*hash = slot_hash(s->slot, s->att[LEAF]);
	*own = TransactionIdIsCurrentTransactionId(DatumGetTransactionId(slot_getsysattr(s->slot, MinTransactionIdAttributeNumber, &isnull)));
	MemoryContextSwitchTo(old);
	return true;
}

bool
bj_auditlog_next_block(AuditScan *s, AuditBlock *block, Digest *hash)
{
	MemoryContext old;

	if (!next_row(s))
		return false;
	old = MemoryContextSwitchTo(s->context);
	block->chain = DatumGetInt32(s->slot->tts_values[s->att[BLOCK_CHAIN] - 1]);
	block->seq = integer(s, BLOCK_SEQ);
	block->block_id = integer(s, BLOCK_BLOCK_ID);
	block->entries = integer(s, BLOCK_ENTRIES);
	block->at = integer(s, BLOCK_AT);
	block->root = slot_hash(s->slot, s->att[BLOCK_ROOT]);
	block->prev = slot_hash(s->slot, s->att[BLOCK_PREV]);
	*hash = slot_hash(s->slot, s->att[BLOCK_HASH]);
	MemoryContextSwitchTo(old);
	return true;
}

bool
bj_auditlog_next_head(AuditScan *s, int32 *chain, ChainHead *head)
{
	if (!next_row(s))
		return false;
	*chain = DatumGetInt32(s->slot->tts_values[s->att[HEAD_CHAIN] - 1]);
	head->seq = integer(s, HEAD_SEQ);
	head->hash = slot_hash(s->slot, s->att[HEAD_HASH]);
	head->entries = integer(s, HEAD_ENTRIES);
	return true;
}
