/*
 * ownerspi.h
 *	  SQL on our own tables as their owner, past row-level security, by the
 *	  latest snapshot whatever the isolation level.
 *
 * For guards and deciders: what the caller may not see still binds him, and
 * what was committed a moment ago binds him under every isolation level.
 */
#ifndef BILLADJ_OWNERSPI_H
#define BILLADJ_OWNERSPI_H

#include "postgres.h"

#include "executor/spi.h"

typedef struct OwnerScope
{
	Oid			save_userid;
	int			save_context;
	int			save_nestlevel; /* of settings: search_path is pg_catalog */
} OwnerScope;

/*
 * From begin to end: the user is billadj_owner, row-level security of its
 * tables is off, search_path is pg_catalog, SPI is connected.  An error in
 * between needs no end: the server restores user, settings and SPI.
 */
extern void bj_owner_begin(OwnerScope *scope);
extern void bj_owner_end(OwnerScope *scope);

/*
 * Runs one statement that names its tables with billadj.; parameters are $1 …
 * by types, values and nulls (' ' or 'n').  read_only: by the latest snapshot;
 * otherwise it also sees what this transaction wrote.  Plans are kept by the
 * address of sql, which must be a literal.  Returns the number of rows, in
 * SPI_tuptable.
 */
extern uint64 bj_owner_run(const char *sql, int nargs, Oid *types,
						   Datum *values, const char *nulls, bool read_only);

#endif							/* BILLADJ_OWNERSPI_H */
