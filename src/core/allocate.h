/*
 * allocate.h
 *	  Dividing an amount into parts that sum to it.
 *
 * By largest remainder: each part is rounded down, and the units that are then
 * left over go, one each, to the parts that lost most.  Of equal losses the
 * one with the lower index comes first, so that a repetition gives the same.
 */
#ifndef BILLADJ_CORE_ALLOCATE_H
#define BILLADJ_CORE_ALLOCATE_H

#include "core/decimal.h"

/* The caller's memory for one part; its contents are nobody's business. */
typedef struct AllocateWork
{
	UInt128		remainder;
	int32_t		index;
} AllocateWork;

/*
 * amount by weights: n of them, >= 0, not all zero, else BJ_BAD_WEIGHTS.  parts
 * and work are of n elements.  A part has scale decimals; an amount that has
 * more is BJ_INEXACT.  The parts sum to amount exactly, none has the other
 * sign, a weight of zero gets nothing, and the parts of -amount are those of
 * amount negated.  BJ_OUT_OF_RANGE if the weights together, or the amount with
 * scale decimals, have more than 38 digits.
 *
 * Without BJ_OK the contents of parts and work are unspecified.
 */
extern BjStatus bj_allocate(Decimal amount, const Decimal *weights, int32_t n,
							int32_t scale, AllocateWork *work,
							Decimal *parts);

/*
 * Rounds n exact amounts to multiples of step so that they sum to their
 * rounded total: *total is the sum of exact rounded by mode, each part differs
 * from exact by less than a step.  The parts of -exact are those of exact
 * negated, with ceil and floor exchanged.  n is small: the time is n squared.
 *
 * Without BJ_OK the contents of parts and *total are unspecified.
 */
extern BjStatus bj_share_residual(const Decimal *exact, int32_t n, Decimal step,
								  Rounding mode, Decimal *parts,
								  Decimal *total);

#endif							/* BILLADJ_CORE_ALLOCATE_H */
