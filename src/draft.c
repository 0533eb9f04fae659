/*
 * draft.c
 *	  A request that is submitted or revised.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

#include "core/cardnumber.h"
#include "core/currency.h"
#include "decide.h"
#include "draft.h"
#include "effects.h"
#include "errors.h"
#include "fieldhash.h"
#include "keytext.h"
#include "numericcodec.h"
#include "privatetext.h"

#define DOMAIN "billadj-request-v1"

/* ---- where it comes from ---- */

/* target {"proposal_id": n}: a proposal of the library; 0: it is none. */
static int64
target_proposal(Draft *draft)
{
	bool		null;
	Datum		target = bj_row_get(draft->row, "target", &null);
	Datum		id;
	char	   *digits;

	if (null || !JB_ROOT_IS_OBJECT(DatumGetJsonbP(target)))
		return 0;
	id = DirectFunctionCall2(jsonb_exists, target, CStringGetTextDatum("proposal_id"));
	if (!DatumGetBool(id))
		return 0;
	id = DirectFunctionCall2(jsonb_object_field_text, target, CStringGetTextDatum("proposal_id"));
	digits = TextDatumGetCString(id);
	return pg_strtoint64(digits);
}

static void
raise_no_proposal(int64 proposal_id)
{
	ereport(ERROR,
			(errcode(ERRCODE_BJ_WRONG_STATE),
			 errmsg("proposal " INT64_FORMAT " of this account does not exist, or was submitted before", proposal_id),
			 errhint("SELECT billadj.submit_proposals();")));
}

/* All of it is the library's finding; who submits it adds only his name. */
static void
take_proposal(Draft *draft)
{
	Request    *r = &draft->request;
	Proposal	p;

	if (!bj_proposal_lock(r->account, draft->proposal_id, &p) || p.request_id != 0)
		raise_no_proposal(draft->proposal_id);
	bj_row_set_text(draft->row, "kind", p.kind);
	bj_row_set_text(draft->row, "currency", p.currency);
	bj_row_set_text(draft->row, "reason_code", p.cause);
	bj_row_set_decimal(draft->row, "delta", p.delta);
	bj_row_set_null(draft->row, "new_amount");
	if (p.charge_id != 0)
		bj_row_set_int64(draft->row, "charge_id", p.charge_id);
	else
		bj_row_set_null(draft->row, "charge_id");
	r->cause = p.cause;
	r->period_start = p.period_start;
	draft->verbatim_amount = true;
}

/* The opposite of what was applied, and of the same kind: its rules decide. */
static void
take_reversal(Draft *draft)
{
	Request    *r = &draft->request;
	Request		was;

	if (!bj_request_lock(r->reverses, &was) || strcmp(was.account, r->account) != 0)
		bj_decide_no_request(r->reverses);
	if (was.state != BJ_STATE_APPLIED)
		ereport(ERROR,
				(errcode(ERRCODE_BJ_WRONG_STATE),
				 errmsg("override request " INT64_FORMAT " is %s: there is nothing to take back", was.request_id, bj_state_name(was.state))));
	if (bj_request_reversal(was.request_id, r->request_id) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_BJ_WRONG_STATE),
				 errmsg("override request " INT64_FORMAT " is being reversed already, or was", was.request_id)));
	bj_row_set_text(draft->row, "kind", was.kind_name);
	bj_row_set_text(draft->row, "currency", was.currency);
	bj_row_set_decimal(draft->row, "delta", bj_decimal_negate(was.delta));
	bj_row_set_null(draft->row, "new_amount");
	if (was.charge_id != 0)
		bj_row_set_int64(draft->row, "charge_id", was.charge_id);
	else
		bj_row_set_null(draft->row, "charge_id");
	r->amount = was.amount;
	r->cause = "reversal";
	r->period_start = was.period_start;
	draft->verbatim_amount = true;
}

/* ---- what it is about ---- */

static void
read_kind(Draft *draft)
{
	Request    *r = &draft->request;

	r->kind_name = bj_row_text(draft->row, "kind");
	if (r->kind_name == NULL || !bj_kind_parse(r->kind_name, &r->kind))
		ereport(ERROR,
				(errcode(ERRCODE_BJ_AMOUNT),
				 errmsg("unknown kind of override: \"%s\"", r->kind_name ? r->kind_name : ""),
				 errhint("Use one of credit, debit, discount, price_override, waive, write_off, refund, release and cancel.")));
	r->affects = bj_kind_affects_billed(r->kind) ? "billed" : "balance";
	if (r->cause == NULL)
		r->cause = r->kind_name;
}

