/** The log of turns by itself: a process that ends while turns are on their way. */
import { describe, expect, test } from 'vitest'
import {
  LoggedTurn,
  TurnLog,
  type TurnPort,
  type Written,
} from '../../../src/actors/turns/turn-log.ts'
import { KeelsonError } from '../../../src/errors.ts'
import { markBytes, writeMark } from '../../../src/storage/index.ts'

const full = { error: new KeelsonError('NO_SPACE', 'full'), isOvertaken: false }

/** A log whose first turn waits for space. When it was looked up, it is written once more. */
const waiting = () => {
  const decisions: ((fate: Written) => void)[] = []
  const heard: string[] = []
  const port: TurnPort<LoggedTurn> = {
    write: (_, decided) => decisions.push(decided),
    durable: () => heard.push('durable'),
    look: (_, found) => setImmediate(found, undefined),
    short: (first) => heard.push(first === undefined ? 'has space' : 'is short'),
    refused: () => void heard.push('refused'),
    redo: () => undefined,
    ended: () => undefined,
    cut: () => heard.push('cut'),
  }
  const log = new TurnLog(port, 4)
  const turn = new LoggedTurn({ kind: 'message', from: undefined })
  const row = Buffer.alloc(markBytes)
  writeMark(row, 0, { incarnation: '0123456789abcdef', seq: 1 })
  const entity = 'a/1'
  turn.unit = { kind: 'turn', entity, follows: undefined, row, rows: [], writes: [] }
  log.commit(turn)
  decisions[0]?.(full)
  const lookedUp = () => new Promise((resolve) => setImmediate(resolve))
  return { log, decisions, heard, lookedUp }
}

describe('a process that ends while its turn waits for space', () => {
  test('hears at once that the turn was refused, if no write of it is under way', async () => {
    const { log, heard, lookedUp, decisions } = waiting()
    log.end(() => undefined)
    expect(heard).toEqual(['is short', 'has space', 'refused'])
    await lookedUp()
    expect([log.isEmpty, decisions.length]).toEqual([true, 1])
  })

  test('hears the fate of a write that is under way, and nothing before', async () => {
    const { log, heard, decisions, lookedUp } = waiting()
    await lookedUp()
    expect(decisions).toHaveLength(2)
    log.end(() => undefined)
    expect([log.isEmpty, heard]).toEqual([false, ['is short']])
    decisions[1]?.('durable')
    expect([log.isEmpty, heard]).toEqual([true, ['is short', 'has space', 'durable']])
  })
})
