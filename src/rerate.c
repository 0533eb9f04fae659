/*
 * rerate.c
 *	  Store: usage that is charged already, rated by what the catalogue and the
 *	  timelines say now.
 *
 * A plan that is changed for a time past has another price, and maybe other
 * periods, for usage that was charged meanwhile.  The charges say all that
 * rating needs of their rows: account, time, meter and quantity; the host table
 * may be another's, or gone.  What differs is charged as the difference, by the
 * way an UPDATE of the host row goes.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "charges.h"
#include "errors.h"
#include "numericcodec.h"
#include "ownerspi.h"
#include "rating.h"
#include "usagelock.h"

/* Usage rows of one attachment, by key. */
typedef struct KeyGroup
{
	int64		attachment_id;
	int			n;
	ChargedRow *rows;
} KeyGroup;

typedef struct Work
{
	Rating		rating;
	ReturnSetInfo *result;
	int			naccounts;
	KeyText    *accounts;
	MemoryContext context;		/* of one usage row */
} Work;

/*
 * Usage of the accounts at or after a time.  A period that contains it began no
 * longer before it than the longest one is.  The newest charge of a row is
 * where it is charged now.
 */
static const char *const charged_usage =
	"SELECT DISTINCT ON (c.attachment_id, c.event_key) c.attachment_id, c.event_key, c.period_start"
	" FROM billadj.charge c"
	" WHERE c.account = ANY ($1) AND c.occurred_at >= $2 AND c.meter IS NOT NULL AND c.event_key IS NOT NULL"
	" AND c.period_start >= $2 - (SELECT greatest(max(b.every), '1 month') + '2 days' FROM billadj.billing_cycle b)"
	" ORDER BY c.attachment_id, c.event_key, c.charge_id DESC";

/* Reads the keys of that usage, in the current context, by attachment. */
static KeyGroup *
read_groups(Datum accounts, TimestampTz from, int *ngroups)
{
	MemoryContext caller = CurrentMemoryContext;
	Oid			types[2] = {TEXTARRAYOID, TIMESTAMPTZOID};
	Datum		values[2] = {accounts, TimestampTzGetDatum(from)};
	OwnerScope	scope;
	KeyGroup	   *groups = NULL;
	uint64		n;

	*ngroups = 0;
	bj_owner_begin(&scope);
	n = bj_owner_run(charged_usage, 2, types, values, NULL, false);
	MemoryContextSwitchTo(caller);
	for (uint64 i = 0; i < n; i++)
	{
		HeapTuple	tuple = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		bool		isnull;
		int64		id = DatumGetInt64(SPI_getbinval(tuple, desc, 1, &isnull));
		char	   *key = TextDatumGetCString(SPI_getbinval(tuple, desc, 2, &isnull));
		KeyGroup	   *g;

		if (*ngroups == 0 || groups[*ngroups - 1].attachment_id != id)
		{
			groups = *ngroups == 0 ? palloc(sizeof(KeyGroup)) :
				repalloc(groups, (*ngroups + 1) * sizeof(KeyGroup));
			groups[*ngroups] = (KeyGroup) {
				id, 0, palloc_extended((n - i) * sizeof(ChargedRow), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO)
			};
			(*ngroups)++;
		}
		g = &groups[*ngroups - 1];
		g->rows[g->n].event_key = bj_key_from_string(key, strlen(key));
		g->rows[g->n].has_at = true;
		g->rows[g->n++].period_start = DatumGetTimestampTz(SPI_getbinval(tuple, desc, 3, &isnull));
	}
	bj_owner_end(&scope);
	return groups;
}

static bool
is_ours(const Work *w, KeyText account)
{
	for (int i = 0; i < w->naccounts; i++)
		if (bj_key_equal(w->accounts[i], account))
			return true;
	return false;
}

/* The usage row that a row's charges are for; false: nothing of it is charged. */
static bool
row_of_charges(const Work *w, const ChargedRow *charged, UsageRow *row)
{
	int			n = 0;

	for (const ChargedPart *part = charged->parts; part != NULL; part = part->next)
		n += part->rows > 0;
	memset(row, 0, sizeof(UsageRow));
	row->binding = w->rating.binding;
	row->event_key = charged->event_key;
	row->measures = palloc0(Max(n, 1) * sizeof(UsageMeasure));
	for (const ChargedPart *part = charged->parts; part != NULL; part = part->next)
	{
		UsageMeasure *m = &row->measures[row->nmeasures];
		BoundMeasure *bound;

		if (part->rows <= 0)
			continue;
		bound = palloc0(sizeof(BoundMeasure));
		bound->measure = pnstrdup(part->measure.data, part->measure.length);
		bound->measure_text = part->measure;
		m->bound = bound;
		m->meter = part->meter;
		m->quantity = part->quantity;
		row->account = part->account;
		row->has_at = true;
		row->at = part->occurred_at;
		row->nmeasures++;
	}
	if (n == 0 || !is_ours(w, row->account))
		return false;
	bj_usagerow_place(row);
	return row->fault.sqlstate == 0;
}

