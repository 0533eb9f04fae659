/*
 * duplicates.c
 *	  Rows that seem to repeat others: looked up before anything is said of them.
 *
 * One look serves all streams of a transaction: a batch that a producer sent
 * again is in thousands of them.  It is the first row of a stream that is looked
 * up; if that is no repetition, the stream's others are held to be none either,
 * and if it is one, they are counted by what the baseline knows of them.
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "charges.h"
#include "duplicates.h"

typedef struct Suspicion
{
	KeyText		account;		/* as the rows, these live until the commit */
	KeyText		meter;
	TimestampTz clock;			/* of the stream, when all its rows were seen */
	List	   *repeats;		/* of Repeat */
} Suspicion;

struct Duplicates
{
	MemoryContext context;
	List	   *suspicions;
};

Duplicates *
bj_duplicates_begin(MemoryContext context)
{
	Duplicates *d = MemoryContextAllocZero(context, sizeof(Duplicates));

	d->context = context;
	return d;
}

void
bj_duplicates_add(Duplicates *d, const Incidents *in)
{
	MemoryContext old;
	Suspicion  *s = NULL;
	ListCell   *cell;

	if (d == NULL || in->repeats == NIL)
		return;
	old = MemoryContextSwitchTo(d->context);
	foreach(cell, in->repeats)
	{
		Repeat	   *copy = palloc(sizeof(Repeat));

		*copy = *(Repeat *) lfirst(cell);
		if (s == NULL || copy->first)
		{
			s = palloc(sizeof(Suspicion));
			*s = (Suspicion) {in->account, in->meter, in->clock, NIL};
			d->suspicions = lappend(d->suspicions, s);
		}
		s->repeats = lappend(s->repeats, copy);
	}
	MemoryContextSwitchTo(old);
}

static ChargedTwin
twin_of(KeyText account, KeyText meter, const DetectRow *row)
{
	return (ChargedTwin) {
		account, meter, row->period_start, row->occurred_at, row->quantity, row->charge_id
	};
}

void
bj_duplicates_settle(Duplicates *d, Anomalies *store)
{
	int			n = list_length(d->suspicions);
	MemoryContext old;
	ChargedTwin *twins;

	if (n == 0)
		return;
	old = MemoryContextSwitchTo(d->context);
	twins = palloc0(n * sizeof(ChargedTwin));
	for (int i = 0; i < n; i++)
	{
		Suspicion  *s = list_nth(d->suspicions, i);

		twins[i] = twin_of(s->account, s->meter, ((Repeat *) linitial(s->repeats))->row);
	}
	bj_charges_find_twins(twins, n);
	for (int i = 0; i < n; i++)
	{
		Suspicion  *s = list_nth(d->suspicions, i);
		Incidents	in = {.account = s->account,.meter = s->meter,.store = store,.clock = s->clock};

		if (twins[i].answer == BJ_CHARGED_NEVER)
			continue;
		bj_incidents_repeated(&in, s->repeats, &twins[i]);
		bj_incidents_end(&in);
	}
	MemoryContextSwitchTo(old);
}

bool
bj_duplicates_sure(KeyText account, KeyText meter, const DetectRow *row)
{
	ChargedTwin twin = twin_of(account, meter, row);

	bj_charges_find_twins(&twin, 1);
	return twin.answer == BJ_CHARGED_BEFORE;
}
