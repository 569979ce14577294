/** Workflows and a queue of the built package, under SIGKILL, and a ledger outside of them. */
import { expect, test } from 'vitest'
import { seededRandom } from '../../src/clock.ts'
import { childProgram } from '../support/commands/child-program.ts'
import { FlowLedger } from '../support/models/flow-ledger.ts'
import { tempFolder } from '../support/temp-folder.ts'
import { countOf } from '../support/tier.ts'

const rounds = countOf('KEELSON_KILL_ROUNDS', 10, 200)
const seed = Number(process.env.KEELSON_SEED ?? process.pid)

/** A round is killed after so many reports at most, of which an order makes about ten. */
const reportsMax = 400

test(`orders and jobs end as they should over ${rounds} kills, and no key is used twice`, {
  tags: ['W1', 'W2', 'W3', 'W6', 'W9', 'W10', 'W11'],
  timeout: (rounds + 1) * 60_000,
}, async () => {
  const dir = tempFolder()
  const random = seededRandom(seed)
  const ledger = new FlowLedger()

  for (let round = 0; round <= rounds; round++) {
    const isLast = round === rounds
    let left = isLast ? Number.POSITIVE_INFINITY : 1 + Math.floor(random() * reportsMax)
    ledger.begins()
    const { open, next } = ledger
    const args = [dir, open.join(), String(next), isLast ? 'last' : 'new']
    const child = childProgram('flow-orders.mjs', args, (line) => {
      ledger.read(line)
      if (--left === 0) child.process.kill('SIGKILL')
    })
    const end = await child.ended
    const expected = isLast ? { code: 0, signal: null } : { code: null, signal: 'SIGKILL' }
    expect(end, `seed ${seed}, round ${round}: ${child.stderr()}`).toEqual(expected)
  }

  ledger.judge()
  if (process.env.KEELSON_TALLY) console.log(ledger.counts)
  expect(ledger.wrong, `seed ${seed}`).toEqual([])
  expect(ledger.open).toEqual([])
})
