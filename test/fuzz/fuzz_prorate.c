/*
 * fuzz_prorate.c
 *	  Proration against a plain one: every day of a period is given its weight,
 *	  the weights are added up, and amounts are divided digit by digit.
 */
#include "core/prorate.h"
#include "../unit/zones.h"
#include "big.h"
#include "bytes.h"

#define PARTS_MAX 7

/* divisible by every length of a month */
#define MONTH (28 * 29 * 15 * 31)

/* An instant near the period's middle of a few years, often a midnight. */
static int64_t
take_instant(Bytes *bytes, int64_t from, int days)
{
	int64_t		at = from + take_int(bytes, 0, days) * BJ_DAY;

	switch (take_byte(bytes) % 4)
	{
		case 0:
			return at + (int64_t) (take_64(bytes) % BJ_DAY);
		case 1:
			return at + take_int(bytes, 0, 23) * HOUR;
		default:
			return at;
	}
}

/* One move of the clocks, forward or back, somewhere near. */
static Zone
take_zone(Bytes *bytes, int64_t near)
{
	Zone		zone = {take_int(bytes, 0, 1), {0}, {0}};

	zone.offset[0] = take_int(bytes, -11, 11) * HOUR;
	zone.offset[1] = zone.offset[0] + take_int(bytes, -2, 2) * HOUR / 2;
	zone.at[0] = near + take_int(bytes, 0, 40) * BJ_DAY +
		take_int(bytes, -60, 240) * (HOUR / 60) - zone.offset[0];
	return zone;
}

/* Where in time a day begins, for a count that has it begin or end there. */
static int32_t
day_of(DayCount day_count, const Clock *clock, int64_t at)
{
	int32_t		day;

	if (day_count == BJ_ACTUAL_DAYS_INCLUSIVE || day_count == BJ_ACTUAL_360 ||
		day_count == BJ_STRICT_30_360)
		must(bj_clock_next_day(clock, at, &day) == BJ_OK);
	else
		must(bj_clock_day(clock, at, &day) == BJ_OK);
	return day;
}

/* What one day weighs in 30ths where its month has 30. */
static int
thirtieths(Civil civil)
{
	int			length = bj_calendar_month_length(civil.year, civil.month);

	if (civil.day == 31)
		return 0;
	if (civil.month == 2 && civil.day == length)
		return 31 - length;
	return 1;
}

/* The length of the month from the period's first day on that day lies in. */
static int
billing_month(int32_t first, int32_t day)
{
	int			months = 0;

	while (bj_calendar_add_months(first, months + 1) <= day)
		months++;
	return bj_calendar_add_months(first, months + 1) -
		bj_calendar_add_months(first, months);
}

static int64_t
weight(DayCount day_count, int32_t first, int32_t day)
{
	Civil		civil = bj_calendar_civil(day);
	Civil		from = bj_calendar_civil(first);

	switch (day_count)
	{
		case BJ_STRICT_30_360:
			return thirtieths(civil);
		case BJ_FIXED_30:
			return civil.year == from.year && civil.month == from.month ?
				thirtieths(civil) : 1;
		case BJ_CALENDAR_MONTH_SPLIT:
			return MONTH / bj_calendar_month_length(civil.year, civil.month);
		case BJ_MONTH_THEN_DAYS:
			return MONTH / billing_month(first, day);
		default:
			return 1;
	}
}

static int64_t
measure(DayCount day_count, const Clock *clock, Span period, Span part)
{
	int64_t		sum = 0;
	int32_t		first;

	if (part.start >= part.end)
		return 0;
	if (day_count == BJ_ACTUAL_SECONDS)
		return part.end - part.start;
	first = day_of(day_count, clock, period.start);
	for (int32_t day = day_of(day_count, clock, part.start);
		 day < day_of(day_count, clock, part.end); day++)
		sum += weight(day_count, first, day);
	return sum;
}

/* How many months a period of a cycle has; the cycle says so. */
static void
plain_fraction(DayCount day_count, const Clock *clock, Span period,
			   Span part, int months, int64_t *count, int64_t *whole)
{
	*count = measure(day_count, clock, period, part);
	if (day_count == BJ_ACTUAL_360)
		*whole = 30 * months;
	else if (day_count == BJ_ACTUAL_365)
	{
		*count *= 12;
		*whole = 365 * months;
	}
	else
		*whole = measure(day_count, clock, period, period);
}

