-- 003_attached.sql: what is attached, by the triggers that are really there, and a
-- usage table for who has none

-- No function of the library is named here: a view that did would be dropped
-- with the extension.
CREATE VIEW billadj.attached WITH (security_invoker = true) AS
SELECT a.attachment_id,
       h.relation,
       a.state,
       a.mapping -> 'account' AS account,
       a.mapping -> 'occurred_at' AS occurred_at,
       a.mapping -> 'event_key' AS event_key,
       a.mapping -> 'measures' AS measures,
       a.mode,
       a.on_unpriced,
       a.detect,
       coalesce(h.tables, 0) AS tables,
       coalesce(h.triggers, 0) AS triggers,
       a.created_at,
       a.created_by
  FROM billadj.attachment a
  LEFT JOIN (SELECT split_part(encode(t.tgargs, 'escape'), '\000', 1) AS attachment_id,
                    -- of a partitioned table its topmost one
                    (array_agg(format('%I.%I', s.nspname, c.relname) ORDER BY c.relispartition, c.oid))[1] AS relation,
                    count(DISTINCT c.oid) AS tables,
                    count(*) AS triggers
               FROM pg_catalog.pg_trigger t
               JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid
               JOIN pg_catalog.pg_namespace s ON s.oid = c.relnamespace
               JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid
               JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
              WHERE n.nspname = 'billadj'
                AND p.proname IN ('usage_insert_trigger', 'usage_update_trigger', 'usage_delete_trigger', 'usage_truncate_trigger')
                AND t.tgnargs = 1
              GROUP BY 1) h ON h.attachment_id = a.attachment_id::text;
COMMENT ON VIEW billadj.attached IS 'attachments and the host tables that carry their triggers now';
COMMENT ON COLUMN billadj.attached.attachment_id IS 'its number';
COMMENT ON COLUMN billadj.attached.relation IS 'the host table as it is called now; NULL: no table has its triggers';
COMMENT ON COLUMN billadj.attached.state IS 'active, paused or detached';
COMMENT ON COLUMN billadj.attached.account IS 'column or constant that is the account';
COMMENT ON COLUMN billadj.attached.occurred_at IS 'column or constant that is the time';
COMMENT ON COLUMN billadj.attached.event_key IS 'columns of the event key';
COMMENT ON COLUMN billadj.attached.measures IS 'what is counted: meter and quantity, each a column or a constant';
COMMENT ON COLUMN billadj.attached.mode IS 'rate: charges count; shadow: charges are only compared';
COMMENT ON COLUMN billadj.attached.on_unpriced IS 'park: a row without price is kept aside; reject: its statement fails';
COMMENT ON COLUMN billadj.attached.detect IS 'whether anomaly detection looks at its rows';
COMMENT ON COLUMN billadj.attached.tables IS 'how many tables carry its triggers: the host table and its partitions';
COMMENT ON COLUMN billadj.attached.triggers IS 'how many triggers these are, four a table';
COMMENT ON COLUMN billadj.attached.created_at IS 'when it was attached first';
COMMENT ON COLUMN billadj.attached.created_by IS 'the login that attached it';

GRANT SELECT ON billadj.attached
   TO billadj_admin, billadj_operator, billadj_requester, billadj_approver, billadj_policy, billadj_auditor, billadj_reader;

-- One plain table: with months as partitions its key would have to hold the
-- time, and the same event at another time would be a second one.
CREATE TABLE billadj.usage (
    account     text        COLLATE "C" NOT NULL,
    event_key   text        COLLATE "C" NOT NULL DEFAULT gen_random_uuid()::text,
    meter       text        COLLATE "C" NOT NULL,
    quantity    numeric     NOT NULL,
    occurred_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    dimensions  jsonb       NOT NULL DEFAULT '{}',
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    created_by  text        NOT NULL DEFAULT session_user,
    CONSTRAINT usage_pkey PRIMARY KEY (account, event_key),
    CONSTRAINT usage_dimensions_check CHECK (jsonb_typeof(dimensions) = 'object')
);
COMMENT ON TABLE billadj.usage IS 'usage of who has no table of his own for it; rated once it is attached, like any other table';
COMMENT ON COLUMN billadj.usage.account IS 'who is billed';
COMMENT ON COLUMN billadj.usage.event_key IS 'name of the event within its account, of whoever reports it: the same again is the same event; a random one where none is given';
COMMENT ON COLUMN billadj.usage.meter IS 'what was used';
COMMENT ON COLUMN billadj.usage.quantity IS 'how much of it';
COMMENT ON COLUMN billadj.usage.occurred_at IS 'when it was used';
COMMENT ON COLUMN billadj.usage.dimensions IS 'what else is known of it, for reports: region, project …; rating does not look at it';
COMMENT ON COLUMN billadj.usage.created_at IS 'when it was written';
COMMENT ON COLUMN billadj.usage.created_by IS 'the login that wrote it';
GRANT SELECT ON billadj.usage
   TO billadj_admin, billadj_operator, billadj_requester, billadj_approver, billadj_policy, billadj_auditor, billadj_reader;
GRANT INSERT ON billadj.usage TO billadj_operator, billadj_admin;
GRANT UPDATE, DELETE ON billadj.usage TO billadj_admin;
