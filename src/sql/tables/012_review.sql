-- 012_review.sql: views for finance, reviewers and auditors; for administrators,
-- those that need the tables of all parts

CREATE VIEW billadj.open_override WITH (security_invoker = true) AS
SELECT r.request_id, r.account, r.kind, r.delta, r.currency, r.effective_amount, r.reason_code, r.state, r.requested_by, r.requested_at,
       clock_timestamp() - r.requested_at AS age,
       CASE WHEN r.state = 'approved' THEN r.apply_until ELSE r.decide_until END AS until,
       CASE WHEN r.state = 'approved' THEN 0 ELSE coalesce(n.approvals, 0) - coalesce(h.approvals, 0) END AS missing,
       CASE WHEN r.state = 'approved' THEN NULL ELSE n.level END AS highest_level
  FROM billadj.override_request r
  LEFT JOIN LATERAL (SELECT sum(s.quorum) AS approvals, max(s.level) AS level
                       FROM jsonb_to_recordset(r.rules) AS s(step integer, level integer, quorum integer, lower numeric, upper numeric)
                      WHERE (r.effective_amount > s.lower OR s.lower = 0) AND (s.upper IS NULL OR r.effective_amount <= s.upper)) n ON true
  LEFT JOIN LATERAL (SELECT count(*) AS approvals
                       FROM billadj.override_decision d
                      WHERE d.request_id = r.request_id AND d.revision = r.revision AND d.decision = 'approve') h ON true
 WHERE r.state IN ('open', 'approved');
COMMENT ON VIEW billadj.open_override IS 'requests that wait for a decision or for being applied; explain_decision() says more of one';
COMMENT ON COLUMN billadj.open_override.request_id IS 'the request';
COMMENT ON COLUMN billadj.open_override.account IS 'who is billed';
COMMENT ON COLUMN billadj.open_override.kind IS 'credit, debit, discount, price_override, waive, write_off, refund, release or cancel';
COMMENT ON COLUMN billadj.open_override.delta IS 'what would be added to what is billed; negative is in the favour of the customer';
COMMENT ON COLUMN billadj.open_override.currency IS 'ISO 4217 code of the amounts';
COMMENT ON COLUMN billadj.open_override.effective_amount IS 'the amount that chose the band when it was submitted: its own and that of others on the account in the window';
COMMENT ON COLUMN billadj.open_override.reason_code IS 'why it is asked for';
COMMENT ON COLUMN billadj.open_override.state IS 'open: it waits for people; approved: it waits for apply_override()';
COMMENT ON COLUMN billadj.open_override.requested_by IS 'the login that asks for it';
COMMENT ON COLUMN billadj.open_override.requested_at IS 'when it was submitted';
COMMENT ON COLUMN billadj.open_override.age IS 'how long it waits';
COMMENT ON COLUMN billadj.open_override.until IS 'when it expires';
COMMENT ON COLUMN billadj.open_override.missing IS 'approvals it still needs, as its rules stood when it was submitted';
COMMENT ON COLUMN billadj.open_override.highest_level IS 'the highest level among the people it needs';

CREATE VIEW billadj.decision_log WITH (security_invoker = true) AS
SELECT d.decision_id, d.decided_at, d.decided_by, d.person_key, d.decision, d.step, d.authority_id, d.delegation_id, d.revision AS revision_seen,
       r.request_id, r.account, r.kind, r.delta, r.currency, r.reason_code, r.requested_by, r.state AS request_state,
       d.decided_at - r.requested_at AS waited
  FROM billadj.override_decision d
  JOIN billadj.override_request r ON r.request_id = d.request_id;
