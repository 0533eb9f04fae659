/*
 * subscriptions.c
 *	  Store: the timelines of subscriptions, and what was billed of them.
 *
 * Three cursors in one order, merged: a hundred thousand subscriptions are read
 * by three scans.  Texts of SQL are here and nowhere else; a timeline that is
 * only thought of comes through the same columns as a stored one.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rangetypes.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"

#include "compat.h"
#include "errors.h"
#include "numericcodec.h"
#include "pricedoc.h"
#include "strhash.h"
#include "subscriptions.h"
#include "zone.h"

/* Rows that are fetched together. */
#define BATCH_ROWS 1000

/* The most columns of any of the queries. */
#define MAX_COLUMNS 13

/* A cursor of rows that begin with account and subscription_id. */
typedef struct Feed
{
	Portal		portal;
	SPITupleTable *table;
	uint64		nrows;
	uint64		next;
	bool		apart;			/* the row at hand is in values and isnull */
	Datum		values[MAX_COLUMNS];
	bool		isnull[MAX_COLUMNS];
} Feed;

struct TimelineReader
{
	MemoryContext context;		/* of the plans */
	struct strhash_hash *plans;
	Feed		terms;
	Feed		cycles;
	Feed		billed;
};

/*
 * $1 account, $2 subscription_id, $3 since, $4 terms, $5 cycles
 *
 * In the order of the primary keys, which need not be sorted for it where they
 * lie well: what one subscription has is put in order by time when it is read.
 */
static const char *const stored_terms =
	"SELECT t.account, t.subscription_id, t.term_id, t.valid,"
	" t.plan, t.quantity, t.state, t.discount, t.priced_at"
	" FROM billadj.term t"
	" WHERE t.superseded_at IS NULL AND ($1 IS NULL OR t.account = $1)"
	" AND ($2 IS NULL OR t.subscription_id = $2)"
	" ORDER BY t.account, t.subscription_id";

static const char *const given_terms =
	"SELECT $1, $2, t.term_id, t.valid,"
	" t.plan, t.quantity, t.state, t.discount, t.priced_at"
	" FROM jsonb_to_recordset($4) AS t(term_id bigint, valid tstzrange, plan text, quantity numeric,"
	" state text, discount numeric, priced_at timestamptz)";

static const char *const stored_cycles =
	"SELECT c.account, c.subscription_id, c.valid, c.anchor, c.every, c.time_zone, c.seam"
	" FROM billadj.billing_cycle c"
	" WHERE c.superseded_at IS NULL AND ($1 IS NULL OR c.account = $1)"
	" AND ($2 IS NULL OR c.subscription_id = $2)"
	" ORDER BY c.account, c.subscription_id";

static const char *const given_cycles =
	"SELECT $1, $2, c.valid, c.anchor, c.every, c.time_zone, c.seam"
	" FROM jsonb_to_recordset($5) AS c(valid tstzrange, anchor timestamptz, every interval,"
	" time_zone text, seam boolean)";

/*
 * A period that ends after since began no longer before it than the longest
 * period is.
 */
static const char *const billed_lines =
	"SELECT r.account, r.subscription_id, r.period_start, r.plan_price_id, r.quantity, r.full_amount,"
	" r.amount, r.proposed, r.covers, NULL::numeric"
	" FROM billadj.recurring_total r"
	" WHERE ($1 IS NULL OR r.account = $1) AND ($2 IS NULL OR r.subscription_id = $2)"
	" AND ($3 = '-infinity' OR r.period_start >= $3 - (SELECT max(c.every) + '1 day' FROM billadj.billing_cycle c))"
	" ORDER BY r.account, r.subscription_id, r.period_start, r.plan_price_id";

/*
 * The same beside what persons have credited of the charges.  Adjustments of
 * cause correction are proposals of ours that were applied: they are in
 * proposed already.
 */
