/** The crash of a handler of a durable actor is kept with its rows: over a restart, and at the next owner. */
import { expect, test } from 'vitest'
import { setup } from 'xstate'
import {
  call,
  type DurableServer,
  entity,
  name,
  reply,
  supervisor,
  worker,
} from '../../src/index.ts'
import { answerPages } from '../../src/inspect/observe/observer.ts'
import { promptWords } from '../../src/inspect/prompt/prompt-words.ts'
import { LocalSession } from '../../src/inspect/prompt/session.ts'
import { plainPaint } from '../../src/inspect/text/paint.ts'
import { StateMachine } from '../../src/runtime/state-machine/state-machine.ts'
import { type App, innerParts } from '../../src/supervisors/index.ts'
import { fillDisk, freeDisk } from '../support/harm/full-disk.ts'
import { FolderMembers } from '../support/worlds/folder-members.ts'
import { codeOf, machine, simulated } from '../support/worlds/simulated-instance.ts'

type Messages = {
  calls: { pay: (cents: number) => string; look: () => number; spoil: () => void }
}

const refused = (): Error =>
  Object.assign(new Error('connect ECONNREFUSED 10.0.0.7:443'), { code: 'ECONNREFUSED' })

const chargeCard = (): never => {
  throw new TypeError('fetch failed', { cause: refused() })
}

const order: DurableServer<Messages, { readonly cents: number }> = {
  init: () => ({ cents: 0 }),
  calls: {
    pay: (_, cents) => (cents < 0 ? chargeCard() : reply('paid', { cents })),
    look: (state) => reply(state.cents, state),
    spoil: () => 5 as never,
  },
}
const orders = entity('order', order)
const given = { app: supervisor('app', {}, [orders]) }

/** The text of a word of the prompt. */
const asked = async (app: App, line: string, during: <T>(work: Promise<T>) => Promise<T>) => {
  const words = promptWords(app, plainPaint)
  const session = new LocalSession({ words, colours: false, verbose: false, completions: () => [] })
  return (await during(session.run(line))).text ?? ''
}

const world = async (
  options: Partial<Parameters<ReturnType<typeof machine>['start']>[0]> = given,
) => {
  const on = machine()
  let app = await on.start(options)
  return {
    ...on,
    get app() {
      return app
    },
    order: () => app.entity(orders).ref('1'),
    ask: (line: string) => asked(app, line, on.during),
    /** As kill -9 and the next start do. */
    restart: async () => {
      on.disk.killProcess()
      await codeOf(on.during(app.close()))
      app = await on.start(options)
    },
    /** A call that fails, in its code. */
    fails: (work: Promise<unknown>) => on.during(codeOf(work)),
  }
}

