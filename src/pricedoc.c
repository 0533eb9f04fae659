/*
 * pricedoc.c
 *	  From a price document to a Price.
 *
 * What a document may say is in three tables below: the keys of a price, of
 * its rounding and of a tier.  Reading is the same for all of them.  What a
 * price may mean is judged by bj_price_check() alone.
 *
 * The first problem ends the reading.  It is told to the caller instead of
 * being thrown: a price that a later version wrote must not end the INSERT of
 * a usage row.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/numeric.h"

#include "core/currency.h"
#include "errors.h"
#include "numericcodec.h"
#include "pricedoc.h"

#define FOUND_LENGTH 40			/* bytes of a value that a message shows */

#define M(model) (1 << BJ_MODEL_##model)
#define ALL_MODELS ((1 << (BJ_MODEL_PASSTHROUGH + 1)) - 1)
#define TIERED (M(GRADUATED) | M(VOLUME) | M(STAIRSTEP) | \
				M(GRADUATED_PERCENTAGE))

typedef enum KeyKind
{
	KEY_NUMBER,					/* Decimal */
	KEY_STEP,					/* Decimal whose zero means that none is given */
	KEY_BOUND,					/* PriceTier.up_to and .open */
	KEY_WORD,					/* an enum of int's size */
	KEY_SWITCH,					/* bool, by two words */
	KEY_MODE,					/* Rounding */
	KEY_COUNT,					/* int32 */
	KEY_CURRENCY,				/* char[4] */
	KEY_ROUNDING,				/* object */
	KEY_TIERS,					/* array of objects */
	KEY_LATER					/* of a later version: refused by name */
} KeyKind;

/* value is what the field gets; for a switch, 0 or 1 */
typedef struct Word
{
	const char *word;
	int			value;
} Word;

typedef struct Key
{
	const char *name;
	int			models;			/* that may have it */
	int			required;		/* models that must have it */
	KeyKind		kind;
	size_t		offset;			/* in Price or PriceTier */
	const Word *words;
} Key;

static const Word model_words[] = {
	{"flat", BJ_MODEL_FLAT},
	{"per_unit", BJ_MODEL_PER_UNIT},
	{"package", BJ_MODEL_PACKAGE},
	{"graduated", BJ_MODEL_GRADUATED},
	{"volume", BJ_MODEL_VOLUME},
	{"stairstep", BJ_MODEL_STAIRSTEP},
	{"percentage", BJ_MODEL_PERCENTAGE},
	{"graduated_percentage", BJ_MODEL_GRADUATED_PERCENTAGE},
	{"passthrough", BJ_MODEL_PASSTHROUGH},
	{NULL}
};
static const Word partial_words[] = {
	{"up", BJ_PARTIAL_UP},
	{"down", BJ_PARTIAL_DOWN},
	{"prorate", BJ_PARTIAL_PRORATE},
	{NULL}
};
static const Word zero_words[] = {
	{"none", false},
	{"first_tier_flat", true},
	{NULL}
};
static const Word bound_words[] = {
	{"inclusive", false},
	{"exclusive", true},
	{NULL}
};
static const Word negative_words[] = {
	{"credit", BJ_NEGATIVE_CREDIT},
	{"carry", BJ_NEGATIVE_CARRY},
	{"clamp", BJ_NEGATIVE_CLAMP},
	{"reject", BJ_NEGATIVE_REJECT},
	{NULL}
};
static const Word stage_words[] = {
	{"row", BJ_STAGE_ROW},
	{"line", BJ_STAGE_LINE},
	{"invoice", BJ_STAGE_INVOICE},
	{NULL}
};

#define IN_PRICE(field) offsetof(Price, field)
#define IN_TIER(field) offsetof(PriceTier, field)

