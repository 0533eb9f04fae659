/*
 * apply.h
 *	  Applying an approved request, and what ends a request otherwise.
 *
 * Needs an open owner scope and the request locked.
 */
#ifndef BILLADJ_APPLY_H
#define BILLADJ_APPLY_H

#include "postgres.h"

#include "requests.h"
#include "touched.h"

/*
 * Looks at everything again and writes the effect.  Returns the number of the
 * adjustment; an error if the request may not be applied now.  fresh: what it
 * is based on was compared by the very statement that applies it.
 */
extern int64 bj_apply(Request *request, bool fresh);

/* Open and approved requests end so; limits are released. */
extern void bj_apply_close(Request *request, OverrideAct act);

/* Is what it was based on still what it was?  without: of its own effect. */
extern bool bj_apply_is_fresh(const Request *request, int64 own_request_id, int64 own_hold_id);

/* At commit: what a decision or an effect of this transaction rests on still holds. */
extern void bj_apply_check_touched(const Touched *touched);

#endif							/* BILLADJ_APPLY_H */
