/*
 * streams.c
 *	  One stream outside the commit of its usage: silence, a person's word, a
 *	  baseline that is learned anew.
 *
 * A stream's row in billadj.baseline is the lock: whoever has written it, even
 * with the same bytes, is the only one to write the stream's incidents until
 * its transaction ends.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "anomalies.h"
#include "baselines.h"
#include "detectors.h"
#include "errors.h"
#include "incidents.h"
#include "streams.h"

typedef struct Work
{
	Baselines  *baselines;
	Anomalies  *anomalies;
	MemoryContext old;
	MemoryContext context;		/* of one try */
} Work;

static void
work_begin(Work *work)
{
	const char *problem = bj_detectors_begin();

	if (problem != NULL)
		problem = psprintf("table billadj.%s is missing or of another shape", problem);
	work->anomalies = NULL;
	work->baselines = problem == NULL ? bj_baselines_open(&problem) : NULL;
	if (work->baselines != NULL)
		work->anomalies = bj_anomalies_open(&problem);
	if (work->anomalies == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_BJ_NOT_INSTALLED),
				 errmsg("usage is not looked at for anomalies: %s", problem),
				 errhint("Run SELECT * FROM billadj.self_check().")));
	work->context = AllocSetContextCreate(CurrentMemoryContext, "billadj stream",
										  ALLOCSET_DEFAULT_SIZES);
	work->old = MemoryContextSwitchTo(work->context);
}

static void
work_end(Work *work)
{
	MemoryContextSwitchTo(work->old);
	bj_anomalies_close(work->anomalies);
	bj_baselines_close(work->baselines);
	MemoryContextDelete(work->context);
	CommandCounterIncrement();
}

/* A new try: the stream as it is now, with its open incidents. */
static Incidents *
read_stream(Work *work, KeyText account, KeyText meter, bool *off)
{
	Incidents  *in;
	DetectSettings settings;

	CHECK_FOR_INTERRUPTS();
	MemoryContextReset(work->context);
	in = palloc0(sizeof(Incidents));
	in->account = account;
	in->meter = meter;
	in->store = work->anomalies;
	bj_detectors_settings(account, meter, &settings);
	in->detect = settings.detect;
	*off = settings.off;
	bj_baselines_find(work->baselines, account, meter, true, &in->stream.baseline);
	bj_incidents_begin(in);
	return in;
}

static bool
keep(Work *work, const Incidents *in, const char *problem)
{
	return bj_baselines_write(work->baselines, in->account, in->meter, &in->stream.baseline, problem);
}

/* The stream with what is to be told of it at `now`; NULL: nothing. */
static Incidents *
silence(Work *work, KeyText account, KeyText meter, TimestampTz now, const DetectPrice *price)
{
	bool		off;
	Incidents  *in = read_stream(work, account, meter, &off);
	int64		due_at = bj_stream_due_at(&in->stream);
	DetectRow	row = {0};
	BjJudgement j;
	bool		due;
	bool		told = bj_incidents_days(in, now);

	if (!off && bj_baseline_rows(&in->stream.baseline) > 0)
	{
		due = bj_stream_due(&in->stream, &in->detect, now + BJ_EPOCH_SHIFT, &j);
		/* the usual spacing is known to less than a second */
		due_at -= due_at % USECS_PER_SEC;
		row.occurred_at = due_at < now + BJ_EPOCH_SHIFT ? due_at - BJ_EPOCH_SHIFT : now;
		row.price = price;
		row.quantity = row.before = BJ_DECIMAL_ZERO;
		told = bj_incidents_silent(in, &row, now, due ? &j : NULL);
	}
	return told ? in : NULL;
}

bool
bj_streams_silence(KeyText account, KeyText meter, TimestampTz now, Decimal unit,
				   const char *currency)
{
	DetectPrice price = {0};
	Work		work;
	Incidents  *in;
	BjLocked	locked;

	price.linear = true;
	price.unit = unit;
	strlcpy(price.price.currency, currency, sizeof(price.price.currency));
	work_begin(&work);
	do
	{
		in = silence(&work, account, meter, now, &price);
		locked = in != NULL ? bj_baselines_lock_now(work.baselines) : BJ_BUSY;
	}
	while (locked == BJ_CHANGED || (locked == BJ_LOCKED && !keep(&work, in, NULL)));

	/* whoever is writing it knows better, or the next look does */
	if (locked == BJ_BUSY)
		in = NULL;
	else
		bj_incidents_end(in);
	work_end(&work);
	return in != NULL;
}

