/*
 * posture.c
 *	  Whether the tables of control are guarded as they must be.
 *
 * The question is SQL on the catalogs, billadj.control_finding(), beside
 * self_check(), which answers it at length.  The answer "all is well" is kept
 * until the server says that one of the tables has changed: triggers, row
 * security, rules, owner, children and columns all do that.  A finding is not
 * kept, so whoever mends it can go on at once.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/array.h"
#include "utils/inval.h"
#include "utils/memutils.h"

#include "errors.h"
#include "ownerspi.h"
#include "posture.h"
#include "spirow.h"
#include "tables.h"

/* The tables that were found well; none: whatever changes may be one of them. */
static Oid *watched = NULL;
static int	nwatched = 0;

static bool sound = false;
static uint64 changes = 0;

static void
table_changed(Oid relid)
{
	bool		ours = !OidIsValid(relid) || nwatched == 0;

	for (int i = 0; i < nwatched && !ours; i++)
		ours = watched[i] == relid;
	if (!ours)
		return;
	sound = false;
	changes++;
}

void
bj_posture_init(void)
{
	bj_tables_on_change(table_changed);
}

static void
watch(ArrayType *tables)
{
	int			n = ArrayGetNItems(ARR_NDIM(tables), ARR_DIMS(tables));
	Oid		   *made = MemoryContextAlloc(TopMemoryContext, Max(n, 1) * sizeof(Oid));

	memcpy(made, ARR_DATA_PTR(tables), n * sizeof(Oid));
	if (watched != NULL)
		pfree(watched);
	watched = made;
	nwatched = n;
}

static void
raise_finding(const char *finding)
{
	ereport(ERROR,
			(errcode(ERRCODE_BJ_POSTURE),
			 errmsg("the tables of control are not guarded as they must be"),
			 errdetail("%s.", finding),
			 errhint("SELECT * FROM billadj.self_check();")));
}

/*
 * Whatever changes while the catalogs are read may be what they were read for:
 * until the new list is there everything is ours, and makes the answer old.
 */
void
bj_posture_check(void)
{
	OwnerScope	scope;
	uint64		before;
	bool		null;
	Datum		tables;
	char	   *finding;

	/* what another session committed counts even where nothing is locked next */
	AcceptInvalidationMessages();
	if (sound)
		return;
	nwatched = 0;
	before = changes;
	bj_owner_begin(&scope);
	(void) bj_owner_run("SELECT billadj.control_finding(array_agg(k.relation)), array_agg(k.relation)"
						" FROM billadj.control_tables() k", 0, NULL, NULL, NULL, true);
	finding = spirow_text(0, 1);
	if (finding != NULL)
		raise_finding(finding);
	tables = spirow_datum(0, 2, &null);
	if (!null)
		watch(DatumGetArrayTypeP(tables));
	sound = nwatched > 0 && changes == before;
	bj_owner_end(&scope);
}
