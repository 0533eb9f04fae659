/*
 * recurringfuncs.c
 *	  SQL-callable functions of recurring.c: what is to be charged, as rows to
 *	  look at or as charges.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "charges.h"
#include "compat.h"
#include "errors.h"
#include "jsonpush.h"
#include "numericcodec.h"
#include "recurring.h"
#include "recurringtotals.h"

static char *
getarg_string(FunctionCallInfo fcinfo, int n)
{
	return PG_ARGISNULL(n) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(n));
}

static char *
getarg_json(FunctionCallInfo fcinfo, int n)
{
	Jsonb	   *json;

	if (PG_ARGISNULL(n))
		return NULL;
	json = PG_GETARG_JSONB_P(n);
	return JsonbToCString(NULL, &json->root, VARSIZE(json));
}

static TimestampTz
getarg_instant(FunctionCallInfo fcinfo, int n, TimestampTz otherwise)
{
	return PG_ARGISNULL(n) ? otherwise : PG_GETARG_TIMESTAMPTZ(n);
}

/* The arguments that both functions begin with. */
static RecurringWindow
getarg_window(FunctionCallInfo fcinfo, TimelineRequest *request)
{
	RecurringWindow window;

	if (PG_ARGISNULL(0) || TIMESTAMP_NOT_FINITE(PG_GETARG_TIMESTAMPTZ(0)))
		ereport(ERROR,
				(errcode(ERRCODE_BJ_BAD_CHANGE),
				 errmsg("the time of what is due must be finite"),
				 errhint("Use now(), or the end of what is to be looked at.")));
	window.at = PG_GETARG_TIMESTAMPTZ(0);
	window.since = getarg_instant(fcinfo, 1, DT_NOBEGIN);
	window.posting_at = getarg_instant(fcinfo, 2, window.at);
	memset(request, 0, sizeof(TimelineRequest));
	request->account = getarg_string(fcinfo, 3);
	request->subscription_id = PG_ARGISNULL(4) ? 0 : PG_GETARG_INT64(4);
	request->since = window.since;
	return window;
}

/* ---- as rows ---- */

