/*
 * policy_trigger.c
 *	  Guards of the tables of policy, of catalogue tables under dual control, and
 *	  of the changes that are proposed.
 *
 * A row of policy is written at the beginning by a superuser, and later only
 * under an approved change.  What a client may not say (who, when, to which
 * role it is bound) is overwritten here, whatever he said.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "common/cryptohash.h"
#include "common/sha2.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "actor.h"
#include "compat.h"
#include "errors.h"
#include "policy.h"
#include "posture.h"
#include "settings.h"

/* A row that is being written, column by column. */
typedef struct Draft
{
	Relation	rel;
	TupleDesc	desc;
	HeapTuple	tuple;
} Draft;

static int
column_number(const Draft *draft, const char *name)
{
	for (int i = 0; i < draft->desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(draft->desc, i);

		if (!att->attisdropped && strcmp(NameStr(att->attname), name) == 0)
			return i + 1;
	}
	elog(ERROR, "table \"%s\" has no column \"%s\"", RelationGetRelationName(draft->rel), name);
}

static void
put(Draft *draft, const char *name, Datum value, bool null)
{
	int			number = column_number(draft, name);

	draft->tuple = heap_modify_tuple_by_cols(draft->tuple, draft->desc, 1, &number, &value, &null);
}

static Datum
get(const Draft *draft, HeapTuple tuple, const char *name, bool *null)
{
	return heap_getattr(tuple, column_number(draft, name), draft->desc, null);
}

/* Keeps the value that the old row has. */
static void
keep(Draft *draft, HeapTuple old, const char *name)
{
	bool		null;
	Datum		value = get(draft, old, name, &null);

	put(draft, name, value, null);
}

static void
require_row_trigger(FunctionCallInfo fcinfo, const char *name)
{
	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("billadj.%s can be called only as a trigger", name)));
}

pg_noreturn static void
refuse_truncate(Relation rel)
{
	ereport(ERROR,
			(errcode(ERRCODE_BJ_CONTROL_TRUNCATE),
			 errmsg("TRUNCATE of \"%s\" is refused", RelationGetRelationName(rel)),
			 errdetail("Policy and its history are never removed."),
			 errhint("End what shall not hold any more: SELECT billadj.propose_policy('%s', '{\"op\": \"end\", \"key\": {…}}');",
					 RelationGetRelationName(rel)),
			 errtable(rel)));
	pg_unreachable();
}

pg_noreturn static void
refuse_direct(Relation rel)
{
	ereport(ERROR,
			(errcode(ERRCODE_BJ_DUAL_CONTROL),
			 errmsg("\"%s\" changes only by a proposal that another person approves",
					RelationGetRelationName(rel)),
			 errhint("SELECT billadj.propose_policy('%s', '{\"op\": …}');", RelationGetRelationName(rel)),
			 errtable(rel)));
	pg_unreachable();
}

/* ---- rows of policy ---- */

/*
 * The numbers of the role as it is now: in this cluster they tell a login from
 * a later one of the same name.
 */
static void
bind_role(Draft *draft)
{
	bool		null;
	Datum		name = get(draft, draft->tuple, "role_name", &null);
	Oid			role = null ? InvalidOid : get_role_oid(TextDatumGetCString(name), true);

	if (!OidIsValid(role))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("role \"%s\" does not exist", null ? "" : TextDatumGetCString(name)),
				 errhint("Make the login first: CREATE ROLE %s LOGIN;",
						 null ? "…" : quote_identifier(TextDatumGetCString(name)))));
	put(draft, "role_oid", Int64GetDatum((int64) role), false);
	put(draft, "system_id", Int64GetDatum((int64) GetSystemIdentifier()), false);
}

static void
bump(const Draft *draft, HeapTuple tuple, const char *column)
{
	bool		null;
	Datum		value = get(draft, tuple, column, &null);

	if (null)
		return;
	if (strcmp(column, "person_key") == 0)
		bj_policy_bump_person(value);
	else
		bj_policy_bump_principal(DatumGetInt64(value));
}

