/*
 * binding.c
 *	  Store: reads attachments and binds their mappings to columns.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "binding.h"
#include "errors.h"
#include "tables.h"

typedef struct BindingKey
{
	Oid			relid;
	int64		attachment_id;
} BindingKey;

typedef struct BindingEntry
{
	BindingKey	key;
	bool		fresh;
	MemoryContext context;
	Binding    *binding;
} BindingEntry;

static HTAB *bindings = NULL;

static const Column columns[] = {
	{"attachment_id", INT8OID, true}, {"mapping", JSONBOID, true},
	{"on_unpriced", TEXTOID, true}, {"state", TEXTOID, true}, {"mode", TEXTOID, true},
	{"detect", BOOLOID, true}
};

static void
binding_changed(Oid relid)
{
	HASH_SEQ_STATUS scan;
	BindingEntry *entry;
	bool		all = !OidIsValid(relid) || bj_table_is(BJ_TABLE_ATTACHMENT, relid);

	if (bindings == NULL)
		return;
	hash_seq_init(&scan, bindings);
	while ((entry = hash_seq_search(&scan)) != NULL)
		if (all || entry->key.relid == relid)
			entry->fresh = false;	/* freed at the next look, not under a
									 * reader's feet */
}

void
bj_binding_init(void)
{
	bj_tables_on_change(binding_changed);
}

/* ---- from the mapping to columns ---- */

static JsonbValue *
member(JsonbContainer *object, const char *key, JsonbValue *value)
{
	if (object == NULL || !JsonContainerIsObject(object))
		return NULL;
	return getKeyJsonValueFromContainer(object, key, strlen(key), value);
}

static char *
string_of(const JsonbValue *value)
{
	return value != NULL && value->type == jbvString ?
		pnstrdup(value->val.string.val, value->val.string.len) : NULL;
}

static JsonbContainer *
object_of(const JsonbValue *value)
{
	return value != NULL && value->type == jbvBinary ? value->val.binary.data : NULL;
}

static bool
bind_column(Binding *b, TupleDesc desc, const char *name, Source *source)
{
	source->name = name;
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (att->attisdropped || strcmp(NameStr(att->attname), name) != 0)
			continue;
		source->attnum = att->attnum;
		source->basetype = getBaseType(att->atttypid);
		if (type_is_enum(source->basetype))
			source->basetype = ANYENUMOID;
		b->last_attnum = Max(b->last_attnum, att->attnum);
		return true;
	}
	b->problem = psprintf("column \"%s\" does not exist", name);
	return false;
}

/* {"column": name} or {"constant": text} */
static bool
bind_source(Binding *b, TupleDesc desc, JsonbValue *value, const char *what,
			Source *source)
{
	JsonbValue	buf;
	char	   *column = string_of(member(object_of(value), "column", &buf));
	char	   *constant = string_of(member(object_of(value), "constant", &buf));

	memset(source, 0, sizeof(Source));
	if (column != NULL)
		return bind_column(b, desc, column, source);
	if (constant == NULL)
	{
		b->problem = psprintf("the mapping has no %s", what);
		return false;
	}
	source->name = constant;
	source->constant = bj_key_from_string(constant, strlen(constant));
	return true;
}

static bool
bind_quantity(Binding *b, TupleDesc desc, JsonbValue *value, BoundMeasure *m)
{
	if (!bind_source(b, desc, value, "quantity", &m->quantity))
		return false;
	if (m->quantity.attnum == InvalidAttrNumber)
	{
		if (bj_decimal_parse(m->quantity.name, strlen(m->quantity.name),
							 &m->quantity_constant) != BJ_OK)
			b->problem = psprintf("quantity \"%s\" is not a number", m->quantity.name);
	}
	else if (m->quantity.basetype != INT2OID && m->quantity.basetype != INT4OID &&
			 m->quantity.basetype != INT8OID && m->quantity.basetype != NUMERICOID)
		b->problem = psprintf("quantity column \"%s\" is of type %s", m->quantity.name,
							  format_type_be(m->quantity.basetype));
	return b->problem == NULL;
}