COMMENT ON VIEW billadj.decision_log IS 'every decision, with what was decided';
COMMENT ON COLUMN billadj.decision_log.decision_id IS 'the decision';
COMMENT ON COLUMN billadj.decision_log.decided_at IS 'when';
COMMENT ON COLUMN billadj.decision_log.decided_by IS 'by which login';
COMMENT ON COLUMN billadj.decision_log.person_key IS 'the person behind it';
COMMENT ON COLUMN billadj.decision_log.decision IS 'approve or reject';
COMMENT ON COLUMN billadj.decision_log.step IS 'the step it counts at';
COMMENT ON COLUMN billadj.decision_log.authority_id IS 'the authority it rests on';
COMMENT ON COLUMN billadj.decision_log.delegation_id IS 'the delegation it was made under; NULL: none';
COMMENT ON COLUMN billadj.decision_log.revision_seen IS 'the revision of the request that was decided on';
COMMENT ON COLUMN billadj.decision_log.request_id IS 'the request';
COMMENT ON COLUMN billadj.decision_log.account IS 'who is billed';
COMMENT ON COLUMN billadj.decision_log.kind IS 'kind of the request';
COMMENT ON COLUMN billadj.decision_log.delta IS 'the amount asked for, signed';
COMMENT ON COLUMN billadj.decision_log.currency IS 'ISO 4217 code of the amount';
COMMENT ON COLUMN billadj.decision_log.reason_code IS 'why it was asked for';
COMMENT ON COLUMN billadj.decision_log.requested_by IS 'the login that asked';
COMMENT ON COLUMN billadj.decision_log.request_state IS 'what became of the request';
COMMENT ON COLUMN billadj.decision_log.waited IS 'from the request to this decision';

CREATE VIEW billadj.adjustment_summary WITH (security_invoker = true) AS
SELECT a.posted_period_start, a.account, a.cause, r.kind, r.reason_code, a.affects, a.currency, count(*) AS adjustments, sum(a.delta) AS delta
  FROM billadj.adjustment a
  JOIN billadj.override_request r ON r.request_id = a.request_id
 GROUP BY a.posted_period_start, a.account, a.cause, r.kind, r.reason_code, a.affects, a.currency;
COMMENT ON VIEW billadj.adjustment_summary IS 'adjustments by the period that shows them, account, cause and reason';
COMMENT ON COLUMN billadj.adjustment_summary.posted_period_start IS 'beginning of the period whose bill shows them';
COMMENT ON COLUMN billadj.adjustment_summary.account IS 'who is billed';
COMMENT ON COLUMN billadj.adjustment_summary.cause IS 'cause of the adjustments';
COMMENT ON COLUMN billadj.adjustment_summary.kind IS 'kind of the requests behind them';
COMMENT ON COLUMN billadj.adjustment_summary.reason_code IS 'why they were asked for';
COMMENT ON COLUMN billadj.adjustment_summary.affects IS 'billed, or balance for refunds and write-offs';
COMMENT ON COLUMN billadj.adjustment_summary.currency IS 'ISO 4217 code of the amount';
COMMENT ON COLUMN billadj.adjustment_summary.adjustments IS 'how many';
COMMENT ON COLUMN billadj.adjustment_summary.delta IS 'their sum; negative is in the favour of customers';

