/*
 * recurring.c
 *	  What the parts of a billing period cost.
 */
#include "core/recurring.h"

#include "core/allocate.h"

/* decimals of the exact amounts whose sum is rounded */
#define EXACT_SCALE 12

static int64_t
greatest_common_divisor(int64_t a, int64_t b)
{
	while (b != 0)
	{
		int64_t		rest = a % b;

		a = b;
		b = rest;
	}
	return a < 0 ? -a : a;
}

static Share
lowest_terms(int64_t numerator, int64_t denominator)
{
	int64_t		divisor = greatest_common_divisor(numerator, denominator);

	return (Share) {numerator / divisor, denominator / divisor};
}

/* sum = a + sign * b */
static BjStatus
add_share(Share a, Share b, int sign, Share *sum)
{
	int64_t		shared = greatest_common_divisor(a.denominator, b.denominator);
	int64_t		left;
	int64_t		right;
	int64_t		numerator;
	int64_t		denominator;

	if (__builtin_mul_overflow(a.numerator, b.denominator / shared, &left) ||
		__builtin_mul_overflow(sign * b.numerator, a.denominator / shared, &right) ||
		__builtin_add_overflow(left, right, &numerator) ||
		__builtin_mul_overflow(a.denominator, b.denominator / shared, &denominator))
		return BJ_OUT_OF_RANGE;
	*sum = lowest_terms(numerator, denominator);
	return BJ_OK;
}

/* The share of the period that has passed at an instant of it. */
static BjStatus
passed(const RecurringRule *rule, Span period, int64_t at, Share *share)
{
	DayFraction fraction;
	BjStatus	status;

	/*
	 * The two ends need no clock, but where a whole period is not 1: then
	 * its end does.
	 */
	if (at == period.start ||
		(at == period.end && rule->day_count != BJ_ACTUAL_360 &&
		 rule->day_count != BJ_ACTUAL_365))
	{
		*share = (Share) {at == period.start ? 0 : 1, 1};
		return period.start < period.end ? BJ_OK : BJ_EMPTY_PERIOD;
	}
	status = bj_day_fraction(rule->day_count, rule->clock, period,
							 (Span) {period.start, at}, &fraction);
	if (status == BJ_OK)
		*share = lowest_terms(fraction.numerator, fraction.denominator);
	return status;
}

static BjStatus
add_part(const RecurringRule *rule, Span period, Span part, Share *share)
{
	Share		at_start;
	Share		at_end;
	BjStatus	status;

	if ((status = passed(rule, period, part.start, &at_start)) != BJ_OK ||
		(status = passed(rule, period, part.end, &at_end)) != BJ_OK ||
		(status = add_share(*share, at_end, 1, share)) != BJ_OK)
		return status;
	return add_share(*share, at_start, -1, share);
}

static BjStatus
share_amount(const RecurringLine *line, int32_t scale, Rounding rounding,
			 Decimal *amount)
{
	return bj_prorate(line->full,
					  (DayFraction) {line->share.numerator, line->share.denominator, 0},
					  scale, rounding, amount);
}

static BjStatus
round_total(const RecurringRule *rule, RecurringLine *lines, int32_t n)
{
	Decimal		exact[BJ_MAX_LINES] = {0};
	Decimal		parts[BJ_MAX_LINES];
	Decimal		total;
	BjStatus	status = BJ_OK;

	for (int i = 0; i < n && status == BJ_OK; i++)
		status = share_amount(&lines[i], EXACT_SCALE, BJ_ROUND_HALF_EVEN, &exact[i]);
	if (status == BJ_OK)
		status = bj_share_residual(exact, n, (Decimal) {1, rule->scale},
								   rule->rounding, parts, &total);
	for (int i = 0; i < n && status == BJ_OK; i++)
		lines[i].amount = parts[i];
	return status;
}

BjStatus
bj_recurring_amounts(const RecurringRule *rule, Span period,
					 const RecurringPart *parts, int32_t nparts,
					 RecurringLine *lines, int32_t n)
{
	BjStatus	status = BJ_OK;

	if (n > BJ_MAX_LINES)
		return BJ_TOO_MANY_STEPS;
	for (int i = 0; i < n; i++)
		lines[i].share = (Share) {lines[i].once ? 1 : 0, 1};
	for (int i = 0; i < nparts && status == BJ_OK; i++)
		if (!lines[parts[i].line].once)
			status = add_part(rule, period, parts[i].span,
							  &lines[parts[i].line].share);
	if (status == BJ_OK && rule->by_total && n > 1)
		return round_total(rule, lines, n);
	for (int i = 0; i < n && status == BJ_OK; i++)
		status = share_amount(&lines[i], rule->scale, rule->rounding,
							  &lines[i].amount);
	return status;
}
