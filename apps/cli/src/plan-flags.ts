import { readFile } from 'node:fs/promises'
import { type Plan, planFrom } from '@attune/convert'
import { AttuneError } from '@attune/tensor'
import { parse } from 'yaml'

/** The plan that `--plan` names, or that `--to` and its companions say. Errors: `ERR_ARGUMENT`, `ERR_FORMAT` for a file that is no YAML or JSON. */
export async function planOf(options: Record<string, any>): Promise<Plan> {
  const { plan: file, to, method, layers, kvHeads, set, option, quality } = options
  if ((file === undefined) === (to === undefined)) throw new AttuneError('ERR_ARGUMENT', 'give either --to or --plan', {})
  const config = { ...set, ...(kvHeads ? { kvHeads } : {}) }
  const given = Object.keys(config).length > 0
  if (file === undefined)
    return planFrom({
      layers: [{ layers, to, ...(method ? { method } : {}), ...(given ? { config } : {}), ...(option ? { options: option } : {}) }],
    })
  if (quality !== undefined) throw new AttuneError('ERR_ARGUMENT', '--quality finds its own plan: give --to and --method with it', {})
  if (method !== undefined || given || option !== undefined || layers !== 'all')
    throw new AttuneError(
      'ERR_ARGUMENT',
      '--method, --layers, --kv-heads, --set and --option belong to --to; a plan file says them itself',
      {},
    )
  return planFrom(await parsed(file))
}

/** Collects `name=value` flags: numbers and true or false are read as such, a name alone is true. */
export function named(flag: string, into: Record<string, unknown> = {}): Record<string, unknown> {
  const [name, value] = flag.split(/=(.*)/s)
  if (!/^[A-Za-z]\w*$/.test(name)) throw new AttuneError('ERR_ARGUMENT', `'${flag}' is not name=value`, { flag })
  return { ...into, [name]: value === undefined ? true : parse(value) }
}

/** YAML holds JSON, so one reader serves both. */
async function parsed(file: string): Promise<unknown> {
  const text = await readFile(file, 'utf8')
  try {
    return parse(text)
  } catch (cause) {
    throw new AttuneError('ERR_FORMAT', `${file}: neither YAML nor JSON: ${(cause as Error).message}`, { file }, cause)
  }
}
