
-- catalogue: rate cards as documents

-- A document fault, always with the path of the key.  Not immutable: the planner
-- would raise it ahead of time where the arguments are constants.
CREATE FUNCTION billadj.refuse_document(path text, problem text, hint text) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    RAISE EXCEPTION 'rate card key "%" %', path, problem USING ERRCODE = 'UB002', HINT = hint;
END
$function$;
COMMENT ON FUNCTION billadj.refuse_document(text, text, text) IS 'error UB002 about one key of a rate card document';
REVOKE ALL ON FUNCTION billadj.refuse_document(text, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.refuse_document(text, text, text) TO billadj_admin, billadj_operator, billadj_policy, billadj_auditor;

-- One form for what means the same: a number written as a string is a number.
-- jsonb keeps every digit of it.  The recursion ends, as price_check() lets
-- only documents of three levels pass.
CREATE FUNCTION billadj.price_normal(value jsonb) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE STRICT
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    RETURN CASE jsonb_typeof(value)
           WHEN 'object' THEN (SELECT coalesce(jsonb_object_agg(e.key, billadj.price_normal(e.value)), '{}') FROM jsonb_each(value) e)
           WHEN 'array' THEN (SELECT coalesce(jsonb_agg(billadj.price_normal(e.value) ORDER BY e.place), '[]')
                                FROM jsonb_array_elements(value) WITH ORDINALITY AS e(value, place))
           WHEN 'string' THEN CASE WHEN value #>> '{}' ~ '^\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*$'
                                   THEN to_jsonb((value #>> '{}')::numeric) ELSE value END
           ELSE value END;
END
$function$;
COMMENT ON FUNCTION billadj.price_normal(jsonb) IS 'a price document with all its numbers as JSON numbers';
REVOKE ALL ON FUNCTION billadj.price_normal(jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.price_normal(jsonb) TO billadj_admin, billadj_operator, billadj_policy, billadj_auditor;

CREATE FUNCTION billadj.check_card(doc jsonb) RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    strange text;
    problem text;
BEGIN
    IF jsonb_typeof(doc) IS DISTINCT FROM 'object' THEN
        RAISE EXCEPTION 'rate card is no JSON object'
            USING ERRCODE = 'UB002', HINT = 'Write {"code": …, "currency": …, "prices": [{"meter": …, "model": …}]}.';
    END IF;
    SELECT k INTO strange
      FROM jsonb_object_keys(doc) AS k
     WHERE k NOT IN ('code', 'currency', 'account', 'priority', 'prices') ORDER BY k COLLATE "C" LIMIT 1;
    IF strange IS NOT NULL THEN
        PERFORM billadj.refuse_document(strange, 'is unknown', 'A rate card has the keys code, currency, account, priority and prices.');
    END IF;
    IF jsonb_typeof(doc -> 'code') IS DISTINCT FROM 'string' OR doc ->> 'code' = '' THEN
        PERFORM billadj.refuse_document('code', 'must be a name', 'Write "code": "<name of the card>".');
    END IF;
    problem := billadj.price_check(jsonb_build_object('model', 'flat', 'flat_amount', 0, 'currency', doc -> 'currency'));
    IF problem IS NOT NULL THEN
        PERFORM billadj.refuse_document('currency', 'must be a currency code of ISO 4217', 'Write three capital letters, such as "USD".');
    END IF;
    IF jsonb_typeof(doc -> 'account') NOT IN ('string', 'null') OR doc ->> 'account' = '' THEN
        PERFORM billadj.refuse_document('account', 'must be a string', 'Write the account as text, or leave it out for the default card.');
    END IF;
    IF doc ? 'priority' AND (jsonb_typeof(doc -> 'priority') <> 'number' OR (doc ->> 'priority')::numeric % 1 <> 0
                             OR abs((doc ->> 'priority')::numeric) > 2147483647) THEN
        PERFORM billadj.refuse_document('priority', 'must be an integer', 'Leave it out for 0.');
    END IF;
    IF jsonb_typeof(doc -> 'prices') IS DISTINCT FROM 'array' OR doc -> 'prices' = '[]' THEN
        PERFORM billadj.refuse_document('prices', 'must be an array with entries', 'Write "prices": [{"meter": …, "model": …}].');
    END IF;
END
$function$;
COMMENT ON FUNCTION billadj.check_card(jsonb) IS 'error UB002 unless a rate card document is sound but for its prices';
REVOKE ALL ON FUNCTION billadj.check_card(jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.check_card(jsonb) TO billadj_admin, billadj_operator, billadj_policy, billadj_auditor;

-- Everything is checked before anything is written.
CREATE FUNCTION billadj.card_prices(doc jsonb) RETURNS TABLE (meter text, terms jsonb, tiers jsonb, linear boolean)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    entry   record;
    price   jsonb;
    problem text;
    meters  text[] := '{}';
BEGIN
    PERFORM billadj.check_card(doc);
    FOR entry IN SELECT format('prices[%s]', e.place - 1) AS path, e.value
                   FROM jsonb_array_elements(doc -> 'prices') WITH ORDINALITY AS e(value, place) ORDER BY e.place LOOP
        IF jsonb_typeof(entry.value) <> 'object' THEN
            PERFORM billadj.refuse_document(entry.path, 'must be a JSON object', 'Write {"meter": …, "model": …}.');
        ELSIF jsonb_typeof(entry.value -> 'meter') IS DISTINCT FROM 'string' OR entry.value ->> 'meter' = '' THEN
            PERFORM billadj.refuse_document(entry.path || '.meter', 'must be the name of a meter', 'Write "meter": "<name>".');
        ELSIF entry.value ->> 'meter' = ANY (meters) THEN
            PERFORM billadj.refuse_document(entry.path || '.meter', format('names %I a second time', entry.value ->> 'meter'),
                                            'A card has one price a meter at a time; import the other one for another time.');
        ELSIF entry.value ? 'currency' AND entry.value -> 'currency' <> doc -> 'currency' THEN
            RAISE EXCEPTION 'rate card key "%.currency" is %, that of the card is %', entry.path, entry.value ->> 'currency', doc ->> 'currency'
                USING ERRCODE = 'UB008', HINT = 'All prices of a card are in its currency; put others on another card.';
        END IF;
        meter := entry.value ->> 'meter';
        meters := meters || meter;
        price := entry.value - 'meter' || jsonb_build_object('currency', doc -> 'currency');
        problem := billadj.price_check(price);
        IF problem IS NOT NULL THEN
            RAISE EXCEPTION '%', CASE WHEN problem LIKE 'price key "%' THEN regexp_replace(problem, '^price key "', format('rate card key "%s.', entry.path))
                                      ELSE format('rate card key "%s": %s', entry.path, problem) END
                USING ERRCODE = 'UB002', DETAIL = format('The price of meter %I is refused.', meter),
                      HINT = 'Mend the document and import it again; nothing was changed.';
        END IF;
        linear := billadj.price_is_linear(price);
        price := billadj.price_normal(price - 'currency');
        terms := price - 'tiers';
        tiers := price -> 'tiers';
        RETURN NEXT;
    END LOOP;
END
$function$;
COMMENT ON FUNCTION billadj.card_prices(jsonb) IS 'the prices of a rate card document as they are stored; error UB002 names the path of a fault';
REVOKE ALL ON FUNCTION billadj.card_prices(jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.card_prices(jsonb) TO billadj_admin, billadj_operator, billadj_policy, billadj_auditor;

CREATE FUNCTION billadj.price_tiers(price_id bigint) RETURNS jsonb
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    RETURN (SELECT jsonb_agg(jsonb_build_object('up_to', t.up_to)
                             || jsonb_strip_nulls(jsonb_build_object('unit_amount', t.unit_amount, 'flat_amount', t.flat_amount, 'rate', t.rate))
                             ORDER BY t.tier)
              FROM billadj.price_tier t WHERE t.price_id = price_tiers.price_id);
END
$function$;
COMMENT ON FUNCTION billadj.price_tiers(bigint) IS 'the tiers of a stored price as a price document has them; NULL: none';
REVOKE ALL ON FUNCTION billadj.price_tiers(bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.price_tiers(bigint)
   TO billadj_admin, billadj_operator, billadj_requester, billadj_approver, billadj_policy, billadj_auditor, billadj_reader;

CREATE FUNCTION billadj.price_document(price_id bigint) RETURNS jsonb
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    RETURN (SELECT p.terms || jsonb_build_object('currency', c.currency)
                   || CASE WHEN t.tiers IS NULL THEN '{}' ELSE jsonb_build_object('tiers', t.tiers) END
              FROM billadj.price p
              JOIN billadj.rate_card c USING (rate_card_id)
             CROSS JOIN billadj.price_tiers(p.price_id) AS t(tiers)
             WHERE p.price_id = price_document.price_id);
END
$function$;
COMMENT ON FUNCTION billadj.price_document(bigint) IS 'a stored price as the document that rate() takes; NULL: no such price';
REVOKE ALL ON FUNCTION billadj.price_document(bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.price_document(bigint)
   TO billadj_admin, billadj_operator, billadj_requester, billadj_approver, billadj_policy, billadj_auditor, billadj_reader;

-- Two tier lists are one if each bound and amount is; an up_to that is left out
-- is a null one.
CREATE FUNCTION billadj.tiers_equal(one jsonb, other jsonb) RETURNS boolean
LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $function$
SELECT (SELECT jsonb_agg(jsonb_strip_nulls(e.value) ORDER BY e.place) FROM jsonb_array_elements($1) WITH ORDINALITY AS e(value, place))
       IS NOT DISTINCT FROM
       (SELECT jsonb_agg(jsonb_strip_nulls(e.value) ORDER BY e.place) FROM jsonb_array_elements($2) WITH ORDINALITY AS e(value, place))
$function$;
COMMENT ON FUNCTION billadj.tiers_equal(jsonb, jsonb) IS 'whether two lists of tiers mean the same';
REVOKE ALL ON FUNCTION billadj.tiers_equal(jsonb, jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.tiers_equal(jsonb, jsonb) TO billadj_admin, billadj_operator, billadj_policy, billadj_auditor;

CREATE FUNCTION billadj.insert_price(rate_card_id bigint, meter text, valid tstzrange, terms jsonb, tiers jsonb, linear boolean) RETURNS bigint
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    number bigint;
BEGIN
    INSERT INTO billadj.price (rate_card_id, meter, valid, terms, linear)
    VALUES (insert_price.rate_card_id, insert_price.meter, insert_price.valid, insert_price.terms, insert_price.linear)
    RETURNING price_id INTO number;
    INSERT INTO billadj.price_tier (price_id, tier, up_to, unit_amount, flat_amount, rate)
    SELECT number, e.place, (e.value ->> 'up_to')::numeric, (e.value ->> 'unit_amount')::numeric,
           (e.value ->> 'flat_amount')::numeric, (e.value ->> 'rate')::numeric
      FROM jsonb_array_elements(insert_price.tiers) WITH ORDINALITY AS e(value, place);
    RETURN number;
END
$function$;
COMMENT ON FUNCTION billadj.insert_price(bigint, text, tstzrange, jsonb, jsonb, boolean) IS 'stores one price; part of import_rate_card()';
REVOKE ALL ON FUNCTION billadj.insert_price(bigint, text, tstzrange, jsonb, jsonb, boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.insert_price(bigint, text, tstzrange, jsonb, jsonb, boolean) TO billadj_admin;

-- What is stored is never changed, only ended: a longer price that began
-- earlier ends where the new one begins, and where it goes on behind a new one
-- that is bounded it is stored a second time.  A price that begins within
-- cannot make way.
-- Two cards of one rank may not price one meter at one time: none would win.
CREATE FUNCTION billadj.check_rank(doc jsonb, meter text, effective tstzrange) RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    rival record;
BEGIN
    SELECT c.code, p.price_id, p.valid, p.card_account, p.currency, p.priority INTO rival
      FROM billadj.price p
      JOIN billadj.rate_card c ON c.rate_card_id = p.rate_card_id
     WHERE p.card_account IS NOT DISTINCT FROM doc ->> 'account' AND p.currency = doc ->> 'currency'
       AND p.priority = coalesce((doc ->> 'priority')::integer, 0)
       AND c.code <> doc ->> 'code' AND p.meter = check_rank.meter AND p.valid && effective
     ORDER BY p.valid
     LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'meter % has a price on rate card % already', quote_ident(meter), quote_ident(rival.code)
            USING ERRCODE = 'UB018',
                  DETAIL = format('Price %s holds for %s. Both cards are for %s in %s with priority %s, so neither would win.', rival.price_id, rival.valid,
                                  coalesce('account ' || rival.card_account, 'everybody'), rival.currency, rival.priority),
                  HINT = format('Give rate card %s another "priority"; the higher one wins.', quote_ident(doc ->> 'code')),
                  SCHEMA = 'billadj', TABLE = 'price', CONSTRAINT = 'price_overlap_excl';
    END IF;
END
$function$;
COMMENT ON FUNCTION billadj.check_rank(jsonb, text, tstzrange) IS 'error UB018 if another card of the same rank prices the meter in that time; part of import_rate_card()';
REVOKE ALL ON FUNCTION billadj.check_rank(jsonb, text, tstzrange) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.check_rank(jsonb, text, tstzrange) TO billadj_admin;

CREATE FUNCTION billadj.import_price(card bigint, code text, meter text, terms jsonb, tiers jsonb, linear boolean,
    effective tstzrange, dry_run boolean)
RETURNS TABLE (action text, object text, detail text)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    wanted tstzrange := effective;
    old    record;
BEGIN
    object := format('price %s/%s', code, import_price.meter);
    FOR old IN
        SELECT p.price_id, p.valid, p.terms, p.linear, billadj.price_tiers(p.price_id) AS tiers,
               p.terms = import_price.terms AND billadj.tiers_equal(billadj.price_tiers(p.price_id), import_price.tiers) AS same
          FROM billadj.price p
         WHERE p.rate_card_id = card AND p.meter = import_price.meter AND p.valid && effective
         ORDER BY p.valid
    LOOP
        IF old.same AND old.valid @> wanted THEN
            action := 'unchanged';
            detail := format('price %s holds for %s', old.price_id, old.valid);
            RETURN NEXT;
            RETURN;
        ELSIF old.same AND (lower(old.valid) IS NOT DISTINCT FROM lower(wanted) OR lower_inf(old.valid) OR lower(old.valid) < lower(wanted)) THEN
            -- In force already at the beginning: only what lies behind is new,
            -- so that the count of tiers does not start again.
            wanted := tstzrange(upper(old.valid), upper(wanted));
        ELSIF lower_inf(wanted) OR lower(old.valid) >= lower(wanted) THEN
            RAISE EXCEPTION 'price % of meter % on rate card % begins within %', old.price_id, quote_ident(import_price.meter), quote_ident(code), wanted
                USING ERRCODE = 'UB018', DETAIL = format('It holds for %s. A stored price can be ended, not moved.', old.valid),
                      HINT = format('Import for a time that ends at %s, or that begins later than it.', coalesce(lower(old.valid)::text, 'its beginning')),
                      SCHEMA = 'billadj', TABLE = 'price', CONSTRAINT = 'price_overlap_excl';
        ELSE
            action := 'ended';
            detail := format('price %s, which held for %s, ends at %s', old.price_id, old.valid, lower(wanted));
            IF NOT dry_run THEN
                UPDATE billadj.price p SET valid = tstzrange(lower(old.valid), lower(wanted)) WHERE p.price_id = old.price_id;
            END IF;
            RETURN NEXT;
            IF NOT upper_inf(wanted) AND (upper_inf(old.valid) OR upper(old.valid) > upper(wanted)) THEN
                action := 'continued';
                detail := format('the terms of price %s hold again for %s', old.price_id, tstzrange(upper(wanted), upper(old.valid)));
                IF NOT dry_run THEN
                    PERFORM billadj.insert_price(card, import_price.meter, tstzrange(upper(wanted), upper(old.valid)), old.terms, old.tiers, old.linear);
                END IF;
                RETURN NEXT;
            END IF;
        END IF;
    END LOOP;
    action := 'created';
    detail := format('holds for %s', wanted);
    IF NOT dry_run THEN
        PERFORM billadj.insert_price(card, import_price.meter, wanted, import_price.terms, import_price.tiers, import_price.linear);
    END IF;
    RETURN NEXT;
END
$function$;
COMMENT ON FUNCTION billadj.import_price(bigint, text, text, jsonb, jsonb, boolean, tstzrange, boolean) IS 'puts one price in force; part of import_rate_card()';
REVOKE ALL ON FUNCTION billadj.import_price(bigint, text, text, jsonb, jsonb, boolean, tstzrange, boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.import_price(bigint, text, text, jsonb, jsonb, boolean, tstzrange, boolean) TO billadj_admin;

-- Finds or makes the card, and locks it: two imports of one card go one after
-- the other.  NULL in a dry run when there is none.
CREATE FUNCTION billadj.import_card(doc jsonb, dry_run boolean, OUT card bigint, OUT created boolean)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    rank  integer := coalesce((doc ->> 'priority')::integer, 0);
    found record;
BEGIN
    created := NOT EXISTS (SELECT FROM billadj.rate_card c WHERE c.code = doc ->> 'code');
    IF created AND NOT dry_run THEN
        INSERT INTO billadj.rate_card (code, currency, account, priority)
        VALUES (doc ->> 'code', doc ->> 'currency', doc ->> 'account', rank)
        ON CONFLICT (code) DO NOTHING;
    END IF;
    IF dry_run THEN
        SELECT c.* INTO found FROM billadj.rate_card c WHERE c.code = doc ->> 'code';
    ELSE
        SELECT c.* INTO found FROM billadj.rate_card c WHERE c.code = doc ->> 'code' FOR NO KEY UPDATE;
    END IF;
    card := found.rate_card_id;
    IF card IS NULL THEN
        RETURN;
    ELSIF found.currency <> doc ->> 'currency' THEN
        RAISE EXCEPTION 'rate card % is in %, the document in %', quote_ident(found.code), found.currency, doc ->> 'currency'
            USING ERRCODE = 'UB008', HINT = 'Import prices in another currency as a card of another code.';
    ELSIF found.account IS DISTINCT FROM doc ->> 'account' THEN
        PERFORM billadj.refuse_document('account', format('is %s, that of the stored card is %s', coalesce(doc ->> 'account', 'absent'), coalesce(found.account, 'absent')),
                                        'Import the prices of another account as a card of another code.');
    ELSIF found.priority <> rank THEN
        PERFORM billadj.refuse_document('priority', format('is %s, that of the stored card is %s', rank, found.priority),
                                        format('UPDATE billadj.rate_card SET priority = %s WHERE code = %L;', rank, found.code));
    END IF;
END
$function$;
COMMENT ON FUNCTION billadj.import_card(jsonb, boolean) IS 'finds or makes the card of a document and locks it; part of import_rate_card()';
REVOKE ALL ON FUNCTION billadj.import_card(jsonb, boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.import_card(jsonb, boolean) TO billadj_admin;

-- A range as billadj.price holds it: [from, to), an infinite time is no bound.
CREATE FUNCTION billadj.check_effective(effective tstzrange) RETURNS tstzrange
LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    starts timestamptz := nullif(lower(effective), '-infinity');
    ends   timestamptz := nullif(upper(effective), 'infinity');
BEGIN
    IF effective IS NULL OR isempty(effective) OR starts = 'infinity' OR ends = '-infinity'
       OR NOT lower_inf(effective) AND NOT lower_inc(effective) OR NOT upper_inf(effective) AND upper_inc(effective) THEN
        RAISE EXCEPTION 'effective % is no half-open range of time', coalesce(effective::text, 'NULL')
            USING ERRCODE = 'UB004', HINT = 'Write ''[2026-05-01,)'' or ''[2026-05-01,2026-06-01)''.';
    END IF;
    RETURN tstzrange(starts, ends);
END
$function$;
COMMENT ON FUNCTION billadj.check_effective(tstzrange) IS 'the range for which prices are imported, or error UB004';
REVOKE ALL ON FUNCTION billadj.check_effective(tstzrange) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.check_effective(tstzrange) TO billadj_admin;

CREATE FUNCTION billadj.import_rate_card(doc jsonb, effective tstzrange, dry_run boolean DEFAULT false)
RETURNS TABLE (action text, object text, detail text)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    card   record;
    price  record;
    during tstzrange;
BEGIN
    PERFORM billadj.require_installed();
    PERFORM FROM billadj.card_prices(doc);      -- all of it, before anything is written
    during := billadj.check_effective(effective);
    SELECT * INTO card FROM billadj.import_card(doc, dry_run);
    object := format('rate card %s', doc ->> 'code');
    action := CASE WHEN card.created THEN 'created' ELSE 'unchanged' END;
    detail := format('%s, %s, priority %s', coalesce('account ' || (doc ->> 'account'), 'default'), doc ->> 'currency', coalesce(doc ->> 'priority', '0'));
    RETURN NEXT;
    FOR price IN SELECT p.* FROM billadj.card_prices(doc) p LOOP
        PERFORM billadj.check_rank(doc, price.meter, during);
        IF NOT EXISTS (SELECT FROM billadj.meter m WHERE m.meter = price.meter) THEN
            action := 'created';
            object := format('meter %s', price.meter);
            detail := NULL;
            IF NOT dry_run THEN
                INSERT INTO billadj.meter (meter) VALUES (price.meter) ON CONFLICT DO NOTHING;
            END IF;
            RETURN NEXT;
        END IF;
        RETURN QUERY SELECT i.* FROM billadj.import_price(card.card, doc ->> 'code', price.meter, price.terms, price.tiers,
                                                          price.linear, during, dry_run) i;
    END LOOP;
END
$function$;
COMMENT ON FUNCTION billadj.import_rate_card(jsonb, tstzrange, boolean) IS
    'puts the prices of a rate card document in force for a range of time; says what it did, or with dry_run would do; a second import changes nothing';
REVOKE ALL ON FUNCTION billadj.import_rate_card(jsonb, tstzrange, boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.import_rate_card(jsonb, tstzrange, boolean) TO billadj_admin;

CREATE FUNCTION billadj.export_rate_card(code text, at timestamptz DEFAULT now()) RETURNS jsonb
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    card record;
BEGIN
    PERFORM billadj.require_installed();
    SELECT c.* INTO card FROM billadj.rate_card c WHERE c.code = export_rate_card.code;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'rate card % does not exist', quote_ident(export_rate_card.code)
            USING ERRCODE = 'undefined_object', HINT = 'SELECT code FROM billadj.rate_card;';
    END IF;
    RETURN jsonb_strip_nulls(jsonb_build_object('code', card.code, 'currency', card.currency, 'account', card.account,
                                                'priority', nullif(card.priority, 0)))
           || jsonb_build_object('prices', coalesce(
                (SELECT jsonb_agg(jsonb_build_object('meter', p.meter) || billadj.price_document(p.price_id) - 'currency' ORDER BY p.meter COLLATE "C")
                   FROM billadj.price p
                  WHERE p.rate_card_id = card.rate_card_id AND p.valid @> at), '[]'));
END
$function$;
COMMENT ON FUNCTION billadj.export_rate_card(text, timestamptz) IS
    'a rate card as a document, with the prices in force at a time; to import it again changes nothing';
REVOKE ALL ON FUNCTION billadj.export_rate_card(text, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.export_rate_card(text, timestamptz)
   TO billadj_admin, billadj_operator, billadj_requester, billadj_approver, billadj_policy, billadj_auditor, billadj_reader;

CREATE FUNCTION billadj.diff_rate_card(code text, doc jsonb, at timestamptz DEFAULT now())
RETURNS TABLE (meter text, change text, before jsonb, after jsonb)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
#variable_conflict use_column
DECLARE
    card bigint;
BEGIN
    PERFORM billadj.require_installed();
    SELECT c.rate_card_id INTO card FROM billadj.rate_card c WHERE c.code = diff_rate_card.code;
    RETURN QUERY
    WITH old AS (
        SELECT p.meter::text, p.terms, billadj.price_tiers(p.price_id) AS tiers
          FROM billadj.price p WHERE p.rate_card_id = card AND p.valid @> at
    )
    SELECT coalesce(n.meter, o.meter), CASE WHEN o.meter IS NULL THEN 'added' WHEN n.meter IS NULL THEN 'removed' ELSE 'changed' END,
           o.terms || CASE WHEN o.tiers IS NULL THEN '{}' ELSE jsonb_build_object('tiers', o.tiers) END,
           n.terms || CASE WHEN n.tiers IS NULL THEN '{}' ELSE jsonb_build_object('tiers', n.tiers) END
      FROM billadj.card_prices(doc) n
      FULL JOIN old o ON o.meter = n.meter
     WHERE o.meter IS NULL OR n.meter IS NULL OR o.terms <> n.terms OR NOT billadj.tiers_equal(o.tiers, n.tiers)
     ORDER BY coalesce(n.meter, o.meter) COLLATE "C";
END
$function$;
COMMENT ON FUNCTION billadj.diff_rate_card(text, jsonb, timestamptz) IS 'how a document differs from what is in force at a time; no row: not at all';
REVOKE ALL ON FUNCTION billadj.diff_rate_card(text, jsonb, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.diff_rate_card(text, jsonb, timestamptz) TO billadj_admin, billadj_operator, billadj_policy, billadj_auditor;

-- ---- what is wrong with a card ----

CREATE FUNCTION billadj.validate_prices(card bigint) RETURNS TABLE (severity text, meter text, problem text, detail text)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT 'warning', p.meter::text, 'gap', format('no price from %s to %s', upper(p.valid), lower(p.next))
      FROM (SELECT q.meter, q.valid, lead(q.valid) OVER (PARTITION BY q.meter ORDER BY q.valid) AS next
              FROM billadj.price q WHERE q.rate_card_id = card) p
     WHERE upper(p.valid) < lower(p.next)
     ORDER BY p.meter, p.valid;
    RETURN QUERY
    SELECT 'warning', p.meter::text, 'no price now', format('the last one ended at %s', max(upper(p.valid)) FILTER (WHERE upper(p.valid) <= now()))
      FROM billadj.price p
     WHERE p.rate_card_id = card
     GROUP BY p.meter HAVING NOT bool_or(p.valid @> now() OR lower(p.valid) > now() AND upper(p.valid) IS NULL)
     ORDER BY p.meter;
    RETURN QUERY
    SELECT 'error', p.meter::text, 'unusable', format('price %s: %s', p.price_id, billadj.price_check(billadj.price_document(p.price_id)))
      FROM billadj.price p
     WHERE p.rate_card_id = card AND billadj.price_check(billadj.price_document(p.price_id)) IS NOT NULL
     ORDER BY p.meter, p.valid;
    RETURN QUERY
    SELECT 'error', p.meter::text, 'linear is wrong', format('price %s says %s', p.price_id, p.linear)
      FROM billadj.price p
     WHERE p.rate_card_id = card AND billadj.price_check(billadj.price_document(p.price_id)) IS NULL
       AND p.linear <> billadj.price_is_linear(billadj.price_document(p.price_id))
     ORDER BY p.meter, p.valid;
    -- Where one unit more makes the whole cheaper, customers notice.
    RETURN QUERY
    SELECT 'warning', s.meter, 'total falls', format('price %s: %s costs %s, a little more costs %s', s.price_id, s.up_to, s.amount, s.beyond)
      FROM (SELECT p.meter::text, p.valid, p.price_id, t.up_to,
                   billadj.rate(billadj.price_document(p.price_id), t.up_to) AS amount,
                   billadj.rate(billadj.price_document(p.price_id), t.up_to + 0.000001) AS beyond
              FROM billadj.price p JOIN billadj.price_tier t USING (price_id)
             WHERE p.rate_card_id = card AND t.up_to IS NOT NULL
               AND billadj.price_check(billadj.price_document(p.price_id)) IS NULL) s
     WHERE s.beyond < s.amount
     ORDER BY s.meter, s.valid, s.up_to;
END
$function$;
COMMENT ON FUNCTION billadj.validate_prices(bigint) IS 'part of validate_rate_card(): its prices';
REVOKE ALL ON FUNCTION billadj.validate_prices(bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.validate_prices(bigint) TO billadj_admin, billadj_operator, billadj_policy, billadj_auditor;

CREATE FUNCTION billadj.validate_rate_card(code text) RETURNS TABLE (severity text, meter text, problem text, detail text)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
#variable_conflict use_column
DECLARE
    card   record;
    billed text;
BEGIN
    PERFORM billadj.require_installed();
    SELECT c.* INTO card FROM billadj.rate_card c WHERE c.code = validate_rate_card.code;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'rate card % does not exist', quote_ident(validate_rate_card.code)
            USING ERRCODE = 'undefined_object', HINT = 'SELECT code FROM billadj.rate_card;';
    END IF;
    severity := 'error';
    IF billadj.price_check(jsonb_build_object('model', 'flat', 'flat_amount', 0, 'currency', card.currency)) IS NOT NULL THEN
        problem := 'unknown currency';
        detail := format('%s is no code of ISO 4217', card.currency);
        RETURN NEXT;
    END IF;
    billed := coalesce((SELECT a.currency FROM billadj.account a WHERE a.account = card.account), (billadj.settings()).currency);
    IF billed <> card.currency THEN
        problem := 'currency never used';
        detail := format('%s billed in %s, the card is in %s', CASE WHEN card.account IS NULL THEN 'accounts without one of their own are'
                                                                     ELSE format('account %s is', card.account) END, billed, card.currency);
        -- some account may have the currency of a default card
        severity := CASE WHEN card.account IS NULL THEN 'warning' ELSE 'error' END;
        RETURN NEXT;
    END IF;
    IF NOT EXISTS (SELECT FROM billadj.price p WHERE p.rate_card_id = card.rate_card_id) THEN
        severity := 'warning';
        problem := 'no prices';
        detail := NULL;
        RETURN NEXT;
    END IF;
    RETURN QUERY SELECT v.* FROM billadj.validate_prices(card.rate_card_id) v;
END
$function$;
COMMENT ON FUNCTION billadj.validate_rate_card(text) IS 'what is wrong or doubtful with a rate card; no row: nothing';
REVOKE ALL ON FUNCTION billadj.validate_rate_card(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.validate_rate_card(text) TO billadj_admin, billadj_operator, billadj_policy, billadj_auditor;

-- The same rule as the library's, for people and for tests.
CREATE FUNCTION billadj.price_for(account text, meter text, at timestamptz)
RETURNS TABLE (price_id bigint, rate_card text, why text)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
#variable_conflict use_column
DECLARE
    billed text;
    best   record;
BEGIN
    PERFORM billadj.require_installed();
    billed := coalesce((SELECT a.currency FROM billadj.account a WHERE a.account = price_for.account), (billadj.settings()).currency);
    WITH candidate AS (
        SELECT p.price_id, c.code, c.currency, c.account, c.priority, c.account IS NOT NULL AS own
          FROM billadj.rate_card c
          JOIN billadj.price p USING (rate_card_id)
         WHERE (c.account = price_for.account OR c.account IS NULL) AND p.meter = price_for.meter AND p.valid @> price_for.at
    ), usable AS (
        SELECT u.*, rank() OVER (ORDER BY u.own DESC, u.priority DESC) AS place
          FROM candidate u
         WHERE billed IS NULL OR u.currency = billed
    )
    SELECT min(u.price_id) AS price_id, min(u.code) AS code, count(*) AS number, bool_or(u.own) AS own, min(u.priority) AS priority,
           string_agg(u.currency, ' and ' ORDER BY u.currency) AS currencies, (SELECT min(o.currency) FROM candidate o) AS other
      INTO best
      FROM usable u WHERE u.place = 1;
    IF best.number > 1 THEN
        RAISE EXCEPTION 'meter % has prices in %, and account % has no currency', quote_ident(price_for.meter), best.currencies, quote_ident(price_for.account)
            USING ERRCODE = 'UB008', HINT = 'Set currency in billadj.account or billadj.instance.';
    ELSIF best.number = 0 AND best.other IS NOT NULL THEN
        RAISE EXCEPTION 'the price of meter % is in %, account % is billed in %', quote_ident(price_for.meter), best.other, quote_ident(price_for.account), billed
            USING ERRCODE = 'UB008', HINT = format('Import a rate card in %s, or change the account''s currency in billadj.account.', billed);
    END IF;
    price_id := best.price_id;
    rate_card := best.code;
    why := CASE WHEN best.number = 0 THEN 'no card has a price of this meter at that time'
                ELSE format('%s with the highest priority, %s, among those in %s', CASE WHEN best.own THEN 'card of the account' ELSE 'default card' END,
                            best.priority, coalesce(billed, best.currencies || ', the only currency')) END;
    RETURN NEXT;
END
$function$;
COMMENT ON FUNCTION billadj.price_for(text, text, timestamptz) IS
    'the price that applies: cards of the account before default cards, then the higher priority, only in the currency of the account, else of the instance, else in the only one of the best rank, or error UB008; price_id NULL: none';
REVOKE ALL ON FUNCTION billadj.price_for(text, text, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billadj.price_for(text, text, timestamptz)
   TO billadj_admin, billadj_operator, billadj_requester, billadj_approver, billadj_policy, billadj_auditor, billadj_reader;
