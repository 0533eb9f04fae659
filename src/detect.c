/*
 * detect.c
 *	  Detection on usage: rows are noted as they are charged, judged at commit.
 *
 * A row costs the statement a note.  Judging waits for the commit, where the
 * stream's baseline is locked anyway: judged earlier, it would be judged twice.
 * Only a detector with action reject looks sooner, since an error at COMMIT
 * leaves no savepoint to go back to.
 */
#include "postgres.h"

#include "access/xact.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "port/pg_bswap.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "baselines.h"
#include "detect.h"
#include "detectors.h"
#include "duplicates.h"
#include "errors.h"
#include "incidents.h"

/* One stream of this transaction.  Never moved: rows point to it. */
struct DetectStream
{
	KeyText		account;		/* copied, as is the meter */
	KeyText		meter;
	uint64		prefix;			/* of the account, as a number that sorts so */
	uint32		first;			/* where its rows begin, while they are sorted */
	uint32		n;
	bool		placed;			/* it has its place in the order */
	BjStream   *ahead;			/* for reject: as if all were learned; or NULL */
	bool		settled;		/* nothing is left to be done at this commit */
	bool		judged;			/* by judge(), and not written yet */
	BjBaseline *head;			/* beside the total last absorbed into, after
								 * `absorbed` of its rows; or NULL */
	uint32		absorbed;
	HeldTotal  *home;			/* the total that has its head; or NULL */
	HeldTotal  *newest;			/* the last of its totals */
};

static inline uint32
stream_hash(const DetectStream *s)
{
	return hash_combine(hash_bytes((const unsigned char *) s->account.data, s->account.length),
						hash_bytes((const unsigned char *) s->meter.data, s->meter.length));
}

typedef struct StreamEntry
{
	const DetectStream *key;
	uint32		hash;
	char		status;
	DetectStream *stream;
} StreamEntry;

#define SH_PREFIX streams
#define SH_ELEMENT_TYPE StreamEntry
#define SH_KEY_TYPE const DetectStream *
#define SH_KEY key
#define SH_HASH_KEY(tb, key) stream_hash(key)
#define SH_EQUAL(tb, a, b) \
	(bj_key_equal((a)->account, (b)->account) && bj_key_equal((a)->meter, (b)->meter))
#define SH_STORE_HASH
#define SH_GET_HASH(tb, a) a->hash
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

/* Rows from `start` on are of this subtransaction or of one within it. */
typedef struct Level
{
	struct Level *parent;
	int			nest;
	SubTransactionId subid;
	uint32		start;
} Level;

typedef struct Notes
{
	MemoryContext context;		/* under TopTransactionContext */
	struct streams_hash *hash;
	DetectStream *last;			/* stream of the row before */
	DetectRow **blocks;			/* of rows, see row_at() */
	uint32		nblocks;
	uint32		n;
	uint32		checked;		/* rows before it were looked at for reject */
	Level	   *levels;
	DetectPrice *prices;
	char	   *key_room;		/* for event keys, and how much there is */
	Size		key_left;
} Notes;

static Notes *notes = NULL;		/* NULL until the transaction notes a row */

/*
 * Rows stand in blocks that never move: the first for those that are mostly
 * all, the others of BLOCK_ROWS.
 */
#define FIRST_ROWS 8
#define BLOCK_ROWS 512

static inline DetectRow *
row_at(uint32 i)
{
	return i < FIRST_ROWS ? &notes->blocks[0][i] :
		&notes->blocks[1 + (i - FIRST_ROWS) / BLOCK_ROWS][(i - FIRST_ROWS) % BLOCK_ROWS];
}

/* ---- subtransactions ---- */

/* Before a row is noted: what a rollback must forget. */
static void
mark_level(void)
{
	int			nest = GetCurrentTransactionNestLevel();
	Level	   *level = notes->levels;

	if (nest == 1 || (level != NULL && level->nest == nest))
		return;
	level = MemoryContextAlloc(notes->context, sizeof(Level));
	*level = (Level) {notes->levels, nest, GetCurrentSubTransactionId(), notes->n};
	notes->levels = level;
}

