-- People and rules of bench/overrides, and plain tables of the same shape.
CREATE EXTENSION btree_gist;
CREATE EXTENSION billadj;
SELECT count(*) > 0 FROM billadj.install() \g /dev/null

CREATE ROLE rita LOGIN IN ROLE billadj_requester;
CREATE ROLE olga LOGIN IN ROLE billadj_operator;
-- Each client of pgbench decides as a person of his own; "idle" holds on to a decision.
SELECT format('CREATE ROLE %I LOGIN IN ROLE billadj_approver', r) FROM unnest('{mona0,mona1,mona2,mona3,idle}'::text[]) AS r \gexec
INSERT INTO billadj.principal (person_key, role_name) SELECT r, r FROM unnest('{rita,olga,mona0,mona1,mona2,mona3,idle}'::text[]) AS r;
INSERT INTO billadj.authority (principal_id, currency, level, single_limit, period_limit, period, valid)
SELECT principal_id, 'USD', 1, 1e12, 1e15, 'day', '[2020-01-01,)' FROM billadj.principal WHERE role_name ~ 'mona|idle';
INSERT INTO billadj.approval_rule (kind, currency, band, step, level, quorum, apply) VALUES ('credit', 'USD', '[0,)', 1, 1, 1, 'later');
INSERT INTO billadj.reason_code (code) VALUES ('goodwill');

-- One override, the rows of which the plain tables are filled with.
SET SESSION AUTHORIZATION rita;
SELECT billadj.submit_override('credit', 'sample', 'goodwill', delta => -100, currency => 'USD') AS request \gset
SET SESSION AUTHORIZATION mona0;
SELECT billadj.approve_override(:request, content_hash) FROM billadj.override_request WHERE request_id = :request \g /dev/null
SET SESSION AUTHORIZATION olga;
SELECT billadj.apply_override(:request) \g /dev/null
RESET SESSION AUTHORIZATION;

-- The same columns, checks and indexes; no triggers, policies, audit.
CREATE SEQUENCE plain_id;
CREATE TABLE plain_request (LIKE billadj.override_request INCLUDING ALL EXCLUDING IDENTITY);
CREATE TABLE plain_decision (LIKE billadj.override_decision INCLUDING ALL EXCLUDING IDENTITY);
CREATE TABLE plain_adjustment (LIKE billadj.adjustment INCLUDING ALL EXCLUDING IDENTITY);
SELECT format('CREATE FUNCTION %s(n bigint) RETURNS void LANGUAGE sql AS %L', f.name,
              format('INSERT INTO plain_%s (%s) SELECT %s FROM billadj.%s t WHERE t.request_id = %s', f.plain,
                     string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum),
                     string_agg(CASE WHEN a.attname IN (f.id, 'request_id') THEN 'n' WHEN a.attname = 'account' THEN '''a'' || n' ELSE 't.' || quote_ident(a.attname) END, ', ' ORDER BY a.attnum),
                     f.source, :request))
  FROM (VALUES ('write_request', 'request', 'override_request', 'request_id'), ('write_decision', 'decision', 'override_decision', 'decision_id'),
               ('write_adjustment', 'adjustment', 'adjustment', 'adjustment_id')) AS f(name, plain, source, id)
  JOIN pg_attribute a ON a.attrelid = ('billadj.' || f.source)::regclass AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
 GROUP BY f.name, f.plain, f.source \gexec
