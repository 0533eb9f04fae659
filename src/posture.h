/*
 * posture.h
 *	  Whether the tables of control are guarded as they must be.
 */
#ifndef BILLADJ_POSTURE_H
#define BILLADJ_POSTURE_H

/* Once, when the library is loaded. */
extern void bj_posture_init(void);

/*
 * Raises UB327 if a table of policy, overrides or audit is not what install()
 * made of it: its owner, forced row policies, guards ENABLE ALWAYS, no rules, no
 * inheritance, logged.  A guard that is off cannot say so itself: each act asks
 * for all of them, so that one which is switched off stops the others.
 *
 * Costs a few milliseconds after a change of such a table, and nothing until the
 * next.  Callable within bj_owner_begin() and outside of it.
 */
extern void bj_posture_check(void);

#endif							/* BILLADJ_POSTURE_H */
