// One side of a comparison, in a process of its own: contender.mjs NAME. Reads `{ task, threads, params }` first, then a line per round, and
// answers each with JSON: `{ ready }`, then `{ ms, … }`.
import { createInterface } from 'node:readline'

const [name] = process.argv.slice(2)
const { open } = await import(`./contenders/${name}.mjs`)
const answer = (/** @type {unknown} */ value) => process.stdout.write(`${JSON.stringify(value)}\n`)
/** @type {{ round(): Promise<Record<string, number>>, close?(): Promise<void>, about?: unknown } | undefined} */
let side
for await (const line of createInterface({ input: process.stdin })) {
  try {
    if (side) answer(await side.round())
    else {
      const opened = await open(JSON.parse(line))
      side = opened
      answer({ ready: opened.about ?? name })
    }
  } catch (error) {
    answer({ error: /** @type {Error} */ (error).message })
    if (!side) break
  }
}
await side?.close?.()
process.exit(0)
