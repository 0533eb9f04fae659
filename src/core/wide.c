/*
 * wide.c
 *	  Unsigned integers of 256 bits, for what lies between two Decimals.
 */
#include "core/wide.h"

#define E19 ((UInt128) 10000000000000000000ULL)

const UInt128 bj_power_of_ten[BJ_DECIMAL_DIGITS + 1] = {
	1ULL, 10ULL, 100ULL, 1000ULL, 10000ULL, 100000ULL, 1000000ULL,
	10000000ULL, 100000000ULL, 1000000000ULL, 10000000000ULL,
	100000000000ULL, 1000000000000ULL, 10000000000000ULL,
	100000000000000ULL, 1000000000000000ULL, 10000000000000000ULL,
	100000000000000000ULL, 1000000000000000000ULL,
	E19, E19 * 10ULL, E19 * 100ULL, E19 * 1000ULL, E19 * 10000ULL,
	E19 * 100000ULL, E19 * 1000000ULL, E19 * 10000000ULL,
	E19 * 100000000ULL, E19 * 1000000000ULL, E19 * 10000000000ULL,
	E19 * 100000000000ULL, E19 * 1000000000000ULL, E19 * 10000000000000ULL,
	E19 * 100000000000000ULL, E19 * 1000000000000000ULL,
	E19 * 10000000000000000ULL, E19 * 100000000000000000ULL,
	E19 * 1000000000000000000ULL, E19 * E19
};

/* a is not 0 */
static int
leading_zero_bits(UInt128 a)
{
	uint64_t	high = (uint64_t) (a >> 64);

	if (high != 0)
		return __builtin_clzll(high);
	return 64 + __builtin_clzll((uint64_t) a);
}

int
bj_magnitude_digits(UInt128 a)
{
	int			least;

	if (a == 0)
		return 0;

	/*
	 * 1233 / 4096 is log10(2) to four digits: b bits are least or least + 1
	 * decimal digits, for every b up to 128.
	 */
	least = ((128 - leading_zero_bits(a)) * 1233) >> 12;
	return least + (a >= bj_power_of_ten[least]);
}

int
bj_wide_digits(Wide a)
{
	UInt128		remainder;

	if (a.high == 0)
		return bj_magnitude_digits(a.low);

	a = bj_wide_divide(a, bj_power_of_ten[BJ_DECIMAL_DIGITS], &remainder);
	return BJ_DECIMAL_DIGITS + bj_magnitude_digits(a.low);
}

int
bj_wide_compare(Wide a, Wide b)
{
	if (a.high != b.high)
		return a.high < b.high ? -1 : 1;
	if (a.low != b.low)
		return a.low < b.low ? -1 : 1;
	return 0;
}

Wide
bj_wide_add(Wide a, Wide b)
{
	Wide		sum;

	sum.low = a.low + b.low;
	sum.high = a.high + b.high + (sum.low < a.low);
	return sum;
}

Wide
bj_wide_subtract(Wide a, Wide b)
{
	Wide		difference;

	difference.low = a.low - b.low;
	difference.high = a.high - b.high - (a.low < b.low);
	return difference;
}

Wide
bj_wide_multiply(UInt128 a, UInt128 b)
{
	uint64_t	a0 = (uint64_t) a;
	uint64_t	a1 = (uint64_t) (a >> 64);
	uint64_t	b0 = (uint64_t) b;
	uint64_t	b1 = (uint64_t) (b >> 64);
	UInt128		low = (UInt128) a0 * b0;
	UInt128		cross = (UInt128) a0 * b1;
	UInt128		middle;
	Wide		product;

	/*
	 * (2^64 - 1)^2 + 2 * (2^64 - 1) = 2^128 - 1: neither this sum nor the
	 * next one wraps.
	 */
	middle = (UInt128) a1 * b0 + (low >> 64) + (uint64_t) cross;
	product.low = (middle << 64) | (uint64_t) low;
	product.high = (UInt128) a1 * b1 + (middle >> 64) + (cross >> 64);
	return product;
}

Wide
bj_wide_scale(Wide a, UInt128 factor)
{
	Wide		product = bj_wide_multiply(a.low, factor);

	product.high += a.high * factor;
	return product;
}

/* Long division by a divisor of one 64-bit limb. */
static Wide
divide_by_limb(Wide a, uint64_t divisor, UInt128 *remainder)
{
	UInt128		part;
	Wide		quotient;

	quotient.high = a.high / divisor;
	part = ((a.high % divisor) << 64) | (a.low >> 64);
	quotient.low = (part / divisor) << 64;
	part = ((part % divisor) << 64) | (uint64_t) a.low;
	quotient.low |= part / divisor;
	*remainder = part % divisor;
	return quotient;
}

/*
 * One step of long division, Knuth's algorithm D for a divisor of two limbs:
 * the limb of the quotient of (rest, next) by divisor, where rest < divisor and
 * the divisor's highest bit is set.  rest becomes the remainder.
 */
static uint64_t
divide_step(UInt128 *rest, uint64_t next, UInt128 divisor)
{
	uint64_t	d1 = (uint64_t) (divisor >> 64);
	uint64_t	d0 = (uint64_t) divisor;
	UInt128		limb = *rest / d1;
	UInt128		over = *rest % d1;

	/*
	 * The estimate from the high limbs is at most two too large; as rest <
	 * divisor it is 2^64 + 1 at most, and times d0 does not wrap.
	 */
	while (over <= UINT64_MAX && limb * d0 > ((over << 64) | next))
	{
		limb--;
		over += d1;
	}

	/* The true remainder is below 2^128: wrapping on the way is harmless. */
	*rest = ((*rest << 64) | next) - limb * divisor;
	return (uint64_t) limb;
}

Wide
bj_wide_divide(Wide a, UInt128 divisor, UInt128 *remainder)
{
	UInt128		rest;
	Wide		quotient;
	int			shift;

	if (a.high == 0)
	{
		if (a.low <= UINT64_MAX && divisor <= UINT64_MAX)
		{
			*remainder = (uint64_t) a.low % (uint64_t) divisor;
			return (Wide) {0, (uint64_t) a.low / (uint64_t) divisor};
		}
		*remainder = a.low % divisor;
		return (Wide) {0, a.low / divisor};
	}
	if (divisor <= UINT64_MAX)
		return divide_by_limb(a, (uint64_t) divisor, remainder);

	quotient.high = a.high / divisor;
	rest = a.high % divisor;

	/*
	 * rest < divisor, so that rest's bits above the shift are no more than
	 * the divisor has: nothing is shifted out.
	 */
	shift = leading_zero_bits(divisor);
	divisor <<= shift;
	if (shift > 0)
	{
		rest = (rest << shift) | (a.low >> (128 - shift));
		a.low <<= shift;
	}
	quotient.low = (UInt128) divide_step(&rest, (uint64_t) (a.low >> 64),
										 divisor) << 64;
	quotient.low |= divide_step(&rest, (uint64_t) a.low, divisor);
	*remainder = rest >> shift;
	return quotient;
}
