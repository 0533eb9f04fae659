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
static StatusWords
status_words(BjStatus status)
{
	switch (status)
	{
		case BJ_OK:
			break;
		case BJ_OUT_OF_RANGE:
			return (StatusWords) {
				ERRCODE_BJ_OUT_OF_RANGE,
				"number cannot be held exactly",
				"Use numbers of at most 38 significant digits and 1000 decimals."
			};
		case BJ_INEXACT:
			return (StatusWords) {
				ERRCODE_BJ_BAD_ROUNDING,
				"number has more digits than it may keep",
				"Choose a rounding mode other than \"never\", a smaller step or more decimals."
			};
		case BJ_DIVISION_BY_ZERO:
			return (StatusWords) {
				ERRCODE_DIVISION_BY_ZERO, "division by zero", NULL
			};
		case BJ_NOT_A_NUMBER:
			return (StatusWords) {
				ERRCODE_BJ_BAD_QUANTITY,
				"NaN is not a number that can be billed",
				"Store NULL or leave the row out where nothing was measured."
			};
		case BJ_INFINITE:
			return (StatusWords) {
				ERRCODE_BJ_BAD_QUANTITY,
				"infinity is not a number that can be billed",
				"Store NULL or leave the row out where nothing was measured."
			};
		case BJ_BAD_NUMBER:
			return (StatusWords) {
				ERRCODE_BJ_BAD_QUANTITY,
				"text is not a decimal number",
				"Write digits with an optional sign, point and exponent: -1.5 or 2e6."
			};
		case BJ_BAD_ROUNDING:
			return (StatusWords) {
				ERRCODE_BJ_BAD_ROUNDING,
				"unknown rounding mode",
				"Use one of half_up, half_even, half_down, up, down, ceil, floor and never."
			};
		case BJ_BAD_STEP:
			return (StatusWords) {
				ERRCODE_BJ_BAD_ROUNDING,
				"rounding step is not above zero",
				"Use a step such as 0.01, 0.05 or 1."
			};
		case BJ_BAD_SCALE:
			return (StatusWords) {
				ERRCODE_BJ_BAD_ROUNDING,
				"number of decimals out of bounds",
				"Use a number of decimals such as 2."
			};
		case BJ_BAD_CURRENCY:
			return (StatusWords) {
				ERRCODE_BJ_CURRENCY,
				"unknown currency",
				"Use a code of ISO 4217 that has a minor unit, in capital letters, such as EUR."
			};
		case BJ_BAD_WEIGHTS:
			return (StatusWords) {
				ERRCODE_INVALID_PARAMETER_VALUE,
				"no amount can be divided by these weights",
				"Give at least one weight above zero, and none below."
			};
		case BJ_NEGATIVE_QUANTITY:
			return (StatusWords) {
				ERRCODE_BJ_NEGATIVE_QUANTITY,
				"negative quantity is rejected by the price",
				"Set \"negative\" in the price to credit, carry or clamp, or correct the row."
			};
		case BJ_TOO_MANY_STEPS:
			return (StatusWords) {
				ERRCODE_PROGRAM_LIMIT_EXCEEDED,
				"too many steps in one price", NULL
			};
	}
	elog(ERROR, "unrecognized billadj status: %d", (int) status);
}

int
bj_status_sqlstate(BjStatus status)
{
	return status_words(status).sqlstate;
}

const char *
bj_status_message(BjStatus status)
{
	return status_words(status).message;
}

const char *
bj_status_hint(BjStatus status)
{
	return status_words(status).hint;
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
