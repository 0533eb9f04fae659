/*
 * overridefuncs.c
 *	  Overrides for SQL: what cannot be an INSERT or UPDATE of the caller.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

#include "actor.h"
#include "apply.h"
#include "audit.h"
#include "basis.h"
#include "core/cardnumber.h"
#include "decide.h"
#include "effects.h"
#include "errors.h"
#include "numericcodec.h"
#include "overridelog.h"
#include "ownerspi.h"
#include "privatetext.h"
#include "refusal.h"

/* An unknown request and an invisible one are the same to a caller. */
static void
require_visible(int64 request_id)
{
	if (!bj_request_visible(request_id))
		bj_decide_no_request(request_id);
}

static void
lock_request(int64 request_id, Request *request)
{
	if (!bj_request_lock(request_id, request))
		bj_decide_no_request(request_id);
}

/* billadj.apply_override(request_id bigint) → bigint */
PG_FUNCTION_INFO_V1(billadj_apply_override);
Datum
billadj_apply_override(PG_FUNCTION_ARGS)
{
	int64		request_id = PG_GETARG_INT64(0);
	OwnerScope	scope;
	Request		request;
	int64	   *principals;
	int			n;
	int64		adjustment_id;

	require_visible(request_id);
	bj_override_begin(&scope);
	principals = bj_decisions_principals(request_id, 0, &n);
	bj_principals_lock(principals, n);
	lock_request(request_id, &request);
	adjustment_id = bj_apply(&request, false);
	bj_owner_end(&scope);
	PG_RETURN_INT64(adjustment_id);
}

/*
 * Expired if its deadline has passed, stale if what it was based on has
 * changed; false if it is neither.
 */
static bool
close_if_due(int64 request_id)
{
	Request		r;
	OverrideAct act;

	if (!bj_request_lock(request_id, &r) ||
		(r.state != BJ_STATE_OPEN && r.state != BJ_STATE_APPROVED))
		return false;
	if ((r.state == BJ_STATE_OPEN ? r.decide_until : r.apply_until) <= GetCurrentTimestamp())
		act = BJ_ACT_EXPIRE;
	else if (!bj_apply_is_fresh(&r, 0, 0))
		act = BJ_ACT_OUTDATE;
	else
		return false;
	bj_apply_close(&r, act);
	return true;
}

/* billadj.expire_overrides(max integer) → integer */
PG_FUNCTION_INFO_V1(billadj_expire_overrides);
Datum
billadj_expire_overrides(PG_FUNCTION_ARGS)
{
	int32		max = PG_GETARG_INT32(0);
	OwnerScope	scope;
	int64	   *due;
	int			n;
	int32		closed = 0;

	bj_override_begin(&scope);
	n = bj_requests_pending(&due);
	for (int i = 0; i < n && closed < max; i++)
		closed += close_if_due(due[i]);
	bj_owner_end(&scope);
	PG_RETURN_INT32(closed);
}

static bool
escalate(int64 request_id)
{
	Request		r;
	RequestChange change;
	DecisionRow *decisions;
	const RuleBand *band;
	Step		steps[BJ_MAX_STEPS];
	int			n;

	lock_request(request_id, &r);
	band = bj_rules_choose(&r.rules, r.effective);
	if (r.state != BJ_STATE_OPEN || band == NULL)
		return false;
	n = bj_decisions_read(&r, &decisions);
	(void) bj_decisions_count(decisions, n, band, steps);
	change = bj_request_unchanged(&r);
	change.escalate = true;
	bj_request_change(&r, &change);
	bj_log_request("escalate", &r, NULL);
	bj_log_awaited("decision_overdue", &r, steps, band->nsteps);
	return true;
}

