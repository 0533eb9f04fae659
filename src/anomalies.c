/*
 * anomalies.c
 *	  Store: incidents, and what follows from them: holds, proposals, messages.
 *
 * Direct table access, as in tiertotals.c: this runs at commit, under whatever
 * role and isolation level.
 */
#include "postgres.h"

#include <math.h>

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/jsonb.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "anomalies.h"
#include "baselines.h"
#include "compat.h"
#include "errors.h"
#include "jsonpush.h"
#include "numericcodec.h"
#include "tables.h"

enum
{
	ACCOUNT, ANOMALY_ID, METER, OCCURRED_AT, RULE, FAMILY, SCORE, EXPECTED,
	LOWER_BOUND, UPPER_BOUND, OBSERVED, RATIO, UNIT_FACTOR, LAG_HOURS, SINCE,
	LONGEST, DETAIL, DETECTOR_ID, ACTION, CHARGE_ID, PERIOD_START, CURRENCY, EXCESS,
	LAST_EXCESS, LAST_SINCE, MONEY_AT_RISK, MONEY_PROJECTED, ROW_COUNT, LAST_AT,
	PEAK_SCORE, MIN_MONEY, MIN_SHARE, USUAL_BILL, MONEY_NOTIFIED, NOTIFIED_AT, STATE, CLOSES_AT, CLOSED_AT, CLOSED_BECAUSE, TRUSTED,
	CREATED_AT, CREATED_BY, NCOLUMNS
};

static const Column columns[NCOLUMNS] = {
	{"account", TEXTOID, true}, {"anomaly_id", INT8OID, true}, {"meter", TEXTOID, true},
	{"occurred_at", TIMESTAMPTZOID, true}, {"rule", TEXTOID, true}, {"family", TEXTOID, true},
	{"score", FLOAT8OID, true}, {"expected", FLOAT8OID}, {"lower_bound", FLOAT8OID},
	{"upper_bound", FLOAT8OID}, {"observed", FLOAT8OID}, {"ratio", FLOAT8OID},
	{"unit_factor", FLOAT8OID}, {"lag_hours", INT4OID}, {"since", TIMESTAMPTZOID},
	{"longest", FLOAT8OID}, {"detail", JSONBOID}, {"detector_id", INT8OID},
	{"action", TEXTOID, true},
	{"charge_id", INT8OID}, {"period_start", TIMESTAMPTZOID}, {"currency", TEXTOID},
	{"excess", NUMERICOID, true}, {"last_excess", NUMERICOID, true},
	{"last_since", TIMESTAMPTZOID}, {"money_at_risk", NUMERICOID, true},
	{"money_projected", NUMERICOID}, {"row_count", INT8OID, true},
	{"last_at", TIMESTAMPTZOID, true}, {"peak_score", FLOAT8OID, true},
	{"min_money", NUMERICOID}, {"min_share", NUMERICOID}, {"usual_bill", NUMERICOID},
	{"money_notified", NUMERICOID}, {"notified_at", TIMESTAMPTZOID},
	{"state", TEXTOID, true}, {"closes_at", TIMESTAMPTZOID}, {"closed_at", TIMESTAMPTZOID},
	{"closed_because", TEXTOID}, {"trusted", BYTEAOID},
	{"created_at", TIMESTAMPTZOID, true}, {"created_by", TEXTOID, true}
};

static const char *const family_names[] = {
	[BJ_FAMILY_LEVEL] = "level",
	[BJ_FAMILY_CADENCE] = "cadence",
	[BJ_FAMILY_PRICE] = "price",
	[BJ_FAMILY_ROW] = "row",
	[BJ_FAMILY_ACCOUNT] = "account"
};

static const char *const outcome_names[] = {
	[BJ_OUTCOME_OPEN] = "open",
	[BJ_OUTCOME_PASSED] = "passed",
	[BJ_OUTCOME_NEW_NORMAL] = "new_normal",
	[BJ_OUTCOME_JUDGED] = "judged"
};

struct Anomalies
{
	Relation	rel;
	AttrNumber	att[NCOLUMNS];
};

const char *
bj_family_name(BjFamily family)
{
	return family_names[family];
}

const char *
bj_outcome_name(BjOutcome outcome)
{
	return outcome_names[outcome];
}