/* Is any measure charged by another price, or in another period, than now? */
static bool
is_rated_otherwise(const UsageRow *row, const ChargedRow *charged)
{
	const UsageMeasure *m = row->measures;

	for (const ChargedPart *part = charged->parts; part != NULL; part = part->next)
	{
		const CatalogPrice *price;
		Fault		fault = {0};

		if (part->rows <= 0)
			continue;
		price = bj_prices_find(row->terms, m->meter.data, m->meter.length, row->occurred_at, &fault);
		if (m->fault.sqlstate == 0 &&
			(price == NULL || price->price_id != part->price_id || m->period_start != part->period_start))
			return true;
		m++;
	}
	return false;
}

static void
rerate_group(Work *w, KeyGroup *g)
{
	Binding		binding = {.attachment_id = g->attachment_id, .active = true};

	w->rating.binding = &binding;
	bj_check(bj_charges_find(BJ_BOOK_BILLED, g->attachment_id, g->rows, g->n));
	for (int i = 0; i < g->n; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(w->context);
		UsageRow	row;

		CHECK_FOR_INTERRUPTS();
		if (row_of_charges(w, &g->rows[i], &row) && is_rated_otherwise(&row, &g->rows[i]))
			bj_rating_change(&w->rating, &g->rows[i], &row);
		MemoryContextSwitchTo(old);
		MemoryContextReset(w->context);
	}
}

/* A row of the result for each charge that is written. */
static void
return_charge(void *to, const Charge *c)
{
	Work	   *w = to;
	Datum		values[8] = {
		c->account.datum, c->meter.datum, TimestampTzGetDatum(c->period_start),
		TimestampTzGetDatum(c->posted_period_start), Int64GetDatum(c->price_id),
		bj_numeric_make(c->quantity, 0), bj_numeric_make(c->amount, 0),
		CStringGetTextDatum(c->currency)
	};
	bool		nulls[8] = {false};

	tuplestore_putvalues(w->result->setResult, w->result->setDesc, values, nulls);
}

static void
get_accounts(Work *w, ArrayType *array)
{
	Datum	   *elements;

	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &elements, NULL, &w->naccounts);
	w->accounts = palloc(Max(w->naccounts, 1) * sizeof(KeyText));
	for (int i = 0; i < w->naccounts; i++)
	{
		char	   *account = TextDatumGetCString(elements[i]);

		w->accounts[i] = bj_key_from_string(account, strlen(account));
	}
}

/*
 * billadj.rerate_rows(accounts text[], from_at timestamptz, posting_at timestamptz)
 */
PG_FUNCTION_INFO_V1(billadj_rerate_rows);
Datum
billadj_rerate_rows(PG_FUNCTION_ARGS)
{
	Binding		nothing = {0};
	Work		w = {0};
	Correction	correction = {PG_GETARG_TIMESTAMPTZ(2), return_charge, &w};
	KeyGroup	   *groups;
	int			ngroups;

	InitMaterializedSRF(fcinfo, 0);
	w.result = (ReturnSetInfo *) fcinfo->resultinfo;
	get_accounts(&w, PG_GETARG_ARRAYTYPE_P(0));
	bj_usagelock_alone(w.accounts, w.naccounts);
	groups = read_groups(PG_GETARG_DATUM(0), PG_GETARG_TIMESTAMPTZ(1), &ngroups);
	if (!bj_rating_begin(&w.rating, &nothing))
		ereport(ERROR,
				(errcode(ERRCODE_BJ_NOT_INSTALLED),
				 errmsg("the tables of billadj are not usable"),
				 errhint("Run SELECT * FROM billadj.self_check().")));
	w.rating.correction = &correction;
	w.context = AllocSetContextCreate(CurrentMemoryContext, "billadj usage row", ALLOCSET_DEFAULT_SIZES);
	for (int i = 0; i < ngroups; i++)
		rerate_group(&w, &groups[i]);
	bj_rating_end(&w.rating);
	return (Datum) 0;
}
