/*
 * parts.h
 *	  The parts of bench/anomaly that need no invented world.
 */
#ifndef ANOMALY_PARTS_H
#define ANOMALY_PARTS_H

#include <stdint.h>

/* The CloudWatch series in this folder. */
extern void part_nab(const char *folder);

/* A planted first row among the real ones of this file. */
extern void part_retail(const char *file);

/*
 * Nanoseconds a row; beside them the instructions, as given by case.  Those are
 * what anomaly_counted() takes in part_counted(), which prints for how many rows.
 */
extern void part_cost(int count, char **instructions);
extern void part_counted(int number);
extern void anomaly_counted(int number);

/* New keys in a world of this seed. */
extern void part_young(const char *name, uint64_t seed);

#endif							/* ANOMALY_PARTS_H */
