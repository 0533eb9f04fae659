/*
 * zone.h
 *	  The server's time zones, as the core wants them.
 */
#ifndef BILLADJ_ZONE_H
#define BILLADJ_ZONE_H

#include "postgres.h"

#include "pgtime.h"

#include "core/calendar.h"

/*
 * The zone of that name, one of pg_timezone_names, in any case of letters; it
 * lives as long as the session.  Raises UB102 when there is none.
 */
extern pg_tz *bj_zone_find(const char *name);

/* The same; NULL when there is none. */
extern pg_tz *bj_zone_known(const char *name);

/*
 * Its rules for core functions.  A local time that never occurs is read with
 * the offset before the gap, one that occurs twice is the second one, as AT
 * TIME ZONE does; core/calendar.h says what is done about midnights.
 */
extern Clock bj_zone_clock(pg_tz *zone);

#endif							/* BILLADJ_ZONE_H */
