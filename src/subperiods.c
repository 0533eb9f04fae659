/*
 * subperiods.c
 *	  Store: in which billing period of a subscription usage falls.
 *
 * As with prices: tables are read directly under a snapshot of the moment, and
 * what was read is kept until some session says that it changed.  It says so by
 * a relcache message of the primary key's index: one of the table itself would
 * have every plan over terms made anew after each change of a subscription.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "storage/bufmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/rangetypes.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"

#include "cycles.h"
#include "errors.h"
#include "strhash.h"
#include "subperiods.h"
#include "tables.h"
#include "zone.h"

/*
 * A table of at most this many blocks is read whole, a larger one by account:
 * it is read again after each change of any subscription.
 */
#define WHOLE_BLOCKS 16

/* More accounts than this, and the session starts anew. */
#define MAX_KEPT 50000

/* A stretch of a subscription in which usage follows its periods. */
typedef struct UsageTerm
{
	Span		valid;
	const char *plan;
	TimestampTz priced_at;
	bool		in_force;		/* active or a trial, not paused */
} UsageTerm;

typedef struct UsageCycle
{
	BillingCycle cycle;
	pg_tz	   *zone;			/* NULL: its name is not known here */
} UsageCycle;

typedef struct Subscription
{
	int64		subscription_id;
	int			nterms;
	UsageTerm  *terms;
	int			ncycles;
	UsageCycle *cycles;

	/* the last answer: usage comes in runs of one period */
	Span		within;			/* for which instants; empty: none yet */
	const UsageTerm *term;
	Span		period;
} Subscription;

typedef struct Subscriber
{
	int			n;
	Subscription *subscriptions;	/* ascending by number */
} Subscriber;

/* That a plan prices a meter, for terms that are priced within a time. */
typedef struct UsagePrice
{
	const char *plan;
	const char *meter;
	Span		valid;
} UsagePrice;

typedef struct Known
{
	MemoryContext context;
	bool		all;			/* every subscriber is in subscribers */
	struct strhash_hash *subscribers;	/* by account */
	int			nprices;
	UsagePrice *prices;
	KeyText		last_account;	/* of last, or of length -1 */
	Subscriber *last;
} Known;

static Known *known = NULL;
static bool stale = true;
static bool any = false;
static uint64 changes = 0;		/* messages seen; a load compares it */

enum
{
	TERM_ACCOUNT, TERM_SUBSCRIPTION, TERM_VALID, TERM_PLAN, TERM_STATE,
	TERM_PRICED_AT, TERM_SUPERSEDED, NTERM
};

static const Column term_columns[NTERM] = {
	{"account", TEXTOID, true}, {"subscription_id", INT8OID, true},
	{"valid", TSTZRANGEOID, true}, {"plan", TEXTOID, true}, {"state", TEXTOID, true},
	{"priced_at", TIMESTAMPTZOID, true}, {"superseded_at", TIMESTAMPTZOID}
};

enum
{
	SUB_ACCOUNT, SUB_SUBSCRIPTION, SUB_RENEW_EVERY, NSUB
};

static const Column sub_columns[NSUB] = {
	{"account", TEXTOID, true}, {"subscription_id", INT8OID, true},
	{"renew_every", INTERVALOID}
};

enum
{
	CYCLE_ACCOUNT, CYCLE_SUBSCRIPTION, CYCLE_VALID, CYCLE_ANCHOR, CYCLE_EVERY,
	CYCLE_ZONE, CYCLE_SEAM, CYCLE_SUPERSEDED, NCYCLE
};

static const Column cycle_columns[NCYCLE] = {
	{"account", TEXTOID, true}, {"subscription_id", INT8OID, true},
	{"valid", TSTZRANGEOID, true}, {"anchor", TIMESTAMPTZOID, true},
	{"every", INTERVALOID, true}, {"time_zone", TEXTOID, true},
	{"seam", BOOLOID, true}, {"superseded_at", TIMESTAMPTZOID}
};

