/*
 * subperiods.h
 *	  Store: in which billing period of a subscription usage falls.
 *
 * Usage of an account follows its subscription's periods where it has one that
 * is in force at the time, which is a term that is active or a trial.  Of
 * several it is the one whose plan prices the meter, else the oldest; of
 * several that price it, the oldest.  Where there is none, before the first
 * begins, after the last has ended or while it is paused, the period is the
 * calendar month.
 */
#ifndef BILLADJ_SUBPERIODS_H
#define BILLADJ_SUBPERIODS_H

#include "postgres.h"

#include "datatype/timestamp.h"

#include "core/prorate.h"
#include "fault.h"
#include "keytext.h"

extern void bj_subperiods_init(void);

/*
 * Makes what is kept current.  Returns NULL, or the name of a table that is of
 * another shape than this library knows; that there are none yet is no problem.
 */
extern const char *bj_subperiods_begin(void);

/* Is there any subscription?  If not, nothing below need be called. */
extern bool bj_subperiods_any(void);

typedef struct UsagePeriod
{
	int64		subscription_id;
	Span		span;			/* the billing period, not cut to a term */
} UsagePeriod;

/*
 * The billing period of usage of a meter at an instant; a meter of length -1
 * is one that no plan prices.  False: none, it is the calendar month; or with
 * fault filled, it cannot be computed.
 */
extern bool bj_subperiods_find(KeyText account, KeyText meter, TimestampTz at,
							   UsagePeriod *period, Fault *fault);

/* Tells all sessions, at commit, to forget what they keep. */
extern void bj_subperiods_changed(void);

#endif							/* BILLADJ_SUBPERIODS_H */
