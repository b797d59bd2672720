"""usage: bench_photos.py BINARY DATA [accuracy|others|looks|swaps|speed|ten_thousand …]. See scripts/bench-photos."""
import csv
import io
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

BINARY, DATA = sys.argv[1], Path(sys.argv[2]) / "shoes"
WANTED = sys.argv[3:] or ["accuracy", "others", "looks", "swaps", "speed", "ten_thousand"]
MODELS = Path(__file__).resolve().parent.parent / "models"


class Project:
    """A project over a folder of photos."""

    def __init__(self, photos, **settings):
        self.folder = tempfile.TemporaryDirectory()
        more = "".join(f'{key} = "{value}"\n' for key, value in settings.items())
        (Path(self.folder.name) / "smartsneaks.toml").write_text(
            f'[images]\nallow = ["{photos}"]\nmodels = "{MODELS}"\n[onnx]\n{more}')
        (Path(self.folder.name) / "sql/marts").mkdir(parents=True)
        (Path(self.folder.name) / "sql/marts/one.sql").write_text("SELECT 1 AS one")
        made = subprocess.run([BINARY, "run", "--project", self.folder.name], capture_output=True, text=True)
        assert made.returncode == 0, made.stderr

    def ask(self, sql):
        started = time.time()
        out = subprocess.run([BINARY, "sql", "--project", self.folder.name, "-c", sql, "--format", "csv"], check=True, stdout=subprocess.PIPE)
        return list(csv.DictReader(io.StringIO(out.stdout.decode()))), time.time() - started


def labels(split):
    with open(DATA / "labels.csv") as file:
        return {row["file"]: row["is_fake"] == "0" for row in csv.DictReader(file) if row["split"] == split}


def auc(scores, authentic):
    order = np.argsort(np.argsort(scores, kind="stable")) + 1.0
    for value in np.unique(scores):
        tied = scores == value
        order[tied] = order[tied].mean()
    up = authentic.sum()
    return (order[authentic].sum() - up * (up + 1) / 2) / (up * (~authentic).sum())


def natural(path):
    """Whether the border of 13 pixels is of more than one colour: under 70% of it within 16 of its median."""
    a = np.asarray(Image.open(path).convert("RGB")).astype(int)
    ring = np.ones(a.shape[:2], bool)
    ring[13:-13, 13:-13] = False
    border = a[ring]
    return (np.abs(border - np.median(border, axis=0)).max(axis=1) <= 16).mean() < 0.7


def judged(photos, project=None):
    rows, took = (project or Project(photos)).ask("SELECT image_id, verdict, p_authentic, status FROM authenticate_image('*.jpg', explain => false)")
    known = {Path(row["image_id"]).name: row for row in rows}
    return known, took


def accuracy():
    truth = labels("valid")
    known, took = judged(DATA / "valid")
    names = sorted(truth)
    p = np.array([float(known[name]["p_authentic"]) for name in names])
    authentic = np.array([truth[name] for name in names])
    outside = np.array([natural(DATA / "valid" / name) for name in names])
    draw = np.random.default_rng(0)
    boot = [auc(p[i], authentic[i]) for i in (draw.integers(0, len(p), len(p)) for _ in range(500))]
    bins = np.minimum((p * 10).astype(int), 9)
    ece = sum(abs(p[bins == b].sum() - authentic[bins == b].sum()) for b in range(10)) / len(p)
    verdict = np.array([known[name]["verdict"] for name in names])
    said = verdict == "AUTHENTIC"
    print(f"Photos: {len(p)}, AUC {auc(p, authentic):.3f} [{np.quantile(boot, .025):.3f}, {np.quantile(boot, .975):.3f}], "
          f"natural backgrounds ({outside.sum()}) {auc(p[outside], authentic[outside]):.3f}, calibration error {ece:.3f}, "
          f"{took:.1f} s wall")
    print(f"Photos: AUTHENTIC {said.sum()}, {100 * authentic[said].mean():.1f}% of them right; "
          + ", ".join(f"{name} {100 * (verdict == name).mean():.1f}%" for name in ("REPLICA", "INCONCLUSIVE", "UNABLE_TO_VERIFY")))


