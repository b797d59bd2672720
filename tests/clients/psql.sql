-- What an analyst types on the first day.
SELECT version();
SELECT count(*) FROM fact_sales;
BEGIN;
SELECT sum(revenue) FROM fact_sales;
COMMIT;
SELECT * FROM forecast('SKU1', horizon => 28);
SELECT b.brand, sum(f.revenue) FROM fact_sales f JOIN dim_product b USING (sku) GROUP BY b.brand ORDER BY 2 DESC;
EXPLAIN SELECT * FROM forecast('*');
SHOW ALL;
