/*
 * aggfuncs.c
 *	  SQL-callable functions of the aggregates: exact sums, and their price.
 *
 * States are bytea, so that they can be combined by parallel workers and by
 * other nodes.  Behind the sum (core/sum.h) a priced state has
 *
 *		mark of the price (4 bytes), the price document as text
 *
 * Text, since bytes of a jsonb cannot be checked, and whoever may call these
 * functions may hand any bytes to them.
 *
 * In an aggregate a state is changed in place.  The first state of a group is
 * made in the memory of the row: the executor copies whatever pointer is new
 * to it into the aggregate's context, and another copy there would be lost.
 */
#include "postgres.h"

#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "nodes/primnodes.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"

#include "compat.h"
#include "core/rate.h"
#include "core/sum.h"
#include "errors.h"
#include "numericcodec.h"
#include "pricedoc.h"
#include "strhash.h"

#define MARK_AT BJ_SUM_SIZE
#define TEXT_AT (BJ_SUM_SIZE + sizeof(uint32))

/* ---- prices that a call site has seen ---- */

#define CACHE_MAX 512			/* then it begins anew */

typedef struct SeenPrice
{
	const char *key;			/* jsonb or text, without its varlena header */
	int			key_size;
	uint32		mark;			/* no other price of the call site has it */
	const char *text;			/* the document as a state has it */
	int			text_size;
	Price		price;
} SeenPrice;

/*
 * A row's price is found here by its bytes; a price that differs in a single
 * byte is parsed anew, so that this is never stale.
 */
typedef struct PriceCache
{
	MemoryContext parent;
	MemoryContext cxt;			/* of all that follows; NULL: nothing yet */
	struct strhash_hash *by_key;
	bool		constant;		/* the query has one price: it is last */
	SeenPrice  *last;			/* NULL: none */
	uint32		first_mark;		/* of seen[0] */
	int			n;
	SeenPrice  *seen[CACHE_MAX];
} PriceCache;

/* Is the first argument of the aggregate a constant? */
static bool
price_is_constant(FunctionCallInfo fcinfo)
{
	Aggref	   *aggref = AggGetAggref(fcinfo);

	return aggref != NULL && aggref->args != NIL &&
		aggref->aggsplit != AGGSPLIT_FINAL_DESERIAL &&
		IsA(linitial_node(TargetEntry, aggref->args)->expr, Const);
}

static inline PriceCache *
get_cache(FunctionCallInfo fcinfo)
{
	PriceCache *cache = fcinfo->flinfo->fn_extra;

	if (unlikely(cache == NULL))
	{
		cache = MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt,
									   sizeof(PriceCache));
		cache->parent = fcinfo->flinfo->fn_mcxt;
		cache->first_mark = 1;	/* 0 is nobody's mark */
		fcinfo->flinfo->fn_extra = cache;
	}
	return cache;
}

static void
cache_clear(PriceCache *cache)
{
	if (cache->cxt != NULL)
		MemoryContextDelete(cache->cxt);
	cache->cxt = NULL;
	cache->last = NULL;
	cache->first_mark += cache->n;
	cache->n = 0;
	cache->cxt = AllocSetContextCreate(cache->parent, "billadj prices",
									   ALLOCSET_SMALL_SIZES);
	cache->by_key = strhash_create(cache->cxt, 16, NULL);
}

static inline bool
seen_is(const SeenPrice *seen, const char *key, int key_size)
{
	return seen->key_size == key_size && memcmp(seen->key, key, key_size) == 0;
}

/* mark: of the price that the state of the row's group has, or 0 */
static SeenPrice *
cache_find(PriceCache *cache, uint32 mark, const char *key, int key_size)
{
	uint32		index = mark - cache->first_mark;

	if (cache->last != NULL && seen_is(cache->last, key, key_size))
		return cache->last;
	if (index < (uint32) cache->n && seen_is(cache->seen[index], key, key_size))
		return cache->seen[index];
	return cache->n == 0 ? NULL : strhash_get(cache->by_key, key, key_size, 0);
}

