-- 008_policy.sql: people, authority and approval rules as data

-- Rows of these tables are written under dual control only: somebody proposes,
-- somebody else approves (propose_policy()).  Until two people can, a superuser
-- inserts the first rows.  What has been in force is ended, never rewritten.
CREATE TABLE billadj.principal (
    principal_id bigint      GENERATED ALWAYS AS IDENTITY,
    person_key   text        COLLATE "C" NOT NULL,
    role_name    text        COLLATE "C" NOT NULL,
    role_oid     bigint,
    system_id    bigint,
    active       boolean     NOT NULL DEFAULT true,
    revision     bigint      NOT NULL DEFAULT 0,
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    created_by   text        NOT NULL DEFAULT session_user,
    CONSTRAINT principal_pkey PRIMARY KEY (principal_id),
    CONSTRAINT principal_person_key_check CHECK (person_key <> ''),
    CONSTRAINT principal_role_name_check CHECK (role_name <> '')
);
CREATE UNIQUE INDEX principal_role_name_key ON billadj.principal (role_name) WHERE active;
COMMENT ON TABLE billadj.principal IS 'people: one row per login that may act; persons are counted, not logins';
COMMENT ON COLUMN billadj.principal.principal_id IS 'its number';
COMMENT ON COLUMN billadj.principal.person_key IS 'the person, by a pseudonym; a person with several logins has one key';
COMMENT ON COLUMN billadj.principal.role_name IS 'the login role';
COMMENT ON COLUMN billadj.principal.role_oid IS 'the role of that name when it was bound, set by the library';
COMMENT ON COLUMN billadj.principal.system_id IS 'the cluster in which it was bound, set by the library; in another one the name counts';
COMMENT ON COLUMN billadj.principal.active IS 'false: the person may not act any more';
COMMENT ON COLUMN billadj.principal.revision IS 'rises with every change of the row, its certificates, conflicts, authorities and delegations; decisions lock the row';
COMMENT ON COLUMN billadj.principal.created_at IS 'when it was made';
COMMENT ON COLUMN billadj.principal.created_by IS 'the login that made it';

CREATE TABLE billadj.pooler (
    role_name  text        COLLATE "C" NOT NULL,
    active     boolean     NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    created_by text        NOT NULL DEFAULT session_user,
    CONSTRAINT pooler_pkey PRIMARY KEY (role_name)
);
COMMENT ON TABLE billadj.pooler IS 'logins that act for the role they have set, one role a person';
COMMENT ON COLUMN billadj.pooler.role_name IS 'the login role of the pooler';
COMMENT ON COLUMN billadj.pooler.active IS 'false: it acts for nobody any more';
COMMENT ON COLUMN billadj.pooler.created_at IS 'when it was made';
COMMENT ON COLUMN billadj.pooler.created_by IS 'the login that made it';

CREATE TABLE billadj.certification (
    certification_id bigint      GENERATED ALWAYS AS IDENTITY,
    principal_id     bigint      NOT NULL,
    certificate      text        COLLATE "C" NOT NULL,
    valid            tstzrange   NOT NULL,
    created_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    created_by       text        NOT NULL DEFAULT session_user,
    CONSTRAINT certification_pkey PRIMARY KEY (certification_id),
    CONSTRAINT certification_principal_fkey FOREIGN KEY (principal_id) REFERENCES billadj.principal,
    CONSTRAINT certification_valid_check CHECK (NOT isempty(valid) AND (lower_inf(valid) OR lower_inc(valid)) AND NOT upper_inc(valid))
);
CREATE INDEX certification_principal_idx ON billadj.certification (principal_id);
COMMENT ON TABLE billadj.certification IS 'who holds which certificate, such as a training; without a current one an authority that asks for it does not count';
COMMENT ON COLUMN billadj.certification.certification_id IS 'its number';
COMMENT ON COLUMN billadj.certification.principal_id IS 'who';
COMMENT ON COLUMN billadj.certification.certificate IS 'its name, as authorities write it';
COMMENT ON COLUMN billadj.certification.valid IS 'when it counts, half-open';
COMMENT ON COLUMN billadj.certification.created_at IS 'when it was made';
COMMENT ON COLUMN billadj.certification.created_by IS 'the login that made it';

