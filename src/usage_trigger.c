/*
 * usage_trigger.c
 *	  The triggers on host tables: usage is rated as it is written.
 *
 * One AFTER statement trigger an event, over its transition tables.  A trigger
 * conducts: it reads rows, and rating.c works them out and books them.  What
 * is wrong with a row is parked with it; what is wrong with our own tables is
 * a WARNING.  The host's statement does not fail for either.
 */
#include "postgres.h"

#include "commands/trigger.h"
#include "executor/executor.h"
#include "executor/tuptable.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/tuplestore.h"

#include "binding.h"
#include "errors.h"
#include "parked.h"
#include "rating.h"
#include "settings.h"
#include "strhash.h"
#include "subperiods.h"
#include "usagelock.h"

static int64
trigger_attachment(TriggerData *trigdata)
{
	const char *argument = trigdata->tg_trigger->tgnargs == 1 ? trigdata->tg_trigger->tgargs[0] : "";
	char	   *end;
	int64		attachment_id = strtoll(argument, &end, 10);

	if (end == argument || *end != '\0')
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("trigger \"%s\" on \"%s\" does not name an attachment",
						trigdata->tg_trigger->tgname,
						RelationGetRelationName(trigdata->tg_relation)),
				 errhint("Triggers on host tables are made by billadj.attach().")));
	return attachment_id;
}

static TriggerData *
trigger_data(FunctionCallInfo fcinfo, const char *name)
{
	if (!CALLED_AS_TRIGGER(fcinfo) ||
		!TRIGGER_FIRED_FOR_STATEMENT(((TriggerData *) fcinfo->context)->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("billadj.%s can be called only as a statement trigger", name)));
	return (TriggerData *) fcinfo->context;
}

static bool
has_rows(Tuplestorestate *store)
{
	return store != NULL && tuplestore_tuple_count(store) > 0;
}

/*
 * Is this statement to be rated?  If so the rating is begun.  A statement
 * without rows costs next to nothing.
 */
static bool
begin(TriggerData *trigdata, Rating *rating)
{
	const Binding *binding;

	if (!has_rows(trigdata->tg_newtable) && !has_rows(trigdata->tg_oldtable))
		return false;
	if (!bj_enabled)
		return false;
	if (bj_taken_verbatim())
	{
		bj_rating_warn("a superuser loads rows under row_security = off, which takes them verbatim");
		return false;
	}
	binding = bj_binding_get(trigdata->tg_relation, trigger_attachment(trigdata));
	if (binding == NULL)
	{
		bj_rating_warn(psprintf("attachment %s of table \"%s\" does not exist",
								trigdata->tg_trigger->tgargs[0],
								RelationGetRelationName(trigdata->tg_relation)));
		return false;
	}
	return binding->active && bj_rating_begin(rating, binding);
}

/* ---- reading transition tables ---- */

typedef struct RowReader
{
	Tuplestorestate *store;
	TupleTableSlot *slot;
} RowReader;

/* A read pointer of our own: other triggers read the same transition table. */
static void
reader_open(RowReader *reader, TriggerData *trigdata, Tuplestorestate *store)
{
	int			pointer = tuplestore_alloc_read_pointer(store, EXEC_FLAG_REWIND);

	reader->store = store;
	reader->slot = MakeSingleTupleTableSlot(RelationGetDescr(trigdata->tg_relation),
											&TTSOpsMinimalTuple);
	tuplestore_select_read_pointer(store, pointer);
	tuplestore_rescan(store);
}

static bool
reader_next(RowReader *reader)
{
	return tuplestore_gettupleslot(reader->store, true, false, reader->slot);
}

static void
reader_close(RowReader *reader)
{
	ExecDropSingleTupleTableSlot(reader->slot);
}

/* ---- INSERT ---- */

static void
rate_new_rows(TriggerData *trigdata, Rating *rating)
{
	MemoryContext statement = CurrentMemoryContext;
	MemoryContext context = NULL;
	RowReader	reader;
	UsageRow	row;

	/*
	 * A row that comes from a file is allocated where we stand, and freed
	 * when the next one is read: it must not be in what is reset meanwhile.
	 * The first row, mostly the only one, is worked out in the statement's
	 * memory.
	 */
	reader_open(&reader, trigdata, trigdata->tg_newtable);
	for (int n = 0; reader_next(&reader); n++)
	{
		if (n == 1)
			context = AllocSetContextCreate(statement, "billadj row", ALLOCSET_DEFAULT_SIZES);
		if (n > 0)
			MemoryContextSwitchTo(context);
		CHECK_FOR_INTERRUPTS();
		bj_usagerow_read(rating->binding, reader.slot, &row);
		bj_rating_add(rating, &row, "usage");
		MemoryContextSwitchTo(statement);
		if (n > 0)
			MemoryContextReset(context);
	}
	reader_close(&reader);
	if (context != NULL)
		MemoryContextDelete(context);
}

