/*
 * backfill.c
 *	  Store: reads host rows and parked rows that are to be rated afterwards.
 *
 * What is read here runs through rating.c like any new row.  Each of these
 * functions works within the caller's transaction; the procedure
 * billadj.backfill() commits between batches.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_type.h"
#include "commands/dbcommands.h"
#include "executor/spi.h"
#include "executor/tuptable.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/reltrigger.h"
#include "utils/rel.h"

#include "binding.h"
#include "core/rate.h"
#include "compat.h"
#include "errors.h"
#include "parked.h"
#include "rating.h"
#include "settings.h"
#include "usagelock.h"

/* Does the table carry the triggers of the attachment? */
static bool
is_attached(Relation rel, int64 attachment_id)
{
	char		argument[MAXINT8LEN + 1];
	TriggerDesc *triggers = rel->trigdesc;

	pg_lltoa(attachment_id, argument);
	for (int i = 0; triggers != NULL && i < triggers->numtriggers; i++)
	{
		Trigger    *t = &triggers->triggers[i];
		char	   *function = get_func_name(t->tgfoid);

		if (t->tgnargs == 1 && strcmp(t->tgargs[0], argument) == 0 &&
			function != NULL && strcmp(function, "usage_insert_trigger") == 0)
			return true;
	}
	return false;
}

static const Binding *
binding_for(Relation rel, int64 attachment_id)
{
	const Binding *binding;

	if (!is_attached(rel, attachment_id))
		ereport(ERROR,
				(errcode(ERRCODE_BJ_NOT_ATTACHED),
				 errmsg("table \"%s\" does not have the triggers of attachment %lld",
						RelationGetRelationName(rel), (long long) attachment_id),
				 errhint("Run SELECT * FROM billadj.self_check().")));
	if (!bj_enabled)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("billadj.enabled is off: nothing is rated"),
				 errhint("SET billadj.enabled = on;")));
	binding = bj_binding_get(rel, attachment_id);
	if (binding == NULL || !binding->active)
		ereport(ERROR,
				(errcode(ERRCODE_BJ_NOT_ATTACHED),
				 errmsg("the attachment of table \"%s\" is not active", RelationGetRelationName(rel)),
				 errhint("SELECT * FROM billadj.resume(%s);", bj_relation_literal(rel))));
	return binding;
}

/* A whole-row value as a slot of its relation. */
static void
slot_from_record(TupleTableSlot *slot, Datum record)
{
	HeapTupleHeader header = DatumGetHeapTupleHeader(record);
	HeapTupleData tuple;

	tuple.t_len = HeapTupleHeaderGetDatumLength(header);
	ItemPointerSetInvalid(&tuple.t_self);
	tuple.t_tableOid = InvalidOid;
	tuple.t_data = header;
	ExecForceStoreHeapTuple(heap_copytuple(&tuple), slot, false);
}

/*
 * Was the measure (NULL: any) charged for this row?  now: and not taken back
 * since.
 */
static bool
is_charged(const ChargedRow *row, const char *measure, bool now)
{
	for (ChargedPart *part = row->parts; part != NULL; part = part->next)
		if ((!now || part->rows > 0) &&
			(measure == NULL || (part->measure.length == strlen(measure) &&
								 memcmp(part->measure.data, measure, part->measure.length) == 0)))
			return true;
	return false;
}

/* Was any measure of the row ever charged? */
static const char *
gap_cause(const UsageRow *row, const ChargedRow *charged)
{
	for (int i = 0; i < row->nmeasures; i++)
		if (is_charged(charged, row->measures[i].bound->measure, false))
			return "update";
	return "backfill";
}

/*
 * How many measures of the row are not charged.  Under a broken mapping they
 * have no names: then all of them or none.
 */
static int
count_gaps(const UsageRow *row, const ChargedRow *charged)
{
	int			n = 0;

	if (row->whole != NULL)
		return is_charged(charged, NULL, true) ? 0 : row->nmeasures;
	for (int i = 0; i < row->nmeasures; i++)
		n += !is_charged(charged, row->measures[i].bound->measure, true);
	return n;
}

/* ---- streams that are to be learned afterwards ---- */

/*
 * Which streams were charged rows they never had.  Each stands here once for each
 * run of its rows; the table keeps it once.
 */
typedef struct ToLearn
{
	bool		wanted;
	ArrayBuildState *accounts;
	ArrayBuildState *meters;
	KeyText		account;		/* the last of them */
	KeyText		meter;
} ToLearn;

