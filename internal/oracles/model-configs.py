"""Writes packages/models/test/*-configs.json: config.json of each model type as transformers fills it in when nothing is given.

By hand: python internal/oracles/model-configs.py [FILE ...], with transformers 5.23.0 (transformers/models/*/configuration_*.py).
"""
import json
import pathlib
import sys

from transformers import CONFIG_MAPPING

FILES = {
    "encoder-configs": ["bert", "roberta", "xlm-roberta", "distilbert", "modernbert", "vit"],
    "gpt-configs": ["gpt2", "bloom", "falcon", "gptj", "gpt_neo", "gpt_bigcode", "mpt", "opt"],
    "default-configs": ["llama", "gpt_oss", "deepseek_v2", "deepseek_v3", "qwen3_next", "mamba2", "minimax"],
    "rope-configs": ["mistral", "qwen2", "qwen3", "phi3", "gemma", "gemma3_text", "smollm3", "granite", "olmo2", "cohere", "phi", "stablelm",
                     "starcoder2", "mixtral", "qwen2_moe", "qwen3_moe", "cohere2", "glm", "glm4", "olmo", "olmo3"],
}
NEEDED = {"deepseek_v2": {"num_experts_per_tok": 6}}  # has no default that works

for file in sys.argv[1:] or FILES:
    out = {}
    for name in FILES[file]:
        given = NEEDED.get(name, {})
        config = json.loads(CONFIG_MAPPING[name](**given).to_json_string(use_diff=False))
        out[name] = {"given": {"model_type": name, **given}, "filled": config}
    path = pathlib.Path(__file__).parents[2] / f"packages/models/test/{file}.json"
    path.write_text(json.dumps(out, indent=1, sort_keys=True) + "\n")
