/*
 * score.h
 *	  Incidents out of alerts, and what they are worth.
 */
#ifndef ANOMALY_SCORE_H
#define ANOMALY_SCORE_H

#include "methods.h"

/* How many alerts at a threshold are right, and which faults they find. */
typedef struct Outcome
{
	double		threshold;
	int			found[CLASSES];
	int			all[CLASSES];
	int			again_found;	/* of the second and later of a kind */
	int			again_all;
	int			early_found;	/* within 24 hours, leaks apart */
	int			timed;			/* found ones, leaks apart */
	double		hours_90;		/* to detect, leaks apart */
	double		hours_90_all;
	int			false_alarms;
	int			false_benign[BENIGNS];
	int			false_kind[KINDS];
	int			false_reason[64];
	int			further;		/* more alerts of a fault already found */
	double		months;			/* account-months */
} Outcome;

/*
 * Which alerts remain at a threshold.  consolidated: the detector says itself
 * what is one incident; otherwise 24 hours (daily streams: 72) after the last
 * abnormal row belong to it.  found: a byte a fault, may be NULL.
 */
extern void score_hits(const World *world, const Hits *hits, const Hits *rules,
					   double threshold, bool consolidated, Outcome *outcome,
					   unsigned char *found);

/* The lowest threshold with at most so many false alarms an account-month. */
extern double score_threshold(const World *world, const Hits *hits,
							  const Hits *rules, double budget);

extern double outcome_recall(const Outcome *o, unsigned classes, int *found, int *all);
extern double outcome_false_rate(const Outcome *o);

/* 95 % of Wilson. */
extern void wilson(int found, int all, double *lo, double *hi);

/* Classes that a single stream can show. */
#define ALONE (((1u << CLASSES) - 1) & ~(1u << COORDINATED) & ~(1u << COPIED))
#define TOGETHER ((1u << COORDINATED) | (1u << COPIED))
#define ALL_CLASSES (ALONE | TOGETHER)

#endif							/* ANOMALY_SCORE_H */
