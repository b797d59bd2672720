/*---
kind: full
description: >-
  Places of Tamil Nadu (GeoNames, CC BY 4.0), one row a name. Where several places share a name, the most populous one
  has it.
key: [city]
dedup: {order_by: "population DESC, _geonameid"}
---*/
SELECT
    name        AS city,
    latitude    AS lat,
    longitude   AS lon,
    population,
    geonameid   AS _geonameid
FROM raw.cities
