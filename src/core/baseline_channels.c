/*
 * baseline_channels.c
 *	  One observation, looked at in many ways, and the verdict of all of them.
 *
 * Each channel makes a magnitude of the observation; its tail says how rare
 * that is.  The rarest speaks.
 */
#include "core/baseline_internal.h"

#define LEAST_OBSERVATIONS 20
#define LEAST_NONZERO 10
#define LEAST_AGE (2 * BJ_DAY)
#define LOG_WEIGHT 0.12			/* decades of a squared scale; a normal law's
								 * is 0.217 */
#define LOG_MOST 6.5
#define LOG_FROM 8				/* observations */
#define LOG_YOUNG 3.0			/* octaves over their number: of the scale */
#define SETTLED 100				/* observations */
#define BUILDS_UP (1u << CH_SHORT | 1u << CH_SEASONAL | 1u << CH_DAY)
/*
 * Rows that come every few minutes hang together: of undisturbed ones half as
 * many pass a limit as of hourly ones.  So that the score means the same.
 */
#define DENSE_CREDIT 0.15
#define DENSE_FROM 10.7f		/* log2 of seconds: half an hour */
#define DENSE_OVER 2.5f			/* octaves, down to five minutes */
#define Z_CLIP 8.0
#define SMOOTH_CLIP 28.0		/* sigmas */
#define RATIO_CLIP 4.0
#define RATIO_FLOOR 0.02		/* of the level */
#define DAY_FLOOR 0.02			/* likewise, where a day's log ratios add up */
#define NOTHING_SHARE 0.8		/* of what independent zeros would say */
#define RUN_SHARE 0.9			/* likewise of repetitions */
#define RUN_MOST 9.0
#define RUN_DAILY 2.2			/* decades: each repetition is a whole day, of
								 * which a month has 24 times fewer than hours,
								 * and the day's sum is a number of more digits */
#define FIRST_WEEK 350			/* observations: hourly ones of two weeks */
#define FIRST_FALL 1.5			/* decades: it may be the first weekend */
#define SMALL_RISE 1.0			/* octaves: what business itself does */
#define RISE_DOUBT 0.7			/* decades, of the smallest */
#define RISE_DOUBT_LEAST 0.3	/* of one of an octave */
#define LONELY 0.07				/* share of the lead over the next channel */

/* Decades that a channel must be ahead by, to count as much as the others. */
static const double handicaps[BJ_CHANNELS] = {
	[CH_SHORT] = 0.4,[CH_SEASONAL] = 0.7,[CH_Z] = 0.3,[CH_UP] = 0.2,[CH_DOWN] = 0.2,
	[CH_RATIO] = 0.2,[CH_DAY] = 0.6,[CH_RUN] = 0.8
};

/*
 * The share of zeros before the run that is going on: each zero of it has
 * moved the share a little.
 */
static double
zeros_before(const BjBaseline *b, const Finding *f)
{
	if (f->x != 0 || f->run <= 1)
		return b->zeros;
	/* 0.0145: log2 of 1 / (1 - the rate) */
	return clip(1 - (1 - b->zeros) * exp2_of(0.0145 * (f->run - 1.0)), 0, 1);
}

#define NO_SIZE (-40.0)			/* log2 of what is zero, or nearly */

