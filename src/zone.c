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
bj_zone_find(const char *name)
{
	pg_tz	   *zone = *name == '\0' || !is_zone_name(name) ? NULL :
		pg_tzset(name);

	/* A zone with leap seconds would make days of 86401 seconds. */
	if (zone == NULL || !pg_tz_acceptable(zone))
		ereport(ERROR,
				(errcode(ERRCODE_BJ_UNKNOWN_ZONE),
				 errmsg("unknown time zone: \"%s\"", name),
				 errhint("Use a name of pg_timezone_names, such as Europe/Berlin.")));
	return zone;
}

static bool
to_local(void *rules, int64_t instant, int64_t *local)
{
	pg_tz	   *zone = rules;
	Timestamp	shown;
	fsec_t		fsec;
	struct pg_tm tm;
	int			offset;

	if (timestamp2tm(instant, &offset, &tm, &fsec, NULL, zone) != 0 ||
		tm2timestamp(&tm, fsec, NULL, &shown) != 0)
		return false;
	*local = shown;
	return true;
}

static bool
to_instant(void *rules, int64_t local, int64_t *instant)
{
	TimestampTz at;

	if (!bj_period_instant(rules, local, &at))
		return false;
	*instant = at;
	return true;
}

Clock
bj_zone_clock(pg_tz *zone)
{
	return (Clock) {to_local, to_instant, zone};
}