/* ---- a row as values ---- */

typedef struct Row
{
	Relation	rel;
	const AttrNumber *att;
	Datum	   *values;
	bool	   *isnull;
} Row;

static Row
row_new(Relation rel, const AttrNumber *att)
{
	int			natts = RelationGetNumberOfAttributes(rel);
	Row			row = {rel, att, palloc0(natts * sizeof(Datum)), palloc(natts * sizeof(bool))};

	memset(row.isnull, true, natts * sizeof(bool));
	return row;
}

static void
put(Row *row, int column, Datum value)
{
	row->values[row->att[column] - 1] = value;
	row->isnull[row->att[column] - 1] = false;
}

static void
put_text(Row *row, int column, const char *text)
{
	put(row, column, CStringGetTextDatum(text));
}

static void
put_decimal(Row *row, int column, Decimal value)
{
	put(row, column, bj_numeric_make(value, 0));
}

/* A real that is known: 0 and what is not finite stay NULL. */
static void
put_real(Row *row, int column, double value, bool zero_is_null)
{
	if (isfinite(value) && !(zero_is_null && value == 0))
		put(row, column, Float8GetDatum(value));
}

static void
append(Row *row)
{
	HeapTuple	tuple = heap_form_tuple(RelationGetDescr(row->rel), row->values, row->isnull);

	bj_table_append(row->rel, tuple);
	heap_freetuple(tuple);
}

static char *
login_name(void)
{
	return GetUserNameFromId(GetSessionUserId(), false);
}

/* ---- opening ---- */

Anomalies *
bj_anomalies_open(const char **problem)
{
	Anomalies  *store = palloc0(sizeof(Anomalies));

	store->rel = bj_table_open_columns(BJ_TABLE_ANOMALY, RowExclusiveLock, columns,
									   NCOLUMNS, store->att, problem);
	return store->rel != NULL ? store : NULL;
}

void
bj_anomalies_close(Anomalies *store)
{
	table_close(store->rel, NoLock);
}

/* ---- reading ---- */

typedef struct Fields
{
	HeapTuple	tuple;
	TupleDesc	desc;
	const AttrNumber *att;
} Fields;

static Datum
field(const Fields *f, int column, bool *isnull)
{
	return heap_getattr(f->tuple, f->att[column], f->desc, isnull);
}

static double
real_of(const Fields *f, int column)
{
	bool		isnull;
	Datum		d = field(f, column, &isnull);

	return isnull ? 0 : DatumGetFloat8(d);
}

/* Of a timestamptz too. */
static int64
int64_of(const Fields *f, int column)
{
	bool		isnull;
	Datum		d = field(f, column, &isnull);

	return isnull ? 0 : DatumGetInt64(d);
}

static char *
text_of(const Fields *f, int column)
{
	bool		isnull;
	Datum		d = field(f, column, &isnull);

	return isnull ? NULL : TextDatumGetCString(d);
}

/* 0 where there is none, or none that we can hold. */
static Decimal
decimal_of(const Fields *f, int column)
{
	bool		isnull;
	Datum		d = field(f, column, &isnull);
	Decimal		value = BJ_DECIMAL_ZERO;

	if (!isnull && bj_numeric_read(d, &value) != BJ_OK)
		value = BJ_DECIMAL_ZERO;
	return value;
}

static int
name_index(const char *const *names, int n, const char *name)
{
	for (int i = 0; i < n; i++)
		if (strcmp(names[i], name) == 0)
			return i;
	return -1;
}

static BjIncident *
trusted_of(const Fields *f)
{
	bool		isnull;
	Datum		d = field(f, TRUSTED, &isnull);
	BjIncident *incident;
	bytea	   *bytes;

	if (isnull)
		return NULL;
	bytes = DatumGetByteaPP(d);
	incident = palloc(sizeof(BjIncident));
	return bj_incident_decode((const uint8_t *) VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes),
							  bj_baselines_crc, incident) == BJ_OK ? incident : NULL;
}

