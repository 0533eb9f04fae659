/*
 * baseline_days.c
 *	  Days as a whole: what is too little to see in an hour adds up.
 *
 * At the end of a day its sum is compared with the sum that the hours of the
 * week make one expect, and its shape with the usual shape at other hours.
 */
#include "core/baseline_internal.h"

#define BIAS_RATE 0.05
#define SCALE_RATE 0.05
#define SCALE_FLOOR 0.04		/* octaves */
#define STEP_CLIP 4.0			/* scales */
#define SLACK 1.0				/* scales that a day may be off */
#define CUSUM_MAX 9.0
/* decades of such a sum: two days at the clip are not enough */
#define CUSUM_BASE 0.7
#define CUSUM_WEIGHT 0.52
#define CUSUM_COUNTS 0.7		/* of numbers of rows: their law is known */
#define CUSUM_YOUNG 0.12		/* decades less for each day */
#define CUSUM_GROWN 30			/* that is missing from so many */
#define SUSPECT 2.5				/* sum from which days are learned slower */
#define SUSPECT_RATE 0.4
#define SEASON_DAYS 15			/* then the scale is learned anew */
#define MATERIAL 0.2			/* octaves */
#define LEAST_DAYS 16
#define MOST_ZEROS 0.5
#define ZONE_DAYS 21
#define ZONE_FLOOR 0.05			/* of the level, beside zeros */
#define ZONE_MOST 7.0			/* decades a day */
#define ZONE_USUAL 1.5			/* times what a day usually yields */
#define ZONE_SPREAD 0.04		/* variance of the usual day, octaves */
#define ZONE_WEIGHT 1.0
#define TURN_MEMORY 0.8			/* of a day */
#define TURN_LEAST 0.15			/* of the mean direction: flat days have none */
#define TURN_WEIGHT 0.125		/* 0.217 over the variance of such a sum */
#define ZONE_LEAST 2			/* hours */

static int32_t
day_of(int64_t at)
{
	return (int32_t) (at / BJ_DAY - (at % BJ_DAY < 0));
}

/* The slot of the usual value of an hour of the week. */
static int16_t
hour_slot(const BjBaseline *b, int hour)
{
	int			slot = 48 + hour;

	if (((b->visits[slot / 2] >> (slot % 2 * 4)) & 15) >= 3)
		return b->week[hour];
	return b->day[hour % 24 * 2];
}

#define LAGS 28					/* -12 to 12 hours, and some to make it two pairs */

/* The logarithms of what is in some slots, an even number of them. */
static void
log_slots(const int16_t *slots, int count, double floor, double *logs)
{
	bj_slot_values(slots, count, logs);
	for (int i = 0; i < count; i++)
		logs[i] = clip(logs[i], 0, 1e30) + floor;
	for (int i = 0; i < count; i += 2)
		logs2_of(logs + i, 2);
}

/*
 * How badly the logarithms of the last 24 hours fit the usual ones so many
 * hours off, whatever the level: the sum of squares about the mean difference.
 */
static void
misfits(const double *hours, const double *usual, double *errors)
{
	for (int k = 0; k < LAGS; k += 4)
	{
		Pair		sums[2] = {{0, 0}, {0, 0}};
		Pair		squares[2] = {{0, 0}, {0, 0}};

		for (int i = 0; i < 24; i++)
		{
			Pair		d[2];

			memcpy(d, usual + i + k, sizeof(d));
			d[0] = hours[i] - d[0];
			d[1] = hours[i] - d[1];
			sums[0] += d[0];
			sums[1] += d[1];
			squares[0] += d[0] * d[0];
			squares[1] += d[1] * d[1];
		}
		squares[0] -= sums[0] * sums[0] / 24;
		squares[1] -= sums[1] * sums[1] / 24;
		memcpy(errors + k, squares, sizeof(squares));
	}
}

/* How much the usual day varies, in squared octaves. */
static double
spread_of_day(const BjBaseline *b, double floor)
{
	int16_t		slots[24];
	double		logs[24];
	double		sum = 0;
	double		spread = 0;

	for (int i = 0; i < 24; i++)
		slots[i] = b->day[2 * i];
	log_slots(slots, 24, floor, logs);
	for (int i = 0; i < 24; i++)
	{
		sum += logs[i];
		spread += logs[i] * logs[i];
	}
	return spread / 24 - sum * sum / 576;
}

