"""One training step of UPerNet on a plain vision transformer in PyTorch on the CPU, without the optimizer.

The model is ``UperNetForSemanticSegmentation`` of Hugging Face's library with the neck and the auxiliary head that masked
autoencoders are evaluated with: the opponent of ``crates/semaim-segment/examples/segment_step_time.rs``. Attention is fused
(``sdpa``); ``--channels-last`` lays the images out so that convolutions run on their fastest form.

Prints one line of JSON.
"""

import argparse
import json
import resource
import statistics
import time

import torch
from transformers import BeitConfig, UperNetConfig, UperNetForSemanticSegmentation

SIZES = {"tiny": (192, 12, 3), "small": (384, 12, 6), "base": (768, 12, 12)}


def model(size, crop, classes):
    width, depth, heads = SIZES[size]
    backbone = BeitConfig(
        hidden_size=width, num_hidden_layers=depth, num_attention_heads=heads, intermediate_size=4 * width,
        image_size=crop, patch_size=16, use_absolute_position_embeddings=True, layer_scale_init_value=0.0,
        drop_path_rate=0.0, layer_norm_eps=1e-6, add_fpn=True, attn_implementation="sdpa",
        out_indices=[depth // 3, depth // 2, 2 * depth // 3, depth])
    config = UperNetConfig(
        backbone_config=backbone, hidden_size=width, pool_scales=[1, 2, 3, 6], use_auxiliary_head=True,
        auxiliary_in_channels=width, auxiliary_channels=256, num_labels=classes)
    return UperNetForSemanticSegmentation(config).train()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", choices=SIZES, default="tiny")
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--crop", type=int, default=512)
    parser.add_argument("--classes", type=int, default=150)
    parser.add_argument("--steps", type=int, default=3, help="after one that is not counted")
    parser.add_argument("--channels-last", action="store_true")
    parser.add_argument("--compile", action="store_true")
    args = parser.parse_args()
    torch.manual_seed(0)
    network = model(args.size, args.crop, args.classes)
    images = torch.randn(args.batch, 3, args.crop, args.crop)
    labels = torch.randint(0, args.classes, (args.batch, args.crop, args.crop))
    if args.channels_last:
        network = network.to(memory_format=torch.channels_last)
        images = images.to(memory_format=torch.channels_last)
    step = torch.compile(network) if args.compile else network
    seconds = []
    for _ in range(1 + args.steps):
        network.zero_grad(set_to_none=True)
        start = time.perf_counter()
        step(pixel_values=images, labels=labels).loss.backward()
        seconds.append(time.perf_counter() - start)
    print(json.dumps({
        **vars(args), "threads": torch.get_num_threads(), "seconds": statistics.median(seconds[1:]),
        "all_seconds": seconds, "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}))


if __name__ == "__main__":
    main()
