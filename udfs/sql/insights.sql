/*---
description: >-
  What is worth a look today, ranked by money: articles whose demand is forecast to change, days that were out of the
  ordinary, and segments that drove the change of revenue. Each row has the query that proves it.
arguments:
  - name: top_k
    default: "20"
    doc: how many rows, those with the most money first
example: SELECT kind, subject, money, sentence, action FROM insights(top_k => 5)
---*/
WITH today AS (
    SELECT max(date) AS day FROM sku_city_daily
),

-- The next four weeks of each article beside the last four.
coming AS (
    SELECT
        sku,
        sum(forecast_value)                                     AS pairs,
        sqrt(sum(power((upper_bound - lower_bound) / 3.92, 2))) AS deviation
    FROM forecast('*', horizon => 28)
    WHERE status = 'ok'
    GROUP BY sku
),

past AS (
    SELECT
        sku,
        sum(qty)                                                AS pairs,
        CAST(sum(revenue) AS double) / nullif(sum(qty), 0)      AS price
    FROM sku_city_daily, today
    WHERE date > day - INTERVAL '28 days'
    GROUP BY sku
),

demand AS (
    SELECT
        CASE WHEN c.pairs > p.pairs THEN 'demand_rises' ELSE 'demand_falls' END AS kind,
        c.sku                                                   AS subject,
        (c.pairs - p.pairs) * p.price                           AS money,
        concat(c.sku, ' is forecast to sell ', CAST(round(c.pairs) AS bigint), ' pairs in the next 28 days after ',
            p.pairs, ' in the last 28')                         AS sentence,
        -- Probability that the change has this sign, by the logistic approximation of the normal distribution.
        1 / (1 + exp(-1.702 * abs(c.pairs - p.pairs) / nullif(c.deviation, 0))) AS confidence,
        CASE
            WHEN c.pairs > p.pairs THEN concat('order about ', CAST(ceil(c.pairs - p.pairs) AS bigint), ' pairs more')
            ELSE 'order less, or promote it'
        END                                                     AS action,
        concat('SELECT * FROM forecast(''', c.sku, ''', horizon => 28)') AS evidence
    FROM coming AS c
    JOIN past AS p ON p.sku = c.sku
    WHERE p.price IS NOT NULL
),

-- The last two weeks of each town.
unusual AS (
    SELECT
        concat('unusual_', a.direction)                         AS kind,
        concat(a.city, ' ', a.timestamp)                        AS subject,
        (a.value - a.expected_value) * CAST(m.avg_order_value AS double) AS money,
        a.explanation                                           AS sentence,
        a.anomaly_probability                                   AS confidence,
        CASE WHEN a.direction = 'high' THEN 'find out why, and check the stock' ELSE 'find out what kept buyers away' END
            AS action,
        concat('SELECT * FROM city_daily_metrics WHERE city = ''', a.city, ''' AND date = ''', a.timestamp, '''')
            AS evidence
    FROM detect_anomalies((SELECT city, date, orders FROM city_daily_metrics), last_n => 14) AS a
    JOIN city_daily_metrics AS m ON m.city = a.city AND m.date = a.timestamp
    WHERE a.is_anomaly
),

-- The last four weeks beside the four before, by brand, category and town.
drivers AS (
    SELECT
        CASE WHEN difference > 0 THEN 'revenue_rose' ELSE 'revenue_fell' END AS kind,
        array_to_string(drivers, ', ')                          AS subject,
        difference                                              AS money,
        explanation                                             AS sentence,
        CAST(NULL AS double)                                    AS confidence,
        CASE WHEN difference > 0 THEN 'do more of it' ELSE 'look into it' END AS action,
        concat(
            'SELECT s.date > ''', CAST(t.day - INTERVAL '28 days' AS date), ''' AS lately, sum(s.revenue) FROM sku_city_daily s',
            ' JOIN dim_product p ON p.sku = s.sku WHERE s.date > ''', CAST(t.day - INTERVAL '56 days' AS date), '''',
            CASE WHEN k.brand IS NOT NULL THEN concat(' AND p.brand = ''', replace(k.brand, '''', ''''''), '''') END,
            CASE WHEN k.category IS NOT NULL THEN concat(' AND p.category = ''', replace(k.category, '''', ''''''), '''') END,
            CASE WHEN k.city IS NOT NULL THEN concat(' AND s.city = ''', replace(k.city, '''', ''''''), '''') END,
            ' GROUP BY 1'
        )                                                       AS evidence
    FROM key_drivers((
        SELECT p.brand, p.category, s.city, s.revenue, s.date > t.day - INTERVAL '28 days' AS lately
        FROM sku_city_daily AS s
        JOIN dim_product AS p ON p.sku = s.sku
        CROSS JOIN today AS t
        WHERE s.date > t.day - INTERVAL '56 days'
    ), metric_col => 'revenue', interest_label_col => 'lately', top_k => 10) AS k
    CROSS JOIN today AS t
    WHERE brand IS NOT NULL OR category IS NOT NULL OR city IS NOT NULL
)

SELECT kind, subject, money, sentence, confidence, action, evidence
FROM (
    SELECT * FROM demand
    UNION ALL
    SELECT * FROM unusual
    UNION ALL
    SELECT * FROM drivers
) AS found
ORDER BY abs(money) DESC, subject
LIMIT $top_k