/* What is not looked up yet says so in its detail. */
static bool
is_unconfirmed(const Fields *f)
{
	bool		isnull;
	Datum		d = field(f, DETAIL, &isnull);
	Jsonb	   *detail = isnull ? NULL : DatumGetJsonbP(d);
	JsonbValue	value;

	return detail != NULL && JB_ROOT_IS_OBJECT(detail) &&
		getKeyJsonValueFromContainer(&detail->root, BJ_CONFIRMED, strlen(BJ_CONFIRMED), &value) != NULL &&
		value.type == jbvBool && !value.val.boolean;
}

static Anomaly *
anomaly_of(const Fields *f, KeyText account, KeyText meter)
{
	Anomaly    *a = palloc0(sizeof(Anomaly));
	char	   *currency = text_of(f, CURRENCY);
	bool		isnull;

	a->account = account;
	a->meter = meter;
	a->anomaly_id = int64_of(f, ANOMALY_ID);
	a->occurred_at = int64_of(f, OCCURRED_AT);
	a->rule = text_of(f, RULE);
	a->family = (BjFamily) name_index(family_names, lengthof(family_names), text_of(f, FAMILY));
	a->score = real_of(f, SCORE);
	a->since = int64_of(f, SINCE);
	a->detector_id = int64_of(f, DETECTOR_ID);
	a->charge_id = int64_of(f, CHARGE_ID);
	a->period_start = int64_of(f, PERIOD_START);
	strlcpy(a->currency, currency ? currency : "", sizeof(a->currency));
	a->excess = decimal_of(f, EXCESS);
	a->last_excess = decimal_of(f, LAST_EXCESS);
	a->last_since = int64_of(f, LAST_SINCE);
	field(f, MONEY_PROJECTED, &isnull);
	a->has_projected = !isnull;
	a->projected = decimal_of(f, MONEY_PROJECTED);
	a->rows = int64_of(f, ROW_COUNT);
	a->last_at = int64_of(f, LAST_AT);
	a->peak_score = real_of(f, PEAK_SCORE);
	a->notified_at = int64_of(f, NOTIFIED_AT);
	field(f, NOTIFIED_AT, &isnull);
	a->notified = !isnull;
	a->money_notified = decimal_of(f, MONEY_NOTIFIED);
	a->closes_at = int64_of(f, CLOSES_AT);
	a->trusted = trusted_of(f);
	a->unconfirmed = is_unconfirmed(f);
	a->version = heap_copytuple(f->tuple);
	return a;
}

/* The partial index of the open ones; a look at its columns is enough. */
static Oid
open_index(Anomalies *store)
{
	List	   *indexes = RelationGetIndexList(store->rel);
	ListCell   *cell;
	Oid			found = InvalidOid;

	foreach(cell, indexes)
	{
		Relation	index = index_open(lfirst_oid(cell), AccessShareLock);

		if (index->rd_index->indisvalid && index->rd_index->indnkeyatts == 2 &&
			index->rd_index->indkey.values[0] == store->att[ACCOUNT] &&
			index->rd_index->indkey.values[1] == store->att[METER])
			found = RelationGetRelid(index);
		index_close(index, AccessShareLock);
	}
	list_free(indexes);
	return found;
}

static void
text_key(ScanKey key, AttrNumber att, KeyText text)
{
	ScanKeyEntryInitialize(key, 0, att, BTEqualStrategyNumber, InvalidOid,
						   C_COLLATION_OID, F_TEXTEQ, text.datum);
}

List *
bj_anomalies_open_of(Anomalies *store, KeyText account, KeyText meter)
{
	Fields		f = {NULL, RelationGetDescr(store->rel), store->att};
	Oid			index = open_index(store);
	List	   *found = NIL;
	ScanKeyData keys[2];
	SysScanDesc scan;

	text_key(&keys[0], store->att[ACCOUNT], account);
	text_key(&keys[1], store->att[METER], meter);
	scan = systable_beginscan(store->rel, index, OidIsValid(index), SnapshotSelf, 2, keys);
	while ((f.tuple = systable_getnext(scan)) != NULL)
	{
		bool		open;

		field(&f, CLOSED_AT, &open);
		if (open && name_index(family_names, lengthof(family_names), text_of(&f, FAMILY)) >= 0)
			found = lappend(found, anomaly_of(&f, account, meter));
	}
	systable_endscan(scan);
	return found;
}

