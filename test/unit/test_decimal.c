/*
 * test_decimal.c
 *	  Tables of decimal arithmetic: a row per case that has ever mattered.
 *
 * Numbers are text: an expected result is compared by its text, hence by
 * value and by the number of decimals.  Random cases against an independent
 * computation are in test/fuzz/fuzz_decimal.c.
 */
#include <string.h>

#include "core/decimal.h"
#include "core/wide.h"
#include "tap.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

#define NINES "99999999999999999999999999999999999999" /* 38 of them */

static Decimal
number(const char *text)
{
	Decimal		a = {0, 0};

	if (bj_decimal_parse(text, strlen(text), &a) != BJ_OK)
		ok(false, "a number of the test is not readable: %s", text);
	return a;
}

static void
check(const char *name, BjStatus found, BjStatus wanted, Decimal a,
	  const char *text)
{
	char		buffer[BJ_DECIMAL_TEXT_SIZE];

	bj_decimal_format(a, buffer);
	if (wanted == BJ_OK && found == BJ_OK)
	{
		if (!ok(strcmp(buffer, text) == 0, "%s", name))
			printf("# found %s, wanted %s\n", buffer, text);
	}
	else if (!ok(found == wanted && a.coefficient == 77, "%s", name))
		printf("# found status %d (%s), wanted %d\n", found, buffer, wanted);
}

/* A result that a failing function must leave alone. */
#define UNTOUCHED ((Decimal) {77, 7})

static const struct
{
	const char *text;
	BjStatus	status;
	const char *formatted;
	int			scale;
}			parse_cases[] = {
	{"0", BJ_OK, "0", 0},
	{"-0", BJ_OK, "0", 0},
	{"0.00", BJ_OK, "0", 0},
	{"1.50", BJ_OK, "1.5", 1},
	{"+1.5", BJ_OK, "1.5", 1},
	{"-1.5", BJ_OK, "-1.5", 1},
	{".5", BJ_OK, "0.5", 1},
	{"5.", BJ_OK, "5", 0},
	{"100", BJ_OK, "100", 0},
	{"000000000000000000000000000000000000000000000000000001", BJ_OK, "1", 0},
	{"1.00000000000000000000000000000000000000000000000000000", BJ_OK, "1", 0},
	{"10000000000000000000000000000000000000000000.000", BJ_OK,
	"10000000000000000000000000000000000000000000", -43},
	{"1e3", BJ_OK, "1000", 0},
	{"1E+3", BJ_OK, "1000", 0},
	{"1e-3", BJ_OK, "0.001", 3},
	{"12.5e1", BJ_OK, "125", 0},
	{"0e999999999999999999999999", BJ_OK, "0", 0},
	{"1e37", BJ_OK, "10000000000000000000000000000000000000", 0},
	{"1e38", BJ_OK, "100000000000000000000000000000000000000", -38},
	{NINES, BJ_OK, NINES, 0},
	{"-" NINES "e-38", BJ_OK, "-0." NINES, 38},
	{"1" NINES, BJ_OUT_OF_RANGE, NULL, 0},
	{"1e-1000", BJ_OK, NULL, 1000},
	{"10e-1001", BJ_OK, NULL, 1000},
	{"1e-1001", BJ_OUT_OF_RANGE, NULL, 0},
	{"1e1000", BJ_OK, NULL, -1000},
	{"1e1037", BJ_OK, NULL, -1000},
	{"1e1038", BJ_OUT_OF_RANGE, NULL, 0},
	{"1e99999999999999999999", BJ_OUT_OF_RANGE, NULL, 0},
	{"1e-99999999999999999999", BJ_OUT_OF_RANGE, NULL, 0},
	{"", BJ_BAD_NUMBER, NULL, 0},
	{"-", BJ_BAD_NUMBER, NULL, 0},
	{".", BJ_BAD_NUMBER, NULL, 0},
	{"e5", BJ_BAD_NUMBER, NULL, 0},
	{"1e", BJ_BAD_NUMBER, NULL, 0},
	{"1e+", BJ_BAD_NUMBER, NULL, 0},
	{"1.2.3", BJ_BAD_NUMBER, NULL, 0},
	{" 1", BJ_BAD_NUMBER, NULL, 0},
	{"1 ", BJ_BAD_NUMBER, NULL, 0},
	{"1,5", BJ_BAD_NUMBER, NULL, 0},
	{"--1", BJ_BAD_NUMBER, NULL, 0},
	{"NaN", BJ_BAD_NUMBER, NULL, 0},
	{"0x10", BJ_BAD_NUMBER, NULL, 0},
	{"1" NINES "x", BJ_BAD_NUMBER, NULL, 0},
	{"1e5.0", BJ_BAD_NUMBER, NULL, 0},
};

