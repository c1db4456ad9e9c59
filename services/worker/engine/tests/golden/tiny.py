"""Makes tiny GGUF models with random weights, and records what they answer and how they cut text.

    python tiny.py SmolLM2-135M-Instruct.Q4_1.gguf

- tiny-*.gguf: one model for each way that the decoder's graph can differ.
- tiny_logits.safetensors: their logits by reference.py, in 64-bit floats, checked here against llama.cpp.
- tiny-bpe.gguf and tiny-spm.gguf: small vocabularies (the first merges of SmolLM2 and some that tell pre-tokenizers apart;
  a SentencePiece model trained here).
- tiny_tokens.json: token ids of varied texts by llama.cpp, for each pre-tokenizer.

Needs: the packages in requirements.txt.
"""

import io
import json
import sys
import tempfile
import urllib.request
from pathlib import Path
from pydoc_data.topics import topics

import numpy as np
import sentencepiece
import xllamacpp
from gguf import GGMLQuantizationType as Kind
from gguf import GGUFReader, GGUFWriter
from gguf.quants import quantize
from reference import Llama, log_softmax
from safetensors.numpy import save_file

HERE = Path(__file__).parent
HIDDEN, FEED, LAYERS = 32, 64, 2
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, BYTE = 1, 2, 3, 4, 6
CONTROLS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
# Merges that some pre-tokenizers allow and others cut apart.
TELLING = [("1", "2"), ("12", "3"), ("123", "4"), ("Ġ", "1"), ("!", "Ċ"), ("!", "!"), ("'", "S"), ("'", "s"), ("(", "h"),
           ("_", "a"), ("Ġ", "ĉ"), ("ĉ", "ĉ"), ("ĉ", "x"), (".", "Ċ"), ("Ċ", "Ċ"), ("ĊĊ", "Ċ"), ("Ġ", "Ċ"), ("Ã", "©")]
TEXTS = [
    "Hello, world!", " leading space", "trailing space ", "two  spaces   three    four", "tabs\tand\t\tmore\t x",
    "line\nbreaks\n\nand\n\n\nthree!\n!!\nend.\n", "windows\r\nlines\r\n", "1 12 123 1234 12345 1,234.56 0x1F 2026-11-22",
    "it's IT'S we'll WE'LL they've I'm you'd don't", "naïve café Ünïcödé ÀÉÎ", "日本語のテキストと中文，標點。", "Привет, мир! Γειά σου",
    "emoji 🚀🔥👩‍👩‍👧 flags 🇫🇷", "def f(x):\n    return x_a[1:2] + 'hi' # ok\n\tpass", "(hello) [world] {x} <y> a_b-c/d\\e",
    "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n", "use <tool> now<tool>\n", "xyzzy xyzzy.", "...!!!???---", "٣٤٥ ½ Ⅷ ①",
    "مرحبا بالعالم", "a\u00a0b\u2003c\u200bd", "\n", "  \n  \n", "x" * 40,
]


def weight(random, *shape):
    return (random.normal(size=shape) / np.sqrt(shape[-1])).astype(np.float32)


