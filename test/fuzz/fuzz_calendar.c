/*
 * fuzz_calendar.c
 *	  Clocks and billing periods against plain definitions: every day and every
 *	  boundary is searched for, none is computed.
 */
#include "core/calendar.h"
#include "../unit/zones.h"
#include "bytes.h"

/* An instant of some three centuries. */
static int64_t
take_instant(Bytes *bytes)
{
	int64_t		day = take_int(bytes, -30000, 30000);
	int64_t		minute = take_int(bytes, 0, 1439);

	switch (take_byte(bytes) % 4)
	{
		case 0:
			return day * BJ_DAY;
		case 1:
			return day * BJ_DAY + minute * (HOUR / 60);
		case 2:
			return day * BJ_DAY + take_int(bytes, -1, 1);
		default:
			return day * BJ_DAY + (int64_t) (take_64(bytes) % BJ_DAY);
	}
}

/* Up to eight transitions near a day; clocks are moved by a day at most. */
static Zone
take_zone(Bytes *bytes, int64_t near)
{
	Zone		zone = {take_int(bytes, 0, ZONE_MAX), {0}, {0}};
	int64_t		at = near + take_int(bytes, -400, 10) * BJ_DAY;

	zone.offset[0] = take_int(bytes, -12, 12) * HOUR;
	for (int i = 0; i < zone.n; i++)
	{
		int64_t		move = take_byte(bytes) % 8 == 0 ?
			take_int(bytes, -1440, 1440) * (HOUR / 60) :
			take_int(bytes, -2, 2) * (HOUR / 2);

		at += take_int(bytes, 100, 3000) * HOUR +
			take_int(bytes, 0, 3) * (HOUR / 60);
		zone.at[i] = at - zone.offset[i];

		/* often at midnight, or a minute past it */
		if (take_byte(bytes) & 1)
			zone.at[i] -= (zone.at[i] + zone.offset[i]) % BJ_DAY -
				take_int(bytes, 0, 1) * (HOUR / 60);
		zone.offset[i + 1] = zone.offset[i] + move;
	}
	return zone;
}

/*
 * The instant of a local time by definition: of those at which the clocks show
 * it the last one, of midnights the first; of none, by the offset before, and
 * a midnight when it is skipped.
 */
static int64_t
plain_instant(const Zone *zone, int64_t local)
{
	int64_t		found = INT64_MIN;
	int64_t		shown;

	for (int i = 0; i <= zone->n; i++)
	{
		int64_t		at = local - zone->offset[i];
		Zone		copy = *zone;

		zone_to_local(&copy, at, &shown);
		if (shown == local && (found == INT64_MIN ||
							   (local % BJ_DAY == 0 ? at < found : at > found)))
			found = at;
	}
	for (int i = 0; i < zone->n && found == INT64_MIN; i++)
	{
		if (local - zone->offset[i] >= zone->at[i] &&
			local - zone->offset[i + 1] < zone->at[i])
			found = local % BJ_DAY == 0 ? zone->at[i] : local - zone->offset[i];
	}
	must(found != INT64_MIN);
	return found;
}

/* Plain years: a day after another. */
static int
plain_length(int year, int month)
{
	static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool		leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return lengths[month - 1] + (month == 2 && leap);
}

/* The local time of boundary n: a month after another. */
static int64_t
plain_local(int64_t local, Every every, int n)
{
	int64_t		time = ((local % BJ_DAY) + BJ_DAY) % BJ_DAY;
	Civil		civil = bj_calendar_civil((int32_t) ((local - time) / BJ_DAY));
	int			months = n < 0 ? -n * every.months : n * every.months;
	int			length;

	for (; months > 0; months--)
	{
		civil.month += n < 0 ? -1 : 1;
		if (civil.month == 0 || civil.month == 13)
		{
			civil.year += n < 0 ? -1 : 1;
			civil.month = n < 0 ? 12 : 1;
		}
	}
	length = plain_length(civil.year, civil.month);
	if (civil.day > length)
		civil.day = length;
	return ((int64_t) bj_calendar_day(civil) + (int64_t) n * every.days) *
		BJ_DAY + time + n * every.microseconds;
}

