/*---
kind: full
description: Resales, one row an order.
key: [sale_id]
expect:
  - {rule: "row_count > 0", on_fail: abort}
columns:
  revenue: what the buyer paid, in US dollars
  cost: retail price of the article, in US dollars
---*/
SELECT
    order_id                                        AS sale_id,
    sneaker_name                                    AS sku,
    replace(lower(buyer_region), ' ', '-')          AS store_id,
    CAST(date_part('year', order_date) * 10000
        + date_part('month', order_date) * 100
        + date_part('day', order_date) AS integer)  AS date_id,
    CAST(1 AS integer)                              AS qty,
    sale_price                                      AS revenue,
    retail_price                                    AS cost,
    CAST(NULL AS text)                              AS customer_id,
    'online'                                        AS channel,
    source_file                                     AS _file,
    source_line                                     AS _line
FROM staging.stg_orders