def add_model(out, arch, random, vocab, heads, kv_heads, width, kind=Kind.F16, tied=True, bias=False, norms=False):
    out.add_context_length(64)
    out.add_embedding_length(HIDDEN)
    out.add_block_count(LAYERS)
    out.add_feed_forward_length(FEED)
    out.add_head_count(heads)
    out.add_head_count_kv(kv_heads)
    out.add_layer_norm_rms_eps(1e-5)
    out.add_rope_freq_base(1000.0)
    if width != HIDDEN // heads:
        out.add_key_length(width)
        out.add_value_length(width)
    matrix = lambda name, rows, columns, scale=1.0: out.add_tensor(
        name + ".weight", quantize(weight(random, rows, columns) * scale, kind), raw_dtype=kind)
    vector = lambda name, length, around: out.add_tensor(name, (around + 0.3 * random.normal(size=length)).astype(np.float32))
    matrix("token_embd", vocab, HIDDEN, 4.0)
    if not tied:
        matrix("output", vocab, HIDDEN, 4.0)
    vector("output_norm.weight", HIDDEN, 1)
    for i in range(LAYERS):
        p = f"blk.{i}."
        for part, count in ("q", heads), ("k", kv_heads), ("v", kv_heads):
            matrix(p + f"attn_{part}", count * width, HIDDEN, 2.0)
            if bias:
                vector(p + f"attn_{part}.bias", count * width, 0)
        if norms:
            vector(p + "attn_q_norm.weight", width, 1)
            vector(p + "attn_k_norm.weight", width, 1)
        matrix(p + "attn_output", HIDDEN, heads * width)
        matrix(p + "ffn_gate", FEED, HIDDEN)
        matrix(p + "ffn_up", FEED, HIDDEN)
        matrix(p + "ffn_down", HIDDEN, FEED)
        vector(p + "attn_norm.weight", HIDDEN, 1)
        vector(p + "ffn_norm.weight", HIDDEN, 1)


def add_vocabulary(out, tokens, kinds, merges, pre):
    out.add_tokenizer_model("gpt2")
    out.add_tokenizer_pre(pre)
    out.add_token_list(tokens)
    out.add_token_types(kinds)
    out.add_token_merges([" ".join(pair) for pair in merges])
    out.add_bos_token_id(tokens.index("<|im_start|>"))
    out.add_eos_token_id(tokens.index("<|im_end|>"))


def write(path, arch, fill):
    out = GGUFWriter(path, arch)
    fill(out)
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()


class LlamaCpp:
    def __init__(self, path):
        params = xllamacpp.CommonParams()
        params.model.path, params.n_ctx, params.warmup, params.port = str(path), 64, False, 18431
        params.cpuparams.n_threads = 1
        self.server = xllamacpp.Server(params)

    def post(self, path, body):
        request = urllib.request.Request(self.server.listening_address + path, json.dumps(body).encode(),
                                         {"content-type": "application/json"})
        return json.load(urllib.request.urlopen(request))

    def tokenize(self, text):
        return self.post("/tokenize", {"content": text, "add_special": False, "parse_special": True})["tokens"]

    def next(self, ids, vocab):
        body = {"prompt": ids, "n_predict": 1, "n_probs": vocab, "temperature": -1.0, "cache_prompt": False, "samplers": []}
        answer = self.post("/completion", body)["completion_probabilities"][0]["top_logprobs"]
        return {entry["id"]: entry["logprob"] for entry in answer}


def small_vocabulary():
    """64 tokens: enough for a tokenizer to be made."""
    letters = [chr(c) for c in range(ord("!"), ord("Z") + 1)] + ["Ċ", "Ġ", "AB"]
    return CONTROLS + letters, [CONTROL] * 3 + [NORMAL] * len(letters), [("A", "B")]


def bpe_vocabulary(path):
    fields = GGUFReader(path).fields
    merges = [tuple(merge.split(" ")) for merge in fields["tokenizer.ggml.merges"].contents()[:500]]
    merges += [pair for pair in TELLING if pair not in merges]
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    alphabet = [chr(b) for b in printable] + [chr(256 + i) for i in range(256 - len(printable))]
    merged = list(dict.fromkeys(left + right for left, right in merges))
    tokens = CONTROLS + ["<tool>"] + alphabet + merged + ["xyzzy"]
    return tokens, [CONTROL] * 3 + [USER_DEFINED] + [NORMAL] * (len(tokens) - 4), merges


def sentencepiece_vocabulary():
    model = io.BytesIO()
    sentences = [line for topic in sorted(topics) for line in topics[topic].splitlines() if line]
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(sentences), model_writer=model, model_type="bpe", vocab_size=600, byte_fallback=True,
        normalization_rule_name="identity", remove_extra_whitespaces=False, split_digits=True, num_threads=1,
        allow_whitespace_only_pieces=True)
    pieces = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    kind = lambda i: UNKNOWN if pieces.is_unknown(i) else CONTROL if pieces.is_control(i) else BYTE if pieces.is_byte(i) else NORMAL
    ids = range(pieces.vocab_size())
    return [pieces.id_to_piece(i) for i in ids], [pieces.get_score(i) for i in ids], [kind(i) for i in ids]