static void
fuzz_days(const Clock *clock, const Zone *zone, int64_t at)
{
	int64_t		local;
	int64_t		later;
	int64_t		last;
	int32_t		day;
	int32_t		next;
	int32_t		found;

	must(clock->to_local(clock->rules, at, &local));
	must(bj_clock_day(clock, at, &day) == BJ_OK);
	must(bj_clock_next_day(clock, at, &next) == BJ_OK);

	/* the last one of a few days around whose first midnight has been */
	found = (int32_t) (local / BJ_DAY) - 4;
	while (plain_instant(zone, (int64_t) (found + 1) * BJ_DAY) <= at)
		found++;
	must(day == found);
	must(next == day || next == day + 1);

	/* it is midnight at the first one, at the last one, and in between */
	must(clock->to_instant(clock->rules, (int64_t) day * BJ_DAY, &last));
	must(clock->to_local(clock->rules, last, &later));
	if (later != (int64_t) day * BJ_DAY)
		last = plain_instant(zone, (int64_t) day * BJ_DAY);
	must((next == day) == (at <= last));

	must(bj_clock_day(clock, at + HOUR / 2, &found) == BJ_OK && found >= day);
	must(bj_clock_next_day(clock, at + HOUR / 2, &found) == BJ_OK &&
		 found >= next);
	must(bj_clock_instant(clock, local, &later) == BJ_OK);
	must(later == plain_instant(zone, local));
}

static void
fuzz_cycle(Bytes *bytes, const Clock *clock, const Zone *zone, int64_t anchor)
{
	Every		every = {0, 0, 0};
	Cycle		cycle;
	Period		period;
	Period		next;
	int64_t		boundary;
	int64_t		previous;
	int64_t		at = anchor + take_int(bytes, -500, 500) * BJ_DAY +
		take_int(bytes, -1, 1);
	int			n = take_int(bytes, -40, 40);
	int			kind = take_byte(bytes) % 8;

	if (kind < 6)
		every.months = take_int(bytes, 0, kind < 4 ? 3 : 40);
	if (kind > 3)
		every.days = take_int(bytes, 0, 40);
	if (kind == 7)
		every.microseconds = take_int(bytes, 0, 5000) * (HOUR / 60);
	if (every.months == 0 && every.days == 0 && every.microseconds == 0)
	{
		must(bj_cycle_init(&cycle, clock, anchor, every) == BJ_BAD_INTERVAL);
		return;
	}
	must(bj_cycle_init(&cycle, clock, anchor, every) == BJ_OK);

	must(bj_cycle_boundary(&cycle, n, &boundary) == BJ_OK);
	if (n == 0)
		must(boundary == anchor);
	else if (every.months == 0 && every.days == 0)
		must(boundary == anchor + n * every.microseconds);
	else
		must(boundary == plain_instant(zone, plain_local(cycle.local, every, n)));
	must(bj_cycle_boundary(&cycle, n - 1, &previous) == BJ_OK);
	must(previous <= boundary);

	must(bj_cycle_find(&cycle, at, &period) == BJ_OK);
	must(period.start <= at && at < period.end);
	must(bj_cycle_boundary(&cycle, period.n, &boundary) == BJ_OK &&
		 boundary == period.start);
	must(bj_cycle_boundary(&cycle, period.n + 1, &boundary) == BJ_OK &&
		 boundary == period.end);
	next = period;
	must(bj_cycle_next(&cycle, &next) == BJ_OK);
	must(next.start == period.end && next.end > next.start);
	must(bj_cycle_find(&cycle, next.end - 1, &period) == BJ_OK);
	must(period.n == next.n && period.start == next.start &&
		 period.end == next.end);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Bytes		bytes = bytes_of(data, size);
	int64_t		anchor = take_instant(&bytes);
	Zone		zone = take_zone(&bytes, anchor);
	Clock		clock = zone_clock(&zone);
	int64_t		at = zone.n > 0 && take_byte(&bytes) % 4 != 0 ?
		zone.at[take_int(&bytes, 0, zone.n - 1)] +
		take_int(&bytes, -1500, 1500) * (HOUR / 60) + take_int(&bytes, -1, 1) :
		anchor;

	fuzz_days(&clock, &zone, at);
	fuzz_cycle(&bytes, &clock, &zone, anchor);
	return 0;
}
