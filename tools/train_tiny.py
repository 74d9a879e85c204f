#!/usr/bin/env python3
"""Trains ryz-tiny, the 7.3 M parameter model that ryz serves by default, or its draft model, and
writes it as GGUF.

Does: train the byte-level BPE tokenizer, train the network on CPU, checkpoint, export GGUF.
Leaves to others: judging the exported file (eval_tiny.py), golden vectors (make_golden.py).
The one idea: the learning rate is warm-up / stable / linear decay, so the stable phase does not
depend on the total length: stop it at any time (SIGTERM saves a checkpoint), then resume with the
--steps that the remaining time allows. The last --long-steps use sequences of 2,048 tokens.

    python3 train_tiny.py --corpus DIR --work DIR --out ryz-tiny.gguf --steps 2500 \
        --decay-steps 800 --long-steps 500

Needs: torch, numpy, tokenizers. Dracula is never read for training, only for the progress log.
"""
import argparse
import json
import math
import os
import signal
import struct
import sys
import time

import numpy as np
import torch
import torch.nn.functional as F

# The shapes. Every matrix dimension of ryz-tiny is a multiple of 256 where K-quants need it (the
# row length). The draft only has to guess ryz-tiny's next tokens, at a fraction of its cost.
VOCAB, HEAD_DIM = 4096, 64
SHAPES = {"ryz-tiny": {"DIM": 256, "LAYERS": 8, "HEADS": 4, "KV_HEADS": 2, "FFN": 768},
          "ryz-tiny-draft": {"DIM": 128, "LAYERS": 2, "HEADS": 2, "KV_HEADS": 1, "FFN": 384}}
