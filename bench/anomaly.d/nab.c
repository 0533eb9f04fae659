/*
 * nab.c
 *	  The Numenta benchmark's scoring, from its white paper, over the
 *	  CloudWatch series.
 *
 * One threshold for all files, found by an exact sweep over all scores; beside
 * it the score at the threshold that ships, and leaving one file out.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/baseline.h"
#include "parts.h"

#define FILES_MAX 32
#define WINDOWS_MAX 8

typedef struct Window
{
	char		from[128];
	char		till[128];
	int			left;			/* rows, both inside */
	int			right;
} Window;

typedef struct Series
{
	char		name[128];
	int			count;
	int			room;
	int64_t    *at;
	double	   *value;
	double	   *score;
	int			probation;
	Window		windows[WINDOWS_MAX];
	int			window_count;
} Series;

/* A scored row, or the first row of a window that a threshold reaches. */
typedef struct Scored
{
	double		score;
	int			series;
	int			row;
	int			window;			/* it lies in, or -1 */
} Scored;

typedef struct Profile
{
	const char *name;
	double		tp;
	double		fp;
	double		fn;
} Profile;

static const Profile profiles[] = {
	{"standard", 1.0, 0.11, 1.0},
	{"few false positives", 1.0, 0.22, 1.0},
	{"few false negatives", 1.0, 0.11, 2.0},
};

typedef struct Result
{
	double		points;
	double		threshold;
	int			hits;
	int			false_rows;
} Result;

static Series series[FILES_MAX];
static int	series_count;

static double
sigmoid(double y)
{
	return y > 3.0 ? -1.0 : 2.0 / (1.0 + exp(5.0 * y)) - 1.0;
}

/* Days since 1970 of a date; Howard Hinnant's algorithm. */
static int64_t
days_of(int y, int m, int d)
{
	int			era;
	int			year;
	int			day;

	y -= m <= 2;
	era = y / 400;
	year = y - era * 400;
	day = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
	return (int64_t) era * 146097 + year * 365 + year / 4 - year / 100 + day - 719468;
}

static bool
parse_time(const char *text, int64_t *at)
{
	int			y, mo, d, h, mi, s;

	if (sscanf(text, "%d-%d-%d %d:%d:%d", &y, &mo, &d, &h, &mi, &s) != 6)
		return false;
	*at = days_of(y, mo, d) * 86400 + h * 3600 + mi * 60 + s;
	return true;
}

static void
add_row(Series *s, int64_t at, double value)
{
	if (s->count == s->room)
	{
		s->room = s->room == 0 ? 4096 : 2 * s->room;
		s->at = realloc(s->at, sizeof(int64_t) * s->room);
		s->value = realloc(s->value, sizeof(double) * s->room);
		s->score = realloc(s->score, sizeof(double) * s->room);
	}
	s->at[s->count] = at;
	s->value[s->count++] = value;
}

static bool
read_series(const char *folder, Series *s)
{
	char		path[1024];
	char		line[256];
	FILE	   *file;

	snprintf(path, sizeof(path), "%s/%s", folder, s->name);
	file = fopen(path, "r");
	if (file == NULL)
		return false;
	while (fgets(line, sizeof(line), file) != NULL)
	{
		char	   *comma = strchr(line, ',');
		int64_t		at;

		if (comma != NULL && parse_time(line, &at))
			add_row(s, at, strtod(comma + 1, NULL));
	}
	fclose(file);
	s->probation = s->count * 15 / 100 < 750 ? s->count * 15 / 100 : 750;
	for (int w = 0; w < s->window_count; w++)
	{
		Window	   *window = &s->windows[w];
		int64_t		from = 0,
					till = 0;

		parse_time(window->from, &from);
		parse_time(window->till, &till);
		window->left = 0;
		while (window->left < s->count && s->at[window->left] < from)
			window->left++;
		window->right = window->left;
		while (window->right + 1 < s->count && s->at[window->right + 1] <= till)
			window->right++;
	}
	return s->count > 0;
}

