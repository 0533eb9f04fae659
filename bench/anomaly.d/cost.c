/*
 * cost.c
 *	  Nanoseconds a row: one stream after the other, and many in random order.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/baseline.h"
#include "parts.h"
#include "world.h"

#define STREAMED_ROWS 2000000
#define MANY 200000
#define MANY_ROWS 2000000

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
static double
streamed(int64_t spacing, bool as_they_please)
{
	BjDetect	detect = bj_detect_defaults();
	BjJudgement judgement;
	BjRow	   *rows = calloc(STREAMED_ROWS, sizeof(BjRow));
	static BjStream stream;
	Random		r;
	double		begun;
	double		took;
	double		sum = 0.0;
	int64_t		at = EPOCH;

	random_seed(&r, 1);
	for (int i = 0; i < STREAMED_ROWS; i++)
	{
		if (i % 20000 == 0)
			at = EPOCH;
		else
			at += as_they_please ? random_below(&r, (int) (2 * spacing)) : spacing;
		rows[i].at = at * 1000000;
		rows[i].quantity = usual(&r, at);
	}
	begun = now();
	for (int i = 0; i < STREAMED_ROWS; i++)
	{
		if (i % 20000 == 0)
			bj_stream_init(&stream);
		bj_stream_observe(&stream, &detect, &rows[i], &judgement);
		sum += judgement.score;
	}
	took = now() - begun;
	free(rows);
	/* the sum keeps the compiler honest */
	return sum < 0.0 ? 0.0 : took * 1e9 / STREAMED_ROWS;
}

/* The same with so many streams that no state is in the cache. */
static double
scattered(void)
{
	BjDetect	detect = bj_detect_defaults();
	BjJudgement judgement;
	BjBaseline *states = calloc(MANY, sizeof(BjBaseline));
	uint8_t    *rows = calloc(MANY, 1);
	static BjStream stream;
	Random		r;
	double		took = 0.0;
	double		begun;
	int			n = MANY_ROWS;

	random_seed(&r, 2);
	bj_stream_init(&stream);
	for (int i = 0; i < MANY; i++)
		states[i] = stream.baseline;
	begun = now();
	for (int i = 0; i < n; i++)
	{
		int			k = random_below(&r, MANY);
		BjRow		row;

		memset(&row, 0, sizeof(row));
		row.at = (EPOCH + HOUR * ++rows[k]) * 1000000;
		row.quantity = 1000.0 + (double) (random_bits(&r) & 255);
		stream.baseline = states[k];
		bj_stream_observe(&stream, &detect, &row, &judgement);
		states[k] = stream.baseline;
	}
	took = now() - begun;
	free(states);
	free(rows);
	return took * 1e9 / n;
}

/* The server's takes a twentieth of the core's, which is left out so. */
static uint32_t
no_crc(const void *data, size_t size)
{
	(void) data;
	return (uint32_t) size;
}

/* With the bytes read and written, as an insert does it for a single row. */
static double
coded(BjCrc crc)
{
	BjDetect	detect = bj_detect_defaults();
	BjJudgement judgement;
	static BjStream stream;
	static uint8_t bytes[BJ_BASELINE_MAX_SIZE];
	Random		r;
	double		begun;
	int			n = 200000;

	random_seed(&r, 3);
	bj_stream_init(&stream);
	bj_baseline_encode(&stream.baseline, crc, bytes);
	begun = now();
	for (int i = 0; i < n; i++)
	{
		BjRow		row;

		memset(&row, 0, sizeof(row));
		row.at = (EPOCH + HOUR * i) * 1000000;
		row.quantity = 1000.0 + (double) (random_bits(&r) & 255);
		if (bj_baseline_decode(bytes, BJ_BASELINE_SIZE, crc, &stream.baseline) != BJ_OK)
		{
			fprintf(stderr, "anomaly: a state did not survive its bytes\n");
			exit(1);
		}
		bj_stream_observe(&stream, &detect, &row, &judgement);
		bj_baseline_encode(&stream.baseline, crc, bytes);
	}
	return (now() - begun) * 1e9 / n;
}

void
part_cost(void)
{
	printf("\n## What a row costs\n\n");
	printf("A stream's baseline is %d bytes.\n\n", (int) BJ_BASELINE_SIZE);
	printf("| case | ns a row |\n|---|---|\n");
	printf("| hourly rows, streamed | %.0f |\n", streamed(HOUR, false));
	printf("| five-minute rows, streamed | %.0f |\n", streamed(300, false));
	printf("| rows each three minutes on average, as they please: judged by the hour | %.0f |\n", streamed(180, true));
	printf("| %d streams in random order, states copied in and out | %.0f |\n", MANY, scattered());
	printf("| hourly rows, bytes decoded and encoded each time, without the CRC | %.0f |\n", coded(no_crc));
	printf("| the same with the CRC of the core; the server has its own | %.0f |\n", coded(NULL));
}
