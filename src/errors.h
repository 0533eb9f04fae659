/*
 * errors.h
 *	  SQLSTATEs of billadj, and the way from a core status to an error.
 *
 * Class UB is outside the ranges of the standard and of PostgreSQL.  The page
 * doc/errors.md lists all of them, each with an example made by a test.
 */
#ifndef BILLADJ_ERRORS_H
#define BILLADJ_ERRORS_H

#include "postgres.h"

#include "core/status.h"

/* UB0xx: rating and attach */
#define ERRCODE_BJ_NO_PRICE MAKE_SQLSTATE('U','B','0','0','1')
#define ERRCODE_BJ_BAD_PRICE MAKE_SQLSTATE('U','B','0','0','2')
#define ERRCODE_BJ_BAD_QUANTITY MAKE_SQLSTATE('U','B','0','0','3')
#define ERRCODE_BJ_BAD_TIME MAKE_SQLSTATE('U','B','0','0','4')
#define ERRCODE_BJ_BAD_ACCOUNT MAKE_SQLSTATE('U','B','0','0','5')
#define ERRCODE_BJ_UNKNOWN_METER MAKE_SQLSTATE('U','B','0','0','6')
#define ERRCODE_BJ_BAD_MAPPING MAKE_SQLSTATE('U','B','0','0','7')
#define ERRCODE_BJ_CURRENCY MAKE_SQLSTATE('U','B','0','0','8')
#define ERRCODE_BJ_OUT_OF_RANGE MAKE_SQLSTATE('U','B','0','0','9')
#define ERRCODE_BJ_NEGATIVE_QUANTITY MAKE_SQLSTATE('U','B','0','1','0')
#define ERRCODE_BJ_BAD_ROUNDING MAKE_SQLSTATE('U','B','0','1','1')
#define ERRCODE_BJ_NOT_INSTALLED MAKE_SQLSTATE('U','B','0','1','2')
#define ERRCODE_BJ_CANNOT_ATTACH MAKE_SQLSTATE('U','B','0','1','3')
#define ERRCODE_BJ_NOT_ATTACHED MAKE_SQLSTATE('U','B','0','1','4')
#define ERRCODE_BJ_TRUNCATE MAKE_SQLSTATE('U','B','0','1','5')
#define ERRCODE_BJ_APPEND_ONLY MAKE_SQLSTATE('U','B','0','1','6')
#define ERRCODE_BJ_ROW_INCOMPLETE MAKE_SQLSTATE('U','B','0','1','7')
#define ERRCODE_BJ_PRICE_OVERLAP MAKE_SQLSTATE('U','B','0','1','8')
#define ERRCODE_BJ_UNKNOWN_CHARGE MAKE_SQLSTATE('U','B','0','1','9')
#define ERRCODE_BJ_BAD_KEY MAKE_SQLSTATE('U','B','0','2','0')
#define ERRCODE_BJ_PREFLIGHT MAKE_SQLSTATE('U','B','0','2','1')

/* UB1xx: proration */
#define ERRCODE_BJ_BAD_DAY_COUNT MAKE_SQLSTATE('U','B','1','0','1')
#define ERRCODE_BJ_UNKNOWN_ZONE MAKE_SQLSTATE('U','B','1','0','2')
#define ERRCODE_BJ_BAD_RANGE MAKE_SQLSTATE('U','B','1','0','3')
#define ERRCODE_BJ_OUTSIDE_PERIOD MAKE_SQLSTATE('U','B','1','0','4')
#define ERRCODE_BJ_PARTS_OVERLAP MAKE_SQLSTATE('U','B','1','0','5')
#define ERRCODE_BJ_BAD_INTERVAL MAKE_SQLSTATE('U','B','1','0','6')
#define ERRCODE_BJ_BAD_INSTANT MAKE_SQLSTATE('U','B','1','0','7')

/* UB110 and on: subscriptions */
#define ERRCODE_BJ_UNKNOWN_PLAN MAKE_SQLSTATE('U','B','1','1','0')
#define ERRCODE_BJ_BAD_PLAN MAKE_SQLSTATE('U','B','1','1','1')
#define ERRCODE_BJ_UNKNOWN_SUBSCRIPTION MAKE_SQLSTATE('U','B','1','1','2')
#define ERRCODE_BJ_BAD_CHANGE MAKE_SQLSTATE('U','B','1','1','3')

