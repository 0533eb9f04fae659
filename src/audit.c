/*
 * audit.c
 *	  The tamper-evident log: entries are written in their statement, the block
 *	  that seals them at commit.
 *
 * Why not chain in the statement: the head of a chain would be locked until
 * commit, and one session idle in transaction would block everybody who writes
 * an entry.  Why not a trigger deferred to commit: it would run under the role,
 * snapshot and isolation level of whoever commits, and SET CONSTRAINTS would
 * run it early.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "storage/proc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "actor.h"
#include "audit.h"
#include "auditlog.h"
#include "errors.h"
#include "settings.h"
#include "sha256.h"
#include "tables.h"

/* An entry of this transaction that no block seals yet. */
typedef struct Pending
{
	int64		audit_id;
	int32		chain;
	SubTransactionId subid;		/* the one that it would be rolled back with */
	Digest		leaf;
} Pending;

typedef struct Unsealed
{
	MemoryContext context;		/* under TopTransactionContext */
	Pending    *entries;
	int64		n;
	int64		room;
	int64		block_ids[BJ_CHAINS];	/* 0: none yet */
} Unsealed;

static Unsealed *unsealed = NULL;	/* NULL until the transaction appends */

/*
 * Has our callback at the end of the transaction run?  What another module's
 * own callback still appends is then sealed at once, or refused.
 */
typedef enum Phase
{
	RUNNING,
	COMMITTING,
	PREPARING
} Phase;

static Phase phase = RUNNING;

static void
unsealed_open(void)
{
	MemoryContext context = AllocSetContextCreate(TopTransactionContext, "billadj audit",
												  ALLOCSET_SMALL_SIZES);

	unsealed = MemoryContextAllocZero(context, sizeof(Unsealed));
	unsealed->context = context;
	unsealed->room = 8;
	unsealed->entries = MemoryContextAlloc(context, unsealed->room * sizeof(Pending));
}

static void
unsealed_add(const AuditEntry *entry, const Digest *leaf)
{
	if (unsealed->n == unsealed->room)
	{
		unsealed->room *= 2;
		unsealed->entries = repalloc_huge(unsealed->entries, unsealed->room * sizeof(Pending));
	}
	unsealed->entries[unsealed->n++] =
		(Pending) {entry->audit_id, entry->chain, GetCurrentSubTransactionId(), *leaf};
}

/* ---- sealing ---- */

static int
pending_cmp(const void *x, const void *y)
{
	const Pending *a = x;
	const Pending *b = y;

	if (a->chain != b->chain)
		return a->chain < b->chain ? -1 : 1;
	return a->audit_id < b->audit_id ? -1 : a->audit_id > b->audit_id;
}

static void
merkle_root(const Hasher *hasher, const Pending *entries, int64 n, Digest *root)
{
	Merkle		merkle;

	bj_merkle_begin(&merkle);
	for (int64 i = 0; i < n; i++)
		bj_merkle_add(&merkle, hasher, &entries[i].leaf);
	bj_merkle_root(&merkle, hasher, root);
}

/*
 * Links a block to its chain.  Repeats when another transaction moved the head
 * between our look and our write.
 */
static void
seal_chain(AuditChains *chains, const Hasher *hasher, const Pending *entries, int64 n)
{
	AuditBlock		block = {.chain = entries->chain,
		.block_id = unsealed->block_ids[entries->chain], .entries = n};

	merkle_root(hasher, entries, n, &block.root);
	for (;;)
	{
		ChainHead	old;
		ChainHead	head;
		bool		found = bj_auditlog_find_head(chains, block.chain, &old);

		block.seq = old.seq + 1;
		block.prev = old.hash;
		block.at = GetCurrentTimestamp();
		head.seq = block.seq;
		head.entries = old.entries + n;
		bj_block_hash(hasher, &block, &head.hash);
		if (bj_auditlog_move_head(chains, block.chain, found, &old, &head))
		{
			bj_auditlog_append_block(chains, &block, &head.hash);
			return;
		}
	}
}

static AuditChains *
chains_open(void)
{
	const char *problem;
	AuditChains *chains = bj_auditlog_open(&problem);

	if (chains == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("audit entries cannot be sealed: %s", problem),
				 errdetail("The table was there when the entries were written in this transaction."),
				 errhint("Nothing was committed; run SELECT * FROM billadj.self_check().")));
	return chains;
}

