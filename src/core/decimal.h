/*
 * decimal.h
 *	  Exact decimal numbers: a 128-bit coefficient and a decimal scale.
 *
 * Pure core: no PostgreSQL header, no allocation, no state.  A result is
 * written only when the status is BJ_OK.  Every result is exact, or rounded by
 * a mode that the caller named; what cannot be held exactly is
 * BJ_OUT_OF_RANGE.  Intermediate values have 256 bits, so that only the result
 * itself decides whether it fits.
 */
#ifndef BILLADJ_CORE_DECIMAL_H
#define BILLADJ_CORE_DECIMAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/status.h"

/*
 * palloc() aligns to 8 bytes only; an ordinary __int128 may be moved by
 * instructions that want 16.
 */
typedef __int128 Int128 __attribute__((aligned(8)));
typedef unsigned __int128 UInt128 __attribute__((aligned(8)));

/*
 * The value coefficient * 10 ^ -scale.  Trailing zeros are allowed: 1.50 may
 * be (150, 2) or (15, 1).  A negative scale stands for zeros before the point.
 */
typedef struct Decimal
{
	Int128		coefficient;	/* |coefficient| <= BJ_DECIMAL_MAX */
	int32_t		scale;			/* BJ_MIN_SCALE .. BJ_MAX_SCALE */
} Decimal;

/* 10^38 - 1: every coefficient of up to 38 digits, and safely negated. */
#define BJ_DECIMAL_MAX \
	((Int128) 10000000000000000000ULL * 10000000000000000000ULL - 1)
#define BJ_MIN_SCALE (-1000)
#define BJ_MAX_SCALE 1000

/* "-", 38 digits, a point, and up to 1000 zeros on either side; and the NUL */
#define BJ_DECIMAL_TEXT_SIZE 1056

#define BJ_DECIMAL_ZERO ((Decimal) {0, 0})

/* Every division names its rounding where it is called; there is no default. */
typedef enum Rounding
{
	BJ_ROUND_NEVER,				/* a remainder is an error */
	BJ_ROUND_HALF_UP,			/* ties away from zero */
	BJ_ROUND_HALF_EVEN,			/* ties to the even neighbour */
	BJ_ROUND_HALF_DOWN,			/* ties toward zero */
	BJ_ROUND_UP,				/* away from zero */
	BJ_ROUND_DOWN,				/* toward zero */
	BJ_ROUND_CEIL,				/* toward plus infinity */
	BJ_ROUND_FLOOR				/* toward minus infinity */
} Rounding;

/* name: "half_up" and so on, NUL-terminated */
extern BjStatus bj_rounding_parse(const char *name, Rounding *rounding);
extern const char *bj_rounding_name(Rounding rounding);

/* -1, 0, 1 by value: 1.50 equals 1.5.  Never fails. */
extern int	bj_decimal_compare(Decimal a, Decimal b);
extern int	bj_decimal_sign(Decimal a);
extern Decimal bj_decimal_negate(Decimal a);
extern Decimal bj_decimal_from_int64(int64_t value);

/* The same value without trailing zeros after the point; scale >= 0 stays so,
 * a negative scale is kept. */
extern Decimal bj_decimal_normalize(Decimal a);

/* Exact.  The result may be normalized to make it fit. */
extern BjStatus bj_decimal_add(Decimal a, Decimal b, Decimal *sum);
extern BjStatus bj_decimal_subtract(Decimal a, Decimal b, Decimal *difference);
extern BjStatus bj_decimal_multiply(Decimal a, Decimal b, Decimal *product);

/* a / b, rounded at scale decimals. */
extern BjStatus bj_decimal_divide(Decimal a, Decimal b, int32_t scale,
								  Rounding rounding, Decimal *quotient);

/*
 * a * b / c.  A quotient with a finite decimal expansion is exact, however
 * many decimals it has; any other is rounded at scale decimals.
 */
extern BjStatus bj_decimal_multiply_divide(Decimal a, Decimal b, Decimal c,
										   int32_t scale, Rounding rounding,
										   Decimal *result);

/*
 * a * b / c, rounded at scale decimals, whether or not the quotient has an
 * end.  The product is not rounded.
 */
extern BjStatus bj_decimal_multiply_divide_round(Decimal a, Decimal b,
												 Decimal c, int32_t scale,
												 Rounding rounding,
												 Decimal *result);

/* Does a / b have a finite decimal expansion?  b is not zero. */
extern bool bj_decimal_terminates(Decimal a, Decimal b);

/* Rounded at scale decimals; the result has exactly that scale when it fits. */
extern BjStatus bj_decimal_round(Decimal a, int32_t scale, Rounding rounding,
								 Decimal *result);

/* The multiple of step that the mode picks; step > 0, else BJ_BAD_STEP. */
extern BjStatus bj_decimal_round_step(Decimal a, Decimal step,
									  Rounding rounding, Decimal *result);

/*
 * text: length bytes, an optional sign, digits with an optional point, an
 * optional exponent; no blanks.  Zeros that carry no value never make a number
 * too long.
 */
extern BjStatus bj_decimal_parse(const char *text, size_t length, Decimal *a);

/* text: BJ_DECIMAL_TEXT_SIZE bytes.  Returns the length without the NUL. */
extern size_t bj_decimal_format(Decimal a, char *text);

#endif							/* BILLADJ_CORE_DECIMAL_H */
