"""A small llama as Hugging Face files and as an ONNX graph with a key-value cache, as optimum and transformers.js name them.

torch 2.15.0, transformers 5.23.0, onnx 1.23.2, onnxscript 0.7.2:
    python internal/oracles/onnx-llama.py apps/cli/test/fixtures/onnx-llama
The graph is torch.onnx's export of transformers' LlamaForCausalLM (eager attention); weights are halves, the graph computes in f32.
The tokenizer is the toy's of apps/cli/assets. Seeded; what it writes is compared with PyTorch before it is kept.
"""

import json
import shutil
import sys
from pathlib import Path

import onnx
import torch
from transformers import DynamicCache, LlamaConfig, LlamaForCausalLM

out = Path(sys.argv[1])
assets = Path(__file__).parents[2] / "apps/cli/assets/toy"
layers = 2
torch.manual_seed(7)
config = LlamaConfig(
    vocab_size=512, hidden_size=32, intermediate_size=48, num_hidden_layers=layers, num_attention_heads=4, num_key_value_heads=2,
    head_dim=8, max_position_embeddings=256, rms_norm_eps=1e-5, tie_word_embeddings=True, bos_token_id=0, eos_token_id=0,
    rope_parameters={"rope_type": "default", "rope_theta": 10000.0}, attn_implementation="eager",
)  # fmt: skip
model = LlamaForCausalLM(config).eval()
with torch.no_grad():
    for name, p in model.named_parameters():
        p.copy_((1 + 0.1 * torch.randn(p.shape) if "norm" in name else 0.25 * torch.randn(p.shape)).half().float())


class Step(torch.nn.Module):
    """One step after `past`: every new token sees what came before it and is not masked out."""

    def __init__(self):
        super().__init__()
        self.model = model

    def forward(self, input_ids, attention_mask, position_ids, *past):
        cache = DynamicCache()
        for i in range(layers):
            cache.update(past[2 * i], past[2 * i + 1], i)
        new, total = input_ids.shape[1], attention_mask.shape[1]
        query = torch.arange(new)[None, None, :, None] + (total - new)
        seen = (torch.arange(total)[None, None, None, :] <= query) & (attention_mask[:, None, None, :] > 0)
        mask = torch.where(seen, 0.0, -1e9)
        r = self.model(input_ids=input_ids, attention_mask=mask, position_ids=position_ids, past_key_values=cache, use_cache=True)
        return r.logits, *(t for layer in r.past_key_values.layers for t in (layer.keys, layer.values))


pairs = [(i, what) for i in range(layers) for what in ("key", "value")]
ids = torch.randint(0, 512, (2, 3))
inputs = (ids, torch.ones(2, 7, dtype=torch.long), torch.arange(4, 7).repeat(2, 1), *(torch.randn(2, 2, 4, 8) for _ in pairs))
free = torch.export.Dim.DYNAMIC
program = torch.onnx.export(
    Step().eval(), inputs, dynamo=True, opset_version=18, optimize=True,
    dynamic_shapes=({0: free, 1: free},) * 3 + (tuple({0: free, 2: free} for _ in pairs),),
    input_names=["input_ids", "attention_mask", "position_ids", *(f"past_key_values.{i}.{what}" for i, what in pairs)],
    output_names=["logits", *(f"present.{i}.{what}" for i, what in pairs)],
)  # fmt: skip

(out / "onnx").mkdir(parents=True, exist_ok=True)
graph = program.model_proto
del graph.metadata_props[:], graph.graph.metadata_props[:], graph.graph.value_info[:]
for part in [*graph.graph.node, *graph.graph.input, *graph.graph.output, *graph.graph.initializer]:
    part.ClearField("doc_string")
    del part.metadata_props[:]
for node in graph.graph.node:  # transformers.js 3 begins with a past of no items at all
    starts = {a.name: a.i for a in node.attribute}
    if node.op_type == "Shape" and node.input[0].startswith("past_") and starts.get("start", 0) == 0 and starts.get("end") == 1:
        node.input[0] = "input_ids"
onnx.checker.check_model(graph)
onnx.save(graph, out / "onnx/model.onnx")

whole = torch.tensor([[52, 72, 69, 331, 268, 300, 17, 90]])
with torch.no_grad():
    logits = model(whole).logits[0]
(out / "logits.json").write_text(json.dumps({"ids": whole[0].tolist(), "last": [round(x, 6) for x in logits[-1].tolist()]}) + "\n")

model.half().save_pretrained(out)
saved = json.loads((out / "config.json").read_text())
saved.pop("_attn_implementation", None)
(out / "config.json").write_text(json.dumps(saved, indent=2) + "\n")
for name in ("tokenizer.json", "tokenizer_config.json"):
    shutil.copy(assets / name, out / name)