/* The executor calls a trigger in memory that it frees afterwards. */
static void
rate_statement(TriggerData *trigdata, void (*work) (TriggerData *, Rating *))
{
	Rating		rating;

	if (begin(trigdata, &rating))
	{
		work(trigdata, &rating);
		bj_rating_end(&rating);
	}
}

PG_FUNCTION_INFO_V1(billadj_usage_insert_trigger);
Datum
billadj_usage_insert_trigger(PG_FUNCTION_ARGS)
{
	rate_statement(trigger_data(fcinfo, "usage_insert_trigger"), rate_new_rows);
	return PointerGetDatum(NULL);
}

/* ---- UPDATE and DELETE ---- */

/* A host row before and after; either may be absent. */
typedef struct Change
{
	struct Change *next;		/* of the same event key */
	bool		has_old;
	bool		has_new;
	bool		parked;			/* something of it was parked */
	UsageRow	old_row;
	UsageRow	new_row;
} Change;

typedef struct Changes
{
	struct strhash_hash *by_key;	/* Change by event key */
	Change	  **changes;
	int			n;
	int			room;
	bool		deleted;		/* by a DELETE: nothing comes instead */
	ParkedKeyless *keyless;		/* read when the first is met */
} Changes;

static Change *
change_new(Changes *c)
{
	if (c->n == c->room)
	{
		c->room *= 2;
		c->changes = repalloc_huge(c->changes, c->room * sizeof(Change *));
	}
	return c->changes[c->n++] = palloc0(sizeof(Change));
}

static void
changes_read_old(TriggerData *trigdata, Rating *rating, Changes *c)
{
	RowReader	reader;

	reader_open(&reader, trigdata, trigdata->tg_oldtable);
	while (reader_next(&reader))
	{
		Change	   *change = change_new(c);
		Change	   *same;

		change->has_old = true;
		bj_usagerow_read(rating->binding, reader.slot, &change->old_row);
		bj_usagerow_keep(&change->old_row);
		if (change->old_row.event_key.length < 0)
			continue;
		same = strhash_get(c->by_key, change->old_row.event_key.data,
						   change->old_row.event_key.length, 0);
		change->next = same;
		strhash_put(c->by_key, change->old_row.event_key.data,
					change->old_row.event_key.length, 0, change);
	}
	reader_close(&reader);
}

/*
 * New rows meet old ones by event key, never by position: an UPDATE that
 * changes a key is a deletion and an insertion.
 */
static void
changes_read_new(TriggerData *trigdata, Rating *rating, Changes *c)
{
	RowReader	reader;

	reader_open(&reader, trigdata, trigdata->tg_newtable);
	while (reader_next(&reader))
	{
		UsageRow	row;
		Change	   *change = NULL;

		bj_usagerow_read(rating->binding, reader.slot, &row);
		if (row.event_key.length >= 0)
			change = strhash_get(c->by_key, row.event_key.data, row.event_key.length, 0);
		while (change != NULL && change->has_new)
			change = change->next;
		if (change == NULL)
			change = change_new(c);
		bj_usagerow_keep(&row);
		change->new_row = row;
		change->has_new = true;
	}
	reader_close(&reader);
}

static void
claim_keyless(Rating *rating, Changes *c, const UsageRow *old_row)
{
	if (c->keyless == NULL)
		c->keyless = bj_parked_keyless(rating->binding->attachment_id);
	bj_parked_keyless_claim(c->keyless, old_row, c->deleted ? "deleted" : "replaced");
}

/*
 * Leaves only the changes that mean something to rating, and settles what was
 * parked of their old rows: before the charges are looked for, since a retry
 * that we wait for may have rated them.
 */
static void
changes_filter(Rating *rating, Changes *c)
{
	int			n = 0;

	for (int i = 0; i < c->n; i++)
	{
		Change	   *change = c->changes[i];

		if (change->has_old && change->has_new &&
			bj_usagerow_equal(&change->old_row, &change->new_row))
			continue;
		if (change->has_old && change->old_row.event_key.length < 0)
			claim_keyless(rating, c, &change->old_row);
		else if (change->has_old)
			change->parked = bj_parked_claim(rating->binding->attachment_id,
											 change->old_row.event_key,
											 change->has_new ? "replaced" : "deleted") > 0;
		c->changes[n++] = change;
	}
	c->n = n;
}

/*
 * Keeps out who rates the accounts' usage anew.  One that we waited for has
 * changed a timeline: the rows are placed by that.
 */