/* billadj.escalate_overrides(within interval, max integer) → integer */
PG_FUNCTION_INFO_V1(billadj_escalate_overrides);
Datum
billadj_escalate_overrides(PG_FUNCTION_ARGS)
{
	Datum		now = TimestampTzGetDatum(GetCurrentTimestamp());
	Datum		deadline = DirectFunctionCall2(timestamptz_pl_interval, now, PG_GETARG_DATUM(0));
	OwnerScope	scope;
	int64	   *due;
	int			n;
	int32		told = 0;

	bj_override_begin(&scope);
	n = bj_requests_overdue(DatumGetTimestampTz(deadline), PG_GETARG_INT32(1), &due);
	for (int i = 0; i < n; i++)
		told += escalate(due[i]);
	bj_owner_end(&scope);
	PG_RETURN_INT32(told);
}

/* billadj.issue_review_token(request_id bigint) → text */
PG_FUNCTION_INFO_V1(billadj_issue_review_token);
Datum
billadj_issue_review_token(PG_FUNCTION_ARGS)
{
	int64		request_id = PG_GETARG_INT64(0);
	MemoryContext caller = CurrentMemoryContext;
	Principal	me;
	OwnerScope	scope;
	Request		request;
	char	   *token;

	require_visible(request_id);
	bj_actor_require(&me);
	bj_override_begin(&scope);
	if (!bj_request_read(request_id, &request))
		bj_decide_no_request(request_id);
	token = MemoryContextStrdup(caller, bj_ticket_issue(request_id, me.principal_id, request.content_hash));
	bj_owner_end(&scope);
	PG_RETURN_TEXT_P(cstring_to_text(token));
}

/* ---- what is missing ---- */

static char *
refusal_text(const Refusal *refusal)
{
	return psprintf("%s %s", unpack_sql_state(refusal->sqlstate), refusal->message);
}

/* billadj.decision_blockers(request_id bigint, delegation_id bigint) → text[] */
PG_FUNCTION_INFO_V1(billadj_decision_blockers);
Datum
billadj_decision_blockers(PG_FUNCTION_ARGS)
{
	int64		request_id = PG_GETARG_INT64(0);
	DecisionAsked asked = {.request_id = request_id, .approve = true, .ask_only = true};
	MemoryContext caller = CurrentMemoryContext;
	OwnerScope	scope;
	DecisionBasis basis;
	Refusals	refusals;
	ListCell   *cell;
	Datum	   *texts;
	int			n = 0;

	asked.delegation_id = PG_ARGISNULL(1) ? 0 : PG_GETARG_INT64(1);
	require_visible(request_id);
	bj_override_begin(&scope);
	refusals = bj_decide_check(&asked, &basis);
	MemoryContextSwitchTo(caller);
	texts = palloc(sizeof(Datum) * (list_length(refusals) + 1));
	foreach(cell, refusals)
		texts[n++] = CStringGetTextDatum(refusal_text(lfirst(cell)));
	bj_owner_end(&scope);
	PG_RETURN_ARRAYTYPE_P(construct_array(texts, n, TEXTOID, -1, false, TYPALIGN_INT));
}

