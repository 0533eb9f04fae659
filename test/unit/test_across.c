/*
 * test_across.c
 *	  Groups that share rows, groups that share a pattern, crowded amounts.
 */
#include <string.h>

#include "core/across.h"
#include "tap.h"

#define ACCOUNTS 60
#define ROWS_MAX 4096

/* xorshift64*, so that the cases are the same everywhere */
static uint64_t state = UINT64_C(88172645463325252);

static uint64_t
bits(void)
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return state * UINT64_C(2685821657736338717);
}

static int32_t
below(int32_t n)
{
	return (int32_t) (bits() >> 33) % n;
}

static bool
has(const BjGroup *group, int32_t account)
{
	for (int32_t i = 0; i < group->count; i++)
		if (group->members[i] == account)
			return true;
	return false;
}

/* ---- copies ---- */

static BjSharedRow rows[ROWS_MAX];
static int64_t row_count;

static void
share(int64_t at, double quantity, int64_t alike, int32_t present,
	  const int32_t *accounts, int32_t n)
{
	for (int32_t i = 0; i < n; i++)
		rows[row_count++] = (BjSharedRow) {at, quantity, accounts[i], alike, present};
}

static void
test_copies(void)
{
	static BjCopier copiers[ACCOUNTS];
	static const int32_t gang[] = {3, 17, 41};
	static const int32_t pair[] = {5, 6};
	static const int32_t crowd[] = {1, 2, 3, 4, 5, 6, 7, 8};
	BjGroup		groups[4];
	int32_t		n;

	row_count = 0;
	for (int64_t t = 0; t < 6; t++)
		share(t * 600, 12.37 + (double) t, 3, 3, gang, 3);
	n = bj_across_copies(rows, row_count, 40000, 3, 43200, copiers, ACCOUNTS, groups, 4);
	ok(n == 1, "three accounts with six rows alike are a group");
	ok(groups[0].count == 3 && has(&groups[0], 3) && has(&groups[0], 17) &&
	   has(&groups[0], 41), "and it has these members");
	ok(groups[0].rows == 6 && groups[0].since == 0 && groups[0].until == 3000,
	   "from the first shared row to the last");
	ok(groups[0].decades >= 6, "with what it takes");

	n = bj_across_copies(rows, 6, 40000, 3, 43200, copiers, ACCOUNTS, groups, 4);
	ok(n == 0, "two shared rows are too few when three are asked for");

	row_count = 0;
	for (int64_t t = 0; t < 20; t++)
		share(t * 600, 12.37 + (double) t, 2, 2, pair, 2);
	ok(bj_across_copies(rows, row_count, 40000, 3, 43200, copiers, ACCOUNTS, groups, 4) == 0,
	   "two accounts are none");

	/* whole numbers at whole hours: everybody has them now and then */
	row_count = 0;
	for (int64_t t = 0; t < 100; t++)
		share(t * 3600, 5, 4000, ACCOUNTS, crowd, 8);
	ok(bj_across_copies(rows, row_count, 40000, 3, 43200, copiers, ACCOUNTS, groups, 4) == 0,
	   "a value that every tenth row has says nothing");

	row_count = 0;
	for (int64_t t = 0; t < 6; t++)
	{
		static const int32_t other[] = {20, 21, 22, 23};

		share(t * 600, 12.37 + (double) t, 3, 3, gang, 3);
		share(t * 600, 99.5 + (double) t, 4, 4, other, 4);
	}
	n = bj_across_copies(rows, row_count, 40000, 3, 43200, copiers, ACCOUNTS, groups, 4);
	ok(n == 2 && groups[0].count + groups[1].count == 7, "two groups stay apart");
	ok(bj_across_copies(rows, row_count, 40000, 3, 43200, copiers, ACCOUNTS, groups, 1) == 2,
	   "more groups than there is room for are counted");
	row_count = 0;
	for (int64_t t = 0; t < 6; t++)
		share(t * 600, 12.37 + (double) t, 3, 3, gang, 3);
	for (int64_t t = 0; t < 6; t++)
	{
		/* one account is of both */
		static const int32_t later[] = {17, 50, 51};

		share(86400 + t * 600, 12.37 + (double) t, 3, 3, later, 3);
	}
	n = bj_across_copies(rows, row_count, 40000, 3, 43200, copiers, ACCOUNTS, groups, 4);
	ok(n == 2 && groups[0].count == 3 && groups[1].count == 3 && groups[1].since == 86400,
	   "a day later it is another group, also with a common member");
	n = bj_across_copies(rows, row_count, 40000, 3, 864000, copiers, ACCOUNTS, groups, 4);
	ok(n == 1 && groups[0].count == 5, "or the same one, when a day is no pause");
	ok(bj_across_copies(rows, 0, 0, 3, 43200, copiers, ACCOUNTS, groups, 4) == 0,
	   "no rows, no group");
}

/* ---- patterns ---- */

