/*
 * baseline_levels.c
 *	  What is usual: levels, the day, the week, and how far off they are.
 *
 * Four forecasts compete: a fast and a slow level, the half hour of the day,
 * the hour of the week.  Each counts by how small its errors have been, so
 * that a stream without a daily pattern is not forecast by one.
 */
#include "core/baseline_internal.h"

#define FAST_RATE 0.2
#define SLOW_RATE 0.01
#define SLOT_RATE 0.1
#define SCALE_RATE 0.01
#define ERROR_RATE 0.02
#define CLIP 4.0				/* sigmas that are learned at most */
#define SLOW_CLIP 4.0
#define YOUNG_VISITS 4
#define DAILY_HURRY 4			/* an observation a day: rates times this */
#define TREND_DAYS 2.5
#define TRUST 0.6				/* in the forecast that erred least */

/* A slot is a sign and log2 in 1/400 octave, about 1: 2^-40 to 2^40. */
#define SLOT_STEPS 400
#define SLOT_ONE 16384

double
bj_slot_value(int16_t slot)
{
	double		octaves;

	if (slot == 0)
		return 0;
	octaves = (double) ((slot < 0 ? -(int32_t) slot : slot) - SLOT_ONE) / SLOT_STEPS;
	return slot < 0 ? -exp2_of(octaves) : exp2_of(octaves);
}

int16_t
bj_slot_of(double x)
{
	double		size = size_of(x);
	int			code;

	if (size < 1e-12)
		return 0;
	code = (int) (log2_of(size) * SLOT_STEPS + SLOT_ONE + 0.5);
	code = code < 1 ? 1 : code > INT16_MAX ? INT16_MAX : code;
	return (int16_t) (x < 0 ? -code : code);
}

static int
visits_of(const BjBaseline *b, int slot)
{
	return (b->visits[slot / 2] >> (slot % 2 * 4)) & 15;
}

static void
visit(BjBaseline *b, int slot)
{
	if (visits_of(b, slot) < 15)
		b->visits[slot / 2] = (uint8_t) (b->visits[slot / 2] + (1 << (slot % 2 * 4)));
}

/* Does a time fall in the slot's visit that the last observation is of? */
static bool
is_same_visit(const BjBaseline *b, int64_t at, int64_t width)
{
	int64_t		apart = at - b->observed_at;

	return b->observations > 0 && apart < width && apart >= 0 &&
		slot_of(at, width, 1 << 20) == slot_of(b->observed_at, width, 1 << 20);
}

/* A slot's value, or for want of visits what is known without it. */
static double
shrunk(int16_t slot, int visits, double otherwise)
{
	if (visits >= 3)
		return bj_slot_value(slot);
	if (visits == 0)
		return otherwise;
	return (visits * bj_slot_value(slot) + (1.5 - visits / 2.0) * otherwise) / (1.5 + visits / 2.0);
}

/* How much a forecast counts whose error is the least, or larger. */
static double
weight_of(double error, double least)
{
	/* exp(-TRUST x) */
	return exp2_of(-1.4426950 * TRUST * clip((error - least) / least, 0, 60));
}

/*
 * The forecasts from .. to - 1, each as good as its errors are small.  The
 * slow level alone knows no season: with the others about it hardly counts.
 */
static double
mixed(const double *weight, const double *each, int from, int to)
{
	double		sum = 0;
	double		weights = 0;

	for (int i = from; i < to; i++)
	{
		double		w = (i == 1 && from == 1 ? weight[i] * 0.05 : weight[i]) + 1e-12;

		sum += w * each[i];
		weights += w;
	}
	return sum / weights;
}

/* Is one observation a day's sum? */
bool
bj_is_daily(const BjBaseline *b)
{
	return mode_of(b) == BJ_MODE_DAYS ||
		(mode_of(b) != BJ_MODE_HOURS && b->spacing > 15.4f);
}