-- Population completeness, as auditors ask for it: both ways.
CREATE VIEW billadj.override_completeness WITH (security_invoker = true) AS
SELECT r.request_id, r.account, r.state, a.adjustment_id, d.approvals, n.approvals AS needed, e.request_entries, e.decision_entries, e.effect_entries,
       array_remove(ARRAY[
           CASE WHEN e.request_entries = 0 THEN 'request without audit entry' END,
           CASE WHEN e.decision_entries < d.decisions THEN 'decision without audit entry' END,
           CASE WHEN a.adjustment_id IS NOT NULL AND e.effect_entries = 0 THEN 'effect without audit entry' END,
           CASE WHEN r.state = 'applied' AND r.delta IS NOT NULL AND r.delta <> 0 AND a.adjustment_id IS NULL THEN 'applied without effect' END,
           CASE WHEN a.adjustment_id IS NOT NULL AND r.state <> 'applied' THEN 'effect of a request that is not applied' END,
           CASE WHEN a.adjustment_id IS NOT NULL AND d.approvals < n.approvals THEN 'effect without enough approvals' END,
           CASE WHEN a.adjustment_id IS NOT NULL AND a.delta IS DISTINCT FROM r.delta THEN 'effect of another amount' END], NULL) AS problems
  FROM billadj.override_request r
  LEFT JOIN billadj.adjustment a ON a.account = r.account AND a.request_id = r.request_id
  LEFT JOIN LATERAL (SELECT count(*) FILTER (WHERE x.decision = 'approve' AND x.revision = r.revision) AS approvals, count(*) AS decisions
                       FROM billadj.override_decision x WHERE x.request_id = r.request_id) d ON true
  LEFT JOIN LATERAL (SELECT coalesce(sum(s.quorum), 0) AS approvals
                       FROM jsonb_to_recordset(r.rules) AS s(step integer, level integer, quorum integer, lower numeric, upper numeric)
                      WHERE (r.effective_amount > s.lower OR s.lower = 0) AND (s.upper IS NULL OR r.effective_amount <= s.upper)) n ON true
  LEFT JOIN LATERAL (SELECT (SELECT count(*) FROM billadj.audit_entry x WHERE x.object = 'override_request/' || r.request_id) AS request_entries,
                            (SELECT count(DISTINCT x.object) FROM billadj.override_decision y
                               JOIN billadj.audit_entry x ON x.object = 'override_decision/' || y.decision_id
                              WHERE y.request_id = r.request_id) AS decision_entries,
                            (SELECT count(*) FROM billadj.audit_entry x WHERE x.object = 'adjustment/' || a.adjustment_id AND x.event = 'apply') AS effect_entries) e
         ON true;
COMMENT ON VIEW billadj.override_completeness IS 'for each request: is its effect there, has it enough approvals, has each its audit entry; problems is empty where all is well';
COMMENT ON COLUMN billadj.override_completeness.request_id IS 'the request';
COMMENT ON COLUMN billadj.override_completeness.account IS 'who is billed';
COMMENT ON COLUMN billadj.override_completeness.state IS 'its state';
COMMENT ON COLUMN billadj.override_completeness.adjustment_id IS 'its effect; NULL: none';
COMMENT ON COLUMN billadj.override_completeness.approvals IS 'approvals of the newest revision';
COMMENT ON COLUMN billadj.override_completeness.needed IS 'approvals that its rules asked for';
COMMENT ON COLUMN billadj.override_completeness.request_entries IS 'audit entries of the request';
COMMENT ON COLUMN billadj.override_completeness.decision_entries IS 'its decisions that have an audit entry';
COMMENT ON COLUMN billadj.override_completeness.effect_entries IS 'audit entries of its effect';
COMMENT ON COLUMN billadj.override_completeness.problems IS 'what does not fit together; empty: nothing';

CREATE VIEW billadj.approval_access WITH (security_invoker = true) AS
SELECT p.principal_id, p.person_key, p.role_name, r.oid IS NOT NULL AND r.rolcanlogin AS can_login,
       CASE WHEN r.oid IS NULL THEN false ELSE pg_has_role(r.oid, 'billadj_approver', 'USAGE') END AS is_approver,
       a.authority_id, a.kind, a.currency, a.level, a.single_limit, a.period_limit, a.period, a.valid, a.certificate,
       a.certificate IS NULL
       OR EXISTS (SELECT FROM billadj.certification c
                   WHERE c.principal_id = a.principal_id AND c.certificate = a.certificate AND c.valid @> clock_timestamp()) AS certified,
       d.delegation_id, f.person_key AS delegated_by,
       p.active AND a.valid @> clock_timestamp() AND (d.delegation_id IS NULL OR d.valid @> clock_timestamp()) AS current
  FROM billadj.principal p
  LEFT JOIN pg_catalog.pg_roles r ON r.rolname = p.role_name
  JOIN LATERAL (SELECT x.authority_id, NULL::bigint AS delegation_id, NULL::bigint AS from_principal, NULL::numeric AS single_limit
                  FROM billadj.authority x WHERE x.principal_id = p.principal_id
                UNION ALL
                SELECT g.authority_id, g.delegation_id, g.from_principal, g.single_limit
                  FROM billadj.delegation g WHERE g.to_principal = p.principal_id) g ON true
  JOIN billadj.authority o ON o.authority_id = g.authority_id
  JOIN LATERAL (SELECT o.authority_id, p.principal_id, o.kind, o.currency, o.level, least(o.single_limit, g.single_limit) AS single_limit, o.period_limit,
                       o.period, o.valid, o.certificate) a ON true
  LEFT JOIN billadj.delegation d ON d.delegation_id = g.delegation_id
  LEFT JOIN billadj.principal f ON f.principal_id = g.from_principal;
