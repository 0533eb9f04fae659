/*
 * policy.c
 *	  Changes of policy under dual control: what the guards need of the tables.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "storage/lmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

#include "errors.h"
#include "ownerspi.h"
#include "policy.h"
#include "privatetext.h"

static PolicyMark mark = POLICY_NONE;

PolicyMark
bj_policy_mark(void)
{
	return mark;
}

/* The first value of the first row, in the caller's context; NULL: no row. */
static char *
first_text(void)
{
	char	   *value;

	if (SPI_processed == 0)
		return NULL;
	value = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
	return value;
}

/*
 * The second sign is for good: people may leave, the door stays shut.  A
 * proposal is accepted only when two could approve, so one row says that they
 * could.
 */
bool
bj_policy_bootstrapped(void)
{
	OwnerScope	scope;
	bool		done;

	bj_owner_begin(&scope);
	done = bj_owner_run("SELECT FROM (SELECT) AS one WHERE EXISTS (SELECT FROM ONLY billadj.policy_change)"
						" OR billadj.policy_approvers() >= 2",
						0, NULL, NULL, NULL, false) > 0;
	bj_owner_end(&scope);
	return done;
}

bool
bj_policy_is_dual(const char *table)
{
	OwnerScope	scope;
	Oid			types[] = {TEXTOID};
	Datum		values[] = {CStringGetTextDatum(table)};
	bool		dual;

	bj_owner_begin(&scope);
	dual = bj_owner_run("SELECT FROM ONLY billadj.policy_mode m WHERE m.table_name = $1 AND m.mode = 'dual'",
						1, types, values, NULL, true) > 0;
	bj_owner_end(&scope);
	return dual;
}

/* Runs one statement as the owner while the mark stands. */
static void
run_marked(PolicyMark wanted, const char *sql, int nargs, Oid *types, Datum *values)
{
	PolicyMark	before = mark;

	mark = wanted;
	PG_TRY();
	{
		OwnerScope	scope;

		bj_owner_begin(&scope);
		(void) bj_owner_run(sql, nargs, types, values, NULL, false);
		bj_owner_end(&scope);
	}
	PG_FINALLY();
	{
		mark = before;
	}
	PG_END_TRY();
}

void
bj_policy_bump_principal(int64 principal_id)
{
	Oid			types[] = {INT8OID};
	Datum		values[] = {Int64GetDatum(principal_id)};

	run_marked(POLICY_BUMP, "UPDATE ONLY billadj.principal p SET revision = p.revision + 1 WHERE p.principal_id = $1",
			   1, types, values);
}

void
bj_policy_bump_person(Datum person_key)
{
	Oid			types[] = {TEXTOID};
	Datum		values[] = {person_key};

	run_marked(POLICY_BUMP, "UPDATE ONLY billadj.principal p SET revision = p.revision + 1 WHERE p.person_key = $1",
			   1, types, values);
}

/* What is wrong with policy now, one line each, in the current context. */
static ArrayType *
faults(void)
{
	MemoryContext caller = CurrentMemoryContext;
	OwnerScope	scope;
	Datum		found;
	bool		null;

	bj_owner_begin(&scope);
	(void) bj_owner_run("SELECT coalesce(array_agg(f.message), '{}')"
						" FROM billadj.policy_faults() AS f",
						0, NULL, NULL, NULL, false);
	found = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &null);
	MemoryContextSwitchTo(caller);
	found = PointerGetDatum(DatumGetArrayTypePCopy(found));
	bj_owner_end(&scope);
	return DatumGetArrayTypeP(found);
}

/*
 * Only what the change brings about is its fault: otherwise nobody could mend
 * one of two.
 */
static void
refuse_new_fault(ArrayType *before)
{
	MemoryContext caller = CurrentMemoryContext;
	OwnerScope	scope;
	Oid			types[] = {TEXTARRAYOID};
	Datum		values[] = {PointerGetDatum(before)};
	char	   *message = NULL;

	bj_owner_begin(&scope);
	if (bj_owner_run("SELECT f.message FROM billadj.policy_faults() AS f WHERE f.message <> ALL ($1) ORDER BY f.place LIMIT 1",
					 1, types, values, NULL, false) > 0)
		message = MemoryContextStrdup(caller, first_text());
	bj_owner_end(&scope);
	if (message != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_BJ_POLICY_UNSOUND),
				 errmsg("the change would leave policy unsound: %s", message),
				 errhint("Propose what is missing first, or all of it in one change: {\"ops\": [{\"op\": …}, {\"op\": …}]}.")));
}

