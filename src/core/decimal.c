/*
 * decimal.c
 *	  Exact decimal numbers: a 128-bit coefficient and a decimal scale.
 *
 * Every operation tries 128 bits first, where nearly all money lives, and
 * repeats the work in 256 bits when that does not fit.  Loops are bounded by
 * digits, never by a scale: two scales may be 2000 apart.
 */
#include "core/decimal.h"

#include <string.h>

#include "core/wide.h"

/* What a division left over, as a part of one unit of the last place. */
typedef enum Tail
{
	TAIL_NONE,
	TAIL_BELOW_HALF,
	TAIL_HALF,
	TAIL_ABOVE_HALF
} Tail;

/* in the order of the enum */
static const char *const rounding_names[] = {
	"never", "half_up", "half_even", "half_down", "up", "down", "ceil", "floor"
};

#define ROUNDING_COUNT (sizeof(rounding_names) / sizeof(rounding_names[0]))

BjStatus
bj_rounding_parse(const char *name, Rounding *rounding)
{
	for (size_t i = 0; i < ROUNDING_COUNT; i++)
	{
		if (strcmp(name, rounding_names[i]) == 0)
		{
			*rounding = (Rounding) i;
			return BJ_OK;
		}
	}
	return BJ_BAD_ROUNDING;
}

const char *
bj_rounding_name(Rounding rounding)
{
	return rounding_names[rounding];
}

/*
 * The one place that decides about rounding: does the mode move the magnitude
 * one unit away from zero?
 */
static bool
rounds_away(bool negative, bool odd, Tail tail, Rounding rounding)
{
	if (tail == TAIL_NONE)
		return false;

	switch (rounding)
	{
		case BJ_ROUND_NEVER:
		case BJ_ROUND_DOWN:
			return false;
		case BJ_ROUND_HALF_UP:
			return tail >= TAIL_HALF;
		case BJ_ROUND_HALF_EVEN:
			return tail == TAIL_ABOVE_HALF || (tail == TAIL_HALF && odd);
		case BJ_ROUND_HALF_DOWN:
			return tail == TAIL_ABOVE_HALF;
		case BJ_ROUND_UP:
			return true;
		case BJ_ROUND_CEIL:
			return !negative;
		case BJ_ROUND_FLOOR:
			return negative;
	}
	return false;				/* not reached: the switch covers the enum */
}

/*
 * remainder / divisor as a tail.  lower is the tail below the remainder's own
 * last unit; where it is not TAIL_NONE the divisor must be even, or a
 * remainder just below half a divisor could not tell on which side it is.
 */
static Tail
tail_of(UInt128 remainder, UInt128 divisor, Tail lower)
{
	UInt128		twice = remainder * 2;	/* remainder < 10^38 */

	if (twice > divisor)
		return TAIL_ABOVE_HALF;
	if (twice == divisor)
		return lower == TAIL_NONE ? TAIL_HALF : TAIL_ABOVE_HALF;
	return remainder == 0 && lower == TAIL_NONE ? TAIL_NONE : TAIL_BELOW_HALF;
}

/* a mod 10, without a division of 128 bits: 2^64 mod 10 is 6. */
static unsigned
last_digit(UInt128 a)
{
	return ((unsigned) ((uint64_t) (a >> 64) % 10) * 6 +
			(unsigned) ((uint64_t) a % 10)) % 10;
}

/* Divides a, which is not 0, by ten as long as it can, at most limit times. */
static UInt128
strip_zeros(UInt128 a, int32_t limit, int32_t *stripped)
{
	int32_t		count = 0;

	while (count < limit && last_digit(a) == 0)
	{
		int32_t		left = limit - count;

		/* Two strides, as each is a division of 128 bits. */
		if (left >= 8 && a % 100000000 == 0)
		{
			a /= 100000000;
			count += 8;
		}
		else
		{
			a /= 10;
			count++;
		}
	}
	*stripped = count;
	return a;
}

/* Places are dropped and appended in strides of what the table of powers has. */
static int
at_most_38(int32_t places)
{
	return places < BJ_DECIMAL_DIGITS ? places : BJ_DECIMAL_DIGITS;
}

