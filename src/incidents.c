/*
 * incidents.c
 *	  From judgements to incidents: what is opened, raised and closed, what money
 *	  is at risk, and what is done about it.
 *
 * The core says what is unusual; here it becomes one row an incident.  Money is
 * the charge with what was observed less the charge with what was expected,
 * under the row's own price and from its own position: exact, but for the
 * expected quantity, which is an estimate of nine digits.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/datetime.h"
#include "utils/json.h"
#include "utils/timestamp.h"

#include "core/rate.h"
#include "duplicates.h"
#include "incidents.h"
#include "numericcodec.h"
#include "period.h"
#include "prices.h"
#include "subperiods.h"

#define EXPECTED_DIGITS 9
#define PRICE_DIGITS 6		/* that a usual price is known to */
#define LASTING_ROWS 3			/* fewer may be a single event */
#define TOLD_AGAIN 10			/* times the money that was told */

typedef struct Effect
{
	enum
	{
		EFFECT_HOLD, EFFECT_PROPOSE, EFFECT_OPENED, EFFECT_ESCALATED
	}			kind;
	Anomaly    *anomaly;
	int64		charge_id;
	Decimal		amount;
} Effect;

/* ---- money ---- */

BjRow
bj_incidents_core_row(const DetectRow *row)
{
	BjRow		r = {0};

	/* an infinite time stays far out, where the core calls it invalid */
	r.at = row->occurred_at;
	if (r.at < PG_INT64_MAX / 2)
		r.at += BJ_EPOCH_SHIFT;
	r.quantity = bj_decimal_double(row->quantity);
	if (row->price->linear && bj_decimal_sign(row->quantity) != 0)
	{
		r.has_price = true;
		r.unit_price = bj_decimal_double(row->price->unit);
	}
	return r;
}

static Decimal
money_of(bool known, Decimal amount)
{
	return known ? amount : BJ_DECIMAL_ZERO;
}

static Position
position_of(const DetectRow *row)
{
	return row->has_before ? (Position) {true, row->before} : BJ_NOT_CHARGED;
}

bool
bj_incidents_amount(const DetectRow *row, Decimal *amount)
{
	Decimal		after;

	if (row->price->linear)
		return bj_decimal_multiply(row->quantity, row->price->unit, amount) == BJ_OK;
	return bj_decimal_add(row->before, row->quantity, &after) == BJ_OK &&
		bj_rate_between(&row->price->price, position_of(row), (Position) {true, after},
						amount) == BJ_OK;
}

/* An estimate as a decimal of few digits; false unless it is finite. */
static bool
decimal_of(double x, int digits, Decimal *value)
{
	char		text[64];

	snprintf(text, sizeof(text), "%.*g", digits, x);
	return bj_decimal_parse(text, strlen(text), value) == BJ_OK;
}

/*
 * What observed - expected units more or less come to at the end of the row's
 * position.  0 where it cannot be told.
 */
static Decimal
excess_of(const DetectRow *row, double observed, double expected)
{
	Decimal		o = row->quantity;
	Decimal		e;
	Decimal		after;
	Decimal		without;
	Decimal		excess;

	if (observed != bj_decimal_double(row->quantity) && !decimal_of(observed, EXPECTED_DIGITS, &o))
		return BJ_DECIMAL_ZERO;
	if (!decimal_of(expected, EXPECTED_DIGITS, &e) || bj_decimal_subtract(o, e, &excess) != BJ_OK)
		return BJ_DECIMAL_ZERO;
	if (row->price->linear)
		return money_of(bj_decimal_multiply(excess, row->price->unit, &excess) == BJ_OK, excess);
	return money_of(bj_decimal_add(row->before, row->quantity, &after) == BJ_OK &&
					bj_decimal_subtract(after, excess, &without) == BJ_OK &&
					bj_rate_between(&row->price->price, (Position) {true, without},
									(Position) {true, after}, &excess) == BJ_OK, excess);
}

/* The end of the month that begins at start, whatever the zone. */
static TimestampTz
month_end(TimestampTz start)
{
	Interval	month = {0, 0, 1};

	return DatumGetTimestamp(DirectFunctionCall2(timestamp_pl_interval, TimestampGetDatum(start),
												 IntervalPGetDatum(&month)));
}

/*
 * The end of the period that a row was charged in: of its subscription's, else
 * of the calendar month by the account's clock.  Where that is another period by
 * now, or cannot be told, a month after its beginning.
 */
