/*
 * exact.c
 *	  Sums of products that are longer on the way than at their end.
 *
 * Every operation tries the Decimal first and falls back to plain school
 * arithmetic on 16 limbs when that says BJ_OUT_OF_RANGE.  The wide way is met
 * a few times in a million rows, so that it is written to be checked, not to
 * be fast: division goes bit by bit.
 */
#include "core/exact.h"

#include <string.h>

#define LIMBS BJ_EXACT_LIMBS
#define TEN_19 UINT64_C(10000000000000000000)

/*
 * The powers of 2 and 5 in a divisor below 10^38 have exponents up to 126 and
 * 54: a quotient by it that ends at all ends within so many more decimals.
 */
#define FINITE_DECIMALS 126

static bool
limbs_are_zero(const uint64_t *a)
{
	for (int i = 0; i < LIMBS; i++)
	{
		if (a[i] != 0)
			return false;
	}
	return true;
}

static int
limbs_compare(const uint64_t *a, const uint64_t *b)
{
	for (int i = LIMBS - 1; i >= 0; i--)
	{
		if (a[i] != b[i])
			return a[i] < b[i] ? -1 : 1;
	}
	return 0;
}

/* a += b; false when it does not fit */
static bool
limbs_add(uint64_t *a, const uint64_t *b)
{
	UInt128		carry = 0;

	for (int i = 0; i < LIMBS; i++)
	{
		carry += (UInt128) a[i] + b[i];
		a[i] = (uint64_t) carry;
		carry >>= 64;
	}
	return carry == 0;
}

/* a -= b, where a >= b */
static void
limbs_subtract(uint64_t *a, const uint64_t *b)
{
	uint64_t	borrow = 0;

	for (int i = 0; i < LIMBS; i++)
	{
		UInt128		take = (UInt128) b[i] + borrow;

		borrow = take > a[i];
		a[i] = (uint64_t) (a[i] - take);
	}
}

/* a *= factor; false when it does not fit */
static bool
limbs_multiply_by(uint64_t *a, uint64_t factor)
{
	UInt128		carry = 0;

	for (int i = 0; i < LIMBS; i++)
	{
		carry += (UInt128) a[i] * factor;
		a[i] = (uint64_t) carry;
		carry >>= 64;
	}
	return carry == 0;
}

/* a /= divisor; returns the remainder */
static uint64_t
limbs_divide_by(uint64_t *a, uint64_t divisor)
{
	UInt128		remainder = 0;

	for (int i = LIMBS - 1; i >= 0; i--)
	{
		remainder = remainder << 64 | a[i];
		a[i] = (uint64_t) (remainder / divisor);
		remainder %= divisor;
	}
	return (uint64_t) remainder;
}

/* a *= 10 ^ digits; false when it does not fit */
static bool
limbs_raise(uint64_t *a, int32_t digits)
{
	for (; digits >= 19; digits -= 19)
	{
		if (!limbs_multiply_by(a, TEN_19))
			return false;
	}
	for (; digits > 0; digits--)
	{
		if (!limbs_multiply_by(a, 10))
			return false;
	}
	return true;
}

/* product = a * b, of two limbs; false when it does not fit */
static bool
limbs_multiply(const uint64_t *a, UInt128 b, uint64_t *product)
{
	uint64_t	high[LIMBS];

	if (a[LIMBS - 1] != 0)
		return false;
	high[0] = 0;
	memcpy(high + 1, a, sizeof(high) - sizeof(high[0]));
	if (!limbs_multiply_by(high, (uint64_t) (b >> 64)))
		return false;
	memcpy(product, a, sizeof(high));
	return limbs_multiply_by(product, (uint64_t) b) &&
		limbs_add(product, high);
}

/* a /= divisor, remainder apart; divisor > 0 has its top bit clear */
static void
limbs_divide(uint64_t *a, const uint64_t *divisor, uint64_t *remainder)
{
	memset(remainder, 0, LIMBS * sizeof(uint64_t));
	for (int bit = LIMBS * 64 - 1; bit >= 0; bit--)
	{
		uint64_t	mask = UINT64_C(1) << (bit % 64);

		limbs_multiply_by(remainder, 2);
		remainder[0] |= (a[bit / 64] & mask) != 0;
		a[bit / 64] &= ~mask;
		if (limbs_compare(remainder, divisor) >= 0)
		{
			limbs_subtract(remainder, divisor);
			a[bit / 64] |= mask;
		}
	}
}