static const Key price_keys[] = {
	{"model", ALL_MODELS, ALL_MODELS, KEY_WORD, IN_PRICE(model), model_words},
	{"flat_amount", M(FLAT), M(FLAT), KEY_NUMBER, IN_PRICE(flat_amount)},
	{"unit_amount", M(PER_UNIT), M(PER_UNIT), KEY_NUMBER,
	IN_PRICE(unit_amount)},
	{"per", M(PER_UNIT), 0, KEY_NUMBER, IN_PRICE(per)},
	{"size", M(PACKAGE), M(PACKAGE), KEY_NUMBER, IN_PRICE(size)},
	{"package_amount", M(PACKAGE), M(PACKAGE), KEY_NUMBER,
	IN_PRICE(package_amount)},
	{"free_units", M(PACKAGE), 0, KEY_NUMBER, IN_PRICE(free_units)},
	{"partial", M(PACKAGE), 0, KEY_WORD, IN_PRICE(partial), partial_words},
	{"tiers", TIERED, TIERED, KEY_TIERS, 0},
	{"rate", M(PERCENTAGE), M(PERCENTAGE), KEY_NUMBER, IN_PRICE(unit_amount)},
	{"fixed_amount", M(PERCENTAGE), 0, KEY_NUMBER, IN_PRICE(flat_amount)},
	{"multiplier", M(PASSTHROUGH), 0, KEY_NUMBER, IN_PRICE(unit_amount)},
	{"currency", ALL_MODELS, 0, KEY_CURRENCY, IN_PRICE(currency)},
	{"zero_quantity", ALL_MODELS, 0, KEY_SWITCH, IN_PRICE(zero_flat),
	zero_words},
	{"bound", ALL_MODELS, 0, KEY_SWITCH, IN_PRICE(bound_exclusive),
	bound_words},
	{"negative", ALL_MODELS, 0, KEY_WORD, IN_PRICE(negative), negative_words},
	{"charge_scale", ALL_MODELS, 0, KEY_COUNT, IN_PRICE(charge_scale)},
	{"rounding", ALL_MODELS, 0, KEY_ROUNDING, 0},
	{"conversion", 0, 0, KEY_LATER, 0},
	{"allowance", 0, 0, KEY_LATER, 0},
	{"cap", 0, 0, KEY_LATER, 0},
	{"minimum", 0, 0, KEY_LATER, 0},
	{"commitment", 0, 0, KEY_LATER, 0},
	{"discounts", 0, 0, KEY_LATER, 0},
	{"tier_scope", 0, 0, KEY_LATER, 0},
	{"dimensions", 0, 0, KEY_LATER, 0},
	{"windows", 0, 0, KEY_LATER, 0},
	{NULL}
};

/* read_object() notes the keys it saw in as many bits. */
StaticAssertDecl(lengthof(price_keys) <= 32, "too many keys");

static const Key rounding_keys[] = {
	{"stage", ALL_MODELS, 0, KEY_WORD, IN_PRICE(stage), stage_words},
	{"mode", ALL_MODELS, 0, KEY_MODE, IN_PRICE(mode)},
	{"step", ALL_MODELS, 0, KEY_STEP, IN_PRICE(step)},
	{NULL}
};

static const Key tier_keys[] = {
	{"up_to", TIERED, 0, KEY_BOUND, 0},
	{"unit_amount", M(GRADUATED) | M(VOLUME), 0, KEY_NUMBER,
	IN_TIER(unit_amount)},
	{"rate", M(GRADUATED_PERCENTAGE), 0, KEY_NUMBER, IN_TIER(unit_amount)},
	{"flat_amount", TIERED, M(STAIRSTEP), KEY_NUMBER, IN_TIER(flat_amount)},
	{"cap", 0, 0, KEY_LATER, 0},
	{"size", 0, 0, KEY_LATER, 0},
	{"package_amount", 0, 0, KEY_LATER, 0},
	{NULL}
};

typedef struct Reader
{
	Price	   *price;
	MemoryContext cxt;
	PriceProblem *problem;
	int			given_tiers;	/* < 0: the document has them */
} Reader;

static bool read_object(Reader *reader, JsonbContainer *object,
						const Key *keys, const char *prefix, void *target,
						int *nvalues);

static bool
refuse(Reader *reader, char *message, char *hint)
{
	reader->problem->message = message;
	reader->problem->hint = hint;
	return false;
}