static TimestampTz
period_end(const Incidents *in, const DetectRow *row)
{
	UsagePeriod period = {0};
	Fault		fault = {0};
	const AccountTerms *terms;

	if (bj_prices_begin() != NULL || bj_subperiods_begin() != NULL)
		return month_end(row->period_start);
	if (!bj_subperiods_any() ||
		!bj_subperiods_find(in->account, in->meter, row->occurred_at, &period, &fault))
	{
		terms = bj_prices_account(in->account.data, in->account.length);
		if (terms->zone == NULL || !bj_period_month(terms->zone, row->occurred_at, &period.span.start) ||
			!bj_period_month(terms->zone, period.span.start + 32 * USECS_PER_DAY, &period.span.end))
			return month_end(row->period_start);
	}
	return period.span.start == row->period_start ? period.span.end : month_end(row->period_start);
}

/* If it goes on to the end of the period as it has gone so far. */
static void
project(const Incidents *in, Anomaly *a, const DetectRow *row)
{
	int64		rows = Max(a->rows, 2);
	int64		between = a->last_at - a->occurred_at;
	/* the last row stands for as much time as the others */
	int64		done = Max(between + between / (rows - 1), USECS_PER_HOUR);
	int64		whole = 0;

	if (a->rows >= LASTING_ROWS && row->period_start != 0)
		whole = period_end(in, row) - a->occurred_at;
	a->has_projected = whole > done &&
		bj_decimal_multiply_divide_round(a->excess, bj_decimal_from_int64(whole),
										 bj_decimal_from_int64(done), 2,
										 BJ_ROUND_HALF_EVEN, &a->projected) == BJ_OK;
	if (a->has_projected && bj_decimal_sign(a->projected) < 0)
		a->projected = bj_decimal_negate(a->projected);
}

/*
 * Adds money to an incident.  A bucket is judged anew with each of its rows:
 * then the new figure replaces the old one.
 */
static void
add_money(Anomaly *a, TimestampTz since, TimestampTz at, Decimal excess)
{
	Decimal		total = a->excess;
	bool		same_bucket = a->rows > 0 && a->last_since == since && since < at;

	if ((same_bucket && bj_decimal_subtract(total, a->last_excess, &total) != BJ_OK) ||
		bj_decimal_add(total, excess, &total) != BJ_OK)
		return;
	a->excess = total;
	a->last_excess = excess;
	a->last_since = since;
}

static Decimal
money_at_risk(const Anomaly *a)
{
	return bj_decimal_sign(a->excess) < 0 ? bj_decimal_negate(a->excess) : a->excess;
}

/* ---- what is done ---- */

static void
add_effect(Incidents *in, int kind, Anomaly *a, int64 charge_id, Decimal amount)
{
	Effect	   *effect = palloc(sizeof(Effect));

	*effect = (Effect) {kind, a, charge_id, amount};
	in->effects = lappend(in->effects, effect);
}

/*
 * When the account's budget of the month is used up, only what is larger than
 * the least that was told.  Two streams of an account that settle at the same
 * moment may both take the last place: it is a courtesy, not a limit.
 */
static bool
within_budget(Incidents *in, const Anomaly *a, const DetectPolicy *policy)
{
	TimestampTz from = DatumGetTimestamp(DirectFunctionCall2(timestamp_trunc,
															 PointerGetDatum(cstring_to_text("month")),
															 TimestampGetDatum(a->occurred_at)));
	Decimal		least = BJ_DECIMAL_ZERO;
	int			n = bj_anomalies_notified(in->store, in->account, from, month_end(from), &least);
	ListCell   *cell;

	/* those of this stream are not written yet */
	foreach(cell, in->anomalies)
	{
		Anomaly    *other = lfirst(cell);

		if (other != a && other->is_new && other->notified)
			n++;
	}
	return n < policy->budget ||
		(n > 0 && policy->budget > 0 && bj_decimal_compare(money_at_risk(a), least) > 0);
}

static void
notify(Incidents *in, Anomaly *a, int kind)
{
	a->notified = true;
	a->notified_at = GetCurrentTimestamp();
	a->money_notified = money_at_risk(a);
	add_effect(in, kind, a, 0, BJ_DECIMAL_ZERO);
}

/* Is it as much money as its detector asks for? */
static bool
is_enough(Incidents *in, Anomaly *a, const DetectPolicy *policy)
{
	bj_detectors_minimum(in->account, a->currency, policy, &a->minimum);
	a->has_minimum = true;
	return bj_decimal_compare(money_at_risk(a), a->minimum.amount) >= 0;
}