static void
limbs_set(uint64_t *a, UInt128 value)
{
	memset(a, 0, LIMBS * sizeof(uint64_t));
	a[0] = (uint64_t) value;
	a[1] = (uint64_t) (value >> 64);
}

static UInt128
magnitude(Decimal a)
{
	return a.coefficient < 0 ? -(UInt128) a.coefficient
		: (UInt128) a.coefficient;
}

/* The same value in the wide form. */
static void
widen(const Exact *a, Exact *wide)
{
	if (a->wide)
	{
		if (wide != a)
			*wide = *a;
		return;
	}
	wide->wide = true;
	wide->negative = a->small.coefficient < 0;
	wide->scale = a->small.scale;
	limbs_set(wide->limb, magnitude(a->small));
}

/* Zeros at the end take room that another scale may need. */
static void
strip(Exact *a)
{
	uint64_t	shorter[LIMBS];

	if (limbs_are_zero(a->limb))
	{
		a->negative = false;
		a->scale = 0;
		return;
	}
	for (;;)
	{
		memcpy(shorter, a->limb, sizeof(shorter));
		if (limbs_divide_by(shorter, 10) != 0)
			return;
		memcpy(a->limb, shorter, sizeof(shorter));
		a->scale--;
	}
}

static bool
align(Exact *a, Exact *b)
{
	strip(a);
	strip(b);
	if (a->scale < b->scale)
	{
		if (!limbs_raise(a->limb, b->scale - a->scale))
			return false;
		a->scale = b->scale;
	}
	else
	{
		if (!limbs_raise(b->limb, a->scale - b->scale))
			return false;
		b->scale = a->scale;
	}
	return true;
}

int
bj_exact_sign_wide(const Exact *a)
{
	if (limbs_are_zero(a->limb))
		return 0;
	return a->negative ? -1 : 1;
}

BjStatus
bj_exact_add_wide(const Exact *a, const Exact *b, Exact *sum)
{
	Exact		x;
	Exact		y;

	widen(a, &x);
	widen(b, &y);
	if (limbs_are_zero(x.limb) || limbs_are_zero(y.limb))
	{
		*sum = limbs_are_zero(y.limb) ? x : y;
		return BJ_OK;
	}
	if (!align(&x, &y))
		return BJ_OUT_OF_RANGE;
	if (x.negative == y.negative)
	{
		if (!limbs_add(x.limb, y.limb))
			return BJ_OUT_OF_RANGE;
		*sum = x;
		return BJ_OK;
	}
	if (limbs_compare(x.limb, y.limb) < 0)
	{
		limbs_subtract(y.limb, x.limb);
		*sum = y;
		return BJ_OK;
	}
	limbs_subtract(x.limb, y.limb);
	*sum = x;
	return BJ_OK;
}

BjStatus
bj_exact_subtract_wide(const Exact *a, const Exact *b, Exact *difference)
{
	Exact		negated;

	widen(b, &negated);
	bj_exact_negate(&negated);
	return bj_exact_add_wide(a, &negated, difference);
}

BjStatus
bj_exact_multiply_wide(const Exact *a, Decimal b, Exact *product)
{
	Exact		x;

	widen(a, &x);
	*product = x;
	if (!limbs_multiply(x.limb, magnitude(b), product->limb))
		return BJ_OUT_OF_RANGE;
	product->negative = x.negative != (b.coefficient < 0);
	product->scale = x.scale + b.scale;
	return BJ_OK;
}

BjStatus
bj_exact_compare_wide(const Exact *a, Decimal b, int *order)
{
	Exact		other;
	Exact		difference;
	BjStatus	status;

	bj_exact_set(&other, b);
	status = bj_exact_subtract(a, &other, &difference);
	if (status != BJ_OK)
		return status;
	*order = bj_exact_sign(&difference);
	return BJ_OK;
}

/* Makes a its exact quotient by b if that has an end. */
static bool
divide_finitely(Exact *a, Decimal b)
{
	uint64_t	quotient[LIMBS];
	uint64_t	divisor[LIMBS];
	uint64_t	remainder[LIMBS];

	memcpy(quotient, a->limb, sizeof(quotient));
	if (!limbs_raise(quotient, FINITE_DECIMALS))
		return false;
	limbs_set(divisor, magnitude(b));
	limbs_divide(quotient, divisor, remainder);
	if (!limbs_are_zero(remainder))
		return false;
	memcpy(a->limb, quotient, sizeof(quotient));
	a->scale += FINITE_DECIMALS - b.scale;
	strip(a);
	return true;
}

