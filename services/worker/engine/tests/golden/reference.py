"""A decoder of the Llama family in numpy: the reference that imported graphs are held to. Independent of the project's
own code: weights come from GGUF through the package `gguf`, and every operation is written out.

Needs: the packages in requirements.txt.
"""

import numpy as np
from gguf import GGUFReader
from gguf.quants import dequantize


class Llama:
    def __init__(self, path, float_type=np.float32):
        reader = GGUFReader(path)
        skip = (".tokens", ".scores", ".token_type", ".merges")
        self.fields = {k: f.contents() for k, f in reader.fields.items() if not k.endswith(skip)}
        self.tokens = reader.fields["tokenizer.ggml.tokens"].contents() if "tokenizer.ggml.tokens" in reader.fields else []
        self.w = {t.name: dequantize(t.data, t.tensor_type).astype(float_type) for t in reader.tensors}
        arch = self.fields["general.architecture"]
        get = lambda key, default=None: self.fields.get(f"{arch}.{key}", default)
        self.arch, self.layers, hidden = arch, get("block_count"), get("embedding_length")
        self.heads = get("attention.head_count")
        self.kv_heads = get("attention.head_count_kv", self.heads)
        self.width = get("attention.key_length", hidden // self.heads)
        self.eps = get("attention.layer_norm_rms_epsilon")
        frequency = get("rope.freq_base", 10000.0) ** (-np.arange(0, self.width, 2) / self.width)
        if get("rope.scaling.type") == "linear":
            frequency = frequency / get("rope.scaling.factor")
        self.frequency = frequency / self.w.get("rope_freqs.weight", np.ones(1))

    def norm(self, x, name):
        mean = (x.astype(np.float64) ** 2).mean(-1, keepdims=True)
        return (x / np.sqrt(mean + self.eps) * self.w[name]).astype(x.dtype)

    def rotate(self, x, start):
        """x: [tokens, heads, width]. GGUF keeps llama's rotary pairs side by side, the others' a half apart."""
        angle = np.outer(np.arange(start, start + len(x)), self.frequency)[:, None, :]
        cos, sin = np.cos(angle), np.sin(angle)
        out = np.empty_like(x)
        half = self.width // 2
        one, two = (np.s_[..., 0::2], np.s_[..., 1::2]) if self.arch == "llama" else (np.s_[..., :half], np.s_[..., half:])
        out[one] = x[one] * cos - x[two] * sin
        out[two] = x[one] * sin + x[two] * cos
        return out

    def linear(self, x, name):
        y = x @ self.w[name + ".weight"].T
        return y + self.w[name + ".bias"] if name + ".bias" in self.w else y

    def logits(self, ids, cache=None):
        """Logits of every position of `ids`, which go on from what `cache` (a dict) holds."""
        cache = {} if cache is None else cache
        start, count, group = cache.get("length", 0), len(ids), self.heads // self.kv_heads
        x = self.w["token_embd.weight"][ids]
        mask = np.triu(np.full((count, start + count), -np.inf), start + 1)
        for i in range(self.layers):
            p = f"blk.{i}."
            y = self.norm(x, p + "attn_norm.weight")
            q, k, v = (self.linear(y, p + f"attn_{c}").reshape(count, -1, self.width) for c in "qkv")
            if p + "attn_q_norm.weight" in self.w:
                q, k = self.norm(q, p + "attn_q_norm.weight"), self.norm(k, p + "attn_k_norm.weight")
            q, k = self.rotate(q, start), self.rotate(k, start)
            if start:
                k, v = np.concatenate([cache[i][0], k]), np.concatenate([cache[i][1], v])
            cache[i] = (k, v)
            k, v = np.repeat(k, group, 1), np.repeat(v, group, 1)
            score = np.einsum("qhd,khd->hqk", q, k).astype(np.float64) / np.sqrt(self.width) + mask
            score = np.exp(score - score.max(-1, keepdims=True))
            score = (score / score.sum(-1, keepdims=True)).astype(x.dtype)
            x = x + self.linear(np.einsum("hqk,khd->qhd", score, v).reshape(count, -1), p + "attn_output")
            y = self.norm(x, p + "ffn_norm.weight")
            gate = self.linear(y, p + "ffn_gate")
            x = x + self.linear(gate / (1 + np.exp(-gate)) * self.linear(y, p + "ffn_up"), p + "ffn_down")
        cache["length"] = start + count
        head = self.w.get("output.weight", self.w["token_embd.weight"])
        return self.norm(x, "output_norm.weight") @ head.T

    def greedy(self, ids, count, ends):
        """`ids` and up to `count` tokens after them, each the likeliest."""
        cache, ids = {}, list(ids)
        last = self.logits(ids, cache)[-1]
        for _ in range(count):
            ids.append(int(last.argmax()))
            if ids[-1] in ends:
                break
            last = self.logits(ids[-1:], cache)[-1]
        return ids


def log_softmax(logits):
    logits = logits.astype(np.float64)
    logits -= logits.max(-1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(-1, keepdims=True))
