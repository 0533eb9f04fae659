/*
 * baselines.h
 *	  Store: what is usual for each stream.
 *
 * Rows are read as of now (SnapshotSelf) and written at commit only, so that
 * no isolation level makes a serialization failure of it.
 */
#ifndef BILLADJ_BASELINES_H
#define BILLADJ_BASELINES_H

#include "postgres.h"

#include "core/baseline.h"
#include "keytext.h"

typedef struct Baselines Baselines;

/*
 * Opens the table with RowExclusiveLock, kept until the end of the transaction.
 * NULL with *problem set if it is missing or of another shape.
 */
extern Baselines *bj_baselines_open(const char **problem);
extern void bj_baselines_close(Baselines *store);

typedef enum BaselineFound
{
	BJ_BASELINE_NONE,			/* no row: *baseline is a new one */
	BJ_BASELINE_READ,
	BJ_BASELINE_BAD				/* a row that cannot be read: likewise */
} BaselineFound;

/*
 * Reads the row of a stream.  Unless it is thorough, and so three times as dear,
 * it may miss one that is there, which is rare; bj_baselines_write() then says
 * false.  Until the next find or the close its page stays
 * pinned, so that bj_baselines_write() finds the version it is about.
 */
extern BaselineFound bj_baselines_find(Baselines *store, KeyText account,
									   KeyText meter, bool thorough,
									   BjBaseline *baseline);

/*
 * Writes a new version of the row that was found last, or makes it; waits for
 * whoever is writing it.  problem: why it was begun anew; NULL: as it was.
 * False if it changed meanwhile: find it again.
 */
extern bool bj_baselines_write(Baselines *store, KeyText account, KeyText meter,
							   const BjBaseline *baseline, const char *problem);

/* CRC-32C by the server, for the core. */
extern uint32 bj_baselines_crc(const void *data, size_t size);

#endif							/* BILLADJ_BASELINES_H */
