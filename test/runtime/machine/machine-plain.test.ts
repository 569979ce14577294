/**
 * The values in a machine's saved form: what a store takes, what comes back from it, and what is
 * refused by its place.
 */
import { describe, expect, test } from 'vitest'
import {
  type AnyActorRef,
  assign,
  createActor,
  fromCallback,
  fromPromise,
  sendTo,
  setup,
} from 'xstate'
import { isKeelsonError, KeelsonError } from '../../../src/errors.ts'
import { type GenServer, getState, isRef, name, type Ref } from '../../../src/runtime/index.ts'
import {
  type SavedMachine,
  StateMachine,
} from '../../../src/runtime/state-machine/state-machine.ts'
import { startSimulated, testSystem } from '../../../src/testing/index.ts'
import { reasonOfEnd, started, throughJson } from '../state-machine/machine-process.ts'

const keeper = setup({
  types: {} as {
    context: Record<string, unknown>
    events: { type: 'keep'; value: unknown } | { type: 'load' } | { type: 'later'; value: unknown }
  },
  actors: { nothing: fromPromise(async () => undefined) },
}).createMachine({
  id: 'keeper',
  context: { nothing: undefined },
  initial: 'on',
  on: {
    keep: { actions: assign({ value: ({ event }) => event.value }) },
    later: {},
    load: '.loading',
  },
  states: {
    on: {},
    loading: { invoke: { id: 'w', src: 'nothing' } },
  },
})

type Family = {
  heard: readonly string[]
  child: AnyActorRef | undefined
  byName: ReadonlyMap<string, AnyActorRef>
}

/** Its actors inside have it by their input, and answer to it. */
const family = setup({
  types: {} as { context: Family; events: { type: 'go' } | { type: 'heard'; of: string } },
  actors: {
    caller: fromCallback(({ input }: { input: { to: AnyActorRef } }) =>
      input.to.send({ type: 'heard', of: 'caller' }),
    ),
    child: setup({
      types: {} as {
        context: { to: AnyActorRef }
        input: { to: AnyActorRef }
        events: { type: 'ask'; of: string }
      },
    }).createMachine({
      id: 'child',
      context: ({ input }) => input,
      on: {
        ask: {
          actions: sendTo(
            ({ context }) => context.to,
            ({ event }) => ({ type: 'heard', of: event.of }),
          ),
        },
      },
    }),
  },
}).createMachine({
  id: 'family',
  context: { heard: [], child: undefined, byName: new Map() },
  invoke: { src: 'caller', input: ({ self }) => ({ to: self }) },
  entry: assign(({ spawn, self }) => {
    const child = spawn('child', { id: 'child', input: { to: self } })
    return { child, byName: new Map([['child', child]]) }
  }),
  on: {
    go: {
      actions: [
        sendTo(({ context }) => context.child as AnyActorRef, { type: 'ask', of: 'child' }),
        sendTo(({ context }) => context.byName.get('child') as AnyActorRef, {
          type: 'ask',
          of: 'map',
        }),
      ],
    },
    heard: {
      actions: assign({ heard: ({ context, event }) => [...context.heard, event.of] }),
    },
  },
})

type Kept = SavedMachine<typeof keeper>

/** `value` in the context of a machine that is saved and restored. */
const afterRestart = async (value: unknown): Promise<unknown> => {
  const { system, ref } = await started(StateMachine.server(keeper))
  StateMachine.send(ref, { type: 'keep', value })
  const restore = throughJson(await StateMachine.snapshot(ref))
  const again = await system.start(StateMachine.server(keeper, { restore }))
  return (await getState<{ context: { value: unknown } }>(again)).context.value
}