def others():
    """Photos that show no shoe: how many are told, and how many photos of shoes are taken for one of them."""
    folder = os.environ.get("SMARTSNEAKS_OTHER_PHOTOS")
    if not folder:
        print("Others: skipped: $SMARTSNEAKS_OTHER_PHOTOS names no folder of .jpg files that show no shoe")
        return
    told = {}
    for what, photos in (("shoes", DATA / "valid"), ("others", folder)):
        rows, _ = Project(photos).ask(
            "SELECT a.verdict, f.value FROM authenticate_image('*.jpg', explain => false) a "
            "JOIN authentication_findings('*.jpg', explain => false) f USING (image_id) WHERE f.\"check\" = 'familiarity'")
        told[what] = np.array([float(row["value"]) for row in rows])
        sure = sum(row["verdict"] in ("AUTHENTIC", "REPLICA") for row in rows)
        print(f"Others: {len(rows)} photos of {what}: {100 * (told[what] > 1).mean():.1f}% show no shoe, {sure} have a sure verdict")
    strange = np.concatenate([told["others"], told["shoes"]])
    print(f"Others: AUC of strangeness {auc(strange, np.arange(len(strange)) < len(told['others'])):.4f}")


def looks():
    """What the verdict follows: the photo's middle or its edge, each greyed out or blurred."""
    truth = labels("valid")
    authentic = np.array([truth[name] for name in sorted(truth)])
    for side in (0.775, 0.6):
        for how in ("grey", "blur"):
            for part in ("middle", "edge"):
                with tempfile.TemporaryDirectory() as folder:
                    for name in truth:
                        photo = Image.open(DATA / "valid" / name).convert("RGB")
                        put = Image.new("RGB", photo.size, (127, 127, 127)) if how == "grey" else photo.filter(ImageFilter.GaussianBlur(16))
                        w, h = photo.size
                        mask = Image.new("L", photo.size, 255 if part == "edge" else 0)
                        x, y = int(w * (1 - side) / 2), int(h * (1 - side) / 2)
                        mask.paste(0 if part == "edge" else 255, (x, y, w - x, h - y))
                        photo.paste(put, mask=mask)
                        photo.save(f"{folder}/{name}", quality=95)
                    known, _ = judged(folder)
                    p = np.array([float(known[name]["p_authentic"] or 0.5) for name in sorted(truth)])
                    print(f"Looks: {part} of {100 * side:.1f}% of the side to {how}: AUC {auc(p, authentic):.3f}")


