/*
 * test_calendar.c
 *	  Days, months, clocks that are moved, and billing periods.
 */
#include <stdio.h>
#include <string.h>

#include "core/calendar.h"
#include "tap.h"
#include "zones.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

/* New York, March and November 2026: one hour forward at 2, one back at 2. */
static Zone new_york = {
	2, {0, 0}, {-5 * HOUR, -4 * HOUR, -5 * HOUR}
};

/* Havana, November 2026: at one in the morning of the first back to midnight. */
static Zone havana = {1, {0}, {-4 * HOUR, -5 * HOUR}};

/* St. John's, November 2010: at one past midnight of the seventh. */
static Zone st_johns = {
	1, {0}, {-5 * HOUR / 2, -7 * HOUR / 2}
};

/* Sao Paulo, October 2017: midnight of the 15th is one o'clock. */
static Zone sao_paulo = {1, {0}, {-3 * HOUR, -2 * HOUR}};

/* Toronto, March 1919: at half past eleven, half past midnight of the 31st. */
static Zone toronto = {1, {0}, {-5 * HOUR, -4 * HOUR}};

/* Apia, December 2011: the 30th is left out. */
static Zone apia = {1, {0}, {-10 * HOUR, 14 * HOUR}};

static void
set_zones(void)
{
	new_york.at[0] = time_of(2026, 3, 8, 7, 0);
	new_york.at[1] = time_of(2026, 11, 1, 6, 0);
	havana.at[0] = time_of(2026, 11, 1, 5, 0);
	st_johns.at[0] = time_of(2010, 11, 7, 2, 31);
	sao_paulo.at[0] = time_of(2017, 10, 15, 3, 0);
	toronto.at[0] = time_of(1919, 3, 31, 4, 30);
	apia.at[0] = time_of(2011, 12, 30, 10, 0);
}

