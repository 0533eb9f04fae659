-- Usage is rated as it is written: every way a row can come into a host table,
-- and which price it meets.  Each part ends with the whole ledger recomputed
-- from the host tables: no row means no difference.
\set SHOW_CONTEXT never
SET timezone = 'UTC';
SET datestyle = 'ISO';
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS billadj;
SELECT count(*) >= 0 AS uninstalled FROM billadj.uninstall(keep_data => false);
SELECT count(*) > 0 AS installed FROM billadj.install();
\getenv abs_srcdir PG_ABS_SRCDIR
\set rate_oracle :abs_srcdir '/test/oracle/rate_oracle.sql'
\set ledger_oracle :abs_srcdir '/test/oracle/ledger_oracle.sql'
\set ECHO none
\i :rate_oracle
\i :ledger_oracle
\set ECHO all
CREATE SCHEMA host;
SET search_path = host, public;

-- the charges behind the last one that was looked at
CREATE TABLE mark AS SELECT 0::bigint AS charge_id;
CREATE FUNCTION new_charges() RETURNS TABLE (account text, event_key text, measure text, meter text, quantity numeric,
    before numeric, amount numeric, cause text) LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY SELECT c.account::text, c.event_key::text, c.measure::text, c.meter::text, c.quantity, c.quantity_before, c.amount, c.cause
      FROM billadj.charge c WHERE c.charge_id > (SELECT m.charge_id FROM mark m) ORDER BY c.charge_id;
    UPDATE mark SET charge_id = (SELECT max(c.charge_id) FROM billadj.charge c);
END $$;

SELECT * FROM billadj.import_rate_card('{"code": "list", "currency": "USD", "prices": [
    {"meter": "call", "model": "per_unit", "unit_amount": 0.25},
    {"meter": "gb", "model": "graduated", "tiers": [{"up_to": 10, "unit_amount": 1, "flat_amount": 2}, {"up_to": null, "unit_amount": 0.5}]},
    {"meter": "visit", "model": "flat", "flat_amount": 9},
    {"meter": "pack", "model": "package", "size": 100, "package_amount": 3, "free_units": 50},
    {"meter": "third", "model": "per_unit", "unit_amount": 1, "per": 3},
    {"meter": "seat", "model": "volume", "tiers": [{"up_to": 5, "unit_amount": 10}, {"up_to": null, "unit_amount": 8, "flat_amount": 1}]},
    {"meter": "stair", "model": "stairstep", "tiers": [{"up_to": 3, "flat_amount": 30}, {"up_to": 100, "flat_amount": 50}, {"up_to": null, "flat_amount": 500}]},
    {"meter": "share", "model": "percentage", "rate": 0.029, "fixed_amount": 0.3},
    {"meter": "slice", "model": "graduated_percentage", "tiers": [{"up_to": 1000, "rate": 0.03}, {"up_to": null, "rate": 0.01, "flat_amount": 5}]},
    {"meter": "resold", "model": "passthrough", "multiplier": 1.2}]}', '[2015-01-01,)');
SELECT meter, terms->>'model' AS model, linear FROM billadj.price ORDER BY price_id;

-- ---- a narrow table and a wide one ----

CREATE TABLE calls (
    id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    who  text        NOT NULL,
    at   timestamptz NOT NULL,
    what text        NOT NULL,
    n    numeric     NOT NULL,
    note text
);
CREATE TABLE hours (
    id     integer PRIMARY KEY,
    who    text        NOT NULL,
    at     timestamptz NOT NULL,
    calls  integer     NOT NULL,
    volume numeric     NOT NULL
);
SELECT action, object FROM billadj.attach('calls', account => 'who', occurred_at => 'at', meter => 'what', quantity => 'n');
SELECT action, object FROM billadj.attach('hours', account => 'who', occurred_at => 'at', measures => '{"call": "calls", "gb": "volume"}');
INSERT INTO calls (who, at, what, n) VALUES ('ann', '2026-05-01', 'call', 3), ('ann', '2026-05-02', 'gb', 8);
INSERT INTO hours VALUES (1, 'ann', '2026-05-03', 2, 4.5);
SELECT * FROM new_charges();
SELECT account, meter, period_start, quantity, amount, rows FROM billadj.meter_total ORDER BY meter;

