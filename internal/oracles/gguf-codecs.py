"""Writes packages/weights/test/fixtures/gguf-codecs.json: random blocks of ggml's packed formats and what they decode to.

By hand: python internal/oracles/gguf-codecs.py, with gguf 0.19.0 (llama.cpp's own package, gguf-py/gguf/quants.py) and numpy.
Bytes are random, but scales are halves (or powers of two, or e4m3) of ordinary size. Blocks and values (float32) in base64.
"""
import base64
import json
import pathlib

import numpy as np
from gguf import quants
from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType as Type

BLOCKS = 4
# Where the halves of a block stand.
HALVES = {
    'Q5_0': [0], 'Q5_1': [0, 2], 'Q2_K': [80, 82], 'Q3_K': [108], 'Q4_K': [0, 2], 'Q5_K': [0, 2], 'Q6_K': [208],
    'IQ4_NL': [0], 'IQ4_XS': [0], 'TQ1_0': [52], 'TQ2_0': [64], 'MXFP4': [], 'NVFP4': [],
}

rng = np.random.default_rng(5)
out = []
for name, halves in HALVES.items():
    block, size = GGML_QUANT_SIZES[Type[name]]
    raw = rng.integers(0, 256, (BLOCKS, size), dtype=np.uint8)
    for at in halves:
        raw[:, at:at + 2] = (rng.standard_normal(BLOCKS) * 0.02).astype(np.float16).reshape(-1, 1).view(np.uint8)
    if name == 'MXFP4':
        raw[:, 0] = [120, 127, 0, 1]
    values = quants.dequantize(raw.reshape(-1), Type[name]).astype(np.float32)
    assert values.size == BLOCKS * block and np.isfinite(values).all()
    text = lambda a: base64.b64encode(np.ascontiguousarray(a).tobytes()).decode()
    out.append({'type': name, 'id': int(Type[name]), 'block': block, 'bytes': size, 'raw': text(raw), 'values': text(values)})

path = pathlib.Path(__file__).parents[2] / 'packages/weights/test/fixtures/gguf-codecs.json'
path.write_text(json.dumps({'gguf': '0.19.0', 'cases': out}, indent=1) + '\n')