/* Whose standing the row changes: see the locks in principal.revision. */
static void
bump_principals(const Draft *draft, HeapTuple old)
{
	static const struct
	{
		const char *table;
		const char *columns[2];
	}			known[] = {
		{"certification", {"principal_id", NULL}},
		{"authority", {"principal_id", NULL}},
		{"conflict", {"person_key", NULL}},
		{"delegation", {"from_principal", "to_principal"}},
	};

	for (int i = 0; i < lengthof(known); i++)
	{
		if (strcmp(RelationGetRelationName(draft->rel), known[i].table) != 0)
			continue;
		for (int j = 0; j < 2 && known[i].columns[j] != NULL; j++)
		{
			bump(draft, draft->tuple, known[i].columns[j]);
			if (old != NULL)
				bump(draft, old, known[i].columns[j]);
		}
	}
}

static void
write_server_columns(Draft *draft, HeapTuple old)
{
	bool		is_principal = strcmp(RelationGetRelationName(draft->rel), "principal") == 0;
	bool		null;

	if (old == NULL)
	{
		put(draft, "created_at", TimestampTzGetDatum(GetCurrentTimestamp()), false);
		put(draft, "created_by", CStringGetTextDatum(bj_actor_login()), false);
		if (is_principal)
			put(draft, "revision", Int64GetDatum(0), false);
	}
	else
	{
		keep(draft, old, "created_at");
		keep(draft, old, "created_by");
		if (is_principal)
			put(draft, "revision", Int64GetDatum(DatumGetInt64(get(draft, old, "revision", &null)) + 1), false);
	}
	if (is_principal && DatumGetBool(get(draft, draft->tuple, "active", &null)))
		bind_role(draft);
}

/* Nothing but the revision moves. */
static HeapTuple
bumped_row(Draft *draft, HeapTuple old)
{
	bool		null;
	Datum		revision = get(draft, old, "revision", &null);

	draft->tuple = heap_copytuple(old);
	put(draft, "revision", Int64GetDatum(DatumGetInt64(revision) + 1), false);
	return draft->tuple;
}

static HeapTuple
guarded_row(TriggerData *trigdata)
{
	bool		insert = TRIGGER_FIRED_BY_INSERT(trigdata->tg_event);
	HeapTuple	old = insert ? NULL : trigdata->tg_trigtuple;
	Draft		draft = {trigdata->tg_relation, RelationGetDescr(trigdata->tg_relation)};

	if (bj_taken_verbatim())
		return insert || TRIGGER_FIRED_BY_DELETE(trigdata->tg_event) ? trigdata->tg_trigtuple : trigdata->tg_newtuple;
	if (TRIGGER_FIRED_BY_DELETE(trigdata->tg_event))
		refuse_direct(trigdata->tg_relation);
	draft.tuple = insert ? trigdata->tg_trigtuple : trigdata->tg_newtuple;
	switch (bj_policy_mark())
	{
		case POLICY_BUMP:
			if (old == NULL)
				refuse_direct(trigdata->tg_relation);
			return bumped_row(&draft, old);
		case POLICY_APPROVED:
			break;
		case POLICY_NONE:
			if (old != NULL || !superuser_arg(GetSessionUserId()) || bj_policy_bootstrapped())
				refuse_direct(trigdata->tg_relation);
			break;
	}
	write_server_columns(&draft, old);
	bump_principals(&draft, old);
	return draft.tuple;
}

/*
 * BEFORE … FOR EACH ROW on the tables of policy, and BEFORE TRUNCATE on them;
 * BEFORE … FOR EACH STATEMENT on those of the catalogue, which are free unless
 * the instance says otherwise.
 */
PG_FUNCTION_INFO_V1(billadj_policy_trigger);
Datum
billadj_policy_trigger(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;

	require_row_trigger(fcinfo, "policy_trigger");
	if (TRIGGER_FIRED_FOR_ROW(trigdata->tg_event))
		return PointerGetDatum(guarded_row(trigdata));
	if (!bj_taken_verbatim())
		refuse_truncate(trigdata->tg_relation);
	return PointerGetDatum(NULL);
}

