/** A compound key is a set of fields: it goes with the last of them, ends as a whole, and has no value of its own. */
import { describe, expect, test } from 'vitest'
import { codeOf, started } from '../../support/worlds/simulated-instance.ts'

describe('a compound key', () => {
  test('has fields, says which are new, and goes with its last one', async () => {
    const { store, during } = await started()

    expect(await during(store.putField('h', 'b', 1))).toMatchObject({ created: true })
    expect(
      await during(
        store.putFields('h', [
          ['b', 2],
          ['a', 'x'],
        ]),
      ),
    ).toMatchObject({ created: [false, true] })
    expect([...store.fields('h')]).toEqual([
      ['a', 'x'],
      ['b', 2],
    ])
    expect(store.getField('h', 'a')).toBe('x')
    expect(store.getField('h', 'c')).toBeUndefined()

    expect(await during(store.deleteField('h', 'a'))).toMatchObject({ existed: true })
    expect(await during(store.deleteField('h', 'a'))).toMatchObject({ existed: false })
    expect(store.has('h')).toBe(true)
    await during(store.deleteField('h', 'b'))
    expect(store.has('h')).toBe(false)
    expect(store.fields('h').size).toBe(0)
  })

  test('has no value: plain commands and reads refuse it, but put, set and delete do their work', async () => {
    const { store, during } = await started()
    const compound = () => during(store.putField('h', 'f', 1))
    await compound()

    const refused = [
      store.append('h', 'x'),
      store.setRange('h', 0, 'x'),
      store.getSet('h', 1),
      store.compareAndSet('h', undefined, 1),
    ].map(codeOf)
    expect(await during(Promise.all(refused))).toEqual(refused.map(() => 'WRONG_TYPE'))
    const wrongAtH = expect.objectContaining({
      code: 'WRONG_TYPE',
      details: expect.objectContaining({ key: 'h' }),
    })
    expect(() => store.get('h')).toThrow(wrongAtH)
    expect(() => store.getMany(['a', 'h'])).toThrow(wrongAtH)
    expect(store.fields('h').size).toBe(1)

    await during(store.put('h', 1))
    expect(store.get('h')).toBe(1)
    expect(() => store.fields('h')).toThrow(wrongAtH)
    expect(() => store.getField('h', 'f')).toThrow(wrongAtH)
    expect(await during(codeOf(store.putField('h', 'f', 1)))).toBe('WRONG_TYPE')
    await during(store.delete('h'))
    await compound()
    expect(await during(store.set('h', 2, { nx: true }))).toMatchObject({ written: false })
    expect(await during(store.delete('h'))).toMatchObject({ existed: true })
    await compound()
    expect([...store.fields('h').keys()]).toEqual(['f'])
  })

  test('names itself and the field whose value is too large for a read', async () => {
    const { store, during } = await started()
    await during(store.putField('h', 'large', 'x'.repeat(1024 * 1024 + 1)))
    const tooLarge = expect.objectContaining({
      code: 'TOO_LARGE',
      details: expect.objectContaining({ key: 'h', field: 'large' }),
    })

    expect(() => store.getField('h', 'large')).toThrow(tooLarge)
    expect(() => store.fields('h')).toThrow(tooLarge)
  })

  test('is one entry of a range, with its size, and cursors pass it by', async () => {
    const { store, during } = await started()
    const many = Array.from({ length: 300 }, (_, at) => [`f${at}`, at] as const)
    await during(Promise.all([store.put('a', 1), store.putFields('h', many), store.put('z', 2)]))

    const first = store.range({ limit: 1 })
    const second = store.range({ limit: 1, cursor: first.cursor ?? '' })
    const third = store.range({ limit: 1, cursor: second.cursor ?? '' })
    expect([...first.entries, ...third.entries]).toEqual([
      ['a', 1],
      ['z', 2],
    ])
    expect(second.entries).toEqual([['h', { size: 300 }]])
    expect(third.exhausted).toBe(true)
    const back = store.range({ reverse: true, values: false }).entries
    expect(back.map(([key]) => key)).toEqual(['z', 'h', 'a'])
    const all: string[] = []
    await during(
      (async () => {
        for await (const [key] of store.entries({ limit: 1, reverse: true })) all.push(key)
      })(),
    )
    expect(all).toEqual(['z', 'h', 'a'])
  })

  test('ends as a whole, and the next one under its key begins empty', async () => {
    const { clock, store, during } = await started()
    await during(store.putFields('h', [['a', 1]]))
    expect(await during(store.expire('h', 100))).toMatchObject({ existed: true })
    await during(store.putField('h', 'b', 2))

    await clock.advance(200)
    expect(store.fields('h').size).toBe(0)
    expect(store.getField('h', 'a')).toBeUndefined()
    expect(await during(store.deleteField('h', 'a'))).toMatchObject({ existed: false })
    await during(store.putField('h', 'c', 3))
    expect([...store.fields('h')]).toEqual([['c', 3]])
    expect(store.ttl('h')).toBe(Number.POSITIVE_INFINITY)
  })
})
