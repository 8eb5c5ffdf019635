import { AttuneError } from '@attune/expr'
import { WASM } from './core.wasm.ts'

/** The compiled float64 routines (native/*.c); every pointer is a byte offset into `memory`. */
export interface Routines {
  memory: WebAssembly.Memory
  __heap_base: WebAssembly.Global
  gemm(
    ...args: [
      m: number,
      n: number,
      k: number,
      alpha: number,
      a: number,
      rsa: number,
      csa: number,
      b: number,
      rsb: number,
      csb: number,
      add: number,
      c: number,
      ldc: number,
      upper: number,
    ]
  ): void
  reflectRows(
    ...args: [
      m: number,
      n: number,
      z: number,
      ldz: number,
      count: number,
      v: number,
      ldv: number,
      shift: number,
      tau: number,
      forward: number,
      work: number,
    ]
  ): void
  qr(m: number, n: number, at: number, tau: number, diag: number, work: number): void
  tridiag(n: number, a: number, d: number, e: number, tau: number, work: number): void
  hermitianTridiag(
    ...args: [
      n: number,
      re: number,
      im: number,
      vr: number,
      vi: number,
      beta: number,
      pr: number,
      pi: number,
      d: number,
      e: number,
      work: number,
    ]
  ): void
  hermitianBack(m: number, n: number, zr: number, zi: number, vr: number, vi: number, beta: number, pr: number, pi: number): void
  bidiag(m: number, n: number, a: number, left: number, right: number, d: number, e: number, tauL: number, tauR: number, work: number): void
  divideSvd(n: number, d: number, e: number, u: number, v: number, order: number, work: number, iwork: number): void
  triangular(n: number, t: number, rs: number, cs: number, lower: number, unit: number, x: number, cols: number, ldx: number): void
  /** 0, or 1 + the row whose pivot is not positive. */
  cholesky(n: number, a: number): number
  /** 0, or 1 + the column without a pivot. */
  lu(n: number, a: number, pivots: number): number
  /** 0, or 1 when a leaf does not converge. */
  divide(n: number, d: number, e: number, q: number, order: number, want: number, work: number, iwork: number): number
}

/** Memory handed out for one call; everything is given back when the call ends. */
export interface Scratch {
  run: Routines
  /** Byte offset of `count` float64 numbers (not cleared). */
  alloc(count: number): number
  /** A view of them; made after the last alloc of the call. */
  view(pointer: number, count: number): Float64Array
  ints(pointer: number, count: number): Int32Array
}

const KEEP = 64 << 20 // an instance that grew beyond this is dropped, so that its memory can be collected
const PAGE = 65536
let compiled: WebAssembly.Module | undefined
let idle: Routines | undefined

/** Runs `body` on the core with scratch memory. Throws ERR_OOM naming the bytes when WASM memory (4 GiB) does not suffice. */
export function withCore<T>(body: (scratch: Scratch) => T): T {
  const run = idle ?? instantiate()
  idle = undefined // a nested call gets its own instance
  let top = (run.__heap_base.value + 63) & ~63
  const alloc = (count: number) => {
    const at = top
    top += (count * 8 + 63) & ~63
    const missing = Math.ceil((top - run.memory.buffer.byteLength) / PAGE)
    if (missing > 0) grow(run, missing, top)
    return at
  }
  const result = body({
    run,
    alloc,
    view: (pointer, count) => new Float64Array(run.memory.buffer, pointer, count),
    ints: (pointer, count) => new Int32Array(run.memory.buffer, pointer, count),
  })
  if (run.memory.buffer.byteLength <= KEEP) idle = run
  return result
}

function grow(run: Routines, pages: number, bytes: number): void {
  try {
    run.memory.grow(pages)
  } catch (cause) {
    throw new AttuneError('ERR_OOM', `linalg: cannot hold ${bytes} bytes of scratch in WebAssembly memory`, { bytes }, cause)
  }
}

function instantiate(): Routines {
  compiled ??= new WebAssembly.Module(Uint8Array.from(atob(WASM), c => c.charCodeAt(0)))
  return new WebAssembly.Instance(compiled).exports as unknown as Routines
}
