/** `keelson flow`: looks at the workflows and queues of a running instance, and acts on them. */
import { describe, expect, onTestFinished, test } from 'vitest'
import { type Ctx, flow, flows, queue, schedule, workflow } from '../../../dist/flow/index.js'
import { start, supervisor } from '../../../dist/index.js'
import { capturedLog } from '../../../src/testing/kit/captured-log.ts'
import { commandHere } from '../../support/commands/command-here.ts'
import { codeIn } from '../../support/commands/command-project.ts'
import { tempFolder } from '../../support/temp-folder.ts'

const order = workflow('order', async (ctx: Ctx<{ approval: { by: string } }>, item: string) => {
  ctx.report({ item })
  await ctx.step(
    'reserve',
    () => {
      if (item === 'none') throw new TypeError(`nothing\u001b[31m left`)
    },
    { retry: { max: 1 } },
  )
  const approval = await ctx.waitFor('approval')
  return `${item} by ${approval?.by}`
})

const late = workflow('late', async (ctx: Ctx<{ go: null }>) => void (await ctx.waitFor('go')))
const daily = schedule('mails', '0 0 1 1 *', late)

/** An instance with runs and jobs, and the commands that ask it. */
const instance = async () => {
  const dir = tempFolder()
  const mails = queue(
    'mails',
    (to: string) => {
      if (to === 'eve') throw new Error('no eve')
    },
    { retry: { max: 1 } },
  )
  const both = queue('order', () => undefined)
  const tree = supervisor('app', {}, [
    flows({ workflows: [order, late], queues: [mails, both], schedules: [daily] }),
  ])
  const app = await start({ dir, attach: true, app: tree, logger: capturedLog() })
  onTestFinished(() => app.close().then(() => undefined))
  const runs = flow(app)
  const failing = await runs.start(order, 'none', { id: '2', correlation: 'c' })
  await failing.result().catch(() => undefined)
  const waiting = await runs.start(order, 'tea', { id: '1' })
  const asked = (...words: string[]) => commandHere(['flow', ...words, '--dir', dir], dir)
  const json = async (...words: string[]) => JSON.parse((await asked(...words, '--json')).output)
  return { app, runs, mails, waiting, asked, json, dir }
}