/*
 * What a revision asks for: the row still has the delta that was computed last
 * time.  Of delta and new_amount the one that was changed counts, else the one
 * that was asked for before.
 */
static void
read_revised(Draft *draft, const RowEdit *old)
{
	bool		delta_changed = !bj_row_equal(draft->row, old, "delta");
	bool		new_changed = !bj_row_equal(draft->row, old, "new_amount");

	if (!delta_changed && (new_changed || bj_kind_is_computed(draft->request.kind) ||
						   !bj_row_null(old, "new_amount")))
		bj_row_set_null(draft->row, "delta");
	if (delta_changed && !new_changed)
		bj_row_set_null(draft->row, "new_amount");
}

static void
read_charge(Draft *draft, const RowEdit *old)
{
	Request    *r = &draft->request;

	r->charge_id = bj_row_int64(draft->row, "charge_id");
	bj_basis_read(r->charge_id, old ? bj_row_time(old, "period_start") : DT_NOEND,
				  (BasisWithout) {0, 0}, &draft->basis);
	if (r->charge_id == 0)
	{
		if (r->period_start == 0)
			r->period_start = bj_basis_period(r->account, NULL);
		return;
	}
	if (!draft->basis.found || strcmp(draft->basis.account, r->account) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_BJ_UNKNOWN_CHARGE),
				 errmsg("charge " INT64_FORMAT " of account \"%s\" does not exist", r->charge_id, r->account),
				 errhint("Look for it with SELECT charge_id FROM billadj.charge WHERE account = '%s'.", r->account)));
	r->period_start = draft->basis.period_start;
	if (bj_kind_ends_hold(r->kind) && r->reverses == 0 && draft->basis.hold_id == 0)
		ereport(ERROR,
				(errcode(ERRCODE_BJ_WRONG_STATE),
				 errmsg("charge " INT64_FORMAT " is not held", r->charge_id),
				 errhint("SELECT * FROM billadj.hold WHERE ended_at IS NULL;")));
}

static const Currency *
read_currency(Draft *draft)
{
	Request    *r = &draft->request;
	char		code[4] = "";
	const Currency *currency;

	r->currency = bj_row_text(draft->row, "currency");
	if (draft->basis.found)
	{
		if (r->currency != NULL && strcmp(r->currency, draft->basis.currency) != 0)
			ereport(ERROR,
					(errcode(ERRCODE_BJ_AMOUNT),
					 errmsg("charge " INT64_FORMAT " is in %s, not in %s", r->charge_id, draft->basis.currency, r->currency),
					 errhint("Leave the currency out, it is that of the charge.")));
		r->currency = draft->basis.currency;
	}
	else if (!draft->verbatim_amount)
	{
		/* As rating has it: one account, one currency. */
		(void) bj_basis_period(r->account, code);
		if (r->currency == NULL)
			r->currency = pstrdup(code);
		else if (code[0] != '\0' && strcmp(r->currency, code) != 0)
			ereport(ERROR,
					(errcode(ERRCODE_BJ_AMOUNT),
					 errmsg("account \"%s\" is billed in %s, not in %s", r->account, code, r->currency),
					 errhint("Leave the currency out, it is that of the account.")));
	}
	currency = bj_currency_find(r->currency, strlen(r->currency));
	if (currency == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_BJ_AMOUNT),
				 r->currency[0] == '\0' ?
				 errmsg("account \"%s\" has no currency", r->account) :
				 errmsg("unknown currency: \"%s\"", r->currency),
				 errhint("Name one: currency => 'EUR', a code of ISO 4217.")));
	return currency;
}

/* ---- how much ---- */

/* True if there is a number; NaN and infinities are refused. */
static bool
read_number(const Draft *draft, const char *column, Decimal *number)
{
	bool		null;
	Datum		value = bj_row_get(draft->row, column, &null);
	BjStatus	status;

	if (null)
		return false;
	status = bj_numeric_read(value, number);
	if (status != BJ_OK)
		ereport(ERROR,
				(errcode(ERRCODE_BJ_AMOUNT),
				 errmsg("%s cannot be billed: %s", column, bj_status_message(status)),
				 errhint("Give a finite amount, such as -12.50.")));
	return true;
}

