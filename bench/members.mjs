/**
 * A call to a process of another member beside a call to one here. The other member is another
 * process of this machine, over a Unix socket. One machine has both, so the time of a call is that
 * of two processes on its cores. Turns of all contenders alternate.
 */
import { fork } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { call, name } from 'keelson'
import { isWanted } from './harness/options.mjs'
import { amount, table } from './harness/table.mjs'
import { startMember } from './members/member.mjs'
import { median } from './wal/turns.mjs'

export const about = 'calls to a process of another member, beside calls to one here'

const program = fileURLToPath(new URL('./members/other.mjs', import.meta.url))

const cases = [1, 64, 1_024].map((inFlight) => ({ title: `${inFlight} in flight`, inFlight }))

/** Calls `ref` for so long with so many in flight. The time of each call is taken with one in flight. */
const turn = async (ref, inFlight, seconds) => {
  const times = []
  const cpu = process.cpuUsage()
  const begun = performance.now()
  const until = begun + seconds * 1_000
  let count = 0
  const caller = async () => {
    for (let at = begun; at < until; ) {
      if ((await call(ref, 'add', 1)) !== 2) throw new Error('a wrong answer')
      count++
      const now = performance.now()
      if (inFlight === 1) times.push(now - at)
      at = now
    }
  }
  await Promise.all(Array.from({ length: inFlight }, caller))
  const spent = performance.now() - begun
  const { user, system } = process.cpuUsage(cpu)
  times.sort((left, right) => left - right)
  return {
    rate: (count * 1_000) / spent,
    cpu: (user + system) / count,
    p50: times[Math.floor(times.length / 2)],
    p99: times[Math.floor(times.length * 0.99)],
  }
}

const medianOf = (figures, key) =>
  figures[0][key] === undefined ? undefined : median(figures.map((figure) => figure[key]))

export const run = async (options) => {
  const { repeats = options.quick ? 3 : 7 } = options
  const seconds = options.quick ? 0.5 : 2
  const dir = mkdtempSync(join(tmpdir(), 'keelson-bench-'))
  const child = fork(program, [dir])
  try {
    const { system, members } = await startMember('a', dir)
    members.expect('b')
    const there = members.at('b').ref('desk')
    await call(there, 'add', 1, { waitForName: true, timeoutMs: 60_000 })
    const contenders = [
      { label: 'here', ref: system.to(name('desk')) },
      { label: 'another member', ref: there },
    ]
    const results = []
    for (const { title, inFlight } of cases) {
      if (!isWanted(options.only, title)) continue
      const figures = contenders.map(() => [])
      for (let at = 0; at <= repeats; at++)
        for (let step = 0; step < contenders.length; step++) {
          const index = (at + step) % contenders.length
          const figure = await turn(contenders[index].ref, inFlight, seconds)
          // The first turn only warms up.
          if (at > 0) figures[index].push(figure)
        }
      const outcome = contenders.map(({ label }, index) => ({
        label,
        ...Object.fromEntries(
          ['rate', 'cpu', 'p50', 'p99'].map((key) => [key, medianOf(figures[index], key)]),
        ),
      }))
      results.push({ title, outcome })
      const ms = (value) => (value === undefined ? '' : value.toFixed(4))
      console.log(`Calls, ${title}`)
      console.log(
        table([
          ['', 'calls/s', 'CPU µs at the caller', 'p50 ms', 'p99 ms'],
          ...outcome.map(({ label, rate, cpu, p50, p99 }) => [
            ...[label, amount(rate), cpu.toFixed(2), ms(p50), ms(p99)],
          ]),
        ]),
        '\n',
      )
    }
    await system.stop()
    return results
  } finally {
    child.kill()
    rmSync(dir, { recursive: true, force: true })
  }
}
