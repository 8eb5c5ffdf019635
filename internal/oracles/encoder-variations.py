"""Writes packages/models/test/fixtures/encoders/NAME: tiny random checkpoints of the text encoders' classes and settings, with transformers'
float32 results for two sentences of 9 and 5 tokens in expected.safetensors: ids, types, final states, and what the class makes of them.

By hand: python internal/oracles/encoder-variations.py [NAME ...], with torch 2.15.0 and transformers 5.23.0.
"""
import pathlib
import sys

import torch
import transformers
from safetensors.torch import save_file

ROOT = pathlib.Path(__file__).parents[2] / "packages/models/test/fixtures/encoders"
BASE = dict(vocab_size=40, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24, max_position_embeddings=24,
            pad_token_id=1)
DISTIL = dict(vocab_size=40, dim=16, n_layers=2, n_heads=2, hidden_dim=24, max_position_embeddings=24)
MODERN = dict(BASE, local_attention=5, global_attn_every_n_layers=2, num_hidden_layers=3, bos_token_id=2, cls_token_id=2, sep_token_id=3,
              eos_token_id=3)
LABELS = dict(num_labels=3)
CASES = {
    "bert-model": ("BertModel", dict(BASE, type_vocab_size=3, hidden_act="gelu_new")),
    "bert-pretraining": ("BertForPreTraining", BASE),
    "bert-sequence": ("BertForSequenceClassification", dict(BASE, **LABELS)),
    "bert-token": ("BertForTokenClassification", dict(BASE, **LABELS)),
    "bert-question": ("BertForQuestionAnswering", BASE),
    "roberta-model": ("RobertaModel", BASE),
    "roberta-masked": ("RobertaForMaskedLM", dict(BASE, pad_token_id=2)),
    "roberta-sequence": ("RobertaForSequenceClassification", dict(BASE, **LABELS)),
    "xlm-roberta-token": ("XLMRobertaForTokenClassification", dict(BASE, **LABELS)),
    "distilbert-model": ("DistilBertModel", DISTIL),
    "distilbert-masked": ("DistilBertForMaskedLM", dict(DISTIL, activation="relu")),
    "distilbert-sequence": ("DistilBertForSequenceClassification", dict(DISTIL, **LABELS)),
    "distilbert-question": ("DistilBertForQuestionAnswering", DISTIL),
    "modernbert-model": ("ModernBertModel", dict(MODERN, norm_bias=True, attention_bias=True, mlp_bias=True)),
    "modernbert-masked": ("ModernBertForMaskedLM", dict(MODERN, decoder_bias=False, classifier_bias=True, classifier_activation="silu")),
    "modernbert-sequence": ("ModernBertForSequenceClassification", dict(MODERN, **LABELS)),
    "modernbert-token": ("ModernBertForTokenClassification", dict(MODERN, local_attention=4, **LABELS)),
}


def randomise(model):
    with torch.no_grad():
        for name, p in model.named_parameters():
            if "norm" in name.lower():
                p.add_(0.2 * torch.randn_like(p))
            elif p.dim() > 1:
                p.copy_(torch.randn_like(p) * (1 if "embed" in name else 1.2 / p.shape[-1] ** 0.5))
            else:
                p.copy_(0.3 * torch.randn_like(p))


def write(name):
    cls, settings = CASES[name]
    torch.manual_seed(len(name))
    kind = getattr(transformers, cls)
    model = kind(kind.config_class(**settings, attn_implementation="eager")).eval()
    randomise(model)
    folder = ROOT / name
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    sentences = [torch.randint(5, 40, (1, n)) for n in (9, 5)]
    types = [torch.randint(0, 2, s.shape) for s in sentences]
    typed = getattr(model.config, "type_vocab_size", 1) > 1 and not name.startswith("modern")
    out = {}
    with torch.no_grad():
        for i, (ids, t) in enumerate(zip(sentences, types)):
            r = model(input_ids=ids, output_hidden_states=True, **(dict(token_type_ids=t) if typed else {}))
            out[f"ids.{i}"], out[f"types.{i}"] = ids[0].int(), (t if typed else 0 * t)[0].int()
            out[f"final.{i}"] = (r.last_hidden_state if hasattr(r, "last_hidden_state") else r.hidden_states[-1])[0].contiguous()
            head = next((r[k] for k in ("logits", "prediction_logits", "pooler_output") if r.get(k) is not None), None)
            if "start_logits" in r:
                head = torch.stack([r.start_logits, r.end_logits], -1)
            if head is not None:
                out[f"head.{i}"] = head[0].contiguous()
    save_file(out, folder / "expected.safetensors")
    print(name, {k: tuple(v.shape) for k, v in out.items()})


for case in sys.argv[1:] or CASES:
    write(case)