/* The persons that the rows are about must not be the one who approves. */
static void
refuse_beneficiary(Datum persons, const Principal *decider)
{
	Datum	   *keys;
	int			n;

	deconstruct_array(DatumGetArrayTypeP(persons), TEXTOID, -1, false, TYPALIGN_INT,
					  &keys, NULL, &n);
	for (int i = 0; i < n; i++)
		if (strcmp(TextDatumGetCString(keys[i]), decider->person_key) == 0)
			ereport(ERROR,
					(errcode(ERRCODE_BJ_SEGREGATION),
					 errmsg("nobody approves a change of policy about himself"),
					 errhint("Another member of billadj_policy must approve it.")));
}

/* Writes the rows; returns the persons they are about. */
static Datum
write_rows(Datum target, Datum body, TimestampTz at)
{
	MemoryContext caller = CurrentMemoryContext;
	OwnerScope	scope;
	Oid			types[] = {TEXTOID, JSONBOID, TIMESTAMPTZOID};
	Datum		values[] = {target, body, TimestampTzGetDatum(at)};
	Datum		persons;
	bool		null;

	bj_owner_begin(&scope);
	(void) bj_owner_run("SELECT billadj.write_policy($1, $2, $3)", 3, types, values, NULL, false);
	persons = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &null);
	MemoryContextSwitchTo(caller);
	persons = PointerGetDatum(DatumGetArrayTypePCopy(persons));
	bj_owner_end(&scope);
	return persons;
}

/*
 * One approval at a time: two that are sound each could leave too few people
 * together, and whoever has just lost his place would approve.  The lock passes
 * readers, and nobody but the owner may take one
 * that meets it.
 */
void
bj_policy_lock(void)
{
	Oid			schema = get_namespace_oid("billadj", false);

	LockRelationOid(get_relname_relid("policy_mode", schema), ShareRowExclusiveLock);
}

void
bj_policy_apply(Datum target, Datum body, TimestampTz at, const Principal *decider)
{
	ArrayType  *before;
	Datum		persons;

	before = faults();
	mark = POLICY_APPROVED;
	PG_TRY();
	{
		persons = write_rows(target, body, at);
	}
	PG_FINALLY();
	{
		mark = POLICY_NONE;
	}
	PG_END_TRY();
	if (decider != NULL)
		refuse_beneficiary(persons, decider);
	refuse_new_fault(before);
}

/*
 * Whoever called us may catch an error and roll back one subtransaction, which
 * must be his own.
 */
void
bj_policy_try(Datum target, Datum body, TimestampTz at)
{
	MemoryContext caller = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(caller);
	PG_TRY();
	{
		bj_policy_apply(target, body, at, NULL);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(caller);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(caller);
		CurrentResourceOwner = owner;
		ReThrowError(error);
	}
	PG_END_TRY();
	RollbackAndReleaseCurrentSubTransaction();
	MemoryContextSwitchTo(caller);
	CurrentResourceOwner = owner;
}

char *
bj_policy_person(int64 principal_id)
{
	MemoryContext caller = CurrentMemoryContext;
	OwnerScope	scope;
	Oid			types[] = {INT8OID};
	Datum		values[] = {Int64GetDatum(principal_id)};
	char	   *key;

	bj_owner_begin(&scope);
	(void) bj_owner_run("SELECT p.person_key FROM ONLY billadj.principal p WHERE p.principal_id = $1",
						1, types, values, NULL, true);
	key = first_text();
	if (key != NULL)
		key = MemoryContextStrdup(caller, key);
	bj_owner_end(&scope);
	return key;
}

int64
bj_policy_keep_text(Datum body)
{
	return bj_private_text_add(TextDatumGetCString(body));
}
