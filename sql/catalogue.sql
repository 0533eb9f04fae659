-- Rate cards as documents, and which price applies.  All in one transaction that
-- is rolled back, since a stored price can never be removed.
\set SHOW_CONTEXT never
\set ON_ERROR_ROLLBACK on
SET timezone = 'UTC';
SET datestyle = 'ISO';
BEGIN;

-- Everything here is done by somebody who is only billadj_admin.
CREATE ROLE regress_billadj_cataloguer;
GRANT billadj_admin TO regress_billadj_cataloguer;
SET ROLE regress_billadj_cataloguer;

-- ---- import ----

\set standard '{"code": "standard", "currency": "USD", "prices": [{"meter": "tokens", "model": "graduated", "tiers": [{"up_to": "1000.50", "unit_amount": "0.0020"}, {"unit_amount": 0.001, "flat_amount": 5}]}, {"meter": "calls", "model": "per_unit", "unit_amount": 0.10, "rounding": {"mode": "half_even", "step": "0.05"}}]}'

-- a dry run says what would be done
SELECT * FROM billadj.import_rate_card(:'standard', '[2026-01-01,)', dry_run => true);
SELECT count(*) AS cards FROM billadj.rate_card;
SELECT * FROM billadj.import_rate_card(:'standard', '[2026-01-01,)');
SELECT meter, valid, terms, linear, billadj.price_tiers(price_id) AS tiers FROM billadj.price ORDER BY meter;

-- a second time, and for a part of the time, changes nothing
SELECT * FROM billadj.import_rate_card(:'standard', '[2026-01-01,)');
SELECT * FROM billadj.import_rate_card(:'standard', '[2026-03-01,2026-04-01)');

-- what is exported can be imported
SELECT jsonb_pretty(billadj.export_rate_card('standard', '2026-02-01'));
SELECT * FROM billadj.import_rate_card(billadj.export_rate_card('standard', '2026-02-01'), '[2026-01-01,)');
SELECT * FROM billadj.diff_rate_card('standard', billadj.export_rate_card('standard', '2026-02-01'), '2026-02-01');
SELECT billadj.export_rate_card('standard', '2025-12-31 23:59:59.999999');

-- a number is the same as a string and as a JSON number; null is no bound
SELECT DISTINCT action FROM billadj.import_rate_card('{"code": "standard", "currency": "USD", "priority": 0, "account": null, "prices": [{"meter": "tokens", "currency": "USD", "model": "graduated", "tiers": [{"up_to": 1000.5, "unit_amount": 0.002}, {"up_to": null, "unit_amount": "1e-3", "flat_amount": "5.00"}]}]}', '[2026-01-01,)');

-- ---- a price is ended, never changed ----

-- a new price from a day on ends the old one
SELECT * FROM billadj.diff_rate_card('standard', '{"code": "standard", "currency": "USD", "prices": [{"meter": "tokens", "model": "volume", "tiers": [{"up_to": 10, "unit_amount": 1}, {"unit_amount": 0.1}]}, {"meter": "seats", "model": "flat", "flat_amount": 5}]}', '2026-05-01');
SELECT * FROM billadj.import_rate_card('{"code": "standard", "currency": "USD", "prices": [{"meter": "tokens", "model": "volume", "tiers": [{"up_to": 10, "unit_amount": 1}, {"unit_amount": 0.1}]}]}', '[2026-05-01,)');
-- one for a month cuts it, and what was before holds again behind it
SELECT * FROM billadj.import_rate_card('{"code": "standard", "currency": "USD", "prices": [{"meter": "tokens", "model": "flat", "flat_amount": 7}]}', '[2026-08-01,2026-09-01)');
SELECT * FROM billadj.import_rate_card('{"code": "standard", "currency": "USD", "prices": [{"meter": "seats", "model": "flat", "flat_amount": 5}]}', '[2028-01-01,2028-03-01)');
-- the same terms for longer: only what is missing
SELECT * FROM billadj.import_rate_card('{"code": "standard", "currency": "USD", "prices": [{"meter": "seats", "model": "flat", "flat_amount": "5.0"}]}', '[2028-02-01,2028-05-01)');
-- and within a price without end
SELECT * FROM billadj.import_rate_card('{"code": "standard", "currency": "USD", "prices": [{"meter": "calls", "model": "per_unit", "unit_amount": 0.20}]}', '[2027-01-01,2027-02-01)');
SELECT price_id, meter, valid, terms ->> 'model' AS model, billadj.price_tiers(price_id) AS tiers FROM billadj.price ORDER BY meter, valid;
-- no time is priced twice, and none that was priced is without a price
SELECT meter, range_agg(valid) AS priced, count(*) AS prices FROM billadj.price GROUP BY meter ORDER BY meter;

