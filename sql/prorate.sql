-- Billing periods and their parts.
SET timezone = 'UTC';
SET datestyle = 'ISO';

-- ---- fixed points: amounts that can be checked by hand ----

-- 10 to 20 at exactly half of the period: the unused half of the old comes
-- back, half of the new is added
SELECT day_count,
       -billadj.prorate(10, period, tstzrange('2026-04-16', '2026-05-01'), day_count, 'UTC', 2, 'half_up') AS credit,
       billadj.prorate(20, period, tstzrange('2026-04-16', '2026-05-01'), day_count, 'UTC', 2, 'half_up') AS charge
FROM (VALUES ('actual_days'), ('actual_days_inclusive'), ('actual_seconds'), ('strict_30_360'), ('fixed_30'),
             ('actual_360'), ('calendar_month_split'), ('month_then_days')) AS c(day_count),
     (SELECT tstzrange('2026-04-01', '2026-05-01') AS period) AS p;

-- 30 March to 30 April, 31 days; 5 until 31 March, then 6
SELECT billadj.prorate(5, period, tstzrange('2026-03-30', '2026-03-31'), 'actual_days', 'UTC', 2, 'half_up') AS used,
       billadj.prorate(6, period, tstzrange('2026-03-31', '2026-04-30'), 'actual_days', 'UTC', 2, 'half_up') AS new
FROM (SELECT tstzrange('2026-03-30', '2026-04-30') AS period) AS p;

-- 6 December to 6 January, 500 billed in advance, 2000 from 13 December
SELECT used.numerator, used.denominator, new - old AS at_once, new - old + 2000 AS with_next
FROM (SELECT tstzrange('2025-12-06', '2026-01-06') AS period, tstzrange('2025-12-13', '2026-01-06') AS rest) AS p,
     LATERAL billadj.day_fraction(period, rest, 'actual_days', 'UTC') AS used,
     LATERAL (SELECT billadj.prorate(500, period, rest, 'actual_days', 'UTC', 2, 'half_up') AS old,
                     billadj.prorate(2000, period, rest, 'actual_days', 'UTC', 2, 'half_up') AS new) AS amounts;

-- 3950 a month, 8 April to 30 June inclusive, by calendar months
SELECT billadj.prorate(3 * 3950, '[2026-04-01,2026-07-01)', '[2026-04-08,2026-07-01)', 'calendar_month_split', 'UTC', 2, 'half_up')
           AS amount,
       f.*
FROM billadj.day_fraction('[2026-04-01,2026-07-01)', '[2026-04-08,2026-07-01)', 'calendar_month_split', 'UTC') AS f;

-- 20 a month for a year from 3 August: 13 calendar months, two of them in part
SELECT parts[1] AS first, parts[2] AS second, parts[13] AS last, (SELECT sum(part) FROM unnest(parts) AS part) AS total
FROM (SELECT tstzrange('2025-08-03', '2026-08-03') AS year) AS y,
     LATERAL (SELECT array_agg(month * year ORDER BY month) AS months
              FROM billadj.periods('2025-08-01', '1 month', year, 'UTC') AS month) AS m,
     LATERAL billadj.prorate_split(12 * 20, year, months, 'calendar_month_split', 'UTC', 2, 'half_up') AS parts;

-- the table of 30/360: inclusive dates, each in its calendar month
SELECT first, last,
       format('%s/%s', actual.numerator, actual.denominator) AS actual,
       format('%s/%s', thirty.numerator, thirty.denominator) AS actual_30,
       format('%s/%s', strict.numerator, strict.denominator) AS strict
