/*
 * ledger.c
 *	  What this transaction adds to running totals, and settling them at commit.
 *
 * Why not lock in the statement: two transactions that touch accounts in
 * different order would deadlock, REPEATABLE READ would fail with 40001, and a
 * session idle in transaction would block all writers of its accounts.
 *
 * The total read at first touch is only a guess.  A stale one makes a position
 * row, never a wrong sum.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "port/pg_bswap.h"
#include "storage/proc.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "charges.h"
#include "detect.h"
#include "errors.h"
#include "jsonpush.h"
#include "ledger.h"
#include "settings.h"

/* One key of this transaction.  Never moved: the hash holds pointers. */
typedef struct Account
{
	TotalKey	key;			/* copied */
	uint64		prefix;			/* of the account, as a number that sorts so */
	const Price *price;			/* copied */
	int			level;			/* nest level whose undo list already holds
								 * it; 1 = none needed */
	TotalRow	base;			/* total row at first touch: a guess */
	Decimal		own_quantity;	/* of this transaction only, as are the next */
	Decimal		own_booked;
	int64		own_rows;
	int64		own_postings;
	DetectSlot	noted;			/* what of its rows was */
	DetectStream *stream;		/* at commit: likewise, of its account and meter */
	bool		alone;			/* no other account is of the stream */
} Account;

typedef struct Undo
{
	struct Undo *next;
	Account    *account;
	int			prior;			/* its level before */
	Decimal		quantity;
	Decimal		booked;
	int64		rows;
	int64		postings;
} Undo;

typedef struct Level
{
	struct Level *parent;
	int			nest;
	SubTransactionId subid;
	Undo	   *head;
} Level;

typedef struct PriceCopy
{
	struct PriceCopy *next;
	int64		price_id;
	Price		price;
} PriceCopy;

static inline bool
total_key_equal(const TotalKey *a, const TotalKey *b)
{
	return a->price_id == b->price_id && a->book == b->book && a->period_start == b->period_start &&
		bj_key_equal(a->account, b->account) && bj_key_equal(a->meter, b->meter);
}

typedef struct AccountEntry
{
	const TotalKey *key;
	uint32		hash;
	char		status;
	Account    *account;
} AccountEntry;

#define SH_PREFIX accounts
#define SH_ELEMENT_TYPE AccountEntry
#define SH_KEY_TYPE const TotalKey *
#define SH_KEY key
#define SH_HASH_KEY(tb, key) bj_tiertotals_hash(key)
#define SH_EQUAL(tb, a, b) total_key_equal(a, b)
#define SH_STORE_HASH
#define SH_GET_HASH(tb, a) a->hash
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

typedef struct Ledger
{
	MemoryContext context;		/* under TopTransactionContext */
	struct accounts_hash *hash;
	Account   **accounts;
	int			n;
	int			room;
	Level	   *levels;
	Undo	   *spare;
	PriceCopy  *prices;
} Ledger;

static Ledger *ledger = NULL;	/* NULL until the transaction posts something */

/*
 * Has our pre-commit callback run?  Usage that another module writes in its own
 * must then be settled by the statement that writes it.
 */
static bool committing = false;

/* ---- subtransactions ---- */

/* Before every change of own_*: what a rollback must restore. */
static void
account_save(Account *a)
{
	int			nest = GetCurrentTransactionNestLevel();
	Level	   *level = ledger->levels;
	Undo	   *undo = ledger->spare;

	if (a->level == nest)
		return;
	if (level == NULL || level->nest != nest)
	{
		level = MemoryContextAlloc(ledger->context, sizeof(Level));
		*level = (Level) {ledger->levels, nest, GetCurrentSubTransactionId(), NULL};
		ledger->levels = level;
	}
	if (undo != NULL)
		ledger->spare = undo->next;
	else
		undo = MemoryContextAlloc(ledger->context, sizeof(Undo));
	*undo = (Undo) {level->head, a, a->level, a->own_quantity, a->own_booked,
	a->own_rows, a->own_postings};
	level->head = undo;
	a->level = nest;
}

