/*---
kind: incremental
description: Photos of each article that are known to show it, as the model sees them. Each is looked at once for each state of the model.
key: [sku, photo, model_version]
columns:
  model_version: sha256 of the model in ml.models
  embedding: what image_embedding says of the photo
  phash: perceptual hash, which copies of the photo share
---*/
SELECT
    r.sku,
    r.photo,
    m.sha256                                                    AS model_version,
    image_embedding(r.photo)                                    AS embedding,
    image_phash(r.photo)                                        AS phash
FROM raw.reference_photos AS r
CROSS JOIN (
    SELECT sha256 FROM ml.models WHERE name = 'authenticity' ORDER BY version DESC LIMIT 1
) AS m
WHERE NOT EXISTS (
    SELECT 1 FROM reference_photos AS k
    WHERE k.sku = r.sku AND k.photo = r.photo AND k.model_version = m.sha256
)
