-- Totals: the sum of the charges is the price of the whole month's quantity,
-- whatever the order in which the rows came.  The right column computes it anew.
SELECT t.account, t.meter, t.period_start, t.rows, t.quantity, t.amount,
       billadj.rate(billadj.price_document(t.price_id), t.quantity) AS computed_anew
  FROM billadj.meter_total t
 WHERE t.account = '7' AND t.meter = 'api_calls'
 ORDER BY t.period_start;
SELECT count(*) AS totals, count(*) FILTER (WHERE amount <> billadj.rate(billadj.price_document(price_id), quantity)) AS differ
  FROM billadj.meter_total;
