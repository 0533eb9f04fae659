/*
 * baselines.c
 *	  Store: what is usual for each stream.
 *
 * The row that is the lock of a stream is written first: it tells whether
 * somebody else was there.  What is written after it has nobody else to fear
 * but those who know no lock.  A baseline that changes from one lock to another
 * writes both, the one it had first: whoever looked before that meets a row
 * that was updated, and looks again.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "port/pg_crc32c.h"
#include "utils/memutils.h"

#include "baselines.h"
#include "staterow.h"

/* Where the head of the stream in question is. */
typedef enum Place
{
	NOWHERE,					/* it has none: it is judged row by row */
	APART,						/* in billadj.open_bucket */
	BESIDE						/* in billadj.tier_total */
} Place;

struct Baselines
{
	StateTable	stream;
	StateTable	bucket;
	TierTotals *totals;			/* NULL until one is looked for */
	MemoryContext context;		/* of all this */
	HeldTotal  *home;			/* what is held of the stream; or NULL */
	HeldTotal  *newest;
	HeldTotal  *stale;			/* held, and has a head that is not the one */
	HeldTotal	seen;			/* the home, where it is not held */
	bool		looked;			/* for the head of the stream */
	Place		place;
	BjBaseline	head;			/* no more of it than that; unless NOWHERE */
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