/* amount * count / whole at scale, by digits: quotient and remainder. */
static void
divide(Decimal amount, int64_t count, int64_t whole, int32_t scale,
	   Big *quotient, Big *remainder, Big *divisor)
{
	static Big	a;
	static Big	b;
	static Big	product;

	big_of(&a, amount.coefficient);
	big_of(&b, count);
	big_multiply(&a, &b, &product);
	big_of(divisor, whole);
	if (scale > amount.scale)
		big_shift(&product, scale - amount.scale);
	else
		big_shift(divisor, amount.scale - scale);
	big_divide(&product, divisor, quotient, remainder);
}

/* Is the quotient's magnitude one more? */
static bool
rounds_up(const Big *quotient, const Big *remainder, const Big *divisor,
		  bool negative, Rounding rounding)
{
	static Big	twice;
	bool		odd = quotient->n > 0 && quotient->digit[0] % 2 == 1;
	int			order;

	twice = *remainder;
	big_add(&twice, remainder);
	order = big_compare(&twice, divisor);
	if (remainder->n == 0)
		return false;
	switch (rounding)
	{
		case BJ_ROUND_HALF_UP:
			return order >= 0;
		case BJ_ROUND_HALF_EVEN:
			return order > 0 || (order == 0 && odd);
		case BJ_ROUND_HALF_DOWN:
			return order > 0;
		case BJ_ROUND_UP:
			return true;
		case BJ_ROUND_CEIL:
			return !negative;
		case BJ_ROUND_FLOOR:
			return negative;
		default:
			return false;
	}
}

static void
judge_share(Decimal amount, int64_t count, int64_t whole, int32_t scale,
			Rounding rounding, BjStatus status, Decimal share)
{
	static Big	quotient;
	static Big	remainder;
	static Big	divisor;
	static Big	found;
	static Big	one;
	bool		negative = amount.coefficient < 0;

	divide(amount, count, whole, scale, &quotient, &remainder, &divisor);
	if (status == BJ_INEXACT)
	{
		must(rounding == BJ_ROUND_NEVER && remainder.n > 0);
		return;
	}
	must(rounding != BJ_ROUND_NEVER || remainder.n == 0 ||
		 status == BJ_OUT_OF_RANGE);
	big_set(&one, 1);
	if (rounds_up(&quotient, &remainder, &divisor, negative, rounding))
		big_add(&quotient, &one);
	if (status == BJ_OUT_OF_RANGE)
	{
		must(quotient.n > 38);
		return;
	}
	must(status == BJ_OK && share.scale == scale);
	big_of(&found, share.coefficient);
	must(big_compare(&found, &quotient) == 0);
	must(found.n == 0 || negative == (share.coefficient < 0));
}

/*
 * Each share is the exact one cut off, or one more; and whoever got one more
 * had lost no less than any who did not, the lower index before the higher.
 */
static void
judge_split(Decimal amount, const int64_t *counts, int n, int64_t whole,
			int32_t scale, const Decimal *shares)
{
	static Big	lost[PARTS_MAX];
	static Big	quotient;
	static Big	found;
	static Big	divisor;
	static Big	one;
	bool		raised[PARTS_MAX];

	big_set(&one, 1);
	for (int i = 0; i < n; i++)
	{
		divide(amount, counts[i], whole, scale, &quotient, &lost[i], &divisor);
		big_of(&found, shares[i].coefficient);
		raised[i] = big_compare(&found, &quotient) != 0;
		big_add(&quotient, &one);
		must(!raised[i] || big_compare(&found, &quotient) == 0);
		must(!raised[i] || lost[i].n > 0);
		must(shares[i].scale == scale);
	}
	for (int i = 0; i < n; i++)
	{
		for (int j = 0; raised[i] && j < n; j++)
		{
			int			order = big_compare(&lost[i], &lost[j]);

			must(raised[j] || order > 0 || (order == 0 && i < j));
		}
	}
}

/* Cuts the period at sorted instants; leaves out some parts, and mixes them. */
static int
take_parts(Bytes *bytes, Span period, Span *parts)
{
	int			n = 0;
	int			cuts = take_int(bytes, 0, PARTS_MAX - 1);
	int64_t		from = period.start;
	int			days = (int) ((period.end - period.start) / BJ_DAY);

	for (int i = 0; i <= cuts; i++)
	{
		int64_t		to = i == cuts ? period.end :
			take_instant(bytes, from, days / (cuts + 1) + 1);

		if (to > period.end)
			to = period.end;
		if (take_byte(bytes) % 4 != 0)
			parts[n++] = (Span) {from, to};
		from = to;
	}
	for (int i = n - 1; i > 0; i--)
	{
		int			j = take_int(bytes, 0, i);
		Span		other = parts[i];

		parts[i] = parts[j];
		parts[j] = other;
	}
	return n;
}

