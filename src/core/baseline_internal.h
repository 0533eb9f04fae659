/*
 * baseline_internal.h
 *	  What the files of the baseline share: arithmetic, forecast, finding.
 *
 * No libm: log2 and exp2 are polynomials here, so that a score is the same
 * bits wherever doubles are IEEE 754.
 */
#ifndef BILLADJ_CORE_BASELINE_INTERNAL_H
#define BILLADJ_CORE_BASELINE_INTERNAL_H

#include <string.h>

#include "core/baseline.h"

#define BJ_SECOND INT64_C(1000000)
#define BJ_HOUR (3600 * BJ_SECOND)
#define BJ_DAY (24 * BJ_HOUR)

/* Times in the bounds of which sums of them do not overflow. */
#define TIME_MAX INT64_C(4000000000000000000)

/* what is looked at; each has a tail */
enum
{
	CH_RESIDUAL,				/* against the best forecast */
	CH_SHORT,					/* the same, smoothed over some rows */
	CH_SEASONAL,				/* against the seasonal forecast, smoothed */
	CH_Z,						/* in units of the present scale */
	CH_SHORTFALL,				/* below the slow level */
	CH_UP,						/* log ratio to the seasonal forecast */
	CH_DOWN,
	CH_RATIO,					/* the same, smoothed */
	CH_PATTERN,					/* mean size of z */
	CH_DAY,						/* a day's sum against the forecast's */
	CH_RISE,					/* sum of log ratios beyond their scale */
	CH_FALL,
	CH_SIZE,					/* of values above zero, on sparse streams */
	CH_RUN,						/* equal values in a row */
	CH_GAP						/* silence before the row */
};

/* not channels with a tail */
#define CH_CUSUM BJ_CHANNELS	/* days that add up */
#define CH_ZONE (BJ_CHANNELS + 1)
#define CH_FIRST (BJ_CHANNELS + 2)	/* beside comparable accounts */
#define CH_CADENCE (BJ_CHANNELS + 3)
#define CH_LOG (BJ_CHANNELS + 4)	/* log ratio as of a normal law */
#define CH_NOTHING (BJ_CHANNELS + 5)	/* zeros where there are none */
#define CH_BUSY (BJ_CHANNELS + 6)	/* sizes and number of values above zero */
#define CH_TWICE (BJ_CHANNELS + 7)	/* all of it one octave higher */
#define CH_ALL (BJ_CHANNELS + 8)

/* flags of a baseline */
#define BJ_FLAG_MODE 3u			/* a BjMode */
#define BJ_FLAG_INCIDENT 4u
#define BJ_FLAG_GAP 8u
#define BJ_FLAG_PRICE 16u
#define BJ_FLAG_READING 32u		/* last_value is a meter reading */
#define BJ_FLAG_EXPONENT 64u	/* exponent is chosen */
#define BJ_FLAG_BUCKET 128u		/* bucket_at is set */
#define BJ_FLAG_TIES 8			/* place of a count of 8 bits: how usual rows
								 * of one time are */
#define BJ_FLAG_ROW_RULE (1u << 16) /* see bj_baseline_mark_row_rule() */
#define BJ_FLAGS_KNOWN 0x1FFFFu

/* what an observation is */
typedef enum BjMode
{
	BJ_MODE_YOUNG = 0,			/* not decided: each row */
	BJ_MODE_ROWS,				/* each row */
	BJ_MODE_HOURS,				/* the hour's sum */
	BJ_MODE_DAYS				/* the day's */
} BjMode;

static inline BjMode
mode_of(const BjBaseline *b)
{
	return (BjMode) (b->flags & BJ_FLAG_MODE);
}

/* Written so that it is two instructions without a branch; least <= most. */
static inline double
clip(double x, double least, double most)
{
	double		at_least = least > x ? least : x;

	return most < at_least ? most : at_least;
}

static inline double
size_of(double x)
{
	return __builtin_fabs(x);
}

/* Two to the n, for n within the exponents of a normal double. */
static inline double
power_of_two(int n)
{
	uint64_t	bits = (uint64_t) (n + 1023) << 52;
	double		x;

	memcpy(&x, &bits, sizeof(x));
	return x;
}

/* The exponent of x > 0: the largest n with 2^n <= x. */
static inline int
exponent_of(double x)
{
	uint64_t	bits;

	memcpy(&bits, &x, sizeof(bits));
	return (int) (bits >> 52) - 1023;
}

