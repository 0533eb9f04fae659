/*
 * prorate.c
 *	  The share of an amount that falls to a part of its period.
 *
 * Measures are whole numbers of a unit, so that nothing is rounded before the
 * one division of an amount.  Days are counted by their number: the day that
 * an instant lies in is a matter of the clock (calendar.c), and whether the
 * day of a change belongs to what ends or to what begins one of the day count.
 */
#include "core/prorate.h"

#include <string.h>

#include "core/wide.h"

/* in the order of the enum */
static const char *const day_count_names[BJ_DAY_COUNTS] = {
	"actual_days", "actual_days_inclusive", "actual_seconds", "actual_360",
	"strict_30_360", "fixed_30", "actual_365", "calendar_month_split",
	"month_then_days"
};

BjStatus
bj_day_count_parse(const char *name, DayCount *day_count)
{
	for (int i = 0; i < BJ_DAY_COUNTS; i++)
	{
		if (strcmp(name, day_count_names[i]) == 0)
		{
			*day_count = (DayCount) i;
			return BJ_OK;
		}
	}
	return BJ_BAD_DAY_COUNT;
}

const char *
bj_day_count_name(DayCount day_count)
{
	return day_count_names[day_count];
}

bool
bj_day_count_is_inclusive(DayCount day_count)
{
	return day_count == BJ_ACTUAL_DAYS_INCLUSIVE ||
		day_count == BJ_ACTUAL_360 || day_count == BJ_STRICT_30_360;
}

/* count / unit days, months or microseconds. */
typedef struct Measure
{
	int64_t		count;
	int32_t		unit;			/* > 0; divides 28 * 29 * 15 * 31 */
} Measure;

static int32_t
greatest_common_divisor(int32_t a, int32_t b)
{
	while (b != 0)
	{
		int32_t		rest = a % b;

		a = b;
		b = rest;
	}
	return a;
}

static int32_t
least_common_multiple(int32_t a, int32_t b)
{
	return a / greatest_common_divisor(a, b) * b;
}

static int64_t
in_units_of(Measure measure, int32_t unit)
{
	return measure.count * (unit / measure.unit);
}

static int64_t
month_number(Civil civil)
{
	return (int64_t) civil.year * 12 + civil.month - 1;
}

/*
 * How far into the 30 days of its month a day begins.  The 31st begins where
 * the month has ended: it weighs nothing.  What February lacks is in its last
 * day, since the next one begins a month.
 */
static int32_t
thirtieths(Civil civil)
{
	return civil.day - 1;
}

/* Every month has 30 days: so many from the month of base on. */
static int64_t
place_30_360(Civil base, Civil civil)
{
	return (month_number(civil) - month_number(base)) * 30 + thirtieths(civil);
}

/* The month of base has 30 days, later ones those of the calendar. */
static int64_t
place_fixed_30(Civil base, Civil civil, int32_t day)
{
	Civil		next = {base.year, base.month, 1};

	if (month_number(base) == month_number(civil))
		return thirtieths(civil);
	return 30 + day - bj_calendar_add_months(bj_calendar_day(next), 1);
}

/* Each calendar month is 1, and a day of it one over its own length. */
static Measure
place_split_months(Civil base, Civil civil)
{
	int32_t		length = civil.day == 1 ? 1 :
		bj_calendar_month_length(civil.year, civil.month);

	return (Measure) {
		(month_number(civil) - month_number(base)) * length + civil.day - 1,
			length
	};
}

/* How many whole months from first to end; first <= end. */
static int32_t
whole_months(int32_t first, int32_t end)
{
	int32_t		months = (int32_t) (month_number(bj_calendar_civil(end)) -
									month_number(bj_calendar_civil(first)));

	if (bj_calendar_add_months(first, months) > end)
		months--;
	return months;
}

/*
 * Months from base on, each to the same day of the next one; a day is one over
 * the length of the month that it lies in.
 */
