/*
 * baseline_peer.c
 *	  What comparable accounts do, for those who have no history yet.
 */
#include "core/baseline_internal.h"

#define LEAST_ACCOUNTS 8
#define YOUNG 20				/* observations */

/*
 * sums: of levels, of their squares, of zero shares, of the largest values, of
 * their squares; all in octaves.
 */
void
bj_peer_add(BjPeer *peer, const BjBaseline *baseline)
{
	double		n = peer->accounts;
	double		level;
	double		largest;
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

		largest = clip(largest, middle - 20, middle + 3 * exp2_of(0.5 * log2_of(variance + 0.25)));
	}
	peer->accounts++;
	peer->sums[0] += level;
	peer->sums[1] += level * level;
	peer->sums[2] += baseline->zeros;
	peer->sums[3] += largest;
	peer->sums[4] += largest * largest;
	for (int i = 0; i < 24; i++)
	{
		seasonal[i] = bj_slot_value(baseline->day[2 * i]);
		mean += seasonal[i] / 24;
	}
	for (int i = 0; i < 24; i++)
		peer->day_shape[i] += mean > 0 ? seasonal[i] / mean : 1;
}

/* The standard deviation, by halving the logarithm of the variance. */
static double
deviation(double sum, double squares, double n)
{
	double		variance = squares / n - sum / n * (sum / n);

	return exp2_of(0.5 * log2_of(variance < 0.01 ? 0.01 : variance));
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
}

/* Decades of a young stream's value beside comparable accounts. */
double
bj_peer_decades(const BjPeer *peer, const BjBaseline *b, double x)
{
	double		beyond;

	if (peer->accounts < LEAST_ACCOUNTS || b->observations >= YOUNG || x == 0)
		return 0;
	beyond = log2_of(size_of(x)) + b->exponent - peer->largest;
	return beyond <= 0 ? 0 : 3 + beyond;
}
