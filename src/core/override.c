/*
 * override.c
 *	  The rules of overrides: kinds, states, amount bands and steps of approval.
 */
#include "core/override.h"

#include <string.h>

/* How the delta of a kind comes about. */
typedef enum DeltaSource
{
	DELTA_GIVEN,				/* delta, or new amount - billed */
	DELTA_NEW,					/* new amount - billed */
	DELTA_BILLED,				/* -billed */
	DELTA_CHARGED,				/* -charged */
	DELTA_NONE
} DeltaSource;

typedef struct KindRule
{
	const char *name;
	int			sign;			/* of the delta; 0: any but zero */
	DeltaSource source;
	bool		ends_hold;
	bool		affects_billed;
} KindRule;

static const KindRule kinds[BJ_NKINDS] = {
	[BJ_KIND_CREDIT] = {"credit", -1, DELTA_GIVEN, false, true},
	[BJ_KIND_DEBIT] = {"debit", 1, DELTA_GIVEN, false, true},
	[BJ_KIND_DISCOUNT] = {"discount", -1, DELTA_GIVEN, false, true},
	[BJ_KIND_PRICE_OVERRIDE] = {"price_override", 0, DELTA_NEW, false, true},
	[BJ_KIND_WAIVE] = {"waive", -1, DELTA_BILLED, false, true},
	[BJ_KIND_WRITE_OFF] = {"write_off", -1, DELTA_GIVEN, false, false},
	[BJ_KIND_REFUND] = {"refund", -1, DELTA_GIVEN, false, false},
	[BJ_KIND_RELEASE] = {"release", 0, DELTA_NONE, true, true},
	[BJ_KIND_CANCEL] = {"cancel", 0, DELTA_CHARGED, true, true}
};

static const char *const states[BJ_NSTATES] = {
	[BJ_STATE_NEW] = "new",
	[BJ_STATE_OPEN] = "open",
	[BJ_STATE_APPROVED] = "approved",
	[BJ_STATE_APPLIED] = "applied",
	[BJ_STATE_REJECTED] = "rejected",
	[BJ_STATE_WITHDRAWN] = "withdrawn",
	[BJ_STATE_EXPIRED] = "expired",
	[BJ_STATE_STALE] = "stale"
};

/*
 * Where an act leads; BJ_STATE_NEW: it is not possible.  Expiry never means
 * approval, and what is closed stays closed: only a stale request may come
 * back, as a new revision that needs all its decisions again.
 */
static const unsigned char transitions[BJ_NSTATES][BJ_NACTS] = {
	[BJ_STATE_NEW] = {[BJ_ACT_SUBMIT] = BJ_STATE_OPEN},
	[BJ_STATE_OPEN] = {
		[BJ_ACT_REVISE] = BJ_STATE_OPEN,
		[BJ_ACT_WITHDRAW] = BJ_STATE_WITHDRAWN,
		[BJ_ACT_APPROVE] = BJ_STATE_APPROVED,
		[BJ_ACT_REJECT] = BJ_STATE_REJECTED,
		[BJ_ACT_EXPIRE] = BJ_STATE_EXPIRED,
		[BJ_ACT_OUTDATE] = BJ_STATE_STALE
	},
	[BJ_STATE_APPROVED] = {
		[BJ_ACT_APPLY] = BJ_STATE_APPLIED,
		[BJ_ACT_EXPIRE] = BJ_STATE_EXPIRED,
		[BJ_ACT_OUTDATE] = BJ_STATE_STALE
	},
	[BJ_STATE_STALE] = {[BJ_ACT_REVISE] = BJ_STATE_OPEN}
};

bool
bj_kind_parse(const char *name, OverrideKind *kind)
{
	for (int i = 0; i < BJ_NKINDS; i++)
		if (strcmp(kinds[i].name, name) == 0)
		{
			*kind = (OverrideKind) i;
			return true;
		}
	return false;
}

bool
bj_state_parse(const char *name, OverrideState *state)
{
	for (int i = BJ_STATE_OPEN; i < BJ_NSTATES; i++)
		if (strcmp(states[i], name) == 0)
		{
			*state = (OverrideState) i;
			return true;
		}
	return false;
}

const char *
bj_state_name(OverrideState state)
{
	return states[state];
}

bool
bj_kind_ends_hold(OverrideKind kind)
{
	return kinds[kind].ends_hold;
}

bool
bj_kind_affects_billed(OverrideKind kind)
{
	return kinds[kind].affects_billed;
}

static bool
is_computed(const KindRule *rule)
{
	return rule->source == DELTA_BILLED || rule->source == DELTA_CHARGED ||
		rule->source == DELTA_NONE;
}

bool
bj_kind_is_computed(OverrideKind kind)
{
	return is_computed(&kinds[kind]);
}