-- no quantity: each row counts one; constants for all the rest
CREATE TABLE visits (id integer PRIMARY KEY, at date NOT NULL);
SELECT action, object, sql FROM billadj.attach('visits', account => 'ann', occurred_at => 'at', meter => 'call') WHERE action = 'note';
INSERT INTO visits VALUES (1, '2026-05-04'), (2, '2026-05-05');
SELECT * FROM new_charges();
SELECT * FROM oracle.differences();

-- ---- keys of every type: as account, and as event key ----

CREATE DOMAIN dom_numeric AS numeric;
CREATE DOMAIN dom_char AS char(6);
CREATE DOMAIN dom_of_dom AS dom_char CHECK (VALUE <> 'x');
CREATE FUNCTION key_case(line integer, type text, VARIADIC keys text[])
RETURNS TABLE (accounts text, event_keys text, amount numeric) LANGUAGE plpgsql AS $$
DECLARE
    name text := format('key_%s', line);
    key text;
BEGIN
    EXECUTE format('CREATE TABLE %I (id %s PRIMARY KEY, who %2$s, at timestamptz NOT NULL, n integer)', name, type);
    PERFORM billadj.attach(name::regclass, 'who', 'at', 'gb', 'n');
    FOREACH key IN ARRAY keys LOOP
        EXECUTE format('INSERT INTO %I VALUES (%L, %2$L, ''2026-06-01'', 6)', name, key);
    END LOOP;
    RETURN QUERY SELECT string_agg(format('<%s>', c.account), ' ' ORDER BY c.charge_id), string_agg(format('<%s>', c.event_key), ' ' ORDER BY c.charge_id), sum(c.amount)
      FROM billadj.charge c JOIN oracle.attached() a USING (attachment_id) WHERE a.relation = name::regclass;
END $$;
SELECT k.line, k.type, c.*
FROM (VALUES (1, 'int2', ARRAY['-7', '32767']),
             (2, 'int4', ARRAY['0', '-2147483648']),
             (3, 'int8', ARRAY['9223372036854775807']),
             (4, 'numeric', ARRAY['1.500', '-0.0010', '100', '1e30', '12345678901234567890123456789012345678901.50']),
             (5, 'numeric(9,2)', ARRAY['7', '7.1']),
             (6, 'uuid', ARRAY['A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11']),
             (7, 'text', ARRAY['Ann "A" O''Hara', ' lead', 'trail ', 'é']),
             (8, 'varchar(9)', ARRAY['x ', 'x']),
             (9, 'char(6)', ARRAY['ab', ' c']),
             (10, 'name', ARRAY['nam']),
             (11, 'dom_numeric', ARRAY['2.0']),
             (12, 'dom_char', ARRAY['d']),
             (13, 'dom_of_dom', ARRAY['dd'])) AS k(line, type, keys),
     LATERAL key_case(k.line, k.type, VARIADIC k.keys) AS c
ORDER BY k.line;
-- one value in three spellings of two types is one account
CREATE TABLE spelled (id integer PRIMARY KEY, who numeric, at timestamptz, n integer);
CREATE TABLE spelled_int (id integer PRIMARY KEY, who integer, at timestamptz, n integer);
SELECT count(*) FROM billadj.attach('spelled', 'who', 'at', 'gb', 'n');
SELECT count(*) FROM billadj.attach('spelled_int', 'who', 'at', 'gb', 'n');
INSERT INTO spelled VALUES (1, 5, '2026-06-01', 6), (2, 5.0, '2026-06-01', 6), (3, 5.000, '2026-06-01', 6);
INSERT INTO spelled_int VALUES (1, 5, '2026-06-01', 6);
SELECT account, meter, quantity, amount, rows FROM billadj.meter_total WHERE account = '5';

-- event keys may be times too, and several columns; the SQL function spells them the same way
CREATE TABLE composite (site char(4), no integer, at timestamptz, day date, local timestamp, part numeric, n integer,
    PRIMARY KEY (site, no, at, day, local, part));
SELECT count(*) FROM billadj.attach('composite', 'site', 'at', 'call', 'n');
SET timezone = 'Asia/Kolkata';
SET datestyle = 'German';
INSERT INTO composite VALUES ('a"b', 1, '2026-06-01 00:00+00', '2026-06-01', '2026-06-01 12:30:00.5', 1.50, 4);
SET timezone = 'UTC';
SET datestyle = 'ISO';
SELECT c.account, c.event_key, c.event_key = billadj.event_key(h.site, h.no, h.at, h.day, h.local, h.part) AS same
FROM billadj.charge c JOIN oracle.attached() a USING (attachment_id), composite h WHERE a.relation = 'composite'::regclass;
SELECT * FROM oracle.differences();

