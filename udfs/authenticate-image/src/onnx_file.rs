//! ONNX files: what they say of themselves, and how they are written.

use prost::Message;
use thiserror::Error;
use tract_onnx::pb::tensor_shape_proto::dimension::Value as Dimension;
use tract_onnx::pb::type_proto::Value as Type;
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, StringStringEntryProto,
    TensorProto, TensorShapeProto, TypeProto, ValueInfoProto, tensor_shape_proto, type_proto,
};

/// Why a file is no model that can be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum OnnxError {
    /// No ONNX at all.
    #[error("not an ONNX model: {0}")]
    Format(String),
    /// Nothing goes in or comes out.
    #[error("the model has no {0}")]
    Missing(&'static str),
}

/// What a model takes and gives.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ModelShape {
    /// What goes in.
    pub(crate) inputs: Vec<Port>,
    /// What comes out.
    pub(crate) outputs: Vec<Port>,
}

/// An input or output.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Port {
    /// Its name.
    pub(crate) name: String,
    /// Its dimensions; `None` for one that is open.
    pub(crate) shape: Vec<Option<i64>>,
}

/// What a model says that it takes and gives.
///
/// # Errors
/// For bytes that are no model.
pub(crate) fn describe(bytes: &[u8]) -> Result<ModelShape, OnnxError> {
    let graph = graph(read(bytes)?)?;
    let weights: Vec<&str> = graph.initializer.iter().map(|weight| weight.name.as_str()).collect();
    let inputs: Vec<Port> =
        graph.input.iter().filter(|one| !weights.contains(&one.name.as_str())).map(port).collect();
    if inputs.is_empty() {
        return Err(OnnxError::Missing("input"));
    }
    if graph.output.is_empty() {
        return Err(OnnxError::Missing("output"));
    }
    Ok(ModelShape { inputs, outputs: graph.output.iter().map(port).collect() })
}

/// The same model for batches of `n`: the backend in Rust runs open dimensions several times as slowly.
///
/// # Errors
/// For bytes that are no model.
pub(crate) fn with_batch(bytes: &[u8], n: i64) -> Result<Vec<u8>, OnnxError> {
    let mut model = read(bytes)?;
    let Some(graph) = model.graph.as_mut() else { return Err(OnnxError::Missing("graph")) };
    for port in graph.input.iter_mut().chain(&mut graph.output) {
        let Some(Type::TensorType(tensor)) = port.r#type.as_mut().and_then(|one| one.value.as_mut()) else {
            continue;
        };
        let first = tensor.shape.as_mut().and_then(|shape| shape.dim.first_mut());
        if let Some(first) = first.filter(|first| !matches!(first.value, Some(Dimension::DimValue(1..)))) {
            first.value = Some(Dimension::DimValue(n));
        }
    }
    // What was inferred for another batch.
    graph.value_info.clear();
    Ok(model.encode_to_vec())
}

/// What is left of embeddings of length 1 beside what most have in common.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Directions {
    /// Their mean.
    pub(crate) mean: Vec<f32>,
    /// For each number of an embedding, its part in each direction in which they differ most.
    pub(crate) along: Vec<f32>,
    /// Directions.
    pub(crate) count: usize,
}

