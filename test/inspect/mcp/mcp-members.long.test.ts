/** `keelson mcp` on a folder of three members, each a process: a fault at another one, and one that does not answer. */
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { tools } from '../../../src/inspect/mcp/tools.ts'
import { FolderMemberProcess } from '../../support/commands/folder-member.ts'
import { mcpClient } from '../../support/commands/mcp-client.ts'
import { noFlock } from '../../support/harm/folder-locks.ts'
import { lacks } from '../../support/lacks.ts'
import { tempFolder } from '../../support/temp-folder.ts'

const canary = 'CANARY7'
const names = ['a', 'b', 'c']
type Planted = { readonly id: string; readonly run: string; readonly job: string }

/** Three members, of which `c` has faults, and a client of the member `a`. */
const troubledMembers = async () => {
  const dir = join(tempFolder(), 'd')
  const program = 'troubled-member.mjs'
  const members = names.map((name) => new FolderMemberProcess(name, dir, names, 16, program))
  expect(await Promise.all(members.map(({ start }) => start))).toEqual(names.map(() => 'began'))
  const [, second, third] = members as [unknown, FolderMemberProcess, FolderMemberProcess]
  const { value, text } = await third.ask('plant')
  expect(text).toBe(undefined)
  return { second, planted: value as Planted, ...(await mcpClient(dir, 'a')) }
}

test.skipIf(lacks(noFlock))(
  'a fault at another member is found from one, and one that is stopped is named',
  { timeout: 300_000 },
  async () => {
    const { second, planted, asked, all } = await troubledMembers()

    const { data: health } = await asked('health')
    expect(health.members.map(({ name }: { name: string }) => name)).toEqual(names)
    const loop = health.troubles.find(({ kind }: { kind: string }) => kind === 'crash loop')
    expect(loop).toMatchObject({ subject: expect.stringContaining('mailer'), member: 'c' })
    const { data: crashes } = await asked('crashes')
    const crash = crashes.rows.find(({ subject }: { subject: string }) => subject === 'mailer')
    expect(crash).toMatchObject({ member: 'c', count: 3 })
    const { data: report } = await asked('crashes', { process: 'mailer' })
    expect(report.reports[0]).toMatch(/no mailbox at c.* at .*troubled-member\.mjs:\d+/s)
    const { data: process } = await asked('process', { pid: crash.pid, member: 'c' })
    expect(process).toMatchObject({ member: 'c', otherMembers: ['a', 'b'] })
    const { data: log } = await asked('log', { find: 'a login' })
    expect(log).toMatchObject({ lines: [{ member: 'c' }], silent: [] })
    const { data: failed } = await asked('runs', { type: 'payment', where: 'customer=ada' })
    expect(failed.rows).toMatchObject([{ id: planted.run, status: 'failed' }])
    const { data: run } = await asked('run', { type: 'payment', id: planted.run })
    expect(run.failure.join('\n')).toMatch(/charge refused.*no route to bank/s)
    const { data: actor } = await asked('entity', { kind: 'account', id: planted.id })
    expect(JSON.stringify(actor)).toContain('card refused at c')
    const { data: dead } = await asked('jobs', { queue: 'mails', state: 'dead' })
    expect(dead.rows).toMatchObject([{ id: planted.job }])

    const named = { kind: 'account', id: planted.id }
    const given: Readonly<Record<string, object>> = {
      process: { pid: crash.pid, member: 'c' },
      runs: { type: 'payment' },
      run: { type: 'payment', id: planted.run },
      jobs: { queue: 'mails', state: 'dead' },
      job: { queue: 'mails', id: planted.job },
      entities: { kind: 'account' },
      ...{ entity: named, history: named, entity_at: { ...named, lsn: 1_000_000 } },
      ...{ docs_read: { page: 'docs/cli/mcp.md' }, docs_search: { words: 'shard down' } },
    }
    const answers = async () => {
      const found: Record<string, { isError: boolean; text: string }> = {}
      for (const name of Object.keys(tools)) found[name] = await asked(name, { ...given[name] })
      return found
    }
    for (const [name, { isError, text }] of Object.entries(await answers()))
      expect([name, isError, text]).toEqual([name, false, expect.any(String)])

    second.child.kill('SIGSTOP')
    onTestFinished(() => void second.child.kill('SIGCONT'))
    const stopped = await answers()
    const ofAll = ['members', 'crashes', 'log', 'runs', 'schedules', 'streams', 'storage']
    const counted = ['workflows', 'queues', 'kinds', 'entities']
    const ofOne = ['tree', 'processes', 'process']
    for (const name of [...ofAll, ...counted, ...ofOne])
      expect([name, stopped[name]?.text]).toEqual([name, expect.stringMatching(/"b"|member b\b/)])
    expect(all.filter((text) => text.includes(canary))).toEqual([])
    expect(all.join('\n')).toContain('[hidden string of 7]')
  },
)
