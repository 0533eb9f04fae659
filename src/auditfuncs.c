/*
 * auditfuncs.c
 *	  The audit log from SQL: hashes, rows as they are recorded, verification.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"

#include "audit.h"
#include "auditverify.h"
#include "compat.h"
#include "errors.h"
#include "privatetext.h"
#include "rowjson.h"
#include "sha256.h"

static bytea *
hash_bytea(const Digest *hash)
{
	bytea	   *bytes = palloc(VARHDRSZ + BJ_HASH_SIZE);

	SET_VARSIZE(bytes, VARHDRSZ + BJ_HASH_SIZE);
	memcpy(VARDATA(bytes), hash->bytes, BJ_HASH_SIZE);
	return bytes;
}

/* ---- hashes ---- */

static FieldType
field_type(Oid type)
{
	switch (type)
	{
		case INT2OID:
		case INT4OID:
		case INT8OID:
			return BJ_FIELD_INTEGER;
		case TIMESTAMPTZOID:
			return BJ_FIELD_TIME;
		case TEXTOID:
			return BJ_FIELD_TEXT;
		case BYTEAOID:
			return BJ_FIELD_BYTES;
		case NUMERICOID:
			return BJ_FIELD_NUMERIC;
		case BOOLOID:
			return BJ_FIELD_BOOLEAN;
		default:
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("type %s has no encoding", format_type_be(type)),
					 errhint("Cast it to bigint, numeric, text, bytea, boolean or timestamp with time zone.")));
	}
	return 0;
}

static void
encode_field(Encoding *encoding, Oid type, Datum value)
{
	FieldType	field = field_type(type);
	struct varlena *bytes;
	char	   *digits;
	bool		yes;
	Text		text;

	switch (field)
	{
		case BJ_FIELD_INTEGER:
		case BJ_FIELD_TIME:
			bj_encoding_integer(encoding, field, type == INT2OID ? DatumGetInt16(value) :
								type == INT4OID ? DatumGetInt32(value) : DatumGetInt64(value));
			break;
		case BJ_FIELD_TEXT:
			bytes = PG_DETOAST_DATUM_PACKED(value);
			text = bj_utf8(VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes));
			bj_encoding_bytes(encoding, field, text.data, text.size);
			break;
		case BJ_FIELD_BYTES:
			bytes = PG_DETOAST_DATUM_PACKED(value);
			bj_encoding_bytes(encoding, field, VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes));
			break;
		case BJ_FIELD_NUMERIC:
			digits = DatumGetCString(DirectFunctionCall1(numeric_out, value));
			bj_encoding_bytes(encoding, field, digits, strlen(digits));
			break;
		case BJ_FIELD_BOOLEAN:
			yes = DatumGetBool(value);
			bj_encoding_bytes(encoding, field, yes ? "\1" : "\0", 1);
			break;
	}
}

/* billadj.audit_hash(domain text, VARIADIC fields "any") → bytea */
PG_FUNCTION_INFO_V1(billadj_audit_hash);
Datum
billadj_audit_hash(PG_FUNCTION_ARGS)
{
	Encoding	encoding;
	Hasher		hasher;
	Digest		hash;

	if (PG_ARGISNULL(0) || get_fn_expr_variadic(fcinfo->flinfo))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("audit_hash wants a domain and a list of fields")));
	bj_sha256_open(&hasher);
	bj_encoding_begin(&encoding, &hasher, text_to_cstring(PG_GETARG_TEXT_PP(0)));
	for (int i = 1; i < PG_NARGS(); i++)
	{
		Oid			type = get_fn_expr_argtype(fcinfo->flinfo, i);

		if (PG_ARGISNULL(i))
			bj_encoding_bytes(&encoding, field_type(type), NULL, 0);
		else
			encode_field(&encoding, type, PG_GETARG_DATUM(i));
	}
	bj_encoding_end(&encoding, &hash);
	bj_sha256_close(&hasher);
	PG_RETURN_BYTEA_P(hash_bytea(&hash));
}

