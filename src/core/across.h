/*
 * across.h
 *	  What no single account shows: the same thing on several of them.
 *
 * Pure functions over rows that the caller has gathered for one meter and one
 * period.  Each answer carries decades: 3 means that chance does the like once
 * in a thousand looks, all the groups that were looked through counted in.
 *
 * No memory is taken here; scratch is the caller's.
 */
#ifndef BILLADJ_CORE_ACROSS_H
#define BILLADJ_CORE_ACROSS_H

#include <stdbool.h>
#include <stdint.h>

/* A group of patterns as large as that is a common cause, not an agreement. */
#define BJ_ACROSS_MEMBERS 32

/* The fewest accounts that make a group. */
#define BJ_ACROSS_LEAST 3

/* Accounts that belong together; numbers are the caller's. */
typedef struct BjGroup
{
	double		decades;
	int32_t		count;
	int32_t		members[BJ_ACROSS_MEMBERS];
	int32_t		rows;			/* copies: shared times; patterns: the window */
	int64_t		since;			/* copies: of the first shared row */
	int64_t		until;			/* and the last */
} BjGroup;

/* ---- the same rows on several accounts ---- */

/*
 * A row of the meter that shares (at, quantity) with another account; in the
 * order (at, quantity, account), an account once for each such pair.
 */
typedef struct BjSharedRow
{
	int64_t		at;
	double		quantity;
	int32_t		account;		/* 0 .. accounts - 1 */
	int64_t		alike;			/* rows of the meter with this quantity */
	int32_t		present;		/* accounts that have a row at this time */
} BjSharedRow;

/* Scratch for one account. */
typedef struct BjCopier
{
	double		decades;
	int32_t		leader;
	int32_t		rows;
	int64_t		since;
	int64_t		until;
} BjCopier;

/*
 * Groups of at least three accounts that share at least `least` rows which
 * chance would not give them; total: rows of the meter in the period.  A value
 * that many rows have, or a time at which everybody reports, says little.
 * After `quiet` without a shared row the next ones are another group's.
 * Returns how many groups there are; no more than max are written.
 */
extern int32_t bj_across_copies(const BjSharedRow *rows, int64_t n,
								int64_t total, int32_t least, int64_t quiet,
								BjCopier *copiers, int32_t accounts,
								BjGroup *groups, int32_t max);

/* ---- a common pattern of more and less ---- */

/* Signs of the last residuals, bit 0 of the observation at a common time. */
typedef struct BjPattern
{
	uint64_t	signs;
	/* scratch */
	bool		used;			/* in a group that was found */
	bool		member;			/* of the group that is growing */
	double		ones;			/* share of the bits compared */
	double		weight;
	double		excess;			/* evidence with the members so far */
	double		variance;
} BjPattern;

/*
 * Signs whose bit 0 is of `newest`, moved so that it is of `at`, which is no
 * later; false when they do not reach so far.  spacing: of the observations.
 */
extern bool bj_pattern_align(uint64_t signs, int64_t newest, int64_t at,
							 int64_t spacing, uint64_t *aligned);

/*
 * Groups of at least three whose signs agree more than chance has it, over the
 * last 48, 32 or 24 observations, with at least so many decades.  What most of
 * the meter's accounts do alike at an hour is a common cause (a holiday, the
 * weather) and not compared.  The best group first.
 */
extern int32_t bj_across_patterns(BjPattern *patterns, int32_t n,
								  double decades, BjGroup *groups,
								  int32_t max);

/* ---- crowded under a limit ---- */

/*
 * Decades of finding just_under amounts in the last 5 % under a limit, and
 * `before` in the 5 % below these, where they should be about as many: the
 * chance of so many or more of the two together.
 */
extern double bj_across_crowding(int64_t just_under, int64_t before);

#endif							/* BILLADJ_CORE_ACROSS_H */
