/*
 * test_baseline.c
 *	  What a stream says of faults whose answer nobody doubts, what it keeps,
 *	  and that stored bytes are believed only when they are sound.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/baseline_internal.h"
#include "tap.h"

#define BEGIN INT64_C(1704067200000000) /* Monday, 1 January 2024 */

/* A seeded series: noise of a few per cent on a day with a night. */
static uint64_t seed;

static double
noise(void)
{
	seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (double) (seed >> 40) / (1 << 24) - 0.5;
}

static double
usual(int hour)
{
	double		day = hour % 24 >= 8 && hour % 24 < 18 ? 1 : 0.3;

	if (hour / 24 % 7 >= 5)
		day *= 0.5;
	return floor(1000 * day * (1 + 0.1 * noise()));
}

typedef enum Fault
{
	NOTHING, THOUSANDFOLD, ZEROS, STUCK, HALF, NEGATIVE_ROW, ZONE_SHIFT, TWICE_A_DAY
} Fault;

typedef struct Case
{
	const char *name;
	Fault		fault;
	int			begin;			/* hours */
	int			hours;
	BjReason	reason;			/* of the alert; NONE: no alert */
	double		unit;
} Case;

static const Case cases[] = {
	{"nothing happens", NOTHING, 0, 0, BJ_REASON_NONE, 0},
	{"counted in thousandths", THOUSANDFOLD, 1500, 5, BJ_REASON_UNIT, 1000},
	{"zeros by day", ZEROS, 1449, 6, BJ_REASON_OUTAGE, 0},
	{"the same value for two days", STUCK, 1450, 48, BJ_REASON_STUCK, 0},
	{"half of all is lost for days", HALF, 1440, 120, BJ_REASON_SHIFT_DOWN, 0},
	{"a negative row", NEGATIVE_ROW, 1460, 1, BJ_REASON_NEGATIVE, 0},
	{"the day is five hours late", ZONE_SHIFT, 1440, 96, BJ_REASON_ZONE, 0},
};

static double
faulty(const Case *c, int hour, double *stuck)
{
	double		x = usual(hour);

	if (hour < c->begin || hour >= c->begin + c->hours)
	{
		*stuck = x;
		return x;
	}
	switch (c->fault)
	{
		case THOUSANDFOLD:
			return x * 1000;
		case ZEROS:
			return 0;
		case STUCK:
			return *stuck;
		case HALF:
			return floor(x / 2);
		case NEGATIVE_ROW:
			return -x;
		case ZONE_SHIFT:
			return usual(hour + 19) * (hour / 24 % 7 >= 5 ? 1 : 1);
		default:
			return x;
	}
}

/* Alerts before the fault are false; one within it must name the reason. */
static void
check_case(const Case *c)
{
	static BjStream stream;
	BjDetect	detect = bj_detect_defaults();
	BjJudgement j;
	BjRow		row = {0};
	double		stuck = 0;
	double		unit = 0;
	int			early = 0;
	uint32_t	reasons = 0;

	seed = 1;
	bj_stream_init(&stream);
	for (int hour = 0; hour < 2000; hour++)
	{
		bool		alert;

		row.at = BEGIN + hour * BJ_HOUR;
		row.quantity = faulty(c, hour, &stuck);
		bj_stream_observe(&stream, &detect, &row, &j);
		alert = j.opened || j.escalated || j.rules != 0 || j.gap_closed;
		if (hour < 1440 && alert)
			early++;
		else if (c->fault == NOTHING && alert)
			early++;
		else if (hour >= c->begin && hour <= c->begin + c->hours && (alert || j.abnormal))
		{
			reasons |= 1u << j.reason;
			if (j.unit != 0)
				unit = j.unit;
		}
	}
	ok(early == 0, "%s: %d false alerts", c->name, early);
	if (c->reason != BJ_REASON_NONE && !ok((reasons & (1u << c->reason)) != 0, "%s: is called %s", c->name, bj_reason_name(c->reason)))
		printf("# reasons %x\n", reasons);
	if (c->unit != 0)
		ok(unit == c->unit, "%s: unit %g", c->name, unit);
}