test('after kill -9 and a restart it is shown with the stack, the cause, and how often it came', async () => {
  const w = await world()
  await w.during(call(w.order(), 'pay', 5))
  const first = new Date(w.clock.now()).toISOString()
  expect(await w.fails(call(w.order(), 'pay', -1))).toBe('EXITED')
  await w.clock.advance(5_000)
  expect(await w.fails(call(w.order(), 'pay', -1))).toBe('EXITED')
  await w.restart()
  const text = await w.ask("entity('order', '1')")

  expect(text).toMatch(
    /it crashed 2 times, first at \S+Z, at \S+Z, in call pay:\n {2}TypeError: fetch failed\n {6}at chargeCard \(.*stored-crashes\.test\.ts/,
  )
  expect(text).toContain('caused by Error [ECONNREFUSED]: connect ECONNREFUSED 10.0.0.7:443')
  expect(text).toContain(`first at ${first.slice(0, 19)}`)
  expect(await w.ask('crashes()')).toMatch(/ 2 +\S+Z +order\/1 +call pay +TypeError: fetch failed/)
  expect(await w.ask("crashes('order/1')")).toMatch(
    /^\S+Z order\/1 crashed in call pay\nTypeError: fetch failed\n {4}at chargeCard/,
  )
})

test('it goes when that handler succeeds, also without a change, and by no other one', async () => {
  const w = await world()
  const crashes = async () => (await w.ask("entity('order', '1')")).match(/^crashed +in .*/gm)
  await w.during(call(w.order(), 'pay', 5))
  await w.fails(call(w.order(), 'pay', -1))
  await w.restart()
  await w.during(call(w.order(), 'look'))
  expect(await crashes()).toHaveLength(1)
  await w.during(call(w.order(), 'pay', 7))
  await w.restart()
  expect(await crashes()).toBe(null)

  expect(await w.fails(call(w.order(), 'spoil'))).toBe('EXITED')
  await w.restart()
  expect(await crashes()).toEqual([
    expect.stringMatching(/in call spoil, 1 time, last at \S+Z \(.*bad_return_value/),
  ])
})

test('another member has it after it has taken the shard over', async () => {
  const members = new FolderMembers(['a', 'b'])
  const apps = await members.start(undefined, () => ({ shards: 4, ...given }))
  for (const app of apps) answerPages(app)
  const [here, there] = apps as [App, App]
  const ids = Array.from({ length: 20 }, (_, at) => `${at}`)
  const id = ids.find((each) => there.entities.shardOf(`order/${each}`).phase.kind === 'open')
  const ref = here.entity(orders).ref(id ?? '')
  await members.during(call(ref, 'pay', 5))
  await members.during(codeOf(call(ref, 'pay', -1)))
  await members.kill(there[innerParts].way?.member ?? '')
  await members.clock.advance(60_000)

  const text = await asked(here, `entity('order', '${id}')`, (work) => members.during(work))
  expect(text).not.toMatch(/^member/m)
  expect(text).toMatch(/it crashed .*in call pay:\n {2}TypeError: fetch failed\n {6}at chargeCard/)
})

test('a durable worker keeps it too, and a durable machine with its event', async () => {
  const lamps = entity(
    'lamp',
    StateMachine.durable(
      setup({ guards: { mayBurn: () => chargeCard() } }).createMachine({
        id: 'lamp',
        initial: 'off',
        states: {
          off: { on: { light: 'on' } },
          on: { on: { burn: { target: 'off', guard: 'mayBurn' } } },
        },
      }),
    ),
  )
  const till = worker('till', { server: order }, { durable: true, name: 'till' } as never)
  const w = await world({ app: supervisor('app', {}, [lamps, till]) })
  const ref = w.app.entity(lamps).ref('1') as never
  StateMachine.send(ref, { type: 'light' } as never)
  await w.clock.advance(100)
  StateMachine.send(ref, { type: 'burn' } as never)
  await w.clock.advance(100)
  await w.during(call(w.app.system.to(name<Messages>('till')), 'pay', 5))
  await w.fails(call(w.app.system.to(name<Messages>('till')), 'pay', -1))
  await w.restart()

  const list = await w.ask('crashes()')
  expect(list).toMatch(/ lamp\/1 +event burn +Error: Unable to evaluate guard 'mayBurn'/)
  expect(list).toMatch(/ till +call pay +TypeError/)
  expect(await w.ask("crashes('till')")).toContain('at chargeCard')
})

test('an actor without a row keeps none: it has been born by no turn', async () => {
  const w = await world()
  await w.fails(call(w.order(), 'pay', -1))
  await w.restart()
  expect(await w.ask('crashes()')).toContain('no process has crashed')
  expect(await w.ask("entity('order', '1')")).toContain('it is unborn')
})

test('formatStatus decides what of it is kept, and a deletion removes it', async () => {
  const shy = entity('order', { ...order, formatStatus: () => ({ state: '…', reason: 'hidden' }) })
  const w = await world({ app: supervisor('app', {}, [shy]) })
  await w.during(call(w.order(), 'pay', 5))
  await w.fails(call(w.order(), 'pay', -1))
  await w.restart()
  expect(await w.ask("entity('order', '1')")).toMatch(/^crashed +in call pay.*hidden/m)
  await w.during(w.app.entity(orders).delete('1'))
  await w.during(call(w.order(), 'pay', 5))
  expect(await w.ask('crashes()')).toContain('no process has crashed')
})

test('a full disk drops it, and holds up nothing', async () => {
  const s = await simulated(given)
  const ref = s.app.entity(orders).ref('1')
  await s.during(call(ref, 'pay', 5))
  await fillDisk(s)
  expect(await s.during(codeOf(call(ref, 'pay', -1)))).toBe('EXITED')
  expect(s.app.health().actors).toMatchObject({ waiting: { count: 0 }, refused: { NO_SPACE: 1 } })
  expect(await s.during(call(ref, 'look'))).toBe(5)
  freeDisk(s)
  expect(await s.during(call(ref, 'pay', 7))).toBe('paid')
})
