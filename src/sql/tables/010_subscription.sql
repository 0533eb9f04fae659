-- 010_subscription.sql: plans and their prices, subscriptions, their terms and periods

CREATE TABLE billadj.plan (
    plan        text        COLLATE "C" NOT NULL,
    description text,
    currency    text        NOT NULL,
    every       interval    NOT NULL DEFAULT '1 month',
    anchor      text        NOT NULL DEFAULT 'anniversary',
    day_count   text        NOT NULL DEFAULT 'actual_days',
    scale       integer     NOT NULL DEFAULT 2,
    rounding    text        NOT NULL DEFAULT 'half_up',
    round_at    text        NOT NULL DEFAULT 'line',
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    created_by  text        NOT NULL DEFAULT session_user,
    CONSTRAINT plan_pkey PRIMARY KEY (plan),
    CONSTRAINT plan_plan_check CHECK (plan <> ''),
    CONSTRAINT plan_currency_check CHECK (currency ~ '^[A-Z]{3}$'),
    CONSTRAINT plan_every_check CHECK (every > '0'),
    CONSTRAINT plan_anchor_check CHECK (anchor IN ('anniversary', 'calendar')),
    CONSTRAINT plan_scale_check CHECK (scale BETWEEN 0 AND 12),
    CONSTRAINT plan_round_at_check CHECK (round_at IN ('line', 'total'))
);
COMMENT ON TABLE billadj.plan IS 'what can be subscribed to; never changed, since charges of the past follow from it';
COMMENT ON COLUMN billadj.plan.plan IS 'its name';
COMMENT ON COLUMN billadj.plan.description IS 'for people; the one column that may be changed';
COMMENT ON COLUMN billadj.plan.currency IS 'ISO 4217 code of all its amounts';
COMMENT ON COLUMN billadj.plan.every IS 'length of a billing period: weeks, months, years';
COMMENT ON COLUMN billadj.plan.anchor IS 'anniversary: periods begin as the subscription did; calendar: on the first of the month (or the account''s anchor_day)';
COMMENT ON COLUMN billadj.plan.day_count IS 'how the share of a part of a period is measured, as prorate() names it';
COMMENT ON COLUMN billadj.plan.scale IS 'decimals of a prorated amount';
COMMENT ON COLUMN billadj.plan.rounding IS 'rounding mode of a prorated amount';
COMMENT ON COLUMN billadj.plan.round_at IS 'line: each line of a period is rounded by itself; total: their sum is, and the lines share the residual';
COMMENT ON COLUMN billadj.plan.created_at IS 'when it was made';
COMMENT ON COLUMN billadj.plan.created_by IS 'the login that made it';

-- A version ends, and the next one begins: whoever subscribed under the old one
-- keeps it until his term says another priced_at.
CREATE TABLE billadj.plan_price (
    plan_price_id bigint      GENERATED ALWAYS AS IDENTITY,
    plan          text        COLLATE "C" NOT NULL,
    component     text        COLLATE "C" NOT NULL DEFAULT 'base',
    kind          text        NOT NULL DEFAULT 'recurring',
    timing        text        NOT NULL DEFAULT 'advance',
    meter         text        COLLATE "C",
    price         jsonb       NOT NULL,
    per_unit      boolean     NOT NULL DEFAULT true,
    valid         tstzrange   NOT NULL DEFAULT tstzrange(NULL, NULL),
    created_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    created_by    text        NOT NULL DEFAULT session_user,
    CONSTRAINT plan_price_pkey PRIMARY KEY (plan_price_id),
    CONSTRAINT plan_price_plan_fkey FOREIGN KEY (plan) REFERENCES billadj.plan,
    CONSTRAINT plan_price_component_check CHECK (component <> ''),
    CONSTRAINT plan_price_kind_check CHECK (kind IN ('recurring', 'one_off', 'usage')),
    CONSTRAINT plan_price_timing_check CHECK (timing IN ('advance', 'arrears')),
    CONSTRAINT plan_price_meter_check CHECK ((kind = 'usage') = (meter IS NOT NULL)),
    CONSTRAINT plan_price_price_check CHECK (jsonb_typeof(price) = 'object' AND price ? 'model'),
    CONSTRAINT plan_price_valid_check CHECK (NOT isempty(valid)
        AND (lower_inf(valid) OR lower_inc(valid)) AND NOT upper_inc(valid)),
    CONSTRAINT plan_price_overlap_excl EXCLUDE USING gist (plan WITH =, component WITH =, valid WITH &&)
);
COMMENT ON TABLE billadj.plan_price IS 'the prices of a plan, by component and by when they are sold; never changed, only ended';
COMMENT ON COLUMN billadj.plan_price.plan_price_id IS 'its number; charges name it';
COMMENT ON COLUMN billadj.plan_price.plan IS 'the plan';
COMMENT ON COLUMN billadj.plan_price.component IS 'which part of the plan it prices: base, seats, setup …';
COMMENT ON COLUMN billadj.plan_price.kind IS 'recurring: each period; one_off: once, when the plan begins; usage: what a meter counts';
COMMENT ON COLUMN billadj.plan_price.timing IS 'advance: due when its period begins; arrears: when it ends';
COMMENT ON COLUMN billadj.plan_price.meter IS 'what it prices, for usage';
COMMENT ON COLUMN billadj.plan_price.price IS 'a price document, as rate() takes it';
COMMENT ON COLUMN billadj.plan_price.per_unit IS 'whether the term''s quantity is priced; false: always 1';
COMMENT ON COLUMN billadj.plan_price.valid IS 'terms priced at which times have it, half-open';
COMMENT ON COLUMN billadj.plan_price.created_at IS 'when it was made';
COMMENT ON COLUMN billadj.plan_price.created_by IS 'the login that made it';