/* The smoothed values as they will be, and the day's sums. */
static void
smooth(const BjBaseline *b, Finding *f)
{
	uint32_t	n = b->observations;
	double		memory = f->gap / (f->gap + 86400);
	double		step = clip(f->ratio / (1.25 * b->log_scale + 0.03), -6, 6);
	double		limit = n < LEAST_OBSERVATIONS ? 1e30 : SMOOTH_CLIP * f->forecast.sigma;
	double		seasonal = clip(f->seasonal, -limit, limit);
	double		young = 1.0 / ((double) n + 1);
	double		slow = 0.05 > young ? 0.05 : young;
	double		short_rate = 0.15 > young ? 0.15 : young;
	PairBits	beyond = {0, 0};
	Pair		residuals;
	Pair		shapes;
	Pair		days;

	/* clipped, so that one huge value does not linger for weeks */
	residuals = follow_pair((Pair) {b->short_residual, b->seasonal_residual},
							(Pair) {clip(f->residual, -limit, limit), seasonal},
							(Pair) {short_rate, slow}, &beyond);
	shapes = follow_pair((Pair) {b->smooth_ratio, b->pattern},
						 (Pair) {clip(f->ratio, -RATIO_CLIP, RATIO_CLIP), clip(size_of(f->z), 0, Z_CLIP)},
						 (Pair) {slow, slow}, &beyond);
	days = follow_pair((Pair) {b->day_sum, b->day_expected},
					   (Pair) {f->forecast.seasonal + seasonal, f->forecast.seasonal},
					   (Pair) {memory, memory}, &beyond);
	for (int i = 0; i < 2; i++)
	{
		f->smooth[SMOOTH_SHORT + i] = (float) residuals[i];
		f->smooth[SMOOTH_RATIO + i] = (float) shapes[i];
		f->smooth[SMOOTH_DAY_SUM + i] = (float) days[i];
	}
	for (int i = 0; i < SMOOTH_RISE && is_beyond(beyond); i++)
		f->smooth[i] = keep(f->smooth[i]);
	f->smooth[SMOOTH_RISE] = keep(clip(b->rise + step - 1, 0, 40));
	f->smooth[SMOOTH_FALL] = keep(clip(b->fall - step - 1, 0, 40));
	f->sizes = b->sizes;
	memcpy(f->twice, b->twice, sizeof(f->twice));
}

/* The logarithms that need the forecast only. */
static void
compare(Finding *f)
{
	double		x = clip(f->x, 0, 1e30);
	double		floor = RATIO_FLOOR * f->forecast.level + 1e-9;
	double		day_floor = DAY_FLOOR * f->forecast.level + 1e-9;
	Pair		ratios = {(x + floor) / (clip(f->forecast.seasonal, 0, 1e30) + floor),
	(x + day_floor) / (clip(f->forecast.each[3], 0, 1e30) + day_floor)};
	Pair		sizes = {f->x != 0 ? size_of(f->x) : 1,
	f->forecast.season > 0 ? f->forecast.season : 1};

	ratios = log2_pair(ratios);
	sizes = log2_pair(sizes);
	f->ratio = ratios[0];
	f->log_today = ratios[1];
	f->log_x = sizes[0];
	f->log_season = sizes[1];
}

/* log2, or what stands for it where it is zero or nearly so. */
static inline Pair
log_sizes(double a, double b)
{
	Pair		logs = {a < 1e-12 ? 1 : a, b < 1e-12 ? 1 : b};

	logs = log2_pair(logs);
	return (Pair) {a < 1e-12 ? NO_SIZE : logs[0], b < 1e-12 ? NO_SIZE : logs[1]};
}

