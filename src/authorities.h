/*
 * authorities.h
 *	  Store: who may decide: authorities, certificates, conflicts, delegations.
 *
 * Needs an open owner scope; reads by the latest snapshot, so that what was
 * revoked a moment ago is revoked.
 */
#ifndef BILLADJ_AUTHORITIES_H
#define BILLADJ_AUTHORITIES_H

#include "postgres.h"

#include "datatype/timestamp.h"

#include "core/decimal.h"

typedef struct Authority
{
	int64		authority_id;
	int32		level;
	Decimal		single_limit;
	bool		has_period_limit;
	Decimal		period_limit;
	TimestampTz period_start;	/* of its current period, in the zone of the instance */
	bool		valid;			/* now */
	bool		certified;		/* holder and user have the certificate it needs, now */
	char	   *certificate;	/* or NULL */
} Authority;

typedef struct Delegation
{
	int64		from_principal;
	char	   *from_person;
	bool		from_active;
	int64		to_principal;
	int64		authority_id;
	bool		has_limit;
	Decimal		single_limit;
	bool		valid;			/* now */
	bool		lent_by_holder; /* the authority is the lender's own */
} Delegation;

/* Locks the principals FOR SHARE, ascending: a policy change of theirs waits. */
extern void bj_principals_lock(const int64 *principals, int n);

/*
 * Authorities of a principal for a kind and currency, by number; only
 * authority_id if that is not 0.  user_id is who acts by it.  lock: FOR SHARE.
 * Returns how many.
 */
extern int	bj_authorities_read(int64 principal_id, const char *kind,
								const char *currency, int64 authority_id,
								int64 user_id, bool lock, Authority **authorities);

extern bool bj_delegation_read(int64 delegation_id, bool lock, Delegation *delegation);

/* Has the person declared an interest in the account, now? */
extern bool bj_conflict_exists(const char *person_key, const char *account);

#endif							/* BILLADJ_AUTHORITIES_H */