CREATE SEQUENCE billadj.subscription_id_seq AS bigint;
COMMENT ON SEQUENCE billadj.subscription_id_seq IS 'numbers of subscriptions, changes, terms and milestones';

-- Whatever changes a subscription or charges it alone updates this row first,
-- and always: a lock that leaves no new version would let a second one by under
-- REPEATABLE READ.
CREATE TABLE billadj.subscription (
    account         text        COLLATE "C" NOT NULL,
    subscription_id bigint      NOT NULL,
    subscription_key text       COLLATE "C",
    attachment_id   bigint,
    currency        text        NOT NULL,
    starts_at       timestamptz NOT NULL,
    renew_every     interval,
    renew_prices    text        NOT NULL DEFAULT 'keep',
    revision        integer     NOT NULL DEFAULT 1,
    created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    created_by      text        NOT NULL DEFAULT session_user,
    CONSTRAINT subscription_pkey PRIMARY KEY (account, subscription_id),
    CONSTRAINT subscription_account_check CHECK (account <> ''),
    CONSTRAINT subscription_renew_every_check CHECK (renew_every > '0'),
    CONSTRAINT subscription_renew_prices_check CHECK (renew_prices IN ('keep', 'current')),
    CONSTRAINT subscription_currency_check CHECK (currency ~ '^[A-Z]{3}$')
) WITH (fillfactor = 80);
CREATE INDEX subscription_number_idx ON billadj.subscription (subscription_id);
CREATE UNIQUE INDEX subscription_key_key ON billadj.subscription (account, subscription_key, attachment_id) NULLS NOT DISTINCT
 WHERE subscription_key IS NOT NULL;
COMMENT ON TABLE billadj.subscription IS 'who has subscribed; its timeline is in billadj.term, its periods in billadj.billing_cycle';
COMMENT ON COLUMN billadj.subscription.account IS 'who is billed';
COMMENT ON COLUMN billadj.subscription.subscription_id IS 'its number, unique in the instance';
COMMENT ON COLUMN billadj.subscription.subscription_key IS 'its key in the host''s table, or a name of its own';
COMMENT ON COLUMN billadj.subscription.attachment_id IS 'the attachment of subscriptions it came by; NULL: by subscribe()';
COMMENT ON COLUMN billadj.subscription.currency IS 'ISO 4217 code of all its charges';
COMMENT ON COLUMN billadj.subscription.starts_at IS 'when its first term began, as first agreed';
COMMENT ON COLUMN billadj.subscription.renew_every IS 'by how long it is renewed when it ends; NULL: it ends';
COMMENT ON COLUMN billadj.subscription.renew_prices IS 'keep: it renews at the prices it has; current: at those its plan is sold at then';
COMMENT ON COLUMN billadj.subscription.revision IS 'how often it was changed or charged by itself; counts up under its lock';
COMMENT ON COLUMN billadj.subscription.created_at IS 'when it was made';
COMMENT ON COLUMN billadj.subscription.created_by IS 'the login that made it';

