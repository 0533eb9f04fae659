/*
 * methods.c
 *	  The simple detectors to compare with, and the row rules all share.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "methods.h"

#define WINDOW 168				/* values that MAD looks at */
#define REMEMBERED 64			/* rows that the rules remember */
#define WARM_UP_ROWS 20
#define WARM_UP_TIME (2 * DAY)

const char *const method_names[SIMPLE_METHODS] = {
	"EWMA z", "hour-of-week z", "MAD of 168", "fixed percentage"
};

/* Scores below these are no alert at any threshold that is tried. */
static const float floors[SIMPLE_METHODS] = {3.0f, 3.0f, 4.0f, 0.4f};

void
hits_add(Hits *hits, Hit hit)
{
	if (hits->count == hits->room)
	{
		hits->room = hits->room == 0 ? 1024 : hits->room * 2;
		hits->hits = realloc(hits->hits, sizeof(Hit) * hits->room);
	}
	hits->hits[hits->count++] = hit;
}

typedef struct Slot
{
	double		mean;
	double		square;			/* mean square of the deviation */
	double		n;
} Slot;

/* All the methods' memory of one stream. */
typedef struct Memory
{
	int64_t		observations;
	int64_t		first_at;
	Slot		ewma;
	Slot		week[168];
	double		percent;
	double		window[WINDOW];	/* in order of time, round */
	double		sorted[WINDOW];
	int			window_count;
	int			window_at;
	/* open sum of an irregular stream */
	int64_t		bucket;
	double		sum;
	bool		alerted[SIMPLE_METHODS];
} Memory;

/* What each method makes of x, before it learns it. */
static void
judge(const Memory *m, int64_t at, double x, double *scores)
{
	const Slot *slot = &m->week[(at - EPOCH) / HOUR % 168];
	int			n = m->window_count;

	for (int k = 0; k < SIMPLE_METHODS; k++)
		scores[k] = 0.0;
	if (m->observations < WARM_UP_ROWS || at - m->first_at < WARM_UP_TIME)
		return;
	scores[EWMA] = fabs(x - m->ewma.mean) /
		(sqrt(m->ewma.square) + 0.001 * fabs(m->ewma.mean) + 1e-9);
	if (slot->n >= 3)
		scores[HOUR_OF_WEEK] = fabs(x - slot->mean) /
			(sqrt(slot->square) + 0.02 * fabs(slot->mean) + 0.2 * sqrt(m->ewma.square) + 1e-9);
	scores[PERCENT] = fabs(x - m->percent) / (fabs(m->percent) + 1e-9);
	if (n >= WARM_UP_ROWS)
	{
		double		median = m->sorted[n / 2];
		int			lo = n / 2,
					hi = n / 2;
		double		deviation = 0.0;

		/* the median of the distances: the nearer end of the two, n/2 times */
		for (int i = 0; i < n / 2; i++)
		{
			double		below = lo > 0 ? median - m->sorted[lo - 1] : INFINITY;
			double		above = hi < n - 1 ? m->sorted[hi + 1] - median : INFINITY;

			if (below <= above)
				lo--, deviation = below;
			else
				hi++, deviation = above;
		}
		scores[MAD] = fabs(x - median) /
			(1.4826 * deviation + 0.01 * fabs(median) +
			 0.1 * sqrt(m->ewma.square) + 1e-9);
	}
}

static void
learn_slot(Slot *slot, double x, double rate)
{
	double		a = fmax(rate, 1.0 / (slot->n + 1.0));
	double		d = x - slot->mean;

	slot->mean += a * d;
	slot->square = (1.0 - a) * (slot->square + a * d * d);
	slot->n += 1.0;
}

static int
place(const double *sorted, int n, double x)
{
	int			lo = 0;

	while (n > 0)
	{
		int			half = n / 2;

		if (sorted[lo + half] < x)
		{
			lo += half + 1;
			n -= half + 1;
		}
		else
			n = half;
	}
	return lo;
}

static void
learn(Memory *m, int64_t at, double x)
{
	int			p;

	if (m->observations++ == 0)
	{
		m->first_at = at;
		m->percent = x;
	}
	learn_slot(&m->ewma, x, 0.05);
	learn_slot(&m->week[(at - EPOCH) / HOUR % 168], x, 0.1);
	m->percent += fmax(0.01, 1.0 / m->observations) * (x - m->percent);
	if (m->window_count == WINDOW)
	{
		p = place(m->sorted, WINDOW, m->window[m->window_at]);
		memmove(m->sorted + p, m->sorted + p + 1, sizeof(double) * (WINDOW - 1 - p));
		m->window_count--;
	}
	p = place(m->sorted, m->window_count, x);
	memmove(m->sorted + p + 1, m->sorted + p, sizeof(double) * (m->window_count - p));
	m->sorted[p] = x;
	m->window_count++;
	m->window[m->window_at] = x;
	m->window_at = (m->window_at + 1) % WINDOW;
}

/* ---- rules for single rows ---- */

typedef struct Rules
{
	Row			seen[REMEMBERED];
	int			count;
	int			lag;			/* of the run that repeats */
	int			run;
	double		negatives;
	int64_t		rows;
	int64_t		newest;
	double		reading;
	bool		late;			/* the batch is told of already */
} Rules;

