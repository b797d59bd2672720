/*---
kind: full
description: Pairs of each article sold in each town on each day with sales; the series that forecasts are made from.
key: [sku, city, date]
series: {id: [sku, city], time: date, value: qty}
columns:
  qty: pairs sold less pairs that came back
  revenue: in rupees
---*/
SELECT
    f.sku,
    s.city,
    d.date,
    sum(f.qty)                                                  AS qty,
    CAST(sum(f.revenue) AS decimal(18, 2))                      AS revenue
FROM fact_sales AS f
JOIN dim_date AS d ON d.date_id = f.date_id
JOIN dim_store AS s ON s.store_id = f.store_id
GROUP BY f.sku, s.city, d.date
