//! Files read back: what they import, take and give, and that every node is fed by something before it.

// A test says what is wrong by panicking, in its helpers too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;

use burn::tensor::Device;
use prost::Message;
use semaim::classifier::{Classifier, Pool};
use semaim::config::{Activation, ArchOptions, Normalization, VitConfig};
use semaim::init::initialize;
use semaim::position::Interpolation;
use semaim::vit::Vit;
use semaim_detect::config::{AttentionConfig, DetectorConfig, RegionConfig};
use semaim_detect::model::MaskRcnn;
use semaim_onnx::proto::{FLOAT, GraphProto, INT64, IR_VERSION, ModelProto, OPSET, ValueInfoProto};
use semaim_onnx::{About, ImageSize, Model, OnnxError, classifier, detector, encoder, segmenter};
use semaim_segment::config::{HeadKind, SegmenterConfig, UperNetConfig};
use semaim_segment::model::Segmenter;
use serde_json::{Value, json};

fn vit(arch: &ArchOptions) -> (Vit, VitConfig) {
    let config = VitConfig {
        image_size: [32, 48],
        depth: 3,
        ..VitConfig::tiny()
    };
    let vit = Vit::zeros_as(&config, arch, &Device::flex());
    (initialize(vit, 1), config)
}

fn about<'a>(normalization: &'a Normalization, classes: &'a [String]) -> About<'a> {
    About {
        normalization,
        classes,
        resize: json!({"shortest_edge": 55}),
    }
}

fn normalization() -> Normalization {
    Normalization {
        mean: vec![0.5, 0.25, 0.125],
        std: vec![1.0, 2.0, 4.0],
    }
}

/// Axes as texts: numbers, or the names of those that are not fixed.
fn axes(value: &ValueInfoProto) -> Vec<String> {
    axes_of(value, FLOAT)
}

fn axes_of(value: &ValueInfoProto, elem_type: i32) -> Vec<String> {
    let tensor = value.r#type.as_ref().unwrap().tensor_type.as_ref().unwrap();
    assert_eq!(tensor.elem_type, elem_type);
    let dims = &tensor.shape.as_ref().unwrap().dim;
    let text = |dim: &semaim_onnx::proto::DimensionProto| match (&dim.dim_value, &dim.dim_param) {
        (Some(number), None) => number.to_string(),
        (None, Some(name)) => name.clone(),
        other => panic!("{other:?}"),
    };
    dims.iter().map(text).collect()
}

/// The graph of a file that holds what the format asks for.
fn checked(model: &Model) -> (ModelProto, GraphProto) {
    let file = ModelProto::decode(model.bytes().as_slice()).unwrap();
    assert_eq!(&file, model.proto());
    assert_eq!(file.ir_version, IR_VERSION);
    let sets: Vec<_> = file
        .opset_import
        .iter()
        .map(|set| (&*set.domain, set.version))
        .collect();
    assert_eq!(sets, [("", OPSET)]);
    let graph = file.graph.clone().unwrap();
    let mut defined: BTreeSet<String> = BTreeSet::new();
    for constant in &graph.initializer {
        let size = match constant.data_type {
            FLOAT => 4,
            INT64 => 8,
            other => panic!("{other}"),
        };
        let numbers: i64 = constant.dims.iter().product();
        assert_eq!(
            constant.raw_data.len() as i64,
            numbers * size,
            "{}",
            constant.name
        );
        assert!(
            defined.insert(constant.name.clone()),
            "{} twice",
            constant.name
        );
    }
    for input in &graph.input {
        assert!(defined.insert(input.name.clone()));
    }
    let mut names = BTreeSet::new();
    for node in &graph.node {
        assert!(names.insert(node.name.clone()), "{} twice", node.name);
        for input in node.input.iter().filter(|input| !input.is_empty()) {
            assert!(
                defined.contains(input),
                "{}: {input} is not defined",
                node.name
            );
        }
        for output in &node.output {
            assert!(defined.insert(output.clone()), "{output} twice");
        }
    }
    for output in &graph.output {
        assert!(defined.contains(&output.name));
    }
    // Nothing is carried along that nobody reads.
    let read: BTreeSet<&String> = graph.node.iter().flat_map(|node| &node.input).collect();
    for constant in &graph.initializer {
        assert!(
            read.contains(&constant.name),
            "{} is not read",
            constant.name
        );
    }
    (file, graph)
}

fn shapes(graph: &GraphProto, name: &str) -> Vec<i64> {
    let found = graph
        .initializer
        .iter()
        .find(|constant| constant.name == name);
    found.unwrap_or_else(|| panic!("{name}")).dims.clone()
}