static bool
is_worth_telling_again(const Anomaly *a)
{
	Decimal		limit;

	return bj_decimal_multiply(a->money_notified, bj_decimal_from_int64(TOLD_AGAIN), &limit) == BJ_OK &&
		bj_decimal_sign(limit) > 0 && bj_decimal_compare(money_at_risk(a), limit) >= 0;
}

/*
 * Is the row itself to be held?  After something large, usual rows belong to the
 * incident for a while, since what is smoothed has not come down.  They may be
 * billed.
 */
static bool
is_to_be_held(const Anomaly *a, const BjJudgement *j)
{
	return a->family != BJ_FAMILY_LEVEL || j->opened || j->escalated ||
		j->observed < j->lo || j->observed > j->hi;
}

/* A row has opened or raised an incident; hold: it may be held for it. */
static void
act(Incidents *in, Anomaly *a, const DetectRow *row, const DetectPolicy *policy, bool escalated,
	bool hold)
{
	Decimal		amount;

	a->changed = true;
	if (!is_enough(in, a, policy) || a->unconfirmed)
		return;
	if (policy->action == BJ_ACTION_HOLD && hold)
		add_effect(in, EFFECT_HOLD, a, row->charge_id, BJ_DECIMAL_ZERO);
	if (!a->notified)
	{
		if (within_budget(in, a, policy))
			notify(in, a, EFFECT_OPENED);
		else
			return;
	}
	else if (escalated || is_worth_telling_again(a))
		notify(in, a, EFFECT_ESCALATED);
	else
		return;
	/* what is too much, and no more than was charged; too little is no credit */
	if (policy->action == BJ_ACTION_PROPOSE && bj_incidents_amount(row, &amount))
	{
		if (bj_decimal_compare(a->last_excess, amount) < 0)
			amount = a->last_excess;
		if (bj_decimal_sign(amount) > 0)
			add_effect(in, EFFECT_PROPOSE, a, row->charge_id, amount);
	}
}

/*
 * There is no row to be held or refused; only a wrong price comes with what
 * would mend it.
 */
bool
bj_incidents_found(Incidents *in, Anomaly *a, bool has_money)
{
	DetectPolicy policy;

	bj_detectors_policy(in->account, in->meter, a->rule, &policy);
	if (policy.off || a->score < policy.threshold)
		return false;
	if (policy.action != BJ_ACTION_PROPOSE || strcmp(a->rule, BJ_RULE_OFF_CONTRACT) != 0 ||
		a->period_start == 0)
		policy.action = BJ_ACTION_FLAG;
	a->detector_id = policy.detector_id;
	a->action = policy.action;
	in->loaded = true;
	in->anomalies = lappend(in->anomalies, a);
	if ((has_money && !is_enough(in, a, &policy)) ||
		!within_budget(in, a, &policy))
		return true;
	notify(in, a, EFFECT_OPENED);
	if (policy.action == BJ_ACTION_PROPOSE && bj_decimal_sign(a->excess) != 0)
		add_effect(in, EFFECT_PROPOSE, a, 0, a->excess);
	return true;
}

/* ---- incidents ---- */

static void
load(Incidents *in)
{
	ListCell   *cell;

	if (in->loaded || in->store == NULL)
		return;
	in->loaded = true;
	in->anomalies = bj_anomalies_open_of(in->store, in->account, in->meter);
	foreach(cell, in->anomalies)
	{
		Anomaly    *a = lfirst(cell);

		/* what detect_due() told of a stream is not yet the stream's own */
		if (a->family == BJ_FAMILY_LEVEL && bj_baseline_has_incident(&in->stream.baseline))
			in->level = a;
	}
}

/* The open incident of a family; of single rows that of a rule and day. */
static Anomaly *
find_open(Incidents *in, BjFamily family, const char *rule, TimestampTz closes_at)
{
	ListCell   *cell;

	load(in);
	foreach(cell, in->anomalies)
	{
		Anomaly    *a = lfirst(cell);

		if (a->family == family && a->outcome == BJ_OUTCOME_OPEN &&
			(rule == NULL || (strcmp(a->rule, rule) == 0 && a->closes_at == closes_at)))
			return a;
	}
	return NULL;
}

static TimestampTz
server_time(int64 at)
{
	return at - BJ_EPOCH_SHIFT;
}

/* The first midnight, of UTC, after it: the core counts days so too. */
static TimestampTz
midnight_after(TimestampTz at)
{
	return (at / USECS_PER_DAY - (at % USECS_PER_DAY < 0) + 1) * USECS_PER_DAY;
}

/*
 * A row belongs to the day on which the stream has it, which of one that comes
 * late is not its own.  A stream of no other row has no clock yet.
 */
