"""usage: crash.py BINARY KILLS. See scripts/test-crash."""
import random
import subprocess
import sys
import tempfile
import time

binary, kills = sys.argv[1], int(sys.argv[2])
random.seed(20261122)
FIGURES = (
    "SELECT (SELECT max(version) FROM warehouse.versions) AS v, (SELECT count(*) FROM fact_sales) AS sales,"
    " (SELECT sum(revenue) FROM fact_sales) AS revenue, (SELECT count(*) FROM sku_city_daily) AS series,"
    " (SELECT count(*) FROM etl.runs) AS runs, (SELECT count(*) FROM etl.quarantine) AS quarantined"
)

with tempfile.TemporaryDirectory() as folder:
    base = [binary, "--warehouse", folder + "/warehouse"]

    def run():
        return subprocess.run(base + ["run"], capture_output=True, text=True)

    def figures():
        out = subprocess.run(base + ["sql", "-c", FIGURES, "--format", "csv"], capture_output=True, text=True)
        assert out.returncode == 0, out.stderr
        version, sales, revenue, series, runs, quarantined = out.stdout.splitlines()[1].split(",")
        return int(version), (sales, revenue, series), int(runs), int(quarantined)

    started = time.time()
    first = run()
    assert first.returncode == 0, first.stderr
    took = time.time() - started
    version, data, runs, quarantined = figures()
    per_run = quarantined
    old = new = 0
    for kill in range(kills):
        process = subprocess.Popen(base + ["run"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(random.uniform(0, took * 1.05))
        process.kill()
        process.wait()
        now = figures()
        if now[0] == version:
            assert now == (version, data, runs, quarantined), (now, version)
            old += 1
        else:
            assert now[0] == version + 1 and now[1] == data and now[2] == runs + 1, (now, version)
            assert now[3] == quarantined + per_run, (now, quarantined)
            new += 1
        again = run()
        assert again.returncode == 0, again.stderr
        version, same, runs, quarantined = figures()
        assert version == now[0] + 1 and same == data
    print(f"{kills} kills: {old} times the old version, {new} times the new one, the next run succeeded every time")