fn said(file: &ModelProto, key: &str) -> Value {
    let entry = file
        .metadata_props
        .iter()
        .find(|entry| entry.key == key)
        .unwrap();
    serde_json::from_str(&entry.value).unwrap()
}

#[test]
fn an_encoder_of_every_kind_is_whole() {
    let kinds = [
        ArchOptions::default(),
        ArchOptions {
            registers: 4,
            activation: Activation::SwiGlu,
            ..ArchOptions::default()
        },
        ArchOptions {
            norm_pre: true,
            activation: Activation::QuickGelu,
            projection: Some(12),
            epsilon: 1e-5,
            ..ArchOptions::default()
        },
    ];
    for arch in kinds {
        let (vit, config) = vit(&arch);
        let norm = normalization();
        let model = encoder(&vit, &config, ImageSize::Fixed, &about(&norm, &[])).unwrap();
        let (file, graph) = checked(&model);
        assert_eq!(axes(&graph.input[0]), ["batch", "3", "32", "48"]);
        let width = vit.width().to_string();
        let outputs: Vec<_> = graph
            .output
            .iter()
            .map(|output| (&*output.name, axes(output)))
            .collect();
        let expected = [
            (
                "tokens",
                vec!["batch".to_string(), "25".into(), width.clone()],
            ),
            ("cls", vec!["batch".into(), width.clone()]),
            ("mean", vec!["batch".into(), width]),
        ];
        assert_eq!(outputs, expected);
        assert_eq!(shapes(&graph, "positions"), [1, 24, 16]);
        assert_eq!(
            shapes(&graph, "first_tokens"),
            [1, 1 + arch.registers as i64, 16]
        );
        let gate = if arch.activation == Activation::SwiGlu {
            2
        } else {
            1
        };
        assert_eq!(shapes(&graph, "blocks.2.mlp.fc1.weight"), [16, 32 * gate]);
        assert_eq!(shapes(&graph, "patch_embed.proj.weight"), [16, 3, 8, 8]);
        let input = said(&file, "semaim.input");
        assert_eq!(input["mean"], json!([0.5, 0.25, 0.125]));
        assert_eq!(input["size"], json!({"height": 32, "width": 48}));
        assert_eq!(input["resize"]["shortest_edge"], 55);
    }
}

#[test]
fn images_of_any_size_have_their_positions_resized_in_the_graph() {
    let (vit, config) = vit(&ArchOptions::default());
    let norm = normalization();
    for interpolation in [Interpolation::Bicubic, Interpolation::Antialiased] {
        let size = ImageSize::Dynamic(interpolation);
        let model = encoder(&vit, &config, size, &about(&norm, &[])).unwrap();
        let (file, graph) = checked(&model);
        assert_eq!(axes(&graph.input[0]), ["batch", "3", "height", "width"]);
        assert_eq!(axes(&graph.output[0]), ["batch", "tokens", "16"]);
        assert_eq!(shapes(&graph, "positions"), [1, 16, 4, 6]);
        let resize = graph
            .node
            .iter()
            .find(|node| node.op_type == "Resize")
            .unwrap();
        let number = |name: &str| {
            let found = resize
                .attribute
                .iter()
                .find(|attribute| attribute.name == name)
                .unwrap();
            (found.f, found.i)
        };
        let antialiased = interpolation == Interpolation::Antialiased;
        let a = if antialiased { -0.5 } else { -0.75 };
        assert_eq!(number("cubic_coeff_a"), (Some(a), None));
        assert_eq!(number("antialias"), (None, Some(i64::from(antialiased))));
        assert_eq!(
            said(&file, "semaim.input")["size"],
            json!({"multiple_of": 8})
        );
    }
    let size = ImageSize::Dynamic(Interpolation::Offset);
    let refused = encoder(&vit, &config, size, &about(&norm, &[])).unwrap_err();
    assert!(refused.to_string().contains("DINO"), "{refused}");
}

#[test]
fn classifiers_say_their_classes() {
    let (vit, config) = vit(&ArchOptions::default());
    let (norm, device) = (normalization(), Device::flex());
    let classes = ["a".to_string(), "ü".into(), "c".into()];
    for (pool, norm_name) in [(Pool::Mean, "fc_norm.weight"), (Pool::Cls, "norm.weight")] {
        let model = Classifier::new(vit.clone(), pool, 3, 5, &device);
        let model = classifier(&model, &config, ImageSize::Fixed, &about(&norm, &classes)).unwrap();
        let (file, graph) = checked(&model);
        assert_eq!(axes(&graph.output[0]), ["batch", "3"]);
        assert_eq!(said(&file, "semaim.classes"), json!(classes));
        assert_eq!(shapes(&graph, "head.weight"), [16, 3]);
        assert_eq!(shapes(&graph, norm_name), [16]);
    }
}

