/*---
kind: incremental
description: What the photo of each listing says of the shoe, so that a person looks at the right ones first. No verdict is a proof.
key: [listing_id]
columns:
  market_price: median price that the article sold for in the year before the last sale, in rupees
  verdict: AUTHENTIC, REPLICA, INCONCLUSIVE (the evidence is weak) or UNABLE_TO_VERIFY (the photo is not good enough, or shows no shoe); NULL where it could not be read
  status: ok, or why the photo could not be read
---*/
SELECT
    l.listing_id,
    l.sku,
    l.seller,
    l.city,
    l.listed_on,
    l.price,
    m.market_price,
    c.verdict,
    c.p_authentic,
    c.explanation,
    c.findings,
    c.model,
    c.model_version,
    c.image_sha256,
    c.evaluated_at,
    c.status,
    c.status_detail
FROM authenticate_image((
    SELECT n.listing_id, n.photo, n.sku, n.price, m.market_price
    FROM staging.stg_listings AS n
    LEFT JOIN market_prices AS m ON m.sku = n.sku
    WHERE n.listing_id NOT IN (SELECT listing_id FROM listing_checks)
    ORDER BY n.listed_on, n.listing_id
), references => TABLE reference_photos) AS c
JOIN staging.stg_listings AS l ON l.listing_id = c.image_id
LEFT JOIN market_prices AS m ON m.sku = l.sku
