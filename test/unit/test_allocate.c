/*
 * test_allocate.c
 *	  Tables of divided amounts, and of currencies.
 */
#include <string.h>

#include "core/allocate.h"
#include "core/currency.h"
#include "tap.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))
#define PARTS_MAX 6
#define NINES "99999999999999999999999999999999999999"

static Decimal
number(const char *text)
{
	Decimal		a = {0, 0};

	if (bj_decimal_parse(text, strlen(text), &a) != BJ_OK)
		ok(false, "a number of the test is not readable: %s", text);
	return a;
}

static int32_t
numbers(const char *const *texts, Decimal *decimals)
{
	int32_t		n = 0;

	for (; n < PARTS_MAX && texts[n] != NULL; n++)
		decimals[n] = number(texts[n]);
	return n;
}

/* The decimals as one text, to compare and to print. */
static void
join(const Decimal *decimals, int32_t n, char *text)
{
	char		one[BJ_DECIMAL_TEXT_SIZE];

	*text = '\0';
	for (int32_t i = 0; i < n; i++)
	{
		bj_decimal_format(decimals[i], one);
		if (i > 0)
			strcat(text, " ");
		strcat(text, one);
	}
}

static const struct
{
	const char *amount;
	const char *weights[PARTS_MAX];
	int			scale;
	BjStatus	status;
	const char *parts;
}			allocate_cases[] = {
	{"100", {"1", "1", "1"}, 2, BJ_OK, "33.34 33.33 33.33"},
	{"-100", {"1", "1", "1"}, 2, BJ_OK, "-33.34 -33.33 -33.33"},
	{"0.05", {"1", "1"}, 2, BJ_OK, "0.03 0.02"},
	{"0.01", {"1", "2"}, 2, BJ_OK, "0.00 0.01"},
	{"0.01", {"1", "1"}, 2, BJ_OK, "0.01 0.00"},
	{"10", {"0", "1", "0"}, 0, BJ_OK, "0 10 0"},
	{"10", {"0", "3", "3", "3"}, 0, BJ_OK, "0 4 3 3"},
	{"0", {"1", "1"}, 2, BJ_OK, "0.00 0.00"},
	{"7", {"1"}, 3, BJ_OK, "7.000"},
	{"1", {"0.1", "0.20", "0.70"}, 1, BJ_OK, "0.1 0.2 0.7"},
	{"1", {"1e-500", "1e-500"}, 2, BJ_OK, "0.50 0.50"},
	{"1", {"1e500", "3e500"}, 2, BJ_OK, "0.25 0.75"},
	{"1000", {"1", "1", "1"}, -1, BJ_OK, "340 330 330"},
	/* one unit is left, and the second lost most */
	{"10", {"1.1", "4.7", "4.2", "0"}, 0, BJ_OK, "1 5 4 0"},
	{NINES, {"1", "1"}, 0, BJ_OK,
	"50000000000000000000000000000000000000 49999999999999999999999999999999999999"},
	{NINES, {NINES}, 0, BJ_OK, NINES},
	{"0.005", {"1", "1"}, 2, BJ_INEXACT, NULL},
	{NINES, {"1", "1"}, 1, BJ_OUT_OF_RANGE, NULL},
	{"1", {NINES, "2"}, 1, BJ_OUT_OF_RANGE, NULL},
	{"1", {"1e500", "1e-500"}, 1, BJ_OUT_OF_RANGE, NULL},
	{"1", {NULL}, 2, BJ_BAD_WEIGHTS, NULL},
	{"1", {"0", "0"}, 2, BJ_BAD_WEIGHTS, NULL},
	{"1", {"2", "-1"}, 2, BJ_BAD_WEIGHTS, NULL},
	{"1", {"2", "1"}, 1001, BJ_BAD_SCALE, NULL},
};

static void
test_allocate(void)
{
	for (size_t i = 0; i < COUNT(allocate_cases); i++)
	{
		Decimal		weights[PARTS_MAX];
		Decimal		parts[PARTS_MAX];
		AllocateWork work[PARTS_MAX];
		char		text[PARTS_MAX * BJ_DECIMAL_TEXT_SIZE];
		int32_t		n = numbers(allocate_cases[i].weights, weights);
		BjStatus	status;

		status = bj_allocate(number(allocate_cases[i].amount), weights, n,
							 allocate_cases[i].scale, work, parts);
		if (!ok(status == allocate_cases[i].status, "status of %s, row %zu",
				allocate_cases[i].amount, i))
			printf("# found status %d\n", status);
		if (status != BJ_OK)
			continue;
		join(parts, n, text);
		if (!ok(strcmp(text, allocate_cases[i].parts) == 0, "parts of row %zu", i))
			printf("# found %s, wanted %s\n", text, allocate_cases[i].parts);
	}
}

/* A hundred thousand parts: a selection in n squared would not come back. */
static void
test_many(void)
{
	enum
	{
		N = 100000
	};
	static Decimal weights[N];
	static Decimal parts[N];
	static AllocateWork work[N];
	Decimal		sum = BJ_DECIMAL_ZERO;
	bool		stable = true;

	for (int32_t i = 0; i < N; i++)
		weights[i] = (Decimal) {1 + i % 7, 0};
	ok(bj_allocate(number("1234567.89"), weights, N, 2, work, parts) == BJ_OK,
	   "100,000 parts");
	for (int32_t i = 0; i < N; i++)
	{
		(void) bj_decimal_add(sum, parts[i], &sum);
		if (i >= 7)
			stable &= bj_decimal_compare(parts[i], parts[i - 7]) <= 0;
	}
	ok(bj_decimal_compare(sum, number("1234567.89")) == 0, "they sum");
	ok(stable, "of equal weights the first gets the unit");
}

