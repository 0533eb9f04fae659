/*
 * privatetext.h
 *	  Store: personal text, kept apart from the audit log so that it can be
 *	  erased and the log stays valid.
 */
#ifndef BILLADJ_PRIVATETEXT_H
#define BILLADJ_PRIVATETEXT_H

#include "postgres.h"

#include "core/digest.h"

/*
 * Keeps a text with a random salt, as the owner of the tables, and appends an
 * audit entry that holds its commitment only: SHA-256 over the salt and the
 * text in UTF-8.  Returns its number.
 */
extern int64 bj_private_text_add(const char *body);

/* The text, in the current context; NULL if it was erased or never was. */
extern char *bj_private_text_get(int64 text_id);

/*
 * Calls tell() for each text, by the active snapshot, with what it commits to
 * now: NULL once it is erased.
 */
typedef void (*TellText) (void *arg, int64 text_id, const Digest *commitment);
extern void bj_private_text_each(TellText tell, void *arg);

/*
 * Forgets text and salt, and appends an entry that says so.  False if they were
 * forgotten before; error 42501 if there is no such text.
 */
extern bool bj_private_text_erase(int64 text_id);

#endif							/* BILLADJ_PRIVATETEXT_H */
