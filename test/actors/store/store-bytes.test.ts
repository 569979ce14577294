/** `append`, `setRange` and `getRange` count in bytes, and work on texts and bytes only. */
import { describe, expect, test } from 'vitest'
import { codeOf, started } from '../../support/worlds/simulated-instance.ts'

describe('append and setRange', () => {
  test('work on bytes, count in bytes, and keep the expiry', async () => {
    const { store, during } = await started()
    await during(store.put('k', 'né', { ttlMs: 60_000 }))

    expect(await during(store.append('k', 'e'))).toMatchObject({ length: 4 })
    expect(store.get('k')).toBe('née')
    expect(store.ttl('k')).toBeLessThanOrEqual(60_000)
    expect(await during(store.setRange('k', 3, 'l!'))).toMatchObject({ length: 5 })
    expect(store.get('k')).toBe('nél!')
  })

  test('make bytes of text where either side is bytes, or a character is cut', async () => {
    const { store, during } = await started()

    await during(store.put('k', 'é'))
    await during(store.append('k', Buffer.of(0x21)))
    expect(store.get('k')).toEqual(Buffer.from('é!'))
    await during(store.put('k', 'é'))
    await during(store.setRange('k', 1, 'x'))
    expect(store.get('k')).toEqual(Buffer.of(0xc3, 0x78))
  })

  test('begin empty where nothing is, and fill a gap with zero bytes', async () => {
    const { store, during } = await started()

    expect(await during(store.append('a', 'x'))).toMatchObject({ length: 1 })
    expect(await during(store.setRange('b', 3, Buffer.of(7)))).toMatchObject({ length: 4 })
    expect(store.get('b')).toEqual(Buffer.of(0, 0, 0, 7))
  })

  test.each([
    ['a structured value', { a: 1 }],
    ['a number', 7],
  ])('refuse %s with WRONG_TYPE, and leave it', async (_, value) => {
    const { store, during } = await started()
    await during(store.put('k', value))

    expect(await during(codeOf(store.append('k', 'x')))).toBe('WRONG_TYPE')
    expect(await during(codeOf(store.setRange('k', 0, 'x')))).toBe('WRONG_TYPE')
    expect(store.get('k')).toEqual(value)
  })
})

describe('getRange', () => {
  test('is half open, clamped, and in bytes', async () => {
    const { store, during } = await started()
    await during(store.put('k', 'né!'))

    expect(store.getRange('k', 1, 3)).toEqual(Buffer.from('é'))
    expect(store.getRange('k', 3, Number.POSITIVE_INFINITY)).toEqual(Buffer.from('!'))
    expect(store.getRange('k', 4, 9)).toHaveLength(0)
    expect(store.getRange('k', 3, 1)).toHaveLength(0)
    expect(store.getRange('none', 0, 9)).toHaveLength(0)
  })

  test('shares no memory with what is stored', async () => {
    const { store, during } = await started()
    await during(store.put('k', 'abc'))

    store.getRange('k', 0, 3).fill(0)

    expect(store.get('k')).toBe('abc')
  })

  test('refuses a structured value, a compound key, and what is no range', async () => {
    const { store, during } = await started()
    await during(store.put('k', [1]))
    await during(store.putField('h', 'f', 1))

    for (const [key, to] of [
      ['k', 1],
      ['h', 1],
      ['h', 0],
    ] as const)
      expect(() => store.getRange(key, 0, to)).toThrow(
        expect.objectContaining({
          code: 'WRONG_TYPE',
          details: expect.objectContaining({ key }),
        }),
      )
    expect(() => store.getRange('k', -1, 1)).toThrow(
      expect.objectContaining({
        code: 'INVALID_ARGUMENT',
        details: expect.objectContaining({ path: 'from' }),
      }),
    )
  })
})
