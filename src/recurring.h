/*
 * recurring.h
 *	  From a subscription's timeline to what is to be charged.
 *
 * A difference is should-be minus billed, of one line of one period.  Lines are
 * what costs the same: one price of the plan, one quantity, one full amount.
 * What was billed stands in the timeline, so a second run finds nothing.
 */
#ifndef BILLADJ_RECURRING_H
#define BILLADJ_RECURRING_H

#include "postgres.h"

#include "subscriptions.h"

typedef struct RecurringWindow
{
	/*
	 * What is due at this instant: in advance of periods that have begun, in
	 * arrears of those that have ended.  A term that begins later is not in
	 * force yet: the one before it goes on in its place.  An end is known at
	 * once.
	 */
	TimestampTz at;
	TimestampTz since;			/* periods that end before are left alone */
	TimestampTz posting_at;		/* differences show on the bill of the period
								 * that contains it */
} RecurringWindow;

typedef struct Difference
{
	int64		term_id;		/* the last term of the line; 0: not stored */
	int64		plan_price_id;
	TimestampTz period_start;
	TimestampTz period_end;
	TimestampTz posted_period_start;
	TimestampTz due_at;
	Span		covers;			/* what the difference is for */
	Span		line_covers;	/* what the whole line is for now */
	Decimal		quantity;
	Decimal		full;			/* what a whole period costs, net of discount */
	Share		share;			/* of the period; 0 / 1 when the line is gone */
	Decimal		should_be;
	Decimal		billed;
	Decimal		amount;			/* of the difference; not 0 */
	const char *cause;			/* "recurring" or "proration" */
	bool		fresh;			/* nothing of the line was ever billed */
} Difference;

typedef void (*DifferenceSink) (void *to, const Timeline *timeline,
								const Difference *difference);

/*
 * Gives each difference of the window to the sink, by period.  A credit is
 * never more than what was billed and not yet credited.
 */
extern void bj_recurring_differences(Timeline *timeline,
									 const RecurringWindow *window,
									 DifferenceSink sink, void *to);

/* Gives each period of [from, to) to the sink, cut and whole. */
typedef void (*PeriodSink) (void *to, Span cut, Span whole);
extern void bj_recurring_periods(const Timeline *timeline, Span during,
								 PeriodSink sink, void *to);

#endif							/* BILLADJ_RECURRING_H */
