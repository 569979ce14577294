/**
 * The reasons why an actor is blocked and why a restart fails are the ones that `formatStatus` shows, in the prompt, the log,
 * the events and the flight recorder.
 */
import { inspect } from 'node:util'
import { expect, test } from 'vitest'
import {
  call,
  createSystem,
  type DurableServer,
  entity,
  type GenServer,
  ok,
  supervisor,
  worker,
} from '../../../src/index.ts'
import { promptWords } from '../../../src/inspect/prompt/prompt-words.ts'
import { LocalSession } from '../../../src/inspect/prompt/session.ts'
import { recordsOf } from '../../../src/inspect/recorder/recorder.ts'
import { recordedSorts } from '../../../src/inspect/recorder/records.ts'
import { plainPaint } from '../../../src/inspect/text/paint.ts'
import { textLogger } from '../../../src/runtime/index.ts'
import type { App } from '../../../src/supervisors/index.ts'
import {
  account,
  canary,
  type Messages,
  recorded,
  refuse,
  type Secrets,
  secrets,
  vault,
} from '../../support/worlds/secret-actors.ts'
import { machine } from '../../support/worlds/simulated-instance.ts'

type World = ReturnType<typeof machine>

/** A prompt of the app: runs the lines, and returns all that is printed. */
const promptOf = (app: App, { during }: World) => {
  const words = promptWords(app, plainPaint)
  const session = new LocalSession({ words, colours: false, verbose: true, completions: () => [] })
  return async (...lines: string[]): Promise<string> => {
    const printed: string[] = []
    for (const line of lines) {
      const { text, feed } = await during(session.run(line))
      printed.push(String(text))
      feed?.show((more) => printed.push(more))
    }
    await during(Promise.resolve())
    return printed.join('\n')
  }
}

const passes = ({ clock }: World, ms: number): Promise<void> =>
  new Promise((resolve) => void clock.after(ms, resolve))

test('the reason why an actor is blocked is the one that formatStatus shows, everywhere', {
  tags: ['slow', 'O1'],
}, async () => {
  const shut = ({ state }: { readonly state: unknown }) => ({
    state: state && '…',
    reason: new Error('a secret error'),
  })
  const migrated = { init: () => ok(secrets), version: 2, migrate: refuse, formatStatus: shut }
  const unborn = { init: () => refuse(secrets), formatStatus: shut }
  const server = (table: object) => table as unknown as DurableServer<Messages, Secrets>
  const world = machine()
  const lines: string[] = []
  const logger = textLogger(world.clock, (line) => lines.push(line))
  const begun = (old: DurableServer<Messages, Secrets>) => {
    const system = createSystem({ clock: world.clock, logger })
    recordsOf(system)
    const kinds = [entity('old', old), entity('unborn', server({ ...account, ...unborn }))]
    return world.start({ app: supervisor('app', {}, kinds), system })
  }
  const first = await begun(account)
  await world.during(call(first.entity<Messages>('old').ref('1'), 'ask', undefined))
  await world.during(first.close())
  const app = await begun(server({ ...account, ...migrated }))
  const told: unknown[] = []
  app.system.events.on('entity.blocked', ({ error }) => told.push(error))
  const ask = promptOf(app, world)
  const texts: string[] = []
  for (let tries = 0; tries < 9; tries++) {
    texts.push(await ask("call('old/1', 'ask')", "call('unborn/1', 'ask')"))
    await world.during(passes(world, 70_000), 90_000)
  }
  texts.push(await ask("entity('old/1')", "entity('unborn/1')", "entities('old')", 'health()'))
  texts.push(await ask('crashes()', 'log()'), inspect(app.health(), { depth: 9 }))
  texts.push(...recorded(app.system))

  expect(told).toHaveLength(2)
  expect(texts.join('\n')).toContain('old/1 is blocked: a secret error')
  expect([...texts, ...lines, inspect(told)].filter((text) => text.includes(canary))).toEqual([])
})

test('the reason of a restart that fails is the one that formatStatus shows, up the whole tree', {
  tags: ['O1'],
}, async () => {
  const world = machine()
  const lines: string[] = []
  const logger = textLogger(world.clock, (line) => lines.push(line))
  const system = createSystem({ clock: world.clock, logger })
  const records = recordsOf(system)
  let isBroken = false
  const frail: GenServer<Messages, Secrets> = {
    ...vault,
    init: () => (isBroken ? refuse(secrets) : secrets),
    formatStatus: () => ({ state: '…', reason: new Error('a secret error') }),
  }
  const tree = supervisor('app', {}, [supervisor('inner', {}, [worker('frail', frail)])])
  const app = await world.start({ app: tree, system })
  isBroken = true
  await promptOf(app, world)("kill('frail')")
  await world.during(passes(world, 5_000))

  expect(lines.join('\n')).toContain('inner: frail was not started again: Error: a secret error')
  const kept = recordedSorts.flatMap((sort) => records.last(sort)).map((each) => inspect(each))
  expect([...lines, ...kept].filter((text) => text.includes(canary))).toEqual([])
})
