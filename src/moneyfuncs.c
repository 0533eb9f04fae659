/*
 * moneyfuncs.c
 *	  SQL-callable functions of core/decimal.c, currency.c and allocate.c.
 *
 * A binding fetches its arguments, calls the core, checks the status and
 * returns.  It holds no arithmetic and touches no table.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "core/allocate.h"
#include "core/currency.h"
#include "errors.h"
#include "numericcodec.h"

static Decimal
getarg_decimal(FunctionCallInfo fcinfo, int n)
{
	Decimal		a;

	bj_check(bj_numeric_read(PG_GETARG_DATUM(n), &a));
	return a;
}

static Rounding
getarg_rounding(FunctionCallInfo fcinfo, int n)
{
	char	   *name = text_to_cstring(PG_GETARG_TEXT_PP(n));
	Rounding	rounding;

	bj_check_found(bj_rounding_parse(name, &rounding), name);
	return rounding;
}

static const Currency *
getarg_currency(FunctionCallInfo fcinfo, int n)
{
	char	   *code = text_to_cstring(PG_GETARG_TEXT_PP(n));
	const Currency *currency = bj_currency_find(code, strlen(code));

	if (currency == NULL)
		bj_check_found(BJ_BAD_CURRENCY, code);
	return currency;
}

/* A palloc'd array of one dimension without NULLs; name is for its errors. */
static Decimal *
getarg_decimals(FunctionCallInfo fcinfo, int n, const char *name, int *count)
{
	ArrayType  *array = PG_GETARG_ARRAYTYPE_P(n);
	Decimal    *decimals;
	Datum	   *datums;
	bool	   *nulls;

	if (ARR_NDIM(array) > 1)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("array %s has %d dimensions instead of one", name,
						ARR_NDIM(array)),
				 errhint("Pass a one-dimensional array.")));

	deconstruct_array(array, NUMERICOID, -1, false, TYPALIGN_INT, &datums,
					  &nulls, count);
	decimals = palloc(sizeof(Decimal) * *count);
	for (int i = 0; i < *count; i++)
	{
		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("element %d of %s is NULL", i + 1, name),
					 errhint("Use 0 for an element that gets nothing.")));
		bj_check(bj_numeric_read(datums[i], &decimals[i]));
	}
	return decimals;
}

/* billadj.exact(amount numeric) */
PG_FUNCTION_INFO_V1(billadj_exact);
Datum
billadj_exact(PG_FUNCTION_ARGS)
{
	PG_RETURN_DATUM(bj_numeric_make(getarg_decimal(fcinfo, 0), 0));
}

/* billadj.round_step(amount numeric, step numeric, mode text) */
PG_FUNCTION_INFO_V1(billadj_round_step);
Datum
billadj_round_step(PG_FUNCTION_ARGS)
{
	Decimal		amount = getarg_decimal(fcinfo, 0);
	Decimal		step = getarg_decimal(fcinfo, 1);
	Rounding	rounding = getarg_rounding(fcinfo, 2);
	Decimal		rounded;

	bj_check(bj_decimal_round_step(amount, step, rounding, &rounded));
	step = bj_decimal_normalize(step);
	PG_RETURN_DATUM(bj_numeric_make(rounded, step.scale));
}

/* billadj.round_money(amount numeric, currency text, mode text, cash boolean) */
PG_FUNCTION_INFO_V1(billadj_round_money);
Datum
billadj_round_money(PG_FUNCTION_ARGS)
{
	Decimal		amount = getarg_decimal(fcinfo, 0);
	const Currency *currency = getarg_currency(fcinfo, 1);
	Rounding	rounding = getarg_rounding(fcinfo, 2);
	Decimal		step = PG_GETARG_BOOL(3) ? bj_currency_cash_step(currency) :
		bj_currency_step(currency);
	Decimal		rounded;

	bj_check(bj_decimal_round_step(amount, step, rounding, &rounded));
	PG_RETURN_DATUM(bj_numeric_make(rounded, currency->decimals));
}

/* billadj.allocate(amount numeric, weights numeric[], scale int) */
PG_FUNCTION_INFO_V1(billadj_allocate);
Datum
billadj_allocate(PG_FUNCTION_ARGS)
{
	Decimal		amount = getarg_decimal(fcinfo, 0);
	int			count;
	Decimal    *weights = getarg_decimals(fcinfo, 1, "weights", &count);
	int32		scale = PG_GETARG_INT32(2);
	AllocateWork *work = palloc(sizeof(AllocateWork) * count);
	Decimal    *parts = palloc(sizeof(Decimal) * count);
	Datum	   *datums = palloc(sizeof(Datum) * count);

	bj_check(bj_allocate(amount, weights, count, scale, work, parts));
	for (int i = 0; i < count; i++)
		datums[i] = bj_numeric_make(parts[i], scale);
	PG_RETURN_ARRAYTYPE_P(construct_array(datums, count, NUMERICOID, -1, false,
										  TYPALIGN_INT));
}
