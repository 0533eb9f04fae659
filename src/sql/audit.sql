
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
    -- Text may be altered as well as erased.
    RETURN QUERY
    SELECT e.chain, NULL::bigint, e.audit_id, false,
           CASE WHEN e.audit_id IS NULL THEN format('missing_event: private_text/%s is in no entry', t.text_id)
                WHEN t.text_id IS NULL THEN format('missing_row: %s is gone, and no entry says so', e.object)
                WHEN t.erased_at IS NOT NULL THEN format('missing_event: private_text/%s was erased, and no entry says so', t.text_id)
                ELSE format('row_mismatch: private_text/%s is not what entry %s says', t.text_id, e.audit_id) END
      FROM ONLY billadj.private_text t
      FULL JOIN (SELECT i.chain, i.audit_id, i.object, i.payload FROM ONLY billadj.audit_entry i
                  WHERE i.object >= 'private_text/' AND i.object < 'private_text0' AND i.event = 'insert') e
        ON e.object = 'private_text/' || t.text_id
     WHERE e.audit_id IS NULL OR t.text_id IS NULL
        OR t.erased_at IS NULL
           AND encode(sha256(t.salt || convert_to(t.body, 'UTF8')), 'hex') IS DISTINCT FROM e.payload::jsonb->>'commitment'
        OR t.erased_at IS NOT NULL
           AND NOT EXISTS (SELECT FROM ONLY billadj.audit_entry x WHERE x.object = e.object AND x.event = 'erase')
     ORDER BY coalesce(t.text_id, (e.payload::jsonb->>'text_id')::bigint)
     LIMIT 1;
END
$function$;
COMMENT ON FUNCTION billadj.verify_rows() IS 'part of verify_audit(): rows of recorded tables against their newest entries';
REVOKE ALL ON FUNCTION billadj.verify_rows() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.verify_rows() TO billadj_auditor;

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
END
$function$;
COMMENT ON FUNCTION billadj.verify_audit(jsonb) IS 'checks the whole audit log, against a digest that was kept outside if one is given; one row a chain, or its first fault';
REVOKE ALL ON FUNCTION billadj.verify_audit(jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.verify_audit(jsonb) TO billadj_auditor;
