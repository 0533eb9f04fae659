/*
 * effects.h
 *	  Store: what applied requests do: adjustments and holds; proposals, which
 *	  become requests; the outbox.
 *
 * Needs an open owner scope, except where it says otherwise.
 */
#ifndef BILLADJ_EFFECTS_H
#define BILLADJ_EFFECTS_H

#include "postgres.h"

#include "requests.h"

/*
 * Writes the adjustment of a request and returns its number.  Error UB324 if
 * what was stored is not what was asked for.
 */
extern int64 bj_adjustment_add(const Request *request, const char *login);

/* Ends the open hold of the request's charge, and what is part of it. */
extern void bj_hold_end(const Request *request);

/*
 * Holds a charge: it is not billable from now on.  anomaly_id 0: none.  Returns
 * the number of the hold, 0 if the charge is held already.
 */
extern int64 bj_hold_add(const char *account, int64 charge_id, const char *reason,
						 int64 anomaly_id);

/*
 * Holds again what the request that this one reverses has released.  Returns the
 * hold of its charge, of which the others are parts; 0 if it is held.
 */
extern int64 bj_hold_again(const Request *request);

/* A message for outside; payload is JSON text without personal words. */
extern void bj_outbox_add(const char *account, const char *topic, const char *payload);

/* A change that the library found and may not post by itself. */
typedef struct Proposal
{
	char	   *account;
	char	   *kind;
	int64		charge_id;		/* 0: none */
	Decimal		delta;
	char	   *currency;
	char	   *cause;
	TimestampTz period_start;
	char	   *target;			/* JSON text, or NULL */
	int64		request_id;		/* 0: not submitted yet */
} Proposal;

extern int64 bj_proposal_add(const Proposal *proposal);

/* Locks and reads; false if there is none. */
extern bool bj_proposal_lock(const char *account, int64 proposal_id, Proposal *proposal);
extern void bj_proposal_submitted(const char *account, int64 proposal_id, int64 request_id);

/* A reason code that may be used; false if there is none. */
extern bool bj_reason_read(const char *code, bool *needs_comment, bool *needs_evidence);

/* What was said about a request, oldest first.  Returns how many. */
typedef struct CommentRow
{
	int64		comment_id;
	TimestampTz created_at;
	char	   *created_by;
	int64		text_id;
} CommentRow;

extern int	bj_comments_read(int64 request_id, CommentRow **rows);
extern int64 bj_comment_add(int64 request_id, int64 text_id, const char *login);

#endif							/* BILLADJ_EFFECTS_H */