static void
account_restore(const Undo *undo)
{
	Account    *a = undo->account;

	a->own_quantity = undo->quantity;
	a->own_booked = undo->booked;
	a->own_rows = undo->rows;
	a->own_postings = undo->postings;
}

/* Hands the level's list up (commit) or restores from it (abort). */
static void
level_end(Level *level, bool commit)
{
	Level	   *parent = level->parent;
	int			nest = level->nest - 1;

	for (Undo *undo = level->head, *next; undo != NULL; undo = next)
	{
		bool		keep = commit && nest > 1 && undo->prior != nest;
		Undo	  **to = keep ? &parent->head : &ledger->spare;

		next = undo->next;
		undo->account->level = commit ? nest : undo->prior;
		if (!commit)
			account_restore(undo);
		undo->next = *to;
		*to = undo;
	}
	ledger->levels = parent;
	pfree(level);
}

static void
subxact_callback(SubXactEvent event, SubTransactionId my, SubTransactionId up, void *arg)
{
	Level	   *level = ledger ? ledger->levels : NULL;
	bool		commit = event == SUBXACT_EVENT_COMMIT_SUB;
	int			nest;

	if (level == NULL || level->subid != my ||
		!(commit || event == SUBXACT_EVENT_ABORT_SUB))
		return;
	nest = level->nest - 1;
	if (commit && nest > 1 && (level->parent == NULL || level->parent->nest != nest))
	{
		/* the parent has no list: hand ours up, allocate nothing */
		level->nest = nest;
		level->subid = up;
		for (Undo *undo = level->head; undo != NULL; undo = undo->next)
			undo->account->level = nest;
		return;
	}
	level_end(level, commit);
}

/* ---- posting ---- */

static void
ledger_open(void)
{
	MemoryContext context = AllocSetContextCreate(TopTransactionContext,
												  "billadj ledger",
												  ALLOCSET_DEFAULT_SIZES);

	ledger = MemoryContextAllocZero(context, sizeof(Ledger));
	ledger->context = context;
	ledger->hash = accounts_create(context, 16, NULL);
	ledger->room = 16;
	ledger->accounts = MemoryContextAlloc(context, ledger->room * sizeof(Account *));
}

/* The price as of this transaction: the catalogue's copy may be dropped. */
static const Price *
price_copy(const CatalogPrice *from)
{
	PriceCopy  *copy;
	Size		tiers = from->price.ntiers * sizeof(PriceTier);

	for (copy = ledger->prices; copy != NULL; copy = copy->next)
		if (copy->price_id == from->price_id)
			return &copy->price;
	copy = MemoryContextAlloc(ledger->context, sizeof(PriceCopy) + tiers);
	copy->price_id = from->price_id;
	copy->price = from->price;
	copy->price.tiers = (PriceTier *) (copy + 1);
	if (tiers > 0)
		memcpy(copy->price.tiers, from->price.tiers, tiers);
	copy->next = ledger->prices;
	ledger->prices = copy;
	return &copy->price;
}

static Position
position(Decimal quantity, int64 rows)
{
	return rows > 0 ? (Position) {true, quantity} : BJ_NOT_CHARGED;
}

/* The first eight bytes, most significant first, padded with zeros. */
static uint64
account_prefix(KeyText account)
{
	unsigned char bytes[sizeof(uint64)] = {0};
	uint64		prefix;

	memcpy(bytes, account.data, Min(account.length, sizeof(bytes)));
	memcpy(&prefix, bytes, sizeof(prefix));
	return pg_ntoh64(prefix);
}

static Account *
account_make(const TotalKey *key)
{
	Account    *a = palloc0(sizeof(Account));

	a->key = *key;
	a->key.account = bj_key_from_string(key->account.data, key->account.length);
	a->key.meter = bj_key_from_string(key->meter.data, key->meter.length);
	a->prefix = account_prefix(a->key.account);
	a->level = 1;
	a->noted.key = &a->key;
	return a;
}

