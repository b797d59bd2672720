"""Fine-tunes the last blocks of EfficientNet-Lite0 to tell genuine from counterfeit shoes, on the CPU.

  train.py DATA_DIR efficientnet_lite0.onnx OUT.onnx [--epochs 5] [--cache DIR] [--minutes 15]

DATA_DIR holds labels.csv (split,file,is_fake) and train/, valid/. Blocks 0..10 stay frozen: their output is computed
once for seven views of each photo, then blocks 11..15, the head convolution and a one-logit head are trained.
The data set holds rotated and mirrored copies of one source photo, so the 20 % held out for calibration
is taken by whole groups of copies. OUT.onnx keeps the graph's ops (Conv, Clip, Add, GlobalAveragePool, Flatten, Gemm);
outputs: `logits` n x 1 (log-odds of a fake, to be calibrated by OUT.json's a * z + b) and `embedding` n x 1280.
Needs numpy, pillow, scipy, scikit-learn, onnx, onnxruntime, torch (CPU)."""
import argparse, csv, json, os, time
import numpy as np, onnx, onnxruntime as ort, torch, torch.nn as nn, torch.nn.functional as F
from onnx import numpy_helper as nh
from PIL import Image, ImageEnhance
from scipy.sparse.csgraph import connected_components
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold

CUT = "/_blocks.10/Add_output_0"


def prep(a):
    return ((a.astype(np.float32) - 127) / 128).transpose(0, 3, 1, 2)


def squeeze(a):
    return np.asarray(Image.fromarray(a).resize((224, 224), Image.BILINEAR))


def augment(a, rng):
    s, r = 256 * np.sqrt(rng.uniform(0.55, 1)), np.exp(rng.uniform(-0.2, 0.2))
    w, h = min(256, s * r), min(256, s / r)
    x, y = rng.uniform(0, 256 - w), rng.uniform(0, 256 - h)
    im = Image.fromarray(a).resize((224, 224), Image.BILINEAR, box=(x, y, x + w, y + h))
    if rng.random() < 0.5:
        im = im.transpose(Image.FLIP_LEFT_RIGHT)
    for e in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        im = e(im).enhance(rng.uniform(0.8, 1.2))
    if rng.random() < 0.3:
        im = im.rotate(rng.uniform(-12, 12), Image.BILINEAR, fillcolor=(127, 127, 127))
    return np.asarray(im)


def source_groups(photos, emb, emb_mirror):
    """Copies of one source photo: colour histogram of the unpadded pixels and the embedding, either mirrored, agree."""
    hist = []
    for a in photos:
        p = a.reshape(-1, 3)
        p = p[p.max(1) > 12] >> 5
        hist.append(np.sqrt(np.bincount(p[:, 0].astype(int) * 64 + p[:, 1] * 8 + p[:, 2], minlength=512) / max(len(p), 1)))
    hist = np.array(hist, np.float32)
    unit = lambda e: (e - emb.mean(0)) / np.linalg.norm(e - emb.mean(0), axis=1, keepdims=True)
    cos, hc = np.maximum(unit(emb) @ unit(emb).T, unit(emb) @ unit(emb_mirror).T), hist @ hist.T
    return connected_components(((hc >= 0.96) & (cos + hc >= 1.4)) | (cos >= 0.85))[1]


