-- The same work in PL/pgSQL: a charge for each usage row and a running total for
-- each key, locked by the statement that raises it.  Into tables of the same
-- columns, partitions and indexes, one set for each kind of trigger.

CREATE FUNCTION bench.amount(quantity numeric, bound_1 numeric, bound_2 numeric, unit_1 numeric, unit_2 numeric, unit_3 numeric)
RETURNS numeric LANGUAGE sql IMMUTABLE
AS $$SELECT least(quantity, bound_1) * unit_1 + greatest(least(quantity, bound_2) - bound_1, 0) * unit_2
          + greatest(quantity - bound_2, 0) * unit_3$$;

SELECT format('CREATE SCHEMA %1$s;
               CREATE TABLE %1$s.charge (LIKE billadj.charge) PARTITION BY RANGE (period_start);
               CREATE TABLE %1$s.charge_month PARTITION OF %1$s.charge FOR VALUES FROM (%2$L) TO (%3$L);
               CREATE TABLE %1$s.charge_default PARTITION OF %1$s.charge DEFAULT;
               CREATE TABLE %1$s.tier_total (LIKE billadj.tier_total INCLUDING ALL) WITH (fillfactor = 10);
               CREATE SEQUENCE %1$s.charge_id_seq CACHE 64',
              peer, date_trunc('month', now(), 'UTC'), date_trunc('month', now(), 'UTC') + interval '1 month')
  FROM unnest(ARRAY['set_based', 'by_row']) AS peer \gexec

-- One statement for all: the totals in key order, then the charges by what
-- stood before each row.
CREATE FUNCTION set_based.usage_trigger() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    WITH used AS MATERIALIZED (
        SELECT n.id, n.account, n.meter, date_trunc('month', n.at, 'UTC') AS period_start, n.at, n.quantity,
               p.price_id, p.bound_1, p.bound_2, p.unit_1, p.unit_2, p.unit_3
          FROM new_rows n JOIN bench.price p USING (meter)
    ), total AS (
        INSERT INTO set_based.tier_total AS t (account, meter, period_start, price_id, quantity, amount, row_count)
        SELECT account, meter, period_start, price_id, sum(quantity),
               bench.amount(sum(quantity), min(bound_1), min(bound_2), min(unit_1), min(unit_2), min(unit_3)), count(*)
          FROM used GROUP BY account, meter, period_start, price_id
         ORDER BY account COLLATE "C", meter COLLATE "C", period_start, price_id
        ON CONFLICT (account, meter, period_start, price_id) DO UPDATE
           SET quantity = t.quantity + excluded.quantity, row_count = t.row_count + excluded.row_count,
               amount = (SELECT bench.amount(t.quantity + excluded.quantity, p.bound_1, p.bound_2, p.unit_1, p.unit_2, p.unit_3)
                           FROM bench.price p WHERE p.price_id = excluded.price_id)
        RETURNING account, meter, period_start, price_id, quantity
    ), placed AS (
        SELECT u.*, t.quantity - sum(u.quantity) OVER (PARTITION BY u.account, u.meter, u.period_start ORDER BY u.id DESC) AS before
          FROM used u JOIN total t USING (account, meter, period_start, price_id)
    )
    INSERT INTO set_based.charge
    SELECT account, nextval('set_based.charge_id_seq'), 1, id::text, 'quantity', meter, period_start, period_start, at, price_id,
           quantity, before,
           bench.amount(before + quantity, bound_1, bound_2, unit_1, unit_2, unit_3) - bench.amount(before, bound_1, bound_2, unit_1, unit_2, unit_3),
           'USD', 'usage', 1, NULL, clock_timestamp(), session_user
      FROM placed;
    RETURN NULL;
END $$;
CREATE TRIGGER usage AFTER INSERT ON bench.set_based REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION set_based.usage_trigger();

CREATE FUNCTION by_row.usage_trigger() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    p      bench.price;
    period timestamptz := date_trunc('month', NEW.at, 'UTC');
    after  numeric;
    f      numeric;
BEGIN
    SELECT * INTO p FROM bench.price WHERE meter = NEW.meter;
    INSERT INTO by_row.tier_total AS t (account, meter, period_start, price_id, quantity, amount, row_count)
    VALUES (NEW.account, NEW.meter, period, p.price_id, NEW.quantity,
            bench.amount(NEW.quantity, p.bound_1, p.bound_2, p.unit_1, p.unit_2, p.unit_3), 1)
    ON CONFLICT (account, meter, period_start, price_id) DO UPDATE
       SET quantity = t.quantity + NEW.quantity, row_count = t.row_count + 1,
           amount = bench.amount(t.quantity + NEW.quantity, p.bound_1, p.bound_2, p.unit_1, p.unit_2, p.unit_3)
    RETURNING quantity, amount INTO after, f;
    INSERT INTO by_row.charge
    VALUES (NEW.account, nextval('by_row.charge_id_seq'), 1, NEW.id::text, 'quantity', NEW.meter, period, period, NEW.at,
            p.price_id, NEW.quantity, after - NEW.quantity,
            f - bench.amount(after - NEW.quantity, p.bound_1, p.bound_2, p.unit_1, p.unit_2, p.unit_3),
            'USD', 'usage', 1, NULL, clock_timestamp(), session_user);
    RETURN NULL;
END $$;
CREATE TRIGGER usage AFTER INSERT ON bench.by_row FOR EACH ROW EXECUTE FUNCTION by_row.usage_trigger();

-- ---- every key has a total already ----

SELECT format($$INSERT INTO bench.%I (event_key, account, meter, quantity, at)
                SELECT 'seed-' || key, 'acct-' || key / 5, %L || key %% 5 + 1, round((random() * 2000)::numeric, 2), date_trunc('month', now(), 'UTC')
                  FROM generate_series(0, 49999) AS key ORDER BY random()$$,
              host, CASE host WHEN 'linear' THEN 'l' ELSE 't' END)
  FROM unnest(ARRAY['plain', 'tiered', 'linear', 'set_based', 'by_row']) AS host \gexec
VACUUM (FREEZE, ANALYZE);

-- All do the same: sums of charges are the totals, and billadj's are the peers'.
DO $$
BEGIN
    IF EXISTS (SELECT account, meter, sum(amount) FROM set_based.charge GROUP BY 1, 2 EXCEPT ALL SELECT account, meter, amount FROM set_based.tier_total)
       OR EXISTS (SELECT account, meter, sum(amount) FROM by_row.charge GROUP BY 1, 2 EXCEPT ALL SELECT account, meter, amount FROM by_row.tier_total)
       OR EXISTS (SELECT account, meter, sum(amount) FROM billadj.charge WHERE meter LIKE 't%' GROUP BY 1, 2 EXCEPT ALL SELECT account, meter, amount FROM billadj.tier_total) THEN
        RAISE EXCEPTION 'charges and totals differ';
    END IF;
END $$;
