-- Mend: put a price on what was sold without one, and retry.  A row of the host
-- that lacks its quantity is mended in the host, by an ordinary UPDATE.
SELECT * FROM billadj.import_rate_card($$
  {"code": "list-2025", "currency": "EUR", "prices": [
    {"meter": "sms", "model": "per_unit", "unit_amount": "0.05"},
    {"meter": "fax_pages", "model": "package", "size": 10, "package_amount": "1.00"}]}
  $$, '[2025-01-01,)');
SELECT * FROM billadj.retry_parked('shop.usage_event');
UPDATE shop.usage_event SET units = 1 WHERE units IS NULL;
SELECT resolution, count(*) AS rows FROM billadj.parked_usage GROUP BY resolution ORDER BY resolution;
