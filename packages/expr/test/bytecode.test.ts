import { describe, expect, it } from 'vitest'
import {
  assertIntegers,
  compileMap,
  constant,
  fixed,
  HEADER_SIZE,
  INSTRUCTION_SIZE,
  OPCODES,
  OUTPUT,
  runMap,
  table,
  variable,
} from '../src/index.ts'

const x = variable('x')
const i = variable('i', 'i32')

describe('map bytecode', () => {
  it('has one number per op, for good', () => {
    expect(new Set(Object.values(OPCODES)).size).toBe(Object.keys(OPCODES).length)
    expect([OPCODES.copy, OPCODES.add, OPCODES.select, OPCODES.at]).toEqual([0, 1, 31, 33])
  })
  it('lays out header, inputs, scalars, registers and output', () => {
    const program = compileMap(x.mul(2).add(fixed(3)).max(0), ['x'])
    expect([...program.code.subarray(0, HEADER_SIZE)]).toEqual([3, 1, 3, 1])
    expect(program.uniforms).toEqual([2, 0])
    expect(program.constants).toEqual([3])
    const instructions = [...program.code.subarray(HEADER_SIZE)]
    expect(instructions.slice(0, INSTRUCTION_SIZE)).toEqual([OPCODES.mul, 4, 0, 1, -1, 0])
    expect(instructions.slice(INSTRUCTION_SIZE, 2 * INSTRUCTION_SIZE)).toEqual([OPCODES.add, 4, 4, 3, -1, 0])
    expect(instructions.slice(2 * INSTRUCTION_SIZE)).toEqual([OPCODES.max, OUTPUT, 4, 2, -1, 0])
  })
  it('shares common parts and reuses registers', () => {
    let e = x
    for (let n = 0; n < 20; n++) e = e.mul(e).add(x.exp())
    const program = compileMap(e, ['x'])
    expect(program.code[0]).toBe(41)
    expect(program.registers).toBe(2)
  })
  it('copies an identity, a constant and a cast', () => {
    expect([...runMap(compileMap(x, ['x']), [[1.5, 2]], 2)]).toEqual([1.5, 2])
    expect([...runMap(compileMap(constant(7), []), [], 2)]).toEqual([7, 7])
    expect([...runMap(compileMap(i.f32(), ['i']), [[3]], 1)]).toEqual([3])
    expect([...runMap(compileMap(x.lt(1).f32().add(x.lt(1).i32()), ['x']), [[0, 2]], 2)]).toEqual([2, 0])
  })
  it('clamps reads of tables in each dimension', () => {
    const t = table({ data: [0, 1, 2, 10, 11, 12], shape: [2, 3] }, { dtype: 'f32', rank: 2 })
    const program = compileMap(t.at(i, i.sub(1)), ['i'])
    expect([...runMap(program, [[-5, 0, 1, 2, 9]], 5)]).toEqual([0, 0, 10, 11, 12])
    expect(program.tables).toEqual([t])
  })
  it('refuses what it cannot hold', () => {
    expect(() => compileMap(x, ['y'])).toThrow('x is not an input of the map')
    expect(() => compileMap(i.add(2 ** 24 + 1), ['i'])).toThrow('beyond 2^24')
    expect(() => assertIntegers([1, 2 ** 25], 'ids')).toThrow('ids[1] = 33554432 is beyond 2^24')
    assertIntegers(Int32Array.of(2 ** 24, -(2 ** 24)), 'ids')
  })
})