static void
test_parse(void)
{
	for (size_t i = 0; i < COUNT(parse_cases); i++)
	{
		const char *text = parse_cases[i].text;
		Decimal		a = UNTOUCHED;
		Decimal		again;
		char		buffer[BJ_DECIMAL_TEXT_SIZE];
		BjStatus	status = bj_decimal_parse(text, strlen(text), &a);
		size_t		length = bj_decimal_format(a, buffer);

		ok(status == parse_cases[i].status, "parse \"%s\"", text);
		if (status != BJ_OK)
		{
			ok(a.coefficient == 77, "nothing is written for \"%s\"", text);
			continue;
		}
		ok(a.scale == parse_cases[i].scale && length == strlen(buffer),
		   "scale and length of \"%s\"", text);
		if (parse_cases[i].formatted != NULL)
			ok(strcmp(buffer, parse_cases[i].formatted) == 0, "format \"%s\"",
			   text);
		ok(bj_decimal_parse(buffer, length, &again) == BJ_OK &&
		   again.coefficient == a.coefficient && again.scale == a.scale,
		   "\"%s\" comes back", text);
	}
}

/* what one mode makes of each of the values, at one decimal */
static const char *const round_values[] = {
	"0.01", "0.05", "0.15", "0.25", "0.26", "0.99", "-0.01", "-0.05", "-0.15",
	"-0.25", "-0.26", "-0.99", "0", "7"
};

static const struct
{
	const char *mode;
	const char *rounded[COUNT(round_values)];
}			round_cases[] = {
	{"half_up", {"0.0", "0.1", "0.2", "0.3", "0.3", "1.0", "0.0", "-0.1",
	"-0.2", "-0.3", "-0.3", "-1.0", "0.0", "7.0"}},
	{"half_even", {"0.0", "0.0", "0.2", "0.2", "0.3", "1.0", "0.0", "0.0",
	"-0.2", "-0.2", "-0.3", "-1.0", "0.0", "7.0"}},
	{"half_down", {"0.0", "0.0", "0.1", "0.2", "0.3", "1.0", "0.0", "0.0",
	"-0.1", "-0.2", "-0.3", "-1.0", "0.0", "7.0"}},
	{"up", {"0.1", "0.1", "0.2", "0.3", "0.3", "1.0", "-0.1", "-0.1", "-0.2",
	"-0.3", "-0.3", "-1.0", "0.0", "7.0"}},
	{"down", {"0.0", "0.0", "0.1", "0.2", "0.2", "0.9", "0.0", "0.0", "-0.1",
	"-0.2", "-0.2", "-0.9", "0.0", "7.0"}},
	{"ceil", {"0.1", "0.1", "0.2", "0.3", "0.3", "1.0", "0.0", "0.0", "-0.1",
	"-0.2", "-0.2", "-0.9", "0.0", "7.0"}},
	{"floor", {"0.0", "0.0", "0.1", "0.2", "0.2", "0.9", "-0.1", "-0.1",
	"-0.2", "-0.3", "-0.3", "-1.0", "0.0", "7.0"}},
	{"never", {NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
	NULL, NULL, "0.0", "7.0"}},
};