/* Rows as a table: minutes after the begin, quantity, rules that must speak. */
static const struct
{
	const char *name;
	bool		cumulative;
	int			minutes;
	double		quantity;
	uint32_t	rules;
}			rows[] = {
	{"first", false, 0, 5, 0},
	{"next", false, 60, 6, 0},
	{"next", false, 65, 6, 0},
	{"the same row again", false, 60, 6, 1u << BJ_REASON_DUPLICATE},
	{"and again, on the same day", false, 60, 6, 1u << BJ_REASON_DUPLICATE},
	{"another at the same time", false, 65, 7, 0},
	{"the same value later is none", false, 120, 7, 0},
	{"a little late is no matter", false, 110, 9, 0},
	{"NaN", false, 180, NAN, 1u << BJ_REASON_INVALID},
	{"infinite", false, 180, INFINITY, 1u << BJ_REASON_INVALID},
	{"next", false, 180, 5, 0},
	{"next", false, 240, 5.5, 0},
	{"negative", false, 300, -5, 1u << BJ_REASON_NEGATIVE},
	{"late", false, 30, 5, 1u << BJ_REASON_LATE},
	{"counter", true, 60 * 24 * 10, 100, 0},
	{"counter", true, 60 * 24 * 10 + 60, 150, 0},
	{"counter falls", true, 60 * 24 * 10 + 120, 10, 1u << BJ_REASON_RESET},
	{"counter", true, 60 * 24 * 10 + 180, 4294967200.0, 0},
	{"counter wraps", true, 60 * 24 * 11 + 240, 90, 1u << BJ_REASON_WRAP},
	{"first of February", true, 60 * 24 * 31, 0, 0},
};

static void
check_rows(void)
{
	static BjStream stream;
	BjDetect	detect = bj_detect_defaults();
	BjJudgement j;

	for (int i = 0; i < (int) (sizeof(rows) / sizeof(rows[0])); i++)
	{
		BjRow		row = {.at = BEGIN + rows[i].minutes * (BJ_HOUR / 60),.quantity = rows[i].quantity};

		if (i == 0 || rows[i].cumulative != rows[i - 1].cumulative)
			bj_stream_init(&stream);
		detect.cumulative = rows[i].cumulative;
		bj_stream_observe(&stream, &detect, &row, &j);
		/* of the duplicates of a day the first alerts */
		ok(j.rules == rows[i].rules &&
		   (j.score > 0.5) == (j.rules != 0 &&
							   (j.rules != 1u << BJ_REASON_DUPLICATE || j.rules != rows[i - 1].rules)),
		   "row %d, %s: rules %x", i, rows[i].name, j.rules);
	}
}

/*
 * Several rows of one time: where that is usual, equal ones are no duplicates,
 * and all are learned; where it is not, they are.
 */
static void
check_ties(void)
{
	static BjStream stream;
	BjDetect	detect = bj_detect_defaults();
	BjJudgement j;
	int			told = 0;
	int			i;

	bj_stream_init(&stream);
	/* invoices of five lines, an hour apart */
	for (i = 0; i < 500; i++)
	{
		BjRow		row = {.at = BEGIN + i / 5 * BJ_HOUR,.quantity = 6 + i % 5 / 3};

		bj_stream_observe(&stream, &detect, &row, &j);
		told += j.rules != 0;
	}
	ok(told == 0 && bj_baseline_rows(&stream.baseline) == 500, "lines of invoices: %d told", told);

	bj_stream_init(&stream);
	for (i = 0; i < 100; i++)
	{
		BjRow		row = {.at = BEGIN + i * BJ_HOUR,.quantity = 6};

		bj_stream_observe(&stream, &detect, &row, &j);
	}
	for (i = 0; i < 3; i++)
	{
		BjRow		row = {.at = BEGIN + 99 * BJ_HOUR,.quantity = 6};

		bj_stream_observe(&stream, &detect, &row, &j);
		ok(j.rules == 1u << BJ_REASON_DUPLICATE && (j.score > 0.5) == (i == 0), "the last row again, %d", i);
	}
}

/* A cycle of so many rows is no run sent again, once it has come thrice. */
static void
check_cycle(int length)
{
	static BjStream stream;
	BjDetect	detect = bj_detect_defaults();
	BjJudgement j;
	int			told = 0;

	bj_stream_init(&stream);
	for (int i = 0; i < 25 * 24; i++)
	{
		BjRow		row = {.at = BEGIN + i * BJ_HOUR,.quantity = 100 + 7919 * i % length};

		bj_stream_observe(&stream, &detect, &row, &j);
		told += (j.rules & 1u << BJ_REASON_NEAR_DUPLICATE) != 0;
	}
	ok(told <= 2, "values in a cycle of %d rows: told of %d times", length, told);
}

/* Nor is what repeats itself day by day. */
static void
check_periodic(int64_t spacing)
{
	static BjStream stream;
	BjDetect	detect = bj_detect_defaults();
	BjJudgement j;
	int			told = 0;
	int			count = (int) (40 * 24 * BJ_HOUR / spacing);

	bj_stream_init(&stream);
	for (int i = 0; i < count; i++)
	{
		BjRow		row = {.at = BEGIN + i * spacing};
		int			of_day = i % (int) (24 * BJ_HOUR / spacing);

		row.quantity = 1000 + of_day * 7919 % 613 * 3;
		bj_stream_observe(&stream, &detect, &row, &j);
		told += j.rules != 0;
	}
	ok(told == 0, "rows each %d minutes that repeat themselves daily: told of %d times", (int) (spacing / (BJ_HOUR / 60)), told);
}