bool
bj_override_next(OverrideState state, OverrideAct act, OverrideState *next)
{
	OverrideState to = (OverrideState) transitions[state][act];

	if (to == BJ_STATE_NEW)
		return false;
	*next = to;
	return true;
}

Decimal
bj_decimal_abs(Decimal a)
{
	return bj_decimal_sign(a) < 0 ? bj_decimal_negate(a) : a;
}

static bool
too_fine(Decimal a, int32_t decimals)
{
	return bj_decimal_normalize(a).scale > decimals;
}

/* Is what was asked of the shape that the kind wants? */
static AmountFault
check_shape(const KindRule *rule, const AmountAsked *asked)
{
	if (is_computed(rule))
		return asked->has_delta || asked->has_new_amount ? BJ_AMOUNT_UNWANTED :
			asked->has_billed ? BJ_AMOUNT_OK : BJ_AMOUNT_WANTS_CHARGE;
	if (asked->has_delta && asked->has_new_amount)
		return BJ_AMOUNT_BOTH;
	if (rule->source == DELTA_NEW && asked->has_delta)
		return BJ_AMOUNT_WANTS_NEW;
	if (!asked->has_delta && !asked->has_new_amount)
		return BJ_AMOUNT_MISSING;
	if (asked->has_new_amount && !asked->has_billed)
		return BJ_AMOUNT_WANTS_CHARGE;
	return BJ_AMOUNT_OK;
}

static AmountFault
compute_delta(const KindRule *rule, const AmountAsked *asked, Decimal *delta)
{
	switch (rule->source)
	{
		case DELTA_NONE:
			*delta = BJ_DECIMAL_ZERO;
			return BJ_AMOUNT_OK;
		case DELTA_BILLED:
			*delta = bj_decimal_negate(asked->billed);
			return BJ_AMOUNT_OK;
		case DELTA_CHARGED:
			*delta = bj_decimal_negate(asked->charged);
			return BJ_AMOUNT_OK;
		default:
			break;
	}
	if (too_fine(asked->has_delta ? asked->delta : asked->new_amount,
				 asked->decimals))
		return BJ_AMOUNT_TOO_FINE;
	if (asked->has_delta)
		*delta = asked->delta;
	else if (bj_decimal_subtract(asked->new_amount, asked->billed, delta) != BJ_OK)
		return BJ_AMOUNT_OUT_OF_RANGE;
	return BJ_AMOUNT_OK;
}

AmountFault
bj_override_amount(OverrideKind kind, const AmountAsked *asked,
				   Decimal *delta, Decimal *amount)
{
	const KindRule *rule = &kinds[kind];
	AmountFault fault = check_shape(rule, asked);
	Decimal		computed;
	int			sign;

	if (fault != BJ_AMOUNT_OK ||
		(fault = compute_delta(rule, asked, &computed)) != BJ_AMOUNT_OK)
		return fault;
	sign = bj_decimal_sign(computed);
	/* a release changes no amount, and a held charge may well be zero */
	if (!rule->ends_hold && (sign == 0 || (rule->sign != 0 && sign != rule->sign)))
		return BJ_AMOUNT_WRONG_SIGN;
	*delta = computed;
	*amount = bj_decimal_abs(rule->source == DELTA_NONE ? asked->charged : computed);
	return BJ_AMOUNT_OK;
}

bool
bj_band_holds(const Band *band, Decimal amount)
{
	int			lower = bj_decimal_compare(amount, band->lower);

	return (lower > 0 || (lower == 0 && bj_decimal_sign(band->lower) == 0)) &&
		(band->open_end || bj_decimal_compare(amount, band->upper) <= 0);
}

int
bj_band_choose(const Band *bands, int n, Decimal amount)
{
	int			found = -1;

	for (int i = 0; i < n; i++)
		if (bj_band_holds(&bands[i], amount))
		{
			if (found >= 0)
				return -2;
			found = i;
		}
	return found;
}

int
bj_step_choose(const Step *steps, int n, int32_t level)
{
	int			found = -1;

	for (int i = 0; i < n; i++)
		if (steps[i].have < steps[i].quorum && steps[i].level <= level &&
			(found < 0 || steps[i].level > steps[found].level))
			found = i;
	return found;
}

bool
bj_steps_count(Step *steps, int n, const int32_t *levels, int ndecisions)
{
	bool		complete = true;

	for (int i = 0; i < n; i++)
		steps[i].have = 0;
	for (int i = 0; i < ndecisions; i++)
	{
		int			found = bj_step_choose(steps, n, levels[i]);

		if (found >= 0)
			steps[found].have++;
	}
	for (int i = 0; i < n; i++)
		complete = complete && steps[i].have >= steps[i].quorum;
	return complete;
}
