//! Names of weights in detectron2's checkpoints, and how far from the output a weight is.

/// detectron2's name of a weight of [`crate::model::MaskRcnn`].
pub fn detectron2_name(name: &str) -> String {
    const PARTS: &[(&str, &str)] = &[
        ("pyramid.finer4.first.", "backbone.simfp_2.0."),
        ("pyramid.finer4.norm.", "backbone.simfp_2.1."),
        ("pyramid.finer4.second.", "backbone.simfp_2.3."),
        ("pyramid.p2.lateral.", "backbone.simfp_2.4."),
        ("pyramid.p2.output.", "backbone.simfp_2.5."),
        ("pyramid.finer2.", "backbone.simfp_3.0."),
        ("pyramid.p3.lateral.", "backbone.simfp_3.1."),
        ("pyramid.p3.output.", "backbone.simfp_3.2."),
        ("pyramid.p4.lateral.", "backbone.simfp_4.0."),
        ("pyramid.p4.output.", "backbone.simfp_4.1."),
        ("pyramid.p5.lateral.", "backbone.simfp_5.1."),
        ("pyramid.p5.output.", "backbone.simfp_5.2."),
        ("box_predictor.", "roi_heads.box_predictor."),
    ];
    // Convolutions of a head: ours count from 0 in a list.
    const CONVOLUTIONS: &[(&str, &str, usize)] = &[
        (
            "rpn_head.convs.",
            "proposal_generator.rpn_head.conv.conv",
            0,
        ),
        ("box_head.convs.", "roi_heads.box_head.conv", 1),
        ("mask_head.convs.", "roi_heads.mask_head.mask_fcn", 1),
    ];
    if let Some(rest) = name.strip_prefix("backbone.") {
        let rest = rest.replace(".positions.rel_pos_", ".attn.rel_pos_");
        return format!("backbone.net.{rest}");
    }
    for (ours, theirs) in PARTS {
        if let Some(rest) = name.strip_prefix(ours) {
            return format!("{theirs}{rest}");
        }
    }
    for (ours, theirs, first) in CONVOLUTIONS {
        let numbered = name
            .strip_prefix(ours)
            .and_then(|rest| rest.split_once('.'));
        if let Some((number, rest)) = numbered
            && let Ok(number) = number.parse::<usize>()
        {
            return format!("{theirs}{}.{rest}", number + first);
        }
    }
    match name.strip_prefix("rpn_head.") {
        Some(rest) => format!("proposal_generator.rpn_head.{rest}"),
        None => format!("roi_heads.{name}"),
    }
}

/// The layer that a weight belongs to, for learning rates that fall towards the input: 0 for patches and positions,
/// i + 1 for block i, `depth + 1` for all else.
pub fn layer(name: &str, depth: usize) -> usize {
    match name.strip_prefix("backbone.") {
        None => depth + 1,
        Some(rest) => rest
            .strip_prefix("blocks.")
            .and_then(|rest| rest.split('.').next()?.parse::<usize>().ok())
            .map_or(0, |block| block + 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (ours, theirs) in [
            ("backbone.pos_embed", "backbone.net.pos_embed"),
            (
                "backbone.blocks.3.mlp.fc1.bias",
                "backbone.net.blocks.3.mlp.fc1.bias",
            ),
            (
                "backbone.blocks.3.positions.rel_pos_h",
                "backbone.net.blocks.3.attn.rel_pos_h",
            ),
            (
                "pyramid.p2.output.norm.weight",
                "backbone.simfp_2.5.norm.weight",
            ),
            (
                "rpn_head.convs.1.weight",
                "proposal_generator.rpn_head.conv.conv1.weight",
            ),
            (
                "rpn_head.anchor_deltas.bias",
                "proposal_generator.rpn_head.anchor_deltas.bias",
            ),
            (
                "box_head.convs.0.norm.bias",
                "roi_heads.box_head.conv1.norm.bias",
            ),
            ("box_head.fc1.weight", "roi_heads.box_head.fc1.weight"),
            (
                "box_predictor.cls_score.bias",
                "roi_heads.box_predictor.cls_score.bias",
            ),
            (
                "mask_head.convs.3.weight",
                "roi_heads.mask_head.mask_fcn4.weight",
            ),
            (
                "mask_head.deconv.weight",
                "roi_heads.mask_head.deconv.weight",
            ),
        ] {
            assert_eq!(detectron2_name(ours), theirs);
        }
    }

    #[test]
    fn layers() {
        assert_eq!(layer("backbone.pos_embed", 12), 0);
        assert_eq!(layer("backbone.patch_embed.proj.weight", 12), 0);
        assert_eq!(layer("backbone.blocks.11.norm1.bias", 12), 12);
        assert_eq!(layer("pyramid.p4.lateral.weight", 12), 13);
        assert_eq!(layer("box_predictor.bbox_pred.bias", 12), 13);
    }
}