/* Copies an array of hashes; an element of another size is refused. */
static Digest *
hashes_of(ArrayType *array, int *n)
{
	Datum	   *datums;
	Digest	   *hashes;

	if (ARR_NDIM(array) > 1 || array_contains_nulls(array))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("hashes must be a list without nulls")));
	deconstruct_array(array, BYTEAOID, -1, false, TYPALIGN_INT, &datums, NULL, n);
	hashes = palloc_extended(Max(*n, 1) * sizeof(Digest), MCXT_ALLOC_HUGE);
	for (int i = 0; i < *n; i++)
	{
		bytea	   *bytes = DatumGetByteaPP(datums[i]);

		if (VARSIZE_ANY_EXHDR(bytes) != BJ_HASH_SIZE)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("a hash has %d bytes, not %d", BJ_HASH_SIZE, (int) VARSIZE_ANY_EXHDR(bytes))));
		memcpy(hashes[i].bytes, VARDATA_ANY(bytes), BJ_HASH_SIZE);
	}
	return hashes;
}

/* billadj.merkle_root(leaves bytea[]) → bytea */
PG_FUNCTION_INFO_V1(billadj_merkle_root);
Datum
billadj_merkle_root(PG_FUNCTION_ARGS)
{
	int			n;
	Digest	   *leaves = hashes_of(PG_GETARG_ARRAYTYPE_P(0), &n);
	Merkle		merkle;
	Hasher		hasher;
	Digest		root;

	bj_sha256_open(&hasher);
	bj_merkle_begin(&merkle);
	for (int i = 0; i < n; i++)
		bj_merkle_add(&merkle, &hasher, &leaves[i]);
	bj_merkle_root(&merkle, &hasher, &root);
	bj_sha256_close(&hasher);
	PG_RETURN_BYTEA_P(hash_bytea(&root));
}

/*
 * billadj.merkle_path(leaves bytea[], place integer) → bytea[]: from leaf to
 * root, each one byte (0: to the left, 1: to the right) and a hash.
 */
PG_FUNCTION_INFO_V1(billadj_merkle_path);
Datum
billadj_merkle_path(PG_FUNCTION_ARGS)
{
	int			n;
	Digest	   *leaves = hashes_of(PG_GETARG_ARRAYTYPE_P(0), &n);
	int			place = PG_GETARG_INT32(1);
	MerkleStep	steps[BJ_MERKLE_STEPS];
	Datum		datums[BJ_MERKLE_STEPS];
	Hasher		hasher;
	int			nsteps;

	if (place < 1 || place > n)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("place must be between 1 and %d, not %d", n, place)));
	bj_sha256_open(&hasher);
	nsteps = bj_merkle_path(&hasher, leaves, n, place - 1, steps);
	bj_sha256_close(&hasher);
	for (int i = 0; i < nsteps; i++)
	{
		bytea	   *bytes = palloc(VARHDRSZ + 1 + BJ_HASH_SIZE);

		SET_VARSIZE(bytes, VARHDRSZ + 1 + BJ_HASH_SIZE);
		VARDATA(bytes)[0] = steps[i].left ? 0 : 1;
		memcpy(VARDATA(bytes) + 1, steps[i].hash.bytes, BJ_HASH_SIZE);
		datums[i] = PointerGetDatum(bytes);
	}
	PG_RETURN_ARRAYTYPE_P(construct_array(datums, nsteps, BYTEAOID, -1, false, TYPALIGN_INT));
}

/* ---- rows ---- */

/* billadj.audit_row(row record, OUT object text, OUT account text, OUT payload text) */
PG_FUNCTION_INFO_V1(billadj_audit_row);
Datum
billadj_audit_row(PG_FUNCTION_ARGS)
{
	HeapTupleHeader header = PG_GETARG_HEAPTUPLEHEADER(0);
	Oid			relid = get_typ_typrelid(HeapTupleHeaderGetTypeId(header));
	HeapTupleData row = {.t_len = HeapTupleHeaderGetDatumLength(header), .t_data = header};
	TupleDesc	result;
	Relation	rel;
	char	   *account;
	Datum		values[3];
	bool		nulls[3] = {false};

	if (!OidIsValid(relid) || get_call_result_type(fcinfo, NULL, &result) != TYPEFUNC_COMPOSITE)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("audit_row wants a row of a table")));
	ItemPointerSetInvalid(&row.t_self);
	rel = relation_open(relid, AccessShareLock);
	account = bj_row_account(RelationGetDescr(rel), &row);
	values[0] = CStringGetTextDatum(bj_row_object(rel, &row));
	nulls[1] = account == NULL;
	values[1] = account ? CStringGetTextDatum(account) : (Datum) 0;
	values[2] = CStringGetTextDatum(bj_row_json(RelationGetDescr(rel), &row));
	relation_close(rel, AccessShareLock);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(result), values, nulls)));
}

