/*
 * detector_trigger.c
 *	  BEFORE row trigger on billadj.detector: its parameters are understood.
 *
 * The insert path passes over what it does not understand, since a host's row
 * shall not fail for it; so it must not get there.
 */
#include "postgres.h"

#include "commands/trigger.h"
#include "fmgr.h"
#include "utils/jsonb.h"

#include "detectors.h"
#include "rowedit.h"
#include "settings.h"

PG_FUNCTION_INFO_V1(billadj_detector_trigger);
Datum
billadj_detector_trigger(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;
	RowEdit		row;
	HeapTuple	tuple;
	Datum		parameters;
	bool		isnull;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_FOR_ROW(trigdata->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("billadj.detector_trigger can be called only as a row trigger")));
	tuple = TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event) ? trigdata->tg_newtuple : trigdata->tg_trigtuple;
	if (bj_taken_verbatim())
		return PointerGetDatum(tuple);
	bj_row_open(&row, trigdata->tg_relation, tuple);
	parameters = bj_row_get(&row, "parameters", &isnull);
	if (!isnull)
		bj_detectors_check(DatumGetJsonbP(parameters), bj_row_text(&row, "rule"));
	return PointerGetDatum(tuple);
}
