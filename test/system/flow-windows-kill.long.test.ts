/** Adds under windows and limits that change, of the built package, under SIGKILL, and their ledger outside of it. */
import { expect, test } from 'vitest'
import { seededRandom } from '../../src/clock.ts'
import type { JobLook } from '../../src/flow/index.ts'
import { childProgram } from '../support/commands/child-program.ts'
import { type Colors, type WindowAdd, WindowLedger } from '../support/models/window-ledger.ts'
import { tempFolder } from '../support/temp-folder.ts'
import { countOf } from '../support/tier.ts'

const rounds = countOf('KEELSON_KILL_ROUNDS', 10, 100)
const seed = Number(process.env.KEELSON_SEED ?? process.pid)
const reportsMax = 150

/** Short windows: each of them ends some times in a life. */
const windows = {
  last: { debounce: { key: 'last', ms: 200 } },
  bounded: { debounce: { key: 'bounded', ms: 200, maxMs: 500 } },
  first: { debounce: { key: 'first', ms: 100, keep: 'first' } },
  throttle: { throttle: { key: 'throttle', ms: 300 } },
  trailing: { throttle: { key: 'trailing', ms: 300, keep: 'last' } },
} as const

test(`jobs of windows are made of the right add, run once in each life, and limits hold over ${rounds} kills`, {
  tags: ['W10'],
  timeout: (rounds + 1) * 60_000,
}, async () => {
  const dir = tempFolder()
  const random = seededRandom(seed)
  const ledger = new WindowLedger(windows)
  const counts: Record<string, number> = {}
  let next = 1
  const read = (line: string): void => {
    const [what, ...given] = JSON.parse(line)
    counts[what] = (counts[what] ?? 0) + 1
    if (what === 'asks') next = Math.max(next, (given[0] as WindowAdd).number + 1)
    if (what !== 'last') (ledger as never as Record<string, Any>)[what]?.(...given)
    else ledger.judgeEnd(new Map(given[0] as [string, JobLook][]), given[1] as Colors)
  }

  for (let round = 0; round <= rounds; round++) {
    const isLast = round === rounds
    let left = isLast ? Number.POSITIVE_INFINITY : 20 + Math.floor(random() * reportsMax)
    const args = [dir, isLast ? 'last' : 'new', String(next), JSON.stringify(windows)]
    const child = childProgram('flow-windows.mjs', args, (line) => {
      read(line)
      if (--left === 0) child.process.kill('SIGKILL')
    })
    const end = await child.ended
    const expected = isLast ? { code: 0, signal: null } : { code: null, signal: 'SIGKILL' }
    expect(end, `seed ${seed}, round ${round}: ${child.stderr()}`).toEqual(expected)
    expect(ledger.wrong, `seed ${seed}, round ${round}`).toEqual([])
    ledger.dies()
  }

  if (process.env.KEELSON_TALLY) console.log(counts)
  for (const what of ['answered', 'begins', 'limited', 'last'])
    expect(counts[what], what).toBeGreaterThan(0)
})

type Any = (...given: unknown[]) => void
