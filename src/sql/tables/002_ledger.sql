-- 002_ledger.sql: attachments, charges, running totals, parked usage

CREATE TABLE billadj.attachment (
    attachment_id bigint      GENERATED ALWAYS AS IDENTITY,
    schema_name   text        NOT NULL,
    relation_name text        NOT NULL,
    mapping       jsonb       NOT NULL,
    mode          text        NOT NULL DEFAULT 'rate',
    on_unpriced   text        NOT NULL DEFAULT 'park',
    detect        boolean     NOT NULL DEFAULT true,
    state         text        NOT NULL DEFAULT 'active',
    created_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    created_by    text        NOT NULL DEFAULT session_user,
    CONSTRAINT attachment_pkey PRIMARY KEY (attachment_id),
    CONSTRAINT attachment_mode_check CHECK (mode IN ('rate', 'shadow')),
    CONSTRAINT attachment_on_unpriced_check CHECK (on_unpriced IN ('park', 'reject')),
    CONSTRAINT attachment_state_check CHECK (state IN ('active', 'paused', 'detached')),
    CONSTRAINT attachment_mapping_check CHECK (jsonb_typeof(mapping) = 'object')
);
COMMENT ON TABLE billadj.attachment IS 'bindings of host tables; the triggers on them carry the number';
COMMENT ON COLUMN billadj.attachment.attachment_id IS 'its number, the argument of the triggers';
COMMENT ON COLUMN billadj.attachment.schema_name IS 'schema of the host table when it was attached: a label, the triggers are the truth';
COMMENT ON COLUMN billadj.attachment.relation_name IS 'name of the host table when it was attached: a label, the triggers are the truth';
COMMENT ON COLUMN billadj.attachment.mapping IS 'which column or constant is the account, the time, the meter, the quantity and the event key';
COMMENT ON COLUMN billadj.attachment.mode IS 'rate: charges count; shadow: charges are only compared';
COMMENT ON COLUMN billadj.attachment.on_unpriced IS 'park: a row without price is kept aside; reject: its statement fails';
COMMENT ON COLUMN billadj.attachment.detect IS 'whether anomaly detection looks at its rows';
COMMENT ON COLUMN billadj.attachment.state IS 'active, paused or detached';
COMMENT ON COLUMN billadj.attachment.created_at IS 'when it was attached';
COMMENT ON COLUMN billadj.attachment.created_by IS 'the login that attached it';

-- A session takes 64 numbers at a time: one call a charge would cost as much
-- as the charge.
CREATE SEQUENCE billadj.charge_id_seq AS bigint INCREMENT BY 64;
COMMENT ON SEQUENCE billadj.charge_id_seq IS 'numbers of charges, in blocks of 64 from each value on';

-- No index and no row trigger here: every one would be paid by each usage row.
-- maintain() gives a month its indexes when it is closed.
CREATE TABLE billadj.charge (
    account             text        COLLATE "C" NOT NULL,
    charge_id           bigint      NOT NULL,
    attachment_id       bigint,
    event_key           text        COLLATE "C",
    measure             text        COLLATE "C",
    meter               text        COLLATE "C",
    period_start        timestamptz NOT NULL,
    posted_period_start timestamptz NOT NULL,
    occurred_at         timestamptz,
    price_id            bigint,
    quantity            numeric     NOT NULL,
    quantity_before     numeric,
    amount              numeric     NOT NULL,
    currency            text        NOT NULL,
    cause               text        NOT NULL,
    row_count           smallint    NOT NULL,
    basis               jsonb,
    created_at          timestamptz NOT NULL,
    created_by          text        NOT NULL,
    subscription_id     bigint,
    term_id             bigint,
    plan_price_id       bigint,
    covers              tstzrange
) PARTITION BY RANGE (period_start);
CREATE TABLE billadj.charge_default PARTITION OF billadj.charge DEFAULT;
COMMENT ON TABLE billadj.charge IS 'rated amounts: one row per usage row and measure, one per line of a subscription''s period, and one per difference; never updated';
COMMENT ON TABLE billadj.charge_default IS 'charges of months that have no partition yet; maintain() moves them';
COMMENT ON COLUMN billadj.charge.account IS 'who is billed';
COMMENT ON COLUMN billadj.charge.charge_id IS 'its number, unique in the instance, ascending';
COMMENT ON COLUMN billadj.charge.attachment_id IS 'the attachment its usage row came by; NULL for a position row';
COMMENT ON COLUMN billadj.charge.event_key IS 'key of the usage row in its host table, as billadj.event_key() writes it';
COMMENT ON COLUMN billadj.charge.measure IS 'which quantity of the usage row it is about';
COMMENT ON COLUMN billadj.charge.meter IS 'what was counted';
COMMENT ON COLUMN billadj.charge.period_start IS 'beginning of the period it belongs to';
COMMENT ON COLUMN billadj.charge.posted_period_start IS 'beginning of the period whose bill shows it';
COMMENT ON COLUMN billadj.charge.occurred_at IS 'when the usage happened';
COMMENT ON COLUMN billadj.charge.price_id IS 'the price that was applied';
COMMENT ON COLUMN billadj.charge.quantity IS 'quantity it adds to its period; negative when usage is taken back';
COMMENT ON COLUMN billadj.charge.quantity_before IS 'quantity of the period before it, as its transaction knew; NULL: none yet, or a linear price';
COMMENT ON COLUMN billadj.charge.amount IS 'exact amount, not rounded before the stage its price names';
COMMENT ON COLUMN billadj.charge.currency IS 'ISO 4217 code of the amount';
COMMENT ON COLUMN billadj.charge.cause IS 'usage, backfill, update, delete, position or correction; of a subscription: recurring, proration or milestone';
COMMENT ON COLUMN billadj.charge.row_count IS 'usage rows it adds to its period: 1, 0 or -1';
COMMENT ON COLUMN billadj.charge.basis IS 'what else the amount was computed from; NULL where the columns say it all';
COMMENT ON COLUMN billadj.charge.created_at IS 'when it was booked';
COMMENT ON COLUMN billadj.charge.created_by IS 'the login that wrote the usage';
COMMENT ON COLUMN billadj.charge.subscription_id IS 'the subscription it is for; NULL for usage';
COMMENT ON COLUMN billadj.charge.term_id IS 'the term it is for; NULL for usage';
COMMENT ON COLUMN billadj.charge.plan_price_id IS 'the price of the plan that was applied; NULL for usage';
COMMENT ON COLUMN billadj.charge.covers IS 'from when to when it is charged for; NULL for usage';

