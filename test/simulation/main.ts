/**
 * `npm run simulate -- KIND [--seeds N] [--from N] | [--seed N]` lives seeds of a simulation (the kinds are below) on every
 * core, shows how far it is, and ends with what happened in them; exit code 1 at the first seed that breaks a promise, with
 * the command that lives it again.
 */
import { fork } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { liveBareStreams } from '../support/lives/bare-stream-life.ts'
import { liveDamage } from '../support/lives/damage-life.ts'
import { liveEntities } from '../support/lives/entity-life.ts'
import { liveFlows } from '../support/lives/flow-life.ts'
import { liveFolder } from '../support/lives/folder-life.ts'
import { liveHandles } from '../support/lives/handle-life.ts'
import { liveHistory } from '../support/lives/history-life.ts'
import { liveLinks } from '../support/lives/link-life.ts'
import { sumOf, type Tally } from '../support/lives/seed-lives.ts'
import { liveSpread } from '../support/lives/spread-life.ts'
import { liveStreams } from '../support/lives/stream-life.ts'
import { ThreadLife } from '../support/lives/thread-life.ts'
import { liveSeed } from './log-seeds.ts'
import { liveMemberSeed } from './member-seeds.ts'

/** The simulations. */
const simulations = {
  log: liveSeed,
  entities: liveEntities,
  history: liveHistory,
  flows: liveFlows,
  handles: liveHandles,
  streams: liveBareStreams,
  'actor-streams': liveStreams,
  members: liveMemberSeed,
  links: liveLinks,
  folder: liveFolder,
  spread: liveSpread,
  damage: liveDamage,
  threads: async (seed: number) => ({ lives: 1, ...(await new ThreadLife(seed).run(8)) }),
}

/** Every so many seeds a child says what happened in them. */
const piece = 20

type Report = { readonly tally: Tally } | { readonly failure: string; readonly seed: number }
type Range = {
  readonly of: keyof typeof simulations
  readonly from: number
  readonly seeds: number
}

const say = (line: string): void => void process.stdout.write(`${line}\n`)

const wholeNumber = (name: string, text: string): number => {
  const number = Number(text)
  if (!Number.isSafeInteger(number) || number < 0)
    throw new Error(`--${name} takes a whole number, found '${text}'`)
  return number
}

const rangeOf = (args: readonly string[]): Range => {
  const { values, positionals } = parseArgs({
    args: [...args],
    options: { seeds: { type: 'string' }, from: { type: 'string' }, seed: { type: 'string' } },
    allowPositionals: true,
  })
  const of = positionals.join() as Range['of']
  if (!Object.hasOwn(simulations, of))
    throw new Error(
      `usage: simulate ${Object.keys(simulations).join('|')} [--seeds N] [--from N] | [--seed N]`,
    )
  if (values.seed !== undefined) return { of, from: wholeNumber('seed', values.seed), seeds: 1 }
  return {
    of,
    from: wholeNumber('from', values.from ?? '1'),
    seeds: wholeNumber('seeds', values.seeds ?? '1000'),
  }
}

/** The child's side: every `stride`th seed of the range, one after another. */
const work = async ({ of, from, seeds }: Range, stride: number): Promise<void> => {
  let tally: Tally = {}
  const tell = (report: Report): Promise<void> =>
    new Promise((resolve) => process.send?.(report, () => resolve()))
  for (let seed = from, lived = 1; seed < from + seeds; seed += stride, lived++) {
    try {
      tally = sumOf([tally, await simulations[of](seed)])
    } catch (error) {
      const failure = error instanceof Error ? (error.stack ?? error.message) : String(error)
      return tell({ failure, seed })
    }
    if (lived % piece > 0) continue
    await tell({ tally })
    tally = {}
  }
  await tell({ tally })
}

/** Resolves when all children have ended; rejects with the first failure. */
const workOnAllCores = async (
  { of, from, seeds }: Range,
  report: (tally: Tally) => void,
): Promise<void> => {
  const stride = Math.min(availableParallelism(), seeds)
  const children = Array.from({ length: stride }, (_, at) =>
    fork(fileURLToPath(import.meta.url), ['--work', of, from + at, seeds - at, stride].map(String)),
  )
  const ended = children.map(
    (child) =>
      new Promise<void>((resolve, reject) => {
        child.on('message', (said: Report) => {
          if ('tally' in said) report(said.tally)
          else reject(new Error(`${said.failure}\n\nnpm run simulate -- ${of} --seed ${said.seed}`))
        })
        child.on('exit', (code, signal) => {
          if (code === 0) resolve()
          else reject(new Error(`a child ended with ${signal ?? code}`))
        })
      }),
  )
  try {
    await Promise.all(ended)
  } finally {
    for (const child of children) child.kill()
  }
}

const run = async (args: readonly string[]): Promise<void> => {
  const range = rangeOf(args)
  let sum: Tally = { lives: 0 }
  const begun = performance.now()
  let told = 0
  await workOnAllCores(range, (tally) => {
    sum = sumOf([sum, tally])
    const lives = sum.lives ?? 0
    if (lives - told < range.seeds / 50) return
    told = lives
    const seconds = Math.round((performance.now() - begun) / 1000)
    say(`${lives} of ${range.seeds} seeds, ${seconds} s`)
  })
  for (const [name, count] of Object.entries(sum).sort()) say(`${name.padEnd(24)} ${count}`)
  if (sum.lives !== range.seeds) throw new Error(`${sum.lives} of ${range.seeds} seeds were lived`)
  say(`${range.seeds} seeds from ${range.from} on: no promise was broken`)
}

const [mode, of, from, seeds, stride] = process.argv.slice(2)
try {
  if (mode === '--work') {
    const range = { of: of as Range['of'], from: Number(from), seeds: Number(seeds) }
    await work(range, Number(stride))
    process.disconnect()
  } else await run(process.argv.slice(2))
} catch (error) {
  process.stderr.write(`simulate: ${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
}
