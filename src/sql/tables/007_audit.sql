-- 007_audit.sql: the tamper-evident log: entries, the blocks that seal them, their chains

-- An entry is written in its statement, the block that seals the entries of a
-- transaction at its commit.  block_id is the number of the first entry that the
-- transaction wrote on its chain (a transaction id would repeat after a restore).
CREATE TABLE billadj.audit_entry (
    audit_id    bigint      NOT NULL,
    chain       integer     NOT NULL,
    block_id    bigint      NOT NULL,
    at          timestamptz NOT NULL,
    actor       text        NOT NULL,
    role_name   text        NOT NULL,
    event       text        NOT NULL,
    object      text        NOT NULL,
    account     text        COLLATE "C",
    payload     text        NOT NULL,
    leaf        bytea       NOT NULL,
    CONSTRAINT audit_entry_pkey PRIMARY KEY (audit_id)
);
CREATE INDEX audit_entry_object_idx ON billadj.audit_entry (object, audit_id);
CREATE INDEX audit_entry_block_idx ON billadj.audit_entry (chain, block_id, audit_id);
CREATE SEQUENCE billadj.audit_id_seq AS bigint;
COMMENT ON SEQUENCE billadj.audit_id_seq IS 'numbers of audit entries';
COMMENT ON TABLE billadj.audit_entry IS 'what was done by whom, when; written by the library only, sealed in blocks; ids, amounts and commitments, no personal text';
COMMENT ON COLUMN billadj.audit_entry.audit_id IS 'its number, ascending';
COMMENT ON COLUMN billadj.audit_entry.chain IS '0: policy and the instance; 1 to 16: accounts, by hash';
COMMENT ON COLUMN billadj.audit_entry.block_id IS 'the block that seals it: number of the first entry of its transaction on this chain';
COMMENT ON COLUMN billadj.audit_entry.at IS 'time of the server when it was written, not of the beginning of its transaction';
COMMENT ON COLUMN billadj.audit_entry.actor IS 'the login: session_user, or the person a registered pooler acts for';
COMMENT ON COLUMN billadj.audit_entry.role_name IS 'the role in force, and the authenticated login where it is another: role, or role/login';
COMMENT ON COLUMN billadj.audit_entry.event IS 'what was done: submit, decide, apply, insert, update, end, attach …';
COMMENT ON COLUMN billadj.audit_entry.object IS 'what it was done to: table/key';
COMMENT ON COLUMN billadj.audit_entry.account IS 'the account it concerns; NULL: none';
COMMENT ON COLUMN billadj.audit_entry.payload IS 'the facts as canonical JSON text: what was decided, or the row as it is now';
COMMENT ON COLUMN billadj.audit_entry.leaf IS 'SHA-256 over a fixed encoding of all other columns, see doc/security.md';

CREATE TABLE billadj.audit_block (
    chain      integer     NOT NULL,
    seq        bigint      NOT NULL,
    block_id   bigint      NOT NULL,
    entries    bigint      NOT NULL,
    root       bytea       NOT NULL,
    prev       bytea       NOT NULL,
    hash       bytea       NOT NULL,
    at         timestamptz NOT NULL,
    CONSTRAINT audit_block_pkey PRIMARY KEY (chain, seq)
);
CREATE UNIQUE INDEX audit_block_block_idx ON billadj.audit_block (chain, block_id);
COMMENT ON TABLE billadj.audit_block IS 'one per transaction and chain, linked at commit: seals the entries of the transaction';
COMMENT ON COLUMN billadj.audit_block.chain IS 'the chain';
COMMENT ON COLUMN billadj.audit_block.seq IS 'its place in the chain, from 1 without a gap';
COMMENT ON COLUMN billadj.audit_block.block_id IS 'which entries it seals: those with this block_id on this chain';
COMMENT ON COLUMN billadj.audit_block.entries IS 'how many entries it seals';
COMMENT ON COLUMN billadj.audit_block.root IS 'Merkle root over the leaves, by audit_id';
COMMENT ON COLUMN billadj.audit_block.prev IS 'hash of the block before it; 32 zero bytes for the first';
COMMENT ON COLUMN billadj.audit_block.hash IS 'SHA-256 over all of it';
COMMENT ON COLUMN billadj.audit_block.at IS 'time of the server when it was linked';