/* Growth of five per cent a day is a leak; a shifted day says by how much. */
static void
check_named(void)
{
	static BjStream stream;
	BjDetect	detect = bj_detect_defaults();
	BjJudgement j;
	bool		leak = false;
	int			lag = 0;
	double		longest = 0;

	seed = 11;
	bj_stream_init(&stream);
	for (int hour = 0; hour < 1680; hour++)
	{
		BjRow		row = {.at = BEGIN + hour * BJ_HOUR,.quantity = usual(hour) * exp((hour > 1200 ? hour - 1200 : 0) * 0.0016)};

		bj_stream_observe(&stream, &detect, &row, &j);
		leak |= hour > 1200 && j.reason == BJ_REASON_LEAK;
	}
	ok(leak, "growth day by day is named a leak");
	bj_stream_init(&stream);
	for (int hour = 0; hour < 1680; hour++)
	{
		BjRow		row = {.at = BEGIN + hour * BJ_HOUR,.quantity = usual(hour > 1200 ? hour - 5 : hour)};

		bj_stream_observe(&stream, &detect, &row, &j);
		if (j.reason == BJ_REASON_ZONE && lag == 0)
			lag = j.lag_hours;
	}
	ok(lag == 5, "a day that is late says by how many hours: %d", lag);
	bj_stream_init(&stream);
	for (int hour = 0; hour < 1680; hour++)
	{
		BjRow		row = {.at = BEGIN + hour * BJ_HOUR,.quantity = usual(hour > 1200 ? 1200 : hour)};

		if (hour > 0 && hour % 300 < 3 && hour < 1200)
			row.quantity = stream.baseline.last_value;
		if (hour > 1200)
			row.quantity = 777;
		bj_stream_observe(&stream, &detect, &row, &j);
		if (j.reason == BJ_REASON_STUCK && longest == 0)
			longest = j.longest;
	}
	ok(longest >= 2 && longest < 8, "a stuck value says how long the longest run before was: %g", longest);
}

/* A value that is stuck for the second time is found like the first. */
static void
check_stuck_again(void)
{
	static BjStream stream;
	BjDetect	detect = bj_detect_defaults();
	BjJudgement j;
	bool		told[2] = {false, false};

	seed = 13;
	bj_stream_init(&stream);
	for (int hour = 0; hour < 2200; hour++)
	{
		BjRow		row = {.at = BEGIN + hour * BJ_HOUR,.quantity = usual(hour)};

		if ((hour >= 1700 && hour < 1716) || (hour >= 2000 && hour < 2009))
			row.quantity = stream.baseline.last_value;
		bj_stream_observe(&stream, &detect, &row, &j);
		told[hour >= 2000] |= j.reason == BJ_REASON_STUCK;
	}
	ok(told[0] && told[1], "what is stuck again, and shorter, is found again");
}

/* Rows each five minutes: a slot's visits are days, not rows. */
static void
check_visits(void)
{
	static BjStream stream;
	BjDetect	detect = bj_detect_defaults();
	BjJudgement j;

	bj_stream_init(&stream);
	for (int i = 0; i < 2 * 288; i++)
	{
		BjRow		row = {.at = BEGIN + i * (BJ_HOUR / 12),.quantity = 100 + i % 7};

		bj_stream_observe(&stream, &detect, &row, &j);
	}
	ok((stream.baseline.visits[10] & 15) == 2 && stream.baseline.visits[10] >> 4 == 2,
	   "two days of dense rows are two visits of a half hour: %x", stream.baseline.visits[10]);
}

/* A fault is not learned, so that the same fault is found again. */
static void
check_again(void)
{
	static BjStream stream;
	BjDetect	detect = bj_detect_defaults();
	BjJudgement j;
	int			opened = 0;
	int			found = 0;
	int			passed = 0;
	int			new_normal = 0;

	seed = 7;
	bj_stream_init(&stream);
	for (int hour = 0; hour < 3500; hour++)
	{
		BjRow		row = {.at = BEGIN + hour * BJ_HOUR,.quantity = usual(hour)};

		if ((hour >= 1449 && hour < 1455) || (hour >= 1449 + 336 && hour < 1455 + 336))
			row.quantity *= 30;
		if (hour >= 2400)
			row.quantity *= 4;
		bj_stream_observe(&stream, &detect, &row, &j);
		opened += j.opened;
		passed += j.closed == BJ_OUTCOME_PASSED;
		new_normal += j.closed == BJ_OUTCOME_NEW_NORMAL;
		if (j.opened && (hour == 1449 || hour == 1449 + 336 || (hour >= 2400 && hour < 2412)))
			found++;
	}
	ok(found == 3, "each fault opens an incident when it begins: %d", found);
	/* one false alarm in 3,500 usual hours is what the shipped threshold allows */
	ok(opened <= 4, "and hardly anything else: %d", opened);
	ok(passed == opened - 1, "all but the last pass: %d of %d", passed, opened);
	ok(new_normal == 1, "one is the new normal: %d", new_normal);
}

