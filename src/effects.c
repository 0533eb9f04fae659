/*
 * effects.c
 *	  Store: what applied requests do.
 */
#include "postgres.h"

#include "catalog/pg_type.h"

#include "basis.h"
#include "effects.h"
#include "ownerspi.h"
#include "spirow.h"
#include "touched.h"

/*
 * A trigger of somebody else may have changed the row before our guard saw it,
 * so what was stored is compared with what was meant.
 */
static bool
stored_as_meant(const Request *r)
{
	return strcmp(spirow_text(0, 2), r->account) == 0 &&
		spirow_int64(0, 3) == r->request_id && spirow_int64(0, 4) == r->charge_id &&
		spirow_time(0, 5) == r->period_start &&
		bj_decimal_compare(spirow_decimal(0, 6), r->delta) == 0 &&
		strcmp(spirow_text(0, 7), r->currency) == 0 &&
		strcmp(spirow_text(0, 8), r->cause) == 0 && strcmp(spirow_text(0, 9), r->affects) == 0;
}

int64
bj_adjustment_add(const Request *r, const char *login)
{
	Oid			types[] = {TEXTOID, INT8OID, INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID, NUMERICOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID};
	Datum		values[] = {CStringGetTextDatum(r->account), Int64GetDatum(r->request_id),
		Int64GetDatum(r->charge_id), TimestampTzGetDatum(r->period_start),
		TimestampTzGetDatum(bj_basis_period(r->account, NULL)),
		bj_numeric_make(r->delta, 0), CStringGetTextDatum(r->currency),
		CStringGetTextDatum(r->cause), CStringGetTextDatum(r->affects),
	CStringGetTextDatum(login)};
	uint64		rows;

	rows = bj_engine_run("INSERT INTO billadj.adjustment AS a (account, adjustment_id, request_id, charge_id, period_start,"
						 "  posted_period_start, delta, currency, cause, affects, applied_by, applied_at)"
						 " VALUES ($1, nextval('billadj.adjustment_id_seq'), $2, $3, $4, $5, $6, $7, $8, $9, $10, clock_timestamp())"
						 " RETURNING a.adjustment_id, a.account, a.request_id, a.charge_id, a.period_start, a.delta, a.currency, a.cause, a.affects",
						 10, types, values, r->charge_id == 0 ? "  n       " : NULL);
	if (rows != 1 || !stored_as_meant(r))
		ereport(ERROR,
				(errcode(ERRCODE_BJ_SERVER_CONTROLLED),
				 errmsg("adjustment of override request " INT64_FORMAT " was not stored as it was approved", r->request_id),
				 errhint("SELECT * FROM billadj.self_check(); -- names triggers and rules that are not billadj's")));
	return spirow_int64(0, 1);
}

void
bj_hold_end(const Request *r)
{
	bool		cancelled = r->kind == BJ_KIND_CANCEL;
	Oid			types[] = {TEXTOID, INT8OID, INT8OID, TEXTOID};
	Datum		values[] = {CStringGetTextDatum(r->account), Int64GetDatum(r->charge_id),
		Int64GetDatum(r->request_id),
	CStringGetTextDatum(cancelled ? "cancelled" : "released")};

	/* and of what else is held with it */
	if (bj_engine_run("UPDATE ONLY billadj.hold AS h SET ended_at = clock_timestamp(), outcome = $4, request_id = $3"
					  " FROM ONLY billadj.hold g"
					  " WHERE g.account = $1 AND g.charge_id = $2 AND g.ended_at IS NULL"
					  "   AND h.account = $1 AND h.ended_at IS NULL"
					  "   AND coalesce(h.part_of, h.hold_id) = coalesce(g.part_of, g.hold_id)",
					  4, types, values, NULL) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_BJ_WRONG_STATE),
				 errmsg("charge " INT64_FORMAT " is not held", r->charge_id)));
}

int64
bj_hold_add(const char *account, int64 charge_id, const char *reason, int64 anomaly_id)
{
	Oid			types[] = {TEXTOID, INT8OID, TEXTOID, INT8OID};
	Datum		values[] = {CStringGetTextDatum(account), Int64GetDatum(charge_id),
	CStringGetTextDatum(reason), Int64GetDatum(anomaly_id)};

	if (bj_owner_run("SELECT FROM ONLY billadj.hold h WHERE h.account = $1 AND h.charge_id = $2 AND h.ended_at IS NULL",
					 2, types, values, NULL, false) > 0)
		return 0;
	bj_engine_run("INSERT INTO billadj.hold AS h (account, hold_id, charge_id, reason, anomaly_id)"
				  " VALUES ($1, nextval('billadj.hold_id_seq'), $2, $3, $4) RETURNING h.hold_id",
				  4, types, values, anomaly_id == 0 ? "   n" : NULL);
	return spirow_int64(0, 1);
}

int64
bj_hold_again(const Request *r)
{
	char	   *reason = psprintf("override request " INT64_FORMAT, r->request_id);
	int64		hold_id = bj_hold_add(r->account, r->charge_id, reason, 0);
	Oid			types[] = {TEXTOID, INT8OID, INT8OID, TEXTOID, INT8OID};
	Datum		values[] = {CStringGetTextDatum(r->account), Int64GetDatum(r->charge_id),
		Int64GetDatum(r->reverses), CStringGetTextDatum(reason),
	Int64GetDatum(hold_id)};

	if (hold_id != 0)
		bj_engine_run("INSERT INTO billadj.hold (account, hold_id, charge_id, reason, part_of)"
					  " SELECT $1, nextval('billadj.hold_id_seq'), o.charge_id, $4, $5"
					  "  FROM ONLY billadj.hold o WHERE o.account = $1 AND o.request_id = $3 AND o.charge_id <> $2"
					  "   AND NOT EXISTS (SELECT FROM ONLY billadj.hold h"
					  "    WHERE h.account = $1 AND h.charge_id = o.charge_id AND h.ended_at IS NULL)",
					  5, types, values, NULL);
	return hold_id;
}

