/*---
kind: full
description: Every day of the years in which something was sold.
key: [date_id]
columns:
  date_id: the day as a number, YYYYMMDD
  day: day of the month
  week: ISO week, 1 to 53
  is_holiday: a public holiday of Tamil Nadu
  is_weekend: Saturday or Sunday
---*/
WITH years AS (
    SELECT
        date_trunc('year', min(sold_on))                        AS first_day,
        date_trunc('year', max(sold_on)) + INTERVAL '1 year'    AS end_day
    FROM staging.stg_sales
),

days AS (
    SELECT CAST(unnest(generate_series(first_day, end_day - INTERVAL '1 day', INTERVAL '1 day')) AS date) AS date
    FROM years
)

SELECT
    CAST(date_part('year', d.date) * 10000
        + date_part('month', d.date) * 100
        + date_part('day', d.date) AS integer)                  AS date_id,
    d.date,
    CAST(date_part('day', d.date) AS integer)                   AS day,
    CAST(date_part('week', d.date) AS integer)                  AS week,
    CAST(date_part('month', d.date) AS integer)                 AS month,
    CAST(date_part('quarter', d.date) AS integer)               AS quarter,
    CAST(date_part('year', d.date) AS integer)                  AS year,
    h.name IS NOT NULL                                          AS is_holiday,
    h.name                                                      AS holiday_name,
    date_part('dow', d.date) IN (0, 6)                          AS is_weekend
FROM days AS d
LEFT JOIN raw.holidays AS h ON h.date = d.date
