/*
 * test_prorate.c
 *	  Day counts, shares and splits.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/prorate.h"
#include "tap.h"
#include "zones.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))
#define PARTS_MAX 5

/* month, day, hour; the year is 2021 with 12 months, 2022 from month 13 on */
typedef struct When
{
	int32_t		month;
	int32_t		day;
	int32_t		hour;
} When;

typedef struct Range
{
	When		from;
	When		to;
} Range;

static int64_t
instant_of(int32_t year, When when)
{
	return time_of(year + (when.month - 1) / 12, (when.month - 1) % 12 + 1,
				   when.day, when.hour, 0);
}

static Span
span_of(int32_t year, Range range)
{
	return (Span) {
		instant_of(year, range.from), instant_of(year, range.to)
	};
}

#define R(m1, d1, m2, d2) {{m1, d1, 0}, {m2, d2, 0}}
#define JANUARY R(1, 1, 2, 1)
#define FEBRUARY R(2, 1, 3, 1)
#define MARCH R(3, 1, 4, 1)
#define YEAR R(1, 1, 13, 1)

static const struct
{
	int32_t		year;
	Range		period;
	Range		used;
	DayCount	day_count;
	BjStatus	status;
	int64_t		numerator;
	int64_t		denominator;
}			fraction_cases[] = {
	{2021, JANUARY, R(1, 27, 2, 1), BJ_ACTUAL_DAYS, BJ_OK, 5, 31},
	{2021, JANUARY, R(1, 27, 2, 1), BJ_ACTUAL_DAYS_INCLUSIVE, BJ_OK, 5, 31},
	{2021, JANUARY, R(1, 27, 2, 1), BJ_ACTUAL_SECONDS, BJ_OK, 5 * BJ_DAY, 31 * BJ_DAY},
	{2021, JANUARY, R(1, 27, 2, 1), BJ_ACTUAL_360, BJ_OK, 5, 30},
	{2021, JANUARY, R(1, 27, 2, 1), BJ_STRICT_30_360, BJ_OK, 4, 30},
	{2021, JANUARY, R(1, 27, 2, 1), BJ_FIXED_30, BJ_OK, 4, 30},
	{2021, JANUARY, R(1, 27, 2, 1), BJ_ACTUAL_365, BJ_OK, 60, 365},
	{2021, JANUARY, R(1, 27, 2, 1), BJ_CALENDAR_MONTH_SPLIT, BJ_OK, 5, 31},
	{2021, JANUARY, R(1, 27, 2, 1), BJ_MONTH_THEN_DAYS, BJ_OK, 5, 31},
	{2021, FEBRUARY, R(2, 27, 3, 1), BJ_ACTUAL_360, BJ_OK, 2, 30},
	{2021, FEBRUARY, R(2, 27, 3, 1), BJ_STRICT_30_360, BJ_OK, 4, 30},
	{2020, FEBRUARY, FEBRUARY, BJ_STRICT_30_360, BJ_OK, 30, 30},
	{2020, FEBRUARY, FEBRUARY, BJ_ACTUAL_360, BJ_OK, 29, 30},
	{2021, FEBRUARY, R(2, 1, 2, 28), BJ_STRICT_30_360, BJ_OK, 27, 30},
	{2021, JANUARY, R(1, 31, 2, 1), BJ_STRICT_30_360, BJ_OK, 0, 30},
	{2021, JANUARY, JANUARY, BJ_ACTUAL_360, BJ_OK, 31, 30},
	/* a year, and a leap year */
	{2021, YEAR, YEAR, BJ_ACTUAL_360, BJ_OK, 365, 360},
	{2020, YEAR, YEAR, BJ_ACTUAL_365, BJ_OK, 366, 365},
	{2021, R(1, 1, 7, 1), R(1, 1, 7, 1), BJ_ACTUAL_365, BJ_OK, 181 * 12, 365 * 6},
	{2020, R(1, 1, 25, 1), R(1, 1, 13, 1), BJ_ACTUAL_365, BJ_OK, 366, 730},
	{2020, YEAR, YEAR, BJ_STRICT_30_360, BJ_OK, 360, 360},
	{2020, YEAR, YEAR, BJ_FIXED_30, BJ_OK, 365, 365},
	{2020, YEAR, R(3, 1, 6, 1), BJ_CALENDAR_MONTH_SPLIT, BJ_OK, 3, 12},
	{2021, YEAR, R(4, 8, 7, 1), BJ_CALENDAR_MONTH_SPLIT, BJ_OK, 83, 360},
	{2021, R(1, 15, 13, 15), R(1, 15, 3, 20), BJ_MONTH_THEN_DAYS, BJ_OK, 67, 372},
	{2021, R(1, 15, 13, 15), R(2, 15, 4, 15), BJ_MONTH_THEN_DAYS, BJ_OK, 2, 12},
	/* anchored at the end of a month */
	{2021, R(1, 31, 2, 28), R(1, 31, 2, 28), BJ_ACTUAL_360, BJ_OK, 28, 30},
	{2021, R(2, 28, 3, 31), R(2, 28, 3, 31), BJ_ACTUAL_360, BJ_OK, 31, 30},
	{2021, {{1, 30, 15}, {2, 28, 15}}, {{1, 30, 15}, {2, 28, 15}}, BJ_ACTUAL_360, BJ_OK, 29, 30},
	{2021, {{1, 31, 15}, {2, 28, 15}}, {{1, 31, 15}, {2, 28, 15}}, BJ_ACTUAL_360, BJ_OK, 28, 30},
	{2021, {{1, 1, 0}, {1, 31, 23}}, {{1, 1, 0}, {1, 31, 23}}, BJ_ACTUAL_360, BJ_OK, 31, 30},
	{2021, R(1, 31, 2, 28), R(1, 31, 2, 28), BJ_STRICT_30_360, BJ_OK, 27, 27},
	{2021, R(1, 31, 4, 30), R(2, 28, 4, 1), BJ_MONTH_THEN_DAYS, BJ_OK, 31, 90},
	/* whose is the day of a change? */
	{2021, MARCH, {{3, 1, 0}, {3, 10, 15}}, BJ_ACTUAL_DAYS, BJ_OK, 9, 31},
	{2021, MARCH, {{3, 10, 15}, {4, 1, 0}}, BJ_ACTUAL_DAYS, BJ_OK, 22, 31},
	{2021, MARCH, {{3, 1, 0}, {3, 10, 15}}, BJ_ACTUAL_DAYS_INCLUSIVE, BJ_OK, 10, 31},
	{2021, MARCH, {{3, 10, 15}, {4, 1, 0}}, BJ_ACTUAL_DAYS_INCLUSIVE, BJ_OK, 21, 31},
	{2021, MARCH, {{3, 10, 15}, {4, 1, 0}}, BJ_ACTUAL_365, BJ_OK, 264, 365},
	{2021, MARCH, {{3, 10, 9}, {3, 10, 15}}, BJ_ACTUAL_SECONDS, BJ_OK, 6 * HOUR, 31 * BJ_DAY},
	/* nothing, and what is refused */
	{2021, MARCH, R(3, 5, 3, 5), BJ_ACTUAL_DAYS, BJ_OK, 0, 31},
	{2021, MARCH, R(3, 6, 3, 5), BJ_ACTUAL_DAYS, BJ_OK, 0, 31},
	{2021, MARCH, R(8, 6, 8, 6), BJ_ACTUAL_DAYS, BJ_OK, 0, 31},
	{2021, R(3, 1, 3, 1), R(3, 1, 3, 1), BJ_ACTUAL_SECONDS, BJ_EMPTY_PERIOD, 0, 0},
	{2021, {{3, 1, 8}, {3, 1, 9}}, {{3, 1, 8}, {3, 1, 9}}, BJ_ACTUAL_DAYS, BJ_EMPTY_PERIOD, 0, 0},
	{2021, R(1, 31, 2, 1), R(1, 31, 2, 1), BJ_STRICT_30_360, BJ_EMPTY_PERIOD, 0, 0},
	{2021, MARCH, R(2, 28, 3, 2), BJ_ACTUAL_DAYS, BJ_OUTSIDE_PERIOD, 0, 0},
	{2021, MARCH, R(3, 28, 4, 2), BJ_ACTUAL_DAYS, BJ_OUTSIDE_PERIOD, 0, 0},
	{2021, R(3, 1, 3, 8), R(3, 1, 3, 8), BJ_ACTUAL_360, BJ_NO_MONTHS, 0, 0},
	{2021, R(3, 1, 4, 2), R(3, 1, 3, 8), BJ_ACTUAL_365, BJ_NO_MONTHS, 0, 0},
	{2021, R(3, 31, 4, 1), R(3, 31, 4, 1), BJ_ACTUAL_360, BJ_NO_MONTHS, 0, 0},
};

