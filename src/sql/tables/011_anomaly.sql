-- 011_anomaly.sql: detectors, baselines, anomalies and verdicts

-- No row is needed: without one the library's own defaults hold, with action
-- flag.  A row changes what it names; of several that match, the one that
-- names the account, then the meter, then the rule, decides.
CREATE TABLE billadj.detector (
    detector_id bigint      GENERATED ALWAYS AS IDENTITY,
    rule        text        COLLATE "C",
    meter       text        COLLATE "C",
    account     text        COLLATE "C",
    parameters  jsonb       NOT NULL DEFAULT '{}',
    action      text        NOT NULL DEFAULT 'flag',
    threshold   double precision,
    min_money   numeric,
    min_share   numeric,
    budget      integer,
    active      boolean     NOT NULL DEFAULT true,
    note        text,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    created_by  text        NOT NULL DEFAULT session_user,
    CONSTRAINT detector_pkey PRIMARY KEY (detector_id),
    CONSTRAINT detector_rule_check CHECK (rule IN ('spike', 'drop', 'shift_up', 'shift_down', 'outage', 'unit', 'double', 'leak',
        'pattern', 'zone', 'stuck', 'first_row', 'gap', 'price', 'duplicate', 'near_duplicate', 'late', 'future', 'too_old',
        'negative', 'invalid', 'reset', 'wrap', 'same_rows', 'same_pattern', 'under_limit', 'credits', 'amount', 'credit_share', 'off_contract')),
    CONSTRAINT detector_action_check CHECK (action IN ('flag', 'hold', 'reject', 'propose')),
    -- these see no single row that could be held or refused
    CONSTRAINT detector_account_action_check CHECK (action = 'flag' OR rule = 'off_contract' AND action = 'propose'
        OR rule IS NULL OR rule NOT IN ('same_rows', 'same_pattern', 'under_limit', 'credits', 'amount', 'credit_share', 'off_contract')),
    CONSTRAINT detector_parameters_check CHECK (jsonb_typeof(parameters) = 'object'),
    CONSTRAINT detector_threshold_check CHECK (threshold >= 0.5 AND threshold < 1),
    CONSTRAINT detector_min_money_check CHECK (min_money >= 0 AND min_money < 'Infinity'),
    CONSTRAINT detector_min_share_check CHECK (min_share >= 0 AND min_share <= 1),
    CONSTRAINT detector_budget_check CHECK (budget >= 0)
);
COMMENT ON TABLE billadj.detector IS 'what is done about anomalies where the defaults do not do: scope, parameters, action, minimum money, budget';
COMMENT ON COLUMN billadj.detector.detector_id IS 'its number';
COMMENT ON COLUMN billadj.detector.rule IS 'the rule it is about; NULL: every rule';
COMMENT ON COLUMN billadj.detector.meter IS 'the meter it is about; NULL: every meter';
COMMENT ON COLUMN billadj.detector.account IS 'the account it is about; NULL: every account';
COMMENT ON COLUMN billadj.detector.parameters IS 'parameters that differ from the defaults, see the section Anomaly detection of doc/billadj.md';
COMMENT ON COLUMN billadj.detector.action IS 'flag: note it; hold: charged but not billable; propose: a proposal to credit what is too much; reject: the statement fails';
COMMENT ON COLUMN billadj.detector.threshold IS 'score from which an incident opens; NULL: as a detector that names less says, or 0.583';
COMMENT ON COLUMN billadj.detector.min_money IS 'money at risk, in the currency of the charge, below which nothing is done beyond a row in billadj.anomaly; NULL: 1';
COMMENT ON COLUMN billadj.detector.min_share IS 'the same as a share of the account''s usual bill (billadj.usual_bill), 0 to 1; the larger of both counts. NULL: none beside a min_money, 0.01 where that is NULL too';
COMMENT ON COLUMN billadj.detector.budget IS 'notifications of an account and month; further ones only for more money than the least of them; NULL: 10';
COMMENT ON COLUMN billadj.detector.active IS 'false: as if it were not there';
COMMENT ON COLUMN billadj.detector.note IS 'why it is there';
COMMENT ON COLUMN billadj.detector.created_at IS 'when it was made';
COMMENT ON COLUMN billadj.detector.created_by IS 'the login that made it';

