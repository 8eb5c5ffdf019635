"""
Rows that cache policies keep of a prompt, on the tiny llama of packages/models/test/fixtures/llama-gqa-tied.
Run by hand, with kvpress 0.5.5 (pip install --no-deps kvpress) and clones of H2O and HeadKV:
    python internal/oracles/kept-rows.py H2O HEADKV > packages/cache/test/kept-rows.json
Sources: NVIDIA/kvpress 0.5.5 (8bb29b9c3078452a86d692f29123fa6c793e2b05): its presses, unchanged. FMInference/H2O
(ac75c2a8a9e76832b2a4139b9363373b56336bfb): H2OKVCache_LayerWise. FYYFU/HeadKV (0862a0955fe82e9ff611d59541918e02c5def625):
ReasonSnapKVCluster. All run on q, k and attention weights that transformers computes from the checkpoint in float32.
`kept[layer][head]`: rows, ascending. `gap[layer][head]`: the last row's score above the best one left out, relative to the largest
finite score: below 1e-5 rounding may choose the other row.
"""
import json
import math
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

for name, members in {"datasets": ["load_dataset"], "requests": ["get"], "cachetools": ["LRUCache", "cached"], "fire": ["Fire"]}.items():
    # Only used to fetch data that nothing here needs.
    module = types.ModuleType(name)
    for m in members:
        setattr(module, m, (lambda *a, **k: lambda f: f) if m == "cached" else (lambda *a, **k: {}))
    sys.modules.setdefault(name, module)

import kvpress
import transformers
from transformers import DynamicCache, LlamaForCausalLM
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb, repeat_kv

H2O, HEADKV = sys.argv[1:3]
FIXTURE = Path(__file__).parents[2] / "packages/models/test/fixtures/llama-gqa-tied"
TOKENS, WINDOW = 160, 16
IDS = [(t * 37 + (t * t) % 91 + 11) % 256 for t in range(TOKENS)]


def load(attention):
    return LlamaForCausalLM.from_pretrained(FIXTURE, attn_implementation=attention, dtype=torch.float32).eval()


eager, sdpa = load("eager"), load("sdpa")
config = eager.config
LAYERS, HEADS, KV, D = config.num_hidden_layers, config.num_attention_heads, config.num_key_value_heads, config.head_dim
GROUP = HEADS // KV

with torch.no_grad():
    cache = DynamicCache(config=config)
    out = eager(torch.tensor([IDS]), past_key_values=cache, output_attentions=True, output_hidden_states=True)
    position = eager.model.rotary_emb(out.hidden_states[0], torch.arange(TOKENS)[None])


class Layer:
    """What a press is given of one layer."""

    def __init__(self, i):
        self.module = sdpa.model.layers[i].self_attn
        self.module.rotary_emb = sdpa.model.rotary_emb
        self.hidden = eager.model.layers[i].input_layernorm(out.hidden_states[i])
        self.keys, self.values = cache.layers[i].keys.clone(), cache.layers[i].values.clone()
        self.attention = out.attentions[i]
        q = self.module.q_proj(self.hidden).view(1, TOKENS, HEADS, D).transpose(1, 2)
        self.q, _ = apply_rotary_pos_emb(q, q, *position)
        self.kwargs = dict(position_embeddings=position, hidden_states=self.hidden)

    def score(self, press, attention=None):
        return press.score(self.module, self.hidden, self.keys.clone(), self.values, attention, self.kwargs)


with torch.no_grad():
    layers = [Layer(i) for i in range(LAYERS)]


def gap_of(scores, kept):
    """scores (rows): how far the chosen set is from another one."""
    left = [r for r in range(len(scores)) if r not in set(kept)]
    if not left or not kept:
        return 1.0
    a, b = min(scores[r] for r in kept), max(scores[r] for r in left)
    finite = [abs(s) for s in scores if abs(s) < 1e30]
    return float((a - b) / max(finite)) if a < 1e30 else 1.0


def case(name, budget, kept, gaps=None, **options):
    sort = lambda rows: sorted(int(r) for r in rows)
    return dict(
        policy=name,
        budget=budget,
        options=options,
        kept=[[sort(head) for head in layer] for layer in kept],
        gap=[[float(f"{g:.3g}") for g in layer] for layer in (gaps or [[1.0] * KV for _ in range(LAYERS)])],
    )


def by_score(name, press, budget, observed=False, **options):
    kept, gaps = [], []
    for layer in layers:
        scores = layer.score(press, layer.attention if observed else None)[0]
        count = kvpress.utils.compute_n_kept(TOKENS, press.compression_ratio)
        kept.append([scores[h].topk(count).indices.tolist() for h in range(KV)])
        gaps.append([gap_of(scores[h].tolist(), kept[-1][h]) for h in range(KV)])
    return case(name, budget, kept, gaps, **options)


def masked(press, layer):
    """Rows left by a press that masks, of one layer."""
    press.compress(layer.module, layer.hidden, layer.keys.clone(), layer.values, None, layer.kwargs)
    _, heads, rows = layer.module.masked_key_indices
    gone = {(int(h), int(r)) for h, r in zip(heads, rows)}
    return [[r for r in range(TOKENS) if (h, r) not in gone] for h in range(KV)]


