/*
 * usagelock.h
 *	  Who takes charges of usage back, one at a time.
 *
 * A correction takes back what it found charged.  Two that find the same
 * charge would take it back twice: an UPDATE of the host row, and a
 * subscription's change that rates its usage anew.  So whoever follows host
 * rows shares a lock of the account, and whoever rates without them has it
 * alone.  INSERT takes none.  Locks are held until the transaction ends, and are few:
 * accounts share them by hash.
 */
#ifndef BILLADJ_USAGELOCK_H
#define BILLADJ_USAGELOCK_H

#include "postgres.h"

#include "keytext.h"

/* Before charges of an account are looked for, to follow host rows. */
extern void bj_usagelock_share(KeyText account);

/* The same where the accounts are not known yet. */
extern void bj_usagelock_share_all(void);

/* Before charges of accounts are looked for, without their host rows. */
extern void bj_usagelock_alone(const KeyText *accounts, int n);

#endif							/* BILLADJ_USAGELOCK_H */