COMMENT ON VIEW billadj.approval_access IS 'who can approve how much, by own authority and by delegation: the periodic review of access';
COMMENT ON COLUMN billadj.approval_access.principal_id IS 'the principal';
COMMENT ON COLUMN billadj.approval_access.person_key IS 'the person';
COMMENT ON COLUMN billadj.approval_access.role_name IS 'the login';
COMMENT ON COLUMN billadj.approval_access.can_login IS 'whether a role of that name is there and may log in';
COMMENT ON COLUMN billadj.approval_access.is_approver IS 'whether the login has the rights of billadj_approver';
COMMENT ON COLUMN billadj.approval_access.authority_id IS 'the authority';
COMMENT ON COLUMN billadj.approval_access.kind IS 'the kind it is for; NULL: all';
COMMENT ON COLUMN billadj.approval_access.currency IS 'ISO 4217 code of the limits';
COMMENT ON COLUMN billadj.approval_access.level IS 'its level';
COMMENT ON COLUMN billadj.approval_access.single_limit IS 'the largest amount at once; under a delegation the smaller of both limits';
COMMENT ON COLUMN billadj.approval_access.period_limit IS 'the largest sum in a period; NULL: none';
COMMENT ON COLUMN billadj.approval_access.period IS 'day, month, quarter or year';
COMMENT ON COLUMN billadj.approval_access.valid IS 'when the authority holds';
COMMENT ON COLUMN billadj.approval_access.certificate IS 'the certificate without which it does not count; NULL: none';
COMMENT ON COLUMN billadj.approval_access.certified IS 'whether the person has that certificate now';
COMMENT ON COLUMN billadj.approval_access.delegation_id IS 'the delegation it comes by; NULL: an own authority';
COMMENT ON COLUMN billadj.approval_access.delegated_by IS 'the person who delegated it';
COMMENT ON COLUMN billadj.approval_access.current IS 'whether it holds now';

CREATE VIEW billadj.open_override_approver WITH (security_invoker = true) AS
SELECT r.request_id, r.account, r.kind, r.amount, r.currency, clock_timestamp() - r.requested_at AS age,
       x.principal_id, x.person_key, x.role_name, max(x.level) AS level
  FROM billadj.override_request r
  JOIN billadj.approval_access x ON x.currency = r.currency AND (x.kind IS NULL OR x.kind = r.kind) AND x.single_limit >= r.amount
                                AND x.current AND x.certified AND x.can_login AND x.is_approver
 WHERE r.state = 'open'
   AND x.person_key NOT IN (SELECT q.person_key FROM billadj.principal q WHERE q.principal_id IN (r.requester_id, r.editor_id))
   AND NOT EXISTS (SELECT FROM billadj.conflict c WHERE c.person_key = x.person_key AND c.account = r.account AND c.valid @> clock_timestamp())
   AND NOT EXISTS (SELECT FROM billadj.override_decision d WHERE d.request_id = r.request_id AND d.revision = r.revision AND d.person_key = x.person_key)
 GROUP BY r.request_id, r.account, r.kind, r.amount, r.currency, r.requested_at, x.principal_id, x.person_key, x.role_name;
