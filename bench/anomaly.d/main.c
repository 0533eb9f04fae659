/*
 * main.c
 *	  Prints the tables of bench/anomaly: one part an argument.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "parts.h"
#include "product.h"
#include "score.h"

/*
 * The halves.  What is tried and tuned is tried on the development half; the
 * test half is run to report, and nothing is ever chosen by it.
 */
#define DEVELOPMENT_SEED UINT64_C(20250106)
#define TEST_SEED UINT64_C(77003141)
#define ACCOUNTS 300
#define DAYS 150

#define BUDGET 0.5
#define STRICT_BUDGET 0.25
#define THRESHOLDS 12

/* FNV-1a over the fields of the rows, in order. */
static uint64_t
checksum(uint64_t sum, const Rows *rows)
{
	for (int i = 0; i < rows->count; i++)
	{
		const Row  *row = &rows->rows[i];
		uint64_t	words[4];

		words[0] = (uint64_t) row->at;
		memcpy(&words[1], &row->quantity, 8);
		memcpy(&words[2], &row->amount, 8);
		words[3] = (uint64_t) row->fault;
		for (int k = 0; k < 4; k++)
			sum = (sum ^ words[k]) * UINT64_C(1099511628211);
	}
	return sum;
}

typedef struct Tables
{
	World		world;
	Hits		simple[SIMPLE_METHODS];
	Hits		rules;
	Hits		product[THRESHOLDS];
	double		thresholds[THRESHOLDS];
	int			threshold_count;
	uint64_t	sum;
	int64_t		rows;
} Tables;

static void
run_product(Tables *t, Product *product, Rows *rows)
{
	for (int i = 0; i < t->threshold_count; i++)
		t->product[i].count = 0;
	for (int s = 0; s < t->world.stream_count; s++)
	{
		world_write(&t->world, s, rows);
		for (int i = 0; i < t->threshold_count; i++)
			product_run(product, &t->world, s, rows, t->thresholds[i], &t->product[i]);
	}
}

/* The lowest of the thresholds tried that keeps the budget, or -1. */
static int
pick(const Tables *t, double budget)
{
	int			best = -1;

	for (int i = t->threshold_count - 1; i >= 0; i--)
	{
		Outcome		o;

		score_hits(&t->world, &t->product[i], NULL, t->thresholds[i], true, &o, NULL);
		if (outcome_false_rate(&o) > budget)
			break;
		best = i;
	}
	return best;
}

/* Two rounds: a coarse grid over scores, then a fine one around the budgets. */
static void
sweep_product(Tables *t, Product *product, Rows *rows)
{
	int			loose;
	int			strict;
	double		from;
	double		to;

	t->threshold_count = 6;
	for (int i = 0; i < 6; i++)
		t->thresholds[i] = 0.5 + 0.07 * i;
	run_product(t, product, rows);
	loose = pick(t, BUDGET);
	strict = pick(t, STRICT_BUDGET);
	from = loose <= 0 ? 0.5 : t->thresholds[loose - 1];
	to = strict < 0 ? 0.95 : t->thresholds[strict];
	t->threshold_count = THRESHOLDS;
	for (int i = 0; i < THRESHOLDS - 1; i++)
		t->thresholds[i] = from + (to - from) * i / (THRESHOLDS - 2);
	t->thresholds[THRESHOLDS - 1] = 0.97;
	run_product(t, product, rows);
}

static void
print_line(const char *name, const Outcome *o)
{
	int			found;
	int			all;
	double		lo;
	double		hi;
	double		alone;
	int			faults_found;
	int			faults;
	double		recall = outcome_recall(o, ALL_CLASSES, &faults_found, &faults);
	double		together;
	int			groups_found;
	int			groups;

	together = outcome_recall(o, TOGETHER, &groups_found, &groups);
	alone = outcome_recall(o, ALONE, &found, &all);
	wilson(found, all, &lo, &hi);
	printf("| %s | %.4g | %.2f | %.2f | %.2f (%d/%d, %.2f-%.2f) | %.2f (%d/%d) | %.2f (%d/%d) | %.2f | %.0f | %.2f |\n",
		   name, o->threshold, outcome_false_rate(o), recall, alone, found, all, lo, hi,
		   together, groups_found, groups,
		   o->again_all ? (double) o->again_found / o->again_all : 0.0,
		   o->again_found, o->again_all,
		   (double) faults_found / (faults_found + o->false_alarms + 1e-9),
		   o->hours_90, o->timed ? (double) o->early_found / o->timed : 0.0);
}

