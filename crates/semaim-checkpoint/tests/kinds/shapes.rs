//! Tensors of other shapes than their network has.

use super::*;

#[test]
fn tensors_that_do_not_fit_their_network_are_listed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.safetensors");
    let misfits = |change: &dyn Fn(&mut Weights)| -> Vec<String> {
        let mut weights = plain();
        let scales = (0..2).map(|block| {
            let (shape, values) = (vec![24], vec![0.5; 24]);
            (
                format!("blocks.{block}.ls1.gamma"),
                Weight { shape, values },
            )
        });
        weights.extend(scales);
        change(&mut weights);
        let metadata = BTreeMap::new();
        TensorFile { weights, metadata }.write(&path).unwrap();
        let found = Checkpoint::read(&heads(3).at(&path)).unwrap();
        let listed = found.misfits().into_iter().map(|misfit| misfit.name);
        let listed: Vec<String> = listed.collect();
        // They are all that stands in the way.
        assert_eq!(found.encoder(&Device::flex()).is_ok(), listed.is_empty());
        listed
    };
    let with = |name: &str, shape: &[usize]| {
        let weight = Weight {
            shape: shape.to_vec(),
            values: vec![0.5; shape.iter().product()],
        };
        misfits(&|weights: &mut Weights| {
            weights.insert(name.into(), weight.clone());
        })
    };
    assert_eq!(misfits(&|_| {}), [""; 0]);
    for (name, shape) in [
        ("blocks.1.norm1.weight", &[16][..]),
        ("blocks.1.attn.qkv.weight", &[24, 24][..]),
        ("blocks.1.mlp.fc2.weight", &[24, 96][..]),
        ("blocks.0.ls1.gamma", &[1][..]),
        ("cls_token", &[1, 2, 24][..]),
        ("norm.bias", &[25][..]),
    ] {
        assert_eq!(with(name, shape), [name]);
    }
    let found = Checkpoint::read(&heads(3).at(&path)).unwrap();
    let expected = "`norm.bias` has shape [25], its network needs [24]";
    assert_eq!(found.misfits()[0].to_string(), expected);
}

/// The tensors that fix a file's sizes fit, the others are far too small: no memory is taken for what they would have to be.
#[test]
fn sizes_out_of_proportion_to_the_file_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let d = 4096;
    let small = VitConfig {
        depth: 1,
        ..config()
    };
    let filled = |shape: Vec<usize>| Weight {
        values: vec![0.5; shape.iter().product()],
        shape,
    };
    let mut weights = made(&small, &ArchOptions::default());
    weights
        .values_mut()
        .for_each(|weight| *weight = filled(vec![1]));
    for (name, shape) in [
        ("patch_embed.proj.weight", vec![d, 1, 1, 1]),
        ("pos_embed", vec![1, 2, d]),
        ("blocks.0.mlp.fc2.weight", vec![d, 1]),
    ] {
        weights.insert(name.into(), filled(shape));
    }
    let sizes = json!({
        "image_size": [1, 1],
        "patch_size": 1,
        "channels": 1,
        "embed_dim": d,
        "depth": 1,
        "num_heads": 1,
        "mlp_ratio": 1.0 / d as f64,
        "mean": [0.5],
        "std": [0.5],
    });
    let metadata = BTreeMap::from([("semaim.vit".to_string(), sizes.to_string())]);
    let path = folder.path().join("encoder.safetensors");
    TensorFile { weights, metadata }.write(&path).unwrap();
    let parts = ["encoder.safetensors", "far larger than the file"];
    refused(&path, &WeightsSource::default(), &parts);
}