static Measure
place_months_then_days(int32_t base, int32_t day)
{
	int32_t		months = whole_months(base, day);
	int32_t		reached = bj_calendar_add_months(base, months);
	int32_t		length = bj_calendar_add_months(base, months + 1) - reached;

	if (day == reached)
		return (Measure) {months, 1};
	return (Measure) {(int64_t) months * length + (day - reached), length};
}

/*
 * Where a day begins, as a measure from some place before base, the first day
 * of the period.  It never falls from one day to the next, and a stretch
 * measures the difference of its two places: so parts sum to the whole.
 */
static Measure
place_day(DayCount day_count, int32_t base, int32_t day)
{
	Civil		from = bj_calendar_civil(base);
	Civil		civil = bj_calendar_civil(day);

	switch (day_count)
	{
		case BJ_STRICT_30_360:
			return (Measure) {place_30_360(from, civil), 1};
		case BJ_FIXED_30:
			return (Measure) {place_fixed_30(from, civil, day), 1};
		case BJ_CALENDAR_MONTH_SPLIT:
			return place_split_months(from, civil);
		case BJ_MONTH_THEN_DAYS:
			return place_months_then_days(base, day);
		default:
			return (Measure) {day, 1};
	}
}

/* What all places of one period are measured by. */
typedef struct Ruler
{
	DayCount	day_count;
	const Clock *clock;
	int32_t		base;			/* the period's first day */
} Ruler;

/* The day that an instant begins, for all purposes of this day count. */
static BjStatus
reckon_day(DayCount day_count, const Clock *clock, int64_t instant,
		   int32_t *day)
{
	if (bj_day_count_is_inclusive(day_count))
		return bj_clock_next_day(clock, instant, day);
	return bj_clock_day(clock, instant, day);
}

static BjStatus
make_ruler(DayCount day_count, const Clock *clock, Span period, Ruler *ruler)
{
	*ruler = (Ruler) {day_count, clock, 0};
	if (day_count == BJ_ACTUAL_SECONDS)
		return BJ_OK;
	return reckon_day(day_count, clock, period.start, &ruler->base);
}

/* The place of an instant: that of the day that it is reckoned to begin. */
static BjStatus
place_instant(const Ruler *ruler, int64_t instant, Measure *place)
{
	int32_t		day;
	BjStatus	status;

	if (ruler->day_count == BJ_ACTUAL_SECONDS)
	{
		*place = (Measure) {instant, 1};
		return BJ_OK;
	}
	status = reckon_day(ruler->day_count, ruler->clock, instant, &day);
	if (status == BJ_OK)
		*place = place_day(ruler->day_count, ruler->base, day);
	return status;
}

static Measure
difference(Measure a, Measure b)
{
	int32_t		unit = least_common_multiple(a.unit, b.unit);

	return (Measure) {in_units_of(a, unit) - in_units_of(b, unit), unit};
}

/* The measure of a span that is not empty. */
static BjStatus
measure_span(const Ruler *ruler, Span span, Measure *measure)
{
	Measure		start;
	Measure		end;
	BjStatus	status;

	if ((status = place_instant(ruler, span.start, &start)) != BJ_OK ||
		(status = place_instant(ruler, span.end, &end)) != BJ_OK)
		return status;
	*measure = difference(end, start);
	return BJ_OK;
}

/*
 * Is end so many months after first?  A period that is anchored at the end of
 * a month is one also where only counting back shows it: from 28 February to
 * 31 March.
 */
static bool
are_months_apart(int32_t first, int32_t end, int32_t *months)
{
	*months = (int32_t) (month_number(bj_calendar_civil(end)) -
						 month_number(bj_calendar_civil(first)));
	return *months > 0 &&
		(bj_calendar_add_months(first, *months) == end ||
		 bj_calendar_add_months(end, -*months) == first);
}

/*
 * The day, or the one before it where clocks skip that one: a boundary on the
 * day that never was falls on this one, at the same time of the day, and is
 * named by the other.  (Pacific/Apia, 30 December 2011.)
 */
