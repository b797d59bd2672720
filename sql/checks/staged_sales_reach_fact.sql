/*---
description: fact_sales holds every staged sale of an article in the catalog, and no other
---*/
WITH staged AS (
    SELECT count(*) AS sales, sum(s.qty * s.price) AS revenue
    FROM staging.stg_sales AS s
    JOIN dim_product AS p ON p.sku = s.sku
),

loaded AS (
    SELECT count(*) AS sales, sum(revenue) AS revenue
    FROM fact_sales
)

SELECT staged.sales, loaded.sales AS loaded_sales, staged.revenue, loaded.revenue AS loaded_revenue
FROM staged
CROSS JOIN loaded
WHERE staged.sales <> loaded.sales OR staged.revenue <> loaded.revenue
