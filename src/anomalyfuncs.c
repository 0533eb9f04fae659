/*
 * anomalyfuncs.c
 *	  Scores of any series: window functions over core/baseline.
 *
 * A partition is a stream.  Its baseline lives in the partition's memory, so
 * that nothing has to be installed; it is the function that the insert path
 * calls, with the same defaults.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"
#include "windowapi.h"

#include "core/baseline.h"
#include "detectors.h"
#include "jsonpush.h"
#include "numericcodec.h"

/* From the server's epoch, 2000, to 1970. */
#define EPOCH_SHIFT \
	((POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY)

enum
{
	ARG_OCCURRED_AT, ARG_QUANTITY, ARG_CUMULATIVE, ARG_DETECTOR
};

/* Zeroed when the partition begins. */
typedef struct PartitionState
{
	bool		begun;
	BjDetect	detect;
	BjStream	stream;
} PartitionState;

static void
read_detector(Jsonb *detector, BjDetect *detect)
{
	DetectSettings settings = bj_detectors_defaults();

	if (!JB_ROOT_IS_OBJECT(detector))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("detector is not a JSON object"),
				 errhint("Write {} for the defaults.")));
	bj_detectors_check(detector, NULL);
	/* of a clock, which a series has none of, and `off` say nothing here */
	settings.detect = *detect;
	bj_detectors_read(detector, &settings);
	*detect = settings.detect;
}

static void
begin_partition(WindowObject window, PartitionState *state)
{
	bool		isnull;
	Datum		value;

	state->detect = bj_detect_defaults();
	bj_stream_init(&state->stream);
	value = WinGetFuncArgCurrent(window, ARG_CUMULATIVE, &isnull);
	state->detect.cumulative = !isnull && DatumGetBool(value);
	value = WinGetFuncArgCurrent(window, ARG_DETECTOR, &isnull);
	if (!isnull)
		read_detector(DatumGetJsonbP(value), &state->detect);
	state->begun = true;
}

/*
 * Judges the current row; false when it has no time or no quantity.  *threshold
 * is where an incident opens, *judged the row.  describe: what was expected is asked for.
 */
static bool
judge_current(FunctionCallInfo fcinfo, bool describe, BjJudgement *judgement,
			  BjRow *judged, double *threshold)
{
	WindowObject window = PG_WINDOW_OBJECT();
	PartitionState *state;
	Datum		at;
	Datum		quantity;
	bool		at_isnull;
	bool		quantity_isnull;
	BjRow		row = {0};

	state = WinGetPartitionLocalMemory(window, sizeof(PartitionState));
	if (!state->begun)
		begin_partition(window, state);
	at = WinGetFuncArgCurrent(window, ARG_OCCURRED_AT, &at_isnull);
	quantity = WinGetFuncArgCurrent(window, ARG_QUANTITY, &quantity_isnull);
	if (at_isnull || quantity_isnull)
		return false;

	/* An infinite time stays far out, where the core calls it invalid. */
	row.at = DatumGetTimestampTz(at);
	if (row.at < PG_INT64_MAX / 2)
		row.at += EPOCH_SHIFT;
	row.quantity = bj_numeric_double(quantity);
	state->detect.describe = describe;
	bj_stream_observe(&state->stream, &state->detect, &row, judgement);
	*judged = row;
	*threshold = state->detect.threshold;
	return true;
}

/*
 * billadj.anomaly_score(occurred_at timestamptz, quantity numeric,
 *						 cumulative boolean, detector jsonb)
 */
PG_FUNCTION_INFO_V1(billadj_anomaly_score);
Datum
billadj_anomaly_score(PG_FUNCTION_ARGS)
{
	BjJudgement judgement;
	BjRow		row;
	double		threshold;

	if (!judge_current(fcinfo, false, &judgement, &row, &threshold))
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(judgement.score);
}

/* The kind of incident that the row opens; NULL: none. */
static const char *
alert_of(const BjJudgement *j, double threshold)
{
	if (j->opened)
		return "level";
	if (j->gap_closed)
		return "cadence";
	if (j->rules != 0 && j->family == BJ_FAMILY_ROW && j->score >= threshold)
		return "row";
	return NULL;
}

/* Written as the shortest text that reads back as the same double. */
static void
push_number(JsonbParseState **state, const char *key, double x)
{
	char	   *text = DatumGetCString(DirectFunctionCall1(float8out, Float8GetDatum(x)));

	bj_jsonpush_numeric(state, key, DirectFunctionCall3(numeric_in, CStringGetDatum(text),
														ObjectIdGetDatum(InvalidOid),
														Int32GetDatum(-1)));
}

/*
 * billadj.anomaly_detail(...), the same with what led to the score.  As jsonb:
 * a row type would have to be a member of the extension, since the columns of
 * a window function with OUT arguments cannot be named.
 */
PG_FUNCTION_INFO_V1(billadj_anomaly_detail);
Datum
billadj_anomaly_detail(PG_FUNCTION_ARGS)
{
	BjJudgement j;
	BjRow		row;
	JsonbParseState *state = NULL;
	const char *alert;
	double		threshold;

	if (!judge_current(fcinfo, true, &j, &row, &threshold))
		PG_RETURN_NULL();
	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	push_number(&state, "score", j.score);
	if (j.reason != BJ_REASON_NONE)
		bj_jsonpush_string(&state, "reason", bj_reason_name(j.reason));
	alert = alert_of(&j, threshold);
	if (alert != NULL)
		bj_jsonpush_string(&state, "alert", alert);
	/* a rule for single rows expects nothing of the quantity */
	if (j.family != BJ_FAMILY_ROW || j.hi != 0)
	{
		/* a bucket's sum, the rise of a reading */
		if (j.observed != row.quantity)
			push_number(&state, "observed", j.observed);
		push_number(&state, "expected", j.expected);
		push_number(&state, "lo", j.lo);
		push_number(&state, "hi", j.hi);
	}
	if (j.unit != 0)
		push_number(&state, "unit", j.unit);
	if (j.lag_hours != 0)
		push_number(&state, "lag_hours", j.lag_hours);
	PG_RETURN_JSONB_P(JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL)));
}
