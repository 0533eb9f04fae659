/*
 * test_rate.c
 *	  Every model at the places where engines differ: zero, the bounds, below
 *	  zero, and numbers that are longer than their difference.
 */
#include <stdio.h>
#include <string.h>

#include "core/price.h"
#include "core/rate.h"
#include "tap.h"

#define N(coefficient, scale) {(coefficient), (scale)}
#define UP_TO(bound, unit, flat) {false, N(bound, 0), unit, flat}
#define OPEN(unit, flat) {true, N(0, 0), unit, flat}
#define ROUNDED .stage = BJ_STAGE_LINE, .mode = BJ_ROUND_HALF_UP
#define PER_ONE .per = N(1, 0), ROUNDED
#define COMMON .charge_scale = 12, PER_ONE

/* 0.10 to 100, 0.08 to 1,000, then 0.05; 1.00 for entering the second */
static PriceTier tiers[] = {
	UP_TO(100, N(10, 2), N(0, 0)),
	UP_TO(1000, N(8, 2), N(1, 0)),
	OPEN(N(5, 2), N(0, 0))
};
static PriceTier flats[] = {
	UP_TO(100, N(0, 0), N(10, 0)),
	OPEN(N(0, 0), N(15, 0))
};
static PriceTier first_flat[] = {
	UP_TO(100, N(1, 0), N(7, 0)),
	OPEN(N(2, 0), N(3, 0))
};
static PriceTier then_free[] = {
	UP_TO(1000, N(1, 0), N(0, 0)),
	OPEN(N(0, 0), N(0, 0))
};
static PriceTier long_bounds[] = {
	{false, N(1, 20), N(1, 0), N(0, 0)},
	{false, N(1, -25), N(1, -30), N(0, 0)},
	OPEN(N(1, 0), N(0, 0))
};
static PriceTier single[] = {OPEN(N(5, 1), N(0, 0))};

#define TIERS(array) .tiers = array, .ntiers = sizeof(array) / sizeof(array[0])

static const Price flat = {COMMON, .model = BJ_MODEL_FLAT,
.flat_amount = N(9, 0), .zero_flat = true};
static const Price flat_none = {COMMON, .model = BJ_MODEL_FLAT,
.flat_amount = N(9, 0)};
static const Price per_unit = {COMMON, .model = BJ_MODEL_PER_UNIT,
.unit_amount = N(123, 6)};
static const Price per_three = {.charge_scale = 12, ROUNDED, .model = BJ_MODEL_PER_UNIT,
.unit_amount = N(1, 0), .per = N(3, 0)};
static const Price per_tib = {.charge_scale = 12, ROUNDED, .model = BJ_MODEL_PER_UNIT,
.unit_amount = N(23, 3), .per = N(1099511627776, 0)};
static const Price package_up = {COMMON, .model = BJ_MODEL_PACKAGE,
.size = N(100, 0), .package_amount = N(5, 0), .free_units = N(50, 0),
.partial = BJ_PARTIAL_UP};
static const Price package_down = {COMMON, .model = BJ_MODEL_PACKAGE,
.size = N(100, 0), .package_amount = N(5, 0), .partial = BJ_PARTIAL_DOWN};
static const Price package_share = {PER_ONE, .model = BJ_MODEL_PACKAGE,
.size = N(7, 0), .package_amount = N(1, 0), .partial = BJ_PARTIAL_PRORATE,
.charge_scale = 4};
static const Price graduated = {COMMON, .model = BJ_MODEL_GRADUATED,
TIERS(tiers)};
static const Price graduated_exclusive = {COMMON,
.model = BJ_MODEL_GRADUATED, TIERS(tiers), .bound_exclusive = true};
static const Price graduated_zero = {COMMON, .model = BJ_MODEL_GRADUATED,
TIERS(first_flat), .zero_flat = true};
static const Price graduated_free = {COMMON, .model = BJ_MODEL_GRADUATED,
TIERS(then_free)};
static const Price graduated_long = {COMMON, .model = BJ_MODEL_GRADUATED,
TIERS(long_bounds)};
static const Price volume = {COMMON, .model = BJ_MODEL_VOLUME, TIERS(tiers)};
static const Price volume_exclusive = {COMMON, .model = BJ_MODEL_VOLUME,
TIERS(tiers), .bound_exclusive = true};
static const Price volume_zero = {COMMON, .model = BJ_MODEL_VOLUME,
TIERS(first_flat), .zero_flat = true};
static const Price stairstep = {COMMON, .model = BJ_MODEL_STAIRSTEP,
TIERS(flats)};
static const Price percentage = {COMMON, .model = BJ_MODEL_PERCENTAGE,
.unit_amount = N(29, 3), .flat_amount = N(30, 2), .zero_flat = true};
static const Price percentage_none = {COMMON, .model = BJ_MODEL_PERCENTAGE,
.unit_amount = N(29, 3), .flat_amount = N(30, 2)};
static const Price passthrough = {COMMON, .model = BJ_MODEL_PASSTHROUGH,
.unit_amount = N(11, 1)};
static const Price carry = {COMMON, .model = BJ_MODEL_GRADUATED,
TIERS(tiers), .negative = BJ_NEGATIVE_CARRY};
static const Price clamp = {COMMON, .model = BJ_MODEL_GRADUATED,
TIERS(tiers), .negative = BJ_NEGATIVE_CLAMP};
static const Price reject = {COMMON, .model = BJ_MODEL_GRADUATED,
TIERS(tiers), .negative = BJ_NEGATIVE_REJECT};
static const Price linear_single = {COMMON, .model = BJ_MODEL_VOLUME,
TIERS(single)};

