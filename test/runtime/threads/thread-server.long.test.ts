/** Servers in threads, on the built package: a real thread behind a process. */
import {
  type BareContext,
  call,
  cast,
  createSystem,
  exit,
  type GenServer,
  isKeelsonError,
  type Log,
  name,
  type Ref,
  reply,
  type System,
  send,
  startSupervisor,
  supervisor,
  sys,
  type ThreadServerOptions,
  threadServer,
  whichChildren,
  worker,
} from 'keelson'
import { describe, expect, onTestFinished, test } from 'vitest'
import { childProgram } from '../../support/commands/child-program.ts'
import { sampled } from '../../support/tier.ts'

type Counter = {
  calls: {
    heard: () => unknown[]
    count: (text: string) => unknown
    spin: (flag: Int32Array) => string
    later: () => string
    fail: (what: string) => void
    uncloneable: () => unknown
    moved: (buffer: ArrayBuffer) => ArrayBuffer
    exit: (reason: unknown) => void
    trap: (on: boolean) => string
    status: (code: number) => void
    unhandled: () => void
    hog: () => void
  }
  casts: {
    note: (text: unknown) => void
    spin: (flag: Int32Array) => void
    crash: (text: string) => void
  }
  infos: { note: (text: string) => void }
}

const module = new URL('../../support/programs/thread-counter.mjs', import.meta.url)

/** A process of this thread. */
const pinger: GenServer<{ calls: { ping: () => number } }, number> = {
  init: () => 0,
  calls: { ping: (count) => reply(count + 1, count + 1) },
}

/** A flag that this thread and another see. */
const flag = (): Int32Array => new Int32Array(new SharedArrayBuffer(4))

const quietly = () => {
  const lines: string[] = []
  const log: Log = (line) => void lines.push(line)
  const system = createSystem({ logger: { error: log, warn: log, info: log } })
  onTestFinished(() => system.stop())
  return { system, lines }
}

const counter = async (options: ThreadServerOptions = {}, arg?: unknown, mailboxMax = 100) => {
  const { system, lines } = quietly()
  const server = threadServer<Counter, unknown>(module, options)
  const ref = await system.start(server, arg, { mailboxMax })
  return { system, ref, lines }
}

const ended = (system: System, ref: Ref): Promise<unknown> =>
  new Promise((resolve) => void system.monitor(ref, resolve))

const codeOf = (error: unknown): unknown => (isKeelsonError(error) ? error.code : error)