/* A band that needs nobody is one row: step 0. */
static void
put_steps(ReturnSetInfo *rsinfo, const Step *steps, int nsteps)
{
	static const Step nobody = {0, 0, 0, 0};

	if (nsteps == 0)
		steps = &nobody;
	for (int i = 0; i < Max(nsteps, 1); i++)
	{
		Datum		values[4] = {Int32GetDatum(steps[i].step), Int32GetDatum(steps[i].level),
		Int32GetDatum(steps[i].quorum), Int32GetDatum(steps[i].have)};
		bool		nulls[4] = {false};

		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
}

/* billadj.decision_steps(request_id bigint) → (step, level, quorum, have) */
PG_FUNCTION_INFO_V1(billadj_decision_steps);
Datum
billadj_decision_steps(PG_FUNCTION_ARGS)
{
	int64		request_id = PG_GETARG_INT64(0);
	OwnerScope	scope;
	Request		r;
	DecisionRow *decisions;
	int			n;
	Decimal		effective;
	const RuleBand *band;
	Step		steps[BJ_MAX_STEPS];

	require_visible(request_id);
	InitMaterializedSRF(fcinfo, 0);
	bj_override_begin(&scope);
	if (!bj_request_read(request_id, &r))
		bj_decide_no_request(request_id);
	effective = bj_request_effective(&r);
	if (bj_decimal_compare(effective, r.effective) > 0)
		r.effective = effective;
	band = bj_rules_choose(&r.rules, r.effective);
	n = bj_decisions_read(&r, &decisions);
	if (band != NULL)
	{
		(void) bj_decisions_count(decisions, n, band, steps);
		put_steps((ReturnSetInfo *) fcinfo->resultinfo, steps, band->nsteps);
	}
	bj_owner_end(&scope);
	return (Datum) 0;
}

/* ---- holds and words ---- */

static void
check_words(const char *words)
{
	if (bj_text_has_card_number(words, strlen(words)))
		ereport(ERROR,
				(errcode(ERRCODE_BJ_CARD_NUMBER),
				 errmsg("text holds what looks like the number of a payment card"),
				 errhint("Leave it out; its last four digits will do.")));
}

/* billadj.hold_charge(account text, charge_id bigint, reason text) → bigint */
PG_FUNCTION_INFO_V1(billadj_hold_charge);
Datum
billadj_hold_charge(PG_FUNCTION_ARGS)
{
	char	   *account = text_to_cstring(PG_GETARG_TEXT_PP(0));
	int64		charge_id = PG_GETARG_INT64(1);
	char	   *reason = text_to_cstring(PG_GETARG_TEXT_PP(2));
	Principal	me;
	OwnerScope	scope;
	Basis		basis;
	int64		hold_id;

	bj_actor_require(&me);
	check_words(reason);
	bj_override_begin(&scope);
	bj_basis_read(charge_id, DT_NOEND, (BasisWithout) {0, 0}, &basis);
	if (!basis.found || strcmp(basis.account, account) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_BJ_UNKNOWN_CHARGE),
				 errmsg("charge " INT64_FORMAT " of account \"%s\" does not exist", charge_id, account)));
	hold_id = bj_hold_add(account, charge_id, reason, 0);
	if (hold_id == 0)
		ereport(ERROR,
				(errcode(ERRCODE_BJ_WRONG_STATE),
				 errmsg("charge " INT64_FORMAT " is held already", charge_id),
				 errhint("It ends by an override: SELECT billadj.submit_override('release', '%s', reason_code, charge_id => " INT64_FORMAT ");",
						 account, charge_id)));
	bj_log_hold(hold_id, account, charge_id);
	bj_owner_end(&scope);
	PG_RETURN_INT64(hold_id);
}

/* billadj.comment_override(request_id bigint, comment text) → bigint */
PG_FUNCTION_INFO_V1(billadj_comment_override);
Datum
billadj_comment_override(PG_FUNCTION_ARGS)
{
	int64		request_id = PG_GETARG_INT64(0);
	char	   *comment = text_to_cstring(PG_GETARG_TEXT_PP(1));
	Principal	me;
	OwnerScope	scope;
	Request		request;
	int64		text_id;
	int64		comment_id;

	require_visible(request_id);
	bj_actor_require(&me);
	check_words(comment);
	bj_override_begin(&scope);
	if (!bj_request_read(request_id, &request))
		bj_decide_no_request(request_id);
	text_id = bj_private_text_add(comment);
	comment_id = bj_comment_add(request_id, text_id, me.login);
	bj_log_comment(request_id, request.account, comment_id, text_id);
	bj_owner_end(&scope);
	PG_RETURN_INT64(comment_id);
}

