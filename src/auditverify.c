/*
 * auditverify.c
 *	  Is the audit log what was written?  Checks every row of it.
 *
 * Whole tables are read and sorted here, no index is asked: whoever alters rows
 * could have kept them out of an index.  The entries are hashed as they are
 * read; only their leaves are sorted, so that memory and time do not grow with
 * what the entries say.
 */
#include "postgres.h"

#include "catalog/pg_operator_d.h"
#include "catalog/pg_type_d.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/tuplesort.h"

#include "auditlog.h"
#include "auditverify.h"
#include "compat.h"
#include "errors.h"
#include "sha256.h"

/*
 * How far the clock may go back between two blocks: it is set now and then by
 * whatever keeps it right.
 */
#define CLOCK_SLACK (60 * USECS_PER_SEC)

/* What the parts share. */
typedef struct Verifier
{
	const AnchoredHead *anchored;
	ChainVerdict *verdicts;
	Hasher		hasher;
	int64		unsealed[BJ_VERDICTS];	/* lowest audit_id that no block seals */
} Verifier;

static int
place_of(int32 chain)
{
	return chain >= 0 && chain < BJ_CHAINS ? chain : BJ_CHAINS;
}

/* Blocks come by seq, so the first fault that is told is the first one. */
pg_attribute_printf(5, 6)
static void
fault(Verifier *v, int32 chain, int64 seq, int64 audit_id, const char *format,...)
{
	ChainVerdict *verdict = &v->verdicts[place_of(chain)];
	StringInfoData words;
	va_list		args;

	if (verdict->problem != NULL)
		return;
	initStringInfo(&words);
	for (;;)
	{
		int			needed;

		va_start(args, format);
		needed = appendStringInfoVA(&words, format, args);
		va_end(args);
		if (needed == 0)
			break;
		enlargeStringInfo(&words, needed);
	}
	verdict->exists = true;
	verdict->problem = words.data;
	verdict->seq = seq;
	verdict->audit_id = audit_id;
}

static AuditScan *
scan(BjTable table)
{
	const char *problem;
	AuditScan  *s = bj_auditlog_scan(table, &problem);

	if (s == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_BJ_NOT_INSTALLED),
				 errmsg("the audit log cannot be read: %s", problem),
				 errhint("SELECT * FROM billadj.self_check();")));
	return s;
}

/* ---- sorting ---- */

/* Fixed rows, by their first two columns and the third. */
typedef struct Sorter
{
	Tuplesortstate *state;
	TupleTableSlot *in;
	TupleTableSlot *slot;		/* what comes out */
} Sorter;

static void
sort_begin(Sorter *sort, int bytes_columns, int integer_columns)
{
	TupleDesc	desc = CreateTemplateTupleDesc(integer_columns + bytes_columns);
	AttrNumber	keys[3] = {1, 2, 3};
	Oid			less[3] = {Int8LessOperator, Int8LessOperator, Int8LessOperator};
	Oid			collations[3] = {InvalidOid, InvalidOid, InvalidOid};
	bool		nulls_first[3] = {false, false, false};

	for (int i = 1; i <= integer_columns + bytes_columns; i++)
		TupleDescInitEntry(desc, i, NULL, i <= integer_columns ? INT8OID : BYTEAOID, -1, 0);
	sort->state = tuplesort_begin_heap(desc, 3, keys, less, collations, nulls_first,
									   maintenance_work_mem, NULL, TUPLESORT_NONE);
	sort->in = MakeSingleTupleTableSlot(desc, &TTSOpsVirtual);
	sort->slot = MakeSingleTupleTableSlot(desc, &TTSOpsMinimalTuple);
}

/* One virtual row in, of values that need not outlive the call. */
static void
sort_put(Sorter *sort, const int64 *integers, int n, const Digest *hashes, int nhashes)
{
	TupleTableSlot *slot = sort->in;
	struct
	{
		int32		header;
		Digest		hash;
	}			bytes[3];

	ExecClearTuple(slot);
	memset(slot->tts_isnull, false, n + nhashes);
	for (int i = 0; i < n; i++)
		slot->tts_values[i] = Int64GetDatum(integers[i]);
	for (int i = 0; i < nhashes; i++)
	{
		SET_VARSIZE(&bytes[i], VARHDRSZ + BJ_HASH_SIZE);
		bytes[i].hash = hashes[i];
		slot->tts_values[n + i] = PointerGetDatum(&bytes[i]);
	}
	ExecStoreVirtualTuple(slot);
	tuplesort_puttupleslot(sort->state, slot);
}

static bool
sort_next(Sorter *sort)
{
	CHECK_FOR_INTERRUPTS();
	if (!tuplesort_gettupleslot(sort->state, true, false, sort->slot, NULL))
		return false;
	slot_getallattrs(sort->slot);
	return true;
}

