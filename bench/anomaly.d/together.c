/*
 * together.c
 *	  Runs core/across over the invented world, meter by meter.
 *
 * Patterns are looked at every six hours, as detect_due() might; copied rows
 * once for each month.  A group found is right when at least three of its
 * members, and half of them, are in a planted group of that time.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/across.h"
#include "together.h"

#define LOOK_DECADES 3.0		/* that a pattern must have */
#define COPIED_LEAST 3			/* rows */
#define COPIED_QUIET (DAY / 2)
#define GROUPS_MAX 16

void
snapshots_make(Snapshots *s, const World *world)
{
	s->times = (int) (world->days * DAY / SNAPSHOT) + 1;
	s->signs = calloc((size_t) world->stream_count * s->times, sizeof(uint64_t));
	s->newest = calloc((size_t) world->stream_count * s->times, sizeof(int64_t));
}

void
snapshots_free(Snapshots *s)
{
	free(s->signs);
	free(s->newest);
}

/* Groups told of already, so that a lasting one is one alert. */
typedef struct Told
{
	int			stream;
	int64_t		at;
} Told;

typedef struct Looks
{
	World	   *world;
	Together   *result;
	Told	   *told;			/* by stream: the last time it was in a group */
	double	   *hours;
	int			hours_count;
} Looks;

/* The planted group that most of these streams are in at that time, or -1. */
static int
planted(const World *world, const int *streams, int n, Class class,
		int64_t from, int64_t till)
{
	int			best = -1;
	int			most = 0;

	for (int g = 0; g < world->group_count; g++)
	{
		int			members = 0;

		for (int i = 0; i < n; i++)
		{
			const Stream *s = &world->streams[streams[i]];

			for (int k = 0; k < s->fault_count; k++)
			{
				const Fault *f = &world->faults[s->faults[k]];

				members += f->group == g && f->class == class &&
					from <= f->end && till >= f->begin;
			}
		}
		if (members > most)
		{
			most = members;
			best = g;
		}
	}
	return most >= 3 && most * 2 >= n ? best : -1;
}

/* A group was reported: right, false, or told of before. */
static void
take_group(Looks *l, const int *streams, int n, Class class, int64_t from,
		   int64_t till)
{
	int			g = planted(l->world, streams, n, class, from, till);
	int			known = 0;

	for (int i = 0; i < n; i++)
	{
		known += l->told[streams[i]].at != 0 && till - l->told[streams[i]].at <= 3 * DAY;
		l->told[streams[i]].at = till;
	}
	if (g < 0)
	{
		l->result->false_groups += known < 2;
		return;
	}
	if (l->result->group_found[g])
		return;
	l->result->group_found[g] = 1;
	for (int i = 0; i < l->world->fault_count; i++)
		if (l->world->faults[i].group == g)
		{
			l->hours[l->hours_count++] =
				(double) (till - l->world->faults[i].begin) / HOUR;
			break;
		}
}

static void
look_at_patterns(Looks *l, const Snapshots *snapshots, Kind kind, int time)
{
	World	   *world = l->world;
	static BjPattern patterns[4096];
	static int	streams[4096];
	int64_t		at = EPOCH + time * SNAPSHOT;
	int64_t		spacing = kind == ENERGY ? HOUR / 2 : HOUR;
	int			n = 0;
	int			groups_found;
	BjGroup		groups[GROUPS_MAX];

	for (int i = 0; i < world->stream_count && n < 4096; i++)
	{
		size_t		place = (size_t) i * snapshots->times + time;
		uint64_t	aligned;

		if (world->streams[i].kind != kind || snapshots->newest[place] == 0 ||
			at - world->streams[i].begin < 14 * DAY ||
			!bj_pattern_align(snapshots->signs[place], snapshots->newest[place],
							  at - 2 * spacing, spacing, &aligned))
			continue;
		memset(&patterns[n], 0, sizeof(patterns[n]));
		patterns[n].signs = aligned;
		streams[n++] = i;
	}
	groups_found = bj_across_patterns(patterns, n, LOOK_DECADES, groups, GROUPS_MAX);
	for (int g = 0; g < groups_found; g++)
	{
		int			members[BJ_ACROSS_MEMBERS];

		for (int i = 0; i < groups[g].count; i++)
			members[i] = streams[groups[g].members[i]];
		take_group(l, members, groups[g].count, COORDINATED,
				   at - groups[g].rows * spacing, at);
	}
}

/* ---- copied rows ---- */

static int
by_quantity(const void *a, const void *b)
{
	double		x = ((const BjSharedRow *) a)->quantity;
	double		y = ((const BjSharedRow *) b)->quantity;

	return (x > y) - (x < y);
}

static int
by_place(const void *a, const void *b)
{
	const BjSharedRow *x = a;
	const BjSharedRow *y = b;

	if (x->at != y->at)
		return x->at < y->at ? -1 : 1;
	if (x->quantity != y->quantity)
		return x->quantity < y->quantity ? -1 : 1;
	return x->account - y->account;
}