/// Writes a head: logit = Σ weightᵢ·xᵢ + bias, from an embedding; with `familiar` also its strangeness, the square of
/// what the directions leave of it.
#[must_use]
pub(crate) fn linear(
    weights: &[f32],
    bias: f32,
    familiar: Option<&Directions>,
    notes: &[(&str, String)],
) -> Vec<u8> {
    let wide = weights.len() as i64;
    let tensor = |name: &str, dims: Vec<i64>, float_data: Vec<f32>| TensorProto {
        name: name.to_owned(),
        data_type: FLOAT,
        dims,
        float_data,
        ..TensorProto::default()
    };
    let gemm = NodeProto {
        attribute: vec![AttributeProto {
            name: "transB".to_owned(),
            r#type: INT,
            i: 1,
            ..AttributeProto::default()
        }],
        ..node("Gemm", &["embedding", "weights", "bias"], "logit")
    };
    let mut graph = GraphProto {
        name: "head".to_owned(),
        node: vec![gemm],
        initializer: vec![
            tensor("weights", vec![1, wide], weights.to_vec()),
            tensor("bias", vec![1], vec![bias]),
        ],
        input: vec![floats("embedding", wide)],
        output: vec![floats("logit", 1)],
        ..GraphProto::default()
    };
    if let Some(Directions { mean, along, count }) = familiar {
        graph.initializer.push(tensor("least", vec![1], vec![f32::MIN_POSITIVE]));
        graph.initializer.push(tensor("mean", vec![1, wide], mean.clone()));
        graph.initializer.push(tensor("directions", vec![wide, *count as i64], along.clone()));
        graph.node.extend([
            reduced("ReduceL2", "embedding", "length"),
            // One of zeros stays one.
            node("Max", &["length", "least"], "divisor"),
            node("Div", &["embedding", "divisor"], "unit"),
            node("Sub", &["unit", "mean"], "apart"),
            node("MatMul", &["apart", "directions"], "along"),
            reduced("ReduceSumSquare", "apart", "whole"),
            reduced("ReduceSumSquare", "along", "known"),
            node("Sub", &["whole", "known"], STRANGENESS),
        ]);
        graph.output.push(floats(STRANGENESS, 1));
    }
    let model = ModelProto {
        ir_version: 7,
        producer_name: "smartsneaks".to_owned(),
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: 12 }],
        graph: Some(graph),
        metadata_props: notes
            .iter()
            .map(|(key, value)| StringStringEntryProto { key: (*key).to_owned(), value: value.clone() })
            .collect(),
        ..ModelProto::default()
    };
    model.encode_to_vec()
}

/// The output that says how strange a photo is.
pub(crate) const STRANGENESS: &str = "strangeness";

/// `TensorProto.DataType.FLOAT`, `AttributeProto.AttributeType.INT` and `INTS`.
const FLOAT: i32 = 1;
const INT: i32 = 2;
const INTS: i32 = 7;

fn node(op_type: &str, input: &[&str], output: &str) -> NodeProto {
    NodeProto {
        op_type: op_type.to_owned(),
        name: output.to_owned(),
        input: input.iter().map(|name| (*name).to_owned()).collect(),
        output: vec![output.to_owned()],
        ..NodeProto::default()
    }
}