static bool
bind_measures(Binding *b, TupleDesc desc, JsonbContainer *array)
{
	if (array == NULL || !JsonContainerIsArray(array) || JsonContainerSize(array) == 0)
	{
		b->problem = "the mapping has no measures";
		return false;
	}
	b->nmeasures = JsonContainerSize(array);
	b->measures = palloc0(b->nmeasures * sizeof(BoundMeasure));
	for (int i = 0; i < b->nmeasures; i++)
	{
		BoundMeasure *m = &b->measures[i];
		JsonbValue *element = getIthJsonbValueFromContainer(array, i);
		JsonbValue	buf;

		m->measure = string_of(member(object_of(element), "measure", &buf));
		if (m->measure == NULL)
			b->problem = "a measure of the mapping has no name";
		if (b->problem != NULL ||
			!bind_source(b, desc, member(object_of(element), "meter", &buf), "meter", &m->meter) ||
			!bind_quantity(b, desc, member(object_of(element), "quantity", &buf), m))
			return false;
		m->measure_text = bj_key_from_string(m->measure, strlen(m->measure));
	}
	return true;
}

static bool
bind_keys(Binding *b, TupleDesc desc, JsonbContainer *array)
{
	if (array == NULL || !JsonContainerIsArray(array) || JsonContainerSize(array) == 0)
	{
		b->problem = "the mapping has no event key";
		return false;
	}
	b->nkeys = JsonContainerSize(array);
	b->keys = palloc0(b->nkeys * sizeof(Source));
	for (int i = 0; i < b->nkeys; i++)
	{
		char	   *name = string_of(getIthJsonbValueFromContainer(array, i));

		if (name == NULL || !bind_column(b, desc, name, &b->keys[i]))
			return false;
		if (!bj_key_type_ok(b->keys[i].basetype, true))
			b->problem = psprintf("event key column \"%s\" is of type %s", name,
								  format_type_be(b->keys[i].basetype));
	}
	return b->problem == NULL;
}

