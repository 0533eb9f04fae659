/*
 * bytes.h
 *	  From the fuzzer's bytes to arguments of the core.
 *
 * When the bytes run out, a generator seeded by them goes on: short inputs are
 * as varied as long ones.
 */
#ifndef BILLADJ_FUZZ_BYTES_H
#define BILLADJ_FUZZ_BYTES_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/decimal.h"

typedef struct Bytes
{
	const uint8_t *data;
	size_t		left;
	uint64_t	state;
} Bytes;

static inline Bytes
bytes_of(const uint8_t *data, size_t size)
{
	Bytes		bytes = {data, size, 0x9E3779B97F4A7C15};

	for (size_t i = 0; i < size; i++)
		bytes.state = (bytes.state ^ data[i]) * 0x100000001B3;
	return bytes;
}

static inline uint8_t
take_byte(Bytes *bytes)
{
	if (bytes->left > 0)
	{
		bytes->left--;
		return *bytes->data++;
	}
	bytes->state ^= bytes->state << 13;
	bytes->state ^= bytes->state >> 7;
	bytes->state ^= bytes->state << 17;
	return (uint8_t) (bytes->state >> 32);
}

static inline uint64_t
take_64(Bytes *bytes)
{
	uint64_t	taken = 0;

	for (int i = 0; i < 8; i++)
		taken = (taken << 8) | take_byte(bytes);
	return taken;
}

/* least .. most */
static inline int
take_int(Bytes *bytes, int least, int most)
{
	uint32_t	taken = ((uint32_t) take_byte(bytes) << 8) | take_byte(bytes);

	return least + (int) (taken % (uint32_t) (most - least + 1));
}

/*
 * A coefficient of up to 38 digits, and often one that is near a limit: few
 * digits, zeros or nines at the end, one off a power of ten.
 */
static inline Int128
take_coefficient(Bytes *bytes)
{
	int			digits = take_int(bytes, 0, 38);
	int			shape = take_int(bytes, 0, 7);
	int			zeros = take_int(bytes, 0, digits);
	UInt128		power = 1;
	UInt128		unit = 1;
	UInt128		taken = ((UInt128) take_64(bytes) << 64) | take_64(bytes);

	for (int i = 0; i < digits; i++)
		power *= 10;
	for (int i = 0; i < zeros; i++)
		unit *= 10;
	taken %= power;
	if (shape == 0)
		taken -= taken % unit;	/* zeros at the end */
	else if (shape == 1)
		taken += unit - 1 - taken % unit;	/* nines at the end */
	else if (shape == 2)
		taken = power - 1;
	else if (shape == 3)
		taken = power;
	if (taken > (UInt128) BJ_DECIMAL_MAX)
		taken = (UInt128) BJ_DECIMAL_MAX;
	return take_byte(bytes) & 1 ? -(Int128) taken : (Int128) taken;
}

static inline int32_t
take_scale(Bytes *bytes)
{
	switch (take_byte(bytes) % 8)
	{
		case 0:
			return take_int(bytes, BJ_MIN_SCALE, BJ_MAX_SCALE);
		case 1:
		case 2:
			return take_int(bytes, -90, 90);
		default:
			return take_int(bytes, -2, 14);
	}
}

static inline Decimal
take_decimal(Bytes *bytes)
{
	Decimal		a;

	a.coefficient = take_coefficient(bytes);
	a.scale = take_scale(bytes);
	return a;
}

/* What must hold. */
#define must(condition) \
	do { if (!(condition)) { \
		fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
		abort(); } } while (0)

#endif							/* BILLADJ_FUZZ_BYTES_H */