static BjPattern patterns[ACCOUNTS];

static void
random_patterns(void)
{
	for (int32_t i = 0; i < ACCOUNTS; i++)
		patterns[i].signs = bits();
}

/* The bits of the pattern, each wrong so many times in a hundred. */
static uint64_t
noisy(uint64_t pattern, int32_t wrong)
{
	for (int i = 0; i < 64; i++)
		if (below(100) < wrong)
			pattern ^= UINT64_C(1) << i;
	return pattern;
}

static void
test_chance(void)
{
	BjGroup		groups[4];
	int32_t		false_groups = 0;

	for (int32_t round = 0; round < 100; round++)
	{
		random_patterns();
		false_groups += bj_across_patterns(patterns, ACCOUNTS, 2, groups, 4);
	}
	/* two decades: one in a hundred is what the promise allows */
	ok(false_groups <= 5, "100 times 60 random patterns: %d groups at two decades", false_groups);
}

static void
test_planted(void)
{
	BjGroup		groups[4];
	int32_t		found = 0;
	int32_t		members = 0;
	int32_t		strangers = 0;

	for (int32_t round = 0; round < 40; round++)
	{
		uint64_t	pattern = bits();
		int32_t		n;

		random_patterns();
		for (int32_t i = 0; i < 6; i++)
			patterns[i * 7].signs = noisy(pattern, 12);
		n = bj_across_patterns(patterns, ACCOUNTS, 3, groups, 4);
		found += n > 0;
		for (int32_t i = 0; n > 0 && i < groups[0].count; i++)
			if (groups[0].members[i] % 7 == 0 && groups[0].members[i] < 42)
				members++;
			else
				strangers++;
	}
	ok(found >= 36, "six accounts with a common pattern, 12 of 100 signs wrong: found %d of 40", found);
	ok(members >= 210, "with %d of their 240 members", members);
	ok(strangers <= 20, "and %d strangers", strangers);
}

static void
test_common(void)
{
	BjGroup		groups[4];
	uint64_t	holiday = bits();

	/* everybody does the same: that is a common cause */
	for (int32_t i = 0; i < ACCOUNTS; i++)
		patterns[i].signs = noisy(holiday, 10);
	ok(bj_across_patterns(patterns, ACCOUNTS, 3, groups, 4) == 0,
	   "what all accounts do alike is no group");
	for (int32_t i = 0; i < ACCOUNTS; i++)
		patterns[i].signs = i % 2 ? UINT64_MAX : 0;
	ok(bj_across_patterns(patterns, ACCOUNTS, 3, groups, 4) == 0,
	   "signs that never change are no pattern");
	ok(bj_across_patterns(patterns, 0, 3, groups, 4) == 0, "no accounts, no group");
	ok(bj_across_patterns(patterns, 2, 3, groups, 4) == 0, "two are none");
}

static void
test_align(void)
{
	static const struct
	{
		int64_t		newest;
		int64_t		at;
		bool		reaches;
		uint64_t	aligned;
	}			cases[] = {
		{7200, 7200, true, 0xF0F0},
		{10800, 7200, true, 0x7878},
		{21600, 7200, true, 0x0F0F},
		{7000, 7200, false, 0},
		{7200 + 41 * 3600, 7200, false, 0},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		uint64_t	aligned = 0;
		bool		reaches = bj_pattern_align(0xF0F0, cases[i].newest, cases[i].at, 3600, &aligned);

		ok(reaches == cases[i].reaches && aligned == cases[i].aligned,
		   "alignment, case %zu", i);
	}
}

/* ---- amounts under a limit ---- */

static void
test_crowding(void)
{
	/* exact binomial tails, by hand: P(X >= a | n, 1/2) */
	static const struct
	{
		int64_t		just_under;
		int64_t		before;
		double		decades;
	}			cases[] = {
		{1, 0, 0.30103},		/* 1/2 */
		{10, 0, 3.01030},		/* 1/1024 */
		{9, 1, 1.96911},		/* 11/1024 */
		{8, 2, 1.26213},		/* 56/1024 */
		{20, 0, 6.02060},
		{5, 5, 0},
		{3, 9, 0},
		{0, 0, 0},
		{-1, 3, 0},
		{3, -1, 0},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		double		d = bj_across_crowding(cases[i].just_under, cases[i].before);

		ok(d > cases[i].decades - 0.0005 && d < cases[i].decades + 0.0005,
		   "%d against %d: %.5f decades", (int) cases[i].just_under,
		   (int) cases[i].before, d);
	}
	ok(bj_across_crowding(6000000, 4000000) > 20, "millions are scaled down, and still crowd");
	ok(bj_across_crowding(60, 40) < bj_across_crowding(600, 400), "more of the same says more");
}

int
main(void)
{
	test_copies();
	test_chance();
	test_planted();
	test_common();
	test_align();
	test_crowding();
	return done_testing();
}
