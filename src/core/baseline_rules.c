/*
 * baseline_rules.c
 *	  What a single row can do wrong, before any statistics.
 *
 * These need no warm-up.  A rule that speaks of a row which repeats or is too
 * late says also that the row is not learned.
 */
#include "core/baseline_internal.h"

#define SMOOTH 0.01				/* share by which rows must differ to tell */
#define RARE 0.02				/* a rule is quiet where more rows break it */

static double
rule_score(BjReason reason)
{
	switch (reason)
	{
		case BJ_REASON_INVALID:
			return 1;
		case BJ_REASON_DUPLICATE:
		case BJ_REASON_NEGATIVE:
		case BJ_REASON_FUTURE:
		case BJ_REASON_RESET:
			return 0.9;
		default:
			return 0.8;
	}
}

static void
say(BjJudgement *judgement, BjReason reason, const BjRow *row)
{
	double		score = rule_score(reason);

	judgement->rules |= 1u << reason;
	if (judgement->score >= score)
		return;
	judgement->score = score;
	judgement->decades = bj_decades_of_score(score);
	judgement->reason = reason;
	judgement->family = BJ_FAMILY_ROW;
	judgement->observed = row->quantity;
	judgement->since = row->at;
}

/* 16 bits of (time, quantity, dimensions), never 0. */
static uint16_t
fingerprint_of(const BjRow *row)
{
	uint64_t	hash = (uint64_t) row->at * UINT64_C(0x9E3779B97F4A7C15);
	uint64_t	bits;

	memcpy(&bits, &row->quantity, sizeof(bits));
	hash = (hash ^ (hash >> 29) ^ bits) * UINT64_C(0xBF58476D1CE4E5B9);
	hash = (hash ^ (hash >> 32) ^ row->dimensions) * UINT64_C(0x94D049BB133111EB);
	hash >>= 48;
	return (uint16_t) (hash == 0 ? 1 : hash);
}