/* The price must be sound; nothing is kept of one that is not. */
static SeenPrice *
cache_add(PriceCache *cache, const char *key, int key_size, Jsonb *doc)
{
	MemoryContext old;
	SeenPrice  *seen;
	Price		price;

	if (cache->cxt == NULL || cache->n == CACHE_MAX)
		cache_clear(cache);
	bj_pricedoc_get(doc, cache->cxt, &price);

	old = MemoryContextSwitchTo(cache->cxt);
	seen = palloc(sizeof(SeenPrice));
	seen->price = price;
	seen->key = memcpy(palloc(key_size), key, key_size);
	seen->key_size = key_size;
	seen->text = JsonbToCString(NULL, &doc->root, VARSIZE(doc));
	seen->text_size = strlen(seen->text);
	seen->mark = cache->first_mark + cache->n;
	strhash_put(cache->by_key, seen->key, seen->key_size, 0, seen);
	cache->seen[cache->n++] = seen;
	MemoryContextSwitchTo(old);
	return seen;
}

static SeenPrice *
look_up_price(FunctionCallInfo fcinfo, int n, uint32 mark)
{
	PriceCache *cache = get_cache(fcinfo);
	struct varlena *doc = PG_DETOAST_DATUM_PACKED(PG_GETARG_DATUM(n));
	SeenPrice  *seen = cache_find(cache, mark, VARDATA_ANY(doc),
								  VARSIZE_ANY_EXHDR(doc));

	if (unlikely(seen == NULL))
	{
		seen = cache_add(cache, VARDATA_ANY(doc), VARSIZE_ANY_EXHDR(doc),
						 PG_GETARG_JSONB_P(n));
		cache->constant = price_is_constant(fcinfo);
	}
	cache->last = seen;
	return seen;
}

static inline const SeenPrice *
getarg_price(FunctionCallInfo fcinfo, int n, uint32 mark)
{
	PriceCache *cache = fcinfo->flinfo->fn_extra;

	if (likely(cache != NULL && cache->constant))
		return cache->last;
	return look_up_price(fcinfo, n, mark);
}

/* ---- states ---- */

static void
refuse_state(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
			 errmsg("bytes are no state of this aggregate"),
			 errhint("States come from the aggregate's own functions, of the same version.")));
}

static inline Decimal
state_sum(struct varlena *state, SumKind kind)
{
	Size		size = VARSIZE_ANY_EXHDR(state);
	Decimal		sum;

	if (!bj_sum_get(VARDATA_ANY(state), size, kind, &sum) ||
		(kind == BJ_SUM_PLAIN ? size != BJ_SUM_SIZE : size <= TEXT_AT))
		refuse_state();
	return sum;
}

/* AggCheckCallContext() without the call. */
static inline bool
in_aggregate(FunctionCallInfo fcinfo)
{
	return fcinfo->context != NULL && (IsA(fcinfo->context, AggState) ||
									   IsA(fcinfo->context, WindowAggState));
}

/* The state that may be written to: in an aggregate, the one that is there. */
static inline struct varlena *
getarg_state(FunctionCallInfo fcinfo)
{
	struct varlena *state = (struct varlena *) PG_GETARG_POINTER(0);

	if (likely(in_aggregate(fcinfo) &&
			   !VARATT_IS_EXTERNAL(state) && !VARATT_IS_COMPRESSED(state)))
		return state;
	return PG_DETOAST_DATUM_COPY(PG_GETARG_DATUM(0));
}

static struct varlena *
state_make(SumKind kind, Decimal sum, const SeenPrice *seen)
{
	Size		size = VARHDRSZ + (seen == NULL ? BJ_SUM_SIZE : TEXT_AT + seen->text_size);
	struct varlena *state = palloc(size);

	SET_VARSIZE(state, size);
	bj_sum_put(VARDATA(state), kind, sum);
	if (seen != NULL)
	{
		memcpy(VARDATA(state) + MARK_AT, &seen->mark, sizeof(uint32));
		memcpy(VARDATA(state) + TEXT_AT, seen->text, seen->text_size);
	}
	return state;
}

/* A call is made for what is wrong only. */
static inline void
check(BjStatus status)
{
	if (unlikely(status != BJ_OK))
		bj_check(status);
}

static inline Decimal
getarg_decimal(FunctionCallInfo fcinfo, int n)
{
	Decimal		value;

	check(bj_numeric_read_padded(PG_GETARG_DATUM(n), &value));
	return value;
}