describe('a server in a thread', () => {
  test('takes calls, casts and infos in their order, and answers later too', async () => {
    const { ref } = await counter()
    cast(ref, 'note', 1)
    send(ref, 'note', 'two')
    cast(ref, 'note', { three: new Map([[3, 3n]]) })

    expect(await call(ref, 'heard')).toEqual([1, 'two', { three: new Map([[3, 3n]]) }])
    expect(await call(ref, 'later')).toBe('later')
  })

  test('parses a message in its thread, and its caller here gets the issues of a refusal', async () => {
    const { ref } = await counter()

    expect(await call(ref, 'count', '7')).toEqual(['number', 7])
    await expect(call(ref, 'count', 7 as never)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      details: { of: 'call count', issues: [{ path: '', message: 'no text' }] },
    })
  })

  test('computes while the processes here go on', async () => {
    const { system, ref } = await counter()
    const here = await system.start(pinger)
    const free = flag()
    const done = call(ref, 'spin', free)
    const ping = () => call(here, 'ping')
    for (let at = 0; at < 1_000; at++) await ping()
    // The thread computes until this thread says so: it could not if they were one.
    expect(await ping()).toBe(1_001)
    Atomics.store(free, 0, 1)
    expect(await done).toBe('done')
  })

  test('that throws ends its process with the error, and is restarted by its supervisor', async () => {
    const { system, lines } = quietly()
    const server = threadServer<Counter>(module)
    await startSupervisor(
      system,
      supervisor('top', { strategy: 'one_for_one' }, [
        worker('counter', server, { name: name<Counter>('counter') }),
      ]),
    )
    const ref = system.to(name<Counter>('counter'))
    cast(ref, 'note', 1)
    const end = ended(system, ref)
    cast(ref, 'crash', 'too far')

    expect(await end).toMatchObject({ name: 'RangeError', message: 'too far' })
    expect(String((await end) instanceof Error && ((await end) as Error).stack)).toContain(
      'thread-counter.mjs',
    )
    expect(await call(ref, 'heard', undefined, { waitForName: true })).toEqual([])
    expect(lines.some((line) => line.includes('too far'))).toBe(true)
  })

  test.each<[string, (ref: Ref<Counter>) => unknown, unknown]>([
    ['a reason', (ref) => call(ref, 'exit', ['shutdown', 'tea']), ['shutdown', 'tea']],
    ['normal', (ref) => call(ref, 'exit', 'normal'), 'normal'],
    ['a status of its thread', (ref) => call(ref, 'status', 4), ['thread_exited', 4]],
    ['a rejection', (ref) => call(ref, 'unhandled'), { message: 'nobody handles this' }],
  ])('that ends with %s ends its process so', async (_, act, reason) => {
    const { system, ref } = await counter()
    const end = ended(system, ref)
    const failed = Promise.resolve(act(ref)).catch(codeOf)

    if (Array.isArray(reason) || typeof reason === 'string') expect(await end).toEqual(reason)
    else expect(await end).toMatchObject(reason as object)
    expect(await failed).toBe('EXITED')
  })

  test('that needs more memory than its limit ends alone', async () => {
    const resourceLimits = { maxOldGenerationSizeMb: 16 }
    const { system, ref } = await counter({ resourceLimits })
    const end = ended(system, ref)
    await expect(call(ref, 'hog')).rejects.toMatchObject({ code: 'EXITED' })
    expect(await end).toMatchObject({ code: 'ERR_WORKER_OUT_OF_MEMORY' })
  })

  test('gives errors with their code and details to its callers, and lives on', async () => {
    const { ref } = await counter()
    await expect(call(ref, 'fail', 'taken')).rejects.toMatchObject({
      ...{ code: 'CONFLICT', message: 'taken', details: { what: 'taken' } },
    })
    expect(await call(ref, 'heard')).toEqual([])
  })

  test('gets exit signals: they end it, or are told when it traps exits', async () => {
    const plain = await counter()
    const end = ended(plain.system, plain.ref)
    plain.system.exit(plain.ref, 'boom')
    expect(await end).toBe('boom')

    const trapping = await counter({}, { traps: flag() })
    trapping.system.exit(trapping.ref, 'boom')
    expect(await call(trapping.ref, 'heard')).toEqual([['exit', 'boom']])
  })

  test('traps a `kill` of a link, and what comes while it traps exits', async () => {
    const { system, ref } = await counter({}, { traps: flag() })
    const end = ended(system, ref)
    const runner = system.spawn(async (context: BareContext) => {
      context.link(ref)
      exit('kill')
    })
    await ended(system, runner)
    expect(await call(ref, 'heard')).toEqual([['exit', 'kill']])

    expect(await call(ref, 'trap', false)).toBe('ok')
    system.exit(ref, 'boom')
    expect(await end).toBe('boom')
  })

  test('ends with the processes that it is linked to', async () => {
    const { system } = quietly()
    let started: (ref: Ref) => void
    const child = new Promise<Ref>((resolve) => {
      started = resolve
    })
    const parent = system.spawn(async (context: BareContext) => {
      started(await context.startLink(threadServer<Counter>(module)))
      await context.receive()
    })
    const ref = await child
    const end = ended(system, ref)
    system.exit(parent, 'boom')
    expect(await end).toBe('boom')
  })
})

describe('the start of a thread server', () => {
  test.each([
    ['ignore', { ignore: true }],
    ['refuse', { ok: false, reason: ['no', 'thanks'] }],
    ['throw', { ok: false, reason: { code: 'BUSY', details: { at: 1 } } }],
  ])('has the result of its init: %s', async (arg, result) => {
    const { system } = quietly()
    expect(await system.startResult(threadServer<Counter, unknown>(module), arg)).toMatchObject(
      result,
    )
  })

  test('fails without the module or its default export', async () => {
    const { system } = quietly()
    const missing = await system.startResult(threadServer('./there/is/nothing.mjs'))
    expect(missing).toMatchObject({
      ok: false,
      reason: { message: expect.stringContaining('Cannot find module') },
    })
    const nothing = new URL('../../support/programs/thread-nothing.mjs', import.meta.url)
    const empty = await system.startResult(threadServer(nothing))
    expect(empty).toMatchObject({ ok: false, reason: { code: 'INVALID_ARGUMENT' } })
  })

  test('fails with an argument that cannot be cloned', async () => {
    const { system } = quietly()
    const result = await system.startResult(threadServer<Counter, unknown>(module), () => 1)
    expect(result).toMatchObject({ ok: false, reason: { code: 'INVALID_ARGUMENT' } })
  })

  test.each([
    [() => threadServer('')],
    [() => threadServer(module, { inFlightMax: 0 })],
    [() => threadServer(module, { transfer: 1 as never })],
    [() => threadServer(module, { inflight: 1 } as never)],
  ])('refuses wrong options: %s', (make) => {
    expect(make).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
  })
})