static Decimal
decimal_of(bool negative, UInt128 magnitude, int32_t scale)
{
	return (Decimal) {
		negative ? -(Int128) magnitude : (Int128) magnitude, scale
	};
}

/*
 * Makes a Decimal of magnitude * 10^-scale, where the scale may be out of
 * bounds and the magnitude too long, if zeros at its end make room.
 */
static BjStatus
settle(bool negative, Wide magnitude, int32_t scale, Decimal *result)
{
	int32_t		digits;
	int32_t		surplus;

	if (magnitude.high == 0 && magnitude.low <= (UInt128) BJ_DECIMAL_MAX &&
		scale >= BJ_MIN_SCALE && scale <= BJ_MAX_SCALE)
	{
		*result = decimal_of(negative, magnitude.low, scale);
		return BJ_OK;
	}
	if (bj_wide_is_zero(magnitude))
	{
		*result = BJ_DECIMAL_ZERO;
		return BJ_OK;
	}

	digits = bj_wide_digits(magnitude);
	surplus = digits - BJ_DECIMAL_DIGITS;
	if (surplus < scale - BJ_MAX_SCALE)
		surplus = scale - BJ_MAX_SCALE;
	while (surplus > 0)
	{
		int			count = at_most_38(surplus);
		UInt128		remainder;

		magnitude = bj_wide_divide(magnitude, bj_power_of_ten[count],
								   &remainder);
		if (remainder != 0)
			return BJ_OUT_OF_RANGE;
		digits -= count;
		scale -= count;
		surplus -= count;
	}

	if (scale < BJ_MIN_SCALE)
	{
		int32_t		missing = BJ_MIN_SCALE - scale;

		if (digits + missing > BJ_DECIMAL_DIGITS)
			return BJ_OUT_OF_RANGE;
		magnitude.low *= bj_power_of_ten[missing];
		scale = BJ_MIN_SCALE;
	}
	*result = decimal_of(negative, magnitude.low, scale);
	return BJ_OK;
}

/* What a 64-bit register holds, and the power of ten that fits one too. */
#define SHORT_PLACES 18

static inline bool
is_short(Int128 c)
{
	return c == (int64_t) c;
}

/* c * 10^places, if that is still a coefficient; places >= 0. */
static bool
extend(Int128 c, int32_t places, Int128 *extended)
{
	UInt128		magnitude;

	if (places == 0)
	{
		*extended = c;
		return true;
	}
	if (places <= SHORT_PLACES && is_short(c))
	{
		/* one multiplication; the product is below 2^63 * 10^18 */
		*extended = (Int128) (int64_t) c * (int64_t) bj_power_of_ten[places];
		return true;
	}
	if (places > BJ_DECIMAL_DIGITS ||
		__builtin_mul_overflow(bj_magnitude(c), bj_power_of_ten[places],
							   &magnitude) ||
		magnitude > (UInt128) BJ_DECIMAL_MAX)
		return false;
	*extended = c < 0 ? -(Int128) magnitude : (Int128) magnitude;
	return true;
}

int
bj_decimal_sign(Decimal a)
{
	return (a.coefficient > 0) - (a.coefficient < 0);
}

Decimal
bj_decimal_negate(Decimal a)
{
	a.coefficient = -a.coefficient;
	return a;
}

Decimal
bj_decimal_from_int64(int64_t value)
{
	return (Decimal) {value, 0};
}

/* |a| against |b|, neither of them zero. */
static int
compare_magnitudes(Decimal a, Decimal b)
{
	int32_t		places = a.scale - b.scale;
	Int128		extended;

	if (places < 0)
		return -compare_magnitudes(b, a);
	if (extend(b.coefficient, places, &extended))
	{
		UInt128		x = bj_magnitude(a.coefficient);
		UInt128		y = bj_magnitude(extended);

		return (x > y) - (x < y);
	}

	/* b stands places further left: from 38 on it is 10^38 of a's units. */
	if (places >= BJ_DECIMAL_DIGITS)
		return -1;
	return bj_wide_compare((Wide) {0, bj_magnitude(a.coefficient)},
						   bj_wide_multiply(bj_magnitude(b.coefficient),
											bj_power_of_ten[places]));
}