CREATE TABLE billadj.authority (
    authority_id bigint      GENERATED ALWAYS AS IDENTITY,
    principal_id bigint      NOT NULL,
    kind         text        COLLATE "C",
    currency     text        NOT NULL,
    level        integer     NOT NULL,
    single_limit numeric     NOT NULL,
    period_limit numeric,
    period       text        NOT NULL DEFAULT 'month',
    valid        tstzrange   NOT NULL,
    certificate  text        COLLATE "C",
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    created_by   text        NOT NULL DEFAULT session_user,
    CONSTRAINT authority_pkey PRIMARY KEY (authority_id),
    CONSTRAINT authority_principal_fkey FOREIGN KEY (principal_id) REFERENCES billadj.principal,
    CONSTRAINT authority_kind_check CHECK (kind IN ('credit', 'debit', 'discount', 'price_override', 'waive', 'write_off', 'refund', 'release', 'cancel')),
    CONSTRAINT authority_currency_check CHECK (currency ~ '^[A-Z]{3}$'),
    CONSTRAINT authority_level_check CHECK (level >= 1),
    CONSTRAINT authority_single_limit_check CHECK (single_limit >= 0 AND single_limit < 'Infinity'),
    CONSTRAINT authority_period_limit_check CHECK (period_limit >= 0 AND period_limit < 'Infinity'),
    CONSTRAINT authority_period_check CHECK (period IN ('day', 'month', 'quarter', 'year')),
    CONSTRAINT authority_valid_check CHECK (NOT isempty(valid) AND (lower_inf(valid) OR lower_inc(valid)) AND NOT upper_inc(valid))
);
CREATE INDEX authority_principal_idx ON billadj.authority (principal_id);
COMMENT ON TABLE billadj.authority IS 'who may approve what, how much and when';
COMMENT ON COLUMN billadj.authority.authority_id IS 'its number';
COMMENT ON COLUMN billadj.authority.principal_id IS 'who';
COMMENT ON COLUMN billadj.authority.kind IS 'kind of override request; NULL: every kind';
COMMENT ON COLUMN billadj.authority.currency IS 'ISO 4217 code of its limits';
COMMENT ON COLUMN billadj.authority.level IS 'level of step it can approve; a higher one can approve a lower step';
COMMENT ON COLUMN billadj.authority.single_limit IS 'largest amount of one request';
COMMENT ON COLUMN billadj.authority.period_limit IS 'largest sum of amounts in one period; NULL: no such limit';
COMMENT ON COLUMN billadj.authority.period IS 'day, month, quarter or year, in the zone of the instance';
COMMENT ON COLUMN billadj.authority.valid IS 'when it counts, half-open';
COMMENT ON COLUMN billadj.authority.certificate IS 'certificate that its holder must have; NULL: none';
COMMENT ON COLUMN billadj.authority.created_at IS 'when it was made';
COMMENT ON COLUMN billadj.authority.created_by IS 'the login that made it';

CREATE TABLE billadj.conflict (
    conflict_id bigint      GENERATED ALWAYS AS IDENTITY,
    person_key  text        COLLATE "C" NOT NULL,
    account     text        COLLATE "C" NOT NULL,
    valid       tstzrange   NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    created_by  text        NOT NULL DEFAULT session_user,
    CONSTRAINT conflict_pkey PRIMARY KEY (conflict_id),
    CONSTRAINT conflict_valid_check CHECK (NOT isempty(valid) AND (lower_inf(valid) OR lower_inc(valid)) AND NOT upper_inc(valid))
);
CREATE INDEX conflict_account_idx ON billadj.conflict (account);
COMMENT ON TABLE billadj.conflict IS 'accounts on which a person has an interest and may not decide';
COMMENT ON COLUMN billadj.conflict.conflict_id IS 'its number';
COMMENT ON COLUMN billadj.conflict.person_key IS 'the person';
COMMENT ON COLUMN billadj.conflict.account IS 'the account';
COMMENT ON COLUMN billadj.conflict.valid IS 'when it counts, half-open';
COMMENT ON COLUMN billadj.conflict.created_at IS 'when it was made';
COMMENT ON COLUMN billadj.conflict.created_by IS 'the login that made it';

