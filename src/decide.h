/*
 * decide.h
 *	  Whether somebody may decide on a request: all checks, in one order.
 *
 * Needs an open owner scope.
 */
#ifndef BILLADJ_DECIDE_H
#define BILLADJ_DECIDE_H

#include "postgres.h"

#include "actor.h"
#include "decisions.h"
#include "limitusage.h"
#include "refusal.h"

typedef struct DecisionAsked
{
	int64		request_id;
	bool		approve;
	const bytea *seen_hash;		/* of no use with ask_only */
	const char *token;			/* or NULL */
	int64		delegation_id;	/* 0: own authority */
	bool		ask_only;		/* nothing is locked; hash and token are not looked at */
} DecisionAsked;

/* What a decision rests on; filled as far as the checks came. */
typedef struct DecisionBasis
{
	Principal	me;
	Request		request;
	Delegation	delegation;		/* where one is used */
	int			ndecisions;
	DecisionRow *decisions;		/* before this one */
	const RuleBand *band;
	Step		steps[BJ_MAX_STEPS];	/* with what they have */
	int			step;			/* the one that it counts for */
	Authority	authority;
	int			nclaims;
	LimitClaim	claims[2];		/* the authority's, and the user's own */
	bytea	   *token_hash;		/* or NULL */
} DecisionBasis;

/*
 * Why the actor may not decide so; NIL: he may.  An unknown request is error
 * 42501 at once.
 */
extern Refusals bj_decide_check(const DecisionAsked *asked, DecisionBasis *basis);

/* What the steps are short of, as words: "1 person of level 2 or above". */
extern char *bj_decide_missing(const Step *steps, int nsteps);

/* An amount with its currency, as words. */
extern char *bj_decide_money(Decimal amount, const char *currency);

/* Raises what an unknown request and an invisible one both are. */
extern void bj_decide_no_request(int64 request_id);

#endif							/* BILLADJ_DECIDE_H */
