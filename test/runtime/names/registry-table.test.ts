import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { RegistryTable } from '../../../src/runtime/names/registry-table.ts'

type Entry = { key: number; holder: string; value: number }

const command = fc.oneof(
  fc.record({
    do: fc.constant('add' as const),
    key: fc.nat(3),
    holder: holders(),
    value: fc.nat(9),
  }),
  fc.record({ do: fc.constant('remove' as const), key: fc.nat(3), holder: holders() }),
  fc.record({ do: fc.constant('forget' as const), holder: holders() }),
)

function holders() {
  return fc.constantFrom('a', 'b', 'c')
}

describe.each(['unique', 'duplicate'] as const)('a table of %s keys', (keys) => {
  test('says at every moment what a plain list would', () => {
    fc.assert(
      fc.property(fc.array(command, { maxLength: 60 }), (commands) => {
        const table = new RegistryTable<string>(keys)
        let model: Entry[] = []
        for (const each of commands) {
          if (each.do === 'add') {
            const taken = keys === 'unique' && model.find(({ key }) => key === each.key)
            const { key, holder, value } = each
            expect(table.add(holder, [key], value)).toBe(taken ? taken.holder : undefined)
            if (!taken) model.push({ key, holder, value })
          } else if (each.do === 'remove') {
            table.remove(each.holder, [each.key])
            model = model.filter(({ key, holder }) => key !== each.key || holder !== each.holder)
          } else {
            table.forget(each.holder)
            model = model.filter(({ holder }) => holder !== each.holder)
          }
          expectSame(table, model)
        }
      }),
    )
  })
})

const expectSame = (table: RegistryTable<string>, model: readonly Entry[]): void => {
  expect(table.count).toBe(model.length)
  expect([...table.holders].sort()).toEqual([...new Set(model.map(({ holder }) => holder))].sort())
  for (const key of [0, 1, 2, 3]) {
    const found = [...table.of([key])].map(({ holder, value }) => ({ key, holder, value }))
    expect(found).toEqual(model.filter((each) => each.key === key))
    expect(table.holderOf([key])).toBe(model.find((each) => each.key === key)?.holder)
  }
  for (const holder of ['a', 'b', 'c']) {
    const found = [...table.heldBy(holder)].map(({ key, value }) => [key, value])
    const own = model.filter((each) => each.holder === holder)
    expect(found).toEqual(own.map(({ key, value }) => [[key], value]))
  }
}
