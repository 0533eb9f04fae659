/*
 * numericcodec.h
 *	  Between the server's numeric and the core's Decimal, by stored digits.
 */
#ifndef BILLADJ_NUMERICCODEC_H
#define BILLADJ_NUMERICCODEC_H

#include "postgres.h"

#include "core/decimal.h"

/* Bytes that bj_numeric_write() needs at most; see numericcodec.c. */
#define BJ_NUMERIC_SIZE 48

/*
 * datum: a numeric, possibly toasted, short or unaligned.  BJ_NOT_A_NUMBER,
 * BJ_INFINITE or BJ_OUT_OF_RANGE leave *a alone.  Never throws on a value.
 */
extern BjStatus bj_numeric_read(Datum datum, Decimal *a);

/*
 * The same value, maybe with up to three zeros at its end: for sums, which
 * are normalized once when they are written, and not at each row.
 */
extern BjStatus bj_numeric_read_padded(Datum datum, Decimal *a);

/*
 * Writes a as a numeric (4-byte header, MAXALIGNed buffer of BJ_NUMERIC_SIZE
 * bytes) in canonical form: no trailing zeros after the point.  Returns
 * buffer as a Datum.
 */
extern Datum bj_numeric_write(Decimal a, char *buffer);

/*
 * The nearest double, NaN and infinities too; for scores, never for money.
 * What no double can hold is an infinity.
 */
extern double bj_numeric_double(Datum datum);

/* The same double as that of the numeric it was read from. */
extern double bj_decimal_double(Decimal a);

/* bj_numeric_write(), palloc'd; min_scale decimals are shown at least (0: canonical). */
extern Datum bj_numeric_make(Decimal a, int32 min_scale);

#endif							/* BILLADJ_NUMERICCODEC_H */
