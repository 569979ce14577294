/**
 * The demo: a day of the exchange without interruption, and the same day with two kills. Both must
 * end with the same books, balances and events.
 * `npm run example:exchange [-- COUNT] [--postgres postgres://…]`
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isDeepStrictEqual, parseArgs } from 'node:util'
import { audit } from './audit.ts'
import { live } from './day.ts'
import { writeOrders } from './order-file.ts'
import { provedFill } from './proof.ts'
import { caughtUp, logIn, rowsOf, type Where } from './replica.ts'

export type DemoOptions = {
  /** Orders, cancels and withdrawals. */
  readonly count: number
  readonly seed: number
  /** A PostgreSQL server; without it one within the process, in a folder. */
  readonly server?: Where | undefined
  readonly say: (line: string) => void
  /** Called with the part of a day that is done, from 0 to 1. */
  readonly progress?: (part: number) => void
}

const whole = (number: number): string => Math.round(number).toLocaleString('en-US')

/** Runs both days in a temporary folder. Resolves with all that was not as it must be. */
export const demo = async (options: DemoOptions): Promise<readonly string[]> => {
  const folder = mkdtempSync(join(tmpdir(), 'keelson-exchange-'))
  try {
    return await days(folder, options)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const days = async (
  folder: string,
  { count, seed, server, say, progress = () => {} }: DemoOptions,
): Promise<readonly string[]> => {
  const orders = join(folder, 'orders.jsonl')
  const replica = server ?? join(folder, 'replica')
  await writeOrders(orders, seed, count)
  const play = async (name: string, kills: readonly number[], replica?: Where) => {
    const [dir, tape] = [join(folder, name), join(folder, `${name}.jsonl`)]
    const began = performance.now()
    const evening = await live({
      ...{ dir, orders, tape, kills, progress: (number) => progress(number / count) },
      ...(replica && { replica }),
    })
    const seconds = (performance.now() - began) / 1_000
    const found = await audit(dir, evening)
    say(`   ${whole(found.digest.entries)} commands in ${seconds.toFixed(1)} s, starts included`)
    say(`   ${whole(evening.answers.size)} answers compared with the journal`)
    return { ...evening, ...found, tape: readFileSync(tape) }
  }

  say(`1  ${whole(count)} orders, cancels and withdrawals, without interruption …`)
  const calm = await play('calm', [])
  const kills = [0.3, 0.6].map((part) => Math.floor(part * count))
  say(`2  the same, killed with SIGKILL after ${kills.map(whole).join(' and ')} answers …`)
  const struck = await play('struck', kills, replica)

  const faults = [...calm.faults, ...struck.faults]
  if (!isDeepStrictEqual(calm.snapshot, struck.snapshot))
    faults.push('the books or the balances are not those of the day without interruption')
  if (`${calm.digest}` !== `${struck.digest}`)
    faults.push('the journal does not say what that of the day without interruption says')
  if (!calm.tape.equals(struck.tape))
    faults.push('the tape is not that of the day without interruption')
  const { accounts, orders: resting } = struck.snapshot
  say(`3  ${whole(accounts.length)} balances and ${whole(resting.length)} resting orders compared,`)
  say(
    `   and ${whole(struck.trades)} trades with their side effects (${`${struck.digest}`.slice(0, 16)}…)`,
  )

  await caughtUp(join(folder, 'struck'), replica)
  const log = logIn(join(folder, 'struck'), replica)
  const rows = await rowsOf(log)
  if (`${rows}` !== `${struck.digest}`) faults.push('PostgreSQL has other rows than the journal')
  say(`4  ${whole(rows.entries)} rows of PostgreSQL compared with the journal`)

  faults.push(...(await provedFill(join(folder, 'struck'), struck.fill, log, folder)))
  say(`5  the fill at LSN ${struck.fill.lsn} was proved to an auditor from files and PostgreSQL,`)
  say('   and refused with one changed byte of the proof, of the entry and of the row')
  return faults
}

if (process.argv[1]?.endsWith('demo.ts')) {
  const bar = (part: number): string => '█'.repeat(part * 60).padEnd(60, '░')
  let shown = ''
  const progress = (part: number): void => {
    const line = `   ${bar(part)} ${Math.floor(part * 100)} %`
    if (process.stdout.isTTY && line !== shown) process.stdout.write(`\r${line}`)
    shown = line
  }
  const say = (line: string): void => console.log(process.stdout.isTTY ? `\r\x1b[K${line}` : line)
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { postgres: { type: 'string' } },
  })
  const faults = await demo({
    count: Number(positionals[0] ?? 200_000),
    seed: 1,
    server: values.postgres,
    say,
    progress,
  })
  for (const fault of faults) console.log(`FAULT: ${fault}`)
  console.log(faults.length === 0 ? '\nnothing was lost, nothing was done twice' : '')
  process.exitCode = faults.length === 0 ? 0 : 1
}
