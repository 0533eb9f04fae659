/*
 * baseline.c
 *	  A stream takes a row: from the row to observations, from them to a score.
 */
#include "core/baseline_internal.h"

#define MOST_EMPTY 240			/* empty buckets that are observed in a row */
#define LEAST_ALERT 3.0			/* decades: a score of 0.5 */
#define CAPPED 2.9
#define LEAST_TO_PEEK 20		/* observations */
#define OUTSIDE 0.01			/* of the rows are outside lo..hi */
#define LEAK_DAYS 5				/* that add up, from which on it is a leak */
#define HELD_WEIGHT 0.6			/* share of the observations that the tails,
								 * halved now and then, still hold */

static const char *const reason_names[BJ_REASON_COUNT] = {
	"none", "spike", "drop", "shift_up", "shift_down", "outage", "unit",
	"double", "leak", "pattern", "zone", "stuck", "first_row", "gap", "price",
	"duplicate", "near_duplicate", "late", "future", "too_old", "negative",
	"invalid", "reset", "wrap"
};

const char *
bj_reason_name(BjReason reason)
{
	if ((int) reason < 0 || reason >= BJ_REASON_COUNT)
		return "unknown";
	return reason_names[reason];
}

BjDetect
bj_detect_defaults(void)
{
	BjDetect	detect;

	memset(&detect, 0, sizeof(detect));
	detect.threshold = 0.583;
	detect.materiality = 0.1;
	detect.new_normal_days = 14;
	detect.passed_hours = 24;
	detect.onset_hours = 16;
	detect.price_tolerance = 0.02;
	detect.price_step = 0.01;
	detect.rules = true;
	return detect;
}

void
bj_stream_init(BjStream *stream)
{
	memset(stream, 0, sizeof(*stream));
}

static double
scale_of(const BjBaseline *b)
{
	return power_of_two((int) clip(b->exponent, -1000, 1000));
}

/* A value in the baseline's own scale, which its first one fixes. */
static double
scaled(BjBaseline *b, double x)
{
	if (x == 0)
		return 0;
	if ((b->flags & BJ_FLAG_EXPONENT) == 0)
	{
		int			exponent = exponent_of(size_of(x));

		b->exponent = (int16_t) (exponent < -900 ? -900 : exponent > 900 ? 900 : exponent);
		b->flags |= BJ_FLAG_EXPONENT;
	}
	x = clip(x * power_of_two(-b->exponent), -1e30, 1e30);
	return size_of(x) < 1e-12 ? 0 : x;
}

/* What the best channel means, in one word. */
static BjReason
reason_of(const BjBaseline *b, const Finding *f)
{
	bool		up = f->seasonal > 0;

	switch (f->channel)
	{
		case CH_SHORT:
		case CH_SEASONAL:
		case CH_RATIO:
		case CH_DAY:
			return up ? BJ_REASON_SHIFT_UP : BJ_REASON_SHIFT_DOWN;
		case CH_CUSUM:
			/* a step is told of within three days */
			if (f->cusum[0] > f->cusum[1] && b->drift_days + 1 >= LEAK_DAYS)
				return BJ_REASON_LEAK;
			return f->cusum[0] > f->cusum[1] ? BJ_REASON_SHIFT_UP : BJ_REASON_SHIFT_DOWN;
		case CH_PATTERN:
			return BJ_REASON_PATTERN;
		case CH_RUN:
			return BJ_REASON_STUCK;
		case CH_FIRST:
			return BJ_REASON_FIRST_ROW;
		case CH_ZONE:
			return BJ_REASON_ZONE;
		case CH_TWICE:
			return BJ_REASON_DOUBLE;
		case CH_GAP:
		case CH_CADENCE:
			return BJ_REASON_GAP;
		default:
			if (!up && f->x == 0)
				return BJ_REASON_OUTAGE;
			return up ? BJ_REASON_SPIKE : BJ_REASON_DROP;
	}
}

/* Which the residual of one observation in 100 passes. */
static double
usual_width(const BjBaseline *b, double sigma)
{
	return b->observations < 20 ? 4 * sigma :
		exp2_of(bj_tail_quantile(&b->tails[CH_RESIDUAL], OUTSIDE, (uint32_t) (HELD_WEIGHT * b->observations)));
}

