/*
 * allocate.c
 *	  Dividing an amount into parts that sum to it.
 */
#include "core/allocate.h"
#include "core/wide.h"

/* Which of two parts comes first when a unit is left over? */
static bool
precedes(const AllocateWork *a, const AllocateWork *b)
{
	if (a->remainder != b->remainder)
		return a->remainder > b->remainder;
	return a->index < b->index;
}

/* Restores the heap below root, where the last one to precede is on top. */
static void
sift_down(AllocateWork *work, int32_t root, int32_t n)
{
	AllocateWork moved = work[root];

	for (;;)
	{
		int32_t		child = 2 * root + 1;

		if (child >= n)
			break;
		if (child + 1 < n && precedes(&work[child], &work[child + 1]))
			child++;
		if (!precedes(&moved, &work[child]))
			break;
		work[root] = work[child];
		root = child;
	}
	work[root] = moved;
}

/* A heap sort, as it needs neither memory nor recursion. */
static void
sort_work(AllocateWork *work, int32_t n)
{
	for (int32_t root = n / 2 - 1; root >= 0; root--)
		sift_down(work, root, n);
	for (int32_t last = n - 1; last > 0; last--)
	{
		AllocateWork other = work[0];

		work[0] = work[last];
		work[last] = other;
		sift_down(work, 0, last);
	}
}

/*
 * Checks the weights and finds the scale at which all of them are whole: that
 * of the sum would do, but zeros at an end may make it too long.
 */
static BjStatus
weights_scale(const Decimal *weights, int32_t n, int32_t *scale)
{
	bool		any = false;

	for (int32_t i = 0; i < n; i++)
	{
		Decimal		weight = bj_decimal_normalize(weights[i]);

		if (weight.coefficient < 0)
			return BJ_BAD_WEIGHTS;
		if (weight.coefficient == 0)
			continue;
		if (!any || weight.scale > *scale)
			*scale = weight.scale;
		any = true;
	}
	return any ? BJ_OK : BJ_BAD_WEIGHTS;
}

/* a in units of 10^-scale */
static BjStatus
whole_units(Decimal a, int32_t scale, UInt128 *units)
{
	BjStatus	status = bj_decimal_round(a, scale, BJ_ROUND_NEVER, &a);

	if (status != BJ_OK)
		return status;
	if (a.scale != scale)
		return BJ_OUT_OF_RANGE; /* it would have more than 38 digits */
	*units = bj_magnitude(a.coefficient);
	return BJ_OK;
}

/* The sum of the weights, each left in work as its units of 10^-scale. */
static BjStatus
sum_weights(const Decimal *weights, int32_t n, int32_t scale,
			AllocateWork *work, UInt128 *sum)
{
	*sum = 0;
	for (int32_t i = 0; i < n; i++)
	{
		BjStatus	status = whole_units(weights[i], scale, &work[i].remainder);

		if (status != BJ_OK)
			return status;
		work[i].index = i;
		*sum += work[i].remainder;
		if (*sum > (UInt128) BJ_DECIMAL_MAX)
			return BJ_OUT_OF_RANGE;
	}
	return BJ_OK;
}

BjStatus
bj_allocate(Decimal amount, const Decimal *weights, int32_t n, int32_t scale,
			AllocateWork *work, Decimal *parts)
{
	int32_t		unit_scale = 0;
	UInt128		units;
	UInt128		left;
	UInt128		sum;
	BjStatus	status;

	if ((status = weights_scale(weights, n, &unit_scale)) != BJ_OK ||
		(status = whole_units(amount, scale, &units)) != BJ_OK ||
		(status = sum_weights(weights, n, unit_scale, work, &sum)) != BJ_OK)
		return status;

	left = units;
	for (int32_t i = 0; i < n; i++)
	{
		Wide		part = bj_wide_multiply(units, work[i].remainder);

		/* A weight is at most the sum, hence a part at most units. */
		part = bj_wide_divide(part, sum, &work[i].remainder);
		left -= part.low;
		parts[i] = (Decimal) {(Int128) part.low, scale};
	}

	/*
	 * What is left is the sum of remainders over sum, each of them below one:
	 * fewer units than there are remainders above zero.
	 */
	if (left > 0)
		sort_work(work, n);
	for (int32_t i = 0; i < (int32_t) left; i++)
		parts[work[i].index].coefficient++;

	if (amount.coefficient < 0)
	{
		for (int32_t i = 0; i < n; i++)
			parts[i] = bj_decimal_negate(parts[i]);
	}
	return BJ_OK;
}

static Decimal
with_sign(Decimal a, bool negative)
{
	return negative ? bj_decimal_negate(a) : a;
}

/*
 * Gives a step to the part that is furthest below its exact amount.  After
 * that it is above, so that none gets two.
 */
static BjStatus
raise_one(const Decimal *exact, int32_t n, bool negative, Decimal step,
		  Decimal *parts)
{
	Decimal		most = BJ_DECIMAL_ZERO;
	int32_t		chosen = 0;
	BjStatus	status;

	for (int32_t i = 0; i < n; i++)
	{
		Decimal		lost;

		status = bj_decimal_subtract(with_sign(exact[i], negative), parts[i],
									 &lost);
		if (status != BJ_OK)
			return status;
		if (bj_decimal_compare(lost, most) > 0)
		{
			most = lost;
			chosen = i;
		}
	}
	return bj_decimal_add(parts[chosen], step, &parts[chosen]);
}

/*
 * The sum, and whether all is computed on the negated amounts: as the total
 * says, or where that is zero the first amount that is not.
 */
static BjStatus
sum_exact(const Decimal *exact, int32_t n, Decimal *sum, bool *negative)
{
	int			sign;

	*sum = BJ_DECIMAL_ZERO;
	for (int32_t i = 0; i < n; i++)
	{
		BjStatus	status = bj_decimal_add(*sum, exact[i], sum);

		if (status != BJ_OK)
			return status;
	}
	sign = bj_decimal_sign(*sum);
	for (int32_t i = 0; sign == 0 && i < n; i++)
		sign = bj_decimal_sign(exact[i]);
	*negative = sign < 0;
	return BJ_OK;
}

BjStatus
bj_share_residual(const Decimal *exact, int32_t n, Decimal step, Rounding mode,
				  Decimal *parts, Decimal *total)
{
	Decimal		left;
	bool		negative;
	BjStatus	status;

	if ((status = sum_exact(exact, n, &left, &negative)) != BJ_OK ||
		(status = bj_decimal_round_step(left, step, mode, total)) != BJ_OK)
		return status;

	left = with_sign(*total, negative);
	for (int32_t i = 0; i < n; i++)
	{
		status = bj_decimal_round_step(with_sign(exact[i], negative), step,
									   BJ_ROUND_FLOOR, &parts[i]);
		if (status == BJ_OK)
			status = bj_decimal_subtract(left, parts[i], &left);
		if (status != BJ_OK)
			return status;
	}

	/*
	 * The sum of what was cut off is at least the sum less its total: never
	 * more rounds than there are parts that lost something.
	 */
	while (bj_decimal_sign(left) > 0)
	{
		status = raise_one(exact, n, negative, step, parts);
		if (status == BJ_OK)
			status = bj_decimal_subtract(left, step, &left);
		if (status != BJ_OK)
			return status;
	}
	for (int32_t i = 0; i < n; i++)
		parts[i] = with_sign(parts[i], negative);
	return BJ_OK;
}
