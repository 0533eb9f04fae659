/*
 * audit_trigger.c
 *	  Triggers that record the rows of a table, and that keep the log closed.
 */
#include "postgres.h"

#include "commands/trigger.h"
#include "fmgr.h"
#include "utils/rel.h"

#include "audit.h"
#include "errors.h"
#include "rowjson.h"
#include "settings.h"

static void
require_trigger(FunctionCallInfo fcinfo, const char *name, bool after_row)
{
	TriggerEvent event = CALLED_AS_TRIGGER(fcinfo) ? ((TriggerData *) fcinfo->context)->tg_event : 0;

	if (!CALLED_AS_TRIGGER(fcinfo) ||
		(after_row && !(TRIGGER_FIRED_AFTER(event) && TRIGGER_FIRED_FOR_ROW(event))))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("billadj.%s can be called only as a trigger%s", name,
						after_row ? " AFTER … FOR EACH ROW" : "")));
}

/*
 * AFTER INSERT OR UPDATE OR DELETE FOR EACH ROW: one entry a row, which holds
 * the row as it is now, or as it was when it was deleted.  A restore brings the
 * entries with the rows.
 */
PG_FUNCTION_INFO_V1(billadj_audit_trigger);
Datum
billadj_audit_trigger(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;
	TupleDesc	desc;
	HeapTuple	row;
	const char *event;
	char	   *payload;

	require_trigger(fcinfo, "audit_trigger", true);
	if (bj_taken_verbatim())
		return PointerGetDatum(NULL);
	desc = RelationGetDescr(trigdata->tg_relation);
	row = trigdata->tg_trigtuple;
	event = TRIGGER_FIRED_BY_INSERT(trigdata->tg_event) ? "insert" : "delete";
	if (TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event))
	{
		row = trigdata->tg_newtuple;
		event = "update";
	}
	payload = bj_row_json(desc, row);
	/* an UPDATE that changes nothing is nothing to tell */
	if (row == trigdata->tg_newtuple &&
		strcmp(payload, bj_row_json(desc, trigdata->tg_trigtuple)) == 0)
		return PointerGetDatum(NULL);
	bj_audit_append(event, bj_row_object(trigdata->tg_relation, row),
					bj_row_account(desc, row), payload);
	return PointerGetDatum(NULL);
}

/*
 * BEFORE … on the tables of the log: the library writes them past triggers, so
 * whoever fires one is somebody else, be he the owner or a superuser.  For each
 * row as well as for each statement, since an UPDATE of a table that ours was
 * made to inherit from fires only the former.
 */
PG_FUNCTION_INFO_V1(billadj_sealed_trigger);
Datum
billadj_sealed_trigger(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;
	const char *table;

	require_trigger(fcinfo, "sealed_trigger", false);
	table = RelationGetRelationName(trigdata->tg_relation);
	if (bj_taken_verbatim())
		return PointerGetDatum(TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event) ?
							   trigdata->tg_newtuple : trigdata->tg_trigtuple);
	if (TRIGGER_FIRED_BY_TRUNCATE(trigdata->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_BJ_CONTROL_TRUNCATE),
				 errmsg("TRUNCATE of \"%s\" is refused: what was recorded stays", table)));
	if (TRIGGER_FIRED_BY_INSERT(trigdata->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_BJ_SERVER_CONTROLLED),
				 errmsg("\"%s\" is written by the library only", table),
				 errhint("Do what is to be recorded; its entry comes by itself.")));
	ereport(ERROR,
			(errcode(ERRCODE_BJ_CONTROL_APPEND_ONLY),
			 errmsg("%s on \"%s\" is refused: what was recorded is never changed or removed",
					TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event) ? "UPDATE" : "DELETE", table),
			 errhint("A correction is one more entry; personal text is erased with billadj.erase_text().")));
	return PointerGetDatum(NULL);
}
