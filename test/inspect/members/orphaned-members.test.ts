/** A start waits for a member whose parent has ended, and for nothing else. */
import { expect, test } from 'vitest'
import { KeelsonError } from '../../../src/errors.ts'
import { orphanIn, stillHeld } from '../../../src/inspect/members/orphaned-members.ts'

const lockedBy = (holder: object, code: 'LOCKED_DIR' | 'CONFIG' = 'LOCKED_DIR'): KeelsonError =>
  new KeelsonError(code, 'a.lock is held by process 7', { details: { holder } })

/** The processes 7 and 9 run. */
const isAlive = (pid: number): boolean => [7, 9].includes(pid)

test('a member that runs without its parent is an orphan', () => {
  expect(orphanIn(lockedBy({ pid: 7, parent: 5 }), isAlive)).toEqual({ pid: 7, parent: 5 })
})

test.each([
  ['has its parent', lockedBy({ pid: 7, parent: 9 })],
  ['has ended', lockedBy({ pid: 5, parent: 6 })],
  ['has no parent', lockedBy({ pid: 7 })],
  ['is not named', lockedBy({ parent: 5 })],
  ['is not why the start was refused', lockedBy({ pid: 7, parent: 5 }, 'CONFIG')],
])('a holder that %s is none', (_, error) => {
  expect(orphanIn(error, isAlive)).toBeUndefined()
})

test('a start that has waited in vain names the process to end', () => {
  const error = stillHeld(lockedBy({ pid: 7, parent: 5 }), { pid: 7, parent: 5 })

  expect(error).toMatchObject({ code: 'LOCKED_DIR', details: { holder: { pid: 7 } } })
  expect(error.message).toContain('kill -9 7')
})