/* Message and hint of what is wrong with an amount; %s: kind, %d: decimals. */
static void
raise_amount(AmountFault fault, const char *kind, const Currency *currency)
{
	static const char *const words[][2] = {
		[BJ_AMOUNT_MISSING] = {"names no amount", "Give delta (negative is in the customer's favour) or, with a charge, new_amount."},
		[BJ_AMOUNT_BOTH] = {"names delta and new_amount", "Give one of them."},
		[BJ_AMOUNT_UNWANTED] = {"needs no amount, it follows from the charge", "Leave delta and new_amount out."},
		[BJ_AMOUNT_WANTS_NEW] = {"needs the new amount", "Give new_amount instead of delta."},
		[BJ_AMOUNT_WANTS_CHARGE] = {"needs a charge", "Give charge_id."},
		[BJ_AMOUNT_WRONG_SIGN] = {"would have the wrong sign or change nothing", "delta is negative for what is in the customer's favour (credit, discount, waive, refund, write_off), positive for debit, and never 0."},
		[BJ_AMOUNT_TOO_FINE] = {"names more decimals than its currency has", "Round the amount first: SELECT billadj.round_money(amount, currency);"},
		[BJ_AMOUNT_OUT_OF_RANGE] = {"cannot be computed exactly", "Give an amount of fewer digits."}
	};

	ereport(ERROR,
			(errcode(ERRCODE_BJ_AMOUNT),
			 errmsg("override of kind %s in %s %s", kind, currency->code, words[fault][0]),
			 errhint("%s", words[fault][1])));
}

static void
read_amount(Draft *draft, const Currency *currency)
{
	Request    *r = &draft->request;
	AmountAsked asked = {.decimals = draft->verbatim_amount ? BJ_MAX_SCALE : currency->decimals};
	AmountFault fault;

	asked.has_delta = read_number(draft, "delta", &asked.delta);
	asked.has_new_amount = read_number(draft, "new_amount", &asked.new_amount);
	asked.has_billed = draft->basis.found;
	asked.billed = draft->basis.billed;
	asked.charged = draft->basis.charged;
	if (draft->verbatim_amount)
	{
		/* a finding or a reversal: neither sign nor decimals are a person's */
		r->delta = asked.delta;
		if (r->reverses == 0)
			r->amount = bj_decimal_abs(r->delta);
	}
	else
	{
		fault = bj_override_amount(r->kind, &asked, &r->delta, &r->amount);
		if (fault != BJ_AMOUNT_OK)
			raise_amount(fault, r->kind_name, currency);
	}
	bj_row_set_decimal(draft->row, "delta", r->delta);
	bj_row_set_decimal(draft->row, "amount", r->amount);
	if (draft->basis.found)
		bj_row_set_decimal(draft->row, "billed_amount", draft->basis.billed);
	else
		bj_row_set_null(draft->row, "billed_amount");
}

/* ---- one at a time ---- */

static void
check_pending(Draft *draft)
{
	Request    *r = &draft->request;
	char	   *key = NULL;
	bool		null;
	Datum		target = bj_row_get(draft->row, "target", &null);
	int64		pending;

	if (r->reverses != 0)
		key = psprintf("reversal/" INT64_FORMAT, r->reverses);
	else if (draft->basis.found)
		key = draft->basis.target_key;
	else if (!null)
		key = psprintf("target/%s", JsonbToCString(NULL, &DatumGetJsonbP(target)->root, 64));
	if (key != NULL && strlen(key) > BJ_KEY_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_BJ_AMOUNT),
				 errmsg("target is longer than %d bytes", BJ_KEY_MAX)));
	bj_row_set_text(draft->row, "target_key", key);
	if (key == NULL)
		return;
	pending = bj_request_pending(r->account, key, r->request_id);
	if (pending != 0)
		ereport(ERROR,
				(errcode(ERRCODE_BJ_WRONG_STATE),
				 errmsg("another override request for the same target is open or approved"),
				 errdetail("One request at a time: request " INT64_FORMAT " has to be decided, applied or withdrawn first.", pending),
				 errhint("SELECT * FROM billadj.explain_decision(" INT64_FORMAT ");", pending)));
}

/* ---- why ---- */

static void
check_comment(const char *comment)
{
	if (comment != NULL && bj_text_has_card_number(comment, strlen(comment)))
		ereport(ERROR,
				(errcode(ERRCODE_BJ_CARD_NUMBER),
				 errmsg("comment holds what looks like the number of a payment card"),
				 errhint("Leave it out; its last four digits will do.")));
}

static void
raise_reason(const char *message, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_BJ_REASON),
			 errmsg("%s", message),
			 errhint("%s", hint)));
}

