/**
 * The first bad night of a service of two members, as real processes: what fails is one line of the log, a trouble in
 * `health()` and on the page of each member, a metric and an alert, and one further command leads to its cause. (needs
 * the build) A server of PostgreSQL that cannot be reached is no part of it: members share a folder, and an engine is
 * refused with them.
 */

import { once } from 'node:events'
import { closeSync, openSync, readdirSync, readFileSync, writeFileSync, writeSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { RemoteSession } from '../../src/inspect/attach/remote-session.ts'
import type { Overview } from '../../src/observe/index.ts'
import { type RunningCommand, startKeelson } from '../support/commands/keelson-command.ts'
import { portOf } from '../support/commands/members-command.ts'
import { alertsOn, noPromtool } from '../support/commands/promtool.ts'
import { noFlock } from '../support/harm/folder-locks.ts'
import { noSmallDisk, smallDisk } from '../support/harm/small-disk.ts'
import { lacks } from '../support/lacks.ts'

/** A fault, and how an operator hears of it. */
type Fault = {
  /** What the service is asked to do. */
  readonly what: string
  /** The one line of the log. */
  readonly line: RegExp
  /** The line after which it has its trouble; by default that one. */
  readonly after?: RegExp
  /** Its trouble, by kind and subject. */
  readonly trouble: string
  readonly alert: string
  /** What the command that `health()` names prints. */
  readonly cause: RegExp
}

const own = String.raw`\(.*first-bad-night\.mjs:\d+:\d+\)`

const faults: readonly Fault[] = [
  {
    what: 'pay',
    line: /warn {2}\w: pay\/1: step charge failed at try 1 of 1000, .*fetch failed; cause: ECONNREFUSED/g,
    after: /pay\/1: step charge is stuck/,
    trouble: 'stuck step, pay/1',
    alert: 'KeelsonStepStuck',
    cause: new RegExp(
      `TypeError: fetch failed\\n[^]*at .*charge ${own}[^]*caused by .*ECONNREFUSED`,
    ),
  },
  {
    what: 'bill',
    line: /error \w: bill\/1: the run has failed: TypeError: Cannot read/g,
    trouble: 'run failed, bill/1',
    alert: 'KeelsonWarning',
    cause: new RegExp(`Cannot read properties of undefined[^]*at .*print ${own}`),
  },
  {
    what: 'mail',
    line: /error \w: mails: job 1 is dead after 2 tries: Error: mailbox unavailable; cause: Error: 550/g,
    trouble: 'dead jobs, mails',
    alert: 'KeelsonTriesEnded',
    cause: new RegExp(`Error: mailbox unavailable\\n[^]*at .*send ${own}[^]*caused by Error: 550`),
  },
  {
    what: 'go',
    line: /error \w: ship\/1: the run is blocked: /g,
    trouble: 'run blocked, ship/1',
    alert: 'KeelsonEntityBlocked',
    cause: /pack/,
  },
  {
    what: 'place',
    line: /error \w: BLOCKED: order\/7 is blocked: an order without a customer/g,
    trouble: 'blocked, order/7',
    alert: 'KeelsonEntityBlocked',
    cause: new RegExp(`an order without a customer\n[^]*at .*read \\[as migrate\\] ${own}`),
  },
  {
    what: 'hang',
    line: /warn {2}\w: order\/9: continue hang hangs: it has run for 10 s/g,
    trouble: 'hanging step, order/9',
    alert: 'KeelsonAlarmsOverdue',
    cause: /hang/,
  },
  {
    what: 'hold',
    line: /warn {2}\w: order\/11: call hold hangs: it has run for 10 s/g,
    trouble: 'hanging handler, order/11',
    alert: 'KeelsonAlarmsOverdue',
    cause: /handling +call hold, since 20[^;]+; 0 messages waiting/,
  },
]

const full: Fault = {
  what: 'fill',
  line: /error \w: shard 0 refuses writes, /g,
  trouble: 'refuses writes, shards 0 to 3',
  alert: 'KeelsonWritesRefused',
  cause: /ENOSPC|no space/i,
}

/** A port that nobody listens on. */
const deadPort = async (): Promise<number> => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}

/** The lines of the log from now on. */
const logOf = (service: RunningCommand): (() => string) => {
  let log = ''
  service.process.stderr?.on('data', (text) => (log += text))
  return () => log
}

/** The service of two members, with its second program. */
const deployed = async () => {
  const night = smallDisk('96m')
  const program = join(import.meta.dirname, '../support/programs/first-bad-night.mjs')
  const words = ['run', program, '--dir', join(night, 'd'), '--members', '2']
  const variables = { NIGHT: night, AWAY: String(await deadPort()) }
  const service = startKeelson(words, night, variables, 'ignore')
  // From the beginning: a run that the new build blocks is told before anybody looks.
  const logged = logOf(service)
  await service.says('ready: ')
  const does = async (what: string): Promise<string> =>
    (await fetch(`http://127.0.0.1:${portOf(service)}/do?what=${what}`)).text()
  expect([await does('place'), await does('ship')]).toEqual(['done', 'done'])
  writeFileSync(join(night, 'deployed'), '')
  service.process.kill('SIGHUP')
  await service.says('member b is ready', 'errors')
  return { service, does, dir: join(night, 'd'), logged }
}

