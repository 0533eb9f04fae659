-- Override: a person corrects a bill, within an authority that is data.  Credits
-- up to 100 need nobody, up to 1000 a manager, above that a manager and a lead.
-- Ines asks, Omar manages and may approve 2000 at once, Vera leads.
CREATE ROLE ines LOGIN; CREATE ROLE omar LOGIN; CREATE ROLE vera LOGIN; CREATE ROLE kai LOGIN; CREATE ROLE noa LOGIN;
GRANT billadj_requester TO ines;
GRANT billadj_approver TO ines, omar, vera;
INSERT INTO billadj.principal (person_key, role_name)
VALUES ('p-101', 'ines'), ('p-102', 'omar'), ('p-103', 'vera'), ('p-104', 'kai'), ('p-105', 'noa');
INSERT INTO billadj.authority (principal_id, currency, level, single_limit, period_limit, valid)
SELECT p.principal_id, 'EUR', a.level, a.single_limit, a.period_limit, '[2025-01-01,)'
  FROM (VALUES ('ines', 1, 500, 500), ('omar', 1, 2000, 10000), ('vera', 2, 50000, NULL)) AS a(login, level, single_limit, period_limit)
  JOIN billadj.principal p ON p.role_name = a.login;
INSERT INTO billadj.approval_rule (kind, currency, band, step, level, quorum)
VALUES ('credit', 'EUR', '[0,100]', 0, 0, 0), ('credit', 'EUR', '(100,1000]', 1, 1, 1),
       ('credit', 'EUR', '(1000,)', 1, 1, 1), ('credit', 'EUR', '(1000,)', 2, 2, 1);
INSERT INTO billadj.reason_code (code, description)
VALUES ('billing_error', 'we billed what was not used'), ('usage_confirmed', 'the customer used it and pays for it');
GRANT billadj_policy TO kai, noa; -- from here on policy changes only when one proposes and the other approves

SET SESSION AUTHORIZATION ines; -- asks, and tries to approve it herself
SELECT billadj.submit_override('credit', '7', 'billing_error', delta => -250, currency => 'EUR') AS small,
       billadj.submit_override('credit', '8', 'billing_error', delta => -3000, currency => 'EUR') AS large \gset
SELECT sqlstate, message
  FROM billadj.override_request r, billadj.try_decide_override(r.request_id, 'approve', r.content_hash) WHERE r.request_id = :small;
SET SESSION AUTHORIZATION omar; -- what waits for him, and what is above his limit
SELECT request_id, account, kind, delta, currency, reason_code, requested_by FROM billadj.inbox();
SELECT sqlstate, message
  FROM billadj.override_request r, billadj.try_decide_override(r.request_id, 'approve', r.content_hash) WHERE r.request_id = :large;
SELECT billadj.approve_override(r.request_id, r.content_hash) AS state FROM billadj.override_request r WHERE r.request_id = :small;
RESET SESSION AUTHORIZATION;
SELECT account, cause, delta, currency, applied_by FROM billadj.adjustment;