COMMENT ON VIEW billadj.open_override_approver IS 'who may decide on each open request by what policy says now; what a period limit leaves is looked at when somebody decides';
COMMENT ON COLUMN billadj.open_override_approver.request_id IS 'the request';
COMMENT ON COLUMN billadj.open_override_approver.account IS 'who is billed';
COMMENT ON COLUMN billadj.open_override_approver.kind IS 'kind of the request';
COMMENT ON COLUMN billadj.open_override_approver.amount IS 'its amount without a sign';
COMMENT ON COLUMN billadj.open_override_approver.currency IS 'ISO 4217 code of the amount';
COMMENT ON COLUMN billadj.open_override_approver.age IS 'how long it waits';
COMMENT ON COLUMN billadj.open_override_approver.principal_id IS 'the principal who may decide';
COMMENT ON COLUMN billadj.open_override_approver.person_key IS 'the person';
COMMENT ON COLUMN billadj.open_override_approver.role_name IS 'the login of the person';
COMMENT ON COLUMN billadj.open_override_approver.level IS 'level of the highest authority that allows it';

CREATE VIEW billadj.override_times WITH (security_invoker = true) AS
SELECT date_trunc('month', r.requested_at, 'UTC') AS month, r.kind, r.currency, count(*) AS requests,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM d.first_at - r.requested_at)::double precision) * interval '1 s' AS first_decision_p50,
       percentile_cont(0.95) WITHIN GROUP (ORDER BY extract(epoch FROM d.first_at - r.requested_at)::double precision) * interval '1 s' AS first_decision_p95,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM a.applied_at - r.requested_at)::double precision) * interval '1 s' AS applied_p50,
       percentile_cont(0.95) WITHIN GROUP (ORDER BY extract(epoch FROM a.applied_at - r.requested_at)::double precision) * interval '1 s' AS applied_p95,
       round(count(*) FILTER (WHERE r.state = 'applied')::numeric / count(*), 4) AS applied_share,
       round(count(*) FILTER (WHERE r.state = 'rejected')::numeric / count(*), 4) AS rejected_share,
       round(count(*) FILTER (WHERE r.state = 'stale')::numeric / count(*), 4) AS stale_share,
       round(count(*) FILTER (WHERE r.state = 'expired')::numeric / count(*), 4) AS expired_share,
       round(count(*) FILTER (WHERE EXISTS (SELECT FROM billadj.override_request v WHERE v.reverses = r.request_id AND v.state = 'applied'))::numeric / count(*), 4)
           AS reversed_share
  FROM billadj.override_request r
  LEFT JOIN LATERAL (SELECT min(x.decided_at) AS first_at FROM billadj.override_decision x WHERE x.request_id = r.request_id) d ON true
  LEFT JOIN billadj.adjustment a ON a.account = r.account AND a.request_id = r.request_id
 GROUP BY 1, 2, 3;
COMMENT ON VIEW billadj.override_times IS 'how long decisions take and what becomes of requests, by the month (UTC) they were submitted in';
COMMENT ON COLUMN billadj.override_times.month IS 'month of the requests';
COMMENT ON COLUMN billadj.override_times.kind IS 'kind of the requests';
COMMENT ON COLUMN billadj.override_times.currency IS 'currency of the requests';
COMMENT ON COLUMN billadj.override_times.requests IS 'how many';
COMMENT ON COLUMN billadj.override_times.first_decision_p50 IS 'median time to the first decision, of those that had one';
COMMENT ON COLUMN billadj.override_times.first_decision_p95 IS '95th percentile of it';
COMMENT ON COLUMN billadj.override_times.applied_p50 IS 'median time to the effect, of those that had one';
COMMENT ON COLUMN billadj.override_times.applied_p95 IS '95th percentile of it';
COMMENT ON COLUMN billadj.override_times.applied_share IS 'share that was applied, to four places';
COMMENT ON COLUMN billadj.override_times.rejected_share IS 'share that was rejected';
COMMENT ON COLUMN billadj.override_times.stale_share IS 'share that went stale, because the charge under it changed';
COMMENT ON COLUMN billadj.override_times.expired_share IS 'share that expired';
COMMENT ON COLUMN billadj.override_times.reversed_share IS 'share that was reversed by another request';

