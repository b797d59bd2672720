/*---
description: every sale has its article, shop, day and, when one is named, customer
---*/
SELECT f.sale_id, f.sku, f.store_id, f.date_id, f.customer_id
FROM fact_sales AS f
LEFT JOIN dim_product AS p ON p.sku = f.sku
LEFT JOIN dim_store AS s ON s.store_id = f.store_id
LEFT JOIN dim_date AS d ON d.date_id = f.date_id
LEFT JOIN dim_customer AS c ON c.customer_id = f.customer_id
WHERE p.sku IS NULL
    OR s.store_id IS NULL
    OR d.date_id IS NULL
    OR (c.customer_id IS NULL AND f.customer_id IS NOT NULL)