/* A value as a message shows it. */
static char *
found(const JsonbValue *value)
{
	switch (value->type)
	{
		case jbvNull:
			return pstrdup("null");
		case jbvBool:
			return pstrdup(value->val.boolean ? "true" : "false");
		case jbvNumeric:
			{
				char	   *text = DatumGetCString(DirectFunctionCall1(numeric_out,
																	   NumericGetDatum(value->val.numeric)));

				if (strlen(text) > FOUND_LENGTH)
					strcpy(text + FOUND_LENGTH - 3, "...");
				return text;
			}
		case jbvString:
			{
				int			length = value->val.string.len;

				if (length <= FOUND_LENGTH)
					return psprintf("\"%.*s\"", length,
									value->val.string.val);
				length = pg_mbcliplen(value->val.string.val, length,
									  FOUND_LENGTH - 3);
				return psprintf("\"%.*s...\"", length, value->val.string.val);
			}
		case jbvBinary:
			return pstrdup(JsonContainerIsArray(value->val.binary.data)
						   ? "an array" : "an object");
		default:
			return pstrdup("something else");
	}
}

static bool
refuse_value(Reader *reader, const char *path, const char *wanted,
			 const JsonbValue *value, char *hint)
{
	return refuse(reader, psprintf("price key \"%s\" must be %s, found %s",
								   path, wanted, found(value)), hint);
}

static bool
word_equals(const JsonbValue *value, const char *word)
{
	return value->type == jbvString &&
		value->val.string.len == strlen(word) &&
		memcmp(value->val.string.val, word, value->val.string.len) == 0;
}

static char *
list_words(const Word *words)
{
	StringInfoData list;

	initStringInfo(&list);
	for (; words->word != NULL; words++)
		appendStringInfo(&list, "%s%s", list.len == 0 ? "" :
						 words[1].word == NULL ? " or " : ", ", words->word);
	return list.data;
}

static const Word *
find_word(const Word *words, const JsonbValue *value)
{
	for (; words->word != NULL; words++)
	{
		if (word_equals(value, words->word))
			return words;
	}
	return NULL;
}

static const char *
model_name(PriceModel model)
{
	for (const Word *word = model_words; word->word != NULL; word++)
	{
		if (word->value == model)
			return word->word;
	}
	return "";
}

/* What a document of this model may say, for a hint. */
static char *
list_keys(const Key *keys, PriceModel model)
{
	StringInfoData list;

	initStringInfo(&list);
	appendStringInfo(&list, "Keys of model \"%s\" here are: ",
					 model_name(model));
	for (int n = 0; keys->name != NULL; keys++)
	{
		if (keys->models & (1 << model))
			appendStringInfo(&list, "%s%s", n++ == 0 ? "" : ", ", keys->name);
	}
	appendStringInfoChar(&list, '.');
	return list.data;
}

static BjStatus
parse_number(const JsonbValue *value, Decimal *number)
{
	BjStatus	status;

	if (value->type == jbvNumeric)
		status = bj_numeric_read(NumericGetDatum(value->val.numeric), number);
	else if (value->type == jbvString)
		status = bj_decimal_parse(value->val.string.val,
								  value->val.string.len, number);
	else
		return BJ_BAD_NUMBER;
	if (status == BJ_OK)
		*number = bj_decimal_normalize(*number);
	return status;
}

static bool
read_number(Reader *reader, const char *path, const JsonbValue *value,
			Decimal *number)
{
	BjStatus	status = parse_number(value, number);

	if (status == BJ_OUT_OF_RANGE)
		return refuse_value(reader, path, "a number of at most 38 digits",
							value, NULL);
	if (status != BJ_OK)
		return refuse_value(reader, path, "a number", value,
							pstrdup("Write a JSON number, or a string that holds one, such as \"0.0025\"."));
	return true;
}

static bool
read_step(Reader *reader, const char *path, const JsonbValue *value,
		  Decimal *step)
{
	if (!read_number(reader, path, value, step))
		return false;
	if (bj_decimal_sign(*step) <= 0)
		return refuse_value(reader, path, "above zero", value, NULL);
	return true;
}