-- quoted names, dropped columns before and after, a generated column, an enum as meter
CREATE TYPE service AS ENUM ('call', 'gb');
CREATE TABLE "My Usage" (gone integer, "the id" integer PRIMARY KEY, "Who ""is"" it" text, gone2 text, "when" timestamptz, "a b" numeric,
    exact numeric GENERATED ALWAYS AS ("a b" * 2) STORED, kind service);
ALTER TABLE "My Usage" DROP COLUMN gone;
SELECT count(*) FROM billadj.attach('"My Usage"', account => 'Who "is" it', occurred_at => 'when', meter => 'kind', quantity => 'exact');
INSERT INTO "My Usage" VALUES (1, 'bob', 'x', '2026-05-07', 1.5, DEFAULT, 'gb');
ALTER TABLE "My Usage" DROP COLUMN gone2;
INSERT INTO "My Usage" VALUES (2, 'bob', '2026-05-07', 2.5, DEFAULT, 'call');
ALTER TABLE "My Usage" ADD later text DEFAULT 'y';
INSERT INTO "My Usage" VALUES (3, 'bob', '2026-05-07', 4, DEFAULT, 'gb');
ALTER TABLE "My Usage" RENAME TO "My Usage 2";
INSERT INTO "My Usage 2" VALUES (4, 'bob', '2026-05-07', 5, DEFAULT, 'gb');
SELECT account, event_key, meter, quantity, quantity_before AS before, amount FROM billadj.charge WHERE account = 'bob' ORDER BY charge_id;
SELECT * FROM oracle.differences();

-- ---- times: the month is that of the account's time zone ----

INSERT INTO billadj.account (account, time_zone) VALUES ('tokyo', 'Asia/Tokyo'), ('havana', 'America/Havana'), ('berlin', 'Europe/Berlin'), ('apia', 'Pacific/Apia');
CREATE TABLE instants (id integer PRIMARY KEY, who text, at timestamptz, n numeric);
CREATE TABLE locals (id integer PRIMARY KEY, who text, at timestamp, n numeric);
CREATE TABLE days (id integer PRIMARY KEY, who text, at date, n numeric);
SELECT count(*) FROM unnest('{instants,locals,days}'::regclass[]) AS h, billadj.attach(h, 'who', 'at', 'gb', 'n');
INSERT INTO instants VALUES
    (1, 'utc', '2026-04-30 23:59:59.999999', 1), (2, 'utc', '2026-05-01', 1),
    (3, 'tokyo', '2026-04-30 14:59:59.999999', 1), (4, 'tokyo', '2026-04-30 15:00', 1),
    -- the first day of November 2015 has 25 hours in Havana: 00:00 to 00:59 comes twice
    (5, 'havana', '2015-11-01 03:59:59.999999', 1), (6, 'havana', '2015-11-01 04:00', 1), (7, 'havana', '2015-11-01 04:59:59', 1),
    (8, 'havana', '2015-11-01 05:00', 1),
    (9, 'berlin', '2026-03-31 21:59:59', 1), (10, 'berlin', '2026-03-31 22:00', 1), (11, 'berlin', '2026-10-31 22:59:59', 1), (12, 'berlin', '2026-10-31 23:00', 1),
    (13, 'apia', '2026-05-01', 1);
INSERT INTO locals VALUES
    (1, 'utc', '2026-04-30 23:59:59', 1), (2, 'tokyo', '2026-04-30 23:59:59', 1), (3, 'tokyo', '2026-05-01', 1),
    -- the hour that the clocks leave out, and the one that comes twice
    (4, 'berlin', '2026-03-29 02:30', 1), (5, 'berlin', '2026-10-25 02:30', 1), (6, 'havana', '2015-11-01 00:30', 1);
