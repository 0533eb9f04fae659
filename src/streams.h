/*
 * streams.h
 *	  One stream outside the commit of its usage: silence, a person's word, a
 *	  baseline that is learned anew.
 *
 * All of it obeys the order of detect.c: what concerns a stream is read, worked
 * out, and kept only if nobody wrote the stream's row meanwhile.
 */
#ifndef BILLADJ_STREAMS_H
#define BILLADJ_STREAMS_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "utils/jsonb.h"

#include "core/baseline.h"
#include "core/decimal.h"
#include "keytext.h"

/*
 * Opens what is to be told of a stream's silence at `now`, and closes what was
 * told before and did not come true, and what is of single rows of a day
 * before.  unit: what one of the meter has cost of late, in currency ("": nobody
 * knows).  Returns whether anything was written.  Waits for nobody: a stream
 * that is being written is left to the next look, so that whoever looks at
 * many of them and whoever commits usage of several never wait for each other.
 */
extern bool bj_streams_silence(KeyText account, KeyText meter, TimestampTz now,
							   Decimal unit, const char *currency);

/* Would it write anything?  Writes nothing and waits for nobody. */
extern bool bj_streams_silence_is_new(KeyText account, KeyText meter, TimestampTz now);

/* A person's word on an incident; false if it was not open. */
extern bool bj_streams_judge(KeyText account, KeyText meter, int64 anomaly_id,
							 BjVerdict verdict);

/*
 * What was found of an incident that waits for it: the row that its first one
 * repeats, or NULL.  False if it does not wait, or if the stream is being written:
 * then the next look finds it, as with silence.
 */
extern bool bj_streams_confirm(KeyText account, KeyText meter, int64 anomaly_id,
							   Jsonb *twin);

/*
 * Locks streams, whose names are in order: as the commit of usage does, first those
 * whose lock is a row of their own, then those whose lock is a total.
 */
extern void bj_streams_lock_all(const KeyText *accounts, const KeyText *meters, int n);

/*
 * Locks a stream until the end of the transaction, so that rows committed from
 * now on are learned after what bj_streams_replace() writes.
 */
extern void bj_streams_lock(KeyText account, KeyText meter);

/* Replaces what is usual; an incident that is open becomes the new normal. */
extern void bj_streams_replace(KeyText account, KeyText meter,
							   const BjBaseline *baseline);

/*
 * Writes an incident that no stream has, of family account.  Returns its number,
 * or 0 if its detector wants nothing of it.
 */
typedef struct AccountFinding
{
	KeyText		account;
	KeyText		meter;
	const char *rule;
	TimestampTz since;
	TimestampTz last_at;
	double		score;
	double		observed;
	double		expected;
	double		lower_bound;
	double		upper_bound;
	bool		has_excess;
	Decimal		excess;
	char		currency[4];
	int64		rows;
	TimestampTz period_start;	/* of what a proposal would mend; 0: none */
	Jsonb	   *detail;			/* or NULL */
} AccountFinding;

extern int64 bj_streams_note(const AccountFinding *finding);

#endif							/* BILLADJ_STREAMS_H */
