/*
 * rowedit.h
 *	  A row that a BEFORE trigger reads and changes, by the names of its columns.
 */
#ifndef BILLADJ_ROWEDIT_H
#define BILLADJ_ROWEDIT_H

#include "postgres.h"

#include "access/htup.h"
#include "datatype/timestamp.h"
#include "utils/relcache.h"

#include "core/decimal.h"

typedef struct RowEdit
{
	Relation	rel;
	HeapTuple	tuple;			/* as it came */
	Datum	   *values;
	bool	   *nulls;
} RowEdit;

extern void bj_row_open(RowEdit *row, Relation rel, HeapTuple tuple);

/* The row as it is now, in the current context. */
extern HeapTuple bj_row_make(RowEdit *row);

/* A NULL reads as 0, NULL or false; an unknown column is an error. */
extern bool bj_row_null(const RowEdit *row, const char *column);
extern Datum bj_row_get(const RowEdit *row, const char *column, bool *null);
extern int64 bj_row_int64(const RowEdit *row, const char *column);
extern int32 bj_row_int32(const RowEdit *row, const char *column);
extern TimestampTz bj_row_time(const RowEdit *row, const char *column);	/* NULL: DT_NOEND */
extern char *bj_row_text(const RowEdit *row, const char *column);
extern bytea *bj_row_bytes(const RowEdit *row, const char *column);

/* Is the column of two rows of one table the same, NULL included? */
extern bool bj_row_equal(const RowEdit *a, const RowEdit *b, const char *column);

extern void bj_row_set(RowEdit *row, const char *column, Datum value);
extern void bj_row_set_null(RowEdit *row, const char *column);
extern void bj_row_set_text(RowEdit *row, const char *column, const char *value);	/* NULL is NULL */
extern void bj_row_set_int64(RowEdit *row, const char *column, int64 value);
extern void bj_row_set_int32(RowEdit *row, const char *column, int32 value);
extern void bj_row_set_time(RowEdit *row, const char *column, TimestampTz value);	/* DT_NOEND is NULL */
extern void bj_row_set_decimal(RowEdit *row, const char *column, Decimal value);

#endif							/* BILLADJ_ROWEDIT_H */
