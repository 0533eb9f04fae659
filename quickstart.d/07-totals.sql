-- Totals: the sum of the charges is the price of the whole month's quantity,
-- whatever the order in which the rows came.  The right column computes it anew.
SELECT t.account, t.meter, t.period_start, t.rows, t.quantity, t.amount,
       billadj.rate((SELECT c.price FROM jsonb_array_elements(billadj.export_rate_card('list-2025')->'prices') AS c(price)
                      WHERE c.price->>'meter' = t.meter), t.quantity) AS computed_anew
  FROM billadj.meter_total t
 WHERE t.account = '7' AND t.meter = 'api_calls'
 ORDER BY t.period_start;
