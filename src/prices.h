/*
 * prices.h
 *	  Which price applies: the catalogue as this session knows it.
 *
 * What comes back stays valid until the next bj_prices_begin(), that is for
 * one statement of a trigger.
 */
#ifndef BILLADJ_PRICES_H
#define BILLADJ_PRICES_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "pgtime.h"

#include "core/price.h"
#include "fault.h"

typedef struct CatalogPrice
{
	int64		price_id;
	TimestampTz from;			/* DT_NOBEGIN: always was */
	TimestampTz until;			/* exclusive; DT_NOEND: open */
	const char *problem;		/* why the document cannot be used, or NULL */
	bool		linear;			/* then f(quantity) = quantity * unit */
	Decimal		unit;
	Price		price;			/* its currency is that of the card */
} CatalogPrice;

typedef struct RateCard
{
	int64		rate_card_id;
	int32		priority;
	char		currency[4];
} RateCard;

/* What holds for one account. */
typedef struct AccountTerms
{
	pg_tz	   *zone;			/* NULL: the name of the zone is unknown */
	const char *zone_name;
	char		currency[4];	/* "" when neither account nor instance says */
	int			ncards;			/* cards of the account, highest first */
	RateCard   *cards;
} AccountTerms;

extern void bj_prices_init(void);

/*
 * Makes the catalogue current.  Returns NULL, or the name of a table that is
 * missing or of another shape than this library knows.
 */
extern const char *bj_prices_begin(void);

/* Never NULL. */
extern const AccountTerms *bj_prices_account(const char *account, int length);

/*
 * The price of a meter at an instant: cards of the account before default
 * cards, then by priority; only cards in the account's currency.  NULL with
 * fault filled if there is none or it cannot be used.
 */
extern const CatalogPrice *bj_prices_find(const AccountTerms *terms,
										  const char *meter, int length,
										  TimestampTz at, Fault *fault);

/* Periods that begin before it have no charges any more: they are left alone. */
extern TimestampTz bj_prices_charges_from(void);

/* A price by its number, whether in force or not; NULL if it is gone. */
extern const CatalogPrice *bj_prices_by_id(int64 price_id);

#endif							/* BILLADJ_PRICES_H */
