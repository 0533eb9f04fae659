/*
 * recurring.c
 *	  From a subscription's timeline to what is to be charged.
 *
 * Touches no table: the store has read the timeline, and whoever asks writes
 * what comes out.  That is why a preview and the charge itself cannot differ.
 */
#include "postgres.h"

#include "datatype/timestamp.h"

#include "core/rate.h"
#include "errors.h"
#include "recurring.h"

/* decimals of a full amount that a discount makes endless */
#define FULL_SCALE 12

/* What belongs to a line besides what the core knows of it. */
typedef struct LineInfo
{
	const PlanPrice *price;
	Decimal		quantity;
	int64		term_id;
	Span		covers;
} LineInfo;

/* The lines of one period. */
typedef struct Lines
{
	int			n;
	RecurringLine line[BJ_MAX_LINES];
	LineInfo	info[BJ_MAX_LINES];
	int			nparts;
	RecurringPart part[BJ_MAX_LINES * 2];
} Lines;

typedef struct Work
{
	Timeline   *timeline;
	const RecurringWindow *window;
	DifferenceSink sink;
	void	   *to;
	TimestampTz posting;		/* start of the period that contains posting_at */
	Lines		lines;
} Work;

static Span
overlap(Span a, Span b)
{
	return (Span) {Max(a.start, b.start), Min(a.end, b.end)};
}

/* ---- periods ---- */

static void
cut_period(const BillingCycle *c, const Cycle *cycle, CutPeriod *p)
{
	bj_check(bj_cycles_cut(c, cycle, p));
}

/* The last period that was found, and of what; the rules of zones never change. */
static struct
{
	Every		every;
	TimestampTz anchor;
	void	   *rules;
	Period		period;
}			memo;

/*
 * Of a hundred thousand subscriptions many have the periods of the one before.
 * Where a cycle ends with a seam its last period is not what it seems.
 */
static void
find_period(const BillingCycle *c, const Cycle *cycle, TimestampTz at, CutPeriod *p)
{
	if (at >= memo.period.start && at < memo.period.end && !c->seam &&
		memo.anchor == c->anchor && memo.rules == c->clock.rules &&
		memo.every.months == c->every.months && memo.every.days == c->every.days &&
		memo.every.microseconds == c->every.microseconds)
	{
		p->period = memo.period;
		cut_period(c, cycle, p);
		return;
	}
	bj_check(bj_cycles_find(c, cycle, at, p));
	memo.period = p->period;
	memo.anchor = c->anchor;
	memo.rules = c->clock.rules;
	memo.every = c->every;
}

static Cycle
make_cycle(const BillingCycle *c)
{
	Cycle		cycle;

	bj_check(bj_cycle_init(&cycle, &c->clock, c->anchor, c->every));
	return cycle;
}

static const BillingCycle *
cycle_at(const Timeline *t, TimestampTz at)
{
	for (int i = 0; i < t->ncycles; i++)
		if (at >= t->cycles[i].valid.start && at < t->cycles[i].valid.end)
			return &t->cycles[i];
	return NULL;
}

/* The first instant of the period that contains at, or of the nearest one. */
static TimestampTz
period_start_at(const Timeline *t, TimestampTz at)
{
	const BillingCycle *c;
	Cycle		cycle;
	CutPeriod	p;

	if (t->ncycles == 0)
		return at;
	at = Max(at, t->cycles[0].valid.start);
	at = Min(at, t->cycles[t->ncycles - 1].valid.end - 1);
	c = cycle_at(t, at);
	if (c == NULL)
		return at;
	cycle = make_cycle(c);
	find_period(c, &cycle, at, &p);
	return p.cut.start;
}

/* ---- lines ---- */

/*
 * When term i is in force, by what is known at an instant: until the next one
 * that begins not later, or the end of all that follow without a gap.
 */
static Span
in_force(const Timeline *t, int i, TimestampTz at)
{
	Span		span = t->terms[i].valid;

	if (span.start > at)
		return (Span) {0, 0};
	for (int j = i + 1; j < t->nterms && t->terms[j].valid.start == span.end &&
		 t->terms[j].valid.start > at; j++)
		span.end = t->terms[j].valid.end;
	return span;
}

