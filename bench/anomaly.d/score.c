/*
 * score.c
 *	  Counts incidents, not rows.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "score.h"

typedef struct Tally
{
	const World *world;
	Outcome    *outcome;
	unsigned char *found;		/* by fault */
	unsigned char *group;		/* by group */
	double	   *hours;			/* to detect, of what was found */
	bool	   *is_leak;
	int			hours_count;
} Tally;

/* Fault that an alert at this row belongs to; *after: it is in the recovery. */
static int
fault_of(const World *world, const Hit *hit, bool *after)
{
	const Stream *s = &world->streams[hit->stream];
	int64_t		recovery = stream_spacing(s) == DAY || stream_bucket(s) == DAY ? 3 * DAY : DAY;
	int			best = -1;

	*after = false;
	for (int i = 0; i < s->fault_count; i++)
	{
		const Fault *f = &world->faults[s->faults[i]];

		if (f->first_row < 0 || hit->row < f->first_row)
			continue;
		if (hit->row <= f->last_match)
		{
			*after = false;
			return s->faults[i];
		}
		if (hit->clock <= f->last_at + recovery)
		{
			*after = true;
			best = s->faults[i];
		}
	}
	return best;
}

static void
take_alert(Tally *t, const Hit *hit)
{
	const World *world = t->world;
	Outcome    *o = t->outcome;
	bool		after;
	int			number = fault_of(world, hit, &after);
	const Fault *f = number < 0 ? NULL : &world->faults[number];

	if (after)
		return;
	if (f == NULL)
	{
		o->false_alarms++;
		o->false_benign[world_benign(world, hit->stream, hit->clock)]++;
		o->false_kind[world->streams[hit->stream].kind]++;
		o->false_reason[hit->reason & 63]++;
		return;
	}
	if (t->found[number])
	{
		o->further++;
		return;
	}
	t->found[number] = 1;
	if (f->group >= 0)
	{
		/* a group is one fault, found by the first of its members */
		if (t->group[f->group])
			return;
		t->group[f->group] = 1;
	}
	t->hours[t->hours_count] = fmax(0.0, (double) (hit->clock - f->first_at) / HOUR);
	t->is_leak[t->hours_count++] = f->class == LEAK;
}

static int
by_number(const void *a, const void *b)
{
	double		x = *(const double *) a;
	double		y = *(const double *) b;

	return (x > y) - (x < y);
}

static double
quantile(double *values, int n, double share)
{
	if (n == 0)
		return 0.0;
	qsort(values, n, sizeof(double), by_number);
	return values[(int) fmin(n - 1, floor(share * n))];
}

/* Counts what was to be found and what was. */
static void
count_faults(Tally *t)
{
	const World *world = t->world;
	Outcome    *o = t->outcome;
	unsigned char *counted = calloc(world->group_count + 1, 1);

	for (int i = 0; i < world->fault_count; i++)
	{
		const Fault *f = &world->faults[i];
		bool		found = t->found[i];

		if (f->first_row < 0)
			continue;
		if (f->group >= 0)
		{
			if (counted[f->group])
				continue;
			counted[f->group] = 1;
			found = t->group[f->group];
		}
		o->all[f->class]++;
		o->found[f->class] += found;
		if (f->occurrence > 0)
		{
			o->again_all++;
			o->again_found += found;
		}
	}
	free(counted);
}

static void
take_stream(Tally *t, const Hit *hits, int n, double threshold, bool consolidated)
{
	const Stream *s = &t->world->streams[hits[0].stream];
	int64_t		hold = stream_spacing(s) == DAY || stream_bucket(s) == DAY ? 3 * DAY : DAY;
	int64_t		last[64];
	int64_t		day[64];

	for (int i = 0; i < 64; i++)
		last[i] = day[i] = INT64_MIN / 2;
	for (int i = 0; i < n; i++)
	{
		const Hit  *hit = &hits[i];
		int			family = hit->family & 63;
		bool		alert;

		if (hit->score < threshold)
			continue;
		if (hit->score == INFINITY)
		{
			/* a rule: one incident a day */
			alert = hit->clock / DAY != day[family];
			day[family] = hit->clock / DAY;
		}
		else
			alert = consolidated || hit->clock - last[family] > hold;
		last[family] = hit->clock;
		if (alert)
			take_alert(t, hit);
	}
}

