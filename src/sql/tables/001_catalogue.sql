-- 001_catalogue.sql: the control plane of rating: who is billed by which price

CREATE TABLE billadj.migration (
    step       integer     NOT NULL,
    name       text        NOT NULL,
    sha256     text        NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    applied_by text        NOT NULL DEFAULT session_user,
    CONSTRAINT migration_pkey PRIMARY KEY (step)
);
COMMENT ON TABLE billadj.migration IS 'the numbered steps that made these tables; one row a step';
COMMENT ON COLUMN billadj.migration.step IS 'number of the step, from 1';
COMMENT ON COLUMN billadj.migration.name IS 'what the step is about';
COMMENT ON COLUMN billadj.migration.sha256 IS 'SHA-256 of the text that was run, in hex';
COMMENT ON COLUMN billadj.migration.applied_at IS 'when it was run';
COMMENT ON COLUMN billadj.migration.applied_by IS 'the login that ran it';

-- One row at most.  Without one the defaults of billadj.settings() hold, so
-- that a restore never meets a seeded row.
CREATE TABLE billadj.instance (
    instance_id integer     NOT NULL DEFAULT 1,
    time_zone   text        NOT NULL DEFAULT 'UTC',
    currency    text,
    close_after interval    NOT NULL DEFAULT '7 days',
    charges_from date,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    created_by  text        NOT NULL DEFAULT session_user,
    CONSTRAINT instance_pkey PRIMARY KEY (instance_id),
    CONSTRAINT instance_one_row_check CHECK (instance_id = 1),
    CONSTRAINT instance_currency_check CHECK (currency ~ '^[A-Z]{3}$'),
    CONSTRAINT instance_charges_from_check CHECK (extract(day FROM charges_from) = 1)
);
COMMENT ON TABLE billadj.instance IS 'settings of the whole installation; at most one row, no row means the defaults';
COMMENT ON COLUMN billadj.instance.instance_id IS 'always 1';
COMMENT ON COLUMN billadj.instance.time_zone IS 'time zone of accounts that have none of their own; default UTC';
COMMENT ON COLUMN billadj.instance.currency IS 'ISO 4217 code of accounts that have none of their own; NULL: whatever the default card says';
COMMENT ON COLUMN billadj.instance.close_after IS 'how long after its end a month of charges stays open: without the indexes of a closed one';
COMMENT ON COLUMN billadj.instance.charges_from IS 'first month whose charges are kept, by its first day; set it before older months are detached: backfill() and rating_gap() leave their usage alone; NULL: all';
COMMENT ON COLUMN billadj.instance.created_at IS 'when the row was made';
COMMENT ON COLUMN billadj.instance.created_by IS 'the login that made it';

CREATE TABLE billadj.account (
    account    text COLLATE "C" NOT NULL,
    time_zone  text,
    currency   text,
    peer_group text,
    anchor_day integer,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    created_by text        NOT NULL DEFAULT session_user,
    CONSTRAINT account_pkey PRIMARY KEY (account),
    CONSTRAINT account_account_check CHECK (account <> ''),
    CONSTRAINT account_currency_check CHECK (currency ~ '^[A-Z]{3}$'),
    CONSTRAINT account_anchor_day_check CHECK (anchor_day BETWEEN 1 AND 31)
);
COMMENT ON TABLE billadj.account IS 'what differs from the instance for one account; an account needs no row to be billed';
COMMENT ON COLUMN billadj.account.account IS 'who is billed: the host key as text';
COMMENT ON COLUMN billadj.account.time_zone IS 'zone in which its periods begin and end; NULL: that of the instance';
COMMENT ON COLUMN billadj.account.currency IS 'ISO 4217 code; NULL: that of the instance';
COMMENT ON COLUMN billadj.account.peer_group IS 'accounts that are compared with one another';
COMMENT ON COLUMN billadj.account.anchor_day IS 'day of the month on which its subscription periods begin';
COMMENT ON COLUMN billadj.account.created_at IS 'when the row was made';
COMMENT ON COLUMN billadj.account.created_by IS 'the login that made it';

