/*---
kind: full
description: What each brand sold on each day, returns taken off.
key: [date, brand]
columns:
  orders: order lines, without returns
  returned: pairs that came back
  qty: pairs sold less pairs that came back
  margin: revenue less cost, in rupees
---*/
SELECT
    d.date,
    p.brand,
    count(*) FILTER (WHERE f.qty > 0)                           AS orders,
    sum(f.qty)                                                  AS qty,
    -coalesce(sum(f.qty) FILTER (WHERE f.qty < 0), 0)           AS returned,
    CAST(sum(f.revenue) AS decimal(18, 2))                      AS revenue,
    CAST(sum(f.cost) AS decimal(18, 2))                         AS cost,
    CAST(sum(f.revenue - f.cost) AS decimal(18, 2))             AS margin
FROM fact_sales AS f
JOIN dim_date AS d ON d.date_id = f.date_id
JOIN dim_product AS p ON p.sku = f.sku
GROUP BY d.date, p.brand
