/*
 * numericcodec.c
 *	  Between the server's numeric and the core's Decimal, by stored digits.
 *
 * The server's own functions cost 60 to 600 ns a value, this costs about 10,
 * and it is on the path of every usage row.  numeric.c keeps its structs
 * private, so what is known of them stands here and nowhere else.  It is the
 * on-disk format, the same since 9.1, which pg_upgrade depends on:
 *
 * A varlena of a 16-bit header, then in the long form a 16-bit weight, then
 * digits of base 10,000, each 16 bits, the highest first.  The value is the
 * sum of digit[i] * 10000^(weight - i).  The two highest bits of the header say
 * what it is:
 *
 * 00 positive, 01 negative: long form, 14 bits of display scale.
 * 10: short form; sign bit, 6 bits of display scale, 7 bits of signed weight.
 * 11: NaN, or an infinity whose next two bits are its sign.
 *
 * Neither the first nor the last digit is zero in what the server makes.
 * sql/numeric.sql holds all of this against the server's own conversions.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"

#include "compat.h"
#include "core/wide.h"
#include "numericcodec.h"

#define HEADER_KIND_MASK 0xC000
#define HEADER_NEGATIVE 0x4000
#define HEADER_SHORT 0x8000
#define HEADER_SPECIAL 0xC000
#define HEADER_SPECIAL_MASK 0xF000
#define HEADER_NAN 0xC000

#define LONG_SCALE_MASK 0x3FFF

#define SHORT_NEGATIVE 0x2000
#define SHORT_SCALE_MASK 0x1F80
#define SHORT_SCALE_SHIFT 7
#define SHORT_SCALE_MAX (SHORT_SCALE_MASK >> SHORT_SCALE_SHIFT)
#define SHORT_WEIGHT_SIGN 0x0040
#define SHORT_WEIGHT_MASK 0x003F
#define SHORT_WEIGHT_MAX 63
#define SHORT_WEIGHT_MIN (-64)

#define NBASE 10000
#define NBASE_DIGITS 4

/*
 * 38 decimal digits lie in 11 groups at most: one digit in the first, nine
 * full groups, one digit in the last.
 */
#define GROUPS_MAX 11

StaticAssertDecl(VARHDRSZ + 2 * sizeof(int16) + GROUPS_MAX * sizeof(int16)
				 <= BJ_NUMERIC_SIZE, "BJ_NUMERIC_SIZE is too small");

/* A numeric that is neither NaN nor infinite, taken apart. */
typedef struct Stored
{
	bool		negative;
	int			weight;			/* power of NBASE of the first group */
	int			ngroups;
	int16		groups[GROUPS_MAX];
} Stored;

static inline int
group_digits(int group)
{
	return 1 + (group >= 10) + (group >= 100) + (group >= 1000);
}

/* groups[0 .. n - 1] as one number, which has at most 38 digits */
static inline UInt128
join_groups(const int16 *groups, int n)
{
	UInt128		joined = 0;
	int			i = 0;

	/* Four groups fit 64 bits with room to spare: nearly all money does. */
	while (i < n)
	{
		uint64		part = 0;
		uint64		unit = 1;
		int			end = Min(n, i + 4);

		for (; i < end; i++)
		{
			part = part * NBASE + groups[i];
			unit *= NBASE;
		}
		joined = joined * unit + part;
	}
	return joined;
}

