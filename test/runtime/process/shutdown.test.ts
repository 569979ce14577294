/** The ordered end of a process, and the exit messages that wait at the one who ends it. */
import { describe, expect, test } from 'vitest'
import {
  call,
  type GenServer,
  getState,
  noReply,
  type Ref,
  reply,
  stopProcess,
  suspend,
} from '../../../src/runtime/index.ts'
import { direct } from '../../../src/runtime/process/outputs.ts'
import { Process } from '../../../src/runtime/process/process.ts'
import { type Shutdown, shutDown, takeExits } from '../../../src/runtime/process/shutdown.ts'
import { addressOf } from '../../../src/runtime/words/address.ts'
import { Envelope, isExit, kinds } from '../../../src/runtime/words/envelope.ts'
import { testSystem } from '../../../src/testing/index.ts'
import * as Runner from '../task/runner.ts'

const processAt = (ref: Ref): Process => addressOf<Process>(ref).process as Process

/** `by` traps exits and handles nothing: its messages stay in its mailbox. */
const stage = async () => {
  const { system, clock, settle } = testSystem()
  const busy = async (isTrapping: boolean): Promise<Process> => {
    const runner = await system.start(Runner.server, isTrapping)
    void Runner.run(runner, () => new Promise(() => {})).catch(() => {})
    await settle()
    return processAt(runner)
  }
  const bare = (): Process => processAt(system.spawn((context) => context.receive()))
  const by = await busy(true)
  const waiting = () =>
    Array.from({ length: by.mailbox.length }, (_, at) => by.mailbox.at(at)).map((message) =>
      message && isExit(message) ? message.payload.reason : message?.name,
    )
  return { system, clock, settle, busy, bare, by, waiting }
}

describe('the exit messages that wait for a process', () => {
  test('are taken of some senders, the first of each; everything else stays in order', async () => {
    const { by, bare, waiting } = await stage()
    const [one, other, third] = [bare(), bare(), bare()]
    by.deliver(new Envelope(kinds.info, 'tick', 1))
    by.signal(one, 'one', true)
    by.signal(undefined, 'nobody', true)
    by.signal(other, 'other', true)
    by.signal(one, 'again', false)
    by.signal(third, 'third', true)

    const taken = takeExits(by, new Set([one.address, third.address]))

    expect([...taken]).toEqual([
      [one.address, 'one'],
      [third.address, 'third'],
    ])
    expect(waiting()).toEqual(['tick', 'nobody', 'other', 'again'])
    expect([...takeExits(by, new Set())]).toEqual([])
    expect(waiting()).toHaveLength(4)
  })
})