static void
note_stream(ToLearn *to_learn, KeyText account, KeyText meter)
{
	if (meter.length < 0 ||
		(to_learn->accounts != NULL && bj_key_equal(to_learn->account, account) &&
		 bj_key_equal(to_learn->meter, meter)))
		return;
	to_learn->account = account;
	to_learn->meter = meter;
	to_learn->accounts = accumArrayResult(to_learn->accounts,
										  PointerGetDatum(cstring_to_text_with_len(account.data, account.length)),
										  false, TEXTOID, CurrentMemoryContext);
	to_learn->meters = accumArrayResult(to_learn->meters,
										PointerGetDatum(cstring_to_text_with_len(meter.data, meter.length)),
										false, TEXTOID, CurrentMemoryContext);
}

/* One whose rows turn out to be parked is learned from what it has. */
static void
note_row(ToLearn *to_learn, const UsageRow *row)
{
	if (!to_learn->wanted || row->fault.sqlstate != 0)
		return;
	for (int i = 0; i < row->nmeasures; i++)
		if (row->measures[i].fault.sqlstate == 0)
			note_stream(to_learn, row->account, row->measures[i].meter);
}

static const char *const insert_streams =
"INSERT INTO billadj.backfill_stream (attachment_id, account, meter)"
" SELECT DISTINCT $1, s.account COLLATE \"C\", s.meter COLLATE \"C\""
"  FROM ROWS FROM (pg_catalog.unnest($2), pg_catalog.unnest($3)) AS s(account, meter) ORDER BY 2, 3"
" ON CONFLICT ON CONSTRAINT backfill_stream_pkey DO NOTHING";

static void execute_as_owner(const char *query, int nargs, Oid *types, Datum *values,
							 const char *nulls, int expected);

static void
keep_streams(const ToLearn *to_learn, int64 attachment_id)
{
	Oid			types[3] = {INT8OID, TEXTARRAYOID, TEXTARRAYOID};
	Datum		values[3];

	if (to_learn->accounts == NULL)
		return;
	values[0] = Int64GetDatum(attachment_id);
	values[1] = makeArrayResult(to_learn->accounts, CurrentMemoryContext);
	values[2] = makeArrayResult(to_learn->meters, CurrentMemoryContext);
	execute_as_owner(insert_streams, 3, types, values, NULL, SPI_OK_INSERT);
}

/* ---- host rows ---- */

typedef struct HostRows
{
	UsageRow   *rows;
	uint64		n;
} HostRows;

/*
 * FOR SHARE: nobody changes or removes these rows until the batch commits, so
 * what is charged is what they hold.  The whole row by its type: a name alone
 * would be a column of the host's that is called so.
 */
