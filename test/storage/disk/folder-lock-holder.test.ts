/** Whether the process in a lock file lives. */
import { describe, expect, test } from 'vitest'
import {
  holderFate,
  type ProcessFacts,
  startTimeByPs,
} from '../../../src/storage/disk/folder-lock.ts'
import { lacks } from '../../support/lacks.ts'

const noPs = startTimeByPs(process.pid) ? undefined : 'the tool ps does not tell starts here'

describe('whether a holder lives', () => {
  const self: ProcessFacts = {
    pid: 10,
    host: 'here',
    bootId: 'boot',
    startTime: '500',
    pidSpace: '4:1',
  }
  const running = (pid: number): string | null | undefined =>
    ({ 10: '500', 11: '600', 12: null })[pid]

  test.each([
    ['this very process', {}, 'alive'],
    ['another process that runs', { pid: 11, startTime: '600' }, 'alive'],
    ['a process that is gone', { pid: 13 }, 'dead'],
    ['a pid that another process has now', { pid: 11, startTime: '599' }, 'dead'],
    ['a process whose start is hidden', { pid: 12 }, 'unknown'],
    ['an earlier boot of this host', { bootId: 'earlier' }, 'dead'],
    ['another host', { host: 'there', bootId: 'its own' }, 'unknown'],
    ['a container with another name, but our pids', { host: 'container' }, 'alive'],
    ['a container with its own pids', { host: 'container', pidSpace: '4:2' }, 'unknown'],
    ['our host name, but other pids', { pidSpace: '4:2' }, 'unknown'],
    ['no pid', { pid: undefined }, 'dead'],
    ['a pid that is text', { pid: '10' }, 'dead'],
    ['no boot', { bootId: '' }, 'dead'],
    ['no start', { startTime: undefined }, 'dead'],
  ])('%s', (_, facts, fate) => {
    expect(holderFate({ ...self, ...facts }, self, running)).toBe(fate)
  })

  test.skipIf(lacks(noPs))('ps tells when a process started, on a system without /proc', () => {
    expect(startTimeByPs(process.pid)).toMatch(/ \d\d:\d\d:\d\d \d{4}$/)
    expect(startTimeByPs(2 ** 22 + 1)).toBeUndefined()
  })
})
