/*
 * currency.h
 *	  The currencies of ISO 4217: decimals and steps of cash.
 *
 * Compiled in, so that a calculator needs no table.
 */
#ifndef BILLADJ_CORE_CURRENCY_H
#define BILLADJ_CORE_CURRENCY_H

#include "core/decimal.h"

typedef struct Currency
{
	char		code[4];		/* three capital letters and a NUL */
	int16_t		decimals;		/* of the minor unit: 0 to 4 */
	int16_t		cash_units;		/* smallest coin in use, in minor units */
} Currency;

/*
 * code: length bytes, capital letters.  NULL for what is no active currency,
 * and for codes without a minor unit (metals such as XAU, XDR, XTS, XXX): no
 * bill can be rounded to one.
 */
extern const Currency *bj_currency_find(const char *code, size_t length);

/* The minor unit: 0.01 for most.  Rounding step of money that is not cash. */
extern Decimal bj_currency_step(const Currency *currency);

/* What cash is rounded to where it is used: 0.05 for CHF, 1.00 for SEK. */
extern Decimal bj_currency_cash_step(const Currency *currency);

/* All of them, ascending by code. */
extern const Currency *bj_currency_list(int32_t *count);

#endif							/* BILLADJ_CORE_CURRENCY_H */
