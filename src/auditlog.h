/*
 * auditlog.h
 *	  Store: the rows of the audit log.
 *
 * Direct table access, for the reasons given in tiertotals.h.  Heads of chains
 * are read as of now: what is seen is a guess until the head is written.
 */
#ifndef BILLADJ_AUDITLOG_H
#define BILLADJ_AUDITLOG_H

#include "postgres.h"

#include "storage/itemptr.h"

#include "core/digest.h"
#include "tables.h"

/* An entry, in the encoding of the database; account may be NULL. */
typedef struct AuditEntry
{
	int64		audit_id;
	int32		chain;
	int64		block_id;
	TimestampTz at;
	const char *actor;
	const char *role_name;
	const char *event;
	const char *object;
	const char *account;
	const char *payload;
} AuditEntry;

/* The next number; error UB012 if there is no sequence for it. */
extern int64 bj_auditlog_next_id(void);

/*
 * Writes an entry; *hash is its leaf.  Error UB012 if the table is missing or
 * of another shape.
 */
extern void bj_auditlog_append(const AuditEntry *entry, Digest *hash);

typedef struct ChainHead
{
	int64		seq;			/* 0: the chain is empty */
	Digest		hash;			/* zero bytes then */
	int64		entries;
	ItemPointerData tid;
} ChainHead;

typedef struct AuditChains AuditChains;

/*
 * Opens blocks and chains with RowExclusiveLock, kept until the end of the
 * transaction.  NULL with *problem set if one is missing or of another shape.
 */
extern AuditChains *bj_auditlog_open(const char **problem);
extern void bj_auditlog_close(AuditChains *chains);

/* False, and an empty head, if the chain has no row now. */
extern bool bj_auditlog_find_head(AuditChains *chains, int32 chain, ChainHead *head);

/*
 * Writes head in place of old, which find_head() returned, waiting for whoever
 * is writing it; found is what it said.  False if it changed meanwhile: find
 * it again.
 */
extern bool bj_auditlog_move_head(AuditChains *chains, int32 chain, bool found,
								  const ChainHead *old, const ChainHead *head);
extern void bj_auditlog_append_block(AuditChains *chains, const AuditBlock *block, const Digest *hash);

/*
 * Reading a table of the log whole, by the active snapshot: NULL with *problem
 * set if it is missing or of another shape.  What next() fills lives until the
 * next call; texts are UTF-8.  own: it is of the current transaction.
 */
typedef struct AuditScan AuditScan;

extern AuditScan *bj_auditlog_scan(BjTable table, const char **problem);
extern bool bj_auditlog_next_entry(AuditScan *scan, Leaf *leaf, Digest *hash, bool *own);
extern bool bj_auditlog_next_block(AuditScan *scan, AuditBlock *block, Digest *hash);
extern bool bj_auditlog_next_head(AuditScan *scan, int32 *chain, ChainHead *head);
extern void bj_auditlog_end(AuditScan *scan);

#endif							/* BILLADJ_AUDITLOG_H */
