/*
 * detectfuncs.c
 *	  Detection from SQL: silence, baselines learned from rows, peer groups,
 *	  findings beside other accounts.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

#include "baselines.h"
#include "compat.h"
#include "core/across.h"
#include "core/baseline.h"
#include "detectors.h"
#include "errors.h"
#include "incidents.h"
#include "numericcodec.h"
#include "streams.h"

static KeyText
key_arg(Datum datum)
{
	text	   *t = DatumGetTextPP(datum);

	return bj_key_from_string(VARDATA_ANY(t), VARSIZE_ANY_EXHDR(t));
}

static bool
decode(bytea *state, BjBaseline *baseline)
{
	return bj_baseline_decode((const uint8_t *) VARDATA_ANY(state), VARSIZE_ANY_EXHDR(state),
							  bj_baselines_crc, baseline) == BJ_OK;
}

/* ---- silence ---- */

/* billadj.baseline_due(state bytea) → timestamptz; NULL: nobody knows */
PG_FUNCTION_INFO_V1(billadj_baseline_due);
Datum
billadj_baseline_due(PG_FUNCTION_ARGS)
{
	BjStream	stream = {0};
	int64		due_at;

	if (!decode(PG_GETARG_BYTEA_PP(0), &stream.baseline))
		PG_RETURN_NULL();
	due_at = bj_stream_due_at(&stream);
	if (due_at == PG_INT64_MAX)
		PG_RETURN_NULL();
	PG_RETURN_TIMESTAMPTZ(due_at - BJ_EPOCH_SHIFT);
}

/* billadj.judged_by_bucket(state bytea) → boolean; NULL: nobody knows */
PG_FUNCTION_INFO_V1(billadj_judged_by_bucket);
Datum
billadj_judged_by_bucket(PG_FUNCTION_ARGS)
{
	BjBaseline	baseline;

	if (!decode(PG_GETARG_BYTEA_PP(0), &baseline))
		PG_RETURN_NULL();
	PG_RETURN_BOOL(bj_baseline_has_bucket(&baseline));
}

/*
 * billadj.tell_silence(account text, meter text, now timestamptz,
 *						unit_amount numeric, currency text) → boolean
 */
PG_FUNCTION_INFO_V1(billadj_tell_silence);
Datum
billadj_tell_silence(PG_FUNCTION_ARGS)
{
	Decimal		unit;

	bj_check(bj_numeric_read(PG_GETARG_DATUM(3), &unit));
	PG_RETURN_BOOL(bj_streams_silence(key_arg(PG_GETARG_DATUM(0)), key_arg(PG_GETARG_DATUM(1)),
									  PG_GETARG_TIMESTAMPTZ(2), unit,
									  text_to_cstring(PG_GETARG_TEXT_PP(4))));
}

/* billadj.silence_is_new(account text, meter text, now timestamptz) → boolean */
PG_FUNCTION_INFO_V1(billadj_silence_is_new);
Datum
billadj_silence_is_new(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(bj_streams_silence_is_new(key_arg(PG_GETARG_DATUM(0)), key_arg(PG_GETARG_DATUM(1)),
											 PG_GETARG_TIMESTAMPTZ(2)));
}

/*
 * billadj.confirm_duplicate(account text, meter text, anomaly_id bigint,
 *							 detail jsonb) → boolean
 */
PG_FUNCTION_INFO_V1(billadj_confirm_duplicate);
Datum
billadj_confirm_duplicate(PG_FUNCTION_ARGS)
{
	for (int i = 0; i < 3; i++)
		if (PG_ARGISNULL(i))
			PG_RETURN_NULL();
	PG_RETURN_BOOL(bj_streams_confirm(key_arg(PG_GETARG_DATUM(0)), key_arg(PG_GETARG_DATUM(1)),
									  PG_GETARG_INT64(2),
									  PG_ARGISNULL(3) ? NULL : PG_GETARG_JSONB_P(3)));
}

/* ---- baselines from rows ---- */

/* An array of a type whose values may be NULL. */
typedef struct Series
{
	Datum	   *values;
	bool	   *nulls;
	int			n;
} Series;

static Series
series_arg(Datum array, Oid type, int16 length, bool by_value, char align)
{
	Series		s;

	deconstruct_array(DatumGetArrayTypeP(array), type, length, by_value, align,
					  &s.values, &s.nulls, &s.n);
	return s;
}