/*
 * log2 of a normal x > 0; error below 1e-6.  atanh series about the middle of
 * the octave: log2(m) = 2/ln 2 * (s + s^3/3 + ...), s = (m - c) / (m + c).
 */
static inline double
log2_of(double x)
{
	uint64_t	bits;
	double		m,
				s,
				s2;
	int			e;

	memcpy(&bits, &x, sizeof(bits));
	e = (int) (bits >> 52) - 1023;
	bits = (bits & UINT64_C(0xFFFFFFFFFFFFF)) | UINT64_C(0x3FF0000000000000);
	memcpy(&m, &bits, sizeof(m));
	s = (m - 1.4142135623730951) / (m + 1.4142135623730951);
	s2 = s * s;
	return e + 0.5 + s * (2.8853900817779268 + s2 * (0.96179669392597556 +
													 s2 * (0.57707801635558535 +
														   s2 * 0.41219858311113239)));
}

/* 2^y, clipped to y within -1000..1000; relative error below 1e-7. */
static inline double
exp2_of(double y)
{
	double		f;
	int			n;

	y = clip(y, -1000, 1000);
	n = (int) y;
	n -= n > y;
	f = y - n - 0.5;
	/* 2^f for |f| <= 1/2, times the square root of two */
	f = 1.4142135623730951 * (1 + f * (0.69314718055994531 + f * (0.24022650695910072 + f * (0.055504108664821580 + f * (0.0096181291076284772 + f * (0.0013333558146428443 + f * 0.00015403530393381608))))));
	return power_of_two(n) * f;
}

/*
 * exp2_of() and log2_of() of two numbers at once: the same bits, without a
 * branch or a conversion to an integer.  y within -1000..1000, x normal and > 0.
 */
typedef double Pair __attribute__((vector_size(16)));
typedef uint64_t PairBits __attribute__((vector_size(16)));

#define WHOLE 6755399441055744.0	/* 1.5 * 2^52: numbers beside it are whole */

static inline Pair
exp2_pair(Pair y)
{
	Pair		sum = y + WHOLE;
	Pair		f = y - (sum - WHOLE) + 0.0;

	/* sum has the nearest whole number in its lowest bits: the one below */
	PairBits	n = (PairBits) sum - ((PairBits) f >> 63);

	f = y - ((Pair) n - WHOLE) - 0.5;
	f = 1.4142135623730951 * (1 + f * (0.69314718055994531 + f * (0.24022650695910072 + f * (0.055504108664821580 + f * (0.0096181291076284772 + f * (0.0013333558146428443 + f * 0.00015403530393381608))))));
	return (Pair) ((n + 1023) << 52) * f;
}

static inline Pair
log2_pair(Pair x)
{
	PairBits	bits = (PairBits) x;

	/* behind 2^52 the exponent's bits are a number's lowest */
	Pair		e = (Pair) (bits >> 52 | UINT64_C(0x4330000000000000)) - (4503599627370496.0 + 1023);
	Pair		m = (Pair) ((bits & UINT64_C(0xFFFFFFFFFFFFF)) | UINT64_C(0x3FF0000000000000));
	Pair		s = (m - 1.4142135623730951) / (m + 1.4142135623730951);
	Pair		s2 = s * s;

	return e + 0.5 + s * (2.8853900817779268 + s2 * (0.96179669392597556 +
													 s2 * (0.57707801635558535 +
														   s2 * 0.41219858311113239)));
}

/* Of an even number of numbers, in place. */
static inline void
exps2_of(double *y, int count)
{
	for (int i = 0; i < count; i += 2)
	{
		Pair		pair;

		memcpy(&pair, y + i, sizeof(pair));
		pair = exp2_pair(pair);
		memcpy(y + i, &pair, sizeof(pair));
	}
}

static inline void
logs2_of(double *x, int count)
{
	for (int i = 0; i < count; i += 2)
	{
		Pair		pair;

		memcpy(&pair, x + i, sizeof(pair));
		pair = log2_pair(pair);
		memcpy(x + i, &pair, sizeof(pair));
	}
}

/* To a float of the state: tiny ones are zero, before they are denormal. */
static inline float
keep(double x)
{
	x = size_of(x) < 1e-20 ? 0 : x;
	return (float) clip(x, -1e30, 1e30);
}

