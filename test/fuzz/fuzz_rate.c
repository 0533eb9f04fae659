/*
 * fuzz_rate.c
 *	  Charges telescope, their steps sum to them, and no quantity is without a
 *	  price.
 */
#include "core/rate.h"
#include "bytes.h"
#include "prices.h"

static void
check_steps(const Price *price, Position before, Position after,
			Decimal amount)
{
	RateStep	steps[MAX_TIERS];
	int32_t		nsteps = 0;
	Decimal		sum = BJ_DECIMAL_ZERO;

	must(bj_rate_steps(price, before, after, steps, MAX_TIERS, &nsteps) ==
		 BJ_OK);
	must(nsteps >= 1);
	for (int i = 0; i < nsteps; i++)
	{
		must(i == 0 || steps[i].tier > steps[i - 1].tier);
		must(bj_decimal_add(sum, steps[i].amount, &sum) == BJ_OK);
	}
	must(bj_decimal_compare(sum, amount) == 0);
	must(bj_rate_steps(price, before, after, steps, nsteps - 1, &nsteps) ==
		 BJ_TOO_MANY_STEPS);
}

/* All numbers are short: nothing may be refused. */
static void
check_short(Bytes *bytes)
{
	Price		price;
	PriceTier	tiers[MAX_TIERS];
	Position	a = {true, BJ_DECIMAL_ZERO};
	Position	b = {true, BJ_DECIMAL_ZERO};
	Decimal		quantity;
	Decimal		f_a;
	Decimal		f_b;
	Decimal		charge;
	Decimal		sum;

	take_price(bytes, true, &price, tiers);
	a.quantity = take_quantity(bytes, &price);
	b.quantity = take_quantity(bytes, &price);
	must(bj_rate_at(&price, a, &f_a) == BJ_OK);
	must(bj_rate_at(&price, b, &f_b) == BJ_OK);
	must(bj_rate_between(&price, a, b, &charge) == BJ_OK);
	must(bj_decimal_add(f_a, charge, &sum) == BJ_OK);
	must(bj_decimal_compare(sum, f_b) == 0);
	check_steps(&price, a, b, charge);
	check_steps(&price, BJ_NOT_CHARGED, b, f_b);

	must(bj_decimal_subtract(b.quantity, a.quantity, &quantity) == BJ_OK);
	if (price.negative == BJ_NEGATIVE_CREDIT ||
		price.negative == BJ_NEGATIVE_CARRY || bj_decimal_sign(quantity) >= 0)
	{
		must(bj_rate(&price, a, quantity, &sum) == BJ_OK);
		must(bj_decimal_compare(sum, charge) == 0);
	}
	else
		must((bj_rate(&price, a, quantity, &sum) == BJ_NEGATIVE_QUANTITY) ==
			 (price.negative == BJ_NEGATIVE_REJECT));
}

/* Numbers of any length: refused or right, and never anything else. */
static void
check_long(Bytes *bytes)
{
	Price		price;
	PriceTier	tiers[MAX_TIERS];
	RateStep	steps[MAX_TIERS];
	int32_t		nsteps;
	Position	a = {true, BJ_DECIMAL_ZERO};
	Position	b = {true, BJ_DECIMAL_ZERO};
	Decimal		there;
	Decimal		back;
	BjStatus	status;

	take_price(bytes, false, &price, tiers);
	a.quantity = take_decimal(bytes);
	b.quantity = take_decimal(bytes);
	status = bj_rate_between(&price, a, b, &there);
	must(status == BJ_OK || status == BJ_OUT_OF_RANGE);
	must(bj_rate_between(&price, b, a, &back) == status);
	must(status != BJ_OK ||
		 bj_decimal_compare(there, bj_decimal_negate(back)) == 0);
	status = bj_rate_steps(&price, a, b, steps, MAX_TIERS, &nsteps);
	must(status == BJ_OK || status == BJ_OUT_OF_RANGE);
	status = bj_rate(&price, a, b.quantity, &there);
	must(status == BJ_OK || status == BJ_OUT_OF_RANGE ||
		 status == BJ_NEGATIVE_QUANTITY);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Bytes		bytes = bytes_of(data, size);

	if (take_byte(&bytes) & 1)
		check_short(&bytes);
	else
		check_long(&bytes);
	return 0;
}
