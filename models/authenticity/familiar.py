"""Teaches a network how photos of shoes look to it, so that it can say of others that they show none.

  familiar.py DATA_DIR model.onnx [--of /_blocks.11/_swish/Clip_output_0] [--directions 128]

DATA_DIR holds labels.csv (split,file,is_fake) and train/, valid/. Takes the means over the photo of the feature maps
--of, scaled to length 1; principal components of the training photos' (Jolliffe 2002); and what the first --directions
of them leave of a photo is its strangeness, a new output `strangeness` n x 1 of model.onnx, which is written anew.
Prints the strangeness that 99 of 100 photos of valid/ have at most: `most` in model.toml.
Needs numpy, pillow, onnx, onnxruntime."""
import argparse, csv
import numpy as np, onnx, onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

OWN = "familiar_"


def photos(data, split, session):
    with open(f"{data}/labels.csv") as file:
        names = sorted(row["file"] for row in csv.DictReader(file) if row["split"] == split)
    for at in range(0, len(names), 32):
        batch = [Image.open(f"{data}/{split}/{name}").convert("RGB") for name in names[at : at + 32]]
        batch = [np.asarray(photo.resize((224, 224), Image.BILINEAR), np.float32) for photo in batch]
        yield session.run(None, {"input": (np.stack(batch).transpose(0, 3, 1, 2) - 127) / 128})


def add(graph, op, inputs, output, **attributes):
    graph.node.append(helper.make_node(op, inputs, [OWN + output], name=OWN + output, **attributes))
    return OWN + output


def constant(graph, name, values):
    graph.initializer.append(numpy_helper.from_array(np.asarray(values, np.float32), OWN + name))
    return OWN + name


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("data"), parser.add_argument("model")
    parser.add_argument("--of", default="/_blocks.11/_swish/Clip_output_0")
    parser.add_argument("--directions", type=int, default=128)
    options = parser.parse_args()
    model = onnx.load(options.model)
    graph = model.graph
    # What an earlier run added.
    for kept in (graph.node, graph.initializer, graph.output):
        for one in [one for one in kept if one.name.startswith(OWN) or one.name == "strangeness"]:
            kept.remove(one)
    pooled = add(graph, "GlobalAveragePool", [options.of], "pooled")
    flat = add(graph, "Flatten", [pooled], "flat", axis=1)
    length = add(graph, "ReduceL2", [flat], "length", axes=[1], keepdims=1)
    # Of nothing but zeros it stays one.
    divisor = add(graph, "Max", [length, constant(graph, "least", [np.finfo(np.float32).tiny])], "divisor")
    unit = add(graph, "Div", [flat, divisor], "unit")

    look = onnx.ModelProto()
    look.CopyFrom(model)
    del look.graph.output[:]
    look.graph.output.append(helper.make_tensor_value_info(unit, TensorProto.FLOAT, None))
    session = ort.InferenceSession(look.SerializeToString())
    seen = np.concatenate([units for units, in photos(options.data, "train", session)]).astype(np.float64)
    mean = seen.mean(axis=0)
    directions = np.linalg.svd(seen - mean, full_matrices=False)[2][: options.directions].T

    apart = add(graph, "Sub", [unit, constant(graph, "mean", mean)], "apart")
    along = add(graph, "MatMul", [apart, constant(graph, "directions", directions)], "along")
    whole = add(graph, "ReduceSumSquare", [apart], "whole", axes=[1], keepdims=1)
    known = add(graph, "ReduceSumSquare", [along], "known", axes=[1], keepdims=1)
    graph.node.append(helper.make_node("Sub", [whole, known], ["strangeness"], name="strangeness"))
    graph.output.append(helper.make_tensor_value_info("strangeness", TensorProto.FLOAT, ["n", 1]))
    onnx.checker.check_model(model)
    onnx.save(model, options.model)

    session = ort.InferenceSession(options.model)
    place = [output.name for output in session.get_outputs()].index("strangeness")
    valid = np.concatenate([outputs[place] for outputs in photos(options.data, "valid", session)])
    print(f"strangeness of {len(valid)} photos: median {np.median(valid):.5f}, 99 of 100 at most {np.quantile(valid, 0.99):.5f}")


main()