static void
test_fractions(void)
{
	for (size_t i = 0; i < COUNT(fraction_cases); i++)
	{
		DayFraction fraction = {0, 0, 0};
		int32_t		year = fraction_cases[i].year;
		DayCount	day_count = fraction_cases[i].day_count;
		BjStatus	status = bj_day_fraction(day_count, NULL,
											 span_of(year, fraction_cases[i].period),
											 span_of(year, fraction_cases[i].used),
											 &fraction);

		ok(status == fraction_cases[i].status &&
		   fraction.numerator == fraction_cases[i].numerator &&
		   fraction.denominator == fraction_cases[i].denominator &&
		   fraction.decimals == (status == BJ_OK && day_count == BJ_ACTUAL_SECONDS ? 6 : 0),
		   "case %zu, %s: %" PRId64 "/%" PRId64 ", %d", i,
		   bj_day_count_name(day_count), fraction.numerator,
		   fraction.denominator, (int) status);
	}
}

/* All the time there is, and as much of it as can be counted. */
static void
test_ages(void)
{
	DayFraction fraction;
	Span		ages = {BJ_TIME_MIN, BJ_TIME_END - 1};
	Span		era = {0, BJ_TIME_END - 1};

	ok(bj_day_fraction(BJ_ACTUAL_SECONDS, NULL, ages, ages, &fraction) ==
	   BJ_TIME_OUT_OF_RANGE, "more microseconds than can be counted");
	ok(bj_day_fraction(BJ_ACTUAL_SECONDS, NULL, era, era, &fraction) == BJ_OK &&
	   fraction.numerator == BJ_TIME_END - 1, "292,277 years of seconds");
	ok(bj_day_fraction(BJ_CALENDAR_MONTH_SPLIT, NULL, era, era, &fraction) == BJ_OK &&
	   fraction.numerator == fraction.denominator, "and of months");
	era.end = INT64_MAX;
	ok(bj_day_fraction(BJ_ACTUAL_DAYS, NULL, era, era, &fraction) ==
	   BJ_TIME_OUT_OF_RANGE, "infinity");
}

