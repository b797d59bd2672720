/*---
kind: full
description: >-
  Transaction log of the shops, one row an order line, typed and cleaned. Rows that can't be sold goods are quarantined,
  rows that were sent twice are dropped.
key: [order_id]
dedup: {order_by: "source_file, source_line"}
expect:
  # Tried in this order: a row is filed under the first rule it breaks.
  - {rule: "_price_text IS NOT NULL", on_fail: quarantine, reason: MISSING_PRICE}
  - {rule: "qty IS NOT NULL AND price IS NOT NULL AND sold_at IS NOT NULL", on_fail: quarantine, reason: BAD_NUMBER}
  - {rule: "sold_on <= current_date + INTERVAL '1 day'", on_fail: quarantine, reason: FUTURE_DATE}
  - {rule: "row_count > 0", on_fail: abort}
columns:
  order_id: number of the order line; a return has its own
  sold_at: local time of the shop
  qty: pairs sold, negative for a return
  price: price of one pair in rupees, after discounts
  source_file: file that the row came from
  source_line: its line in that file
---*/
SELECT
    order_id,
    sku,
    try_cast(timestamp AS timestamp)    AS sold_at,
    try_cast(timestamp AS date)         AS sold_on,
    try_cast(qty AS integer)            AS qty,
    try_cast(price AS decimal(18, 2))   AS price,
    city,
    store_id,
    customer_id,
    channel,
    _file                               AS source_file,
    _line                               AS source_line,
    -- As received, so that the quarantine shows what could not be read.
    timestamp                           AS _timestamp_text,
    qty                                 AS _qty_text,
    price                               AS _price_text
FROM raw.sales
