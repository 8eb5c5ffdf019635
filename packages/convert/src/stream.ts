/**
 * Keeps the residual stream between layers, one entry per window of tokens (tokens, dim) f32, and notes about the layer at hand. What
 * is put is read after the next `turn`: until then `get` gives the stream before the layer. Give a file-backed one to bound memory.
 */
export interface StreamStore {
  put(window: number, values: Float32Array): Promise<void>
  get(window: number): Promise<Float32Array>
  /** What was put becomes what is read. */
  turn(): Promise<void>
  /** Values that are read while the layer lasts. */
  note(window: number, values: Float32Array): Promise<void>
  noted(window: number): Promise<Float32Array>
  close(): Promise<void>
}

export function memoryStream(): StreamStore {
  let [now, next] = [new Map<number, Float32Array>(), new Map<number, Float32Array>()]
  const notes = new Map<number, Float32Array>()
  return {
    async put(window, values) {
      next.set(window, values)
    },
    get: async window => now.get(window)!,
    async turn() {
      ;[now, next] = [next, new Map()]
      notes.clear()
    },
    async note(window, values) {
      notes.set(window, values)
    },
    noted: async window => notes.get(window)!,
    async close() {
      for (const held of [now, next, notes]) held.clear()
    },
  }
}
