/*
 * requests.h
 *	  Store: override requests.
 *
 * Needs an open owner scope; reads by the latest snapshot.  What comes back
 * lives as long as the scope.
 */
#ifndef BILLADJ_REQUESTS_H
#define BILLADJ_REQUESTS_H

#include "postgres.h"

#include "datatype/timestamp.h"

#include "core/override.h"
#include "ownerspi.h"
#include "rules.h"

typedef struct Request
{
	int64		request_id;
	char	   *account;
	int64		charge_id;		/* 0: none */
	char	   *kind_name;
	OverrideKind kind;
	Decimal		delta;
	Decimal		amount;			/* what bands and limits count */
	char	   *currency;
	OverrideState state;
	int32		revision;
	int32		decisions;
	int64		requester_id;
	int64		editor_id;
	char	   *requester_person;
	char	   *editor_person;
	char	   *requested_by;
	TimestampTz requested_at;
	TimestampTz period_start;
	TimestampTz decide_until;
	TimestampTz apply_until;	/* DT_NOEND: not approved yet */
	Decimal		effective;		/* the largest that was met so far */
	RuleSet		rules;
	bytea	   *charge_hash;
	bytea	   *content_hash;
	int64		reverses;		/* 0: none */
	char	   *cause;
	char	   *affects;
	char	   *reason_code;
} Request;

/*
 * bj_owner_begin(), and locks are waited for no longer than
 * billadj.override_lock_timeout until bj_owner_end().
 */
extern void bj_override_begin(OwnerScope *scope);

/* False if there is none. */
extern bool bj_request_read(int64 request_id, Request *request);

/* The same, and locks the row until the end of the transaction. */
extern bool bj_request_lock(int64 request_id, Request *request);

/*
 * Amounts of the other requests that count with it: same account, kind and
 * currency, open, approved or applied, asked for within the window before or
 * after it; and its own.
 */
extern Decimal bj_request_effective(const Request *request);

/*
 * Locks the row that all requests of an account, kind and currency share which
 * need nobody's approval.
 */
extern void bj_request_lock_window(const Request *request);

/* What the library changes of a request; the guard takes it from here. */
typedef struct RequestChange
{
	OverrideState state;
	int32		decisions;
	Decimal		effective;
	TimestampTz apply_until;	/* DT_NOEND: none */
	TimestampTz closed_at;		/* DT_NOEND: not closed */
	bool		escalate;
} RequestChange;

/* The change that changes nothing. */
extern RequestChange bj_request_unchanged(const Request *request);

extern void bj_request_change(Request *request, const RequestChange *change);

/* For the guard: what bj_request_change() is writing, or NULL. */
extern const RequestChange *bj_request_changing(void);

/* Is there an open or approved request for this target?  Its number, or 0. */
extern int64 bj_request_pending(const char *account, const char *target_key,
								int64 but_request_id);

/* The request that applied, or may yet apply, the reversal of one; or 0. */
extern int64 bj_request_reversal(int64 request_id, int64 but_request_id);

/* May the role in force see it?  No owner scope may be open. */
extern bool bj_request_visible(int64 request_id);

/*
 * Error UB324 for a number that the sequence of the column never gave: one that
 * a statement brought along (OVERRIDING SYSTEM VALUE) would stand in the way of
 * a later row, for good.
 */
typedef enum RequestNumber
{
	BJ_NUMBER_OF_REQUEST,
	BJ_NUMBER_OF_DECISION
} RequestNumber;

extern void bj_request_check_number(RequestNumber of, int64 number);

/* Numbers of open and approved requests, the most urgent first; how many. */
extern int	bj_requests_pending(int64 **request_ids);

/* Of open ones whose deadline comes before, and of which nobody was told. */
extern int	bj_requests_overdue(TimestampTz deadline, int max, int64 **request_ids);

#endif							/* BILLADJ_REQUESTS_H */
