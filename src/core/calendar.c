/*
 * calendar.c
 *	  Days, months and billing periods.
 */
#include "core/calendar.h"

#include <stddef.h>

#include "core/decimal.h"

/* 2000-01-01 comes so many days after 0000-03-01. */
#define EPOCH_DAY 730425

/* 400 years have so many days, and repeat after that */
#define ERA_DAYS 146097
#define ERA_YEARS 400

/* 400 years have 4800 months: the average one in microseconds, exactly. */
#define AVERAGE_MONTH (ERA_DAYS * (BJ_DAY / 4800))

/* More months than there are in all the time that can be held. */
#define MONTHS_MAX (12 * 300000)

/* Rounded toward minus infinity; divisor > 0. */
static int64_t
floor_divide(int64_t a, int64_t divisor)
{
	return a / divisor - (a % divisor < 0);
}

/*
 * Years are counted from March on, so that the leap day is the last one and
 * the months before it have the lengths 31 30 31 30 31, again and again: month
 * m begins (153 m + 2) / 5 days after 1 March.
 */
int32_t
bj_calendar_day(Civil civil)
{
	int64_t		year = civil.year - (civil.month <= 2);
	int64_t		era = floor_divide(year, ERA_YEARS);
	int64_t		year_of_era = year - era * ERA_YEARS;
	int64_t		month = (civil.month + 9) % 12;
	int64_t		day_of_year = (153 * month + 2) / 5 + civil.day - 1;

	return (int32_t) (era * ERA_DAYS + year_of_era * 365 + year_of_era / 4 -
					  year_of_era / 100 + day_of_year - EPOCH_DAY);
}

Civil
bj_calendar_civil(int32_t day)
{
	int64_t		days = (int64_t) day + EPOCH_DAY;
	int64_t		era = floor_divide(days, ERA_DAYS);
	int64_t		day_of_era = days - era * ERA_DAYS;
	int64_t		year_of_era = (day_of_era - day_of_era / 1460 +
							   day_of_era / 36524 -
							   day_of_era / 146096) / 365;
	int64_t		day_of_year = day_of_era - (365 * year_of_era +
											year_of_era / 4 -
											year_of_era / 100);
	int64_t		month = (5 * day_of_year + 2) / 153;
	Civil		civil;

	civil.day = (int32_t) (day_of_year - (153 * month + 2) / 5) + 1;
	civil.month = (int32_t) (month < 10 ? month + 3 : month - 9);
	civil.year = (int32_t) (era * ERA_YEARS + year_of_era) +
		(civil.month <= 2);
	return civil;
}

int32_t
bj_calendar_month_length(int32_t year, int32_t month)
{
	if (month == 2)
		return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28;
	return month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31;
}

int32_t
bj_calendar_add_months(int32_t day, int32_t months)
{
	Civil		civil = bj_calendar_civil(day);
	int64_t		month = (int64_t) civil.year * 12 + civil.month - 1 + months;
	int32_t		length;

	civil.year = (int32_t) floor_divide(month, 12);
	civil.month = (int32_t) (month - (int64_t) civil.year * 12) + 1;
	length = bj_calendar_month_length(civil.year, civil.month);
	if (civil.day > length)
		civil.day = length;
	return bj_calendar_day(civil);
}

static bool
in_range(int64_t time)
{
	return time >= BJ_TIME_MIN && time < BJ_TIME_END;
}

static BjStatus
local_of(const Clock *clock, int64_t instant, int64_t *local)
{
	if (!in_range(instant))
		return BJ_TIME_OUT_OF_RANGE;
	if (clock == NULL)
		*local = instant;
	else if (!clock->to_local(clock->rules, instant, local))
		return BJ_TIME_OUT_OF_RANGE;
	return BJ_OK;
}

/*
 * The instant in (before, found] from which on clocks show local or more, where
 * they do so at found and not at before.
 */
static int64_t
end_of_gap(const Clock *clock, int64_t local, int64_t before, int64_t found)
{
	while (found - before > 1)
	{
		int64_t		middle = before + (found - before) / 2;
		int64_t		shown;

		if (local_of(clock, middle, &shown) == BJ_OK && shown < local)
			before = middle;
		else
			found = middle;
	}
	return found;
}

/*
 * The first and the last instant at which a day begins; local is its midnight.
 *
 * Clocks that are set back over midnight, or to it, show it twice; the first
 * time is by the offset of the day before.  (America/Havana, 1 November 2026;
 * America/St_Johns, 7 November 2010, where it is at one past midnight.)  Where
 * they skip it, the day begins as they do so.
 */
static BjStatus
day_begins(const Clock *clock, int64_t local, int64_t *first, int64_t *last)
{
	int64_t		found;
	int64_t		earlier;
	int64_t		shown;

	if (!in_range(local) ||
		!clock->to_instant(clock->rules, local, &found) ||
		local_of(clock, found, &shown) != BJ_OK)
		return BJ_TIME_OUT_OF_RANGE;
	*first = *last = found;
	if (shown > local)
		*first = *last = end_of_gap(clock, local, found - (shown - local),
									found);
	else if (local_of(clock, found - BJ_DAY, &shown) == BJ_OK)
	{
		earlier = found - BJ_DAY + (local - shown);
		if (earlier < found && local_of(clock, earlier, &shown) == BJ_OK &&
			shown == local)
			*first = earlier;
	}
	return BJ_OK;
}

BjStatus
bj_clock_instant(const Clock *clock, int64_t local, int64_t *instant)
{
	int64_t		found = local;
	int64_t		last;

	if (clock != NULL && local % BJ_DAY == 0)
		return day_begins(clock, local, instant, &last);
	if (!in_range(local) ||
		(clock != NULL &&
		 !clock->to_instant(clock->rules, local, &found)) ||
		!in_range(found))
		return BJ_TIME_OUT_OF_RANGE;
	*instant = found;
	return BJ_OK;
}

