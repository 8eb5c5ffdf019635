import { isCodec, type Storage } from '@attune/tensor'

/**
 * `name_dot(row, first, count)`: Σ x(first + i·step) · name(row + i) over `count` elements, whole blocks of a packed format. Readers `x` and
 * `name` must be there; a packed block's scale is read once.
 */
export function dotFunction(name: string, m: number, t: Storage, x: string, step: number): string {
  const at = (i: string) => (step === 1 ? `${x}(first + ${i})` : `${x}(first + (${i}) * ${step}u)`)
  const head = `fn ${name}_dot(row: u32, first: u32, count: u32) -> f32 {\n  var total = 0.0f;\n`
  if (!isCodec(t)) return `${head}  for (var i = 0u; i < count; i++) { total += ${at('i')} * ${name}(row + i); }\n  return total;\n}\n`
  return `${head}  for (var base = 0u; base < count; base += ${t.block}u) {
    let a = u.at${m} + (row + base) / ${t.block}u * ${t.bytes}u;
    ${BLOCKS[t.name](name, i => at(`base + ${i}`))}
  }
  return total;
}
`
}

const BLOCKS: Readonly<Record<string, (name: string, x: (i: string) => string) => string>> = {
  q8_0: (name, x) => `var sum = 0.0f;
    for (var i = 0u; i < 32u; i++) { sum += ${x('i')} * f32((i32(${name}_byte(a + 2u + i)) << 24u) >> 24u); }
    total += sum * ${name}_half(a);`,
  q4_0: (name, x) => `var sum = 0.0f;
    for (var i = 0u; i < 16u; i++) {
      let both = ${name}_byte(a + 2u + i);
      sum += ${x('i')} * (f32(both & 15u) - 8.0f) + ${x('i + 16u')} * (f32(both >> 4u) - 8.0f);
    }
    total += sum * ${name}_half(a);`,
  q4_1: (name, x) => `var sum = 0.0f;
    var plain = 0.0f;
    for (var i = 0u; i < 16u; i++) {
      let both = ${name}_byte(a + 4u + i);
      let low = ${x('i')};
      let high = ${x('i + 16u')};
      sum += low * f32(both & 15u) + high * f32(both >> 4u);
      plain += low + high;
    }
    total += sum * ${name}_half(a) + plain * ${name}_half(a + 2u);`,
}