/*
 * The day that ended against its usual shape, earlier or later: how much more
 * likely another lag is, in decades, with the noise of the hours and what
 * such a comparison usually yields taken off.
 */
static void
judge_zone(const BjBaseline *b, Finding *f)
{
	int16_t		slots[24 + 48];
	double		logs[24 + 24 + LAGS] = {0};
	double		errors[LAGS];
	double		here;
	double		best;
	int			lag = 0;
	double		evidence;
	double		variance;
	double		floor = ZONE_FLOOR * size_of(b->slow) + 1e-9;
	int			begin = slot_of((int64_t) b->day_number * BJ_DAY, BJ_HOUR, 168);

	f->zone_evidence = b->zone_evidence * 0.7f;
	f->zone_lag = b->zone_lag;
	f->zone_day = b->zone_usual;
	if (b->days < ZONE_DAYS || b->hour_count < 24 || b->zeros > 0.1f)
		return;
	memcpy(slots, b->hours, sizeof(b->hours));
	for (int i = 0; i < 48; i++)
		slots[24 + i] = hour_slot(b, (begin + i - 12 + 168) % 168);
	log_slots(slots, 24 + 48, floor, logs);
	misfits(logs, logs + 24, errors);
	here = best = errors[12];
	for (int off = -12; off <= 12; off++)
		if (errors[12 - off] < best)
		{
			best = errors[12 - off];
			lag = off;
		}
	variance = 1.25 * b->log_scale + 0.03;
	variance *= variance;
	if (variance < best / 22)
		variance = best / 22;
	evidence = clip(0.217 * (here - best) / variance, 0, ZONE_MOST);
	f->zone_day = keep(evidence);
	if (size_of(lag) < ZONE_LEAST || spread_of_day(b, floor) < ZONE_SPREAD)
		return;
	evidence -= ZONE_USUAL * b->zone_usual;
	if (evidence < 0)
		return;
	if (size_of(lag - b->zone_lag) <= 1)
		evidence += 0.9 * b->zone_evidence;
	f->zone_evidence = keep(clip(evidence, 0, 30));
	f->zone_lag = lag;
}

/* The hours of a day as directions. */
static const double clock_x[24] = {
	1, 0.96592582628906829, 0.86602540378443865, 0.70710678118654752, 0.5,
	0.25881904510252076, 0, -0.25881904510252076, -0.5, -0.70710678118654752,
	-0.86602540378443865, -0.96592582628906829, -1, -0.96592582628906829,
	-0.86602540378443865, -0.70710678118654752, -0.5, -0.25881904510252076, 0,
	0.25881904510252076, 0.5, 0.70710678118654752, 0.86602540378443865,
	0.96592582628906829
};

static double
clock_y(int hour)
{
	return clock_x[(hour + 18) % 24];
}

/* A row of a stream with many a day, on the clock. */
void
bj_days_turn(BjBaseline *b, int64_t at)
{
	int			hour = slot_of(at, BJ_HOUR, 24);

	b->today_turn[0] = keep(b->today_turn[0] + clock_x[hour]);
	b->today_turn[1] = keep(b->today_turn[1] + clock_y(hour));
}

/*
 * Rows that come as they please: the mean direction of the day's rows on a
 * clock of 24 hours.  Across the usual direction the sum of n of them varies
 * with n / 2; a turn adds up over the days.
 */
