/*---
kind: full
description: Product catalog, one row an article.
key: [sku]
expect:
  - {rule: "unit_cost > 0", on_fail: abort}
columns:
  launch_date: first day on which the article was sold
  list_price: recommended price of one pair in rupees
  unit_cost: what one pair costs the company in rupees
---*/
SELECT
    sku,
    brand,
    model,
    category,
    launch_date,
    list_price,
    unit_cost
FROM raw.catalog