describe('what a machine saves', () => {
  test('is what the store takes, undefined in its context and in the output of a promise included', async () => {
    const simulation = await startSimulated()
    const { app } = simulation
    const kept: Kept[] = []
    const server = StateMachine.server(keeper, {
      save: async (saved) => {
        await app.store.put('machine', saved)
        kept.push(app.store.get('machine') as Kept)
      },
    })
    const ref = await simulation.during(app.system.start(server))
    StateMachine.send(ref, { type: 'load' })
    await simulation.during(StateMachine.snapshot(ref))
    await simulation.advance(100)

    expect(kept.at(-1)?.children.w?.snapshot).toEqual({ status: 'done' })
    const again = await simulation.during(
      app.system.start(StateMachine.server(keeper, { restore: () => kept.at(-1) })),
    )
    expect((await simulation.during(StateMachine.snapshot(again))).value).toBe('loading')
  })

  test('has the name of a ref, which is looked up again after a restart', async () => {
    const { system, ref } = await started(StateMachine.server(keeper))
    const echo: GenServer<Record<never, never>, undefined> = { init: () => undefined }
    const target = await system.start(echo, undefined, { name: name('echo') })
    StateMachine.send(ref, { type: 'keep', value: [{ to: system.to('echo' as never) }] })
    const saved = throughJson(await StateMachine.snapshot(ref))
    expect(saved.context.value).toEqual([{ to: { keelson$$type: 'ref', name: 'echo' } }])

    const again = await system.start(StateMachine.server(keeper, { restore: saved }))

    const { context } = await getState<{ context: { value: [{ to: Ref }] } }>(again)
    expect([isRef(context.value[0].to), context.value[0].to.pid]).toEqual([true, target.pid])
    expect((await StateMachine.snapshot(again)).context).toEqual(saved.context)
  })

  test.each([
    ['context', { type: 'keep' }, ['context', 'value', 'to']],
    ['a postponed event', { type: 'later' }, ['postponed', 0, 'value', 'to']],
  ] as const)(
    'has no ref without a name: one in %s is refused by its place',
    async (_, event, path) => {
      const { system, clock } = testSystem()
      const server = StateMachine.server(keeper, { postpone: { on: ['later'] }, save: () => {} })
      const ref = await system.start(server)
      const reason = reasonOfEnd(system, ref)

      StateMachine.send(ref, { ...event, value: { to: ref } })
      await clock.settle()

      const error = await reason
      expect(isKeelsonError(error, 'INVALID_ARGUMENT') && error.details.path).toEqual(path)
    },
  )

  test('has no ref of a process that has a name: the refusal says how to keep the name', async () => {
    const { system, clock } = testSystem()
    const echo: GenServer<Record<never, never>, undefined> = { init: () => undefined }
    const target = await system.start(echo, undefined, { name: name('echo') })
    const ref = await system.start(StateMachine.server(keeper, { save: () => {} }))
    const reason = reasonOfEnd(system, ref)
    StateMachine.send(ref, { type: 'keep', value: target })
    await clock.settle()

    expect(await reason).toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining("system.to('echo')"),
    })
  })

  test('has errors as plain data, which are errors again after a restart', async () => {
    const cause = new TypeError('bad')
    const found = await afterRestart({
      ours: new KeelsonError('BUSY', 'later', { details: { key: 'k' }, cause }),
      node: Object.assign(new Error('gone'), { code: 'ENOENT' }),
    })

    const { ours, node } = found as { ours: KeelsonError; node: Error }
    expect(isKeelsonError(ours, 'BUSY') && ours.details).toEqual({ key: 'k' })
    expect(ours.cause).toMatchObject({ name: 'TypeError', message: 'bad', stack: cause.stack })
    expect(node).toBeInstanceOf(Error)
    expect(node).toMatchObject({ message: 'gone', code: 'ENOENT' })
  })

  test('has the place of an actor inside, and it is that actor again after a restart', async () => {
    const { system, clock, ref: first } = await started(StateMachine.server(family))
    await clock.settle()
    const saved = structuredClone(await StateMachine.snapshot(first))
    system.kill(first)
    const ref = await system.start(StateMachine.server(family, { restore: saved }))
    await clock.settle()
    expect((await StateMachine.snapshot(ref)).context.heard).toEqual(['caller', 'caller'])

    StateMachine.send(ref, { type: 'go' })
    await clock.settle()

    expect((await StateMachine.snapshot(ref)).context.heard.slice(2)).toEqual(['child', 'map'])
    // The form in which XState itself saves an own child.
    const old = { ...saved.context, child: { xstate$$type: 1, id: 'child' } as never }
    const again = await system.start(
      StateMachine.server(family, { restore: { ...saved, context: old } }),
    )
    StateMachine.send(again, { type: 'go' })
    await clock.settle()
    expect((await StateMachine.snapshot(again)).context.heard.slice(2)).toEqual(['child', 'map'])
  })

  test('has no actor of another machine or process', async () => {
    const { ref } = await started(StateMachine.server(keeper))
    StateMachine.send(ref, { type: 'keep', value: [createActor(keeper)] })

    const error = await StateMachine.snapshot(ref).catch((reason: unknown) => reason)

    expect(isKeelsonError(error, 'INVALID_ARGUMENT') && error.details.path).toEqual([
      'context',
      'value',
      0,
    ])
  })

  test('cannot contain itself', async () => {
    const circle: Record<string, unknown> = {}
    circle.again = [circle]
    const { ref } = await started(StateMachine.server(keeper))
    StateMachine.send(ref, { type: 'keep', value: circle })

    const error = await StateMachine.snapshot(ref).catch((reason: unknown) => reason)

    expect(isKeelsonError(error, 'INVALID_ARGUMENT') && error.details.path).toEqual([
      'context',
      'value',
      'again',
      0,
    ])
  })

  test('keeps Maps and Sets, with what was replaced in them', async () => {
    const { system, ref } = await started(StateMachine.server(keeper))
    const value = { map: new Map([['a', new Error('x')]]), set: new Set([1]), list: [1, [2]] }
    StateMachine.send(ref, { type: 'keep', value })
    const saved = await StateMachine.snapshot(ref)

    const again = await system.start(StateMachine.server(keeper, { restore: saved }))

    const { context } = await getState<{ context: { value: typeof value } }>(again)
    expect(context.value).toEqual(value)
    expect(context.value.map.get('a')).toBeInstanceOf(Error)
    expect((saved.context.value as typeof value).set).toBe(value.set)
  })
})
