/*
 * rules.h
 *	  Store: approval rules of a kind and currency, as they are now or as a
 *	  request took them with it.
 *
 * Needs an open owner scope.
 */
#ifndef BILLADJ_RULES_H
#define BILLADJ_RULES_H

#include "postgres.h"

#include "core/override.h"

/* As many steps as a band may have; more are refused when the rules are read. */
#define BJ_MAX_STEPS 16

typedef struct RuleBand
{
	int			nsteps;			/* 0: the band needs nobody */
	Step		steps[BJ_MAX_STEPS];
	bool		later;			/* apply_override() applies it */
	int64		decide_us;		/* time to decide, microseconds */
	int64		apply_us;		/* time to apply, microseconds */
} RuleBand;

typedef struct RuleSet
{
	Datum		document;		/* jsonb, what the request keeps */
	char	   *text;			/* the same as text, to be hashed */
	int64		window_us;		/* widest window of the rules, microseconds */
	int			nbands;
	Band	   *bands;
	RuleBand   *rules;			/* of each band */
} RuleSet;

/* The rules in force now. */
extern void bj_rules_current(const char *kind, const char *currency, RuleSet *set);

/* The rules that a request took with it; document is a jsonb. */
extern void bj_rules_read(Datum document, RuleSet *set);

/* The band of an amount; NULL if none or several hold it. */
extern const RuleBand *bj_rules_choose(const RuleSet *set, Decimal amount);

#endif							/* BILLADJ_RULES_H */