/* A young stream, by what comparable accounts do and its own few rows. */
static void
describe_young(const BjBaseline *b, const Finding *f, BjJudgement *judgement)
{
	judgement->expected = exp2_of(f->peer_expected);
	judgement->lo = f->peer_lo > BJ_NO_LOG ? exp2_of(f->peer_lo) : 0;
	judgement->hi = exp2_of(f->peer_hi);
	judgement->ratio = judgement->observed / judgement->expected;
	judgement->by_peers = true;
	judgement->own_rows = b->nonzero;
}

/* What was expected of an observation, in the unit of the rows. */
void
bj_describe(const BjBaseline *b, const Finding *f, BjJudgement *judgement)
{
	double		scale = scale_of(b);
	double		width = usual_width(b, f->forecast.sigma);

	judgement->observed = f->x * scale;
	judgement->expected = f->forecast.best * scale;
	judgement->lo = (f->forecast.best - width) * scale;
	judgement->hi = (f->forecast.best + width) * scale;
	judgement->ratio = f->forecast.best > 0 ? f->x / f->forecast.best : 0;
	judgement->since = f->at;
	judgement->by_peers = false;
	if (f->channel == CH_FIRST && f->decades >= LEAST_ALERT)
		describe_young(b, f, judgement);
}

/*
 * A plateau is one alarm: after a high score lower ones are capped for a
 * while, unless it gets worse.
 */
static double
onset(BjBaseline *b, const BjDetect *detect, int64_t at, double decades)
{
	double		threshold;

	if (decades < LEAST_ALERT)
		return decades;
	threshold = bj_decades_of_score(detect->threshold);
	if (b->alert_decades > 0 &&
		at - b->alert_at < (int64_t) (detect->onset_hours * 3600) * BJ_SECOND &&
		decades < b->alert_decades + 1 &&
		(decades < threshold || b->alert_decades >= threshold))
		return CAPPED;
	b->alert_at = at;
	b->alert_decades = keep(decades);
	return decades;
}

/*
 * Will anybody ask what was expected?  Who opens an incident, a bit early for
 * rounding, and who has one that a bucket before this one belongs to.
 */
static bool
is_told(const BjDetect *detect, double decades, double score, const BjJudgement *judgement)
{
	return detect->describe || decades >= LEAST_ALERT || score >= detect->threshold - 0.001 ||
		judgement->abnormal || judgement->escalated || judgement->closed != BJ_OUTCOME_OPEN;
}

/* The finding's score, when it is the row's highest so far. */
static void
announce(const BjBaseline *b, const BjDetect *detect, const Finding *f,
		 double decades, BjJudgement *judgement)
{
	double		score = bj_score_of_decades(decades);

	if (judgement->score > score || (judgement->score == score && judgement->reason != BJ_REASON_NONE))
		return;
	judgement->observed = f->x * scale_of(b);
	judgement->since = f->at;
	if (is_told(detect, decades, score, judgement))
		bj_describe(b, f, judgement);
	judgement->score = score;
	judgement->decades = decades;
	if (decades >= LEAST_ALERT)
	{
		judgement->reason = reason_of(b, f);
		judgement->channel = f->channel;
		judgement->lag_hours = f->channel == CH_ZONE ? f->zone_lag : 0;
		if (f->channel == CH_RUN && b->runs_ended > 0)
			judgement->longest = exp2_of(b->tails[CH_RUN].largest) - 1;
		judgement->family = BJ_FAMILY_LEVEL;
	}
}

/* One observation: judged, told, learned. */
static void
observe(BjStream *stream, const BjDetect *detect, int64_t at, double x,
		double rows, BjJudgement *judgement)
{
	BjBaseline *b = &stream->baseline;
	double		gap = b->observations > 0 ? (double) (at - b->observed_at) / BJ_SECOND : 0;
	Finding		f;
	double		decades;

	bj_judge(b, detect, at, x, gap, rows, &f);
	decades = bj_calibrated(f.decades);
	/* what others do leaves no trace in the baseline */
	if (f.channel != CH_FIRST)
		decades = onset(b, detect, at, decades);
	announce(b, detect, &f, decades, judgement);
	bj_incident_step(stream, detect, &f, decades, judgement);
	bj_learn(b, &f);
}

/* Silence before a row of a stream whose rows come regularly. */
static void
observe_silence(BjBaseline *b, const BjDetect *detect, double seconds,
				BjJudgement *judgement)
{
	double		decades = bj_cadence_decades(b, seconds);
	double		score;

	if (decades <= 0)
		return;
	score = bj_score_of_decades(decades);
	if (b->gaps < UINT16_MAX)
		b->gaps++;
	if (score < judgement->score || score < 0.5)
		return;
	judgement->score = score;
	judgement->decades = decades;
	judgement->reason = BJ_REASON_GAP;
	judgement->family = BJ_FAMILY_CADENCE;
	judgement->since = b->last_at;
	judgement->longest = exp2_of(b->spacing);
	if (score >= detect->threshold && !detect->learn_only)
		judgement->gap_closed = true;
}