static void
test_round(void)
{
	for (size_t i = 0; i < COUNT(round_cases); i++)
	{
		Rounding	mode = BJ_ROUND_NEVER;

		ok(bj_rounding_parse(round_cases[i].mode, &mode) == BJ_OK &&
		   strcmp(bj_rounding_name(mode), round_cases[i].mode) == 0,
		   "mode %s", round_cases[i].mode);
		for (size_t j = 0; j < COUNT(round_values); j++)
		{
			const char *wanted = round_cases[i].rounded[j];
			Decimal		a = number(round_values[j]);
			Decimal		result = UNTOUCHED;
			BjStatus	status = bj_decimal_round(a, 1, mode, &result);
			char		name[80];

			snprintf(name, sizeof(name), "round %s %s", round_values[j],
					 round_cases[i].mode);
			check(name, status, wanted ? BJ_OK : BJ_INEXACT, result, wanted);

			/* ten tenths are no round number: the way of any other step */
			result = UNTOUCHED;
			status = bj_decimal_round_step(a, (Decimal) {10, 2}, mode, &result);
			if (status == BJ_OK)
				ok(wanted && bj_decimal_compare(result, number(wanted)) == 0,
				   "%s by step", name);
			else
				ok(status == BJ_INEXACT && wanted == NULL, "%s by step", name);
		}
	}
	{
		Rounding	mode = BJ_ROUND_CEIL;

		ok(bj_rounding_parse("HALF_UP", &mode) == BJ_BAD_ROUNDING &&
		   mode == BJ_ROUND_CEIL, "modes are lower case");
	}
}

typedef enum Operation
{
	ADD, SUBTRACT, MULTIPLY
} Operation;

static const struct
{
	Operation	operation;
	const char *a;
	const char *b;
	BjStatus	status;
	const char *result;
}			exact_cases[] = {
	{ADD, "1.5", "2.25", BJ_OK, "3.75"},
	{ADD, "0.1", "0.2", BJ_OK, "0.3"},
	{ADD, "0", "1e-1000", BJ_OK, NULL},
	{ADD, "1e1000", "0", BJ_OK, NULL},
	{ADD, "1e500", "1e-500", BJ_OUT_OF_RANGE, NULL},
	{ADD, "1e38", "-1", BJ_OK, NINES},
	{ADD, NINES, "1", BJ_OK, "100000000000000000000000000000000000000"},
	{ADD, NINES, "2", BJ_OUT_OF_RANGE, NULL},
	{ADD, NINES, NINES, BJ_OUT_OF_RANGE, NULL},
	{ADD, "9e37", "9e37", BJ_OK, "180000000000000000000000000000000000000"},
	{ADD, NINES, "0.1", BJ_OUT_OF_RANGE, NULL},
	{ADD, "1e39", "-5e37", BJ_OK, "950000000000000000000000000000000000000"},
	/* 3.403e38 is just above 2^128: the high half lends to the low one */
	{ADD, "3403e35", "-9e37", BJ_OK, "250300000000000000000000000000000000000"},
	{SUBTRACT, "1.5", "1.5", BJ_OK, "0.0"},
	{SUBTRACT, "1", "0.01", BJ_OK, "0.99"},
	{SUBTRACT, NINES, "-" NINES, BJ_OUT_OF_RANGE, NULL},
	{SUBTRACT, NINES, NINES, BJ_OK, "0"},
	{MULTIPLY, "1.5", "-2", BJ_OK, "-3.0"},
	{MULTIPLY, "0", "-2", BJ_OK, "0"},
	{MULTIPLY, NINES, NINES, BJ_OUT_OF_RANGE, NULL},
	{MULTIPLY, NINES, "10", BJ_OK, NINES "0"},
	{MULTIPLY, "1e1000", "1e-1000", BJ_OK, NULL},
	{MULTIPLY, "1e1000", "1e1000", BJ_OUT_OF_RANGE, NULL},
	{MULTIPLY, "1e999", "1e38", BJ_OK, NULL},
	{MULTIPLY, "1e1000", "1e38", BJ_OUT_OF_RANGE, NULL},
	{MULTIPLY, "1e-600", "1e-600", BJ_OUT_OF_RANGE, NULL},
	{MULTIPLY, "2e-500", "5e-501", BJ_OK, NULL},
	{MULTIPLY, "25000000000000000000000", "40000000000000000000000", BJ_OK,
	"1000000000000000000000000000000000000000000000"},
};

