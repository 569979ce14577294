/** `store.typed`: the values below a prefix are parsed once, where they are written. */
import { expect, test } from 'vitest'
import { z } from 'zod'
import { codeOf, started } from '../../support/worlds/simulated-instance.ts'

const users = () => {
  const parsed: unknown[] = []
  const user = z.object({ name: z.string(), age: z.coerce.number<string>() }).transform((made) => {
    parsed.push(made.name)
    return made
  })
  return { user, parsed }
}

test('a put stores what the schema makes of the value, and no read parses it again', async () => {
  const { store, during } = await started()
  const { user, parsed } = users()
  const typed = store.typed('users/', user)
  await during(typed.put('1', { name: 'Eve', age: '30' }))

  expect(store.get('users/1')).toEqual({ name: 'Eve', age: 30 })
  expect(await during(typed.load('1'))).toEqual({ name: 'Eve', age: 30 })
  expect([await during(typed.load('2')), parsed]).toEqual([undefined, ['Eve']])
})

test('a read at once gives the stored value, and says whether there is one', async () => {
  const { store, during } = await started()
  const typed = store.typed('users/', users().user)
  await during(typed.put('1', { name: 'Eve', age: '30' }))

  expect(typed.get('1')).toEqual({ name: 'Eve', age: 30 })
  expect([typed.has('1'), typed.has('2')]).toEqual([true, false])
})

test('a refused value has its issues in the error, and nothing is written', async () => {
  const { store, during } = await started()
  const typed = store.typed('users/', users().user)

  await expect(during(typed.put('1', { name: 3 } as never))).rejects.toMatchObject({
    code: 'INVALID_ARGUMENT',
    details: { of: 'the value', issues: [{ path: 'name' }, { path: 'age' }] },
  })
  expect(await during(codeOf(typed.put(1 as never, { name: 'Eve', age: '3' })))).toBe(
    'INVALID_ARGUMENT',
  )
  expect(store.has('users/1')).toBe(false)
})

test('an update gets the stored value, and the one that it returns is parsed', async () => {
  const { store, during } = await started()
  const typed = store.typed('users/', users().user)
  await during(typed.put('1', { name: 'Eve', age: '30' }))
  const older = (found: { name: string; age: number } | undefined) => ({
    name: found?.name ?? 'nobody',
    age: `${(found?.age ?? 0) + 1}`,
  })
  const { value } = await during(typed.update('1', older))

  expect([value, await during(typed.load('1'))]).toEqual([
    { name: 'Eve', age: 31 },
    { name: 'Eve', age: 31 },
  ])
  expect(await during(codeOf(typed.update('1', () => 3 as never)))).toBe('INVALID_ARGUMENT')
  expect(await during(typed.load('1'))).toEqual({ name: 'Eve', age: 31 })
})

test('a value from before the schema is given as it is', async () => {
  const { store, during } = await started()
  await during(store.put('users/1', 'Eve'))

  expect(await during(store.typed('users/', users().user).load('1'))).toBe('Eve')
})

test('a batch takes the keys and parsed values, and a delete removes one', async () => {
  const { store, during } = await started()
  const typed = store.typed('users/', users().user)
  const user = typed.parse({ name: 'Eve', age: '30' })
  await during(store.batch().put(typed.key('1'), user).commit())

  expect(await during(typed.load('1'))).toEqual(user)
  expect((await during(typed.delete('1'))).existed).toBe(true)
  expect(await during(typed.load('1'))).toBe(undefined)
})

test('no schema, and one that answers with promises, are refused at once', async () => {
  const { store } = await started()
  for (const odd of [{}, z.any().refine(async () => true)])
    expect(() => store.typed('users/', odd as never)).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
    )
})
