-- Prove: every request, decision and effect is in the audit log, sealed at its
-- commit.  A superuser turns the guards off and makes the credit ten times as
-- large: that cannot be prevented, but it shows.
SELECT event, object, actor FROM billadj.audit_entry WHERE account = '7' AND event IN ('submit', 'decide', 'apply') ORDER BY audit_id;
SELECT count(*) AS chains, bool_and(ok) AS all_ok FROM billadj.verify_audit();
BEGIN;
ALTER TABLE billadj.adjustment DISABLE TRIGGER ALL;
UPDATE billadj.adjustment SET delta = -2500 WHERE account = '7';
ALTER TABLE billadj.adjustment ENABLE ALWAYS TRIGGER zz_billadj_guard, ENABLE ALWAYS TRIGGER zz_billadj_check, ENABLE ALWAYS TRIGGER zz_billadj_truncate;
SELECT chain, ok, problem FROM billadj.verify_audit() WHERE NOT ok;
ROLLBACK;