NAME = "ryz-tiny"
DIM, LAYERS, HEADS, KV_HEADS, FFN = SHAPES[NAME].values()  # see choose_shape
CONTEXT_TOKENS = 2048
ROPE_BASE = 10000.0
NORM_EPS = 1e-5
CONTROL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]  # ids 0, 1, 2
QUERY_BLOCK = 256  # fewest queries a block of attention; divides every length above itself
HELD_OUT = "dracula.txt"
CHAT_TEMPLATE = (
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content']"
    " + '<|im_end|>' + '\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def choose_shape(name):
    globals().update(SHAPES[name], NAME=name)


# ---- data ----------------------------------------------------------------------------------

def training_books(corpus_dir):
    """Paths of all books but the held-out one, in name order."""
    names = sorted(n for n in os.listdir(corpus_dir) if n.endswith(".txt") and n != HELD_OUT)
    return [os.path.join(corpus_dir, n) for n in names]


def read_text(path):
    """The file's exact text: no newline translation, so that bytes can be counted."""
    with open(path, encoding="utf-8", newline="") as f:
        return f.read()


def make_tokenizer(corpus_dir, path):
    """Byte-level BPE with GPT-2's pre-tokenizer; trained once, then kept at `path`."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    if os.path.exists(path):
        return Tokenizer.from_file(path)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=VOCAB, special_tokens=CONTROL, show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train(training_books(corpus_dir), trainer)
    assert tokenizer.get_vocab_size() == VOCAB
    tokenizer.save(path)
    return tokenizer


def encode_books(tokenizer, corpus_dir):
    """One stream of token ids: <|endoftext|> before each book and after the last."""
    stream = [0]
    for path in training_books(corpus_dir):
        stream += tokenizer.encode(read_text(path)).ids + [0]
    return torch.tensor(np.array(stream, dtype=np.int64))


class Batches:
    """Endless shuffled windows. The order depends on (seed, sequence length, epoch) only, and
    each epoch cuts the stream at another phase, so no boundary repeats."""

    def __init__(self, stream, seed):
        self.stream, self.seed, self.plan = stream, seed, {}

    def get(self, index, rows, length):
        """Batch number `index` of shape (rows, length + 1) in the order for this length."""
        per_epoch = (len(self.stream) - length) // length // rows
        epoch, slot = divmod(index, per_epoch)
        if self.plan.get("key") != (length, epoch):
            rng = np.random.default_rng([self.seed, length, epoch])
            phase = int(rng.integers(0, length))
            count = (len(self.stream) - 1 - phase) // length
            self.plan = {"key": (length, epoch), "phase": phase, "order": rng.permutation(count)}
        picks = self.plan["order"][slot * rows:(slot + 1) * rows]
        starts = self.plan["phase"] + picks * length
        return torch.stack([self.stream[s:s + length + 1] for s in starts])


# ---- network -------------------------------------------------------------------------------

def rope_tables(length):
    """cos and sin of shape (length, HEAD_DIM / 2) for interleaved pairs (2i, 2i + 1)."""
    freqs = ROPE_BASE ** (-torch.arange(0, HEAD_DIM, 2, dtype=torch.float64) / HEAD_DIM)
    angles = torch.arange(length, dtype=torch.float64)[:, None] * freqs[None, :]
    return angles.cos().float(), angles.sin().float()


def rotate(x, cos, sin):
    """RoPE on x of shape (B, H, T, D), pairs interleaved as GGUF's Llama layout wants them."""
    even, odd = x.float().unflatten(-1, (-1, 2)).unbind(-1)
    out = torch.stack((even * cos - odd * sin, even * sin + odd * cos), -1)
    return out.flatten(-2).to(x.dtype)


def attend(q, k, v):
    """Causal attention of q (B, HEADS, T, D) over k, v (B, KV_HEADS, T, D); returns (B, T, DIM).
    Plain matrix products over blocks of queries, each against the keys up to its end: on two
    AVX512-BF16 cores a compiled step of 8,192 tokens took 0.94 s, with torch's fused CPU kernel
    1.21 s."""
    batch, _, length, _ = q.shape
    group = HEADS // KV_HEADS
    q = (q * HEAD_DIM ** -0.5).unflatten(1, (KV_HEADS, group))
    block = min(length, max(QUERY_BLOCK, length // 4))  # More blocks only make compiling slow.
    outs = []
    for start in range(0, length, block):
        end = start + block
        rows = q[:, :, :, start:end].flatten(2, 3)  # (B, KV_HEADS, group * block, D)
        scores = rows @ k[:, :, :end].transpose(2, 3)
        scores = scores.unflatten(2, (group, block)).float()
        future = torch.ones(block, end, dtype=torch.bool).triu(start + 1)
        weights = scores.masked_fill(future, float("-inf")).softmax(-1).to(v.dtype)
        out = weights.flatten(2, 3) @ v[:, :, :end]
        outs.append(out.view(batch, HEADS, block, HEAD_DIM))
    return torch.cat(outs, 2).transpose(1, 2).flatten(2)


def rms_norm(x, weight):
    x = x.float()
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + NORM_EPS) * weight


class Block(torch.nn.Module):
    """Llama block; attribute names are those of the GGUF tensors."""

    def __init__(self, generator):
        super().__init__()

        def matrix(rows, cols, std):
            return torch.nn.Parameter(torch.randn(rows, cols, generator=generator) * std)

        std = DIM ** -0.5
        deep = (2 * LAYERS) ** -0.5  # Keeps the residual stream's variance independent of depth.
        self.attn_norm = torch.nn.Parameter(torch.ones(DIM))
        self.attn_q = matrix(HEADS * HEAD_DIM, DIM, std)
        self.attn_k = matrix(KV_HEADS * HEAD_DIM, DIM, std)
        self.attn_v = matrix(KV_HEADS * HEAD_DIM, DIM, std)
        self.attn_output = matrix(DIM, HEADS * HEAD_DIM, std * deep)
        self.ffn_norm = torch.nn.Parameter(torch.ones(DIM))
        self.ffn_gate = matrix(FFN, DIM, std)
        self.ffn_up = matrix(FFN, DIM, std)
        self.ffn_down = matrix(DIM, FFN, FFN ** -0.5 * deep)

    def forward(self, x, cos, sin):
        batch, length, _ = x.shape
        h = rms_norm(x, self.attn_norm)
        qkv = F.linear(h, torch.cat((self.attn_q, self.attn_k, self.attn_v)))
        qkv = qkv.view(batch, length, HEADS + 2 * KV_HEADS, HEAD_DIM).transpose(1, 2)
        qk = rotate(qkv[:, :HEADS + KV_HEADS], cos, sin)
        q, k, v = qk[:, :HEADS], qk[:, HEADS:], qkv[:, HEADS + KV_HEADS:]
        x = x + F.linear(attend(q, k, v), self.attn_output)
        h = rms_norm(x, self.ffn_norm)
        gate, up = F.linear(h, torch.cat((self.ffn_gate, self.ffn_up))).chunk(2, -1)
        return x + F.linear(F.silu(gate) * up, self.ffn_down)


class Tiny(torch.nn.Module):
    def __init__(self, seed):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.token_embd = torch.nn.Parameter(
            torch.randn(VOCAB, DIM, generator=generator) * 0.02)
        self.blk = torch.nn.ModuleList(Block(generator) for _ in range(LAYERS))
        self.output_norm = torch.nn.Parameter(torch.ones(DIM))
        cos, sin = rope_tables(CONTEXT_TOKENS)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)

    def forward(self, tokens):
        """Logits (B, T, VOCAB) for tokens (B, T)."""
        length = tokens.shape[1]
        cos, sin = self.cos[:length], self.sin[:length]
        x = F.embedding(tokens, self.token_embd)
        for block in self.blk:
            x = block(x, cos, sin)
        return F.linear(rms_norm(x, self.output_norm), self.token_embd)

    def loss(self, window):
        """Mean negative log-likelihood in nats of window (B, T + 1)."""
        logits = self.forward(window[:, :-1])
        return F.cross_entropy(logits.float().flatten(0, 1), window[:, 1:].flatten())


# ---- optimiser -----------------------------------------------------------------------------

def orthogonalise(g):
    """Five Newton-Schulz steps in bf16 on a stack of matrices (N, rows, cols)."""
    wide = g.shape[1] <= g.shape[2]
    x = g if wide else g.transpose(1, 2)
    x = (x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)).bfloat16()
    for _ in range(5):
        a = x @ x.transpose(1, 2)
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * (a @ a)) @ x
    return (x if wide else x.transpose(1, 2)).float()


