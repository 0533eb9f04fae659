/*
 * write.c
 *	  Writes the rows of one stream, its faults among them.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "world.h"

#define HELD_MAX 8
#define SENT_MAX 64

/* A stream while it is written. */
typedef struct Writer
{
	World	   *world;
	Stream	   *s;
	Rows	   *rows;
	Random		r;
	double		walk;			/* remembered noise */
	double		stock;			/* of STORAGE and SEATS, share of the scale */
	double		reading;		/* of a counter */
	double		weather;
	double		stuck;			/* value that repeats */
	double		last;			/* quantity of the last row */
	int			dropped;		/* fault whose rows were left out, or -1 */
	Row			held[HELD_MAX]; /* rows that come late */
	int			held_count;
	int64_t		month;
	int			row_number;
} Writer;

static void
push(Writer *w, int64_t at, double quantity, double amount, int fault)
{
	Rows	   *rows = w->rows;

	if (rows->count == rows->room)
	{
		rows->room = rows->room == 0 ? 4096 : rows->room * 2;
		rows->rows = realloc(rows->rows, sizeof(Row) * rows->room);
	}
	rows->rows[rows->count++] = (Row) {at, quantity, amount, fault};
}

static void
leave_out(Writer *w, int number, int64_t at)
{
	Fault	   *f = &w->world->faults[number];

	w->dropped = number;
	if (f->missing_at == 0 || at < f->missing_at)
		f->missing_at = at;
}

/* The fault of the stream at this time, or -1. */
static int
fault_at(const Writer *w, int64_t at)
{
	for (int i = 0; i < w->s->fault_count; i++)
	{
		const Fault *f = &w->world->faults[w->s->faults[i]];

		if (at >= f->begin && at < f->end)
			return w->s->faults[i];
	}
	return -1;
}

/* Poisson; the normal approximation does above 60. */
static int
poisson(Random *r, double mean)
{
	double		limit = exp(-mean);
	double		product = 1.0;
	int			n = -1;

	if (mean > 60.0)
		return (int) fmax(0.0, floor(mean + sqrt(mean) * random_normal(r) + 0.5));
	do
	{
		product *= random_unit(r);
		n++;
	} while (product > limit);
	return n;
}

/* Noise as a factor, mean about 1. */
static double
noise_factor(Writer *w)
{
	const Stream *s = w->s;
	double		n = random_normal(&w->r);

	if (s->memory > 0.0)
	{
		w->walk = s->memory * w->walk + sqrt(1 - s->memory * s->memory) * n;
		n = w->walk;
	}
	return exp(s->noise * n - 0.5 * s->noise * s->noise);
}

/* Two decimals, or whole numbers. */
static double
round_value(const Stream *s, double x)
{
	switch (s->kind)
	{
		case REQUESTS:
		case SEATS:
		case COUNTER:
		case DAILY:
		case STORAGE:
			return floor(x + 0.5);
		default:
			return floor(x * 100.0 + 0.5) / 100.0;
	}
}

/* The true quantity of a regular stream's row. */
static double
true_value(Writer *w, int64_t at, double hours_off)
{
	Stream	   *s = w->s;
	double		level = s->scale * world_level(w->world, s, at, hours_off);

	switch (s->kind)
	{
		case STORAGE:
			w->stock *= 1.0 + 0.002 * random_normal(&w->r);
			if (random_unit(&w->r) < 0.002)
				w->stock *= random_between(&w->r, 0.95, 1.05);
			w->stock += 0.002 * (1.0 - w->stock);
			return level * w->stock;
		case SEATS:
			if (random_unit(&w->r) < 0.1)
				w->stock *= random_between(&w->r, 0.95, 1.06);
			return level * w->stock;
		case EGRESS:
			if (random_unit(&w->r) < 0.005)
				level *= pow(1.0 - random_unit(&w->r), -1 / 1.6) * 2.0;
			return level * noise_factor(w);
		case SPARSE:
			if (random_unit(&w->r) > s->rate)
				return 0.0;
			return level * noise_factor(w);
		case ENERGY:
			w->weather = 0.995 * w->weather + 0.01 * random_normal(&w->r);
			return level * (1.0 + w->weather) * noise_factor(w);
		case REQUESTS:
		case COUNTER:
			level *= noise_factor(w);
			return fmax(0.0, level + sqrt(level) * random_normal(&w->r));
		default:
			return level * noise_factor(w);
	}
}

/* The quantity as the fault reports it. */
static double
faulty_value(Writer *w, const Fault *f, double x, int64_t at)
{
	Random	   *r = &w->r;

	switch (f->class)
	{
		case UNIT:
		case DOUBLE:
			return x * f->magnitude;
		case ZEROS:
			return 0.0;
		case STUCK:
			return w->stuck;
		case NEGATIVE:
			return random_unit(r) < 0.8 ? -x : x;
		case BURST:
			if (w->s->kind == SPARSE && random_unit(r) < 0.7)
				return w->s->scale * f->magnitude * random_between(r, 0.3, 1.0);
			return random_unit(r) < 0.8 ? x * f->magnitude : x;
		case LEAK:
			return x * pow(1.0 + f->magnitude, (double) (at - f->begin) / DAY);
		case FIRST:
			return w->row_number == 0 ? x * f->magnitude : x;
		case COORDINATED:
			if ((f->pattern >> ((at - f->begin) / HOUR % 64)) & 1)
				return x * exp(f->magnitude * w->s->noise);
			return x * exp(-f->magnitude * w->s->noise);
		default:
			return x;
	}
}

