/*
 * decide.c
 *	  Whether somebody may decide on a request.
 *
 * The order of the checks is fixed, so that the same fault always gives the
 * same code: state, staleness, token, separation of duties, interest, decided
 * already, delegation, rule, authority, certificate, limits.  Words say what
 * is the caller's own; of others at most the level that is needed.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "utils/timestamp.h"

#include "basis.h"
#include "decide.h"
#include "errors.h"
#include "fieldhash.h"

static char *
explain_hint(int64 request_id)
{
	return psprintf("SELECT * FROM billadj.explain_decision(" INT64_FORMAT ");", request_id);
}

void
bj_decide_no_request(int64 request_id)
{
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("permission denied for override request " INT64_FORMAT, request_id),
			 errdetail("It does not exist, or you may not see it."),
			 errhint("SELECT * FROM billadj.inbox();")));
}

char *
bj_decide_money(Decimal amount, const char *currency)
{
	char		text[BJ_DECIMAL_TEXT_SIZE];

	bj_decimal_format(amount, text);
	return psprintf("%s %s", text, currency);
}

char *
bj_decide_missing(const Step *steps, int nsteps)
{
	StringInfoData words;

	initStringInfo(&words);
	for (int i = 0; i < nsteps; i++)
	{
		int			missing = steps[i].quorum - steps[i].have;

		if (missing > 0)
			appendStringInfo(&words, "%s%d %s of level %d or above", words.len ? " and " : "",
							 missing, missing == 1 ? "person" : "persons", steps[i].level);
	}
	return words.len > 0 ? words.data : "nobody";
}

/* ---- the request itself ---- */

static void
check_state(const DecisionAsked *asked, const Request *r, Refusals *refusals)
{
	OverrideState next;

	if (!bj_override_next(r->state, asked->approve ? BJ_ACT_APPROVE : BJ_ACT_REJECT, &next))
		bj_refuse(refusals, ERRCODE_BJ_WRONG_STATE,
				  psprintf("override request " INT64_FORMAT " is %s", r->request_id, bj_state_name(r->state)),
				  "Only an open request can be decided on.",
				  r->state == BJ_STATE_APPROVED ?
				  psprintf("SELECT billadj.apply_override(" INT64_FORMAT "); -- as billadj_operator", r->request_id) :
				  "SELECT * FROM billadj.inbox();");
	else if (r->decide_until <= GetCurrentTimestamp())
		bj_refuse(refusals, ERRCODE_BJ_WRONG_STATE,
				  psprintf("override request " INT64_FORMAT " has expired", r->request_id),
				  psprintf("It was to be decided until %s.", timestamptz_to_str(r->decide_until)),
				  "Ask for it again with billadj.submit_override().");
}

static void
check_fresh(const DecisionAsked *asked, const Request *r, Refusals *refusals)
{
	const bytea *seen = asked->seen_hash;
	char	   *review = psprintf("SELECT * FROM billadj.review_override(" INT64_FORMAT ");", r->request_id);
	Basis		now;

	if (!asked->ask_only && !bj_sha256_equal(seen, r->content_hash))
	{
		bj_refuse(refusals, ERRCODE_BJ_STALE,
				  psprintf("override request " INT64_FORMAT " is not what you saw", r->request_id),
				  "The hash of your decision is not that of its present content: it was revised, or the hash is wrong.", review);
		return;
	}
	bj_basis_read(r->charge_id, r->period_start, (BasisWithout) {0, 0}, &now);
	if (!bj_sha256_equal(now.hash, r->charge_hash))
		bj_refuse(refusals, ERRCODE_BJ_STALE,
				  psprintf("what override request " INT64_FORMAT " was based on has changed", r->request_id),
				  "A charge, an adjustment or a hold was added to its usage row since.",
				  psprintf("Its requester can bring it up to date: SELECT billadj.revise_override(" INT64_FORMAT ");", r->request_id));
}

static void
check_token(const DecisionAsked *asked, DecisionBasis *basis, Refusals *refusals)
{
	const char *problem = NULL;

	if (asked->ask_only)
		return;
	if (asked->token != NULL)
	{
		basis->token_hash = bj_sha256_text(asked->token);
		problem = bj_ticket_problem(asked->request_id, basis->me.principal_id,
									basis->request.content_hash, basis->token_hash);
	}
	else if (bj_review_required())
		problem = "this instance wants a review token with each decision";
	if (problem != NULL)
		bj_refuse(refusals, ERRCODE_BJ_REVIEW_TOKEN, problem,
				  "A token comes from billadj.review_override() in an earlier transaction, and serves once.",
				  psprintf("SELECT * FROM billadj.review_override(" INT64_FORMAT ");", asked->request_id));
}

/* ---- the person ---- */

