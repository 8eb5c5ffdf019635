import { AttuneError } from '@attune/tensor'
import { abortError, checkAbort } from './error.ts'

/** A failure that another try may mend; `retryAfter` ms is the least to wait, where the other side says so. */
export function passing(message: string, data: Record<string, unknown> & { retryAfter?: number }, cause?: unknown): AttuneError {
  return new AttuneError('ERR_NETWORK', message, { ...data, retry: true }, cause)
}

export interface Patience {
  /** Tries in a row without progress before giving up (default 4), and the wait before the second (default 300 ms, doubled each time). */
  readonly attempts?: number
  readonly waitMs?: number
  readonly signal?: AbortSignal
  /** How far it has come: what moves is tried for as long as it does. */
  progress?(): number | Promise<number>
}

/** Runs until it works, as long as its failures are `passing`. Errors: its last one, `ERR_ABORTED`. */
export async function patiently<T>(what: string, run: () => Promise<T>, options: Patience = {}): Promise<T> {
  const { attempts = 4, waitMs = 300, signal, progress = () => 0 } = options
  for (let idle = 0; ; ) {
    const before = await progress()
    try {
      return await run()
    } catch (error) {
      checkAbort(signal, what)
      idle = (await progress()) > before ? 0 : idle + 1
      if (!(error instanceof AttuneError) || error.data.retry !== true || idle >= attempts) throw error
      const asked = Number(error.data.retryAfter ?? 0)
      if (asked > LONGEST) throw error
      await pause(Math.max(asked, Math.min(30_000, waitMs * 2 ** Math.max(0, idle - 1))), signal, what)
    }
  }
}

/** Whoever asks for more waiting than this is told to the user instead. */
const LONGEST = 60_000

/** Milliseconds that a `Retry-After` header asks for: seconds or a date. */
export function retryAfter(header: string | null): number | undefined {
  if (header === null) return undefined
  const ms = /^\s*\d+\s*$/.test(header) ? 1000 * Number(header) : Date.parse(header) - Date.now()
  return Number.isNaN(ms) ? undefined : Math.max(0, ms)
}

function pause(ms: number, signal: AbortSignal | undefined, what: string): Promise<void> {
  return new Promise((done, fail) => {
    const stop = () => {
      clearTimeout(timer)
      fail(abortError(signal!, what))
    }
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', stop)
      done()
    }, ms)
    signal?.addEventListener('abort', stop, { once: true })
  })
}
