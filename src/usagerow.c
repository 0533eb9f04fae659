/*
 * usagerow.c
 *	  A usage row, as read from a host table or from where it was parked.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/numeric.h"
#include "utils/syscache.h"
#include "catalog/pg_enum.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "errors.h"
#include "numericcodec.h"
#include "period.h"
#include "subperiods.h"
#include "usagerow.h"

#define NO_KEY ((KeyText) {(Datum) 0, NULL, -1})

static KeyText
enum_label(Oid value)
{
	HeapTuple	tuple = SearchSysCache1(ENUMOID, ObjectIdGetDatum(value));
	KeyText		key = NO_KEY;

	if (HeapTupleIsValid(tuple))
	{
		const char *label = NameStr(((Form_pg_enum) GETSTRUCT(tuple))->enumlabel);

		key = bj_key_from_string(label, strlen(label));
		ReleaseSysCache(tuple);
	}
	return key;
}

/* The text of a source, or NO_KEY for NULL and for what is no value. */
static KeyText
read_text(const Source *source, TupleTableSlot *slot)
{
	KeyText		key = NO_KEY;
	int			i = source->attnum - 1;

	if (source->attnum == InvalidAttrNumber)
		return source->constant;
	if (slot->tts_isnull[i])
		return key;
	if (source->basetype == ANYENUMOID)
		return enum_label(DatumGetObjectId(slot->tts_values[i]));
	if (!bj_key_text(source->basetype, slot->tts_values[i], &key))
		return NO_KEY;
	return key;
}

static void
read_account(UsageRow *row, TupleTableSlot *slot)
{
	static const char *const hint =
		"Correct the host row: an UPDATE of it rates it.";

	row->account = read_text(&row->binding->account, slot);
	if (row->account.length > 0 && row->account.length <= BJ_KEY_MAX)
		return;
	if (row->account.length > BJ_KEY_MAX)
		bj_fault_set(&row->fault, ERRCODE_BJ_BAD_ACCOUNT,
					 "account key is longer than 1000 bytes", hint);
	else
		bj_fault_set(&row->fault, ERRCODE_BJ_BAD_ACCOUNT,
					 row->account.length == 0 ? "account is empty" :
					 "account is null or not a number", hint);
	row->account = NO_KEY;
}

static void
read_key(UsageRow *row, TupleTableSlot *slot)
{
	const Binding *b = row->binding;
	StringInfoData buf;

	row->event_key = NO_KEY;
	if (b->nkeys == 1)
		row->event_key = read_text(&b->keys[0], slot);
	else if (b->nkeys > 1)
	{
		initStringInfo(&buf);
		for (int i = 0; i < b->nkeys; i++)
		{
			int			att = b->keys[i].attnum - 1;

			appendStringInfoString(&buf, i == 0 ? "[" : ", ");
			if (slot->tts_isnull[att] ||
				!bj_key_append_json(b->keys[i].basetype, slot->tts_values[att], &buf))
				return;
		}
		appendStringInfoChar(&buf, ']');
		row->event_key = bj_key_from_string(buf.data, buf.len);
	}
}

static void
check_key(UsageRow *row)
{
	if (row->event_key.length >= 0 && row->event_key.length <= BJ_KEY_MAX)
		return;
	bj_fault_set(&row->fault, ERRCODE_BJ_BAD_KEY,
				 row->event_key.length < 0 ? "event key is null or not a number" :
				 "event key is longer than 1000 bytes",
				 "Name other key columns with billadj.remap(), then run billadj.backfill().");
	row->event_key = NO_KEY;
}

static void
read_time(UsageRow *row, TupleTableSlot *slot)
{
	const Source *source = &row->binding->occurred_at;
	Datum		value;

	row->is_local = false;
	row->has_at = true;
	if (source->attnum == InvalidAttrNumber)
	{
		row->at = row->binding->at_constant;
		return;
	}
	if (slot->tts_isnull[source->attnum - 1])
	{
		row->has_at = false;
		return;
	}
	value = slot->tts_values[source->attnum - 1];
	row->is_local = source->basetype != TIMESTAMPTZOID;
	if (source->basetype == DATEOID)
	{
		int			overflow;

		/* infinite and far dates become infinite: refused below */
		row->at = date2timestamp_opt_overflow(DatumGetDateADT(value), &overflow);
	}
	else
		row->at = DatumGetTimestampTz(value);
}

/*
 * The period of each measure: of several subscriptions another one may price
 * another meter.
 */
static void
place_measures(UsageRow *row)
{
	bool		any = bj_subperiods_any();

	if (row->fault.sqlstate != 0)
		return;
	for (int i = 0; i < row->nmeasures; i++)
	{
		UsageMeasure *m = &row->measures[i];
		UsagePeriod period;

		m->period_start = row->month_start;
		if (any && m->fault.sqlstate == 0 &&
			bj_subperiods_find(row->account, m->meter, row->occurred_at, &period, &m->fault))
			m->period_start = period.span.start;
	}
}