static int64
sorted_integer(Sorter *sort, int column)
{
	return DatumGetInt64(sort->slot->tts_values[column]);
}

static Digest
sorted_hash(Sorter *sort, int column)
{
	Digest		hash;

	memcpy(hash.bytes, VARDATA_ANY(DatumGetPointer(sort->slot->tts_values[column])), BJ_HASH_SIZE);
	return hash;
}

static void
sort_end(Sorter *sort)
{
	ExecDropSingleTupleTableSlot(sort->in);
	ExecDropSingleTupleTableSlot(sort->slot);
	tuplesort_end(sort->state);
}

/* ---- entries, and the blocks that seal them ---- */

enum
{
	E_CHAIN, E_BLOCK_ID, E_AUDIT_ID, E_AT, E_SOUND, E_OWN, E_INTEGERS
};

static void
read_entries(Verifier *v, Sorter *entries)
{
	AuditScan  *s = scan(BJ_TABLE_AUDIT_ENTRY);
	Leaf		leaf;
	Digest		stored;
	bool		own;

	sort_begin(entries, 1, E_INTEGERS);
	while (bj_auditlog_next_entry(s, &leaf, &stored, &own))
	{
		Digest		computed;
		int64		row[E_INTEGERS];

		bj_leaf_hash(&v->hasher, &leaf, &computed);
		row[E_CHAIN] = leaf.chain;
		row[E_BLOCK_ID] = leaf.block_id;
		row[E_AUDIT_ID] = leaf.audit_id;
		row[E_AT] = leaf.at;
		row[E_SOUND] = bj_hash_equal(&computed, &stored);
		row[E_OWN] = own;
		sort_put(entries, row, E_INTEGERS, &stored, 1);
	}
	bj_auditlog_end(s);
	tuplesort_performsort(entries->state);
}

/* What the entries of a block say against it. */
typedef enum EntryFault
{
	ENTRIES_SOUND,
	LEAF_MISMATCH,
	COUNT_MISMATCH,
	ROOT_MISMATCH,
	ENTRY_TIME
} EntryFault;

enum
{
	B_CHAIN, B_KEY, B_OTHER_KEY, B_ENTRIES, B_AT, B_FAULT, B_FOUND, B_AUDIT_ID, B_INTEGERS
};

enum
{
	B_ROOT = B_INTEGERS, B_PREV, B_HASH
};

static void
put_block(Sorter *blocks, const AuditBlock *block, bool by_seq, EntryFault found_fault, int64 found,
		  int64 audit_id, const Digest *hash)
{
	int64		row[B_INTEGERS];
	Digest		hashes[3] = {block->root, block->prev, *hash};

	row[B_CHAIN] = block->chain;
	row[B_KEY] = by_seq ? block->seq : block->block_id;
	row[B_OTHER_KEY] = by_seq ? block->block_id : block->seq;
	row[B_ENTRIES] = block->entries;
	row[B_AT] = block->at;
	row[B_FAULT] = found_fault;
	row[B_FOUND] = found;
	row[B_AUDIT_ID] = audit_id;
	sort_put(blocks, row, B_INTEGERS, hashes, 3);
}

static void
get_block(Sorter *blocks, bool by_seq, AuditBlock *block, Digest *hash)
{
	block->chain = (int32) sorted_integer(blocks, B_CHAIN);
	block->seq = sorted_integer(blocks, by_seq ? B_KEY : B_OTHER_KEY);
	block->block_id = sorted_integer(blocks, by_seq ? B_OTHER_KEY : B_KEY);
	block->entries = sorted_integer(blocks, B_ENTRIES);
	block->at = sorted_integer(blocks, B_AT);
	block->root = sorted_hash(blocks, B_ROOT);
	block->prev = sorted_hash(blocks, B_PREV);
	*hash = sorted_hash(blocks, B_HASH);
}

static void
read_blocks(Sorter *blocks)
{
	AuditScan  *s = scan(BJ_TABLE_AUDIT_BLOCK);
	AuditBlock		block;
	Digest		hash;

	sort_begin(blocks, 3, B_INTEGERS);
	while (bj_auditlog_next_block(s, &block, &hash))
		put_block(blocks, &block, false, ENTRIES_SOUND, 0, 0, &hash);
	bj_auditlog_end(s);
	tuplesort_performsort(blocks->state);
}

/* What this transaction wrote is sealed when it commits. */
static void
note_unsealed(Verifier *v, Sorter *entries)
{
	int64	   *lowest = &v->unsealed[place_of(sorted_integer(entries, E_CHAIN))];
	int64		audit_id = sorted_integer(entries, E_AUDIT_ID);

	if (!sorted_integer(entries, E_OWN) && (*lowest == 0 || audit_id < *lowest))
		*lowest = audit_id;
}