enum
{
	RULE_NONE, RULE_DUPLICATE, RULE_NEAR, RULE_LATE, RULE_NEGATIVE, RULE_RESET
};

/*
 * Has a run of five rows been there before?  Only values that are rare tell:
 * each must be among the remembered rows exactly once.
 */
static bool
is_near_duplicate(Rules *r, const Row *row)
{
	int			lag = 0;
	int			matches = 0;

	for (int back = 1; back <= REMEMBERED && back <= r->count; back++)
		if (r->seen[(r->count - back) % REMEMBERED].quantity == row->quantity)
		{
			lag = back;
			matches++;
		}
	if (matches != 1 || row->quantity == 0.0)
		r->run = 0;
	else
	{
		r->run = lag == r->lag ? r->run + 1 : 1;
		r->lag = lag;
	}
	return r->run >= 5 && r->lag > 1;
}

static int
judge_row(Rules *r, const Stream *s, const Row *row)
{
	int64_t		spacing = stream_spacing(s);
	int64_t		tolerance = spacing == 0 ? 3 * HOUR : spacing * 3 / 2;
	int			rule = RULE_NONE;

	if (r->rows > 0 && row->at <= r->newest)
		for (int back = 1; back <= REMEMBERED && back <= r->count; back++)
		{
			const Row  *old = &r->seen[(r->count - back) % REMEMBERED];

			if (old->at == row->at && old->quantity == row->quantity)
				rule = RULE_DUPLICATE;
		}
	if (rule == RULE_NONE && r->rows > 0 && row->at < r->newest - tolerance)
		rule = RULE_LATE;
	else if (rule == RULE_NONE && is_near_duplicate(r, row))
		rule = RULE_NEAR;
	if (row->quantity < 0.0 && r->negatives < 0.02 * r->rows)
		rule = RULE_NEGATIVE;
	r->negatives += row->quantity < 0.0;
	if (s->kind == COUNTER && row->at > r->newest)
	{
		/* the first of a month is a planned day */
		if (r->rows > 0 && row->quantity < r->reading && !world_is_first_of_month(row->at))
			rule = RULE_RESET;
		r->reading = row->quantity;
	}
	r->seen[r->count++ % REMEMBERED] = *row;
	r->rows++;
	if (row->at > r->newest)
		r->newest = row->at;
	return rule;
}

/* ---- one stream ---- */

typedef struct Run
{
	int			stream;
	int			row;
	Hits	   *hits;
	Memory		memory;
} Run;

static void
report(Run *run, const double *scores, int64_t clock)
{
	for (int k = 0; k < SIMPLE_METHODS; k++)
		if (scores[k] >= floors[k])
			hits_add(&run->hits[k], (Hit) {run->stream, run->row, clock, (float) scores[k], 0, 0});
}

/* Adds a row to its sum; judges the sum when it is too large or complete. */
static void
observe_event(Run *run, int64_t bucket, int64_t at, double x)
{
	Memory	   *m = &run->memory;
	int64_t		begin = at / bucket * bucket;
	double		scores[SIMPLE_METHODS];

	while (m->bucket != 0 && begin > m->bucket)
	{
		judge(m, m->bucket, m->sum, scores);
		report(run, scores, at);
		learn(m, m->bucket, m->sum);
		m->sum = 0.0;
		m->bucket += bucket;
	}
	m->bucket = begin;
	m->sum += x;
	if (m->sum > m->ewma.mean)
	{
		judge(m, begin, m->sum, scores);
		report(run, scores, at);
	}
}

void
methods_run(const World *world, int stream, const Rows *rows,
			Hits hits[SIMPLE_METHODS], Hits *rules)
{
	const Stream *s = &world->streams[stream];
	int64_t		bucket = stream_bucket(s);
	int64_t		newest = INT64_MIN;
	double		reading = 0.0;
	bool		has_reading = false;
	static Run	run;
	static Rules r;

	memset(&run, 0, sizeof(run));
	memset(&r, 0, sizeof(r));
	run.stream = stream;
	run.hits = hits;
	for (int i = 0; i < rows->count; i++)
	{
		const Row  *row = &rows->rows[i];
		int			rule = judge_row(&r, s, row);
		bool		is_new = row->at > newest;
		double		x = s->kind == AMOUNTS ? row->amount : row->quantity;
		double		scores[SIMPLE_METHODS];

		newest = is_new ? row->at : newest;
		if (rule != RULE_NONE)
			hits_add(rules, (Hit) {stream, i, newest, INFINITY, (short) rule, 0});
		run.row = i;
		if (!is_new && bucket == 0)
			continue;
		if (s->kind == COUNTER)
		{
			double		rise = row->quantity - reading;

			reading = row->quantity;
			if (!has_reading || rise < 0.0)
			{
				has_reading = true;
				continue;
			}
			x = rise;
		}
		if (bucket != 0)
		{
			if (row->at >= run.memory.bucket)
				observe_event(&run, bucket, row->at, x);
			continue;
		}
		judge(&run.memory, row->at, x, scores);
		report(&run, scores, newest);
		learn(&run.memory, row->at, x);
	}
}