#define LONG36 "123456789012345678901234567890123456"

static const char too_long_to_show[] = "graduated, then free";

typedef struct Case
{
	const char *name;
	const Price *price;
	const char *before;			/* NULL: nothing charged */
	const char *quantity;
	const char *amount;			/* or a status as "!" and its number */
} Case;

static const Case cases[] = {
	{"flat", &flat, NULL, "5", "9"},
	{"flat at zero", &flat, NULL, "0", "9"},
	{"flat below zero", &flat, NULL, "-5", "9"},
	{"flat once only", &flat, "0", "5", "0"},
	{"flat, none at zero", &flat_none, NULL, "0", "0"},
	{"flat, none at zero, then used", &flat_none, "0", "5", "9"},
	{"per_unit", &per_unit, NULL, "1000", "0.123"},
	{"per_unit is a credit below zero", &per_unit, "10", "-1000", "-0.123"},
	{"per_unit after a long total", &per_unit, LONG36, "1", "0.000123"},
	{"per_unit, sum too long", &per_unit, LONG36, "0.00001", "0.00000000123"},
	{"per 3 is rounded", &per_three, NULL, "1", "0.333333333333"},
	{"per 3, second of three", &per_three, "1", "1", "0.333333333334"},
	{"per 3, third of three", &per_three, "2", "1", "0.333333333333"},
	{"per 3, ends by itself", &per_three, NULL, "0.00000000000003",
	"0.00000000000001"},
	{"per 3 after a long total", &per_three, LONG36, "1", "0.333333333333"},
	{"per 3 below zero", &per_three, NULL, "-2", "-0.666666666667"},
	{"per 2^40, whole", &per_tib, NULL, "1099511627776", "0.023"},
	{"per 2^40, after a PiB", &per_tib, "1125899906842624", "1099511627776",
	"0.023"},
	{"package, free", &package_up, NULL, "50", "0"},
	{"package, begun", &package_up, NULL, "50.01", "5"},
	{"package, full", &package_up, NULL, "150", "5"},
	{"package, next", &package_up, "150", "0.5", "5"},
	{"package credit", &package_up, NULL, "-151", "-10"},
	{"package across zero", &package_up, "-151", "302", "20"},
	{"package down, one less", &package_down, NULL, "99.9", "0"},
	{"package down, full", &package_down, NULL, "100", "5"},
	{"package share", &package_share, NULL, "3", "0.4286"},
	{"package share difference", &package_share, "3", "3", "0.4285"},
	{"package share, full", &package_share, "3", "4", "0.5714"},
	{"graduated, nothing at zero", &graduated, NULL, "0", "0"},
	{"graduated, at a bound", &graduated, NULL, "100", "10"},
	{"graduated, over a bound", &graduated, NULL, "100.5", "11.04"},
	{"graduated, exclusive bound", &graduated_exclusive, NULL, "100", "11"},
	{"graduated, into the second", &graduated, "100", "0.5", "1.04"},
	{"graduated, all", &graduated, NULL, "2000", "133"},
	{"graduated, back", &graduated, "2000", "-2000", "-133"},
	{"graduated, zero to credit", &graduated, NULL, "-2000", "-133"},
	{"graduated, across zero", &graduated, "-2000", "4000", "266"},
	{"graduated, zero flat", &graduated_zero, NULL, "0", "7"},
	{"graduated, zero flat is not due twice", &graduated_zero, "0", "1", "1"},
	{too_long_to_show, &graduated_free, "0.0000000001",
		"1" "000000000000000000000000000000", "999.9999999999"},
	{"graduated, after a long total", &graduated, LONG36, "0.001", "0.00005"},
	{"volume", &volume, NULL, "100", "10"},
	{"volume, over a bound", &volume, NULL, "101", "9.08"},
	{"volume, change of tier", &volume, "100", "1", "-0.92"},
	{"volume, exclusive bound", &volume_exclusive, NULL, "100", "9"},
	{"volume, exclusive top", &volume_exclusive, NULL, "1000", "50"},
	{"volume, zero", &volume, NULL, "0", "0"},
	{"volume, zero flat", &volume_zero, NULL, "0", "7"},
	{"volume credit", &volume, NULL, "-101", "-9.08"},
	{"stairstep at zero", &stairstep, NULL, "0", "0"},
	{"stairstep", &stairstep, NULL, "0.1", "10"},
	{"stairstep at the bound", &stairstep, NULL, "100", "10"},
	{"stairstep, next", &stairstep, "100", "1", "5"},
	{"percentage", &percentage, NULL, "100", "3.2"},
	{"percentage at zero", &percentage, NULL, "0", "0.3"},
	{"percentage, none at zero", &percentage_none, NULL, "0", "0"},
	{"percentage, none, then used", &percentage_none, "0", "100", "3.2"},
	{"passthrough", &passthrough, "3", "10", "11"},
	{"carry keeps below zero", &carry, "5", "-50", "-0.5"},
	{"carry fills up first", &carry, "-50", "60", "1"},
	{"clamp", &clamp, "50", "-60", "0"},
	{"reject", &reject, "50", "-60", "!12"},
	{"out of range", &per_unit, NULL,
		"99999999999999999999999999999999999999", "!1"},
};