static Decimal
number(const char *text)
{
	Decimal		a = {0, 0};

	if (bj_decimal_parse(text, strlen(text), &a) != BJ_OK)
		ok(false, "a number of the test is not readable: %s", text);
	return a;
}

static const struct
{
	const char *amount;
	int64_t		numerator;
	int64_t		denominator;
	int32_t		scale;
	Rounding	rounding;
	BjStatus	status;
	const char *share;
}			share_cases[] = {
	{"5", 1, 31, 2, BJ_ROUND_HALF_UP, BJ_OK, "0.16"},
	{"6", 30, 31, 2, BJ_ROUND_HALF_UP, BJ_OK, "5.81"},
	{"2000", 24, 31, 2, BJ_ROUND_HALF_UP, BJ_OK, "1548.39"},
	{"2.05", 3, 30, 2, BJ_ROUND_HALF_UP, BJ_OK, "0.21"},
	{"2.05", 3, 30, 2, BJ_ROUND_HALF_EVEN, BJ_OK, "0.20"},
	{"-2.05", 3, 30, 2, BJ_ROUND_HALF_UP, BJ_OK, "-0.21"},
	{"-2.05", 3, 30, 2, BJ_ROUND_CEIL, BJ_OK, "-0.20"},
	/* a quotient with an end, and more decimals than are wanted */
	{"1", 1, 8, 2, BJ_ROUND_HALF_EVEN, BJ_OK, "0.12"},
	{"1", 1, 8, 2, BJ_ROUND_NEVER, BJ_INEXACT, NULL},
	{"1", 1, 8, 3, BJ_ROUND_NEVER, BJ_OK, "0.125"},
	{"31", 31, 30, 2, BJ_ROUND_HALF_UP, BJ_OK, "32.03"},
	{"0", 1, 3, 2, BJ_ROUND_NEVER, BJ_OK, "0.00"},
	{"10", 0, 3, 2, BJ_ROUND_NEVER, BJ_OK, "0.00"},
	/* half of a unit by one in 10^30 */
	{"0.010000000000000000000000000001", 1, 2, 2, BJ_ROUND_HALF_DOWN, BJ_OK, "0.01"},
	{"0.01", 1, 2, 2, BJ_ROUND_HALF_DOWN, BJ_OK, "0.00"},
	{"99999999999999999999999999999999999999", 31, 31, 0, BJ_ROUND_NEVER, BJ_OK,
	"99999999999999999999999999999999999999"},
	{"99999999999999999999999999999999999999", 31, 30, 0, BJ_ROUND_UP, BJ_OUT_OF_RANGE, NULL},
	{"1e37", 1, 2, 2, BJ_ROUND_NEVER, BJ_OUT_OF_RANGE, NULL},
	{"123456", 1, 2, -3, BJ_ROUND_HALF_UP, BJ_OK, "62000"},
	{"1", 1, 3, 1001, BJ_ROUND_HALF_UP, BJ_BAD_SCALE, NULL},
};