FROM (VALUES ('2021-01-27'::date, '2021-01-31'::date), ('2021-02-27', '2021-02-28'), ('2020-02-01', '2020-02-29'),
             ('2021-04-21', '2021-04-29')) AS d(first, last),
     LATERAL (SELECT tstzrange(first::timestamptz, (last + 1)::timestamptz) AS used,
                     tstzrange(date_trunc('month', first::timestamptz), date_trunc('month', first::timestamptz) + interval '1 month') AS period) AS r,
     LATERAL billadj.day_fraction(period, used, 'actual_days_inclusive', 'UTC') AS actual,
     LATERAL billadj.day_fraction(period, used, 'actual_360', 'UTC') AS thirty,
     LATERAL billadj.day_fraction(period, used, 'strict_30_360', 'UTC') AS strict;

-- New York, March 2026: the clocks go forward on the 8th, the change is on the 9th
SET timezone = 'America/New_York';
SELECT day_count, f.numerator, f.denominator
FROM (VALUES ('actual_days'), ('actual_seconds')) AS c(day_count),
     LATERAL billadj.day_fraction('[2026-03-01,2026-04-01)', '[2026-03-01,2026-03-09)', day_count, 'America/New_York') AS f;
SET timezone = 'UTC';

-- anchored on the 31st: the end of each month, and never later the 28th for good
SELECT lower(period)::date AS first, upper(period)::date AS until
FROM billadj.periods('2026-01-31', '1 month', '[2026-01-31,2026-07-01)', 'UTC') AS period;

-- ---- day counts ----

