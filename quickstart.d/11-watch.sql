-- Watch: what is usual for each customer is learned from the two months that are
-- there.  From now on a row that is far off is charged and held: a person decides.
SELECT count(*) AS streams, sum(rows) AS rows FROM billadj.warm_up('shop.usage_event');
INSERT INTO billadj.detector (meter, action, min_money, note) VALUES ('api_calls', 'hold', 50, 'ask before it is billed');
INSERT INTO shop.usage_event (customer_id, service, used_at, units) VALUES (2, 'api_calls', '2025-11-03 14:20+00', 4100000);
SELECT account, rule, action, money_at_risk, currency, held FROM billadj.open_anomaly;
SELECT billadj.explain_anomaly(anomaly_id) ->> 'sentence' AS sentence FROM billadj.open_anomaly;
SELECT amount, billable FROM billadj.billed WHERE account = '2' AND amount > 1000;

-- Who may release what is policy: Kai proposes the rule, Noa approves it.
SET SESSION AUTHORIZATION kai;
SELECT billadj.propose_policy('approval_rule',
    '{"op": "insert", "row": {"kind": "release", "currency": "EUR", "band": "[0,)", "step": 1, "level": 1, "quorum": 1}}') AS change \gset
SET SESSION AUTHORIZATION noa;
SELECT billadj.approve_policy(:change) IS NOT NULL AS approved;
-- It was a load test, says the customer, and pays for it: Ines asks for the
-- release, Omar approves it.  What was expected moves the detector a step.
SET SESSION AUTHORIZATION ines;
SELECT billadj.submit_override('release', h.account, 'usage_confirmed', charge_id => h.charge_id, comment => 'a load test, agreed by phone') AS release
  FROM billadj.hold h WHERE h.ended_at IS NULL \gset
SET SESSION AUTHORIZATION omar;
SELECT billadj.approve_override(r.request_id, r.content_hash) AS state FROM billadj.override_request r WHERE r.request_id = :release;
SELECT billadj.record_verdict(anomaly_id, 'expected', 'a load test') IS NOT NULL AS judged FROM billadj.open_anomaly;
RESET SESSION AUTHORIZATION;
SELECT a.rule, a.state, h.outcome, (SELECT bool_and(b.billable) FROM billadj.billed b WHERE b.account = a.account) AS billable, p.moved
  FROM billadj.anomaly a
  JOIN billadj.hold h ON h.account = a.account AND h.anomaly_id = a.anomaly_id
  JOIN billadj.detector_precision p ON p.detector_id = a.detector_id AND p.rule = a.rule;
