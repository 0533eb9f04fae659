/*
 * baseline.h
 *	  What is usual for one stream of usage, and how unusual a row is.
 *
 * A stream is what one account uses of one meter, in time order.  A row is
 * judged against the rows before it, then learned, in constant time and
 * space; no clock is read and no table touched.  What comes out is a score in
 * [0, 1], the reason, and the range that was expected.
 *
 * bj_stream_observe() is the one way in: the window function, the insert path
 * and the bench call it, so that equal rows have equal scores and leave equal
 * bytes everywhere.  The numbers are doubles and never money: nothing here
 * flows back into an amount.
 *
 * Times are microseconds since 1970-01-01 00:00 UTC.
 */
#ifndef BILLADJ_CORE_BASELINE_H
#define BILLADJ_CORE_BASELINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/status.h"

/* Bytes of an encoded baseline, and of an open incident beside it. */
#define BJ_BASELINE_MAX_SIZE 1536
#define BJ_INCIDENT_MAX_SIZE (BJ_BASELINE_MAX_SIZE + 128)

/* Why a row is unusual.  The names are in bj_reason_name(). */
typedef enum BjReason
{
	BJ_REASON_NONE = 0,
	/* level: the value, the sum of a bucket, or a stretch of them */
	BJ_REASON_SPIKE,
	BJ_REASON_DROP,
	BJ_REASON_SHIFT_UP,			/* above its usual level for a while */
	BJ_REASON_SHIFT_DOWN,
	BJ_REASON_OUTAGE,			/* zeros where there are none */
	BJ_REASON_UNIT,				/* a known factor: see unit */
	BJ_REASON_DOUBLE,			/* counted twice */
	BJ_REASON_LEAK,				/* slow growth without an end */
	BJ_REASON_PATTERN,			/* the shape of the day no longer fits */
	BJ_REASON_ZONE,				/* the usual day, some hours off: see lag */
	BJ_REASON_STUCK,			/* the same value again and again */
	BJ_REASON_FIRST_ROW,		/* first rows, absurd beside comparable accounts */
	/* cadence */
	BJ_REASON_GAP,
	/* price */
	BJ_REASON_PRICE,			/* amount per unit is not what it was */
	/* rules for single rows */
	BJ_REASON_DUPLICATE,
	BJ_REASON_NEAR_DUPLICATE,
	BJ_REASON_LATE,
	BJ_REASON_FUTURE,
	BJ_REASON_TOO_OLD,
	BJ_REASON_NEGATIVE,
	BJ_REASON_INVALID,
	BJ_REASON_RESET,			/* a cumulative value fell, unplanned */
	BJ_REASON_WRAP,				/* a counter passed its largest value */
	BJ_REASON_COUNT
} BjReason;

/* At most one incident is open in a stream and family. */
typedef enum BjFamily
{
	BJ_FAMILY_LEVEL = 0,
	BJ_FAMILY_CADENCE,
	BJ_FAMILY_PRICE,
	BJ_FAMILY_ROW,				/* an incident per rule and day */
	BJ_FAMILY_ACCOUNT			/* seen beside other streams or accounts only;
								 * no stream gives it */
} BjFamily;

/* How a level incident ended. */
typedef enum BjOutcome
{
	BJ_OUTCOME_OPEN = 0,
	BJ_OUTCOME_PASSED,			/* back to what was usual; nothing learned */
	BJ_OUTCOME_NEW_NORMAL,		/* it stayed; it is what is usual now */
	BJ_OUTCOME_JUDGED			/* by a person */
} BjOutcome;

/* What a person said of an incident. */
typedef enum BjVerdict
{
	BJ_VERDICT_EXPECTED,
	BJ_VERDICT_ERROR,
	BJ_VERDICT_FRAUD,
	BJ_VERDICT_UNSURE
} BjVerdict;

/* How the values of one bucket are put together. */
typedef enum BjBucketing
{
	BJ_BUCKET_SUM = 0,
	BJ_BUCKET_LAST,				/* stock-like meters: the last reading */
	BJ_BUCKET_MAX
} BjBucketing;

/*
 * What comparable accounts do: bj_peer_add() over their baselines, and one
 * bj_peer_finish().  accounts = 0: nothing is known.
 */
typedef struct BjPeer
{
	int32_t		accounts;
	double		level;			/* mean of log2 of the usual value */
	double		spread;			/* standard deviation of it */
	double		largest;		/* log2 of the value that 99.9 % of their rows
								 * stay below */
	double		zero_share;		/* of rows, 0..1 */
	double		day_shape[24];	/* usual value of the hour, 1 = the average */
	double		row_level;		/* mean of the means of log2 of a row > 0 */
	double		row_spread;		/* standard deviation of it */
	double		row_noise;		/* usual one of a row from its account's mean */
	double		sums[9];		/* of bj_peer_add(), until finished */
} BjPeer;