-- Bands are lower-exclusive and upper-inclusive, the first one is [0,x].  Step
-- 0 with quorum 0 says that a band needs nobody; no rule means refuse.
CREATE TABLE billadj.approval_rule (
    rule_id       bigint      GENERATED ALWAYS AS IDENTITY,
    kind          text        COLLATE "C" NOT NULL,
    currency      text        NOT NULL,
    band          numrange    NOT NULL,
    step          integer     NOT NULL,
    level         integer     NOT NULL,
    quorum        integer     NOT NULL,
    apply         text        NOT NULL DEFAULT 'at_once',
    sum_window    interval    NOT NULL DEFAULT '24 hours',
    decide_within interval    NOT NULL DEFAULT '7 days',
    apply_within  interval    NOT NULL DEFAULT '7 days',
    valid         tstzrange   NOT NULL DEFAULT tstzrange(clock_timestamp(), NULL),
    created_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    created_by    text        NOT NULL DEFAULT session_user,
    CONSTRAINT approval_rule_pkey PRIMARY KEY (rule_id),
    CONSTRAINT approval_rule_kind_check CHECK (kind IN ('credit', 'debit', 'discount', 'price_override', 'waive', 'write_off', 'refund', 'release', 'cancel')),
    CONSTRAINT approval_rule_currency_check CHECK (currency ~ '^[A-Z]{3}$'),
    CONSTRAINT approval_rule_band_check CHECK (NOT isempty(band) AND NOT lower_inf(band) AND lower(band) >= 0
        AND lower(band) < 'Infinity' AND lower_inc(band) = (lower(band) = 0)
        AND (upper_inf(band) OR upper_inc(band) AND upper(band) < 'Infinity')),
    CONSTRAINT approval_rule_step_check CHECK (step = 0 AND level = 0 AND quorum = 0 OR step >= 1 AND level >= 1 AND quorum >= 1),
    CONSTRAINT approval_rule_apply_check CHECK (apply IN ('at_once', 'later')),
    CONSTRAINT approval_rule_interval_check CHECK (sum_window >= '0' AND decide_within > '0' AND apply_within > '0'),
    CONSTRAINT approval_rule_valid_check CHECK (NOT isempty(valid) AND (lower_inf(valid) OR lower_inc(valid)) AND NOT upper_inc(valid)),
    CONSTRAINT approval_rule_overlap_excl EXCLUDE USING gist
        (kind WITH =, currency WITH =, step WITH =, band WITH &&, valid WITH &&)
);
COMMENT ON TABLE billadj.approval_rule IS 'which steps a request of a kind, currency and amount needs; no rule means that it is refused';
COMMENT ON COLUMN billadj.approval_rule.rule_id IS 'its number';
COMMENT ON COLUMN billadj.approval_rule.kind IS 'kind of override request';
COMMENT ON COLUMN billadj.approval_rule.currency IS 'ISO 4217 code of the band';
COMMENT ON COLUMN billadj.approval_rule.band IS 'amounts, lower-exclusive and upper-inclusive; the first one is [0,x]';
COMMENT ON COLUMN billadj.approval_rule.step IS 'its place, from 1; 0: the band needs nobody';
COMMENT ON COLUMN billadj.approval_rule.level IS 'level an approver needs at least; 0 at step 0';
COMMENT ON COLUMN billadj.approval_rule.quorum IS 'how many persons; 0 at step 0';
COMMENT ON COLUMN billadj.approval_rule.apply IS 'at_once: with the last decision; later: by apply_override()';
COMMENT ON COLUMN billadj.approval_rule.sum_window IS 'how far back requests of the account are added to choose the band, so that splitting escalates';
COMMENT ON COLUMN billadj.approval_rule.decide_within IS 'time to decide, from the request';
COMMENT ON COLUMN billadj.approval_rule.apply_within IS 'time to apply, from the last decision';
COMMENT ON COLUMN billadj.approval_rule.valid IS 'when it holds for new requests, half-open';
COMMENT ON COLUMN billadj.approval_rule.created_at IS 'when it was made';
COMMENT ON COLUMN billadj.approval_rule.created_by IS 'the login that made it';

