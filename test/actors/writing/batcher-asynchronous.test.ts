/** Writes with a caller that waits elsewhere: a kept `from` is answered, and the token returned. */
import { describe, expect, test } from 'vitest'
import { type Admission, Batcher, CommandWrites } from '../../../src/actors/index.ts'
import {
  call,
  type From,
  type GenServer,
  noReply,
  terminateChild,
} from '../../../src/runtime/index.ts'
import { treeNames } from '../../../src/supervisors/index.ts'
import { batched, firstShardOf, puttingOne } from '../../support/worlds/batched-instance.ts'

/** Keeps the `from` of its callers; their writes answer them. */
type Keeper = { calls: { put: (key: string) => unknown } }

const keeping = (act: (key: string, from: From<never>) => unknown): GenServer<Keeper, null> => ({
  init: () => null,
  calls: {
    put: (state, key, context) => {
      act(key, context.from as From<never>)
      return noReply(state)
    },
  },
})

describe('asynchronous writes', () => {
  const withKeeper = async (syncMs = 5) => {
    const world = await batched({ syncMs })
    const shard = firstShardOf(world.app)
    const outcomes: unknown[] = []
    const { system } = world.app
    const tokenOf = () =>
      new Promise<Admission>((resolve, reject) =>
        shard.gate.enter(
          { bytes: 256, commands: 1, whenFull: 'wait', deadlineMs: 1_000 },
          (entry) => resolve(shard.gate.token(entry)),
          reject,
        ),
      )
    return { ...world, shard, system, outcomes, tokenOf }
  }

  test('refuse anything that is not the from of a call, and write nothing', async () => {
    const { system, shard, app } = await withKeeper()
    for (const from of [undefined, null, {}, 5, { reply() {} }])
      expect(() =>
        CommandWrites.writeAsync(system, shard, puttingOne('s:a'), from as never),
      ).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
    expect(app.store.has('s:a')).toBe(false)
  })

  test('fail a kept from whose command is wrong, and give its token back', async () => {
    const { system, shard, clock, tokenOf, outcomes } = await withKeeper()
    const note = (outcome: unknown) => outcomes.push(outcome)
    const from = { reply: note, fail: note } as never
    for (const command of [puttingOne(''), null]) {
      const token = await tokenOf()
      CommandWrites.writeAsync(system, shard, command as never, from, { token })
      await clock.advance(100)
      expect(token.hasLeft).toBe(true)
    }
    const refused = { code: 'INVALID_ARGUMENT' }
    expect(outcomes).toMatchObject([refused, refused])
    expect(shard.gate.load.entered).toBe(0)
  })

  test('refuse wrong options at the caller, who keeps the token for the next write', async () => {
    const { system, shard, clock, tokenOf, outcomes } = await withKeeper()
    const token = await tokenOf()
    const note = (outcome: unknown) => outcomes.push(outcome)
    const from = { reply: note, fail: note } as never
    const write = (command: unknown, terms: unknown) =>
      CommandWrites.writeAsync(system, shard, command as never, from, terms as never)

    for (const terms of [{ token, windwMs: 1 }, null, { token: {} }])
      expect(() => write(puttingOne('s:a'), terms)).toThrow(
        expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
      )
    expect([token.hasLeft, outcomes]).toEqual([false, []])

    expect(write(puttingOne('s:a'), { token })).toBe('accepted')
    await clock.advance(100)
    expect(outcomes).toMatchObject([{ answer: { kind: 'putMany' } }])
    expect(shard.gate.load.entered).toBe(0)
  })

  test('answer a kept from, and return the token', async () => {
    const { system, shard, during, outcomes, tokenOf, app } = await withKeeper()
    const token = await tokenOf()
    const keeper = await during(
      system.start(
        keeping((key, from) =>
          outcomes.push(
            CommandWrites.writeAsync(system, shard, puttingOne(key), from, {
              windowMs: 5,
              token,
            }),
          ),
        ),
        undefined,
      ),
    )
    const asked = call(keeper, 'put', 's:a')

    expect(await during(asked)).toMatchObject({ answer: { kind: 'putMany' } })
    expect(outcomes).toEqual(['accepted'])
    expect(app.store.get('s:a')).toBe(1)
    expect(shard.gate.load.entered).toBe(0)
  })

  test('are answered when the batcher is killed, and their tokens are not lost', {
    tags: ['B8'],
  }, async () => {
    const { system, shard, clock, during, tokenOf } = await withKeeper()
    const token = await tokenOf()
    const keeper = await during(
      system.start(
        keeping((key, from) => {
          const command = { kind: 'deleteMany', keys: [key] } as const
          return CommandWrites.writeAsync(system, shard, command, from, { windowMs: 1_000, token })
        }),
        undefined,
      ),
    )
    const asked = call(keeper, 'put', 's:a')
    await clock.settle()
    expect(token.hasLeft).toBe(false)

    system.kill(Batcher.name(0))

    expect(await during(asked, 6)).toMatchObject({ answer: { kind: 'deleteMany', deleted: 0 } })
    expect(token.hasLeft).toBe(true)
    expect(shard.gate.load.entered).toBe(0)
  })

  test('return direct without a batcher: the caller keeps the promise, its from and its token', async () => {
    const { system, shard, clock, during, tokenOf, app } = await withKeeper()
    const token = await tokenOf()
    await during(terminateChild(system.to(treeNames().shard(0)), 'batcher(0)'))
    const answered: unknown[] = []
    const from = {
      caller: undefined,
      reply: (value: unknown) => answered.push(value) > 0,
      fail: (error: unknown) => answered.push(error) > 0,
      handTo: () => undefined,
    }

    const outcome = CommandWrites.writeAsync(system, shard, puttingOne('s:a'), from, {
      windowMs: 5_000,
      token,
    })

    if (outcome === 'accepted') throw new Error('there is nobody to accept')
    expect(await during(outcome.direct, 20)).toMatchObject({ answer: { kind: 'putMany' } })
    await clock.settle()
    expect([answered, token.hasLeft, app.store.get('s:a')]).toEqual([[], false, 1])
    token.leave()
  })
})
