import type { WebGpuDevice } from './device.ts'
import { type GpuBuffer, USAGE } from './gpu.ts'

const TEXT = `struct Uniforms { at0: u32, word: u32, mask: u32, bits: u32 }
@group(0) @binding(0) var<uniform> u: Uniforms;
@group(0) @binding(1) var<storage, read_write> m0: array<u32>;
@compute @workgroup_size(1)
fn main() { m0[u.word] = (m0[u.word] & ~u.mask) | u.bits; }`

/** Writes one to three bytes inside one word; the other bytes stay. */
export async function patchWord(device: WebGpuDevice, target: GpuBuffer, offset: number, bytes: Uint8Array): Promise<void> {
  const { gpu, pipelines } = device
  const values = new Uint32Array([0, offset >> 2, 0, 0])
  bytes.forEach((byte, i) => {
    const shift = 8 * ((offset + i) & 3)
    values[2] |= 255 << shift
    values[3] |= byte << shift
  })
  const uniforms = gpu.createBuffer({ size: 16, usage: USAGE.uniform | USAGE.copyTarget })
  gpu.queue.writeBuffer(uniforms, 0, values)
  const pipeline = await pipelines.get(TEXT, { groups: [0], writes: [true] }, 'write')
  const encoder = gpu.createCommandEncoder()
  const pass = encoder.beginComputePass()
  pass.setPipeline(pipeline.pipeline)
  pass.setBindGroup(
    0,
    pipelines.bind(pipeline, { buffer: uniforms, offset: 0, size: 16 }, [{ buffer: target, offset: 0, size: target.size }]),
  )
  pass.dispatchWorkgroups(1)
  pass.end()
  gpu.queue.submit([encoder.finish()])
  uniforms.destroy()
}
