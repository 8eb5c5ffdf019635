"""Writes packages/weights/test/fixtures/gguf/NAME.gguf and NAME.json: tiny models as llama.cpp's converter writes them, and their logits.

By hand: python internal/oracles/gguf-architectures.py, with torch 2.15, transformers 5.23, gguf 0.19. Tensor names are gguf's own name map;
what is done to values and metadata follows github.com/ggml-org/llama.cpp conversion/{base,llama,qwen,gemma,gpt2,phi}.py at
7bca1fd9ca2a681b0182e16f24f832b7be1942af (phi and gemma of later commits are the same in this). Weights are hashes of name and index, exact
in f16, so that the tests know every value. Logits are PyTorch's, float32.
"""
import json
import math
import pathlib

import gguf
import numpy as np
import torch
import transformers

OUT = pathlib.Path(__file__).parents[2] / 'packages/weights/test/fixtures/gguf'
OUT.mkdir(parents=True, exist_ok=True)
SIZES = dict(vocab_size=64, hidden_size=32, intermediate_size=64, num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=64)
GEMMA = dict(SIZES, head_dim=16, num_hidden_layers=2, rope_parameters={'rope_type': 'default', 'rope_theta': 10000.0})


def fnv(name):
    h = 2166136261
    for b in name.encode():
        h = ((h ^ b) * 16777619) & 0xffffffff
    return h


def values(name, shape):
    """Multiples of 1/256 within a quarter; norms, which are vectors of weights, around one."""
    n = int(np.prod(shape))
    h = (np.arange(n, dtype=np.uint64) * 2654435761 + fnv(name)) & 0xffffffff
    h = ((h ^ (h >> 15)) * 0x2c1b3c6d) & 0xffffffff
    h = (h ^ (h >> 13)) & 0xff
    return ((h.astype(np.float64) - 128) / 512).astype(np.float32).reshape(shape)


