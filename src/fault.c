/*
 * fault.c
 *	  Why a usage row could not be rated.
 */
#include "postgres.h"

#include "errors.h"
#include "fault.h"

void
bj_fault_set(Fault *fault, int sqlstate, const char *message, const char *hint)
{
	fault->sqlstate = sqlstate;
	fault->message = message;
	fault->hint = hint;
}

void
bj_fault_status(Fault *fault, BjStatus status)
{
	bj_fault_set(fault, bj_status_sqlstate(status), bj_status_message(status),
				 bj_status_hint(status));
}

void
bj_fault_raise(const Fault *fault)
{
	ereport(ERROR,
			(errcode(fault->sqlstate),
			 errmsg_internal("%s", fault->message),
			 errdetail("The table is attached with on_unpriced => 'reject'."),
			 fault->hint ? errhint("%s", fault->hint) : 0));
}
