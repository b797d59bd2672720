/*---
kind: full
description: Every day of the years in which something was sold.
key: [date_id]
columns:
  date_id: the day as a number, YYYYMMDD
  week: ISO week, 1 to 53
  is_holiday: always false, because the project has no list of holidays
---*/
WITH years AS (
    SELECT
        date_trunc('year', min(order_date))                         AS first_day,
        date_trunc('year', max(order_date)) + INTERVAL '1 year'     AS end_day
    FROM staging.stg_orders
),

days AS (
    SELECT CAST(unnest(generate_series(first_day, end_day - INTERVAL '1 day', INTERVAL '1 day')) AS date) AS date
    FROM years
)

SELECT
    CAST(date_part('year', date) * 10000
        + date_part('month', date) * 100
        + date_part('day', date) AS integer)    AS date_id,
    date,
    CAST(date_part('day', date) AS integer)     AS day,
    CAST(date_part('week', date) AS integer)    AS week,
    CAST(date_part('month', date) AS integer)   AS month,
    CAST(date_part('quarter', date) AS integer) AS quarter,
    CAST(date_part('year', date) AS integer)    AS year,
    false                                       AS is_holiday,
    CAST(NULL AS text)                          AS holiday_name,
    date_part('dow', date) IN (0, 6)            AS is_weekend
FROM days
