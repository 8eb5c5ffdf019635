"""Opens the folders that export.ts wrote in transformers and compares logits. python logits.py FOLDER"""

import json
import sys
from pathlib import Path

import torch
import transformers

torch.set_num_threads(1)
transformers.logging.set_verbosity_error()
worst, wrong = 0.0, 0
for folder in sorted(f for f in Path(sys.argv[1]).iterdir() if (f / "attune.json").exists()):
    said = json.loads((folder / "attune.json").read_text())
    config = json.loads((folder / "config.json").read_text())
    names = {"MPTForCausalLM": "MptForCausalLM"}  # as old files say it
    kind = getattr(transformers, names.get(config["architectures"][0], config["architectures"][0]))
    # Eager attention adds Falcon's linear biases twice, once in the mask.
    attention = "sdpa" if config["model_type"] == "falcon" and config.get("alibi") else "eager"
    ids = torch.tensor([said["ids"]])
    inputs = {"input_ids": ids, **({"decoder_input_ids": ids} if config.get("is_encoder_decoder") else {})}

    def logits(path):
        model, info = kind.from_pretrained(path, dtype=torch.float32, output_loading_info=True, attn_implementation=attention)
        left = {k: v for k, v in info.items() if v and k in ("missing_keys", "unexpected_keys", "mismatched_keys")}
        with torch.no_grad():
            return model.eval()(**inputs).logits[0], left

    name = f"{said['name']:38} {said['how']:10} {kind.__name__:26}"
    try:
        made, left = logits(folder)
        if "logits" not in said:
            against, (own, also) = "source in transformers", logits(said["source"])
            left = {k: v for k, v in left.items() if v != also.get(k)}
        else:
            against, own = "attune", torch.tensor(said["logits"]).reshape(said["shape"])
            left = {k: v for k, v in left.items() if said["how"] != "as-it-was" or v != logits(said["source"])[1].get(k)}
        error = (made - own).abs().max().item() / max(1.0, own.abs().max().item())
        bad = not error < 2e-4 or left
        print(f"{name} {'WRONG' if bad else 'equal'} {error:.1e} to {against} {left or ''}", flush=True)
    except Exception as failure:
        error, bad = 0.0, True
        try:
            logits(said["source"])
        except Exception:
            bad = said["how"] != "as-it-was"  # code of the checkpoint's own opens it, not transformers
        print(f"{name} {'WRONG' if bad else 'no more than its source'} {failure}", flush=True)
    worst, wrong = max(worst, error), wrong + bool(bad)
print(f"largest relative difference {worst:.1e}, {wrong} wrong")
sys.exit(wrong > 0)
