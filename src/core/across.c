/*
 * across.c
 *	  Rows copied between accounts, common patterns, amounts under a limit.
 */
#include "core/across.h"

#include "core/baseline_internal.h"

#define LOG10_2 0.30102999566398120

static double
log10_of(double x)
{
	return LOG10_2 * log2_of(x);
}

/* log10 of n choose k, for small k. */
static double
log10_choose(double n, int32_t k)
{
	double		sum = 0;

	for (int32_t i = 0; i < k; i++)
		sum += log2_of((n - i) / (i + 1));
	return sum * LOG10_2;
}

/* ---- the same rows on several accounts ---- */

/* A shared row speaks only beyond what its own thousandfold chance explains. */
#define COPY_ALLOWANCE 2.0
#define COPY_LEAST 6.0			/* decades, of an account's rows together */

static int32_t
leader_of(BjCopier *copiers, int32_t account)
{
	while (copiers[account].leader != account)
	{
		/* halves the path, so that it stays short */
		copiers[account].leader = copiers[copiers[account].leader].leader;
		account = copiers[account].leader;
	}
	return account;
}

/* rows[0..n-1] share time and quantity; false: that says nothing. */
static bool
take_shared(const BjSharedRow *rows, int32_t n, int64_t total, BjCopier *copiers)
{
	double		rare = -log10_of((double) rows->alike / (double) total);
	double		present = rows->present > n ? rows->present : n;
	double		decades = (n - 1) * rare - log10_choose(present, n) - COPY_ALLOWANCE;

	if (n < BJ_ACROSS_LEAST || decades <= 0)
		return false;
	for (int32_t i = 0; i < n; i++)
	{
		BjCopier   *c = &copiers[rows[i].account];

		if (c->rows++ == 0)
			c->since = rows->at;
		c->until = rows->at;
		c->decades += decades;
		copiers[leader_of(copiers, rows[i].account)].leader =
			leader_of(copiers, rows[0].account);
	}
	return true;
}

/* The group that an account leads, when it is one. */
static bool
gather(BjCopier *copiers, int32_t accounts, int32_t leader, int32_t least,
	   BjGroup *group)
{
	memset(group, 0, sizeof(*group));
	for (int32_t i = 0; i < accounts; i++)
	{
		const BjCopier *c = &copiers[i];

		if (c->rows < least || c->decades < COPY_LEAST ||
			leader_of(copiers, i) != leader)
			continue;
		if (group->count == 0 || c->since < group->since)
			group->since = c->since;
		if (group->count == 0 || c->until > group->until)
			group->until = c->until;
		if (c->decades > group->decades)
			group->decades = c->decades;
		if (c->rows > group->rows)
			group->rows = c->rows;
		if (group->count < BJ_ACROSS_MEMBERS)
			group->members[group->count] = i;
		group->count++;
	}
	return group->count >= BJ_ACROSS_LEAST;
}

/* Writes the groups so far behind the found ones, and begins anew. */
static int32_t
emit(BjCopier *copiers, int32_t accounts, int32_t least, BjGroup *groups,
	 int32_t found, int32_t max)
{
	for (int32_t i = 0; i < accounts; i++)
	{
		BjGroup		group;

		if (copiers[i].leader != i ||
			!gather(copiers, accounts, i, least, &group))
			continue;
		if (found < max)
			groups[found] = group;
		found++;
	}
	for (int32_t i = 0; i < accounts; i++)
		copiers[i] = (BjCopier) {.leader = i};
	return found;
}

int32_t
bj_across_copies(const BjSharedRow *rows, int64_t n, int64_t total,
				 int32_t least, int64_t quiet, BjCopier *copiers,
				 int32_t accounts, BjGroup *groups, int32_t max)
{
	int32_t		found = 0;
	int64_t		last = 0;
	bool		any = false;

	for (int32_t i = 0; i < accounts; i++)
		copiers[i] = (BjCopier) {.leader = i};
	for (int64_t from = 0, to; from < n; from = to)
	{
		for (to = from + 1; to < n && rows[to].at == rows[from].at &&
			 rows[to].quantity == rows[from].quantity &&
			 to - from < accounts; to++)
			;
		if (any && rows[from].at - last > quiet)
		{
			found = emit(copiers, accounts, least, groups, found, max);
			any = false;
		}
		if (!take_shared(rows + from, (int32_t) (to - from), total, copiers))
			continue;
		any = true;
		last = rows[from].at;
	}
	return emit(copiers, accounts, least, groups, found, max);
}

