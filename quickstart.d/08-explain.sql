-- Why this amount: the row that crossed two bounds, tier by tier.  The same
-- explanation computes the same amount for ever, whatever prices come later.
SELECT jsonb_pretty(billadj.explain_usage('shop.usage_event', '900004')) AS explanation;
SELECT billadj.replay(billadj.explain_charge(charge_id)) AS replayed, amount
  FROM billadj.charge WHERE event_key = '900004';
