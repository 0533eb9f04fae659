/*
 * prices.c
 *	  Store: reads the catalogue and keeps what it read.
 *
 * The tables are read directly, under a snapshot of the moment: no role's
 * privileges, search_path or isolation level decides over an amount.
 *
 * When is what was kept still true?  Every change of a catalogue table sends a
 * relcache invalidation (catalogue_trigger()), and prices_changed() then marks
 * everything stale.  A load is kept only if no such message came between its
 * snapshot and its end: without that rule, a load that raced with a commit
 * would be stale for ever, as its message was consumed before.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "storage/bufmgr.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/rangetypes.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"

#include "core/rate.h"
#include "errors.h"
#include "numericcodec.h"
#include "pricedoc.h"
#include "prices.h"
#include "strhash.h"
#include "tables.h"
#include "zone.h"

/* A table of at most this many blocks is read whole, a larger one by key. */
#define WHOLE_BLOCKS 128

/* More accounts or prices than this, and the session starts anew. */
#define MAX_KEPT 50000

typedef struct PriceList
{
	int			n;
	CatalogPrice *prices;		/* ascending by from, never overlapping */
} PriceList;

typedef struct Catalogue
{
	MemoryContext context;
	pg_tz	   *zone;
	const char *zone_name;
	char		currency[4];
	TimestampTz charges_from;	/* of no use is what lies before */
	int			ncards;
	RateCard   *cards;			/* default cards, highest priority first */
	bool		all_accounts;	/* every row of account is in accounts */
	bool		all_cards;		/* every card is in cards or in an account */
	struct strhash_hash *accounts;	/* AccountTerms by account */
	struct strhash_hash *lists; /* PriceList by meter and rate_card_id */
	struct strhash_hash *by_id; /* CatalogPrice by price_id, "" */
	AccountTerms plain;			/* an account of which nothing is known */
} Catalogue;

static Catalogue *catalogue = NULL;
static bool stale = true;
static uint64 changes = 0;		/* invalidations seen; a load compares it */

static const Column instance_columns[] = {
	{"time_zone", TEXTOID, true}, {"currency", TEXTOID}, {"charges_from", DATEOID}
};
static const Column account_columns[] = {
	{"account", TEXTOID, true}, {"time_zone", TEXTOID}, {"currency", TEXTOID}
};
static const Column card_columns[] = {
	{"rate_card_id", INT8OID, true}, {"account", TEXTOID}, {"currency", TEXTOID, true},
	{"priority", INT4OID, true}
};
static const Column price_columns[] = {
	{"price_id", INT8OID, true}, {"rate_card_id", INT8OID, true}, {"meter", TEXTOID, true},
	{"valid", TSTZRANGEOID, true}, {"terms", JSONBOID, true}
};
static const Column tier_columns[] = {
	{"price_id", INT8OID, true}, {"tier", INT4OID, true}, {"up_to", NUMERICOID},
	{"unit_amount", NUMERICOID}, {"flat_amount", NUMERICOID},
	{"rate", NUMERICOID}
};

/* One pass over a table, by key or whole. */
typedef struct Reader
{
	Relation	rel;
	Snapshot	snapshot;
	SysScanDesc scan;
	AttrNumber	att[6];
} Reader;

static void
prices_changed(Oid relid)
{
	bool		ours = !OidIsValid(relid);

	for (BjTable t = BJ_TABLE_INSTANCE; t <= BJ_TABLE_PRICE_TIER; t++)
		ours |= bj_table_is(t, relid);
	if (ours)
	{
		stale = true;
		changes++;
	}
}

void
bj_prices_init(void)
{
	bj_tables_on_change(prices_changed);
}

/* ---- reading ---- */

/*
 * Opens table for reading rows whose columns keys[] have given values, or all
 * rows if nkeys is 0.  False when the table or a column is missing or of
 * another type.
 */
