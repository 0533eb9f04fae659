/*
 * rating.h
 *	  Rates usage rows: what the triggers, backfill() and retry_parked() share.
 */
#ifndef BILLADJ_RATING_H
#define BILLADJ_RATING_H

#include "postgres.h"

#include "utils/relcache.h"

#include "charges.h"
#include "tiertotals.h"
#include "usagerow.h"

/*
 * Differences that follow from other facts than their usage rows have cause
 * correction and show on the bill of the period that contains posting_at.
 */
typedef struct Correction
{
	TimestampTz posting_at;
	void		(*sink) (void *to, const Charge *charge);	/* told of each */
	void	   *to;
} Correction;

/* One statement's rating. */
typedef struct Rating
{
	MemoryContext context;		/* of the statement; rows come and go in others */
	const Binding *binding;
	const char *first_cause;	/* of a measure that was never charged */
	ChargeWriter *charges;
	TierTotals *totals;			/* opened at the first price that needs it */
	const char *totals_problem; /* why it could not be opened */
	bool		holds_looked;	/* for open ones, at the first correction */
	struct HoldLookup *holds;	/* NULL: there are none */
	bool		detect;			/* charges are noted for detection */
	int64		rated;			/* charges written */
	int64		parked;			/* measures parked */
	int64		lost;			/* measures that could not even be parked */
	const char *why_lost;
	const Correction *correction;	/* or NULL */
	Fault	   *faults;			/* of a retry, by measure; NULL: park */
} Rating;

/*
 * Makes ready to rate rows of a binding.  False, after one WARNING, when our
 * own tables do not allow it: the host's statement goes on, unrated.
 */
extern bool bj_rating_begin(Rating *rating, const Binding *binding);

/* Writes what is buffered; one WARNING if something was lost. */
extern void bj_rating_end(Rating *rating);

/* Charges a row that is not charged yet, or parks it. */
extern void bj_rating_add(Rating *rating, UsageRow *row, const char *cause);

/*
 * Charges the difference between what was charged for a row and what it is
 * now; row NULL: it is gone.  Nothing is charged when was->parts is empty and
 * row is NULL.
 */
extern void bj_rating_change(Rating *rating, ChargedRow *was, UsageRow *row);

/*
 * The same for a row that is parked already: what cannot be rated is left as
 * it is, and faults[i] says why.  A difference, since a charge that could not
 * be taken back when the row was parked still stands.
 */
extern void bj_rating_retry(Rating *rating, ChargedRow *was, UsageRow *row,
							Fault *faults);

/* Says why nothing of this statement is rated. */
extern void bj_rating_warn(const char *problem);

#endif							/* BILLADJ_RATING_H */
