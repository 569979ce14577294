/**
 * `npm run harness -- kill|power|pages|orders [--rounds N] [--seed N] [--at-once N]`: kill -9, power cuts, and power cuts after which only
 * some pages are there, over the built package; `orders` kills the service of examples/orders. How many logs and stores a kill hits at once can be chosen. Shows how far it is; exit code 1 when something that was acknowledged is missing.
 */
import { parseArgs } from 'node:util'
import { killRounds, type StrikeOptions, type Strikes } from './kill-rounds.ts'
import { noLoopDisk } from './loop-disk.ts'
import { orderRounds } from './order-rounds.ts'
import { pageRounds, powerRounds } from './power-rounds.ts'

const harnesses: Record<string, (options: StrikeOptions) => Promise<Strikes>> = {
  kill: killRounds,
  power: powerRounds,
  pages: pageRounds,
  orders: orderRounds,
}

const say = (line: string): void => void process.stdout.write(`${line}\n`)

const run = async (): Promise<void> => {
  const { values, positionals } = parseArgs({
    options: {
      rounds: { type: 'string' },
      seed: { type: 'string' },
      'at-once': { type: 'string' },
    },
    allowPositionals: true,
  })
  const name = positionals[0] ?? ''
  const harness = harnesses[name]
  if (!harness || positionals.length > 1)
    throw new Error('usage: harness kill|power|pages|orders [--rounds N] [--seed N] [--at-once N]')
  const rounds = Number(values.rounds ?? 100)
  const seed = Number(values.seed ?? process.pid)
  const atOnce = values['at-once'] === undefined ? undefined : Number(values['at-once'])
  const isCount = (count = 1): boolean => Number.isSafeInteger(count) && count > 0
  if (!isCount(rounds) || !isCount(atOnce) || !Number.isSafeInteger(seed))
    throw new Error('--rounds, --at-once and --seed take whole numbers')
  const reason = name === 'kill' || name === 'orders' ? undefined : noLoopDisk()
  if (reason !== undefined) return say(`skipped: ${reason}`)
  const begun = performance.now()
  const linesOf = ({ rounds: done, strikes, promised, torn }: Strikes): string =>
    `${strikes} strikes, ${done} folders struck, ${promised} acknowledgements checked, ` +
    `${torn} torn tails, ${Math.round((performance.now() - begun) / 1000)} s`
  let told = 0
  const progress = (strikes: Strikes): void => {
    if (strikes.strikes - told < 10) return
    told = strikes.strikes
    say(linesOf(strikes))
  }
  const sum = await harness({ rounds, seed, atOnce, progress })
  say(`${linesOf(sum)}: nothing that was acknowledged is missing`)
}

try {
  await run()
} catch (error) {
  process.stderr.write(`harness: ${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
}