-- What is fixed comes first: an update looks at every column of the key, and
-- logs no more than what lies between the first and the last change.
-- fillfactor 45: room for a new version of each row on its page.
CREATE TABLE billadj.baseline (
    account text  COLLATE "C" NOT NULL,
    meter   text  COLLATE "C" NOT NULL,
    problem text,
    state   bytea NOT NULL,
    CONSTRAINT baseline_pkey PRIMARY KEY (account, meter)
) WITH (fillfactor = 45);
ALTER TABLE billadj.baseline ALTER account SET STORAGE PLAIN, ALTER meter SET STORAGE PLAIN, ALTER problem SET STORAGE PLAIN,
    ALTER state SET STORAGE PLAIN;
COMMENT ON TABLE billadj.baseline IS 'what is usual for each account and meter; written at commit by the library only';
COMMENT ON COLUMN billadj.baseline.account IS 'who is billed';
COMMENT ON COLUMN billadj.baseline.meter IS 'what was counted';
COMMENT ON COLUMN billadj.baseline.problem IS 'why it was begun anew at some time; NULL: it never was';
COMMENT ON COLUMN billadj.baseline.state IS 'the state of the stream, as the library writes it: versioned and checksummed, the same bytes for the same rows; of a stream that is judged by the hour or by the day, when that began';

-- The part of such a stream's state that changes with each row of usage, so that
-- the wide row changes once an hour.  fillfactor 25: room for a dozen versions of
-- each row on its page.
-- Under a price with tiers it stands beside the newest total, which is written at
-- the same commits: then only where that is stands here.
CREATE TABLE billadj.open_bucket (
    account      text        COLLATE "C" NOT NULL,
    meter        text        COLLATE "C" NOT NULL,
    state        bytea       NOT NULL,
    period_start timestamptz,
    price_id     bigint,
    CONSTRAINT open_bucket_pkey PRIMARY KEY (account, meter)
) WITH (fillfactor = 25);
ALTER TABLE billadj.open_bucket ALTER account SET STORAGE PLAIN, ALTER meter SET STORAGE PLAIN, ALTER state SET STORAGE PLAIN;
COMMENT ON TABLE billadj.open_bucket IS 'the hour or the day that is open, of each account and meter judged by them; written at commit by the library only';
COMMENT ON COLUMN billadj.open_bucket.account IS 'who is billed';
COMMENT ON COLUMN billadj.open_bucket.meter IS 'what was counted';
COMMENT ON COLUMN billadj.open_bucket.state IS 'the part of the stream''s state that changes with each row: billadj.join_state() puts it into the state in billadj.baseline; empty where it stands in billadj.tier_total.bucket';
COMMENT ON COLUMN billadj.open_bucket.period_start IS 'with price_id: of the row in billadj.tier_total that has it; NULL: state has it';
COMMENT ON COLUMN billadj.open_bucket.price_id IS 'with period_start: of the row in billadj.tier_total that has it; NULL: state has it';

CREATE SEQUENCE billadj.anomaly_id_seq AS bigint;
COMMENT ON SEQUENCE billadj.anomaly_id_seq IS 'numbers of anomalies';

