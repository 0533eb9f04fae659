-- The host: a billing database that has been there for years.  It counts usage
-- and knows nothing of prices, but for telephone; shop_app is the login of its
-- application.
SELECT service, count(*) AS rows, count(DISTINCT customer_id) AS customers, sum(units) AS units,
       count(*) FILTER (WHERE units IS NULL) AS without_units
  FROM shop.usage_event GROUP BY service ORDER BY service;
