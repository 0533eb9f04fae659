/*
 * cycles.h
 *	  The billing periods of a subscription, cut to the cycle they belong to.
 */
#ifndef BILLADJ_CYCLES_H
#define BILLADJ_CYCLES_H

#include "postgres.h"

#include "datatype/timestamp.h"

#include "core/calendar.h"
#include "core/prorate.h"

/* From when on a subscription has which periods. */
typedef struct BillingCycle
{
	Span		valid;			/* end PG_INT64_MAX: until further notice */
	Clock		clock;
	TimestampTz anchor;
	Every		every;
	bool		seam;			/* the zone changes at its end */
} BillingCycle;

/* One period; whole is what its lines are a share of. */
typedef struct CutPeriod
{
	Period		period;			/* as the cycle has it, uncut */
	Span		whole;
	Span		cut;
} CutPeriod;

/*
 * Fills whole and cut from period.  Where the zone changes, the last period
 * ends with the cycle, some hours early or late, and is as whole as the
 * others: nobody pays for the hours.
 */
extern BjStatus bj_cycles_cut(const BillingCycle *c, const Cycle *cycle,
							  CutPeriod *p);

/*
 * The period that contains at, which the cycle does.  cycle is that of c, by
 * bj_cycle_init().
 */
extern BjStatus bj_cycles_find(const BillingCycle *c, const Cycle *cycle,
							   TimestampTz at, CutPeriod *p);

#endif							/* BILLADJ_CYCLES_H */
