"""One training step, or inference, of Mask R-CNN on a plain vision transformer in PyTorch on the CPU, without the optimizer.

Blocks of timm (fused attention, in windows but for four blocks), the simple feature pyramid, and torchvision's region
proposal network, box and mask heads with ViTDet's sizes: the opponent of
``crates/semaim-detect/examples/detect_step_time.rs``. ``--channels-last`` lays maps out so that convolutions run on their
fastest form.

Prints one line of JSON.
"""

import argparse
import json
import resource
import statistics
import time
from collections import OrderedDict

import timm
import torch
from timm.layers import LayerNorm2d
from torch import nn
from torchvision.models.detection import MaskRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNConvFCHead
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads
from torchvision.models.detection.rpn import RPNHead
from torchvision.ops import MultiScaleRoIAlign

NAMES = {"tiny": "vit_tiny_patch16_224", "small": "vit_small_patch16_224", "base": "vit_base_patch16_224"}
CLASSES, CHANNELS, OBJECTS = 80, 256, 7
LEVELS = ["p2", "p3", "p4", "p5", "p6"]


class Backbone(nn.Module):
    """A transformer with windows, and maps of five scales from its last one."""

    out_channels = CHANNELS

    def __init__(self, name, canvas, window):
        super().__init__()
        vit = timm.create_model(name, img_size=canvas, class_token=False, global_pool="avg", num_classes=0)
        self.patch_embed, self.blocks = vit.patch_embed, vit.blocks
        self.pos_embed = nn.Parameter(torch.zeros(1, (canvas // 16) ** 2, vit.embed_dim))
        self.side, self.window = canvas // 16, window
        dim, depth = vit.embed_dim, len(vit.blocks)
        self.global_blocks = {depth * quarter // 4 - 1 for quarter in range(1, 5)}
        self.scales = nn.ModuleList([
            nn.Sequential(
                nn.ConvTranspose2d(dim, dim // 2, 2, 2), LayerNorm2d(dim // 2), nn.GELU(),
                nn.ConvTranspose2d(dim // 2, dim // 4, 2, 2)),
            nn.ConvTranspose2d(dim, dim // 2, 2, 2), nn.Identity(), nn.MaxPool2d(2, 2)])
        self.outputs = nn.ModuleList([
            nn.Sequential(
                nn.Conv2d(width, CHANNELS, 1, bias=False), LayerNorm2d(CHANNELS),
                nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1, bias=False), LayerNorm2d(CHANNELS))
            for width in (dim // 4, dim // 2, dim, dim)])

    def forward(self, images):
        x = self.patch_embed(images) + self.pos_embed
        batch, _, dim = x.shape
        side, window = self.side, self.window
        for index, block in enumerate(self.blocks):
            if window == 0 or index in self.global_blocks:
                x = block(x)
                continue
            count = side // window
            tiles = x.view(batch, count, window, count, window, dim).transpose(2, 3)
            tiles = block(tiles.reshape(-1, window * window, dim))
            x = tiles.view(batch, count, count, window, window, dim).transpose(2, 3).reshape(batch, side * side, dim)
        x = x.view(batch, side, side, dim).permute(0, 3, 1, 2)
        maps = [output(scale(x)) for scale, output in zip(self.scales, self.outputs)]
        maps.append(maps[-1][:, :, ::2, ::2])
        return OrderedDict(zip(LEVELS, maps))


def model(size, canvas, window, sampling):
    anchors = AnchorGenerator(((32,), (64,), (128,), (256,), (512,)), ((0.5, 1.0, 2.0),) * 5)

    def pool(bins):
        return MultiScaleRoIAlign(LEVELS[:4], bins, sampling)

    return MaskRCNN(
        Backbone(NAMES[size], canvas, window), CLASSES + 1, rpn_anchor_generator=anchors,
        rpn_head=RPNHead(CHANNELS, 3, conv_depth=2), rpn_pre_nms_top_n_train=2000, rpn_pre_nms_top_n_test=1000,
        rpn_post_nms_top_n_train=1000, rpn_post_nms_top_n_test=1000, box_roi_pool=pool(7), mask_roi_pool=pool(14),
        box_head=FastRCNNConvFCHead((CHANNELS, 7, 7), [CHANNELS] * 4, [1024], norm_layer=LayerNorm2d),
        mask_head=MaskRCNNHeads(CHANNELS, [CHANNELS] * 4, 1, norm_layer=LayerNorm2d), box_score_thresh=0.0)


def truth(canvas, generator):
    """Rectangles that are masks too."""
    boxes, masks = [], torch.zeros(OBJECTS, canvas, canvas, dtype=torch.uint8)

    def below(limit):
        return int(torch.randint(0, limit, (1,), generator=generator))

    for mask in masks:
        width, height = 16 + below(canvas // 3), 16 + below(canvas // 3)
        x, y = below(canvas - width), below(canvas - height)
        mask[y:y + height, x:x + width] = 1
        boxes.append([x, y, x + width, y + height])
    labels = torch.randint(1, CLASSES + 1, (OBJECTS,), generator=generator)
    return {"boxes": torch.tensor(boxes, dtype=torch.float32), "labels": labels, "masks": masks}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", choices=NAMES, default="tiny")
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--canvas", type=int, default=512)
    parser.add_argument("--window", type=int, default=16, help="0: every block attends globally")
    parser.add_argument("--steps", type=int, default=3, help="after one that is not counted")
    parser.add_argument("--sampling", type=int, default=0, help="samples per bin and axis; 0: as many as a bin is wide")
    parser.add_argument("--channels-last", action="store_true")
    parser.add_argument("--infer", action="store_true")
    args = parser.parse_args()
    generator = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    network = model(args.size, args.canvas, args.window, args.sampling)
    images = torch.randn(args.batch, 3, args.canvas, args.canvas, generator=generator)
    if args.channels_last:
        network = network.to(memory_format=torch.channels_last)
        images = images.to(memory_format=torch.channels_last)
    targets = [truth(args.canvas, generator) for _ in range(args.batch)]
    sizes = [(args.canvas, args.canvas)] * args.batch

    def losses():
        listed = ImageList(images, sizes)
        maps = network.backbone(images)
        proposals, rpn = network.rpn(listed, maps, targets)
        _, heads = network.roi_heads(maps, proposals, sizes, targets)
        return sum({**rpn, **heads}.values())

    def detect():
        maps = network.backbone(images)
        proposals, _ = network.rpn(ImageList(images, sizes), maps)
        return network.roi_heads(maps, proposals, sizes)[0]

    seconds = []
    network.train(not args.infer)
    for _ in range(1 + args.steps):
        network.zero_grad(set_to_none=True)
        start = time.perf_counter()
        if args.infer:
            with torch.inference_mode():
                detect()
        else:
            losses().backward()
        seconds.append(time.perf_counter() - start)
    print(json.dumps({
        **vars(args), "threads": torch.get_num_threads(), "seconds": statistics.median(seconds[1:]),
        "all_seconds": seconds, "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}))


if __name__ == "__main__":
    main()