enum
{
	PRICE_PLAN, PRICE_KIND, PRICE_METER, PRICE_VALID, NPRICE
};

static const Column price_columns[NPRICE] = {
	{"plan", TEXTOID, true}, {"kind", TEXTOID, true}, {"meter", TEXTOID},
	{"valid", TSTZRANGEOID, true}
};

#define MAX_COLUMNS NCYCLE

/* ---- what changes ---- */

static void
relation_changed(Oid relid)
{
	if (!OidIsValid(relid) || bj_table_is(BJ_TABLE_TERM_KEY, relid) ||
		bj_table_is(BJ_TABLE_TERM, relid))
	{
		stale = true;
		changes++;
	}
}

void
bj_subperiods_init(void)
{
	bj_tables_on_change(relation_changed);
}

void
bj_subperiods_changed(void)
{
	Oid			relid = bj_table_oid(BJ_TABLE_TERM_KEY);

	if (!OidIsValid(relid))
		relid = bj_table_oid(BJ_TABLE_TERM);
	if (OidIsValid(relid))
		CacheInvalidateRelcacheByRelid(relid);
}

/* ---- reading ---- */

typedef void (*RowTaker) (Known *k, const Datum *values, const bool *isnull);

/*
 * Hands the columns of all rows, or of those of one account, to the taker.
 * False when the table or a column of it is missing.
 */
static bool
take_rows(Known *k, BjTable table, const Column *columns, int n,
		  const KeyText *account, RowTaker take)
{
	Relation	rel = bj_table_open(table, AccessShareLock);
	AttrNumber	att[MAX_COLUMNS];
	Datum		values[MAX_COLUMNS];
	bool		isnull[MAX_COLUMNS];
	int			first = 0;
	Oid			index = InvalidOid;
	ScanKeyData key;
	Snapshot	snapshot;
	SysScanDesc scan;
	HeapTuple	tuple;

	if (rel == NULL)
		return false;
	if (bj_columns_find(rel, columns, n, att) != NULL)
	{
		table_close(rel, AccessShareLock);
		return false;
	}
	if (account != NULL)
	{
		index = bj_index_by_columns(rel, att, &first, 1);
		ScanKeyEntryInitialize(&key, 0, att[0], BTEqualStrategyNumber, InvalidOid,
							   C_COLLATION_OID, F_TEXTEQ, account->datum);
	}
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	scan = systable_beginscan(rel, index, OidIsValid(index), snapshot,
							  account != NULL ? 1 : 0, &key);
	while ((tuple = systable_getnext(scan)) != NULL)
	{
		for (int i = 0; i < n; i++)
			values[i] = heap_getattr(tuple, att[i], RelationGetDescr(rel), &isnull[i]);
		take(k, values, isnull);
	}
	systable_endscan(scan);
	UnregisterSnapshot(snapshot);
	table_close(rel, AccessShareLock);
	return true;
}

static Span
span_of(Datum value)
{
	TypeCacheEntry *type = lookup_type_cache(TSTZRANGEOID, TYPECACHE_RANGE_INFO);
	RangeBound	lower;
	RangeBound	upper;
	bool		empty;

	range_deserialize(type, DatumGetRangeTypeP(value), &lower, &upper, &empty);
	if (empty)
		return (Span) {0, 0};
	return (Span) {lower.infinite ? PG_INT64_MIN : DatumGetTimestampTz(lower.val),
		upper.infinite ? PG_INT64_MAX : DatumGetTimestampTz(upper.val)};
}

static Subscriber *
subscriber_new(Known *k, const char *account, int length)
{
	Subscriber *s = palloc0(sizeof(Subscriber));

	strhash_put(k->subscribers, pnstrdup(account, length), length, 0, s);
	return s;
}