static void
read_blocks(Relation rel, const Binding *binding, int64 from, int64 to, HostRows *host)
{
	MemoryContext caller = CurrentMemoryContext;
	TupleTableSlot *slot = MakeSingleTupleTableSlot(RelationGetDescr(rel), &TTSOpsHeapTuple);
	const char *name = quote_qualified_identifier(get_namespace_name(RelationGetNamespace(rel)),
												  RelationGetRelationName(rel));
	char	   *query = psprintf("SELECT (t.*)::%s FROM ONLY %s t WHERE t.ctid >= '(%lld,0)' AND t.ctid < '(%lld,0)' FOR SHARE",
								 name, name, (long long) from, (long long) to);

	if (SPI_execute(query, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read host rows: %s", query);
	host->rows = MemoryContextAllocExtended(caller, Max(SPI_processed, 1) * sizeof(UsageRow),
											MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	host->n = SPI_processed;
	MemoryContextSwitchTo(caller);
	for (uint64 i = 0; i < host->n; i++)
	{
		bool		isnull;

		slot_from_record(slot, SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull));
		bj_usagerow_read(binding, slot, &host->rows[i]);
		bj_usagerow_keep(&host->rows[i]);
	}
	ExecDropSingleTupleTableSlot(slot);
}

/* Is what was charged for a measure what the row says now? */
static bool
measure_changed(const UsageRow *row, const UsageMeasure *m, const ChargedRow *charged)
{
	const char *measure = m->bound->measure;

	for (ChargedPart *part = charged->parts; part != NULL; part = part->next)
	{
		const CatalogPrice *price;
		Decimal		counted;

		if (part->rows <= 0 || part->measure.length != strlen(measure) ||
			memcmp(part->measure.data, measure, part->measure.length) != 0)
			continue;
		price = bj_prices_by_id(part->price_id);
		if (row->fault.sqlstate != 0 || m->fault.sqlstate != 0 ||
			!bj_key_equal(part->account, row->account) ||
			!bj_key_equal(part->meter, m->meter) ||
			part->period_start != m->period_start || price == NULL ||
			bj_rate_quantity(&price->price, m->quantity, &counted) != BJ_OK ||
			bj_decimal_compare(counted, part->quantity) != 0)
			return true;
	}
	return false;
}

/*
 * A row that was changed while nothing was rated: paused, switched off, as a
 * replica.  Another price alone is no change of the row.
 */
static bool
row_changed(const UsageRow *row, const ChargedRow *charged)
{
	if (row->whole != NULL)
		return false;
	for (int i = 0; i < row->nmeasures; i++)
		if (measure_changed(row, &row->measures[i], charged))
			return true;
	return false;
}

/* Is it usage of a period whose charges are kept no longer? */
static bool
charges_have_left(const UsageRow *row)
{
	for (int i = 0; i < row->nmeasures; i++)
		if (row->fault.sqlstate == 0 &&
			row->measures[i].period_start < bj_prices_charges_from())
			return true;
	return false;
}

/*
 * Rates a row that is neither charged nor parked, and charges the difference
 * where it is not what was charged.  A row of which only some measures are
 * charged, since remap() gave it more, is taken as a changed one: it may be
 * rounded as a whole.
 */
static void
rate_gap(Rating *rating, ParkedKeyless *keyless, UsageRow *row, ChargedRow *charged,
		 ToLearn *to_learn)
{
	int			gaps = count_gaps(row, charged);
	int64		id = rating->binding->attachment_id;

	if (gaps == row->nmeasures && charges_have_left(row))
		return;
	if (row_changed(row, charged))
	{
		bj_parked_claim(id, charged->event_key, "replaced");
		bj_rating_change(rating, charged, row);
	}
	else if (gaps == 0 || bj_parked_has(id, charged->event_key))
		return;
	else if (gaps < row->nmeasures)
	{
		bj_rating_change(rating, charged, row);
		note_row(to_learn, row);
	}
	else
	{
		/* parked before it had a key, perhaps */
		bj_parked_keyless_claim(keyless, row, "replaced");
		bj_rating_add(rating, row, gap_cause(row, charged));
		note_row(to_learn, row);
	}
}

/* Rows without a key are left: there is no way to know them again. */
static void
rate_gaps(Rating *rating, HostRows *host, ToLearn *to_learn)
{
	ChargedRow *wanted = palloc_extended(Max(host->n, 1) * sizeof(ChargedRow),
										 MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	ParkedKeyless *keyless = bj_parked_keyless(rating->binding->attachment_id);
	int			n = 0;

	for (uint64 i = 0; i < host->n; i++)
	{
		if (host->rows[i].event_key.length < 0)
			continue;
		wanted[n].event_key = host->rows[i].event_key;
		wanted[n].has_at = host->rows[i].fault.sqlstate == 0;
		wanted[n++].period_start = bj_usagerow_likely_period(&host->rows[i]);
	}
	bj_usagelock_share_all();
	if (n > 0)
		bj_check(bj_charges_find(rating->binding->book, rating->binding->attachment_id, wanted, n));
	n = 0;
	for (uint64 i = 0; i < host->n; i++)
		if (host->rows[i].event_key.length >= 0)
			rate_gap(rating, keyless, &host->rows[i], &wanted[n++], to_learn);
}

/*
 * billadj.rate_blocks(relation regclass, attachment_id bigint, from_block bigint,
 *   to_block bigint, learn boolean, OUT rows_seen bigint, OUT charges bigint,
 *   OUT parked bigint)
 */
PG_FUNCTION_INFO_V1(billadj_rate_blocks);
Datum
billadj_rate_blocks(PG_FUNCTION_ARGS)
{
	Oid			relid = PG_GETARG_OID(0);
	Relation	rel;
	Rating		rating;
	HostRows	host;
	ToLearn		to_learn = {0};
	TupleDesc	desc;
	Datum		values[3];
	bool		nulls[3] = {false, false, false};

	if (!bj_compat_owns_table(relid, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_TABLE, get_rel_name(relid));
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");

	/* conflicts with itself, but with no INSERT, UPDATE or DELETE */
	rel = table_open(relid, ShareUpdateExclusiveLock);
	SPI_connect();
	if (!bj_rating_begin(&rating, binding_for(rel, PG_GETARG_INT64(1))))
		ereport(ERROR,
				(errcode(ERRCODE_BJ_NOT_INSTALLED),
				 errmsg("the tables of billadj are not usable"),
				 errhint("Run SELECT * FROM billadj.self_check().")));
	rating.first_cause = "backfill";
	/* these rows come in the order of blocks: no order to learn or to judge by */
	rating.detect = false;
	to_learn.wanted = PG_GETARG_BOOL(4) && rating.binding->book == BJ_BOOK_BILLED;
	read_blocks(rel, rating.binding, PG_GETARG_INT64(2), PG_GETARG_INT64(3), &host);
	rate_gaps(&rating, &host, &to_learn);
	bj_rating_end(&rating);
	keep_streams(&to_learn, rating.binding->attachment_id);
	SPI_finish();
	table_close(rel, NoLock);

	values[0] = Int64GetDatum((int64) host.n);
	values[1] = Int64GetDatum(rating.rated);
	values[2] = Int64GetDatum(rating.parked);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}

/* ---- rows that are gone ---- */

/*
 * billadj.reverse_rows(relation regclass, attachment_id bigint, event_keys text[])
 *   → bigint: takes back what these rows, which are gone, were charged.
 */
PG_FUNCTION_INFO_V1(billadj_reverse_rows);
Datum
billadj_reverse_rows(PG_FUNCTION_ARGS)
{
	Relation	rel = table_open(PG_GETARG_OID(0), AccessShareLock);
	Rating		rating;
	ChargedRow *charged;
	Datum	   *keys;
	int			n;

	deconstruct_array(PG_GETARG_ARRAYTYPE_P(2), TEXTOID, -1, false, TYPALIGN_INT, &keys, NULL, &n);
	if (!bj_rating_begin(&rating, binding_for(rel, PG_GETARG_INT64(1))))
		ereport(ERROR,
				(errcode(ERRCODE_BJ_NOT_INSTALLED),
				 errmsg("the tables of billadj are not usable"),
				 errhint("Run SELECT * FROM billadj.self_check().")));
	charged = palloc_extended(Max(n, 1) * sizeof(ChargedRow), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	for (int i = 0; i < n; i++)
	{
		char	   *key = TextDatumGetCString(keys[i]);

		charged[i].event_key = bj_key_from_string(key, strlen(key));
	}
	bj_usagelock_share_all();
	bj_check(bj_charges_find(rating.binding->book, rating.binding->attachment_id, charged, n));
	for (int i = 0; i < n; i++)
	{
		bj_parked_claim(rating.binding->attachment_id, charged[i].event_key, "deleted");
		bj_rating_change(&rating, &charged[i], NULL);
	}
	bj_rating_end(&rating);
	table_close(rel, AccessShareLock);
	PG_RETURN_INT64(rating.rated);
}

/* ---- parked rows ---- */

/* One row of parked_usage, locked by this transaction. */
typedef struct Parked
{
	Datum		ctid;
	KeyText		event_key;
	char	   *measure;
	Jsonb	   *mapped;
	Fault		fault;			/* of the retry */
} Parked;

/*
 * The least tried first: with a limit, rows that nothing mends would keep the
 * others from being tried at all.
 */
static const char *const select_parked =
"SELECT p.ctid, p.event_key, p.measure, p.mapped"
"  FROM billadj.parked_usage p"
" WHERE p.attachment_id OPERATOR(pg_catalog.=) $1 AND p.resolved_at IS NULL"
"   AND p.event_key OPERATOR(pg_catalog.=) ANY (ARRAY("
"       SELECT q.event_key FROM billadj.parked_usage q"
"        WHERE q.attachment_id OPERATOR(pg_catalog.=) $1 AND q.resolved_at IS NULL AND q.event_key IS NOT NULL"
"        GROUP BY q.event_key"
"        ORDER BY pg_catalog.min(q.attempts), q.event_key LIMIT $2))"
" ORDER BY p.event_key, p.measure, p.parked_at"
"   FOR UPDATE SKIP LOCKED";

static const char *const update_parked =
"UPDATE billadj.parked_usage p"
"   SET attempts = p.attempts OPERATOR(pg_catalog.+) 1,"
"       sqlstate = coalesce($2, p.sqlstate), message = coalesce($3, p.message),"
"       hint = CASE WHEN $2 IS NULL THEN p.hint ELSE $4 END,"
"       resolved_at = CASE WHEN $2 IS NULL THEN pg_catalog.clock_timestamp() END,"
"       resolution = CASE WHEN $2 IS NULL THEN 'charged' END"
" WHERE p.ctid OPERATOR(pg_catalog.=) $1";

/* parked_usage is read and written as its owner, whoever calls. */
static void
execute_as_owner(const char *query, int nargs, Oid *types, Datum *values, const char *nulls, int expected)
{
	Oid			user;
	int			context;
	int			result;

	GetUserIdAndSecContext(&user, &context);
	SetUserIdAndSecContext(get_role_oid("billadj_owner", false),
						   context | SECURITY_LOCAL_USERID_CHANGE);
	result = SPI_execute_with_args(query, nargs, types, values, nulls, false, 0);
	SetUserIdAndSecContext(user, context);
	if (result != expected)
		elog(ERROR, "unexpected result %d of %s", result, query);
}

static Parked *
read_parked(int64 attachment_id, int64 max, uint64 *n)
{
	MemoryContext caller = CurrentMemoryContext;
	Oid			types[2] = {INT8OID, INT8OID};
	Datum		values[2] = {Int64GetDatum(attachment_id), Int64GetDatum(max)};
	Parked	   *parked;

	execute_as_owner(select_parked, 2, types, values, max > 0 ? "  " : " n", SPI_OK_SELECT);
	MemoryContextSwitchTo(caller);
	*n = SPI_processed;
	parked = palloc_extended(Max(*n, 1) * sizeof(Parked), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	for (uint64 i = 0; i < *n; i++)
	{
		HeapTuple	tuple = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		bool		isnull;
		char	   *key = TextDatumGetCString(SPI_getbinval(tuple, desc, 2, &isnull));

		parked[i].ctid = datumCopy(SPI_getbinval(tuple, desc, 1, &isnull), false, sizeof(ItemPointerData));
		parked[i].event_key = bj_key_from_string(key, strlen(key));
		parked[i].measure = TextDatumGetCString(SPI_getbinval(tuple, desc, 3, &isnull));
		parked[i].mapped = DatumGetJsonbPCopy(SPI_getbinval(tuple, desc, 4, &isnull));
	}
	return parked;
}

static void
write_parked(const Parked *p)
{
	Oid			types[4] = {TIDOID, TEXTOID, TEXTOID, TEXTOID};
	Datum		values[4] = {p->ctid, (Datum) 0, (Datum) 0, (Datum) 0};
	char		nulls[4] = {' ', 'n', 'n', 'n'};

	if (p->fault.sqlstate != 0)
	{
		values[1] = CStringGetTextDatum(unpack_sql_state(p->fault.sqlstate));
		values[2] = CStringGetTextDatum(p->fault.message);
		nulls[1] = nulls[2] = ' ';
		if (p->fault.hint != NULL)
		{
			values[3] = CStringGetTextDatum(p->fault.hint);
			nulls[3] = ' ';
		}
	}
	execute_as_owner(update_parked, 4, types, values, nulls, SPI_OK_UPDATE);
}

/* A row that was parked under a broken mapping, read again by the new one. */
static void
read_whole(Relation rel, const Binding *binding, Jsonb *mapped, UsageRow *row)
{
	MemoryContext caller = CurrentMemoryContext;
	TupleTableSlot *slot = MakeSingleTupleTableSlot(RelationGetDescr(rel), &TTSOpsHeapTuple);
	char	   *query = psprintf("SELECT pg_catalog.jsonb_populate_record(NULL::%s, $1 OPERATOR(pg_catalog.->) 'row')",
								 quote_qualified_identifier(get_namespace_name(RelationGetNamespace(rel)),
															RelationGetRelationName(rel)));
	Oid			types[1] = {JSONBOID};
	Datum		values[1] = {JsonbPGetDatum(mapped)};
	bool		isnull;

	if (SPI_execute_with_args(query, 1, types, values, NULL, true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read a parked row: %s", query);
	MemoryContextSwitchTo(caller);
	slot_from_record(slot, SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	bj_usagerow_read(binding, slot, row);
	bj_usagerow_keep(row);
	ExecDropSingleTupleTableSlot(slot);
}

/* The usage row that n parked rows of one event key came from. */
static void
row_of_parked(Relation rel, const Binding *binding, Parked *parked, int n, UsageRow *row)
{
	if (!bj_usagerow_from_mapped(binding, parked[0].mapped, parked[0].measure, row))
		read_whole(rel, binding, parked[0].mapped, row);
	else
	{
		for (int i = 1; i < n; i++)
		{
			UsageRow	other;

			if (bj_usagerow_from_mapped(binding, parked[i].mapped, parked[i].measure, &other))
				bj_usagerow_join(row, &other);
		}
	}
	row->event_key = parked[0].event_key;
}

/*
 * The faults of the row's measures, handed to the rows they were parked in.
 * A measure that a mended mapping added has none yet.
 */
static void
hand_faults(Rating *rating, const UsageRow *row, const Fault *faults, Parked *parked, int n)
{
	for (int i = 0; i < row->nmeasures; i++)
	{
		bool		has_row = faults[i].sqlstate == 0;

		for (int p = 0; p < n && !has_row; p++)
			has_row = parked[p].measure[0] == '\0' ||
				strcmp(row->measures[i].bound->measure, parked[p].measure) == 0;
		if (!has_row && bj_parked_add(row, &row->measures[i], &faults[i]))
			rating->parked++;
	}
	for (int p = 0; p < n; p++)
	{
		bool		seen = false;

		for (int i = 0; i < row->nmeasures; i++)
		{
			if (parked[p].measure[0] != '\0' &&
				strcmp(row->measures[i].bound->measure, parked[p].measure) != 0)
				continue;
			seen = true;
			if (faults[i].sqlstate != 0)
				parked[p].fault = faults[i];
		}
		if (!seen)
			bj_fault_set(&parked[p].fault, ERRCODE_BJ_BAD_MAPPING,
						 psprintf("the attachment has no measure \"%s\"", parked[p].measure),
						 "Give it one with billadj.remap().");
	}
}

static void
retry_event(Rating *rating, Relation rel, Parked *parked, int n)
{
	UsageRow	row;
	ChargedRow	charged = {0};
	Fault	   *faults;

	row_of_parked(rel, rating->binding, parked, n, &row);
	faults = palloc0(row.nmeasures * sizeof(Fault));
	charged.event_key = row.event_key;
	charged.has_at = row.fault.sqlstate == 0;
	charged.period_start = bj_usagerow_likely_period(&row);
	bj_usagelock_share(row.account);
	bj_check(bj_charges_find(rating->binding->book, rating->binding->attachment_id, &charged, 1));
	bj_rating_retry(rating, &charged, &row, faults);
	hand_faults(rating, &row, faults, parked, n);
}

/*
 * billadj.retry_parked_rows(relation regclass, attachment_id bigint, max bigint,
 *   OUT tried bigint, OUT charged bigint)
 */
PG_FUNCTION_INFO_V1(billadj_retry_parked_rows);
Datum
billadj_retry_parked_rows(PG_FUNCTION_ARGS)
{
	Relation	rel = table_open(PG_GETARG_OID(0), AccessShareLock);
	int64		attachment_id = PG_GETARG_INT64(1);
	Rating		rating;
	Parked	   *parked;
	uint64		n;
	int64		charged = 0;
	TupleDesc	desc;
	Datum		values[2];
	bool		nulls[2] = {false, false};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	SPI_connect();
	if (!bj_rating_begin(&rating, binding_for(rel, attachment_id)))
		ereport(ERROR,
				(errcode(ERRCODE_BJ_NOT_INSTALLED),
				 errmsg("the tables of billadj are not usable"),
				 errhint("Run SELECT * FROM billadj.self_check().")));
	parked = read_parked(attachment_id, PG_GETARG_INT64(2), &n);
	for (uint64 i = 0, next; i < n; i = next)
	{
		for (next = i + 1; next < n && bj_key_equal(parked[i].event_key, parked[next].event_key);)
			next++;
		CHECK_FOR_INTERRUPTS();
		retry_event(&rating, rel, &parked[i], next - i);
	}
	bj_rating_end(&rating);
	for (uint64 i = 0; i < n; i++)
	{
		write_parked(&parked[i]);
		charged += parked[i].fault.sqlstate == 0;
	}
	SPI_finish();
	table_close(rel, AccessShareLock);

	values[0] = Int64GetDatum((int64) n);
	values[1] = Int64GetDatum(charged);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}
