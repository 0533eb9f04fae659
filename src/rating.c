/*
 * rating.c
 *	  Rates usage rows: what the triggers, backfill() and retry_parked() share.
 *
 * A row is worked out whole before anything of it is booked, since prices of
 * rounding stage row round it over all its measures.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "anomalies.h"
#include "core/allocate.h"
#include "core/currency.h"
#include "core/rate.h"
#include "detect.h"
#include "errors.h"
#include "jsonpush.h"
#include "ledger.h"
#include "numericcodec.h"
#include "parked.h"
#include "period.h"
#include "rating.h"
#include "subperiods.h"

/* What a measure of a row comes to. */
typedef struct Rated
{
	Fault		fault;			/* set: nothing below holds */
	const CatalogPrice *price;
	Decimal		counted;		/* quantity under the price's negative rule */
	Decimal		amount;			/* where no running total is needed */
	Jsonb	   *basis;			/* stage row: what the amount is a share of */
} Rated;

void
bj_rating_warn(const char *problem)
{
	ereport(WARNING,
			(errcode(ERRCODE_BJ_NOT_INSTALLED),
			 errmsg("usage is not rated: %s", problem),
			 errhint("Run SELECT * FROM billadj.self_check(); billadj.rating_gap() lists the rows, billadj.backfill() rates them.")));
}

bool
bj_rating_begin(Rating *r, const Binding *binding)
{
	const char *problem = bj_prices_begin();

	if (problem == NULL)
		problem = bj_subperiods_begin();

	memset(r, 0, sizeof(Rating));
	r->context = CurrentMemoryContext;
	r->binding = binding;
	r->first_cause = "usage";
	if (problem != NULL)
		problem = psprintf("table billadj.%s does not exist or does not have the columns of this library", problem);
	else
		r->charges = bj_charges_open(binding->book, &problem);
	r->detect = binding->detect && bj_detect_begin();
	if (r->charges != NULL)
		return true;
	bj_rating_warn(problem);
	return false;
}

void
bj_rating_end(Rating *r)
{
	bj_charges_close(r->charges);
	if (r->totals != NULL)
		bj_tiertotals_close(r->totals);
	if (r->holds != NULL)
		bj_anomalies_holds_close(r->holds);
	if (r->detect)
		bj_detect_end_statement();
	bj_ledger_end_statement();
	if (r->lost > 0)
		bj_rating_warn(psprintf("%lld measures could not be kept: %s",
								(long long) r->lost, r->why_lost));
}

/* ---- working a row out ---- */

static void
work_out_measure(const UsageRow *row, const UsageMeasure *m, Rated *rated)
{
	BjStatus	status;

	if (row->fault.sqlstate != 0)
	{
		rated->fault = row->fault;
		return;
	}
	if (m->fault.sqlstate != 0)
	{
		rated->fault = m->fault;
		return;
	}
	rated->price = bj_prices_find(row->terms, m->meter.data, m->meter.length,
								  row->occurred_at, &rated->fault);
	if (rated->price == NULL)
		return;
	status = bj_rate_quantity(&rated->price->price, m->quantity, &rated->counted);
	if (status == BJ_OK && rated->price->linear)
		status = bj_decimal_multiply(rated->counted, rated->price->unit, &rated->amount);
	if (status != BJ_OK)
		bj_fault_status(&rated->fault, status);
}

static bool
is_row_stage(const Rated *rated)
{
	return rated->fault.sqlstate == 0 && rated->price->price.stage == BJ_STAGE_ROW;
}

static Decimal
money_step(const Price *price)
{
	const Currency *currency;

	if (bj_decimal_sign(price->step) > 0)
		return price->step;
	currency = bj_currency_find(price->currency, strlen(price->currency));
	return currency ? bj_currency_step(currency) : (Decimal) {1, 2};
}

