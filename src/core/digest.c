/*
 * digest.c
 *	  What the audit log hashes: fixed encodings of its rows, and Merkle trees.
 */
#include "core/digest.h"

#include <string.h>

/* The version is part of each: another encoding is another domain. */
#define LEAF_DOMAIN "billadj-leaf-v1"
#define NODE_DOMAIN "billadj-node-v1"
#define BLOCK_DOMAIN "billadj-block-v1"

#define NULL_SIZE UINT32_C(0xFFFFFFFF)

static void
put(uint8_t *to, uint64_t value, int size)
{
	for (int i = 0; i < size; i++)
		to[i] = (uint8_t) (value >> 8 * (size - 1 - i));
}

void
bj_encoding_begin(Encoding *encoding, const Hasher *hasher, const char *domain)
{
	encoding->hasher = hasher;
	encoding->fields = 0;
	hasher->begin(hasher->state);
	hasher->add(hasher->state, (const uint8_t *) domain, strlen(domain) + 1);
}

/* Number, type and length. */
static void
put_head(Encoding *encoding, uint8_t *to, FieldType type, uint32_t size)
{
	put(to, ++encoding->fields, 2);
	to[2] = (uint8_t) type;
	put(to + 3, size, 4);
}

#define HEAD_SIZE 7

void
bj_encoding_integer(Encoding *encoding, FieldType type, int64_t value)
{
	uint8_t		field[HEAD_SIZE + 8];

	put_head(encoding, field, type, 8);
	put(field + HEAD_SIZE, (uint64_t) value, 8);
	encoding->hasher->add(encoding->hasher->state, field, sizeof(field));
}

void
bj_encoding_bytes(Encoding *encoding, FieldType type, const void *data, size_t size)
{
	uint8_t		head[HEAD_SIZE];

	put_head(encoding, head, type, data == NULL ? NULL_SIZE : (uint32_t) size);
	encoding->hasher->add(encoding->hasher->state, head, sizeof(head));
	if (data != NULL && size > 0)
		encoding->hasher->add(encoding->hasher->state, data, size);
}

void
bj_encoding_end(Encoding *encoding, Digest *hash)
{
	encoding->hasher->end(encoding->hasher->state, hash);
}

/* ---- rows ---- */

static void
put_text(Encoding *encoding, Text text)
{
	bj_encoding_bytes(encoding, BJ_FIELD_TEXT, text.data, text.size);
}

void
bj_leaf_hash(const Hasher *hasher, const Leaf *leaf, Digest *hash)
{
	Encoding	e;

	bj_encoding_begin(&e, hasher, LEAF_DOMAIN);
	bj_encoding_integer(&e, BJ_FIELD_INTEGER, leaf->audit_id);
	bj_encoding_integer(&e, BJ_FIELD_INTEGER, leaf->chain);
	bj_encoding_integer(&e, BJ_FIELD_INTEGER, leaf->block_id);
	bj_encoding_integer(&e, BJ_FIELD_TIME, leaf->at);
	put_text(&e, leaf->actor);
	put_text(&e, leaf->role_name);
	put_text(&e, leaf->event);
	put_text(&e, leaf->object);
	put_text(&e, leaf->account);
	put_text(&e, leaf->payload);
	bj_encoding_end(&e, hash);
}

void
bj_block_hash(const Hasher *hasher, const AuditBlock *block, Digest *hash)
{
	Encoding	e;

	bj_encoding_begin(&e, hasher, BLOCK_DOMAIN);
	bj_encoding_integer(&e, BJ_FIELD_INTEGER, block->chain);
	bj_encoding_integer(&e, BJ_FIELD_INTEGER, block->seq);
	bj_encoding_integer(&e, BJ_FIELD_INTEGER, block->block_id);
	bj_encoding_integer(&e, BJ_FIELD_INTEGER, block->entries);
	bj_encoding_bytes(&e, BJ_FIELD_BYTES, block->root.bytes, BJ_HASH_SIZE);
	bj_encoding_bytes(&e, BJ_FIELD_BYTES, block->prev.bytes, BJ_HASH_SIZE);
	bj_encoding_integer(&e, BJ_FIELD_TIME, block->at);
	bj_encoding_end(&e, hash);
}