static void
test_shares(void)
{
	for (size_t i = 0; i < COUNT(share_cases); i++)
	{
		char		text[BJ_DECIMAL_TEXT_SIZE] = "none";
		Decimal		share;
		DayFraction fraction = {
			share_cases[i].numerator, share_cases[i].denominator, 0
		};
		BjStatus	status = bj_prorate(number(share_cases[i].amount), fraction,
										share_cases[i].scale,
										share_cases[i].rounding, &share);

		if (status == BJ_OK)
			bj_decimal_format(share, text);
		ok(status == share_cases[i].status &&
		   (status != BJ_OK || strcmp(text, share_cases[i].share) == 0),
		   "%s * %" PRId64 "/%" PRId64 ": %s, %d", share_cases[i].amount,
		   share_cases[i].numerator, share_cases[i].denominator, text,
		   (int) status);
	}
}

static const struct
{
	const char *amount;
	Range		period;
	int			n;
	Range		parts[PARTS_MAX];
	DayCount	day_count;
	int32_t		scale;
	Rounding	rounding;
	BjStatus	status;
	const char *shares;			/* or, with a fault, its index */
}			split_cases[] = {
	{"100", R(4, 1, 5, 1), 3, {R(4, 1, 4, 11), R(4, 11, 4, 21), R(4, 21, 5, 1)},
	BJ_ACTUAL_DAYS, 2, BJ_ROUND_HALF_UP, BJ_OK, "33.34 33.33 33.33"},
	{"-100", R(4, 1, 5, 1), 3, {R(4, 1, 4, 11), R(4, 11, 4, 21), R(4, 21, 5, 1)},
	BJ_ACTUAL_DAYS, 2, BJ_ROUND_HALF_UP, BJ_OK, "-33.34 -33.33 -33.33"},
	{"100", R(4, 1, 5, 1), 3, {R(4, 21, 5, 1), R(4, 1, 4, 11), R(4, 11, 4, 21)},
	BJ_ACTUAL_DAYS, 2, BJ_ROUND_HALF_UP, BJ_OK, "33.34 33.33 33.33"},
	/* 3.333 and 63.333: the second one lost no more */
	{"100", R(4, 1, 5, 1), 2, {R(4, 1, 4, 2), R(4, 11, 4, 30)},
	BJ_ACTUAL_DAYS, 2, BJ_ROUND_HALF_UP, BJ_OK, "3.34 63.33"},
	{"100", R(4, 1, 5, 1), 2, {R(4, 1, 4, 2), R(4, 11, 4, 30)},
	BJ_ACTUAL_DAYS, 2, BJ_ROUND_DOWN, BJ_OK, "3.33 63.33"},
	{"100", R(4, 1, 5, 1), 2, {R(4, 1, 4, 2), R(4, 11, 4, 30)},
	BJ_ACTUAL_DAYS, 0, BJ_ROUND_UP, BJ_OK, "4 63"},
	{"100", R(1, 1, 2, 1), 3, {R(1, 1, 1, 8), R(1, 8, 1, 20), R(1, 20, 2, 1)},
	BJ_ACTUAL_360, 2, BJ_ROUND_HALF_UP, BJ_OK, "23.33 40.00 40.00"},
	/* lengths of 28, 29 and 31 days in one sum */
	{"1", R(1, 15, 13, 15), 3, {R(1, 15, 1, 29), R(1, 29, 2, 10), R(2, 10, 13, 15)},
	BJ_CALENDAR_MONTH_SPLIT, 12, BJ_ROUND_HALF_EVEN, BJ_OK,
	"0.037634408602 0.034850230415 0.927515360983"},
	/* an empty one, and none */
	{"10", R(4, 1, 5, 1), 3, {R(4, 5, 4, 5), R(4, 1, 5, 1), R(6, 1, 6, 1)},
	BJ_ACTUAL_DAYS, 2, BJ_ROUND_HALF_UP, BJ_OK, "0.00 10.00 0.00"},
	{"10", R(4, 1, 5, 1), 0, {R(1, 1, 1, 1)},
	BJ_ACTUAL_DAYS, 2, BJ_ROUND_HALF_UP, BJ_OK, ""},
	/* hours of one day, by days */
	{"30", R(4, 1, 5, 1), 3, {{{4, 1, 0}, {4, 10, 9}}, {{4, 10, 9}, {4, 10, 15}}, {{4, 10, 15}, {5, 1, 0}}},
	BJ_ACTUAL_DAYS, 2, BJ_ROUND_HALF_UP, BJ_OK, "9.00 0.00 21.00"},
	{"30", R(4, 1, 5, 1), 3, {{{4, 1, 0}, {4, 10, 9}}, {{4, 10, 9}, {4, 10, 15}}, {{4, 10, 15}, {5, 1, 0}}},
	BJ_ACTUAL_DAYS_INCLUSIVE, 2, BJ_ROUND_HALF_UP, BJ_OK, "10.00 0.00 20.00"},
	/* more decimals than are wanted, and a far larger unit */
	{"0.000000000000000000000000000000000001", R(4, 1, 5, 1), 2, {R(4, 1, 4, 2), R(4, 2, 5, 1)},
	BJ_ACTUAL_DAYS, 0, BJ_ROUND_UP, BJ_OK, "0 1"},
	{"1e30", R(4, 1, 5, 1), 2, {{{4, 1, 0}, {4, 1, 1}}, {{4, 1, 1}, {4, 1, 2}}},
	BJ_ACTUAL_SECONDS, 9, BJ_ROUND_HALF_UP, BJ_OK,
	"1388888888888888888888888888.888888889 1388888888888888888888888888.888888889"},
	{"100", R(4, 1, 5, 1), 2, {R(4, 1, 4, 2), R(4, 11, 4, 30)},
	BJ_ACTUAL_DAYS, 2, BJ_ROUND_NEVER, BJ_INEXACT, NULL},
	/* a sum that comes out even of parts that do not */
	{"100", R(4, 1, 5, 1), 3, {R(4, 1, 4, 11), R(4, 11, 4, 21), R(4, 21, 5, 1)},
	BJ_ACTUAL_DAYS, 2, BJ_ROUND_NEVER, BJ_INEXACT, NULL},
	{"100", R(4, 1, 5, 1), 3, {R(4, 1, 4, 3), R(4, 5, 4, 9), R(4, 8, 4, 10)},
	BJ_ACTUAL_DAYS, 2, BJ_ROUND_HALF_UP, BJ_PARTS_OVERLAP, "2"},
	{"100", R(4, 1, 5, 1), 2, {R(4, 1, 4, 3), R(4, 30, 5, 2)},
	BJ_ACTUAL_DAYS, 2, BJ_ROUND_HALF_UP, BJ_OUTSIDE_PERIOD, "1"},
	{"100", R(4, 1, 4, 1), 0, {R(4, 1, 4, 3)},
	BJ_ACTUAL_DAYS, 2, BJ_ROUND_HALF_UP, BJ_EMPTY_PERIOD, NULL},
};