/* The exact amounts of all measures that were rounded together. */
static Jsonb *
share_basis(const UsageRow *row, const int *members, int n, const Decimal *exact,
			int which, Decimal step, Rounding mode)
{
	JsonbParseState *state = NULL;

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	bj_jsonpush_decimal(&state, "exact", exact[which]);
	bj_jsonpush_string(&state, "mode", bj_rounding_name(mode));
	bj_jsonpush_key(&state, "row_exact");
	pushJsonbValue(&state, WJB_BEGIN_ARRAY, NULL);
	for (int i = 0; i < n; i++)
	{
		pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
		bj_jsonpush_decimal(&state, "amount", exact[i]);
		bj_jsonpush_string(&state, "measure", row->measures[members[i]].bound->measure);
		pushJsonbValue(&state, WJB_END_OBJECT, NULL);
	}
	pushJsonbValue(&state, WJB_END_ARRAY, NULL);
	bj_jsonpush_decimal(&state, "step", step);
	return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
}

static bool
rounded_alike(const Price *a, const Price *b)
{
	return a->mode == b->mode && strcmp(a->currency, b->currency) == 0 &&
		bj_decimal_compare(money_step(a), money_step(b)) == 0;
}

/*
 * Rounds the sum of those measures that are rounded as measure `first` is, and
 * shares it out again: the parts of a row sum to its rounded amount.
 */
static void
round_together(const UsageRow *row, Rated *rated, int nmeasures, int first, bool *done)
{
	const Price *price = &rated[first].price->price;
	int		   *members = palloc(nmeasures * sizeof(int));
	Decimal    *exact = palloc(nmeasures * sizeof(Decimal));
	Decimal    *parts = palloc(nmeasures * sizeof(Decimal));
	Decimal		step = money_step(price);
	Decimal		total;
	int			n = 0;
	BjStatus	status;

	for (int i = first; i < nmeasures; i++)
		if (!done[i] && is_row_stage(&rated[i]) &&
			rounded_alike(price, &rated[i].price->price))
		{
			done[i] = true;
			exact[n] = rated[i].amount;
			members[n++] = i;
		}
	status = bj_share_residual(exact, n, step, price->mode, parts, &total);
	for (int i = 0; i < n; i++)
	{
		Rated	   *r = &rated[members[i]];

		if (status != BJ_OK)
			bj_fault_status(&r->fault, status);
		else
		{
			r->basis = share_basis(row, members, n, exact, i, step, price->mode);
			r->amount = parts[i];
		}
	}
}

/*
 * Amounts of stage row hang together: while one measure of the row cannot be
 * rated, those wait with it, so that a retry rounds the whole row.
 */
static void
round_row(const UsageRow *row, Rated *rated, int nmeasures)
{
	bool	   *done = palloc0(nmeasures * sizeof(bool));
	bool		complete = true;

	for (int i = 0; i < nmeasures; i++)
		complete &= rated[i].fault.sqlstate == 0;
	for (int i = 0; i < nmeasures; i++)
	{
		if (done[i] || !is_row_stage(&rated[i]))
			continue;
		if (complete)
			round_together(row, rated, nmeasures, i, done);
		else
			bj_fault_set(&rated[i].fault, ERRCODE_BJ_ROW_INCOMPLETE,
						 "another measure of the row cannot be rated, and the row is rounded as a whole",
						 "Mend the other measure of the row, then run billadj.retry_parked().");
	}
}

static Rated *
work_out(const UsageRow *row)
{
	int			nmeasures = row->nmeasures;
	Rated	   *rated = palloc0(nmeasures * sizeof(Rated));
	bool		by_row = false;

	for (int i = 0; i < nmeasures; i++)
	{
		work_out_measure(row, &row->measures[i], &rated[i]);
		by_row |= is_row_stage(&rated[i]);
	}
	if (by_row)
		round_row(row, rated, nmeasures);
	return rated;
}

/* ---- booking ---- */

static void
lose(Rating *r, const char *why)
{
	if (r->lost++ == 0)
		r->why_lost = MemoryContextStrdup(r->context, why);
}

static void
lose_charge(Rating *r)
{
	lose(r, "table billadj.charge has no partition for them; run SELECT * FROM billadj.maintain()");
}

