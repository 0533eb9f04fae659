/*
 * recurring.h
 *	  What the parts of a billing period cost.
 *
 * A subscription's timeline cuts a period into parts; each part is priced on
 * the whole period.  The measure of a part is what has passed at its end less
 * what had passed at its beginning, both counted from the period's start: so
 * the parts sum to the whole by every day count, and a day in which a change
 * falls is counted once.  It belongs to the earlier part where the count is
 * inclusive, to the later one where it is not.
 */
#ifndef BILLADJ_CORE_RECURRING_H
#define BILLADJ_CORE_RECURRING_H

#include "core/prorate.h"

typedef struct RecurringRule
{
	DayCount	day_count;
	const Clock *clock;
	int32_t		scale;			/* decimals of an amount, 0 .. 12 */
	Rounding	rounding;
	bool		by_total;		/* round the sum; the lines share the residual */
} RecurringRule;

/* A share numerator / denominator of the whole period, in lowest terms. */
typedef struct Share
{
	int64_t		numerator;
	int64_t		denominator;	/* > 0 */
} Share;

/* Parts that cost the same a period are one line, whatever lies between. */
typedef struct RecurringLine
{
	Decimal		full;			/* what a whole period costs */
	bool		once;			/* the full amount, whatever the parts */
	Share		share;			/* result: that of its parts together */
	Decimal		amount;			/* result */
} RecurringLine;

typedef struct RecurringPart
{
	Span		span;
	int32_t		line;			/* index of its line */
} RecurringPart;

/* The lines of one period at most. */
#define BJ_MAX_LINES 256

/*
 * Fills share and amount of n lines from the parts, which lie within period
 * and do not overlap within a line.  An amount is full times share, rounded
 * once; with by_total each is within one unit of that, and they sum to the
 * rounded sum of the exact ones (at 12 decimals, half to even).
 *
 * BJ_TOO_MANY_STEPS: n > BJ_MAX_LINES.  Else what bj_day_fraction() and
 * bj_prorate() answer.  Without BJ_OK the results are unspecified.
 */
extern BjStatus bj_recurring_amounts(const RecurringRule *rule, Span period,
									 const RecurringPart *parts, int32_t nparts,
									 RecurringLine *lines, int32_t n);

#endif							/* BILLADJ_CORE_RECURRING_H */
