/*
 * exact.h
 *	  Sums of products that are longer on the way than at their end.
 *
 * A charge is a difference of two prices.  Either of them may have more digits
 * than a Decimal although the difference is short: the millionth of a cent
 * that one more call costs after 10^35 of them.  An Exact is a Decimal for as
 * long as that holds the value, and 1024 bits with a decimal scale from then
 * on.  Nothing is rounded but by bj_exact_divide(), whose caller names the
 * mode.
 *
 * BJ_OUT_OF_RANGE says that even 1024 bits do not do.  A result is written
 * only with BJ_OK, and may be one of the operands.
 */
#ifndef BILLADJ_CORE_EXACT_H
#define BILLADJ_CORE_EXACT_H

#include "core/decimal.h"

#define BJ_EXACT_LIMBS 16

typedef struct Exact
{
	bool		wide;			/* false: the value is small */
	Decimal		small;
	bool		negative;		/* of a wide value, as are the rest */
	int32_t		scale;
	uint64_t	limb[BJ_EXACT_LIMBS];	/* the least first */
} Exact;

/*
 * a * b / c, as bj_decimal_multiply_divide(): exact when the quotient has a
 * finite decimal expansion, else rounded at scale decimals, half to even.
 */
extern BjStatus bj_exact_multiply_divide(const Exact *a, Decimal b, Decimal c,
										 int32_t scale, Exact *result);

/* a / b to a whole number; rounding is BJ_ROUND_UP or BJ_ROUND_DOWN. */
extern BjStatus bj_exact_divide_whole(const Exact *a, Decimal b,
									  Rounding rounding, Exact *quotient);

/* The second half of the functions below, for what a Decimal cannot do. */
extern int	bj_exact_sign_wide(const Exact *a);
extern BjStatus bj_exact_add_wide(const Exact *a, const Exact *b, Exact *sum);
extern BjStatus bj_exact_subtract_wide(const Exact *a, const Exact *b,
									   Exact *difference);
extern BjStatus bj_exact_multiply_wide(const Exact *a, Decimal b,
									   Exact *product);
extern BjStatus bj_exact_compare_wide(const Exact *a, Decimal b, int *order);
extern BjStatus bj_exact_get_wide(const Exact *a, Decimal *value);

static inline void
bj_exact_set(Exact *a, Decimal value)
{
	a->wide = false;
	a->small = value;
}

/* Assignment, without the limbs that a short value does not use. */
static inline void
bj_exact_copy(Exact *a, const Exact *value)
{
	if (value->wide)
		*a = *value;
	else
		bj_exact_set(a, value->small);
}

static inline void
bj_exact_negate(Exact *a)
{
	if (a->wide)
		a->negative = !a->negative;
	else
		a->small.coefficient = -a->small.coefficient;
}

static inline int
bj_exact_sign(const Exact *a)
{
	if (a->wide)
		return bj_exact_sign_wide(a);
	return (a->small.coefficient > 0) - (a->small.coefficient < 0);
}

static inline BjStatus
bj_exact_add(const Exact *a, const Exact *b, Exact *sum)
{
	Decimal		small;

	if (a->wide || b->wide)
		return bj_exact_add_wide(a, b, sum);

	/* Most tiers add nothing, and that shall cost nothing. */
	if (b->small.coefficient == 0)
		small = a->small;
	else if (a->small.coefficient == 0)
		small = b->small;
	else if (bj_decimal_add(a->small, b->small, &small) != BJ_OK)
		return bj_exact_add_wide(a, b, sum);
	bj_exact_set(sum, small);
	return BJ_OK;
}

static inline BjStatus
bj_exact_subtract(const Exact *a, const Exact *b, Exact *difference)
{
	Decimal		small;

	if (a->wide || b->wide)
		return bj_exact_subtract_wide(a, b, difference);

	if (b->small.coefficient == 0)
		small = a->small;
	else if (bj_decimal_subtract(a->small, b->small, &small) != BJ_OK)
		return bj_exact_subtract_wide(a, b, difference);
	bj_exact_set(difference, small);
	return BJ_OK;
}

static inline BjStatus
bj_exact_multiply(const Exact *a, Decimal b, Exact *product)
{
	Decimal		small;

	if (a->wide || bj_decimal_multiply(a->small, b, &small) != BJ_OK)
		return bj_exact_multiply_wide(a, b, product);
	bj_exact_set(product, small);
	return BJ_OK;
}

/* *order: -1, 0 or 1 */
static inline BjStatus
bj_exact_compare(const Exact *a, Decimal b, int *order)
{
	if (a->wide)
		return bj_exact_compare_wide(a, b, order);
	*order = bj_decimal_compare(a->small, b);
	return BJ_OK;
}

/* The value as a Decimal; BJ_OUT_OF_RANGE when it has more than 38 digits. */
static inline BjStatus
bj_exact_get(const Exact *a, Decimal *value)
{
	if (a->wide)
		return bj_exact_get_wide(a, value);
	*value = a->small;
	return BJ_OK;
}

#endif							/* BILLADJ_CORE_EXACT_H */
