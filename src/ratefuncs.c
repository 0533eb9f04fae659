/*
 * ratefuncs.c
 *	  SQL-callable functions of core/rate.c and of price documents.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/tuplestore.h"

#include "compat.h"
#include "core/rate.h"
#include "errors.h"
#include "numericcodec.h"
#include "pricedoc.h"

/*
 * The last document of a call site with its price.  A report rates a million
 * rows by one document; a document that differs in a single byte is parsed
 * anew, so that this is never stale.
 */
typedef struct PriceCache
{
	MemoryContext cxt;			/* of doc and of the price's tiers */
	Jsonb	   *doc;			/* NULL: nothing is kept */
	Price		price;
} PriceCache;

static const Price *
getarg_price(FunctionCallInfo fcinfo, int n)
{
	Jsonb	   *doc = PG_GETARG_JSONB_P(n);
	PriceCache *cache = fcinfo->flinfo->fn_extra;
	Jsonb	   *copy;

	if (cache == NULL)
	{
		cache = MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt,
									   sizeof(PriceCache));
		cache->cxt = AllocSetContextCreate(fcinfo->flinfo->fn_mcxt,
										   "billadj price",
										   ALLOCSET_SMALL_SIZES);
		fcinfo->flinfo->fn_extra = cache;
	}
	if (cache->doc != NULL && VARSIZE(cache->doc) == VARSIZE(doc) &&
		memcmp(cache->doc, doc, VARSIZE(doc)) == 0)
		return &cache->price;

	/* An error on the way leaves an empty cache. */
	cache->doc = NULL;
	MemoryContextReset(cache->cxt);
	bj_pricedoc_get(doc, cache->cxt, &cache->price);
	copy = MemoryContextAlloc(cache->cxt, VARSIZE(doc));
	memcpy(copy, doc, VARSIZE(doc));
	cache->doc = copy;
	return &cache->price;
}

static Decimal
getarg_decimal(FunctionCallInfo fcinfo, int n)
{
	Decimal		value;

	bj_check(bj_numeric_read(PG_GETARG_DATUM(n), &value));
	return value;
}

/* before: NULL says that nothing of the period is charged yet */
static Position
getarg_position(FunctionCallInfo fcinfo, int n)
{
	Position	position = BJ_NOT_CHARGED;

	if (PG_ARGISNULL(n))
		return position;
	position.charged = true;
	position.quantity = getarg_decimal(fcinfo, n);
	return position;
}

/* billadj.rate(price jsonb, quantity numeric, before numeric) */
PG_FUNCTION_INFO_V1(billadj_rate);
Datum
billadj_rate(PG_FUNCTION_ARGS)
{
	const Price *price;
	Decimal		amount;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		PG_RETURN_NULL();

	price = getarg_price(fcinfo, 0);
	bj_check(bj_rate(price, getarg_position(fcinfo, 2),
					 getarg_decimal(fcinfo, 1), &amount));
	PG_RETURN_DATUM(bj_numeric_make(amount, 0));
}

/* billadj.rate_between(price jsonb, before numeric, after numeric) */
PG_FUNCTION_INFO_V1(billadj_rate_between);
Datum
billadj_rate_between(PG_FUNCTION_ARGS)
{
	const Price *price;
	Decimal		amount;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();

	price = getarg_price(fcinfo, 0);
	bj_check(bj_rate_between(price, getarg_position(fcinfo, 1),
							 getarg_position(fcinfo, 2), &amount));
	PG_RETURN_DATUM(bj_numeric_make(amount, 0));
}

/* The most steps that a price can have, and room for them. */
static RateStep *
make_steps(const Price *price, int32 *max_steps)
{
	*max_steps = Max(price->ntiers, 1);
	return palloc(*max_steps * sizeof(RateStep));
}

static void
return_steps(ReturnSetInfo *rsinfo, const RateStep *steps, int32 nsteps)
{
	for (int i = 0; i < nsteps; i++)
	{
		Datum		values[5] = {
			Int32GetDatum(steps[i].tier),
			bj_numeric_make(steps[i].quantity, 0),
			bj_numeric_make(steps[i].unit_amount, 0),
			bj_numeric_make(steps[i].flat_amount, 0),
			bj_numeric_make(steps[i].amount, 0)
		};
		bool		nulls[5] = {false};

		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values,
							 nulls);
	}
}

/* billadj.rate_steps(price jsonb, quantity numeric, before numeric) */
PG_FUNCTION_INFO_V1(billadj_rate_steps);
Datum
billadj_rate_steps(PG_FUNCTION_ARGS)
{
	const Price *price;
	RateStep   *steps;
	int32		max_steps;
	int32		nsteps;

	InitMaterializedSRF(fcinfo, 0);
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		return (Datum) 0;

	price = getarg_price(fcinfo, 0);
	steps = make_steps(price, &max_steps);
	bj_check(bj_rate_row_steps(price, getarg_position(fcinfo, 2),
							   getarg_decimal(fcinfo, 1), steps, max_steps,
							   &nsteps));
	return_steps((ReturnSetInfo *) fcinfo->resultinfo, steps, nsteps);
	return (Datum) 0;
}

/* billadj.rate_between_steps(price jsonb, before numeric, after numeric) */
PG_FUNCTION_INFO_V1(billadj_rate_between_steps);
Datum
billadj_rate_between_steps(PG_FUNCTION_ARGS)
{
	const Price *price;
	RateStep   *steps;
	int32		max_steps;
	int32		nsteps;

	InitMaterializedSRF(fcinfo, 0);
	if (PG_ARGISNULL(0))
		return (Datum) 0;

	price = getarg_price(fcinfo, 0);
	steps = make_steps(price, &max_steps);
	bj_check(bj_rate_steps(price, getarg_position(fcinfo, 1),
						   getarg_position(fcinfo, 2), steps, max_steps,
						   &nsteps));
	return_steps((ReturnSetInfo *) fcinfo->resultinfo, steps, nsteps);
	return (Datum) 0;
}

/* billadj.price_is_linear(price jsonb) */
PG_FUNCTION_INFO_V1(billadj_price_is_linear);
Datum
billadj_price_is_linear(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(bj_price_is_linear(getarg_price(fcinfo, 0)));
}

/* billadj.price_check(price jsonb): NULL, or why the document is no price */
PG_FUNCTION_INFO_V1(billadj_price_check);
Datum
billadj_price_check(PG_FUNCTION_ARGS)
{
	Price		price;
	PriceProblem problem;

	if (bj_pricedoc_read(PG_GETARG_JSONB_P(0), NULL, -1,
						 CurrentMemoryContext, &price, &problem))
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(problem.message));
}