/* The beginning of the period whose bill shows a correction. */
static TimestampTz
posting_period(TimestampTz posting_at, const Charge *c)
{
	const AccountTerms *terms = bj_prices_account(c->account.data, c->account.length);
	UsagePeriod period;
	Fault		fault = {0};
	TimestampTz month;

	if (bj_subperiods_any() &&
		bj_subperiods_find(c->account, c->meter, posting_at, &period, &fault))
		return Max(c->period_start, period.span.start);
	if (terms->zone == NULL || !bj_period_month(terms->zone, posting_at, &month))
		return c->period_start;
	return Max(c->period_start, month);
}

static void
book(Rating *r, Charge *charge)
{
	if (r->correction != NULL)
	{
		charge->is_posted = true;
		charge->posted_period_start = posting_period(r->correction->posting_at, charge);
		r->correction->sink(r->correction->to, charge);
	}
	if (bj_charges_add(r->charges, charge))
		r->rated++;
	else
		lose_charge(r);
}

static TierTotals *
totals(Rating *r)
{
	if (r->totals == NULL && r->totals_problem == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(r->context);

		r->totals = bj_tiertotals_open(r->binding->book, &r->totals_problem);
		if (r->totals != NULL && !bj_tiertotals_can_find(r->totals, &r->totals_problem))
		{
			bj_tiertotals_close(r->totals);
			r->totals = NULL;
		}
		MemoryContextSwitchTo(old);
	}
	return r->totals;
}

static Jsonb *
emptied_basis(void)
{
	JsonbParseState *state = NULL;

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	bj_jsonpush_decimal(&state, "rows_after", BJ_DECIMAL_ZERO);
	return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
}

/*
 * Books a charge of a price that is not linear: its quantity and row_count are
 * given, its amount follows from the position.
 */
static bool
book_at_position(Rating *r, Charge *charge, const CatalogPrice *price, Fault *fault,
				 Posting *posting)
{
	TotalKey	key = {r->binding->book, charge->account, charge->meter, charge->period_start, price->price_id};
	BjStatus	status;

	if (totals(r) == NULL)
	{
		bj_fault_set(fault, ERRCODE_BJ_NOT_INSTALLED, r->totals_problem,
					 "Run SELECT * FROM billadj.self_check(), then billadj.retry_parked().");
		return false;
	}
	/* the total must not move for a charge that cannot be written */
	if (!bj_charges_can_add(r->charges, charge->period_start))
	{
		lose_charge(r);
		return true;
	}
	status = bj_ledger_post(totals(r), &key, price, charge->quantity,
							charge->row_count, posting);
	if (status != BJ_OK)
	{
		bj_fault_status(fault, status);
		return false;
	}
	charge->has_before = posting->before.charged;
	charge->quantity_before = posting->before.quantity;
	charge->amount = posting->amount;
	if (posting->emptied)
		charge->basis = emptied_basis();
	book(r, charge);
	return true;
}

/* Everything of a charge that the row and its price say. */
static void
charge_for(const UsageRow *row, const UsageMeasure *m, const CatalogPrice *price, Charge *c)
{
	memset(c, 0, sizeof(Charge));
	c->account = row->account;
	c->attachment_id = row->binding->attachment_id;
	c->event_key = row->event_key;
	c->measure = m->bound->measure_text;
	c->meter = m->meter;
	c->period_start = m->period_start;
	c->occurred_at = row->occurred_at;
	c->price_id = price->price_id;
	c->currency = price->price.currency;
}

static void
park(Rating *r, const UsageRow *row, int i, const Fault *fault)
{
	if (r->faults != NULL)
	{
		r->faults[i] = *fault;
		return;
	}
	if (r->binding->reject)
		bj_fault_raise(fault);
	if (bj_parked_add(row, &row->measures[i], fault))
		r->parked++;
	else
		lose(r, "table billadj.parked_usage does not exist or does not have the columns of this library");
}