/* 8 bits of the quantity alone */
static uint8_t
print_of(double quantity)
{
	uint64_t	bits;

	memcpy(&bits, &quantity, sizeof(bits));
	/* as splitmix64 ends: numbers in a row must not have related prints */
	bits = (bits ^ bits >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
	bits = (bits ^ bits >> 27) * UINT64_C(0x94D049BB133111EB);
	bits ^= bits >> 31;
	return (uint8_t) (bits >> 56);
}

/* What stands at one place is of one row: 24 bits that must agree. */
static bool
is_known(const BjBaseline *b, uint16_t fingerprint, double quantity)
{
	uint8_t		print = print_of(quantity);

	for (int i = 0; i < BJ_FINGERPRINTS; i++)
		if (b->fingerprints[i] == fingerprint && b->prints[i] == print)
			return true;
	return false;
}

/*
 * How many rows had a print, 3 for more than two, and how many rows ago the
 * last of them was.
 */
static int
count_prints(const BjBaseline *b, uint8_t print, int *nearest)
{
	const uint64_t low = UINT64_C(0x7F7F7F7F7F7F7F7F);
	uint64_t	pattern = print * UINT64_C(0x0101010101010101);
	int			matches = 0;
	uint8_t		any = 0;

	*nearest = 0;
	/* mostly there is none; a loop without a branch says so */
	for (int i = 0; i < BJ_FINGERPRINTS; i++)
		any |= b->prints[i] == print;
	for (int i = 0; any && i < BJ_FINGERPRINTS; i += 8)
	{
		uint64_t	word;

		memcpy(&word, b->prints + i, sizeof(word));
		word ^= pattern;
		/* is one of the eight bytes zero? */
		if ((~(((word & low) + low) | word) & ~low) == 0)
			continue;
		for (int k = i; k < i + 8; k++)
		{
			int			back = (b->fingerprint_at - k + BJ_FINGERPRINTS) % BJ_FINGERPRINTS;

			/* back = 0 is about to be overwritten; others were never used */
			if (b->prints[k] != print || back == 0 || b->fingerprints[k] == 0)
				continue;
			if (*nearest == 0 || back < *nearest)
				*nearest = back;
			if (++matches > 2)
				return matches;
		}
	}
	return matches;
}

/*
 * Do regular rows repeat what they were so many whole days before?  Then it is
 * their own period.  Rows sent again come closer together.
 */
static bool
is_own_period(const BjBaseline *b, const BjRow *row)
{
	double		spacing = exp2_of(b->spacing);
	double		days = b->repeat_lag * spacing / 86400;
	int			whole = (int) (days + 0.5);

	return b->regular >= 0.8f && whole >= 1 && size_of(days - whole) < 0.02 &&
		(double) (row->at - b->last_at) / BJ_SECOND >= 0.6 * spacing;
}

/* The print of so many rows ago. */
static uint8_t
print_before(const BjBaseline *b, int rows)
{
	return b->prints[(b->fingerprint_at - rows + BJ_FINGERPRINTS) % BJ_FINGERPRINTS];
}

/*
 * Do the last rows repeat a run of earlier quantities?  Only rare ones tell:
 * a print that is there often proves nothing, nor does one that comes for the
 * third time, so many rows apart: that is the stream's own cycle; nor one that
 * hardly differs from the one before: a slow drift passes the same values again.
 */
static bool
repeats_a_run(BjBaseline *b, const BjRow *row)
{
	double		quantity = row->quantity;
	uint8_t		print = print_of(quantity);
	int			at = b->fingerprint_at;
	int			lag = b->repeat_lag;
	int			nearest;
	int			matches = count_prints(b, print, &nearest);

	if (quantity == 0 || matches == 0 || matches > 2 ||
		(matches == 2 && 2 * nearest <= BJ_FINGERPRINTS && print_before(b, 2 * nearest) == print) ||
		size_of(quantity - b->last_value) < SMOOTH * size_of(quantity) || print_before(b, 1) == print)
		b->repeat_run = 0;
	else if (b->repeat_run > 0 && print_before(b, lag) == print)
		b->repeat_run = (uint8_t) (b->repeat_run < 200 ? b->repeat_run + 1 : 200);
	else
	{
		b->repeat_run = nearest > 1;
		b->repeat_lag = (uint8_t) nearest;
	}
	b->prints[at] = print;
	return b->repeat_run == 5 && !is_own_period(b, row);
}

/* Midnights, of UTC, since the day before the first row: for "once a day". */
static uint16_t
day_of(const BjBaseline *b, int64_t at)
{
	int64_t		day = at / BJ_DAY - (at % BJ_DAY < 0) + 1 -
		(b->first_at / BJ_DAY - (b->first_at % BJ_DAY < 0));

	return (uint16_t) (day < 1 ? 1 : day > UINT16_MAX ? UINT16_MAX : day);
}

/* How far behind the newest a row may be. */
static int64_t
late_after(const BjBaseline *b)
{
	double		seconds = 900;

	if (b->spacings >= 5 && 1.5 * exp2_of(b->spacing) > seconds)
		seconds = 1.5 * exp2_of(b->spacing);
	return (int64_t) (clip(seconds, 0, 86400 * 40.0) * BJ_SECOND);
}

static bool
is_finite(double x)
{
	return x - x == 0;
}

/*
 * Where several rows have the same time, as the lines of an invoice do, equal
 * ones prove nothing.  A row at the newest time raises a count, by more if its
 * quantity tells it from those before it; a row at a new time lowers it.  So
 * ties are usual from one row in 17 on, and two of different quantities make
 * them so for a while.  A stream must show some rows before a tie is a surprise.
 */
#define TIE_DIFFERENT 16
#define TIE_EQUAL 4
#define TIES_USUAL 32
#define TIES_YOUNG 20			/* rows */

static bool
ties_are_usual(BjBaseline *b, const BjRow *row, bool known)
{
	int			ties = (int) (b->flags >> BJ_FLAG_TIES & 255u);
	bool		tie = b->rows > 0 && row->at == b->last_at;
	bool		usual = ties >= TIES_USUAL || (tie && b->rows < TIES_YOUNG);

	if (tie)
		ties += known ? TIE_EQUAL : TIE_DIFFERENT;
	else if (row->at > b->last_at)
		ties--;
	ties = ties < 0 ? 0 : ties > 255 ? 255 : ties;
	b->flags = (b->flags & ~(255u << BJ_FLAG_TIES)) | (uint32_t) ties << BJ_FLAG_TIES;
	return usual;
}

/* True when the row goes on to be observed. */
bool
bj_rules_observe(BjBaseline *b, const BjDetect *detect, const BjRow *row,
				 BjJudgement *judgement)
{
	uint16_t	fingerprint;
	bool		known;

	if (!is_finite(row->quantity) || row->at > TIME_MAX || row->at < -TIME_MAX)
	{
		say(judgement, BJ_REASON_INVALID, row);
		return false;
	}
	if (detect->use_bounds && row->at > detect->latest)
	{
		say(judgement, BJ_REASON_FUTURE, row);
		return false;
	}
	if (detect->use_bounds && row->at < detect->earliest)
	{
		say(judgement, BJ_REASON_TOO_OLD, row);
		return false;
	}
	if (b->rows == 0)
		b->first_at = b->last_at = row->at;
	fingerprint = fingerprint_of(row);
	known = b->rows > 0 && row->at <= b->last_at && is_known(b, fingerprint, row->quantity);
	if (!ties_are_usual(b, row, known) && known)
	{
		uint16_t	today = day_of(b, b->last_at);

		if (b->duplicates < UINT16_MAX && b->duplicate_day != today)
			b->duplicates++;
		/* the first of a day alerts, the others are counted with it */
		if (detect->rules && b->duplicates <= 3 + RARE * b->rows)
		{
			if (b->duplicate_day != today)
				say(judgement, BJ_REASON_DUPLICATE, row);
			judgement->rules |= 1u << BJ_REASON_DUPLICATE;
		}
		b->duplicate_day = today;
		return false;
	}
	if (repeats_a_run(b, row) && detect->rules)
		say(judgement, BJ_REASON_NEAR_DUPLICATE, row);
	b->fingerprints[b->fingerprint_at] = fingerprint;
	b->fingerprint_at = (uint8_t) ((b->fingerprint_at + 1) % BJ_FINGERPRINTS);
	/* of a row at the newest time or after it there is nothing to reckon */
	if (row->at < b->last_at && row->at < b->last_at - late_after(b))
	{
		uint16_t	today = day_of(b, b->last_at);

		if (detect->rules && b->late_day != today)
			say(judgement, BJ_REASON_LATE, row);
		b->late_day = today;
		return false;
	}
	if (row->quantity < 0 && !detect->cumulative)
	{
		if (detect->rules && b->rows >= 5 && b->negatives < 1 + RARE * b->rows)
			say(judgement, BJ_REASON_NEGATIVE, row);
		if (b->negatives < UINT32_MAX)
			b->negatives++;
	}
	return true;
}

/* Day of the month, 1.., in UTC; days since 1970 to a civil date. */
static int
day_of_month(int64_t at)
{
	int64_t		days = at / BJ_DAY - (at % BJ_DAY < 0) + 719468;
	int64_t		era = (days >= 0 ? days : days - 146096) / 146097;
	int			of_era = (int) (days - era * 146097);
	int			year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	int			of_year = of_era - (365 * year + year / 4 - year / 100);

	return of_year - (153 * ((5 * of_year + 2) / 153) + 2) / 5 + 1;
}

/* The first power of two or ten just above a reading, or 0. */
static double
modulus_of(double reading)
{
	static const double moduli[] = {65536, 1e5, 1e6, 16777216, 1e7, 1e8, 1e9,
	4294967296, 1e10, 1e12};

	for (int i = 0; i < (int) (sizeof(moduli) / sizeof(moduli[0])); i++)
		if (reading < moduli[i] && reading > 0.98 * moduli[i])
			return moduli[i];
	return 0;
}

/*
 * The increase since the last reading; false: this one only sets the base.  A
 * counter that falls was reset on its day of the month, or wrapped, or was
 * reset on a day when nobody expected it.
 */
bool
bj_rules_increase(BjBaseline *b, const BjDetect *detect, const BjRow *row,
				  double *x, BjJudgement *judgement)
{
	double		last = b->last_value;
	bool		known = (b->flags & BJ_FLAG_READING) != 0;
	double		modulus;
	int			day;

	b->last_value = row->quantity;
	b->flags |= BJ_FLAG_READING;
	if (!known)
		return false;
	*x = row->quantity - last;
	if (*x >= 0)
		return true;
	*x = row->quantity < 0 ? 0 : row->quantity;
	day = day_of_month(row->at);
	if (day == 1 || day == detect->reset_day || day == b->reset_day)
		return true;
	modulus = modulus_of(last);
	if (modulus > 0 && row->quantity < 0.1 * modulus)
	{
		*x = row->quantity + modulus - last;
		if (detect->rules)
			say(judgement, BJ_REASON_WRAP, row);
		return true;
	}
	if (detect->rules)
		say(judgement, BJ_REASON_RESET, row);
	b->reset_day = (uint8_t) day;
	return true;
}

/*
 * The unit price against its usual value.  A change of price is told once; it
 * is what is usual when it has held for as many rows as make a habit.
 */
#define PRICE_HABIT 200

void
bj_rules_price(BjBaseline *b, const BjDetect *detect, const BjRow *row,
			   BjJudgement *judgement)
{
	double		off;
	double		price;
	double		rounding;

	if (!row->has_price || !is_finite(row->unit_price) || row->unit_price < 1e-300)
		return;
	/* what rounding the amount can do to a price of so small a quantity */
	rounding = detect->price_step / (size_of(row->unit_price * row->quantity) + 1e-300);
	if (rounding > 0.05)
		return;
	price = log2_of(row->unit_price);
	if (b->price_rows == 0)
	{
		b->price = (float) price;
		b->price_rows = 1;
		return;
	}
	judgement->price_expected = exp2_of(b->price);
	off = price - b->price;
	if (size_of(off) <= 1.4427 * (detect->price_tolerance + rounding))
	{
		if (b->flags & BJ_FLAG_PRICE)
			judgement->price_closed = true;
		b->flags &= ~BJ_FLAG_PRICE;
		b->price_run = 0;
		if (b->price_rows < UINT8_MAX)
			b->price_rows++;
		follow(&b->price, price, 0.1, b->price_rows);
		return;
	}
	b->price_run++;
	if (b->price_rows >= 5 && b->price_run >= 2 && (b->flags & BJ_FLAG_PRICE) == 0)
	{
		b->flags |= BJ_FLAG_PRICE;
		judgement->price_opened = !detect->learn_only;
	}
	if (b->price_rows < 5 || b->price_run >= PRICE_HABIT)
	{
		b->price = (float) price;
		b->price_rows = 1;
		b->price_run = 0;
		judgement->price_closed = (b->flags & BJ_FLAG_PRICE) != 0;
		b->flags &= ~BJ_FLAG_PRICE;
	}
}
