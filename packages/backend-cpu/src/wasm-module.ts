import { AttuneError } from '@attune/tensor'
import { nodeModule } from './addon.ts'

export interface WasmBuild {
  readonly module: WebAssembly.Module
  readonly relaxed: boolean
}

/** `f32x4.relaxed_madd` in an otherwise empty function. */
const relaxedProbe = Uint8Array.of(
  ...[0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 19, 1, 17, 0],
  ...[65, 0, 253, 15, 65, 0, 253, 15, 65, 0, 253, 15, 253, 133, 2, 11],
)
/** Whether this engine compiles relaxed SIMD. */
export const hasRelaxedSimd = (): boolean => WebAssembly.validate(relaxedProbe)

/** Whether workers can share a heap: always in Node, on a page only when it is cross-origin isolated. */
export const canShareMemory = (): boolean =>
  typeof SharedArrayBuffer === 'function' && (globalThis as { crossOriginIsolated?: boolean }).crossOriginIsolated !== false

/** Fetches and compiles one of the four builds. */
export async function loadWasm(workers: boolean, relaxed: boolean): Promise<WasmBuild> {
  // Spelled out: bundlers recognise only literal paths.
  const url = workers
    ? relaxed
      ? new URL('../dist/wasm/relaxed-threads.wasm', import.meta.url)
      : new URL('../dist/wasm/simd-threads.wasm', import.meta.url)
    : relaxed
      ? new URL('../dist/wasm/relaxed.wasm', import.meta.url)
      : new URL('../dist/wasm/simd.wasm', import.meta.url)
  try {
    return { module: await WebAssembly.compile(await bytesAt(url)), relaxed }
  } catch (cause) {
    throw new AttuneError(
      'ERR_NOT_FOUND',
      `the CPU kernels at ${url.href} cannot be loaded (in a clone of the repository: npm run setup)`,
      { url: url.href },
      cause,
    )
  }
}

async function bytesAt(url: URL): Promise<BufferSource> {
  if (url.protocol === 'file:') {
    const { readFile } = await import(/* @vite-ignore */ nodeModule('fs/promises'))
    return readFile(url)
  }
  const response = await fetch(url)
  if (!response.ok) throw new Error(`status ${response.status}`)
  return response.arrayBuffer()
}