/* A row's quantity as the price counts it. */
static inline Decimal
getarg_counted(FunctionCallInfo fcinfo, int n, const Price *price)
{
	Decimal		quantity = getarg_decimal(fcinfo, n);

	if (unlikely(quantity.coefficient < 0))
		bj_check(bj_rate_quantity(price, quantity, &quantity));
	return quantity;
}

/* What a combine function returns when one of its states is NULL. */
static Datum
combine_with_null(FunctionCallInfo fcinfo, SumKind kind)
{
	struct varlena *state;
	uint32		mark = 0;

	if (PG_ARGISNULL(1))
	{
		if (PG_ARGISNULL(0))
			PG_RETURN_NULL();
		PG_RETURN_DATUM(PG_GETARG_DATUM(0));
	}

	/* The other process counts its prices by itself. */
	state = PG_DETOAST_DATUM_COPY(PG_GETARG_DATUM(1));
	(void) state_sum(state, kind);
	if (kind == BJ_SUM_PRICED)
		memcpy(VARDATA(state) + MARK_AT, &mark, sizeof(mark));
	PG_RETURN_POINTER(state);
}

/* ---- exact_sum(amount numeric) ---- */

/* billadj.exact_sum_step(state bytea, amount numeric) */
PG_FUNCTION_INFO_V1(billadj_exact_sum_step);
Datum
billadj_exact_sum_step(PG_FUNCTION_ARGS)
{
	struct varlena *state;
	Decimal		sum;

	if (PG_ARGISNULL(1))
	{
		if (PG_ARGISNULL(0))
			PG_RETURN_NULL();
		PG_RETURN_DATUM(PG_GETARG_DATUM(0));
	}
	if (PG_ARGISNULL(0))
		PG_RETURN_POINTER(state_make(BJ_SUM_PLAIN, getarg_decimal(fcinfo, 1), NULL));

	state = getarg_state(fcinfo);
	sum = state_sum(state, BJ_SUM_PLAIN);
	check(bj_sum_add(&sum, getarg_decimal(fcinfo, 1)));
	bj_sum_put(VARDATA_ANY(state), BJ_SUM_PLAIN, sum);
	PG_RETURN_POINTER(state);
}

/* billadj.exact_sum_combine(state bytea, other bytea) */
PG_FUNCTION_INFO_V1(billadj_exact_sum_combine);
Datum
billadj_exact_sum_combine(PG_FUNCTION_ARGS)
{
	struct varlena *state;
	Decimal		sum;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		return combine_with_null(fcinfo, BJ_SUM_PLAIN);

	state = getarg_state(fcinfo);
	sum = state_sum(state, BJ_SUM_PLAIN);
	check(bj_sum_add(&sum, state_sum(PG_GETARG_BYTEA_PP(1), BJ_SUM_PLAIN)));
	bj_sum_put(VARDATA_ANY(state), BJ_SUM_PLAIN, sum);
	PG_RETURN_POINTER(state);
}

/* billadj.exact_sum_final(state bytea) */
PG_FUNCTION_INFO_V1(billadj_exact_sum_final);
Datum
billadj_exact_sum_final(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	PG_RETURN_DATUM(bj_numeric_make(state_sum(PG_GETARG_BYTEA_PP(0), BJ_SUM_PLAIN), 0));
}

/* ---- rated_sum(price jsonb, quantity numeric) ---- */

/* Prices come from outside: the text must be one before it is read as JSON. */
static Jsonb *
parse_text(const char *text, int size)
{
	pg_verifymbstr(text, size, false);
	return DatumGetJsonbP(DirectFunctionCall1(jsonb_in,
											  CStringGetDatum(pnstrdup(text, size))));
}

/*
 * 0.10 and 0.1 are equal for jsonb, and so in one group of GROUP BY price, but
 * not the same text.
 */
static bool
texts_equal(const char *a, int a_size, const char *b, int b_size)
{
	if (a_size == b_size && memcmp(a, b, a_size) == 0)
		return true;
	return compareJsonbContainers(&parse_text(a, a_size)->root,
								  &parse_text(b, b_size)->root) == 0;
}

