/*
 * cost.c
 *	  Nanoseconds a row: one stream after the other, and many in random order.
 *
 * Of each case the best of several runs is told, since other work on the
 * machine only ever adds to one.  Instructions do not depend on that: valgrind
 * counts them in a run of its own, see part_counted().
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/baseline.h"
#include "parts.h"
#include "world.h"

#define SERIES 20000			/* rows after which a stream begins anew */
#define MANY 200000				/* streams */
#define FEW 1000				/* that do where only instructions count */
#define HISTORY 300				/* rows that each of them has */

/* What a case is fed with. */
static BjDetect detect;
static BjStream stream;
static BjRow *series;
static BjBaseline *states;
static uint16_t *fed;			/* rows since the history, by stream */
static int	streams;
static uint8_t bytes[BJ_BASELINE_MAX_SIZE];
static BjCrc crc;
static int	hours;
static Random source;
static double sum;				/* of scores: keeps the compiler honest */

/* Processor time, in seconds. */
static double
now(void)
{
	return (double) clock() / CLOCKS_PER_SEC;
}

/* A day's shape, some noise, the like of which most rows are. */
static double
usual(Random *r, int64_t at)
{
	double		hour = (double) (at % DAY) / HOUR;

	return 1000.0 + 60.0 * hour * (24.0 - hour) / 14.4 + 50.0 * random_normal(r);
}

/*
 * Rows of one stream, made beforehand so that only the core is timed.  as_they_please:
 * the spacing is a mean, and the stream is judged by the hour.
 */
static void
make_series(int64_t spacing, bool as_they_please)
{
	int64_t		at = EPOCH;

	series = calloc(SERIES, sizeof(BjRow));
	random_seed(&source, 1);
	for (int i = 0; i < SERIES; i++)
	{
		if (i > 0)
			at += as_they_please ? random_below(&source, (int) (2 * spacing)) : spacing;
		series[i].at = at * 1000000;
		series[i].quantity = usual(&source, at);
	}
}

static void
make_hourly(bool counted)
{
	(void) counted;
	make_series(HOUR, false);
}

static void
make_dense(bool counted)
{
	(void) counted;
	make_series(300, false);
}

static void
make_buckets(bool counted)
{
	(void) counted;
	make_series(180, true);
}

static void
feed_series(int rows)
{
	BjJudgement judgement;

	for (int i = 0; i < rows; i++)
	{
		if (i % SERIES == 0)
			bj_stream_init(&stream);
		bj_stream_observe(&stream, &detect, &series[i % SERIES], &judgement);
		sum += judgement.score;
	}
}

static BjRow
usual_row(int hour)
{
	BjRow		row;

	memset(&row, 0, sizeof(row));
	row.at = (EPOCH + HOUR * hour) * 1000000;
	row.quantity = 1000.0 + (double) (random_bits(&source) & 255);
	return row;
}

/* So many streams, all old enough to be judged, that no state is in the cache. */
static void
make_many(bool counted)
{
	BjJudgement judgement;

	streams = counted ? FEW : MANY;
	states = calloc((size_t) streams, sizeof(BjBaseline));
	fed = calloc((size_t) streams, sizeof(uint16_t));
	random_seed(&source, 2);
	bj_stream_init(&stream);
	for (int i = 0; i < HISTORY; i++)
	{
		BjRow		row = usual_row(i);

		bj_stream_observe(&stream, &detect, &row, &judgement);
	}
	for (int i = 0; i < streams; i++)
		states[i] = stream.baseline;
}

static void
feed_many(int rows)
{
	BjJudgement judgement;

	for (int i = 0; i < rows; i++)
	{
		int			k = random_below(&source, streams);
		BjRow		row = usual_row(HISTORY + fed[k]++);

		stream.baseline = states[k];
		bj_stream_observe(&stream, &detect, &row, &judgement);
		states[k] = stream.baseline;
		sum += judgement.score;
	}
}

