import { AttuneError } from '@attune/tensor'
import { show } from '../error.ts'
import { type Holes, type Pattern, pattern } from './pattern.ts'
import type { Step } from './steps.ts'
import type { Value } from './value.ts'

/** Which tensors of a file are which parameters, and what lies between. */
export interface Rule {
  readonly files: readonly Pattern[]
  readonly params: readonly Pattern[]
  readonly steps: readonly Step[]
}
/** Tensors a file may hold that no parameter needs, and why. */
export interface Ignored {
  readonly ignored: Pattern
  readonly why: string
}

/** One use of a rule: these tensors give these parameters. */
export interface Assignment {
  /** Names, in the rule's order. Where a hole runs, only the loading side knows how far; `file(i)` names any of them. */
  readonly files: readonly string[]
  readonly params: readonly string[]
  readonly steps: readonly Step[]
  file(i: number): string
}

export interface LoadOptions {
  /** Every parameter the model has: one left without a tensor, or a tensor without one, is an error. */
  params?: Iterable<string>
  /** Told of each tensor no rule knows, instead of an error. */
  unknown?(tensor: string): void
}

export interface Layout {
  /** How to read a checkpoint's tensors. Errors: `ERR_UNSUPPORTED` for a tensor not known, `ERR_FORMAT` for one missing or doubled; both name it. */
  load(tensors: Iterable<string>, options?: LoadOptions): Assignment[]
  /**
   * How to write parameters; where several rules know one, as the first has it, or the first whose tensor is among those `like` which it
   * shall be. Errors: `ERR_UNSUPPORTED` for a parameter without a rule, `ERR_ARGUMENT` for one that lacks its companions.
   */
  save(params: Iterable<string>, like?: { has(tensor: string): boolean }): Assignment[]
}

type Names = string | readonly string[]
const patterns = (names: Names): Pattern[] => (typeof names === 'string' ? [names] : names).map(pattern)

/** File tensors ↔ parameters; the first rule that knows a name has it. Steps run in order on load, backwards on save. */
export function rule(files: Names, params: Names, ...steps: Step[]): Rule {
  const made = { files: patterns(files), params: patterns(params), steps }
  if (made.params.some(p => p.running) || (made.files.length > 1 && made.files.some(p => p.running)))
    throw new AttuneError('ERR_ARGUMENT', `a running hole stands alone on the file side: ${files}`, { files, params })
  if ([...made.files, ...made.params].some(p => p.text.includes('{**}')))
    throw new AttuneError('ERR_ARGUMENT', `a rule names what it reads and writes; {**} is for what is ignored: ${files}`, { files, params })
  return made
}
export const ignore = (file: string, why: string): Ignored => ({ ignored: pattern(file), why })

/** A reversible layout, from which both loading and saving follow. */
export function layout(entries: readonly (Rule | Ignored)[]): Layout {
  const rules = entries.filter((e): e is Rule => 'steps' in e)
  const ignored = entries.filter((e): e is Ignored => 'ignored' in e)
  return {
    load(tensors, { params, unknown = refuse } = {}) {
      const known = new Set<string>()
      for (const name of tensors) {
        if (rules.some(r => r.files.some(p => p.match(name)))) known.add(name)
        else if (!ignored.some(i => i.ignored.match(name))) unknown(name)
      }
      const found = assign(
        rules,
        known,
        'files',
        (missing, of) => new AttuneError('ERR_FORMAT', `tensor ${show(missing)} is missing; ${show(of)} needs it`, { tensor: missing, of }),
      )
      const ignorable = (a: Assignment) => a.files.every(f => ignored.some(i => i.ignored.match(f)))
      return params ? matching(rules, found, new Set(params), unknown, ignorable) : unique(found)
    },
    save: (params, like) =>
      assign(
        rules,
        new Set(params),
        'params',
        (missing, of) =>
          new AttuneError('ERR_ARGUMENT', `parameter ${missing} is missing; ${of} is written together with it`, { param: missing, of }),
        like,
      ),
  }
}

/** Runs an assignment from file values to parameter values. Bytes are made when a value's are asked for. */
export function loadValues({ params, steps }: Assignment, values: readonly Value[]): Map<string, Value> {
  for (const step of steps) values = step.load(values)
  return new Map(params.map((name, i) => [name, values[i]]))
}