static BjStatus
account_new(TierTotals *totals, const TotalKey *key, uint32 hash,
			const CatalogPrice *price, Account **result)
{
	MemoryContext old = MemoryContextSwitchTo(ledger->context);
	Account    *a = account_make(key);
	AccountEntry *entry;
	BjStatus	status;
	bool		found;

	a->price = price_copy(price);
	bj_tiertotals_find(totals, key, hash, false, &a->base, &status);
	MemoryContextSwitchTo(old);
	if (status != BJ_OK)
		return status;

	if (ledger->n == ledger->room)
	{
		ledger->room *= 2;
		ledger->accounts = repalloc_huge(ledger->accounts, ledger->room * sizeof(Account *));
	}
	ledger->accounts[ledger->n++] = a;
	entry = accounts_insert_hash(ledger->hash, &a->key, hash, &found);
	entry->account = a;
	*result = a;
	return BJ_OK;
}

/* What a posting makes of the account. */
typedef struct After
{
	Decimal		quantity;
	Decimal		booked;
} After;

/*
 * What settling will have to hold is computed here too, though nothing needs
 * it yet: too long a total is a parked row now, and a failed COMMIT then.
 */
static BjStatus
rate_posting(const Account *a, Decimal quantity, int rows, After *after, Posting *posting)
{
	int64		rows_before = a->base.rows + a->own_rows;
	Decimal		before;
	Decimal		total;
	BjStatus	status;

	if ((status = bj_decimal_add(a->base.quantity, a->own_quantity, &before)) != BJ_OK ||
		(status = bj_decimal_add(a->own_quantity, quantity, &after->quantity)) != BJ_OK ||
		(status = bj_decimal_add(a->base.quantity, after->quantity, &total)) != BJ_OK)
		return status;
	posting->before = position(before, rows_before);
	posting->emptied = rows_before + rows <= 0;
	if ((status = bj_rate_between(a->price, posting->before, position(total, rows_before + rows),
								  &posting->amount)) != BJ_OK ||
		(status = bj_decimal_add(a->own_booked, posting->amount, &after->booked)) != BJ_OK)
		return status;
	return bj_decimal_add(a->base.amount, after->booked, &total);
}

BjStatus
bj_ledger_post(TierTotals *totals, const TotalKey *key, const CatalogPrice *price,
			   Decimal quantity, int rows, Posting *posting)
{
	uint32		hash = bj_tiertotals_hash(key);
	AccountEntry *entry;
	Account    *a;
	After		after;
	BjStatus	status = BJ_OK;

	if (ledger == NULL)
		ledger_open();
	entry = accounts_lookup_hash(ledger->hash, key, hash);
	if (entry != NULL)
		a = entry->account;
	else
		status = account_new(totals, key, hash, price, &a);
	if (status == BJ_OK)
		status = rate_posting(a, quantity, rows, &after, posting);
	if (status != BJ_OK)
		return status;

	posting->slot = &a->noted;
	account_save(a);
	a->own_quantity = after.quantity;
	a->own_booked = after.booked;
	a->own_rows += rows;
	a->own_postings++;
	return BJ_OK;
}

/* ---- settling ---- */

static int
key_text_cmp(KeyText a, KeyText b)
{
	int			cmp = memcmp(a.data, b.data, Min(a.length, b.length));

	return cmp != 0 ? cmp : a.length - b.length;
}

static int
stream_cmp(const TotalKey *a, const TotalKey *b)
{
	int			cmp = (int) a->book - (int) b->book;

	if (cmp == 0)
		cmp = key_text_cmp(a->account, b->account);
	if (cmp == 0)
		cmp = key_text_cmp(a->meter, b->meter);
	return cmp;
}