-- The timeline: rows are never altered but for superseded_at and superseded_by,
-- so that what was known at any time can be told.
CREATE TABLE billadj.term (
    account         text        COLLATE "C" NOT NULL,
    subscription_id bigint      NOT NULL,
    term_id         bigint      NOT NULL,
    valid           tstzrange   NOT NULL,
    plan            text        COLLATE "C" NOT NULL,
    quantity        numeric     NOT NULL DEFAULT 1,
    state           text        NOT NULL DEFAULT 'active',
    discount        numeric     NOT NULL DEFAULT 0,
    priced_at       timestamptz NOT NULL,
    change_id       bigint      NOT NULL,
    superseded_by   bigint,
    superseded_at   timestamptz,
    created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    created_by      text        NOT NULL DEFAULT session_user,
    CONSTRAINT term_pkey PRIMARY KEY (account, subscription_id, term_id),
    CONSTRAINT term_subscription_fkey FOREIGN KEY (account, subscription_id) REFERENCES billadj.subscription,
    CONSTRAINT term_valid_check CHECK (NOT isempty(valid) AND NOT lower_inf(valid) AND lower_inc(valid) AND NOT upper_inc(valid)),
    CONSTRAINT term_quantity_check CHECK (quantity >= 0 AND quantity < 'Infinity'),
    CONSTRAINT term_discount_check CHECK (discount BETWEEN 0 AND 100),
    CONSTRAINT term_state_check CHECK (state IN ('active', 'trial', 'paused', 'forfeited')),
    CONSTRAINT term_superseded_check CHECK ((superseded_at IS NULL) = (superseded_by IS NULL)),
    -- One plan, quantity and price at a time.
    CONSTRAINT term_overlap_excl EXCLUDE USING gist (account WITH =, subscription_id WITH =, valid WITH &&)
        WHERE (superseded_at IS NULL)
);
COMMENT ON TABLE billadj.term IS 'the timelines of subscriptions: stretches under one plan, quantity and price; superseded ones are kept';
COMMENT ON COLUMN billadj.term.account IS 'who is billed';
COMMENT ON COLUMN billadj.term.subscription_id IS 'the subscription';
COMMENT ON COLUMN billadj.term.term_id IS 'its number; charges name it';
COMMENT ON COLUMN billadj.term.valid IS 'from when to when, half-open; no upper bound: until further notice';
COMMENT ON COLUMN billadj.term.plan IS 'the plan';
COMMENT ON COLUMN billadj.term.quantity IS 'how many: seats, licences';
COMMENT ON COLUMN billadj.term.state IS 'active; trial and paused: nothing is charged; forfeited: no service any more, what was billed in advance stays';
COMMENT ON COLUMN billadj.term.discount IS 'percent off every recurring and one-off amount';
COMMENT ON COLUMN billadj.term.priced_at IS 'it has the prices of its plan that were sold at this time: who is grandfathered keeps it';
COMMENT ON COLUMN billadj.term.change_id IS 'the change that made it';
COMMENT ON COLUMN billadj.term.superseded_by IS 'the change that put others in its place; NULL: it holds';
COMMENT ON COLUMN billadj.term.superseded_at IS 'when that was; NULL: it holds';
COMMENT ON COLUMN billadj.term.created_at IS 'when it was made';
COMMENT ON COLUMN billadj.term.created_by IS 'the login that made it';

