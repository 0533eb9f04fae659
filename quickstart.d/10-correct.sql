-- Correct: the host changes or deletes a row, and the difference is one more
-- charge.  What was booked before stays as it was.
UPDATE shop.usage_event SET units = 40000 WHERE event_id = 900004;
DELETE FROM shop.usage_event WHERE event_id = 900003;
SELECT event_key, cause, quantity, amount
  FROM billadj.charge WHERE event_key IN ('900003', '900004') ORDER BY event_key, charge_id;