static int32_t
skipped_or(const Clock *clock, int32_t day)
{
	int64_t		before;
	int64_t		begins;

	if (clock == NULL ||
		bj_clock_instant(clock, (day - 1) * BJ_DAY, &before) != BJ_OK ||
		bj_clock_instant(clock, day * BJ_DAY, &begins) != BJ_OK ||
		before != begins)
		return day;
	return day - 1;
}

/* How many months a period has that begins and ends at any time of the day. */
static BjStatus
months_of(const Ruler *ruler, Span period, int32_t *months)
{
	int32_t		first;
	int32_t		end;
	BjStatus	status;

	if ((status = bj_clock_day(ruler->clock, period.start, &first)) != BJ_OK ||
		(status = bj_clock_day(ruler->clock, period.end, &end)) != BJ_OK)
		return status;
	if (are_months_apart(first, end, months) ||
		are_months_apart(skipped_or(ruler->clock, first),
						 skipped_or(ruler->clock, end), months))
		return BJ_OK;

	/* It may end with its last day instead of the midnight after. */
	if ((status = bj_clock_next_day(ruler->clock, period.end, &end)) == BJ_OK &&
		!are_months_apart(first, end, months) &&
		!are_months_apart(skipped_or(ruler->clock, first), end, months))
		status = BJ_NO_MONTHS;
	return status;
}

/* The measure of the whole period, > 0. */
static BjStatus
measure_period(const Ruler *ruler, Span period, Measure *whole)
{
	int32_t		months;
	BjStatus	status;

	if (ruler->day_count == BJ_ACTUAL_360 || ruler->day_count == BJ_ACTUAL_365)
	{
		status = months_of(ruler, period, &months);
		if (status != BJ_OK)
			return status;
		if (ruler->day_count == BJ_ACTUAL_360)
			*whole = (Measure) {(int64_t) months * 30, 1};
		else if (months % 12 == 0)
			*whole = (Measure) {(int64_t) months / 12 * 365, 1};
		else
			*whole = (Measure) {(int64_t) months * 365, 12};
		return BJ_OK;
	}
	status = measure_span(ruler, period, whole);
	if (status == BJ_OK && whole->count <= 0)
		status = BJ_EMPTY_PERIOD;
	return status;
}

/* A ruler for period, and its measure. */
static BjStatus
begin_period(DayCount day_count, const Clock *clock, Span period,
			 Ruler *ruler, Measure *whole)
{
	int64_t		length;
	BjStatus	status;

	if (period.start >= period.end)
		return BJ_EMPTY_PERIOD;
	if (__builtin_sub_overflow(period.end, period.start, &length))
		return BJ_TIME_OUT_OF_RANGE;
	status = make_ruler(day_count, clock, period, ruler);
	if (status == BJ_OK)
		status = measure_period(ruler, period, whole);
	return status;
}

static DayFraction
fraction_of(DayCount day_count, Measure part, Measure whole)
{
	int32_t		unit = least_common_multiple(part.unit, whole.unit);

	return (DayFraction) {
		in_units_of(part, unit), in_units_of(whole, unit),
			day_count == BJ_ACTUAL_SECONDS ? 6 : 0
	};
}

/* part is not empty */
static bool
is_outside(Span part, Span period)
{
	return part.start < period.start || part.end > period.end;
}

BjStatus
bj_day_fraction(DayCount day_count, const Clock *clock, Span period,
				Span used, DayFraction *fraction)
{
	Ruler		ruler;
	Measure		whole;
	Measure		part = {0, 1};
	BjStatus	status;

	status = begin_period(day_count, clock, period, &ruler, &whole);
	if (status == BJ_OK && used.start < used.end)
	{
		if (is_outside(used, period))
			return BJ_OUTSIDE_PERIOD;
		status = measure_span(&ruler, used, &part);
	}
	if (status == BJ_OK)
		*fraction = fraction_of(day_count, part, whole);
	return status;
}

