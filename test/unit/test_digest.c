/*
 * test_digest.c
 *	  Encodings are told apart, trees have the shape of RFC 6962, chains are the
 *	  same on every machine.
 *
 * The hash is a toy that keeps what it is given: what is compared is what would
 * be hashed, byte by byte.
 */
#include <stdlib.h>
#include <string.h>

#include "core/digest.h"
#include "tap.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

typedef struct Toy
{
	uint8_t		given[512];
	size_t		size;
} Toy;

static void
toy_begin(void *state)
{
	((Toy *) state)->size = 0;
}

static void
toy_add(void *state, const uint8_t *data, size_t size)
{
	Toy		   *toy = state;

	memcpy(toy->given + toy->size, data, size);
	toy->size += size;
}

/* Order and all bytes count, which is all that a tree needs here. */
static void
toy_end(void *state, Digest *hash)
{
	Toy		   *toy = state;
	uint64_t	h = UINT64_C(14695981039346656037);

	for (size_t i = 0; i < toy->size; i++)
		h = (h ^ toy->given[i]) * UINT64_C(1099511628211);
	for (int i = 0; i < BJ_HASH_SIZE; i++)
		hash->bytes[i] = (uint8_t) ((h ^= h >> 29, h *= UINT64_C(0xBF58476D1CE4E5B9)) >> 56);
}

static Toy	toy;
static const Hasher hasher = {&toy, toy_begin, toy_add, toy_end};

static void
test_encoding(void)
{
	static const uint8_t wanted[] = {
		'd', 0,
		0, 1, 1, 0, 0, 0, 8, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFE,
		0, 2, 2, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 1, 2,
		0, 3, 3, 0, 0, 0, 2, 'a', 'b',
		0, 4, 3, 0, 0, 0, 0,
		0, 5, 4, 0xFF, 0xFF, 0xFF, 0xFF
	};
	Encoding	e;
	Digest		hash;

	bj_encoding_begin(&e, &hasher, "d");
	bj_encoding_integer(&e, BJ_FIELD_INTEGER, -2);
	bj_encoding_integer(&e, BJ_FIELD_TIME, 258);
	bj_encoding_bytes(&e, BJ_FIELD_TEXT, "ab", 2);
	bj_encoding_bytes(&e, BJ_FIELD_TEXT, "", 0);
	bj_encoding_bytes(&e, BJ_FIELD_BYTES, NULL, 0);
	bj_encoding_end(&e, &hash);
	ok(toy.size == sizeof(wanted) && memcmp(toy.given, wanted, sizeof(wanted)) == 0,
	   "domain, numbers, types, lengths, contents; empty is not NULL");
}

#define TEXT(s) {s, sizeof(s) - 1}

/* Each differs from the first in one field, or moves a letter between two. */
static const Leaf leaves[] = {
	{1, 2, 3, 4, TEXT("actor"), TEXT("role"), TEXT("event"), TEXT("object"), TEXT("account"), TEXT("{}")},
	{2, 2, 3, 4, TEXT("actor"), TEXT("role"), TEXT("event"), TEXT("object"), TEXT("account"), TEXT("{}")},
	{1, 1, 3, 4, TEXT("actor"), TEXT("role"), TEXT("event"), TEXT("object"), TEXT("account"), TEXT("{}")},
	{1, 2, 4, 4, TEXT("actor"), TEXT("role"), TEXT("event"), TEXT("object"), TEXT("account"), TEXT("{}")},
	{1, 2, 3, 3, TEXT("actor"), TEXT("role"), TEXT("event"), TEXT("object"), TEXT("account"), TEXT("{}")},
	{1, 2, 3, 4, TEXT("actorr"), TEXT("ole"), TEXT("event"), TEXT("object"), TEXT("account"), TEXT("{}")},
	{1, 2, 3, 4, TEXT("acto"), TEXT("role"), TEXT("event"), TEXT("object"), TEXT("account"), TEXT("{}")},
	{1, 2, 3, 4, TEXT("actor"), TEXT("Role"), TEXT("event"), TEXT("object"), TEXT("account"), TEXT("{}")},
	{1, 2, 3, 4, TEXT("actor"), TEXT("role"), TEXT("evenT"), TEXT("object"), TEXT("account"), TEXT("{}")},
	{1, 2, 3, 4, TEXT("actor"), TEXT("role"), TEXT("event"), TEXT("objecT"), TEXT("account"), TEXT("{}")},
	{1, 2, 3, 4, TEXT("actor"), TEXT("role"), TEXT("event"), TEXT("object"), TEXT(""), TEXT("{}")},
	{1, 2, 3, 4, TEXT("actor"), TEXT("role"), TEXT("event"), TEXT("object"), {NULL, 0}, TEXT("{}")},
	{1, 2, 3, 4, TEXT("actor"), TEXT("role"), TEXT("event"), TEXT("object"), TEXT("account"), TEXT("{} ")},
};