int
bj_decimal_compare(Decimal a, Decimal b)
{
	int			sign = bj_decimal_sign(a);

	if (a.scale == b.scale)
		return (a.coefficient > b.coefficient) -
			(a.coefficient < b.coefficient);
	if (sign != bj_decimal_sign(b))
		return sign < bj_decimal_sign(b) ? -1 : 1;
	if (sign == 0)
		return 0;
	return sign * compare_magnitudes(a, b);
}

Decimal
bj_decimal_normalize(Decimal a)
{
	int32_t		stripped;
	UInt128		magnitude;

	if (a.coefficient == 0)
		return BJ_DECIMAL_ZERO;
	if (a.scale <= 0)
		return a;
	magnitude = strip_zeros(bj_magnitude(a.coefficient), a.scale, &stripped);
	return decimal_of(a.coefficient < 0, magnitude, a.scale - stripped);
}

/* a + b by 256 bits, b the one with no fewer decimals, neither zero. */
static BjStatus
add_wide(Decimal a, Decimal b, Decimal *sum)
{
	bool		a_negative = a.coefficient < 0;
	bool		b_negative = b.coefficient < 0;
	Wide		a_units;
	Wide		b_units;

	/*
	 * With more than 38 places between them, and a last digit of b that is
	 * not 0, the sum has 39 digits or more and no zeros to give.
	 */
	if (b.scale - a.scale > BJ_DECIMAL_DIGITS)
	{
		int32_t		stripped;
		UInt128		magnitude = strip_zeros(bj_magnitude(b.coefficient),
											BJ_DECIMAL_DIGITS, &stripped);

		b = decimal_of(b_negative, magnitude, b.scale - stripped);
		if (b.scale - a.scale > BJ_DECIMAL_DIGITS)
			return BJ_OUT_OF_RANGE;
	}

	/* stripping may have moved b to the other side of a */
	if (b.scale < a.scale)
	{
		Decimal		other = a;

		a = b;
		b = other;
		a_negative = a.coefficient < 0;
		b_negative = b.coefficient < 0;
	}

	a_units = bj_wide_multiply(bj_magnitude(a.coefficient),
							   bj_power_of_ten[b.scale - a.scale]);
	b_units = (Wide) {0, bj_magnitude(b.coefficient)};
	if (a_negative == b_negative)
		return settle(a_negative, bj_wide_add(a_units, b_units), b.scale, sum);
	if (bj_wide_compare(a_units, b_units) >= 0)
		return settle(a_negative, bj_wide_subtract(a_units, b_units), b.scale,
					  sum);
	return settle(b_negative, bj_wide_subtract(b_units, a_units), b.scale,
				  sum);
}

BjStatus
bj_decimal_add(Decimal a, Decimal b, Decimal *sum)
{
	Int128		total;
	Int128		extended;

	if (a.scale > b.scale)
	{
		Decimal		other = a;

		a = b;
		b = other;
	}

	/* Two coefficients sum to less than 2 * 10^38, which may not fit. */
	if (extend(a.coefficient, b.scale - a.scale, &extended) &&
		!__builtin_add_overflow(extended, b.coefficient, &total) &&
		total <= BJ_DECIMAL_MAX && total >= -BJ_DECIMAL_MAX)
	{
		*sum = (Decimal) {total, b.scale};
		return BJ_OK;
	}

	if (a.coefficient == 0)
		*sum = b;
	else if (b.coefficient == 0)
		*sum = a;
	else
		return add_wide(a, b, sum);
	return BJ_OK;
}

BjStatus
bj_decimal_subtract(Decimal a, Decimal b, Decimal *difference)
{
	return bj_decimal_add(a, bj_decimal_negate(b), difference);
}

