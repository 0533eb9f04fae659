-- Why this amount: the row that crossed a bound, tier by tier.  The
-- explanation computes the same amount for ever, whatever prices come later.
SELECT s.tier, s.quantity, s.unit_amount, s.amount
  FROM billadj.charge c,
       jsonb_to_recordset(billadj.explain_charge(c.charge_id)->'steps') AS s(tier integer, quantity numeric, unit_amount numeric, amount numeric)
 WHERE c.event_key = '900004' ORDER BY s.tier;
SELECT e.explained->'source'->>'relation' AS relation, e.explained->'source'->>'event_key' AS event_key,
       e.explained->'price'->>'rate_card' AS rate_card, e.explained->'quantity_before' AS quantity_before,
       e.explained->'amount' AS amount, billadj.replay(e.explained) AS replayed
  FROM billadj.charge c, billadj.explain_charge(c.charge_id) AS e(explained)
 WHERE c.event_key = '900004';