static TimestampTz
clock_of(const BjBaseline *baseline, const DetectRow *row)
{
	if (bj_baseline_rows(baseline) > 0)
		return server_time(bj_baseline_newest(baseline));
	return TIMESTAMP_NOT_FINITE(row->occurred_at) ? GetCurrentTimestamp() :
		Min(row->occurred_at, GetCurrentTimestamp());
}

/* {"peers": {"group": …, "accounts": …, "own_rows": …}}; no group: all of the meter */
static Jsonb *
peers_detail(const BjPeer *peer, const BjJudgement *j)
{
	StringInfoData text;

	initStringInfo(&text);
	appendStringInfoString(&text, "{\"peers\": {\"group\": ");
	escape_json(&text, bj_detectors_peer_group(peer));
	appendStringInfo(&text, ", \"accounts\": %d, \"own_rows\": %d}}", peer->accounts, j->own_rows);
	return DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(text.data)));
}

static Anomaly *
open_anomaly(Incidents *in, const DetectRow *row, const BjJudgement *j,
			 BjFamily family, const char *rule, const DetectPolicy *policy)
{
	Anomaly    *a;

	load(in);
	if (in->store == NULL)
		return NULL;
	a = bj_anomalies_new(in->account, in->meter);
	a->occurred_at = a->last_at = row->occurred_at;
	a->rule = rule;
	a->family = family;
	a->score = a->peak_score = j->score;
	a->expected = j->expected;
	a->lower_bound = j->lo;
	a->upper_bound = j->hi;
	a->observed = j->observed;
	/* a rule for single rows says nothing of what the stream's own may be */
	a->ratio = family == BJ_FAMILY_ROW ? 0 : j->ratio;
	a->unit_factor = family == BJ_FAMILY_LEVEL ? j->unit : 0;
	a->lag_hours = j->lag_hours;
	a->since = server_time(j->since);
	a->longest = j->longest;
	a->detector_id = policy->detector_id;
	a->action = policy->action;
	a->charge_id = row->charge_id;
	a->period_start = row->period_start;
	if (family == BJ_FAMILY_ROW)
		a->closes_at = midnight_after(in->clock);
	strlcpy(a->currency, row->price->price.currency, sizeof(a->currency));
	if (family == BJ_FAMILY_LEVEL && j->by_peers)
		a->detail = peers_detail(in->detect.peer, j);
	in->anomalies = lappend(in->anomalies, a);
	return a;
}

static void
raise_anomaly(Incidents *in, Anomaly *a, const DetectRow *row, const BjJudgement *j,
			  TimestampTz since, Decimal excess, const DetectPolicy *policy)
{
	add_money(a, since, row->occurred_at, excess);
	a->rows++;
	a->last_at = Max(a->last_at, row->occurred_at);
	a->peak_score = Max(a->peak_score, j->score);
	if (a->family == BJ_FAMILY_LEVEL || a->family == BJ_FAMILY_PRICE)
		project(in, a, row);
	act(in, a, row, policy, j->escalated, is_to_be_held(a, j));
}

static void
close_anomaly(Incidents *in, Anomaly *a, BjOutcome outcome, const char *because)
{
	a->outcome = outcome;
	a->closed_because = because;
	a->has_projected = false;
	a->closed_at = GetCurrentTimestamp();
	a->trusted = NULL;
	a->changed = true;
	if (in->level == a)
		in->level = NULL;
}

static void
close_level(Incidents *in, BjOutcome outcome)
{
	close_anomaly(in, in->level, outcome,
				  outcome == BJ_OUTCOME_PASSED ? BJ_BECAUSE_USUAL : BJ_BECAUSE_STAYED);
}

/* What waits to be looked up waits on: nobody was told of it yet. */
bool
bj_incidents_days(Incidents *in, TimestampTz now)
{
	ListCell   *cell;
	bool		any = false;

	load(in);
	foreach(cell, in->anomalies)
	{
		Anomaly    *a = lfirst(cell);

		if (a->family != BJ_FAMILY_ROW || a->outcome != BJ_OUTCOME_OPEN || a->unconfirmed ||
			a->closes_at == 0 || a->closes_at > now)
			continue;
		close_anomaly(in, a, BJ_OUTCOME_PASSED, BJ_BECAUSE_DAY);
		any = true;
	}
	return any;
}

/*
 * Nothing of it is to be said: then what goes on is learned as usual, since
 * nobody keeps what was trusted before.
 */
static void
drop_incident(Incidents *in)
{
	in->stream.incident.open = true;
	in->stream.incident.channel = BJ_CHANNELS;
	bj_stream_judge(&in->stream, BJ_VERDICT_EXPECTED);
}

