/** Keeps the residual stream between layers, one entry per window of tokens (tokens, dim) f32. Give a file-backed one to bound memory. */
export interface StreamStore {
  put(window: number, values: Float32Array): Promise<void>
  get(window: number): Promise<Float32Array>
  close(): Promise<void>
}

export function memoryStream(): StreamStore {
  const windows = new Map<number, Float32Array>()
  return {
    async put(window, values) {
      windows.set(window, values)
    },
    get: async window => windows.get(window)!,
    close: async () => windows.clear(),
  }
}
