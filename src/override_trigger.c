/*
 * override_trigger.c
 *	  Guards of requests, decisions and all that follows from them.
 *
 * Enabled ALWAYS, and named so that they fire last among the BEFORE triggers;
 * what one that fires still later makes of a row is caught when the row has
 * been stored.
 */
#include "postgres.h"

#include "commands/trigger.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/rel.h"

#include "decisionguard.h"
#include "errors.h"
#include "posture.h"
#include "requestguard.h"
#include "rowedit.h"
#include "settings.h"
#include "touched.h"

static TriggerData *
trigger_data(FunctionCallInfo fcinfo, const char *name)
{
	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("billadj.%s can be called only as a trigger", name)));
	return (TriggerData *) fcinfo->context;
}

/* The row that an operation leaves, or takes away. */
static HeapTuple
result_row(TriggerData *trigdata)
{
	return TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event) ? trigdata->tg_newtuple : trigdata->tg_trigtuple;
}

static void
raise_append_only(TriggerData *trigdata)
{
	ereport(ERROR,
			(errcode(ERRCODE_BJ_CONTROL_APPEND_ONLY),
			 errmsg("%s on \"%s\" is refused: its rows are never changed or removed",
					TRIGGER_FIRED_BY_DELETE(trigdata->tg_event) ? "DELETE" : "UPDATE",
					RelationGetRelationName(trigdata->tg_relation)),
			 errhint("A change is one more request: billadj.submit_override(), billadj.reverse_override().")));
}

/*
 * A person acts by a statement of his own.  A trigger on another table acts for
 * whoever happens to write there, and he may not know.
 */
static void
check_context(void)
{
	if (bj_trigger_depth() > 1 || InSecurityRestrictedOperation())
		ereport(ERROR,
				(errcode(ERRCODE_BJ_CONTEXT),
				 errmsg("requests and decisions are not made by triggers"),
				 errdetail("They are acts of a person, who has to know of them."),
				 errhint("Have the person call billadj.submit_override() or billadj.decide_override().")));
}

/* BEFORE INSERT OR UPDATE OR DELETE, AFTER INSERT OR UPDATE, FOR EACH ROW. */
PG_FUNCTION_INFO_V1(billadj_override_request_trigger);
Datum
billadj_override_request_trigger(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = trigger_data(fcinfo, "override_request_trigger");
	HeapTuple	row = result_row(trigdata);

	if (bj_taken_verbatim())
		return PointerGetDatum(row);
	if (TRIGGER_FIRED_AFTER(trigdata->tg_event))
	{
		bj_request_stored(trigdata->tg_relation, row);
		return PointerGetDatum(NULL);
	}
	if (TRIGGER_FIRED_BY_DELETE(trigdata->tg_event))
		raise_append_only(trigdata);
	if (!bj_engine_writes())
	{
		check_context();
		bj_posture_check();
	}
	if (TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event))
		row = bj_request_check_update(trigdata->tg_relation, trigdata->tg_trigtuple, row);
	else
		row = bj_request_check_insert(trigdata->tg_relation, row);
	return PointerGetDatum(row);
}

/* BEFORE INSERT OR UPDATE OR DELETE, AFTER INSERT, FOR EACH ROW. */
PG_FUNCTION_INFO_V1(billadj_override_decision_trigger);
Datum
billadj_override_decision_trigger(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = trigger_data(fcinfo, "override_decision_trigger");
	HeapTuple	row = result_row(trigdata);

	if (bj_taken_verbatim())
		return PointerGetDatum(row);
	if (TRIGGER_FIRED_AFTER(trigdata->tg_event))
	{
		bj_decision_stored(trigdata->tg_relation, row);
		return PointerGetDatum(NULL);
	}
	if (!TRIGGER_FIRED_BY_INSERT(trigdata->tg_event))
		raise_append_only(trigdata);
	check_context();
	bj_posture_check();
	return PointerGetDatum(bj_decision_check(trigdata->tg_relation, row));
}

