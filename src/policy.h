/*
 * policy.h
 *	  Changes of policy under dual control.
 *
 * A change is proposed by one person and takes effect when another one approves
 * it.  That it was approved is a mark in the memory of this backend, which no
 * setting and no statement can forge; the guards let rows pass while it stands.
 */
#ifndef BILLADJ_POLICY_H
#define BILLADJ_POLICY_H

#include "postgres.h"

#include "datatype/timestamp.h"

#include "actor.h"

typedef enum PolicyMark
{
	POLICY_NONE,
	POLICY_APPROVED,			/* rows of an approved change are being written */
	POLICY_BUMP					/* principal.revision is being raised */
} PolicyMark;

/* What the backend is writing now; POLICY_NONE outside of the calls below. */
extern PolicyMark bj_policy_mark(void);

/*
 * Is the time over in which a superuser inserts the first rows?  It ends when
 * two persons can approve policy, and for good with the first proposal.
 */
extern bool bj_policy_bootstrapped(void);

/* Does the instance want changes of this catalogue table approved? */
extern bool bj_policy_is_dual(const char *table);

/*
 * Raises the revision of a principal (or, by key, of all of a person): whoever
 * decides holds the row, so the change waits for decisions and they for it.
 */
extern void bj_policy_bump_principal(int64 principal_id);
extern void bj_policy_bump_person(Datum person_key);

/* To be held before who decides, and on what, is looked at; until commit. */
extern void bj_policy_lock(void);

/*
 * Writes what body asks for, and refuses what would leave policy worse off:
 * gaps in the rules, too few people.  UB306 if decider, who may be NULL, is a
 * person that the rows are about.  Undone by the caller's rollback.
 */
extern void bj_policy_apply(Datum target, Datum body, TimestampTz at,
							const Principal *decider);

/* The same in a subtransaction that is undone: errors only. */
extern void bj_policy_try(Datum target, Datum body, TimestampTz at);

/* The person of a principal; NULL: there is none of that number. */
extern char *bj_policy_person(int64 principal_id);

/* Keeps personal text apart, returns its number. */
extern int64 bj_policy_keep_text(Datum body);

#endif							/* BILLADJ_POLICY_H */
