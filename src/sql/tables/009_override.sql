-- 009_override.sql: override requests, decisions and their effects; holds, proposals, outbox

ALTER TABLE billadj.instance ADD COLUMN require_review boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN billadj.instance.require_review IS 'whether each decision needs a token of billadj.review_override(), from an earlier transaction';
-- Whoever keeps the catalogue does not decide how decisions are made.
REVOKE INSERT, UPDATE ON billadj.instance FROM billadj_admin;
GRANT INSERT (instance_id, time_zone, currency, close_after, charges_from), UPDATE (time_zone, currency, close_after, charges_from)
   ON billadj.instance TO billadj_admin;

CREATE TABLE billadj.override_request (
    request_id       bigint      GENERATED ALWAYS AS IDENTITY,
    account          text        COLLATE "C" NOT NULL,
    charge_id        bigint,
    kind             text        COLLATE "C" NOT NULL,
    delta            numeric,
    new_amount       numeric,
    billed_amount    numeric,
    amount           numeric     NOT NULL,
    currency         text        NOT NULL,
    reason_code      text        COLLATE "C" NOT NULL,
    comment          text,
    comment_id       bigint,
    evidence         bytea,
    target           jsonb,
    target_key       text        COLLATE "C",
    period_start     timestamptz NOT NULL,
    cause            text        NOT NULL,
    affects          text        NOT NULL,
    state            text        NOT NULL,
    revision         integer     NOT NULL,
    decisions        integer     NOT NULL,
    requested_by     text        NOT NULL,
    requested_at     timestamptz NOT NULL,
    requester_id     bigint      NOT NULL,
    editor_id        bigint      NOT NULL,
    effective_amount numeric     NOT NULL,
    rules            jsonb       NOT NULL,
    apply            text        NOT NULL,
    decide_until     timestamptz NOT NULL,
    apply_until      timestamptz,
    charge_hash      bytea       NOT NULL,
    content_hash     bytea       NOT NULL,
    reverses         bigint,
    escalated_at     timestamptz,
    closed_at        timestamptz,
    CONSTRAINT override_request_pkey PRIMARY KEY (request_id),
    CONSTRAINT override_request_state_check CHECK (state IN ('open', 'approved', 'applied', 'rejected', 'withdrawn', 'expired', 'stale'))
);
CREATE INDEX override_request_window_idx ON billadj.override_request (account, kind, currency, requested_at);
CREATE INDEX override_request_pending_idx ON billadj.override_request (decide_until) WHERE state IN ('open', 'approved');
-- One pending request per target, also among sessions that do not see each other.
CREATE UNIQUE INDEX override_request_target_key ON billadj.override_request (account, target_key) WHERE state IN ('open', 'approved');
COMMENT ON TABLE billadj.override_request IS 'what somebody asks to change on a bill, and how far it has come; only its guard writes what decides';
COMMENT ON COLUMN billadj.override_request.request_id IS 'its number';
COMMENT ON COLUMN billadj.override_request.account IS 'who is billed';
COMMENT ON COLUMN billadj.override_request.charge_id IS 'the charge it is about; NULL: the account as a whole';
COMMENT ON COLUMN billadj.override_request.kind IS 'credit, debit, discount, price_override, waive, write_off, refund, release or cancel';
COMMENT ON COLUMN billadj.override_request.delta IS 'what it adds to the bill or the balance; negative is in the customer''s favour; 0 for release';
COMMENT ON COLUMN billadj.override_request.new_amount IS 'what shall be billed instead, where the request was made so';
COMMENT ON COLUMN billadj.override_request.billed_amount IS 'what was billed of the charge when it was asked for: charges of its usage row and measure, with their adjustments';
COMMENT ON COLUMN billadj.override_request.amount IS 'what bands and limits count: the delta without sign, for release the held charge';
COMMENT ON COLUMN billadj.override_request.currency IS 'ISO 4217 code of all its amounts';
COMMENT ON COLUMN billadj.override_request.reason_code IS 'why, a code of billadj.reason_code; for a proposal of the library its cause';
COMMENT ON COLUMN billadj.override_request.comment IS 'for INSERT and UPDATE only: the guard moves it to billadj.private_text';
COMMENT ON COLUMN billadj.override_request.comment_id IS 'its comment in billadj.private_text';
COMMENT ON COLUMN billadj.override_request.evidence IS 'SHA-256 of the document that proves the reason';
COMMENT ON COLUMN billadj.override_request.target IS 'what it is about where that is no charge; of a proposal {"proposal_id": …}';
COMMENT ON COLUMN billadj.override_request.target_key IS 'one open or approved request at a time has this value in its account; NULL: no particular target';
COMMENT ON COLUMN billadj.override_request.period_start IS 'beginning of the period it corrects';
COMMENT ON COLUMN billadj.override_request.cause IS 'cause of the adjustment: its kind, reversal, or the cause of a proposal';
COMMENT ON COLUMN billadj.override_request.affects IS 'billed, or balance for refund and write_off';
COMMENT ON COLUMN billadj.override_request.state IS 'open, approved, applied, rejected, withdrawn, expired or stale (what it was based on has changed)';
COMMENT ON COLUMN billadj.override_request.revision IS 'raised by each revise_override(); decisions count for one revision';
COMMENT ON COLUMN billadj.override_request.decisions IS 'how often it was decided on; every decision updates the row, so that two at once cannot both pass';
COMMENT ON COLUMN billadj.override_request.requested_by IS 'the login that asked';
COMMENT ON COLUMN billadj.override_request.requested_at IS 'when';
COMMENT ON COLUMN billadj.override_request.requester_id IS 'the principal that asked';
COMMENT ON COLUMN billadj.override_request.editor_id IS 'the principal that revised it last';
COMMENT ON COLUMN billadj.override_request.effective_amount IS 'what chooses the band: amount, and those of the other requests of its window; the largest that was met';
COMMENT ON COLUMN billadj.override_request.rules IS 'the approval rules of its kind and currency as they were when it was asked for';
COMMENT ON COLUMN billadj.override_request.apply IS 'at_once: by the last approving decision; later: by apply_override()';
COMMENT ON COLUMN billadj.override_request.decide_until IS 'an open request expires then; that never means approval';
COMMENT ON COLUMN billadj.override_request.apply_until IS 'an approved request expires then';
COMMENT ON COLUMN billadj.override_request.charge_hash IS 'SHA-256 over the charges, adjustments and holds it was based on';
COMMENT ON COLUMN billadj.override_request.content_hash IS 'SHA-256 over all that an approver sees; a decision names it';
COMMENT ON COLUMN billadj.override_request.reverses IS 'the applied request whose effect it takes back';
COMMENT ON COLUMN billadj.override_request.escalated_at IS 'when escalate_overrides() gave notice of its deadline';
COMMENT ON COLUMN billadj.override_request.closed_at IS 'when it left the states open and approved';

