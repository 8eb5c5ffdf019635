// Writes a checkpoint of Mistral-7B's shape with seeded random weights (14.5 GB for 32 layers), converts it to latent attention and says how
// much memory that took. By hand: node internal/large/convert.mjs --layers 32 --folder /tmp/large [--keep]

import { once } from 'node:events'
import { createWriteStream, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { gqa } from '@attune/attention-heads'
import { mla } from '@attune/attention-latent'
import { cpu } from '@attune/backend-cpu'
import { convertFolder } from '@attune/convert/node'
import { llama, modelFrom } from '@attune/models'
import { openModel } from '@attune/weights/node'

const { values } = parseArgs({
  options: {
    layers: { type: 'string', default: '32' },
    folder: { type: 'string', default: '/tmp/attune-large' },
    tokens: { type: 'string', default: '64' },
    keep: { type: 'boolean', default: false },
  },
})
const layers = Number(values.layers)
const shape = { dim: 4096, heads: 32, kvHeads: 8, headDim: 128, hidden: 14336, vocab: 32000 }
const source = join(values.folder, 'source')
const target = join(values.folder, 'latent')
const say = (/** @type {string} */ what) =>
  console.log(`${what}: ${(performance.now() / 1000).toFixed(0)} s, peak RSS ${(process.resourceUsage().maxRSS / 2 ** 20).toFixed(2)} GiB`)

mkdirSync(source, { recursive: true })
await writeCheckpoint()
say(`wrote ${layers} layers`)
const device = await cpu()
const checkpoint = await openModel(source)
const variants = new Map([gqa, mla].map(v => [v.name, /** @type {import('@attune/attention').Variant} */ (v)]))
const model = modelFrom(checkpoint, llama, variants)
const calibration = Array.from({ length: Number(values.tokens) }, (_, i) => (i * 7919 + 13) % shape.vocab)
const config = { ropeDim: 128, latent: 513, latentNorm: true }
const plan = { layers: [{ layers: 'all', to: 'mla', method: 'transmla', config }] }
const { report } = await convertFolder(model, plan, target, checkpoint, {
  ...{ device, calibration, window: calibration.length, write: { hashes: false } },
  onProgress: ({ layer }) => say(`layer ${layer}`),
  onResume: ({ layers }) => say(`going on after ${layers} layers`),
})
say('exported')
console.log(`KV bytes per token ${JSON.stringify(report.kvBytesPerToken)}`)
await device.close()
await checkpoint.close()
if (!values.keep) rmSync(values.folder, { recursive: true })

/** A file per layer and one for the rest, bf16; the numbers are one seeded block, entered at another place for every tensor. */
async function writeCheckpoint() {
  const { dim, heads, kvHeads, headDim, hidden, vocab } = shape
  const block = noise(2 ** 24)
  /** @type {Record<string, string>} */
  const index = {}
  let at = 1
  /** @param {string} file @param {Record<string, number[]>} tensors */
  const write = async (file, tensors) => {
    let offset = 0
    const header = JSON.stringify(
      Object.fromEntries(
        Object.entries(tensors).map(([name, s]) => {
          const bytes = 2 * s.reduce((a, b) => a * b, 1)
          index[name] = file
          return [name, { dtype: 'BF16', shape: s, data_offsets: [offset, (offset += bytes)] }]
        }),
      ),
    )
    const out = createWriteStream(join(source, file))
    const padded = Buffer.from(header.padEnd(Math.ceil(header.length / 8) * 8))
    const size = Buffer.alloc(8)
    size.writeBigUInt64LE(BigInt(padded.length))
    out.write(size)
    out.write(padded)
    for (const s of Object.values(tensors)) {
      let left = 2 * s.reduce((a, b) => a * b, 1)
      at = (at * 69069 + 1) % 2 ** 20
      let from = 2 * at
      while (left > 0) {
        const n = Math.min(left, block.length - from)
        const piece = s.length === 1 ? Buffer.alloc(n, Buffer.from([0x80, 0x3f])) : block.subarray(from, from + n)
        if (!out.write(piece)) await once(out, 'drain')
        left -= n
        from = 0
      }
    }
    out.end()
    await once(out, 'close')
  }
  for (let i = 0; i < layers; i++) {
    const name = `model.layers.${i}`
    await write(`layer-${i}.safetensors`, {
      [`${name}.input_layernorm.weight`]: [dim],
      [`${name}.self_attn.q_proj.weight`]: [heads * headDim, dim],
      [`${name}.self_attn.k_proj.weight`]: [kvHeads * headDim, dim],
      [`${name}.self_attn.v_proj.weight`]: [kvHeads * headDim, dim],
      [`${name}.self_attn.o_proj.weight`]: [dim, heads * headDim],
      [`${name}.post_attention_layernorm.weight`]: [dim],
      [`${name}.mlp.gate_proj.weight`]: [hidden, dim],
      [`${name}.mlp.up_proj.weight`]: [hidden, dim],
      [`${name}.mlp.down_proj.weight`]: [dim, hidden],
    })
  }
  await write('rest.safetensors', { 'model.embed_tokens.weight': [vocab, dim], 'model.norm.weight': [dim], 'lm_head.weight': [vocab, dim] })
  const total = Object.keys(index).length
  writeFileSync(join(source, 'model.safetensors.index.json'), JSON.stringify({ metadata: { total }, weight_map: index }))
  const json = {
    ...{
      architectures: ['LlamaForCausalLM'],
      model_type: 'llama',
      hidden_size: dim,
      num_attention_heads: heads,
      num_key_value_heads: kvHeads,
    },
    ...{ head_dim: headDim, intermediate_size: hidden, num_hidden_layers: layers, vocab_size: vocab, max_position_embeddings: 32768 },
    ...{ rms_norm_eps: 1e-5, rope_theta: 1e6, hidden_act: 'silu', tie_word_embeddings: false, torch_dtype: 'bfloat16' },
  }
  writeFileSync(join(source, 'config.json'), JSON.stringify(json))
}

/** bf16 numbers around ±0.02 from a counter. @param {number} count */
function noise(count) {
  const out = Buffer.allocUnsafe(2 * count)
  let x = 0x9e3779b9
  for (let i = 0; i < count; i++) {
    x ^= x << 13
    x ^= x >>> 17
    x ^= x << 5
    // Sign and seven bits of the fraction; exponents of 2^-7 and 2^-6.
    out.writeUInt16LE((((x >>> 16) & 1) << 15) | (((x >>> 17) & 1 ? 121 : 120) << 7) | ((x >>> 20) & 127), 2 * i)
  }
  return out
}