static void
measure(const BjBaseline *b, bool sizes, Finding *f)
{
	double	   *u = f->magnitude;
	const float *smoothed = f->smooth;
	double		floor = RATIO_FLOOR * f->forecast.level + 1e-9;
	Pair		residuals = log_sizes(size_of(f->residual), size_of(smoothed[SMOOTH_SHORT]));
	Pair		lasting = log_sizes(size_of(smoothed[SMOOTH_SEASONAL]), b->slow - f->x);
	Pair		z = log2_pair((Pair) {1 + size_of(f->z), 1 + smoothed[SMOOTH_PATTERN]});
	Pair		sums = log2_pair((Pair) {1 + smoothed[SMOOTH_RISE], 1 + smoothed[SMOOTH_FALL]});
	Pair		times = log2_pair((Pair) {
		(clip(smoothed[SMOOTH_DAY_SUM], 0, 1e30) + floor) / (clip(smoothed[SMOOTH_DAY_EXPECTED], 0, 1e30) + floor),
		1 + f->gap
	});

	u[CH_RESIDUAL] = residuals[0];
	u[CH_SHORT] = residuals[1];
	u[CH_SEASONAL] = lasting[0];
	u[CH_Z] = z[0];
	u[CH_SHORTFALL] = lasting[1];
	u[CH_UP] = f->ratio > 0 ? f->ratio : 0;
	u[CH_DOWN] = f->ratio < 0 ? -f->ratio : 0;
	u[CH_RATIO] = size_of(smoothed[SMOOTH_RATIO]);
	u[CH_PATTERN] = z[1];
	u[CH_DAY] = size_of(times[0]);
	u[CH_RISE] = sums[0];
	u[CH_FALL] = sums[1];
	u[CH_GAP] = times[1];
	for (int i = CH_SIZE; i < BJ_LANES; i++)
		if (i != CH_GAP)
			u[i] = 0;
	f->seen = ((1u << CH_SIZE) - 1) | 1u << CH_GAP;
	if (sizes)
		f->seen &= ~(1u << CH_RISE | 1u << CH_FALL);
	if (f->x > 0 && b->nonzero >= LEAST_NONZERO && mode_of(b) <= BJ_MODE_ROWS)
	{
		u[CH_SIZE] = size_of(f->log_x - b->size_mean);
		f->seen |= 1u << CH_SIZE;
	}
	if (f->x != 0 || zeros_before(b, f) < 0.02)
	{
		u[CH_RUN] = log2_of(1.0 + f->run);
		f->seen |= 1u << CH_RUN;
	}
}

/* None speaks before there is some evidence. */
bool
bj_is_young(const BjBaseline *b, const Finding *f)
{
	return b->observations < LEAST_OBSERVATIONS || f->at - b->first_at < LEAST_AGE;
}

/* By how much the smoothed ratio says that the value changed. */
static double
change_of_ratio(const BjDetect *detect, const Finding *f)
{
	double		ratio = f->smooth[SMOOTH_RATIO];

	/* mostly too little anyway: 2^r - 1 is no larger than r */
	if (size_of(ratio) < 0.999 * detect->materiality && size_of(ratio) < 1)
		return 0;
	return f->forecast.level * (exp2_of(ratio) - 1);
}

/* The changes that channels are about. */
enum
{
	CHANGE_RESIDUAL,
	CHANGE_SLOW,
	CHANGE_SEASONAL,
	CHANGE_PATTERN,
	CHANGE_SHORT,
	CHANGE_SMOOTH,
	CHANGE_RATIO,
	CHANGE_DAY,
	CHANGES
};

static const uint64_t channels_of[CHANGES] = {
	[CHANGE_RESIDUAL] = 1u << CH_RESIDUAL | 1u << CH_Z,
	[CHANGE_SLOW] = 1u << CH_SHORTFALL,
	[CHANGE_SEASONAL] = 1u << CH_UP | 1u << CH_DOWN | 1u << CH_RISE | 1u << CH_FALL,
	[CHANGE_PATTERN] = 1u << CH_PATTERN,
	[CHANGE_SHORT] = 1u << CH_SHORT,
	[CHANGE_SMOOTH] = 1u << CH_SEASONAL,
	[CHANGE_RATIO] = 1u << CH_RATIO,
	[CHANGE_DAY] = 1u << CH_DAY
};

/* on a meter that is mostly zero any two values are a shift */
#define MOSTLY_NONZERO (1u << CH_SHORT | 1u << CH_SEASONAL | 1u << CH_RATIO | 1u << CH_DAY)

