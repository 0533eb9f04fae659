/*
 * together.h
 *	  Accounts looked at together: what detect_across() has to find.
 */
#ifndef ANOMALY_TOGETHER_H
#define ANOMALY_TOGETHER_H

#include "world.h"

/* Signs of the streams' residuals at every sixth hour. */
#define SNAPSHOT (6 * HOUR)

typedef struct Snapshots
{
	uint64_t   *signs;			/* [stream][time] */
	int64_t    *newest;
	int			times;
} Snapshots;

extern void snapshots_make(Snapshots *snapshots, const World *world);
extern void snapshots_free(Snapshots *snapshots);

typedef struct Together
{
	int			found[CLASSES];
	int			all[CLASSES];
	int			false_groups;
	double		hours_90;		/* from the first faulty row to the look */
	unsigned char *group_found; /* by group; the caller frees it */
} Together;

/* All looks over all meters. */
extern Together together_run(World *world, const Snapshots *snapshots,
							 Rows *rows);

/* Credits by requester, some of whom stay just under their limit. */
extern void part_credits(void);

#endif							/* ANOMALY_TOGETHER_H */
