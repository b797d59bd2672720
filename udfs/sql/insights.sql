/*---
description: >-
  What is worth a look today, ranked by money: articles whose demand is forecast to change, articles that seem to be sold
  out, towns that need more stock, launches that run ahead of others or behind, days that were out of the ordinary, groups
  of customers that grew or shrank, and segments that drove the change of revenue. Each row has the query that proves it.
arguments:
  - name: as_of
    default: (SELECT max(date) FROM sku_city_daily)
    doc: the day that is today; later sales are left out
  - name: top_k
    default: "20"
    doc: how many rows, those with the most money first
example: SELECT kind, subject, money, sentence, action FROM insights(top_k => 5)
---*/
WITH today AS (
    SELECT CAST($as_of AS date) AS day
),

sold AS (
    SELECT s.*
    FROM sku_city_daily AS s
    WHERE s.date <= CAST($as_of AS date)
),

-- The next four weeks of each article beside the last four. Articles of few days borrow from their category and brand.
coming AS (
    SELECT
        sku,
        sum(forecast_value)                                     AS pairs,
        sqrt(sum(power((upper_bound - lower_bound) / 3.92, 2))) AS deviation
    FROM forecast(
        (
            SELECT s.sku, p.category, p.brand, s.date, s.qty
            FROM sku_city_daily AS s
            JOIN dim_product AS p ON p.sku = s.sku
            WHERE s.date <= CAST($as_of AS date)
        ),
        id_cols => ARRAY['sku', 'category', 'brand'],
        data_col => 'qty',
        future => TABLE promotion_calendar,
        horizon => 28
    )
    WHERE status = 'ok'
    GROUP BY sku
),

