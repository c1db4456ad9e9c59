"""Records dequantise.safetensors: one row of every GGUF encoding that is read, as bytes and as the numbers they mean, by
the package `gguf`. Simple encodings are of random floats; the "K" ones are random bits with sane scales (the package
reads them, but can't write them).

    python dequantise.py
Needs: the packages in requirements.txt.
"""

from pathlib import Path

import numpy as np
from gguf import GGMLQuantizationType as Kind
from gguf.quants import dequantize, quantize
from safetensors.numpy import save_file

COLUMNS = 512
SCALES = {"Q2_K": [80, 82], "Q3_K": [108], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208]}  # where a block's halves lie
BYTES = {"Q2_K": 84, "Q3_K": 110, "Q4_K": 144, "Q5_K": 176, "Q6_K": 210}

random = np.random.default_rng(7)
row = random.normal(size=(1, COLUMNS)).astype(np.float32)
data = {}
for name in ["F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0"]:
    data[name] = np.ascontiguousarray(quantize(row, Kind[name])).view(np.uint8)
for name, size in BYTES.items():
    blocks = random.integers(0, 256, size=(COLUMNS // 256, size), dtype=np.uint8)
    for at in SCALES[name]:
        blocks[:, at : at + 2] = random.uniform(0.001, 0.1, size=(len(blocks), 1)).astype(np.float16).view(np.uint8)
    data[name] = blocks.reshape(1, -1)
numbers = {name: dequantize(raw.view(np.float32 if name == "F32" else np.float16 if name == "F16" else np.uint8), Kind[name])
           for name, raw in data.items()}
save_file({f"{name}.bytes": raw.ravel() for name, raw in data.items()}
          | {f"{name}.numbers": values.astype(np.float32).ravel() for name, values in numbers.items()},
          Path(__file__).with_suffix(".safetensors"))
