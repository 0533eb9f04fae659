/*
 * prorate.h
 *	  The share of an amount that falls to a part of its period.
 *
 * A day count says how a stretch of time is measured; doc/billadj.md has the
 * formula of each and who uses it.  The share is the measure of the part over
 * that of the whole period, always: an amount is what the period costs.
 */
#ifndef BILLADJ_CORE_PRORATE_H
#define BILLADJ_CORE_PRORATE_H

#include "core/calendar.h"
#include "core/decimal.h"

typedef enum DayCount
{
	BJ_ACTUAL_DAYS,
	BJ_ACTUAL_DAYS_INCLUSIVE,
	BJ_ACTUAL_SECONDS,			/* elapsed time */
	BJ_ACTUAL_360,				/* days, over 30 a month */
	BJ_STRICT_30_360,			/* every month has 30 days */
	BJ_FIXED_30,				/* the month the period starts in has 30 days */
	BJ_ACTUAL_365,				/* days, over 365 a year */
	BJ_CALENDAR_MONTH_SPLIT,	/* parts of calendar months */
	BJ_MONTH_THEN_DAYS			/* whole months of the period, then days */
} DayCount;

#define BJ_DAY_COUNTS (BJ_MONTH_THEN_DAYS + 1)

/* name: "actual_days" and so on, NUL-terminated; else BJ_BAD_DAY_COUNT */
extern BjStatus bj_day_count_parse(const char *name, DayCount *day_count);
extern const char *bj_day_count_name(DayCount day_count);

/*
 * Whose is the day of a change?  True: of the part that ends in it, and the
 * next one begins with the midnight after.  False: of the part that begins.
 */
extern bool bj_day_count_is_inclusive(DayCount day_count);

/* [start, end), two instants; start >= end is an empty one. */
typedef struct Span
{
	int64_t		start;
	int64_t		end;
} Span;

/*
 * numerator / denominator, not reduced, both in units of 10^-decimals: 6 for
 * seconds, else 0.  numerator >= 0, denominator > 0.
 */
typedef struct DayFraction
{
	int64_t		numerator;
	int64_t		denominator;
	int32_t		decimals;
} DayFraction;

/*
 * The measure of used over that of period.  An empty used is 0.
 *
 * BJ_EMPTY_PERIOD: the period is empty, or has no day by this count.
 * BJ_OUTSIDE_PERIOD: used has an instant that period has not.  BJ_NO_MONTHS:
 * the count speaks of months or years, and the period is no whole number of
 * months.
 */
extern BjStatus bj_day_fraction(DayCount day_count, const Clock *clock,
								Span period, Span used,
								DayFraction *fraction);

/*
 * amount * fraction, rounded once at scale decimals.  The result has that
 * scale, else BJ_OUT_OF_RANGE.
 */
extern BjStatus bj_prorate(Decimal amount, DayFraction fraction, int32_t scale,
						   Rounding rounding, Decimal *share);

/* The caller's memory for one part; its contents are nobody's business. */
typedef struct SplitWork
{
	UInt128		lost;
	int64_t		lost_below;
	int64_t		count;
	int32_t		unit;
	int32_t		index;
} SplitWork;

/*
 * The shares of n parts of one period, which sum to the share of their union
 * by bj_prorate().  Each share differs from its exact value by less than one
 * unit of the last place: by largest remainder, of equals the lower index.
 *
 * parts come in any order; an empty one gets 0.  The shares of -amount are
 * those of amount negated, with ceil and floor exchanged.  Besides what the
 * two functions above say, BJ_PARTS_OVERLAP: two parts share an instant; then
 * as with BJ_OUTSIDE_PERIOD, *fault is the index of one at fault.
 *
 * work and shares are of n elements.  Without BJ_OK the contents of shares are
 * unspecified.
 */
extern BjStatus bj_prorate_split(Decimal amount, DayCount day_count,
								 const Clock *clock, Span period,
								 const Span *parts, int32_t n, int32_t scale,
								 Rounding rounding, SplitWork *work,
								 Decimal *shares, int32_t *fault);

#endif							/* BILLADJ_CORE_PRORATE_H */