-- fillfactor 10: changes at every sealing commit.
CREATE TABLE billadj.audit_chain (
    chain   integer NOT NULL,
    seq     bigint  NOT NULL,
    hash    bytea   NOT NULL,
    entries bigint  NOT NULL,
    CONSTRAINT audit_chain_pkey PRIMARY KEY (chain)
) WITH (fillfactor = 10);
COMMENT ON TABLE billadj.audit_chain IS 'the newest block of each chain; a chain without a row is empty';
COMMENT ON COLUMN billadj.audit_chain.chain IS 'the chain';
COMMENT ON COLUMN billadj.audit_chain.seq IS 'place of its newest block';
COMMENT ON COLUMN billadj.audit_chain.hash IS 'hash of its newest block';
COMMENT ON COLUMN billadj.audit_chain.entries IS 'entries sealed so far';

CREATE TABLE billadj.audit_anchor (
    anchor_id  bigint      GENERATED ALWAYS AS IDENTITY,
    digest     jsonb       NOT NULL,
    receipt    text,
    location   text        NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    created_by text        NOT NULL DEFAULT session_user,
    CONSTRAINT audit_anchor_pkey PRIMARY KEY (anchor_id)
);
COMMENT ON TABLE billadj.audit_anchor IS 'digests that were put outside, with the receipt; written by anchor_ack()';
COMMENT ON COLUMN billadj.audit_anchor.anchor_id IS 'its number';
COMMENT ON COLUMN billadj.audit_anchor.digest IS 'the digest, as digest() gave it';
COMMENT ON COLUMN billadj.audit_anchor.receipt IS 'what the place outside answered';
COMMENT ON COLUMN billadj.audit_anchor.location IS 'where it is kept';
COMMENT ON COLUMN billadj.audit_anchor.created_at IS 'when it was acknowledged';
COMMENT ON COLUMN billadj.audit_anchor.created_by IS 'the login that acknowledged it';

-- Personal text is kept apart: erasing a row leaves every chain valid, since
-- entries hold only its commitment, SHA-256 over salt and text.
CREATE TABLE billadj.private_text (
    text_id    bigint      NOT NULL,
    salt       bytea,
    body       text,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    created_by text        NOT NULL DEFAULT session_user,
    erased_at  timestamptz,
    CONSTRAINT private_text_pkey PRIMARY KEY (text_id)
);
CREATE SEQUENCE billadj.text_id_seq AS bigint;
COMMENT ON SEQUENCE billadj.text_id_seq IS 'numbers of private texts';
COMMENT ON TABLE billadj.private_text IS 'comments and other personal text; may be erased, the audit log holds commitments only';
COMMENT ON COLUMN billadj.private_text.text_id IS 'its number';
COMMENT ON COLUMN billadj.private_text.salt IS 'random, so that the commitment cannot be guessed from the text; NULL once erased';
COMMENT ON COLUMN billadj.private_text.body IS 'the text; NULL once erased';
COMMENT ON COLUMN billadj.private_text.created_at IS 'when it was written';
COMMENT ON COLUMN billadj.private_text.created_by IS 'the login that wrote it';
COMMENT ON COLUMN billadj.private_text.erased_at IS 'when it was erased; NULL: it is there';

ALTER TABLE billadj.audit_entry ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE billadj.audit_block ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE billadj.audit_chain ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE billadj.audit_anchor ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE billadj.private_text ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY audit_entry_read ON billadj.audit_entry FOR SELECT TO billadj_auditor USING (true);
CREATE POLICY audit_block_read ON billadj.audit_block FOR SELECT TO billadj_auditor USING (true);
CREATE POLICY audit_chain_read ON billadj.audit_chain FOR SELECT TO billadj_auditor USING (true);
CREATE POLICY audit_anchor_read ON billadj.audit_anchor FOR SELECT TO billadj_auditor USING (true);
-- created_at and created_by are the table's own: nobody has a grant to set them.
CREATE POLICY audit_anchor_add ON billadj.audit_anchor FOR INSERT TO billadj_auditor WITH CHECK (created_by = session_user);
CREATE POLICY private_text_read ON billadj.private_text FOR SELECT TO billadj_privacy, billadj_approver USING (true);
GRANT SELECT ON billadj.audit_entry, billadj.audit_block, billadj.audit_chain, billadj.audit_anchor TO billadj_auditor;
GRANT SELECT ON billadj.private_text TO billadj_privacy, billadj_approver;
GRANT INSERT (digest, receipt, location) ON billadj.audit_anchor TO billadj_auditor;