/* ---- a common pattern of more and less ---- */

#define LEAST_BITS 20			/* that are compared, of a window */
#define LEAST_CHANGES 4			/* of the sign; fewer is no pattern */

static const int32_t windows[] = {48, 32, 24};

/* A window, as the search sees it. */
typedef struct Search
{
	BjPattern  *patterns;
	int32_t		n;
	uint64_t	mask;			/* bits that are compared */
	int32_t		bits;
	int32_t		window;
} Search;

/* Evidence of pairs: how many fewer signs differ than chance has it. */
typedef struct Evidence
{
	double		excess;
	double		variance;
} Evidence;

static int32_t
count_bits(uint64_t x)
{
	return bj_signs_distance(x, 0, 64);
}

bool
bj_pattern_align(uint64_t signs, int64_t newest, int64_t at, int64_t spacing,
				 uint64_t *aligned)
{
	int64_t		steps;

	if (spacing <= 0 || newest < at)
		return false;
	steps = (newest - at + spacing / 2) / spacing;
	if (steps > 40)
		return false;
	*aligned = signs >> steps;
	return true;
}

/* Times at which the accounts do not all do the same. */
static uint64_t
common_mask(const BjPattern *patterns, int32_t n, int32_t window)
{
	uint64_t	mask = 0;

	for (int32_t bit = 0; bit < window; bit++)
	{
		int32_t		ones = 0;
		double		off;

		for (int32_t i = 0; i < n; i++)
			ones += (patterns[i].signs >> bit) & 1;
		off = (double) ones / n - 0.5;
		/* more than a quarter off, and more than three standard errors */
		if (off * off <= 0.0625 || off * off * n <= 2.25)
			mask |= UINT64_C(1) << bit;
	}
	return mask;
}

/*
 * What of a pattern is the same in all comparisons: how many ones there are,
 * and how much its bits say.  Long runs of a sign make fewer independent ones.
 */
static void
prepare(const Search *s, BjPattern *p)
{
	uint64_t	within = s->mask & (s->mask >> 1);
	int32_t		changes = count_bits((p->signs ^ (p->signs >> 1)) & within);

	p->ones = (double) count_bits(p->signs & s->mask) / s->bits;
	p->weight = changes < LEAST_CHANGES ? 0 : clip(2.0 * changes / s->bits, 0, 1);
}

static Evidence
compare(const Search *s, const BjPattern *a, const BjPattern *b)
{
	double		differ = a->ones * (1 - b->ones) + b->ones * (1 - a->ones);
	double		weight = a->weight < b->weight ? a->weight : b->weight;
	Evidence	e;

	e.excess = weight * (differ * s->bits -
						 count_bits((a->signs ^ b->signs) & s->mask));
	e.variance = weight * s->bits * differ * (1 - differ);
	return e;
}

/*
 * How many of the pairs among k agree at one time, tilted by theta: their mean,
 * and log2 of the sum, when each of the k has a fair sign.  A tilt of 0 is
 * chance itself.
 */
static double
tilted_mean(int32_t k, double theta, double *log2_sum)
{
	double		pairs = k * (k - 1) / 2;
	double		choose = 1;
	double		sum = 0;
	double		mean = 0;

	for (int32_t c = 0; c <= k; c++)
	{
		double		agree = (c * (c - 1) + (k - c) * (k - c - 1)) / 2;
		double		weight = choose * exp2_of(theta * (agree - pairs));

		sum += weight;
		mean += weight * agree;
		choose = choose * (k - c) / (c + 1);
	}
	*log2_sum = log2_of(sum) + theta * pairs;
	return mean / sum;
}

/*
 * Decades of a group's evidence, the choice among all groups paid for.  The
 * pairs of a group are not independent of each other, so that a normal tail
 * would promise too much; Chernoff's bound over the members' signs does not.
 */
static double
decades_of(const Search *s, Evidence e, int32_t count)
{
	double		pairs = count * (count - 1) / 2;
	double		lo = 0;
	double		hi = 4;
	double		wanted;
	double		bits;
	double		log2_sum;

	if (count < BJ_ACROSS_LEAST || e.excess <= 0 || e.variance <= 0)
		return 0;
	bits = 4 * e.variance / pairs;
	wanted = pairs * (1 + clip(e.excess / (2 * e.variance), 0, 0.999)) / 2;
	for (int32_t i = 0; i < 14; i++)
	{
		double		theta = (lo + hi) / 2;

		if (tilted_mean(count, theta, &log2_sum) < wanted)
			lo = theta;
		else
			hi = theta;
	}
	tilted_mean(count, lo, &log2_sum);
	return LOG10_2 * bits * (lo * wanted - log2_sum + count) -
		log10_choose(s->n, count) - 0.47712125;
}