/* The channels that may speak of this observation. */
static uint32_t
audible(const BjBaseline *b, const BjDetect *detect, const Finding *f)
{
	const Forecast *forecast = &f->forecast;
	const float *smooth = f->smooth;
	double		material = detect->materiality * forecast->level;
	bool		no_rise = b->nonzero < LEAST_NONZERO;	/* too little was seen */
	bool		no_fall = f->x == 0 && zeros_before(b, f) > 0.02;
	double		changes[CHANGES];
	double		of_size;
	uint64_t	set = 0;

	changes[CHANGE_RESIDUAL] = f->residual;
	changes[CHANGE_SLOW] = f->x - b->slow;
	changes[CHANGE_SEASONAL] = f->seasonal;
	changes[CHANGE_PATTERN] = smooth[SMOOTH_PATTERN] * forecast->sigma;
	changes[CHANGE_SHORT] = smooth[SMOOTH_SHORT];
	changes[CHANGE_SMOOTH] = smooth[SMOOTH_SEASONAL];
	changes[CHANGE_RATIO] = change_of_ratio(detect, f);
	changes[CHANGE_DAY] = forecast->level * (smooth[SMOOTH_DAY_SUM] - smooth[SMOOTH_DAY_EXPECTED]) /
		(size_of(smooth[SMOOTH_DAY_EXPECTED]) + 1e-9);
	for (int i = 0; i < CHANGES; i++)
		set |= size_of(changes[i]) < material ? 0 : channels_of[i];
	if (no_rise || no_fall)
		for (int i = 0; i < CHANGES; i++)
			if ((changes[i] > 0 && no_rise) || (changes[i] < 0 && no_fall))
				set &= ~channels_of[i];
	if (b->zeros > 0.2)
		set &= ~(uint64_t) MOSTLY_NONZERO;
	if (!(b->zeros < 0.2))
	{
		of_size = f->x - exp2_of(b->size_mean);
		if (size_of(of_size) >= material && !(of_size > 0 && no_rise) && !(of_size < 0 && no_fall))
			set |= 1u << CH_SIZE;
	}
	if (f->run >= 3)
		set |= 1u << CH_RUN;
	return (uint32_t) set & f->seen;
}

/*
 * Equal values in a row: as long as there were such runs before, their tail
 * says how rare it is; beyond the longest, each further one is as unlikely as
 * a repetition is in this stream.
 */
static double
run_rarity(const BjBaseline *b, const Finding *f)
{
	const BjTail *tail = &b->tails[CH_RUN];
	double		n = b->observations < 200 ? b->observations : 200;
	double		chance = (b->repeats * n + 1) / (n + 2);
	double		each = -0.30103 * RUN_SHARE * log2_of(chance);
	double		longest;

	if (b->runs_ended < LEAST_OBSERVATIONS)
		return chance > 0.5 ? 0 : clip(each * (f->run - 1), 0, RUN_MOST);
	longest = exp2_of(tail->largest) - 1;
	if (f->run <= longest)
		return bj_tail_rarity(tail, f->magnitude[CH_RUN], b->runs_ended);
	return clip(bj_tail_rarity(tail, tail->largest, b->runs_ended) + each * (f->run - longest), 0, RUN_MOST);
}

/*
 * Zeros in a row on a stream that has none: each is as unlikely as zeros have
 * been, whatever the scale of the rest.  A heavy tail hides it from the others.
 */
static double
nothing_rarity(const BjBaseline *b, const Finding *f)
{
	double		n = b->observations < 2000 ? b->observations : 2000;
	double		before;
	double		chance;

	if (f->x != 0 || b->observations < 2 * LEAST_OBSERVATIONS ||
		f->at - b->first_at < LEAST_AGE)
		return 0;
	before = zeros_before(b, f);
	if (before > 0.01)
		return 0;
	chance = (before * n + 1) / (n + 2);
	return clip(0.8 - 0.30103 * NOTHING_SHARE * log2_of(chance) * f->run, 0, 9);
}

/*
 * Less than usual in an hour of the week that was never seen: as long as
 * there is little else to go by it may be the first weekend.  Nothing at all
 * is another matter.
 */
