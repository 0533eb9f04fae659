-- Rounding and dividing money.

-- the modes, at one decimal
SELECT mode,
       array_agg(billadj.round_step(amount, 0.1, mode) ORDER BY position) AS rounded
FROM unnest(ARRAY['half_up', 'half_even', 'half_down', 'up', 'down', 'ceil', 'floor']) WITH ORDINALITY AS m(mode, line),
     unnest(ARRAY[0.04, 0.05, 0.15, 0.25, 0.26, -0.04, -0.05, -0.15, -0.25, -0.26]) WITH ORDINALITY AS a(amount, position)
GROUP BY mode, line ORDER BY line;
SELECT billadj.round_step(1.2, 0.1, 'never') AS never;
SELECT billadj.round_step(1.25, 0.1, 'never');

-- steps that are no power of ten
SELECT step, mode, billadj.round_step(amount, step, mode)
FROM (VALUES (2.475, 0.05, 'half_up'), (2.425, 0.05, 'half_even'), (-2.475, 0.05, 'ceil'),
             (17, 3, 'half_up'), (13.5, 3, 'half_even'), (10, 0.7, 'up'),
             (1234, 100, 'half_up'), (0.000001, 1000, 'up'), (5, 2.50, 'never')) AS c(amount, step, mode);

-- against the server: half_up is round(), the others follow from trunc() and ceil()
SELECT setseed(0.25);
CREATE TABLE amounts AS
SELECT round(((random() - 0.5) * 1e10)::numeric, 9) + (random() * 1e9)::int * 1e-12 AS amount,
       (random() * 11)::int AS places
FROM generate_series(1, 50000);
-- ties, which random numbers never meet
INSERT INTO amounts SELECT n + 0.5, 0 FROM generate_series(-500, 500) AS n;
INSERT INTO amounts SELECT n * 0.005, 2 FROM generate_series(-500, 500) AS n;
SELECT count(*) AS amounts,
       count(*) FILTER (WHERE billadj.round_step(amount, unit)::text = round(amount, places)::text) AS half_up,
       count(*) FILTER (WHERE billadj.round_step(amount, unit, 'down')::text = trunc(amount, places)::text) AS down,
       count(*) FILTER (WHERE billadj.round_step(amount, unit, 'ceil') = ceil(amount / unit) * unit) AS ceil,
       count(*) FILTER (WHERE billadj.round_step(amount, unit, 'floor') = floor(amount / unit) * unit) AS floor,
       count(*) FILTER (WHERE billadj.round_step(amount, unit, 'up') = sign(amount) * ceil(abs(amount) / unit) * unit) AS up,
       count(*) FILTER (WHERE billadj.round_step(amount, unit, 'half_down')
                              = sign(amount) * ceil(abs(amount) / unit - 0.5) * unit) AS half_down,
       count(*) FILTER (WHERE billadj.round_step(amount, unit, 'half_even')
                              = CASE WHEN mod(abs(amount) / unit, 2) = 0.5 THEN trunc(amount, places)
                                     ELSE round(amount, places) END) AS half_even,
       count(*) FILTER (WHERE billadj.round_step(amount, unit * 7, 'floor') = floor(div(amount * 1e12, 1) / (unit * 7e12)) * unit * 7) AS sevenths
FROM amounts, LATERAL (SELECT ('1e-' || places)::numeric AS unit) AS u;
-- half away from zero at ten places: the rule that real cloud bills follow
SELECT count(*) FILTER (WHERE billadj.round_step(amount, 0.0000000001) = round(amount, 10)) = count(*) AS bills
FROM amounts;
DROP TABLE amounts;

-- money shows the decimals of its currency
SELECT currency, billadj.round_money(amount, currency) AS money,
       billadj.round_money(-amount, currency, 'floor') AS floor,
       billadj.round_money(amount, currency, cash => true) AS cash
FROM (VALUES (2.5, 'EUR'), (2.495, 'USD'), (1234.5, 'JPY'), (1.23456, 'BHD'), (1.23456, 'CLF'),
             (2.475, 'CHF'), (99.49, 'SEK'), (7.75, 'DKK'), (1997.5, 'HUF')) AS m(amount, currency);

-- a published hour of two services of a cloud provider, 2.50 and 10.00 per million
-- tokens: the exact cost, and the bill
SELECT service, billadj.exact(cost) AS exact, billadj.round_money(cost, 'USD') AS bill
FROM (VALUES ('code', 18059974, 245896), ('conv', 22361870, 4088665)) AS u(service, tokens_in, tokens_out),
     LATERAL (SELECT tokens_in * 2.50 / 1000000 + tokens_out * 10.00 / 1000000 AS cost) AS c;
-- rounded too early, row by row instead of once, small rows cost nothing
SELECT sum(billadj.round_money(tokens * 2.50 / 1000000, 'USD')) AS rounded_rows,
       billadj.round_money(sum(tokens * 2.50 / 1000000), 'USD') AS rounded_once
FROM generate_series(1000, 1900, 100) AS tokens;