PG_FUNCTION_INFO_V1(billadj_policy_mode_trigger);
Datum
billadj_policy_mode_trigger(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;

	require_row_trigger(fcinfo, "policy_mode_trigger");
	if (bj_policy_mark() != POLICY_APPROVED && !bj_taken_verbatim() &&
		bj_policy_is_dual(RelationGetRelationName(trigdata->tg_relation)))
		refuse_direct(trigdata->tg_relation);
	return PointerGetDatum(NULL);
}

/* ---- proposals ---- */

/* jsonb_out() writes one text for equal documents, whatever the settings. */
static bytea *
body_hash(Datum body)
{
	char	   *text = DatumGetCString(DirectFunctionCall1(jsonb_out, body));
	bytea	   *hash = palloc(VARHDRSZ + PG_SHA256_DIGEST_LENGTH);
	pg_cryptohash_ctx *context = pg_cryptohash_create(PG_SHA256);

	SET_VARSIZE(hash, VARHDRSZ + PG_SHA256_DIGEST_LENGTH);
	if (context == NULL || pg_cryptohash_init(context) < 0 ||
		pg_cryptohash_update(context, (uint8 *) text, strlen(text)) < 0 ||
		pg_cryptohash_final(context, (uint8 *) VARDATA(hash), PG_SHA256_DIGEST_LENGTH) < 0)
		elog(ERROR, "could not compute SHA-256");
	pg_cryptohash_free(context);
	return hash;
}

/*
 * Rights are the person's, not those of a role he may have set or a superuser's
 * shortcut.
 */
static void
require_group(const Principal *who, const char *group, const char *other)
{
	Oid			role = get_role_oid(who->login, false);

	if (is_member_of_role_nosuper(role, get_role_oid(group, false)) ||
		(other != NULL && is_member_of_role_nosuper(role, get_role_oid(other, false))))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("permission denied for changes of policy"),
			 errdetail("Login \"%s\" is no member of %s.", who->login, group)));
}

static HeapTuple
proposed_row(Draft *draft)
{
	Principal	proposer;
	TimestampTz now = GetCurrentTimestamp();
	bool		target_null;
	bool		body_null;
	Datum		target = get(draft, draft->tuple, "target", &target_null);
	Datum		body = get(draft, draft->tuple, "body", &body_null);

	bj_actor_require(&proposer);
	require_group(&proposer, "billadj_policy", "billadj_admin");
	if (target_null || body_null)
		return draft->tuple;	/* the columns say NOT NULL */
	if (!bj_policy_bootstrapped())
		ereport(ERROR,
				(errcode(ERRCODE_BJ_DUAL_CONTROL),
				 errmsg("nobody could approve the proposal"),
				 errdetail("Two persons must be able to: active principals whose logins are members of billadj_policy."),
				 errhint("Have a superuser insert them into billadj.principal and grant billadj_policy to their logins.")));
	bj_policy_try(target, body, now);
	put(draft, "body_hash", PointerGetDatum(body_hash(body)), false);
	put(draft, "state", CStringGetTextDatum("proposed"), false);
	put(draft, "proposed_by", Int64GetDatum(proposer.principal_id), false);
	put(draft, "proposed_at", TimestampTzGetDatum(now), false);
	put(draft, "decided_by", (Datum) 0, true);
	put(draft, "decided_at", (Datum) 0, true);
	put(draft, "comment", (Datum) 0, true);
	put(draft, "comment_id", (Datum) 0, true);
	return draft->tuple;
}

static void
require_undecided(const Draft *draft, HeapTuple old)
{
	bool		null;
	char	   *state = TextDatumGetCString(get(draft, old, "state", &null));
	int64		change_id = DatumGetInt64(get(draft, old, "change_id", &null));

	if (strcmp(state, "proposed") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_BJ_WRONG_STATE),
				 errmsg("change " INT64_FORMAT " is %s already", change_id, state),
				 errhint("Propose it anew with billadj.propose_policy() if it shall be decided again.")));
}