-- fillfactor 10: small rows that change at every commit, and pruning a dense
-- page of them looks at all.  What is fixed comes first, since an update looks
-- at every column of the key, and what changes last, since it logs no more.
CREATE TABLE billadj.tier_total (
    period_start timestamptz NOT NULL,
    price_id     bigint      NOT NULL,
    account      text        COLLATE "C" NOT NULL,
    meter        text        COLLATE "C" NOT NULL,
    bucket       bytea       NOT NULL DEFAULT '',
    row_count    bigint      NOT NULL,
    quantity     numeric     NOT NULL,
    amount       numeric     NOT NULL,
    CONSTRAINT tier_total_pkey PRIMARY KEY (account, meter, period_start, price_id)
) WITH (fillfactor = 10);
ALTER TABLE billadj.tier_total ALTER account SET STORAGE PLAIN, ALTER meter SET STORAGE PLAIN, ALTER bucket SET STORAGE PLAIN,
    ALTER quantity SET STORAGE PLAIN, ALTER amount SET STORAGE PLAIN;
COMMENT ON TABLE billadj.tier_total IS 'running totals of prices that are not linear; written at commit by the library only';
COMMENT ON COLUMN billadj.tier_total.account IS 'who is billed';
COMMENT ON COLUMN billadj.tier_total.meter IS 'what was counted';
COMMENT ON COLUMN billadj.tier_total.period_start IS 'beginning of the period';
COMMENT ON COLUMN billadj.tier_total.price_id IS 'the price';
COMMENT ON COLUMN billadj.tier_total.bucket IS 'what billadj.open_bucket.state is, of an account and meter whose newest total this is; empty in any other';
COMMENT ON COLUMN billadj.tier_total.quantity IS 'quantity of the period under this price';
COMMENT ON COLUMN billadj.tier_total.amount IS 'sum of the charges; f(quantity)';
COMMENT ON COLUMN billadj.tier_total.row_count IS 'usage rows of the period under this price';

CREATE VIEW billadj.meter_total WITH (security_invoker = true) AS
SELECT t.account, t.meter, t.period_start, t.price_id, t.quantity, t.amount, t.row_count AS rows
  FROM billadj.tier_total t
UNION ALL
SELECT c.account, c.meter, c.period_start, c.price_id, sum(c.quantity), sum(c.amount), sum(c.row_count)::bigint
  FROM billadj.charge c
  JOIN billadj.price p ON p.price_id = c.price_id
 WHERE p.linear
 GROUP BY c.account, c.meter, c.period_start, c.price_id;
COMMENT ON VIEW billadj.meter_total IS 'quantity and amount of each account, meter, period and price';
COMMENT ON COLUMN billadj.meter_total.account IS 'who is billed';
COMMENT ON COLUMN billadj.meter_total.meter IS 'what was counted';
COMMENT ON COLUMN billadj.meter_total.period_start IS 'beginning of the period';
COMMENT ON COLUMN billadj.meter_total.price_id IS 'the price';
COMMENT ON COLUMN billadj.meter_total.quantity IS 'quantity of the period under this price';
COMMENT ON COLUMN billadj.meter_total.amount IS 'sum of the charges';
COMMENT ON COLUMN billadj.meter_total.rows IS 'usage rows of the period under this price';