static const char *const credited_lines =
	"SELECT r.account, r.subscription_id, r.period_start, r.plan_price_id, r.quantity, r.full_amount,"
	" r.amount, r.proposed, r.covers, a.delta"
	" FROM billadj.recurring_total r"
	" LEFT JOIN (SELECT c.account, c.subscription_id, c.period_start, c.plan_price_id, c.quantity,"
	"   (c.basis ->> 'full_amount')::numeric AS full_amount, sum(a.delta) AS delta"
	"   FROM billadj.adjustment a"
	"   JOIN billadj.charge c ON c.account = a.account AND c.charge_id = a.charge_id AND c.period_start = a.period_start"
	"   WHERE a.affects = 'billed' AND a.cause <> 'correction' AND c.subscription_id IS NOT NULL"
	"   AND ($1 IS NULL OR a.account = $1)"
	"   GROUP BY 1, 2, 3, 4, 5, 6) a"
	"  ON a.account = r.account AND a.subscription_id = r.subscription_id AND a.period_start = r.period_start"
	"  AND a.plan_price_id = r.plan_price_id AND a.quantity = r.quantity AND a.full_amount = r.full_amount"
	" WHERE ($1 IS NULL OR r.account = $1) AND ($2 IS NULL OR r.subscription_id = $2)"
	" AND ($3 = '-infinity' OR r.period_start >= $3 - (SELECT max(c.every) + '1 day' FROM billadj.billing_cycle c))"
	" ORDER BY r.account, r.subscription_id, r.period_start, r.plan_price_id";

static const char *const plan_prices =
	"SELECT p.plan, p.day_count, p.scale, p.rounding, p.round_at, r.plan_price_id, r.kind, r.timing, r.per_unit,"
	" lower(r.valid), upper(r.valid), r.price || jsonb_build_object('currency', p.currency), p.currency"
	" FROM billadj.plan p"
	" LEFT JOIN billadj.plan_price r ON r.plan = p.plan AND r.kind <> 'usage'"
	" ORDER BY p.plan, r.plan_price_id";

/* ---- values of a row ---- */

/* Taken apart once: a row at a time is looked at. */
typedef struct Row
{
	Datum	   *values;
	bool	   *isnull;
} Row;

static Datum
get(Row row, int column, bool *isnull)
{
	*isnull = row.isnull[column - 1];
	return row.values[column - 1];
}

/* A text that is not NULL, where it lies. */
static KeyText
get_text(Row row, int column)
{
	KeyText		text;

	bj_key_text(TEXTOID, row.values[column - 1], &text);
	return text;
}

static char *
get_string(Row row, int column)
{
	bool		isnull;
	Datum		value = get(row, column, &isnull);

	return isnull ? NULL : TextDatumGetCString(value);
}

static int64
get_int64(Row row, int column, int64 otherwise)
{
	bool		isnull;
	Datum		value = get(row, column, &isnull);

	return isnull ? otherwise : DatumGetInt64(value);
}

static Decimal
get_decimal(Row row, int column)
{
	bool		isnull;
	Datum		value = get(row, column, &isnull);
	Decimal		decimal = BJ_DECIMAL_ZERO;

	if (!isnull)
		bj_check(bj_numeric_read(value, &decimal));
	return decimal;
}

/*
 * A tstzrange that is neither NULL nor empty, which its table makes sure of.
 * Read where it lies: the server would copy it to align it, hundreds of
 * thousands of times.  A type's number, the bounds there are, and flags.
 */
static Span
get_span(Row row, int column)
{
	struct varlena *range = PG_DETOAST_DATUM_PACKED(row.values[column - 1]);
	const char *data = VARDATA_ANY(range) + sizeof(Oid);
	char		flags = VARDATA_ANY(range)[VARSIZE_ANY_EXHDR(range) - 1];
	Span		span = {PG_INT64_MIN, PG_INT64_MAX};

	if (RANGE_HAS_LBOUND(flags))
	{
		memcpy(&span.start, data, sizeof(int64));
		data += sizeof(int64);
	}
	if (RANGE_HAS_UBOUND(flags))
		memcpy(&span.end, data, sizeof(int64));
	return span;
}

static bool
get_bool(Row row, int column)
{
	bool		isnull;
	Datum		value = get(row, column, &isnull);

	return !isnull && DatumGetBool(value);
}

/* ---- plans ---- */

static BillingPlan *
plan_from(TimelineReader *r, Row row, char *name)
{
	BillingPlan	   *plan = palloc0(sizeof(BillingPlan));
	char	   *day_count = get_string(row, 2);
	char	   *rounding = get_string(row, 4);
	bool		isnull;

	plan->name = name;
	bj_check_found(bj_day_count_parse(day_count, &plan->rule.day_count), day_count);
	plan->rule.scale = DatumGetInt32(get(row, 3, &isnull));
	bj_check_found(bj_rounding_parse(rounding, &plan->rule.rounding), rounding);
	plan->rule.by_total = strcmp(get_string(row, 5), "total") == 0;
	strlcpy(plan->currency, get_string(row, 13), sizeof(plan->currency));
	strhash_put(r->plans, plan->name, strlen(plan->name), 0, plan);
	return plan;
}