static void
print_head(void)
{
	printf("| detector | threshold | false alarms | recall, all | alone | groups, by one member | again | precision | h 90 %% | found within 24 h |\n"
		   "|---|---|---|---|---|---|---|---|---|---|\n");
}

static void
print_classes(const Outcome *outcomes, const char *const *names, int n)
{
	printf("\n| class |");
	for (int i = 0; i < n; i++)
		printf(" %s |", names[i]);
	printf("\n|---|");
	for (int i = 0; i < n; i++)
		printf("---|");
	printf("\n");
	for (int c = 0; c < CLASSES; c++)
	{
		printf("| %s |", class_names[c]);
		for (int i = 0; i < n; i++)
		{
			const Outcome *o = &outcomes[i];
			double		lo;
			double		hi;

			wilson(o->found[c], o->all[c], &lo, &hi);
			if (i == 0)
				printf(" %.2f (%d/%d, %.2f-%.2f) |", o->all[c] ? (double) o->found[c] / o->all[c] : 0.0,
					   o->found[c], o->all[c], lo, hi);
			else
				printf(" %.2f |", o->all[c] ? (double) o->found[c] / o->all[c] : 0.0);
		}
		printf("\n");
	}
}

static void
print_false(const Outcome *o, bool product)
{
	printf("\nFalse alarms by surprise:");
	for (int i = 0; i < BENIGNS; i++)
		if (o->false_benign[i])
			printf(" %s %d;", benign_names[i], o->false_benign[i]);
	printf("\nby meter:");
	for (int i = 0; i < KINDS; i++)
		if (o->false_kind[i])
			printf(" %s %d;", kind_names[i], o->false_kind[i]);
	if (product)
	{
		printf("\nby reason:");
		for (int i = 0; i < 64; i++)
			if (o->false_reason[i])
				printf(" %s %d;", product_reason(i), o->false_reason[i]);
	}
	printf("\n");
}

/* What was missed, one a line, for who wants to know why. */
static void
print_missed(const World *world, const unsigned char *found)
{
	for (int i = 0; i < world->fault_count; i++)
	{
		const Fault *f = &world->faults[i];

		if (f->first_row >= 0)
			printf("%s\t%s\t%s\tstream %d\trows %d-%d\tday %.2f\t%.1f h\tmagnitude %.4g\toccurrence %d\tnoise %.2f\trate %.2f\tnight %.2f\n",
				   found[i] ? "found" : "missed", class_names[f->class],
				   kind_names[world->streams[f->stream].kind], f->stream,
				   f->first_row, f->last_row, (double) (f->begin - EPOCH) / DAY,
				   (double) (f->end - f->begin) / HOUR, f->magnitude, f->occurrence,
				   world->streams[f->stream].noise, world->streams[f->stream].rate,
				   world->accounts[world->streams[f->stream].account].night);
	}
}

static void
print_alerts(const World *world, const Hits *hits)
{
	for (int i = 0; i < hits->count; i++)
	{
		const Hit  *h = &hits->hits[i];
		const Stream *s = &world->streams[h->stream];
		const char *what = "false";

		for (int k = 0; k < s->fault_count; k++)
		{
			const Fault *f = &world->faults[s->faults[k]];

			if (f->first_row < 0 || h->row < f->first_row)
				continue;
			if (h->row <= f->last_match)
				what = class_names[f->class];
			else if (h->clock <= f->last_at + DAY)
				what = "recovery";
		}
		printf("alert\t%s\t%s\tstream %d\trow %d\tday %.3f\tscore %.3f\t%s\t%s\n", what,
			   kind_names[s->kind], h->stream, h->row, (double) (h->clock - EPOCH) / DAY,
			   h->score, product_reason(h->reason),
			   benign_names[world_benign(world, h->stream, h->clock)]);
	}
}