int
bj_anomalies_notified(Anomalies *store, KeyText account, TimestampTz from,
					  TimestampTz until, Decimal *least)
{
	Fields		f = {NULL, RelationGetDescr(store->rel), store->att};
	int			leading = ACCOUNT;
	Oid			index = bj_index_by_columns(store->rel, store->att, &leading, 1);
	ScanKeyData key;
	SysScanDesc scan;
	int			n = 0;

	text_key(&key, store->att[ACCOUNT], account);
	scan = systable_beginscan(store->rel, index, OidIsValid(index), SnapshotSelf, 1, &key);
	while ((f.tuple = systable_getnext(scan)) != NULL)
	{
		TimestampTz at = int64_of(&f, OCCURRED_AT);
		Decimal		money = decimal_of(&f, MONEY_AT_RISK);
		bool		isnull;

		field(&f, NOTIFIED_AT, &isnull);
		if (isnull || at < from || at >= until)
			continue;
		if (n++ == 0 || bj_decimal_compare(money, *least) < 0)
			*least = money;
	}
	systable_endscan(scan);
	return n;
}

/* ---- writing ---- */

Anomaly *
bj_anomalies_new(KeyText account, KeyText meter)
{
	Anomaly    *a = palloc0(sizeof(Anomaly));

	a->account = account;
	a->meter = meter;
	a->anomaly_id = bj_table_next(BJ_TABLE_ANOMALY_ID_SEQ);
	a->is_new = true;
	return a;
}

/* As it was looked at last: settings and the usual bill may have changed. */
static void
put_minimum(Row *row, const DetectMinimum *minimum)
{
	put_decimal(row, MIN_MONEY, minimum->amount);
	row->isnull[row->att[MIN_SHARE] - 1] = row->isnull[row->att[USUAL_BILL] - 1] = true;
	if (bj_decimal_sign(minimum->share) > 0)
		put_decimal(row, MIN_SHARE, minimum->share);
	if (minimum->has_usual)
		put_decimal(row, USUAL_BILL, minimum->usual_bill);
}

/* What a later row may change. */
static void
put_course(Row *row, const Anomaly *a)
{
	put_decimal(row, EXCESS, a->excess);
	put_decimal(row, LAST_EXCESS, a->last_excess);
	put(row, LAST_SINCE, TimestampTzGetDatum(a->last_since));
	put_decimal(row, MONEY_AT_RISK, bj_decimal_sign(a->excess) < 0 ?
				bj_decimal_negate(a->excess) : a->excess);
	row->isnull[row->att[MONEY_PROJECTED] - 1] = true;
	if (a->has_projected)
		put_decimal(row, MONEY_PROJECTED, a->projected);
	put(row, ROW_COUNT, Int64GetDatum(a->rows));
	put(row, LAST_AT, TimestampTzGetDatum(a->last_at));
	put(row, PEAK_SCORE, Float8GetDatum(a->peak_score));
	if (a->has_minimum)
		put_minimum(row, &a->minimum);
	if (a->detail != NULL)
		put(row, DETAIL, JsonbPGetDatum(a->detail));
	if (a->notified)
	{
		put_decimal(row, MONEY_NOTIFIED, a->money_notified);
		put(row, NOTIFIED_AT, TimestampTzGetDatum(a->notified_at));
	}
	put_text(row, STATE, outcome_names[a->outcome]);
	if (a->closes_at != 0)
		put(row, CLOSES_AT, TimestampTzGetDatum(a->closes_at));
	if (a->outcome != BJ_OUTCOME_OPEN)
	{
		put(row, CLOSED_AT, TimestampTzGetDatum(a->closed_at));
		put_text(row, CLOSED_BECAUSE, a->closed_because);
	}
	row->isnull[row->att[TRUSTED] - 1] = true;
	if (a->trusted != NULL && a->outcome == BJ_OUTCOME_OPEN)
	{
		bytea	   *bytes = palloc(VARHDRSZ + BJ_INCIDENT_SIZE);

		SET_VARSIZE(bytes, VARHDRSZ + BJ_INCIDENT_SIZE);
		bj_incident_encode(a->trusted, bj_baselines_crc, (uint8_t *) VARDATA(bytes));
		put(row, TRUSTED, PointerGetDatum(bytes));
	}
}

