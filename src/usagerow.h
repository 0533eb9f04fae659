/*
 * usagerow.h
 *	  A usage row, as read from a host table or from where it was parked.
 */
#ifndef BILLADJ_USAGEROW_H
#define BILLADJ_USAGEROW_H

#include "postgres.h"

#include "executor/tuptable.h"
#include "utils/jsonb.h"

#include "binding.h"
#include "fault.h"
#include "prices.h"

typedef struct UsageMeasure
{
	const BoundMeasure *bound;
	KeyText		meter;			/* length -1: NULL in the row */
	Decimal		quantity;		/* 0 unless the fault says otherwise */
	const char *unread;			/* spelling of a quantity that is none, or NULL */
	TimestampTz period_start;	/* valid without fault */
	Fault		fault;			/* of this measure alone */
} UsageMeasure;

typedef struct UsageRow
{
	KeyText		event_key;		/* length -1: none */
	KeyText		account;		/* length -1: none */
	const AccountTerms *terms;	/* NULL without a usable account */
	bool		is_local;		/* at stands for a clock time of the account */
	bool		has_at;
	int64		at;				/* as read: an instant, or a clock time */
	TimestampTz occurred_at;	/* valid without fault */
	TimestampTz month_start;	/* its calendar month; valid without fault */
	Fault		fault;			/* of the whole row */
	const Binding *binding;
	int			nmeasures;
	UsageMeasure *measures;
	Jsonb	   *whole;			/* all columns, when the mapping is broken */
} UsageRow;

/*
 * Reads a row of the host table.  Never throws for what a value is; faults say
 * what was wrong.  Allocates in the current context; may point into the slot.
 */
extern void bj_usagerow_read(const Binding *binding, TupleTableSlot *slot,
							 UsageRow *row);

/* Copies what points into a slot into the current context. */
extern void bj_usagerow_keep(UsageRow *row);

/* Do two readings of one event key mean the same usage? */
extern bool bj_usagerow_equal(const UsageRow *a, const UsageRow *b);

/* What parked_usage.mapped keeps of a measure. */
extern Jsonb *bj_usagerow_mapped(const UsageRow *row, const UsageMeasure *measure);

/*
 * The opposite: makes a row with the one measure that mapped was kept for.
 * False when mapped does not say enough, because its mapping was broken: then
 * its member "row" has all columns.
 */
extern bool bj_usagerow_from_mapped(const Binding *binding, Jsonb *mapped,
									const char *measure, UsageRow *row);

/* Adds the measures of another such row of the same event key. */
extern void bj_usagerow_join(UsageRow *row, const UsageRow *other);

/*
 * Account terms, instant and the periods of its measures; sets row->fault, or
 * that of a measure, when they fail.
 */
extern void bj_usagerow_place(UsageRow *row);

/* Where its charges are, if it has some; with row->fault none can be. */
extern TimestampTz bj_usagerow_likely_period(const UsageRow *row);

#endif							/* BILLADJ_USAGEROW_H */
