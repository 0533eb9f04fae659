/*
 * test_override.c
 *	  Tables of states, amounts, bands and steps; card numbers in text.
 */
#include <string.h>

#include "core/cardnumber.h"
#include "core/override.h"
#include "tap.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static Decimal
number(const char *text)
{
	Decimal		a = {0, 0};

	if (bj_decimal_parse(text, strlen(text), &a) != BJ_OK)
		ok(false, "a number of the test is not readable: %s", text);
	return a;
}

/* ---- states ---- */

/* All that is possible; everything else must be refused. */
static const struct
{
	OverrideState from;
	OverrideAct act;
	OverrideState to;
}			transitions[] = {
	{BJ_STATE_NEW, BJ_ACT_SUBMIT, BJ_STATE_OPEN},
	{BJ_STATE_OPEN, BJ_ACT_REVISE, BJ_STATE_OPEN},
	{BJ_STATE_OPEN, BJ_ACT_WITHDRAW, BJ_STATE_WITHDRAWN},
	{BJ_STATE_OPEN, BJ_ACT_APPROVE, BJ_STATE_APPROVED},
	{BJ_STATE_OPEN, BJ_ACT_REJECT, BJ_STATE_REJECTED},
	{BJ_STATE_OPEN, BJ_ACT_EXPIRE, BJ_STATE_EXPIRED},
	{BJ_STATE_OPEN, BJ_ACT_OUTDATE, BJ_STATE_STALE},
	{BJ_STATE_APPROVED, BJ_ACT_APPLY, BJ_STATE_APPLIED},
	{BJ_STATE_APPROVED, BJ_ACT_EXPIRE, BJ_STATE_EXPIRED},
	{BJ_STATE_APPROVED, BJ_ACT_OUTDATE, BJ_STATE_STALE},
	{BJ_STATE_STALE, BJ_ACT_REVISE, BJ_STATE_OPEN},
};

static void
test_states(void)
{
	for (int from = 0; from < BJ_NSTATES; from++)
		for (int act = 0; act < BJ_NACTS; act++)
		{
			OverrideState next = BJ_STATE_NEW;
			OverrideState wanted = BJ_STATE_NEW;
			bool		possible = bj_override_next((OverrideState) from, (OverrideAct) act, &next);

			for (size_t i = 0; i < COUNT(transitions); i++)
				if (transitions[i].from == (OverrideState) from && transitions[i].act == (OverrideAct) act)
					wanted = transitions[i].to;
			ok(possible == (wanted != BJ_STATE_NEW) && next == wanted,
			   "act %d on %s", act, bj_state_name((OverrideState) from));
		}
}

static void
test_names(void)
{
	OverrideState state;
	OverrideKind kind;

	for (int i = BJ_STATE_OPEN; i < BJ_NSTATES; i++)
		ok(bj_state_parse(bj_state_name((OverrideState) i), &state) && state == (OverrideState) i,
		   "state %s", bj_state_name((OverrideState) i));
	ok(!bj_state_parse("new", &state), "new is not stored");
	ok(!bj_state_parse("", &state) && !bj_kind_parse("gift", &kind) && !bj_kind_parse("", &kind), "unknown names");
	ok(bj_kind_parse("cancel", &kind) && bj_kind_ends_hold(kind) && bj_kind_is_computed(kind), "cancel");
	ok(bj_kind_parse("refund", &kind) && !bj_kind_affects_billed(kind) && !bj_kind_is_computed(kind), "refund");
}

/* ---- amounts ---- */