/// A reduction of each row to one number.
fn reduced(op_type: &str, input: &str, output: &str) -> NodeProto {
    let attribute = |name: &str| AttributeProto { name: name.to_owned(), ..AttributeProto::default() };
    let axes = AttributeProto { r#type: INTS, ints: vec![1], ..attribute("axes") };
    let keep = AttributeProto { r#type: INT, i: 1, ..attribute("keepdims") };
    NodeProto { attribute: vec![axes, keep], ..node(op_type, &[input], output) }
}

/// A port of an open number of rows.
fn floats(name: &str, wide: i64) -> ValueInfoProto {
    let dimension = |value| tensor_shape_proto::Dimension { value: Some(value), ..Default::default() };
    let shape = TensorShapeProto {
        dim: vec![dimension(Dimension::DimParam("n".to_owned())), dimension(Dimension::DimValue(wide))],
    };
    let tensor = type_proto::Tensor { elem_type: FLOAT, shape: Some(shape) };
    let r#type = Some(TypeProto { value: Some(Type::TensorType(tensor)), ..TypeProto::default() });
    ValueInfoProto { name: name.to_owned(), r#type, ..ValueInfoProto::default() }
}

fn read(bytes: &[u8]) -> Result<ModelProto, OnnxError> {
    if bytes.is_empty() {
        return Err(OnnxError::Format("the file is empty".to_owned()));
    }
    ModelProto::decode(bytes).map_err(|error| OnnxError::Format(error.to_string()))
}

fn graph(model: ModelProto) -> Result<GraphProto, OnnxError> {
    model.graph.ok_or(OnnxError::Missing("graph"))
}

fn port(info: &ValueInfoProto) -> Port {
    let tensor = match info.r#type.as_ref().and_then(|one| one.value.as_ref()) {
        Some(Type::TensorType(tensor)) => tensor.shape.as_ref(),
        _ => None,
    };
    let dimensions = tensor.map_or(&[][..], |shape| &shape.dim);
    let size = |one: &tensor_shape_proto::Dimension| match one.value {
        Some(Dimension::DimValue(size)) if size > 0 => Some(size),
        _ => None,
    };
    Port { name: info.name.clone(), shape: dimensions.iter().map(size).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::{Backend, Network};

    #[test]
    fn a_head_is_written_and_runs() {
        let written = linear(&[0.5, -2.0, 1.0], 0.25, None, &[("auc", "0.9".to_owned())]);
        let shape = describe(&written).unwrap();
        assert_eq!(shape.inputs, [Port { name: "embedding".into(), shape: vec![None, Some(3)] }]);
        assert_eq!(shape.outputs, [Port { name: "logit".into(), shape: vec![None, Some(1)] }]);
        let fixed = with_batch(&written, 1).unwrap();
        assert_eq!(describe(&fixed).unwrap().inputs[0].shape, [Some(1), Some(3)]);
        let network = Network::load(&Backend::open(None).unwrap(), fixed).unwrap();
        let outputs = network.run(&[1, 3], &[2.0, 0.5, 4.0]).unwrap();
        assert_eq!((outputs[0].shape.as_slice(), outputs[0].values.as_slice()), (&[1, 1][..], &[4.25][..]));
    }

    #[test]
    fn a_head_says_how_strange_an_embedding_is() {
        // Embeddings of length 1 lie about (0.6, 0.8) and differ along (0.8, -0.6).
        let directions = Directions { mean: vec![0.6, 0.8], along: vec![0.8, -0.6], count: 1 };
        let written = linear(&[1.0, 0.0], 0.0, Some(&directions), &[]);
        let network = Network::load(&Backend::open(None).unwrap(), with_batch(&written, 1).unwrap()).unwrap();
        assert_eq!(network.outputs(), ["logit", STRANGENESS]);
        for (embedding, expected) in
            [([3.0, 4.0], 0.0), ([0.0, 0.0], 1.0), ([-0.6, -0.8], 4.0), ([2.0, 0.0], 0.16)]
        {
            let outputs = network.run(&[1, 2], &embedding).unwrap();
            assert!((outputs[1].values[0] - expected).abs() < 1e-6, "{embedding:?}: {:?}", outputs[1]);
            assert!((directions.strangeness(&embedding) - f64::from(expected)).abs() < 1e-6);
        }
    }

    #[test]
    fn what_is_no_model_is_refused() {
        for bytes in [&b""[..], b"hello, I am a text", &[0xFF; 64], &[0; 64]] {
            assert!(describe(bytes).is_err());
        }
        assert_eq!(
            describe(&ModelProto::default().encode_to_vec()).unwrap_err(),
            OnnxError::Format("the file is empty".into())
        );
    }

    #[test]
    fn damaged_models_never_panic() {
        let written = linear(&[0.5; 40], 0.25, None, &[]);
        let mut state = 1_u64;
        let mut random = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize
        };
        for _ in 0..2_000 {
            let mut bytes = written.clone();
            for _ in 0..1 + random() % 5 {
                let at = random() % bytes.len();
                bytes[at] = random() as u8;
            }
            bytes.truncate(bytes.len() - random() % 20);
            let _ = (describe(&bytes), with_batch(&bytes, 1));
        }
    }
}
