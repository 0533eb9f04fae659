-- Attach: triggers on the host's table, and no other change to it.  First what
-- would be done and which lock it takes, then do it.
SELECT step, action, object, lock, done
  FROM billadj.attach('shop.usage_event', account => 'customer_id', occurred_at => 'used_at',
                      meter => 'service', quantity => 'units', dry_run => true);
SELECT count(*) AS steps, bool_and(done) AS all_done
  FROM billadj.attach('shop.usage_event', account => 'customer_id', occurred_at => 'used_at',
                      meter => 'service', quantity => 'units');