CREATE TABLE billadj.override_decision (
    decision_id       bigint      GENERATED ALWAYS AS IDENTITY,
    request_id        bigint      NOT NULL,
    revision          integer     NOT NULL,
    step              integer     NOT NULL,
    decision          text        NOT NULL,
    seen_hash         bytea       NOT NULL,
    review_token      text,
    comment           text,
    comment_id        bigint,
    delegation_id     bigint,
    principal_id      bigint      NOT NULL,
    person_key        text        COLLATE "C" NOT NULL,
    authority_id      bigint,
    level             integer     NOT NULL,
    decided_by        text        NOT NULL,
    decided_at        timestamptz NOT NULL,
    CONSTRAINT override_decision_pkey PRIMARY KEY (decision_id),
    CONSTRAINT override_decision_person_key UNIQUE (request_id, revision, person_key),
    CONSTRAINT override_decision_request_fkey FOREIGN KEY (request_id) REFERENCES billadj.override_request,
    CONSTRAINT override_decision_decision_check CHECK (decision IN ('approve', 'reject'))
);
COMMENT ON TABLE billadj.override_decision IS 'who decided what on which request, by which authority; append-only';
COMMENT ON COLUMN billadj.override_decision.decision_id IS 'its number';
COMMENT ON COLUMN billadj.override_decision.request_id IS 'the request';
COMMENT ON COLUMN billadj.override_decision.revision IS 'the revision of the request that was decided on';
COMMENT ON COLUMN billadj.override_decision.step IS 'the step of the approval rule that it counted for';
COMMENT ON COLUMN billadj.override_decision.decision IS 'approve or reject';
COMMENT ON COLUMN billadj.override_decision.seen_hash IS 'content_hash of the request that the approver saw';
COMMENT ON COLUMN billadj.override_decision.review_token IS 'token of review_override() on the way in, its SHA-256 once stored; NULL: none was given';
COMMENT ON COLUMN billadj.override_decision.comment IS 'for INSERT only: the guard moves it to billadj.private_text';
COMMENT ON COLUMN billadj.override_decision.comment_id IS 'its comment in billadj.private_text';
COMMENT ON COLUMN billadj.override_decision.delegation_id IS 'the delegation it was made by; NULL: own authority';
COMMENT ON COLUMN billadj.override_decision.principal_id IS 'the principal that decided';
COMMENT ON COLUMN billadj.override_decision.person_key IS 'the person behind it: one person counts once, whatever the logins';
COMMENT ON COLUMN billadj.override_decision.authority_id IS 'the authority that was used';
COMMENT ON COLUMN billadj.override_decision.level IS 'level of that authority';
COMMENT ON COLUMN billadj.override_decision.decided_by IS 'the login that decided';
COMMENT ON COLUMN billadj.override_decision.decided_at IS 'when';

