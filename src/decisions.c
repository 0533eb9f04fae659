/*
 * decisions.c
 *	  Store: decisions on a request, and tokens of those who have looked at it.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"

#include "decisions.h"
#include "fieldhash.h"
#include "ownerspi.h"
#include "spirow.h"
#include "touched.h"

#define TOKEN_BYTES 16

/*
 * A decision counts only as long as what it rested on does: this is what makes
 * a revocation effective at once, and what apply looks at again.
 */
int
bj_decisions_read(const Request *request, DecisionRow **rows)
{
	Oid			types[] = {INT8OID, INT4OID};
	Datum		values[] = {Int64GetDatum(request->request_id), Int32GetDatum(request->revision)};
	uint64		n;

	n = bj_owner_run("SELECT d.decision_id, d.principal_id, d.person_key, f.person_key, d.decision = 'approve', d.level,"
					 " CASE WHEN NOT p.active THEN 'an approver is no longer registered'"
					 " WHEN a.authority_id IS NULL OR NOT a.valid @> clock_timestamp() THEN 'an authority has ended'"
					 " WHEN a.level < d.level THEN 'the level of an authority was lowered'"
					 " WHEN d.decision = 'approve' AND (a.single_limit < r.amount OR g.single_limit < r.amount) THEN 'a limit was lowered'"
					 " WHEN d.delegation_id IS NOT NULL AND (g.delegation_id IS NULL OR NOT g.valid @> clock_timestamp() OR NOT f.active)"
					 "  THEN 'a delegation has ended'"
					 " WHEN a.certificate IS NOT NULL AND EXISTS (SELECT FROM unnest(ARRAY[a.principal_id, d.principal_id]) AS u(principal_id)"
					 "  WHERE NOT EXISTS (SELECT FROM ONLY billadj.certification c WHERE c.principal_id = u.principal_id"
					 "   AND c.certificate = a.certificate AND c.valid @> clock_timestamp())) THEN 'a certificate has lapsed'"
					 " WHEN EXISTS (SELECT FROM ONLY billadj.conflict c WHERE c.person_key IN (d.person_key, f.person_key)"
					 "  AND c.account = r.account AND c.valid @> clock_timestamp()) THEN 'an approver has declared an interest in the account'"
					 " WHEN EXISTS (SELECT FROM ONLY billadj.limit_entry e JOIN ONLY billadj.authority x ON x.authority_id = e.authority_id"
					 "  WHERE e.decision_id = d.decision_id AND e.state = 'reserved'"
					 "  AND e.period_start <> date_trunc(x.period, clock_timestamp(), coalesce((SELECT i.time_zone FROM ONLY billadj.instance i), 'UTC')))"
					 "  THEN 'the period of a limit has passed'"
					 " WHEN EXISTS (SELECT FROM ONLY billadj.limit_entry e JOIN ONLY billadj.authority x ON x.authority_id = e.authority_id"
					 "  JOIN ONLY billadj.limit_usage u ON u.authority_id = e.authority_id AND u.period_start = e.period_start"
					 "  WHERE e.decision_id = d.decision_id AND e.state = 'reserved' AND u.used + e.amount > x.period_limit)"
					 "  THEN 'a limit was lowered' END"
					 " FROM ONLY billadj.override_decision d"
					 " JOIN ONLY billadj.override_request r ON r.request_id = d.request_id"
					 " JOIN ONLY billadj.principal p ON p.principal_id = d.principal_id"
					 " LEFT JOIN ONLY billadj.authority a ON a.authority_id = d.authority_id"
					 " LEFT JOIN ONLY billadj.delegation g ON g.delegation_id = d.delegation_id"
					 " LEFT JOIN ONLY billadj.principal f ON f.principal_id = g.from_principal"
					 " WHERE d.request_id = $1 AND d.revision = $2 ORDER BY d.decision_id",
					 2, types, values, NULL, false);
	*rows = palloc0(sizeof(DecisionRow) * (n + 1));
	for (uint64 i = 0; i < n; i++)
		(*rows)[i] = (DecisionRow) {spirow_int64(i, 1), spirow_int64(i, 2), spirow_text(i, 3),
		spirow_text(i, 4), spirow_bool(i, 5), spirow_int32(i, 6), spirow_text(i, 7)};
	return (int) n;
}