/** Runs an assignment from parameter values to file values; hollow values give dtypes and shapes alone. */
export function saveValues({ file, steps }: Assignment, values: readonly Value[]): Map<string, Value> {
  for (const step of [...steps].reverse()) values = step.save(values)
  return new Map(values.map((value, i) => [file(i), value]))
}

function refuse(tensor: string): never {
  throw new AttuneError('ERR_UNSUPPORTED', `tensor ${show(tensor)} is not known to this model's layout`, { tensor })
}

/** Groups names by the rule use they belong to and completes each group. */
function assign(
  rules: readonly Rule[],
  names: ReadonlySet<string>,
  side: 'files' | 'params',
  incomplete: (missing: string, of: string) => Error,
  like?: { has(tensor: string): boolean },
): Assignment[] {
  const groups = new Map<string, { rule: Rule; holes: Holes; first: string; run: number }>()
  for (const name of names) {
    const [rule, holes, running] = lookUp(rules, side, name, like)
    const key = `${rules.indexOf(rule)} ${JSON.stringify(Object.entries(holes).sort())}`
    const group = groups.get(key) ?? { rule, holes, first: name, run: 0 }
    group.run = Math.max(group.run, running + 1)
    groups.set(key, group)
  }
  return [...groups.values()].map(({ rule, holes, first, run }) => {
    const names_ = (of: 'files' | 'params') => rule[of].flatMap(p => expand(p, holes, run))
    const missing = names_(side).find(name => !names.has(name))
    if (missing !== undefined) throw incomplete(missing, first)
    const files = names_('files')
    const file = (i: number) => (rule.files[0].running ? expand(rule.files[0], holes, i + 1)[i] : files[i])
    return { files, params: names_('params'), steps: rule.steps, file }
  })
}

function lookUp(
  rules: readonly Rule[],
  side: 'files' | 'params',
  name: string,
  like?: { has(tensor: string): boolean },
): [Rule, Holes, number] {
  let first: [Rule, Holes, number] | undefined
  for (const rule of rules)
    for (const p of rule[side]) {
      const holes = p.match(name)
      if (!holes) continue
      const { [p.running ?? '']: at = 0, ...rest } = holes
      first ??= [rule, rest, Number(at)]
      if (!like) return first
      if (like.has(expand(rule.files[0], rest, 1)[0])) return [rule, rest, Number(at)]
    }
  if (first) return first
  throw new AttuneError('ERR_UNSUPPORTED', `parameter ${name} has no rule in this layout`, { param: name })
}

const MAX_RUN = 1 << 16

function expand(p: Pattern, holes: Holes, run: number): string[] {
  if (!p.running) return [p.fill(holes)]
  if (run > MAX_RUN) throw new AttuneError('ERR_FORMAT', `${p.text}: number ${run - 1} is too large`, { pattern: p.text, run })
  return Array.from({ length: run }, (_, i) => p.fill({ ...holes, [p.running!]: String(i) }))
}

/** Two tensors for one parameter would be a silent choice. */
function unique(assignments: Assignment[]): Assignment[] {
  const owner = new Map<string, string>()
  for (const { files, params } of assignments)
    for (const param of params) {
      const other = owner.get(param)
      if (other !== undefined)
        throw new AttuneError('ERR_FORMAT', `tensors ${show(other)} and ${show(files[0])} are both parameter ${param}`, {
          param,
          tensors: [other, files[0]],
        })
      owner.set(param, files[0])
    }
  return assignments
}

function matching(
  rules: readonly Rule[],
  found: Assignment[],
  params: ReadonlySet<string>,
  unknown: (tensor: string) => void,
  ignorable: (a: Assignment) => boolean,
): Assignment[] {
  const used = unique(
    found.filter(a => {
      if (a.params.every(p => params.has(p))) return true
      if (!ignorable(a)) for (const file of a.files) unknown(file)
      return false
    }),
  )
  const filled = new Set(used.flatMap(a => a.params))
  for (const param of params) {
    if (filled.has(param)) continue
    const [rule, holes] = lookUp(rules, 'params', param)
    const tensor = expand(rule.files[0], holes, 1)[0]
    throw new AttuneError('ERR_FORMAT', `tensor ${tensor} is missing: parameter ${param} has no values`, { tensor, param })
  }
  return used
}