static void
subxact_callback(SubXactEvent event, SubTransactionId my, SubTransactionId up, void *arg)
{
	Level	   *level = notes ? notes->levels : NULL;

	if (level == NULL || level->subid != my)
		return;
	if (event == SUBXACT_EVENT_ABORT_SUB)
	{
		notes->n = level->start;
		notes->last = NULL;
		/* what was looked ahead had these rows in it */
		if (notes->checked > notes->n)
			notes->checked = 0;
	}
	else if (event != SUBXACT_EVENT_COMMIT_SUB)
		return;
	else if (level->nest > 2 && (level->parent == NULL || level->parent->nest != level->nest - 1))
	{
		/* the parent has no mark: ours becomes its own */
		level->nest--;
		level->subid = up;
		return;
	}
	notes->levels = level->parent;
	pfree(level);
}

/* ---- noting ---- */

bool
bj_detect_begin(void)
{
	return OidIsValid(bj_table_oid(BJ_TABLE_BASELINE)) && bj_detectors_begin() == NULL;
}

static void
notes_open(void)
{
	MemoryContext context = AllocSetContextCreate(TopTransactionContext, "billadj notes",
												  ALLOCSET_DEFAULT_SIZES);

	notes = MemoryContextAllocZero(context, sizeof(Notes));
	notes->context = context;
	notes->hash = streams_create(context, 16, NULL);
	notes->blocks = MemoryContextAlloc(context, sizeof(DetectRow *));
	notes->blocks[0] = MemoryContextAlloc(context, FIRST_ROWS * sizeof(DetectRow));
	notes->nblocks = 1;
}

static uint64
account_prefix(KeyText account)
{
	unsigned char bytes[sizeof(uint64)] = {0};
	uint64		prefix;

	memcpy(bytes, account.data, Min(account.length, sizeof(bytes)));
	memcpy(&prefix, bytes, sizeof(prefix));
	return pg_ntoh64(prefix);
}

/* kept: the texts last as long as the transaction. */
static DetectStream *
stream_of(KeyText account, KeyText meter, bool kept)
{
	DetectStream key = {account, meter};
	StreamEntry *entry;
	DetectStream *s = notes->last;
	uint32		hash;
	bool		found;

	if (s != NULL && bj_key_equal(s->account, account) && bj_key_equal(s->meter, meter))
		return s;
	hash = stream_hash(&key);
	entry = streams_lookup_hash(notes->hash, &key, hash);
	if (entry != NULL)
		return entry->stream;
	s = palloc0(sizeof(DetectStream));
	s->account = kept ? account : bj_key_from_string(account.data, account.length);
	s->meter = kept ? meter : bj_key_from_string(meter.data, meter.length);
	s->prefix = account_prefix(account);
	entry = streams_insert_hash(notes->hash, s, hash, &found);
	entry->stream = s;
	return s;
}

static const DetectPrice *
price_copy(const CatalogPrice *from)
{
	DetectPrice *copy;
	Size		tiers = from->price.ntiers * sizeof(PriceTier);

	for (copy = notes->prices; copy != NULL; copy = copy->next)
		if (copy->price_id == from->price_id)
			return copy;
	copy = palloc(sizeof(DetectPrice) + tiers);
	copy->price_id = from->price_id;
	copy->linear = from->linear;
	copy->unit = from->unit;
	copy->price = from->price;
	copy->price.tiers = (PriceTier *) (copy + 1);
	if (tiers > 0)
		memcpy(copy->price.tiers, from->price.tiers, tiers);
	copy->next = notes->prices;
	notes->prices = copy;
	return copy;
}

static void
add_block(void)
{
	/* each power of two there is room for as many again */
	if ((notes->nblocks & (notes->nblocks - 1)) == 0)
		notes->blocks = repalloc_huge(notes->blocks, 2 * notes->nblocks * sizeof(DetectRow *));
	notes->blocks[notes->nblocks++] = palloc(BLOCK_ROWS * sizeof(DetectRow));
}