static const char *
level_rule(const BjJudgement *j)
{
	if (j->family == BJ_FAMILY_LEVEL && j->reason != BJ_REASON_NONE)
		return bj_reason_name(j->reason);
	return bj_reason_name(j->observed >= j->expected ? BJ_REASON_SPIKE : BJ_REASON_DROP);
}

/*
 * A row that opens the incident, and of which a rule for single rows had more to
 * say: the judgement is that rule's, and has no range.
 */
static BjJudgement
as_level(const Incidents *in, const BjJudgement *j)
{
	BjJudgement level = *j;

	level.family = BJ_FAMILY_LEVEL;
	level.reason = BJ_REASON_NONE;
	level.score = bj_score_of_decades(in->stream.incident.peak);
	level.since = in->stream.incident.opened_at;
	level.lo = level.hi = NAN;
	bj_incident_peak(&in->stream, &level.observed, &level.expected);
	level.ratio = level.expected > 0 ? level.observed / level.expected : 0;
	return level;
}

static void
level(Incidents *in, const DetectRow *row, const BjJudgement *judgement)
{
	bool		other = judgement->family == BJ_FAMILY_ROW;
	BjJudgement own = other && judgement->opened ? as_level(in, judgement) : *judgement;
	const BjJudgement *j = &own;
	DetectPolicy policy;

	if (in->level != NULL && j->closed != BJ_OUTCOME_OPEN)
		close_level(in, j->closed);
	if (j->opened)
	{
		const char *rule = level_rule(j);

		/* one is open still if the baseline was begun anew under it */
		load(in);
		if (in->level != NULL)
			close_anomaly(in, in->level, BJ_OUTCOME_NEW_NORMAL, BJ_BECAUSE_ANEW);
		bj_detectors_policy(in->account, in->meter, rule, &policy);
		if (policy.off || j->score < policy.threshold)
		{
			drop_incident(in);
			return;
		}
		in->level = find_open(in, BJ_FAMILY_LEVEL, NULL, 0);
		if (in->level == NULL)
			in->level = open_anomaly(in, row, j, BJ_FAMILY_LEVEL, rule, &policy);
	}
	else if (in->level != NULL && j->abnormal)
		bj_detectors_policy(in->account, in->meter, in->level->rule, &policy);
	if (in->level != NULL && (j->opened || j->abnormal))
		raise_anomaly(in, in->level, row, j, server_time(j->since),
					  other && !j->opened ? BJ_DECIMAL_ZERO : excess_of(row, j->observed, j->expected),
					  &policy);
	/* the stream began anew, or all happened within one row */
	if (in->level != NULL && !in->stream.incident.open)
	{
		if (j->closed != BJ_OUTCOME_OPEN)
			close_level(in, j->closed);
		else
			close_anomaly(in, in->level, BJ_OUTCOME_NEW_NORMAL, BJ_BECAUSE_ANEW);
	}
}

/* Silence from j->since to `end`, as an incident has it. */
static void
raise_gap(Incidents *in, Anomaly *a, const DetectRow *row, const BjJudgement *j, TimestampTz end,
		  const DetectPolicy *policy)
{
	double		seconds = (double) (end - server_time(j->since)) / USECS_PER_SEC;
	double		missing = j->longest > 0 ? seconds / j->longest - 1 : 0;
	/* what was usual before a fault, not what it left in the forecasts */
	const BjBaseline *usual = in->stream.incident.open ? &in->stream.incident.trusted : &in->stream.baseline;
	bool		told = a != NULL;
	BjJudgement g = *j;

	g.observed = seconds;
	g.expected = g.lo = g.hi = j->longest;
	g.ratio = j->longest > 0 ? seconds / j->longest : 0;
	if (a == NULL)
		a = open_anomaly(in, row, &g, BJ_FAMILY_CADENCE, bj_reason_name(BJ_REASON_GAP), policy);
	if (a != NULL)
		raise_anomaly(in, a, row, &g, server_time(j->since),
					  excess_of(row, 0, missing * bj_baseline_expected(usual, end + BJ_EPOCH_SHIFT)),
					  policy);
	/* it is one gap, however often it was told of */
	if (told)
		a->rows = 1;
}

/* The first row after silence: it ends what detect_due() told of, or tells it. */
static void
gap(Incidents *in, const DetectRow *row, const BjJudgement *j)
{
	Anomaly    *a = find_open(in, BJ_FAMILY_CADENCE, NULL, 0);
	DetectPolicy policy;

	bj_detectors_policy(in->account, in->meter, bj_reason_name(BJ_REASON_GAP), &policy);
	if (a == NULL && (policy.off || j->score < policy.threshold))
		return;
	raise_gap(in, a, row, j, row->occurred_at, &policy);
	a = find_open(in, BJ_FAMILY_CADENCE, NULL, 0);
	if (a != NULL)
		close_anomaly(in, a, BJ_OUTCOME_PASSED, BJ_BECAUSE_ROWS);
}

