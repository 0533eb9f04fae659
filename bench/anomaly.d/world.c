/*
 * world.c
 *	  Plans the world: who there is, what he uses, and which fault falls where.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "world.h"

#define STREAMS_AN_ACCOUNT 4
#define FAULTS_A_CLASS 47
#define GROUPS_COORDINATED 26
#define GROUPS_COPIED 14
#define GROUP_MAX 7

const char *const kind_names[KINDS] = {
	"requests", "machine hours", "storage", "egress", "sparse", "daily batch",
	"seats", "energy", "counter", "amounts", "jobs"
};

const char *const class_names[CLASSES] = {
	"unit factor", "unit price", "double counting", "dropped rows", "zeros",
	"stuck", "counter reset", "duplicates", "late rows", "negative",
	"zone shift", "abuse burst", "slow leak", "absurd first row",
	"coordinated abuse", "copied rows"
};

const char *const benign_names[BENIGNS] = {
	"none", "level step", "campaign", "holiday", "month end", "leaving",
	"price change", "daylight saving", "planned reset", "young stream"
};

#define K(kind) (1u << (kind))

/* In which kinds of stream a class can occur at all. */
static const unsigned eligible[CLASSES] = {
	[UNIT] = K(REQUESTS) | K(MACHINE) | K(STORAGE) | K(EGRESS) | K(SPARSE) |
	K(DAILY) | K(SEATS) | K(ENERGY) | K(AMOUNTS) | K(JOBS),
	[PRICE] = K(AMOUNTS),
	[DOUBLE] = K(REQUESTS) | K(MACHINE) | K(EGRESS) | K(DAILY) | K(SEATS) |
	K(ENERGY) | K(COUNTER) | K(AMOUNTS) | K(JOBS),
	[DROPPED] = K(REQUESTS) | K(MACHINE) | K(STORAGE) | K(EGRESS) | K(DAILY) |
	K(SEATS) | K(ENERGY) | K(COUNTER) | K(JOBS),
	[ZEROS] = K(REQUESTS) | K(MACHINE) | K(STORAGE) | K(EGRESS) | K(DAILY) |
	K(SEATS) | K(ENERGY),
	[STUCK] = K(REQUESTS) | K(MACHINE) | K(EGRESS) | K(ENERGY) | K(COUNTER) |
	K(DAILY),
	[RESET] = K(COUNTER),
	[DUPLICATE] = K(REQUESTS) | K(MACHINE) | K(EGRESS) | K(DAILY) | K(ENERGY) |
	K(AMOUNTS) | K(JOBS),
	[LATE] = K(REQUESTS) | K(MACHINE) | K(STORAGE) | K(EGRESS) | K(ENERGY) |
	K(SPARSE) | K(DAILY),
	[NEGATIVE] = K(REQUESTS) | K(MACHINE) | K(STORAGE) | K(EGRESS) |
	K(SPARSE) | K(DAILY) | K(SEATS) | K(ENERGY) | K(AMOUNTS) | K(JOBS),
	[ZONE] = K(REQUESTS) | K(MACHINE) | K(ENERGY) | K(COUNTER) | K(AMOUNTS),
	[BURST] = K(REQUESTS) | K(MACHINE) | K(EGRESS) | K(SPARSE) | K(AMOUNTS) |
	K(JOBS),
	[LEAK] = K(REQUESTS) | K(MACHINE) | K(STORAGE) | K(EGRESS) | K(DAILY) |
	K(ENERGY) | K(COUNTER),
	[FIRST] = K(REQUESTS) | K(MACHINE) | K(STORAGE) | K(EGRESS) | K(DAILY) |
	K(SEATS) | K(ENERGY) | K(AMOUNTS) | K(JOBS),
	[COORDINATED] = K(REQUESTS) | K(EGRESS) | K(MACHINE),
	[COPIED] = K(AMOUNTS) | K(JOBS),
};

int64_t
stream_spacing(const Stream *stream)
{
	switch (stream->kind)
	{
		case DAILY:
		case SEATS:
			return DAY;
		case ENERGY:
			return HOUR / 2;
		case AMOUNTS:
		case JOBS:
			return 0;
		default:
			return HOUR;
	}
}

int64_t
stream_bucket(const Stream *stream)
{
	if (stream->kind != AMOUNTS && stream->kind != JOBS)
		return 0;
	return stream->rate >= 1.0 ? HOUR : DAY;
}

