"""
Opens folders that attune exported as DeepSeek models in PyTorch's transformers and compares logits with the source's.
Run by hand: python internal/oracles/deepseek_form.py SOURCE EXPORTED [EXPORTED ...]
SOURCE and EXPORTED are folders; SOURCE may be FOLDER/FILE.gguf. Prints how the model opened, the mean KL to the source, the largest
logit difference and perplexities over TOKENS tokens of attune's perplexity text; with `attune.json` ({ ids, logits }) in a folder, those
logits are compared too.
"""
import gzip
import json
import os
import sys

import torch
from transformers import AutoModelForCausalLM

TOKENS = 512
TEXT = os.path.join(os.path.dirname(__file__), "../smollm2/oracles/perplexity.json.gz")


def load(path):
    folder, file = os.path.split(path) if path.endswith(".gguf") else (path, None)
    model, info = AutoModelForCausalLM.from_pretrained(folder, gguf_file=file, dtype=torch.float32, output_loading_info=True)
    problems = {k: sorted(v) for k, v in info.items() if v}
    print(f"{path}: {type(model).__name__}, {sum(p.numel() for p in model.parameters())} parameters, {problems or 'every tensor used'}")
    return model


def logits_of(model, ids):
    with torch.no_grad():
        return model(torch.tensor([ids])).logits[0].double()


source, *exported = sys.argv[1:]
reference = load(source)
vocab = reference.config.vocab_size
with gzip.open(TEXT) as f:
    ids = [i % vocab for i in json.load(f)["input_ids"][-TOKENS:]]
want = torch.log_softmax(logits_of(reference, ids), -1)
perplexity = lambda logp: torch.exp(-logp[:-1].gather(1, torch.tensor(ids[1:])[:, None]).mean()).item()
print(f"  perplexity {perplexity(want):.4f}")
raw = logits_of(reference, ids)
for path in exported:
    model = load(path)
    own = logits_of(model, ids)
    logp = torch.log_softmax(own, -1)
    kl = (want.exp() * (want - logp)).sum(-1).mean().item()
    print(f"  mean KL to the source {kl:.3e}, largest logit difference {(own - raw).abs().max().item():.3e}, perplexity {perplexity(logp):.4f}")
    beside = os.path.join(path, "attune.json")
    if os.path.exists(beside):
        with open(beside) as f:
            record = json.load(f)
        theirs = torch.tensor(record["logits"], dtype=torch.float64).view(len(record["ids"]), -1)
        print(f"  largest difference from attune's logits {(logits_of(model, record['ids']) - theirs).abs().max().item():.3e}")
