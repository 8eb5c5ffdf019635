import { AttuneError } from '@attune/tensor'
import type { Checkpoint } from '@attune/weights'

/** SHA-256 in hex. */
export async function sha256(bytes: Uint8Array): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-256', bytes as Uint8Array<ArrayBuffer>)
  return Array.from(new Uint8Array(digest), b => b.toString(16).padStart(2, '0')).join('')
}

/** One hash for a checkpoint's tensors, whatever files they lie in: of the lines "name hash", in order of name. */
export async function tensorsHash({ tensors }: Checkpoint, signal?: AbortSignal): Promise<string> {
  const lines: string[] = []
  for (const name of [...tensors.keys()].sort()) {
    if (signal?.aborted) throw new AttuneError('ERR_ABORTED', 'the export was aborted', {}, signal.reason)
    lines.push(`${name} ${await sha256(await tensors.get(name)!.read(signal))}\n`)
  }
  return sha256(new TextEncoder().encode(lines.join('')))
}
