/*
 * rate.c
 *	  From a quantity to an amount.
 *
 * Every model has one shape.  At a place of the period, each tier k holds a
 * quantity q_k and a flat amount that is due or not, e_k = 1 or 0:
 *
 *		f = sum over k of  q_k * unit_k + e_k * flat_k
 *
 * Graduated prices share the quantity out among the tiers below it; volume and
 * stairstep prices put all of it into the one tier it falls in; the others have
 * one tier.  A charge is the difference of two such sums.  It is taken tier by
 * tier, and only in the tiers between the two places: what a million units cost
 * in the tiers below never enters into the price of one more.
 *
 * Prices per many units and prorated packages are the exception: there a
 * division may have no end, so that f is rounded at each of the two places.
 */
#include "core/rate.h"

#include "core/exact.h"

/* A position as the model sees it. */
typedef struct Place
{
	int			sign;			/* of f; 0: nothing is charged */
	bool		used;			/* flat amount of the first tier is due */
	int32_t		tier;			/* that the quantity falls in, 0-based */
	Exact		quantity;		/* >= 0; of packages, the number charged */
} Place;

/* What one tier costs; models without tiers have one, made of their keys. */
typedef struct Terms
{
	Decimal		unit_amount;
	Decimal		divisor;		/* units that unit_amount is for */
	Decimal		flat_amount;
} Terms;

static const Decimal decimal_one = {1, 0};

static inline bool
divides(const Terms *terms)
{
	return terms->divisor.coefficient != 1 || terms->divisor.scale != 0;
}

static bool
is_shared_out(const Price *price)
{
	return price->model == BJ_MODEL_GRADUATED ||
		price->model == BJ_MODEL_GRADUATED_PERCENTAGE;
}

static Terms
tier_terms(const Price *price, int32_t tier)
{
	Terms		terms = {BJ_DECIMAL_ZERO, {1, 0}, BJ_DECIMAL_ZERO};

	switch (price->model)
	{
		case BJ_MODEL_FLAT:
			terms.flat_amount = price->flat_amount;
			break;
		case BJ_MODEL_PER_UNIT:
			terms.unit_amount = price->unit_amount;
			terms.divisor = price->per;
			break;
		case BJ_MODEL_PACKAGE:
			terms.unit_amount = price->package_amount;
			if (price->partial == BJ_PARTIAL_PRORATE)
				terms.divisor = price->size;
			break;
		case BJ_MODEL_PERCENTAGE:
			terms.unit_amount = price->unit_amount;
			terms.flat_amount = price->flat_amount;
			break;
		case BJ_MODEL_PASSTHROUGH:
			terms.unit_amount = price->unit_amount;
			break;
		case BJ_MODEL_STAIRSTEP:
			terms.flat_amount = price->tiers[tier].flat_amount;
			break;
		case BJ_MODEL_GRADUATED:
		case BJ_MODEL_VOLUME:
		case BJ_MODEL_GRADUATED_PERCENTAGE:
			terms.unit_amount = price->tiers[tier].unit_amount;
			terms.flat_amount = price->tiers[tier].flat_amount;
			break;
	}
	return terms;
}

/* The number of packages that are charged, or the units when it is prorated. */
static BjStatus
count_packages(const Price *price, Exact *quantity)
{
	Exact		free_units;
	BjStatus	status;

	bj_exact_set(&free_units, price->free_units);
	status = bj_exact_subtract(quantity, &free_units, quantity);
	if (status != BJ_OK)
		return status;
	if (bj_exact_sign(quantity) <= 0)
	{
		bj_exact_set(quantity, BJ_DECIMAL_ZERO);
		return BJ_OK;
	}
	if (price->partial == BJ_PARTIAL_PRORATE)
		return BJ_OK;
	return bj_exact_divide_whole(quantity, price->size,
								 price->partial == BJ_PARTIAL_UP
								 ? BJ_ROUND_UP : BJ_ROUND_DOWN, quantity);
}

static BjStatus
find_tier(const Price *price, Place *place)
{
	place->tier = 0;
	while (place->tier < price->ntiers - 1)
	{
		int			order;
		BjStatus	status;

		status = bj_exact_compare(&place->quantity,
								  price->tiers[place->tier].up_to, &order);
		if (status != BJ_OK)
			return status;
		if (order < 0 || (order == 0 && !price->bound_exclusive))
			break;
		place->tier++;
	}
	return BJ_OK;
}