-- what each makes of the same stretch; a day and its half at the ends
CREATE FUNCTION pg_temp.try_fraction(period text, used text, day_count text, zone text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    f record;
BEGIN
    f := billadj.day_fraction(period::tstzrange, used::tstzrange, day_count, zone);
    RETURN f.numerator || '/' || f.denominator;
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE || ': ' || SQLERRM;
END $$;

SELECT used, period,
       pg_temp.try_fraction(period, used, 'actual_days', 'UTC') AS actual,
       pg_temp.try_fraction(period, used, 'actual_days_inclusive', 'UTC') AS inclusive,
       pg_temp.try_fraction(period, used, 'actual_360', 'UTC') AS over_360,
       pg_temp.try_fraction(period, used, 'actual_365', 'UTC') AS over_365,
       pg_temp.try_fraction(period, used, 'strict_30_360', 'UTC') AS strict,
       pg_temp.try_fraction(period, used, 'fixed_30', 'UTC') AS fixed,
       pg_temp.try_fraction(period, used, 'calendar_month_split', 'UTC') AS split,
       pg_temp.try_fraction(period, used, 'month_then_days', 'UTC') AS months
FROM (VALUES
    -- a whole month, its first day, its last day, all but that
    ('[2021-01-01,2021-02-01)', '[2021-01-01,2021-02-01)'),
    ('[2021-01-01,2021-01-02)', '[2021-01-01,2021-02-01)'),
    ('[2021-01-31,2021-02-01)', '[2021-01-01,2021-02-01)'),
    ('[2021-01-01,2021-01-31)', '[2021-01-01,2021-02-01)'),
    -- February, the last day of which is three in thirtieths
    ('[2021-02-28,2021-03-01)', '[2021-02-01,2021-03-01)'),
    ('[2024-02-29,2024-03-01)', '[2024-02-01,2024-03-01)'),
    ('[2021-02-15,2021-03-01)', '[2021-02-01,2021-03-01)'),
    -- a change at three in the afternoon: whose is the day?
    ('[2021-03-01,2021-03-10 15:00)', '[2021-03-01,2021-04-01)'),
    ('[2021-03-10 15:00,2021-04-01)', '[2021-03-01,2021-04-01)'),
    ('[2021-03-10 15:00,2021-03-10 18:00)', '[2021-03-01,2021-04-01)'),
    -- anchored on the 15th, on the 31st, in the afternoon
    ('[2021-01-20,2021-02-05)', '[2021-01-15,2021-02-15)'),
    ('[2021-02-20,2021-03-10)', '[2021-02-15,2021-03-15)'),
    ('[2021-01-31,2021-02-28)', '[2021-01-31,2021-02-28)'),
    ('[2021-02-28,2021-03-31)', '[2021-02-28,2021-03-31)'),
    ('[2021-03-10 15:00,2021-04-10 15:00)', '[2021-03-10 15:00,2021-04-10 15:00)'),
    ('[2021-01-30 15:00,2021-02-28 15:00)', '[2021-01-30 15:00,2021-02-28 15:00)'),
    -- a quarter, a year, a leap year, two years
    ('[2021-02-10,2021-04-01)', '[2021-01-01,2021-04-01)'),
    ('[2021-01-01,2021-04-01)', '[2021-01-01,2021-04-01)'),
    ('[2021-03-15,2022-01-01)', '[2021-01-01,2022-01-01)'),
    ('[2020-01-01,2021-01-01)', '[2020-01-01,2021-01-01)'),
    ('[2020-02-29,2021-02-28)', '[2020-02-29,2022-02-28)'),
    -- a week
    ('[2021-03-30,2021-04-02)', '[2021-03-29,2021-04-05)'),
    -- nothing, and of nothing
    ('empty', '[2021-01-01,2021-02-01)'),
    ('[2021-01-05,2021-01-05)', '[2021-01-01,2021-02-01)'),
    ('empty', 'empty'),
    ('[2021-01-01 10:00,2021-01-01 11:00)', '[2021-01-01 10:00,2021-01-01 12:00)')
) AS c(used, period);

-- a day of 23 hours, one of 25, a midnight that is skipped, one that comes
-- twice, a day that is missing
SET timezone = 'UTC';
SELECT zone, period,
       pg_temp.try_fraction(p, u, 'actual_days', zone) AS actual,
       pg_temp.try_fraction(p, u, 'actual_days_inclusive', zone) AS inclusive,
       pg_temp.try_fraction(p, u, 'actual_seconds', zone) AS seconds,
       pg_temp.try_fraction(p, u, 'calendar_month_split', zone) AS split
FROM (VALUES
    ('Europe/Berlin', '[2026-03-01,2026-04-01)', '[2026-03-29,2026-03-30)'),
    ('Europe/Berlin', '[2026-10-01,2026-11-01)', '[2026-10-25,2026-10-26)'),
    ('America/Sao_Paulo', '[2017-10-01,2017-11-01)', '[2017-10-15,2017-10-16)'),
    ('America/Havana', '[2020-10-01,2020-11-01)', '[2020-10-01,2020-11-01)'),
    ('America/St_Johns', '[2010-11-01,2010-12-01)', '[2010-11-07,2010-11-08)'),
    ('Australia/Lord_Howe', '[2026-04-01,2026-05-01)', '[2026-04-05,2026-04-06)'),
    ('Pacific/Apia', '[2011-12-01,2012-01-01)', '[2011-12-29,2011-12-31)')
) AS c(zone, period, used),
    LATERAL (SELECT tstzrange(lower(period::tsrange) AT TIME ZONE zone, upper(period::tsrange) AT TIME ZONE zone)::text AS p,
                    tstzrange(lower(used::tsrange) AT TIME ZONE zone, upper(used::tsrange) AT TIME ZONE zone)::text AS u) AS r;

-- a year that ends, and a month that begins, on the day that Apia never had; at
-- midnight, and at ten
SELECT period, day_count, f.numerator, f.denominator
FROM (VALUES ('[2010-12-30 10:00+00,2011-12-30 10:00+00)'), ('[2011-12-30 10:00+00,2012-01-29 10:00+00)'),
             ('[2010-12-30 20:00+00,2011-12-30 20:00+00)'), ('[2011-12-30 20:00+00,2012-01-29 20:00+00)')) AS c(period),
    unnest(ARRAY['actual_360', 'actual_365']) AS day_count,
    billadj.day_fraction(period::tstzrange, period::tstzrange, day_count, 'Pacific/Apia') AS f
ORDER BY period::tstzrange, day_count;

-- ---- rounding ----

-- half a cent: 3 of 30 days of 2.05, and of 2.15
SELECT rounding, amount, billadj.prorate(amount, '[2026-04-01,2026-05-01)', '[2026-04-01,2026-04-04)', 'actual_days', 'UTC', 2, rounding) AS share
FROM unnest(ARRAY['half_up', 'half_even', 'half_down', 'up', 'down', 'ceil', 'floor']) AS rounding,
     unnest(ARRAY[2.05, 2.15, -2.05]) AS amount;
-- a third of 36 digits; what is too long is refused, in no way rounded
SELECT billadj.prorate(1e35, '[2026-04-01,2026-05-01)', '[2026-04-01,2026-04-11)', 'actual_days', 'UTC', 1, 'down') AS long,
       billadj.prorate(123456789.123456789, '[2026-04-01,2026-05-01)', '[2026-04-01,2026-04-04)', 'actual_days', 'UTC', 10, 'never') AS exact,
       billadj.prorate(123456, '[2026-04-01,2026-05-01)', '[2026-04-01,2026-04-11)', 'actual_days', 'UTC', -2, 'half_up') AS hundreds;
SELECT billadj.prorate(1e37, '[2026-04-01,2026-05-01)', '[2026-04-01,2026-04-11)', 'actual_days', 'UTC', 2, 'down');
SELECT billadj.prorate(10, '[2026-04-01,2026-05-01)', '[2026-04-01,2026-04-11)', 'actual_days', 'UTC', 2, 'never');

-- ---- several parts ----

SELECT note, amount, day_count, shares, (SELECT sum(share) FROM unnest(shares) AS share) AS total
FROM (VALUES
    ('thirds', 100, '{"[2026-04-01,2026-04-11)","[2026-04-11,2026-04-21)","[2026-04-21,2026-05-01)"}', 'actual_days', 2),
    ('credit', -100, '{"[2026-04-01,2026-04-11)","[2026-04-11,2026-04-21)","[2026-04-21,2026-05-01)"}', 'actual_days', 2),
    ('any order', 100, '{"[2026-04-21,2026-05-01)","[2026-04-01,2026-04-11)","[2026-04-11,2026-04-21)"}', 'actual_days', 2),
    ('a gap', 100, '{"[2026-04-01,2026-04-02)","[2026-04-03,2026-04-04)"}', 'actual_days', 2),
    ('an empty one', 100, '{"empty","[2026-04-01,2026-05-01)"}', 'actual_days', 2),
    ('none', 100, '{}', 'actual_days', 2),
    ('the day of the change is the later one''s', 30, '{"[2026-04-01,2026-04-10 15:00)","[2026-04-10 15:00,2026-05-01)"}', 'actual_days', 2),
    ('the day of the change is the earlier one''s', 30, '{"[2026-04-01,2026-04-10 15:00)","[2026-04-10 15:00,2026-05-01)"}', 'actual_days_inclusive', 2),
    ('two changes in a day', 30, '{"[2026-04-01,2026-04-10 09:00)","[2026-04-10 09:00,2026-04-10 15:00)","[2026-04-10 15:00,2026-05-01)"}', 'actual_days', 2)
) AS c(note, amount, parts, day_count, scale),
     LATERAL billadj.prorate_split(amount, '[2026-04-01,2026-05-01)', parts::tstzrange[], day_count, 'UTC', scale, 'half_up') AS shares;
-- January is more than a month by actual_360
SELECT shares, (SELECT sum(share) FROM unnest(shares) AS share) AS total,
       billadj.prorate(100, '[2021-01-01,2021-02-01)', '[2021-01-01,2021-02-01)', 'actual_360', 'UTC', 2, 'half_up') AS whole
FROM billadj.prorate_split(100, '[2021-01-01,2021-02-01)', '{"[2021-01-01,2021-01-08)","[2021-01-08,2021-01-20)","[2021-01-20,2021-02-01)"}',
                           'actual_360', 'UTC', 2, 'half_up') AS shares;

-- ---- periods ----

CREATE FUNCTION pg_temp.periods_of(anchor text, every text, during text, zone text) RETURNS text
LANGUAGE plpgsql AS $$
BEGIN
    RETURN (SELECT string_agg(to_char(lower(p) AT TIME ZONE zone, 'YYYY-MM-DD HH24:MI'), ' | ' ORDER BY p)
                   || ' | ' || to_char(max(upper(p)) AT TIME ZONE zone, 'YYYY-MM-DD HH24:MI')
            FROM billadj.periods(anchor::timestamptz, every::interval, during::tstzrange, zone) AS p);
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE || ': ' || SQLERRM;
END $$;
SELECT anchor, every, zone, pg_temp.periods_of(anchor, every, during, zone) AS periods
FROM (VALUES
    ('2024-01-31 00:00', '1 month', '[2023-11-15,2024-03-01)', 'UTC'),
    ('2024-02-29 12:00', '1 year', '[2022-03-01,2029-01-01)', 'UTC'),
    ('2026-01-05 00:00', '1 week', '[2025-12-20,2026-01-10)', 'UTC'),
    ('2026-01-30 00:00', '3 months', '[2026-02-01,2026-08-01)', 'UTC'),
    ('2026-01-31 00:00', '1 month 10 days', '[2026-02-01,2026-05-01)', 'UTC'),
    ('2026-01-31 00:00', '2 years 6 months', '[2026-02-01,2031-05-01)', 'UTC'),
    -- local midnights, in a zone of which the other end of the year has another offset
    ('2026-01-01 05:00', '1 month', '[2026-03-01 12:00,2026-04-15)', 'America/New_York'),
    ('2026-03-27 23:00', '1 day', '[2026-03-28,2026-03-30 12:00)', 'Europe/Berlin'),
    -- a time of the day that does not occur on 29 March, and one that comes twice on 25 October
    ('2026-03-28 01:30', '1 day', '[2026-03-28 12:00,2026-03-30 12:00)', 'Europe/Berlin'),
    ('2026-10-24 00:30', '1 day', '[2026-10-24 12:00,2026-10-26 12:00)', 'Europe/Berlin'),
    -- elapsed hours
    ('2026-03-28 23:00', '6 hours', '[2026-03-28 23:00,2026-03-29 12:00)', 'Europe/Berlin'),
    -- a day that is missing is no period
    ('2011-12-28 10:00', '1 day', '[2011-12-29 10:00,2012-01-01)', 'Pacific/Apia'),
    -- during: empty, one microsecond, exactly one period
    ('2026-01-01 00:00', '1 month', 'empty', 'UTC'),
    ('2026-01-01 00:00', '1 month', '[2026-05-31 23:59:59.999999,2026-06-01)', 'UTC'),
    ('2026-01-01 00:00', '1 month', '[2026-05-01,2026-06-01)', 'UTC'),
    -- refused
    ('2026-01-01', '0 days', '[2026-05-01,2026-06-01)', 'UTC'),
    ('2026-01-01', '-1 month', '[2026-05-01,2026-06-01)', 'UTC'),
    ('2026-01-01', '1 month -1 day', '[2026-05-01,2026-06-01)', 'UTC'),
    ('infinity', '1 month', '[2026-05-01,2026-06-01)', 'UTC'),
    ('2026-01-01', '1 month', '[2026-05-01,)', 'UTC'),
    ('2026-01-01', '1 month', '[2026-05-01,infinity)', 'UTC'),
    ('2026-01-01', '1 month', '[2026-05-01,2026-06-01]', 'UTC'),
    ('2026-01-01', '1 month', '[2026-05-01,2026-06-01)', 'Mars/Olympus'),
    ('2026-01-01', '100000 years', '[2026-05-01,2026-06-01)', 'UTC'),
    ('2026-01-01', '300000 years', '[2026-05-01,2026-06-01)', 'UTC')
) AS c(anchor, every, during, zone);

SELECT billadj.period_at('2026-01-31', '1 month', at, 'UTC') AS period
FROM unnest(ARRAY['2026-02-27 23:59:59.999999', '2026-02-28 00:00', '2025-12-31', '2026-01-31', '0001-03-01',
                  '9999-02-28']::timestamptz[]) AS at;
-- the midnight that comes twice: the day, and the month, begin with the first one
SELECT lower(billadj.period_at('2020-01-01 05:00+00', '1 month', '2020-11-01 04:30+00', 'America/Havana')) AS starts;
-- an anchor at a time that comes twice is the first boundary all the same
SELECT lower(billadj.period_at(anchor, '1 month', anchor, 'Europe/Berlin')) = anchor AS first
FROM unnest(ARRAY['2026-10-25 00:30+00', '2026-10-25 01:30+00']::timestamptz[]) AS anchor;

-- as the server reckons, wherever it can: sums of an interval to local times
SELECT count(*) AS boundaries, count(*) FILTER (WHERE lower(p) = ((anchor AT TIME ZONE zone) + n * every) AT TIME ZONE zone) AS equal
FROM unnest(ARRAY['Europe/Berlin', 'America/New_York', 'Australia/Lord_Howe', 'Asia/Kathmandu']) AS zone,
     unnest(ARRAY['1 month', '1 week', '1 year', '3 months', '5 days 07:00', '1 month 3 days']::interval[]) AS every,
     unnest(ARRAY['2024-02-29 13:00+00', '2025-12-31 23:30+00']::timestamptz[]) AS anchor,
     LATERAL (SELECT p, row_number() OVER (ORDER BY p) - 1 AS n
              FROM billadj.periods(anchor, every, tstzrange(anchor, anchor + interval '10 years'), zone) AS p) AS periods;

-- ---- refused ----

SELECT billadj.prorate(10, '[2026-04-01,2026-05-01)', '[2026-04-01,2026-05-02)', 'actual_days', 'UTC', 2, 'half_up');
SELECT billadj.prorate(10, '[2026-04-01,2026-05-01)', '[2026-03-31,2026-04-02)', 'actual_days', 'UTC', 2, 'half_up');
SELECT billadj.prorate(10, '[2026-04-01,2026-05-01)', '[2026-04-01,2026-04-02)', 'thirty_days', 'UTC', 2, 'half_up');
SELECT billadj.prorate(10, '[2026-04-01,2026-05-01)', '[2026-04-01,2026-04-02)', 'actual_days', 'Mars/Olympus', 2, 'half_up');
SELECT billadj.prorate(10, '[2026-04-01,2026-05-01)', '[2026-04-01,2026-04-02)', 'actual_days', '', 2, 'half_up');
SELECT billadj.prorate(10, '[2026-04-01,2026-05-01)', '[2026-04-01,2026-04-02)', 'actual_days', 'UTC', 2, 'bankers');
SELECT billadj.prorate(10, '[2026-04-01,2026-05-01)', '[2026-04-01,2026-04-02)', 'actual_days', 'UTC', 5000, 'half_up');
SELECT billadj.prorate('NaN', '[2026-04-01,2026-05-01)', '[2026-04-01,2026-04-02)', 'actual_days', 'UTC', 2, 'half_up');
SELECT billadj.prorate('Infinity', '[2026-04-01,2026-05-01)', '[2026-04-01,2026-04-02)', 'actual_days', 'UTC', 2, 'half_up');
SELECT billadj.prorate(10, 'empty', 'empty', 'actual_days', 'UTC', 2, 'half_up');
SELECT billadj.prorate(10, '[2026-04-01,)', '[2026-04-01,2026-04-02)', 'actual_days', 'UTC', 2, 'half_up');
SELECT billadj.prorate(10, '[2026-04-01,infinity)', '[2026-04-01,2026-04-02)', 'actual_days', 'UTC', 2, 'half_up');
SELECT billadj.prorate(10, '[2026-04-01,2026-05-01)', '(,2026-04-02)', 'actual_days', 'UTC', 2, 'half_up');
SELECT billadj.prorate(10, '[2026-04-01,2026-04-30]', '[2026-04-01,2026-04-02)', 'actual_days_inclusive', 'UTC', 2, 'half_up');
SELECT billadj.prorate(10, '[2026-04-01,2026-04-08)', '[2026-04-01,2026-04-02)', 'actual_360', 'UTC', 2, 'half_up');
SELECT billadj.prorate_split(10, '[2026-04-01,2026-05-01)', '{"[2026-04-01,2026-04-03)","[2026-04-02,2026-04-05)"}', 'actual_days', 'UTC', 2, 'half_up');
SELECT billadj.prorate_split(10, '[2026-04-01,2026-05-01)', '{"[2026-04-01,2026-04-03)","[2026-04-30,2026-05-05)"}', 'actual_days', 'UTC', 2, 'half_up');
SELECT billadj.prorate_split(10, '[2026-04-01,2026-05-01)', '{NULL}', 'actual_days', 'UTC', 2, 'half_up');
SELECT billadj.prorate_split(10, '[2026-04-01,2026-05-01)', '{{"[2026-04-01,2026-04-03)"},{"[2026-04-02,2026-04-05)"}}', 'actual_days', 'UTC', 2, 'half_up');
SELECT billadj.prorate_split(10, '[2026-04-01,2026-05-01)', '{"[2026-04-01,2026-04-11)"}', 'actual_days', 'UTC', 2, 'never');
SELECT billadj.period_at('2026-01-31', '1 month', 'infinity', 'UTC');
SELECT billadj.period_at('2026-01-31', '1 month', '294276-12-31', 'UTC');

-- names that the server would take for the zone of an offset, west of Greenwich
SELECT zone, pg_temp.periods_of('2026-01-31', '1 month', '[2026-02-01,2026-02-02)', zone) AS periods
FROM unnest(ARRAY['Europe/Berlin', 'europe/berlin', 'EST5EDT', 'GMT+0', 'Etc/GMT+12', 'Etc/GMT-14', 'Etc/GMT0', 'Etc/GMT+13', 'Etc/GMT-15',
                  'Etc/GMT', 'UTC+3', '+02', 'GMT+5', 'Berlin1', '<x>3', 'Etc/GMT+', 'Etc/GMT+1x', 'CEST', 'Europe/Berlin ', '../../etc/passwd']) AS zone;

-- a NULL in is a NULL out
SELECT billadj.prorate(NULL, '[2026-04-01,2026-05-01)', '[2026-04-01,2026-05-02)', 'actual_days', 'UTC', 2, 'half_up') IS NULL AS amount,
       billadj.prorate_split(1, '[2026-04-01,2026-05-01)', NULL, 'actual_days', 'UTC', 2, 'half_up') IS NULL AS parts,
       billadj.period_at('2026-01-31', NULL, '2026-01-31', 'UTC') IS NULL AS every,
       (SELECT count(*) FROM billadj.periods('2026-01-31', '1 month', NULL, 'UTC')) AS during;

-- anybody may calculate, in any query
SELECT p.oid::regprocedure AS function, p.provolatile, p.proparallel, p.proisstrict,
       has_function_privilege('public', p.oid, 'EXECUTE') AS public
FROM pg_proc AS p
WHERE p.pronamespace = 'billadj'::regnamespace AND p.proname IN ('prorate', 'prorate_split', 'day_fraction', 'periods', 'period_at')
ORDER BY p.proname;