/* NULL: not given.  billed NULL: there is no charge. */
static const struct
{
	const char *kind;
	const char *delta;
	const char *new_amount;
	const char *billed;
	const char *charged;
	AmountFault fault;
	const char *result;
	const char *amount;
}			amount_cases[] = {
	{"credit", "-10.50", NULL, NULL, NULL, BJ_AMOUNT_OK, "-10.50", "10.50"},
	{"credit", "10.50", NULL, NULL, NULL, BJ_AMOUNT_WRONG_SIGN, NULL, NULL},
	{"credit", "0", NULL, NULL, NULL, BJ_AMOUNT_WRONG_SIGN, NULL, NULL},
	{"credit", NULL, NULL, NULL, NULL, BJ_AMOUNT_MISSING, NULL, NULL},
	{"credit", "-1", "1", "5", "5", BJ_AMOUNT_BOTH, NULL, NULL},
	{"credit", NULL, "1", NULL, NULL, BJ_AMOUNT_WANTS_CHARGE, NULL, NULL},
	{"credit", NULL, "1", "5.125", "5", BJ_AMOUNT_OK, "-4.125", "4.125"},
	{"credit", NULL, "6", "5", "5", BJ_AMOUNT_WRONG_SIGN, NULL, NULL},
	{"credit", "-1.001", NULL, NULL, NULL, BJ_AMOUNT_TOO_FINE, NULL, NULL},
	{"credit", "-1.0000", NULL, NULL, NULL, BJ_AMOUNT_OK, "-1", "1"},
	{"credit", NULL, "1.001", "5", "5", BJ_AMOUNT_TOO_FINE, NULL, NULL},
	{"credit", NULL, "2", "-99999999999999999999999999999999999999", "0", BJ_AMOUNT_OUT_OF_RANGE, NULL, NULL},
	{"debit", "3", NULL, NULL, NULL, BJ_AMOUNT_OK, "3", "3"},
	{"debit", "-3", NULL, NULL, NULL, BJ_AMOUNT_WRONG_SIGN, NULL, NULL},
	{"discount", "-3", NULL, NULL, NULL, BJ_AMOUNT_OK, "-3", "3"},
	{"write_off", "-3", NULL, NULL, NULL, BJ_AMOUNT_OK, "-3", "3"},
	{"write_off", "3", NULL, NULL, NULL, BJ_AMOUNT_WRONG_SIGN, NULL, NULL},
	{"refund", "3", NULL, NULL, NULL, BJ_AMOUNT_WRONG_SIGN, NULL, NULL},
	{"price_override", NULL, "7", "5", "5", BJ_AMOUNT_OK, "2", "2"},
	{"price_override", NULL, "0", "5", "5", BJ_AMOUNT_OK, "-5", "5"},
	{"price_override", NULL, "5.00", "5", "5", BJ_AMOUNT_WRONG_SIGN, NULL, NULL},
	{"price_override", "-1", NULL, "5", "5", BJ_AMOUNT_WANTS_NEW, NULL, NULL},
	{"price_override", NULL, NULL, "5", "5", BJ_AMOUNT_MISSING, NULL, NULL},
	{"waive", NULL, NULL, "5.12345", "4", BJ_AMOUNT_OK, "-5.12345", "5.12345"},
	{"waive", NULL, NULL, NULL, NULL, BJ_AMOUNT_WANTS_CHARGE, NULL, NULL},
	{"waive", "-5", NULL, "5", "5", BJ_AMOUNT_UNWANTED, NULL, NULL},
	{"waive", NULL, NULL, "0", "0", BJ_AMOUNT_WRONG_SIGN, NULL, NULL},
	{"waive", NULL, NULL, "-1", "-1", BJ_AMOUNT_WRONG_SIGN, NULL, NULL},
	{"release", NULL, NULL, "5", "4.125", BJ_AMOUNT_OK, "0", "4.125"},
	{"release", NULL, NULL, "5", "-4", BJ_AMOUNT_OK, "0", "4"},
	{"release", "1", NULL, "5", "4", BJ_AMOUNT_UNWANTED, NULL, NULL},
	{"cancel", NULL, NULL, "5", "4.125", BJ_AMOUNT_OK, "-4.125", "4.125"},
	{"cancel", NULL, NULL, "5", "-4", BJ_AMOUNT_OK, "4", "4"},
	{"cancel", NULL, NULL, "5", "0", BJ_AMOUNT_OK, "0", "0"},
	{"cancel", NULL, "1", "5", "4", BJ_AMOUNT_UNWANTED, NULL, NULL},
};