BjStatus
bj_prorate(Decimal amount, DayFraction fraction, int32_t scale,
		   Rounding rounding, Decimal *share)
{
	Decimal		numerator = bj_decimal_from_int64(fraction.numerator);
	Decimal		denominator = bj_decimal_from_int64(fraction.denominator);
	Decimal		rounded;
	BjStatus	status;

	status = bj_decimal_multiply_divide_round(amount, numerator, denominator,
											  scale, rounding, &rounded);
	if (status == BJ_OK)
		status = bj_decimal_round(rounded, scale, BJ_ROUND_NEVER, &rounded);
	if (status == BJ_OK && rounded.scale != scale)
		status = BJ_OUT_OF_RANGE;
	if (status == BJ_OK)
		*share = rounded;
	return status;
}

/* ---- several parts ---- */

/* Which of two comes first?  The context says what is compared. */
typedef bool (*Precedes) (const SplitWork *a, const SplitWork *b,
						  const Span *parts);

static bool
begins_before(const SplitWork *a, const SplitWork *b, const Span *parts)
{
	return parts[a->index].start < parts[b->index].start;
}

static bool
lost_more(const SplitWork *a, const SplitWork *b, const Span *parts)
{
	(void) parts;
	if (a->lost != b->lost)
		return a->lost > b->lost;
	if (a->lost_below != b->lost_below)
		return a->lost_below > b->lost_below;
	return a->index < b->index;
}

/* Restores the heap below root, where the last one to precede is on top. */
static void
sift_down(SplitWork *work, int32_t root, int32_t n, Precedes precedes,
		  const Span *parts)
{
	SplitWork	moved = work[root];

	for (;;)
	{
		int32_t		child = 2 * root + 1;

		if (child >= n)
			break;
		if (child + 1 < n && precedes(&work[child], &work[child + 1], parts))
			child++;
		if (!precedes(&moved, &work[child], parts))
			break;
		work[root] = work[child];
		root = child;
	}
	work[root] = moved;
}

/* A heap sort, as it needs neither memory nor recursion. */
static void
sort_work(SplitWork *work, int32_t n, Precedes precedes, const Span *parts)
{
	for (int32_t root = n / 2 - 1; root >= 0; root--)
		sift_down(work, root, n, precedes, parts);
	for (int32_t last = n - 1; last > 0; last--)
	{
		SplitWork	other = work[0];

		work[0] = work[last];
		work[last] = other;
		sift_down(work, 0, last, precedes, parts);
	}
}

/*
 * The parts that are not empty, in the order of time; returns how many they
 * are.  Each must lie in the period and share no instant with another.
 */
static BjStatus
order_parts(Span period, const Span *parts, int32_t n, SplitWork *work,
			int32_t *filled, int32_t *fault)
{
	int32_t		count = 0;

	for (int32_t i = 0; i < n; i++)
	{
		if (parts[i].start >= parts[i].end)
			continue;
		*fault = i;
		if (is_outside(parts[i], period))
			return BJ_OUTSIDE_PERIOD;
		work[count++].index = i;
	}
	sort_work(work, count, begins_before, parts);
	for (int32_t i = 1; i < count; i++)
	{
		*fault = work[i].index;
		if (parts[work[i].index].start < parts[work[i - 1].index].end)
			return BJ_PARTS_OVERLAP;
	}
	*filled = count;
	return BJ_OK;
}

/*
 * Leaves in work the measure of each part, in units of its own, and in *unit
 * the one that all can be expressed in.
 */
static BjStatus
measure_parts(const Ruler *ruler, const Span *parts, SplitWork *work,
			  int32_t n, int32_t *unit)
{
	for (int32_t i = 0; i < n; i++)
	{
		Measure		measure;
		BjStatus	status = measure_span(ruler, parts[work[i].index],
										  &measure);

		if (status != BJ_OK)
			return status;
		work[i].count = measure.count;
		work[i].unit = measure.unit;
		*unit = least_common_multiple(*unit, measure.unit);
	}
	return BJ_OK;
}

/* Brings the measures to one unit; returns their sum. */
static int64_t
sum_measures(SplitWork *work, int32_t n, int32_t unit)
{
	int64_t		total = 0;

	for (int32_t i = 0; i < n; i++)
	{
		work[i].count *= unit / work[i].unit;
		total += work[i].count;
	}
	return total;
}

