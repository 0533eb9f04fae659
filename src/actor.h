/*
 * actor.h
 *	  Who acts: the login behind this session, and the person it belongs to.
 *
 * Identity is session_user.  A login registered in billadj.pooler acts for the
 * role it has SET ROLE to, one role a person.  A setting is never identity:
 * anybody can set one.
 */
#ifndef BILLADJ_ACTOR_H
#define BILLADJ_ACTOR_H

#include "postgres.h"

/*
 * Name of the acting login, in the current context: session_user, or for a
 * registered pooler the role that was set.  Never raises for want of a
 * principal.
 */
extern char *bj_actor_login(void);

/*
 * The role in force, and the authenticated login where it is neither that role
 * nor the actor: "role" or "role/login".  What audit_entry.role_name holds.
 */
extern char *bj_actor_role(void);

typedef struct Principal
{
	int64		principal_id;
	char	   *person_key;
	char	   *login;
} Principal;

/*
 * The active principal of the acting login, read by the latest snapshot as the
 * owner of the tables.  False if there is none, or if its binding is stale: the
 * role of that name on this system is another one than was bound.
 */
extern bool bj_actor_principal(Principal *principal);

/* The same; error UB301 if there is none. */
extern void bj_actor_require(Principal *principal);

#endif							/* BILLADJ_ACTOR_H */