/* The value of stored, which has at least one group and no zero at its ends. */
static BjStatus
decode(const Stored *stored, Decimal *a)
{
	int			last = stored->ngroups - 1;
	int			power = stored->weight - last;	/* of the last group */
	int			digits = group_digits(stored->groups[0]);
	int			group = stored->groups[last];
	int			zeros = 0;
	int			scale;
	UInt128		magnitude;

	if (power >= 0 &&
		digits + NBASE_DIGITS * stored->weight <= BJ_DECIMAL_DIGITS)
	{
		/* a whole number that can be written out */
		magnitude = join_groups(stored->groups, stored->ngroups) *
			bj_power_of_ten[NBASE_DIGITS * power];
		scale = 0;
	}
	else
	{
		int			unit = NBASE;

		for (; group % 10 == 0; zeros++)
		{
			group /= 10;
			unit /= 10;
		}
		if (last == 0)
			digits = group_digits(group);
		else
			digits += NBASE_DIGITS * last - zeros;
		scale = -NBASE_DIGITS * power - zeros;
		if (digits > BJ_DECIMAL_DIGITS || scale > BJ_MAX_SCALE)
			return BJ_OUT_OF_RANGE;
		magnitude = join_groups(stored->groups, last) * unit + group;

		if (scale < BJ_MIN_SCALE)
		{
			if (digits + BJ_MIN_SCALE - scale > BJ_DECIMAL_DIGITS)
				return BJ_OUT_OF_RANGE;
			magnitude *= bj_power_of_ten[BJ_MIN_SCALE - scale];
			scale = BJ_MIN_SCALE;
		}
	}
	a->coefficient = stored->negative ? -(Int128) magnitude :
		(Int128) magnitude;
	a->scale = scale;
	return BJ_OK;
}

/*
 * One to four groups, which fit 64 bits: nearly all quantities and prices.
 * Returns false for what decode() must look at: zeros at an end, a value far
 * from the point.
 */
static inline bool
decode_small(const char *groups, int ngroups, int weight, bool negative,
			 bool strip, Decimal *a)
{
	int			scale = NBASE_DIGITS * (ngroups - 1 - weight);
	uint64		magnitude = 0;
	int16		group;

	if (weight > 3 || scale > BJ_MAX_SCALE)
		return false;
	memcpy(&group, groups, sizeof(group));
	if (group == 0)
		return false;
	for (int i = 0;;)
	{
		magnitude = magnitude * NBASE + group;
		if (++i == ngroups)
			break;
		memcpy(&group, groups + i * sizeof(group), sizeof(group));
	}
	if (group == 0)
		return false;
	if (scale > 0)
	{
		for (; strip && group % 10 == 0; group /= 10, scale--)
			magnitude /= 10;
	}
	else if (scale < 0)
	{
		/* zeros before the point; with them it is still four groups at most */
		magnitude *= (uint64) bj_power_of_ten[-scale];
		scale = 0;
	}
	a->coefficient = negative ? -(Int128) magnitude : (Int128) magnitude;
	a->scale = scale;
	return true;
}

/*
 * data: size bytes behind the varlena header, of any alignment.  strip: no
 * zeros are left at the end of a fraction.
 */
static inline BjStatus
read_stored(const char *data, Size size, bool strip, Decimal *a)
{
	Stored		stored;
	uint16		header;
	Size		at = sizeof(header);
	Size		ngroups;
	int16		group;

	memcpy(&header, data, sizeof(header));
	if (header & HEADER_SHORT)
	{
		if ((header & HEADER_KIND_MASK) == HEADER_SPECIAL)
			return (header & HEADER_SPECIAL_MASK) == HEADER_NAN ?
				BJ_NOT_A_NUMBER : BJ_INFINITE;
		stored.negative = (header & SHORT_NEGATIVE) != 0;
		stored.weight = header & SHORT_WEIGHT_MASK;
		if (header & SHORT_WEIGHT_SIGN)
			stored.weight -= SHORT_WEIGHT_SIGN;
	}
	else
	{
		int16		weight;

		stored.negative = (header & HEADER_KIND_MASK) == HEADER_NEGATIVE;
		memcpy(&weight, data + at, sizeof(weight));
		stored.weight = weight;
		at += sizeof(weight);
	}

	ngroups = (size - at) / sizeof(group);
	if (likely(ngroups >= 1 && ngroups <= 4) &&
		decode_small(data + at, (int) ngroups, stored.weight, stored.negative,
					 strip, a))
		return BJ_OK;

	/* The server strips zeros at both ends, but a foreign writer might not. */
	for (; ngroups > 0; ngroups--, at += sizeof(group), stored.weight--)
	{
		memcpy(&group, data + at, sizeof(group));
		if (group != 0)
			break;
	}
	for (; ngroups > 0; ngroups--)
	{
		memcpy(&group, data + at + (ngroups - 1) * sizeof(group),
			   sizeof(group));
		if (group != 0)
			break;
	}

	if (ngroups == 0)
	{
		*a = BJ_DECIMAL_ZERO;
		return BJ_OK;
	}
	if (ngroups > GROUPS_MAX)
		return BJ_OUT_OF_RANGE;
	memcpy(stored.groups, data + at, ngroups * sizeof(group));
	stored.ngroups = (int) ngroups;
	return decode(&stored, a);
}

