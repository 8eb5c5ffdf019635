"""Writes packages/models/test/default-configs.json: config.json of each model type as transformers fills it in when nothing is given.

By hand: python internal/oracles/model-configs.py, with transformers 5.23.0 (transformers/models/*/configuration_*.py).
"""
import json
import pathlib

from transformers import CONFIG_MAPPING

TYPES = ["llama", "gpt_oss", "deepseek_v2", "deepseek_v3", "qwen3_next", "mamba2", "minimax"]
NEEDED = {"deepseek_v2": {"num_experts_per_tok": 6}}  # has no default that works

out = {}
for name in TYPES:
    given = NEEDED.get(name, {})
    config = json.loads(CONFIG_MAPPING[name](**given).to_json_string(use_diff=False))
    out[name] = {"given": {"model_type": name, **given}, "filled": config}
path = pathlib.Path(__file__).parents[2] / "packages/models/test/default-configs.json"
path.write_text(json.dumps(out, indent=1, sort_keys=True) + "\n")
