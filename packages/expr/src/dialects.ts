import type { OpName, ScalarType } from './ops.ts'
import type { Table } from './table.ts'

/**
 * Everything a target language adds, as data. `$0 $1 $2` in a template are operands; a template that is not a call brings its own outer
 * parentheses. A backend spreads a dialect and replaces `variable`, `uniform` and `index` by what its kernels bind.
 */
export interface Dialect {
  readonly name: string
  readonly types: Readonly<Record<ScalarType, string>>
  /** Text of a number: always finite, bool as 1 or 0. */
  literal(value: number, type: ScalarType): string
  /** Name of a variable in the text. */
  variable(name: string): string
  /** Text of captured number `slot`; when absent its value is printed. */
  uniform?(slot: number, type: ScalarType): string
  /** Text of a table read; `slot` is the table's place in `tables(expr)`. Kernels clamp here. */
  index(table: Table, slot: number, indices: readonly string[]): string
  /** Templates by op, or by `op:type` of the first operand where types differ. */
  readonly templates: Readonly<Record<string, string>>
  /** Declares a local. */
  local(name: string, type: ScalarType, text: string): string
  /** Helper functions that templates call, by op. */
  readonly prelude: Readonly<Partial<Record<OpName, string>>>
}

const identifier = (name: string): string => name.replaceAll(/[^A-Za-z0-9_]/g, '_')
const tableName = (table: Table, slot: number): string => (table.name ? identifier(table.name) : `t${slot}`)
const decimal = (value: number): string => (Number.isInteger(value) && Math.abs(value) < 1e21 ? `${value}.0` : `${value}`)
const truth = (value: number): string => (value ? 'true' : 'false')
const calls = (names: Record<string, string>, arity: number): Record<string, string> =>
  Object.fromEntries(Object.entries(names).map(([op, f]) => [op, `${f}(${['$0', '$1', '$2'].slice(0, arity).join(', ')})`]))

/** Infix and prefix forms that all dialects share: text and how tightly it binds. */
export const INFIX: Readonly<Partial<Record<OpName, { readonly text: string; readonly level: number; readonly chains?: boolean }>>> = {
  mul: { text: '*', level: 5, chains: true },
  div: { text: '/', level: 5 },
  idiv: { text: '/', level: 5 },
  mod: { text: '%', level: 5 },
  add: { text: '+', level: 4, chains: true },
  sub: { text: '-', level: 4 },
  lt: { text: '<', level: 3 },
  le: { text: '<=', level: 3 },
  gt: { text: '>', level: 3 },
  ge: { text: '>=', level: 3 },
  eq: { text: '==', level: 3 },
  ne: { text: '!=', level: 3 },
  and: { text: '&&', level: 2, chains: true },
  or: { text: '||', level: 1, chains: true },
}

/** Sine or cosine after Cody and Waite's reduction to [−π/4, π/4]; coefficients of Cephes' sinf. `turn` quarter turns are added. */
const circular = (name: string, turn: number): string => `fn ${name}(x: f32) -> f32 {
  let k = round(x * 0.6366197724f);
  let r = ((x - k * 1.5703125f) - k * 4.837512969970703125e-4f) - k * 7.549789954891882e-8f;
  let z = r * r;
  let s = r + r * z * (-1.6666654611e-1f + z * (8.3321608736e-3f - z * 1.9515295891e-4f));
  let c = 1.0f - 0.5f * z + z * z * (4.166664568298827e-2f + z * (-1.388731625493765e-3f + z * 2.443315711809948e-5f));
  let q = (i32(k) + ${turn}) & 3;
  let v = select(s, c, (q & 1) == 1);
  return select(v, -v, q >= 2);
}`

/**
 * WebGPU shading language. Arguments that overflow are clamped: infinities are indeterminate there. Its own sine and cosine are only
 * good to 2^−11 and inside [−π, π], its power of a negative base is indeterminate: helpers replace them.
 */
