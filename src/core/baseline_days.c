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
#define MATERIAL 0.2			/* octaves */
#define LEAST_DAYS 10
#define MOST_ZEROS 0.5
#define ZONE_MISFIT 0.0004		/* 10 % of the mean hour, squared, over 24 */
#define ZONE_DAYS 21
#define ZONE_LEAST 2			/* hours */

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
	if (size_of(lag) < ZONE_LEAST || here < ZONE_MISFIT)
		return;
	evidence = clip(log2_of((here + 1e-12) / (best + 1e-12)), 0, 4) - 0.6;
	if (evidence < 0)
		return;
	if (size_of(lag - b->zone_lag) <= 1)
		evidence += 0.8 * b->zone_evidence;
	f->zone_evidence = keep(evidence);
	f->zone_lag = lag;
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
	double		most;

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
		double		rows = bj_is_daily(b) ? f->rows : b->today_rows;

		f->day_ratio = log2_of(rows + 0.5) - log2_of(clip(expected, 0, 1e30) + floor);
	}
	else if (!bj_is_daily(b) && b->zeros < 0.1 && b->today_count > 0)
		f->day_ratio = b->today_logs / b->today_count;
	else
		f->day_ratio = log2_of((clip(sum, 0, 1e30) + floor) / (clip(expected, 0, 1e30) + floor));
	off = f->day_ratio - b->daily_bias;
	step = clip(off / (1.25 * b->daily_scale + SCALE_FLOOR), -STEP_CLIP, STEP_CLIP);
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
		double		limit = b->days < 5 ? 4 : 3 * (1.25 * b->daily_scale + SCALE_FLOOR);

		if (b->days == 0)
		{
			b->daily_bias = keep(f->day_ratio);
			off = 0;
		}
		follow(&b->daily_bias, b->daily_bias + clip(off, -limit, limit), BIAS_RATE, b->days);
		follow(&b->daily_scale, clip(size_of(off), 0, limit), SCALE_RATE, b->days);
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
