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

static double
slot_octaves(int16_t slot)
{
	return (double) ((slot < 0 ? -(int32_t) slot : slot) - SLOT_ONE) / SLOT_STEPS;
}

/* A slot's value; size: two to the power of its octaves. */
static double
signed_value(int16_t slot, double size)
{
	return slot == 0 ? 0 : slot < 0 ? -size : size;
}

/* bj_slot_value() of an even number of slots, each in its place in values. */
void
bj_slot_values(const int16_t *slots, int count, double *values)
{
	for (int i = 0; i < count; i++)
		values[i] = slot_octaves(slots[i]);
	for (int i = 0; i < count; i += 2)
		exps2_of(values + i, 2);
	for (int i = 0; i < count; i++)
		values[i] = signed_value(slots[i], values[i]);
}

double
bj_slot_value(int16_t slot)
{
	return signed_value(slot, exp2_of(slot_octaves(slot)));
}

int16_t
bj_slot_of(double x)
{
	double		size = size_of(x);

	if (size < 1e-12)
		return 0;
	return bj_slot_of_log(log2_of(size), x < 0);
}

/* The slot of a value whose size has this log2. */
int16_t
bj_slot_of_log(double log, bool negative)
{
	int			code = (int) (log * SLOT_STEPS + SLOT_ONE + 0.5);

	code = code < 1 ? 1 : code > INT16_MAX ? INT16_MAX : code;
	return (int16_t) (negative ? -code : code);
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

/*
 * The slots of a time, and whether the last observation was in the same visit
 * of them: rows of this very visit are no history.
 */
void
bj_levels_place(const BjBaseline *b, int64_t at, Place *place)
{
	int64_t		half = number_of(at, BJ_HOUR / 2);
	int64_t		apart = at - b->observed_at;

	place->day = slot_among(half, 48);
	place->week = slot_among(half >> 1, 168);
	place->same_day = place->same_week = false;
	if (b->observations > 0 && apart < BJ_HOUR && apart >= 0)
	{
		int64_t		before = number_of(b->observed_at, BJ_HOUR / 2);

		place->same_day = before == half;
		place->same_week = before >> 1 == half >> 1;
	}
	place->day_visits = visits_of(b, place->day) - place->same_day;
	place->week_visits = visits_of(b, 48 + place->week) - place->same_week;
	place->observed_at = b->observed_at;
	place->observations = b->observations;
}

/* A slot's value, or for want of visits what is known without it. */
static double
shrunk(double value, int visits, double otherwise)
{
	if (visits >= 3)
		return value;
	/* what was not learned, as of a trusted baseline, leaves less than none */
	if (visits <= 0)
		return otherwise;
	return (2 * visits * value + (1.5 - visits / 2.0) * otherwise) / (1.5 + 1.5 * visits);
}

/*
 * log2 of how much forecasts count, of which the error is the least of all, or
 * larger: it is exp(-TRUST x), x clipped to 0..60.
 */
static inline Pair
log_weights_of(Pair errors, double least)
{
	Pair		x = (errors - least) / least;
	PairBits	far;

	x = (Pair) ((PairBits) x & (PairBits) (x > 0));
	far = (PairBits) (x > 60);
	x = (Pair) ((PairBits) x & ~far) + (Pair) ((PairBits) (Pair) {60, 60} & far);
	return -1.4426950 * TRUST * x;
}

/*
 * The forecast of day and week alone.  weights: as of the least error of all,
 * which mostly is the least of these two.
 */
static double
season_of(const BjBaseline *b, const double *each, Pair weights,
		  double season_least, double least)
{
	if (season_least != least)
		weights = exp2_pair(log_weights_of((Pair) {b->errors[2], b->errors[3]}, season_least + 1e-9));
	weights += 1e-12;
	return (weights[0] * each[2] + weights[1] * each[3]) / (weights[0] + weights[1]);
}

/*
 * Each forecast as good as its errors are small: the best of all, and the
 * seasonal one without the fast level.  The slow level knows no season: where
 * the fast one does not hide it, it hardly counts.
 */
static void
mix(Pair levels, Pair season, double trend, Forecast *forecast)
{
	const double *each = forecast->each;
	Pair		fast = {levels[0] + 1e-12, 0};
	Pair		slow = {levels[1] + 1e-12, levels[1] * 0.05 + 1e-12};
	Pair		both;

	season += 1e-12;
	trend += 1e-12;
	both = (fast * each[0] + slow * each[1] + season[0] * each[2] + season[1] * each[3] + trend * each[4]) /
		(fast + slow + season[0] + season[1] + trend);
	forecast->best = both[0];
	forecast->seasonal = both[1];
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
	Place	   *place = &forecast->place;
	double		season_least = b->errors[2] < b->errors[3] ? b->errors[2] : b->errors[3];
	double		least = season_least;
	Pair		values;
	Pair		levels;
	Pair		season;
	Pair		trend;

	bj_levels_place(b, at, place);
	for (int i = 0; i < 5; i++)
		least = b->errors[i] < least ? b->errors[i] : least;
	values = exp2_pair((Pair) {slot_octaves(b->day[place->day]), slot_octaves(b->week[place->week])});
	levels = exp2_pair(log_weights_of((Pair) {b->errors[0], b->errors[1]}, least + 1e-9));
	season = exp2_pair(log_weights_of((Pair) {b->errors[2], b->errors[3]}, least + 1e-9));
	trend = log_weights_of((Pair) {b->errors[4], b->errors[4]}, least + 1e-9);
	trend = exp2_pair((Pair) {clip(b->trend, -1000, 1000), trend[0]});
	place->day_value = signed_value(b->day[place->day], values[0]);
	place->week_value = signed_value(b->week[place->week], values[1]);
	forecast->each[0] = b->fast;
	forecast->each[1] = b->slow;
	forecast->each[2] = shrunk(place->day_value, place->day_visits, b->slow);
	forecast->each[3] = shrunk(place->week_value, place->week_visits, forecast->each[2]);
	forecast->season = season_of(b, forecast->each, season, season_least, least);
	forecast->each[4] = forecast->season * trend[0];
	mix(levels, season, trend[1], forecast);
	forecast->sigma = 1.25 * b->scale + 0.001 * size_of(b->slow) + 1e-9;
	forecast->level = size_of(forecast->seasonal);
	if (size_of(b->slow) > forecast->level)
		forecast->level = size_of(b->slow);
}

/*
 * A visit of a slot counts once, of however many rows it is: the rows of a
 * dense stream share the weight of one.
 */
static double
learned_slot(double value, int visits, bool same, int64_t at, int64_t width,
			 double spacing, double x)
{
	double		rate = 1.0 / (visits + 1);
	double		old = visits > 0 || same ? value : x;

	if (rate < SLOT_RATE)
		rate = SLOT_RATE;
	if (spacing < width)
	{
		if (visits > 0)
			rate *= spacing / width;
		else
			rate = 1 / (1 + (double) (at - at / width * width) / spacing);
	}
	return old + clip(rate, 0, 1) * (x - old);
}

static void
learn_slots(BjBaseline *b, const Finding *f, double x)
{
	Place		place = f->forecast.place;
	double		spacing = b->spacing < 11.5f ? exp2_of(b->spacing) * BJ_SECOND : (double) BJ_HOUR;
	double		day;
	double		week;
	Pair		logs;

	/* what a closed incident brought back has seen less than what judged */
	if (place.observations != b->observations || place.observed_at != b->observed_at)
	{
		bj_levels_place(b, f->at, &place);
		place.day_value = bj_slot_value(b->day[place.day]);
		place.week_value = bj_slot_value(b->week[place.week]);
	}
	day = learned_slot(place.day_value, place.day_visits, place.same_day, f->at, BJ_HOUR / 2, spacing, x);
	week = learned_slot(place.week_value, place.week_visits, place.same_week, f->at, BJ_HOUR, spacing, x);
	logs = log2_pair((Pair) {size_of(day) < 1e-12 ? 1 : size_of(day), size_of(week) < 1e-12 ? 1 : size_of(week)});
	b->day[place.day] = size_of(day) < 1e-12 ? 0 : bj_slot_of_log(logs[0], day < 0);
	b->week[place.week] = size_of(week) < 1e-12 ? 0 : bj_slot_of_log(logs[1], week < 0);
	if (!place.same_day)
		visit(b, place.day);
	if (!place.same_week)
		visit(b, 48 + place.week);
}

/* Back within what the state may hold; hardly ever. */
static __attribute__((noinline)) void
keep_levels(BjBaseline *b)
{
	float	   *const levels[] = {
		&b->fast, &b->slow, &b->scale, &b->slow_scale, &b->log_scale,
		&b->errors[0], &b->errors[1], &b->errors[2], &b->errors[3], &b->errors[4]
	};

	for (int i = 0; i < (int) (sizeof(levels) / sizeof(levels[0])); i++)
		*levels[i] = keep(*levels[i]);
}

/*
 * The first values set the levels outright; after that a step is clipped, so
 * that one absurd row moves nothing much.  learned: the value, clipped too.
 */
static void
learn_levels(BjBaseline *b, const Finding *f, double learned)
{
	uint32_t	n = b->observations;
	double		hurry = bj_is_daily(b) ? DAILY_HURRY : 1;
	double		limit = CLIP * f->forecast.sigma * (n < 10 ? 1e9 : 1);
	double		step = f->x - b->slow;
	double		most = SLOW_CLIP * (1.25 * b->slow_scale + 0.001 * size_of(b->slow)) + 1e-9;
	double		rate = rate_of(hurry * SCALE_RATE, n - 1);
	double		error_rate = rate_of(hurry * ERROR_RATE, n - 1);
	double		off[5];
	PairBits	beyond = {0, 0};
	Pair		levels;
	Pair		scales;
	Pair		first;
	Pair		second;
	Pair		third;
	Pair		sizes;

	for (int i = 0; i < 5; i++)
		off[i] = clip(size_of(f->x - f->forecast.each[i]), 0, 2 * limit);
	levels = follow_pair((Pair) {b->fast, b->slow},
						 (Pair) {f->x, b->slow + (n < 10 ? step : clip(step, -most, most))},
						 (Pair) {rate_of(FAST_RATE, n), rate_of(hurry * SLOW_RATE, n)}, &beyond);
	scales = follow_pair((Pair) {b->scale, b->slow_scale},
						 (Pair) {clip(size_of(f->residual), 0, limit), size_of(clip(step, -most * 2, most * 2))},
						 (Pair) {rate, rate_of(SCALE_RATE, n < 3 ? n : n - 2)}, &beyond);
	first = follow_pair((Pair) {b->log_scale, b->errors[0]},
						(Pair) {clip(size_of(f->ratio), 0, n < 10 ? 4 : 6 * (b->log_scale + 0.02)), off[0]},
						(Pair) {rate, error_rate}, &beyond);
	second = follow_pair((Pair) {b->errors[1], b->errors[2]}, (Pair) {off[1], off[2]},
						 (Pair) {error_rate, error_rate}, &beyond);
	third = follow_pair((Pair) {b->errors[3], b->errors[4]}, (Pair) {off[3], off[4]},
						(Pair) {error_rate, error_rate}, &beyond);
	sizes = follow_pair((Pair) {b->zeros, b->abs_level}, (Pair) {f->x == 0, size_of(learned)},
						(Pair) {rate_of(SCALE_RATE, n), f->x != 0 ? rate_of(SLOW_RATE, b->nonzero) : 0}, &beyond);
	b->zeros = (float) sizes[0];
	b->abs_level = keep(sizes[1]);
	if (n == 0)
	{
		b->fast = b->slow = keep(f->x);
		return;
	}
	b->fast = (float) levels[0];
	b->slow = (float) levels[1];
	b->scale = (float) scales[0];
	b->slow_scale = (float) scales[1];
	b->log_scale = (float) first[0];
	b->errors[0] = (float) first[1];
	b->errors[1] = (float) second[0];
	b->errors[2] = (float) second[1];
	b->errors[3] = (float) third[0];
	b->errors[4] = (float) third[1];
	if (is_beyond(beyond))
		keep_levels(b);
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
	off = clip(f->log_x - f->log_season - b->trend, -0.5, 0.5);
	b->trend = keep(clip(b->trend + days / (days + TREND_DAYS) * off, -3, 3));
}

void
bj_levels_learn(BjBaseline *b, const Finding *f)
{
	uint32_t	n = b->observations;
	bool		by_size = bj_sizes_tell(b);
	double		limit = CLIP * f->forecast.sigma;
	double		learned = f->x;

	/*
	 * Right after a fault the best forecast still follows it: what fits the
	 * season is learned as it is.
	 */
	if (n >= 10 && size_of(f->x - f->forecast.season) > limit)
		learned = f->forecast.best + clip(f->residual, -limit, limit);
	if (n > 0)
		learn_trend(b, f);
	learn_levels(b, f, learned);
	learn_slots(b, f, learned);
	if (f->x > 0)
	{
		if (mode_of(b) <= BJ_MODE_ROWS)
			bj_sizes_learn(b, f->log_x, b->nonzero);
		if (b->nonzero < UINT16_MAX)
			b->nonzero++;
	}
	/* against what it has been of late, so that a slow drift is no pattern */
	b->signs = b->signs << 1 | (f->ratio > b->smooth_ratio);
	if (f->x != 0 && (b->largest < f->log_x || n < 2))
		b->largest = keep(f->log_x);
	if (f->x != 0)
		follow(&b->repeats, n > 0 && f->run > 1, SCALE_RATE, n);
	bj_days_follow(b, f, true);
	bj_levels_follow(b, f);
	if (bj_sizes_tell(b) != by_size)
		b->rise = b->fall = b->sizes = 0;
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
	b->sizes = f->sizes;
	if (mode_of(b) <= BJ_MODE_ROWS)
		memcpy(b->twice, f->twice, sizeof(b->twice));
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
	b->rise = b->fall = b->sizes = 0;
}
