-- 004_backfill.sql: how far backfill() is

CREATE VIEW billadj.backfill_status WITH (security_invoker = true) AS
SELECT a.schema_name, a.relation_name AS attached, b.relation_name, b.attachment_id, b.rows_seen, b.rows_rated, b.rows_parked,
       CASE WHEN b.finished_at IS NOT NULL OR b.blocks = 0 THEN 100
            ELSE least(100, b.next_block * 100 / b.blocks) END AS percent,
       b.started_at, b.updated_at, b.finished_at
  FROM billadj.backfill_progress b
  JOIN billadj.attachment a ON a.attachment_id = b.attachment_id;
COMMENT ON VIEW billadj.backfill_status IS 'progress of backfill() by table';
COMMENT ON COLUMN billadj.backfill_status.schema_name IS 'schema of the attached table';
COMMENT ON COLUMN billadj.backfill_status.attached IS 'name of the attached table';
COMMENT ON COLUMN billadj.backfill_status.relation_name IS 'the table or partition that is read';
COMMENT ON COLUMN billadj.backfill_status.attachment_id IS 'the attachment';
COMMENT ON COLUMN billadj.backfill_status.rows_seen IS 'usage rows looked at';
COMMENT ON COLUMN billadj.backfill_status.rows_rated IS 'charges written';
COMMENT ON COLUMN billadj.backfill_status.rows_parked IS 'measures parked';
COMMENT ON COLUMN billadj.backfill_status.percent IS 'share of the table that was looked at';
COMMENT ON COLUMN billadj.backfill_status.started_at IS 'when the pass began';
COMMENT ON COLUMN billadj.backfill_status.updated_at IS 'when the last batch was done';
COMMENT ON COLUMN billadj.backfill_status.finished_at IS 'when the pass ended; NULL: it has not';
-- Filled in the transaction that charges the rows.
CREATE TABLE billadj.backfill_stream (
    account       text        COLLATE "C" NOT NULL,
    meter         text        COLLATE "C" NOT NULL,
    attachment_id bigint      NOT NULL,
    created_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    created_by    text        NOT NULL DEFAULT session_user,
    CONSTRAINT backfill_stream_pkey PRIMARY KEY (account, meter, attachment_id)
);
COMMENT ON TABLE billadj.backfill_stream IS 'accounts and meters that backfill() with learn charged rows of, and has yet to learn anew';
COMMENT ON COLUMN billadj.backfill_stream.account IS 'who is billed';
COMMENT ON COLUMN billadj.backfill_stream.meter IS 'what was counted';
COMMENT ON COLUMN billadj.backfill_stream.attachment_id IS 'the attachment';
COMMENT ON COLUMN billadj.backfill_stream.created_at IS 'when the first of these rows was charged';
COMMENT ON COLUMN billadj.backfill_stream.created_by IS 'the login that did';
GRANT UPDATE, DELETE ON billadj.backfill_stream TO billadj_operator, billadj_admin;

GRANT SELECT ON billadj.backfill_status, billadj.backfill_stream
   TO billadj_admin, billadj_operator, billadj_requester, billadj_approver, billadj_policy, billadj_auditor, billadj_reader;
