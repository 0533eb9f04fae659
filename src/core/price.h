/*
 * price.h
 *	  A price: how an amount follows from a quantity.
 *
 * This is the parsed price document.  pricedoc.c reads it from JSON;
 * bj_price_check() is the one judge of whether it makes sense.
 */
#ifndef BILLADJ_CORE_PRICE_H
#define BILLADJ_CORE_PRICE_H

#include "core/decimal.h"

typedef enum PriceModel
{
	BJ_MODEL_FLAT,
	BJ_MODEL_PER_UNIT,
	BJ_MODEL_PACKAGE,
	BJ_MODEL_GRADUATED,
	BJ_MODEL_VOLUME,
	BJ_MODEL_STAIRSTEP,
	BJ_MODEL_PERCENTAGE,
	BJ_MODEL_GRADUATED_PERCENTAGE,
	BJ_MODEL_PASSTHROUGH
} PriceModel;

/* what a started package costs */
typedef enum PricePartial
{
	BJ_PARTIAL_UP,				/* a whole package */
	BJ_PARTIAL_DOWN,			/* nothing */
	BJ_PARTIAL_PRORATE			/* its share */
} PricePartial;

/* what usage below zero does */
typedef enum PriceNegative
{
	BJ_NEGATIVE_CREDIT,			/* f(-q) = -f(q) */
	BJ_NEGATIVE_CARRY,			/* a total below zero costs f(0), later usage
								 * fills it up first */
	BJ_NEGATIVE_CLAMP,			/* a row below zero counts as zero */
	BJ_NEGATIVE_REJECT			/* a row below zero is an error */
} PriceNegative;

/* where money rounding happens; rating itself never rounds money */
typedef enum PriceStage
{
	BJ_STAGE_ROW,
	BJ_STAGE_LINE,
	BJ_STAGE_INVOICE
} PriceStage;

typedef struct PriceTier
{
	bool		open;			/* the last one: no upper bound */
	Decimal		up_to;
	Decimal		unit_amount;	/* or the rate of graduated_percentage */
	Decimal		flat_amount;
} PriceTier;

typedef struct Price
{
	PriceModel	model;
	Decimal		unit_amount;	/* per_unit; percentage: the rate;
								 * passthrough: the multiplier */
	Decimal		per;			/* per_unit; > 0 */
	Decimal		flat_amount;	/* flat; percentage: the fixed amount */
	Decimal		size;			/* package; > 0 */
	Decimal		package_amount;
	Decimal		free_units;		/* package; >= 0 */
	PricePartial partial;
	bool		zero_flat;		/* zero_quantity is first_tier_flat */
	bool		bound_exclusive;	/* a bound belongs to the upper tier */
	PriceNegative negative;
	int32_t		charge_scale;	/* decimals of an f that does not terminate */
	PriceStage	stage;
	Rounding	mode;			/* of money */
	Decimal		step;			/* of money; 0 = the currency's minor unit */
	char		currency[4];	/* ISO 4217, or "" */
	int32_t		ntiers;
	PriceTier  *tiers;			/* the caller's memory */
} Price;

/* What bj_price_check() found, as a place in the document. */
typedef struct PriceFault
{
	const char *key;			/* the key at fault, "tiers" and so on */
	int32_t		tier;			/* 0-based, or -1 when key is not in a tier */
	const char *problem;		/* for a person, lower case, no full stop */
} PriceFault;

/*
 * Bounds ascending and > 0, last tier and no other open, per and size above
 * zero, charge_scale 0..30, currency known, stage row only with a linear price
 * and so on.  Returns true if all is well, else fills fault.
 */
extern bool bj_price_check(const Price *price, PriceFault *fault);

/*
 * Is f(a) + f(b) = f(a + b) for all quantities, exactly?  Such a price needs no
 * running total.
 */
extern bool bj_price_is_linear(const Price *price);

/*
 * Writes an amount per many units as the amount of one, where that is exact:
 * the same price, rated with one division less a row.  Wants a sound price.
 */
extern void bj_price_simplify(Price *price);

#endif							/* BILLADJ_CORE_PRICE_H */
