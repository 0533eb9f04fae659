/*
 * cardnumber.c
 *	  Finds what looks like the number of a payment card in free text.
 */
#include "core/cardnumber.h"

#define MIN_DIGITS 13
#define MAX_DIGITS 19

/* Luhn: every second digit from the right is doubled, its digits added. */
static bool
check_digit_ok(const char *digits, int n)
{
	int			sum = 0;

	for (int i = 0; i < n; i++)
	{
		int			digit = digits[n - 1 - i] - '0';

		if (i % 2 == 1)
			digit = digit * 2 > 9 ? digit * 2 - 9 : digit * 2;
		sum += digit;
	}
	return sum % 10 == 0;
}

/* 2 to 6 are the industries of payment cards; other numbers are not theirs. */
static bool
is_card_number(const char *digits, int n)
{
	return n >= MIN_DIGITS && n <= MAX_DIGITS &&
		digits[0] >= '2' && digits[0] <= '6' && check_digit_ok(digits, n);
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

bool
bj_text_has_card_number(const char *text, size_t length)
{
	char		digits[MAX_DIGITS + 1];
	size_t		i = 0;

	while (i < length)
	{
		int			n = 0;

		/* one run of digits; more than a card has are counted, not kept */
		while (i < length && is_digit(text[i]))
		{
			if (n <= MAX_DIGITS)
				digits[n++] = text[i];
			i++;
			if (i + 1 < length && is_digit(text[i + 1]) &&
				(text[i] == ' ' || text[i] == '-' || text[i] == '.'))
				i++;
		}
		if (is_card_number(digits, n))
			return true;
		if (n == 0)
			i++;
	}
	return false;
}
