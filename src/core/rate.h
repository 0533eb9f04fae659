/*
 * rate.h
 *	  From a quantity to an amount.
 *
 * f is the price of a whole period's quantity.  A charge is a difference of f,
 * so that charges telescope: their sum is f of the total, whatever the order.
 * Nothing here rounds money; an f that does not terminate is rounded at the
 * price's charge_scale, half to even, before the difference is taken.
 */
#ifndef BILLADJ_CORE_RATE_H
#define BILLADJ_CORE_RATE_H

#include "core/price.h"

/* A place in a period: how much was used before, or that nothing was. */
typedef struct Position
{
	bool		charged;		/* false: nothing of this period is charged */
	Decimal		quantity;		/* 0 when not charged */
} Position;

#define BJ_NOT_CHARGED ((Position) {false, {0, 0}})

/*
 * One tier's part of an amount: quantity * unit_amount + flat_amount, except
 * where f is rounded.  The amounts of all steps sum to the amount.
 */
typedef struct RateStep
{
	int32_t		tier;			/* 1-based; 1 for models without tiers */
	Decimal		quantity;		/* that this amount adds to the tier; package:
								 * whole packages, or with prorate the units
								 * that are not free */
	Decimal		unit_amount;	/* of one of them; rounded at charge_scale
								 * where it does not terminate */
	Decimal		flat_amount;	/* that this amount adds; negative when a tier
								 * is given back */
	Decimal		amount;
} RateStep;

/*
 * What one row's quantity counts as under the price's rule for negative usage:
 * itself, zero (clamp), or BJ_NEGATIVE_QUANTITY (reject).
 */
extern BjStatus bj_rate_quantity(const Price *price, Decimal quantity,
								 Decimal *counted);

/*
 * f at a position: 0 where nothing is charged, else f(quantity).  Defined for
 * every quantity: below zero f is -f(-quantity) for credit, f(0) for the
 * other rules; a flat price does not look at the quantity.
 */
extern BjStatus bj_rate_at(const Price *price, Position at, Decimal *amount);

/*
 * f(after) - f(before), computed tier by tier, so that it is exact whenever
 * the difference itself fits.
 */
extern BjStatus bj_rate_between(const Price *price, Position before,
								Position after, Decimal *amount);

/*
 * The surface's rate(): bj_rate_quantity(), then between(before, before +
 * quantity), with the position after always charged.
 */
extern BjStatus bj_rate(const Price *price, Position before, Decimal quantity,
						Decimal *amount);

/*
 * The steps of bj_rate_between(), in ascending tiers; a volume price that
 * changes tier gives back the old tier and charges the new one.  At least one
 * step, of zeros if nothing happens, and at most max(ntiers, 1); *nsteps is
 * written with BJ_OK.  A step whose quantity or amount is longer than a Decimal
 * is BJ_OUT_OF_RANGE, even where the sum would fit.
 */
extern BjStatus bj_rate_steps(const Price *price, Position before,
							  Position after, RateStep *steps,
							  int32_t max_steps, int32_t *nsteps);

/* The steps of bj_rate(), in the same way. */
extern BjStatus bj_rate_row_steps(const Price *price, Position before,
								  Decimal quantity, RateStep *steps,
								  int32_t max_steps, int32_t *nsteps);

#endif							/* BILLADJ_CORE_RATE_H */