static inline BjStatus
read_datum(Datum datum, bool strip, Decimal *a)
{
	struct varlena *value = (struct varlena *) DatumGetPointer(datum);
	BjStatus	status;

	if (likely(!VARATT_IS_EXTERNAL(value) && !VARATT_IS_COMPRESSED(value)))
		return read_stored(VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value), strip,
						   a);

	value = pg_detoast_datum_packed(value);
	status = read_stored(VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value), strip,
						 a);
	pfree(value);
	return status;
}

BjStatus
bj_numeric_read(Datum datum, Decimal *a)
{
	return read_datum(datum, true, a);
}

BjStatus
bj_numeric_read_padded(Datum datum, Decimal *a)
{
	return read_datum(datum, false, a);
}

/*
 * The groups of magnitude * 10^-scale into the end of groups[GROUPS_MAX], none
 * zero at either end; *power is that of the last one.  Returns their number.
 * magnitude is not 0.
 */
static int
split_groups(UInt128 magnitude, int scale, int16 *groups, int *power)
{
	int			places = scale & (NBASE_DIGITS - 1);
	int			at = GROUPS_MAX;

	/*
	 * The last group holds the places that do not fill one; scale - places
	 * is a multiple of four, below zero too.
	 */
	*power = -(scale - places) / NBASE_DIGITS;
	if (places > 0)
	{
		int			unit = (int) bj_power_of_ten[places];
		int			rest;

		if (magnitude <= PG_UINT64_MAX)
		{
			rest = (int) ((uint64) magnitude % unit);
			magnitude = (uint64) magnitude / unit;
		}
		else
		{
			rest = (int) (magnitude % unit);
			magnitude /= unit;
		}
		groups[--at] = rest * (NBASE / unit);
		(*power)--;
	}

	while (magnitude != 0)
	{
		uint64		part = (uint64) magnitude;
		int			count = GROUPS_MAX;

		/* sixteen digits at a time, as a division of 128 bits is dear */
		if (magnitude > PG_UINT64_MAX)
		{
			part = (uint64) (magnitude % UINT64CONST(10000000000000000));
			magnitude /= UINT64CONST(10000000000000000);
			count = 4;
		}
		else
			magnitude = 0;
		for (; count > 0 && (part != 0 || magnitude != 0); count--)
		{
			groups[--at] = part % NBASE;
			part /= NBASE;
		}
	}
	return GROUPS_MAX - at;
}

/*
 * Writes a in canonical form, if it has at most 15 digits and stands near the
 * point, as nearly all amounts do; else returns false.
 */
static inline bool
write_small(Decimal a, char *buffer)
{
	int16		groups[2 * GROUPS_MAX] = {0};
	int			at = GROUPS_MAX;
	bool		negative = a.coefficient < 0;
	uint64		magnitude;
	int			weight;
	int			size;
	uint16		header;

	if (a.coefficient == 0 || a.scale < 0 || a.scale > SHORT_SCALE_MAX ||
		bj_magnitude(a.coefficient) >= UINT64CONST(1000000000000000))
		return false;

	magnitude = (uint64) bj_magnitude(a.coefficient);
	for (; a.scale > 0 && magnitude % 10 == 0; a.scale--)
		magnitude /= 10;

	/* 15 digits, and zeros that fill the last group: no more than 18 */
	weight = -((a.scale + NBASE_DIGITS - 1) / NBASE_DIGITS);
	magnitude *= (uint64) bj_power_of_ten[-weight * NBASE_DIGITS - a.scale];
	for (; magnitude % NBASE == 0; weight++)
		magnitude /= NBASE;
	for (; magnitude != 0; weight++)
	{
		groups[--at] = magnitude % NBASE;
		magnitude /= NBASE;
	}
	weight--;

	header = HEADER_SHORT | (negative ? SHORT_NEGATIVE : 0) |
		(a.scale << SHORT_SCALE_SHIFT) |
		(weight < 0 ? SHORT_WEIGHT_SIGN : 0) | (weight & SHORT_WEIGHT_MASK);
	memcpy(buffer + VARHDRSZ, &header, sizeof(header));

	/* A copy of constant length is no call; what is too much is not in size. */
	memcpy(buffer + VARHDRSZ + sizeof(header), groups + at,
		   GROUPS_MAX * sizeof(int16));
	size = VARHDRSZ + sizeof(header) + (GROUPS_MAX - at) * sizeof(int16);
	SET_VARSIZE(buffer, size);
	return true;
}