static bool
read_count(Reader *reader, const char *path, const JsonbValue *value,
		   int32 *count)
{
	Decimal		number;
	Decimal		whole;

	if (!read_number(reader, path, value, &number))
		return false;
	if (bj_decimal_round(number, 0, BJ_ROUND_NEVER, &whole) != BJ_OK ||
		whole.coefficient < PG_INT32_MIN || whole.coefficient > PG_INT32_MAX)
		return refuse_value(reader, path, "a whole number", value, NULL);
	*count = (int32) whole.coefficient;
	return true;
}

static bool
read_word(Reader *reader, const char *path, const Key *key,
		  const JsonbValue *value, char *field)
{
	const Word *word = find_word(key->words, value);

	if (word == NULL)
		return refuse_value(reader, path, list_words(key->words), value, NULL);
	if (key->kind == KEY_SWITCH)
		*(bool *) field = word->value != 0;
	else
		memcpy(field, &word->value, sizeof(int));
	return true;
}

static bool
read_mode(Reader *reader, const char *path, const JsonbValue *value,
		  Rounding *mode)
{
	if (value->type == jbvString &&
		bj_rounding_parse(pnstrdup(value->val.string.val,
								   value->val.string.len), mode) == BJ_OK)
		return true;
	return refuse_value(reader, path, "half_up, half_even, half_down, up, down, ceil, floor or never",
						value, NULL);
}

static bool
read_currency(Reader *reader, const char *path, const JsonbValue *value,
			  char *currency)
{
	if (value->type != jbvString || value->val.string.len != 3 ||
		bj_currency_find(value->val.string.val, 3) == NULL)
		return refuse_value(reader, path, "a currency code of ISO 4217",
							value,
							pstrdup("Write three capital letters, such as \"USD\"."));
	memcpy(currency, value->val.string.val, 3);
	currency[3] = '\0';
	return true;
}

static bool
read_bound(Reader *reader, const char *path, const JsonbValue *value,
		   PriceTier *tier)
{
	tier->open = value->type == jbvNull;
	return tier->open || read_number(reader, path, value, &tier->up_to);
}

static bool
is_container(const JsonbValue *value, bool array)
{
	return value->type == jbvBinary &&
		(array ? JsonContainerIsArray(value->val.binary.data)
		 : JsonContainerIsObject(value->val.binary.data));
}

static bool
read_rounding(Reader *reader, const char *path, const JsonbValue *value)
{
	int			nvalues;

	if (!is_container(value, false))
		return refuse_value(reader, path, "an object", value,
							pstrdup("Write for example {\"stage\": \"line\", \"mode\": \"half_up\", \"step\": 0.01}."));
	if (!read_object(reader, value->val.binary.data, rounding_keys,
					 "rounding.", reader->price, &nvalues))
		return false;
	return true;
}

static bool
read_tier(Reader *reader, int index, const JsonbValue *value, PriceTier *tier)
{
	char	   *path = psprintf("tiers[%d]", index);
	int			nvalues;

	memset(tier, 0, sizeof(*tier));
	tier->open = true;
	if (!is_container(value, false))
		return refuse_value(reader, path, "an object", value, NULL);
	if (!read_object(reader, value->val.binary.data, tier_keys,
					 psprintf("%s.", path), tier, &nvalues))
		return false;

	/* A tier without any amount is more likely a slip than a gift. */
	if (nvalues == 0)
		return refuse(reader,
					  psprintf("price key \"%s\" has no amount", path),
					  list_keys(tier_keys, reader->price->model));
	return true;
}

static bool
read_tiers(Reader *reader, const char *path, const JsonbValue *value)
{
	JsonbContainer *array;
	Price	   *price = reader->price;
	int			ntiers;

	if (!is_container(value, true))
		return refuse_value(reader, path, "an array of objects", value, NULL);
	array = value->val.binary.data;
	ntiers = JsonContainerSize(array);
	price->tiers = MemoryContextAllocZero(reader->cxt,
										  Max(ntiers, 1) * sizeof(PriceTier));
	price->ntiers = ntiers;
	for (int i = 0; i < ntiers; i++)
	{
		if (!read_tier(reader, i, getIthJsonbValueFromContainer(array, i),
					   &price->tiers[i]))
			return false;
	}
	return true;
}