static void
fuzz_split(Bytes *bytes, DayCount day_count, const Clock *clock, Span period,
		   int months, Decimal amount, int32_t scale, Rounding rounding)
{
	Span		parts[PARTS_MAX];
	int64_t		counts[PARTS_MAX];
	int64_t		whole = 0;
	int64_t		sum = 0;
	SplitWork	work[PARTS_MAX];
	Decimal		shares[PARTS_MAX];
	Decimal		total = {0, scale};
	int			n = take_parts(bytes, period, parts);
	int32_t		fault = -1;
	BjStatus	status;

	for (int i = 0; i < n; i++)
	{
		plain_fraction(day_count, clock, period, parts[i], months, &counts[i],
					   &whole);
		sum += counts[i];
	}
	status = bj_prorate_split(amount, day_count, clock, period, parts, n, scale,
							  rounding, work, shares, &fault);
	if (n > 0 && status == BJ_OK)
	{
		for (int i = 0; i < n; i++)
		{
			total.coefficient += shares[i].coefficient;
			must(shares[i].coefficient == 0 ||
				 (shares[i].coefficient < 0) == (amount.coefficient < 0));
		}
		judge_share(amount, sum, whole, scale, rounding, BJ_OK, total);
		judge_split(amount, counts, n, whole, scale, shares);
	}
	else
		must(n == 0 || status == BJ_INEXACT || status == BJ_OUT_OF_RANGE);

	/* a part twice is one too many */
	if (n > 0 && n < PARTS_MAX && parts[0].start < parts[0].end)
	{
		parts[n] = parts[0];
		must(bj_prorate_split(amount, day_count, clock, period, parts, n + 1,
							  scale, rounding, work, shares, &fault) ==
			 BJ_PARTS_OVERLAP);
		must(fault == 0 || fault == n);
	}
}

/* A period of a cycle, so that it is known how many months it has. */
static bool
take_period(Bytes *bytes, const Clock *clock, int64_t from, int *months,
			Span *period)
{
	Cycle		cycle;
	Every		every = {take_int(bytes, 0, 3), 0, 0};

	if (every.months == 3)
		every.months = 12;
	if (every.months == 0)
		every.days = take_int(bytes, 1, 20);
	must(bj_cycle_init(&cycle, clock, take_instant(bytes, from, 40),
					   every) == BJ_OK);
	must(bj_cycle_boundary(&cycle, 0, &period->start) == BJ_OK);
	must(bj_cycle_boundary(&cycle, 1, &period->end) == BJ_OK);
	*months = every.months;
	return period->start < period->end;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Bytes		bytes = bytes_of(data, size);
	DayCount	day_count = (DayCount) take_int(&bytes, 0, BJ_DAY_COUNTS - 1);
	int64_t		from = take_int(&bytes, -3000, 12000) * BJ_DAY;
	Zone		zone = take_zone(&bytes, from);
	Clock		clock = zone_clock(&zone);
	int			months;
	Span		period;
	Span		used;
	int64_t		count;
	int64_t		whole;
	DayFraction fraction;
	Decimal		amount = {take_coefficient(&bytes), take_int(&bytes, -3, 40)};
	Decimal		share = {0, 0};
	int32_t		scale = take_int(&bytes, -2, 12);
	Rounding	rounding = (Rounding) take_int(&bytes, 0, 7);
	BjStatus	status;

	if (!take_period(&bytes, &clock, from, &months, &period))
		return 0;
	used.start = take_instant(&bytes, period.start, 20);
	used.end = take_instant(&bytes, used.start, 40);
	status = bj_day_fraction(day_count, &clock, period, used, &fraction);
	if (status == BJ_OUTSIDE_PERIOD)
	{
		must(used.end > period.end);
		used.end = period.end;
		if (used.start > used.end)
			used.start = used.end;
		status = bj_day_fraction(day_count, &clock, period, used, &fraction);
	}
	if (status == BJ_NO_MONTHS)
	{
		must(months == 0 &&
			 (day_count == BJ_ACTUAL_360 || day_count == BJ_ACTUAL_365));
		return 0;
	}

	/* weeks that happen to be a month are one */
	if (months == 0)
		months = 1;
	plain_fraction(day_count, &clock, period, used, months, &count, &whole);
	if (status == BJ_EMPTY_PERIOD)
	{
		must(whole == 0);
		return 0;
	}
	must(status == BJ_OK);
	must((Int128) fraction.numerator * whole ==
		 (Int128) count * fraction.denominator);
	must(fraction.decimals == (day_count == BJ_ACTUAL_SECONDS ? 6 : 0));

	status = bj_prorate(amount, fraction, scale, rounding, &share);
	judge_share(amount, count, whole, scale, rounding, status, share);
	fuzz_split(&bytes, day_count, &clock, period, months, amount, scale,
			   rounding);
	return 0;
}
