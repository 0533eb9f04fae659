/*
 * limitusage.h
 *	  Store: what authorities were used for: reserved at a decision, used at its
 *	  application or released, exactly once.
 *
 * Needs an open owner scope.  Amounts are without sign: nothing is netted.
 */
#ifndef BILLADJ_LIMITUSAGE_H
#define BILLADJ_LIMITUSAGE_H

#include "postgres.h"

#include "authorities.h"

/* A period of an authority with a limit for it. */
typedef struct LimitClaim
{
	int64		authority_id;
	TimestampTz period_start;
	Decimal		period_limit;
	Decimal		taken;			/* reserved and used before, once locked */
} LimitClaim;

/* Reads what is taken; lock: locks the counters, ascending, until the end of the transaction. */
extern void bj_limits_read(LimitClaim *claims, int n, bool lock);

/* Is there room for this much? */
extern bool bj_limit_holds(const LimitClaim *claim, Decimal amount);

/* Reserves; false if a claim does not hold: then the caller raises an error. */
extern bool bj_limits_reserve(const LimitClaim *claims, int n, int64 decision_id,
							  int64 request_id, Decimal amount);

/* What is reserved for a request is used, or released. */
extern void bj_limits_end(int64 request_id, bool used);

#endif							/* BILLADJ_LIMITUSAGE_H */