/* billadj.audit_append(event text, object text, account text, payload text) → bigint */
PG_FUNCTION_INFO_V1(billadj_audit_append);
Datum
billadj_audit_append(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(3))
		PG_RETURN_NULL();
	PG_RETURN_INT64(bj_audit_append(text_to_cstring(PG_GETARG_TEXT_PP(0)),
									text_to_cstring(PG_GETARG_TEXT_PP(1)),
									PG_ARGISNULL(2) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(2)),
									text_to_cstring(PG_GETARG_TEXT_PP(3))));
}

/* billadj.erase_text(text_id bigint) → boolean */
PG_FUNCTION_INFO_V1(billadj_erase_text);
Datum
billadj_erase_text(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(bj_private_text_erase(PG_GETARG_INT64(0)));
}

static void
tell_text(void *arg, int64 text_id, const Digest *commitment)
{
	ReturnSetInfo *rsinfo = arg;
	Datum		values[2] = {Int64GetDatum(text_id), commitment ? PointerGetDatum(hash_bytea(commitment)) : (Datum) 0};
	bool		nulls[2] = {false, commitment == NULL};

	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/* billadj.text_commitments() → (text_id bigint, commitment bytea) */
PG_FUNCTION_INFO_V1(billadj_text_commitments);
Datum
billadj_text_commitments(PG_FUNCTION_ARGS)
{
	InitMaterializedSRF(fcinfo, 0);
	bj_private_text_each(tell_text, fcinfo->resultinfo);
	return (Datum) 0;
}

/* ---- verification ---- */

/* What a digest says of each chain, in arrays of one length. */
static void
read_anchors(FunctionCallInfo fcinfo, AnchoredHead *anchored)
{
	Datum	   *chains;
	Datum	   *seqs;
	int			nchains;
	int			nseqs;
	int			nhashes;
	Digest	   *hashes = hashes_of(PG_GETARG_ARRAYTYPE_P(2), &nhashes);

	deconstruct_array(PG_GETARG_ARRAYTYPE_P(0), INT4OID, 4, true, TYPALIGN_INT, &chains, NULL, &nchains);
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(1), INT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE, &seqs, NULL, &nseqs);
	for (int i = 0; i < nchains; i++)
	{
		int32		chain = DatumGetInt32(chains[i]);

		if (nseqs != nchains || nhashes != nchains || chain < 0 || chain >= BJ_CHAINS)
			ereport(ERROR,
					(errcode(ERRCODE_BJ_BAD_DIGEST),
					 errmsg("digest names a chain %d", chain)));
		anchored[chain] = (AnchoredHead) {DatumGetInt64(seqs[i]), hashes[i]};
	}
}

/*
 * billadj.verify_chains(chains integer[], seqs bigint[], hashes bytea[])
 * → (chain integer, seq bigint, audit_id bigint, ok boolean, problem text)
 */
PG_FUNCTION_INFO_V1(billadj_verify_chains);
Datum
billadj_verify_chains(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	AnchoredHead anchored[BJ_CHAINS] = {{0}};
	ChainVerdict verdicts[BJ_VERDICTS];

	read_anchors(fcinfo, anchored);
	InitMaterializedSRF(fcinfo, 0);
	bj_audit_verify(anchored, verdicts);
	for (int i = 0; i < BJ_VERDICTS; i++)
	{
		ChainVerdict *verdict = &verdicts[i];
		Datum		values[5];
		bool		nulls[5] = {i == BJ_CHAINS, verdict->seq == 0, verdict->audit_id == 0, false, verdict->problem == NULL};

		if (!verdict->exists)
			continue;
		values[0] = Int32GetDatum(i);
		values[1] = Int64GetDatum(verdict->seq);
		values[2] = Int64GetDatum(verdict->audit_id);
		values[3] = BoolGetDatum(verdict->problem == NULL);
		values[4] = verdict->problem ? CStringGetTextDatum(verdict->problem) : (Datum) 0;
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}