static bool
reader_open(Reader *r, BjTable table, const Column *columns, int ncolumns,
			ScanKey keys, int nkeys, const int *key_columns)
{
	Oid			index = InvalidOid;

	r->rel = bj_table_open(table, AccessShareLock);
	if (r->rel == NULL)
		return false;
	if (bj_columns_find(r->rel, columns, ncolumns, r->att) != NULL)
	{
		table_close(r->rel, AccessShareLock);
		return false;
	}
	for (int i = 0; i < nkeys; i++)
		keys[i].sk_attno = r->att[key_columns[i]];
	if (nkeys > 0)
		index = bj_index_by_columns(r->rel, r->att, key_columns, nkeys);
	r->snapshot = RegisterSnapshot(GetLatestSnapshot());
	r->scan = systable_beginscan(r->rel, index, OidIsValid(index), r->snapshot,
								 nkeys, keys);
	return true;
}

static HeapTuple
reader_next(Reader *r)
{
	return systable_getnext(r->scan);
}

static Datum
reader_get(Reader *r, HeapTuple tuple, int column, bool *isnull)
{
	return heap_getattr(tuple, r->att[column], RelationGetDescr(r->rel), isnull);
}

static void
reader_close(Reader *r)
{
	systable_endscan(r->scan);
	UnregisterSnapshot(r->snapshot);
	table_close(r->rel, AccessShareLock);
}

/* The column as a string in the current context, or NULL. */
static char *
reader_text(Reader *r, HeapTuple tuple, int column)
{
	bool		isnull;
	Datum		d = reader_get(r, tuple, column, &isnull);

	return isnull ? NULL : TextDatumGetCString(d);
}

static int64
reader_int64(Reader *r, HeapTuple tuple, int column)
{
	bool		isnull;

	return DatumGetInt64(reader_get(r, tuple, column, &isnull));
}

static void
text_key(ScanKey key, const char *data, int length)
{
	ScanKeyEntryInitialize(key, 0, 0, BTEqualStrategyNumber, InvalidOid,
						   C_COLLATION_OID, F_TEXTEQ,
						   PointerGetDatum(cstring_to_text_with_len(data, length)));
}

static void
int8_key(ScanKey key, int64 value)
{
	ScanKeyInit(key, 0, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(value));
}

/* ---- loading ---- */

static void
set_currency(char *to, const char *from)
{
	strlcpy(to, from ? from : "", 4);
}

static bool
load_instance(Catalogue *c)
{
	Reader		r;
	HeapTuple	tuple;

	c->zone_name = "UTC";
	c->charges_from = DT_NOBEGIN;
	if (!reader_open(&r, BJ_TABLE_INSTANCE, instance_columns, 3, NULL, 0, NULL))
		return false;
	while ((tuple = reader_next(&r)) != NULL)
	{
		bool		isnull;
		Datum		from = reader_get(&r, tuple, 2, &isnull);
		char	   *zone = reader_text(&r, tuple, 0);

		if (zone != NULL)
			c->zone_name = zone;
		set_currency(c->currency, reader_text(&r, tuple, 1));

		/* the first of a month begins within a day of UTC, in every zone */
		if (!isnull && !DATE_NOT_FINITE(DatumGetDateADT(from)))
			c->charges_from = (DatumGetDateADT(from) - 1) * USECS_PER_DAY;
	}
	reader_close(&r);
	c->zone = bj_zone_known(c->zone_name);
	return true;
}

static AccountTerms *
account_new(Catalogue *c, const char *account, int length)
{
	AccountTerms *terms = palloc(sizeof(AccountTerms));
	char	   *key = pnstrdup(account, length);

	*terms = c->plain;
	strhash_put(c->accounts, key, length, 0, terms);
	return terms;
}

static AccountTerms *
account_of(Catalogue *c, const char *account, int length)
{
	AccountTerms *terms = strhash_get(c->accounts, account, length, 0);

	return terms ? terms : account_new(c, account, length);
}

