/*
 * rowjson.h
 *	  A row of a table as canonical JSON, and its name in the audit log.
 */
#ifndef BILLADJ_ROWJSON_H
#define BILLADJ_ROWJSON_H

#include "postgres.h"

#include "access/htup.h"
#include "utils/relcache.h"

/*
 * The row as a JSON object: keys by the order of their bytes, no blanks, the
 * same under every setting of the session.  Numbers with all their decimals;
 * times in UTC to the microsecond; ranges as objects; bytea as "\x…".
 */
extern char *bj_row_json(TupleDesc desc, HeapTuple row);

/*
 * "table/key": the values of the primary key, by "/"; error if there is none.
 */
extern char *bj_row_object(Relation rel, HeapTuple row);

/* The text in column account; NULL if there is none. */
extern char *bj_row_account(TupleDesc desc, HeapTuple row);

#endif							/* BILLADJ_ROWJSON_H */