static void
plan_account(Account *a, Random *r, int64_t begin, int days)
{
	memset(a, 0, sizeof(*a));
	a->segment = random_below(r, 3);
	a->scale = pow(10.0, a->segment * 1.2 + 0.35 * random_normal(r));
	a->zone = random_below(r, 18) - 8;
	a->summer_time = random_unit(r) < 0.5;
	a->night = random_unit(r) < 0.25 ? random_between(r, 0.7, 1.0)
		: random_between(r, 0.08, 0.6);
	a->weekend = random_between(r, 0.2, 1.1);
	a->growth = random_between(r, -0.08, 0.2);
	a->month_end = random_unit(r) < 0.2 ? random_between(r, 1.2, 1.8) : 1.0;
	if (random_unit(r) < 0.2)
	{
		a->campaign = begin + DAY * (20 + random_below(r, days - 30)) +
			HOUR * random_below(r, 24);
		a->campaign_end = a->campaign + (int64_t) (DAY * random_between(r, 1, 5));
		a->campaign_factor = random_between(r, 1.3, 2.5);
	}
	if (random_unit(r) < 0.03)
		a->leaving = begin + DAY * (40 + random_below(r, days - 50));
	a->region = random_unit(r) < 0.4 ? 1 + random_below(r, 2) : 0;
}

/* Usual values: what a stream of this kind amounts to in an hour or a row. */
static const double base_values[KINDS] = {
	400, 6, 900, 40, 8, 5000, 25, 12, 300, 4, 15
};

static void
plan_noise(Stream *s, Random *r)
{
	s->memory = random_unit(r) < 0.35 ? random_between(r, 0.4, 0.85) : 0.0;
	switch (s->kind)
	{
		case EGRESS:
			s->noise = random_between(r, 0.5, 1.0);
			break;
		case SPARSE:
			s->noise = random_between(r, 0.5, 0.9);
			s->rate = random_log(r, 0.05, 0.25);
			break;
		case AMOUNTS:
			s->noise = random_between(r, 0.4, 0.9);
			s->rate = random_log(r, 0.4, 2.5);
			break;
		case JOBS:
			s->noise = random_between(r, 0.5, 1.1);
			s->rate = random_log(r, 0.15, 2.5);
			break;
		case DAILY:
			s->noise = random_between(r, 0.06, 0.2);
			s->memory = random_unit(r) < 0.5 ? 0.7 : 0.0;
			break;
		case MACHINE:
		case ENERGY:
			s->noise = random_between(r, 0.03, 0.1);
			break;
		default:
			s->noise = random_between(r, 0.08, 0.35);
	}
}

static void
plan_stream(Stream *s, const Account *a, int account, Kind kind, Random *r,
			int64_t begin, int days)
{
	memset(s, 0, sizeof(*s));
	s->account = account;
	s->kind = kind;
	s->seed = random_bits(r);
	s->begin = begin;
	s->end = begin + DAY * days;
	if (random_unit(r) < 0.15)
		s->begin += DAY * (28 + random_below(r, days - 60)) +
			HOUR * random_below(r, 24);
	s->scale = base_values[kind] * a->scale * pow(10.0, 0.2 * random_normal(r));
	plan_noise(s, r);
	s->price = random_log(r, 0.2, 40.0);
	if (kind == AMOUNTS && random_unit(r) < 0.1)
	{
		/* the first of April: prices change with a new contract */
		s->price_change = EPOCH + DAY * 85;
		s->price_factor = random_between(r, 1.03, 1.12);
	}
	s->monthly_reset = kind == COUNTER && random_unit(r) < 0.6;
	if (random_unit(r) < 0.08)
	{
		s->step = begin + DAY * (25 + random_below(r, days - 35)) +
			HOUR * random_below(r, 24);
		s->step_factor = random_unit(r) < 0.7 ? random_between(r, 1.3, 2.5)
			: random_between(r, 0.45, 0.75);
	}
}

/* ---- faults ---- */

static const double unit_factors[] = {
	1000, 1.0 / 1000, 1024, 60, 1.0 / 60, 3600, 100, 0.01, 24, 12, 10, 0.1
};

