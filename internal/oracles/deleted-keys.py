"""Writes packages/models/test/deleted-keys.json: for each tiny checkpoint, what else transformers reads when config.json lacks a key.

{folder: {path of the key: {top-level key: the value it then has}}}; keys without a place there change nothing, `null` is a refusal.
By hand: python internal/oracles/deleted-keys.py, with transformers 5.23.0 (PreTrainedConfig.from_dict).
"""
import copy
import json
import logging
import pathlib

import transformers
from transformers import CONFIG_MAPPING

transformers.logging.set_verbosity_error()
logging.disable(logging.CRITICAL)
ROOT = pathlib.Path(__file__).parents[2] / "packages/models/test"
SKIP = {"transformers_version", "_name_or_path", "dtype", "torch_dtype", "architectures", "model_type"}


def paths(config, at=()):
    for key, value in config.items():
        yield (*at, key)
        if isinstance(value, dict) and key not in ("id2label", "label2id"):
            yield from paths(value, (*at, key))


def read(config):
    plain = json.loads(json.dumps(config), object_hook=lambda o: float(o["__float__"]) if "__float__" in o else o)
    told = json.loads(CONFIG_MAPPING[config["model_type"]].from_dict(plain).to_json_string(use_diff=False))
    return {k: v for k, v in told.items() if k not in SKIP}


def without(config, path):
    config = copy.deepcopy(config)
    inner = config
    for key in path[:-1]:
        inner = inner[key]
    del inner[path[-1]]
    return config


out = {}
for file in sorted((ROOT / "fixtures").rglob("config.json")):
    config = json.loads(file.read_text())
    whole = read(config)
    rows = out.setdefault(str(file.parent.relative_to(ROOT / "fixtures")), {})
    for path in paths(config):
        if path[0] in SKIP:
            continue
        try:
            told = read(without(config, path))
        except Exception:
            rows[".".join(path)] = None
            continue
        changes = {k: told.get(k) for k in {*told, *whole} if told.get(k) != whole.get(k)}
        if changes:
            rows[".".join(path)] = changes
(ROOT / "deleted-keys.json").write_text(json.dumps(out, indent=0, sort_keys=True) + "\n")
