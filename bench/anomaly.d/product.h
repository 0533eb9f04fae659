/*
 * product.h
 *	  The product's detector, run over an invented world.
 */
#ifndef ANOMALY_PRODUCT_H
#define ANOMALY_PRODUCT_H

#include "methods.h"
#include "together.h"

/* A group of meters that are compared: kind and segment. */
#define PEER_GROUPS (KINDS * 3)

typedef struct Product Product;

/*
 * Learns the peer groups from the first four weeks of streams that are there
 * from the start; nothing later is looked at.
 */
extern Product *product_make(void);
extern void product_learn_peers(Product *product, const World *world,
								int stream, const Rows *rows);
extern void product_finish_peers(Product *product);

/*
 * Runs the detector with this threshold and adds what it would alert of.
 * Reasons are the product's own; see product_reason().  snapshots may be NULL.
 */
extern void product_run(Product *product, const World *world, int stream,
						const Rows *rows, double threshold, Hits *hits,
						Snapshots *snapshots);

/*
 * How often each level was passed by a usual observation: scores that a stream
 * without faults was given at times when no surprise befell it.
 */
#define LEVELS 6
typedef struct Levels
{
	int64_t		observations;	/* usual ones */
	int64_t		passed[LEVELS];
	int64_t		surprised;		/* observations under a benign surprise */
	int64_t		surprised_passed[LEVELS];
} Levels;

extern const double product_levels[LEVELS];
extern void product_count(Product *product, const World *world, int stream,
						  const Rows *rows, Levels *levels);

extern const char *product_reason(int reason);
extern double product_threshold(void);	/* that ships */

#endif							/* ANOMALY_PRODUCT_H */