static bool
is_off_price(const Incidents *in, const BjJudgement *j, double unit_price)
{
	double		off = unit_price - j->price_expected;

	return (off < 0 ? -off : off) > in->detect.price_tolerance * j->price_expected;
}

static void
price(Incidents *in, const DetectRow *row, const BjRow *r, const BjJudgement *j)
{
	Anomaly    *a = find_open(in, BJ_FAMILY_PRICE, NULL, 0);
	const char *rule = bj_reason_name(BJ_REASON_PRICE);
	bool		off = is_off_price(in, j, r->unit_price);
	BjJudgement p = *j;
	DetectPolicy policy;
	Decimal		usual;
	Decimal		excess;

	bj_detectors_policy(in->account, in->meter, rule, &policy);
	if ((a == NULL && (!j->price_opened || policy.off)) ||
		!decimal_of(j->price_expected, PRICE_DIGITS, &usual))
		return;
	p.observed = r->unit_price;
	p.expected = bj_decimal_double(usual);
	p.lo = j->price_expected * (1 - in->detect.price_tolerance);
	p.hi = j->price_expected * (1 + in->detect.price_tolerance);
	p.ratio = r->unit_price / j->price_expected;
	p.score = Max(j->score, in->detect.threshold);
	p.since = r->at;
	if (a == NULL)
		a = open_anomaly(in, row, &p, BJ_FAMILY_PRICE, rule, &policy);
	if (a != NULL && off &&
		bj_decimal_subtract(row->price->unit, usual, &excess) == BJ_OK &&
		bj_decimal_multiply(excess, row->quantity, &excess) == BJ_OK)
		raise_anomaly(in, a, row, &p, row->occurred_at, excess, &policy);
	if (a != NULL && j->price_closed)
		close_anomaly(in, a, off ? BJ_OUTCOME_NEW_NORMAL : BJ_OUTCOME_PASSED,
					  off ? BJ_BECAUSE_STAYED : BJ_BECAUSE_USUAL);
}

/*
 * What repeats other rows: the first of them is looked up at the end, the others
 * of its day have no score of their own and go with it.
 */
static void
note_repeat(Incidents *in, const DetectRow *row, const BjJudgement *j, const char *rule,
	   const DetectPolicy *policy)
{
	bool		first = j->score >= policy->threshold;
	Anomaly    *a = find_open(in, BJ_FAMILY_ROW, rule, midnight_after(in->clock));
	Decimal		amount = BJ_DECIMAL_ZERO;
	Repeat	   *r;

	if (a != NULL && (in->repeats == NIL || first))
	{
		bj_incidents_amount(row, &amount);
		raise_anomaly(in, a, row, j, row->occurred_at, amount, policy);
	}
	else if (first || in->repeats != NIL)
	{
		r = palloc(sizeof(Repeat));
		*r = (Repeat) {row, *j, midnight_after(in->clock), first};
		in->repeats = lappend(in->repeats, r);
		bj_baseline_mark_row_rule(&in->stream.baseline, true);
	}
}

/* {"confirmed": …, "repeats": {"event_key": …, "charge_id": …, "received_at": …}} */
static Jsonb *
repeats_detail(const ChargedTwin *twin)
{
	StringInfoData text;
	char		at[MAXDATELEN + 1];
	int			utc = 0;

	initStringInfo(&text);
	appendStringInfo(&text, "{\"" BJ_CONFIRMED "\": %s",
					 twin->answer == BJ_CHARGED_BEFORE ? "true" : "false");
	if (twin->answer == BJ_CHARGED_BEFORE)
	{
		JsonEncodeDateTime(at, TimestampTzGetDatum(twin->twin_created_at), TIMESTAMPTZOID, &utc);
		appendStringInfoString(&text, ", \"repeats\": {\"event_key\": ");
		escape_json(&text, pnstrdup(twin->twin_key.data, twin->twin_key.length));
		appendStringInfo(&text, ", \"charge_id\": " INT64_FORMAT ", \"received_at\": \"%s\"}",
						 twin->twin_id, at);
	}
	appendStringInfoChar(&text, '}');
	return DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(text.data)));
}