static void
changes_protect(Changes *c)
{
	if (!bj_subperiods_any())
		return;
	for (int i = 0; i < c->n; i++)
		if (c->changes[i]->has_old)
			bj_usagelock_share(c->changes[i]->old_row.account);
	if (bj_prices_begin() != NULL || bj_subperiods_begin() != NULL)
	{
		bj_rating_warn("the tables of billadj were changed meanwhile");
		c->n = 0;
	}
	for (int i = 0; i < c->n; i++)
	{
		if (c->changes[i]->has_old)
			bj_usagerow_place(&c->changes[i]->old_row);
		if (c->changes[i]->has_new)
			bj_usagerow_place(&c->changes[i]->new_row);
	}
}

static ChargedRow *
changes_find_charges(Rating *rating, Changes *c)
{
	ChargedRow *rows = palloc_extended(Max(c->n, 1) * sizeof(ChargedRow),
									   MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	ChargedRow *wanted = palloc_extended(Max(c->n, 1) * sizeof(ChargedRow),
										 MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	struct strhash_hash *seen = strhash_create(CurrentMemoryContext, c->n + 1, NULL);
	int		   *place = palloc_extended(Max(c->n, 1) * sizeof(int), MCXT_ALLOC_HUGE);
	int			n = 0;
	BjStatus	status;

	for (int i = 0; i < c->n; i++)
	{
		UsageRow   *old = &c->changes[i]->old_row;

		place[i] = -1;
		if (!c->changes[i]->has_old || old->event_key.length < 0 ||
			strhash_get(seen, old->event_key.data, old->event_key.length, 0) != NULL)
			continue;
		strhash_put(seen, old->event_key.data, old->event_key.length, 0, old);
		place[i] = n;
		wanted[n].event_key = old->event_key;
		wanted[n].has_at = old->fault.sqlstate == 0;
		wanted[n++].period_start = bj_usagerow_likely_period(old);
	}
	status = n > 0 ? bj_charges_find(rating->binding->book, rating->binding->attachment_id, wanted, n) : BJ_OK;
	if (status != BJ_OK)
		bj_check(status);
	for (int i = 0; i < c->n; i++)
		if (place[i] >= 0)
			rows[i] = wanted[place[i]];
	return rows;
}

/*
 * A row that was neither charged nor parked is a gap: it stays one, with its
 * new values, until backfill() rates it.
 */
static void
charge_change(Rating *rating, Change *change, ChargedRow *was)
{
	if (!change->has_old)
		bj_rating_add(rating, &change->new_row, "usage");
	else if (was->found || change->parked)
		bj_rating_change(rating, was, change->has_new ? &change->new_row : NULL);
}

static void
rate_changes(TriggerData *trigdata, Rating *rating)
{
	Changes		c;
	ChargedRow *was;

	c.by_key = strhash_create(CurrentMemoryContext, 64, NULL);
	c.n = 0;
	c.room = 64;
	c.deleted = trigdata->tg_newtable == NULL;
	c.keyless = NULL;
	c.changes = palloc(c.room * sizeof(Change *));
	changes_read_old(trigdata, rating, &c);
	if (trigdata->tg_newtable != NULL)
		changes_read_new(trigdata, rating, &c);
	changes_filter(rating, &c);
	changes_protect(&c);
	was = changes_find_charges(rating, &c);
	for (int i = 0; i < c.n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		charge_change(rating, c.changes[i], &was[i]);
	}
}

PG_FUNCTION_INFO_V1(billadj_usage_update_trigger);
Datum
billadj_usage_update_trigger(PG_FUNCTION_ARGS)
{
	rate_statement(trigger_data(fcinfo, "usage_update_trigger"), rate_changes);
	return PointerGetDatum(NULL);
}

PG_FUNCTION_INFO_V1(billadj_usage_delete_trigger);
Datum
billadj_usage_delete_trigger(PG_FUNCTION_ARGS)
{
	rate_statement(trigger_data(fcinfo, "usage_delete_trigger"), rate_changes);
	return PointerGetDatum(NULL);
}

/* ---- TRUNCATE ---- */

/*
 * No transition table tells what is truncated, so no difference can be
 * charged: the charges would stay and the usage be gone.
 */
PG_FUNCTION_INFO_V1(billadj_usage_truncate_trigger);
Datum
billadj_usage_truncate_trigger(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = trigger_data(fcinfo, "usage_truncate_trigger");
	const char *name = RelationGetRelationName(trigdata->tg_relation);
	const Binding *binding;

	if (!bj_enabled || bj_taken_verbatim())
		return PointerGetDatum(NULL);
	binding = bj_binding_get(trigdata->tg_relation, trigger_attachment(trigdata));
	if (binding != NULL && binding->active)
		ereport(ERROR,
				(errcode(ERRCODE_BJ_TRUNCATE),
				 errmsg("TRUNCATE of \"%s\" is refused: its usage is charged", name),
				 errdetail("The charges would stay and the usage be gone."),
				 errhint("DELETE takes the charges back; SELECT * FROM billadj.pause(%s) leaves them as they are.",
						 bj_relation_literal(trigdata->tg_relation))));
	return PointerGetDatum(NULL);
}
