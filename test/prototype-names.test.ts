/**
 * Names of `Object.prototype` come from outside, too. Where nobody has declared them they find nothing; where they
 * are declared they find their handler.
 */
import { isDeepStrictEqual } from 'node:util'
import { describe, expect, onTestFinished, test } from 'vitest'
import { createMachine } from 'xstate'
import { flow, flows, queue, workflow } from '../src/flow/index.ts'
import {
  call,
  type DurableServer,
  entity,
  type GenServer,
  noReply,
  reply,
  supervisor,
} from '../src/index.ts'
import { parseGroup } from '../src/inspect/command/command-words.ts'
import { proposedIn } from '../src/inspect/observe/actions.ts'
import { Observer } from '../src/inspect/observe/observer.ts'
import { operations } from '../src/inspect/operations/operations.ts'
import { promptWords } from '../src/inspect/prompt/prompt-words.ts'
import { wordHelp } from '../src/inspect/prompt/word-help.ts'
import { plainPaint } from '../src/inspect/text/paint.ts'
import { StateMachine } from '../src/runtime/state-machine/state-machine.ts'
import { testSystem } from '../src/testing/index.ts'
import { asked } from './support/worlds/operations-client.ts'
import { simulated } from './support/worlds/simulated-instance.ts'

const names = Object.getOwnPropertyNames(Object.prototype)

/** Sections with every name, each of which answers with its own. */
const declared = <T>(handler: (name: string) => T): Record<string, T> =>
  Object.fromEntries(names.map((name) => [name, handler(name)]))

/** The code of a refusal, or what the call was answered with. */
const codeOf = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    (answer) => ({ answer }),
    ({ code }: { code: unknown }) => code,
  )

/** The names of which `attempt` makes something else than of a name that nobody has either. */
const unlike = async (
  attempt: (name: string) => unknown,
  of = names,
): Promise<readonly unknown[]> => {
  const usual = await attempt('nothing')
  const outcomes = await Promise.all(of.map(async (each) => [each, await attempt(each)] as const))
  return outcomes.filter(([, outcome]) => !isDeepStrictEqual(outcome, usual))
}

type Called = { calls: Record<string, (payload?: unknown) => unknown> }

/** Messages that no compiler checks. */
type Any = {
  calls: Record<string, (payload?: unknown) => unknown>
  continues: Record<string, () => void>
  alarms: Record<string, () => void>
}

const server: GenServer<Called, number> = {
  init: () => 0,
  accepts: { calls: { add: () => true }, casts: {}, infos: {} },
  calls: { add: (count) => reply(count + 1, count + 1) },
}

const counter: DurableServer<Any, number> = {
  init: () => 0,
  continues: {},
  alarms: {},
  calls: {
    add: (count) => reply(count + 1, count + 1),
    step: (count, step) => reply(null, count + 1, { continue: [step as string] }),
    alarm: (count, alarm, context) => {
      context.setAlarm(alarm as string, { inMs: 1 })
      return reply(null, count + 1)
    },
  },
}

type Ctx = { sleep: (name: string, time: '1d') => Promise<void> }
type AnyRun = {
  query: (name: string) => Promise<unknown>
  update: (name: string, value: unknown, options: object) => Promise<unknown>
}
type Answered = { readonly refusal?: { readonly code: string } }
const never = () => new Promise<never>(() => {})

const machine = createMachine({ id: 'm', on: { get: {}, '*': { actions: [] } } })
const answers = { get: () => 'got' }