void
bj_incidents_repeated(Incidents *in, List *repeats, const ChargedTwin *twin)
{
	const char *rule = bj_reason_name(BJ_REASON_DUPLICATE);
	const Repeat *first = linitial(repeats);
	Anomaly    *a = find_open(in, BJ_FAMILY_ROW, rule, first->closes_at);
	DetectPolicy policy;
	ListCell   *cell;

	bj_detectors_policy(in->account, in->meter, rule, &policy);
	if (a == NULL)
	{
		a = open_anomaly(in, first->row, &first->judgement, BJ_FAMILY_ROW, rule, &policy);
		a->closes_at = first->closes_at;
		a->detail = repeats_detail(twin);
		a->unconfirmed = twin->answer != BJ_CHARGED_BEFORE;
	}
	foreach(cell, repeats)
	{
		const Repeat *r = lfirst(cell);
		Decimal		amount = BJ_DECIMAL_ZERO;

		bj_incidents_amount(r->row, &amount);
		raise_anomaly(in, a, r->row, &r->judgement, r->row->occurred_at, amount, &policy);
	}
	/* rows of another day came in the same transaction */
	bj_incidents_days(in, in->clock);
}

/*
 * Nothing is held or proposed so late: the charge may be on a bill.  Its day may
 * have passed; whoever is told now has a day to see it among the open ones.
 */
bool
bj_incidents_confirmed(Incidents *in, int64 anomaly_id, Jsonb *twin)
{
	DetectPolicy policy;
	DetectRow	row = {0};
	ListCell   *cell;

	load(in);
	foreach(cell, in->anomalies)
	{
		Anomaly    *a = lfirst(cell);

		if (a->anomaly_id != anomaly_id || !a->unconfirmed)
			continue;
		a->unconfirmed = false;
		if (twin == NULL)
		{
			close_anomaly(in, a, BJ_OUTCOME_PASSED, BJ_BECAUSE_NO_REPETITION);
			return true;
		}
		a->detail = twin;
		a->closes_at = Max(a->closes_at, midnight_after(GetCurrentTimestamp()));
		bj_detectors_policy(in->account, in->meter, a->rule, &policy);
		policy.action = BJ_ACTION_FLAG;
		act(in, a, &row, &policy, false, false);
		return true;
	}
	return false;
}

/* One incident a rule and day. */
static void
row_rules(Incidents *in, const DetectRow *row, const BjJudgement *j)
{
	Decimal		amount = BJ_DECIMAL_ZERO;

	bj_incidents_amount(row, &amount);
	for (int reason = 0; reason < BJ_REASON_COUNT; reason++)
	{
		const char *rule = bj_reason_name((BjReason) reason);
		DetectPolicy policy;
		Anomaly    *a;

		if ((j->rules & (1u << reason)) == 0)
			continue;
		bj_detectors_policy(in->account, in->meter, rule, &policy);
		if (policy.off)
			continue;
		if (reason == BJ_REASON_DUPLICATE)
		{
			note_repeat(in, row, j, rule, &policy);
			continue;
		}
		if (j->score < policy.threshold)
			continue;
		a = find_open(in, BJ_FAMILY_ROW, rule, midnight_after(in->clock));
		if (a == NULL)
			a = open_anomaly(in, row, j, BJ_FAMILY_ROW, rule, &policy);
		bj_baseline_mark_row_rule(&in->stream.baseline, true);
		if (a != NULL)
			raise_anomaly(in, a, row, j, row->occurred_at, amount, &policy);
	}
}

void
bj_incidents_begin(Incidents *in)
{
	if (!bj_baseline_has_incident(&in->stream.baseline))
		return;
	load(in);
	if (in->level != NULL && in->level->trusted != NULL)
		in->stream.incident = *in->level->trusted;
	else
	{
		/* its bytes are no incident, or somebody removed the row */
		if (in->level != NULL)
			close_anomaly(in, in->level, BJ_OUTCOME_NEW_NORMAL, BJ_BECAUSE_ANEW);
		drop_incident(in);
	}
}

void
bj_incidents_row(Incidents *in, const DetectRow *row)
{
	BjRow		r = bj_incidents_core_row(row);
	TimestampTz before;
	BjJudgement j;

	/* those after the end of a bucket mostly are of the next, and no more */
	if (bj_stream_absorb(&in->stream.baseline, &in->detect, &r))
		return;
	before = clock_of(&in->stream.baseline, row);
	bj_stream_observe(&in->stream, &in->detect, &r, &j);
	in->clock = clock_of(&in->stream.baseline, row);
	if (in->store == NULL)
	{
		if (j.opened)
			drop_incident(in);
		return;
	}
	if (bj_baseline_has_row_rule(&in->stream.baseline) && in->clock >= midnight_after(before))
	{
		bj_incidents_days(in, in->clock);
		bj_baseline_mark_row_rule(&in->stream.baseline, false);
	}
	if (j.opened || in->level != NULL)
		level(in, row, &j);
	if (j.gap_closed)
		gap(in, row, &j);
	if (r.has_price && j.price_expected > 0 &&
		(j.price_opened || j.price_closed || is_off_price(in, &j, r.unit_price)))
		price(in, row, &r, &j);
	if (j.rules != 0)
		row_rules(in, row, &j);
}