/* The server's takes a twentieth of the core's, which is left out so. */
static uint32_t
no_crc(const void *data, size_t size)
{
	(void) data;
	return (uint32_t) size;
}

static void
make_coded(bool counted)
{
	(void) counted;
	hours = 0;
	random_seed(&source, 3);
	bj_stream_init(&stream);
	crc = no_crc;
	bj_baseline_encode(&stream.baseline, crc, bytes);
}

static void
make_checked(bool counted)
{
	make_coded(counted);
	crc = NULL;
	bj_baseline_encode(&stream.baseline, crc, bytes);
}

/* With the bytes read and written, as an insert does it for a single row. */
static void
feed_coded(int rows)
{
	BjJudgement judgement;

	for (int i = 0; i < rows; i++)
	{
		BjRow		row = usual_row(hours++);

		if (bj_baseline_decode(bytes, BJ_BASELINE_SIZE, crc, &stream.baseline) != BJ_OK)
		{
			fprintf(stderr, "anomaly: a state did not survive its bytes\n");
			exit(1);
		}
		bj_stream_observe(&stream, &detect, &row, &judgement);
		bj_baseline_encode(&stream.baseline, crc, bytes);
		sum += judgement.score;
	}
}

static const struct
{
	const char *name;
	void		(*make) (bool counted);
	void		(*feed) (int rows);
	int			rows;			/* a run */
	int			runs;
}			cases[] = {
	{"hourly rows, streamed", make_hourly, feed_series, 10 * SERIES, 10},
	{"five-minute rows, streamed", make_dense, feed_series, 10 * SERIES, 10},
	{"rows each three minutes on average, as they please: judged by the hour", make_buckets, feed_series, 20 * SERIES, 10},
	{"200,000 streams in random order, each with 300 rows before; states copied in and out", make_many, feed_many, 500000, 5},
	{"hourly rows, bytes decoded and encoded each time, without the CRC", make_coded, feed_coded, 10 * SERIES, 10},
	{"the same with the CRC of the core; the server has its own", make_checked, feed_coded, SERIES, 5}
};

#define CASES (int) (sizeof(cases) / sizeof(cases[0]))

static void
make(int number, bool counted)
{
	free(series);
	free(states);
	free(fed);
	series = NULL;
	states = NULL;
	fed = NULL;
	detect = bj_detect_defaults();
	cases[number].make(counted);
}

/* What valgrind is told to count: the rows, and nothing that makes them. */
__attribute__((noinline)) void
anomaly_counted(int number)
{
	cases[number].feed(SERIES);
}

void
part_counted(int number)
{
	if (number < 0 || number >= CASES)
	{
		fprintf(stderr, "anomaly: there are cases 0 to %d\n", CASES - 1);
		exit(2);
	}
	make(number, true);
	anomaly_counted(number);
	printf("%d\n", SERIES);
}

/* instructions: a row, by case; NULL for those that were not counted. */
void
part_cost(int count, char **instructions)
{
	printf("\n## What a row costs\n\n");
	printf("A stream's baseline is %d bytes.  Nanoseconds are the best of several runs; instructions are "
		   "valgrind's, of %d rows from the first on.\n\n", (int) BJ_BASELINE_SIZE, SERIES);
	printf("| case | ns a row | instructions a row |\n|---|---|---|\n");
	for (int i = 0; i < CASES; i++)
	{
		double		best = 1e9;

		make(i, false);
		for (int run = 0; run < cases[i].runs; run++)
		{
			double		begun = now();
			double		took;

			cases[i].feed(cases[i].rows);
			took = now() - begun;
			best = took < best ? took : best;
		}
		printf("| %s | %.0f | %s |\n", cases[i].name,
			   sum < 0.0 ? 0.0 : best * 1e9 / cases[i].rows,
			   i < count ? instructions[i] : "not counted");
	}
}
