/** Repeats a run for about a fifth of a second and gives milliseconds of one. @param {() => unknown} run */
export async function timed(run) {
  let times = 0
  const from = performance.now()
  do {
    await run()
    times++
  } while (performance.now() - from < 200)
  return { ms: (performance.now() - from) / times }
}

/** Times a generation: the first token ends the prompt, the others are decoded. @param {AsyncIterable<unknown>} tokens @param {number} prompt */
export async function greedy(tokens, prompt) {
  const from = performance.now()
  let first = 0
  let count = 0
  for await (const _ of tokens) {
    first ||= performance.now()
    count++
  }
  return { prompt: (prompt / (first - from)) * 1000, decode: ((count - 1) / (performance.now() - first)) * 1000 }
}