class Muon:
    """Muon (momentum, then orthogonalised update) for the matrices inside the blocks."""

    def __init__(self, params, momentum=0.95):
        self.groups, self.momentum = {}, momentum
        for p in params:
            self.groups.setdefault(tuple(p.shape), []).append(p)
        self.buffers = {s: torch.zeros(len(ps), *s) for s, ps in self.groups.items()}

    @torch.no_grad()
    def step(self, lr, weight_decay):
        for shape, params in self.groups.items():
            grad = torch.stack([p.grad for p in params])
            buffer = self.buffers[shape].lerp_(grad, 1 - self.momentum)
            update = orthogonalise(grad.lerp(buffer, self.momentum))
            scale = max(1.0, shape[0] / shape[1]) ** 0.5
            for p, u in zip(params, update):
                p.mul_(1 - lr * weight_decay).add_(u, alpha=-lr * scale)


def learning_rate_factor(step, args):
    """Warm-up, stable, then linear decay to zero at args.steps."""
    if step < args.warmup_steps:
        return (step + 1) / args.warmup_steps
    return min(1.0, (args.steps - step) / max(1, args.decay_steps))


# ---- GGUF ----------------------------------------------------------------------------------

U32, F32, BOOL, STRING, ARRAY, I32 = 4, 6, 7, 8, 9, 5  # GGUF metadata value types
TENSOR_F32, TENSOR_BF16 = 0, 30


def pack_string(text):
    data = text.encode("utf-8")
    return struct.pack("<Q", len(data)) + data


def pack_value(kind, value):
    if kind == STRING:
        return pack_string(value)
    return struct.pack({U32: "<I", I32: "<i", F32: "<f", BOOL: "<?"}[kind], value)


def pack_entry(key, kind, value):
    """One metadata pair; a list becomes an array of `kind`."""
    if isinstance(value, list):
        head = struct.pack("<IIQ", ARRAY, kind, len(value))
        return pack_string(key) + head + b"".join(pack_value(kind, v) for v in value)
    return pack_string(key) + struct.pack("<I", kind) + pack_value(kind, value)


def bf16_bytes(tensor):
    """Row-major bf16, rounded to nearest even (torch's conversion does that)."""
    return tensor.detach().contiguous().bfloat16().view(torch.int16).numpy().tobytes()


