/*
 * decisions.h
 *	  Store: decisions on a request, and tokens of those who have looked at it.
 *
 * Needs an open owner scope; reads by the latest snapshot.
 */
#ifndef BILLADJ_DECISIONS_H
#define BILLADJ_DECISIONS_H

#include "postgres.h"

#include "requests.h"

typedef struct DecisionRow
{
	int64		decision_id;
	int64		principal_id;
	char	   *person_key;
	char	   *lender;			/* person whose authority was used by delegation, or NULL */
	bool		approve;
	int32		level;
	char	   *lapsed;			/* why it counts no longer, or NULL */
} DecisionRow;

/* The decisions on the present revision, oldest first.  Returns how many. */
extern int	bj_decisions_read(const Request *request, DecisionRow **rows);

/*
 * Counts the approvals that still hold for the steps of a band; steps is a copy
 * of them with what they have.  True if all are complete.
 */
extern bool bj_decisions_count(const DecisionRow *rows, int nrows,
							   const RuleBand *band, Step *steps);

/* The principals of all of them, and room for more; to be locked. */
extern int64 *bj_decisions_principals(int64 request_id, int room, int *n);

/* Issues a token for what the request says now; hex text, palloc'd. */
extern char *bj_ticket_issue(int64 request_id, int64 principal_id,
							 const bytea *seen_hash);

/*
 * token_hash is the SHA-256 of a token.  Why it does not count, or NULL if it
 * does.
 */
extern const char *bj_ticket_problem(int64 request_id, int64 principal_id,
									 const bytea *seen_hash, const bytea *token_hash);

extern void bj_ticket_use(const bytea *token_hash);

/* Does the instance ask for a token with every decision? */
extern bool bj_review_required(void);

#endif							/* BILLADJ_DECISIONS_H */
