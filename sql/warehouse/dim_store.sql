/*---
kind: full
description: Shops that sold something, with the place in which they stand.
key: [store_id]
columns:
  lat: latitude of the town in degrees
  lon: longitude of the town in degrees
  population: people who live in the town
---*/
WITH stores AS (
    SELECT DISTINCT store_id, city
    FROM staging.stg_sales
)

SELECT
    s.store_id,
    s.city,
    'Tamil Nadu' AS state,
    c.lat,
    c.lon,
    c.population
FROM stores AS s
LEFT JOIN staging.stg_cities AS c ON c.city = s.city
