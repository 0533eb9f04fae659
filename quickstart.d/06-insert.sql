-- Every day: the application inserts as it always did, and the charge is there
-- in the same transaction.  shop_app has no right on any table of billadj.
SET SESSION AUTHORIZATION shop_app;
INSERT INTO shop.usage_event (event_id, customer_id, service, used_at, units)
VALUES (900001, 7, 'api_calls', '2025-11-03 09:00+00', 9000),
       (900002, 7, 'api_calls', '2025-11-03 09:05+00', 2500),
       (900003, 7, 'egress_gb', '2025-11-03 09:07+00', 12.5);
COPY shop.usage_event (event_id, customer_id, service, used_at, units) FROM STDIN;
900004	7	api_calls	2025-11-04 10:00:00+00	60000
900005	8	storage_gb_hours	2025-11-04 10:00:00+00	730
900006	8	fax_pages	2025-11-04 10:00:00+00	3
\.
RESET SESSION AUTHORIZATION;
SELECT account, event_key, meter, quantity_before, quantity, amount, currency
  FROM billadj.charge WHERE event_key BETWEEN '900001' AND '900006' ORDER BY event_key;
