use super::*;

/// The number of image `i` at every place is different, and tells the image and the place.
fn images(shape: [usize; 4]) -> Vec<f32> {
    (0..shape.iter().product())
        .map(|at: usize| at as f32)
        .collect()
}

#[test]
fn mixup_like_timm() {
    let shape = [4, 1, 1, 2];
    let mut mixed = images(shape);
    let mixing = MixOp::Mixup { lambda: 0.3 };
    mixing.images(&mut mixed, shape).unwrap();
    // x * 0.3 + x.flip(0) * 0.7 by hand.
    let expected = [4.2, 5.2, 3.4, 4.4, 2.6, 3.6, 1.8, 2.8];
    for (got, expected) in mixed.iter().zip(expected) {
        assert!((got - expected).abs() < 1e-5, "{mixed:?}");
    }
    let mut targets = [f32::NAN; 20];
    mixing.targets(&[0, 4, 2, 2], 5, 0.1, &mut targets).unwrap();
    // mixup_target: off 0.02, on 0.92.
    #[rustfmt::skip]
    let expected = [
        0.29, 0.02, 0.65, 0.02, 0.02,
        0.02, 0.02, 0.65, 0.02, 0.29,
        0.02, 0.02, 0.29, 0.02, 0.65,
        0.65, 0.02, 0.29, 0.02, 0.02,
    ];
    for (got, expected) in targets.iter().zip(expected) {
        assert!((got - expected).abs() < 1e-6, "{targets:?}");
    }
}

#[test]
fn cutmix_swaps_the_box_of_all_channels() {
    let shape = [3, 2, 4, 5];
    let before = images(shape);
    let mut mixed = before.clone();
    let mixing = MixOp::Cutmix {
        rows: 1..3,
        columns: 2..5,
        lambda: 0.7,
    };
    mixing.images(&mut mixed, shape).unwrap();
    for (at, &got) in mixed.iter().enumerate() {
        let (image, row, column) = (at / 40, at / 5 % 4, at % 5);
        let inside = (1..3).contains(&row) && (2..5).contains(&column);
        let from = if inside { 2 - image } else { image };
        assert_eq!(got, before[from * 40 + at % 40], "{at}");
    }
}

#[test]
fn odd_batches_and_single_images_work() {
    for batch in [1, 2, 3, 5, 8] {
        let shape = [batch, 3, 6, 4];
        let labels: Vec<u32> = (0..batch as u32).collect();
        for number in 0..20 {
            let before = images(shape);
            let mut mixed = before.clone();
            let mut targets = vec![f32::NAN; batch * 10];
            let mixing = MixupCutmix::default()
                .apply(
                    &mut mixed,
                    shape,
                    &labels,
                    10,
                    &mut targets,
                    Key::new(1, 0, number),
                )
                .unwrap();
            for row in targets.chunks(10) {
                assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-5);
            }
            if batch % 2 == 1 {
                let middle = batch / 2 * 72..(batch / 2 + 1) * 72;
                assert_eq!(mixed[middle.clone()], before[middle]);
                let target = targets[batch / 2 * 10 + batch / 2];
                assert!((target - 0.91).abs() < 1e-6, "{target}");
            }
            assert_eq!(
                mixing,
                MixupCutmix::default().draw([6, 4], Key::new(1, 0, number))
            );
        }
    }
}

#[test]
fn lambda_is_what_the_pixels_say() {
    // Image 0 is all zeros, image 1 all ones: the mean of the mixed image 0 is 1 - lambda.
    let shape = [2, 1, 16, 12];
    for number in 0..500 {
        let mut mixed: Vec<f32> = (0..384).map(|at| (at / 192) as f32).collect();
        let mixing = MixupCutmix::default().draw([16, 12], Key::new(3, 4, number));
        mixing.images(&mut mixed, shape).unwrap();
        let mean = mixed[..192].iter().sum::<f32>() / 192.0;
        assert!((f64::from(mean) - (1.0 - mixing.lambda())).abs() < 1e-5);
    }
}

#[test]
fn draws_have_the_published_statistics() {
    let draws: Vec<MixOp> = (0..20_000)
        .map(|number| MixupCutmix::default().draw([224, 224], Key::new(7, 1, number)))
        .collect();
    let (mut mixups, mut cutmixes) = (Vec::new(), Vec::new());
    for mixing in &draws {
        match mixing {
            MixOp::Plain => panic!("every batch is mixed"),
            MixOp::Mixup { lambda } => mixups.push(*lambda),
            MixOp::Cutmix { lambda, .. } => cutmixes.push(*lambda),
        }
    }
    let moments = |values: &[f64]| {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        (
            mean,
            values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n,
        )
    };
    assert!((mixups.len() as f64 / 20_000.0 - 0.5).abs() < 0.015);
    // Beta(0.8, 0.8): mean 1/2, variance 1 / (4 (2 * 0.8 + 1)).
    let (mean, variance) = moments(&mixups);
    assert!((mean - 0.5).abs() < 0.01, "{mean}");
    assert!((variance - 1.0 / 10.4).abs() < 0.003, "{variance}");
    // timm's rule with Python's generator, a million draws on 224x224 pixels.
    let (mean, variance) = moments(&cutmixes);
    assert!((mean - 0.68076).abs() < 0.01, "{mean}");
    assert!((variance - 0.03552).abs() < 0.004, "{variance}");
}