static void
judge_turn(const BjBaseline *b, double rows, Finding *f)
{
	double		size2 = b->usual_turn[0] * (double) b->usual_turn[0] +
	b->usual_turn[1] * (double) b->usual_turn[1];
	double		best = 0;
	double		across;
	double		scale = 1.25 * b->zone_usual;

	f->zone_evidence = b->zone_evidence * (float) TURN_MEMORY;
	f->zone_day = b->zone_usual;
	f->zone_lag = b->zone_lag;
	if (b->days < LEAST_DAYS || size2 < TURN_LEAST * TURN_LEAST || rows < 3)
		return;
	across = (b->usual_turn[0] * (double) b->today_turn[1] -
			  b->usual_turn[1] * (double) b->today_turn[0]) * exp2_of(-0.5 * log2_of(size2)) *
		exp2_of(-0.5 * log2_of(rows / 2));
	f->zone_day = keep(size_of(across));
	if (scale < 1)
		scale = 1;
	f->zone_evidence = keep(f->zone_evidence + clip(across / scale, -4, 4));
	for (int off = -12; off < 12; off++)
	{
		int			turn = (off + 24) % 24;
		double		x = b->usual_turn[0] * clock_x[turn] - b->usual_turn[1] * clock_y(turn);
		double		y = b->usual_turn[0] * clock_y(turn) + b->usual_turn[1] * clock_x[turn];
		double		along = x * b->today_turn[0] + y * b->today_turn[1];

		if (along > best)
		{
			best = along;
			f->zone_lag = off;
		}
	}
}

static double
root_of(double x)
{
	return exp2_of(0.5 * log2_of(x));
}

/* A two-sided sum of the day's step: shifts that no single day shows. */
static void
add_up(const BjBaseline *b, Finding *f)
{
	double		scale = 1.25 * b->daily_scale + SCALE_FLOOR;
	double		step;

	if (mode_of(b) >= BJ_MODE_HOURS && scale < 1)
		scale = 1;
	step = clip(f->day_off / scale, -STEP_CLIP, STEP_CLIP);
	for (int i = 0; i < 2; i++)
	{
		double		way = i == 0 ? step : -step;
		double		c = clip(b->cusum[i] + way - SLACK, 0, CUSUM_MAX);

		/* back to what is usual: an old excess is soon forgotten */
		f->cusum[i] = keep(way < SLACK / 2 ? c / 2 : c);
	}
}

/* May end a day: then f->day_ends, and what the day showed. */
void
bj_days_judge(const BjBaseline *b, Finding *f)
{
	double		sum = b->today;
	double		expected = b->today_expected;
	double		floor;
	double		off;
	double		most;
	double		rows = 0;

	f->cusum[0] = b->cusum[0];
	f->cusum[1] = b->cusum[1];
	f->zone_evidence = b->zone_evidence;
	f->zone_lag = b->zone_lag;
	f->zone_day = b->zone_usual;
	f->day_ends = b->observations > 0 && day_of(f->at) != b->day_number;
	if (!f->day_ends)
		return;
	if (bj_is_daily(b))
	{
		sum = f->x;
		expected = f->forecast.each[3];
	}
	floor = 0.02 * size_of(expected) + 1e-9;

	/*
	 * Rows are steadier than what they sum up to; so is the mean of the
	 * logarithms.
	 */
	if (mode_of(b) >= BJ_MODE_HOURS)
	{
		rows = bj_is_daily(b) ? f->rows : b->today_rows;
		f->day_ratio = log2_of(rows + 0.5) - log2_of(clip(expected, 0, 1e30) + floor);
	}
	else if (!bj_is_daily(b) && b->zeros < 0.1 && b->today_count > 0)
		f->day_ratio = b->today_logs / b->today_count;
	else
		f->day_ratio = log2_of((clip(sum, 0, 1e30) + floor) / (clip(expected, 0, 1e30) + floor));
	off = f->day_ratio - b->daily_bias;
	f->day_off = off;
	if (mode_of(b) >= BJ_MODE_HOURS)
	{
		double		usual = (clip(expected, 0, 1e30) + floor) * exp2_of(b->daily_bias);

		f->day_off = 2 * (root_of(rows + 0.375) - root_of(usual + 0.375));
	}
	add_up(b, f);
	if (b->days < LEAST_DAYS)
		return;
	most = off > 0 ? f->cusum[0] : f->cusum[1];
	if (size_of(off) > MATERIAL && b->zeros < MOST_ZEROS)
	{
		double		weight = mode_of(b) >= BJ_MODE_HOURS ? CUSUM_COUNTS : CUSUM_WEIGHT;

		f->rarity[CH_CUSUM] = CUSUM_BASE + weight * most -
			CUSUM_YOUNG * clip(CUSUM_GROWN - b->days, 0, CUSUM_GROWN);
	}
	if (mode_of(b) >= BJ_MODE_HOURS)
	{
		judge_turn(b, rows, f);
		f->rarity[CH_ZONE] = TURN_WEIGHT * f->zone_evidence * f->zone_evidence;
	}
	else if (!bj_is_daily(b))
	{
		judge_zone(b, f);
		f->rarity[CH_ZONE] = ZONE_WEIGHT * f->zone_evidence;
	}
}

