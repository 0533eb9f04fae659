/*
 * apply.c
 *	  Applying an approved request, and what ends a request otherwise.
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "actor.h"
#include "apply.h"
#include "basis.h"
#include "decide.h"
#include "effects.h"
#include "errors.h"
#include "fieldhash.h"
#include "limitusage.h"
#include "overridelog.h"
#include "posture.h"

static void
raise_state(const Request *r)
{
	ereport(ERROR,
			(errcode(ERRCODE_BJ_WRONG_STATE),
			 errmsg("override request " INT64_FORMAT " is %s", r->request_id, bj_state_name(r->state)),
			 errdetail("Only an approved request can be applied."),
			 errhint("SELECT * FROM billadj.explain_decision(" INT64_FORMAT ");", r->request_id)));
}

static void
check_deadline(const Request *r, TimestampTz until, const char *what)
{
	if (until <= GetCurrentTimestamp())
		ereport(ERROR,
				(errcode(ERRCODE_BJ_WRONG_STATE),
				 errmsg("override request " INT64_FORMAT " has expired", r->request_id),
				 errdetail("It was to be %s until %s.", what, timestamptz_to_str(until)),
				 errhint("Ask for it again with billadj.submit_override().")));
}

bool
bj_apply_is_fresh(const Request *r, int64 own_request_id, int64 own_hold_id)
{
	Basis		now;

	bj_basis_read(r->charge_id, r->period_start, (BasisWithout) {own_request_id, own_hold_id}, &now);
	return bj_sha256_equal(now.hash, r->charge_hash);
}

static void
raise_stale(const Request *r)
{
	ereport(ERROR,
			(errcode(ERRCODE_BJ_STALE),
			 errmsg("what override request " INT64_FORMAT " was based on has changed", r->request_id),
			 errdetail("A charge, an adjustment or a hold was added to its usage row since."),
			 errhint("Its requester can bring it up to date: SELECT billadj.revise_override(" INT64_FORMAT ");", r->request_id)));
}

static const char *
first_lapse(const DecisionRow *decisions, int n)
{
	for (int i = 0; i < n; i++)
		if (decisions[i].approve && decisions[i].lapsed != NULL)
			return decisions[i].lapsed;
	return NULL;
}

/* Do the decisions that still hold satisfy the rule of its effective amount? */
static void
check_decisions(const Request *r, const DecisionRow *decisions, int n)
{
	const RuleBand *band = bj_rules_choose(&r->rules, r->effective);
	Step		steps[BJ_MAX_STEPS];
	const char *lapse = first_lapse(decisions, n);

	if (band == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_BJ_NO_RULE),
				 errmsg("no approval rule holds %s for %s", bj_decide_money(r->effective, r->currency), r->kind_name)));
	if (!bj_decisions_count(decisions, n, band, steps))
		ereport(ERROR,
				(errcode(ERRCODE_BJ_INCOMPLETE),
				 errmsg("approvals of override request " INT64_FORMAT " are incomplete or no longer valid", r->request_id),
				 errdetail("Missing: %s%s%s.", bj_decide_missing(steps, band->nsteps),
						   lapse ? "; meanwhile " : "", lapse ? lapse : ""),
				 errhint("SELECT * FROM billadj.explain_decision(" INT64_FORMAT ");", r->request_id)));
}

/* What else was asked for in its window by now counts too. */
static void
raise_effective(Request *r)
{
	Decimal		effective = bj_request_effective(r);

	if (bj_decimal_compare(effective, r->effective) > 0)
		r->effective = effective;
}

/* A release makes a charge billable; taking that back holds it again. */
static int64
write_hold(const Request *r)
{
	if (!bj_kind_ends_hold(r->kind))
		return 0;
	if (r->reverses == 0)
	{
		bj_hold_end(r);
		return 0;
	}
	return r->kind == BJ_KIND_RELEASE ? bj_hold_again(r) : 0;
}

int64
bj_apply(Request *r, bool fresh)
{
	RequestChange change;
	DecisionRow *decisions;
	int			n;
	int64		adjustment_id;
	int64		hold_id;

	bj_posture_check();
	if (r->state != BJ_STATE_APPROVED)
		raise_state(r);
	check_deadline(r, r->apply_until, "applied");
	if (!fresh && !bj_apply_is_fresh(r, 0, 0))
		raise_stale(r);
	raise_effective(r);
	n = bj_decisions_read(r, &decisions);
	check_decisions(r, decisions, n);

	bj_limits_end(r->request_id, true);
	adjustment_id = bj_adjustment_add(r, bj_actor_login());
	hold_id = write_hold(r);
	change = bj_request_unchanged(r);
	(void) bj_override_next(r->state, BJ_ACT_APPLY, &change.state);
	change.closed_at = GetCurrentTimestamp();
	bj_request_change(r, &change);
	bj_log_applied(adjustment_id, r, decisions, n);
	bj_log_closed("override_applied", r, adjustment_id);
	bj_touch(&(Touched) {r->request_id, 0, true, hold_id});
	return adjustment_id;
}

void
bj_apply_close(Request *r, OverrideAct act)
{
	RequestChange change = bj_request_unchanged(r);

	if (!bj_override_next(r->state, act, &change.state))
		elog(ERROR, "override request " INT64_FORMAT " cannot be closed so", r->request_id);
	bj_limits_end(r->request_id, false);
	change.closed_at = GetCurrentTimestamp();
	bj_request_change(r, &change);
	bj_log_request(bj_state_name(r->state), r, NULL);
	bj_log_closed("override_closed", r, 0);
}

/*
 * Between the statement and the commit time has passed, and other transactions
 * have committed.  Policy cannot have changed: its rows are locked.  The
 * effective amount is that of the statement: what was asked for later counts
 * for itself.
 */
void
bj_apply_check_touched(const Touched *touched)
{
	Request		request;
	DecisionRow *decisions;
	int			n;

	if (!bj_request_read(touched->request_id, &request))
		elog(ERROR, "override request " INT64_FORMAT " is gone", touched->request_id);
	/* rejected in this very transaction: nothing rests on it */
	if (request.state != BJ_STATE_OPEN && request.state != BJ_STATE_APPROVED && request.state != BJ_STATE_APPLIED)
		return;
	if (touched->decision_id != 0)
		check_deadline(&request, request.decide_until, "decided");
	if (request.state != BJ_STATE_OPEN)
		check_deadline(&request, request.apply_until, "applied");
	if (!bj_apply_is_fresh(&request, touched->applied ? request.request_id : 0, touched->hold_id))
		raise_stale(&request);
	n = bj_decisions_read(&request, &decisions);
	if (request.state != BJ_STATE_OPEN)
		check_decisions(&request, decisions, n);
	for (int i = 0; i < n; i++)
		if (decisions[i].decision_id == touched->decision_id && decisions[i].lapsed != NULL)
			ereport(ERROR,
					(errcode(ERRCODE_BJ_INCOMPLETE),
					 errmsg("a decision on override request " INT64_FORMAT " is no longer valid", request.request_id),
					 errdetail("Meanwhile %s.", decisions[i].lapsed)));
}
