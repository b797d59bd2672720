"""usage: bench_mining.py BINARY DATA [m4|m5|adbench|rfm|retail|truth|nab|kmeans|panel|latency …]. See scripts/bench-mining."""
import io
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

BINARY, DATA = sys.argv[1], Path(sys.argv[2])
WANTED = sys.argv[3:] or ["m4", "m5", "adbench", "rfm", "retail", "truth", "nab", "kmeans", "panel", "latency"]
HORIZON = 28


class Project:
    """A project over the files of one set: sources are read as they are, one model a table."""

    def __init__(self, sources, models):
        self.folder = tempfile.TemporaryDirectory()
        root = Path(self.folder.name)
        text = "".join(
            f'[sources.{name}]\npath = "{path}"\ncolumns = {{ {", ".join(f"{c} = {t!r}" for c, t in columns.items())} }}\n'
            for name, (path, columns) in sources.items()
        )
        (root / "smartsneaks.toml").write_text(text.replace("'", '"'))
        (root / "sql/marts").mkdir(parents=True)
        for name, sql in models.items():
            (root / f"sql/marts/{name}.sql").write_text(sql)
        made = subprocess.run([BINARY, "run", "--project", root], capture_output=True, text=True)
        assert made.returncode == 0, made.stderr

    def ask(self, sql):
        """The rows, wall seconds and CPU seconds."""
        before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.time()
        command = [BINARY, "sql", "--project", self.folder.name, "-c", sql, "--format", "csv"]
        out = subprocess.run(command, check=True, stdout=subprocess.PIPE)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return pd.read_csv(io.BytesIO(out.stdout)), time.time() - started, cpu

    def served(self):
        """A server of the project; a context."""
        return Server(self.folder.name)