static void
check_reason(Draft *draft, const RowEdit *old)
{
	Request    *r = &draft->request;
	char	   *comment = bj_row_text(draft->row, "comment");
	bytea	   *evidence = bj_row_bytes(draft->row, "evidence");
	bool		has_comment = comment != NULL || (old != NULL && !bj_row_null(old, "comment_id"));
	bool		needs_comment;
	bool		needs_evidence;

	r->reason_code = bj_row_text(draft->row, "reason_code");
	check_comment(comment);
	if (evidence != NULL && VARSIZE_ANY_EXHDR(evidence) != BJ_SHA256_SIZE)
		raise_reason("evidence is not 32 bytes long", "Give the SHA-256 of the document: evidence => sha256(…).");
	if (draft->proposal_id != 0)
		return;					/* its reason is the library's */
	if (r->reason_code == NULL || !bj_reason_read(r->reason_code, &needs_comment, &needs_evidence))
		raise_reason(psprintf("unknown reason code: \"%s\"", r->reason_code ? r->reason_code : ""),
					 "SELECT code, description FROM billadj.reason_code WHERE active;");
	if (needs_comment && !has_comment)
		raise_reason(psprintf("reason code \"%s\" needs a comment", r->reason_code), "Give comment => '…'.");
	if (needs_evidence && evidence == NULL)
		raise_reason(psprintf("reason code \"%s\" needs evidence", r->reason_code),
					 "Give the SHA-256 of the document: evidence => sha256(…).");
}

/* Words that must be erasable one day are kept apart. */
static void
move_comment(Draft *draft, const RowEdit *old)
{
	char	   *comment = bj_row_text(draft->row, "comment");
	bool		null = true;
	Datum		kept = old != NULL ? bj_row_get(old, "comment_id", &null) : (Datum) 0;

	bj_row_set_null(draft->row, "comment");
	if (comment != NULL)
		bj_row_set_int64(draft->row, "comment_id", bj_private_text_add(comment));
	else if (!null)
		bj_row_set(draft->row, "comment_id", kept);
	else
		bj_row_set_null(draft->row, "comment_id");
}

/* ---- who has to approve ---- */

/*
 * A request that needs nobody is applied at once, so two of one account must
 * not pass each other unseen: they queue, and the second sees the first.
 */
static void
choose_band(Draft *draft)
{
	Request    *r = &draft->request;

	bj_rules_current(r->kind_name, r->currency, &r->rules);
	r->effective = bj_request_effective(r);
	draft->band = bj_rules_choose(&r->rules, r->effective);
	if (draft->band != NULL && draft->band->nsteps == 0)
	{
		bj_request_lock_window(r);
		r->effective = bj_request_effective(r);
		draft->band = bj_rules_choose(&r->rules, r->effective);
	}
	if (draft->band == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_BJ_NO_RULE),
				 errmsg("no approval rule holds %s for %s", bj_decide_money(r->effective, r->currency), r->kind_name),
				 errdetail("No rule means that it is refused. The amount is that of all requests of the account in the window of the rules."),
				 errhint("SELECT * FROM billadj.approval_rule WHERE kind = '%s' AND currency = '%s'; a missing one is made by billadj.propose_policy('approval_rule', …).",
						 r->kind_name, r->currency)));
}

/* ---- what an approver sees ---- */

static void
hash_column(FieldHash *fields, const Draft *draft, const char *column)
{
	Decimal		number;
	bool		there = read_number(draft, column, &number);

	bj_fieldhash_decimal(fields, there ? &number : NULL);
}

static char *
target_text(const Draft *draft)
{
	bool		null;
	Datum		target = bj_row_get(draft->row, "target", &null);

	return null ? NULL : JsonbToCString(NULL, &DatumGetJsonbP(target)->root, 64);
}

/*
 * Everything but the effective amount, which others change, and deadlines:
 * an approver who saw this text decided on this request and no other.
 */