static void
plan_add_price(BillingPlan *plan, Row row)
{
	bool		isnull;
	PlanPrice  *price;

	plan->prices = plan->prices == NULL ? palloc(sizeof(PlanPrice)) :
		repalloc(plan->prices, (plan->nprices + 1) * sizeof(PlanPrice));
	price = &plan->prices[plan->nprices++];
	price->plan_price_id = get_int64(row, 6, 0);
	price->kind = strcmp(get_string(row, 7), "one_off") == 0 ?
		BJ_KIND_ONE_OFF : BJ_KIND_RECURRING;
	price->arrears = strcmp(get_string(row, 8), "arrears") == 0;
	price->per_unit = get_bool(row, 9);
	price->valid.start = get_int64(row, 10, PG_INT64_MIN);
	price->valid.end = get_int64(row, 11, PG_INT64_MAX);
	bj_pricedoc_get(DatumGetJsonbP(get(row, 12, &isnull)), CurrentMemoryContext,
					&price->price);
}

static void
read_plans(TimelineReader *r, bool latest)
{
	BillingPlan	   *plan = NULL;
	MemoryContext old = MemoryContextSwitchTo(r->context);

	if (SPI_execute(plan_prices, !latest, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read billadj.plan");
	r->plans = strhash_create(r->context, 64, NULL);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		Datum		values[MAX_COLUMNS];
		bool		isnull[MAX_COLUMNS];
		Row			row = {values, isnull};
		char	   *name;

		heap_deform_tuple(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, values, isnull);
		name = get_string(row, 1);
		if (plan == NULL || strcmp(plan->name, name) != 0)
			plan = plan_from(r, row, name);
		if (get_int64(row, 6, 0) != 0)
			plan_add_price(plan, row);
	}
	SPI_freetuptable(SPI_tuptable);
	MemoryContextSwitchTo(old);
}

static const PlanPrice *
price_by_id(TimelineReader *r, int64 plan_price_id)
{
	strhash_iterator i;
	StrEntry   *entry;

	strhash_start_iterate(r->plans, &i);
	while ((entry = strhash_iterate(r->plans, &i)) != NULL)
	{
		BillingPlan	   *plan = entry->value;

		for (int p = 0; p < plan->nprices; p++)
			if (plan->prices[p].plan_price_id == plan_price_id)
				return &plan->prices[p];
	}
	return NULL;
}

/* ---- feeds ---- */

static void
feed_open(Feed *feed, const char *sql, const TimelineRequest *q)
{
	Oid			types[5] = {TEXTOID, INT8OID, TIMESTAMPTZOID, JSONBOID, JSONBOID};
	Datum		values[5] = {0};
	char		nulls[5] = {'n', 'n', ' ', 'n', 'n'};

	if (q->account != NULL)
	{
		values[0] = CStringGetTextDatum(q->account);
		nulls[0] = ' ';
	}
	if (q->subscription_id != 0)
	{
		values[1] = Int64GetDatum(q->subscription_id);
		nulls[1] = ' ';
	}
	values[2] = TimestampTzGetDatum(q->since);
	if (q->terms != NULL)
	{
		values[3] = DirectFunctionCall1(jsonb_in, CStringGetDatum(q->terms));
		nulls[3] = ' ';
	}
	if (q->cycles != NULL)
	{
		values[4] = DirectFunctionCall1(jsonb_in, CStringGetDatum(q->cycles));
		nulls[4] = ' ';
	}
	feed->portal = SPI_cursor_open_with_args(NULL, sql, 5, types, values, nulls,
											 !q->latest, CURSOR_OPT_NO_SCROLL);
	feed->table = NULL;
	feed->nrows = feed->next = 0;
	feed->apart = false;
}

static void
feed_step(Feed *feed)
{
	feed->next++;
	feed->apart = false;
}

/* The row at hand; false at the end. */
static bool
feed_peek(Feed *feed, Row *row)
{
	if (feed->next >= feed->nrows)
	{
		MemoryContext old = CurrentMemoryContext;

		if (feed->table != NULL)
			SPI_freetuptable(feed->table);
		SPI_cursor_fetch(feed->portal, true, BATCH_ROWS);
		/* SPI leaves us in a context that lives as long as the reader */
		MemoryContextSwitchTo(old);
		feed->table = SPI_tuptable;
		feed->nrows = SPI_processed;
		feed->next = 0;
		if (feed->nrows == 0)
			return false;
	}
	if (!feed->apart)
		heap_deform_tuple(feed->table->vals[feed->next], feed->table->tupdesc,
						  feed->values, feed->isnull);
	feed->apart = true;
	row->values = feed->values;
	row->isnull = feed->isnull;
	return true;
}

/* By account, then by number: -, 0, + */
static int
row_order(Row row, KeyText account, int64 subscription_id)
{
	KeyText		other = get_text(row, 1);
	int64		id = get_int64(row, 2, 0);
	int			order = memcmp(other.data, account.data,
							   Min(other.length, account.length));

	if (order == 0)
		order = other.length - account.length;
	return order != 0 ? order : (id > subscription_id) - (id < subscription_id);
}

/*
 * Is the row at hand one of the subscription?  Rows of others that come before
 * it are skipped: cycles of what was never charged and has no terms.
 */
static bool
feed_find(Feed *feed, const Timeline *t, Row *row)
{
	while (feed_peek(feed, row))
	{
		int			order = row_order(*row, t->account, t->subscription_id);

		if (order >= 0)
			return order == 0;
		feed_step(feed);
	}
	return false;
}

/*
 * The row that names the next subscription: of its terms, or, when it was
 * cancelled before it began and none are left, of what is billed of it.
 */
static bool
next_subscription(TimelineReader *r, Row *row)
{
	Row			billed;

	if (!feed_peek(&r->billed, &billed))
		return feed_peek(&r->terms, row);
	if (!feed_peek(&r->terms, row) ||
		row_order(*row, get_text(billed, 1), get_int64(billed, 2, 0)) > 0)
		*row = billed;
	return true;
}

/* Room for one more element; the arrays are of 4, 8, 16 … */
#define GROW(array, n) \
	do { \
		if ((n) == 0) \
			(array) = palloc(4 * sizeof(*(array))); \
		else if ((n) >= 4 && ((n) & ((n) - 1)) == 0) \
			(array) = repalloc((array), 2 * (n) * sizeof(*(array))); \
	} while (0)

static TermState
term_state(KeyText name)
{
	switch (name.data[0])
	{
		case 'a':
			return BJ_TERM_ACTIVE;
		case 't':
			return BJ_TERM_TRIAL;
		case 'p':
			return BJ_TERM_PAUSED;
		default:
			return BJ_TERM_FORFEITED;
	}
}

static void
add_term(TimelineReader *r, Timeline *t, Row row)
{
	KeyText		plan = get_text(row, 5);
	Term	   *term;

	GROW(t->terms, t->nterms);
	term = &t->terms[t->nterms++];
	term->term_id = get_int64(row, 3, 0);
	term->valid = get_span(row, 4);
	term->plan = strhash_get(r->plans, plan.data, plan.length, 0);
	if (term->plan == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_BJ_UNKNOWN_PLAN),
				 errmsg("plan \"%.*s\" does not exist", plan.length, plan.data),
				 errhint("Look for it with SELECT plan FROM billadj.plan.")));
	term->quantity = get_decimal(row, 6);
	term->state = term_state(get_text(row, 7));
	term->discount = get_decimal(row, 8);
	term->priced_at = get_int64(row, 9, 0);
	strlcpy(t->currency, term->plan->currency, sizeof(t->currency));
}

