/*---
kind: full
description: Offers of sellers elsewhere, each with a photo.
key: [listing_id]
expect:
  - {rule: "listing_id <> ''",      on_fail: quarantine, reason: MISSING_ID}
  - {rule: "price > 0",             on_fail: quarantine, reason: BAD_NUMBER}
  - {rule: "listed_on IS NOT NULL", on_fail: quarantine, reason: BAD_DATE}
dedup: {order_by: "_file, _line"}
columns:
  photo: path or URL under a place that [images] allow names
  price: what the seller asks, in rupees
---*/
SELECT
    listing_id,
    sku,
    seller,
    city,
    photo,
    try_cast(price AS decimal(18, 2))                           AS price,
    try_cast(listed_on AS date)                                 AS listed_on,
    _file,
    _line
FROM raw.listings
