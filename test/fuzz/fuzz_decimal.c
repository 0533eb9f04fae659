/*
 * fuzz_decimal.c
 *	  Every operation on Decimals against arrays of digits.
 *
 * Judged are the status, the value, and that a failure writes nothing.
 */
#include "core/decimal.h"
#include "big.h"
#include "bytes.h"

/* A number of any length: sign, digits * 10^-scale. */
typedef struct Exact
{
	bool		negative;
	int			scale;
	Big			units;
} Exact;

static void
exact_of(Exact *a, Decimal b)
{
	a->negative = b.coefficient < 0;
	a->scale = b.scale;
	big_of(&a->units, b.coefficient);
}

/* more decimals, same value */
static void
exact_extend(Exact *a, int scale)
{
	big_shift(&a->units, scale - a->scale);
	a->scale = scale;
}

static void
exact_align(Exact *a, Exact *b)
{
	if (a->scale < b->scale)
		exact_extend(a, b->scale);
	else
		exact_extend(b, a->scale);
}

static bool
exact_equal(Exact a, Exact b)
{
	exact_align(&a, &b);
	return big_compare(&a.units, &b.units) == 0 &&
		(a.negative == b.negative || a.units.n == 0);
}

/* Does a fit a Decimal in any of its spellings? */
static bool
exact_fits(const Exact *a)
{
	int			zeros = 0;
	int			digits;
	int			scale;

	if (a->units.n == 0)
		return true;
	while (a->units.digit[zeros] == 0)
		zeros++;
	digits = a->units.n - zeros;
	scale = a->scale - zeros;
	if (digits > 38 || scale > BJ_MAX_SCALE)
		return false;
	return scale >= BJ_MIN_SCALE || digits + BJ_MIN_SCALE - scale <= 38;
}

#define UNTOUCHED ((Decimal) {424242, 42})

static void
judge(BjStatus status, Decimal found, const Exact *wanted)
{
	static Exact value;

	must(status == BJ_OK || status == BJ_OUT_OF_RANGE);
	must((status == BJ_OK) == exact_fits(wanted));
	if (status != BJ_OK)
	{
		must(found.coefficient == 424242 && found.scale == 42);
		return;
	}
	must(found.coefficient <= BJ_DECIMAL_MAX);
	must(found.coefficient >= -BJ_DECIMAL_MAX);
	must(found.scale >= BJ_MIN_SCALE && found.scale <= BJ_MAX_SCALE);
	exact_of(&value, found);
	must(exact_equal(value, *wanted));
}

/* a + b, into a */
static void
exact_add(Exact *a, Exact *b)
{
	exact_align(a, b);
	if (a->negative == b->negative)
		big_add(&a->units, &b->units);
	else if (big_compare(&a->units, &b->units) >= 0)
		big_subtract(&a->units, &b->units);
	else
	{
		big_subtract(&b->units, &a->units);
		*a = *b;
	}
}

static void
fuzz_exact(Decimal a, Decimal b)
{
	static Exact x;
	static Exact y;
	static Exact product;
	Decimal		found = UNTOUCHED;
	Decimal		again = UNTOUCHED;
	BjStatus	status;

	exact_of(&x, a);
	exact_of(&y, b);
	exact_add(&x, &y);
	status = bj_decimal_add(a, b, &found);
	judge(status, found, &x);
	must(bj_decimal_add(b, a, &again) == status);
	must(bj_decimal_compare(found, again) == 0);

	exact_of(&x, a);
	exact_of(&y, bj_decimal_negate(b));
	exact_add(&x, &y);
	found = UNTOUCHED;
	status = bj_decimal_subtract(a, b, &found);
	judge(status, found, &x);
	must(bj_decimal_compare(a, b) ==
		 (x.units.n == 0 ? 0 : x.negative ? -1 : 1));
	must(bj_decimal_compare(b, a) == -bj_decimal_compare(a, b));

	exact_of(&x, a);
	exact_of(&y, b);
	big_multiply(&x.units, &y.units, &product.units);
	product.scale = x.scale + y.scale;
	product.negative = x.negative != y.negative;
	found = UNTOUCHED;
	status = bj_decimal_multiply(a, b, &found);
	judge(status, found, &product);
}

