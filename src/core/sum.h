/*
 * sum.h
 *	  A running exact sum as bytes: what an aggregate keeps between rows.
 *
 * Bytes travel between processes, and anybody may hand some over, so that
 * nothing of them is believed: bj_sum_get() is the judge.
 *
 * All of it is inline: it runs once a row, and a call costs as much as the
 * addition.
 */
#ifndef BILLADJ_CORE_SUM_H
#define BILLADJ_CORE_SUM_H

#include <string.h>

#include "core/decimal.h"
#include "core/wide.h"

/* What stands behind the sum. */
typedef enum SumKind
{
	BJ_SUM_PLAIN = 1,			/* nothing */
	BJ_SUM_PRICED = 2			/* a price */
} SumKind;

/* version, kind, scale (2), coefficient (16), in the machine's byte order */
#define BJ_SUM_SIZE 20
#define BJ_SUM_VERSION 1

#define BJ_SUM_SCALE_AT 2
#define BJ_SUM_COEFFICIENT_AT 4

/*
 * bytes: size of them, of any alignment.  False, with *sum left alone, unless
 * they begin with a sound sum of this kind and version.
 */
static inline bool
bj_sum_get(const void *bytes, size_t size, SumKind kind, Decimal *sum)
{
	const uint8_t *at = bytes;
	Int128		coefficient;
	int16_t		scale;

	if (size < BJ_SUM_SIZE || at[0] != BJ_SUM_VERSION || at[1] != kind)
		return false;
	memcpy(&scale, at + BJ_SUM_SCALE_AT, sizeof(scale));
	memcpy(&coefficient, at + BJ_SUM_COEFFICIENT_AT, sizeof(coefficient));

	/* The arithmetic looks powers of ten up by scale: see decimal.h. */
	if (scale < BJ_MIN_SCALE || scale > BJ_MAX_SCALE ||
		coefficient > BJ_DECIMAL_MAX || coefficient < -BJ_DECIMAL_MAX)
		return false;
	*sum = (Decimal) {coefficient, scale};
	return true;
}

/* Writes BJ_SUM_SIZE bytes. */
static inline void
bj_sum_put(void *bytes, SumKind kind, Decimal sum)
{
	uint8_t    *at = bytes;
	Int128		coefficient = sum.coefficient;
	int16_t		scale = (int16_t) sum.scale;

	at[0] = BJ_SUM_VERSION;
	at[1] = (uint8_t) kind;
	memcpy(at + BJ_SUM_SCALE_AT, &scale, sizeof(scale));
	memcpy(at + BJ_SUM_COEFFICIENT_AT, &coefficient, sizeof(coefficient));
}

/*
 * bj_decimal_add() in place.  A sum soon has as many decimals as any of its
 * rows, and a row's coefficient has 64 bits: then one multiplication does.
 */
static inline BjStatus
bj_sum_add(Decimal *sum, Decimal a)
{
	int32_t		places = sum->scale - a.scale;

	if (places >= 0 && places <= 18 && a.coefficient == (int64_t) a.coefficient)
	{
		/* below 10^37 beside a sum below 10^38: 127 bits hold both */
		Int128		total = sum->coefficient + (Int128) (int64_t) a.coefficient *
			(int64_t) bj_power_of_ten[places];

		if (total <= BJ_DECIMAL_MAX && total >= -BJ_DECIMAL_MAX)
		{
			sum->coefficient = total;
			return BJ_OK;
		}
	}
	return bj_decimal_add(*sum, a, sum);
}

#endif							/* BILLADJ_CORE_SUM_H */
