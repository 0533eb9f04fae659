/*
 * guards.c
 *	  Triggers on our own tables, and the restore rule.
 */
#include "postgres.h"

#include "commands/trigger.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/rel.h"
#include "utils/rls.h"

#include "errors.h"
#include "settings.h"
#include "subperiods.h"

bool
bj_taken_verbatim(void)
{
	return !row_security && superuser_arg(GetSessionUserId());
}

/*
 * AFTER … FOR EACH STATEMENT on catalogue tables: all sessions forget what
 * they kept of it.  The message goes out at commit; this session takes it at
 * its next command.
 */
PG_FUNCTION_INFO_V1(billadj_catalogue_trigger);
Datum
billadj_catalogue_trigger(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("billadj.catalogue_trigger can be called only as a trigger")));
	CacheInvalidateRelcache(trigdata->tg_relation);
	return PointerGetDatum(NULL);
}

/*
 * The same on terms, billing cycles and prices of plans: what is kept of them
 * says in which period usage falls.
 */
PG_FUNCTION_INFO_V1(billadj_timeline_trigger);
Datum
billadj_timeline_trigger(PG_FUNCTION_ARGS)
{
	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("billadj.timeline_trigger can be called only as a trigger")));
	bj_subperiods_changed();
	return PointerGetDatum(NULL);
}

static const char *
event_name(TriggerEvent event)
{
	if (TRIGGER_FIRED_BY_UPDATE(event))
		return "UPDATE";
	if (TRIGGER_FIRED_BY_DELETE(event))
		return "DELETE";
	return "TRUNCATE";
}

/*
 * BEFORE … FOR EACH STATEMENT: facts are dated and append-only.  What was
 * billed is corrected by one more row.
 */
PG_FUNCTION_INFO_V1(billadj_append_only_trigger);
Datum
billadj_append_only_trigger(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("billadj.append_only_trigger can be called only as a trigger")));
	if (!bj_taken_verbatim())
		ereport(ERROR,
				(errcode(ERRCODE_BJ_APPEND_ONLY),
				 errmsg("%s on \"%s\" is refused: its rows are never changed or removed",
						event_name(trigdata->tg_event),
						RelationGetRelationName(trigdata->tg_relation)),
				 errhint("A correction is one more row; old months of charges leave by ALTER TABLE billadj.charge DETACH PARTITION.")));
	return PointerGetDatum(NULL);
}
