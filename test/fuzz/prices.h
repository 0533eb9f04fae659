/*
 * prices.h
 *	  From the fuzzer's bytes to prices.
 */
#ifndef BILLADJ_FUZZ_PRICES_H
#define BILLADJ_FUZZ_PRICES_H

#include "core/price.h"
#include "bytes.h"

#define MAX_TIERS 6

/* Few digits, as prices have: sums of such numbers fit a Decimal. */
static inline Decimal
take_short(Bytes *bytes, int digits)
{
	Decimal		a = {0, take_int(bytes, 0, 6)};

	for (int i = take_int(bytes, 0, digits); i > 0; i--)
		a.coefficient = a.coefficient * 10 + take_int(bytes, 0, 9);
	return a;
}

/* Any price, of any numbers; few of them are sound. */
static inline void
take_any_price(Bytes *bytes, Price *price, PriceTier *tiers)
{
	*price = (Price) {
		.model = (PriceModel) take_int(bytes, 0, BJ_MODEL_PASSTHROUGH),
		.unit_amount = take_decimal(bytes),
		.per = take_decimal(bytes),
		.flat_amount = take_decimal(bytes),
		.size = take_decimal(bytes),
		.package_amount = take_decimal(bytes),
		.free_units = take_decimal(bytes),
		.partial = (PricePartial) take_int(bytes, 0, BJ_PARTIAL_PRORATE),
		.zero_flat = take_byte(bytes) & 1,
		.bound_exclusive = take_byte(bytes) & 1,
		.negative = (PriceNegative) take_int(bytes, 0, BJ_NEGATIVE_REJECT),
		.charge_scale = take_int(bytes, -1, 31),
		.stage = (PriceStage) take_int(bytes, 0, BJ_STAGE_INVOICE),
		.ntiers = take_int(bytes, 0, MAX_TIERS),
		.tiers = tiers
	};
	for (int i = 0; i < MAX_TIERS; i++)
	{
		tiers[i] = (PriceTier) {
			.open = take_byte(bytes) % 4 == 0, .up_to = take_decimal(bytes),
			.unit_amount = take_decimal(bytes),
			.flat_amount = take_decimal(bytes)
		};
	}
}

/* A sound price; shortly: all its numbers are short. */
static inline void
take_price(Bytes *bytes, bool shortly, Price *price, PriceTier *tiers)
{
	Decimal		one = {1, 0};
	Decimal		bound = BJ_DECIMAL_ZERO;
	PriceFault	fault;

	take_any_price(bytes, price, tiers);
	if (shortly)
	{
		price->unit_amount = take_short(bytes, 6);
		price->flat_amount = take_short(bytes, 6);
		price->per = take_short(bytes, 4);
		price->size = take_short(bytes, 4);
		price->package_amount = take_short(bytes, 6);
		price->free_units = take_short(bytes, 4);
	}
	price->per.coefficient = bj_decimal_sign(price->per) <= 0 ? 3
		: price->per.coefficient;
	price->size.coefficient = bj_decimal_sign(price->size) <= 0 ? 7
		: price->size.coefficient;
	if (bj_decimal_sign(price->free_units) < 0)
		price->free_units = bj_decimal_negate(price->free_units);
	price->charge_scale = take_int(bytes, 0, 12);
	price->stage = BJ_STAGE_LINE;

	if (price->model != BJ_MODEL_GRADUATED && price->model != BJ_MODEL_VOLUME &&
		price->model != BJ_MODEL_STAIRSTEP &&
		price->model != BJ_MODEL_GRADUATED_PERCENTAGE)
		price->ntiers = 0;
	else if (price->ntiers == 0)
		price->ntiers = 1;
	for (int i = 0; i < price->ntiers; i++)
	{
		tiers[i].open = i == price->ntiers - 1;
		if (shortly)
		{
			tiers[i].unit_amount = take_short(bytes, 6);
			tiers[i].flat_amount = take_short(bytes, 6);
		}
		must(bj_decimal_add(bound, one, &bound) == BJ_OK);
		must(bj_decimal_add(bound, take_short(bytes, 5), &bound) == BJ_OK);
		tiers[i].up_to = bound;
	}
	must(bj_price_check(price, &fault));
}

/* A quantity that is often a bound, or next to it. */
static inline Decimal
take_quantity(Bytes *bytes, const Price *price)
{
	Decimal		quantity = take_short(bytes, 8);
	Decimal		little = {take_int(bytes, -1, 1), 6};

	if (take_byte(bytes) % 3 == 0 && price->ntiers > 1)
	{
		quantity = price->tiers[take_int(bytes, 0, price->ntiers - 2)].up_to;
		must(bj_decimal_add(quantity, little, &quantity) == BJ_OK);
	}
	return take_byte(bytes) % 4 == 0 ? bj_decimal_negate(quantity) : quantity;
}

#endif							/* BILLADJ_FUZZ_PRICES_H */