/* FNV-1a, 32 bits: it spreads, it proves nothing. */
int32_t
bj_account_chain(const char *account, size_t size)
{
	uint32_t	h = UINT32_C(2166136261);

	for (size_t i = 0; i < size; i++)
		h = (h ^ (uint8_t) account[i]) * UINT32_C(16777619);
	return 1 + (int32_t) ((h ^ (h >> 16)) % BJ_ACCOUNT_CHAINS);
}

/* ---- Merkle trees ---- */

/* A domain of its own, or two hashes could pass for a leaf. */
static void
join(const Hasher *hasher, const Digest *left, const Digest *right, Digest *node)
{
	Encoding	e;

	bj_encoding_begin(&e, hasher, NODE_DOMAIN);
	bj_encoding_bytes(&e, BJ_FIELD_BYTES, left->bytes, BJ_HASH_SIZE);
	bj_encoding_bytes(&e, BJ_FIELD_BYTES, right->bytes, BJ_HASH_SIZE);
	bj_encoding_end(&e, node);
}

static int
ones(uint64_t n)
{
	int			count = 0;

	for (; n != 0; n &= n - 1)
		count++;
	return count;
}

/* Each one bit of the number of leaves is a complete subtree. */
void
bj_merkle_add(Merkle *merkle, const Hasher *hasher, const Digest *leaf)
{
	int			top = ones(merkle->leaves);
	Digest		node = *leaf;

	for (uint64_t n = merkle->leaves; (n & 1) != 0; n >>= 1)
		join(hasher, &merkle->roots[--top], &node, &node);
	merkle->roots[top] = node;
	merkle->leaves++;
}

void
bj_merkle_root(const Merkle *merkle, const Hasher *hasher, Digest *root)
{
	int			top = ones(merkle->leaves);

	if (top == 0)
	{
		memset(root, 0, sizeof(Digest));
		return;
	}
	*root = merkle->roots[--top];
	while (top > 0)
		join(hasher, &merkle->roots[--top], root, root);
}

static void
root_of(const Hasher *hasher, const Digest *leaves, uint64_t n, Digest *root)
{
	Merkle		merkle;

	bj_merkle_begin(&merkle);
	for (uint64_t i = 0; i < n; i++)
		bj_merkle_add(&merkle, hasher, &leaves[i]);
	bj_merkle_root(&merkle, hasher, root);
}

int
bj_merkle_path(const Hasher *hasher, const Digest *leaves, uint64_t n, uint64_t place,
			   MerkleStep *steps)
{
	int			count = 0;

	/* from the root down, one half left each time */
	while (n > 1)
	{
		MerkleStep *step = &steps[count++];
		uint64_t	half = 1;

		while (half < n - half)
			half *= 2;
		step->left = place >= half;
		if (step->left)
		{
			root_of(hasher, leaves, half, &step->hash);
			leaves += half;
			place -= half;
			n -= half;
		}
		else
		{
			root_of(hasher, leaves + half, n - half, &step->hash);
			n = half;
		}
	}
	for (int i = 0; i < count / 2; i++)
	{
		MerkleStep	step = steps[i];

		steps[i] = steps[count - 1 - i];
		steps[count - 1 - i] = step;
	}
	return count;
}

void
bj_merkle_climb(const Hasher *hasher, const Digest *leaf, const MerkleStep *steps, int n,
				Digest *root)
{
	Digest		node = *leaf;

	for (int i = 0; i < n; i++)
	{
		if (steps[i].left)
			join(hasher, &steps[i].hash, &node, &node);
		else
			join(hasher, &node, &steps[i].hash, &node);
	}
	*root = node;
}