static void
require_detectors(void)
{
	const char *problem = bj_detectors_begin();

	if (problem != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_BJ_NOT_INSTALLED),
				 errmsg("table billadj.%s is missing or of another shape", problem),
				 errhint("Run SELECT * FROM billadj.self_check().")));
}

/*
 * How rows that came before are learned.  One that is in the future even now was
 * not learned when it came: the stream's clock would stand there, and all that
 * comes is late.  When the others came is not known, nor whether they were too old.
 */
static BjDetect
learning_of(KeyText account, KeyText meter)
{
	DetectSettings settings;

	require_detectors();
	bj_detectors_settings(account, meter, &settings);
	settings.detect.learn_only = true;
	settings.detect.earliest = PG_INT64_MIN;
	settings.detect.use_bounds = settings.future_hours >= 0;
	if (settings.detect.use_bounds)
		settings.detect.latest = GetCurrentStatementStartTimestamp() + BJ_EPOCH_SHIFT +
			(int64) (settings.future_hours * USECS_PER_HOUR);
	return settings.detect;
}

/*
 * billadj.learn_rows(account text, meter text, times timestamptz[],
 *					  quantities numeric[], unit_amounts numeric[]) → bytea
 */
PG_FUNCTION_INFO_V1(billadj_learn_rows);
Datum
billadj_learn_rows(PG_FUNCTION_ARGS)
{
	Series		times = series_arg(PG_GETARG_DATUM(2), TIMESTAMPTZOID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE);
	Series		quantities = series_arg(PG_GETARG_DATUM(3), NUMERICOID, -1, false, TYPALIGN_INT);
	Series		units = series_arg(PG_GETARG_DATUM(4), NUMERICOID, -1, false, TYPALIGN_INT);
	BjStream   *stream = palloc0(sizeof(BjStream));
	BjDetect	detect;
	bytea	   *state = palloc(VARHDRSZ + BJ_BASELINE_SIZE);

	if (times.n != quantities.n || times.n != units.n)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("times, quantities and unit_amounts differ in length")));
	detect = learning_of(key_arg(PG_GETARG_DATUM(0)), key_arg(PG_GETARG_DATUM(1)));
	bj_stream_init(stream);
	for (int i = 0; i < times.n; i++)
	{
		BjRow		row = {0};
		BjJudgement j;

		CHECK_FOR_INTERRUPTS();
		if (times.nulls[i] || quantities.nulls[i])
			continue;
		row.at = DatumGetTimestampTz(times.values[i]);
		if (row.at < PG_INT64_MAX / 2)
			row.at += BJ_EPOCH_SHIFT;
		row.quantity = bj_numeric_double(quantities.values[i]);
		row.has_price = !units.nulls[i] && row.quantity != 0;
		if (row.has_price)
			row.unit_price = bj_numeric_double(units.values[i]);
		bj_stream_observe(stream, &detect, &row, &j);
	}
	SET_VARSIZE(state, VARHDRSZ + BJ_BASELINE_SIZE);
	bj_baseline_encode(&stream->baseline, bj_baselines_crc, (uint8_t *) VARDATA(state));
	PG_RETURN_BYTEA_P(state);
}

/* billadj.lock_baseline(account text, meter text) */
PG_FUNCTION_INFO_V1(billadj_lock_baseline);
Datum
billadj_lock_baseline(PG_FUNCTION_ARGS)
{
	bj_streams_lock(key_arg(PG_GETARG_DATUM(0)), key_arg(PG_GETARG_DATUM(1)));
	PG_RETURN_VOID();
}

/* billadj.lock_baselines(accounts text[], meters text[]) */
PG_FUNCTION_INFO_V1(billadj_lock_baselines);
Datum
billadj_lock_baselines(PG_FUNCTION_ARGS)
{
	Series		accounts = series_arg(PG_GETARG_DATUM(0), TEXTOID, -1, false, TYPALIGN_INT);
	Series		meters = series_arg(PG_GETARG_DATUM(1), TEXTOID, -1, false, TYPALIGN_INT);
	KeyText    *keys = palloc_extended(2 * Max(accounts.n, 1) * sizeof(KeyText), MCXT_ALLOC_HUGE);

	if (accounts.n != meters.n)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("accounts and meters differ in length")));
	for (int i = 0; i < accounts.n; i++)
	{
		if (accounts.nulls[i] || meters.nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("account and meter of a stream must not be NULL")));
		keys[i] = key_arg(accounts.values[i]);
		keys[accounts.n + i] = key_arg(meters.values[i]);
	}
	bj_streams_lock_all(keys, keys + accounts.n, accounts.n);
	PG_RETURN_VOID();
}