static void
test_exact(void)
{
	for (size_t i = 0; i < COUNT(exact_cases); i++)
	{
		Decimal		a = number(exact_cases[i].a);
		Decimal		b = number(exact_cases[i].b);
		Decimal		result = UNTOUCHED;
		BjStatus	status = BJ_OK;
		char		name[200];

		switch (exact_cases[i].operation)
		{
			case ADD:
				status = bj_decimal_add(a, b, &result);
				break;
			case SUBTRACT:
				status = bj_decimal_subtract(a, b, &result);
				break;
			case MULTIPLY:
				status = bj_decimal_multiply(a, b, &result);
				break;
		}
		snprintf(name, sizeof(name), "%s %c %s", exact_cases[i].a,
				 "+-*"[exact_cases[i].operation], exact_cases[i].b);
		if (status == BJ_OK && exact_cases[i].result == NULL)
			ok(exact_cases[i].status == BJ_OK, "%s", name);
		else
			check(name, status, exact_cases[i].status, result,
				  exact_cases[i].result);
	}
}

static const struct
{
	const char *a;
	const char *b;
	const char *c;
	int			scale;
	Rounding	rounding;
	BjStatus	status;
	const char *result;
}			ratio_cases[] = {
	/* a price per million: only the point moves */
	{"18059974", "2.50", "1e6", 2, BJ_ROUND_NEVER, BJ_OK, "45.1499350"},
	{"1", "1", "3", 4, BJ_ROUND_HALF_EVEN, BJ_OK, "0.3333"},
	{"2", "1", "3", 4, BJ_ROUND_HALF_EVEN, BJ_OK, "0.6667"},
	{"-2", "1", "3", 4, BJ_ROUND_HALF_EVEN, BJ_OK, "-0.6667"},
	{"-2", "1", "3", 4, BJ_ROUND_CEIL, BJ_OK, "-0.6666"},
	{"-2", "-1", "-3", 4, BJ_ROUND_FLOOR, BJ_OK, "-0.6667"},
	{"1", "1", "3", 4, BJ_ROUND_NEVER, BJ_INEXACT, NULL},
	{"1", "1", "3", 38, BJ_ROUND_DOWN, BJ_OK,
	"0.33333333333333333333333333333333333333"},
	{"1", "1", "3", 39, BJ_ROUND_DOWN, BJ_OUT_OF_RANGE, NULL},
	{"1", "1", "3", 1000, BJ_ROUND_DOWN, BJ_OUT_OF_RANGE, NULL},
	/* finite: exact beyond the scale */
	{"1", "1", "8", 0, BJ_ROUND_DOWN, BJ_OK, "0.125"},
	{"3", "1", "6", 0, BJ_ROUND_DOWN, BJ_OK, "0.5"},
	{"6", "7", "3", 0, BJ_ROUND_DOWN, BJ_OK, "14"},
	{"1", "1", "1024", 0, BJ_ROUND_DOWN, BJ_OK, "0.0009765625"},
	{"1e-600", "1e-600", "1e-700", 0, BJ_ROUND_DOWN, BJ_OK, NULL},
	{NINES, NINES, NINES, 0, BJ_ROUND_NEVER, BJ_OK, NINES},
	{NINES, "10", "100", 0, BJ_ROUND_NEVER, BJ_OK,
	"9999999999999999999999999999999999999.9"},
	{NINES, "2", "1", 0, BJ_ROUND_DOWN, BJ_OUT_OF_RANGE, NULL},
	/* 2^-126 has 88 digits: finite, and too many */
	{"1", "1", "85070591730234615865843651857942052864", 2, BJ_ROUND_DOWN,
	BJ_OUT_OF_RANGE, NULL},
	{"1e-40", "1", "3", 2, BJ_ROUND_UP, BJ_OK, "0.01"},
	{"1e-40", "1", "3", 2, BJ_ROUND_HALF_UP, BJ_OK, "0.00"},
	{"1e-1000", "1e-1000", "3", 2, BJ_ROUND_UP, BJ_OK, "0.01"},
	{"1e1000", "1", "3", 2, BJ_ROUND_UP, BJ_OUT_OF_RANGE, NULL},
	{"0", "5", "3", 2, BJ_ROUND_NEVER, BJ_OK, "0"},
	{"1", "5", "0", 2, BJ_ROUND_NEVER, BJ_DIVISION_BY_ZERO, NULL},
	{"1", "5", "3", 1001, BJ_ROUND_NEVER, BJ_BAD_SCALE, NULL},
};

