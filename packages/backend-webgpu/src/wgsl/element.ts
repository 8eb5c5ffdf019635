import { isCodec, type Storage, storageName } from '@attune/tensor'

/** WGSL type of a value of this storage once it is read. */
export const valueType = (t: Storage): 'f32' | 'i32' | 'bool' => (t === 'bool' ? 'bool' : t === 'i32' || t === 'u8' ? 'i32' : 'f32')

/** The reason why values of this storage cannot be read, or undefined. */
export const whyUnreadable = (t: Storage): string | undefined =>
  isCodec(t) && !(t.name in DECODE) ? `${t.name} is a packed format this backend does not decode` : undefined

/**
 * Functions that read operand `m` (an array of words whose first byte of interest is `u.at<m>`): `name(i)` is element i. Formats narrower
 * than a word are picked out of it: no shader feature is needed.
 */
export function reader(name: string, m: number, t: Storage): string {
  const word = (i: string) => `m${m}[${i}]`
  const type = valueType(t)
  const whole = `(u.at${m} >> 2u) + i`
  const fn = (body: string) => `fn ${name}(i: u32) -> ${type} { ${body} }\n`
  if (isCodec(t)) return DECODE[t.name](name, m)
  switch (t) {
    case 'f32':
      return fn(`return bitcast<f32>(${word(whole)});`)
    case 'i32':
      return fn(`return bitcast<i32>(${word(whole)});`)
    case 'u8':
      return fn(`let a = u.at${m} + i; return i32((${word('a >> 2u')} >> ((a & 3u) * 8u)) & 255u);`)
    case 'bool':
      return fn(`let a = u.at${m} + i; return ((${word('a >> 2u')} >> ((a & 3u) * 8u)) & 255u) != 0u;`)
    case 'f16':
      return fn(`let a = (u.at${m} >> 1u) + i; return from_f16((${word('a >> 1u')} >> ((a & 1u) * 16u)) & 65535u);`)
    case 'bf16':
      return fn(`let a = (u.at${m} >> 1u) + i; return bitcast<f32>((${word('a >> 1u')} >> ((a & 1u) * 16u)) << 16u);`)
  }
}

/** `put_name(i, value)`: writes element i of a type as wide as a word. */
export function writer(name: string, m: number, t: 'f32' | 'i32'): string {
  return `fn put_${name}(i: u32, value: ${t}) { m${m}[(u.at${m} >> 2u) + i] = bitcast<u32>(value); }\n`
}

/** Elements per word of an unpacked type. */
export const perWord = (t: Storage): number => (t === 'f32' || t === 'i32' ? 1 : t === 'f16' || t === 'bf16' ? 2 : 4)

/** Bits of a value as this unpacked type stores them, in the low end of a word. */
export function encoded(t: Storage, value: string): string {
  switch (t) {
    case 'f16':
      return `to_f16(${value})`
    case 'bf16':
      return `to_bf16(${value})`
    case 'u8':
      return `(bitcast<u32>(${value}) & 255u)`
    case 'bool':
      return `select(0u, 1u, ${value})`
    default:
      return `bitcast<u32>(${value})`
  }
}

/** A value of one type as another, as `copy` converts. */
export function converted(from: 'f32' | 'i32' | 'bool', to: 'f32' | 'i32' | 'bool', value: string): string {
  if (from === to) return value
  return to === 'bool' ? `(${value} != ${from}(0))` : `${to}(${value})`
}

/** Functions that a kernel over these types calls. */
export function elementHelpers(types: readonly Storage[]): string {
  const names = new Set(types.map(storageName))
  return (names.has('f16') || types.some(isCodec) ? HALF : '') + (names.has('bf16') ? BRAIN : '')
}

const DECODE: Readonly<Record<string, (name: string, m: number) => string>> = {
  q8_0: (name, m) =>
    `${parts(name, m)}fn ${name}(i: u32) -> f32 {
  let a = u.at${m} + (i / 32u) * 34u;
  return f32((i32(${name}_byte(a + 2u + i % 32u)) << 24u) >> 24u) * ${name}_half(a);
}
`,
  q4_0: (name, m) =>
    `${parts(name, m)}fn ${name}(i: u32) -> f32 {
  let a = u.at${m} + (i / 32u) * 18u;
  let both = ${name}_byte(a + 2u + i % 16u);
  return (f32(select(both & 15u, both >> 4u, i % 32u >= 16u)) - 8.0f) * ${name}_half(a);
}
`,
  q4_1: (name, m) =>
    `${parts(name, m)}fn ${name}(i: u32) -> f32 {
  let a = u.at${m} + (i / 32u) * 20u;
  let both = ${name}_byte(a + 4u + i % 16u);
  return f32(select(both & 15u, both >> 4u, i % 32u >= 16u)) * ${name}_half(a) + ${name}_half(a + 2u);
}
`,
}

/** Bytes and half-precision scales of a packed operand. */
const parts = (name: string, m: number): string => `fn ${name}_byte(a: u32) -> u32 { return (m${m}[a >> 2u] >> ((a & 3u) * 8u)) & 255u; }
fn ${name}_half(a: u32) -> f32 { return from_f16((m${m}[a >> 2u] >> ((a & 2u) * 8u)) & 65535u); }
`

// Written out: pack2x16float may round either way, and both may flush subnormals.
const HALF = `fn from_f16(h: u32) -> f32 {
  let sign = (h & 32768u) << 16u;
  let magnitude = h & 32767u;
  if (magnitude < 1024u) { return bitcast<f32>(sign | bitcast<u32>(f32(magnitude) * 5.9604644775390625e-8f)); }
  if (magnitude >= 31744u) { return bitcast<f32>(sign | 2139095040u | (magnitude << 13u)); }
  return bitcast<f32>(sign | ((magnitude << 13u) + 939524096u));
}
fn to_f16(x: f32) -> u32 {
  let bits = bitcast<u32>(x);
  let sign = (bits >> 16u) & 32768u;
  let magnitude = bits & 2147483647u;
  if (magnitude > 2139095040u) { return sign | 32256u; }
  if (magnitude >= 1199566848u) { return sign | 31744u; }
  if (magnitude >= 947912704u) { return sign | ((magnitude - 939524096u + 4095u + ((magnitude >> 13u) & 1u)) >> 13u); }
  if (magnitude < 855638016u) { return sign; }
  let shift = 126u - (magnitude >> 23u);
  let fraction = (magnitude & 8388607u) | 8388608u;
  let half = 1u << (shift - 1u);
  let kept = fraction >> shift;
  let rest = fraction & ((1u << shift) - 1u);
  return sign | (kept + select(0u, 1u, rest > half || (rest == half && (kept & 1u) == 1u)));
}
`
const BRAIN = `fn to_bf16(x: f32) -> u32 {
  let bits = bitcast<u32>(x);
  if ((bits & 2147483647u) > 2139095040u) { return (bits >> 16u) | 64u; }
  return (bits + 32767u + ((bits >> 16u) & 1u)) >> 16u;
}
`