static void
add_measure(Rating *r, UsageRow *row, int i, Rated *rated, const char *cause)
{
	Charge		charge;
	Posting		posting = {0};
	int64		rated_before = r->rated;

	if (rated->fault.sqlstate == 0)
	{
		charge_for(row, &row->measures[i], rated->price, &charge);
		charge.cause = cause;
		charge.quantity = rated->counted;
		charge.row_count = 1;
		if (rated->price->linear)
		{
			charge.amount = rated->amount;
			charge.basis = rated->basis;
			book(r, &charge);
		}
		else
			book_at_position(r, &charge, rated->price, &rated->fault, &posting);
		if (r->detect && r->rated > rated_before)
			bj_detect_note(&charge, rated->price, bj_charges_last_id(r->charges), posting.slot);
	}
	if (rated->fault.sqlstate != 0)
		park(r, row, i, &rated->fault);
}

void
bj_rating_add(Rating *r, UsageRow *row, const char *cause)
{
	Rated	   *rated = work_out(row);

	for (int i = 0; i < row->nmeasures; i++)
		add_measure(r, row, i, &rated[i], cause);
}

/* ---- changing ---- */

static bool
part_is_live(const ChargedPart *part)
{
	return part->rows != 0 || bj_decimal_sign(part->quantity) != 0 ||
		bj_decimal_sign(part->amount) != 0;
}

/* The basis of a difference: what was charged before. */
static Jsonb *
difference_basis(const Rated *now, Decimal was)
{
	JsonbParseState *state = NULL;
	JsonbIterator *it;
	JsonbValue	v;
	JsonbIteratorToken token;

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	if (now != NULL && now->basis != NULL)
	{
		it = JsonbIteratorInit(&now->basis->root);
		token = JsonbIteratorNext(&it, &v, true);	/* the opening brace */
		while ((token = JsonbIteratorNext(&it, &v, true)) != WJB_END_OBJECT)
			pushJsonbValue(&state, token, &v);
	}
	bj_jsonpush_decimal(&state, "was", was);
	return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
}

static const char *
change_cause(const Rating *r)
{
	return r->correction != NULL ? "correction" : "update";
}

static HoldLookup *
holds(Rating *r)
{
	MemoryContext old;

	if (!r->holds_looked)
	{
		old = MemoryContextSwitchTo(r->context);
		r->holds = bj_anomalies_holds_open();
		MemoryContextSwitchTo(old);
	}
	r->holds_looked = true;
	return r->holds;
}

/*
 * What was booked of a usage row that is held is held too: else the bill would
 * have the difference and not what it is the difference to.
 */
static void
hold_difference(Rating *r, const ChargedRow *was, const Charge *c, int64 rated_before)
{
	ChargeHold	hold;

	if (r->rated == rated_before || r->binding->book != BJ_BOOK_BILLED)
		return;
	for (const ChargedPart *part = was->parts; part != NULL; part = part->next)
		for (const ChargedId *id = part->ids; id != NULL; id = id->next)
		{
			if (!bj_key_equal(part->measure, c->measure))
				break;
			if (holds(r) != NULL && bj_anomalies_held(r->holds, part->account, id->charge_id, &hold))
			{
				bj_anomalies_hold_part(c->account, bj_charges_last_id(r->charges), &hold);
				return;
			}
			/* what is judged at the commit only */
			if (id->own && r->binding->detect)
				bj_anomalies_hold_both(id->charge_id, c->account, bj_charges_last_id(r->charges));
		}
}

/* Takes back what was charged under one key. */
static void
reverse_part(Rating *r, const ChargedRow *was, const ChargedPart *part, const char *cause)
{
	const CatalogPrice *price = bj_prices_by_id(part->price_id);
	int64		rated_before = r->rated;
	Charge		c = {0};
	Fault		fault = {0};

	c.account = part->account;
	c.attachment_id = r->binding->attachment_id;
	c.event_key = was->event_key;
	c.measure = part->measure;
	c.meter = part->meter;
	c.period_start = part->period_start;
	c.occurred_at = part->occurred_at;
	c.price_id = part->price_id;
	c.currency = part->currency;
	c.cause = cause;
	c.quantity = bj_decimal_negate(part->quantity);
	c.row_count = -part->rows;
	/* what is left of a tiered price is the position of others, not its amount */
	if (c.row_count == 0 && bj_decimal_sign(c.quantity) == 0 &&
		(price == NULL || !price->linear))
		return;
	if (price == NULL)
		lose(r, psprintf("price " INT64_FORMAT ", by which they were charged, is gone", part->price_id));
	else if (!price->linear)
	{
		Posting		posting;

		if (!book_at_position(r, &c, price, &fault, &posting))
			lose(r, fault.message);
	}
	else
	{
		c.amount = bj_decimal_negate(part->amount);
		if (price->price.stage == BJ_STAGE_ROW)
			c.basis = difference_basis(NULL, part->amount);
		book(r, &c);
	}
	hold_difference(r, was, &c, rated_before);
}