describe('keelson flow (needs the build)', () => {
  test('lists workflows and queues, pages of runs, and one run with its operations', async () => {
    const { asked, json } = await instance()

    const all = await asked('list')
    expect([all.status, all.errors]).toEqual([0, ''])
    expect(all.output).toMatch(/^workflow +waiting +running .*failed/)
    expect(all.output).toMatch(/^order +\d +\d .*1 +0$/m)
    expect(all.output).toMatch(/^mails +0 +0 +0 +0 +- +-$/m)
    const failed = await asked('list', 'order', '--status', 'failed')
    expect(failed.output).toMatch(
      /^2 +failed +20\S+Z +- +\{ item: 'none' \} +TypeError: nothing\\u\{1b\}/m,
    )
    expect((await json('list', 'order', '--correlation', 'c')).entries).toMatchObject([
      { id: '2', status: 'failed', error: { name: 'TypeError' } },
    ])
    const first = await json('list', 'order', '--limit', '1')
    expect(
      (await json('list', 'order', '--limit', '1', '--cursor', first.cursor)).entries,
    ).toHaveLength(1)
    expect((await json('list', 'order', '--until', '2001-01-01T00:00:00Z')).entries).toEqual([])
    const shown = await asked('show', 'order', '2')
    expect(shown.output).toMatch(/^run +order\/2\nstatus +failed$/m)
    expect(shown.output).toMatch(/^reserve +step +1 +error/m)
    expect(await json('show', 'mails')).toMatchObject({ ready: 0, isFull: false })
  })

  test('signals, cancels and retries a run, and answers a repeated one', async () => {
    const { asked, json, waiting, runs } = await instance()
    const value = '{"by":"Eve"}'
    const signal = () => json('signal', 'order', '1', 'approval', value, '--id', 'm-1')

    expect(await signal()).toEqual({ repeated: false })
    expect(await waiting.result()).toBe('tea by Eve')
    expect((await asked('cancel', 'order', '1')).output).toBe('order/1 stays as it is: completed\n')
    expect(await asked('retry', 'order', '2')).toMatchObject({
      status: 0,
      output: 'order/2 continues\n',
    })
    await expect(runs.handle(order, '2').result()).rejects.toMatchObject({ code: 'FAILED' })
    await runs.start(order, 'milk', { id: '3' })
    const cancelled = await json('cancel', 'order', '3', '--reason', 'late', '--force')
    expect(cancelled.accepted).toBe(true)
    expect(runs.get(order, '3')?.error?.message).toBe('late')
    expect((await asked('undo', 'order', '3')).output).toBe('order/3 is being undone\n')
    await expect(runs.handle(order, '3').result()).rejects.toMatchObject({ code: 'CANCELLED' })
    const fork = () => json('fork', 'order', '1', '--from', 'approval#1', '--id', '4')
    expect(await fork()).toEqual({ id: '4', repeated: false })
    expect((await fork()).repeated).toBe(true)
    expect((await asked('show', 'order', '4')).output).toMatch(/^forked from +order\/1$/m)
    expect((await asked('retry', 'order', '1', '--from', 'reserve')).status).toBe(0)
  })

  test('changes the limits of a queue until they are reset', async () => {
    const { asked, json } = await instance()
    const rate = '{"max":5,"per":"1m"}'
    const changed = await asked('limits', 'mails', '--concurrency', '3', '--rate', rate)
    expect(changed.output).toMatch(/^limits +concurrency 3, perKey 10,000, rate 5 in 60,000 ms$/m)
    expect(changed.output).toMatch(/^changed +concurrency, rate$/m)
    expect((await asked('show', 'mails')).output).toMatch(
      /^changed limits +concurrency 3, rate 5 in 60,000 ms$/m,
    )
    expect((await json('limits', 'mails', '--rate', 'null')).rate).toBe(null)
    expect((await json('limits', 'mails')).changed).toEqual(['concurrency', 'rate'])
    const refused = await asked('limits', 'mails', '--per-key', '10001')
    expect([refused.status, codeIn(refused.errors)]).toEqual([1, 'INVALID_ARGUMENT'])
    expect(codeIn((await asked('limits', 'mails', '--reset', '--per-key', '2')).errors)).toBe(
      'INVALID_ARGUMENT',
    )
    expect((await json('limits', 'mails', '--reset')).changed).toEqual([])
  })

  test('pauses a queue, shows its dead jobs and lets one run again', async () => {
    const { asked, json, runs, mails, app } = await instance()
    const died = new Promise((resolve) =>
      app.system.events.on('queue.ended' as never, resolve as never),
    )
    await runs.add(mails, 'eve')
    await died

    expect((await asked('dead', 'mails')).output).toMatch(
      /^1 +- +1 +20\S+Z +Error: no eve +'eve'$/m,
    )
    expect((await json('dead', 'mails')).entries).toMatchObject([{ id: '1', job: 'eve' }])
    const job = (await asked('job', 'mails', '1')).output
    expect(job).toMatch(/^job +mails\/1\nstate +dead\ninput +'eve'$/m)
    expect(job).toMatch(/^error +Error: no eve$/m)
    expect(await json('job', 'mails', '1')).toMatchObject({ state: 'dead', input: 'eve', tries: 1 })
    expect(codeIn((await asked('job', 'mails', '7')).errors)).toBe('INVALID_ARGUMENT')
    expect((await asked('pause', 'mails')).output).toBe('mails is paused\n')
    expect((await asked('retry', 'mails', '1')).output).toBe('job 1 of mails continues\n')
    expect(await json('show', 'mails')).toMatchObject({ isPaused: true, ready: 1, dead: 0 })
    const none = await asked('retry', 'mails', '1')
    expect([none.status, none.output, codeIn(none.errors)]).toEqual([1, '', 'CONFLICT'])
    expect(codeIn((await asked('retry', 'order', '1', '--queue')).errors)).toBe('CONFLICT')
    expect((await asked('remove', 'mails', '1')).output).toBe(
      'job 1 of mails is removed: it was waiting\n',
    )
    expect(await json('remove', 'mails', '1')).toEqual({ removed: false })
    expect(await asked('resume', 'mails')).toMatchObject({ status: 0, output: 'mails continues\n' })
  })

  test('lists a blocked run, and settles the step whose outcome is not known', async () => {
    let begin = (): void => undefined
    const begun = new Promise<void>((resolve) => {
      begin = resolve
    })
    const pay = () => {
      begin()
      return new Promise<string>(() => {})
    }
    const once = workflow('once', (ctx: Ctx) => ctx.step('pay', pay, { repeat: 'once' }))
    const dir = tempFolder()
    const started = async () => {
      const tree = supervisor('app', {}, [flows({ workflows: [once] })])
      const app = await start({ dir, attach: true, app: tree, logger: capturedLog() })
      onTestFinished(() => app.close().then(() => undefined))
      return app
    }
    const first = await started()
    await flow(first).start(once, undefined, { id: '1' })
    await begun
    const { cutOff } = await first.close({ deadlineMs: 1_000 })
    expect(cutOff).toContainEqual({ part: 'work', actor: '$flow-once/1', what: 'step pay' })
    const run = flow(await started()).handle(once, '1')
    await expect(run.result()).rejects.toMatchObject({ code: 'BLOCKED' })
    const asked = (...words: string[]) => commandHere(['flow', ...words, '--dir', dir], dir)

    const blocked = await asked('list', 'once', '--status', 'blocked')
    expect(blocked.output).toMatch(/^1 +blocked +20\S+Z +- +- +UNKNOWN_STEP: /m)
    const settled = await asked('settle', 'once', '1', 'pay', '--value', '"paid"')
    expect(settled).toMatchObject({ status: 0, output: 'pay of once/1 is settled\n' })
    expect(await run.result()).toBe('paid')
  })

  test('lists schedules, pauses, triggers and removes them', async () => {
    const { asked, json, runs } = await instance()
    await runs.schedules.create('mine', '0 0 1 1 *', late, { zone: 'Europe/Berlin' })

    expect((await asked('pause', 'mine')).output).toBe('mine is paused\n')
    expect(await json('pause', 'mails', '--schedule')).toEqual({ isPaused: true })
    const { output } = await asked('schedules')
    expect(output).toMatch(/^mails +the tree +paused +0 0 1 1 \* +UTC +late +- +- +0$/m)
    expect(output).toMatch(/^mine +run time +paused +0 0 1 1 \* +Europe\/Berlin +late +- /m)
    expect((await json('show', 'mails')).isPaused).toBe(false)
    expect((await asked('resume', 'mine')).output).toBe('mine continues\n')
    expect((await asked('trigger', 'mine')).output).toMatch(/^the run mine\/20\S+ has begun$/m)
    const { entries } = await json('schedules')
    expect(entries).toMatchObject([
      { name: 'mails', isOfTree: true, isPaused: true },
      { name: 'mine', isOfTree: false, isPaused: false, running: expect.any(String) },
    ])
    const again = await asked('trigger', 'mine')
    expect([again.status, codeIn(again.errors)]).toEqual([1, 'CONFLICT'])
    expect((await asked('unschedule', 'mine')).output).toBe('the schedule mine is removed\n')
    expect(await json('unschedule', 'mine')).toEqual({ removed: false })
    for (const words of [
      ['unschedule', 'mails'],
      ['pause', 'none'],
    ])
      expect(codeIn((await asked(...words)).errors)).toBe('CONFLICT')
  })

  test('ends with status 1 for a refusal, and where no instance takes prompts', async () => {
    const { asked, dir } = await instance()

    for (const [words, code] of [
      [['list', 'ordr'], 'INVALID_ARGUMENT'],
      [['show', 'order', '7'], 'INVALID_ARGUMENT'],
      [['show', 'late'], 'INVALID_ARGUMENT'],
      [['signal', 'order', '2', 'approval'], 'CONFLICT'],
      [['signal', 'order', '1', 'approval', '{"__proto__":{"by":"Eve"}}'], 'INVALID_ARGUMENT'],
      [['settle', 'order', '1', 'reserve', '--value', '1'], 'CONFLICT'],
      [['list', 'order', '--cursor', 'x'], 'BAD_CURSOR'],
    ] as const) {
      const { status, output, errors } = await asked(...words)
      expect([words, status, output, codeIn(errors)]).toEqual([words, 1, '', code])
    }
    expect((await asked('show', 'late')).errors).toContain('the id of a run of late')
    expect((await asked('show', 'order', '')).errors).toContain('flow show: ID is empty')
    const missing = await commandHere(['flow', 'list', '--dir', 'missing'], dir)
    expect([missing.status, codeIn(missing.errors)]).toEqual([1, 'NO_PROCESS'])
  })
})
