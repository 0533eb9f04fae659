/*
 * requests.c
 *	  Store: override requests.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "storage/proc.h"
#include "utils/datum.h"
#include "utils/guc.h"

#include "ownerspi.h"
#include "requests.h"
#include "settings.h"
#include "spirow.h"
#include "touched.h"

#define READ_REQUEST \
	"SELECT r.account, r.charge_id, r.kind, r.delta, r.amount, r.currency, r.state, r.revision, r.decisions," \
	" r.requester_id, r.editor_id, q.person_key, e.person_key, r.requested_by, r.requested_at, r.period_start," \
	" r.decide_until, r.apply_until, r.effective_amount, r.rules, r.charge_hash, r.content_hash, r.reverses," \
	" r.cause, r.affects, r.reason_code" \
	" FROM ONLY billadj.override_request r" \
	" JOIN ONLY billadj.principal q ON q.principal_id = r.requester_id" \
	" JOIN ONLY billadj.principal e ON e.principal_id = r.editor_id" \
	" WHERE r.request_id = $1"

static const RequestChange *changing = NULL;

void
bj_override_begin(OwnerScope *scope)
{
	char		text[16];

	bj_owner_begin(scope);
	if (bj_override_lock_timeout == 0 || (LockTimeout > 0 && LockTimeout <= bj_override_lock_timeout))
		return;
	snprintf(text, sizeof(text), "%d", bj_override_lock_timeout);
	(void) set_config_option("lock_timeout", text, PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
}

static void
take_request(int64 request_id, Request *request)
{
	bool		null;
	Datum		rules = spirow_datum(0, 20, &null);

	memset(request, 0, sizeof(*request));
	request->request_id = request_id;
	request->account = spirow_text(0, 1);
	request->charge_id = spirow_int64(0, 2);
	request->kind_name = spirow_text(0, 3);
	request->delta = spirow_decimal(0, 4);
	request->amount = spirow_decimal(0, 5);
	request->currency = spirow_text(0, 6);
	request->revision = spirow_int32(0, 8);
	request->decisions = spirow_int32(0, 9);
	request->requester_id = spirow_int64(0, 10);
	request->editor_id = spirow_int64(0, 11);
	request->requester_person = spirow_text(0, 12);
	request->editor_person = spirow_text(0, 13);
	request->requested_by = spirow_text(0, 14);
	request->requested_at = spirow_time(0, 15);
	request->period_start = spirow_time(0, 16);
	request->decide_until = spirow_time(0, 17);
	request->apply_until = spirow_time(0, 18);
	request->effective = spirow_decimal(0, 19);
	request->charge_hash = spirow_bytes(0, 21);
	request->content_hash = spirow_bytes(0, 22);
	request->reverses = spirow_int64(0, 23);
	request->cause = spirow_text(0, 24);
	request->affects = spirow_text(0, 25);
	request->reason_code = spirow_text(0, 26);
	if (!bj_kind_parse(request->kind_name, &request->kind) ||
		!bj_state_parse(spirow_text(0, 7), &request->state))
		elog(ERROR, "override request " INT64_FORMAT " has an unknown kind or state", request_id);
	bj_rules_read(datumCopy(rules, false, -1), &request->rules);
}

bool
bj_request_read(int64 request_id, Request *request)
{
	Oid			types[] = {INT8OID};
	Datum		values[] = {Int64GetDatum(request_id)};

	if (bj_owner_run(READ_REQUEST, 1, types, values, NULL, true) == 0)
		return false;
	take_request(request_id, request);
	return true;
}

bool
bj_request_lock(int64 request_id, Request *request)
{
	Oid			types[] = {INT8OID};
	Datum		values[] = {Int64GetDatum(request_id)};

	/* Locked first and read then: the join above would lock by an old version. */
	if (bj_owner_run("SELECT FROM ONLY billadj.override_request r WHERE r.request_id = $1 FOR UPDATE",
					 1, types, values, NULL, false) == 0)
		return false;
	return bj_request_read(request_id, request);
}

Decimal
bj_request_effective(const Request *request)
{
	Oid			types[] = {TEXTOID, TEXTOID, TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID, INT8OID};
	Datum		values[] = {CStringGetTextDatum(request->account),
		CStringGetTextDatum(request->kind_name), CStringGetTextDatum(request->currency),
		TimestampTzGetDatum(request->requested_at - request->rules.window_us),
		TimestampTzGetDatum(request->requested_at + request->rules.window_us),
	Int64GetDatum(request->request_id)};
	Decimal		sum;

	/* Also sees the rows that this statement has written before. */
	bj_owner_run("SELECT sum(r.amount) FROM ONLY billadj.override_request r"
				 " WHERE r.account = $1 AND r.kind = $2 AND r.currency = $3"
				 " AND r.requested_at BETWEEN $4 AND $5 AND r.state IN ('open', 'approved', 'applied') AND r.request_id <> $6",
				 6, types, values, NULL, false);
	bj_check(bj_decimal_add(spirow_decimal(0, 1), request->amount, &sum));
	return sum;
}

void
bj_request_lock_window(const Request *request)
{
	Oid			types[] = {TEXTOID, TEXTOID, TEXTOID};
	Datum		values[] = {CStringGetTextDatum(request->account),
		CStringGetTextDatum(request->kind_name),
	CStringGetTextDatum(request->currency)};

	bj_engine_run("INSERT INTO billadj.override_window AS w (account, kind, currency, requests) VALUES ($1, $2, $3, 1)"
				  " ON CONFLICT (account, kind, currency) DO UPDATE SET requests = w.requests + 1",
				  3, types, values, NULL);
}

