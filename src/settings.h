/*
 * settings.h
 *	  The settings of the library, and when it steps aside.
 */
#ifndef BILLADJ_SETTINGS_H
#define BILLADJ_SETTINGS_H

#include "postgres.h"

extern bool bj_enabled;			/* billadj.enabled */
extern int	bj_settle_timeout;	/* billadj.settle_timeout, ms; 0 = none */
extern int	bj_override_lock_timeout;	/* billadj.override_lock_timeout, ms; 0 = none */

/*
 * The restore rule: a superuser session under row_security = off, which every
 * pg_dump script sets, loads rows and objects verbatim.
 */
extern bool bj_taken_verbatim(void);

#endif							/* BILLADJ_SETTINGS_H */
