/** One of two members is stopped: every command and every word of the prompt ends, and says who did not answer. Real processes. */
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { RemoteSession } from '../../../src/inspect/attach/remote-session.ts'
import { runKeelson, startKeelson } from '../../support/commands/keelson-command.ts'
import { noFlock } from '../../support/harm/folder-locks.ts'
import { lacks } from '../../support/lacks.ts'
import { tempFolder } from '../../support/temp-folder.ts'

const program = join(import.meta.dirname, '../../support/programs/quiet-member.mjs')

const opened = async (dir: string, member: string) => {
  const options = { colours: false, verbose: false }
  const { session } = await RemoteSession.open({ dir, member }, options)
  onTestFinished(() => session.close())
  return session
}

/** Two members with an actor, a run and a job in every shard. */
const twoMembers = async () => {
  const cwd = tempFolder()
  const service = startKeelson(['run', program, '--dir', 'd', '--members', '2'], cwd, {}, 'ignore')
  await service.says('ready: ')
  const dir = join(cwd, 'd')
  const session = await opened(dir, 'b')
  const run = async (line: string) => (await session.run(line)).text ?? ''
  for (let at = 0; at < 12; at++) {
    await run(`flow.start('order', null, { id: '${at}' })`)
    await run(`call('counter/${at}', 'add')`)
    await run(`flow.add('mails', ${at})`)
    await run(`store.put('k${at}', ${at})`)
  }
  const { text } = await (await opened(dir, 'a')).run('process.pid')
  const pid = Number(text)
  const stop = (): void => {
    process.kill(pid, 'SIGSTOP')
    onTestFinished(() => void process.kill(pid, 'SIGCONT'))
  }
  return { cwd, run, stop }
}

/** Words that need no other member, or look at what it has. */
const looks = [
  ...[
    'health()',
    'tree()',
    'ps()',
    'top()',
    'wal()',
    'journal()',
    'projections()',
    'replication()',
  ],
  ...['judge()', 'crashes()', "crashes('app')", 'entities()', "entities('counter')", 'log()'],
  ...['flow.list()', "flow.list('order')", 'flow.schedules()', 'store.page({})', 'cluster()'],
  ...["flow.show('mails')", "flow.jobs('mails')", "flow.dead('mails')", "flow.job('mails', '1')"],
]

/** Words about one actor, run or key; those of some are at the member that is stopped. */
const looksAt = (at: number): readonly string[] => [
  ...[`flow.show('order', '${at}')`, `entity('counter/${at}')`, `history('counter/${at}')`],
  ...[`state('counter/${at}')`, `store.get('k${at}')`],
]

const acts = (at: number): readonly string[] => [
  ...[`call('counter/${at}', 'add')`, `store.put('k${at}', 1)`, `flow.add('mails', ${at})`],
  ...[`flow.start('order', null, { id: 'n${at}' })`, `flow.signal('order', '${at}', 'x')`],
  ...["flow.pause('mails')", "flow.trigger('tick')", 'control.flushAll()', 'batcher.flush()'],
]

describe.skipIf(lacks(noFlock))('while one of two members is stopped', () => {
  test('every word of the prompt of the other one ends, and each that needs it names it', async () => {
    const { run, stop } = await twoMembers()
    const owners = await run('app.health().shards.map(({ member }) => member)')
    expect([...new Set(owners.match(/\b[ab]\b/g))].sort()).toEqual(['a', 'b'])
    stop()
    const words = [...looks, ...[0, 1, 2, 3].flatMap((at) => [...looksAt(at), ...acts(at)])]
    const answers = new Map(
      await Promise.all(words.map(async (word) => [word, await run(word)] as const)),
    )
    expect([...answers].filter(([, text]) => text === '')).toEqual([])
    for (const word of ['health()', 'entities()', 'projections()', 'journal()', 'flow.list()'])
      expect(answers.get(word), word).toMatch(/member a|\bat a\b|the member a/)
  }, 240_000)

  test('the commands end, say who did not answer, and ask the other one', async () => {
    const { cwd, stop } = await twoMembers()
    stop()
    const silent = 'no answer from member a: another one is asked\n'
    const end = (...words: string[]) => runKeelson([...words, '--dir', 'd'], cwd)

    // Each waits for the stopped member as long as it may: all of them at once.
    const [listed, health, attached] = await Promise.all([
      end('flow', 'list'),
      end('health'),
      end('attach', '--member', 'a'),
    ])
    expect(listed).toMatchObject({
      ...{ status: 0, errors: silent },
      output: expect.stringMatching(/order does not answer: .*the member a/),
    })
    expect(health).toMatchObject({
      ...{ status: 1, errors: silent },
      output: expect.stringContaining('member silent, member a'),
    })
    expect([attached.status, attached.errors]).toEqual([
      1,
      expect.stringMatching(
        /^TIMEOUT: no answer from member a within 10\.00 s: its process is stopped/,
      ),
    ])
  }, 240_000)
})
