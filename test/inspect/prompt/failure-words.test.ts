/** `health()`, `crashes()` and `log()` at the prompt: a fault is named, with its reason. */
import { expect, test } from 'vitest'
import {
  call,
  cast,
  type DurableServer,
  entity,
  type GenServer,
  name,
  noReply,
  reply,
  stop,
  supervisor,
  Task,
  worker,
} from '../../../src/index.ts'
import { failureWords } from '../../../src/inspect/prompt/failure-words.ts'
import { promptWords } from '../../../src/inspect/prompt/prompt-words.ts'
import { LocalSession } from '../../../src/inspect/prompt/session.ts'
import { recordsOf } from '../../../src/inspect/recorder/recorder.ts'
import { plainPaint } from '../../../src/inspect/text/paint.ts'
import { createSystem } from '../../../src/runtime/index.ts'
import { silentLogger } from '../../../src/testing/kit/captured-log.ts'
import { codeOf, failNextSync, machine } from '../../support/worlds/simulated-instance.ts'

type Messages = { casts: { fail: () => void } }
const frail: GenServer<Messages, null> = {
  init: () => null,
  casts: {
    fail: () => {
      throw new Error('no more')
    },
  },
}

type OrderMessages = { calls: { pay: () => void }; continues: { charge: () => void } }
const order: DurableServer<OrderMessages, { readonly paid: boolean }> = {
  init: () => ({ paid: false }),
  calls: { pay: (state) => reply(undefined, { ...state }, { continue: ['charge'] }) },
  continues: {
    charge: () => {
      throw new Error('the bank is away')
    },
  },
}
const orders = entity('order', order)
const blocked = entity('blocked', {
  ...order,
  init: () => {
    throw new Error('not today')
  },
})

type PollMessages = { casts: { poll: () => void } }
const poller: GenServer<PollMessages, null> = {
  init: () => null,
  casts: {
    poll: async (state, _, context) => {
      const failing = async () => {
        throw new RangeError('no feed')
      }
      await Task.await(Task.async(context, failing))
      return noReply(state)
    },
  },
}

type LateMessages = { casts: { leave: () => void } }
/** It starts once. */
const late = (): GenServer<LateMessages, null> => {
  let starts = 0
  return {
    init: () => {
      if (starts++ > 0) throw new Error('no configuration')
      return null
    },
    casts: { leave: (state) => stop('normal', state) },
  }
}

type TornMessages = { calls: { tear: () => void } }
const tornServer: DurableServer<TornMessages, null> = {
  init: () => null,
  calls: {
    tear: () => {
      throw new TypeError('torn')
    },
  },
}
const torn = entity('torn', tornServer)

const tree = () =>
  supervisor('app', { intensity: 100 }, [
    worker('frail', frail, { name: name<Messages>('frail') }),
    worker('poller', poller, { name: name<PollMessages>('poller') }),
    worker('late', late(), {
      name: name<LateMessages>('late'),
      restart: { backoff: { fromMs: 40_000, toMs: 40_000 } },
    }),
    orders,
    torn,
    blocked,
  ])

const prompt = async () => {
  const world = machine()
  const system = createSystem({ clock: world.clock, logger: silentLogger })
  recordsOf(system)
  const app = await world.start({ system, app: tree(), shards: 2 })
  const session = new LocalSession({
    words: promptWords(app, plainPaint),
    colours: false,
    verbose: false,
    completions: () => [],
  })
  const ask = async (line: string) => String((await world.during(session.run(line))).text)
  const fail = async (times: number) => {
    for (let at = 0; at < times; at++) {
      cast(system.to(name<Messages>('frail')), 'fail')
      await world.clock.advance(10)
    }
  }
  return { ...world, system, app, ask, fail }
}

