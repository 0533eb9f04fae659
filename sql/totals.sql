-- A total that is there is found at the first touch of its key in a transaction,
-- whatever the shape of the key and however the index has grown since the
-- session last looked.  One that is missed would show as a charge that believes
-- to be the first of its period, and as a position row.
\set SHOW_CONTEXT never
SET timezone = 'UTC';
SET datestyle = 'ISO';
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS billadj;
SELECT count(*) >= 0 AS uninstalled FROM billadj.uninstall(keep_data => false);
SELECT count(*) > 0 AS installed FROM billadj.install();
CREATE SCHEMA totals;
SET search_path = totals, public;
SELECT count(*) FROM billadj.import_rate_card('{"code": "list", "currency": "USD", "prices": [
    {"meter": "gb", "model": "graduated", "tiers": [{"up_to": 3, "unit_amount": 1}, {"unit_amount": 0.5}]},
    {"meter": "gbit", "model": "graduated", "tiers": [{"up_to": 3, "unit_amount": 1}, {"unit_amount": 0.5}]}]}', '[2015-01-01,)');
CREATE TABLE used (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, who text NOT NULL, what text NOT NULL, n numeric NOT NULL, at timestamptz NOT NULL);
SELECT count(*) FROM billadj.attach('used', account => 'who', occurred_at => 'at', meter => 'what', quantity => 'n');

-- accounts that are prefixes of one another, of one byte and of a thousand,
-- compressible and not, beyond ASCII; and many that are alike up to their end, so
-- that the index has three levels
CREATE TABLE who AS
SELECT who FROM unnest(ARRAY['a', 'aa', 'aaa', 'ab', 'b', 'A', '~', 'é', 'éa', '日本', ' ', 'a ', '0', '00',
                             repeat('x', 125), repeat('x', 126), repeat('x', 127), repeat('x', 1000), repeat('x', 999) || 'y', repeat('y', 600)]) AS who
UNION ALL
SELECT (SELECT string_agg(md5(i::text || j), '') FROM generate_series(1, 31) AS j) FROM generate_series(1, 20) AS i
UNION ALL
SELECT 'acct-' || repeat('-', 150) || i FROM generate_series(1, 1500) AS i;
CREATE FUNCTION round(part integer) RETURNS void LANGUAGE sql AS $$
    INSERT INTO totals.used (who, what, n, at)
    SELECT who, what, 1, '2026-03-31 12:00+00'::timestamptz + month * interval '1 day'
      FROM totals.who, unnest(ARRAY['gb', 'gbit']) AS what, generate_series(0, 1) AS month
     WHERE hashtext(who) % 4 = part
     ORDER BY md5(who || what || month)
$$;
-- what is not as it should be: first charges that are none, later ones that say
-- to be the first, position rows
CREATE FUNCTION wrong() RETURNS bigint LANGUAGE sql AS $$
    SELECT count(*)
      FROM (SELECT quantity_before, cause, row_number() OVER (PARTITION BY account, meter, period_start ORDER BY charge_id) - 1 AS before
              FROM billadj.charge) AS c
     WHERE cause <> 'usage' OR quantity_before IS DISTINCT FROM nullif(before, 0)
$$;
-- from an empty index to one of three levels, in one session
SELECT round(0);
SELECT round(0);
SELECT count(*) AS charges, wrong() FROM billadj.charge;
SELECT round(1);
SELECT round(2);
SELECT round(3);
SELECT round(-1);
SELECT round(-2);
SELECT round(-3);
SELECT round(0);
SELECT count(*) AS charges, wrong() FROM billadj.charge;
-- row by row, and in the order of the keys
DO $$
DECLARE
    r record;
BEGIN
    FOR r IN SELECT who FROM totals.who WHERE who LIKE 'acct-%-10%' OR who NOT LIKE 'acct%' ORDER BY who COLLATE "C" DESC LOOP
        INSERT INTO totals.used (who, what, n, at) VALUES (r.who, 'gb', 1, '2026-04-01');
        COMMIT;
    END LOOP;
END $$;
SELECT count(*) AS charges, wrong() FROM billadj.charge;
-- another file, whose root is elsewhere
REINDEX INDEX billadj.tier_total_pkey;
SELECT round(0);
CLUSTER billadj.tier_total USING tier_total_pkey;
SELECT round(0);
SELECT count(*) AS charges, wrong() FROM billadj.charge;
-- between two statements of one transaction
BEGIN;
SELECT round(1);
CLUSTER billadj.tier_total USING tier_total_pkey;
SELECT round(1);
COMMIT;
SELECT count(*) AS charges, wrong() FROM billadj.charge;
-- most of it gone, and pages reused
BEGIN;
ALTER TABLE billadj.charge DISABLE TRIGGER USER;
DELETE FROM billadj.tier_total WHERE account > 'acct-' AND account NOT LIKE '%9';
DELETE FROM billadj.charge WHERE account > 'acct-' AND account NOT LIKE '%9';
ALTER TABLE billadj.charge ENABLE TRIGGER USER;
COMMIT;
VACUUM billadj.tier_total;
VACUUM billadj.tier_total;
SELECT round(0);
SELECT round(0);
SELECT round(2);
SELECT count(*) AS charges, wrong() FROM billadj.charge;
SELECT account, meter, period_start, sum(quantity), sum(amount) FROM billadj.charge GROUP BY account, meter, period_start
EXCEPT
SELECT account, meter, period_start, quantity, amount FROM billadj.tier_total;

