/*
 * baseline_cadence.c
 *	  How often rows come: what an observation is, and when silence is a gap.
 */
#include "core/baseline_internal.h"

#define LEAST_SPACINGS 20
#define CHANGE_AFTER 50			/* spacings that must want another mode */
#define LEAST_REGULAR 0.8

/* The mode that the spacings so far speak for. */
static BjMode
wanted(const BjBaseline *b)
{
	BjMode		mode = mode_of(b);
	double		dense = mode == BJ_MODE_DAYS ? 2400 : mode == BJ_MODE_HOURS ? 10800 : 3600;

	if (b->regular >= LEAST_REGULAR)
		return BJ_MODE_ROWS;
	if (mode == BJ_MODE_ROWS && b->regular >= LEAST_REGULAR - 0.2)
		return BJ_MODE_ROWS;
	return b->pace <= dense ? BJ_MODE_HOURS : BJ_MODE_DAYS;
}

static void
set_mode(BjBaseline *b, BjMode mode)
{
	b->flags = (b->flags & ~(BJ_FLAG_MODE | BJ_FLAG_BUCKET)) | mode;
	b->mode_votes = 0;
	b->bucket_rows = 0;
	b->bucket_sum = 0;
}

/*
 * Are the seconds, whose log2 is known, near the median spacing?  Mostly the
 * logarithms tell; at the edges, which are -0.73697 and 0.67807 octaves, what
 * they are off by could matter.
 */
static bool
is_near_median(const BjBaseline *b, double seconds, double log)
{
	double		off = log - b->spacing;
	double		median;

	if (seconds >= 1 && off > -0.7369 && off < 0.678)
		return true;
	if (off < -0.737 || off > 0.6781)
		return false;
	median = exp2_of(b->spacing);
	return seconds >= 0.6 * median && seconds <= 1.6 * median;
}

/*
 * A row that is `seconds` after the newest.  True when the mode changed, and
 * with it what an observation is.
 */
bool
bj_cadence_observe(BjBaseline *b, double seconds)
{
	double		log = log2_of(seconds < 1 ? 1 : seconds);
	bool		near = is_near_median(b, seconds, log);
	BjMode		mode = mode_of(b);
	uint32_t	n = b->spacings;

	/* The median moves by a step towards each value, smaller with time. */
	if (n == 0)
		b->spacing = keep(log);
	else
	{
		double		step = n < 10 ? 1.0 : n < 50 ? 0.2 : 0.02;
		double		way = clip(log - b->spacing, -step, step);

		b->spacing = keep(b->spacing + (n < 10 ? way / 2 : way));
	}
	if (n > 5)
		follow(&b->regular, near, 0.02, n - 6);
	follow(&b->pace, clip(seconds, 0, 10 * 86400), 0.02, n);
	if (b->spacings < UINT8_MAX)
		b->spacings++;
	if (b->spacings < LEAST_SPACINGS)
		return false;
	if (mode == BJ_MODE_YOUNG)
	{
		set_mode(b, wanted(b));
		return mode_of(b) != BJ_MODE_ROWS;
	}
	if (wanted(b) == mode)
		b->mode_votes = 0;
	else if (++b->mode_votes >= CHANGE_AFTER)
	{
		set_mode(b, wanted(b));
		return true;
	}
	return false;
}

/* Seconds of silence that are a gap on a regular stream; 0: it is none. */
double
bj_cadence_limit(const BjBaseline *b)
{
	if (b->spacings < 8 || b->regular < 0.9)
		return 0;
	/*
	 * Of daily rows one is missed already, if they are punctual: within half a
	 * day of their time.
	 */
	if (b->spacing > 15.4f && b->regular >= 0.95f)
		return 1.5 * exp2_of(b->spacing);
	return 2.5 * exp2_of(b->spacing);
}

/*
 * Decades of a silence of so many seconds.  Less where there were such gaps
 * before.
 */
double
bj_cadence_decades(const BjBaseline *b, double seconds)
{
	int			octaves = (int) b->spacing;
	double		limit;
	double		often;

	/* mostly far from it: no limit is below 1.2 times the spacing */
	if (seconds < 1.2 * power_of_two(octaves) * (1 + 0.69 * (b->spacing - octaves)))
		return 0;
	limit = bj_cadence_limit(b);
	if (limit == 0 || seconds < limit)
		return 0;
	often = (double) b->gaps / (b->rows + 100.0);
	return 6.5 + 0.5 * clip(log2_of(seconds / limit), 0, 6) - 100 * often;
}
