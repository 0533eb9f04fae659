-- Leave: detach takes the triggers off, uninstall removes the tables.  The
-- host's table is what it was.
SELECT step, action, object, lock FROM billadj.detach('shop.usage_event');
SELECT action, count(*) FROM billadj.uninstall(keep_data => false) GROUP BY action ORDER BY action;
DROP EXTENSION billadj;
DROP ROLE ines, omar, vera, kai, noa;
SELECT count(*) AS rows, (SELECT count(*) FROM pg_trigger WHERE tgrelid = 'shop.usage_event'::regclass AND NOT tgisinternal) AS triggers
  FROM shop.usage_event;