/* Writes a with the display scale; returns the size in bytes. */
static Size
write_stored(Decimal a, int display_scale, char *buffer)
{
	int16		groups[GROUPS_MAX];
	int16	   *first = groups;
	int			ngroups = 0;
	int			weight = 0;
	bool		negative = a.coefficient < 0;
	char	   *at = buffer + VARHDRSZ;
	uint16		header;

	if (a.coefficient != 0)
	{
		int			power;

		ngroups = split_groups(bj_magnitude(a.coefficient), a.scale, groups,
							   &power);
		first = groups + GROUPS_MAX - ngroups;
		weight = power + ngroups - 1;
		while (first[ngroups - 1] == 0)
			ngroups--;
	}

	if (display_scale <= SHORT_SCALE_MAX &&
		weight >= SHORT_WEIGHT_MIN && weight <= SHORT_WEIGHT_MAX)
	{
		header = HEADER_SHORT | (negative ? SHORT_NEGATIVE : 0) |
			(display_scale << SHORT_SCALE_SHIFT) |
			(weight < 0 ? SHORT_WEIGHT_SIGN : 0) |
			(weight & SHORT_WEIGHT_MASK);
		memcpy(at, &header, sizeof(header));
		at += sizeof(header);
	}
	else
	{
		int16		long_weight = weight;

		header = (negative ? HEADER_NEGATIVE : 0) |
			(display_scale & LONG_SCALE_MASK);
		memcpy(at, &header, sizeof(header));
		at += sizeof(header);
		memcpy(at, &long_weight, sizeof(long_weight));
		at += sizeof(long_weight);
	}
	memcpy(at, first, ngroups * sizeof(int16));
	at += ngroups * sizeof(int16);
	SET_VARSIZE(buffer, at - buffer);
	return at - buffer;
}

Datum
bj_numeric_write(Decimal a, char *buffer)
{
	if (likely(write_small(a, buffer)))
		return PointerGetDatum(buffer);
	a = bj_decimal_normalize(a);
	write_stored(a, Max(a.scale, 0), buffer);
	return PointerGetDatum(buffer);
}

Datum
bj_numeric_make(Decimal a, int32 min_scale)
{
	char	   *buffer = palloc(BJ_NUMERIC_SIZE);

	if (min_scale <= 0)
		return bj_numeric_write(a, buffer);
	a = bj_decimal_normalize(a);
	write_stored(a, Max(Max(a.scale, min_scale), 0), buffer);
	return PointerGetDatum(buffer);
}

/*
 * A coefficient and a power of ten that are exact doubles make the nearest one
 * by one division; anything longer goes through the server.
 */
static bool
double_of(Decimal a, double *x)
{
	static const double powers[] = {
		1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
		1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22
	};

	if (a.scale <= -(int) lengthof(powers) || a.scale >= (int) lengthof(powers) ||
		a.coefficient > (INT64CONST(1) << 53) || a.coefficient < -(INT64CONST(1) << 53))
		return false;
	*x = a.scale >= 0 ? (double) (int64) a.coefficient / powers[a.scale]
		: (double) (int64) a.coefficient * powers[-a.scale];
	return true;
}

double
bj_numeric_double(Datum datum)
{
	Decimal		a;
	double		x;

	if (bj_numeric_read(datum, &a) == BJ_OK && double_of(a, &x))
		return x;
	return DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow, datum));
}

double
bj_decimal_double(Decimal a)
{
	double		x;

	if (double_of(a, &x))
		return x;
	return bj_numeric_double(bj_numeric_make(a, 0));
}