static Decimal
number(const char *text)
{
	Decimal		value = BJ_DECIMAL_ZERO;

	if (bj_decimal_parse(text, strlen(text), &value) != BJ_OK)
		ok(false, "%s", text);
	return value;
}

static void
check_steps(const Case *c, Position before, Decimal amount)
{
	RateStep	steps[8];
	Decimal		sum = BJ_DECIMAL_ZERO;
	int32_t		nsteps = 0;

	BjStatus	status = bj_rate_row_steps(c->price, before,
										   number(c->quantity), steps, 8,
										   &nsteps);

	/* A step shows its quantity, which may be longer than the amount. */
	if (status == BJ_OUT_OF_RANGE && strcmp(c->name, too_long_to_show) == 0)
		return;
	ok(status == BJ_OK && nsteps > 0, "%s has steps", c->name);
	for (int32_t i = 0; i < nsteps; i++)
	{
		if (bj_decimal_add(sum, steps[i].amount, &sum) != BJ_OK ||
			(i > 0 && steps[i].tier <= steps[i - 1].tier))
			ok(false, "%s", c->name);
	}
	ok(bj_decimal_compare(sum, amount) == 0, "%s: steps sum up", c->name);
}

static void
is(const char *text, const Case *c)
{
	ok(strcmp(text, c->amount) == 0, "%s: %s, wanted %s", c->name, text,
	   c->amount);
}

static void
check_case(const Case *c)
{
	Position	before = BJ_NOT_CHARGED;
	Decimal		amount = BJ_DECIMAL_ZERO;
	BjStatus	status;
	char		text[BJ_DECIMAL_TEXT_SIZE];

	if (c->before != NULL)
		before = (Position) {true, number(c->before)};
	status = bj_rate(c->price, before, number(c->quantity), &amount);
	if (status != BJ_OK)
	{
		snprintf(text, sizeof(text), "!%d", status);
		is(text, c);
		return;
	}
	bj_decimal_format(bj_decimal_normalize(amount), text);
	is(text, c);
	check_steps(c, before, amount);
}

/* A bound that is not a quantity apart: 10^25 units of a 20th decimal. */
static void
check_long_bounds(void)
{
	Decimal		amount;
	Position	before = {true, number("9999999999999999999999999")};

	ok(bj_rate(&graduated_long, before, number("1"), &amount) == BJ_OK &&
	   bj_decimal_compare(amount, number("1e30")) == 0,
	   "a unit below a long bound");
	ok(bj_rate(&graduated_long, BJ_NOT_CHARGED, number("1e25"), &amount) ==
	   BJ_OUT_OF_RANGE, "more than 38 digits are an error");
}

static void
check_prices(void)
{
	Price		price = graduated;
	PriceFault	fault = {0};
	PriceTier	descending[] = {UP_TO(100, N(1, 0), N(0, 0)),
		UP_TO(100, N(1, 0), N(0, 0)), OPEN(N(1, 0), N(0, 0))};

	ok(bj_price_check(&price, &fault), "sound");
	price.stage = BJ_STAGE_ROW;
	ok(!bj_price_check(&price, &fault) &&
	   strcmp(fault.key, "rounding.stage") == 0, "row wants a linear price");
	price = graduated;
	price.tiers = descending;
	ok(!bj_price_check(&price, &fault) && fault.tier == 1, "ascending");
	price.ntiers = 1;
	ok(!bj_price_check(&price, &fault) && fault.tier == 0, "open at the end");
	price.ntiers = 0;
	ok(!bj_price_check(&price, &fault) && fault.tier == -1, "no tier");

	ok(bj_price_is_linear(&per_unit), "per_unit is linear");
	ok(!bj_price_is_linear(&per_three), "per 3 is not");
	ok(bj_price_is_linear(&per_tib), "per 2^40 is");
	ok(bj_price_is_linear(&linear_single), "a single tier is");
	ok(!bj_price_is_linear(&graduated), "graduated is not");
	ok(!bj_price_is_linear(&percentage), "a fixed amount is not");
	ok(bj_price_is_linear(&passthrough), "passthrough is");
	ok(!bj_price_is_linear(&carry), "carry is not");
}

int
main(void)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		check_case(&cases[i]);
	check_long_bounds();
	check_prices();
	return done_testing();
}
