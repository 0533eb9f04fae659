/*
 * baseline_days.c
 *	  Days as a whole: what is too little to see in an hour adds up.
 *
 * At the end of a day its sum is compared with the sum that the hours of the
 * week make one expect, and its shape with the usual shape at other hours.
 */
#include "core/baseline_internal.h"

#define BIAS_RATE 0.05
#define SCALE_RATE 0.1
#define SCALE_FLOOR 0.04		/* octaves */
#define STEP_CLIP 4.0			/* scales */
#define SLACK 1.0				/* scales that a day may be off */
#define CUSUM_MAX 9.0
#define SUSPECT 2.5				/* sum from which days are learned slower */
#define SUSPECT_RATE 0.4
#define SEASON_DAYS 15			/* then the scale is learned anew */
#define MATERIAL 0.2			/* octaves */
#define LEAST_DAYS 10
#define MOST_ZEROS 0.5
#define ZONE_MISFIT 0.0004		/* 10 % of the mean hour, squared, over 24 */
#define ZONE_DAYS 21
#define ZONE_FIT 0.4			/* of the day's variance that may remain */
#define ZONE_LEAST 2			/* hours */
#define ZONE_SHAPE 0.02			/* variance of the usual day over its square */

static int32_t
day_of(int64_t at)
{
	return (int32_t) (at / BJ_DAY - (at % BJ_DAY < 0));
}

/* Usual value of an hour, so many hours off. */
static double
hour_value(const BjBaseline *b, int week_hour, int off)
{
	int			hour = (week_hour - off + 336) % 168;
	int			slot = 48 + hour;
	int			day = hour % 24 * 2;

	if (((b->visits[slot / 2] >> (slot % 2 * 4)) & 15) >= 3)
		return bj_slot_value(b->week[hour]);
	return (bj_slot_value(b->day[day]) + bj_slot_value(b->day[day])) / 2;
}

/*
 * How badly the last 24 hours fit the usual ones so many hours off, both
 * scaled to the same sum.
 */
static double
misfit(const double *hours, const double *usual, int off)
{
	double		sum = 0,
				usual_sum = 0,
				squares = 0,
				factor;

	for (int i = 0; i < 24; i++)
	{
		sum += hours[i];
		usual_sum += usual[i + 12 - off];
	}
	factor = sum / (usual_sum + 1e-9);
	for (int i = 0; i < 24; i++)
	{
		double		d = hours[i] - factor * usual[i + 12 - off];

		squares += d * d;
	}
	return squares / (sum * sum + 1e-9);
}

/* A day without ups and downs is the same at any hour. */
static bool
has_shape(const double *usual)
{
	double		sum = 0;
	double		squares = 0;

	for (int i = 0; i < 24; i++)
	{
		sum += usual[i];
		squares += usual[i] * usual[i];
	}
	return 24 * squares - sum * sum > ZONE_SHAPE * sum * sum;
}

/* The day that ended against its usual shape, earlier or later. */
static void
judge_zone(const BjBaseline *b, Finding *f)
{
	double		hours[24];
	double		usual[48];
	double		here;
	double		best = 1e30;
	int			lag = 0;
	double		evidence;
	double		sum = 0;
	double		spread = 0;
	int			begin = slot_of((int64_t) b->day_number * BJ_DAY, BJ_HOUR, 168);

	f->zone_evidence = b->zone_evidence * 0.5f;
	f->zone_lag = b->zone_lag;
	if (b->days < ZONE_DAYS || b->hour_count < 24)
		return;
	for (int i = 0; i < 24; i++)
		hours[i] = bj_slot_value(b->hours[i]);
	for (int i = 0; i < 48; i++)
		usual[i] = hour_value(b, begin + i - 12 + 168, 0);
	here = misfit(hours, usual, 0);
	for (int off = -12; off <= 12; off++)
	{
		double		error = misfit(hours, usual, off);

		if (error < best)
		{
			best = error;
			lag = off;
		}
	}
	for (int i = 0; i < 24; i++)
		sum += hours[i] / 24;
	for (int i = 0; i < 24; i++)
		spread += (hours[i] - sum) * (hours[i] - sum);
	spread /= 576 * sum * sum + 1e-9;
	if (size_of(lag) < ZONE_LEAST || here < ZONE_MISFIT || best > ZONE_FIT * spread ||
		!has_shape(usual + 12))
		return;
	evidence = clip(log2_of((here + 1e-12) / (best + 1e-12)), 0, 4) - 0.6;
	if (evidence < 0)
		return;
	if (size_of(lag - b->zone_lag) <= 1)
		evidence += 0.8 * b->zone_evidence;
	f->zone_evidence = keep(evidence);
	f->zone_lag = lag;
}

static double
root_of(double x)
{
	return exp2_of(0.5 * log2_of(x));
}

/* May end a day: then f->day_ends, and what the day showed. */
void
bj_days_judge(const BjBaseline *b, Finding *f)
{
	double		sum = b->today;
	double		expected = b->today_expected;
	double		floor;
	double		off;
	double		step;
	double		scale;
	double		most;
	double		rows = 0;

	f->cusum[0] = b->cusum[0];
	f->cusum[1] = b->cusum[1];
	f->zone_evidence = b->zone_evidence;
	f->zone_lag = b->zone_lag;
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
	scale = 1.25 * b->daily_scale + SCALE_FLOOR;
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
	if (b->days < LEAST_DAYS)
		return;
	most = off > 0 ? f->cusum[0] : f->cusum[1];
	if (size_of(off) > MATERIAL && b->zeros < MOST_ZEROS)
		f->rarity[CH_CUSUM] = 1 + 0.6 * most;
	if (!bj_is_daily(b))
	{
		judge_zone(b, f);
		f->rarity[CH_ZONE] = 1 + f->zone_evidence;
	}
}

/* Commits; trusted baselines do not learn the scale. */
void
bj_days_follow(BjBaseline *b, const Finding *f, bool learn)
{
	int			hour = slot_of(f->at, BJ_HOUR, 24);
	double		value = f->x;

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
		follow(&b->daily_bias, b->daily_bias + clip(off, -limit, limit), slow * BIAS_RATE, b->days);
		follow(&b->daily_scale, clip(size, 0, limit), slow * SCALE_RATE, age);
		if (b->days < UINT16_MAX)
			b->days++;
	}
	if (f->day_ends)
	{
		b->today = b->today_expected = b->today_logs = b->today_rows = 0;
		b->today_count = 0;
	}
	b->today = keep(b->today + f->x);
	b->today_rows = keep(b->today_rows + f->rows);
	b->today_expected = keep(b->today_expected + f->forecast.each[3]);
	if (f->x > 0)
	{
		double		floor = 0.02 * f->forecast.level + 1e-9;

		b->today_logs = keep(b->today_logs + log2_of((f->x + floor) / (clip(f->forecast.each[3], 0, 1e30) + floor)));
		b->today_count++;
	}
	b->day_number = day_of(f->at);

	if (b->observations > 0 && f->at / BJ_HOUR == b->observed_at / BJ_HOUR)
		value = (bj_slot_value(b->hours[hour]) + value) / 2;
	else if (f->gap > 2 * 3600)
		b->hour_count = 0;
	else if (b->hour_count < 24)
		b->hour_count++;
	b->hours[hour] = bj_slot_of(value);
}