/** A prompt and a page of a member. */
const member = async (dir: string, name: string) => {
  const terms = { colours: false, verbose: false }
  const prompt = await RemoteSession.open({ dir, member: name }, terms)
  const observe = { write: false, user: 'ann' }
  const page = await RemoteSession.open({ dir, member: name }, { ...terms, observe })
  onTestFinished(() => {
    prompt.session.close()
    page.session.close()
  })
  const ask = async (line: string): Promise<string> => (await prompt.session.run(line)).text ?? ''
  const troubles = async () => {
    const answer = await page.session.ask({ look: 'overview', query: {} })
    return (answer as { data: Overview }).data.troubles
  }
  return { ask, troubles }
}

type Member = Awaited<ReturnType<typeof member>>

const metricsOf = async (service: RunningCommand): Promise<string> => {
  const accept = 'application/openmetrics-text;version=1.0.0'
  const url = `http://127.0.0.1:${portOf(service)}/metrics`
  return (await fetch(url, { headers: { accept } })).text()
}

/** A line for b that ends when it has its shards: work that begins before moves there, and waits for that. */
const untilShared = [
  'await new Promise((resolve) => {',
  "const open = () => app.health().shards.filter(({ phase }) => phase === 'open').length;",
  "const look = () => open() === 2 && resolve('shared');",
  "app.system.events.on('wal.recovered', () => setTimeout(look, 100));",
  'look() })',
].join(' ')

/** Asserts that a fault is told where people look. */
const telling =
  (service: RunningCommand, members: readonly Member[], logged: () => string) =>
  async ({ line, after = line, trouble, alert, cause }: Fault): Promise<void> => {
    await service.says(new RegExp(after.source), 'errors')
    for (const { ask, troubles } of members) {
      const health = await ask('health()')
      const [, word = ''] =
        new RegExp(`^\\w+: ${trouble}\\b.*; (\\S+\\(.*\\))$`, 'm').exec(health) ?? []
      expect.soft(health, trouble).toContain(`: ${trouble}`)
      expect.soft(await ask(word), `${trouble}: ${word}`).toMatch(cause)
      const [kind, subject] = trouble.split(', ')
      expect.soft(await troubles()).toContainEqual(expect.objectContaining({ kind, subject }))
    }
    expect.soft(logged().match(line), line.source).toHaveLength(1)
    const metrics = await metricsOf(service)
    const [kind] = trouble.split(', ')
    expect.soft(metrics).toMatch(new RegExp(`^keelson_troubles\\{.*kind="${kind}".*\\} [1-9]`, 'm'))
    // As long as an alert that is not urgent waits.
    expect.soft(alertsOn(Array(330).fill(metrics))).toContain(alert)
  }

test.skipIf(lacks(noFlock ?? noSmallDisk ?? noPromtool))(
  'whatever fails is told where people look, at both members',
  async () => {
    const { service, does, dir, logged } = await deployed()
    const members = [await member(dir, 'a'), await member(dir, 'b')]
    expect(await members[1]?.ask(untilShared)).toBe("'shared'")
    const isTold = telling(service, members, logged)

    for (const { what } of faults) await does(what)
    for (const fault of faults) await isTold(fault)
    await does(full.what)
    await isTold(full)
  },
  180_000,
)

/**
 * Makes two groups of frames in every shard of a member that only its log has, and answers its process and a shard.
 * The second group proves that the first one was durable: without that it might be a write that was cut off.
 */
const unprojected = [
  'await app.control.suspendAll();',
  "const put = () => Promise.all(Array.from({ length: 99 }, (_, at) => store.put('k' + at, 'damage'.repeat(99))));",
  'await put(); await put();',
  "const [{ shard }] = app.health().shards.filter(({ phase }) => phase === 'open');",
  "process.pid + ' ' + shard",
].join(' ')

test.skipIf(lacks(noFlock ?? noSmallDisk ?? noPromtool))(
  'a damaged byte in the log of a member that dies is told by the other one, with file and offset',
  async () => {
    const { service, dir } = await deployed()
    const here = await member(dir, 'a')
    const there = await member(dir, 'b')
    await there.ask(untilShared)
    const [, pid, shard] = /(\d+) (\d+)/.exec(await there.ask(unprojected)) ?? []
    const isTold = telling(service, [here], logOf(service))

    const wal = join(dir, `shard-${shard}`, 'wal')
    const segment = readdirSync(wal)
      .filter((name) => name.endsWith('.wal'))
      .map((name) => join(wal, name))
      .find((path) => readFileSync(path).includes('damagedamage'))
    const at = readFileSync(segment ?? '').indexOf('damagedamage')
    const file = openSync(segment ?? '', 'r+')
    writeSync(file, '*', at)
    closeSync(file)
    process.kill(Number(pid), 'SIGKILL')

    await isTold({
      what: 'damage',
      line: new RegExp(
        `(?:error|info ) \\w: shard ${shard} is down(?:: CORRUPT: .*damaged at .*\\.wal, offset \\d+)?`,
        'g',
      ),
      trouble: `shard down, shard ${shard}`,
      alert: 'KeelsonShardDown',
      cause: /damaged at [\da-f]+-\d+\.wal, offset \d+, lsn \d+/,
    })
  },
  120_000,
)