/* The lock order, the same everywhere: book, account, meter, period, price. */
static int
account_cmp(const void *x, const void *y)
{
	const Account *p = *(Account *const *) x;
	const Account *q = *(Account *const *) y;
	const TotalKey *a = &p->key;
	const TotalKey *b = &q->key;
	int			cmp;

	if (a->book == b->book && p->prefix != q->prefix)
		return p->prefix < q->prefix ? -1 : 1;
	cmp = stream_cmp(a, b);
	if (cmp == 0)
		cmp = a->period_start < b->period_start ? -1 : a->period_start > b->period_start;
	if (cmp == 0)
		cmp = a->price_id < b->price_id ? -1 : a->price_id > b->price_id;
	return cmp;
}

/* What explain_charge() and replay() need beside the columns. */
static Jsonb *
position_basis(const Account *a, int64 rows_after)
{
	JsonbParseState *state = NULL;
	JsonbValue	none = {jbvNull};

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	bj_jsonpush_decimal(&state, "quantity", a->own_quantity);
	if (a->base.rows > 0)
		bj_jsonpush_decimal(&state, "assumed_before", a->base.quantity);
	else
	{
		bj_jsonpush_key(&state, "assumed_before");
		pushJsonbValue(&state, WJB_VALUE, &none);
	}
	bj_jsonpush_decimal(&state, "assumed_rows_after", bj_decimal_from_int64(a->base.rows + a->own_rows));
	bj_jsonpush_decimal(&state, "rows_after", bj_decimal_from_int64(rows_after));
	return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
}

static void
charge_position(ChargeWriter *charges, const Account *a, const TotalRow *now,
				int64 rows_after, Decimal amount)
{
	Charge		c = {0};

	c.account = a->key.account;
	c.meter = a->key.meter;
	c.period_start = a->key.period_start;
	c.price_id = a->key.price_id;
	c.has_before = now->rows > 0;
	c.quantity_before = now->quantity;
	c.amount = amount;
	c.currency = a->price->currency;
	c.cause = "position";
	c.basis = position_basis(a, rows_after);
	if (!bj_charges_add(charges, &c))
		ereport(ERROR,
				(errcode(ERRCODE_BJ_NOT_INSTALLED),
				 errmsg("no partition of the charges holds %s",
						timestamptz_to_str(a->key.period_start)),
				 errhint("Run SELECT * FROM billadj.maintain().")));
}

/*
 * The accounts to be settled, in their order, and what is needed only when a
 * total was not as it was read: seldom.
 */
typedef struct Settling
{
	Account   **accounts;
	int			n;
	int			room;
	BjBook		book;
	TierTotals *totals;
	ChargeWriter *charges;
} Settling;

static void
cannot_settle(const char *problem)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_TABLE),
			 errmsg("usage totals cannot be settled: %s", problem),
			 errdetail("The table was there when the usage was written in this transaction."),
			 errhint("Nothing was committed; run SELECT * FROM billadj.self_check().")));
}

static ChargeWriter *
charges_of(Settling *settling)
{
	const char *problem;

	if (settling->charges == NULL)
		settling->charges = bj_charges_open(settling->book, &problem);
	if (settling->charges == NULL)
		cannot_settle(problem);
	return settling->charges;
}

static bool
find_again(Settling *settling, const Account *a, bool thorough, TotalRow *now)
{
	const char *problem;
	BjStatus	status;
	bool		found;

	CHECK_FOR_INTERRUPTS();
	if (!bj_tiertotals_can_find(settling->totals, &problem))
		cannot_settle(problem);
	memset(now, 0, sizeof(TotalRow));
	found = bj_tiertotals_find(settling->totals, &a->key, bj_tiertotals_hash(&a->key),
							   thorough, now, &status);
	bj_check(status);
	return found;
}

static void
add_account(Settling *settling, Account *a)
{
	if (settling->n == settling->room)
	{
		settling->room = Max(2 * settling->room, 16);
		settling->accounts = settling->accounts == NULL ?
			palloc(settling->room * sizeof(Account *)) :
			repalloc_huge(settling->accounts, settling->room * sizeof(Account *));
	}
	settling->accounts[settling->n++] = a;
}