/* How long it lasts, in hours, and how large it is. */
static double
plan_size(Fault *f, const Stream *s, Random *r)
{
	bool		daily = stream_spacing(s) == DAY;
	bool		rough = s->noise > 0.4 || s->kind == SPARSE;

	switch (f->class)
	{
		case UNIT:
			f->magnitude = unit_factors[random_below(r, 12)];
			return daily ? 24.0 * (1 + random_below(r, 4))
				: s->kind == SPARSE ? random_log(r, 24, 96)
				: random_log(r, 2, 48);
		case PRICE:
			f->magnitude = random_unit(r) < 0.5 ? random_between(r, 1.1, 1.6)
				: random_unit(r) < 0.5 ? random_between(r, 0.5, 0.9)
				: random_unit(r) < 0.5 ? 10.0 : 0.1;
			return random_log(r, 24, 240);
		case DOUBLE:
			f->magnitude = 2.0;
			return daily ? 24.0 * (3 + random_below(r, 10))
				: rough ? random_log(r, 48, 240) : random_log(r, 6, 168);
		case DROPPED:
			return daily ? 24.0 * (1 + random_below(r, 3))
				: s->kind == JOBS ? random_log(r, 48, 120) / fmin(1, s->rate)
				: random_log(r, 3, 40);
		case ZEROS:
			return daily ? 24.0 * (1 + random_below(r, 3)) : random_log(r, 3, 48);
		case STUCK:
			return daily ? 24.0 * (4 + random_below(r, 6)) : random_log(r, 5, 72);
		case RESET:
			return 2.0;
		case DUPLICATE:
			f->magnitude = random_unit(r) < 0.8 ? 0.0 : 1.0;	/* 1: shifted */
			return daily ? 24.0 * 6 : random_log(r, 4, 24);
		case LATE:
			return daily ? 24.0 * (2 + random_below(r, 3)) : random_log(r, 4, 30);
		case NEGATIVE:
			return daily ? 24.0 : s->kind == SPARSE ? 48.0 : random_log(r, 2, 12) * (stream_bucket(s) ? 4 : 1);
		case ZONE:
			f->magnitude = (4 + random_below(r, 6)) * (random_unit(r) < 0.5 ? 1 : -1);
			return random_log(r, 96, 400);
		case BURST:
			f->magnitude = rough ? random_log(r, 6, 60) : random_log(r, 1.8, 20);
			return rough ? random_log(r, 6, 30) : random_log(r, 2, 24);
		case LEAK:
			f->magnitude = random_unit(r) < 0.75 ? -random_between(r, 0.02, 0.07)
				: random_between(r, 0.025, 0.07);
			return 24.0 * random_between(r, 9, 24);
		case FIRST:
			f->magnitude = random_log(r, 1000, 100000);
			return 2.0;
		case COORDINATED:
			f->magnitude = random_between(r, 0.7, 1.6);
			return 48.0 + random_below(r, 16);
		default:
			return random_log(r, 8, 24);
	}
}

static bool
has_night(const World *world, const Stream *s)
{
	return world->accounts[s->account].night < 0.75;
}

/* Far enough from the stream's other faults? */
static bool
is_free(const World *world, const Stream *s, int64_t begin, int64_t end)
{
	for (int i = 0; i < s->fault_count; i++)
	{
		const Fault *f = &world->faults[s->faults[i]];

		if (begin < f->end + 9 * DAY && f->begin < end + 9 * DAY)
			return false;
	}
	return s->fault_count < 8;
}

static Fault *
add_fault(World *world, int stream, const Fault *like)
{
	Stream	   *s = &world->streams[stream];
	Fault	   *f;

	world->faults = realloc(world->faults, sizeof(Fault) * (world->fault_count + 1));
	f = &world->faults[world->fault_count];
	*f = *like;
	f->stream = stream;
	f->first_row = f->last_row = f->last_match = -1;
	s->faults[s->fault_count++] = world->fault_count++;
	return f;
}

/* Tries once to plant a fault of the class, and its returns. */
static int
plant(World *world, Class class, Random *r)
{
	int			stream = random_below(r, world->stream_count);
	Stream	   *s = &world->streams[stream];
	int			returns = random_unit(r) < 0.4 ? 1 + random_below(r, 2) : 0;
	int			planted = 0;
	double		hours;
	Fault		f;

	memset(&f, 0, sizeof(f));
	if (!(eligible[class] & K(s->kind)) || world->accounts[s->account].leaving != 0)
		return 0;
	if (s->fault_count > 0 && random_unit(r) > 0.15)
		return 0;
	/* a shift of what has no shape, or too few rows to have one, is none */
	if (class == ZONE && (!has_night(world, s) || (s->kind == AMOUNTS && s->rate < 1.0)))
		return 0;
	if ((s->begin == EPOCH || s->begin > s->end - 20 * DAY) && class == FIRST)
		return 0;
	f.class = class;
	f.group = -1;
	hours = plan_size(&f, s, r);
	if (class == FIRST || class == LEAK)
		returns = class == FIRST ? 0 : returns / 2;
	for (int i = 0; i <= returns; i++)
	{
		int64_t		length = (int64_t) (hours * HOUR * random_between(r, 0.8, 1.2));
		int64_t		first = s->begin + (class == LEAK || class == ZONE ? 21 : 14) * DAY;
		int64_t		room = s->end - 4 * DAY - length - first;

		if (room <= 0)
			break;
		f.begin = first + (int64_t) (random_unit(r) * room);
		if (class == FIRST)
			f.begin = s->begin;
		f.end = f.begin + length;
		if (!is_free(world, s, f.begin, f.end))
			continue;
		f.occurrence = planted;
		add_fault(world, stream, &f);
		planted++;
	}
	/* in order of time, so that an occurrence's number is right */
	for (int i = s->fault_count - planted; i + 1 < s->fault_count; i++)
		for (int j = i + 1; j < s->fault_count; j++)
		{
			Fault	   *a = &world->faults[s->faults[i]];
			Fault	   *b = &world->faults[s->faults[j]];

			if (b->begin < a->begin)
			{
				int64_t		begin = a->begin,
							end = a->end;

				a->begin = b->begin;
				a->end = b->end;
				b->begin = begin;
				b->end = end;
			}
		}
	return planted;
}

