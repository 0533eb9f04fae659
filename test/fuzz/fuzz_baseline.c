/*
 * fuzz_baseline.c
 *	  Any bytes as a state are judged; any series has scores in [0, 1], and the
 *	  same ones with the same bytes when the state is stored between its rows.
 */
#include "core/baseline.h"
#include "bytes.h"

static void
check_bytes(const uint8_t *data, size_t size)
{
	static uint8_t bytes[BJ_INCIDENT_MAX_SIZE];
	BjStream	stream;
	BjBaseline	before;
	BjDetect	detect = bj_detect_defaults();
	BjJudgement judgement;

	bj_stream_init(&stream);
	before = stream.baseline;
	if (bj_baseline_decode(data, size, NULL, &stream.baseline) != BJ_OK)
		must(memcmp(&before, &stream.baseline, sizeof(before)) == 0);
	must(bj_incident_decode(data, size, NULL, &stream.incident) != BJ_OK || size > 0);
	must(bj_bucket_decode(data, size, NULL, &before) != BJ_OK || size == (size_t) BJ_BUCKET_SIZE);
	bj_stream_init(&stream);
	before = stream.baseline;

	/* the fuzzer's bytes behind a sound header and checksum */
	bj_baseline_encode(&before, NULL, bytes);
	for (size_t i = 0; i < size && i < sizeof(BjBaseline); i++)
		bytes[BJ_STATE_HEADER + i] = data[i];
	for (int i = 0; i < 4; i++)
		bytes[BJ_BASELINE_SIZE - 4 + i] = (uint8_t) (bj_crc32c(bytes, BJ_BASELINE_SIZE - 4) >> 8 * i);
	if (bj_baseline_decode(bytes, BJ_BASELINE_SIZE, NULL, &stream.baseline) != BJ_OK)
		return;
	stream.incident.open = false;
	for (int i = 0; i < 30; i++)
	{
		BjRow		row = {.at = stream.baseline.last_at + i * INT64_C(1800000000),.quantity = i};

		bj_stream_observe(&stream, &detect, &row, &judgement);
		must(judgement.score >= 0 && judgement.score <= 1);
	}
}

/* A quantity of any size and shape, often one that was there before. */
static double
take_quantity(Bytes * bytes, double last)
{
	uint64_t	bits;
	double		x;

	switch (take_byte(bytes) % 8)
	{
		case 0:
			bits = take_64(bytes);
			memcpy(&x, &bits, sizeof(x));
			return x;
		case 1:
			return last;
		case 2:
			return 0;
		case 3:
			return -take_int(bytes, 0, 1000);
		default:
			return 1000 + take_int(bytes, -100, 100);
	}
}

static int64_t
take_step(Bytes * bytes)
{
	switch (take_byte(bytes) % 16)
	{
		case 0:
			return (int64_t) take_64(bytes);
		case 1:
			return -take_int(bytes, 0, 65535) * INT64_C(1000000);
		case 2:
			return 0;
		case 3:
			return take_int(bytes, 0, 65535) * INT64_C(1000000000);
		case 4:
			return take_int(bytes, 0, 65535) * INT64_C(1000000);
		default:
			return INT64_C(3600000000);
	}
}

/* Store and fetch, as between two transactions. */
static void
store_and_fetch(BjStream *stream)
{
	uint8_t		bytes[BJ_INCIDENT_MAX_SIZE];
	BjStream	fetched;

	bj_stream_init(&fetched);
	bj_baseline_encode(&stream->baseline, NULL, bytes);
	must(bj_baseline_decode(bytes, BJ_BASELINE_SIZE, NULL, &fetched.baseline) == BJ_OK);
	must(bj_baseline_has_incident(&fetched.baseline) == stream->incident.open);
	if (stream->incident.open)
	{
		bj_incident_encode(&stream->incident, NULL, bytes);
		must(bj_incident_decode(bytes, BJ_INCIDENT_SIZE, NULL, &fetched.incident) == BJ_OK);
	}
	*stream = fetched;
}

static void
check_series(Bytes * bytes)
{
	static BjStream a,
				b;
	BjDetect	detect = bj_detect_defaults();
	BjRow		row = {0};
	uint8_t		a_bytes[BJ_BASELINE_MAX_SIZE];
	uint8_t		b_bytes[BJ_BASELINE_MAX_SIZE];
	int			rows = take_int(bytes, 1, 150);

	detect.cumulative = (take_byte(bytes) & 7) == 0;
	bj_stream_init(&a);
	bj_stream_init(&b);
	row.at = (int64_t) (take_64(bytes) >> 12);
	for (int i = 0; i < rows; i++)
	{
		BjJudgement one;
		BjJudgement other;

		row.at = (int64_t) ((uint64_t) row.at + (uint64_t) take_step(bytes));
		row.quantity = take_quantity(bytes, row.quantity);
		bj_stream_observe(&a, &detect, &row, &one);
		/* what is absorbed says nothing; all else is observed */
		memset(&other, 0, sizeof(other));
		if (!bj_stream_absorb(&b.baseline, &detect, &row))
			bj_stream_observe(&b, &detect, &row, &other);
		must(one.score >= 0 && one.score <= 1);
		must(one.reason >= 0 && one.reason < BJ_REASON_COUNT);
		must(memcmp(&one.score, &other.score, sizeof(one.score)) == 0);
		must(one.reason == other.reason && one.opened == other.opened &&
			 one.closed == other.closed);
		store_and_fetch(&b);
		bj_stream_due(&a, &detect, row.at, &one);
	}
	bj_baseline_encode(&a.baseline, NULL, a_bytes);
	bj_baseline_encode(&b.baseline, NULL, b_bytes);
	must(memcmp(a_bytes, b_bytes, BJ_BASELINE_SIZE) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Bytes		bytes = bytes_of(data, size);

	check_bytes(data, size);
	check_series(&bytes);
	return 0;
}