INSERT INTO days VALUES (1, 'utc', '2026-05-01', 1), (2, 'tokyo', '2026-05-01', 1), (3, 'havana', '2015-11-01', 1);
SELECT a.relation, c.event_key, c.account, c.occurred_at, c.period_start, c.quantity_before AS before
FROM billadj.charge c JOIN oracle.attached() a USING (attachment_id)
WHERE a.relation = ANY ('{instants,locals,days}'::regclass[]) ORDER BY a.relation, c.event_key::integer;
SELECT * FROM oracle.differences();
-- what the server would take for three hours west is no zone, here as everywhere
INSERT INTO billadj.account (account, time_zone) VALUES ('nowhere', 'UTC+3');
INSERT INTO instants VALUES (99, 'nowhere', '2026-05-01', 1);
SELECT account, sqlstate, message FROM billadj.parked_usage WHERE account = 'nowhere';
UPDATE billadj.account SET time_zone = 'Etc/GMT-3' WHERE account = 'nowhere';
SELECT tried, charged, still_parked FROM billadj.retry_parked('instants');

-- ---- every statement that writes rows ----

SELECT count(*) >= 0 AS marked FROM new_charges();
INSERT INTO calls (who, at, what, n) VALUES ('one', '2026-05-01', 'gb', 1);
INSERT INTO calls (who, at, what, n) VALUES ('one', '2026-05-01', 'gb', 2), ('two', '2026-05-01', 'gb', 3), ('one', '2026-05-01', 'call', 4);
INSERT INTO calls (who, at, what, n) SELECT 'one', '2026-05-02', 'gb', g FROM generate_series(3, 5) AS g;
COPY calls (who, at, what, n) FROM stdin;
one	2026-05-03	gb	5.25
two	2026-05-03	call	1
\.
INSERT INTO calls (id, who, at, what, n) OVERRIDING SYSTEM VALUE VALUES (1, 'one', '2026-05-01', 'gb', 999), (100001, 'one', '2026-05-04', 'call', 7) ON CONFLICT DO NOTHING;
INSERT INTO calls (id, who, at, what, n) OVERRIDING SYSTEM VALUE VALUES (100001, 'one', '2026-05-04', 'call', 8), (100002, 'one', '2026-05-04', 'call', 9)
    ON CONFLICT (id) DO UPDATE SET n = excluded.n;
MERGE INTO calls c
USING (VALUES (100001, 10), (100002, 0), (100003, 11)) AS s(id, n) ON c.id = s.id
WHEN MATCHED AND s.n = 0 THEN DELETE
WHEN MATCHED THEN UPDATE SET n = s.n
WHEN NOT MATCHED THEN INSERT (id, who, at, what, n) OVERRIDING SYSTEM VALUE VALUES (s.id, 'one', '2026-05-05', 'call', s.n);
WITH moved AS (DELETE FROM calls WHERE id = 100003 RETURNING *), added AS (
    INSERT INTO calls (who, at, what, n) SELECT 'two', at, what, n FROM moved RETURNING n)
SELECT * FROM added;
DO $$
BEGIN
    FOR i IN 1..3 LOOP
        INSERT INTO calls (who, at, what, n) VALUES ('two', '2026-05-06', 'gb', i);
    END LOOP;
END $$;
PREPARE add (text, numeric) AS INSERT INTO calls (who, at, what, n) VALUES ($1, '2026-05-07', 'gb', $2);
EXECUTE add ('two', 4);
SELECT * FROM new_charges();
SELECT * FROM oracle.differences();

-- a statement of no rows, and one that fails
INSERT INTO calls (who, at, what, n) SELECT 'one', now(), 'gb', 1 WHERE false;
INSERT INTO calls (who, at, what, n) VALUES ('one', '2026-05-08', 'gb', 1), ('one', '2026-05-08', 'gb', NULL);
SELECT * FROM new_charges();

-- savepoints and exception blocks: what is undone leaves no trace, what comes
-- after stands where it would have stood
BEGIN;
INSERT INTO calls (who, at, what, n) VALUES ('sub', '2026-05-01', 'gb', 4);
SAVEPOINT a;
INSERT INTO calls (who, at, what, n) VALUES ('sub', '2026-05-01', 'gb', 100);
SAVEPOINT b;
INSERT INTO calls (who, at, what, n) VALUES ('sub', '2026-05-01', 'gb', 100), ('other', '2026-05-01', 'gb', 1);
RELEASE b;
ROLLBACK TO a;
INSERT INTO calls (who, at, what, n) VALUES ('sub', '2026-05-01', 'gb', 4);
RELEASE a;
DO $$
BEGIN
    FOR i IN 1..4 LOOP
        BEGIN
            INSERT INTO calls (who, at, what, n) VALUES ('sub', '2026-05-01', 'gb', i);
            PERFORM 1 / (i % 2);
        EXCEPTION WHEN division_by_zero THEN
            NULL;
        END;
    END LOOP;
