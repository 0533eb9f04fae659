/*
 * sha256.c
 *	  The server's SHA-256 as the hash function of the core.
 *
 * By OpenSSL where the server was built with it, so that what a machine is
 * certified for is what is used.
 */
#include "postgres.h"

#include "common/cryptohash.h"
#include "common/sha2.h"
#include "mb/pg_wchar.h"

#include "sha256.h"

static void
check(pg_cryptohash_ctx *context, int result)
{
	if (result < 0)
		elog(ERROR, "could not compute SHA-256: %s", pg_cryptohash_error(context));
}

static void
begin(void *state)
{
	check(state, pg_cryptohash_init(state));
}

static void
add(void *state, const uint8_t *data, size_t size)
{
	check(state, pg_cryptohash_update(state, data, size));
}

static void
end(void *state, Digest *hash)
{
	StaticAssertStmt(BJ_HASH_SIZE == PG_SHA256_DIGEST_LENGTH, "a hash is that of SHA-256");
	check(state, pg_cryptohash_final(state, hash->bytes, sizeof(hash->bytes)));
}

void
bj_sha256_open(Hasher *hasher)
{
	*hasher = (Hasher) {pg_cryptohash_create(PG_SHA256), begin, add, end};
	if (hasher->state == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory")));
}

void
bj_sha256_close(Hasher *hasher)
{
	pg_cryptohash_free(hasher->state);
	hasher->state = NULL;
}

Text
bj_utf8(const char *text, size_t size)
{
	char	   *converted = pg_server_to_any(text, size, PG_UTF8);

	return (Text) {converted, converted == text ? size : strlen(converted)};
}
