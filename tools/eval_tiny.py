#!/usr/bin/env python3
"""Judges an exported ryz-tiny.gguf: the file is read back, not the training checkpoint.

Does: bits per byte on the held-out book at 512 and 2,048 tokens of context, 64 seeded sample
continuations, the share of their words that occur in the training corpus, and (with --golden) a
comparison of PyTorch's log-probabilities with those that llama.cpp gave.
Leaves to others: training (train_tiny.py), making the golden vectors (make_golden.py).
The one idea: bf16 weights widened to f32 and run in f32 are what the engine's reference computes.

    python3 eval_tiny.py --gguf models/ryz-tiny.gguf --corpus DIR --samples samples.txt

Needs: torch, numpy, tokenizers.
"""
import argparse
import hashlib
import json
import math
import os
import re
import struct

import numpy as np
import torch
import torch.nn.functional as F

import train_tiny as tiny

SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q",
           11: "<q", 12: "<d"}  # GGUF metadata value types of fixed size
WORD = re.compile(r"[A-Za-z]+(?:['\u2019][A-Za-z]+)*")
SAMPLE_COUNT = 64
PROMPT_WORDS = 8
SAMPLE_TOKENS = 96


# ---- reading the file ----------------------------------------------------------------------

class Reader:
    """Cursor over a GGUF file's bytes."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, fmt):
        value, = struct.unpack_from(fmt, self.data, self.at)
        self.at += struct.calcsize(fmt)
        return value

    def string(self):
        size = self.take("<Q")
        self.at += size
        return self.data[self.at - size:self.at].decode("utf-8")

    def value(self, kind):
        if kind == tiny.STRING:
            return self.string()
        if kind == tiny.ARRAY:
            inner, count = self.take("<I"), self.take("<Q")
            return [self.value(inner) for _ in range(count)]
        return self.take(SCALARS[kind])


def read_gguf(path):
    """(metadata, {tensor name: f32 tensor}) of a file with F32 and BF16 tensors."""
    with open(path, "rb") as f:
        reader = Reader(f.read())
    assert reader.take("<I") == 0x46554747 and reader.take("<I") == 3
    tensor_count, entry_count = reader.take("<Q"), reader.take("<Q")
    metadata = {}
    for _ in range(entry_count):
        key = reader.string()
        metadata[key] = reader.value(reader.take("<I"))
    infos = []
    for _ in range(tensor_count):
        name, rank = reader.string(), reader.take("<I")
        dims = [reader.take("<Q") for _ in range(rank)]
        infos.append((name, dims[::-1], reader.take("<I"), reader.take("<Q")))
    base = reader.at + -reader.at % metadata["general.alignment"]
    tensors = {}
    for name, shape, kind, offset in infos:
        count = math.prod(shape)
        if kind == tiny.TENSOR_BF16:
            raw = np.frombuffer(reader.data, "<u2", count, base + offset)
            values = (raw.astype(np.uint32) << 16).view(np.float32)
        else:
            assert kind == tiny.TENSOR_F32
            values = np.frombuffer(reader.data, "<f4", count, base + offset).copy()
        tensors[name] = torch.from_numpy(values).view(*shape)
    return metadata, tensors


def load_model(tensors):
    model = tiny.Tiny(seed=0)
    with torch.no_grad():
        for name, p in tiny.gguf_tensors(model):
            p.copy_(tensors.pop(name))
    assert not tensors, f"tensors left over: {list(tensors)}"
    return model.eval()


def load_tokenizer(metadata):
    """The tokenizer that the file itself describes."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    vocab = {t: i for i, t in enumerate(metadata["tokenizer.ggml.tokens"])}
    merges = [tuple(m.split(" ")) for m in metadata["tokenizer.ggml.merges"]]
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(t, special=True) for t in tiny.CONTROL])
    return tokenizer


# ---- measures ------------------------------------------------------------------------------

@torch.no_grad()
def bits_per_byte(model, ids, byte_count, context):
    """Every token of the book is scored once, in windows of `context` tokens that do not overlap;
    a token sees only the tokens of its own window (and <|endoftext|> before the first)."""
    stream = torch.tensor([0] + ids)
    nats = 0.0
    for start in range(0, len(ids), context):
        window = stream[start:start + context + 1]
        inputs = F.pad(window[:-1], (0, -(len(window) - 1) % tiny.QUERY_BLOCK))[None]
        logits = model(inputs)[0, :len(window) - 1]
        nats += F.cross_entropy(logits, window[1:], reduction="sum").item()
    return nats / math.log(2) / byte_count


def is_prose(paragraph):
    """False for tables of contents and headings: most words of prose begin in lower case."""
    words = paragraph.split(" ")
    return sum(w[:1].islower() for w in words) > 0.7 * len(words)