/* Facts are append-only; the others are the library's own notes. */
static bool
is_fact(Relation rel)
{
	const char *name = RelationGetRelationName(rel);

	return strcmp(name, "adjustment") == 0 || strcmp(name, "request_comment") == 0 ||
		strcmp(name, "hold") == 0 || strcmp(name, "proposal") == 0 || strcmp(name, "outbox") == 0;
}

/* A sender outside marks messages, and removes those that it has sent. */
static bool
is_sending(TriggerData *trigdata)
{
	RowEdit		old;
	RowEdit		row;

	if (strcmp(RelationGetRelationName(trigdata->tg_relation), "outbox") != 0 ||
		TRIGGER_FIRED_BY_INSERT(trigdata->tg_event))
		return false;
	bj_row_open(&old, trigdata->tg_relation, trigdata->tg_trigtuple);
	if (TRIGGER_FIRED_BY_DELETE(trigdata->tg_event))
		return !bj_row_null(&old, "sent_at");
	bj_row_open(&row, trigdata->tg_relation, trigdata->tg_newtuple);
	return bj_row_equal(&row, &old, "account") && bj_row_equal(&row, &old, "outbox_id") &&
		bj_row_equal(&row, &old, "topic") && bj_row_equal(&row, &old, "payload") &&
		bj_row_equal(&row, &old, "created_at") && bj_row_equal(&row, &old, "created_by");
}

/* BEFORE INSERT OR UPDATE OR DELETE, AFTER INSERT OR UPDATE, FOR EACH ROW. */
PG_FUNCTION_INFO_V1(billadj_override_effect_trigger);
Datum
billadj_override_effect_trigger(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = trigger_data(fcinfo, "override_effect_trigger");
	HeapTuple	row = result_row(trigdata);

	if (bj_taken_verbatim())
		return PointerGetDatum(row);
	if (TRIGGER_FIRED_AFTER(trigdata->tg_event))
	{
		if (!bj_expected_row(trigdata->tg_relation, row, NULL))
			ereport(ERROR,
					(errcode(ERRCODE_BJ_SERVER_CONTROLLED),
					 errmsg("the row of \"%s\" that was stored is not the one that was approved",
							RelationGetRelationName(trigdata->tg_relation)),
					 errhint("SELECT * FROM billadj.self_check(); -- names triggers and rules that are not billadj's")));
		return PointerGetDatum(NULL);
	}
	if (is_sending(trigdata) || (bj_engine_writes() && !TRIGGER_FIRED_BY_DELETE(trigdata->tg_event)))
	{
		if (!TRIGGER_FIRED_BY_DELETE(trigdata->tg_event))
			bj_expect_row(trigdata->tg_relation, row,
						  is_fact(trigdata->tg_relation) ? BJ_MUST_BE_STORED : BJ_MAY_BE_STORED, NULL);
		return PointerGetDatum(row);
	}
	if (is_fact(trigdata->tg_relation) && !TRIGGER_FIRED_BY_INSERT(trigdata->tg_event))
		raise_append_only(trigdata);
	ereport(ERROR,
			(errcode(ERRCODE_BJ_SERVER_CONTROLLED),
			 errmsg("\"%s\" is written by billadj only", RelationGetRelationName(trigdata->tg_relation)),
			 errhint("Ask for a change with billadj.submit_override().")));
	return PointerGetDatum(NULL);
}

/* BEFORE TRUNCATE FOR EACH STATEMENT. */
PG_FUNCTION_INFO_V1(billadj_override_truncate_trigger);
Datum
billadj_override_truncate_trigger(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = trigger_data(fcinfo, "override_truncate_trigger");

	if (!bj_taken_verbatim())
		ereport(ERROR,
				(errcode(ERRCODE_BJ_CONTROL_TRUNCATE),
				 errmsg("TRUNCATE on \"%s\" is refused: its rows are never removed",
						RelationGetRelationName(trigdata->tg_relation))));
	return PointerGetDatum(NULL);
}