/* billadj.replace_baseline(account text, meter text, state bytea) */
PG_FUNCTION_INFO_V1(billadj_replace_baseline);
Datum
billadj_replace_baseline(PG_FUNCTION_ARGS)
{
	KeyText		account = key_arg(PG_GETARG_DATUM(0));
	KeyText		meter = key_arg(PG_GETARG_DATUM(1));
	BjBaseline	baseline;

	if (!decode(PG_GETARG_BYTEA_PP(2), &baseline))
		ereport(ERROR,
				(errcode(ERRCODE_BJ_BAD_BASELINE),
				 errmsg("the bytes are no baseline of meter \"%.*s\" of account \"%.*s\"",
						meter.length, meter.data, account.length, account.data),
				 errhint("SELECT billadj.rebuild_baseline(%s, %s);",
						 quote_literal_cstr(pnstrdup(account.data, account.length)),
						 quote_literal_cstr(pnstrdup(meter.data, meter.length)))));
	bj_streams_replace(account, meter, &baseline);
	PG_RETURN_VOID();
}

/* ---- peer groups ---- */

/*
 * billadj.peer_profile(baselines bytea[], mature boolean) → double precision[]:
 * accounts, level, spread, largest, zero share, the day by the hour, and level,
 * spread and noise of rows; NULL: no account is old enough.
 */
PG_FUNCTION_INFO_V1(billadj_peer_profile);
Datum
billadj_peer_profile(PG_FUNCTION_ARGS)
{
	Series		states = series_arg(PG_GETARG_DATUM(0), BYTEAOID, -1, false, TYPALIGN_INT);
	bool		mature = PG_GETARG_BOOL(1);
	BjPeer		peer = {0};
	Datum		values[5 + 24 + 3];

	for (int i = 0; i < states.n; i++)
	{
		BjBaseline	baseline;

		if (!states.nulls[i] && decode(DatumGetByteaPP(states.values[i]), &baseline) &&
			(bj_baseline_is_mature(&baseline) || !mature))
			bj_peer_add(&peer, &baseline);
	}
	if (peer.accounts == 0)
		PG_RETURN_NULL();
	bj_peer_finish(&peer);
	values[0] = Float8GetDatum(peer.accounts);
	values[1] = Float8GetDatum(peer.level);
	values[2] = Float8GetDatum(peer.spread);
	values[3] = Float8GetDatum(peer.largest);
	values[4] = Float8GetDatum(peer.zero_share);
	for (int hour = 0; hour < 24; hour++)
		values[5 + hour] = Float8GetDatum(peer.day_shape[hour]);
	values[29] = Float8GetDatum(peer.row_level);
	values[30] = Float8GetDatum(peer.row_spread);
	values[31] = Float8GetDatum(peer.row_noise);
	PG_RETURN_ARRAYTYPE_P(construct_array(values, lengthof(values), FLOAT8OID, sizeof(float8),
										  FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

/* ---- beside other accounts ---- */

static double
real_arg(FunctionCallInfo fcinfo, int i)
{
	return PG_ARGISNULL(i) ? 0 : PG_GETARG_FLOAT8(i);
}

/*
 * billadj.note_finding(account text, meter text, rule text, since timestamptz,
 *						last_at timestamptz, decades double precision,
 *						observed double precision, expected double precision,
 *						excess numeric, currency text, row_count bigint,
 *						detail jsonb, period_start timestamptz) → bigint
 * NULL: its detector wants nothing of it
 */
PG_FUNCTION_INFO_V1(billadj_note_finding);
Datum
billadj_note_finding(PG_FUNCTION_ARGS)
{
	AccountFinding f = {0};
	int64		anomaly_id;

	for (int i = 0; i < 5; i++)
		if (PG_ARGISNULL(i))
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("account, meter, rule, since and last_at of a finding must not be NULL")));
	f.account = key_arg(PG_GETARG_DATUM(0));
	f.meter = key_arg(PG_GETARG_DATUM(1));
	f.rule = text_to_cstring(PG_GETARG_TEXT_PP(2));
	f.since = PG_GETARG_TIMESTAMPTZ(3);
	f.last_at = PG_GETARG_TIMESTAMPTZ(4);
	f.score = bj_score_of_decades(real_arg(fcinfo, 5));
	f.observed = real_arg(fcinfo, 6);
	f.expected = real_arg(fcinfo, 7);
	f.excess = BJ_DECIMAL_ZERO;
	f.has_excess = !PG_ARGISNULL(8);
	if (f.has_excess)
		bj_check(bj_numeric_read(PG_GETARG_DATUM(8), &f.excess));
	if (!PG_ARGISNULL(9))
		strlcpy(f.currency, text_to_cstring(PG_GETARG_TEXT_PP(9)), sizeof(f.currency));
	f.rows = PG_ARGISNULL(10) ? 1 : PG_GETARG_INT64(10);
	f.detail = PG_ARGISNULL(11) ? NULL : PG_GETARG_JSONB_P(11);
	f.period_start = PG_ARGISNULL(12) ? 0 : PG_GETARG_TIMESTAMPTZ(12);
	anomaly_id = bj_streams_note(&f);
	if (anomaly_id == 0)
		PG_RETURN_NULL();
	PG_RETURN_INT64(anomaly_id);
}

/*
 * billadj.detector_policy(account text, meter text, rule text) → record
 */
PG_FUNCTION_INFO_V1(billadj_detector_policy);
Datum
billadj_detector_policy(PG_FUNCTION_ARGS)
{
	DetectPolicy policy;
	TupleDesc	desc;
	Datum		values[8];
	bool		nulls[8] = {false};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "detector_policy must return a row");
	require_detectors();
	bj_detectors_policy(key_arg(PG_GETARG_DATUM(0)), key_arg(PG_GETARG_DATUM(1)),
						text_to_cstring(PG_GETARG_TEXT_PP(2)), &policy);
	values[0] = Int64GetDatum(policy.detector_id);
	nulls[0] = policy.detector_id == 0;
	values[1] = CStringGetTextDatum(bj_action_name(policy.action));
	values[2] = BoolGetDatum(policy.off);
	values[3] = Float8GetDatum(policy.threshold);
	values[4] = bj_numeric_make(policy.min_money, 0);
	values[5] = Int32GetDatum(policy.budget);
	values[6] = Float8GetDatum(policy.price_tolerance);
	values[7] = bj_numeric_make(policy.min_share, 0);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}

