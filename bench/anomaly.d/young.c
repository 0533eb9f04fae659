/*
 * young.c
 *	  Keys that are new: what is found in their first rows, and who is wronged.
 *
 * The streams of a world are begun anew, each once for every case, beside
 * peers that were learned from its first four weeks: those of the same segment,
 * or all of the meter.  Only the first rows count; later the stream's own
 * history speaks, of which the other parts tell.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/baseline.h"
#include "parts.h"
#include "world.h"

#define ACCOUNTS 300
#define WORLD_DAYS 150
#define SEGMENTS 3
#define PEER_DAYS 28
#define ROWS_JUDGED 40

typedef enum Case
{
	PLAIN, LARGER, SMALLER, RAMP, TRIAL, /* no faults */
	ABSURD, UP, DOWN, NOTHING, UP_AT_ONCE, DOWN_AT_ONCE,
	CASES
} Case;

static const char *const case_names[CASES] = {
	[PLAIN] = "as others begin",
	[LARGER] = "4 to 32 times larger than its like",
	[SMALLER] = "4 to 32 times smaller",
	[RAMP] = "grows 8 to 64 times in 10 to 40 rows",
	[TRIAL] = "3 to 10 rows of trial, 20 to 200 times smaller",
	[ABSURD] = "a first row 1,000 to 100,000 times too large",
	[UP] = "another unit, up, from a row 2 to 20 on",
	[DOWN] = "another unit, down, from a row 4 to 20 on",
	[NOTHING] = "zeros from a row 4 to 20 on",
	[UP_AT_ONCE] = "another unit, up, from the first row on",
	[DOWN_AT_ONCE] = "another unit, down, from the first row on"
};

static const double up_factors[] = {1000, 1024, 60, 3600, 100};

typedef struct Peers
{
	BjPeer		segment[KINDS][SEGMENTS];
	BjPeer		meter[KINDS];
} Peers;

/* What befalls one stream: rows from first to last are faulty. */
typedef struct Trial
{
	Case		what;
	int			first;
	int			last;
	double		factor;
} Trial;

typedef struct Count
{
	int			streams;
	int			told;
} Count;

static BjRow
as_row(const Stream *s, const Row *row, double quantity)
{
	BjRow		r;

	memset(&r, 0, sizeof(r));
	r.at = row->at * 1000000;
	r.quantity = quantity;
	if (s->kind == AMOUNTS && row->quantity != 0.0)
	{
		r.has_price = true;
		r.unit_price = s->price;
	}
	return r;
}

static void
learn_peers(Peers *peers, World *world, Rows *rows)
{
	static BjStream stream;

	for (int i = 0; i < world->stream_count; i++)
	{
		Stream	   *s = &world->streams[i];
		BjDetect	detect = bj_detect_defaults();
		BjJudgement j;

		detect.cumulative = s->kind == COUNTER;
		if (s->begin != EPOCH)
			continue;
		s->end = EPOCH + PEER_DAYS * DAY;
		world_write(world, i, rows);
		bj_stream_init(&stream);
		for (int k = 0; k < rows->count; k++)
		{
			BjRow		row = as_row(s, &rows->rows[k], rows->rows[k].quantity);

			bj_stream_observe(&stream, &detect, &row, &j);
		}
		bj_peer_add(&peers->segment[s->kind][world->accounts[s->account].segment], &stream.baseline);
		bj_peer_add(&peers->meter[s->kind], &stream.baseline);
	}
	for (int kind = 0; kind < KINDS; kind++)
	{
		bj_peer_finish(&peers->meter[kind]);
		for (int segment = 0; segment < SEGMENTS; segment++)
			bj_peer_finish(&peers->segment[kind][segment]);
	}
}

