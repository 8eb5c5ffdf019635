import { mkdir, open, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

/** A llama whose weights are a hole in a file: it takes no disk and is read as zeros. `layers` of 22 MB each, and 131 MB of embeddings (bf16). */
export async function sparseCheckpoint(folder: string, layers: number): Promise<void> {
  const [dim, hidden, vocab, kv] = [1024, 2816, 32000, 256]
  const shapes: Record<string, number[]> = { 'model.embed_tokens': [vocab, dim], 'model.norm': [dim], lm_head: [vocab, dim] }
  for (let i = 0; i < layers; i++) {
    const layer = (name: string, ...shape: number[]) => (shapes[`model.layers.${i}.${name}`] = shape)
    layer('input_layernorm', dim)
    layer('post_attention_layernorm', dim)
    for (const [name, out] of Object.entries({ q: dim, k: kv, v: kv, o: dim })) layer(`self_attn.${name}_proj`, out, dim)
    layer('mlp.gate_proj', hidden, dim)
    layer('mlp.up_proj', hidden, dim)
    layer('mlp.down_proj', dim, hidden)
  }
  let at = 0
  const header = Object.fromEntries(
    Object.entries(shapes).map(([name, shape]) => {
      const begin = at
      at += 2 * shape.reduce((n, d) => n * d, 1)
      return [`${name}.weight`, { dtype: 'BF16', shape, data_offsets: [begin, at] }]
    }),
  )
  const text = Buffer.from(JSON.stringify(header))
  const size = Buffer.alloc(8)
  size.writeBigUInt64LE(BigInt(text.length))
  await mkdir(folder, { recursive: true })
  const file = await open(join(folder, 'model.safetensors'), 'w')
  await file.write(Buffer.concat([size, text]))
  await file.truncate(8 + text.length + at)
  await file.close()
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
  await writeFile(join(folder, 'config.json'), JSON.stringify(config))
}
