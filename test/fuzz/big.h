/*
 * big.h
 *	  Whole numbers as arrays of decimal digits: slow, plain, and nothing like
 *	  the code that they judge.
 */
#ifndef BILLADJ_FUZZ_BIG_H
#define BILLADJ_FUZZ_BIG_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/decimal.h"

#define BIG_DIGITS 6000

typedef struct Big
{
	int			n;				/* digits; none for 0 */
	uint8_t		digit[BIG_DIGITS];	/* the lowest first */
} Big;

static inline void
big_trim(Big *a)
{
	while (a->n > 0 && a->digit[a->n - 1] == 0)
		a->n--;
}

static inline void
big_set(Big *a, UInt128 value)
{
	for (a->n = 0; value != 0; value /= 10)
		a->digit[a->n++] = (uint8_t) (value % 10);
}

/* the magnitude of a coefficient */
static inline void
big_of(Big *a, Int128 coefficient)
{
	big_set(a, (UInt128) (coefficient < 0 ? -coefficient : coefficient));
}

static inline int
big_compare(const Big *a, const Big *b)
{
	if (a->n != b->n)
		return a->n < b->n ? -1 : 1;
	for (int i = a->n - 1; i >= 0; i--)
	{
		if (a->digit[i] != b->digit[i])
			return a->digit[i] < b->digit[i] ? -1 : 1;
	}
	return 0;
}

/* a * 10^places; places >= 0 */
static inline void
big_shift(Big *a, int places)
{
	if (a->n == 0)
		return;
	if (a->n + places > BIG_DIGITS)
		abort();
	memmove(a->digit + places, a->digit, (size_t) a->n);
	memset(a->digit, 0, (size_t) places);
	a->n += places;
}

static inline void
big_add(Big *a, const Big *b)
{
	int			carry = 0;
	int			n = a->n > b->n ? a->n : b->n;

	for (int i = 0; i < n || carry; i++)
	{
		int			sum = carry + (i < a->n ? a->digit[i] : 0) +
			(i < b->n ? b->digit[i] : 0);

		a->digit[i] = (uint8_t) (sum % 10);
		carry = sum / 10;
		if (i >= a->n)
			a->n = i + 1;
	}
}

/* a -= b; a >= b */
static inline void
big_subtract(Big *a, const Big *b)
{
	int			borrow = 0;

	for (int i = 0; i < a->n; i++)
	{
		int			difference = a->digit[i] - borrow - (i < b->n ? b->digit[i] : 0);

		borrow = difference < 0;
		a->digit[i] = (uint8_t) (difference + 10 * borrow);
	}
	big_trim(a);
}

static inline void
big_multiply(const Big *a, const Big *b, Big *product)
{
	memset(product->digit, 0, sizeof(product->digit));
	product->n = a->n + b->n;
	for (int i = 0; i < a->n; i++)
	{
		int			carry = 0;

		for (int j = 0; j < b->n || carry; j++)
		{
			int			sum = product->digit[i + j] + carry +
				(j < b->n ? a->digit[i] * b->digit[j] : 0);

			product->digit[i + j] = (uint8_t) (sum % 10);
			carry = sum / 10;
		}
	}
	big_trim(product);
}

/* a / b, rounded down; b is not 0 */
static inline void
big_divide(const Big *a, const Big *b, Big *quotient, Big *remainder)
{
	remainder->n = 0;
	quotient->n = a->n;
	for (int i = a->n - 1; i >= 0; i--)
	{
		big_shift(remainder, 1);
		if (remainder->n > 0)
			remainder->digit[0] = a->digit[i];
		else
			big_set(remainder, a->digit[i]);
		quotient->digit[i] = 0;
		while (big_compare(remainder, b) >= 0)
		{
			big_subtract(remainder, b);
			quotient->digit[i]++;
		}
	}
	big_trim(quotient);
}

#endif							/* BILLADJ_FUZZ_BIG_H */
