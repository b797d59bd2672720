"""psycopg 3: bound parameters, binary results, streaming, cancel, errors."""
import os
import threading
import time

import psycopg

with psycopg.connect(autocommit=True) as conn:
    rows = conn.execute("SELECT * FROM forecast(%s, horizon => %s)", ("SKU1", 28)).fetchall()
    assert len(rows) == 28, len(rows)
    text = conn.execute("SELECT forecast_value FROM forecast('SKU1', horizon => 28)").fetchall()
    with conn.cursor(binary=True) as cur:
        binary = cur.execute("SELECT forecast_value FROM forecast(%s, horizon => %s)", ("SKU1", 28)).fetchall()
    assert text == binary, "text and binary results differ"

    row = conn.execute(
        "SELECT %s::int8, %s::text, %s::numeric, %s::date, %s::bool, %s::text",
        (5, "x", __import__("decimal").Decimal("12.30"), __import__("datetime").date(2026, 1, 31), True, None),
    ).fetchone()
    assert row[0] == 5 and row[1] == "x" and row[2] == __import__("decimal").Decimal("12.30") and row[4] is True and row[5] is None, row

    counted = 0
    with conn.cursor() as cur:
        for _ in cur.stream("SELECT * FROM generate_series(1, 20000)"):
            counted += 1
    assert counted == 20000

    try:
        conn.execute("SELECT * FROM no_such_table")
        raise AssertionError("no error")
    except psycopg.errors.UndefinedTable:
        pass

    threading.Timer(0.5, conn.cancel).start()
    started = time.time()
    try:
        conn.execute("SELECT count(*) FROM fact_sales a, fact_sales b WHERE a.qty < b.qty")
        raise AssertionError("not canceled")
    except psycopg.errors.QueryCanceled:
        pass
    assert time.time() - started < 5
    assert conn.execute("SELECT 1").fetchone() == (1,)

with psycopg.connect() as conn:
    conn.execute("SELECT 1")
    try:
        conn.execute("SELECT 1/0")
    except psycopg.errors.DivisionByZero:
        pass
    try:
        conn.execute("SELECT 1")
        raise AssertionError("a failed transaction went on")
    except psycopg.errors.InFailedSqlTransaction:
        pass
    conn.rollback()
    assert conn.execute("SELECT 1").fetchone() == (1,)