/* Rows of account: of one, or all when account is NULL. */
static bool
load_accounts(Catalogue *c, const char *account, int length)
{
	Reader		r;
	HeapTuple	tuple;
	ScanKeyData key;
	int			column = 0;

	if (account != NULL)
		text_key(&key, account, length);
	if (!reader_open(&r, BJ_TABLE_ACCOUNT, account_columns, 3, &key,
					 account ? 1 : 0, &column))
		return false;
	if (account == NULL &&
		RelationGetNumberOfBlocks(r.rel) > WHOLE_BLOCKS)
	{
		reader_close(&r);
		return true;
	}
	while ((tuple = reader_next(&r)) != NULL)
	{
		char	   *name = reader_text(&r, tuple, 0);
		char	   *zone = reader_text(&r, tuple, 1);
		char	   *currency = reader_text(&r, tuple, 2);
		AccountTerms *terms = account_of(c, name, strlen(name));

		if (zone != NULL)
		{
			terms->zone_name = zone;
			terms->zone = bj_zone_known(zone);
		}
		if (currency != NULL)
			set_currency(terms->currency, currency);
	}
	reader_close(&r);
	c->all_accounts |= account == NULL;
	return true;
}

/* Keeps an array of cards in descending priority. */
static void
card_insert(RateCard **cards, int *ncards, RateCard card)
{
	int			i;

	*cards = *ncards == 0 ? palloc(sizeof(RateCard)) :
		repalloc(*cards, (*ncards + 1) * sizeof(RateCard));
	for (i = (*ncards)++; i > 0 && (*cards)[i - 1].priority < card.priority; i--)
		(*cards)[i] = (*cards)[i - 1];
	(*cards)[i] = card;
}

/* Cards of one account, or of all (default cards too) when account is NULL. */
static bool
load_cards(Catalogue *c, const char *account, int length)
{
	Reader		r;
	HeapTuple	tuple;
	ScanKeyData key;
	int			column = 1;
	bool		whole;

	if (account != NULL)
		text_key(&key, account, length);
	if (!reader_open(&r, BJ_TABLE_RATE_CARD, card_columns, 4, &key,
					 account ? 1 : 0, &column))
		return false;
	whole = account != NULL ||
		RelationGetNumberOfBlocks(r.rel) <= WHOLE_BLOCKS;
	while ((tuple = reader_next(&r)) != NULL)
	{
		bool		isnull;
		RateCard	card;
		char	   *owner = reader_text(&r, tuple, 1);

		card.rate_card_id = reader_int64(&r, tuple, 0);
		set_currency(card.currency, reader_text(&r, tuple, 2));
		card.priority = DatumGetInt32(reader_get(&r, tuple, 3, &isnull));
		if (owner == NULL)
			card_insert(&c->cards, &c->ncards, card);
		else if (whole)
		{
			AccountTerms *terms = account_of(c, owner, strlen(owner));

			card_insert(&terms->cards, &terms->ncards, card);
		}
	}
	reader_close(&r);
	c->all_cards |= account == NULL && whole;
	return true;
}

/* The tiers of a price, in order; NULL if the table is missing. */
static PriceTier *
load_tiers(int64 price_id, int *ntiers)
{
	Reader		r;
	HeapTuple	tuple;
	ScanKeyData key;
	int			column = 0;
	int			room = 8;
	PriceTier  *tiers = palloc(room * sizeof(PriceTier));

	*ntiers = 0;
	int8_key(&key, price_id);
	if (!reader_open(&r, BJ_TABLE_PRICE_TIER, tier_columns, 6, &key, 1, &column))
		return NULL;
	while ((tuple = reader_next(&r)) != NULL)
	{
		PriceTier	tier = {0};
		bool		isnull;
		Datum		d;
		BjStatus	status = BJ_OK;

		if (*ntiers == room)
			tiers = repalloc(tiers, (room *= 2) * sizeof(PriceTier));
		d = reader_get(&r, tuple, 2, &isnull);
		tier.open = isnull;
		if (!isnull)
			status = bj_numeric_read(d, &tier.up_to);
		for (int i = 3; i < 6 && status == BJ_OK; i++)
		{
			d = reader_get(&r, tuple, i, &isnull);
			if (!isnull)
				status = bj_numeric_read(d, i == 4 ? &tier.flat_amount : &tier.unit_amount);
		}
		/* what cannot be held makes the bounds wrong, which is then noticed */
		if (status != BJ_OK)
			tier = (PriceTier) {0};
		/* the primary key gives the tiers in order, a heap scan need not */
		tiers[(*ntiers)++] = tier;
	}
	reader_close(&r);
	return tiers;
}