/* billadj.crowding_decades(just_under bigint, before bigint) */
PG_FUNCTION_INFO_V1(billadj_crowding_decades);
Datum
billadj_crowding_decades(PG_FUNCTION_ARGS)
{
	PG_RETURN_FLOAT8(bj_across_crowding(PG_GETARG_INT64(0), PG_GETARG_INT64(1)));
}

#define GROUPS_MAX 64
#define SHARED_LEAST 3			/* rows */
#define SHARED_QUIET (USECS_PER_DAY / 2)
#define PATTERN_DECADES 3.0
#define MARKET_LEAST 8			/* streams of which more than half are the market */

/* A row of (decades, members, rows, since, until) for each group. */
static void
put_groups(FunctionCallInfo fcinfo, const BjGroup *groups, int n)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	for (int g = 0; g < n; g++)
	{
		int			count = Min(groups[g].count, BJ_ACROSS_MEMBERS);
		Datum		members[BJ_ACROSS_MEMBERS];
		Datum		values[5];
		bool		nulls[5] = {false};

		for (int i = 0; i < count; i++)
			members[i] = Int32GetDatum(groups[g].members[i] + 1);
		values[0] = Float8GetDatum(groups[g].decades);
		values[1] = PointerGetDatum(construct_array(members, count, INT4OID, sizeof(int32), true, TYPALIGN_INT));
		values[2] = Int32GetDatum(groups[g].rows);
		values[3] = TimestampTzGetDatum(groups[g].since - BJ_EPOCH_SHIFT);
		values[4] = TimestampTzGetDatum(groups[g].until - BJ_EPOCH_SHIFT);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
}

/*
 * billadj.shared_rows(times timestamptz[], quantities double precision[],
 *					   members int[], alike bigint[], present int[],
 *					   accounts int, total bigint)
 * rows in the order (time, quantity, member); members count from 1
 */