-- Open incidents carry a baseline each; toast_tuple_target keeps their other
-- columns where they are.
CREATE TABLE billadj.anomaly (
    account          text             COLLATE "C" NOT NULL,
    anomaly_id       bigint           NOT NULL,
    meter            text             COLLATE "C" NOT NULL,
    occurred_at      timestamptz      NOT NULL,
    rule             text             COLLATE "C" NOT NULL,
    family           text             NOT NULL,
    score            double precision NOT NULL,
    expected         double precision,
    lower_bound      double precision,
    upper_bound      double precision,
    observed         double precision,
    ratio            double precision,
    unit_factor      double precision,
    lag_hours        integer,
    since            timestamptz,
    longest          double precision,
    detail           jsonb,
    detector_id      bigint,
    action           text             NOT NULL,
    charge_id        bigint,
    period_start     timestamptz,
    currency         text,
    excess           numeric          NOT NULL DEFAULT 0,
    last_excess      numeric          NOT NULL DEFAULT 0,
    last_since       timestamptz,
    money_at_risk    numeric          NOT NULL DEFAULT 0,
    money_projected  numeric,
    row_count        bigint           NOT NULL DEFAULT 1,
    last_at          timestamptz      NOT NULL,
    peak_score       double precision NOT NULL,
    min_money        numeric,
    min_share        numeric,
    usual_bill       numeric,
    money_notified   numeric,
    notified_at      timestamptz,
    state            text             NOT NULL DEFAULT 'open',
    closes_at        timestamptz,
    closed_at        timestamptz,
    closed_because   text,
    trusted          bytea,
    created_at       timestamptz      NOT NULL DEFAULT clock_timestamp(),
    created_by       text             NOT NULL DEFAULT session_user,
    CONSTRAINT anomaly_pkey PRIMARY KEY (account, anomaly_id),
    CONSTRAINT anomaly_family_check CHECK (family IN ('level', 'cadence', 'price', 'row', 'account')),
    CONSTRAINT anomaly_state_check CHECK (state IN ('open', 'passed', 'new_normal', 'judged')),
    CONSTRAINT anomaly_closed_check CHECK ((state = 'open') = (closed_at IS NULL) AND (state = 'open') = (closed_because IS NULL)),
    CONSTRAINT anomaly_closed_because_check CHECK (closed_because IN ('usual_again', 'rows_came', 'day_passed', 'no_repetition', 'stayed', 'learned_anew', 'verdict')),
    CONSTRAINT anomaly_action_check CHECK (action IN ('flag', 'hold', 'reject', 'propose'))
) WITH (toast_tuple_target = 8160);
ALTER TABLE billadj.anomaly ALTER trusted SET STORAGE PLAIN;
CREATE INDEX anomaly_open_idx ON billadj.anomaly (account, meter) WHERE closed_at IS NULL;
COMMENT ON TABLE billadj.anomaly IS 'incidents: one row is one incident, however many usage rows it has';
COMMENT ON COLUMN billadj.anomaly.account IS 'who is billed';
COMMENT ON COLUMN billadj.anomaly.anomaly_id IS 'its number, unique in the instance';
COMMENT ON COLUMN billadj.anomaly.meter IS 'what was counted';
COMMENT ON COLUMN billadj.anomaly.occurred_at IS 'when the usage happened that opened it';
COMMENT ON COLUMN billadj.anomaly.rule IS 'what is unusual: spike, drop, shift_up, gap, duplicate …';
COMMENT ON COLUMN billadj.anomaly.family IS 'level, cadence, price, row or account; a stream has one open incident of each of the first three';
COMMENT ON COLUMN billadj.anomaly.score IS 'how unusual the row was that opened it, 0.5 to 1';
COMMENT ON COLUMN billadj.anomaly.expected IS 'what was expected of the row or of its bucket, in the same unit';
COMMENT ON COLUMN billadj.anomaly.lower_bound IS 'lower end of the range that 99 of 100 usual ones are in';
COMMENT ON COLUMN billadj.anomaly.upper_bound IS 'upper end of that range';
COMMENT ON COLUMN billadj.anomaly.observed IS 'what was observed, in the unit of the meter; a bucket''s sum where the stream is judged by buckets; of rule gap the seconds without a row, of rule price the amount per unit, of rules across accounts see the sentence';
COMMENT ON COLUMN billadj.anomaly.ratio IS 'observed over expected; NULL: unknown';
COMMENT ON COLUMN billadj.anomaly.unit_factor IS 'factor of a wrong unit (1000, 3600 …); NULL: none';
COMMENT ON COLUMN billadj.anomaly.lag_hours IS 'hours that the usual day is late, where a time zone was changed';
COMMENT ON COLUMN billadj.anomaly.since IS 'when what is judged began: the bucket, the run, the gap';
COMMENT ON COLUMN billadj.anomaly.longest IS 'stuck: the longest run before; gap: the usual spacing in seconds';
COMMENT ON COLUMN billadj.anomaly.detail IS 'what else is known of it; of a duplicate the row that it repeats, or that this is not looked up yet ({"confirmed": false})';
COMMENT ON COLUMN billadj.anomaly.detector_id IS 'the detector whose settings applied; NULL: the defaults';
COMMENT ON COLUMN billadj.anomaly.action IS 'what the detector asks for: flag, hold, reject or propose';
COMMENT ON COLUMN billadj.anomaly.charge_id IS 'charge of the row that opened it; NULL: no row did';
COMMENT ON COLUMN billadj.anomaly.period_start IS 'beginning of that charge''s period';
COMMENT ON COLUMN billadj.anomaly.currency IS 'ISO 4217 code of the money';
COMMENT ON COLUMN billadj.anomaly.excess IS 'charges of its rows less what the expected usage would have been charged; negative: too little';
COMMENT ON COLUMN billadj.anomaly.last_excess IS 'what the last row, or the last bucket, added to it';
COMMENT ON COLUMN billadj.anomaly.last_since IS 'when that bucket began: rows of one bucket replace one another';
COMMENT ON COLUMN billadj.anomaly.money_at_risk IS 'the excess without its sign';
COMMENT ON COLUMN billadj.anomaly.money_projected IS 'what it comes to at the end of the account''s billing period if it goes on; NULL: it is closed, or no matter of duration';
COMMENT ON COLUMN billadj.anomaly.row_count IS 'usage rows, or buckets, that belong to it';
COMMENT ON COLUMN billadj.anomaly.last_at IS 'when the last of them happened';
COMMENT ON COLUMN billadj.anomaly.peak_score IS 'the highest score of them';
COMMENT ON COLUMN billadj.anomaly.min_money IS 'the minimum that its money at risk was last compared with; NULL: it was not';
COMMENT ON COLUMN billadj.anomaly.min_share IS 'the share of the usual bill that its detector asks for; NULL: none';
COMMENT ON COLUMN billadj.anomaly.usual_bill IS 'the usual bill that this was a share of; NULL: not known';
COMMENT ON COLUMN billadj.anomaly.money_notified IS 'money at risk when it was last notified';
COMMENT ON COLUMN billadj.anomaly.notified_at IS 'when it was last notified; NULL: too little money, or beyond the budget';
COMMENT ON COLUMN billadj.anomaly.state IS 'open; passed: usual again; new_normal: it stayed and is usual now; judged: by a person';
COMMENT ON COLUMN billadj.anomaly.closes_at IS 'of single rows: the midnight (UTC) at which their day has passed and it closes; NULL: it closes for another reason';
COMMENT ON COLUMN billadj.anomaly.closed_at IS 'when it was closed; NULL: it is open';
COMMENT ON COLUMN billadj.anomaly.closed_because IS 'why: usual_again, rows_came, day_passed, no_repetition, stayed (new_normal), learned_anew or verdict; NULL: it is open';
COMMENT ON COLUMN billadj.anomaly.trusted IS 'what was usual before it, while it is open: it is not learned as usual';
COMMENT ON COLUMN billadj.anomaly.created_at IS 'when it was found';
COMMENT ON COLUMN billadj.anomaly.created_by IS 'the login whose statement it was found in';