static void
price_read(Catalogue *c, Reader *r, HeapTuple tuple, CatalogPrice *price,
		   const char *currency)
{
	bool		isnull;
	RangeType  *range;
	TypeCacheEntry *type = lookup_type_cache(TSTZRANGEOID, TYPECACHE_RANGE_INFO);
	RangeBound	lower;
	RangeBound	upper;
	bool		empty;
	Jsonb	   *terms;
	PriceTier  *tiers;
	int			ntiers;
	PriceProblem problem;

	price->price_id = reader_int64(r, tuple, 0);
	range = DatumGetRangeTypeP(reader_get(r, tuple, 3, &isnull));
	range_deserialize(type, range, &lower, &upper, &empty);
	price->from = lower.infinite ? DT_NOBEGIN : DatumGetTimestampTz(lower.val);
	price->until = upper.infinite ? DT_NOEND : DatumGetTimestampTz(upper.val);
	if (empty)
		price->until = price->from;
	terms = DatumGetJsonbP(reader_get(r, tuple, 4, &isnull));
	tiers = load_tiers(price->price_id, &ntiers);
	if (!bj_pricedoc_read(terms, tiers, tiers ? ntiers : 0, c->context,
						  &price->price, &problem))
		price->problem = problem.message;
	else
		price->linear = bj_price_is_linear(&price->price) &&
			bj_rate_at(&price->price, (Position) {true, {1, 0}}, &price->unit) == BJ_OK;
	strlcpy(price->price.currency, currency, 4);
}

/* A price that was withdrawn: charges of the past may name it. */
static bool
holds_never(Reader *r, HeapTuple tuple)
{
	bool		isnull;

	return RangeIsEmpty(DatumGetRangeTypeP(reader_get(r, tuple, 3, &isnull)));
}

static int
price_cmp(const void *a, const void *b)
{
	const CatalogPrice *p = a;
	const CatalogPrice *q = b;

	return p->from < q->from ? -1 : p->from > q->from;
}

static PriceList *
load_list(Catalogue *c, const RateCard *card, const char *meter, int length)
{
	MemoryContext old;
	Reader		r;
	HeapTuple	tuple;
	ScanKeyData keys[2];
	int			columns[2] = {1, 2};
	int			room = 4;
	PriceList  *list;
	uint64		seen;

	AcceptInvalidationMessages();
	seen = changes;
	old = MemoryContextSwitchTo(c->context);
	list = palloc(sizeof(PriceList));
	list->n = 0;
	list->prices = palloc0(room * sizeof(CatalogPrice));
	int8_key(&keys[0], card->rate_card_id);
	text_key(&keys[1], meter, length);
	if (reader_open(&r, BJ_TABLE_PRICE, price_columns, 5, keys, 2, columns))
	{
		while ((tuple = reader_next(&r)) != NULL)
		{
			if (holds_never(&r, tuple))
				continue;
			if (list->n == room)
			{
				list->prices = repalloc(list->prices, 2 * room * sizeof(CatalogPrice));
				memset(list->prices + room, 0, room * sizeof(CatalogPrice));
				room *= 2;
			}
			price_read(c, &r, tuple, &list->prices[list->n++], card->currency);
		}
		reader_close(&r);
	}
	qsort(list->prices, list->n, sizeof(CatalogPrice), price_cmp);
	if (seen == changes)
		strhash_put(c->lists, pnstrdup(meter, length), length,
					card->rate_card_id, list);
	MemoryContextSwitchTo(old);
	return list;
}

