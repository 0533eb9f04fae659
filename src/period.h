/*
 * period.h
 *	  In which period an instant lies.
 */
#ifndef BILLADJ_PERIOD_H
#define BILLADJ_PERIOD_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "pgtime.h"

/*
 * The calendar month of the zone that contains at: *start is its first
 * instant.  False when at is infinite or its local year is not one of 1 to
 * 9999.
 */
extern bool bj_period_month(pg_tz *zone, TimestampTz at, TimestampTz *start);

/*
 * The instant at which the zone's clocks show local, by the server's rule for
 * times that occur twice or never.  False when out of range or infinite.
 */
extern bool bj_period_instant(pg_tz *zone, Timestamp local, TimestampTz *at);

#endif							/* BILLADJ_PERIOD_H */