/* Sends a batch of the last rows again: as they were, or with new times. */
static void
send_again(Writer *w, int fault, int64_t at)
{
	const Fault *f = &w->world->faults[fault];
	int			n = (int) ((f->end - f->begin) /
						   (stream_spacing(w->s) ? stream_spacing(w->s) : HOUR));
	int			from;

	n = n < 2 ? 2 : n > SENT_MAX ? SENT_MAX : n;
	if (f->magnitude != 0.0 && n < 6)
		n = 6;
	from = w->rows->count - n;
	if (from < 0)
		return;
	for (int i = 0; i < n; i++)
	{
		Row			row = w->rows->rows[from + i];

		push(w, f->magnitude == 0.0 ? row.at : at + 20 * (i + 1),
			 row.quantity, row.amount, fault);
	}
}

/* A row of a regular stream, with whatever befalls it. */
static void
write_regular(Writer *w, int64_t at)
{
	Stream	   *s = w->s;
	int64_t		spacing = stream_spacing(s);
	int			number = fault_at(w, at);
	const Fault *f = number < 0 ? NULL : &w->world->faults[number];
	double		off = f != NULL && f->class == ZONE ? f->magnitude : 0.0;
	double		x = true_value(w, at, off);
	double		seen = round_value(s, f == NULL ? x : faulty_value(w, f, x, at));
	bool		first_of_fault = f != NULL && at - spacing < f->begin;
	bool		faulty;

	x = round_value(s, x);
	if (f == NULL || f->class != STUCK)
		w->stuck = x;
	faulty = f != NULL && (seen != x || f->class == ZONE || f->class == STUCK);
	if (s->kind == COUNTER)
	{
		int64_t		month = s->monthly_reset ? (int64_t) (at >= EPOCH + 26 * DAY) +
			(at >= EPOCH + 54 * DAY) + (at >= EPOCH + 85 * DAY) +
			(at >= EPOCH + 115 * DAY) + (at >= EPOCH + 146 * DAY) : 0;

		if (month != w->month)
			w->reading = 0.0;
		w->month = month;
		if (f != NULL && f->class == RESET && first_of_fault)
		{
			w->reading = 0.0;
			faulty = true;
		}
		w->reading += f != NULL && f->class == STUCK ? 0.0 : seen;
		seen = w->reading;
	}
	if (f != NULL && f->class == DROPPED)
	{
		leave_out(w, number, at);
		return;
	}
	/* every second row is held back, so that no gap tells of it */
	if (f != NULL && f->class == LATE && w->held_count < HELD_MAX &&
		((at - f->begin) / spacing) % 2 == 0 && at + spacing * 3 / 2 < f->end)
	{
		w->held[w->held_count++] = (Row) {at, seen, 0.0, number};
		return;
	}
	if (w->dropped >= 0)
	{
		push(w, at, seen, 0.0, w->dropped);
		w->dropped = -1;
	}
	else
		push(w, at, seen, 0.0, faulty ? number : -1);
	if (w->held_count > 0 && (f == NULL || f->class != LATE || at + 2 * spacing > f->end))
	{
		for (int i = 0; i < w->held_count; i++)
			push(w, w->held[i].at, w->held[i].quantity, 0.0, w->held[i].fault);
		w->held_count = 0;
	}
	if (f != NULL && f->class == DUPLICATE && first_of_fault)
		send_again(w, number, at);
	w->row_number++;
}

/* One row of an irregular stream. */
static void
write_event(Writer *w, int64_t at, double level)
{
	Stream	   *s = w->s;
	int			number = fault_at(w, at);
	const Fault *f = number < 0 ? NULL : &w->world->faults[number];
	double		price = s->price;
	double		x;
	double		seen;
	double		true_amount;
	double		amount;

	if (f != NULL && f->class == DROPPED)
	{
		leave_out(w, number, at);
		return;
	}
	x = round_value(s, fmax(0.01, s->scale * level * noise_factor(w)));
	seen = round_value(s, f == NULL ? x : faulty_value(w, f, x, at));
	if (s->price_change != 0 && at >= s->price_change)
		price *= s->price_factor;
	true_amount = floor(seen * price * 100.0 + 0.5) / 100.0;
	if (f != NULL && f->class == PRICE)
		price *= f->magnitude;
	amount = floor(seen * price * 100.0 + 0.5) / 100.0;
	if (s->kind != AMOUNTS)
		amount = true_amount = 0.0;
	if (w->dropped >= 0)
	{
		number = w->dropped;
		w->dropped = -1;
	}
	else if (seen == x && amount == true_amount && f != NULL && f->class != ZONE)
		number = -1;
	push(w, at, seen, amount, number);
	w->row_number++;
}

