/*
 * baseline_rarity.c
 *	  How rare a magnitude is in its channel: one currency for all channels.
 *
 * A histogram of logarithms is robust by itself: one absurd value is one
 * count.  Beyond the largest magnitude seen, the chance falls with the square
 * of the distance, as with a heavy tail.
 */
#include "core/baseline_internal.h"

#define BINS_PER_OCTAVE 3
#define COUNT 4					/* an observation's weight in a bin */
#define HALVING 6000			/* observations in which weights halve */
#define UNSEEN_WEIGHT 0.35		/* observations */
#define UNSEEN_SLOPE 1.7
#define UNSEEN_OCTAVES 6.0
#define REACH 8					/* bins that one observation moves them by */
#define BEYOND_STEPS 1024.0
#define NEARLY 0.09			/* octaves below that count as large */
#define SLOPE_SEEN 12.0
#define SLOPE_PRIOR 6.0
#define SLOPE_MOST 5.0
#define CREDIT 0.65			/* of history */
#define CREDIT_AT 4000.0		/* observations */
#define LOG10_2 0.30102999566398120

static inline int
bin_of(double magnitude)
{
	double		bin = clip(magnitude, -300, 300) * BINS_PER_OCTAVE;
	int			n = (int) bin;

	return n - (n > bin);
}

/*
 * Observations at or above a magnitude, linear inside the bin.  What was too
 * far beyond the largest to move the bins so far is in the last one.
 */
double
bj_tail_weight(const BjTail *tail, double magnitude)
{
	int			bin = bin_of(magnitude);
	int			at = BJ_BINS - 1 - (tail->top - bin);
	double		within = magnitude * BINS_PER_OCTAVE - bin;
	int			above = 0;
	double		part;

	if (at >= BJ_BINS)
		return magnitude <= tail->largest ? (double) tail->bins[BJ_BINS - 1] / COUNT : 0;
	/* far below the largest: as usual as anything */
	if (at < 0)
		return HALVING;
	for (int i = at + 1; i < BJ_BINS; i++)
		above += tail->bins[i];
	part = tail->bins[at] * (1 - within);
	return (above + part) / COUNT;
}

/*
 * How fast the tail falls, in octaves of chance an octave of magnitude: from
 * how far the largest observations lie above the least of them (Hill), with
 * UNSEEN_SLOPE as if so many had been seen before.
 */
static double
slope_of(const BjTail *tail)
{
	double		seen = 0;
	double		excess = 0;
	int			i;
	double		base;

	for (i = BJ_BINS - 1; i >= 0 && seen < SLOPE_SEEN; i--)
		seen += (double) tail->bins[i] / COUNT;
	base = (double) (tail->top - (BJ_BINS - 1 - (i + 1))) / BINS_PER_OCTAVE;
	for (int k = i + 1; k < BJ_BINS; k++)
	{
		double		low = (double) (tail->top - (BJ_BINS - 1 - k)) / BINS_PER_OCTAVE;
		double		high = k == BJ_BINS - 1 ? tail->largest : low + 1.0 / BINS_PER_OCTAVE;

		excess += tail->bins[k] / (double) COUNT * ((low + high) / 2 - base);
	}
	return clip((SLOPE_PRIOR + seen) / (SLOPE_PRIOR / UNSEEN_SLOPE + 0.6931 * excess), 1, SLOPE_MOST);
}

/* Observations that a magnitude as large is among, and what may be unseen. */
static inline double
chance_of(const BjTail *tail, double magnitude)
{
	double		beyond = magnitude - tail->largest;
	double		unseen = UNSEEN_WEIGHT;

	if (beyond > 0)
		unseen *= exp2_of(-slope_of(tail) * clip(beyond, 0, UNSEEN_OCTAVES));
	return bj_tail_weight(tail, magnitude - NEARLY) + unseen;
}

/* log: of n observations as credit_of() wants it. */
static inline double
decades_of(double log_credit, double log_chance)
{
	double		credit = CREDIT * log_credit +
	(1 - CREDIT) * log2_of(CREDIT_AT / UNSEEN_WEIGHT + 1);

	return LOG10_2 * (credit + log2_of(UNSEEN_WEIGHT) - log_chance);
}

static inline double
credit_of(uint32_t n)
{
	return n / UNSEEN_WEIGHT + 1;
}

/* Decades; 0 when the tail is empty. */
double
bj_tail_rarity(const BjTail *tail, double magnitude, uint32_t n)
{
	return decades_of(log2_of(credit_of(n)), log2_of(chance_of(tail, magnitude)));
}

