/*
 * detectors.c
 *	  Store: detectors and peer groups as this session knows them.
 *
 * Both tables are small and read whole.  As with prices, what was read is kept
 * until a change of the table sends an invalidation, and a load is kept only if
 * none came between its snapshot and its end.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "detectors.h"
#include "errors.h"
#include "numericcodec.h"
#include "tables.h"

/* What holds where no detector says otherwise. */
#define DEFAULT_BUDGET 10
#define DEFAULT_MIN_MONEY 1		/* in whatever currency */
#define DEFAULT_MIN_SHARE "0.01"
#define DEFAULT_FUTURE_HOURS 24.0

#define MOST_MOVED 0.5			/* decades, by verdicts */
#define LEAST_THRESHOLD 0.5		/* the least score that may alert at all */

/* A group of fewer accounts says nothing; see core/baseline_peer.c. */
#define LEAST_ACCOUNTS 8

enum
{
	DETECTOR_ID, RULE, METER, ACCOUNT, PARAMETERS, ACTION, THRESHOLD, MIN_MONEY,
	MIN_SHARE, BUDGET, ACTIVE, NCOLUMNS
};

static const Column detector_columns[NCOLUMNS] = {
	{"detector_id", INT8OID, true}, {"rule", TEXTOID}, {"meter", TEXTOID},
	{"account", TEXTOID}, {"parameters", JSONBOID, true}, {"action", TEXTOID, true},
	{"threshold", FLOAT8OID}, {"min_money", NUMERICOID}, {"min_share", NUMERICOID},
	{"budget", INT4OID}, {"active", BOOLOID, true}
};

enum
{
	PEER_METER, PEER_GROUP, PEER_ACCOUNTS, PEER_LEVEL, PEER_SPREAD, PEER_LARGEST,
	PEER_ZERO_SHARE, PEER_DAY_SHAPE, PEER_ROW_LEVEL, PEER_ROW_SPREAD,
	PEER_ROW_NOISE, NPEERCOLUMNS
};

static const Column peer_columns[NPEERCOLUMNS] = {
	{"meter", TEXTOID, true}, {"peer_group", TEXTOID, true}, {"accounts", INT4OID, true},
	{"level", FLOAT8OID, true}, {"spread", FLOAT8OID, true}, {"largest", FLOAT8OID, true},
	{"zero_share", FLOAT8OID, true}, {"day_shape", FLOAT8ARRAYOID, true},
	{"row_level", FLOAT8OID, true}, {"row_spread", FLOAT8OID, true},
	{"row_noise", FLOAT8OID, true}
};

static const Column account_columns[] = {
	{"account", TEXTOID, true}, {"peer_group", TEXTOID}
};

enum
{
	BILL_ACCOUNT, BILL_CURRENCY, BILL_AMOUNT, NBILLCOLUMNS
};

static const Column bill_columns[NBILLCOLUMNS] = {
	{"account", TEXTOID, true}, {"currency", TEXTOID, true}, {"amount", NUMERICOID, true}
};

typedef struct Detector
{
	int64		detector_id;
	const char *rule;			/* NULL: every one; so are the next */
	const char *meter;
	const char *account;
	Jsonb	   *parameters;
	BjAction	action;
	double		threshold;		/* 0: the default */
	bool		has_min_money;
	Decimal		min_money;
	bool		has_min_share;
	Decimal		min_share;
	int32		budget;			/* -1: the default */
	bool		off;
	int			weight;			/* the more it names, the more it weighs */
} Detector;

enum
{
	STEP_DETECTOR_ID, STEP_RULE, STEP_STEP, NSTEPCOLUMNS
};

static const Column step_columns[NSTEPCOLUMNS] = {
	{"detector_id", INT8OID}, {"rule", TEXTOID, true}, {"step", FLOAT8OID, true}
};

/* How far verdicts have moved the threshold of a rule, in decades. */
typedef struct Moved
{
	int64		detector_id;	/* 0: the defaults */
	const char *rule;
	double		decades;
} Moved;

typedef struct Peer
{
	const char *meter;
	const char *group;
	BjPeer		peer;
} Peer;