static void
test_leaves(void)
{
	Digest		hashes[COUNT(leaves)];

	for (size_t i = 0; i < COUNT(leaves); i++)
	{
		bj_leaf_hash(&hasher, &leaves[i], &hashes[i]);
		for (size_t j = 0; j < i; j++)
			ok(!bj_hash_equal(&hashes[i], &hashes[j]), "leaves %zu and %zu differ", i, j);
	}
}

static void
test_blocks(void)
{
	AuditBlock	blocks[8];
	Digest		hashes[COUNT(blocks)];

	memset(blocks, 0, sizeof(blocks));
	blocks[1].chain = 1;
	blocks[2].seq = 1;
	blocks[3].block_id = 1;
	blocks[4].entries = 1;
	blocks[5].root.bytes[31] = 1;
	blocks[6].prev.bytes[31] = 1;
	blocks[7].at = 1;
	for (size_t i = 0; i < COUNT(blocks); i++)
	{
		bj_block_hash(&hasher, &blocks[i], &hashes[i]);
		for (size_t j = 0; j < i; j++)
			ok(!bj_hash_equal(&hashes[i], &hashes[j]), "blocks %zu and %zu differ", i, j);
	}
}

/* The definition of RFC 6962, word by word. */
static void
root_by_definition(const Digest *list, size_t n, Digest *root)
{
	Encoding	e;
	Digest		parts[2];
	size_t		k = 1;

	if (n == 1)
	{
		*root = list[0];
		return;
	}
	while (k * 2 < n)
		k *= 2;
	root_by_definition(list, k, &parts[0]);
	root_by_definition(list + k, n - k, &parts[1]);
	bj_encoding_begin(&e, &hasher, "billadj-node-v1");
	bj_encoding_bytes(&e, BJ_FIELD_BYTES, parts[0].bytes, BJ_HASH_SIZE);
	bj_encoding_bytes(&e, BJ_FIELD_BYTES, parts[1].bytes, BJ_HASH_SIZE);
	bj_encoding_end(&e, root);
}

static void
test_trees(void)
{
	static const Digest zero;
	Digest		list[70];
	Merkle		merkle;
	Digest		root;

	for (size_t i = 0; i < COUNT(list); i++)
		memset(list[i].bytes, (int) i + 1, BJ_HASH_SIZE);
	bj_merkle_begin(&merkle);
	bj_merkle_root(&merkle, &hasher, &root);
	ok(bj_hash_equal(&root, &zero), "no leaf: zero bytes");
	for (size_t n = 1; n <= COUNT(list); n++)
	{
		MerkleStep	steps[BJ_MERKLE_STEPS];
		Digest		wanted;
		Digest		climbed;
		bool		all = true;
		bool		none = true;

		bj_merkle_add(&merkle, &hasher, &list[n - 1]);
		bj_merkle_root(&merkle, &hasher, &root);
		root_by_definition(list, n, &wanted);
		ok(bj_hash_equal(&root, &wanted), "root of %zu leaves", n);
		for (size_t place = 0; place < n; place++)
		{
			int			nsteps = bj_merkle_path(&hasher, list, n, place, steps);

			bj_merkle_climb(&hasher, &list[place], steps, nsteps, &climbed);
			all = all && bj_hash_equal(&climbed, &root);
			bj_merkle_climb(&hasher, &list[(place + 1) % n], steps, nsteps, &climbed);
			none = none && (n == 1 || !bj_hash_equal(&climbed, &root));
		}
		ok(all, "each of %zu leaves leads to the root", n);
		ok(none, "the neighbour of none of %zu leaves does", n);
	}
}

/* Fixed for ever: entries of one account stay on one chain. */
static const struct
{
	const char *account;
	int32_t		chain;
}			chain_cases[] = {
	{"", 10}, {"acme", 3}, {"1", 1}, {"k1", 13}, {"café", 3}
};

static void
test_chains(void)
{
	int			count[BJ_CHAINS] = {0};
	char		account[16];
	bool		even = true;

	for (size_t i = 0; i < COUNT(chain_cases); i++)
		ok(bj_account_chain(chain_cases[i].account, strlen(chain_cases[i].account)) == chain_cases[i].chain,
		   "chain of \"%s\"", chain_cases[i].account);
	for (int i = 0; i < 16000; i++)
	{
		int32_t		chain = bj_account_chain(account, (size_t) snprintf(account, sizeof(account), "c%d", i));

		if (chain < 1 || chain > BJ_ACCOUNT_CHAINS)
			even = false;
		else
			count[chain]++;
	}
	for (int i = 1; i <= BJ_ACCOUNT_CHAINS; i++)
		even = even && count[i] > 800 && count[i] < 1200;
	ok(even, "16,000 accounts spread evenly over the chains");
}

int
main(void)
{
	test_encoding();
	test_leaves();
	test_blocks();
	test_trees();
	test_chains();
	return done_testing();
}
