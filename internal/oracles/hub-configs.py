"""Writes packages/models/test/hub-parameters.json: how many numbers transformers' model of each published config.json has
(packages/models/test/hub-configs.json; tied matrices once).

By hand: python internal/oracles/hub-configs.py, with torch 2.15.0 and transformers 5.23.0. Nothing is allocated.
"""
import json
import pathlib

import torch
import transformers

folder = pathlib.Path(__file__).parents[2] / "packages/models/test"
counts = {}
for name, config in json.loads((folder / "hub-configs.json").read_text()).items():
    cls = getattr(transformers, config["architectures"][0].replace("MPT", "Mpt"))
    given = {k: v for k, v in config.items() if k not in ("auto_map", "model_type")}
    with torch.device("meta"):
        model = cls(cls.config_class(**given))
    model.tie_weights()
    counts[name] = sum(p.numel() for p in model.parameters())
    print(name, f"{counts[name]:,}")
(folder / "hub-parameters.json").write_text(json.dumps(counts, indent=1) + "\n")
