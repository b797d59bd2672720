/*---
description: every mart holds exactly the pairs and rupees of fact_sales
---*/
WITH totals AS (
    SELECT 'fact_sales' AS name, sum(qty) AS qty, sum(revenue) AS revenue FROM fact_sales
    UNION ALL
    SELECT 'daily_brand_sales', sum(qty), sum(revenue) FROM daily_brand_sales
    UNION ALL
    SELECT 'city_daily_metrics', sum(qty), sum(revenue) FROM city_daily_metrics
    UNION ALL
    SELECT 'sku_popularity_rank', sum(qty), sum(revenue) FROM sku_popularity_rank
    UNION ALL
    SELECT 'sku_city_daily', sum(qty), sum(revenue) FROM sku_city_daily
)

SELECT m.name, m.qty, f.qty AS fact_qty, m.revenue, f.revenue AS fact_revenue
FROM totals AS m
CROSS JOIN (SELECT qty, revenue FROM totals WHERE name = 'fact_sales') AS f
WHERE m.qty <> f.qty OR m.revenue <> f.revenue