-- a price that begins within cannot make way
SELECT * FROM billadj.import_rate_card('{"code": "standard", "currency": "USD", "prices": [{"meter": "tokens", "model": "flat", "flat_amount": 1}]}', '[2026-07-01,)');
SELECT * FROM billadj.import_rate_card('{"code": "standard", "currency": "USD", "prices": [{"meter": "tokens", "model": "flat", "flat_amount": 1}]}', '(,)');
-- from its very beginning neither
SELECT * FROM billadj.import_rate_card('{"code": "standard", "currency": "USD", "prices": [{"meter": "calls", "model": "flat", "flat_amount": 1}]}', '[2026-01-01,)');
-- the hint works
SELECT action, object FROM billadj.import_rate_card('{"code": "standard", "currency": "USD", "prices": [{"meter": "tokens", "model": "flat", "flat_amount": 1}]}', '[2026-07-01,2026-08-01)');
-- always was, always will be
SELECT action, detail FROM billadj.import_rate_card('{"code": "always", "currency": "USD", "priority": 9, "prices": [{"meter": "seats", "model": "flat", "flat_amount": 1}]}', '[-infinity,infinity)');
SELECT action, detail FROM billadj.import_rate_card('{"code": "always", "currency": "USD", "priority": 9, "prices": [{"meter": "seats", "model": "flat", "flat_amount": 2}]}', '[2026-01-01,2026-02-01)');

-- ---- documents that are refused, with the path ----

CREATE FUNCTION pg_temp.refused(doc text, effective text DEFAULT '[2026-01-01,)', OUT state text, OUT message text) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM billadj.import_rate_card(doc::jsonb, effective::tstzrange);
    message := 'taken';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, state = RETURNED_SQLSTATE;
END $$;
SELECT r.* FROM (VALUES
    (1, '[]'),
    (2, '{}'),
    (3, '{"code": "", "currency": "USD", "prices": [{"meter": "m", "model": "flat", "flat_amount": 1}]}'),
    (4, '{"code": 1, "currency": "USD", "prices": [{"meter": "m", "model": "flat", "flat_amount": 1}]}'),
    (5, '{"code": "x", "prices": [{"meter": "m", "model": "flat", "flat_amount": 1}]}'),
    (6, '{"code": "x", "currency": "usd", "prices": [{"meter": "m", "model": "flat", "flat_amount": 1}]}'),
    (7, '{"code": "x", "currency": "XXX", "prices": [{"meter": "m", "model": "flat", "flat_amount": 1}]}'),
    (8, '{"code": "x", "currency": "USD"}'),
    (9, '{"code": "x", "currency": "USD", "prices": []}'),
    (10, '{"code": "x", "currency": "USD", "prices": {"meter": "m"}}'),
    (11, '{"code": "x", "currency": "USD", "prices": [1]}'),
    (12, '{"code": "x", "currency": "USD", "prices": [{"model": "flat", "flat_amount": 1}]}'),
    (13, '{"code": "x", "currency": "USD", "prices": [{"meter": "", "model": "flat", "flat_amount": 1}]}'),
    (14, '{"code": "x", "currency": "USD", "prices": [{"meter": "m", "model": "flat", "flat_amount": 1}, {"meter": "n"}]}'),
    (15, '{"code": "x", "currency": "USD", "prices": [{"meter": "m", "model": "flat", "flat_amount": 1}, {"meter": "n", "model": "flat", "flat_amount": 1, "colour": "red"}]}'),
    (16, '{"code": "x", "currency": "USD", "prices": [{"meter": "m", "model": "graduated", "tiers": [{"up_to": "ten", "unit_amount": 1}, {"unit_amount": 1}]}]}'),
    (17, '{"code": "x", "currency": "USD", "prices": [{"meter": "m", "model": "graduated", "tiers": [{"up_to": 10, "unit_amount": "NaN"}, {"unit_amount": 1}]}]}'),
    (18, '{"code": "x", "currency": "USD", "prices": [{"meter": "m", "model": "flat", "flat_amount": 1}, {"meter": "m", "model": "flat", "flat_amount": 1}]}'),
    (19, '{"code": "x", "currency": "USD", "prices": [{"meter": "m", "currency": "EUR", "model": "flat", "flat_amount": 1}]}'),
    (20, '{"code": "x", "currency": "USD", "colour": "red", "prices": [{"meter": "m", "model": "flat", "flat_amount": 1}]}'),
    (21, '{"code": "x", "currency": "USD", "account": 7, "prices": [{"meter": "m", "model": "flat", "flat_amount": 1}]}'),
    (22, '{"code": "x", "currency": "USD", "priority": 1.5, "prices": [{"meter": "m", "model": "flat", "flat_amount": 1}]}'),
    (23, '{"code": "x", "currency": "USD", "priority": 1e10, "prices": [{"meter": "m", "model": "flat", "flat_amount": 1}]}'),
    (24, '{"code": "x", "currency": "USD", "prices": [{"meter": "m", "model": "per_unit", "unit_amount": 1, "cap": {"amount": 1}}]}'),
    (25, '{"code": "standard", "currency": "EUR", "prices": [{"meter": "m", "model": "flat", "flat_amount": 1}]}'),
    (26, '{"code": "standard", "currency": "USD", "account": "acme", "prices": [{"meter": "m", "model": "flat", "flat_amount": 1}]}'),
    (27, '{"code": "standard", "currency": "USD", "priority": 3, "prices": [{"meter": "m", "model": "flat", "flat_amount": 1}]}'),
    (28, '{"code": "rival", "currency": "USD", "prices": [{"meter": "tokens", "model": "flat", "flat_amount": 1}]}')
) AS v(n, doc), pg_temp.refused(v.doc) AS r ORDER BY v.n;
SELECT v.effective, r.* FROM (VALUES (1, 'empty'), (2, NULL), (3, '(2026-01-01,)'), (4, '[2026-01-01,2026-02-01]'), (5, '[infinity,)')) AS v(n, effective),
       pg_temp.refused('{"code": "x", "currency": "USD", "prices": [{"meter": "m", "model": "flat", "flat_amount": 1}]}', v.effective) AS r ORDER BY v.n;
