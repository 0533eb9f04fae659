/*
 * incident.c
 *	  From scores to incidents: one alert for what belongs together, and two
 *	  hypotheses about what it is.
 *
 * A fault that is learned as usual is not found when it comes again; one that
 * is never learned alarms for ever.  So an incident keeps the baseline from
 * before it (trusted, which learns nothing) beside the one that goes on
 * learning (the candidate), and time decides which of them was right.
 */
#include "core/baseline_internal.h"

#define ESCALATION 2.0			/* decades more than were told */
#define ABNORMAL 1.0			/* decades below the threshold that are still
								 * abnormal */

#define AGAIN (2 * BJ_HOUR)
#define ACCEPTED_DAYS 12			/* of a new normal that are as good as compared */

/*
 * From decades as the tails give them to decades that mean what they say: 3
 * happens once in 1,000 usual observations.  The best of many channels is rare
 * more often than one: it passes THOUSANDTH as often.  Fitted once, on invented
 * streams without faults; bench/anomaly tells how often each level is passed.
 * Beyond it a decade stays a decade.
 */
#define THOUSANDTH 3.75

double
bj_calibrated(double decades)
{
	return decades < THOUSANDTH ? 3 / THOUSANDTH * decades : decades - (THOUSANDTH - 3);
}

double
bj_score_of_decades(double decades)
{
	return decades <= 0 ? 0 : 1 - exp2_of(-decades / 3);
}

double
bj_decades_of_score(double score)
{
	if (score <= 0)
		return 0;
	return score >= 0.9999999 ? 70 : -3 * log2_of(1 - score);
}

/* Factors by which a quantity is counted in another unit. */
static const struct
{
	double		factor;
	double		tolerance;		/* octaves */
}			unit_factors[] = {
	{1000, 0.25}, {60, 0.25}, {3600, 0.25}, {100, 0.25}, {1e6, 0.25},
	{24, 0.25}, {12, 0.12}, {10, 0.12}
};

/*
 * The unit that the mean log ratio of an incident's rows speaks for; 0: none.
 * One row must fit better where rows differ much anyway.
 */
static double
unit_of(const BjIncident *incident)
{
	int32_t		n = incident->log_ratios;
	double		mean;
	double		noise = 1.25 * incident->trusted.log_scale + 0.02;

	if (n == 0)
		return 0;
	mean = incident->log_ratio_sum / n;
	for (int i = 0; i < (int) (sizeof(unit_factors) / sizeof(unit_factors[0])); i++)
	{
		double		octaves = log2_of(unit_factors[i].factor);
		double		off = size_of(size_of(mean) - octaves);

		if (off <= unit_factors[i].tolerance && (n >= 4 || noise < 2 * unit_factors[i].tolerance))
			return mean > 0 ? unit_factors[i].factor : 1 / unit_factors[i].factor;
	}
	/* double counting shows only where a tenth is already much */
	if (size_of(mean - 1) <= 0.12 && noise < 0.14)
		return 2;
	return 0;
}

/* A row of the incident, against what was usual before it. */
static void
note_ratio(BjIncident *incident, const Finding *f, BjJudgement *judgement)
{
	if (f->x > 0 && f->forecast.seasonal > 0)
	{
		double		octaves = log2_of(f->x) - log2_of(f->forecast.seasonal);

		incident->log_ratio_sum += octaves;
		incident->log_ratio_squares += octaves * octaves;
		incident->log_ratios++;
	}
	incident->excess += f->x - f->forecast.seasonal;
	judgement->unit = unit_of(incident);
	if (judgement->family == BJ_FAMILY_LEVEL && judgement->reason != BJ_REASON_NONE && judgement->unit != 0 &&
		judgement->reason != BJ_REASON_FIRST_ROW)
		judgement->reason = judgement->unit == 2 ? BJ_REASON_DOUBLE : BJ_REASON_UNIT;
	/* by all of its rows, where few of them do not tell */
	else if (judgement->family == BJ_FAMILY_LEVEL && judgement->reason == BJ_REASON_DOUBLE)
		judgement->unit = 2;
}

/* Time after the last abnormal row that belongs to the incident. */
static int64_t
quiet_after(const BjStream *stream, const BjDetect *detect)
{
	double		spacing = exp2_of(stream->baseline.spacing);
	BjMode		mode = mode_of(&stream->baseline);
	double		hours = detect->passed_hours;

	if (mode == BJ_MODE_DAYS || (mode != BJ_MODE_HOURS && spacing > 6 * 3600))
		hours *= 3;
	return (int64_t) (hours * 3600) * BJ_SECOND;
}

static void
note_peak(BjIncident *incident, const Finding *f, double decades)
{
	if (decades <= incident->peak)
		return;
	incident->peak = decades;
	incident->channel = f->channel;
	incident->peak_magnitude = f->channel < BJ_CHANNELS ? f->magnitude[f->channel] : 0;
	incident->peak_observed = f->x;
	incident->peak_expected = f->forecast.seasonal;
}

static void
open_incident(BjStream *stream, const Finding *f, double decades)
{
	BjIncident *incident = &stream->incident;

	memset(incident, 0, sizeof(*incident));
	incident->open = true;
	incident->opened_at = f->at;
	incident->last_abnormal_at = f->at;
	incident->notified = decades;
	incident->rows = 1;
	incident->trusted = stream->baseline;
	bj_days_follow(&incident->trusted, f, false);
	bj_levels_follow(&incident->trusted, f);
	note_peak(incident, f, decades);
	stream->baseline.flags |= BJ_FLAG_INCIDENT;
}

