/*
 * privatetext.c
 *	  Store: personal text, kept apart from the audit log so that it can be
 *	  erased and the log stays valid.
 *
 * Without the salt a commitment says nothing: short texts and names could be
 * guessed from a bare hash, which would be personal data itself.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "commands/sequence.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "audit.h"
#include "compat.h"
#include "errors.h"
#include "privatetext.h"
#include "sha256.h"
#include "tables.h"

#define SALT_SIZE 32

enum
{
	TEXT_ID, SALT, BODY, CREATED_AT, CREATED_BY, ERASED_AT, NCOLUMNS
};

static const Column columns[NCOLUMNS] = {
	{"text_id", INT8OID, true}, {"salt", BYTEAOID}, {"body", TEXTOID},
	{"created_at", TIMESTAMPTZOID, true}, {"created_by", TEXTOID, true},
	{"erased_at", TIMESTAMPTZOID}
};

static Relation
open_texts(AttrNumber *att)
{
	const char *problem;
	Relation	rel = bj_table_open_columns(BJ_TABLE_PRIVATE_TEXT, RowExclusiveLock, columns,
											NCOLUMNS, att, &problem);

	if (rel == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_BJ_NOT_INSTALLED),
				 errmsg("text cannot be kept: %s", problem),
				 errhint("SELECT * FROM billadj.self_check();")));
	return rel;
}

static char *
hex(const uint8 *bytes, int size)
{
	char	   *text = palloc(2 * size + 1);

	text[hex_encode((const char *) bytes, size, text)] = '\0';
	return text;
}

static void
commit_to(const uint8 *salt, const char *body, Digest *commitment)
{
	Text		text = bj_utf8(body, strlen(body));
	Hasher		hasher;

	bj_sha256_open(&hasher);
	hasher.begin(hasher.state);
	hasher.add(hasher.state, salt, SALT_SIZE);
	hasher.add(hasher.state, (const uint8_t *) text.data, text.size);
	hasher.end(hasher.state, commitment);
	bj_sha256_close(&hasher);
}

static void
append_text(int64 text_id, const uint8 *salt, const char *body)
{
	AttrNumber	att[NCOLUMNS];
	Relation	rel = open_texts(att);
	TupleDesc	desc = RelationGetDescr(rel);
	Datum	   *values = palloc0(desc->natts * sizeof(Datum));
	bool	   *nulls = palloc(desc->natts * sizeof(bool));
	bytea	   *bytes = palloc(VARHDRSZ + SALT_SIZE);
	HeapTuple	tuple;

	SET_VARSIZE(bytes, VARHDRSZ + SALT_SIZE);
	memcpy(VARDATA(bytes), salt, SALT_SIZE);
	memset(nulls, true, desc->natts);
	for (int i = 0; i < ERASED_AT; i++)
		nulls[att[i] - 1] = false;
	values[att[TEXT_ID] - 1] = Int64GetDatum(text_id);
	values[att[SALT] - 1] = PointerGetDatum(bytes);
	values[att[BODY] - 1] = CStringGetTextDatum(body);
	values[att[CREATED_AT] - 1] = TimestampTzGetDatum(GetCurrentTimestamp());
	values[att[CREATED_BY] - 1] = CStringGetTextDatum(GetUserNameFromId(GetSessionUserId(), false));
	tuple = heap_form_tuple(desc, values, nulls);
	bj_table_append(rel, tuple);
	heap_freetuple(tuple);
	table_close(rel, NoLock);
}

int64
bj_private_text_add(const char *body)
{
	Oid			sequence = bj_table_oid(BJ_TABLE_TEXT_ID_SEQ);
	uint8		salt[SALT_SIZE];
	Digest		committed;
	int64		text_id;

	if (!OidIsValid(sequence))
		ereport(ERROR,
				(errcode(ERRCODE_BJ_NOT_INSTALLED),
				 errmsg("text cannot be kept: sequence billadj.text_id_seq does not exist"),
				 errhint("SELECT * FROM billadj.self_check();")));
	if (!pg_strong_random(salt, sizeof(salt)))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not generate a random salt")));
	text_id = nextval_internal(sequence, false);
	commit_to(salt, body, &committed);
	append_text(text_id, salt, body);
	bj_audit_append("insert", psprintf("private_text/" INT64_FORMAT, text_id), NULL,
					psprintf("{\"commitment\":\"%s\",\"text_id\":" INT64_FORMAT "}",
							 hex(committed.bytes, BJ_HASH_SIZE), text_id));
	return text_id;
}

/* The row as it is now, whatever a snapshot says; NULL: there is none. */
static HeapTuple
find_text(Relation rel, const AttrNumber *att, int64 text_id, bool *erased)
{
	Oid			pkey = bj_compat_primary_key(rel);
	TupleTableSlot *slot = table_slot_create(rel, NULL);
	HeapTuple	found = NULL;
	Relation	index;
	IndexScanDesc scan;
	ScanKeyData key;

	if (!OidIsValid(pkey))
		elog(ERROR, "table billadj.private_text has no primary key");
	index = index_open(pkey, RowExclusiveLock);
	scan = bj_compat_index_beginscan(rel, index, SnapshotSelf, 1);
	ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(text_id));
	index_rescan(scan, &key, 1, NULL, 0);
	if (index_getnext_slot(scan, ForwardScanDirection, slot))
	{
		*erased = !slot_attisnull(slot, att[ERASED_AT]);
		found = ExecCopySlotHeapTuple(slot);
		found->t_self = slot->tts_tid;
	}
	index_endscan(scan);
	index_close(index, NoLock);
	ExecDropSingleTupleTableSlot(slot);
	return found;
}