/* windows.json: texts only; a name, or the two ends of a window in turn. */
static bool
read_windows(const char *folder)
{
	char		path[1024];
	char		text[128];
	FILE	   *file;
	int			c;
	bool		second = false;

	snprintf(path, sizeof(path), "%s/windows.json", folder);
	file = fopen(path, "r");
	if (file == NULL)
		return false;
	while ((c = fgetc(file)) != EOF)
	{
		size_t		n = 0;
		Series	   *s;

		if (c != '"')
			continue;
		while ((c = fgetc(file)) != EOF && c != '"' && n < sizeof(text) - 1)
			text[n++] = (char) c;
		text[n] = '\0';
		if (strstr(text, ".csv") != NULL)
		{
			if (series_count == FILES_MAX)
				break;
			snprintf(series[series_count++].name, sizeof(series[0].name), "%s", text);
			second = false;
			continue;
		}
		if (series_count == 0)
			break;
		s = &series[series_count - 1];
		if (s->window_count == WINDOWS_MAX && !second)
			break;
		if (!second)
			snprintf(s->windows[s->window_count].from, 128, "%s", text);
		else
			snprintf(s->windows[s->window_count++].till, 128, "%s", text);
		second = !second;
	}
	fclose(file);
	return series_count > 0;
}

/* ---- scoring ---- */

static int
window_of(const Series *s, int row)
{
	for (int w = 0; w < s->window_count; w++)
		if (row >= s->windows[w].left && row <= s->windows[w].right)
			return w;
	return -1;
}

static double
window_worth(const Window *w, int row)
{
	return sigmoid(-(double) (w->right - row + 1) / (w->right - w->left + 1)) / sigmoid(-1.0);
}

static double
false_worth(const Series *s, int row)
{
	const Window *before = NULL;

	for (int w = 0; w < s->window_count; w++)
		if (s->windows[w].right < row)
			before = &s->windows[w];
	if (before == NULL)
		return -1.0;
	return sigmoid((double) (row - before->right) / (before->right - before->left));
}

static bool
counts(const Series *s, int window)
{
	return s->windows[window].right >= s->probation;
}

static int
windows_counted(int without)
{
	int			n = 0;

	for (int k = 0; k < series_count; k++)
		for (int w = 0; k != without && w < series[k].window_count; w++)
			n += counts(&series[k], w);
	return n;
}

static int
by_score(const void *a, const void *b)
{
	double		x = ((const Scored *) a)->score;
	double		y = ((const Scored *) b)->score;

	return (x < y) - (x > y);
}

/* Raw points at a threshold over the series from..till-1. */
static double
raw_points(const Profile *p, double threshold, int from, int till, Result *result)
{
	double		raw = 0.0;

	for (int k = from; k < till; k++)
	{
		const Series *s = &series[k];
		double		best[WINDOWS_MAX];

		for (int w = 0; w < s->window_count; w++)
			best[w] = -INFINITY;
		for (int i = s->probation; i < s->count; i++)
		{
			int			w;

			if (s->score[i] < threshold)
				continue;
			w = window_of(s, i);
			if (w < 0)
			{
				raw += p->fp * false_worth(s, i);
				result->false_rows++;
			}
			else
				best[w] = fmax(best[w], window_worth(&s->windows[w], i));
		}
		for (int w = 0; w < s->window_count; w++)
			if (counts(s, w))
			{
				raw += best[w] > -INFINITY ? p->tp * best[w] : -p->fn;
				result->hits += best[w] > -INFINITY;
			}
	}
	return raw;
}

static double
points_of(const Profile *p, double raw, int windows)
{
	double		null = -p->fn * windows;

	return 100.0 * (raw - null) / (p->tp * windows - null);
}

static Result
at_threshold(const Profile *p, double threshold)
{
	Result		result = {0.0, threshold, 0, 0};

	result.points = points_of(p, raw_points(p, threshold, 0, series_count, &result),
							  windows_counted(-1));
	return result;
}

/* The best threshold over all series but one (-1: over all). */
static double
sweep(const Profile *p, const Scored *rows, int n, int without)
{
	double		best[FILES_MAX][WINDOWS_MAX];
	double		raw = 0.0;
	double		most = -INFINITY;
	double		threshold = 1.0;

	for (int k = 0; k < series_count; k++)
		for (int w = 0; w < series[k].window_count; w++)
			best[k][w] = -p->fn;
	for (int i = 0; i < n; i++)
	{
		const Scored *r = &rows[i];

		if (r->series != without)
		{
			if (r->window < 0)
				raw += p->fp * false_worth(&series[r->series], r->row);
			else if (counts(&series[r->series], r->window))
			{
				double		worth = p->tp * window_worth(&series[r->series].windows[r->window], r->row);
				double	   *b = &best[r->series][r->window];

				if (worth > *b)
				{
					raw += worth - *b;
					*b = worth;
				}
			}
		}
		/* a threshold takes all rows of its score */
		if ((i + 1 == n || rows[i + 1].score < r->score) && raw > most)
		{
			most = raw;
			threshold = r->score;
		}
	}
	return threshold;
}

