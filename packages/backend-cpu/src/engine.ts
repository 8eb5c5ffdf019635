/** What the native addon and the WebAssembly heap have in common: memory at addresses and jobs that run in order. Knows no programs. */
export interface Engine {
  readonly kind: 'native' | 'wasm'
  /** The instruction set in use: `avx512`, `avx2`, `sse2`, `neon`, `simd128` or `relaxed-simd`. */
  readonly isa: string
  readonly features: readonly string[]
  readonly threads: number
  /** Names of the compiled kernels; a program holds indices into this list. */
  readonly kernels: readonly string[]
  readonly maxBufferBytes: number
  /** Bytes that could still be allocated, as far as is known. */
  available(): number
  /** 64-byte aligned memory, or undefined when there is none. Its first `dirty` bytes still hold what was there before. */
  alloc(bytes: number): { readonly address: number; readonly dirty: number } | undefined
  free(address: number, bytes: number): void
  /** Moves bytes at once, on the calling thread: the device passes small pieces. */
  copyIn(address: number, bytes: Uint8Array): void
  copyOut(address: number, into: Uint8Array): void
  zero(address: number, bytes: number): void
  /** Runs a job after all submitted before; `ended` is called on the event loop. */
  submit(job: number, ended: (aborted: boolean, lost?: Error) => void): void
  abort(job: number): void
  /** Read-only memory over a file's bytes, shared with the page cache; absent where a file must be read instead. */
  map?(path: string, offset: number, bytes: number): Mapping
  /** Gives memory and threads back while nothing is allocated or running; the next call brings them back. */
  rest?(): Promise<void>
  /** Ends the threads. Nothing is running any more. */
  close(): Promise<void>
}

export interface Mapping {
  readonly address: number
  unmap(): void
  /** Whether the file became shorter meanwhile and what it lost was touched: zeros were read there. */
  lost(): boolean
}

/** Jobs a engine accepts before one has ended. */
export const queueLimit = 1000