describe('a name of Object.prototype that nobody has declared', () => {
  test('is no message of a server', async () => {
    const { system } = testSystem()
    const ref = await system.start(server)

    expect(await unlike((name) => codeOf(call(ref, name)))).toEqual([])
    expect(await call(ref, 'add')).toBe(1)
  })

  test('is an event without an answer, which a called machine does not handle', async () => {
    const { system } = testSystem()
    const ref = await system.start(StateMachine.server(machine, { answers } as never))
    const asks = (type: string) => codeOf(StateMachine.call(ref, { type } as never))

    expect(await unlike(asks)).toEqual([])
    expect(await StateMachine.call(ref, { type: 'get' } as never)).toBe('got')
  })

  test('is no message, step, alarm or event of an entity', async () => {
    const s = await simulated({
      app: supervisor('app', {}, [
        entity('counter', counter),
        entity('machine', StateMachine.durable(machine, { answers } as never)),
      ]),
    })
    const one = s.app.entity('counter').ref('1') as never
    const asks = (name: string, payload?: string) =>
      codeOf(call(one, name as never, payload as never))
    const sends = (type: string) =>
      codeOf(StateMachine.call(s.app.entity('machine').ref('1') as never, { type } as never))
    const all = (attempt: (name: string) => unknown) => s.during(unlike(attempt))

    expect(await all((name) => asks(name))).toEqual([])
    expect(await all((name) => asks('step', name))).toEqual([])
    expect(await all((name) => asks('alarm', name))).toEqual([])
    expect(await all(sends)).toEqual([])
    expect(await s.during(asks('add'))).toEqual({ answer: 1 })
    expect(await s.during(sends('get'))).toEqual({ answer: 'got' })
  })

  test('is no kind, workflow, queue, look, query or update', async () => {
    const kept = workflow('kept', (ctx: Ctx) => ctx.sleep('long', '1d'), {
      queries: { size: () => 1 },
      updates: { add: () => true },
    })
    const parts = { workflows: [kept], queues: [queue('mails', async () => 1)] }
    const s = await simulated({ app: supervisor('app', {}, [flows(parts)]) })
    const of = flow(s.app)
    const run = (await s.during(of.start(kept, undefined, { id: '1' }))) as never as AnyRun
    const all = (attempt: (name: string) => unknown, of = names) =>
      s.during(unlike((name) => codeOf(Promise.resolve().then(() => attempt(name))), of))
    // The name of a workflow or a queue begins with a letter.
    const words = names.filter((name) => !name.startsWith('_'))

    expect(await all((name) => run.query(name))).toEqual([])
    expect(await all((name) => run.update(name, 1, { timeoutMs: 50 }))).toEqual([])
    expect(await all((name) => s.app.entity(name))).toEqual([])
    expect(
      await all((name) => of.start(workflow(name, never), undefined, { id: '2' }), words),
    ).toEqual([])
    expect(await all((name) => of.add(queue(name, never), 1), words)).toEqual([])
    expect(
      await all((name) => of.read(...([name] as never as ['get', typeof kept, string]))),
    ).toEqual([])
    expect(await s.during(run.query('size'))).toBe(1)
  })

  test('is no view or action of the page, no path of operations, no word of help, no command', async () => {
    const s = await simulated()
    const observer = new Observer(s.app, { isWriting: true, user: 'ann' })
    onTestFinished(() => observer.end())
    const handler = operations(s.app)
    const words = promptWords(s.app, plainPaint) as never
    const thrownBy = (attempt: () => unknown) => codeOf((async () => attempt())())

    const look = async (name: string) => {
      const { refusal } = (await observer.answer({ id: 1, look: name, query: {} })) as Answered
      return refusal?.code
    }

    expect(await s.during(unlike(look))).toEqual([])
    expect(await unlike((act) => thrownBy(() => proposedIn({ act })))).toEqual([])
    expect(await unlike((name) => asked(handler, name))).toEqual([])
    expect(await unlike((name) => asked(handler, `/${name}`))).toEqual([])
    expect(await unlike((word) => thrownBy(() => wordHelp(words, word)))).toEqual([])
    expect(await unlike((word) => thrownBy(() => parseGroup('wal', {}, [word])))).toEqual([])
  })
})

describe('a name of Object.prototype that is declared', () => {
  test('finds its handler, in a server and in an entity', async () => {
    const calls = declared((name) => (count: number) => reply(name, count))
    const { system } = testSystem()
    const ref = await system.start({ init: () => 0, calls } as never)
    const s = await simulated({
      app: supervisor('app', {}, [entity('odd', { init: () => 0, calls } as never)]),
    })

    for (const name of names) expect(await call(ref as never, name as never)).toBe(name)
    const one = s.app.entity('odd').ref('1') as never
    const found = names.map((name) => call(one, name as never) as Promise<unknown>)
    expect(await s.during(Promise.all(found))).toEqual(names)
  })

  test('is answered by its own function, in a machine', async () => {
    const { system } = testSystem()
    const options = { answers: declared((name) => () => name) }
    const ref = await system.start(StateMachine.server(machine, options as never))

    for (const type of names)
      expect(await StateMachine.call(ref as never, { type } as never)).toBe(type)
  })

  test('has its own steps, alarms and policies, in an entity', async () => {
    const ran: string[] = []
    const handlers = declared((name) => (count: number) => {
      ran.push(name)
      return noReply(count)
    })
    const odd = { ...counter, continues: handlers, alarms: handlers }
    const s = await simulated({ app: supervisor('app', {}, [entity('odd', odd)]) })
    const one = s.app.entity('odd').ref('1') as never

    for (const name of names) {
      await s.during(call(one, 'step' as never, name as never) as Promise<unknown>)
      await s.during(call(one, 'alarm' as never, name as never) as Promise<unknown>)
    }
    await s.advance(1_000)

    expect(ran.toSorted()).toEqual([...names, ...names].toSorted())
  })
})