def adakv(budget):
    kept, gaps = [], []
    for layer in layers:
        inner = kvpress.SnapKVPress(compression_ratio=1 - budget, window_size=WINDOW)
        kept.append(masked(kvpress.AdaKVPress(inner), layer))
        scores = layer.score(inner)[0].flatten().tolist()
        left = [h * TOKENS + r for h in range(KV) for r in range(TOKENS) if r not in kept[-1][h]]
        near = sorted(abs(scores[i] - scores[j]) for i in left for h in range(KV) for j in [h * TOKENS + min(kept[-1][h], key=lambda r: scores[h * TOKENS + r])])
        gaps.append([near[0] / max(scores)] * KV)
    return case("adakv", budget, kept, gaps, window=WINDOW)


def pyramid(budget, beta, window):
    kept, gaps = [], []
    press = kvpress.PyramidKVPress(compression_ratio=1 - budget, window_size=window, beta=beta)
    for layer in layers:
        scores = layer.score(press)[0]
        count = press.get_layer_budget(layer.module, TOKENS)
        kept.append([scores[h].topk(count).indices.tolist() for h in range(KV)])
        gaps.append([gap_of(scores[h].tolist(), kept[-1][h]) for h in range(KV)])
    return case("pyramidkv", budget, kept, gaps, beta=beta, window=window)


def duo(streaming, sinks, recent):
    gates = np.array([[0.9, 0.2], [0.4, 0.7], [0.1, 0.95]])
    press = kvpress.DuoAttentionPress(head_compression_ratio=streaming)
    press.sink_size, press.recent_size = sinks, recent
    count = round(gates.size * streaming)
    press.streaming_mask = torch.zeros(gates.shape, dtype=bool)
    press.streaming_mask[np.unravel_index(np.argsort(gates, axis=None)[:count], gates.shape)] = True
    return case("duo-attention", 0.5, [masked(press, layer) for layer in layers], gates=gates.tolist(), streaming=streaming, sinks=sinks, recent=recent)


def rerotated(budget, sinks):
    inner = kvpress.StreamingLLMPress(compression_ratio=1 - budget, n_sink=sinks)
    press = kvpress.KeyRerotationPress(inner)
    layer = layers[1]
    keys, values = press.compress(layer.module, layer.hidden, layer.keys.clone(), layer.values, None, layer.kwargs)
    return dict(budget=budget, sinks=sinks, layer=1, keys=[[round(x, 5) for x in row] for row in keys[0, 1, ::7].tolist()], every=7, head=1)


def source(repo, path, start, end):
    text = subprocess.run(["git", "-C", repo, "show", f"HEAD:{path}"], capture_output=True, text=True, check=True).stdout
    scope = dict(torch=torch, nn=nn, F=F, np=np, math=math, json=json, print=lambda *_: None)
    exec(text[text.index(start) : text.index(end)], scope)
    return scope


def h2o(budget):
    cls = source(H2O, "h2o_hf/utils_real_drop/modify_llama.py", "class H2OKVCache_LayerWise", "class H2OLlamaAttention")["H2OKVCache_LayerWise"]
    count = int(TOKENS * budget)
    recent = count // 2
    kept, gaps = [], []
    for layer in layers:
        cache = cls(hh_size=count - recent, recent_size=recent)
        # Weights of a key head: summed over its query heads. Row numbers stand in for keys.
        weights = layer.attention.view(1, KV, GROUP, TOKENS, TOKENS).sum(2)
        rows = torch.arange(TOKENS).view(1, 1, TOKENS, 1).repeat(1, KV, 1, 1)
        k, _ = cache((rows, rows), weights)
        kept.append([k[0, h, :, 0].tolist() for h in range(KV)])
        scores = weights[0].sum(1)
        gaps.append([gap_of(scores[h, :-recent].tolist(), [r for r in kept[-1][h] if r < TOKENS - recent]) for h in range(KV)])
    return case("h2o", budget, kept, gaps)