CREATE TABLE billadj.verdict (
    account    text        COLLATE "C" NOT NULL,
    verdict_id bigint      GENERATED ALWAYS AS IDENTITY,
    anomaly_id bigint      NOT NULL,
    verdict    text        NOT NULL,
    note       text,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    created_by text        NOT NULL DEFAULT session_user,
    CONSTRAINT verdict_pkey PRIMARY KEY (account, verdict_id),
    CONSTRAINT verdict_anomaly_fkey FOREIGN KEY (account, anomaly_id) REFERENCES billadj.anomaly (account, anomaly_id),
    CONSTRAINT verdict_verdict_check CHECK (verdict IN ('expected', 'error', 'fraud', 'unsure'))
);
CREATE INDEX verdict_anomaly_idx ON billadj.verdict (account, anomaly_id);
COMMENT ON TABLE billadj.verdict IS 'what people said of anomalies; the latest counts, none is changed';
COMMENT ON COLUMN billadj.verdict.account IS 'who is billed';
COMMENT ON COLUMN billadj.verdict.verdict_id IS 'its number, ascending';
COMMENT ON COLUMN billadj.verdict.anomaly_id IS 'the anomaly';
COMMENT ON COLUMN billadj.verdict.verdict IS 'expected, error, fraud or unsure';
COMMENT ON COLUMN billadj.verdict.note IS 'why: its number in billadj.private_text, where the words can be erased';
COMMENT ON COLUMN billadj.verdict.created_at IS 'when';
COMMENT ON COLUMN billadj.verdict.created_by IS 'the login that said it';