CREATE TABLE billadj.billing_cycle (
    account         text        COLLATE "C" NOT NULL,
    subscription_id bigint      NOT NULL,
    cycle_id        bigint      NOT NULL,
    valid           tstzrange   NOT NULL,
    anchor          timestamptz NOT NULL,
    every           interval    NOT NULL,
    time_zone       text        NOT NULL,
    seam            boolean     NOT NULL DEFAULT false,
    change_id       bigint      NOT NULL,
    superseded_by   bigint,
    superseded_at   timestamptz,
    created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    created_by      text        NOT NULL DEFAULT session_user,
    CONSTRAINT billing_cycle_pkey PRIMARY KEY (account, subscription_id, cycle_id),
    CONSTRAINT billing_cycle_subscription_fkey FOREIGN KEY (account, subscription_id) REFERENCES billadj.subscription,
    CONSTRAINT billing_cycle_valid_check CHECK (NOT isempty(valid) AND NOT lower_inf(valid) AND lower_inc(valid) AND NOT upper_inc(valid)),
    CONSTRAINT billing_cycle_every_check CHECK (every > '0'),
    CONSTRAINT billing_cycle_seam_check CHECK (NOT (seam AND upper_inf(valid))),
    CONSTRAINT billing_cycle_superseded_check CHECK ((superseded_at IS NULL) = (superseded_by IS NULL)),
    CONSTRAINT billing_cycle_overlap_excl EXCLUDE USING gist (account WITH =, subscription_id WITH =, valid WITH &&)
        WHERE (superseded_at IS NULL)
);
COMMENT ON TABLE billadj.billing_cycle IS 'from when to when a subscription has which billing periods; superseded rows are kept';
COMMENT ON COLUMN billadj.billing_cycle.account IS 'who is billed';
COMMENT ON COLUMN billadj.billing_cycle.subscription_id IS 'the subscription';
COMMENT ON COLUMN billadj.billing_cycle.cycle_id IS 'its number';
COMMENT ON COLUMN billadj.billing_cycle.valid IS 'from when to when, half-open; periods are cut at both ends';
COMMENT ON COLUMN billadj.billing_cycle.anchor IS 'a boundary of its periods; the others are counted from it and never drift';
COMMENT ON COLUMN billadj.billing_cycle.every IS 'length of a period';
COMMENT ON COLUMN billadj.billing_cycle.time_zone IS 'zone in whose local time the boundaries are counted';
COMMENT ON COLUMN billadj.billing_cycle.seam IS 'the zone changes at its end: its last period ends there, a few hours early or late, and counts as a whole one';
COMMENT ON COLUMN billadj.billing_cycle.change_id IS 'the change that made it';
COMMENT ON COLUMN billadj.billing_cycle.superseded_by IS 'the change that put others in its place; NULL: it holds';
COMMENT ON COLUMN billadj.billing_cycle.superseded_at IS 'when that was; NULL: it holds';
COMMENT ON COLUMN billadj.billing_cycle.created_at IS 'when it was made';
COMMENT ON COLUMN billadj.billing_cycle.created_by IS 'the login that made it';

CREATE TABLE billadj.subscription_change (
    account         text        COLLATE "C" NOT NULL,
    subscription_id bigint      NOT NULL,
    change_id       bigint      NOT NULL,
    kind            text        NOT NULL,
    change          jsonb       NOT NULL,
    effective_at    timestamptz NOT NULL,
    as_of           timestamptz NOT NULL,
    amount          numeric     NOT NULL,
    currency        text        NOT NULL,
    routed          text        NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    created_by      text        NOT NULL DEFAULT session_user,
    CONSTRAINT subscription_change_pkey PRIMARY KEY (account, subscription_id, change_id),
    CONSTRAINT subscription_change_subscription_fkey FOREIGN KEY (account, subscription_id) REFERENCES billadj.subscription,
    CONSTRAINT subscription_change_routed_check CHECK (routed IN ('charge', 'proposal'))
);
COMMENT ON TABLE billadj.subscription_change IS 'what was done to subscriptions, one row a change; append only';
COMMENT ON COLUMN billadj.subscription_change.account IS 'who is billed';
COMMENT ON COLUMN billadj.subscription_change.subscription_id IS 'the subscription';
COMMENT ON COLUMN billadj.subscription_change.change_id IS 'its number; the terms and cycles it made and superseded name it';
COMMENT ON COLUMN billadj.subscription_change.kind IS 'start, plan, quantity, discount, price, pause, resume, cancel, anchor, zone or undo';
COMMENT ON COLUMN billadj.subscription_change.change IS 'what was asked for, as preview_change() takes it';
COMMENT ON COLUMN billadj.subscription_change.effective_at IS 'from when on it holds';
COMMENT ON COLUMN billadj.subscription_change.as_of IS 'when it was made; later than effective_at: backdated';
COMMENT ON COLUMN billadj.subscription_change.amount IS 'net of the differences it led to at once; negative: a credit';
COMMENT ON COLUMN billadj.subscription_change.currency IS 'ISO 4217 code of the amount';
COMMENT ON COLUMN billadj.subscription_change.routed IS 'charge: the differences were charged; proposal: they exceed the policy and wait for a decision';
COMMENT ON COLUMN billadj.subscription_change.created_at IS 'when it was written';
COMMENT ON COLUMN billadj.subscription_change.created_by IS 'the login that did it';