/*
 * Beside a's total was the head of its stream, and is not any more.  It moves on
 * only, so that the total which has it now comes later in the order.
 */
static void
follow_head(Settling *settling, int i)
{
	Account    *a = settling->accounts[i];
	Account    *next;
	TotalKey	key;

	if (!bj_detect_beside(a->stream, true, &key))
		return;
	next = account_make(&key);
	next->stream = a->stream;
	/* what says so is wrong, and the baseline will find out */
	if (account_cmp(&next, &a) <= 0)
		return;
	do
		i++;
	while (i < settling->n && account_cmp(&settling->accounts[i], &next) < 0);
	if (i < settling->n && account_cmp(&settling->accounts[i], &next) == 0)
		return;
	add_account(settling, next);
	memmove(&settling->accounts[i + 1], &settling->accounts[i],
			(settling->n - 1 - i) * sizeof(Account *));
	settling->accounts[i] = next;
}

/* What is to be in the row; *difference: what the charges lack. */
static void
raise_total(const Account *a, const TotalRow *now, TotalRow *row, Decimal *difference)
{
	*row = *now;
	*difference = BJ_DECIMAL_ZERO;
	if (a->own_postings == 0)
		return;
	row->rows = now->rows + a->own_rows;
	bj_check(bj_decimal_add(now->quantity, a->own_quantity, &row->quantity));
	bj_check(bj_rate_at(a->price, position(row->quantity, row->rows), &row->amount));
	bj_check(bj_decimal_subtract(row->amount, now->amount, difference));
	bj_check(bj_decimal_subtract(*difference, a->own_booked, difference));
}

/* The total is written, and with it the head of its stream. */
static void
end_account(Settling *settling, Account *a, TotalRow *row, bool has_head, bool absorbed)
{
	if (a->stream != NULL)
		bj_detect_hold(a->stream, settling->totals, &a->key, row, has_head, absorbed);
	if (row->version != NULL)
		heap_freetuple(row->version);

	/*
	 * A statement of another module's pre-commit callback may still follow: it
	 * starts from what is now in the table.
	 */
	a->base = *row;
	a->base.version = NULL;
	a->base.bucket_size = 0;
	a->own_quantity = a->own_booked = BJ_DECIMAL_ZERO;
	a->own_rows = a->own_postings = 0;
}

/*
 * One key: raise its total by what was posted and book what is missing.
 * Repeats when somebody else changed the row between our look and our write;
 * the first look is that of the first touch, if there was a row.
 */
static void
settle_account(Settling *settling, int i)
{
	Account    *a = settling->accounts[i];
	TierTotals *totals = settling->totals;
	bool		had_head = a->base.bucket_size > 0 || a->own_postings == 0;
	bool		done = false;

	for (int look = 0; !done; look++)
	{
		TotalRow	now = a->base;
		TotalRow	row;
		Decimal		difference;
		bool		has_head;
		bool		absorbed;
		bool		found = now.version != NULL;

		if (look > 0 || !found)
			found = find_again(settling, a, look > 0, &now);
		has_head = a->stream != NULL && now.bucket_size > 0;
		if (a->own_postings > 0 || has_head)
		{
			raise_total(a, &now, &row, &difference);
			absorbed = has_head && bj_detect_absorb(a->stream, &a->key, a->alone, &row);
			done = found ? bj_tiertotals_update(totals, &now, &row) :
				bj_tiertotals_create(totals, &a->key, &row);
			if (!done)
				continue;
			if (bj_decimal_sign(difference) != 0)
				charge_position(charges_of(settling), a, &now, row.rows, difference);
			end_account(settling, a, &row, has_head, absorbed);
		}
		if (had_head && !has_head && a->stream != NULL)
			follow_head(settling, i);
		done = true;
	}
}

static void
settle_context(void *arg)
{
	errcontext("settling %d usage totals at commit", *(int *) arg);
}

