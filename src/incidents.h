/*
 * incidents.h
 *	  From judgements to incidents: what is opened, raised and closed, what money
 *	  is at risk, and what is done about it.
 */
#ifndef BILLADJ_INCIDENTS_H
#define BILLADJ_INCIDENTS_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "nodes/pg_list.h"

#include "anomalies.h"
#include "charges.h"
#include "core/baseline.h"
#include "core/price.h"

/* From the server's epoch, 2000, to the core's, 1970. */
#define BJ_EPOCH_SHIFT \
	((POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY)

/* A price as of this transaction: the catalogue's own may be dropped. */
typedef struct DetectPrice
{
	struct DetectPrice *next;
	int64		price_id;
	bool		linear;
	Decimal		unit;
	Price		price;
} DetectPrice;

/* A usage row that was charged. */
typedef struct DetectRow
{
	struct DetectStream *stream;
	KeyText		event_key;
	TimestampTz occurred_at;
	TimestampTz period_start;
	int64		charge_id;
	const DetectPrice *price;
	bool		has_before;
	Decimal		quantity;
	Decimal		before;			/* quantity of the period before it */
} DetectRow;

/* A row that seems to repeat another one; duplicates.h finds out. */
typedef struct Repeat
{
	const DetectRow *row;
	BjJudgement judgement;
	TimestampTz closes_at;		/* when its day has passed */
	bool		first;			/* of its day: the others go with it */
} Repeat;

typedef struct Duplicates Duplicates;

/* One stream while its rows are judged. */
typedef struct Incidents
{
	KeyText		account;
	KeyText		meter;
	BjStream	stream;
	BjDetect	detect;
	Anomalies  *store;			/* NULL: nothing can be kept */
	TimestampTz clock;			/* time of the stream's newest row */
	bool		loaded;			/* the open ones are in anomalies */
	List	   *anomalies;		/* of Anomaly */
	Anomaly    *level;			/* the open level incident, or NULL */
	List	   *effects;		/* what is to be done when all is written */
	List	   *repeats;		/* of Repeat: not looked up yet */
	Duplicates *duplicates;		/* takes them over at the end */
} Incidents;

/* Reads what is open, if the baseline says that there is an incident. */
extern void bj_incidents_begin(Incidents *incidents);

/* Judges a row, learns it, and keeps the incidents. */
extern void bj_incidents_row(Incidents *incidents, const DetectRow *row);

/*
 * Notes and tells what was found beside other accounts; has_money: what is at
 * risk can be said.  False if its detector wants nothing of it.
 */
extern bool bj_incidents_found(Incidents *incidents, Anomaly *anomaly, bool has_money);

/*
 * Opens the incident of rows that repeat others, or adds them to it.  twin: of
 * the first of them; while that is not known, the incident is not told of.
 */
extern void bj_incidents_repeated(Incidents *incidents, List *repeats,
								  const ChargedTwin *twin);

/*
 * It is known now whether an incident's first row repeats another one: twin, or
 * NULL.  False if the incident does not wait for that.
 */
extern bool bj_incidents_confirmed(Incidents *incidents, int64 anomaly_id,
								   Jsonb *twin);

/*
 * What is to be said at `now` without a row: j is what bj_stream_due() said, or
 * NULL.  row has no charge: its time is when it was due, its price what a unit
 * has cost of late.  False if there is nothing new: then do not end.
 */
extern bool bj_incidents_silent(Incidents *incidents, const DetectRow *row,
								TimestampTz now, const BjJudgement *j);

/*
 * Closes what is open of single rows and whose day has passed at `now`, as the
 * first row of another day does; whether there was any.
 */
extern bool bj_incidents_days(Incidents *incidents, TimestampTz now);

/* A person's word on an open incident; false if it is not open. */
extern bool bj_incidents_judged(Incidents *incidents, int64 anomaly_id, BjVerdict verdict);

/* The baseline is about to be replaced. */
extern void bj_incidents_forget(Incidents *incidents);

/* Writes them and does what follows.  The stream's baseline is written. */
extern void bj_incidents_end(Incidents *incidents);

/* The row as the core sees it. */
extern BjRow bj_incidents_core_row(const DetectRow *row);

/* Its amount, exactly; false if it cannot be held. */
extern bool bj_incidents_amount(const DetectRow *row, Decimal *amount);

#endif							/* BILLADJ_INCIDENTS_H */
