import type { Io } from './io.ts'

/** Streams that remember, for tests. */
export function testIo(
  lines: readonly string[] = [],
  signal: AbortSignal = new AbortController().signal,
): Io & { readonly output: string; readonly errors: string } {
  const state = { output: '', errors: '' }
  return {
    out: t => void (state.output += t),
    err: t => void (state.errors += t),
    stdoutIsTty: false,
    stderrIsTty: false,
    columns: 100,
    signal,
    stdin: (async function* () {
      for (const l of lines) yield `${l}\n`
    })(),
    get output() {
      return state.output
    },
    get errors() {
      return state.errors
    },
  }
}
