/*
 * retail.c
 *	  A planted first row among the real rows of a retailer's day.
 *
 * Customers are the accounts, pieces the meter.  A customer's first row has no
 * history; what is usual for it is what the other customers buy.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/baseline.h"
#include "parts.h"

#define PLANTED 80995.0
#define ROWS_MAX 8192

typedef struct Sale
{
	char		customer[16];
	double		quantity;
	int64_t		at;
	int			number;			/* in the file */
} Sale;

static Sale sales[ROWS_MAX + 1];

/* The next field of a line; quotes may hold commas. */
static char *
field(char **line)
{
	char	   *begin = *line;
	char	   *p = begin;
	bool		quoted = false;

	while (*p != '\0' && *p != '\n' && *p != '\r' && (quoted || *p != ','))
	{
		if (*p == '"')
			quoted = !quoted;
		p++;
	}
	*line = *p == ',' ? p + 1 : p;
	*p = '\0';
	return begin;
}

static int
read_sales(const char *name)
{
	FILE	   *file = fopen(name, "r");
	char		text[1024];
	int			n = 0;

	if (file == NULL)
		return 0;
	while (fgets(text, sizeof(text), file) != NULL && n < ROWS_MAX)
	{
		char	   *line = text;
		char	   *invoice = field(&line);
		char	   *quantity;
		char	   *time;
		char	   *customer;
		int			h;
		int			mi;

		field(&line);
		field(&line);
		quantity = field(&line);
		time = field(&line);
		field(&line);
		customer = field(&line);
		/* credit notes, and sales to nobody known, are left out */
		if (*customer == '\0' || invoice[0] < '0' || invoice[0] > '9' ||
			sscanf(time, "2010-12-01 %d:%d", &h, &mi) != 2)
			continue;
		snprintf(sales[n].customer, sizeof(sales[n].customer), "%s", customer);
		sales[n].number = n;
		sales[n].quantity = strtod(quantity, NULL);
		sales[n].at = INT64_C(1291161600) + h * 3600 + mi * 60;
		n++;
	}
	fclose(file);
	return n;
}

/* By customer, then in order of time as they stand in the file. */
static int
by_customer(const void *a, const void *b)
{
	const Sale *x = a;
	const Sale *y = b;
	int			order = strcmp(x->customer, y->customer);

	if (order != 0)
		return order;
	return x->at != y->at ? (x->at > y->at) - (x->at < y->at) : x->number - y->number;
}

static BjRow
as_row(const Sale *sale)
{
	BjRow		row;

	memset(&row, 0, sizeof(row));
	row.at = sale->at * 1000000;
	row.quantity = sale->quantity;
	row.dimensions = (uint32_t) sale->number;
	return row;
}

/* The other customers as a peer group; skip: first of the rows left out. */
static BjPeer
others(const int *first, int customers, int without)
{
	BjPeer		peer;
	static BjStream stream;
	BjDetect	detect = bj_detect_defaults();
	BjJudgement judgement;

	memset(&peer, 0, sizeof(peer));
	for (int c = 0; c < customers; c++)
	{
		if (c == without)
			continue;
		bj_stream_init(&stream);
		for (int i = first[c]; i < first[c + 1]; i++)
		{
			BjRow		row = as_row(&sales[i]);

			bj_stream_observe(&stream, &detect, &row, &judgement);
		}
		bj_peer_add(&peer, &stream.baseline);
	}
	bj_peer_finish(&peer);
	return peer;
}

static BjJudgement
judge_first(const BjPeer *peer, const Sale *sale)
{
	static BjStream stream;
	BjDetect	detect = bj_detect_defaults();
	BjJudgement judgement;
	BjRow		row = as_row(sale);

	detect.peer = peer;
	bj_stream_init(&stream);
	bj_stream_observe(&stream, &detect, &row, &judgement);
	return judgement;
}

/* Rows 2 to 20 of one customer, as they are and with the planted one. */
typedef struct Young
{
	int			rows;
	int			alerts;
	int			found;
	double		highest;
	double		least;
} Young;

static void
judge_young(const BjPeer *peer, const Sale *sale, int count, Young *young)
{
	static BjStream stream;
	static BjStream copy;
	BjDetect	detect = bj_detect_defaults();
	BjJudgement judgement;

	detect.peer = peer;
	bj_stream_init(&stream);
	for (int i = 0; i < count && i < 20; i++)
	{
		BjRow		row = as_row(&sale[i]);
		Sale		planted = sale[i];
		BjRow		wrong;

		planted.quantity = PLANTED;
		wrong = as_row(&planted);
		copy = stream;
		bj_stream_observe(&stream, &detect, &row, &judgement);
		if (i == 0)
			continue;
		young->rows++;
		/* rules for single rows have nothing to do with peers */
		if (judgement.opened)
			young->alerts++;
		if (judgement.rules == 0 && judgement.score > young->highest)
			young->highest = judgement.score;
		bj_stream_observe(&copy, &detect, &wrong, &judgement);
		young->found += judgement.opened;
		if (young->rows == 1 || judgement.score < young->least)
			young->least = judgement.score;
	}
}

void
part_retail(const char *file)
{
	static int	first[ROWS_MAX + 1];
	int			n = read_sales(file);
	int			customers = 0;
	int			alerts = 0;
	double		largest = 0.0;
	double		highest = 0.0;
	double		threshold = bj_detect_defaults().threshold;
	Young		young = {0};
	BjPeer		peer;
	BjJudgement judgement;

	printf("\n## A first row of %.0f pieces among a retailer's real ones\n\n", PLANTED);
	qsort(sales, n, sizeof(Sale), by_customer);
	for (int i = 0; i < n; i++)
	{
		if (i == 0 || strcmp(sales[i].customer, sales[i - 1].customer) != 0)
			first[customers++] = i;
		largest = sales[i].quantity > largest ? sales[i].quantity : largest;
	}
	first[customers] = n;

	/* every real first row, judged by the other customers */
	for (int c = 0; c < customers; c++)
	{
		peer = others(first, customers, c);
		judgement = judge_first(&peer, &sales[first[c]]);
		alerts += judgement.score >= threshold;
		highest = judgement.score > highest ? judgement.score : highest;
	}
	/* and every later one of the first 20, and the planted one in its place */
	for (int c = 0; c < customers; c++)
	{
		peer = others(first, customers, c);
		judge_young(&peer, sales + first[c], first[c + 1] - first[c], &young);
	}
	peer = others(first, customers, -1);
	sales[n] = sales[n - 1];
	sales[n].quantity = PLANTED;
	judgement = judge_first(&peer, &sales[n]);
	printf("%d rows of %d customers, largest %.0f; peers: %d.\n\n", n, customers, largest, peer.accounts);
	printf("| row | score | reason | usual up to | alert |\n|---|---|---|---|---|\n");
	printf("| the planted one | %.3f | %s | %.0f | %s |\n", judgement.score,
		   bj_reason_name(judgement.reason), judgement.hi,
		   judgement.score >= threshold ? "yes" : "**no**");
	printf("| %d real first rows | at most %.3f | | | %d |\n", customers, highest, alerts);
	printf("| %d real rows 2 to 20 of a customer | at most %.3f | | | %d |\n", young.rows, young.highest, young.alerts);
	printf("| the planted one in place of each of them | at least %.3f | | | %d |\n", young.least, young.found);
}