END $$;
COMMIT;
SELECT * FROM new_charges();
SELECT * FROM oracle.differences();

CREATE TABLE before AS SELECT (SELECT count(*) FROM billadj.charge) AS charges, (SELECT count(*) FROM billadj.tier_total) AS totals, (SELECT count(*) FROM billadj.parked_usage) AS parked;
BEGIN;
INSERT INTO calls (who, at, what, n) VALUES ('sub', '2026-05-01', 'gb', 1), ('new', '2026-05-01', 'gb', 1), ('new', '2026-05-01', 'nothing', 1);
UPDATE calls SET n = n + 1 WHERE who = 'sub';
ROLLBACK;
SELECT charges = (SELECT count(*) FROM billadj.charge) AS charges, totals = (SELECT count(*) FROM billadj.tier_total) AS totals,
       parked = (SELECT count(*) FROM billadj.parked_usage) AS parked
FROM before;

-- triggers of the host: a statement trigger and a row trigger that write usage themselves, one deferred, one before
CREATE FUNCTION echo() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF pg_trigger_depth() = 1 THEN
        INSERT INTO calls (who, at, what, n, note) SELECT who, at, what, 1, TG_NAME FROM calls WHERE note = 'first';
    END IF;
    RETURN NULL;
END $$;
CREATE FUNCTION double() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.n := NEW.n * 2;
    RETURN NEW;
END $$;
CREATE TRIGGER a_statement AFTER INSERT ON calls FOR EACH STATEMENT EXECUTE FUNCTION echo();
CREATE TRIGGER z_row AFTER INSERT ON calls FOR EACH ROW EXECUTE FUNCTION echo();
CREATE CONSTRAINT TRIGGER z_deferred AFTER INSERT ON calls DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.note = 'first') EXECUTE FUNCTION echo();
CREATE TRIGGER before_row BEFORE INSERT ON calls FOR EACH ROW WHEN (NEW.note = 'first') EXECUTE FUNCTION double();
INSERT INTO calls (who, at, what, n, note) VALUES ('echo', '2026-05-09', 'gb', 4, 'first');
SELECT note, n FROM calls WHERE who = 'echo' ORDER BY id;
SELECT sum(quantity) AS quantity, sum(amount) AS amount, sum(row_count) AS rows FROM billadj.charge WHERE account = 'echo';
DROP TRIGGER a_statement ON calls;
DROP TRIGGER z_row ON calls;
DROP TRIGGER z_deferred ON calls;
DROP TRIGGER before_row ON calls;
SELECT * FROM oracle.differences();

-- ---- partitions: rows come in at the root, between and at a leaf, and move ----

CREATE TABLE parts (id integer, who text, at timestamptz, n numeric, PRIMARY KEY (id, at, who)) PARTITION BY RANGE (at);
CREATE TABLE parts_may PARTITION OF parts FOR VALUES FROM ('2026-05-01') TO ('2026-06-01') PARTITION BY LIST (who);
CREATE TABLE parts_may_ann PARTITION OF parts_may FOR VALUES IN ('ann');
-- columns in another order, and one that was dropped
CREATE TABLE parts_may_rest (n numeric, gone text, at timestamptz NOT NULL, who text NOT NULL, id integer NOT NULL);
ALTER TABLE parts_may_rest DROP COLUMN gone;
ALTER TABLE parts_may ATTACH PARTITION parts_may_rest DEFAULT;
CREATE TABLE parts_rest PARTITION OF parts DEFAULT;
SELECT action, object, count(*) FROM billadj.attach('parts', 'who', 'at', 'gb', 'n') GROUP BY action, object ORDER BY min(step);
SELECT count(*) >= 0 AS marked FROM new_charges();
INSERT INTO parts VALUES (1, 'ann', '2026-05-10', 6), (2, 'pat', '2026-05-10', 6), (3, 'pat', '2026-06-10', 6);
INSERT INTO parts_may VALUES (4, 'pat', '2026-05-11', 6), (5, 'ann', '2026-05-11', 6);
INSERT INTO parts_may_rest (id, who, at, n) VALUES (6, 'pat', '2026-05-12', 6);
COPY parts FROM stdin;
7	pat	2026-05-13	6
8	pat	2026-06-13	6
\.
UPDATE parts SET at = at + interval '1 month' WHERE id = 2;
UPDATE parts SET who = 'ann' WHERE id = 4;
UPDATE parts_may SET who = 'pat', n = n + 1 WHERE id = 5;
UPDATE parts_may_rest SET n = 7 WHERE id = 6;
DELETE FROM parts WHERE id = 7;
DELETE FROM parts_rest WHERE id = 8;
SELECT * FROM new_charges();
SELECT * FROM oracle.differences();
-- a partition that is made afterwards: rows by the root are rated, rows by its own name once resume() was run
CREATE TABLE parts_july PARTITION OF parts FOR VALUES FROM ('2026-07-01') TO ('2026-08-01');
INSERT INTO parts VALUES (9, 'pat', '2026-07-01', 1);
INSERT INTO parts_july VALUES (10, 'pat', '2026-07-02', 1);
SELECT code, message, fix_sql FROM billadj.self_check() WHERE code LIKE 'attach%';
SELECT event_key FROM billadj.rating_gap('parts');
SELECT action, object FROM billadj.resume('parts');
INSERT INTO parts_july VALUES (11, 'pat', '2026-07-03', 1);
SELECT event_key FROM billadj.rating_gap('parts');
CALL billadj.backfill('parts');
SELECT * FROM new_charges();
SELECT * FROM oracle.differences();