/* UB2xx: detection */
#define ERRCODE_BJ_REJECTED MAKE_SQLSTATE('U','B','2','0','1')
#define ERRCODE_BJ_BAD_DETECTOR MAKE_SQLSTATE('U','B','2','0','2')
#define ERRCODE_BJ_BAD_BASELINE MAKE_SQLSTATE('U','B','2','0','3')
#define ERRCODE_BJ_BAD_VERDICT MAKE_SQLSTATE('U','B','2','0','4')
#define ERRCODE_BJ_UNKNOWN_ANOMALY MAKE_SQLSTATE('U','B','2','0','5')

/* UB3xx: people, policy, overrides and audit */
#define ERRCODE_BJ_NO_PRINCIPAL MAKE_SQLSTATE('U','B','3','0','1')
#define ERRCODE_BJ_NO_AUTHORITY MAKE_SQLSTATE('U','B','3','0','2')
#define ERRCODE_BJ_AUTHORITY_ENDED MAKE_SQLSTATE('U','B','3','0','3')
#define ERRCODE_BJ_SINGLE_LIMIT MAKE_SQLSTATE('U','B','3','0','4')
#define ERRCODE_BJ_PERIOD_LIMIT MAKE_SQLSTATE('U','B','3','0','5')
#define ERRCODE_BJ_SEGREGATION MAKE_SQLSTATE('U','B','3','0','6')
#define ERRCODE_BJ_CONFLICT MAKE_SQLSTATE('U','B','3','0','7')
#define ERRCODE_BJ_CERTIFICATE MAKE_SQLSTATE('U','B','3','0','8')
#define ERRCODE_BJ_DECIDED_ALREADY MAKE_SQLSTATE('U','B','3','0','9')
#define ERRCODE_BJ_WRONG_STATE MAKE_SQLSTATE('U','B','3','1','0')
#define ERRCODE_BJ_STALE MAKE_SQLSTATE('U','B','3','1','1')
#define ERRCODE_BJ_INCOMPLETE MAKE_SQLSTATE('U','B','3','1','2')
#define ERRCODE_BJ_REVIEW_TOKEN MAKE_SQLSTATE('U','B','3','1','3')
#define ERRCODE_BJ_REASON MAKE_SQLSTATE('U','B','3','1','4')
#define ERRCODE_BJ_NO_RULE MAKE_SQLSTATE('U','B','3','1','5')
#define ERRCODE_BJ_DELEGATION MAKE_SQLSTATE('U','B','3','1','6')
#define ERRCODE_BJ_AMOUNT MAKE_SQLSTATE('U','B','3','1','7')
#define ERRCODE_BJ_CONTROL_APPEND_ONLY MAKE_SQLSTATE('U','B','3','2','0')
#define ERRCODE_BJ_CONTROL_TRUNCATE MAKE_SQLSTATE('U','B','3','2','1')
#define ERRCODE_BJ_PROTECTED_DDL MAKE_SQLSTATE('U','B','3','2','2')
#define ERRCODE_BJ_PREPARE MAKE_SQLSTATE('U','B','3','2','3')
#define ERRCODE_BJ_SERVER_CONTROLLED MAKE_SQLSTATE('U','B','3','2','4')
#define ERRCODE_BJ_CONTEXT MAKE_SQLSTATE('U','B','3','2','5')
#define ERRCODE_BJ_POSTURE MAKE_SQLSTATE('U','B','3','2','7')
#define ERRCODE_BJ_DUAL_CONTROL MAKE_SQLSTATE('U','B','3','2','8')
#define ERRCODE_BJ_BAD_DIGEST MAKE_SQLSTATE('U','B','3','3','0')
#define ERRCODE_BJ_CARD_NUMBER MAKE_SQLSTATE('U','B','3','3','2')
#define ERRCODE_BJ_BAD_POLICY MAKE_SQLSTATE('U','B','3','3','4')
#define ERRCODE_BJ_POLICY_UNSOUND MAKE_SQLSTATE('U','B','3','3','5')

/* The SQLSTATE and the message of a status that is not BJ_OK. */
extern int	bj_status_sqlstate(BjStatus status);
extern const char *bj_status_message(BjStatus status);
extern const char *bj_status_hint(BjStatus status);	/* or NULL */

/* Raises the error of a status that is not BJ_OK. */
extern void bj_check(BjStatus status);

/* The same, and the message ends with what was found, in quotes. */
extern void bj_check_found(BjStatus status, const char *found);

#endif							/* BILLADJ_ERRORS_H */
