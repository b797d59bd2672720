/*---
kind: full
description: Customers without what identifies a person. Name, e-mail and phone stay in the raw files.
key: [customer_id]
---*/
SELECT
    customer_id,
    city,
    created_at
FROM raw.customers
