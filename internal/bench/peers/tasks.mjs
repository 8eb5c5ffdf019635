/**
 * What is compared: a task's name and numbers, who else can do it, how much work a round is, and the bar: our rate over the best peer's.
 * @typedef {{ task: string, title: string, params: Record<string, any>, peers: string[], flops?: number, bytes?: number, bar?: number, of?: string }} Task
 */

/** @param {number} m @param {number} n @param {number} k @returns {Task} */
const gemm = (m, n, k) => ({
  task: 'gemm',
  title: `f32 GEMM ${m} × ${n} × ${k}`,
  params: { m, n, k },
  peers: ['onnxruntime', 'pytorch'],
  flops: 2 * m * n * k,
  bar: 0.95,
})
/** @param {number} t @param {number} bar @returns {Task} */
const attention = (t, bar) => ({
  task: 'attention',
  title: `causal attention f32, 9/3 heads, d 64, T ${t}`,
  params: { heads: 9, kvHeads: 3, headDim: 64, t },
  peers: ['pytorch'],
  flops: 2 * 9 * t * (t + 1) * 64,
  bar,
})
/** @param {string} type @param {number} context @param {Record<string, number>} bars @returns {Task[]} */
const language = (type, context, bars) =>
  Object.entries(bars).map(([of, bar]) => ({
    task: 'language',
    title: `SmolLM2 ${type}, ${of}, ${of === 'prompt' ? 512 : `128 after ${context}`} tokens`,
    params: { file: `SmolLM2-135M-Instruct.${type}.gguf`, context, new: 128 },
    peers: ['llama'],
    of,
    bar,
  }))

/** @type {Task[]} */
export const tasks = [
  ...[512, 1024, 2048].map(n => gemm(n, n, n)),
  gemm(512, 1536, 576),
  attention(512, 1.8),
  attention(2048, 1.3),
  attention(8192, 1.15),
  ...['Q4_0', 'Q4_1', 'Q8_0'].flatMap(type => language(type, 512, { prompt: 1.3, decode: 1.1 })),
  ...language('Q4_1', 4096, { decode: 1.2 }),
  {
    task: 'gemm',
    title: 'WASM: f32 GEMM 512',
    params: { m: 512, n: 512, k: 512, wasm: true },
    peers: ['tfjs', 'jax'],
    flops: 2 * 512 ** 3,
    bar: 1.5,
  },
]
