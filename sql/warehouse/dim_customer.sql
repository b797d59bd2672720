/*---
kind: full
description: Customers, without what identifies a person.
key: [customer_id]
columns:
  segment: unsegmented until the clustering step has been run
---*/
SELECT
    customer_id,
    'unsegmented' AS segment,
    created_at
FROM staging.stg_customers
