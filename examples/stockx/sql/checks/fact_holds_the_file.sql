/*---
description: fact_sales holds every line of the file and every cent of it
---*/
WITH file AS (
    SELECT count(*) AS orders, sum(sale_price) AS revenue
    FROM staging.stg_orders
),

fact AS (
    SELECT count(*) AS orders, sum(revenue) AS revenue
    FROM fact_sales
)

SELECT file.orders, fact.orders AS fact_orders, file.revenue, fact.revenue AS fact_revenue
FROM file
CROSS JOIN fact
WHERE file.orders <> fact.orders OR file.revenue <> fact.revenue