TimestampTz
bj_usagerow_likely_period(const UsageRow *row)
{
	return row->nmeasures > 0 ? row->measures[0].period_start : row->month_start;
}

static void
place_row(UsageRow *row)
{
	const char *hint = "Correct the host row: an UPDATE of it rates it.";

	if (row->fault.sqlstate != 0)
		return;
	row->terms = bj_prices_account(row->account.data, row->account.length);
	if (row->terms->zone == NULL)
	{
		bj_fault_set(&row->fault, ERRCODE_BJ_UNKNOWN_ZONE,
					 psprintf("unknown time zone: \"%s\"", row->terms->zone_name),
					 "Correct time_zone in billadj.account or billadj.instance, then run billadj.retry_parked().");
		return;
	}
	if (!row->has_at)
		bj_fault_set(&row->fault, ERRCODE_BJ_BAD_TIME, "time of usage is null", hint);
	else if (TIMESTAMP_NOT_FINITE(row->at))
		bj_fault_set(&row->fault, ERRCODE_BJ_BAD_TIME, "time of usage is infinite", hint);
	else
	{
		row->occurred_at = row->at;
		if ((row->is_local &&
			 !bj_period_instant(row->terms->zone, row->at, &row->occurred_at)) ||
			!bj_period_month(row->terms->zone, row->occurred_at, &row->month_start))
			bj_fault_set(&row->fault, ERRCODE_BJ_BAD_TIME,
						 "time of usage is out of range", hint);
	}
}

void
bj_usagerow_place(UsageRow *row)
{
	place_row(row);
	place_measures(row);
}

/* ---- quantities ---- */

static void
quantity_fault(UsageMeasure *m, BjStatus status)
{
	m->quantity = BJ_DECIMAL_ZERO;
	bj_fault_set(&m->fault,
				 status == BJ_OUT_OF_RANGE ? ERRCODE_BJ_OUT_OF_RANGE : ERRCODE_BJ_BAD_QUANTITY,
				 status == BJ_OUT_OF_RANGE ? "quantity has more digits than can be held exactly" :
				 status == BJ_INFINITE ? "quantity is infinite" : "quantity is not a number",
				 "Correct the host row: an UPDATE of it rates it.");
}

static void
read_quantity(UsageMeasure *m, TupleTableSlot *slot)
{
	const Source *source = &m->bound->quantity;
	Datum		value;
	BjStatus	status = BJ_OK;

	if (source->attnum == InvalidAttrNumber)
	{
		m->quantity = m->bound->quantity_constant;
		return;
	}
	if (slot->tts_isnull[source->attnum - 1])
	{
		bj_fault_set(&m->fault, ERRCODE_BJ_BAD_QUANTITY, "quantity is null",
					 "Correct the host row: an UPDATE of it rates it.");
		return;
	}
	value = slot->tts_values[source->attnum - 1];
	switch (source->basetype)
	{
		case INT2OID:
			m->quantity = bj_decimal_from_int64(DatumGetInt16(value));
			break;
		case INT4OID:
			m->quantity = bj_decimal_from_int64(DatumGetInt32(value));
			break;
		case INT8OID:
			m->quantity = bj_decimal_from_int64(DatumGetInt64(value));
			break;
		default:
			status = bj_numeric_read(value, &m->quantity);
			break;
	}
	if (status != BJ_OK)
	{
		m->unread = DatumGetCString(DirectFunctionCall1(numeric_out, value));
		quantity_fault(m, status);
	}
}

static void
check_meter(UsageMeasure *m)
{
	if (m->meter.length <= 0)
		bj_fault_set(&m->fault, ERRCODE_BJ_UNKNOWN_METER, "meter is null or empty",
					 "Correct the host row: an UPDATE of it rates it.");
	else if (m->meter.length > BJ_KEY_MAX)
	{
		bj_fault_set(&m->fault, ERRCODE_BJ_UNKNOWN_METER,
					 "meter name is longer than 1000 bytes",
					 "Correct the host row: an UPDATE of it rates it.");
		m->meter = NO_KEY;
	}
}

/* All columns as text: enough to rate the row once the mapping is mended. */
static Jsonb *
whole_row(TupleTableSlot *slot)
{
	TupleDesc	desc = slot->tts_tupleDescriptor;
	JsonbParseState *state = NULL;
	JsonbValue	v;

	slot_getallattrs(slot);
	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);
		Oid			output;
		bool		varlena;

		if (att->attisdropped)
			continue;
		v.type = jbvString;
		v.val.string.val = pstrdup(NameStr(att->attname));
		v.val.string.len = strlen(v.val.string.val);
		pushJsonbValue(&state, WJB_KEY, &v);
		v.type = jbvNull;
		if (!slot->tts_isnull[i])
		{
			getTypeOutputInfo(att->atttypid, &output, &varlena);
			v.type = jbvString;
			v.val.string.val = OidOutputFunctionCall(output, slot->tts_values[i]);
			v.val.string.len = strlen(v.val.string.val);
		}
		pushJsonbValue(&state, WJB_VALUE, &v);
	}
	return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
}