static bool
same_key(const ChargedPart *part, const Charge *c)
{
	return part->price_id == c->price_id && part->period_start == c->period_start &&
		bj_key_equal(part->account, c->account) && bj_key_equal(part->meter, c->meter);
}

/* Books what a measure is now, less what was charged for it under its key. */
static void
book_difference(Rating *r, Rated *rated, Charge *c, const ChargedPart *part)
{
	Posting		posting;
	BjStatus	status;

	if (part != NULL)
	{
		c->row_count -= part->rows;
		status = bj_decimal_subtract(rated->counted, part->quantity, &c->quantity);
		if (status == BJ_OK && rated->price->linear)
			status = bj_decimal_subtract(rated->amount, part->amount, &c->amount);
		if (status != BJ_OK)
		{
			bj_fault_status(&rated->fault, status);
			return;
		}
	}
	if (!rated->price->linear)
	{
		if (part == NULL || c->row_count != 0 || bj_decimal_sign(c->quantity) != 0)
			book_at_position(r, c, rated->price, &rated->fault, &posting);
	}
	else if (part == NULL || c->row_count != 0 || bj_decimal_sign(c->quantity) != 0 ||
			 bj_decimal_sign(c->amount) != 0)
	{
		if (rated->basis != NULL)
			c->basis = part ? difference_basis(rated, part->amount) : rated->basis;
		book(r, c);
	}
}

static void
change_measure(Rating *r, ChargedRow *was, UsageRow *row, int i, Rated *rated)
{
	const char *measure = row->measures[i].bound->measure;
	const ChargedPart *same = NULL;
	bool		charged = false;
	int64		rated_before;
	Charge		c;

	if (rated->fault.sqlstate == 0)
		charge_for(row, &row->measures[i], rated->price, &c);
	for (ChargedPart *part = was->parts; part != NULL; part = part->next)
	{
		if (part->measure.length != strlen(measure) ||
			memcmp(part->measure.data, measure, part->measure.length) != 0)
			continue;
		charged = true;
		if (!part_is_live(part))
			continue;
		if (rated->fault.sqlstate == 0 && same_key(part, &c))
			same = part;
		else
			reverse_part(r, was, part, change_cause(r));
	}
	if (rated->fault.sqlstate == 0)
	{
		c.cause = charged ? change_cause(r) : r->first_cause;
		c.quantity = rated->counted;
		c.amount = rated->amount;
		c.row_count = 1;
		rated_before = r->rated;
		book_difference(r, rated, &c, same);
		hold_difference(r, was, &c, rated_before);
	}
	if (rated->fault.sqlstate != 0)
		park(r, row, i, &rated->fault);
}

void
bj_rating_change(Rating *r, ChargedRow *was, UsageRow *row)
{
	Rated	   *rated;

	if (row == NULL)
	{
		for (ChargedPart *part = was->parts; part != NULL; part = part->next)
			if (part_is_live(part))
				reverse_part(r, was, part, "delete");
		return;
	}
	rated = work_out(row);
	for (int i = 0; i < row->nmeasures; i++)
		change_measure(r, was, row, i, &rated[i]);
}

void
bj_rating_retry(Rating *r, ChargedRow *was, UsageRow *row, Fault *faults)
{
	memset(faults, 0, row->nmeasures * sizeof(Fault));
	r->faults = faults;
	bj_rating_change(r, was, row);
	r->faults = NULL;
}