static void
test_multiply_divide(void)
{
	for (size_t i = 0; i < COUNT(ratio_cases); i++)
	{
		Decimal		result = UNTOUCHED;
		BjStatus	status;
		char		name[200];

		status = bj_decimal_multiply_divide(number(ratio_cases[i].a),
											number(ratio_cases[i].b),
											number(ratio_cases[i].c),
											ratio_cases[i].scale,
											ratio_cases[i].rounding, &result);
		snprintf(name, sizeof(name), "%s * %s / %s, %d %s", ratio_cases[i].a,
				 ratio_cases[i].b, ratio_cases[i].c, ratio_cases[i].scale,
				 bj_rounding_name(ratio_cases[i].rounding));
		if (status == BJ_OK && ratio_cases[i].result == NULL)
			ok(ratio_cases[i].status == BJ_OK, "%s", name);
		else
			check(name, status, ratio_cases[i].status, result,
				  ratio_cases[i].result);
	}
}

static const struct
{
	const char *a;
	const char *b;
	int			scale;
	Rounding	rounding;
	BjStatus	status;
	const char *result;
}			divide_cases[] = {
	{"1", "8", 2, BJ_ROUND_HALF_UP, BJ_OK, "0.13"},
	{"1", "8", 2, BJ_ROUND_HALF_EVEN, BJ_OK, "0.12"},
	{"1", "8", 2, BJ_ROUND_NEVER, BJ_INEXACT, NULL},
	{"1", "8", 3, BJ_ROUND_NEVER, BJ_OK, "0.125"},
	{"-1", "8", 2, BJ_ROUND_FLOOR, BJ_OK, "-0.13"},
	{"1", "3", -2, BJ_ROUND_UP, BJ_OK, "100"},
	{"1250", "1", -2, BJ_ROUND_HALF_EVEN, BJ_OK, "1200"},
	/* an odd divisor, cut: 1549.8 of 100 is still below a half */
	{"10849", "7", -2, BJ_ROUND_HALF_UP, BJ_OK, "1500"},
	{"10850", "7", -2, BJ_ROUND_HALF_EVEN, BJ_OK, "1600"},
	{"10851", "7", -2, BJ_ROUND_HALF_DOWN, BJ_OK, "1600"},
	{"10850", "7", -2, BJ_ROUND_HALF_DOWN, BJ_OK, "1500"},
	{"1", "1", 1000, BJ_ROUND_NEVER, BJ_OK, NULL},
	{"1e1000", "1e-1000", 0, BJ_ROUND_UP, BJ_OUT_OF_RANGE, NULL},
	{"1e-1000", "1e1000", 0, BJ_ROUND_UP, BJ_OK, "1"},
	{"1e-1000", "1e1000", 0, BJ_ROUND_HALF_UP, BJ_OK, "0"},
	{NINES, "1e-1", 0, BJ_ROUND_NEVER, BJ_OK, NINES "0"},
	{"1", "0", 0, BJ_ROUND_UP, BJ_DIVISION_BY_ZERO, NULL},
	{"0", "0", 0, BJ_ROUND_UP, BJ_DIVISION_BY_ZERO, NULL},
	{"1", "1", -1001, BJ_ROUND_UP, BJ_BAD_SCALE, NULL},
};

static void
test_divide(void)
{
	for (size_t i = 0; i < COUNT(divide_cases); i++)
	{
		Decimal		result = UNTOUCHED;
		BjStatus	status;
		char		name[200];

		status = bj_decimal_divide(number(divide_cases[i].a),
								   number(divide_cases[i].b),
								   divide_cases[i].scale,
								   divide_cases[i].rounding, &result);
		snprintf(name, sizeof(name), "%s / %s, %d %s", divide_cases[i].a,
				 divide_cases[i].b, divide_cases[i].scale,
				 bj_rounding_name(divide_cases[i].rounding));
		if (status == BJ_OK && divide_cases[i].result == NULL)
			ok(divide_cases[i].status == BJ_OK, "%s", name);
		else
			check(name, status, divide_cases[i].status, result,
				  divide_cases[i].result);
	}
}