void
bj_levels_forecast(const BjBaseline *b, int64_t at, Forecast *forecast)
{
	int			day = slot_of(at, BJ_HOUR / 2, 48);
	int			week = slot_of(at, BJ_HOUR, 168);
	double		weight[5];
	double		least;

	forecast->each[0] = b->fast;
	forecast->each[1] = b->slow;
	/* rows of this very visit are no history */
	forecast->each[2] = shrunk(b->day[day], visits_of(b, day) - is_same_visit(b, at, BJ_HOUR / 2), b->slow);
	forecast->each[3] = shrunk(b->week[week], visits_of(b, 48 + week) - is_same_visit(b, at, BJ_HOUR), forecast->each[2]);
	least = b->errors[2] < b->errors[3] ? b->errors[2] : b->errors[3];
	for (int i = 2; i < 4; i++)
		weight[i] = weight_of(b->errors[i], least + 1e-9);
	forecast->season = mixed(weight, forecast->each, 2, 4);
	forecast->each[4] = forecast->season * exp2_of(b->trend);
	for (int i = 0; i < 5; i++)
		if (b->errors[i] < least)
			least = b->errors[i];
	for (int i = 0; i < 5; i++)
		weight[i] = weight_of(b->errors[i], least + 1e-9);
	forecast->best = mixed(weight, forecast->each, 0, 5);
	forecast->seasonal = mixed(weight, forecast->each, 1, 5);
	forecast->sigma = 1.25 * b->scale + 0.001 * size_of(b->slow) + 1e-9;
	forecast->level = size_of(forecast->seasonal);
	if (size_of(b->slow) > forecast->level)
		forecast->level = size_of(b->slow);
}

/*
 * A visit of a slot counts once, of however many rows it is: the rows of a
 * dense stream share the weight of one.
 */
static void
learn_slot(BjBaseline *b, int16_t *slot, int number, int64_t at, int64_t width, double x)
{
	bool		same = is_same_visit(b, at, width);
	int			visits = visits_of(b, number) - same;
	double		spacing = b->spacing < 11.5f ? exp2_of(b->spacing) * BJ_SECOND : (double) width;
	double		rate = 1.0 / (visits + 1);
	double		old = visits > 0 || same ? bj_slot_value(*slot) : x;

	if (rate < SLOT_RATE)
		rate = SLOT_RATE;
	if (spacing < width)
	{
		if (visits > 0)
			rate *= spacing / width;
		else
			rate = 1 / (1 + (double) (at - at / width * width) / spacing);
	}
	*slot = bj_slot_of(old + clip(rate, 0, 1) * (x - old));
	if (!same)
		visit(b, number);
}

/*
 * The first values set the levels outright; after that a step is clipped, so
 * that one absurd row moves nothing much.
 */
static void
learn_levels(BjBaseline *b, const Finding *f)
{
	uint32_t	n = b->observations;
	double		step = f->x - b->slow;
	double		limit = SLOW_CLIP * (1.25 * b->slow_scale + 0.001 * size_of(b->slow)) + 1e-9;

	if (n == 0)
	{
		b->fast = b->slow = keep(f->x);
		return;
	}
	follow(&b->fast, f->x, FAST_RATE, n);
	follow(&b->slow_scale, size_of(clip(step, -limit * 2, limit * 2)), SCALE_RATE, n < 3 ? n : n - 2);
	if (n < 10)
		limit = size_of(step);
	follow(&b->slow, b->slow + clip(step, -limit, limit), bj_is_daily(b) ? DAILY_HURRY * SLOW_RATE : SLOW_RATE, n);
}

/* How far the level is from the season's, where there are few zeros. */
static void
learn_trend(BjBaseline *b, const Finding *f)
{
	double		days = f->gap / 86400;
	double		season = f->forecast.season;
	double		off;

	if (f->x <= 0 || season <= 0 || b->zeros > 0.1f)
		return;
	off = clip(log2_of(f->x) - log2_of(season) - b->trend, -0.5, 0.5);
	b->trend = keep(clip(b->trend + days / (days + TREND_DAYS) * off, -3, 3));
}