class Server:
    """CPU of a server that is up, without its start, as a peer's is without that of Python."""

    def __init__(self, project):
        import psycopg
        doors = ["--pg", "127.0.0.1:0", "--flight", "off", "--http", "off"]
        self.process = subprocess.Popen([BINARY, "serve", "--project", project, *doors], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        port = re.search(r"pg=127.0.0.1:(\d+)", self.process.stdout.readline()).group(1)
        self.connection = psycopg.connect(host="127.0.0.1", port=port, user="analyst", dbname="smartsneaks", autocommit=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.connection.close()
        self.process.terminate()
        self.process.wait()

    def seconds(self):
        fields = open(f"/proc/{self.process.pid}/stat").read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def ask(self, sql, times=1):
        """The rows, and CPU seconds of the server each time."""
        before = self.seconds()
        for _ in range(times):
            rows = self.connection.execute(sql, binary=True).fetchall()
        return rows, (self.seconds() - before) / times


def smape(actual, made):
    size = np.abs(actual) + np.abs(made)
    return 200 * np.mean(np.where(size == 0, 0, np.abs(actual - made) / np.where(size == 0, 1, size)))


def peers(frame, models, horizon, freq, level=None):
    """Forecasts of statsforecast's models, and CPU seconds of each."""
    from statsforecast import StatsForecast
    made = {}
    for name, model in models.items():
        started = time.process_time()
        arguments = {"level": level} if level else {}
        out = StatsForecast(models=[model], freq=freq, n_jobs=1).forecast(df=frame, h=horizon, **arguments)
        made[name] = (out, time.process_time() - started)
    return made


def m4():
    from statsforecast.models import AutoTheta, SeasonalNaive
    columns = {"series_id": "text", "t": "bigint", "y": "double"}
    for name, season, horizon, moment in [
        ("hourly", 24, 48, "CAST(to_timestamp(1420070400 + back * 3600) AS timestamp)"),
        ("yearly", 1, 6, "make_date(CAST(2000 + back AS integer), 1, 1)"),
    ]:
        path = DATA / f"m4/{name}_train.parquet"
        if not path.exists():
            print(f"skipped: {path} is not there")
            continue
        # Series of different lengths end at the same moment: one that ended before would count as having stopped selling.
        train_sql = f"SELECT series_id, {moment} AS at, y FROM (SELECT *, t - max(t) OVER (PARTITION BY series_id) AS back FROM raw.train) AS x"
        project = Project({"train": (path, columns)}, {"train": train_sql})
        ours, wall, cpu = project.ask(f"SELECT series_id, horizon_step, forecast_value, lower_bound, upper_bound FROM forecast(TABLE train, horizon => {horizon})")
        train = pd.read_parquet(path).sort_values(["series_id", "t"])
        test = pd.read_parquet(DATA / f"m4/{name}_test.parquet").sort_values(["series_id", "t"])
        scale = train.groupby("series_id").y.apply(lambda y: np.mean(np.abs(y.values[season:] - y.values[:-season])))
        actual = {key: group.y.values for key, group in test.groupby("series_id")}

        def score(made):
            errors = [(smape(actual[key], value), np.mean(np.abs(actual[key] - value)) / scale[key]) for key, value in made.items()]
            return np.mean([e[0] for e in errors]), np.mean([e[1] for e in errors])

        ours = ours.sort_values(["series_id", "horizon_step"])
        inside = np.mean([np.mean((g.lower_bound.values <= actual[k]) & (actual[k] <= g.upper_bound.values)) for k, g in ours.groupby("series_id")])
        found = score({key: group.forecast_value.values for key, group in ours.groupby("series_id")})
        print(f"M4 {name}: {len(actual)} series: ours sMAPE {found[0]:.2f} MASE {found[1]:.3f} coverage {inside:.3f}, {wall:.1f} s wall, {cpu:.1f} s CPU")
        frame = train.rename(columns={"series_id": "unique_id", "t": "ds"})[["unique_id", "ds", "y"]]
        for peer, (out, took) in peers(frame, {"SeasonalNaive": SeasonalNaive(season), "AutoTheta": AutoTheta(season_length=season)}, horizon, 1).items():
            found = score({key: group[peer].values for key, group in out.groupby("unique_id")})
            print(f"  {peer}: sMAPE {found[0]:.2f} MASE {found[1]:.3f}, {took:.1f} s CPU")


def m5():
    from statsforecast.models import AutoETS, AutoTheta
    path = DATA / "m5/m5_daily_sales.parquet"
    if not path.exists():
        print(f"skipped: {path} is not there")
        return
    sales = pd.read_parquet(path)
    sales["sale_date"] = pd.to_datetime(sales.sale_date)
    sales["series"] = sales.item_id + "/" + sales.store_id
    last = sales.sale_date.max()
    cut = last - pd.Timedelta(days=HORIZON)
    names = np.sort(sales.series.unique())
    sample = set(np.random.default_rng(1).choice(names, 1_000, replace=False))
    source = {"item_id": "text", "store_id": "text", "dept_id": "text", "sale_date": "date", "quantity": "integer"}
    with tempfile.TemporaryDirectory() as folder:
        chosen = Path(folder) / "sample.csv"
        chosen.write_text("series\n" + "\n".join(sorted(sample)) + "\n")
        project = Project(
            {"m5": (path, source), "sample": (chosen, {"series": "text"})},
            {
                "items": "SELECT s.series, m.sale_date, m.quantity FROM raw.m5 m JOIN raw.sample s ON s.series = concat(m.item_id, '/', m.store_id)",
                "sums": "SELECT concat(store_id, '/', dept_id) AS series, sale_date, sum(quantity) AS quantity FROM raw.m5 GROUP BY store_id, dept_id, sale_date",
                "every": "SELECT dept_id, store_id, item_id, sale_date, quantity FROM raw.m5",
            },
        )
    days = pd.date_range(sales.sale_date.min(), last)
    groups = {"items": sales[sales.series.isin(sample)], "sums": sales.assign(series=sales.store_id + "/" + sales.dept_id)}
    for name, part in groups.items():
        wide = part.pivot_table(index="series", columns="sale_date", values="quantity", aggfunc="sum").reindex(columns=days).fillna(0)
        more = f"horizon => {HORIZON}, as_of => '{cut.date()}'"
        known, future = wide.loc[:, :cut], wide.loc[:, cut + pd.Timedelta(days=1):]
        usable = {}
        for key, row in known.iterrows():
            values = row.values[np.argmax(row.values > 0):] if row.values.any() else row.values[:0]
            if len(values) >= 56:
                usable[key] = values
        scales = {key: np.mean(np.diff(values) ** 2) for key, values in usable.items()}

        def score(made):
            rmsse, interval, inside = [], [], []
            for key, (mean, low, high) in made.items():
                actual = future.loc[key].values
                rmsse.append(np.sqrt(np.mean((actual - mean) ** 2) / scales[key]))
                interval.append(np.mean(high - low + 40 * np.maximum(low - actual, 0) + 40 * np.maximum(actual - high, 0)))
                inside.append(np.mean((low <= actual) & (actual <= high)))
            return f"RMSSE {np.mean(rmsse):.4f} interval score {np.mean(interval):.3f} coverage {np.mean(inside):.3f}"

        # A model of the panel learns from all series that it is given; the peers look at each alone.
        calls = {"on their own": ("series", f"forecast(TABLE {name}, {more})")}
        if name == "items":
            ids = "id_cols => ARRAY['dept_id', 'store_id', 'item_id']"
            calls["as part of all"] = ("concat(item_id, '/', store_id)", f"forecast(TABLE every, {ids}, {more})")
        for of, (key, call) in calls.items():
            ours, wall, cpu = project.ask(f"SELECT {key} AS series, horizon_step, forecast_value, lower_bound, upper_bound, model FROM {call} WHERE status = 'ok'")
            rows = len(ours)
            ours = ours[ours.series.isin(usable.keys())].sort_values(["series", "horizon_step"])
            made = {k: (g.forecast_value.values, g.lower_bound.values, g.upper_bound.values) for k, g in ours.groupby("series")}
            print(f"M5 {name}, {of}: {len(made)} series, {ours.model.iloc[0]}: ours {score(made)}, {wall:.1f} s wall, {cpu:.1f} s CPU for {rows // HORIZON} series")
        local = {}
        with project.served() as server:
            for model in ("ets", "theta", "tsb", "adida") if name == "items" else ("ets", "theta"):
                rows, local[model] = server.ask(f"SELECT series, horizon_step, forecast_value, lower_bound, upper_bound FROM forecast(TABLE {name}, {more}, model => '{model}') WHERE status = 'ok'")
                ours = pd.DataFrame(rows, columns=["series", "horizon_step", "mean", "low", "high"])
                ours = ours[ours.series.isin(usable.keys())].sort_values(["series", "horizon_step"])
                made = {k: (g["mean"].values, g.low.values, g.high.values) for k, g in ours.groupby("series")}
                print(f"  each alone, {model}: {score(made)}, {local[model]:.2f} s CPU")
        frame = pd.concat([pd.DataFrame({"unique_id": k, "ds": np.arange(len(v)), "y": v}) for k, v in usable.items()])
        models = {"AutoETS": AutoETS(season_length=7), "AutoTheta": AutoTheta(season_length=7)}
        for peer, (out, took) in peers(frame, models, HORIZON, 1, [95]).items():
            columns = [peer, f"{peer}-lo-95", f"{peer}-hi-95"]
            raw = {k: tuple(g[c].values for c in columns) for k, g in out.groupby("unique_id")}
            cut_off = {k: tuple(np.maximum(v, 0) for v in three) for k, three in raw.items()}
            print(f"  {peer}: {score(raw)}; cut off at 0: {score(cut_off)}; {took:.1f} s CPU")
            if peer == "AutoETS":
                print("  CPU of AutoETS over ours, each series alone: " + ", ".join(f"{model} {took / cpu:.0f}" for model, cpu in local.items()))


def adbench():
    from sklearn.ensemble import IsolationForest
    from sklearn.metrics import roc_auc_score
    for path in sorted((DATA / "adbench").glob("*.parquet")):
        table = pd.read_parquet(path)
        features = [c for c in table.columns if c.startswith("x")]
        table.insert(0, "row", range(len(table)))
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "rows.parquet"
            table.to_parquet(file, index=False)
            types = {"row": "bigint", **{c: "double" for c in features}, "label": "integer"}
            project = Project({"rows": (file, types)}, {"outliers": f"SELECT row, label, {', '.join(features)} FROM raw.rows"})
        listed = ", ".join(f"'{c}'" for c in features)
        # The peer has its rows in memory and hands over an array: what it takes to read the same columns and to send as
        # many rows is told apart.
        around = f"SELECT label, {' + '.join(features)} AS anomaly_score FROM outliers"
        scores, took, rest, theirs, peer_took = [], [], [], [], []
        with project.served() as server:
            for seed in range(5):
                sql = f"SELECT label, anomaly_score FROM detect_anomalies(TABLE outliers, feature_cols => ARRAY[{listed}], seed => {seed})"
                rows, _ = server.ask(sql)
                scores.append(roc_auc_score(*zip(*rows)))
                took.append(server.ask(sql, 10)[1])
                server.ask(around)
                rest.append(server.ask(around, 10)[1])
                started = time.process_time()
                forest = IsolationForest(n_estimators=100, max_samples=256, random_state=seed).fit(table[features].values)
                theirs.append(roc_auc_score(table.label, -forest.score_samples(table[features].values)))
                peer_took.append(time.process_time() - started)
        peer, whole, alone = np.median(peer_took), np.median(took), np.median(took) - np.median(rest)
        print(f"ADBench {path.stem}: {len(table)} × {len(features)}: AUC ours {np.mean(scores):.4f} scikit-learn {np.mean(theirs):.4f}; "
              f"CPU scikit-learn {peer:.3f} s, ours {alone:.3f} s: {peer / alone:.1f} times; "
              f"with the scan and sending the rows {whole:.3f} s: {peer / whole:.1f} times")


def rfm():
    from sklearn.cluster import KMeans
    from sklearn.metrics import adjusted_rand_score
    path = DATA / "online_retail/online_retail_ii_2009_2010.parquet"
    if not path.exists():
        print(f"skipped: {path} is not there")
        return
    types = {"invoice": "text", "quantity": "integer", "invoice_date": "timestamp", "price": "double", "customer_id": "integer"}
    sql = """SELECT customer_id::text AS customer_id,
        floor(date_part('epoch', (SELECT max(invoice_date) FROM raw.retail WHERE customer_id IS NOT NULL AND quantity > 0
            AND price > 0 AND invoice NOT LIKE 'C%') + INTERVAL '1 day' - max(invoice_date)) / 86400) AS recency,
        CAST(count(DISTINCT invoice) AS double) AS frequency, sum(quantity * price) AS monetary
    FROM raw.retail WHERE customer_id IS NOT NULL AND quantity > 0 AND price > 0 AND invoice NOT LIKE 'C%' GROUP BY customer_id"""
    project = Project({"retail": (path, types)}, {"customers": sql})
    table, _, _ = project.ask("SELECT * FROM customers")
    z = np.log1p(table[["recency", "frequency", "monetary"]].values)
    z = (z - z.mean(0)) / z.std(0)
    for k in (4, 5):
        call = f"cluster(TABLE customers, k => {k}, transform => 'log1p', standardize => 'zscore')"
        found, wall, cpu = project.ask(f"SELECT sum(power(distance_to_centroid, 2)) AS inertia, avg(silhouette) AS silhouette FROM {call}")
        started = time.process_time()
        peer = KMeans(k, n_init=20, random_state=0).fit(z)
        print(f"RFM of {len(table)} customers, k = {k}: inertia ours {found.inertia[0]:.1f} scikit-learn (n_init 20) {peer.inertia_:.1f}; "
              f"silhouette ours {found.silhouette[0]:.3f}; CPU ours {cpu:.2f} s, scikit-learn {time.process_time() - started:.2f} s")
        labels = []
        for seed in range(10):
            rows, _, _ = project.ask(f"SELECT customer_id, cluster_id FROM {call[:-1]}, id_cols => ARRAY['customer_id'], seed => {seed}) ORDER BY customer_id")
            labels.append(rows.cluster_id.values)
        agreed = [adjusted_rand_score(one, other) for at, one in enumerate(labels) for other in labels[:at]]
        print(f"  adjusted Rand index of 10 seeds, two by two: {min(agreed):.3f} at the least, {np.mean(agreed):.3f} on average")


PROMOTED = "TABLE promotion_calendar"


def generated(root, orders, seed):
    """A project over generated sales, its warehouse built."""
    repository = Path(__file__).resolve().parent.parent
    generate = [BINARY, "generate", "--orders", str(orders), "--days", "1096", "--seed", str(seed), "--out", root / "data/raw"]
    subprocess.run(generate, check=True, capture_output=True)
    for part in ("sql", "udfs/sql", "data/reference"):
        shutil.copytree(repository / part, root / part)
    shutil.copy(repository / "smartsneaks.toml", root)
    (root / "models").symlink_to(repository / "models")
    subprocess.run([BINARY, "run", "--project", root], check=True, capture_output=True)
    return root


def retail():
    """Generated sales of another seed than the demo's, a million orders: 28 days held out, of Deepavali and at the end."""
    from statsforecast.models import AutoETS, AutoTheta, CrostonOptimized, SeasonalNaive
    with tempfile.TemporaryDirectory() as folder:
        root = generated(Path(folder), 1_000_000, 20)

        def ask(sql):
            started = time.time()
            out = subprocess.run([BINARY, "sql", "--project", root, "-c", sql, "--format", "csv"], check=True, stdout=subprocess.PIPE)
            return pd.read_csv(io.BytesIO(out.stdout)), time.time() - started

        sold, _ = ask("SELECT sku, date, sum(qty) AS qty FROM sku_city_daily GROUP BY sku, date")
        sold["date"] = pd.to_datetime(sold.date)
        wide = sold.pivot_table(index="sku", columns="date", values="qty", aggfunc="sum")
        wide = wide.reindex(columns=pd.date_range(sold.date.min(), sold.date.max())).fillna(0)
        for cut in (pd.Timestamp("2025-09-30"), sold.date.max() - pd.Timedelta(days=HORIZON)):
            known, future = wide.loc[:, :cut], wide.loc[:, cut + pd.Timedelta(days=1):cut + pd.Timedelta(days=HORIZON)]
            usable = {}
            for key, row in known.iterrows():
                values = row.values[np.argmax(row.values > 0):] if row.values.any() else row.values[:0]
                if len(values) >= 56:
                    usable[key] = np.maximum(values, 0)
            judged = set(np.random.default_rng(1).choice(sorted(usable), min(200, len(usable)), replace=False))
            usable = {key: values for key, values in usable.items() if key in judged}
            scales = {key: np.mean(np.diff(values) ** 2) for key, values in usable.items()}

            def score(made):
                rmsse = [np.sqrt(np.mean((future.loc[k].values - v[0]) ** 2) / scales[k]) for k, v in made.items()]
                inside = [np.mean((v[1] <= future.loc[k].values) & (future.loc[k].values <= v[2])) for k, v in made.items()]
                return np.mean(rmsse), np.mean(inside)

            frame = pd.concat([pd.DataFrame({"unique_id": k, "ds": np.arange(len(v)), "y": v}) for k, v in usable.items()])
            models = {"AutoETS": AutoETS(season_length=7), "AutoTheta": AutoTheta(season_length=7),
                      "SeasonalNaive": SeasonalNaive(7), "CrostonOptimized": CrostonOptimized()}
            best = None
            print(f"Retail, 28 days from {cut.date()}, {len(usable)} articles of {len(wide)}:")
            for peer, (out, took) in peers(frame, models, HORIZON, 1).items():
                found = score({k: (g[peer].values,) * 3 for k, g in out.groupby("unique_id")})[0]
                print(f"  {peer}: RMSSE {found:.4f}, {took:.1f} s CPU")
                best = found if best is None else min(best, found)
            for name, more in (("without", ", holiday_region => 'none', gap_fill => 'zero'"), ("holidays, stock-outs", ""),
                               ("holidays, stock-outs, promotions", f", future => {PROMOTED}")):
                ours, wall = ask(f"SELECT sku, horizon_step, forecast_value, lower_bound, upper_bound, model FROM "
                                 f"forecast('*', horizon => {HORIZON}, as_of => '{cut.date()}'{more}) WHERE status = 'ok'")
                ours = ours[ours.sku.isin(usable.keys())].sort_values(["sku", "horizon_step"])
                rmsse, inside = score({k: (g.forecast_value.values, g.lower_bound.values, g.upper_bound.values) for k, g in ours.groupby("sku")})
                print(f"  ours, {name}, {ours.model.iloc[0]}: RMSSE {rmsse:.4f} = {rmsse / best:.3f} of the best peer, "
                      f"coverage {inside:.3f}, {wall:.1f} s wall")


def truth():
    """Generated sales: injected anomalies of 3 sigma or more that are found, and alarms that are none of the injected.

    Judged are orders a day by town, by article, and of all: what an anomaly is injected into. (Pairs are a compound of
    them: one order in a hundred is for 4 to 10 pairs, and a day of few orders can't stand out of that.)"""
    sold = ("SELECT sales.sku, store.city, day.date FROM fact_sales AS sales JOIN dim_store AS store ON store.store_id = sales.store_id "
            "JOIN dim_date AS day ON day.date_id = sales.date_id WHERE sales.qty > 0")
    for seed in (1, 20):
        with tempfile.TemporaryDirectory() as folder:
            root = generated(Path(folder), 100_000, seed)
            injected = pd.read_csv(root / "data/raw/truth/anomalies.csv", parse_dates=["date"])

            def ask(sql):
                out = subprocess.run([BINARY, "sql", "--project", root, "-c", sql, "--format", "csv"], check=True, stdout=subprocess.PIPE)
                return pd.read_csv(io.BytesIO(out.stdout))

            days_off = set(pd.to_datetime(ask("SELECT date FROM dim_date WHERE is_holiday").date))
            # What an anomaly is about, and the series in which it is to be seen.
            about = lambda a: [key for key in ("city", "sku") if pd.notna(a[key])] or ["all"]
            found, alarms, on_holidays, sigma = set(), [], 0, {}
            for key in ("city", "sku", "all"):
                of = f"{key}, " if key != "all" else ""
                day = f"SELECT {of}date, count(*) AS orders FROM ({sold}) GROUP BY {of}date"
                orders = ask(day).assign(**({} if of else {"all": "all"}))
                orders["date"] = pd.to_datetime(orders.date)
                wide = orders.pivot_table(index="date", columns=key, values="orders").asfreq("D").fillna(0)
                # How far a day stands out of the four weeks around it, in robust deviations but at least those of a count.
                middle = wide.rolling(29, center=True, min_periods=8).median()
                spread = 1.4826 * (wide - middle).abs().rolling(29, center=True, min_periods=8).median()
                sigma[key] = (wide - middle).abs() / np.maximum(spread, np.sqrt(np.maximum(middle, 1)))
                promoted = f", promotions => {PROMOTED}" if key == "sku" else ""
                seen = ask(f"SELECT {of}timestamp AS at FROM detect_anomalies(({day}){promoted}) WHERE is_anomaly")
                for _, alarm in seen.iterrows():
                    at = pd.Timestamp(alarm["at"])
                    # Of this town or article, or of the whole state: a town's alarm says nothing of an article's day.
                    whole = injected.city.isna() & injected.sku.isna()
                    of_this = whole if key == "all" else whole | (injected[key] == alarm[key])
                    same = injected[(injected.date == at) & of_this]
                    alarms.append(len(same) > 0)
                    found |= set(same.index)
                    on_holidays += len(same) == 0 and at in days_off
            stands = lambda a, key: sigma[key].get(a.get(key, "all"), pd.Series(dtype=float)).get(a.date, 0) >= 3
            strong = [i for i, a in injected.iterrows() if any(stands(a, key) for key in about(a))]
            hit = sum(i in found for i in strong)
            missed = [f"{injected.date[i]:%F} {injected.sentence[i]}" for i in strong if i not in found]
            print(f"Generated, seed {seed}: {hit} of {len(strong)} anomalies of 3 sigma or more found ({len(injected)} injected), "
                  f"precision {np.mean(alarms):.2f} of {len(alarms)} alarms, {on_holidays} false ones on holidays; missed: {'; '.join(missed) or 'none'}")


def nab():
    """Real series with labelled windows: windows found, and alarms outside any, a file, with the default arguments."""
    folder = DATA / "nab/realKnownCause"
    if not folder.exists():
        print(f"skipped: {folder} is not there")
        return
    windows = json.loads((DATA / "nab/windows.json").read_text())
    false_alarms = []
    for path in sorted(folder.glob("*.csv")):
        project = Project({"points": (path, {"timestamp": "timestamp", "value": "double"})}, {"points": "SELECT timestamp, value FROM raw.points"})
        rows, wall, _ = project.ask("SELECT timestamp FROM detect_anomalies(TABLE points) WHERE is_anomaly ORDER BY timestamp")
        at = pd.to_datetime(rows.timestamp)
        labelled = next(value for key, value in windows.items() if key.endswith(path.name))
        spans = [(pd.Timestamp(a), pd.Timestamp(b)) for a, b in labelled]
        found = sum(any(a <= t <= b for t in at) for a, b in spans)
        # Alarms within a day of each other are one.
        outside = [t for t in at if not any(a <= t <= b for a, b in spans)]
        alarms = sum(1 for i, t in enumerate(outside) if i == 0 or t - outside[i - 1] > pd.Timedelta(days=1))
        false_alarms.append(alarms)
        print(f"NAB {path.stem}: {found} of {len(spans)} windows found, {alarms} false alarms, {wall:.1f} s wall")
    print(f"NAB: {np.mean(false_alarms):.1f} false alarms a file")


def kmeans():
    from sklearn.cluster import KMeans
    for rows, k in ((100_000, 10), (1_000_000, 20)):
        draw = np.random.default_rng(5)
        points = draw.normal(size=(k, 5))[draw.integers(0, k, rows)] * 3 + draw.normal(size=(rows, 5))
        table = pd.DataFrame(points, columns=[f"x{i}" for i in range(5)])
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "points.parquet"
            table.to_parquet(file, index=False)
            project = Project({"points": (file, {c: "double" for c in table.columns})}, {"points": "SELECT * FROM raw.points"})
        columns = ", ".join(f"'{c}'" for c in table.columns)
        call = f"cluster(TABLE points, feature_cols => ARRAY[{columns}], k => {k}, transform => 'none', standardize => 'none')"
        # Both have their rows: the peer in memory, the server in its store. Three times each, in turns.
        walls, cpus, peer_walls, peer_cpus = [], [], [], []
        with project.served() as server:
            for _ in range(3):
                started = time.time()
                rows_out, cpu = server.ask(f"SELECT sum(power(distance_to_centroid, 2)) FROM {call}")
                walls.append(time.time() - started)
                cpus.append(cpu)
                started, process = time.time(), time.process_time()
                peer = KMeans(k, n_init=10, random_state=0).fit(points)
                peer_walls.append(time.time() - started)
                peer_cpus.append(time.process_time() - process)
        wall, took = np.median(walls), np.median(peer_walls)
        print(f"KMeans {rows} × 5, k = {k}: inertia {rows_out[0][0] / peer.inertia_:.4f} of scikit-learn's (n_init 10), "
              f"wall {wall:.2f} s = {wall / took:.2f} times, CPU {np.median(cpus):.2f} s against {np.median(peer_cpus):.2f} s")


def panel():
    """30,000 series of 400 days, of which a tenth sell daily and the rest now and then."""
    draw = np.random.default_rng(3)
    series, days = 30_000, 400
    rate = np.exp(draw.normal(-0.5, 1.2, series))
    week = 1 + 0.4 * np.sin(2 * np.pi * np.arange(days) / 7)
    frame = pd.DataFrame({
        "item": np.repeat([f"item{i}" for i in range(series)], days),
        "date": np.tile(pd.date_range("2024-01-01", periods=days).date, series),
        "qty": draw.poisson(rate[:, None] * week[None, :]).ravel(),
    })
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "sales.parquet"
        frame.to_parquet(file, index=False)
        types = {"item": "text", "date": "date", "qty": "bigint"}
        project = Project({"sales": (file, types)}, {"sales": "SELECT * FROM raw.sales"})
    sql = "SELECT model, count(*) AS rows, sum(forecast_value) AS total FROM forecast(TABLE sales) GROUP BY model ORDER BY 2 DESC"
    command = [BINARY, "sql", "--project", project.folder.name, "-c", sql, "--format", "csv"]
    started = time.time()
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    # The peak that wait4 tells is this process's own, if that was larger when it forked.
    peak = 0
    while process.poll() is None:
        found = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{process.pid}/status").read_text())
        peak = max(peak, int(found.group(1))) if found else peak
        time.sleep(0.02)
    took = time.time() - started
    assert process.returncode == 0
    print(f"forecast over {series} series × {days} days: {took:.0f} s wall, {peak / 2**20:.2f} GiB at most; "
          f"{' '.join(process.stdout.read().decode().split()[1:])}")


def latency():
    """One article of the demo, as a dashboard asks for it: simple protocol, one connection."""
    import psycopg
    root = Path(__file__).resolve().parent.parent
    with tempfile.TemporaryDirectory() as folder:
        os.environ["SMARTSNEAKS_WAREHOUSE_URL"] = str(Path(folder) / "warehouse")
        try:
            subprocess.run([BINARY, "run", "--project", root], check=True, capture_output=True)
            create = "CREATE OR REPLACE MODEL bench AS SELECT * FROM forecast('*')"
            subprocess.run([BINARY, "sql", "--project", root, "-c", create], check=True, capture_output=True)
            with Server(root) as server:
                cursor = psycopg.ClientCursor(server.connection)
                for name, sql in [("SELECT 1", "SELECT 1"), ("forecast('SKU1')", "SELECT * FROM forecast('SKU1')"), ("with a kept model", "SELECT * FROM forecast('SKU1', model => 'bench')")]:
                    took = []
                    for _ in range(220):
                        started = time.perf_counter()
                        cursor.execute(sql).fetchall()
                        took.append(time.perf_counter() - started)
                    print(f"{name}: p50 {1e3 * np.median(took[20:]):.2f} ms, p95 {1e3 * np.quantile(took[20:], .95):.2f} ms")
        finally:
            del os.environ["SMARTSNEAKS_WAREHOUSE_URL"]


RUN = {"m4": m4, "m5": m5, "adbench": adbench, "rfm": rfm, "retail": retail, "truth": truth, "nab": nab, "kmeans": kmeans, "panel": panel, "latency": latency}
for name in WANTED:
    RUN[name]()