/* The same of a set of channels, which have as many observations. */
void
bj_tails_rarity(const BjTail *tails, const double *magnitudes, uint32_t n,
				uint32_t channels, double *rarities)
{
	double		logs[(1 + BJ_CHANNELS + 3) / 4 * 4];
	int			count = 0;

	logs[count++] = credit_of(n);
	for (uint32_t set = channels; set != 0; set &= set - 1)
		logs[count++] = chance_of(&tails[__builtin_ctz(set)], magnitudes[__builtin_ctz(set)]);
	while (count % 4 != 0)
		logs[count++] = 1;
	for (int i = 0; i < count; i += 4)
		logs2_of(logs + i, 4);
	count = 1;
	for (uint32_t set = channels; set != 0; set &= set - 1)
		rarities[__builtin_ctz(set)] = decades_of(logs[0], logs[count++]);
}

/* The bins move so that the last is the one of this magnitude. */
static void
align(BjTail *tail, int top)
{
	int			by = top - tail->top;

	if (by >= BJ_BINS || by <= -BJ_BINS)
		memset(tail->bins, 0, sizeof(tail->bins));
	else if (by > 0)
	{
		memmove(tail->bins, tail->bins + by, (size_t) (BJ_BINS - by));
		memset(tail->bins + BJ_BINS - by, 0, (size_t) by);
	}
	else if (by < 0)
	{
		/* what was in the bins that fall off the end is as large as any now */
		int			lost = 0;

		for (int i = BJ_BINS + by; i < BJ_BINS; i++)
			lost += tail->bins[i];
		memmove(tail->bins - by, tail->bins, (size_t) (BJ_BINS + by));
		memset(tail->bins, 0, (size_t) -by);
		lost += tail->bins[BJ_BINS - 1];
		tail->bins[BJ_BINS - 1] = (uint8_t) (lost > UINT8_MAX ? UINT8_MAX : lost);
	}
	tail->top = (int16_t) top;
}

static bool
is_empty(const BjTail *tail)
{
	for (int i = 0; i < BJ_BINS; i++)
		if (tail->bins[i] != 0)
			return false;
	return true;
}

/*
 * The largest, and the bins as far as they move: one absurd value must not
 * push the usual ones out of sight.  But it is known to have been: the like of
 * it is no record.  What the last bin holds for that reason moves with it.
 */
static void
raise_largest(BjTail *tail, double magnitude)
{
	int			by = bin_of(magnitude) - tail->top;
	bool		beyond = bin_of(tail->largest) > tail->top;
	uint8_t		last = tail->bins[BJ_BINS - 1];

	if (by > REACH)
		by = REACH;
	if (by > 0)
	{
		align(tail, tail->top + by);
		if (beyond)
		{
			tail->bins[BJ_BINS - 1 - by] = 0;
			tail->bins[BJ_BINS - 1] = last;
		}
	}
	tail->largest = (float) clip(magnitude, -300, 300);
}

static void
count_in(BjTail *tail, int at, int weight)
{
	int			sum = tail->bins[at] + weight;

	tail->bins[at] = (uint8_t) (sum > UINT8_MAX ? UINT8_MAX : sum);
}

/* What is the largest so far, or moves the bins; seldom. */
static __attribute__((noinline)) void
add_slowly(BjTail *tail, double magnitude, int weight)
{
	int			bin;

	if (tail->top == 0 && tail->largest == 0 && is_empty(tail))
	{
		tail->top = (int16_t) bin_of(magnitude);
		tail->largest = (float) magnitude;
	}
	else if (magnitude > tail->largest)
		raise_largest(tail, magnitude);
	else
		tail->largest = (float) (tail->largest - 1.0 / HALVING * weight / COUNT);
	/* as long as the top bin holds any, the largest is in it */
	if (bin_of(tail->largest) < tail->top)
	{
		if (tail->bins[BJ_BINS - 1] != 0)
			tail->largest = ((float) tail->top + 0.01f) / BINS_PER_OCTAVE;
		else
			align(tail, bin_of(tail->largest));
	}
	bin = bin_of(magnitude);
	if (bin > tail->top)
		bin = tail->top;
	if (BJ_BINS - 1 - (tail->top - bin) >= 0)
		count_in(tail, BJ_BINS - 1 - (tail->top - bin), weight);
}

/*
 * Adds one observation where that moves no bin, which is nearly always so;
 * false: it is not so, and nothing was done.  An empty tail has no bin to
 * count in but its last.
 */
