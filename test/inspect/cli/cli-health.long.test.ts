/** `keelson health`: what is in trouble in a running instance, for people, monitors and scripts. */
import { once } from 'node:events'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { flow, flows, queue } from '../../../dist/flow/index.js'
import { start, supervisor } from '../../../dist/index.js'
import { virtualClock } from '../../../src/clock.ts'
import { capturedLog } from '../../../src/testing/kit/captured-log.ts'
import { commandHere } from '../../support/commands/command-here.ts'
import { codeIn } from '../../support/commands/command-project.ts'
import { tempFolder } from '../../support/temp-folder.ts'

/** An instance with a queue whose jobs die at once, and the command that asks it. */
const instance = async () => {
  const dir = tempFolder()
  const send = () => {
    throw new Error('mailbox unavailable')
  }
  const mails = queue('mails', send, { retry: { max: 1 } })
  const app = await start({
    dir,
    attach: true,
    app: supervisor('app', {}, [flows({ queues: [mails] })]),
    logger: capturedLog(),
  })
  onTestFinished(() => app.close().then(() => undefined))
  const asked = (...words: string[]) => commandHere(['health', ...words, '--dir', dir], dir)
  const dies = async () => {
    const died = new Promise((resolve) =>
      app.system.events.on('queue.ended' as never, resolve as never),
    )
    await flow(app).add(mails, undefined)
    await died
  }
  return { asked, dies }
}

describe('keelson health (needs the build)', () => {
  test('says that nothing is in trouble, with status 0', async () => {
    const { asked } = await instance()

    const { status, output, errors } = await asked()

    expect([status, errors]).toEqual([0, ''])
    expect(output).toMatch(
      /^nothing is in trouble\n\nbuild +Keelson \d+\.\d+\.\d+\nstarted +\d+ m?s ago\ndurable +yes\nshards +1 open\n/,
    )
    expect(JSON.parse((await asked('--json')).output)).toMatchObject({
      troubles: [],
      health: { durable: true, shards: [{ phase: 'open' }] },
    })
  })

  test('has a line for each trouble with the word that leads to its cause, and status 1', async () => {
    const { asked, dies } = await instance()
    await dies()

    const { status, output, errors } = await asked()

    expect([status, errors]).toEqual([1, ''])
    expect(output).toMatch(
      /^critical: dead jobs, mails, for \d+ s: 1 job failed all tries: .*; flow\.dead\('mails'\)\n\n/,
    )
  })

  test('has the troubles as data with --json, and status 1', async () => {
    const { asked, dies } = await instance()
    await dies()

    const { status, output } = await asked('--json')

    expect([status, output.trim().split('\n')]).toEqual([1, [output.trim()]])
    expect(JSON.parse(output).troubles).toMatchObject([
      {
        severity: 'critical',
        kind: 'dead jobs',
        subject: 'mails',
        alert: 'KeelsonTriesEnded',
        look: "flow.dead('mails')",
      },
    ])
  })

  test('fails where no instance runs, and refuses wrong words', async () => {
    const dir = tempFolder()
    const refused = async (...words: string[]) => {
      const { status, output, errors } = await commandHere(['health', ...words], dir)
      return [status, output, codeIn(errors)]
    }
    expect(await refused('--dir', dir)).toEqual([1, '', 'NO_PROCESS'])
    expect(await refused('one.json', 'two.json')).toEqual([2, '', 'INVALID_ARGUMENT'])
  })

  test('fails with TIMEOUT when the instance does not answer for 10 s', async () => {
    const dir = tempFolder()
    const clock = virtualClock()
    const mute = createServer().listen(join(dir, 'attach.sock'))
    onTestFinished(() => void mute.close())
    const connected = once(mute, 'connection')

    const asking = commandHere(['health', '--dir', dir], dir, { clock })
    const [socket] = await connected
    onTestFinished(() => socket.destroy())
    await clock.advance(10_000)

    const { status, output, errors } = await asking
    expect([status, output, codeIn(errors)]).toEqual([1, '', 'TIMEOUT'])
  })
})
