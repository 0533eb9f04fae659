/*
 * verdict_trigger.c
 *	  A person's word on an anomaly: the row, and what follows from it.
 *
 * record_verdict() is no more than the INSERT, so both are one path.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "utils/builtins.h"

#include "audit.h"
#include "core/baseline.h"
#include "errors.h"
#include "ownerspi.h"
#include "privatetext.h"
#include "rowedit.h"
#include "settings.h"
#include "spirow.h"
#include "streams.h"

#define STEP 0.05				/* decades of a verdict */
#define MOST_STEPS 10			/* to either side */

typedef struct Judged
{
	char	   *account;
	char	   *meter;
	char	   *rule;
	int64		anomaly_id;
	int64		detector_id;
	bool		has_detector;
	bool		open;
	int32		steps;			/* so far, of its detector and rule */
	int32		own_steps;		/* those of verdicts on this anomaly */
} Judged;

/* What the verdict is about; false if there is no such anomaly. */
static bool
read_judged(const RowEdit *row, Judged *judged)
{
	OwnerScope	scope;
	Oid			types[] = {TEXTOID, INT8OID};
	Datum		values[2];
	MemoryContext context = CurrentMemoryContext;
	MemoryContext spi;
	uint64		found;

	judged->account = bj_row_text(row, "account");
	judged->anomaly_id = bj_row_int64(row, "anomaly_id");
	if (judged->account == NULL)
		return false;
	values[0] = CStringGetTextDatum(judged->account);
	values[1] = Int64GetDatum(judged->anomaly_id);
	bj_owner_begin(&scope);
	found = bj_owner_run("SELECT a.meter, a.rule, a.detector_id, a.closed_at IS NULL, "
						 "(SELECT round(coalesce(sum(s.step), 0) / 0.05)::int4 FROM billadj.threshold_step s "
						 "WHERE s.detector_id IS NOT DISTINCT FROM a.detector_id AND s.rule = a.rule), "
						 "(SELECT round(coalesce(sum(s.step), 0) / 0.05)::int4 FROM billadj.verdict v "
						 "JOIN billadj.threshold_step s ON s.account = v.account AND s.verdict_id = v.verdict_id "
						 "WHERE v.account = a.account AND v.anomaly_id = a.anomaly_id) "
						 "FROM billadj.anomaly a WHERE a.account = $1 AND a.anomaly_id = $2",
						 2, types, values, "  ", false);
	if (found == 1)
	{
		spi = MemoryContextSwitchTo(context);
		judged->meter = spirow_text(0, 1);
		judged->rule = spirow_text(0, 2);
		judged->detector_id = spirow_int64(0, 3);
		judged->has_detector = !spirow_null(0, 3);
		judged->open = spirow_bool(0, 4);
		judged->steps = spirow_int32(0, 5);
		judged->own_steps = spirow_int32(0, 6);
		MemoryContextSwitchTo(spi);
	}
	bj_owner_end(&scope);
	return found == 1;
}

/*
 * One step up where it was no fault, down where it was one.  An anomaly counts
 * once, however often it is judged, and its latest verdict counts: another one
 * takes the step before back.
 */
static double
move_threshold(const Judged *judged, int64 verdict_id, BjVerdict verdict)
{
	int			direction = verdict == BJ_VERDICT_UNSURE ? 0 :
		verdict == BJ_VERDICT_EXPECTED ? 1 : -1;
	int			steps = verdict == BJ_VERDICT_UNSURE ? 0 : direction - judged->own_steps;
	double		step;
	OwnerScope	scope;
	Oid			types[] = {TEXTOID, INT8OID, INT8OID, TEXTOID, FLOAT8OID};
	Datum		values[] = {
		CStringGetTextDatum(judged->account), Int64GetDatum(verdict_id),
		Int64GetDatum(judged->detector_id), CStringGetTextDatum(judged->rule), (Datum) 0
	};

	steps = Max(-MOST_STEPS, Min(MOST_STEPS, judged->steps + steps)) - judged->steps;
	step = steps * STEP;
	values[4] = Float8GetDatum(step);
	bj_owner_begin(&scope);
	bj_owner_run("INSERT INTO billadj.threshold_step (account, verdict_id, detector_id, rule, step) "
				 "VALUES ($1, $2, $3, $4, $5)",
				 5, types, values, judged->has_detector ? "     " : "  n  ", false);
	bj_owner_end(&scope);
	return step;
}

static BjVerdict
verdict_of(const char *name)
{
	static const char *const names[] = {
		[BJ_VERDICT_EXPECTED] = "expected",
		[BJ_VERDICT_ERROR] = "error",
		[BJ_VERDICT_FRAUD] = "fraud",
		[BJ_VERDICT_UNSURE] = "unsure"
	};

	for (int i = 0; name != NULL && i < lengthof(names); i++)
		if (strcmp(name, names[i]) == 0)
			return (BjVerdict) i;
	ereport(ERROR,
			(errcode(ERRCODE_BJ_BAD_VERDICT),
			 errmsg("\"%s\" is no verdict", name ? name : ""),
			 errhint("Say expected, error, fraud or unsure.")));
	return BJ_VERDICT_UNSURE;
}

static void
judge(RowEdit *row, const Judged *judged, BjVerdict verdict)
{
	char	   *name = bj_row_text(row, "verdict");
	int64		verdict_id = bj_row_int64(row, "verdict_id");
	double		step = move_threshold(judged, verdict_id, verdict);
	char	   *note = bj_row_text(row, "note");

	if (note != NULL)
		bj_row_set_text(row, "note", psprintf(INT64_FORMAT, bj_private_text_add(note)));
	if (judged->open && verdict != BJ_VERDICT_UNSURE)
		bj_streams_judge(bj_key_from_string(judged->account, strlen(judged->account)),
						 bj_key_from_string(judged->meter, strlen(judged->meter)),
						 judged->anomaly_id, verdict);
	bj_audit_append("verdict", psprintf("anomaly/" INT64_FORMAT, judged->anomaly_id), judged->account,
					psprintf("{\"step\":%.2f,\"text_id\":%s,\"verdict\":\"%s\",\"verdict_id\":" INT64_FORMAT "}",
							 step, note != NULL ? bj_row_text(row, "note") : "null", name, verdict_id));
}

/* BEFORE INSERT … FOR EACH ROW on verdict. */
PG_FUNCTION_INFO_V1(billadj_verdict_trigger);
Datum
billadj_verdict_trigger(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;
	RowEdit		row;
	Judged		judged = {0};
	BjVerdict	verdict;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_FOR_ROW(trigdata->tg_event) ||
		!TRIGGER_FIRED_BEFORE(trigdata->tg_event) || !TRIGGER_FIRED_BY_INSERT(trigdata->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("billadj.verdict_trigger can be called only as a trigger before the insert of a row")));
	if (bj_taken_verbatim())
		return PointerGetDatum(trigdata->tg_trigtuple);
	bj_row_open(&row, trigdata->tg_relation, trigdata->tg_trigtuple);
	verdict = verdict_of(bj_row_text(&row, "verdict"));
	if (read_judged(&row, &judged))
		judge(&row, &judged, verdict);
	/* otherwise the foreign key says so */
	return PointerGetDatum(bj_row_make(&row));
}