-- security_invoker: each sees what the tables below show him.
GRANT SELECT ON billadj.open_override, billadj.decision_log, billadj.adjustment_summary, billadj.override_times
   TO billadj_admin, billadj_operator, billadj_requester, billadj_approver, billadj_policy, billadj_auditor, billadj_reader;
GRANT SELECT ON billadj.open_override_approver, billadj.approval_access
   TO billadj_admin, billadj_operator, billadj_policy, billadj_auditor, billadj_reader;
GRANT SELECT ON billadj.override_completeness TO billadj_auditor;

-- ---- who waits at commit, and for what ----

-- Who waits for a row of a total or a baseline holds, or waits for, the lock of
-- that row version; for a total that another session is making there is only the wait for
-- its transaction, which a COMMIT has no other reason for.
CREATE VIEW billadj.settle_waits WITH (security_invoker = true) AS
WITH total AS (
    SELECT c.oid, c.relname
      FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = 'billadj' AND c.relname IN ('tier_total', 'shadow_total', 'baseline', 'open_bucket')
), held AS (
    SELECT l.pid, l.locktype, t.relname, format('(%s,%s)', l.page, l.tuple)::tid AS at
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
                      WHERE h.relname = 'tier_total' AND h.locktype = 'tuple' AND t.ctid = h.at
                     UNION ALL
                     SELECT t.account, t.meter, t.period_start FROM billadj.shadow_total t
                      WHERE h.relname = 'shadow_total' AND h.locktype = 'tuple' AND t.ctid = h.at
                     UNION ALL
                     SELECT b.account, b.meter, NULL FROM billadj.baseline b
                      WHERE h.relname = 'baseline' AND h.locktype = 'tuple' AND b.ctid = h.at
                     UNION ALL
                     SELECT b.account, b.meter, NULL FROM billadj.open_bucket b
                      WHERE h.relname = 'open_bucket' AND h.locktype = 'tuple' AND b.ctid = h.at) k ON true
 WHERE NOT w.granted AND w.locktype IN ('transactionid', 'tuple', 'spectoken')
   AND (h.locktype = 'tuple' OR s.query ~* '^\s*(commit|end|prepare\s+transaction)\M');
COMMENT ON VIEW billadj.settle_waits IS 'sessions that wait at commit for another transaction''s totals or baselines; needs pg_read_all_stats to see logins and queries of others';
COMMENT ON COLUMN billadj.settle_waits.pid IS 'process that waits';
COMMENT ON COLUMN billadj.settle_waits.login IS 'its login';
COMMENT ON COLUMN billadj.settle_waits.application_name IS 'what it calls itself';
COMMENT ON COLUMN billadj.settle_waits.account IS 'whose total or baseline it waits for; NULL: one that is being made';
COMMENT ON COLUMN billadj.settle_waits.meter IS 'meter of it';
COMMENT ON COLUMN billadj.settle_waits.period_start IS 'period of that total; NULL: it waits for a baseline, what is usual for the account and meter';
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
                WHERE n.nspname = 'billadj' AND c.relname IN ('tier_total', 'shadow_total', 'baseline', 'open_bucket')
                  AND l.locktype = 'relation' AND l.pid IS NULL AND l.virtualtransaction = x.virtualtransaction
                  AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = current_database()));
COMMENT ON VIEW billadj.prepared_totals IS 'prepared transactions that hold totals or baselines: every commit on these waits for them';
COMMENT ON COLUMN billadj.prepared_totals.gid IS 'its name, for COMMIT PREPARED or ROLLBACK PREPARED';
COMMENT ON COLUMN billadj.prepared_totals.login IS 'the login that prepared it';
COMMENT ON COLUMN billadj.prepared_totals.prepared_at IS 'when';

GRANT SELECT ON billadj.prepared_totals
   TO billadj_admin, billadj_operator, billadj_requester, billadj_approver, billadj_policy, billadj_auditor, billadj_reader;
-- those who may read both books
GRANT SELECT ON billadj.settle_waits TO billadj_admin, billadj_operator, billadj_auditor, billadj_reader;
