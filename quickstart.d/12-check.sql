-- Check: maintain() is for every day, and the last two say that nothing is
-- wrong: no row of the host is without its charge, no guard is missing.
SELECT action, count(*) FROM billadj.maintain() GROUP BY action ORDER BY action;
SELECT count(*) AS rows_without_charge FROM billadj.rating_gap('shop.usage_event');
SELECT severity, code, message FROM billadj.self_check();