def headkv(budget, beta, temperature):
    cls = source(HEADKV, "headkv/snapkv_utils.py", "class ReasonSnapKVCluster", "\ndef init")["ReasonSnapKVCluster"]
    importance = torch.tensor([[0.3, 0.1], [0.05, 0.2], [0.25, 0.1]])
    count = int(TOKENS * budget)
    kept, gaps = [], []
    for i, layer in enumerate(layers):
        c = cls.__new__(cls)
        c.window_size, c.kernel_size, c.pooling, c.base_capacity, c.beta, c.layer_idx = WINDOW, 7, "maxpool", count - WINDOW, beta, i
        shares = torch.pow(importance / importance.sum(), temperature)
        shares = shares / shares.sum()
        # The lines of its constructor after the file of head scores is read.
        pool = (c.base_capacity // beta) * LAYERS * KV
        c.head_capacity = torch.round(shares * pool + (c.base_capacity - c.base_capacity // beta)).int()
        # One key head as the authors have it: the mean of its query heads' weights votes.
        c.kernel_size = 1
        votes = sum(c.calcul_attn_sore(layer.keys, layer.q[:, g::GROUP]) for g in range(GROUP)) / GROUP
        score = F.max_pool1d(votes, kernel_size=7, padding=3, stride=1)
        c.calcul_attn_sore = lambda k, q: score
        rows = torch.arange(TOKENS, dtype=torch.float32).view(1, 1, TOKENS, 1).repeat(1, KV, 1, D)
        flat, _ = c.update_kv(rows, rows, rows)
        flat = flat[:, 0].int().tolist()
        lens = c.head_lens.tolist()
        kept.append([flat[sum(lens[:h]) : sum(lens[: h + 1])] for h in range(KV)])
        gaps.append([gap_of(score[0, h].tolist(), [r for r in kept[-1][h] if r < TOKENS - WINDOW]) for h in range(KV)])
    return case("headkv", budget, kept, gaps, importance=importance.tolist(), beta=beta, temperature=temperature, window=WINDOW)


def kvzip(budget, chunk, layerwise):
    question, again, suffix = [5, 9, 200], [7, 8], [3]
    tokenizer = types.SimpleNamespace(encode=lambda text, **_: torch.tensor([question if "exactly." in text else again]))
    press = kvpress.KVzipPress(compression_ratio=1 - budget, chunk_size=chunk, layerwise=layerwise)
    cache = DynamicCache(config=config)
    sdpa.model(torch.tensor([IDS]), past_key_values=cache)
    press._suffix_ids, press._context_ids, press._cache = torch.tensor([suffix]), torch.tensor([IDS]), cache
    seen = {}
    press.compress_post = lambda model: seen.update(scores=press.score_val.clone()) or kvpress.KVzipPress.compress_post(press, model)
    press._perform_kvzip_compression(sdpa, tokenizer)
    kept = []
    for layer in layers:
        _, heads, rows = layer.module.masked_key_indices
        gone = {(int(h), int(r)) for h, r in zip(heads, rows)}
        kept.append([[r for r in range(TOKENS) if (h, r) not in gone] for h in range(KV)])
    scores = seen["scores"][:, 0]
    worst = lambda l, h: [scores[l, h, r].item() for r in range(TOKENS) if r not in set(kept[l][h])]
    top = max([max(worst(l, h)) for l in range(LAYERS) for h in range(KV) if worst(l, h)])
    least = min(scores[l, h, r].item() for l in range(LAYERS) for h in range(KV) for r in kept[l][h])
    # Scores of the first head, to tell a wrong score from a wrong choice.
    some = [float(f"{x:.5g}") for x in scores[0, 0, ::5].tolist()]
    return case("kvzip", budget, kept, [[abs(least - top)] * KV] * LAYERS, chunk=chunk, question=question, again=again, suffix=suffix, layerwise=layerwise, scores=some)


def think(ratio, window):
    press = kvpress.ThinKPress(key_channel_compression_ratio=ratio, window_size=window)
    kept = []
    for layer in layers:
        keys, _ = press.compress(layer.module, layer.hidden, layer.keys.clone(), layer.values, None, layer.kwargs)
        kept.append([[d for d in range(D) if keys[0, h, :, d].abs().max() > 0] for h in range(KV)])
    return dict(ratio=ratio, window=window, channels=kept)


with torch.no_grad():
    cases = [
        *[by_score("snapkv", kvpress.SnapKVPress(1 - b, window_size=WINDOW), b, window=WINDOW) for b in (0.5, 0.25)],
        *[by_score("observed-attention", kvpress.ObservedAttentionPress(1 - b), b, observed=True) for b in (0.5, 0.25)],
        *[by_score("tova", kvpress.TOVAPress(1 - b), b) for b in (0.5, 0.25)],
        *[by_score("knorm", kvpress.KnormPress(1 - b), b) for b in (0.5, 0.25)],
        *[by_score("keydiff", kvpress.KeyDiffPress(1 - b), b) for b in (0.5, 0.25)],
        *[by_score("streaming-llm", kvpress.StreamingLLMPress(1 - b), b) for b in (0.5, 0.25)],
        *[h2o(b) for b in (0.5, 0.25)],
        *[adakv(b) for b in (0.5, 0.25)],
        pyramid(0.25, 4, 8),
        pyramid(0.5, 20, 8),
        headkv(0.5, 1.2, 1),
        headkv(0.25, 1.01, 2),
        duo(0.5, 8, 24),
        kvzip(0.5, 64, False),
        kvzip(0.25, 200, False),
        kvzip(0.25, 50, True),
    ]
    # A streaming press scores rows 0 and 1 only: which of equals stay is certain by their number.
    for c in cases:
        if c["policy"] == "streaming-llm":
            c["gap"] = [[1.0] * KV] * LAYERS
    result = dict(
        source=f"kvpress 0.5.5, torch {torch.__version__}, transformers {transformers.__version__}",
        ids=IDS,
        cases=cases,
        rerotated=rerotated(0.25, 4),
        think=[think(0.5, 16), think(0.25, 32)],
    )
json.dump(result, sys.stdout, separators=(",", ":"))
