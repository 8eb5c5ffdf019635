// llama.cpp by node-llama-cpp, as its users call it: greedy, flash attention on, the same ids.
import { getLlama, LlamaLogLevel } from 'node-llama-cpp'
import { greedy } from '../timed.mjs'

/** @param {{ threads: number, params: Record<string, any> }} asked */
export async function open({ threads, params }) {
  const llama = await getLlama({ gpu: false, build: 'never', maxThreads: threads, logLevel: LlamaLogLevel.error })
  const model = await llama.loadModel({ modelPath: params.path })
  const context = await model.createContext({
    contextSize: params.ids.length + params.new + 8,
    batchSize: 512,
    threads,
    flashAttention: true,
  })
  const sequence = context.getSequence()
  return {
    about: { release: llama.llamaCppRelease, threads, batchSize: 512, flashAttention: true },
    async round() {
      await sequence.clearHistory()
      return greedy(some(sequence.evaluate(params.ids, { temperature: 0 }), params.new), params.ids.length)
    },
    close: () => llama.dispose(),
  }
}

/** The first `count` of a sequence. @template T @param {AsyncIterable<T>} from @param {number} count */
async function* some(from, count) {
  let left = count
  for await (const x of from) {
    yield x
    if (--left === 0) return
  }
}
