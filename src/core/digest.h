/*
 * digest.h
 *	  What the audit log hashes: fixed encodings of its rows, and Merkle trees.
 *
 * An encoding is a domain, which no other one shares, and fields: number (two
 * bytes), type (one), length (four; 0xFFFFFFFF is NULL), content; numbers most
 * significant byte first.  Nothing of it depends on a setting, a locale or the
 * machine, and no two lists of fields have the same encoding.
 *
 * The tree is that of RFC 6962: the left part of n leaves is the largest power
 * of two below n.  The hash function comes in as an argument.
 */
#ifndef BILLADJ_CORE_DIGEST_H
#define BILLADJ_CORE_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BJ_HASH_SIZE 32

typedef struct Digest
{
	uint8_t		bytes[BJ_HASH_SIZE];
} Digest;

/* A hash function: begin, then any number of adds, then end; again and again. */
typedef struct Hasher
{
	void	   *state;
	void		(*begin) (void *state);
	void		(*add) (void *state, const uint8_t *data, size_t size);
	void		(*end) (void *state, Digest *hash);
} Hasher;

typedef enum FieldType
{
	BJ_FIELD_INTEGER = 1,		/* 64 bits, two's complement */
	BJ_FIELD_TIME = 2,			/* microseconds since 2000-01-01 UTC, as above */
	BJ_FIELD_TEXT = 3,			/* UTF-8 */
	BJ_FIELD_BYTES = 4,
	BJ_FIELD_NUMERIC = 5,		/* decimal text, with all its decimals */
	BJ_FIELD_BOOLEAN = 6		/* one byte, 0 or 1 */
} FieldType;

/* An encoding that is being hashed. */
typedef struct Encoding
{
	const Hasher *hasher;
	uint16_t	fields;			/* so far */
} Encoding;

/* domain is ASCII; its terminating zero byte is hashed with it. */
extern void bj_encoding_begin(Encoding *encoding, const Hasher *hasher, const char *domain);
extern void bj_encoding_integer(Encoding *encoding, FieldType type, int64_t value);

/* data NULL: the field is NULL.  size is below 2^32 - 1. */
extern void bj_encoding_bytes(Encoding *encoding, FieldType type, const void *data, size_t size);
extern void bj_encoding_end(Encoding *encoding, Digest *hash);

/* ---- what the rows of the log are hashed to ---- */

typedef struct Text
{
	const char *data;			/* UTF-8; NULL is NULL */
	size_t		size;
} Text;

typedef struct Leaf
{
	int64_t		audit_id;
	int32_t		chain;
	int64_t		block_id;
	int64_t		at;
	Text		actor;
	Text		role_name;
	Text		event;
	Text		object;
	Text		account;
	Text		payload;
} Leaf;

typedef struct AuditBlock
{
	int32_t		chain;
	int64_t		seq;
	int64_t		block_id;
	int64_t		entries;
	Digest		root;
	Digest		prev;
	int64_t		at;
} AuditBlock;

extern void bj_leaf_hash(const Hasher *hasher, const Leaf *leaf, Digest *hash);
extern void bj_block_hash(const Hasher *hasher, const AuditBlock *block, Digest *hash);

/*
 * The chain that an account's entries go to: 1 to BJ_ACCOUNT_CHAINS, the same
 * on every machine.
 */
#define BJ_ACCOUNT_CHAINS 16
#define BJ_CHAINS (BJ_ACCOUNT_CHAINS + 1)

extern int32_t bj_account_chain(const char *account, size_t size);

/* ---- Merkle trees ---- */

/* The roots of the complete subtrees of the leaves so far, largest first. */
typedef struct Merkle
{
	uint64_t	leaves;
	Digest		roots[64];
} Merkle;

static inline void
bj_merkle_begin(Merkle *merkle)
{
	merkle->leaves = 0;
}

extern void bj_merkle_add(Merkle *merkle, const Hasher *hasher, const Digest *leaf);

/* Zero bytes if there was no leaf.  More leaves may follow. */
extern void bj_merkle_root(const Merkle *merkle, const Hasher *hasher, Digest *root);

/* A step from a leaf to the root: the hash beside ours, and on which side. */
typedef struct MerkleStep
{
	bool		left;			/* it is to the left of ours */
	Digest		hash;
} MerkleStep;

#define BJ_MERKLE_STEPS 64

/*
 * The steps from leaves[place] up; place < n.  steps has room for
 * BJ_MERKLE_STEPS; returns how many there are.
 */
extern int	bj_merkle_path(const Hasher *hasher, const Digest *leaves, uint64_t n,
						   uint64_t place, MerkleStep *steps);

/* Where the steps lead from a leaf. */
extern void bj_merkle_climb(const Hasher *hasher, const Digest *leaf,
							const MerkleStep *steps, int n, Digest *root);

static inline bool
bj_hash_equal(const Digest *a, const Digest *b)
{
	unsigned	difference = 0;

	for (int i = 0; i < BJ_HASH_SIZE; i++)
		difference |= a->bytes[i] ^ b->bytes[i];
	return difference == 0;
}

#endif							/* BILLADJ_CORE_DIGEST_H */
