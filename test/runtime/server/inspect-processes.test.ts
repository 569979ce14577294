/** Processes are looked at page by page, in the order of their start. */
import { expect, test, vi } from 'vitest'
import type { GenServer, ProcessInfo } from '../../../src/runtime/index.ts'
import { ProcessList } from '../../../src/runtime/process/process-list.ts'
import { testSystem } from '../../../src/testing/index.ts'

const server: GenServer<object, null> = { init: () => null }

const started = async (count: number) => {
  const { system, settle } = testSystem()
  for (let at = 0; at < count; at++) await system.start(server)
  return { system, settle }
}

test('the pages are all processes, each once, also if the last one of a page ends', async () => {
  const { system, settle } = await started(10)
  const all = system.processes().map(({ pid }) => pid)
  const seen: number[] = []
  for (let after = 0; ; ) {
    const page = system.inspectProcesses({ after, limit: 3 })
    expect(page.length).toBeLessThanOrEqual(3)
    const last = page.at(-1)
    if (last === undefined) break
    seen.push(...page.map(({ pid }) => pid))
    after = last.pid
    if (seen.length === 6) system.kill(last.ref)
    await settle()
  }
  expect(seen).toEqual(all)
})

test('a page goes on after any pid, and has what info says', async () => {
  const { system } = await started(9)
  const [, second, third] = system.processes()
  const { links: _, monitors: __, monitoredBy: ___, ...summary } = third ?? ({} as ProcessInfo)
  expect(system.inspectProcesses({ after: second?.pid ?? 0, limit: 1 })).toEqual([summary])
  expect(system.inspectProcesses({ after: 1_000 })).toEqual([])
  const all = system.processes().map(({ pid }) => pid)
  for (const from of [-1, ...all])
    expect(system.inspectProcesses({ after: from, limit: 2 }).map(({ pid }) => pid)).toEqual(
      all.filter((pid) => pid > from).slice(0, 2),
    )
})

test('several walks at one time go on where their pages ended, and none from the start again', async () => {
  const { system } = await started(30)
  const starts = vi.spyOn(ProcessList.prototype, 'first', 'get')
  const walks = Array.from({ length: 3 }, () => ({ after: 0, pids: [] as number[] }))
  for (let page = 0; page < 10; page++)
    for (const walk of walks) {
      const found = system.inspectProcesses({ after: walk.after, limit: 3 })
      walk.pids.push(...found.map(({ pid }) => pid))
      walk.after = walk.pids.at(-1) ?? 0
    }

  expect(starts).toHaveBeenCalledTimes(walks.length)
  const all = system.processes().map(({ pid }) => pid)
  for (const { pids } of walks) expect(pids).toEqual(all)
})

test.each([null, { limit: 0 }, { limit: Number.NaN }, { after: '1' }, { before: 1 }])(
  'a page with the query %j is refused',
  async (query) => {
    const { system } = await started(1)
    expect(() => system.inspectProcesses(query as never)).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
    )
  },
)