static BjStatus
make_place(const Price *price, bool charged, const Exact *quantity,
		   Place *place)
{
	int			sign = bj_exact_sign(quantity);

	place->sign = charged ? 1 : 0;
	bj_exact_copy(&place->quantity, quantity);
	place->used = sign != 0 || price->zero_flat;
	place->tier = 0;
	if (sign < 0 && price->negative == BJ_NEGATIVE_CREDIT)
	{
		if (price->model == BJ_MODEL_FLAT)
			return BJ_OK;		/* owed, even if more was given back */
		place->sign = -place->sign;
		bj_exact_negate(&place->quantity);
	}
	else if (sign < 0)
	{
		bj_exact_set(&place->quantity, BJ_DECIMAL_ZERO);
		place->used = price->zero_flat;
	}
	if (price->model == BJ_MODEL_PACKAGE)
		return count_packages(price, &place->quantity);
	return find_tier(price, place);
}

/* q_k with the sign of f */
static BjStatus
tier_quantity(const Price *price, const Place *place, int32_t tier,
			  Exact *quantity)
{
	Exact		lower;
	BjStatus	status;

	if (place->sign == 0 || tier > place->tier ||
		(tier < place->tier && !is_shared_out(price)))
	{
		bj_exact_set(quantity, BJ_DECIMAL_ZERO);
		return BJ_OK;
	}
	if (tier < place->tier)
		bj_exact_set(quantity, price->tiers[tier].up_to);
	else
		bj_exact_copy(quantity, &place->quantity);

	if (tier > 0 && is_shared_out(price))
	{
		bj_exact_set(&lower, price->tiers[tier - 1].up_to);
		status = bj_exact_subtract(quantity, &lower, quantity);
		if (status != BJ_OK)
			return status;
	}
	if (place->sign < 0)
		bj_exact_negate(quantity);
	return BJ_OK;
}

/* e_k with the sign of f: a tier above the first is entered by being reached */
static int
tier_entered(const Price *price, const Place *place, int32_t tier)
{
	if (tier > place->tier || (tier == 0 && !place->used) ||
		(tier < place->tier && !is_shared_out(price)))
		return 0;
	return place->sign;
}

/* q * unit / divisor, where the division is one of f and so rounded here */
static BjStatus
price_quantity(const Price *price, const Terms *terms, const Exact *quantity,
			   Exact *amount)
{
	if (!divides(terms))
		return bj_exact_multiply(quantity, terms->unit_amount, amount);
	return bj_exact_multiply_divide(quantity, terms->unit_amount,
									terms->divisor, price->charge_scale,
									amount);
}

/* One tier's part of a difference. */
typedef struct Part
{
	Exact		quantity;
	int			entered;		/* how many flat amounts more: -2 .. 2 */
	Exact		flat_amount;
	Exact		amount;
} Part;

static BjStatus
price_part(const Price *price, const Place *before, const Place *after,
		   int32_t tier, Part *part)
{
	Terms		terms = tier_terms(price, tier);
	Exact		old_quantity;
	Exact		new_quantity;
	BjStatus	status;

	status = tier_quantity(price, before, tier, &old_quantity);
	if (status == BJ_OK)
		status = tier_quantity(price, after, tier, &new_quantity);
	if (status == BJ_OK)
		status = bj_exact_subtract(&new_quantity, &old_quantity,
								   &part->quantity);
	if (status != BJ_OK)
		return status;

	if (!divides(&terms))
		status = bj_exact_multiply(&part->quantity, terms.unit_amount,
								   &part->amount);
	else
	{
		status = price_quantity(price, &terms, &old_quantity, &old_quantity);
		if (status == BJ_OK)
			status = price_quantity(price, &terms, &new_quantity,
									&new_quantity);
		if (status == BJ_OK)
			status = bj_exact_subtract(&new_quantity, &old_quantity,
									   &part->amount);
	}
	part->entered = tier_entered(price, after, tier) -
		tier_entered(price, before, tier);
	bj_exact_set(&part->flat_amount, BJ_DECIMAL_ZERO);
	if (status != BJ_OK || part->entered == 0)
		return status;

	bj_exact_set(&part->flat_amount, terms.flat_amount);
	status = bj_exact_multiply(&part->flat_amount,
							   bj_decimal_from_int64(part->entered),
							   &part->flat_amount);
	if (status != BJ_OK)
		return status;
	return bj_exact_add(&part->amount, &part->flat_amount, &part->amount);
}

/*
 * The tiers in which two places may differ.  Below both of them a graduated
 * price is the same, unless one is charged and the other is not, or is a
 * credit.
 */
