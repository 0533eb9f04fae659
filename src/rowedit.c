/*
 * rowedit.c
 *	  A row that a BEFORE trigger reads and changes, by the names of its columns.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "errors.h"
#include "numericcodec.h"
#include "rowedit.h"

void
bj_row_open(RowEdit *row, Relation rel, HeapTuple tuple)
{
	int			natts = RelationGetDescr(rel)->natts;

	*row = (RowEdit) {rel, tuple, palloc(sizeof(Datum) * natts), palloc(sizeof(bool) * natts)};
	heap_deform_tuple(tuple, RelationGetDescr(rel), row->values, row->nulls);
}

HeapTuple
bj_row_make(RowEdit *row)
{
	HeapTuple	made = heap_form_tuple(RelationGetDescr(row->rel), row->values, row->nulls);

	made->t_tableOid = row->tuple->t_tableOid;
	return made;
}

/* The tables are the DBA's: a column may be gone. */
static int
find(const RowEdit *row, const char *column)
{
	TupleDesc	desc = RelationGetDescr(row->rel);

	for (int i = 0; i < desc->natts; i++)
		if (!TupleDescAttr(desc, i)->attisdropped &&
			strcmp(NameStr(TupleDescAttr(desc, i)->attname), column) == 0)
			return i;
	ereport(ERROR,
			(errcode(ERRCODE_BJ_NOT_INSTALLED),
			 errmsg("column \"%s\" of table \"%s\" is gone", column, RelationGetRelationName(row->rel)),
			 errhint("SELECT * FROM billadj.self_check();")));
	return -1;
}

bool
bj_row_null(const RowEdit *row, const char *column)
{
	return row->nulls[find(row, column)];
}

Datum
bj_row_get(const RowEdit *row, const char *column, bool *null)
{
	int			i = find(row, column);

	*null = row->nulls[i];
	return row->values[i];
}

int64
bj_row_int64(const RowEdit *row, const char *column)
{
	bool		null;
	Datum		value = bj_row_get(row, column, &null);

	return null ? 0 : DatumGetInt64(value);
}

int32
bj_row_int32(const RowEdit *row, const char *column)
{
	bool		null;
	Datum		value = bj_row_get(row, column, &null);

	return null ? 0 : DatumGetInt32(value);
}

TimestampTz
bj_row_time(const RowEdit *row, const char *column)
{
	bool		null;
	Datum		value = bj_row_get(row, column, &null);

	return null ? DT_NOEND : DatumGetTimestampTz(value);
}

char *
bj_row_text(const RowEdit *row, const char *column)
{
	bool		null;
	Datum		value = bj_row_get(row, column, &null);

	return null ? NULL : TextDatumGetCString(value);
}

bytea *
bj_row_bytes(const RowEdit *row, const char *column)
{
	bool		null;
	Datum		value = bj_row_get(row, column, &null);

	return null ? NULL : DatumGetByteaPCopy(value);
}

bool
bj_row_equal(const RowEdit *a, const RowEdit *b, const char *column)
{
	int			i = find(a, column);
	Form_pg_attribute att = TupleDescAttr(RelationGetDescr(a->rel), i);

	if (a->nulls[i] || b->nulls[i])
		return a->nulls[i] == b->nulls[i];
	return datum_image_eq(a->values[i], b->values[i], att->attbyval, att->attlen);
}

void
bj_row_set(RowEdit *row, const char *column, Datum value)
{
	int			i = find(row, column);

	row->values[i] = value;
	row->nulls[i] = false;
}

void
bj_row_set_null(RowEdit *row, const char *column)
{
	int			i = find(row, column);

	row->values[i] = (Datum) 0;
	row->nulls[i] = true;
}

void
bj_row_set_text(RowEdit *row, const char *column, const char *value)
{
	if (value != NULL)
		bj_row_set(row, column, CStringGetTextDatum(value));
	else
		bj_row_set_null(row, column);
}

void
bj_row_set_int64(RowEdit *row, const char *column, int64 value)
{
	bj_row_set(row, column, Int64GetDatum(value));
}

void
bj_row_set_int32(RowEdit *row, const char *column, int32 value)
{
	bj_row_set(row, column, Int32GetDatum(value));
}

void
bj_row_set_time(RowEdit *row, const char *column, TimestampTz value)
{
	if (value != DT_NOEND)
		bj_row_set(row, column, TimestampTzGetDatum(value));
	else
		bj_row_set_null(row, column);
}

void
bj_row_set_decimal(RowEdit *row, const char *column, Decimal value)
{
	bj_row_set(row, column, bj_numeric_make(value, 0));
}