-- What was billed so far of each line of a period: the sum of its charges, found
-- by an index.  Charges of an open month have none.
CREATE TABLE billadj.recurring_total (
    account         text          COLLATE "C" NOT NULL,
    subscription_id bigint        NOT NULL,
    period_start    timestamptz   NOT NULL,
    plan_price_id   bigint        NOT NULL,
    quantity        numeric       NOT NULL,
    full_amount     numeric       NOT NULL,
    amount          numeric       NOT NULL,
    proposed        numeric       NOT NULL DEFAULT 0,
    covers          tstzrange     NOT NULL,
    CONSTRAINT recurring_total_pkey PRIMARY KEY (account, subscription_id, period_start, plan_price_id, quantity, full_amount)
) WITH (fillfactor = 90);
COMMENT ON TABLE billadj.recurring_total IS 'what was charged of each line of a subscription''s period; written with the charges by the library only';
COMMENT ON COLUMN billadj.recurring_total.account IS 'who is billed';
COMMENT ON COLUMN billadj.recurring_total.subscription_id IS 'the subscription';
COMMENT ON COLUMN billadj.recurring_total.period_start IS 'beginning of the period';
COMMENT ON COLUMN billadj.recurring_total.plan_price_id IS 'the price of the plan';
COMMENT ON COLUMN billadj.recurring_total.quantity IS 'the term''s quantity';
COMMENT ON COLUMN billadj.recurring_total.full_amount IS 'what a whole period costs, net of discount, as it was when billed';
COMMENT ON COLUMN billadj.recurring_total.amount IS 'sum of its charges';
COMMENT ON COLUMN billadj.recurring_total.proposed IS 'sum of its differences that exceed the policy and became proposals';
COMMENT ON COLUMN billadj.recurring_total.covers IS 'from when to when it is charged for, gaps included';

-- Where the last run for all got to: the next one need not look at what was
-- charged then, and looks at everything that was not.
CREATE TABLE billadj.subscription_run (
    run_id        bigint      GENERATED ALWAYS AS IDENTITY,
    at            timestamptz NOT NULL,
    since         timestamptz NOT NULL,
    charged_until timestamptz,
    charges       bigint      NOT NULL,
    created_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    created_by    text        NOT NULL DEFAULT session_user,
    CONSTRAINT subscription_run_pkey PRIMARY KEY (run_id)
);
COMMENT ON TABLE billadj.subscription_run IS 'runs of charge_subscriptions() for all accounts; append only';
COMMENT ON COLUMN billadj.subscription_run.run_id IS 'its number';
COMMENT ON COLUMN billadj.subscription_run.at IS 'what had fallen due by then was charged';
COMMENT ON COLUMN billadj.subscription_run.since IS 'of periods that ended later';
COMMENT ON COLUMN billadj.subscription_run.charged_until IS 'until when all is charged without a gap, by this run and those before; NULL: it is not';
COMMENT ON COLUMN billadj.subscription_run.charges IS 'how many charges that made';
COMMENT ON COLUMN billadj.subscription_run.created_at IS 'when it was made';
COMMENT ON COLUMN billadj.subscription_run.created_by IS 'the login that made it';

CREATE TABLE billadj.milestone (
    account         text        COLLATE "C" NOT NULL,
    milestone_id    bigint      NOT NULL,
    subscription_id bigint      NOT NULL,
    description     text        NOT NULL,
    due_at          timestamptz NOT NULL,
    amount          numeric     NOT NULL,
    currency        text        NOT NULL,
    reached_at      timestamptz,
    reached_by      text,
    created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    created_by      text        NOT NULL DEFAULT session_user,
    CONSTRAINT milestone_pkey PRIMARY KEY (account, milestone_id),
    CONSTRAINT milestone_subscription_fkey FOREIGN KEY (account, subscription_id) REFERENCES billadj.subscription,
    CONSTRAINT milestone_amount_check CHECK (amount > '-Infinity' AND amount < 'Infinity'),
    CONSTRAINT milestone_reached_check CHECK ((reached_at IS NULL) = (reached_by IS NULL))
);
CREATE INDEX milestone_open_idx ON billadj.milestone (due_at) WHERE reached_at IS NULL;
COMMENT ON TABLE billadj.milestone IS 'dated amounts that fall due when they are marked reached';
COMMENT ON COLUMN billadj.milestone.account IS 'who is billed';
COMMENT ON COLUMN billadj.milestone.milestone_id IS 'its number';
COMMENT ON COLUMN billadj.milestone.subscription_id IS 'the subscription it belongs to';
COMMENT ON COLUMN billadj.milestone.description IS 'what has to be reached; the bill shows it';
COMMENT ON COLUMN billadj.milestone.due_at IS 'when it is expected';
COMMENT ON COLUMN billadj.milestone.amount IS 'what is then charged';
COMMENT ON COLUMN billadj.milestone.currency IS 'ISO 4217 code of the amount';
COMMENT ON COLUMN billadj.milestone.reached_at IS 'when it was reached; NULL: not yet';
COMMENT ON COLUMN billadj.milestone.reached_by IS 'the login that marked it';
COMMENT ON COLUMN billadj.milestone.created_at IS 'when it was made';
COMMENT ON COLUMN billadj.milestone.created_by IS 'the login that made it';