bool
bj_decisions_count(const DecisionRow *rows, int nrows, const RuleBand *band, Step *steps)
{
	int32	   *levels = palloc(sizeof(int32) * (nrows + 1));
	int			n = 0;

	for (int i = 0; i < nrows; i++)
		if (rows[i].approve && rows[i].lapsed == NULL)
			levels[n++] = rows[i].level;
	memcpy(steps, band->steps, sizeof(Step) * band->nsteps);
	return bj_steps_count(steps, band->nsteps, levels, n);
}

int64 *
bj_decisions_principals(int64 request_id, int room, int *n)
{
	Oid			types[] = {INT8OID};
	Datum		values[] = {Int64GetDatum(request_id)};
	int64	   *principals;

	*n = (int) bj_owner_run("SELECT DISTINCT d.principal_id FROM ONLY billadj.override_decision d WHERE d.request_id = $1",
							1, types, values, NULL, true);
	principals = palloc(sizeof(int64) * (*n + room));
	for (int i = 0; i < *n; i++)
		principals[i] = spirow_int64(i, 1);
	return principals;
}

/* ---- tokens ---- */

static char *
hex(const uint8 *bytes, int n)
{
	char	   *text = palloc(n * 2 + 1);

	for (int i = 0; i < n; i++)
		snprintf(text + i * 2, 3, "%02x", bytes[i]);
	return text;
}

static Datum
this_transaction(void)
{
	return CStringGetTextDatum(psprintf(UINT64_FORMAT, U64FromFullTransactionId(GetTopFullTransactionId())));
}

char *
bj_ticket_issue(int64 request_id, int64 principal_id, const bytea *seen_hash)
{
	uint8		bytes[TOKEN_BYTES];
	char	   *token;
	Oid			types[] = {INT8OID, INT8OID, BYTEAOID, BYTEAOID, TEXTOID};
	Datum		values[5];

	if (!pg_strong_random(bytes, sizeof(bytes)))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not generate a random token")));
	token = hex(bytes, sizeof(bytes));
	values[0] = Int64GetDatum(request_id);
	values[1] = Int64GetDatum(principal_id);
	values[2] = PointerGetDatum(bj_sha256_text(token));
	values[3] = PointerGetDatum(seen_hash);
	values[4] = this_transaction();
	bj_engine_run("INSERT INTO billadj.review_ticket (request_id, principal_id, token_hash, seen_hash, issued_xid, issued_at, expires_at)"
				  " VALUES ($1, $2, $3, $4, $5, clock_timestamp(), clock_timestamp() + '1 hour')",
				  5, types, values, NULL);
	return token;
}

/*
 * Another transaction, and one that has committed: the latest snapshot shows no
 * other.  A trigger or function that decides for somebody who does not know
 * cannot have made a token for him before he came.
 */
const char *
bj_ticket_problem(int64 request_id, int64 principal_id, const bytea *seen_hash,
				  const bytea *token_hash)
{
	Oid			types[] = {INT8OID, INT8OID, BYTEAOID, BYTEAOID, TEXTOID};
	Datum		values[] = {Int64GetDatum(request_id), Int64GetDatum(principal_id),
		PointerGetDatum(token_hash), PointerGetDatum(seen_hash),
	this_transaction()};

	if (bj_owner_run("SELECT CASE WHEN t.used_at IS NOT NULL THEN 'the token was used before'"
					 " WHEN t.expires_at <= clock_timestamp() THEN 'the token has expired'"
					 " WHEN t.seen_hash <> $4 THEN 'the token is for an earlier content of the request'"
					 " WHEN t.issued_xid = $5 THEN 'the token is of this very transaction' END"
					 " FROM ONLY billadj.review_ticket t WHERE t.request_id = $1 AND t.principal_id = $2 AND t.token_hash = $3 FOR UPDATE",
					 5, types, values, NULL, false) == 0)
		return "the token is not one of yours for this request";
	return spirow_text(0, 1);
}

void
bj_ticket_use(const bytea *token_hash)
{
	Oid			types[] = {BYTEAOID};
	Datum		values[] = {PointerGetDatum(token_hash)};

	bj_engine_run("UPDATE ONLY billadj.review_ticket SET used_at = clock_timestamp() WHERE token_hash = $1",
				  1, types, values, NULL);
}

bool
bj_review_required(void)
{
	return bj_owner_run("SELECT FROM ONLY billadj.instance i WHERE i.require_review",
						0, NULL, NULL, NULL, true) > 0;
}