/* A copy, packed: a row has little else that needs memory of its own. */
#define KEY_ROOM 8192

static KeyText
keep_key(KeyText key)
{
	char	   *copy;

	if (key.length > notes->key_left)
	{
		notes->key_left = Max(KEY_ROOM, key.length);
		notes->key_room = palloc(notes->key_left);
	}
	copy = notes->key_room;
	memcpy(copy, key.data, key.length);
	notes->key_room += key.length;
	notes->key_left -= key.length;
	return (KeyText) {(Datum) 0, copy, key.length};
}

void
bj_detect_note(const Charge *c, const CatalogPrice *price, int64 charge_id,
			   DetectSlot *slot)
{
	MemoryContext old;
	DetectRow  *row;

	if (notes == NULL)
		notes_open();
	old = MemoryContextSwitchTo(notes->context);
	mark_level();
	if (notes->n == FIRST_ROWS + (notes->nblocks - 1) * BLOCK_ROWS)
		add_block();
	row = row_at(notes->n);
	if (slot == NULL)
		row->stream = stream_of(c->account, c->meter, false);
	else
	{
		if (slot->stream == NULL)
			slot->stream = stream_of(slot->key->account, slot->key->meter, true);
		row->stream = slot->stream;
	}
	notes->last = row->stream;
	row->event_key = keep_key(c->event_key);
	row->occurred_at = c->occurred_at;
	row->period_start = c->period_start;
	row->charge_id = charge_id;
	row->price = price_copy(price);
	row->has_before = c->has_before;
	row->quantity = c->quantity;
	row->before = c->quantity_before;
	notes->n++;
	MemoryContextSwitchTo(old);
}

/* ---- in order ---- */

static int
text_cmp(KeyText a, KeyText b)
{
	int			cmp = memcmp(a.data, b.data, Min(a.length, b.length));

	return cmp != 0 ? cmp : a.length - b.length;
}

/* The lock order, the same everywhere: account, meter. */
static int
stream_cmp(const void *x, const void *y)
{
	const DetectStream *a = *(DetectStream *const *) x;
	const DetectStream *b = *(DetectStream *const *) y;
	int			cmp;

	if (a->prefix != b->prefix)
		return a->prefix < b->prefix ? -1 : 1;
	cmp = text_cmp(a->account, b->account);
	return cmp != 0 ? cmp : text_cmp(a->meter, b->meter);
}

static int
row_cmp(const void *x, const void *y)
{
	const DetectRow *a = *(DetectRow *const *) x;
	const DetectRow *b = *(DetectRow *const *) y;

	if (a->occurred_at != b->occurred_at)
		return a->occurred_at < b->occurred_at ? -1 : 1;
	return text_cmp(a->event_key, b->event_key);
}

typedef struct Ordered
{
	DetectStream **streams;
	uint32		nstreams;
	DetectRow **rows;			/* those of a stream side by side, in order */
} Ordered;

/*
 * The rows from `from` on, and their streams as they come.  Rows of one stream
 * mostly come in order: a look is cheaper than a sort.
 */
static Ordered
put_in_order(uint32 from)
{
	Ordered		o;
	uint32		n = notes->n - from;
	uint32		place = 0;

	o.streams = palloc_extended(n * sizeof(DetectStream *), MCXT_ALLOC_HUGE);
	o.rows = palloc_extended(n * sizeof(DetectRow *), MCXT_ALLOC_HUGE);
	o.nstreams = 0;
	for (uint32 i = from; i < notes->n; i++)
	{
		DetectStream *s = row_at(i)->stream;

		s->n = 0;
		s->placed = s->settled = s->judged = false;
		s->home = s->newest = NULL;
		s->head = NULL;
	}
	for (uint32 i = from; i < notes->n; i++)
		if (row_at(i)->stream->n++ == 0)
			o.streams[o.nstreams++] = row_at(i)->stream;
	for (uint32 i = 0; i < o.nstreams; i++)
	{
		o.streams[i]->first = place;
		place += o.streams[i]->n;
		o.streams[i]->n = 0;
	}
	for (uint32 i = from; i < notes->n; i++)
	{
		DetectStream *s = row_at(i)->stream;

		o.rows[s->first + s->n++] = row_at(i);
	}
	for (uint32 i = 0; i < o.nstreams; i++)
	{
		DetectRow **rows = o.rows + o.streams[i]->first;

		for (uint32 k = 1; k < o.streams[i]->n; k++)
			if (row_cmp(&rows[k - 1], &rows[k]) > 0)
			{
				qsort(rows, o.streams[i]->n, sizeof(DetectRow *), row_cmp);
				break;
			}
	}
	return o;
}

