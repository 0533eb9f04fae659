/*
 * pricedoc.h
 *	  From a price document to a Price.
 */
#ifndef BILLADJ_PRICEDOC_H
#define BILLADJ_PRICEDOC_H

#include "postgres.h"

#include "utils/jsonb.h"

#include "core/price.h"

/* Why a document is no price; texts are palloc'd. */
typedef struct PriceProblem
{
	char	   *message;		/* names the path of the key, found and wanted */
	char	   *hint;			/* or NULL */
} PriceProblem;

/*
 * Parses and checks a document.  Returns false and fills problem when it is no
 * sound price; never throws because of what the document says.
 *
 * ntiers < 0: the tiers are in the document.  Else they are these, as rows of
 * price_tier hold them (unit_amount is the rate of graduated_percentage), and
 * the document must have none; they are copied.  Memory of the price comes
 * from cxt.
 */
extern bool bj_pricedoc_read(Jsonb *doc, const PriceTier *tiers, int ntiers,
							 MemoryContext cxt, Price *price,
							 PriceProblem *problem);

/* The same for a complete document; a bad one is ERRCODE_BJ_BAD_PRICE. */
extern void bj_pricedoc_get(Jsonb *doc, MemoryContext cxt, Price *price);

#endif							/* BILLADJ_PRICEDOC_H */