BjStatus
bj_decimal_multiply(Decimal a, Decimal b, Decimal *product)
{
	int32_t		scale = a.scale + b.scale;

	/* the product is at most 2^126, so a coefficient */
	if (is_short(a.coefficient) && is_short(b.coefficient) &&
		scale >= 0 && scale <= BJ_MAX_SCALE)
	{
		*product = (Decimal) {(Int128) (int64_t) a.coefficient *
		(int64_t) b.coefficient, scale};
		return BJ_OK;
	}
	return settle((a.coefficient < 0) != (b.coefficient < 0),
				  bj_wide_multiply(bj_magnitude(a.coefficient),
								   bj_magnitude(b.coefficient)),
				  scale, product);
}

/*
 * Drops the last places of *a, which has the tail *tail, and leaves the tail of
 * what is dropped.
 */
static void
drop_places(Wide *a, int32_t places, Tail *tail)
{
	while (places > 0)
	{
		int			count = at_most_38(places);
		UInt128		remainder;

		/* Below 0.1, whatever comes next. */
		if (bj_wide_is_zero(*a))
		{
			if (*tail != TAIL_NONE)
				*tail = TAIL_BELOW_HALF;
			return;
		}
		*a = bj_wide_divide(*a, bj_power_of_ten[count], &remainder);
		*tail = tail_of(remainder, bj_power_of_ten[count], *tail);
		places -= count;
	}
}

/*
 * n / divisor * 10^places, rounded down, and its tail.  A division that comes
 * out even needs fewer places: *spare is how many it did not use.
 *
 * Returns false when the quotient has more than 76 digits and a tail.  Then its
 * rounded value has more than 38 digits too: with fewer, a nonzero multiple
 * of 10^places would be less than divisor, hence 10^places too, and n itself
 * would have more than 76 digits.
 */
static bool
divide_places(Wide n, UInt128 divisor, int32_t places, Wide *quotient,
			  int32_t *spare, Tail *tail)
{
	UInt128		remainder;

	*spare = 0;
	*quotient = bj_wide_divide(n, divisor, &remainder);
	if (places < 0)
	{
		*tail = tail_of(remainder, divisor, TAIL_NONE);
		drop_places(quotient, -places, tail);
		return true;
	}

	while (places > 0 && remainder != 0)
	{
		int			count = at_most_38(places);
		int			room = BJ_WIDE_DIGITS - bj_wide_digits(*quotient);
		Wide		next;

		if (count > room)
			count = room;
		if (count == 0)
			return false;
		next = bj_wide_multiply(remainder, bj_power_of_ten[count]);
		next = bj_wide_divide(next, divisor, &remainder);
		*quotient = bj_wide_scale(*quotient, bj_power_of_ten[count]);
		*quotient = bj_wide_add(*quotient, next);
		places -= count;
	}
	*spare = places;
	*tail = tail_of(remainder, divisor, TAIL_NONE);
	return true;
}

/* Rounds magnitude, which has the tail, and makes a Decimal of it. */
static BjStatus
settle_rounded(bool negative, Wide magnitude, Tail tail, int32_t scale,
			   Rounding rounding, Decimal *result)
{
	if (tail != TAIL_NONE && rounding == BJ_ROUND_NEVER)
		return BJ_INEXACT;
	if (rounds_away(negative, magnitude.low & 1, tail, rounding))
		magnitude = bj_wide_add(magnitude, (Wide) {0, 1});
	return settle(negative, magnitude, scale, result);
}

/* n * 10^-n_scale / divisor, rounded at scale decimals. */
static BjStatus
divide_rounded(bool negative, Wide n, int32_t n_scale, UInt128 divisor,
			   int32_t scale, Rounding rounding, Decimal *result)
{
	int32_t		places = scale - n_scale;
	UInt128		extended;
	Wide		quotient;
	int32_t		spare;
	Tail		tail;

	if (n.high == 0 && places >= 0 && places <= BJ_DECIMAL_DIGITS &&
		!__builtin_mul_overflow(n.low, bj_power_of_ten[places], &extended))
	{
		quotient = (Wide) {0, extended / divisor};
		tail = tail_of(extended - quotient.low * divisor, divisor, TAIL_NONE);
		spare = 0;
	}
	else if (!divide_places(n, divisor, places, &quotient, &spare, &tail))
		return BJ_OUT_OF_RANGE;
	return settle_rounded(negative, quotient, tail, scale - spare, rounding,
						  result);
}

