/*
 * baselines.c
 *	  Store: what is usual for each stream.
 *
 * Who has locked a stream has its row in billadj.open_bucket where the baseline
 * there says that it has a bucket, and its row in billadj.baseline elsewhere.  A
 * baseline that changes from one kind to the other is written to both, the
 * lock it had first: whoever looked before that meets a row that was updated,
 * and looks again.
 */
#include "postgres.h"

#include "port/pg_crc32c.h"

#include "baselines.h"
#include "staterow.h"

struct Baselines
{
	StateTable	stream;
	StateTable	bucket;
	bool		looked;			/* for the bucket of the stream in question */
	bool		divided;		/* its lock is the bucket's row */
	bool		mend;			/* a row of its bucket says what is not so */
};

/* Of the tables, as this session knows them. */
static StateMemory stream_memory;
static StateMemory bucket_memory;

uint32
bj_baselines_crc(const void *data, size_t size)
{
	pg_crc32c	crc;

	INIT_CRC32C(crc);
	COMP_CRC32C(crc, data, size);
	FIN_CRC32C(crc);
	return crc;
}

Baselines *
bj_baselines_open_buckets(const char **problem)
{
	Baselines  *s = palloc0(sizeof(Baselines));

	return bj_staterow_open(&s->bucket, BJ_TABLE_OPEN_BUCKET, &bucket_memory, problem) ? s : NULL;
}

bool
bj_baselines_can_find(Baselines *s, const char **problem)
{
	return s->stream.rel != NULL ||
		bj_staterow_open(&s->stream, BJ_TABLE_BASELINE, &stream_memory, problem);
}

Baselines *
bj_baselines_open(const char **problem)
{
	Baselines  *s = bj_baselines_open_buckets(problem);

	if (s == NULL || bj_baselines_can_find(s, problem))
		return s;
	bj_baselines_close(s);
	return NULL;
}

void
bj_baselines_close(Baselines *s)
{
	bj_staterow_close(&s->stream);
	bj_staterow_close(&s->bucket);
}

/* ---- finding ---- */

static bool
decode_bucket(Baselines *s, BjBaseline *head)
{
	return bj_bucket_decode((const uint8_t *) s->bucket.bytes, s->bucket.size,
							bj_baselines_crc, head) == BJ_OK;
}

bool
bj_baselines_find_bucket(Baselines *s, KeyText account, KeyText meter, bool thorough,
						 BjBaseline *head)
{
	bj_staterow_forget(&s->stream);
	s->looked = true;
	s->divided = bj_staterow_find(&s->bucket, account, meter, thorough) &&
		decode_bucket(s, head) && bj_baseline_has_bucket(head);
	return s->divided;
}

static BaselineFound
read_stream(Baselines *s, KeyText account, KeyText meter, bool thorough, BjBaseline *baseline)
{
	if (!bj_staterow_find(&s->stream, account, meter, thorough))
		return BJ_BASELINE_NONE;
	return bj_baseline_decode((const uint8_t *) s->stream.bytes, s->stream.size,
							  bj_baselines_crc, baseline) == BJ_OK ? BJ_BASELINE_READ : BJ_BASELINE_BAD;
}

/* Does billadj.baseline say the same of the bucket as billadj.open_bucket? */
static bool
agree(const Baselines *s, BaselineFound found, const BjBaseline *baseline)
{
	if (found == BJ_BASELINE_READ)
		return bj_baseline_has_bucket(baseline) == s->divided;
	return found == BJ_BASELINE_BAD || !s->divided;
}

BaselineFound
bj_baselines_find(Baselines *s, KeyText account, KeyText meter, bool thorough,
				  BjBaseline *baseline)
{
	BjBaseline	head;
	BaselineFound found;

	if (!s->looked)
		bj_baselines_find_bucket(s, account, meter, thorough, &head);
	found = read_stream(s, account, meter, thorough, baseline);
	if (!agree(s, found, baseline))
	{
		/* something was missed, or somebody wrote both in between */
		bj_baselines_find_bucket(s, account, meter, true, &head);
		found = read_stream(s, account, meter, true, baseline);
	}
	s->looked = s->mend = false;
	if (found == BJ_BASELINE_READ && !agree(s, found, baseline))
	{
		/* made by hand, or damaged: billadj.baseline has a head, if an old one */
		if (!s->divided && s->bucket.found && !decode_bucket(s, &head))
			found = BJ_BASELINE_BAD;
		s->divided = false;
		s->mend = true;
	}
	if (found != BJ_BASELINE_READ)
		memset(baseline, 0, sizeof(*baseline));
	else if (s->divided && !decode_bucket(s, baseline))
		elog(ERROR, "a bucket was read once and not again");
	return found;
}

/* ---- writing ---- */

bool
bj_baselines_write_bucket(Baselines *s, const BjBaseline *head)
{
	uint8		bytes[BJ_BUCKET_SIZE];

	s->looked = false;
	bj_bucket_encode(head, bj_baselines_crc, bytes);
	return bj_staterow_update(&s->bucket, bytes, sizeof(bytes), NULL);
}

static bool
put(StateTable *t, KeyText account, KeyText meter, const uint8 *bytes, int size,
	const char *problem)
{
	return t->found ? bj_staterow_update(t, bytes, size, problem) :
		bj_staterow_create(t, account, meter, bytes, size);
}

/* Of a stream that is locked: only those who know no lock can be in the way. */
static void
must_put(StateTable *t, KeyText account, KeyText meter, const uint8 *bytes, int size,
		 const char *problem)
{
	while (!put(t, account, meter, bytes, size, problem))
		bj_staterow_find(t, account, meter, true);
}

bool
bj_baselines_write(Baselines *s, KeyText account, KeyText meter,
				   const BjBaseline *baseline, const char *problem)
{
	uint8		bytes[BJ_BASELINE_SIZE];
	uint8		bucket[BJ_BUCKET_SIZE];

	s->looked = false;
	bj_baseline_encode(baseline, bj_baselines_crc, bytes);
	bj_bucket_encode(baseline, bj_baselines_crc, bucket);
	if (s->divided)
	{
		if (!bj_staterow_update(&s->bucket, bucket, sizeof(bucket), NULL))
			return false;
		must_put(&s->stream, account, meter, bytes, sizeof(bytes), problem);
		return true;
	}
	if (!put(&s->stream, account, meter, bytes, sizeof(bytes), problem))
		return false;
	if (s->mend || bj_baseline_has_bucket(baseline))
		must_put(&s->bucket, account, meter, bucket, sizeof(bucket), NULL);
	return true;
}
