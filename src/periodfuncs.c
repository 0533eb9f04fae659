/*
 * periodfuncs.c
 *	  SQL-callable: in which period usage of an account falls.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "errors.h"
#include "period.h"
#include "prices.h"
#include "subperiods.h"
#include "subscriptions.h"

static void
require_tables(void)
{
	const char *problem = bj_prices_begin();

	if (problem == NULL)
		problem = bj_subperiods_begin();
	if (problem != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_BJ_NOT_INSTALLED),
				 errmsg("table billadj.%s does not exist or does not have the columns of this library", problem),
				 errhint("Run SELECT * FROM billadj.self_check().")));
}

/* The calendar month of the account that contains at. */
static Span
calendar_month(KeyText account, TimestampTz at, Fault *fault)
{
	const AccountTerms *terms = bj_prices_account(account.data, account.length);
	Span		month = {0, 0};

	if (terms->zone == NULL)
		bj_fault_set(fault, ERRCODE_BJ_UNKNOWN_ZONE,
					 psprintf("unknown time zone: \"%s\"", terms->zone_name),
					 "Correct time_zone in billadj.account or billadj.instance.");
	else if (!bj_period_month(terms->zone, at, &month.start) ||
			 !bj_period_month(terms->zone, month.start + 32 * USECS_PER_DAY, &month.end))
		bj_fault_set(fault, ERRCODE_BJ_BAD_TIME, "time of usage is out of range", NULL);
	return month;
}

/*
 * billadj.usage_period(account text, meter text, at timestamptz,
 *   OUT subscription_id bigint, OUT period tstzrange)
 */
PG_FUNCTION_INFO_V1(billadj_usage_period);
Datum
billadj_usage_period(PG_FUNCTION_ARGS)
{
	char	   *account = PG_ARGISNULL(0) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(0));
	char	   *meter = PG_ARGISNULL(1) ? "" : text_to_cstring(PG_GETARG_TEXT_PP(1));
	KeyText		key;
	UsagePeriod found = {0};
	Fault		fault = {0};
	TupleDesc	desc;
	Datum		values[2];
	bool		nulls[2] = {false, false};

	if (account == NULL || PG_ARGISNULL(2))
		PG_RETURN_NULL();
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	require_tables();
	key = bj_key_from_string(account, strlen(account));
	if (TIMESTAMP_NOT_FINITE(PG_GETARG_TIMESTAMPTZ(2)))
		bj_fault_set(&fault, ERRCODE_BJ_BAD_TIME, "time of usage is infinite", NULL);
	else if (!bj_subperiods_any() ||
			 !bj_subperiods_find(key, bj_key_from_string(meter, strlen(meter)),
								 PG_GETARG_TIMESTAMPTZ(2), &found, &fault))
		nulls[0] = true;
	if (nulls[0] && fault.sqlstate == 0)
		found.span = calendar_month(key, PG_GETARG_TIMESTAMPTZ(2), &fault);
	if (fault.sqlstate != 0)
		bj_fault_raise(&fault);
	values[0] = Int64GetDatum(found.subscription_id);
	values[1] = bj_span_range(found.span);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}
