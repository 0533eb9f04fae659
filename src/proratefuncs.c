/*
 * proratefuncs.c
 *	  SQL-callable functions of core/calendar.c and core/prorate.c.
 *
 * Immutable, as date_trunc() with a zone is: a zone's rules come from the
 * server's time zone files, and change only with them.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/rangetypes.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"

#include "compat.h"
#include "core/calendar.h"
#include "core/prorate.h"
#include "errors.h"
#include "numericcodec.h"
#include "zone.h"

static Clock
getarg_clock(FunctionCallInfo fcinfo, int n)
{
	return bj_zone_clock(bj_zone_find(text_to_cstring(PG_GETARG_TEXT_PP(n))));
}

static DayCount
getarg_day_count(FunctionCallInfo fcinfo, int n)
{
	char	   *name = text_to_cstring(PG_GETARG_TEXT_PP(n));
	DayCount	day_count;

	bj_check_found(bj_day_count_parse(name, &day_count), name);
	return day_count;
}

static Rounding
getarg_rounding(FunctionCallInfo fcinfo, int n)
{
	char	   *name = text_to_cstring(PG_GETARG_TEXT_PP(n));
	Rounding	rounding;

	bj_check_found(bj_rounding_parse(name, &rounding), name);
	return rounding;
}

static Decimal
getarg_decimal(FunctionCallInfo fcinfo, int n)
{
	Decimal		a;

	bj_check(bj_numeric_read(PG_GETARG_DATUM(n), &a));
	return a;
}

/* A range as a message shows it. */
static char *
range_text(Datum range)
{
	Oid			output;
	bool		varlena;

	getTypeOutputInfo(TSTZRANGEOID, &output, &varlena);
	return OidOutputFunctionCall(output, range);
}

/*
 * An instant of the core.  Infinities have no place in a calendar, and are not
 * the largest of its numbers.
 */
static int64
finite_instant(TimestampTz at, const char *name)
{
	if (TIMESTAMP_NOT_FINITE(at))
		ereport(ERROR,
				(errcode(ERRCODE_BJ_BAD_INSTANT),
				 errmsg("%s is infinite", name),
				 errhint("Use finite times; billing periods end before the year 294277.")));
	return at;
}

/*
 * A tstzrange as a span; an empty one has no length.  A range that excludes
 * its lower or includes its upper end is one that was written with another day
 * count in mind: it is refused, not read as a microsecond more.
 */
static Span
read_span(Datum datum, const char *name)
{
	TypeCacheEntry *type = lookup_type_cache(TSTZRANGEOID,
											 TYPECACHE_RANGE_INFO);
	RangeBound	lower;
	RangeBound	upper;
	bool		empty;
	Span		span = {0, 0};

	range_deserialize(type, DatumGetRangeTypeP(datum), &lower, &upper, &empty);
	if (empty)
		return span;
	if (lower.infinite || upper.infinite ||
		!lower.inclusive || upper.inclusive)
		ereport(ERROR,
				(errcode(ERRCODE_BJ_BAD_RANGE),
				 errmsg("%s is not a half-open range with two ends: %s", name,
						range_text(datum)),
				 errhint("Use [from, to): a range ends at the midnight after its last day.")));
	span.start = finite_instant(DatumGetTimestampTz(lower.val), name);
	span.end = finite_instant(DatumGetTimestampTz(upper.val), name);
	return span;
}

static Datum
make_period(const Period *period)
{
	TypeCacheEntry *type = lookup_type_cache(TSTZRANGEOID,
											 TYPECACHE_RANGE_INFO);
	RangeBound	lower = {TimestampTzGetDatum(period->start), false, true, true};
	RangeBound	upper = {TimestampTzGetDatum(period->end), false, false, false};

	return RangeTypePGetDatum(bj_compat_make_range(type, &lower, &upper));
}

