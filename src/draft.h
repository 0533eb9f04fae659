/*
 * draft.h
 *	  A request that is submitted or revised: everything about it that its
 *	  requester does not say himself.
 *
 * Needs an open owner scope.
 */
#ifndef BILLADJ_DRAFT_H
#define BILLADJ_DRAFT_H

#include "postgres.h"

#include "actor.h"
#include "basis.h"
#include "requests.h"
#include "rowedit.h"

typedef struct Draft
{
	RowEdit    *row;			/* billadj.override_request */
	const Principal *me;
	Request		request;
	Basis		basis;
	bool		verbatim_amount;	/* a delta that no person wrote, however fine */
	int64		proposal_id;	/* 0: none */
	const RuleBand *band;
} Draft;

/*
 * Checks what was asked for and fills the row: amounts, rules, deadlines,
 * hashes.  An error if it is refused.  row has the columns that the requester
 * may set; old: the row that it revises, or NULL.
 */
extern void bj_draft_fill(Draft *draft, RowEdit *row, const RowEdit *old,
						  const Principal *me);

#endif							/* BILLADJ_DRAFT_H */
