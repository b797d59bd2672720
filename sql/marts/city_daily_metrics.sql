/*---
kind: full
description: How each town did on each day.
key: [date, city]
columns:
  orders: order lines, without returns
  qty: pairs sold less pairs that came back
  customers: how many known customers bought or returned something
  avg_order_value: revenue of an order line, returns left out, in rupees
---*/
-- Customers first: counting distinct ones in one step would hold a set of them for every town and day.
WITH by_customer AS (
    SELECT
        d.date,
        s.city,
        f.customer_id,
        count(*) FILTER (WHERE f.qty > 0)                       AS orders,
        sum(f.qty)                                              AS qty,
        sum(f.revenue)                                          AS revenue,
        sum(f.revenue) FILTER (WHERE f.qty > 0)                 AS ordered
    FROM fact_sales AS f
    JOIN dim_date AS d ON d.date_id = f.date_id
    JOIN dim_store AS s ON s.store_id = f.store_id
    GROUP BY d.date, s.city, f.customer_id
)

SELECT
    date,
    city,
    sum(orders)                                                 AS orders,
    sum(qty)                                                    AS qty,
    CAST(sum(revenue) AS decimal(18, 2))                        AS revenue,
    count(customer_id)                                          AS customers,
    CAST(sum(ordered) / nullif(sum(orders), 0) AS decimal(18, 2)) AS avg_order_value
FROM by_customer
GROUP BY date, city