-- Without a row of its currency a change may be backdated by 31 days, whatever
-- it is worth.
CREATE TABLE billadj.change_policy (
    currency    text        NOT NULL,
    max_credit  numeric,
    max_charge  numeric,
    backdate    interval    NOT NULL DEFAULT '31 days',
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    created_by  text        NOT NULL DEFAULT session_user,
    CONSTRAINT change_policy_pkey PRIMARY KEY (currency),
    CONSTRAINT change_policy_currency_check CHECK (currency ~ '^[A-Z]{3}$'),
    CONSTRAINT change_policy_max_credit_check CHECK (max_credit >= 0 AND max_credit < 'Infinity'),
    CONSTRAINT change_policy_max_charge_check CHECK (max_charge >= 0 AND max_charge < 'Infinity'),
    CONSTRAINT change_policy_backdate_check CHECK (backdate >= '0')
);
COMMENT ON TABLE billadj.change_policy IS 'which differences of a change are charged without asking anybody; beyond it they become proposals';
COMMENT ON COLUMN billadj.change_policy.currency IS 'ISO 4217 code: which subscriptions it is for';
COMMENT ON COLUMN billadj.change_policy.max_credit IS 'largest net credit of one change; NULL: any';
COMMENT ON COLUMN billadj.change_policy.max_charge IS 'largest net charge of a backdated change; NULL: any';
COMMENT ON COLUMN billadj.change_policy.backdate IS 'how far back a change may take effect';
COMMENT ON COLUMN billadj.change_policy.created_at IS 'when it was made';
COMMENT ON COLUMN billadj.change_policy.created_by IS 'the login that made it';

CREATE TABLE billadj.subscription_attachment (
    attachment_id bigint      GENERATED ALWAYS AS IDENTITY,
    schema_name   text        NOT NULL,
    relation_name text        NOT NULL,
    mapping       jsonb       NOT NULL,
    state         text        NOT NULL DEFAULT 'active',
    created_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    created_by    text        NOT NULL DEFAULT session_user,
    CONSTRAINT subscription_attachment_pkey PRIMARY KEY (attachment_id),
    CONSTRAINT subscription_attachment_state_check CHECK (state IN ('active', 'detached')),
    CONSTRAINT subscription_attachment_mapping_check CHECK (jsonb_typeof(mapping) = 'object')
);
COMMENT ON TABLE billadj.subscription_attachment IS 'host tables of subscriptions; the triggers on them carry the number';
COMMENT ON COLUMN billadj.subscription_attachment.attachment_id IS 'its number, the argument of the triggers';
COMMENT ON COLUMN billadj.subscription_attachment.schema_name IS 'schema of the host table when it was attached: a label';
COMMENT ON COLUMN billadj.subscription_attachment.relation_name IS 'name of the host table when it was attached: a label';
COMMENT ON COLUMN billadj.subscription_attachment.mapping IS 'which column is the account, the key, the plan, the quantity, the start and the end';
COMMENT ON COLUMN billadj.subscription_attachment.state IS 'active or detached';
COMMENT ON COLUMN billadj.subscription_attachment.created_at IS 'when it was attached';
COMMENT ON COLUMN billadj.subscription_attachment.created_by IS 'the login that attached it';

