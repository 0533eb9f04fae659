/*
 * tap.h
 *	  Test Anything Protocol for the unit tests: `prove -e ''` runs them.
 *
 * The plan comes last, so that a new row of a table changes no number.
 */
#ifndef BILLADJ_TAP_H
#define BILLADJ_TAP_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

static int	tap_count;
static int	tap_failed;

/* One result; returns passed, so that a caller can say more on failure. */
__attribute__((format(printf, 2, 3)))
static bool
ok(bool passed, const char *name,...)
{
	va_list		args;

	tap_count++;
	if (!passed)
		tap_failed++;
	printf("%sok %d - ", passed ? "" : "not ", tap_count);
	va_start(args, name);
	vprintf(name, args);
	va_end(args);
	printf("\n");
	return passed;
}

/* The plan; returns the exit status of the test. */
static int
done_testing(void)
{
	printf("1..%d\n", tap_count);
	return tap_failed != 0;
}

#endif							/* BILLADJ_TAP_H */