static void
test_splits(void)
{
	for (size_t i = 0; i < COUNT(split_cases); i++)
	{
		char		text[PARTS_MAX * BJ_DECIMAL_TEXT_SIZE] = "";
		Span		parts[PARTS_MAX];
		SplitWork	work[PARTS_MAX];
		Decimal		shares[PARTS_MAX];
		int32_t		fault = -1;
		BjStatus	status;

		for (int j = 0; j < split_cases[i].n; j++)
			parts[j] = span_of(2021, split_cases[i].parts[j]);
		status = bj_prorate_split(number(split_cases[i].amount),
								  split_cases[i].day_count, NULL,
								  span_of(2021, split_cases[i].period), parts,
								  split_cases[i].n, split_cases[i].scale,
								  split_cases[i].rounding, work, shares, &fault);
		for (int j = 0; status == BJ_OK && j < split_cases[i].n; j++)
		{
			if (j > 0)
				strcat(text, " ");
			bj_decimal_format(shares[j], text + strlen(text));
		}
		if (status == BJ_PARTS_OVERLAP || status == BJ_OUTSIDE_PERIOD)
			snprintf(text, sizeof(text), "%d", fault);
		ok(status == split_cases[i].status &&
		   (split_cases[i].shares == NULL ||
			strcmp(text, split_cases[i].shares) == 0),
		   "split %zu, %s: %s, %d", i, split_cases[i].amount, text,
		   (int) status);
	}
}

static void
test_names(void)
{
	DayCount	found;

	for (int i = 0; i < BJ_DAY_COUNTS; i++)
	{
		const char *name = bj_day_count_name((DayCount) i);

		ok(bj_day_count_parse(name, &found) == BJ_OK && found == (DayCount) i,
		   "%s", name);
	}
	ok(bj_day_count_parse("Actual_days", &found) == BJ_BAD_DAY_COUNT &&
	   bj_day_count_parse("", &found) == BJ_BAD_DAY_COUNT,
	   "what is no day count");
}

int
main(void)
{
	test_fractions();
	test_ages();
	test_shares();
	test_splits();
	test_names();
	return done_testing();
}
