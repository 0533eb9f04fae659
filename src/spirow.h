/*
 * spirow.h
 *	  Reads the columns of what SPI returned, by number from 1.
 *
 * A NULL is the value that stands for none: 0, NULL, zero, false, DT_NOEND.
 */
#ifndef BILLADJ_SPIROW_H
#define BILLADJ_SPIROW_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "errors.h"
#include "numericcodec.h"

static inline Datum
spirow_datum(uint64 row, int column, bool *null)
{
	return SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, null);
}

static inline bool
spirow_null(uint64 row, int column)
{
	bool		null;

	(void) spirow_datum(row, column, &null);
	return null;
}

static inline int64
spirow_int64(uint64 row, int column)
{
	bool		null;
	Datum		value = spirow_datum(row, column, &null);

	return null ? 0 : DatumGetInt64(value);
}

static inline int32
spirow_int32(uint64 row, int column)
{
	bool		null;
	Datum		value = spirow_datum(row, column, &null);

	return null ? 0 : DatumGetInt32(value);
}

static inline bool
spirow_bool(uint64 row, int column)
{
	bool		null;
	Datum		value = spirow_datum(row, column, &null);

	return !null && DatumGetBool(value);
}

static inline TimestampTz
spirow_time(uint64 row, int column)
{
	bool		null;
	Datum		value = spirow_datum(row, column, &null);

	return null ? DT_NOEND : DatumGetTimestampTz(value);
}

static inline char *
spirow_text(uint64 row, int column)
{
	bool		null;
	Datum		value = spirow_datum(row, column, &null);

	return null ? NULL : TextDatumGetCString(value);
}

static inline bytea *
spirow_bytes(uint64 row, int column)
{
	bool		null;
	Datum		value = spirow_datum(row, column, &null);

	return null ? NULL : DatumGetByteaPCopy(value);
}

static inline Decimal
spirow_decimal(uint64 row, int column)
{
	bool		null;
	Datum		value = spirow_datum(row, column, &null);
	Decimal		decimal = BJ_DECIMAL_ZERO;

	if (!null)
		bj_check(bj_numeric_read(value, &decimal));
	return decimal;
}

#endif							/* BILLADJ_SPIROW_H */