/* What was usual before the incident is usual again; clocks go on. */
static void
restore(BjStream *stream)
{
	BjBaseline *b = &stream->baseline;
	BjIncident *incident = &stream->incident;
	BjBaseline *trusted = &incident->trusted;
	BjBaseline	before = *trusted;

	memcpy(trusted, b, (size_t) BJ_HEAD_SIZE);
	trusted->size_mean = before.size_mean;
	trusted->size_scale = before.size_scale;
	trusted->rise = before.rise;
	trusted->fall = before.fall;
	trusted->sizes = before.sizes;
	trusted->alert_at = b->alert_at;
	trusted->alert_decades = b->alert_decades;
	trusted->signs = b->signs;
	bj_levels_keep_young(trusted, b);
	/* not of a run: each of the same length would be usual from now on */
	if (incident->channel < CH_RUN)
		bj_tail_add(&trusted->tails[incident->channel], incident->peak_magnitude, 4);
	*b = *trusted;
	/* what is usual is another: look at each row until the bucket ends */
	b->limit = -1e30f;
}

/*
 * What comes at the same hour a day or a week after the incident before is no
 * incident but a habit: were it not learned, it would be one for ever.
 */
static bool
comes_again(int64_t opened_at, int64_t before)
{
	int64_t		apart = opened_at - before;

	return before != 0 &&
		(size_of((double) (apart - BJ_DAY)) <= (double) AGAIN ||
		 size_of((double) (apart - 7 * BJ_DAY)) <= (double) AGAIN);
}

/*
 * A new normal has its own usual days: what the old ones added up to is moot.
 * Where the last of them says what is usual now, it is as good as some that
 * were compared; else they are counted anew.
 */
static void
accept_days(BjBaseline *b, const Finding *f)
{
	bool		rows = mode_of(b) <= BJ_MODE_ROWS;

	if (rows && f->day_ends)
		b->daily_bias = keep(f->day_ratio);
	else if (rows && b->today_count > 0)
		b->daily_bias = keep(b->today_logs / b->today_count);
	else
		b->days = 0;
	if (b->days > ACCEPTED_DAYS)
		b->days = ACCEPTED_DAYS;
	b->cusum[0] = b->cusum[1] = 0;
	b->zone_evidence = 0;
}

static void
close_incident(BjStream *stream)
{
	stream->incident.open = false;
	stream->baseline.flags &= ~BJ_FLAG_INCIDENT;
}

/*
 * The row as the candidate judged it, before it is learned.  decades: after
 * calibration and the onset's cap.
 */
void
bj_incident_step(BjStream *stream, const BjDetect *detect, const Finding *f,
				 double decades, BjJudgement *judgement)
{
	BjIncident *incident = &stream->incident;
	double		threshold;
	Finding		trusted;

	/* mostly far from it: decades are more than 4.3 times the score they make */
	if (!incident->open && (detect->learn_only || decades < 4.3 * detect->threshold - 0.001))
		return;
	threshold = bj_decades_of_score(detect->threshold);
	if (!incident->open)
	{
		if (decades < threshold)
			return;
		open_incident(stream, f, decades);
		note_ratio(incident, f, judgement);
		judgement->opened = true;
		judgement->abnormal = true;
		return;
	}

	bj_judge(&incident->trusted, detect, f->at, f->x, f->gap, f->rows, &trusted);
	bj_describe(&incident->trusted, &trusted, judgement);
	bj_days_follow(&incident->trusted, &trusted, false);
	bj_levels_follow(&incident->trusted, &trusted);
	if (bj_calibrated(trusted.decades) >= threshold - ABNORMAL)
	{
		incident->last_abnormal_at = f->at;
		incident->rows++;
		note_ratio(incident, &trusted, judgement);
		judgement->abnormal = true;
	}
	if (decades >= threshold && decades >= incident->notified + ESCALATION)
	{
		incident->notified = decades;
		judgement->escalated = true;
	}
	note_peak(incident, f, decades);

	if (f->at - incident->last_abnormal_at >= quiet_after(stream, detect))
	{
		bool		again = comes_again(incident->opened_at, stream->baseline.incident_at);

		if (!again)
			restore(stream);
		close_incident(stream);
		stream->baseline.incident_at = incident->opened_at;
		judgement->closed = again ? BJ_OUTCOME_NEW_NORMAL : BJ_OUTCOME_PASSED;
	}
	else if (f->at - incident->opened_at >= (int64_t) (detect->new_normal_days * 86400) * BJ_SECOND)
	{
		accept_days(&stream->baseline, f);
		close_incident(stream);
		judgement->closed = BJ_OUTCOME_NEW_NORMAL;
	}
}

void
bj_stream_judge(BjStream *stream, BjVerdict verdict)
{
	BjIncident *incident = &stream->incident;

	if (!incident->open || verdict == BJ_VERDICT_UNSURE)
		return;
	if (verdict == BJ_VERDICT_EXPECTED)
	{
		if (incident->channel < BJ_CHANNELS)
			bj_tail_add(&stream->baseline.tails[incident->channel],
						incident->peak_magnitude, 4);
	}
	else
	{
		restore(stream);
		/* the plateau of one alarm ends with the word: what comes now is another */
		stream->baseline.alert_decades = 0;
	}
	close_incident(stream);
}
