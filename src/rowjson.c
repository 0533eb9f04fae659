/*
 * rowjson.c
 *	  A row of a table as canonical JSON, and its name in the audit log.
 *
 * Neither row::text nor to_jsonb(): both change with TimeZone, DateStyle,
 * IntervalStyle, bytea_output and extra_float_digits, and what was recorded
 * under one setting could not be compared with what is there under another.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "common/shortest_dec.h"
#include "datatype/timestamp.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/guc.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/rangetypes.h"
#include "utils/rel.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"

#include "compat.h"
#include "rowjson.h"

static void put_value(StringInfo out, Datum value, Oid type);

/* ---- single values, as text ---- */

static char *
time_text(Timestamp at, bool zoned)
{
	struct pg_tm tm;
	fsec_t		fsec;

	if (TIMESTAMP_IS_NOBEGIN(at))
		return "-infinity";
	if (TIMESTAMP_IS_NOEND(at))
		return "infinity";
	/* without a zone to convert to, it stays what it is: UTC */
	if (timestamp2tm(at, NULL, &tm, &fsec, NULL, NULL) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("timestamp out of range")));
	return psprintf("%04d-%02d-%02dT%02d:%02d:%02d.%06d%s%s",
					tm.tm_year > 0 ? tm.tm_year : 1 - tm.tm_year, tm.tm_mon, tm.tm_mday,
					tm.tm_hour, tm.tm_min, tm.tm_sec, (int) fsec,
					zoned ? "Z" : "", tm.tm_year > 0 ? "" : " BC");
}

static char *
date_text(DateADT date)
{
	int			year;
	int			month;
	int			day;

	if (DATE_NOT_FINITE(date))
		return DATE_IS_NOBEGIN(date) ? "-infinity" : "infinity";
	j2date(date + POSTGRES_EPOCH_JDATE, &year, &month, &day);
	return psprintf("%04d-%02d-%02d%s", year > 0 ? year : 1 - year, month, day,
					year > 0 ? "" : " BC");
}

static char *
interval_text(Interval *interval)
{
	struct pg_itm itm;
	char		text[MAXDATELEN + 1];

	interval2itm(*interval, &itm);
	EncodeInterval(&itm, INTSTYLE_ISO_8601, text);
	return pstrdup(text);
}

static char *
bytea_text(bytea *bytes)
{
	int			size = VARSIZE_ANY_EXHDR(bytes);
	char	   *text = palloc(2 * (Size) size + 3);

	text[0] = '\\';
	text[1] = 'x';
	text[2 + hex_encode(VARDATA_ANY(bytes), size, text + 2)] = '\0';
	return text;
}

/* Types that we know nothing of: under the settings that a dump is made with. */
static char *
other_text(Datum value, Oid type)
{
	static const char *const settings[][2] = {
		{"datestyle", "ISO"}, {"intervalstyle", "iso_8601"}, {"timezone", "UTC"},
		{"extra_float_digits", "1"}, {"bytea_output", "hex"}
	};
	int			nestlevel = NewGUCNestLevel();
	Oid			output;
	bool		varlena;
	char	   *text;

	for (int i = 0; i < lengthof(settings); i++)
		(void) set_config_option(settings[i][0], settings[i][1], PGC_USERSET, PGC_S_SESSION,
								 GUC_ACTION_SAVE, true, 0, false);
	getTypeOutputInfo(type, &output, &varlena);
	text = OidOutputFunctionCall(output, value);
	AtEOXact_GUC(true, nestlevel);
	return text;
}

static char *
value_text(Datum value, Oid type)
{
	char	   *digits;

	switch (type)
	{
		case TEXTOID:
		case VARCHAROID:
		case BPCHAROID:
			return TextDatumGetCString(value);
		case BOOLOID:
			return DatumGetBool(value) ? "true" : "false";
		case TIMESTAMPTZOID:
		case TIMESTAMPOID:
			return time_text(DatumGetTimestamp(value), type == TIMESTAMPTZOID);
		case DATEOID:
			return date_text(DatumGetDateADT(value));
		case INTERVALOID:
			return interval_text(DatumGetIntervalP(value));
		case BYTEAOID:
			return bytea_text(DatumGetByteaPP(value));
		case INT2OID:
			return psprintf("%d", DatumGetInt16(value));
		case INT4OID:
			return psprintf("%d", DatumGetInt32(value));
		case INT8OID:
			return psprintf(INT64_FORMAT, DatumGetInt64(value));
		case NUMERICOID:
			return DatumGetCString(DirectFunctionCall1(numeric_out, value));
		case FLOAT4OID:
			digits = palloc(FLOAT_SHORTEST_DECIMAL_LEN);
			float_to_shortest_decimal_buf(DatumGetFloat4(value), digits);
			return digits;
		case FLOAT8OID:
			digits = palloc(DOUBLE_SHORTEST_DECIMAL_LEN);
			double_to_shortest_decimal_buf(DatumGetFloat8(value), digits);
			return digits;
		default:
			return other_text(value, type);
	}
}

/* ---- JSON ---- */