class Tail(nn.Module):
    """Blocks 11..15 and the head convolution, read from the ONNX graph (batch norm is folded in already)."""

    def __init__(self, model):
        super().__init__()
        init = {i.name: i for i in model.graph.initializer}
        cut = next(i for i, n in enumerate(model.graph.node) if n.output[0] == CUT)
        self.nodes = [n for n in list(model.graph.node)[cut + 1 :] if n.op_type in ("Conv", "Clip", "Add")]
        self.w = nn.ParameterDict()
        for n in self.nodes:
            if n.op_type == "Conv":
                for i in n.input[1:3]:
                    self.w[i.replace("::", "_")] = nn.Parameter(torch.tensor(nh.to_array(init[i]).copy()))
        self.fc = nn.Linear(1280, 1)
        nn.init.zeros_(self.fc.weight), nn.init.zeros_(self.fc.bias)

    def forward(self, x):
        v = {CUT: x}
        for n in self.nodes:
            if n.op_type == "Conv":
                at = {a.name: onnx.helper.get_attribute_value(a) for a in n.attribute}
                t, l, b, r = at["pads"]
                w, c = (self.w[i.replace("::", "_")] for i in n.input[1:3])
                v[n.output[0]] = F.conv2d(F.pad(v[n.input[0]], (l, r, t, b)), w, c, at["strides"], 0, 1, at.get("group", 1))
            elif n.op_type == "Clip":
                v[n.output[0]] = v[n.input[0]].clamp(0, 6)
            else:
                v[n.output[0]] = v[n.input[0]] + v[n.input[1]]
        return self.fc(F.dropout(v[self.nodes[-1].output[0]].mean((2, 3)), 0.3, self.training))[:, 0]


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("data"), ap.add_argument("model"), ap.add_argument("out")
    ap.add_argument("--epochs", type=int, default=5), ap.add_argument("--cache", default="/tmp/shoes_cache")
    ap.add_argument("--minutes", type=float, default=60), ap.add_argument("--threads", type=int, default=2)
    o = ap.parse_args()
    torch.set_num_threads(o.threads), torch.manual_seed(0), os.makedirs(o.cache, exist_ok=True)
    rows = list(csv.DictReader(open(f"{o.data}/labels.csv")))
    y = np.array([int(r["is_fake"]) for r in rows])
    is_train = np.array([r["split"] == "train" for r in rows])
    T, V = np.where(is_train)[0], np.where(~is_train)[0]
    photos = np.stack([np.asarray(Image.open(f"{o.data}/{r['split']}/{r['file']}").convert("RGB")) for r in rows])
    model, rng = onnx.load(o.model), np.random.default_rng(0)
    m = onnx.ModelProto()
    m.CopyFrom(model)
    m.graph.output.append(onnx.helper.make_tensor_value_info(CUT, onnx.TensorProto.FLOAT, None))
    so = ort.SessionOptions()
    so.intra_op_num_threads = o.threads
    trunk = ort.InferenceSession(m.SerializeToString(), so)

    def cached(name, fn, idx):
        f = f"{o.cache}/c_{name}.npz"
        if not os.path.exists(f):
            a, e = [], []
            for i in range(0, len(idx), 32):
                r = trunk.run([CUT, "embedding"], {"input": prep(np.stack([fn(photos[j]) for j in idx[i : i + 32]]))})
                a.append(r[0].astype(np.float16)), e.append(r[1])
            np.savez(f, act=np.concatenate(a), emb=np.concatenate(e))
        d = np.load(f)
        return d["act"], d["emb"]

    sq, emb = cached("sq", squeeze, np.arange(len(y)))
    mirror, emb_m = cached("mirror", lambda a: squeeze(a)[:, ::-1], T)
    views = [sq[T], mirror] + [cached(f"aug{k}", lambda a: augment(a, rng), T)[0] for k in range(5)]
    groups = source_groups(photos[T], emb[T], emb_m)
    fit, hold = next(StratifiedGroupKFold(5, shuffle=True, random_state=0).split(T, y[T], groups))
    net, bs, step, start = Tail(model), 48, 0, time.time()
    opt = torch.optim.AdamW([{"params": net.w.parameters()}, {"params": net.fc.parameters()}], weight_decay=0.02)
    steps = o.epochs * (len(fit) // bs)

    def logits(idx):
        net.eval()
        with torch.no_grad():
            return np.concatenate([net(torch.tensor(sq[idx[i : i + 64]].astype(np.float32))).numpy() for i in range(0, len(idx), 64)])

    for ep in range(o.epochs):
        net.train()
        order = rng.permutation(fit)
        for i in range(0, len(order) - bs + 1, bs):
            b = order[i : i + bs]
            x = torch.tensor(np.stack([views[rng.integers(len(views))][j] for j in b]).astype(np.float32))
            t = torch.tensor(y[T[b]].astype(np.float32)) * 0.94 + 0.03  # label smoothing
            lam, perm = float(rng.beta(0.3, 0.3)), torch.tensor(rng.permutation(bs))  # mixup
            scale = min(1, (step + 1) / 20) * 0.5 * (1 + np.cos(np.pi * step / steps))
            opt.param_groups[0]["lr"], opt.param_groups[1]["lr"] = 3e-4 * scale, 3e-3 * scale
            z = net(lam * x + (1 - lam) * x[perm])
            bce = F.binary_cross_entropy_with_logits
            loss = lam * bce(z, t) + (1 - lam) * bce(z, t[perm])
            opt.zero_grad(), loss.backward(), opt.step()
            step += 1
        zh = logits(T[hold])
        print(f"epoch {ep} {time.time() - start:.0f}s held-out AUC {roc_auc_score(y[T[hold]], zh):.4f}", flush=True)
        if time.time() - start > 60 * o.minutes:
            break
    lr = LogisticRegression(C=1e6).fit(zh[:, None], y[T[hold]])  # Platt, on the held-out groups only
    a, b = float(lr.coef_[0, 0]), float(lr.intercept_[0])
    new = {n.replace("::", "_"): n for n in (i.name for i in model.graph.initializer)}
    put = {new[k]: p for k, p in net.w.items()} | {"m._fc.weight": net.fc.weight, "m._fc.bias": net.fc.bias}
    for i in model.graph.initializer:
        if i.name in put:
            i.CopyFrom(nh.from_array(put[i.name].detach().numpy(), i.name))
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 1
    onnx.checker.check_model(model)
    onnx.save(model, o.out)
    zv = logits(V)
    json.dump({"a": a, "b": b, "heldout_auc": roc_auc_score(y[T[hold]], zh), "valid_auc": roc_auc_score(y[V], zv), "n_fit": len(fit), "n_hold": len(hold)}, open(o.out.replace(".onnx", ".json"), "w"))
    np.savez(o.out.replace(".onnx", ".npz"), hold=hold, zh=zh, zv=zv)
    print("valid AUC", roc_auc_score(y[V], zv), "Platt", a, b)


main()
