/*---
kind: full
description: Empty, because the file names no customers.
key: [customer_id]
---*/
SELECT
    CAST(NULL AS text) AS customer_id,
    CAST(NULL AS text) AS segment,
    CAST(NULL AS date) AS created_at
WHERE false