static bool
bind_occurred_at(Binding *b, TupleDesc desc, JsonbValue *value)
{
	Oid			type;

	if (!bind_source(b, desc, value, "occurred_at", &b->occurred_at))
		return false;
	type = b->occurred_at.basetype;
	if (b->occurred_at.attnum == InvalidAttrNumber)
	{
		/* attach() took it through timestamptz and wrote it in ISO 8601 */
		b->at_constant = DatumGetTimestampTz(
			DirectFunctionCall3(timestamptz_in, CStringGetDatum(b->occurred_at.name),
								ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
	}
	else if (type != TIMESTAMPTZOID && type != TIMESTAMPOID && type != DATEOID)
		b->problem = psprintf("time column \"%s\" is of type %s", b->occurred_at.name,
							  format_type_be(type));
	return b->problem == NULL;
}

static void
bind_mapping(Binding *b, TupleDesc desc, Jsonb *mapping)
{
	JsonbContainer *root = &mapping->root;
	JsonbValue	buf;

	/* the key first: a row with a key can be found again */
	if (!bind_keys(b, desc, object_of(member(root, "event_key", &buf))))
		b->nkeys = 0;
	if (!bind_source(b, desc, member(root, "account", &buf), "account", &b->account) ||
		!bind_occurred_at(b, desc, member(root, "occurred_at", &buf)) ||
		!bind_measures(b, desc, object_of(member(root, "measures", &buf))))
		return;
	if (b->account.attnum != InvalidAttrNumber &&
		!bj_key_type_ok(b->account.basetype, false))
		b->problem = psprintf("account column \"%s\" is of type %s", b->account.name,
							  format_type_be(b->account.basetype));
}

/* ---- reading attachments ---- */

static Binding *
binding_read(Relation host, int64 attachment_id)
{
	Relation	rel = bj_table_open(BJ_TABLE_ATTACHMENT, AccessShareLock);
	AttrNumber	att[lengthof(columns)];
	int			first = 0;
	ScanKeyData key;
	Snapshot	snapshot;
	SysScanDesc scan;
	HeapTuple	tuple;
	Binding    *b = NULL;

	if (rel == NULL || bj_columns_find(rel, columns, lengthof(columns), att) != NULL)
	{
		if (rel != NULL)
			table_close(rel, AccessShareLock);
		return NULL;
	}
	ScanKeyInit(&key, att[0], BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(attachment_id));
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	scan = systable_beginscan(rel, bj_index_by_columns(rel, att, &first, 1), true,
							  snapshot, 1, &key);
	tuple = systable_getnext(scan);
	if (tuple != NULL)
	{
		bool		isnull;
		TupleDesc	desc = RelationGetDescr(rel);

		b = palloc0(sizeof(Binding));
		b->attachment_id = attachment_id;
		b->reject = strcmp(TextDatumGetCString(heap_getattr(tuple, att[2], desc, &isnull)),
						   "reject") == 0;
		b->active = strcmp(TextDatumGetCString(heap_getattr(tuple, att[3], desc, &isnull)),
						   "active") == 0;
		b->book = strcmp(TextDatumGetCString(heap_getattr(tuple, att[4], desc, &isnull)),
						 "shadow") == 0 ? BJ_BOOK_SHADOW : BJ_BOOK_BILLED;
		b->detect = b->book == BJ_BOOK_BILLED &&
			DatumGetBool(heap_getattr(tuple, att[5], desc, &isnull));
		bind_mapping(b, RelationGetDescr(host),
					 DatumGetJsonbPCopy(heap_getattr(tuple, att[1], desc, &isnull)));
	}
	systable_endscan(scan);
	UnregisterSnapshot(snapshot);
	table_close(rel, AccessShareLock);
	return b;
}

static void
bindings_create(void)
{
	HASHCTL		ctl = {0};

	ctl.keysize = sizeof(BindingKey);
	ctl.entrysize = sizeof(BindingEntry);
	ctl.hcxt = CacheMemoryContext;
	bindings = hash_create("billadj bindings", 64, &ctl,
						   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

const Binding *
bj_binding_get(Relation rel, int64 attachment_id)
{
	BindingKey	key;
	BindingEntry *entry;
	MemoryContext old;
	bool		found;

	memset(&key, 0, sizeof(key));	/* padding is hashed */
	key.relid = RelationGetRelid(rel);
	key.attachment_id = attachment_id;
	if (bindings == NULL)
		bindings_create();
	AcceptInvalidationMessages();
	entry = hash_search(bindings, &key, HASH_ENTER, &found);
	if (!found)
	{
		entry->context = NULL;
		entry->binding = NULL;
		entry->fresh = false;
	}
	if (entry->fresh && entry->binding != NULL)
		return entry->binding;

	if (entry->context != NULL)
		MemoryContextDelete(entry->context);
	entry->binding = NULL;
	entry->context = AllocSetContextCreate(CacheMemoryContext, "billadj binding",
										   ALLOCSET_SMALL_SIZES);
	old = MemoryContextSwitchTo(entry->context);

	/*
	 * Fresh from here on: an invalidation that comes while we read turns it
	 * back.  The lookups below accept messages before they take the snapshot.
	 */
	entry->fresh = true;
	entry->binding = binding_read(rel, attachment_id);
	MemoryContextSwitchTo(old);
	return entry->binding;
}

char *
bj_relation_literal(Relation rel)
{
	Datum		name = DirectFunctionCall1(regclassout, ObjectIdGetDatum(RelationGetRelid(rel)));

	return quote_literal_cstr(DatumGetCString(name));
}