CREATE TABLE billadj.meter (
    meter       text COLLATE "C" NOT NULL,
    unit        text,
    description text,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    created_by  text        NOT NULL DEFAULT session_user,
    CONSTRAINT meter_pkey PRIMARY KEY (meter),
    CONSTRAINT meter_meter_check CHECK (meter <> '')
);
COMMENT ON TABLE billadj.meter IS 'what is counted';
COMMENT ON COLUMN billadj.meter.meter IS 'its name, as usage rows and prices write it';
COMMENT ON COLUMN billadj.meter.unit IS 'what one of its quantity is, for people';
COMMENT ON COLUMN billadj.meter.description IS 'for people';
COMMENT ON COLUMN billadj.meter.created_at IS 'when it was made';
COMMENT ON COLUMN billadj.meter.created_by IS 'the login that made it';

-- Precedence: a card of the account before a default card; then the higher
-- priority.  Cards of one rank may stand beside one another as long as they do
-- not price the same meter at the same time: see price_overlap_excl.
CREATE TABLE billadj.rate_card (
    rate_card_id bigint      GENERATED ALWAYS AS IDENTITY,
    code         text        COLLATE "C" NOT NULL,
    currency     text        NOT NULL,
    account      text        COLLATE "C",
    priority     integer     NOT NULL DEFAULT 0,
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    created_by   text        NOT NULL DEFAULT session_user,
    CONSTRAINT rate_card_pkey PRIMARY KEY (rate_card_id),
    CONSTRAINT rate_card_code_key UNIQUE (code),
    CONSTRAINT rate_card_code_check CHECK (code <> ''),
    CONSTRAINT rate_card_account_check CHECK (account <> ''),
    CONSTRAINT rate_card_currency_check CHECK (currency ~ '^[A-Z]{3}$')
);
CREATE INDEX rate_card_account_idx ON billadj.rate_card (account);
COMMENT ON TABLE billadj.rate_card IS 'named sets of prices, for one account or as a default';
COMMENT ON COLUMN billadj.rate_card.rate_card_id IS 'its number';
COMMENT ON COLUMN billadj.rate_card.code IS 'its name in documents';
COMMENT ON COLUMN billadj.rate_card.currency IS 'ISO 4217 code of all its amounts';
COMMENT ON COLUMN billadj.rate_card.account IS 'whose contract it is; NULL: the default for everybody';
COMMENT ON COLUMN billadj.rate_card.priority IS 'among cards of one account, and among default cards, the higher one wins';
COMMENT ON COLUMN billadj.rate_card.created_at IS 'when it was made';
COMMENT ON COLUMN billadj.rate_card.created_by IS 'the login that made it';