past AS (
    SELECT
        sku,
        sum(qty)                                                AS pairs,
        CAST(sum(revenue) AS double) / nullif(sum(qty), 0)      AS price
    FROM sold, today
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
            ELSE concat('order about ', CAST(floor(p.pairs - c.pairs) AS bigint), ' pairs less, or promote it')
        END                                                     AS action,
        concat(
            'SELECT (SELECT sum(forecast_value) FROM forecast(''', c.sku, ''', horizon => 28, as_of => ''', t.day,
            ''')) AS next_28_days, sum(qty) AS last_28_days, sum(revenue) / sum(qty) AS price FROM sku_city_daily WHERE sku = ''',
            c.sku, ''' AND date > ''', CAST(t.day - INTERVAL '28 days' AS date), ''' AND date <= ''', t.day, ''''
        )                                                       AS evidence
    FROM coming AS c
    JOIN past AS p ON p.sku = c.sku
    CROSS JOIN today AS t
    WHERE p.price IS NOT NULL
),

-- Articles that sold in a town in the sixteen weeks up to a day, and not since: longer than chance explains.
last_sale AS (
    SELECT
        s.sku,
        s.city,
        max(s.date)                                             AS day
    FROM sold AS s
    WHERE s.qty > 0
    GROUP BY s.sku, s.city
),

usual AS (
    SELECT
        l.sku,
        l.city,
        l.day                                                   AS last_day,
        date_part('day', CAST(t.day AS timestamp) - CAST(l.day AS timestamp)) AS days,
        sum(s.qty) / 112.0                                      AS pairs_a_day,
        -- The share of days without a sale: one large order doesn't make an article sell daily.
        1 - count(*) FILTER (WHERE s.qty > 0) / 113.0           AS idle,
        CAST(sum(s.revenue) AS double) / sum(s.qty)             AS price
    FROM last_sale AS l
    JOIN sold AS s ON s.sku = l.sku AND s.city = l.city AND s.date > l.day - INTERVAL '112 days'
    CROSS JOIN today AS t
    WHERE l.day < t.day AND l.day > t.day - INTERVAL '56 days'
    GROUP BY l.sku, l.city, l.day, t.day
    HAVING sum(s.qty) > 0
),

-- The chance that any of the articles and towns looked at would be idle for so long.
chance AS (
    SELECT u.*, power(u.idle, u.days) * count(*) OVER () AS chance
    FROM usual AS u
),

sold_out AS (
    SELECT
        'sold_out'                                              AS kind,
        concat(sku, ' in ', city)                               AS subject,
        -pairs_a_day * days * price                             AS money,
        concat(sku, ' has not sold in ', city, ' since ', last_day, ', where ', round(pairs_a_day * days, 1),
            ' pairs are usual in ', CAST(days AS bigint), ' days') AS sentence,
        1 - chance                                              AS confidence,
        concat('look whether ', city, ' has it, and send ', CAST(ceil(28 * pairs_a_day) AS bigint), ' pairs for four weeks')
                                                                AS action,
        concat('SELECT date, qty FROM sku_city_daily WHERE sku = ''', sku, ''' AND city = ''', replace(city, '''', ''''''),
            ''' AND date > ''', CAST(last_day - INTERVAL '112 days' AS date), ''' ORDER BY date') AS evidence
    FROM chance
    WHERE chance < 0.05
),

-- The next four weeks of each town beside the last four.
town_coming AS (
    SELECT
        city,
        sum(forecast_value)                                     AS pairs,
        sqrt(sum(power((upper_bound - lower_bound) / 3.92, 2))) AS deviation
    FROM forecast(
        (SELECT city, date, qty FROM sku_city_daily WHERE date <= CAST($as_of AS date)),
        id_cols => ARRAY['city'],
        data_col => 'qty',
        horizon => 28
    )
    WHERE status = 'ok'
    GROUP BY city
),

town_past AS (
    SELECT
        city,
        sum(qty)                                                AS pairs,
        CAST(sum(revenue) AS double) / nullif(sum(qty), 0)      AS price
    FROM sold, today
    WHERE date > day - INTERVAL '28 days'
    GROUP BY city
),

restock AS (
    SELECT
        'restock'                                               AS kind,
        c.city                                                  AS subject,
        (c.pairs - p.pairs) * p.price                           AS money,
        concat(c.city, ' is forecast to need ', CAST(round(c.pairs) AS bigint), ' pairs in the next 28 days after ',
            p.pairs, ' in the last 28')                         AS sentence,
        1 / (1 + exp(-1.702 * (c.pairs - p.pairs) / nullif(c.deviation, 0))) AS confidence,
        concat('send ', CAST(ceil(c.pairs - p.pairs) AS bigint), ' pairs more than in the last four weeks') AS action,
        concat(
            'SELECT sum(forecast_value) AS next_28_days FROM forecast((SELECT city, date, qty FROM sku_city_daily WHERE city = ''',
            replace(c.city, '''', ''''''), ''' AND date <= ''', t.day,
            '''), id_cols => ARRAY[''city''], data_col => ''qty'', horizon => 28)'
        )                                                       AS evidence
    FROM town_coming AS c
    JOIN town_past AS p ON p.city = c.city
    CROSS JOIN today AS t
    WHERE c.pairs > p.pairs
),

-- Articles of four to twelve weeks beside what earlier ones of their category had sold at that age.
launch AS (
    SELECT
        p.sku,
        p.category,
        p.release_date,
        date_part('day', CAST(t.day AS timestamp) - CAST(p.release_date AS timestamp)) + 1 AS age,
        coalesce(sum(s.qty), 0)                                 AS pairs,
        CAST(sum(s.revenue) AS double) / nullif(sum(s.qty), 0)  AS price
    FROM dim_product AS p
    CROSS JOIN today AS t
    LEFT JOIN sold AS s ON s.sku = p.sku
    WHERE p.release_date > t.day - INTERVAL '84 days' AND p.release_date <= t.day - INTERVAL '28 days'
    GROUP BY p.sku, p.category, p.release_date, t.day
),

earlier AS (
    SELECT
        l.sku,
        e.sku                                                   AS other,
        sum(s.qty)                                              AS pairs
    FROM launch AS l
    JOIN dim_product AS e
        ON e.category = l.category
        AND e.release_date < l.release_date
        AND e.release_date >= (SELECT min(date) FROM sku_city_daily)
    JOIN sold AS s
        ON s.sku = e.sku
        AND date_part('day', CAST(s.date AS timestamp) - CAST(e.release_date AS timestamp)) < l.age
    GROUP BY l.sku, e.sku
),

curve AS (
    SELECT
        l.sku,
        count(*)                                                AS launches,
        median(e.pairs)                                         AS pairs,
        -- Half a launch above and below, so that the share is never 0 or 1.
        (count(*) FILTER (WHERE e.pairs < l.pairs) + 0.5) / (count(*) + 1.0) AS below
    FROM launch AS l
    JOIN earlier AS e ON e.sku = l.sku
    GROUP BY l.sku
),

launches AS (
    SELECT
        CASE WHEN l.pairs > c.pairs THEN 'launch_ahead' ELSE 'launch_behind' END AS kind,
        l.sku                                                   AS subject,
        (l.pairs - c.pairs) * coalesce(l.price, 0)              AS money,
        concat(l.sku, ' sold ', l.pairs, ' pairs in its first ', CAST(l.age AS bigint), ' days; the median of ', c.launches,
            ' earlier launches of ', l.category, ' is ', CAST(c.pairs AS bigint)) AS sentence,
        greatest(c.below, 1 - c.below)                          AS confidence,
        CASE WHEN l.pairs > c.pairs THEN 'order again before it is sold out' ELSE 'promote it, or order no more' END AS action,
        concat('SELECT date, sum(qty) AS pairs FROM sku_city_daily WHERE sku = ''', l.sku, ''' GROUP BY date ORDER BY date')
                                                                AS evidence
    FROM launch AS l
    JOIN curve AS c ON c.sku = l.sku
    WHERE c.launches >= 5 AND (c.below > 0.8 OR c.below < 0.2)
),

-- The last two weeks of each town: promotions and holidays explain first, then the article that drove it is named.
unusual AS (
    SELECT
        concat('unusual_', a.direction)                         AS kind,
        concat(a.city, ' ', a.timestamp)                        AS subject,
        (a.value - a.expected_value) * p.price                  AS money,
        a.explanation                                           AS sentence,
        a.anomaly_probability                                   AS confidence,
        CASE WHEN a.direction = 'high' THEN 'find out why, and check the stock' ELSE 'find out what kept buyers away' END
            AS action,
        concat('SELECT sku, qty, revenue FROM sku_city_daily WHERE city = ''', replace(a.city, '''', ''''''), ''' AND date = ''',
            a.timestamp, ''' ORDER BY qty DESC')                AS evidence
    FROM detect_anomalies(
        (SELECT city, sku, date, qty FROM sku_city_daily WHERE date <= CAST($as_of AS date)),
        id_cols => ARRAY['city', 'sku'],
        data_col => 'qty',
        driver_cols => ARRAY['sku'],
        promotions => TABLE promotion_calendar,
        last_n => 14
    ) AS a
    JOIN town_past AS p ON p.city = a.city
    WHERE a.is_anomaly
),

-- Groups of customers at the last load beside those of the load before.
groups AS (
    SELECT
        version,
        cluster_id,
        max(segment_label)                                      AS segment_label,
        max(size)                                               AS size,
        max(median) FILTER (WHERE feature = 'monetary')         AS monetary
    FROM segment_history
    GROUP BY version, cluster_id
),

loads AS (
    SELECT
        max(version)                                            AS now,
        max(version) FILTER (WHERE version < (SELECT max(version) FROM segment_history)) AS before
    FROM segment_history
),

segments AS (
    SELECT
        CASE WHEN n.size > b.size THEN 'segment_grew' ELSE 'segment_shrank' END AS kind,
        n.segment_label                                         AS subject,
        (n.size - b.size) * n.monetary                          AS money,
        concat(n.segment_label, ' went from ', b.size, ' to ', n.size, ' customers since the load before',
            CASE WHEN n.segment_label <> b.segment_label THEN concat('; it was ', b.segment_label) END) AS sentence,
        -- As for demand, with the square root of the larger size for the deviation.
        1 / (1 + exp(-1.702 * abs(n.size - b.size) / sqrt(greatest(n.size, b.size)))) AS confidence,
        CASE
            WHEN n.segment_label <> b.segment_label THEN 'look at who they are now'
            WHEN n.segment_label IN ('Champions', 'Loyal', 'Potential loyalists', 'New') = (n.size > b.size)
                THEN 'thank them, and do more of it'
            ELSE 'win them back: write to those who have not come'
        END                                                     AS action,
        concat('SELECT version, segment_label, size, share FROM segment_history WHERE cluster_id = ', n.cluster_id,
            ' AND feature = ''monetary'' ORDER BY version')     AS evidence
    FROM loads AS l
    JOIN groups AS n ON n.version = l.now
    JOIN groups AS b ON b.version = l.before AND b.cluster_id = n.cluster_id
    WHERE n.size <> b.size
),

-- The last four weeks beside the four before, by brand, category and town.
drivers AS (
    SELECT
        CASE WHEN difference > 0 THEN 'revenue_rose' ELSE 'revenue_fell' END AS kind,
        array_to_string(drivers, ', ')                          AS subject,
        difference                                              AS money,
        explanation                                             AS sentence,
        -- As for demand; what was sold of so many pairs varies by chance (Poisson).
        1 / (1 + exp(-1.702 * abs(difference) / sqrt(greatest((metric_interest + metric_reference) * price, 1)))) AS confidence,
        CASE WHEN difference > 0 THEN 'do more of it' ELSE 'look into it' END AS action,
        concat(
            'SELECT s.date > ''', CAST(t.day - INTERVAL '28 days' AS date), ''' AS lately, sum(s.revenue) FROM sku_city_daily s',
            ' JOIN dim_product p ON p.sku = s.sku WHERE s.date > ''', CAST(t.day - INTERVAL '56 days' AS date),
            ''' AND s.date <= ''', t.day, '''',
            CASE WHEN k.brand IS NOT NULL THEN concat(' AND p.brand = ''', replace(k.brand, '''', ''''''), '''') END,
            CASE WHEN k.category IS NOT NULL THEN concat(' AND p.category = ''', replace(k.category, '''', ''''''), '''') END,
            CASE WHEN k.city IS NOT NULL THEN concat(' AND s.city = ''', replace(k.city, '''', ''''''), '''') END,
            ' GROUP BY 1'
        )                                                       AS evidence
    FROM key_drivers((
        SELECT p.brand, p.category, s.city, s.revenue, s.date > t.day - INTERVAL '28 days' AS lately
        FROM sold AS s
        JOIN dim_product AS p ON p.sku = s.sku
        CROSS JOIN today AS t
        WHERE s.date > t.day - INTERVAL '56 days'
    ), metric_col => 'revenue', interest_label_col => 'lately', top_k => 10) AS k
    CROSS JOIN today AS t
    CROSS JOIN (SELECT sum(pairs * price) / sum(pairs) AS price FROM town_past)
    WHERE brand IS NOT NULL OR category IS NOT NULL OR city IS NOT NULL
)

SELECT kind, subject, money, sentence, confidence, action, evidence
FROM (
    SELECT * FROM demand
    UNION ALL
    SELECT * FROM sold_out
    UNION ALL
    SELECT * FROM restock
    UNION ALL
    SELECT * FROM launches
    UNION ALL
    SELECT * FROM unusual
    UNION ALL
    SELECT * FROM segments
    UNION ALL
    SELECT * FROM drivers
) AS found
ORDER BY abs(money) DESC, kind, subject
LIMIT $top_k
