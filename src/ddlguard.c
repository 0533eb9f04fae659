/*
 * ddlguard.c
 *	  Event triggers: who may change the tables of billadj themselves.
 *
 * What a guard refuses for rows could be got round by DDL: switch the guard off,
 * open a policy, hang a rule or a child on the table.  Whoever comes to own a
 * table or to hold a right on it without being a superuser is stopped here.  A
 * superuser is not: what he does to the tables of control is written down.
 *
 * ALTER TABLE that rewrites rows is seen like every other.  Not seen by any
 * event trigger: REASSIGN OWNED, and all about roles; self_check() looks.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "commands/event_trigger.h"
#include "commands/extension.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "tcop/deparse_utility.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/json.h"
#include "utils/lsyscache.h"

#include "audit.h"
#include "errors.h"
#include "settings.h"

/* Columns of the two queries. */
enum
{
	TAG = 1, IDENTITY, COMMAND, RECORDED
};

/*
 * What was changed and is ours: by the schema of the thing itself, of the table
 * it hangs on, or of the table that it inherits from.  A grant names nothing
 * here; its command is looked into.  Indexes on other tables than those of
 * control are the DBA's to make.  The months of charges come and go by
 * maintain(), which is no news.
 */
static const char changed_sql[] =
	"WITH changed AS ("
	"SELECT c.command_tag, c.object_identity, c.command, c.object_type, c.classid, c.objid,"
	" CASE c.classid"
	" WHEN 'pg_class'::regclass THEN coalesce((SELECT i.indrelid FROM pg_index i WHERE i.indexrelid = c.objid), c.objid)"
	" WHEN 'pg_trigger'::regclass THEN (SELECT t.tgrelid FROM pg_trigger t WHERE t.oid = c.objid)"
	" WHEN 'pg_policy'::regclass THEN (SELECT p.polrelid FROM pg_policy p WHERE p.oid = c.objid)"
	" WHEN 'pg_rewrite'::regclass THEN (SELECT r.ev_class FROM pg_rewrite r WHERE r.oid = c.objid)"
	" WHEN 'pg_constraint'::regclass THEN (SELECT k.conrelid FROM pg_constraint k WHERE k.oid = c.objid)"
	" END AS relid"
	" FROM pg_event_trigger_ddl_commands() AS c WHERE NOT c.in_extension)"
	" SELECT c.command_tag, coalesce(c.object_identity, ''), c.command, s.relname IS NULL OR s.relname !~ '^charge'"
	" FROM changed c LEFT JOIN pg_class s ON s.oid = c.relid"
	" WHERE c.objid IS NULL"
	" OR s.relnamespace = 'billadj'::regnamespace AND (c.object_type <> 'index' OR s.relrowsecurity)"
	" OR c.classid = 'pg_namespace'::regclass AND c.objid = 'billadj'::regnamespace"
	" OR c.classid = 'pg_proc'::regclass AND EXISTS (SELECT FROM pg_proc p WHERE p.oid = c.objid AND p.pronamespace = 'billadj'::regnamespace)"
	" OR EXISTS (SELECT FROM pg_inherits i JOIN pg_class p ON p.oid = i.inhparent WHERE i.inhrelid = c.relid AND p.relnamespace = 'billadj'::regnamespace)";

/* The names of what hangs on a table begin with those of the table. */
static const char dropped_sql[] =
	"SELECT d.object_type, d.object_identity, NULL, d.address_names[2] IS NULL OR d.address_names[2] !~ '^charge'"
	" FROM pg_event_trigger_dropped_objects() AS d"
	" WHERE d.original AND NOT d.is_temporary"
	" AND (d.schema_name = 'billadj' OR d.address_names[1] = 'billadj')"
	" AND d.object_type NOT IN ('type', 'toast table')";

static bool
is_ours(ObjectType type, Oid objid, Oid schema)
{
	switch (type)
	{
		case OBJECT_SCHEMA:
			return objid == schema;
		case OBJECT_FUNCTION:
		case OBJECT_PROCEDURE:
		case OBJECT_ROUTINE:
			return get_func_namespace(objid) == schema;
		case OBJECT_TABLE:
		case OBJECT_SEQUENCE:
			return get_rel_namespace(objid) == schema;
		default:
			return false;
	}
}

/* The object of a GRANT that is ours; NULL: none is. */
static const char *
granted(CollectedCommand *command)
{
	InternalGrant *grant;
	Oid			schema = get_namespace_oid("billadj", true);
	ListCell   *cell;

	if (command == NULL || command->type != SCT_Grant)
		return NULL;
	grant = command->d.grant.istmt;
	foreach(cell, grant->objects)
	{
		Oid			objid = lfirst_oid(cell);
		const char *name = NULL;

		if (!is_ours(grant->objtype, objid, schema))
			continue;
		if (grant->objtype == OBJECT_TABLE || grant->objtype == OBJECT_SEQUENCE)
			name = get_rel_name(objid);
		else if (grant->objtype != OBJECT_SCHEMA)
			name = get_func_name(objid);
		return name == NULL ? "schema billadj" : psprintf("billadj.%s", name);
	}
	return NULL;
}