static void
part_world(const char *name, uint64_t seed, bool listed)
{
	static Tables t;
	Rows		rows = {0};
	Product    *product = product_make();
	Outcome		outcomes[SIMPLE_METHODS + 2];
	const char *names[SIMPLE_METHODS + 1];
	clock_t		begun = clock();
	int			loose;
	int			strict;
	int			all;
	int			found;
	unsigned char *which;

	world_plan(&t.world, seed, ACCOUNTS, DAYS);
	t.sum = UINT64_C(14695981039346656037);
	for (int s = 0; s < t.world.stream_count; s++)
	{
		world_write(&t.world, s, &rows);
		t.sum = checksum(t.sum, &rows);
		t.rows += rows.count;
		methods_run(&t.world, s, &rows, t.simple, &t.rules);
		product_learn_peers(product, &t.world, s, &rows);
	}
	product_finish_peers(product);
	sweep_product(&t, product, &rows);
	loose = pick(&t, BUDGET);
	strict = pick(&t, STRICT_BUDGET);
	if (loose < 0 || strict < 0)
		loose = strict = THRESHOLDS - 1;

	printf("\n## Invented usage, %s half\n\n", name);
	printf("Seed %llu, %d accounts, %d streams, %d days, %lld rows, checksum %016llx.\n",
		   (unsigned long long) seed, ACCOUNTS, t.world.stream_count, DAYS,
		   (long long) t.rows, (unsigned long long) t.sum);
	score_hits(&t.world, &t.product[loose], NULL, t.thresholds[loose], true, &outcomes[0], NULL);
	outcome_recall(&outcomes[0], ALL_CLASSES, &found, &all);
	printf("Faults: %d in %.0f account-months, %.2f an account-month.\n\n", all,
		   outcomes[0].months, all / outcomes[0].months);
	print_head();
	names[0] = "billadj";
	print_line("billadj", &outcomes[0]);
	score_hits(&t.world, &t.product[strict], NULL, t.thresholds[strict], true,
			   &outcomes[SIMPLE_METHODS + 1], NULL);
	print_line("billadj, strict", &outcomes[SIMPLE_METHODS + 1]);
	for (int k = 0; k < SIMPLE_METHODS; k++)
	{
		double		threshold = score_threshold(&t.world, &t.simple[k], &t.rules, BUDGET);

		score_hits(&t.world, &t.simple[k], &t.rules, threshold, false, &outcomes[k + 1], NULL);
		names[k + 1] = method_names[k];
		print_line(method_names[k], &outcomes[k + 1]);
	}
	print_classes(outcomes, names, SIMPLE_METHODS + 1);
	print_false(&outcomes[0], true);
	if (listed)
	{
		for (int k = 0; k < SIMPLE_METHODS; k++)
			print_false(&outcomes[k + 1], false);
		which = calloc(t.world.fault_count, 1);
		score_hits(&t.world, &t.product[loose], NULL, t.thresholds[loose], true, &outcomes[0], which);
		print_missed(&t.world, which);
		print_alerts(&t.world, &t.product[loose]);
		free(which);
	}
	fprintf(stderr, "%s half: %.1f s\n", name, (double) (clock() - begun) / CLOCKS_PER_SEC);
	for (int i = 0; i < THRESHOLDS; i++)
		free(t.product[i].hits);
	for (int k = 0; k < SIMPLE_METHODS; k++)
		free(t.simple[k].hits);
	free(t.rules.hits);
	free(rows.rows);
	free(product);
	world_free(&t.world);
	memset(&t, 0, sizeof(t));
}

int
main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
	{
		const char *part = argv[i];

		if (strcmp(part, "development") == 0)
			part_world("development", DEVELOPMENT_SEED, false);
		else if (strcmp(part, "listed") == 0)
			part_world("development", DEVELOPMENT_SEED, true);
		else if (strcmp(part, "test") == 0)
			part_world("test", TEST_SEED, false);
		else if (strcmp(part, "nab") == 0 && i + 1 < argc)
			part_nab(argv[++i]);
		else if (strcmp(part, "retail") == 0 && i + 1 < argc)
			part_retail(argv[++i]);
		else if (strcmp(part, "cost") == 0)
			part_cost();
		else
		{
			fprintf(stderr, "anomaly: no part \"%s\"\n", part);
			return 2;
		}
	}
	return 0;
}
