/*
 * keytext.c
 *	  How a key of a host table is spelled as text: one spelling for each value.
 *
 * Two spellings of one key would be two accounts, or a usage row that is
 * billed twice.  So only types are taken whose equality is equality of the
 * spelling here, and the spelling depends on no setting of the session.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "compat.h"
#include "errors.h"
#include "keytext.h"
#include "numericcodec.h"

bool
bj_key_type_ok(Oid basetype, bool event_key)
{
	switch (basetype)
	{
		case INT2OID:
		case INT4OID:
		case INT8OID:
		case NUMERICOID:
		case UUIDOID:
		case TEXTOID:
		case VARCHAROID:
		case BPCHAROID:
		case NAMEOID:
			return true;
		case TIMESTAMPTZOID:
		case TIMESTAMPOID:
		case DATEOID:
			return event_key;
		default:
			return false;
	}
}

KeyText
bj_key_from_string(const char *data, int length)
{
	KeyText		key;
	text	   *t = cstring_to_text_with_len(data, length);

	key.datum = PointerGetDatum(t);
	key.data = VARDATA(t);
	key.length = length;
	return key;
}

static KeyText
key_from_integer(int64 value)
{
	KeyText		key;
	text	   *t = palloc(VARHDRSZ + MAXINT8LEN + 1);

	key.length = pg_lltoa(value, VARDATA(t));
	SET_VARSIZE(t, VARHDRSZ + key.length);
	key.datum = PointerGetDatum(t);
	key.data = VARDATA(t);
	return key;
}

static KeyText
key_from_varlena(Datum value)
{
	KeyText		key;
	struct varlena *t = PG_DETOAST_DATUM_PACKED(value);

	key.datum = PointerGetDatum(t);
	key.data = VARDATA_ANY(t);
	key.length = VARSIZE_ANY_EXHDR(t);
	return key;
}

/* A char(n) without the blanks that its equality ignores. */
static KeyText
key_from_bpchar(Datum value)
{
	KeyText		key = key_from_varlena(value);
	int			length = key.length;

	while (length > 0 && key.data[length - 1] == ' ')
		length--;
	return length == key.length ? key : bj_key_from_string(key.data, length);
}

static KeyText
key_from_time(Datum value, Oid type)
{
	char		buf[MAXDATELEN + 1];
	int			utc = 0;

	JsonEncodeDateTime(buf, value, type, &utc);
	return bj_key_from_string(buf, strlen(buf));
}

static bool
key_from_numeric(Datum value, KeyText *text)
{
	Decimal		d;
	char		buf[BJ_DECIMAL_TEXT_SIZE];

	switch (bj_numeric_read(value, &d))
	{
		case BJ_OK:
			*text = bj_key_from_string(buf, bj_decimal_format(bj_decimal_normalize(d), buf));
			return true;
		case BJ_OUT_OF_RANGE:
			{
				/* more than 38 digits: exact all the same, by the slow way */
				Datum		trimmed = DirectFunctionCall1(numeric_trim_scale, value);
				char	   *s = DatumGetCString(DirectFunctionCall1(numeric_out, trimmed));

				*text = bj_key_from_string(s, strlen(s));
				return true;
			}
		default:
			return false;
	}
}

bool
bj_key_text(Oid basetype, Datum value, KeyText *text)
{
	switch (basetype)
	{
		case INT2OID:
			*text = key_from_integer(DatumGetInt16(value));
			return true;
		case INT4OID:
			*text = key_from_integer(DatumGetInt32(value));
			return true;
		case INT8OID:
			*text = key_from_integer(DatumGetInt64(value));
			return true;
		case NUMERICOID:
			return key_from_numeric(value, text);
		case UUIDOID:
			{
				char	   *s = DatumGetCString(DirectFunctionCall1(uuid_out, value));

				*text = bj_key_from_string(s, strlen(s));
				return true;
			}
		case TEXTOID:
		case VARCHAROID:
			*text = key_from_varlena(value);
			return true;
		case BPCHAROID:
			*text = key_from_bpchar(value);
			return true;
		case NAMEOID:
			*text = bj_key_from_string(NameStr(*DatumGetName(value)),
									   strlen(NameStr(*DatumGetName(value))));
			return true;
		case TIMESTAMPTZOID:
		case TIMESTAMPOID:
		case DATEOID:
			*text = key_from_time(value, basetype);
			return true;
		default:
			return false;
	}
}

bool
bj_key_append_json(Oid basetype, Datum value, StringInfo buf)
{
	KeyText		text;
	char	   *s;

	if (!bj_key_text(basetype, value, &text))
		return false;
	if (basetype == INT2OID || basetype == INT4OID || basetype == INT8OID ||
		basetype == NUMERICOID)
	{
		appendBinaryStringInfo(buf, text.data, text.length);
		return true;
	}
	if (basetype == TIMESTAMPTZOID || basetype == TIMESTAMPOID || basetype == DATEOID ||
		basetype == UUIDOID)
	{
		/* nothing in it needs to be escaped */
		appendStringInfoChar(buf, '"');
		appendBinaryStringInfo(buf, text.data, text.length);
		appendStringInfoChar(buf, '"');
		return true;
	}
	s = pnstrdup(text.data, text.length);
	escape_json(buf, s);
	pfree(s);
	return true;
}

bool
bj_key_equal(KeyText a, KeyText b)
{
	return a.length == b.length && memcmp(a.data, b.data, a.length) == 0;
}

/*
 * billadj.event_key(VARIADIC "any") → text: the spelling under which a host
 * key stands in charge.event_key.  NULL if a part is NULL.
 */
PG_FUNCTION_INFO_V1(billadj_event_key);
Datum
billadj_event_key(PG_FUNCTION_ARGS)
{
	int			n = PG_NARGS();
	StringInfoData buf;
	KeyText		text;

	if (get_fn_expr_variadic(fcinfo->flinfo))
		ereport(ERROR,
				(errcode(ERRCODE_BJ_BAD_KEY),
				 errmsg("billadj.event_key takes the key columns one by one, not as an array")));

	initStringInfo(&buf);
	for (int i = 0; i < n; i++)
	{
		Oid			type = getBaseType(get_fn_expr_argtype(fcinfo->flinfo, i));

		if (!bj_key_type_ok(type, true))
			ereport(ERROR,
					(errcode(ERRCODE_BJ_BAD_KEY),
					 errmsg("type %s cannot be an event key", format_type_be(type)),
					 errhint("Cast it to one of int2, int4, int8, numeric, uuid, text, timestamptz, timestamp, date.")));
		if (PG_ARGISNULL(i))
			PG_RETURN_NULL();
		if (n == 1)
		{
			if (!bj_key_text(type, PG_GETARG_DATUM(i), &text))
				PG_RETURN_NULL();
			PG_RETURN_TEXT_P(cstring_to_text_with_len(text.data, text.length));
		}
		appendStringInfoString(&buf, i == 0 ? "[" : ", ");
		if (!bj_key_append_json(type, PG_GETARG_DATUM(i), &buf))
			PG_RETURN_NULL();
	}
	appendStringInfoChar(&buf, ']');
	PG_RETURN_TEXT_P(cstring_to_text_with_len(buf.data, buf.len));
}
