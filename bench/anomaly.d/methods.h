/*
 * methods.h
 *	  The ways to detect that are compared.
 *
 * The simple ones share row rules, warm-up, buckets and the consolidation of
 * alerts; each answers with a number that grows with how unusual a row is.
 */
#ifndef ANOMALY_METHODS_H
#define ANOMALY_METHODS_H

#include "world.h"

typedef enum Method
{
	EWMA, HOUR_OF_WEEK, MAD, PERCENT,
	SIMPLE_METHODS
} Method;

extern const char *const method_names[SIMPLE_METHODS];

/* An alert, or a row that is one at some thresholds. */
typedef struct Hit
{
	int			stream;
	int			row;			/* index in order of arrival */
	int64_t		clock;			/* newest time that had arrived */
	float		score;
	short		family;			/* 0: level; 1..: a family or rule by itself */
	short		reason;			/* of the product */
} Hit;

typedef struct Hits
{
	Hit		   *hits;
	int			count;
	int			room;
} Hits;

extern void hits_add(Hits *hits, Hit hit);

/* Runs all simple methods over a stream, and their common rules. */
extern void methods_run(const World *world, int stream, const Rows *rows,
						Hits hits[SIMPLE_METHODS], Hits *rules);

#endif							/* ANOMALY_METHODS_H */