bool
bj_streams_silence_is_new(KeyText account, KeyText meter, TimestampTz now)
{
	DetectPrice price = {0};
	Work		work;
	bool		is_new;

	price.linear = true;
	price.unit = BJ_DECIMAL_ZERO;
	work_begin(&work);
	is_new = silence(&work, account, meter, now, &price) != NULL;
	work_end(&work);
	return is_new;
}

bool
bj_streams_judge(KeyText account, KeyText meter, int64 anomaly_id, BjVerdict verdict)
{
	Work		work;
	Incidents  *in;
	bool		off;
	bool		was_open;

	work_begin(&work);
	for (;;)
	{
		in = read_stream(&work, account, meter, &off);
		was_open = bj_incidents_judged(in, anomaly_id, verdict);
		if (!was_open)
			break;
		if (keep(&work, in, NULL))
		{
			bj_incidents_end(in);
			break;
		}
	}
	work_end(&work);
	return was_open;
}

bool
bj_streams_confirm(KeyText account, KeyText meter, int64 anomaly_id, Jsonb *twin)
{
	Work		work;
	Incidents  *in;
	bool		off;
	BjLocked	locked;

	work_begin(&work);
	do
	{
		in = read_stream(&work, account, meter, &off);
		locked = bj_incidents_confirmed(in, anomaly_id, twin) ?
			bj_baselines_lock_now(work.baselines) : BJ_BUSY;
	}
	while (locked == BJ_CHANGED || (locked == BJ_LOCKED && !keep(&work, in, NULL)));

	if (locked != BJ_BUSY)
		bj_incidents_end(in);
	work_end(&work);
	return locked != BJ_BUSY;
}

/* True if its lock is another row than that of a total: then it is locked. */
static bool
lock_apart(Work *work, KeyText account, KeyText meter)
{
	TotalKey	key;

	CHECK_FOR_INTERRUPTS();
	MemoryContextReset(work->context);
	return !bj_baselines_lock(work->baselines, account, meter, &key);
}

void
bj_streams_lock_all(const KeyText *accounts, const KeyText *meters, int n)
{
	bool	   *apart = palloc_extended(Max(n, 1) * sizeof(bool), MCXT_ALLOC_HUGE);
	Work		work;

	work_begin(&work);
	for (int i = 0; i < n; i++)
		apart[i] = lock_apart(&work, accounts[i], meters[i]);
	work_end(&work);
	for (int i = 0; i < n; i++)
		if (!apart[i])
			bj_streams_lock(accounts[i], meters[i]);
	pfree(apart);
}

void
bj_streams_lock(KeyText account, KeyText meter)
{
	Work		work;
	Incidents  *in;
	bool		off;

	work_begin(&work);
	do
		in = read_stream(&work, account, meter, &off);
	while (!keep(&work, in, NULL));
	bj_incidents_end(in);
	work_end(&work);
}

void
bj_streams_replace(KeyText account, KeyText meter, const BjBaseline *baseline)
{
	Work		work;
	Incidents  *in;
	bool		off;
	bool		known;
	bool		row_rule;

	work_begin(&work);
	do
	{
		in = read_stream(&work, account, meter, &off);
		known = bj_baseline_rows(&in->stream.baseline) > 0;
		row_rule = bj_baseline_has_row_rule(&in->stream.baseline);
		bj_incidents_forget(in);
		in->stream.baseline = *baseline;
		bj_baseline_mark_row_rule(&in->stream.baseline, row_rule);
	}
	while (!keep(&work, in, known ? "it was learned anew from what is stored" : NULL));
	bj_incidents_end(in);
	work_end(&work);
}

int64
bj_streams_note(const AccountFinding *f)
{
	Work		work;
	Incidents  *in;
	Anomaly    *a;
	int64		anomaly_id;

	work_begin(&work);
	in = palloc0(sizeof(Incidents));
	in->account = f->account;
	in->meter = f->meter;
	in->store = work.anomalies;
	a = bj_anomalies_new(f->account, f->meter);
	a->rule = f->rule;
	a->family = BJ_FAMILY_ACCOUNT;
	a->period_start = f->period_start;
	a->occurred_at = a->since = a->last_since = f->since;
	a->last_at = f->last_at;
	a->score = a->peak_score = f->score;
	a->observed = f->observed;
	a->expected = f->expected;
	a->lower_bound = f->lower_bound;
	a->upper_bound = f->upper_bound;
	a->ratio = f->expected != 0 ? f->observed / f->expected : 0;
	a->excess = a->last_excess = f->excess;
	a->rows = f->rows;
	a->detail = f->detail;
	strlcpy(a->currency, f->currency, sizeof(a->currency));
	anomaly_id = bj_incidents_found(in, a, f->has_excess) ? a->anomaly_id : 0;
	bj_incidents_end(in);
	work_end(&work);
	return anomaly_id;
}