/* The zone of the last cycle is mostly that of the next. */
static pg_tz *
zone_of(KeyText name)
{
	static char last[TZ_STRLEN_MAX + 1];
	static pg_tz *zone;

	if (zone == NULL || strlen(last) != name.length || memcmp(last, name.data, name.length) != 0)
	{
		char	   *string = pnstrdup(name.data, name.length);

		zone = bj_zone_find(string);
		strlcpy(last, string, sizeof(last));
	}
	return zone;
}

static void
add_cycle(Timeline *t, Row row)
{
	bool		isnull;
	Interval   *every = DatumGetIntervalP(get(row, 5, &isnull));
	BillingCycle *cycle;

	GROW(t->cycles, t->ncycles);
	cycle = &t->cycles[t->ncycles++];
	cycle->valid = get_span(row, 3);
	cycle->anchor = get_int64(row, 4, 0);
	cycle->every = (Every) {every->month, every->day, every->time};
	cycle->clock = bj_zone_clock(zone_of(get_text(row, 6)));
	cycle->seam = get_bool(row, 7);
}

/*
 * Puts the last element of an array in order of time, by its valid; they come
 * in the order they were made, mostly that of time.
 */
#define PLACE_LAST(array, n, type) \
	do { \
		type		last_ = (array)[(n) - 1]; \
		int			i_ = (n) - 1; \
	\
		for (; i_ > 0 && (array)[i_ - 1].valid.start > last_.valid.start; i_--) \
			(array)[i_] = (array)[i_ - 1]; \
		(array)[i_] = last_; \
	} while (0)

