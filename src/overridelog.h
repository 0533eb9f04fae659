/*
 * overridelog.h
 *	  What happens to a request, for the audit log and the outbox: numbers,
 *	  amounts and hashes; personal words never.
 *
 * Needs an open owner scope.
 */
#ifndef BILLADJ_OVERRIDELOG_H
#define BILLADJ_OVERRIDELOG_H

#include "postgres.h"

#include "decide.h"

/*
 * An entry about the request as it is now; more is JSON members that come on
 * top ("\"a\": 1, …"), or NULL.
 */
extern void bj_log_request(const char *event, const Request *request, const char *more);

/* A decision as it was stored. */
typedef struct DecisionFacts
{
	int64		decision_id;
	bool		approve;
	int64		principal_id;
	const char *login;
	int64		on_behalf_of;	/* principal that lent the authority, or 0 */
	int64		authority_id;
	int32		level;
	int32		step;
	int64		comment_id;		/* or 0 */
} DecisionFacts;

/* Entries about the decision and the request. */
extern void bj_log_decision(const DecisionFacts *facts, const Request *request);

/* Entries about the adjustment and the request. */
extern void bj_log_applied(int64 adjustment_id, const Request *request,
						   const DecisionRow *decisions, int ndecisions);

extern void bj_log_hold(int64 hold_id, const char *account, int64 charge_id);

extern void bj_log_comment(int64 request_id, const char *account, int64 comment_id, int64 text_id);

/* A message that the request waits for somebody's decision. */
extern void bj_log_awaited(const char *topic, const Request *request,
						   const Step *steps, int nsteps);

/* A message that the request is closed: applied, rejected … */
extern void bj_log_closed(const char *topic, const Request *request, int64 adjustment_id);

#endif							/* BILLADJ_OVERRIDELOG_H */