-- account is NULL where the row had no usable one, hence no primary key.
CREATE TABLE billadj.parked_usage (
    account       text        COLLATE "C",
    attachment_id bigint      NOT NULL,
    event_key     text        COLLATE "C",
    measure       text        COLLATE "C" NOT NULL,
    mapped        jsonb       NOT NULL,
    sqlstate      text        NOT NULL,
    message       text        NOT NULL,
    hint          text,
    attempts      integer     NOT NULL DEFAULT 1,
    parked_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    created_by    text        NOT NULL DEFAULT session_user,
    resolved_at   timestamptz,
    resolution    text,
    CONSTRAINT parked_usage_resolution_check CHECK (resolution IN ('charged', 'deleted', 'replaced')
        AND resolved_at IS NOT NULL OR resolution IS NULL AND resolved_at IS NULL)
);
CREATE INDEX parked_usage_event_idx ON billadj.parked_usage (attachment_id, event_key);
COMMENT ON TABLE billadj.parked_usage IS 'usage that could not be rated, kept with the reason; one row per usage row and measure';
COMMENT ON COLUMN billadj.parked_usage.account IS 'who would be billed; NULL when the row had no usable account';
COMMENT ON COLUMN billadj.parked_usage.attachment_id IS 'the attachment the row came by';
COMMENT ON COLUMN billadj.parked_usage.event_key IS 'key of the row in its host table; NULL when it had no usable key';
COMMENT ON COLUMN billadj.parked_usage.measure IS 'which quantity of the row it is about';
COMMENT ON COLUMN billadj.parked_usage.mapped IS 'the values that were read from the row; retry_parked() needs no other';
COMMENT ON COLUMN billadj.parked_usage.sqlstate IS 'code of the reason, see doc/errors.md';
COMMENT ON COLUMN billadj.parked_usage.message IS 'the reason';
COMMENT ON COLUMN billadj.parked_usage.hint IS 'what mends it';
COMMENT ON COLUMN billadj.parked_usage.attempts IS 'how often rating was tried';
COMMENT ON COLUMN billadj.parked_usage.parked_at IS 'when it was parked';
COMMENT ON COLUMN billadj.parked_usage.created_by IS 'the login that wrote the usage';
COMMENT ON COLUMN billadj.parked_usage.resolved_at IS 'when it was settled; NULL: still waiting';
COMMENT ON COLUMN billadj.parked_usage.resolution IS 'charged, deleted (the host row is gone) or replaced (the host row was changed)';

CREATE TABLE billadj.backfill_progress (
    attachment_id  bigint      NOT NULL,
    relation_name  text        NOT NULL,
    next_block     bigint      NOT NULL DEFAULT 0,
    blocks         bigint      NOT NULL DEFAULT 0,
    rows_rated     bigint      NOT NULL DEFAULT 0,
    rows_parked    bigint      NOT NULL DEFAULT 0,
    rows_seen      bigint      NOT NULL DEFAULT 0,
    started_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    finished_at    timestamptz,
    created_by     text        NOT NULL DEFAULT session_user,
    CONSTRAINT backfill_progress_pkey PRIMARY KEY (attachment_id, relation_name)
);
COMMENT ON TABLE billadj.backfill_progress IS 'how far backfill() has come in each table; the next call goes on from there';
COMMENT ON COLUMN billadj.backfill_progress.attachment_id IS 'the attachment';
COMMENT ON COLUMN billadj.backfill_progress.relation_name IS 'the table, or one partition of it';
COMMENT ON COLUMN billadj.backfill_progress.next_block IS 'first block of the table that was not looked at yet';
COMMENT ON COLUMN billadj.backfill_progress.blocks IS 'blocks of the table when the pass began';
COMMENT ON COLUMN billadj.backfill_progress.rows_rated IS 'usage rows charged so far';
COMMENT ON COLUMN billadj.backfill_progress.rows_parked IS 'usage rows parked so far';
COMMENT ON COLUMN billadj.backfill_progress.rows_seen IS 'usage rows looked at so far';
COMMENT ON COLUMN billadj.backfill_progress.started_at IS 'when the pass began';
COMMENT ON COLUMN billadj.backfill_progress.updated_at IS 'when the last batch was done';
COMMENT ON COLUMN billadj.backfill_progress.finished_at IS 'when the pass ended; NULL: it has not';
COMMENT ON COLUMN billadj.backfill_progress.created_by IS 'the login that began it';

GRANT SELECT ON billadj.attachment, billadj.charge, billadj.charge_default, billadj.tier_total, billadj.meter_total, billadj.parked_usage,
      billadj.backfill_progress
   TO billadj_admin, billadj_operator, billadj_requester, billadj_approver, billadj_policy, billadj_auditor, billadj_reader;
GRANT INSERT ON billadj.attachment TO billadj_admin;
GRANT UPDATE (schema_name, relation_name, mapping, mode, on_unpriced, detect, state) ON billadj.attachment TO billadj_admin;
GRANT INSERT, UPDATE ON billadj.backfill_progress TO billadj_operator, billadj_admin;
