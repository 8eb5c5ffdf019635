"""Trains the toy checkpoint in apps/cli/assets/toy: a llama with grouped-query attention and a byte-level tokenizer, on
apps/cli/assets/opticks.txt without the part that the main job evaluates on. Needs torch, transformers and tokenizers; a few minutes on a
CPU, seconds on a GPU. Usage: python internal/toy/train.py [steps]
"""

import json
import sys
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM

ASSETS = Path(__file__).parents[2] / "apps/cli/assets"
OUT = ASSETS / "toy"
CONTEXT, BATCH = 128, 16


def tokenizer_of(text: str) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=512, special_tokens=["<|endoftext|>"], initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator([text], trainer)
    return tokenizer


def main(steps: int) -> None:
    torch.manual_seed(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    text = (ASSETS / "opticks.txt").read_text()
    tokenizer = tokenizer_of(text)
    ids = torch.tensor(tokenizer.encode(text).ids, device=device)
    n = len(ids)
    # The main job evaluates on an eighth from the middle and an eighth from three quarters on.
    seen = [ids[: n // 2], ids[n // 2 + n // 8 : 3 * n // 4], ids[3 * n // 4 + n // 8 :]]
    held = [ids[n // 2 : n // 2 + n // 8], ids[3 * n // 4 : 3 * n // 4 + n // 8]]
    config = LlamaConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=128,
        intermediate_size=192,
        num_hidden_layers=5,
        num_attention_heads=8,
        num_key_value_heads=4,
        head_dim=16,
        max_position_embeddings=1024,
        tie_word_embeddings=True,
        bos_token_id=0,
        eos_token_id=0,
        attention_dropout=0.1,
    )
    model = LlamaForCausalLM(config).to(device)
    print(f"{sum(p.numel() for p in model.parameters())} parameters, {n} tokens")
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.1, betas=(0.9, 0.95))
    starts = torch.cat([torch.arange(len(s) - CONTEXT - 1) + o for s, o in zip(seen, [0, n // 2 + n // 8, 3 * n // 4 + n // 8])])
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = 3e-3 * min(1, (step + 1) / 30) * max(0.05, 1 - step / steps)
        at = starts[torch.randint(len(starts), (BATCH,))]
        x = torch.stack([ids[a : a + CONTEXT] for a in at])
        model.train()
        loss = model(input_ids=x, labels=x).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step % 50 == 0 or step == steps - 1:
            model.eval()
            with torch.no_grad():
                off = sum(model(input_ids=h[None], labels=h[None]).loss.item() for h in held) / len(held)
            print(f"step {step}: loss {loss.item():.3f}, held text {off:.3f}", flush=True)
    model.eval()
    prompt = torch.tensor([tokenizer.encode("The Rays of Light").ids], device=device)
    print(tokenizer.decode(model.generate(prompt, max_new_tokens=80, do_sample=False)[0].tolist()))
    OUT.mkdir(exist_ok=True)
    model.to("cpu", torch.float16).save_pretrained(OUT)
    tokenizer.save(str(OUT / "tokenizer.json"), pretty=False)
    (OUT / "tokenizer_config.json").write_text(json.dumps({"bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>"}, indent=2) + "\n")


main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
