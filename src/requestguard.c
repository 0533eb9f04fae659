/*
 * requestguard.c
 *	  What happens when a request is inserted or updated.
 */
#include "postgres.h"

#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "apply.h"
#include "decide.h"
#include "draft.h"
#include "effects.h"
#include "errors.h"
#include "limitusage.h"
#include "overridelog.h"
#include "ownerspi.h"
#include "requestguard.h"
#include "touched.h"

/* What the check found and the stored row does not say. */
typedef struct Carried
{
	OverrideAct act;
	int64		proposal_id;
} Carried;

static Carried *
carry(OverrideAct act, int64 proposal_id)
{
	Carried    *carried = MemoryContextAlloc(TopTransactionContext, sizeof(Carried));

	*carried = (Carried) {act, proposal_id};
	return carried;
}

HeapTuple
bj_request_check_insert(Relation rel, HeapTuple tuple)
{
	MemoryContext caller = CurrentMemoryContext;
	Principal	me;
	OwnerScope	scope;
	RowEdit		row;
	Draft		draft;
	HeapTuple	made;

	bj_actor_require(&me);
	bj_row_open(&row, rel, tuple);
	bj_override_begin(&scope);
	bj_request_check_number(BJ_NUMBER_OF_REQUEST, bj_row_int64(&row, "request_id"));
	bj_draft_fill(&draft, &row, NULL, &me);
	MemoryContextSwitchTo(caller);
	made = bj_row_make(&row);
	bj_expect_row(rel, made, BJ_MUST_BE_STORED, carry(BJ_ACT_SUBMIT, draft.proposal_id));
	bj_owner_end(&scope);
	return made;
}

/* ---- updates ---- */

/*
 * The library's own update: whatever the statement says by now, the row is the
 * old one with the values that the library keeps in its memory.
 */
static HeapTuple
engine_update(Relation rel, HeapTuple old)
{
	const RequestChange *change = bj_request_changing();
	RowEdit		row;
	HeapTuple	made;

	if (change == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_BJ_SERVER_CONTROLLED),
				 errmsg("override requests change by decisions only")));
	bj_row_open(&row, rel, old);
	bj_row_set_text(&row, "state", bj_state_name(change->state));
	bj_row_set_int32(&row, "decisions", change->decisions);
	bj_row_set_decimal(&row, "effective_amount", change->effective);
	bj_row_set_time(&row, "apply_until", change->apply_until);
	bj_row_set_time(&row, "closed_at", change->closed_at);
	if (change->escalate)
		bj_row_set_time(&row, "escalated_at", GetCurrentTimestamp());
	made = bj_row_make(&row);
	bj_expect_row(rel, made, BJ_MUST_BE_STORED, NULL);
	return made;
}

static OverrideState
row_state(const RowEdit *row)
{
	char	   *name = bj_row_text(row, "state");
	OverrideState state = BJ_STATE_NEW;

	if (name == NULL || !bj_state_parse(name, &state))
		ereport(ERROR,
				(errcode(ERRCODE_BJ_SERVER_CONTROLLED),
				 errmsg("unknown state of an override request: \"%s\"", name ? name : "")));
	return state;
}

/* Only the requester, as a person, touches his request; for others it is not there. */
static void
check_owner(const RowEdit *old, const Principal *me, int64 request_id)
{
	Request		request;

	if (!bj_request_read(request_id, &request) ||
		strcmp(request.requester_person, me->person_key) != 0)
		bj_decide_no_request(request_id);
}

static void
check_act(const RowEdit *old, OverrideAct act, int64 request_id)
{
	OverrideState state = row_state(old);
	OverrideState next;

	if (bj_override_next(state, act, &next))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_BJ_WRONG_STATE),
			 errmsg("override request " INT64_FORMAT " is %s", request_id, bj_state_name(state)),
			 errdetail(act == BJ_ACT_WITHDRAW ? "Only an open request can be withdrawn." :
					   "Only an open or a stale request can be revised."),
			 state == BJ_STATE_APPLIED ?
			 errhint("What was applied is taken back by another request: SELECT billadj.reverse_override(" INT64_FORMAT ", reason_code);", request_id) : 0));
}

/* What a requester may write, everything else is as it was. */
static void
restore_others(RowEdit *row, const RowEdit *old)
{
	static const char *const kept[] = {"request_id", "account", "charge_id", "kind", "currency", "target", "reverses"};

	for (int i = 0; i < lengthof(kept); i++)
	{
		bool		null;
		Datum		value = bj_row_get(old, kept[i], &null);

		if (null)
			bj_row_set_null(row, kept[i]);
		else
			bj_row_set(row, kept[i], value);
	}
}