/* does the mode go away from zero: below half, half and even, half and odd,
 * above half, for positive and for negative numbers? */
static const char *const away[] = {
	[BJ_ROUND_NEVER] = "........",
	[BJ_ROUND_HALF_UP] = ".xxx.xxx",
	[BJ_ROUND_HALF_EVEN] = "..xx..xx",
	[BJ_ROUND_HALF_DOWN] = "...x...x",
	[BJ_ROUND_UP] = "xxxxxxxx",
	[BJ_ROUND_DOWN] = "........",
	[BJ_ROUND_CEIL] = "xxxx....",
	[BJ_ROUND_FLOOR] = "....xxxx",
};

/*
 * n / d rounded to a whole number, both magnitudes; returns whether anything
 * was left over.
 */
static bool
round_ratio(bool negative, const Big *n, const Big *d, Rounding mode, Big *q)
{
	static Big	rest;
	static Big	twice;
	static Big	one;
	int			column;
	int			order;

	big_divide(n, d, q, &rest);
	if (rest.n == 0)
		return false;
	twice = rest;
	big_add(&twice, &rest);
	order = big_compare(&twice, d);
	column = order < 0 ? 0 : order > 0 ? 3 : 1 + (q->n > 0 && q->digit[0] % 2);
	big_set(&one, 1);
	if (away[mode][column + 4 * negative] == 'x')
		big_add(q, &one);
	return true;
}

/* a * b / c, rounded at scale where it has no end or exact is false */
static void
judge_ratio(Decimal a, Decimal b, Decimal c, int scale, Rounding mode,
			bool exact, BjStatus status, Decimal found)
{
	static Big	n;
	static Big	d;
	static Big	other;
	static Exact wanted;
	bool		inexact;
	int			places;

	big_of(&n, a.coefficient);
	big_of(&other, b.coefficient);
	big_multiply(&n, &other, &wanted.units);
	n = wanted.units;
	big_of(&d, c.coefficient);
	wanted.negative = (a.coefficient < 0) ^ (b.coefficient < 0) ^
		(c.coefficient < 0);

	/* 127 factors of two are more than a coefficient has */
	if (exact)
	{
		big_shift(&n, 127);
		big_divide(&n, &d, &wanted.units, &other);
		wanted.scale = a.scale + b.scale - c.scale + 127;
		if (other.n == 0)
		{
			judge(status, found, &wanted);
			return;
		}
		wanted.scale = scale;
	}

	wanted.scale = scale;
	places = scale - (a.scale + b.scale - c.scale) - (exact ? 127 : 0);
	big_shift(places >= 0 ? &n : &d, abs(places));
	inexact = round_ratio(wanted.negative, &n, &d, mode, &wanted.units);
	if (inexact && mode == BJ_ROUND_NEVER)
	{
		must(status == BJ_INEXACT || status == BJ_OUT_OF_RANGE);
		must(found.coefficient == 424242);
	}
	else
		judge(status, found, &wanted);
}

static void
fuzz_ratio(Decimal a, Decimal b, Decimal c, int scale, Rounding mode)
{
	static Big	n;
	static Big	d;
	static Big	rest;
	static Big	quotient;
	Decimal		found = UNTOUCHED;
	BjStatus	status;

	if (c.coefficient == 0)
	{
		must(bj_decimal_divide(a, c, scale, mode, &found) ==
			 BJ_DIVISION_BY_ZERO);
		must(bj_decimal_multiply_divide(a, b, c, scale, mode, &found) ==
			 BJ_DIVISION_BY_ZERO);
		return;
	}

	status = bj_decimal_divide(a, c, scale, mode, &found);
	judge_ratio(a, (Decimal) {1, 0}, c, scale, mode, false, status, found);
	found = UNTOUCHED;
	status = bj_decimal_multiply_divide(a, b, c, scale, mode, &found);
	judge_ratio(a, b, c, scale, mode, true, status, found);

	big_of(&n, a.coefficient);
	big_of(&d, c.coefficient);
	big_shift(&n, 127);
	big_divide(&n, &d, &quotient, &rest);
	must(bj_decimal_terminates(a, c) == (rest.n == 0));
}

