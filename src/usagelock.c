/*
 * usagelock.c
 *	  Who takes charges of usage back, one at a time.
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "common/hashfn.h"
#include "storage/lmgr.h"

#include "subperiods.h"
#include "tables.h"
#include "usagelock.h"

/* Locks that all accounts share: a transaction holds no more than these. */
#define NLOCKS 32

static int
lock_of(KeyText account)
{
	return hash_bytes((const unsigned char *) account.data, account.length) % NLOCKS;
}

static void
take(int number, LOCKMODE mode)
{
	/* of the table of terms, but not the lock on it: numbers begin at 1 */
	LockDatabaseObject(RelationRelationId, bj_table_oid(BJ_TABLE_TERM), number + 1, mode);
}

/* Without subscriptions nobody rates anew. */
void
bj_usagelock_share(KeyText account)
{
	if (bj_subperiods_any() && account.length >= 0)
		take(lock_of(account), ShareLock);
}

void
bj_usagelock_share_all(void)
{
	for (int i = 0; i < NLOCKS && bj_subperiods_any(); i++)
		take(i, ShareLock);
}

void
bj_usagelock_alone(const KeyText *accounts, int n)
{
	bool		wanted[NLOCKS] = {false};

	for (int i = 0; i < n; i++)
		wanted[lock_of(accounts[i])] = true;
	/* in one order, so that two of us do not wait for one another */
	for (int i = 0; i < NLOCKS; i++)
		if (wanted[i])
			take(i, ExclusiveLock);
}