-- The sum of the steps of a detector and rule, no more than 0.5 either way, is
-- how far its threshold is moved.
CREATE TABLE billadj.threshold_step (
    account     text             COLLATE "C" NOT NULL,
    verdict_id  bigint           NOT NULL,
    detector_id bigint,
    rule        text             COLLATE "C" NOT NULL,
    step        double precision NOT NULL,
    created_at  timestamptz      NOT NULL DEFAULT clock_timestamp(),
    created_by  text             NOT NULL DEFAULT session_user,
    CONSTRAINT threshold_step_pkey PRIMARY KEY (account, verdict_id),
    CONSTRAINT threshold_step_step_check CHECK (step IN (-0.1, -0.05, 0, 0.05, 0.1))
);
COMMENT ON TABLE billadj.threshold_step IS 'how verdicts moved thresholds; written by the library only';
COMMENT ON COLUMN billadj.threshold_step.account IS 'whose anomaly was judged';
COMMENT ON COLUMN billadj.threshold_step.verdict_id IS 'the verdict';
COMMENT ON COLUMN billadj.threshold_step.detector_id IS 'the detector whose threshold is moved; NULL: the defaults';
COMMENT ON COLUMN billadj.threshold_step.rule IS 'the rule for which it is moved';
COMMENT ON COLUMN billadj.threshold_step.step IS 'by how many decades of rarity; 0: it is at its bound, or the anomaly was judged so before; 0.1: an earlier verdict on it was taken back too';
COMMENT ON COLUMN billadj.threshold_step.created_at IS 'when';
COMMENT ON COLUMN billadj.threshold_step.created_by IS 'the login whose verdict it was';

-- The latest verdict on an anomaly counts.
CREATE VIEW billadj.detector_precision WITH (security_invoker = true) AS
SELECT a.detector_id, a.rule, count(*) AS anomalies, count(v.verdict) AS judged,
       count(*) FILTER (WHERE v.verdict IN ('error', 'fraud')) AS found, count(*) FILTER (WHERE v.verdict = 'expected') AS false_alarms,
       count(*) FILTER (WHERE v.verdict = 'unsure') AS unsure,
       round(count(*) FILTER (WHERE v.verdict IN ('error', 'fraud'))::numeric / nullif(count(*) FILTER (WHERE v.verdict <> 'unsure'), 0), 3) AS precision,
       (SELECT CASE WHEN count(*) > 0 THEN least(0.5, greatest(-0.5, round(sum(s.step)::numeric, 2))) END
          FROM billadj.threshold_step s
         WHERE s.detector_id IS NOT DISTINCT FROM a.detector_id AND s.rule = a.rule) AS moved
  FROM billadj.anomaly a
  LEFT JOIN LATERAL (SELECT v.verdict FROM billadj.verdict v
                      WHERE v.account = a.account AND v.anomaly_id = a.anomaly_id ORDER BY v.verdict_id DESC LIMIT 1) v ON true
 GROUP BY a.detector_id, a.rule;
COMMENT ON VIEW billadj.detector_precision IS 'how many of its anomalies were right, by detector and rule';
COMMENT ON COLUMN billadj.detector_precision.detector_id IS 'the detector; NULL: the defaults';
COMMENT ON COLUMN billadj.detector_precision.rule IS 'the rule';
COMMENT ON COLUMN billadj.detector_precision.anomalies IS 'incidents';
COMMENT ON COLUMN billadj.detector_precision.judged IS 'those with a verdict';
COMMENT ON COLUMN billadj.detector_precision.found IS 'verdict error or fraud';
COMMENT ON COLUMN billadj.detector_precision.false_alarms IS 'verdict expected';
COMMENT ON COLUMN billadj.detector_precision.unsure IS 'verdict unsure';
COMMENT ON COLUMN billadj.detector_precision.precision IS 'found over found and false alarms; NULL: none was judged';
COMMENT ON COLUMN billadj.detector_precision.moved IS 'decades by which verdicts moved the threshold, -0.5 to 0.5; NULL: they did not';