def make_prompts(corpus_dir):
    """The first words of SAMPLE_COUNT paragraphs of the training books: each book's opening
    paragraph, then paragraphs spread evenly over it."""
    books = tiny.training_books(corpus_dir)
    per_book = -(-SAMPLE_COUNT // len(books))
    columns = []
    for path in books:
        paragraphs = [" ".join(p.split()) for p in tiny.read_text(path).split("\n\n")]
        prose = [p for p in paragraphs if len(p) > 200 and p[:1].isalpha() and is_prose(p)]
        picks = [prose[len(prose) * i // per_book] for i in range(per_book)]
        columns.append([" ".join(p.split(" ")[:PROMPT_WORDS]) for p in picks])
    return [column[i] for i in range(per_book) for column in columns][:SAMPLE_COUNT]


@torch.no_grad()
def continuations(model, tokenizer, prompts, temperature, seed):
    """Plain sampling at `temperature`, all prompts side by side. Returns (prompt, continuation)."""
    generator = torch.Generator().manual_seed(seed)
    rows = [[0] + tokenizer.encode(p).ids for p in prompts]
    lengths = torch.tensor([len(r) for r in rows])
    width = int(lengths.max()) + SAMPLE_TOKENS
    assert width <= tiny.QUERY_BLOCK
    grid = torch.zeros(len(rows), width, dtype=torch.int64)
    for i, row in enumerate(rows):
        grid[i, :len(row)] = torch.tensor(row)
    every = torch.arange(len(rows))
    for step in range(SAMPLE_TOKENS):
        at = lengths + step
        logits = model(grid[:, :int(at.max())])[every, at - 1] / temperature
        grid[every, at] = torch.multinomial(logits.softmax(-1), 1, generator=generator)[:, 0]
    out = []
    for i, prompt in enumerate(prompts):
        ids = grid[i, lengths[i]:lengths[i] + SAMPLE_TOKENS].tolist()
        out.append((prompt, tokenizer.decode(ids[:ids.index(0)] if 0 in ids else ids)))
    return out


def known_word_share(samples, corpus_dir):
    """(known, total) words that the continuations made, the one cut off at the end left out."""
    lexicon = set()
    for path in tiny.training_books(corpus_dir):
        lexicon.update(w.lower() for w in WORD.findall(tiny.read_text(path)))
    known = total = 0
    for prompt, continuation in samples:
        text = prompt + continuation
        for match in WORD.finditer(text):
            if match.end() > len(prompt) and match.end() < len(text):
                total += 1
                known += match.group().lower() in lexicon
    return known, total


@torch.no_grad()
def compare_golden(model, path):
    """Largest difference and mean KL between golden records (see make_golden.py) and PyTorch."""
    tokens, worst, kl, count = [], 0.0, 0.0, 0
    text_nats, text_worst = 0.0, 0.0
    with open(path, encoding="utf-8") as f:
        lines = [line.split() for line in f if not line.startswith("#")]
    for fields in lines:
        if fields[0] in ("prompt", "text"):
            tokens = [int(t) for t in fields[3:]]
            padded = F.pad(torch.tensor(tokens), (0, -len(tokens) % tiny.QUERY_BLOCK))
            log_probs = model(padded[None])[0].double().log_softmax(-1)
        elif fields[0] == "dist":
            position, rest = int(fields[1]), float(fields[2])
            ids = torch.tensor([int(p.split(":")[0]) for p in fields[3:]])
            gold = torch.tensor([float(p.split(":")[1]) for p in fields[3:]]).double()
            mine = log_probs[position, ids]
            worst = max(worst, (gold - mine).abs().max().item())
            mine_rest = math.log(max(1e-30, 1 - mine.exp().sum().item()))
            kl += (gold.exp() * (gold - mine)).sum().item() + math.exp(rest) * (rest - mine_rest)
            count += 1
        elif fields[0] == "logp":
            position, gold = int(fields[1]), float(fields[2])
            mine = log_probs[position - 1, tokens[position]].item()
            text_worst = max(text_worst, abs(gold - mine))
            text_nats += mine
    return {"positions": count, "worst_log_probability_difference": worst,
            "mean_kl_nats": kl / max(1, count), "text_worst_difference": text_worst,
            "text_log_probability_sum": text_nats}


def compare_tokenizer(tokenizer, path):
    """(equal, total) lines of a golden tokenizer file which this tokenizer reproduces. User text
    is never parsed for control tokens, so the plain vocabulary is used."""
    tokenizer.encode_special_tokens = True
    equal = total = 0
    with open(path, encoding="utf-8") as f:
        for case in map(json.loads, f):
            total += 1
            same = tokenizer.encode(case["text"]).ids == case["ids"]
            equal += same
            if not same:
                print("differs:", ascii(case["text"]), tokenizer.encode(case["text"]).ids,
                      case["ids"])
    return equal, total


def parse_args():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--gguf", required=True)
    p.add_argument("--corpus", required=True, help="folder of .txt books")
    p.add_argument("--samples", help="where to write the continuations")
    p.add_argument("--golden", help="compare with this file and stop")
    p.add_argument("--golden-tokenizer", help="compare with this file and stop")
    p.add_argument("--temperature", type=float, default=0.8)
    p.add_argument("--seed", type=int, default=64)
    return p.parse_args()


def main():
    args = parse_args()
    metadata, tensors = read_gguf(args.gguf)
    tiny.choose_shape(metadata["general.name"])
    model, tokenizer = load_model(tensors), load_tokenizer(metadata)
    if args.golden:
        print(json.dumps(compare_golden(model, args.golden), indent=1))
        return
    if args.golden_tokenizer:
        print("equal %d of %d" % compare_tokenizer(tokenizer, args.golden_tokenizer))
        return
    with open(args.gguf, "rb") as f:
        print("sha256", hashlib.sha256(f.read()).hexdigest())
    text = tiny.read_text(os.path.join(args.corpus, tiny.HELD_OUT))
    ids, byte_count = tokenizer.encode(text).ids, len(text.encode("utf-8"))
    print(f"held out: {byte_count} bytes, {len(ids)} tokens", flush=True)
    for context in (512, 2048):
        bits = bits_per_byte(model, ids, byte_count, context)
        print(f"context {context}: {bits:.4f} bits per byte", flush=True)
    samples = continuations(model, tokenizer, make_prompts(args.corpus), args.temperature,
                            args.seed)
    known, total = known_word_share(samples, args.corpus)
    print(f"known words: {known} of {total} = {100 * known / total:.2f} %")
    if args.samples:
        with open(args.samples, "w", encoding="utf-8") as f:
            for i, (prompt, continuation) in enumerate(samples):
                f.write(f"== {i + 1}\n[{prompt}]{continuation}\n\n")


if __name__ == "__main__":
    main()
