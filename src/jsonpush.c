/*
 * jsonpush.c
 *	  A key and its value, pushed on an object of jsonb that is being made.
 */
#include "postgres.h"

#include "utils/numeric.h"

#include "jsonpush.h"
#include "numericcodec.h"

static void
push(JsonbParseState **state, JsonbIteratorToken token, const char *data, int length)
{
	JsonbValue	v;

	v.type = jbvString;
	v.val.string.val = unconstify(char *, data);
	v.val.string.len = length;
	pushJsonbValue(state, token, &v);
}

void
bj_jsonpush_key(JsonbParseState **state, const char *key)
{
	push(state, WJB_KEY, key, strlen(key));
}

void
bj_jsonpush_text(JsonbParseState **state, const char *key, const char *data, int length)
{
	bj_jsonpush_key(state, key);
	push(state, WJB_VALUE, data, length);
}

void
bj_jsonpush_string(JsonbParseState **state, const char *key, const char *text)
{
	bj_jsonpush_text(state, key, text, strlen(text));
}

void
bj_jsonpush_numeric(JsonbParseState **state, const char *key, Datum number)
{
	JsonbValue	v;

	bj_jsonpush_key(state, key);
	v.type = jbvNumeric;
	v.val.numeric = DatumGetNumeric(number);
	pushJsonbValue(state, WJB_VALUE, &v);
}

void
bj_jsonpush_decimal(JsonbParseState **state, const char *key, Decimal value)
{
	bj_jsonpush_numeric(state, key, bj_numeric_make(value, 0));
}