/* The subscription of that number, made where make says so; else NULL. */
static Subscription *
subscription_of(Known *k, Datum account, int64 subscription_id, bool make)
{
	KeyText		key;
	Subscriber *s;
	int			i;

	bj_key_text(TEXTOID, account, &key);
	s = strhash_get(k->subscribers, key.data, key.length, 0);
	if (s == NULL && make)
		s = subscriber_new(k, key.data, key.length);
	if (s == NULL)
		return NULL;
	for (i = 0; i < s->n && s->subscriptions[i].subscription_id <= subscription_id; i++)
		if (s->subscriptions[i].subscription_id == subscription_id)
			return &s->subscriptions[i];
	if (!make)
		return NULL;
	s->subscriptions = s->n == 0 ? palloc(sizeof(Subscription)) :
		repalloc(s->subscriptions, (s->n + 1) * sizeof(Subscription));
	memmove(&s->subscriptions[i + 1], &s->subscriptions[i], (s->n++ - i) * sizeof(Subscription));
	s->subscriptions[i] = (Subscription) {.subscription_id = subscription_id};
	return &s->subscriptions[i];
}

static void
take_term(Known *k, const Datum *values, const bool *isnull)
{
	char	   *state = TextDatumGetCString(values[TERM_STATE]);
	Subscription *s;

	if (!isnull[TERM_SUPERSEDED] || strcmp(state, "forfeited") == 0)
		return;
	s = subscription_of(k, values[TERM_ACCOUNT], DatumGetInt64(values[TERM_SUBSCRIPTION]), true);
	s->terms = s->nterms == 0 ? palloc(sizeof(UsageTerm)) :
		repalloc(s->terms, (s->nterms + 1) * sizeof(UsageTerm));
	s->terms[s->nterms++] = (UsageTerm) {
		span_of(values[TERM_VALID]), TextDatumGetCString(values[TERM_PLAN]),
		DatumGetTimestampTz(values[TERM_PRICED_AT]), strcmp(state, "paused") != 0
	};
}

/*
 * What is renewed when it ends goes on: its usage does not wait for the run
 * that renews it.
 */
static void
take_subscription(Known *k, const Datum *values, const bool *isnull)
{
	Subscription *s;
	UsageTerm  *last = NULL;

	if (isnull[SUB_RENEW_EVERY])
		return;
	s = subscription_of(k, values[SUB_ACCOUNT], DatumGetInt64(values[SUB_SUBSCRIPTION]), false);
	for (int i = 0; s != NULL && i < s->nterms; i++)
		if (last == NULL || s->terms[i].valid.end > last->valid.end)
			last = &s->terms[i];
	if (last != NULL)
		last->valid.end = PG_INT64_MAX;
}

/* Cycles of what has no term in which usage follows them are of no use. */
static void
take_cycle(Known *k, const Datum *values, const bool *isnull)
{
	Subscription *s;
	Interval   *every;
	pg_tz	   *zone;

	if (!isnull[CYCLE_SUPERSEDED])
		return;
	s = subscription_of(k, values[CYCLE_ACCOUNT], DatumGetInt64(values[CYCLE_SUBSCRIPTION]), false);
	if (s == NULL)
		return;
	every = DatumGetIntervalP(values[CYCLE_EVERY]);
	zone = bj_zone_known(TextDatumGetCString(values[CYCLE_ZONE]));
	s->cycles = s->ncycles == 0 ? palloc(sizeof(UsageCycle)) :
		repalloc(s->cycles, (s->ncycles + 1) * sizeof(UsageCycle));
	s->cycles[s->ncycles++] = (UsageCycle) {
		{span_of(values[CYCLE_VALID]), bj_zone_clock(zone), DatumGetTimestampTz(values[CYCLE_ANCHOR]),
		{every->month, every->day, every->time}, DatumGetBool(values[CYCLE_SEAM])}, zone
	};
}

