/*
 * zone.c
 *	  The server's time zones, as the core wants them.
 *
 * An instant of the core is a TimestampTz and a local time a Timestamp: both
 * count microseconds since 2000-01-01.
 */
#include "postgres.h"

#include "utils/datetime.h"
#include "utils/timestamp.h"

#include "errors.h"
#include "period.h"
#include "zone.h"

StaticAssertDecl(BJ_TIME_MIN == MIN_TIMESTAMP && BJ_TIME_END == END_TIMESTAMP,
				 "the core and the server disagree about time");

/*
 * Is this a zone that has rules, or what POSIX makes of any letters and a
 * number?  To the server "UTC+3" is such a zone, three hours west, and "Berlin1"
 * another.  Names with digits that have rules are few, and end by tradition.
 */
static bool
is_zone_name(const char *name)
{
	static const char *const with_digits[] = {
		"EST5EDT", "CST6CDT", "MST7MDT", "PST8PDT", "GMT0", "GMT+0", "GMT-0",
		"Etc/GMT0"
	};
	const char *number = name + strcspn(name, "+-0123456789");

	if (name[strcspn(name, "0123456789")] == '\0')
		return true;
	for (int i = 0; i < lengthof(with_digits); i++)
	{
		if (pg_strcasecmp(name, with_digits[i]) == 0)
			return true;
	}

	/* Etc/GMT-14 .. Etc/GMT+12 */
	return number - name == 7 && pg_strncasecmp(name, "Etc/GMT", 7) == 0 &&
		number[1] != '\0' &&
		strspn(number + 1, "0123456789") == strlen(number + 1) &&
		strlen(number + 1) <= 2 &&
		atoi(number + 1) <= (*number == '+' ? 12 : 14);
}

pg_tz *
bj_zone_known(const char *name)
{
	pg_tz	   *zone = *name == '\0' || !is_zone_name(name) ? NULL :
		pg_tzset(name);

	/* A zone with leap seconds would make days of 86401 seconds. */
	return zone != NULL && pg_tz_acceptable(zone) ? zone : NULL;
}

pg_tz *
bj_zone_find(const char *name)
{
	pg_tz	   *zone = bj_zone_known(name);

	if (zone == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_BJ_UNKNOWN_ZONE),
				 errmsg("unknown time zone: \"%s\"", name),
				 errhint("Use a name of pg_timezone_names, such as Europe/Berlin.")));
	return zone;
}

/*
 * A stretch of time in which the clocks of a zone are not moved: between local
 * time and instant there is one number, and no need to ask the server, who takes
 * each instant apart into year, month, day … and puts it together again.
 */
typedef struct Stretch
{
	pg_tz	   *zone;			/* NULL: not in use */
	int64		start;
	int64		end;			/* exclusive */
	int64		offset;			/* local time less instant */
} Stretch;

/* Enough for the clocks of two zones that are moved twice a year. */
#define STRETCHES 8

/* How far back of an instant its stretch is looked for; and the longest one. */
#define LOOK_BACK_SECONDS (INT64CONST(400) * SECS_PER_DAY)

/* Clocks are not moved by more than a day: core/calendar.h. */
#define WELL_WITHIN (2 * USECS_PER_DAY)

static Stretch stretches[STRETCHES];
static int	next_stretch = 0;

/* Unix time, in microseconds of ours; beyond what fits, an end of time. */
static int64
from_unix(pg_time_t seconds)
{
	const int64 epoch = (int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * SECS_PER_DAY;

	return (seconds - epoch) * USECS_PER_SEC;
}

/*
 * The stretch that contains an instant, as far as 400 days before it and, where
 * the clocks are never moved again, to the end of time.  NULL: the server has to
 * be asked.
 */
static const Stretch *
stretch_at(pg_tz *zone, int64 instant)
{
	const int64 epoch = (int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * SECS_PER_DAY;
	pg_time_t	at;
	pg_time_t	from;
	pg_time_t	boundary;
	long		before;
	long		after;
	int			before_isdst;
	int			after_isdst;
	int			found;

	for (int i = 0; i < STRETCHES; i++)
		if (stretches[i].zone == zone && instant >= stretches[i].start &&
			instant < stretches[i].end)
			return &stretches[i];

	if (!IS_VALID_TIMESTAMP(instant))
		return NULL;
	at = instant / USECS_PER_SEC - (instant % USECS_PER_SEC < 0) + epoch;
	from = at - LOOK_BACK_SECONDS;
	while ((found = pg_next_dst_boundary(&from, &before, &before_isdst, &boundary,
										 &after, &after_isdst, zone)) == 1 &&
		   boundary <= at)
		from = boundary;
	if (found < 0)
		return NULL;
	stretches[next_stretch] = (Stretch) {
		zone, Max(from_unix(from), MIN_TIMESTAMP),
		found == 0 ? END_TIMESTAMP : Min(from_unix(boundary), END_TIMESTAMP),
		before * USECS_PER_SEC
	};
	found = next_stretch;
	next_stretch = (next_stretch + 1) % STRETCHES;
	return &stretches[found];
}

static bool
to_local(void *rules, int64_t instant, int64_t *local)
{
	pg_tz	   *zone = rules;
	const Stretch *stretch = stretch_at(zone, instant);

	if (stretch == NULL || !IS_VALID_TIMESTAMP(instant + stretch->offset))
		return false;
	*local = instant + stretch->offset;
	return true;
}

/*
 * Where the clocks are not moved around it, a local time is one instant.  Else
 * the server says which.
 */
static bool
to_instant(void *rules, int64_t local, int64_t *instant)
{
	pg_tz	   *zone = rules;
	TimestampTz at;

	for (int i = 0; i < STRETCHES; i++)
		if (stretches[i].zone == zone &&
			local - stretches[i].offset >= stretches[i].start + WELL_WITHIN &&
			local - stretches[i].offset < stretches[i].end - WELL_WITHIN)
		{
			*instant = local - stretches[i].offset;
			return true;
		}
	if (!bj_period_instant(zone, local, &at))
		return false;
	*instant = at;
	stretch_at(zone, at);
	return true;
}

Clock
bj_zone_clock(pg_tz *zone)
{
	return (Clock) {to_local, to_instant, zone};
}
