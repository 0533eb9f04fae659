/*
 * fuzz_allocate.c
 *	  Divided amounts: they sum, nobody gets a unit too much, and the units that
 *	  are left over go where a plain selection sends them.
 */
#include "core/allocate.h"
#include "big.h"
#include "bytes.h"

#define PARTS_MAX 12

/* part * sum - units * weight, as a sign; *distance is its magnitude */
static int
gain(Int128 part, Int128 units, Int128 weight, Int128 sum, Big *distance)
{
	static Big	left;
	static Big	right;
	static Big	a;
	static Big	b;
	int			order;

	big_of(&a, part);
	big_of(&b, sum);
	big_multiply(&a, &b, &left);
	big_of(&a, units);
	big_of(&b, weight);
	big_multiply(&a, &b, &right);
	order = big_compare(&left, &right);
	*distance = order < 0 ? right : left;
	big_subtract(distance, order < 0 ? &left : &right);
	return order;
}

/*
 * Whoever got a unit lost no less without it than any who got none, and the
 * lower index wins.  weights are whole numbers here.
 */
static void
judge_parts(Int128 units, const Decimal *weights, int n, Int128 sum,
			const Decimal *parts)
{
	static Big	distance[PARTS_MAX];
	static Big	whole;
	int			sign[PARTS_MAX];

	big_of(&whole, sum);
	for (int i = 0; i < n; i++)
	{
		sign[i] = gain(parts[i].coefficient, units, weights[i].coefficient, sum,
					   &distance[i]);
		must(big_compare(&distance[i], &whole) < 0);
		must(weights[i].coefficient != 0 || parts[i].coefficient == 0);
		must(units >= 0 ? parts[i].coefficient >= 0 : parts[i].coefficient <= 0);
	}
	for (int i = 0; i < n; i++)
	{
		for (int j = 0; sign[i] > 0 && j < n; j++)
		{
			static Big	both;

			if (sign[j] > 0)
				continue;

			/* loss of i = sum - distance, loss of j = distance */
			both = distance[i];
			big_add(&both, &distance[j]);
			must(big_compare(&both, &whole) <= 0);
			must(big_compare(&both, &whole) < 0 || i < j);
		}
	}
}

static void
fuzz_allocate(Bytes *bytes)
{
	Decimal		weights[PARTS_MAX];
	Decimal		parts[PARTS_MAX];
	Decimal		mirrored[PARTS_MAX];
	AllocateWork work[PARTS_MAX];
	Int128		sum = 0;
	Int128		total = 0;
	int			n = take_int(bytes, 0, PARTS_MAX);
	int			kind = take_int(bytes, 0, 3);
	int32_t		scale = take_int(bytes, 0, 6);
	Decimal		amount = {take_coefficient(bytes), scale};
	bool		any = false;
	bool		negative = false;

	for (int i = 0; i < n; i++)
	{
		Int128		weight = kind == 0 ? take_int(bytes, 0, 3) :
			kind == 1 ? (Int128) take_64(bytes) :
			kind == 2 ? take_coefficient(bytes) / PARTS_MAX :
			take_int(bytes, -1, 20);

		if (kind == 2 && weight < 0)
			weight = -weight;
		negative |= weight < 0;
		any |= weight > 0;
		weights[i] = (Decimal) {weight, 3};
		sum += weight;
	}
	if (!any || negative)
	{
		must(bj_allocate(amount, weights, n, scale, work, parts) ==
			 BJ_BAD_WEIGHTS);
		return;
	}
	must(bj_allocate(amount, weights, n, scale, work, parts) == BJ_OK);
	must(bj_allocate(bj_decimal_negate(amount), weights, n, scale, work,
					 mirrored) == BJ_OK);
	for (int i = 0; i < n; i++)
	{
		must(parts[i].scale == scale);
		must(parts[i].coefficient == -mirrored[i].coefficient);
		total += parts[i].coefficient;
	}
	must(total == amount.coefficient);
	judge_parts(amount.coefficient, weights, n, sum, parts);

	/* one decimal less holds only multiples of ten */
	must((bj_allocate(amount, weights, n, scale - 1, work, parts) == BJ_OK) ==
		 (amount.coefficient % 10 == 0));
}

/* Small whole numbers, so that plain arithmetic is the judge. */
static void
fuzz_share(Bytes *bytes)
{
	Decimal		exact[PARTS_MAX];
	Decimal		mirrored[PARTS_MAX];
	Decimal		parts[PARTS_MAX];
	Decimal		negated[PARTS_MAX];
	Decimal		total;
	Decimal		expected;
	int			n = take_int(bytes, 1, PARTS_MAX);
	int			step = take_int(bytes, 1, 60);
	Rounding	mode = (Rounding) take_int(bytes, 1, 5);
	int64_t		sum = 0;
	int64_t		shared = 0;

	for (int i = 0; i < n; i++)
	{
		exact[i] = (Decimal) {take_int(bytes, -300, 300), 3};
		mirrored[i] = bj_decimal_negate(exact[i]);
		sum += (int64_t) exact[i].coefficient;
	}
	must(bj_share_residual(exact, n, (Decimal) {step, 3}, mode, parts,
						   &total) == BJ_OK);
	must(bj_decimal_round_step((Decimal) {sum, 3}, (Decimal) {step, 3}, mode,
							   &expected) == BJ_OK);
	must(bj_decimal_compare(total, expected) == 0);
	must(bj_share_residual(mirrored, n, (Decimal) {step, 3}, mode, negated,
						   &expected) == BJ_OK);
	must(bj_decimal_compare(total, bj_decimal_negate(expected)) == 0);

	for (int i = 0; i < n; i++)
	{
		Decimal		part;

		must(bj_decimal_round(parts[i], 3, BJ_ROUND_NEVER, &part) == BJ_OK);
		must(part.coefficient % step == 0);
		must(part.coefficient - exact[i].coefficient < step);
		must(exact[i].coefficient - part.coefficient < step);
		must(bj_decimal_compare(parts[i], bj_decimal_negate(negated[i])) == 0);
		shared += (int64_t) part.coefficient;
	}
	must(bj_decimal_compare(total, (Decimal) {shared, 3}) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Bytes		bytes = bytes_of(data, size);

	if (take_byte(&bytes) & 1)
		fuzz_allocate(&bytes);
	else
		fuzz_share(&bytes);
	return 0;
}