CREATE TABLE billadj.adjustment (
    account             text        COLLATE "C" NOT NULL,
    adjustment_id       bigint      NOT NULL,
    request_id          bigint      NOT NULL,
    charge_id           bigint,
    period_start        timestamptz NOT NULL,
    posted_period_start timestamptz NOT NULL,
    delta               numeric     NOT NULL,
    currency            text        NOT NULL,
    cause               text        NOT NULL,
    affects             text        NOT NULL,
    applied_by          text        NOT NULL,
    applied_at          timestamptz NOT NULL,
    CONSTRAINT adjustment_pkey PRIMARY KEY (account, adjustment_id),
    CONSTRAINT adjustment_affects_check CHECK (affects IN ('billed', 'balance'))
);
CREATE UNIQUE INDEX adjustment_request_key ON billadj.adjustment (account, request_id);
CREATE SEQUENCE billadj.adjustment_id_seq AS bigint;
COMMENT ON SEQUENCE billadj.adjustment_id_seq IS 'numbers of adjustments';
COMMENT ON TABLE billadj.adjustment IS 'effects of applied requests, beside the charges; append-only, written by the library only';
COMMENT ON COLUMN billadj.adjustment.account IS 'who is billed';
COMMENT ON COLUMN billadj.adjustment.adjustment_id IS 'its number, unique in the instance';
COMMENT ON COLUMN billadj.adjustment.request_id IS 'the request that asked for it';
COMMENT ON COLUMN billadj.adjustment.charge_id IS 'the charge it is about; NULL: the account as a whole';
COMMENT ON COLUMN billadj.adjustment.period_start IS 'beginning of the period it corrects';
COMMENT ON COLUMN billadj.adjustment.posted_period_start IS 'beginning of the period whose bill shows it';
COMMENT ON COLUMN billadj.adjustment.delta IS 'what it adds; negative is in the customer''s favour; 0 for a release';
COMMENT ON COLUMN billadj.adjustment.currency IS 'ISO 4217 code of the delta';
COMMENT ON COLUMN billadj.adjustment.cause IS 'correction, reversal, or the kind of the request';
COMMENT ON COLUMN billadj.adjustment.affects IS 'billed, or balance: a refund or a write-off is no part of what is billed';
COMMENT ON COLUMN billadj.adjustment.applied_by IS 'the login whose decision or call applied it';
COMMENT ON COLUMN billadj.adjustment.applied_at IS 'when';