static bytea *
hash_content(const Draft *draft)
{
	const Request *r = &draft->request;
	FieldHash  *fields = bj_fieldhash_begin(DOMAIN);

	bj_fieldhash_int64(fields, r->request_id);
	bj_fieldhash_int64(fields, r->revision);
	bj_fieldhash_text(fields, r->account);
	bj_fieldhash_int64(fields, r->charge_id);
	bj_fieldhash_text(fields, r->kind_name);
	hash_column(fields, draft, "delta");
	hash_column(fields, draft, "new_amount");
	hash_column(fields, draft, "billed_amount");
	hash_column(fields, draft, "amount");
	bj_fieldhash_text(fields, r->currency);
	bj_fieldhash_text(fields, r->reason_code);
	bj_fieldhash_int64(fields, bj_row_int64(draft->row, "comment_id"));
	bj_fieldhash_bytes(fields, bj_row_bytes(draft->row, "evidence"));
	bj_fieldhash_text(fields, target_text(draft));
	bj_fieldhash_time(fields, r->period_start);
	bj_fieldhash_text(fields, r->cause);
	bj_fieldhash_int64(fields, r->requester_id);
	bj_fieldhash_int64(fields, r->editor_id);
	bj_fieldhash_int64(fields, r->reverses);
	bj_fieldhash_text(fields, r->rules.text);
	bj_fieldhash_bytes(fields, draft->basis.hash);
	return bj_fieldhash_end(fields);
}

/* ---- all of it ---- */

static void
begin_draft(Draft *draft, RowEdit *row, const RowEdit *old, const Principal *me)
{
	Request    *r = &draft->request;

	memset(draft, 0, sizeof(*draft));
	draft->row = row;
	draft->me = me;
	r->request_id = bj_row_int64(row, "request_id");
	r->account = bj_row_text(row, "account");
	r->reverses = bj_row_int64(row, "reverses");
	r->editor_id = me->principal_id;
	r->requester_id = old ? bj_row_int64(old, "requester_id") : me->principal_id;
	r->revision = old ? bj_row_int32(old, "revision") + 1 : 1;
	r->decisions = old ? bj_row_int32(old, "decisions") : 0;
	r->state = BJ_STATE_OPEN;
	r->apply_until = DT_NOEND;
	r->requested_at = old ? bj_row_time(old, "requested_at") : GetCurrentTimestamp();
	if (r->account == NULL || r->account[0] == '\0' || strlen(r->account) > BJ_KEY_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_BJ_BAD_ACCOUNT),
				 errmsg("an override needs an account of at most %d bytes", BJ_KEY_MAX)));
	draft->proposal_id = target_proposal(draft);
	if (draft->proposal_id != 0 && old != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_BJ_WRONG_STATE),
				 errmsg("a proposal of the library cannot be revised"),
				 errhint("Withdraw the request and ask for what you want with billadj.submit_override().")));
	if (draft->proposal_id != 0)
		take_proposal(draft);
	else if (r->reverses != 0)
		take_reversal(draft);
}

static void
fill_row(Draft *draft, const RowEdit *old)
{
	Request    *r = &draft->request;
	RowEdit    *row = draft->row;

	r->decide_until = GetCurrentTimestamp() + draft->band->decide_us;
	bj_row_set_text(row, "currency", r->currency);
	bj_row_set_time(row, "period_start", r->period_start);
	bj_row_set_text(row, "cause", r->cause);
	bj_row_set_text(row, "affects", r->affects);
	bj_row_set_text(row, "state", bj_state_name(r->state));
	bj_row_set_int32(row, "revision", r->revision);
	bj_row_set_int32(row, "decisions", r->decisions);
	bj_row_set_text(row, "requested_by", old ? bj_row_text(old, "requested_by") : draft->me->login);
	bj_row_set_time(row, "requested_at", r->requested_at);
	bj_row_set_int64(row, "requester_id", r->requester_id);
	bj_row_set_int64(row, "editor_id", r->editor_id);
	bj_row_set_decimal(row, "effective_amount", r->effective);
	bj_row_set(row, "rules", r->rules.document);
	bj_row_set_text(row, "apply", draft->band->later ? "later" : "at_once");
	bj_row_set_time(row, "decide_until", r->decide_until);
	bj_row_set_null(row, "apply_until");
	bj_row_set(row, "charge_hash", PointerGetDatum(draft->basis.hash));
	bj_row_set_null(row, "escalated_at");
	bj_row_set_null(row, "closed_at");
	bj_row_set(row, "content_hash", PointerGetDatum(hash_content(draft)));
}

void
bj_draft_fill(Draft *draft, RowEdit *row, const RowEdit *old, const Principal *me)
{
	const Currency *currency;

	begin_draft(draft, row, old, me);
	read_kind(draft);
	if (old != NULL && !draft->verbatim_amount)
		read_revised(draft, old);
	read_charge(draft, old);
	currency = read_currency(draft);
	read_amount(draft, currency);
	check_pending(draft);
	check_reason(draft, old);
	choose_band(draft);
	move_comment(draft, old);
	fill_row(draft, old);
}