static bool
same_person(const char *a, const char *b)
{
	return a != NULL && b != NULL && strcmp(a, b) == 0;
}

static void
check_duties(const DecisionAsked *asked, const DecisionBasis *basis, Refusals *refusals)
{
	const Request *r = &basis->request;
	const char *me = basis->me.person_key;
	const char *lender = basis->delegation.from_person;

	if (same_person(me, r->requester_person))
		bj_refuse(refusals, ERRCODE_BJ_SEGREGATION,
				  psprintf("you cannot decide on override request " INT64_FORMAT ": it is your own", r->request_id),
				  psprintf("It was submitted by \"%s\"; you are \"%s\", the same person. Persons are counted, not logins.",
						   r->requested_by, basis->me.login),
				  psprintf("Another person has to decide, needed: %s. See %s To take it back: SELECT billadj.withdraw_override(" INT64_FORMAT ");",
						   bj_decide_missing(basis->steps, basis->band ? basis->band->nsteps : 0),
						   explain_hint(r->request_id), r->request_id));
	else if (same_person(me, r->editor_person))
		bj_refuse(refusals, ERRCODE_BJ_SEGREGATION,
				  psprintf("you cannot decide on override request " INT64_FORMAT ": you revised it", r->request_id),
				  NULL, explain_hint(r->request_id));
	else if (same_person(lender, r->requester_person) || same_person(lender, r->editor_person))
		bj_refuse(refusals, ERRCODE_BJ_SEGREGATION,
				  psprintf("you cannot decide on override request " INT64_FORMAT " by the authority of its requester", r->request_id),
				  "Delegated authority does not reach the lender's own requests.", explain_hint(r->request_id));
}

static void
check_interest(const DecisionBasis *basis, Refusals *refusals)
{
	const char *lender = basis->delegation.from_person;

	if (bj_conflict_exists(basis->me.person_key, basis->request.account))
		bj_refuse(refusals, ERRCODE_BJ_CONFLICT,
				  "you have declared an interest in this account", NULL, explain_hint(basis->request.request_id));
	else if (lender != NULL && bj_conflict_exists(lender, basis->request.account))
		bj_refuse(refusals, ERRCODE_BJ_CONFLICT,
				  "whose authority you use has declared an interest in this account", NULL,
				  explain_hint(basis->request.request_id));
}

static void
check_once(const DecisionBasis *basis, Refusals *refusals)
{
	const char *me = basis->me.person_key;
	const char *lender = basis->delegation.from_person;

	for (int i = 0; i < basis->ndecisions; i++)
	{
		const DecisionRow *d = &basis->decisions[i];

		if (same_person(me, d->person_key) || same_person(me, d->lender) ||
			same_person(lender, d->person_key) || same_person(lender, d->lender))
		{
			bj_refuse(refusals, ERRCODE_BJ_DECIDED_ALREADY,
					  psprintf("you have decided on override request " INT64_FORMAT " already", basis->request.request_id),
					  "One person counts once, with own and with lent authority.",
					  explain_hint(basis->request.request_id));
			return;
		}
	}
}

static void
check_delegation(const DecisionAsked *asked, const DecisionBasis *basis, Refusals *refusals)
{
	const Delegation *d = &basis->delegation;
	const char *problem = NULL;

	if (asked->delegation_id == 0)
		return;
	if (d->from_principal == 0 || d->to_principal != basis->me.principal_id)
		problem = "there is no such delegation to you";
	else if (!d->valid || !d->from_active)
		problem = "the delegation does not hold now";
	else if (!d->lent_by_holder)
		problem = "the delegation lends what is not the lender's own";
	else if (d->has_limit && asked->approve &&
			 bj_decimal_compare(basis->request.amount, d->single_limit) > 0)
		problem = psprintf("the delegation is for at most %s",
						   bj_decide_money(d->single_limit, basis->request.currency));
	if (problem != NULL)
		bj_refuse(refusals, ERRCODE_BJ_DELEGATION, problem, NULL,
				  "SELECT * FROM billadj.delegation;");
}

/* ---- authority ---- */

/* Which authorities are left after a test, in place; says how many. */
typedef bool (*AuthorityTest) (const Authority *authority, const DecisionBasis *basis);

static bool
is_valid(const Authority *authority, const DecisionBasis *basis)
{
	return authority->valid;
}

/* Reaches a step that is still short. */
static bool
is_high_enough(const Authority *authority, const DecisionBasis *basis)
{
	return bj_step_choose(basis->steps, basis->band->nsteps, authority->level) >= 0;
}

static bool
is_certified(const Authority *authority, const DecisionBasis *basis)
{
	return authority->certified;
}

static bool
is_large_enough(const Authority *authority, const DecisionBasis *basis)
{
	return bj_decimal_compare(basis->request.amount, authority->single_limit) <= 0;
}