static void
take_price(Known *k, const Datum *values, const bool *isnull)
{
	if (isnull[PRICE_METER] || strcmp(TextDatumGetCString(values[PRICE_KIND]), "usage") != 0)
		return;
	k->prices = k->nprices == 0 ? palloc(sizeof(UsagePrice)) :
		repalloc(k->prices, (k->nprices + 1) * sizeof(UsagePrice));
	k->prices[k->nprices++] = (UsagePrice) {
		TextDatumGetCString(values[PRICE_PLAN]), TextDatumGetCString(values[PRICE_METER]),
		span_of(values[PRICE_VALID])
	};
}

/* Timelines of one account, or of all; the name of a table that is wrong. */
static const char *
load_timelines(Known *k, const KeyText *account)
{
	if (!take_rows(k, BJ_TABLE_TERM, term_columns, NTERM, account, take_term))
		return bj_table_name(BJ_TABLE_TERM);
	if (k->subscribers->members == 0)
		return NULL;
	if (!take_rows(k, BJ_TABLE_SUBSCRIPTION, sub_columns, NSUB, account, take_subscription))
		return bj_table_name(BJ_TABLE_SUBSCRIPTION);
	if (!take_rows(k, BJ_TABLE_BILLING_CYCLE, cycle_columns, NCYCLE, account, take_cycle))
		return bj_table_name(BJ_TABLE_BILLING_CYCLE);
	return NULL;
}

static bool
is_small(BjTable table)
{
	Relation	rel = bj_table_open(table, AccessShareLock);
	bool		small = rel == NULL || RelationGetNumberOfBlocks(rel) <= WHOLE_BLOCKS;

	if (rel != NULL)
		table_close(rel, AccessShareLock);
	return small;
}

