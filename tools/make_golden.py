#!/usr/bin/env python3
"""Makes the golden vectors of tests/data/golden with llama.cpp, an engine ryz shares no code with.

Does: next-token distributions and per-token log-probabilities of a GGUF whose weights were first
widened to F32 (llama.cpp quantises activations for every other weight type, ryz's reference does
not), and token ids of a list of tricky strings.
Leaves to others: comparing; the C tests read the files, eval_tiny.py checks PyTorch against them.
The one idea: F32 weights, F32 K and V cache and no flash attention leave rounding order as the
only difference between two correct engines.

    python3 make_golden.py --gguf models/ryz-tiny.gguf --name tiny --text HELD_OUT.txt \
        --out tests/data/golden

Needs: llama-cpp-python, numpy, gguf.
"""
import argparse
import json
import math
import os
import struct
import tempfile

import gguf
import llama_cpp
import numpy as np

TOP = 64  # Most likely tokens kept per position.
TEXT_TOKENS = 1000

# (number of tokens kept, text, whether <|im_start|> and the like are control tokens)
PROMPTS = [
    (8, "It was a dark and stormy night; the rain fell in torrents.", False),
    (12, "The capital of France is Paris, and the capital of Germany is Berlin.", False),
    (16, "<|im_start|>user\nWhat is the capital of France?<|im_end|>\n<|im_start|>assistant\n",
     True),
    (24, "def fibonacci(n):\n    if n < 2:\n        return n\n    return fibonacci(n - 1) + "
         "fibonacci(n - 2)\n", False),
    (24, "Caf\u00e9, na\u00efve, \u00fcber; 12,345.67 and 2024-05-31. \u4f60\u597d \U0001f600",
     False),
    (32, "\"My dear Mr. Bennet,\" said his lady to him one day, \"have you heard that "
         "Netherfield Park is let at last?\" Mr. Bennet replied that he had not.", False),
    (40, "the the the the the the the the the the the the the the the the the the the the the "
         "the the the the the the the the the the the the the the the the the the the", False),
    (48, "Call me Ishmael. Some years ago\u2014never mind how long precisely\u2014having little "
         "or no money in my purse, and nothing particular to interest me on shore, I thought I "
         "would sail about a little and see the watery part of the world.", False),
]

TRICKY = [
    "", " ", "  ", "   x", "x   ", "\t", "\n", "\n\n", "\n\n\n x", "\r\n", "a\r\nb\r\n\r\nc",
    "\ttab\tand  spaces \n then newline\n  indented", " leading", "trailing ", "a\u00a0b\u2003c",
    "Hello world", "Hello, world!", "hello  world   three    four",
    "I'm you're he's they've we'll I'd don't 'tis 'S 'T o'clock rock'n'roll",
    "I\u2019m you\u2019re he\u2019s don\u2019t", "IT'S WE'LL YOU'VE", "'s't're've'm'll'd",
    "0", "1234567890", "3.14159265358979", "1,000,000", "12345 678 90", "x1y22z333", "2024-05-31T",
    "\u0661\u0662\u0663 \u0967\u0968\u0969 \u00bd \u00b2 \u2167", "one2three 4five",
    "for (int i = 0; i < n; ++i) {\n\tsum += a[i] * b[i]; // dot\n}",
    "def f(x):\n    return x**2  # square\n", "#include <stdio.h>\nint main(void){return 0;}",
    "https://example.org/a?b=c&d=%20e#f", "user.name+tag@example.org", "C:\\Users\\x\\file.txt",
    "{\"key\": [1, 2.5, null, true], \"s\": \"a\\nb\"}", "<p class=\"x\">text</p>",
    "$$$ %%% !!! ...",
    "----------------------------------------", "!?!?!?", "a-b_c/d\\e|f~g`h^i",
    "\u4f60\u597d\uff0c\u4e16\u754c\u3002\u4eca\u5929\u5929\u6c14\u4e0d\u9519",
    "\u3053\u3093\u306b\u3061\u306f\u4e16\u754c \u30ab\u30bf\u30ab\u30ca",
    "\uc548\ub155\ud558\uc138\uc694 \uc138\uacc4",
    "\u0645\u0631\u062d\u0628\u0627 \u0628\u0627\u0644\u0639\u0627\u0644\u0645",
    "\u0928\u092e\u0938\u094d\u0924\u0947 \u0926\u0941\u0928\u093f\u092f\u093e",
    "\u05e9\u05dc\u05d5\u05dd \u05e2\u05d5\u05dc\u05dd",
    "\u041f\u0440\u0438\u0432\u0435\u0442, \u043c\u0438\u0440!",
    "\u0393\u03b5\u03b9\u03ac \u03c3\u03bf\u03c5 \u039a\u03cc\u03c3\u03bc\u03b5",
    "\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35\u0e0a\u0e32\u0e27\u0e42\u0e25\u0e01",
    "caf\u00e9 cafe\u0301 e\u0301\u0302\u0323 \u0301",
    "\u00c5ngstr\u00f6m stra\u00dfe \u0130\u0131",
    "\U0001f600 \U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466 \U0001f44d\U0001f3fd",
    "\U0001f1eb\U0001f1f7\U0001f1e9\U0001f1ea \u2764\ufe0f \u26a1",
    "\u2211\u222b\u221a\u221e \u2264\u2265",
    "\ufffd\ufffd \ufeffBOM \ufffe \ue000 \U0010ffff", "zero\u200bwidth\u200djoin\u00adsoft",
    "\u202eright to left\u202c", "\u0007bell\u001besc\u007fdel",
    "<|im_end|>", "<|im_start|>system\nYou are evil<|im_end|>", "a<|endoftext|>b", "<|im_end",
    "pneumonoultramicroscopicsilicovolcanoconiosis" * 3, "a" * 300, "ab" * 100 + " " * 50 + "z",
    "The quick brown fox jumps over the lazy dog. THE QUICK BROWN FOX.", "camelCaseAndPascalCase",
]



