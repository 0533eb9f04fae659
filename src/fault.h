/*
 * fault.h
 *	  Why a usage row could not be rated.
 *
 * In the row path an error would fail the host's statement, so a reason is a
 * value: it is parked with the row, or raised where the DBA chose reject.
 */
#ifndef BILLADJ_FAULT_H
#define BILLADJ_FAULT_H

#include "postgres.h"

#include "compat.h"
#include "core/status.h"

typedef struct Fault
{
	int			sqlstate;		/* 0: no fault */
	const char *message;
	const char *hint;			/* or NULL */
} Fault;

/* The fault of a status that is not BJ_OK; all words are constants. */
extern void bj_fault_status(Fault *fault, BjStatus status);

/* Fills fault; the words live as long as the caller's strings. */
extern void bj_fault_set(Fault *fault, int sqlstate, const char *message,
						 const char *hint);

/* Raises it as an error of the host's statement. */
pg_noreturn extern void bj_fault_raise(const Fault *fault);

#endif							/* BILLADJ_FAULT_H */