/* What the server logs of an update: from the first to the last byte that differs. */
static int
span(const uint8_t *a, const uint8_t *b)
{
	int			first = 0;
	int			last = BJ_BASELINE_SIZE;

	while (first < last && a[first] == b[first])
		first++;
	while (first < last && a[last - 1] == b[last - 1])
		last--;
	return last - first;
}

/* The bytes: what is kept, and what is refused. */
static void
check_bytes(void)
{
	static BjStream stream;
	BjBaseline	back;
	BjDetect	detect = bj_detect_defaults();
	BjJudgement j;
	uint8_t		bytes[BJ_BASELINE_MAX_SIZE];
	uint8_t		again[BJ_BASELINE_MAX_SIZE];
	int			refused = 0;
	int			wrong = 0;
	int			changed = 0;

	ok(bj_layout_size() == sizeof(BjBaseline), "every field is in the layout");
	ok(BJ_BASELINE_SIZE <= 1536, "a state has %d bytes", BJ_BASELINE_SIZE);
	ok(bj_crc32c("123456789", 9) == 0xE3069283, "CRC-32C");
	seed = 3;
	bj_stream_init(&stream);
	for (int hour = 0; hour < 500; hour++)
	{
		BjRow		row = {.at = BEGIN + hour * BJ_HOUR,.quantity = usual(hour)};

		memcpy(again, bytes, BJ_BASELINE_SIZE);
		bj_stream_observe(&stream, &detect, &row, &j);
		bj_baseline_encode(&stream.baseline, NULL, bytes);
		wrong += bj_baseline_decode(bytes, BJ_BASELINE_SIZE, NULL, &back) != BJ_OK ||
			memcmp(&back, &stream.baseline, sizeof(back)) != 0;
		if (hour >= 300)
			changed += span(bytes, again);
	}
	ok(wrong == 0, "sound bytes are read as what they were");
	/* as they stand in the struct it would be 1,500; of an older stream it is 650 */
	ok(changed < 200 * 900, "%d of them lie between the first and the last that change", changed / 200);
	bj_baseline_encode(&back, NULL, again);
	ok(memcmp(bytes, again, BJ_BASELINE_SIZE) == 0, "and written the same");
	ok(bj_baseline_decode(bytes, BJ_BASELINE_SIZE - 1, NULL, &back) == BJ_BAD_STATE, "cut short");
	for (int i = 0; i < BJ_BASELINE_SIZE; i++)
	{
		bytes[i] ^= 0x10;
		refused += bj_baseline_decode(bytes, BJ_BASELINE_SIZE, NULL, &back) == BJ_BAD_STATE;
		bytes[i] ^= 0x10;
	}
	ok(refused == BJ_BASELINE_SIZE, "each flipped byte is seen: %d", refused);
	stream.baseline.scale = NAN;
	bj_baseline_encode(&stream.baseline, NULL, bytes);
	ok(bj_baseline_decode(bytes, BJ_BASELINE_SIZE, NULL, &back) == BJ_BAD_STATE, "NaN behind a right checksum");
}

/* Own logarithms against the library's. */
static void
check_logarithms(void)
{
	double		worst_log = 0;
	double		worst_exp = 0;

	for (double x = 1e-30; x < 1e30; x *= 1.01)
	{
		worst_log = fmax(worst_log, fabs(log2_of(x) - log2(x)));
		worst_exp = fmax(worst_exp, fabs(exp2_of(log2(x)) / x - 1));
	}
	ok(worst_log < 1e-4, "log2 is off by %g at most", worst_log);
	ok(worst_exp < 1e-5, "exp2 by %g", worst_exp);
}

/* Several at once have the bits of one at a time. */
static void
check_several(void)
{
	int			logs = 0;
	int			powers = 0;

	seed = 5;
	for (int i = 0; i < 100000; i++)
	{
		double		size = exp2(1800 * noise());
		double		y = i % 4 == 0 ? floor(40 * noise()) : i % 4 == 1 ? -1e-17 * noise() :
			nextafter(floor(1900 * noise()), 2000 * noise());
		double		several[4] = {size, 1 + size, 1, size / 3};
		double		alone[4];

		for (int k = 0; k < 4; k++)
			alone[k] = log2_of(several[k]);
		logs2_of(several, 4);
		logs += memcmp(several, alone, sizeof(alone)) != 0;
		several[0] = y;
		several[1] = -y;
		several[2] = y + 0.5;
		several[3] = i % 2 == 0 ? 0.0 : -0.0;
		for (int k = 0; k < 4; k++)
			alone[k] = exp2_of(several[k]);
		exps2_of(several, 4);
		powers += memcmp(several, alone, sizeof(alone)) != 0;
	}
	ok(logs == 0 && powers == 0, "several logarithms and powers at once are those of one at a time: %d and %d differ", logs, powers);
}

/* One who is new: a factor from one row on, and what is to be said of it. */
typedef struct YoungCase
{
	const char *name;
	double		size;			/* beside the others */
	int			from;
	int			until;
	double		factor;
	bool		told;
	int			again;			/* as many rows more from here on; 0: none */
} YoungCase;

