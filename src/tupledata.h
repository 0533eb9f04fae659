/*
 * tupledata.h
 *	  Writing the data of a heap tuple, value by value.
 *
 * For the kinds of columns that our own tables have: bigint, smallint,
 * timestamptz and untoasted varlena.  Each function writes at data and returns
 * where the next value may go.  The memory is zeroed: gaps stay so.
 */
#ifndef BILLADJ_TUPLEDATA_H
#define BILLADJ_TUPLEDATA_H

#include "postgres.h"

#include "compat.h"

static inline char *
bj_data_put_fixed(char *data, Datum value, int length)
{
	data = (char *) TYPEALIGN(length, data);
	if (length == sizeof(int64))
		*(int64 *) data = DatumGetInt64(value);
	else
		*(int16 *) data = DatumGetInt16(value);
	return data + length;
}

static inline char *
bj_data_put_varlena(char *data, Datum value)
{
	const char *from = DatumGetPointer(value);
	Size		length;

	if (VARATT_IS_SHORT(from))
		length = VARSIZE_SHORT(from);
	else if (VARATT_CAN_MAKE_SHORT(from))
	{
		length = VARATT_CONVERTED_SHORT_SIZE(from);
		SET_VARSIZE_SHORT(data, length);
		memcpy(data + 1, VARDATA(from), length - 1);
		return data + length;
	}
	else
	{
		data = (char *) TYPEALIGN(sizeof(int32), data);
		length = VARSIZE(from);
	}
	memcpy(data, from, length);
	return data + length;
}

#endif							/* BILLADJ_TUPLEDATA_H */
