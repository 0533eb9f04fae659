/*
 * basis.c
 *	  Store: what an override request is based on.
 *
 * A charge of the usage row that moves elsewhere leaves its reversal in the
 * same account and month, so nothing outside of them can change unseen.
 */
#include "postgres.h"

#include "catalog/pg_type.h"

#include "basis.h"
#include "fieldhash.h"
#include "ownerspi.h"
#include "spirow.h"

#define DOMAIN "billadj-basis-v1"

typedef struct ChargeRow
{
	int64		attachment_id;	/* 0: none, the charge stands alone */
	char	   *event_key;
	char	   *measure;
} ChargeRow;

/* Columns of both queries: account, attachment, key, measure, period, currency. */
static bool
read_charge(int64 charge_id, TimestampTz period_start, Basis *basis, ChargeRow *charge)
{
	Oid			types[] = {INT8OID, TIMESTAMPTZOID};
	Datum		values[] = {Int64GetDatum(charge_id), TimestampTzGetDatum(period_start)};
	uint64		rows;

	/* Two statements: "or" would look into every month. */
	if (period_start != DT_NOEND)
		rows = bj_owner_run("SELECT c.account, c.attachment_id, c.event_key, c.measure, c.period_start, c.currency"
							" FROM billadj.charge c WHERE c.charge_id = $1 AND c.period_start = $2",
							2, types, values, NULL, true);
	else
		rows = bj_owner_run("SELECT c.account, c.attachment_id, c.event_key, c.measure, c.period_start, c.currency"
							" FROM billadj.charge c WHERE c.charge_id = $1",
							1, types, values, NULL, true);
	if (rows == 0)
		return false;
	basis->account = spirow_text(0, 1);
	basis->period_start = spirow_time(0, 5);
	strlcpy(basis->currency, spirow_text(0, 6), sizeof(basis->currency));
	charge->attachment_id = spirow_int64(0, 2);
	charge->event_key = spirow_text(0, 3);
	charge->measure = spirow_text(0, 4);
	if (charge->attachment_id != 0)
		basis->target_key = psprintf("usage/" INT64_FORMAT "/%s/%s", charge->attachment_id,
									 charge->measure, charge->event_key);
	else
		basis->target_key = psprintf("charge/" INT64_FORMAT, charge_id);
	return true;
}

static uint64
read_parts(int64 charge_id, const Basis *basis, const ChargeRow *charge, BasisWithout without)
{
	bool		alone = charge->attachment_id == 0;
	Oid			types[] = {TEXTOID, TIMESTAMPTZOID, INT8OID, INT8OID, TEXTOID, TEXTOID, INT8OID, INT8OID};
	Datum		values[] = {CStringGetTextDatum(basis->account),
		TimestampTzGetDatum(basis->period_start), Int64GetDatum(charge_id),
		Int64GetDatum(charge->attachment_id),
		alone ? (Datum) 0 : CStringGetTextDatum(charge->event_key),
		alone ? (Datum) 0 : CStringGetTextDatum(charge->measure),
	Int64GetDatum(without.request_id), Int64GetDatum(without.hold_id)};

	/* A hold that this request ended counts as open: so it was when it was asked for. */
	return bj_owner_run("WITH held AS (SELECT h.charge_id, coalesce(h.part_of, h.hold_id) AS hold_id FROM ONLY billadj.hold h"
						"  WHERE h.account = $1 AND (h.ended_at IS NULL OR h.request_id = $7)),"
						" mine AS (SELECT c.charge_id, c.amount, c.currency, c.cause, c.charge_id = $3 OR EXISTS"
						"   (SELECT FROM held h JOIN held g ON g.hold_id = h.hold_id WHERE h.charge_id = c.charge_id AND g.charge_id = $3) AS asked"
						"  FROM billadj.charge c WHERE c.account = $1 AND c.period_start = $2 AND (c.charge_id = $3"
						"   OR c.attachment_id = $4 AND c.event_key = $5 AND c.measure = $6))"
						" SELECT 1, m.charge_id, m.charge_id, m.amount, m.currency || ' ' || m.cause, true, m.asked FROM mine m"
						" UNION ALL SELECT 2, a.adjustment_id, a.charge_id, a.delta, a.currency || ' ' || a.cause, a.affects = 'billed', m.asked"
						"  FROM ONLY billadj.adjustment a JOIN mine m ON m.charge_id = a.charge_id"
						"  WHERE a.account = $1 AND a.request_id <> $7"
						" UNION ALL SELECT 3, h.hold_id, h.charge_id, NULL, NULL, h.ended_at IS NULL OR h.request_id = $7, false"
						"  FROM ONLY billadj.hold h WHERE h.account = $1 AND h.hold_id <> $8 AND h.part_of IS DISTINCT FROM $8"
						"   AND h.charge_id IN (SELECT m.charge_id FROM mine m)"
						" ORDER BY 1, 2",
						8, types, values, alone ? "    nn  " : NULL, true);
}

static void
add_amount(Basis *basis, bool asked, Decimal amount)
{
	bj_check(bj_decimal_add(basis->billed, amount, &basis->billed));
	if (asked)
		bj_check(bj_decimal_add(basis->charged, amount, &basis->charged));
}

/*
 * Row of read_parts(): part, its id, its charge, amount, words, flag, and whether
 * it is of the charge in question or held with it.
 */
static void
add_part(uint64 row, int64 charge_id, Basis *basis, FieldHash *fields)
{
	int32		part = spirow_int32(row, 1);
	bool		flag = spirow_bool(row, 6);
	Decimal		amount = spirow_decimal(row, 4);

	bj_fieldhash_int64(fields, part);
	bj_fieldhash_int64(fields, spirow_int64(row, 2));
	bj_fieldhash_int64(fields, spirow_int64(row, 3));
	bj_fieldhash_decimal(fields, spirow_null(row, 4) ? NULL : &amount);
	bj_fieldhash_text(fields, spirow_text(row, 5));
	bj_fieldhash_int64(fields, flag);
	if (part == 3 && flag && spirow_int64(row, 3) == charge_id)
		basis->hold_id = spirow_int64(row, 2);
	else if (part < 3 && flag)
		add_amount(basis, spirow_bool(row, 7), amount);
}

void
bj_basis_read(int64 charge_id, TimestampTz period_start, BasisWithout without,
			  Basis *basis)
{
	ChargeRow	charge;
	FieldHash  *fields = bj_fieldhash_begin(DOMAIN);
	uint64		rows = 0;

	memset(basis, 0, sizeof(*basis));
	if (charge_id != 0 && read_charge(charge_id, period_start, basis, &charge))
	{
		basis->found = true;
		rows = read_parts(charge_id, basis, &charge, without);
	}
	for (uint64 row = 0; row < rows; row++)
		add_part(row, charge_id, basis, fields);
	basis->hash = bj_fieldhash_end(fields);
}

TimestampTz
bj_basis_period(const char *account, char *currency)
{
	Oid			types[] = {TEXTOID};
	Datum		values[] = {CStringGetTextDatum(account)};
	char	   *code;

	bj_owner_run("SELECT date_trunc('month', clock_timestamp(), coalesce(a.time_zone, i.time_zone, 'UTC')), coalesce(a.currency, i.currency)"
				 " FROM (SELECT) AS one LEFT JOIN billadj.account a ON a.account = $1 LEFT JOIN ONLY billadj.instance i ON true",
				 1, types, values, NULL, true);
	code = spirow_text(0, 2);
	if (currency != NULL)
		strlcpy(currency, code ? code : "", 4);
	return spirow_time(0, 1);
}