/*
 * An entry of the log, where there is one: whoever drops it is not stopped by
 * its absence.
 */
static void
record(const char *tag, const char *object)
{
	Oid			schema = get_namespace_oid("billadj", true);
	StringInfoData payload;

	if (!OidIsValid(get_relname_relid("audit_entry", schema)) ||
		!OidIsValid(get_relname_relid("audit_block", schema)) ||
		!OidIsValid(get_relname_relid("audit_chain", schema)))
		return;
	initStringInfo(&payload);
	appendStringInfoString(&payload, "{\"command\": ");
	escape_json(&payload, tag);
	appendStringInfoString(&payload, ", \"object\": ");
	escape_json(&payload, object);
	appendStringInfoChar(&payload, '}');
	bj_audit_append("ddl", psprintf("ddl/%s", object), NULL, payload.data);
}

/* Refuses what is ours to anybody but a superuser, whose deed is recorded. */
static void
judge(const char *tag, const char *object, bool recorded)
{
	if (superuser() || superuser_arg(GetSessionUserId()))
	{
		if (recorded)
			record(tag, object);
		return;
	}
	ereport(ERROR,
			(errcode(ERRCODE_BJ_PROTECTED_DDL),
			 errmsg("%s is refused: %s belongs to billadj", tag, object),
			 errdetail("Tables, guards, policies, rights and functions of billadj change only by its own functions."),
			 errhint("Have a superuser do it; it is written down.")));
}

static SPIPlanPtr
kept(SPIPlanPtr *plan, const char *sql)
{
	if (*plan == NULL)
	{
		SPIPlanPtr	made = SPI_prepare(sql, 0, NULL);

		if (made == NULL || SPI_keepplan(made) != 0)
			elog(ERROR, "could not prepare \"%s\"", sql);
		*plan = made;
	}
	return *plan;
}

/*
 * Not read-only: what the command made is to be seen.
 * As the role that gave the command: the catalogs are everybody's, and nothing
 * of ours must be able to fail here, since that would stop all DDL.
 */
static void
look(const char *sql, SPIPlanPtr *plan, bool drop)
{
	int			nest = NewGUCNestLevel();

	(void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	SPI_connect();
	if (SPI_execute_plan(kept(plan, sql), NULL, NULL, false, 0) < 0)
		elog(ERROR, "could not run \"%s\"", sql);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		char	   *tag = SPI_getvalue(row, desc, TAG);
		const char *object = SPI_getvalue(row, desc, IDENTITY);
		bool		null;
		Datum		command = SPI_getbinval(row, desc, COMMAND, &null);
		bool		recorded;

		if (!drop && object[0] == '\0')
			object = null ? NULL : granted((CollectedCommand *) DatumGetPointer(command));
		recorded = DatumGetBool(SPI_getbinval(row, desc, RECORDED, &null));
		if (object != NULL)
			judge(drop ? "DROP" : tag, drop ? psprintf("%s %s", tag, object) : object, recorded);
	}
	SPI_finish();
	AtEOXact_GUC(true, nest);
}

/*
 * A temporary table with no parent: nothing of ours, and applications make them
 * by the thousand.  Commands within a function have events of their own.
 */
static bool
makes_temporary(const Node *command)
{
	const CreateStmt *create = (const CreateStmt *) command;

	if (IsA(command, CreateTableAsStmt))
		return ((const CreateTableAsStmt *) command)->into->rel->relpersistence == RELPERSISTENCE_TEMP;
	return IsA(command, CreateStmt) && create->inhRelations == NIL &&
		create->relation->relpersistence == RELPERSISTENCE_TEMP;
}

static void
guard_ddl(FunctionCallInfo fcinfo, const char *sql, SPIPlanPtr *plan, bool drop)
{
	if (!CALLED_AS_EVENT_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("can be called only as an event trigger")));
	if (bj_taken_verbatim() || creating_extension || IsBinaryUpgrade ||
		(!drop && makes_temporary(((EventTriggerData *) fcinfo->context)->parsetree)) ||
		!OidIsValid(get_namespace_oid("billadj", true)))
		return;
	look(sql, plan, drop);
}

PG_FUNCTION_INFO_V1(billadj_guard_ddl);
Datum
billadj_guard_ddl(PG_FUNCTION_ARGS)
{
	static SPIPlanPtr plan = NULL;

	guard_ddl(fcinfo, changed_sql, &plan, false);
	PG_RETURN_NULL();
}

PG_FUNCTION_INFO_V1(billadj_guard_drop);
Datum
billadj_guard_drop(PG_FUNCTION_ARGS)
{
	static SPIPlanPtr plan = NULL;

	guard_ddl(fcinfo, dropped_sql, &plan, true);
	PG_RETURN_NULL();
}
