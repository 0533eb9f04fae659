/*
 * calendar.h
 *	  Days, months and billing periods.
 *
 * An instant is a number of microseconds since 2000-01-01 00:00 UTC, a local
 * time the same since 2000-01-01 00:00 on the clocks of a zone, and a day a
 * number of days since 2000-01-01, by the Gregorian calendar, before its
 * introduction too.  The core knows no time zones: a Clock brings the rules.
 *
 * Everything here may answer BJ_TIME_OUT_OF_RANGE: an instant, or a boundary
 * on the way to it, lies outside BJ_TIME_MIN .. BJ_TIME_END.  A result is
 * written only with BJ_OK.
 */
#ifndef BILLADJ_CORE_CALENDAR_H
#define BILLADJ_CORE_CALENDAR_H

#include <stdbool.h>
#include <stdint.h>

#include "core/status.h"

/* the timestamps that the server can hold: -4713-11-24 up to 294277 */
#define BJ_TIME_MIN INT64_C(-211813488000000000)
#define BJ_TIME_END INT64_C(9223371331200000000)	/* exclusive */

#define BJ_SECOND INT64_C(1000000)
#define BJ_DAY (86400 * BJ_SECOND)

/*
 * The rules of a time zone, an argument of everything that knows days.  NULL
 * for a Clock is UTC.
 *
 * to_local: what the clocks show at an instant.  to_instant: when they show a
 * local time; of two such instants the later one, and where they skip it, when
 * they would have shown it had they not been moved.  Both return false when out
 * of range.  Clocks are moved by 24 hours at most, and not twice in two days.
 */
typedef struct Clock
{
	bool		(*to_local) (void *rules, int64_t instant, int64_t *local);
	bool		(*to_instant) (void *rules, int64_t local, int64_t *instant);
	void	   *rules;
} Clock;

typedef struct Civil
{
	int32_t		year;			/* 0 is 1 BC */
	int32_t		month;			/* 1 .. 12 */
	int32_t		day;			/* 1 .. 31 */
} Civil;

extern int32_t bj_calendar_day(Civil civil);
extern Civil bj_calendar_civil(int32_t day);
extern int32_t bj_calendar_month_length(int32_t year, int32_t month);

/*
 * The same day of the month, so many months later, or the last one of a month
 * that is too short.
 */
extern int32_t bj_calendar_add_months(int32_t day, int32_t months);

/*
 * The instant at which clocks show local, as to_instant() says; but a midnight
 * is when the day begins: the first of two, and where it is skipped, the
 * instant when it is.
 */
extern BjStatus bj_clock_instant(const Clock *clock, int64_t local,
								 int64_t *instant);

/*
 * The day that instant lies in: the last one whose first midnight is not
 * later.  It never goes back, although clocks that are set back over midnight
 * show the day before once more.
 */
extern BjStatus bj_clock_day(const Clock *clock, int64_t instant,
							 int32_t *day);

/*
 * The first day that does not begin before instant: that of its midnight,
 * either of two, and later in the day the next one.  It never goes back.
 */
extern BjStatus bj_clock_next_day(const Clock *clock, int64_t instant,
								  int32_t *day);

/* A length of time, as the server's interval: no part of it below zero. */
typedef struct Every
{
	int32_t		months;
	int32_t		days;
	int64_t		microseconds;
} Every;

/*
 * Billing periods: boundary n is the anchor's local time plus n times every,
 * for all whole n.  Nothing drifts, since each boundary is computed from the
 * anchor: from 31 January monthly come 28 February and 31 March.  Boundary 0
 * is the anchor itself, also where its local time occurs twice.  A length
 * without months and days is elapsed time, as on a stop watch.
 *
 * Make one by bj_cycle_init(); the members are for reading.
 */
typedef struct Cycle
{
	const Clock *clock;
	int64_t		anchor;			/* an instant */
	int64_t		local;			/* what the clocks show then */
	Every		every;
} Cycle;

/* BJ_BAD_INTERVAL: a part of every is below zero, or all are zero. */
extern BjStatus bj_cycle_init(Cycle *cycle, const Clock *clock,
							  int64_t anchor, Every every);

/* Boundary n never lies before boundary n - 1. */
extern BjStatus bj_cycle_boundary(const Cycle *cycle, int64_t n,
								  int64_t *instant);

/* One period, [start, end), that is not empty; start is boundary n. */
typedef struct Period
{
	int64_t		n;
	int64_t		start;
	int64_t		end;
} Period;

/* The period that contains at. */
extern BjStatus bj_cycle_find(const Cycle *cycle, int64_t at, Period *period);

/* The period that begins where *period ends.  Together they have no gap. */
extern BjStatus bj_cycle_next(const Cycle *cycle, Period *period);

#endif							/* BILLADJ_CORE_CALENDAR_H */
