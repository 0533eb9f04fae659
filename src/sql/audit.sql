
-- audit: the tamper-evident log: entries, digests, verification, proofs, history

CREATE FUNCTION billadj.audit_trigger() RETURNS trigger
AS 'MODULE_PATHNAME', 'billadj_audit_trigger' LANGUAGE C;
COMMENT ON FUNCTION billadj.audit_trigger() IS 'trigger: records each row that is inserted, changed or deleted in the audit log';
REVOKE ALL ON FUNCTION billadj.audit_trigger() FROM PUBLIC;

CREATE FUNCTION billadj.sealed_trigger() RETURNS trigger
AS 'MODULE_PATHNAME', 'billadj_sealed_trigger' LANGUAGE C;
COMMENT ON FUNCTION billadj.sealed_trigger() IS 'trigger: refuses whatever is not written by the library itself, except while a dump is restored';
REVOKE ALL ON FUNCTION billadj.sealed_trigger() FROM PUBLIC;

-- ---- hashes: what doc/security.md describes, for checks by hand ----

CREATE FUNCTION billadj.audit_hash(domain text, VARIADIC fields "any") RETURNS bytea
AS 'MODULE_PATHNAME', 'billadj_audit_hash' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION billadj.audit_hash(text, "any") IS 'SHA-256 over the fixed encoding of a list of fields, under a domain';

CREATE FUNCTION billadj.merkle_root(leaves bytea[]) RETURNS bytea
AS 'MODULE_PATHNAME', 'billadj_merkle_root' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION billadj.merkle_root(bytea[]) IS 'root of the tree over a list of hashes; 32 zero bytes for none';

CREATE FUNCTION billadj.merkle_path(leaves bytea[], place integer) RETURNS bytea[]
AS 'MODULE_PATHNAME', 'billadj_merkle_path' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION billadj.merkle_path(bytea[], integer) IS 'what leads from one leaf, counted from 1, to the root: a byte for the side (0 left, 1 right) and the hash there, each';