/* As bj_check(), and says which part is at fault and which period it is of. */
static void
check_parts(BjStatus status, Datum period, Datum part)
{
	if (status == BJ_OUTSIDE_PERIOD || status == BJ_PARTS_OVERLAP)
		ereport(ERROR,
				(errcode(bj_status_sqlstate(status)),
				 errmsg("%s", bj_status_message(status)),
				 errdetail("The part is %s, the period %s.", range_text(part),
						   range_text(period)),
				 errhint("%s", bj_status_hint(status))));
	bj_check(status);
}

static DayFraction
getarg_fraction(FunctionCallInfo fcinfo, int n)
{
	Datum		period = PG_GETARG_DATUM(n);
	Datum		used = PG_GETARG_DATUM(n + 1);
	DayCount	day_count = getarg_day_count(fcinfo, n + 2);
	Clock		clock = getarg_clock(fcinfo, n + 3);
	DayFraction fraction;

	check_parts(bj_day_fraction(day_count, &clock, read_span(period, "period"),
								read_span(used, "used"), &fraction),
				period, used);
	return fraction;
}

/*
 * billadj.prorate(amount numeric, period tstzrange, used tstzrange,
 * day_count text, time_zone text, scale int, rounding text)
 */
PG_FUNCTION_INFO_V1(billadj_prorate);
Datum
billadj_prorate(PG_FUNCTION_ARGS)
{
	Decimal		amount = getarg_decimal(fcinfo, 0);
	DayFraction fraction = getarg_fraction(fcinfo, 1);
	int32		scale = PG_GETARG_INT32(5);
	Rounding	rounding = getarg_rounding(fcinfo, 6);
	Decimal		share;

	bj_check(bj_prorate(amount, fraction, scale, rounding, &share));
	PG_RETURN_DATUM(bj_numeric_make(share, scale));
}

/* The elements of an array of ranges, and what each of them spans. */
static Span *
getarg_parts(FunctionCallInfo fcinfo, int n, Datum **datums, int *count)
{
	ArrayType  *array = PG_GETARG_ARRAYTYPE_P(n);
	Span	   *parts;
	bool	   *nulls;

	if (ARR_NDIM(array) > 1)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("array parts has %d dimensions instead of one",
						ARR_NDIM(array)),
				 errhint("Pass a one-dimensional array.")));
	deconstruct_array(array, TSTZRANGEOID, -1, false, TYPALIGN_DOUBLE, datums,
					  &nulls, count);
	parts = palloc(sizeof(Span) * *count);
	for (int i = 0; i < *count; i++)
	{
		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("element %d of parts is NULL", i + 1),
					 errhint("Use an empty range for a part that gets nothing.")));
		parts[i] = read_span((*datums)[i], psprintf("element %d of parts", i + 1));
	}
	return parts;
}

/*
 * billadj.prorate_split(amount numeric, period tstzrange, parts tstzrange[],
 * day_count text, time_zone text, scale int, rounding text)
 */
PG_FUNCTION_INFO_V1(billadj_prorate_split);
Datum
billadj_prorate_split(PG_FUNCTION_ARGS)
{
	Decimal		amount = getarg_decimal(fcinfo, 0);
	Datum		period = PG_GETARG_DATUM(1);
	Datum	   *datums;
	int			count;
	Span	   *parts = getarg_parts(fcinfo, 2, &datums, &count);
	DayCount	day_count = getarg_day_count(fcinfo, 3);
	Clock		clock = getarg_clock(fcinfo, 4);
	int32		scale = PG_GETARG_INT32(5);
	Rounding	rounding = getarg_rounding(fcinfo, 6);
	SplitWork  *work = palloc(sizeof(SplitWork) * count);
	Decimal    *shares = palloc(sizeof(Decimal) * count);
	int32		fault = 0;
	BjStatus	status;

	status = bj_prorate_split(amount, day_count, &clock,
							  read_span(period, "period"), parts, count, scale,
							  rounding, work, shares, &fault);
	check_parts(status, period, count > 0 ? datums[fault] : period);
	for (int i = 0; i < count; i++)
		datums[i] = bj_numeric_make(shares[i], scale);
	PG_RETURN_ARRAYTYPE_P(construct_array(datums, count, NUMERICOID, -1, false,
										  TYPALIGN_INT));
}