static void
test_amounts(void)
{
	for (size_t i = 0; i < COUNT(amount_cases); i++)
	{
		AmountAsked asked = {.decimals = 2};
		OverrideKind kind;
		Decimal		delta = {0, 0};
		Decimal		amount = {0, 0};
		AmountFault fault;

		asked.has_delta = amount_cases[i].delta != NULL;
		asked.has_new_amount = amount_cases[i].new_amount != NULL;
		asked.has_billed = amount_cases[i].billed != NULL;
		if (asked.has_delta)
			asked.delta = number(amount_cases[i].delta);
		if (asked.has_new_amount)
			asked.new_amount = number(amount_cases[i].new_amount);
		if (asked.has_billed)
		{
			asked.billed = number(amount_cases[i].billed);
			asked.charged = number(amount_cases[i].charged);
		}
		ok(bj_kind_parse(amount_cases[i].kind, &kind), "kind %s", amount_cases[i].kind);
		fault = bj_override_amount(kind, &asked, &delta, &amount);
		ok(fault == amount_cases[i].fault &&
		   (fault != BJ_AMOUNT_OK ||
			(bj_decimal_compare(delta, number(amount_cases[i].result)) == 0 &&
			 bj_decimal_compare(amount, number(amount_cases[i].amount)) == 0)),
		   "amount case %zu: %s", i, amount_cases[i].kind);
	}
}

/* ---- bands ---- */

static void
test_bands(void)
{
	Band		bands[] = {{number("0"), false, number("10000")},
	{number("10000"), false, number("20000")},
	{number("20000"), true, {0, 0}}};
	Band		overlap[] = {{number("0"), false, number("10")}, {number("5"), true, {0, 0}}};
	static const struct
	{
		const char *amount;
		int			band;
	}			cases[] = {
		{"0", 0}, {"0.01", 0}, {"9999.99", 0}, {"10000", 0}, {"10000.00", 0}, {"10000.01", 1},
		{"10000.000000001", 1}, {"20000", 1}, {"20000.01", 2}, {"21000", 2}, {"1e30", 2}, {"-0.01", -1}
	};

	for (size_t i = 0; i < COUNT(cases); i++)
		ok(bj_band_choose(bands, 3, number(cases[i].amount)) == cases[i].band, "band of %s", cases[i].amount);
	ok(bj_band_choose(bands, 2, number("20000.01")) == -1, "a gap above");
	ok(bj_band_choose(bands + 1, 2, number("10000")) == -1, "a gap below");
	ok(bj_band_choose(overlap, 2, number("7")) == -2, "two bands");
	ok(bj_band_choose(overlap, 2, number("5")) == 0, "one of two bands");
	ok(bj_band_choose(NULL, 0, number("5")) == -1, "no bands");
}

/* ---- steps ---- */

/* Steps are 1 of level 1, 2 of level 2 and 1 of level 3. */
static const struct
{
	int32_t		levels[6];
	int			n;
	bool		complete;
	int32_t		have[3];
}			step_cases[] = {
	{{0}, 0, false, {0, 0, 0}},
	{{0}, 1, false, {0, 0, 0}},
	{{1}, 1, false, {1, 0, 0}},
	{{1, 1}, 2, false, {1, 0, 0}},
	{{3}, 1, false, {0, 0, 1}},
	{{9, 9}, 2, false, {0, 1, 1}},
	{{1, 2, 2, 3}, 4, true, {1, 2, 1}},
	{{3, 2, 2, 1}, 4, true, {1, 2, 1}},
	{{2, 3, 1, 2}, 4, true, {1, 2, 1}},
	{{2, 2, 2, 3}, 4, true, {1, 2, 1}},
	{{3, 3, 3, 3}, 4, true, {1, 2, 1}},
	{{3, 3, 3}, 3, false, {0, 2, 1}},
	{{2, 2, 2, 2}, 4, false, {1, 2, 0}},
	{{1, 1, 1, 3, 3, 3}, 6, true, {1, 2, 1}},
};

