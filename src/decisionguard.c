/*
 * decisionguard.c
 *	  What happens when a decision is inserted.
 */
#include "postgres.h"

#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "apply.h"
#include "compat.h"
#include "core/cardnumber.h"
#include "decide.h"
#include "decisionguard.h"
#include "errors.h"
#include "fieldhash.h"
#include "limitusage.h"
#include "overridelog.h"
#include "ownerspi.h"
#include "privatetext.h"
#include "rowedit.h"
#include "touched.h"

/* What the check found and the stored row does not say. */
typedef struct Carried
{
	int			nclaims;
	LimitClaim	claims[2];
	Decimal		effective;
	int64		on_behalf_of;
	bool		has_token;
	char		token_hash[VARHDRSZ + BJ_SHA256_SIZE];
} Carried;

static Carried *
carry(const DecisionBasis *basis)
{
	Carried    *carried = MemoryContextAllocZero(TopTransactionContext, sizeof(Carried));

	carried->nclaims = basis->nclaims;
	memcpy(carried->claims, basis->claims, sizeof(basis->claims));
	carried->effective = basis->request.effective;
	carried->on_behalf_of = basis->delegation.from_principal;
	carried->has_token = basis->token_hash != NULL;
	if (carried->has_token)
		memcpy(carried->token_hash, basis->token_hash, VARSIZE(basis->token_hash));
	return carried;
}

static void
ask(const RowEdit *row, DecisionAsked *asked)
{
	char	   *decision = bj_row_text(row, "decision");

	memset(asked, 0, sizeof(*asked));
	asked->request_id = bj_row_int64(row, "request_id");
	asked->approve = decision != NULL && strcmp(decision, "approve") == 0;
	if (!asked->approve && (decision == NULL || strcmp(decision, "reject") != 0))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a decision is approve or reject, not \"%s\"", decision ? decision : "")));
	asked->seen_hash = bj_row_bytes(row, "seen_hash");
	asked->token = bj_row_text(row, "review_token");
	asked->delegation_id = bj_row_int64(row, "delegation_id");
}

static void
store_comment(RowEdit *row)
{
	char	   *comment = bj_row_text(row, "comment");

	bj_row_set_null(row, "comment");
	bj_row_set_null(row, "comment_id");
	if (comment == NULL)
		return;
	if (bj_text_has_card_number(comment, strlen(comment)))
		ereport(ERROR,
				(errcode(ERRCODE_BJ_CARD_NUMBER),
				 errmsg("comment holds what looks like the number of a payment card"),
				 errhint("Leave it out; its last four digits will do.")));
	bj_row_set_int64(row, "comment_id", bj_private_text_add(comment));
}

static void
fill(RowEdit *row, const DecisionBasis *basis)
{
	int			step = basis->step;

	bj_row_set_int32(row, "revision", basis->request.revision);
	bj_row_set_int32(row, "step", step >= 0 ? basis->steps[step].step : 0);
	bj_row_set_int64(row, "principal_id", basis->me.principal_id);
	bj_row_set_text(row, "person_key", basis->me.person_key);
	bj_row_set_int64(row, "authority_id", basis->authority.authority_id);
	bj_row_set_int32(row, "level", basis->authority.level);
	bj_row_set_text(row, "decided_by", basis->me.login);
	bj_row_set_time(row, "decided_at", GetCurrentTimestamp());
	bj_row_set_text(row, "review_token", basis->token_hash ? bj_sha256_hex(basis->token_hash) : NULL);
	store_comment(row);
}

HeapTuple
bj_decision_check(Relation rel, HeapTuple tuple)
{
	MemoryContext caller = CurrentMemoryContext;
	OwnerScope	scope;
	RowEdit		row;
	DecisionAsked asked;
	DecisionBasis basis;
	HeapTuple	made;

	bj_row_open(&row, rel, tuple);
	ask(&row, &asked);
	bj_override_begin(&scope);
	bj_request_check_number(BJ_NUMBER_OF_DECISION, bj_row_int64(&row, "decision_id"));
	bj_refusals_raise(bj_decide_check(&asked, &basis),
					  asked.approve ? "approval" : "rejection", asked.request_id);
	fill(&row, &basis);
	MemoryContextSwitchTo(caller);
	made = bj_row_make(&row);
	bj_expect_row(rel, made, BJ_MUST_BE_STORED, carry(&basis));
	bj_owner_end(&scope);
	return made;
}

