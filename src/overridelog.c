/*
 * overridelog.c
 *	  What happens to a request, for the audit log and the outbox.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/timestamp.h"

#include "audit.h"
#include "compat.h"
#include "effects.h"
#include "overridelog.h"

/* ---- JSON text ---- */

static void
name_member(StringInfo json, const char *name)
{
	if (json->len > 1)
		appendStringInfoString(json, ", ");
	escape_json(json, name);
	appendStringInfoString(json, ": ");
}

static void
add_text(StringInfo json, const char *name, const char *value)
{
	name_member(json, name);
	if (value != NULL)
		escape_json(json, value);
	else
		appendStringInfoString(json, "null");
}

static void
add_int64(StringInfo json, const char *name, int64 value)
{
	name_member(json, name);
	appendStringInfo(json, INT64_FORMAT, value);
}

/* 0 stands for none. */
static void
add_id(StringInfo json, const char *name, int64 value)
{
	if (value != 0)
		add_int64(json, name, value);
	else
		add_text(json, name, NULL);
}

/* As a string: a JSON reader may take a number for a float. */
static void
add_amount(StringInfo json, const char *name, Decimal amount)
{
	char		text[BJ_DECIMAL_TEXT_SIZE];

	bj_decimal_format(amount, text);
	add_text(json, name, text);
}

static void
add_bytes(StringInfo json, const char *name, const bytea *bytes)
{
	int			n = VARSIZE_ANY_EXHDR(bytes);

	name_member(json, name);
	appendStringInfoChar(json, '"');
	for (int i = 0; i < n; i++)
		appendStringInfo(json, "%02x", (unsigned char) VARDATA_ANY(bytes)[i]);
	appendStringInfoChar(json, '"');
}

static void
begin(StringInfo json)
{
	initStringInfo(json);
	appendStringInfoChar(json, '{');
}

static char *
end(StringInfo json)
{
	appendStringInfoChar(json, '}');
	return json->data;
}

static char *
object(const char *table, int64 id)
{
	return psprintf("%s/" INT64_FORMAT, table, id);
}

/* ---- entries ---- */

static void
add_request(StringInfo json, const Request *r)
{
	add_text(json, "account", r->account);
	add_id(json, "charge_id", r->charge_id);
	add_text(json, "kind", r->kind_name);
	add_amount(json, "delta", r->delta);
	add_amount(json, "amount", r->amount);
	add_text(json, "currency", r->currency);
	add_text(json, "reason_code", r->reason_code);
	add_text(json, "state", bj_state_name(r->state));
	add_int64(json, "revision", r->revision);
	add_int64(json, "decisions", r->decisions);
	add_amount(json, "effective_amount", r->effective);
	add_int64(json, "requester_id", r->requester_id);
	add_text(json, "requested_by", r->requested_by);
	add_id(json, "reverses", r->reverses);
	add_bytes(json, "content_hash", r->content_hash);
	add_bytes(json, "charge_hash", r->charge_hash);
}

void
bj_log_request(const char *event, const Request *r, const char *more)
{
	StringInfoData json;

	begin(&json);
	add_request(&json, r);
	if (more != NULL)
		appendStringInfo(&json, ", %s", more);
	bj_audit_append(event, object("override_request", r->request_id), r->account, end(&json));
}

void
bj_log_decision(const DecisionFacts *facts, const Request *r)
{
	StringInfoData json;

	begin(&json);
	add_int64(&json, "request_id", r->request_id);
	add_int64(&json, "revision", r->revision);
	add_text(&json, "decision", facts->approve ? "approve" : "reject");
	add_int64(&json, "principal_id", facts->principal_id);
	add_text(&json, "decided_by", facts->login);
	add_id(&json, "on_behalf_of", facts->on_behalf_of);
	add_id(&json, "authority_id", facts->authority_id);
	add_int64(&json, "level", facts->level);
	add_int64(&json, "step", facts->step);
	add_amount(&json, "amount", r->amount);
	add_amount(&json, "effective_amount", r->effective);
	add_text(&json, "currency", r->currency);
	add_bytes(&json, "seen_hash", r->content_hash);
	add_id(&json, "comment_id", facts->comment_id);
	bj_audit_append("decide", object("override_decision", facts->decision_id), r->account, end(&json));
	bj_log_request("decide", r, psprintf("\"decision_id\": " INT64_FORMAT, facts->decision_id));
}

void
bj_log_applied(int64 adjustment_id, const Request *r, const DecisionRow *decisions, int n)
{
	StringInfoData json;

	begin(&json);
	add_int64(&json, "request_id", r->request_id);
	add_text(&json, "account", r->account);
	add_id(&json, "charge_id", r->charge_id);
	add_amount(&json, "delta", r->delta);
	add_text(&json, "currency", r->currency);
	add_text(&json, "cause", r->cause);
	add_text(&json, "affects", r->affects);
	name_member(&json, "decisions");
	appendStringInfoChar(&json, '[');
	for (int i = 0; i < n; i++)
		appendStringInfo(&json, "%s" INT64_FORMAT, i > 0 ? ", " : "", decisions[i].decision_id);
	appendStringInfoChar(&json, ']');
	bj_audit_append("apply", object("adjustment", adjustment_id), r->account, end(&json));
	bj_log_request("apply", r, psprintf("\"adjustment_id\": " INT64_FORMAT, adjustment_id));
}

void
bj_log_hold(int64 hold_id, const char *account, int64 charge_id)
{
	StringInfoData json;

	begin(&json);
	add_text(&json, "account", account);
	add_int64(&json, "charge_id", charge_id);
	bj_audit_append("hold", object("hold", hold_id), account, end(&json));
}

void
bj_log_comment(int64 request_id, const char *account, int64 comment_id, int64 text_id)
{
	StringInfoData json;

	begin(&json);
	add_int64(&json, "request_id", request_id);
	add_int64(&json, "comment_id", comment_id);
	add_int64(&json, "text_id", text_id);
	bj_audit_append("comment", object("override_request", request_id), account, end(&json));
}

/* ---- messages ---- */

static void
begin_message(StringInfo json, const Request *r)
{
	begin(json);
	add_int64(json, "request_id", r->request_id);
	add_text(json, "kind", r->kind_name);
	add_amount(json, "delta", r->delta);
	add_text(json, "currency", r->currency);
	add_text(json, "state", bj_state_name(r->state));
}

void
bj_log_awaited(const char *topic, const Request *r, const Step *steps, int nsteps)
{
	StringInfoData json;
	bool		first = true;

	begin_message(&json, r);
	add_text(&json, "decide_until", timestamptz_to_str(r->decide_until));
	name_member(&json, "missing");
	appendStringInfoChar(&json, '[');
	for (int i = 0; i < nsteps; i++)
	{
		if (steps[i].have >= steps[i].quorum)
			continue;
		appendStringInfo(&json, "%s{\"step\": %d, \"level\": %d, \"persons\": %d}", first ? "" : ", ",
						 steps[i].step, steps[i].level, steps[i].quorum - steps[i].have);
		first = false;
	}
	appendStringInfoChar(&json, ']');
	bj_outbox_add(r->account, topic, end(&json));
}

void
bj_log_closed(const char *topic, const Request *r, int64 adjustment_id)
{
	StringInfoData json;

	begin_message(&json, r);
	add_id(&json, "adjustment_id", adjustment_id);
	bj_outbox_add(r->account, topic, end(&json));
}
