/*
 * jsonpush.h
 *	  A key and its value, pushed on an object of jsonb that is being made.
 */
#ifndef BILLADJ_JSONPUSH_H
#define BILLADJ_JSONPUSH_H

#include "postgres.h"

#include "utils/jsonb.h"

#include "core/decimal.h"

/* What is pushed is pointed to until the object is made. */
extern void bj_jsonpush_key(JsonbParseState **state, const char *key);
extern void bj_jsonpush_text(JsonbParseState **state, const char *key,
							 const char *data, int length);
extern void bj_jsonpush_string(JsonbParseState **state, const char *key, const char *text);
extern void bj_jsonpush_numeric(JsonbParseState **state, const char *key, Datum number);
extern void bj_jsonpush_decimal(JsonbParseState **state, const char *key, Decimal value);

#endif							/* BILLADJ_JSONPUSH_H */