-- What was read is changed, or gone, by the time it is settled, in the same
-- transaction: settled is what is there then.
BEGIN;
INSERT INTO used (who, what, n, at) VALUES ('a', 'gb', 1, '2026-06-01'), ('b', 'gb', 1, '2026-06-01');
COMMIT;
BEGIN;
INSERT INTO used (who, what, n, at) VALUES ('a', 'gb', 1, '2026-06-01'), ('b', 'gb', 1, '2026-06-01');
DELETE FROM billadj.tier_total WHERE account = 'a' AND period_start = '2026-06-01';
UPDATE billadj.tier_total SET row_count = row_count WHERE account = 'b' AND period_start = '2026-06-01';
COMMIT;
SELECT account, quantity, amount, row_count FROM billadj.tier_total WHERE period_start = '2026-06-01' ORDER BY account;

-- A rollback frees locks: they are taken again.
BEGIN;
SAVEPOINT a;
INSERT INTO used (who, what, n, at) VALUES ('a', 'gb', 1, '2026-06-01');
ROLLBACK TO a;
SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND relation IN ('billadj.tier_total'::regclass, 'billadj.tier_total_pkey'::regclass);
INSERT INTO used (who, what, n, at) VALUES ('a', 'gb', 1, '2026-06-01');
SELECT relation::regclass, mode FROM pg_locks WHERE pid = pg_backend_pid() AND relation IN ('billadj.tier_total'::regclass, 'billadj.tier_total_pkey'::regclass) ORDER BY 1;
COMMIT;
SELECT account, quantity, amount, row_count FROM billadj.tier_total WHERE period_start = '2026-06-01' ORDER BY account;

-- Where updates are not heap-only the index has an entry for each version, and
-- the first may be dead: the total is found all the same.
CREATE INDEX not_heap_only ON billadj.tier_total (row_count);
INSERT INTO used (who, what, n, at) VALUES ('versions', 'gb', 1, '2026-06-01');
INSERT INTO used (who, what, n, at) VALUES ('versions', 'gb', 1, '2026-06-01');
INSERT INTO used (who, what, n, at) VALUES ('versions', 'gb', 1, '2026-06-01');
INSERT INTO used (who, what, n, at) VALUES ('versions', 'gb', 1, '2026-06-01');
SELECT cause, quantity, quantity_before, amount FROM billadj.charge WHERE account = 'versions' ORDER BY charge_id;
DROP INDEX billadj.not_heap_only;

-- An index of another order is not the one that is known: rows are parked.
BEGIN;
ALTER TABLE billadj.tier_total DROP CONSTRAINT tier_total_pkey, ADD PRIMARY KEY (meter, account, period_start, price_id);
INSERT INTO used (who, what, n, at) VALUES ('a', 'gb', 1, '2026-04-01');
SELECT message FROM billadj.parked_usage;
ROLLBACK;

-- Where a total was is remembered, so that keys that recur are not looked up
-- again: 0.  What is there now is looked at before it is believed.
PREPARE recurs AS INSERT INTO used (who, what, n, at) VALUES ('recurs', 'gb', 1, '2026-07-01');
CREATE FUNCTION lookups() RETURNS bigint LANGUAGE sql AS $$
    SELECT idx_scan FROM pg_stat_xact_user_tables WHERE relid = 'billadj.tier_total'::regclass
$$;
CREATE VIEW found AS
SELECT account, quantity, row_count FROM billadj.tier_total WHERE period_start = '2026-07-01';
EXECUTE recurs;
EXECUTE recurs;
BEGIN;
SELECT lookups() AS before \gset
EXECUTE recurs;
SELECT lookups() - :before AS lookups;
COMMIT;
SELECT account, quantity, row_count FROM found;
-- in another file
VACUUM FULL billadj.tier_total;
BEGIN;
SELECT lookups() AS before \gset
EXECUTE recurs;
SELECT lookups() - :before AS lookups;
COMMIT;
EXECUTE recurs;
SELECT account, quantity, row_count FROM found;
-- in another place: each version has its own entry
CREATE INDEX not_heap_only ON billadj.tier_total (row_count);
EXECUTE recurs;
EXECUTE recurs;
DROP INDEX billadj.not_heap_only;
EXECUTE recurs;
SELECT account, quantity, row_count FROM found;
-- gone with its page, which comes back with the row of another key
DELETE FROM billadj.tier_total;
VACUUM billadj.tier_total;
EXECUTE recurs;
EXECUTE recurs;
SELECT account, quantity, row_count FROM found;
DELETE FROM billadj.tier_total;
VACUUM billadj.tier_total;
EXECUTE recurs;
DELETE FROM billadj.tier_total;
VACUUM billadj.tier_total;
INSERT INTO used (who, what, n, at) VALUES ('another', 'gb', 5, '2026-07-01');
SELECT account, quantity, row_count FROM found;
EXECUTE recurs;
EXECUTE recurs;
SELECT account, quantity, row_count FROM found ORDER BY account;

SET client_min_messages = warning;
DROP SCHEMA totals CASCADE;
