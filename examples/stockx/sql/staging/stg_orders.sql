/*---
kind: full
description: Orders as they stand in the file, one row a line.
key: [order_id]
expect:
  - {rule: "sale_price > 0", on_fail: abort}
  - {rule: "sneaker_name IS NOT NULL AND buyer_region IS NOT NULL", on_fail: abort}
columns:
  order_id: line of the file, because the file has no order number
  sale_price: in US dollars, with the decimals of the file
---*/
SELECT
    'L' || lpad(CAST(_line AS text), 6, '0')    AS order_id,
    order_date,
    trim(brand)                                 AS brand,
    sneaker_name,
    sale_price,
    retail_price,
    release_date,
    shoe_size,
    buyer_region,
    _file                                       AS source_file,
    _line                                       AS source_line
FROM raw.orders
