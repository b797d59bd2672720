/*---
kind: view
description: The largest promotion of each article on each day that has one, future days too. For promotions => and future => TABLE promotion_calendar.
columns:
  discount: share of the list price that is taken off
---*/
SELECT
    p.sku,
    d.date,
    max(m.discount)                                             AS discount
FROM staging.stg_promotions AS m
JOIN dim_date AS d ON d.date BETWEEN m.start_date AND m.end_date
JOIN dim_product AS p
    ON (m.brand IS NULL OR m.brand = p.brand)
    AND (m.category IS NULL OR m.category = p.category)
GROUP BY p.sku, d.date
