-- History: backfill rates the rows that were there before, in batches that
-- commit.  What cannot be rated is parked with its reason; nothing is lost.
CALL billadj.backfill('shop.usage_event', batch_size => 10000);
SELECT cause, count(*) AS charges, round(sum(amount), 6) AS amount FROM billadj.charge GROUP BY cause ORDER BY cause;
SELECT sqlstate, message, count(*) AS rows FROM billadj.parked_usage WHERE resolved_at IS NULL GROUP BY 1, 2 ORDER BY 1;
SELECT DISTINCT hint FROM billadj.parked_usage WHERE sqlstate = 'UB006';
