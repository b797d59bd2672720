"""The ADBC driver of Flight SQL: statements, parameters, metadata; the same rows as over Postgres wire."""
import os

import adbc_driver_flightsql.dbapi as flight
import psycopg
import pyarrow as pa

with flight.connect(f"grpc://127.0.0.1:{os.environ['FLIGHT']}", autocommit=True) as conn:
    with conn.cursor() as cur:
        cur.execute("SELECT * FROM forecast('SKU1', horizon => 28)")
        table = cur.fetch_arrow_table()
        assert table.num_rows == 28, table.num_rows
        for low, value, high in zip(*(table[c].to_pylist() for c in ("lower_bound", "forecast_value", "upper_bound"))):
            assert 0 <= low <= value <= high
        bounded = pa.record_batch([pa.array(["SKU1"]), pa.array([28], pa.int64())], names=["1", "2"])
        cur.execute("SELECT * FROM forecast($1, horizon => $2)", parameters=bounded)
        assert cur.fetch_arrow_table() == table, "bound parameters give other rows"
        cur.execute("SELECT count(*) FROM fact_sales")
        count = cur.fetchone()[0]
    objects = conn.adbc_get_objects(depth="tables").read_all().to_pylist()
    names = {t["table_name"] for c in objects for s in c["catalog_db_schemas"] for t in s["db_schema_tables"]}
    assert {"fact_sales", "dim_date", "sku_city_daily"} <= names, names
    assert "TABLE" in {t.upper().replace("BASE ", "") for t in conn.adbc_get_table_types()}
    assert "sale_id" in conn.adbc_get_table_schema("fact_sales").names

with psycopg.connect(autocommit=True) as pg:
    assert pg.execute("SELECT count(*) FROM fact_sales").fetchone()[0] == count
    with pg.cursor(binary=True) as cur:
        cur.execute("SELECT forecast_value, lower_bound, upper_bound FROM forecast('SKU1', horizon => 28)")
        rows = cur.fetchall()
    columns = [table[c].to_pylist() for c in ("forecast_value", "lower_bound", "upper_bound")]
    assert rows == list(zip(*columns)), "Postgres wire and Flight SQL differ"