static int
keep(Authority *authorities, int n, AuthorityTest test, const DecisionBasis *basis)
{
	int			kept = 0;

	for (int i = 0; i < n; i++)
		if (test(&authorities[i], basis))
			authorities[kept++] = authorities[i];
	return kept;
}

/* The highest, and of equals the first. */
static const Authority *
highest(const Authority *authorities, int n)
{
	const Authority *found = &authorities[0];

	for (int i = 1; i < n; i++)
		if (authorities[i].level > found->level)
			found = &authorities[i];
	return found;
}

static void
refuse_level(const Authority *best, const DecisionBasis *basis, Refusals *refusals)
{
	const Request *r = &basis->request;

	bj_refuse(refusals, ERRCODE_BJ_NO_AUTHORITY,
			  best == NULL ?
			  psprintf("you have no authority for %s in %s", r->kind_name, r->currency) :
			  psprintf("your authority for %s in %s is of level %d, which no missing step can use",
					   r->kind_name, r->currency, best->level),
			  psprintf("Missing: %s.", bj_decide_missing(basis->steps, basis->band->nsteps)),
			  explain_hint(r->request_id));
}

/*
 * The authorities that are left after the last test before the limits of a
 * period; 0 after a refusal.
 */
static int
narrow(Authority *all, int n, const DecisionAsked *asked, const DecisionBasis *basis,
	   Refusals *refusals)
{
	const Request *r = &basis->request;
	char	   *hint = explain_hint(r->request_id);
	Authority  *left = palloc(sizeof(Authority) * (n + 1));
	int			nleft;

	memcpy(left, all, sizeof(Authority) * n);
	if (n == 0)
	{
		refuse_level(NULL, basis, refusals);
		return 0;
	}
	if ((nleft = keep(left, n, is_valid, basis)) == 0)
	{
		bj_refuse(refusals, ERRCODE_BJ_AUTHORITY_ENDED,
				  psprintf("your authority for %s in %s does not hold now", r->kind_name, r->currency),
				  "It has ended, or has not begun.", hint);
		return 0;
	}
	memcpy(all, left, sizeof(Authority) * nleft);
	if ((n = keep(left, nleft, is_high_enough, basis)) == 0)
	{
		refuse_level(highest(all, nleft), basis, refusals);
		return 0;
	}
	memcpy(all, left, sizeof(Authority) * n);
	if ((nleft = keep(left, n, is_certified, basis)) == 0)
	{
		bj_refuse(refusals, ERRCODE_BJ_CERTIFICATE,
				  psprintf("your authority for %s in %s needs certificate \"%s\"",
						   r->kind_name, r->currency, all[0].certificate),
				  "There is none that holds now.", hint);
		return 0;
	}
	memcpy(all, left, sizeof(Authority) * nleft);
	if (!asked->approve || (n = keep(left, nleft, is_large_enough, basis)) > 0)
	{
		n = asked->approve ? n : nleft;
		memcpy(all, left, sizeof(Authority) * n);
		return n;
	}
	bj_refuse(refusals, ERRCODE_BJ_SINGLE_LIMIT,
			  psprintf("%s is above your limit of %s for one %s",
					   bj_decide_money(r->amount, r->currency),
					   bj_decide_money(highest(all, nleft)->single_limit, r->currency), r->kind_name),
			  NULL, hint);
	return 0;
}

static void
claim(DecisionBasis *basis, const Authority *authority)
{
	if (!authority->has_period_limit)
		return;
	for (int i = 0; i < basis->nclaims; i++)
		if (basis->claims[i].authority_id == authority->authority_id)
			return;
	basis->claims[basis->nclaims++] = (LimitClaim) {authority->authority_id,
	authority->period_start, authority->period_limit, BJ_DECIMAL_ZERO};
}

/* What is used by delegation counts for the user's own authority too. */
static void
claim_own(const DecisionAsked *asked, DecisionBasis *basis)
{
	Authority  *own;
	int			n = bj_authorities_read(basis->me.principal_id, basis->request.kind_name,
										basis->request.currency, 0, basis->me.principal_id,
										!asked->ask_only, &own);

	n = keep(own, n, is_valid, basis);
	if (n > 0)
		claim(basis, highest(own, n));
}

static bool
claims_hold(const DecisionBasis *basis, int64 *full)
{
	for (int i = 0; i < basis->nclaims; i++)
		if (!bj_limit_holds(&basis->claims[i], basis->request.amount))
		{
			*full = i;
			return false;
		}
	return true;
}

/*
 * Of the authorities that are left the highest one whose period has room.  An
 * authority whose counter is full is no reason to refuse while another serves.
 */