/* How the stream's rows are judged, but for its peers; false: not at all. */
static bool
detect_for(const DetectStream *s, BjDetect *detect)
{
	DetectSettings settings;
	TimestampTz now = GetCurrentStatementStartTimestamp();

	bj_detectors_settings(s->account, s->meter, &settings);
	*detect = settings.detect;
	detect->use_bounds = settings.future_hours >= 0 || settings.past_days >= 0;
	detect->latest = settings.future_hours < 0 ? PG_INT64_MAX :
		now + BJ_EPOCH_SHIFT + (int64) (settings.future_hours * USECS_PER_HOUR);
	detect->earliest = settings.past_days < 0 ? PG_INT64_MIN :
		now + BJ_EPOCH_SHIFT - (int64) (settings.past_days * USECS_PER_DAY);
	return !settings.off;
}

/* Who it is compared with while it is young; NULL: nobody. */
static const BjPeer *
peer_for(const DetectStream *s, const BjBaseline *baseline)
{
	return bj_baseline_is_mature(baseline) ? NULL : bj_detectors_peer(s->account, s->meter);
}

/* ---- rejecting ---- */

static void
raise_rejected(const DetectStream *s, const DetectRow *row, const char *rule,
			   const BjJudgement *j)
{
	ereport(ERROR,
			(errcode(ERRCODE_BJ_REJECTED),
			 errmsg("usage of meter \"%.*s\" by account \"%.*s\" is refused: %s",
					s->meter.length, s->meter.data, s->account.length, s->account.data, rule),
			 j->family == BJ_FAMILY_LEVEL ?
			 errdetail("The row with event key \"%.*s\" has %g where %g to %g is usual; its score is %.3f.",
					   row->event_key.length, row->event_key.data,
					   j->observed, j->lo, j->hi, j->score) :
			 errdetail("The row with event key \"%.*s\" has %g; its score is %.3f.",
					   row->event_key.length, row->event_key.data, j->observed, j->score),
			 errhint("Load it without the row, or have the detector changed: SELECT * FROM billadj.detector WHERE action = 'reject';")));
}

/* The rule that refuses the row, or NULL. */
static const char *
refused_by(const DetectStream *s, const BjJudgement *j)
{
	for (int reason = 1; reason < BJ_REASON_COUNT; reason++)
	{
		const char *rule = bj_reason_name((BjReason) reason);
		DetectPolicy policy;

		if ((j->rules & (1u << reason)) == 0 && !(j->opened && j->reason == reason))
			continue;
		bj_detectors_policy(s->account, s->meter, rule, &policy);
		if (policy.action == BJ_ACTION_REJECT && !policy.off && j->score >= policy.threshold)
			return rule;
	}
	return NULL;
}

/*
 * The stream as it will be if nobody else commits first: what is in the table,
 * and the transaction's own rows.  An open incident is left out; then nothing
 * opens anew, and only the rules for single rows refuse.
 */