static void
score_series(void)
{
	BjDetect	detect = bj_detect_defaults();
	static BjStream stream;

	for (int k = 0; k < series_count; k++)
	{
		bj_stream_init(&stream);
		for (int i = 0; i < series[k].count; i++)
		{
			BjRow		row;
			BjJudgement judgement;

			memset(&row, 0, sizeof(row));
			row.at = series[k].at[i] * 1000000;
			row.quantity = series[k].value[i];
			bj_stream_observe(&stream, &detect, &row, &judgement);
			series[k].score[i] = judgement.score;
			if (getenv("ANOMALY_TRACE") != NULL && judgement.score >= 0.5)
				printf("%s\trow %d%s\tscore %.3f\t%s\tobserved %.4g of %.4g\twindow %d\n",
					   series[k].name, i, i < series[k].probation ? " (probation)" : "",
					   judgement.score, bj_reason_name(judgement.reason),
					   judgement.observed, judgement.expected, window_of(&series[k], i));
		}
	}
}

/* Points when each file is judged by the threshold best for the others. */
static double
leave_one_out(const Profile *p, const Scored *rows, int n)
{
	double		raw = 0.0;
	Result		unused = {0};

	for (int k = 0; k < series_count; k++)
		raw += raw_points(p, sweep(p, rows, n, k), k, k + 1, &unused);
	return points_of(p, raw, windows_counted(-1));
}

static void
print_files(double threshold)
{
	printf("\n| series | windows | hits | false rows | points won of possible |\n|---|---|---|---|---|\n");
	for (int k = 0; k < series_count; k++)
	{
		Result		r = {0};
		int			windows = 0;
		double		raw = raw_points(&profiles[0], threshold, k, k + 1, &r);

		for (int w = 0; w < series[k].window_count; w++)
			windows += counts(&series[k], w);
		printf("| %s | %d | %d | %d | %.2f of %d |\n", series[k].name, windows,
			   r.hits, r.false_rows, (raw + windows) / 2.0, windows);
	}
}

void
part_nab(const char *folder)
{
	Scored	   *rows;
	int			n = 0;
	int			total = 0;
	double		shipped = bj_detect_defaults().threshold;

	printf("\n## Real series: the CloudWatch part of the Numenta benchmark\n\n");
	if (!read_windows(folder))
	{
		printf("Left out: no windows.json in the folder.\n");
		return;
	}
	for (int k = 0; k < series_count; k++)
	{
		if (!read_series(folder, &series[k]))
		{
			printf("Left out: %s is absent.\n", series[k].name);
			return;
		}
		total += series[k].count;
	}
	score_series();
	rows = malloc(sizeof(Scored) * total);
	for (int k = 0; k < series_count; k++)
		for (int i = series[k].probation; i < series[k].count; i++)
			rows[n++] = (Scored) {series[k].score[i], k, i, window_of(&series[k], i)};
	qsort(rows, n, sizeof(Scored), by_score);
	printf("%d series, %d rows, %d windows that count.\n\n", series_count, total, windows_counted(-1));
	printf("The constants of the core were chosen with an eye on these series; what is left out with a file is the choice of the threshold alone.\n\n");
	printf("| profile | shipped threshold %.3f | hits | false rows | best threshold | hits | false rows | leaving one file out |\n"
		   "|---|---|---|---|---|---|---|---|\n", shipped);
	for (size_t i = 0; i < sizeof(profiles) / sizeof(profiles[0]); i++)
	{
		const Profile *p = &profiles[i];
		Result		ours = at_threshold(p, shipped);
		Result		best = at_threshold(p, sweep(p, rows, n, -1));

		printf("| %s | %.1f | %d | %d | %.1f at %.3f | %d | %d | %.1f |\n", p->name,
			   ours.points, ours.hits, ours.false_rows, best.points, best.threshold,
			   best.hits, best.false_rows, leave_one_out(p, rows, n));
	}
	print_files(shipped);
	free(rows);
}