void
bj_levels_learn(BjBaseline *b, const Finding *f)
{
	const Forecast *forecast = &f->forecast;
	uint32_t	n = b->observations;
	bool		by_size = bj_sizes_tell(b);
	double		limit = CLIP * forecast->sigma;
	double		learned = f->x;
	int			day = slot_of(f->at, BJ_HOUR / 2, 48);
	int			week = slot_of(f->at, BJ_HOUR, 168);
	double		hurry = bj_is_daily(b) ? DAILY_HURRY : 1;

	if (n >= 10)
		learned = forecast->best + clip(f->residual, -limit, limit);
	if (n > 0)
	{
		double		young = n < 10 ? 1e9 : 1;

		for (int i = 0; i < 5; i++)
			follow(&b->errors[i], clip(size_of(f->x - forecast->each[i]), 0, 2 * limit * young), hurry * ERROR_RATE, n - 1);
		follow(&b->scale, clip(size_of(f->residual), 0, limit * young), hurry * SCALE_RATE, n - 1);
		follow(&b->log_scale, clip(size_of(f->ratio), 0, n < 10 ? 4 : 6 * (b->log_scale + 0.02)), hurry * SCALE_RATE, n - 1);
		learn_trend(b, f);
	}
	learn_levels(b, f);
	learn_slot(b, &b->day[day], day, f->at, BJ_HOUR / 2, learned);
	learn_slot(b, &b->week[week], 48 + week, f->at, BJ_HOUR, learned);
	follow(&b->zeros, f->x == 0, SCALE_RATE, n);
	if (f->x != 0)
		follow(&b->abs_level, size_of(learned), SLOW_RATE, b->nonzero);
	if (f->x > 0)
	{
		if (mode_of(b) <= BJ_MODE_ROWS)
			bj_sizes_learn(b, f->x, b->nonzero);
		if (b->nonzero < UINT16_MAX)
			b->nonzero++;
	}
	/* against what it has been of late, so that a slow drift is no pattern */
	b->signs = b->signs << 1 | (f->ratio > b->smooth_ratio);
	if (f->x != 0 && (b->largest < log2_of(size_of(f->x)) || n < 2))
		b->largest = keep(log2_of(size_of(f->x)));
	if (f->x != 0)
		follow(&b->repeats, n > 0 && f->run > 1, SCALE_RATE, n);
	bj_days_follow(b, f, true);
	bj_levels_follow(b, f);
	if (bj_sizes_tell(b) != by_size)
		b->rise = b->fall = 0;
	if (b->observations < UINT32_MAX)
		b->observations++;
}

/* What moves also where nothing is learned: smoothed values and clocks. */
void
bj_levels_follow(BjBaseline *b, const Finding *f)
{
	b->short_residual = f->smooth[SMOOTH_SHORT];
	b->seasonal_residual = f->smooth[SMOOTH_SEASONAL];
	b->smooth_ratio = f->smooth[SMOOTH_RATIO];
	b->pattern = f->smooth[SMOOTH_PATTERN];
	b->day_sum = f->smooth[SMOOTH_DAY_SUM];
	b->day_expected = f->smooth[SMOOTH_DAY_EXPECTED];
	b->rise = f->smooth[SMOOTH_RISE];
	b->fall = f->smooth[SMOOTH_FALL];
	b->observed_at = f->at;
	b->run = f->run;
	b->run_value = f->x;
}

/*
 * Hours of the week that the trusted baseline has hardly seen are learned even
 * from an incident: else the first weekend is an incident, and every one after
 * it, since none of them is ever learned.
 */
void
bj_levels_keep_young(BjBaseline *trusted, const BjBaseline *b)
{
	for (int i = 0; i < 168; i++)
	{
		int			visits = visits_of(b, 48 + i);

		if (visits_of(trusted, 48 + i) >= YOUNG_VISITS ||
			visits <= visits_of(trusted, 48 + i))
			continue;
		trusted->week[i] = b->week[i];
		while (visits_of(trusted, 48 + i) < visits)
			visit(trusted, 48 + i);
	}
}

/* Forgets the levels, but not the sizes of rows: they were of observations of another kind. */
void
bj_levels_reset(BjBaseline *b)
{
	memset(&b->observed_at, 0, sizeof(*b) - BJ_HEAD_SIZE);
	b->rise = b->fall = 0;
}
