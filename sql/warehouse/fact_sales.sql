/*---
kind: full
description: Sales and returns, one row an order line. A return has negative qty, revenue and cost.
key: [sale_id]
expect:
  - {rule: "sku IN (SELECT sku FROM public.dim_product)", on_fail: quarantine, reason: UNKNOWN_SKU}
  - {rule: "row_count > 0", on_fail: abort}
columns:
  date_id: day of the sale, YYYYMMDD
  qty: pairs sold, negative for a return
  revenue: qty times the price paid, in rupees
  cost: qty times the unit cost of the article, in rupees
---*/
SELECT
    s.order_id                                                  AS sale_id,
    s.sku,
    s.store_id,
    CAST(date_part('year', s.sold_on) * 10000
        + date_part('month', s.sold_on) * 100
        + date_part('day', s.sold_on) AS integer)               AS date_id,
    s.qty,
    CAST(s.qty * s.price AS decimal(18, 2))                     AS revenue,
    CAST(s.qty * c.unit_cost AS decimal(18, 2))                 AS cost,
    s.customer_id,
    s.channel,
    s.source_file                                               AS _file,
    s.source_line                                               AS _line
FROM staging.stg_sales AS s
LEFT JOIN staging.stg_catalog AS c ON c.sku = s.sku
