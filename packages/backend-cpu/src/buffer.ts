import { AttuneError, type DeviceBuffer } from '@attune/tensor'
import type { CpuDevice } from './device.ts'
import type { Mapping } from './engine.ts'

/** Memory of the CPU device. */
export class CpuBuffer implements DeviceBuffer {
  freed = false
  constructor(
    readonly owner: CpuDevice,
    readonly bytes: number,
    readonly address: number,
    /** Present for a mapped file: it cannot be written. */
    readonly file?: Mapping & { readonly path: string },
  ) {}
  /** Errors: `ERR_FORMAT` for a mapped file that has become shorter. */
  assertWhole(): void {
    if (this.file?.lost())
      throw new AttuneError('ERR_FORMAT', `${this.file.path} became shorter while it was in use`, { path: this.file.path })
  }
}
