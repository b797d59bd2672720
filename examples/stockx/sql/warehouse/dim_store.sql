/*---
kind: full
description: Regions of the buyers, which stand for shops.
key: [store_id]
---*/
SELECT DISTINCT
    replace(lower(buyer_region), ' ', '-')  AS store_id,
    buyer_region                            AS city,
    buyer_region                            AS state,
    CAST(NULL AS double)                    AS lat,
    CAST(NULL AS double)                    AS lon,
    CAST(NULL AS bigint)                    AS population
FROM staging.stg_orders
