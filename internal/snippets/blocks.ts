import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from '../lib/workspace.mjs'

/** A fenced block of a page. */
export interface Block {
  /** Path from the repository's root. */
  readonly page: string
  readonly line: number
  readonly lang: string
  /** Name after `file=`: the block is that file of the page's folder, for blocks after it. */
  readonly file?: string
  readonly code: string
}

/** Every page whose snippets are run. */
export function pages(): string[] {
  const docs = readdirSync(join(root, 'docs')).filter(name => name.endsWith('.md'))
  const packages = readdirSync(join(root, 'packages')).map(name => `packages/${name}/README.md`)
  return ['README.md', 'CONTRIBUTING.md', 'SECURITY.md', ...docs.map(name => `docs/${name}`), ...packages]
}

export const pageText = (page: string): string => readFileSync(join(root, page), 'utf8')

/** Blocks of a page that name a language; those without one are drawings. */
export function blocksOf(page: string, text = pageText(page)): Block[] {
  return [...text.matchAll(/^```(\w+)([^\n]*)\n([\s\S]*?)^```$/gm)].map(found => {
    const [, lang, info, code] = found
    const line = text.slice(0, found.index).split('\n').length
    return { page, line, lang, file: /\bfile=(\S+)/.exec(info)?.[1], code }
  })
}

/** A module of a page: a TypeScript or JavaScript block, and the blocks below it that continue it. */
export interface Module {
  readonly blocks: Block[]
  readonly lang: string
}

/** What is run, in the order of the page: modules and shell blocks. A block that is a test, or imports a name again, begins anew. */
export function steps(blocks: readonly Block[]): (Module | Block)[] {
  const out: (Module | Block)[] = []
  let open: Module | undefined
  let names = new Set<string>()
  for (const block of blocks) {
    if (block.file) continue
    if (block.lang !== 'ts' && block.lang !== 'js') {
      out.push(block)
      continue
    }
    const own = importedNames(block.code)
    const anew = !open || isTest(block.code) || isTest(open.blocks[0].code) || block.lang !== open.lang || own.some(name => names.has(name))
    if (anew) {
      open = { blocks: [], lang: block.lang }
      names = new Set()
      out.push(open)
    }
    open!.blocks.push(block)
    for (const name of own) names.add(name)
  }
  return out
}

export const isTest = (code: string): boolean => / from 'vitest'| from '@attune\/testing'/.test(code)

const importedNames = (code: string): string[] =>
  [...code.matchAll(/^import (?:type )?\{([^}]*)\}/gm)].flatMap(([, list]) =>
    list.split(',').map(part => part.trim().split(' as ').at(-1)!),
  )

export const isModule = (step: Module | Block): step is Module => 'blocks' in step

/** A module's text, where `value // → JSON` hands both to `claim`. */
export function moduleCode({ blocks }: Module): string {
  const lines = blocks.flatMap(b => b.code.split('\n'))
  const checked = lines.map(line =>
    line.replace(/^(\s*)(.+?)\s*\/\/ → (.+)$/, (_, space, value, json) => `${space}claim(${value}, ${JSON.stringify(json)})`),
  )
  return `${checked.join('\n')}\nexport {}\n`
}