/* How to detect.  bj_detect_defaults() is what ships. */
typedef struct BjDetect
{
	double		threshold;		/* score at which an incident opens */
	double		materiality;	/* a change below this share of the usual
								 * value is no matter; 0.1 */
	double		new_normal_days;	/* an incident of this age is the new
									 * normal; 14 */
	double		passed_hours;	/* normal for so long: passed; 24 */
	double		onset_hours;	/* a score is capped so long after a high one;
								 * 16 */
	double		price_tolerance;	/* share; 0.02 */
	double		price_step;		/* amounts are multiples of it: 0.01 */
	bool		cumulative;		/* x is a meter reading; its rise is usage */
	BjBucketing bucketing;		/* of streams with many rows a bucket */
	bool		learn_only;		/* warm-up: no incident opens */
	bool		rules;			/* judge single rows too: duplicates, late,
								 * negative */
	bool		describe;		/* say what was expected of every row; else
								 * expected, lo, hi and ratio are 0 where
								 * nothing may alert */
	bool		use_bounds;		/* earliest and latest hold */
	int64_t		earliest;		/* a row before it is too old */
	int64_t		latest;			/* a row after it is in the future */
	int32_t		reset_day;		/* of the month; 0: learned */
	const BjPeer *peer;			/* NULL: none */
} BjDetect;

/* A row, as the stream sees it. */
typedef struct BjRow
{
	int64_t		at;				/* microseconds */
	double		quantity;		/* the exact quantity, made a double once */
	uint32_t	dimensions;		/* hash of what else identifies it, or 0 */
	bool		has_price;
	double		unit_price;		/* amount / quantity, when has_price */
} BjRow;

/* The answer to one row. */
typedef struct BjJudgement
{
	double		score;			/* 0..1; >= 0.5 may alert at all */
	double		decades;		/* the score before it was squeezed to 0..1: 3
								 * happens once in 1,000 usual rows */
	BjReason	reason;			/* of the score; NONE below 0.5 */
	BjFamily	family;
	double		observed;		/* the row's value, or its bucket's sum */
	double		expected;
	double		lo;				/* 99 of 100 usual ones are within lo..hi */
	double		hi;
	double		ratio;			/* observed / expected; 0 when unknown */
	double		unit;			/* factor of the unit error, or 0 */
	int32_t		lag_hours;		/* of a zone shift, or 0 */
	int64_t		since;			/* when what is judged began: the bucket, the
								 * run, the gap */
	double		longest;		/* stuck: the longest run before, in rows;
								 * gap: the usual spacing in seconds */

	int32_t		channel;		/* the view that showed it; for explanations */

	/*
	 * rules for single rows: a bit (1 << reason) for each that spoke; of the
	 * duplicates of a day only the first has a score
	 */
	uint32_t	rules;

	/* of the level incident */
	bool		opened;			/* by this row: this is an alert */
	bool		escalated;		/* by this row: alert again, same incident */
	bool		abnormal;		/* the row belongs to the open incident */
	BjOutcome	closed;			/* by this row; OPEN: none was closed */
	bool		gap_closed;		/* this row is the first after a gap */
	bool		price_opened;
	bool		price_closed;
	double		price_expected; /* usual unit price, or 0 */

	/* of a young stream: expected, lo and hi are by comparable accounts too */
	bool		by_peers;
	int32_t		own_rows;		/* of it that they are by */
} BjJudgement;

/*
 * One stream's baseline.  Fixed-width fields in the order and with the widths
 * of the encoded bytes; copy it to undo.  What it holds is the business of the
 * baseline*.c files.
 */
#include "core/baseline_layout.h"

/*
 * The level incident of a stream, while one is open: what was usual before it
 * began, which learns nothing of it.
 */
typedef struct BjIncident
{
	bool		open;
	BjReason	reason;			/* of the peak */
	int64_t		opened_at;
	int64_t		last_abnormal_at;
	double		peak;			/* decades */
	double		notified;		/* decades of the last alert */
	double		peak_observed;
	double		peak_expected;
	int32_t		rows;			/* abnormal ones */
	int32_t		channel;		/* of the peak */
	double		peak_magnitude; /* there */
	double		excess;			/* sum of observed - expected */
	double		log_ratio_sum;	/* for the unit factor */
	double		log_ratio_squares;
	int32_t		log_ratios;
	BjBaseline	trusted;
} BjIncident;

typedef struct BjStream
{
	BjBaseline	baseline;
	BjIncident	incident;
} BjStream;

extern BjDetect bj_detect_defaults(void);

extern void bj_stream_init(BjStream *stream);

/*
 * Judges a row, then learns it.  Rows come in the order (at, event key); one
 * that is older than the newest is late: judged by the rules, not learned.
 * quantity may be anything, also NaN and infinite: then BJ_REASON_INVALID, and
 * nothing is learned.  Never fails.  *judgement is written whole.
 */
extern void bj_stream_observe(BjStream *stream, const BjDetect *detect,
							  const BjRow *row, BjJudgement *judgement);