static void
tier_span(const Place *before, const Place *after, int32_t *first,
		  int32_t *last)
{
	*first = before->tier < after->tier ? before->tier : after->tier;
	*last = before->tier > after->tier ? before->tier : after->tier;
	if (before->sign != after->sign)
		*first = 0;
}

static BjStatus
difference(const Price *price, const Place *before, const Place *after,
		   Decimal *amount)
{
	Exact		sum;
	int32_t		first;
	int32_t		last;

	bj_exact_set(&sum, BJ_DECIMAL_ZERO);
	tier_span(before, after, &first, &last);
	for (int32_t tier = first; tier <= last; tier++)
	{
		Part		part;
		BjStatus	status;

		status = price_part(price, before, after, tier, &part);
		if (status == BJ_OK)
			status = bj_exact_add(&sum, &part.amount, &sum);
		if (status != BJ_OK)
			return status;
	}
	return bj_exact_get(&sum, amount);
}

static BjStatus
fill_step(const Price *price, int32_t tier, const Part *part, RateStep *step)
{
	Terms		terms = tier_terms(price, tier);
	BjStatus	status;

	step->tier = tier + 1;
	step->unit_amount = terms.unit_amount;
	status = bj_exact_get(&part->quantity, &step->quantity);
	if (status == BJ_OK)
		status = bj_exact_get(&part->flat_amount, &step->flat_amount);
	if (status == BJ_OK)
		status = bj_exact_get(&part->amount, &step->amount);
	if (status != BJ_OK || !divides(&terms))
		return status;

	/* The unit amount is only shown: what has too many decimals is rounded. */
	if (bj_decimal_multiply_divide(terms.unit_amount, decimal_one,
								   terms.divisor, price->charge_scale,
								   BJ_ROUND_HALF_EVEN,
								   &step->unit_amount) == BJ_OK)
		return BJ_OK;
	return bj_decimal_divide(terms.unit_amount, terms.divisor,
							 price->charge_scale, BJ_ROUND_HALF_EVEN,
							 &step->unit_amount);
}

static BjStatus
difference_steps(const Price *price, const Place *before, const Place *after,
				 RateStep *steps, int32_t max_steps, int32_t *nsteps)
{
	int32_t		count = 0;
	int32_t		first;
	int32_t		last;

	tier_span(before, after, &first, &last);
	for (int32_t tier = first; tier <= last; tier++)
	{
		bool		needed = tier == last && count == 0;
		Part		part;
		BjStatus	status;

		status = price_part(price, before, after, tier, &part);
		if (status != BJ_OK)
			return status;
		if (!needed && part.entered == 0 && bj_exact_sign(&part.quantity) == 0)
			continue;
		if (count >= max_steps)
			return BJ_TOO_MANY_STEPS;
		status = fill_step(price, tier, &part, &steps[count++]);
		if (status != BJ_OK)
			return status;
	}
	*nsteps = count;
	return BJ_OK;
}

static BjStatus
make_places(const Price *price, Position before, Position after,
			Place *old_place, Place *new_place)
{
	Exact		quantity;
	BjStatus	status;

	bj_exact_set(&quantity, before.quantity);
	status = make_place(price, before.charged, &quantity, old_place);
	if (status != BJ_OK)
		return status;
	bj_exact_set(&quantity, after.quantity);
	return make_place(price, after.charged, &quantity, new_place);
}

/* The same, for a row; the quantity after it may be longer than a Decimal. */
static BjStatus
make_row_places(const Price *price, Position before, Decimal quantity,
				Place *old_place, Place *new_place)
{
	Exact		total;
	Exact		counted;
	BjStatus	status;

	status = bj_rate_quantity(price, quantity, &quantity);
	if (status != BJ_OK)
		return status;
	bj_exact_set(&counted, quantity);
	bj_exact_set(&total, before.quantity);
	status = make_place(price, before.charged, &total, old_place);
	if (status == BJ_OK && before.charged)
		status = bj_exact_add(&total, &counted, &counted);
	if (status != BJ_OK)
		return status;
	return make_place(price, true, &counted, new_place);
}

BjStatus
bj_rate_quantity(const Price *price, Decimal quantity, Decimal *counted)
{
	if (bj_decimal_sign(quantity) < 0)
	{
		if (price->negative == BJ_NEGATIVE_REJECT)
			return BJ_NEGATIVE_QUANTITY;
		if (price->negative == BJ_NEGATIVE_CLAMP)
			quantity = BJ_DECIMAL_ZERO;
	}
	*counted = quantity;
	return BJ_OK;
}

