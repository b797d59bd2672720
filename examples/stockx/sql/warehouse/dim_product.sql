/*---
kind: full
description: Articles that were resold. The name identifies one.
key: [sku]
---*/
SELECT DISTINCT
    sneaker_name                        AS sku,
    brand,
    replace(sneaker_name, '-', ' ')     AS model,
    'sneaker'                           AS category,
    release_date
FROM staging.stg_orders