static Catalogue *
catalogue_new(const char **missing)
{
	MemoryContext context = AllocSetContextCreate(CacheMemoryContext,
												  "billadj catalogue",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	Catalogue  *c = palloc0(sizeof(Catalogue));

	c->context = context;
	c->accounts = strhash_create(context, 64, NULL);
	c->lists = strhash_create(context, 64, NULL);
	c->by_id = strhash_create(context, 64, NULL);
	*missing = NULL;
	if (!load_instance(c))
		*missing = bj_table_name(BJ_TABLE_INSTANCE);
	c->plain = (AccountTerms) {.zone = c->zone, .zone_name = c->zone_name};
	strlcpy(c->plain.currency, c->currency, 4);
	if (*missing == NULL && !load_accounts(c, NULL, 0))
		*missing = bj_table_name(BJ_TABLE_ACCOUNT);
	if (*missing == NULL && !load_cards(c, NULL, 0))
		*missing = bj_table_name(BJ_TABLE_RATE_CARD);
	MemoryContextSwitchTo(old);
	return c;
}

const char *
bj_prices_begin(void)
{
	const char *missing = NULL;

	AcceptInvalidationMessages();
	if (catalogue != NULL && !stale &&
		catalogue->accounts->members + catalogue->by_id->members < MAX_KEPT)
		return NULL;

	for (int try = 0; try < 3; try++)
	{
		uint64		seen;
		Catalogue  *old = catalogue;

		catalogue = NULL;
		stale = true;
		if (old != NULL)
			MemoryContextDelete(old->context);
		AcceptInvalidationMessages();
		seen = changes;
		catalogue = catalogue_new(&missing);
		AcceptInvalidationMessages();
		stale = missing != NULL || seen != changes;
		if (!stale)
			break;
	}
	return missing;
}

/* ---- answers ---- */

TimestampTz
bj_prices_charges_from(void)
{
	return catalogue->charges_from;
}

const AccountTerms *
bj_prices_account(const char *account, int length)
{
	Catalogue  *c = catalogue;
	/* often there is none that differs from the instance */
	AccountTerms *terms = c->accounts->members == 0 ? NULL :
		strhash_get(c->accounts, account, length, 0);
	MemoryContext old;
	uint64		seen;

	if (terms != NULL)
		return terms;
	if (c->all_accounts && c->all_cards)
		return &c->plain;

	AcceptInvalidationMessages();
	seen = changes;
	old = MemoryContextSwitchTo(c->context);
	terms = account_new(c, account, length);
	if (!c->all_accounts)
		load_accounts(c, account, length);
	if (!c->all_cards)
		load_cards(c, account, length);
	MemoryContextSwitchTo(old);
	if (seen != changes)
		stale = true;
	return terms;
}

static const CatalogPrice *
price_in_force(const RateCard *card, const char *meter, int length, TimestampTz at)
{
	PriceList  *list = strhash_get(catalogue->lists, meter, length, card->rate_card_id);

	if (list == NULL)
		list = load_list(catalogue, card, meter, length);
	for (int i = list->n - 1; i >= 0; i--)
		if (list->prices[i].from <= at)
			return at < list->prices[i].until ? &list->prices[i] : NULL;
	return NULL;
}

/*
 * The winner among cards in descending priority.  Sets *other to a price that
 * only its currency excludes, and *rival to one of the same rank.
 */
static const CatalogPrice *
winner(const RateCard *cards, int ncards, const char *currency,
	   const char *meter, int length, TimestampTz at,
	   const CatalogPrice **other, const CatalogPrice **rival)
{
	const CatalogPrice *found = NULL;
	int32		rank = 0;

	for (int i = 0; i < ncards; i++)
	{
		const CatalogPrice *price;

		if (found != NULL && (cards[i].priority < rank || currency[0] != '\0'))
			break;
		price = price_in_force(&cards[i], meter, length, at);
		if (price == NULL)
			continue;
		if (currency[0] != '\0' && strcmp(currency, cards[i].currency) != 0)
			*other = price;
		else if (found == NULL)
		{
			found = price;
			rank = cards[i].priority;
		}
		else
			*rival = price;
	}
	return found;
}

static bool
meter_exists(const char *meter, int length)
{
	static const Column columns[] = {{"meter", TEXTOID}};
	Reader		r;
	ScanKeyData key;
	int			column = 0;
	bool		found;

	text_key(&key, meter, length);
	if (!reader_open(&r, BJ_TABLE_METER, columns, 1, &key, 1, &column))
		return false;
	found = reader_next(&r) != NULL;
	reader_close(&r);
	return found;
}

static void
no_price(const AccountTerms *terms, const char *meter, int length,
		 TimestampTz at, const CatalogPrice *other, Fault *fault)
{
	char	   *name = pnstrdup(meter, length);

	if (other != NULL)
		bj_fault_set(fault, ERRCODE_BJ_CURRENCY,
					 psprintf("the price of meter \"%s\" is in %s, the account is billed in %s",
							  name, other->price.currency, terms->currency),
					 psprintf("Import a rate card in %s with billadj.import_rate_card(), or change the account's currency in billadj.account.",
							  terms->currency));
	else if (!meter_exists(meter, length))
		bj_fault_set(fault, ERRCODE_BJ_UNKNOWN_METER,
					 psprintf("meter \"%s\" is not known", name),
					 "Import a rate card that prices it with billadj.import_rate_card(), then run billadj.retry_parked().");
	else
		bj_fault_set(fault, ERRCODE_BJ_NO_PRICE,
					 psprintf("meter \"%s\" has no price at %s", name,
							  timestamptz_to_str(at)),
					 "Import a rate card in force at that time with billadj.import_rate_card(), then run billadj.retry_parked().");
}

const CatalogPrice *
bj_prices_find(const AccountTerms *terms, const char *meter, int length,
			   TimestampTz at, Fault *fault)
{
	const CatalogPrice *other = NULL;
	const CatalogPrice *rival = NULL;
	const CatalogPrice *price = NULL;

	if (terms->ncards > 0)
		price = winner(terms->cards, terms->ncards, terms->currency, meter, length,
					   at, &other, &rival);
	if (price == NULL)
		price = winner(catalogue->cards, catalogue->ncards, terms->currency,
					   meter, length, at, &other, &rival);
	if (price == NULL)
	{
		no_price(terms, meter, length, at, other, fault);
		return NULL;
	}
	if (rival != NULL)
	{
		bj_fault_set(fault, ERRCODE_BJ_CURRENCY,
					 psprintf("meter \"%s\" has prices in %s and in %s, and the account has no currency",
							  pnstrdup(meter, length), price->price.currency,
							  rival->price.currency),
					 "Set currency in billadj.account or billadj.instance, then run billadj.retry_parked().");
		return NULL;
	}
	if (price->problem != NULL)
	{
		bj_fault_set(fault, ERRCODE_BJ_BAD_PRICE,
					 psprintf("price " INT64_FORMAT " cannot be used: %s",
							  price->price_id, price->problem),
					 "Run billadj.validate_rate_card().");
		return NULL;
	}
	return price;
}

/* The currency of a price's card, or "" if the card is gone. */
static void
card_currency(int64 rate_card_id, char *currency)
{
	Reader		r;
	HeapTuple	tuple;
	ScanKeyData key;
	int			column = 0;

	currency[0] = '\0';
	int8_key(&key, rate_card_id);
	if (!reader_open(&r, BJ_TABLE_RATE_CARD, card_columns, 4, &key, 1, &column))
		return;
	if ((tuple = reader_next(&r)) != NULL)
		set_currency(currency, reader_text(&r, tuple, 2));
	reader_close(&r);
}

const CatalogPrice *
bj_prices_by_id(int64 price_id)
{
	CatalogPrice *price = strhash_get(catalogue->by_id, "", 0, price_id);
	Reader		r;
	HeapTuple	tuple;
	ScanKeyData key;
	int			column = 0;
	MemoryContext old;

	if (price != NULL)
		return price;
	int8_key(&key, price_id);
	old = MemoryContextSwitchTo(catalogue->context);
	if (reader_open(&r, BJ_TABLE_PRICE, price_columns, 5, &key, 1, &column))
	{
		if ((tuple = reader_next(&r)) != NULL)
		{
			char		currency[4];

			card_currency(reader_int64(&r, tuple, 1), currency);
			price = palloc0(sizeof(CatalogPrice));
			price_read(catalogue, &r, tuple, price, currency);
			strhash_put(catalogue->by_id, "", 0, price_id, price);
		}
		reader_close(&r);
	}
	MemoryContextSwitchTo(old);
	return price != NULL && price->problem == NULL ? price : NULL;
}
