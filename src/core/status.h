/*
 * status.h
 *	  What a core function answers: done, or why not.
 *
 * The core never jumps, allocates or prints.  errors.c, in the server part,
 * turns a status into an SQLSTATE and words.
 */
#ifndef BILLADJ_CORE_STATUS_H
#define BILLADJ_CORE_STATUS_H

typedef enum BjStatus
{
	BJ_OK = 0,
	BJ_OUT_OF_RANGE,			/* the exact result does not fit a Decimal */
	BJ_INEXACT,					/* rounding "never" met a remainder */
	BJ_DIVISION_BY_ZERO,
	BJ_NOT_A_NUMBER,			/* NaN came in */
	BJ_INFINITE,				/* infinity came in */
	BJ_BAD_NUMBER,				/* text that is no decimal number */
	BJ_BAD_ROUNDING,			/* unknown rounding mode */
	BJ_BAD_STEP,				/* rounding step that is not above zero */
	BJ_BAD_SCALE,				/* a number of decimals out of bounds */
	BJ_BAD_CURRENCY,			/* not a code of ISO 4217 */
	BJ_BAD_WEIGHTS,				/* none, a negative one, or all zero */
	BJ_NEGATIVE_QUANTITY,		/* the price says "negative": "reject" */
	BJ_TOO_MANY_STEPS,			/* the caller's array of steps is too short */
	BJ_TIME_OUT_OF_RANGE,		/* no timestamp can hold it */
	BJ_BAD_INTERVAL,			/* a length of a period that is not above zero */
	BJ_BAD_DAY_COUNT,			/* unknown day count */
	BJ_EMPTY_PERIOD,			/* nothing to divide by */
	BJ_OUTSIDE_PERIOD,			/* a part of a period that is not in it */
	BJ_PARTS_OVERLAP,			/* two parts of a period share an instant */
	BJ_NO_MONTHS,				/* the day count wants whole months */
	BJ_BAD_STATE				/* bytes that are no baseline of this version */
} BjStatus;

#endif							/* BILLADJ_CORE_STATUS_H */
