/*
 * rules.c
 *	  Store: approval rules of a kind and currency.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/datum.h"
#include "utils/jsonb.h"

#include "compat.h"
#include "ownerspi.h"
#include "rules.h"
#include "spirow.h"

/*
 * Intervals as microseconds, whatever the IntervalStyle of the session; a month
 * among them is 30 days, as extract() has it.
 */
void
bj_rules_current(const char *kind, const char *currency, RuleSet *set)
{
	Oid			types[] = {TEXTOID, TEXTOID};
	Datum		values[] = {CStringGetTextDatum(kind), CStringGetTextDatum(currency)};
	bool		null;
	Datum		document;

	bj_owner_run("SELECT coalesce(jsonb_agg(jsonb_build_object('rule_id', r.rule_id, 'lower', lower(r.band), 'upper', upper(r.band),"
				 "  'step', r.step, 'level', r.level, 'quorum', r.quorum, 'apply', r.apply,"
				 "  'window_us', trunc(extract(epoch FROM r.sum_window) * 1000000)::bigint,"
				 "  'decide_us', trunc(extract(epoch FROM r.decide_within) * 1000000)::bigint,"
				 "  'apply_us', trunc(extract(epoch FROM r.apply_within) * 1000000)::bigint)"
				 "  ORDER BY lower(r.band), r.step, r.rule_id), '[]')"
				 " FROM ONLY billadj.approval_rule r WHERE r.kind = $1 AND r.currency = $2 AND r.valid @> clock_timestamp()",
				 2, types, values, NULL, true);
	document = spirow_datum(0, 1, &null);
	bj_rules_read(datumCopy(document, false, -1), set);
}

/* Columns: lower, upper, step, level, quorum, apply, window, decide, apply. */
static void
add_rule(RuleSet *set, uint64 row)
{
	Band		band = {spirow_decimal(row, 1), spirow_null(row, 2), spirow_decimal(row, 2)};
	Band	   *last = set->nbands > 0 ? &set->bands[set->nbands - 1] : NULL;
	RuleBand   *rule;

	if (last == NULL || bj_decimal_compare(last->lower, band.lower) != 0 ||
		last->open_end != band.open_end || bj_decimal_compare(last->upper, band.upper) != 0)
	{
		set->bands[set->nbands] = band;
		memset(&set->rules[set->nbands], 0, sizeof(RuleBand));
		set->nbands++;
	}
	rule = &set->rules[set->nbands - 1];
	rule->later = rule->later || strcmp(spirow_text(row, 6), "later") == 0;
	rule->decide_us = Max(rule->decide_us, spirow_int64(row, 8));
	rule->apply_us = Max(rule->apply_us, spirow_int64(row, 9));
	set->window_us = Max(set->window_us, spirow_int64(row, 7));
	if (spirow_int32(row, 3) == 0)
		return;
	if (rule->nsteps == BJ_MAX_STEPS)
		ereport(ERROR,
				(errcode(ERRCODE_BJ_NO_RULE),
				 errmsg("more than %d approval steps for one amount", BJ_MAX_STEPS)));
	rule->steps[rule->nsteps++] = (Step) {spirow_int32(row, 3), spirow_int32(row, 4),
	spirow_int32(row, 5), 0};
}

void
bj_rules_read(Datum document, RuleSet *set)
{
	Oid			types[] = {JSONBOID};
	uint64		rows;

	memset(set, 0, sizeof(*set));
	set->document = document;
	set->text = JsonbToCString(NULL, &DatumGetJsonbP(document)->root, VARSIZE_ANY(DatumGetPointer(document)));
	rows = bj_owner_run("SELECT x.lower, x.upper, x.step, x.level, x.quorum, x.apply, x.window_us, x.decide_us, x.apply_us"
						" FROM jsonb_to_recordset($1) AS x(lower numeric, upper numeric, step integer, level integer,"
						"  quorum integer, apply text, window_us bigint, decide_us bigint, apply_us bigint)"
						" ORDER BY x.lower, x.upper, x.step",
						1, types, &document, NULL, true);
	set->bands = palloc0(sizeof(Band) * (rows + 1));
	set->rules = palloc0(sizeof(RuleBand) * (rows + 1));
	for (uint64 row = 0; row < rows; row++)
		add_rule(set, row);
}

const RuleBand *
bj_rules_choose(const RuleSet *set, Decimal amount)
{
	int			found = bj_band_choose(set->bands, set->nbands, amount);

	return found >= 0 ? &set->rules[found] : NULL;
}
