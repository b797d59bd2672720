//! Small networks for tests.

use prost::Message;
use tract_onnx::pb::tensor_shape_proto::dimension::Value as Dimension;
use tract_onnx::pb::type_proto::Value as Type;
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, TensorShapeProto,
    TypeProto, ValueInfoProto, tensor_shape_proto, type_proto,
};

/// Mean red, green and blue of a photo of n×3×height×width, then for each output their weighted sum and a bias.
pub(crate) fn of_means(
    height: i64,
    width: i64,
    weights: &[[f32; 3]],
    bias: &[f32],
    shape: &[i64],
) -> Vec<u8> {
    let outputs = weights.len() as i64;
    let floats = |name: &str, dims: Vec<i64>, float_data: Vec<f32>| TensorProto {
        name: name.into(),
        data_type: 1,
        dims,
        float_data,
        ..TensorProto::default()
    };
    let node = |op_type: &str, input: &[&str], output: &str| NodeProto {
        op_type: op_type.into(),
        input: input.iter().map(|name| (*name).into()).collect(),
        output: vec![output.into()],
        ..NodeProto::default()
    };
    let mut gemm = node("Gemm", &["means", "weights", "bias"], "sums");
    gemm.attribute =
        vec![AttributeProto { name: "transB".into(), r#type: 2, i: 1, ..AttributeProto::default() }];
    let mut long = floats("shape", vec![shape.len() as i64], vec![]);
    (long.data_type, long.int64_data) = (7, shape.to_vec());
    let graph = GraphProto {
        name: "means".into(),
        node: vec![
            node("GlobalAveragePool", &["photo"], "pooled"),
            node("Flatten", &["pooled"], "means"),
            gemm,
            node("Reshape", &["sums", "shape"], "scores"),
        ],
        initializer: vec![
            floats("weights", vec![outputs, 3], weights.concat()),
            floats("bias", vec![outputs], bias.to_vec()),
            long,
        ],
        input: vec![port("photo", &[0, 3, height, width])],
        output: vec![port("scores", shape)],
        ..GraphProto::default()
    };
    ModelProto {
        ir_version: 7,
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: 12 }],
        graph: Some(graph),
        ..ModelProto::default()
    }
    .encode_to_vec()
}

/// A tensor of 32-bit floats; 0 is an open dimension.
fn port(name: &str, shape: &[i64]) -> ValueInfoProto {
    let dimension = |size: &i64| tensor_shape_proto::Dimension {
        value: Some(match size {
            0 => Dimension::DimParam("n".into()),
            size => Dimension::DimValue(*size),
        }),
        ..Default::default()
    };
    let shape = TensorShapeProto { dim: shape.iter().map(dimension).collect() };
    let tensor = type_proto::Tensor { elem_type: 1, shape: Some(shape) };
    let r#type = Some(TypeProto { value: Some(Type::TensorType(tensor)), ..TypeProto::default() });
    ValueInfoProto { name: name.into(), r#type, ..ValueInfoProto::default() }
}