-- The term that holds now, or held last, beside what was charged last.
CREATE VIEW billadj.subscription_state WITH (security_invoker = true) AS
SELECT s.account, s.subscription_id, s.subscription_key, s.currency,
       t.plan, t.quantity, t.discount,
       CASE WHEN t.term_id IS NULL OR upper(t.valid) <= now() OR t.state = 'forfeited' THEN 'ended'
            WHEN lower(t.valid) > now() THEN 'scheduled' ELSE t.state END AS state,
       s.starts_at, e.ends_at, n.next_change_at, c.charged_from
  FROM billadj.subscription s
  LEFT JOIN LATERAL (SELECT * FROM billadj.term t
                      WHERE t.account = s.account AND t.subscription_id = s.subscription_id AND t.superseded_at IS NULL
                      ORDER BY lower(t.valid) <= now() DESC, abs(extract(epoch FROM lower(t.valid) - now()))
                      LIMIT 1) t ON true
  LEFT JOIN LATERAL (SELECT nullif(max(coalesce(upper(t.valid), 'infinity')), 'infinity') AS ends_at FROM billadj.term t
                      WHERE t.account = s.account AND t.subscription_id = s.subscription_id AND t.superseded_at IS NULL
                        AND t.state <> 'forfeited') e ON true
  LEFT JOIN LATERAL (SELECT min(lower(t.valid)) AS next_change_at FROM billadj.term t
                      WHERE t.account = s.account AND t.subscription_id = s.subscription_id AND t.superseded_at IS NULL
                        AND lower(t.valid) > now()) n ON true
  LEFT JOIN LATERAL (SELECT max(r.period_start) AS charged_from FROM billadj.recurring_total r
                      WHERE r.account = s.account AND r.subscription_id = s.subscription_id AND r.amount <> 0) c ON true;
COMMENT ON VIEW billadj.subscription_state IS 'subscriptions as they stand now';
COMMENT ON COLUMN billadj.subscription_state.account IS 'who is billed';
COMMENT ON COLUMN billadj.subscription_state.subscription_id IS 'its number';
COMMENT ON COLUMN billadj.subscription_state.subscription_key IS 'its key in the host''s table, or a name of its own';
COMMENT ON COLUMN billadj.subscription_state.currency IS 'ISO 4217 code of its charges';
COMMENT ON COLUMN billadj.subscription_state.plan IS 'plan of the term that holds, or held last';
COMMENT ON COLUMN billadj.subscription_state.quantity IS 'its quantity';
COMMENT ON COLUMN billadj.subscription_state.discount IS 'its discount in percent';
COMMENT ON COLUMN billadj.subscription_state.state IS 'scheduled, active, trial, paused or ended';
COMMENT ON COLUMN billadj.subscription_state.starts_at IS 'when its first term began, as first agreed';
COMMENT ON COLUMN billadj.subscription_state.ends_at IS 'when service ends; NULL: until further notice';
COMMENT ON COLUMN billadj.subscription_state.next_change_at IS 'when the next term begins; NULL: none is scheduled';
COMMENT ON COLUMN billadj.subscription_state.charged_from IS 'beginning of the last period with charges; NULL: none';

-- The two ends of leakage.  Whoever pays in arrears is charged when a period has
-- ended, so that one is allowed to be open.
CREATE VIEW billadj.lapsed_but_billing WITH (security_invoker = true) AS
SELECT r.account, r.subscription_id, r.period_start, r.covers, r.amount + r.proposed + coalesce(a.delta, 0) AS amount, s.currency
  FROM billadj.recurring_total r
  JOIN billadj.subscription s ON s.account = r.account AND s.subscription_id = r.subscription_id
  JOIN billadj.plan_price p ON p.plan_price_id = r.plan_price_id AND p.kind = 'recurring'
  -- what persons adjusted; a correction is a proposal of ours, and in proposed
  LEFT JOIN (SELECT c.account, c.subscription_id, c.period_start, c.plan_price_id, c.quantity,
                    (c.basis ->> 'full_amount')::numeric AS full_amount, sum(a.delta) AS delta
               FROM billadj.adjustment a
               JOIN billadj.charge c ON c.account = a.account AND c.charge_id = a.charge_id AND c.period_start = a.period_start
              WHERE a.affects = 'billed' AND a.cause <> 'correction' AND c.plan_price_id IS NOT NULL
              GROUP BY 1, 2, 3, 4, 5, 6) a
         ON a.account = r.account AND a.subscription_id = r.subscription_id AND a.period_start = r.period_start
        AND a.plan_price_id = r.plan_price_id AND a.quantity = r.quantity AND a.full_amount = r.full_amount
 WHERE r.amount + r.proposed + coalesce(a.delta, 0) <> 0
   AND NOT EXISTS (SELECT FROM billadj.term t
                    WHERE t.account = r.account AND t.subscription_id = r.subscription_id AND t.superseded_at IS NULL
                      AND t.state IN ('active', 'forfeited') AND t.valid && r.covers);