	s->context = CurrentMemoryContext;
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

static void
forget_seen(Baselines *s)
{
	if (s->seen.row.version != NULL)
		heap_freetuple(s->seen.row.version);
	memset(&s->seen, 0, sizeof(s->seen));
}

void
bj_baselines_close(Baselines *s)
{
	forget_seen(s);
	if (s->totals != NULL)
		bj_tiertotals_close(s->totals);
	bj_staterow_close(&s->stream);
	bj_staterow_close(&s->bucket);
}

/* ---- finding ---- */

bool
bj_baselines_beside(Baselines *s, KeyText account, KeyText meter, bool thorough, TotalKey *key)
{
	if (!bj_staterow_find(&s->bucket, account, meter, thorough) || !s->bucket.value.elsewhere)
		return false;
	*key = (TotalKey) {BJ_BOOK_BILLED, account, meter, s->bucket.value.period_start,
	s->bucket.value.price_id};
	return true;
}

void
bj_baselines_hold(Baselines *s, HeldTotal *home, HeldTotal *newest)
{
	s->home = home;
	s->newest = newest;
	s->stale = NULL;
	s->looked = false;
}

static bool
decode(const void *bytes, int size, BjBaseline *head)
{
	return bj_bucket_decode(bytes, size, bj_baselines_crc, head) == BJ_OK;
}

static bool
open_totals(Baselines *s)
{
	MemoryContext old = MemoryContextSwitchTo(s->context);
	const char *problem;

	if (s->totals == NULL)
		s->totals = bj_tiertotals_open(BJ_BOOK_BILLED, &problem);
	MemoryContextSwitchTo(old);
	return s->totals != NULL;
}

/* The total of a key as it is now; its version is allocated with the store. */
static bool
find_total(Baselines *s, const TotalKey *key, bool thorough, TotalRow *row)
{
	MemoryContext old = MemoryContextSwitchTo(s->context);
	const char *problem;
	BjStatus	status = BJ_OK;
	bool		found;

	memset(row, 0, sizeof(*row));
	found = open_totals(s) && bj_tiertotals_can_find(s->totals, &problem) &&
		bj_tiertotals_find(s->totals, key, bj_tiertotals_hash(key), thorough, row, &status) &&
		status == BJ_OK;
	MemoryContextSwitchTo(old);
	return found;
}

/*
 * The head where open_bucket says it is.  It may move while we look, and then
 * open_bucket says so; where it says the same twice and there is no head,
 * somebody took the total away.
 */
static bool
find_beside(Baselines *s, KeyText account, KeyText meter, BjBaseline *head)
{
	TotalKey	key;
	TotalKey	before = {0};

	while (bj_baselines_beside(s, account, meter, true, &key))
	{
		CHECK_FOR_INTERRUPTS();
		forget_seen(s);
		s->seen.key = key;
		if (find_total(s, &key, true, &s->seen.row) && s->seen.row.bucket_size > 0)
			return decode(s->seen.row.bucket, s->seen.row.bucket_size, head);
		if (key.price_id == before.price_id && key.period_start == before.period_start)
			return false;
		before = key;
	}
	return s->bucket.found && decode(s->bucket.value.bytes, s->bucket.value.size, head);
}

static Place
find_place(Baselines *s, KeyText account, KeyText meter, bool thorough)
{
	BjBaseline *head = &s->head;

	if (s->home != NULL && s->home->head != NULL)
	{
		memcpy(head, s->home->head, BJ_HEAD_SIZE);
		return BESIDE;
	}
	if (s->home != NULL)
		return decode(s->home->row.bucket, s->home->row.bucket_size, head) ? BESIDE : NOWHERE;
	if (!bj_staterow_find(&s->bucket, account, meter, thorough))
		return NOWHERE;
	if (!s->bucket.value.elsewhere)
		return decode(s->bucket.value.bytes, s->bucket.value.size, head) ? APART : NOWHERE;
	if (!find_beside(s, account, meter, head))
		return NOWHERE;
	return s->bucket.value.elsewhere ? BESIDE : APART;
}

bool
bj_baselines_find_bucket(Baselines *s, KeyText account, KeyText meter, bool thorough,
						 BjBaseline *head)
{
	bj_staterow_forget(&s->stream);
	bj_staterow_forget(&s->bucket);
	forget_seen(s);
	s->looked = true;
	s->place = find_place(s, account, meter, thorough);
	if (s->place == APART && !bj_baseline_has_bucket(&s->head))
		s->place = NOWHERE;
	if (s->place == NOWHERE || !bj_baseline_has_bucket(&s->head))
		return false;
	memcpy(head, &s->head, BJ_HEAD_SIZE);
	return true;
}

/* A total of the stream that has a head, right or wrong; or NULL. */
static HeldTotal *
headed_total(Baselines *s)
{
	if (s->home != NULL)
		return s->home;
	return s->seen.row.version != NULL && s->seen.row.bucket_size > 0 ? &s->seen : NULL;
}

static BaselineFound
read_stream(Baselines *s, KeyText account, KeyText meter, bool thorough, BjBaseline *baseline)
{
	if (!bj_staterow_find(&s->stream, account, meter, thorough))
		return BJ_BASELINE_NONE;
	return bj_baseline_decode(s->stream.value.bytes, s->stream.value.size,
							  bj_baselines_crc, baseline) == BJ_OK ? BJ_BASELINE_READ : BJ_BASELINE_BAD;
}

/* Does billadj.baseline say the same of the bucket as where its head was found? */
static bool
agree(const Baselines *s, BaselineFound found, const BjBaseline *baseline)
{
	bool		divided = s->place != NOWHERE && bj_baseline_has_bucket(&s->head);

	if (found == BJ_BASELINE_READ)
		return bj_baseline_has_bucket(baseline) == divided;
	return found == BJ_BASELINE_BAD || !divided;
}

/* No head was found: is that because its row is gone? */
static bool
is_gone(Baselines *s)
{
	return headed_total(s) == NULL && (!s->bucket.found || s->bucket.value.elsewhere ||
									   decode(s->bucket.value.bytes, s->bucket.value.size, &s->head));
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
	if (found == BJ_BASELINE_READ && s->home != NULL && s->place == BESIDE &&
		!bj_bucket_follows(&s->head, baseline))
	{
		/* left from before somebody took rows of the stream away */
		s->stale = s->home;
		s->home = NULL;
		bj_baselines_find_bucket(s, account, meter, true, &head);
		found = read_stream(s, account, meter, true, baseline);
	}
	if (!agree(s, found, baseline))
	{
		/* something was missed, or somebody wrote both in between */
		bj_baselines_find_bucket(s, account, meter, true, &head);
		found = read_stream(s, account, meter, true, baseline);
	}
	s->looked = s->mend = false;
	if (found == BJ_BASELINE_READ && !agree(s, found, baseline))
	{
		/*
		 * Made by hand, or damaged.  Where no head is to be found any more,
		 * billadj.baseline has one, if an old one.
		 */
		if (s->place == NOWHERE && !is_gone(s))
			found = BJ_BASELINE_BAD;
		s->place = NOWHERE;
		s->mend = true;
	}
	if (found != BJ_BASELINE_READ)
	{
		/* what open_bucket says may be gone with it */
		s->mend |= s->place == BESIDE;
		memset(baseline, 0, sizeof(*baseline));
	}
	else if (s->place != NOWHERE)
		memcpy(baseline, &s->head, BJ_HEAD_SIZE);
	return found;
}

/* ---- locking ---- */

BjLocked
bj_baselines_lock_now(Baselines *s)
{
	if (s->place == BESIDE)
		return bj_tiertotals_lock_now(s->totals, &s->seen.row);
	return bj_staterow_lock(s->place == APART ? &s->bucket : &s->stream, false);
}

bool
bj_baselines_lock(Baselines *s, KeyText account, KeyText meter, TotalKey *key)
{
	BjBaseline	baseline;
	bool		locked = false;

	for (int look = 0; !locked; look++)
	{
		BaselineFound found;

		CHECK_FOR_INTERRUPTS();
		bj_baselines_hold(s, NULL, NULL);
		found = bj_baselines_find(s, account, meter, look > 0, &baseline);
		if (s->place == BESIDE)
		{
			*key = s->seen.key;
			return true;
		}
		/* what was found is not changed; what was not is begun */
		locked = found == BJ_BASELINE_NONE && s->place == NOWHERE ?
			bj_baselines_write(s, account, meter, &baseline, NULL) :
			bj_staterow_lock(s->place == APART ? &s->bucket : &s->stream, true) == BJ_LOCKED;
	}
	return false;
}

/* ---- writing ---- */

static bool
is_after(const TotalKey *a, const TotalKey *b)
{
	return a->period_start != b->period_start ? a->period_start > b->period_start :
		a->price_id > b->price_id;
}

static bool
put(StateTable *t, KeyText account, KeyText meter, const StateValue *value)
{
	return t->found ? bj_staterow_update(t, value) : bj_staterow_create(t, account, meter, value);
}

/* Of a stream that is locked: only those who know no lock can be in the way. */
static void
must_put(StateTable *t, KeyText account, KeyText meter, const StateValue *value)
{
	if (!t->found)
		bj_staterow_find(t, account, meter, false);
	while (!put(t, account, meter, value))
		bj_staterow_find(t, account, meter, true);
}

/* Writes the total with another head. */
static bool
put_beside(Baselines *s, const TotalRow *now, const uint8 *head, int size)
{
	TotalRow	row = *now;

	row.bucket = (const char *) head;
	row.bucket_size = size;
	if (!bj_tiertotals_update(s->totals, now, &row))
		return false;
	heap_freetuple(row.version);
	return true;
}

/* The same of one that is locked; one that was taken away meanwhile stays so. */
static void
must_put_beside(Baselines *s, const HeldTotal *held, const uint8 *head, int size)
{
	TotalRow	now = held->row;

	if (!open_totals(s))
		return;
	while (now.version != NULL || find_total(s, &held->key, true, &now))
	{
		if (put_beside(s, &now, head, size))
			return;
		now.version = NULL;
	}
}

bool
bj_baselines_write_bucket(Baselines *s, const BjBaseline *head)
{
	uint8		bytes[BJ_BUCKET_SIZE];
	StateValue	value = {bytes, sizeof(bytes)};

	s->looked = false;
	bj_bucket_encode(head, bj_baselines_crc, bytes);
	if (s->place == APART)
		return bj_staterow_update(&s->bucket, &value);
	if (s->home == NULL)
		return put_beside(s, &s->seen.row, bytes, sizeof(bytes));
	must_put_beside(s, s->home, bytes, sizeof(bytes));
	return true;
}

bool
bj_baselines_is_beside(const Baselines *s)
{
	return s->place == BESIDE && s->home != NULL && !s->mend;
}

void
bj_baselines_write_rest(Baselines *s, KeyText account, KeyText meter, const BjBaseline *baseline)
{
	uint8		bytes[BJ_BASELINE_SIZE];
	StateValue	whole = {bytes, sizeof(bytes)};

	bj_baseline_encode(baseline, bj_baselines_crc, bytes);
	must_put(&s->stream, account, meter, &whole);
}

/*
 * The total that is to have the head of a baseline; NULL: none.  Of one that is
 * not judged by buckets any more it stays there, as the lock that it is.
 */
static HeldTotal *
choose_total(Baselines *s, const BjBaseline *baseline, HeldTotal *headed)
{
	if (s->place != BESIDE)
		return bj_baseline_has_bucket(baseline) ? s->newest : NULL;
	return s->newest != NULL && is_after(&s->newest->key, &headed->key) ? s->newest : headed;
}

bool
bj_baselines_write(Baselines *s, KeyText account, KeyText meter,
				   const BjBaseline *baseline, const char *problem)
{
	uint8		bytes[BJ_BASELINE_SIZE];
	uint8		head[BJ_BUCKET_SIZE];
	HeldTotal  *from = headed_total(s);
	HeldTotal  *to = choose_total(s, baseline, from);
	StateValue	whole = {bytes, sizeof(bytes), problem};
	StateValue	bucket = {head, sizeof(head)};

	s->looked = false;
	bj_baseline_encode(baseline, bj_baselines_crc, bytes);
	bj_bucket_encode(baseline, bj_baselines_crc, head);
	if (to != NULL)
		bucket = (StateValue) {NULL, 0, NULL, true, to->key.period_start, to->key.price_id};

	/* the lock */
	if (s->place == NOWHERE && !put(&s->stream, account, meter, &whole))
		return false;
	if (s->place == APART && !bj_staterow_update(&s->bucket, &bucket))
		return false;
	if (s->place == BESIDE && s->home == NULL &&
		!put_beside(s, &from->row, head, from == to ? sizeof(head) : 0))
		return false;

	/* the rest */
	if (s->place != NOWHERE)
		must_put(&s->stream, account, meter, &whole);
	if (from != NULL && (s->place == NOWHERE || s->home != NULL))
		must_put_beside(s, from, head, from == to ? sizeof(head) : 0);
	if (to != NULL && to != from)
		must_put_beside(s, to, head, sizeof(head));
	if (s->stale != NULL && s->stale != to)
		must_put_beside(s, s->stale, NULL, 0);
	if (s->place == NOWHERE ? s->mend || bj_baseline_has_bucket(baseline) :
		s->place == BESIDE && (from != to || s->mend))
		must_put(&s->bucket, account, meter, &bucket);
	return true;
}
