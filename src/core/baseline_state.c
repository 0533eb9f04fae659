/*
 * baseline_state.c
 *	  A baseline as bytes, and bytes judged before they are believed.
 */
#include "core/baseline_internal.h"

#define MAGIC 0x6C62			/* "bl" */
#define INCIDENT_MAGIC 0x6E69	/* "in" */
#define VERSION 1

_Static_assert(BJ_BASELINE_SIZE <= BJ_BASELINE_MAX_SIZE, "a baseline is too wide");
_Static_assert(BJ_INCIDENT_SIZE <= BJ_INCIDENT_MAX_SIZE, "an incident is too wide");

/* Half a byte at a time: the server brings a faster one. */
uint32_t
bj_crc32c(const void *data, size_t size)
{
	static const uint32_t table[16] = {
		0x00000000, 0x105EC76F, 0x20BD8EDE, 0x30E349B1,
		0x417B1DBC, 0x5125DAD3, 0x61C69362, 0x7198540D,
		0x82F63B78, 0x92A8FC17, 0xA24BB5A6, 0xB21572C9,
		0xC38D26C4, 0xD3D3E1AB, 0xE330A81A, 0xF36E6F75
	};
	const uint8_t *at = data;
	uint32_t	crc = 0xFFFFFFFF;

	for (size_t i = 0; i < size; i++)
	{
		crc ^= at[i];
		crc = crc >> 4 ^ table[crc & 15];
		crc = crc >> 4 ^ table[crc & 15];
	}
	return ~crc;
}

/*
 * The fields of the struct by their order: for machines of the other byte
 * order, and to know which of them are reals.  bj_layout_size() must be the
 * size of the struct; a unit test says so.
 */
typedef enum FieldKind
{
	FIELD_INTEGER,
	FIELD_REAL
} FieldKind;

typedef struct FieldRun
{
	uint8_t		width;
	uint8_t		kind;
	uint16_t	count;
} FieldRun;

#define SLOTS (24 + 48 + 168)

static const FieldRun layout[] = {
	/* the head, first_at .. reserved */
	{8, FIELD_INTEGER, 3}, {8, FIELD_REAL, 2}, {4, FIELD_INTEGER, 4},
	{4, FIELD_REAL, 6}, {2, FIELD_INTEGER, BJ_FINGERPRINTS + 10},
	{1, FIELD_INTEGER, BJ_FINGERPRINTS + 4},
	/* observed_at .. filler */
	{8, FIELD_INTEGER, 4}, {8, FIELD_REAL, 1}, {4, FIELD_INTEGER, 3},
	{4, FIELD_REAL, 27}, {4, FIELD_INTEGER, 1}, {2, FIELD_INTEGER, 2},
	{1, FIELD_INTEGER, 2}, {2, FIELD_INTEGER, 1},
	/* repeats .. visits */
	{4, FIELD_REAL, 10}, {2, FIELD_INTEGER, 2 + SLOTS}, {1, FIELD_INTEGER, 108},
};

static const FieldRun tail_layout[] = {
	{4, FIELD_REAL, 1}, {2, FIELD_INTEGER, 1}, {1, FIELD_INTEGER, BJ_BINS},
};

#define RUNS(array) (int) (sizeof(array) / sizeof(array[0]))

static size_t
size_of_runs(const FieldRun *runs, int count)
{
	size_t		size = 0;

	for (int i = 0; i < count; i++)
		size += (size_t) runs[i].width * runs[i].count;
	return size;
}

size_t
bj_layout_size(void)
{
	return size_of_runs(layout, RUNS(layout)) +
		BJ_CHANNELS * size_of_runs(tail_layout, RUNS(tail_layout));
}

/* Little-endian bytes and the machine's own, which is its own inverse. */
static void
turn_fields(const FieldRun *runs, int count, uint8_t *at)
{
	for (int i = 0; i < count; i++)
		for (int k = 0; k < runs[i].count; k++, at += runs[i].width)
			for (int byte = 0; byte < runs[i].width / 2; byte++)
			{
				uint8_t		swapped = at[byte];

				at[byte] = at[runs[i].width - 1 - byte];
				at[runs[i].width - 1 - byte] = swapped;
			}
}

static void
turn(uint8_t *bytes)
{
	static const uint16_t one = 1;
	uint8_t		first;

	memcpy(&first, &one, 1);
	if (first == 1)
		return;
	turn_fields(layout, RUNS(layout), bytes);
	for (int i = 0; i < BJ_CHANNELS; i++)
		turn_fields(tail_layout, RUNS(tail_layout),
					bytes + offsetof(BjBaseline, tails) + (size_t) i * sizeof(BjTail));
}

