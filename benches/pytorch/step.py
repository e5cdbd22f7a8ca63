"""One SemAIM pre-training step, or one batch of embeddings, in PyTorch on the CPU.

Two ways of computing the same numbers:

* ``tuned``: what an expert would run today. Fused attention with boolean masks, one projection for queries, keys and
  values, content normalized once for keys and values, no query for the class token, fused AdamW, multi-tensor clipping,
  inference mode for the order, optionally ``torch.compile`` and autocast to bfloat16.
* ``authors``: the published way. Eager operations, attention as a masked softmax, content normalized separately for keys
  and for values, a query for the class token, AdamW as it comes.

Prints one line of JSON.
"""

import argparse
import functools
import json
import resource
import statistics
import time

import torch
import torch.nn.functional as F
from torch import nn

SIZES = {"vit-ti16": (192, 12, 3), "vit-s16": (384, 12, 6), "vit-b16": (768, 12, 12), "vit-l16": (1024, 24, 16)}


class Mlp(nn.Module):
    def __init__(self, width, hidden, out):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, hidden), nn.Linear(hidden, out)

    def forward(self, x):
        return self.fc2(F.gelu(self.fc1(x)))


def heads(x, count):
    batch, tokens, width = x.shape
    return x.view(batch, tokens, count, width // count).transpose(1, 2)


def attend(q, k, v, mask, fused):
    """``mask`` is boolean, true where a token is visible, or None."""
    if fused:
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    else:
        scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)
        if mask is not None:
            scores = scores.masked_fill(~mask, float("-inf"))
        mixed = scores.softmax(dim=-1) @ v
    batch, count, tokens, width = mixed.shape
    return mixed.transpose(1, 2).reshape(batch, tokens, count * width)


class Block(nn.Module):
    def __init__(self, width, count, fused):
        super().__init__()
        self.count, self.fused = count, fused
        self.norm1, self.norm2 = nn.LayerNorm(width, eps=1e-6), nn.LayerNorm(width, eps=1e-6)
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = Mlp(width, 4 * width, width)

    def forward(self, h, mask):
        q, k, v = (heads(x, self.count) for x in self.qkv(self.norm1(h)).chunk(3, dim=-1))
        h = h + self.proj(attend(q, k, v, mask, self.fused))
        return h + self.mlp(self.norm2(h))


class QueryBlock(nn.Module):
    def __init__(self, width, count, fused):
        super().__init__()
        self.count, self.fused = count, fused
        self.norm1, self.norm2 = nn.LayerNorm(width, eps=1e-6), nn.LayerNorm(width, eps=1e-6)
        self.q = nn.Linear(width, width)
        if fused:
            self.kv = nn.Linear(width, 2 * width)
        else:
            self.k, self.v = nn.Linear(width, width), nn.Linear(width, width)
        self.proj = nn.Linear(width, width)
        self.mlp = Mlp(width, 4 * width, width)

    def forward(self, g, h, mask):
        q = self.q(self.norm1(g))
        if self.fused:
            k, v = self.kv(self.norm1(h)).chunk(2, dim=-1)
        else:
            k, v = self.k(self.norm1(h)), self.v(self.norm1(h))
        q, k, v = (heads(x, self.count) for x in (q, k, v))
        g = g + self.proj(attend(q, k, v, mask, self.fused))
        return g + self.mlp(self.norm2(g))


class Semaim(nn.Module):
    def __init__(self, width, depth, count, side, fused):
        super().__init__()
        self.side, self.fused = side, fused
        self.patch_embed = nn.Conv2d(3, width, 16, 16)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width).normal_(std=0.02))
        # The values do not matter here, only that they are added and are not trained.
        self.register_buffer("positions", torch.randn(1, 1 + side * side, width))
        self.blocks = nn.ModuleList(Block(width, count, fused) for _ in range(depth))
        self.query_blocks = nn.ModuleList(QueryBlock(width, count, fused) for _ in range(depth))
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.head = Mlp(width, 4 * width, 768)

    def embed(self, images):
        patches = self.patch_embed(images).flatten(2).transpose(1, 2) + self.positions[:, 1:]
        first = (self.cls_token + self.positions[:, :1]).expand(len(images), -1, -1)
        return torch.cat([first, patches], dim=1)

    def tokens(self, images):
        h = self.embed(images)
        for block in self.blocks:
            h = block(h, None)
        return self.norm(h)

    def forward(self, images, content, query):
        h = self.embed(images)
        g = (self.positions[:, 1:] if self.fused else self.positions).expand(len(images), -1, -1)
        for block, query_block in zip(self.blocks, self.query_blocks):
            h = block(h, content)
            g = query_block(g, h, query)
        return self.head(self.norm(g))