/* Does the plan begin with term i?  A trial before it does not count. */
static bool
begins_plan(const Timeline *t, int i)
{
	for (int j = i - 1; j >= 0; j--)
	{
		if (t->terms[j].valid.end != t->terms[j + 1].valid.start ||
			t->terms[j].plan != t->terms[i].plan)
			return true;
		if (t->terms[j].state != BJ_TERM_TRIAL)
			return false;
	}
	return true;
}

static Decimal
full_amount(const PlanPrice *price, const Term *term)
{
	Position	nothing = BJ_NOT_CHARGED;
	Decimal		amount;
	Decimal		rest;

	bj_check(bj_rate(&price->price, nothing, price->per_unit ? term->quantity :
					 bj_decimal_from_int64(1), &amount));
	if (bj_decimal_sign(term->discount) == 0)
		return amount;
	bj_check(bj_decimal_subtract(bj_decimal_from_int64(100), term->discount, &rest));
	bj_check(bj_decimal_multiply_divide(amount, rest, bj_decimal_from_int64(100),
										FULL_SCALE, BJ_ROUND_HALF_EVEN, &amount));
	return amount;
}

/* Is the price charged for the term in this period? */
static bool
applies(const Timeline *t, int i, const PlanPrice *price, Span cut)
{
	const Term *term = &t->terms[i];

	if (term->priced_at < price->valid.start || term->priced_at >= price->valid.end)
		return false;
	if (price->kind == BJ_KIND_ONE_OFF)
		return term->state == BJ_TERM_ACTIVE && begins_plan(t, i) &&
			term->valid.start >= cut.start && term->valid.start < cut.end;
	return term->state == BJ_TERM_ACTIVE ||
		(term->state == BJ_TERM_FORFEITED && !price->arrears);
}

static int
line_for(Lines *lines, const PlanPrice *price, Decimal quantity, Decimal full, int first)
{
	RecurringLine *line;

	for (int i = first; i < lines->n; i++)
		if (lines->info[i].price == price &&
			bj_decimal_compare(lines->info[i].quantity, quantity) == 0 &&
			bj_decimal_compare(lines->line[i].full, full) == 0)
			return i;
	if (lines->n == BJ_MAX_LINES)
		bj_check(BJ_TOO_MANY_STEPS);
	line = &lines->line[lines->n];
	line->full = full;
	line->once = price->kind == BJ_KIND_ONE_OFF;
	lines->info[lines->n] = (LineInfo) {price, quantity, 0, {PG_INT64_MAX, PG_INT64_MIN}};
	return lines->n++;
}

static void
add_part(Lines *lines, int line, Span span, int64 term_id)
{
	LineInfo   *info = &lines->info[line];
	RecurringPart *last = lines->nparts > 0 ? &lines->part[lines->nparts - 1] : NULL;

	info->term_id = term_id;
	info->covers.start = Min(info->covers.start, span.start);
	info->covers.end = Max(info->covers.end, span.end);
	if (last != NULL && last->line == line && last->span.end == span.start)
		last->span.end = span.end;
	else if (lines->nparts == lengthof(lines->part))
		bj_check(BJ_TOO_MANY_STEPS);
	else
		lines->part[lines->nparts++] = (RecurringPart) {span, line};
}

/* The parts of one plan's price, in the order of the terms. */
static void
add_price(Work *w, const BillingPlan *plan, const PlanPrice *price, Span cut, int first)
{
	Timeline   *t = w->timeline;

	for (int i = 0; i < t->nterms; i++)
	{
		const Term *term = &t->terms[i];
		Span		span;
		Decimal		full;

		if (term->plan != plan || !applies(t, i, price, cut))
			continue;
		span = overlap(in_force(t, i, w->window->at), cut);
		if (span.start >= span.end)
			continue;
		full = full_amount(price, term);
		if (bj_decimal_sign(full) == 0)
			continue;
		add_part(&w->lines,
				 line_for(&w->lines, price, price->per_unit ? term->quantity :
						  bj_decimal_from_int64(1), full, first),
				 span, term->term_id);
	}
}

