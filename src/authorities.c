/*
 * authorities.c
 *	  Store: who may decide.
 *
 * FOR SHARE, not FOR KEY SHARE: ending an authority changes no key.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/array.h"

#include "authorities.h"
#include "ownerspi.h"
#include "spirow.h"

#define READ_AUTHORITIES \
	"SELECT a.authority_id, a.level, a.single_limit, a.period_limit," \
	" date_trunc(a.period, clock_timestamp(), coalesce((SELECT i.time_zone FROM ONLY billadj.instance i), 'UTC'))," \
	" a.valid @> clock_timestamp(), a.certificate," \
	" a.certificate IS NULL OR NOT EXISTS (SELECT FROM unnest(ARRAY[a.principal_id, $5]) AS p(principal_id)" \
	"  WHERE NOT EXISTS (SELECT FROM ONLY billadj.certification c WHERE c.principal_id = p.principal_id" \
	"   AND c.certificate = a.certificate AND c.valid @> clock_timestamp()))" \
	" FROM ONLY billadj.authority a WHERE a.principal_id = $1 AND (a.kind IS NULL OR a.kind = $2) AND a.currency = $3" \
	" AND ($4 = 0 OR a.authority_id = $4) ORDER BY a.authority_id"

#define READ_DELEGATION \
	"SELECT g.from_principal, p.person_key, p.active, g.to_principal, g.authority_id, g.single_limit," \
	" g.valid @> clock_timestamp()," \
	" EXISTS (SELECT FROM ONLY billadj.authority a WHERE a.authority_id = g.authority_id AND a.principal_id = g.from_principal)" \
	" FROM ONLY billadj.delegation g JOIN ONLY billadj.principal p ON p.principal_id = g.from_principal WHERE g.delegation_id = $1"

void
bj_principals_lock(const int64 *principals, int n)
{
	Oid			types[] = {INT8ARRAYOID};
	Datum	   *datums = palloc(sizeof(Datum) * n);
	Datum		values[1];

	for (int i = 0; i < n; i++)
		datums[i] = Int64GetDatum(principals[i]);
	values[0] = PointerGetDatum(construct_array(datums, n, INT8OID, sizeof(int64),
												FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
	bj_owner_run("SELECT FROM ONLY billadj.principal p WHERE p.principal_id = ANY ($1) ORDER BY p.principal_id FOR SHARE",
				 1, types, values, NULL, false);
}

static void
take_authority(uint64 row, Authority *authority)
{
	authority->authority_id = spirow_int64(row, 1);
	authority->level = spirow_int32(row, 2);
	authority->single_limit = spirow_decimal(row, 3);
	authority->has_period_limit = !spirow_null(row, 4);
	authority->period_limit = spirow_decimal(row, 4);
	authority->period_start = spirow_time(row, 5);
	authority->valid = spirow_bool(row, 6);
	authority->certificate = spirow_text(row, 7);
	authority->certified = spirow_bool(row, 8);
}

int
bj_authorities_read(int64 principal_id, const char *kind, const char *currency,
					int64 authority_id, int64 user_id, bool lock,
					Authority **authorities)
{
	Oid			types[] = {INT8OID, TEXTOID, TEXTOID, INT8OID, INT8OID};
	Datum		values[] = {Int64GetDatum(principal_id), CStringGetTextDatum(kind),
		CStringGetTextDatum(currency), Int64GetDatum(authority_id),
	Int64GetDatum(user_id)};
	uint64		rows = lock ?
		bj_owner_run(READ_AUTHORITIES " FOR SHARE OF a", 5, types, values, NULL, false) :
		bj_owner_run(READ_AUTHORITIES, 5, types, values, NULL, true);

	*authorities = palloc0(sizeof(Authority) * (rows + 1));
	for (uint64 row = 0; row < rows; row++)
		take_authority(row, &(*authorities)[row]);
	return (int) rows;
}

bool
bj_delegation_read(int64 delegation_id, bool lock, Delegation *delegation)
{
	Oid			types[] = {INT8OID};
	Datum		values[] = {Int64GetDatum(delegation_id)};
	uint64		rows = lock ?
		bj_owner_run(READ_DELEGATION " FOR SHARE OF g", 1, types, values, NULL, false) :
		bj_owner_run(READ_DELEGATION, 1, types, values, NULL, true);

	memset(delegation, 0, sizeof(*delegation));
	if (rows == 0)
		return false;
	delegation->from_principal = spirow_int64(0, 1);
	delegation->from_person = spirow_text(0, 2);
	delegation->from_active = spirow_bool(0, 3);
	delegation->to_principal = spirow_int64(0, 4);
	delegation->authority_id = spirow_int64(0, 5);
	delegation->has_limit = !spirow_null(0, 6);
	delegation->single_limit = spirow_decimal(0, 6);
	delegation->valid = spirow_bool(0, 7);
	delegation->lent_by_holder = spirow_bool(0, 8);
	return true;
}

bool
bj_conflict_exists(const char *person_key, const char *account)
{
	Oid			types[] = {TEXTOID, TEXTOID};
	Datum		values[] = {CStringGetTextDatum(person_key), CStringGetTextDatum(account)};

	return bj_owner_run("SELECT FROM ONLY billadj.conflict c WHERE c.person_key = $1 AND c.account = $2 AND c.valid @> clock_timestamp()",
						2, types, values, NULL, true) > 0;
}
