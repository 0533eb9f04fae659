/*
 * cardnumber.h
 *	  Finds what looks like the number of a payment card in free text.
 */
#ifndef BILLADJ_CORE_CARDNUMBER_H
#define BILLADJ_CORE_CARDNUMBER_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Are there 13 to 19 digits in a row, single blanks, points or dashes between
 * them allowed, that begin as card numbers do and have their check digit
 * (ISO/IEC 7812-1)?  One number in ten of the others has it by chance.
 */
extern bool bj_text_has_card_number(const char *text, size_t length);

#endif							/* BILLADJ_CORE_CARDNUMBER_H */
