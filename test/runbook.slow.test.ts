/** The runbook, docs/operations.md, has an entry for each trouble, and its commands run as they are. */
import { readFileSync, realpathSync } from 'node:fs'
import {
  type App,
  call,
  type DurableServer,
  entity,
  errorCodes,
  reply,
  start,
  supervisor,
  worker,
} from 'keelson'
import { flow, flows, queue, workflow } from 'keelson/flow'
import { describe, expect, onTestFinished, test } from 'vitest'
import { commandHere } from './support/commands/command-here.ts'
import { cellsOf } from './support/evidence-table.ts'
import { tempFolder } from './support/temp-folder.ts'

const page = readFileSync('docs/operations.md', 'utf8')
const [runbook = '', others = ''] = page.split('\n## Sizing\n')

/** The section under a heading. */
const section = (heading: string): string =>
  runbook.split(`\n## ${heading}\n`)[1]?.split('\n## ')[0] ?? ''

/** The first cells of the tables of a text, without their headings. */
const entriesOf = (text: string): string[] =>
  text.split('\n').flatMap((line) => cellsOf(line).slice(0, 1))

describe('the runbook has an entry', () => {
  test('for each error code, and no other', () => {
    const codes = entriesOf(section('Error codes')).flatMap(
      (cell) => /^`([A-Z_]+)`$/.exec(cell)?.[1] ?? [],
    )
    expect(codes.sort()).toEqual([...errorCodes].sort())
  })

  test('for each alert, and no other', () => {
    const alerts = readFileSync('signals/alerts.yml', 'utf8').matchAll(/- alert: (\w+)/g)
    const entries = section('Alerts').matchAll(/^### (\w+)$/gm)
    expect([...entries].map(([, name]) => name)).toEqual([...alerts].map(([, name]) => name))
  })

  test('of each alert with its meaning, a look and a remedy', () => {
    const entries = section('Alerts').split(/^### /m).slice(1)
    for (const entry of entries)
      expect(entry.match(/^- \*\*\w+\*\*: /gm)).toEqual([
        '- **Means**: ',
        '- **Look**: ',
        '- **Do**: ',
      ])
  })

  test('for each fact of health that may be bad', async () => {
    const app = await start({ dir: tempFolder() })
    onTestFinished(async () => void (await app.close()))
    const health = app.health()
    const noStates = ['shard', 'reason', 'recovery', 'appliedLsn', 'projectedLsn']
    const facts = [health, health.shards[0] ?? {}, health.actors].flatMap((each) =>
      Object.keys(each),
    )
    const entries = entriesOf(section('States of health')).join(' ')
    expect(
      facts.filter((fact) => !noStates.includes(fact) && !entries.includes(`\`${fact}`)),
    ).toEqual([])
  })

  test('for each phase of a shard and each mode of its projection', () => {
    type Shard = ReturnType<App['health']>['shards'][number]
    const phases: Record<Shard['phase'], 0> = {
      ...{ recovering: 0, open: 0, down: 0, elsewhere: 0, closed: 0 },
    }
    const modes: Record<Shard['projection']['mode'], 0> = {
      ...{ starting: 0, rebuilding: 0, tailing: 0, following: 0 },
      ...{ suspended: 0, degraded: 0, halted: 0 },
    }
    const entries = entriesOf(section('States of health'))
    for (const [name, states] of Object.entries({ phase: phases, 'projection.mode': modes }))
      for (const state of Object.keys(states))
        expect(
          entries.filter((e) => e.includes(name) && e.includes(`'${state}'`)),
          state,
        ).toHaveLength(1)
  })
})

const commands = [...new Set([...runbook.matchAll(/`([^`\n]+)`/g)].map(([, code = '']) => code))]
const ofShell = commands.filter((code) => code.startsWith('keelson '))
const ofPrompt = commands.filter((code) => /\(|^app\./.test(code) && !ofShell.includes(code))

/** The words of a command, as a shell reads them. */
const wordsOf = (command: string): string[] =>
  [...command.matchAll(/'([^']*)'|(\S+)/g)]
    .slice(1)
    .map(([, quoted, plain]) => quoted ?? plain ?? '')

describe('the commands of the runbook', () => {
  let dir = ''
  const keelson = (command: string, input?: string) =>
    commandHere(wordsOf(command), dir, input === undefined ? {} : { input })

  const server: DurableServer<{ calls: { add: () => number } }, number> = {
    init: () => 0,
    calls: { add: (count) => reply(count + 1, count + 1) },
  }
  const orders = entity('order', server)
  const payment = workflow('payment', () => {
    throw new Error('the bank is away')
  })

  /** An instance with all that the page names. */
  const instance = async (): Promise<App> => {
    dir = realpathSync(tempFolder())
    const unsent = (): never => {
      throw new Error('no paper')
    }
    const mails = queue('mails', unsent, { retry: { max: 1 } })
    const app = await start({
      ...{ dir: `${dir}/data`, attach: true },
      app: supervisor('app', {}, [
        worker('counter', server, { durable: true }),
        orders,
        flows({ workflows: [payment], queues: [mails] }),
      ]),
    })
    onTestFinished(async () => void (await app.close()))
    await call(app.entity(orders).ref('42'), 'add')
    const run = await flow(app).start(payment, undefined, { id: '7' })
    await run.result().catch(() => undefined)
    await flow(app).add(mails, undefined)
    await expect.poll(async () => (await flow(app).counts(mails)).dead).toBe(1)
    await flow(app).schedules.create('daily', '0 3 * * *', payment, { zone: 'UTC' })
    return app
  }

  test('run at an attached prompt', async () => {
    await instance()
    expect(ofPrompt.length).toBeGreaterThan(20)
    const lines = ofPrompt.flatMap((line, at) => [`'line ${at}'`, line])

    const { status, output } = await keelson('keelson attach --dir data', lines.join('\n'))

    const answers = output.split(/^'line \d+'\n/m).slice(1)
    const failed = ofPrompt.filter((_, at) =>
      /^[A-Z_]+: |^\w*Error: /.test(answers[at] ?? 'Error: '),
    )
    expect([status, failed]).toEqual([0, []])
  })

  const running = ofShell.filter((command) => /^keelson (flow|attach|health)\b/.test(command))

  test('run in a shell beside the service', async () => {
    await instance()
    expect(running.length).toBeGreaterThan(5)
    for (const command of running) {
      const { status, errors } = await keelson(`${command} --dir data`, '')
      // The run is not blocked, and there is nothing to settle.
      const isRefused = /^CONFLICT: /.test(errors) && command.includes(' settle ')
      // A run has failed, and a job is dead.
      const isWrong = isRefused || command === 'keelson health'
      expect([status, isRefused ? '' : errors], command).toEqual([isWrong ? 1 : 0, ''])
    }
  })

  test('run in a shell after the end of the service', async () => {
    await (await instance()).close()
    const ended = ofShell.filter((command) => !running.includes(command))
    expect(ended.length).toBeGreaterThan(4)
    for (const command of ended) {
      const { status, errors } = await keelson(command)
      expect([status, errors], command).toEqual([0, ''])
    }
  })

  test('of backups run one after another', async () => {
    await (await instance()).close()
    const blocks = [...others.matchAll(/^ *```\n([^`]*)```/gm)].map(([, block = '']) => block)
    const lines = blocks.flatMap((block) => block.trim().split(/\n */))
    expect(lines.every((line) => line.startsWith('keelson '))).toBe(true)
    const first = lines.filter((line) => line.startsWith('keelson backup '))
    for (const line of [...first, ...lines]) {
      const { status, errors } = await keelson(line.replace(/--at \S+/, '--at 1'))
      expect([status, /^[A-Z_]+: /m.test(errors)], `${line}\n${errors}`).toEqual([0, false])
    }
  })
})