/*
 * Without a row nothing can be held, proposed or refused.  An incident that the
 * stream has itself is left to its next row, which says the same.
 */
bool
bj_incidents_silent(Incidents *in, const DetectRow *row, TimestampTz now, const BjJudgement *j)
{
	Anomaly    *gap_open = find_open(in, BJ_FAMILY_CADENCE, NULL, 0);
	Anomaly    *level_open = find_open(in, BJ_FAMILY_LEVEL, NULL, 0);
	bool		own = bj_baseline_has_incident(&in->stream.baseline);
	bool		gap_due = j != NULL && j->gap_closed;
	bool		level_due = j != NULL && j->opened;
	const char *rule = gap_due ? bj_reason_name(BJ_REASON_GAP) : level_due ? level_rule(j) : NULL;
	DetectPolicy policy;
	ListCell   *cell;

	/* rows came after all */
	if (level_open != NULL && !own && !level_due)
		close_anomaly(in, level_open, BJ_OUTCOME_PASSED, BJ_BECAUSE_ROWS);
	if (gap_open != NULL && (!gap_due || server_time(j->since) > gap_open->since))
	{
		close_anomaly(in, gap_open, BJ_OUTCOME_PASSED, BJ_BECAUSE_ROWS);
		gap_open = NULL;
	}
	if (rule != NULL && (gap_due ? gap_open == NULL : level_open == NULL && !own))
	{
		bj_detectors_policy(in->account, in->meter, rule, &policy);
		policy.action = BJ_ACTION_FLAG;
		if (!policy.off && j->score >= policy.threshold && gap_due)
			raise_gap(in, NULL, row, j, now, &policy);
		else if (!policy.off && j->score >= policy.threshold)
		{
			Anomaly    *a = open_anomaly(in, row, j, BJ_FAMILY_LEVEL, rule, &policy);

			if (a != NULL)
				raise_anomaly(in, a, row, j, server_time(j->since),
							  excess_of(row, j->observed, j->expected), &policy);
		}
	}
	foreach(cell, in->anomalies)
		if (((Anomaly *) lfirst(cell))->changed)
			return true;
	return false;
}

bool
bj_incidents_judged(Incidents *in, int64 anomaly_id, BjVerdict verdict)
{
	ListCell   *cell;

	load(in);
	foreach(cell, in->anomalies)
	{
		Anomaly    *a = lfirst(cell);

		if (a->anomaly_id != anomaly_id)
			continue;
		if (a == in->level)
			bj_stream_judge(&in->stream, verdict);
		close_anomaly(in, a, BJ_OUTCOME_JUDGED, BJ_BECAUSE_VERDICT);
		return true;
	}
	return false;
}

/* The stream begins anew: what is open of its level is usual from now on. */
void
bj_incidents_forget(Incidents *in)
{
	if (in->level != NULL)
		close_anomaly(in, in->level, BJ_OUTCOME_NEW_NORMAL, BJ_BECAUSE_ANEW);
}

static void
do_effect(const Effect *effect)
{
	switch (effect->kind)
	{
		case EFFECT_HOLD:
			bj_anomalies_hold(effect->anomaly, effect->charge_id);
			break;
		case EFFECT_PROPOSE:
			bj_anomalies_propose(effect->anomaly, effect->charge_id, effect->amount);
			break;
		case EFFECT_OPENED:
			bj_anomalies_tell(effect->anomaly, "anomaly_opened");
			break;
		case EFFECT_ESCALATED:
			bj_anomalies_tell(effect->anomaly, "anomaly_escalated");
			break;
	}
}

void
bj_incidents_end(Incidents *in)
{
	ListCell   *cell;

	if (in->level != NULL)
	{
		in->level->trusted = &in->stream.incident;
		in->level->changed = true;
	}
	foreach(cell, in->anomalies)
		bj_anomalies_write(in->store, lfirst(cell));
	foreach(cell, in->effects)
		do_effect(lfirst(cell));
	bj_duplicates_add(in->duplicates, in);
}
