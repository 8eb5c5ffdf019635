import { AttuneError } from '@attune/tensor'

/** A folder being written: nothing is visible under its final name before `commit`. */
export interface OutputFolder {
  create(file: string): Promise<OutputFile>
  /** Puts every finished file in its place. */
  commit(): Promise<void>
  /** Removes what was written. */
  discard(): Promise<void>
}

export interface OutputFile {
  write(bytes: Uint8Array): Promise<void>
  finish(): Promise<void>
}

/** Files kept in memory; `files` fills at `commit`. */
export function memoryOutput(): OutputFolder & { readonly files: Map<string, Uint8Array> } {
  const files = new Map<string, Uint8Array>()
  const written = new Map<string, Uint8Array>()
  return {
    files,
    async create(file) {
      const pieces: Uint8Array[] = []
      return {
        write: async bytes => void pieces.push(bytes.slice()),
        async finish() {
          written.set(file, joinBytes(pieces))
        },
      }
    },
    async commit() {
      for (const [name, bytes] of written) files.set(name, bytes)
      written.clear()
    },
    discard: async () => written.clear(),
  }
}

/** Writes a small file in one go: bytes, text, or an object as JSON. */
export async function writeWhole(
  out: OutputFolder,
  file: string,
  content: Uint8Array | string | Readonly<Record<string, unknown>>,
): Promise<void> {
  const text = typeof content === 'string' ? content : content instanceof Uint8Array ? undefined : `${JSON.stringify(content, null, 2)}\n`
  const target = await out.create(file)
  await target.write(text === undefined ? (content as Uint8Array) : new TextEncoder().encode(text))
  await target.finish()
}

/** Only plain names inside the folder. Errors: `ERR_ARGUMENT`. */
export function checkFileName(file: string): void {
  if (!/^[\w][\w .-]*(\/[\w][\w .-]*)*$/.test(file)) throw new AttuneError('ERR_ARGUMENT', `${file} is not a plain file name`, { file })
}

function joinBytes(pieces: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(pieces.reduce((n, p) => n + p.length, 0))
  let at = 0
  for (const piece of pieces) {
    out.set(piece, at)
    at += piece.length
  }
  return out
}
