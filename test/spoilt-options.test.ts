/** Enumerable members that code adds to `Object.prototype` are options of no call: nor of one that has none. */
import { describe, expect, onTestFinished, test } from 'vitest'
import { flow, flows, queue, workflow } from '../src/flow/index.ts'
import {
  call,
  createSystem,
  type DurableServer,
  entity,
  jsonLogger,
  reply,
  supervisor,
} from '../src/index.ts'
import { promptWords } from '../src/inspect/prompt/prompt-words.ts'
import { plainPaint } from '../src/inspect/text/paint.ts'
import { simulated } from './support/worlds/simulated-instance.ts'

const names = [
  ...['ttlMs', 'expiresAt', 'ack', 'deadlineMs', 'whenFull', 'windowMs', 'owner', 'leaseMs', 'nx'],
  ...['xx', 'keepTtl', 'limit', 'cursor', 'reverse', 'prefix', 'values', 'freshness', 'maxLagMs'],
  ...['timeoutMs', 'waitForName', 'position', 'before', 'after', 'reveal', 'keepMs', 'forget'],
  ...['delay', 'priority', 'unique', 'timeout', 'deadline', 'queueKey', 'exhausted', 'where'],
  ...['mailboxMax', 'handlerTimeoutMs', 'idleMs', 'maxChildren', 'concurrency', 'rate', 'retry'],
  ...[
    'shard',
    'force',
    'json',
    'all',
    'inShell',
    'consistent',
    'token',
    'continue',
    'hibernate',
    'level',
    'types',
  ],
]

/** Every call that may have options, and has none. */
const world = async () => {
  const server: DurableServer<{ calls: { add: () => number } }, number> = {
    init: () => 0,
    calls: { add: (count) => reply(count + 1, count + 1) },
  }
  const orders = entity('order', server)
  const payment = workflow('payment', (_, amount: number) => Promise.resolve(amount))
  const mails = queue('mails', () => 'sent')
  const simulation = await simulated({
    app: supervisor('app', {}, [orders, flows({ workflows: [payment], queues: [mails] })]),
  })
  const { app } = simulation
  const { store, control } = app
  const words = promptWords(app, plainPaint) as Record<string, (...given: unknown[]) => unknown>
  let last = 0
  const calls: Record<string, () => unknown> = {
    put: () => store.put('k', 1),
    set: () => store.set('k', 2),
    putMany: () => store.putMany([['a', 1]]),
    update: () => store.update('k', () => 3),
    compareAndSet: () => store.compareAndSet('k', 3, 4),
    batch: () => store.batch().put('b', 1).set('b', 2).delete('a').commit(),
    ttl: () => store.ttl('k') ?? 'none',
    range: () => store.range().entries,
    page: async () => (await store.page()).entries,
    entries: async () => {
      const found: unknown[] = []
      for await (const each of store.entries()) found.push(each)
      return found
    },
    watch: async () => {
      const watch = store.watch()
      await watch.ready
      await watch.return?.()
    },
    delete: () => store.delete('b'),
    clear: async () => (await store.clear()).removed,
    call: async () => (await call(app.entity(orders).ref('1'), 'add')) > 0,
    list: () => app.entity(orders).list().entries.length,
    pageOfEntities: async () => (await app.entity(orders).page()).entries.length,
    history: async () => (await app.entity(orders).history('1')) !== undefined,
    suspend: async () => typeof (await control.suspend(0)).token,
    resume: () => control.resume(0),
    flush: () => control.flush(0),
    snapshot: async () => typeof (await control.snapshot(0)),
    ready: () => app.ready(),
    health: async () => Object.keys(await app.healthOfAll()),
    spawn: () => createSystem().inspectProcesses().length,
    logger: () => jsonLogger() !== undefined,
    start: async () => (await flow(app).start(payment, 1, { id: String(++last) })).result(),
    add: async () => typeof (await flow(app).add(mails, undefined)),
    dead: () => flow(app).dead(mails).entries.length,
    words: async () => {
      for (const word of ['ps', 'health', 'keys', 'entities'] as const) await words[word]?.()
      return words.entities?.('order') !== undefined
    },
  }
  const outcomes = async (): Promise<Record<string, unknown>> => {
    const found: Record<string, unknown> = {}
    for (const [name, each] of Object.entries(calls))
      found[name] = await simulation
        .during(Promise.resolve().then(each))
        .then(timeless, (error: unknown) => String(error))
    return found
  }
  return { outcomes, simulation }
}

/** An answer without its positions, which grow from call to call. */
const timeless = (answer: unknown): unknown =>
  JSON.parse(
    JSON.stringify(answer ?? null, (name, value) =>
      /^(?:lsn|lsns|version|at|shards?|positions?|durableLsn)$/.test(name) ? undefined : value,
    ),
  )

const spoil = (name: string): void => {
  Object.defineProperty(Object.prototype, name, {
    ...{ value: Symbol(`spoilt ${name}`), writable: true, enumerable: true, configurable: true },
  })
}

describe('with enumerable members of `Object.prototype`', () => {
  test('calls without options do as without them', async () => {
    const { outcomes } = await world()
    await outcomes()
    const plain = await outcomes()
    onTestFinished(() => {
      for (const name of names) Reflect.deleteProperty(Object.prototype, name)
    })
    for (const name of names) spoil(name)
    const found = await outcomes()
    for (const name of names) Reflect.deleteProperty(Object.prototype, name)
    expect(found).toEqual(plain)
  })
})