COMMENT ON VIEW billadj.lapsed_but_billing IS 'lines that are billed, and neither credited nor adjusted away, although no term calls for them';
COMMENT ON COLUMN billadj.lapsed_but_billing.account IS 'who is billed';
COMMENT ON COLUMN billadj.lapsed_but_billing.subscription_id IS 'the subscription';
COMMENT ON COLUMN billadj.lapsed_but_billing.period_start IS 'beginning of the period';
COMMENT ON COLUMN billadj.lapsed_but_billing.covers IS 'what the line is charged for';
COMMENT ON COLUMN billadj.lapsed_but_billing.amount IS 'what is billed of it: charges, what is proposed, and adjustments';
COMMENT ON COLUMN billadj.lapsed_but_billing.currency IS 'ISO 4217 code of the amount';

CREATE VIEW billadj.active_but_unbilled WITH (security_invoker = true) AS
SELECT t.account, t.subscription_id, t.term_id, t.plan, p.component, p.timing, t.valid
  FROM billadj.term t
  JOIN billadj.billing_cycle c ON c.account = t.account AND c.subscription_id = t.subscription_id AND c.superseded_at IS NULL AND c.valid @> now()
  JOIN billadj.plan_price p ON p.plan = t.plan AND p.valid @> t.priced_at AND p.kind = 'recurring'
 WHERE t.superseded_at IS NULL AND t.state = 'active' AND t.discount < 100 AND (t.quantity > 0 OR NOT p.per_unit)
   AND t.valid @> now()
   AND (p.timing = 'advance' OR lower(t.valid) < now() - c.every - interval '1 day')
   AND NOT EXISTS (SELECT FROM billadj.recurring_total r
                    WHERE r.account = t.account AND r.subscription_id = t.subscription_id AND r.plan_price_id = p.plan_price_id
                      AND r.amount + r.proposed <> 0
                      AND CASE WHEN p.timing = 'advance' THEN r.covers @> now()
                               ELSE upper(r.covers) > now() - c.every - interval '1 day' END);
COMMENT ON VIEW billadj.active_but_unbilled IS 'terms that hold now and whose running period (in arrears: the one before) is not charged; also those whose price is 0';
COMMENT ON COLUMN billadj.active_but_unbilled.account IS 'who is to be billed';
COMMENT ON COLUMN billadj.active_but_unbilled.subscription_id IS 'the subscription';
COMMENT ON COLUMN billadj.active_but_unbilled.term_id IS 'the term that holds now';
COMMENT ON COLUMN billadj.active_but_unbilled.plan IS 'its plan';
COMMENT ON COLUMN billadj.active_but_unbilled.component IS 'what of the plan is not charged';
COMMENT ON COLUMN billadj.active_but_unbilled.timing IS 'advance or arrears';
COMMENT ON COLUMN billadj.active_but_unbilled.valid IS 'when the term holds';

GRANT SELECT ON billadj.plan, billadj.plan_price, billadj.subscription, billadj.term, billadj.billing_cycle,
      billadj.subscription_change, billadj.recurring_total, billadj.subscription_run, billadj.milestone, billadj.change_policy,
      billadj.subscription_attachment, billadj.subscription_state, billadj.lapsed_but_billing, billadj.active_but_unbilled
   TO billadj_admin, billadj_operator, billadj_requester, billadj_approver, billadj_policy, billadj_auditor, billadj_reader;
GRANT INSERT ON billadj.plan, billadj.plan_price, billadj.subscription_attachment TO billadj_admin;
GRANT UPDATE (description) ON billadj.plan TO billadj_admin;
GRANT UPDATE (revision, renew_every, renew_prices) ON billadj.subscription TO billadj_admin;
GRANT UPDATE (valid) ON billadj.plan_price TO billadj_admin;
GRANT UPDATE (schema_name, relation_name, mapping, state) ON billadj.subscription_attachment TO billadj_admin;
GRANT INSERT, UPDATE ON billadj.change_policy TO billadj_admin, billadj_policy;