CREATE TABLE billadj.reason_code (
    code           text        COLLATE "C" NOT NULL,
    description    text        NOT NULL DEFAULT '',
    needs_comment  boolean     NOT NULL DEFAULT false,
    needs_evidence boolean     NOT NULL DEFAULT false,
    active         boolean     NOT NULL DEFAULT true,
    created_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    created_by     text        NOT NULL DEFAULT session_user,
    CONSTRAINT reason_code_pkey PRIMARY KEY (code),
    CONSTRAINT reason_code_code_check CHECK (code <> '')
);
COMMENT ON TABLE billadj.reason_code IS 'reasons that a request may name';
COMMENT ON COLUMN billadj.reason_code.code IS 'its name';
COMMENT ON COLUMN billadj.reason_code.description IS 'for people';
COMMENT ON COLUMN billadj.reason_code.needs_comment IS 'a request with it needs a comment';
COMMENT ON COLUMN billadj.reason_code.needs_evidence IS 'a request with it needs evidence';
COMMENT ON COLUMN billadj.reason_code.active IS 'false: new requests may not name it';
COMMENT ON COLUMN billadj.reason_code.created_at IS 'when it was made';
COMMENT ON COLUMN billadj.reason_code.created_by IS 'the login that made it';

CREATE TABLE billadj.delegation (
    delegation_id  bigint      GENERATED ALWAYS AS IDENTITY,
    from_principal bigint      NOT NULL,
    to_principal   bigint      NOT NULL,
    authority_id   bigint      NOT NULL,
    single_limit   numeric,
    valid          tstzrange   NOT NULL,
    created_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    created_by     text        NOT NULL DEFAULT session_user,
    CONSTRAINT delegation_pkey PRIMARY KEY (delegation_id),
    CONSTRAINT delegation_from_fkey FOREIGN KEY (from_principal) REFERENCES billadj.principal,
    CONSTRAINT delegation_to_fkey FOREIGN KEY (to_principal) REFERENCES billadj.principal,
    CONSTRAINT delegation_authority_fkey FOREIGN KEY (authority_id) REFERENCES billadj.authority,
    CONSTRAINT delegation_self_check CHECK (from_principal <> to_principal),
    CONSTRAINT delegation_single_limit_check CHECK (single_limit >= 0 AND single_limit < 'Infinity'),
    CONSTRAINT delegation_valid_check CHECK (NOT isempty(valid) AND NOT upper_inf(valid) AND NOT lower_inf(valid)
        AND lower_inc(valid) AND NOT upper_inc(valid))
);
COMMENT ON TABLE billadj.delegation IS 'authority lent to another person for a time';
COMMENT ON COLUMN billadj.delegation.delegation_id IS 'its number';
COMMENT ON COLUMN billadj.delegation.from_principal IS 'who lends';
COMMENT ON COLUMN billadj.delegation.to_principal IS 'who may use it; cannot lend it on';
COMMENT ON COLUMN billadj.delegation.authority_id IS 'which authority';
COMMENT ON COLUMN billadj.delegation.single_limit IS 'largest amount of one request; NULL: that of the authority';
COMMENT ON COLUMN billadj.delegation.valid IS 'when it counts, half-open';
COMMENT ON COLUMN billadj.delegation.created_at IS 'when it was made';
COMMENT ON COLUMN billadj.delegation.created_by IS 'the login that made it';

-- Which catalogue tables are changed only through propose_policy(); no row:
-- directly.
CREATE TABLE billadj.policy_mode (
    table_name text        COLLATE "C" NOT NULL,
    mode       text        NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    created_by text        NOT NULL DEFAULT session_user,
    CONSTRAINT policy_mode_pkey PRIMARY KEY (table_name),
    CONSTRAINT policy_mode_mode_check CHECK (mode IN ('direct', 'dual'))
);
COMMENT ON TABLE billadj.policy_mode IS 'which catalogue tables change under dual control too; no row: directly';
COMMENT ON COLUMN billadj.policy_mode.table_name IS 'the table';
COMMENT ON COLUMN billadj.policy_mode.mode IS 'direct or dual';
COMMENT ON COLUMN billadj.policy_mode.created_at IS 'when it was made';
COMMENT ON COLUMN billadj.policy_mode.created_by IS 'the login that made it';

