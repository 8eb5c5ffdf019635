// attune itself, from its built packages.

import { gqa, mha, mqa } from '@attune/attention-heads'
import { cpu } from '@attune/backend-cpu'
import { k, q } from '@attune/expr'
import { createKit } from '@attune/kit'
import { llama } from '@attune/models'
import { attendOf } from '@attune/ops'
import { input, matmulOf, record, tensor } from '@attune/tensor'
import { openModel } from '@attune/weights/node'
import { greedy, timed } from '../timed.mjs'

/** @param {{ task: string, threads: number, params: Record<string, any> }} asked */
export async function open({ task, threads, params }) {
  const device = await cpu({ threads, backend: params.wasm ? 'wasm' : 'native' })
  if (task === 'language') return language(device, params)
  const outputs = task === 'gemm' ? gemm(params) : attention(params)
  const recording = await record(device, { outputs })
  const inputs = {
    ...(await filled(device, task === 'gemm' ? gemmShapes(params) : attentionShapes(params))),
    ...(task === 'gemm' ? {} : attentionIndex(params)),
  }
  return {
    about: device.name,
    round: () => timed(() => recording.run({ inputs })),
    close: () => device.close(),
  }
}

/** Buffers of random numbers, uploaded once. @param {import('@attune/tensor').Device} device @param {Record<string, number[]>} shapes */
async function filled(device, shapes) {
  /** @type {Record<string, import('@attune/tensor').DeviceBuffer>} */
  const buffers = {}
  for (const [name, shape] of Object.entries(shapes)) {
    const data = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => Math.sin(i))
    buffers[name] = device.alloc(data.byteLength)
    await device.write(buffers[name], new Uint8Array(data.buffer))
  }
  return buffers
}

/** @param {Record<string, any>} params */
const gemmShapes = ({ m, n, k: depth }) => ({ a: [m, depth], b: [depth, n] })
/** @param {Record<string, any>} params */
function gemm(params) {
  const { a, b } = gemmShapes(params)
  return { out: matmulOf(input('a', 'f32', a), input('b', 'f32', b)) }
}

/** @param {Record<string, any>} params */
const attentionShapes = ({ heads, kvHeads, headDim, t }) => ({
  q: [t, heads, headDim],
  k: [1, kvHeads, t, headDim],
  v: [1, kvHeads, t, headDim],
})
/** @param {Record<string, any>} params */
function attention(params) {
  const { heads, kvHeads, t } = params
  const shapes = attentionShapes(params)
  const index = input('row', 'i32', [t])
  const { out } = attendOf(
    {
      q: input('q', 'f32', shapes.q),
      k: input('k', 'f32', shapes.k),
      v: input('v', 'f32', shapes.v),
      lengths: input('lengths', 'i32', [1, kvHeads]),
      offsets: tensor(Int32Array.of(0, t), [2], 'i32'),
      qRow: index,
      qPosition: index,
    },
    { mask: k.row.le(q.row), keyHeads: Array.from({ length: heads }, (_, h) => Math.floor((h * kvHeads) / heads)) },
  )
  return { out }
}
/** @param {Record<string, number>} params */
const attentionIndex = ({ kvHeads, t }) => ({
  row: Int32Array.from({ length: t }, (_, i) => i),
  lengths: new Int32Array(kvHeads).fill(t),
})

/** @param {import('@attune/tensor').Device} device @param {Record<string, any>} params */
async function language(device, params) {
  const kit = createKit({ devices: [device], attention: [mha, mqa, gqa], models: [llama] })
  const model = await kit.load(await openModel(params.path))
  const ids = params.ids
  return {
    about: device.name,
    async round() {
      const session = model.session()
      const rates = await greedy(session.generate(ids, { maxTokens: params.new, endIds: [], temperature: 0 }), ids.length)
      session.close()
      return rates
    },
    close: () => kit.close(),
  }
}