CREATE TABLE billadj.limit_usage (
    authority_id bigint      NOT NULL,
    period_start timestamptz NOT NULL,
    reserved     numeric     NOT NULL,
    used         numeric     NOT NULL,
    CONSTRAINT limit_usage_pkey PRIMARY KEY (authority_id, period_start)
) WITH (fillfactor = 50);
COMMENT ON TABLE billadj.limit_usage IS 'what each authority was used for in each of its periods; written by the library only';
COMMENT ON COLUMN billadj.limit_usage.authority_id IS 'the authority';
COMMENT ON COLUMN billadj.limit_usage.period_start IS 'beginning of its period, in the time zone of the instance';
COMMENT ON COLUMN billadj.limit_usage.reserved IS 'approved, not applied yet';
COMMENT ON COLUMN billadj.limit_usage.used IS 'applied; amounts without sign, nothing is netted';

CREATE TABLE billadj.limit_entry (
    authority_id bigint      NOT NULL,
    decision_id  bigint      NOT NULL,
    request_id   bigint      NOT NULL,
    period_start timestamptz NOT NULL,
    amount       numeric     NOT NULL,
    state        text        NOT NULL,
    CONSTRAINT limit_entry_pkey PRIMARY KEY (authority_id, decision_id),
    CONSTRAINT limit_entry_state_check CHECK (state IN ('reserved', 'used', 'released'))
);
CREATE INDEX limit_entry_request_idx ON billadj.limit_entry (request_id);
COMMENT ON TABLE billadj.limit_entry IS 'what each decision took from a limit; reserved, then used or released, once; written by the library only';
COMMENT ON COLUMN billadj.limit_entry.authority_id IS 'the authority whose limit it counts for';
COMMENT ON COLUMN billadj.limit_entry.decision_id IS 'the decision';
COMMENT ON COLUMN billadj.limit_entry.request_id IS 'the request';
COMMENT ON COLUMN billadj.limit_entry.period_start IS 'the period of the limit, see limit_usage';
COMMENT ON COLUMN billadj.limit_entry.amount IS 'amount of the request, without sign';
COMMENT ON COLUMN billadj.limit_entry.state IS 'reserved, used or released';

-- Requests that need nobody are applied as they are submitted, so those of one
-- window must not pass each other unseen: each updates its row here.
CREATE TABLE billadj.override_window (
    account  text   COLLATE "C" NOT NULL,
    kind     text   COLLATE "C" NOT NULL,
    currency text   COLLATE "C" NOT NULL,
    requests bigint NOT NULL,
    CONSTRAINT override_window_pkey PRIMARY KEY (account, kind, currency)
) WITH (fillfactor = 50);
COMMENT ON TABLE billadj.override_window IS 'a row to lock for requests that need nobody''s approval; written by the library only';
COMMENT ON COLUMN billadj.override_window.account IS 'who is billed';
COMMENT ON COLUMN billadj.override_window.kind IS 'kind of the requests';
COMMENT ON COLUMN billadj.override_window.currency IS 'their currency';
COMMENT ON COLUMN billadj.override_window.requests IS 'how many there were';

