/*
 * audit.h
 *	  The tamper-evident log: entries are written in their statement, the block
 *	  that seals them at commit.
 */
#ifndef BILLADJ_AUDIT_H
#define BILLADJ_AUDIT_H

#include "postgres.h"

/*
 * Registers the callback that seals.  Callbacks run in the reverse order of
 * their registration, so it must be registered before every other one of ours:
 * whatever they write is sealed with the rest.
 */
extern void bj_audit_init(void);

/*
 * Appends an entry about object ("table/key"), as the owner of the tables,
 * whatever role is in force; account may be NULL.  payload is canonical JSON
 * text: ids, amounts and commitments, no personal text.  Returns its number.
 * From here on PREPARE TRANSACTION is refused (UB323).  Takes no lock that
 * another transaction could wait for.
 */
extern int64 bj_audit_append(const char *event, const char *object,
							 const char *account, const char *payload);

#endif							/* BILLADJ_AUDIT_H */