static const struct
{
	const char *a;
	const char *step;
	Rounding	rounding;
	BjStatus	status;
	const char *result;
}			step_cases[] = {
	{"2.475", "0.05", BJ_ROUND_HALF_UP, BJ_OK, "2.50"},
	{"2.475", "0.05", BJ_ROUND_HALF_EVEN, BJ_OK, "2.50"},
	{"2.425", "0.05", BJ_ROUND_HALF_EVEN, BJ_OK, "2.40"},
	{"-2.475", "0.05", BJ_ROUND_HALF_DOWN, BJ_OK, "-2.45"},
	{"-2.475", "0.05", BJ_ROUND_CEIL, BJ_OK, "-2.45"},
	{"2.475", "0.05", BJ_ROUND_NEVER, BJ_INEXACT, NULL},
	{"2.45", "0.05", BJ_ROUND_NEVER, BJ_OK, "2.45"},
	{"17", "3", BJ_ROUND_HALF_UP, BJ_OK, "18"},
	{"16.5", "3", BJ_ROUND_HALF_EVEN, BJ_OK, "18"},
	{"13.5", "3", BJ_ROUND_HALF_EVEN, BJ_OK, "12"},
	{"1.5", "0.7", BJ_ROUND_DOWN, BJ_OK, "1.4"},
	{"10", "0.7", BJ_ROUND_HALF_UP, BJ_OK, "9.8"},
	{"10", "0.7", BJ_ROUND_UP, BJ_OK, "10.5"},
	{"-10", "0.7", BJ_ROUND_FLOOR, BJ_OK, "-10.5"},
	{"1e500", "1e-500", BJ_ROUND_UP, BJ_OK, NULL},
	{"1e500", "3e-500", BJ_ROUND_UP, BJ_OUT_OF_RANGE, NULL},
	{"1e39", "15e37", BJ_ROUND_DOWN, BJ_OK,
	"900000000000000000000000000000000000000"},
	{"1e-500", "3e500", BJ_ROUND_HALF_UP, BJ_OK, "0"},
	{"1e-500", "3", BJ_ROUND_UP, BJ_OK, "3"},
	{"0", "0.05", BJ_ROUND_UP, BJ_OK, "0.00"},
	{"1", "0", BJ_ROUND_UP, BJ_BAD_STEP, NULL},
	{"1", "-0.01", BJ_ROUND_UP, BJ_BAD_STEP, NULL},
};

static void
test_round_step(void)
{
	for (size_t i = 0; i < COUNT(step_cases); i++)
	{
		Decimal		result = UNTOUCHED;
		BjStatus	status;
		char		name[200];

		status = bj_decimal_round_step(number(step_cases[i].a),
									   number(step_cases[i].step),
									   step_cases[i].rounding, &result);
		snprintf(name, sizeof(name), "%s to %s %s", step_cases[i].a,
				 step_cases[i].step, bj_rounding_name(step_cases[i].rounding));
		if (status == BJ_OK && step_cases[i].result == NULL)
			ok(step_cases[i].status == BJ_OK, "%s", name);
		else
			check(name, status, step_cases[i].status, result,
				  step_cases[i].result);
	}
}

/* ascending: each is below all that come after it */
static const char *const ascending[] = {
	"-1e1000", "-" NINES, "-1.5", "-1.4999", "-1", "-0.1", "-1e-500",
	"0", "1e-1000", "1e-500", "0.1", "0.11", "1", "1.0000000000000000000000000000000000001",
	"9.9", "10", "1e37", NINES, "1e38", "1e500", "9e999", "1e1000"
};

static void
test_compare(void)
{
	for (size_t i = 0; i < COUNT(ascending); i++)
	{
		bool		right = true;

		for (size_t j = 0; j < COUNT(ascending); j++)
			right &= bj_decimal_compare(number(ascending[i]),
										number(ascending[j])) ==
				(i > j) - (i < j);
		ok(right, "%s in its place", ascending[i]);
	}
	ok(bj_decimal_compare((Decimal) {150, 2}, (Decimal) {15, 1}) == 0,
	   "1.50 is 1.5");
	ok(bj_decimal_compare((Decimal) {1, -38},
						  (Decimal) {BJ_DECIMAL_MAX, 0}) == 1, "10^38 at -38");
	ok(bj_decimal_compare((Decimal) {0, 5}, (Decimal) {0, -900}) == 0,
	   "0 is 0");
}