/* It can still be rejected. */
static void
require_unaltered(const Draft *draft, HeapTuple old)
{
	bool		null;
	int64		change_id = DatumGetInt64(get(draft, old, "change_id", &null));
	bytea	   *hash = DatumGetByteaPP(get(draft, old, "body_hash", &null));
	bytea	   *now = body_hash(get(draft, old, "body", &null));

	if (VARSIZE_ANY_EXHDR(hash) != PG_SHA256_DIGEST_LENGTH ||
		memcmp(VARDATA_ANY(hash), VARDATA_ANY(now), PG_SHA256_DIGEST_LENGTH) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_BJ_STALE),
				 errmsg("change " INT64_FORMAT " is not what was proposed", change_id),
				 errdetail("Its body does not have the hash that was taken from it."),
				 errhint("Reject it: SELECT billadj.reject_policy(" INT64_FORMAT ", '…'); then find out who altered it.", change_id)));
}

/* The old row, decided: nothing but that is taken from the new one. */
static HeapTuple
decided_row(Draft *draft, HeapTuple old)
{
	Principal	decider;
	TimestampTz now = GetCurrentTimestamp();
	bool		null;
	Datum		wanted = get(draft, draft->tuple, "state", &null);
	char	   *state = null ? "" : TextDatumGetCString(wanted);
	bool		comment_null;
	Datum		comment = get(draft, draft->tuple, "comment", &comment_null);
	char	   *proposer;

	bj_policy_lock();
	bj_actor_require(&decider);
	require_group(&decider, "billadj_policy", NULL);
	proposer = bj_policy_person(DatumGetInt64(get(draft, old, "proposed_by", &null)));
	require_undecided(draft, old);
	if (proposer == NULL || strcmp(proposer, decider.person_key) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_BJ_SEGREGATION),
				 errmsg("whoever proposed a change of policy does not decide on it"),
				 errhint("Another member of billadj_policy must.")));
	if (strcmp(state, "approved") == 0)
	{
		require_unaltered(draft, old);
		bj_policy_apply(get(draft, old, "target", &null), get(draft, old, "body", &null), now, &decider);
	}
	else if (strcmp(state, "rejected") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_BJ_WRONG_STATE),
				 errmsg("a change of policy becomes approved or rejected, not \"%s\"", state)));
	draft->tuple = heap_copytuple(old);
	put(draft, "state", CStringGetTextDatum(state), false);
	put(draft, "decided_by", Int64GetDatum(decider.principal_id), false);
	put(draft, "decided_at", TimestampTzGetDatum(now), false);
	if (!comment_null)
		put(draft, "comment_id", Int64GetDatum(bj_policy_keep_text(comment)), false);
	return draft->tuple;
}

/*
 * BEFORE … FOR EACH ROW on policy_change, and BEFORE TRUNCATE: the insert is
 * the proposal, the update of its state the decision.  propose_policy() and
 * approve_policy() are no more than these statements.
 */
PG_FUNCTION_INFO_V1(billadj_policy_change_trigger);
Datum
billadj_policy_change_trigger(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;
	Draft		draft = {trigdata->tg_relation, RelationGetDescr(trigdata->tg_relation)};
	bool		update = TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event);

	require_row_trigger(fcinfo, "policy_change_trigger");
	draft.tuple = update ? trigdata->tg_newtuple : trigdata->tg_trigtuple;
	if (bj_taken_verbatim())
		return PointerGetDatum(TRIGGER_FIRED_FOR_ROW(trigdata->tg_event) ? draft.tuple : NULL);
	if (TRIGGER_FIRED_FOR_STATEMENT(trigdata->tg_event))
		refuse_truncate(trigdata->tg_relation);
	if (TRIGGER_FIRED_BY_DELETE(trigdata->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_BJ_CONTROL_APPEND_ONLY),
				 errmsg("DELETE on \"policy_change\" is refused: what was proposed stays on record"),
				 errhint("SELECT billadj.reject_policy(…, '…');"),
				 errtable(trigdata->tg_relation)));
	bj_posture_check();
	if (update)
		return PointerGetDatum(decided_row(&draft, trigdata->tg_trigtuple));
	return PointerGetDatum(proposed_row(&draft));
}