CREATE TABLE billadj.peer_group (
    meter        text             COLLATE "C" NOT NULL,
    peer_group   text             COLLATE "C" NOT NULL,
    accounts     integer          NOT NULL,
    level        double precision NOT NULL,
    spread       double precision NOT NULL,
    largest      double precision NOT NULL,
    zero_share   double precision NOT NULL,
    day_shape    double precision[] NOT NULL,
    row_level    double precision NOT NULL,
    row_spread   double precision NOT NULL,
    row_noise    double precision NOT NULL,
    refreshed_at timestamptz      NOT NULL DEFAULT clock_timestamp(),
    created_at   timestamptz      NOT NULL DEFAULT clock_timestamp(),
    created_by   text             NOT NULL DEFAULT session_user,
    CONSTRAINT peer_group_pkey PRIMARY KEY (meter, peer_group),
    CONSTRAINT peer_group_shape_check CHECK (cardinality(day_shape) = 24)
);
COMMENT ON TABLE billadj.peer_group IS 'what comparable accounts use of a meter; what a young account is compared with';
COMMENT ON COLUMN billadj.peer_group.meter IS 'what is counted';
COMMENT ON COLUMN billadj.peer_group.peer_group IS 'the group of billadj.account.peer_group; empty: all accounts of the meter';
COMMENT ON COLUMN billadj.peer_group.accounts IS 'accounts it was made from';
COMMENT ON COLUMN billadj.peer_group.level IS 'mean of log2 of their usual values';
COMMENT ON COLUMN billadj.peer_group.spread IS 'standard deviation of it';
COMMENT ON COLUMN billadj.peer_group.largest IS 'log2 of the value that 99.9 % of their rows stay below';
COMMENT ON COLUMN billadj.peer_group.zero_share IS 'share of rows that are zero';
COMMENT ON COLUMN billadj.peer_group.day_shape IS 'usual value of each hour of the day over the average';
COMMENT ON COLUMN billadj.peer_group.row_level IS 'mean of the accounts'' means of log2 of a row above zero';
COMMENT ON COLUMN billadj.peer_group.row_spread IS 'standard deviation of these means';
COMMENT ON COLUMN billadj.peer_group.row_noise IS 'usual standard deviation of log2 of a row from its account''s mean';
COMMENT ON COLUMN billadj.peer_group.refreshed_at IS 'when it was computed';
COMMENT ON COLUMN billadj.peer_group.created_at IS 'when it was first computed';
COMMENT ON COLUMN billadj.peer_group.created_by IS 'the login that did';

-- What an account is usually billed, for the minimum of detectors; read by whoever
-- opens an incident.
CREATE TABLE billadj.usual_bill (
    account      text        COLLATE "C" NOT NULL,
    currency     text        COLLATE "C" NOT NULL,
    amount       numeric     NOT NULL,
    periods      integer     NOT NULL,
    last_period  timestamptz NOT NULL,
    refreshed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    created_by   text        NOT NULL DEFAULT session_user,
    CONSTRAINT usual_bill_pkey PRIMARY KEY (account, currency)
);
COMMENT ON TABLE billadj.usual_bill IS 'what each account is usually billed; written by refresh_usual_bills()';
COMMENT ON COLUMN billadj.usual_bill.account IS 'who is billed';
COMMENT ON COLUMN billadj.usual_bill.currency IS 'ISO 4217 code of the amount';
COMMENT ON COLUMN billadj.usual_bill.amount IS 'median of what its complete periods came to, charges and adjustments; of two in the middle the smaller';
COMMENT ON COLUMN billadj.usual_bill.periods IS 'complete periods it is the median of';
COMMENT ON COLUMN billadj.usual_bill.last_period IS 'beginning of the last of them';
COMMENT ON COLUMN billadj.usual_bill.refreshed_at IS 'when it was computed';
COMMENT ON COLUMN billadj.usual_bill.created_at IS 'when it was first computed';
COMMENT ON COLUMN billadj.usual_bill.created_by IS 'the login that did';

