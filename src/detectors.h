/*
 * detectors.h
 *	  Store: detectors and peer groups as this session knows them.
 *
 * Without a row in billadj.detector the defaults of the core hold, with action
 * flag.  What comes back stays valid until the next bj_detectors_begin().
 */
#ifndef BILLADJ_DETECTORS_H
#define BILLADJ_DETECTORS_H

#include "postgres.h"

#include "utils/jsonb.h"

#include "core/baseline.h"
#include "core/decimal.h"
#include "keytext.h"

typedef enum BjAction
{
	BJ_ACTION_FLAG,
	BJ_ACTION_HOLD,
	BJ_ACTION_PROPOSE,
	BJ_ACTION_REJECT
} BjAction;

/* What is done about one rule in one stream. */
typedef struct DetectPolicy
{
	int64		detector_id;	/* 0: the defaults */
	BjAction	action;
	bool		off;			/* nothing is said */
	double		threshold;		/* verdicts have moved it already */
	Decimal		min_money;
	Decimal		min_share;		/* of the account's usual bill; 0: none */
	int32		budget;			/* notifications of an account and month */
	double		price_tolerance;	/* of the amount per unit */
} DetectPolicy;

/* Money at risk below which an incident is noted and nothing else is done. */
typedef struct DetectMinimum
{
	Decimal		amount;			/* what holds: the larger of both */
	Decimal		share;			/* 0: none */
	bool		has_usual;		/* a share of it was looked at */
	Decimal		usual_bill;
} DetectMinimum;

/* Rules of detect_across(): of accounts and persons, not of single streams. */
#define BJ_RULE_OFF_CONTRACT "off_contract"

/* How one stream is judged. */
typedef struct DetectSettings
{
	BjDetect	detect;			/* its bounds and its peer are not set */
	double		future_hours;	/* beyond now: in the future; < 0: no bound */
	double		past_days;		/* before now: too old; < 0: no bound */
	bool		off;			/* of every rule: not judged at all */
} DetectSettings;

extern void bj_detectors_init(void);

/*
 * Makes what is known current.  Returns NULL, or the name of a table that is
 * missing or of another shape than this library knows.
 */
extern const char *bj_detectors_begin(void);

/* Does any active detector ask for this action? */
extern bool bj_detectors_any(BjAction action);

extern void bj_detectors_settings(KeyText account, KeyText meter,
								  DetectSettings *settings);

/* rule: bj_reason_name() of what was found, or a rule of detect_across(). */
extern void bj_detectors_policy(KeyText account, KeyText meter,
								const char *rule, DetectPolicy *policy);

/*
 * The minimum of an account in a currency, exactly.  Reads the account's usual
 * bill: for who has something to tell, not for each row.
 */
extern void bj_detectors_minimum(KeyText account, const char *currency,
								 const DetectPolicy *policy, DetectMinimum *minimum);

/* What comparable accounts do of the meter; NULL: nobody knows. */
extern const BjPeer *bj_detectors_peer(KeyText account, KeyText meter);

/* The name of the group that the above returned; "": all of the meter. */
extern const char *bj_detectors_peer_group(const BjPeer *peer);

extern const char *bj_action_name(BjAction action);

/* What holds without a detector. */
extern DetectSettings bj_detectors_defaults(void);

/* Reads parameters of a detector that names no rule, as far as they are known. */
extern void bj_detectors_read(Jsonb *parameters, DetectSettings *settings);

/*
 * Error UB202 of parameters that are unknown, out of range or not of the rule
 * (NULL: it names none).  Everybody else passes over them.
 */
extern void bj_detectors_check(Jsonb *parameters, const char *rule);

#endif							/* BILLADJ_DETECTORS_H */
