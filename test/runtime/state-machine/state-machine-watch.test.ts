/** `waitFor` and `subscribe` of a machine in a process. */
import { describe, expect, test } from 'vitest'
import {
  type Context,
  call,
  type GenServer,
  name,
  type Process,
  type Ref,
  reply,
} from '../../../src/runtime/index.ts'
import { type MessagesOf, StateMachine } from '../../../src/runtime/state-machine/state-machine.ts'
import { type Address, addressOf } from '../../../src/runtime/words/address.ts'
import { outcome, testSystem } from '../../../src/testing/index.ts'
import { lamp, note, push, server } from '../machine/lamp.ts'

const started = async () => {
  const kit = testSystem()
  const ref = await kit.system.start(server)
  return { ...kit, ref }
}

/** The calls that a process owes: what watchers leave behind. */
const owed = (ref: Ref): number => {
  let count = 0
  const process = (addressOf(ref) as Address<Process>).process
  for (let each = process?.owed.first; each !== undefined; each = each.after) count++
  return count
}

describe('StateMachine.waitFor', () => {
  test('resolves at once with the snapshot when the predicate holds', async () => {
    const { ref } = await started()
    const snapshot = await StateMachine.waitFor(ref, (found) => found.matches('off'))
    expect([snapshot.value, snapshot.context.pushes]).toEqual(['off', 0])
  })

  test('resolves with the first later snapshot for which it holds', async () => {
    const { ref, settle } = await started()
    const lit = StateMachine.waitFor(ref, ({ context }) => context.pushes === 2)
    for (let time = 0; time < 5; time++) StateMachine.send(ref, push)
    expect(await lit).toMatchObject({ value: 'on', context: { pushes: 2 } })
    await settle()
    expect(owed(ref)).toBe(0)
  })

  test('sees each state after an event, in the order of the events and of itself', async () => {
    const { ref } = await started()
    StateMachine.send(ref, push)
    const lit = StateMachine.waitFor(ref, (found) => found.hasTag('lit'))
    StateMachine.send(ref, push)
    expect((await lit).context.pushes).toBe(1)
  })

  test('rejects with TIMEOUT, and leaves nothing behind', async () => {
    const { ref, advance } = await started()
    const waiting = outcome(StateMachine.waitFor(ref, () => false, { timeoutMs: 100 }))
    await advance(100)
    expect(await waiting).toMatchObject({ error: { code: 'TIMEOUT' } })
    expect(owed(ref)).toBe(0)
  })

  test('ends with a signal, and with the process that waits', async () => {
    const { ref, system, settle } = await started()
    const abort = new AbortController()
    const waiting = outcome(StateMachine.waitFor(ref, () => false, { signal: abort.signal }))
    let told: unknown
    const waiter = system.spawn(async (context) => {
      told = await outcome(StateMachine.waitFor(context.to(ref), () => false))
    })
    await settle()
    expect(owed(ref)).toBe(2)
    abort.abort(new Error('no more'))
    system.kill(waiter)
    await settle()
    expect(await waiting).toMatchObject({ error: { message: 'no more' } })
    expect(told).toMatchObject({ error: { code: 'EXITED' } })
    expect(owed(ref)).toBe(0)
  })

  test('has no time limit unless it is given one', async () => {
    const { ref, advance } = await started()
    const lit = StateMachine.waitFor(ref, (found) => found.matches('on'))
    await advance(1_000_000)
    StateMachine.send(ref, push)
    expect((await lit).value).toBe('on')
  })

  test('resolves with the final snapshot, and rejects when the machine is done otherwise', async () => {
    const { ref } = await started()
    const done = StateMachine.waitFor(ref, (found) => found.status === 'done')
    const never = outcome(StateMachine.waitFor(ref, ({ context }) => context.pushes === 9))
    StateMachine.send(ref, push)
    StateMachine.send(ref, { type: 'finish' })
    expect((await done).output).toEqual({ pushes: 1 })
    expect(await never).toMatchObject({ error: { code: 'EXITED', details: { reason: 'normal' } } })
    expect(await outcome(StateMachine.waitFor(ref, () => true))).toMatchObject({
      error: { code: 'NO_PROCESS' },
    })
  })

  test('rejects with the end of the process, and with the error of its predicate', async () => {
    const { ref } = await started()
    const waiting = outcome(StateMachine.waitFor(ref, () => false))
    const thrown = outcome(
      StateMachine.waitFor(ref, ({ value }) => {
        if (value === 'on') throw new Error('in the predicate')
        return false
      }),
    )
    StateMachine.send(ref, push)
    expect(await thrown).toMatchObject({ error: { message: 'in the predicate' } })
    StateMachine.send(ref, { type: 'crash' })
    expect(await waiting).toMatchObject({ error: { code: 'EXITED' } })
  })

  test('refuses what is no function', async () => {
    const { ref } = await started()
    expect(await outcome(StateMachine.waitFor(ref, 'on' as never))).toMatchObject({
      error: { code: 'INVALID_ARGUMENT' },
    })
  })

  test('waits for a name, and is ordered with the messages of a handler', async () => {
    const { system } = await started()
    type Driver = { calls: { drive: () => string } }
    const named = name<MessagesOf<typeof server>>('lamp')
    const driver: GenServer<Driver, null> = {
      init: () => null,
      calls: {
        drive: async (state, _, context: Context<Driver>) => {
          const machine = context.to(named)
          StateMachine.send(machine, push)
          const snapshot = await StateMachine.waitFor(machine, (found) => found.matches('on'))
          return reply(String(snapshot.value), state)
        },
      },
    }
    const late = StateMachine.waitFor(system.to(named), ({ context }) => context.pushes === 1, {
      waitForName: true,
    })
    await system.start(server, undefined, { name: named })
    expect(await call(await system.start(driver), 'drive')).toBe('on')
    expect((await late).value).toBe('on')
  })
})

