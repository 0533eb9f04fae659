/*
 * baseline_twice.c
 *	  Counted twice: the usual shape, one octave higher.
 *
 * What is doubled is not so large that a value of it stands out where values
 * differ much, but its log ratios lie about one, all of them.  Two questions,
 * in decades.  Whether it is rather twice the usual than the usual: the log
 * likelihood ratio of each observation adds up, as in Page's test; by Wald, h
 * is passed by chance once in 10^h of them.  And whether it is rather twice
 * than any other change: campaigns, new levels and ends of months are as good
 * as evenly spread over an octave and a half, a double count is at one.
 *
 * The errors are Student's with four degrees of freedom, so that what is many
 * times too large speaks for neither.  Hours hang together: by how much more
 * the days vary than they would if hours did not, each hour counts less.
 */
#include "core/baseline_internal.h"

#define LEAST_DAYS 10
#define LEAST_VISITS 4			/* of the hour of the week */
#define LEAST_SUM 3				/* observations in it */
#define HALF 0.5				/* octaves: from here on it speaks for twice */
#define SCALE_FLOOR 0.03		/* octaves */
#define SCALE_YOUNG 0.3			/* over the number of days */
#define FREEDOM 4.0
#define STEP_MOST 1.0			/* decades of one observation */
#define DAILY_TOGETHER 2.0		/* days that count as one, of an observation a
								 * day: what hangs together is not known there */
#define SUM_MOST 10.0			/* so that it ends within days */
#define TELLS_MOST 4.0			/* decades of it that count */
#define BASE 0.4
#define BIAS 0.06				/* octaves: of the hour's usual value */
#define EXACT_MOST 0.8
#define EXACT_WIDTH 0.6			/* the octave and a half over the root of 2 pi */
#define LOG10_2 0.30102999566398120
#define NORMAL_WEIGHT 0.217		/* decades of a squared scale */

/* Observations that say as much as one would if they did not hang together. */
static double
together(const BjBaseline *b, double gap, double variance)
{
	double		day = 1.25 * b->daily_scale;

	return bj_is_daily(b) ? DAILY_TOGETHER : clip(86400 / gap * day * day / variance, 1, 100);
}

/* Decades for one octave against none. */
static double
step_of(double ratio, double variance)
{
	double		wide = FREEDOM * variance;
	double		odds = (wide + ratio * ratio) / (wide + (ratio - 1) * (ratio - 1));

	return clip((FREEDOM + 1) / 2 * LOG10_2 * log2_of(odds), -STEP_MOST, STEP_MOST);
}

/* Decades for one octave against any other, by the mean of so many. */
static double
exactness(double mean, double variance, double count)
{
	double		error = variance / count + BIAS * BIAS;
	double		off = mean - 1;

	return clip(LOG10_2 * (log2_of(EXACT_WIDTH) - 0.5 * log2_of(error)) -
				NORMAL_WEIGHT * off * off / error, -10, EXACT_MOST);
}

/*
 * For a stream of which sizes tell nothing: there the sums are of another kind.
 * The ratio is to the hour of the week alone, which a fault of days hardly
 * moves.
 */
void
bj_twice_judge(const BjBaseline *b, Finding *f)
{
	bool		daily = bj_is_daily(b);
	double		ratio = f->log_today - b->daily_bias;
	double		scale;
	double		variance;
	double		apart;

	if (mode_of(b) > BJ_MODE_ROWS || b->days < LEAST_DAYS || f->gap <= 0 ||
		f->forecast.place.week_visits < LEAST_VISITS)
		return;
	if (b->sizes == 0)
	{
		f->twice[0] = f->twice[1] = 0;
		if (ratio < HALF)
			return;
	}
	scale = 1.25 * (daily ? b->daily_scale : b->log_scale) + SCALE_FLOOR + SCALE_YOUNG / b->days;
	variance = scale * scale;
	apart = together(b, f->gap, variance);
	f->sizes = keep(clip(b->sizes + step_of(ratio, variance) / apart, 0, SUM_MOST));
	if (f->sizes == 0)
		return;
	f->twice[0] = keep(f->twice[0] + clip(ratio, 1 - 4 * scale, 1 + 4 * scale));
	f->twice[1] = keep(f->twice[1] + 1);
	if (f->twice[1] >= LEAST_SUM && ratio > HALF)
		f->rarity[CH_TWICE] = clip(BASE + clip(f->sizes, 0, TELLS_MOST) +
								   exactness(f->twice[0] / f->twice[1], variance * apart, f->twice[1]), 0, SUM_MOST);
}