static void
put_beginning(Row *row, const Anomaly *a)
{
	put(row, ACCOUNT, a->account.datum);
	put(row, ANOMALY_ID, Int64GetDatum(a->anomaly_id));
	put(row, METER, a->meter.datum);
	put(row, OCCURRED_AT, TimestampTzGetDatum(a->occurred_at));
	put_text(row, RULE, a->rule);
	put_text(row, FAMILY, family_names[a->family]);
	put(row, SCORE, Float8GetDatum(a->score));
	put_real(row, EXPECTED, a->expected, false);
	put_real(row, LOWER_BOUND, a->lower_bound, false);
	put_real(row, UPPER_BOUND, a->upper_bound, false);
	put_real(row, OBSERVED, a->observed, false);
	put_real(row, RATIO, a->ratio, true);
	put_real(row, UNIT_FACTOR, a->unit_factor, true);
	if (a->lag_hours != 0)
		put(row, LAG_HOURS, Int32GetDatum(a->lag_hours));
	put(row, SINCE, TimestampTzGetDatum(a->since));
	put_real(row, LONGEST, a->longest, true);
	if (a->detector_id != 0)
		put(row, DETECTOR_ID, Int64GetDatum(a->detector_id));
	put_text(row, ACTION, bj_action_name(a->action));
	if (a->charge_id != 0)
	{
		put(row, CHARGE_ID, Int64GetDatum(a->charge_id));
		put(row, PERIOD_START, TimestampTzGetDatum(a->period_start));
	}
	if (a->currency[0] != '\0')
		put_text(row, CURRENCY, a->currency);
	put(row, CREATED_AT, TimestampTzGetDatum(GetCurrentTimestamp()));
	put_text(row, CREATED_BY, login_name());
}

static void
update(Anomalies *store, Anomaly *a)
{
	Row			row = row_new(store->rel, store->att);
	HeapTuple	tuple;
	BjIndexing	indexing;
	TM_Result	result;

	heap_deform_tuple(a->version, RelationGetDescr(store->rel), row.values, row.isnull);
	put_course(&row, a);
	tuple = heap_form_tuple(RelationGetDescr(store->rel), row.values, row.isnull);
	tuple->t_tableOid = RelationGetRelid(store->rel);
	result = bj_compat_update(store->rel, &a->version->t_self, tuple,
							  GetCurrentCommandId(true), &indexing);
	if (result == TM_Ok)
		bj_table_index(store->rel, tuple, indexing);
	else if (result != TM_Updated && result != TM_Deleted)
		elog(ERROR, "an anomaly was written twice in one command");
}

void
bj_anomalies_write(Anomalies *store, Anomaly *a)
{
	Row			row;

	if (a->is_new)
	{
		row = row_new(store->rel, store->att);
		put_beginning(&row, a);
		put_course(&row, a);
		append(&row);
	}
	else if (a->changed)
		update(store, a);
	a->is_new = a->changed = false;
}

/* ---- what follows ---- */

enum
{
	HOLD_ACCOUNT, HOLD_ID, HOLD_CHARGE_ID, HOLD_REASON, HOLD_ANOMALY_ID, HOLD_PART_OF,
	HOLD_CREATED_AT, HOLD_CREATED_BY, HOLD_ENDED_AT, NHOLDCOLUMNS
};

static const Column hold_columns[NHOLDCOLUMNS] = {
	{"account", TEXTOID, true}, {"hold_id", INT8OID, true}, {"charge_id", INT8OID, true},
	{"reason", TEXTOID, true}, {"anomaly_id", INT8OID}, {"part_of", INT8OID},
	{"created_at", TIMESTAMPTZOID, true}, {"created_by", TEXTOID, true}, {"ended_at", TIMESTAMPTZOID}
};

/* The unique index of the open ones. */
static Oid
hold_index(Relation rel, const AttrNumber *att)
{
	List	   *indexes = RelationGetIndexList(rel);
	ListCell   *cell;
	Oid			found = InvalidOid;

	foreach(cell, indexes)
	{
		Relation	index = index_open(lfirst_oid(cell), AccessShareLock);

		if (index->rd_index->indisvalid && index->rd_index->indnkeyatts == 2 &&
			index->rd_index->indkey.values[0] == att[HOLD_ACCOUNT] &&
			index->rd_index->indkey.values[1] == att[HOLD_CHARGE_ID])
			found = RelationGetRelid(index);
		index_close(index, AccessShareLock);
	}
	list_free(indexes);
	return found;
}