static Trial
draw(Case what, Random *r)
{
	Trial		t = {what, 0, ROWS_JUDGED, 1.0};

	switch (what)
	{
		case LARGER:
			t.factor = random_log(r, 4, 32);
			break;
		case SMALLER:
			t.factor = 1 / random_log(r, 4, 32);
			break;
		case RAMP:
			t.factor = random_log(r, 8, 64);
			t.last = 10 + random_below(r, 31);
			break;
		case TRIAL:
			t.factor = 1 / random_log(r, 20, 200);
			t.last = 2 + random_below(r, 8);
			break;
		case ABSURD:
			t.factor = random_log(r, 1000, 100000);
			t.last = 0;
			break;
		case UP:
		case UP_AT_ONCE:
			t.factor = up_factors[random_below(r, 5)];
			break;
		case DOWN:
		case DOWN_AT_ONCE:
			t.factor = 1 / up_factors[random_below(r, 5)];
			break;
		case NOTHING:
			t.factor = 0;
			break;
		default:
			break;
	}
	if (what == UP || what == DOWN || what == NOTHING)
	{
		int			least = what == UP ? 1 : 3;

		t.first = least + random_below(r, 20 - least);
		t.last = t.first + (int) random_log(r, 2, 20);
	}
	return t;
}

static double
value_of(const Trial *t, double x, int row)
{
	if (t->what == RAMP)
		return row >= t->last ? x : x * pow(t->factor, (double) row / t->last - 1);
	return row < t->first || row > t->last ? x : x * t->factor;
}

/* Is the stream told of in the rows that count? */
static bool
is_told(const Stream *s, const Rows *rows, const BjPeer *peer, const Trial *t)
{
	static BjStream stream;
	BjDetect	detect = bj_detect_defaults();
	BjJudgement j;
	bool		told = false;

	detect.peer = peer;
	bj_stream_init(&stream);
	for (int i = 0; i < rows->count && i < ROWS_JUDGED; i++)
	{
		/* from here on its own history speaks */
		if (i >= (stream_spacing(s) == DAY ? 16 : 20) && rows->rows[i].at - rows->rows[0].at >= 2 * DAY)
			break;
		BjRow		row = as_row(s, &rows->rows[i], value_of(t, rows->rows[i].quantity, i));

		bj_stream_observe(&stream, &detect, &row, &j);
		if ((j.opened || j.escalated) && (t->what <= TRIAL || (i >= t->first && i <= t->last)))
			told = true;
	}
	return told;
}

/* The stream begun anew. */
static void
begin_anew(Stream *s, Random *r)
{
	s->fault_count = 0;
	s->step = 0;
	s->seed = random_bits(r);
	s->begin = EPOCH + 35 * DAY + HOUR * random_below(r, 168);
	s->end = s->begin + (stream_spacing(s) == DAY ? 45 : stream_spacing(s) == 0 ? 12 : 3) * DAY;
}

static void
print_cases(Count count[][2])
{
	printf("| the first %d rows of new keys | | beside the segment | beside all of the meter |\n|---|---|---|---|\n", ROWS_JUDGED);
	for (int c = 0; c < CASES; c++)
	{
		printf("| %s | %s |", case_names[c], c <= TRIAL ? "told in vain" : "found");
		for (int whole = 0; whole < 2; whole++)
			printf(" %.3f (%d/%d) |", (double) count[c][whole].told / count[c][whole].streams,
				   count[c][whole].told, count[c][whole].streams);
		printf("\n");
	}
}

void
part_young(const char *name, uint64_t seed)
{
	static World world;
	static Peers peers;
	static Count count[CASES][2];
	Rows		rows = {0};
	Random		r;

	memset(&peers, 0, sizeof(peers));
	memset(count, 0, sizeof(count));
	world_plan(&world, seed, ACCOUNTS, WORLD_DAYS);
	learn_peers(&peers, &world, &rows);
	random_seed(&r, seed ^ UINT64_C(0x9E6B5));
	for (int i = 0; i < world.stream_count; i++)
	{
		Stream	   *s = &world.streams[i];
		const BjPeer *groups[2] = {
			&peers.segment[s->kind][world.accounts[s->account].segment], &peers.meter[s->kind]
		};

		/* a reading has no unit of its own */
		for (int c = 0; c < CASES && s->kind != COUNTER; c++)
		{
			Trial		t = draw(c, &r);

			begin_anew(s, &r);
			if (c == NOTHING && (s->kind == SPARSE || s->kind == AMOUNTS || s->kind == JOBS))
				continue;
			world_write(&world, i, &rows);
			for (int whole = 0; whole < 2; whole++)
			{
				count[c][whole].streams++;
				count[c][whole].told += is_told(s, &rows, groups[whole], &t);
			}
		}
	}
	printf("\n## New keys, %s half\n\n", name);
	print_cases(count);
	free(rows.rows);
	world_free(&world);
}