-- every currency of ISO 4217 with a minor unit, by its number of decimals
SELECT decimals, count(*) AS currencies, min(code) AS first, max(code) AS last
FROM unnest(string_to_array(
    'AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BOV BRL BSD BTN BWP '
    'BYN BZD CAD CDF CHE CHF CHW CLF CLP CNY COP COU CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB '
    'EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD '
    'JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP '
    'MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR '
    'RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND '
    'TOP TRY TTD TWD TZS UAH UGX USD USN UYI UYU UYW UZS VED VES VND VUV WST XAD XAF XCD XCG XOF '
    'XPF YER ZAR ZMW ZWG', ' ')) AS code,
    LATERAL (SELECT scale(billadj.round_money(1, code)) AS decimals) AS d
GROUP BY decimals ORDER BY decimals;
SELECT code, scale(billadj.round_money(1, code)) AS decimals
FROM unnest(ARRAY['BIF', 'CLP', 'DJF', 'GNF', 'ISK', 'JPY', 'KMF', 'KRW', 'PYG', 'RWF', 'UGX', 'UYI', 'VND',
                  'VUV', 'XAF', 'XOF', 'XPF', 'BHD', 'IQD', 'JOD', 'KWD', 'LYD', 'OMR', 'TND', 'CLF', 'UYW']) AS code
WHERE scale(billadj.round_money(1, code)) = 2;

-- allocate: the parts sum, the largest remainder first, then the lowest index
SELECT amount, weights, billadj.allocate(amount, weights, scale) AS parts
FROM (VALUES (100, ARRAY[1, 1, 1]::numeric[], 2), (-100, ARRAY[1, 1, 1], 2), (0.05, ARRAY[1, 1], 2),
             (10, ARRAY[1.1, 4.7, 4.2, 0], 0), (0, ARRAY[1, 2], 2), (7, ARRAY[5], 3),
             (1000, ARRAY[1, 1, 1], -1), (1, ARRAY[0.1, 0.2, 0.7], 1)) AS a(amount, weights, scale);
SELECT count(*) AS cases,
       count(*) FILTER (WHERE (SELECT sum(part) FROM unnest(parts) AS part) = amount
                        AND (SELECT bool_and(scale(part) = 2) FROM unnest(parts) AS part)
                        AND billadj.allocate(-amount, weights, 2)
                            = (SELECT array_agg(-part ORDER BY position) FROM unnest(parts) WITH ORDINALITY AS p(part, position))) AS right
FROM generate_series(-500, 500) AS cents,
     LATERAL (SELECT cents * 0.37 AS amount,
                     ARRAY(SELECT mod(abs(cents) * 7919 + i * 104729, 1000) / 10.0 + 0.1
                           FROM generate_series(1, 1 + abs(cents) % 9) AS i) AS weights) AS w,
     LATERAL (SELECT billadj.allocate(amount, weights, 2) AS parts) AS p;
SELECT cardinality(parts) AS parts, (SELECT sum(part) FROM unnest(parts) AS part) AS total
FROM billadj.allocate(1234567.89, array_fill(1.5, ARRAY[100000]), 2) AS parts;

-- refused
SELECT billadj.round_step(1, 0);
SELECT billadj.round_step(1, -0.01);
SELECT billadj.round_step(1, 0.01, 'HALF_UP');
SELECT billadj.round_step('NaN', 0.01);
SELECT billadj.round_step(1, 'Infinity');
SELECT billadj.round_step(1e37, 0.3);
SELECT billadj.round_money('NaN', 'EUR');
SELECT billadj.round_money('-Infinity', 'EUR');
SELECT billadj.round_money(1, 'eur');
SELECT billadj.round_money(1, 'XAU');
SELECT billadj.round_money(1, 'Bitcoin');
SELECT billadj.round_money(1, 'EUR', 'bankers');
SELECT billadj.round_money(1.005, 'EUR', 'never');
SELECT billadj.allocate(1, ARRAY[]::numeric[], 2);
SELECT billadj.allocate(1, ARRAY[0, 0], 2);
SELECT billadj.allocate(1, ARRAY[2, -1], 2);
SELECT billadj.allocate(1, ARRAY[1, NULL], 2);
SELECT billadj.allocate(1, ARRAY[[1, 2], [3, 4]], 2);
SELECT billadj.allocate(1, ARRAY[1, 'NaN']::numeric[], 2);
SELECT billadj.allocate(0.005, ARRAY[1, 1], 2);
SELECT billadj.allocate(1e37, ARRAY[1, 1], 2);
SELECT billadj.allocate(1, ARRAY[1, 1], 5000);
SELECT billadj.allocate(1, ARRAY[1e37, 1e-5], 2);

-- a NULL in is a NULL out
SELECT billadj.round_money(NULL, 'EUR') IS NULL AS amount, billadj.round_money(1, NULL) IS NULL AS currency,
       billadj.round_step(1, NULL) IS NULL AS step, billadj.allocate(1, NULL, 2) IS NULL AS weights;

-- anybody may calculate, in any query
SELECT p.proname, p.provolatile, p.proparallel, p.proisstrict,
       has_function_privilege('public', p.oid, 'EXECUTE') AS public
FROM pg_proc AS p
WHERE p.oid IN ('billadj.exact(numeric)'::regprocedure,
                'billadj.round_step(numeric, numeric, text)'::regprocedure,
                'billadj.round_money(numeric, text, text, boolean)'::regprocedure,
                'billadj.allocate(numeric, numeric[], integer)'::regprocedure)
ORDER BY p.proname;
