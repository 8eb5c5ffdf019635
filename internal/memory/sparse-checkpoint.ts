import { mkdir, open, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

export interface SparseModel {
  readonly config: Readonly<Record<string, unknown>>
  readonly dtype: 'BF16' | 'F32'
  readonly shapes: Readonly<Record<string, readonly number[]>>
}

/** Writes a checkpoint whose weights are a hole in the file: it takes no disk and is read as zeros. */
export async function sparseCheckpoint(folder: string, { config, dtype, shapes }: SparseModel): Promise<void> {
  let at = 0
  const header = Object.entries(shapes).map(([name, shape]) => {
    const begin = at
    at += (dtype === 'F32' ? 4 : 2) * shape.reduce((n, d) => n * d, 1)
    return [name, { dtype, shape, data_offsets: [begin, at] }]
  })
  const json = JSON.stringify(Object.fromEntries(header))
  const text = Buffer.from(json.padEnd(Math.ceil(json.length / 8) * 8)) // as others write it
  const size = Buffer.alloc(8)
  size.writeBigUInt64LE(BigInt(text.length))
  await mkdir(folder, { recursive: true })
  const file = await open(join(folder, 'model.safetensors'), 'w')
  await file.write(Buffer.concat([size, text]))
  await file.truncate(8 + text.length + at)
  await file.close()
  await writeFile(join(folder, 'config.json'), JSON.stringify(config))
}

/** 311 MB: tensors are used as they lie in the file. */
export function llamaModel(layers = 8): SparseModel {
  const [dim, hidden, vocab, kv] = [1024, 2816, 32000, 256]
  const shapes: Record<string, number[]> = {
    'model.embed_tokens.weight': [vocab, dim],
    'model.norm.weight': [dim],
    'lm_head.weight': [vocab, dim],
  }
  for (let i = 0; i < layers; i++) {
    const layer = (name: string, ...shape: number[]) => (shapes[`model.layers.${i}.${name}.weight`] = shape)
    layer('input_layernorm', dim)
    layer('post_attention_layernorm', dim)
    for (const [name, out] of Object.entries({ q: dim, k: kv, v: kv, o: dim })) layer(`self_attn.${name}_proj`, out, dim)
    layer('mlp.gate_proj', hidden, dim)
    layer('mlp.up_proj', hidden, dim)
    layer('mlp.down_proj', dim, hidden)
  }
  const config = {
    model_type: 'llama',
    hidden_size: dim,
    intermediate_size: hidden,
    num_hidden_layers: layers,
    num_attention_heads: 16,
    num_key_value_heads: 4,
    max_position_embeddings: 2048,
    rms_norm_eps: 1e-6,
    vocab_size: vocab,
    tie_word_embeddings: false,
  }
  return { config, dtype: 'BF16', shapes }
}

/** 498 MB, as GPT-2 itself: matrices are turned on their side, three of them lie in one tensor. */
export function gpt2Model(layers = 12): SparseModel {
  const [dim, vocab, positions] = [768, 50257, 1024]
  const shapes: Record<string, number[]> = {
    'wte.weight': [vocab, dim],
    'wpe.weight': [positions, dim],
    'ln_f.weight': [dim],
    'ln_f.bias': [dim],
  }
  for (let i = 0; i < layers; i++) {
    const layer = (name: string, ...shape: number[]) => {
      shapes[`h.${i}.${name}.weight`] = shape
      shapes[`h.${i}.${name}.bias`] = shape.slice(-1)
    }
    layer('ln_1', dim)
    layer('ln_2', dim)
    layer('attn.c_attn', dim, 3 * dim)
    layer('attn.c_proj', dim, dim)
    layer('mlp.c_fc', dim, 4 * dim)
    layer('mlp.c_proj', 4 * dim, dim)
  }
  const config = { model_type: 'gpt2', n_embd: dim, n_head: 12, n_layer: layers, n_positions: positions, vocab_size: vocab }
  return { config, dtype: 'F32', shapes }
}
