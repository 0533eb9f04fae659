/*
 * baseline_sizes.c
 *	  Sizes of single values, where sums and ratios tell little.
 *
 * A meter that is mostly zero has no usual value at any hour, and the sum of
 * an hour's few jobs varies with their number; but the logarithms of what is
 * not zero are steady.  How much more likely each is under a burst adds up, in
 * decades, and so does, on a meter that is mostly zero, that there is any: by
 * Wald, such a sum passes h by chance once in 10^h values.
 */
#include "core/baseline_internal.h"

#define SPARSE 0.2				/* zeros, from which on sizes tell more */
#define LEAST_SIZES 20
#define SIZE_STEPS 2048.0
#define SIZE_RATE 0.02
#define SIZE_FLOOR 0.25			/* octaves */
#define SHIFT 2.0				/* scales that a burst is above the usual */
#define SCALES 5.0				/* that count at most */
#define MORE 5.0				/* times as many values as usual, in a burst */
#define SUM_MOST 8.0
#define LOG10_E 0.43429448190325182
#define LOG10_2 0.30102999566398120
#define BUSY_BASE 0.0
#define BUSY_WEIGHT 0.8		/* the tails are somewhat heavier */

bool
bj_sizes_tell(const BjBaseline *b)
{
	return mode_of(b) >= BJ_MODE_HOURS || b->zeros > SPARSE;
}

/* The logarithm of a size, in scales from its usual. */
static double
scales_of(const BjBaseline *b, double log)
{
	double		scale = 1.25 * b->size_scale / SIZE_STEPS + SIZE_FLOOR;

	return clip((log - b->size_mean) / scale, -SCALES, SCALES);
}

/* A sum, and how much more likely a size is when it is so many scales off. */
static float
sum_of(float sum, double scales, double more)
{
	return keep(clip(sum + more + LOG10_E * SHIFT * (scales - SHIFT / 2), 0, SUM_MOST));
}

/*
 * An observation.  Of sums nothing is added here: their rows were.
 */
void
bj_sizes_judge(const BjBaseline *b, Finding *f)
{
	float		rise = b->rise;
	float		fall = b->fall;
	float		sizes = b->sizes;
	float		most;

	if (mode_of(b) <= BJ_MODE_ROWS && b->nonzero >= LEAST_SIZES)
	{
		double		chance = clip(1 - b->zeros, 0.01, 0.8);
		double		busy = clip(MORE * chance, 0, 0.9);

		if (f->x > 0)
		{
			double		s = scales_of(b, log2_of(f->x));

			rise = sum_of(rise, s, LOG10_2 * log2_of(busy / chance));
			fall = sum_of(fall, -s, 0);
			/* in another unit they are larger, but no more than usual */
			sizes = sum_of(sizes, s, 0);
		}
		else if (f->x == 0)
			rise = keep(clip(rise + LOG10_2 * log2_of((1 - busy) / (1 - chance)), 0, SUM_MOST));
	}
	f->smooth[SMOOTH_RISE] = rise;
	f->smooth[SMOOTH_FALL] = fall;
	f->sizes = sizes;
	most = rise > fall ? rise : fall;
	most = sizes > most ? sizes : most;
	if (f->x > 0)
		f->rarity[CH_BUSY] = BUSY_BASE + BUSY_WEIGHT * most;
}

/* A row of which many make an observation. */
void
bj_sizes_row(BjBaseline *b, double x, bool learn)
{
	double		log;

	if (x <= 0)
		return;
	log = log2_of(x);
	if (b->rows >= LEAST_SIZES + 5)
	{
		double		s = scales_of(b, log);

		b->rise = sum_of(b->rise, s, 0);
		b->fall = sum_of(b->fall, -s, 0);
	}
	if (learn)
		bj_sizes_learn(b, log, b->rows);
}

/* log: of the value; n: values seen before. */
void
bj_sizes_learn(BjBaseline *b, double log, uint32_t n)
{
	double		young = 1.0 / ((double) n + 1);
	double		rate = young > SIZE_RATE ? young : SIZE_RATE;
	double		scale = b->size_scale / SIZE_STEPS;
	double		off = log - b->size_mean;
	double		limit = n < 10 ? 40 : 4 * (scale + SIZE_FLOOR);

	b->size_mean = keep(b->size_mean + rate * clip(off, -limit, limit));
	if (n > 0)
		b->size_scale = (uint16_t) (clip(scale + rate * (clip(size_of(off), 0, limit) - scale), 0, 31) * SIZE_STEPS + 0.5);
}
