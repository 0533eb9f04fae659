/*
 * baseline_peer.c
 *	  What comparable accounts do, for those who have no history yet.
 */
#include "core/baseline_internal.h"

/* sums[0] of levels, sums[1] of their squares, sums[2] of zero shares */
void
bj_peer_add(BjPeer *peer, const BjBaseline *baseline)
{
	double		level;
	double		largest;
	double		seasonal[24];
	double		mean = 0;

	if (baseline->observations < 20 || baseline->abs_level <= 0)
		return;
	level = log2_of(baseline->abs_level) + baseline->exponent;
	peer->accounts++;
	peer->sums[0] += level;
	peer->sums[1] += level * level;
	peer->sums[2] += baseline->zeros;
	largest = level + (baseline->tails[CH_UP].largest > 0 ? baseline->tails[CH_UP].largest : 0);
	if (peer->accounts == 1 || largest > peer->largest)
		peer->largest = largest;
	for (int i = 0; i < 24; i++)
	{
		seasonal[i] = bj_slot_value(baseline->day[2 * i]);
		mean += seasonal[i] / 24;
	}
	for (int i = 0; i < 24; i++)
		if (mean > 0)
			peer->day_shape[i] += seasonal[i] / mean;
}

void
bj_peer_finish(BjPeer *peer)
{
	double		n = peer->accounts;
	double		variance;

	if (peer->accounts == 0)
		return;
	peer->level = peer->sums[0] / n;
	variance = peer->sums[1] / n - peer->level * peer->level;
	/* the square root, by halving the logarithm */
	peer->spread = variance > 1e-6 ? exp2_of(0.5 * log2_of(variance)) : 1e-3;
	peer->zero_share = peer->sums[2] / n;
	for (int i = 0; i < 24; i++)
		peer->day_shape[i] /= n;
}