test('nothing is in trouble at first, and nothing has crashed', async () => {
  const { ask } = await prompt()
  expect((await ask('health()')).split('\n').map((line) => line.replace(/ {2,}/, ': '))).toEqual([
    ...['nothing is in trouble', '', 'build: Keelson 0.1.0', 'started: 0 s ago', 'durable: yes'],
    ...['shards: 2 open', 'writes: 0 waiting'],
    ...['projections: 0 frames behind at most', 'log: 0 B since the snapshots'],
    ...['crashes: 0', 'restarts: 0'],
  ])
  expect(await ask('crashes()')).toBe('no process has crashed since the start')
  expect(await ask("crashes('frail')")).toBe('frail has not crashed since the start')
  expect(await ask('log()')).toBe('no warning and no error since the start')
})

test('health() is data too', { tags: ['O12'] }, async () => {
  const { ask } = await prompt()
  expect(await ask('health().durable')).toBe('true')
  expect(await ask('[health().shards.length, Object.keys(health())[0]]')).toBe("[ 2, 'durable' ]")
})

test('judge() has the actors at rest judged again: each kind in each shard', async () => {
  const { ask, app, clock } = await prompt()
  await clock.advance(5_000)
  const kinds = app.entities.kinds.length

  expect(await ask('judge()')).toBe(
    `judges the actors at rest again, ${2 * kinds} parts with one kind of one shard each; health() has what it finds`,
  )
  expect(app.health().actors.wouldBlock.left).toBe(2 * kinds)
  await clock.advance(5_000)
  expect(app.health().actors.wouldBlock.left).toBe(0)
})

test('judge() says that nothing is judged without a tree', async () => {
  const world = machine()
  const app = await world.start()
  const { judge } = failureWords(app, plainPaint)

  expect(String(await world.during(judge()))).toBe(
    'nothing is judged here: there is no tree, or `judge: false`',
  )
})

test('a crash loop is named, and crashes() has a line for each error, with times, first and last', async () => {
  const { ask, fail } = await prompt()
  await fail(2)
  expect(await ask('health()')).toMatch(/^nothing is in trouble\n/)
  await fail(1)
  const health = await ask('health()')
  expect(health).toMatch(
    /^critical: crash loop, app\/frail, for 0 s: failed 3 times in a minute: Error: no more; crashes\('app\/frail'\)\n\n/,
  )
  expect(health).toMatch(/\ncrashes +3, the last \d+ ms ago: frail, Error: no more\nrestarts +3$/)
  expect(await ask("crashes('app/frail')")).toBe(await ask("crashes('frail')"))
  const lines = (await ask('crashes()')).split('\n')
  expect(lines[0]).toMatch(/^last +times +first +process +last message +reason$/)
  const row = /^(2026-\S+Z) {6}3 {2}(2026-\S+Z) {2}frail <\d+> {2}cast fail {5}Error: no more$/
  const [, last = '', first = ''] = row.exec(lines[1] ?? '') ?? []
  expect(Date.parse(last) - Date.parse(first)).toBe(20)
  expect(lines.slice(2)).toEqual(['3 since the start; crashes(p) has the stacks'])
  expect(await ask("crashes('frail')")).toMatch(/\n {2}times: 3, first at 2026-\S+Z$/)
})

test('crashes(p) has the stacks of a process by its name, its pid and its ref, also when it is gone', {
  tags: ['O12'],
}, async () => {
  const { ask, fail, system } = await prompt()
  await fail(1)
  const old = await ask("crashes('frail')")
  expect(old).toMatch(/^2026-01-01T\S+Z frail ended: Error: no more\n {4}at .*\n {2}last message: /)
  const pid = system.whereis(name('frail'))?.pid
  expect(await ask(`crashes(${pid})`)).toBe(old)
  expect(await ask("crashes(app.system.whereis('frail'))")).toBe(old)
  expect(await ask("crashes('nobody')")).toBe('nobody has not crashed since the start')
  expect(await ask('crashes({})')).toMatch(/^INVALID_ARGUMENT: /)
  system.kill(name('frail'))
  expect(await ask("crashes('frail')")).toBe(old)
})