def rank_keys(tokens, side):
    """Distance from the patch that is most like the class token, ties broken at random."""
    similarity = F.cosine_similarity(tokens[:, :1], tokens[:, 1:], dim=-1).softmax(dim=-1)
    center = similarity.argmax(dim=1)
    place = torch.arange(side * side)
    rows, columns = place // side, place % side
    distance = ((rows - (center // side)[:, None]) ** 2 + (columns - (center % side)[:, None]) ** 2).float().sqrt()
    return distance + 1e-3 * torch.rand_like(distance)


def masks(ranks, with_class_query):
    batch, count = ranks.shape
    content = torch.ones(batch, 1, 1 + count, 1 + count, dtype=torch.bool)
    content[:, 0, 0, 1:] = False
    content[:, 0, 1:, 1:] = ranks[:, None, :] <= ranks[:, :, None]
    query = torch.ones_like(content)
    query[:, 0, 0, 1:] = False
    query[:, 0, 1:, 1:] = ranks[:, None, :] < ranks[:, :, None]
    return content, query if with_class_query else query[:, :, 1:].contiguous()


def blur_weights():
    x = torch.arange(9) - 4.0
    line = torch.exp(-0.5 * x**2)
    line = line / line.sum()
    return line


def target(images, line, side):
    """Blurred pixels per patch, normalized."""
    blurred = F.conv2d(images, line.view(1, 1, 1, 9).expand(3, 1, 1, 9), padding=(0, 4), groups=3)
    blurred = F.conv2d(blurred, line.view(1, 1, 9, 1).expand(3, 1, 9, 1), padding=(4, 0), groups=3)
    patches = blurred.view(len(images), 3, side, 16, side, 16).permute(0, 2, 4, 3, 5, 1).reshape(len(images), side * side, 768)
    return (patches - patches.mean(-1, keepdim=True)) / (patches.var(-1, keepdim=True) + 1e-6).sqrt()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", choices=SIZES, default="vit-ti16")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--work", choices=["step", "embed"], default="step")
    parser.add_argument("--way", choices=["tuned", "authors"], default="tuned")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--bf16", action="store_true", help="autocast to bfloat16")
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    imported = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    side, fused = 14, args.way == "tuned"
    model = Semaim(*SIZES[args.model], side, fused)
    images = torch.randn(args.batch, 3, 224, 224)
    line = blur_weights()
    decayed = [p for p in model.parameters() if p.ndim >= 2]
    others = [p for p in model.parameters() if p.ndim < 2]
    groups = [{"params": decayed, "weight_decay": 0.05}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=1e-4, betas=(0.9, 0.95), fused=fused or None)
    tokens, forward = model.tokens, model.forward
    if args.compile:
        tokens, forward = torch.compile(tokens), torch.compile(forward)

    # Without gradients nothing may be kept of cast weights, which the step changes.
    cast = functools.partial(torch.autocast, "cpu", torch.bfloat16, enabled=args.bf16)

    def step():
        with torch.inference_mode(), cast():
            ranks = rank_keys(tokens(images), side)
        content, query = masks(ranks.clone(), not fused)
        truth = target(images, line, side)
        with cast():
            predictions = forward(images, content, query)
        loss = ((predictions if fused else predictions[:, 1:]) - truth).pow(2).mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 3.0)
        optimizer.step()
        return loss.item()

    def embed():
        with torch.inference_mode(), cast():
            return tokens(images)[:, 1:].mean(dim=1).sum().item()

    work = step if args.work == "step" else embed
    work()
    if args.compile:
        work()
    times = []
    for _ in range(args.steps):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(
        json.dumps(
            {
                "way": args.way + ("+compile" if args.compile else "") + ("+bf16" if args.bf16 else ""),
                "torch": torch.__version__,
                "threads": torch.get_num_threads(),
                "seconds": statistics.median(times),
                "seconds_fastest": min(times),
                "peak_bytes": peak,
                "imported_bytes": imported,
            }
        )
    )


main()