CREATE TABLE billadj.usual_bill_run (
    as_of      date        NOT NULL,
    bills      integer     NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    created_by text        NOT NULL DEFAULT session_user,
    CONSTRAINT usual_bill_run_pkey PRIMARY KEY (as_of)
);
COMMENT ON TABLE billadj.usual_bill_run IS 'when usual bills were computed: once a week';
COMMENT ON COLUMN billadj.usual_bill_run.as_of IS 'Monday (UTC) of the week for which they were computed';
COMMENT ON COLUMN billadj.usual_bill_run.bills IS 'accounts and currencies that changed';
COMMENT ON COLUMN billadj.usual_bill_run.created_at IS 'when';
COMMENT ON COLUMN billadj.usual_bill_run.created_by IS 'the login that did';

CREATE VIEW billadj.open_anomaly WITH (security_invoker = true) AS
SELECT a.account, a.anomaly_id, a.meter, a.rule, a.family, a.occurred_at, a.last_at, a.row_count, a.score, a.peak_score, a.observed, a.expected,
       a.lower_bound, a.upper_bound, a.money_at_risk, a.money_projected, a.currency, a.action, a.charge_id, a.notified_at, a.closes_at,
       EXISTS (SELECT FROM billadj.hold h WHERE h.account = a.account AND h.anomaly_id = a.anomaly_id AND h.ended_at IS NULL) AS held
  FROM billadj.anomaly a
 WHERE a.closed_at IS NULL AND NOT coalesce(a.detail @> '{"confirmed": false}', false)
 ORDER BY a.money_at_risk DESC, a.peak_score DESC, a.account, a.anomaly_id;
COMMENT ON VIEW billadj.open_anomaly IS 'open incidents, the most money at risk first';
COMMENT ON COLUMN billadj.open_anomaly.account IS 'who is billed';
COMMENT ON COLUMN billadj.open_anomaly.anomaly_id IS 'its number';
COMMENT ON COLUMN billadj.open_anomaly.meter IS 'what was counted';
COMMENT ON COLUMN billadj.open_anomaly.rule IS 'what is unusual';
COMMENT ON COLUMN billadj.open_anomaly.family IS 'level, cadence, price, row or account';
COMMENT ON COLUMN billadj.open_anomaly.occurred_at IS 'when the usage happened that opened it';
COMMENT ON COLUMN billadj.open_anomaly.last_at IS 'when the last of its usage happened';
COMMENT ON COLUMN billadj.open_anomaly.row_count IS 'usage rows, or buckets, that belong to it';
COMMENT ON COLUMN billadj.open_anomaly.score IS 'how unusual the first was';
COMMENT ON COLUMN billadj.open_anomaly.peak_score IS 'the highest score of them';
COMMENT ON COLUMN billadj.open_anomaly.observed IS 'what was observed, in the unit of the meter; of rule gap the seconds without a row, of rule price the amount per unit, of rules across accounts see the sentence';
COMMENT ON COLUMN billadj.open_anomaly.expected IS 'what was expected, in the same unit';
COMMENT ON COLUMN billadj.open_anomaly.lower_bound IS 'lower end of the usual range';
COMMENT ON COLUMN billadj.open_anomaly.upper_bound IS 'upper end of the usual range';
COMMENT ON COLUMN billadj.open_anomaly.money_at_risk IS 'charges less what the expected usage would have been charged, without sign';
COMMENT ON COLUMN billadj.open_anomaly.money_projected IS 'what it comes to at the end of the period if it goes on';
COMMENT ON COLUMN billadj.open_anomaly.currency IS 'ISO 4217 code of the money';
COMMENT ON COLUMN billadj.open_anomaly.action IS 'what the detector asks for';
COMMENT ON COLUMN billadj.open_anomaly.charge_id IS 'charge of the row that opened it';
COMMENT ON COLUMN billadj.open_anomaly.notified_at IS 'when it was last notified; NULL: it was not';
COMMENT ON COLUMN billadj.open_anomaly.closes_at IS 'of single rows: when their day has passed and it closes by itself; NULL: it does not close by time';
COMMENT ON COLUMN billadj.open_anomaly.held IS 'whether a charge is held because of it';

