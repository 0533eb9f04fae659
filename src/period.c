/*
 * period.c
 *	  In which period an instant lies.
 */
#include "postgres.h"

#include "utils/datetime.h"
#include "utils/timestamp.h"

#include "period.h"

/*
 * Years that a partition of charges can be named after.  Usage of any other is
 * a slip, and near the ends of the calendar a month has no first or last day.
 */
#define FIRST_YEAR 1
#define LAST_YEAR 9999

/* Usage comes in runs of one month and a few zones. */
typedef struct MonthMemo
{
	pg_tz	   *zone;
	TimestampTz start;
	TimestampTz end;			/* exclusive; PG_INT64_MAX beyond the last one */
} MonthMemo;

#define MEMO_SIZE 4

static MonthMemo memo[MEMO_SIZE];
static int	memo_next = 0;

/* The first instant of the month tm lies in, or false. */
static bool
month_start(struct pg_tm *tm, pg_tz *zone, TimestampTz *start)
{
	int			offset;
	int			year = tm->tm_year;
	int			month = tm->tm_mon;
	fsec_t		fsec;
	struct pg_tm before;

	tm->tm_mday = 1;
	tm->tm_hour = tm->tm_min = tm->tm_sec = 0;
	offset = DetermineTimeZoneOffset(tm, zone);
	if (tm2timestamp(tm, 0, &offset, start) != 0)
		return false;

	/*
	 * Where clocks are set back over midnight of the first, that midnight
	 * comes twice and the server means the second one.  The month begins with
	 * the first.  (America/Havana, 1 November 2015.)
	 */
	if (timestamp2tm(*start - 1, &offset, &before, &fsec, NULL, zone) == 0 &&
		before.tm_year == year && before.tm_mon == month)
		return tm2timestamp(tm, 0, &offset, start) == 0;
	return true;
}

bool
bj_period_month(pg_tz *zone, TimestampTz at, TimestampTz *start)
{
	int			offset;
	fsec_t		fsec;
	struct pg_tm tm;
	MonthMemo	found;

	for (int i = 0; i < MEMO_SIZE; i++)
		if (memo[i].zone == zone && at >= memo[i].start && at < memo[i].end)
		{
			*start = memo[i].start;
			return true;
		}

	if (TIMESTAMP_NOT_FINITE(at) ||
		timestamp2tm(at, &offset, &tm, &fsec, NULL, zone) != 0 ||
		tm.tm_year < FIRST_YEAR || tm.tm_year > LAST_YEAR ||
		!month_start(&tm, zone, &found.start))
		return false;

	if (tm.tm_mon == MONTHS_PER_YEAR)
	{
		tm.tm_year++;
		tm.tm_mon = 1;
	}
	else
		tm.tm_mon++;
	if (!month_start(&tm, zone, &found.end))
		found.end = PG_INT64_MAX;

	found.zone = zone;
	memo[memo_next] = found;
	memo_next = (memo_next + 1) % MEMO_SIZE;
	*start = found.start;
	return true;
}

bool
bj_period_instant(pg_tz *zone, Timestamp local, TimestampTz *at)
{
	fsec_t		fsec;
	struct pg_tm tm;
	int			offset;

	if (TIMESTAMP_NOT_FINITE(local) ||
		timestamp2tm(local, NULL, &tm, &fsec, NULL, NULL) != 0)
		return false;
	offset = DetermineTimeZoneOffset(&tm, zone);
	return tm2timestamp(&tm, fsec, &offset, at) == 0;
}
