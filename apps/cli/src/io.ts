/** Where a command's words go. stdout carries results only; all else goes to stderr. */
export interface Io {
  out(text: string): void
  err(text: string): void
  readonly stdoutIsTty: boolean
  readonly stderrIsTty: boolean
  readonly columns: number
  readonly signal: AbortSignal
  readonly stdin: AsyncIterable<string | Uint8Array> & { readonly isTTY?: boolean }
}

/** The process's own streams; the first interrupt aborts, the second ends at once. */
export function processIo(): Io {
  const controller = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.on(name, () => {
      if (controller.signal.aborted) process.exit(130)
      controller.abort(new Error(name))
    })
  }
  // A reader that went away (`| head`) is no failure.
  process.stdout.on('error', e => (e as NodeJS.ErrnoException).code === 'EPIPE' && process.exit(0))
  return {
    out: text => void process.stdout.write(text),
    err: text => void process.stderr.write(text),
    stdoutIsTty: process.stdout.isTTY === true,
    stderrIsTty: process.stderr.isTTY === true,
    columns: process.stdout.columns ?? 100,
    signal: controller.signal,
    stdin: process.stdin,
  }
}