static const struct
{
	const char *exact[PARTS_MAX];
	const char *step;
	Rounding	mode;
	BjStatus	status;
	const char *parts;
	const char *total;
}			share_cases[] = {
	{{"0.004", "0.004", "0.004"}, "0.01", BJ_ROUND_HALF_UP, BJ_OK,
	"0.01 0.00 0.00", "0.01"},
	{{"-0.004", "-0.004", "-0.004"}, "0.01", BJ_ROUND_HALF_UP, BJ_OK,
	"-0.01 0.00 0.00", "-0.01"},
	{{"0.005", "0.005"}, "0.01", BJ_ROUND_HALF_UP, BJ_OK, "0.01 0.00", "0.01"},
	{{"1.005", "2.009", "3.001"}, "0.01", BJ_ROUND_HALF_UP, BJ_OK,
	"1.01 2.01 3.00", "6.02"},
	{{"1.005", "2.009", "3.001"}, "0.01", BJ_ROUND_DOWN, BJ_OK,
	"1.00 2.01 3.00", "6.01"},
	{{"1.005", "-1.005"}, "0.01", BJ_ROUND_HALF_UP, BJ_OK, "1.01 -1.01", "0.00"},
	{{"-1.005", "1.005"}, "0.01", BJ_ROUND_HALF_UP, BJ_OK, "-1.01 1.01", "0.00"},
	{{"1.02", "1.02", "1.02"}, "0.05", BJ_ROUND_HALF_UP, BJ_OK,
	"1.05 1.00 1.00", "3.05"},
	{{"1.5", "1.5"}, "1", BJ_ROUND_NEVER, BJ_OK, "2 1", "3"},
	{{"1.5", "1.4"}, "1", BJ_ROUND_NEVER, BJ_INEXACT, NULL, NULL},
	{{"-0.5", "-0.2"}, "1", BJ_ROUND_FLOOR, BJ_OK, "-1 0", "-1"},
	{{"-0.5", "-0.2"}, "1", BJ_ROUND_CEIL, BJ_OK, "0 0", "0"},
	{{"0.001"}, "0.01", BJ_ROUND_UP, BJ_OK, "0.01", "0.01"},
	{{NULL}, "0.01", BJ_ROUND_UP, BJ_OK, "", "0.00"},
	{{"1"}, "0", BJ_ROUND_UP, BJ_BAD_STEP, NULL, NULL},
};

static void
test_share(void)
{
	for (size_t i = 0; i < COUNT(share_cases); i++)
	{
		Decimal		exact[PARTS_MAX];
		Decimal		parts[PARTS_MAX];
		Decimal		total;
		char		text[PARTS_MAX * BJ_DECIMAL_TEXT_SIZE];
		int32_t		n = numbers(share_cases[i].exact, exact);
		BjStatus	status;

		status = bj_share_residual(exact, n, number(share_cases[i].step),
								   share_cases[i].mode, parts, &total);
		ok(status == share_cases[i].status, "status of share row %zu", i);
		if (status != BJ_OK)
			continue;
		join(parts, n, text);
		if (!ok(strcmp(text, share_cases[i].parts) == 0, "shares of row %zu", i))
			printf("# found %s, wanted %s\n", text, share_cases[i].parts);
		ok(bj_decimal_compare(total, number(share_cases[i].total)) == 0,
		   "total of share row %zu", i);
	}
}

static const struct
{
	const char *code;
	int			decimals;		/* -1: no currency to bill in */
	const char *cash_step;
}			currency_cases[] = {
	{"EUR", 2, "0.01"}, {"USD", 2, "0.01"}, {"JPY", 0, "1"}, {"KRW", 0, "1"},
	{"BHD", 3, "0.001"}, {"TND", 3, "0.001"}, {"CLF", 4, "0.0001"},
	{"UYW", 4, "0.0001"}, {"CHF", 2, "0.05"}, {"SEK", 2, "1"},
	{"HUF", 2, "5"}, {"DKK", 2, "0.5"}, {"AED", 2, "0.01"}, {"ZWG", 2, "0.01"},
	{"XAU", -1, NULL}, {"XXX", -1, NULL}, {"XDR", -1, NULL}, {"eur", -1, NULL},
	{"EU", -1, NULL}, {"EURO", -1, NULL}, {"", -1, NULL}, {"AAA", -1, NULL},
	{"ZZZ", -1, NULL}, {"\377\377\377", -1, NULL}, {"DEM", -1, NULL}
};

static void
test_currency(void)
{
	int32_t		count;
	const Currency *list = bj_currency_list(&count);
	bool		right = true;

	for (size_t i = 0; i < COUNT(currency_cases); i++)
	{
		const char *code = currency_cases[i].code;
		const Currency *found = bj_currency_find(code, strlen(code));

		if (currency_cases[i].decimals < 0)
			ok(found == NULL, "\"%s\" is not billable", code);
		else
			ok(found != NULL && found->decimals == currency_cases[i].decimals &&
			   bj_decimal_compare(bj_currency_cash_step(found),
								  number(currency_cases[i].cash_step)) == 0,
			   "%s", code);
	}

	/* what the binary search relies on */
	for (int32_t i = 0; i < count; i++)
		right &= (i == 0 || strcmp(list[i - 1].code, list[i].code) < 0) &&
			bj_currency_find(list[i].code, 3) == &list[i] &&
			bj_currency_step(&list[i]).scale == list[i].decimals;
	ok(right && count == 166, "%d currencies, ascending", count);
}

int
main(void)
{
	test_allocate();
	test_many();
	test_share();
	test_currency();
	return done_testing();
}