/* ---- after it was stored ---- */

static void
read_facts(const RowEdit *row, const Carried *carried, DecisionFacts *facts)
{
	facts->decision_id = bj_row_int64(row, "decision_id");
	facts->approve = strcmp(bj_row_text(row, "decision"), "approve") == 0;
	facts->principal_id = bj_row_int64(row, "principal_id");
	facts->login = bj_row_text(row, "decided_by");
	facts->on_behalf_of = carried->on_behalf_of;
	facts->authority_id = bj_row_int64(row, "authority_id");
	facts->level = bj_row_int32(row, "level");
	facts->step = bj_row_int32(row, "step");
	facts->comment_id = bj_row_int64(row, "comment_id");
}

static void
reserve(const DecisionFacts *facts, const Carried *carried, const Request *r)
{
	if (!bj_limits_reserve(carried->claims, carried->nclaims, facts->decision_id,
						   r->request_id, r->amount))
		ereport(ERROR,
				(errcode(ERRCODE_BJ_PERIOD_LIMIT),
				 errmsg("%s is above what is left of your limit", bj_decide_money(r->amount, r->currency)),
				 errdetail("Another decision of this statement has taken it."),
				 errhint("SELECT * FROM billadj.explain_decision(" INT64_FORMAT ");", r->request_id)));
}

/*
 * Open, or approved once all steps are complete.  The row is updated in either
 * case, so that of two decisions at once the second sees the first.
 */
static void
advance(Request *r, const DecisionFacts *facts)
{
	RequestChange change = bj_request_unchanged(r);
	const RuleBand *band = bj_rules_choose(&r->rules, r->effective);
	DecisionRow *decisions;
	int			n = bj_decisions_read(r, &decisions);
	Step		steps[BJ_MAX_STEPS];
	bool		complete = bj_decisions_count(decisions, n, band, steps);

	change.decisions++;
	if (complete)
	{
		(void) bj_override_next(r->state, BJ_ACT_APPROVE, &change.state);
		change.apply_until = GetCurrentTimestamp() + band->apply_us;
	}
	bj_request_change(r, &change);
	bj_log_decision(facts, r);
	if (!complete)
		bj_log_awaited("decision_awaited", r, steps, band->nsteps);
	else if (!band->later)
		bj_apply(r, true);
}

/* One rejection closes; what others had reserved for it is released. */
static void
reject(Request *r, const DecisionFacts *facts)
{
	RequestChange change = bj_request_unchanged(r);

	(void) bj_override_next(r->state, BJ_ACT_REJECT, &change.state);
	change.decisions++;
	change.closed_at = GetCurrentTimestamp();
	bj_limits_end(r->request_id, false);
	bj_request_change(r, &change);
	bj_log_decision(facts, r);
	bj_log_closed("override_closed", r, 0);
}

void
bj_decision_stored(Relation rel, HeapTuple tuple)
{
	OwnerScope	scope;
	RowEdit		row;
	DecisionFacts facts;
	Request		request;
	void	   *extra;

	if (!bj_expected_row(rel, tuple, &extra))
		ereport(ERROR,
				(errcode(ERRCODE_BJ_SERVER_CONTROLLED),
				 errmsg("the decision that was stored is not the one that was approved"),
				 errhint("SELECT * FROM billadj.self_check(); -- names triggers and rules that are not billadj's")));
	bj_row_open(&row, rel, tuple);
	read_facts(&row, extra, &facts);
	bj_override_begin(&scope);
	if (!bj_request_lock(bj_row_int64(&row, "request_id"), &request))
		bj_decide_no_request(bj_row_int64(&row, "request_id"));
	request.effective = ((Carried *) extra)->effective;
	if (request.state != BJ_STATE_OPEN)
		ereport(ERROR,
				(errcode(ERRCODE_BJ_WRONG_STATE),
				 errmsg("override request " INT64_FORMAT " is %s", request.request_id, bj_state_name(request.state)),
				 errdetail("Another decision of this statement closed it.")));
	if (((Carried *) extra)->has_token)
		bj_ticket_use((bytea *) ((Carried *) extra)->token_hash);
	bj_touch(&(Touched) {request.request_id, facts.decision_id, false, 0});
	if (facts.approve)
	{
		reserve(&facts, extra, &request);
		advance(&request, &facts);
	}
	else
		reject(&request, &facts);
	bj_owner_end(&scope);
}