/* Finite, and no larger than keep() lets through where it is a float. */
static bool
are_reals_sound(const FieldRun *runs, int count, const uint8_t *at)
{
	for (int i = 0; i < count; i++)
	{
		if (runs[i].kind == FIELD_INTEGER)
		{
			at += (size_t) runs[i].width * runs[i].count;
			continue;
		}
		for (int k = 0; k < runs[i].count; k++, at += runs[i].width)
		{
			float		single;
			double		x;

			if (runs[i].width == sizeof(x))
				memcpy(&x, at, sizeof(x));
			else
			{
				memcpy(&single, at, sizeof(single));
				x = single;
				if (!(size_of(x) <= 1.01e30))
					return false;
			}
			if (!(x - x == 0))
				return false;
		}
	}
	return true;
}

/* Could our own functions have made it? */
static bool
is_sound(const BjBaseline *b)
{
	if ((b->flags & ~BJ_FLAGS_KNOWN) != 0 ||
		b->exponent < -900 || b->exponent > 900 ||
		b->fingerprint_at >= BJ_FINGERPRINTS ||
		b->scale < 0 || b->slow_scale < 0 || b->log_scale < 0 ||
		b->regular < 0 || b->regular > 1.001 ||
		b->spacing < 0 || b->spacing > 64 || b->pace < 0 ||
		b->zeros < 0 || b->zeros > 1.001 || b->pattern < 0 ||
		b->cusum[0] < 0 || b->cusum[1] < 0)
		return false;
	if (b->rows > 0 && b->last_at < b->first_at)
		return false;
	for (int i = 0; i < 5; i++)
		if (b->errors[i] < 0)
			return false;
	for (int i = 0; i < BJ_CHANNELS; i++)
		if (size_of(b->tails[i].largest) > 400 ||
			b->tails[i].top < -1000 || b->tails[i].top > 1000)
			return false;
	/* Times: within what a timestamp can be, so that sums do not overflow. */
	return size_of((double) b->first_at) < 4e18 && size_of((double) b->last_at) < 4e18 &&
		size_of((double) b->bucket_at) < 4e18 && size_of((double) b->observed_at) < 4e18 &&
		size_of((double) b->alert_at) < 4e18 && size_of((double) b->incident_at) < 4e18;
}

static void
put(uint8_t *bytes, int width, uint64_t x)
{
	for (int i = 0; i < width; i++)
		bytes[i] = (uint8_t) (x >> (8 * i));
}

static uint64_t
get(const uint8_t *bytes, int width)
{
	uint64_t	x = 0;

	for (int i = 0; i < width; i++)
		x |= (uint64_t) bytes[i] << (8 * i);
	return x;
}

/* What stands before the fields: size is of all bytes. */
static void
put_header(uint8_t *bytes, uint64_t magic, size_t size, BjCrc crc)
{
	memset(bytes, 0, BJ_STATE_HEADER);
	put(bytes, 2, magic);
	put(bytes + 2, 1, VERSION);
	put(bytes + 4, 2, size);
	put(bytes + 8, 4, (crc != NULL ? crc : bj_crc32c) (bytes + BJ_STATE_HEADER, size - BJ_STATE_HEADER));
}

static bool
is_header_sound(const uint8_t *bytes, uint64_t magic, size_t size, BjCrc crc)
{
	return get(bytes, 2) == magic && get(bytes + 2, 2) == VERSION &&
		get(bytes + 4, 4) == size && get(bytes + 12, 4) == 0 &&
		get(bytes + 8, 4) == (crc != NULL ? crc : bj_crc32c) (bytes + BJ_STATE_HEADER, size - BJ_STATE_HEADER);
}

void
bj_baseline_encode(const BjBaseline *baseline, BjCrc crc, uint8_t *bytes)
{
	memcpy(bytes + BJ_STATE_HEADER, baseline, sizeof(*baseline));
	turn(bytes + BJ_STATE_HEADER);
	put_header(bytes, MAGIC, BJ_BASELINE_SIZE, crc);
}

/* The fields of a baseline, its bytes checked against damage already. */
static BjStatus
decode_fields(const uint8_t *bytes, BjBaseline *baseline)
{
	BjBaseline	found;
	uint8_t		native[sizeof(BjBaseline)];

	memcpy(native, bytes, sizeof(native));
	turn(native);
	if (!are_reals_sound(layout, RUNS(layout), native))
		return BJ_BAD_STATE;
	for (int i = 0; i < BJ_CHANNELS; i++)
		if (!are_reals_sound(tail_layout, RUNS(tail_layout),
							 native + offsetof(BjBaseline, tails) + (size_t) i * sizeof(BjTail)))
			return BJ_BAD_STATE;
	memcpy(&found, native, sizeof(found));
	if (!is_sound(&found))
		return BJ_BAD_STATE;
	*baseline = found;
	return BJ_OK;
}

