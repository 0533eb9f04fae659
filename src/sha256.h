/*
 * sha256.h
 *	  The server's SHA-256 as the hash function of the core.
 */
#ifndef BILLADJ_SHA256_H
#define BILLADJ_SHA256_H

#include "postgres.h"

#include "core/digest.h"

/*
 * Between open and close the hasher may be used for any number of hashes.  It
 * belongs to the current resource owner: an error needs no close.
 */
extern void bj_sha256_open(Hasher *hasher);
extern void bj_sha256_close(Hasher *hasher);

/* text in the encoding of the database, as UTF-8; may be the same memory. */
extern Text bj_utf8(const char *text, size_t size);

#endif							/* BILLADJ_SHA256_H */
