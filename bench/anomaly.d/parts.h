/*
 * parts.h
 *	  The parts of bench/anomaly that need no invented world.
 */
#ifndef ANOMALY_PARTS_H
#define ANOMALY_PARTS_H

/* The CloudWatch series in this folder. */
extern void part_nab(const char *folder);

/* A planted first row among the real ones of this file. */
extern void part_retail(const char *file);

/* Nanoseconds a row. */
extern void part_cost(void);

#endif							/* ANOMALY_PARTS_H */