/* Hours on and off, in runs of one to four. */
static uint64_t
on_off(Random *r)
{
	uint64_t	pattern = 0;
	bool		on = true;

	for (int i = 0; i < 64;)
	{
		int			run = 1 + random_below(r, 4);

		for (; run > 0 && i < 64; run--, i++)
			if (on)
				pattern |= UINT64_C(1) << i;
		on = !on;
	}
	return pattern;
}

static void
plant_group(World *world, Class class, Random *r)
{
	int			members[GROUP_MAX];
	int			wanted = 4 + random_below(r, GROUP_MAX - 3);
	int			found = 0;
	Kind		kind = KINDS;
	Fault		f;
	int64_t		begin = EPOCH;

	memset(&f, 0, sizeof(f));
	f.class = class;
	f.begin = begin + DAY * (25 + random_below(r, world->days - 40)) + HOUR * random_below(r, 24);
	f.pattern = on_off(r);
	f.group = world->group_count;
	for (int tries = 0; tries < 20000 && found < wanted; tries++)
	{
		int			stream = random_below(r, world->stream_count);
		Stream	   *s = &world->streams[stream];
		bool		taken = false;

		for (int i = 0; i < found; i++)
			taken |= world->streams[members[i]].account == s->account;
		if (taken || !(eligible[class] & K(s->kind)) ||
			(found > 0 && s->kind != kind) || s->begin != begin ||
			world->accounts[s->account].leaving != 0)
			continue;
		if (found == 0)
			f.end = f.begin + (int64_t) (plan_size(&f, s, r) * HOUR);
		if (!is_free(world, s, f.begin, f.end))
			continue;
		kind = s->kind;
		members[found++] = stream;
	}
	if (found < 3)
		return;
	for (int i = 0; i < found; i++)
		add_fault(world, members[i], &f);
	world->group_count++;
}

static void
plan_faults(World *world, Random *r)
{
	int			per_class = FAULTS_A_CLASS * world->account_count / 300;
	int			counts[CLASSES] = {0};

	for (int i = 0; i < GROUPS_COORDINATED * world->account_count / 300; i++)
		plant_group(world, COORDINATED, r);
	for (int i = 0; i < GROUPS_COPIED * world->account_count / 300; i++)
		plant_group(world, COPIED, r);

	/* the classes with few streams to choose from first */
	for (int tries = 0; tries < 1200000; tries++)
	{
		static const Class order[] = {
			FIRST, RESET, PRICE, ZONE, LEAK, STUCK, BURST, DOUBLE, DROPPED,
			ZEROS, DUPLICATE, LATE, NEGATIVE, UNIT
		};
		Class		class = order[tries / 200 % 14];

		if (counts[class] < per_class)
			counts[class] += plant(world, class, r);
	}
}

void
world_plan(World *world, uint64_t seed, int accounts, int days)
{
	Random		r;

	memset(world, 0, sizeof(*world));
	random_seed(&r, seed);
	world->seed = seed;
	world->days = days;
	world->accounts = calloc(accounts, sizeof(Account));
	world->account_count = accounts;
	world->streams = calloc(accounts * STREAMS_AN_ACCOUNT, sizeof(Stream));
	for (int i = 0; i < accounts; i++)
	{
		int			first = random_below(&r, KINDS);

		plan_account(&world->accounts[i], &r, EPOCH, days);
		for (int k = 0; k < STREAMS_AN_ACCOUNT; k++)
			plan_stream(&world->streams[world->stream_count++], &world->accounts[i],
						i, (first + k * 3) % KINDS, &r, EPOCH, days);
	}
	plan_faults(world, &r);
}

