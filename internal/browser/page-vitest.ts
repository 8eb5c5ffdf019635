/** What the conformance suites use of vitest, on a page: tests are collected, and run one at a time when asked. */
import { type Assertion, chai, JestAsymmetricMatchers, JestChaiExpect } from '@vitest/expect'

chai.use(JestChaiExpect)
chai.use(JestAsymmetricMatchers)

export const expect = (value: unknown, message?: string) => chai.expect(value, message) as unknown as Assertion

type Body = () => unknown
interface Collected {
  readonly name: string
  readonly body: Body
  readonly before: readonly Once[]
}
type Once = () => Promise<void>

export const collected: Collected[] = []
export const endings: Body[] = []
let titles: string[] = []
let before: Once[] = []

const group = (title: string, make: Body): void => {
  const kept = { titles, before }
  titles = [...titles, title]
  before = [...before]
  make()
  ;({ titles, before } = kept)
}
const single = (title: string, body: Body): void => {
  collected.push({ name: [...titles, title].join(' › '), body, before })
}

type Cases = readonly unknown[]
const each = (add: (title: string, body: Body) => void) => (cases: Cases) => (title: string, body: (...values: any[]) => unknown) => {
  for (const c of cases) {
    const values = Array.isArray(c) ? c : [c]
    let i = 0
    const named = title.replace(/%([sj])/g, (_, kind) => (kind === 'j' ? JSON.stringify(values[i++]) : String(values[i++])))
    add(named, () => body(...values))
  }
}

export const describe = Object.assign(group, { each: each(group) })
export const it = Object.assign(single, {
  each: each(single),
  runIf: (on: unknown) => (on ? single : () => {}),
  skipIf: (off: unknown) => (off ? () => {} : single),
})
export const test = it
export const beforeAll = (body: Body): void => {
  let done: Promise<void> | undefined
  before.push(() => (done ??= Promise.resolve(body()).then(() => {})))
}
export const afterAll = (body: Body): void => void endings.push(body)
