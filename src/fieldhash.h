/*
 * fieldhash.h
 *	  SHA-256 over a list of fields, in the fixed encoding of core/digest.h.
 */
#ifndef BILLADJ_FIELDHASH_H
#define BILLADJ_FIELDHASH_H

#include "postgres.h"

#include "datatype/timestamp.h"

#include "core/decimal.h"

#define BJ_SHA256_SIZE 32

typedef struct FieldHash FieldHash;

/* domain is ASCII; no two lists of fields of one domain have the same encoding. */
extern FieldHash *bj_fieldhash_begin(const char *domain);
extern void bj_fieldhash_int64(FieldHash *fields, int64 value);
extern void bj_fieldhash_time(FieldHash *fields, TimestampTz value);

/* NULL is a field of its own. */
extern void bj_fieldhash_text(FieldHash *fields, const char *text);
extern void bj_fieldhash_bytes(FieldHash *fields, const bytea *bytes);

/* NULL, or the shortest spelling of a number: 1.50 is 1.5. */
extern void bj_fieldhash_decimal(FieldHash *fields, const Decimal *number);

/* The hash as a bytea; fields is freed. */
extern bytea *bj_fieldhash_end(FieldHash *fields);

/* SHA-256 of a text as it is. */
extern bytea *bj_sha256_text(const char *text);

/* Are these two SHA-256, and equal?  NULL is not. */
extern bool bj_sha256_equal(const bytea *a, const bytea *b);

/* In hex, palloc'd. */
extern char *bj_sha256_hex(const bytea *hash);

#endif							/* BILLADJ_FIELDHASH_H */
