/** `expire` gives a value an end, and `persist` takes it away, as long as the value is there. */
import { describe, expect, test } from 'vitest'
import { started } from '../../support/worlds/simulated-instance.ts'

describe('expire and persist', () => {
  test('give a value an end and take it away, and say whether there was one', async () => {
    const { clock, store, during } = await started()
    await during(store.put('k', 1))

    expect(await during(store.expire('k', 100))).toMatchObject({ existed: true })
    expect(await during(store.persist('k'))).toMatchObject({ existed: true })
    await clock.advance(200)
    expect(store.get('k')).toBe(1)

    await during(store.expire('k', 100))
    await clock.advance(200)
    expect(await during(store.persist('k'))).toMatchObject({ existed: false })
    expect(await during(store.expire('k', 100))).toMatchObject({ existed: false })
  })
})
