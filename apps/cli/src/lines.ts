import { AttuneError } from '@attune/tensor'
import type { Io } from './io.ts'

/** Lines of the input, as they come. Ends with the input, or with `ERR_ABORTED` when interrupted. */
export async function* inputLines({ stdin, signal }: Pick<Io, 'stdin' | 'signal'>): AsyncGenerator<string> {
  const decoder = new TextDecoder()
  const pieces = stdin[Symbol.asyncIterator]()
  let held = ''
  for (;;) {
    const next = await orAborted(pieces.next(), signal)
    if (next.done) break
    held += typeof next.value === 'string' ? next.value : decoder.decode(next.value, { stream: true })
    const lines = held.split(/\r?\n/)
    held = lines.pop()!
    yield* lines
  }
  if (held) yield held
}

/** All of the input. */
export async function inputText(io: Pick<Io, 'stdin' | 'signal'>): Promise<string> {
  const lines: string[] = []
  for await (const line of inputLines(io)) lines.push(line)
  return lines.join('\n')
}

function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(new AttuneError('ERR_ABORTED', 'interrupted', {}, signal.reason))
    if (signal.aborted) return abort()
    signal.addEventListener('abort', abort, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })
}