static bool
read_value(Reader *reader, const Key *key, const char *path,
		   const JsonbValue *value, char *target)
{
	char	   *field = target + key->offset;

	switch (key->kind)
	{
		case KEY_NUMBER:
			return read_number(reader, path, value, (Decimal *) field);
		case KEY_STEP:
			return read_step(reader, path, value, (Decimal *) field);
		case KEY_BOUND:
			return read_bound(reader, path, value, (PriceTier *) target);
		case KEY_WORD:
		case KEY_SWITCH:
			return read_word(reader, path, key, value, field);
		case KEY_MODE:
			return read_mode(reader, path, value, (Rounding *) field);
		case KEY_COUNT:
			return read_count(reader, path, value, (int32 *) field);
		case KEY_CURRENCY:
			return read_currency(reader, path, value, field);
		case KEY_ROUNDING:
			return read_rounding(reader, path, value);
		case KEY_TIERS:
			if (reader->given_tiers < 0)
				return read_tiers(reader, path, value);
			return refuse(reader, psprintf("price key \"%s\" must not be in the terms of a stored price", path),
						  pstrdup("Put the tiers into price_tier."));
		case KEY_LATER:
			break;				/* not reached: see find_key */
	}
	return refuse(reader, psprintf("price key \"%s\" cannot be read", path),
				  NULL);
}

static const Key *
find_key(Reader *reader, const Key *keys, const char *path,
		 const JsonbValue *name)
{
	PriceModel	model = reader->price->model;
	const Key  *key = keys;

	while (key->name != NULL && !word_equals(name, key->name))
		key++;
	if (key->name != NULL && (key->models & (1 << model)))
		return key;

	if (key->name == NULL)
		refuse(reader, psprintf("price key \"%s\" is unknown", path),
			   list_keys(keys, model));
	else if (key->kind == KEY_LATER)
		refuse(reader, psprintf("price key \"%s\" is not supported by this version",
								path), NULL);
	else
		refuse(reader, psprintf("price key \"%s\" does not belong to model \"%s\"",
								path, model_name(model)),
			   list_keys(keys, model));
	return NULL;
}

/*
 * Reads the values of an object into target, as the keys say.  *nvalues is the
 * number of those which are more than a tier's bound.
 */
static bool
read_object(Reader *reader, JsonbContainer *object, const Key *keys,
			const char *prefix, void *target, int *nvalues)
{
	JsonbIterator *iterator = JsonbIteratorInit(object);
	JsonbIteratorToken token;
	JsonbValue	name;
	JsonbValue	value;
	uint32		seen = 0;

	*nvalues = 0;
	JsonbIteratorNext(&iterator, &value, false);	/* the object's beginning */
	while ((token = JsonbIteratorNext(&iterator, &name, true)) == WJB_KEY)
	{
		const Key  *key;
		char	   *path = psprintf("%s%.*s", prefix,
									pg_mbcliplen(name.val.string.val,
												 name.val.string.len,
												 FOUND_LENGTH),
									name.val.string.val);

		JsonbIteratorNext(&iterator, &value, true);
		key = find_key(reader, keys, path, &name);
		if (key == NULL ||
			!read_value(reader, key, path, &value, target))
			return false;
		seen |= 1U << (key - keys);
		*nvalues += key->kind != KEY_BOUND;
	}

	for (int i = 0; keys[i].name != NULL; i++)
	{
		if ((keys[i].required & (1 << reader->price->model)) &&
			!(seen & (1U << i)) &&
			!(keys[i].kind == KEY_TIERS && reader->given_tiers >= 0))
			return refuse(reader, psprintf("price key \"%s%s\" is missing",
										   prefix, keys[i].name),
						  list_keys(keys, reader->price->model));
	}
	return true;
}

