import { readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { AttuneError } from '@attune/tensor'

export interface HubAccess {
  /** Default `HF_ENDPOINT`, else https://huggingface.co. */
  endpoint?: string
  /** Default `HF_TOKEN`, else the one that `huggingface-cli login` keeps. Empty: none. */
  token?: string
}

/** Where to ask and as whom, from options and the environment variables of Hugging Face's own tools. */
export function access({ endpoint, token }: HubAccess): { endpoint: string; headers: Record<string, string> } {
  const bearer = token ?? tokenOf(process.env)
  if (/[^\x21-\x7e]/.test(bearer))
    throw new AttuneError('ERR_ARGUMENT', 'the Hugging Face token holds characters no token has; copy it again into HF_TOKEN', {})
  return {
    endpoint: (endpoint ?? (process.env.HF_ENDPOINT || 'https://huggingface.co')).replace(/\/+$/, ''),
    headers: bearer ? { authorization: `Bearer ${bearer}` } : {},
  }
}

/** Where Hugging Face's tools keep what they downloaded. */
export const hubCache = (): string => process.env.HF_HUB_CACHE || process.env.HUGGINGFACE_HUB_CACHE || join(home(process.env), 'hub')

/** Whether the environment asks for no network. */
export const isOffline = (): boolean => on(process.env.HF_HUB_OFFLINE) || on(process.env.TRANSFORMERS_OFFLINE)

type Env = Readonly<Record<string, string | undefined>>

const home = (env: Env): string => env.HF_HOME || join(env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'huggingface')
const on = (text = ''): boolean => /^(1|true|yes|on)$/i.test(text)

function tokenOf(env: Env): string {
  const named = env.HF_TOKEN || env.HUGGING_FACE_HUB_TOKEN
  if (named || on(env.HF_HUB_DISABLE_IMPLICIT_TOKEN)) return (named ?? '').trim()
  try {
    return readFileSync(env.HF_TOKEN_PATH || join(home(env), 'token'), 'utf8').trim()
  } catch {
    return ''
  }
}