describe('the ordered end of a process', () => {
  test('leaves no exit message at the one who ends it', async () => {
    const { by, bare, waiting, settle } = await stage()
    const [target, other] = [bare(), bare()]
    by.link(target)
    by.signal(other, 'other', true)
    const ended = shutDown(by, target)
    await settle()

    expect(await ended).toEqual(['shutdown'])
    expect(waiting()).toEqual(['other'])
  })

  test('has the reason of an end before it, or else noproc', async () => {
    const { by, bare, waiting, settle } = await stage()
    const [linked, unlinked] = [bare(), bare()]
    by.link(linked)
    for (const target of [linked, unlinked]) target.end('before')
    await settle()

    expect(await shutDown(by, linked)).toEqual(['before'])
    expect(await shutDown(by, unlinked)).toEqual(['noproc'])
    expect(waiting()).toEqual([])
  })

  test.each<[Shutdown | undefined, number]>([
    ['brutal_kill', 0],
    [50, 50],
    [undefined, 5_000],
  ])('with %s kills one that does not end after %i ms', async (how, ms) => {
    const { by, busy, clock, settle } = await stage()
    const target = await busy(true)
    const ended: unknown[] = []
    void shutDown(by, target, how).then(([reason]) => ended.push(reason))
    await settle()
    if (ms > 0) {
      await clock.advance(ms - 1)
      expect(ended).toEqual([])
      await clock.advance(1)
    }
    expect(ended).toEqual(['killed'])
  })

  test('with no time kills one that traps exits before it can do anything', async () => {
    const { system, by, settle } = await stage()
    const done: unknown[] = []
    const server: GenServer<Record<never, never>, null, boolean> = {
      init: (isTrapping, context) => {
        context.trapExit(isTrapping)
        return null
      },
      exit: (state, { reason }) => {
        done.push(reason)
        return noReply(state)
      },
      terminate: (_, reason) => void done.push(reason),
    }
    const targets = [await system.start(server, true), await system.start(server, false)]
    const timers = by.kernel.timers.size
    const ends = targets.map((target) => shutDown(by, processAt(target), 0))
    await settle()
    expect(await Promise.all(ends)).toEqual([['killed'], ['shutdown']])
    expect(done).toEqual([])
    expect(by.kernel.timers.size).toBe(timers)
  })

  test('with infinity waits for one that does not end', async () => {
    const { by, busy, clock } = await stage()
    const target = await busy(true)
    void shutDown(by, target, 'infinity')
    await clock.advance(86_400_000)
    expect(target.alive).toBe(true)
  })

  test('asks a server to stop when nobody ends it, so that it ends with that reason', async () => {
    const { system, clock } = await stage()
    const runner = await system.start(Runner.server, true)
    const ended = shutDown(undefined, processAt(runner), 50, 'normal')
    await clock.settle()
    expect(await ended).toEqual(['normal'])
  })

  test('ends a bare process that nobody ends, also as normal; a normal of another one does not', async () => {
    const { by, bare, clock } = await stage()
    const [alone, child] = [bare(), bare()]
    const ends = [shutDown(undefined, alone, 50, 'normal'), shutDown(by, child, 50, 'normal')]
    await clock.settle()
    expect([alone.alive, child.alive]).toEqual([false, true])
    await clock.advance(50)
    expect(await Promise.all(ends)).toEqual([['shutdown'], ['killed']])
  })
})

