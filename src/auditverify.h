/*
 * auditverify.h
 *	  Is the audit log what was written?  Checks every row of it.
 */
#ifndef BILLADJ_AUDITVERIFY_H
#define BILLADJ_AUDITVERIFY_H

#include "postgres.h"

#include "core/digest.h"

/* What a digest says of a chain; seq 0: nothing. */
typedef struct AnchoredHead
{
	int64		seq;
	Digest		hash;
} AnchoredHead;

typedef struct ChainVerdict
{
	bool		exists;			/* there is anything of it, here or in the digest */
	const char *problem;		/* NULL: none */
	int64		seq;			/* of the first fault, or of the newest block */
	int64		audit_id;		/* of an entry at fault; 0: none in particular */
} ChainVerdict;

/* Verdicts for chains that there cannot be are together in the last one. */
#define BJ_VERDICTS (BJ_CHAINS + 1)

/*
 * Reads entries, blocks and heads once each, by the active snapshot, sorting
 * what it needs of them within maintenance_work_mem.  anchored has BJ_CHAINS
 * elements, verdicts BJ_VERDICTS.  Error UB012 if a table is missing.
 */
extern void bj_audit_verify(const AnchoredHead *anchored, ChainVerdict *verdicts);

#endif							/* BILLADJ_AUDITVERIFY_H */