def rope_permuted(w, heads):
    return w.reshape(heads, 2, w.shape[0] // heads // 2, *w.shape[1:]).swapaxes(1, 2).reshape(w.shape)


def shared(writer, c):
    writer.add_block_count(c.num_hidden_layers)
    writer.add_context_length(c.max_position_embeddings)
    writer.add_embedding_length(c.hidden_size)
    writer.add_feed_forward_length(c.intermediate_size)
    writer.add_head_count(c.num_attention_heads)
    writer.add_head_count_kv(c.num_key_value_heads)


def family(writer, c):
    shared(writer, c)
    writer.add_rope_freq_base(c.rope_parameters.get('full_attention', c.rope_parameters)['rope_theta'])
    writer.add_layer_norm_rms_eps(c.rms_norm_eps)


def gemma(writer, c):
    shared(writer, c)
    writer.add_layer_norm_rms_eps(c.rms_norm_eps)
    writer.add_key_length(c.head_dim)
    writer.add_value_length(c.head_dim)


def llama(writer, c):
    family(writer, c)
    writer.add_rope_dimension_count(c.hidden_size // c.num_attention_heads)
    writer.add_vocab_size(c.vocab_size)


def qwen3(writer, c):
    family(writer, c)
    writer.add_key_length(c.head_dim)
    writer.add_value_length(c.head_dim)


def gemma2(writer, c):
    gemma(writer, c)
    writer.add_attn_logit_softcapping(c.attn_logit_softcapping)
    writer.add_final_logit_softcapping(c.final_logit_softcapping)
    writer.add_sliding_window(c.sliding_window)


def gemma3(writer, c):
    gemma(writer, c)
    full = c.rope_parameters['full_attention']
    writer.add_rope_freq_base(full['rope_theta'])
    writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
    writer.add_rope_scaling_factor(full['factor'])
    writer.add_sliding_window(c.sliding_window)


def granite(writer, c):
    llama(writer, c)
    writer.add_attention_scale(c.attention_multiplier)
    writer.add_embedding_scale(c.embedding_multiplier)
    writer.add_residual_scale(c.residual_multiplier)
    writer.add_logit_scale(c.logits_scaling)


def starcoder2(writer, c):
    shared(writer, c)
    writer.add_rope_freq_base(c.rope_parameters['rope_theta'])
    writer.add_layer_norm_eps(c.norm_epsilon)


def gpt2(writer, c):
    writer.add_block_count(c.n_layer)
    writer.add_context_length(c.n_positions)
    writer.add_embedding_length(c.n_embd)
    writer.add_feed_forward_length(4 * c.n_embd)
    writer.add_head_count(c.n_head)
    writer.add_layer_norm_eps(c.layer_norm_epsilon)


def phi2(writer, c):
    writer.add_context_length(c.max_position_embeddings)
    writer.add_embedding_length(c.hidden_size)
    writer.add_feed_forward_length(4 * c.hidden_size)
    writer.add_block_count(c.num_hidden_layers)
    writer.add_head_count(c.num_attention_heads)
    writer.add_head_count_kv(c.num_attention_heads)
    writer.add_layer_norm_eps(c.layer_norm_eps)
    writer.add_rope_dimension_count(int(c.rope_parameters['partial_rotary_factor'] * c.hidden_size) // c.num_attention_heads)
    writer.add_add_bos_token(False)


def phi3(writer, c):
    r = c.rope_parameters
    family(writer, c)
    writer.add_rope_scaling_orig_ctx_len(c.original_max_position_embeddings)
    writer.add_rope_dimension_count(c.hidden_size // c.num_attention_heads)
    writer.add_sliding_window(c.sliding_window or 0)
    scale = c.max_position_embeddings / c.original_max_position_embeddings
    writer.add_rope_scaling_attn_factors(math.sqrt(1 + math.log(scale) / math.log(c.original_max_position_embeddings)))
    writer.add_tensor('rope_factors_long.weight', np.array(r['long_factor'], np.float32))
    writer.add_tensor('rope_factors_short.weight', np.array(r['short_factor'], np.float32))


def turned(name, w, c):
    return w.T if name.endswith(('.c_attn.weight', '.c_proj.weight', '.c_fc.weight')) else w


def permuted(name, w, c):
    if name.endswith('q_proj.weight'):
        return rope_permuted(w, c.num_attention_heads)
    return rope_permuted(w, c.num_key_value_heads) if name.endswith('k_proj.weight') else w


plus_one = lambda name, w, c: w + 1 if name.endswith('norm.weight') else w
same = lambda name, w, c: w
T = transformers
CASES = {
    'llama': (T.LlamaConfig(**SIZES, num_hidden_layers=2, rope_parameters={'rope_type': 'default', 'rope_theta': 50000.0}), llama, permuted),
    'qwen2': (T.Qwen2Config(**SIZES, num_hidden_layers=2, tie_word_embeddings=True, rope_parameters={'rope_type': 'default', 'rope_theta': 1e6}), family, same),
    'qwen3': (T.Qwen3Config(**SIZES, head_dim=16, num_hidden_layers=2, rope_parameters={'rope_type': 'default', 'rope_theta': 1e6}), qwen3, same),
    'gemma': (T.GemmaConfig(**GEMMA), gemma, plus_one),
    'gemma2': (T.Gemma2Config(**GEMMA, query_pre_attn_scalar=16, sliding_window=8, attn_logit_softcapping=5.0, final_logit_softcapping=3.0), gemma2, plus_one),
    'gemma3': (T.Gemma3TextConfig(**{**GEMMA, 'num_hidden_layers': 7, 'intermediate_size': 32, 'rope_parameters': {
        'full_attention': {'rope_type': 'linear', 'rope_theta': 1e6, 'factor': 8.0}, 'sliding_attention': {'rope_type': 'default', 'rope_theta': 10000.0}}},
        query_pre_attn_scalar=16, sliding_window=8), gemma3, plus_one),
    'smollm3': (T.SmolLM3Config(**SIZES, num_hidden_layers=5, pad_token_id=0, tie_word_embeddings=True, rope_parameters={'rope_type': 'default', 'rope_theta': 2e6}), llama, permuted),
    'granite': (T.GraniteConfig(**SIZES, num_hidden_layers=2, attention_multiplier=0.25, embedding_multiplier=12.0, residual_multiplier=0.22, logits_scaling=4.0,
        rope_parameters={'rope_type': 'default', 'rope_theta': 10000.0}), granite, permuted),
    'olmo2': (T.Olmo2Config(**SIZES, num_hidden_layers=2, rope_parameters={'rope_type': 'default', 'rope_theta': 500000.0}), family, same),
    'starcoder2': (T.Starcoder2Config(**SIZES, num_hidden_layers=2, sliding_window=None, rope_parameters={'rope_type': 'default', 'rope_theta': 10000.0}), starcoder2, same),
    'gpt2': (T.GPT2Config(vocab_size=64, n_embd=32, n_head=4, n_layer=2, n_positions=64), gpt2, turned),
    'phi2': (T.PhiConfig(**{**SIZES, 'num_key_value_heads': 4, 'intermediate_size': 128}, num_hidden_layers=2,
        rope_parameters={'rope_type': 'default', 'rope_theta': 10000.0, 'partial_rotary_factor': 0.5}), phi2, same),
    'phi3': (T.Phi3Config(**{**SIZES, 'max_position_embeddings': 128}, num_hidden_layers=2, original_max_position_embeddings=32, pad_token_id=0, sliding_window=9,
        rope_parameters={'rope_type': 'longrope', 'rope_theta': 10000.0, 'long_factor': [1.5, 2.0, 3.0, 4.5], 'short_factor': [1.0, 1.25, 1.5, 2.0],
                         'original_max_position_embeddings': 32}), phi3, same),
}



def packed_model():
    """One llama layer whose matrices are random blocks of many types; PyTorch gets what gguf decodes them to."""
    rng = np.random.default_rng(3)
    config = T.LlamaConfig(**{**SIZES, 'hidden_size': 256, 'intermediate_size': 256, 'num_key_value_heads': 1}, num_hidden_layers=1,
                           tie_word_embeddings=True, rope_parameters={'rope_type': 'default', 'rope_theta': 10000.0})
    types = {'embed_tokens': 'Q5_0', 'q_proj': 'Q2_K', 'k_proj': 'Q5_K', 'v_proj': 'Q6_K', 'o_proj': 'Q3_K', 'gate_proj': 'Q5_1', 'up_proj': 'Q4_K', 'down_proj': 'Q2_K'}
    halves = {'Q5_0': ([0], 4e-3), 'Q5_1': ([0, 2], 3e-3), 'Q2_K': ([80, 82], 3e-3), 'Q3_K': ([108], 6e-4), 'Q4_K': ([0, 2], 2e-4),
              'Q5_K': ([0, 2], 1e-4), 'Q6_K': ([208], 3e-5)}
    model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation='eager').float().eval()
    writer = gguf.GGUFWriter(OUT / 'packed.gguf', 'llama')
    llama(writer, config)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, 1)
    with torch.no_grad():
        for key, p in model.named_parameters():
            name = names.get_name(key, try_suffixes=('.weight', '.bias'))
            if p.ndim == 1:
                w = 1 + values(key, tuple(p.shape))
                writer.add_tensor(name, w)
            else:
                kind = gguf.GGMLQuantizationType[types[key.split('.')[-2]]]
                block, size = gguf.GGML_QUANT_SIZES[kind]
                raw = rng.integers(0, 256, (p.numel() // block, size), dtype=np.uint8)
                places, scale = halves[kind.name]
                for at in places:
                    raw[:, at:at + 2] = (rng.uniform(0.5, 1.5, len(raw)) * scale).astype(np.float16).reshape(-1, 1).view(np.uint8)
                raw = raw.reshape(p.shape[0], -1)
                writer.add_tensor(name, raw, raw_dtype=kind)
                w = gguf.dequantize(raw, kind).astype(np.float32).reshape(p.shape)
                for proj, heads in [('q_proj', config.num_attention_heads), ('k_proj', config.num_key_value_heads)]:
                    if proj in key:
                        w = w.reshape(heads, w.shape[0] // heads // 2, 2, -1).swapaxes(1, 2).reshape(w.shape)
            p.copy_(torch.from_numpy(np.ascontiguousarray(w)))
    finish(writer, 'packed', config, model, {key: list(p.shape) for key, p in model.named_parameters()})


def finish(writer, name, config, model, shapes):
    ids = [(7 * i * i + 3 * i + 1) % 64 for i in range(20)]
    with torch.no_grad():
        logits = model(torch.tensor([ids])).logits[0]
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    rounded = [[float(f'{x:.6g}') for x in row] for row in logits[[0, 9, 19]].tolist()]
    (OUT / f'{name}.json').write_text(json.dumps({
        'config': json.loads(config.to_json_string()), 'shapes': shapes, 'ids': ids, 'positions': [0, 9, 19], 'logits': rounded}) + '\n')
    print(name, (OUT / f'{name}.gguf').stat().st_size, float(logits.abs().max()))


torch.manual_seed(0)
packed_model()
for name, (config, write, change) in CASES.items():
    model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation='eager').float().eval()
    shapes = {}
    writer = gguf.GGUFWriter(OUT / f'{name}.gguf', name)
    write(writer, config)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH[name.upper()], config.num_hidden_layers)
    tied = config.tie_word_embeddings
    with torch.no_grad():
        for key, p in model.named_parameters():
            w = values(key, tuple(p.shape))
            p.copy_(torch.from_numpy(w))
            shapes[key] = list(p.shape)
            if key == 'lm_head.weight' and tied:
                continue
            w = np.ascontiguousarray(change(key, w, config))
            vector = w.ndim == 1 or key.endswith('wpe.weight')
            writer.add_tensor(names.get_name(key, try_suffixes=('.weight', '.bias')), w.astype(np.float32 if vector else np.float16))
    finish(writer, name, config, model, shapes)
