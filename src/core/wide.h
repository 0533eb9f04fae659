/*
 * wide.h
 *	  Unsigned integers of 256 bits, for what lies between two Decimals.
 *
 * A product of two coefficients has 76 digits; every number of 76 digits fits.
 * Nothing here checks for a wrap: where a caller cannot know that the result
 * fits, it looks at bj_wide_digits() first.
 */
#ifndef BILLADJ_CORE_WIDE_H
#define BILLADJ_CORE_WIDE_H

#include "core/decimal.h"

typedef struct Wide
{
	UInt128		high;
	UInt128		low;
} Wide;

/* any number of so many decimal digits fits, whatever its digits */
#define BJ_WIDE_DIGITS 76
#define BJ_DECIMAL_DIGITS 38

/* 10^0 .. 10^38 */
extern const UInt128 bj_power_of_ten[BJ_DECIMAL_DIGITS + 1];

/* How many decimal digits; none for 0.  A Wide is below 3 * 10^76 here. */
extern int	bj_magnitude_digits(UInt128 a);
extern int	bj_wide_digits(Wide a);

extern int	bj_wide_compare(Wide a, Wide b);
extern Wide bj_wide_add(Wide a, Wide b);	/* wraps at 2^256 */
extern Wide bj_wide_subtract(Wide a, Wide b);	/* a >= b */
extern Wide bj_wide_multiply(UInt128 a, UInt128 b);
extern Wide bj_wide_scale(Wide a, UInt128 factor);	/* wraps at 2^256 */

/* Rounded down; divisor > 0. */
extern Wide bj_wide_divide(Wide a, UInt128 divisor, UInt128 *remainder);

static inline bool
bj_wide_is_zero(Wide a)
{
	return (a.high | a.low) == 0;
}

/* |a|; a is no less than -BJ_DECIMAL_MAX, so that it can be negated. */
static inline UInt128
bj_magnitude(Int128 a)
{
	return a < 0 ? (UInt128) -a : (UInt128) a;
}

#endif							/* BILLADJ_CORE_WIDE_H */
