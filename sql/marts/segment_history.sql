/*---
kind: incremental
description: The groups of customers at each load, a row a group and figure. Groups keep their numbers and names from load to load.
key: [version, cluster_id, feature]
columns:
  version: the load that found the group
  median: figure of the middle customer of the group; overall_median is that of all
---*/
SELECT
    v.version,
    p.cluster_id,
    p.segment_label,
    p.size,
    p.share,
    p.feature,
    p.median,
    p.overall_median
FROM cluster_profile(
    (SELECT * FROM rfm()),
    k => 4,
    id_cols => ARRAY['customer_id'],
    previous => (
        SELECT * FROM segment_history
        WHERE version = (SELECT max(version) FROM segment_history)
    )
) AS p
CROSS JOIN (SELECT coalesce(max(version), 0) + 1 AS version FROM warehouse.versions) AS v
