/*
 * binding.h
 *	  What an attachment means for one host table: which column is what.
 */
#ifndef BILLADJ_BINDING_H
#define BILLADJ_BINDING_H

#include "postgres.h"

#include "utils/relcache.h"

#include "core/decimal.h"
#include "keytext.h"
#include "tables.h"

/* Where a value comes from: a column, or a constant. */
typedef struct Source
{
	AttrNumber	attnum;			/* InvalidAttrNumber: the constant */
	Oid			basetype;		/* of the column */
	const char *name;			/* of the column, or the constant */
	KeyText		constant;
} Source;

typedef struct BoundMeasure
{
	const char *measure;
	KeyText		measure_text;
	Source		meter;
	Source		quantity;
	Decimal		quantity_constant;	/* where quantity is a constant */
} BoundMeasure;

typedef struct Binding
{
	int64		attachment_id;
	const char *problem;		/* why the mapping cannot be used, or NULL */
	bool		active;
	bool		reject;			/* on_unpriced */
	BjBook		book;			/* of its mode */
	bool		detect;			/* its rows are looked at for anomalies */
	Source		account;
	Source		occurred_at;
	int64		at_constant;	/* TimestampTz, where occurred_at is one */
	int			nkeys;
	Source	   *keys;
	int			nmeasures;
	BoundMeasure *measures;
	AttrNumber	last_attnum;	/* no column beyond it is read */
} Binding;

extern void bj_binding_init(void);

/*
 * The binding of an attachment to a relation; NULL if there is no such
 * attachment.  Valid for the current statement of a trigger; kept between
 * statements, and read anew after any change of the relation or of
 * billadj.attachment.
 */
extern const Binding *bj_binding_get(Relation rel, int64 attachment_id);

/*
 * The relation as an argument for hints: a literal with its name, quoted, and
 * with its schema where the search path does not find it.
 */
extern char *bj_relation_literal(Relation rel);

#endif							/* BILLADJ_BINDING_H */
