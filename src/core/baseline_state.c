/*
 * baseline_state.c
 *	  A baseline as bytes, and bytes judged before they are believed.
 */
#include "core/baseline_internal.h"

#define MAGIC 0x6C62			/* "bl" */
#define INCIDENT_MAGIC 0x6E69	/* "in" */
#define VERSION 4

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
 * The fields of the struct by their order, for machines of the other byte
 * order.  bj_layout_size() must be the size of the struct; a unit test says so.
 */
typedef struct FieldRun
{
	uint8_t		width;
	uint16_t	count;
} FieldRun;

#define SLOTS (24 + 48 + 168)

static const FieldRun head_layout[] = {
	/* first_at .. flags, spacing .. sizes, late_day .. reset_day */
	{8, 5}, {4, 4}, {4, 11}, {2, BJ_FINGERPRINTS + 6}, {1, BJ_FINGERPRINTS + 8},
};

static const FieldRun layout[] = {
	/* observed_at .. filler */
	{8, 5}, {4, 2 + 25 + 1}, {2, 2}, {1, 4},
	/* repeats .. visits */
	{4, 9}, {2, 2 + SLOTS}, {1, 108},
};

static const FieldRun tail_layout[] = {
	{4, 1}, {2, 2}, {1, BJ_BINS},
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
	return size_of_runs(head_layout, RUNS(head_layout)) + size_of_runs(layout, RUNS(layout)) +
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

static bool
is_little_endian(void)
{
	static const uint16_t one = 1;
	uint8_t		first;

	memcpy(&first, &one, 1);
	return first == 1;
}

static void
turn_head(uint8_t *bytes)
{
	if (!is_little_endian())
		turn_fields(head_layout, RUNS(head_layout), bytes);
}

static void
turn(uint8_t *bytes)
{
	if (is_little_endian())
		return;
	turn_head(bytes);
	turn_fields(layout, RUNS(layout), bytes + BJ_HEAD_SIZE);
	for (int i = 0; i < BJ_CHANNELS; i++)
		turn_fields(tail_layout, RUNS(tail_layout),
					bytes + offsetof(BjBaseline, tails) + (size_t) i * sizeof(BjTail));
}

/* Finite, and no larger than keep() lets through.  A loop without a branch. */
static bool
are_floats_sound(const float *floats, int count)
{
	const uint32_t most = 0x7149F500;	/* a little above 1e30 */
	int			bad = 0;

	for (int i = 0; i < count; i++)
	{
		uint32_t	bits;

		memcpy(&bits, &floats[i], sizeof(bits));
		bad |= (int32_t) (bits & 0x7FFFFFFF) > (int32_t) most;
	}
	return bad == 0;
}

/* A time within what a timestamp can be, so that sums do not overflow. */
static bool
is_time(int64_t at)
{
	return at > -TIME_MAX && at < TIME_MAX;
}

/* As is_sound(), of the head. */
static bool
is_head_sound(const BjBaseline *b)
{
	return (b->flags & ~BJ_FLAGS_KNOWN) == 0 &&
		b->exponent >= -900 && b->exponent <= 900 &&
		b->fingerprint_at < BJ_FINGERPRINTS &&
		are_floats_sound(&b->spacing, 11) &&
		b->bucket_sum - b->bucket_sum == 0 && b->last_value - b->last_value == 0 &&
		b->regular >= 0 && b->regular <= 1.001f &&
		b->spacing >= 0 && b->spacing <= 64 && b->pace >= 0 &&
		(b->rows == 0 || b->last_at >= b->first_at) &&
		is_time(b->first_at) && is_time(b->last_at) && is_time(b->bucket_at);
}

/* Could our own functions have made it? */
static bool
is_sound(const BjBaseline *b)
{
	bool		sound = is_head_sound(b) && b->run_value - b->run_value == 0 &&
		are_floats_sound(&b->alert_decades, 25) && are_floats_sound(&b->repeats, 9) &&
		b->scale >= 0 && b->slow_scale >= 0 && b->log_scale >= 0 &&
		b->zeros >= 0 && b->zeros <= 1.001f && b->pattern >= 0 &&
		b->cusum[0] >= 0 && b->cusum[1] >= 0;

	for (int i = 0; i < 5; i++)
		sound &= b->errors[i] >= 0;
	for (int i = 0; i < BJ_CHANNELS; i++)
		sound &= size_of(b->tails[i].largest) <= 400 &&
			b->tails[i].top >= -1000 && b->tails[i].top <= 1000;
	return sound && is_time(b->observed_at) && is_time(b->alert_at) && is_time(b->incident_at);
}

_Static_assert(offsetof(BjBaseline, sizes) == offsetof(BjBaseline, spacing) + 10 * sizeof(float) &&
			   offsetof(BjBaseline, day_number) == offsetof(BjBaseline, alert_decades) + 25 * sizeof(float) &&
			   offsetof(BjBaseline, runs_ended) == offsetof(BjBaseline, repeats) + 9 * sizeof(float),
			   "floats stand side by side as they are checked");

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

static uint32_t
checksum(BjCrc crc, const uint8_t *bytes, int32_t size)
{
	return (crc != NULL ? crc : bj_crc32c) (bytes, (size_t) size - 4);
}

static uint64_t
header_of(uint64_t magic, int32_t size)
{
	return magic | VERSION << 16 | (uint64_t) size << 32;
}

/* What stands before the fields and behind them: size is of all bytes. */
static void
seal(uint8_t *bytes, uint64_t magic, int32_t size, BjCrc crc)
{
	put(bytes, 8, header_of(magic, size));
	put(bytes + size - 4, 4, checksum(crc, bytes, size));
}

static bool
is_sealed(const uint8_t *bytes, uint64_t magic, int32_t size, BjCrc crc)
{
	return get(bytes, 8) == header_of(magic, size) &&
		get(bytes + size - 4, 4) == checksum(crc, bytes, size);
}

/* The fields of an incident's baseline, its bytes checked against damage already. */
static BjStatus
decode_fields(const uint8_t *bytes, BjBaseline *baseline)
{
	BjBaseline	found;

	memcpy(&found, bytes, sizeof(found));
	turn((uint8_t *) &found);
	if (!is_sound(&found))
		return BJ_BAD_STATE;
	*baseline = found;
	return BJ_OK;
}

/*
 * A baseline, and its head by itself, for tables whose rows are rewritten with
 * each observation and with each usage row.  The server logs what lies between
 * the first and the last byte that changed: so what seldom changes stands first,
 * what always does at the end.  Of arrays that are written in turn a block is at
 * the end too, the one that is written at present; when the next one is, they
 * change places.
 *
 * The head has a header of BUCKET_HEADER bytes.
 */
#define BUCKET_MAGIC 0x6F62		/* "bo" */
#define BUCKET_HEADER 8
#define BLOCK 8					/* places of an array */

_Static_assert(BJ_HEAD_SIZE == 312, "the pieces of a bucket's bytes are the head");
_Static_assert(sizeof(BjBaseline) == 1520, "the pieces of a baseline's bytes are all of it");

typedef enum Direction
{
	TO_BYTES,
	FROM_BYTES
} Direction;

/*
 * Copies fields and moves on.  Where size and direction are known a copy is an
 * instruction or two, else a call or a branch, and there are a hundred of them.
 */
#define KNOWN static inline __attribute__((always_inline))
#define MOVE_AT(offset, size) \
	do { \
		if (direction == TO_BYTES) \
			memcpy(bytes, (const uint8_t *) b + (offset), size); \
		else \
			memcpy((uint8_t *) b + (offset), bytes, size); \
		bytes += (size); \
	} while (0)
#define MOVE(first, size) MOVE_AT(offsetof(BjBaseline, first), size)
#define MOVE_BLOCK(array, i, size) MOVE_AT(offsetof(BjBaseline, array) + (size_t) (i) * (size), size)

KNOWN uint8_t *
move_prints(uint8_t *bytes, BjBaseline *b, int from, int to, Direction direction)
{
	for (int i = from; i < to; i++)
	{
		MOVE_BLOCK(fingerprints, i, 2 * BLOCK);
		MOVE_BLOCK(prints, i, BLOCK);
	}
	return bytes;
}

/* Slots and their visits, of which those of the day stand first. */
KNOWN uint8_t *
move_day(uint8_t *bytes, BjBaseline *b, int from, int to, Direction direction)
{
	MOVE_AT(offsetof(BjBaseline, day) + (size_t) from * 2 * BLOCK, (size_t) (to - from) * 2 * BLOCK);
	MOVE_AT(offsetof(BjBaseline, visits) + (size_t) from * BLOCK / 2, (size_t) (to - from) * BLOCK / 2);
	return bytes;
}

KNOWN uint8_t *
move_week(uint8_t *bytes, BjBaseline *b, int from, int to, Direction direction)
{
	MOVE_AT(offsetof(BjBaseline, week) + (size_t) from * 2 * BLOCK, (size_t) (to - from) * 2 * BLOCK);
	MOVE_AT(offsetof(BjBaseline, visits) + (size_t) (48 / BLOCK + from) * BLOCK / 2, (size_t) (to - from) * BLOCK / 2);
	return bytes;
}

KNOWN uint8_t *
move_hours(uint8_t *bytes, BjBaseline *b, int from, int to, Direction direction)
{
	for (int i = from; i < to; i++)
		MOVE_BLOCK(hours, i, 2 * BLOCK);
	return bytes;
}

/* The blocks of an array of `count` places, but for the newest one. */
#define MOVE_OTHERS(array, newest, count) \
	(bytes = move_##array(bytes, b, 0, newest, direction), \
	 bytes = move_##array(bytes, b, (newest) + 1, (count) / BLOCK, direction))
#define MOVE_NEWEST(array, newest) \
	bytes = move_##array(bytes, b, newest, (newest) + 1, direction)

/* The head's fields, little-endian, but for fingerprint_at. */
KNOWN void
move_head(uint8_t *bytes, BjBaseline *b, int newest, Direction direction)
{
	MOVE(first_at, 8);
	MOVE(bucket_at, 8);
	MOVE(negatives, 8);			/* and flags */
	MOVE(price, 4);
	MOVE(limit, 4);
	MOVE(late_day, 10);			/* .. exponent */
	MOVE(price_rows, 4);		/* .. mode_votes */
	MOVE(reset_day, 1);
	MOVE_OTHERS(prints, newest, BJ_FINGERPRINTS);
	MOVE_NEWEST(prints, newest);
	MOVE(last_at, 8);
	MOVE(bucket_sum, 16);		/* and last_value */
	MOVE(rows, 8);				/* and bucket_rows */
	MOVE(spacing, 12);			/* regular, pace */
	MOVE(today_turn, 8);
	MOVE(size_mean, 16);		/* rise, fall, sizes */
	MOVE(size_scale, 2);
	MOVE(repeat_lag, 2);		/* and repeat_run */
}

/* All fields likewise, but for fingerprint_at and observed_at. */
KNOWN void
move_all(uint8_t *bytes, BjBaseline *b, int fingerprint_at, int64_t observed_at, Direction direction)
{
	int			print = fingerprint_at / BLOCK;
	int			day = slot_of(observed_at, BJ_HOUR / 2, 48) / BLOCK;
	int			week = slot_of(observed_at, BJ_HOUR, 168) / BLOCK;
	int			hour = slot_of(observed_at, BJ_HOUR, 24) / BLOCK;

	MOVE(first_at, 8);
	MOVE(negatives, 8);			/* and flags */
	MOVE(price, 4);
	MOVE(late_day, 10);			/* .. exponent */
	MOVE(price_rows, 4);		/* .. mode_votes */
	MOVE(reset_day, 1);
	MOVE(alert_at, 16);			/* and incident_at */
	MOVE(run, 4);
	MOVE(alert_decades, 4);
	MOVE(daily_bias, 22);		/* .. days */
	MOVE(hour_count, 4);		/* .. filler */
	MOVE(zone_evidence, 8);		/* and zone_usual */
	MOVE(largest, 4);
	MOVE_OTHERS(week, week, 168);
	MOVE_OTHERS(day, day, 48);
	MOVE_OTHERS(hours, hour, 24);
	MOVE_OTHERS(prints, print, BJ_FINGERPRINTS);
	/* the first channels count most often */
	for (int i = BJ_CHANNELS - 1; i >= 0; i--)
		MOVE(tails[i].top, 4 + BJ_BINS);	/* beyond, bins */
	MOVE_NEWEST(week, week);
	MOVE_NEWEST(day, day);
	MOVE_NEWEST(hours, hour);
	MOVE_NEWEST(prints, print);
	MOVE(last_at, 32);			/* .. last_value */
	MOVE(rows, 8);				/* and bucket_rows */
	MOVE(spacing, 12);			/* regular, pace */
	MOVE(today_turn, 28);		/* .. sizes */
	MOVE(size_scale, 2);
	MOVE(repeat_lag, 2);		/* and repeat_run */
	MOVE(signs, 16);			/* and run_value */
	MOVE(observations, 4);
	MOVE(fast, 80);				/* .. today_logs */
	MOVE(today_count, 2);
	MOVE(repeats, 4);
	MOVE(usual_turn, 8);
	MOVE(today_rows, 12);		/* zeros, abs_level */
	MOVE(runs_ended, 4);		/* and nonzero */
	for (int i = 0; i < BJ_CHANNELS; i++)
		MOVE(tails[i].largest, 4);
}

void
bj_baseline_encode(const BjBaseline *baseline, BjCrc crc, uint8_t *bytes)
{
	BjBaseline	all = *baseline;
	uint8_t    *end = bytes + BJ_BASELINE_SIZE - 4;

	turn((uint8_t *) &all);
	memset(bytes, 0, BJ_STATE_HEADER);
	move_all(bytes + BJ_STATE_HEADER, &all, baseline->fingerprint_at, baseline->observed_at, TO_BYTES);
	put(end - 9, 8, (uint64_t) baseline->observed_at);
	end[-1] = baseline->fingerprint_at;
	seal(bytes, MAGIC, BJ_BASELINE_SIZE, crc);
}

BjStatus
bj_baseline_decode(const uint8_t *bytes, size_t size, BjCrc crc,
				   BjBaseline *baseline)
{
	uint8_t		copy[BJ_BASELINE_SIZE];
	uint8_t    *end = copy + BJ_BASELINE_SIZE - 4;
	int64_t		observed_at;
	BjBaseline	found;

	if (size != (size_t) BJ_BASELINE_SIZE)
		return BJ_BAD_STATE;
	memcpy(copy, bytes, sizeof(copy));
	observed_at = (int64_t) get(end - 9, 8);
	if (!is_sealed(copy, MAGIC, BJ_BASELINE_SIZE, crc) || get(copy + 8, 4) != 0 ||
		end[-1] >= BJ_FINGERPRINTS || !is_time(observed_at))
		return BJ_BAD_STATE;
	move_all(copy + BJ_STATE_HEADER, &found, end[-1], observed_at, FROM_BYTES);
	turn((uint8_t *) &found);
	found.fingerprint_at = end[-1];
	found.observed_at = observed_at;
	if (!is_sound(&found))
		return BJ_BAD_STATE;
	*baseline = found;
	return BJ_OK;
}

void
bj_bucket_encode(const BjBaseline *baseline, BjCrc crc, uint8_t *bytes)
{
	BjBaseline	head;
	uint8_t    *end = bytes + BJ_BUCKET_SIZE - 4;

	memcpy(&head, baseline, BJ_HEAD_SIZE);
	turn_head((uint8_t *) &head);
	move_head(bytes + BUCKET_HEADER, &head, baseline->fingerprint_at / BLOCK, TO_BYTES);
	end[-1] = baseline->fingerprint_at;
	seal(bytes, BUCKET_MAGIC, BJ_BUCKET_SIZE, crc);
}

BjStatus
bj_bucket_decode(const uint8_t *bytes, size_t size, BjCrc crc, BjBaseline *baseline)
{
	uint8_t		copy[BJ_BUCKET_SIZE];
	uint8_t    *end = copy + BJ_BUCKET_SIZE - 4;
	BjBaseline	head;

	if (size != (size_t) BJ_BUCKET_SIZE)
		return BJ_BAD_STATE;
	memcpy(copy, bytes, size);
	if (!is_sealed(copy, BUCKET_MAGIC, BJ_BUCKET_SIZE, crc) || end[-1] >= BJ_FINGERPRINTS)
		return BJ_BAD_STATE;
	move_head(copy + BUCKET_HEADER, &head, end[-1] / BLOCK, FROM_BYTES);
	head.fingerprint_at = end[-1];
	turn_head((uint8_t *) &head);
	if (!is_head_sound(&head))
		return BJ_BAD_STATE;
	memcpy(baseline, &head, BJ_HEAD_SIZE);
	return BJ_OK;
}

/* An incident's own fields, as 64-bit words. */
#define INCIDENT_WORDS 14

_Static_assert(BJ_STATE_HEADER + 8 * INCIDENT_WORDS + sizeof(BjBaseline) + 4 ==
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

	put(bytes + 8, 4, 0);
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
	seal(bytes, INCIDENT_MAGIC, BJ_INCIDENT_SIZE, crc);
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
		!is_sealed(bytes, INCIDENT_MAGIC, BJ_INCIDENT_SIZE, crc) || get(bytes + 8, 4) != 0)
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
