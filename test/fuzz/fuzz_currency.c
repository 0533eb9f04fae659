/*
 * fuzz_currency.c
 *	  Any bytes as a currency code: found if and only if a plain walk through the
 *	  list finds them, and what is found can round money.
 */
#include "core/currency.h"
#include "bytes.h"

#include <stdio.h>

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Bytes		bytes = bytes_of(data, size);
	char		code[4];
	size_t		length = (size_t) take_int(&bytes, 0, 4);
	const Currency *found;
	const Currency *wanted = NULL;
	const Currency *list;
	int32_t		count;
	Decimal		amount = {take_int(&bytes, -30000, 30000), 5};
	Decimal		money;
	Decimal		cash;

	list = bj_currency_list(&count);
	if (take_byte(&bytes) & 1)
	{
		/* a code of the list, or one letter away from it */
		memcpy(code, list[take_int(&bytes, 0, count - 1)].code, sizeof(code));
		if (take_byte(&bytes) & 1)
			code[take_int(&bytes, 0, 3)] = (char) take_byte(&bytes);
		length = 3;
	}
	else
	{
		for (size_t i = 0; i < sizeof(code); i++)
			code[i] = (char) ('A' + take_int(&bytes, 0, 27));
	}

	found = bj_currency_find(code, length);
	for (int32_t i = 0; i < count; i++)
	{
		if (length == 3 && memcmp(code, list[i].code, 3) == 0)
			wanted = &list[i];
	}
	must(found == wanted);
	if (found == NULL)
		return 0;

	must(found->decimals >= 0 && found->decimals <= 4);
	must(bj_decimal_round_step(amount, bj_currency_step(found),
							   BJ_ROUND_HALF_UP, &money) == BJ_OK);
	must(bj_decimal_round_step(amount, bj_currency_cash_step(found),
							   BJ_ROUND_HALF_UP, &cash) == BJ_OK);
	must(bj_decimal_round(cash, found->decimals, BJ_ROUND_NEVER, &cash) == BJ_OK);
	must(cash.coefficient % found->cash_units == 0);
	must(found->cash_units != 1 || bj_decimal_compare(money, cash) == 0);
	return 0;
}
