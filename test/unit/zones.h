/*
 * zones.h
 *	  Time zones of a few transitions, for tests that know no server.
 */
#ifndef BILLADJ_ZONES_H
#define BILLADJ_ZONES_H

#include "core/calendar.h"

#define ZONE_MAX 8
#define HOUR (3600 * BJ_SECOND)

/* offset[0] holds before at[0], offset[i] from at[i - 1] on. */
typedef struct Zone
{
	int			n;				/* transitions */
	int64_t		at[ZONE_MAX];
	int64_t		offset[ZONE_MAX + 1];	/* east of UTC, in microseconds */
} Zone;

/* The instant at which the clocks of offset i show local, if they rule then. */
static inline bool
zone_shows(const Zone *zone, int i, int64_t local, int64_t *instant)
{
	*instant = local - zone->offset[i];
	return (i == 0 || *instant >= zone->at[i - 1]) &&
		(i == zone->n || *instant < zone->at[i]);
}

static inline bool
zone_to_local(void *rules, int64_t instant, int64_t *local)
{
	const Zone *zone = rules;
	int			i = 0;

	while (i < zone->n && instant >= zone->at[i])
		i++;
	*local = instant + zone->offset[i];
	return true;
}

/* As the server: the later of two, and in a gap the offset before it. */
static inline bool
zone_to_instant(void *rules, int64_t local, int64_t *instant)
{
	const Zone *zone = rules;

	for (int i = zone->n; i >= 0; i--)
	{
		if (zone_shows(zone, i, local, instant))
			return true;
	}
	for (int i = 0; i < zone->n; i++)
	{
		*instant = local - zone->offset[i];
		if (*instant >= zone->at[i] && local - zone->offset[i + 1] < zone->at[i])
			return true;
	}
	return false;
}

static inline Clock
zone_clock(Zone *zone)
{
	return (Clock) {zone_to_local, zone_to_instant, zone};
}

/* a local time as the calendar shows it */
static inline int64_t
time_of(int32_t year, int32_t month, int32_t day, int32_t hour, int32_t minute)
{
	return bj_calendar_day((Civil) {year, month, day}) * BJ_DAY +
		hour * HOUR + minute * (HOUR / 60);
}

#endif							/* BILLADJ_ZONES_H */