static Known *
known_new(const char **problem)
{
	MemoryContext context = AllocSetContextCreate(CacheMemoryContext, "billadj periods",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	Known	   *k = palloc0(sizeof(Known));

	k->context = context;
	k->subscribers = strhash_create(context, 64, NULL);
	k->last_account.length = -1;
	*problem = NULL;
	/* the message that a change sends is known by these */
	bj_table_oid(BJ_TABLE_TERM_KEY);
	if (!OidIsValid(bj_table_oid(BJ_TABLE_TERM)))
		k->all = true;
	else
	{
		k->all = is_small(BJ_TABLE_TERM);
		if (k->all)
			*problem = load_timelines(k, NULL);
		if (*problem == NULL && (!k->all || k->subscribers->members > 0) &&
			!take_rows(k, BJ_TABLE_PLAN_PRICE, price_columns, NPRICE, NULL, take_price))
			*problem = bj_table_name(BJ_TABLE_PLAN_PRICE);
	}
	MemoryContextSwitchTo(old);
	return k;
}

const char *
bj_subperiods_begin(void)
{
	const char *problem = NULL;

	if (known != NULL && !stale && known->subscribers->members < MAX_KEPT)
		return NULL;

	for (int try = 0; try < 3; try++)
	{
		uint64		seen;
		Known	   *old = known;

		known = NULL;
		stale = true;
		if (old != NULL)
			MemoryContextDelete(old->context);
		AcceptInvalidationMessages();
		seen = changes;
		known = known_new(&problem);
		AcceptInvalidationMessages();
		/* a table that comes later does not tell */
		stale = problem != NULL || seen != changes ||
			!OidIsValid(bj_table_oid(BJ_TABLE_TERM));
		if (!stale)
			break;
	}
	any = !known->all || known->subscribers->members > 0;
	return problem;
}

bool
bj_subperiods_any(void)
{
	return any;
}

/* ---- answers ---- */

static Subscriber *
subscriber_of(KeyText account)
{
	Known	   *k = known;
	Subscriber *s;
	MemoryContext old;
	uint64		seen;

	if (bj_key_equal(k->last_account, account))
		return k->last;
	s = strhash_get(k->subscribers, account.data, account.length, 0);
	old = MemoryContextSwitchTo(k->context);
	if (s == NULL && !k->all)
	{
		AcceptInvalidationMessages();
		seen = changes;
		/* an entry in any case: that there is none is an answer too */
		s = subscriber_new(k, account.data, account.length);
		if (load_timelines(k, &account) != NULL || seen != changes)
			stale = true;
	}
	if (s != NULL)
	{
		if (k->last_account.length >= 0)
			pfree(DatumGetPointer(k->last_account.datum));
		k->last_account = bj_key_from_string(account.data, account.length);
		k->last = s;
	}
	MemoryContextSwitchTo(old);
	return s;
}

static bool
contains(Span span, TimestampTz at)
{
	return at >= span.start && at < span.end;
}

/* The term at an instant in which usage follows the periods; else NULL. */
static const UsageTerm *
term_at(const Subscription *s, TimestampTz at)
{
	if (contains(s->within, at))
		return s->term;
	for (int i = 0; i < s->nterms; i++)
		if (s->terms[i].in_force && contains(s->terms[i].valid, at))
			return &s->terms[i];
	return NULL;
}

static bool
prices_meter(const UsageTerm *term, KeyText meter)
{
	for (int i = 0; i < known->nprices; i++)
	{
		const UsagePrice *p = &known->prices[i];

		if (contains(p->valid, term->priced_at) && strcmp(p->plan, term->plan) == 0 &&
			meter.length == strlen(p->meter) && memcmp(meter.data, p->meter, meter.length) == 0)
			return true;
	}
	return false;
}

static Subscription *
subscription_for(Subscriber *subscriber, KeyText meter, TimestampTz at)
{
	Subscription *oldest = NULL;

	for (int i = 0; i < subscriber->n; i++)
	{
		Subscription *s = &subscriber->subscriptions[i];
		const UsageTerm *term = term_at(s, at);

		if (term == NULL)
			continue;
		if (subscriber->n == 1 || prices_meter(term, meter))
			return s;
		if (oldest == NULL)
			oldest = s;
	}
	return oldest;
}

/* Fills the last answer of a subscription, one of whose terms contains at. */
static bool
find_period(Subscription *s, TimestampTz at, Fault *fault)
{
	const UsageTerm *term = term_at(s, at);

	for (int i = 0; i < s->ncycles; i++)
	{
		const UsageCycle *c = &s->cycles[i];
		Cycle		cycle;
		CutPeriod	p;

		if (!contains(c->cycle.valid, at))
			continue;
		if (c->zone == NULL)
		{
			bj_fault_set(fault, ERRCODE_BJ_UNKNOWN_ZONE,
						 psprintf("a time zone of subscription " INT64_FORMAT " is not known", s->subscription_id),
						 "Install the server's time zone data, then run billadj.retry_parked().");
			return false;
		}
		if (bj_cycle_init(&cycle, &c->cycle.clock, c->cycle.anchor, c->cycle.every) != BJ_OK ||
			bj_cycles_find(&c->cycle, &cycle, at, &p) != BJ_OK)
		{
			bj_fault_set(fault, ERRCODE_BJ_BAD_TIME, "time of usage is out of range",
						 "Correct the host row: an UPDATE of it rates it.");
			return false;
		}
		s->term = term;
		s->period = p.cut;
		s->within.start = Max(p.cut.start, term->valid.start);
		s->within.end = Min(p.cut.end, term->valid.end);
		return true;
	}
	return false;
}

bool
bj_subperiods_find(KeyText account, KeyText meter, TimestampTz at,
				   UsagePeriod *period, Fault *fault)
{
	Subscriber *subscriber = subscriber_of(account);
	Subscription *s;

	if (subscriber == NULL)
		return false;
	s = subscription_for(subscriber, meter, at);
	if (s == NULL || (!contains(s->within, at) && !find_period(s, at, fault)))
		return false;
	period->subscription_id = s->subscription_id;
	period->span = s->period;
	return true;
}
