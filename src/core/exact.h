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

extern void bj_exact_set(Exact *a, Decimal value);
extern void bj_exact_negate(Exact *a);
extern int	bj_exact_sign(const Exact *a);

extern BjStatus bj_exact_add(const Exact *a, const Exact *b, Exact *sum);
extern BjStatus bj_exact_subtract(const Exact *a, const Exact *b,
								  Exact *difference);
extern BjStatus bj_exact_multiply(const Exact *a, Decimal b, Exact *product);

/* *order: -1, 0 or 1 */
extern BjStatus bj_exact_compare(const Exact *a, Decimal b, int *order);

/*
 * a * b / c, as bj_decimal_multiply_divide(): exact when the quotient has a
 * finite decimal expansion, else rounded at scale decimals, half to even.
 */
extern BjStatus bj_exact_multiply_divide(const Exact *a, Decimal b, Decimal c,
										 int32_t scale, Exact *result);

/* a / b to a whole number; rounding is BJ_ROUND_UP or BJ_ROUND_DOWN. */
extern BjStatus bj_exact_divide_whole(const Exact *a, Decimal b,
									  Rounding rounding, Exact *quotient);

/* The value as a Decimal; BJ_OUT_OF_RANGE when it has more than 38 digits. */
extern BjStatus bj_exact_get(const Exact *a, Decimal *value);

#endif							/* BILLADJ_CORE_EXACT_H */
