-- Shadow: telephone has a biller of its own.  Its rows are rated beside it, into
-- tables apart that are never billed; the report says where the two differ, why,
-- and what it comes to.  Nothing of the table changes but its triggers.
SELECT action, object FROM billadj.import_rate_card($$
  {"code": "telephone", "currency": "EUR", "priority": 1, "prices": [
    {"meter": "call_minutes", "model": "graduated", "tiers": [
      {"up_to": 1000, "unit_amount": "0.10"},
      {"up_to": null, "unit_amount": "0.04"}]},
    {"meter": "mobile_gb", "model": "per_unit", "unit_amount": "0.0375"}]}
  $$, '[2025-01-01,)');
SELECT count(*) AS steps
  FROM billadj.attach('shop.phone_usage', account => 'customer_id', occurred_at => 'used_at',
                      meter => 'service', quantity => 'units', mode => 'shadow', compare => 'billed');
CALL billadj.backfill('shop.phone_usage');
SELECT cause, rows, which_accounts, host_amount, shadow_amount, difference, example
  FROM billadj.shadow_report('shop.phone_usage');
SELECT cause, what_to_change FROM billadj.shadow_report('shop.phone_usage') WHERE cause <> 'equal';
SELECT count(*) AS billed FROM billadj.charge;