static void
test_small(void)
{
	Decimal		a;

	a = bj_decimal_normalize((Decimal) {1500, 2});
	ok(a.coefficient == 15 && a.scale == 0, "normalize stops at the point");
	a = bj_decimal_normalize((Decimal) {1500, 5});
	ok(a.coefficient == 15 && a.scale == 3, "normalize strips zeros");
	a = bj_decimal_normalize((Decimal) {1500, -5});
	ok(a.coefficient == 1500 && a.scale == -5, "normalize keeps a negative scale");
	a = bj_decimal_normalize((Decimal) {-BJ_DECIMAL_MAX - 1 + 100, 38});
	ok(a.scale == 38 || a.coefficient % 10 != 0, "normalize a wide one");
	a = bj_decimal_normalize((Decimal) {(Int128) bj_power_of_ten[37], 38});
	ok(a.coefficient == 1 && a.scale == 1, "normalize strips 37 zeros");
	ok(bj_decimal_terminates(number("3"), number("6")), "3 / 6 ends");
	ok(!bj_decimal_terminates(number("1"), number("6")), "1 / 6 does not");
	ok(bj_decimal_terminates(number("0"), number("7")), "0 / 7 ends");
	ok(bj_decimal_sign(number("-0.1")) == -1 &&
	   bj_decimal_sign(number("0")) == 0, "signs");
	a = bj_decimal_from_int64(INT64_MIN);
	ok(a.coefficient == INT64_MIN && a.scale == 0, "from the least int64");
}

/* limbs at which carries, borrows and estimates go wrong */
static const uint64_t limbs[] = {
	0, 1, 2, UINT64_C(0x7FFFFFFFFFFFFFFF), UINT64_C(0x8000000000000000),
	UINT64_C(0x8000000000000001), UINT64_MAX - 1, UINT64_MAX
};

static UInt128
limb_pair(size_t i)
{
	return ((UInt128) limbs[i / COUNT(limbs)] << 64) | limbs[i % COUNT(limbs)];
}

/* Division undone by multiplication, for all pairs of such limbs. */
static void
test_wide(void)
{
	size_t		pairs = COUNT(limbs) * COUNT(limbs);

	for (size_t d = 1; d < pairs; d++)
	{
		UInt128		divisor = limb_pair(d);
		bool		right = true;

		for (size_t i = 0; i < pairs * pairs; i++)
		{
			Wide		a = {limb_pair(i / pairs), limb_pair(i % pairs)};
			UInt128		remainder;
			Wide		q = bj_wide_divide(a, divisor, &remainder);
			Wide		again = bj_wide_scale(q, divisor);
			Wide		rest = bj_wide_subtract(a, again);

			right &= remainder < divisor && rest.high == 0 &&
				rest.low == remainder &&
				bj_wide_compare(bj_wide_add(again, (Wide) {0, remainder}),
								a) == 0;
		}
		ok(right, "division by limbs %d and %d", (int) (d / COUNT(limbs)),
		   (int) (d % COUNT(limbs)));
	}
	for (int i = 1; i <= BJ_DECIMAL_DIGITS; i++)
		ok(bj_magnitude_digits(bj_power_of_ten[i] - 1) == i &&
		   bj_magnitude_digits(bj_power_of_ten[i]) == i + 1 &&
		   bj_wide_digits(bj_wide_multiply(bj_power_of_ten[i],
										   bj_power_of_ten[38])) == i + 39,
		   "digits of 10^%d", i);
	ok(bj_magnitude_digits(0) == 0, "0 has no digits");
}

int
main(void)
{
	test_wide();
	test_parse();
	test_round();
	test_exact();
	test_multiply_divide();
	test_divide();
	test_round_step();
	test_compare();
	test_small();
	return done_testing();
}