/* Days in a row, with this one, that added to a sum. */
static uint8_t
days_of_drift(const BjBaseline *b, const Finding *f)
{
	for (int i = 0; i < 2; i++)
		if (f->cusum[i] > b->cusum[i] || f->cusum[i] >= CUSUM_MAX)
			return (uint8_t) (b->drift_days < UINT8_MAX ? b->drift_days + 1 : UINT8_MAX);
	return 0;
}

/* Commits; trusted baselines do not learn the scale. */
void
bj_days_follow(BjBaseline *b, const Finding *f, bool learn)
{
	int			hour = f->forecast.place.week % 24;

	if (f->day_ends)
		b->drift_days = days_of_drift(b, f);
	b->cusum[0] = f->cusum[0];
	b->cusum[1] = f->cusum[1];
	b->zone_evidence = f->zone_evidence;
	b->zone_lag = (int8_t) f->zone_lag;
	if (f->day_ends && learn)
	{
		double		off = f->day_ratio - b->daily_bias;
		double		size = size_of(f->day_off);
		double		limit = b->days < 5 ? 4 : 3 * (1.25 * b->daily_scale + SCALE_FLOOR);

		double		most = b->cusum[0] > b->cusum[1] ? b->cusum[0] : b->cusum[1];
		double		slow = most > SUSPECT ? SUSPECT_RATE : 1;
		uint32_t	age = b->days < SEASON_DAYS ? b->days : b->days - SEASON_DAYS + 5;

		if (b->days == 0)
		{
			b->daily_bias = keep(f->day_ratio);
			off = size = 0;
		}
		if (slow < 1)
			age = 1000;
		if (mode_of(b) >= BJ_MODE_HOURS)
		{
			double		n = (bj_is_daily(b) ? f->rows : b->today_rows) + 1e-9;

			follow(&b->usual_turn[0], clip(b->today_turn[0] / n, -1, 1), 0.05, b->days);
			follow(&b->usual_turn[1], clip(b->today_turn[1] / n, -1, 1), 0.05, b->days);
			follow(&b->zone_usual, clip(f->zone_day, 0, 2 * b->zone_usual + 0.5), 0.1, b->days);
		}
		else if (b->days >= ZONE_DAYS)
			follow(&b->zone_usual, clip(f->zone_day, 0, 2 * b->zone_usual + 0.5), 0.1, b->days - ZONE_DAYS);
		follow(&b->daily_bias, b->daily_bias + clip(off, -limit, limit), slow * BIAS_RATE, b->days);
		follow(&b->daily_scale, clip(size, 0, limit), slow * SCALE_RATE, age);
		if (b->days < UINT16_MAX)
			b->days++;
	}
	if (f->day_ends)
	{
		b->today = b->today_expected = b->today_logs = b->today_rows = 0;
		b->today_turn[0] = b->today_turn[1] = 0;
		b->today_count = 0;
	}
	b->today = keep(b->today + f->x);
	b->today_expected = keep(b->today_expected + f->forecast.each[3]);
	b->today_rows = keep(b->today_rows + f->rows);
	if (f->x > 0)
		b->today_logs = keep(b->today_logs + f->log_today);
	b->today_count = (uint16_t) (b->today_count + (f->x > 0));
	b->day_number = day_of(f->at);

	if (b->observations > 0 && f->at / BJ_HOUR == b->observed_at / BJ_HOUR)
	{
		b->hours[hour] = bj_slot_of((bj_slot_value(b->hours[hour]) + f->x) / 2);
		return;
	}
	if (f->gap > 2 * 3600)
		b->hour_count = 0;
	else if (b->hour_count < 24)
		b->hour_count++;
	b->hours[hour] = size_of(f->x) < 1e-12 ? 0 : bj_slot_of_log(f->log_x, f->x < 0);
}