static const YoungCase young_cases[] = {
	{"as the others", 5, 0, 0, 1, false, 0},
	{"thirty times smaller", 0.1, 0, 0, 1, false, 0},
	{"ten times larger", 50, 0, 0, 1, false, 0},
	{"a trial of six rows", 5, 0, 6, 0.01, false, 0},
	{"a thousand times too much from row 2 on", 5, 1, 8, 1000, true, 0},
	{"a thousand times too much from row 13 on", 5, 12, 14, 1000, true, 0},
	{"a thousand times too much on the second day", 5, 30, 32, 1000, true, 0},
	{"sixty times too much", 5, 6, 8, 60, true, 0},
	{"sixty times too much of a small one", 0.5, 6, 8, 60, false, 0},
	{"a hundred times too little", 5, 6, 8, 0.01, true, 0},
	{"a hundred times too little of a large one", 50, 6, 8, 0.01, false, 0},
	{"too much from the first row on", 5, 0, 40, 3600, true, 0},
	{"three zeros", 5, 6, 9, 0, true, 0},
	{"zeros before it begins", 5, 0, 9, 0, false, 0},
	{"one zero", 5, 6, 7, 0, false, 0},
	{"three zeros of one who had three before", 5, 1, 4, 0, false, 10},
	{"twenty times larger", 100, 0, 0, 1, false, 0},
	{"sixty times too much of a tiny one", 0.0025, 6, 8, 60, false, 0},
	{"a row 2 that is 45 times a large row 1", 10, 1, 2, 45, false, 0},
	{"sixty times too much of a large one", 40, 6, 8, 60, true, 0},
};

static void
check_young(const BjPeer *peer)
{
	static BjStream stream;
	static BjStream alone;
	BjDetect	detect = bj_detect_defaults();
	BjDetect	without = bj_detect_defaults();
	BjJudgement j;
	BjJudgement k;

	detect.peer = peer;
	for (size_t i = 0; i < sizeof(young_cases) / sizeof(young_cases[0]); i++)
	{
		const YoungCase *c = &young_cases[i];
		int			told = -1;
		int			wrong = 0;

		seed = 77;
		bj_stream_init(&stream);
		bj_stream_init(&alone);
		for (int hour = 0; hour < 40; hour++)
		{
			BjRow		row = {.at = BEGIN + hour * BJ_HOUR,.quantity = c->size * usual(hour)};

			row.quantity *= (hour >= c->from && hour < c->until) ||
				(c->again > 0 && hour >= c->again && hour < c->again + c->until - c->from) ? c->factor : 1;
			bj_stream_observe(&stream, &detect, &row, &j);
			bj_stream_observe(&alone, &without, &row, &k);
			if (j.opened && told < 0)
			{
				told = hour;
				wrong += j.reason != BJ_REASON_FIRST_ROW || !j.by_peers || (j.observed > j.expected) != (c->factor > 1) ||
					(j.observed >= j.lo && j.observed <= j.hi) || j.own_rows > hour ||
					(hour > 3 && (j.expected < 150 * c->size || j.expected > 600 * c->size));
			}
			wrong += k.opened || k.by_peers;
			/* of a stream that nothing is told of, peers leave no trace */
			if (told < 0)
				wrong += memcmp(&stream.baseline, &alone.baseline, sizeof(BjBaseline)) != 0;
		}
		ok((told >= 0) == c->told && (!c->told || (told >= c->from && told < c->until)), "%s: %d", c->name, told);
		ok(wrong == 0, "%s: said as it is", c->name);
	}
}

/* An incident of several rows an hour is bytes again that can be read. */
static void
check_incident_bytes(void)
{
	static BjStream stream;
	static BjIncident found;
	static uint8_t bytes[BJ_INCIDENT_SIZE];
	BjDetect	detect = bj_detect_defaults();
	BjJudgement j;
	int64_t		at = BEGIN;
	int			open = 0;
	int			wrong = 0;

	seed = 3;
	bj_stream_init(&stream);
	for (int i = 0; i < 1500; i++)
	{
		BjRow		row = {.at = at += (int64_t) (3e9 * (0.5 + noise())),.quantity = 10 * (0.6 + noise()) * (i > 150 && i % 300 < 20 ? 40 : 1)};

		bj_stream_observe(&stream, &detect, &row, &j);
		if (!stream.incident.open)
			continue;
		open++;
		bj_incident_encode(&stream.incident, NULL, bytes);
		wrong += bj_incident_decode(bytes, BJ_INCIDENT_SIZE, NULL, &found) != BJ_OK;
	}
	ok(open > 20 && wrong == 0, "an incident after each of its %d rows: %d cannot be read", open, wrong);
}