/* billadj.override_comments(request_id bigint) → (comment_id, created_at, created_by, comment) */
PG_FUNCTION_INFO_V1(billadj_override_comments);
Datum
billadj_override_comments(PG_FUNCTION_ARGS)
{
	int64		request_id = PG_GETARG_INT64(0);
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	OwnerScope	scope;
	CommentRow *rows;
	int			n;

	require_visible(request_id);
	InitMaterializedSRF(fcinfo, 0);
	bj_override_begin(&scope);
	n = bj_comments_read(request_id, &rows);
	for (int i = 0; i < n; i++)
	{
		char	   *words = bj_private_text_get(rows[i].text_id);
		Datum		values[4] = {Int64GetDatum(rows[i].comment_id),
			TimestampTzGetDatum(rows[i].created_at), CStringGetTextDatum(rows[i].created_by),
		words ? CStringGetTextDatum(words) : (Datum) 0};
		bool		nulls[4] = {false, false, false, words == NULL};

		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	bj_owner_end(&scope);
	return (Datum) 0;
}

/* Five capital letters and digits in quotes, whatever came. */
static char *
quote_sqlstate(const char *code)
{
	bool		good = strlen(code) == 5 &&
		strspn(code, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") == 5;

	return psprintf("\"%s\"", good ? code : "XX000");
}

/*
 * billadj.record_denial(request_id bigint, decision text, sqlstate text): keeps
 * that the caller was refused, after his attempt was rolled back.  A request
 * whose basis has changed becomes stale by the way.
 */
PG_FUNCTION_INFO_V1(billadj_record_denial);
Datum
billadj_record_denial(PG_FUNCTION_ARGS)
{
	int64		request_id = PG_GETARG_INT64(0);
	OwnerScope	scope;
	Request		request;

	require_visible(request_id);
	bj_override_begin(&scope);
	lock_request(request_id, &request);
	bj_log_request("deny", &request,
				   psprintf("\"decision\": %s, \"sqlstate\": %s",
							strcmp(text_to_cstring(PG_GETARG_TEXT_PP(1)), "approve") == 0 ? "\"approve\"" : "\"reject\"",
							quote_sqlstate(text_to_cstring(PG_GETARG_TEXT_PP(2)))));
	(void) close_if_due(request_id);
	bj_owner_end(&scope);
	PG_RETURN_VOID();
}

/* billadj.send_message(account text, topic text, payload jsonb) → void */
PG_FUNCTION_INFO_V1(billadj_send_message);
Datum
billadj_send_message(PG_FUNCTION_ARGS)
{
	OwnerScope	scope;

	bj_override_begin(&scope);
	bj_outbox_add(text_to_cstring(PG_GETARG_TEXT_PP(0)), text_to_cstring(PG_GETARG_TEXT_PP(1)),
				  JsonbToCString(NULL, &PG_GETARG_JSONB_P(2)->root, 0));
	bj_owner_end(&scope);
	PG_RETURN_VOID();
}

/*
 * billadj.add_proposal(account text, kind text, charge_id bigint, delta numeric,
 * currency text, cause text, period_start timestamptz, target jsonb) → bigint
 */
PG_FUNCTION_INFO_V1(billadj_add_proposal);
Datum
billadj_add_proposal(PG_FUNCTION_ARGS)
{
	OwnerScope	scope;
	Proposal	p = {0};
	int64		proposal_id;

	for (int i = 0; i < PG_NARGS(); i++)
		if (PG_ARGISNULL(i) && i != 2 && i != 7)
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("a proposal needs all arguments but charge_id and target")));
	p.account = text_to_cstring(PG_GETARG_TEXT_PP(0));
	p.kind = text_to_cstring(PG_GETARG_TEXT_PP(1));
	p.charge_id = PG_ARGISNULL(2) ? 0 : PG_GETARG_INT64(2);
	bj_check(bj_numeric_read(PG_GETARG_DATUM(3), &p.delta));
	p.currency = text_to_cstring(PG_GETARG_TEXT_PP(4));
	p.cause = text_to_cstring(PG_GETARG_TEXT_PP(5));
	p.period_start = PG_GETARG_TIMESTAMPTZ(6);
	p.target = PG_ARGISNULL(7) ? NULL : JsonbToCString(NULL, &PG_GETARG_JSONB_P(7)->root, 0);
	bj_override_begin(&scope);
	proposal_id = bj_proposal_add(&p);
	bj_owner_end(&scope);
	PG_RETURN_INT64(proposal_id);
}
