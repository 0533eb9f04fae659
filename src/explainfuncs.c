/*
 * explainfuncs.c
 *	  What a replay needs beside rating: the rounding of one row's charges.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "core/allocate.h"
#include "errors.h"
#include "numericcodec.h"

/* billadj.share_residual(exact numeric[], step numeric, mode text) */
PG_FUNCTION_INFO_V1(billadj_share_residual);
Datum
billadj_share_residual(PG_FUNCTION_ARGS)
{
	ArrayType  *array = PG_GETARG_ARRAYTYPE_P(0);
	Decimal		step;
	Rounding	mode;
	Decimal		total;
	Decimal    *exact;
	Decimal    *parts;
	Datum	   *datums;
	int			count;

	if (ARR_NDIM(array) > 1 || array_contains_nulls(array))
		ereport(ERROR,
				(errcode(ERRCODE_BJ_BAD_QUANTITY),
				 errmsg("exact amounts must be a list without nulls"),
				 errhint("Use 0 for a part that gets nothing.")));
	bj_check(bj_numeric_read(PG_GETARG_DATUM(1), &step));
	bj_check(bj_rounding_parse(text_to_cstring(PG_GETARG_TEXT_PP(2)), &mode));

	deconstruct_array(array, NUMERICOID, -1, false, TYPALIGN_INT, &datums,
					  NULL, &count);
	if (count == 0)
		PG_RETURN_ARRAYTYPE_P(construct_empty_array(NUMERICOID));
	exact = palloc(sizeof(Decimal) * count);
	parts = palloc(sizeof(Decimal) * count);
	for (int i = 0; i < count; i++)
		bj_check(bj_numeric_read(datums[i], &exact[i]));

	bj_check(bj_share_residual(exact, count, step, mode, parts, &total));
	for (int i = 0; i < count; i++)
		datums[i] = bj_numeric_make(parts[i], 0);
	PG_RETURN_ARRAYTYPE_P(construct_array(datums, count, NUMERICOID, -1, false,
										  TYPALIGN_INT));
}
