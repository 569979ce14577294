/**
 * The soak: an instance with everything at once for as long as wanted, beside it members on another folder. Each 10 s a line of
 * samples is written; at the end the ledger is compared with what is there, each series is judged, and the curves are drawn.
 * `--minutes N`: 10 by default; `--out DIR`: where the samples and the curves go; `--pace N`: how much load; `--virtual`: a day
 * of virtual time instead, on a simulated disk.
 */
import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { bytesOf } from './soak/folders.mjs'
import { Members } from './soak/members.mjs'
import { judged, told } from './soak/series.mjs'
import { runVirtual } from './soak/virtual-day.mjs'
import { Player } from './writes/players.mjs'
import { startPostgres } from './writes/postgres-server.mjs'

export const about =
  'everything at once for long: does anything grow; --minutes N, --out DIR, --virtual'

const program = fileURLToPath(new URL('./soak/instance.mjs', import.meta.url))
const cli = fileURLToPath(new URL('../dist/inspect/cli/cli.js', import.meta.url))
const sampleMs = 10_000
const collectEach = 6
/** Member b is killed so often. */
const killMs = 45_000

/** Samples both parts each `ms` until the time is over. */
const sampled = async ({ instance, members, dir, out, minutes, quick }) => {
  const samples = []
  const ms = quick ? 1_000 : sampleMs
  const [began, count] = [performance.now(), Math.round((minutes * 60_000) / ms)]
  for (let at = 1; at <= count; at++) {
    await sleep(Math.max(0, began + at * ms - performance.now()))
    const collect = at % collectEach === 0
    const sample = {
      seconds: (performance.now() - began) / 1_000,
      instance: {
        ...(await instance.ask({ kind: 'sample', collect })),
        bytes: bytesOf(join(dir, 'instance', 'data'), join(dir, 'instance', 'backup')),
      },
      members: {
        ...(await members.sample(collect)),
        bytes: bytesOf(join(dir, 'members', 'data')),
      },
    }
    samples.push(sample)
    told(out, sample)
  }
  return samples
}

/** The last backup can be restored, and nothing that the soak leaves has a fault. @throws what the command said */
const examine = (dir) => {
  const keelson = (...words) => execFileSync(process.execPath, [cli, ...words], { stdio: 'pipe' })
  keelson('restore', join(dir, 'instance', 'backup'), '--to', join(dir, 'restored'))
  for (const each of ['restored', 'instance/data', 'members/data'])
    keelson('doctor', join(dir, each), '--deep')
}

/** Runs it, and answers the verdicts. */
const runReal = async ({ quick, minutes = quick ? 0.5 : warmUpMinutes, out, pace = 1 }) => {
  const dir = mkdtempSync(join(tmpdir(), 'keelson-soak-'))
  // The server of PostgreSQL runs as another user.
  chmodSync(dir, 0o755)
  const folder = out ?? join(dir, 'out')
  for (const each of [folder, join(dir, 'instance')]) mkdirSync(each, { recursive: true })
  const server = await startPostgres(join(dir, 'postgres'))
  if (server.absent) console.log(`without a replica: ${server.absent}`)
  let [instance, members] = []
  try {
    const args = [join(dir, 'instance'), `${pace}`]
    instance = await Player.fork(program, server.absent ? args : [...args, server.socket])
    members = await Members.start(join(dir, 'members'), pace / 3)
    members.killEach(quick ? 8_000 : killMs)
    const samples = await sampled({ instance, members, dir, out: folder, minutes, quick })
    const ends = [await instance.ask({ kind: 'stop' }), await members.stop()]
    await instance.stop()
    examine(dir)
    console.log(`verified: ${JSON.stringify(ends)}`)
    return judged(samples, { out: folder, what: 'real' })
  } finally {
    await instance?.kill()
    members?.kill()
    await server.stop?.()
    rmSync(dir, { recursive: true, force: true })
  }
}

/** A process still grows into its caches for so many minutes: a shorter soak says nothing about growth. */
const warmUpMinutes = 10

/** Runs the soak in real or in virtual time. */
export const run = async (options) => {
  const { virtual, quick, minutes = warmUpMinutes } = options
  const verdicts = virtual ? await runVirtual(options) : await runReal(options)
  const judges = virtual || minutes >= warmUpMinutes
  if (!quick && judges && verdicts.some(({ isFlat }) => !isFlat)) process.exitCode = 1
  return verdicts
}
