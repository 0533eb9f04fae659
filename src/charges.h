/*
 * charges.h
 *	  Store: appends charges, and finds those of given usage rows.
 */
#ifndef BILLADJ_CHARGES_H
#define BILLADJ_CHARGES_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "utils/jsonb.h"

#include "core/rate.h"
#include "keytext.h"
#include "tables.h"

typedef struct Charge
{
	KeyText		account;
	int64		attachment_id;	/* 0: none */
	KeyText		event_key;		/* of no use when attachment_id is 0 */
	KeyText		measure;
	KeyText		meter;
	TimestampTz period_start;
	bool		is_posted;		/* else its own period's bill shows it */
	TimestampTz posted_period_start;
	TimestampTz occurred_at;	/* of no use when attachment_id is 0 */
	int64		price_id;
	Decimal		quantity;
	bool		has_before;
	Decimal		quantity_before;
	Decimal		amount;
	const char *currency;
	const char *cause;
	int			row_count;
	Jsonb	   *basis;			/* or NULL */
} Charge;

typedef struct ChargeWriter ChargeWriter;

extern void bj_charges_init(void);

/*
 * Opens the charge table of a book with RowExclusiveLock, kept until the end of the
 * transaction.  NULL with *problem set if it is missing or of another shape.
 * Allocates in the current context.
 */
extern ChargeWriter *bj_charges_open(BjBook book, const char **problem);

/* Is there a table of charges?  If not, *problem says so. */
extern bool bj_charges_exist(BjBook book, const char **problem);

/* Would a charge of this period find its partition?  Takes its lock, so it will. */
extern bool bj_charges_can_add(ChargeWriter *writer, TimestampTz period_start);

/* Buffers a charge; false if no partition can take it. */
extern bool bj_charges_add(ChargeWriter *writer, const Charge *charge);

/* The number of the charge that was added last. */
extern int64 bj_charges_last_id(const ChargeWriter *writer);

/* A charge of a subscription's line; it has neither meter nor usage row. */
typedef struct RecurringCharge
{
	KeyText		account;
	int64		subscription_id;
	int64		term_id;		/* 0: none */
	int64		plan_price_id;
	TimestampTz period_start;
	TimestampTz posted_period_start;
	TimestampTz due_at;
	Datum		covers;			/* a tstzrange */
	Decimal		quantity;
	Decimal		amount;
	const char *currency;
	const char *cause;
	Jsonb	   *basis;			/* or NULL */
} RecurringCharge;

/* As bj_charges_add(); false also if the table has no columns for it. */
extern bool bj_charges_add_recurring(ChargeWriter *writer,
									 const RecurringCharge *charge);

/* Writes what is buffered, and closes. */
extern void bj_charges_close(ChargeWriter *writer);

typedef struct ChargedId
{
	struct ChargedId *next;
	int64		charge_id;
	bool		own;			/* written by this transaction */
} ChargedId;

/* What was charged for one usage row and measure under one key, net. */
typedef struct ChargedPart
{
	struct ChargedPart *next;
	KeyText		account;
	KeyText		measure;
	KeyText		meter;
	TimestampTz period_start;
	TimestampTz occurred_at;
	int64		price_id;
	char		currency[4];
	Decimal		quantity;
	Decimal		amount;
	int64		rows;
	ChargedId  *ids;			/* of the charges that it is the sum of */
} ChargedPart;

/* A usage row whose charges are looked for. */
typedef struct ChargedRow
{
	KeyText		event_key;
	bool		has_at;
	TimestampTz period_start;	/* where to look first */
	bool		found;			/* any charge at all */
	bool		done;			/* looked for in all the right places */
	ChargedPart *parts;
} ChargedRow;

/*
 * Fills found and parts of each row with the charges of the attachment that
 * are committed or of this transaction, whatever its snapshot says.  Position
 * rows are nobody's.  event_keys are distinct.  BJ_OUT_OF_RANGE when a sum
 * cannot be held.
 */
extern BjStatus bj_charges_find(BjBook book, int64 attachment_id,
								ChargedRow *rows, int nrows);

typedef enum ChargedAnswer
{
	BJ_CHARGED_UNKNOWN,			/* not found as far as was looked */
	BJ_CHARGED_NEVER,			/* looked at all: there is none */
	BJ_CHARGED_BEFORE
} ChargedAnswer;

/*
 * A usage row, and the first one received of those that have its account, meter,
 * time and quantity, and that were not taken back since.
 */
typedef struct ChargedTwin
{
	KeyText		account;
	KeyText		meter;
	TimestampTz period_start;
	TimestampTz occurred_at;
	Decimal		quantity;
	int64		charge_id;		/* its own */

	ChargedAnswer answer;
	int64		twin_id;		/* what follows is of the other one's charge */
	KeyText		twin_key;
	TimestampTz twin_created_at;
} ChargedTwin;

/*
 * Answers for all rows at once.  Sees what is committed or of this transaction.
 * The effort is bounded: of a partition with an index by account the rows of the
 * account, else its end, where what was charged last is.  Never fails for what
 * it finds.  Allocates in the current context.
 */
extern void bj_charges_find_twins(ChargedTwin *rows, int nrows);

#endif							/* BILLADJ_CHARGES_H */
