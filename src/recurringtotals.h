/*
 * recurringtotals.h
 *	  Store: raises what was billed of the lines of subscriptions.
 */
#ifndef BILLADJ_RECURRINGTOTALS_H
#define BILLADJ_RECURRINGTOTALS_H

#include "postgres.h"

#include "datatype/timestamp.h"

#include "core/calendar.h"
#include "core/decimal.h"
#include "core/prorate.h"
#include "keytext.h"

/* One that a billed line is raised by. */
typedef struct TotalChange
{
	KeyText		account;
	int64		subscription_id;
	TimestampTz period_start;
	int64		plan_price_id;
	Decimal		quantity;
	Decimal		full;
	Decimal		amount;
	Datum		covers;			/* tstzrange of the line as it is now */
	bool		fresh;			/* it has no row yet */
} TotalChange;

typedef struct TotalWriter TotalWriter;

/*
 * Buffers rows of recurring_total, in the context.  NULL with *problem set when
 * the table is missing or of another shape.  SPI is connected until it is
 * closed: by the reader of the timelines.
 */
extern TotalWriter *bj_totals_open(MemoryContext context, const char **problem);

/*
 * A line that is said to be fresh and has a row all the same raises a unique
 * violation, now or when the writer is closed: somebody billed it meanwhile.
 */
extern void bj_totals_add(TotalWriter *writer, const TotalChange *change);

/* Writes what is buffered, and closes. */
extern void bj_totals_close(TotalWriter *writer);

#endif							/* BILLADJ_RECURRINGTOTALS_H */