/* The rate at which a mean moves, faster while it is young. */
static inline double
rate_of(double rate, uint32_t n)
{
	/* mostly it is no longer young: then the division is spared */
	if (rate * ((double) n + 1) < 1.001)
	{
		double		young = 1.0 / ((double) n + 1);

		rate = rate > young ? rate : young;
	}
	return rate;
}

static inline void
follow(float *mean, double x, double rate, uint32_t n)
{
	*mean = keep(*mean + rate_of(rate, n) * (x - *mean));
}

/*
 * Two means, each at its rate, as keep() has them but for the upper bound:
 * *beyond gathers whether one of them passed it.  Then keep() is still to be
 * called.
 */
static inline Pair
follow_pair(Pair mean, Pair x, Pair rate, PairBits *beyond)
{
	Pair		moved = mean + rate * (x - mean);
	PairBits	size = (PairBits) moved & UINT64_C(0x7FFFFFFFFFFFFFFF);

	/* the first bit of the difference of bits tells; these are of 1e30 */
	*beyond |= UINT64_C(0x46293E5939A08CEA) - size;
	return (Pair) ((PairBits) moved & ~(PairBits) ((Pair) size < 1e-20));
}

static inline bool
is_beyond(PairBits beyond)
{
	return (beyond[0] | beyond[1]) >> 63;
}

/* The number of a span of time since 1970, before it negative. */
static inline int64_t
number_of(int64_t at, int64_t width)
{
	return at / width - (at % width < 0);
}

static inline int
slot_among(int64_t number, int slots)
{
	int64_t		slot = number % slots;

	return (int) (slot < 0 ? slot + slots : slot);
}

/* Half hour of the day, hour of the week: 0-based. */
static inline int
slot_of(int64_t at, int64_t width, int slots)
{
	return slot_among(number_of(at, width), slots);
}

/* Where a time stands in the day and in the week, and what is known of it. */
typedef struct Place
{
	int			day;			/* half hour of the day */
	int			week;			/* hour of the week */
	bool		same_day;		/* the last observation was in the same visit */
	bool		same_week;
	int			day_visits;		/* without this one */
	int			week_visits;
	double		day_value;		/* what the slots say */
	double		week_value;
	int64_t		observed_at;	/* of the baseline whose place it is */
	uint32_t	observations;
} Place;

/* What is expected of an observation. */
typedef struct Forecast
{
	Place		place;
	double		each[5];		/* fast, slow, day, week, trend */
	double		season;			/* day and week alone */
	double		best;			/* weighted by how well each did */
	double		seasonal;		/* without fast: does not follow a fault */
	double		sigma;			/* of the residual */
	double		level;			/* size that a change is material against */
} Forecast;

/* Room for the channels in loops over two of them at a time. */
#define BJ_LANES ((BJ_CHANNELS + 1) / 2 * 2)
#define BJ_OTHERS ((CH_ALL - BJ_CHANNELS + 1) / 2 * 2)	/* without a tail */

/* Where there is no logarithm: of zero. */
#define BJ_NO_LOG (-1000.0)

/* One observation, judged. */
typedef struct Finding
{
	int64_t		at;
	double		x;
	double		gap;			/* seconds since the observation before */
	double		rows;			/* in it */
	Forecast	forecast;
	double		residual;
	double		seasonal;
	double		z;
	double		ratio;			/* log2 */
	double		log_x;			/* log2 of its size, if it is not zero */
	double		log_season;		/* log2 of forecast.season, if it is above zero */
	double		log_today;		/* log2 of the value over its hour's of the week */
	float		smooth[8];		/* what the smoothed fields become */
	float		sizes;			/* likewise */
	float		twice[2];
	/* when the observation ends a day */
	bool		day_ends;
	double		day_ratio;		/* log2 of its sum over the expected */
	double		day_off;		/* that without its bias; of a count of rows,
								 * the difference of roots, which varies alike
								 * for few and for many */
	float		cusum[2];
	float		zone_evidence;
	float		zone_day;
	int			zone_lag;
	double		magnitude[BJ_LANES];
	double		rarity[BJ_CHANNELS + BJ_OTHERS];	/* decades; of channels with a
													 * tail only those that may
													 * speak have any */
	uint32_t	run;			/* equal values in a row, with this one */
	uint32_t	seen;			/* a bit for each channel with a magnitude */
	double		tail_decades;	/* the best of the channels with a tail */
	double		decades;		/* of the whole */
	int			channel;		/* the best */
	/* beside comparable accounts, when CH_FIRST is not 0; log2, unscaled */
	double		peer_expected;
	double		peer_lo;
	double		peer_hi;
} Finding;

