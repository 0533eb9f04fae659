/*
 * strhash.h
 *	  A hash table from strings (with a number beside them) to pointers.
 *
 * The strings are not copied: they must live as long as the table.
 */
#ifndef BILLADJ_STRHASH_H
#define BILLADJ_STRHASH_H

#include "postgres.h"

#include "common/hashfn.h"

typedef struct StrKey
{
	const char *data;
	int			length;
	int64		number;			/* 0 where only the string matters */
} StrKey;

typedef struct StrEntry
{
	StrKey		key;
	uint32		hash;
	char		status;
	void	   *value;
} StrEntry;

static inline uint32
strkey_hash(StrKey key)
{
	return hash_combine(hash_bytes((const unsigned char *) key.data, key.length),
						murmurhash32((uint32) key.number ^
									 (uint32) (key.number >> 32)));
}

static inline bool
strkey_equal(StrKey a, StrKey b)
{
	return a.length == b.length && a.number == b.number &&
		memcmp(a.data, b.data, a.length) == 0;
}

#define SH_PREFIX strhash
#define SH_ELEMENT_TYPE StrEntry
#define SH_KEY_TYPE StrKey
#define SH_KEY key
#define SH_HASH_KEY(tb, key) strkey_hash(key)
#define SH_EQUAL(tb, a, b) strkey_equal(a, b)
#define SH_STORE_HASH
#define SH_GET_HASH(tb, a) a->hash
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

/* The value kept for a string, or NULL. */
static inline void *
strhash_get(struct strhash_hash *table, const char *data, int length, int64 number)
{
	StrEntry   *entry = strhash_lookup(table, (StrKey) {data, length, number});

	return entry ? entry->value : NULL;
}

static inline void
strhash_put(struct strhash_hash *table, const char *data, int length,
			int64 number, void *value)
{
	bool		found;

	strhash_insert(table, (StrKey) {data, length, number}, &found)->value = value;
}

#endif							/* BILLADJ_STRHASH_H */