-- ---- all models; bulk is the same as row by row ----

SELECT setseed(0.5);
CREATE TABLE rows AS
SELECT g AS id, format('acct%s', g % 4) AS who, '2026-05-01'::timestamptz + (random() * 80) * interval '1 day' AS at, m.meter AS what,
       round((random() * 100 - 10)::numeric, (random() * 4)::integer) AS n
FROM generate_series(1, 60) AS g, (SELECT meter FROM billadj.price) AS m;
INSERT INTO calls (who, at, what, n) SELECT 'bulk ' || who, at, what, n FROM rows ORDER BY id, what;
DO $$
DECLARE r record;
BEGIN
    FOR r IN SELECT * FROM rows ORDER BY id DESC, what LOOP
        INSERT INTO calls (who, at, what, n) VALUES ('single ' || r.who, r.at, r.what, r.n);
    END LOOP;
END $$;
SELECT meter, count(*) AS keys, count(*) FILTER (WHERE bulk.quantity = single.quantity AND bulk.amount = single.amount AND bulk.rows = single.rows) AS same
FROM (SELECT substr(account, 6) AS who, * FROM billadj.meter_total WHERE account LIKE 'bulk %') AS bulk
FULL JOIN (SELECT substr(account, 8) AS who, * FROM billadj.meter_total WHERE account LIKE 'single %') AS single USING (who, meter, period_start)
GROUP BY meter ORDER BY meter;
SELECT count(*) AS rows, count(DISTINCT meter) AS models FROM oracle.usage() WHERE account LIKE 'bulk %';
SELECT * FROM oracle.differences();

-- negative usage, as each price takes it
SELECT * FROM billadj.import_rate_card('{"code": "signs", "currency": "USD", "priority": 1, "prices": [
    {"meter": "credit", "model": "per_unit", "unit_amount": 2, "negative": "credit"},
    {"meter": "carry", "model": "per_unit", "unit_amount": 2, "negative": "carry"},
    {"meter": "clamp", "model": "per_unit", "unit_amount": 2, "negative": "clamp"},
    {"meter": "zero", "model": "graduated", "zero_quantity": "first_tier_flat", "tiers": [{"up_to": 10, "unit_amount": 1, "flat_amount": 5}, {"up_to": null, "unit_amount": 0.5}]}]}', '[2026-01-01,)');
SELECT count(*) >= 0 AS marked FROM new_charges();
INSERT INTO calls (who, at, what, n)
SELECT 'sign', '2026-05-01', m, n FROM unnest(ARRAY['credit', 'carry', 'clamp', 'zero']) AS m, unnest(ARRAY[-5, 3, 0, 4]) WITH ORDINALITY AS q(n, place) ORDER BY m, place;
SELECT meter, quantity, before, amount FROM new_charges();
SELECT * FROM oracle.differences();

-- ---- which price: time, card, priority, currency ----