static void
seal_all(void)
{
	AuditChains *chains = chains_open();
	Hasher		hasher;
	int64		next;

	bj_sha256_open(&hasher);
	/* chains ascending: the lock order of all transactions */
	qsort(unsealed->entries, unsealed->n, sizeof(Pending), pending_cmp);
	for (int64 i = 0; i < unsealed->n; i = next)
	{
		for (next = i + 1; next < unsealed->n && unsealed->entries[next].chain == unsealed->entries[i].chain;)
			next++;
		seal_chain(chains, &hasher, &unsealed->entries[i], next - i);
	}
	bj_sha256_close(&hasher);
	bj_auditlog_close(chains);
	CommandCounterIncrement();
}

static void
seal_context(void *arg)
{
	errcontext("sealing " INT64_FORMAT " audit entries at commit", unsealed->n);
}

/* As settle() in ledger.c, for the same reasons. */
static void
seal(void)
{
	MemoryContext context;
	MemoryContext old;
	ErrorContextCallback callback = {error_context_stack, seal_context, NULL};
	int			save_timeout = LockTimeout;

	/* uninstall(): they went with the tables */
	if (unsealed->n == 0 || !OidIsValid(bj_table_oid(BJ_TABLE_AUDIT_ENTRY)))
		return;
	context = AllocSetContextCreate(unsealed->context, "billadj seal", ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(context);
	error_context_stack = &callback;
	if (bj_settle_timeout > 0 && (LockTimeout == 0 || LockTimeout > bj_settle_timeout))
		LockTimeout = bj_settle_timeout;
	PG_TRY();
	{
		PushActiveSnapshot(GetLatestSnapshot());
		seal_all();
		PopActiveSnapshot();
	}
	PG_FINALLY();
	{
		LockTimeout = save_timeout;
	}
	PG_END_TRY();
	error_context_stack = callback.previous;
	unsealed->n = 0;
	memset(unsealed->block_ids, 0, sizeof(unsealed->block_ids));
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}

static void
refuse_prepare(int64 n)
{
	ereport(ERROR,
			(errcode(ERRCODE_BJ_PREPARE),
			 errmsg("a transaction with audit entries cannot be prepared"),
			 errdetail("It has " INT64_FORMAT " of them; they are sealed at its commit, in the order of commits.", n),
			 errhint("Use COMMIT. Usage alone may be prepared.")));
}

static int32
chain_of(const char *account)
{
	Text		text;

	if (account == NULL)
		return 0;
	text = bj_utf8(account, strlen(account));
	return bj_account_chain(text.data, text.size);
}

int64
bj_audit_append(const char *event, const char *object, const char *account,
				const char *payload)
{
	AuditEntry	entry = {
		.audit_id = bj_auditlog_next_id(), .chain = chain_of(account),
		.at = GetCurrentTimestamp(), .actor = bj_actor_login(), .role_name = bj_actor_role(),
		.event = event, .object = object, .account = account, .payload = payload
	};
	Digest		leaf;

	if (phase == PREPARING)
		refuse_prepare(1);
	if (unsealed == NULL)
		unsealed_open();
	if (unsealed->block_ids[entry.chain] == 0)
		unsealed->block_ids[entry.chain] = entry.audit_id;
	entry.block_id = unsealed->block_ids[entry.chain];
	bj_auditlog_append(&entry, &leaf);
	unsealed_add(&entry, &leaf);
	if (phase == COMMITTING)
		seal();
	return entry.audit_id;
}

/* ---- the end of transactions ---- */

static void
xact_callback(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_PRE_PREPARE:
			phase = PREPARING;
			if (unsealed != NULL && unsealed->n > 0)
				refuse_prepare(unsealed->n);
			break;
		case XACT_EVENT_PRE_COMMIT:
			phase = COMMITTING;
			if (unsealed != NULL)
				seal();
			break;
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:
			phase = RUNNING;
			unsealed = NULL;	/* the memory goes with TopTransactionContext */
			break;
		default:
			break;
	}
}

/*
 * The entries of a subtransaction are the last ones.  What was rolled back left
 * neither row nor leaf; that its number may be the block's does no harm.
 */
static void
subxact_callback(SubXactEvent event, SubTransactionId my, SubTransactionId up, void *arg)
{
	if (unsealed == NULL)
		return;
	if (event == SUBXACT_EVENT_ABORT_SUB)
	{
		while (unsealed->n > 0 && unsealed->entries[unsealed->n - 1].subid == my)
			unsealed->n--;
	}
	else if (event == SUBXACT_EVENT_COMMIT_SUB)
	{
		for (int64 i = unsealed->n; i > 0 && unsealed->entries[i - 1].subid == my; i--)
			unsealed->entries[i - 1].subid = up;
	}
}

void
bj_audit_init(void)
{
	RegisterXactCallback(xact_callback, NULL);
	RegisterSubXactCallback(subxact_callback, NULL);
}
