/*---
description: >-
  Recency, frequency and monetary value of each known customer: the figures by which customers are grouped.
arguments:
  - name: as_of
    default: (SELECT max(d.date) FROM fact_sales AS s JOIN dim_date AS d ON d.date_id = s.date_id)
    doc: the day from which recency counts; later sales are left out
example: SELECT * FROM rfm(as_of => '2026-01-31') ORDER BY monetary DESC LIMIT 10
---*/
SELECT
    f.customer_id,
    -- Whole days since the last purchase.
    CAST(date_part('epoch', CAST($as_of AS timestamp) - CAST(max(d.date) AS timestamp)) / 86400 AS integer) AS recency,
    count(*)                                                    AS frequency,
    CAST(sum(f.revenue) AS decimal(18, 2))                      AS monetary
FROM fact_sales AS f
JOIN dim_date AS d ON d.date_id = f.date_id
WHERE f.customer_id IS NOT NULL
    AND f.qty > 0
    AND d.date <= CAST($as_of AS date)
GROUP BY f.customer_id