CREATE TABLE billadj.policy_change (
    change_id   bigint      GENERATED ALWAYS AS IDENTITY,
    target      text        COLLATE "C" NOT NULL,
    body        jsonb       NOT NULL,
    body_hash   bytea       NOT NULL,
    state       text        NOT NULL DEFAULT 'proposed',
    proposed_by bigint      NOT NULL,
    proposed_at timestamptz NOT NULL,
    decided_by  bigint,
    decided_at  timestamptz,
    comment     text,
    comment_id  bigint,
    CONSTRAINT policy_change_pkey PRIMARY KEY (change_id),
    CONSTRAINT policy_change_proposed_by_fkey FOREIGN KEY (proposed_by) REFERENCES billadj.principal,
    CONSTRAINT policy_change_decided_by_fkey FOREIGN KEY (decided_by) REFERENCES billadj.principal,
    CONSTRAINT policy_change_state_check CHECK (state = 'proposed' AND decided_by IS NULL AND decided_at IS NULL
        OR state IN ('approved', 'rejected') AND decided_by IS NOT NULL AND decided_at IS NOT NULL),
    CONSTRAINT policy_change_person_check CHECK (decided_by <> proposed_by OR state = 'rejected')
);
CREATE INDEX policy_change_open_idx ON billadj.policy_change (change_id) WHERE state = 'proposed';
COMMENT ON TABLE billadj.policy_change IS 'proposed changes of policy and what became of them; never deleted';
COMMENT ON COLUMN billadj.policy_change.change_id IS 'its number';
COMMENT ON COLUMN billadj.policy_change.target IS 'table that is changed';
COMMENT ON COLUMN billadj.policy_change.body IS 'what is changed: {"op": "insert" | "update" | "end", "key": {…}, "row": {…}} or {"ops": […]}';
COMMENT ON COLUMN billadj.policy_change.body_hash IS 'SHA-256 of the body as it was proposed';
COMMENT ON COLUMN billadj.policy_change.state IS 'proposed, approved or rejected';
COMMENT ON COLUMN billadj.policy_change.proposed_by IS 'principal who proposed it';
COMMENT ON COLUMN billadj.policy_change.proposed_at IS 'when';
COMMENT ON COLUMN billadj.policy_change.decided_by IS 'principal who approved or rejected it';
COMMENT ON COLUMN billadj.policy_change.decided_at IS 'when';
COMMENT ON COLUMN billadj.policy_change.comment IS 'always NULL: a comment goes to private_text';
COMMENT ON COLUMN billadj.policy_change.comment_id IS 'comment of who decided, in private_text';

-- ---- who reads, who proposes ----
-- No policy calls a function of billadj, so that the tables live on without it.
ALTER TABLE billadj.principal ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE billadj.pooler ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE billadj.certification ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE billadj.authority ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE billadj.conflict ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE billadj.approval_rule ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE billadj.reason_code ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE billadj.delegation ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE billadj.policy_mode ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE billadj.policy_change ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY principal_read ON billadj.principal FOR SELECT TO billadj_admin, billadj_operator, billadj_requester,
    billadj_approver, billadj_policy, billadj_auditor, billadj_privacy, billadj_reader USING (true);
CREATE POLICY pooler_read ON billadj.pooler FOR SELECT TO billadj_admin, billadj_operator, billadj_requester,
    billadj_approver, billadj_policy, billadj_auditor, billadj_reader USING (true);
CREATE POLICY approval_rule_read ON billadj.approval_rule FOR SELECT TO billadj_admin, billadj_operator, billadj_requester,
    billadj_approver, billadj_policy, billadj_auditor, billadj_reader USING (true);
CREATE POLICY reason_code_read ON billadj.reason_code FOR SELECT TO billadj_admin, billadj_operator, billadj_requester,
    billadj_approver, billadj_policy, billadj_auditor, billadj_reader USING (true);
CREATE POLICY delegation_read ON billadj.delegation FOR SELECT TO billadj_admin, billadj_operator, billadj_requester,
    billadj_approver, billadj_policy, billadj_auditor, billadj_reader USING (true);
CREATE POLICY policy_mode_read ON billadj.policy_mode FOR SELECT TO billadj_admin, billadj_operator, billadj_requester,
    billadj_approver, billadj_policy, billadj_auditor, billadj_reader USING (true);
-- How much another person may approve is not for those who ask and decide.
CREATE POLICY certification_read ON billadj.certification FOR SELECT TO billadj_admin, billadj_operator, billadj_policy, billadj_auditor, billadj_reader
    USING (true);