def graphs():
    tokens, kinds, merges = small_vocabulary()
    vocabulary = lambda out: add_vocabulary(out, tokens, kinds, merges, "gpt-2")
    small = len(tokens)

    def llama3(out):
        vocabulary(out)
        add_model(out, "llama", np.random.default_rng(1), small, 4, 2, 16, tied=False)
        out.add_tensor("rope_freqs.weight", np.array([1, 1, 1.5, 2, 3, 4, 8, 8], np.float32))

    def linear(out):
        vocabulary(out)
        add_model(out, "llama", np.random.default_rng(2), small, 2, 2, 16)
        out.add_rope_scaling_type(__import__("gguf").RopeScalingType.LINEAR)
        out.add_rope_scaling_factor(2.0)

    def qwen2(out):
        vocabulary(out)
        add_model(out, "qwen2", np.random.default_rng(3), small, 2, 1, 16, bias=True)

    def qwen3(out):
        vocabulary(out)
        add_model(out, "qwen3", np.random.default_rng(4), small, 2, 1, 32, norms=True)

    ids = np.random.default_rng(5).integers(3, small, 24)
    data = {"ids": ids.astype(np.int32)}
    for name, arch, fill in ("llama3", "llama", llama3), ("linear", "llama", linear), ("qwen2", "qwen2", qwen2), ("qwen3", "qwen3", qwen3):
        path = HERE / f"tiny-{name}.gguf"
        write(path, arch, fill)
        logits = Llama(path, np.float64).logits(ids)
        expected = LlamaCpp(path).next(ids.tolist(), small)
        ours = log_softmax(logits)[-1]
        off = max(abs(ours[token] - p) for token, p in expected.items() if p > -15)
        print(name, path.stat().st_size, "bytes; furthest from llama.cpp:", off, "over", len(expected), "tokens")
        assert off < 0.1  # its activations and keys are 16-bit
        data[name] = logits.astype(np.float32)
    save_file(data, HERE / "tiny_logits.safetensors")


def tokens(path):
    words, kinds, merges = bpe_vocabulary(path)
    recorded = {"texts": TEXTS}

    def bpe(pre):
        def fill(out):
            add_vocabulary(out, words, kinds, merges, pre)
            add_model(out, "llama", np.random.default_rng(6), len(words), 2, 1, 16, kind=Kind.Q8_0)
        return fill

    def spm(out):
        pieces, scores, kinds = sentencepiece_vocabulary()
        out.add_tokenizer_model("llama")
        out.add_token_list(pieces)
        out.add_token_scores(scores)
        out.add_token_types(kinds)
        out.add_bos_token_id(1)
        out.add_eos_token_id(2)
        out.add_unk_token_id(0)
        add_model(out, "llama", np.random.default_rng(7), len(pieces), 2, 1, 16, kind=Kind.Q8_0)

    with tempfile.TemporaryDirectory() as folder:
        for pre in "smollm", "gpt-2", "llama-bpe", "qwen2":
            place = (HERE if pre == "smollm" else Path(folder)) / "tiny-bpe.gguf"
            write(place, "llama", bpe(pre))
            server = LlamaCpp(place)
            recorded[pre] = [server.tokenize(text) for text in TEXTS]
            del server
    write(HERE / "tiny-spm.gguf", "llama", spm)
    server = LlamaCpp(HERE / "tiny-spm.gguf")
    recorded["spm"] = [server.tokenize(text) for text in TEXTS]
    lines = [f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}" for key, value in recorded.items()]
    (HERE / "tiny_tokens.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


graphs()
tokens(sys.argv[1])