-- nothing of it was stored
SELECT code FROM billadj.rate_card ORDER BY code;
SELECT meter FROM billadj.meter ORDER BY meter;
-- cards of one rank stand beside one another until they price one meter at one time
SAVEPOINT ranks;
SELECT action, object FROM billadj.import_rate_card('{"code": "extra", "currency": "USD", "prices": [{"meter": "rank_a", "model": "flat", "flat_amount": 1}]}', '[2026-01-01,)');
SELECT action, object FROM billadj.import_rate_card('{"code": "promotion", "currency": "USD", "priority": 5, "prices": [{"meter": "rank_a", "model": "flat", "flat_amount": 2}]}', '[2026-01-01,)');
SELECT rate_card FROM billadj.price_for('anybody', 'rank_a', '2026-02-01');
SAVEPOINT s;
INSERT INTO billadj.price (rate_card_id, meter, valid, terms, linear)
SELECT rate_card_id, 'rank_a', '[2026-06-01,)', '{"model": "flat", "flat_amount": 3}', false FROM billadj.rate_card WHERE code = 'standard';
ROLLBACK TO s;
UPDATE billadj.rate_card SET priority = 0 WHERE code = 'promotion';
ROLLBACK TO s;
UPDATE billadj.rate_card SET priority = -1 WHERE code = 'promotion';
SELECT rate_card FROM billadj.price_for('anybody', 'rank_a', '2026-02-01');
ROLLBACK TO ranks;
SELECT billadj.export_rate_card('nowhere');
SELECT * FROM billadj.validate_rate_card('nowhere');

-- ---- which price applies ----

DO $$
BEGIN
    PERFORM FROM billadj.import_rate_card('{"code": "d0", "currency": "USD", "prices": [{"meter": "w", "model": "flat", "flat_amount": 0}]}'::jsonb || '{"priority": 20}', '[2026-01-01,)');
    PERFORM FROM billadj.import_rate_card('{"code": "d1", "currency": "USD", "priority": 21, "prices": [{"meter": "w", "model": "flat", "flat_amount": 1}]}', '[2026-03-01,2026-04-01)');
    PERFORM FROM billadj.import_rate_card('{"code": "a0", "currency": "USD", "account": "acme", "prices": [{"meter": "w", "model": "flat", "flat_amount": 2}]}', '[2026-02-01,)');
    PERFORM FROM billadj.import_rate_card('{"code": "a1", "currency": "USD", "account": "acme", "priority": 1, "prices": [{"meter": "w", "model": "flat", "flat_amount": 3}]}', '[2026-05-01,)');
    PERFORM FROM billadj.import_rate_card('{"code": "e0", "currency": "EUR", "priority": 20, "prices": [{"meter": "w", "model": "flat", "flat_amount": 4}]}', '[2026-06-01,)');
    PERFORM FROM billadj.import_rate_card('{"code": "e1", "currency": "EUR", "priority": 99, "prices": [{"meter": "w", "model": "flat", "flat_amount": 5}]}', '[2026-07-01,)');
