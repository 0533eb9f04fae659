/*
 * limitusage.c
 *	  Store: what authorities were used for.
 */
#include "postgres.h"

#include "catalog/pg_type.h"

#include "limitusage.h"
#include "ownerspi.h"
#include "spirow.h"
#include "touched.h"

static int
compare_claims(const void *a, const void *b)
{
	const LimitClaim *x = a;
	const LimitClaim *y = b;

	if (x->authority_id != y->authority_id)
		return x->authority_id < y->authority_id ? -1 : 1;
	return x->period_start < y->period_start ? -1 : x->period_start > y->period_start;
}

static Decimal
read_taken(const LimitClaim *claim, bool lock, bool *found)
{
	Oid			types[] = {INT8OID, TIMESTAMPTZOID};
	Datum		values[] = {Int64GetDatum(claim->authority_id),
	TimestampTzGetDatum(claim->period_start)};
	uint64		rows = lock ?
		bj_owner_run("SELECT u.reserved + u.used FROM ONLY billadj.limit_usage u WHERE u.authority_id = $1 AND u.period_start = $2 FOR UPDATE",
					 2, types, values, NULL, false) :
		bj_owner_run("SELECT u.reserved + u.used FROM ONLY billadj.limit_usage u WHERE u.authority_id = $1 AND u.period_start = $2",
					 2, types, values, NULL, false);

	*found = rows > 0;
	return rows > 0 ? spirow_decimal(0, 1) : BJ_DECIMAL_ZERO;
}

/* The first use of a period makes its counter; two at once make one. */
static void
make_counter(const LimitClaim *claim)
{
	Oid			types[] = {INT8OID, TIMESTAMPTZOID};
	Datum		values[] = {Int64GetDatum(claim->authority_id),
	TimestampTzGetDatum(claim->period_start)};

	bj_engine_run("INSERT INTO billadj.limit_usage (authority_id, period_start, reserved, used) VALUES ($1, $2, 0, 0)"
				  " ON CONFLICT (authority_id, period_start) DO UPDATE SET used = limit_usage.used",
				  2, types, values, NULL);
}

void
bj_limits_read(LimitClaim *claims, int n, bool lock)
{
	qsort(claims, n, sizeof(LimitClaim), compare_claims);
	for (int i = 0; i < n; i++)
	{
		bool		found;

		claims[i].taken = read_taken(&claims[i], lock, &found);
		if (lock && !found)
		{
			make_counter(&claims[i]);
			claims[i].taken = read_taken(&claims[i], lock, &found);
		}
	}
}

bool
bj_limit_holds(const LimitClaim *claim, Decimal amount)
{
	Decimal		sum;

	bj_check(bj_decimal_add(claim->taken, amount, &sum));
	return bj_decimal_compare(sum, claim->period_limit) <= 0;
}

/*
 * The counters are locked since the guard looked, but rows of one statement are
 * all guarded before the first of them is counted: the limit is in the
 * condition again.
 */
bool
bj_limits_reserve(const LimitClaim *claims, int n, int64 decision_id,
				  int64 request_id, Decimal amount)
{
	for (int i = 0; i < n; i++)
	{
		Oid			types[] = {INT8OID, TIMESTAMPTZOID, NUMERICOID, NUMERICOID, INT8OID, INT8OID};
		Datum		values[] = {Int64GetDatum(claims[i].authority_id),
			TimestampTzGetDatum(claims[i].period_start),
			bj_numeric_make(amount, 0), bj_numeric_make(claims[i].period_limit, 0),
		Int64GetDatum(decision_id), Int64GetDatum(request_id)};

		if (bj_engine_run("UPDATE ONLY billadj.limit_usage SET reserved = reserved + $3"
						  " WHERE authority_id = $1 AND period_start = $2 AND reserved + used + $3 <= $4",
						  4, types, values, NULL) != 1)
			return false;
		bj_engine_run("INSERT INTO billadj.limit_entry (authority_id, period_start, amount, state, decision_id, request_id)"
					  " VALUES ($1, $2, $3, 'reserved', $5, $6)",
					  6, types, values, NULL);
	}
	return true;
}

/*
 * The entry is the proof that it happens once: what is no longer reserved is
 * not counted again.
 */
void
bj_limits_end(int64 request_id, bool used)
{
	Oid			types[] = {INT8OID, BOOLOID};
	Datum		values[] = {Int64GetDatum(request_id), BoolGetDatum(used)};

	bj_owner_run("SELECT FROM ONLY billadj.limit_usage u WHERE (u.authority_id, u.period_start) IN"
				 " (SELECT e.authority_id, e.period_start FROM ONLY billadj.limit_entry e WHERE e.request_id = $1 AND e.state = 'reserved')"
				 " ORDER BY u.authority_id, u.period_start FOR UPDATE",
				 1, types, values, NULL, false);
	bj_engine_run("UPDATE ONLY billadj.limit_usage AS u SET reserved = u.reserved - e.amount, used = u.used + CASE WHEN $2 THEN e.amount ELSE 0 END"
				  " FROM (SELECT e.authority_id, e.period_start, sum(e.amount) AS amount FROM ONLY billadj.limit_entry e"
				  "  WHERE e.request_id = $1 AND e.state = 'reserved' GROUP BY 1, 2) e"
				  " WHERE u.authority_id = e.authority_id AND u.period_start = e.period_start",
				  2, types, values, NULL);
	bj_engine_run("UPDATE ONLY billadj.limit_entry SET state = CASE WHEN $2 THEN 'used' ELSE 'released' END"
				  " WHERE request_id = $1 AND state = 'reserved'",
				  2, types, values, NULL);
}