static struct
{
	MemoryContext context;
	int			ndetectors;
	Detector   *detectors;		/* ascending by weight, then number */
	int			npeers;
	Peer	   *peers;
	bool		groups;			/* one of them has a name */
	int			nmoved;
	Moved	   *moved;
	const char *problem;
}			known;

static bool stale = true;
static uint64 changes = 0;

static const char *const action_names[] = {
	[BJ_ACTION_FLAG] = "flag",
	[BJ_ACTION_HOLD] = "hold",
	[BJ_ACTION_PROPOSE] = "propose",
	[BJ_ACTION_REJECT] = "reject"
};

const char *
bj_action_name(BjAction action)
{
	return action_names[action];
}

static void
detectors_changed(Oid relid)
{
	if (!OidIsValid(relid) || bj_table_is(BJ_TABLE_DETECTOR, relid) ||
		bj_table_is(BJ_TABLE_PEER_GROUP, relid) || bj_table_is(BJ_TABLE_THRESHOLD_STEP, relid))
	{
		stale = true;
		changes++;
	}
}

void
bj_detectors_init(void)
{
	bj_tables_on_change(detectors_changed);
}

/* ---- parameters ---- */

typedef struct Parameter
{
	const char *name;
	size_t		place;			/* of a double in DetectSettings */
	double		least;
	double		most;
} Parameter;

#define PLACE(field) (offsetof(DetectSettings, detect) + offsetof(BjDetect, field))

static const Parameter parameters[] = {
	{"threshold", PLACE(threshold), 0.5, 1},
	{"materiality", PLACE(materiality), 0, 10},
	{"new_normal_days", PLACE(new_normal_days), 1, 366},
	{"passed_hours", PLACE(passed_hours), 1, 24 * 30},
	{"onset_hours", PLACE(onset_hours), 0, 24 * 30},
	{"price_tolerance", PLACE(price_tolerance), 0, 10},
	{"price_step", PLACE(price_step), 0, 1000},
	{"future_hours", offsetof(DetectSettings, future_hours), -1, 24 * 366},
	{"past_days", offsetof(DetectSettings, past_days), -1, 36600},
};

/*
 * A detector that names a rule has of these what is of the rule; the others are
 * of the stream, and no rule has its own.  NULL: of every rule.
 */
static const struct
{
	const char *name;
	const char *rule;
}			parameters_of_rules[] = {
	{"threshold", NULL}, {"off", NULL}, {"price_tolerance", "price"},
	{"price_tolerance", BJ_RULE_OFF_CONTRACT}, {"price_step", "price"},
	{"future_hours", "future"}, {"past_days", "too_old"}, {"reset_day", "reset"}
};

/* Of such a detector: what the stream is to be judged by. */
static bool
is_of_rule(const char *name, const char *rule, bool of_stream)
{
	for (int i = 0; i < lengthof(parameters_of_rules); i++)
		if (strcmp(parameters_of_rules[i].name, name) == 0 &&
			(parameters_of_rules[i].rule == NULL ? !of_stream : strcmp(parameters_of_rules[i].rule, rule) == 0))
			return true;
	return false;
}

static bool
set_number(DetectSettings *settings, const char *name, double x)
{
	if (strcmp(name, "reset_day") == 0)
	{
		if (!(x >= 0 && x <= 31 && x == (int) x))
			return false;
		settings->detect.reset_day = (int) x;
		return true;
	}
	for (int i = 0; i < lengthof(parameters); i++)
		if (strcmp(parameters[i].name, name) == 0 &&
			x >= parameters[i].least && x <= parameters[i].most)
		{
			*(double *) ((char *) settings + parameters[i].place) = x;
			return true;
		}
	return false;
}

static bool
set_flag(DetectSettings *settings, const char *name, bool flag)
{
	if (strcmp(name, "cumulative") == 0)
		settings->detect.cumulative = flag;
	else if (strcmp(name, "rules") == 0)
		settings->detect.rules = flag;
	else if (strcmp(name, "off") == 0)
		settings->off = flag;
	else
		return false;
	return true;
}

static bool
set_bucketing(DetectSettings *settings, const char *name, const JsonbValue *value)
{
	static const char *const names[] = {"sum", "last", "max"};

	for (int i = 0; strcmp(name, "bucketing") == 0 && i < lengthof(names); i++)
		if (value->val.string.len == strlen(names[i]) &&
			memcmp(value->val.string.val, names[i], value->val.string.len) == 0)
		{
			settings->detect.bucketing = (BjBucketing) i;
			return true;
		}
	return false;
}

