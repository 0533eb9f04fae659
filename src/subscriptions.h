/*
 * subscriptions.h
 *	  Store: the timelines of subscriptions, and what was billed of them.
 */
#ifndef BILLADJ_SUBSCRIPTIONS_H
#define BILLADJ_SUBSCRIPTIONS_H

#include "postgres.h"

#include "datatype/timestamp.h"

#include "core/price.h"
#include "core/recurring.h"
#include "cycles.h"
#include "keytext.h"

typedef enum PriceKind
{
	BJ_KIND_RECURRING,
	BJ_KIND_ONE_OFF
} PriceKind;

typedef struct PlanPrice
{
	int64		plan_price_id;
	PriceKind	kind;
	bool		arrears;
	bool		per_unit;
	Span		valid;			/* PG_INT64_MIN and PG_INT64_MAX: open */
	Price		price;
} PlanPrice;

typedef struct BillingPlan
{
	char	   *name;
	char		currency[4];
	RecurringRule rule;			/* its clock is that of the cycle */
	int			nprices;
	PlanPrice  *prices;			/* by number; usage has none here */
} BillingPlan;

typedef enum TermState
{
	BJ_TERM_ACTIVE,
	BJ_TERM_TRIAL,
	BJ_TERM_PAUSED,
	BJ_TERM_FORFEITED
} TermState;

typedef struct Term
{
	int64		term_id;		/* 0: it is not stored yet */
	Span		valid;			/* end PG_INT64_MAX: until further notice */
	const BillingPlan *plan;
	Decimal		quantity;
	TermState	state;
	Decimal		discount;		/* percent */
	TimestampTz priced_at;
} Term;

/* What was billed of one line of a period: a row of recurring_total. */
typedef struct BilledLine
{
	TimestampTz period_start;
	const PlanPrice *price;		/* NULL: it is gone from the catalogue */
	int64		plan_price_id;
	Decimal		quantity;
	Decimal		full;
	Decimal		amount;			/* charged or proposed */
	Decimal		credited;		/* adjustments of its charges, below zero */
	Span		covers;
	bool		seen;
} BilledLine;

/* One subscription; arrays by time, billed by period. */
typedef struct Timeline
{
	KeyText		account;
	int64		subscription_id;
	char		currency[4];
	int			nterms;
	Term	   *terms;
	int			ncycles;
	BillingCycle *cycles;
	int			nbilled;
	BilledLine *billed;
} Timeline;

/*
 * Whose timelines.  With terms and cycles given (as JSON arrays of objects with
 * the columns of their tables), it is that one subscription, which need not be
 * stored, with that timeline in place of its own.
 */
typedef struct TimelineRequest
{
	const char *account;		/* NULL: all */
	int64		subscription_id;	/* 0: all */
	const char *terms;			/* NULL: as stored */
	const char *cycles;
	TimestampTz since;			/* older periods are not asked for */
	bool		latest;			/* by the latest snapshot, not the caller's */
} TimelineRequest;

typedef struct TimelineReader TimelineReader;

/* From here until the reader is closed SPI is connected. */
extern TimelineReader *bj_timelines_open(const TimelineRequest *request,
										 MemoryContext context);

/*
 * The next one by account and number; false at the end.  What it points to
 * lives in the current context.
 */
extern bool bj_timelines_next(TimelineReader *reader, Timeline *timeline);
extern void bj_timelines_close(TimelineReader *reader);

/* The cycles of one subscription alone, stored or given, in the context. */
extern void bj_timeline_cycles(const TimelineRequest *request,
							   MemoryContext context, Timeline *timeline);

/* [start, end) as a tstzrange; PG_INT64_MAX is an open end. */
extern Datum bj_span_range(Span span);

#endif							/* BILLADJ_SUBSCRIPTIONS_H */
