//! Position tables: sizes, registers, resizing.

use super::*;

/// A table of 4 by 16 places has as many as one of 8 by 8.
#[test]
fn a_size_that_fits_the_table_is_the_tables() {
    let folder = tempfile::tempdir().unwrap();
    let wide = VitConfig {
        image_size: [16, 64],
        ..config()
    };
    let path = write(
        &folder,
        "wide.safetensors",
        made(&wide, &ArchOptions::default()),
    );
    let told = WeightsSource {
        image_size: Some([16, 64]),
        ..heads(3)
    };
    let (found, _) = read(&path, &told);
    assert_eq!(found.config.image_size, [16, 64]);
    assert!(
        found
            .defaults_used
            .iter()
            .any(|used| used.contains("4 x 16"))
    );
    // Any other size is one to resize to.
    let (found, _) = read(
        &path,
        &WeightsSource {
            image_size: Some([16, 32]),
            ..heads(3)
        },
    );
    assert_eq!(found.config.image_size, [32, 32]);
    // A file beside it is asked first.
    let beside = json!({"pretrained_cfg": {"input_size": [3, 64, 16]}});
    std::fs::write(folder.path().join("wide.config.json"), beside.to_string()).unwrap();
    assert_eq!(read(&path, &told).0.config.image_size, [64, 16]);
}

/// timm gives registers places in the table; they are added to the registers.
#[test]
fn registers_in_the_table_are_no_places_of_the_grid() {
    let folder = tempfile::tempdir().unwrap();
    let config = VitConfig {
        image_size: [8, 8],
        ..config()
    };
    let arch = ArchOptions {
        registers: 4,
        ..ArchOptions::default()
    };
    let expected = made(&config, &arch);
    let mut theirs = expected.clone();
    let places: Vec<f32> = (0..4 * 24).map(|i| (i as f32).cos()).collect();
    let register = theirs.get_mut("reg_token").unwrap();
    register
        .values
        .iter_mut()
        .zip(&places)
        .for_each(|(value, place)| *value -= place);
    let table = theirs.get_mut("pos_embed").unwrap();
    table.values.splice(24..24, places);
    table.shape[1] = 9;
    let path = write(&folder, "timm.safetensors", theirs);
    // Nine places are three by three as well.
    refused(&path, &heads(3), &["pos_embed", "2 or 3", "--image-size"]);
    let (found, _) = read(
        &path,
        &WeightsSource {
            image_size: Some([8, 8]),
            ..heads(3)
        },
    );
    assert_eq!(found.config.image_size, [8, 8]);
    for name in ["reg_token", "pos_embed"] {
        let near = found.weights[name]
            .values
            .iter()
            .zip(&expected[name].values);
        assert!(near.clone().all(|(a, b)| (a - b).abs() < 1e-5), "{name}");
    }
    // DINOv2's table has none for them.
    let dinov2 = renamed(made(&config, &arch), |name| {
        name.replace("reg_token", "register_tokens")
    });
    let (found, _) = read(
        &pickled(&folder, "reg.pth", &dinov2, "FloatStorage"),
        &heads(3),
    );
    assert_eq!(found.config.image_size, [8, 8]);
}

#[test]
fn position_tables_are_resized_as_their_libraries_do() {
    let folder = tempfile::tempdir().unwrap();
    let interpolation = |path: &Path, options: &WeightsSource| read(path, options).0.interpolation;
    let timm = write(&folder, "timm.safetensors", plain());
    assert_eq!(interpolation(&timm, &heads(3)), Interpolation::Antialiased);
    let code = pickled(&folder, "code.pth", &plain(), "FloatStorage");
    assert_eq!(interpolation(&code, &heads(3)), Interpolation::Bicubic);
    for (format, expected) in [
        (CheckpointFormat::Timm, Interpolation::Antialiased),
        (CheckpointFormat::Mae, Interpolation::Bicubic),
        (CheckpointFormat::Dino, Interpolation::Offset),
        (CheckpointFormat::Dinov2, Interpolation::Offset),
    ] {
        let told = WeightsSource {
            layout: Some(format),
            ..heads(3)
        };
        assert_eq!(interpolation(&code, &told), expected, "{format}");
    }
    let dino = renamed(plain(), |name| format!("teacher.backbone.{name}"));
    let dino = pickled(&folder, "dino.pth", &dino, "FloatStorage");
    assert_eq!(interpolation(&dino, &heads(3)), Interpolation::Offset);
    let registers = ArchOptions {
        registers: 4,
        ..ArchOptions::default()
    };
    let dinov2 = renamed(made(&config(), &registers), |name| {
        name.replace("reg_token", "register_tokens")
    });
    let dinov2 = pickled(&folder, "dinov2.pth", &dinov2, "FloatStorage");
    assert_eq!(
        interpolation(&dinov2, &heads(3)),
        Interpolation::Antialiased
    );
}