-- What waits for a release or a cancellation, also when its incident is over.  No
-- charge is looked up: there is no index on those of the running month.
CREATE VIEW billadj.open_hold WITH (security_invoker = true) AS
SELECT h.account, h.hold_id, h.charge_id, h.reason, h.created_at AS held_at, h.anomaly_id, a.meter, a.rule, a.occurred_at, a.money_at_risk, a.currency, a.state AS anomaly_state,
       (SELECT v.verdict FROM billadj.verdict v WHERE v.account = h.account AND v.anomaly_id = h.anomaly_id ORDER BY v.verdict_id DESC LIMIT 1) AS verdict,
       (SELECT r.request_id FROM billadj.override_request r
         WHERE r.account = h.account AND r.kind IN ('release', 'cancel') AND r.state IN ('open', 'approved')
           AND r.charge_id IN (SELECT g.charge_id FROM billadj.hold g WHERE g.account = h.account AND coalesce(g.part_of, g.hold_id) = coalesce(h.part_of, h.hold_id) AND g.ended_at IS NULL)
         ORDER BY r.request_id LIMIT 1) AS asked, h.part_of
  FROM billadj.hold h
  LEFT JOIN billadj.anomaly a ON a.account = h.account AND a.anomaly_id = h.anomaly_id
 WHERE h.ended_at IS NULL
 ORDER BY h.created_at, h.account, h.hold_id;
COMMENT ON VIEW billadj.open_hold IS 'charges that are held, the longest first: not on a bill until they are released or cancelled';
COMMENT ON COLUMN billadj.open_hold.account IS 'who is billed';
COMMENT ON COLUMN billadj.open_hold.hold_id IS 'number of the hold';
COMMENT ON COLUMN billadj.open_hold.charge_id IS 'the charge';
COMMENT ON COLUMN billadj.open_hold.reason IS 'why it is held: the rule, or a person''s words';
COMMENT ON COLUMN billadj.open_hold.held_at IS 'since when';
COMMENT ON COLUMN billadj.open_hold.anomaly_id IS 'the incident because of which it is held; NULL: a person held it';
COMMENT ON COLUMN billadj.open_hold.meter IS 'meter of the incident';
COMMENT ON COLUMN billadj.open_hold.rule IS 'rule of the incident';
COMMENT ON COLUMN billadj.open_hold.occurred_at IS 'when the usage happened that opened the incident';
COMMENT ON COLUMN billadj.open_hold.money_at_risk IS 'money at risk of the whole incident';
COMMENT ON COLUMN billadj.open_hold.currency IS 'ISO 4217 code of the money';
COMMENT ON COLUMN billadj.open_hold.anomaly_state IS 'open, or how the incident ended: that does not end the hold';
COMMENT ON COLUMN billadj.open_hold.verdict IS 'the latest verdict on the incident; it does not end the hold either';
COMMENT ON COLUMN billadj.open_hold.part_of IS 'the hold that it ends with: the charge is a difference to one that was held when its usage row was corrected; NULL: it stands for itself';
COMMENT ON COLUMN billadj.open_hold.asked IS 'request to release or cancel it that is not decided or not applied yet; NULL: none that you may see';

GRANT SELECT ON billadj.open_hold, billadj.detector, billadj.usual_bill, billadj.usual_bill_run, billadj.baseline, billadj.open_bucket, billadj.anomaly, billadj.verdict, billadj.peer_group, billadj.open_anomaly, billadj.threshold_step,
      billadj.detector_precision
   TO billadj_admin, billadj_operator, billadj_requester, billadj_approver, billadj_policy, billadj_auditor, billadj_reader;
GRANT INSERT (rule, meter, account, parameters, action, threshold, min_money, min_share, budget, active, note),
      UPDATE (parameters, action, threshold, min_money, min_share, budget, active, note) ON billadj.detector TO billadj_admin;
GRANT INSERT (account, anomaly_id, verdict, note) ON billadj.verdict TO billadj_operator, billadj_approver, billadj_admin;
GRANT INSERT, UPDATE, DELETE ON billadj.peer_group TO billadj_operator, billadj_admin;
GRANT INSERT, UPDATE ON billadj.usual_bill, billadj.usual_bill_run TO billadj_operator, billadj_admin;
