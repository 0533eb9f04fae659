-- Bill: money is rounded once, here at the line of the bill, and not before.
SELECT c.customer_id, c.name, l.meter, l.quantity, billadj.round_money(l.amount, 'EUR') AS amount
  FROM billadj.meter_total l JOIN shop.customer c ON c.customer_id::text = l.account
 WHERE c.customer_id IN (1, 7)
   AND l.period_start = timestamp '2025-10-01' AT TIME ZONE c.time_zone
 ORDER BY c.customer_id, l.meter;
