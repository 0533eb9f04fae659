/*
 * override.h
 *	  The rules of overrides: kinds, states, amount bands and steps of approval.
 *
 * Pure core.  Amounts are in the currency of the request; negative is in the
 * customer's favour.
 */
#ifndef BILLADJ_CORE_OVERRIDE_H
#define BILLADJ_CORE_OVERRIDE_H

#include "core/decimal.h"

typedef enum OverrideKind
{
	BJ_KIND_CREDIT,
	BJ_KIND_DEBIT,
	BJ_KIND_DISCOUNT,
	BJ_KIND_PRICE_OVERRIDE,
	BJ_KIND_WAIVE,
	BJ_KIND_WRITE_OFF,
	BJ_KIND_REFUND,
	BJ_KIND_RELEASE,
	BJ_KIND_CANCEL
} OverrideKind;

#define BJ_NKINDS (BJ_KIND_CANCEL + 1)

typedef enum OverrideState
{
	BJ_STATE_NEW,				/* not there yet */
	BJ_STATE_OPEN,
	BJ_STATE_APPROVED,
	BJ_STATE_APPLIED,
	BJ_STATE_REJECTED,
	BJ_STATE_WITHDRAWN,
	BJ_STATE_EXPIRED,
	BJ_STATE_STALE
} OverrideState;

#define BJ_NSTATES (BJ_STATE_STALE + 1)

typedef enum OverrideAct
{
	BJ_ACT_SUBMIT,
	BJ_ACT_REVISE,
	BJ_ACT_WITHDRAW,
	BJ_ACT_APPROVE,				/* the decision that completes the last step */
	BJ_ACT_REJECT,
	BJ_ACT_APPLY,
	BJ_ACT_EXPIRE,
	BJ_ACT_OUTDATE				/* what it was based on has changed */
} OverrideAct;

#define BJ_NACTS (BJ_ACT_OUTDATE + 1)

/* False for text that names none; *kind or *state is written on true only. */
extern bool bj_kind_parse(const char *name, OverrideKind *kind);
extern bool bj_state_parse(const char *name, OverrideState *state);
extern const char *bj_state_name(OverrideState state);

/* Is the kind one of a hold: release or cancel? */
extern bool bj_kind_ends_hold(OverrideKind kind);

/* Does it change what is billed?  Otherwise the balance only. */
extern bool bj_kind_affects_billed(OverrideKind kind);

/* Does its amount follow from the charge (waive, release, cancel)? */
extern bool bj_kind_is_computed(OverrideKind kind);

/* The state after an act; false if the act is not possible in that state. */
extern bool bj_override_next(OverrideState state, OverrideAct act,
							 OverrideState *next);

/* Why an amount was refused. */
typedef enum AmountFault
{
	BJ_AMOUNT_OK,
	BJ_AMOUNT_MISSING,			/* neither delta nor new amount */
	BJ_AMOUNT_BOTH,				/* delta and new amount */
	BJ_AMOUNT_UNWANTED,			/* the kind says what its amount is */
	BJ_AMOUNT_WANTS_NEW,		/* price_override: the new amount, no delta */
	BJ_AMOUNT_WANTS_CHARGE,		/* nothing that the new amount replaces */
	BJ_AMOUNT_WRONG_SIGN,		/* or zero */
	BJ_AMOUNT_TOO_FINE,			/* more decimals than the currency has */
	BJ_AMOUNT_OUT_OF_RANGE
} AmountFault;

typedef struct AmountAsked
{
	bool		has_delta;
	Decimal		delta;
	bool		has_new_amount;
	Decimal		new_amount;
	bool		has_billed;		/* there is a charge */
	Decimal		billed;			/* what new_amount and waive refer to */
	Decimal		charged;		/* of what is held: release and cancel */
	int32_t		decimals;		/* of the currency */
} AmountAsked;

/*
 * The delta of a request, and the amount that bands and limits count.  What a
 * person writes has no more decimals than the currency; what is computed from
 * a charge (waive, cancel, new amount - billed) is exact, however long.
 * Nothing is written unless BJ_AMOUNT_OK.
 */
extern AmountFault bj_override_amount(OverrideKind kind,
									  const AmountAsked *asked,
									  Decimal *delta, Decimal *amount);

/* The absolute value. */
extern Decimal bj_decimal_abs(Decimal a);

/*
 * An amount band: lower-exclusive and upper-inclusive like a tier, the one
 * from zero includes it.
 */
typedef struct Band
{
	Decimal		lower;
	bool		open_end;
	Decimal		upper;
} Band;

extern bool bj_band_holds(const Band *band, Decimal amount);

/* Index of the one band that holds the amount; -1: none, -2: several. */
extern int	bj_band_choose(const Band *bands, int n, Decimal amount);

/* A step of a rule: quorum persons of at least this level. */
typedef struct Step
{
	int32_t		step;
	int32_t		level;
	int32_t		quorum;
	int32_t		have;			/* persons that count for it */
} Step;

/*
 * The step that a decision of this level counts for: the most demanding one
 * still short of its quorum, so that the order of decisions is free.  -1: none.
 */
extern int	bj_step_choose(const Step *steps, int n, int32_t level);

/* Counts decisions by their levels; returns whether all steps are complete. */
extern bool bj_steps_count(Step *steps, int n, const int32_t *levels,
						   int ndecisions);

#endif							/* BILLADJ_CORE_OVERRIDE_H */
