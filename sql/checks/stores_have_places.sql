/*---
description: every shop stands in a town that the reference file knows
---*/
SELECT store_id, city
FROM dim_store
WHERE lat IS NULL OR lon IS NULL
