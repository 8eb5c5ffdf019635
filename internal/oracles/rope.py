"""Writes packages/position/src/rope-oracle.json: ROPE_INIT_FUNCTIONS of transformers 5.23.0 (inverse frequencies, attention factor), float32.

By hand: python internal/oracles/rope.py
"""
import json
import pathlib

from transformers import LlamaConfig
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

short, long = [1 + 0.03 * i for i in range(24)], [1.1 + 0.5 * i * i for i in range(24)]
LONG = dict(type="longrope", short_factor=short[:8], long_factor=long[:8])
CASES = [  # dims, theta, max positions, span, scaling
    (16, 10000.0, 128, 0, dict(type="linear", factor=4.0)),
    (64, 100000.0, 2048, 0, dict(type="linear", factor=2.5)),
    (16, 10000.0, 32, 40, dict(type="dynamic", factor=2.0)),
    (16, 10000.0, 32, 20, dict(type="dynamic", factor=2.0)),
    (64, 10000.0, 64, 300, dict(type="dynamic", factor=4.0)),
    (16, 10000.0, 128, 0, dict(type="yarn", factor=4.0, original_max_position_embeddings=32)),
    (64, 50000.0, 8192, 0, dict(type="yarn", factor=8.0, original_max_position_embeddings=1024, beta_fast=16, beta_slow=2)),
    (64, 50000.0, 8192, 0, dict(type="yarn", factor=40.0, original_max_position_embeddings=4096, mscale=1.0, mscale_all_dim=0.8)),
    (32, 10000.0, 4096, 0, dict(type="yarn", factor=4.0, original_max_position_embeddings=1024, attention_factor=1.3, truncate=False)),
    (16, 10000.0, 128, 0, dict(type="yarn", factor=4.0)),
    (128, 500000.0, 131072, 0, dict(type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                                    original_max_position_embeddings=8192)),
    (16, 10000.0, 64, 0, dict(type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0)),
    (16, 10000.0, 131072, 4096, dict(LONG, original_max_position_embeddings=4096)),
    (16, 10000.0, 131072, 4097, dict(LONG, original_max_position_embeddings=4096)),
    (16, 10000.0, 4096, 7, dict(LONG, original_max_position_embeddings=4096)),
    (16, 500000.0, 256, 300, dict(LONG)),
    (48, 10000.0, 131072, 5000, dict(type="longrope", short_factor=short, long_factor=long, original_max_position_embeddings=4096, factor=8.0)),
    (48, 10000.0, 131072, 5, dict(type="longrope", short_factor=short, long_factor=long, original_max_position_embeddings=4096,
                                  attention_factor=1.19)),
]

out = []
for dims, theta, most, span, scaling in CASES:
    own = dict({k: v for k, v in scaling.items() if k != "type"}, rope_type=scaling["type"], rope_theta=theta)
    config = LlamaConfig(hidden_size=dims, num_attention_heads=1, head_dim=dims, max_position_embeddings=most, rope_parameters=own)
    values, factor = ROPE_INIT_FUNCTIONS[scaling["type"]](config, "cpu", seq_len=span or None)
    out.append(dict(dims=dims, theta=theta, maxPositions=most, scaling=scaling, span=span, values=values.tolist(), factor=factor))
path = pathlib.Path(__file__).parents[2] / "packages/position/src/rope-oracle.json"
path.write_text(json.dumps(out) + "\n")