describe('a process', () => {
  test('ends once: what would end it later changes nothing', async () => {
    const { system, bare, settle } = await stage()
    const events: unknown[] = []
    system.events.on('process.exited', ({ reason }) => events.push(reason))
    system.events.on('process.crashed', ({ reason }) => events.push(reason))
    const target = bare()
    target.end('first')
    target.end('second')
    target.withdraw()
    target.fail(new Error('third'))
    await settle()
    expect([target.reason, events]).toEqual(['first', ['first']])
  })

  test('that has ended takes no message, also not one that is never refused', async () => {
    const { bare } = await stage()
    const target = bare()
    target.end('gone')
    const tick = new Envelope(kinds.info, 'tick', 1)
    target.deliver(tick)
    target.admit(tick)
    expect(target.mailbox.length).toBe(0)
  })

  test('is named in a line of the log by its number, its instance and its entity', async () => {
    const { system } = await stage()
    const known = { app: undefined, handlerTimeoutMs: undefined, startGate: undefined }
    const loggedBy = (label: string | undefined, instance: string | undefined) => {
      const { kernel } = processAt(system.spawn(() => {}))
      const facts = { kind: 'server', label, instance, mailboxMax: 1, linked: false }
      return new Process(7, kernel, { ...known, ...facts, starter: undefined })
    }
    expect(loggedBy('a', undefined).logged).toEqual({ pid: 7 })
    expect(loggedBy('a', 'till').logged).toEqual({ pid: 7, instance: 'till' })
    const durable = loggedBy('order/1', 'till')
    durable.outputs = { ...direct, isDurable: true }
    expect(durable.logged).toEqual({ pid: 7, instance: 'till', entity: 'order/1' })
    const nameless = loggedBy(undefined, undefined)
    nameless.outputs = { ...direct, isDurable: true }
    expect(nameless.logged).toEqual({ pid: 7 })
  })

  test('without ties has none in its information', async () => {
    const { system, by } = await stage()
    expect(system.info(by.address)).toMatchObject({ links: [], monitors: [], monitoredBy: [] })
  })

  test('is told to end by a stop, and by no other request of sys', async () => {
    const { system } = await stage()
    const runner = await system.start(Runner.server, false)
    await suspend(runner)
    expect(processAt(runner).shutdownAt).toBeUndefined()
    processAt(runner).deliverEnd(new Envelope(kinds.system, 'stop', 'normal'))
    expect(processAt(runner).shutdownAt).toBeDefined()
  })

  test('is to end from the moment at which it is asked to stop; a call of that name is a call', async () => {
    const { system, settle } = await stage()
    type Named = { calls: { stop: () => string } }
    const server: GenServer<Named, null> = {
      init: () => null,
      calls: { stop: (state) => reply('went on', state) },
    }
    const ref = await system.start(server)
    expect(await call(ref, 'stop')).toBe('went on')
    await suspend(ref)
    expect(processAt(ref).shutdownAt).toBeUndefined()
    const stopped = stopProcess(ref)
    expect(processAt(ref).shutdownAt).toBeDefined()
    await settle()
    await stopped
  })

  test('that traps exits ends with its parent, and with nobody else, if it is a server', async () => {
    const { system, settle, bare } = await stage()
    const parent = await system.start(Runner.server, false)
    const server = processAt(
      await Runner.run(parent, (context) => context.startLink(Runner.server, true)),
    )
    server.signal(bare(), 'another', true)
    await settle()
    expect([server.alive, server.shutdownAt]).toEqual([true, undefined])

    server.signal(processAt(parent), 'gone', true)
    await settle()
    expect(server.alive).toBe(false)
  })

  test('that traps exits gets the end of its parent as a message, if it is bare', async () => {
    const { system, settle } = await stage()
    const parent = await system.start(Runner.server, false)
    const heard: unknown[] = []
    const child = processAt(
      await Runner.run(parent, (context) =>
        context.spawnLink(async (own) => {
          own.trapExit(true)
          heard.push(await own.receive())
          await own.receive()
        }),
      ),
    )
    await settle()
    child.signal(processAt(parent), 'gone', true)
    await settle()
    expect(heard).toMatchObject([{ reason: 'gone' }])
    expect([child.alive, child.shutdownAt]).toEqual([true, undefined])
  })

  test('that another one starts linked is told to end with it; one that it spawns alone is not', async () => {
    const { system } = await stage()
    const runner = await system.start(Runner.server, false)
    processAt(runner).requestShutdown()
    const started = await Runner.run(runner, (context) => [
      context.spawnLink((own) => own.receive()),
      context.spawn((own) => own.receive()),
    ])
    expect(started.map((ref) => processAt(ref).shutdownAt === undefined)).toEqual([false, true])
    expect(started.map((ref) => processAt(ref).parent === processAt(runner))).toEqual([true, false])
  })
  test('calls its shutdown listener once, and at once if the request has come already', async () => {
    const { bare, clock } = await stage()
    const target = bare()
    const called: string[] = []
    target.onceShutdown(() => called.push('withdrawn'))
    target.onceShutdown(() => called.push('in time'))
    expect(called).toEqual([])

    const at = clock.monotonic()
    target.requestShutdown()
    await clock.advance(10)
    target.requestShutdown()
    expect([called, target.shutdownAt]).toEqual([['in time'], at])
    target.onceShutdown(() => called.push('late'))
    target.onceShutdown(undefined)
    expect(called).toEqual(['in time', 'late'])
  })
  test('that is withdrawn ends in order, and its starter does not notice', async () => {
    const { system, settle } = await stage()
    const runner = await system.start(Runner.server, true)
    const child = await Runner.run(runner, (context) => context.spawnLink((own) => own.receive()))
    processAt(child).withdraw()
    await settle()
    expect(processAt(child).reason).toBe('shutdown')
    expect(await getState(runner)).toEqual([])
  })

  test('that has ended holds neither its starter, nor ties, timers and messages', async () => {
    const { system, by, settle } = await stage()
    const target = processAt(
      await Runner.run(await system.start(Runner.server, true), (context) =>
        context.spawnLink<Runner.Messages>((own) => {
          own.sendAfter(50, 'tick', 1)
          own.monitor(by.address)
          return own.receive()
        }),
      ),
    )
    await settle()
    expect(target.starter).toBeDefined()
    target.deliver(new Envelope(kinds.info, 'tick', 1))
    target.end('gone')
    expect([target.starter, target.parent === target]).toEqual([undefined, true])
    const { links, watching } = target.ties
    expect([links.all.size, watching.all.size]).toEqual([0, 0])
    expect(target.timers).toBeUndefined()
    expect(target.mailbox.length).toBe(0)
  })
})