/* Order of an entry against the key of a block. */
static int
entry_cmp(Sorter *entries, const AuditBlock *block)
{
	int64		chain = sorted_integer(entries, E_CHAIN);
	int64		block_id = sorted_integer(entries, E_BLOCK_ID);

	if (chain != block->chain)
		return chain < block->chain ? -1 : 1;
	return block_id < block->block_id ? -1 : block_id > block->block_id;
}

/*
 * Takes the entries of one block, from *more on, and tells what is wrong with
 * them.
 */
static EntryFault
check_entries(Verifier *v, Sorter *entries, bool *more, const AuditBlock *block, int64 *found,
			  int64 *audit_id)
{
	EntryFault	result = ENTRIES_SOUND;
	Merkle		merkle;
	Digest		root;

	*found = *audit_id = 0;
	bj_merkle_begin(&merkle);
	for (; *more && entry_cmp(entries, block) == 0; *more = sort_next(entries))
	{
		Digest		leaf = sorted_hash(entries, E_INTEGERS);

		bj_merkle_add(&merkle, &v->hasher, &leaf);
		(*found)++;
		if (result != LEAF_MISMATCH && !sorted_integer(entries, E_SOUND))
			result = LEAF_MISMATCH;
		else if (result == ENTRIES_SOUND && sorted_integer(entries, E_AT) > block->at + CLOCK_SLACK)
			result = ENTRY_TIME;
		else
			continue;
		*audit_id = sorted_integer(entries, E_AUDIT_ID);
	}
	if (result == LEAF_MISMATCH)
		return result;
	bj_merkle_root(&merkle, &v->hasher, &root);
	if (*found != block->entries || !bj_hash_equal(&root, &block->root))
		*audit_id = 0;
	return *found != block->entries ? COUNT_MISMATCH :
		!bj_hash_equal(&root, &block->root) ? ROOT_MISMATCH : result;
}

/* Both by chain and block; what comes out is sorted by chain and place. */
static void
join_entries(Verifier *v, Sorter *entries, Sorter *blocks, Sorter *judged)
{
	bool		more = sort_next(entries);

	sort_begin(judged, 3, B_INTEGERS);
	while (sort_next(blocks))
	{
		AuditBlock		block;
		Digest		hash;
		EntryFault	result;
		int64		found;
		int64		audit_id;

		get_block(blocks, false, &block, &hash);
		for (; more && entry_cmp(entries, &block) < 0; more = sort_next(entries))
			note_unsealed(v, entries);
		result = check_entries(v, entries, &more, &block, &found, &audit_id);
		put_block(judged, &block, true, result, found, audit_id, &hash);
	}
	for (; more; more = sort_next(entries))
		note_unsealed(v, entries);
	tuplesort_performsort(judged->state);
}

/* ---- chains ---- */

/* The newest block of a chain so far. */
typedef struct Newest
{
	int64		seq;
	Digest		hash;
	int64		entries;
	TimestampTz at;
} Newest;

static void
tell_entry_fault(Verifier *v, Sorter *judged, const AuditBlock *block)
{
	int64		audit_id = sorted_integer(judged, B_AUDIT_ID);
	int64		found = sorted_integer(judged, B_FOUND);

	switch ((EntryFault) sorted_integer(judged, B_FAULT))
	{
		case ENTRIES_SOUND:
			return;
		case LEAF_MISMATCH:
			fault(v, block->chain, block->seq, audit_id,
				  "leaf_mismatch: entry " INT64_FORMAT " is not what was recorded", audit_id);
			return;
		case COUNT_MISMATCH:
			fault(v, block->chain, block->seq, 0,
				  "block_count_mismatch: block " INT64_FORMAT " sealed " INT64_FORMAT " entries, and there are " INT64_FORMAT,
				  block->seq, block->entries, found);
			return;
		case ROOT_MISMATCH:
			fault(v, block->chain, block->seq, 0,
				  "root_mismatch: the entries of block " INT64_FORMAT " are not those that it sealed", block->seq);
			return;
		case ENTRY_TIME:
			fault(v, block->chain, block->seq, audit_id,
				  "clock_regression: entry " INT64_FORMAT " is later than the block that seals it", audit_id);
			return;
	}
}

