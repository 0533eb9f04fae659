/*
 * product.c
 *	  Feeds rows to core/baseline as the insert path and detect_due() do.
 *
 * Nobody waits for the rows of a subscription that has ended: detect_due() is
 * not asked after an account's last row when it left.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/baseline.h"
#include "product.h"

#define PEER_WEEKS 4

struct Product
{
	BjDetect	detect;
	BjPeer		peers[PEER_GROUPS];
	BjStream	stream;
};

static int
peer_group(const World *world, const Stream *s)
{
	return s->kind * 3 + world->accounts[s->account].segment;
}

Product *
product_make(void)
{
	Product    *p = calloc(1, sizeof(*p));

	p->detect = bj_detect_defaults();
	return p;
}

double
product_threshold(void)
{
	return bj_detect_defaults().threshold;
}

const char *
product_reason(int reason)
{
	return bj_reason_name((BjReason) reason);
}

static BjRow
as_row(const Stream *s, const Row *row)
{
	BjRow		r;

	memset(&r, 0, sizeof(r));
	r.at = row->at * 1000000;
	r.quantity = row->quantity;
	if (s->kind == AMOUNTS && row->quantity != 0.0)
	{
		r.has_price = true;
		r.unit_price = row->amount / row->quantity;
	}
	return r;
}

static BjDetect
detect_for(const Product *p, const World *world, int stream)
{
	const Stream *s = &world->streams[stream];
	BjDetect	detect = p->detect;

	detect.cumulative = s->kind == COUNTER;
	detect.peer = s->begin > EPOCH + PEER_WEEKS * 7 * DAY - 1
		? &p->peers[peer_group(world, s)] : NULL;
	return detect;
}

void
product_learn_peers(Product *p, const World *world, int stream, const Rows *rows)
{
	const Stream *s = &world->streams[stream];
	BjDetect	detect = detect_for(p, world, stream);
	BjJudgement judgement;

	if (s->begin != EPOCH)
		return;
	bj_stream_init(&p->stream);
	for (int i = 0; i < rows->count && rows->rows[i].at < EPOCH + PEER_WEEKS * 7 * DAY; i++)
	{
		BjRow		row = as_row(s, &rows->rows[i]);

		bj_stream_observe(&p->stream, &detect, &row, &judgement);
	}
	bj_peer_add(&p->peers[peer_group(world, s)], &p->stream.baseline);
}

void
product_finish_peers(Product *p)
{
	for (int i = 0; i < PEER_GROUPS; i++)
		bj_peer_finish(&p->peers[i]);
}

const double product_levels[LEVELS] = {0.5, 0.6, 0.65, 0.7, 0.8, 0.9};

void
product_count(Product *p, const World *world, int stream, const Rows *rows, Levels *levels)
{
	BjDetect	detect = detect_for(p, world, stream);
	uint32_t	before = 0;

	bj_stream_init(&p->stream);
	for (int i = 0; i < rows->count; i++)
	{
		BjRow		row = as_row(&world->streams[stream], &rows->rows[i]);
		bool		usual = world_benign(world, stream, rows->rows[i].at) == NO_BENIGN;
		int64_t    *passed = usual ? levels->passed : levels->surprised_passed;
		uint32_t	now;
		BjJudgement j;

		bj_stream_observe(&p->stream, &detect, &row, &j);
		/* an incident that passes takes what it learned back with it */
		now = p->stream.baseline.observations;
		*(usual ? &levels->observations : &levels->surprised) += now > before ? now - before : now < before;
		before = now;
		/* what a rule says of a row is no rarity */
		for (int k = 0; k < LEVELS && j.rules == 0; k++)
			passed[k] += j.score >= product_levels[k];
	}
}

/* One alert for each incident that opens or escalates; rules by the day. */
static void
take(const BjJudgement *j, double threshold, Hit hit, Hits *hits)
{
	for (int reason = 0; reason < BJ_REASON_COUNT; reason++)
		if ((j->rules >> reason & 1) && j->score >= 0.5)
		{
			Hit			rule = hit;

			rule.family = (short) (32 + reason);
			rule.reason = (short) reason;
			rule.score = INFINITY;
			hits_add(hits, rule);
		}
	hit.reason = (short) j->reason;
	/* what the product opened is an alert, whatever the float rounds to */
	hit.score = (float) fmax(j->score, threshold) + 1e-6f;
	if (j->opened || j->escalated)
	{
		hit.family = 0;
		hits_add(hits, hit);
	}
	if (j->price_opened)
	{
		hit.family = 1;
		hit.reason = BJ_REASON_PRICE;
		hits_add(hits, hit);
	}
	if (j->family == BJ_FAMILY_CADENCE && j->reason == BJ_REASON_GAP &&
		j->score >= threshold)
	{
		hit.family = 2;
		hits_add(hits, hit);
	}
}

/* Signs as they were at each sixth hour before the next row. */
static void
take_snapshots(Snapshots *snapshots, int stream, const BjStream *state,
			   int64_t newest, int64_t next)
{
	for (int64_t k = (newest - EPOCH) / SNAPSHOT + 1;
		 k * SNAPSHOT + EPOCH <= next && k < snapshots->times; k++)
	{
		size_t		place = (size_t) stream * snapshots->times + k;
		int64_t		at;

		snapshots->signs[place] = bj_baseline_signs(&state->baseline, &at);
		snapshots->newest[place] = at / 1000000;
	}
}

void
product_run(Product *p, const World *world, int stream, const Rows *rows,
			double threshold, Hits *hits, Snapshots *snapshots)
{
	const Stream *s = &world->streams[stream];
	BjDetect	detect = detect_for(p, world, stream);
	int64_t		newest = INT64_MIN;
	int64_t		told = INT64_MIN;
	int64_t		last_look = world->accounts[s->account].leaving != 0 ? 0 : s->end;
	BjJudgement j;

	detect.threshold = threshold;
	bj_stream_init(&p->stream);
	for (int i = 0; i <= rows->count; i++)
	{
		int64_t		next = i < rows->count ? rows->rows[i].at : last_look;
		int64_t		due = bj_stream_due_at(&p->stream);
		bool		silent = false;
		bool		opened = false;

		/* what detect_due() says in the silence before this row */
		if (i > 0 && due != INT64_MAX && due / 1000000 < next && due != told)
		{
			/* it runs every hour */
			int64_t		clock = (due / 1000000 / HOUR + 1) * HOUR;

			if (clock < next && bj_stream_due(&p->stream, &detect, clock * 1000000, &j))
			{
				Hit			hit = {stream, i, clock, (float) j.score + 1e-6f,
				j.family == BJ_FAMILY_CADENCE ? 2 : 0, (short) j.reason};

				hits_add(hits, hit);
				told = due;
				silent = j.family == BJ_FAMILY_CADENCE;
				opened = !silent;
			}
		}
		if (i == rows->count)
			break;
		if (snapshots != NULL && i > 0)
			take_snapshots(snapshots, stream, &p->stream, newest, next);
		newest = rows->rows[i].at > newest ? rows->rows[i].at : newest;
		{
			BjRow		row = as_row(s, &rows->rows[i]);
			Hit			hit = {stream, i, newest, 0.0f, 0, 0};

			bj_stream_observe(&p->stream, &detect, &row, &j);
			/* the gap is told of already: the row only ends it */
			if (silent && j.family == BJ_FAMILY_CADENCE)
				j.score = 0.0;
			/* and so is the sum that ended: its incident is open */
			if (opened)
				j.opened = j.escalated = false;
			take(&j, threshold, hit, hits);
		}
	}
}