/* For parked_usage: one entry a measure, or one without a name. */
static void
broken_mapping(UsageRow *row, TupleTableSlot *slot)
{
	static const BoundMeasure nameless = {.measure = ""};

	row->nmeasures = Max(row->binding->nmeasures, 1);
	row->measures = palloc0(row->nmeasures * sizeof(UsageMeasure));
	for (int i = 0; i < row->nmeasures; i++)
	{
		row->measures[i].meter = NO_KEY;
		row->measures[i].bound = i < row->binding->nmeasures &&
			row->binding->measures[i].measure ? &row->binding->measures[i] : &nameless;
	}
	row->account = NO_KEY;
	row->has_at = false;
	row->whole = whole_row(slot);
	bj_fault_set(&row->fault, ERRCODE_BJ_BAD_MAPPING,
				 psprintf("the mapping of the attachment is broken: %s", row->binding->problem),
				 "Mend it with billadj.remap(), then run billadj.retry_parked().");
}

void
bj_usagerow_read(const Binding *binding, TupleTableSlot *slot, UsageRow *row)
{
	memset(row, 0, sizeof(UsageRow));
	row->binding = binding;
	if (binding->last_attnum > 0)
		slot_getsomeattrs(slot, binding->last_attnum);
	read_key(row, slot);
	if (binding->problem != NULL)
	{
		broken_mapping(row, slot);
		return;
	}
	read_account(row, slot);
	read_time(row, slot);
	if (row->fault.sqlstate == 0)
		place_row(row);
	check_key(row);

	row->nmeasures = binding->nmeasures;
	row->measures = palloc0(binding->nmeasures * sizeof(UsageMeasure));
	for (int i = 0; i < binding->nmeasures; i++)
	{
		UsageMeasure *m = &row->measures[i];

		m->bound = &binding->measures[i];
		m->meter = read_text(&m->bound->meter, slot);
		read_quantity(m, slot);
		if (m->fault.sqlstate == 0)
			check_meter(m);
		else if (m->meter.length > BJ_KEY_MAX)
			m->meter = NO_KEY;
	}
	place_measures(row);
}

static void
keep_text(KeyText *key)
{
	if (key->length >= 0)
		*key = bj_key_from_string(key->data, key->length);
}

void
bj_usagerow_keep(UsageRow *row)
{
	keep_text(&row->event_key);
	keep_text(&row->account);
	for (int i = 0; i < row->nmeasures; i++)
		keep_text(&row->measures[i].meter);
}

static bool
measure_equal(const UsageMeasure *a, const UsageMeasure *b)
{
	if (!bj_key_equal(a->meter, b->meter) ||
		a->fault.sqlstate != b->fault.sqlstate ||
		(a->unread == NULL) != (b->unread == NULL))
		return false;
	if (a->unread != NULL)
		return strcmp(a->unread, b->unread) == 0;
	return bj_decimal_compare(a->quantity, b->quantity) == 0;
}

bool
bj_usagerow_equal(const UsageRow *a, const UsageRow *b)
{
	if (a->whole != NULL || b->whole != NULL)
		return false;
	if (!bj_key_equal(a->account, b->account) || a->has_at != b->has_at ||
		(a->has_at && (a->at != b->at || a->is_local != b->is_local)))
		return false;
	for (int i = 0; i < a->nmeasures; i++)
		if (!measure_equal(&a->measures[i], &b->measures[i]))
			return false;
	return true;
}

/* ---- parked rows ---- */

static void
push_string(JsonbParseState **state, const char *key, const char *value, int length)
{
	JsonbValue	v;

	v.type = jbvString;
	v.val.string.val = unconstify(char *, key);
	v.val.string.len = strlen(key);
	pushJsonbValue(state, WJB_KEY, &v);
	v.type = value ? jbvString : jbvNull;
	v.val.string.val = unconstify(char *, value);
	v.val.string.len = length;
	pushJsonbValue(state, WJB_VALUE, &v);
}

static void
push_time(JsonbParseState **state, const UsageRow *row)
{
	char		buf[MAXDATELEN + 1];
	int			utc = 0;
	const char *key = row->is_local ? "occurred_local" : "occurred_at";

	if (!row->has_at)
		push_string(state, key, NULL, 0);
	else
	{
		JsonEncodeDateTime(buf, Int64GetDatum(row->at),
						   row->is_local ? TIMESTAMPOID : TIMESTAMPTZOID, &utc);
		push_string(state, key, pstrdup(buf), strlen(buf));
	}
}