static bool
set_parameter(DetectSettings *settings, const char *name, const JsonbValue *value)
{
	switch (value->type)
	{
		case jbvNumeric:
			return set_number(settings, name,
							  bj_numeric_double(NumericGetDatum(value->val.numeric)));
		case jbvBool:
			return set_flag(settings, name, value->val.boolean);
		case jbvString:
			return set_bucketing(settings, name, value);
		default:
			return false;
	}
}

/* The next parameter; its name lasts until the one after it is asked for. */
static bool
next_parameter(JsonbIterator **it, char **name, JsonbValue *value)
{
	JsonbIteratorToken token;

	while ((token = JsonbIteratorNext(it, value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
		{
			if (*name != NULL)
				pfree(*name);
			*name = pnstrdup(value->val.string.val, value->val.string.len);
		}
		else if (token == WJB_VALUE)
			return true;
	}
	return false;
}

/* of_stream: of a rule, only what the stream is to be judged by. */
static void
read_parameters(Jsonb *json, const char *rule, bool of_stream, DetectSettings *settings)
{
	JsonbIterator *it = JsonbIteratorInit(&json->root);
	JsonbValue	value;
	char	   *name = NULL;

	while (JB_ROOT_IS_OBJECT(json) && next_parameter(&it, &name, &value))
		if (rule == NULL || is_of_rule(name, rule, of_stream))
			set_parameter(settings, name, &value);
}

void
bj_detectors_read(Jsonb *json, DetectSettings *settings)
{
	read_parameters(json, NULL, false, settings);
}

static void
raise_bad_parameter(const char *name)
{
	for (int i = 0; i < lengthof(parameters); i++)
		if (strcmp(parameters[i].name, name) == 0)
			ereport(ERROR,
					(errcode(ERRCODE_BJ_BAD_DETECTOR),
					 errmsg("parameter \"%s\" of a detector is not a number from %g to %g",
							name, parameters[i].least, parameters[i].most)));
	ereport(ERROR,
			(errcode(ERRCODE_BJ_BAD_DETECTOR),
			 errmsg("\"%s\" is no parameter of a detector, or its value is out of range", name),
			 errhint("Use threshold, materiality, new_normal_days, passed_hours, onset_hours, price_tolerance, price_step, future_hours, past_days, reset_day (0 to 31), cumulative, rules, off (true or false) or bucketing (sum, last, max).")));
}

void
bj_detectors_check(Jsonb *json, const char *rule)
{
	JsonbIterator *it = JsonbIteratorInit(&json->root);
	JsonbValue	value;
	char	   *name = NULL;
	DetectSettings settings;

	while (JB_ROOT_IS_OBJECT(json) && next_parameter(&it, &name, &value))
	{
		if (!set_parameter(&settings, name, &value))
			raise_bad_parameter(name);
		if (rule != NULL && !is_of_rule(name, rule, false))
			ereport(ERROR,
					(errcode(ERRCODE_BJ_BAD_DETECTOR),
					 errmsg("\"%s\" is no parameter of rule \"%s\"", name, rule),
					 errdetail("It is about whole streams."),
					 errhint("Give it to a detector that names no rule.")));
	}
}

DetectSettings
bj_detectors_defaults(void)
{
	return (DetectSettings) {
		bj_detect_defaults(), DEFAULT_FUTURE_HOURS, -1, false
	};
}

/* ---- reading ---- */

/* Visits all rows of a table under a snapshot of the moment. */
static bool
read_all(BjTable table, const Column *columns, int ncolumns,
		 void (*visit) (HeapTuple tuple, TupleDesc desc, const AttrNumber *att))
{
	AttrNumber	att[NCOLUMNS];
	Relation	rel = bj_table_open(table, AccessShareLock);
	Snapshot	snapshot;
	SysScanDesc scan;
	HeapTuple	tuple;

	if (rel == NULL || bj_columns_find(rel, columns, ncolumns, att) != NULL)
	{
		if (rel != NULL)
			table_close(rel, AccessShareLock);
		known.problem = bj_table_name(table);
		return false;
	}
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	scan = systable_beginscan(rel, InvalidOid, false, snapshot, 0, NULL);
	while ((tuple = systable_getnext(scan)) != NULL)
		visit(tuple, RelationGetDescr(rel), att);
	systable_endscan(scan);
	UnregisterSnapshot(snapshot);
	table_close(rel, AccessShareLock);
	return true;
}

static const char *
text_or_null(HeapTuple tuple, AttrNumber att, TupleDesc desc)
{
	bool		isnull;
	Datum		d = heap_getattr(tuple, att, desc, &isnull);

	return isnull ? NULL : TextDatumGetCString(d);
}

static BjAction
action_of(const char *name)
{
	for (BjAction action = BJ_ACTION_FLAG; action <= BJ_ACTION_REJECT; action++)
		if (strcmp(name, action_names[action]) == 0)
			return action;
	return BJ_ACTION_FLAG;
}

static void
read_limits(Detector *d, HeapTuple tuple, TupleDesc desc, const AttrNumber *att)
{
	bool		isnull;
	Datum		value = heap_getattr(tuple, att[THRESHOLD], desc, &isnull);

	d->threshold = isnull ? 0 : DatumGetFloat8(value);
	value = heap_getattr(tuple, att[MIN_MONEY], desc, &isnull);
	d->has_min_money = !isnull && bj_numeric_read(value, &d->min_money) == BJ_OK;
	value = heap_getattr(tuple, att[MIN_SHARE], desc, &isnull);
	d->has_min_share = !isnull && bj_numeric_read(value, &d->min_share) == BJ_OK;
	value = heap_getattr(tuple, att[BUDGET], desc, &isnull);
	d->budget = isnull ? -1 : DatumGetInt32(value);
}

static void
visit_detector(HeapTuple tuple, TupleDesc desc, const AttrNumber *att)
{
	Detector	d = {0};
	DetectSettings settings = bj_detectors_defaults();
	bool		isnull;
	int			i;

	if (!DatumGetBool(heap_getattr(tuple, att[ACTIVE], desc, &isnull)))
		return;
	d.detector_id = DatumGetInt64(heap_getattr(tuple, att[DETECTOR_ID], desc, &isnull));
	d.rule = text_or_null(tuple, att[RULE], desc);
	d.meter = text_or_null(tuple, att[METER], desc);
	d.account = text_or_null(tuple, att[ACCOUNT], desc);
	d.action = action_of(text_or_null(tuple, att[ACTION], desc));
	d.parameters = DatumGetJsonbPCopy(heap_getattr(tuple, att[PARAMETERS], desc, &isnull));
	read_limits(&d, tuple, desc, att);
	settings.detect.threshold = 0;
	read_parameters(d.parameters, d.rule, false, &settings);
	d.off = settings.off;
	/* the column and the parameter are the same */
	if (d.threshold == 0)
		d.threshold = settings.detect.threshold;
	d.weight = (d.account != NULL) * 4 + (d.meter != NULL) * 2 + (d.rule != NULL);

	known.detectors = known.detectors == NULL ? palloc(sizeof(Detector)) :
		repalloc(known.detectors, (known.ndetectors + 1) * sizeof(Detector));
	for (i = known.ndetectors++; i > 0; i--)
	{
		Detector   *before = &known.detectors[i - 1];

		if (before->weight < d.weight ||
			(before->weight == d.weight && before->detector_id < d.detector_id))
			break;
		known.detectors[i] = *before;
	}
	known.detectors[i] = d;
}

static double
float_of(HeapTuple tuple, AttrNumber att, TupleDesc desc)
{
	bool		isnull;

	return DatumGetFloat8(heap_getattr(tuple, att, desc, &isnull));
}

static void
visit_peer(HeapTuple tuple, TupleDesc desc, const AttrNumber *att)
{
	Peer		p = {0};
	bool		isnull;
	ArrayType  *shape = DatumGetArrayTypeP(heap_getattr(tuple, att[PEER_DAY_SHAPE], desc, &isnull));

	p.meter = text_or_null(tuple, att[PEER_METER], desc);
	p.group = text_or_null(tuple, att[PEER_GROUP], desc);
	p.peer.accounts = DatumGetInt32(heap_getattr(tuple, att[PEER_ACCOUNTS], desc, &isnull));
	p.peer.level = float_of(tuple, att[PEER_LEVEL], desc);
	p.peer.spread = float_of(tuple, att[PEER_SPREAD], desc);
	p.peer.largest = float_of(tuple, att[PEER_LARGEST], desc);
	p.peer.zero_share = float_of(tuple, att[PEER_ZERO_SHARE], desc);
	p.peer.row_level = float_of(tuple, att[PEER_ROW_LEVEL], desc);
	p.peer.row_spread = float_of(tuple, att[PEER_ROW_SPREAD], desc);
	p.peer.row_noise = float_of(tuple, att[PEER_ROW_NOISE], desc);
	if (p.peer.accounts < LEAST_ACCOUNTS || ARR_NDIM(shape) != 1 ||
		ARR_DIMS(shape)[0] != 24 || ARR_HASNULL(shape))
		return;
	memcpy(p.peer.day_shape, ARR_DATA_PTR(shape), sizeof(p.peer.day_shape));
	known.peers = known.peers == NULL ? palloc(sizeof(Peer)) :
		repalloc(known.peers, (known.npeers + 1) * sizeof(Peer));
	known.peers[known.npeers++] = p;
	known.groups |= p.group[0] != '\0';
}

/* Steps of 0.05 add up: a table of thousands comes to a row a rule. */
static void
visit_step(HeapTuple tuple, TupleDesc desc, const AttrNumber *att)
{
	bool		isnull;
	Datum		value = heap_getattr(tuple, att[STEP_DETECTOR_ID], desc, &isnull);
	int64		detector_id = isnull ? 0 : DatumGetInt64(value);
	const char *rule = text_or_null(tuple, att[STEP_RULE], desc);
	int			i;

	for (i = 0; i < known.nmoved; i++)
		if (known.moved[i].detector_id == detector_id && strcmp(known.moved[i].rule, rule) == 0)
			break;
	if (i == known.nmoved)
	{
		known.moved = known.moved == NULL ? palloc(sizeof(Moved)) :
			repalloc(known.moved, (known.nmoved + 1) * sizeof(Moved));
		known.moved[known.nmoved++] = (Moved) {
			detector_id, rule, 0
		};
	}
	known.moved[i].decades += float_of(tuple, att[STEP_STEP], desc);
}

/* Verdicts move a threshold by half a decade at most, and never below 0.5. */
static double
move_threshold(double threshold, int64 detector_id, const char *rule)
{
	double		decades = 0;

	for (int i = 0; i < known.nmoved; i++)
		if (known.moved[i].detector_id == detector_id && strcmp(known.moved[i].rule, rule) == 0)
			decades = known.moved[i].decades;
	if (decades == 0)
		return threshold;
	decades = Max(-MOST_MOVED, Min(MOST_MOVED, decades));
	return Max(LEAST_THRESHOLD, bj_score_of_decades(bj_decades_of_score(threshold) + decades));
}

const char *
bj_detectors_begin(void)
{
	MemoryContext old;
	uint64		before;

	AcceptInvalidationMessages();
	if (!stale)
		return known.problem;
	if (known.context != NULL)
		MemoryContextDelete(known.context);
	memset(&known, 0, sizeof(known));
	known.context = AllocSetContextCreate(CacheMemoryContext, "billadj detectors",
										  ALLOCSET_SMALL_SIZES);
	old = MemoryContextSwitchTo(known.context);
	before = changes;
	if (read_all(BJ_TABLE_DETECTOR, detector_columns, NCOLUMNS, visit_detector) &&
		read_all(BJ_TABLE_PEER_GROUP, peer_columns, NPEERCOLUMNS, visit_peer))
		read_all(BJ_TABLE_THRESHOLD_STEP, step_columns, NSTEPCOLUMNS, visit_step);
	MemoryContextSwitchTo(old);
	stale = changes != before;
	return known.problem;
}

/* ---- answering ---- */

static bool
key_is(const char *name, KeyText key)
{
	return name == NULL ||
		(strlen(name) == key.length && memcmp(name, key.data, key.length) == 0);
}

static bool
covers(const Detector *d, KeyText account, KeyText meter)
{
	return key_is(d->account, account) && key_is(d->meter, meter);
}

bool
bj_detectors_any(BjAction action)
{
	for (int i = 0; i < known.ndetectors; i++)
		if (known.detectors[i].action == action)
			return true;
	return false;
}

/* Is the rule one that the core opens a level incident for? */
static bool
is_level_rule(const char *rule)
{
	for (int reason = BJ_REASON_NONE + 1; reason < BJ_REASON_GAP; reason++)
		if (strcmp(rule, bj_reason_name((BjReason) reason)) == 0)
			return true;
	return false;
}

/* Rules of detect_across() have tests of their own, which ask for enough. */
static bool
is_stream_rule(const char *rule)
{
	for (int reason = BJ_REASON_NONE + 1; reason < BJ_REASON_COUNT; reason++)
		if (strcmp(rule, bj_reason_name((BjReason) reason)) == 0)
			return true;
	return false;
}

/*
 * The core opens an incident at the least threshold that holds for any rule of
 * the stream; bj_detectors_policy() then asks for more where more is asked.
 */
void
bj_detectors_settings(KeyText account, KeyText meter, DetectSettings *settings)
{
	double		least = 1;

	*settings = bj_detectors_defaults();
	for (int i = 0; i < known.ndetectors; i++)
	{
		const Detector *d = &known.detectors[i];

		if (!covers(d, account, meter))
			continue;
		read_parameters(d->parameters, d->rule, true, settings);
		if (d->rule == NULL)
		{
			if (d->threshold > 0)
				settings->detect.threshold = d->threshold;
		}
		else if (d->threshold > 0 && d->threshold < least && is_level_rule(d->rule))
			least = d->threshold;
	}
	if (least < settings->detect.threshold)
		settings->detect.threshold = least;
	for (int i = 0; i < known.nmoved; i++)
	{
		DetectPolicy policy;

		if (known.moved[i].decades >= 0 || !is_level_rule(known.moved[i].rule))
			continue;
		bj_detectors_policy(account, meter, known.moved[i].rule, &policy);
		if (policy.threshold < settings->detect.threshold)
			settings->detect.threshold = policy.threshold;
	}
}

static Decimal
default_share(void)
{
	Decimal		share = BJ_DECIMAL_ZERO;

	bj_check(bj_decimal_parse(DEFAULT_MIN_SHARE, strlen(DEFAULT_MIN_SHARE), &share));
	return share;
}

void
bj_detectors_policy(KeyText account, KeyText meter, const char *rule,
					DetectPolicy *policy)
{
	DetectSettings settings = bj_detectors_defaults();

	if (!is_stream_rule(rule))
		settings.detect.threshold = LEAST_THRESHOLD;
	memset(policy, 0, sizeof(*policy));
	policy->action = BJ_ACTION_FLAG;
	policy->min_money = bj_decimal_from_int64(DEFAULT_MIN_MONEY);
	policy->min_share = default_share();
	policy->budget = DEFAULT_BUDGET;
	policy->threshold = settings.detect.threshold;
	for (int i = 0; i < known.ndetectors; i++)
	{
		const Detector *d = &known.detectors[i];

		if (!covers(d, account, meter) ||
			(d->rule != NULL && strcmp(d->rule, rule) != 0))
			continue;
		read_parameters(d->parameters, d->rule, false, &settings);
		if (d->threshold > 0)
			policy->threshold = d->threshold;
		policy->detector_id = d->detector_id;
		policy->action = d->action;
		policy->off = d->off;
		/* who names one of them does not mean the other */
		if (d->has_min_money || d->has_min_share)
		{
			policy->min_money = d->has_min_money ? d->min_money :
				bj_decimal_from_int64(DEFAULT_MIN_MONEY);
			policy->min_share = d->has_min_share ? d->min_share : BJ_DECIMAL_ZERO;
		}
		if (d->budget >= 0)
			policy->budget = d->budget;
	}
	policy->price_tolerance = settings.detect.price_tolerance;
	policy->threshold = move_threshold(policy->threshold, policy->detector_id, rule);
}

/* What the account is usually billed in the currency; false: nobody knows. */
static bool
usual_bill(KeyText account, const char *currency, Decimal *amount)
{
	Relation	rel = bj_table_open(BJ_TABLE_USUAL_BILL, AccessShareLock);
	AttrNumber	att[NBILLCOLUMNS];
	static const int leading[] = {BILL_ACCOUNT, BILL_CURRENCY};
	bool		found = false;
	bool		isnull;
	ScanKeyData keys[NBILLCOLUMNS - 1];
	SysScanDesc scan;
	HeapTuple	tuple;
	Oid			index;

	if (rel == NULL)
		return false;
	if (bj_columns_find(rel, bill_columns, NBILLCOLUMNS, att) == NULL)
	{
		index = bj_index_by_columns(rel, att, leading, lengthof(leading));
		ScanKeyEntryInitialize(&keys[0], 0, att[BILL_ACCOUNT], BTEqualStrategyNumber, InvalidOid,
							   C_COLLATION_OID, F_TEXTEQ, account.datum);
		ScanKeyEntryInitialize(&keys[1], 0, att[BILL_CURRENCY], BTEqualStrategyNumber, InvalidOid,
							   C_COLLATION_OID, F_TEXTEQ, CStringGetTextDatum(currency));
		scan = systable_beginscan(rel, index, OidIsValid(index), SnapshotSelf, lengthof(keys), keys);
		tuple = systable_getnext(scan);
		found = tuple != NULL &&
			bj_numeric_read(heap_getattr(tuple, att[BILL_AMOUNT], RelationGetDescr(rel), &isnull),
							amount) == BJ_OK;
		systable_endscan(scan);
	}
	table_close(rel, AccessShareLock);
	return found;
}

/*
 * The product is exact, hence not rounded.  A bill of nothing, or one in the
 * customer's favour, has no share.
 */
void
bj_detectors_minimum(KeyText account, const char *currency, const DetectPolicy *policy,
					 DetectMinimum *minimum)
{
	Decimal		part;

	memset(minimum, 0, sizeof(*minimum));
	minimum->amount = policy->min_money;
	minimum->share = policy->min_share;
	minimum->usual_bill = BJ_DECIMAL_ZERO;
	if (bj_decimal_sign(policy->min_share) <= 0 || currency[0] == '\0' ||
		!usual_bill(account, currency, &minimum->usual_bill))
		return;
	minimum->has_usual = true;
	if (bj_decimal_multiply(minimum->usual_bill, policy->min_share, &part) == BJ_OK &&
		bj_decimal_compare(part, minimum->amount) > 0)
		minimum->amount = part;
}

/* The group of an account, in the current context; "" where it has none. */
static const char *
group_of(KeyText account)
{
	Relation	rel = bj_table_open(BJ_TABLE_ACCOUNT, AccessShareLock);
	AttrNumber	att[lengthof(account_columns)];
	int			leading = 0;
	const char *group = NULL;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	Oid			index;

	if (rel == NULL)
		return "";
	if (bj_columns_find(rel, account_columns, lengthof(account_columns), att) == NULL)
	{
		index = bj_index_by_columns(rel, att, &leading, 1);
		ScanKeyEntryInitialize(&key, 0, att[0], BTEqualStrategyNumber, InvalidOid,
							   C_COLLATION_OID, F_TEXTEQ, account.datum);
		scan = systable_beginscan(rel, index, OidIsValid(index), SnapshotSelf, 1, &key);
		if ((tuple = systable_getnext(scan)) != NULL)
			group = text_or_null(tuple, att[1], RelationGetDescr(rel));
		systable_endscan(scan);
	}
	table_close(rel, AccessShareLock);
	return group != NULL ? group : "";
}

/* Its own group; where that says nothing, all accounts of the meter. */
const BjPeer *
bj_detectors_peer(KeyText account, KeyText meter)
{
	const char *group = known.groups ? group_of(account) : "";
	const BjPeer *all = NULL;

	for (int i = 0; i < known.npeers; i++)
	{
		if (!key_is(known.peers[i].meter, meter))
			continue;
		if (group[0] != '\0' && strcmp(known.peers[i].group, group) == 0)
			return &known.peers[i].peer;
		if (known.peers[i].group[0] == '\0')
			all = &known.peers[i].peer;
	}
	return all;
}

const char *
bj_detectors_peer_group(const BjPeer *peer)
{
	const Peer *known_as = (const Peer *) ((const char *) peer - offsetof(Peer, peer));

	return known_as->group;
}