static bool
scale_is_valid(int32_t scale)
{
	return scale >= BJ_MIN_SCALE && scale <= BJ_MAX_SCALE;
}

BjStatus
bj_decimal_divide(Decimal a, Decimal b, int32_t scale, Rounding rounding,
				  Decimal *quotient)
{
	if (b.coefficient == 0)
		return BJ_DIVISION_BY_ZERO;
	if (!scale_is_valid(scale))
		return BJ_BAD_SCALE;

	return divide_rounded((a.coefficient < 0) != (b.coefficient < 0),
						  (Wide) {0, bj_magnitude(a.coefficient)},
						  a.scale - b.scale, bj_magnitude(b.coefficient),
						  scale, rounding, quotient);
}

/* a is not 0 */
static int
trailing_zero_bits(UInt128 a)
{
	if ((uint64_t) a != 0)
		return __builtin_ctzll((uint64_t) a);
	return 64 + __builtin_ctzll((uint64_t) (a >> 64));
}

/*
 * The divisor without its factors 2 and 5.  *places: so many places make
 * n / divisor whole, if the rest divides n.
 */
static UInt128
split_divisor(UInt128 divisor, int32_t *places)
{
	int32_t		twos = trailing_zero_bits(divisor);
	int32_t		fives = 0;

	divisor >>= twos;
	while (last_digit(divisor) == 5)
	{
		divisor /= 5;
		fives++;
	}
	*places = twos > fives ? twos : fives;
	return divisor;
}

bool
bj_decimal_terminates(Decimal a, Decimal b)
{
	int32_t		places;

	return bj_magnitude(a.coefficient) %
		split_divisor(bj_magnitude(b.coefficient), &places) == 0;
}

BjStatus
bj_decimal_multiply_divide(Decimal a, Decimal b, Decimal c, int32_t scale,
						   Rounding rounding, Decimal *result)
{
	bool		negative = (a.coefficient < 0) ^ (b.coefficient < 0) ^
		(c.coefficient < 0);
	UInt128		divisor = bj_magnitude(c.coefficient);
	Wide		product = bj_wide_multiply(bj_magnitude(a.coefficient),
										   bj_magnitude(b.coefficient));
	int32_t		product_scale = a.scale + b.scale - c.scale;
	UInt128		rest;
	UInt128		remainder;
	int32_t		places;
	int32_t		spare;
	Wide		quotient;
	Tail		tail;

	if (divisor == 0)
		return BJ_DIVISION_BY_ZERO;
	if (!scale_is_valid(scale))
		return BJ_BAD_SCALE;

	/* Per 1, 1000 or a million: only the point moves. */
	places = trailing_zero_bits(divisor);
	if (places <= BJ_DECIMAL_DIGITS && divisor == bj_power_of_ten[places])
		return settle(negative, product, product_scale + places, result);

	rest = split_divisor(divisor, &places);
	(void) bj_wide_divide(product, rest, &remainder);
	if (remainder != 0)
		return divide_rounded(negative, product, product_scale, divisor,
							  scale, rounding, result);

	/* The division comes out even, unless it needs more than 76 digits. */
	if (!divide_places(product, divisor, places, &quotient, &spare, &tail))
		return BJ_OUT_OF_RANGE;
	if (settle(negative, quotient, product_scale + places - spare,
			   result) != BJ_OK)
		return BJ_OUT_OF_RANGE;
	*result = bj_decimal_normalize(*result);
	return BJ_OK;
}