END $$;
INSERT INTO billadj.account (account, currency) VALUES ('euro', 'EUR'), ('pound', 'GBP');
CREATE FUNCTION pg_temp.which(account text, at text, meter text DEFAULT 'w') RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    code text;
BEGIN
    SELECT p.rate_card INTO STRICT code FROM billadj.price_for(which.account, which.meter, which.at::timestamptz) p;
    RETURN coalesce(code, 'none');
EXCEPTION WHEN OTHERS THEN
    RETURN sqlstate;
END $$;
SELECT at, pg_temp.which('acme', at) AS acme, pg_temp.which('other', at) AS other, pg_temp.which('euro', at) AS euro, pg_temp.which('pound', at) AS pound
  FROM unnest(ARRAY['2025-12-31', '2026-01-01', '2026-02-15', '2026-03-01', '2026-03-31 23:59', '2026-04-01', '2026-05-01', '2026-06-01', '2026-07-01']) AS at;
INSERT INTO billadj.instance (currency) VALUES ('EUR');
SELECT at, pg_temp.which('acme', at) AS acme, pg_temp.which('other', at) AS other FROM unnest(ARRAY['2026-04-01', '2026-06-01', '2026-07-01']) AS at;
SELECT * FROM billadj.price_for('other', 'w', '2026-07-01');
SELECT * FROM billadj.price_for('euro', 'unheard', '2026-07-01');
SELECT * FROM billadj.price_for('pound', 'w', '2026-07-01');

-- a price as rate() takes it
SELECT price_id, billadj.price_document(price_id), billadj.rate(billadj.price_document(price_id), 1200)
  FROM billadj.price WHERE terms ->> 'model' IN ('graduated', 'volume') ORDER BY price_id;
SELECT billadj.price_document(-1) IS NULL AS unknown;

-- ---- what is wrong with a card ----

SELECT * FROM billadj.validate_rate_card('e0');
SELECT * FROM billadj.validate_rate_card('a0');
DO $$
BEGIN
    PERFORM FROM billadj.import_rate_card('{"code": "doubt", "currency": "EUR", "prices": [{"meter": "gap", "model": "flat", "flat_amount": 1}]}', '[2020-01-01,2020-02-01)');
    PERFORM FROM billadj.import_rate_card('{"code": "doubt", "currency": "EUR", "prices": [{"meter": "gap", "model": "flat", "flat_amount": 1}]}', '[2020-03-01,2020-04-01)');
    PERFORM FROM billadj.import_rate_card('{"code": "doubt", "currency": "EUR", "prices": [{"meter": "cliff", "model": "volume", "tiers": [{"up_to": 10, "unit_amount": 1}, {"unit_amount": 0.5}]}]}', '[2020-01-01,)');
END $$;
SELECT * FROM billadj.validate_rate_card('doubt');
RESET ROLE;
INSERT INTO billadj.price (rate_card_id, meter, valid, terms, linear)
SELECT c.rate_card_id, v.meter, '[2020-01-01,)', v.terms::jsonb, false
  FROM billadj.rate_card c, (VALUES ('w', '{"model": "nonsense"}'), ('seats', '{"model": "per_unit", "unit_amount": 1}')) AS v(meter, terms)
 WHERE c.code = 'doubt';
INSERT INTO billadj.rate_card (code, currency) VALUES ('empty', 'QQQ');
SELECT * FROM billadj.validate_rate_card('doubt');
SELECT * FROM billadj.validate_rate_card('empty');

-- overlapping prices are impossible, whoever writes them
\set VERBOSITY terse
INSERT INTO billadj.price (rate_card_id, meter, valid, terms, linear)
SELECT rate_card_id, 'w', '[2021-01-01,2021-02-01)', '{"model": "flat"}', false FROM billadj.rate_card WHERE code = 'doubt';
INSERT INTO billadj.price (rate_card_id, meter, valid, terms, linear)
SELECT rate_card_id, 'w', '(2026-01-01,2026-02-01]', '{"model": "flat"}', false FROM billadj.rate_card WHERE code = 'doubt';
\set VERBOSITY default

-- who is not billadj_admin
CREATE ROLE regress_billadj_reader;
GRANT billadj_reader TO regress_billadj_reader;
SET ROLE regress_billadj_reader;
SELECT * FROM billadj.import_rate_card(:'standard', '[2026-01-01,)');
SELECT billadj.export_rate_card('e0', '2026-06-01');
ROLLBACK;
\unset ON_ERROR_ROLLBACK
