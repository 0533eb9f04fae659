/*
 * keytext.h
 *	  How a key of a host table is spelled as text: one spelling for each value.
 */
#ifndef BILLADJ_KEYTEXT_H
#define BILLADJ_KEYTEXT_H

#include "postgres.h"

#include "lib/stringinfo.h"

/* Longer keys do not fit an index; their rows are parked. */
#define BJ_KEY_MAX 1000

/* A string that is also a text datum; the bytes belong to the datum. */
typedef struct KeyText
{
	Datum		datum;			/* a plain or short text, never toasted */
	const char *data;
	int			length;
} KeyText;

/* Is a value of this base type usable as a key?  time: also as event key only. */
extern bool bj_key_type_ok(Oid basetype, bool event_key);

/*
 * The spelling of a value of one of the types above: integers in decimal,
 * numeric without trailing zeros, uuid in lower case, char(n) without trailing
 * blanks, times in ISO 8601 (timestamptz in UTC).  May point into the value;
 * anything new is palloc'd.  False for a numeric that is no finite number.
 */
extern bool bj_key_text(Oid basetype, Datum value, KeyText *text);

extern KeyText bj_key_from_string(const char *data, int length);

/* Appends a value as an element of a JSON array: numbers bare, others quoted. */
extern bool bj_key_append_json(Oid basetype, Datum value, StringInfo buf);

extern bool bj_key_equal(KeyText a, KeyText b);

#endif							/* BILLADJ_KEYTEXT_H */
