/*
 * errors.c
 *	  The one place where a core status becomes a PostgreSQL error.
 */
#include "postgres.h"

#include "errors.h"

/* What a status is to a user. */
typedef struct StatusWords
{
	int			sqlstate;
	const char *message;
	const char *hint;
} StatusWords;

/*
 * A parked row is listed with these words too, hence no word in them names the
 * argument of one function.
 */
static const StatusWords status_words[] = {
	[BJ_OUT_OF_RANGE] = {
		ERRCODE_BJ_OUT_OF_RANGE,
		"number cannot be held exactly",
		"Use numbers of at most 38 significant digits and 1000 decimals."
	},
	[BJ_INEXACT] = {
		ERRCODE_BJ_BAD_ROUNDING,
		"number has more digits than it may keep",
		"Choose a rounding mode other than \"never\", a smaller step or more decimals."
	},
	[BJ_DIVISION_BY_ZERO] = {
		ERRCODE_DIVISION_BY_ZERO, "division by zero", NULL
	},
	[BJ_NOT_A_NUMBER] = {
		ERRCODE_BJ_BAD_QUANTITY,
		"NaN is not a number that can be billed",
		"Store NULL or leave the row out where nothing was measured."
	},
	[BJ_INFINITE] = {
		ERRCODE_BJ_BAD_QUANTITY,
		"infinity is not a number that can be billed",
		"Store NULL or leave the row out where nothing was measured."
	},
	[BJ_BAD_NUMBER] = {
		ERRCODE_BJ_BAD_QUANTITY,
		"text is not a decimal number",
		"Write digits with an optional sign, point and exponent: -1.5 or 2e6."
	},
	[BJ_BAD_ROUNDING] = {
		ERRCODE_BJ_BAD_ROUNDING,
		"unknown rounding mode",
		"Use one of half_up, half_even, half_down, up, down, ceil, floor and never."
	},
	[BJ_BAD_STEP] = {
		ERRCODE_BJ_BAD_ROUNDING,
		"rounding step is not above zero",
		"Use a step such as 0.01, 0.05 or 1."
	},
	[BJ_BAD_SCALE] = {
		ERRCODE_BJ_BAD_ROUNDING,
		"number of decimals out of bounds",
		"Use a number of decimals such as 2."
	},
	[BJ_BAD_CURRENCY] = {
		ERRCODE_BJ_CURRENCY,
		"unknown currency",
		"Use a code of ISO 4217 that has a minor unit, in capital letters, such as EUR."
	},
	[BJ_BAD_WEIGHTS] = {
		ERRCODE_INVALID_PARAMETER_VALUE,
		"no amount can be divided by these weights",
		"Give at least one weight above zero, and none below."
	},
	[BJ_NEGATIVE_QUANTITY] = {
		ERRCODE_BJ_NEGATIVE_QUANTITY,
		"negative quantity is rejected by the price",
		"Set \"negative\" in the price to credit, carry or clamp, or correct the row."
	},
	[BJ_TOO_MANY_STEPS] = {
		ERRCODE_PROGRAM_LIMIT_EXCEEDED,
		"too many steps in one price", NULL
	},
	[BJ_TIME_OUT_OF_RANGE] = {
		ERRCODE_BJ_BAD_INSTANT,
		"time is out of range",
		"Use finite times; billing periods end before the year 294277."
	},
	[BJ_BAD_INTERVAL] = {
		ERRCODE_BJ_BAD_INTERVAL,
		"length of a period is not above zero",
		"Use an interval such as 1 month, 1 week or 3 years, no part of it below zero."
	},
	[BJ_BAD_DAY_COUNT] = {
		ERRCODE_BJ_BAD_DAY_COUNT,
		"unknown day count",
		"Use one of actual_days, actual_days_inclusive, actual_seconds, actual_360, strict_30_360, fixed_30, actual_365, calendar_month_split and month_then_days."
	},
	[BJ_EMPTY_PERIOD] = {
		ERRCODE_BJ_BAD_RANGE,
		"period has no length by this day count",
		"Pass the whole billing period; for one shorter than a day use actual_seconds."
	},
	[BJ_OUTSIDE_PERIOD] = {
		ERRCODE_BJ_OUTSIDE_PERIOD,
		"part of a period lies outside it",
		"Cut it to the period first: used * period."
	},
	[BJ_PARTS_OVERLAP] = {
		ERRCODE_BJ_PARTS_OVERLAP,
		"parts of a period overlap",
		"Let each part end where the next one begins."
	},
	[BJ_NO_MONTHS] = {
		ERRCODE_BJ_BAD_RANGE,
		"period is no whole number of months",
		"Use actual_days or actual_seconds for periods of weeks or days."
	},
	[BJ_BAD_STATE] = {
		ERRCODE_DATA_CORRUPTED,
		"stored baseline is damaged or of another version",
		"Rebuild it from its rows with billadj.rebuild_baseline()."
	}
};

StaticAssertDecl(lengthof(status_words) == BJ_BAD_STATE + 1,
				 "a status has no words");

static const StatusWords *
words_of(BjStatus status)
{
	if (status <= BJ_OK || status >= lengthof(status_words) ||
		status_words[status].message == NULL)
		elog(ERROR, "unrecognized billadj status: %d", (int) status);
	return &status_words[status];
}

int
bj_status_sqlstate(BjStatus status)
{
	return words_of(status)->sqlstate;
}

const char *
bj_status_message(BjStatus status)
{
	return words_of(status)->message;
}

const char *
bj_status_hint(BjStatus status)
{
	return words_of(status)->hint;
}

void
bj_check(BjStatus status)
{
	if (unlikely(status != BJ_OK))
		ereport(ERROR,
				(errcode(bj_status_sqlstate(status)),
				 errmsg("%s", bj_status_message(status)),
				 bj_status_hint(status) != NULL ?
				 errhint("%s", bj_status_hint(status)) : 0));
}

void
bj_check_found(BjStatus status, const char *found)
{
	if (unlikely(status != BJ_OK))
		ereport(ERROR,
				(errcode(bj_status_sqlstate(status)),
				 errmsg("%s: \"%s\"", bj_status_message(status), found),
				 bj_status_hint(status) != NULL ?
				 errhint("%s", bj_status_hint(status)) : 0));
}