CREATE TABLE billadj.review_ticket (
    request_id   bigint      NOT NULL,
    principal_id bigint      NOT NULL,
    token_hash   bytea       NOT NULL,
    seen_hash    bytea       NOT NULL,
    issued_xid   text        NOT NULL,
    issued_at    timestamptz NOT NULL,
    expires_at   timestamptz NOT NULL,
    used_at      timestamptz,
    CONSTRAINT review_ticket_pkey PRIMARY KEY (token_hash)
);
COMMENT ON TABLE billadj.review_ticket IS 'tokens of review_override(): who has seen what; written by the library only';
COMMENT ON COLUMN billadj.review_ticket.request_id IS 'the request that was looked at';
COMMENT ON COLUMN billadj.review_ticket.principal_id IS 'by whom';
COMMENT ON COLUMN billadj.review_ticket.token_hash IS 'SHA-256 of the token';
COMMENT ON COLUMN billadj.review_ticket.seen_hash IS 'content_hash of the request then';
COMMENT ON COLUMN billadj.review_ticket.issued_xid IS 'the transaction that asked for it: it cannot decide by it';
COMMENT ON COLUMN billadj.review_ticket.issued_at IS 'when';
COMMENT ON COLUMN billadj.review_ticket.expires_at IS 'no decision by it after that';
COMMENT ON COLUMN billadj.review_ticket.used_at IS 'when a decision was made by it; once';

CREATE TABLE billadj.request_comment (
    request_id bigint      NOT NULL,
    comment_id bigint      GENERATED ALWAYS AS IDENTITY,
    body_ref   bigint      NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    created_by text        NOT NULL DEFAULT session_user,
    CONSTRAINT request_comment_pkey PRIMARY KEY (request_id, comment_id)
);
COMMENT ON TABLE billadj.request_comment IS 'what was said about a request, in order; the words are in billadj.private_text';
COMMENT ON COLUMN billadj.request_comment.request_id IS 'the request';
COMMENT ON COLUMN billadj.request_comment.comment_id IS 'its number, ascending';
COMMENT ON COLUMN billadj.request_comment.body_ref IS 'its text in billadj.private_text';
COMMENT ON COLUMN billadj.request_comment.created_at IS 'when it was said';
COMMENT ON COLUMN billadj.request_comment.created_by IS 'the login that said it';

CREATE TABLE billadj.hold (
    account    text        COLLATE "C" NOT NULL,
    hold_id    bigint      NOT NULL,
    charge_id  bigint      NOT NULL,
    reason     text        NOT NULL,
    anomaly_id bigint,
    part_of    bigint,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    created_by text        NOT NULL DEFAULT session_user,
    ended_at   timestamptz,
    outcome    text,
    request_id bigint,
    CONSTRAINT hold_pkey PRIMARY KEY (account, hold_id),
    CONSTRAINT hold_outcome_check CHECK (outcome IN ('released', 'cancelled') AND ended_at IS NOT NULL AND request_id IS NOT NULL
        OR outcome IS NULL AND ended_at IS NULL)
);
CREATE UNIQUE INDEX hold_open_key ON billadj.hold (account, charge_id) WHERE ended_at IS NULL;
CREATE SEQUENCE billadj.hold_id_seq AS bigint;
COMMENT ON SEQUENCE billadj.hold_id_seq IS 'numbers of holds';
COMMENT ON TABLE billadj.hold IS 'charges that are not billable until an override of kind release or cancel ends the hold';
COMMENT ON COLUMN billadj.hold.account IS 'who is billed';
COMMENT ON COLUMN billadj.hold.hold_id IS 'its number, unique in the instance';
COMMENT ON COLUMN billadj.hold.charge_id IS 'the charge';
COMMENT ON COLUMN billadj.hold.reason IS 'why it is held';
COMMENT ON COLUMN billadj.hold.anomaly_id IS 'the anomaly that made it; NULL: a person did';
COMMENT ON COLUMN billadj.hold.part_of IS 'the hold that this one ends with: the charge is of the same usage row and measure, as a later difference; NULL: it stands for itself';
COMMENT ON COLUMN billadj.hold.created_at IS 'since when';
COMMENT ON COLUMN billadj.hold.created_by IS 'the login that made it';
COMMENT ON COLUMN billadj.hold.ended_at IS 'until when; NULL: it is held';
COMMENT ON COLUMN billadj.hold.outcome IS 'released (billable) or cancelled (taken off the bill)';
COMMENT ON COLUMN billadj.hold.request_id IS 'the request that ended it';