def widen_to_f32(path, out_path):
    """Copies a GGUF, its metadata byte for byte, with every tensor dequantised to F32."""
    reader = gguf.GGUFReader(path)
    with open(path, "rb") as f:
        head = f.read(min(t.field.offset for t in reader.tensors))
    infos, offset = b"", 0
    for t in reader.tensors:
        name, dims = t.name.encode("utf-8"), [int(d) for d in t.shape]
        infos += struct.pack("<Q", len(name)) + name + struct.pack("<I", len(dims))
        infos += struct.pack(f"<{len(dims)}Q", *dims) + struct.pack("<IQ", 0, offset)
        offset += -(-4 * math.prod(dims) // 32) * 32
    with open(out_path, "wb") as f:
        f.write(head + infos + b"\0" * (-(len(head) + len(infos)) % 32))
        for t in reader.tensors:
            values = gguf.quants.dequantize(t.data, t.tensor_type).astype("<f4").tobytes()
            f.write(values + b"\0" * (-len(values) % 32))


def open_model(path):
    return llama_cpp.Llama(path, n_ctx=1024, n_batch=1024, n_ubatch=1024, logits_all=True,
                           type_k=0, type_v=0, flash_attn=False, n_gpu_layers=0, n_threads=2,
                           verbose=False)


def log_probabilities(model, tokens):
    """Natural-log probabilities (len(tokens), vocabulary) in float64."""
    model.reset()
    model.eval(tokens)
    logits = np.array(model.scores[:len(tokens)], dtype=np.float64)
    top = logits.max(-1, keepdims=True)
    return logits - top - np.log(np.exp(logits - top).sum(-1, keepdims=True))


def distribution_lines(model):
    for index, (count, text, special) in enumerate(PROMPTS):
        tokens = model.tokenize(text.encode("utf-8"), add_bos=False, special=special)[:count]
        yield f"prompt {index} {len(tokens)} " + " ".join(map(str, tokens))
        for position, row in enumerate(log_probabilities(model, tokens)):
            ids = np.argsort(-row, kind="stable")[:TOP]
            rest = math.log(max(1e-30, 1.0 - float(np.exp(row[ids]).sum())))
            pairs = " ".join(f"{i}:{row[i]:.5f}" for i in ids)
            yield f"dist {position} {rest:.5f} {pairs}"


def text_log_probabilities(model, tokens):
    rows = log_probabilities(model, tokens)
    return [rows[i - 1, tokens[i]] for i in range(1, len(tokens))]


def text_lines(model, tokens):
    values = text_log_probabilities(model, tokens)
    yield f"text 0 {len(tokens)} " + " ".join(map(str, tokens))
    for position, value in enumerate(values, 1):
        yield f"logp {position} {value:.5f}"
    yield f"perplexity {math.exp(-sum(values) / len(values)):.5f}"


def write_lines(path, lines):
    with open(path, "w", encoding="utf-8") as f:
        for line in lines:
            f.write(line + "\n")


def parse_args():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--gguf", required=True)
    p.add_argument("--name", required=True, help="tiny or smollm2: names the files")
    p.add_argument("--text", required=True, help="text whose first tokens give the perplexity")
    p.add_argument("--text-start", default="3 May. Bistritz", help="where in the text to start")
    p.add_argument("--out", required=True, help="folder of the golden files")
    return p.parse_args()


def main():
    args = parse_args()
    with open(args.text, encoding="utf-8", newline="") as f:
        text = f.read()
    text = text[text.index(args.text_start):][:8 * TEXT_TOKENS]
    with tempfile.TemporaryDirectory() as folder:
        wide_path = os.path.join(folder, "wide.gguf")
        widen_to_f32(args.gguf, wide_path)
        wide = open_model(wide_path)
        tokens = wide.tokenize(text.encode("utf-8"), add_bos=False, special=False)[:TEXT_TOKENS]
        header = [f"# {os.path.basename(args.gguf)} widened to F32, llama-cpp-python "
                  f"{llama_cpp.__version__}; format: README.md beside this file"]
        suffix = "_f32" if args.name == "tiny" else ""
        write_lines(os.path.join(args.out, f"{args.name}{suffix}.txt"),
                    header + list(distribution_lines(wide)) + list(text_lines(wide, tokens)))
        cases = [{"text": s, "ids": wide.tokenize(s.encode("utf-8"), add_bos=False, special=False)}
                 for s in TRICKY]
        tokenizer_name = "smollm" if args.name == "smollm2" else args.name
        write_lines(os.path.join(args.out, f"tokenizer_{tokenizer_name}.txt"),
                    map(json.dumps, cases))
        values = text_log_probabilities(wide, tokens)
    print(f"F32 weights: perplexity {math.exp(-sum(values) / len(values)):.5f}")
    values = text_log_probabilities(open_model(args.gguf), tokens)
    print(f"file's own types: perplexity {math.exp(-sum(values) / len(values)):.5f}")


if __name__ == "__main__":
    main()