static double
weekend_doubt(const BjBaseline *b, const Finding *f)
{
	return f->x != 0 && f->seasonal < 0 && b->observations < FIRST_WEEK &&
		f->forecast.place.week_visits == 0 && mode_of(b) <= BJ_MODE_ROWS &&
		!bj_is_daily(b) ? FIRST_FALL : 0;
}

/*
 * How far rows are from coming every few minutes.  What comes like that is what
 * a machine measures; hours and days are what a business uses.
 */
static double
share_of_business(const BjBaseline *b)
{
	return mode_of(b) > BJ_MODE_ROWS ? 1 : clip(1 - (DENSE_FROM - b->spacing) / DENSE_OVER, 0, 1);
}

/*
 * Somewhat more than usual is what campaigns, ends of months and growth make
 * too; an error of counting is seldom so small.
 */
static double
rise_doubt(const Finding *f)
{
	if (f->ratio <= 0 || f->ratio >= SMALL_RISE)
		return 0;
	return RISE_DOUBT - (RISE_DOUBT - RISE_DOUBT_LEAST) / SMALL_RISE * f->ratio;
}

/*
 * The rarities of the channels that may speak: those that count observations
 * at once.  What one channel alone says counts less: an incident has witnesses,
 * but for those that look at something else.
 */
static void
weigh_tails(const BjBaseline *b, const BjDetect *detect, Finding *f)
{
	uint32_t	set = audible(b, detect, f);
	uint32_t	common = set & ~(1u << CH_RUN | 1u << CH_SIZE);
	double		business = share_of_business(b);
	double		doubt = weekend_doubt(b, f) + business * rise_doubt(f);
	double		second = 0;

	if (common != 0)
		bj_tails_rarity(b->tails, f->magnitude, b->observations, common, f->rarity);
	if (set & 1u << CH_SIZE)
		f->rarity[CH_SIZE] = bj_tail_rarity(&b->tails[CH_SIZE], f->magnitude[CH_SIZE], b->nonzero);
	if (set & 1u << CH_RUN)
		f->rarity[CH_RUN] = run_rarity(b, f) + (bj_is_daily(b) ? RUN_DAILY : 0);
	for (; set != 0; set &= set - 1)
	{
		int			i = __builtin_ctz(set);

		f->rarity[i] -= handicaps[i] + (i < CH_SIZE ? doubt : 0);
		if (f->rarity[i] > f->decades)
		{
			second = f->decades;
			f->decades = f->rarity[i];
			f->channel = i;
		}
		else if (f->rarity[i] > second)
			second = f->rarity[i];
	}
	if (f->channel < CH_SIZE)
		f->decades -= LONELY * business * (f->decades - second);
}

static void
weigh(const BjBaseline *b, const BjDetect *detect, Finding *f)
{
	uint64_t	others[BJ_OTHERS];
	uint64_t	any = 0;

	f->decades = 0;
	f->channel = CH_RESIDUAL;
	if (!bj_is_young(b, f))
		weigh_tails(b, detect, f);
	f->tail_decades = f->decades;
	f->rarity[CH_NOTHING] = nothing_rarity(b, f);
	/* mostly none has any */
	memcpy(others, f->rarity + BJ_CHANNELS, sizeof(others));
	for (int i = 0; i < BJ_OTHERS; i++)
		any |= others[i];
	for (int i = BJ_CHANNELS; i < CH_ALL && any != 0; i++)
		if (f->rarity[i] > f->decades)
		{
			f->decades = f->rarity[i];
			f->channel = i;
		}
	f->decades *= 1 + DENSE_CREDIT * clip((DENSE_FROM - b->spacing) / DENSE_OVER, 0, 1);
}

/*
 * Days are few: their histogram can hardly speak.  There the log ratio is
 * judged by its scale, as of a law with a tail somewhat heavier than normal.
 */