static void
check_price(struct varlena *state, const char *text, int size)
{
	if (texts_equal(VARDATA_ANY(state) + TEXT_AT,
					VARSIZE_ANY_EXHDR(state) - TEXT_AT, text, size))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_BJ_BAD_PRICE),
			 errmsg("rows of one group have different prices"),
			 errdetail("One has %.*s, another %.*s.",
					   (int) (VARSIZE_ANY_EXHDR(state) - TEXT_AT),
					   VARDATA_ANY(state) + TEXT_AT, size, text),
			 errhint("A sum has one price: add the price to GROUP BY.")));
}

/* billadj.rated_sum_step(state bytea, price jsonb, quantity numeric) */
PG_FUNCTION_INFO_V1(billadj_rated_sum_step);
Datum
billadj_rated_sum_step(PG_FUNCTION_ARGS)
{
	struct varlena *state;
	const SeenPrice *seen;
	Decimal		sum;
	uint32		mark;

	if (PG_ARGISNULL(1) || PG_ARGISNULL(2))
	{
		if (PG_ARGISNULL(0))
			PG_RETURN_NULL();
		PG_RETURN_DATUM(PG_GETARG_DATUM(0));
	}
	if (PG_ARGISNULL(0))
	{
		seen = getarg_price(fcinfo, 1, 0);
		sum = getarg_counted(fcinfo, 2, &seen->price);
		PG_RETURN_POINTER(state_make(BJ_SUM_PRICED, sum, seen));
	}

	state = getarg_state(fcinfo);
	sum = state_sum(state, BJ_SUM_PRICED);
	memcpy(&mark, VARDATA_ANY(state) + MARK_AT, sizeof(mark));
	seen = getarg_price(fcinfo, 1, mark);
	if (unlikely(seen->mark != mark))
	{
		check_price(state, seen->text, seen->text_size);
		memcpy(VARDATA_ANY(state) + MARK_AT, &seen->mark, sizeof(mark));
	}
	check(bj_sum_add(&sum, getarg_counted(fcinfo, 2, &seen->price)));
	bj_sum_put(VARDATA_ANY(state), BJ_SUM_PRICED, sum);
	PG_RETURN_POINTER(state);
}

/* billadj.rated_sum_combine(state bytea, other bytea) */
PG_FUNCTION_INFO_V1(billadj_rated_sum_combine);
Datum
billadj_rated_sum_combine(PG_FUNCTION_ARGS)
{
	struct varlena *state;
	struct varlena *other;
	Decimal		sum;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		return combine_with_null(fcinfo, BJ_SUM_PRICED);

	state = getarg_state(fcinfo);
	other = PG_GETARG_BYTEA_PP(1);
	sum = state_sum(state, BJ_SUM_PRICED);
	check(bj_sum_add(&sum, state_sum(other, BJ_SUM_PRICED)));
	check_price(state, VARDATA_ANY(other) + TEXT_AT,
				VARSIZE_ANY_EXHDR(other) - TEXT_AT);
	bj_sum_put(VARDATA_ANY(state), BJ_SUM_PRICED, sum);
	PG_RETURN_POINTER(state);
}

/* billadj.rated_sum_final(state bytea): f of the sum */
PG_FUNCTION_INFO_V1(billadj_rated_sum_final);
Datum
billadj_rated_sum_final(PG_FUNCTION_ARGS)
{
	PriceCache *cache;
	SeenPrice  *seen;
	struct varlena *state;
	const char *text;
	int			size;
	Decimal		sum;
	Decimal		amount;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();

	state = PG_GETARG_BYTEA_PP(0);
	sum = state_sum(state, BJ_SUM_PRICED);
	text = VARDATA_ANY(state) + TEXT_AT;
	size = VARSIZE_ANY_EXHDR(state) - TEXT_AT;
	cache = get_cache(fcinfo);
	seen = cache_find(cache, 0, text, size);
	if (seen == NULL)
		seen = cache_add(cache, text, size, parse_text(text, size));
	cache->last = seen;
	bj_check(bj_rate_at(&seen->price, (Position) {true, sum}, &amount));
	PG_RETURN_DATUM(bj_numeric_make(amount, 0));
}

/* billadj.rated_quantity_sum_final(state bytea): the sum itself */
PG_FUNCTION_INFO_V1(billadj_rated_quantity_sum_final);
Datum
billadj_rated_quantity_sum_final(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	PG_RETURN_DATUM(bj_numeric_make(state_sum(PG_GETARG_BYTEA_PP(0), BJ_SUM_PRICED), 0));
}