CREATE POLICY certification_own ON billadj.certification FOR SELECT TO billadj_requester, billadj_approver
    USING (principal_id IN (SELECT p.principal_id FROM billadj.principal p WHERE p.role_name IN (session_user, current_user)));
CREATE POLICY authority_read ON billadj.authority FOR SELECT TO billadj_admin, billadj_operator, billadj_policy, billadj_auditor, billadj_reader
    USING (true);
CREATE POLICY authority_own ON billadj.authority FOR SELECT TO billadj_requester, billadj_approver
    USING (principal_id IN (SELECT p.principal_id FROM billadj.principal p WHERE p.role_name IN (session_user, current_user)));
CREATE POLICY conflict_read ON billadj.conflict FOR SELECT TO billadj_admin, billadj_operator, billadj_policy, billadj_auditor, billadj_reader
    USING (true);
CREATE POLICY conflict_own ON billadj.conflict FOR SELECT TO billadj_requester, billadj_approver
    USING (person_key IN (SELECT p.person_key FROM billadj.principal p WHERE p.role_name IN (session_user, current_user)));

-- The restrictive ones hold whatever other policies somebody adds, and should
-- the guard be gone: nobody writes a proposal or an approval in another's name.
CREATE POLICY policy_change_read ON billadj.policy_change FOR SELECT TO billadj_admin, billadj_policy, billadj_auditor USING (true);
CREATE POLICY policy_change_propose ON billadj.policy_change FOR INSERT TO billadj_admin, billadj_policy WITH CHECK (true);
CREATE POLICY policy_change_decide ON billadj.policy_change FOR UPDATE TO billadj_policy USING (true) WITH CHECK (true);
CREATE POLICY policy_change_proposer ON billadj.policy_change AS RESTRICTIVE FOR INSERT
    WITH CHECK (state = 'proposed'
        AND proposed_by IN (SELECT p.principal_id FROM billadj.principal p WHERE p.active AND p.role_name IN (session_user, current_user)));
CREATE POLICY policy_change_decider ON billadj.policy_change AS RESTRICTIVE FOR UPDATE USING (true)
    WITH CHECK (state <> 'proposed'
        AND decided_by IN (SELECT p.principal_id FROM billadj.principal p WHERE p.active AND p.role_name IN (session_user, current_user)));

GRANT SELECT ON billadj.principal, billadj.pooler, billadj.certification, billadj.authority, billadj.conflict, billadj.approval_rule,
      billadj.reason_code, billadj.delegation, billadj.policy_mode
   TO billadj_admin, billadj_operator, billadj_requester, billadj_approver, billadj_policy, billadj_auditor, billadj_reader;
GRANT SELECT ON billadj.policy_change TO billadj_admin, billadj_policy, billadj_auditor;
GRANT INSERT (target, body) ON billadj.policy_change TO billadj_admin, billadj_policy;
GRANT UPDATE (state, comment) ON billadj.policy_change TO billadj_policy;

CREATE VIEW billadj.open_policy_change WITH (security_invoker = true) AS
SELECT c.change_id, c.target, c.body, p.role_name AS proposed_by, c.proposed_at, clock_timestamp() - c.proposed_at AS age
  FROM billadj.policy_change c
  JOIN billadj.principal p ON p.principal_id = c.proposed_by
 WHERE c.state = 'proposed';
COMMENT ON VIEW billadj.open_policy_change IS 'proposed changes of policy that wait for another person';
COMMENT ON COLUMN billadj.open_policy_change.change_id IS 'the change';
COMMENT ON COLUMN billadj.open_policy_change.target IS 'table that it changes';
COMMENT ON COLUMN billadj.open_policy_change.body IS 'what it changes';
COMMENT ON COLUMN billadj.open_policy_change.proposed_by IS 'login of who proposed it';
COMMENT ON COLUMN billadj.open_policy_change.proposed_at IS 'when';
COMMENT ON COLUMN billadj.open_policy_change.age IS 'how long it waits';
GRANT SELECT ON billadj.open_policy_change TO billadj_admin, billadj_policy, billadj_auditor;
-- whoami() is for them too
GRANT SELECT ON billadj.principal TO billadj_privacy;