/* Every day of 12,000 years, against a calendar that only counts. */
static void
test_days(void)
{
	Civil		civil = {-4800, 1, 1};
	int32_t		day = bj_calendar_day(civil);
	int			wrong = 0;

	ok(bj_calendar_day((Civil) {2000, 1, 1}) == 0, "day 0 is 2000-01-01");
	ok(bj_calendar_day((Civil) {1970, 1, 1}) == -10957, "1970-01-01");
	ok(bj_calendar_day((Civil) {-4713, 11, 24}) == -2451545, "day 0 of Julius");
	for (; civil.year < 7200; day++)
	{
		Civil		found = bj_calendar_civil(day);
		bool		leap = (civil.year % 4 == 0 && civil.year % 100 != 0) ||
			civil.year % 400 == 0;
		const int	lengths[] = {31, 28 + leap, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

		wrong += found.year != civil.year || found.month != civil.month ||
			found.day != civil.day || bj_calendar_day(civil) != day ||
			bj_calendar_month_length(civil.year, civil.month) !=
			lengths[civil.month - 1];
		if (++civil.day > lengths[civil.month - 1])
		{
			civil.day = 1;
			if (++civil.month > 12)
			{
				civil.month = 1;
				civil.year++;
			}
		}
	}
	ok(wrong == 0, "every day of 12,000 years, %d wrong", wrong);
}

static const struct
{
	Civil		from;
	int			months;
	Civil		to;
}			month_cases[] = {
	{{2026, 1, 31}, 0, {2026, 1, 31}},
	{{2026, 1, 31}, 1, {2026, 2, 28}},
	{{2024, 1, 31}, 1, {2024, 2, 29}},
	{{2026, 1, 31}, 2, {2026, 3, 31}},
	{{2026, 1, 31}, 3, {2026, 4, 30}},
	{{2026, 1, 31}, -1, {2025, 12, 31}},
	{{2026, 1, 31}, -2, {2025, 11, 30}},
	{{2026, 1, 31}, -11, {2025, 2, 28}},
	{{2024, 2, 29}, 12, {2025, 2, 28}},
	{{2024, 2, 29}, 48, {2028, 2, 29}},
	{{2024, 2, 29}, -1200, {1924, 2, 29}},
	{{1999, 12, 15}, 1, {2000, 1, 15}},
	{{1, 1, 1}, -1, {0, 12, 1}},
	{{0, 3, 31}, -13, {-1, 2, 28}},
};

static void
test_months(void)
{
	for (size_t i = 0; i < COUNT(month_cases); i++)
	{
		Civil		to = bj_calendar_civil(bj_calendar_add_months(bj_calendar_day(month_cases[i].from),
																  month_cases[i].months));

		ok(memcmp(&to, &month_cases[i].to, sizeof(to)) == 0,
		   "%d-%d-%d and %d months: %d-%d-%d", month_cases[i].from.year,
		   month_cases[i].from.month, month_cases[i].from.day,
		   month_cases[i].months, to.year, to.month, to.day);
	}
}

/* The zone, an instant, its day and the next day to begin, of one month. */
static const struct
{
	const char *name;
	Zone	   *zone;
	int32_t		year;
	int32_t		month;
	int32_t		at[3];			/* UTC: day, hour, minute */
	int			plus;			/* microseconds */
	int32_t		day;
	int32_t		next;
}			day_cases[] = {
	{"UTC midnight", NULL, 2026, 3, {8, 0, 0}, 0, 8, 8},
	{"UTC before midnight", NULL, 2026, 3, {8, 0, 0}, -1, 7, 8},
	{"UTC after midnight", NULL, 2026, 3, {8, 0, 0}, 1, 8, 9},
	{"UTC noon", NULL, 2026, 3, {8, 12, 0}, 0, 8, 9},
	{"New York midnight", &new_york, 2026, 3, {8, 5, 0}, 0, 8, 8},
	{"New York, 23 hours later", &new_york, 2026, 3, {9, 4, 0}, 0, 9, 9},
	{"New York, before that", &new_york, 2026, 3, {9, 4, 0}, -1, 8, 9},
	{"New York, in the hour that comes twice", &new_york, 2026, 11, {1, 5, 30}, 0, 1, 2},
	{"New York, 25 hours", &new_york, 2026, 11, {2, 4, 59}, 0, 1, 2},
	{"Havana, first midnight", &havana, 2026, 11, {1, 4, 0}, 0, 1, 1},
	{"Havana, before", &havana, 2026, 11, {1, 4, 0}, -1, 0, 1},
	{"Havana, between its midnights", &havana, 2026, 11, {1, 4, 30}, 0, 1, 1},
	{"Havana, second midnight", &havana, 2026, 11, {1, 5, 0}, 0, 1, 1},
	{"Havana, after", &havana, 2026, 11, {1, 5, 0}, 1, 1, 2},
	{"St. John's, first midnight", &st_johns, 2010, 11, {7, 2, 30}, 0, 7, 7},
	{"St. John's, in the evening once more", &st_johns, 2010, 11, {7, 3, 0}, 0, 7, 7},
	{"St. John's, second midnight", &st_johns, 2010, 11, {7, 3, 30}, 0, 7, 7},
	{"St. John's, after", &st_johns, 2010, 11, {7, 3, 31}, 0, 7, 8},
	{"Sao Paulo, no midnight", &sao_paulo, 2017, 10, {15, 3, 0}, 0, 15, 15},
	{"Sao Paulo, before", &sao_paulo, 2017, 10, {15, 3, 0}, -1, 14, 15},
	{"Sao Paulo, after", &sao_paulo, 2017, 10, {15, 3, 0}, 1, 15, 16},
	{"Toronto, midnight is left out", &toronto, 1919, 3, {31, 4, 30}, 0, 31, 31},
	{"Toronto, before", &toronto, 1919, 3, {31, 4, 30}, -1, 30, 31},
	{"Toronto, after", &toronto, 1919, 3, {31, 4, 30}, 1, 31, 32},
	{"Apia, before the missing day", &apia, 2011, 12, {30, 10, 0}, -1, 29, 30},
	{"Apia, after it", &apia, 2011, 12, {30, 10, 0}, 0, 31, 31},
};

static void
test_clocks(void)
{
	for (size_t i = 0; i < COUNT(day_cases); i++)
	{
		const int32_t *at = day_cases[i].at;
		int32_t		year = day_cases[i].year;
		int32_t		month = day_cases[i].month;
		int64_t		instant = time_of(year, month, at[0], at[1], at[2]) +
			day_cases[i].plus;
		int32_t		before = bj_calendar_day((Civil) {year, month, 1}) - 1;
		Clock		clock = zone_clock(day_cases[i].zone);
		const Clock *argument = day_cases[i].zone == NULL ? NULL : &clock;
		int32_t		day = 0;
		int32_t		next = 0;
		bool		done = bj_clock_day(argument, instant, &day) == BJ_OK &&
			bj_clock_next_day(argument, instant, &next) == BJ_OK;

		ok(done && day - before == day_cases[i].day &&
		   next - before == day_cases[i].next,
		   "%s: %d, %d", day_cases[i].name, day - before, next - before);
	}
}

/* Boundaries as instants; the anchor is boundary 0. */
static const struct
{
	const char *name;
	Zone	   *zone;
	int32_t		anchor[5];		/* UTC */
	Every		every;
	int64_t		n;
	int32_t		boundary[5];
}			boundary_cases[] = {
	{"end of January, a month on", NULL, {2026, 1, 31, 0, 0}, {1, 0, 0}, 1, {2026, 2, 28, 0, 0}},
	{"two months on", NULL, {2026, 1, 31, 0, 0}, {1, 0, 0}, 2, {2026, 3, 31, 0, 0}},
	{"before it", NULL, {2026, 1, 31, 0, 0}, {1, 0, 0}, -2, {2025, 11, 30, 0, 0}},
	{"weeks", NULL, {2026, 1, 5, 9, 30}, {0, 7, 0}, -1, {2025, 12, 29, 9, 30}},
	{"leap days", NULL, {2024, 2, 29, 0, 0}, {12, 0, 0}, 4, {2028, 2, 29, 0, 0}},
	{"a month and a day, twice", NULL, {2026, 1, 31, 0, 0}, {1, 1, 0}, 2, {2026, 4, 2, 0, 0}},
	{"a day and six hours", NULL, {2026, 1, 31, 0, 0}, {0, 1, 6 * HOUR}, 3, {2026, 2, 3, 18, 0}},
	{"midnights of New York", &new_york, {2026, 3, 1, 5, 0}, {1, 0, 0}, 1, {2026, 4, 1, 4, 0}},
	{"a gap: half past two becomes half past three", &new_york, {2026, 3, 7, 7, 30}, {0, 1, 0}, 1, {2026, 3, 8, 7, 30}},
	{"and the day after it is half past two again", &new_york, {2026, 3, 7, 7, 30}, {0, 1, 0}, 2, {2026, 3, 9, 6, 30}},
	{"twice half past one: the second", &new_york, {2026, 10, 31, 5, 30}, {0, 1, 0}, 1, {2026, 11, 1, 6, 30}},
	{"anchored at the first of the two", &new_york, {2026, 11, 1, 5, 30}, {0, 1, 0}, 0, {2026, 11, 1, 5, 30}},
	{"hours are elapsed time", &new_york, {2026, 3, 8, 5, 0}, {0, 0, 6 * HOUR}, 4, {2026, 3, 9, 5, 0}},
	{"the first of two midnights", &havana, {2026, 10, 1, 4, 0}, {1, 0, 0}, 1, {2026, 11, 1, 4, 0}},
	{"where it is not the transition", &st_johns, {2010, 11, 6, 2, 30}, {0, 1, 0}, 1, {2010, 11, 7, 2, 30}},
	{"a midnight that does not occur", &sao_paulo, {2017, 9, 15, 3, 0}, {1, 0, 0}, 1, {2017, 10, 15, 3, 0}},
	{"one in the middle of what does not occur", &toronto, {1919, 3, 1, 5, 0}, {0, 30, 0}, 1, {1919, 3, 31, 4, 30}},
	{"a day that does not occur", &apia, {2011, 12, 28, 10, 0}, {0, 1, 0}, 2, {2011, 12, 30, 10, 0}},
};

static int64_t
instant_of(const int32_t *at)
{
	return time_of(at[0], at[1], at[2], at[3], at[4]);
}

static void
test_boundaries(void)
{
	for (size_t i = 0; i < COUNT(boundary_cases); i++)
	{
		Clock		clock = zone_clock(boundary_cases[i].zone);
		Cycle		cycle;
		int64_t		instant = 0;

		ok(bj_cycle_init(&cycle,
						 boundary_cases[i].zone == NULL ? NULL : &clock,
						 instant_of(boundary_cases[i].anchor),
						 boundary_cases[i].every) == BJ_OK &&
		   bj_cycle_boundary(&cycle, boundary_cases[i].n, &instant) == BJ_OK &&
		   instant == instant_of(boundary_cases[i].boundary),
		   "%s", boundary_cases[i].name);
	}
}

static void
test_periods(void)
{
	Clock		clock = zone_clock(&apia);
	Cycle		cycle;
	Period		period;

	bj_cycle_init(&cycle, &clock, time_of(2011, 12, 28, 10, 0),
				  (Every) {0, 1, 0});
	ok(bj_cycle_find(&cycle, apia.at[0], &period) == BJ_OK && period.n == 3 &&
	   period.start == apia.at[0] && period.end == apia.at[0] + BJ_DAY,
	   "the period after a missing day");
	ok(bj_cycle_find(&cycle, apia.at[0] - 1, &period) == BJ_OK &&
	   period.end == apia.at[0] && bj_cycle_next(&cycle, &period) == BJ_OK &&
	   period.start == apia.at[0] && period.end == apia.at[0] + BJ_DAY,
	   "a missing day is no period");

	bj_cycle_init(&cycle, NULL, time_of(2026, 1, 31, 0, 0), (Every) {1, 0, 0});
	ok(bj_cycle_find(&cycle, time_of(2026, 2, 28, 0, 0), &period) == BJ_OK &&
	   period.n == 1 && period.end == time_of(2026, 3, 31, 0, 0),
	   "a boundary belongs to the period that it begins");
	ok(bj_cycle_find(&cycle, time_of(2026, 2, 28, 0, 0) - 1, &period) == BJ_OK &&
	   period.n == 0, "and what is before it does not");
	ok(bj_cycle_find(&cycle, time_of(-4000, 2, 27, 0, 0), &period) == BJ_OK &&
	   period.n == -6026 * 12 &&
	   period.start == time_of(-4000, 1, 31, 0, 0),
	   "6,000 years before the anchor");
	ok(bj_cycle_find(&cycle, time_of(250000, 2, 27, 0, 0), &period) == BJ_OK &&
	   period.start == time_of(250000, 1, 31, 0, 0),
	   "250,000 years after it");
}

static void
test_refused(void)
{
	Cycle		cycle;
	Period		period;
	int64_t		instant;
	int32_t		day;
	const Every bad[] = {{0, 0, 0}, {-1, 0, 0}, {1, -1, 0}, {0, 1, -1}};

	for (size_t i = 0; i < COUNT(bad); i++)
		ok(bj_cycle_init(&cycle, NULL, 0, bad[i]) == BJ_BAD_INTERVAL,
		   "a length that is not above zero, %zu", i);
	ok(bj_cycle_init(&cycle, NULL, INT64_MAX, (Every) {1, 0, 0}) ==
	   BJ_TIME_OUT_OF_RANGE, "an infinite anchor");
	ok(bj_clock_day(NULL, INT64_MIN, &day) == BJ_TIME_OUT_OF_RANGE,
	   "the day of minus infinity");

	bj_cycle_init(&cycle, NULL, 0, (Every) {1, 0, 0});
	ok(bj_cycle_find(&cycle, BJ_TIME_END, &period) == BJ_TIME_OUT_OF_RANGE,
	   "a time after all");
	ok(bj_cycle_find(&cycle, BJ_TIME_END - 1, &period) == BJ_TIME_OUT_OF_RANGE,
	   "a period that ends after all times");
	ok(bj_cycle_boundary(&cycle, INT64_MAX, &instant) == BJ_TIME_OUT_OF_RANGE &&
	   bj_cycle_boundary(&cycle, INT64_MIN, &instant) == BJ_TIME_OUT_OF_RANGE,
	   "boundaries without end");
	bj_cycle_init(&cycle, NULL, 0, (Every) {INT32_MAX, INT32_MAX, INT64_MAX});
	ok(bj_cycle_boundary(&cycle, INT64_MAX, &instant) == BJ_TIME_OUT_OF_RANGE &&
	   bj_cycle_boundary(&cycle, 1, &instant) == BJ_TIME_OUT_OF_RANGE,
	   "a length without end");
	bj_cycle_init(&cycle, NULL, BJ_TIME_MIN, (Every) {0, 0, 1});
	ok(bj_cycle_find(&cycle, BJ_TIME_END - 2, &period) == BJ_TIME_OUT_OF_RANGE,
	   "more microseconds than can be counted");
}

int
main(void)
{
	set_zones();
	test_days();
	test_months();
	test_clocks();
	test_boundaries();
	test_periods();
	test_refused();
	return done_testing();
}