static int
by_arrival(const void *a, const void *b)
{
	const Hit  *x = a;
	const Hit  *y = b;

	if (x->stream != y->stream)
		return x->stream - y->stream;
	if (x->row != y->row)
		return x->row - y->row;
	return x->family - y->family;
}

void
score_hits(const World *world, const Hits *hits, const Hits *rules,
		   double threshold, bool consolidated, Outcome *outcome,
		   unsigned char *found)
{
	int			extra = rules == NULL ? 0 : rules->count;
	Hit		   *all = malloc(sizeof(Hit) * (hits->count + extra + 1));
	int			n = 0;
	Tally		t;
	double	   *timed;

	memset(outcome, 0, sizeof(*outcome));
	memset(&t, 0, sizeof(t));
	t.world = world;
	t.outcome = outcome;
	t.found = calloc(world->fault_count + 1, 1);
	t.group = calloc(world->group_count + 1, 1);
	t.hours = malloc(sizeof(double) * (world->fault_count + 1));
	t.is_leak = malloc(sizeof(bool) * (world->fault_count + 1));
	outcome->threshold = threshold;
	for (int i = 0; i < world->stream_count; i++)
		if (i % 4 == 0)
			outcome->months += (double) world->days / 30.4375;
	for (int i = 0; i < hits->count; i++)
		if (hits->hits[i].score >= threshold)
			all[n++] = hits->hits[i];
	for (int i = 0; i < extra; i++)
		all[n++] = rules->hits[i];
	qsort(all, n, sizeof(Hit), by_arrival);
	for (int from = 0, to; from < n; from = to)
	{
		for (to = from; to < n && all[to].stream == all[from].stream; to++)
			;
		take_stream(&t, all + from, to - from, threshold, consolidated);
	}
	count_faults(&t);
	timed = malloc(sizeof(double) * (t.hours_count + 1));
	for (int i = 0; i < t.hours_count; i++)
		if (!t.is_leak[i])
		{
			timed[outcome->timed++] = t.hours[i];
			outcome->early_found += t.hours[i] <= 24.0;
		}
	outcome->hours_90 = quantile(timed, outcome->timed, 0.9);
	outcome->hours_90_all = quantile(t.hours, t.hours_count, 0.9);
	if (found != NULL)
		memcpy(found, t.found, world->fault_count);
	free(timed);
	free(t.hours);
	free(t.is_leak);
	free(t.found);
	free(t.group);
	free(all);
}

double
outcome_false_rate(const Outcome *o)
{
	return o->false_alarms / o->months;
}

double
outcome_recall(const Outcome *o, unsigned classes, int *found, int *all)
{
	*found = *all = 0;
	for (int c = 0; c < CLASSES; c++)
		if (classes >> c & 1)
		{
			*found += o->found[c];
			*all += o->all[c];
		}
	return *all == 0 ? 0.0 : (double) *found / *all;
}

void
wilson(int found, int all, double *lo, double *hi)
{
	double		z = 1.96;
	double		p;
	double		middle;
	double		half;

	*lo = 0.0;
	*hi = 1.0;
	if (all == 0)
		return;
	p = (double) found / all;
	middle = (p + z * z / (2 * all)) / (1 + z * z / all);
	half = z * sqrt(p * (1 - p) / all + z * z / (4.0 * all * all)) / (1 + z * z / all);
	*lo = middle - half;
	*hi = middle + half;
}

static int
by_score_down(const void *a, const void *b)
{
	float		x = *(const float *) a;
	float		y = *(const float *) b;

	return (x < y) - (x > y);
}

/* Halving over the scores there are: more alerts mean more false ones. */
double
score_threshold(const World *world, const Hits *hits, const Hits *rules,
				double budget)
{
	float	   *scores = malloc(sizeof(float) * (hits->count + 1));
	int			n = 0;
	int			lo = 0;
	int			hi;
	double		threshold;
	Outcome		o;

	for (int i = 0; i < hits->count; i++)
		if (hits->hits[i].score < INFINITY)
			scores[n++] = hits->hits[i].score;
	qsort(scores, n, sizeof(float), by_score_down);
	hi = n;
	/* scores[lo - 1] is within the budget, scores[hi] is not */
	while (lo < hi)
	{
		int			mid = lo + (hi - lo) / 2;

		score_hits(world, hits, rules, scores[mid], false, &o, NULL);
		if (outcome_false_rate(&o) <= budget)
			lo = mid + 1;
		else
			hi = mid;
	}
	threshold = lo > 0 ? scores[lo - 1] : INFINITY;
	free(scores);
	return threshold;
}