def gguf_metadata(tokenizer_path):
    with open(tokenizer_path, encoding="utf-8") as f:
        bpe = json.load(f)["model"]
    tokens = [t for t, _ in sorted(bpe["vocab"].items(), key=lambda kv: kv[1])]
    merges = [m if isinstance(m, str) else " ".join(m) for m in bpe["merges"]]
    assert len(tokens) == VOCAB and tokens[:len(CONTROL)] == CONTROL
    kinds = [3 if i < len(CONTROL) else 1 for i in range(VOCAB)]
    return [
        ("general.architecture", STRING, "llama"),
        ("general.name", STRING, NAME),
        ("general.license", STRING, "cc0-1.0"),
        ("general.file_type", U32, 32),
        ("general.alignment", U32, 32),
        ("llama.context_length", U32, CONTEXT_TOKENS),
        ("llama.embedding_length", U32, DIM),
        ("llama.block_count", U32, LAYERS),
        ("llama.feed_forward_length", U32, FFN),
        ("llama.attention.head_count", U32, HEADS),
        ("llama.attention.head_count_kv", U32, KV_HEADS),
        ("llama.attention.layer_norm_rms_epsilon", F32, NORM_EPS),
        ("llama.rope.dimension_count", U32, HEAD_DIM),
        ("llama.rope.freq_base", F32, ROPE_BASE),
        ("llama.vocab_size", U32, VOCAB),
        ("tokenizer.ggml.model", STRING, "gpt2"),
        ("tokenizer.ggml.pre", STRING, "gpt-2"),
        ("tokenizer.ggml.tokens", STRING, tokens),
        ("tokenizer.ggml.token_type", I32, kinds),
        ("tokenizer.ggml.merges", STRING, merges),
        ("tokenizer.ggml.bos_token_id", U32, 0),
        ("tokenizer.ggml.eos_token_id", U32, 0),
        ("tokenizer.ggml.eot_token_id", U32, 2),
        ("tokenizer.ggml.add_bos_token", BOOL, False),
        ("tokenizer.chat_template", STRING, CHAT_TEMPLATE),
    ]


def gguf_tensors(model):
    """(name, tensor) in file order; no output.weight, because the output is tied."""
    yield "token_embd.weight", model.token_embd
    for i, block in enumerate(model.blk):
        for name, p in block.named_parameters():
            yield f"blk.{i}.{name}.weight", p
    yield "output_norm.weight", model.output_norm


def write_gguf(model, tokenizer_path, path):
    """Writes to a temporary name, then renames, so that a reader never sees half a file."""
    metadata = gguf_metadata(tokenizer_path)
    infos, blobs, offset = [], [], 0
    for name, p in gguf_tensors(model):
        kind = TENSOR_F32 if p.dim() == 1 else TENSOR_BF16
        blob = p.detach().numpy().tobytes() if kind == TENSOR_F32 else bf16_bytes(p)
        dims = list(reversed(p.shape))  # GGUF lists the fastest dimension first.
        infos.append(pack_string(name) + struct.pack("<I", len(dims))
                     + struct.pack(f"<{len(dims)}Q", *dims) + struct.pack("<IQ", kind, offset))
        blobs.append(blob + b"\0" * (-len(blob) % 32))
        offset += len(blobs[-1])
    head = b"GGUF" + struct.pack("<IQQ", 3, len(infos), len(metadata))
    head += b"".join(pack_entry(*m) for m in metadata) + b"".join(infos)
    head += b"\0" * (-len(head) % 32)
    with open(path + ".part", "wb") as f:
        f.write(head + b"".join(blobs))
    os.replace(path + ".part", path)


# ---- training loop -------------------------------------------------------------------------

def held_out_bits_per_byte(model, tokenizer, corpus_dir, length, windows):
    """A quick look at the start of the held-out book, for the log only."""
    path = os.path.join(corpus_dir, HELD_OUT)
    if not os.path.exists(path):
        return float("nan")
    ids = tokenizer.encode(read_text(path)[:400000]).ids[:windows * length + 1]
    ids = torch.tensor(ids)
    byte_count = len(tokenizer.decode(ids[1:].tolist()).encode("utf-8"))
    nats = 0.0
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        for w in range(windows):
            window = ids[w * length:(w + 1) * length + 1][None]
            nats += model.loss(window).item() * length
    return nats / math.log(2) / byte_count


def save_checkpoint(path, state):
    torch.save(state, path + ".part")
    os.replace(path + ".part", path)


def parse_args():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--corpus", required=True, help="folder of .txt books")
    p.add_argument("--work", required=True, help="folder for tokenizer, checkpoint and log")
    p.add_argument("--out", required=True, help="the GGUF file, rewritten at each checkpoint")
    p.add_argument("--shape", choices=list(SHAPES), default="ryz-tiny")
    p.add_argument("--seed", type=int, default=1897)
    p.add_argument("--steps", type=int, default=2500)
    p.add_argument("--warmup-steps", type=int, default=60)
    p.add_argument("--decay-steps", type=int, default=800)
    p.add_argument("--long-steps", type=int, default=500, help="last steps at 2,048 tokens")
    p.add_argument("--batch-tokens", type=int, default=8192)
    p.add_argument("--micro-tokens", type=int, default=2048, help="tokens a forward pass")
    p.add_argument("--length", type=int, default=512)
    p.add_argument("--matrix-lr", type=float, default=0.02, help="Muon")
    p.add_argument("--vector-lr", type=float, default=0.004, help="Adam: embedding and norms")
    p.add_argument("--weight-decay", type=float, default=0.1)
    p.add_argument("--checkpoint-seconds", type=float, default=180.0)
    p.add_argument("--eval-steps", type=int, default=200)
    p.add_argument("--compile", action="store_true",
                   help="torch.compile the loss (needs a C++ compiler)")
    return p.parse_args()


