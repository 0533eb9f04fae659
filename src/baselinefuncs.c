/*
 * baselinefuncs.c
 *	  What a baseline says, in SQL.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "baselines.h"
#include "compat.h"
#include "errors.h"
#include "incidents.h"

static void
read_state(FunctionCallInfo fcinfo, BjStream *stream)
{
	bytea	   *state = PG_GETARG_BYTEA_PP(2);

	bj_stream_init(stream);
	if (bj_baseline_decode((const uint8_t *) VARDATA_ANY(state), VARSIZE_ANY_EXHDR(state),
						   bj_baselines_crc, &stream->baseline) != BJ_OK)
		ereport(ERROR,
				(errcode(ERRCODE_BJ_BAD_BASELINE),
				 errmsg("the baseline of account \"%s\" and meter \"%s\" cannot be read",
						text_to_cstring(PG_GETARG_TEXT_PP(0)), text_to_cstring(PG_GETARG_TEXT_PP(1))),
				 errdetail("Its bytes are damaged, or another version of the library wrote them."),
				 errhint("Its next usage begins it anew, and billadj.baseline.problem says so.")));
}

/* billadj.read_baseline(account text, meter text, state bytea) */
PG_FUNCTION_INFO_V1(billadj_read_baseline);
Datum
billadj_read_baseline(PG_FUNCTION_ARGS)
{
	BjStream	stream;
	TupleDesc	desc;
	Datum		values[4];
	bool		nulls[4] = {false};
	int64		due_at;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "read_baseline must return a row");
	read_state(fcinfo, &stream);
	due_at = bj_stream_due_at(&stream);
	values[0] = Int64GetDatum(bj_baseline_rows(&stream.baseline));
	values[1] = BoolGetDatum(bj_baseline_is_mature(&stream.baseline));
	values[2] = BoolGetDatum(bj_baseline_has_incident(&stream.baseline));
	nulls[3] = due_at == INT64_MAX;
	values[3] = TimestampTzGetDatum(due_at - BJ_EPOCH_SHIFT);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}

/* billadj.join_state(state bytea, bucket bytea) → bytea */
PG_FUNCTION_INFO_V1(billadj_join_state);
Datum
billadj_join_state(PG_FUNCTION_ARGS)
{
	bytea	   *state;
	bytea	   *bucket;
	bytea	   *joined;
	BjBaseline	baseline;
	BjBaseline	head;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	state = PG_GETARG_BYTEA_PP(0);
	if (PG_ARGISNULL(1))
		PG_RETURN_BYTEA_P(state);
	bucket = PG_GETARG_BYTEA_PP(1);
	if (bj_baseline_decode((const uint8_t *) VARDATA_ANY(state), VARSIZE_ANY_EXHDR(state),
						   bj_baselines_crc, &baseline) != BJ_OK ||
		bj_bucket_decode((const uint8_t *) VARDATA_ANY(bucket), VARSIZE_ANY_EXHDR(bucket),
						 bj_baselines_crc, &head) != BJ_OK ||
		!bj_baseline_has_bucket(&baseline) || !bj_baseline_has_bucket(&head))
		PG_RETURN_BYTEA_P(state);
	memcpy(&baseline, &head, BJ_HEAD_SIZE);
	joined = palloc(VARHDRSZ + BJ_BASELINE_SIZE);
	SET_VARSIZE(joined, VARHDRSZ + BJ_BASELINE_SIZE);
	bj_baseline_encode(&baseline, bj_baselines_crc, (uint8_t *) VARDATA(joined));
	PG_RETURN_BYTEA_P(joined);
}