/* Is the charge, which is of this transaction, held for another incident? */
static bool
is_held(Relation rel, const AttrNumber *att, KeyText account, int64 charge_id)
{
	Fields		f = {NULL, RelationGetDescr(rel), att};
	Oid			index = hold_index(rel, att);
	ScanKeyData keys[2];
	SysScanDesc scan;
	bool		open = false;

	text_key(&keys[0], att[HOLD_ACCOUNT], account);
	ScanKeyInit(&keys[1], att[HOLD_CHARGE_ID], BTEqualStrategyNumber, F_INT8EQ,
				Int64GetDatum(charge_id));
	scan = systable_beginscan(rel, index, OidIsValid(index), SnapshotSelf, 2, keys);
	while (!open && (f.tuple = systable_getnext(scan)) != NULL)
		field(&f, HOLD_ENDED_AT, &open);
	systable_endscan(scan);
	return open;
}

struct HoldLookup
{
	Relation	rel;
	Relation	index;
	AttrNumber	att[NHOLDCOLUMNS];
	IndexScanDesc scan;
	TupleTableSlot *slot;
};

HoldLookup *
bj_anomalies_holds_open(void)
{
	HoldLookup *l = palloc0(sizeof(HoldLookup));
	Oid			index = InvalidOid;

	l->rel = bj_table_open(BJ_TABLE_HOLD, AccessShareLock);
	if (l->rel == NULL)
		return NULL;
	/* mostly nothing is held, and never was */
	if (RelationGetNumberOfBlocks(l->rel) > 0 &&
		bj_columns_find(l->rel, hold_columns, NHOLDCOLUMNS, l->att) == NULL)
		index = hold_index(l->rel, l->att);
	if (!OidIsValid(index))
	{
		table_close(l->rel, AccessShareLock);
		return NULL;
	}
	l->index = index_open(index, AccessShareLock);
	l->scan = bj_compat_index_beginscan(l->rel, l->index, SnapshotSelf, 2);
	l->slot = table_slot_create(l->rel, NULL);
	return l;
}

bool
bj_anomalies_held(HoldLookup *l, KeyText account, int64 charge_id, ChargeHold *hold)
{
	Fields		f = {NULL, RelationGetDescr(l->rel), l->att};
	ScanKeyData keys[2];
	bool		open = false;

	ScanKeyEntryInitialize(&keys[0], 0, 1, BTEqualStrategyNumber, InvalidOid,
						   C_COLLATION_OID, F_TEXTEQ, account.datum);
	ScanKeyInit(&keys[1], 2, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(charge_id));
	index_rescan(l->scan, keys, 2, NULL, 0);
	while (!open && index_getnext_slot(l->scan, ForwardScanDirection, l->slot))
	{
		f.tuple = ExecFetchSlotHeapTuple(l->slot, false, NULL);
		field(&f, HOLD_ENDED_AT, &open);
		if (!open)
			continue;
		hold->hold_id = int64_of(&f, HOLD_PART_OF);
		if (hold->hold_id == 0)
			hold->hold_id = int64_of(&f, HOLD_ID);
		hold->anomaly_id = int64_of(&f, HOLD_ANOMALY_ID);
		hold->reason = text_of(&f, HOLD_REASON);
	}
	ExecClearTuple(l->slot);
	return open;
}

void
bj_anomalies_holds_close(HoldLookup *l)
{
	ExecDropSingleTupleTableSlot(l->slot);
	index_endscan(l->scan);
	index_close(l->index, AccessShareLock);
	table_close(l->rel, AccessShareLock);
}

/* What bj_anomalies_hold_both() was told in a transaction. */
typedef struct Pair
{
	struct Pair *next;
	TransactionId xid;			/* of the subtransaction that wrote the difference */
	int64		charge_id;
	KeyText		account;
	int64		difference_id;
} Pair;

static Pair *pairs = NULL;
static FullTransactionId pairs_of;	/* in whose memory they are */

