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

-- Who waits for a row of a total holds, or waits for, the lock of that row
-- version; for a total that another session is making there is only the wait for
-- its transaction, which a COMMIT has no other reason for.
CREATE VIEW billadj.settle_waits WITH (security_invoker = true) AS
WITH total AS (
    SELECT c.oid, c.relname = 'tier_total' AS billed
      FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = 'billadj' AND c.relname IN ('tier_total', 'shadow_total')
), held AS (
    SELECT l.pid, l.locktype, t.billed, format('(%s,%s)', l.page, l.tuple)::tid AS at
      FROM pg_catalog.pg_locks l JOIN total t ON t.oid = l.relation
     WHERE l.locktype IN ('relation', 'tuple') AND l.pid IS NOT NULL
       AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = current_database())
)
SELECT w.pid,
       s.usename AS login,
       s.application_name,
       k.account,
       k.meter,
       k.period_start,
       w.waitstart AS waiting_since,
       b.pids AS blocked_by,
       0 = ANY (b.pids) AS blocked_by_prepared,
       s.query
  FROM pg_catalog.pg_locks w
  LEFT JOIN pg_catalog.pg_stat_activity s ON s.pid = w.pid
 CROSS JOIN LATERAL (SELECT pg_catalog.pg_blocking_pids(w.pid) AS pids) b
 CROSS JOIN LATERAL (SELECT h.* FROM held h WHERE h.pid = w.pid ORDER BY h.locktype DESC LIMIT 1) h
  LEFT JOIN LATERAL (SELECT t.account, t.meter, t.period_start FROM billadj.tier_total t
                      WHERE h.billed AND h.locktype = 'tuple' AND t.ctid = h.at
                     UNION ALL
                     SELECT t.account, t.meter, t.period_start FROM billadj.shadow_total t
                      WHERE NOT h.billed AND h.locktype = 'tuple' AND t.ctid = h.at) k ON true
 WHERE NOT w.granted AND w.locktype IN ('transactionid', 'tuple', 'spectoken')
   AND (h.locktype = 'tuple' OR s.query ~* '^\s*(commit|end|prepare\s+transaction)\M');
COMMENT ON VIEW billadj.settle_waits IS 'sessions that wait at commit for another transaction''s totals; needs pg_read_all_stats to see logins and queries of others';
COMMENT ON COLUMN billadj.settle_waits.pid IS 'process that waits';
COMMENT ON COLUMN billadj.settle_waits.login IS 'its login';
COMMENT ON COLUMN billadj.settle_waits.application_name IS 'what it calls itself';
COMMENT ON COLUMN billadj.settle_waits.account IS 'whose total it waits for; NULL: one that is being made';
COMMENT ON COLUMN billadj.settle_waits.meter IS 'meter of that total';
COMMENT ON COLUMN billadj.settle_waits.period_start IS 'period of that total';
COMMENT ON COLUMN billadj.settle_waits.waiting_since IS 'when it began to wait';
COMMENT ON COLUMN billadj.settle_waits.blocked_by IS 'processes that it waits for; 0: a prepared transaction';
COMMENT ON COLUMN billadj.settle_waits.blocked_by_prepared IS 'a prepared transaction is among them, see billadj.prepared_totals';
COMMENT ON COLUMN billadj.settle_waits.query IS 'its statement';

CREATE VIEW billadj.prepared_totals WITH (security_invoker = true) AS
SELECT p.gid, p.owner::text AS login, p.prepared AS prepared_at
  FROM pg_catalog.pg_prepared_xacts p
  JOIN pg_catalog.pg_locks x ON x.locktype = 'transactionid' AND x.transactionid = p.transaction AND x.pid IS NULL AND x.granted
 WHERE p.database = current_database()
   AND EXISTS (SELECT
                 FROM pg_catalog.pg_locks l
                 JOIN pg_catalog.pg_class c ON c.oid = l.relation
                 JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
                WHERE n.nspname = 'billadj' AND c.relname IN ('tier_total', 'shadow_total')
                  AND l.locktype = 'relation' AND l.pid IS NULL AND l.virtualtransaction = x.virtualtransaction
                  AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = current_database()));
COMMENT ON VIEW billadj.prepared_totals IS 'prepared transactions that hold totals: every commit on these waits for them';
COMMENT ON COLUMN billadj.prepared_totals.gid IS 'its name, for COMMIT PREPARED or ROLLBACK PREPARED';
COMMENT ON COLUMN billadj.prepared_totals.login IS 'the login that prepared it';
COMMENT ON COLUMN billadj.prepared_totals.prepared_at IS 'when';

GRANT SELECT ON billadj.monitor, billadj.prepared_totals
   TO billadj_admin, billadj_operator, billadj_requester, billadj_approver, billadj_policy, billadj_auditor, billadj_reader;
-- those who may read both books
GRANT SELECT ON billadj.settle_waits TO billadj_admin, billadj_operator, billadj_auditor, billadj_reader;
