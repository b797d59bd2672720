"""usage: show.py BINARY. See scripts/show."""
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import psycopg

BINARY = sys.argv[1]
RUNAWAY = "SELECT count(*) FROM fact_sales a, fact_sales b WHERE a.qty < b.qty"


class Server:
    def __init__(self, warehouse, **env):
        self.started = time.time()
        doors = ["--pg", "127.0.0.1:0", "--flight", "127.0.0.1:0", "--http", "127.0.0.1:0"]
        self.process = subprocess.Popen(
            [BINARY, "serve", "--warehouse", warehouse, *doors],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env={**os.environ, **env},
        )
        ready = self.process.stdout.readline()
        self.ready = time.time() - self.started
        self.pg, self.flight = (int(re.search(rf"{d}=127.0.0.1:(\d+)", ready).group(1)) for d in ("pg", "flight"))

    def connect(self):
        return psycopg.connect(host="127.0.0.1", port=self.pg, user="analyst", dbname="smartsneaks", autocommit=True)

    def memory(self):
        return int(re.search(r"VmRSS:\s+(\d+)", open(f"/proc/{self.process.pid}/status").read()).group(1)) / 1024

    def peak(self):
        return int(re.search(r"VmHWM:\s+(\d+)", open(f"/proc/{self.process.pid}/status").read()).group(1)) / 1024

    def cpu(self):
        fields = open(f"/proc/{self.process.pid}/stat").read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def idle(self):
        before = self.cpu()
        time.sleep(1)
        return self.cpu() - before < 0.1

    def stop(self):
        started = time.time()
        self.process.terminate()
        self.process.wait()
        return time.time() - started


def median(make, runs=5):
    return statistics.median(make() for _ in range(runs))


def timed(action):
    started = time.time()
    action()
    return time.time() - started


with tempfile.TemporaryDirectory() as folder:
    warehouse = folder + "/warehouse"
    server = Server(warehouse)
    print(f"first build of the demo warehouse, to ready: {server.ready:.2f} s")
    print(f"stop by SIGTERM: {server.stop():.2f} s")
    starts = []
    for _ in range(5):
        server = Server(warehouse)
        starts.append(server.ready)
        server.stop()
    print(f"start with the warehouse present, to ready: {statistics.median(starts) * 1000:.0f} ms (median of 5)")

    times = {}
    for threads in (1, 2):
        server = Server(warehouse, SMARTSNEAKS_ENGINE_THREADS=str(threads))
        with server.connect() as conn:
            ask = lambda: conn.execute("SELECT count(*), count(DISTINCT sku) FROM forecast('*')").fetchall()
            ask()
            times[threads] = median(lambda: timed(ask))
            print(f"forecast('*') on {threads} thread(s): {times[threads]:.2f} s, {ask()[0][1]} series")
        server.stop()
    print(f"speed-up on 2 cores: {times[1] / times[2]:.2f}")

    server = Server(warehouse)
    with server.connect() as conn:
        ends = []
        for _ in range(3):
            asked = []
            threading.Timer(1, lambda: (asked.append(time.time()), conn.cancel())).start()
            try:
                conn.execute(RUNAWAY)
                raise SystemExit("not canceled")
            except psycopg.errors.QueryCanceled:
                ends.append(time.time() - asked[0])
            assert server.idle(), "busy after a cancel"
        print(f"runaway join ends {max(ends) * 1000:.0f} ms after a cancel request (worst of 3), CPU idle")
        conn.execute("SET statement_timeout = '1s'")
        try:
            took = time.time()
            conn.execute(RUNAWAY)
            raise SystemExit("no timeout")
        except psycopg.errors.QueryCanceled:
            print(f"runaway join with statement_timeout = '1s' ends after {time.time() - took:.2f} s")
        assert server.idle(), "busy after a timeout"
    client = subprocess.Popen(
        ["psql", "-X", "-h", "127.0.0.1", "-p", str(server.pg), "-U", "analyst", "-d", "smartsneaks", "-c", RUNAWAY]
    )
    time.sleep(1.5)
    client.kill()
    client.wait()
    gone = time.time()
    while not server.idle():
        assert time.time() - gone < 10, "busy after a disconnection"
    print(f"runaway join after the client's disconnection: idle within {max(0, time.time() - gone - 1):.2f} s")

    rows = "SELECT x, x * 2 AS y, 'some text that makes a row wider' AS t FROM generate_series(1, 5000000) AS s(x)"
    before = server.memory()
    with server.connect() as conn, conn.cursor() as cur:
        count = 0
        for _ in cur.stream(rows):
            count += 1
            if count % 250_000 == 0:
                time.sleep(0.2)
        assert count == 5_000_000
    print(f"5 million rows read slowly over Postgres wire: server memory {before:.0f} → peak {server.peak():.0f} MB")
    server.stop()

    server = Server(warehouse)
    import adbc_driver_flightsql.dbapi as flight

    before = server.memory()
    with flight.connect(f"grpc://127.0.0.1:{server.flight}", autocommit=True) as conn, conn.cursor() as cur:
        cur.execute(rows)
        reader, count = cur.fetch_record_batch(), 0
        for batch in reader:
            count += batch.num_rows
            time.sleep(0.003)
        assert count == 5_000_000
    print(f"5 million rows read slowly over Flight SQL: server memory {before:.0f} → peak {server.peak():.0f} MB")
    server.stop()