/*
 * Do the clocks, which show local, go at one pace from instant to an instant a
 * day off?  If so, the days begin when they show it.
 */
static bool
go_evenly(const Clock *clock, int64_t instant, int64_t local, int64_t off)
{
	int64_t		shown;

	return clock == NULL ||
		(local_of(clock, instant + off, &shown) == BJ_OK &&
		 shown == local + off);
}

BjStatus
bj_clock_day(const Clock *clock, int64_t instant, int32_t *day)
{
	int64_t		local;
	int64_t		shown;
	int64_t		next;
	BjStatus	status = local_of(clock, instant, &local);

	if (status != BJ_OK)
		return status;
	shown = floor_divide(local, BJ_DAY);

	/* Has the next day begun, before the clocks were set back? */
	if (!go_evenly(clock, instant, local, -BJ_DAY) &&
		bj_clock_instant(clock, (shown + 1) * BJ_DAY, &next) == BJ_OK &&
		next <= instant)
		shown++;
	*day = (int32_t) shown;
	return BJ_OK;
}

BjStatus
bj_clock_next_day(const Clock *clock, int64_t instant, int32_t *day)
{
	int32_t		found;
	int64_t		local;
	int64_t		first;
	int64_t		last;
	BjStatus	status;

	if ((status = bj_clock_day(clock, instant, &found)) != BJ_OK ||
		(status = local_of(clock, instant, &local)) != BJ_OK)
		return status;
	if (go_evenly(clock, instant, local, -BJ_DAY) &&
		go_evenly(clock, instant, local, BJ_DAY))
	{
		*day = found + (local % BJ_DAY != 0);
		return BJ_OK;
	}

	/* All the time between two midnights counts as midnight. */
	status = day_begins(clock, found * BJ_DAY, &first, &last);
	if (status == BJ_OK)
		*day = found + (instant > last);
	return status;
}

BjStatus
bj_cycle_init(Cycle *cycle, const Clock *clock, int64_t anchor, Every every)
{
	int64_t		local;
	BjStatus	status = local_of(clock, anchor, &local);

	if (status != BJ_OK)
		return status;
	if (every.months < 0 || every.days < 0 || every.microseconds < 0 ||
		(every.months == 0 && every.days == 0 && every.microseconds == 0))
		return BJ_BAD_INTERVAL;
	*cycle = (Cycle) {clock, anchor, local, every};
	return BJ_OK;
}

/* Is the length one that a stop watch measures? */
static bool
is_elapsed(Every every)
{
	return every.months == 0 && every.days == 0;
}

BjStatus
bj_cycle_boundary(const Cycle *cycle, int64_t n, int64_t *instant)
{
	Int128		months = (Int128) n * cycle->every.months;
	Int128		days = (Int128) n * cycle->every.days;
	Int128		rest = (Int128) n * cycle->every.microseconds;
	int64_t		day = floor_divide(cycle->local, BJ_DAY);

	if (n == 0)
	{
		*instant = cycle->anchor;
		return BJ_OK;
	}
	if (months < -MONTHS_MAX || months > MONTHS_MAX ||
		days < -31 * MONTHS_MAX || days > 31 * MONTHS_MAX)
		return BJ_TIME_OUT_OF_RANGE;

	if (is_elapsed(cycle->every))
		rest += cycle->anchor;
	else
	{
		/* The time of day stays, whatever happens to the date. */
		rest += cycle->local - day * BJ_DAY;
		rest += (days + bj_calendar_add_months((int32_t) day,
											   (int32_t) months)) * BJ_DAY;
	}
	if (rest < BJ_TIME_MIN || rest >= BJ_TIME_END)
		return BJ_TIME_OUT_OF_RANGE;
	if (!is_elapsed(cycle->every))
		return bj_clock_instant(cycle->clock, (int64_t) rest, instant);
	*instant = (int64_t) rest;
	return BJ_OK;
}

BjStatus
bj_cycle_find(const Cycle *cycle, int64_t at, Period *period)
{
	Int128		length = (Int128) cycle->every.months * AVERAGE_MONTH +
		(Int128) cycle->every.days * BJ_DAY + cycle->every.microseconds;
	Int128		guess = ((Int128) at - cycle->anchor) / length;
	Period		found = {(int64_t) guess, 0, 0};
	BjStatus	status;

	if (!in_range(at) || guess != found.n)
		return BJ_TIME_OUT_OF_RANGE;

	/*
	 * The guess is a few days off at most, by the lengths of months, by leap
	 * years and by the clocks: a few steps whatever the distance.
	 */
	while ((status = bj_cycle_boundary(cycle, found.n,
									   &found.start)) == BJ_OK &&
		   found.start > at)
		found.n--;
	while (status == BJ_OK &&
		   (status = bj_cycle_boundary(cycle, found.n + 1,
									   &found.end)) == BJ_OK &&
		   found.end <= at)
	{
		found.n++;
		found.start = found.end;
	}
	if (status == BJ_OK)
		*period = found;
	return status;
}

BjStatus
bj_cycle_next(const Cycle *cycle, Period *period)
{
	Period		next = {period->n, period->end, period->end};

	/* A day that the clocks skip is no period. */
	while (next.end == next.start)
	{
		BjStatus	status;

		next.n++;
		status = bj_cycle_boundary(cycle, next.n + 1, &next.end);
		if (status != BJ_OK)
			return status;
	}
	*period = next;
	return BJ_OK;
}