/* A new key beside nine others. */
static void
check_peers(void)
{
	static BjStream stream;
	static BjPeer peer;
	BjPeer		wide;
	BjDetect	detect = bj_detect_defaults();
	BjJudgement j;
	BjRow		row = {.at = BEGIN,.quantity = 900000};

	for (int account = 1; account < 10; account++)
	{
		seed = (uint64_t) account;
		bj_stream_init(&stream);
		for (int hour = 0; hour < 700; hour++)
		{
			BjRow		usual_row = {.at = BEGIN + hour * BJ_HOUR,.quantity = account * usual(hour)};

			bj_stream_observe(&stream, &detect, &usual_row, &j);
		}
		bj_peer_add(&peer, &stream.baseline);
	}
	bj_peer_finish(&peer);
	bj_stream_init(&stream);
	bj_stream_observe(&stream, &detect, &row, &j);
	ok(!j.opened, "without peers a first row is no surprise");
	detect.peer = &peer;
	bj_stream_init(&stream);
	bj_stream_observe(&stream, &detect, &row, &j);
	ok(j.opened && j.reason == BJ_REASON_FIRST_ROW, "beside peers it is: %s, %g", bj_reason_name(j.reason), j.score);
	ok(j.expected < row.quantity / 100 && j.hi < row.quantity / 10 && j.ratio > 100,
	   "what is expected of it is theirs: %g, at most %g", j.expected, j.hi);
	/* however large single rows of theirs have been */
	wide = peer;
	wide.largest += 10;
	detect.peer = &wide;
	bj_stream_init(&stream);
	bj_stream_observe(&stream, &detect, &row, &j);
	ok(j.opened && j.reason == BJ_REASON_FIRST_ROW, "and where they have outliers: %g", j.score);
	detect.peer = &peer;
	row.quantity = 4000;
	bj_stream_init(&stream);
	bj_stream_observe(&stream, &detect, &row, &j);
	ok(!j.opened, "one like theirs is none");
	check_young(&peer);
}

/*
 * A row that is absorbed leaves what observing it leaves, says nothing, and
 * needs no more than the head: the rest is poisoned here.
 */
static void
check_absorbed(double seconds, bool priced)
{
	static BjStream stream;
	static BjStream before;
	BjDetect	detect = bj_detect_defaults();
	BjJudgement j;
	BjBaseline	head;
	BjBaseline	kept;
	BjRow		row = {0};
	uint8_t		bytes[BJ_BUCKET_SIZE];
	int64_t		at = BEGIN;
	int			wrong = 0;
	int			absorbed = 0;

	seed = 5;
	bj_stream_init(&stream);
	for (int i = 0; i < 20000; i++)
	{
		at += (int64_t) (1e6 * seconds * -log(0.5001 + noise()));
		row.at = i % 23 == 0 ? at - (int64_t) (1e10 * (0.5 + noise())) : at;
		row.quantity = floor(10 * (0.5 + noise())) * (i % 5003 == 0 ? 5000 : 1) * (i % 997 == 0 ? -1 : 1);
		if (i % 101 == 0)
			row = (BjRow) {.at = stream.baseline.last_at,.quantity = stream.baseline.last_value};
		row.has_price = priced;
		row.unit_price = i / 3000 % 3 == 1 ? 0.3 : 0.25;
		bj_bucket_encode(&stream.baseline, NULL, bytes);
		memset(&head, 0xFF, sizeof(head));
		if (bj_bucket_decode(bytes, BJ_BUCKET_SIZE, NULL, &head) != BJ_OK ||
			memcmp(&head, &stream.baseline, BJ_HEAD_SIZE) != 0)
			wrong++;
		before = stream;
		bj_stream_observe(&stream, &detect, &row, &j);
		kept = head;
		if (!bj_stream_absorb(&head, &detect, &row))
		{
			wrong += memcmp(&head, &kept, sizeof(head)) != 0;
			continue;
		}
		absorbed++;
		wrong += j.score != 0 || j.rules != 0 || j.opened || j.abnormal || j.price_opened || j.price_closed ||
			memcmp(&head, &stream.baseline, BJ_HEAD_SIZE) != 0 ||
			memcmp((char *) &before.baseline + BJ_HEAD_SIZE, (char *) &stream.baseline + BJ_HEAD_SIZE,
				   sizeof(BjBaseline) - BJ_HEAD_SIZE) != 0 ||
			memcmp(&before.incident, &stream.incident, sizeof(BjIncident)) != 0;
	}
	ok(wrong == 0, "a row each %g s: absorbed as observed", seconds);
	ok(absorbed > 10000, "and most are: %d", absorbed);
	for (int i = 0; i < BJ_BUCKET_SIZE; i++)
	{
		bytes[i] ^= 0x10;
		wrong += bj_bucket_decode(bytes, BJ_BUCKET_SIZE, NULL, &head) != BJ_BAD_STATE;
		bytes[i] ^= 0x10;
	}
	ok(wrong == 0, "each flipped byte is seen");
}

/*
 * A value far beyond the largest moves the bins by a few octaves only, but is
 * known to have been: the like of it is no record, a larger one is.
 */