/* The charges of the transaction would be gone with their table: hence the look. */
static void
open_book(Settling *settling, BjBook book)
{
	const char *problem;

	settling->book = book;
	settling->totals = bj_tiertotals_open(book, &problem);
	if (settling->totals == NULL || !bj_charges_exist(book, &problem))
		cannot_settle(problem);
}

static void
close_book(Settling *settling)
{
	if (settling->charges != NULL)
		bj_charges_close(settling->charges);
	if (settling->totals != NULL)
		bj_tiertotals_close(settling->totals);
	settling->charges = NULL;
	settling->totals = NULL;
}

static void
settle_accounts(Settling *settling)
{
	for (int i = 0; i < settling->n; i++)
	{
		if (i % 256 == 0)
			CHECK_FOR_INTERRUPTS();
		if (settling->totals == NULL || settling->accounts[i]->key.book != settling->book)
		{
			close_book(settling);
			open_book(settling, settling->accounts[i]->key.book);
		}
		settle_account(settling, i);
	}
	close_book(settling);
	CommandCounterIncrement();
}

static inline bool
is_same_stream(const Account *a, const Account *b)
{
	return a->prefix == b->prefix && a->key.book == b->key.book &&
		bj_key_equal(a->key.account, b->key.account) && bj_key_equal(a->key.meter, b->key.meter);
}

/* Of a stream whose rows are to be looked at: its accounts, and where its head is. */
typedef struct StreamAccounts
{
	DetectStream *stream;
	int			first;			/* in settling->accounts */
	int			next;
} StreamAccounts;

/*
 * Where none of the stream's accounts has its head, the stream is locked, or the
 * total that has it is added, to be locked in its order.  True if it is locked.
 */
static bool
join_stream(Settling *settling, const StreamAccounts *join)
{
	TotalKey	key;
	Account    *added;

	for (int i = join->first; i < join->next; i++)
		if (settling->accounts[i]->base.bucket_size > 0)
			return false;
	if (!bj_detect_lock(join->stream, &key))
		return true;
	for (int i = join->first; i < join->next; i++)
		if (total_key_equal(&settling->accounts[i]->key, &key))
			return false;		/* it has it now, and had not when it was read */
	added = account_make(&key);
	added->stream = join->stream;
	add_account(settling, added);
	return false;
}

/* Mostly the accounts know their streams. */
static int
find_streams(Settling *settling, StreamAccounts *joins)
{
	int			n = 0;
	int			next;

	for (int first = 0; first < settling->n; first = next)
	{
		DetectStream *stream = NULL;

		for (next = first; next < settling->n && is_same_stream(settling->accounts[first], settling->accounts[next]); next++)
			if (stream == NULL)
				stream = settling->accounts[next]->noted.stream;
		if (stream != NULL && bj_detect_place(stream))
			joins[n++] = (StreamAccounts) {stream, first, next};
	}
	return n;
}

/* Those whose rows were posted to no account, but may have some all the same. */
static int
find_rest(Settling *settling, DetectStream **rest, int nrest, StreamAccounts *joins)
{
	int			next = 0;

	for (int k = 0; k < nrest; k++)
	{
		TotalKey	key = bj_detect_key(rest[k]);
		int			first = next;

		while (first < settling->n && stream_cmp(&settling->accounts[first]->key, &key) < 0)
			first++;
		for (next = first; next < settling->n && stream_cmp(&settling->accounts[next]->key, &key) == 0;)
			next++;
		joins[k] = (StreamAccounts) {rest[k], first, next};
	}
	return nrest;
}

static int
join_cmp(const void *x, const void *y)
{
	TotalKey	a = bj_detect_key(((const StreamAccounts *) x)->stream);
	TotalKey	b = bj_detect_key(((const StreamAccounts *) y)->stream);

	return stream_cmp(&a, &b);
}

static bool
is_any_beside(const StreamAccounts *joins, int n)
{
	TotalKey	key;

	for (int i = 0; i < n; i++)
		if (bj_detect_beside(joins[i].stream, false, &key))
			return true;
	return false;
}