enum
{
	SMOOTH_SHORT,
	SMOOTH_SEASONAL,
	SMOOTH_RATIO,
	SMOOTH_PATTERN,
	SMOOTH_DAY_SUM,
	SMOOTH_DAY_EXPECTED,
	SMOOTH_RISE,
	SMOOTH_FALL
};

/* baseline_levels.c */
extern bool bj_is_daily(const BjBaseline *b);
extern void bj_levels_place(const BjBaseline *b, int64_t at, Place *place);
extern void bj_levels_forecast(const BjBaseline *b, int64_t at, Forecast *forecast);
extern void bj_levels_learn(BjBaseline *b, const Finding *f);
extern void bj_levels_follow(BjBaseline *b, const Finding *f);
extern void bj_levels_keep_young(BjBaseline *trusted, const BjBaseline *b);
extern void bj_levels_reset(BjBaseline *b);
extern double bj_slot_value(int16_t slot);
extern void bj_slot_values(const int16_t *slots, int count, double *values);
extern int16_t bj_slot_of(double x);
extern int16_t bj_slot_of_log(double log, bool negative);

/* baseline_sizes.c */
extern bool bj_sizes_tell(const BjBaseline *b);
extern void bj_sizes_judge(const BjBaseline *b, Finding *f);
extern void bj_sizes_row(BjBaseline *b, double x, bool learn);
extern void bj_sizes_learn(BjBaseline *b, double log, uint32_t n);

/* baseline_twice.c */
extern void bj_twice_judge(const BjBaseline *b, Finding *f);

/* baseline_days.c */
extern void bj_days_judge(const BjBaseline *b, Finding *f);
extern void bj_days_follow(BjBaseline *b, const Finding *f, bool learn);

extern void bj_days_turn(BjBaseline *b, int64_t at);

/* baseline_peer.c */
extern void bj_peer_judge(const BjPeer *peer, const BjBaseline *b, Finding *f);

/* baseline_rarity.c */
extern double bj_tail_rarity(const BjTail *tail, double magnitude, uint32_t n);
extern void bj_tails_rarity(const BjTail *tails, const double *magnitudes,
							uint32_t n, uint32_t channels, double *rarities);
extern double bj_tail_weight(const BjTail *tail, double magnitude);
extern void bj_tail_add(BjTail *tail, double magnitude, int weight);
extern void bj_tail_learn(BjTail *tail, double magnitude);
extern void bj_tails_learn(BjTail *tails, const double *magnitudes,
						   uint32_t channels, uint32_t build_up);
extern void bj_tail_halve(BjTail *tail);
extern double bj_tail_quantile(const BjTail *tail, double share, uint32_t n);

/* baseline_channels.c */
extern bool bj_is_young(const BjBaseline *b, const Finding *f);
extern void bj_judge(const BjBaseline *b, const BjDetect *detect, int64_t at,
					 double x, double gap, double rows, Finding *f);
extern void bj_learn(BjBaseline *b, const Finding *f);

/* baseline_state.c */
extern size_t bj_layout_size(void);

/* baseline_cadence.c */
extern bool bj_cadence_observe(BjBaseline *b, double seconds);
extern double bj_cadence_limit(const BjBaseline *b);
extern double bj_cadence_decades(const BjBaseline *b, double seconds);

/* incident.c */
extern double bj_calibrated(double decades);
extern void bj_incident_step(BjStream *stream, const BjDetect *detect,
							 const Finding *f, double decades,
							 BjJudgement *judgement);

/* baseline.c */
extern void bj_describe(const BjBaseline *b, const Finding *f,
						BjJudgement *judgement);

/* baseline_rules.c */
extern bool bj_rules_observe(BjBaseline *b, const BjDetect *detect,
							 const BjRow *row, BjJudgement *judgement);
extern bool bj_rules_increase(BjBaseline *b, const BjDetect *detect,
							  const BjRow *row, double *x,
							  BjJudgement *judgement);
extern void bj_rules_price(BjBaseline *b, const BjDetect *detect,
						   const BjRow *row, BjJudgement *judgement);

#endif							/* BILLADJ_CORE_BASELINE_INTERNAL_H */