static void
check_record(void)
{
	BjTail		tail;
	double		first;
	double		again;
	double		larger;
	double		usual;

	memset(&tail, 0, sizeof(tail));
	for (int i = 0; i < 1000; i++)
		bj_tail_add(&tail, i % 10 * 0.1, 4);
	usual = bj_tail_rarity(&tail, 0.5, 1000);
	first = bj_tail_rarity(&tail, 9, 1000);
	bj_tail_add(&tail, 9, 4);
	again = bj_tail_rarity(&tail, 9, 1001);
	larger = bj_tail_rarity(&tail, 12, 1001);
	ok(first > 4, "nine octaves beyond the largest: %.2f decades", first);
	ok(again < first - 0.4 && tail.largest == 9, "the same again is no record: %.2f", again);
	ok(larger > again + 0.5, "a larger one is: %.2f", larger);
	ok(fabs(bj_tail_rarity(&tail, 0.5, 1001) - usual) < 0.01, "what is usual stays in sight");
	for (int i = 0; i < 3; i++)
		bj_tail_add(&tail, 9, 4);
	larger = bj_tail_rarity(&tail, 9, 1004);
	ok(larger < again - 0.3, "after four of them it is less of a surprise: %.2f", larger);
	for (int i = 0; i < 60000; i++)
	{
		bj_tail_add(&tail, i % 10 * 0.1, 4);
		if (i % 6000 == 5999)
			bj_tail_halve(&tail);
	}
	ok(tail.largest < 1.1f, "and in time it is forgotten: %.2f octaves", (double) tail.largest);
}

/* Any time may be asked about, also the last there is. */
static void
check_last_time(void)
{
	static BjStream stream;
	BjDetect	detect = bj_detect_defaults();
	BjJudgement j;

	bj_stream_init(&stream);
	for (int hour = 0; hour < 100; hour++)
	{
		BjRow		row = {.at = -TIME_MAX + (hour + 1) * BJ_HOUR,.quantity = usual(hour)};

		bj_stream_observe(&stream, &detect, &row, &j);
	}
	ok(bj_stream_due(&stream, &detect, INT64_MAX, &j) && j.reason == BJ_REASON_GAP,
	   "at the end of time a row is due: %s", bj_reason_name(j.reason));
	ok(!bj_stream_due(&stream, &detect, INT64_MIN, &j), "at its begin none is");
}

/* Feeds a row; true when it opens an incident, or goes on with a larger one. */
static bool
is_alert(BjStream *stream, const BjDetect *detect, int64_t at, double quantity, BjJudgement *j)
{
	BjRow		row = {.at = at,.quantity = quantity};

	bj_stream_observe(stream, detect, &row, j);
	return j->opened || j->escalated;
}

/* A first weekend is quiet, and no alarm; one without any row's value is. */
static void
check_first_weekend(bool silent)
{
	static BjStream stream;
	BjDetect	detect = bj_detect_defaults();
	BjJudgement j;
	int			alerts = 0;

	seed = 5;
	bj_stream_init(&stream);
	for (int hour = 0; hour < 10 * 24; hour++)
	{
		bool		weekend = hour / 24 % 7 >= 5;
		double		x = floor(400 * (hour % 24 >= 8 && hour % 24 < 18 ? 1 : 0.6) * (1 + 0.2 * noise()));

		alerts += is_alert(&stream, &detect, BEGIN + hour * BJ_HOUR, weekend ? silent ? 0 : floor(x * 0.45) : x, &j);
	}
	ok((alerts > 0) == silent, "a first weekend of %s: %d alerts", silent ? "zeros" : "half the usual", alerts);
}

/* Sizes on a meter that is mostly zero: larger ones tell, though not more. */
static void
check_sparse_sizes(double factor, bool told)
{
	static BjStream stream;
	BjDetect	detect = bj_detect_defaults();
	BjJudgement j;
	int			alerts = 0;

	seed = 9;
	bj_stream_init(&stream);
	for (int hour = 0; hour < 60 * 24; hour++)
	{
		bool		late = hour >= 50 * 24;
		double		x = noise() < -0.4 ? 40 * exp(3.5 * noise()) : 0;
		bool		alert = is_alert(&stream, &detect, BEGIN + hour * BJ_HOUR, late ? x * factor : x, &j);

		alerts += late && alert;
	}
	ok((alerts > 0) == told, "sizes of a sparse meter times %g: %d alerts", factor, alerts);
}

/*
 * Twice the usual where hours differ so much that no channel alone is sure:
 * told as that.  What is not just twice as much is not called so.
 */