describe('what crosses', () => {
  test('is refused if it cannot be cloned, and the server lives on', async () => {
    const { ref, lines } = await counter()
    const payload = call(ref, 'fail', (() => 1) as never)
    await expect(payload).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    await expect(call(ref, 'uncloneable')).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    cast(ref, 'note', () => 1)
    expect(await call(ref, 'heard')).toEqual([])
    expect(lines.some((line) => line.includes('cast note was dropped'))).toBe(true)
  })

  test('is moved instead of copied, there and back, if it is named', async () => {
    const transfer: ThreadServerOptions['transfer'] = ({ name, payload }) =>
      name === 'moved' ? [payload as ArrayBuffer] : []
    const { ref } = await counter({ transfer })
    const buffer = new ArrayBuffer(1_000_000)
    const back = call(ref, 'moved', buffer)
    await call(ref, 'heard')

    expect(buffer.byteLength).toBe(0)
    expect((await back).byteLength).toBe(1_000_000)
  })

  test('waits in the mailbox when the thread is behind, which refuses more at its bound', async () => {
    const { ref } = await counter({ inFlightMax: 2 }, undefined, 3)
    const free = flag()
    cast(ref, 'spin', free)
    const admitted: number[] = []
    for (let at = 0; at < 10; at++) {
      if (cast(ref, 'note', at)) admitted.push(at)
      // The process hands its messages on in turns of its own.
      await new Promise<void>((resolve) => setImmediate(resolve))
    }
    // Two are under way, three wait.
    expect(admitted).toEqual([0, 1, 2, 3])
    Atomics.store(free, 0, 1)
    const heard = await retried(() => call(ref, 'heard'))
    expect(heard).toEqual(admitted)
  })
})

/** Repeats a call while the mailbox is full. */
const retried = async <T>(work: () => Promise<T>): Promise<T> => {
  for (;;) {
    try {
      return await work()
    } catch (error) {
      if (!isKeelsonError(error, 'MAILBOX_FULL')) throw error
      await new Promise<void>((resolve) => setImmediate(resolve))
    }
  }
}

