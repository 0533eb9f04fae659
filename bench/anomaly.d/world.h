/*
 * world.h
 *	  Invented accounts, their usage over months, and the faults planted in it.
 *
 * Everything follows from one seed: the same seed gives the same bytes.  First
 * the world is planned (accounts, streams, which fault falls where), then each
 * stream is written on its own, so that no more than one is in memory.
 */
#ifndef ANOMALY_WORLD_H
#define ANOMALY_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#define HOUR INT64_C(3600)
#define DAY (24 * HOUR)
#define EPOCH INT64_C(1736121600)	/* Monday, 6 January 2025, 00:00 UTC */

/* What is metered. */
typedef enum Kind
{
	REQUESTS,					/* hourly counts, over-dispersed */
	MACHINE,					/* machine hours */
	STORAGE,					/* a stock that drifts */
	EGRESS,						/* heavy-tailed transfer volumes */
	SPARSE,						/* mostly zero */
	DAILY,						/* one batch a day */
	SEATS,						/* one whole number a day */
	ENERGY,						/* half-hourly, weather in it */
	COUNTER,					/* readings of a meter that only rises */
	AMOUNTS,					/* single sales with a unit price */
	JOBS,						/* irregular jobs */
	KINDS
} Kind;

typedef enum Class
{
	UNIT,						/* counted in another unit */
	PRICE,						/* wrong unit price */
	DOUBLE,						/* everything counted twice */
	DROPPED,					/* rows missing */
	ZEROS,						/* zeros reported */
	STUCK,						/* the same value again and again */
	RESET,						/* a counter starts anew, unplanned */
	DUPLICATE,					/* rows sent twice, exactly or shifted */
	LATE,						/* rows that come long after their time */
	NEGATIVE,
	ZONE,						/* the day some hours off */
	BURST,						/* abuse: hours of heavy use */
	LEAK,						/* a few per cent a day */
	FIRST,						/* an absurd value among a key's first rows */
	COORDINATED,				/* a common on/off pattern, small in each */
	COPIED,						/* the same rows on several accounts */
	CLASSES
} Class;

/* Surprises that are no fault; an alert on them is false all the same. */
typedef enum Benign
{
	NO_BENIGN,
	STEP, CAMPAIGN, HOLIDAY, MONTH_END, LEAVING, PRICE_CHANGE, SUMMER_TIME,
	PLANNED_RESET, YOUNG,
	BENIGNS
} Benign;

typedef struct Fault
{
	int			stream;
	Class		class;
	int			occurrence;		/* 0: the first of its kind in the stream */
	int			group;			/* of accounts, or -1 */
	int64_t		begin;			/* seconds since 1970 */
	int64_t		end;
	double		magnitude;
	uint64_t	pattern;		/* hours that are on */
	/* written with the stream: rows in order of arrival; -1: none */
	int			first_row;
	int			last_row;
	int			last_match;		/* an alert up to here is the fault's */
	int64_t		first_at;		/* clock when the first faulty row arrived */
	int64_t		missing_at;		/* when the first row that was left out was
								 * due; 0: none was */
	int64_t		last_at;
} Fault;

typedef struct Stream
{
	int			account;
	Kind		kind;
	int64_t		begin;
	int64_t		end;
	double		scale;
	double		noise;			/* standard deviation of the logarithm */
	double		memory;			/* of the noise, 0: none */
	double		rate;			/* rows an hour of irregular streams */
	double		price;
	int64_t		price_change;	/* 0: none */
	double		price_factor;
	bool		monthly_reset;
	int64_t		step;			/* a new level from here on, 0: none */
	double		step_factor;
	uint64_t	seed;
	int			faults[8];
	int			fault_count;
} Stream;

typedef struct Account
{
	int			segment;
	double		scale;
	int			zone;			/* hours from UTC */
	bool		summer_time;
	double		night;			/* share of the day's use, 1: no night */
	double		weekend;
	double		growth;			/* a month */
	double		month_end;
	int64_t		campaign,
				campaign_end;
	double		campaign_factor;
	int64_t		leaving;		/* 0: stays */
	int			region;			/* whose holidays; 0: none */
} Account;

typedef struct World
{
	uint64_t	seed;
	int			days;
	Account    *accounts;
	int			account_count;
	Stream	   *streams;
	int			stream_count;
	Fault	   *faults;
	int			fault_count;
	int			group_count;
} World;

typedef struct Row
{
	int64_t		at;				/* seconds since 1970 */
	double		quantity;		/* of a counter: the reading */
	double		amount;			/* 0: not priced */
	int			fault;			/* index in World, -1: none */
} Row;

typedef struct Rows
{
	Row		   *rows;			/* in order of arrival */
	int			count;
	int			room;
} Rows;

extern const char *const kind_names[KINDS];
extern const char *const class_names[CLASSES];
extern const char *const benign_names[BENIGNS];

extern void world_plan(World *world, uint64_t seed, int accounts, int days);
extern void world_free(World *world);

/* What a stream of scale 1 uses in the hour at this time; hours_off: a zone shift. */
extern double world_level(const World *world, const Stream *stream, int64_t at,
						  double hours_off);

/* Writes the stream's rows, and where its faults lie into the world. */
extern void world_write(World *world, int stream, Rows *rows);

/* Seconds between rows; 0 when irregular. */
extern int64_t stream_spacing(const Stream *stream);

/* Seconds of the sums that irregular streams are judged by; else 0. */
extern int64_t stream_bucket(const Stream *stream);

/* The first day of a month, UTC. */
extern bool world_is_first_of_month(int64_t at);

/* What surprise, if any, befell the stream here. */
extern Benign world_benign(const World *world, int stream, int64_t at);

/* Random numbers: xoshiro256**. */
typedef struct Random
{
	uint64_t	s[4];
} Random;

extern void random_seed(Random *r, uint64_t seed);
extern uint64_t random_bits(Random *r);
extern double random_unit(Random *r);	/* [0, 1) */
extern double random_between(Random *r, double lo, double hi);
extern double random_log(Random *r, double lo, double hi);
extern int	random_below(Random *r, int n);
extern double random_normal(Random *r);

#endif							/* ANOMALY_WORLD_H */
