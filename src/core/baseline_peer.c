/*
 * baseline_peer.c
 *	  What comparable accounts do, for those who have no history yet.
 */
#include "core/baseline_internal.h"

#define LEAST_ACCOUNTS 8
#define SIZE_STEPS 2048.0		/* of size_scale, an octave */
#define SIGMA 1.25				/* over the mean deviation, of a normal law */

/* The group, beside the stream's own rows */
#define NOISE_ROWS 20			/* that an account's noise counts for at most */
#define GROUP_ROWS 20			/* that the group's noise weighs as much as */
#define NOISE_FLOOR 0.1			/* variance of a row, octaves squared */
#define ALIKE 0.3				/* of that of a row, of a mean of many: the
								 * first rows are of the same hours */
#define NEW_LEVEL 2.6			/* decades: how rare a row is that begins a
								 * level as usual as any for the group */
#define REACH 3.1				/* standard deviations: 99.9 of 100 */

/* Zeros */
#define FEW_ZEROS 0.02			/* share in the group */
#define LEAST_NONZERO 3
#define ZERO_ROWS 10			/* that the group's share weighs as much as */
#define ZERO_FLOOR 0.1			/* zeros that the stream may have had besides */
#define ZERO_SHARE 0.8			/* of what independent zeros would say */
#define MOST 15.0

/* By halving the logarithm; x > 0. */
static double
root_of(double x)
{
	return exp2_of(0.5 * log2_of(x));
}

/* Standard deviation of log2 of a row, by the account's own rows. */
static double
noise_of(const BjBaseline *b)
{
	return SIGMA * b->size_scale / SIZE_STEPS;
}

/*
 * sums: of levels, of their squares, of zero shares, of the largest values, of
 * their squares, of levels of rows, of their squares, of squares of their
 * noise, of the weight of these; all in octaves.
 */
void
bj_peer_add(BjPeer *peer, const BjBaseline *baseline)
{
	double		n = peer->accounts;
	double		level;
	double		largest;
	double		noise;
	double		weight;
	double		seasonal[24];
	double		mean = 0;

	if (baseline->observations == 0 || baseline->abs_level <= 0)
		return;
	level = log2_of(baseline->abs_level) + baseline->exponent;
	largest = baseline->largest + baseline->exponent;
	if (n >= LEAST_ACCOUNTS)
	{
		/* one account's own absurd row does not make it usual for all */
		double		middle = peer->sums[3] / n;
		double		variance = peer->sums[4] / n - middle * middle;

		largest = clip(largest, middle - 20, middle + 3 * root_of(variance + 0.25));
	}
	peer->accounts++;
	peer->sums[0] += level;
	peer->sums[1] += level * level;
	peer->sums[2] += baseline->zeros;
	peer->sums[3] += largest;
	peer->sums[4] += largest * largest;
	level = baseline->size_mean + baseline->exponent;
	noise = noise_of(baseline);
	peer->sums[5] += level;
	peer->sums[6] += level * level;
	/* who has one row has shown nothing of its noise */
	weight = clip(baseline->rows - 1.0, 0, NOISE_ROWS);
	peer->sums[7] += weight * noise * noise;
	peer->sums[8] += weight;
	for (int i = 0; i < 24; i++)
	{
		seasonal[i] = bj_slot_value(baseline->day[2 * i]);
		mean += seasonal[i] / 24;
	}
	for (int i = 0; i < 24; i++)
		peer->day_shape[i] += mean > 0 ? seasonal[i] / mean : 1;
}

static double
deviation(double sum, double squares, double n)
{
	double		variance = squares / n - sum / n * (sum / n);

	return root_of(variance < 0.01 ? 0.01 : variance);
}

void
bj_peer_finish(BjPeer *peer)
{
	double		n = peer->accounts;

	if (peer->accounts == 0)
		return;
	peer->level = peer->sums[0] / n;
	peer->spread = deviation(peer->sums[0], peer->sums[1], n);
	peer->zero_share = peer->sums[2] / n;
	peer->largest = peer->sums[3] / n + 3 * deviation(peer->sums[3], peer->sums[4], n);
	for (int i = 0; i < 24; i++)
		peer->day_shape[i] /= n;
	peer->row_level = peer->sums[5] / n;
	peer->row_spread = deviation(peer->sums[5], peer->sums[6], n);
	peer->row_noise = root_of(peer->sums[7] / (peer->sums[8] + 1e-9) + 0.0025);
}

/* How rare a normal law has it that a value is so far out, in decades; z >= 0. */
static double
decades_of(double z)
{
	return clip(0.3 + 0.3 * z + 0.18 * z * z, 0, MOST);
}

/*
 * Beyond what the largest values of others make one expect: all that is said
 * of a negative value, and of a sum of rows.
 */