BjStatus
bj_decimal_multiply_divide_round(Decimal a, Decimal b, Decimal c,
								 int32_t scale, Rounding rounding,
								 Decimal *result)
{
	if (c.coefficient == 0)
		return BJ_DIVISION_BY_ZERO;
	if (!scale_is_valid(scale))
		return BJ_BAD_SCALE;

	return divide_rounded((a.coefficient < 0) ^ (b.coefficient < 0) ^
						  (c.coefficient < 0),
						  bj_wide_multiply(bj_magnitude(a.coefficient),
										   bj_magnitude(b.coefficient)),
						  a.scale + b.scale - c.scale,
						  bj_magnitude(c.coefficient), scale, rounding,
						  result);
}

BjStatus
bj_decimal_round(Decimal a, int32_t scale, Rounding rounding, Decimal *result)
{
	Wide		magnitude = {0, bj_magnitude(a.coefficient)};
	Tail		tail = TAIL_NONE;
	Int128		extended;

	if (!scale_is_valid(scale))
		return BJ_BAD_SCALE;

	if (a.coefficient == 0)
		*result = (Decimal) {0, scale};
	else if (a.scale > scale)
	{
		drop_places(&magnitude, a.scale - scale, &tail);
		return settle_rounded(a.coefficient < 0, magnitude, tail, scale,
							  rounding, result);
	}
	else if (extend(a.coefficient, scale - a.scale, &extended))
		*result = (Decimal) {extended, scale};
	else
		*result = a;			/* too long with more zeros, but exact */
	return BJ_OK;
}

/*
 * a rounded to a finer step, one of no fewer decimals: a * 10^places /
 * step.  That quotient may be far too long, so only its remainder and its last
 * bit are computed; the result is a plus or minus less than a step.
 */
static BjStatus
round_to_finer_step(Decimal a, Decimal step, Rounding rounding,
					Decimal *result)
{
	UInt128		divisor = (UInt128) step.coefficient;
	int32_t		places = step.scale - a.scale;
	bool		negative = a.coefficient < 0;
	UInt128		remainder;
	Wide		part;
	Tail		tail;

	part = bj_wide_divide((Wide) {0, bj_magnitude(a.coefficient)}, divisor,
						  &remainder);
	while (places > 0 && remainder != 0)
	{
		int			count = at_most_38(places);

		part = bj_wide_divide(bj_wide_multiply(remainder,
											   bj_power_of_ten[count]),
							  divisor, &remainder);
		places -= count;
	}

	/*
	 * Of the quotient's parts only the last one has odd multiples: the others
	 * are shifted left by a power of ten.
	 */
	tail = tail_of(remainder, divisor, TAIL_NONE);
	if (tail != TAIL_NONE && rounding == BJ_ROUND_NEVER)
		return BJ_INEXACT;
	if (tail == TAIL_NONE)
	{
		*result = a;
		return BJ_OK;
	}
	if (rounds_away(negative, part.low & 1, tail, rounding))
		return bj_decimal_add(a, decimal_of(negative, divisor - remainder,
											step.scale), result);
	return bj_decimal_add(a, decimal_of(!negative, remainder, step.scale),
						  result);
}

BjStatus
bj_decimal_round_step(Decimal a, Decimal step, Rounding rounding,
					  Decimal *result)
{
	Wide		quotient;
	int32_t		spare;
	Tail		tail;

	if (step.coefficient <= 0)
		return BJ_BAD_STEP;
	if (step.coefficient == 1 || a.coefficient == 0)
		return bj_decimal_round(a, step.scale, rounding, result);
	if (step.scale >= a.scale)
		return round_to_finer_step(a, step, rounding, result);

	/* Not false: a quotient by fewer places has no more than 38 digits. */
	(void) divide_places((Wide) {0, bj_magnitude(a.coefficient)},
						 (UInt128) step.coefficient, step.scale - a.scale,
						 &quotient, &spare, &tail);
	if (tail != TAIL_NONE && rounding == BJ_ROUND_NEVER)
		return BJ_INEXACT;
	if (rounds_away(a.coefficient < 0, quotient.low & 1, tail, rounding))
		quotient.low++;
	return settle(a.coefficient < 0,
				  bj_wide_multiply(quotient.low, (UInt128) step.coefficient),
				  step.scale, result);
}
