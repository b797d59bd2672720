/*---
kind: full
description: Articles of the catalog.
key: [sku]
columns:
  release_date: first day on which the article was sold
---*/
SELECT
    sku,
    brand,
    model,
    category,
    launch_date AS release_date
FROM staging.stg_catalog
