/*
 * price.c
 *	  What makes a price sound, and which prices need no running total.
 */
#include "core/price.h"

#include <string.h>

#include "core/currency.h"

#define MAX_CHARGE_SCALE 30

static bool
is_tiered(PriceModel model)
{
	return model == BJ_MODEL_GRADUATED || model == BJ_MODEL_VOLUME ||
		model == BJ_MODEL_STAIRSTEP || model == BJ_MODEL_GRADUATED_PERCENTAGE;
}

static bool
fault_at(PriceFault *fault, const char *key, int32_t tier,
		 const char *problem)
{
	fault->key = key;
	fault->tier = tier;
	fault->problem = problem;
	return false;
}

/*
 * No quantity may fall between two tiers, into two of them, or beyond the last
 * one.
 */
static bool
check_tiers(const Price *price, PriceFault *fault)
{
	Decimal		lower = BJ_DECIMAL_ZERO;

	if (price->ntiers < 1)
		return fault_at(fault, "tiers", -1, "has no tier");

	for (int32_t i = 0; i < price->ntiers; i++)
	{
		const PriceTier *tier = &price->tiers[i];
		bool		last = i == price->ntiers - 1;

		if (tier->open && !last)
			return fault_at(fault, "up_to", i,
							"is null, which only the last tier may be");
		if (!tier->open && last)
			return fault_at(fault, "up_to", i,
							"must be null in the last tier, or some quantity would have no price");
		if (tier->open)
			continue;
		if (i == 0 && bj_decimal_sign(tier->up_to) <= 0)
			return fault_at(fault, "up_to", i, "must be above zero");
		if (i > 0 && bj_decimal_compare(tier->up_to, lower) <= 0)
			return fault_at(fault, "up_to", i,
							"must be above that of the tier before it");
		lower = tier->up_to;
	}
	return true;
}

bool
bj_price_check(const Price *price, PriceFault *fault)
{
	if (is_tiered(price->model))
	{
		if (!check_tiers(price, fault))
			return false;
	}
	else if (price->ntiers != 0)
		return fault_at(fault, "tiers", -1, "is not for this model");

	if (price->model == BJ_MODEL_PER_UNIT && bj_decimal_sign(price->per) <= 0)
		return fault_at(fault, "per", -1, "must be above zero");
	if (price->model == BJ_MODEL_PACKAGE)
	{
		if (bj_decimal_sign(price->size) <= 0)
			return fault_at(fault, "size", -1, "must be above zero");
		if (bj_decimal_sign(price->free_units) < 0)
			return fault_at(fault, "free_units", -1,
							"must not be below zero");
	}
	if (price->charge_scale < 0 || price->charge_scale > MAX_CHARGE_SCALE)
		return fault_at(fault, "charge_scale", -1,
						"must be a whole number from 0 to 30");
	if (bj_decimal_sign(price->step) < 0)
		return fault_at(fault, "rounding.step", -1, "must be above zero");

	if (price->currency[0] != '\0' &&
		bj_currency_find(price->currency, strlen(price->currency)) == NULL)
		return fault_at(fault, "currency", -1,
						"must be a currency code of ISO 4217");

	/*
	 * Rows rounded one by one do not sum to f of the total, so that a price
	 * with a running total could not be told from its charges.
	 */
	if (price->stage == BJ_STAGE_ROW && !bj_price_is_linear(price))
		return fault_at(fault, "rounding.stage", -1,
						"can be row only where each row is priced on its own, by a price without tiers, packages, fixed amounts and carried quantities");
	return true;
}

bool
bj_price_is_linear(const Price *price)
{
	/* What is carried depends on all that was used before. */
	if (price->negative == BJ_NEGATIVE_CARRY)
		return false;

	switch (price->model)
	{
		case BJ_MODEL_PER_UNIT:
			return bj_decimal_terminates(price->unit_amount, price->per);
		case BJ_MODEL_PERCENTAGE:
			return bj_decimal_sign(price->flat_amount) == 0;
		case BJ_MODEL_PASSTHROUGH:
			return true;
		case BJ_MODEL_GRADUATED:
		case BJ_MODEL_VOLUME:
		case BJ_MODEL_GRADUATED_PERCENTAGE:
			return price->ntiers == 1 &&
				bj_decimal_sign(price->tiers[0].flat_amount) == 0;
		case BJ_MODEL_PACKAGE:
			return price->partial == BJ_PARTIAL_PRORATE &&
				bj_decimal_sign(price->free_units) == 0 &&
				bj_decimal_terminates(price->package_amount, price->size);
		case BJ_MODEL_FLAT:
		case BJ_MODEL_STAIRSTEP:
			return false;
	}
	return false;				/* not reached: the switch covers the enum */
}

void
bj_price_simplify(Price *price)
{
	Decimal		one = {1, 0};
	Decimal		unit_amount;

	if (price->model != BJ_MODEL_PER_UNIT ||
		!bj_decimal_terminates(price->unit_amount, price->per) ||
		bj_decimal_multiply_divide(price->unit_amount, one, price->per, 0,
								   BJ_ROUND_NEVER, &unit_amount) != BJ_OK)
		return;
	price->unit_amount = unit_amount;
	price->per = one;
}