/* What a document that says nothing else means. */
static void
set_defaults(Price *price, PriceModel model)
{
	memset(price, 0, sizeof(*price));
	price->model = model;
	price->per = bj_decimal_from_int64(1);
	if (model == BJ_MODEL_PASSTHROUGH)
		price->unit_amount = bj_decimal_from_int64(1);
	price->partial = BJ_PARTIAL_UP;
	price->zero_flat = model == BJ_MODEL_FLAT || model == BJ_MODEL_PERCENTAGE;
	price->negative = BJ_NEGATIVE_CREDIT;
	price->charge_scale = 12;
	price->stage = BJ_STAGE_LINE;
	price->mode = BJ_ROUND_HALF_UP;
}

/*
 * The model comes first: it says which keys may be there.  NULL: there is
 * none.
 */
static const Word *
read_model(Reader *reader, JsonbContainer *object)
{
	JsonbValue	value;
	const Word *word;

	if (getKeyJsonValueFromContainer(object, "model", strlen("model"),
									 &value) == NULL)
	{
		refuse(reader, pstrdup("price key \"model\" is missing"),
			   psprintf("Models are %s.", list_words(model_words)));
		return NULL;
	}
	word = find_word(model_words, &value);
	if (word == NULL)
		refuse_value(reader, "model", list_words(model_words), &value, NULL);
	return word;
}

/* ", found 4" for a number that bj_price_check() refused, else nothing */
static char *
found_at(const Price *price, const PriceFault *fault)
{
	const Key  *key = price_keys;
	const Decimal *number = NULL;
	char		text[BJ_DECIMAL_TEXT_SIZE];

	if (fault->tier >= 0 && !price->tiers[fault->tier].open)
		number = &price->tiers[fault->tier].up_to;
	for (; fault->tier < 0 && key->name != NULL; key++)
	{
		if (strcmp(key->name, fault->key) != 0)
			continue;
		if (key->kind == KEY_COUNT)
			return psprintf(", found %d",
							*(const int32 *) ((const char *) price + key->offset));
		if (key->kind == KEY_NUMBER)
			number = (const Decimal *) ((const char *) price + key->offset);
	}
	if (number == NULL)
		return pstrdup("");
	bj_decimal_format(*number, text);
	return psprintf(", found %s", text);
}

static bool
check_price(Reader *reader)
{
	PriceFault	fault;
	char	   *path;

	if (bj_price_check(reader->price, &fault))
		return true;
	path = fault.tier < 0 ? pstrdup(fault.key)
		: psprintf("tiers[%d].%s", fault.tier, fault.key);
	return refuse(reader, psprintf("price key \"%s\" %s%s", path,
								   fault.problem,
								   found_at(reader->price, &fault)), NULL);
}

bool
bj_pricedoc_read(Jsonb *doc, const PriceTier *tiers, int ntiers,
				 MemoryContext cxt, Price *price, PriceProblem *problem)
{
	Reader		reader = {price, cxt, problem, ntiers};
	const Word *model;
	int			nvalues;

	if (!JB_ROOT_IS_OBJECT(doc))
		return refuse(&reader, pstrdup("price must be a JSON object"),
					  pstrdup("Write for example {\"model\": \"per_unit\", \"unit_amount\": 0.01}."));
	model = read_model(&reader, &doc->root);
	if (model == NULL)
		return false;

	set_defaults(price, model->value);
	if (ntiers > 0)
	{
		price->ntiers = ntiers;
		price->tiers = MemoryContextAlloc(cxt, ntiers * sizeof(PriceTier));
		memcpy(price->tiers, tiers, ntiers * sizeof(PriceTier));
	}
	if (!read_object(&reader, &doc->root, price_keys, "", price, &nvalues) ||
		!check_price(&reader))
		return false;
	bj_price_simplify(price);
	return true;
}

void
bj_pricedoc_get(Jsonb *doc, MemoryContext cxt, Price *price)
{
	PriceProblem problem;

	if (bj_pricedoc_read(doc, NULL, -1, cxt, price, &problem))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_BJ_BAD_PRICE),
			 errmsg("%s", problem.message),
			 problem.hint == NULL ? 0 : errhint("%s", problem.hint)));
}