#[test]
fn segmenters_give_pixels() {
    let (vit, config) = vit(&ArchOptions::default());
    let (norm, device) = (normalization(), Device::flex());
    let classes = ["a".to_string(), "b".into()];
    for head in [HeadKind::Linear, HeadKind::Upernet] {
        let settings = SegmenterConfig {
            classes: 2,
            head,
            upernet: UperNetConfig {
                channels: Some(8),
                ..UperNetConfig::default()
            },
            ..SegmenterConfig::default()
        };
        let model = Segmenter::new(vit.clone(), settings, 0, &device).unwrap();
        let about = about(&norm, &classes);
        let fixed = segmenter(&model, &config, ImageSize::Fixed, &about).unwrap();
        let (_, graph) = checked(&fixed);
        assert_eq!(axes(&graph.output[0]), ["batch", "2", "32", "48"]);
        let any = ImageSize::Dynamic(Interpolation::Bicubic);
        match (head, segmenter(&model, &config, any, &about)) {
            (HeadKind::Linear, Ok(model)) => {
                let (_, graph) = checked(&model);
                assert_eq!(axes(&graph.output[0]), ["batch", "2", "height", "width"]);
            }
            (HeadKind::Upernet, Err(error @ OnnxError::NotDynamic { .. })) => {
                assert!(error.to_string().contains("UPerNet"));
            }
            (_, other) => panic!("{:?}", other.map(|model| model.counts())),
        }
        let flat = VitConfig {
            image_size: [8, 192],
            ..config.clone()
        };
        let flat = segmenter(&model, &flat, ImageSize::Fixed, &about);
        match (head, flat) {
            (HeadKind::Linear, Ok(_)) | (HeadKind::Upernet, Err(OnnxError::FewPatches { .. })) => {}
            (_, other) => panic!("{:?}", other.map(|model| model.counts())),
        }
    }
}

#[test]
fn detectors_go_from_an_image_to_objects() {
    let (vit, config) = vit(&ArchOptions::default());
    let (norm, device) = (normalization(), Device::flex());
    let classes = ["a".to_string(), "b".into()];
    for (window, relative_positions) in [(3, true), (0, false)] {
        let settings = DetectorConfig {
            classes: 2,
            canvas: 64,
            attention: AttentionConfig {
                window,
                global_blocks: Some(vec![2]),
                relative_positions,
            },
            pyramid_channels: 8,
            regions: RegionConfig {
                channels: 8,
                box_hidden: 16,
                mask_bins: 6,
                ..RegionConfig::default()
            },
            ..DetectorConfig::default()
        };
        let model = MaskRcnn::new(vit.clone(), settings, 0, &device).unwrap();
        let arch = ArchOptions::default();
        let model = detector(&model, &config, &arch, &about(&norm, &classes)).unwrap();
        let (file, graph) = checked(&model);
        assert_eq!(axes(&graph.input[0]), ["1", "3", "64", "64"]);
        assert_eq!(axes(&graph.input[1]), ["2"]);
        let [boxes, scores, numbers, masks] = graph.output.as_slice() else {
            panic!("{} outputs", graph.output.len());
        };
        assert_eq!(axes(boxes), ["detections", "4"]);
        assert_eq!(axes(scores), ["detections"]);
        assert_eq!(axes_of(numbers, INT64), ["detections"]);
        assert_eq!(axes(masks), ["detections", "12", "12"]);
        // 8 by 8 patches; p2 has four times as many rows, and three anchors at each place.
        assert_eq!(shapes(&graph, "positions"), [1, 64, 16]);
        assert_eq!(shapes(&graph, "anchors_0"), [32 * 32 * 3, 4]);
        assert_eq!(shapes(&graph, "anchors_4"), [2 * 2 * 3, 4]);
        let count = |op: &str| graph.node.iter().filter(|node| node.op_type == op).count();
        assert_eq!(count("NonMaxSuppression"), 5 + 1);
        assert_eq!(count("RoiAlign"), 2 * 4);
        // Windows of 3 patches do not fill 8: two of the three blocks pad, the last is global.
        assert_eq!(count("Pad"), if window > 0 { 2 } else { 0 });
        if relative_positions {
            assert_eq!(shapes(&graph, "blocks.2.positions.rel_pos_w"), [8, 8, 8]);
        }
        assert_eq!(said(&file, "semaim.classes"), json!(classes));
    }
}
