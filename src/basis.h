/*
 * basis.h
 *	  Store: what an override request is based on: the charges of its usage row
 *	  and measure, the adjustments of these, the holds on them.
 *
 * Needs an open owner scope (ownerspi.h); reads by the latest snapshot.
 */
#ifndef BILLADJ_BASIS_H
#define BILLADJ_BASIS_H

#include "postgres.h"

#include "datatype/timestamp.h"

#include "core/decimal.h"

typedef struct Basis
{
	bool		found;			/* there is such a charge */
	char	   *account;
	TimestampTz period_start;
	char		currency[4];
	char	   *target_key;		/* equal for all charges of one usage row and measure */
	Decimal		billed;			/* all these charges and their adjustments */
	Decimal		charged;		/* the charge alone and its adjustments */
	int64		hold_id;		/* the open hold on the charge, or 0 */
	bytea	   *hash;			/* SHA-256 over all of it */
} Basis;

/* What of it to leave out: the effect of a request itself. */
typedef struct BasisWithout
{
	int64		request_id;		/* 0: nothing */
	int64		hold_id;		/* a hold that its effect made, or 0 */
} BasisWithout;

/*
 * charge_id 0: no charge, and a hash that never changes.  period_start is that
 * of the charge where it is known, so that one month is looked at; DT_NOEND
 * where not.
 */
extern void bj_basis_read(int64 charge_id, TimestampTz period_start,
						  BasisWithout without, Basis *basis);

/* Month in which an account is now, in its time zone, and its currency or "". */
extern TimestampTz bj_basis_period(const char *account, char *currency);

#endif							/* BILLADJ_BASIS_H */