static int64_t
bucket_width(const BjBaseline *b)
{
	return mode_of(b) == BJ_MODE_DAYS ? BJ_DAY : BJ_HOUR;
}

/* The begin of the bucket that a time falls in. */
static int64_t
bucket_of(const BjBaseline *b, int64_t at)
{
	int64_t		hour = at / BJ_HOUR - (at % BJ_HOUR < 0);
	int64_t		day = at / BJ_DAY - (at % BJ_DAY < 0);

	return mode_of(b) == BJ_MODE_DAYS ? day * BJ_DAY : hour * BJ_HOUR;
}

/* Closes buckets until the one that begins at `next` is the open one. */
static void
close_buckets(BjStream *stream, const BjDetect *detect, int64_t next,
			  BjJudgement *judgement)
{
	BjBaseline *b = &stream->baseline;
	int64_t		width = bucket_width(b);

	for (int i = 0; b->bucket_at < next; i++)
	{
		double		x = b->bucket_rows > 0 ? b->bucket_sum : 0;

		if (i > MOST_EMPTY)
		{
			b->bucket_at = next;
			break;
		}
		observe(stream, detect, b->bucket_at, x, b->bucket_rows, judgement);
		b->bucket_at += width;
		b->bucket_sum = 0;
		b->bucket_rows = 0;
	}
}

/*
 * Up to which sum the bucket that has just begun is nothing to speak of: what
 * is expected of the whole bucket, or one of 100 passes, if no channel minds.
 * It spares the rows in between the judging, and the reading of all that only
 * judging needs.
 */
static void
set_limit(BjBaseline *b, const BjDetect *detect)
{
	double		gap = b->observations > 0 ? (double) (b->bucket_at - b->observed_at) / BJ_SECOND : 0;
	Forecast	forecast;
	Finding		f;
	double		least;

	b->limit = 1e30f;
	if (b->observations < LEAST_TO_PEEK)
		return;
	bj_levels_forecast(b, b->bucket_at, &forecast);
	least = forecast.best > forecast.seasonal ? forecast.best : forecast.seasonal;
	b->limit = keep(least);
	bj_judge(b, detect, b->bucket_at, least + usual_width(b, forecast.sigma), gap, 0, &f);
	if (bj_calibrated(f.tail_decades) < LEAST_ALERT && bj_calibrated(f.rarity[CH_LOG]) < LEAST_ALERT)
		b->limit = keep(f.x);
}

/* The open bucket, as soon as what it has is too much for a whole one. */
static void
peek(BjStream *stream, const BjDetect *detect, BjJudgement *judgement)
{
	BjBaseline *b = &stream->baseline;
	double		gap = b->observations > 0 ? (double) (b->bucket_at - b->observed_at) / BJ_SECOND : 0;
	Finding		f;
	double		decades;

	if (b->bucket_sum <= b->limit && (!detect->describe || b->observations < LEAST_TO_PEEK))
		return;
	bj_judge(b, detect, b->bucket_at, b->bucket_sum, gap, b->bucket_rows, &f);
	if (b->bucket_sum <= b->limit)
	{
		announce(b, detect, &f, 0, judgement);
		return;
	}
	if (f.residual <= 0 || f.seasonal <= 0)
		return;
	decades = onset(b, detect, b->bucket_at, bj_calibrated(f.decades));
	announce(b, detect, &f, decades, judgement);
	if (!stream->incident.open)
		bj_incident_step(stream, detect, &f, decades, judgement);
}

static void
add_to_bucket(BjBaseline *b, const BjDetect *detect, int64_t at, double x)
{
	if (b->bucket_rows == 0)
		b->bucket_sum = x;
	else if (detect->bucketing == BJ_BUCKET_SUM)
		b->bucket_sum = clip(b->bucket_sum + x, -1e30, 1e30);
	else if (detect->bucketing == BJ_BUCKET_LAST || x > b->bucket_sum)
		b->bucket_sum = x;
	b->bucket_rows++;
	bj_days_turn(b, at);
	bj_sizes_row(b, x, true);
}