Jsonb *
bj_usagerow_mapped(const UsageRow *row, const UsageMeasure *m)
{
	JsonbParseState *state = NULL;
	char		buf[BJ_DECIMAL_TEXT_SIZE];
	const char *quantity = NULL;

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	if (row->whole != NULL)
	{
		JsonbValue	v;

		v.type = jbvString;
		v.val.string.val = "row";
		v.val.string.len = 3;
		pushJsonbValue(&state, WJB_KEY, &v);
		v.type = jbvBinary;
		v.val.binary.data = &row->whole->root;
		v.val.binary.len = VARSIZE(row->whole) - VARHDRSZ;
		pushJsonbValue(&state, WJB_VALUE, &v);
		return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
	}
	if (m->unread != NULL)
		quantity = m->unread;
	else if (m->fault.sqlstate != ERRCODE_BJ_BAD_QUANTITY)
	{
		bj_decimal_format(m->quantity, buf);
		quantity = buf;
	}
	push_string(&state, "account", row->account.length < 0 ? NULL : row->account.data,
				row->account.length);
	push_string(&state, "meter", m->meter.length < 0 ? NULL : m->meter.data, m->meter.length);
	push_time(&state, row);
	push_string(&state, "quantity", quantity, quantity ? strlen(quantity) : 0);
	return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
}

static char *
mapped_member(Jsonb *mapped, const char *key)
{
	JsonbValue	buf;
	JsonbValue *v = getKeyJsonValueFromContainer(&mapped->root, key, strlen(key), &buf);

	return v != NULL && v->type == jbvString ?
		pnstrdup(v->val.string.val, v->val.string.len) : NULL;
}

static void
mapped_time(Jsonb *mapped, UsageRow *row)
{
	char	   *at = mapped_member(mapped, "occurred_at");
	char	   *local = mapped_member(mapped, "occurred_local");

	row->is_local = local != NULL;
	row->has_at = at != NULL || local != NULL;
	if (row->has_at)
		row->at = DatumGetTimestampTz(
			DirectFunctionCall3(row->is_local ? timestamp_in : timestamptz_in,
								CStringGetDatum(row->is_local ? local : at),
								ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
}

static const BoundMeasure *
measure_by_name(const Binding *binding, const char *name)
{
	for (int i = 0; i < binding->nmeasures; i++)
		if (strcmp(binding->measures[i].measure, name) == 0)
			return &binding->measures[i];
	return NULL;
}

static void
mapped_quantity(UsageMeasure *m, const char *quantity)
{
	BjStatus	status;

	if (quantity == NULL)
	{
		bj_fault_set(&m->fault, ERRCODE_BJ_BAD_QUANTITY, "quantity is null",
					 "Correct the host row: an UPDATE of it rates it.");
		return;
	}
	status = bj_decimal_parse(quantity, strlen(quantity), &m->quantity);
	if (status == BJ_OK)
		return;
	m->unread = quantity;
	quantity_fault(m, strstr(quantity, "nfinity") ? BJ_INFINITE : status);
}

bool
bj_usagerow_from_mapped(const Binding *binding, Jsonb *mapped,
						const char *measure, UsageRow *row)
{
	char	   *account = mapped_member(mapped, "account");
	char	   *meter = mapped_member(mapped, "meter");
	UsageMeasure *m = palloc0(sizeof(UsageMeasure));

	memset(row, 0, sizeof(UsageRow));
	row->binding = binding;
	row->nmeasures = 1;
	row->measures = m;
	m->bound = measure_by_name(binding, measure);
	if (m->bound == NULL ||
		getKeyJsonValueFromContainer(&mapped->root, "row", 3, NULL) != NULL)
		return false;
	row->account = account ? bj_key_from_string(account, strlen(account)) : NO_KEY;
	m->meter = meter ? bj_key_from_string(meter, strlen(meter)) : NO_KEY;
	if (account == NULL)
		bj_fault_set(&row->fault, ERRCODE_BJ_BAD_ACCOUNT, "account is null or not a number",
					 "Correct the host row: an UPDATE of it rates it.");
	mapped_time(mapped, row);
	mapped_quantity(m, mapped_member(mapped, "quantity"));
	if (m->fault.sqlstate == 0)
		check_meter(m);
	bj_usagerow_place(row);
	return true;
}

void
bj_usagerow_join(UsageRow *row, const UsageRow *other)
{
	row->measures = repalloc(row->measures,
							 (row->nmeasures + other->nmeasures) * sizeof(UsageMeasure));
	memcpy(row->measures + row->nmeasures, other->measures,
		   other->nmeasures * sizeof(UsageMeasure));
	row->nmeasures += other->nmeasures;
}