test('crashes(p) of a process that ended because its task did has the stack of the task', async () => {
  const { ask, system, clock } = await prompt()
  cast(system.to(name<PollMessages>('poller')), 'poll')
  await clock.advance(10)
  expect(await ask("crashes('app/poller')")).toMatch(
    /^2026-\S+Z task <\d+> ended: RangeError: no feed\n {4}at .*failure-words/,
  )
})

test('crashes(p) of a child whose start fails has the lines of the log that name it', async () => {
  const { ask, system, clock } = await prompt()
  cast(system.to(name<LateMessages>('late')), 'leave')
  await clock.advance(60_000)
  expect(await ask("crashes('app/late')")).toMatch(
    /^app\/late has not crashed since the start; the log names it:\n[\s\S]* late was not started again: Error: no configuration\n {4}at .*failure-words/,
  )
})

test('an entity has its crashes: the error, how often, the first and the last', async () => {
  const { ask, app, during, clock } = await prompt()
  for (let at = 0; at < 2; at++) {
    await during(codeOf(call(app.entity(torn).ref('9'), 'tear')))
    await clock.advance(1_000)
  }
  expect(await ask("entity('torn/9')")).toMatch(
    /\nit crashed 2 times, first at 2026-\S+Z, at 2026-\S+Z, in call tear:\n {2}TypeError: torn\n {6}at .*failure-words/,
  )
})

test('log(n) has the last n lines, with the stack of an error once', {
  tags: ['O12'],
}, async () => {
  const { ask, fail } = await prompt()
  await fail(2)
  const lines = await ask('log(2)')
  expect(lines.match(/no more/g)).toHaveLength(1)
  expect(lines).toMatch(/^\S+ error frail ended: Error: no more\n {4}at /)
  expect(lines).toMatch(/\n\S+ warn {2}app: frail was restarted$/)
  expect((await ask('log()')).match(/ was restarted/g)).toHaveLength(2)
  expect(await ask('log(0)')).toMatch(/^INVALID_ARGUMENT: /)
})

test('a blocked entity, a stuck step, and a shard that is down are named, the worst first', async () => {
  const { app, ask, clock, disk, during } = await prompt()
  await during(call(app.entity(orders).ref('7'), 'pay'))
  for (let tries = 0; tries < 6; tries++)
    await codeOf(during(call(app.entity(blocked).ref('8'), 'pay'), 60_000))
  await clock.advance(2_000)
  const troubles = (await ask('health()')).split('\n\n')[0]?.split('\n')
  expect(troubles).toEqual([
    expect.stringMatching(
      /^critical: blocked, blocked\/8, for \d+ \w+: BLOCKED: blocked\/8 is blocked: not today; entity\('blocked', '8'\)$/,
    ),
    expect.stringMatching(
      /^warning: stuck step, order\/7, for \d+ s: step charge failed \d+ times: Error: the bank is away; entity\('order', '7'\)$/,
    ),
  ])
  failNextSync(disk, 1)
  for (const key of ['a', 'b', 'c', 'd']) await codeOf(during(app.store.put(key, 1)))
  expect(await ask('health()')).toMatch(
    /^critical: shard down, shard 1, for 0 s: .*; control\.reopen\(1\); wal\(\)\ncritical: blocked, /,
  )
})

test('a projection that is suspended or far behind is named', async () => {
  const { app, ask, clock, during } = await prompt()
  await during(app.control.suspend(0))
  for (const key of ['a', 'b', 'c', 'd']) await during(app.store.put(key, 1))
  expect(await ask('health()')).toMatch(
    /^warning: projection suspended, shard 0, for 0 s: the app holds it until control\.resume; projections\(\)\n\n/,
  )
  await clock.advance(20_000)
  expect(await ask('health()')).toMatch(
    /^warning: projection suspended, shard 0, for 20 s: the app holds .*; its oldest write waits for 20 s, \d+ B in all; projections\(\)\n/,
  )
})