/* All lines of a period, plan by plan: each has its own day count. */
static void
period_lines(Work *w, const BillingCycle *c, const CutPeriod *p)
{
	Timeline   *t = w->timeline;

	w->lines.n = 0;
	for (int i = 0; i < t->nterms; i++)
	{
		const BillingPlan *plan = t->terms[i].plan;
		RecurringRule rule = plan->rule;
		int			first = w->lines.n;
		bool		done = false;

		for (int j = 0; j < i; j++)
			done |= t->terms[j].plan == plan;
		if (done)
			continue;
		w->lines.nparts = 0;
		for (int k = 0; k < plan->nprices; k++)
			add_price(w, plan, &plan->prices[k], p->cut, first);
		for (int k = 0; k < w->lines.nparts; k++)
			w->lines.part[k].line -= first;
		rule.clock = &c->clock;
		bj_check(bj_recurring_amounts(&rule, p->whole, w->lines.part, w->lines.nparts,
									  &w->lines.line[first], w->lines.n - first));
	}
}

/* ---- differences ---- */

static bool
is_due(const PlanPrice *price, Span cut, TimestampTz at)
{
	return price == NULL || !price->arrears || cut.end <= at;
}

static BilledLine *
billed_for(Timeline *t, TimestampTz period_start, const LineInfo *info, Decimal full)
{
	for (int i = 0; i < t->nbilled; i++)
		if (t->billed[i].period_start == period_start &&
			t->billed[i].plan_price_id == info->price->plan_price_id &&
			bj_decimal_compare(t->billed[i].quantity, info->quantity) == 0 &&
			bj_decimal_compare(t->billed[i].full, full) == 0)
			return &t->billed[i];
	return NULL;
}

/*
 * The first charge of a price is the period's own; what comes to it or replaces
 * another later is proration.
 */
static const char *
cause_of(const Timeline *t, TimestampTz period_start, const PlanPrice *price)
{
	for (int i = 0; i < t->nbilled; i++)
		if (t->billed[i].period_start == period_start &&
			(t->billed[i].plan_price_id == price->plan_price_id ||
			 (!price->arrears &&
			  (t->billed[i].price == NULL || !t->billed[i].price->arrears))))
			return "proration";
	return "recurring";
}

/* What a line that covered was and covers now gained or lost. */
static Span
changed_span(Span was, Span now)
{
	if (now.start >= now.end)
		return was;
	if (was.start == now.start && was.end != now.end)
		return (Span) {Min(was.end, now.end), Max(was.end, now.end)};
	if (was.end == now.end && was.start != now.start)
		return (Span) {Min(was.start, now.start), Max(was.start, now.start)};
	return (Span) {Min(was.start, now.start), Max(was.end, now.end)};
}

/* Completes a difference and hands it on, unless it is nothing. */
static void
give(Work *w, const BilledLine *b, Difference *d)
{
	bj_check(bj_decimal_subtract(d->should_be, d->billed, &d->amount));
	if (b != NULL && bj_decimal_sign(d->amount) < 0)
	{
		Decimal		left;

		bj_check(bj_decimal_add(b->amount, b->credited, &left));
		if (bj_decimal_sign(left) < 0)
			left = BJ_DECIMAL_ZERO;
		if (bj_decimal_compare(bj_decimal_negate(left), d->amount) > 0)
			d->amount = bj_decimal_negate(left);
	}
	if (bj_decimal_sign(d->amount) == 0)
		return;
	d->covers = b == NULL ? d->line_covers : changed_span(b->covers, d->line_covers);
	if (b != NULL && d->line_covers.start >= d->line_covers.end)
		d->line_covers = b->covers;
	d->posted_period_start = strcmp(d->cause, "recurring") == 0 ? d->period_start :
		Max(d->period_start, w->posting);
	w->sink(w->to, w->timeline, d);
}

static void
line_difference(Work *w, int i, Span cut)
{
	const LineInfo *info = &w->lines.info[i];
	const RecurringLine *line = &w->lines.line[i];
	BilledLine *b = billed_for(w->timeline, cut.start, info, line->full);
	Difference	d = {0};

	if (b != NULL)
		b->seen = true;
	if (!is_due(info->price, cut, w->window->at))
		return;
	d.term_id = info->term_id;
	d.plan_price_id = info->price->plan_price_id;
	d.period_start = cut.start;
	d.period_end = cut.end;
	d.due_at = info->price->arrears ? cut.end : info->covers.start;
	d.line_covers = info->covers;
	d.quantity = info->quantity;
	d.full = line->full;
	d.share = line->share;
	d.should_be = line->amount;
	d.billed = b == NULL ? BJ_DECIMAL_ZERO : b->amount;
	d.cause = cause_of(w->timeline, cut.start, info->price);
	d.fresh = b == NULL;
	give(w, b, &d);
}

