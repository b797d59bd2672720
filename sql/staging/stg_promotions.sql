/*---
kind: full
description: Promotions with the days on which they run; no brand or category means all of them.
key: [promotion_id]
expect:
  - {rule: "start_date <= end_date", on_fail: abort}
  - {rule: "discount > 0 AND discount < 1", on_fail: abort}
columns:
  discount: share of the list price that is taken off
---*/
SELECT
    promotion_id,
    name,
    start_date,
    end_date,
    brand,
    category,
    discount
FROM raw.promotions