void
world_free(World *world)
{
	free(world->accounts);
	free(world->streams);
	free(world->faults);
	memset(world, 0, sizeof(*world));
}

/* ---- surprises ---- */

static const int holidays[3][6] = {
	{-1, -1, -1, -1, -1, -1},
	{14, 42, 102, 105, 115, 140},	/* days since the epoch */
	{102, 105, 115, 143, 154, 84},
};

static bool
is_holiday(const Account *a, int64_t at)
{
	int			day = (int) ((at - EPOCH) / DAY);

	for (int i = 0; i < 6; i++)
		if (holidays[a->region][i] == day)
			return true;
	return false;
}

/* Day of the month, 1.., and how many it has; January to June 2025. */
static int
month_day(int64_t at, int *length)
{
	static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31};
	int			day = (int) ((at - EPOCH) / DAY) + 5;
	int			month = 0;

	while (month < 7 && day >= lengths[month])
		day -= lengths[month++];
	*length = lengths[month];
	return day + 1;
}

bool
world_is_first_of_month(int64_t at)
{
	int			length;

	return month_day(at, &length) == 1;
}

Benign
world_benign(const World *world, int stream, int64_t at)
{
	const Stream *s = &world->streams[stream];
	const Account *a = &world->accounts[s->account];
	int			length;
	int			day = month_day(at, &length);

	if (at < s->begin + 14 * DAY)
		return YOUNG;
	if (a->leaving != 0 && at >= a->leaving)
		return LEAVING;
	if (s->step != 0 && at >= s->step && at < s->step + 10 * DAY)
		return STEP;
	if (a->campaign != 0 && at >= a->campaign && at < a->campaign_end + 2 * DAY)
		return CAMPAIGN;
	if (is_holiday(a, at) || is_holiday(a, at - DAY))
		return HOLIDAY;
	if (s->price_change != 0 && at >= s->price_change && at < s->price_change + 5 * DAY)
		return PRICE_CHANGE;
	if (s->kind == COUNTER && s->monthly_reset && day <= 2)
		return PLANNED_RESET;
	if (a->month_end > 1.0 && (day >= length - 2 || day <= 2))
		return MONTH_END;
	if (a->summer_time && at >= EPOCH + 83 * DAY && at < EPOCH + 87 * DAY)
		return SUMMER_TIME;
	return NO_BENIGN;
}

/* ---- the level a stream would have without noise and fault ---- */


/* What a stream of scale 1 uses at this hour, faults of the zone included. */
double
world_level(const World *world, const Stream *s, int64_t at, double hours_off)
{
	const Account *a = &world->accounts[s->account];
	int64_t		local = at + HOUR * a->zone - (int64_t) (hours_off * HOUR);
	double		level = pow(1.0 + a->growth, (double) (at - EPOCH) / (30.0 * DAY));
	int			length;
	int			day = month_day(at, &length);
	double		hour;
	bool		weekend;

	if (a->summer_time && at >= EPOCH + 83 * DAY)
		local += HOUR;
	hour = (double) ((local - EPOCH + 70 * DAY) % DAY) / HOUR;
	weekend = ((local - EPOCH + 70 * DAY) / DAY) % 7 >= 5;
	if (is_holiday(a, local))
		weekend = true;
	if (stream_spacing(s) != DAY && s->kind != STORAGE)
	{
		double		day_part = exp(-pow((hour - 10.5) / 2.6, 2) / 2) +
			0.9 * exp(-pow((hour - 15.5) / 2.8, 2) / 2);

		if (s->kind == ENERGY)
			day_part = 0.7 * exp(-pow((hour - 8) / 1.8, 2) / 2) +
				exp(-pow((hour - 19) / 2.2, 2) / 2);
		level *= a->night + (1.0 - a->night) * day_part;
	}
	if (s->kind != STORAGE && s->kind != SEATS)
	{
		if (weekend)
			level *= s->kind == ENERGY ? 0.5 + 0.5 * a->weekend : a->weekend;
		if (day >= length - 1)
			level *= a->month_end;
		if (at >= a->campaign && at < a->campaign_end)
			level *= a->campaign_factor;
	}
	if (s->step != 0 && at >= s->step)
		level *= s->step_factor;
	if (a->leaving != 0 && at >= a->leaving)
		level *= fmax(0.0, 1.0 - (double) (at - a->leaving) / (5.0 * DAY));
	return level;
}