static double
beyond_largest(const BjPeer *peer, const BjBaseline *b, const Finding *f)
{
	double		beyond;

	if (f->x == 0)
		return 0;
	beyond = log2_of(size_of(f->x)) + b->exponent - peer->largest;
	return beyond <= 0 ? 0 : 3 + beyond;
}

/*
 * Zeros of one who began without, where hardly anybody has them.  Before that
 * they are no surprise: an account is often opened long before it is used.
 */
static double
zeros_decades(const BjPeer *peer, const BjBaseline *b, const Finding *f)
{
	double		n = b->nonzero;
	double		chance;

	if (n < LEAST_NONZERO || b->observations - b->nonzero + 1 > f->run || peer->zero_share > FEW_ZEROS)
		return 0;
	chance = (ZERO_ROWS * peer->zero_share + ZERO_FLOOR) / (ZERO_ROWS + n);
	return clip(-0.30103 * ZERO_SHARE * log2_of(chance) * f->run, 0, MOST);
}

/* The group and the stream's own rows; all in octaves, squares of them. */
typedef struct Opinion
{
	double		own;			/* mean of its own rows */
	double		own2;			/* variance of that */
	double		spread2;		/* of the levels in the group */
	double		noise2;			/* of a row */
} Opinion;

static Opinion
opinion_of(const BjPeer *peer, const BjBaseline *b)
{
	double		n = b->nonzero;
	double		accounts = peer->accounts;
	double		noise = noise_of(b);
	double		shown;
	Opinion		o;

	/* of few accounts neither the level nor the spread is known well */
	o.spread2 = peer->row_spread * peer->row_spread * (accounts + 1) / (accounts - 3);
	shown = n > 1 ? n - 1 : 0;
	o.noise2 = NOISE_FLOOR + (GROUP_ROWS * peer->row_noise * peer->row_noise + shown * noise * noise) / (GROUP_ROWS + shown);
	o.own = b->size_mean + b->exponent;
	o.own2 = n > 0 ? o.noise2 * (ALIKE + 1 / n) : 1e30;
	return o;
}

/* What is expected of a row: the group, and the less of it the more own rows. */
static void
expect(const BjPeer *peer, const BjBaseline *b, const Opinion *o, Finding *f)
{
	double		reach = REACH * root_of(o->noise2 + 1 / (1 / o->spread2 + 1 / o->own2));

	f->peer_expected = peer->row_level;
	if (b->nonzero > 0)
		f->peer_expected += o->spread2 / (o->spread2 + o->own2) * (o->own - peer->row_level);
	f->peer_lo = b->nonzero > 0 ? f->peer_expected - reach : BJ_NO_LOG;
	f->peer_hi = f->peer_expected + reach;
}

/* How rare a value above zero is, in decades. */
static double
value_decades(const BjPeer *peer, const BjBaseline *b, const Opinion *o, const Finding *f)
{
	double		value = log2_of(f->x) + b->exponent;
	double		off = value - peer->row_level;
	double		decades = decades_of(size_of(off) / root_of(o->spread2 + o->noise2));
	double		alone;

	if (b->nonzero == 0)
		return off > 0 ? decades : 0;
	if (off * (value - o->own) <= 0)
		return 0;
	alone = decades_of(size_of(value - o->own) / root_of(o->noise2 + o->own2));
	return alone < decades + NEW_LEVEL ? alone : decades + NEW_LEVEL;
}

/*
 * A young stream's value, with the group as a second opinion that fades as the
 * stream's own rows say more.  The state of a stream knows nothing of it: it
 * remains what its rows made it.
 *
 * That a customer is larger or smaller than all others is no fault, nor that
 * he begins in earnest after a trial.  So after the first row a value is rare
 * only when it is so for his own rows, and as a new level among those of the
 * group, and lies on the same side of both.
 */
void
bj_peer_judge(const BjPeer *peer, const BjBaseline *b, Finding *f)
{
	bool		alone = b->nonzero == 0 || f->x < 0 || mode_of(b) >= BJ_MODE_HOURS;
	double		beyond = alone ? beyond_largest(peer, b, f) : 0;
	Opinion		o;

	if (peer->accounts < LEAST_ACCOUNTS || !bj_is_young(b, f))
		return;
	if (f->x >= 0 && mode_of(b) <= BJ_MODE_ROWS)
	{
		o = opinion_of(peer, b);
		expect(peer, b, &o, f);
		f->rarity[CH_FIRST] = f->x > 0 ? value_decades(peer, b, &o, f) : zeros_decades(peer, b, f);
	}
	if (beyond > f->rarity[CH_FIRST])
	{
		f->rarity[CH_FIRST] = beyond;
		f->peer_expected = peer->level;
		f->peer_lo = BJ_NO_LOG;
		f->peer_hi = peer->largest;
	}
}