static HeapTuple
withdraw(Relation rel, HeapTuple old)
{
	RowEdit		row;
	HeapTuple	made;

	bj_row_open(&row, rel, old);
	bj_row_set_text(&row, "state", bj_state_name(BJ_STATE_WITHDRAWN));
	bj_row_set_time(&row, "closed_at", GetCurrentTimestamp());
	made = bj_row_make(&row);
	bj_expect_row(rel, made, BJ_MUST_BE_STORED, carry(BJ_ACT_WITHDRAW, 0));
	return made;
}

HeapTuple
bj_request_check_update(Relation rel, HeapTuple oldtuple, HeapTuple tuple)
{
	MemoryContext caller = CurrentMemoryContext;
	Principal	me;
	OwnerScope	scope;
	RowEdit		row;
	RowEdit		old;
	Draft		draft;
	HeapTuple	made;
	int64		request_id;

	if (bj_engine_writes())
		return engine_update(rel, oldtuple);
	bj_actor_require(&me);
	bj_row_open(&row, rel, tuple);
	bj_row_open(&old, rel, oldtuple);
	request_id = bj_row_int64(&old, "request_id");
	bj_override_begin(&scope);
	check_owner(&old, &me, request_id);
	if (row_state(&row) != row_state(&old) && row_state(&row) != BJ_STATE_WITHDRAWN)
		ereport(ERROR,
				(errcode(ERRCODE_BJ_SERVER_CONTROLLED),
				 errmsg("state of override request " INT64_FORMAT " is not yours to set", request_id),
				 errhint("You may withdraw it: SELECT billadj.withdraw_override(" INT64_FORMAT ");", request_id)));
	MemoryContextSwitchTo(caller);
	if (row_state(&row) == BJ_STATE_WITHDRAWN)
	{
		check_act(&old, BJ_ACT_WITHDRAW, request_id);
		made = withdraw(rel, oldtuple);
	}
	else
	{
		check_act(&old, BJ_ACT_REVISE, request_id);
		restore_others(&row, &old);
		bj_draft_fill(&draft, &row, &old, &me);
		/* SPI leaves us in its own memory, which goes before the row is used */
		MemoryContextSwitchTo(caller);
		made = bj_row_make(&row);
		bj_expect_row(rel, made, BJ_MUST_BE_STORED, carry(BJ_ACT_REVISE, 0));
	}
	bj_owner_end(&scope);
	return made;
}

/* ---- after it was stored ---- */

/* A band that needs nobody: approved as it is asked for, and applied. */
static void
approve_at_once(Request *r, const RuleBand *band)
{
	RequestChange change = bj_request_unchanged(r);

	(void) bj_override_next(r->state, BJ_ACT_APPROVE, &change.state);
	change.apply_until = GetCurrentTimestamp() + band->apply_us;
	bj_request_change(r, &change);
	if (!band->later)
		bj_apply(r, true);
	else
		bj_log_request("approve", r, NULL);
}

static void
follow_up(Request *r, const Carried *carried)
{
	const RuleBand *band;

	if (carried->act == BJ_ACT_WITHDRAW)
	{
		bj_limits_end(r->request_id, false);
		bj_log_request("withdraw", r, NULL);
		bj_log_closed("override_closed", r, 0);
		return;
	}
	if (carried->act == BJ_ACT_REVISE)
		bj_limits_end(r->request_id, false);	/* decisions on what it was */
	if (carried->proposal_id != 0)
		bj_proposal_submitted(r->account, carried->proposal_id, r->request_id);
	bj_log_request(carried->act == BJ_ACT_REVISE ? "revise" : "submit", r, NULL);
	band = bj_rules_choose(&r->rules, r->effective);
	if (band->nsteps > 0)
		bj_log_awaited("decision_awaited", r, band->steps, band->nsteps);
	else
		approve_at_once(r, band);
}

void
bj_request_stored(Relation rel, HeapTuple tuple)
{
	OwnerScope	scope;
	RowEdit		row;
	Request		request;
	void	   *extra;

	if (!bj_expected_row(rel, tuple, &extra))
		ereport(ERROR,
				(errcode(ERRCODE_BJ_SERVER_CONTROLLED),
				 errmsg("the override request that was stored is not the one that was checked"),
				 errhint("SELECT * FROM billadj.self_check(); -- names triggers and rules that are not billadj's")));
	if (extra == NULL)
		return;					/* the library's own update */
	bj_row_open(&row, rel, tuple);
	bj_override_begin(&scope);
	if (!bj_request_lock(bj_row_int64(&row, "request_id"), &request))
		bj_decide_no_request(bj_row_int64(&row, "request_id"));
	follow_up(&request, extra);
	bj_owner_end(&scope);
}