/* A line that was billed and is not there any more. */
static void
gone_difference(Work *w, BilledLine *b, Span cut)
{
	Difference	d = {0};

	b->seen = true;
	if (!is_due(b->price, cut, w->window->at))
		return;
	d.plan_price_id = b->plan_price_id;
	d.period_start = cut.start;
	d.period_end = cut.end;
	d.due_at = b->covers.start;
	d.quantity = b->quantity;
	d.full = b->full;
	d.share = (Share) {0, 1};
	d.should_be = BJ_DECIMAL_ZERO;
	d.billed = b->amount;
	d.cause = "proration";
	give(w, b, &d);
}

static void
period_differences(Work *w, const BillingCycle *c, const CutPeriod *p)
{
	Timeline   *t = w->timeline;

	period_lines(w, c, p);
	/* what is taken back comes first, as on a bill */
	for (int i = 0; i < w->lines.n; i++)
	{
		BilledLine *b = billed_for(t, p->cut.start, &w->lines.info[i],
								   w->lines.line[i].full);

		if (b != NULL)
			line_difference(w, i, p->cut);
	}
	for (int i = 0; i < t->nbilled; i++)
		if (t->billed[i].period_start == p->cut.start && !t->billed[i].seen)
			gone_difference(w, &t->billed[i], p->cut);
	for (int i = 0; i < w->lines.n; i++)
		if (billed_for(t, p->cut.start, &w->lines.info[i], w->lines.line[i].full) == NULL)
			line_difference(w, i, p->cut);
}

static void
cycle_differences(Work *w, const BillingCycle *c)
{
	Cycle		cycle = make_cycle(c);
	TimestampTz from = Max(c->valid.start, w->window->since);
	CutPeriod	p;

	if (from >= c->valid.end || c->valid.start > w->window->at)
		return;
	for (find_period(c, &cycle, from, &p);
		 p.cut.start <= w->window->at && p.cut.start < c->valid.end;
		 cut_period(c, &cycle, &p))
	{
		period_differences(w, c, &p);
		if (p.cut.end >= c->valid.end || p.cut.end > w->window->at)
			break;
		bj_check(bj_cycle_next(&cycle, &p.period));
	}
}

/* What was billed of a period that is none any more, by its beginning. */
static void
orphan_differences(Work *w)
{
	Timeline   *t = w->timeline;

	for (int i = 0; i < t->nbilled; i++)
	{
		BilledLine *b = &t->billed[i];

		if (b->seen || b->period_start > w->window->at ||
			(cycle_at(t, b->period_start) != NULL &&
			 period_start_at(t, b->period_start) == b->period_start))
			continue;
		gone_difference(w, b, (Span) {b->period_start, b->period_start + 1});
	}
}

void
bj_recurring_differences(Timeline *timeline, const RecurringWindow *window,
						 DifferenceSink sink, void *to)
{
	static Work w;				/* too large for the stack; nothing stays in it */

	w.timeline = timeline;
	w.window = window;
	w.sink = sink;
	w.to = to;
	w.posting = period_start_at(timeline, window->posting_at);
	for (int i = 0; i < timeline->ncycles; i++)
		cycle_differences(&w, &timeline->cycles[i]);
	orphan_differences(&w);
}

void
bj_recurring_periods(const Timeline *timeline, Span during, PeriodSink sink, void *to)
{
	for (int i = 0; i < timeline->ncycles; i++)
	{
		const BillingCycle *c = &timeline->cycles[i];
		Span		span = overlap(during, c->valid);
		Cycle		cycle = make_cycle(c);
		CutPeriod	p;

		if (span.start >= span.end)
			continue;
		for (find_period(c, &cycle, span.start, &p); p.cut.start < span.end;
			 cut_period(c, &cycle, &p))
		{
			sink(to, p.cut, p.whole);
			if (p.cut.end >= c->valid.end)
				break;
			bj_check(bj_cycle_next(&cycle, &p.period));
		}
	}
}