static void
observe_in_bucket(BjStream *stream, const BjDetect *detect, int64_t at, double x,
				  BjJudgement *judgement)
{
	BjBaseline *b = &stream->baseline;
	int64_t		bucket = bucket_of(b, at);

	if ((b->flags & BJ_FLAG_BUCKET) == 0 || b->bucket_at < bucket)
	{
		if ((b->flags & BJ_FLAG_BUCKET) == 0)
			b->bucket_at = bucket;
		b->flags |= BJ_FLAG_BUCKET;
		close_buckets(stream, detect, bucket, judgement);
		set_limit(b, detect);
	}
	add_to_bucket(b, detect, at, x);
	if (stream->incident.open)
		bj_sizes_row(&stream->incident.trusted, x, false);
	peek(stream, detect, judgement);
}

void
bj_stream_observe(BjStream *stream, const BjDetect *detect, const BjRow *row,
				  BjJudgement *judgement)
{
	BjBaseline *b = &stream->baseline;
	double		x = row->quantity;
	int64_t		at;
	double		seconds;
	bool		first = b->rows == 0;

	memset(judgement, 0, sizeof(*judgement));
	judgement->observed = row->quantity;
	judgement->since = row->at;
	if (!bj_rules_observe(b, detect, row, judgement))
		return;
	bj_rules_price(b, detect, row, judgement);
	at = row->at > b->last_at ? row->at : b->last_at;
	seconds = (double) (at - b->last_at) / BJ_SECOND;
	if (b->rows < UINT32_MAX)
		b->rows++;
	if (!detect->cumulative)
		b->last_value = x;
	else
	{
		if (!bj_rules_increase(b, detect, row, &x, judgement))
		{
			b->last_at = at;
			return;
		}
	}
	x = scaled(b, x);
	if (!first)
	{
		if (mode_of(b) <= BJ_MODE_ROWS)
			observe_silence(b, detect, seconds, judgement);
		if (bj_cadence_observe(b, seconds))
		{
			bj_levels_reset(b);
			stream->incident.open = false;
			b->flags &= ~BJ_FLAG_INCIDENT;
		}
	}
	b->last_at = at;
	if (mode_of(b) <= BJ_MODE_ROWS)
		observe(stream, detect, at, x, 1, judgement);
	else
		observe_in_bucket(stream, detect, at, x, judgement);
}

/* Is the unit price off, for whoever keeps incidents of prices? */
static bool
is_off_price(const BjDetect *detect, const BjRow *row, const BjJudgement *j)
{
	return row->has_price && j->price_expected > 0 &&
		size_of(row->unit_price - j->price_expected) > detect->price_tolerance * j->price_expected;
}

/* Of a head, all that a row can change: of the rings one place. */
#define BEFORE_RINGS offsetof(BjBaseline, fingerprints)
#define BEHIND_RINGS offsetof(BjBaseline, fingerprint_at)

typedef struct Undo
{
	uint8_t		before[BEFORE_RINGS];
	uint8_t		behind[(size_t) BJ_HEAD_SIZE - BEHIND_RINGS];
	uint16_t	fingerprint;
	uint8_t		print;
} Undo;

static void
save_head(Undo *undo, const BjBaseline *b)
{
	memcpy(undo->before, b, BEFORE_RINGS);
	memcpy(undo->behind, (const uint8_t *) b + BEHIND_RINGS, sizeof(undo->behind));
	undo->fingerprint = b->fingerprints[b->fingerprint_at];
	undo->print = b->prints[b->fingerprint_at];
}

static void
restore_head(const Undo *undo, BjBaseline *b)
{
	memcpy(b, undo->before, BEFORE_RINGS);
	memcpy((uint8_t *) b + BEHIND_RINGS, undo->behind, sizeof(undo->behind));
	b->fingerprints[b->fingerprint_at] = undo->fingerprint;
	b->prints[b->fingerprint_at] = undo->print;
}

/* The same steps as above, as far as they can be gone. */
static bool
try_absorb(BjBaseline *b, const BjDetect *detect, const BjRow *row, int64_t at)
{
	double		seconds = (double) (at - b->last_at) / BJ_SECOND;
	BjMode		mode = mode_of(b);
	BjJudgement j;

	memset(&j, 0, sizeof(j));
	if (bj_rules_observe(b, detect, row, &j))
	{
		bj_rules_price(b, detect, row, &j);
		if (b->rows < UINT32_MAX)
			b->rows++;
		b->last_value = row->quantity;
		if (bj_cadence_observe(b, seconds) || mode_of(b) != mode)
			return false;
		b->last_at = at;
		add_to_bucket(b, detect, at, scaled(b, row->quantity));
		if (!(b->bucket_sum <= b->limit) || j.price_opened || j.price_closed ||
			is_off_price(detect, row, &j))
			return false;
	}
	return j.rules == 0;
}