-- a price that starts in mid-month starts its own tier count
INSERT INTO calls (who, at, what, n) VALUES ('mid', '2027-08-10', 'gb', 8);
SELECT * FROM billadj.import_rate_card('{"code": "list", "currency": "USD", "prices": [
    {"meter": "gb", "model": "graduated", "tiers": [{"up_to": 10, "unit_amount": 3}, {"up_to": null, "unit_amount": 2}]}]}', '[2027-08-16,)');
INSERT INTO calls (who, at, what, n) VALUES ('mid', '2027-08-15 23:59:59.999999', 'gb', 8), ('mid', '2027-08-16', 'gb', 8), ('mid', '2027-08-01', 'gb', 1), ('mid', '2027-08-20', 'gb', 8);
SELECT occurred_at, price_id, quantity, quantity_before AS before, amount FROM billadj.charge WHERE account = 'mid' ORDER BY charge_id;
SELECT * FROM oracle.differences();

-- a card of the account before the default card, whatever its priority; among equals the higher priority
SELECT count(*) FROM billadj.import_rate_card('{"code": "deal", "currency": "USD", "account": "ann", "priority": -5, "prices": [
    {"meter": "call", "model": "per_unit", "unit_amount": 0.20}]}', '[2026-08-01,)');
SELECT count(*) FROM billadj.import_rate_card('{"code": "better deal", "currency": "USD", "account": "ann", "priority": 5, "prices": [
    {"meter": "call", "model": "per_unit", "unit_amount": 0.10}]}', '[2026-08-10,2026-08-20)');
SELECT count(*) FROM billadj.import_rate_card('{"code": "euro", "currency": "EUR", "prices": [
    {"meter": "call", "model": "per_unit", "unit_amount": 0.22}, {"meter": "only euro", "model": "per_unit", "unit_amount": 1}]}', '[2026-08-01,)');
INSERT INTO billadj.account (account, currency) VALUES ('paris', 'EUR'), ('ann', 'USD'), ('bob', 'USD'), ('london', 'GBP');
INSERT INTO calls (who, at, what, n) VALUES
    ('ann', '2026-08-05', 'call', 1), ('ann', '2026-08-15', 'call', 1), ('ann', '2026-08-25', 'call', 1), ('ann', '2026-07-25', 'call', 1),
    ('bob', '2026-08-05', 'call', 1), ('paris', '2026-08-05', 'call', 1), ('paris', '2026-08-05', 'only euro', 1), ('nobody', '2026-08-05', 'only euro', 1);
SELECT c.account, c.occurred_at::date, c.meter, r.code, c.amount, c.currency, c.price_id = f.price_id AS as_price_for, f.why
FROM billadj.charge c JOIN billadj.price USING (price_id) JOIN billadj.rate_card r USING (rate_card_id), billadj.price_for(c.account, c.meter, c.occurred_at) AS f
WHERE c.charge_id > (SELECT charge_id FROM mark) AND c.account <> 'mid' ORDER BY c.charge_id;
-- a mismatch is never a conversion, and two currencies are no choice
INSERT INTO calls (who, at, what, n) VALUES ('london', '2026-08-05', 'call', 1), ('bob', '2026-08-05', 'only euro', 1), ('nobody', '2026-08-05', 'call', 1);
SELECT account, sqlstate, message, hint FROM billadj.parked_usage WHERE resolved_at IS NULL ORDER BY account;
INSERT INTO billadj.instance (currency) VALUES ('USD');
SELECT tried, charged, still_parked FROM billadj.retry_parked('calls');
DELETE FROM calls WHERE who = 'nobody' AND what = 'only euro';
SELECT * FROM oracle.differences();

-- a price that is imported in the same transaction, and one that is rolled back
BEGIN;
SELECT count(*) FROM billadj.import_rate_card('{"code": "fresh", "currency": "USD", "priority": 2, "prices": [{"meter": "fresh", "model": "per_unit", "unit_amount": 7}]}', '[2026-01-01,)');
INSERT INTO calls (who, at, what, n) VALUES ('fresh', '2026-05-01', 'fresh', 1);
SAVEPOINT a;
UPDATE billadj.rate_card SET priority = 3 WHERE code = 'fresh';
SELECT count(*) FROM billadj.import_rate_card('{"code": "undone", "currency": "USD", "priority": 9, "prices": [{"meter": "fresh", "model": "per_unit", "unit_amount": 70}]}', '[2026-01-01,)');
INSERT INTO calls (who, at, what, n) VALUES ('fresh', '2026-05-02', 'fresh', 1);
ROLLBACK TO a;
INSERT INTO calls (who, at, what, n) VALUES ('fresh', '2026-05-03', 'fresh', 1);
COMMIT;
INSERT INTO calls (who, at, what, n) VALUES ('fresh', '2026-05-04', 'fresh', 1);
SELECT occurred_at::date, amount FROM billadj.charge WHERE account = 'fresh' ORDER BY charge_id;
SELECT * FROM oracle.differences();