#[test]
fn probabilities_and_alphas_choose() {
    let count = |mix: MixupCutmix, wanted: fn(&MixOp) -> bool| {
        (0..1000)
            .filter(|&number| wanted(&mix.draw([8, 8], Key::new(0, 0, number))))
            .count()
    };
    let standard = MixupCutmix::default();
    let plain = |m: &MixOp| *m == MixOp::Plain;
    let cutmix = |m: &MixOp| matches!(m, MixOp::Cutmix { .. });
    let often = count(
        MixupCutmix {
            probability: 0.8,
            ..standard
        },
        plain,
    );
    assert!((160..240).contains(&often), "{often}");
    let often = count(
        MixupCutmix {
            switch_probability: 0.9,
            ..standard
        },
        cutmix,
    );
    assert!((870..930).contains(&often), "{often}");
    assert_eq!(
        count(
            MixupCutmix {
                cutmix_alpha: 0.0,
                ..standard
            },
            cutmix
        ),
        0
    );
    assert_eq!(
        count(
            MixupCutmix {
                mixup_alpha: 0.0,
                ..standard
            },
            cutmix
        ),
        1000
    );
    let none = MixupCutmix {
        mixup_alpha: 0.0,
        cutmix_alpha: 0.0,
        ..standard
    };
    assert_eq!(count(none, plain), 1000);
    assert_eq!(count(MixupCutmix::smoothing(0.1), plain), 1000);
}

#[test]
fn plain_batches_only_get_smooth_targets() {
    let shape = [3, 1, 2, 2];
    let mut mixed = images(shape);
    let mut targets = [f32::NAN; 12];
    MixupCutmix::smoothing(0.2)
        .apply(
            &mut mixed,
            shape,
            &[3, 0, 3],
            4,
            &mut targets,
            Key::default(),
        )
        .unwrap();
    assert_eq!(mixed, images(shape));
    let (on, off) = (0.85, 0.05);
    #[rustfmt::skip]
    assert_eq!(targets, [off, off, off, on, on, off, off, off, off, off, off, on]);
    MixupCutmix::smoothing(0.0)
        .apply(
            &mut mixed,
            shape,
            &[3, 0, 1],
            4,
            &mut targets,
            Key::default(),
        )
        .unwrap();
    #[rustfmt::skip]
    assert_eq!(targets, [0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0]);
}

#[test]
fn only_the_address_matters() {
    let draw =
        |seed, epoch, batch| MixupCutmix::default().draw([32, 32], Key::new(seed, epoch, batch));
    assert_eq!(draw(1, 2, 3), draw(1, 2, 3));
    assert_ne!(draw(1, 2, 3), draw(1, 2, 4));
    assert_ne!(draw(1, 2, 3), draw(1, 3, 3));
    assert_ne!(draw(1, 2, 3), draw(2, 2, 3));
}

#[test]
fn mismatches_are_errors_and_change_nothing() {
    let shape = [2, 1, 2, 2];
    let apply = |labels: &[u32], numbers: usize, classes: usize| {
        let mut mixed = vec![1.0; numbers];
        let mut targets = [5.0; 6];
        let result = MixupCutmix::default().apply(
            &mut mixed,
            shape,
            labels,
            classes,
            &mut targets,
            Key::default(),
        );
        assert!(result.is_ok() || targets == [5.0; 6]);
        result
    };
    assert!(apply(&[0, 2], 8, 3).is_ok());
    let error = apply(&[0, 3], 8, 3).unwrap_err();
    let text = "the label of image 1 of the batch is 3, there are 3 classes";
    assert_eq!(error.to_string(), text);
    assert!(matches!(
        apply(&[0], 8, 3),
        Err(AugmentError::Length { what: "labels", .. })
    ));
    assert!(matches!(
        apply(&[0, 2], 7, 3),
        Err(AugmentError::Length { what: "images", .. })
    ));
    assert!(matches!(
        apply(&[0, 2], 8, 4),
        Err(AugmentError::Length {
            what: "targets",
            ..
        })
    ));
    assert!(MixOp::Plain.images(&mut [], [0, 3, 4, 4]).is_ok());
    assert!(MixOp::Plain.targets(&[], 0, 0.1, &mut []).is_ok());
    assert!(matches!(
        apply(&[0, 0], 8, 0),
        Err(AugmentError::Length { .. })
    ));
    let outside = MixOp::Cutmix {
        rows: 0..9,
        columns: 5..9,
        lambda: 0.5,
    };
    assert!(outside.images(&mut [0.0; 8], shape).is_ok());
    let standard = MixupCutmix::default();
    for wrong in [
        MixupCutmix {
            mixup_alpha: -0.1,
            ..standard
        },
        MixupCutmix {
            cutmix_alpha: f64::INFINITY,
            ..standard
        },
        MixupCutmix {
            switch_probability: 2.0,
            ..standard
        },
        MixupCutmix {
            probability: f64::NAN,
            ..standard
        },
        MixupCutmix {
            label_smoothing: -0.1,
            ..standard
        },
    ] {
        assert!(matches!(wrong.check(), Err(AugmentError::Setting { .. })));
        // Also unchecked settings end.
        wrong.draw([8, 8], Key::new(0, 0, 0));
    }
}

#[test]
fn boxes_of_odd_lengths_lose_a_pixel() {
    let mut longest = 0;
    for item in 0..200 {
        let mut rng = KeyedRng::new(Key::new(1, 2, item), Stream::MixupCutmix);
        // The whole side of seven pixels: three on both sides of the place.
        longest = longest.max(cut(7, 0.0, &mut rng).len());
    }
    assert_eq!(longest, 6);
}