static Pair *
pairs_now(void)
{
	return FullTransactionIdEquals(pairs_of, GetTopFullTransactionIdIfAny()) ? pairs : NULL;
}

void
bj_anomalies_hold_both(int64 charge_id, KeyText account, int64 difference_id)
{
	MemoryContext old = MemoryContextSwitchTo(TopTransactionContext);
	Pair	   *pair = palloc(sizeof(Pair));

	*pair = (Pair) {pairs_now(), GetCurrentTransactionId(), charge_id,
	bj_key_from_string(account.data, account.length), difference_id};
	pairs = pair;
	pairs_of = GetTopFullTransactionId();
	MemoryContextSwitchTo(old);
}

/* part_of: 0: it stands for itself.  Returns its number, 0 if it is held already. */
static int64
hold_charge(KeyText account, int64 charge_id, const char *reason, int64 anomaly_id, int64 part_of)
{
	AttrNumber	att[NHOLDCOLUMNS];
	const char *problem;
	Relation	rel = bj_table_open_columns(BJ_TABLE_HOLD, RowExclusiveLock, hold_columns,
											NHOLDCOLUMNS, att, &problem);
	int64		hold_id = 0;
	Row			row;

	if (rel == NULL)
	{
		/* a detector wants it off the bill, and it is on it */
		ereport(WARNING,
				(errcode(ERRCODE_BJ_NOT_INSTALLED),
				 errmsg("charge " INT64_FORMAT " is not held: %s", charge_id, problem),
				 errhint("Run SELECT * FROM billadj.self_check().")));
		return 0;
	}
	if (!is_held(rel, att, account, charge_id))
	{
		hold_id = bj_table_next(BJ_TABLE_HOLD_ID_SEQ);
		row = row_new(rel, att);
		put(&row, HOLD_ACCOUNT, account.datum);
		put(&row, HOLD_ID, Int64GetDatum(hold_id));
		put(&row, HOLD_CHARGE_ID, Int64GetDatum(charge_id));
		put_text(&row, HOLD_REASON, reason);
		if (anomaly_id != 0)
			put(&row, HOLD_ANOMALY_ID, Int64GetDatum(anomaly_id));
		if (part_of != 0)
			put(&row, HOLD_PART_OF, Int64GetDatum(part_of));
		put(&row, HOLD_CREATED_AT, TimestampTzGetDatum(GetCurrentTimestamp()));
		put_text(&row, HOLD_CREATED_BY, login_name());
		append(&row);
		/* the next row may be of the same charge */
		CommandCounterIncrement();
	}
	table_close(rel, NoLock);
	return hold_id;
}

void
bj_anomalies_hold(const Anomaly *a, int64 charge_id)
{
	int64		hold_id = hold_charge(a->account, charge_id, a->rule, a->anomaly_id, 0);

	/* a rollback may have taken the difference back */
	for (Pair *pair = hold_id != 0 ? pairs_now() : NULL; pair != NULL; pair = pair->next)
		if (pair->charge_id == charge_id && TransactionIdIsCurrentTransactionId(pair->xid))
			hold_charge(pair->account, pair->difference_id, a->rule, a->anomaly_id, hold_id);
}

void
bj_anomalies_hold_part(KeyText account, int64 charge_id, const ChargeHold *hold)
{
	hold_charge(account, charge_id, hold->reason, hold->anomaly_id, hold->hold_id);
}

enum
{
	PROPOSAL_ACCOUNT, PROPOSAL_ID, PROPOSAL_KIND, PROPOSAL_CHARGE_ID, PROPOSAL_DELTA,
	PROPOSAL_CURRENCY, PROPOSAL_CAUSE, PROPOSAL_PERIOD_START, PROPOSAL_CREATED_AT,
	PROPOSAL_CREATED_BY, NPROPOSALCOLUMNS
};

static const Column proposal_columns[NPROPOSALCOLUMNS] = {
	{"account", TEXTOID, true}, {"proposal_id", INT8OID, true}, {"kind", TEXTOID, true},
	{"charge_id", INT8OID}, {"delta", NUMERICOID, true}, {"currency", TEXTOID, true},
	{"cause", TEXTOID, true}, {"period_start", TIMESTAMPTZOID, true},
	{"created_at", TIMESTAMPTZOID, true}, {"created_by", TEXTOID, true}
};

