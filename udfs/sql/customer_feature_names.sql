/*---
description: >-
  What customer_features counts: the five brands and the five categories that known customers spent most on, each with the
  column that holds its share.
arguments:
  - name: as_of
    default: (SELECT max(d.date) FROM fact_sales AS s JOIN dim_date AS d ON d.date_id = s.date_id)
    doc: the day up to which money counts; later sales are left out
example: SELECT feature, name, revenue FROM customer_feature_names() ORDER BY feature
---*/
WITH earned AS (
    SELECT
        p.brand,
        p.category,
        sum(f.revenue)                                          AS revenue
    FROM fact_sales AS f
    JOIN dim_date AS d ON d.date_id = f.date_id
    JOIN dim_product AS p ON p.sku = f.sku
    -- The sales that rfm counts.
    WHERE f.customer_id IS NOT NULL
        AND f.qty > 0
        AND d.date <= CAST($as_of AS date)
    GROUP BY p.brand, p.category
),

ranked AS (
    SELECT
        'brand'                                                 AS dimension,
        brand                                                   AS name,
        sum(revenue)                                            AS revenue,
        row_number() OVER (ORDER BY sum(revenue) DESC, brand)   AS place
    FROM earned
    WHERE brand IS NOT NULL
    GROUP BY brand
    UNION ALL
    SELECT
        'category',
        category,
        sum(revenue),
        row_number() OVER (ORDER BY sum(revenue) DESC, category)
    FROM earned
    WHERE category IS NOT NULL
    GROUP BY category
)

SELECT
    concat(dimension, '_', place, '_share')                     AS feature,
    dimension,
    name,
    CAST(revenue AS decimal(18, 2))                             AS revenue
FROM ranked
WHERE place <= 5