PG_FUNCTION_INFO_V1(billadj_shared_rows);
Datum
billadj_shared_rows(PG_FUNCTION_ARGS)
{
	Series		times = series_arg(PG_GETARG_DATUM(0), TIMESTAMPTZOID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE);
	Series		quantities = series_arg(PG_GETARG_DATUM(1), FLOAT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE);
	Series		members = series_arg(PG_GETARG_DATUM(2), INT4OID, 4, true, TYPALIGN_INT);
	Series		alike = series_arg(PG_GETARG_DATUM(3), INT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE);
	Series		present = series_arg(PG_GETARG_DATUM(4), INT4OID, 4, true, TYPALIGN_INT);
	int			accounts = PG_GETARG_INT32(5);
	BjSharedRow *rows = palloc0(sizeof(BjSharedRow) * Max(times.n, 1));
	BjCopier   *copiers = palloc0(sizeof(BjCopier) * Max(accounts, 1));
	BjGroup    *groups = palloc0(sizeof(BjGroup) * GROUPS_MAX);
	int			found;

	InitMaterializedSRF(fcinfo, 0);
	if (quantities.n != times.n || members.n != times.n || alike.n != times.n || present.n != times.n)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("the arrays of shared rows differ in length")));
	for (int i = 0; i < times.n; i++)
	{
		int			member = DatumGetInt32(members.values[i]);

		if (times.nulls[i] || quantities.nulls[i] || members.nulls[i] || alike.nulls[i] ||
			present.nulls[i] || member < 1 || member > accounts)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("a shared row is not of one of %d accounts, or a value of it is NULL", accounts)));
		rows[i] = (BjSharedRow) {
			DatumGetTimestampTz(times.values[i]) + BJ_EPOCH_SHIFT, DatumGetFloat8(quantities.values[i]),
			member - 1, DatumGetInt64(alike.values[i]), DatumGetInt32(present.values[i])
		};
	}
	found = bj_across_copies(rows, times.n, PG_GETARG_INT64(6), SHARED_LEAST, SHARED_QUIET,
							 copiers, accounts, groups, GROUPS_MAX);
	put_groups(fcinfo, groups, Min(found, GROUPS_MAX));
	return (Datum) 0;
}

/*
 * billadj.shared_signs(baselines bytea[]): what went up and down together in
 * the last two days, of streams that are looked at by the hour
 */
PG_FUNCTION_INFO_V1(billadj_shared_signs);
Datum
billadj_shared_signs(PG_FUNCTION_ARGS)
{
	Series		states = series_arg(PG_GETARG_DATUM(0), BYTEAOID, -1, false, TYPALIGN_INT);
	BjPattern  *patterns = palloc0(sizeof(BjPattern) * Max(states.n, 1));
	uint64	   *signs = palloc0(sizeof(uint64) * Max(states.n, 1));
	int64	   *newest = palloc0(sizeof(int64) * Max(states.n, 1));
	int		   *places = palloc(sizeof(int) * Max(states.n, 1));
	BjGroup    *groups = palloc0(sizeof(BjGroup) * GROUPS_MAX);
	int64		at = 0;
	int			n = 0;
	int			found;
	int			kept = 0;

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < states.n; i++)
	{
		BjBaseline	baseline;

		if (states.nulls[i] || !decode(DatumGetByteaPP(states.values[i]), &baseline) ||
			!bj_baseline_is_mature(&baseline))
			continue;
		signs[i] = bj_baseline_signs(&baseline, &newest[i]);
		at = Max(at, newest[i] - 2 * USECS_PER_HOUR);
	}
	for (int i = 0; i < states.n; i++)
		if (newest[i] != 0 && bj_pattern_align(signs[i], newest[i], at, USECS_PER_HOUR, &patterns[n].signs))
			places[n++] = i;
	found = Min(bj_across_patterns(patterns, n, PATTERN_DECADES, groups, GROUPS_MAX), GROUPS_MAX);
	for (int g = 0; g < found; g++)
	{
		BjGroup    *group = &groups[kept];

		/* what most accounts do alike has a cause that they share */
		if (n >= MARKET_LEAST && groups[g].count * 2 > n)
			continue;
		*group = groups[g];
		kept++;
		for (int i = 0; i < Min(group->count, BJ_ACROSS_MEMBERS); i++)
			group->members[i] = places[group->members[i]];
		group->until = at;
		group->since = at - group->rows * USECS_PER_HOUR;
	}
	put_groups(fcinfo, groups, kept);
	return (Datum) 0;
}
