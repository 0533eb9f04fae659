/*
 * fuzz_exact.c
 *	  Wide arithmetic against the Decimal's own, where both can do it; and its
 *	  way back where only the wide one can.
 */
#include "core/exact.h"
#include "bytes.h"

/* a, in the wide form that its value does not need */
static Exact
widened(Decimal a)
{
	Exact		zero;
	Exact		wide;

	bj_exact_set(&zero, BJ_DECIMAL_ZERO);
	bj_exact_set(&wide, a);
	must(bj_exact_add_wide(&wide, &zero, &wide) == BJ_OK && wide.wide);
	return wide;
}

/* status and value are what the Decimal said */
static void
must_equal(const Exact *wide, BjStatus status, Decimal value)
{
	Decimal		back;
	BjStatus	back_status = bj_exact_get(wide, &back);

	if (status != BJ_OK)
		return;
	must(back_status == BJ_OK);
	must(bj_decimal_compare(back, value) == 0);
}

static void
check_operations(Decimal a, Decimal b)
{
	Exact		x = widened(a);
	Exact		y = widened(b);
	Exact		result;
	Decimal		value = BJ_DECIMAL_ZERO;
	BjStatus	status;
	int			order;

	status = bj_decimal_add(a, b, &value);
	if (bj_exact_add(&x, &y, &result) == BJ_OK)
		must_equal(&result, status, value);
	else
		must(status != BJ_OK);
	status = bj_decimal_subtract(a, b, &value);
	if (bj_exact_subtract(&x, &y, &result) == BJ_OK)
		must_equal(&result, status, value);
	else
		must(status != BJ_OK);
	status = bj_decimal_multiply(a, b, &value);
	must(bj_exact_multiply(&x, b, &result) == BJ_OK);
	must_equal(&result, status, value);
	if (bj_exact_compare(&x, b, &order) == BJ_OK)
		must(order == bj_decimal_compare(a, b));
}

static void
check_divisions(Decimal a, Decimal b, Decimal c, int32_t scale)
{
	Exact		x = widened(a);
	Exact		result;
	Decimal		value = BJ_DECIMAL_ZERO;
	BjStatus	status;

	if (c.coefficient == 0)
		return;
	status = bj_decimal_multiply_divide(a, b, c, scale, BJ_ROUND_HALF_EVEN,
										&value);
	if (bj_exact_multiply_divide(&x, b, c, scale, &result) == BJ_OK)
		must_equal(&result, status, value);
	status = bj_decimal_divide(a, c, 0, BJ_ROUND_UP, &value);
	if (bj_exact_divide_whole(&x, c, BJ_ROUND_UP, &result) == BJ_OK)
		must_equal(&result, status, value);
	status = bj_decimal_divide(a, c, 0, BJ_ROUND_DOWN, &value);
	if (bj_exact_divide_whole(&x, c, BJ_ROUND_DOWN, &result) == BJ_OK)
		must_equal(&result, status, value);
}

/* a * b + c - a * b is c, however long a * b is */
static void
check_way_back(Decimal a, Decimal b, Decimal c)
{
	Exact		product;
	Exact		addend;
	Exact		sum;
	Decimal		back;

	bj_exact_set(&sum, a);
	bj_exact_set(&addend, c);
	must(bj_exact_multiply(&sum, b, &product) == BJ_OK);
	if (bj_exact_add(&product, &addend, &sum) != BJ_OK)
		return;
	must(bj_exact_subtract(&sum, &product, &sum) == BJ_OK);
	must(bj_exact_get(&sum, &back) == BJ_OK);
	must(bj_decimal_compare(back, c) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Bytes		bytes = bytes_of(data, size);
	Decimal		a = take_decimal(&bytes);
	Decimal		b = take_decimal(&bytes);
	Decimal		c = take_decimal(&bytes);

	check_operations(a, b);
	check_divisions(a, b, c, take_int(&bytes, 0, 30));
	check_way_back(a, b, c);
	return 0;
}