void
bj_outbox_add(const char *account, const char *topic, const char *payload)
{
	Oid			types[] = {TEXTOID, TEXTOID, TEXTOID};
	Datum		values[] = {CStringGetTextDatum(account), CStringGetTextDatum(topic),
	CStringGetTextDatum(payload)};

	bj_engine_run("INSERT INTO billadj.outbox (account, outbox_id, topic, payload)"
				  " VALUES ($1, nextval('billadj.outbox_id_seq'), $2, $3::jsonb)",
				  3, types, values, NULL);
}

/* ---- proposals ---- */

int64
bj_proposal_add(const Proposal *p)
{
	Oid			types[] = {TEXTOID, TEXTOID, INT8OID, NUMERICOID, TEXTOID, TEXTOID, TIMESTAMPTZOID, TEXTOID};
	Datum		values[] = {CStringGetTextDatum(p->account), CStringGetTextDatum(p->kind),
		Int64GetDatum(p->charge_id), bj_numeric_make(p->delta, 0),
		CStringGetTextDatum(p->currency), CStringGetTextDatum(p->cause),
		TimestampTzGetDatum(p->period_start),
	p->target ? CStringGetTextDatum(p->target) : (Datum) 0};
	char		nulls[] = "        ";

	nulls[2] = p->charge_id == 0 ? 'n' : ' ';
	nulls[7] = p->target == NULL ? 'n' : ' ';
	bj_engine_run("INSERT INTO billadj.proposal AS p (account, proposal_id, kind, charge_id, delta, currency, cause, period_start, target)"
				  " VALUES ($1, nextval('billadj.proposal_id_seq'), $2, $3, $4, $5, $6, $7, $8::jsonb) RETURNING p.proposal_id",
				  8, types, values, nulls);
	return spirow_int64(0, 1);
}

bool
bj_proposal_lock(const char *account, int64 proposal_id, Proposal *p)
{
	Oid			types[] = {TEXTOID, INT8OID};
	Datum		values[] = {CStringGetTextDatum(account), Int64GetDatum(proposal_id)};

	memset(p, 0, sizeof(*p));
	if (bj_owner_run("SELECT p.account, p.kind, p.charge_id, p.delta, p.currency, p.cause, p.period_start, p.target::text, p.request_id"
					 " FROM ONLY billadj.proposal p WHERE p.account = $1 AND p.proposal_id = $2 FOR UPDATE",
					 2, types, values, NULL, false) == 0)
		return false;
	*p = (Proposal) {spirow_text(0, 1), spirow_text(0, 2), spirow_int64(0, 3), spirow_decimal(0, 4),
	spirow_text(0, 5), spirow_text(0, 6), spirow_time(0, 7), spirow_text(0, 8), spirow_int64(0, 9)};
	return true;
}

void
bj_proposal_submitted(const char *account, int64 proposal_id, int64 request_id)
{
	Oid			types[] = {TEXTOID, INT8OID, INT8OID};
	Datum		values[] = {CStringGetTextDatum(account), Int64GetDatum(proposal_id),
	Int64GetDatum(request_id)};

	bj_engine_run("UPDATE ONLY billadj.proposal SET request_id = $3 WHERE account = $1 AND proposal_id = $2",
				  3, types, values, NULL);
}

/* ---- reasons and words ---- */

bool
bj_reason_read(const char *code, bool *needs_comment, bool *needs_evidence)
{
	Oid			types[] = {TEXTOID};
	Datum		values[] = {CStringGetTextDatum(code)};

	if (bj_owner_run("SELECT c.needs_comment, c.needs_evidence FROM ONLY billadj.reason_code c WHERE c.code = $1 AND c.active",
					 1, types, values, NULL, true) == 0)
		return false;
	*needs_comment = spirow_bool(0, 1);
	*needs_evidence = spirow_bool(0, 2);
	return true;
}

int64
bj_comment_add(int64 request_id, int64 text_id, const char *login)
{
	Oid			types[] = {INT8OID, INT8OID, TEXTOID};
	Datum		values[] = {Int64GetDatum(request_id), Int64GetDatum(text_id),
	CStringGetTextDatum(login)};

	bj_engine_run("INSERT INTO billadj.request_comment AS c (request_id, body_ref, created_by) VALUES ($1, $2, $3) RETURNING c.comment_id",
				  3, types, values, NULL);
	return spirow_int64(0, 1);
}

int
bj_comments_read(int64 request_id, CommentRow **rows)
{
	Oid			types[] = {INT8OID};
	Datum		values[] = {Int64GetDatum(request_id)};
	int			n = (int) bj_owner_run("SELECT c.comment_id, c.created_at, c.created_by, c.body_ref FROM ONLY billadj.request_comment c"
									   " WHERE c.request_id = $1 ORDER BY c.comment_id",
									   1, types, values, NULL, true);

	*rows = palloc(sizeof(CommentRow) * (n + 1));
	for (int i = 0; i < n; i++)
		(*rows)[i] = (CommentRow) {spirow_int64(i, 1), spirow_time(i, 2), spirow_text(i, 3), spirow_int64(i, 4)};
	return n;
}