CREATE TABLE billadj.price (
    price_id     bigint      GENERATED ALWAYS AS IDENTITY,
    rate_card_id bigint      NOT NULL,
    meter        text        COLLATE "C" NOT NULL,
    valid        tstzrange   NOT NULL,
    terms        jsonb       NOT NULL,
    linear       boolean     NOT NULL,
    card_account text        COLLATE "C",
    currency     text        NOT NULL,
    priority     integer     NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    created_by   text        NOT NULL DEFAULT session_user,
    CONSTRAINT price_pkey PRIMARY KEY (price_id),
    CONSTRAINT price_rate_card_fkey FOREIGN KEY (rate_card_id) REFERENCES billadj.rate_card,
    CONSTRAINT price_meter_fkey FOREIGN KEY (meter) REFERENCES billadj.meter,
    -- empty: it was withdrawn, since the timeline of its subscription was changed back
    CONSTRAINT price_valid_check CHECK (isempty(valid)
        OR (lower_inf(valid) OR lower_inc(valid)) AND NOT upper_inc(valid)),
    CONSTRAINT price_terms_check CHECK (jsonb_typeof(terms) = 'object' AND terms ? 'model' AND NOT terms ? 'tiers'),
    -- Of all cards of one rank: exactly one price applies to a usage row.
    CONSTRAINT price_overlap_excl EXCLUDE USING gist (coalesce(card_account, '') WITH =, currency WITH =, priority WITH =, meter WITH =, valid WITH &&)
);
CREATE INDEX price_rate_card_idx ON billadj.price (rate_card_id, meter);
COMMENT ON TABLE billadj.price IS 'the price of one meter on one card for a stretch of time; never changed, only ended';
COMMENT ON COLUMN billadj.price.price_id IS 'its number; charges name it';
COMMENT ON COLUMN billadj.price.rate_card_id IS 'the card it belongs to';
COMMENT ON COLUMN billadj.price.meter IS 'what it prices';
COMMENT ON COLUMN billadj.price.valid IS 'usage of which times it prices, half-open; empty: none any more, charges of the past may name it';
COMMENT ON COLUMN billadj.price.terms IS 'the price document without its tiers, which are rows of price_tier';
COMMENT ON COLUMN billadj.price.linear IS 'f(a) + f(b) = f(a + b): charges need no running total';
COMMENT ON COLUMN billadj.price.card_account IS 'account of its card, set by a trigger';
COMMENT ON COLUMN billadj.price.currency IS 'currency of its card, set by a trigger';
COMMENT ON COLUMN billadj.price.priority IS 'priority of its card, set by a trigger';
COMMENT ON COLUMN billadj.price.created_at IS 'when it was made';
COMMENT ON COLUMN billadj.price.created_by IS 'the login that made it';

CREATE TABLE billadj.price_tier (
    price_id    bigint  NOT NULL,
    tier        integer NOT NULL,
    up_to       numeric,
    unit_amount numeric,
    flat_amount numeric,
    rate        numeric,
    CONSTRAINT price_tier_pkey PRIMARY KEY (price_id, tier),
    CONSTRAINT price_tier_price_fkey FOREIGN KEY (price_id) REFERENCES billadj.price,
    CONSTRAINT price_tier_tier_check CHECK (tier > 0),
    -- NaN is not an amount, and NaN >= 0 is true.
    CONSTRAINT price_tier_up_to_check CHECK (up_to > 0 AND up_to < 'Infinity'),
    CONSTRAINT price_tier_unit_amount_check CHECK (unit_amount > '-Infinity' AND unit_amount < 'Infinity'),
    CONSTRAINT price_tier_flat_amount_check CHECK (flat_amount > '-Infinity' AND flat_amount < 'Infinity'),
    CONSTRAINT price_tier_rate_check CHECK (rate > '-Infinity' AND rate < 'Infinity')
);
COMMENT ON TABLE billadj.price_tier IS 'the tiers of a price; lower bound exclusive, upper bound inclusive';
COMMENT ON COLUMN billadj.price_tier.price_id IS 'the price';
COMMENT ON COLUMN billadj.price_tier.tier IS 'its place, from 1';
COMMENT ON COLUMN billadj.price_tier.up_to IS 'its upper bound; NULL: none, the last tier';
COMMENT ON COLUMN billadj.price_tier.unit_amount IS 'amount a unit within the tier';
COMMENT ON COLUMN billadj.price_tier.flat_amount IS 'amount for entering the tier';
COMMENT ON COLUMN billadj.price_tier.rate IS 'share of the quantity, for graduated_percentage';

GRANT SELECT ON billadj.migration, billadj.instance, billadj.account, billadj.meter, billadj.rate_card,
      billadj.price, billadj.price_tier
   TO billadj_admin, billadj_operator, billadj_requester, billadj_approver, billadj_policy, billadj_auditor, billadj_reader;
GRANT INSERT, UPDATE ON billadj.instance, billadj.account, billadj.meter TO billadj_admin;
GRANT INSERT ON billadj.rate_card, billadj.price, billadj.price_tier TO billadj_admin;
GRANT UPDATE (priority) ON billadj.rate_card TO billadj_admin;
GRANT UPDATE (valid, priority) ON billadj.price TO billadj_admin;