CREATE TABLE billadj.proposal (
    account      text        COLLATE "C" NOT NULL,
    proposal_id  bigint      NOT NULL,
    kind         text        NOT NULL,
    charge_id    bigint,
    delta        numeric     NOT NULL,
    currency     text        NOT NULL,
    cause        text        NOT NULL,
    period_start timestamptz NOT NULL,
    target       jsonb,
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    created_by   text        NOT NULL DEFAULT session_user,
    request_id   bigint,
    CONSTRAINT proposal_pkey PRIMARY KEY (account, proposal_id)
);
CREATE INDEX proposal_waiting_idx ON billadj.proposal (proposal_id) WHERE request_id IS NULL;
CREATE SEQUENCE billadj.proposal_id_seq AS bigint;
COMMENT ON SEQUENCE billadj.proposal_id_seq IS 'numbers of proposals';
COMMENT ON TABLE billadj.proposal IS 'changes that the library found and may not post by itself; submit_proposals() makes them requests';
COMMENT ON COLUMN billadj.proposal.account IS 'who is billed';
COMMENT ON COLUMN billadj.proposal.proposal_id IS 'its number, unique in the instance';
COMMENT ON COLUMN billadj.proposal.kind IS 'kind of the request it will be';
COMMENT ON COLUMN billadj.proposal.charge_id IS 'the charge it is about; NULL: none';
COMMENT ON COLUMN billadj.proposal.delta IS 'what it would add to the bill';
COMMENT ON COLUMN billadj.proposal.currency IS 'ISO 4217 code of the delta';
COMMENT ON COLUMN billadj.proposal.cause IS 'cause of the adjustment it would be';
COMMENT ON COLUMN billadj.proposal.period_start IS 'beginning of the period it corrects';
COMMENT ON COLUMN billadj.proposal.target IS 'what it is about where that is no charge';
COMMENT ON COLUMN billadj.proposal.created_at IS 'when it was found';
COMMENT ON COLUMN billadj.proposal.created_by IS 'the login whose statement it was found in';
COMMENT ON COLUMN billadj.proposal.request_id IS 'the request it became; NULL: it waits';

CREATE TABLE billadj.outbox (
    account    text        COLLATE "C" NOT NULL,
    outbox_id  bigint      NOT NULL,
    topic      text        NOT NULL,
    payload    jsonb       NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    created_by text        NOT NULL DEFAULT session_user,
    sent_at    timestamptz,
    CONSTRAINT outbox_pkey PRIMARY KEY (account, outbox_id)
);
CREATE INDEX outbox_unsent_idx ON billadj.outbox (outbox_id) WHERE sent_at IS NULL;
CREATE SEQUENCE billadj.outbox_id_seq AS bigint;
COMMENT ON SEQUENCE billadj.outbox_id_seq IS 'numbers of messages';
COMMENT ON TABLE billadj.outbox IS 'messages for people and programs outside; a sender reads them, sends them and sets sent_at';
COMMENT ON COLUMN billadj.outbox.account IS 'the account it is about';
COMMENT ON COLUMN billadj.outbox.outbox_id IS 'its number, unique in the instance';
COMMENT ON COLUMN billadj.outbox.topic IS 'decision_awaited, decision_overdue, override_applied, override_closed …';
COMMENT ON COLUMN billadj.outbox.payload IS 'numbers and amounts, no personal text';
COMMENT ON COLUMN billadj.outbox.created_at IS 'when it was written';
COMMENT ON COLUMN billadj.outbox.created_by IS 'the login whose statement wrote it';
COMMENT ON COLUMN billadj.outbox.sent_at IS 'when it was sent; NULL: it waits; sent ones may be deleted';

