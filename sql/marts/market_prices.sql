/*---
kind: view
description: What each article sold for in the year before the last sale.
---*/
SELECT
    f.sku,
    CAST(median(f.revenue / f.qty) AS decimal(18, 2))           AS market_price,
    count(*)                                                    AS orders
FROM fact_sales AS f
JOIN dim_date AS d ON d.date_id = f.date_id
WHERE f.qty > 0
  AND d.date > (SELECT max(d.date) FROM fact_sales AS f JOIN dim_date AS d ON d.date_id = f.date_id) - INTERVAL '365 days'
GROUP BY f.sku
