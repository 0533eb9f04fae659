/*
 * decimaltext.c
 *	  Decimals as text, both ways; the contract is in decimal.h.
 */
#include "core/decimal.h"

#include <string.h>

#include "core/wide.h"

/* Where an exponent stops to count: beyond every length of a text. */
#define EXPONENT_LIMIT INT64_C(1000000000000000)

/* What has been read of a number. */
typedef struct Reading
{
	UInt128		magnitude;		/* the digits up to the last nonzero one */
	int64_t		digits;			/* how many they are */
	int64_t		zeros;			/* zeros after them, of no value so far */
	int64_t		scale;			/* digits after the point, zeros included */
	int64_t		exponent;
	bool		any;			/* a digit was seen */
} Reading;

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static void
read_digit(Reading *reading, int digit)
{
	reading->any = true;
	if (digit == 0)
	{
		/* before the first nonzero digit a zero has no value either */
		if (reading->digits > 0)
			reading->zeros++;
		return;
	}

	/* A number that is too long is read on: its syntax may be wrong, too. */
	reading->digits += reading->zeros + 1;
	if (reading->digits <= BJ_DECIMAL_DIGITS)
		reading->magnitude = reading->magnitude *
			bj_power_of_ten[reading->zeros + 1] + (UInt128) digit;
	reading->zeros = 0;
}

/* Digits with an optional point, from text[i] on; returns where they end. */
static size_t
read_digits(const char *text, size_t i, size_t length, Reading *reading)
{
	bool		point = false;

	for (; i < length; i++)
	{
		if (is_digit(text[i]))
		{
			read_digit(reading, text[i] - '0');
			reading->scale += point;
		}
		else if (text[i] == '.' && !point)
			point = true;
		else
			break;
	}
	return i;
}

/* The exponent after its "e"; false if it is none. */
static bool
read_exponent(const char *text, size_t i, size_t length, Reading *reading)
{
	bool		negative = false;

	if (i < length && (text[i] == '+' || text[i] == '-'))
		negative = text[i++] == '-';
	if (i == length)
		return false;
	for (; i < length; i++)
	{
		if (!is_digit(text[i]))
			return false;
		if (reading->exponent < EXPONENT_LIMIT)
			reading->exponent = reading->exponent * 10 + (text[i] - '0');
	}
	if (negative)
		reading->exponent = -reading->exponent;
	return true;
}

BjStatus
bj_decimal_parse(const char *text, size_t length, Decimal *a)
{
	Reading		reading = {0};
	bool		negative = false;
	size_t		i = 0;
	int64_t		scale;

	if (i < length && (text[i] == '+' || text[i] == '-'))
		negative = text[i++] == '-';
	i = read_digits(text, i, length, &reading);
	if (!reading.any)
		return BJ_BAD_NUMBER;
	if (i < length && text[i] != 'e' && text[i] != 'E')
		return BJ_BAD_NUMBER;
	if (i < length && !read_exponent(text, i + 1, length, &reading))
		return BJ_BAD_NUMBER;

	if (reading.digits == 0)
	{
		*a = BJ_DECIMAL_ZERO;
		return BJ_OK;
	}

	/* the scale of the last nonzero digit */
	scale = reading.scale - reading.exponent - reading.zeros;
	if (reading.digits > BJ_DECIMAL_DIGITS || scale > BJ_MAX_SCALE)
		return BJ_OUT_OF_RANGE;

	/* A whole number is written out where there is room: 100 is (100, 0). */
	if (scale < 0 && reading.digits - scale <= BJ_DECIMAL_DIGITS)
	{
		reading.magnitude *= bj_power_of_ten[-scale];
		scale = 0;
	}
	else if (scale < BJ_MIN_SCALE)
	{
		int64_t		missing = BJ_MIN_SCALE - scale;

		if (reading.digits + missing > BJ_DECIMAL_DIGITS)
			return BJ_OUT_OF_RANGE;
		reading.magnitude *= bj_power_of_ten[missing];
		scale = BJ_MIN_SCALE;
	}
	a->coefficient = negative ? -(Int128) reading.magnitude :
		(Int128) reading.magnitude;
	a->scale = (int32_t) scale;
	return BJ_OK;
}

/* The digits of magnitude, at least width of them; returns how many. */
static size_t
format_magnitude(UInt128 magnitude, size_t width, char *text)
{
	size_t		length = (size_t) bj_magnitude_digits(magnitude);

	if (length < width)
		length = width;
	for (size_t i = length; i > 0; i--)
	{
		text[i - 1] = (char) ('0' + (int) (magnitude % 10));
		magnitude /= 10;
	}
	return length;
}

size_t
bj_decimal_format(Decimal a, char *text)
{
	size_t		decimals = a.scale > 0 ? (size_t) a.scale : 0;
	char	   *start = text;
	size_t		length;

	if (a.coefficient < 0)
		*text++ = '-';
	length = format_magnitude(bj_magnitude(a.coefficient), decimals + 1, text);
	if (decimals > 0)
	{
		char	   *point = text + length - decimals;

		memmove(point + 1, point, decimals);
		*point = '.';
		length++;
	}
	else if (a.coefficient != 0)
	{
		memset(text + length, '0', (size_t) -a.scale);
		length += (size_t) -a.scale;
	}
	text[length] = '\0';
	return (size_t) (text - start) + length;
}