-- ---- what is billed ----

CREATE VIEW billadj.billed WITH (security_invoker = true) AS
SELECT c.account, c.charge_id, NULL::bigint AS adjustment_id, c.meter, c.period_start, c.posted_period_start, c.cause, c.amount, c.currency,
       NOT EXISTS (SELECT FROM billadj.hold h WHERE h.account = c.account AND h.charge_id = c.charge_id AND h.ended_at IS NULL) AS billable
  FROM billadj.charge c
UNION ALL
SELECT a.account, a.charge_id, a.adjustment_id, NULL, a.period_start, a.posted_period_start, a.cause, a.delta, a.currency,
       NOT EXISTS (SELECT FROM billadj.hold h WHERE h.account = a.account AND h.charge_id = a.charge_id AND h.ended_at IS NULL)
  FROM billadj.adjustment a
 WHERE a.affects = 'billed';
COMMENT ON VIEW billadj.billed IS 'charges and the adjustments that change what is billed; billable says whether a hold is in the way';
COMMENT ON COLUMN billadj.billed.account IS 'who is billed';
COMMENT ON COLUMN billadj.billed.charge_id IS 'the charge, or the one that the adjustment is about';
COMMENT ON COLUMN billadj.billed.adjustment_id IS 'the adjustment; NULL: this row is a charge';
COMMENT ON COLUMN billadj.billed.meter IS 'what was counted; NULL for an adjustment';
COMMENT ON COLUMN billadj.billed.period_start IS 'beginning of the period it belongs to or corrects';
COMMENT ON COLUMN billadj.billed.posted_period_start IS 'beginning of the period whose bill shows it';
COMMENT ON COLUMN billadj.billed.cause IS 'cause of the charge or of the adjustment';
COMMENT ON COLUMN billadj.billed.amount IS 'exact amount';
COMMENT ON COLUMN billadj.billed.currency IS 'ISO 4217 code of the amount';
COMMENT ON COLUMN billadj.billed.billable IS 'false while the charge is held';

-- ---- who may ----
-- Permissive policies open a table for an audience and are OR-ed: one more of
-- them opens it wider.  What must hold for everybody is restrictive.  None
-- calls a function of billadj, so that the tables live on without it; the guard
-- has set the name of the actor before they look at it.

ALTER TABLE billadj.override_request ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE billadj.override_decision ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE billadj.adjustment ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE billadj.limit_usage ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE billadj.limit_entry ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE billadj.override_window ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE billadj.review_ticket ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE billadj.request_comment ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE billadj.hold ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE billadj.proposal ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE billadj.outbox ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

CREATE POLICY override_request_read ON billadj.override_request FOR SELECT
    TO billadj_approver, billadj_operator, billadj_admin, billadj_policy, billadj_auditor, billadj_reader USING (true);
CREATE POLICY override_request_own ON billadj.override_request FOR SELECT TO billadj_requester USING (requested_by IN (session_user, current_user));
CREATE POLICY override_request_submit ON billadj.override_request FOR INSERT TO billadj_requester, billadj_operator WITH CHECK (true);
CREATE POLICY override_request_revise ON billadj.override_request FOR UPDATE TO billadj_requester, billadj_operator USING (true);
CREATE POLICY override_request_submit_actor ON billadj.override_request AS RESTRICTIVE FOR INSERT
    WITH CHECK (requested_by IN (session_user, current_user) AND state = 'open' AND revision = 1 AND decisions = 0);
CREATE POLICY override_request_revise_actor ON billadj.override_request AS RESTRICTIVE FOR UPDATE
    USING (requested_by IN (session_user, current_user)) WITH CHECK (requested_by IN (session_user, current_user) AND state IN ('open', 'withdrawn'));

