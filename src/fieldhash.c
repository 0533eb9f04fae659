/*
 * fieldhash.c
 *	  SHA-256 over a list of fields.
 *
 * Apart, because the names of the core's types are those of the server's plan
 * nodes.
 */
#include "postgres.h"

#include "compat.h"
#include "fieldhash.h"
#include "sha256.h"

StaticAssertDecl(BJ_SHA256_SIZE == BJ_HASH_SIZE, "one size of a hash");

struct FieldHash
{
	Hasher		hasher;
	Encoding	encoding;
};

FieldHash *
bj_fieldhash_begin(const char *domain)
{
	FieldHash  *fields = palloc(sizeof(FieldHash));

	bj_sha256_open(&fields->hasher);
	bj_encoding_begin(&fields->encoding, &fields->hasher, domain);
	return fields;
}

void
bj_fieldhash_int64(FieldHash *fields, int64 value)
{
	bj_encoding_integer(&fields->encoding, BJ_FIELD_INTEGER, value);
}

void
bj_fieldhash_time(FieldHash *fields, TimestampTz value)
{
	bj_encoding_integer(&fields->encoding, BJ_FIELD_TIME, value);
}

void
bj_fieldhash_text(FieldHash *fields, const char *text)
{
	Text		utf8 = {NULL, 0};

	if (text != NULL)
		utf8 = bj_utf8(text, strlen(text));
	bj_encoding_bytes(&fields->encoding, BJ_FIELD_TEXT, utf8.data, utf8.size);
}

void
bj_fieldhash_bytes(FieldHash *fields, const bytea *bytes)
{
	bj_encoding_bytes(&fields->encoding, BJ_FIELD_BYTES, bytes ? VARDATA_ANY(bytes) : NULL,
					  bytes ? VARSIZE_ANY_EXHDR(bytes) : 0);
}

void
bj_fieldhash_decimal(FieldHash *fields, const Decimal *number)
{
	char		text[BJ_DECIMAL_TEXT_SIZE];
	size_t		size = number ? bj_decimal_format(bj_decimal_normalize(*number), text) : 0;

	bj_encoding_bytes(&fields->encoding, BJ_FIELD_NUMERIC, number ? text : NULL, size);
}

static bytea *
make_bytea(const Digest *hash)
{
	bytea	   *bytes = palloc(VARHDRSZ + BJ_HASH_SIZE);

	SET_VARSIZE(bytes, VARHDRSZ + BJ_HASH_SIZE);
	memcpy(VARDATA(bytes), hash->bytes, BJ_HASH_SIZE);
	return bytes;
}

bytea *
bj_fieldhash_end(FieldHash *fields)
{
	Digest		hash;

	bj_encoding_end(&fields->encoding, &hash);
	bj_sha256_close(&fields->hasher);
	pfree(fields);
	return make_bytea(&hash);
}

bytea *
bj_sha256_text(const char *text)
{
	Hasher		hasher;
	Digest		hash;

	bj_sha256_open(&hasher);
	hasher.begin(hasher.state);
	hasher.add(hasher.state, (const uint8_t *) text, strlen(text));
	hasher.end(hasher.state, &hash);
	bj_sha256_close(&hasher);
	return make_bytea(&hash);
}

bool
bj_sha256_equal(const bytea *a, const bytea *b)
{
	return a != NULL && b != NULL && VARSIZE_ANY_EXHDR(a) == BJ_HASH_SIZE &&
		VARSIZE_ANY_EXHDR(b) == BJ_HASH_SIZE &&
		memcmp(VARDATA_ANY(a), VARDATA_ANY(b), BJ_HASH_SIZE) == 0;
}

char *
bj_sha256_hex(const bytea *hash)
{
	int			n = VARSIZE_ANY_EXHDR(hash);
	char	   *text = palloc(n * 2 + 1);

	for (int i = 0; i < n; i++)
		snprintf(text + i * 2, 3, "%02x", (unsigned char) VARDATA_ANY(hash)[i]);
	text[n * 2] = '\0';
	return text;
}