static void
put_row(void *to, const Timeline *t, const Difference *d)
{
	ReturnSetInfo *rsinfo = to;
	Datum		values[18];
	bool		nulls[18] = {false};

	values[0] = t->account.datum;
	values[1] = Int64GetDatum(t->subscription_id);
	values[2] = Int64GetDatum(d->term_id);
	nulls[2] = d->term_id == 0;
	values[3] = Int64GetDatum(d->plan_price_id);
	values[4] = TimestampTzGetDatum(d->period_start);
	values[5] = TimestampTzGetDatum(d->period_end);
	values[6] = TimestampTzGetDatum(d->posted_period_start);
	values[7] = TimestampTzGetDatum(d->due_at);
	values[8] = bj_span_range(d->covers);
	values[9] = bj_span_range(d->line_covers);
	values[10] = bj_numeric_make(d->quantity, 0);
	values[11] = bj_numeric_make(d->full, 0);
	values[12] = CStringGetTextDatum(psprintf("%lld/%lld", (long long) d->share.numerator,
											  (long long) d->share.denominator));
	values[13] = bj_numeric_make(d->should_be, 0);
	values[14] = bj_numeric_make(d->billed, 0);
	values[15] = bj_numeric_make(d->amount, 0);
	values[16] = CStringGetTextDatum(t->currency);
	values[17] = CStringGetTextDatum(d->cause);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/* Calls back for each difference of each timeline. */
static void
each_difference(const TimelineRequest *request, const RecurringWindow *window,
				TimelineReader *reader, DifferenceSink sink, void *to)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "billadj timeline",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	Timeline	timeline;

	while (bj_timelines_next(reader, &timeline))
	{
		CHECK_FOR_INTERRUPTS();
		bj_recurring_differences(&timeline, window, sink, to);
		MemoryContextReset(context);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}

/*
 * billadj.recurring_differences(at, since, posting_at, account,
 * subscription_id, terms jsonb, cycles jsonb)
 */
PG_FUNCTION_INFO_V1(billadj_recurring_differences);
Datum
billadj_recurring_differences(PG_FUNCTION_ARGS)
{
	TimelineRequest request;
	RecurringWindow window = getarg_window(fcinfo, &request);
	TimelineReader *reader;

	request.terms = getarg_json(fcinfo, 5);
	request.cycles = getarg_json(fcinfo, 6);
	InitMaterializedSRF(fcinfo, 0);
	reader = bj_timelines_open(&request, CurrentMemoryContext);
	each_difference(&request, &window, reader, put_row, fcinfo->resultinfo);
	bj_timelines_close(reader);
	return (Datum) 0;
}

/* ---- as charges ---- */

typedef struct Poster
{
	ChargeWriter *charges;
	TotalWriter *totals;
	int64		n;
} Poster;

/* What the amount was computed from: a credit is of what was billed then. */
static Jsonb *
difference_basis(const Difference *d)
{
	JsonbParseState *state = NULL;
	char		share[64];

	snprintf(share, sizeof(share), "%lld/%lld", (long long) d->share.numerator,
			 (long long) d->share.denominator);
	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	bj_jsonpush_string(&state, "share", share);
	bj_jsonpush_decimal(&state, "billed", d->billed);
	bj_jsonpush_decimal(&state, "full_amount", d->full);
	return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
}

static void
post(void *to, const Timeline *t, const Difference *d)
{
	Poster	   *p = to;
	Datum		covers = bj_span_range(d->covers);
	RecurringCharge charge = {
		t->account, t->subscription_id, d->term_id, d->plan_price_id, d->period_start,
		d->posted_period_start, d->due_at, covers, d->quantity,
		d->amount, t->currency, d->cause, difference_basis(d)
	};
	TotalChange total = {
		t->account, t->subscription_id, d->period_start, d->plan_price_id, d->quantity,
		d->full, d->amount, covers, d->fresh
	};

	if (memcmp(&d->covers, &d->line_covers, sizeof(Span)) != 0)
		total.covers = bj_span_range(d->line_covers);

	if (!bj_charges_add_recurring(p->charges, &charge))
		ereport(ERROR,
				(errcode(ERRCODE_BJ_NOT_INSTALLED),
				 errmsg("table billadj.charge cannot take charges of subscriptions"),
				 errhint("SELECT * FROM billadj.migrate();")));
	bj_totals_add(p->totals, &total);
	p->n++;
}

/* billadj.post_differences(at, since, posting_at, account, subscription_id) */
PG_FUNCTION_INFO_V1(billadj_post_differences);
Datum
billadj_post_differences(PG_FUNCTION_ARGS)
{
	TimelineRequest request;
	RecurringWindow window = getarg_window(fcinfo, &request);
	MemoryContext context = CurrentMemoryContext;
	const char *problem = NULL;
	TimelineReader *reader;
	Poster		poster = {0};

	request.latest = true;
	reader = bj_timelines_open(&request, context);
	MemoryContextSwitchTo(context);
	poster.charges = bj_charges_open(BJ_BOOK_BILLED, &problem);
	if (poster.charges != NULL)
		poster.totals = bj_totals_open(context, &problem);
	if (poster.totals == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_BJ_NOT_INSTALLED),
				 errmsg("%s", problem),
				 errhint("SELECT * FROM billadj.self_check();")));
	each_difference(&request, &window, reader, post, &poster);
	bj_totals_close(poster.totals);
	bj_charges_close(poster.charges);
	bj_timelines_close(reader);
	PG_RETURN_INT64(poster.n);
}

/* ---- periods ---- */

static void
put_period(void *to, Span cut, Span whole)
{
	ReturnSetInfo *rsinfo = to;
	Datum		values[2] = {bj_span_range(cut), bj_span_range(whole)};
	bool		nulls[2] = {false};

	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/*
 * billadj.subscription_periods(account, subscription_id, from_at, to_at,
 * cycles jsonb)
 */
PG_FUNCTION_INFO_V1(billadj_subscription_periods);
Datum
billadj_subscription_periods(PG_FUNCTION_ARGS)
{
	TimelineRequest request = {0};
	Timeline	timeline;
	Span		during;

	InitMaterializedSRF(fcinfo, 0);
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(3))
		return (Datum) 0;
	request.account = getarg_string(fcinfo, 0);
	request.subscription_id = PG_GETARG_INT64(1);
	request.since = DT_NOBEGIN;
	request.cycles = getarg_json(fcinfo, 4);
	during = (Span) {
		getarg_instant(fcinfo, 2, DT_NOBEGIN), PG_GETARG_TIMESTAMPTZ(3)
	};
	if (TIMESTAMP_NOT_FINITE(during.end))
		ereport(ERROR,
				(errcode(ERRCODE_BJ_BAD_CHANGE),
				 errmsg("the end of the periods to be listed must be finite")));
	bj_timeline_cycles(&request, CurrentMemoryContext, &timeline);
	bj_recurring_periods(&timeline, during, put_period, fcinfo->resultinfo);
	return (Datum) 0;
}
