/** The part of the WebGPU API that this backend uses, so that no type package is needed. https://www.w3.org/TR/webgpu/ */
export interface Gpu {
  requestAdapter(options?: { powerPreference?: 'low-power' | 'high-performance' }): Promise<GpuAdapter | null>
}

export interface GpuAdapter {
  readonly info: { readonly vendor: string; readonly architecture: string; readonly description: string }
  readonly features: { has(name: string): boolean }
  readonly limits: object
  requestDevice(options?: any): Promise<GpuDevice>
}

export interface GpuLimits {
  readonly maxBufferSize: number
  readonly maxStorageBufferBindingSize: number
  readonly maxStorageBuffersPerShaderStage: number
  readonly minStorageBufferOffsetAlignment: number
  readonly minUniformBufferOffsetAlignment: number
  readonly maxComputeWorkgroupsPerDimension: number
}

export interface GpuDevice {
  readonly limits: GpuLimits
  readonly features: { has(name: string): boolean }
  readonly queue: GpuQueue
  readonly lost: Promise<{ readonly reason?: string; readonly message: string }>
  createBuffer(descriptor: { label?: string; size: number; usage: number }): GpuBuffer
  createShaderModule(descriptor: { label?: string; code: string }): GpuShaderModule
  createBindGroupLayout(descriptor: { entries: unknown[] }): object
  createPipelineLayout(descriptor: { bindGroupLayouts: any[] }): object
  createComputePipelineAsync(descriptor: any): Promise<object>
  createBindGroup(descriptor: any): object
  createCommandEncoder(): GpuCommandEncoder
  pushErrorScope(filter: 'validation' | 'out-of-memory'): void
  popErrorScope(): Promise<{ readonly message: string } | null>
  destroy(): void
}

export interface GpuShaderModule {
  getCompilationInfo(): Promise<{
    readonly messages: readonly { readonly type: string; readonly message: string; readonly lineNum: number }[]
  }>
}

export interface GpuBuffer {
  readonly size: number
  mapAsync(mode: number, offset?: number, size?: number): Promise<void>
  getMappedRange(offset?: number, size?: number): ArrayBuffer
  unmap(): void
  destroy(): void
}

export interface GpuQueue {
  submit(commands: any[]): void
  writeBuffer(buffer: any, offset: number, data: any, dataOffset?: number, size?: number): void
  onSubmittedWorkDone(): Promise<void>
}

export interface GpuCommandEncoder {
  beginComputePass(): GpuComputePass
  copyBufferToBuffer(source: any, sourceOffset: number, destination: any, destinationOffset: number, size: number): void
  finish(): object
}

export interface GpuComputePass {
  setPipeline(pipeline: any): void
  setBindGroup(index: number, group: any): void
  dispatchWorkgroups(x: number, y?: number, z?: number): void
  end(): void
}

/** Flags of `GPUBufferUsage`, `GPUMapMode` and `GPUShaderStage`, which are globals in browsers only. */
export const USAGE = { mapRead: 1, copySource: 4, copyTarget: 8, uniform: 64, storage: 128 } as const
export const MAP_READ = 1
export const COMPUTE = 4