CREATE FUNCTION billadj.audit_time(at timestamptz) RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
RETURN to_char($1 AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"');
COMMENT ON FUNCTION billadj.audit_time(timestamptz) IS 'a time as digests and proofs write it';
REVOKE ALL ON FUNCTION billadj.audit_time(timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.audit_time(timestamptz) TO billadj_auditor;

-- ---- rows ----

CREATE FUNCTION billadj.audit_row("row" record, OUT object text, OUT account text, OUT payload text)
AS 'MODULE_PATHNAME', 'billadj_audit_row' LANGUAGE C STABLE STRICT;
COMMENT ON FUNCTION billadj.audit_row(record) IS 'a row of a table as its audit entry has it';
REVOKE ALL ON FUNCTION billadj.audit_row(record) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.audit_row(record) TO billadj_auditor;

-- For adopt(); nobody is given it.
CREATE FUNCTION billadj.audit_append(event text, object text, account text, payload text) RETURNS bigint
AS 'MODULE_PATHNAME', 'billadj_audit_append' LANGUAGE C;
COMMENT ON FUNCTION billadj.audit_append(text, text, text, text) IS 'writes an audit entry; part of install()';
REVOKE ALL ON FUNCTION billadj.audit_append(text, text, text, text) FROM PUBLIC;

-- Rows that the log says nothing of: they are older than it, or were loaded
-- past the triggers.  Recording them now says who found them and when; without
-- it verify_audit() would miss their entries for ever.
CREATE FUNCTION billadj.adopt(dry_run boolean DEFAULT false)
RETURNS TABLE (action text, object text, sql text, done boolean)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $function$
#variable_conflict use_column
DECLARE
    recorded text;
    missing  text;
    found    bigint;
BEGIN
    PERFORM billadj.require_superuser('adopt');
    IF to_regclass('billadj.audit_entry') IS NULL THEN
        -- what install() is going to find
        RETURN QUERY SELECT 'record rows', 'billadj.migration', 'SELECT * FROM billadj.adopt();', false WHERE dry_run;
        RETURN;
    END IF;
    FOR recorded IN
        SELECT g.table_name FROM billadj.guards() g
         WHERE g.function_name = 'audit_trigger' AND to_regclass(format('billadj.%I', g.table_name)) IS NOT NULL
         ORDER BY g.table_name COLLATE "C"
    LOOP
        missing := format('FROM ONLY billadj.%I t CROSS JOIN LATERAL billadj.audit_row(t) r '
                          'WHERE NOT EXISTS (SELECT FROM billadj.audit_entry e WHERE e.object = r.object)', recorded);
        EXECUTE 'SELECT count(*) ' || missing INTO found;
        CONTINUE WHEN found = 0;
        IF NOT dry_run THEN
            EXECUTE format('SELECT billadj.audit_append(%L, m.object, m.account, m.payload) '
                           'FROM (SELECT r.* %s ORDER BY r.object COLLATE "C") m',
                           CASE recorded WHEN 'migration' THEN 'install' ELSE 'adopt' END, missing);
        END IF;
        RETURN QUERY SELECT 'record rows', format('billadj.%I', recorded),
                            'SELECT * FROM billadj.adopt();', NOT dry_run;
    END LOOP;
END
$function$;
COMMENT ON FUNCTION billadj.adopt(boolean) IS 'records rows that the audit log says nothing of, as found now; part of install(); superuser';
REVOKE ALL ON FUNCTION billadj.adopt(boolean) FROM PUBLIC;

CREATE FUNCTION billadj.erase_text(text_id bigint) RETURNS boolean
AS 'MODULE_PATHNAME', 'billadj_erase_text' LANGUAGE C STRICT;
COMMENT ON FUNCTION billadj.erase_text(bigint) IS 'forgets a personal text and its salt; the audit log stays valid and says that it was done; false: it was forgotten before';
REVOKE ALL ON FUNCTION billadj.erase_text(bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.erase_text(bigint) TO billadj_privacy;

-- ---- digest ----

-- Of what a digest says, whatever its JSON looks like.
CREATE FUNCTION billadj.digest_hash(digest jsonb) RETURNS bytea
LANGUAGE plpgsql STABLE STRICT
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    root bytea;
BEGIN
    root := billadj.merkle_root(ARRAY(
        SELECT billadj.audit_hash('billadj-head-v1', (h.value->>'chain')::bigint, (h.value->>'seq')::bigint,
                                  (h.value->>'entries')::bigint, decode(h.value->>'hash', 'hex'))
          FROM jsonb_array_elements(digest->'heads') WITH ORDINALITY h ORDER BY h.ordinality));
    IF encode(root, 'hex') IS DISTINCT FROM digest->>'root' THEN
        RETURN NULL;
    END IF;
    RETURN billadj.audit_hash('billadj-digest-v1', decode(digest->>'instance', 'hex'), digest->>'system_id', digest->>'database',
                              digest->>'at', digest->>'lsn', (digest->>'entries')::bigint, root, decode(digest->>'previous', 'hex'));
EXCEPTION WHEN data_exception THEN
    RETURN NULL;
END
$function$;
COMMENT ON FUNCTION billadj.digest_hash(jsonb) IS 'the hash that a digest must have; NULL: it is none, or its root is not that of its heads';
REVOKE ALL ON FUNCTION billadj.digest_hash(jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.digest_hash(jsonb) TO billadj_auditor;

CREATE FUNCTION billadj.require_digest(digest jsonb) RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    IF digest->>'format' IS DISTINCT FROM 'billadj-digest-v1'
       OR encode(billadj.digest_hash(digest), 'hex') IS DISTINCT FROM digest->>'hash' OR digest->>'hash' IS NULL THEN
        RAISE EXCEPTION 'this is no digest of an audit log, or it was altered'
            USING ERRCODE = 'UB330',
                  DETAIL = 'Its hash is not that of what it says.',
                  HINT = 'Give it as billadj.digest() returned it.';
    END IF;
END
$function$;
COMMENT ON FUNCTION billadj.require_digest(jsonb) IS 'error UB330 unless this is a digest that is consistent in itself';
REVOKE ALL ON FUNCTION billadj.require_digest(jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.require_digest(jsonb) TO billadj_auditor;

-- instance: the first block of chain 0, which no other installation has.
CREATE FUNCTION billadj.digest() RETURNS jsonb
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    made jsonb;
BEGIN
    PERFORM billadj.require_installed();
    made := jsonb_build_object(
        'format', 'billadj-digest-v1',
        'instance', (SELECT encode(b.hash, 'hex') FROM ONLY billadj.audit_block b WHERE b.chain = 0 AND b.seq = 1),
        'system_id', (SELECT c.system_identifier::text FROM pg_control_system() c),
        'database', current_database(),
        'at', billadj.audit_time(clock_timestamp()),
        'lsn', CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END::text,
        'entries', (SELECT coalesce(sum(c.entries), 0)::bigint FROM ONLY billadj.audit_chain c),
        'heads', (SELECT coalesce(jsonb_agg(jsonb_build_object('chain', c.chain, 'seq', c.seq, 'entries', c.entries,
                                                               'hash', encode(c.hash, 'hex')) ORDER BY c.chain), '[]')
                    FROM ONLY billadj.audit_chain c),
        'root', encode(billadj.merkle_root(ARRAY(
                    SELECT billadj.audit_hash('billadj-head-v1', c.chain, c.seq, c.entries, c.hash)
                      FROM ONLY billadj.audit_chain c ORDER BY c.chain)), 'hex'),
        'previous', (SELECT a.digest->>'hash' FROM ONLY billadj.audit_anchor a ORDER BY a.anchor_id DESC LIMIT 1));
    RETURN made || jsonb_build_object('hash', encode(billadj.digest_hash(made), 'hex'));
END
$function$;
COMMENT ON FUNCTION billadj.digest() IS 'what the audit log is now, in one hash; keep it outside, and verify_audit() tells later whether anything up to here was altered';
REVOKE ALL ON FUNCTION billadj.digest() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.digest() TO billadj_auditor;

-- As the caller: a grant on the columns and a policy let him.
CREATE FUNCTION billadj.anchor_ack(digest jsonb, receipt text, location text) RETURNS bigint
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    acknowledged bigint;
BEGIN
    PERFORM billadj.require_digest(digest);
    IF EXISTS (SELECT FROM jsonb_array_elements(digest->'heads') h
                WHERE NOT EXISTS (SELECT FROM ONLY billadj.audit_block b
                                   WHERE b.chain = (h.value->>'chain')::integer AND b.seq = (h.value->>'seq')::bigint
                                     AND b.hash = decode(h.value->>'hash', 'hex'))) THEN
        RAISE EXCEPTION 'this digest is not one of this audit log'
            USING ERRCODE = 'UB330',
                  DETAIL = 'A block that it names is not here.',
                  HINT = 'SELECT * FROM billadj.verify_audit(…) with it tells what is missing.';
    END IF;
    INSERT INTO billadj.audit_anchor (digest, receipt, location)
    VALUES (anchor_ack.digest, anchor_ack.receipt, anchor_ack.location)
    RETURNING anchor_id INTO acknowledged;
    RETURN acknowledged;
END
$function$;
COMMENT ON FUNCTION billadj.anchor_ack(jsonb, text, text) IS 'notes that a digest is kept outside: where, and what the place answered; returns its number';
REVOKE ALL ON FUNCTION billadj.anchor_ack(jsonb, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.anchor_ack(jsonb, text, text) TO billadj_auditor;

-- ---- verification ----

CREATE FUNCTION billadj.verify_chains(chains integer[], seqs bigint[], hashes bytea[])
RETURNS TABLE (chain integer, seq bigint, audit_id bigint, ok boolean, problem text)
AS 'MODULE_PATHNAME', 'billadj_verify_chains' LANGUAGE C STABLE STRICT;
COMMENT ON FUNCTION billadj.verify_chains(integer[], bigint[], bytea[]) IS 'part of verify_audit(): entries, blocks and chains, and heads of a digest in three arrays';
REVOKE ALL ON FUNCTION billadj.verify_chains(integer[], bigint[], bytea[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.verify_chains(integer[], bigint[], bytea[]) TO billadj_auditor;

CREATE FUNCTION billadj.text_commitments() RETURNS TABLE (text_id bigint, commitment bytea)
AS 'MODULE_PATHNAME', 'billadj_text_commitments' LANGUAGE C STABLE;
COMMENT ON FUNCTION billadj.text_commitments() IS 'part of verify_audit(): what each personal text commits to now, without the text; NULL once it is erased';
REVOKE ALL ON FUNCTION billadj.text_commitments() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.text_commitments() TO billadj_auditor;

-- The first fault of each table: a row that is not what its newest entry says.
CREATE FUNCTION billadj.verify_rows()
RETURNS TABLE (chain integer, seq bigint, audit_id bigint, ok boolean, problem text)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    recorded text;
BEGIN
    FOR recorded IN
        SELECT g.table_name FROM billadj.guards() g
         WHERE g.function_name = 'audit_trigger' AND to_regclass(format('billadj.%I', g.table_name)) IS NOT NULL
         ORDER BY g.table_name COLLATE "C"
    LOOP
        RETURN QUERY EXECUTE format($$
            SELECT e.chain, NULL::bigint, e.audit_id, false,
                   CASE WHEN e.audit_id IS NULL THEN 'missing_event: ' || coalesce(r.object, w.object) || ' is in no entry'
                        WHEN r.object IS NULL THEN 'missing_row: ' || w.object || ' is gone, and no entry says so'
                        ELSE 'row_mismatch: ' || r.object || ' is not what entry ' || e.audit_id || ' says' END
              FROM (SELECT r.* FROM ONLY billadj.%1$I t CROSS JOIN LATERAL billadj.audit_row(t) r) r
              FULL JOIN (SELECT DISTINCT ON (e.object) e.object, e.audit_id, e.chain, e.event, e.payload
                           FROM ONLY billadj.audit_entry e
                          WHERE e.object >= %2$L AND e.object < %3$L AND e.event IN ('insert', 'update', 'delete', 'adopt', 'install')
                          ORDER BY e.object, e.audit_id DESC) w ON w.object = r.object
              CROSS JOIN LATERAL (SELECT w.audit_id, w.chain) e
             WHERE w.audit_id IS NULL
                OR r.object IS NULL AND w.event <> 'delete'
                OR r.object IS NOT NULL AND (w.event = 'delete' OR w.payload <> r.payload)
             ORDER BY coalesce(r.object, w.object) COLLATE "C"
             LIMIT 1$$, recorded, recorded || '/', recorded || '0');
    END LOOP;
    -- Text may be altered as well as erased; who verifies need not read it.
    RETURN QUERY
    SELECT e.chain, NULL::bigint, e.audit_id, false,
           CASE WHEN e.audit_id IS NULL THEN format('missing_event: private_text/%s is in no entry', t.text_id)
                WHEN t.text_id IS NULL THEN format('missing_row: %s is gone, and no entry says so', e.object)
                WHEN t.commitment IS NULL THEN format('missing_event: private_text/%s was erased, and no entry says so', t.text_id)
                ELSE format('row_mismatch: private_text/%s is not what entry %s says', t.text_id, e.audit_id) END
      FROM billadj.text_commitments() t
      FULL JOIN (SELECT i.chain, i.audit_id, i.object, i.payload FROM ONLY billadj.audit_entry i
                  WHERE i.object >= 'private_text/' AND i.object < 'private_text0' AND i.event = 'insert') e
        ON e.object = 'private_text/' || t.text_id
     WHERE e.audit_id IS NULL OR t.text_id IS NULL
        OR t.commitment IS NOT NULL AND encode(t.commitment, 'hex') IS DISTINCT FROM e.payload::jsonb->>'commitment'
        OR t.commitment IS NULL
           AND NOT EXISTS (SELECT FROM ONLY billadj.audit_entry x WHERE x.object = e.object AND x.event = 'erase')
     ORDER BY coalesce(t.text_id, (e.payload::jsonb->>'text_id')::bigint)
     LIMIT 1;
END
$function$;
COMMENT ON FUNCTION billadj.verify_rows() IS 'part of verify_audit(): rows of recorded tables against their newest entries';
REVOKE ALL ON FUNCTION billadj.verify_rows() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.verify_rows() TO billadj_auditor;

-- Overrides write entries of their own: what these say of requests, decisions
-- and effects must be what the tables say.
CREATE FUNCTION billadj.verify_overrides()
RETURNS TABLE (chain integer, seq bigint, audit_id bigint, ok boolean, problem text)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    RETURN QUERY
    WITH stored(kind, object, facts) AS (
        SELECT 'decide', 'override_decision/' || d.decision_id,
               jsonb_build_array(d.request_id, d.revision, d.step, d.decision, d.principal_id, d.decided_by, encode(d.seen_hash, 'hex'))
          FROM ONLY billadj.override_decision d
        UNION ALL
        SELECT 'apply', 'adjustment/' || a.adjustment_id,
               jsonb_build_array(a.request_id, a.account, a.charge_id, a.delta, a.currency, a.cause, a.affects)
          FROM ONLY billadj.adjustment a
        UNION ALL
        SELECT 'request', 'override_request/' || r.request_id,
               jsonb_build_array(r.account, r.kind, r.charge_id, r.reason_code, r.requested_by, r.state, r.revision, encode(r.content_hash, 'hex'))
          FROM ONLY billadj.override_request r
    ), entry AS (
        SELECT DISTINCT ON (e.object) e.object, e.chain, e.audit_id, e.payload::jsonb AS p, split_part(e.object, '/', 1) AS of
          FROM ONLY billadj.audit_entry e
         WHERE e.object >= 'adjustment/' AND e.object < 'adjustment0' AND e.event = 'apply'
            OR e.object >= 'override_decision/' AND e.object < 'override_decision0' AND e.event = 'decide'
            OR e.object >= 'override_request/' AND e.object < 'override_request0' AND e.event <> 'comment'
         ORDER BY e.object, e.audit_id DESC
    ), recorded(object, chain, audit_id, facts) AS (
        SELECT e.object, e.chain, e.audit_id,
               CASE e.of
                   WHEN 'override_decision'
                   THEN jsonb_build_array(e.p->'request_id', e.p->'revision', e.p->'step', e.p->'decision', e.p->'principal_id',
                                          e.p->'decided_by', e.p->'seen_hash')
                   WHEN 'adjustment'
                   THEN jsonb_build_array(e.p->'request_id', e.p->'account', e.p->'charge_id', (e.p->>'delta')::numeric,
                                          e.p->'currency', e.p->'cause', e.p->'affects')
                   ELSE jsonb_build_array(e.p->'account', e.p->'kind', e.p->'charge_id', e.p->'reason_code', e.p->'requested_by',
                                          e.p->'state', e.p->'revision', e.p->'content_hash') END
          FROM entry e
    ), fault AS (
        SELECT r.chain, r.audit_id, coalesce(s.object, r.object) AS object,
               CASE WHEN r.object IS NOT NULL AND s.object IS NOT NULL
                    THEN format('row_mismatch: %s is not what entry %s says', s.object, r.audit_id)
                    WHEN r.object IS NOT NULL THEN format('missing_row: %s is gone, and no entry says so', r.object)
                    WHEN s.kind = 'apply' THEN format('orphan_effect: %s is in no entry', s.object)
                    ELSE format('missing_event: %s is in no entry', s.object) END AS problem
          FROM stored s FULL JOIN recorded r ON r.object = s.object
         WHERE s.facts IS DISTINCT FROM r.facts
    )
    SELECT DISTINCT ON (split_part(f.object, '/', 1)) f.chain, NULL::bigint, f.audit_id, false, f.problem
      FROM fault f
     ORDER BY split_part(f.object, '/', 1), f.audit_id NULLS LAST, f.object;
    -- an effect whose decisions were taken away
    RETURN QUERY
    SELECT NULL::integer, NULL::bigint, NULL::bigint, false, format('orphan_effect: %s names a request that is not there', min('adjustment/' || a.adjustment_id))
      FROM ONLY billadj.adjustment a
     WHERE NOT EXISTS (SELECT FROM ONLY billadj.override_request r WHERE r.request_id = a.request_id)
    HAVING count(*) > 0;
END
$function$;
COMMENT ON FUNCTION billadj.verify_overrides() IS 'part of verify_audit(): requests, decisions and adjustments against their entries';
REVOKE ALL ON FUNCTION billadj.verify_overrides() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.verify_overrides() TO billadj_auditor;

CREATE FUNCTION billadj.verify_audit(digest jsonb DEFAULT NULL)
RETURNS TABLE (chain integer, seq bigint, audit_id bigint, ok boolean, problem text)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
#variable_conflict use_column
DECLARE
    wanted jsonb := verify_audit.digest;
BEGIN
    PERFORM billadj.require_installed();
    IF wanted IS NULL THEN
        -- better than none, though whoever altered the log could have altered it
        SELECT a.digest INTO wanted FROM ONLY billadj.audit_anchor a ORDER BY a.anchor_id DESC LIMIT 1;
    END IF;
    IF wanted IS NOT NULL THEN
        PERFORM billadj.require_digest(wanted);
    END IF;
    RETURN QUERY
    SELECT v.*
      FROM (SELECT coalesce(array_agg((h.value->>'chain')::integer), '{}') AS chains,
                   coalesce(array_agg((h.value->>'seq')::bigint), '{}') AS seqs,
                   coalesce(array_agg(decode(h.value->>'hash', 'hex')), '{}') AS hashes
              FROM jsonb_array_elements(wanted->'heads') h) d,
           billadj.verify_chains(d.chains, d.seqs, d.hashes) v;
    RETURN QUERY SELECT v.* FROM billadj.verify_rows() v;
    RETURN QUERY SELECT v.* FROM billadj.verify_overrides() v;
END
$function$;
COMMENT ON FUNCTION billadj.verify_audit(jsonb) IS 'checks the whole audit log, against a digest that was kept outside if one is given; one row a chain, or its first fault';
REVOKE ALL ON FUNCTION billadj.verify_audit(jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.verify_audit(jsonb) TO billadj_auditor;

-- ---- one entry, for somebody who has nothing but the digest ----

CREATE FUNCTION billadj.prove(audit_id bigint, digest jsonb DEFAULT NULL) RETURNS jsonb
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
#variable_conflict use_column
DECLARE
    wanted bigint := $1;
    kept   jsonb := $2;
    entry  record;
    block  record;
    leaves bytea[];
    place  integer;
    head   bigint;
BEGIN
    SELECT * INTO entry FROM ONLY billadj.audit_entry e WHERE e.audit_id = wanted;
    SELECT * INTO block FROM ONLY billadj.audit_block b WHERE b.chain = entry.chain AND b.block_id = entry.block_id;
    IF block.seq IS NULL THEN
        RAISE EXCEPTION 'audit entry % does not exist, or is not sealed yet', wanted
            USING ERRCODE = 'insufficient_privilege',
                  HINT = 'Entries are sealed when their transaction commits.';
    END IF;
    -- The oldest digest outside that covers it needs the fewest links.
    IF kept IS NULL THEN
        SELECT a.digest INTO kept FROM ONLY billadj.audit_anchor a, jsonb_array_elements(a.digest->'heads') h
         WHERE (h.value->>'chain')::integer = block.chain AND (h.value->>'seq')::bigint >= block.seq
         ORDER BY a.anchor_id LIMIT 1;
        kept := coalesce(kept, billadj.digest());
    END IF;
    PERFORM billadj.require_digest(kept);
    SELECT (h.value->>'seq')::bigint INTO head FROM jsonb_array_elements(kept->'heads') h
     WHERE (h.value->>'chain')::integer = block.chain;
    IF head IS NULL OR head < block.seq THEN
        RAISE EXCEPTION 'the digest is older than audit entry %', wanted
            USING ERRCODE = 'UB330',
                  DETAIL = format('Block %s of chain %s seals it, the digest ends at %s.', block.seq, block.chain, coalesce(head, 0)),
                  HINT = 'Give a later digest, or none.';
    END IF;
    SELECT array_agg(e.leaf ORDER BY e.audit_id), count(*) FILTER (WHERE e.audit_id <= wanted)
      INTO leaves, place
      FROM ONLY billadj.audit_entry e WHERE e.chain = block.chain AND e.block_id = block.block_id;
    RETURN jsonb_build_object(
        'format', 'billadj-proof-v1',
        'entry', jsonb_build_object('audit_id', entry.audit_id, 'chain', entry.chain, 'block_id', entry.block_id,
                                    'at', billadj.audit_time(entry.at), 'actor', entry.actor, 'role_name', entry.role_name,
                                    'event', entry.event, 'object', entry.object, 'account', entry.account, 'payload', entry.payload),
        'path', (SELECT coalesce(jsonb_agg(jsonb_build_object('side', CASE get_byte(p.step, 0) WHEN 0 THEN 'left' ELSE 'right' END,
                                                              'hash', encode(substr(p.step, 2), 'hex')) ORDER BY p.ordinality), '[]')
                   FROM unnest(billadj.merkle_path(leaves, place)) WITH ORDINALITY AS p(step, ordinality)),
        'blocks', (SELECT jsonb_agg(jsonb_build_object('seq', b.seq, 'block_id', b.block_id, 'entries', b.entries,
                                                       'root', encode(b.root, 'hex'), 'prev', encode(b.prev, 'hex'),
                                                       'at', billadj.audit_time(b.at)) ORDER BY b.seq)
                     FROM ONLY billadj.audit_block b WHERE b.chain = block.chain AND b.seq BETWEEN block.seq AND head),
        'digest', kept);
END
$function$;
COMMENT ON FUNCTION billadj.prove(bigint, jsonb) IS 'all that is needed to check one entry against a digest without the database: check_proof.pl does; by default the oldest acknowledged digest that covers it';
REVOKE ALL ON FUNCTION billadj.prove(bigint, jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.prove(bigint, jsonb) TO billadj_auditor;

-- ---- history ----

-- What belongs to a charge or a request is told with it.
CREATE FUNCTION billadj.history_objects(object text) RETURNS text[]
LANGUAGE plpgsql STABLE STRICT
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    id bigint := substring(history_objects.object FROM '^(?:charge|override_request)/(\d{1,18})$')::bigint;
BEGIN
    RETURN history_objects.object || ARRAY(
        WITH request AS (
            SELECT r.request_id FROM billadj.override_request r
             WHERE CASE WHEN history_objects.object LIKE 'charge/%' THEN r.charge_id ELSE r.request_id END = id
        )
        SELECT 'override_request/' || q.request_id FROM request q WHERE history_objects.object LIKE 'charge/%'
        UNION ALL
        SELECT 'override_decision/' || d.decision_id FROM request q JOIN billadj.override_decision d ON d.request_id = q.request_id
        UNION ALL
        SELECT 'adjustment/' || a.adjustment_id FROM request q JOIN billadj.adjustment a ON a.request_id = q.request_id);
END
$function$;
COMMENT ON FUNCTION billadj.history_objects(text) IS 'part of history(): the object, and for a charge or a request what was decided about it';
REVOKE ALL ON FUNCTION billadj.history_objects(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.history_objects(text) TO billadj_auditor;

CREATE FUNCTION billadj.history(object text)
RETURNS TABLE (audit_id bigint, at timestamptz, actor text, role_name text, event text, subject text, before jsonb, after jsonb)
LANGUAGE plpgsql STABLE STRICT
SET search_path = pg_catalog, pg_temp
AS $function$
#variable_conflict use_column
DECLARE
    wanted text := $1;
BEGIN
    -- A charge is in no entry; it says itself who wrote it, and when.
    RETURN QUERY
    SELECT NULL::bigint, c.created_at, c.created_by, NULL::text, 'created', wanted, NULL::jsonb, to_jsonb(c)
      FROM billadj.charge c
     WHERE c.charge_id = substring(wanted FROM '^charge/(\d{1,18})$')::bigint;
    RETURN QUERY
    WITH entry AS (
        SELECT e.*, CASE WHEN e.event NOT IN ('delete', 'erase', 'comment') THEN e.payload::jsonb END AS row_after,
               row_number() OVER (PARTITION BY e.object ORDER BY e.audit_id) AS place
          FROM ONLY billadj.audit_entry e
         WHERE e.object = ANY (billadj.history_objects(wanted))
    ), told AS (
        -- older than the log: what the row itself kept of its beginning
        SELECT NULL::bigint AS audit_id, coalesce(e.row_after->>'created_at', e.row_after->>'applied_at')::timestamptz AS at,
               coalesce(e.row_after->>'created_by', e.row_after->>'applied_by') AS actor, NULL::text AS role_name,
               'created'::text AS event, e.object, NULL::jsonb AS before, NULL::jsonb AS after
          FROM entry e
         WHERE e.place = 1 AND e.event IN ('adopt', 'install')
        UNION ALL
        SELECT e.audit_id, e.at, e.actor, e.role_name, e.event, e.object,
               lag(e.row_after) OVER (PARTITION BY e.object ORDER BY e.audit_id),
               CASE WHEN e.event IN ('comment', 'erase') THEN e.payload::jsonb ELSE e.row_after END
          FROM entry e
    )
    SELECT t.* FROM told t WHERE t.at IS NOT NULL ORDER BY t.audit_id NULLS FIRST, t.at;
END
$function$;
COMMENT ON FUNCTION billadj.history(text) IS 'who did what to an object (table/key), in order, with what was before and after; for a charge or a request, what was decided about it as well';
REVOKE ALL ON FUNCTION billadj.history(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.history(text) TO billadj_auditor;

CREATE FUNCTION billadj.as_of(object text, at timestamptz) RETURNS jsonb
LANGUAGE plpgsql STABLE STRICT
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    entry record;
BEGIN
    SELECT e.event, e.payload::jsonb AS payload INTO entry
      FROM ONLY billadj.audit_entry e
     WHERE e.object = as_of.object AND e.at <= as_of.at AND e.event NOT IN ('comment', 'erase')
     ORDER BY e.audit_id DESC LIMIT 1;
    IF NOT FOUND THEN
        -- recorded later than it was made
        SELECT e.event, e.payload::jsonb AS payload INTO entry
          FROM ONLY billadj.audit_entry e
         WHERE e.object = as_of.object
         ORDER BY e.audit_id LIMIT 1;
        IF NOT FOUND OR entry.event NOT IN ('adopt', 'install')
           OR coalesce(entry.payload->>'created_at', entry.payload->>'applied_at')::timestamptz > as_of.at THEN
            RETURN NULL;
        END IF;
    END IF;
    RETURN CASE WHEN entry.event <> 'delete' THEN entry.payload END;
END
$function$;
COMMENT ON FUNCTION billadj.as_of(text, timestamptz) IS 'an object (table/key) as it was at a time, by the audit log; NULL: it was not there';
REVOKE ALL ON FUNCTION billadj.as_of(text, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.as_of(text, timestamptz) TO billadj_auditor;