/* Rows that a group of accounts reports alike, within this hour. */
static void
write_copied(Writer *w, const Fault *f, int number, int64_t from, int64_t till)
{
	Random		r;

	random_seed(&r, w->world->seed * 31 + f->group);
	for (int64_t at = f->begin; at < f->end; at += 600 + random_below(&r, 5000))
	{
		/* the same for all members, whatever their own size and price */
		double		quantity = floor(random_log(&r, 2.0, 200.0) * 100.0) / 100.0;

		if (at >= from && at < till)
			push(w, at, quantity,
				 w->s->kind == AMOUNTS ? floor(quantity * w->s->price * 100.0 + 0.5) / 100.0 : 0.0,
				 number);
	}
}

static int
by_time(const void *a, const void *b)
{
	int64_t		x = ((const Row *) a)->at;
	int64_t		y = ((const Row *) b)->at;

	return (x > y) - (x < y);
}

/* An hour of an irregular stream. */
static void
write_hour(Writer *w, int64_t hour)
{
	Stream	   *s = w->s;
	int			number = fault_at(w, hour);
	const Fault *f = number < 0 ? NULL : &w->world->faults[number];
	double		level = world_level(w->world, s, hour,
									f != NULL && f->class == ZONE ? f->magnitude : 0.0);
	int			n = poisson(&w->r, s->rate * level);
	int			from = w->rows->count;

	/* double counting: each row twice, under new keys and times */
	if (f != NULL && f->class == DOUBLE)
		n += poisson(&w->r, s->rate * level);
	for (int i = 0; i < n; i++)
		write_event(w, hour + (int64_t) (HOUR * random_unit(&w->r)), 1.0);
	if (f != NULL && f->class == DOUBLE)
		for (int i = from; i < w->rows->count; i++)
		{
			Row		   *row = &w->rows->rows[i];

			/* the doubled rows are counted above, not made larger */
			row->quantity = round_value(s, row->quantity / 2.0);
			row->amount = floor(row->quantity * s->price * 100.0 + 0.5) / 100.0;
			if (s->kind != AMOUNTS)
				row->amount = 0.0;
			row->fault = number;
		}
	for (int i = 0; i < s->fault_count; i++)
	{
		const Fault *c = &w->world->faults[s->faults[i]];

		if (c->class == COPIED && hour + HOUR > c->begin && hour < c->end)
			write_copied(w, c, s->faults[i], hour, hour + HOUR);
	}
	qsort(w->rows->rows + from, w->rows->count - from, sizeof(Row), by_time);
	if (f != NULL && f->class == DUPLICATE && hour - HOUR < f->begin)
		send_again(w, number, hour + HOUR - 1);
}

/* Where each fault's rows lie, by the marks on the rows. */
static void
find_faults(World *world, const Stream *s, const Rows *rows)
{
	int64_t		bucket = stream_bucket(s);
	int64_t		newest = INT64_MIN;

	for (int i = 0; i < rows->count; i++)
	{
		const Row  *row = &rows->rows[i];

		newest = row->at > newest ? row->at : newest;
		if (row->fault >= 0)
		{
			Fault	   *f = &world->faults[row->fault];

			if (f->first_row < 0)
			{
				f->first_row = i;
				f->first_at = newest;
				if (f->class == DROPPED)
					f->first_at = f->missing_at;
			}
			f->last_row = f->last_match = i;
			f->last_at = newest;
		}
	}
	if (bucket == 0)
		return;
	/* a sum is judged when it is complete: by the first row after it */
	for (int k = 0; k < s->fault_count; k++)
	{
		Fault	   *f = &world->faults[s->faults[k]];
		int64_t		closed = (f->last_at / bucket + 1) * bucket;

		while (f->last_row >= 0 && f->last_match + 1 < rows->count &&
			   rows->rows[f->last_match].at < closed)
			f->last_match++;
	}
}

void
world_write(World *world, int stream, Rows *rows)
{
	Stream	   *s = &world->streams[stream];
	int64_t		spacing = stream_spacing(s);
	int64_t		end = s->end;
	const Account *a = &world->accounts[s->account];
	Writer		w;

	memset(&w, 0, sizeof(w));
	w.world = world;
	w.s = s;
	w.rows = rows;
	w.dropped = -1;
	w.stock = 1.0;
	random_seed(&w.r, s->seed);
	rows->count = 0;
	for (int i = 0; i < s->fault_count; i++)
	{
		Fault	   *f = &world->faults[s->faults[i]];

		f->first_row = f->last_row = f->last_match = -1;
		f->missing_at = 0;
	}
	if (a->leaving != 0)
		end = a->leaving + 5 * DAY;
	if (spacing == 0)
		for (int64_t at = s->begin; at < end; at += HOUR)
			write_hour(&w, at);
	else
		for (int64_t at = (s->begin + spacing - 1) / spacing * spacing; at < end; at += spacing)
			write_regular(&w, at);
	find_faults(world, s, rows);
}