static void
add_billed(TimelineReader *r, Timeline *t, Row row)
{
	BilledLine *b;

	GROW(t->billed, t->nbilled);
	b = &t->billed[t->nbilled++];
	b->period_start = get_int64(row, 3, 0);
	b->plan_price_id = get_int64(row, 4, 0);
	b->price = price_by_id(r, b->plan_price_id);
	b->quantity = get_decimal(row, 5);
	b->full = get_decimal(row, 6);
	bj_check(bj_decimal_add(get_decimal(row, 7), get_decimal(row, 8), &b->amount));
	b->covers = get_span(row, 9);
	b->credited = get_decimal(row, 10);
	b->seen = false;
}

/* ---- reading ---- */

/* Did any person ever adjust a charge? */
static bool
any_adjustment(bool latest)
{
	bool		any = false;

	if (SPI_execute("SELECT FROM pg_catalog.pg_class c"
					" JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
					" WHERE n.nspname = 'billadj' AND c.relname = 'adjustment'",
					!latest, 1) == SPI_OK_SELECT && SPI_processed == 1)
		any = SPI_execute("SELECT FROM billadj.adjustment LIMIT 1", !latest, 1) == SPI_OK_SELECT &&
			SPI_processed == 1;
	return any;
}

TimelineReader *
bj_timelines_open(const TimelineRequest *q, MemoryContext context)
{
	TimelineReader *r = MemoryContextAllocZero(context, sizeof(TimelineReader));

	SPI_connect();
	r->context = context;
	read_plans(r, q->latest);
	feed_open(&r->terms, q->terms != NULL ? given_terms : stored_terms, q);
	feed_open(&r->cycles, q->cycles != NULL ? given_cycles : stored_cycles, q);
	feed_open(&r->billed, any_adjustment(q->latest) ? credited_lines : billed_lines, q);
	return r;
}

bool
bj_timelines_next(TimelineReader *r, Timeline *t)
{
	Row			row;
	bool		isnull;
	KeyText		account;

	if (!next_subscription(r, &row))
		return false;
	memset(t, 0, sizeof(Timeline));
	account = get_text(row, 1);
	t->account = bj_key_from_string(account.data, account.length);
	t->subscription_id = DatumGetInt64(get(row, 2, &isnull));
	for (; feed_find(&r->terms, t, &row); feed_step(&r->terms))
	{
		add_term(r, t, row);
		PLACE_LAST(t->terms, t->nterms, Term);
	}
	for (; feed_find(&r->cycles, t, &row); feed_step(&r->cycles))
	{
		add_cycle(t, row);
		PLACE_LAST(t->cycles, t->ncycles, BillingCycle);
	}
	for (; feed_find(&r->billed, t, &row); feed_step(&r->billed))
		add_billed(r, t, row);
	if (t->nterms == 0 && t->nbilled > 0 && t->billed[0].price != NULL)
		strlcpy(t->currency, t->billed[0].price->price.currency, sizeof(t->currency));
	return true;
}

void
bj_timelines_close(TimelineReader *r)
{
	SPI_cursor_close(r->terms.portal);
	SPI_cursor_close(r->cycles.portal);
	SPI_cursor_close(r->billed.portal);
	SPI_finish();
}

void
bj_timeline_cycles(const TimelineRequest *q, MemoryContext context, Timeline *t)
{
	MemoryContext old = MemoryContextSwitchTo(context);
	Feed		feed;
	Row			row;

	memset(t, 0, sizeof(Timeline));
	t->account = bj_key_from_string(q->account, strlen(q->account));
	t->subscription_id = q->subscription_id;
	SPI_connect();
	feed_open(&feed, q->cycles != NULL ? given_cycles : stored_cycles, q);
	MemoryContextSwitchTo(context);
	for (; feed_find(&feed, t, &row); feed_step(&feed))
	{
		add_cycle(t, row);
		PLACE_LAST(t->cycles, t->ncycles, BillingCycle);
	}
	SPI_cursor_close(feed.portal);
	SPI_finish();
	MemoryContextSwitchTo(old);
}

Datum
bj_span_range(Span span)
{
	TypeCacheEntry *type = lookup_type_cache(TSTZRANGEOID, TYPECACHE_RANGE_INFO);
	RangeBound	lower = {TimestampTzGetDatum(span.start), span.start == PG_INT64_MIN, true, true};
	RangeBound	upper = {TimestampTzGetDatum(span.end), span.end == PG_INT64_MAX, false, false};

	return RangeTypePGetDatum(bj_compat_make_range(type, &lower, &upper));
}
