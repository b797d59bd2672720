/*---
kind: full
description: Articles by pairs sold, over all and in the last 90 days. An article that never sold comes last.
key: [sku]
columns:
  qty: pairs sold less pairs that came back
  qty_90d: the same within the last 90 days of sales
  rank: 1 for the article that sold most; equal quantities share a rank
  rank_in_category: rank among the articles of its category
---*/
WITH last_day AS (
    SELECT max(d.date) AS date
    FROM fact_sales AS f
    JOIN dim_date AS d ON d.date_id = f.date_id
),

sold AS (
    SELECT
        f.sku,
        sum(f.qty)                                                              AS qty,
        sum(f.revenue)                                                          AS revenue,
        sum(f.qty) FILTER (WHERE d.date > l.date - INTERVAL '90 days')          AS qty_90d
    FROM fact_sales AS f
    JOIN dim_date AS d ON d.date_id = f.date_id
    CROSS JOIN last_day AS l
    GROUP BY f.sku
)

SELECT
    p.sku,
    p.brand,
    p.model,
    p.category,
    coalesce(s.qty, 0)                                                          AS qty,
    coalesce(s.qty_90d, 0)                                                      AS qty_90d,
    CAST(coalesce(s.revenue, 0) AS decimal(18, 2))                              AS revenue,
    CAST(rank() OVER (ORDER BY coalesce(s.qty, 0) DESC) AS bigint)              AS rank,
    CAST(rank() OVER (
        PARTITION BY p.category ORDER BY coalesce(s.qty, 0) DESC) AS bigint)    AS rank_in_category
FROM dim_product AS p
LEFT JOIN sold AS s ON s.sku = p.sku