/* The tier that a quantity above zero falls in; tiers above first. */
static int32_t
tier_of(const Price *price, Decimal quantity, int32_t first)
{
	while (first < price->ntiers - 1)
	{
		int			order = bj_decimal_compare(quantity,
											   price->tiers[first].up_to);

		if (order < 0 || (order == 0 && !price->bound_exclusive))
			break;
		first++;
	}
	return first;
}

/*
 * Most charges lie between two places above zero of one tier, where every
 * tiered price is the unit amount times the difference.  False: not such a
 * case, or one for wider numbers.
 */
static bool
within_tier(const Price *price, Position before, Position after,
			Decimal *amount)
{
	Decimal		quantity;
	int32_t		tier;

	if (price->ntiers == 0 || !before.charged || !after.charged ||
		bj_decimal_sign(before.quantity) <= 0 ||
		bj_decimal_sign(after.quantity) <= 0)
		return false;
	if (bj_decimal_subtract(after.quantity, before.quantity, &quantity) != BJ_OK)
		return false;
	tier = tier_of(price, bj_decimal_sign(quantity) < 0 ? after.quantity
				   : before.quantity, 0);
	if (tier_of(price, bj_decimal_sign(quantity) < 0 ? before.quantity
				: after.quantity, tier) != tier)
		return false;
	return bj_decimal_multiply(quantity, tier_terms(price, tier).unit_amount,
							   amount) == BJ_OK;
}

/*
 * f at a quantity above zero of a price with tiers: each tier reached costs its
 * flat amount and what lies in it.  False: not such a case, or one for wider
 * numbers.
 */
static bool
at_tiers(const Price *price, Position at, Decimal *amount)
{
	bool		shared_out = is_shared_out(price);
	Decimal		sum = BJ_DECIMAL_ZERO;
	Decimal		lower = BJ_DECIMAL_ZERO;
	int32_t		last;

	if (price->ntiers == 0 || !at.charged || bj_decimal_sign(at.quantity) <= 0)
		return false;
	last = tier_of(price, at.quantity, 0);
	for (int32_t tier = shared_out ? 0 : last; tier <= last; tier++)
	{
		Terms		terms = tier_terms(price, tier);
		Decimal		upper = tier < last ? price->tiers[tier].up_to : at.quantity;
		Decimal		part;

		if (bj_decimal_subtract(upper, lower, &part) != BJ_OK ||
			bj_decimal_multiply(part, terms.unit_amount, &part) != BJ_OK ||
			bj_decimal_add(sum, part, &sum) != BJ_OK)
			return false;
		if ((terms.flat_amount.coefficient != 0 || terms.flat_amount.scale > sum.scale) &&
			bj_decimal_add(sum, terms.flat_amount, &sum) != BJ_OK)
			return false;
		lower = upper;
	}
	*amount = sum;
	return true;
}

BjStatus
bj_rate_at(const Price *price, Position at, Decimal *amount)
{
	if (at_tiers(price, at, amount))
		return BJ_OK;
	return bj_rate_between(price, BJ_NOT_CHARGED, at, amount);
}

BjStatus
bj_rate_between(const Price *price, Position before, Position after,
				Decimal *amount)
{
	Place		old_place;
	Place		new_place;
	BjStatus	status;

	if (within_tier(price, before, after, amount))
		return BJ_OK;
	status = make_places(price, before, after, &old_place, &new_place);
	if (status != BJ_OK)
		return status;
	return difference(price, &old_place, &new_place, amount);
}

BjStatus
bj_rate(const Price *price, Position before, Decimal quantity,
		Decimal *amount)
{
	Place		old_place;
	Place		new_place;
	BjStatus	status;

	status = make_row_places(price, before, quantity, &old_place, &new_place);
	if (status != BJ_OK)
		return status;
	return difference(price, &old_place, &new_place, amount);
}

BjStatus
bj_rate_steps(const Price *price, Position before, Position after,
			  RateStep *steps, int32_t max_steps, int32_t *nsteps)
{
	Place		old_place;
	Place		new_place;
	BjStatus	status;

	status = make_places(price, before, after, &old_place, &new_place);
	if (status != BJ_OK)
		return status;
	return difference_steps(price, &old_place, &new_place, steps, max_steps,
							nsteps);
}

BjStatus
bj_rate_row_steps(const Price *price, Position before, Decimal quantity,
				  RateStep *steps, int32_t max_steps, int32_t *nsteps)
{
	Place		old_place;
	Place		new_place;
	BjStatus	status;

	status = make_row_places(price, before, quantity, &old_place, &new_place);
	if (status != BJ_OK)
		return status;
	return difference_steps(price, &old_place, &new_place, steps, max_steps,
							nsteps);
}