static void
choose(const DecisionAsked *asked, DecisionBasis *basis, Authority *left, int n,
	   Refusals *refusals)
{
	const LimitClaim *full = NULL;

	while (n > 0)
	{
		const Authority *best = highest(left, n);
		int64		which;

		basis->authority = *best;
		basis->nclaims = 0;
		if (!asked->approve)
			return;
		claim(basis, best);
		if (asked->delegation_id != 0)
			claim_own(asked, basis);
		bj_limits_read(basis->claims, basis->nclaims, !asked->ask_only);
		if (claims_hold(basis, &which))
			return;
		if (full == NULL)
		{
			LimitClaim *copy = palloc(sizeof(LimitClaim));

			*copy = basis->claims[which];
			full = copy;
		}
		left[best - left] = left[--n];
	}
	bj_refuse(refusals, ERRCODE_BJ_PERIOD_LIMIT,
			  psprintf("%s is above what is left of your limit of %s",
					   bj_decide_money(basis->request.amount, basis->request.currency),
					   bj_decide_money(full->period_limit, basis->request.currency)),
			  psprintf("%s of it are taken in this period.", bj_decide_money(full->taken, basis->request.currency)),
			  explain_hint(basis->request.request_id));
}

static void
check_authority(const DecisionAsked *asked, DecisionBasis *basis, Refusals *refusals)
{
	bool		lent = asked->delegation_id != 0;
	Authority  *authorities;
	int			n;

	if (basis->band == NULL)
		return;
	n = bj_authorities_read(lent ? basis->delegation.from_principal : basis->me.principal_id,
							basis->request.kind_name, basis->request.currency,
							lent ? basis->delegation.authority_id : 0,
							basis->me.principal_id, !asked->ask_only, &authorities);
	n = narrow(authorities, n, asked, basis, refusals);
	if (n == 0)
		return;
	choose(asked, basis, authorities, n, refusals);
	basis->step = bj_step_choose(basis->steps, basis->band->nsteps, basis->authority.level);
}

/* ---- all of it ---- */

/* Principals come first in the order of locks, the request second. */
static void
lock_or_read(const DecisionAsked *asked, DecisionBasis *basis)
{
	if (asked->delegation_id != 0)
		bj_delegation_read(asked->delegation_id, false, &basis->delegation);
	if (!asked->ask_only)
	{
		int			n;
		int64	   *principals = bj_decisions_principals(asked->request_id, 2, &n);

		principals[n++] = basis->me.principal_id;
		if (basis->delegation.from_principal != 0)
			principals[n++] = basis->delegation.from_principal;
		bj_principals_lock(principals, n);
	}
	if (!(asked->ask_only ? bj_request_read(asked->request_id, &basis->request) :
		  bj_request_lock(asked->request_id, &basis->request)))
		bj_decide_no_request(asked->request_id);
	if (asked->delegation_id != 0 && !asked->ask_only)
		bj_delegation_read(asked->delegation_id, true, &basis->delegation);
}

static void
choose_band(DecisionBasis *basis, Refusals *refusals)
{
	Request    *r = &basis->request;
	Decimal		effective = bj_request_effective(r);

	/* the largest that was ever met: what left the window still counts */
	if (bj_decimal_compare(effective, r->effective) > 0)
		r->effective = effective;
	basis->band = bj_rules_choose(&r->rules, r->effective);
	if (basis->band != NULL)
		bj_decisions_count(basis->decisions, basis->ndecisions, basis->band, basis->steps);
}

Refusals
bj_decide_check(const DecisionAsked *asked, DecisionBasis *basis)
{
	Refusals	refusals = NIL;

	memset(basis, 0, sizeof(*basis));
	if (!asked->ask_only)
		bj_actor_require(&basis->me);
	else if (!bj_actor_principal(&basis->me))
	{
		bj_refuse(&refusals, ERRCODE_BJ_NO_PRINCIPAL,
				  psprintf("login \"%s\" is no registered person", basis->me.login), NULL, NULL);
		return refusals;
	}
	lock_or_read(asked, basis);
	basis->ndecisions = bj_decisions_read(&basis->request, &basis->decisions);
	choose_band(basis, &refusals);

	check_state(asked, &basis->request, &refusals);
	check_fresh(asked, &basis->request, &refusals);
	check_token(asked, basis, &refusals);
	check_duties(asked, basis, &refusals);
	check_interest(basis, &refusals);
	check_once(basis, &refusals);
	check_delegation(asked, basis, &refusals);
	if (basis->band == NULL)
		bj_refuse(&refusals, ERRCODE_BJ_NO_RULE,
				  psprintf("no approval rule holds %s for %s",
						   bj_decide_money(basis->request.effective, basis->request.currency), basis->request.kind_name),
				  "The amount is that of all requests of the account in the window of the rules.", NULL);
	check_authority(asked, basis, &refusals);
	return refusals;
}