/* Fills alike and present, and keeps what at least two accounts share. */
static int
keep_shared(BjSharedRow *rows, int n)
{
	int			kept = 0;

	qsort(rows, n, sizeof(*rows), by_quantity);
	for (int from = 0, to; from < n; from = to)
	{
		for (to = from; to < n && rows[to].quantity == rows[from].quantity; to++)
			;
		for (int i = from; i < to; i++)
			rows[i].alike = to - from;
	}
	qsort(rows, n, sizeof(*rows), by_place);
	for (int from = 0, to; from < n; from = to)
	{
		int			present = 0;

		for (to = from; to < n && rows[to].at == rows[from].at; to++)
			present += to == from || rows[to].account != rows[to - 1].account;
		for (int i = from; i < to; i++)
			rows[i].present = present;
	}
	for (int from = 0, to; from < n; from = to)
	{
		int			distinct = 0;

		for (to = from; to < n && rows[to].at == rows[from].at &&
			 rows[to].quantity == rows[from].quantity; to++)
		{
			/* an account once */
			if (to > from && rows[to].account == rows[to - 1].account)
				continue;
			rows[kept + distinct] = rows[to];
			distinct++;
		}
		if (distinct >= 2)
			kept += distinct;
	}
	return kept;
}

static void
look_for_copies(Looks *l, Kind kind, int64_t from, int64_t till, Rows *rows)
{
	World	   *world = l->world;
	BjSharedRow *shared = NULL;
	BjCopier   *copiers = calloc(world->stream_count, sizeof(BjCopier));
	BjGroup		groups[GROUPS_MAX];
	int			n = 0;
	int			room = 0;
	int			found;

	for (int s = 0; s < world->stream_count; s++)
	{
		if (world->streams[s].kind != kind)
			continue;
		world_write(world, s, rows);
		for (int i = 0; i < rows->count; i++)
		{
			if (rows->rows[i].at < from || rows->rows[i].at >= till)
				continue;
			if (n == room)
			{
				room = room == 0 ? 65536 : room * 2;
				shared = realloc(shared, sizeof(*shared) * room);
			}
			shared[n++] = (BjSharedRow) {rows->rows[i].at, rows->rows[i].quantity, s, 0, 0};
		}
	}
	if (n > 0)
	{
		int			kept = keep_shared(shared, n);

		found = bj_across_copies(shared, kept, n, COPIED_LEAST, COPIED_QUIET, copiers,
								 world->stream_count, groups, GROUPS_MAX);
		for (int g = 0; g < found && g < GROUPS_MAX; g++)
			take_group(l, groups[g].members,
					   groups[g].count < BJ_ACROSS_MEMBERS ? groups[g].count : BJ_ACROSS_MEMBERS,
					   COPIED, groups[g].since, groups[g].until);
	}
	free(shared);
	free(copiers);
}

static int
by_number(const void *a, const void *b)
{
	double		x = *(const double *) a;
	double		y = *(const double *) b;

	return (x > y) - (x < y);
}

static void
count_groups(Looks *l)
{
	const World *world = l->world;
	unsigned char *counted = calloc(world->group_count + 1, 1);

	for (int i = 0; i < world->fault_count; i++)
	{
		const Fault *f = &world->faults[i];

		if (f->group < 0 || f->first_row < 0 || counted[f->group]++ > 0)
			continue;
		l->result->all[f->class]++;
		l->result->found[f->class] += l->result->group_found[f->group];
	}
	free(counted);
}

Together
together_run(World *world, const Snapshots *snapshots, Rows *rows)
{
	Together	result;
	Looks		l;

	memset(&result, 0, sizeof(result));
	memset(&l, 0, sizeof(l));
	l.world = world;
	l.result = &result;
	l.told = calloc(world->stream_count, sizeof(Told));
	l.hours = calloc(world->group_count + 1, sizeof(double));
	result.group_found = calloc(world->group_count + 1, 1);
	for (Kind kind = 0; kind < KINDS; kind++)
	{
		bool		regular = kind != DAILY && kind != SEATS && kind != AMOUNTS && kind != JOBS;

		for (int time = 9; regular && time < snapshots->times; time++)
			look_at_patterns(&l, snapshots, kind, time);
		for (int month = 0; month * 30 < world->days; month++)
			look_for_copies(&l, kind, EPOCH + month * 30 * DAY,
							EPOCH + (month + 1) * 30 * DAY, rows);
	}
	count_groups(&l);
	qsort(l.hours, l.hours_count, sizeof(double), by_number);
	if (l.hours_count > 0)
		result.hours_90 = l.hours[(int) (0.9 * (l.hours_count - 1))];
	free(l.told);
	free(l.hours);
	return result;
}

/* ---- credits ---- */

#define REQUESTERS 300
#define SPLITTERS 40
#define LIMIT 500.0

void
part_credits(void)
{
	Random		r;
	int			found = 0;
	int			wrong = 0;

	random_seed(&r, 4711);
	for (int i = 0; i < REQUESTERS; i++)
	{
		bool		splits = i < SPLITTERS;
		int			n = 20 + random_below(&r, 100);
		double		share = random_between(&r, 0.1, 0.4);
		int64_t		under = 0;
		int64_t		before = 0;

		for (int k = 0; k < n; k++)
		{
			double		amount = 150.0 * exp(1.1 * random_normal(&r));

			if (splits && random_unit(&r) < share)
				amount = LIMIT * random_between(&r, 0.955, 1.0);
			under += amount > 0.95 * LIMIT && amount <= LIMIT;
			before += amount > 0.90 * LIMIT && amount <= 0.95 * LIMIT;
		}
		if (bj_across_crowding(under, before) >= LOOK_DECADES)
		{
			found += splits;
			wrong += !splits;
		}
	}
	printf("\nCredits just under a limit: %d of %d requesters who split were found, %d of %d others at %.0f decades (seed 4711).\n",
		   found, SPLITTERS, wrong, REQUESTERS - SPLITTERS, LOOK_DECADES);
}
