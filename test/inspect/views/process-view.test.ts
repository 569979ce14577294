import { expect, test } from 'vitest'
import { processFacts, processTable } from '../../../src/inspect/views/process-view.ts'
import type { ProcessInfo } from '../../../src/runtime/index.ts'

const info = (facts: Partial<ProcessInfo>): ProcessInfo => ({
  pid: 1,
  ref: { pid: 1, name: undefined },
  name: undefined,
  kind: 'server',
  label: undefined,
  status: 'waiting',
  mailbox: 0,
  mailboxMax: 100_000,
  links: [],
  monitors: [],
  monitoredBy: [],
  parent: undefined,
  trapExit: false,
  restarts: 0,
  handled: 0,
  handling: undefined,
  ...facts,
})

test('processes are listed by their number, by name, else by label', () => {
  const table = processTable([
    info({ pid: 10, label: 'job', status: 'busy', mailbox: 3 }),
    info({ pid: 2, name: 'counter', handled: 1_234, restarts: 1 }),
  ])

  expect(table).toBe(
    [
      'pid   name     kind    status   queue  handled  restarts',
      '<2>   counter  server  waiting      0    1,234         1',
      '<10>  job      server  busy         3        0         0',
    ].join('\n'),
  )
})

test('one process is shown whole, others by their names', () => {
  const process = info({
    pid: 7,
    name: 'counter',
    status: 'busy',
    mailbox: 2,
    mailboxMax: Number.POSITIVE_INFINITY,
    parent: 1,
    trapExit: true,
    handling: { message: 'call add', since: 1_000 },
  })

  const ties = {
    links: { count: 4, pids: [1, 3] },
    monitors: { count: 0, pids: [] },
    monitoredBy: { count: 1, pids: [3] },
  }
  expect(processFacts(process, ties, (pid) => `p${pid}`, 3_500)).toBe(
    [
      'name          counter',
      'pid           <7>',
      'kind          server',
      'status        busy',
      'handling      call add, for 2.50 s',
      'queue         2, bounded by its senders',
      'handled       0',
      'restarts      0',
      'parent        p1',
      'links         p1, p3, and 2 more',
      'monitors      -',
      'monitored by  p3',
      'traps exits   yes',
    ].join('\n'),
  )
})