static inline bool
add_quickly(BjTail *tail, double magnitude, int bin)
{
	double		before = tail->largest;
	int			at = BJ_BINS - 1 + bin - tail->top;
	float		largest;

	if (at >= BJ_BINS)
		return false;
	largest = (float) (magnitude > before ? magnitude : before - 1.0 / HALVING);
	if (largest * (double) BINS_PER_OCTAVE < tail->top)
	{
		/* as in add_slowly() */
		if (tail->bins[BJ_BINS - 1] == 0 || magnitude > before)
			return false;
		largest = ((float) tail->top + 0.01f) / BINS_PER_OCTAVE;
	}
	tail->largest = largest;
	if (at >= 0)
		count_in(tail, at, COUNT);
	return true;
}

/* weight: COUNT for one observation. */
void
bj_tail_add(BjTail *tail, double magnitude, int weight)
{
	if (weight != COUNT || !add_quickly(tail, magnitude, bin_of(magnitude)))
		add_slowly(tail, magnitude, weight);
}

/*
 * A magnitude that follows another.  What goes on for a while counts once,
 * with its peak, and only when it is over: else each row of a rising sum would
 * find that the one before was as large, and nothing that builds up is rare.
 */
void
bj_tail_learn(BjTail *tail, double magnitude)
{
	double		beyond = magnitude - tail->largest;

	if (beyond > 0 && !is_empty(tail))
	{
		double		steps = clip(beyond * BEYOND_STEPS + 1, 1, UINT16_MAX);

		if (steps > tail->beyond)
			tail->beyond = (uint16_t) steps;
		return;
	}
	if (tail->beyond > 0)
	{
		bj_tail_add(tail, tail->largest + (tail->beyond - 1) / BEYOND_STEPS, COUNT);
		tail->beyond = 0;
	}
	bj_tail_add(tail, magnitude, COUNT);
}

/*
 * One observation's magnitudes of a set of channels; of those that build up
 * as bj_tail_learn() has it.
 */
void
bj_tails_learn(BjTail *tails, const double *magnitudes, uint32_t channels,
			   uint32_t build_up)
{
	uint64_t	bins[BJ_LANES];
	const uint64_t *bin = bins;

	/* the number below, as in exps2_of(), in the lowest bits */
	for (int i = 0; i < BJ_LANES; i++)
	{
		double		exact = magnitudes[i] * BINS_PER_OCTAVE;
		double		sum = exact + WHOLE;
		double		above = exact - (sum - WHOLE) + 0.0;
		uint64_t	sign;

		memcpy(&bins[i], &sum, sizeof(sum));
		memcpy(&sign, &above, sizeof(sign));
		bins[i] -= sign >> 63;
	}
	for (uint32_t set = channels & build_up; set != 0; set &= set - 1)
	{
		int			i = __builtin_ctz(set);

		if (magnitudes[i] > tails[i].largest || tails[i].beyond > 0)
		{
			bj_tail_learn(&tails[i], magnitudes[i]);
			channels &= ~(1u << i);
		}
	}
	for (; channels != 0; channels >>= 1, tails++, magnitudes++, bin++)
		if ((channels & 1) != 0 && !add_quickly(tails, *magnitudes, (int32_t) (uint32_t) *bin))
			add_slowly(tails, *magnitudes, COUNT);
}

void
bj_tail_halve(BjTail *tail)
{
	for (int i = 0; i < BJ_BINS; i++)
		tail->bins[i] /= 2;
	for (int top = BJ_BINS - 1; top > 0; top--)
		if (tail->bins[top] != 0)
		{
			if (top < BJ_BINS - 1)
			{
				align(tail, tail->top - (BJ_BINS - 1 - top));
				tail->largest = ((float) tail->top + 0.99f) / BINS_PER_OCTAVE;
			}
			break;
		}
}

/* The magnitude that this share of n observations is at or above. */
double
bj_tail_quantile(const BjTail *tail, double share, uint32_t n)
{
	double		wanted = share * (n < HALVING ? n : HALVING) * COUNT;
	double		above = 0;

	if (wanted < 1)
		return tail->largest;
	for (int i = BJ_BINS - 1; i >= 0; i--)
	{
		if (above + tail->bins[i] >= wanted)
			return (tail->top - (BJ_BINS - 1 - i) +
					1 - (wanted - above) / tail->bins[i]) / BINS_PER_OCTAVE;
		above += tail->bins[i];
	}
	return (double) (tail->top - BJ_BINS + 1) / BINS_PER_OCTAVE;
}