static void
put_range(StringInfo out, Datum value, Oid type)
{
	TypeCacheEntry *cache = lookup_type_cache(type, TYPECACHE_RANGE_INFO);
	RangeBound	lower;
	RangeBound	upper;
	bool		empty;

	range_deserialize(cache, DatumGetRangeTypeP(value), &lower, &upper, &empty);
	if (empty)
	{
		appendStringInfoString(out, "{\"bounds\":\"empty\"}");
		return;
	}
	appendStringInfo(out, "{\"bounds\":\"%c%c\",\"lower\":", lower.inclusive ? '[' : '(',
					 upper.inclusive ? ']' : ')');
	if (lower.infinite)
		appendStringInfoString(out, "null");
	else
		put_value(out, lower.val, cache->rngelemtype->type_id);
	appendStringInfoString(out, ",\"upper\":");
	if (upper.infinite)
		appendStringInfoString(out, "null");
	else
		put_value(out, upper.val, cache->rngelemtype->type_id);
	appendStringInfoChar(out, '}');
}

/* False, and nothing written, if it has more than one dimension. */
static bool
put_array(StringInfo out, Datum value, Oid element)
{
	ArrayType  *array = DatumGetArrayTypeP(value);
	int16		length;
	bool		by_value;
	char		align;
	Datum	   *values;
	bool	   *nulls;
	int			n;

	if (ARR_NDIM(array) > 1)
		return false;
	get_typlenbyvalalign(element, &length, &by_value, &align);
	deconstruct_array(array, element, length, by_value, align, &values, &nulls, &n);
	appendStringInfoChar(out, '[');
	for (int i = 0; i < n; i++)
	{
		if (i > 0)
			appendStringInfoChar(out, ',');
		if (nulls[i])
			appendStringInfoString(out, "null");
		else
			put_value(out, values[i], element);
	}
	appendStringInfoChar(out, ']');
	return true;
}

/* NaN and the infinities are no JSON numbers. */
static void
put_number(StringInfo out, char *text)
{
	if (strpbrk(text, "NnIi") != NULL)
		escape_json(out, text);
	else
		appendStringInfoString(out, text);
}

static void
put_value(StringInfo out, Datum value, Oid type)
{
	Oid			element;

	type = getBaseType(type);
	element = get_element_type(type);
	switch (type)
	{
		case BOOLOID:
			appendStringInfoString(out, value_text(value, type));
			return;
		case INT2OID:
		case INT4OID:
		case INT8OID:
		case NUMERICOID:
		case FLOAT4OID:
		case FLOAT8OID:
			put_number(out, value_text(value, type));
			return;
		case JSONBOID:
			(void) JsonbToCString(out, &DatumGetJsonbP(value)->root, -1);
			return;
		default:
			break;
	}
	if (type_is_range(type))
		put_range(out, value, type);
	else if (!OidIsValid(element) || !put_array(out, value, element))
		escape_json(out, value_text(value, type));
}

/* ---- rows ---- */

static int
attribute_cmp(const void *x, const void *y)
{
	const FormData_pg_attribute *a = *(Form_pg_attribute const *) x;
	const FormData_pg_attribute *b = *(Form_pg_attribute const *) y;

	return strcmp(NameStr(a->attname), NameStr(b->attname));
}

char *
bj_row_json(TupleDesc desc, HeapTuple row)
{
	Form_pg_attribute *columns = palloc(desc->natts * sizeof(Form_pg_attribute));
	StringInfoData out;
	int			n = 0;

	for (int i = 0; i < desc->natts; i++)
		if (!TupleDescAttr(desc, i)->attisdropped)
			columns[n++] = TupleDescAttr(desc, i);
	qsort(columns, n, sizeof(Form_pg_attribute), attribute_cmp);
	initStringInfo(&out);
	for (int i = 0; i < n; i++)
	{
		bool		isnull;
		Datum		value = heap_getattr(row, columns[i]->attnum, desc, &isnull);

		appendStringInfoChar(&out, i == 0 ? '{' : ',');
		escape_json(&out, NameStr(columns[i]->attname));
		appendStringInfoChar(&out, ':');
		if (isnull)
			appendStringInfoString(&out, "null");
		else
			put_value(&out, value, columns[i]->atttypid);
	}
	appendStringInfoString(&out, n == 0 ? "{}" : "}");
	pfree(columns);
	return out.data;
}

char *
bj_row_object(Relation rel, HeapTuple row)
{
	TupleDesc	desc = RelationGetDescr(rel);
	Oid			pkey = bj_compat_primary_key(rel);
	StringInfoData out;
	Relation	index;

	if (!OidIsValid(pkey))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s\" has no primary key to name its rows by in the audit log",
						RelationGetRelationName(rel))));
	initStringInfo(&out);
	appendStringInfoString(&out, RelationGetRelationName(rel));
	index = index_open(pkey, AccessShareLock);
	for (int i = 0; i < index->rd_index->indnkeyatts; i++)
	{
		int			attnum = index->rd_index->indkey.values[i];
		bool		isnull;
		Datum		value = heap_getattr(row, attnum, desc, &isnull);

		appendStringInfo(&out, "/%s", value_text(value,
												 getBaseType(TupleDescAttr(desc, attnum - 1)->atttypid)));
	}
	index_close(index, NoLock);
	return out.data;
}

char *
bj_row_account(TupleDesc desc, HeapTuple row)
{
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);
		bool		isnull;
		Datum		value;

		if (att->attisdropped || att->atttypid != TEXTOID || strcmp(NameStr(att->attname), "account") != 0)
			continue;
		value = heap_getattr(row, att->attnum, desc, &isnull);
		return isnull ? NULL : TextDatumGetCString(value);
	}
	return NULL;
}
