/** Writes that are answered when a replica has them, on a simulated disk and a virtual clock. */
import { describe, expect, test } from 'vitest'
import { caughtUp, following } from '../../support/worlds/followed-instance.ts'
import { MemoryReplica } from '../../support/worlds/memory-replica.ts'
import { codeOf, machine, started } from '../../support/worlds/simulated-instance.ts'

describe("ack: 'replicated'", () => {
  test('is answered when the required replica has the write, and not before', async () => {
    const { world, replica, app } = await following({ required: true })
    replica.answerMs = 50
    await caughtUp(world, app)
    const put = app.store.put('a', 1, { ack: 'replicated' })
    let isDone = false
    void put.then(() => {
      isDone = true
    })
    await world.clock.advance(20)
    expect([app.store.get('a'), isDone]).toEqual([1, false])
    await world.during(put)
    expect(replica.kept.keys.has('a')).toBe(true)
  })

  test('without a required one is answered by the first replica that has it', async () => {
    const world = machine()
    const [away, near] = [new MemoryReplica(world.clock), new MemoryReplica(world.clock)]
    away.isAway = true
    const app = await world.start({ replication: [{ client: away }, { client: near }] })
    await world.during(app.store.put('a', 1, { ack: 'replicated' }))
    expect(near.kept.keys.has('a')).toBe(true)
  })

  test('times out with the position of the write, which stands', async () => {
    const { world, replica, app } = await following()
    replica.isAway = true
    const put = app.store.put('a', 1, { ack: 'replicated', deadlineMs: 500 })
    put.catch(() => undefined)
    await world.clock.advance(600)
    await expect(put).rejects.toMatchObject({
      code: 'TIMEOUT',
      details: { position: { shard: 0 } },
    })
    expect(app.store.get('a')).toBe(1)
  })

  test('of a write that the state refuses waits for no replica', async () => {
    const { world, replica, app } = await following()
    await world.during(app.store.lock(['a'], { owner: 'me', leaseMs: 600_000 }))
    replica.isAway = true
    const put = app.store.put('a', 1, { ack: 'replicated' })
    expect(await world.during(codeOf(put), 1_000)).toBe('LOCKED')
  })

  test('ends with the instance', async () => {
    const { world, replica, app } = await following()
    replica.isAway = true
    const put = app.store.put('a', 1, { ack: 'replicated' })
    const code = codeOf(put)
    await world.clock.advance(100)
    await world.during(app.close())
    expect(await code).toBe('TIMEOUT')
  })

  test('is refused where nothing replicates', async () => {
    const { world, app } = await started()
    expect(await codeOf(world.during(app.store.put('a', 1, { ack: 'replicated' })))).toBe(
      'INVALID_ARGUMENT',
    )
    expect(app.store.has('a')).toBe(false)
  })
})
