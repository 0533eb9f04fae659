/*
 * random.c
 *	  Random numbers of our own, so that a seed means the same everywhere.
 */
#include <math.h>

#include "world.h"

static uint64_t
splitmix(uint64_t *state)
{
	uint64_t	z = (*state += UINT64_C(0x9E3779B97F4A7C15));

	z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
	return z ^ (z >> 31);
}

void
random_seed(Random *r, uint64_t seed)
{
	for (int i = 0; i < 4; i++)
		r->s[i] = splitmix(&seed);
}

static uint64_t
rotl(uint64_t x, int k)
{
	return (x << k) | (x >> (64 - k));
}

uint64_t
random_bits(Random *r)
{
	uint64_t   *s = r->s;
	uint64_t	result = rotl(s[1] * 5, 7) * 9;
	uint64_t	t = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = rotl(s[3], 45);
	return result;
}

double
random_unit(Random *r)
{
	return (double) (random_bits(r) >> 11) * 0x1p-53;
}

double
random_between(Random *r, double lo, double hi)
{
	return lo + (hi - lo) * random_unit(r);
}

/* Its logarithm is uniform. */
double
random_log(Random *r, double lo, double hi)
{
	return lo * pow(hi / lo, random_unit(r));
}

int
random_below(Random *r, int n)
{
	return (int) (random_unit(r) * n);
}

double
random_normal(Random *r)
{
	double		u = 1.0 - random_unit(r);
	double		v = random_unit(r);

	return sqrt(-2.0 * log(u)) * cos(6.283185307179586 * v);
}