export const wgsl: Dialect = {
  name: 'wgsl',
  types: { f32: 'f32', i32: 'i32', bool: 'bool' },
  literal: (value, type) => (type === 'f32' ? `${decimal(Math.fround(value))}f` : type === 'bool' ? truth(value) : `${value}i`),
  variable: identifier,
  index: (table, slot, indices) => `${tableName(table, slot)}[${indices.join('][')}]`,
  local: (name, type, text) => `let ${name}: ${type} = ${text};`,
  templates: {
    ...calls({ abs: 'abs', floor: 'floor', exp: 'exp', log: 'log', sqrt: 'sqrt', rsqrt: 'inverseSqrt' }, 1),
    ...calls({ erf: 'attune_erf', sin: 'attune_sin', cos: 'attune_cos', f32: 'f32', i32: 'i32' }, 1),
    ...calls({ min: 'min', max: 'max', pow: 'attune_pow' }, 2),
    tanh: 'tanh(clamp($0, -15.0f, 15.0f))',
    sigmoid: '(1.0f / (1.0f + exp(-clamp($0, -80.0f, 80.0f))))',
    select: 'select($2, $1, $0)',
  },
  prelude: {
    sin: circular('attune_sin', 0),
    cos: circular('attune_cos', 1),
    pow: `fn attune_pow(x: f32, y: f32) -> f32 {
  if (y == 0.0f) { return 1.0f; }
  let p = pow(abs(x), y);
  return select(p, -p, x < 0.0f && floor(y) == y && floor(0.5f * y) * 2.0f != y);
}`,
    // Abramowitz and Stegun 7.1.26, absolute error 1.5e-7
    erf: `fn attune_erf(x: f32) -> f32 {
  let a = abs(x);
  let t = 1.0f / (1.0f + 0.3275911f * a);
  let p = t * (0.254829592f + t * (-0.284496736f + t * (1.421413741f + t * (-1.453152027f + t * 1.061405429f))));
  return sign(x) * (1.0f - p * exp(-min(a * a, 80.0f)));
}`,
  },
}

/** CUDA C++, as NVRTC reads it. */
export const cuda: Dialect = {
  name: 'cuda',
  types: { f32: 'float', i32: 'int', bool: 'bool' },
  literal: (value, type) => (type === 'f32' ? `${decimal(Math.fround(value))}f` : type === 'bool' ? truth(value) : `${value}`),
  variable: identifier,
  index: (table, slot, indices) => `${tableName(table, slot)}[${indices.join('][')}]`,
  local: (name, type, text) => `const ${cuda.types[type]} ${name} = ${text};`,
  templates: {
    ...calls({ abs: 'fabsf', 'abs:i32': 'abs', floor: 'floorf', exp: 'expf', log: 'logf', tanh: 'tanhf', sin: 'sinf', cos: 'cosf' }, 1),
    ...calls({ sqrt: 'sqrtf', rsqrt: 'rsqrtf', erf: 'erff', f32: '(float)', i32: '(int)' }, 1),
    ...calls({ min: 'fminf', 'min:i32': 'min', max: 'fmaxf', 'max:i32': 'max', pow: 'powf' }, 2),
    sigmoid: '(1.0f / (1.0f + expf(-$0)))',
    select: '($0 ? $1 : $2)',
  },
  prelude: {},
}

/** C99 with <math.h>, <stdlib.h> and <stdbool.h>: CUDA C without its own functions. */
export const c: Dialect = {
  ...cuda,
  name: 'c',
  templates: { ...cuda.templates, rsqrt: '(1.0f / sqrtf($0))', 'min:i32': 'attune_min($0, $1)', 'max:i32': 'attune_max($0, $1)' },
  prelude: {
    min: 'static inline int attune_min(int a, int b) { return a < b ? a : b; }',
    max: 'static inline int attune_max(int a, int b) { return a > b ? a : b; }',
  },
}

/** JavaScript, in float64. */
export const js: Dialect = {
  name: 'js',
  types: { f32: 'number', i32: 'number', bool: 'boolean' },
  literal: (value, type) => (type === 'bool' ? truth(value) : `${value}`),
  variable: identifier,
  index: (table, slot, indices) => `${tableName(table, slot)}[${indices.join('][')}]`,
  local: (name, _type, text) => `const ${name} = ${text}`,
  templates: {
    ...calls(
      { abs: 'Math.abs', floor: 'Math.floor', exp: 'Math.exp', log: 'Math.log', tanh: 'Math.tanh', sin: 'Math.sin', cos: 'Math.cos' },
      1,
    ),
    ...calls({ sqrt: 'Math.sqrt', erf: 'attune_erf', i32: 'Math.trunc', f32: 'Number', 'i32:bool': 'Number' }, 1),
    ...calls({ min: 'Math.min', max: 'Math.max', pow: 'Math.pow' }, 2),
    rsqrt: '(1 / Math.sqrt($0))',
    sigmoid: '(1 / (1 + Math.exp(-$0)))',
    idiv: 'Math.floor($0 / $1)',
    select: '($0 ? $1 : $2)',
  },
  prelude: {
    erf: `function attune_erf(x) {
  const a = Math.abs(x)
  if (a > 6) return Math.sign(x)
  let term = a, sum = a
  for (let n = 1; term > sum * 1e-17; n++) sum += term *= (2 * a * a) / (2 * n + 1)
  return Math.sign(x) * Math.min(1, (2 / Math.sqrt(Math.PI)) * Math.exp(-a * a) * sum)
}`,
  },
}