char *
bj_private_text_get(int64 text_id)
{
	AttrNumber	att[NCOLUMNS];
	Relation	rel = open_texts(att);
	bool		isnull = true;
	bool		erased;
	HeapTuple	row = find_text(rel, att, text_id, &erased);
	Datum		body = row == NULL ? (Datum) 0 : heap_getattr(row, att[BODY], RelationGetDescr(rel), &isnull);
	char	   *words = isnull ? NULL : TextDatumGetCString(body);

	table_close(rel, NoLock);
	return words;
}

/* False if somebody else changed it meanwhile. */
static bool
forget(Relation rel, const AttrNumber *att, HeapTuple old)
{
	int			natts = RelationGetNumberOfAttributes(rel);
	Datum	   *values = palloc0(natts * sizeof(Datum));
	bool	   *nulls = palloc0(natts * sizeof(bool));
	bool	   *replace = palloc0(natts * sizeof(bool));
	BjIndexing	indexing;
	HeapTuple	tuple;

	replace[att[SALT] - 1] = replace[att[BODY] - 1] = replace[att[ERASED_AT] - 1] = true;
	nulls[att[SALT] - 1] = nulls[att[BODY] - 1] = true;
	values[att[ERASED_AT] - 1] = TimestampTzGetDatum(GetCurrentTimestamp());
	tuple = heap_modify_tuple(old, RelationGetDescr(rel), values, nulls, replace);
	switch (bj_compat_update(rel, &old->t_self, tuple, GetCurrentCommandId(true), &indexing))
	{
		case TM_Ok:
			bj_table_index(rel, tuple, indexing);
			return true;
		case TM_Updated:
		case TM_Deleted:
			return false;
		default:
			elog(ERROR, "a text was erased twice in one command");
	}
	return false;
}

bool
bj_private_text_erase(int64 text_id)
{
	AttrNumber	att[NCOLUMNS];
	Relation	rel = open_texts(att);
	bool		erased = false;
	HeapTuple	row;

	do
	{
		row = find_text(rel, att, text_id, &erased);
		if (row == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					 errmsg("text " INT64_FORMAT " does not exist", text_id)));
	} while (!erased && !forget(rel, att, row));
	table_close(rel, NoLock);
	if (!erased)
		bj_audit_append("erase", psprintf("private_text/" INT64_FORMAT, text_id), NULL,
						psprintf("{\"text_id\":" INT64_FORMAT "}", text_id));
	return !erased;
}

/* A salt of another size, or none, commits to nothing that was recorded. */
static void
commitment_of(TupleTableSlot *slot, const AttrNumber *att, Digest *commitment)
{
	bool		no_salt;
	bool		no_body;
	Datum		salt = slot_getattr(slot, att[SALT], &no_salt);
	Datum		body = slot_getattr(slot, att[BODY], &no_body);

	memset(commitment, 0, sizeof(*commitment));
	if (!no_salt && !no_body && VARSIZE_ANY_EXHDR(DatumGetByteaPP(salt)) == SALT_SIZE)
		commit_to((const uint8 *) VARDATA_ANY(DatumGetByteaPP(salt)), TextDatumGetCString(body), commitment);
}

void
bj_private_text_each(TellText tell, void *arg)
{
	AttrNumber	att[NCOLUMNS];
	Relation	rel = open_texts(att);
	TupleTableSlot *slot = table_slot_create(rel, NULL);
	TableScanDesc scan = table_beginscan(rel, GetActiveSnapshot(), 0, NULL);

	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		bool		isnull;
		int64		text_id = DatumGetInt64(slot_getattr(slot, att[TEXT_ID], &isnull));
		Digest		commitment;

		CHECK_FOR_INTERRUPTS();
		if (!slot_attisnull(slot, att[ERASED_AT]))
		{
			tell(arg, text_id, NULL);
			continue;
		}
		commitment_of(slot, att, &commitment);
		tell(arg, text_id, &commitment);
	}
	table_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	table_close(rel, NoLock);
}