void
bj_anomalies_propose(const Anomaly *a, int64 charge_id, Decimal amount)
{
	AttrNumber	att[NPROPOSALCOLUMNS];
	const char *problem;
	Relation	rel = bj_table_open_columns(BJ_TABLE_PROPOSAL, RowExclusiveLock, proposal_columns,
											NPROPOSALCOLUMNS, att, &problem);
	Row			row;

	if (rel == NULL)
		return;
	row = row_new(rel, att);
	put(&row, PROPOSAL_ACCOUNT, a->account.datum);
	put(&row, PROPOSAL_ID, Int64GetDatum(bj_table_next(BJ_TABLE_PROPOSAL_ID_SEQ)));
	put_text(&row, PROPOSAL_KIND, bj_decimal_sign(amount) > 0 ? "credit" : "debit");
	if (charge_id != 0)
		put(&row, PROPOSAL_CHARGE_ID, Int64GetDatum(charge_id));
	put_decimal(&row, PROPOSAL_DELTA, bj_decimal_negate(amount));
	put_text(&row, PROPOSAL_CURRENCY, a->currency);
	put_text(&row, PROPOSAL_CAUSE, "anomaly");
	put(&row, PROPOSAL_PERIOD_START, TimestampTzGetDatum(a->period_start));
	put(&row, PROPOSAL_CREATED_AT, TimestampTzGetDatum(GetCurrentTimestamp()));
	put_text(&row, PROPOSAL_CREATED_BY, login_name());
	append(&row);
	table_close(rel, NoLock);
}

enum
{
	OUTBOX_ACCOUNT, OUTBOX_ID, OUTBOX_TOPIC, OUTBOX_PAYLOAD, OUTBOX_CREATED_AT,
	OUTBOX_CREATED_BY, NOUTBOXCOLUMNS
};

static const Column outbox_columns[NOUTBOXCOLUMNS] = {
	{"account", TEXTOID, true}, {"outbox_id", INT8OID, true}, {"topic", TEXTOID, true},
	{"payload", JSONBOID, true}, {"created_at", TIMESTAMPTZOID, true},
	{"created_by", TEXTOID, true}
};

/* Numbers and amounts, no personal text. */
static Datum
message(const Anomaly *a)
{
	JsonbParseState *state = NULL;

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	bj_jsonpush_decimal(&state, "anomaly_id", bj_decimal_from_int64(a->anomaly_id));
	bj_jsonpush_string(&state, "rule", a->rule);
	bj_jsonpush_text(&state, "meter", a->meter.data, a->meter.length);
	bj_jsonpush_string(&state, "action", bj_action_name(a->action));
	bj_jsonpush_numeric(&state, "score", DirectFunctionCall1(float8_numeric, Float8GetDatum(a->peak_score)));
	bj_jsonpush_decimal(&state, "money_at_risk", bj_decimal_sign(a->excess) < 0 ?
						bj_decimal_negate(a->excess) : a->excess);
	bj_jsonpush_string(&state, "currency", a->currency);
	return JsonbPGetDatum(JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL)));
}

void
bj_anomalies_tell(const Anomaly *a, const char *topic)
{
	AttrNumber	att[NOUTBOXCOLUMNS];
	const char *problem;
	Relation	rel = bj_table_open_columns(BJ_TABLE_OUTBOX, RowExclusiveLock, outbox_columns,
											NOUTBOXCOLUMNS, att, &problem);
	Row			row;

	if (rel == NULL)
		return;
	row = row_new(rel, att);
	put(&row, OUTBOX_ACCOUNT, a->account.datum);
	put(&row, OUTBOX_ID, Int64GetDatum(bj_table_next(BJ_TABLE_OUTBOX_ID_SEQ)));
	put_text(&row, OUTBOX_TOPIC, topic);
	put(&row, OUTBOX_PAYLOAD, message(a));
	put(&row, OUTBOX_CREATED_AT, TimestampTzGetDatum(GetCurrentTimestamp()));
	put_text(&row, OUTBOX_CREATED_BY, login_name());
	append(&row);
	table_close(rel, NoLock);
}