/*
 * billadj.day_fraction(period tstzrange, used tstzrange, day_count text,
 * time_zone text, OUT numerator numeric, OUT denominator numeric)
 */
PG_FUNCTION_INFO_V1(billadj_day_fraction);
Datum
billadj_day_fraction(PG_FUNCTION_ARGS)
{
	DayFraction fraction = getarg_fraction(fcinfo, 0);
	TupleDesc	result;
	Datum		values[2];
	bool		nulls[2] = {false, false};

	if (get_call_result_type(fcinfo, NULL, &result) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "day_fraction does not return a row");
	values[0] = bj_numeric_make((Decimal) {fraction.numerator, fraction.decimals}, 0);
	values[1] = bj_numeric_make((Decimal) {fraction.denominator, fraction.decimals}, 0);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(result),
													  values, nulls)));
}

/* The cycle of arguments 0, 1 and 3; clock is the caller's memory. */
static Cycle
getarg_cycle(FunctionCallInfo fcinfo, Clock *clock)
{
	int64		anchor = finite_instant(PG_GETARG_TIMESTAMPTZ(0), "anchor");
	Interval   *interval = PG_GETARG_INTERVAL_P(1);
	Every		every = {interval->month, interval->day, interval->time};
	Cycle		cycle;

	*clock = getarg_clock(fcinfo, 3);
	bj_check(bj_cycle_init(&cycle, clock, anchor, every));
	return cycle;
}

/*
 * billadj.period_at(anchor timestamptz, every interval, at timestamptz,
 * time_zone text)
 */
PG_FUNCTION_INFO_V1(billadj_period_at);
Datum
billadj_period_at(PG_FUNCTION_ARGS)
{
	Clock		clock;
	Cycle		cycle = getarg_cycle(fcinfo, &clock);
	Period		period;

	bj_check(bj_cycle_find(&cycle,
						   finite_instant(PG_GETARG_TIMESTAMPTZ(2), "at"),
						   &period));
	PG_RETURN_DATUM(make_period(&period));
}

/* What periods() remembers from one row to the next. */
typedef struct PeriodScan
{
	Clock		clock;
	Cycle		cycle;
	Period		period;			/* the next one to return */
	int64		end;			/* of what it shall overlap */
} PeriodScan;

static void
begin_scan(FunctionCallInfo fcinfo, PeriodScan *scan)
{
	Span		during = read_span(PG_GETARG_DATUM(2), "during");

	scan->cycle = getarg_cycle(fcinfo, &scan->clock);
	scan->end = during.end;
	if (during.start < during.end)
		bj_check(bj_cycle_find(&scan->cycle, during.start, &scan->period));
	else
		scan->period.start = scan->end;
}

/*
 * billadj.periods(anchor timestamptz, every interval, during tstzrange,
 * time_zone text)
 */
PG_FUNCTION_INFO_V1(billadj_periods);
Datum
billadj_periods(PG_FUNCTION_ARGS)
{
	FuncCallContext *call;
	PeriodScan *scan;
	Datum		result;

	if (SRF_IS_FIRSTCALL())
	{
		call = SRF_FIRSTCALL_INIT();
		call->user_fctx = MemoryContextAlloc(call->multi_call_memory_ctx,
											 sizeof(PeriodScan));
		begin_scan(fcinfo, call->user_fctx);
	}
	call = SRF_PERCALL_SETUP();
	scan = call->user_fctx;
	if (scan->period.start >= scan->end)
		SRF_RETURN_DONE(call);

	result = make_period(&scan->period);
	if (scan->period.end >= scan->end)
		scan->period.start = scan->end;
	else
		bj_check(bj_cycle_next(&scan->cycle, &scan->period));
	SRF_RETURN_NEXT(call, result);
}