/*
 * Before totals are locked: streams whose lock is another row are, in their
 * order.  Where there are no totals it is left to when they are written.
 */
static void
join_streams(Settling *settling)
{
	int			n = settling->n;
	int			nrest;
	int			njoins;
	DetectStream **rest;
	bool		locked = false;
	StreamAccounts *joins = palloc_extended((n + 1) * sizeof(StreamAccounts), MCXT_ALLOC_HUGE);

	njoins = find_streams(settling, joins);
	rest = bj_detect_place_rest(&nrest);
	if (nrest > 0)
	{
		joins = repalloc_huge(joins, (njoins + nrest) * sizeof(StreamAccounts));
		njoins += find_rest(settling, rest, nrest, joins + njoins);
		qsort(joins, njoins, sizeof(StreamAccounts), join_cmp);
	}
	if (n == 0 && (njoins < 2 || !is_any_beside(joins, njoins)))
		return;
	for (int k = 0; k < njoins; k++)
	{
		for (int i = joins[k].first; i < joins[k].next; i++)
		{
			settling->accounts[i]->stream = joins[k].stream;
			settling->accounts[i]->alone = joins[k].next == joins[k].first + 1;
		}
		locked |= join_stream(settling, &joins[k]);
	}
	/* so that what is locked can be written */
	if (locked)
		CommandCounterIncrement();
	if (settling->n > n)
		qsort(settling->accounts, settling->n, sizeof(Account *), account_cmp);
}

/*
 * Runs no user code, no SPI and no MVCC snapshot on the totals, so it works
 * under whatever role, isolation level, read-only flag or search_path is in
 * force at COMMIT.
 */
static void
settle(void)
{
	MemoryContext parent = ledger != NULL ? ledger->context : TopTransactionContext;
	MemoryContext context = AllocSetContextCreate(parent, "billadj settle", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	Settling	settling = {0};
	ErrorContextCallback callback = {error_context_stack, settle_context, &settling.n};

	error_context_stack = &callback;
	for (int i = 0; ledger != NULL && i < ledger->n; i++)
	{
		ledger->accounts[i]->stream = NULL;
		if (ledger->accounts[i]->own_postings != 0)
			add_account(&settling, ledger->accounts[i]);
	}
	qsort(settling.accounts, settling.n, sizeof(Account *), account_cmp);
	bj_detect_order();
	join_streams(&settling);
	if (settling.n > 0)
		settle_accounts(&settling);
	error_context_stack = callback.previous;
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}

/*
 * The totals first, then what was noted for detection: one lock order.  The
 * active snapshot is for detoasting only.
 */
static void
settle_everything(void)
{
	int			save_timeout = LockTimeout;
	bool		save_read_only = XactReadOnly;

	if (ledger == NULL && !bj_detect_noted())
		return;
	if (bj_settle_timeout > 0 &&
		(LockTimeout == 0 || LockTimeout > bj_settle_timeout))
		LockTimeout = bj_settle_timeout;
	/* decided when the usage was written; nextval() would refuse */
	XactReadOnly = false;
	PG_TRY();
	{
		PushActiveSnapshot(GetLatestSnapshot());
		settle();
		bj_detect_settle();
		PopActiveSnapshot();
	}
	PG_FINALLY();
	{
		LockTimeout = save_timeout;
		XactReadOnly = save_read_only;
	}
	PG_END_TRY();
}

void
bj_ledger_end_statement(void)
{
	if (committing)
		settle_everything();
}

static void
xact_callback(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
		case XACT_EVENT_PRE_PREPARE:
			committing = true;
			settle_everything();
			break;
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:
			committing = false;
			bj_detect_forget();
			ledger = NULL;		/* the memory goes with TopTransactionContext */
			break;
		default:
			break;				/* a parallel worker holds no ledger */
	}
}

void
bj_ledger_init(void)
{
	RegisterXactCallback(xact_callback, NULL);
	RegisterSubXactCallback(subxact_callback, NULL);
}
