/*---
description: >-
  What each known customer is like: recency, frequency and monetary value as rfm gives them, the brand and the category
  that most of the money went to, and which share of it went to each of the five brands and five categories that earn
  most. customer_feature_names says which those are. For cluster((SELECT * FROM customer_features())), which takes the
  numbers and carries the names along.
arguments:
  - name: as_of
    default: (SELECT max(d.date) FROM fact_sales AS s JOIN dim_date AS d ON d.date_id = s.date_id)
    doc: the day from which recency counts; later sales are left out
example: SELECT * FROM customer_features(as_of => '2026-01-31') ORDER BY monetary DESC LIMIT 10
---*/
WITH spent AS (
    SELECT
        f.customer_id,
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
    GROUP BY f.customer_id, p.brand, p.category
),

divided AS (
    SELECT customer_id, 'brand' AS dimension, brand AS name, sum(revenue) AS revenue
    FROM spent
    GROUP BY customer_id, brand
    UNION ALL
    SELECT customer_id, 'category', category, sum(revenue)
    FROM spent
    GROUP BY customer_id, category
),

preferred AS (
    SELECT
        customer_id,
        dimension,
        name,
        row_number() OVER (PARTITION BY customer_id, dimension ORDER BY revenue DESC, name) AS place,
        CAST(revenue AS double)
            / nullif(CAST(sum(revenue) OVER (PARTITION BY customer_id, dimension) AS double), 0) AS share
    FROM divided
),

-- A row a customer. Who bought nothing of a brand has the share 0.
preferences AS (
    SELECT
        p.customer_id,
        max(p.name) FILTER (WHERE p.dimension = 'brand' AND p.place = 1) AS favourite_brand,
        max(p.name) FILTER (WHERE p.dimension = 'category' AND p.place = 1) AS favourite_category,
        coalesce(max(p.share) FILTER (WHERE n.feature = 'brand_1_share'), 0) AS brand_1_share,
        coalesce(max(p.share) FILTER (WHERE n.feature = 'brand_2_share'), 0) AS brand_2_share,
        coalesce(max(p.share) FILTER (WHERE n.feature = 'brand_3_share'), 0) AS brand_3_share,
        coalesce(max(p.share) FILTER (WHERE n.feature = 'brand_4_share'), 0) AS brand_4_share,
        coalesce(max(p.share) FILTER (WHERE n.feature = 'brand_5_share'), 0) AS brand_5_share,
        coalesce(max(p.share) FILTER (WHERE n.feature = 'category_1_share'), 0) AS category_1_share,
        coalesce(max(p.share) FILTER (WHERE n.feature = 'category_2_share'), 0) AS category_2_share,
        coalesce(max(p.share) FILTER (WHERE n.feature = 'category_3_share'), 0) AS category_3_share,
        coalesce(max(p.share) FILTER (WHERE n.feature = 'category_4_share'), 0) AS category_4_share,
        coalesce(max(p.share) FILTER (WHERE n.feature = 'category_5_share'), 0) AS category_5_share
    FROM preferred AS p
    LEFT JOIN customer_feature_names(as_of => $as_of) AS n ON n.dimension = p.dimension AND n.name = p.name
    GROUP BY p.customer_id
)

SELECT
    r.customer_id,
    r.recency,
    r.frequency,
    r.monetary,
    p.favourite_brand,
    p.favourite_category,
    p.brand_1_share,
    p.brand_2_share,
    p.brand_3_share,
    p.brand_4_share,
    p.brand_5_share,
    p.category_1_share,
    p.category_2_share,
    p.category_3_share,
    p.category_4_share,
    p.category_5_share
FROM rfm(as_of => $as_of) AS r
JOIN preferences AS p ON p.customer_id = r.customer_id
