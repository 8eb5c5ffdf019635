import type { Checkpoint } from '@attune/weights'
import { sha256 } from './hash.ts'
import { sorted } from './same-data.ts'

/** Rows read at each end of a tensor. */
const ENDS = 2

/**
 * One hash that tells a checkpoint from others without reading it whole: of its config, and of every tensor the name, type, shape,
 * and the first and last rows.
 */
export async function sourceIdentity({ config, tensors }: Pick<Checkpoint, 'config' | 'tensors'>, signal?: AbortSignal): Promise<string> {
  const lines = [JSON.stringify(sorted(config))]
  for (const name of [...tensors.keys()].sort()) {
    const entry = tensors.get(name)!
    const { dtype, shape } = entry
    const rows = shape[0] ?? 1
    const ends = [await entry.readRows(0, Math.min(ENDS, rows), signal), await entry.readRows(Math.max(0, rows - ENDS), rows, signal)]
    const hashes = await Promise.all(ends.map(sha256))
    lines.push(JSON.stringify([name, typeof dtype === 'object' ? dtype.name : dtype, shape, ...hashes]))
  }
  return sha256(new TextEncoder().encode(lines.join('\n')))
}