static void
check_twice(double factor, bool told)
{
	static BjStream stream;
	BjDetect	detect = bj_detect_defaults();
	BjJudgement j;
	int			before = 0;
	int			twice = 0;

	seed = 18;
	bj_stream_init(&stream);
	for (int hour = 0; hour < 62 * 24; hour++)
	{
		bool		late = hour >= 60 * 24;
		double		shape = hour % 24 >= 8 && hour % 24 < 18 ? 1 : 0.4;
		double		x = floor(2000 * shape * exp(2 * noise()) * (late ? factor : 1));
		bool		alert = is_alert(&stream, &detect, BEGIN + hour * BJ_HOUR, x, &j);

		before += !late && alert;
		twice += late && alert && j.reason == BJ_REASON_DOUBLE && j.unit == 2;
	}
	ok(before <= 1, "hours that differ by half: %d alerts", before);
	ok((twice > 0) == told, "for two days %g times the usual: %d times called counted twice", factor, twice);
}

/* A day's sum comes three times: one repetition may be chance, two are not. */
static void
check_stuck_days(int repeats, bool told)
{
	static BjStream stream;
	BjDetect	detect = bj_detect_defaults();
	BjJudgement j;
	bool		stuck = false;
	double		x = 0;

	seed = 31;
	bj_stream_init(&stream);
	for (int day = 0; day < 100; day++)
	{
		if (day <= 90 || day > 90 + repeats)
			x = floor(5000 * (1 + 0.2 * noise()));
		stuck |= is_alert(&stream, &detect, BEGIN + day * BJ_DAY, x, &j) && j.reason == BJ_REASON_STUCK;
	}
	ok(stuck == told, "a day's sum that comes %d times", repeats + 1);
}

/* Days are few: what is far off is told before there are twenty. */
static void
check_young_days(double factor, bool told)
{
	static BjStream stream;
	BjDetect	detect = bj_detect_defaults();
	BjJudgement j;
	int			alerts = 0;

	seed = 3;
	bj_stream_init(&stream);
	for (int day = 0; day < 16; day++)
		alerts += is_alert(&stream, &detect, BEGIN + day * BJ_DAY, floor(5000 * (1 + 0.1 * noise()) * (day == 14 ? factor : 1)), &j);
	ok((alerts > 0) == told, "the fifteenth day times %g: %d alerts", factor, alerts);
}

/*
 * A daily job is not punctual to the hour: rows within six hours of their time
 * are no gap, but a day without one is, half a day after it was due.
 */
static void
check_jitter(void)
{
	static BjStream stream;
	BjDetect	detect = bj_detect_defaults();
	BjJudgement j;
	int			gaps = 0;
	int64_t		at = BEGIN;

	seed = 21;
	bj_stream_init(&stream);
	for (int day = 0; day < 300; day++)
	{
		at = BEGIN + day * BJ_DAY + (int64_t) (12 * noise() * BJ_HOUR);
		(void) is_alert(&stream, &detect, at, floor(5000 * (1 + 0.1 * noise())), &j);
		gaps += j.gap_closed;
	}
	ok(gaps == 0, "a daily row within six hours of its time: %d gaps", gaps);
	ok(!bj_stream_due(&stream, &detect, at + 34 * BJ_HOUR, &j), "half a day is no gap");
	ok(bj_stream_due(&stream, &detect, at + 40 * BJ_HOUR, &j) && j.reason == BJ_REASON_GAP,
	   "one that does not come is told of within 40 hours");
}

/* Three decades are a score of 0.5; the order of scores is that of rarities. */
static void
check_calibrated(void)
{
	bool		rises = true;

	for (int i = 0; i < 200; i++)
		rises &= bj_calibrated(i * 0.1) < bj_calibrated((i + 1) * 0.1);
	ok(rises, "what is rarer has the higher score");
	ok(fabs(bj_score_of_decades(bj_calibrated(3.75)) - 0.5) < 1e-6, "0.5 is what one usual value in 1,000 passes");
	ok(fabs(bj_calibrated(9) - bj_calibrated(8) - 1) < 1e-9, "beyond it a decade is a decade");
}

int
main(void)
{
	for (int i = 0; i < (int) (sizeof(cases) / sizeof(cases[0])); i++)
		check_case(&cases[i]);
	check_rows();
	check_ties();
	check_cycle(11);
	check_cycle(23);
	check_cycle(31);
	check_periodic(BJ_HOUR);
	check_periodic(BJ_HOUR / 2);
	check_record();
	check_named();
	check_stuck_again();
	check_visits();
	check_again();
	check_bytes();
	check_absorbed(120, false);
	check_absorbed(400, true);
	check_absorbed(5000, false);
	check_logarithms();
	check_several();
	check_peers();
	check_incident_bytes();
	check_last_time();
	check_first_weekend(false);
	check_first_weekend(true);
	check_sparse_sizes(16, true);
	check_sparse_sizes(1, false);
	check_twice(2, true);
	check_twice(1.65, false);
	check_twice(3, false);
	check_twice(4, false);
	check_twice(1, false);
	check_stuck_days(1, false);
	check_stuck_days(2, true);
	check_young_days(24, true);
	check_young_days(1.5, false);
	check_jitter();
	check_calibrated();
	return done_testing();
}
