import type { ByteSource, Folder, OutputFolder } from '@attune/weights'
import type { StreamStore } from './stream.ts'

/** Where a conversion keeps what it has finished, until the whole is there. What a call has written outlives the process once it resolves. */
export interface WorkFolder {
  /** What messages call it. */
  readonly name: string
  /** Whole lines of the journal; one that was cut short is gone. */
  journal(): Promise<readonly string[]>
  append(line: string): Promise<void>
  /** Files that appear whole or not at all, each as it is finished. */
  readonly parts: Pick<OutputFolder, 'create'>
  open(file: string): Promise<ByteSource>
  /** SHA-256 in hex of a file among `parts` (or of the result), undefined where there is none. */
  hash(file: string, where: 'parts' | 'result'): Promise<string | undefined>
  /** A residual stream, from the state of an earlier one where given. */
  stream(state?: unknown): Promise<WorkStream>
  /** The folder that becomes the result at `commit`. */
  readonly result: OutputFolder
  /** It, to be read. */
  written(): Promise<Folder>
  /** Removes everything in it. */
  clear(): Promise<void>
}

/** A residual stream that another process can go on with. */
export interface WorkStream extends StreamStore {
  /** The stream that `get` reads now, as data for `stream`. */
  state(): Promise<unknown>
}
