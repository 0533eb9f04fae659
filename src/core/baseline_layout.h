/*
 * baseline_layout.h
 *	  The fields of a baseline: the same in memory and in bytes.
 *
 * Every field has a fixed width and its natural alignment, and there is no
 * padding, so that the bytes are the struct's, little-endian and in another
 * order: decoding is a copy and a judgement.  Included by baseline.h only.
 *
 * What changes with each row stands first, the head; what changes only with an
 * observation, which of a dense stream is a whole bucket, behind it.  Between
 * observations the head is stored by itself.
 *
 * Values are kept times 2^-exponent, which is chosen at the first value that
 * is not zero; so floats do for streams of bytes and of fractions.
 */
#ifndef BILLADJ_CORE_BASELINE_LAYOUT_H
#define BILLADJ_CORE_BASELINE_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

#define BJ_CHANNELS 15
#define BJ_BINS 20
#define BJ_FINGERPRINTS 64

/*
 * One channel's histogram of magnitudes, three bins an octave, the last bin
 * the one of the largest magnitude: only the tail is looked at.
 */
typedef struct BjTail
{
	float		largest;		/* log2 of the largest, decaying */
	int16_t		top;			/* number of the last bin */
	uint16_t	beyond;			/* what is going on now is so far beyond the
								 * largest, in 1/1024 octave; 0: nothing is */
	uint8_t		bins[BJ_BINS];	/* 4 an observation */
} BjTail;

typedef struct BjBaseline
{
	/* the head: changes with each row */
	int64_t		first_at;		/* microseconds; valid when rows > 0 */
	int64_t		last_at;		/* the newest */
	int64_t		bucket_at;		/* begin of the open bucket */
	double		bucket_sum;
	double		last_value;		/* of the row; cumulative: the reading */
	uint32_t	rows;
	uint32_t	bucket_rows;
	uint32_t	negatives;
	uint32_t	flags;
	float		spacing;		/* log2 seconds, median of distinct times */
	float		regular;		/* share of spacings near the median */
	float		pace;			/* mean seconds between rows */
	float		price;			/* log2 of the usual unit price */
	float		today_turn[2];	/* sum of the rows' directions on a clock of
								 * 24 hours */
	float		limit;			/* of bucket_sum: up to it there is nothing to
								 * be said before the bucket ends */
	float		size_mean;		/* log2 of values above zero; of rows, where
								 * observations are sums of them */
	float		rise;			/* cusum of the log ratio, row by row; where
								 * sizes tell more, of those, in decades */
	float		fall;
	float		sizes;			/* as rise, but of sizes alone, however many; on
								 * sparse streams.  Of others judged row by
								 * row, decades for counting twice */
	uint16_t	late_day;		/* day after first_at of the last late alert */
	uint16_t	duplicate_day;
	uint16_t	duplicates;
	uint16_t	gaps;			/* told of, on a regular stream */
	int16_t		exponent;
	uint16_t	size_scale;		/* of log2 of a value above zero, in 1/2048
								 * octave */
	uint16_t	fingerprints[BJ_FINGERPRINTS];
	uint8_t		prints[BJ_FINGERPRINTS];	/* of quantities, as above */
	uint8_t		fingerprint_at; /* next to be overwritten */
	uint8_t		price_rows;		/* counts of what is young end at 255 */
	uint8_t		price_run;		/* rows off the usual price */
	uint8_t		spacings;		/* seen */
	uint8_t		mode_votes;		/* rows that spoke for another mode */
	uint8_t		repeat_lag;		/* rows back that the last ones repeat */
	uint8_t		repeat_run;		/* how many of them */
	uint8_t		reset_day;		/* of the month, of the last reset */

	/* the rest: changes with each observation */
	int64_t		observed_at;	/* begin of the last observation */
	int64_t		alert_at;		/* of the last high score */
	int64_t		incident_at;	/* begin of the last incident that closed */
	uint64_t	signs;
	double		run_value;		/* of the last observation */
	uint32_t	run;			/* observations equal to it in a row */
	uint32_t	observations;
	float		alert_decades;
	float		fast;
	float		slow;
	float		scale;			/* of the residual */
	float		slow_scale;
	float		log_scale;		/* of the log ratio */
	float		errors[5];		/* of the forecasts fast, slow, day, week,
								 * trend */
	float		trend;			/* log2 of the level over the season's */
	float		short_residual;
	float		seasonal_residual;
	float		smooth_ratio;
	float		pattern;
	float		day_sum;
	float		day_expected;
	float		today;			/* sum of the day so far */
	float		today_expected;
	float		today_logs;		/* sum of the log ratios of what is not zero */
	float		daily_bias;		/* of a day's log ratio */
	float		daily_scale;
	float		cusum[2];		/* of that, up and down */
	int32_t		day_number;		/* since the epoch */
	uint16_t	days;			/* compared */
	uint16_t	today_count;	/* log ratios in the sum */
	uint8_t		hour_count;		/* values in hours[], up to 24 */
	int8_t		zone_lag;		/* hours */
	uint8_t		drift_days;		/* days in a row that added to a cusum */
	uint8_t		filler;
	float		repeats;		/* share of values equal to the one before */
	float		zone_evidence;
	float		zone_usual;		/* what a day yields of it */
	union
	{
		float		usual_turn[2];	/* mean direction of a row, where
									 * observations are sums */
		float		twice[2];	/* else what stands behind sizes: the sum of
								 * log ratios, and how many */
	};
	float		largest;		/* log2 of the largest value */
	float		today_rows;
	float		zeros;			/* share of observations */
	float		abs_level;		/* mean size of what is not zero */
	uint16_t	runs_ended;
	uint16_t	nonzero;
	int16_t		hours[24];		/* last 24 hourly values, as slots */
	int16_t		day[48];		/* half hours of the day, as slots */
	int16_t		week[168];		/* hours of the week, as slots */
	uint8_t		visits[108];	/* 4 bits a slot, day first */
	BjTail		tails[BJ_CHANNELS];
} BjBaseline;

/* magic 2, version 1, zero 1, size 2, zero 6; behind the fields CRC-32C 4 */
#define BJ_STATE_HEADER 12
#define BJ_HEAD_SIZE ((int32_t) offsetof(BjBaseline, observed_at))
#define BJ_BUCKET_SIZE (12 + BJ_HEAD_SIZE)
#define BJ_BASELINE_SIZE (BJ_STATE_HEADER + (int32_t) sizeof(BjBaseline) + 4)
#define BJ_INCIDENT_SIZE (BJ_STATE_HEADER + 112 + (int32_t) sizeof(BjBaseline) + 4)

#endif							/* BILLADJ_CORE_BASELINE_LAYOUT_H */
