-- 006_monitor.sql: what a monitoring system asks for

-- What is still parked is counted often, and what was settled stays for ever.
CREATE INDEX parked_usage_open_idx ON billadj.parked_usage (attachment_id, parked_at) WHERE resolved_at IS NULL;

-- No charge is read here: a month of them is large and has no index.
CREATE VIEW billadj.monitor WITH (security_invoker = true) AS
WITH carried AS (
    SELECT split_part(encode(t.tgargs, 'escape'), '\000', 1) AS number, t.tgrelid,
           count(*) AS triggers, count(*) FILTER (WHERE t.tgenabled <> 'O') AS disabled
      FROM pg_catalog.pg_trigger t
      JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid
      JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
     WHERE n.nspname = 'billadj'
       AND p.proname IN ('usage_insert_trigger', 'usage_update_trigger', 'usage_delete_trigger', 'usage_truncate_trigger')
       AND t.tgnargs = 1
     GROUP BY 1, 2
), host AS (
    -- of a partitioned table its topmost one
    SELECT DISTINCT ON (k.number) k.number, c.oid, format('%I.%I', s.nspname, c.relname) AS relation
      FROM carried k
      JOIN pg_catalog.pg_class c ON c.oid = k.tgrelid
      JOIN pg_catalog.pg_namespace s ON s.oid = c.relnamespace
     ORDER BY k.number, c.relispartition, c.oid
), member AS (
    SELECT h.number, h.oid AS relid FROM host h
    UNION
    SELECT h.number, c.oid
      FROM host h CROSS JOIN pg_catalog.pg_partition_tree(h.oid) AS t
      JOIN pg_catalog.pg_class c ON c.oid = t.relid AND c.relkind IN ('r', 'p')
), covered AS (
    SELECT m.number, count(*) AS tables, sum(4 - coalesce(k.triggers, 0))::integer AS missing,
           sum(coalesce(k.disabled, 0))::integer AS disabled
      FROM member m LEFT JOIN carried k ON k.number = m.number AND k.tgrelid = m.relid
     GROUP BY m.number
), cause AS (
    SELECT p.attachment_id, p.sqlstate, count(*) AS parked, min(p.parked_at) AS oldest
      FROM billadj.parked_usage p WHERE p.resolved_at IS NULL
     GROUP BY p.attachment_id, p.sqlstate
), waiting AS (
    SELECT c.attachment_id, sum(c.parked)::bigint AS parked, jsonb_object_agg(c.sqlstate, c.parked) AS causes, min(c.oldest) AS oldest
      FROM cause c GROUP BY c.attachment_id
), pass AS (
    SELECT b.attachment_id, sum(b.blocks) AS blocks,
           sum(CASE WHEN b.finished_at IS NULL THEN least(b.next_block, b.blocks) ELSE b.blocks END) AS seen,
           bool_and(b.finished_at IS NOT NULL) AS finished, max(b.updated_at) AS updated_at
      FROM billadj.backfill_progress b GROUP BY b.attachment_id
)
SELECT a.attachment_id,
       coalesce(h.relation, format('%I.%I', a.schema_name, a.relation_name)) AS relation,
       a.state,
       a.mode,
       coalesce(v.tables, 0) AS tables,
       CASE WHEN a.state = 'detached' THEN 0 ELSE coalesce(v.missing, 4) END AS triggers_missing,
       coalesce(v.disabled, 0) AS triggers_disabled,
       coalesce(w.parked, 0) AS parked,
       coalesce(w.causes, '{}') AS parked_by_cause,
       w.oldest AS oldest_parked_at,
       CASE WHEN b.finished OR b.blocks = 0 THEN 100 ELSE (b.seen * 100 / b.blocks)::integer END AS backfill_percent,
       coalesce(NOT b.finished, false) AS backfill_open,
       b.updated_at AS backfill_updated_at
  FROM billadj.attachment a
  LEFT JOIN host h ON h.number = a.attachment_id::text
  LEFT JOIN covered v ON v.number = a.attachment_id::text
  LEFT JOIN waiting w ON w.attachment_id = a.attachment_id
  LEFT JOIN pass b ON b.attachment_id = a.attachment_id;
COMMENT ON VIEW billadj.monitor IS 'the health of each attachment, cheap enough to be asked every minute; doc/operations.md has the alerts';
COMMENT ON COLUMN billadj.monitor.attachment_id IS 'its number';
COMMENT ON COLUMN billadj.monitor.relation IS 'the host table as it is called now; where no table has its triggers, as it was called';
COMMENT ON COLUMN billadj.monitor.state IS 'active, paused or detached';
COMMENT ON COLUMN billadj.monitor.mode IS 'rate: charges count; shadow: charges are only compared';
COMMENT ON COLUMN billadj.monitor.tables IS 'the host table and its partitions; 0: no table has its triggers';
COMMENT ON COLUMN billadj.monitor.triggers_missing IS 'triggers that these tables should have and do not: rows that name them are not rated';
COMMENT ON COLUMN billadj.monitor.triggers_disabled IS 'triggers that somebody disabled or made REPLICA or ALWAYS';
COMMENT ON COLUMN billadj.monitor.parked IS 'measures that are parked and not settled';
COMMENT ON COLUMN billadj.monitor.parked_by_cause IS 'how many of them by SQLSTATE, see doc/errors.md';
COMMENT ON COLUMN billadj.monitor.oldest_parked_at IS 'when the oldest of them was parked';
COMMENT ON COLUMN billadj.monitor.backfill_percent IS 'share of the tables that the last pass of backfill() looked at; NULL: it was never run';
COMMENT ON COLUMN billadj.monitor.backfill_open IS 'a pass of backfill() is running or was interrupted';
COMMENT ON COLUMN billadj.monitor.backfill_updated_at IS 'when the last batch of backfill() was done';

GRANT SELECT ON billadj.monitor
   TO billadj_admin, billadj_operator, billadj_requester, billadj_approver, billadj_policy, billadj_auditor, billadj_reader;
