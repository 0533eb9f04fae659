/*
 * refusal.h
 *	  Why an act on an override is refused: raised by guards, listed by
 *	  explain_decision().
 */
#ifndef BILLADJ_REFUSAL_H
#define BILLADJ_REFUSAL_H

#include "postgres.h"

#include "compat.h"
#include "nodes/pg_list.h"

typedef struct Refusal
{
	int			sqlstate;
	const char *message;
	const char *detail;			/* the caller's own facts only, or NULL */
	const char *hint;			/* the next command, or NULL */
} Refusal;

/* In the order of the checks, so that the same fault always gives the same code. */
typedef List *Refusals;

/* Adds one; all words are the caller's and live as long as the list. */
extern void bj_refuse(Refusals *refusals, int sqlstate, const char *message,
					  const char *detail, const char *hint);

pg_noreturn extern void bj_refusal_raise(const Refusal *refusal);

/*
 * Raises the first one if there is any.  act and request_id go to the server's
 * log: the rollback takes every other trace of the attempt.
 */
extern void bj_refusals_raise(Refusals refusals, const char *act, int64 request_id);

#endif							/* BILLADJ_REFUSAL_H */