static void
look_ahead(Baselines *store, DetectStream *s, DetectRow **rows)
{
	BjDetect	detect;
	BjStream   *stream = s->ahead;

	if (stream == NULL)
	{
		stream = s->ahead = MemoryContextAllocZero(notes->context, sizeof(BjStream));
		bj_baselines_find(store, s->account, s->meter, true, &stream->baseline);
	}
	if (!detect_for(s, &detect))
		return;
	detect.peer = peer_for(s, &stream->baseline);
	for (uint32 i = 0; i < s->n; i++)
	{
		BjRow		r = bj_incidents_core_row(rows[i]);
		BjJudgement j;
		const char *rule;

		bj_stream_observe(stream, &detect, &r, &j);
		rule = refused_by(s, &j);
		/* what it looks like is not enough to refuse it */
		if (rule != NULL && (j.rules != 1u << BJ_REASON_DUPLICATE ||
							 bj_duplicates_sure(s->account, s->meter, rows[i])))
			raise_rejected(s, rows[i], rule, &j);
	}
}

static void
forget_ahead(void)
{
	for (uint32 i = 0; i < notes->n; i++)
		row_at(i)->stream->ahead = NULL;
}

void
bj_detect_end_statement(void)
{
	MemoryContext context;
	MemoryContext old;
	const char *problem;
	Baselines  *store;
	Ordered		o;
	uint32		from;

	if (notes == NULL || notes->checked == notes->n || !bj_detectors_any(BJ_ACTION_REJECT))
		return;
	context = AllocSetContextCreate(CurrentMemoryContext, "billadj reject", ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(context);
	store = bj_baselines_open(&problem);
	if (store != NULL)
	{
		from = notes->checked;
		if (from == 0)
			forget_ahead();
		/* before: what is refused was looked at, and is rolled back */
		notes->checked = notes->n;
		o = put_in_order(from);
		qsort(o.streams, o.nstreams, sizeof(DetectStream *), stream_cmp);
		for (uint32 i = 0; i < o.nstreams; i++)
			look_ahead(store, o.streams[i], o.rows + o.streams[i]->first);
		bj_baselines_close(store);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}

/* ---- settling ---- */

/* From bj_detect_order() to bj_detect_settle(). */
typedef struct Settling
{
	MemoryContext whole;		/* of all this */
	Ordered		order;			/* its streams as they come */
	DetectStream **streams;		/* in the lock order */
	int			nstreams;
	Baselines  *baselines;		/* NULL until a total has not all that is
								 * needed */
	Anomalies  *anomalies;		/* NULL until a stream needs more than a bucket */
	Duplicates *duplicates;
	Incidents  *incidents;		/* of one stream, as is the context */
	MemoryContext context;
	bool		warned;
	uint8		bucket[BJ_BUCKET_SIZE]; /* of bj_detect_absorb() */
} Settling;

static Settling *settling = NULL;

static DetectRow **
rows_of(const DetectStream *s)
{
	return settling->order.rows + s->first;
}

/* No reason to lose the usage. */
static void
warn_not_looked_at(const char *problem)
{
	if (!settling->warned)
		ereport(WARNING,
				(errcode(ERRCODE_BJ_NOT_INSTALLED),
				 errmsg("usage is not looked at for anomalies: %s", problem),
				 errhint("Run SELECT * FROM billadj.self_check().")));
	settling->warned = true;
}

static bool
open_buckets(void)
{
	const char *problem;

	if (settling->baselines != NULL)
		return true;
	if (settling->warned)
		return false;
	settling->baselines = bj_baselines_open_buckets(&problem);
	if (settling->baselines == NULL)
		warn_not_looked_at(problem);
	return settling->baselines != NULL;
}

/* What rows need of which more is to be said or learned than the bucket has. */
static bool
open_whole(void)
{
	const char *problem = NULL;

	if (settling->anomalies != NULL)
		return true;
	if (settling->warned)
		return false;
	if (bj_baselines_can_find(settling->baselines, &problem))
		settling->anomalies = bj_anomalies_open(&problem);
	if (settling->anomalies == NULL)
	{
		warn_not_looked_at(problem);
		return false;
	}
	settling->duplicates = bj_duplicates_begin(CurrentMemoryContext);
	settling->incidents = palloc0(sizeof(Incidents));
	settling->context = AllocSetContextCreate(CurrentMemoryContext, "billadj stream",
											  ALLOCSET_DEFAULT_SIZES);
	/* for the index predicates of what is written; decides nothing */
	PushActiveSnapshot(GetLatestSnapshot());
	return true;
}

static void
warn_damaged(const DetectStream *s)
{
	ereport(WARNING,
			(errcode(ERRCODE_BJ_BAD_BASELINE),
			 errmsg("the baseline of meter \"%.*s\" of account \"%.*s\" could not be read and is begun anew",
					s->meter.length, s->meter.data, s->account.length, s->account.data),
			 errhint("SELECT billadj.rebuild_baseline(%s, %s);",
					 quote_literal_cstr(pnstrdup(s->account.data, s->account.length)),
					 quote_literal_cstr(pnstrdup(s->meter.data, s->meter.length)))));
}

/*
 * Judges the rows of a stream with all of its baseline, in settling->incidents.
 * The first rows are in the head already, if what was found has one.
 */
static BaselineFound
judge_rows(const DetectStream *s, bool thorough, const BjDetect *detect, const BjBaseline *head,
		   uint32 absorbed)
{
	Incidents  *in = settling->incidents;
	BjBaseline *baseline = &in->stream.baseline;
	BaselineFound found = bj_baselines_find(settling->baselines, s->account, s->meter, thorough,
											baseline);

	/* an incident that is not open has nothing to it */
	in->stream.incident.open = false;
	memset((char *) in + offsetof(Incidents, detect), 0, sizeof(Incidents) - offsetof(Incidents, detect));
	in->account = s->account;
	in->meter = s->meter;
	in->store = settling->anomalies;
	in->duplicates = settling->duplicates;
	in->detect = *detect;
	in->detect.peer = peer_for(s, baseline);
	if (absorbed > 0 && found == BJ_BASELINE_READ && bj_bucket_follows(head, baseline))
		memcpy(baseline, head, BJ_HEAD_SIZE);
	else
		absorbed = 0;
	bj_incidents_begin(in);
	for (uint32 i = absorbed; i < s->n; i++)
		bj_incidents_row(in, rows_of(s)[i]);
	return found;
}

/* False if somebody else wrote the stream. */
static bool
settle_whole(const DetectStream *s, bool thorough, const BjDetect *detect, const BjBaseline *head,
			 uint32 absorbed)
{
	BaselineFound found = judge_rows(s, thorough, detect, head, absorbed);

	if (!bj_baselines_write(settling->baselines, s->account, s->meter,
							&settling->incidents->stream.baseline,
							found != BJ_BASELINE_BAD ? NULL :
							"its bytes could not be read; begun anew by the next usage"))
		return false;
	bj_incidents_end(settling->incidents);
	if (found == BJ_BASELINE_BAD)
		warn_damaged(s);
	return true;
}

/* As many rows as only add to the open bucket; *head is theirs. */
static uint32
absorb(const DetectStream *s, DetectRow **rows, const BjDetect *detect, BjBaseline *head)
{
	uint32		n = 0;

	for (; n < s->n; n++)
	{
		BjRow		r = bj_incidents_core_row(rows[n]);

		if (!bj_stream_absorb(head, detect, &r))
			break;
	}
	return n;
}

void
bj_detect_order(void)
{
	MemoryContext context;
	MemoryContext old;

	if (!bj_detect_noted())
		return;
	context = AllocSetContextCreate(notes->context, "billadj settle", ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(context);
	settling = palloc0(sizeof(Settling));
	settling->whole = context;
	settling->order = put_in_order(0);
	settling->streams = palloc_extended(settling->order.nstreams * sizeof(DetectStream *), MCXT_ALLOC_HUGE);
	MemoryContextSwitchTo(old);
}

bool
bj_detect_place(DetectStream *s)
{
	/* a rollback may have left it without a row */
	if (settling == NULL || s->n == 0)
		return false;
	if (!s->placed)
		settling->streams[settling->nstreams++] = s;
	return s->placed = true;
}

/* Both lists are in order; what is merged takes the place of the first. */
static void
merge_streams(DetectStream **rest, int n)
{
	DetectStream **streams = settling->streams;
	int			i = settling->nstreams;

	settling->nstreams += n;
	for (int to = settling->nstreams - 1; n > 0; to--)
		if (i > 0 && stream_cmp(&streams[i - 1], &rest[n - 1]) > 0)
			streams[to] = streams[--i];
		else
			streams[to] = rest[--n];
}

DetectStream **
bj_detect_place_rest(int *n)
{
	DetectStream **rest;

	*n = 0;
	if (settling == NULL || settling->nstreams == settling->order.nstreams)
		return NULL;
	rest = MemoryContextAllocHuge(settling->whole, settling->order.nstreams * sizeof(DetectStream *));
	for (uint32 i = 0; i < settling->order.nstreams; i++)
		if (!settling->order.streams[i]->placed)
			rest[(*n)++] = settling->order.streams[i];
	qsort(rest, *n, sizeof(DetectStream *), stream_cmp);
	merge_streams(rest, *n);
	return rest;
}

TotalKey
bj_detect_key(const DetectStream *s)
{
	return (TotalKey) {BJ_BOOK_BILLED, s->account, s->meter};
}

bool
bj_detect_lock(const DetectStream *s, TotalKey *key)
{
	MemoryContext old = MemoryContextSwitchTo(settling->whole);
	bool		beside = open_buckets() && open_whole() &&
		bj_baselines_lock(settling->baselines, s->account, s->meter, key);

	MemoryContextSwitchTo(old);
	return beside;
}

bool
bj_detect_beside(const DetectStream *s, bool again, TotalKey *key)
{
	MemoryContext old = MemoryContextSwitchTo(settling->whole);
	bool		beside = open_buckets() &&
		bj_baselines_beside(settling->baselines, s->account, s->meter, again, key);

	MemoryContextSwitchTo(old);
	return beside;
}

/* What was read and learned in vain is not to be read again. */
static void
keep_head(DetectStream *s, const BjBaseline *head, uint32 absorbed)
{
	s->head = MemoryContextAlloc(settling->whole, BJ_HEAD_SIZE);
	memcpy(s->head, head, BJ_HEAD_SIZE);
	s->absorbed = absorbed;
}

/*
 * Where a bucket ends and nothing is to be said of it: judged before the total
 * is locked, so that it is written once.  If it is as it was when it is written,
 * nobody has changed the stream.  False: it is left for later.
 */
static bool
judge(DetectStream *s, const BjDetect *detect, HeldTotal *home)
{
	const Incidents *in;
	MemoryContext old;
	bool		open;

	if (bj_baseline_has_incident(home->head))
		return false;
	old = MemoryContextSwitchTo(settling->whole);
	open = open_buckets() && open_whole();
	MemoryContextSwitchTo(old);
	if (!open)
		return false;
	in = settling->incidents;
	old = MemoryContextSwitchTo(settling->context);
	bj_baselines_hold(settling->baselines, home, home);
	s->judged = judge_rows(s, false, detect, home->head, home->absorbed) == BJ_BASELINE_READ &&
		bj_baselines_is_beside(settling->baselines) && in->anomalies == NIL && in->repeats == NIL;
	bj_baselines_hold(settling->baselines, NULL, NULL);
	MemoryContextSwitchTo(old);
	MemoryContextReset(settling->context);
	return s->judged;
}

bool
bj_detect_absorb(DetectStream *s, const TotalKey *key, bool alone, TotalRow *row)
{
	BjDetect	detect;
	BjBaseline	head;
	uint32		absorbed;

	s->head = NULL;
	s->judged = false;
	if (!detect_for(s, &detect))
		return true;
	if (bj_bucket_decode((const uint8_t *) row->bucket, row->bucket_size, bj_baselines_crc, &head) != BJ_OK ||
		!bj_baseline_has_bucket(&head))
		return false;
	absorbed = absorb(s, rows_of(s), &detect, &head);
	if (absorbed < s->n)
	{
		HeldTotal	home = {*key, *row, &head, absorbed};

		if (!alone || !judge(s, &detect, &home))
		{
			keep_head(s, &head, absorbed);
			return false;
		}
		memcpy(&head, &settling->incidents->stream.baseline, BJ_HEAD_SIZE);
	}
	bj_bucket_encode(&head, bj_baselines_crc, settling->bucket);
	row->bucket = (const char *) settling->bucket;
	return true;
}

void
bj_detect_hold(DetectStream *s, TierTotals *totals, const TotalKey *key, const TotalRow *row,
			   bool had_head, bool settled)
{
	MemoryContext old = MemoryContextSwitchTo(settling->whole);

	if (settled && s->judged)
		bj_baselines_write_rest(settling->baselines, s->account, s->meter,
								&settling->incidents->stream.baseline);
	s->settled |= settled;
	if (!s->settled)
	{
		s->newest = palloc(sizeof(HeldTotal));
		*s->newest = (HeldTotal) {bj_detect_key(s), *row, had_head ? s->head : NULL, s->absorbed};
		s->newest->key.period_start = key->period_start;
		s->newest->key.price_id = key->price_id;
		if (row->version != NULL)
			bj_tiertotals_keep(totals, &s->newest->row);
		if (had_head)
			s->home = s->newest;
	}
	MemoryContextSwitchTo(old);
}

/*
 * One stream.  Repeats when somebody else wrote it between our look and our
 * write; then nothing of the first try is left but numbers not used.
 */
static void
settle_stream(const DetectStream *s)
{
	DetectRow **rows = rows_of(s);
	BjDetect	detect;
	bool		done = false;

	if (!detect_for(s, &detect))
		return;
	for (int look = 0; !done; look++)
	{
		BjBaseline	head;
		uint32		absorbed = 0;
		MemoryContext old;

		CHECK_FOR_INTERRUPTS();
		bj_baselines_hold(settling->baselines, s->home, s->newest);
		if (bj_baselines_find_bucket(settling->baselines, s->account, s->meter, look > 0, &head))
			/* a head tried before it moved away says nothing of this one */
			absorbed = s->home != NULL && s->home->head != NULL ? s->home->absorbed :
				absorb(s, rows, &detect, &head);
		if (absorbed == s->n)
		{
			done = bj_baselines_write_bucket(settling->baselines, &head);
			continue;
		}
		if (!open_whole())
			return;
		old = MemoryContextSwitchTo(settling->context);
		done = settle_whole(s, look > 0, &detect, &head, absorbed);
		MemoryContextSwitchTo(old);
		MemoryContextReset(settling->context);
	}
}

static void
settle_context(void *arg)
{
	errcontext("settling %d baselines at commit", *(int *) arg);
}

static void
settle_streams(void)
{
	for (int i = 0; i < settling->nstreams; i++)
	{
		DetectStream *s = settling->streams[i];

		if (!s->settled && open_buckets())
			settle_stream(s);
	}
	if (settling->anomalies != NULL)
	{
		bj_duplicates_settle(settling->duplicates, settling->anomalies);
		PopActiveSnapshot();
		bj_anomalies_close(settling->anomalies);
	}
	if (settling->baselines == NULL)
		return;
	bj_baselines_close(settling->baselines);
	CommandCounterIncrement();
}

bool
bj_detect_noted(void)
{
	return notes != NULL && notes->n > 0;
}

void
bj_detect_settle(void)
{
	MemoryContext old;
	ErrorContextCallback callback;

	if (!bj_detect_noted())
		return;
	old = MemoryContextSwitchTo(settling->whole);
	callback = (ErrorContextCallback) {error_context_stack, settle_context, &settling->nstreams};
	error_context_stack = &callback;
	settle_streams();
	error_context_stack = callback.previous;
	MemoryContextSwitchTo(old);
	MemoryContextDelete(settling->whole);
	settling = NULL;
	/* another module's pre-commit callback may still write usage */
	notes->n = notes->checked = 0;
}

void
bj_detect_forget(void)
{
	notes = NULL;				/* the memory goes with TopTransactionContext */
	settling = NULL;
}

void
bj_detect_init(void)
{
	RegisterSubXactCallback(subxact_callback, NULL);
}
