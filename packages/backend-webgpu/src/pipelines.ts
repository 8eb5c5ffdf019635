import { AttuneError } from '@attune/expr'
import { COMPUTE, type GpuBuffer, type GpuDevice } from './gpu.ts'

/** Which bindings a kernel's operands share: `groups[operand]` is a binding's number (−1: not bound), `writes[group]` whether one writes there. */
export interface Sharing {
  readonly groups: readonly number[]
  readonly writes: readonly boolean[]
}

export interface Pipeline {
  readonly pipeline: object
  readonly layout: object
}

export interface Range {
  readonly buffer: GpuBuffer
  readonly offset: number
  readonly size: number
}

/**
 * Compiled kernels. A kernel's text declares one array of words per operand, `m0 m1 …`; operands that lie in one buffer must share one
 * binding, because a dispatch may not bind a buffer both for reading and for writing, nor overlapping ranges for writing.
 */
export class Pipelines {
  readonly #made = new Map<string, Promise<Pipeline>>()
  constructor(readonly gpu: GpuDevice) {}

  /** Compiled pipelines so far: a decode loop must not raise it. */
  get size(): number {
    return this.#made.size
  }

  get(text: string, sharing: Sharing, op: string): Promise<Pipeline> {
    const key = `${sharing.groups.join(',')};${sharing.writes.map(Number).join('')};${text}`
    let made = this.#made.get(key)
    if (!made) {
      made = this.#compile(shareBindings(text, sharing), sharing, op)
      made.catch(() => this.#made.delete(key))
      this.#made.set(key, made)
    }
    return made
  }

  bind({ layout }: Pipeline, uniforms: Range, groups: readonly Range[]): object {
    const entries = [uniforms, ...groups].map((resource, binding) => ({ binding, resource }))
    return this.gpu.createBindGroup({ layout, entries })
  }

  async #compile(code: string, { writes }: Sharing, op: string): Promise<Pipeline> {
    const { gpu } = this
    gpu.pushErrorScope('validation') // a text that is refused is told below, not printed
    const module = gpu.createShaderModule({ label: op, code })
    void gpu.popErrorScope().catch(() => {})
    const types = ['uniform', ...writes.map(w => (w ? 'storage' : 'read-only-storage'))]
    const layout = gpu.createBindGroupLayout({
      entries: types.map((type, binding) => ({ binding, visibility: COMPUTE, buffer: { type } })),
    })
    const descriptor = {
      label: op,
      layout: gpu.createPipelineLayout({ bindGroupLayouts: [layout] }),
      compute: { module, entryPoint: 'main' },
    }
    try {
      return { pipeline: await gpu.createComputePipelineAsync(descriptor), layout }
    } catch (error) {
      const { messages } = await module.getCompilationInfo().catch(() => ({ messages: [] }))
      const lines = code.split('\n')
      const said = messages.map(m => `${m.type}: ${m.message} in '${lines[m.lineNum - 1]?.trim()}'`).join('; ')
      throw new AttuneError(
        'ERR_UNSUPPORTED',
        `the kernel of '${op}' does not compile: ${said || String(error)}`,
        { op, text: code },
        error,
      )
    }
  }
}

const DECLARED = /^@group\(0\) @binding\(\d+\) var<storage, \w+> m\d+: array<u32>;\n/gm

/** The same kernel over shared bindings. Binding 0 is the uniforms. */
export function shareBindings(text: string, { groups, writes }: Sharing): string {
  const declared = writes.map((w, g) => `@group(0) @binding(${g + 1}) var<storage, ${w ? 'read_write' : 'read'}> g${g}: array<u32>;\n`)
  return declared.join('') + text.replace(DECLARED, '').replace(/\bm(\d+)\[/g, (_, operand: string) => `g${groups[Number(operand)]}[`)
}
