/*
 * fuzz_price.c
 *	  A price that passes the check rates every quantity; one that calls itself
 *	  linear is; and writing it as the amount of one unit changes nothing.
 */
#include "core/rate.h"
#include "bytes.h"
#include "prices.h"

static void
check_linear(Bytes *bytes, const Price *price)
{
	Position	a = {true, BJ_DECIMAL_ZERO};
	Position	b = {true, BJ_DECIMAL_ZERO};
	Position	both = {true, BJ_DECIMAL_ZERO};
	Decimal		f_a;
	Decimal		f_b;
	Decimal		f_both;

	if (!bj_price_is_linear(price))
		return;
	a.quantity = take_quantity(bytes, price);
	b.quantity = take_quantity(bytes, price);

	/* Rows below zero never get as far as f under clamp and reject. */
	if (price->negative != BJ_NEGATIVE_CREDIT &&
		(bj_decimal_sign(a.quantity) < 0 || bj_decimal_sign(b.quantity) < 0))
		return;
	must(bj_decimal_add(a.quantity, b.quantity, &both.quantity) == BJ_OK);
	if (bj_rate_at(price, a, &f_a) != BJ_OK ||
		bj_rate_at(price, b, &f_b) != BJ_OK ||
		bj_rate_at(price, both, &f_both) != BJ_OK)
		return;
	must(bj_decimal_add(f_a, f_b, &f_a) == BJ_OK);
	must(bj_decimal_compare(f_a, f_both) == 0);
}

static void
check_simplified(Bytes *bytes, const Price *price)
{
	Price		simple = *price;
	Position	at = {true, take_quantity(bytes, price)};
	Decimal		f;
	Decimal		simple_f;

	bj_price_simplify(&simple);
	must(bj_price_is_linear(&simple) == bj_price_is_linear(price));
	if (bj_rate_at(price, at, &f) == BJ_OK)
	{
		must(bj_rate_at(&simple, at, &simple_f) == BJ_OK);
		must(bj_decimal_compare(f, simple_f) == 0);
	}
}

static void
check_any(Bytes *bytes)
{
	Price		price;
	PriceTier	tiers[MAX_TIERS];
	PriceFault	fault = {0};
	Position	at = {true, take_decimal(bytes)};
	Decimal		f;
	BjStatus	status;

	take_any_price(bytes, &price, tiers);
	if (!bj_price_check(&price, &fault))
	{
		must(fault.key != NULL && fault.problem != NULL);
		must(fault.tier >= -1 && fault.tier < price.ntiers);
		return;
	}
	must(price.stage != BJ_STAGE_ROW || bj_price_is_linear(&price));
	status = bj_rate_at(&price, at, &f);
	must(status == BJ_OK || status == BJ_OUT_OF_RANGE);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Bytes		bytes = bytes_of(data, size);
	Price		price;
	PriceTier	tiers[MAX_TIERS];

	check_any(&bytes);
	take_price(&bytes, take_byte(&bytes) & 1, &price, tiers);
	check_linear(&bytes, &price);
	check_simplified(&bytes, &price);
	return 0;
}