def swaps():
    """Each shoe before the background of a photo of the other class: whose label do the verdicts follow?"""
    masks = os.environ.get("SMARTSNEAKS_MASKS")
    if not masks:
        print("Swaps: skipped: $SMARTSNEAKS_MASKS names no .npz with f (valid/NAME.jpg …) and m (n x 256 x 256, 255 where the shoe is)")
        return
    kept = np.load(masks)
    truth = labels("valid")
    names = [str(name).split("/")[-1] for name in kept["f"]]
    mask = kept["m"].astype(float) / 255
    share, blurred = mask.mean(axis=(1, 2)), (mask * (1 - mask)).mean(axis=(1, 2))
    for what, most in (("with a mask", 1.0), ("with a sharp mask", 0.03)):
        usable = [i for i in range(len(names)) if 0.08 < share[i] < 0.85 and blurred[i] < most]
        photo = {i: np.asarray(Image.open(DATA / "valid" / names[i]).convert("RGB").resize((256, 256))).astype(float) for i in usable}
        soft = {i: np.asarray(Image.fromarray((mask[i] * 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(1.5)))[..., None] / 255 for i in usable}
        wide = {i: np.asarray(Image.fromarray((mask[i] * 255).astype(np.uint8)).filter(ImageFilter.MaxFilter(15)).filter(ImageFilter.GaussianBlur(4)))[..., None] / 255 for i in usable}

        def without(i):
            """The photo with its shoe painted over in the mean colour of the rest."""
            rest = 1 - wide[i]
            return photo[i] * rest + (photo[i] * rest).sum(axis=(0, 1)) / max(rest.sum(), 1) * wide[i]

        authentic = np.array([truth[names[i]] for i in usable])
        draw = np.random.default_rng(0)
        others = [draw.choice([j for j in usable if truth[names[j]] != truth[names[i]]]) for i in usable]
        for name, made in (("the shoe before another class's background", lambda i, other: photo[i] * soft[i] + without(other) * (1 - soft[i])),
                           ("the background without its shoe", lambda i, other: without(i))):
            with tempfile.TemporaryDirectory() as folder:
                for i, other in zip(usable, others):
                    Image.fromarray(np.clip(made(i, other), 0, 255).astype(np.uint8)).save(f"{folder}/{names[i]}", quality=95)
                known, _ = judged(folder)
            p = np.array([float(known[names[i]]["p_authentic"] or 0.5) for i in usable])
            print(f"Swaps: {len(usable)} photos {what}, {name}: AUC {auc(p, authentic):.3f} by the label of the photo that it is named after")


def library():
    import onnxruntime
    return next(Path(onnxruntime.__file__).parent.glob("capi/libonnxruntime.so*"))


def speed():
    """Photos a second through SQL on both backends, beside Python with the same network, reading and scaling included."""
    import onnxruntime
    options = onnxruntime.SessionOptions()
    session = onnxruntime.InferenceSession(str(MODELS / "authenticity/model.onnx"), options)
    files = sorted((DATA / "valid").glob("*.jpg"))

    def python():
        started = time.time()
        for start in range(0, len(files), 32):
            photos = [np.asarray(Image.open(f).convert("RGB").resize((224, 224), Image.BILINEAR)) for f in files[start:start + 32]]
            batch = ((np.stack(photos).astype(np.float32) - 127) / 128).transpose(0, 3, 1, 2)
            session.run(["logits"], {session.get_inputs()[0].name: np.ascontiguousarray(batch)})
        return len(files) / (time.time() - started)

    def sql(explain, **settings):
        project = Project(DATA / "valid", **settings)
        empty = min(project.ask("SELECT 1")[1] for _ in range(3))
        rows, took = project.ask(f"SELECT image_id, verdict FROM authenticate_image('*.jpg', explain => {explain})")
        return len(rows) / (took - empty)

    made = {"Python onnxruntime, batches of 32": [], "SQL, ONNX Runtime": [], "SQL, tract": [], "SQL, ONNX Runtime, all checks": []}
    for _ in range(3):
        made["Python onnxruntime, batches of 32"].append(python())
        made["SQL, ONNX Runtime"].append(sql("false", library=library()))
        made["SQL, tract"].append(sql("false"))
        made["SQL, ONNX Runtime, all checks"].append(sql("true", library=library()))
    base = statistics.median(made["Python onnxruntime, batches of 32"])
    for name, speeds in made.items():
        print(f"Speed: {name}: {statistics.median(speeds):.1f} photos a second = {statistics.median(speeds) / base:.2f}")
    ours = [Project(DATA / "valid", **s).ask("SELECT image_id, verdict, p_authentic FROM authenticate_image('*.jpg', explain => false)")[0]
            for s in ({}, {"library": library()})]
    same = sum(a["verdict"] == b["verdict"] for a, b in zip(*ours))
    apart = max(abs(float(a["p_authentic"]) - float(b["p_authentic"])) for a, b in zip(*ours))
    print(f"Speed: both backends give {same} of {len(files)} verdicts alike, probabilities at most {apart:.1e} apart")


def ten_thousand():
    """Ten thousand photos through psql: memory while they stream, and how soon a cancelled statement is gone."""
    with tempfile.TemporaryDirectory() as folder:
        photos = Path(folder) / "photos"
        photos.mkdir()
        sources = sorted((DATA / "train").glob("*.jpg"))
        for at in range(10_000):
            shutil.copy(sources[at % len(sources)], photos / f"{at:05}.jpg")
        project = Project(photos, library=library())
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        server = subprocess.Popen([BINARY, "serve", "--project", project.folder.name, "--pg", f"127.0.0.1:{port}", "--flight", "off", "--http", "off"],
                                  stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert server.stdout.readline().startswith("ready")
        most, done = [0], threading.Event()

        def watch():
            while not done.wait(0.2):
                status = Path(f"/proc/{server.pid}/status").read_text()
                most[0] = max(most[0], int(status.split("VmRSS:")[1].split()[0]) // 1024)

        threading.Thread(target=watch, daemon=True).start()
        psql = ["psql", "-h", "127.0.0.1", "-p", str(port), "-d", "smartsneaks", "-U", "bench", "-X", "-A", "-t"]
        first = int(Path(f"/proc/{server.pid}/status").read_text().split("VmRSS:")[1].split()[0]) // 1024
        started = time.time()
        out = subprocess.run([*psql, "-c", "SELECT image_id, verdict FROM authenticate_image('*.jpg', explain => false)"], check=True, capture_output=True, text=True)
        print(f"Ten thousand: {len(out.stdout.splitlines())} rows in {time.time() - started:.0f} s, memory {first} MB before, {most[0]} MB at most")
        client = subprocess.Popen([*psql, "-c", "SELECT count(*) FROM authenticate_image('*.jpg')"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        time.sleep(3)
        started = time.time()
        client.send_signal(signal.SIGINT)
        said = client.communicate()[1].strip()
        took = time.time() - started
        time.sleep(1)
        ticks = lambda: sum(map(int, Path(f"/proc/{server.pid}/stat").read_text().split()[13:15])) / os.sysconf("SC_CLK_TCK")
        before = ticks()
        time.sleep(2)
        print(f"Ten thousand: cancelled after {took:.2f} s ({said}), CPU in the two seconds after the next: {ticks() - before:.2f} s")
        done.set()
        server.terminate()
        server.wait()


for name in WANTED:
    {"accuracy": accuracy, "others": others, "looks": looks, "swaps": swaps, "speed": speed, "ten_thousand": ten_thousand}[name]()
