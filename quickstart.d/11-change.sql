-- Change: customer 7 pays 500 a month in advance and takes the plan for 2000 a
-- week later.  24 of the 31 days are left: back 500 x 24/31, due 2000 x 24/31.
SELECT action, object FROM billadj.import_plan('{"plan": "small", "currency": "EUR", "prices": [{"model": "flat", "flat_amount": 500}]}');
SELECT action, object FROM billadj.import_plan('{"plan": "large", "currency": "EUR", "prices": [{"model": "flat", "flat_amount": 2000}]}');
SELECT billadj.subscribe('7', 'small', '2025-12-06 00:00+00', time_zone => 'UTC', as_of => '2025-12-06 00:00+00') AS subscription;
SELECT line_plan, share, full_amount, amount
  FROM billadj.change_plan(1, 'large', at => '2025-12-13 00:00+00', post => 'next_period', as_of => '2025-12-13 00:00+00');
SELECT billadj.charge_subscriptions('2026-01-06 00:00+00') AS charges;
SELECT line, kind, description, amount FROM billadj.bill_preview('7', '[2026-01-06 00:00+00,2026-02-06 00:00+00)') WHERE line IS NOT NULL OR description = 'line';