class Trainer:
    """Model, optimisers and progress: what a checkpoint holds."""

    def __init__(self, args, stream):
        self.args, self.step = args, 0
        self.model = Tiny(args.seed)
        matrices = [p for p in self.model.blk.parameters() if p.dim() == 2]
        rest = [p for p in self.model.parameters()
                if p.dim() == 1 or p is self.model.token_embd]
        self.muon = Muon(matrices)
        self.adam = torch.optim.AdamW(rest, lr=0.0, betas=(0.9, 0.98), weight_decay=0.0)
        self.batches = Batches(stream, args.seed)
        self.loss = self.model.loss
        if args.compile:
            self.loss = torch.compile(self.model.loss, dynamic=False)
        self.checkpoint = os.path.join(args.work, "checkpoint.pt")

    def save(self):
        save_checkpoint(self.checkpoint, {
            "step": self.step, "model": self.model.state_dict(), "muon": self.muon.buffers,
            "adam": self.adam.state_dict()})

    def load(self):
        if os.path.exists(self.checkpoint):
            state = torch.load(self.checkpoint, weights_only=True)
            self.step = state["step"]
            self.model.load_state_dict(state["model"])
            self.muon.buffers = state["muon"]
            self.adam.load_state_dict(state["adam"])

    def train_step(self):
        """One optimiser step; returns the batch's mean loss in nats."""
        args = self.args
        long_start = args.steps - args.long_steps
        length = CONTEXT_TOKENS if self.step >= long_start else args.length
        index = self.step - long_start if length == CONTEXT_TOKENS else self.step
        window = self.batches.get(index, args.batch_tokens // length, length)
        parts = window.split(max(1, args.micro_tokens // length))
        total = 0.0
        for part in parts:
            with torch.autocast("cpu", torch.bfloat16):
                loss = self.loss(part)
            (loss * (len(part) / len(window))).backward()
            total += loss.item() * len(part) / len(window)
        factor = learning_rate_factor(self.step, args)
        self.muon.step(args.matrix_lr * factor, args.weight_decay)
        self.adam.param_groups[0]["lr"] = args.vector_lr * factor
        self.adam.step()
        for p in self.model.parameters():
            p.grad = None
        self.step += 1
        return total


def main():
    args = parse_args()
    choose_shape(args.shape)
    os.makedirs(args.work, exist_ok=True)
    torch.manual_seed(args.seed)
    tokenizer_path = os.path.join(args.work, "tokenizer.json")
    tokenizer = make_tokenizer(args.corpus, tokenizer_path)
    trainer = Trainer(args, encode_books(tokenizer, args.corpus))
    trainer.load()
    stop = []
    signal.signal(signal.SIGTERM, lambda *_: stop.append(1))
    log = open(os.path.join(args.work, "train.log"), "a", encoding="utf-8")

    def say(**fields):
        line = json.dumps(fields)
        print(line, flush=True)
        log.write(line + "\n")
        log.flush()

    say(event="start", step=trainer.step, tokens=len(trainer.batches.stream),
        params=sum(p.numel() for p in trainer.model.parameters()), args=vars(args))
    start = saved = time.time()
    while trainer.step < args.steps and not stop:
        loss = trainer.train_step()
        if not math.isfinite(loss):
            sys.exit(f"loss is {loss} at step {trainer.step}")
        if trainer.step % 10 == 0:
            say(step=trainer.step, loss=round(loss, 4), seconds=round(time.time() - start, 1))
        if trainer.step % args.eval_steps == 0:
            bits = held_out_bits_per_byte(trainer.model, tokenizer, args.corpus, 512, 32)
            say(step=trainer.step, held_out_bits_per_byte=round(bits, 4))
        if time.time() - saved > args.checkpoint_seconds:
            trainer.save()
            write_gguf(trainer.model, tokenizer_path, args.out)
            saved = time.time()
    trainer.save()
    write_gguf(trainer.model, tokenizer_path, args.out)
    say(event="end", step=trainer.step, seconds=round(time.time() - start, 1))


if __name__ == "__main__":
    main()