-- Whoever sees a request sees the decisions on it and what was said about it.
CREATE POLICY override_decision_read ON billadj.override_decision FOR SELECT
    TO billadj_requester, billadj_approver, billadj_operator, billadj_admin, billadj_policy, billadj_auditor, billadj_reader
    USING (EXISTS (SELECT FROM billadj.override_request r WHERE r.request_id = override_decision.request_id));
CREATE POLICY override_decision_decide ON billadj.override_decision FOR INSERT TO billadj_approver WITH CHECK (true);
CREATE POLICY override_decision_actor ON billadj.override_decision AS RESTRICTIVE FOR INSERT
    WITH CHECK (decided_by IN (session_user, current_user));
CREATE POLICY request_comment_read ON billadj.request_comment FOR SELECT
    TO billadj_requester, billadj_approver, billadj_operator, billadj_admin, billadj_policy, billadj_auditor, billadj_reader
    USING (EXISTS (SELECT FROM billadj.override_request r WHERE r.request_id = request_comment.request_id));

CREATE POLICY adjustment_read ON billadj.adjustment FOR SELECT
    TO billadj_admin, billadj_operator, billadj_requester, billadj_approver, billadj_policy, billadj_auditor, billadj_reader USING (true);
CREATE POLICY hold_read ON billadj.hold FOR SELECT
    TO billadj_admin, billadj_operator, billadj_requester, billadj_approver, billadj_policy, billadj_auditor, billadj_reader USING (true);
CREATE POLICY proposal_read ON billadj.proposal FOR SELECT
    TO billadj_admin, billadj_operator, billadj_approver, billadj_policy, billadj_auditor, billadj_reader USING (true);
CREATE POLICY outbox_read ON billadj.outbox FOR SELECT TO billadj_admin, billadj_operator, billadj_auditor USING (true);
CREATE POLICY outbox_send ON billadj.outbox FOR UPDATE TO billadj_operator USING (true);
CREATE POLICY outbox_delete ON billadj.outbox FOR DELETE TO billadj_operator USING (sent_at IS NOT NULL);
CREATE POLICY limit_usage_read ON billadj.limit_usage FOR SELECT TO billadj_policy, billadj_auditor USING (true);
CREATE POLICY limit_entry_read ON billadj.limit_entry FOR SELECT TO billadj_policy, billadj_auditor USING (true);
CREATE POLICY override_window_read ON billadj.override_window FOR SELECT TO billadj_auditor USING (true);
CREATE POLICY review_ticket_read ON billadj.review_ticket FOR SELECT TO billadj_auditor USING (true);

GRANT SELECT ON billadj.override_request, billadj.override_decision, billadj.request_comment, billadj.adjustment, billadj.hold, billadj.billed
   TO billadj_admin, billadj_operator, billadj_requester, billadj_approver, billadj_policy, billadj_auditor, billadj_reader;
GRANT SELECT ON billadj.proposal TO billadj_admin, billadj_operator, billadj_approver, billadj_policy, billadj_auditor, billadj_reader;
GRANT SELECT ON billadj.outbox TO billadj_admin, billadj_operator, billadj_auditor;
GRANT SELECT ON billadj.limit_usage, billadj.limit_entry TO billadj_policy, billadj_auditor;
GRANT SELECT ON billadj.override_window, billadj.review_ticket TO billadj_auditor;
-- By column: what the guard sets cannot even be named.
GRANT INSERT (account, charge_id, kind, delta, new_amount, currency, reason_code, comment, evidence, target, reverses)
   ON billadj.override_request TO billadj_requester, billadj_operator;
GRANT UPDATE (delta, new_amount, reason_code, comment, evidence, state)
   ON billadj.override_request TO billadj_requester, billadj_operator;
GRANT INSERT (request_id, decision, seen_hash, review_token, comment, delegation_id) ON billadj.override_decision TO billadj_approver;
GRANT UPDATE (sent_at), DELETE ON billadj.outbox TO billadj_operator;