/*
 * One share of a magnitude, rounded down, and what that loses, as a number of
 * two parts: lost whole units of the amount's last place, where it has more
 * decimals than the share, and lost_below / whole of such a unit; where it has
 * fewer, lost_below / whole of a unit of the share.
 */
static BjStatus
cut_share(Decimal amount, int64_t whole, int32_t scale, SplitWork *work,
		  Decimal *share)
{
	DayFraction fraction = {work->count, whole, 0};
	int32_t		places = amount.scale - scale;
	Wide		product = bj_wide_multiply((UInt128) amount.coefficient,
										   (UInt128) work->count);
	UInt128		remainder;
	BjStatus	status;

	status = bj_prorate(amount, fraction, scale, BJ_ROUND_DOWN, share);
	if (status != BJ_OK)
		return status;
	product = bj_wide_divide(product, (UInt128) whole, &remainder);
	work->lost = 0;
	if (places > BJ_DECIMAL_DIGITS)
		work->lost = product.low;
	else if (places > 0)
		(void) bj_wide_divide(product, bj_power_of_ten[places], &work->lost);
	while (places < 0)
	{
		int32_t		count = -places < BJ_DECIMAL_DIGITS ? -places :
			BJ_DECIMAL_DIGITS;

		product = bj_wide_multiply(remainder, bj_power_of_ten[count]);
		(void) bj_wide_divide(product, (UInt128) whole, &remainder);
		places += count;
	}
	work->lost_below = (int64_t) remainder;
	return BJ_OK;
}

/* The shares of a magnitude that sum to total. */
static BjStatus
share_out(Decimal amount, Decimal total, int64_t whole, SplitWork *work,
		  int32_t n, bool exact, Decimal *shares)
{
	Int128		left = total.coefficient;

	for (int32_t i = 0; i < n; i++)
	{
		Decimal    *share = &shares[work[i].index];
		BjStatus	status = cut_share(amount, whole, total.scale, &work[i],
									   share);

		if (status != BJ_OK)
			return status;
		if (exact && (work[i].lost != 0 || work[i].lost_below != 0))
			return BJ_INEXACT;
		left -= share->coefficient;
	}

	/*
	 * What is left is below the sum of what was lost, each less than a unit,
	 * plus one: no more units than there are shares that lost something.
	 */
	if (left > 0)
		sort_work(work, n, lost_more, NULL);
	for (int32_t i = 0; i < (int32_t) left; i++)
		shares[work[i].index].coefficient++;
	return BJ_OK;
}

BjStatus
bj_prorate_split(Decimal amount, DayCount day_count, const Clock *clock,
				 Span period, const Span *parts, int32_t n, int32_t scale,
				 Rounding rounding, SplitWork *work, Decimal *shares,
				 int32_t *fault)
{
	Ruler		ruler;
	Measure		whole;
	Decimal		total;
	DayFraction together;
	int32_t		filled;
	int32_t		unit;
	bool		negative = amount.coefficient < 0;
	BjStatus	status;

	if ((status = begin_period(day_count, clock, period, &ruler,
							   &whole)) != BJ_OK ||
		(status = order_parts(period, parts, n, work, &filled,
							  fault)) != BJ_OK)
		return status;
	unit = whole.unit;
	status = measure_parts(&ruler, parts, work, filled, &unit);
	if (status != BJ_OK)
		return status;

	whole.count = in_units_of(whole, unit);
	together = (DayFraction) {
		sum_measures(work, filled, unit), whole.count, 0
	};
	status = bj_prorate(amount, together, scale, rounding, &total);
	if (status != BJ_OK)
		return status;
	for (int32_t i = 0; i < n; i++)
		shares[i] = (Decimal) {0, scale};
	if (negative)
	{
		amount = bj_decimal_negate(amount);
		total = bj_decimal_negate(total);
	}
	status = share_out(amount, total, whole.count, work, filled,
					   rounding == BJ_ROUND_NEVER, shares);
	for (int32_t i = 0; negative && i < n; i++)
		shares[i] = bj_decimal_negate(shares[i]);
	return status;
}
