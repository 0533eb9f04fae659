/*
 * cycles.c
 *	  The billing periods of a subscription, cut to the cycle they belong to.
 *
 * Recurring charges and usage ask the same two functions, so that a bill has
 * one period for both.
 */
#include "postgres.h"

#include "cycles.h"

BjStatus
bj_cycles_cut(const BillingCycle *c, const Cycle *cycle, CutPeriod *p)
{
	p->whole = (Span) {p->period.start, p->period.end};
	if (c->seam && p->period.end < c->valid.end)
	{
		Period		next = p->period;
		BjStatus	status = bj_cycle_next(cycle, &next);

		if (status != BJ_OK)
			return status;
		if (next.end >= c->valid.end &&
			c->valid.end - next.start < (next.end - next.start) / 2)
			p->whole.end = c->valid.end;
	}
	else if (c->seam)
		p->whole.end = c->valid.end;
	p->cut.start = Max(p->whole.start, c->valid.start);
	p->cut.end = Min(p->whole.end, c->valid.end);
	return BJ_OK;
}

BjStatus
bj_cycles_find(const BillingCycle *c, const Cycle *cycle, TimestampTz at, CutPeriod *p)
{
	BjStatus	status = bj_cycle_find(cycle, at, &p->period);

	if (status != BJ_OK)
		return status;
	if (c->seam && p->period.end >= c->valid.end && p->period.start > c->valid.start)
	{
		CutPeriod	earlier;

		/* the hours behind the last boundary belong to the period before it */
		if ((status = bj_cycle_find(cycle, p->period.start - 1, &earlier.period)) != BJ_OK ||
			(status = bj_cycles_cut(c, cycle, &earlier)) != BJ_OK)
			return status;
		if (earlier.whole.end == c->valid.end)
		{
			*p = earlier;
			return BJ_OK;
		}
	}
	return bj_cycles_cut(c, cycle, p);
}