/*
 * Magnitude of a / b at scale decimals into a, which is wide and whose sign
 * stays.  Half to even (of what divide_finitely() refused), up or down: all
 * that is symmetric and in use.
 */
static BjStatus
divide_wide(Exact *a, Decimal b, int32_t scale, Rounding rounding)
{
	uint64_t	divisor[LIMBS];
	uint64_t	remainder[LIMBS];
	uint64_t	one[LIMBS];
	int32_t		raise = scale + b.scale - a->scale;
	bool		away;

	limbs_set(divisor, magnitude(b));
	if (!limbs_raise(raise >= 0 ? a->limb : divisor,
					 raise >= 0 ? raise : -raise) ||
		divisor[LIMBS - 1] >> 63 != 0)
		return BJ_OUT_OF_RANGE;
	limbs_divide(a->limb, divisor, remainder);
	a->scale = scale;

	if (rounding == BJ_ROUND_HALF_EVEN)
	{
		/* A tie would have an end, and is not rounded: see above. */
		limbs_subtract(divisor, remainder);
		away = limbs_compare(remainder, divisor) > 0;
	}
	else
		away = rounding == BJ_ROUND_UP && !limbs_are_zero(remainder);

	limbs_set(one, 1);
	if (away && !limbs_add(a->limb, one))
		return BJ_OUT_OF_RANGE;
	return BJ_OK;
}

BjStatus
bj_exact_multiply_divide(const Exact *a, Decimal b, Decimal c, int32_t scale,
						 Exact *result)
{
	Exact		x;
	BjStatus	status;

	if (c.coefficient == 0)
		return BJ_DIVISION_BY_ZERO;
	if (!a->wide)
	{
		Decimal		small;

		if (bj_decimal_multiply_divide(a->small, b, c, scale,
									   BJ_ROUND_HALF_EVEN, &small) == BJ_OK)
		{
			bj_exact_set(result, small);
			return BJ_OK;
		}
	}
	status = bj_exact_multiply(a, b, &x);
	if (status != BJ_OK)
		return status;
	widen(&x, &x);
	if (!divide_finitely(&x, c))
	{
		status = divide_wide(&x, c, scale, BJ_ROUND_HALF_EVEN);
		if (status != BJ_OK)
			return status;
	}
	x.negative = x.negative != (c.coefficient < 0);
	*result = x;
	return BJ_OK;
}

BjStatus
bj_exact_divide_whole(const Exact *a, Decimal b, Rounding rounding,
					  Exact *quotient)
{
	Exact		x;
	BjStatus	status;

	if (b.coefficient == 0)
		return BJ_DIVISION_BY_ZERO;
	if (!a->wide)
	{
		Decimal		small;

		if (bj_decimal_divide(a->small, b, 0, rounding, &small) == BJ_OK)
		{
			bj_exact_set(quotient, small);
			return BJ_OK;
		}
	}
	widen(a, &x);
	status = divide_wide(&x, b, 0, rounding);
	if (status != BJ_OK)
		return status;
	x.negative = x.negative != (b.coefficient < 0);
	*quotient = x;
	return BJ_OK;
}

BjStatus
bj_exact_get_wide(const Exact *a, Decimal *value)
{
	Exact		x;
	UInt128		coefficient;

	x = *a;
	strip(&x);
	if (x.scale < BJ_MIN_SCALE)
	{
		if (!limbs_raise(x.limb, BJ_MIN_SCALE - x.scale))
			return BJ_OUT_OF_RANGE;
		x.scale = BJ_MIN_SCALE;
	}
	for (int i = 2; i < LIMBS; i++)
	{
		if (x.limb[i] != 0)
			return BJ_OUT_OF_RANGE;
	}
	coefficient = (UInt128) x.limb[1] << 64 | x.limb[0];
	if (coefficient > (UInt128) BJ_DECIMAL_MAX ||
		x.scale > BJ_MAX_SCALE)
		return BJ_OUT_OF_RANGE;
	value->coefficient = x.negative ? -(Int128) coefficient
		: (Int128) coefficient;
	value->scale = x.scale;
	return BJ_OK;
}
