/*---
kind: full
description: Customers, without what identifies a person.
key: [customer_id]
columns:
  segment: >-
    the group of customers that are alike by recency, frequency and monetary value (Champions, Loyal, …); No purchase
    for those who never bought
---*/
WITH segments AS (
    SELECT customer_id, segment_label
    FROM cluster(
        (SELECT * FROM rfm()),
        k => 4,
        id_cols => ARRAY['customer_id'],
        previous => (
            SELECT * FROM segment_history
            WHERE version = (SELECT max(version) FROM segment_history)
        )
    )
)

SELECT
    c.customer_id,
    coalesce(s.segment_label, 'No purchase') AS segment,
    c.created_at
FROM staging.stg_customers AS c
LEFT JOIN segments AS s ON s.customer_id = c.customer_id
