-- Prices: a rate card for everybody, and a contract of one customer.  Accounts
-- whose month does not begin at midnight UTC say so.
SELECT * FROM billadj.import_rate_card($$
  {"code": "list-2025", "currency": "EUR", "prices": [
    {"meter": "api_calls", "model": "graduated", "tiers": [
      {"up_to": 10000, "unit_amount": "0"},
      {"up_to": 50000, "unit_amount": "0.0004"},
      {"up_to": null, "unit_amount": "0.00025"}]},
    {"meter": "storage_gb_hours", "model": "per_unit", "unit_amount": "0.1", "per": 730},
    {"meter": "egress_gb", "model": "per_unit", "unit_amount": "0.07"}]}
  $$, '[2025-01-01,)');
SELECT * FROM billadj.import_rate_card($$
  {"code": "contract-1", "currency": "EUR", "account": "1", "prices": [
    {"meter": "egress_gb", "model": "graduated", "tiers": [
      {"up_to": 100, "unit_amount": "0.07"},
      {"up_to": null, "unit_amount": "0.03"}]}]}
  $$, '[2025-01-01,)');
INSERT INTO billadj.account (account, time_zone)
SELECT customer_id, time_zone FROM shop.customer;