/*
 * Learns a row that only adds to the open bucket, and of which there is nothing
 * to be said, as bj_stream_observe() does.  False, and nothing is changed, if
 * that is not so.  Of *baseline only the head is read and written, see
 * baseline_layout.h: a caller need not have more.
 */
extern bool bj_stream_absorb(BjBaseline *baseline, const BjDetect *detect,
							 const BjRow *row);

/*
 * What would be said of silence at `now`, without a row: a bucket that ended
 * and a gap that is due.  Changes nothing.  True when there is something to
 * tell: an incident opens, escalates, or the gap is one; *judgement is written
 * whole.  The next row says the same again: it is the same incident.
 */
extern bool bj_stream_due(const BjStream *stream, const BjDetect *detect,
						  int64_t now, BjJudgement *judgement);

/* When the next row, at the latest, is due; INT64_MAX: nobody knows. */
extern int64_t bj_stream_due_at(const BjStream *stream);

/*
 * A person's word on the open incident, or on one that is closed.  ERROR and
 * FRAUD: what was usual before it holds again.  EXPECTED: what was learned
 * stays, and the like of it is less of a surprise.  UNSURE: nothing.
 */
extern void bj_stream_judge(BjStream *stream, BjVerdict verdict);

/*
 * The stream's baseline as bytes, BJ_BASELINE_SIZE of them (<= 1,536), and back.
 * Same rows, same bytes, on every machine.  Decoding judges everything:
 * BJ_BAD_STATE for bytes that bj_baseline_encode() cannot have written or
 * another version did; *baseline is then left alone.
 * crc: CRC-32C of some bytes; NULL: the core's own, slower one.
 */
typedef uint32_t (*BjCrc) (const void *data, size_t size);

extern void bj_baseline_encode(const BjBaseline *baseline, BjCrc crc,
							   uint8_t *bytes);
extern BjStatus bj_baseline_decode(const uint8_t *bytes, size_t size, BjCrc crc,
								   BjBaseline *baseline);

/*
 * The head of a baseline alone, BJ_BUCKET_SIZE bytes; of *baseline no more is
 * read or written.
 */
extern void bj_bucket_encode(const BjBaseline *baseline, BjCrc crc,
							 uint8_t *bytes);
extern BjStatus bj_bucket_decode(const uint8_t *bytes, size_t size, BjCrc crc,
								 BjBaseline *baseline);

/* Is the stream judged by buckets, so that rows can be absorbed? */
extern bool bj_baseline_has_bucket(const BjBaseline *baseline);

/*
 * Is this head one of that baseline, as it is or as it went on?  One that is
 * older, or of a stream that was begun anew since, is not.
 */
extern bool bj_bucket_follows(const BjBaseline *head, const BjBaseline *baseline);

/* The open incident likewise, BJ_INCIDENT_SIZE bytes. */
extern void bj_incident_encode(const BjIncident *incident, BjCrc crc,
							   uint8_t *bytes);
extern BjStatus bj_incident_decode(const uint8_t *bytes, size_t size, BjCrc crc,
								   BjIncident *incident);
extern uint32_t bj_crc32c(const void *data, size_t size);

/*
 * What the open incident saw at its peak, and what was expected then, in the unit
 * of the rows: of one that a row opened of which a rule for single rows had more
 * to say.
 */
extern void bj_incident_peak(const BjStream *stream, double *observed,
							 double *expected);

/* Must an incident be read before the next row of this stream? */
extern bool bj_baseline_has_incident(const BjBaseline *baseline);

/*
 * A mark for who keeps incidents of single rows, which the core does not know:
 * one may be open.  No row changes it.
 */
extern bool bj_baseline_has_row_rule(const BjBaseline *baseline);
extern void bj_baseline_mark_row_rule(BjBaseline *baseline, bool open);

/* Time of the newest row, of use when there are rows. */
extern int64_t bj_baseline_newest(const BjBaseline *baseline);

/* Rows seen, and whether they are enough to be compared with. */
extern int64_t bj_baseline_rows(const BjBaseline *baseline);
extern bool bj_baseline_is_mature(const BjBaseline *baseline);

/* The usual value of a row or bucket at this time. */
extern double bj_baseline_expected(const BjBaseline *baseline, int64_t at);

/*
 * Signs of the last 64 residuals, newest in bit 0, and the end of the newest;
 * how alike two such patterns are over a window: how many of the signs differ.
 */
extern uint64_t bj_baseline_signs(const BjBaseline *baseline, int64_t *newest);
extern int32_t bj_signs_distance(uint64_t a, uint64_t b, int32_t window);

/* Peer groups: zero one, add mature baselines, finish. */
extern void bj_peer_add(BjPeer *peer, const BjBaseline *baseline);
extern void bj_peer_finish(BjPeer *peer);

/* "spike", "unit_factor" and so on; never NULL. */
extern const char *bj_reason_name(BjReason reason);

/* decades <-> score */
extern double bj_score_of_decades(double decades);
extern double bj_decades_of_score(double score);

#endif							/* BILLADJ_CORE_BASELINE_H */