static void
test_steps(void)
{
	for (size_t i = 0; i < COUNT(step_cases); i++)
	{
		Step		steps[] = {{1, 1, 1, 7}, {2, 2, 2, 7}, {3, 3, 1, 7}};
		bool		complete = bj_steps_count(steps, 3, step_cases[i].levels, step_cases[i].n);

		ok(complete == step_cases[i].complete && steps[0].have == step_cases[i].have[0] &&
		   steps[1].have == step_cases[i].have[1] && steps[2].have == step_cases[i].have[2],
		   "steps case %zu", i);
	}
	ok(bj_steps_count(NULL, 0, NULL, 0), "a band that needs nobody is complete");
}

/*
 * Any order of the same people completes or does not complete, and as soon as
 * some assignment of people to steps is possible the greedy one is: checked
 * against all assignments, for all multisets of up to five people.
 */
static bool
assignable(const int32_t *levels, int n, int *open1, int *open2, int *open3)
{
	int		   *open[] = {open1, open2, open3};

	if (*open1 == 0 && *open2 == 0 && *open3 == 0)
		return true;
	if (n == 0)
		return false;
	if (assignable(levels + 1, n - 1, open1, open2, open3))
		return true;
	for (int step = 0; step < 3; step++)
	{
		bool		found;

		if (*open[step] == 0 || levels[0] < step + 1)
			continue;
		(*open[step])--;
		found = assignable(levels + 1, n - 1, open1, open2, open3);
		(*open[step])++;
		if (found)
			return true;
	}
	return false;
}

static void
test_any_order(void)
{
	int			bad = 0;
	int			seen = 0;

	for (int code = 0; code < 1024; code++)
	{
		int32_t		levels[5];
		Step		steps[] = {{1, 1, 1, 0}, {2, 2, 2, 0}, {3, 3, 1, 0}};
		int			open[] = {1, 2, 1};

		for (int i = 0, rest = code; i < 5; i++, rest /= 4)
			levels[i] = rest % 4;
		for (int n = 0; n <= 5; n++, seen++)
			bad += bj_steps_count(steps, 3, levels, n) != assignable(levels, n, &open[0], &open[1], &open[2]);
	}
	ok(bad == 0 && seen == 6144, "%d orders of people of which %d are counted wrong", seen, bad);
}

/* ---- card numbers ---- */

static const struct
{
	const char *text;
	bool		found;
}			card_cases[] = {
	{"4111111111111111", true},
	{"pay back to 4111 1111 1111 1111, please", true},
	{"4111-1111-1111-1111", true},
	{"4111.1111.1111.1111", true},
	{"x4111111111111111x", true},
	{"378282246310005", true},		/* 15 digits */
	{"4222222222222", true},		/* 13 digits */
	{"6304000000000000", true},
	{"4111111111111112", false},	/* check digit */
	{"411111111111", false},		/* 12 digits */
	{"41111111111111110000", false},	/* 20 digits */
	{"4111  1111 1111 1111", false},	/* two blanks */
	{"0000000000000000", false},	/* nobody's */
	{"1234567890123452", false},
	{"invoice 2026-05-10 of 12.50", false},
	{"", false},
	{"ends in 1111", false},
};

static void
test_cards(void)
{
	for (size_t i = 0; i < COUNT(card_cases); i++)
		ok(bj_text_has_card_number(card_cases[i].text, strlen(card_cases[i].text)) == card_cases[i].found,
		   "card number in \"%s\"", card_cases[i].text);
}

int
main(void)
{
	test_states();
	test_names();
	test_amounts();
	test_bands();
	test_steps();
	test_any_order();
	test_cards();
	return done_testing();
}