-- ---- when nothing is rated ----

-- replicated rows, the switch, a pause, a disabled trigger: all are found again
SELECT count(*) >= 0 AS marked FROM new_charges();
SET session_replication_role = replica;
INSERT INTO hours VALUES (11, 'replica', '2026-05-01', 1, 1);
RESET session_replication_role;
SET billadj.enabled = off;
INSERT INTO hours VALUES (12, 'switch', '2026-05-01', 1, 1);
RESET billadj.enabled;
SELECT action, done FROM billadj.pause('hours');
INSERT INTO hours VALUES (13, 'pause', '2026-05-01', 1, 1);
SELECT relation, state FROM billadj.attached WHERE relation = 'host.hours';
SELECT action, done FROM billadj.resume('hours');
ALTER TABLE hours DISABLE TRIGGER billadj_insert;
INSERT INTO hours VALUES (14, 'disabled', '2026-05-01', 1, 1);
SELECT code, message, fix_sql FROM billadj.self_check() WHERE code LIKE 'attach%';
ALTER TABLE hours ENABLE TRIGGER billadj_insert;
-- a restore: verbatim, and said aloud
SET row_security = off;
INSERT INTO hours VALUES (15, 'restore', '2026-05-01', 1, 1);
RESET row_security;
-- the switch is the superuser's
SET ROLE billadj_admin;
SET billadj.enabled = off;
RESET ROLE;
SELECT * FROM new_charges();
SELECT account, event_key, measure FROM billadj.rating_gap('hours') ORDER BY event_key, measure;
SELECT count(*) AS first_two FROM billadj.rating_gap('hours', 2);
SELECT what, side, account, event_key, measure FROM oracle.differences() WHERE what = 'row';
CALL billadj.backfill('hours');
SELECT * FROM billadj.rating_gap('hours');
SELECT * FROM oracle.differences();

-- TRUNCATE would leave charges of usage that is gone
TRUNCATE hours;
TRUNCATE parts_may;
TRUNCATE "My Usage 2";
SET search_path = public;
TRUNCATE host.parts_may;
SET search_path = host, public;
SELECT action FROM billadj.pause('visits');
BEGIN;
TRUNCATE visits;
ROLLBACK;
SELECT action FROM billadj.resume('visits');

-- months of charges: partitions take what waited in the default one, and rows go on coming
SELECT count(*) > 0 AS made FROM billadj.maintain(months_ahead => 0);
SELECT count(*) FROM billadj.charge_default;
INSERT INTO calls (who, at, what, n) VALUES ('one', '2026-05-20', 'gb', 1), ('one', '2026-05-20', 'call', 1), ('one', '2012-05-20', 'call', 1);
UPDATE calls SET n = n + 1 WHERE who = 'one';
SELECT * FROM oracle.differences();

-- a statement whose rows do not fit work_mem reads them from a file
SET work_mem = '64kB';
INSERT INTO calls (who, at, what, n) SELECT 'many-' || i % 50, '2026-05-21', 'gb', i FROM generate_series(1, 3000) AS i;
UPDATE calls SET n = n + 1 WHERE who LIKE 'many%';
DELETE FROM calls WHERE who LIKE 'many-1%';
RESET work_mem;
SELECT * FROM oracle.differences();

-- a block range index of somebody's learns of totals that grow in place
CREATE INDEX tall ON billadj.tier_total USING brin (quantity);
UPDATE calls SET n = 1000000 WHERE who = 'one' AND what = 'gb';
SET enable_seqscan = off;
SELECT count(*) > 0 AS found FROM billadj.tier_total WHERE quantity >= 1000000;
RESET enable_seqscan;
DROP INDEX billadj.tall;

SELECT code, message FROM billadj.self_check() WHERE severity = 'error';
DROP SCHEMA host, oracle CASCADE;
SELECT count(*) > 0 AS uninstalled FROM billadj.uninstall(keep_data => false);
SELECT count(*) > 0 AS installed FROM billadj.install();