describe('StateMachine.subscribe', () => {
  const followed = async () => {
    const kit = await started()
    const seen: string[] = []
    const cancel = StateMachine.subscribe(
      kit.ref,
      ({ value, context }) => seen.push(`${String(value)} ${context.notes.length}`),
      (reason) => seen.push(`ended ${String(reason)}`),
    )
    await kit.settle()
    return { ...kit, seen, cancel }
  }

  test('is told the present snapshot, and each one after an event that changed it', async () => {
    const { ref, seen, settle } = await followed()
    StateMachine.send(ref, note('a'))
    StateMachine.send(ref, push)
    StateMachine.send(ref, { type: 'finish' })
    await settle()
    expect(seen).toEqual(['off 0', 'off 1', 'on 1', 'done 1', 'ended normal'])
  })

  test('is told nothing more once it is cancelled, and leaves nothing behind', async () => {
    const { ref, seen, cancel, settle, system } = await followed()
    StateMachine.send(ref, push)
    cancel()
    cancel()
    await settle()
    expect(seen).toEqual(['off 0'])
    expect(owed(ref)).toBe(0)
    system.kill(ref)
    await settle()
    expect(seen).toEqual(['off 0'])
  })

  test('ends with the reason of the process', async () => {
    const { ref, seen, settle, system } = await followed()
    system.kill(ref)
    await settle()
    const gone: unknown[] = []
    StateMachine.subscribe(
      ref,
      () => gone.push('told'),
      (reason) => gone.push(reason),
    )
    await settle()
    expect([seen, gone]).toEqual([['off 0', 'ended killed'], ['noproc']])
  })

  test('of a process ends with that process, without a word', async () => {
    const { ref, system, settle } = await started()
    const seen: unknown[] = []
    const follower = system.spawn(async (context) => {
      StateMachine.subscribe(
        context.to(ref),
        () => seen.push('told'),
        (why) => seen.push(why),
      )
      await context.receive()
    })
    await settle()
    system.kill(follower)
    await settle()
    StateMachine.send(ref, push)
    await settle()
    expect(seen).toEqual(['told'])
    expect(owed(ref)).toBe(0)
  })

  test('whose listener throws ends nothing, and is logged', async () => {
    const { ref, system, settle, log } = await started()
    StateMachine.subscribe(
      ref,
      () => {
        throw new Error('in the listener')
      },
      () => {
        throw new Error('in the end')
      },
    )
    await settle()
    StateMachine.send(ref, push)
    expect((await StateMachine.snapshot(ref)).value).toBe('on')
    system.kill(ref)
    await settle()
    expect(log.messages('error')).toHaveLength(3)
  })

  test('of a machine with save is told what was saved', async () => {
    const { system, settle } = testSystem()
    let saved: () => void = () => undefined
    const slow = StateMachine.server(lamp, {
      save: () =>
        new Promise<void>((resolve) => {
          saved = resolve
        }),
    })
    const starting = system.start(slow)
    await settle()
    saved()
    const ref = await starting
    const seen: unknown[] = []
    StateMachine.subscribe(ref, ({ value }) => seen.push(value))
    StateMachine.send(ref, push)
    await settle()
    expect(seen).toEqual(['off'])
    saved()
    await settle()
    expect(seen).toEqual(['off', 'on'])
  })
})