BjStatus
bj_baseline_decode(const uint8_t *bytes, size_t size, BjCrc crc,
				   BjBaseline *baseline)
{
	if (size != (size_t) BJ_BASELINE_SIZE ||
		!is_header_sound(bytes, MAGIC, size, crc))
		return BJ_BAD_STATE;
	return decode_fields(bytes + BJ_STATE_HEADER, baseline);
}

/* An incident's own fields, as 64-bit words. */
#define INCIDENT_WORDS 14

_Static_assert(BJ_STATE_HEADER + 8 * INCIDENT_WORDS + sizeof(BjBaseline) ==
			   BJ_INCIDENT_SIZE, "an incident is its words and a baseline");

static void
put_double(uint8_t *bytes, double x)
{
	uint64_t	bits;

	memcpy(&bits, &x, sizeof(bits));
	put(bytes, 8, bits);
}

/* False when it is not finite. */
static bool
get_double(const uint8_t *bytes, double *x)
{
	uint64_t	bits = get(bytes, 8);

	memcpy(x, &bits, sizeof(bits));
	return *x - *x == 0;
}

void
bj_incident_encode(const BjIncident *incident, BjCrc crc, uint8_t *bytes)
{
	uint8_t    *at = bytes + BJ_STATE_HEADER;
	const double reals[] = {
		incident->peak, incident->notified, incident->peak_observed,
		incident->peak_expected, incident->peak_magnitude, incident->excess,
		incident->log_ratio_sum, incident->log_ratio_squares
	};

	put(at, 8, (uint64_t) incident->open);
	put(at + 8, 8, (uint64_t) incident->reason << 32 | (uint32_t) incident->channel);
	put(at + 16, 8, (uint64_t) incident->opened_at);
	put(at + 24, 8, (uint64_t) incident->last_abnormal_at);
	put(at + 32, 8, (uint64_t) incident->rows << 32 | (uint32_t) incident->log_ratios);
	put(at + 40, 8, 0);
	for (int i = 0; i < 8; i++)
		put_double(at + 48 + 8 * i, reals[i]);
	memcpy(at + 8 * INCIDENT_WORDS, &incident->trusted, sizeof(BjBaseline));
	turn(at + 8 * INCIDENT_WORDS);
	put_header(bytes, INCIDENT_MAGIC, BJ_INCIDENT_SIZE, crc);
}

BjStatus
bj_incident_decode(const uint8_t *bytes, size_t size, BjCrc crc,
				   BjIncident *incident)
{
	const uint8_t *at = bytes + BJ_STATE_HEADER;
	BjIncident	found;
	double	   *reals[] = {
		&found.peak, &found.notified, &found.peak_observed,
		&found.peak_expected, &found.peak_magnitude, &found.excess,
		&found.log_ratio_sum, &found.log_ratio_squares
	};

	if (size != (size_t) BJ_INCIDENT_SIZE ||
		!is_header_sound(bytes, INCIDENT_MAGIC, size, crc))
		return BJ_BAD_STATE;
	memset(&found, 0, sizeof(found));
	found.open = get(at, 8) == 1;
	found.reason = (BjReason) get(at + 12, 4);
	found.channel = (int32_t) get(at + 8, 4);
	found.opened_at = (int64_t) get(at + 16, 8);
	found.last_abnormal_at = (int64_t) get(at + 24, 8);
	found.rows = (int32_t) get(at + 36, 4);
	found.log_ratios = (int32_t) get(at + 32, 4);
	if (get(at, 8) > 1 || found.reason >= BJ_REASON_COUNT ||
		found.channel < 0 || found.channel >= CH_ALL ||
		found.rows < 0 || found.log_ratios < 0 || get(at + 40, 8) != 0 ||
		size_of((double) found.opened_at) >= 4e18 ||
		size_of((double) found.last_abnormal_at) >= 4e18)
		return BJ_BAD_STATE;
	for (int i = 0; i < 8; i++)
		if (!get_double(at + 48 + 8 * i, reals[i]))
			return BJ_BAD_STATE;
	if (decode_fields(at + 8 * INCIDENT_WORDS, &found.trusted) != BJ_OK)
		return BJ_BAD_STATE;
	*incident = found;
	return BJ_OK;
}