bool
bj_stream_absorb(BjBaseline *b, const BjDetect *detect, const BjRow *row)
{
	const uint32_t needed = BJ_FLAG_BUCKET | BJ_FLAG_EXPONENT;
	int64_t		at = row->at > b->last_at ? row->at : b->last_at;
	Undo		undo;

	if (b->rows == 0 || mode_of(b) <= BJ_MODE_ROWS ||
		detect->cumulative || detect->describe ||
		(b->flags & (needed | BJ_FLAG_INCIDENT | BJ_FLAG_PRICE)) != needed ||
		at > TIME_MAX || bucket_of(b, at) != b->bucket_at ||
		!(row->quantity >= 0))
		return false;
	save_head(&undo, b);
	if (try_absorb(b, detect, row, at))
		return true;
	restore_head(&undo, b);
	return false;
}

int64_t
bj_stream_due_at(const BjStream *stream)
{
	const BjBaseline *b = &stream->baseline;
	double		limit = bj_cadence_limit(b);

	if (mode_of(b) >= BJ_MODE_HOURS && (b->flags & BJ_FLAG_BUCKET) != 0)
		return b->bucket_at + bucket_width(b);
	if (limit == 0)
		return INT64_MAX;
	return b->last_at + (int64_t) (limit * BJ_SECOND);
}

bool
bj_stream_due(const BjStream *stream, const BjDetect *detect, int64_t now,
			  BjJudgement *judgement)
{
	BjStream	copy;

	memset(judgement, 0, sizeof(*judgement));
	/* no row is later, and differences do not overflow */
	if (now > TIME_MAX)
		now = TIME_MAX;
	if (now < bj_stream_due_at(stream))
		return false;
	copy = *stream;
	if (mode_of(&copy.baseline) >= BJ_MODE_HOURS)
		close_buckets(&copy, detect, bucket_of(&copy.baseline, now), judgement);
	else
		observe_silence(&copy.baseline, detect,
						(double) (now - copy.baseline.last_at) / BJ_SECOND, judgement);
	return judgement->opened || judgement->escalated || judgement->gap_closed;
}

bool
bj_baseline_has_bucket(const BjBaseline *baseline)
{
	return mode_of(baseline) >= BJ_MODE_HOURS;
}

bool
bj_bucket_follows(const BjBaseline *head, const BjBaseline *baseline)
{
	return head->first_at == baseline->first_at && head->rows >= baseline->rows;
}

bool
bj_baseline_has_incident(const BjBaseline *baseline)
{
	return (baseline->flags & BJ_FLAG_INCIDENT) != 0;
}

bool
bj_baseline_has_row_rule(const BjBaseline *baseline)
{
	return (baseline->flags & BJ_FLAG_ROW_RULE) != 0;
}

void
bj_baseline_mark_row_rule(BjBaseline *baseline, bool open)
{
	if (open)
		baseline->flags |= BJ_FLAG_ROW_RULE;
	else
		baseline->flags &= ~BJ_FLAG_ROW_RULE;
}

int64_t
bj_baseline_newest(const BjBaseline *baseline)
{
	return baseline->last_at;
}

int64_t
bj_baseline_rows(const BjBaseline *baseline)
{
	return baseline->rows;
}

bool
bj_baseline_is_mature(const BjBaseline *baseline)
{
	return baseline->observations >= 20 &&
		baseline->last_at - baseline->first_at >= 28 * BJ_DAY;
}

double
bj_baseline_expected(const BjBaseline *baseline, int64_t at)
{
	Forecast	forecast;

	if (baseline->observations == 0)
		return 0;
	bj_levels_forecast(baseline, at, &forecast);
	return forecast.best * scale_of(baseline);
}

void
bj_incident_peak(const BjStream *stream, double *observed, double *expected)
{
	double		scale = scale_of(&stream->baseline);

	*observed = stream->incident.peak_observed * scale;
	*expected = stream->incident.peak_expected * scale;
}

uint64_t
bj_baseline_signs(const BjBaseline *baseline, int64_t *newest)
{
	*newest = baseline->observed_at;
	return baseline->signs;
}

int32_t
bj_signs_distance(uint64_t a, uint64_t b, int32_t window)
{
	uint64_t	differ = a ^ b;
	int32_t		count = 0;

	if (window < 64)
		differ &= (UINT64_C(1) << window) - 1;
	for (; differ != 0; differ &= differ - 1)
		count++;
	return count;
}