describe('the end of a thread server', () => {
  test('in order runs `terminate` in the thread, and waits for it', async () => {
    const traps = flag()
    const { system } = await counter({}, { traps })
    await system.stop()
    expect(traps[0]).toBe(7)

    const stopped = flag()
    const other = await counter({}, { traps: stopped })
    await sys.stop(other.ref)
    expect(stopped[0]).toBe(9)
    const plain = await counter()
    await sys.stop(plain.ref)
    expect(plain.system.info(plain.ref)).toBeUndefined()
  })

  test.each([
    ['shutdown', 7],
    ['kill', 9],
    [['shutdown', { at: 1 }], 9],
  ])('by a stop runs `terminate` whether it traps exits or not: %s', async (reason, told) => {
    for (const arg of [{ traps: flag() }, { end: flag() }]) {
      const { system, ref } = await counter({}, arg)
      const end = ended(system, ref)
      await sys.stop(ref, reason)
      expect(await end).toEqual(reason)
      expect(Object.values(arg)[0]?.[0]).toBe(told)
    }
  })

  test('by its supervisor runs `terminate` if it traps exits, as of any process', async () => {
    const { system } = quietly()
    const args = [{ traps: flag() }, { end: flag() }]
    const server = threadServer<Counter, unknown>(module)
    const children = args.map((arg, at) => worker(`counter-${at}`, server, { arg }))
    const top = await startSupervisor(
      system,
      supervisor('top', { strategy: 'one_for_one' }, children),
    )
    const ends = (await whichChildren(top)).map(({ ref }) => ended(system, ref as Ref))
    await sys.stop(top)
    expect(await Promise.all(ends)).toEqual(['shutdown', 'shutdown'])
    expect(args.map((arg) => Object.values(arg)[0]?.[0])).toEqual([7, 0])
  })

  test('follows that of its parent as it does in any process', async () => {
    const { system } = quietly()
    const server = threadServer<Counter, unknown>(module)
    const orphan = async (arg: object, reason: unknown) => {
      const started = new Promise<{ ref: Ref<Counter>; end: Promise<unknown> }>((resolve) => {
        system.spawn(async (context: BareContext) => {
          const ref = await context.startLink(server, arg)
          resolve({ ref, end: ended(system, ref) })
          exit(reason)
        })
      })
      return await started
    }

    expect(await (await orphan({ end: flag() }, 'kill')).end).toBe('kill')
    const traps = flag()
    expect(await (await orphan({ traps }, 'normal')).end).toBe('normal')
    expect(traps[0]).toBe(9)
    const { ref } = await orphan({ end: flag() }, 'normal')
    expect(await call(ref, 'heard')).toEqual([])
    expect(system.info(ref)?.links).toEqual([])
  })

  test('by a kill answers its callers at once, whatever the thread does', async () => {
    const { system, ref } = await counter()
    const never = call(ref, 'spin', flag(), { timeoutMs: Number.POSITIVE_INFINITY })
    const refused = never.catch((error) => [error.code, error.details.reason])
    system.kill(ref)
    expect(await refused).toEqual(['EXITED', 'killed'])
  })

  const ends = [
    ['exit', 3],
    ['given-up', 0],
    ['kill', 0],
    ['stop', 0],
    ['idle', 0],
  ] as const

  test.each(sampled(ends, 2))('leaves nothing that keeps Node: %s', async (way, code) => {
    const program = childProgram('thread-ends.mjs', [way], () => undefined)
    expect(await program.ended, program.stderr()).toEqual({ code, signal: null })
  })
})

describe('the formatStatus of a module', () => {
  const vault = new URL('../../support/programs/thread-vault.mjs', import.meta.url)
  type Vault = { calls: { login: (password: string) => void; spin: (password: string) => void } }

  const crashed = async (name: 'login' | 'spin', options: object = {}) => {
    const told: unknown[] = []
    const log = (line: string, facts: unknown) => void told.push(line, JSON.stringify(facts))
    const system = createSystem({ logger: { error: log, warn: log, info: log } })
    onTestFinished(() => system.stop())
    const ref = await system.start(threadServer<Vault>(vault), undefined, options)
    const error = await call(ref, name, 'hunter3').catch((reason) => reason)
    await ended(system, ref)
    return { error, text: told.join('\n') }
  }

  test('decides what the crash report of the process shows', async () => {
    const { text } = await crashed('login', { label: 'vault' })
    expect(text).toContain('ended: wrong password')
    expect(text).toContain('"state":"\\"hidden\\""')
    expect(text.match(/ended/g)).toHaveLength(1)
    expect(text).not.toContain('hunter')
  })

  test('cannot be asked when the thread hangs: then no payload is shown', async () => {
    const { text } = await crashed('spin', { handlerTimeoutMs: 20 })
    expect(text).toContain('"last message":"call spin"')
    expect(text).not.toContain('hunter')
  })
})

test('without formatStatus no field with the name of a secret leaves the thread in a report', async () => {
  const told: unknown[] = []
  const log = (line: string, facts: unknown) => void told.push(line, JSON.stringify(facts))
  const system = createSystem({ logger: { error: log, warn: log, info: log } })
  onTestFinished(() => system.stop())
  const module = new URL('../../support/programs/thread-open.mjs', import.meta.url)
  type Open = { calls: { login: (payload: object) => void } }
  const ref = await system.start(threadServer<Open>(module), undefined, { label: 'open' })
  const error = await call(ref, 'login', { password: 'hunter3' }).catch((reason) => reason)
  await ended(system, ref)
  const text = [...told, error.message, JSON.stringify(error)].join('\n')
  expect(text).toContain('[hidden string of 7]')
  expect(text).toContain('ada')
  expect(text).not.toContain('hunter')
})
