/*
 * anomalies.h
 *	  Store: incidents, and what follows from them: holds, proposals, messages.
 *
 * Read as of now and written at commit.  Whoever writes an incident of a stream
 * holds the stream's row in billadj.baseline, or waits for it: so a stream
 * never has two open incidents of one family.
 */
#ifndef BILLADJ_ANOMALIES_H
#define BILLADJ_ANOMALIES_H

#include "postgres.h"

#include "access/htup.h"
#include "datatype/timestamp.h"
#include "nodes/pg_list.h"
#include "utils/jsonb.h"

#include "core/baseline.h"
#include "core/decimal.h"
#include "detectors.h"
#include "keytext.h"

/* Key of a detail: false while it is not known whether the incident is true. */
#define BJ_CONFIRMED "confirmed"

/* Why an incident was closed. */
#define BJ_BECAUSE_USUAL "usual_again"
#define BJ_BECAUSE_ROWS "rows_came"
#define BJ_BECAUSE_DAY "day_passed"
#define BJ_BECAUSE_NO_REPETITION "no_repetition"
#define BJ_BECAUSE_STAYED "stayed"
#define BJ_BECAUSE_ANEW "learned_anew"
#define BJ_BECAUSE_VERDICT "verdict"

typedef struct Anomaly
{
	KeyText		account;
	KeyText		meter;
	int64		anomaly_id;
	TimestampTz occurred_at;
	const char *rule;
	BjFamily	family;
	double		score;
	double		expected;
	double		lower_bound;
	double		upper_bound;
	double		observed;
	double		ratio;			/* 0: unknown */
	double		unit_factor;	/* 0: none */
	int32		lag_hours;		/* 0: none */
	TimestampTz since;
	double		longest;		/* 0: of no use */
	Jsonb	   *detail;			/* NULL: none, or none that is new */
	bool		unconfirmed;	/* it is not known yet whether it is true */
	int64		detector_id;	/* 0: the defaults */
	BjAction	action;
	int64		charge_id;		/* 0: no row opened it */
	TimestampTz period_start;
	char		currency[4];
	Decimal		excess;			/* charges less expected charges */
	Decimal		last_excess;
	TimestampTz last_since;
	bool		has_projected;
	Decimal		projected;
	int64		rows;
	TimestampTz last_at;
	double		peak_score;
	bool		has_minimum;	/* was looked at, and is written */
	DetectMinimum minimum;
	bool		notified;
	TimestampTz notified_at;
	Decimal		money_notified;
	BjOutcome	outcome;
	TimestampTz closes_at;		/* when its day has passed; 0: not by time */
	TimestampTz closed_at;		/* of no use while open, as the next */
	const char *closed_because; /* one of those below */
	BjIncident *trusted;		/* or NULL */

	/* of the store */
	bool		is_new;
	bool		changed;
	HeapTuple	version;		/* as read; NULL when new */
} Anomaly;

typedef struct Anomalies Anomalies;

/* As bj_baselines_open(). */
extern Anomalies *bj_anomalies_open(const char **problem);
extern void bj_anomalies_close(Anomalies *store);

/*
 * The open ones of a stream, as a List of Anomaly in the current context.
 * trusted is NULL where its bytes are none.
 */
extern List *bj_anomalies_open_of(Anomalies *store, KeyText account, KeyText meter);

/* A new one, with a number, all else zero. */
extern Anomaly *bj_anomalies_new(KeyText account, KeyText meter);

/*
 * Writes it if it is new or changed.  One that a person closed meanwhile stays
 * as it is.
 */
extern void bj_anomalies_write(Anomalies *store, Anomaly *anomaly);

/*
 * How many of the account's incidents that happened from..until are notified,
 * and the least money at risk of them.
 */
extern int	bj_anomalies_notified(Anomalies *store, KeyText account,
								  TimestampTz from, TimestampTz until,
								  Decimal *least);

extern const char *bj_family_name(BjFamily family);
extern const char *bj_outcome_name(BjOutcome outcome);

/*
 * What follows.  Each is without effect while its table is missing or of another
 * shape; a hold says so.  No login is asked: it is the library that acts, as for
 * charges.
 */

/* Holds a charge, unless it is held. */
extern void bj_anomalies_hold(const Anomaly *anomaly, int64 charge_id);

/* The open hold of a charge. */
typedef struct ChargeHold
{
	int64		hold_id;		/* with which it ends */
	int64		anomaly_id;		/* 0: a person made it */
	const char *reason;
} ChargeHold;

/* For who looks for holds of many charges, as of now.  NULL: there are none. */
typedef struct HoldLookup HoldLookup;

extern HoldLookup *bj_anomalies_holds_open(void);
extern bool bj_anomalies_held(HoldLookup *lookup, KeyText account, int64 charge_id,
							  ChargeHold *hold);
extern void bj_anomalies_holds_close(HoldLookup *lookup);

/* Holds another charge of the same usage row and measure as part of that hold. */
extern void bj_anomalies_hold_part(KeyText account, int64 charge_id, const ChargeHold *hold);

/*
 * The charge is of this transaction and may be held when it commits: then so is
 * the other one, of this account, which is of the same usage row and measure.
 */
extern void bj_anomalies_hold_both(int64 charge_id, KeyText account, int64 difference_id);

/*
 * Proposes a credit of this amount, or a debit if it is negative; charge_id 0:
 * for no charge of its own.  No cancelling: that is for charges that are held.
 */
extern void bj_anomalies_propose(const Anomaly *anomaly, int64 charge_id, Decimal amount);

extern void bj_anomalies_tell(const Anomaly *anomaly, const char *topic);

#endif							/* BILLADJ_ANOMALIES_H */
