/*
 * fuzz_digest.c
 *	  Two lists of fields are equal if and only if their encodings are; each leaf
 *	  of a tree leads to its root, and no other does from there.
 */
#include "core/digest.h"
#include "bytes.h"

typedef struct Given
{
	uint8_t		bytes[4096];
	size_t		size;
} Given;

static void
given_begin(void *state)
{
	((Given *) state)->size = 0;
}

static void
given_add(void *state, const uint8_t *data, size_t size)
{
	Given	   *given = state;

	must(given->size + size <= sizeof(given->bytes));
	memcpy(given->bytes + given->size, data, size);
	given->size += size;
}

static void
given_end(void *state, Digest *hash)
{
	Given	   *given = state;
	uint64_t	h = UINT64_C(14695981039346656037);

	for (size_t i = 0; i < given->size; i++)
		h = (h ^ given->bytes[i]) * UINT64_C(1099511628211);
	for (int i = 0; i < BJ_HASH_SIZE; i++)
		hash->bytes[i] = (uint8_t) ((h ^= h >> 29, h *= UINT64_C(0xBF58476D1CE4E5B9)) >> 56);
}

typedef struct Field
{
	FieldType	type;
	int64_t		number;
	uint8_t		data[8];
	size_t		size;
	bool		null;
} Field;

static void
take_fields(Bytes *bytes, Field *fields, int n)
{
	memset(fields, 0, sizeof(Field) * (size_t) n);
	for (int i = 0; i < n; i++)
	{
		fields[i].type = (FieldType) take_int(bytes, BJ_FIELD_INTEGER, BJ_FIELD_BYTES);
		fields[i].number = take_int(bytes, -1, 1);
		fields[i].size = (size_t) take_int(bytes, 0, 3);
		fields[i].null = take_int(bytes, 0, 3) == 0;
		for (size_t j = 0; j < fields[i].size; j++)
			fields[i].data[j] = (uint8_t) take_int(bytes, 0, 2);
	}
}

static void
encode(const Hasher *hasher, const Field *fields, int n)
{
	Encoding	e;
	Digest		hash;

	bj_encoding_begin(&e, hasher, "fuzz");
	for (int i = 0; i < n; i++)
	{
		if (fields[i].type <= BJ_FIELD_TIME)
			bj_encoding_integer(&e, fields[i].type, fields[i].number);
		else
			bj_encoding_bytes(&e, fields[i].type, fields[i].null ? NULL : fields[i].data, fields[i].size);
	}
	bj_encoding_end(&e, &hash);
}

static bool
field_equal(const Field *a, const Field *b)
{
	if (a->type != b->type)
		return false;
	if (a->type <= BJ_FIELD_TIME)
		return a->number == b->number;
	if (a->null || b->null)
		return a->null && b->null;
	return a->size == b->size && memcmp(a->data, b->data, a->size) == 0;
}

static void
check_fields(Bytes *bytes)
{
	static Given given[2];
	Field		fields[2][3];
	int			n[2];
	bool		equal;

	for (int i = 0; i < 2; i++)
	{
		Hasher		hasher = {&given[i], given_begin, given_add, given_end};

		n[i] = take_int(bytes, 0, 3);
		take_fields(bytes, fields[i], n[i]);
		encode(&hasher, fields[i], n[i]);
	}
	equal = n[0] == n[1];
	for (int i = 0; equal && i < n[0]; i++)
		equal = field_equal(&fields[0][i], &fields[1][i]);
	must(equal == (given[0].size == given[1].size &&
				   memcmp(given[0].bytes, given[1].bytes, given[0].size) == 0));
}

static void
check_tree(Bytes *bytes)
{
	static Given given;
	Hasher		hasher = {&given, given_begin, given_add, given_end};
	Digest		leaves[40];
	MerkleStep	steps[BJ_MERKLE_STEPS];
	Merkle		merkle;
	Digest		root;
	Digest		climbed;
	int			n = take_int(bytes, 1, 40);
	int			place = take_int(bytes, 0, n - 1);
	int			other = take_int(bytes, 0, n - 1);
	int			nsteps;

	bj_merkle_begin(&merkle);
	for (int i = 0; i < n; i++)
	{
		memset(&leaves[i], 0, sizeof(Digest));
		leaves[i].bytes[0] = (uint8_t) i;
		leaves[i].bytes[1] = take_byte(bytes);
		bj_merkle_add(&merkle, &hasher, &leaves[i]);
	}
	bj_merkle_root(&merkle, &hasher, &root);
	nsteps = bj_merkle_path(&hasher, leaves, (uint64_t) n, (uint64_t) place, steps);
	must(nsteps < 7);
	bj_merkle_climb(&hasher, &leaves[place], steps, nsteps, &climbed);
	must(bj_hash_equal(&climbed, &root));
	bj_merkle_climb(&hasher, &leaves[other], steps, nsteps, &climbed);
	must(bj_hash_equal(&climbed, &root) == (place == other));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Bytes		bytes = bytes_of(data, size);

	check_fields(&bytes);
	check_tree(&bytes);
	return 0;
}