RequestChange
bj_request_unchanged(const Request *request)
{
	return (RequestChange) {request->state, request->decisions, request->effective,
		request->apply_until, DT_NOEND, false};
}

/*
 * The row is always updated: a second decision that waited for this one must
 * fail under REPEATABLE READ, and would not for a mere lock.  The values come
 * from memory, not from the statement, which a trigger could change on its way.
 */
void
bj_request_change(Request *request, const RequestChange *change)
{
	Oid			types[] = {INT8OID};
	Datum		values[] = {Int64GetDatum(request->request_id)};
	uint64		rows;

	changing = change;
	PG_TRY();
	{
		rows = bj_engine_run("UPDATE ONLY billadj.override_request SET decisions = decisions WHERE request_id = $1",
							 1, types, values, NULL);
	}
	PG_FINALLY();
	{
		changing = NULL;
	}
	PG_END_TRY();
	if (rows != 1)
		ereport(ERROR,
				(errcode(ERRCODE_BJ_SERVER_CONTROLLED),
				 errmsg("override request " INT64_FORMAT " could not be updated", request->request_id),
				 errhint("SELECT * FROM billadj.self_check(); -- names triggers and rules that are not billadj's")));
	request->state = change->state;
	request->decisions = change->decisions;
	request->effective = change->effective;
	request->apply_until = change->apply_until;
}

const RequestChange *
bj_request_changing(void)
{
	return changing;
}

int64
bj_request_pending(const char *account, const char *target_key, int64 but_request_id)
{
	Oid			types[] = {TEXTOID, TEXTOID, INT8OID};
	Datum		values[] = {CStringGetTextDatum(account), CStringGetTextDatum(target_key),
	Int64GetDatum(but_request_id)};

	if (bj_owner_run("SELECT r.request_id FROM ONLY billadj.override_request r WHERE r.account = $1 AND r.target_key = $2"
					 " AND r.state IN ('open', 'approved') AND r.request_id <> $3",
					 3, types, values, NULL, false) == 0)
		return 0;
	return spirow_int64(0, 1);
}

int64
bj_request_reversal(int64 request_id, int64 but_request_id)
{
	Oid			types[] = {INT8OID, INT8OID};
	Datum		values[] = {Int64GetDatum(request_id), Int64GetDatum(but_request_id)};

	if (bj_owner_run("SELECT r.request_id FROM ONLY billadj.override_request r WHERE r.reverses = $1 AND r.request_id <> $2"
					 " AND r.state IN ('open', 'approved', 'applied')",
					 2, types, values, NULL, false) == 0)
		return 0;
	return spirow_int64(0, 1);
}

/*
 * As whoever calls, so that grants and row-level security answer.  The operator
 * is named: search_path is the caller's.
 */
bool
bj_request_visible(int64 request_id)
{
	Oid			types[] = {INT8OID};
	Datum		values[] = {Int64GetDatum(request_id)};
	bool		visible;

	SPI_connect();
	if (SPI_execute_with_args("SELECT FROM ONLY billadj.override_request r WHERE r.request_id OPERATOR(pg_catalog.=) $1",
							  1, types, values, NULL, true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not look for an override request");
	visible = SPI_processed > 0;
	SPI_finish();
	return visible;
}

void
bj_request_check_number(RequestNumber of, int64 number)
{
	/* literals, as plans are kept by their address */
	bool		request = of == BJ_NUMBER_OF_REQUEST;

	if (request)
		bj_owner_run("SELECT pg_sequence_last_value(pg_get_serial_sequence('billadj.override_request', 'request_id')::regclass)",
					 0, NULL, NULL, NULL, true);
	else
		bj_owner_run("SELECT pg_sequence_last_value(pg_get_serial_sequence('billadj.override_decision', 'decision_id')::regclass)",
					 0, NULL, NULL, NULL, true);
	if (number < 1 || number > spirow_int64(0, 1))
		ereport(ERROR,
				(errcode(ERRCODE_BJ_SERVER_CONTROLLED),
				 errmsg("%s was never drawn from its sequence: " INT64_FORMAT,
						request ? "request_id" : "decision_id", number),
				 errhint("Leave the column out.")));
}

static int
take_ids(uint64 rows, int64 **request_ids)
{
	*request_ids = palloc(sizeof(int64) * (rows + 1));
	for (uint64 row = 0; row < rows; row++)
		(*request_ids)[row] = spirow_int64(row, 1);
	return (int) rows;
}

int
bj_requests_pending(int64 **request_ids)
{
	return take_ids(bj_owner_run("SELECT r.request_id FROM ONLY billadj.override_request r WHERE r.state IN ('open', 'approved')"
								 " ORDER BY r.decide_until, r.request_id",
								 0, NULL, NULL, NULL, true), request_ids);
}

int
bj_requests_overdue(TimestampTz deadline, int max, int64 **request_ids)
{
	Oid			types[] = {TIMESTAMPTZOID, INT4OID};
	Datum		values[] = {TimestampTzGetDatum(deadline), Int32GetDatum(max)};

	return take_ids(bj_owner_run("SELECT r.request_id FROM ONLY billadj.override_request r WHERE r.state = 'open'"
								 " AND r.escalated_at IS NULL AND r.decide_until BETWEEN clock_timestamp() AND $1"
								 " ORDER BY r.decide_until, r.request_id LIMIT $2",
								 2, types, values, NULL, true), request_ids);
}