static void
fuzz_round(Decimal a, Decimal step, int scale, Rounding mode)
{
	static Big	n;
	static Big	d;
	static Big	quotient;
	static Exact wanted;
	Decimal		found = UNTOUCHED;
	BjStatus	status;
	int			places;
	bool		inexact;

	status = bj_decimal_round(a, scale, mode, &found);
	judge_ratio(a, (Decimal) {1, 0}, (Decimal) {1, 0}, scale > a.scale ?
				a.scale : scale, mode, false, status, found);
	if (status == BJ_OK && found.scale != scale)
	{
		/* only where the zeros do not fit */
		static Exact value;

		exact_of(&value, found);
		must(scale > a.scale);
		exact_extend(&value, scale);
		must(value.units.n > 38);
	}

	found = UNTOUCHED;
	status = bj_decimal_round_step(a, step, mode, &found);
	if (step.coefficient <= 0)
	{
		must(status == BJ_BAD_STEP && found.coefficient == 424242);
		return;
	}
	big_of(&n, a.coefficient);
	big_of(&d, step.coefficient);
	places = step.scale - a.scale;
	big_shift(places >= 0 ? &n : &d, abs(places));
	wanted.negative = a.coefficient < 0;
	wanted.scale = step.scale;
	inexact = round_ratio(wanted.negative, &n, &d, mode, &quotient);
	big_of(&d, step.coefficient);
	big_multiply(&quotient, &d, &wanted.units);
	if (inexact && mode == BJ_ROUND_NEVER)
		must(status == BJ_INEXACT && found.coefficient == 424242);
	else
		judge(status, found, &wanted);
}

static void
fuzz_text(Decimal a, const uint8_t *data, size_t size)
{
	static char text[BJ_DECIMAL_TEXT_SIZE];
	Decimal		again;
	Decimal		stripped = bj_decimal_normalize(a);
	size_t		length = bj_decimal_format(a, text);

	must(length == strlen(text) && length < sizeof(text));
	must(bj_decimal_parse(text, length, &again) == BJ_OK);
	must(bj_decimal_compare(a, again) == 0);

	must(bj_decimal_compare(a, stripped) == 0);
	must(stripped.scale <= 0 || stripped.coefficient % 10 != 0);
	must((stripped.scale >= 0) == (a.scale >= 0 || a.coefficient == 0));

	/* whatever the bytes are, it does not read past them */
	if (bj_decimal_parse((const char *) data, size, &a) == BJ_OK)
	{
		length = bj_decimal_format(a, text);
		must(bj_decimal_parse(text, length, &again) == BJ_OK);
		must(bj_decimal_compare(a, again) == 0);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Bytes		bytes = bytes_of(data, size);
	int			what = take_int(&bytes, 0, 3);
	Rounding	mode = (Rounding) take_int(&bytes, 0, 7);
	Decimal		a = take_decimal(&bytes);
	Decimal		b = take_decimal(&bytes);
	Decimal		c = take_decimal(&bytes);
	int			scale = take_scale(&bytes);

	/* sums that nearly cancel, and ratios that nearly come out even */
	if (take_byte(&bytes) % 4 == 0)
		b.coefficient = -a.coefficient + take_int(&bytes, -3, 3);
	if (b.coefficient > BJ_DECIMAL_MAX || b.coefficient < -BJ_DECIMAL_MAX)
		b = a;
	if (take_byte(&bytes) % 4 == 0)
		c = b;
	else if (take_byte(&bytes) % 4 == 0)
		c.coefficient = take_int(&bytes, 0, 1000);

	switch (what)
	{
		case 0:
			fuzz_exact(a, b);
			break;
		case 1:
			fuzz_ratio(a, b, c, scale, mode);
			break;
		case 2:
			fuzz_round(a, c, scale, mode);
			break;
		default:
			fuzz_text(a, data, size);
			break;
	}
	return 0;
}