static void
judge_log(const BjBaseline *b, const BjDetect *detect, Finding *f)
{
	double		n = b->observations;
	double		scale = 1.25 * b->log_scale + 0.04;
	double		z;

	/* a scale of few days is hardly known */
	if (n > 0 && n < LEAST_OBSERVATIONS)
		scale += LOG_YOUNG / n;
	z = f->ratio / scale;
	if (!bj_is_daily(b) || n < LOG_FROM || b->zeros > 0.1f ||
		size_of(f->x - f->forecast.seasonal) < detect->materiality * f->forecast.level)
		return;
	f->rarity[CH_LOG] = clip(LOG_WEIGHT * z * z, 0, LOG_MOST);
}

/*
 * gap: seconds since the observation before, 0 for the first.  x in the
 * baseline's own scale.
 */
void
bj_judge(const BjBaseline *b, const BjDetect *detect, int64_t at, double x,
		 double gap, double rows, Finding *f)
{
	bool		sizes = bj_sizes_tell(b);

	/* those of channels with a tail are written when they are weighed */
	memset(f->rarity + BJ_CHANNELS, 0, BJ_OTHERS * sizeof(double));
	f->at = at;
	f->x = x;
	f->gap = gap;
	f->rows = rows;
	if (b->observations == 0)
	{
		for (int i = 0; i < 5; i++)
			f->forecast.each[i] = x;
		f->forecast.best = f->forecast.seasonal = f->forecast.season = x;
		f->forecast.level = size_of(x);
		f->forecast.sigma = 1e-9;
		bj_levels_place(b, at, &f->forecast.place);
	}
	else
		bj_levels_forecast(b, at, &f->forecast);
	f->residual = x - f->forecast.best;
	f->seasonal = x - f->forecast.seasonal;
	f->z = clip(f->residual / f->forecast.sigma, -1e6, 1e6);
	compare(f);
	f->run = b->observations > 0 && x == b->run_value ? b->run + 1 : 1;
	smooth(b, f);
	if (detect->peer != NULL)
		bj_peer_judge(detect->peer, b, f);
	if (sizes)
		bj_sizes_judge(b, f);
	else
		bj_twice_judge(b, f);
	bj_days_judge(b, f);
	judge_log(b, detect, f);
	measure(b, sizes, f);
	weigh(b, detect, f);
}

/*
 * Was the very first value absurd?  The two after it say so when both are far
 * smaller than the mean of the first two; else it would be what is usual at
 * its hour for weeks.
 */
static bool
was_absurd(const BjBaseline *b, const Finding *f)
{
	return b->observations == 2 && f->x > 0 && b->run_value > 0 &&
		64 * f->x < b->slow && 64 * b->run_value < 2 * b->slow;
}

void
bj_learn(BjBaseline *b, const Finding *f)
{
	if (was_absurd(b, f))
	{
		bj_levels_reset(b);
		b->observed_at = f->at;
		return;
	}
	/* one shift that builds up over many rows is one event */
	if (b->observations >= 3)
		bj_tails_learn(b->tails, f->magnitude, f->seen & ~(1u << CH_RUN),
					   b->observations >= SETTLED ? BUILDS_UP : 0);
	if (f->run == 1 && b->run > 0 && (b->run_value != 0 || b->zeros < 0.02))
	{
		bj_tail_add(&b->tails[CH_RUN], log2_of(1.0 + b->run), 4);
		if (b->runs_ended < UINT16_MAX)
			b->runs_ended++;
	}
	bj_levels_learn(b, f);

	/*
	 * Tails of the time when the season was not known yet are forgotten week
	 * by week; later every 6,000 observations.
	 */
	if (b->observations % 6000 == 0 ||
		(f->day_ends && (b->days == 7 || b->days == 14 || b->days == 21)))
		for (int i = 0; i < BJ_CHANNELS; i++)
			bj_tail_halve(&b->tails[i]);
}