/*
 * Takes one more member: everybody's evidence with the group grows by it.
 * Returns who is nearest to the group now, or -1.
 */
static int32_t
admit(const Search *s, BjGroup *group, int32_t member)
{
	const BjPattern *m = &s->patterns[member];
	int32_t		nearest = -1;

	group->members[group->count++] = member;
	s->patterns[member].member = true;
	for (int32_t k = 0; k < s->n; k++)
	{
		BjPattern  *p = &s->patterns[k];
		Evidence	e;

		if (p->used || p->member || p->weight == 0)
			continue;
		e = compare(s, p, m);
		p->excess += e.excess;
		p->variance += e.variance;
		if (nearest < 0 || p->excess > s->patterns[nearest].excess)
			nearest = k;
	}
	return nearest;
}

/* Grows a group about one account, as long as the evidence grows. */
static BjGroup
grow(const Search *s, int32_t seed)
{
	BjGroup		group = {.count = 0,.rows = s->window};
	BjGroup		best = group;
	Evidence	e = {0, 0};
	int32_t		next;

	for (int32_t k = 0; k < s->n; k++)
	{
		s->patterns[k].member = false;
		s->patterns[k].excess = s->patterns[k].variance = 0;
	}
	next = admit(s, &group, seed);
	while (next >= 0 && group.count < BJ_ACROSS_MEMBERS)
	{
		e.excess += s->patterns[next].excess;
		e.variance += s->patterns[next].variance;
		next = admit(s, &group, next);
		group.decades = decades_of(s, e, group.count);
		if (group.count >= BJ_ACROSS_LEAST && group.decades > best.decades)
			best = group;
		/* a few that do not fit are enough to stop */
		if (group.count >= BJ_ACROSS_LEAST + 2 && group.count > best.count + 2)
			break;
	}
	return best;
}

/* The best group of any window and seed. */
static BjGroup
best_group(BjPattern *patterns, int32_t n)
{
	BjGroup		best = {0};

	for (int32_t w = 0; w < (int32_t) (sizeof(windows) / sizeof(windows[0])); w++)
	{
		Search		s = {.patterns = patterns,.n = n,.window = windows[w]};

		s.mask = common_mask(patterns, n, s.window);
		s.bits = count_bits(s.mask);
		if (s.bits < LEAST_BITS)
			continue;
		for (int32_t i = 0; i < n; i++)
			prepare(&s, &patterns[i]);
		for (int32_t seed = 0; seed < n; seed++)
		{
			BjGroup		group;

			if (patterns[seed].used || patterns[seed].weight == 0)
				continue;
			group = grow(&s, seed);
			if (group.decades > best.decades)
				best = group;
		}
	}
	return best;
}

int32_t
bj_across_patterns(BjPattern *patterns, int32_t n, double decades,
				   BjGroup *groups, int32_t max)
{
	int32_t		found = 0;

	for (int32_t i = 0; i < n; i++)
		patterns[i].used = false;
	while (found < max)
	{
		BjGroup		group = best_group(patterns, n);

		if (group.count < BJ_ACROSS_LEAST || group.decades < decades)
			break;
		for (int32_t i = 0; i < group.count; i++)
			patterns[group.members[i]].used = true;
		/* a common cause is set aside */
		if (group.count < BJ_ACROSS_MEMBERS)
			groups[found++] = group;
	}
	return found;
}

/* ---- crowded under a limit ---- */

#define CROWD_MOST 4000			/* beyond it both are scaled down */

double
bj_across_crowding(int64_t just_under, int64_t before)
{
	double		n = (double) just_under + (double) before;
	double		a = (double) just_under;
	double		first = 0;
	double		term = 1;
	double		sum = 1;

	if (just_under <= 0 || before < 0 || a <= n / 2)
		return 0;
	if (n > CROWD_MOST)
	{
		a = (double) (int64_t) (a * CROWD_MOST / n);
		n = CROWD_MOST;
	}
	/* log2 of n choose a, over 2^n; then the terms above it, as ratios */
	for (double i = 1; i <= n - a; i++)
		first += log2_of((a + i) / i);
	for (double k = a; k < n; k++)
	{
		term *= (n - k) / (k + 1);
		sum += term;
	}
	return -LOG10_2 * (first - n + log2_of(sum));
}