static void
check_block(Verifier *v, Sorter *judged, Newest *newest)
{
	const AnchoredHead *anchor;
	AuditBlock		block;
	Digest		stored;
	Digest		computed;

	get_block(judged, true, &block, &stored);
	bj_block_hash(&v->hasher, &block, &computed);
	anchor = &v->anchored[place_of(block.chain) % BJ_CHAINS];
	if (place_of(block.chain) == BJ_CHAINS)
		fault(v, block.chain, block.seq, 0, "unknown_chain: there is no chain %d", block.chain);
	if (block.seq > newest->seq + 1)
		fault(v, block.chain, newest->seq + 1, 0, "missing_block: block " INT64_FORMAT " is gone", newest->seq + 1);
	if (!bj_hash_equal(&computed, &stored) || block.seq <= newest->seq)
		fault(v, block.chain, block.seq, 0, "block_mismatch: block " INT64_FORMAT " is not what was linked", block.seq);
	if (!bj_hash_equal(&block.prev, &newest->hash))
		fault(v, block.chain, block.seq, 0,
			  "link_mismatch: block " INT64_FORMAT " was linked to another one than block " INT64_FORMAT, block.seq, newest->seq);
	tell_entry_fault(v, judged, &block);
	if (block.at < newest->at - CLOCK_SLACK)
		fault(v, block.chain, block.seq, 0, "clock_regression: block " INT64_FORMAT " is older than the one before it", block.seq);
	if (block.seq == anchor->seq && !bj_hash_equal(&anchor->hash, &stored))
		fault(v, block.chain, block.seq, 0,
			  "anchor_mismatch: block " INT64_FORMAT " is not the one of the digest: all up to it may have been rewritten", block.seq);
	newest->seq = block.seq;
	newest->hash = stored;
	newest->entries += block.entries;
	newest->at = block.at;
}

/* Starts at a time that no clock shows. */
static void
check_chains(Verifier *v, Sorter *judged, Newest *newest)
{
	for (int i = 0; i < BJ_VERDICTS; i++)
		newest[i] = (Newest) {.at = PG_INT64_MIN + CLOCK_SLACK};
	while (sort_next(judged))
	{
		int			place = place_of((int32) sorted_integer(judged, B_CHAIN));

		v->verdicts[place].exists = true;
		check_block(v, judged, &newest[place]);
	}
}

static void
check_head(Verifier *v, int32 chain, const ChainHead *head, const Newest *newest)
{
	v->verdicts[place_of(chain)].exists = true;
	if (place_of(chain) == BJ_CHAINS)
		fault(v, chain, head->seq, 0, "unknown_chain: there is no chain %d", chain);
	else if (head->seq > newest->seq)
		fault(v, chain, newest->seq + 1, 0, "missing_block: block " INT64_FORMAT " is gone, the newest of the chain was " INT64_FORMAT,
			  newest->seq + 1, head->seq);
	else if (head->seq != newest->seq || head->entries != newest->entries ||
			 !bj_hash_equal(&head->hash, &newest->hash))
		fault(v, chain, head->seq, 0, "head_mismatch: the head of the chain is not its newest block");
}

/* Heads, and what a chain that ends too early cannot show by itself. */
static void
check_heads(Verifier *v, const Newest *newest)
{
	AuditScan  *s = scan(BJ_TABLE_AUDIT_CHAIN);
	bool		seen[BJ_VERDICTS] = {false};
	ChainHead	head;
	int32		chain;

	while (bj_auditlog_next_head(s, &chain, &head))
	{
		seen[place_of(chain)] = true;
		check_head(v, chain, &head, &newest[place_of(chain)]);
	}
	bj_auditlog_end(s);
	for (int i = 0; i < BJ_CHAINS; i++)
	{
		const AnchoredHead *anchor = &v->anchored[i];

		if (!seen[i] && (newest[i].seq > 0 || anchor->seq > 0))
			fault(v, i, anchor->seq, 0, "missing_chain: the head of chain %d is gone%s", i,
				  newest[i].seq > 0 ? "" : ", and all its blocks");
		if (anchor->seq > newest[i].seq)
			fault(v, i, newest[i].seq + 1, 0,
				  "behind_anchor: the digest has block " INT64_FORMAT ", the chain ends at " INT64_FORMAT,
				  anchor->seq, newest[i].seq);
	}
}

void
bj_audit_verify(const AnchoredHead *anchored, ChainVerdict *verdicts)
{
	Verifier	v = {.anchored = anchored, .verdicts = verdicts};
	Newest		newest[BJ_VERDICTS];
	Sorter		entries;
	Sorter		blocks;
	Sorter		judged;

	memset(verdicts, 0, BJ_VERDICTS * sizeof(ChainVerdict));
	bj_sha256_open(&v.hasher);
	read_entries(&v, &entries);
	read_blocks(&blocks);
	join_entries(&v, &entries, &blocks, &judged);
	sort_end(&entries);
	sort_end(&blocks);
	check_chains(&v, &judged, newest);
	sort_end(&judged);
	check_heads(&v, newest);
	for (int i = 0; i < BJ_VERDICTS; i++)
	{
		if (v.unsealed[i] != 0)
			fault(&v, i, 0, v.unsealed[i], "unsealed_row: no block seals entry " INT64_FORMAT, v.unsealed[i]);
		if (verdicts[i].problem == NULL)
			verdicts[i].seq = newest[i].seq;
	}
	bj_sha256_close(&v.hasher);
}
