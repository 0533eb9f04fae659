-- The audit log: what leaves an entry, what it says, history, as_of, texts.
-- What tampering shows as is in test/t/030_audit.pl.
\set SHOW_CONTEXT never
SET timezone = 'UTC';
SET datestyle = 'ISO';
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS billadj;
SELECT count(*) >= 0 AS uninstalled FROM billadj.uninstall(keep_data => false);
SELECT count(*) > 0 AS installed FROM billadj.install();

-- ---- what is recorded ----

SELECT event, count(*) = billadj.migration_newest() AS all_steps FROM billadj.audit_entry GROUP BY event;
CREATE TEMP TABLE seen AS SELECT max(audit_id) AS until FROM billadj.audit_entry;
CREATE FUNCTION pg_temp.new_entries() RETURNS TABLE (event text, object text, chain integer, account text) LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY SELECT e.event, e.object, e.chain, e.account FROM billadj.audit_entry e, pg_temp.seen s WHERE e.audit_id > s.until ORDER BY e.audit_id;
    UPDATE pg_temp.seen SET until = (SELECT max(audit_id) FROM billadj.audit_entry);
END $$;
SELECT count(*) > 0 AS imported FROM billadj.import_rate_card('{"code": "audited", "currency": "EUR", "account": "acme", "prices": [
    {"meter": "calls", "model": "graduated", "tiers": [{"up_to": 10, "unit_amount": 1}, {"up_to": null, "unit_amount": 0.5}]}]}', '[2026-01-01,)');
SELECT event, regexp_replace(object, '\d+', 'n', 'g') AS object, chain, account FROM pg_temp.new_entries();
CREATE TABLE audited_usage (id bigint PRIMARY KEY, who text, at timestamptz, n numeric);
SELECT count(*) > 0 AS attached FROM billadj.attach('audited_usage', 'who', 'at', 'calls', 'n');
INSERT INTO audited_usage SELECT n, 'acme', '2026-02-01', n FROM generate_series(1, 20) n;
SELECT count(*) > 0 AS paused FROM billadj.pause('audited_usage');
SELECT count(*) > 0 AS resumed FROM billadj.resume('audited_usage');
SELECT count(*) > 0 AS detached FROM billadj.detach('audited_usage');
-- attach, pause, resume, detach; usage and its charges leave none
SELECT event, regexp_replace(object, '\d+', 'n', 'g') AS object, chain, account FROM pg_temp.new_entries();
SELECT count(*) FROM billadj.charge;
UPDATE billadj.meter SET unit = 'call' WHERE meter = 'calls';
UPDATE billadj.meter SET unit = 'call' WHERE meter = 'calls'; -- changes nothing
INSERT INTO billadj.reason_code (code) VALUES ('audited');
SELECT * FROM pg_temp.new_entries();
SELECT chain, seq > 0 AS sealed, audit_id, ok, problem FROM billadj.verify_audit();

-- ---- history ----

INSERT INTO billadj.account (account, peer_group) VALUES ('acme', 'small');
SELECT clock_timestamp() AS then \gset
UPDATE billadj.account SET peer_group = 'large' WHERE account = 'acme';
DELETE FROM billadj.account WHERE account = 'acme';
SELECT event, subject, before->>'peer_group' AS before, after->>'peer_group' AS after, at > now() - interval '1 day' AS recent FROM billadj.history('account/acme');
SELECT billadj.as_of('account/acme', :'then')->>'peer_group' AS then, billadj.as_of('account/acme', now()) AS now,
       billadj.as_of('account/acme', '2020-01-01') AS before_it;
-- a step is older than the log: who ran it is on its row
SELECT audit_id IS NULL AS from_the_row, event, actor = session_user AS by_us FROM billadj.history('migration/1');
-- a charge says itself who wrote it
SELECT audit_id, event, actor = session_user AS by_us, after->>'amount' AS amount
  FROM billadj.charge c, billadj.history('charge/' || c.charge_id) ORDER BY c.charge_id LIMIT 2;
SELECT count(*) FROM billadj.history('nothing/1');

-- rows that were loaded past the triggers are recorded by install(), as found then
SET row_security = off;
INSERT INTO billadj.meter (meter) VALUES ('loaded');
RESET row_security;
SELECT chain, problem FROM billadj.verify_audit() WHERE NOT ok;
SELECT action, object, done FROM billadj.install(dry_run => true) WHERE action = 'record rows';
SELECT action, object, done FROM billadj.install() WHERE action = 'record rows';
SELECT chain, problem FROM billadj.verify_audit() WHERE NOT ok;
SELECT audit_id IS NULL AS from_the_row, event FROM billadj.history('meter/loaded');

-- ---- digests and proofs ----

SELECT jsonb_object_keys(billadj.digest()) ORDER BY 1;
SELECT billadj.digest_hash(d) = decode(d->>'hash', 'hex') AS right, (d->>'entries')::bigint = (SELECT count(*) FROM billadj.audit_entry) AS all_entries
  FROM billadj.digest() d;
SELECT billadj.anchor_ack(billadj.digest(), 'receipt', 'a safe') > 0 AS acknowledged;
\set VERBOSITY sqlstate
SELECT billadj.anchor_ack(jsonb_set(billadj.digest(), '{entries}', '1'), NULL, 'a safe');
SELECT billadj.prove(0);
SELECT billadj.erase_text(0);
\set VERBOSITY default
BEGIN;
INSERT INTO billadj.meter (meter) VALUES ('unsealed');
SELECT count(*) AS faults FROM billadj.verify_audit() WHERE NOT ok; -- sealed when it commits
ROLLBACK;
SELECT p->>'format' AS format, p#>>'{entry,object}' AS object, jsonb_array_length(p->'blocks') > 0 AS blocks
  FROM billadj.prove((SELECT min(audit_id) FROM billadj.audit_entry)) p;

-- hashes that anybody can make again
SELECT billadj.audit_hash('d', 1::bigint, 'ab'::text, NULL::text, '\x01'::bytea, true)
     = sha256('d'::bytea || '\x00' || '\x0001' || '\x01' || '\x00000008' || '\x0000000000000001' || '\x0002' || '\x03' || '\x00000002' || 'ab'
              || '\x0003' || '\x03' || '\xffffffff' || '\x0004' || '\x04' || '\x00000001' || '\x01' || '\x0005' || '\x06' || '\x00000001' || '\x01') AS right;
SELECT billadj.audit_hash('d', 1.0::float8);
SELECT billadj.merkle_root('{}'), billadj.merkle_root(ARRAY[sha256('a')]) = sha256('a') AS one;
SELECT billadj.merkle_root(ARRAY['\x00'::bytea]);
SELECT array_length(billadj.merkle_path(array_fill(sha256('a'), ARRAY[5]), 5), 1) AS last_of_five;
SELECT billadj.merkle_path(ARRAY[sha256('a')], 2);

DROP TABLE audited_usage;
SELECT count(*) >= 0 AS uninstalled FROM billadj.uninstall(keep_data => false);
SELECT count(*) > 0 AS installed FROM billadj.install();
